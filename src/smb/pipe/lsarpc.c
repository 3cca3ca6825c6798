/*
 * lsarpc.c - the local security authority (MS-LSAD, MS-LSAT): names to SIDs and back, and what the
 * server is called. Nothing can be changed here.
 *
 * The forms of LookupNames and LookupSids differ in what an element has; they share one answer, a list of
 * accounts and the domains that these are in. LookupNames4 and LookupSids3 are for secure channels over TCP
 * only (MS-LSAT 3.1.4.5, 3.1.4.9): a fault, access denied.
 */
#include "smb/pipe/pipe_priv.h"

#include <stdlib.h>
#include <string.h>

#define STATUS_OK                UINT32_C(0)
#define STATUS_SOME_NOT_MAPPED   UINT32_C(0x00000107)
#define STATUS_INVALID_HANDLE    UINT32_C(0xC0000008)
#define STATUS_INVALID_PARAMETER UINT32_C(0xC000000D)
#define STATUS_ACCESS_DENIED     UINT32_C(0xC0000022)
#define STATUS_NONE_MAPPED       UINT32_C(0xC0000073)
#define STATUS_NO_RESOURCES      UINT32_C(0xC000009A)

enum {
    NAMES_MAX = 1000, /* MS-LSAT 3.1.4.8: range(0, 1000) */
    SIDS_MAX = 4096,
    DOMAINS_MAX = 32,
    NAME_SIZE = 2048,
    NO_DOMAIN = -1,
};

/* ---- policy handles ---- */

/* MS-LSAD 2.2.1.1.2: all that looks, and the generic rights that mean looking. */
#define ACCESS_LOOKING UINT32_C(0xA2120807)

static uint32_t open_policy(struct dcerpc_call *call)
{
    uint8_t handle[DCERPC_HANDLE_SIZE] = {0};
    bool root, name, descriptor, quality;
    uint32_t access, status = STATUS_OK;

    /* MS-LSAD 2.2.2.4: the object's attributes mean nothing; of what they point to only the last is sent. */
    (void)ndr_get_u32(&call->in);
    root = ndr_get_pointer(&call->in);
    name = ndr_get_pointer(&call->in);
    (void)ndr_get_u32(&call->in);
    descriptor = ndr_get_pointer(&call->in);
    quality = ndr_get_pointer(&call->in);
    if (quality) {
        (void)ndr_get_u32(&call->in);
        ndr_skip(&call->in, 4);
    }
    access = ndr_get_u32(&call->in);
    if (call->in.failed)
        return DCERPC_FAULT_BAD_STUB;
    if (root || name || descriptor)
        status = STATUS_INVALID_PARAMETER;
    else if ((access & ~ACCESS_LOOKING) != 0 && !call->world->is_admin)
        status = STATUS_ACCESS_DENIED;
    else if (!dcerpc_handle_new(call->pipe, handle))
        status = STATUS_NO_RESOURCES;
    ndr_put_bytes(&call->out, handle, sizeof handle);
    ndr_put_u32(&call->out, status);
    return 0;
}

/* MS-LSAD 3.1.4.4.2 LsarOpenPolicy: its system name is one character. */
static uint32_t open_policy1(struct dcerpc_call *call)
{
    if (ndr_get_pointer(&call->in))
        (void)ndr_get_u16(&call->in);
    return open_policy(call);
}

/* MS-LSAD 3.1.4.4.1 LsarOpenPolicy2 */
static uint32_t open_policy2(struct dcerpc_call *call)
{
    ndr_get_unique_string(&call->in, NULL, 0);
    return open_policy(call);
}

static bool get_policy(struct dcerpc_call *call)
{
    uint8_t handle[DCERPC_HANDLE_SIZE];

    ndr_get_bytes(&call->in, handle, sizeof handle);
    return !call->in.failed && dcerpc_handle_is_good(call->pipe, handle);
}

/* MS-LSAD 3.1.4.9.4 */
static uint32_t close_handle(struct dcerpc_call *call)
{
    static const uint8_t nothing[DCERPC_HANDLE_SIZE];
    uint8_t handle[DCERPC_HANDLE_SIZE];
    bool closed;

    ndr_get_bytes(&call->in, handle, sizeof handle);
    if (call->in.failed)
        return DCERPC_FAULT_BAD_STUB;
    closed = dcerpc_handle_close(call->pipe, handle);
    ndr_put_bytes(&call->out, closed ? nothing : handle, sizeof handle);
    ndr_put_u32(&call->out, closed ? STATUS_OK : STATUS_INVALID_HANDLE);
    return 0;
}

/* ---- LsarQueryInformationPolicy (MS-LSAD 3.1.4.4.3, 3.1.4.4.4) ---- */

enum policy_class {
    POLICY_PRIMARY_DOMAIN = 3,
    POLICY_ACCOUNT_DOMAIN = 5,
    POLICY_SERVER_ROLE = 6,
    POLICY_DNS_DOMAIN = 12,
    POLICY_LOCAL_ACCOUNT_DOMAIN = 14
};
enum { ROLE_PRIMARY = 3 };

static void put_domain(struct ndr_out *out, const char *name, const struct sid *sid)
{
    ndr_put_unicode_head(out, name);
    ndr_put_pointer(out, sid != NULL);
    ndr_put_unicode_text(out, name);
    if (sid != NULL)
        ndr_put_sid(out, sid);
}

/* MS-LSAD 2.2.4.14: of no domain, so without names of the DNS, GUID and SID. */
static void put_dns_domain(struct ndr_out *out)
{
    static const uint8_t guid[16];

    ndr_put_unicode_head(out, PIPE_WORKGROUP);
    ndr_put_unicode_head(out, "");
    ndr_put_unicode_head(out, "");
    ndr_put_bytes(out, guid, sizeof guid);
    ndr_put_pointer(out, false);
    ndr_put_unicode_text(out, PIPE_WORKGROUP);
    ndr_put_unicode_text(out, "");
    ndr_put_unicode_text(out, "");
}

static uint32_t query_policy(struct dcerpc_call *call)
{
    const struct identity *identity = call->world->identity;
    bool good = get_policy(call);
    uint16_t class = ndr_get_u16(&call->in);
    struct ndr_out *out = &call->out;
    bool known = class == POLICY_PRIMARY_DOMAIN || class == POLICY_ACCOUNT_DOMAIN ||
                 class == POLICY_SERVER_ROLE || class == POLICY_DNS_DOMAIN ||
                 class == POLICY_LOCAL_ACCOUNT_DOMAIN;

    if (call->in.failed)
        return DCERPC_FAULT_BAD_STUB;
    ndr_put_pointer(out, good && known);
    if (good && known) {
        ndr_put_u16(out, class);
        writer_align(&out->writer, 4);
    }
    if (good && (class == POLICY_ACCOUNT_DOMAIN || class == POLICY_LOCAL_ACCOUNT_DOMAIN))
        put_domain(out, ident_computer(identity), ident_machine_sid(identity));
    else if (good && class == POLICY_PRIMARY_DOMAIN)
        put_domain(out, PIPE_WORKGROUP, NULL);
    else if (good && class == POLICY_SERVER_ROLE)
        ndr_put_u16(out, ROLE_PRIMARY);
    else if (good && class == POLICY_DNS_DOMAIN)
        put_dns_domain(out);
    ndr_put_u32(out, !good ? STATUS_INVALID_HANDLE : known ? STATUS_OK : STATUS_INVALID_PARAMETER);
    return 0;
}

/* ---- the answer to look-ups ---- */

struct answer {
    struct ident_account account;
    int32_t domain;          /* of the list; NO_DOMAIN */
    char text[SID_TEXT_MAX]; /* of a SID without a name */
};

struct domain {
    char name[IDENT_NAME_MAX + 1];
    struct sid sid;
};

struct lookup {
    struct answer *answers;
    uint32_t count, mapped;
    struct domain domains[DOMAINS_MAX];
    uint32_t domain_count;
};

/* The domain that an account is in: its SID without the last part. */
static int32_t domain_of(struct lookup *lookup, const struct ident_account *account)
{
    struct sid sid = account->sid;
    struct domain *domain;

    if (account->use != SID_USE_DOMAIN && sid.count > 0)
        sid.sub[--sid.count] = 0;
    for (uint32_t i = 0; i < lookup->domain_count; i++) {
        if (ident_sid_equal(&lookup->domains[i].sid, &sid) &&
            strcmp(lookup->domains[i].name, account->domain) == 0)
            return (int32_t)i;
    }
    if (lookup->domain_count == DOMAINS_MAX)
        return NO_DOMAIN;
    domain = &lookup->domains[lookup->domain_count];
    memcpy(domain->name, account->domain, sizeof domain->name);
    domain->sid = sid;
    return (int32_t)lookup->domain_count++;
}

static void note(struct lookup *lookup, struct answer *answer, enum err err)
{
    if (err != ERR_OK) {
        answer->account.use = SID_USE_UNKNOWN;
        answer->domain = NO_DOMAIN;
        return;
    }
    answer->domain = domain_of(lookup, &answer->account);
    lookup->mapped++;
}

/* MS-LSAT 2.2.12 */
static void put_domains(struct ndr_out *out, const struct lookup *lookup)
{
    ndr_put_pointer(out, true);
    ndr_put_u32(out, lookup->domain_count);
    ndr_put_pointer(out, true);
    ndr_put_u32(out, DOMAINS_MAX);
    ndr_put_u32(out, lookup->domain_count);
    for (uint32_t i = 0; i < lookup->domain_count; i++) {
        ndr_put_unicode_head(out, lookup->domains[i].name);
        ndr_put_pointer(out, true);
    }
    for (uint32_t i = 0; i < lookup->domain_count; i++) {
        ndr_put_unicode_text(out, lookup->domains[i].name);
        ndr_put_sid(out, &lookup->domains[i].sid);
    }
}

static void put_end(struct ndr_out *out, const struct lookup *lookup)
{
    uint32_t status = STATUS_OK;

    if (lookup->mapped < lookup->count)
        status = lookup->mapped > 0 ? STATUS_SOME_NOT_MAPPED : STATUS_NONE_MAPPED;
    ndr_put_u32(out, lookup->mapped);
    ndr_put_u32(out, status);
}

/* Nothing, with a status. */
static uint32_t put_nothing(struct ndr_out *out, uint32_t status)
{
    ndr_put_pointer(out, false);
    ndr_put_u32(out, 0);
    ndr_put_pointer(out, false);
    ndr_put_u32(out, 0);
    ndr_put_u32(out, status);
    return 0;
}

/* What the client passes of the list to fill in: always an empty one. */
static void get_empty_list(struct ndr_in *in)
{
    uint32_t count = ndr_get_u32(in);

    if (ndr_get_pointer(in) && (ndr_get_u32(in) != 0 || count != 0))
        in->failed = true;
}

/* ---- names to SIDs ---- */

enum names_form { NAMES_RID, NAMES_RID_FLAGS, NAMES_SID_FLAGS }; /* LookupNames, 2, 3 */

static bool get_names(struct ndr_in *in, const struct identity *identity, struct lookup *lookup)
{
    bool present[NAMES_MAX];

    lookup->count = ndr_get_u32(in);
    if (in->failed || lookup->count > NAMES_MAX || ndr_get_u32(in) != lookup->count)
        return false;
    for (uint32_t i = 0; i < lookup->count; i++)
        present[i] = ndr_get_unicode_head(in);
    if (in->failed)
        return false;
    lookup->answers = calloc(lookup->count + 1, sizeof *lookup->answers);
    if (lookup->answers == NULL)
        return false;
    for (uint32_t i = 0; i < lookup->count; i++) {
        struct answer *answer = &lookup->answers[i];
        char name[NAME_SIZE] = "";

        if (present[i])
            ndr_get_unicode_text(in, name, sizeof name);
        note(lookup, answer,
             name[0] != '\0' ? ident_lookup_name(identity, name, &answer->account) : ERR_NOENT);
    }
    return !in->failed;
}

static void put_sid_answers(struct ndr_out *out, const struct lookup *lookup, enum names_form form)
{
    ndr_put_u32(out, lookup->count);
    ndr_put_pointer(out, true);
    ndr_put_u32(out, lookup->count);
    for (uint32_t i = 0; i < lookup->count; i++) {
        const struct answer *answer = &lookup->answers[i];
        const struct sid *sid = &answer->account.sid;
        bool found = answer->account.use != SID_USE_UNKNOWN;

        writer_align(&out->writer, 4);
        ndr_put_u16(out, (uint16_t)answer->account.use);
        if (form == NAMES_SID_FLAGS)
            ndr_put_pointer(out, found);
        else
            ndr_put_u32(out, !found ? 0
                             : answer->account.use == SID_USE_DOMAIN || sid->count == 0
                                 ? UINT32_MAX
                                 : sid->sub[sid->count - 1]);
        ndr_put_u32(out, (uint32_t)answer->domain);
        if (form != NAMES_RID)
            ndr_put_u32(out, 0);
    }
    for (uint32_t i = 0; i < lookup->count && form == NAMES_SID_FLAGS; i++) {
        if (lookup->answers[i].account.use != SID_USE_UNKNOWN)
            ndr_put_sid(out, &lookup->answers[i].account.sid);
    }
}

/* MS-LSAT 3.1.4.6 to 3.1.4.8 */
static uint32_t lookup_names(struct dcerpc_call *call, enum names_form form)
{
    struct lookup *lookup = calloc(1, sizeof *lookup);
    bool good = get_policy(call), decoded;

    if (lookup == NULL)
        return DCERPC_FAULT_NO_MEMORY;
    decoded = get_names(&call->in, call->world->identity, lookup);
    get_empty_list(&call->in);
    (void)ndr_get_u16(&call->in); /* level: where to look; there is one place */
    (void)ndr_get_u32(&call->in);
    if (decoded && !call->in.failed && good) {
        put_domains(&call->out, lookup);
        put_sid_answers(&call->out, lookup, form);
        put_end(&call->out, lookup);
    } else if (decoded && !call->in.failed) {
        put_nothing(&call->out, STATUS_INVALID_HANDLE);
    } else {
        call->in.failed = true;
    }
    free(lookup->answers);
    free(lookup);
    return 0;
}

static uint32_t lookup_names1(struct dcerpc_call *call)
{
    return lookup_names(call, NAMES_RID);
}

static uint32_t lookup_names2(struct dcerpc_call *call)
{
    return lookup_names(call, NAMES_RID_FLAGS);
}

static uint32_t lookup_names3(struct dcerpc_call *call)
{
    return lookup_names(call, NAMES_SID_FLAGS);
}

/* ---- SIDs to names ---- */

static bool get_sids(struct ndr_in *in, const struct identity *identity, struct lookup *lookup)
{
    bool array;

    lookup->count = ndr_get_u32(in);
    array = ndr_get_pointer(in);
    if (in->failed || lookup->count > SIDS_MAX || lookup->count > in->reader.left / 4 ||
        array != (lookup->count > 0) || (array && ndr_get_u32(in) != lookup->count))
        return !in->failed && lookup->count == 0 && !array;
    /* Each must be there (MS-LSAT 2.2.17). */
    for (uint32_t i = 0; i < lookup->count; i++) {
        if (!ndr_get_pointer(in))
            return false;
    }
    lookup->answers = calloc(lookup->count + 1, sizeof *lookup->answers);
    if (lookup->answers == NULL)
        return false;
    for (uint32_t i = 0; i < lookup->count && !in->failed; i++) {
        struct answer *answer = &lookup->answers[i];
        struct sid sid;
        enum err err;

        ndr_get_sid(in, &sid);
        err = in->failed ? ERR_NOENT : ident_lookup_sid(identity, &sid, &answer->account);
        /* A SID without a name is shown as what it is. */
        if (err != ERR_OK)
            ident_sid_format(&sid, answer->text);
        note(lookup, answer, err);
    }
    return !in->failed;
}

static const char *shown_name(const struct answer *answer)
{
    return answer->account.use == SID_USE_UNKNOWN ? answer->text : answer->account.name;
}

static void put_name_answers(struct ndr_out *out, const struct lookup *lookup, bool flags)
{
    ndr_put_u32(out, lookup->count);
    ndr_put_pointer(out, lookup->count > 0);
    if (lookup->count == 0)
        return;
    ndr_put_u32(out, lookup->count);
    for (uint32_t i = 0; i < lookup->count; i++) {
        const struct answer *answer = &lookup->answers[i];

        writer_align(&out->writer, 4);
        ndr_put_u16(out, (uint16_t)answer->account.use);
        ndr_put_unicode_head(out, shown_name(answer));
        ndr_put_u32(out, (uint32_t)answer->domain);
        if (flags)
            ndr_put_u32(out, 0);
    }
    for (uint32_t i = 0; i < lookup->count; i++)
        ndr_put_unicode_text(out, shown_name(&lookup->answers[i]));
}

/* MS-LSAT 3.1.4.10, 3.1.4.11 */
static uint32_t lookup_sids(struct dcerpc_call *call, bool flags)
{
    struct lookup *lookup = calloc(1, sizeof *lookup);
    bool good = get_policy(call), decoded;

    if (lookup == NULL)
        return DCERPC_FAULT_NO_MEMORY;
    decoded = get_sids(&call->in, call->world->identity, lookup);
    get_empty_list(&call->in);
    (void)ndr_get_u16(&call->in);
    (void)ndr_get_u32(&call->in);
    if (decoded && !call->in.failed && good) {
        put_domains(&call->out, lookup);
        put_name_answers(&call->out, lookup, flags);
        put_end(&call->out, lookup);
    } else if (decoded && !call->in.failed) {
        put_nothing(&call->out, STATUS_INVALID_HANDLE);
    } else {
        call->in.failed = true;
    }
    free(lookup->answers);
    free(lookup);
    return 0;
}

static uint32_t lookup_sids1(struct dcerpc_call *call)
{
    return lookup_sids(call, false);
}

static uint32_t lookup_sids2(struct dcerpc_call *call)
{
    return lookup_sids(call, true);
}

/* ---- LsarGetUserName (MS-LSAT 3.1.4.4) ---- */

static void skip_unicode(struct ndr_in *in)
{
    if (ndr_get_pointer(in) && ndr_get_unicode_head(in))
        ndr_get_unicode_text(in, NULL, 0);
}

static uint32_t get_user_name(struct dcerpc_call *call)
{
    const char *domain = ident_computer(call->world->identity);
    struct ndr_out *out = &call->out;
    bool with_domain;

    ndr_get_unique_string(&call->in, NULL, 0);
    skip_unicode(&call->in);
    with_domain = ndr_get_pointer(&call->in);
    if (with_domain)
        skip_unicode(&call->in);
    if (call->in.failed)
        return DCERPC_FAULT_BAD_STUB;
    ndr_put_pointer(out, true);
    ndr_put_unicode_head(out, call->world->user);
    ndr_put_unicode_text(out, call->world->user);
    ndr_put_pointer(out, with_domain);
    if (with_domain) {
        ndr_put_pointer(out, true);
        ndr_put_unicode_head(out, domain);
        ndr_put_unicode_text(out, domain);
    }
    ndr_put_u32(out, STATUS_OK);
    return 0;
}

static uint32_t need_secure_channel(struct dcerpc_call *call)
{
    (void)call;
    return DCERPC_FAULT_ACCESS_DENIED;
}

static const struct dcerpc_operation operations[] = {
    [0] = {"LsarClose", close_handle},
    [6] = {"LsarOpenPolicy", open_policy1},
    [7] = {"LsarQueryInformationPolicy", query_policy},
    [14] = {"LsarLookupNames", lookup_names1},
    [15] = {"LsarLookupSids", lookup_sids1},
    [44] = {"LsarOpenPolicy2", open_policy2},
    [45] = {"LsarGetUserName", get_user_name},
    [46] = {"LsarQueryInformationPolicy2", query_policy},
    [57] = {"LsarLookupSids2", lookup_sids2},
    [58] = {"LsarLookupNames2", lookup_names2},
    [68] = {"LsarLookupNames3", lookup_names3},
    [76] = {"LsarLookupSids3", need_secure_channel},
    [77] = {"LsarLookupNames4", need_secure_channel},
};

/* 12345778-1234-abcd-ef00-0123456789ab, 0.0 */
const struct dcerpc_interface dcerpc_lsarpc = {
    .name = "lsarpc",
    .uuid = {0x78, 0x57, 0x34, 0x12, 0x34, 0x12, 0xcd, 0xab, 0xef, 0x00, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab},
    .operations = operations,
    .operation_count = sizeof operations / sizeof *operations,
};
