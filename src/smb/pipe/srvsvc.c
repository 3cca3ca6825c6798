/*
 * srvsvc.c - the server service (MS-SRVS): shares, the server itself, its time; and a plain refusal of
 * what only an administrator may see or change (sessions, open files, shares).
 */
#include "smb/pipe/pipe_priv.h"
#include "dittofs/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* MS-SRVS 2.2.2.4 */
#define SHARE_DISK        UINT32_C(0)
#define SHARE_IPC_SPECIAL UINT32_C(0x80000003)
enum { SHARE_NAME_MAX = 512, SHARES_MAX = 4096 };
static const char ipc_name[] = "IPC$", ipc_comment[] = "Remote IPC";

/* ---- one share in the forms that there are ---- */

/* The fixed part of a SHARE_INFO (MS-SRVS 2.2.4.23 to .27); what it points to follows with put_share_rest. */
static void put_share(struct ndr_out *out, uint32_t level, uint32_t type)
{
    ndr_put_pointer(out, true);
    if (level == 0)
        return;
    ndr_put_u32(out, type);
    ndr_put_pointer(out, true);
    if (level == 501)
        ndr_put_u32(out, 0);
    if (level != 2 && level != 502)
        return;
    ndr_put_u32(out, 0);          /* permissions: of share-level security only */
    ndr_put_u32(out, UINT32_MAX); /* most uses: no limit */
    ndr_put_u32(out, 0);          /* uses, which we don't tell */
    ndr_put_pointer(out, true);
    ndr_put_pointer(out, false); /* password */
    if (level == 502) {
        ndr_put_u32(out, 0);
        ndr_put_pointer(out, false); /* no security descriptor: that of the top folder rules */
    }
}

static void put_share_rest(struct ndr_out *out, uint32_t level, uint32_t type, const char *name,
                           const char *comment)
{
    char path[SHARE_NAME_MAX + 4];

    ndr_put_string(out, name);
    if (level == 0)
        return;
    ndr_put_string(out, comment);
    if (level != 2 && level != 502)
        return;
    /* There is no folder of the host behind a share; clients want to see something like one. */
    (void)snprintf(path, sizeof path, "%s%.*s", type == SHARE_DISK ? "C:\\" : "",
                   type == SHARE_DISK ? SHARE_NAME_MAX : 0, name);
    ndr_put_string(out, path);
}

static bool level_is_known(uint32_t level)
{
    return level <= 2 || level == 501 || level == 502;
}

/* ---- NetrShareEnum (MS-SRVS 3.1.4.8), NetrShareEnumSticky ---- */

struct enumeration {
    uint32_t level, most_bytes, resume;
    bool has_resume, is_container;
};

/* The tail that all enumerations have: the container to fill, how much, and where to go on. */
static bool get_enumeration(struct ndr_in *in, struct enumeration *args)
{
    uint32_t level;

    args->level = ndr_get_u32(in);
    level = ndr_get_u32(in);
    args->is_container = ndr_get_pointer(in);
    if (args->is_container) {
        uint32_t count = ndr_get_u32(in);
        bool array = ndr_get_pointer(in);

        /* An array in a request has nothing to say; an empty one is passed over. */
        if (array && (ndr_get_u32(in) != 0 || count != 0))
            in->failed = true;
    }
    args->most_bytes = ndr_get_u32(in);
    args->has_resume = ndr_get_pointer(in);
    args->resume = args->has_resume ? ndr_get_u32(in) : 0;
    return !in->failed && level == args->level;
}

static void put_enumeration_end(struct ndr_out *out, const struct enumeration *args, uint32_t total,
                                uint32_t resume, uint32_t status)
{
    ndr_put_u32(out, total);
    ndr_put_pointer(out, args->has_resume);
    if (args->has_resume)
        ndr_put_u32(out, resume);
    ndr_put_u32(out, status);
}

/* An enumeration of nothing, with a status. */
static uint32_t put_refused(struct ndr_out *out, const struct enumeration *args, uint32_t status)
{
    ndr_put_u32(out, args->level);
    ndr_put_u32(out, args->level);
    ndr_put_pointer(out, true);
    ndr_put_u32(out, 0);
    ndr_put_pointer(out, false);
    put_enumeration_end(out, args, 0, 0, status);
    return 0;
}

struct shares {
    struct dcerpc_share items[SHARES_MAX];
    uint32_t count;
};

static void list_shares(const struct dcerpc_world *world, struct shares *shares)
{
    const void *at = NULL;

    shares->items[shares->count++] = (struct dcerpc_share){.name = ipc_name, .comment = ipc_comment};
    while (shares->count < SHARES_MAX) {
        struct dcerpc_share *share = &shares->items[shares->count];

        at = world->next_share(world->data, at, share);
        if (at == NULL)
            return;
        if (!share->hidden)
            shares->count++;
    }
}

static uint32_t type_of(const struct dcerpc_share *share)
{
    return share->name == ipc_name ? SHARE_IPC_SPECIAL : SHARE_DISK;
}

/* How many from FIRST on fit into what the client wants; at least one. */
static uint32_t count_fitting(const struct shares *shares, const struct enumeration *args, uint32_t first)
{
    uint64_t bytes = 0;
    uint32_t count = 0;

    while (first + count < shares->count) {
        const struct dcerpc_share *share = &shares->items[first + count];

        bytes += 64 + 2 * (strlen(share->name) + strlen(share->comment));
        if (count > 0 && bytes > args->most_bytes)
            break;
        count++;
    }
    return count;
}

static uint32_t enumerate_shares(struct dcerpc_call *call)
{
    struct ndr_out *out = &call->out;
    struct enumeration args;
    struct shares *shares;
    uint32_t count, first;
    bool all;

    ndr_get_unique_string(&call->in, NULL, 0);
    if (!get_enumeration(&call->in, &args) || !args.is_container)
        return DCERPC_FAULT_BAD_STUB;
    if (!level_is_known(args.level))
        return put_refused(out, &args, WERROR_INVALID_LEVEL);
    /* MS-SRVS 3.1.4.8: what is in a share's descriptor is an administrator's matter. */
    if (args.level == 502 && !call->world->is_admin)
        return put_refused(out, &args, WERROR_ACCESS_DENIED);
    shares = calloc(1, sizeof *shares);
    if (shares == NULL)
        return DCERPC_FAULT_NO_MEMORY;
    list_shares(call->world, shares);
    first = args.resume < shares->count ? args.resume : shares->count;
    count = count_fitting(shares, &args, first);
    all = first + count == shares->count;
    ndr_put_u32(out, args.level);
    ndr_put_u32(out, args.level);
    ndr_put_pointer(out, true);
    ndr_put_u32(out, count);
    ndr_put_pointer(out, true);
    ndr_put_u32(out, count);
    for (uint32_t i = first; i < first + count; i++)
        put_share(out, args.level, type_of(&shares->items[i]));
    for (uint32_t i = first; i < first + count; i++)
        put_share_rest(out, args.level, type_of(&shares->items[i]), shares->items[i].name,
                       shares->items[i].comment);
    put_enumeration_end(out, &args, shares->count - first, all ? 0 : first + count,
                        all ? WERROR_OK : WERROR_MORE_DATA);
    free(shares);
    return 0;
}

/* ---- NetrShareGetInfo (MS-SRVS 3.1.4.10) ---- */

static bool find_share(const struct dcerpc_world *world, const char *name, struct dcerpc_share *share_r)
{
    const void *at = NULL;

    if (strcasecmp(name, ipc_name) == 0) {
        *share_r = (struct dcerpc_share){.name = ipc_name, .comment = ipc_comment};
        return true;
    }
    while ((at = world->next_share(world->data, at, share_r)) != NULL) {
        if (strcasecmp(name, share_r->name) == 0)
            return true;
    }
    return false;
}

static uint32_t get_share(struct dcerpc_call *call)
{
    struct ndr_out *out = &call->out;
    char name[SHARE_NAME_MAX];
    struct dcerpc_share share;
    uint32_t level, status = WERROR_OK;

    ndr_get_unique_string(&call->in, NULL, 0);
    ndr_get_string(&call->in, name, sizeof name);
    level = ndr_get_u32(&call->in);
    if (call->in.failed)
        return DCERPC_FAULT_BAD_STUB;
    if (!level_is_known(level) && level != 1005)
        status = WERROR_INVALID_LEVEL;
    else if (level == 502 && !call->world->is_admin)
        status = WERROR_ACCESS_DENIED;
    else if (!find_share(call->world, name, &share))
        status = WERROR_NET_NAME_NOT_FOUND;
    ndr_put_u32(out, level);
    ndr_put_pointer(out, status == WERROR_OK);
    if (status == WERROR_OK && level == 1005) {
        ndr_put_u32(out, 0); /* MS-SRVS 2.2.4.29: no flags */
    } else if (status == WERROR_OK) {
        put_share(out, level, type_of(&share));
        put_share_rest(out, level, type_of(&share), share.name, share.comment);
    }
    ndr_put_u32(out, status);
    return 0;
}

/* MS-SRVS 3.1.4.13: is a device shared? Ours are not devices. */
static uint32_t check_device(struct dcerpc_call *call)
{
    ndr_get_unique_string(&call->in, NULL, 0);
    ndr_get_string(&call->in, NULL, 0);
    ndr_put_u32(&call->out, 0);
    ndr_put_u32(&call->out, 2311); /* NERR_DeviceNotShared */
    return 0;
}

/* ---- NetrServerGetInfo (MS-SRVS 3.1.4.17) ---- */

enum {
    SERVER_WORKSTATION = 0x1,
    SERVER_SERVER = 0x2,
    SERVER_NT = 0x1000,
    SERVER_NT_SERVER = 0x8000,
    SERVER_TYPE = SERVER_WORKSTATION | SERVER_SERVER | SERVER_NT | SERVER_NT_SERVER
};

static uint32_t get_server(struct dcerpc_call *call)
{
    struct ndr_out *out = &call->out;
    uint32_t level;

    ndr_get_unique_string(&call->in, NULL, 0);
    level = ndr_get_u32(&call->in);
    if (call->in.failed)
        return DCERPC_FAULT_BAD_STUB;
    ndr_put_u32(out, level);
    if (level < 100 || level > 102) {
        ndr_put_pointer(out, false);
        ndr_put_u32(out, WERROR_INVALID_LEVEL);
        return 0;
    }
    ndr_put_pointer(out, true);
    ndr_put_u32(out, PIPE_PLATFORM_NT);
    ndr_put_pointer(out, true);
    if (level >= 101) {
        ndr_put_u32(out, PIPE_VERSION_MAJOR);
        ndr_put_u32(out, PIPE_VERSION_MINOR);
        ndr_put_u32(out, SERVER_TYPE);
        ndr_put_pointer(out, true);
    }
    if (level == 102) {
        ndr_put_u32(out, UINT32_MAX); /* users: no limit */
        ndr_put_u32(out, 15);         /* minutes until an idle session goes; MS-SRVS's default */
        ndr_put_u32(out, 0);          /* not hidden */
        ndr_put_u32(out, 0);          /* announced: never */
        ndr_put_u32(out, 0);
        ndr_put_u32(out, 0); /* users per licence */
        ndr_put_pointer(out, true);
    }
    ndr_put_string(out, ident_computer(call->world->identity));
    if (level >= 101)
        ndr_put_string(out, call->world->comment);
    if (level == 102)
        ndr_put_string(out, "C:\\");
    ndr_put_u32(out, WERROR_OK);
    return 0;
}

/* ---- NetrRemoteTOD (MS-SRVS 3.1.4.21): in UTC ---- */

static uint32_t get_time(struct dcerpc_call *call)
{
    struct timestamp now = clock_wall();
    time_t seconds = (time_t)now.seconds;
    struct ndr_out *out = &call->out;
    struct tm tm;

    ndr_get_unique_string(&call->in, NULL, 0);
    if (call->in.failed || gmtime_r(&seconds, &tm) == NULL)
        return DCERPC_FAULT_BAD_STUB;
    ndr_put_pointer(out, true);
    ndr_put_u32(out, (uint32_t)now.seconds);
    ndr_put_u32(out, (uint32_t)clock_monotonic_ms());
    ndr_put_u32(out, (uint32_t)tm.tm_hour);
    ndr_put_u32(out, (uint32_t)tm.tm_min);
    ndr_put_u32(out, (uint32_t)tm.tm_sec);
    ndr_put_u32(out, now.nanoseconds / 10000000);
    ndr_put_u32(out, 0);   /* minutes west of UTC */
    ndr_put_u32(out, 310); /* a tick, in 100 us */
    ndr_put_u32(out, (uint32_t)tm.tm_mday);
    ndr_put_u32(out, (uint32_t)tm.tm_mon + 1);
    ndr_put_u32(out, (uint32_t)tm.tm_year + 1900);
    ndr_put_u32(out, (uint32_t)tm.tm_wday);
    ndr_put_u32(out, WERROR_OK);
    return 0;
}

/* ---- NetprNameValidate (MS-SRVS 3.1.4.31) ---- */

enum { NAME_SHARE = 9, NAME_LAST = 16 }; /* MS-SRVS 2.2.2.9 */

static bool name_is_valid(const char *name, uint32_t type)
{
    static const char forbidden[] = "\"/\\[]:|<>+=;,?*";
    size_t length = strlen(name), most = type == NAME_SHARE ? 80 : 255;

    if (length == 0 || length > most || strpbrk(name, forbidden) != NULL)
        return false;
    for (const char *at = name; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20)
            return false;
    }
    return true;
}

static uint32_t validate_name(struct dcerpc_call *call)
{
    char name[4 * SHARE_NAME_MAX];
    uint32_t type, flags, status = WERROR_OK;

    ndr_get_unique_string(&call->in, NULL, 0);
    ndr_get_string(&call->in, name, sizeof name);
    type = ndr_get_u32(&call->in);
    flags = ndr_get_u32(&call->in);
    if (call->in.failed)
        return DCERPC_FAULT_BAD_STUB;
    if (type == 0 || type > NAME_LAST || (flags & ~UINT32_C(0x80000000)) != 0)
        status = WERROR_INVALID_PARAMETER;
    else if (!name_is_valid(name, type))
        status = WERROR_INVALID_NAME;
    ndr_put_u32(&call->out, status);
    return 0;
}

/* ---- what is refused: others' sessions and files, and changing anything ---- */

static uint32_t refuse_list(struct dcerpc_call *call, unsigned strings)
{
    struct enumeration args;

    for (unsigned i = 0; i < strings; i++)
        ndr_get_unique_string(&call->in, NULL, 0);
    if (!get_enumeration(&call->in, &args))
        return DCERPC_FAULT_BAD_STUB;
    return put_refused(&call->out, &args, WERROR_ACCESS_DENIED);
}

static uint32_t refuse_connections(struct dcerpc_call *call)
{
    return refuse_list(call, 2);
}

static uint32_t refuse_sessions(struct dcerpc_call *call)
{
    return refuse_list(call, 3);
}

/* Procedures that give back a status alone, whatever they get. */
static uint32_t refuse(struct dcerpc_call *call)
{
    ndr_put_u32(&call->out, WERROR_ACCESS_DENIED);
    return 0;
}

/* Those with an optional index of the parameter that is wrong before it. */
static uint32_t refuse_with_index(struct dcerpc_call *call)
{
    ndr_put_pointer(&call->out, false);
    return refuse(call);
}

static const struct dcerpc_operation operations[] = {
    [8] = {"NetrConnectionEnum", refuse_connections},
    [9] = {"NetrFileEnum", refuse_sessions},
    [11] = {"NetrFileClose", refuse},
    [12] = {"NetrSessionEnum", refuse_sessions},
    [13] = {"NetrSessionDel", refuse},
    [14] = {"NetrShareAdd", refuse_with_index},
    [15] = {"NetrShareEnum", enumerate_shares},
    [16] = {"NetrShareGetInfo", get_share},
    [17] = {"NetrShareSetInfo", refuse_with_index},
    [18] = {"NetrShareDel", refuse},
    [19] = {"NetrShareDelSticky", refuse},
    [20] = {"NetrShareCheck", check_device},
    [21] = {"NetrServerGetInfo", get_server},
    [22] = {"NetrServerSetInfo", refuse_with_index},
    [28] = {"NetrRemoteTOD", get_time},
    [33] = {"NetprNameValidate", validate_name},
    [36] = {"NetrShareEnumSticky", enumerate_shares},
};

/* 4b324fc8-1670-01d3-1278-5a47bf6ee188, 3.0 */
const struct dcerpc_interface dcerpc_srvsvc = {
    .name = "srvsvc",
    .uuid = {0xc8, 0x4f, 0x32, 0x4b, 0x70, 0x16, 0xd3, 0x01, 0x12, 0x78, 0x5a, 0x47, 0xbf, 0x6e, 0xe1, 0x88},
    .major = 3,
    .operations = operations,
    .operation_count = sizeof operations / sizeof *operations,
};
