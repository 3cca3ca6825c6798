/*
 * control_request.c - lines of the control socket, from bytes to words and back.
 */
#include "daemon/control_request_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int hex_digit(uint8_t byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    if (byte >= 'a' && byte <= 'f')
        return byte - 'a' + 10;
    if (byte >= 'A' && byte <= 'F')
        return byte - 'A' + 10;
    return -1;
}

/* The byte at *AT of LINE, which moves behind it; -1 when it is not allowed. */
static int next_byte(const uint8_t *line, size_t length, size_t *at)
{
    uint8_t byte = line[(*at)++];
    int high, low;

    if (byte < 0x20 || byte == 0x7f)
        return -1;
    if (byte != '%')
        return byte;
    if (length - *at < 2)
        return -1;
    high = hex_digit(line[*at]);
    low = hex_digit(line[*at + 1]);
    *at += 2;
    return high < 0 || low < 0 || (high == 0 && low == 0) ? -1 : high * 16 + low;
}

enum err control_request_parse(const void *bytes, size_t length, struct control_request *request_r)
{
    const uint8_t *line = bytes;
    size_t at = 0, used = 0;

    if (length > 0 && line[length - 1] == '\r')
        length--;
    if (length > CONTROL_LINE_MAX)
        return ERR_NAMETOOLONG;
    request_r->count = 0;
    while (at < length) {
        if (line[at] == ' ') {
            at++;
            continue;
        }
        if (request_r->count == CONTROL_WORDS_MAX)
            return ERR_INVAL;
        request_r->words[request_r->count++] = request_r->bytes + used;
        while (at < length && line[at] != ' ') {
            int byte = next_byte(line, length, &at);

            if (byte < 0)
                return ERR_INVAL;
            request_r->bytes[used++] = (char)byte;
        }
        /* Each word took at least one byte, and a blank or the end of the line follows: there is room. */
        request_r->bytes[used++] = '\0';
    }
    return request_r->count == 0 ? ERR_INVAL : ERR_OK;
}

static bool is_plain(uint8_t byte)
{
    return byte > 0x20 && byte < 0x7f && byte != '%';
}

enum err control_request_add(char *line, size_t size, const char *word)
{
    size_t used = strlen(line);

    if (used > 0 && used + 1 < size)
        line[used++] = ' ';
    for (; *word != '\0'; word++) {
        uint8_t byte = (uint8_t)*word;

        if (size - used < 4)
            return ERR_NAMETOOLONG;
        if (is_plain(byte))
            line[used++] = (char)byte;
        else
            used += (size_t)snprintf(line + used, size - used, "%%%02x", byte);
    }
    line[used] = '\0';
    return ERR_OK;
}

static bool parse(const char *text, int base, uint64_t most, uint64_t *number_r)
{
    unsigned long long value;
    char *end;

    if (hex_digit((uint8_t)*text) < 0)
        return false;
    errno = 0;
    value = strtoull(text, &end, base);
    if (*end != '\0' || end == text || errno != 0 || value > most)
        return false;
    *number_r = value;
    return true;
}

bool control_parse_hex(const char *text, uint64_t *number_r)
{
    return strlen(text) <= 16 && text[0] != '\0' && strchr("xX", text[1] == '\0' ? '0' : text[1]) == NULL &&
           parse(text, 16, UINT64_MAX, number_r);
}

bool control_parse_number(const char *text, uint64_t most, uint64_t *number_r)
{
    return parse(text, 10, most, number_r);
}
