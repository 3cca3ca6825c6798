/*
 * cursor.h - the one checked reader and the one checked writer for bytes from and to the outside.
 *
 * Reader: every read says whether it was possible and moves nothing when it was not; results are left
 * untouched then. be is for ONC RPC's XDR (RFC 4506), le for SMB.
 * Writer: bounded; a write that does not fit sets `failed` and every later one is ignored, so that one
 * check at the end is enough.
 */
#ifndef DITTOFS_CURSOR_H
#define DITTOFS_CURSOR_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MUST_CHECK __attribute__((warn_unused_result))

struct reader {
    const uint8_t *at;
    size_t left;
};

static inline struct reader reader_of(const void *data, size_t length)
{
    return (struct reader){.at = data, .left = length};
}

bool reader_u8(struct reader *reader, uint8_t *value_r) MUST_CHECK;
bool reader_le16(struct reader *reader, uint16_t *value_r) MUST_CHECK;
bool reader_le32(struct reader *reader, uint32_t *value_r) MUST_CHECK;
bool reader_le64(struct reader *reader, uint64_t *value_r) MUST_CHECK;
bool reader_be16(struct reader *reader, uint16_t *value_r) MUST_CHECK;
/* In line, as XDR is made of them. */
MUST_CHECK static inline bool reader_be32(struct reader *reader, uint32_t *value_r)
{
    uint32_t value;

    if (reader->left < sizeof value)
        return false;
    memcpy(&value, reader->at, sizeof value);
    reader->at += sizeof value;
    reader->left -= sizeof value;
    *value_r = be32toh(value);
    return true;
}
MUST_CHECK static inline bool reader_be64(struct reader *reader, uint64_t *value_r)
{
    uint64_t value;

    if (reader->left < sizeof value)
        return false;
    memcpy(&value, reader->at, sizeof value);
    reader->at += sizeof value;
    reader->left -= sizeof value;
    *value_r = be64toh(value);
    return true;
}
/* LENGTH bytes, referred to in place. */
bool reader_bytes(struct reader *reader, size_t length, const uint8_t **data_r) MUST_CHECK;
bool reader_copy(struct reader *reader, void *to, size_t length) MUST_CHECK;
bool reader_skip(struct reader *reader, size_t length) MUST_CHECK;
/* A reader over the next LENGTH bytes, which are passed over here. */
bool reader_sub(struct reader *reader, size_t length, struct reader *sub_r) MUST_CHECK;
/* True when nothing is left. */
static inline bool reader_is_done(const struct reader *reader)
{
    return reader->left == 0;
}

/* XDR: a boolean (0 or 1, others fail), fixed opaque data with its padding, a counted opaque of at most
 * MOST bytes with its padding. Padding that is not zero is accepted (RFC 4506 3.9 only says it should be),
 * missing padding is not. The count is compared before it is rounded up. */
bool reader_xdr_bool(struct reader *reader, bool *value_r) MUST_CHECK;
bool reader_xdr_fixed(struct reader *reader, size_t length, const uint8_t **data_r) MUST_CHECK;
bool reader_xdr_opaque(struct reader *reader, size_t most, const uint8_t **data_r,
                       uint32_t *length_r) MUST_CHECK;

struct writer {
    uint8_t *data;
    size_t length;   /* written so far */
    size_t capacity; /* of data */
    size_t most;     /* grows up to here when it owns data; else equal to capacity */
    bool owns;       /* data is malloc'ed here and grows */
    bool failed;     /* something did not fit, or memory was out */
};

/* Over CAPACITY bytes of the caller's. */
void writer_init(struct writer *writer, void *data, size_t capacity);
/* Over memory of its own that grows up to MOST bytes. */
void writer_init_growing(struct writer *writer, size_t most);
/* Frees what it owns and leaves it empty and failed. */
void writer_free(struct writer *writer);

void writer_u8(struct writer *writer, uint8_t value);
void writer_le16(struct writer *writer, uint16_t value);
void writer_le32(struct writer *writer, uint32_t value);
void writer_le64(struct writer *writer, uint64_t value);
void writer_be16(struct writer *writer, uint16_t value);
void writer_bytes(struct writer *writer, const void *data, size_t length);
void writer_zeros(struct writer *writer, size_t length);
/* Zeros up to a multiple of ALIGNMENT (a power of two) from the writer's start. */
void writer_align(struct writer *writer, size_t alignment);
/* Room for LENGTH bytes, or NULL when it does not fit: the caller fills them at once. In line, as XDR is made
 * of small pieces. */
uint8_t *writer_reserve_slowly(struct writer *writer, size_t length);
static inline uint8_t *writer_reserve(struct writer *writer, size_t length)
{
    uint8_t *room;

    if (length == 0 || writer->failed || length > writer->capacity - writer->length)
        return writer_reserve_slowly(writer, length);
    room = writer->data + writer->length;
    writer->length += length;
    return room;
}
/* Into room that was reserved for several values at once; each returns the place behind its value. */
static inline uint8_t *put_be32(uint8_t *at, uint32_t value)
{
    value = htobe32(value);
    memcpy(at, &value, sizeof value);
    return at + sizeof value;
}
static inline uint8_t *put_be64(uint8_t *at, uint64_t value)
{
    value = htobe64(value);
    memcpy(at, &value, sizeof value);
    return at + sizeof value;
}
static inline void writer_be32(struct writer *writer, uint32_t value)
{
    uint8_t *to = writer_reserve(writer, sizeof value);

    if (to != NULL)
        put_be32(to, value);
}
static inline void writer_be64(struct writer *writer, uint64_t value)
{
    uint8_t *to = writer_reserve(writer, sizeof value);

    if (to != NULL)
        put_be64(to, value);
}
/* Makes sure that LENGTH more bytes fit; false (and nothing failed) when they can't. */
bool writer_has_room(struct writer *writer, size_t length);

/* Fills in what was left open; POSITION + 4 (or 8) must lie within what is written. */
void writer_patch_be32(struct writer *writer, size_t position, uint32_t value);
void writer_patch_le32(struct writer *writer, size_t position, uint32_t value);
void writer_patch_le16(struct writer *writer, size_t position, uint16_t value);
/* Takes back everything from POSITION on, and clears `failed`: for an entry that did not fit. */
void writer_truncate(struct writer *writer, size_t position);

static inline void writer_xdr_bool(struct writer *writer, bool value)
{
    writer_be32(writer, value ? 1 : 0);
}
/* Fixed and counted opaque data with padding. */
void writer_xdr_fixed(struct writer *writer, const void *data, size_t length);
void writer_xdr_opaque(struct writer *writer, const void *data, size_t length);

/* A + B, false on overflow. */
static inline bool add_u64(uint64_t a, uint64_t b, uint64_t *sum_r)
{
    return !__builtin_add_overflow(a, b, sum_r);
}

#endif
