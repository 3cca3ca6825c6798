/*
 * callback.c - our own calls to a program of the peer, over the connection that it opened (the backchannel,
 * RFC 8881 2.10.3.1).
 *
 * A call is in its connection's list from onc_conn_call until its DONE was called or it was cancelled.
 * The xids count up from a random number, so that a reply that comes after the time-out matches nothing.
 */
#include "rpc/rpc_priv.h"
#include "dittofs/clock.h"
#include <stdlib.h>

enum {
    CALLBACKS_MAX = 1024, /* under way on a connection */
    HEADER_MAX = 512      /* of a call: ten words, a machine name, and a few more */
};

static void set_timer(struct onc_conn *conn);

static void take(struct onc_callback *callback)
{
    list_remove(&callback->link);
    callback->conn->callback_count--;
    callback->conn = NULL;
}

static void on_timer(struct loop_timer *timer)
{
    struct onc_conn *conn = container_of(timer, struct onc_conn, callback_timer);
    uint64_t now_ms = clock_monotonic_ms();
    struct list due, *link, *following;

    /* Collected first: DONE may cancel any other. */
    list_init(&due);
    list_for_each_safe(link, following, &conn->callbacks)
    {
        if (container_of(link, struct onc_callback, link)->due_ms <= now_ms) {
            list_remove(link);
            list_push_back(&due, link);
        }
    }
    while (!list_is_empty(&due)) {
        struct onc_callback *callback = list_first(&due, struct onc_callback, link);

        take(callback);
        callback->done(callback, ERR_EXPIRED, NULL);
    }
    set_timer(conn);
}

static void set_timer(struct onc_conn *conn)
{
    uint64_t first_ms = UINT64_MAX, now_ms;
    struct list *link;

    list_for_each(link, &conn->callbacks)
    {
        const struct onc_callback *callback = container_of(link, struct onc_callback, link);

        if (callback->due_ms < first_ms)
            first_ms = callback->due_ms;
    }
    if (first_ms == UINT64_MAX) {
        loop_timer_stop(&conn->callback_timer);
        return;
    }
    now_ms = clock_monotonic_ms();
    conn->callback_timer.callback = on_timer;
    loop_timer_start(conn->server->loop, &conn->callback_timer, first_ms > now_ms ? first_ms - now_ms : 0, 0);
}

enum err onc_conn_call(struct onc_conn *conn, struct onc_callback *callback, const void *arguments,
                       size_t length)
{
    uint8_t header[HEADER_MAX];
    struct bufpart parts[2];
    struct writer writer;

    if (conn->closing || conn->server->shutting_down)
        return ERR_NETWORK;
    if (conn->callback_count >= CALLBACKS_MAX)
        return ERR_LIMIT;
    if (callback->credential.flavor != ONC_AUTH_NONE && callback->credential.flavor != ONC_AUTH_SYS)
        return ERR_NOTSUPP;
    callback->xid = conn->next_xid++;
    writer_init(&writer, header, sizeof header);
    writer_be32(&writer, 0);
    onc__call_write(&writer, callback);
    if (writer.failed || length > conn->server->limits.record_bytes_max - HEADER_MAX)
        return ERR_INVAL;
    writer_patch_be32(&writer, 0, 0x80000000u | (uint32_t)(writer.length - ONC__MARKER + length));
    parts[0] = (struct bufpart){.data = header, .length = writer.length};
    parts[1] = (struct bufpart){.data = arguments, .length = length};
    conn->server->counters.bytes_sent += writer.length + length;
    conn->wire->send(conn->wire_data, parts, 2);
    callback->conn = conn;
    if (__builtin_add_overflow(clock_monotonic_ms(), callback->timeout_ms, &callback->due_ms))
        callback->due_ms = UINT64_MAX;
    list_push_back(&conn->callbacks, &callback->link);
    conn->callback_count++;
    set_timer(conn);
    return ERR_OK;
}

void onc_callback_cancel(struct onc_callback *callback)
{
    if (callback->conn != NULL)
        take(callback); /* the timer finds nothing due then */
}

void onc__callbacks_reply(struct onc_conn *conn, uint32_t xid, struct reader reader)
{
    struct list *link;

    list_for_each(link, &conn->callbacks)
    {
        struct onc_callback *callback = container_of(link, struct onc_callback, link);
        enum err err;

        if (callback->xid != xid)
            continue;
        take(callback);
        err = onc__reply_read(&reader);
        callback->done(callback, err, err == ERR_OK ? &reader : NULL);
        return;
    }
}

void onc__callbacks_fail(struct onc_conn *conn)
{
    loop_timer_stop(&conn->callback_timer);
    while (!list_is_empty(&conn->callbacks)) {
        struct onc_callback *callback = list_first(&conn->callbacks, struct onc_callback, link);

        take(callback);
        callback->done(callback, ERR_NETWORK, NULL);
    }
}
