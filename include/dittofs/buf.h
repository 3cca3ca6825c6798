/*
 * buf.h - counted byte buffers, shared by the socket that filled them, the request that reads them and
 * the log that writes them to disk.
 *
 * The count is not atomic: buffers are referred to on the loop thread. A worker may read or fill the
 * bytes of a buffer that its job holds a reference to.
 */
#ifndef DITTOFS_BUF_H
#define DITTOFS_BUF_H

#include <stddef.h>
#include <stdint.h>

struct buf {
    uint32_t references;
    uint32_t pool_class; /* private */
    size_t capacity;
    uint8_t *data;
};

/* A buffer of at least CAPACITY bytes with one reference, or NULL when memory is out. Large ones are
 * aligned to 4 KiB. Freed ones are kept for reuse up to a bound. */
struct buf *buf_new(size_t capacity);
struct buf *buf_ref(struct buf *buf);
/* Gives a reference back and sets the pointer to NULL; NULL is fine. */
void buf_unref(struct buf **buf);

/* A part of a buffer; whoever keeps one holds a reference to BUF. */
struct bufpart {
    struct buf *buf;
    const uint8_t *data;
    size_t length;
};

/* Bytes in buffers that somebody holds, and in those kept for reuse (metrics, leak checks of tests). */
size_t buf_bytes_in_use(void);
size_t buf_bytes_kept(void);
/* Frees what is kept for reuse. */
void buf_pool_drain(void);

#endif
