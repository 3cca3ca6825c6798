/*
 * hex.h - bytes of published vectors, written as the specifications print them.
 */
#ifndef TESTS_HEX_H
#define TESTS_HEX_H

#include "dittofs/log.h"
#include <stddef.h>
#include <stdint.h>

static inline unsigned unhex_digit(char digit)
{
    if (digit >= '0' && digit <= '9')
        return (unsigned)(digit - '0');
    if (digit >= 'a' && digit <= 'f')
        return (unsigned)(digit - 'a' + 10);
    invariant(digit >= 'A' && digit <= 'F');
    return (unsigned)(digit - 'A' + 10);
}

/* Fills TO, which has SIZE bytes, and gives the length. Blanks between bytes are passed over. */
static inline size_t unhex(const char *text, void *to, size_t size)
{
    uint8_t *bytes = to;
    size_t length = 0;

    while (*text != 0) {
        if (*text == ' ') {
            text++;
            continue;
        }
        invariant(length < size && text[1] != 0);
        bytes[length++] = (uint8_t)(unhex_digit(text[0]) << 4 | unhex_digit(text[1]));
        text += 2;
    }
    return length;
}

#endif
