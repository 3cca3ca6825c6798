/*
 * state_priv.h - the structs of the state room and what its files call of each other.
 *
 * Who owns what: state owns clients, files, sessions and stateid entries. A client owns its owners' state:
 * its end closes its opens, frees its lock holders, grants and sessions. Opens and holders refer to (count)
 * their file and owner. Front-ends' pointers to opens, holders and grants are good until these end.
 */
#ifndef DITTOFS_STATE_STATE_PRIV_H
#define DITTOFS_STATE_STATE_PRIV_H

#include "dittofs/client.h"
#include "dittofs/grant.h"
#include "dittofs/hash.h"
#include "dittofs/hashtable.h"
#include "dittofs/list.h"
#include "dittofs/lock.h"
#include "dittofs/log.h"
#include "dittofs/loop.h"
#include "dittofs/open.h"
#include "dittofs/owner.h"
#include "dittofs/recovery.h"
#include "dittofs/session.h"
#include "dittofs/state.h"
#include "dittofs/stateid.h"
#include "state/interval_priv.h"

enum {
    SHARE_BITS = 3,
    EXPIRED_IDS = 1024,      /* ids of expired clients that are remembered */
    DEADLOCK_STEPS = 2048,   /* most conflicts looked at in one search */
    QUEUE_TRIES = 64,        /* most waiters looked at to find one that does not wait for us */
    TURN_WAITERS = 256,      /* waiters looked at in one loop turn */
    CALL_WAITERS = 32,       /* and at once, when ranges become free */
    STATEID_FREE_MIN = 4096, /* entries that rest before one is used again */
    STATEID_CHUNK = 1024,    /* entries allocated together */
};

/* Why a client, and with it a stateid, ends. */
enum end_reason {
    END_CLOSED,   /* by its own wish */
    END_REPLACED, /* by its next life: to stateids the same as the next */
    END_EXPIRED   /* taken away after its lease */
};

/* ---- stateids ---- */

enum stateid_entry_status { ENTRY_FREE, ENTRY_LIVE, ENTRY_ADMIN_REVOKED, ENTRY_GRANT_REVOKED };

struct stateid_entry {
    uint32_t index, generation, seqid;
    uint8_t status; /* enum stateid_entry_status */
    uint8_t kind;   /* enum stateid_kind */
    uint8_t end;    /* enum end_reason, when free */
    struct client *client;
    void *object;
    struct owner *closer; /* the owner whose last close ended it */
    struct list link;     /* in the client's revoked or other entries, or in the free ones, oldest first */
};

struct stateid_table {
    struct stateid_entry **chunks;
    uint32_t chunk_count, chunk_capacity, used, limit;
    struct list free;
    uint32_t free_count;
};

/* ---- the sum ---- */

struct reply_slot {
    uint32_t seqid; /* of the last request */
    bool busy;      /* it is being done */
    bool used;      /* there was one */
    uint64_t digest;
    uint8_t *reply; /* NULL: not cached */
    size_t reply_length;
};

struct grace {
    bool active;
    bool ending;       /* the record is on its way to disk */
    bool has_recovery; /* `store` is there */
    struct recovery_store store;
    struct recovery_wait wait;
    struct recovery_wait release_wait;
    bool releasing;     /* a front-end's record was removed, and that is not durable */
    bool release_again; /* another one since the wait for it began */
    uint64_t boot;
    uint64_t writes;
    uint64_t end_ms;
    uint64_t retry_ms; /* not before, when recording its end failed */
    struct list known; /* struct known_client: those that may reclaim */
    struct hashtable known_table;
    uint32_t waiting_for; /* known ones that are not done */
};

/* A client of an earlier boot that may reclaim. */
struct known_client {
    struct list link;
    struct hashlink hashlink;
    struct client *client; /* once it is back */
    bool done;
    uint64_t boot;
    unsigned family;
    size_t owner_length;
    uint8_t owner[];
};

struct state {
    struct loop *loop;
    struct state_options options;
    struct state_counters counters;
    uint32_t instance;
    struct siphash_key hash_key;
    bool closing;
    struct loop_timer timer;
    struct loop_hook hook;

    struct hashtable files;

    struct hashtable clients_by_owner, clients_by_id;
    struct list clients;     /* all that are not gone */
    struct list leases;      /* confirmed and leased: the one renewed longest ago first */
    struct list unconfirmed; /* oldest first */
    struct list courtesy;    /* expired longest ago first */
    uint32_t last_client;
    uint64_t expired_ids[EXPIRED_IDS];
    uint32_t expired_at;

    struct hashtable owners;
    struct list kept_owners; /* used longest ago first */
    uint64_t last_owner;

    struct stateid_table stateids;
    struct hashtable opens; /* by owner and file */
    struct hashtable holders;

    uint64_t last_order;    /* of ranges and waiters */
    uint32_t search;        /* number of the last deadlock search */
    struct list busy_files; /* files with waiters to be looked at */
    struct list done_waits; /* waiters whose callback is due */

    struct hashtable sessions;
    struct hashtable connections; /* attachments by connection */

    struct list breaks; /* breaking grants, oldest first */
    struct list told;   /* grants whose holders have to be told */
    struct list done_grantwaits;

    struct grace grace;
};

enum file_freed {
    FREED_NOTHING,
    FREED,       /* one pass over the waiters in front is under way */
    FREED_AGAIN, /* and something became free meanwhile: another one follows */
};

struct state_file {
    struct state *state;
    struct hashlink hashlink;
    uint32_t references;
    uint32_t tree;
    uint64_t ino;
    void *user;
    void (*release)(void *user);
    uint64_t name_dir;
    uint8_t *name; /* its length and its bytes; NULL: not known */

    struct list opens;
    uint32_t access_count[SHARE_BITS], deny_count[SHARE_BITS];

    struct list holders;
    struct interval_tree ranges;           /* all that are held */
    struct interval_tree exclusive_ranges; /* those that are exclusive */
    uint32_t exact_count;                  /* ranges of LOCK_EXACT holders */
    struct interval_tree waiters;          /* all that wait */
    struct interval_tree exclusive_waiters;
    struct interval_tree front; /* waiters that only held ranges are in the way of */
    struct list pending;        /* waiters to be looked at */
    struct list left;           /* crowds without a leader: to be looked at, too */
    struct list busy_link;      /* in state->busy_files while there are any, or ranges became free */
    enum file_freed freed;      /* waiters in front that overlap these are to be looked at: */
    uint64_t freed_first, freed_last;
    struct interval freed_at; /* those up to here have been */

    struct list grants;
    struct list grant_waiters;
    uint64_t last_break_ms; /* 0: none */
};

struct client {
    struct state *state;
    struct hashlink by_owner, by_id;
    struct list link;       /* in state->clients */
    struct list lease_link; /* in leases, unconfirmed or courtesy */
    enum client_status status;
    uint32_t holds;
    uint64_t id;
    uint64_t confirm_value;
    uint64_t renewed_ms; /* or made, or expired */
    unsigned family;
    bool leased, recoverable, completes;
    bool recorded;              /* has a record of this boot */
    bool complete;              /* has said so */
    uint64_t reclaimed_ms;      /* its last reclaim; 0: none */
    struct known_client *known; /* while it may reclaim */
    const struct client_operations *operations;
    void *user;
    uint8_t verifier[CLIENT_VERIFIER_SIZE];

    struct list owners, opens, grants, sessions;
    struct list others;  /* stateid entries of the front-end's objects */
    struct list revoked; /* stateid entries that wait to be freed */
    uint32_t revoked_grants, revoked_others;
    uint32_t range_count; /* ranges that it holds */

    struct reply_slot create_slot;
    uint8_t *owner, *principal;
    size_t owner_length, principal_length;
};

struct owner {
    struct state *state;
    struct hashlink hashlink;
    struct list client_link, kept_link;
    struct client *client; /* NULL when gone */
    uint32_t references;
    unsigned kind;
    uint64_t id;
    bool kept, confirmed;
    uint64_t used_ms;
    struct stateid_entry *closed; /* of its last close, while kept */

    struct list opens, holders, waits;
    uint32_t range_count;
    uint32_t search; /* the deadlock search that came by */
    struct list search_link;

    struct reply_slot slot;
    size_t key_length;
    uint8_t key[];
};

struct open {
    struct stateid_entry *stateid;
    struct state_file *file;
    struct owner *owner;
    struct hashlink hashlink;
    struct list file_link, owner_link, client_link;
    struct list holders;
    unsigned access, deny;
    uint64_t combinations; /* bit (access << 3 | deny) for each that it was opened with */
    uint8_t grant_key[OPEN_GRANT_KEY_MAX];
    uint8_t grant_key_length;
    void (*gone)(struct open *open, void *user);
    void *user;
};

/* What kind of interval a range is. */
enum range_kind { RANGE_POSIX = 1, RANGE_EXACT = 2, RANGE_EXACT_SHARED = 4 };

struct range {
    struct interval all;       /* in file->ranges */
    struct interval exclusive; /* in file->exclusive_ranges, when it is */
    struct interval own;       /* in holder->ranges */
    struct lock_holder *holder;
    bool is_exclusive;
};

struct lock_holder {
    struct stateid_entry *stateid;
    struct state_file *file;
    struct owner *owner;
    struct open *open; /* may be NULL */
    enum lock_rules rules;
    struct hashlink hashlink;
    struct list file_link, owner_link, open_link;
    struct interval_tree ranges;
    struct list waits;
};

enum wait_place {
    WAIT_FRONT,   /* in file->front: held ranges are in the way */
    WAIT_BEHIND,  /* an earlier waiter, the leader of `behind`, is in the way, or it has left: to be looked at
                   */
    WAIT_PENDING, /* in file->pending: to be looked at */
    WAIT_DONE     /* in state->done_waits, with `result` */
};

/* A waiter and those behind it. When it leaves, they stay together, in file->left, until each was looked at.
 */
struct lock_crowd {
    struct lock_waiter_private *leader; /* NULL: it has left */
    struct list followers;
    struct list link; /* in file->left */
};

struct lock_waiter_private {
    struct interval all, exclusive, front;
    struct lock_waiter *waiter;
    struct lock_holder *holder; /* NULL when done */
    struct state *state;
    struct lock_request request;
    enum wait_place place;
    enum err result;
    struct lock_crowd *behind;
    struct lock_crowd *crowd; /* of which it is the leader */
    struct list place_link;   /* in behind->followers, file->pending or state->done_waits */
    struct list holder_link;  /* in holder->waits */
    struct list owner_link;   /* in owner->waits */
};

/* ---- state.c ---- */

/* A limit is reached: drops the oldest courtesy client, but not EXCEPT (may be NULL). False when there is
 * none. */
bool state__make_room(struct state *state, const struct client *except);
uint64_t state__now(void);
uint64_t state__hash(const struct state *state, uint64_t a, uint64_t b);

/* ---- client.c ---- */

void client__init(struct state *state);
void client__end(struct client *client, enum end_reason reason);
/* Somebody wants what CLIENT has: drops it if its lease is over. False when it stays. */
bool client__yield(struct client *client, const struct client *asking);
void client__tick(struct state *state, uint64_t now_ms);
void client__close(struct state *state);

/* ---- owner.c ---- */

void owner__client_gone(struct owner *owner);
void owner__tick(struct state *state, uint64_t now_ms);
void owner__close(struct state *state);
/* Drops the oldest kept owner without users. False when there is none. */
bool owner__drop_idle(struct state *state);
void reply_slot__free(struct reply_slot *slot);

/* ---- stateid.c ---- */

void stateid__init(struct state *state);
void stateid__free_table(struct state *state);
enum err stateid__add(struct client *client, enum stateid_kind kind, void *object,
                      struct stateid_entry **entry_r) ERR_MUST_CHECK;
void stateid__end(struct state *state, struct stateid_entry *entry, enum end_reason reason);
/* The object is gone; the entry says so until it is freed by the client. STATUS is one of the revoked ones.
 */
void stateid__revoke(struct state *state, struct stateid_entry *entry, enum stateid_entry_status status);
/* All entries that the client still has: of the front-end's objects, and revoked ones. */
void stateid__client_gone(struct client *client, enum end_reason reason);
struct stateid stateid__get(const struct state *state, const struct stateid_entry *entry);
struct stateid stateid__next(const struct state *state, struct stateid_entry *entry);
void stateid__set_closer(struct stateid_entry *entry, struct owner *owner);

/* ---- open.c ---- */

void open__end(struct open *open, enum end_reason reason);

/* ---- lock.c, lock_holder.c, lock_wait.c ---- */

/* What a request covers. */
struct lock_span {
    uint64_t first, last;
    bool nowhere; /* nothing that can conflict: an empty lock at 0 */
};
enum err lock__span(enum lock_rules rules, uint64_t offset, uint64_t length,
                    struct lock_span *span_r) ERR_MUST_CHECK;
/* Do a lock of HOLDS and a request of OWNER conflict, that overlap and one of which is exclusive? */
bool lock__is_conflict(const struct lock_holder *holds, const struct owner *owner, bool exclusive);
/* What leaves those that a request of OWNER (may be NULL) by RULES can be in conflict with: lock__is_conflict
 * as a filter. */
struct interval_filter lock__others(enum lock_rules rules, const struct owner *owner, bool exclusive);
/* A range that is in the way of OWNER (may be NULL); clients whose lease is over are dropped on the way. */
struct range *lock__conflict(struct state_file *file, const struct owner *owner, const struct lock_span *span,
                             bool exclusive);
void lock__describe(const struct range *range, struct lock_conflict *conflict_r);
/* Sets a range that nothing is in the way of: ERR_LIMIT, ERR_NOMEM. */
enum err lock__apply(struct lock_holder *holder, const struct lock_request *request,
                     const struct lock_span *span) ERR_MUST_CHECK;
struct range *lock__range_new(struct lock_holder *holder, enum err *err_r);
void lock__range_free(struct range *range);
/* LAST is the length for a LOCK_EXACT holder. */
void lock__range_insert(struct range *range, uint64_t first, uint64_t last);
void lock__range_remove(struct range *range);
void lock__holder_end(struct lock_holder *holder, enum end_reason reason, enum err result);

/* Ranges of [FIRST, LAST] became free or weaker: its waiters are to be looked at. */
void lock__freed(struct state_file *file, uint64_t first, uint64_t last);
/* Looks at BUDGET waiters. */
void lock__hand_over(struct state *state, unsigned budget);
void lock__waits_end(struct lock_holder *holder, enum err result);
/* Calls back those who are due. */
void lock__deliver(struct state *state);
/* Forgets those who are due. */
void lock__close(struct state *state);
/* Somebody waits for the ranges of CLIENT. */
bool lock__is_contended(const struct client *client);

/* ---- session.c ---- */

void session__client_gone(struct client *client);
void session__close(struct state *state);

/* ---- recovery.c ---- */

enum err recovery__open(struct state *state, const struct recovery_store *store) ERR_MUST_CHECK;
void recovery__close(struct state *state);
void recovery__tick(struct state *state, uint64_t now_ms);
/* CLIENT is about to get state: makes its record. */
enum err recovery__note(struct client *client, bool reclaim) ERR_MUST_CHECK;
/* CLIENT was confirmed: does it come back? */
void recovery__returned(struct client *client);
/* CLIENT ends: removes its record. ERR_OK when there is none. */
enum err recovery__forget(struct client *client) ERR_MUST_CHECK;
/* CLIENT is gone. */
void recovery__gone(struct client *client);

/* ---- grant.c ---- */

void grant__init(struct state *state);
void grant__end(struct grant *grant, enum end_reason reason);
void grant__tick(struct state *state, uint64_t now_ms);
void grant__deliver(struct state *state);
bool grant__is_contended(const struct client *client);
void grant__close(struct state *state);

#endif
