/*
 * ndr.h - NDR 2.0 (C706 chapter 14, MS-RPCE 2.2.4), little endian: the arguments of remote procedure calls.
 *
 * Both directions keep a `failed` that one check at the end is enough for: after a failure reads give zeros
 * and writes are ignored. Values are aligned to their size from the start of the stub. Strings are UTF-16 on
 * the wire and UTF-8 here.
 */
#ifndef DITTOFS_SMB_NDR_H
#define DITTOFS_SMB_NDR_H

#include "dittofs/cursor.h"
#include "dittofs/identity.h"

struct ndr_in {
    struct reader reader;
    const uint8_t *start;
    bool failed;
};

struct ndr_out {
    struct writer writer;
    uint32_t pointers; /* that were written: each gets a referent id of its own */
};

struct ndr_in ndr_in_of(const void *data, size_t length);

uint8_t ndr_get_u8(struct ndr_in *in);
uint16_t ndr_get_u16(struct ndr_in *in);
uint32_t ndr_get_u32(struct ndr_in *in);
/* Is it one to something? */
bool ndr_get_pointer(struct ndr_in *in);
/* LENGTH bytes as they are; zeros after a failure. */
void ndr_get_bytes(struct ndr_in *in, void *to, size_t length);
void ndr_skip(struct ndr_in *in, size_t length);
/* A [string] wchar_t[], with or without its zero character, into SIZE bytes: fails when it does not fit. TO
 * may be NULL: it is passed over. */
void ndr_get_string(struct ndr_in *in, char *to, size_t size);
/* The same behind a pointer that may be null: false then, and TO is "". */
bool ndr_get_unique_string(struct ndr_in *in, char *to, size_t size);
/* RPC_UNICODE_STRING (MS-DTYP 2.3.10): true when its text follows, later. */
bool ndr_get_unicode_head(struct ndr_in *in);
void ndr_get_unicode_text(struct ndr_in *in, char *to, size_t size);
/* RPC_SID (MS-DTYP 2.4.2.3) */
void ndr_get_sid(struct ndr_in *in, struct sid *sid_r);

void ndr_put_u8(struct ndr_out *out, uint8_t value);
void ndr_put_u16(struct ndr_out *out, uint16_t value);
void ndr_put_u32(struct ndr_out *out, uint32_t value);
void ndr_put_bytes(struct ndr_out *out, const void *data, size_t length);
/* A null pointer when not PRESENT. */
void ndr_put_pointer(struct ndr_out *out, bool present);
/* With its zero character. */
void ndr_put_string(struct ndr_out *out, const char *text);
void ndr_put_unicode_head(struct ndr_out *out, const char *text);
void ndr_put_unicode_text(struct ndr_out *out, const char *text);
void ndr_put_sid(struct ndr_out *out, const struct sid *sid);

#endif
