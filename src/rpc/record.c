/*
 * record.c - record marking (RFC 5531 11).
 *
 * Small records are taken out where they lie in a receive buffer (a block), of which one read fills in many.
 * A big record gets a buffer of its own, of the exact size: what has come of it is copied there, and the
 * rest is read straight into it, so that the payload of a WRITE is contiguous and not copied. Behind a big
 * record only a little is read ahead, to keep that copy small. Records in several fragments are put together
 * in a buffer that grows.
 *
 * Invariants: begin <= end <= capacity of `block`; bytes before `begin` may belong to calls, and are only
 * overwritten when the block has no other user; `own` is not NULL only while a record is gathered.
 */
#include "rpc/record_priv.h"
#include <stdlib.h>
#include <string.h>

enum { MARKER_BYTES = 4, BLOCKS_KEPT = 1024 };

#define LAST_FRAGMENT 0x80000000u

struct onc__block *onc__block_new(struct onc__memory *memory, size_t capacity)
{
    struct onc__block *block = memory->free;
    struct buf *buf;

    if (memory->bytes + capacity > memory->bytes_max)
        return NULL;
    buf = buf_new(capacity);
    if (buf == NULL)
        return NULL;
    if (block != NULL) {
        memory->free = block->next;
        memory->free_count--;
    } else {
        block = malloc(sizeof *block);
        if (block == NULL) {
            buf_unref(&buf);
            return NULL;
        }
    }
    *block = (struct onc__block){.buf = buf, .users = 1, .memory = memory};
    memory->bytes += buf->capacity;
    return block;
}

void onc__block_put(struct onc__block **block_p)
{
    struct onc__block *block = *block_p;
    struct onc__memory *memory;

    *block_p = NULL;
    if (block == NULL || --block->users > 0)
        return;
    memory = block->memory;
    memory->bytes -= block->buf->capacity;
    buf_unref(&block->buf);
    if (memory->free_count >= BLOCKS_KEPT) {
        free(block);
        return;
    }
    block->next = memory->free;
    memory->free = block;
    memory->free_count++;
}

void onc__memory_free(struct onc__memory *memory)
{
    while (memory->free != NULL) {
        struct onc__block *block = memory->free;

        memory->free = block->next;
        free(block);
    }
    memory->free_count = 0;
}

void onc__records_init(struct onc__records *records, struct onc__memory *memory, uint32_t record_max)
{
    *records = (struct onc__records){.memory = memory, .record_max = record_max};
}

void onc__records_free(struct onc__records *records)
{
    onc__block_put(&records->block);
    onc__block_put(&records->own);
}

/* May the bytes before `begin` be overwritten? */
static bool is_ours_alone(const struct onc__block *block)
{
    return block->users == 1 && block->buf->references == 1;
}

/* How many bytes from `begin` on must fit into the block. */
static size_t bytes_wanted(const struct onc__records *records)
{
    switch (records->state) {
    case ONC__AT_MARKER:
        return MARKER_BYTES;
    case ONC__IN_PLACE:
        return records->fragment_left <= ONC__SMALL_RECORD ? records->fragment_left : ONC__HEAD_BYTES;
    case ONC__GATHERING:
    case ONC__SKIPPING:
        return 1;
    }
    return 0;
}

/* Moves what is not taken out yet to the start of a block. */
static bool move_to_start(struct onc__records *records)
{
    size_t length = records->end - records->begin;

    if (is_ours_alone(records->block)) {
        memmove(records->block->buf->data, records->block->buf->data + records->begin, length);
    } else {
        struct onc__block *block = onc__block_new(records->memory, ONC__BLOCK_BYTES);

        if (block == NULL)
            return false;
        memcpy(block->buf->data, records->block->buf->data + records->begin, length);
        onc__block_put(&records->block);
        records->block = block;
    }
    records->begin = 0;
    records->end = length;
    return true;
}

/* Behind a big record: little, but all of a small record that has begun. */
static size_t peek_bytes(const struct onc__records *records, size_t room)
{
    size_t buffered = records->end - records->begin;
    size_t wanted = bytes_wanted(records);
    size_t length = wanted > buffered + ONC__PEEK_BYTES ? wanted - buffered : ONC__PEEK_BYTES;

    return length < room ? length : room;
}

uint8_t *onc__records_space(struct onc__records *records, size_t *length_r)
{
    size_t room;

    if (records->state == ONC__GATHERING && records->own != NULL && records->begin == records->end) {
        *length_r = records->fragment_left;
        return records->own->buf->data + records->own_filled;
    }
    if (records->block == NULL) {
        records->block = onc__block_new(records->memory, ONC__BLOCK_BYTES);
        if (records->block == NULL)
            return NULL;
        records->begin = records->end = 0;
    }
    if (records->begin == records->end && is_ours_alone(records->block))
        records->begin = records->end = 0;
    room = records->block->buf->capacity - records->end;
    if (room < ONC__PEEK_BYTES || room < bytes_wanted(records)) {
        if (!move_to_start(records))
            return NULL;
        room = records->block->buf->capacity - records->end;
    }
    *length_r = records->peek ? peek_bytes(records, room) : room;
    return records->block->buf->data + records->end;
}

void onc__records_received(struct onc__records *records, size_t length)
{
    /* The same choice as in `space`. */
    if (records->state == ONC__GATHERING && records->own != NULL && records->begin == records->end) {
        records->own_filled += length;
        records->fragment_left -= (uint32_t)length;
    } else {
        records->end += length;
    }
}

static void start_record(struct onc__records *records)
{
    records->state = ONC__AT_MARKER;
    records->fragments = 0;
    records->fragment_left = 0;
    records->last = records->skipping = false;
    records->own_filled = 0;
}

static enum onc__next take_marker(struct onc__records *records)
{
    const uint8_t *data = records->block != NULL ? records->block->buf->data : NULL;
    struct reader reader;
    uint32_t marker;

    if (data == NULL)
        return ONC__NEXT_NEED_BYTES;
    reader = reader_of(data + records->begin, records->end - records->begin);
    if (!reader_be32(&reader, &marker))
        return ONC__NEXT_NEED_BYTES;
    records->begin += MARKER_BYTES;
    records->last = (marker & LAST_FRAGMENT) != 0;
    records->fragment_left = marker & ~LAST_FRAGMENT;
    if (++records->fragments > ONC__FRAGMENTS_MAX || records->fragment_left > records->record_max ||
        records->own_filled + records->fragment_left > records->record_max)
        return ONC__NEXT_BROKEN;
    if (records->skipping)
        records->state = ONC__SKIPPING;
    else
        records->state = records->last && records->fragments == 1 ? ONC__IN_PLACE : ONC__GATHERING;
    return ONC__NEXT_RECORD;
}

/* Makes `own` large enough for the fragment at hand. */
static bool make_own(struct onc__records *records)
{
    size_t needed = records->own_filled + records->fragment_left;
    size_t capacity = records->own != NULL ? records->own->buf->capacity : 0;
    struct onc__block *own;

    if (records->own != NULL && needed <= capacity)
        return true;
    if (!records->last && needed < capacity * 2)
        needed = capacity * 2;
    if (!records->last && needed < ONC__SMALL_RECORD)
        needed = ONC__SMALL_RECORD;
    own = onc__block_new(records->memory, needed);
    if (own == NULL)
        return false;
    if (records->own_filled > 0)
        memcpy(own->buf->data, records->own->buf->data, records->own_filled);
    onc__block_put(&records->own);
    records->own = own;
    return true;
}

/* Moves what came of the fragment from the block to `own`. */
static void gather(struct onc__records *records)
{
    size_t length = records->end - records->begin;

    if (length > records->fragment_left)
        length = records->fragment_left;
    if (length == 0)
        return;
    memcpy(records->own->buf->data + records->own_filled, records->block->buf->data + records->begin, length);
    records->begin += length;
    records->own_filled += length;
    records->fragment_left -= (uint32_t)length;
}

static void skip(struct onc__records *records)
{
    size_t length = records->end - records->begin;

    if (length > records->fragment_left)
        length = records->fragment_left;
    records->begin += length;
    records->fragment_left -= (uint32_t)length;
}

/* The record is whole in the block, or too big for that, or more of it must come. */
static enum onc__next take_in_place(struct onc__records *records, struct onc__record *record_r)
{
    size_t length = records->end - records->begin;
    const uint8_t *data = records->block->buf->data + records->begin;

    if (length >= records->fragment_left) {
        *record_r =
            (struct onc__record){.data = data, .length = records->fragment_left, .block = records->block};
        records->block->users++;
        records->begin += records->fragment_left;
        records->peek = false;
        start_record(records);
        return ONC__NEXT_RECORD;
    }
    if (records->fragment_left <= ONC__SMALL_RECORD || length < ONC__HEAD_BYTES)
        return ONC__NEXT_NEED_BYTES;
    records->skipping =
        records->judge != NULL && !records->judge(records, data, length, records->fragment_left);
    records->state = records->skipping ? ONC__SKIPPING : ONC__GATHERING;
    return ONC__NEXT_NEED_BYTES;
}

/* A fragment is complete: the record is, too, or another marker comes. */
static enum onc__next end_fragment(struct onc__records *records, struct onc__record *record_r)
{
    records->state = ONC__AT_MARKER;
    if (!records->last)
        return ONC__NEXT_NEED_BYTES;
    if (!records->skipping) {
        *record_r = (struct onc__record){
            .data = records->own->buf->data, .length = records->own_filled, .block = records->own};
        records->own = NULL;
        records->peek = true;
        start_record(records);
        return ONC__NEXT_RECORD;
    }
    start_record(records);
    return ONC__NEXT_NEED_BYTES;
}

enum onc__next onc__records_next(struct onc__records *records, struct onc__record *record_r)
{
    for (;;) {
        enum onc__next next;

        switch (records->state) {
        case ONC__AT_MARKER:
            next = take_marker(records);
            if (next != ONC__NEXT_RECORD)
                return next;
            break;
        case ONC__IN_PLACE:
            next = take_in_place(records, record_r);
            if (next == ONC__NEXT_RECORD || records->state == ONC__IN_PLACE)
                return next;
            break;
        case ONC__GATHERING:
            if (!make_own(records))
                return ONC__NEXT_NEED_MEMORY;
            gather(records);
            if (records->fragment_left > 0)
                return ONC__NEXT_NEED_BYTES;
            if (end_fragment(records, record_r) == ONC__NEXT_RECORD)
                return ONC__NEXT_RECORD;
            break;
        case ONC__SKIPPING:
            skip(records);
            if (records->fragment_left > 0)
                return ONC__NEXT_NEED_BYTES;
            (void)end_fragment(records, record_r);
            break;
        }
    }
}

void onc__records_rest(struct onc__records *records)
{
    /* A record that is in place so far has its place in the block. */
    if (records->block != NULL && records->begin == records->end && records->state != ONC__IN_PLACE &&
        is_ours_alone(records->block))
        onc__block_put(&records->block);
    if (records->block == NULL)
        records->begin = records->end = 0;
}

bool onc__records_has_partial(const struct onc__records *records)
{
    return records->state != ONC__AT_MARKER || records->fragments > 0 || records->begin != records->end;
}
