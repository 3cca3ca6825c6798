/*
 * leaf.c - piece lists: changing, finding, encoding. See leaf_priv.h.
 *
 * A change of a slot builds the new list in place: memory for the list and for the notes is made first, so
 * that a slot is changed whole or not at all.
 *
 * Encoded form: version (1 byte), then for each piece in order
 *     varint  bytes of hole since the end of the piece before (or the leaf's start)
 *     varint  length * 4 + (skip is not 0) * 2 + (unwritten)
 *     data:   varint  zigzag of block - (where the bytes of the data piece before end), varint skip if not 0
 * and CRC-32C of all that (4 bytes). Consecutive blocks of one log record cost 5 bytes each.
 */
#include "store/leaf_priv.h"

#include "dittofs/hash.h"
#include "dittofs/log.h"
#include <stdlib.h>
#include <string.h>

enum { LEAF_VERSION = 1 };

void leaf_free(struct leaf *leaf)
{
    uint32_t i;

    for (i = 0; i < leaf->slot_count; i++)
        if (leaf->slots[i].capacity > 0)
            free(leaf->slots[i].many);
    free(leaf->slots);
    free(leaf->changes);
    memset(leaf, 0, sizeof *leaf);
}

size_t leaf_memory(const struct leaf *leaf)
{
    return sizeof *leaf + leaf->slot_count * sizeof(struct slot) + leaf->piece_count * sizeof(struct piece) +
           leaf->change_capacity * sizeof(struct leaf_change);
}

/* Index of the first piece that ends behind OFFSET. */
static uint32_t find_piece(const struct slot *slot, uint32_t offset)
{
    const struct piece *pieces = slot_pieces(slot);
    uint32_t low = 0, high = slot->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (pieces[middle].start + pieces[middle].length > offset)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

void leaf_at(const struct leaf *leaf, uint32_t offset, struct piece *piece_r)
{
    const struct slot *slot = leaf_slot(leaf, offset);
    uint32_t slot_end = (offset / STORE_BLOCK_SIZE + 1) * STORE_BLOCK_SIZE;
    const struct piece *piece;
    uint32_t index, into;

    *piece_r = (struct piece){.start = offset, .length = slot_end - offset, .kind = PIECE_HOLE};
    if (slot == NULL || slot->count == 0)
        return;
    index = find_piece(slot, offset);
    if (index == slot->count)
        return;
    piece = &slot_pieces(slot)[index];
    if (piece->start > offset) {
        piece_r->length = piece->start - offset;
        return;
    }
    into = offset - piece->start;
    *piece_r = *piece;
    piece_r->start = offset;
    piece_r->length -= into;
    if (piece->kind == PIECE_DATA)
        piece_r->skip += into;
}

/* ---- changing ---- */

static enum err need_slots(struct leaf *leaf, uint32_t count)
{
    uint32_t wanted = leaf->slot_count > 0 ? leaf->slot_count : 1;
    struct slot *slots;

    if (count <= leaf->slot_count)
        return ERR_OK;
    while (wanted < count)
        wanted *= 2;
    slots = realloc(leaf->slots, wanted * sizeof *slots);
    if (slots == NULL)
        return ERR_NOMEM;
    memset(slots + leaf->slot_count, 0, (wanted - leaf->slot_count) * sizeof *slots);
    leaf->slots = slots;
    leaf->slot_count = wanted;
    return ERR_OK;
}

static enum err need_changes(struct leaf *leaf, size_t more)
{
    size_t wanted = leaf->change_capacity > 0 ? leaf->change_capacity : 16;
    struct leaf_change *changes;

    if (leaf->change_count + more <= leaf->change_capacity)
        return ERR_OK;
    while (wanted < leaf->change_count + more)
        wanted *= 2;
    changes = realloc(leaf->changes, wanted * sizeof *changes);
    if (changes == NULL)
        return ERR_NOMEM;
    leaf->changes = changes;
    leaf->change_capacity = wanted;
    return ERR_OK;
}

/* Room for COUNT pieces; what is there stays. */
static enum err need_pieces(struct slot *slot, uint32_t count)
{
    uint32_t wanted = slot->capacity > 0 ? slot->capacity : 4;
    struct piece *many;

    if (count <= 1 || count <= slot->capacity)
        return ERR_OK;
    while (wanted < count)
        wanted *= 2;
    many = realloc(slot->capacity > 0 ? slot->many : NULL, wanted * sizeof *many);
    if (many == NULL)
        return ERR_NOMEM;
    if (slot->capacity == 0 && slot->count > 0)
        many[0] = slot->one;
    slot->many = many;
    slot->capacity = wanted;
    return ERR_OK;
}

static void note(struct leaf *leaf, uint64_t block, int delta, bool added)
{
    leaf->changes[leaf->change_count++] =
        (struct leaf_change){.block = block, .delta = delta, .added = added};
}

static void count_bytes(struct leaf *leaf, const struct piece *piece, bool plus)
{
    uint64_t *bytes = piece->kind == PIECE_DATA ? &leaf->data_bytes : &leaf->unwritten_bytes;

    *bytes = plus ? *bytes + piece->length : *bytes - piece->length;
}

/* The parts of the pieces [FIRST, BEHIND) that stay when [START, END) is replaced: at most one in front and
 * one behind. */
struct rest {
    struct piece before, after;
    bool has_before, has_after;
};

static struct rest rest_of(const struct piece *pieces, uint32_t first, uint32_t behind, uint32_t start,
                           uint32_t end)
{
    struct rest rest = {.has_before = false};
    const struct piece *last;

    if (first == behind)
        return rest;
    if (pieces[first].start < start) {
        rest.has_before = true;
        rest.before = pieces[first];
        rest.before.length = start - pieces[first].start;
    }
    last = &pieces[behind - 1];
    if (last->start + last->length > end) {
        rest.has_after = true;
        rest.after = *last;
        rest.after.start = end;
        rest.after.length = last->start + last->length - end;
        if (last->kind == PIECE_DATA)
            rest.after.skip += end - last->start;
    }
    return rest;
}

static void put_piece(struct leaf *leaf, struct piece *to, const struct piece *piece, bool added)
{
    *to = *piece;
    count_bytes(leaf, piece, true);
    if (piece->kind == PIECE_DATA)
        note(leaf, piece->block, 1, added);
}

/* [START, END) lies within the slot. */
static enum err replace_in_slot(struct leaf *leaf, struct slot *slot, uint32_t start, uint32_t end,
                                const struct piece *with)
{
    uint32_t first = find_piece(slot, start), behind = first, put, moved, i, at;
    struct piece *pieces;
    struct rest rest;
    enum err err;

    while (behind < slot->count && slot_pieces(slot)[behind].start < end)
        behind++;
    rest = rest_of(slot_pieces(slot), first, behind, start, end);
    put = (uint32_t)rest.has_before + rest.has_after + (with != NULL);
    err = need_changes(leaf, behind - first + put);
    if (err == ERR_OK)
        err = need_pieces(slot, slot->count - (behind - first) + put);
    if (err != ERR_OK)
        return err;

    pieces = slot->capacity > 0 ? slot->many : &slot->one;
    for (i = first; i < behind; i++) {
        count_bytes(leaf, &pieces[i], false);
        if (pieces[i].kind == PIECE_DATA)
            note(leaf, pieces[i].block, -1, false);
    }
    moved = slot->count - behind;
    if (moved > 0 && first + put != behind)
        memmove(pieces + first + put, pieces + behind, moved * sizeof *pieces);
    at = first;
    if (rest.has_before)
        put_piece(leaf, &pieces[at++], &rest.before, false);
    if (with != NULL) {
        struct piece piece = *with;
        piece.start = start;
        piece.length = end - start;
        put_piece(leaf, &pieces[at++], &piece, true);
    }
    if (rest.has_after)
        put_piece(leaf, &pieces[at++], &rest.after, false);
    leaf->piece_count = leaf->piece_count - slot->count + (first + put + moved);
    slot->count = first + put + moved;
    return ERR_OK;
}

enum err leaf_replace(struct leaf *leaf, uint32_t start, uint32_t length, const struct piece *with)
{
    uint32_t end = start + length;
    enum err err;

    invariant(length > 0 && start < LEAF_BYTES && length <= LEAF_BYTES - start);
    invariant(with == NULL || with->kind != PIECE_DATA ||
              start / STORE_BLOCK_SIZE == (end - 1) / STORE_BLOCK_SIZE);
    if (with != NULL) {
        err = need_slots(leaf, (end - 1) / STORE_BLOCK_SIZE + 1);
        if (err != ERR_OK)
            return err;
    }
    while (start < end) {
        struct slot *slot = leaf_slot(leaf, start);
        uint32_t slot_end = (start / STORE_BLOCK_SIZE + 1) * STORE_BLOCK_SIZE;

        if (slot == NULL)
            break; /* a hole all the way */
        if (slot_end > end)
            slot_end = end;
        if (with != NULL || slot->count > 0) {
            err = replace_in_slot(leaf, slot, start, slot_end, with);
            if (err != ERR_OK)
                return err;
        }
        start = slot_end;
    }
    return ERR_OK;
}

/* ---- encoding ---- */

void varint_write(struct writer *writer, uint64_t value)
{
    while (value >= 0x80) {
        writer_u8(writer, (uint8_t)(value | 0x80));
        value >>= 7;
    }
    writer_u8(writer, (uint8_t)value);
}

bool varint_read(struct reader *reader, uint64_t *value_r)
{
    struct reader at = *reader;
    uint64_t value = 0;
    unsigned shift;
    uint8_t byte;

    for (shift = 0; shift < 64; shift += 7) {
        if (!reader_u8(&at, &byte))
            return false;
        if (shift == 63 && byte > 1)
            return false;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            if (byte == 0 && shift > 0)
                return false;
            *value_r = value;
            *reader = at;
            return true;
        }
    }
    return false;
}

static uint64_t zigzag(uint64_t difference)
{
    return (difference << 1) ^ (uint64_t)((int64_t)difference >> 63);
}

static uint64_t unzigzag(uint64_t value)
{
    return (value >> 1) ^ (0 - (value & 1));
}

void leaf_encode(const struct leaf *leaf, struct writer *writer)
{
    size_t from = writer->length;
    uint64_t expected = 0;
    uint32_t end = 0, i, k;

    writer_u8(writer, LEAF_VERSION);
    for (i = 0; i < leaf->slot_count; i++) {
        const struct slot *slot = &leaf->slots[i];
        const struct piece *pieces = slot_pieces(slot);

        for (k = 0; k < slot->count; k++) {
            const struct piece *piece = &pieces[k];

            varint_write(writer, piece->start - end);
            end = piece->start + piece->length;
            varint_write(writer, (uint64_t)piece->length << 2 | (piece->skip > 0) << 1 |
                                     (piece->kind == PIECE_UNWRITTEN));
            if (piece->kind != PIECE_DATA)
                continue;
            varint_write(writer, zigzag(piece->block - expected));
            if (piece->skip > 0)
                varint_write(writer, piece->skip);
            expected = piece->block + piece->skip + piece->length;
        }
    }
    if (!writer->failed)
        writer_le32(writer, crc32c(0, writer->data + from, writer->length - from));
}

/* One piece, checked. END and EXPECTED as in leaf_encode. */
static bool decode_piece(struct reader *reader, uint32_t *end, uint64_t *expected, struct piece *piece_r)
{
    uint64_t gap, word, block, skip = 0, start, length;

    if (!varint_read(reader, &gap) || !varint_read(reader, &word))
        return false;
    length = word >> 2;
    if (gap >= LEAF_BYTES || length == 0 || length > STORE_BLOCK_SIZE)
        return false;
    start = *end + gap;
    if (start + length > LEAF_BYTES || start / STORE_BLOCK_SIZE != (start + length - 1) / STORE_BLOCK_SIZE)
        return false;
    *end = (uint32_t)(start + length);
    *piece_r = (struct piece){.start = (uint32_t)start, .length = (uint32_t)length};
    if (word & 1) {
        piece_r->kind = PIECE_UNWRITTEN;
        return (word & 2) == 0;
    }
    piece_r->kind = PIECE_DATA;
    if (!varint_read(reader, &block))
        return false;
    if ((word & 2) && (!varint_read(reader, &skip) || skip == 0))
        return false;
    block = *expected + unzigzag(block);
    if (block == 0 || block > INT64_MAX || skip + length > STORE_BLOCK_SIZE || skip > STORE_BLOCK_SIZE)
        return false;
    *expected = block + skip + length;
    piece_r->block = block;
    piece_r->skip = (uint32_t)skip;
    return true;
}

static enum err append_piece(struct leaf *leaf, const struct piece *piece)
{
    enum err err = need_slots(leaf, piece->start / STORE_BLOCK_SIZE + 1);
    struct slot *slot;

    if (err != ERR_OK)
        return err;
    slot = leaf_slot(leaf, piece->start);
    err = need_pieces(slot, slot->count + 1);
    if (err != ERR_OK)
        return err;
    *(slot->capacity > 0 ? &slot->many[slot->count] : &slot->one) = *piece;
    slot->count++;
    leaf->piece_count++;
    count_bytes(leaf, piece, true);
    return ERR_OK;
}

enum err leaf_decode(struct leaf *leaf, const uint8_t *data, size_t length)
{
    struct reader reader = reader_of(data, length), body;
    uint32_t end = 0, crc;
    uint64_t expected = 0;
    enum err err = ERR_OK;
    uint8_t version;

    invariant(leaf->slots == NULL);
    if (length < 5 || !reader_sub(&reader, length - 4, &body) || !reader_le32(&reader, &crc) ||
        crc != crc32c(0, data, length - 4) || !reader_u8(&body, &version) || version != LEAF_VERSION)
        return ERR_CORRUPT;
    while (err == ERR_OK && !reader_is_done(&body)) {
        struct piece piece;

        err = decode_piece(&body, &end, &expected, &piece) ? append_piece(leaf, &piece) : ERR_CORRUPT;
    }
    if (err != ERR_OK)
        leaf_free(leaf);
    return err;
}
