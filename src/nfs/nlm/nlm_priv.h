/*
 * nlm_priv.h - what the files of NLM share: hosts, requests, blocked requests.
 */
#ifndef DITTOFS_NFS_NLM_PRIV_H
#define DITTOFS_NFS_NLM_PRIV_H

#include "dittofs/client.h"
#include "dittofs/hash.h"
#include "dittofs/hashtable.h"
#include "dittofs/lock.h"
#include "dittofs/log.h"
#include "dittofs/open.h"
#include "dittofs/owner.h"
#include "dittofs/recovery.h"
#include "dittofs/rpc_client.h"
#include "dittofs/state.h"
#include "nfs/nfs_server_priv.h"
#include "nfs/nlm/nlm_wire.h"

struct nlm_request;
struct nsm;

/* Kept in records of recovery: the number stays. */
enum { NLM_FAMILY = 30 };
/* Kinds of owner.h. The key of a lock's owner is its svid (big-endian) and its oh, that of a share's its oh.
 */
enum { NLM_OWNER_LOCK = 1, NLM_OWNER_SHARE = 2 };

enum { NLM_VERSIONS = 3 };

struct nlm {
    struct nfs_server *server;
    struct vfs *vfs;
    struct state *state;
    struct loop *loop;
    struct onc_client *outgoing;
    struct nsm *nsm;
    uint64_t retry_ms, idle_ms;
    struct onc_program programs[NLM_VERSIONS];
    struct onc_procedure procedures[NLM_PROCEDURES];
    struct hashtable hosts;     /* struct nlm_host */
    struct hashtable blocks;    /* struct nlm_block, by owner */
    struct hashtable callbacks; /* the granted ones of them, by cookie */
    uint64_t next_cookie;
    struct list answers; /* struct nlm_answer */
    uint32_t answer_count;
    struct loop_timer sweep;
};

/* ---- hosts (nlm_host.c) ---- */

/* A client host: the name that it gives itself, at an address. */
struct nlm_host {
    struct hashlink hashlink;
    struct nlm *nlm;
    struct net_address address; /* without a port */
    struct client *client;      /* NULL: holds nothing */
    struct list blocks;         /* struct nlm_block */
    uint32_t nsm_state;         /* of its NSM; 0: not known */
    bool is_recorded;           /* what recovery needs of it is durable */
    uint32_t recording;         /* requests that wait for that */
    uint64_t used_ms;
    uint32_t name_length;
    char name[]; /* as it came */
};

/* NULL when it is not known. */
struct nlm_host *nlm__host_find(struct nlm *nlm, const struct net_address *address, struct nlm_bytes name);
/* Finds or makes it, with its client in state. NSM_STATE (0: not known) tells that it has restarted. */
enum err nlm__host_get(struct nlm *nlm, const struct net_address *address, struct nlm_bytes name,
                       uint32_t nsm_state, struct nlm_host **host_r) ERR_MUST_CHECK;
/* In grace the request's host asks for something new: when it has reclaimed before, it may be done. */
void nlm__host_heard(const struct nlm_request *request);
/* Makes sure that the request's host will be told of our restart. */
enum err nlm__host_monitor(struct nlm_request *request) ERR_MUST_CHECK;
/* The hosts at ADDRESS that go by NAME (as statd and lockd may know them: with or without their domain, or
 * by the address) have lost all they held. NSM_STATE, unless it is 0, is compared with what was seen last: a
 * notice that comes again changes nothing. */
void nlm__host_restarted(struct nlm *nlm, const struct net_address *address, struct nlm_bytes name,
                         uint32_t nsm_state);
void nlm__hosts_free(struct nlm *nlm);
void nlm__hosts_sweep(struct loop_timer *timer);

/* ---- requests (nlm.c) ---- */

struct nlm_request {
    struct nlm *nlm;
    struct onc_call *call;
    uint32_t version;
    enum nlm_procedure procedure;
    struct nlm_args args;
    struct vfs_context context;
    struct inode *inode; /* a reference */
    struct nlm_host *host;
    enum nlm_status status;
    struct nlm_holder holder; /* TEST: for DENIED */
    uint64_t writes_before;   /* of records */
    struct store_waiter wait;
};

enum nlm_status nlm__status(enum err err);
/* Finds the handle's inode; CHECKED: and that the caller may use its export. */
enum err nlm__open(struct nlm_request *request, bool checked) ERR_MUST_CHECK;
/* May the caller lock the file: the right to read (or, EXCLUSIVE, to write) it, or its owner. */
enum err nlm__may_lock(struct nlm_request *request, bool exclusive) ERR_MUST_CHECK;
/* What state keeps of the request's file, made when missing, with a reference; the inode lives as long. */
enum err nlm__file_get(struct nlm_request *request, struct state_file **file_r) ERR_MUST_CHECK;
/* NULL when nothing is held of it. */
struct state_file *nlm__file_find(const struct nlm_request *request);

/* Answers and ends the request, the call with it. */
void nlm__reply(struct nlm_request *request, enum nlm_status status);
/* The same when what was recorded for the host's recovery is durable. request->host must be set. */
void nlm__reply_durable(struct nlm_request *request, enum nlm_status status);

/* nlm_lock.c, nlm_share.c: the procedures. */
void nlm__run_test(struct nlm_request *request);
void nlm__run_lock(struct nlm_request *request);
void nlm__run_cancel(struct nlm_request *request);
void nlm__run_unlock(struct nlm_request *request);
void nlm__run_share(struct nlm_request *request);
void nlm__run_unshare(struct nlm_request *request);

/* Takes back what LOCK, or SHARE, has given or waits for. */
void nlm__lock_undo(struct nlm_request *request);
void nlm__share_undo(struct nlm_request *request);

/* The range of LOCK by lock.h. */
struct lock_request nlm__lock_request(const struct nlm_args *args);
/* Frees OWNER's holder on FILE when it has nothing, and waits for nothing. */
void nlm__holder_rest(struct nlm *nlm, struct state_file *file, const struct owner *owner);

/* ---- blocked requests (nlm_block.c) ---- */

/*
 *   WAITING -the range is held-> RECORDING -durable-> CALLING -the client took it-> gone
 *   any -cancelled, unlocked, asked for again, host gone-> gone
 */
enum nlm_block_state {
    NLM_BLOCK_WAITING,   /* in state's queue */
    NLM_BLOCK_RECORDING, /* held; the host's record is not durable yet */
    NLM_BLOCK_CALLING    /* held; the client is told again and again */
};

struct nlm_block {
    struct hashlink by_owner, by_cookie;
    struct list link; /* in host->blocks */
    struct nlm_host *host;
    struct state_file *file; /* a reference */
    struct owner *owner;     /* a reference */
    struct lock_request request;
    struct lock_waiter waiter;
    enum nlm_block_state state;
    uint32_t version, export_id;
    enum onc_transport transport;
    struct net_address address, local; /* of the client, without a port; of ours that it knows */
    bool asynchronous;                 /* it used LOCK_MSG: gets GRANTED_MSG */
    uint64_t cookie;
    struct store_waiter durable;
    struct loop_timer retry;
    uint64_t retry_ms; /* the next pause */
    struct onc_client_call call;
    struct nlm_lock lock; /* bytes in BYTES */
    uint8_t bytes[];
};

/* Waits for the range: as lock_wait. */
enum err nlm__block_start(struct nlm_request *request, struct lock_holder *holder) ERR_MUST_CHECK;
/* The same request of OWNER, or NULL. */
struct nlm_block *nlm__block_find(const struct nlm *nlm, const struct owner *owner,
                                  const struct state_file *file, const struct lock_request *request);
bool nlm__owner_has_blocks(const struct nlm *nlm, const struct owner *owner, const struct state_file *file);
/* The client knows what it wanted to know: no more callbacks. KEEP: a range that is held stays. */
void nlm__block_end(struct nlm_block *block, bool keep);
/* OWNER gives the range back itself: callbacks for what lies in it end. */
void nlm__blocks_unlocked(struct nlm *nlm, const struct owner *owner, const struct state_file *file,
                          const struct lock_request *request);
/* The host has lost all: what waits is ended by state, the rest here. */
void nlm__blocks_drop(struct nlm_host *host);
/* GRANTED_RES. */
void nlm__block_answer(struct nlm *nlm, const struct net_address *from, struct nlm_bytes cookie,
                       uint32_t status);

/* ---- RES calls (nlm_answer.c) ---- */

/* Calls PROCEDURE of the NLM at TO's host with the results; nobody waits for it. */
void nlm__answer(struct nlm_request *request, uint32_t procedure, const void *results, size_t length);
void nlm__answers_free(struct nlm *nlm);

#endif
