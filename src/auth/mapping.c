/*
 * mapping.c - between SIDs, ids and names (the rules are in identity.h).
 */
#include "auth/identity_priv.h"

#include <stdio.h>
#include <string.h>

enum { RID_FIRST = 1000 };

static const char unix_users[] = "Unix User", unix_groups[] = "Unix Group";
static const char authority[] = "NT AUTHORITY", builtin[] = "BUILTIN";

/* Well-known SIDs with a name (MS-DTYP 2.4.2.4). */
static const struct {
    const struct sid *sid;
    enum sid_use use;
    const char *domain, *name;
} well_known[] = {
    {&sid_everyone, SID_USE_WELL_KNOWN, "", "Everyone"},
    {&sid_creator_owner, SID_USE_WELL_KNOWN, "", "CREATOR OWNER"},
    {&sid_creator_group, SID_USE_WELL_KNOWN, "", "CREATOR GROUP"},
    {&sid_owner_rights, SID_USE_WELL_KNOWN, "", "OWNER RIGHTS"},
    {&sid_network, SID_USE_WELL_KNOWN, authority, "NETWORK"},
    {&sid_anonymous, SID_USE_WELL_KNOWN, authority, "ANONYMOUS LOGON"},
    {&sid_authenticated_users, SID_USE_WELL_KNOWN, authority, "Authenticated Users"},
    {&sid_system, SID_USE_WELL_KNOWN, authority, "SYSTEM"},
    {&sid_administrators, SID_USE_ALIAS, builtin, "Administrators"},
    {&sid_users, SID_USE_ALIAS, builtin, "Users"},
    {&sid_guests, SID_USE_ALIAS, builtin, "Guests"},
};
enum { WELL_KNOWN = sizeof well_known / sizeof *well_known };
static const struct sid sid_builtin = {5, 1, {32}};

/* 1000 + 2 * ID + ADD as the last part of a SID of this machine: false when that does not fit. */
static bool rid_of(uint32_t id, uint32_t add, uint32_t *rid_r)
{
    uint64_t rid = (uint64_t)RID_FIRST + 2 * (uint64_t)id + add;

    if (rid > UINT32_MAX)
        return false;
    *rid_r = (uint32_t)rid;
    return true;
}

struct sid ident_uid_to_sid(const struct identity *identity, uint32_t uid)
{
    uint32_t rid;

    if (ident_user_find_uid(identity, uid) != NULL && rid_of(uid, 0, &rid))
        return ident_sid_below(&identity->machine, rid);
    return ident_sid_below(&sid_unix_users, uid);
}

struct sid ident_gid_to_sid(const struct identity *identity, uint32_t gid)
{
    uint32_t rid;

    if (ident_group_find_gid(identity, gid) != NULL && rid_of(gid, 1, &rid))
        return ident_sid_below(&identity->machine, rid);
    return ident_sid_below(&sid_unix_groups, gid);
}

enum ident_kind ident_sid_to_id(const struct identity *identity, const struct sid *sid, uint32_t *id_r)
{
    uint32_t rid;

    if (ident_sid_is_below(sid, &sid_unix_users, &rid) && rid != UINT32_MAX) {
        *id_r = rid;
        return IDENT_UID;
    }
    if (ident_sid_is_below(sid, &sid_unix_groups, &rid) && rid != UINT32_MAX) {
        *id_r = rid;
        return IDENT_GID;
    }
    if (!ident_sid_is_below(sid, &identity->machine, &rid) || rid < RID_FIRST)
        return IDENT_NONE;
    *id_r = (rid - RID_FIRST) / 2;
    return (rid - RID_FIRST) % 2 == 0 ? IDENT_UID : IDENT_GID;
}

static void fill(struct ident_account *account, const struct sid *sid, enum sid_use use, const char *domain,
                 const char *name)
{
    account->sid = *sid;
    account->use = use;
    snprintf(account->domain, sizeof account->domain, "%s", domain);
    snprintf(account->name, sizeof account->name, "%s", name);
}

/* An id that no user or group of the lists has. */
static void fill_unknown(struct ident_account *account, const struct sid *sid, enum ident_kind kind,
                         uint32_t id)
{
    char number[16];

    snprintf(number, sizeof number, "%u", (unsigned)id);
    if (kind == IDENT_UID)
        fill(account, sid, SID_USE_USER, unix_users, number);
    else
        fill(account, sid, SID_USE_GROUP, unix_groups, number);
}

enum err ident_lookup_sid(const struct identity *identity, const struct sid *sid,
                          struct ident_account *account_r)
{
    const struct ident_user *user;
    const struct ident_group *group;
    enum ident_kind kind;
    uint32_t id = 0;

    for (size_t i = 0; i < WELL_KNOWN; i++)
        if (ident_sid_equal(sid, well_known[i].sid)) {
            fill(account_r, sid, well_known[i].use, well_known[i].domain, well_known[i].name);
            return ERR_OK;
        }
    if (ident_sid_equal(sid, &identity->machine) || ident_sid_equal(sid, &sid_builtin)) {
        fill(account_r, sid, SID_USE_DOMAIN,
             ident_sid_equal(sid, &sid_builtin) ? builtin : identity->computer, "");
        return ERR_OK;
    }
    kind = ident_sid_to_id(identity, sid, &id);
    if (kind == IDENT_NONE)
        return ERR_NOENT;
    user = kind == IDENT_UID ? ident_user_find_uid(identity, id) : NULL;
    group = kind == IDENT_GID ? ident_group_find_gid(identity, id) : NULL;
    if (user != NULL)
        fill(account_r, sid, SID_USE_USER, identity->computer, user->name);
    else if (group != NULL)
        fill(account_r, sid, SID_USE_ALIAS, identity->computer, group->name);
    else
        fill_unknown(account_r, sid, kind, id);
    return ERR_OK;
}

static bool same_name(const char *a, const char *b)
{
    char folded_a[IDENT__FOLDED_MAX + 1], folded_b[IDENT__FOLDED_MAX + 1];

    return ident__fold(a, folded_a) && ident__fold(b, folded_b) && strcmp(folded_a, folded_b) == 0;
}

/* "Unix User\1000" */
static bool lookup_number(const char *domain, const char *name, struct ident_account *account)
{
    enum ident_kind kind = same_name(domain, unix_users)    ? IDENT_UID
                           : same_name(domain, unix_groups) ? IDENT_GID
                                                            : IDENT_NONE;
    char text[SID_TEXT_MAX];
    struct sid sid;

    if (kind == IDENT_NONE || strlen(name) > 10)
        return false;
    snprintf(text, sizeof text, "S-1-22-%d-%s", kind == IDENT_UID ? 1 : 2, name);
    if (!ident_sid_parse(text, &sid) || sid.count != 2 || sid.sub[1] == UINT32_MAX)
        return false;
    fill_unknown(account, &sid, kind, sid.sub[1]);
    return true;
}

/* DOMAIN is NULL when none was given. */
static enum err lookup(const struct identity *identity, const char *domain, const char *name,
                       struct ident_account *account)
{
    const struct ident_user *user;
    const struct ident_group *group;
    struct sid sid;

    if (domain == NULL || same_name(domain, identity->computer)) {
        user = ident_user_find(identity, name);
        group = user == NULL ? ident_group_find(identity, name) : NULL;
        if (user != NULL || group != NULL) {
            sid =
                user != NULL ? ident_uid_to_sid(identity, user->uid) : ident_gid_to_sid(identity, group->gid);
            fill(account, &sid, user != NULL ? SID_USE_USER : SID_USE_ALIAS, identity->computer,
                 user != NULL ? user->name : group->name);
            return ERR_OK;
        }
    }
    for (size_t i = 0; i < WELL_KNOWN; i++) {
        bool domain_fits = domain == NULL || same_name(domain, well_known[i].domain);

        if (domain_fits && same_name(name, well_known[i].name)) {
            fill(account, well_known[i].sid, well_known[i].use, well_known[i].domain, well_known[i].name);
            return ERR_OK;
        }
    }
    if (domain == NULL && same_name(name, identity->computer)) {
        fill(account, &identity->machine, SID_USE_DOMAIN, identity->computer, "");
        return ERR_OK;
    }
    return domain != NULL && lookup_number(domain, name, account) ? ERR_OK : ERR_NOENT;
}

enum err ident_lookup_name(const struct identity *identity, const char *name, struct ident_account *account_r)
{
    const char *separator = strchr(name, '\\');
    char domain[IDENT_NAME_MAX + 1];
    struct sid sid;

    if (separator == NULL && ident_sid_parse(name, &sid))
        return ident_lookup_sid(identity, &sid, account_r);
    if (separator == NULL)
        return lookup(identity, NULL, name, account_r);
    if ((size_t)(separator - name) >= sizeof domain)
        return ERR_NOENT;
    memcpy(domain, name, (size_t)(separator - name));
    domain[separator - name] = 0;
    /* "\name" and ".\name" are this machine's. */
    if (domain[0] == 0 || strcmp(domain, ".") == 0)
        return lookup(identity, identity->computer, separator + 1, account_r);
    return lookup(identity, domain, separator + 1, account_r);
}
