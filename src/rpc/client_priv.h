/*
 * client_priv.h - what the files of the RPC client share.
 */
#ifndef DITTOFS_RPC_CLIENT_PRIV_H
#define DITTOFS_RPC_CLIENT_PRIV_H

#include "dittofs/rpc_client.h"
#include "rpc/record_priv.h"

struct onc_client {
    struct loop *loop;
    struct onc_client_options options; /* defaults filled in */
    struct onc_client_counters counters;
    struct hashtable calls; /* under way, by xid */
    uint32_t next_xid;
    struct net_datagram *sockets[2]; /* IPv4, IPv6: opened by the first call */
    struct onc__memory memory;       /* of the streams' receive buffers */
    struct list streams;
    struct list ports; /* the least recently asked for first */
};

/* ---- client.c ---- */

/* Ends CALL and tells its caller. */
void onc__client_finish(struct onc_client_call *call, enum err err, struct reader *results);
/* Sends CALL to call->target. */
void onc__client_send(struct onc_client_call *call);
/* A message came from a host: finds the call that it answers. STREAM is NULL for a datagram from FROM. */
void onc__client_take(struct onc_client *client, const struct onc_client_stream *stream,
                      const struct net_address *from, struct reader reader);

/* ---- client_stream.c ---- */

/* Queues CALL on a connection to its target. */
enum err onc__stream_send(struct onc_client_call *call) ERR_MUST_CHECK;
/* Takes CALL off its stream. */
void onc__stream_leave(struct onc_client_call *call);
void onc__streams_close(struct onc_client *client);

/* ---- client_port.c ---- */

/* ERR_OK: call->target has the port. ERR_WAIT: it is asked for, and onc__client_send or onc__client_finish
 * follows. */
enum err onc__port_find(struct onc_client_call *call) ERR_MUST_CHECK;
/* Takes CALL off the port that it waits for or was sent to. FAILED: nobody answered there. */
void onc__port_leave(struct onc_client_call *call, bool failed);
void onc__ports_close(struct onc_client *client);

#endif
