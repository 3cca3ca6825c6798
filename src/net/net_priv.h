/*
 * net_priv.h - what the files of src/net share.
 */
#ifndef DITTOFS_NET_PRIV_H
#define DITTOFS_NET_PRIV_H

#include "dittofs/net.h"
#include <uv.h>

/* Stores FROM, an IPv4-mapped address as IPv4. */
void net__address_set(struct net_address *address, const struct sockaddr_storage *from);
socklen_t net__address_length(const struct net_address *address);

/* A non-blocking socket bound to ADDRESS (v6 only for IPv6), ready to listen or to receive. */
enum err net__socket_bind(const struct net_address *address, int type, int *fd_r) ERR_MUST_CHECK;
/* TCP_NODELAY and keep-alive. */
void net__socket_tune(int fd);
enum err net__socket_local(int fd, struct net_address *address_r) ERR_MUST_CHECK;
enum err net__error(int error);

/* Closing it resets the connection. */
void net__socket_linger_not(int fd);
enum net_delivery net__socket_delivery(int fd, uint64_t within_ms);

/* A listener lives until it is closed and its last connection is gone. */
struct net_listener {
    uv_poll_t poll;
    int fd;
    uint32_t references; /* the handle's, one a connection */
    bool closed;         /* by the owner */
    uint16_t port;
    uint32_t connection_count;
    uint64_t refused; /* connections over a limit */
    struct list connections;
    struct loop *loop;
    struct net_limits limits;
    bool (*accepted)(struct net_conn *conn, void *data);
    void *data;
    struct loop_timer retry; /* accepts again after descriptors ran out */
};

void net__listener_unref(struct net_listener *listener);

enum net_conn_state {
    NET_CONN_CONNECTING, /* connect(2) under way; `connected` was not called */
    NET_CONN_OPEN,       /* reads and writes */
    NET_CONN_DRAINING,   /* closed by the owner: only writes what is queued */
    NET_CONN_CLOSED      /* the handle's close callback will tell the owner and free it */
};

enum { NET_PARTS_INLINE = 16 };

/* What waits to be written: parts in order, small ones merged by copying them into `tail`. */
struct net_queue {
    struct bufpart *parts; /* at first `few` */
    size_t first, count, capacity;
    size_t bytes;
    struct buf *tail; /* small parts are copied behind tail_used */
    size_t tail_used;
    struct bufpart few[NET_PARTS_INLINE];
};

void net__queue_init(struct net_queue *queue);
void net__queue_free(struct net_queue *queue);
/* False when memory is out; the queue then may end in the middle of PARTS. */
bool net__queue_add(struct net_queue *queue, const struct bufpart *parts, int count)
    __attribute__((warn_unused_result));
/* Bytes in all queues. */
size_t net__queues_bytes(void);
/* Writes to FD until all is written or the socket is full. */
enum err net__queue_write(struct net_queue *queue, int fd, size_t *written_r) ERR_MUST_CHECK;

struct net_conn {
    uint32_t magic;
    enum net_conn_state state;
    uv_poll_t poll;
    int fd;
    int watched;    /* events that the poll handle waits for */
    bool paused;    /* the owner had no space */
    bool in_poll;   /* inside the poll callback, which writes at its end */
    bool hooked;    /* `flush` is added to the loop */
    bool full;      /* the socket did not take all that is queued */
    bool congested; /* the owner is due a `drained` */
    enum err why;
    struct loop *loop;
    const struct net_conn_events *events;
    void *owner;
    void (*connected)(struct net_conn *conn, void *owner, enum err err); /* outgoing ones, until called */
    struct net_listener *listener;                                       /* NULL: outgoing */
    struct list link;                                                    /* in listener->connections */
    struct net_address peer, local;
    struct loop_hook flush;
    struct loop_timer stalled; /* runs while the socket is full */
    size_t send_queue_bytes, send_queues_bytes;
    uint64_t stalled_ms;
    struct net_queue queue;
};

/* A connection around FD, which it then owns (also when this fails); nothing is watched yet. */
enum err net__conn_new(struct loop *loop, int fd, const struct net_address *peer,
                       const struct net_limits *limits, struct net_conn **conn_r) ERR_MUST_CHECK;
/* Watches what the state asks for. */
void net__conn_watch(struct net_conn *conn);
/* Ends the connection; the owner is told WHY later. */
void net__conn_end(struct net_conn *conn, enum err why);

#endif
