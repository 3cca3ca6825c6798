/*
 * listener.c - accepts connections, within limits.
 *
 * A connection over a limit is accepted and closed at once: left in the backlog, it would block those of
 * other hosts. When the process or system is out of descriptors, accepting pauses for a moment.
 * The listener's memory goes when it was closed, its handle is gone, and so is its last connection.
 */
#include "net/net_priv.h"
#include "dittofs/log.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    CONNECTIONS = 4096, /* default of struct net_limits */
    BACKLOG = 1024,
    ACCEPT_SHARE = 32, /* connections accepted in a turn */
    RETRY_MS = 100
};

void net__listener_unref(struct net_listener *listener)
{
    if (--listener->references == 0)
        free(listener);
}

/* Also counts those that are closing: they hold a descriptor still. */
static bool is_over_limit(const struct net_listener *listener, const struct net_address *peer)
{
    const struct list *link;
    uint32_t same = 0;

    if (listener->connection_count >= listener->limits.connections)
        return true;
    if (listener->connection_count < listener->limits.connections_per_host)
        return false;
    list_for_each(link, &listener->connections)
    {
        const struct net_conn *conn = container_of(link, const struct net_conn, link);

        if (net_address_same_host(&conn->peer, peer))
            same++;
    }
    return same >= listener->limits.connections_per_host;
}

static void refuse(struct net_listener *listener, int fd, const struct net_address *peer)
{
    char text[NET_ADDRESS_TEXT];
    uint64_t refused = ++listener->refused;

    /* The 1st, 2nd, 4th, 8th...: a peer must not be able to fill the log. */
    if ((refused & (refused - 1)) == 0)
        log_warning("net: connection from %s refused: limit reached (%llu so far)",
                    net_address_format(peer, text), (unsigned long long)refused);
    close(fd);
}

static void take(struct net_listener *listener, int fd, const struct net_address *peer)
{
    struct net_conn *conn;
    enum err err;

    err = net__conn_new(listener->loop, fd, peer, &listener->limits, &conn);
    if (err != ERR_OK) {
        log_warning("net: can't take a connection: %s", err_text(err));
        return;
    }
    conn->listener = listener;
    listener->references++;
    listener->connection_count++;
    list_push_back(&listener->connections, &conn->link);
    err = net__socket_local(fd, &conn->local);
    if (err != ERR_OK || !listener->accepted(conn, listener->data)) {
        conn->events = NULL;
        net__conn_end(conn, err);
        return;
    }
    net__conn_watch(conn);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct net_listener *listener = container_of(poll, struct net_listener, poll);

    (void)events;
    for (int i = 0; status == 0 && i < ACCEPT_SHARE && !listener->closed; i++) {
        struct sockaddr_storage storage = {0};
        socklen_t length = sizeof storage;
        struct net_address peer;
        int fd = accept4(listener->fd, (struct sockaddr *)&storage, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            net__address_set(&peer, &storage);
            if (is_over_limit(listener, &peer))
                refuse(listener, fd, &peer);
            else
                take(listener, fd, &peer);
            continue;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return;
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            log_warning("net: can't accept: %s", strerror(errno));
            uv_poll_stop(&listener->poll);
            loop_timer_start(listener->loop, &listener->retry, RETRY_MS, 0);
            return;
        }
        /* Others are about the one connection that came (accept(2), error handling). */
    }
    if (status < 0) {
        /* libuv has stopped the handle. */
        log_warning("net: listener failed: %s", uv_strerror(status));
        loop_timer_start(listener->loop, &listener->retry, RETRY_MS, 0);
    }
}

static void on_retry(struct loop_timer *timer)
{
    struct net_listener *listener = container_of(timer, struct net_listener, retry);

    if (uv_poll_start(&listener->poll, UV_READABLE, on_poll) != 0)
        loop_timer_start(listener->loop, timer, RETRY_MS, 0);
}

static void on_closed(uv_handle_t *handle)
{
    struct net_listener *listener = container_of((uv_poll_t *)handle, struct net_listener, poll);

    net__listener_unref(listener);
}

static void set_limits(struct net_listener *listener, const struct net_limits *limits)
{
    if (limits != NULL)
        listener->limits = *limits;
    if (listener->limits.connections == 0)
        listener->limits.connections = CONNECTIONS;
    if (listener->limits.connections_per_host == 0)
        listener->limits.connections_per_host = (listener->limits.connections + 1) / 2;
}

enum err net_listen(struct loop *loop, const struct net_address *address, const struct net_limits *limits,
                    bool (*accepted)(struct net_conn *conn, void *data), void *data,
                    struct net_listener **listener_r)
{
    struct net_listener *listener;
    struct net_address local;
    enum err err;
    int status;
    int fd;

    if (loop_uv(loop) == NULL)
        return ERR_NOTSUPP;
    err = net__socket_bind(address, SOCK_STREAM, &fd);
    if (err != ERR_OK)
        return err;
    net__socket_tune(fd); /* what is accepted inherits it (tcp(7)) */
    if (listen(fd, BACKLOG) != 0) {
        err = net__error(errno);
        goto err_after_fd;
    }
    err = net__socket_local(fd, &local);
    if (err != ERR_OK)
        goto err_after_fd;
    listener = calloc(1, sizeof *listener);
    if (listener == NULL) {
        err = ERR_NOMEM;
        goto err_after_fd;
    }
    listener->fd = fd;
    listener->loop = loop;
    listener->port = net_address_port(&local);
    listener->accepted = accepted;
    listener->data = data;
    listener->retry.callback = on_retry;
    listener->references = 1;
    list_init(&listener->connections);
    set_limits(listener, limits);
    status = uv_poll_init(loop_uv(loop), &listener->poll, fd);
    if (status != 0) {
        err = net__error(-status);
        goto err_after_listener;
    }
    status = uv_poll_start(&listener->poll, UV_READABLE, on_poll);
    if (status != 0) {
        net_listener_close(&listener);
        return net__error(-status);
    }
    *listener_r = listener;
    return ERR_OK;

err_after_listener:
    free(listener);
err_after_fd:
    close(fd);
    return err;
}

uint16_t net_listener_port(const struct net_listener *listener)
{
    return listener->port;
}

void net_listener_close(struct net_listener **listener_p)
{
    struct net_listener *listener = *listener_p;

    *listener_p = NULL;
    if (listener == NULL)
        return;
    listener->closed = true;
    loop_timer_stop(&listener->retry);
    uv_close((uv_handle_t *)&listener->poll, on_closed);
    close(listener->fd); /* now, so that the port is free */
}
