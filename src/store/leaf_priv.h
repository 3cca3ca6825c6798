/*
 * leaf_priv.h - the piece list of 128 MiB of a file: a pure data structure and its encoding.
 *
 * A leaf is cut in 1024 slots of 128 KiB; a slot holds its pieces in order. A piece is a range that is data
 * (a part of a block) or unwritten (reserved, reads as zeros); what no piece covers is a hole. Pieces do not
 * overlap and never cross the end of a slot.
 *
 * A leaf notes every change of the number of pieces that refer to a block since the last
 * leaf_changes_clear: that is what has to be applied to the reference counts when the leaf is written.
 */
#ifndef DITTOFS_STORE_LEAF_H
#define DITTOFS_STORE_LEAF_H

#include "dittofs/cursor.h"
#include "dittofs/err.h"
#include "dittofs/store.h"
#include <stdbool.h>
#include <stdint.h>

enum {
    LEAF_SLOTS = 1024,
    LEAF_BYTES = LEAF_SLOTS * STORE_BLOCK_SIZE, /* 128 MiB */
    LEAF_ENCODED_MOST = 64 << 20,               /* bytes of an encoded leaf */
};

enum piece_kind {
    PIECE_HOLE, /* only as an answer of leaf_at: never stored */
    PIECE_DATA,
    PIECE_UNWRITTEN,
};

struct piece {
    uint64_t block;       /* PIECE_DATA: id of the block, else 0 */
    uint32_t start;       /* from the start of the leaf */
    uint32_t length;      /* bytes, never 0 */
    uint32_t skip;        /* PIECE_DATA: bytes of the block in front of this piece */
    enum piece_kind kind; /* never PIECE_HOLE */
};

struct slot {
    struct piece *many; /* when capacity is not 0 */
    struct piece one;   /* when capacity is 0 */
    uint32_t count;
    uint32_t capacity;
    uint32_t touched_ms; /* the user's: low bits of the time of the last write */
    uint32_t flags;      /* the user's */
};

struct leaf_change {
    uint64_t block;
    int32_t delta;
    bool added; /* by leaf_replace for its WITH: the user may hold something for it */
};

struct leaf {
    struct slot *slots; /* as many as needed so far */
    uint32_t slot_count;
    uint32_t piece_count;
    uint64_t data_bytes, unwritten_bytes;
    struct leaf_change *changes;
    size_t change_count, change_capacity;
};

/* A zeroed leaf is an empty one. */
void leaf_free(struct leaf *leaf);
static inline void leaf_changes_clear(struct leaf *leaf)
{
    leaf->change_count = 0;
}
/* Bytes of memory it holds. */
size_t leaf_memory(const struct leaf *leaf);

/* Makes [START, START + LENGTH) be WITH's kind, block and skip, or a hole when WITH is NULL. WITH of kind
 * PIECE_DATA must lie within a slot; the others may cover any range. ERR_NOMEM: slots in front of the one
 * that failed are changed (of data: nothing). */
enum err leaf_replace(struct leaf *leaf, uint32_t start, uint32_t length,
                      const struct piece *with) ERR_MUST_CHECK;
/* What is at OFFSET: a part of a piece, or of a hole, that starts at OFFSET and does not cross the slot's
 * end. A hole's block and skip are 0. */
void leaf_at(const struct leaf *leaf, uint32_t offset, struct piece *piece_r);

static inline const struct piece *slot_pieces(const struct slot *slot)
{
    return slot->capacity > 0 ? slot->many : &slot->one;
}
/* The slot that covers OFFSET, or NULL when nothing was ever put there. */
static inline struct slot *leaf_slot(const struct leaf *leaf, uint32_t offset)
{
    uint32_t index = offset / STORE_BLOCK_SIZE;

    return index < leaf->slot_count ? &leaf->slots[index] : NULL;
}

/* Integers of 1 to 10 bytes, 7 bits each, low ones first. The shortest form only. */
void varint_write(struct writer *writer, uint64_t value);
bool varint_read(struct reader *reader, uint64_t *value_r) MUST_CHECK;

/* Appends the encoded leaf: version, pieces, CRC-32C. */
void leaf_encode(const struct leaf *leaf, struct writer *writer);
/* LEAF is empty before, and after a failure: ERR_CORRUPT (anything odd, also trailing bytes), ERR_NOMEM. */
enum err leaf_decode(struct leaf *leaf, const uint8_t *data, size_t length) ERR_MUST_CHECK;

#endif
