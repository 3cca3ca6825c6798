/*
 * utf16.c - strict conversion between UTF-8 (RFC 3629) and UTF-16LE (RFC 2781).
 */
#include "dittofs/utf16.h"

#include <string.h>

enum { SURROGATE_HIGH = 0xd800, SURROGATE_LOW = 0xdc00, SURROGATE_END = 0xe000, PLANE_1 = 0x10000 };

static bool is_surrogate(uint32_t code)
{
    return code >= SURROGATE_HIGH && code < SURROGATE_END;
}

/* One character of UTF-8 (RFC 3629 3, 4). */
static bool read_utf8(struct reader *reader, uint32_t *code_r)
{
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    uint8_t first, next;
    uint32_t code;
    unsigned more;

    if (!reader_u8(reader, &first))
        return false;
    if (first < 0x80) {
        *code_r = first;
        return true;
    }
    if (first < 0xc2 || first > 0xf4)
        return false;
    more = first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    code = first & (0x3fu >> more);
    for (unsigned i = 0; i < more; i++) {
        if (!reader_u8(reader, &next) || (next & 0xc0) != 0x80)
            return false;
        code = code << 6 | (next & 0x3f);
    }
    if (code < least[more] || code > 0x10ffff || is_surrogate(code))
        return false;
    *code_r = code;
    return true;
}

static bool read_utf16(struct reader *reader, uint32_t *code_r)
{
    uint16_t first, second;

    if (!reader_le16(reader, &first))
        return false;
    if (!is_surrogate(first)) {
        *code_r = first;
        return true;
    }
    if (first >= SURROGATE_LOW || !reader_le16(reader, &second) || second < SURROGATE_LOW ||
        second >= SURROGATE_END)
        return false;
    *code_r = PLANE_1 + ((uint32_t)(first - SURROGATE_HIGH) << 10 | (uint32_t)(second - SURROGATE_LOW));
    return true;
}

static void write_utf8(struct writer *writer, uint32_t code)
{
    if (code < 0x80) {
        writer_u8(writer, (uint8_t)code);
    } else if (code < 0x800) {
        writer_u8(writer, (uint8_t)(0xc0 | code >> 6));
        writer_u8(writer, (uint8_t)(0x80 | (code & 0x3f)));
    } else if (code < PLANE_1) {
        writer_u8(writer, (uint8_t)(0xe0 | code >> 12));
        writer_u8(writer, (uint8_t)(0x80 | (code >> 6 & 0x3f)));
        writer_u8(writer, (uint8_t)(0x80 | (code & 0x3f)));
    } else {
        writer_u8(writer, (uint8_t)(0xf0 | code >> 18));
        writer_u8(writer, (uint8_t)(0x80 | (code >> 12 & 0x3f)));
        writer_u8(writer, (uint8_t)(0x80 | (code >> 6 & 0x3f)));
        writer_u8(writer, (uint8_t)(0x80 | (code & 0x3f)));
    }
}

static void write_utf16(struct writer *writer, uint32_t code)
{
    if (code < PLANE_1) {
        writer_le16(writer, (uint16_t)code);
        return;
    }
    writer_le16(writer, (uint16_t)(SURROGATE_HIGH + ((code - PLANE_1) >> 10)));
    writer_le16(writer, (uint16_t)(SURROGATE_LOW + ((code - PLANE_1) & 0x3ff)));
}

static bool convert(struct writer *writer, const void *text, size_t length,
                    bool (*read)(struct reader *, uint32_t *), void (*write)(struct writer *, uint32_t))
{
    struct reader reader = reader_of(text, length);
    size_t start = writer->length;
    uint32_t code;

    while (!reader_is_done(&reader)) {
        if (!read(&reader, &code)) {
            if (!writer->failed)
                writer_truncate(writer, start);
            return false;
        }
        write(writer, code);
    }
    return true;
}

bool utf16_from_utf8(struct writer *writer, const void *text, size_t length)
{
    return convert(writer, text, length, read_utf8, write_utf16);
}

bool utf16_to_utf8(struct writer *writer, const void *text, size_t length)
{
    return convert(writer, text, length, read_utf16, write_utf8);
}

bool utf16_to_string(char *to, size_t size, const void *text, size_t length)
{
    struct writer writer;

    if (size == 0)
        return false;
    writer_init(&writer, to, size - 1);
    if (!utf16_to_utf8(&writer, text, length) || writer.failed ||
        (writer.length > 0 && memchr(to, 0, writer.length) != NULL)) {
        to[0] = 0;
        return false;
    }
    to[writer.length] = 0;
    return true;
}
