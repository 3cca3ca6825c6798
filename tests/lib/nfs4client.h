/*
 * nfs4client.h - a client of NFS version 4 with a life of its own around nfs4wire's compounds: it loses its
 * connection and comes back, sends again what it sent, has a name and sessions, is called back (RFC 7530,
 * 8881, 7862), and reads the results one after another.
 *
 *     wire4_begin(&c.wire);                SEQUENCE is put in front when the client has a session
 *     wire4_putrootfh(&c.wire);
 *     wire4_lookup(&c.wire, "a");
 *     assert_int_equal(nfs4_call(&c), NFS4_OK);
 *     nfs4_result(&c, OP_PUTROOTFH, NFS4_OK);
 *     nfs4_result(&c, OP_LOOKUP, NFS4_OK);   c.results stands at the operation's results
 *
 * What a good server would never answer (a broken RPC reply, results that can't be read) fails the test by
 * itself.
 */
#ifndef DITTOFS_TESTS_NFS4CLIENT_H
#define DITTOFS_TESTS_NFS4CLIENT_H

#include "dittofs/rpc.h"
#include "nfs4wire.h"
#include <stdbool.h>
#include <stdint.h>

struct nfsworld;
struct onc_server;

enum { NFS4C_NAME_MAX = 64 };

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
    struct wire4 wire; /* its compounds, client id and session */
    struct nfsworld *world;
    uint32_t uid;
    char name[NFS4C_NAME_MAX];
    uint64_t verifier;
    uint32_t create_sequence; /* 4.1: of the next CREATE_SESSION */
    bool reclaims;            /* 4.1: nfs4_introduce says no RECLAIM_COMPLETE */
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
    struct wire4_handle called_handle;          /* CB_NOTIFY_LOCK, CB_RECALL, CB_GETATTR */
    struct wire4_stateid called_id;             /* CB_RECALL */
    uint32_t called_keep, called_mask;          /* CB_RECALL_ANY */
    struct nfs4c_notice notices[NFS4C_NOTICES]; /* CB_NOTIFY: all that came */
    uint32_t notice_count;
    uint64_t called_clientid;
    char called_owner[NFS4C_NAME_MAX];
    bool called_referring; /* and to what */
    uint8_t referring_session[16];
    uint32_t referring_slot, referring_seqid;
    /* the answer, one result after another */
    struct wire4_result result; /* the one taken last */
    struct reader results;      /* stands at what it has behind its status */
    struct reader rest;         /* what was not taken yet */
};

/* The arguments of CB_NOTIFY behind the handle. */
void nfs4_read_notices(struct nfs4c *c, struct reader *arguments);
/* rpcclient.called of its connections. */
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

/* ---- the compound, which is built in c->wire ---- */

/* Sends and reads the reply; returns the compound's status. */
uint32_t nfs4_call(struct nfs4c *c);
/* Sends the same bytes again, with another xid (or the same). */
uint32_t nfs4_call_again(struct nfs4c *c, bool same_xid);
/* The second half: only reads, what wire4_post has sent for. */
uint32_t nfs4_receive(struct nfs4c *c);
/* The next operation's result must be OPNUM's with STATUS; it is in c->result then, and c->results stands
 * behind its status. */
void nfs4_result(struct nfs4c *c, uint32_t opnum, uint32_t status);
/* As nfs4_result, and says the status. */
uint32_t nfs4_result_status(struct nfs4c *c, uint32_t opnum);
/* Passes over a SEQUENCE result, if the compound has one. */
void nfs4_skip_sequence(struct nfs4c *c);

/* ---- operations as these tests like them ---- */

/* Nothing is made unless it is said. */
enum { NFS4C_NOCREATE, NFS4C_UNCHECKED, NFS4C_GUARDED, NFS4C_EXCLUSIVE, NFS4C_EXCLUSIVE_1 };
struct nfs4_open_args {
    uint32_t seqid, access, deny;
    const char *owner;
    int create;                   /* NFS4C_ */
    bool has_size;                /* attributes: a size of zero, */
    uint32_t mode;                /* and this mode when it is not 0 */
    uint64_t verifier;            /* EXCLUSIVE */
    uint32_t claim;               /* 0 NULL, 1 PREVIOUS, 4 FH, ... */
    const char *name;             /* CLAIM_NULL */
    struct wire4_stateid stateid; /* CLAIM_DELEGATE_CUR, CLAIM_DELEG_CUR_FH */
    uint32_t delegated;           /* CLAIM_PREVIOUS: what it had */
};
void nfs4_open_op(struct nfs4c *c, const struct nfs4_open_args *args);
/* FILE_SYNC4 */
void nfs4_write(struct nfs4c *c, const struct wire4_stateid *id, uint64_t offset, const char *text);
/* SETATTR of a size. */
void nfs4_truncate(struct nfs4c *c, const struct wire4_stateid *id, uint64_t size);
/* Called back where it listens. */
void nfs4_setclientid(struct nfs4c *c, const char *name, uint64_t verifier);

struct nfs4_denied {
    uint64_t offset, length;
    uint32_t type;
    uint64_t clientid;
    char owner[NFS4C_NAME_MAX];
};
/* What a usual client asks for. */
struct wire4_create_session_args nfs4_usual_session(const struct nfs4c *c);

/* ---- a step up: one compound each ---- */

/* OPEN of NAME in DIR (4.0: confirmed if need be, with c's running numbers for OWNER not looked at: SEQID
 * counts on). */
struct nfs4_opened {
    struct wire4_stateid stateid;
    struct wire4_handle file;
    uint32_t flags;
    uint32_t delegation, why;
    struct wire4_stateid delegation_id;
    bool recall;
};
uint32_t nfs4_try_open(struct nfs4c *c, const struct wire4_handle *dir, struct nfs4_open_args *args,
                       struct nfs4_opened *opened_r);
/* The same, and it must work; in 4.0 it is confirmed when the server asks for it, and args->seqid grows. */
struct nfs4_opened nfs4_must_open(struct nfs4c *c, const struct wire4_handle *dir,
                                  struct nfs4_open_args *args);
/* Compounds of PUTFH and one operation: the status of the latter; *ID_R its stateid when it was done. */
uint32_t nfs4_try_close(struct nfs4c *c, const struct wire4_handle *file, const struct wire4_stateid *id,
                        uint32_t seqid);
uint32_t nfs4_try_lock(struct nfs4c *c, const struct wire4_handle *file, const struct wire4_lock_args *args,
                       struct wire4_stateid *id_r, struct nfs4_denied *denied_r);
uint32_t nfs4_try_locku(struct nfs4c *c, const struct wire4_handle *file, struct wire4_stateid *id,
                        uint32_t seqid, uint64_t offset, uint64_t length);
uint32_t nfs4_try_lockt(struct nfs4c *c, const struct wire4_handle *file, uint32_t type, uint64_t offset,
                        uint64_t length, const char *owner, struct nfs4_denied *denied_r);
uint32_t nfs4_try_read(struct nfs4c *c, const struct wire4_handle *file, const struct wire4_stateid *id);
uint32_t nfs4_try_write(struct nfs4c *c, const struct wire4_handle *file, const struct wire4_stateid *id);

uint32_t nfs4_try_delegreturn(struct nfs4c *c, const struct wire4_handle *file,
                              const struct wire4_stateid *id);
/* GETATTR of change and size; NULL where not wanted. */
uint32_t nfs4_try_getattr(struct nfs4c *c, const struct wire4_handle *file, uint64_t *change_r,
                          uint64_t *size_r);

#endif
