/*
 * nfs4_callback.h - calls to clients: over the back channel of a session (RFC 8881 20), or to the address
 * that SETCLIENTID gave (RFC 7530 15.1, 16.33).
 *
 * Whether a client can be called is its path:
 *
 *   4.0: UNKNOWN -CB_NULL-> TESTING -answered-> UP, -not answered-> DOWN; DOWN is tested again when somebody
 * would like to know, and SETCLIENTID with another address begins at UNKNOWN
 *   4.1: what a session's connection says, unless a call over it was not answered: DOWN, until the client
 * binds a connection
 *
 * Any answer of the client makes the path UP.
 */
#ifndef DITTOFS_NFS4_CALLBACK_H
#define DITTOFS_NFS4_CALLBACK_H

#include "nfs/v4/nfs4_state.h"

/* RFC 8881 20 */
enum nfs4_callback_opnum {
    OP_CB_GETATTR = 3,
    OP_CB_RECALL = 4,
    OP_CB_NOTIFY = 6,
    OP_CB_RECALL_ANY = 8,
    OP_CB_SEQUENCE = 11,
    OP_CB_NOTIFY_LOCK = 13
};

struct nfs4_callback;

struct nfs4_callback_spec {
    uint32_t opnum; /* the one operation (in 4.1: behind CB_SEQUENCE) */
    const void *arguments;
    size_t length;
    uint64_t timeout_ms;
    /* 4.1: the client's request that made what is talked of (RFC 8881 2.10.6.3), or NULL. */
    const struct nfs4_request *referring;
    /* Once, later: the operation's status, or ERR why there is none (ERR_NETWORK, ERR_EXPIRED, ERR_BADXDR and
     * those of onc_client_call). RESULTS stand behind the status when that is NFS4_OK, else NULL. Not after
     * nfs4__callback_forget. */
    void (*done)(void *data, enum err err, uint32_t status, struct reader *results);
    void *data;
};
/* ERR_NETWORK: the client has no back channel, or gave no address; ERR_AGAIN: all its slots are in use;
 * ERR_INVAL: it does not take so long a call; ERR_LIMIT, ERR_NOMEM. *CALLBACK_R is good until DONE. */
enum err nfs4__callback_send(struct nfs4_server *server, struct client *client,
                             const struct nfs4_callback_spec *spec,
                             struct nfs4_callback **callback_r) ERR_MUST_CHECK;
/* Nobody waits for the answer any more; the slot does. Sets the pointer to NULL; NULL is fine. */
void nfs4__callback_forget(struct nfs4_callback **callback);
/* How long to wait for an answer: less than it takes to miss a lease by it. */
uint64_t nfs4__callback_patience_ms(const struct nfs4_server *server);
/* The server ends: calls under way are forgotten. */
void nfs4__callbacks_close(struct nfs4_server *server);

/* Has CLIENT a back channel now? 4.1. */
bool nfs4__callback_is_possible(const struct client *client);

/* ---- the path (nfs4_callback_path.c) ---- */

/* SETCLIENTID's cb_client4 and principal into USER. An address that is not the caller's own host is not
 * called: nobody shall make us knock at third parties' doors. */
void nfs4__path_init(const struct nfs4_compound *compound, struct nfs4_client *user);
/* 4.0: asks with CB_NULL, unless that is under way or was done a moment ago. */
void nfs4__path_test(struct nfs4_server *server, struct client *client);
/* Will CLIENT hear of a recall, as far as we know? An unknown path of 4.0 is tested. */
bool nfs4__path_is_up(struct nfs4_server *server, struct client *client);
/* It is known not to. */
bool nfs4__path_is_down(const struct client *client);
/* CLIENT, the one of a call with GENERATION, has answered, or not. */
void nfs4__path_note(struct nfs4_server *server, uint64_t clientid, uint64_t generation, bool answered);
void nfs4__path_release(struct nfs4_client *user);
/* clientaddr4 (RFC 5665 5.2.3): h1.h2.h3.h4.p1.p2, or with an IPv6 address. */
bool nfs4__universal_address(const char *netid, const char *text, struct net_address *address_r) MUST_CHECK;

/* ---- the answer ---- */

/* CB_COMPOUND4res of a call with one operation, in 4.1 behind CB_SEQUENCE. */
struct nfs4_callback_reply {
    uint32_t sequence_status; /* 4.1 */
    bool has_status;          /* the operation was answered */
    uint32_t status;
};
/* False when it is not well-formed, or not the answer to such a call. READER is left behind the operation's
 * status. */
bool nfs4__callback_decode(struct reader *reader, uint32_t minor, uint32_t opnum,
                           struct nfs4_callback_reply *reply_r) MUST_CHECK;

#endif
