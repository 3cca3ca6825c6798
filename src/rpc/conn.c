/*
 * conn.c - a stream connection of a service: records in, calls served, our own calls answered.
 *
 * The happy path: net reads into the record reader's memory; each record that is whole is served at once;
 * the replies are written before the read callback returns. Taking out stops (`waiting`) when the share of
 * the turn is used up, when the connection has too much in flight or its peer does not read, or when the
 * server as a whole is at a limit. Then nothing more is read, either, and TCP holds the client back. It goes
 * on from the server's hook at the end of a turn, when a call ended, the send queue drained, or at once.
 *
 * Ends: the peer's, an error, a broken record, idle time, shutdown. All close the wire; onc__conn_gone comes
 * from the loop after that, detaches the calls in flight, fails our own calls, tells the watches and frees.
 */
#include "rpc/rpc_priv.h"
#include "dittofs/clock.h"
#include "dittofs/log.h"
#include "dittofs/random.h"
#include <stdlib.h>

enum {
    CONN_MAGIC = 0x6f636f6e,
    CALLS_PER_TURN = 64,
    BYTES_SHARE = 8,       /* a connection's part of the server's bytes in flight: one in this many */
    PARTIAL_MS = 60 * 1000 /* for a record to become complete */
};

/* ---- the wire: a socket ---- */

static void wire_send(void *wire, const struct bufpart *parts, int count)
{
    net_conn_send(wire, parts, count);
}

static void wire_flush(void *wire)
{
    net_conn_flush(wire);
}

static bool wire_is_congested(void *wire)
{
    return net_conn_is_congested(wire);
}

static void wire_resume_reading(void *wire)
{
    net_conn_resume_reading(wire);
}

static void wire_close(void *wire, bool drain)
{
    net_conn_close(wire, drain);
}

const struct onc__wire onc__conn_wire = {
    .send = wire_send,
    .flush = wire_flush,
    .is_congested = wire_is_congested,
    .resume_reading = wire_resume_reading,
    .close = wire_close,
};

static struct onc_conn *conn_of(void *owner)
{
    struct onc_conn *conn = owner;

    invariant(conn->magic == CONN_MAGIC);
    return conn;
}

static uint8_t *on_space(struct net_conn *net, void *owner, size_t *length_r)
{
    (void)net;
    return onc__conn_space(conn_of(owner), length_r);
}

static void on_received(struct net_conn *net, void *owner, size_t length)
{
    (void)net;
    onc__conn_received(conn_of(owner), length);
}

static void on_drained(struct net_conn *net, void *owner)
{
    struct onc_conn *conn = conn_of(owner);

    (void)net;
    if (conn->waiting)
        onc__conn_ready(conn);
}

static void on_closed(struct net_conn *net, void *owner, enum err why)
{
    struct onc_conn *conn = conn_of(owner);
    char text[NET_ADDRESS_TEXT];

    (void)net;
    log_debug("rpc: connection %llu from %s is gone: %s", (unsigned long long)conn->id,
              net_address_format(&conn->peer, text), err_text(why));
    onc__conn_gone(conn);
}

const struct net_conn_events onc__conn_events = {
    .space = on_space, .received = on_received, .drained = on_drained, .closed = on_closed};

/* ---- taking out ---- */

static bool is_over_limit(const struct onc_conn *conn)
{
    const struct onc_limits *limits = &conn->server->limits;

    return conn->call_count >= limits->calls_per_connection ||
           conn->call_bytes >= limits->bytes_total / BYTES_SHARE || conn->wire->is_congested(conn->wire_data);
}

/* Waits until a limit of the whole server is no longer reached. */
static void wait_for_server(struct onc_conn *conn)
{
    conn->waiting = true;
    list_remove(&conn->ready_link);
    list_push_back(&conn->server->blocked, &conn->ready_link);
}

void onc__conn_ready(struct onc_conn *conn)
{
    if (conn->closing)
        return;
    conn->waiting = true;
    list_remove(&conn->ready_link);
    list_push_back(&conn->server->ready, &conn->ready_link);
    loop_wake(conn->server->loop);
}

static void close_broken(struct onc_conn *conn, const char *what)
{
    char text[NET_ADDRESS_TEXT];

    conn->server->counters.bad_records++;
    log_debug("rpc: %s from %s", what, net_address_format(&conn->peer, text));
    onc__conn_close(conn, true);
}

static bool serve_record(struct onc_conn *conn, struct onc__record *record)
{
    struct reader reader = reader_of(record->data, record->length);
    uint32_t xid, type;

    if (reader_be32(&reader, &xid) && reader_be32(&reader, &type) && type == ONC__REPLY) {
        onc__callbacks_reply(conn, xid, reader);
        onc__block_put(&record->block);
        return true;
    }
    return onc__call_serve(conn->service, conn, NULL, &conn->peer, &conn->local, record, conn->received_ns);
}

static void take_out(struct onc_conn *conn)
{
    unsigned share = CALLS_PER_TURN;

    while (!conn->closing && !conn->waiting && !conn->server->shutting_down) {
        struct onc__record record;

        if (is_over_limit(conn)) {
            conn->waiting = true;
        } else if (onc__server_is_full(conn->server)) {
            wait_for_server(conn);
        } else if (share-- == 0) {
            onc__conn_ready(conn);
        } else {
            switch (onc__records_next(&conn->records, &record)) {
            case ONC__NEXT_RECORD:
                conn->partial_since_ms = 0;
                if (!serve_record(conn, &record))
                    close_broken(conn, "a message that is no call");
                break;
            case ONC__NEXT_NEED_BYTES:
                onc__records_rest(&conn->records);
                return;
            case ONC__NEXT_NEED_MEMORY:
                wait_for_server(conn);
                break;
            case ONC__NEXT_BROKEN:
                close_broken(conn, "a broken record");
                break;
            }
        }
    }
}

uint8_t *onc__conn_space(struct onc_conn *conn, size_t *length_r)
{
    uint8_t *space;

    if (conn->waiting || conn->closing || conn->server->shutting_down)
        return NULL;
    space = onc__records_space(&conn->records, length_r);
    if (space == NULL)
        wait_for_server(conn);
    return space;
}

void onc__conn_received(struct onc_conn *conn, size_t length)
{
    conn->server->counters.bytes_received += length;
    conn->received_ns = clock_monotonic_ns();
    conn->active_ms = conn->received_ns / 1000000;
    onc__records_received(&conn->records, length);
    take_out(conn);
}

void onc__conn_continue(struct onc_conn *conn)
{
    conn->waiting = false;
    if (conn->server->shutting_down)
        return;
    conn->received_ns = clock_monotonic_ns();
    take_out(conn);
    if (conn->closing)
        return;
    conn->wire->flush(conn->wire_data);
    if (!conn->waiting)
        conn->wire->resume_reading(conn->wire_data);
}

/* ---- life ---- */

static bool judge(struct onc__records *records, const uint8_t *head, size_t head_length, size_t record_length)
{
    struct onc_conn *conn = container_of(records, struct onc_conn, records);

    return onc__call_judge(conn, head, head_length, record_length);
}

struct onc_conn *onc__conn_new(struct onc_service *service, const struct onc__wire *wire, void *wire_data,
                               const struct net_address *peer, const struct net_address *local)
{
    struct onc_server *server = service->server;
    struct onc_conn *conn = calloc(1, sizeof *conn);

    if (conn == NULL)
        return NULL;
    conn->magic = CONN_MAGIC;
    conn->server = server;
    conn->service = service;
    conn->wire = wire;
    conn->wire_data = wire_data;
    conn->id = server->next_conn_id++;
    conn->peer = *peer;
    conn->local = *local;
    conn->next_xid = (uint32_t)random_u64();
    conn->active_ms = clock_monotonic_ms();
    list_init(&conn->ready_link);
    list_init(&conn->calls);
    list_init(&conn->watches);
    list_init(&conn->callbacks);
    onc__records_init(&conn->records, &server->memory, server->limits.record_bytes_max);
    conn->records.judge = judge;
    list_push_back(&server->conns, &conn->link);
    server->counters.connections++;
    server->counters.connections_now++;
    return conn;
}

void onc__conn_close(struct onc_conn *conn, bool drain)
{
    if (!conn->closing) {
        conn->closing = true;
        list_remove(&conn->ready_link);
    }
    conn->wire->close(conn->wire_data, drain);
}

void onc__conn_gone(struct onc_conn *conn)
{
    struct onc_server *server = conn->server;

    conn->closing = true;
    conn->waiting = false;
    list_remove(&conn->ready_link);
    while (!list_is_empty(&conn->calls)) {
        struct onc__call *call = list_first(&conn->calls, struct onc__call, link);

        list_remove(&call->link);
        call->conn = NULL;
    }
    onc__callbacks_fail(conn);
    while (!list_is_empty(&conn->watches)) {
        struct onc_conn_watch *watch = list_first(&conn->watches, struct onc_conn_watch, link);

        list_remove(&watch->link);
        watch->gone(watch);
    }
    onc__records_free(&conn->records);
    list_remove(&conn->link);
    conn->magic = 0;
    free(conn);
    server->counters.connections_now--;
    if (!list_is_empty(&server->blocked))
        onc__server_unblock(server);
    if (server->shutting_down)
        loop_wake(server->loop);
}

void onc__conn_sweep(struct onc_conn *conn, uint64_t now_ms)
{
    uint64_t idle_ms = conn->server->limits.idle_ms;

    if (conn->closing)
        return;
    if (conn->call_count > 0 || conn->callback_count > 0 || conn->waiting) {
        conn->active_ms = now_ms;
        conn->partial_since_ms = 0;
        return;
    }
    if (onc__records_has_partial(&conn->records)) {
        if (conn->partial_since_ms == 0)
            conn->partial_since_ms = now_ms;
        else if (now_ms - conn->partial_since_ms >= (idle_ms < PARTIAL_MS ? idle_ms : PARTIAL_MS))
            close_broken(conn, "a record that does not come to its end");
        return;
    }
    if (now_ms >= conn->active_ms + idle_ms)
        onc__conn_close(conn, true);
}

/* ---- what programs see ---- */

void onc_conn_watch_add(struct onc_conn *conn, struct onc_conn_watch *watch)
{
    list_push_back(&conn->watches, &watch->link);
}

void onc_conn_watch_remove(struct onc_conn_watch *watch)
{
    list_remove(&watch->link);
}

uint64_t onc_conn_id(const struct onc_conn *conn)
{
    return conn->id;
}

void onc_conn_close(struct onc_conn *conn)
{
    onc__conn_close(conn, true);
}
