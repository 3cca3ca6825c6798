/*
 * nfs4_state.h - what operations ask of the state that a client holds: who the client is, stateids, owners,
 * and NFSv4.0's sequence of an owner's requests.
 *
 * The tables are those of the state room. Here stand the forms that NFSv4 gives them: clients of 4.0 and of
 * 4.1 are two families of client.h; open and lock owners two kinds of owner.h.
 */
#ifndef DITTOFS_NFS4_STATE_H
#define DITTOFS_NFS4_STATE_H

#include "dittofs/client.h"
#include "dittofs/lock.h"
#include "dittofs/open.h"
#include "dittofs/owner.h"
#include "dittofs/recovery.h"
#include "dittofs/session.h"
#include "dittofs/state.h"
#include "dittofs/stateid.h"
#include "nfs/v4/nfs4_priv.h"

/* ---- clients ---- */

/* Kept in records of recovery: the numbers stay. */
enum nfs4_family { NFS4_FAMILY_0 = 40, NFS4_FAMILY_1 = 41 };

enum { NFS4_NETID_MAX = 31, NFS4_ADDRESS_MAX = 127 };

enum nfs4_path {
    NFS4_PATH_UNKNOWN, /* nobody has asked yet */
    NFS4_PATH_UP,      /* it answered when it was called last */
    NFS4_PATH_DOWN     /* it did not */
};

/* The user of a struct client of either family. */
struct nfs4_client {
    /* nfs4_callback_path.c */
    enum nfs4_path path;
    uint64_t generation;         /* tells this record from an earlier one of the client */
    uint64_t tested_ms;          /* when CB_NULL was sent last */
    struct nfs4_path_test *test; /* under way, or NULL */
    /* 4.0: where it wants to be called back; also told with CLID_INUSE. 4.1: where its last connection comes
     * from, as text */
    char netid[NFS4_NETID_MAX + 1];
    char address[NFS4_ADDRESS_MAX + 1];
    struct net_address callback_address;
    bool has_callback; /* the address is one that we would call */
    uint32_t callback_program, callback_ident;
    uint32_t callback_flavor, callback_uid, callback_gid;
    /* nfs4_delegation.c */
    uint64_t asked_ms; /* when it was last asked to give some back (CB_RECALL_ANY) */
};
struct nfs4_client *nfs4__client_new(void);
/* 4.1: the compound comes from a connection that the client has not used before. */
void nfs4__client_seen(const struct nfs4_compound *compound, struct nfs4_client *user);
extern const struct client_operations nfs4__client_operations;

/* Who asks, in the form that client.h compares: flavour and user. */
enum { NFS4_PRINCIPAL_SIZE = 8 };
void nfs4__principal(const struct nfs4_compound *compound, uint8_t principal[NFS4_PRINCIPAL_SIZE]);

/* The confirmed client of 4.0 with this id; its lease starts anew. NFS4ERR_STALE_CLIENTID, NFS4ERR_EXPIRED.
 */
uint32_t nfs4__client_of_id(struct nfs4_compound *compound, uint64_t id, struct client **client_r);
/* Whose request this is: of the session in 4.1; in 4.0 the one with the id that the owner in the arguments
 * has. */
uint32_t nfs4__client_of_owner(struct nfs4_compound *compound, uint64_t id, struct client **client_r);

/* Whose request this is, as far as that is known: of the session in 4.1; in 4.0 of the stateids and ids in
 * the compound so far, else whoever spoke last over its connection. NULL: nobody knows. */
struct client *nfs4__compound_client(const struct nfs4_compound *compound);

/* Records of recovery that were written since WRITES_BEFORE (recovery_writes) must be durable before the
 * reply goes. compound->context must be filled in. */
void nfs4__wait_for_records(struct nfs4_compound *compound, uint64_t writes_before);

/* The user as a mark that an open keeps: a number, not a pointer. */
void *nfs4__user_mark(const struct nfs4_compound *compound);

/* CLIENT is one of the tables: its lease starts anew. */
void nfs4__client_renew(struct client *client);
/* The same in 4.0 only, where each use of what a client holds is a sign of life (RFC 7530 9.5). */
void nfs4__client_used(struct nfs4_compound *compound, struct client *client);

/* ---- files ---- */

/* What is held of FH's file; NULL when nothing is. */
struct state_file *nfs4__state_file_find(const struct nfs4_compound *compound,
                                         const struct nfs4_filehandle *fh);
/* The same, made if it must be, with a reference; the inode lives as long as it. */
uint32_t nfs4__state_file_get(struct nfs4_compound *compound, const struct nfs4_filehandle *fh,
                              struct state_file **file_r);

/* FILE was opened by NAME in the current directory: for listings. */
void nfs4__state_file_name(const struct nfs4_compound *compound, struct state_file *file,
                           struct store_name name);

/* ---- stateids (nfs4_stateid.c) ---- */

enum nfs4_io { NFS4_IO_READ = 1, NFS4_IO_WRITE = 2 };

/* May the holder of STATEID (a special one, an open's or a lock's, or the current one) do IO to the current
 * filehandle's file? Puts the holder's owner into compound->context, so that vfs sees who asks,
 * which must be filled in. *RIGHT_R says what vfs still has to check. The five answers for wrong stateids
 * (RFC 8881 8.2.4), NFS4ERR_OPENMODE, NFS4ERR_LOCKED, NFS4ERR_GRACE. */
uint32_t nfs4__stateid_for_io(struct nfs4_compound *compound, const struct nfs4_stateid *stateid,
                              enum nfs4_io io, enum vfs_io_right *right_r);

/* What STATEID (not a special one; the current one is replaced) names of the current filehandle's file. KIND
 * is what it has to be. In 4.0 its client's lease starts anew. */
uint32_t nfs4__stateid_find(struct nfs4_compound *compound, const struct nfs4_stateid *stateid,
                            enum stateid_kind kind, struct stateid_object *object_r);
/* The same, of FH's file. */
uint32_t nfs4__stateid_find_of(struct nfs4_compound *compound, const struct nfs4_filehandle *fh,
                               const struct nfs4_stateid *stateid, enum stateid_kind kind,
                               struct stateid_object *object_r);
/* Writes STATEID as a result and makes it the current stateid. */
void nfs4__stateid_result(struct nfs4_compound *compound, struct stateid stateid);
/* A stateid that is never good: what CLOSE gives in 4.1 (RFC 8881 18.2.4). */
struct stateid nfs4__stateid_invalid(void);

/* ---- owners (nfs4_open_owner.c) ---- */

enum nfs4_owner_kind { NFS4_OPEN_OWNER = 1, NFS4_LOCK_OWNER = 2 };

/* open_owner4, lock_owner4. */
struct nfs4_owner {
    uint64_t clientid;
    const uint8_t *key;
    uint32_t length;
};
bool nfs4__decode_owner(struct reader *reader, struct nfs4_owner *owner_r) MUST_CHECK;

/*
 * NFSv4.0 numbers the requests of each owner (RFC 7530 9.1.7). An operation asks one of the two `begin`
 * before it looks at anything else, and ends with nfs4__sequence_end, which keeps what it has written. False
 * from `begin`: *STATUS_R is the answer (a replay's results are written already) and `end` must not be
 * called. In 4.1 there are no numbers: `begin` says go on, `end` does nothing.
 */
struct nfs4_sequence {
    struct owner *owner; /* a reference while its request is being done */
};
bool nfs4__sequence_begin(struct nfs4_compound *compound, struct nfs4_sequence *sequence, struct owner *owner,
                          uint32_t seqid, uint32_t *status_r);
/* For operations that name the owner by STATEID, which must name a KIND of the current filehandle's file. */
bool nfs4__stateid_begin(struct nfs4_compound *compound, struct nfs4_sequence *sequence,
                         const struct nfs4_stateid *stateid, enum stateid_kind kind, uint32_t seqid,
                         struct stateid_object *object_r, uint32_t *status_r);
/* Returns STATUS. */
uint32_t nfs4__sequence_end(struct nfs4_compound *compound, struct nfs4_sequence *sequence, uint32_t status);

/* ---- sessions ---- */

/* A request of a client of 4.1. */
struct nfs4_request {
    uint8_t session[SESSION_ID_SIZE];
    uint32_t slot, seqid;
};

/* The user of a struct session. */
struct nfs4_session {
    uint32_t request_max, reply_max, reply_cached_max, operations_max; /* of the fore channel */
    uint32_t back_request_max, back_reply_max, back_operations_max;
    uint32_t minor;
    uint32_t callback_program;
    uint32_t callback_flavor; /* enum onc_flavor: ONC_AUTH_NONE or ONC_AUTH_SYS, with the rest */
    uint32_t callback_uid, callback_gid;
    char callback_machine[ONC_MACHINE_NAME_MAX + 1];
    bool has_back;   /* the client asked for a back channel */
    bool back_fault; /* its slots are not what we think: the client has to make a new session */
};

/* callback_sec_parms4<>: takes the first that we can use into SESSION (AUTH_NONE when there is none). False:
 * BADXDR. */
bool nfs4__decode_callback_security(struct reader *reader, struct nfs4_session *session) MUST_CHECK;
/* 4.0: the connection that the compound came over speaks for the client CLIENTID; and for whom it does (0:
 * not known). */
void nfs4__connection_set_client(struct nfs4_compound *compound, uint64_t clientid);
uint64_t nfs4__connection_client(const struct nfs4_compound *compound);
/* Ties the connection that the compound came over to SESSION. False when that is not possible. */
bool nfs4__bind_connection(struct nfs4_compound *compound, struct session *session, unsigned directions);

#endif
