/*
 * nfs4_callback.h - calls to a client of NFSv4.1 over the back channel of one of its sessions (RFC 8881 20).
 */
#ifndef DITTOFS_NFS4_CALLBACK_H
#define DITTOFS_NFS4_CALLBACK_H

#include "nfs/v4/nfs4_state.h"

/* RFC 8881 20 */
enum nfs4_callback_opnum { OP_CB_GETATTR = 3, OP_CB_RECALL = 4, OP_CB_SEQUENCE = 11, OP_CB_NOTIFY_LOCK = 13 };

struct nfs4_callback;

struct nfs4_callback_spec {
    uint32_t opnum; /* the one operation behind CB_SEQUENCE */
    const void *arguments;
    size_t length;
    uint64_t timeout_ms;
    /* Once, later: the operation's status, or ERR why there is none (ERR_NETWORK, ERR_EXPIRED, ERR_BADXDR).
     * Not after nfs4__callback_forget. */
    void (*done)(void *data, enum err err, uint32_t status);
    void *data;
};
/* ERR_NETWORK: the client has no back channel just now; ERR_AGAIN: all its slots are in use; ERR_INVAL: it
 * does not take so long a call. *CALLBACK_R is good until DONE. */
enum err nfs4__callback_send(struct client *client, const struct nfs4_callback_spec *spec,
                             struct nfs4_callback **callback_r) ERR_MUST_CHECK;
/* Nobody waits for the answer any more; the slot does. Sets the pointer to NULL; NULL is fine. */
void nfs4__callback_forget(struct nfs4_callback **callback);

/* Can CLIENT be called at all? */
bool nfs4__callback_is_possible(const struct client *client);

/* CB_COMPOUND4res of a call with CB_SEQUENCE and one operation. */
struct nfs4_callback_reply {
    uint32_t sequence_status;
    bool has_status; /* the operation was answered */
    uint32_t status;
};
/* False when it is not well-formed, or not the answer to such a call. */
bool nfs4__callback_decode(struct reader *reader, uint32_t opnum,
                           struct nfs4_callback_reply *reply_r) MUST_CHECK;

#endif
