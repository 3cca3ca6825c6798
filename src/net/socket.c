/*
 * socket.c - the system calls that set a socket up.
 */
#include "net/net_priv.h"
#include "dittofs/log.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* A peer that vanished is found after about two minutes without traffic. */
enum { KEEPALIVE_IDLE_S = 60, KEEPALIVE_INTERVAL_S = 15, KEEPALIVE_COUNT = 4 };

enum err net__error(int error)
{
    switch (error) {
    case EADDRINUSE:
        return ERR_BUSY;
    case EACCES:
    case EPERM:
        return ERR_ACCES;
    case EMFILE:
    case ENFILE:
        return ERR_LIMIT;
    case ENOMEM:
    case ENOBUFS:
        return ERR_NOMEM;
    case EAFNOSUPPORT:
    case EPROTONOSUPPORT:
        return ERR_NOTSUPP;
    default:
        return ERR_NETWORK;
    }
}

static bool set_option(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

enum err net__socket_bind(const struct net_address *address, int type, int *fd_r)
{
    int family = address->sa.any.sa_family;
    enum err err;
    int fd;

    fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return net__error(errno);
    /* The v4 and v6 wildcards are bound side by side. */
    if (family == AF_INET6 && !set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1))
        goto err_after_socket;
    /* Connections of an earlier run may still be in TIME_WAIT. For datagrams the option would let two
     * servers share a port. */
    if (type == SOCK_STREAM && !set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1))
        goto err_after_socket;
    if (bind(fd, &address->sa.any, net__address_length(address)) != 0)
        goto err_after_socket;
    *fd_r = fd;
    return ERR_OK;

err_after_socket:
    err = net__error(errno);
    close(fd);
    return err;
}

void net__socket_tune(int fd)
{
    /* Each of these is a wish: a connection without it still works. */
    if (!set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) || !set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1) ||
        !set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S) ||
        !set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S) ||
        !set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT))
        log_debug("net: can't set a socket option: %s", strerror(errno));
}

void net__socket_linger_not(int fd)
{
    struct linger linger = {.l_onoff = 1};

    if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) != 0)
        log_debug("net: can't set a socket option: %s", strerror(errno));
}

enum net_delivery net__socket_delivery(int fd, uint64_t within_ms)
{
    struct tcp_info info = {.tcpi_unacked = 0};
    socklen_t length = sizeof info;
    int left = 0;

    if (ioctl(fd, TIOCOUTQ, &left) == 0 && left == 0)
        return NET_DELIVERED;
    /* A peer that is there, but takes nothing, answers the probes of its window. */
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 &&
        (info.tcpi_unacked > 0 || info.tcpi_probes > 0) && info.tcpi_last_ack_recv >= within_ms)
        return NET_SILENT;
    return NET_DELIVERING;
}

enum err net__socket_local(int fd, struct net_address *address_r)
{
    struct sockaddr_storage storage = {0};
    socklen_t length = sizeof storage;

    if (getsockname(fd, (struct sockaddr *)&storage, &length) != 0)
        return net__error(errno);
    net__address_set(address_r, &storage);
    return ERR_OK;
}
