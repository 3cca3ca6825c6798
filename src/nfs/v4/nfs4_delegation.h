/*
 * nfs4_delegation.h - delegations: grants of grant.h as NFSv4 gives, uses, recalls and takes them back (RFC
 * 7530 10.4, RFC 8881 10.2-10.5, 10.9).
 */
#ifndef DITTOFS_NFS4_DELEGATION_H
#define DITTOFS_NFS4_DELEGATION_H

#include "nfs/v4/nfs4_callback.h"
#include "dittofs/grant.h"

/* open_delegation_type4 */
enum nfs4_delegation_type { DELEGATE_NONE, DELEGATE_READ, DELEGATE_WRITE, DELEGATE_NONE_EXT };

/* why_no_delegation4 */
enum nfs4_why {
    WHY_NOT_WANTED,
    WHY_CONTENTION,
    WHY_RESOURCE,
    WHY_NOT_SUPP_FTYPE,
    WHY_WRITE_NOT_SUPP_FTYPE,
    WHY_NOT_SUPP_UPGRADE,
    WHY_NOT_SUPP_DOWNGRADE,
    WHY_CANCELLED,
    WHY_IS_DIR
};

/* The bits of an OPEN's or WANT_DELEGATION's wishes (RFC 8881 18.16.1). */
enum nfs4_want {
    WANT_MASK = 0xff00,
    WANT_NO_PREFERENCE = 0,
    WANT_READ = 0x100,
    WANT_WRITE = 0x200,
    WANT_ANY = 0x300,
    WANT_NONE = 0x400,
    WANT_CANCEL = 0x500,
    WANT_SIGNAL_MASK = 0x30000, /* when it wants to be told that it could have one */
    WANT_HINTS = 0x300000 /* RFC 9754: delegated times, no open beside a delegation; we pass over them */
};

struct nfs4_question; /* nfs4_delegation_attr.c */
struct nfs4_notice;   /* nfs4_notice.c */

/* The user of a struct grant that is a delegation; goes with it. */
struct nfs4_delegation {
    struct nfs4_server *server; /* NULL: it has ended */
    struct list link;           /* in server->delegated */
    struct grant *grant;
    enum nfs4_delegation_type type;
    uint8_t handle[VFS_HANDLE_SIZE];
    /* Whoever opened it: what he may do with the delegation's stateid without being asked again. */
    void *user_mark;
    unsigned io; /* enum nfs4_io */
    bool has_request;
    struct nfs4_request request; /* 4.1: that it was given with */
    /* a recall */
    struct nfs4_callback *recall; /* under way, or NULL */
    struct loop_timer retry;
    uint32_t tries;
    /* DELEGATE_WRITE: what the holder is asked for */
    uint64_t change; /* of the file, as the holder knows it */
    struct nfs4_question *question;
    struct nfs4_notice *notice; /* of a directory: its changes are told; or NULL */
};

/* ---- giving ---- */

struct nfs4_delegation_wish {
    struct client *client;
    const struct nfs4_filehandle *fh;
    struct state_file *file;
    enum nfs4_delegation_type type; /* READ or WRITE */
    unsigned io;                    /* enum nfs4_io: what the asking user may do */
    bool reclaim;
    struct nfs4_notice *notice; /* taken over, and NULL, when it succeeds; may be NULL */
};
/* Errors of grant_add, and ERR_NOTSUPP: none are given (the configuration, or no path to the client).
 * compound->context must be filled in. */
enum err nfs4__delegation_give(struct nfs4_compound *compound, struct nfs4_delegation_wish *wish,
                               struct nfs4_delegation **delegation_r) ERR_MUST_CHECK;
/* The one that CLIENT has of FILE, or NULL. */
struct nfs4_delegation *nfs4__delegation_find(const struct client *client, const struct state_file *file);
/* The request that gave it, as long as the client may not have its answer; else NULL. */
const struct nfs4_request *nfs4__delegation_referring(const struct nfs4_delegation *delegation);
/* Why not, in the words of 4.1. */
enum nfs4_why nfs4__delegation_why(enum err err);
/* open_delegation4. RECALL: give it back soon. compound->context must be filled in. */
void nfs4__delegation_encode(struct nfs4_compound *compound, const struct nfs4_delegation *delegation,
                             bool recall);
/* open_delegation4 without one: with WHY for WANT's that hear it (4.1). */
void nfs4__delegation_encode_none(struct nfs4_compound *compound, uint32_t want, enum nfs4_why why);

/* ---- using ---- */

/* What a stateid that names GRANT is good for (see nfs4__stateid_for_io). */
uint32_t nfs4__delegation_io(struct nfs4_compound *compound, const struct grant *grant, enum nfs4_io io,
                             enum vfs_io_right *right_r);

/* ---- attributes of a file that another client may be writing in its cache (nfs4_delegation_attr.c) ---- */

struct nfs4_asker {
    /* Once, later: NFS4_OK with the size that the file has now, if HAS_SIZE; or NFS4ERR_DELAY. */
    void (*done)(struct nfs4_asker *asker, uint32_t status, bool has_size, uint64_t size);
    struct list link; /* private */
};
/* Asks the holder of a write delegation, if another client than the compound's has one of the current
 * filehandle's file and one of WANTED depends on it. NFS4_OK: nobody has; NFS4_WAIT: DONE follows;
 * NFS4ERR_DELAY: it is being recalled. compound->context must be filled in. */
uint32_t nfs4__delegation_ask(struct nfs4_compound *compound, const struct nfs4_bitmap *wanted,
                              struct nfs4_asker *asker);
/* The same for those that can't wait: a recall is begun. */
uint32_t nfs4__delegation_settle(struct nfs4_compound *compound, const struct nfs4_bitmap *wanted);
void nfs4__question_leave(struct nfs4_delegation *delegation);
/* CB_GETATTR4res behind its status: the values of change and size; others behind them are passed over. */
bool nfs4__delegation_decode_attributes(struct reader *reader, uint64_t *change_r,
                                        uint64_t *size_r) MUST_CHECK;

/* ---- the end ---- */

/* The front-end ends before state does: delegations stay there, and nobody is called any more. */
void nfs4__delegations_close(struct nfs4_server *server);

#endif
