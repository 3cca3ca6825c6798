/*
 * client_stream.c - the connections that calls over TCP share, one for each address.
 *
 * A stream is in client->streams while calls may join it; from the moment it is known to go it is not, so a
 * call that is made because another one failed opens a new connection. Its memory goes with the last
 * callback of its connection, which comes after onc__streams_close, too: stream->client is NULL then.
 */
#include "dittofs/log.h"
#include "rpc/client_priv.h"
#include "rpc/rpc_priv.h"

#include <stdlib.h>

enum { REPLY_MAX = 256 * 1024 };

struct onc_client_stream {
    struct onc_client *client;
    struct list link;
    struct net_address to, from;
    struct net_conn *conn;
    bool connected;
    struct list calls; /* sent, or to be sent when it is connected */
    struct onc__records records;
    struct loop_timer idle;
};

static bool same_source(const struct net_address *a, const struct net_address *b)
{
    if (a->sa.any.sa_family == AF_UNSPEC || b->sa.any.sa_family == AF_UNSPEC)
        return a->sa.any.sa_family == b->sa.any.sa_family;
    return net_address_same_host(a, b);
}

static struct onc_client_stream *find(struct onc_client *client, const struct net_address *to,
                                      const struct net_address *from)
{
    struct list *link;

    list_for_each(link, &client->streams)
    {
        struct onc_client_stream *stream = container_of(link, struct onc_client_stream, link);

        if (net_address_same_host(&stream->to, to) && net_address_port(&stream->to) == net_address_port(to) &&
            same_source(&stream->from, from))
            return stream;
    }
    return NULL;
}

/* No call may join any more, and nothing is received. */
static void detach(struct onc_client_stream *stream)
{
    if (stream->client == NULL)
        return;
    loop_timer_stop(&stream->idle);
    list_remove(&stream->link);
    onc__records_free(&stream->records);
    stream->client->counters.connections_now--;
    stream->client = NULL;
}

/* Its calls fail; each may do anything in its DONE. */
static void fail_calls(struct list *calls)
{
    while (!list_is_empty(calls)) {
        struct onc_client_call *call = list_first(calls, struct onc_client_call, link);

        onc__client_finish(call, ERR_NETWORK, NULL);
    }
}

static void gone(struct onc_client_stream *stream)
{
    detach(stream);
    fail_calls(&stream->calls);
    free(stream);
}

static uint8_t *on_space(struct net_conn *conn, void *owner, size_t *length_r)
{
    struct onc_client_stream *stream = owner;
    uint8_t *space = stream->client == NULL ? NULL : onc__records_space(&stream->records, length_r);

    /* Without memory for a reply the connection is of no use. */
    if (space == NULL)
        net_conn_close(conn, false);
    return space;
}

static void on_received(struct net_conn *conn, void *owner, size_t length)
{
    struct onc_client_stream *stream = owner;
    struct onc__record record;
    enum onc__next next = ONC__NEXT_NEED_BYTES;

    if (stream->client == NULL)
        return;
    onc__records_received(&stream->records, length);
    /* A DONE may close the whole client. */
    while (stream->client != NULL &&
           (next = onc__records_next(&stream->records, &record)) == ONC__NEXT_RECORD) {
        onc__client_take(stream->client, stream, NULL, reader_of(record.data, record.length));
        onc__block_put(&record.block);
    }
    if (stream->client == NULL)
        return;
    if (next == ONC__NEXT_NEED_BYTES)
        onc__records_rest(&stream->records);
    else
        net_conn_close(conn, false);
}

static void on_drained(struct net_conn *conn, void *owner)
{
    (void)conn;
    (void)owner;
}

static void on_closed(struct net_conn *conn, void *owner, enum err why)
{
    (void)conn;
    (void)why;
    gone(owner);
}

static const struct net_conn_events events = {
    .space = on_space,
    .received = on_received,
    .drained = on_drained,
    .closed = on_closed,
};

static void send_now(struct onc_client_call *call)
{
    struct bufpart part = {.data = call->message, .length = call->message_length};

    net_conn_send(call->stream->conn, &part, 1);
}

static void on_connected(struct net_conn *conn, void *owner, enum err err)
{
    struct onc_client_stream *stream = owner;
    struct list *link;

    (void)conn;
    if (err != ERR_OK) {
        gone(stream);
        return;
    }
    stream->connected = true;
    list_for_each(link, &stream->calls) send_now(container_of(link, struct onc_client_call, link));
}

static void on_idle(struct loop_timer *timer)
{
    struct onc_client_stream *stream = container_of(timer, struct onc_client_stream, idle);
    struct net_conn *conn = stream->conn;

    detach(stream);
    net_conn_close(conn, false);
}

static bool judge(struct onc__records *records, const uint8_t *head, size_t head_length, size_t record_length)
{
    (void)records;
    (void)head;
    (void)head_length;
    return record_length <= REPLY_MAX;
}

static enum err open_stream(struct onc_client *client, const struct net_address *to,
                            const struct net_address *from, struct onc_client_stream **stream_r)
{
    struct onc_client_stream *stream;
    enum err err;

    if (client->counters.connections_now >= client->options.connections_max)
        return ERR_LIMIT;
    stream = calloc(1, sizeof *stream);
    if (stream == NULL)
        return ERR_NOMEM;
    stream->to = *to;
    stream->from = *from;
    list_init(&stream->calls);
    stream->idle.callback = on_idle;
    onc__records_init(&stream->records, &client->memory, REPLY_MAX);
    stream->records.judge = judge;
    err = net_connect_from(client->loop, to, from, &events, stream, on_connected, &stream->conn);
    if (err != ERR_OK) {
        onc__records_free(&stream->records);
        free(stream);
        return err;
    }
    stream->client = client;
    list_push_back(&client->streams, &stream->link);
    client->counters.connections++;
    client->counters.connections_now++;
    *stream_r = stream;
    return ERR_OK;
}

enum err onc__stream_send(struct onc_client_call *call)
{
    struct onc_client_stream *stream = find(call->client, &call->target, &call->from);

    if (stream == NULL) {
        enum err err = open_stream(call->client, &call->target, &call->from, &stream);

        if (err != ERR_OK)
            return err;
    }
    loop_timer_stop(&stream->idle);
    call->stream = stream;
    list_push_back(&stream->calls, &call->link);
    if (stream->connected)
        send_now(call);
    return ERR_OK;
}

void onc__stream_leave(struct onc_client_call *call)
{
    struct onc_client_stream *stream = call->stream;

    if (stream == NULL)
        return;
    call->stream = NULL;
    list_remove(&call->link);
    if (stream->client != NULL && list_is_empty(&stream->calls))
        loop_timer_start(stream->client->loop, &stream->idle, stream->client->options.idle_ms, 0);
}

void onc__streams_close(struct onc_client *client)
{
    while (!list_is_empty(&client->streams)) {
        struct onc_client_stream *stream = list_first(&client->streams, struct onc_client_stream, link);
        struct net_conn *conn = stream->conn;

        detach(stream);
        net_conn_close(conn, false);
    }
}
