/*
 * datagram.c - UDP sockets.
 *
 * A socket bound to a wildcard hears for all our addresses; clients connect(2) theirs and ignore an answer
 * from another address than the one they asked. So each datagram comes with the address it was sent to, and
 * an answer can be given one to come from.
 */
#include "net/net_priv.h"
#include "dittofs/log.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    DATAGRAM_MAX = 65536,
    RECEIVE_SHARE = 32 /* datagrams taken in a turn */
};

struct net_datagram {
    uv_poll_t poll;
    int fd;
    bool closed;
    struct net_address local;
    void (*received)(struct net_datagram *datagram, void *data, const struct net_address *from,
                     const struct net_address *to, const uint8_t *bytes, size_t length);
    void *data;
    uint8_t bytes[DATAGRAM_MAX];
};

/* Room for one in_pktinfo or in6_pktinfo. */
union packet_info {
    struct cmsghdr header;
    uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

/* The address of ours that MESSAGE was sent to. */
static void find_destination(const struct net_datagram *datagram, struct msghdr *message,
                             struct net_address *to)
{
    *to = datagram->local;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL; part = CMSG_NXTHDR(message, part)) {
        if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_PKTINFO &&
            to->sa.any.sa_family == AF_INET) {
            struct in_pktinfo info;

            memcpy(&info, CMSG_DATA(part), sizeof info);
            /* ipi_addr of a broadcast is no address to answer from, ipi_spec_dst is. */
            to->sa.v4.sin_addr = info.ipi_spec_dst;
        } else if (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_PKTINFO &&
                   to->sa.any.sa_family == AF_INET6) {
            struct in6_pktinfo info;

            memcpy(&info, CMSG_DATA(part), sizeof info);
            if (IN6_IS_ADDR_MULTICAST(&info.ipi6_addr))
                continue;
            to->sa.v6.sin6_addr = info.ipi6_addr;
            if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
                to->sa.v6.sin6_scope_id = info.ipi6_ifindex;
        }
    }
}

static bool receive_one(struct net_datagram *datagram)
{
    struct sockaddr_storage storage = {0};
    union packet_info control;
    struct iovec vector = {.iov_base = datagram->bytes, .iov_len = sizeof datagram->bytes};
    struct msghdr message = {.msg_name = &storage,
                             .msg_namelen = sizeof storage,
                             .msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    struct net_address from, to;
    ssize_t got = recvmsg(datagram->fd, &message, MSG_DONTWAIT);

    if (got < 0)
        return errno != EAGAIN && errno != EWOULDBLOCK;
    if ((message.msg_flags & MSG_TRUNC) != 0 || storage.ss_family == AF_UNSPEC)
        return true;
    net__address_set(&from, &storage);
    find_destination(datagram, &message, &to);
    datagram->received(datagram, datagram->data, &from, &to, datagram->bytes, (size_t)got);
    return true;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct net_datagram *datagram = container_of(poll, struct net_datagram, poll);

    (void)events;
    for (int i = 0; i < RECEIVE_SHARE && !datagram->closed; i++) {
        if (!receive_one(datagram))
            break;
    }
    /* An error on a datagram socket (an ICMP message came) passes; libuv has stopped the handle. */
    if (status < 0 && !datagram->closed && uv_poll_start(&datagram->poll, UV_READABLE, on_poll) != 0)
        log_warning("net: datagram socket failed: %s", uv_strerror(status));
}

static void on_closed(uv_handle_t *handle)
{
    free(container_of((uv_poll_t *)handle, struct net_datagram, poll));
}

static bool ask_for_destination(int fd, int family)
{
    int on = 1;

    if (family == AF_INET6)
        return setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on) == 0;
    return setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on) == 0;
}

enum err net_datagram_open(struct loop *loop, const struct net_address *address,
                           void (*received)(struct net_datagram *datagram, void *data,
                                            const struct net_address *from, const struct net_address *to,
                                            const uint8_t *bytes, size_t length),
                           void *data, struct net_datagram **datagram_r)
{
    struct net_datagram *datagram;
    enum err err;
    int status;
    int fd;

    if (loop_uv(loop) == NULL)
        return ERR_NOTSUPP;
    err = net__socket_bind(address, SOCK_DGRAM, &fd);
    if (err != ERR_OK)
        return err;
    err = ERR_NOMEM;
    datagram = calloc(1, sizeof *datagram);
    if (datagram == NULL)
        goto err_after_fd;
    datagram->fd = fd;
    datagram->received = received;
    datagram->data = data;
    err = net__socket_local(fd, &datagram->local);
    if (err != ERR_OK)
        goto err_after_datagram;
    if (!ask_for_destination(fd, address->sa.any.sa_family)) {
        err = net__error(errno);
        goto err_after_datagram;
    }
    status = uv_poll_init(loop_uv(loop), &datagram->poll, fd);
    if (status != 0) {
        err = net__error(-status);
        goto err_after_datagram;
    }
    status = uv_poll_start(&datagram->poll, UV_READABLE, on_poll);
    if (status != 0) {
        net_datagram_close(&datagram);
        return net__error(-status);
    }
    *datagram_r = datagram;
    return ERR_OK;

err_after_datagram:
    free(datagram);
err_after_fd:
    close(fd);
    return err;
}

uint16_t net_datagram_port(const struct net_datagram *datagram)
{
    return net_address_port(&datagram->local);
}

/* Fills CONTROL with the order to send from FROM. */
static void set_source(struct msghdr *message, union packet_info *control, const struct net_address *from)
{
    struct cmsghdr *part;

    memset(control, 0, sizeof *control);
    message->msg_control = control;
    message->msg_controllen = sizeof *control;
    part = CMSG_FIRSTHDR(message);
    if (from->sa.any.sa_family == AF_INET6) {
        struct in6_pktinfo info = {.ipi6_addr = from->sa.v6.sin6_addr,
                                   .ipi6_ifindex = from->sa.v6.sin6_scope_id};

        part->cmsg_level = IPPROTO_IPV6;
        part->cmsg_type = IPV6_PKTINFO;
        part->cmsg_len = CMSG_LEN(sizeof info);
        memcpy(CMSG_DATA(part), &info, sizeof info);
    } else {
        struct in_pktinfo info = {.ipi_spec_dst = from->sa.v4.sin_addr};

        part->cmsg_level = IPPROTO_IP;
        part->cmsg_type = IP_PKTINFO;
        part->cmsg_len = CMSG_LEN(sizeof info);
        memcpy(CMSG_DATA(part), &info, sizeof info);
    }
    message->msg_controllen = CMSG_ALIGN(part->cmsg_len);
}

void net_datagram_send(struct net_datagram *datagram, const struct net_address *to,
                       const struct net_address *from, const void *bytes, size_t length)
{
    struct net_address name = *to;
    union packet_info control;
    struct iovec vector = {.iov_base = (void *)bytes, .iov_len = length};
    struct msghdr message = {.msg_name = &name.sa.any,
                             .msg_namelen = net__address_length(to),
                             .msg_iov = &vector,
                             .msg_iovlen = 1};

    if (from != NULL && from->sa.any.sa_family == datagram->local.sa.any.sa_family)
        set_source(&message, &control, from);
    if (sendmsg(datagram->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        log_debug("net: datagram dropped: %s", strerror(errno));
}

void net_datagram_close(struct net_datagram **datagram_p)
{
    struct net_datagram *datagram = *datagram_p;

    *datagram_p = NULL;
    if (datagram == NULL)
        return;
    datagram->closed = true;
    /* The memory goes with the close callback: `received` may be what closes the socket. */
    uv_close((uv_handle_t *)&datagram->poll, on_closed);
    close(datagram->fd);
}
