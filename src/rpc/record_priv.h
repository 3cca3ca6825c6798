/*
 * record_priv.h - record marking (RFC 5531 11): bytes of a stream in, whole records out.
 *
 * The reader knows nothing of sockets: its owner asks where to put bytes, says how many it put there, and
 * takes out records until it is told that more bytes are needed.
 */
#ifndef DITTOFS_RPC_RECORD_PRIV_H
#define DITTOFS_RPC_RECORD_PRIV_H

#include "dittofs/buf.h"
#include "dittofs/cursor.h"
#include "dittofs/err.h"

enum {
    ONC__BLOCK_BYTES = 64 * 1024,  /* of a receive buffer for many small records */
    ONC__SMALL_RECORD = 16 * 1024, /* up to here a record is read into such a buffer */
    ONC__HEAD_BYTES = 1024,        /* of a big record are looked at before it gets memory: a call header
                                      has at most 24 + 2 * 408 bytes (RFC 5531 8.2, 9) */
    ONC__PEEK_BYTES = 4096,        /* read behind a big record, as another big one is likely */
    ONC__FRAGMENTS_MAX = 1024      /* of a record */
};

/* The bytes of all receive buffers, and those kept for reuse. */
struct onc__memory {
    uint64_t bytes, bytes_max;
    struct onc__block *free;
    uint32_t free_count;
};

/* A receive buffer, shared by the record reader that fills it and the calls that lie in it. */
struct onc__block {
    struct buf *buf;
    uint32_t users;
    struct onc__memory *memory;
    struct onc__block *next; /* in memory->free */
};

/* NULL when memory, or MEMORY's share of it, is out. */
struct onc__block *onc__block_new(struct onc__memory *memory, size_t capacity);
void onc__block_put(struct onc__block **block);
void onc__memory_free(struct onc__memory *memory);

struct onc__record {
    const uint8_t *data;
    size_t length;
    struct onc__block *block; /* holds DATA; the taker puts it */
};

enum onc__next {
    ONC__NEXT_RECORD,
    ONC__NEXT_NEED_BYTES,
    ONC__NEXT_NEED_MEMORY, /* call again when others have given some back */
    ONC__NEXT_BROKEN       /* no record boundary can be found any more: close */
};

enum onc__record_state {
    ONC__AT_MARKER, /* four bytes are next */
    ONC__IN_PLACE,  /* a record of one fragment, so far wanted whole in `block` */
    ONC__GATHERING, /* bytes of a fragment go into `own` */
    ONC__SKIPPING   /* ... or nowhere */
};

struct onc__records {
    struct onc__memory *memory;
    uint32_t record_max;
    /* Asked once for a big record of one fragment, of which HEAD_LENGTH bytes are there: false skips it. */
    bool (*judge)(struct onc__records *records, const uint8_t *head, size_t head_length,
                  size_t record_length);
    enum onc__record_state state;
    struct onc__block *block; /* NULL: nothing is buffered */
    size_t begin, end;        /* bytes of it that are not taken out yet */
    uint32_t fragment_left;
    bool last;              /* the fragment is the record's last one */
    bool skipping;          /* over all fragments of the record */
    bool peek;              /* the last record was big */
    uint32_t fragments;     /* of this record so far */
    struct onc__block *own; /* of the record that is gathered */
    size_t own_filled;
};

void onc__records_init(struct onc__records *records, struct onc__memory *memory, uint32_t record_max);
void onc__records_free(struct onc__records *records);
/* Where the next bytes go, or NULL when memory is out. */
uint8_t *onc__records_space(struct onc__records *records, size_t *length_r);
void onc__records_received(struct onc__records *records, size_t length);
enum onc__next onc__records_next(struct onc__records *records, struct onc__record *record_r);
/* Gives back the receive buffer if nothing is in it: an idle connection holds none. */
void onc__records_rest(struct onc__records *records);
/* Is a record begun and not complete? */
bool onc__records_has_partial(const struct onc__records *records);

#endif
