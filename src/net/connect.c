/*
 * connect.c - connections out.
 */
#include "net/net_priv.h"
#include "dittofs/log.h"
#include "dittofs/random.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

/* What rpcbind and old NFS clients take for a proof of root. Those below 665 are left to other services, as
 * bindresvport(3) does. */
enum { PRIVILEGED_FIRST = 665, PRIVILEGED_LAST = 1023 };

/* Any port of HOST; one that is not ours (any more) is passed over. */
static void bind_host(int fd, const struct net_address *host)
{
    struct net_address local = *host;

    if (local.sa.any.sa_family == AF_INET6)
        local.sa.v6.sin6_port = 0;
    else
        local.sa.v4.sin_port = 0;
    if (bind(fd, &local.sa.any, net__address_length(&local)) != 0)
        log_debug("net: can't bind a source address: %s", strerror(errno));
}

/* Binds to a free port below 1024 of HOST. Without the right to one, any port is better than no connection.
 */
static void bind_privileged(int fd, const struct net_address *host)
{
    const unsigned count = PRIVILEGED_LAST - PRIVILEGED_FIRST + 1;
    unsigned start = (unsigned)(random_u64() % count);
    struct net_address local = *host;

    for (unsigned i = 0; i < count; i++) {
        in_port_t port = htons((uint16_t)(PRIVILEGED_FIRST + (start + i) % count));

        if (local.sa.any.sa_family == AF_INET6)
            local.sa.v6.sin6_port = port;
        else
            local.sa.v4.sin_port = port;
        if (bind(fd, &local.sa.any, net__address_length(&local)) == 0)
            return;
        if (errno != EADDRINUSE)
            break;
    }
    bind_host(fd, host);
}

/* LOCAL may be NULL: neither address nor port matter. */
static enum err open_connection(struct loop *loop, const struct net_address *address,
                                const struct net_address *local, const struct net_conn_events *events,
                                void *owner,
                                void (*connected)(struct net_conn *conn, void *owner, enum err err),
                                struct net_conn **conn_r)
{
    struct net_conn *conn;
    enum err err;
    int fd;

    if (loop_uv(loop) == NULL)
        return ERR_NOTSUPP;
    fd = socket(address->sa.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return net__error(errno);
    if (local != NULL)
        bind_privileged(fd, local);
    net__socket_tune(fd);
    if (connect(fd, &address->sa.any, net__address_length(address)) != 0 && errno != EINPROGRESS) {
        err = net__error(errno);
        close(fd);
        return err;
    }
    err = net__conn_new(loop, fd, address, NULL, &conn);
    if (err != ERR_OK)
        return err;
    conn->state = NET_CONN_CONNECTING;
    conn->events = events;
    conn->owner = owner;
    conn->connected = connected;
    net__conn_watch(conn);
    *conn_r = conn;
    return ERR_OK;
}

enum err net_connect(struct loop *loop, const struct net_address *address, bool local_privileged,
                     const struct net_conn_events *events, void *owner,
                     void (*connected)(struct net_conn *conn, void *owner, enum err err),
                     struct net_conn **conn_r)
{
    struct net_address any = {.sa.any.sa_family = address->sa.any.sa_family};

    return open_connection(loop, address, local_privileged ? &any : NULL, events, owner, connected, conn_r);
}

enum err net_connect_from(struct loop *loop, const struct net_address *address,
                          const struct net_address *local, const struct net_conn_events *events, void *owner,
                          void (*connected)(struct net_conn *conn, void *owner, enum err err),
                          struct net_conn **conn_r)
{
    struct net_address host = {.sa.any.sa_family = address->sa.any.sa_family};

    if (local->sa.any.sa_family == address->sa.any.sa_family)
        host = *local;
    return open_connection(loop, address, &host, events, owner, connected, conn_r);
}
