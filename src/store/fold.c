/*
 * fold.c - case folding of names.
 *
 * Full case folding of Unicode (CaseFolding.txt, statuses C and F) by code point; nothing is composed or
 * decomposed, so names that differ in their normal form stay two names. Bytes that are no UTF-8 stand for
 * themselves. Folding makes at most three code points of one and never grows a name to more than three times
 * its bytes.
 */
#include "dittofs/store.h"
#include <string.h>
#include <utf8proc.h>

enum { FOLDED_CODEPOINTS_MOST = 8 };

/* Folds the code point at the front of NAME; returns the bytes it took. */
static size_t fold_one(const uint8_t *name, size_t left, uint8_t *folded, size_t *folded_length_r)
{
    utf8proc_int32_t codepoint, many[FOLDED_CODEPOINTS_MOST];
    utf8proc_ssize_t took = utf8proc_iterate(name, (utf8proc_ssize_t)left, &codepoint), count;
    int boundary = 0;

    if (took > 0) {
        count =
            utf8proc_decompose_char(codepoint, many, FOLDED_CODEPOINTS_MOST, UTF8PROC_CASEFOLD, &boundary);
        if (count > 0 && count <= FOLDED_CODEPOINTS_MOST) {
            size_t length = 0;

            for (utf8proc_ssize_t i = 0; i < count; i++)
                length += (size_t)utf8proc_encode_char(many[i], folded + length);
            *folded_length_r = length;
            return (size_t)took;
        }
    } else {
        took = 1;
    }
    memcpy(folded, name, (size_t)took);
    *folded_length_r = (size_t)took;
    return (size_t)took;
}

size_t store_fold_name(struct store_name name, uint8_t *folded, size_t capacity)
{
    uint8_t piece[FOLDED_CODEPOINTS_MOST * 4];
    size_t length = 0, at = 0;

    while (at < name.length && length < capacity) {
        uint8_t byte = name.bytes[at];
        size_t piece_length;

        if (byte < 0x80) {
            folded[length++] = byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + ('a' - 'A')) : byte;
            at++;
            continue;
        }
        at += fold_one(name.bytes + at, name.length - at, piece, &piece_length);
        if (piece_length > capacity - length)
            break;
        memcpy(folded + length, piece, piece_length);
        length += piece_length;
    }
    return length;
}
