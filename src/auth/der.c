/*
 * der.c - elements of DER (X.690 8.1, 10.1).
 */
#include "auth/der_priv.h"

enum { LONG_FORM = 0x80, LENGTH_BYTES_MAX = 4, HIGH_TAG = 0x1f };

bool der__read(struct reader *reader, uint8_t *tag_r, struct reader *content_r)
{
    struct reader ahead = *reader;
    uint8_t tag, first, next;
    uint32_t length;

    if (!reader_u8(&ahead, &tag) || (tag & HIGH_TAG) == HIGH_TAG || !reader_u8(&ahead, &first))
        return false;
    length = first;
    if (first & LONG_FORM) {
        unsigned bytes = first & ~(unsigned)LONG_FORM;

        /* None is the indefinite form, which DER does not have. */
        if (bytes == 0 || bytes > LENGTH_BYTES_MAX)
            return false;
        for (length = 0; bytes > 0; bytes--) {
            if (!reader_u8(&ahead, &next))
                return false;
            length = length << 8 | next;
        }
    }
    if (!reader_sub(&ahead, length, content_r))
        return false;
    *tag_r = tag;
    *reader = ahead;
    return true;
}

bool der__expect(struct reader *reader, uint8_t tag, struct reader *content_r)
{
    struct reader ahead = *reader, content;
    uint8_t found;

    if (!der__read(&ahead, &found, &content) || found != tag)
        return false;
    *content_r = content;
    *reader = ahead;
    return true;
}

bool der__only(struct reader *reader, uint8_t tag, struct reader *content_r)
{
    return der__expect(reader, tag, content_r) && reader_is_done(reader);
}

static unsigned length_bytes(size_t length)
{
    return length < LONG_FORM ? 0 : length <= 0xff ? 1 : length <= 0xffff ? 2 : length <= 0xffffff ? 3 : 4;
}

void der__head(struct writer *writer, uint8_t tag, size_t length)
{
    unsigned bytes = length_bytes(length);

    writer_u8(writer, tag);
    writer_u8(writer, (uint8_t)(bytes == 0 ? length : LONG_FORM | bytes));
    for (; bytes > 0; bytes--)
        writer_u8(writer, (uint8_t)(length >> 8 * (bytes - 1)));
}

size_t der__size(size_t length)
{
    return 2 + length_bytes(length) + length;
}

void der__element(struct writer *writer, uint8_t tag, const void *data, size_t length)
{
    der__head(writer, tag, length);
    writer_bytes(writer, data, length);
}
