/*
 * portmap_serve.c - program 100000: port mapper version 2, RPCBIND versions 3 and 4 (RFC 1833).
 *
 * It answers out of a fixed table. SET and UNSET are refused with FALSE. What would make us call others
 * (CALLIT, BCAST, INDIRECT) is not there: it serves those who want to hide or to multiply their traffic.
 * For the latter reason the long answer of DUMP is given over TCP only.
 */
#include "rpc/portmap_priv.h"
#include "dittofs/clock.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

enum { STRING_MAX = 1024, ARGUMENTS_MAX = 8192, DUMP_MAX = 64 * 1024 };

const char *onc__uaddr_format(const struct net_address *address, uint16_t port, char *text)
{
    char host[INET6_ADDRSTRLEN] = "";

    if (address->sa.any.sa_family == AF_INET6)
        inet_ntop(AF_INET6, &address->sa.v6.sin6_addr, host, sizeof host);
    else
        inet_ntop(AF_INET, &address->sa.v4.sin_addr, host, sizeof host);
    snprintf(text, ONC__UADDR_TEXT, "%s.%u.%u", host, port >> 8, port & 0xff);
    return text;
}

const char *onc__netid(enum onc_transport transport, int family)
{
    switch (transport) {
    case ONC_TCP:
        return family == AF_INET6 ? "tcp6" : "tcp";
    case ONC_UDP:
        return family == AF_INET6 ? "udp6" : "udp";
    }
    return "";
}

bool onc__map_has_family(const struct onc__map *map, int family)
{
    for (size_t i = 0; i < map->address_count; i++) {
        if (map->addresses[i].sa.any.sa_family == family)
            return true;
    }
    return false;
}

/* The port of PROGRAM; of another version of it if EXACT is not asked for; 0 when there is none. The client
 * learns our versions from the program itself then (RFC 1833 3.2, PMAPPROC_GETPORT). */
static uint16_t find_port(const struct onc__map *map, uint32_t program, uint32_t version,
                          enum onc_transport transport, bool exact)
{
    uint16_t other = 0;

    for (size_t i = 0; i < map->mapping_count; i++) {
        const struct onc_mapping *mapping = &map->mappings[i];

        if (mapping->program != program || mapping->transport != transport)
            continue;
        if (mapping->version == version)
            return mapping->port;
        if (other == 0)
            other = mapping->port;
    }
    return exact ? 0 : other;
}

static const struct onc__map *map_of(const struct onc_call *call)
{
    return call->program->data;
}

static void run_null(struct onc_call *call)
{
    if (!reader_is_done(&call->arguments))
        onc_call_reject(call, ONC_REJECT_GARBAGE_ARGS);
    else
        onc_call_reply(call);
}

/* ---- version 2 ---- */

struct pmap_arguments {
    uint32_t program, version, protocol;
};

static bool read_pmap(struct onc_call *call, struct pmap_arguments *arguments)
{
    uint32_t port;

    return reader_be32(&call->arguments, &arguments->program) &&
           reader_be32(&call->arguments, &arguments->version) &&
           reader_be32(&call->arguments, &arguments->protocol) && reader_be32(&call->arguments, &port) &&
           reader_is_done(&call->arguments);
}

static void run_pmap_refuse(struct onc_call *call)
{
    struct pmap_arguments arguments;

    if (!read_pmap(call, &arguments)) {
        onc_call_reject(call, ONC_REJECT_GARBAGE_ARGS);
        return;
    }
    writer_xdr_bool(&call->reply, false);
    onc_call_reply(call);
}

static void run_getport(struct onc_call *call)
{
    const struct onc__map *map = map_of(call);
    struct pmap_arguments arguments;
    uint16_t port = 0;

    if (!read_pmap(call, &arguments)) {
        onc_call_reject(call, ONC_REJECT_GARBAGE_ARGS);
        return;
    }
    if (arguments.protocol == IPPROTO_TCP)
        port = find_port(map, arguments.program, arguments.version, ONC_TCP, false);
    else if (arguments.protocol == IPPROTO_UDP)
        port = find_port(map, arguments.program, arguments.version, ONC_UDP, false);
    writer_be32(&call->reply, port);
    onc_call_reply(call);
}

/* True when a DUMP may be answered; else it was rejected. */
static bool begin_dump(struct onc_call *call)
{
    if (!reader_is_done(&call->arguments))
        onc_call_reject(call, ONC_REJECT_GARBAGE_ARGS);
    else if (call->transport != ONC_TCP)
        onc_call_reject(call, ONC_REJECT_PROC_UNAVAIL);
    else
        return true;
    return false;
}

static void run_pmap_dump(struct onc_call *call)
{
    const struct onc__map *map = map_of(call);

    if (!begin_dump(call))
        return;
    for (size_t i = 0; i < map->mapping_count; i++) {
        const struct onc_mapping *mapping = &map->mappings[i];

        writer_xdr_bool(&call->reply, true);
        writer_be32(&call->reply, mapping->program);
        writer_be32(&call->reply, mapping->version);
        writer_be32(&call->reply, mapping->transport == ONC_TCP ? IPPROTO_TCP : IPPROTO_UDP);
        writer_be32(&call->reply, mapping->port);
    }
    writer_xdr_bool(&call->reply, false);
    onc_call_reply(call);
}

static const struct onc_procedure pmap_procedures[] = {
    [0] = {.name = "NULL", .run = run_null},
    [1] = {.name = "SET", .run = run_pmap_refuse, .reply_max = 4},
    [2] = {.name = "UNSET", .run = run_pmap_refuse, .reply_max = 4},
    [3] = {.name = "GETPORT", .run = run_getport, .reply_max = 4},
    [4] = {.name = "DUMP", .run = run_pmap_dump, .reply_max = DUMP_MAX},
};

/* ---- versions 3 and 4 ---- */

/* RFC 1833 2.1, struct rpcb; its strings are not looked at: netid and address are those of the transport that
 * the call came over (RFC 1833 2.2.1, RPCBPROC_GETADDR). */
static bool read_rpcb(struct onc_call *call, uint32_t *program_r, uint32_t *version_r)
{
    const uint8_t *text;
    uint32_t length;

    if (!reader_be32(&call->arguments, program_r) || !reader_be32(&call->arguments, version_r))
        return false;
    for (int i = 0; i < 3; i++) {
        if (!reader_xdr_opaque(&call->arguments, STRING_MAX, &text, &length))
            return false;
    }
    return reader_is_done(&call->arguments);
}

static void run_rpcb_refuse(struct onc_call *call)
{
    uint32_t program, version;

    if (!read_rpcb(call, &program, &version)) {
        onc_call_reject(call, ONC_REJECT_GARBAGE_ARGS);
        return;
    }
    writer_xdr_bool(&call->reply, false);
    onc_call_reply(call);
}

static void write_string(struct writer *writer, const char *text)
{
    writer_xdr_opaque(writer, text, strlen(text));
}

static void answer_address(struct onc_call *call, bool exact)
{
    uint32_t program, version;
    char text[ONC__UADDR_TEXT] = "";
    uint16_t port;

    if (!read_rpcb(call, &program, &version)) {
        onc_call_reject(call, ONC_REJECT_GARBAGE_ARGS);
        return;
    }
    port = find_port(map_of(call), program, version, call->transport, exact);
    if (port != 0)
        onc__uaddr_format(onc_call_local(call), port, text);
    write_string(&call->reply, text);
    onc_call_reply(call);
}

static void run_getaddr(struct onc_call *call)
{
    answer_address(call, false);
}

static void run_getversaddr(struct onc_call *call)
{
    answer_address(call, true);
}

static void run_rpcb_dump(struct onc_call *call)
{
    static const int families[] = {AF_INET, AF_INET6};
    const struct onc__map *map = map_of(call);

    if (!begin_dump(call))
        return;
    for (size_t i = 0; i < map->mapping_count; i++) {
        const struct onc_mapping *mapping = &map->mappings[i];

        for (size_t j = 0; j < sizeof families / sizeof *families; j++) {
            struct net_address wildcard = {.sa.any.sa_family = (sa_family_t)families[j]};
            char text[ONC__UADDR_TEXT];

            if (!onc__map_has_family(map, families[j]))
                continue;
            writer_xdr_bool(&call->reply, true);
            writer_be32(&call->reply, mapping->program);
            writer_be32(&call->reply, mapping->version);
            write_string(&call->reply, onc__netid(mapping->transport, families[j]));
            write_string(&call->reply, onc__uaddr_format(&wildcard, mapping->port, text));
            write_string(&call->reply, "superuser");
        }
    }
    writer_xdr_bool(&call->reply, false);
    onc_call_reply(call);
}

static void run_gettime(struct onc_call *call)
{
    if (!reader_is_done(&call->arguments)) {
        onc_call_reject(call, ONC_REJECT_GARBAGE_ARGS);
        return;
    }
    writer_be32(&call->reply, (uint32_t)clock_wall().seconds);
    onc_call_reply(call);
}

static const struct onc_procedure rpcb_procedures[] = {
    [0] = {.name = "NULL", .run = run_null},
    [1] = {.name = "SET", .run = run_rpcb_refuse, .reply_max = 4},
    [2] = {.name = "UNSET", .run = run_rpcb_refuse, .reply_max = 4},
    [3] = {.name = "GETADDR", .run = run_getaddr, .reply_max = 4 + ONC__UADDR_TEXT},
    [4] = {.name = "DUMP", .run = run_rpcb_dump, .reply_max = DUMP_MAX},
    [6] = {.name = "GETTIME", .run = run_gettime, .reply_max = 4},
    [9] = {.name = "GETVERSADDR", .run = run_getversaddr, .reply_max = 4 + ONC__UADDR_TEXT}, /* version 4 */
};

enum { RPCB_V3_PROCEDURES = 9 };

enum err onc__portmap_serve(struct onc_service *service, const struct onc__map *map,
                            struct onc_program *programs)
{
    static const struct {
        uint32_t version;
        const struct onc_procedure *procedures;
        uint32_t count;
    } versions[ONC__PORTMAP_VERSIONS] = {
        {2, pmap_procedures, sizeof pmap_procedures / sizeof *pmap_procedures},
        {3, rpcb_procedures, RPCB_V3_PROCEDURES},
        {4, rpcb_procedures, sizeof rpcb_procedures / sizeof *rpcb_procedures},
    };

    for (size_t i = 0; i < ONC__PORTMAP_VERSIONS; i++) {
        enum err err;

        programs[i] = (struct onc_program){.name = "portmap",
                                           .number = ONC__PORTMAP_PROGRAM,
                                           .version = versions[i].version,
                                           .procedures = versions[i].procedures,
                                           .procedure_count = versions[i].count,
                                           .arguments_max = ARGUMENTS_MAX,
                                           .data = (void *)map};
        err = onc_service_add_program(service, &programs[i]);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}
