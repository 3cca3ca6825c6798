/*
 * log_record_priv.h - records of the data log: how they are laid out.
 *
 * A record is a header of 64 bytes, the CRC-32C of every chunk of its payload, zeros, the payload, and zeros
 * up to a multiple of 8. Header and checksums have a CRC-32C of their own, which covers the segment and the
 * place in it: bytes that an earlier use of the file left never pass for a record. It begins with the log's
 * key, a secret number: what clients wrote into a file whose segment is used again can't pass for one either.
 *
 * Payloads are cut where the file is cut (every 128 KiB of file offset) and each part into chunks of 4 KiB,
 * so that each part is a block with checksums of its own. A payload of 32 KiB and more begins on a page, so
 * that its pages can be given back one by one.
 *
 *  0 magic       16 ino        40 mtime, nanoseconds   52 zeros before the payload (2)
 *  4 CRC         24 offset     44 payload bytes        54 type (1)
 *  8 segment     32 mtime,     48 checksums            55 flags (1)
 * 12 place          seconds (8)                        56 argument (8)          all little endian
 */
#ifndef DITTOFS_STORE_LOG_RECORD_H
#define DITTOFS_STORE_LOG_RECORD_H

#include "dittofs/clock.h"
#include "dittofs/store.h"
#include <stdbool.h>
#include <stdint.h>

enum {
    RECORD_HEADER_BYTES = 64,
    RECORD_ALIGNMENT = 8,
    RECORD_CHUNK = 4096,               /* bytes under one checksum */
    RECORD_PAGE = 4096,                /* of the disk */
    RECORD_PAGED_FROM = 32768,         /* payloads of so many bytes begin on a page */
    RECORD_PAYLOAD_MOST = 1024 * 1024, /* longer writes are several records */
    RECORD_CHECKSUMS_MOST = RECORD_PAYLOAD_MOST / RECORD_CHUNK + RECORD_PAYLOAD_MOST / STORE_BLOCK_SIZE + 2,
    RECORD_HEAD_MOST = RECORD_HEADER_BYTES + RECORD_CHECKSUMS_MOST * 4 + RECORD_PAGE,
    RECORD_BYTES_MOST = RECORD_HEAD_MOST + RECORD_PAYLOAD_MOST + RECORD_ALIGNMENT,
};

enum record_type {
    RECORD_WRITE = 1, /* the payload at offset */
    RECORD_TRUNCATE,  /* offset: the new size */
    RECORD_PUNCH,     /* argument bytes at offset */
    RECORD_ALLOCATE,  /* argument bytes at offset; flag: the size stays */
    RECORD_CLONE,     /* argument bytes to offset; the payload says from where (struct record_source) */
    RECORD_BLOCK,     /* the payload is a block that no file is named for: replay passes over it */
    RECORD_END,       /* the log goes on in segment ARGUMENT */
    RECORD_TYPE_LAST = RECORD_END
};
enum record_flags { RECORD_KEEP_SIZE = 1 };

struct record {
    uint32_t key; /* the log's */
    enum record_type type;
    uint32_t flags; /* enum record_flags */
    uint32_t segment, place;
    uint64_t ino, offset, argument;
    struct timestamp mtime;
    uint32_t length;      /* of the payload */
    uint32_t head_length; /* the payload begins so many bytes behind PLACE */
    uint32_t checksum_count;
};

/* Payload of RECORD_CLONE. */
struct record_source {
    uint64_t ino, offset;
};
enum { RECORD_SOURCE_BYTES = 16 };

/* A place in the log as one number: they only grow. */
static inline uint64_t log_position(uint32_t segment, uint64_t place)
{
    return (uint64_t)segment << 32 | place;
}
static inline uint32_t position_segment(uint64_t position)
{
    return (uint32_t)(position >> 32);
}
static inline uint32_t position_place(uint64_t position)
{
    return (uint32_t)position;
}

/* Bytes of the part of [OFFSET, OFFSET + LENGTH) that begins at OFFSET: up to the next 128 KiB. */
static inline uint32_t record_part(uint64_t offset, uint32_t length)
{
    uint32_t room = STORE_BLOCK_SIZE - (uint32_t)(offset % STORE_BLOCK_SIZE);

    return length < room ? length : room;
}
static inline uint32_t record_chunks(uint32_t length)
{
    return (length + RECORD_CHUNK - 1) / RECORD_CHUNK;
}

/* Sets checksum_count and head_length from type, offset, length and place. */
void record_lay_out(struct record *record);
/* All bytes of it in the log, a multiple of RECORD_ALIGNMENT. */
uint32_t record_total(const struct record *record);
/* The checksums of DATA, which is to lie at OFFSET of a file (0 when it is not a write): as many as
 * record_lay_out counts. Gives how many. */
uint32_t record_checksums(uint64_t offset, const uint8_t *data, uint32_t length, uint32_t *checksums);
/* Writes head_length bytes to HEAD. */
void record_encode(const struct record *record, const uint32_t *checksums, uint8_t *head);

/* Reads the header at HEAD (RECORD_HEADER_BYTES), written with KEY, and says how long the head is; false when
 * it is no record of this segment and place. Nothing is known to be right before record_decode said so. */
bool record_peek(const uint8_t *head, uint32_t key, uint32_t segment, uint32_t place,
                 struct record *record_r);
/* Checks a whole head of record->head_length bytes; CHECKSUMS gets checksum_count numbers. */
bool record_decode(const struct record *record, const uint8_t *head, uint32_t *checksums);
/* Do the payload's bytes match? */
bool record_verify(const struct record *record, const uint32_t *checksums, const uint8_t *payload);

#endif
