/*
 * client_port.c - where a program of another host is: asks its port mapper, and remembers the answer.
 *
 * IPv4 hosts are asked by PMAPPROC_GETPORT of version 2, which every port mapper knows; IPv6 ones by
 * RPCBPROC_GETADDR of version 3 (RFC 1833 2.2.1, 3.2). The question goes over the transport that the call
 * will use: what lets the one through lets the other through. Calls for the same program wait for one
 * question.
 *
 * A port is in client->ports from its question on. It is freed when its answer is bad, when nobody answers at
 * it, when it is old, or for another one; each time the calls that refer to it are told apart first: those
 * that wait (in `waiters`) end, those that were sent only lose the reference (in `users`).
 */
#include "dittofs/clock.h"
#include "rpc/client_priv.h"
#include "rpc/portmap_priv.h"
#include "rpc/rpc_priv.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum { PORTS_MAX = 1024, GETPORT = 3, GETADDR = 3, UADDR_MAX = 128, QUESTION_MAX = 256 };

struct onc_client_port {
    struct onc_client *client;
    struct list link;              /* in client->ports */
    struct net_address host, from; /* FROM: of the first call that asked */
    uint32_t program, version;
    enum onc_transport transport;
    uint16_t number; /* 0: it is being asked for */
    uint64_t until_ms;
    struct onc_client_call question;
    struct list waiters; /* calls without a port */
    uint32_t users;      /* calls that were sent to it */
    bool stale;          /* not in client->ports any more; goes with its last user */
};

static void set_number(struct net_address *address, uint16_t number)
{
    if (address->sa.any.sa_family == AF_INET6)
        address->sa.v6.sin6_port = htons(number);
    else
        address->sa.v4.sin_port = htons(number);
}

/* Takes PORT out of the table; its memory goes with its last user. */
static void retire(struct onc_client_port *port)
{
    if (!port->stale) {
        list_remove(&port->link);
        port->client->counters.ports_now--;
        port->stale = true;
    }
    if (port->users == 0 && list_is_empty(&port->waiters)) {
        onc_client_cancel(&port->question);
        free(port);
    }
}

/* "192.0.2.1.8.1", "2001:db8::1.8.1" (RFC 5665 5.2.3.3): the last two numbers; 0 when there are none. */
static uint16_t port_of_uaddr(const uint8_t *text, size_t length)
{
    unsigned numbers[2] = {0, 0}, scale = 1;
    int at = 1;

    for (size_t i = length; i > 0; i--) {
        uint8_t c = text[i - 1];

        if (c == '.') {
            if (at == 0)
                return (uint16_t)(numbers[0] << 8 | numbers[1]);
            at--;
            scale = 1;
        } else if (c >= '0' && c <= '9' && scale <= 100) {
            numbers[at] += (unsigned)(c - '0') * scale;
            scale *= 10;
            if (numbers[at] > 255)
                return 0;
        } else {
            return 0;
        }
    }
    return 0;
}

static uint16_t read_answer(const struct onc_client_port *port, struct reader *results)
{
    const uint8_t *text;
    uint32_t length, number;

    if (port->host.sa.any.sa_family == AF_INET6)
        return reader_xdr_opaque(results, UADDR_MAX, &text, &length) && reader_is_done(results)
                   ? port_of_uaddr(text, length)
                   : 0;
    return reader_be32(results, &number) && reader_is_done(results) && number <= UINT16_MAX ? (uint16_t)number
                                                                                            : 0;
}

static void on_answer(struct onc_client_call *question, enum err err, struct reader *results)
{
    struct onc_client_port *port = container_of(question, struct onc_client_port, question);
    struct list waiters;

    if (err == ERR_OK) {
        port->number = read_answer(port, results);
        if (port->number == 0)
            err = ERR_NOTSUPP;
    }
    port->until_ms = clock_monotonic_ms() + port->client->options.port_ms;
    list_init(&waiters);
    list_splice_back(&waiters, &port->waiters);
    /* Kept while we walk. A DONE may make other waiters leave, or ask for the same program again: by then a
     * bad port is not found any more. */
    port->users++;
    if (err != ERR_OK)
        retire(port);
    while (!list_is_empty(&waiters)) {
        struct onc_client_call *call = list_first(&waiters, struct onc_client_call, link);

        list_remove(&call->link);
        if (err != ERR_OK) {
            call->port = NULL;
            onc__client_finish(call, err, NULL);
            continue;
        }
        port->users++;
        set_number(&call->target, port->number);
        onc__client_send(call);
    }
    port->users--;
    if (port->stale)
        retire(port);
}

static size_t write_question(const struct onc_client_port *port, uint8_t bytes[QUESTION_MAX])
{
    bool v6 = port->host.sa.any.sa_family == AF_INET6;
    const char *netid = onc__netid(port->transport, port->host.sa.any.sa_family);
    struct writer writer;

    writer_init(&writer, bytes, QUESTION_MAX);
    writer_be32(&writer, port->program);
    writer_be32(&writer, port->version);
    if (v6) {
        char uaddr[ONC__UADDR_TEXT];

        onc__uaddr_format(&port->host, 0, uaddr);
        writer_xdr_opaque(&writer, netid, strlen(netid));
        writer_xdr_opaque(&writer, uaddr, strlen(uaddr));
        writer_xdr_opaque(&writer, "", 0);
    } else {
        writer_be32(&writer, port->transport == ONC_TCP ? IPPROTO_TCP : IPPROTO_UDP);
        writer_be32(&writer, 0);
    }
    return writer.length;
}

static enum err ask(struct onc_client_port *port, uint64_t timeout_ms)
{
    bool v6 = port->host.sa.any.sa_family == AF_INET6;
    uint8_t bytes[QUESTION_MAX];

    port->question = (struct onc_client_call){
        .done = on_answer,
        .to = port->host,
        .from = port->from,
        .transport = port->transport,
        .program = ONC__PORTMAP_PROGRAM,
        .version = v6 ? 3 : 2,
        .procedure = v6 ? GETADDR : GETPORT,
        .timeout_ms = timeout_ms,
        .credential = {.flavor = ONC_AUTH_NONE},
    };
    set_number(&port->question.to, port->client->options.portmap_port);
    port->client->counters.lookups++;
    return onc_client_call(port->client, &port->question, bytes, write_question(port, bytes));
}

static bool is_for(const struct onc_client_port *port, const struct onc_client_call *call)
{
    return port->program == call->program && port->version == call->version &&
           port->transport == call->transport && net_address_same_host(&port->host, &call->to);
}

static struct onc_client_port *find(struct onc_client *client, const struct onc_client_call *call)
{
    uint64_t now_ms = clock_monotonic_ms();
    struct list *link, *following;

    list_for_each_safe(link, following, &client->ports)
    {
        struct onc_client_port *port = container_of(link, struct onc_client_port, link);

        if (!is_for(port, call))
            continue;
        if (port->number == 0 || port->until_ms > now_ms)
            return port;
        retire(port);
    }
    return NULL;
}

/* Makes room: the one that was not asked for the longest goes. */
static bool evict(struct onc_client *client)
{
    struct list *link;

    list_for_each(link, &client->ports)
    {
        struct onc_client_port *port = container_of(link, struct onc_client_port, link);

        if (port->number != 0) {
            retire(port);
            return true;
        }
    }
    return false;
}

static enum err new_port(struct onc_client_call *call, struct onc_client_port **port_r)
{
    struct onc_client *client = call->client;
    struct onc_client_port *port;
    uint64_t now_ms = clock_monotonic_ms();
    enum err err;

    if (client->counters.ports_now >= PORTS_MAX && !evict(client))
        return ERR_LIMIT;
    port = calloc(1, sizeof *port);
    if (port == NULL)
        return ERR_NOMEM;
    port->client = client;
    port->host = call->to;
    port->from = call->from;
    port->program = call->program;
    port->version = call->version;
    port->transport = call->transport;
    list_init(&port->waiters);
    err = ask(port, call->due_ms > now_ms ? call->due_ms - now_ms : 1);
    if (err != ERR_OK) {
        free(port);
        return err;
    }
    list_push_back(&client->ports, &port->link);
    client->counters.ports_now++;
    *port_r = port;
    return ERR_OK;
}

enum err onc__port_find(struct onc_client_call *call)
{
    struct onc_client_port *port = find(call->client, call);

    if (port == NULL) {
        enum err err = new_port(call, &port);

        if (err != ERR_OK)
            return err;
    }
    list_remove(&port->link);
    list_push_back(&call->client->ports, &port->link);
    call->port = port;
    if (port->number == 0) {
        list_push_back(&port->waiters, &call->link);
        return ERR_WAIT;
    }
    port->users++;
    set_number(&call->target, port->number);
    return ERR_OK;
}

void onc__port_leave(struct onc_client_call *call, bool failed)
{
    struct onc_client_port *port = call->port;

    if (port == NULL)
        return;
    call->port = NULL;
    list_remove(&call->link); /* off a stream it is already; off the waiters now */
    if (port->number == 0)
        return; /* the question goes on: its answer is good for the next one */
    port->users--;
    if (failed || port->stale)
        retire(port);
}

void onc__ports_close(struct onc_client *client)
{
    while (!list_is_empty(&client->ports))
        retire(list_first(&client->ports, struct onc_client_port, link));
}
