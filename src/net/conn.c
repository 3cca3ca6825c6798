/*
 * conn.c - stream connections.
 *
 * The happy path: the poll handle says readable; the owner's `space` is asked for memory, recv fills it,
 * `received` handles it and queues answers, which one sendmsg writes before the poll callback returns. What
 * is sent at other times (a suspended request that ends) is written by a hook at the end of the turn. When
 * the socket is full the handle waits for writable, too, and a timer cuts a peer that takes nothing.
 *
 * Ends: the owner closes, the peer does, an error, a stall. All go through net__conn_end, which stops
 * everything at once; the owner hears of it from the handle's close callback, as the last thing, and the
 * memory goes there. So no callback runs inside a call of the owner's, and none after `closed`.
 */
#include "net/net_priv.h"
#include "dittofs/log.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CONN_MAGIC = 0x6e636f6e,
    READ_SHARE = 1 << 19,       /* bytes that one connection may read in a turn */
    EAGER_BYTES = 2 << 20,      /* queued, are written at once, while the processor's cache has them */
    SEND_QUEUE_BYTES = 2 << 20, /* defaults of struct net_limits */
    SEND_QUEUES_BYTES = 256 << 20,
    STALLED_MS = 60 * 1000
};

static void on_poll(uv_poll_t *poll, int status, int events);
static void on_flush(struct loop_hook *hook);
static void on_stalled(struct loop_timer *timer);

enum err net__conn_new(struct loop *loop, int fd, const struct net_address *peer,
                       const struct net_limits *limits, struct net_conn **conn_r)
{
    struct net_conn *conn = calloc(1, sizeof *conn);
    enum err err = ERR_NOMEM;
    int status;

    if (conn == NULL)
        goto err_after_fd;
    status = uv_poll_init(loop_uv(loop), &conn->poll, fd);
    if (status != 0) {
        err = net__error(-status);
        goto err_after_conn;
    }
    conn->magic = CONN_MAGIC;
    conn->state = NET_CONN_OPEN;
    conn->fd = fd;
    conn->loop = loop;
    conn->peer = *peer;
    conn->flush.callback = on_flush;
    conn->stalled.callback = on_stalled;
    conn->send_queue_bytes =
        limits != NULL && limits->send_queue_bytes != 0 ? limits->send_queue_bytes : SEND_QUEUE_BYTES;
    conn->send_queues_bytes =
        limits != NULL && limits->send_queues_bytes != 0 ? limits->send_queues_bytes : SEND_QUEUES_BYTES;
    conn->stalled_ms = limits != NULL && limits->stalled_ms != 0 ? limits->stalled_ms : STALLED_MS;
    list_init(&conn->link);
    net__queue_init(&conn->queue);
    *conn_r = conn;
    return ERR_OK;

err_after_conn:
    free(conn);
err_after_fd:
    close(fd);
    return err;
}

static struct net_conn *conn_of(uv_poll_t *poll)
{
    struct net_conn *conn = container_of(poll, struct net_conn, poll);

    invariant(conn->magic == CONN_MAGIC);
    return conn;
}

static void on_closed(uv_handle_t *handle)
{
    struct net_conn *conn = conn_of((uv_poll_t *)handle);
    struct net_listener *listener = conn->listener;

    close(conn->fd);
    if (conn->connected != NULL)
        conn->connected(conn, conn->owner, conn->why);
    else if (conn->events != NULL)
        conn->events->closed(conn, conn->owner, conn->why);
    list_remove(&conn->link);
    net__queue_free(&conn->queue);
    conn->magic = 0;
    free(conn);
    if (listener != NULL) {
        listener->connection_count--;
        net__listener_unref(listener);
    }
}

void net__conn_end(struct net_conn *conn, enum err why)
{
    if (conn->state == NET_CONN_CLOSED)
        return;
    conn->state = NET_CONN_CLOSED;
    conn->why = why;
    loop_timer_stop(&conn->stalled);
    if (conn->hooked)
        loop_hook_remove(&conn->flush);
    conn->hooked = false;
    net__queue_free(&conn->queue);
    uv_close((uv_handle_t *)&conn->poll, on_closed);
}

void net__conn_watch(struct net_conn *conn)
{
    int events = 0;
    int status;

    switch (conn->state) {
    case NET_CONN_CONNECTING:
        events = UV_WRITABLE;
        break;
    case NET_CONN_OPEN:
        events = (conn->paused ? 0 : UV_READABLE) | (conn->full ? UV_WRITABLE : 0);
        break;
    case NET_CONN_DRAINING:
        events = conn->full ? UV_WRITABLE : 0;
        break;
    case NET_CONN_CLOSED:
        return;
    }
    if (events == conn->watched)
        return;
    conn->watched = events;
    status = events != 0 ? uv_poll_start(&conn->poll, events, on_poll) : uv_poll_stop(&conn->poll);
    if (status != 0)
        net__conn_end(conn, net__error(-status));
}

/* ---- writing ---- */

static void write_queued(struct net_conn *conn)
{
    size_t written = 0;
    enum err err;
    bool was_full = conn->full;

    if (conn->state != NET_CONN_OPEN && conn->state != NET_CONN_DRAINING)
        return;
    if (conn->queue.count > 0) {
        err = net__queue_write(&conn->queue, conn->fd, &written);
        if (err != ERR_OK) {
            net__conn_end(conn, err);
            return;
        }
    }
    conn->full = conn->queue.count > 0;
    if (conn->full && (written > 0 || !was_full))
        loop_timer_start(conn->loop, &conn->stalled, conn->stalled_ms, 0);
    else if (!conn->full && was_full)
        loop_timer_stop(&conn->stalled);
    if (conn->state == NET_CONN_DRAINING && !conn->full)
        net__conn_end(conn, ERR_OK);
    else
        net__conn_watch(conn);
}

/* How much may be queued. Many peers that read nothing must not fill the memory together: above the limit of
 * all, each one's replies have to leave before it gets more. */
static size_t queue_limit(const struct net_conn *conn)
{
    return net__queues_bytes() > conn->send_queues_bytes ? 0 : conn->send_queue_bytes;
}

/* Only from the loop, as it calls the owner. */
static void flush_queue(struct net_conn *conn)
{
    write_queued(conn);
    if (conn->state == NET_CONN_OPEN && conn->congested && conn->queue.bytes <= queue_limit(conn) / 2) {
        conn->congested = false;
        conn->events->drained(conn, conn->owner);
    }
}

static void on_flush(struct loop_hook *hook)
{
    struct net_conn *conn = container_of(hook, struct net_conn, flush);

    loop_hook_remove(hook);
    conn->hooked = false;
    flush_queue(conn);
}

static void flush_later(struct net_conn *conn)
{
    if (conn->hooked || conn->in_poll)
        return;
    conn->hooked = true;
    loop_hook_add(conn->loop, &conn->flush);
    loop_wake(conn->loop);
}

static void on_stalled(struct loop_timer *timer)
{
    struct net_conn *conn = container_of(timer, struct net_conn, stalled);

    net__conn_end(conn, ERR_LIMIT);
}

void net_conn_send(struct net_conn *conn, const struct bufpart *parts, int count)
{
    if (conn->state != NET_CONN_OPEN)
        return;
    if (!net__queue_add(&conn->queue, parts, count)) {
        net__conn_end(conn, ERR_NOMEM);
        return;
    }
    if (!conn->full && conn->queue.bytes >= EAGER_BYTES) {
        write_queued(conn);
        if (conn->state != NET_CONN_OPEN)
            return;
    }
    if (conn->queue.bytes > queue_limit(conn))
        conn->congested = true;
    /* A full socket says by itself when it takes more. */
    if (!conn->full && (conn->queue.count > 0 || conn->congested))
        flush_later(conn);
}

void net_conn_flush(struct net_conn *conn)
{
    if (conn->full)
        return;
    write_queued(conn);
    if (conn->state == NET_CONN_OPEN && conn->congested)
        flush_later(conn);
}

bool net_conn_is_congested(struct net_conn *conn)
{
    if (conn->queue.bytes <= queue_limit(conn))
        return false;
    conn->congested = true; /* perhaps by the queues of others, since the last send */
    return true;
}

size_t net_conn_queued_bytes(const struct net_conn *conn)
{
    return conn->queue.bytes;
}

enum net_delivery net_conn_delivery(const struct net_conn *conn, uint64_t within_ms)
{
    enum net_delivery delivery = net__socket_delivery(conn->fd, within_ms);

    return delivery == NET_DELIVERED && conn->queue.bytes > 0 ? NET_DELIVERING : delivery;
}

/* ---- reading ---- */

static void read_some(struct net_conn *conn)
{
    size_t share = READ_SHARE;

    while (conn->state == NET_CONN_OPEN && !conn->paused) {
        size_t length = 0;
        uint8_t *space = conn->events->space(conn, conn->owner, &length);
        ssize_t got;

        if (conn->state != NET_CONN_OPEN)
            return;
        if (space == NULL) {
            conn->paused = true;
            net__conn_watch(conn);
            return;
        }
        got = recv(conn->fd, space, length, MSG_DONTWAIT);
        if (got == 0) {
            net__conn_end(conn, ERR_OK);
            return;
        }
        if (got < 0) {
            if (errno == EINTR)
                continue;
            if (errno != EAGAIN && errno != EWOULDBLOCK)
                net__conn_end(conn, net__error(errno));
            return;
        }
        conn->events->received(conn, conn->owner, (size_t)got);
        /* A short read emptied the socket: asking once more would be a system call for nothing. */
        if ((size_t)got < length || (size_t)got >= share)
            return;
        share -= (size_t)got;
    }
}

static void finish_connect(struct net_conn *conn)
{
    void (*connected)(struct net_conn *, void *, enum err) = conn->connected;
    int error = 0;
    socklen_t length = sizeof error;
    enum err err = ERR_OK;

    if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0)
        error = errno;
    if (error != 0)
        err = net__error(error);
    if (err == ERR_OK)
        err = net__socket_local(conn->fd, &conn->local);
    if (err != ERR_OK) {
        net__conn_end(conn, err);
        return;
    }
    conn->state = NET_CONN_OPEN;
    conn->connected = NULL;
    net__conn_watch(conn);
    if (conn->state == NET_CONN_OPEN)
        connected(conn, conn->owner, ERR_OK);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct net_conn *conn = conn_of(poll);

    if (status < 0)
        conn->watched = 0; /* libuv has stopped the handle */
    conn->in_poll = true;
    if (conn->state == NET_CONN_CONNECTING)
        finish_connect(conn);
    else if (status < 0)
        net__conn_end(conn, ERR_NETWORK);
    else if ((events & UV_READABLE) != 0)
        read_some(conn);
    conn->in_poll = false;
    if ((conn->queue.count > 0 || conn->congested) && (!conn->full || (events & UV_WRITABLE) != 0))
        flush_queue(conn);
}

void net_conn_resume_reading(struct net_conn *conn)
{
    if (!conn->paused)
        return;
    conn->paused = false;
    net__conn_watch(conn);
}

/* ---- the owner's side ---- */

void net_conn_set_events(struct net_conn *conn, const struct net_conn_events *events, void *owner)
{
    conn->events = events;
    conn->owner = owner;
}

const struct net_address *net_conn_peer(const struct net_conn *conn)
{
    return &conn->peer;
}

const struct net_address *net_conn_local(const struct net_conn *conn)
{
    return &conn->local;
}

void net_conn_close(struct net_conn *conn, bool drain)
{
    switch (conn->state) {
    case NET_CONN_CONNECTING:
        net__conn_end(conn, ERR_CANCELLED);
        break;
    case NET_CONN_OPEN:
        if (!drain || conn->queue.count == 0) {
            net__conn_end(conn, ERR_OK);
            break;
        }
        conn->state = NET_CONN_DRAINING;
        net__conn_watch(conn);
        if (conn->state == NET_CONN_DRAINING && !conn->full)
            flush_later(conn);
        break;
    case NET_CONN_DRAINING:
        if (!drain)
            net__conn_end(conn, ERR_OK);
        break;
    case NET_CONN_CLOSED:
        break;
    }
}

void net_conn_reset(struct net_conn *conn)
{
    net__socket_linger_not(conn->fd);
    net__conn_end(conn, ERR_LIMIT);
}
