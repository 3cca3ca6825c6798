/*
 * state.h - what clients hold: clients, opens, byte-range locks, sessions, caching grants and grace; one
 * table of each for all protocols.
 *
 * No protocol is named here: clients and owners are opaque keys, and what must be told to a client goes
 * through functions that its front-end gave. Everything is called on the loop thread. Callbacks come from the
 * loop, never from inside the call that registered them; a callback may call anything here.
 *
 * One header a subject: client.h (clients, leases), owner.h (owners, their sequence ids), stateid.h, open.h
 * (opens, share modes), lock.h (byte ranges), session.h, recovery.h (records, grace), grant.h.
 *
 * Memory is bounded by the limits below; beside each its cost a piece on 64-bit machines (what the allocator
 * adds left out). A full table answers ERR_LIMIT, after expired clients that are kept out of courtesy were
 * dropped, oldest first. Lock holders (200 bytes) are bounded by the stateids: opens, locks and grants
 * together.
 */
#ifndef DITTOFS_STATE_H
#define DITTOFS_STATE_H

#include "dittofs/err.h"
#include "dittofs/loop.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct state;
struct recovery_store;

/* A 0 takes the default. */
struct state_options {
    uint64_t lease_ms;          /* 90000 */
    uint64_t grace_ms;          /* lease_ms */
    uint64_t reclaim_quiet_ms;  /* 3500; see recovery.h */
    uint64_t reclaim_silent_ms; /* lease_ms; see recovery.h */
    uint64_t courtesy_ms;       /* longest courtesy after the lease's end: 86400000 */
    uint64_t break_ms;          /* time to answer a break of a grant: lease_ms / 2 */
    uint32_t max_clients;       /* 20000, both kinds; about 400 bytes and the keys each */
    uint32_t max_courtesy;      /* clients kept out of courtesy: 4096 */
    uint32_t max_owners;        /* 400000; about 220 bytes and the key (at most 1 KiB) each */
    uint32_t max_opens;         /* 400000; about 200 bytes, and 370 for a file that is not held yet, each */
    uint32_t max_locks;         /* granted ranges: 1000000; about 290 bytes each */
    uint32_t max_waiters;       /* blocked lock requests: 100000; about 450 bytes each */
    uint32_t max_grants;        /* 200000; about 250 bytes each */
    uint32_t max_sessions;      /* 40000; about 200 bytes and 32 a slot */
    uint64_t max_reply_bytes;   /* promised to reply caches of sessions: 1 GiB */
    uint32_t max_owner_reply;   /* longest cached reply of an owner's sequence: 4096 bytes */
    uint64_t max_owner_replies; /* all of these together: 64 MiB */
};

/* RECOVERY (may be NULL: nothing survives a restart; copied) is read at once: grace begins when it names
 * clients. LOOP stays the caller's. */
enum err state_open(struct loop *loop, const struct state_options *options,
                    const struct recovery_store *recovery, struct state **state_r) ERR_MUST_CHECK;
/* Drops everything, as a restart does: records of clients stay, users of files and opens are released, waits
 * end without a callback. References to files and owners must have been given back. */
void state_close(struct state **state);
const struct state_options *state_options(const struct state *state);
/* A number that is new at every start: part of client ids and stateids. */
uint32_t state_instance(const struct state *state);

/* ---- files ---- */

/* What is held of one file. Exists while somebody refers to it: state itself while anything is held. */
struct state_file;
/* Finds or makes the file (TREE, INO), with a reference for the caller: ERR_NOMEM. */
enum err state_file_get(struct state *state, uint32_t tree, uint64_t ino,
                        struct state_file **file_r) ERR_MUST_CHECK;
/* NULL when nothing is held of the file: then nothing can conflict. No reference. */
struct state_file *state_file_find(struct state *state, uint32_t tree, uint64_t ino);
struct state_file *state_file_ref(struct state_file *file);
/* Sets the pointer to NULL; NULL is fine. */
void state_file_unref(struct state_file **file);
uint32_t state_file_tree(const struct state_file *file);
uint64_t state_file_ino(const struct state_file *file);
/* A pointer kept with the file (a reference to the inode, say, so that it outlives its last name). RELEASE is
 * called when the file is forgotten, or another user is set. */
void state_file_set_user(struct state_file *file, void *user, void (*release)(void *user));
void *state_file_user(const struct state_file *file);
/* The name by which it was last opened or to which it was renamed, for listings: LENGTH bytes (cut at 255) in
 * the directory with the inode number DIR. Without memory for it there is none. */
void state_file_set_name(struct state_file *file, uint64_t dir, const void *name, size_t length);
/* NULL when there is none. */
const uint8_t *state_file_name(const struct state_file *file, uint64_t *dir_r, size_t *length_r);

/* ---- figures ---- */

struct state_counters {
    uint32_t clients, courtesy, owners, opens, locks, waiters, grants, sessions, files, stateids;
    uint64_t reply_bytes, owner_reply_bytes;
    uint64_t expired_total; /* clients whose lease ended */
    uint64_t evicted_total; /* courtesy clients dropped for a conflict, a limit or their age */
    uint64_t deadlocks_total;
    uint64_t breaks_total, break_timeouts_total;
};
void state_counters(const struct state *state, struct state_counters *counters_r);

#endif
