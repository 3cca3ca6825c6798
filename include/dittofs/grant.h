/*
 * grant.h - caching grants: what a client may keep to itself until it is told otherwise. NFSv4 delegations
 * (of files and directories), SMB oplocks and SMB leases are the same thing with different wire forms.
 *
 * A grant gives a client, known by a key (an SMB lease key; an NFS client id), kinds of caching on a file:
 *   NFSv4 read delegation READ; write delegation READ|WRITE; directory delegation READ on a directory;
 *   SMB leases any of "", R, RH, RW, RWH; level II oplock READ, exclusive READ|WRITE, batch
 * READ|WRITE|HANDLE. WRITE is exclusive: it needs that nobody else has a grant or an open. Operations of
 * others take kinds away:
 *
 *   GRANTED -conflict-> BREAKING (the holder is told by `breaking`, time runs) -grant_acknowledge,
 * grant_return-> GRANTED with less, or gone; BREAKING -time over-> a delegation is gone (its stateid
 * answers ERR_DELEG_REVOKED), a lease has nothing left
 *
 * Delegations differ from leases (grant_spec.delegation): they also go when somebody opens for writing or
 * changes attributes, and every break of them is waited for. Of a lease one waits for what needs an answer:
 * cached writes by who wants the data, cached handles by who wants the name or a denied open; that cached
 * reads go, and that a directory's entries change, its holder is told, and nobody waits. A lease that loses
 * READ alone is down at once. Who is in the way waits with a grant_waiter: all breaks that it caused must be
 * over. A holder that is expired is dropped at once.
 */
#ifndef DITTOFS_GRANT_H
#define DITTOFS_GRANT_H

#include "dittofs/open.h"

struct grant;

enum grant_kind { GRANT_READ = 1, GRANT_WRITE = 2, GRANT_HANDLE = 4 };

enum { GRANT_KEY_MAX = 32 };

enum grant_status {
    GRANT_GRANTED,  /* all is quiet */
    GRANT_BREAKING, /* the holder was told to go down to grant_break_to() and has not answered */
    GRANT_ENDED     /* only inside callbacks */
};

struct grant_operations {
    /* From the loop: tell the holder to go down to TO (enum grant_kind bits; 0: return it). When ACKNOWLEDGE
     * is false no answer is awaited and the grant is down already. A conflict that needs still less makes
     * another break once this one was answered. */
    void (*breaking)(struct grant *grant, unsigned to, bool acknowledge);
    /* The grant ends without the holder's doing (time over, client gone, administrator): free only. May be
     * NULL. */
    void (*gone)(struct grant *grant, void *user);
};

struct grant_spec {
    struct state_file *file;
    struct client *client;
    const void
        *key; /* 1..GRANT_KEY_MAX bytes, copied; holders with equal keys and clients don't break each other */
    size_t key_length;
    unsigned kinds;  /* enum grant_kind bits */
    bool delegation; /* see above */
    bool reclaim;
    /* enum grant_operation bits (1u << operation): the holder is told of these when others do them, and
     * they do not break it while it is GRANTED. */
    unsigned told;
    bool any_time;     /* no look at grace: it stood before the restart, and nobody was served since */
    bool traceless;    /* when it is revoked its stateid answers ERR_EXPIRED, and needs no stateid_free */
    uint64_t break_ms; /* time to answer a break; 0: that of state's options */
    const struct grant_operations *operations;
    void *user;
};
/* ERR_AGAIN: it conflicts with grants of others or opens of other clients (or, by their grant_key, other
 * opens of the client), or it is a delegation and the file has byte ranges, or one of its was broken lately;
 * ERR_EXIST: the client has one with this key; ERR_INVAL; ERR_GRACE etc. as open_add; ERR_LIMIT, ERR_NOMEM.
 */
enum err grant_add(const struct grant_spec *spec, struct grant **grant_r) ERR_MUST_CHECK;
struct grant *grant_find(const struct state_file *file, const struct client *client, const void *key,
                         size_t key_length);
/* More kinds for a quiet grant: ERR_AGAIN as above. The epoch grows. */
enum err grant_upgrade(struct grant *grant, unsigned kinds) ERR_MUST_CHECK;
/* The holder's answer to a break: it keeps KINDS. ERR_INVAL when that is more than it was told to, ERR_NOENT
 * when no break is under way. With no kinds left the grant stays (an SMB lease) until returned. */
enum err grant_acknowledge(struct grant *grant, unsigned kinds) ERR_MUST_CHECK;
/* Begins to break a GRANTED one down to nothing, though nobody's operation is in conflict. */
void grant_recall(struct grant *grant);
/* The holder of a grant that is BREAKING could not be reached, and is back: `breaking` is called again. */
void grant_remind(struct grant *grant);
/* The holder gives it back, at any time. `gone` is not called. */
void grant_return(struct grant *grant);
/* Takes it away: `gone`, and the stateid answers ERR_DELEG_REVOKED until freed (stateid_free; or see
 * grant_spec.traceless). */
void grant_revoke(struct grant *grant);

/* ---- conflicts ---- */

/* What somebody wants to do. grant.c has the table of what others' grants may keep beside it. */
enum grant_operation {
    GRANT_OP_READ,           /* open for reading, read, ask for attributes that a writer may have changed */
    GRANT_OP_OPEN_WRITE,     /* open for writing */
    GRANT_OP_WRITE,          /* change data or size; open with truncation */
    GRANT_OP_LOCK,           /* set a shared byte range */
    GRANT_OP_LOCK_EXCLUSIVE, /* set an exclusive one */
    GRANT_OP_SETATTR,        /* change other attributes */
    GRANT_OP_NAMES,          /* remove, rename, link, delete on close */
    GRANT_OP_SHARE,          /* open against a share mode that a cached handle may be the reason of */
    GRANT_OP_DIRECTORY,      /* change the entries of a directory in any way */
    GRANT_OP_ADD_ENTRY,      /* in just that way: */
    GRANT_OP_REMOVE_ENTRY,
    GRANT_OP_RENAME_ENTRY /* within it */
};
static inline bool grant_is_of_entries(enum grant_operation operation)
{
    return operation >= GRANT_OP_DIRECTORY;
}
/* The kinds that another's grant may keep beside OPERATION; a delegation that is broken goes as a whole. */
unsigned grant_compatible(enum grant_operation operation, bool delegation);

/* Zero it, set DONE. */
struct grant_waiter {
    /* Once, from the loop, when nothing is in the way any more. ERR_OK. Conflicts may have arisen anew: ask
     * again. */
    void (*done)(struct grant_waiter *waiter, enum err err);
    struct list link;        /* private */
    struct state_file *file; /* private */
    unsigned operation;      /* private, as the rest */
    uint8_t key[GRANT_KEY_MAX];
    uint64_t client;
    uint32_t key_length;
};
/* Breaks all grants of FILE (may be NULL) that OPERATION is in conflict with, beside those of CLIENT with KEY
 * (CLIENT NULL: everybody's are broken; KEY NULL: all of CLIENT's are fine). ERR_OK: nothing to wait for.
 * ERR_WAIT: DONE follows; with WAITER NULL the breaks are begun and ERR_DELAY is answered. */
enum err grant_break(struct state_file *file, enum grant_operation operation, const struct client *client,
                     const void *key, size_t key_length, struct grant_waiter *waiter) ERR_MUST_CHECK;
/* Would grant_break find something to break? Changes nothing. */
bool grant_conflicts(struct state_file *file, enum grant_operation operation, const struct client *client,
                     const void *key, size_t key_length);
void grant_wait_cancel(struct grant_waiter *waiter);
/* Holders are told at the end of a turn of the loop; with this, of all that has begun by now, at once. Not
 * from inside a call of ours. */
void grant_tell(struct state *state);

/* ---- what it is ---- */

enum grant_status grant_status(const struct grant *grant);
unsigned grant_kinds(const struct grant *grant);
unsigned grant_break_to(const struct grant *grant);
/* Grows by one with every upgrade and every break, however many steps it takes (SMB 2 lease epoch). */
uint16_t grant_epoch(const struct grant *grant);
struct client *grant_client(const struct grant *grant);
struct state_file *grant_file(const struct grant *grant);
const uint8_t *grant_key(const struct grant *grant, size_t *length_r);
void *grant_user(const struct grant *grant);
struct stateid grant_stateid(const struct grant *grant);
struct stateid grant_stateid_next(struct grant *grant);
/* Walk: start with NULL. */
struct grant *grant_next_of_file(const struct state_file *file, const struct grant *at);
struct grant *grant_next_of_client(const struct client *client, const struct grant *at);

#endif
