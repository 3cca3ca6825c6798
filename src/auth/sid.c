/*
 * sid.c - SIDs: binary and text forms, and the well-known ones (MS-DTYP 2.4.2).
 */
#include "dittofs/identity.h"
#include "dittofs/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { REVISION = 1, AUTHORITY_BYTES = 6 };
#define AUTHORITY_MAX UINT64_C(0xffffffffffff)

const struct sid sid_everyone = {1, 1, {0}};
const struct sid sid_creator_owner = {3, 1, {0}};
const struct sid sid_creator_group = {3, 1, {1}};
const struct sid sid_owner_rights = {3, 1, {4}};
const struct sid sid_network = {5, 1, {2}};
const struct sid sid_anonymous = {5, 1, {7}};
const struct sid sid_authenticated_users = {5, 1, {11}};
const struct sid sid_system = {5, 1, {18}};
const struct sid sid_administrators = {5, 2, {32, 544}};
const struct sid sid_users = {5, 2, {32, 545}};
const struct sid sid_guests = {5, 2, {32, 546}};
const struct sid sid_unix_users = {22, 1, {1}};
const struct sid sid_unix_groups = {22, 1, {2}};

bool ident_sid_equal(const struct sid *a, const struct sid *b)
{
    return a->authority == b->authority && a->count == b->count &&
           memcmp(a->sub, b->sub, a->count * sizeof *a->sub) == 0;
}

bool ident_sid_read(struct reader *reader, struct sid *sid_r)
{
    struct reader ahead = *reader;
    struct sid sid = {0};
    uint16_t high;
    uint32_t low;
    uint8_t revision;

    if (!reader_u8(&ahead, &revision) || !reader_u8(&ahead, &sid.count) || revision != REVISION ||
        sid.count > SID_SUBAUTHORITIES_MAX || !reader_be16(&ahead, &high) || !reader_be32(&ahead, &low))
        return false;
    sid.authority = (uint64_t)high << 32 | low;
    for (unsigned i = 0; i < sid.count; i++)
        if (!reader_le32(&ahead, &sid.sub[i]))
            return false;
    *sid_r = sid;
    *reader = ahead;
    return true;
}

void ident_sid_write(struct writer *writer, const struct sid *sid)
{
    invariant(sid->count <= SID_SUBAUTHORITIES_MAX);
    writer_u8(writer, REVISION);
    writer_u8(writer, sid->count);
    writer_be16(writer, (uint16_t)(sid->authority >> 32));
    writer_be32(writer, (uint32_t)sid->authority);
    for (unsigned i = 0; i < sid->count; i++)
        writer_le32(writer, sid->sub[i]);
}

size_t ident_sid_size(const struct sid *sid)
{
    return 2 + AUTHORITY_BYTES + 4u * sid->count;
}

/* A decimal number of at most MOST, or one of 12 hexadecimal digits behind 0x. Moves TEXT behind it. */
static bool parse_number(const char **text, uint64_t most, bool hex_allowed, uint64_t *value_r)
{
    const char *at = *text;
    uint64_t value = 0;
    unsigned digits = 0;

    if (hex_allowed && at[0] == '0' && (at[1] == 'x' || at[1] == 'X')) {
        for (at += 2; digits < 2 * AUTHORITY_BYTES; digits++, at++) {
            if (*at >= '0' && *at <= '9')
                value = value << 4 | (unsigned)(*at - '0');
            else if ((*at >= 'a' && *at <= 'f') || (*at >= 'A' && *at <= 'F'))
                value = value << 4 | ((unsigned)(*at & 0x0f) + 9);
            else
                return false;
        }
    } else {
        for (; *at >= '0' && *at <= '9'; at++, digits++) {
            value = value * 10 + (unsigned)(*at - '0');
            if (value > most)
                return false;
        }
    }
    if (digits == 0 || value > most)
        return false;
    *text = at;
    *value_r = value;
    return true;
}

bool ident_sid_parse(const char *text, struct sid *sid_r)
{
    struct sid sid = {0};
    uint64_t value;

    if ((text[0] != 'S' && text[0] != 's') || strncmp(text + 1, "-1-", 3) != 0)
        return false;
    text += 4;
    if (!parse_number(&text, AUTHORITY_MAX, true, &sid.authority))
        return false;
    while (*text == '-') {
        text++;
        if (sid.count == SID_SUBAUTHORITIES_MAX || !parse_number(&text, UINT32_MAX, false, &value))
            return false;
        sid.sub[sid.count++] = (uint32_t)value;
    }
    /* MS-DTYP 2.4.2.1: at least one part follows the authority. */
    if (*text != 0 || sid.count == 0)
        return false;
    *sid_r = sid;
    return true;
}

void ident_sid_format(const struct sid *sid, char text_r[SID_TEXT_MAX])
{
    int length;

    /* MS-DTYP 2.4.2.1: decimal below 2^32, else hexadecimal. */
    if (sid->authority <= UINT32_MAX)
        length = snprintf(text_r, SID_TEXT_MAX, "S-1-%" PRIu64, sid->authority);
    else
        length =
            snprintf(text_r, SID_TEXT_MAX, "S-1-0x%012" PRIx64, (uint64_t)(sid->authority & AUTHORITY_MAX));
    for (unsigned i = 0; i < sid->count; i++)
        length += snprintf(text_r + length, (size_t)(SID_TEXT_MAX - length), "-%" PRIu32, sid->sub[i]);
}

bool ident_sid_is_below(const struct sid *sid, const struct sid *base, uint32_t *rid_r)
{
    if (sid->authority != base->authority || sid->count != base->count + 1 ||
        memcmp(sid->sub, base->sub, base->count * sizeof *base->sub) != 0)
        return false;
    *rid_r = sid->sub[base->count];
    return true;
}

struct sid ident_sid_below(const struct sid *base, uint32_t rid)
{
    struct sid sid = *base;

    invariant(base->count < SID_SUBAUTHORITIES_MAX);
    sid.sub[sid.count++] = rid;
    return sid;
}
