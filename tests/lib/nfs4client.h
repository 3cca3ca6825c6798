/*
 * nfs4client.h - a wire-level client of NFS version 4, our own from RFC 7530, 8881 and 7862: it builds
 * compounds of any minor version, right or wrong, sends them once or again, over this connection or a new
 * one, and reads the results one after another.
 *
 *     nfs4_begin(&c);                      SEQUENCE is put in front when the client has a session
 *     nfs4_putrootfh(&c);
 *     nfs4_lookup(&c, "a");
 *     assert_int_equal(nfs4_call(&c), NFS4_OK);
 *     nfs4_result(&c, OP_PUTROOTFH, NFS4_OK);
 *     nfs4_result(&c, OP_LOOKUP, NFS4_OK);   c.results stands at the operation's results
 *
 * What a good server would never answer (a broken RPC reply, results that can't be read) fails the test by
 * itself.
 */
#ifndef DITTOFS_TESTS_NFS4CLIENT_H
#define DITTOFS_TESTS_NFS4CLIENT_H

#include "dittofs/cursor.h"
#include "dittofs/rpc.h"
#include "nfs/v4/nfs4_wire.h"
#include "rpcclient.h"
#include <stdbool.h>
#include <stdint.h>

struct nfsworld;
struct onc_server;

struct nfs4_id {
    uint32_t seqid;
    uint8_t other[12];
};
struct nfs4_handle {
    uint32_t length;
    uint8_t data[128];
};

enum { NFS4C_SLOTS = 64, NFS4C_NAME_MAX = 64 };

struct nfs4c_session {
    uint8_t id[16];
    uint32_t slots;                                                    /* as granted */
    uint32_t seqid[NFS4C_SLOTS];                                       /* of the next request */
    uint32_t highest_slot, target_slot, status_flags;                  /* of the last SEQUENCE */
    uint32_t request_max, reply_max, reply_cached_max, operations_max; /* as granted */
    uint32_t flags;
};

/* How an answer to a call is malformed. */
enum nfs4c_junk {
    NFS4C_GOOD,
    NFS4C_CUT,          /* it ends behind the number of results */
    NFS4C_OTHER,        /* it answers another operation */
    NFS4C_MANY,         /* it says to have more results than were asked for */
    NFS4C_NO_ATTRIBUTES /* CB_GETATTR: it has none */
};

/* A notify4 of CB_NOTIFY. */
struct nfs4c_notice {
    uint32_t type;
    char name[NFS4C_NAME_MAX]; /* ADD: the new one; REMOVE, RENAME: the old one; else the entry's */
    char new_name[NFS4C_NAME_MAX], replaced[NFS4C_NAME_MAX], previous[NFS4C_NAME_MAX]; /* "": there is none */
    uint64_t cookie, new_cookie, previous_cookie;
    bool last;
    bool has_attributes; /* of the entry as it is now: these three */
    uint64_t change, size;
    uint32_t mode;
};
enum { NFS4C_NOTICES = 128 };

struct nfs4c {
    struct nfsworld *world;
    struct rpcclient *rpc;
    uint32_t minor, uid;
    char name[NFS4C_NAME_MAX];
    uint64_t verifier;
    uint64_t clientid;
    uint32_t create_sequence; /* 4.1: of the next CREATE_SESSION */
    bool reclaims;            /* 4.1: nfs4_introduce says no RECLAIM_COMPLETE */
    bool has_session;
    struct nfs4c_session session;
    /* being called: over the back channel (4.1), or by a server of our own (4.0, nfs4_listen) */
    struct onc_server *listener;
    struct onc_program callback_program;
    uint16_t listen_port;
    bool listen_done;
    uint32_t callback_ident;  /* 4.0 */
    bool wants_back;          /* asks for one with its session */
    bool deaf;                /* does not answer calls */
    uint32_t answer;          /* the status of the operation (in 4.1: behind CB_SEQUENCE) */
    uint32_t sequence_answer; /* and of that itself */
    enum nfs4c_junk junk;
    uint64_t answer_change, answer_size; /* CB_GETATTR */
    uint32_t called;                     /* calls that came */
    uint32_t called_with[16];            /* the same by operation; [0]: CB_NULL */
    uint32_t called_opnum, called_minor, called_seqid, called_slot, called_ident;
    uint32_t called_flavor, called_uid;         /* 4.0 */
    struct nfs4_handle called_handle;           /* CB_NOTIFY_LOCK, CB_RECALL, CB_GETATTR */
    struct nfs4_id called_id;                   /* CB_RECALL */
    uint32_t called_keep, called_mask;          /* CB_RECALL_ANY */
    struct nfs4c_notice notices[NFS4C_NOTICES]; /* CB_NOTIFY: all that came */
    uint32_t notice_count;
    uint64_t called_clientid;
    char called_owner[NFS4C_NAME_MAX];
    bool called_referring; /* and to what */
    uint8_t referring_session[16];
    uint32_t referring_slot, referring_seqid;
    uint32_t slot;   /* used by nfs4_begin */
    bool cache_this; /* true at first */
    const char *tag;
    /* the compound that is being built, and was sent */
    struct writer body; /* its operations */
    uint32_t count;
    uint32_t count_sent; /* 0: COUNT; else the number that is said instead of it */
    struct writer message;
    uint32_t xid;
    /* the answer */
    uint32_t status, answered; /* results that it says to have */
    struct reader reply;       /* all of it, as it came */
    struct reader results;
};

/* The arguments of CB_NOTIFY behind the handle. */
void nfs4_read_notices(struct nfs4c *c, struct reader *arguments);
/* rpcclient.called of its connections. */
enum { NFS4C_CALLBACK_PROGRAM = 0x40000000 };
void nfs4_on_called(struct rpcclient *rpc, void *data, uint32_t xid, uint32_t program, uint32_t version,
                    uint32_t procedure, struct reader *arguments);
/* A connection to WORLD as UID; nothing is said yet. NAME is how the client calls itself. */
void nfs4_open(struct nfs4c *c, struct nfsworld *world, uint32_t minor, uint32_t uid, const char *name);
/* 4.0: can be called from now on; before nfs4_introduce. And no longer: connections end. */
void nfs4_listen(struct nfs4c *c);
void nfs4_stop_listening(struct nfs4c *c);
/* 4.0: SETCLIENTID and its confirmation. 4.1: EXCHANGE_ID, CREATE_SESSION, RECLAIM_COMPLETE. */
void nfs4_introduce(struct nfs4c *c);
void nfs4_close_client(struct nfs4c *c);
/* A new connection in place of the old one, which is cut. */
void nfs4_reconnect(struct nfs4c *c);

/* ---- the compound ---- */

void nfs4_begin(struct nfs4c *c);
/* The same without SEQUENCE. */
void nfs4_begin_bare(struct nfs4c *c);
/* Any operation: its number; the caller writes the arguments to c->body. */
void nfs4_op(struct nfs4c *c, uint32_t opnum);
/* Sends and reads the reply's head; returns the compound's status. */
uint32_t nfs4_call(struct nfs4c *c);
/* Sends the same bytes again, with another xid (or the same). */
uint32_t nfs4_call_again(struct nfs4c *c, bool same_xid);
/* The halves: only sends, without looking for the answer; reads that. */
void nfs4_send(struct nfs4c *c);
uint32_t nfs4_receive(struct nfs4c *c);
/* The next operation's result must be OPNUM's with STATUS; c->results then stands behind it. */
void nfs4_result(struct nfs4c *c, uint32_t opnum, uint32_t status);
/* As nfs4_result, and says the status. */
uint32_t nfs4_result_status(struct nfs4c *c, uint32_t opnum);
/* Passes over a SEQUENCE result, if the compound has one, taking its figures down. */
void nfs4_skip_sequence(struct nfs4c *c);

/* ---- operations ---- */

void nfs4_sequence(struct nfs4c *c, const uint8_t id[16], uint32_t seqid, uint32_t slot, uint32_t highest,
                   bool cache);
void nfs4_putrootfh(struct nfs4c *c);
void nfs4_putfh(struct nfs4c *c, const struct nfs4_handle *handle);
void nfs4_getfh(struct nfs4c *c);
void nfs4_savefh(struct nfs4c *c);
void nfs4_restorefh(struct nfs4c *c);
void nfs4_lookup(struct nfs4c *c, const char *name);
void nfs4_remove(struct nfs4c *c, const char *name);
void nfs4_put_id(struct nfs4c *c, const struct nfs4_id *id);

enum { NFS4C_NOCREATE, NFS4C_UNCHECKED, NFS4C_GUARDED, NFS4C_EXCLUSIVE, NFS4C_EXCLUSIVE_1 };
struct nfs4_open_args {
    uint32_t seqid, access, deny;
    const char *owner;
    int create;             /* NFS4C_ */
    bool has_size;          /* attributes: a size of zero, */
    uint32_t mode;          /* and this mode when it is not 0 */
    uint64_t verifier;      /* EXCLUSIVE */
    uint32_t claim;         /* 0 NULL, 1 PREVIOUS, 4 FH, ... */
    const char *name;       /* CLAIM_NULL */
    struct nfs4_id stateid; /* CLAIM_DELEGATE_CUR, CLAIM_DELEG_CUR_FH */
    uint32_t delegated;     /* CLAIM_PREVIOUS: what it had */
};
void nfs4_open_op(struct nfs4c *c, const struct nfs4_open_args *args);
struct nfs4_open_result {
    struct nfs4_id stateid;
    bool atomic;
    uint64_t before, after;
    uint32_t flags;
    uint32_t attributes[3];
    uint32_t delegation, why; /* open_delegation_type4, why_no_delegation4 */
    struct nfs4_id delegation_id;
    bool recall;
    uint64_t space_limit;
};
/* Behind nfs4_result(OP_OPEN). */
struct nfs4_open_result nfs4_open_read(struct nfs4c *c);

void nfs4_open_confirm(struct nfs4c *c, const struct nfs4_id *id, uint32_t seqid);
void nfs4_open_downgrade(struct nfs4c *c, const struct nfs4_id *id, uint32_t seqid, uint32_t access,
                         uint32_t deny);
void nfs4_close(struct nfs4c *c, const struct nfs4_id *id, uint32_t seqid);
void nfs4_read(struct nfs4c *c, const struct nfs4_id *id, uint64_t offset, uint32_t count);
void nfs4_write(struct nfs4c *c, const struct nfs4_id *id, uint64_t offset, const char *text);
/* SETATTR of a size. */
void nfs4_truncate(struct nfs4c *c, const struct nfs4_id *id, uint64_t size);

enum { NFS4C_READ = 1, NFS4C_WRITE, NFS4C_READW, NFS4C_WRITEW };
struct nfs4_lock_args {
    uint32_t type;
    bool reclaim;
    uint64_t offset, length;
    bool new_owner;
    uint32_t open_seqid, lock_seqid;
    struct nfs4_id stateid;
    const char *owner;
};
void nfs4_lock(struct nfs4c *c, const struct nfs4_lock_args *args);
void nfs4_lockt(struct nfs4c *c, uint32_t type, uint64_t offset, uint64_t length, const char *owner);
void nfs4_locku(struct nfs4c *c, const struct nfs4_id *id, uint32_t seqid, uint64_t offset, uint64_t length);
void nfs4_release_lockowner(struct nfs4c *c, const char *owner);
struct nfs4_denied {
    uint64_t offset, length;
    uint32_t type;
    uint64_t clientid;
    char owner[NFS4C_NAME_MAX];
};
/* Behind the result of LOCK or LOCKT with NFS4ERR_DENIED. */
struct nfs4_denied nfs4_denied_read(struct nfs4c *c);
/* The next results are a stateid; a handle. */
struct nfs4_id nfs4_id_read(struct nfs4c *c);
struct nfs4_handle nfs4_handle_read(struct nfs4c *c);

void nfs4_setclientid(struct nfs4c *c, const char *name, uint64_t verifier);
void nfs4_setclientid_confirm(struct nfs4c *c, uint64_t clientid, uint64_t confirm);
void nfs4_renew(struct nfs4c *c, uint64_t clientid);
void nfs4_exchange_id(struct nfs4c *c, const char *name, uint64_t verifier, uint32_t flags);
struct nfs4_exchange_result {
    uint64_t clientid;
    uint32_t sequence, flags;
    uint64_t minor_id;
    char major_id[128], scope[128];
};
struct nfs4_exchange_result nfs4_exchange_read(struct nfs4c *c);

struct nfs4_channel {
    uint32_t header_pad, request_max, reply_max, reply_cached_max, operations_max, requests_max;
};
struct nfs4_create_session_args {
    uint64_t clientid;
    uint32_t sequence, flags;
    struct nfs4_channel fore, back;
    uint32_t program;
};
/* What a usual client asks for. */
struct nfs4_create_session_args nfs4_usual_session(const struct nfs4c *c);
void nfs4_create_session(struct nfs4c *c, const struct nfs4_create_session_args *args);
void nfs4_create_session_read(struct nfs4c *c, struct nfs4c_session *session, uint32_t *sequence_r);
void nfs4_destroy_session(struct nfs4c *c, const uint8_t id[16]);
void nfs4_destroy_clientid(struct nfs4c *c, uint64_t clientid);
void nfs4_bind_conn(struct nfs4c *c, const uint8_t id[16], uint32_t direction);
void nfs4_reclaim_complete(struct nfs4c *c, bool one_fs);
void nfs4_test_stateid(struct nfs4c *c, const struct nfs4_id *ids, uint32_t count);
void nfs4_free_stateid(struct nfs4c *c, const struct nfs4_id *id);

/* ---- a step up: one compound each ---- */

/* The handle of PATH ("a/b/c"). */
struct nfs4_handle nfs4_walk(struct nfs4c *c, const char *path);
/* OPEN of NAME in DIR (4.0: confirmed if need be, with c's running numbers for OWNER not looked at: SEQID
 * counts on). */
struct nfs4_opened {
    struct nfs4_id stateid;
    struct nfs4_handle file;
    uint32_t flags;
    uint32_t delegation, why;
    struct nfs4_id delegation_id;
    bool recall;
};
uint32_t nfs4_try_open(struct nfs4c *c, const struct nfs4_handle *dir, struct nfs4_open_args *args,
                       struct nfs4_opened *opened_r);
/* The same, and it must work; in 4.0 it is confirmed when the server asks for it, and args->seqid grows. */
struct nfs4_opened nfs4_must_open(struct nfs4c *c, const struct nfs4_handle *dir,
                                  struct nfs4_open_args *args);
/* Compounds of PUTFH and one operation: the status of the latter; *ID_R its stateid when it was done. */
uint32_t nfs4_try_close(struct nfs4c *c, const struct nfs4_handle *file, const struct nfs4_id *id,
                        uint32_t seqid);
uint32_t nfs4_try_lock(struct nfs4c *c, const struct nfs4_handle *file, const struct nfs4_lock_args *args,
                       struct nfs4_id *id_r, struct nfs4_denied *denied_r);
uint32_t nfs4_try_locku(struct nfs4c *c, const struct nfs4_handle *file, struct nfs4_id *id, uint32_t seqid,
                        uint64_t offset, uint64_t length);
uint32_t nfs4_try_lockt(struct nfs4c *c, const struct nfs4_handle *file, uint32_t type, uint64_t offset,
                        uint64_t length, const char *owner, struct nfs4_denied *denied_r);
uint32_t nfs4_try_read(struct nfs4c *c, const struct nfs4_handle *file, const struct nfs4_id *id);
uint32_t nfs4_try_write(struct nfs4c *c, const struct nfs4_handle *file, const struct nfs4_id *id);

uint32_t nfs4_try_delegreturn(struct nfs4c *c, const struct nfs4_handle *file, const struct nfs4_id *id);
/* GETATTR of change and size; NULL where not wanted. */
uint32_t nfs4_try_getattr(struct nfs4c *c, const struct nfs4_handle *file, uint64_t *change_r,
                          uint64_t *size_r);

extern const struct nfs4_id nfs4_zeros, nfs4_ones, nfs4_current;

#endif
