/*
 * rpc_client.h - ONC RPC calls of our own to programs of other hosts (RFC 5531): callbacks of NLM and
 * NFSv4.0, NSM's notifications, and the question at a host's port mapper (RFC 1833).
 *
 * Calls over UDP are sent again until they are answered or their time is over. Calls over TCP to one address
 * share a connection, which is opened when it is needed and closed when it is idle; when it breaks, its calls
 * fail with ERR_NETWORK, and whether to call again is the caller's decision. All on the loop thread.
 *
 * Bounds: calls under way, connections, remembered ports, bytes of a call (64 KiB) and of a reply (256 KiB).
 */
#ifndef DITTOFS_RPC_CLIENT_H
#define DITTOFS_RPC_CLIENT_H

#include "dittofs/hashtable.h"
#include "dittofs/rpc.h"

struct onc_client;

/* A 0 takes the default. */
struct onc_client_options {
    uint16_t portmap_port;    /* where other hosts' port mappers are: 111 */
    uint32_t calls_max;       /* 4096 */
    uint32_t connections_max; /* 512 */
    uint64_t idle_ms;         /* a connection without calls is closed: 30000 */
    uint64_t port_ms;         /* a port is remembered for so long: 300000 */
};

/* OPTIONS may be NULL. LOOP stays the caller's. */
enum err onc_client_open(struct loop *loop, const struct onc_client_options *options,
                         struct onc_client **client_r) ERR_MUST_CHECK;
/* Calls under way are forgotten: their DONE is not called. Not inside a DONE. */
void onc_client_close(struct onc_client **client);

struct onc_client_stream; /* private */
struct onc_client_port;   /* private */

/* The memory must stay until DONE or until the call is cancelled; zero it before its first use. */
struct onc_client_call {
    /* Once, later: ERR_OK with the results, or ERR_EXPIRED when timeout_ms passed, ERR_NETWORK when there was
     * no connection or it went, ERR_NOTSUPP (program, version or procedure; or the port mapper knows no such
     * program), ERR_ACCES, ERR_BADXDR (our arguments, or the reply can't be read), ERR_SERVERFAULT. CALL may
     * be freed or used again inside. */
    void (*done)(struct onc_client_call *call, enum err err, struct reader *results);
    struct net_address to; /* port 0: the one that the host's port mapper says */
    /* Ours to call from, where that is possible: some peers know us by one of our addresses only. Of no
     * family: any. The port is left aside. */
    struct net_address from;
    enum onc_transport transport;
    uint32_t program, version, procedure;
    uint64_t timeout_ms;              /* for all of it, asking for the port included; 0: 30 s */
    uint64_t retransmit_ms;           /* UDP: after so long first, then twice as long each time; 0: 1 s */
    struct onc_credential credential; /* AUTH_NONE or AUTH_SYS: flavor, uid, gid and machine_name are used */
    /* private */
    struct onc_client *client; /* NULL: not under way */
    struct hashlink hashlink;
    struct list link;
    struct loop_timer timer;
    struct net_address target;
    struct onc_client_stream *stream;
    struct onc_client_port *port;
    uint8_t *message;
    size_t message_length;
    uint32_t xid;
    uint64_t due_ms, wait_ms;
};

/* ARGUMENTS are copied. ERR_LIMIT, ERR_NOMEM, ERR_INVAL (too long), ERR_NOTSUPP (flavour); DONE is not called
 * then. */
enum err onc_client_call(struct onc_client *client, struct onc_client_call *call, const void *arguments,
                         size_t length) ERR_MUST_CHECK;
/* Forgets a call; DONE is not called. One that is not under way is fine. */
void onc_client_cancel(struct onc_client_call *call);

struct onc_client_counters {
    uint64_t calls, retransmissions, connections, lookups;
    uint32_t calls_now, connections_now, ports_now;
};
void onc_client_counters(const struct onc_client *client, struct onc_client_counters *counters_r);

#endif
