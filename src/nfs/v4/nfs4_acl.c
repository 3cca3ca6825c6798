/*
 * nfs4_acl.c - the one model of lists (acl.h) as nfsace4<>, both ways.
 *
 * Masks and the lowest four flags are the same bits. Who: users and groups as the id map has them; OWNER@,
 * GROUP@, EVERYONE@; those special names that Windows has SIDs for, which are kept with the entry, so that
 * SMB shows them as what they are. A SID that is nobody's here goes as its text, and is taken back as that:
 * a client that changes one entry sends all of them. What SMB calls CREATOR OWNER is OWNER@ of children
 * alone.
 *
 * Anything that can't be kept or obeyed is refused: an error leaves the file as it was, where a list that is
 * kept in part might let somebody in (RFC 8881 6.2.1.3).
 */
#include "nfs/v4/nfs4_acl.h"
#include "nfs/v4/nfs4_priv.h"
#include <string.h>

enum {
    TYPE_ALARM = 3, /* and below it AUDIT */
    FLAG_SUCCESSFUL = 0x10,
    FLAG_FAILED = 0x20,
    FLAG_GROUP = 0x40,
    FLAG_INHERITED = 0x80,
    MASK_RETENTION = 0x600, /* WRITE_RETENTION, WRITE_RETENTION_HOLD: there is no retention here */
    /* of a DACL */
    AUTO_INHERIT = 1,
    PROTECTED = 2,
    DEFAULTED = 4,
    /* bytes */
    ACE_LEAST = 16,
    WHO_MAX = 1024,
    SID_TEXT_MAX = 192,
    SID_HEAD = 8,
    SID_PARTS_MAX = 15
};
_Static_assert((int)NFS4_OWNER_TEXT_MAX >= (int)SID_TEXT_MAX, "one buffer for both");

enum { NT_AUTHORITY = 5, ANONYMOUS = 7 };

/* RFC 8881 6.2.1.5. RID: the last part of S-1-5-RID, or 0. */
static const struct special {
    const char *name;
    enum acl_who who;
    uint8_t rid;
} specials[] = {
    {"OWNER@", ACL_OWNER, 0},       {"GROUP@", ACL_GROUP, 0},
    {"EVERYONE@", ACL_EVERYONE, 0}, {"AUTHENTICATED@", ACL_EVERYONE, 11},
    {"NETWORK@", ACL_EVERYONE, 2},  {"DIALUP@", ACL_NOBODY, 1},
    {"BATCH@", ACL_NOBODY, 3},      {"INTERACTIVE@", ACL_NOBODY, 4},
    {"SERVICE@", ACL_NOBODY, 6},    {"ANONYMOUS@", ACL_NOBODY, ANONYMOUS},
};
enum { SPECIALS = sizeof specials / sizeof *specials };

/* ---- SIDs (MS-DTYP 2.4.2) ---- */

/* A SID as it lies with an entry. */
struct sid_view {
    uint64_t authority;
    uint8_t count;
    uint32_t parts[SID_PARTS_MAX];
};

static bool sid_read(const uint8_t *bytes, size_t length, struct sid_view *sid)
{
    struct reader reader = reader_of(bytes, length);
    uint8_t revision, byte;

    sid->authority = 0;
    if (bytes == NULL || !reader_u8(&reader, &revision) || revision != 1 ||
        !reader_u8(&reader, &sid->count) || sid->count > SID_PARTS_MAX)
        return false;
    for (int i = 0; i < 6; i++) {
        if (!reader_u8(&reader, &byte))
            return false;
        sid->authority = sid->authority << 8 | byte;
    }
    for (uint8_t i = 0; i < sid->count; i++)
        if (!reader_le32(&reader, &sid->parts[i]))
            return false;
    return reader_is_done(&reader);
}

static const uint8_t *sid_write(struct arena *arena, const struct sid_view *sid, uint8_t *length_r)
{
    uint8_t bytes[ACL_SID_MAX];
    struct writer writer;

    writer_init(&writer, bytes, sizeof bytes);
    writer_u8(&writer, 1);
    writer_u8(&writer, sid->count);
    for (int shift = 40; shift >= 0; shift -= 8)
        writer_u8(&writer, (uint8_t)(sid->authority >> shift));
    for (uint8_t i = 0; i < sid->count; i++)
        writer_le32(&writer, sid->parts[i]);
    *length_r = (uint8_t)writer.length;
    return arena_copy(arena, bytes, writer.length);
}

static size_t put_decimal(char *text, uint64_t value)
{
    char digits[20];
    size_t length = 0;

    do {
        digits[length++] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    for (size_t i = 0; i < length; i++)
        text[i] = digits[length - 1 - i];
    return length;
}

/* "S-1-5-32-544"; the authority in decimal, whatever it is. */
static size_t sid_format(const struct sid_view *sid, char text_r[SID_TEXT_MAX])
{
    static const char revision[] = {'S', '-', '1', '-'};
    size_t length = sizeof revision;

    memcpy(text_r, revision, sizeof revision);
    length += put_decimal(text_r + length, sid->authority);
    for (uint8_t i = 0; i < sid->count; i++) {
        text_r[length++] = '-';
        length += put_decimal(text_r + length, sid->parts[i]);
    }
    return length;
}

/* A decimal number of at most MOST at the start of TEXT, which is moved behind it. */
static bool take_decimal(const uint8_t **text, const uint8_t *end, uint64_t most, uint64_t *value_r)
{
    const uint8_t *at = *text;
    uint64_t value = 0;

    for (; at < end && *at >= '0' && *at <= '9'; at++) {
        value = value * 10 + (uint64_t)(*at - '0');
        if (value > most)
            return false;
    }
    if (at == *text)
        return false;
    *text = at;
    *value_r = value;
    return true;
}

static bool sid_parse(const uint8_t *text, uint32_t length, struct sid_view *sid)
{
    const uint8_t *end = text + length;
    uint64_t part;

    if (length < 4 || memcmp(text, "S-1-", 4) != 0)
        return false;
    text += 4;
    if (!take_decimal(&text, end, (UINT64_C(1) << 48) - 1, &sid->authority))
        return false;
    for (sid->count = 0; text < end; sid->count++) {
        if (sid->count == SID_PARTS_MAX || *text++ != '-' || !take_decimal(&text, end, UINT32_MAX, &part))
            return false;
        sid->parts[sid->count] = (uint32_t)part;
    }
    return true;
}

static bool is_rid(const struct sid_view *sid, uint64_t authority, uint32_t part)
{
    return sid->authority == authority && sid->count == 1 && sid->parts[0] == part;
}

enum { DOMAIN = 21 };

static bool sid_is_of_domain(const struct sid_view *sid)
{
    return sid->authority == NT_AUTHORITY && sid->count > 1 && sid->parts[0] == DOMAIN;
}

/* Is SID everybody's, or a user's or group's of this server? Such a one goes by its name. */
static bool sid_is_somebody(const struct sid_view *sid)
{
    enum { WORLD = 1, CREATOR = 3, UNIX = 22, NETWORK = 2, AUTHENTICATED = 11, USERS = 545 };

    if (sid->count == 0 || sid->authority == WORLD || sid->authority == CREATOR || sid->authority == UNIX)
        return true;
    if (sid->authority != NT_AUTHORITY)
        return false;
    return sid->parts[0] == NETWORK || sid->parts[0] == AUTHENTICATED ||
           (!sid_is_of_domain(sid) && sid->parts[sid->count - 1] == USERS);
}

/* ---- encoding ---- */

static size_t special_text(const struct special *special, char *text)
{
    size_t length = strlen(special->name);

    memcpy(text, special->name, length);
    return length;
}

/* The name of one of those who are not a user or a group by number. */
static size_t other_text(enum acl_who who, const uint8_t *bytes, size_t bytes_length, char *text)
{
    static const struct sid_view owner_rights = {.authority = 3, .count = 1, .parts = {4}};
    static const struct sid_view anonymous = {.authority = NT_AUTHORITY, .count = 1, .parts = {ANONYMOUS}};
    struct sid_view sid;
    bool has_sid = sid_read(bytes, bytes_length, &sid);

    if (who == ACL_CREATOR_OWNER || who == ACL_CREATOR_GROUP)
        who = who == ACL_CREATOR_OWNER ? ACL_OWNER : ACL_GROUP;
    for (size_t i = 0; i < SPECIALS; i++) {
        const struct special *special = &specials[i];

        if (special->who == who && special->rid != 0 && has_sid && is_rid(&sid, NT_AUTHORITY, special->rid))
            return special_text(special, text);
    }
    for (size_t i = 0; i < SPECIALS; i++)
        if (specials[i].who == who && specials[i].rid == 0)
            return special_text(&specials[i], text);
    if (!has_sid)
        sid = who == ACL_OWNER_RIGHTS ? owner_rights : anonymous;
    return sid_format(&sid, text);
}

static void encode_ace(struct writer *writer, enum nfs4_acl_kind kind, const struct acl_ace *ace,
                       struct nfs4_idmap *idmap)
{
    uint32_t flags = ace->flags & ACL_INHERIT_FLAGS;
    char text[NFS4_OWNER_TEXT_MAX];
    size_t length;

    if (kind == NFS4_DACL && (ace->flags & ACL_INHERITED))
        flags |= FLAG_INHERITED;
    if (ace->who == ACL_CREATOR_OWNER || ace->who == ACL_CREATOR_GROUP)
        flags |= ACL_INHERIT_ONLY; /* of the file itself it says nothing */
    if (ace->who == ACL_UID || ace->who == ACL_GID) {
        bool is_group = ace->who == ACL_GID;

        flags |= is_group ? FLAG_GROUP : 0;
        length = idmap == NULL ? nfs4__idmap_number(ace->id, text)
                               : nfs4__idmap_text(idmap, is_group, ace->id, text);
    } else {
        length = other_text(ace->who, ace->sid, ace->sid_length, text);
    }
    writer_be32(writer, ace->type);
    writer_be32(writer, flags);
    writer_be32(writer, ace->mask);
    writer_xdr_opaque(writer, text, length);
}

void nfs4__acl_encode(struct writer *writer, enum nfs4_acl_kind kind, const struct acl *acl,
                      struct nfs4_idmap *idmap)
{
    static const struct acl_ace everybody = {.who = ACL_EVERYONE, .mask = ACL_ALL};

    if (kind == NFS4_DACL)
        writer_be32(writer, (acl->control & ACL_CONTROL_AUTO_INHERITED ? AUTO_INHERIT : 0) |
                                (acl->control & ACL_CONTROL_PROTECTED ? PROTECTED : 0));
    /* A list that is not there at all can't be said. */
    writer_be32(writer, acl->everything ? 1 : acl->count);
    if (acl->everything)
        encode_ace(writer, kind, &everybody, idmap);
    for (uint16_t i = 0; i < acl->count; i++)
        encode_ace(writer, kind, &acl->aces[i], idmap);
}

/* ---- decoding ---- */

static void refuse(uint32_t *status, uint32_t with)
{
    if (*status == NFS4_OK)
        *status = with;
}

static uint32_t set_sid(struct acl_ace *ace, struct arena *arena, const struct sid_view *sid)
{
    ace->sid = sid_write(arena, sid, &ace->sid_length);
    return ace->sid != NULL ? NFS4_OK : NFS4ERR_DELAY;
}

static uint32_t take_sid(const struct sid_view *sid, struct arena *arena, struct acl_ace *ace)
{
    ace->who = is_rid(sid, 3, 4) ? ACL_OWNER_RIGHTS : ACL_NOBODY;
    if (ace->who == ACL_NOBODY && sid_is_somebody(sid))
        return NFS4ERR_BADOWNER;
    return set_sid(ace, arena, sid);
}

static uint32_t take_who(const uint8_t *text, uint32_t length, bool is_group, struct nfs4_idmap *idmap,
                         struct arena *arena, struct acl_ace *ace)
{
    struct sid_view sid;

    if (!nfs4__is_utf8(text, length))
        return NFS4ERR_INVAL;
    for (size_t i = 0; i < SPECIALS; i++) {
        const struct special *special = &specials[i];

        if (strlen(special->name) != length || memcmp(special->name, text, length) != 0)
            continue;
        sid = (struct sid_view){.authority = NT_AUTHORITY, .count = 1, .parts = {special->rid}};
        ace->who = special->who;
        return special->rid != 0 ? set_sid(ace, arena, &sid) : NFS4_OK;
    }
    if (sid_parse(text, length, &sid))
        return take_sid(&sid, arena, ace);
    ace->who = is_group ? ACL_GID : ACL_UID;
    return nfs4__idmap_parse(idmap, is_group, text, length, &ace->id);
}

static uint32_t take_flags(uint32_t flags, enum nfs4_acl_kind kind, struct acl_ace *ace)
{
    const uint32_t known = ACL_INHERIT_FLAGS | FLAG_GROUP | (kind == NFS4_ACL ? 0 : FLAG_INHERITED);

    /* They are for AUDIT and ALARM. */
    if (flags & (FLAG_SUCCESSFUL | FLAG_FAILED))
        return NFS4ERR_ATTRNOTSUPP;
    if (flags & ~known)
        return NFS4ERR_INVAL;
    ace->flags = flags & ACL_INHERIT_FLAGS;
    if (kind == NFS4_DACL && (flags & FLAG_INHERITED))
        ace->flags |= ACL_INHERITED;
    return NFS4_OK;
}

static bool decode_ace(struct reader *reader, enum nfs4_acl_kind kind, struct nfs4_idmap *idmap,
                       struct arena *arena, struct acl_ace *ace, uint32_t *status)
{
    uint32_t type, flags, mask, length;
    struct sid_view sid;
    const uint8_t *who;

    if (!reader_be32(reader, &type) || !reader_be32(reader, &flags) || !reader_be32(reader, &mask) ||
        !reader_xdr_opaque(reader, WHO_MAX, &who, &length))
        return false;
    if (type > ACL_DENIED)
        refuse(status, type <= TYPE_ALARM ? NFS4ERR_ATTRNOTSUPP : NFS4ERR_INVAL);
    if (mask & ~(uint32_t)ACL_ALL)
        refuse(status, mask & ~(uint32_t)(ACL_ALL | MASK_RETENTION) ? NFS4ERR_INVAL : NFS4ERR_ATTRNOTSUPP);
    *ace = (struct acl_ace){.type = (uint8_t)type, .mask = mask};
    refuse(status, take_flags(flags, kind, ace));
    refuse(status, take_who(who, length, (flags & FLAG_GROUP) != 0, idmap, arena, ace));
    /* Who comes without a name can't be told from those with one. */
    if (type == ACL_DENIED && sid_read(ace->sid, ace->sid_length, &sid) &&
        is_rid(&sid, NT_AUTHORITY, ANONYMOUS))
        refuse(status, NFS4ERR_ATTRNOTSUPP);
    return true;
}

static bool is_of_domain(const struct acl_ace *ace)
{
    struct sid_view sid;

    return ace->who == ACL_NOBODY && sid_read(ace->sid, ace->sid_length, &sid) && sid_is_of_domain(&sid);
}

bool nfs4__acl_has_domains(const struct acl *acl)
{
    for (uint16_t i = 0; i < acl->count; i++)
        if (is_of_domain(&acl->aces[i]))
            return true;
    return false;
}

static bool is_in(const struct acl_ace *ace, const struct acl *acl)
{
    for (uint16_t i = 0; i < acl->count; i++)
        if (acl->aces[i].who == ACL_NOBODY && acl->aces[i].sid_length == ace->sid_length &&
            memcmp(acl->aces[i].sid, ace->sid, ace->sid_length) == 0)
            return true;
    return false;
}

bool nfs4__acl_domains_are_in(const struct acl *acl, const struct acl *before)
{
    for (uint16_t i = 0; i < acl->count; i++)
        if (is_of_domain(&acl->aces[i]) && !is_in(&acl->aces[i], before))
            return false;
    return true;
}

/* What is in front of the entries: the flags of a DACL, and their count, which is at most what can be there.
 */
static bool decode_head(struct reader *reader, enum nfs4_acl_kind kind, uint32_t *flags_r, uint32_t *count_r)
{
    *flags_r = 0;
    if (kind == NFS4_DACL && !reader_be32(reader, flags_r))
        return false;
    return reader_be32(reader, count_r) && *count_r <= reader->left / ACE_LEAST;
}

static bool skip_aces(struct reader *reader, uint32_t count)
{
    const uint8_t *who;
    uint32_t length;

    for (; count > 0; count--)
        if (!reader_skip(reader, 12) || !reader_xdr_opaque(reader, UINT32_MAX, &who, &length))
            return false;
    return true;
}

bool nfs4__acl_skip(struct reader *reader, enum nfs4_acl_kind kind)
{
    uint32_t flags, count;

    return decode_head(reader, kind, &flags, &count) && skip_aces(reader, count);
}

bool nfs4__acl_decode(struct reader *reader, enum nfs4_acl_kind kind, struct nfs4_idmap *idmap,
                      struct arena *arena, struct acl *acl_r, uint32_t *status_r)
{
    struct acl acl = {.count = 0};
    uint32_t flags, count, status = NFS4_OK;

    if (!decode_head(reader, kind, &flags, &count))
        return false;
    if (flags & ~(uint32_t)(AUTO_INHERIT | PROTECTED | DEFAULTED))
        refuse(&status, NFS4ERR_INVAL);
    acl.control = (flags & AUTO_INHERIT ? ACL_CONTROL_AUTO_INHERITED : 0) |
                  (flags & PROTECTED ? ACL_CONTROL_PROTECTED : 0);
    if (count > ACL_ACES_MAX)
        refuse(&status, NFS4ERR_FBIG);
    else if (count > 0 && (acl.aces = arena_alloc(arena, count * sizeof *acl.aces)) == NULL)
        refuse(&status, NFS4ERR_DELAY);
    if (acl.aces == NULL) {
        *status_r = status;
        *acl_r = acl;
        return skip_aces(reader, count);
    }
    for (; acl.count < count; acl.count++)
        if (!decode_ace(reader, kind, idmap, arena, &acl.aces[acl.count], &status))
            return false;
    *status_r = status;
    *acl_r = acl;
    return true;
}
