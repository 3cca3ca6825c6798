/*
 * lockactor.h - somebody who opens, locks, reads, removes over any one of the protocols, and says what came
 * of it in words that are the same for all: for tests of what one protocol's clients hold against another's.
 *
 * An actor is a client of its own (a host of NLM, a client of NFSv4, a machine of SMB), as the user with uid
 * 1000, on connections to one smbworld. It has one file at a time. Statuses that none of the words stand for
 * fail the test by themselves (cmocka).
 */
#ifndef DITTOFS_TESTS_LOCKACTOR_H
#define DITTOFS_TESTS_LOCKACTOR_H

#include "dittofs/open.h"
#include "nfs4wire.h"
#include "nlmclient.h"
#include "smbworld.h"

enum actor_protocol { ACTOR_V3, ACTOR_V40, ACTOR_V41, ACTOR_V42, ACTOR_SMB, ACTOR_PROTOCOLS };
const char *actor_protocol_name(enum actor_protocol protocol);

enum outcome {
    OUT_OK,
    OUT_DENIED,   /* a range is held by another */
    OUT_LOCKED,   /* I/O into another's range or against another's deny mode */
    OUT_SHARE,    /* an open against another's */
    OUT_OPEN,     /* removing or renaming what another has open and does not let go */
    OUT_DELETING, /* the file is going */
    OUT_LATER,    /* a grant of another's is being taken back, or it is grace: ask again */
    OUT_GONE,     /* there is no such file, or no such lock to reclaim */
};
const char *outcome_name(enum outcome outcome);

struct actor {
    struct smbworld *world;
    enum actor_protocol protocol;
    char name[32];
    /* NFSv3 and NLM */
    struct rpcclient *rpc, *nlm;
    struct nfs3_handle top3, file3;
    /* NFSv4 */
    struct wire4 *wire;
    struct wire4_handle top4, file4;
    struct wire4_owner opener, locker;
    struct wire4_stateid open, lock;
    /* SMB */
    struct smb2client *smb;
    uint8_t file[SMB2C_FILE_ID];
    bool is_persistent; /* its opens are, and its machine is always the same */
    char file_name[32];
    /* what it has of its file */
    bool found;    /* a handle */
    bool has_open; /* an open (NLM: a share) */
    bool has_lock; /* ranges */
    unsigned access, deny;
};

/* NAME tells its client from the others. */
struct actor *actor_new(struct smbworld *world, enum actor_protocol protocol, const char *name);
/* Of SMB, with persistent handles (smbworld_open_persistent). */
struct actor *actor_new_persistent(struct smbworld *world, const char *name);
/* Ends the connections without giving anything back. */
void actor_free(struct actor **actor);
/* The same client again, after a restart of the server: it has lost its connections, and a new one of SMB
 * nothing of the old, unless that is persistent. Handles and what it held are remembered. */
void actor_reconnect(struct actor *actor);
/* Says that it has reclaimed everything, where its protocol can. */
void actor_complete(struct actor *actor);

/* ACCESS and DENY are enum open_share bits; NFS has no OPEN_DELETE. NLM with neither: only finds the file. */
enum outcome actor_open(struct actor *actor, const char *name, unsigned access, unsigned deny);
/* The same with a lease (SMB2C_LEASE_ bits; SMB only), under the key of its name. */
enum outcome actor_open_lease(struct actor *actor, const char *name, unsigned access, uint32_t lease,
                              uint32_t *granted_r);
/* Needs an open, but for NLM. */
enum outcome actor_lock(struct actor *actor, uint64_t offset, uint64_t length, bool exclusive);
enum outcome actor_unlock(struct actor *actor, uint64_t offset, uint64_t length);
/* What was open and locked before a restart, by NLM and NFSv4: the open, and one range; by SMB, if it is
 * persistent: the open. */
enum outcome actor_reclaim(struct actor *actor, uint64_t offset, uint64_t length, bool exclusive);
/* I/O of the file that was opened or found: NFSv3 and NFSv4 by handle alone (a special stateid). */
enum outcome actor_read(struct actor *actor);
enum outcome actor_write(struct actor *actor);
enum outcome actor_truncate(struct actor *actor);
/* By name; SMB opens it for that, marks it and closes it. */
enum outcome actor_remove(struct actor *actor, const char *name);
enum outcome actor_rename(struct actor *actor, const char *from, const char *to);
/* SMB: the open file goes with its last open. */
enum outcome actor_mark_deleted(struct actor *actor);
/* Gives back locks and opens. */
void actor_release(struct actor *actor);

#endif
