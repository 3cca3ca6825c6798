/*
 * client.c - calls of our own to other hosts.
 *
 * The happy path: onc_client_call builds the message; its port is known, remembered or asked for
 * (client_port.c); it is sent as a datagram or over a connection (client_stream.c); the reply is found by its
 * xid; DONE is called. What does not come is sent again (UDP) by the call's own timer, which also ends it.
 *
 * A call is in `calls` from onc_client_call to its end. It waits for a port (call->port->waiters), or is on a
 * stream, or was sent as a datagram; call->port stays known after that, so that a port at which nobody
 * answers is forgotten. Nothing here calls DONE from inside onc_client_call: failures that are known at once
 * come by the timer.
 *
 * A reply over UDP counts only when it comes from the host and port that was called: the xids begin at a
 * random number, but who can see them could answer for others.
 */
#include "dittofs/rpc_client.h"

#include "dittofs/clock.h"
#include "dittofs/log.h"
#include "dittofs/random.h"
#include "rpc/client_priv.h"
#include "rpc/rpc_priv.h"

#include <stdlib.h>
#include <string.h>

enum {
    DEFAULT_PORTMAP = 111,
    DEFAULT_CALLS = 4096,
    DEFAULT_CONNECTIONS = 512,
    DEFAULT_IDLE_MS = 30000,
    DEFAULT_PORT_MS = 300000,
    DEFAULT_TIMEOUT_MS = 30000,
    DEFAULT_RETRANSMIT_MS = 1000,
    RETRANSMIT_MOST_MS = 30000,
    MESSAGE_MAX = 64 * 1024,
    HEADER_MAX = 512,
    RECEIVE_BYTES = 32 << 20 /* of all connections' buffers */
};

static void on_timer(struct loop_timer *timer);

enum err onc_client_open(struct loop *loop, const struct onc_client_options *options,
                         struct onc_client **client_r)
{
    struct onc_client *client = calloc(1, sizeof *client);

    if (client == NULL)
        return ERR_NOMEM;
    client->loop = loop;
    if (options != NULL)
        client->options = *options;
    if (client->options.portmap_port == 0)
        client->options.portmap_port = DEFAULT_PORTMAP;
    if (client->options.calls_max == 0)
        client->options.calls_max = DEFAULT_CALLS;
    if (client->options.connections_max == 0)
        client->options.connections_max = DEFAULT_CONNECTIONS;
    if (client->options.idle_ms == 0)
        client->options.idle_ms = DEFAULT_IDLE_MS;
    if (client->options.port_ms == 0)
        client->options.port_ms = DEFAULT_PORT_MS;
    hashtable_init(&client->calls);
    client->next_xid = (uint32_t)random_u64();
    client->memory.bytes_max = RECEIVE_BYTES;
    list_init(&client->streams);
    list_init(&client->ports);
    *client_r = client;
    return ERR_OK;
}

/* ---- the end of a call ---- */

/* FAILED: nobody answered at the address. */
static void forget(struct onc_client_call *call, bool failed)
{
    struct onc_client *client = call->client;

    loop_timer_stop(&call->timer);
    hashtable_remove(&client->calls, &call->hashlink);
    client->counters.calls_now--;
    onc__stream_leave(call);
    onc__port_leave(call, failed);
    free(call->message);
    call->message = NULL;
    call->client = NULL;
}

void onc__client_finish(struct onc_client_call *call, enum err err, struct reader *results)
{
    forget(call, err == ERR_NETWORK || err == ERR_EXPIRED || err == ERR_NOTSUPP);
    call->done(call, err, err == ERR_OK ? results : NULL);
}

void onc_client_cancel(struct onc_client_call *call)
{
    if (call->client != NULL)
        forget(call, false);
}

void onc_client_close(struct onc_client **client_p)
{
    struct onc_client *client = *client_p;
    struct hashlink *link;

    *client_p = NULL;
    if (client == NULL)
        return;
    /* A port's own question is among the calls; the port goes after it. */
    while ((link = hashtable_walk(&client->calls, NULL)) != NULL)
        forget(container_of(link, struct onc_client_call, hashlink), false);
    onc__ports_close(client);
    onc__streams_close(client);
    for (size_t i = 0; i < sizeof client->sockets / sizeof client->sockets[0]; i++)
        net_datagram_close(&client->sockets[i]);
    onc__memory_free(&client->memory);
    hashtable_free(&client->calls);
    free(client);
}

/* ---- replies ---- */

static struct onc_client_call *find_call(const struct onc_client *client, uint32_t xid)
{
    struct hashlink *link = hashtable_find(&client->calls, xid);

    return link == NULL ? NULL : container_of(link, struct onc_client_call, hashlink);
}

void onc__client_take(struct onc_client *client, const struct onc_client_stream *stream,
                      const struct net_address *from, struct reader reader)
{
    struct onc_client_call *call;
    uint32_t xid, type;
    enum err err;

    if (!reader_be32(&reader, &xid) || !reader_be32(&reader, &type) || type != ONC__REPLY)
        return;
    call = find_call(client, xid);
    if (call == NULL || call->stream != stream)
        return;
    if (stream == NULL && (call->transport != ONC_UDP || !net_address_same_host(from, &call->target) ||
                           net_address_port(from) != net_address_port(&call->target)))
        return;
    err = onc__reply_read(&reader);
    onc__client_finish(call, err, &reader);
}

static void on_datagram(struct net_datagram *datagram, void *data, const struct net_address *from,
                        const struct net_address *to, const uint8_t *bytes, size_t length)
{
    (void)datagram;
    (void)to;
    onc__client_take(data, NULL, from, reader_of(bytes, length));
}

/* ---- sending ---- */

static enum err open_socket(struct onc_client *client, int family, struct net_datagram **socket_r)
{
    struct net_datagram **socket = &client->sockets[family == AF_INET6 ? 1 : 0];
    struct net_address any = {.sa.any.sa_family = (sa_family_t)family};
    enum err err = ERR_OK;

    if (*socket == NULL)
        err = net_datagram_open(client->loop, &any, on_datagram, client, socket);
    *socket_r = *socket;
    return err;
}

/* The wildcard is no source. */
static bool has_source(const struct onc_client_call *call)
{
    static const struct net_address any_v4 = {.sa.v4 = {.sin_family = AF_INET}};
    static const struct net_address any_v6 = {.sa.v6 = {.sin6_family = AF_INET6}};

    return call->from.sa.any.sa_family == call->target.sa.any.sa_family &&
           !net_address_same_host(&call->from, &any_v4) && !net_address_same_host(&call->from, &any_v6);
}

static enum err send_datagram(struct onc_client_call *call)
{
    struct net_datagram *socket;
    enum err err = open_socket(call->client, call->target.sa.any.sa_family, &socket);

    if (err == ERR_OK)
        net_datagram_send(socket, &call->target, has_source(call) ? &call->from : NULL,
                          call->message + ONC__MARKER, call->message_length - ONC__MARKER);
    return err;
}

static void set_timer(struct onc_client_call *call)
{
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t left_ms = call->due_ms > now_ms ? call->due_ms - now_ms : 0;

    if (call->transport == ONC_UDP && call->wait_ms != 0 && call->wait_ms < left_ms)
        left_ms = call->wait_ms;
    loop_timer_start(call->client->loop, &call->timer, left_ms, 0);
}

void onc__client_send(struct onc_client_call *call)
{
    enum err err = call->transport == ONC_UDP ? send_datagram(call) : onc__stream_send(call);

    if (err != ERR_OK) {
        log_debug("rpc: a call can't be sent: %s", err_text(err));
        call->wait_ms = 0;
        call->due_ms = 0; /* the timer ends it */
        loop_timer_start(call->client->loop, &call->timer, 0, 0);
        return;
    }
    call->wait_ms = call->retransmit_ms != 0 ? call->retransmit_ms : DEFAULT_RETRANSMIT_MS;
    set_timer(call);
}

static void on_timer(struct loop_timer *timer)
{
    struct onc_client_call *call = container_of(timer, struct onc_client_call, timer);

    if (call->due_ms == 0) {
        onc__client_finish(call, ERR_NETWORK, NULL);
        return;
    }
    if (clock_monotonic_ms() >= call->due_ms) {
        onc__client_finish(call, ERR_EXPIRED, NULL);
        return;
    }
    /* What can't be sent this time may be sent the next. */
    if (send_datagram(call) == ERR_OK)
        call->client->counters.retransmissions++;
    if (call->wait_ms < RETRANSMIT_MOST_MS)
        call->wait_ms *= 2;
    set_timer(call);
}

/* Header, then arguments; room for a record marker in front. */
static enum err build(struct onc_client_call *call, const void *arguments, size_t length)
{
    struct onc_callback header = {.program = call->program,
                                  .version = call->version,
                                  .procedure = call->procedure,
                                  .credential = call->credential,
                                  .xid = call->xid};
    struct writer writer;

    if (call->credential.flavor != ONC_AUTH_NONE && call->credential.flavor != ONC_AUTH_SYS)
        return ERR_NOTSUPP;
    if (length > MESSAGE_MAX)
        return ERR_INVAL;
    call->message = malloc(HEADER_MAX + length);
    if (call->message == NULL)
        return ERR_NOMEM;
    writer_init(&writer, call->message, HEADER_MAX + length);
    writer_be32(&writer, 0);
    onc__call_write(&writer, &header);
    writer_bytes(&writer, arguments, length);
    invariant(!writer.failed);
    writer_patch_be32(&writer, 0, 0x80000000u | (uint32_t)(writer.length - ONC__MARKER));
    call->message_length = writer.length;
    return ERR_OK;
}

enum err onc_client_call(struct onc_client *client, struct onc_client_call *call, const void *arguments,
                         size_t length)
{
    enum err err;

    invariant(call->client == NULL);
    if (client->counters.calls_now >= client->options.calls_max)
        return ERR_LIMIT;
    do {
        call->xid = client->next_xid++;
    } while (find_call(client, call->xid) != NULL);
    err = build(call, arguments, length);
    if (err != ERR_OK)
        return err;
    if (!hashtable_insert(&client->calls, &call->hashlink, call->xid)) {
        free(call->message);
        call->message = NULL;
        return ERR_NOMEM;
    }
    call->client = client;
    list_init(&call->link);
    call->timer = (struct loop_timer){.callback = on_timer};
    call->target = call->to;
    call->stream = NULL;
    call->port = NULL;
    call->wait_ms = 0;
    call->due_ms =
        clock_monotonic_ms() + (call->timeout_ms != 0 ? call->timeout_ms : (uint64_t)DEFAULT_TIMEOUT_MS);
    client->counters.calls++;
    client->counters.calls_now++;
    if (net_address_port(&call->to) != 0) {
        onc__client_send(call);
        return ERR_OK;
    }
    err = onc__port_find(call);
    if (err == ERR_OK)
        onc__client_send(call);
    else if (err == ERR_WAIT)
        set_timer(call);
    else
        forget(call, false);
    return err == ERR_WAIT ? ERR_OK : err;
}

void onc_client_counters(const struct onc_client *client, struct onc_client_counters *counters_r)
{
    *counters_r = client->counters;
}
