/*
 * open.h - opens and their share reservations: NFSv4 OPEN, SMB share modes and NLM SHARE in one table.
 *
 * Two opens conflict when the access of one is in the deny of the other, also when both are of one owner
 * (NFSv4 has one open an owner and file, and upgrades it). A conflict with an expired client's open drops
 * that client. In grace a new open is refused unless it reclaims (recovery.h).
 */
#ifndef DITTOFS_OPEN_H
#define DITTOFS_OPEN_H

#include "dittofs/owner.h"
#include "dittofs/stateid.h"

struct open;

/* Bits of access and of deny. Deny bits are SMB's share bits turned round. */
enum open_share { OPEN_READ = 1, OPEN_WRITE = 2, OPEN_DELETE = 4 };

enum { OPEN_GRANT_KEY_MAX = 32 };

struct open_spec {
    struct state_file *file;
    struct owner *owner;
    unsigned access, deny; /* enum open_share bits */
    bool reclaim;          /* in grace, something the owner had before the restart */
    bool any_time;         /* no look at grace: an open that can't conflict with a reclaim (delegated) */
    /* 0..OPEN_GRANT_KEY_MAX bytes, copied: the open stands in the way of its client's own grants (grant.h)
     * with another key. Length 0: of none of them. */
    const void *grant_key;
    size_t grant_key_length;
    /* Called when the open goes, for whatever reason; may be NULL. As client_operations.gone: free only. */
    void (*gone)(struct open *open, void *user);
    void *user;
};

/* ERR_SHARE_DENIED, ERR_GRACE, ERR_NO_GRACE, ERR_RECLAIM_BAD, ERR_EXPIRED (the client is gone), ERR_LIMIT,
 * ERR_NOMEM. The stateid starts at seqid 1. */
enum err open_add(const struct open_spec *spec, struct open **open_r) ERR_MUST_CHECK;
/* The owner's open of the file (one of them when it has several), or NULL. */
struct open *open_find(const struct owner *owner, const struct state_file *file);
/* Adds ACCESS and DENY to what the open has: errors as open_add; nothing is changed then. */
enum err open_upgrade(struct open *open, unsigned access, unsigned deny, bool reclaim) ERR_MUST_CHECK;
/* Sets exactly ACCESS and DENY: ERR_INVAL unless they are the union of some of those it was opened and
 * upgraded with (RFC 7530 16.19.4). */
enum err open_downgrade(struct open *open, unsigned access, unsigned deny) ERR_MUST_CHECK;
/* Gives back its locks too, those of every lock holder that came through it. */
void open_close(struct open *open);
/* As an administrator: the stateids of the open and its locks answer ERR_ADMIN_REVOKED until freed. */
void open_revoke(struct open *open);

/* Would ACCESS and DENY be denied? Opens of EXCEPT (may be NULL) don't count. ERR_OK, ERR_SHARE_DENIED. */
enum err open_test(struct state_file *file, unsigned access, unsigned deny,
                   const struct owner *except) ERR_MUST_CHECK;
/* I/O (or delete, rename) with ACCESS that no open stands behind, or that of the owner with the id OWNER (0:
 * nobody): ERR_LOCKED when another's open denies it. FILE may be NULL. */
enum err open_check_io(struct state_file *file, unsigned access, uint64_t owner) ERR_MUST_CHECK;

unsigned open_access(const struct open *open);
unsigned open_deny(const struct open *open);
struct owner *open_owner(const struct open *open);
struct state_file *open_file(const struct open *open);
void *open_user(const struct open *open);
void open_set_user(struct open *open, void *user);
struct stateid open_stateid(const struct open *open);
/* The next seqid (never 0), and the stateid with it. */
struct stateid open_stateid_next(struct open *open);
/* Ranges are held through it. */
bool open_has_locks(const struct open *open);
/* Walk: start with NULL. */
struct open *open_next_of_file(const struct state_file *file, const struct open *at);
struct open *open_next_of_client(const struct client *client, const struct open *at);

#endif
