/*
 * stateid.h - names of state: {seqid, other}, as NFSv4 has them; other protocols may use `other`'s index and
 * generation as their file ids.
 *
 * `other` is instance (4 bytes), index (4), generation (4), big-endian. A table of (index, generation) says
 * whether it is live; no pointer is ever in it. What ended an entry is remembered until its index is used
 * again, which takes as long as possible, so that expired and revoked ones are told from wrong ones.
 */
#ifndef DITTOFS_STATEID_H
#define DITTOFS_STATEID_H

#include "dittofs/client.h"

enum { STATEID_OTHER_SIZE = 12 };

struct stateid {
    uint32_t seqid;
    uint8_t other[STATEID_OTHER_SIZE];
};

enum stateid_kind {
    STATEID_OPEN = 1, /* object: struct open */
    STATEID_LOCK,     /* object: struct lock_holder */
    STATEID_GRANT,    /* object: struct grant */
    STATEID_OTHER     /* object: the front-end's (stateid_new) */
};

struct stateid_object {
    enum stateid_kind kind;
    struct client *client;
    uint32_t seqid; /* the current one */
    union {
        struct open *open;
        struct lock_holder *holder;
        struct grant *grant;
        void *other;
    };
};

enum stateid_seqid {
    STATEID_SEQID_EXACT,       /* NFSv4.0 */
    STATEID_SEQID_ZERO_CURRENT /* NFSv4.1: 0 means the current one (RFC 8881 8.2.2) */
};

/* Special stateids (all zeros, all ones, current) are the front-end's; here they are bad. CLIENT (may be
 * NULL) must be the holder. In this order: ERR_STALE_STATEID (another instance), ERR_BAD_STATEID (never was,
 * or was given back, or another client's), ERR_EXPIRED (taken away with its client's lease, or when that
 * began a new life), ERR_ADMIN_REVOKED, ERR_DELEG_REVOKED, ERR_OLD_STATEID (an earlier seqid),
 * ERR_BAD_STATEID (a later seqid).
 */
enum err stateid_lookup(struct state *state, const struct stateid *stateid, enum stateid_seqid rule,
                        const struct client *client, struct stateid_object *object_r) ERR_MUST_CHECK;
/* The owner whose close ended STATEID, as long as that was the owner's last close, or NULL: a replayed CLOSE
 * of NFSv4.0 finds its sequence here. */
struct owner *stateid_closed_owner(struct state *state, const struct stateid *stateid);
/* FREE_STATEID of what was revoked: ERR_OK and it is forgotten. ERR_LOCKS_HELD when it is live, else as
 * lookup. */
enum err stateid_free(struct state *state, const struct stateid *stateid,
                      const struct client *client) ERR_MUST_CHECK;

/* Walks what is live over several turns: *INDEX, 0 at first, says where to go on, whatever came and went
 * meanwhile. Looks at no more than *STEPS entries, and takes those it looked at off. False: there is none
 * within the steps; when steps are left there is no other at all. */
bool stateid_walk(struct state *state, uint32_t *index, unsigned *steps, struct stateid *stateid_r,
                  struct stateid_object *object_r);

/* A stateid for an object of the front-end (an asynchronous copy, say), at seqid 1. The object's owner ends
 * it; when the client goes, it goes. ERR_LIMIT, ERR_NOMEM. */
enum err stateid_new(struct client *client, void *object, struct stateid *stateid_r) ERR_MUST_CHECK;
void stateid_end(struct state *state, const struct stateid *stateid);

#endif
