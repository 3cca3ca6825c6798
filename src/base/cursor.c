/*
 * cursor.c - the checked reader and the checked writer.
 *
 * Invariants: a reader never moves past its end, and moves only when the whole item was there. A writer's
 * length never exceeds its capacity; once failed, it writes nothing until it is truncated.
 */
#include "dittofs/cursor.h"
#include "dittofs/log.h"

#include <stdlib.h>
#include <string.h>

enum { XDR_UNIT = 4, FIRST_GROWTH = 256 };

static bool take(struct reader *reader, size_t length, const uint8_t **data_r)
{
    if (length > reader->left)
        return false;
    *data_r = reader->at;
    if (length > 0)
        reader->at += length;
    reader->left -= length;
    return true;
}

static uint64_t load_le(const uint8_t *data, size_t width)
{
    uint64_t value = 0;

    for (size_t i = width; i > 0; i--)
        value = value << 8 | data[i - 1];
    return value;
}

static uint64_t load_be(const uint8_t *data, size_t width)
{
    uint64_t value = 0;

    for (size_t i = 0; i < width; i++)
        value = value << 8 | data[i];
    return value;
}

bool reader_u8(struct reader *reader, uint8_t *value_r)
{
    const uint8_t *data;

    if (!take(reader, 1, &data))
        return false;
    *value_r = *data;
    return true;
}

bool reader_le16(struct reader *reader, uint16_t *value_r)
{
    const uint8_t *data;

    if (!take(reader, sizeof *value_r, &data))
        return false;
    *value_r = (uint16_t)load_le(data, sizeof *value_r);
    return true;
}

bool reader_le32(struct reader *reader, uint32_t *value_r)
{
    const uint8_t *data;

    if (!take(reader, sizeof *value_r, &data))
        return false;
    *value_r = (uint32_t)load_le(data, sizeof *value_r);
    return true;
}

bool reader_le64(struct reader *reader, uint64_t *value_r)
{
    const uint8_t *data;

    if (!take(reader, sizeof *value_r, &data))
        return false;
    *value_r = load_le(data, sizeof *value_r);
    return true;
}

bool reader_be16(struct reader *reader, uint16_t *value_r)
{
    const uint8_t *data;

    if (!take(reader, sizeof *value_r, &data))
        return false;
    *value_r = (uint16_t)load_be(data, sizeof *value_r);
    return true;
}

bool reader_bytes(struct reader *reader, size_t length, const uint8_t **data_r)
{
    return take(reader, length, data_r);
}

bool reader_copy(struct reader *reader, void *to, size_t length)
{
    const uint8_t *data;

    if (!take(reader, length, &data))
        return false;
    if (length > 0)
        memcpy(to, data, length);
    return true;
}

bool reader_skip(struct reader *reader, size_t length)
{
    const uint8_t *data;

    return take(reader, length, &data);
}

bool reader_sub(struct reader *reader, size_t length, struct reader *sub_r)
{
    const uint8_t *data;

    if (!take(reader, length, &data))
        return false;
    *sub_r = reader_of(data, length);
    return true;
}

bool reader_xdr_bool(struct reader *reader, bool *value_r)
{
    struct reader ahead = *reader;
    uint32_t value;

    if (!reader_be32(&ahead, &value) || value > 1)
        return false;
    *value_r = value == 1;
    *reader = ahead;
    return true;
}

static size_t xdr_padding(size_t length)
{
    return -length % XDR_UNIT;
}

bool reader_xdr_fixed(struct reader *reader, size_t length, const uint8_t **data_r)
{
    size_t padding = xdr_padding(length);

    if (length > reader->left || padding > reader->left - length)
        return false;
    *data_r = reader->at;
    return reader_skip(reader, length + padding);
}

bool reader_xdr_opaque(struct reader *reader, size_t most, const uint8_t **data_r, uint32_t *length_r)
{
    struct reader ahead = *reader;
    uint32_t length;
    size_t whole;

    if (!reader_be32(&ahead, &length) || length > most || length > ahead.left)
        return false;
    whole = (size_t)length + xdr_padding(length);
    if (whole > ahead.left)
        return false;
    *data_r = ahead.at;
    *length_r = length;
    *reader = (struct reader){.at = ahead.at + whole, .left = ahead.left - whole};
    return true;
}

void writer_init(struct writer *writer, void *data, size_t capacity)
{
    *writer = (struct writer){.data = data, .capacity = capacity, .most = capacity};
}

void writer_init_growing(struct writer *writer, size_t most)
{
    *writer = (struct writer){.most = most, .owns = true};
}

void writer_free(struct writer *writer)
{
    if (writer->owns)
        free(writer->data);
    *writer = (struct writer){.failed = true};
}

bool writer_has_room(struct writer *writer, size_t length)
{
    size_t capacity;
    uint8_t *data;

    if (writer->failed)
        return false;
    if (length <= writer->capacity - writer->length)
        return true;
    if (!writer->owns || length > writer->most - writer->length)
        return false;
    capacity = writer->capacity > writer->most / 2 ? writer->most : writer->capacity * 2;
    if (capacity < writer->length + length)
        capacity = writer->length + length;
    if (capacity < FIRST_GROWTH)
        capacity = writer->most < FIRST_GROWTH ? writer->most : FIRST_GROWTH;
    data = realloc(writer->data, capacity);
    if (data == NULL)
        return false;
    writer->data = data;
    writer->capacity = capacity;
    return true;
}

uint8_t *writer_reserve_slowly(struct writer *writer, size_t length)
{
    static uint8_t nothing;
    uint8_t *room;

    if (!writer_has_room(writer, length)) {
        writer->failed = true;
        return NULL;
    }
    /* Nothing at all was asked of a growing writer that has no memory yet: still not NULL. */
    if (writer->data == NULL)
        return &nothing;
    room = writer->data + writer->length;
    writer->length += length;
    return room;
}

static void store_le(uint8_t *to, uint64_t value, size_t width)
{
    for (size_t i = 0; i < width; i++)
        to[i] = (uint8_t)(value >> 8 * i);
}

static void store_be(uint8_t *to, uint64_t value, size_t width)
{
    for (size_t i = 0; i < width; i++)
        to[i] = (uint8_t)(value >> 8 * (width - 1 - i));
}

static void write_le(struct writer *writer, uint64_t value, size_t width)
{
    uint8_t *to = writer_reserve(writer, width);

    if (to != NULL)
        store_le(to, value, width);
}

static void write_be(struct writer *writer, uint64_t value, size_t width)
{
    uint8_t *to = writer_reserve(writer, width);

    if (to != NULL)
        store_be(to, value, width);
}

void writer_u8(struct writer *writer, uint8_t value)
{
    write_le(writer, value, sizeof value);
}

void writer_le16(struct writer *writer, uint16_t value)
{
    write_le(writer, value, sizeof value);
}

void writer_le32(struct writer *writer, uint32_t value)
{
    write_le(writer, value, sizeof value);
}

void writer_le64(struct writer *writer, uint64_t value)
{
    write_le(writer, value, sizeof value);
}

void writer_be16(struct writer *writer, uint16_t value)
{
    write_be(writer, value, sizeof value);
}

void writer_bytes(struct writer *writer, const void *data, size_t length)
{
    uint8_t *to = writer_reserve(writer, length);

    if (to != NULL && length > 0)
        memcpy(to, data, length);
}

void writer_zeros(struct writer *writer, size_t length)
{
    uint8_t *to = writer_reserve(writer, length);

    if (to != NULL && length > 0)
        memset(to, 0, length);
}

void writer_align(struct writer *writer, size_t alignment)
{
    invariant(alignment > 0 && (alignment & (alignment - 1)) == 0);
    writer_zeros(writer, (alignment - writer->length % alignment) % alignment);
}

/* Where to fill in, or NULL when the writer has failed: then what should be there may be missing. */
static uint8_t *patch_place(struct writer *writer, size_t position, size_t width)
{
    if (writer->failed)
        return NULL;
    invariant(width <= writer->length && position <= writer->length - width);
    return writer->data + position;
}

void writer_patch_be32(struct writer *writer, size_t position, uint32_t value)
{
    uint8_t *to = patch_place(writer, position, sizeof value);

    if (to != NULL)
        store_be(to, value, sizeof value);
}

void writer_patch_le32(struct writer *writer, size_t position, uint32_t value)
{
    uint8_t *to = patch_place(writer, position, sizeof value);

    if (to != NULL)
        store_le(to, value, sizeof value);
}

void writer_patch_le16(struct writer *writer, size_t position, uint16_t value)
{
    uint8_t *to = patch_place(writer, position, sizeof value);

    if (to != NULL)
        store_le(to, value, sizeof value);
}

void writer_truncate(struct writer *writer, size_t position)
{
    invariant(position <= writer->length);
    writer->length = position;
    writer->failed = false;
}

void writer_xdr_fixed(struct writer *writer, const void *data, size_t length)
{
    size_t padding = xdr_padding(length);
    uint8_t *to = length <= SIZE_MAX - padding ? writer_reserve(writer, length + padding) : NULL;

    if (to == NULL) {
        writer->failed = true;
        return;
    }
    if (length > 0)
        memcpy(to, data, length);
    if (padding > 0)
        memset(to + length, 0, padding);
}

void writer_xdr_opaque(struct writer *writer, const void *data, size_t length)
{
    size_t padding = xdr_padding(length);
    uint8_t *to;

    if (length > UINT32_MAX - 2 * XDR_UNIT) {
        writer->failed = true;
        return;
    }
    /* All or nothing: a count without its bytes must not stay behind. */
    to = writer_reserve(writer, XDR_UNIT + length + padding);
    if (to == NULL)
        return;
    to = put_be32(to, (uint32_t)length);
    if (length == 0)
        return;
    /* The padding is what is left of these zeros. */
    put_be32(to + length + padding - XDR_UNIT, 0);
    memcpy(to, data, length);
}
