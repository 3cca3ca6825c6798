/*
 * lock.h - byte-range locks of NLM, NFSv4 and SMB in one table.
 *
 * A holder is an owner on a file, by way of an open or without one; it holds ranges by one of two rules:
 * - LOCK_POSIX: an owner never conflicts with itself; setting splits, merges, upgrades and downgrades what
 *   it has; unsetting takes away whatever of the range it has. Length LOCK_TO_END means to the end.
 * - LOCK_EXACT (SMB): each lock stands by itself, they stack, and one is unset by its exact range; an
 * exclusive one conflicts with the holder's own too, a shared one may be put on the holder's own exclusive
 * one. Length 0 is a point between two bytes, and conflicts with ranges that have it in their inside. Lengths
 * are literal. Holders of different owners conflict when ranges overlap and one of them is exclusive,
 * whatever their rules.
 *
 * Waiting: first come, first served. A waiter is granted when it conflicts with no range that is held and no
 * earlier waiter; later requests that wait queue behind it, requests that don't wait pass. A request that
 * would wait for itself through others gets ERR_DEADLOCK (LOCK_POSIX; the search stops after 2048 steps and
 * says no). Granting is bounded work a loop turn; the callbacks come at the turn's end.
 *
 * Cost: O(log n) for n ranges on a file, with others' and one's own found through separate trees.
 * A conflict with an expired client's range drops that client. In grace a lock must reclaim (recovery.h).
 */
#ifndef DITTOFS_LOCK_H
#define DITTOFS_LOCK_H

#include "dittofs/list.h"
#include "dittofs/open.h"

struct lock_holder;

#define LOCK_TO_END UINT64_MAX

enum lock_rules { LOCK_POSIX, LOCK_EXACT };

struct lock_request {
    uint64_t offset, length;
    bool exclusive;
    bool reclaim;  /* in grace, something the owner had before the restart */
    bool any_time; /* lock_set: no look at grace: it stood before the restart, and nobody was served since */
    /* lock_wait: its turn only ends the wait, nothing is set. Who comes behind has his turn, too. */
    bool only_tell;
};

struct lock_conflict {
    uint64_t offset, length; /* LOCK_TO_END when it reaches the end */
    bool exclusive;
    struct owner *owner; /* no reference; good until the next call into state */
};

/* The one holder of OWNER on FILE, made when missing; OPEN (may be NULL) is remembered by a new one.
 * ERR_EXPIRED (client gone), ERR_LIMIT, ERR_NOMEM. It stays without ranges until freed, or its open, owner or
 * client goes. */
enum err lock_holder_get(struct state_file *file, struct owner *owner, struct open *open,
                         enum lock_rules rules, struct lock_holder **holder_r) ERR_MUST_CHECK;
/* NULL when there is none. */
struct lock_holder *lock_holder_find(const struct state_file *file, const struct owner *owner);
/* Gives back all its ranges, ends its waits with ERR_CANCELLED. */
void lock_holder_free(struct lock_holder *holder);
struct owner *lock_holder_owner(const struct lock_holder *holder);
struct state_file *lock_holder_file(const struct lock_holder *holder);
struct open *lock_holder_open(const struct lock_holder *holder);
/* Ranges it has. */
uint32_t lock_holder_count(const struct lock_holder *holder);
/* Of a LOCK_EXACT holder: how many of its ranges are just this one. */
uint32_t lock_holder_count_equal(const struct lock_holder *holder, uint64_t offset, uint64_t length,
                                 bool exclusive);
struct stateid lock_holder_stateid(const struct lock_holder *holder);
struct stateid lock_holder_stateid_next(struct lock_holder *holder);

/* As an administrator: as lock_holder_free, and its stateid answers ERR_ADMIN_REVOKED until freed. */
void lock_holder_revoke(struct lock_holder *holder);

/* Walks its ranges, also over several turns: zero CURSOR at first. False: there is no other. */
struct lock_cursor {
    uint64_t first, last, order; /* private */
};
bool lock_holder_next_range(const struct lock_holder *holder, struct lock_cursor *cursor,
                            struct lock_conflict *range_r);
/* The same for requests of it that wait, in the order they came. */
bool lock_holder_next_wait(const struct lock_holder *holder, struct lock_cursor *cursor,
                           struct lock_conflict *range_r);

/* Sets a range: ERR_DENIED with *CONFLICT_R (may be NULL), ERR_INVAL (the range runs over the end, or is
 * empty by LOCK_POSIX), ERR_GRACE, ERR_NO_GRACE, ERR_RECLAIM_BAD, ERR_LIMIT, ERR_NOMEM. */
enum err lock_set(struct lock_holder *holder, const struct lock_request *request,
                  struct lock_conflict *conflict_r) ERR_MUST_CHECK;
/* LOCK_EXACT: ERR_LOCK_RANGE when no such range is held. LOCK_POSIX: ERR_LIMIT or ERR_NOMEM when a split is
 * not possible. ERR_INVAL. */
enum err lock_unset(struct lock_holder *holder, uint64_t offset, uint64_t length) ERR_MUST_CHECK;
/* Gives back all ranges; the holder stays. */
void lock_unset_all(struct lock_holder *holder);
/* Could OWNER (NULL: one that is not known yet) set the range by LOCK_POSIX? ERR_OK, ERR_DENIED, ERR_INVAL.
 * FILE may be NULL. Says nothing of waiters, nor of grace. */
enum err lock_test(struct state_file *file, const struct owner *owner, const struct lock_request *request,
                   struct lock_conflict *conflict_r) ERR_MUST_CHECK;

/* Anybody holds a range of it. */
bool lock_file_has_ranges(const struct state_file *file);

/* ---- waiting ---- */

struct lock_waiter_private; /* what state keeps for a waiter */

struct lock_waiter {
    /* Once, from the loop: ERR_OK (the range is held), ERR_CANCELLED (the holder, its open or owner was
     * released), ERR_EXPIRED (the client went), or why it could not be granted (ERR_LIMIT, ERR_NOMEM). The
     * memory is the caller's until then, and again afterwards. */
    void (*done)(struct lock_waiter *waiter, enum err err);
    struct lock_waiter_private *private_data; /* state's; NULL while it is not waiting */
};
/* As lock_set, or ERR_WAIT and DONE follows; ERR_DEADLOCK. *CONFLICT_R (may be NULL) is set with ERR_WAIT
 * when a range that is held is in the way. */
enum err lock_wait(struct lock_holder *holder, const struct lock_request *request, struct lock_waiter *waiter,
                   struct lock_conflict *conflict_r) ERR_MUST_CHECK;
/* Ends a wait; DONE is not called any more. True: it waits no longer. False: it had been granted and is held.
 */
bool lock_wait_cancel(struct lock_waiter *waiter);

/* ---- I/O ---- */

enum lock_io {
    LOCK_IO_ADVISORY, /* LOCK_EXACT ranges alone stand in the way */
    LOCK_IO_STRICT    /* LOCK_POSIX ranges too */
};
/* May LENGTH bytes at OFFSET be read or written by the owner with the id OWNER (0: nobody)? ERR_LOCKED:
 * another's exclusive range is there, or, for writing, another's shared one, or the owner's own shared
 * LOCK_EXACT one. FILE may be NULL. Ranges over the end are cut; length 0 is always fine. */
enum err lock_check_io(struct state_file *file, uint64_t owner, uint64_t offset, uint64_t length, bool write,
                       enum lock_io how) ERR_MUST_CHECK;

#endif
