/*
 * ndr.c - reading and writing NDR.
 *
 * Counts are compared with what is left before they are used; nothing is allocated for what is read.
 */
#include "smb/pipe/ndr.h"
#include "dittofs/utf16.h"

#include <string.h>

struct ndr_in ndr_in_of(const void *data, size_t length)
{
    return (struct ndr_in){.reader = reader_of(data, length), .start = data};
}

/* ---- reading ---- */

static void align(struct ndr_in *in, size_t alignment)
{
    size_t over = (size_t)(in->reader.at - in->start) & (alignment - 1);

    if (over != 0 && !reader_skip(&in->reader, alignment - over))
        in->failed = true;
}

uint8_t ndr_get_u8(struct ndr_in *in)
{
    uint8_t value = 0;

    if (in->failed || !reader_u8(&in->reader, &value))
        in->failed = true;
    return value;
}

uint16_t ndr_get_u16(struct ndr_in *in)
{
    uint16_t value = 0;

    align(in, 2);
    if (in->failed || !reader_le16(&in->reader, &value))
        in->failed = true;
    return value;
}

uint32_t ndr_get_u32(struct ndr_in *in)
{
    uint32_t value = 0;

    align(in, 4);
    if (in->failed || !reader_le32(&in->reader, &value))
        in->failed = true;
    return value;
}

bool ndr_get_pointer(struct ndr_in *in)
{
    return ndr_get_u32(in) != 0;
}

void ndr_get_bytes(struct ndr_in *in, void *to, size_t length)
{
    if (in->failed || !reader_copy(&in->reader, to, length)) {
        memset(to, 0, length);
        in->failed = true;
    }
}

void ndr_skip(struct ndr_in *in, size_t length)
{
    if (in->failed || !reader_skip(&in->reader, length))
        in->failed = true;
}

/* A conformant and varying array of characters (C706 14.3.3.4). */
static void get_text(struct ndr_in *in, char *to, size_t size)
{
    uint32_t most = ndr_get_u32(in), offset = ndr_get_u32(in), count = ndr_get_u32(in);
    const uint8_t *text = NULL;
    size_t length;

    if (to != NULL)
        to[0] = '\0';
    if (in->failed || offset != 0 || count > most || count > in->reader.left / 2 ||
        !reader_bytes(&in->reader, (size_t)count * 2, &text)) {
        in->failed = true;
        return;
    }
    length = (size_t)count * 2;
    if (length >= 2 && text[length - 1] == 0 && text[length - 2] == 0)
        length -= 2;
    if (to != NULL && !utf16_to_string(to, size, text, length)) {
        to[0] = '\0';
        in->failed = true;
    }
}

void ndr_get_string(struct ndr_in *in, char *to, size_t size)
{
    get_text(in, to, size);
}

bool ndr_get_unique_string(struct ndr_in *in, char *to, size_t size)
{
    bool present = ndr_get_pointer(in);

    if (to != NULL)
        to[0] = '\0';
    if (present)
        get_text(in, to, size);
    return present;
}

bool ndr_get_unicode_head(struct ndr_in *in)
{
    align(in, 4);
    ndr_skip(in, 4);
    return ndr_get_pointer(in);
}

void ndr_get_unicode_text(struct ndr_in *in, char *to, size_t size)
{
    get_text(in, to, size);
}

void ndr_get_sid(struct ndr_in *in, struct sid *sid_r)
{
    uint32_t count = ndr_get_u32(in);

    memset(sid_r, 0, sizeof *sid_r);
    if (in->failed || !ident_sid_read(&in->reader, sid_r) || sid_r->count != count) {
        memset(sid_r, 0, sizeof *sid_r);
        in->failed = true;
    }
}

/* ---- writing ---- */

void ndr_put_u8(struct ndr_out *out, uint8_t value)
{
    writer_u8(&out->writer, value);
}

void ndr_put_u16(struct ndr_out *out, uint16_t value)
{
    writer_align(&out->writer, 2);
    writer_le16(&out->writer, value);
}

void ndr_put_u32(struct ndr_out *out, uint32_t value)
{
    writer_align(&out->writer, 4);
    writer_le32(&out->writer, value);
}

void ndr_put_bytes(struct ndr_out *out, const void *data, size_t length)
{
    writer_bytes(&out->writer, data, length);
}

void ndr_put_pointer(struct ndr_out *out, bool present)
{
    ndr_put_u32(out, present ? UINT32_C(0x00020000) + 4 * out->pointers++ : 0);
}

/* UTF-16 units of TEXT; 0 when it is no UTF-8. */
static uint32_t units_of(const char *text)
{
    uint32_t units = 0;

    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++)
        units += (*at & 0xc0) != 0x80 ? (*at >= 0xf0 ? 2 : 1) : 0;
    return units;
}

static void put_text(struct ndr_out *out, const char *text)
{
    if (!utf16_from_utf8(&out->writer, text, strlen(text)))
        out->writer.failed = true;
}

void ndr_put_string(struct ndr_out *out, const char *text)
{
    uint32_t count = units_of(text) + 1;

    ndr_put_u32(out, count);
    ndr_put_u32(out, 0);
    ndr_put_u32(out, count);
    put_text(out, text);
    ndr_put_u16(out, 0);
}

void ndr_put_unicode_head(struct ndr_out *out, const char *text)
{
    uint16_t bytes = (uint16_t)(2 * units_of(text));

    writer_align(&out->writer, 4);
    ndr_put_u16(out, bytes);
    ndr_put_u16(out, bytes);
    ndr_put_pointer(out, true);
}

void ndr_put_unicode_text(struct ndr_out *out, const char *text)
{
    uint32_t count = units_of(text);

    ndr_put_u32(out, count);
    ndr_put_u32(out, 0);
    ndr_put_u32(out, count);
    put_text(out, text);
}

void ndr_put_sid(struct ndr_out *out, const struct sid *sid)
{
    ndr_put_u32(out, sid->count);
    ident_sid_write(&out->writer, sid);
}
