/*
 * net.h - listeners, stream connections and datagram sockets on the loop.
 *
 * A connection's owner gives it memory to read into and gets told what came; what it sends is a list of
 * parts, some of them counted buffers. All calls are on the loop thread. Callbacks come from the loop,
 * never from inside a call of the owner's, except where it says so.
 */
#ifndef DITTOFS_NET_H
#define DITTOFS_NET_H

#include "dittofs/buf.h"
#include "dittofs/err.h"
#include "dittofs/loop.h"
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* A peer's or our own address. IPv4-mapped IPv6 addresses are stored as IPv4. */
struct net_address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_storage storage;
    } sa;
};

enum { NET_ADDRESS_TEXT = 64 };
/* Parses a numeric IPv4 or IPv6 address; ERR_INVAL otherwise. */
enum err net_address_parse(const char *text, uint16_t port, struct net_address *address_r) ERR_MUST_CHECK;
/* "10.0.0.1:2049", "[::1]:2049" into TEXT of NET_ADDRESS_TEXT bytes; returns TEXT. */
const char *net_address_format(const struct net_address *address, char *text);
uint16_t net_address_port(const struct net_address *address);
/* Same host (port left aside)? */
bool net_address_same_host(const struct net_address *a, const struct net_address *b);

/* ---- streams ---- */

struct net_listener;
struct net_conn;

/* A constant table: it must stay good as long as the connection. */
struct net_conn_events {
    /* Where the next bytes go: at least one byte, up to *LENGTH_R. NULL pauses reading until
     * net_conn_resume_reading. Called just before each read. */
    uint8_t *(*space)(struct net_conn *conn, void *owner, size_t *length_r);
    /* LENGTH bytes were put where `space` said. */
    void (*received)(struct net_conn *conn, void *owner, size_t length);
    /* Bytes queued for sending went below half of the limit, after net_conn_send brought them above it or
     * net_conn_is_congested said so. */
    void (*drained)(struct net_conn *conn, void *owner);
    /* The connection is gone, by the peer or net_conn_close (ERR_OK), an error, or a stall (ERR_LIMIT): the
     * last call for it; the owner frees what it keeps. The pointer is bad after it. */
    void (*closed)(struct net_conn *conn, void *owner, enum err why);
};

struct net_limits {
    uint32_t connections;          /* most at a time over the listener; 0: 4096 */
    uint32_t connections_per_host; /* 0: half of connections */
    size_t send_queue_bytes;       /* above it net_conn_is_congested; 0: 2 MiB */
    size_t send_queues_bytes;      /* of all connections: above it a connection with anything queued is
                                      congested; 0: 256 MiB */
    uint64_t stalled_ms;           /* a peer that takes nothing for so long is cut; 0: 60 s */
};

/* Listens; ACCEPTED is called for each new connection, sets its events with net_conn_set_events and returns
 * false to refuse it. Port 0 picks a free one, which net_listener_port tells. */
enum err net_listen(struct loop *loop, const struct net_address *address, const struct net_limits *limits,
                    bool (*accepted)(struct net_conn *conn, void *data), void *data,
                    struct net_listener **listener_r) ERR_MUST_CHECK;
uint16_t net_listener_port(const struct net_listener *listener);
/* Stops accepting; connections live on. Sets the pointer to NULL. */
void net_listener_close(struct net_listener **listener);

/* Connects out (callbacks to clients, rpcbind). After ERR_OK, CONNECTED is called once: with ERR_OK, after
 * which the events come, or with the failure (ERR_CANCELLED for net_conn_close), after which nothing does and
 * the pointer is bad. LOCAL_PRIVILEGED tries a source port below 1024. */
enum err net_connect(struct loop *loop, const struct net_address *address, bool local_privileged,
                     const struct net_conn_events *events, void *owner,
                     void (*connected)(struct net_conn *conn, void *owner, enum err err),
                     struct net_conn **conn_r) ERR_MUST_CHECK;

/* The same from a source port below 1024 if possible and, if it is ours, from the host of LOCAL (of no
 * family: any). */
enum err net_connect_from(struct loop *loop, const struct net_address *address,
                          const struct net_address *local, const struct net_conn_events *events, void *owner,
                          void (*connected)(struct net_conn *conn, void *owner, enum err err),
                          struct net_conn **conn_r) ERR_MUST_CHECK;

void net_conn_set_events(struct net_conn *conn, const struct net_conn_events *events, void *owner);
const struct net_address *net_conn_peer(const struct net_conn *conn);
const struct net_address *net_conn_local(const struct net_conn *conn);

/* A piece of what is sent: either a counted buffer's part (a reference is taken) or bytes that are copied at
 * once (BUF is NULL). */
/* Sends PARTS in order behind what is queued; written at the end of the turn, together with what else was
 * sent in it, by one writev where possible, or at once when much is queued. After a failure the connection
 * closes by itself. */
void net_conn_send(struct net_conn *conn, const struct bufpart *parts, int count);
/* Writes what is queued now, for an owner that works off a batch outside of `received`. */
void net_conn_flush(struct net_conn *conn);
/* Is too much queued to take on more? When it is, `drained` will come. */
bool net_conn_is_congested(struct net_conn *conn);
size_t net_conn_queued_bytes(const struct net_conn *conn);
enum net_delivery {
    NET_DELIVERED,  /* the peer's system has all that was sent */
    NET_DELIVERING, /* it was heard of lately, or nothing of ours is on the way to it */
    NET_SILENT,     /* it has acknowledged nothing for the time asked about, though there was something */
};
enum net_delivery net_conn_delivery(const struct net_conn *conn, uint64_t within_ms);
void net_conn_resume_reading(struct net_conn *conn);
/* Closes it; `closed` follows later. DRAIN first sends what is queued. */
void net_conn_close(struct net_conn *conn, bool drain);
/* Ends one that is silent: its peer, should it come back, learns of it by a reset, ahead of what was not
 * delivered. `closed` follows later (ERR_LIMIT). */
void net_conn_reset(struct net_conn *conn);

/* ---- datagrams ---- */

struct net_datagram;
/* Binds; RECEIVED gets each datagram (its bytes are good during the call only) and the address of ours that
 * it was sent TO. */
enum err net_datagram_open(struct loop *loop, const struct net_address *address,
                           void (*received)(struct net_datagram *datagram, void *data,
                                            const struct net_address *from, const struct net_address *to,
                                            const uint8_t *bytes, size_t length),
                           void *data, struct net_datagram **datagram_r) ERR_MUST_CHECK;
uint16_t net_datagram_port(const struct net_datagram *datagram);
/* Sends a copy of BYTES, from the host of FROM unless that is NULL; what the system won't take is dropped, as
 * datagrams are. */
void net_datagram_send(struct net_datagram *datagram, const struct net_address *to,
                       const struct net_address *from, const void *bytes, size_t length);
void net_datagram_close(struct net_datagram **datagram);

#endif
