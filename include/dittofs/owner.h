/*
 * owner.h - who within a client opens and locks: opaque keys; and the sequence ids that NFSv4.0 puts on
 * requests of an owner (RFC 7530 9.1.7).
 *
 * Two owners are the same when client, kind and key are. An owner exists while somebody refers to it: opens,
 * lock holders, waiters, and front-ends. With owner_keep it also stays, for its sequence, when nobody does.
 */
#ifndef DITTOFS_OWNER_H
#define DITTOFS_OWNER_H

#include "dittofs/client.h"

struct owner;

enum { OWNER_KEY_MAX = 1024 };

/* Finds or makes it, with a reference for the caller. KIND is the front-end's (open owner, lock owner).
 * ERR_INVAL (length), ERR_EXPIRED (the client is gone), ERR_LIMIT, ERR_NOMEM. */
enum err owner_get(struct client *client, unsigned kind, const void *key, size_t length,
                   struct owner **owner_r) ERR_MUST_CHECK;
/* NULL when it is not known. No reference. */
struct owner *owner_find(struct client *client, unsigned kind, const void *key, size_t length);
struct owner *owner_ref(struct owner *owner);
/* Sets the pointer to NULL; NULL is fine. */
void owner_unref(struct owner **owner);
/* NULL once the client is gone. */
struct client *owner_client(const struct owner *owner);
unsigned owner_kind(const struct owner *owner);
const uint8_t *owner_key(const struct owner *owner, size_t *length_r);
/* Never 0, never reused: `owner` of a vfs_context. */
uint64_t owner_id(const struct owner *owner);
bool owner_has_opens(const struct owner *owner);
/* It holds byte ranges. */
bool owner_has_locks(const struct owner *owner);
/* Gives back all ranges and lock holders of the owner, ends its waits (ERR_CANCELLED), and forgets that it is
 * kept (RELEASE_LOCKOWNER). */
void owner_release_locks(struct owner *owner);

/* ---- sequence ids (NFSv4.0) ---- */

/* Keeps the owner without other users, for its sequence; the oldest kept ones without users go after a lease
 * time or when there are too many. */
void owner_keep(struct owner *owner);
/* Whether its first open was confirmed (OPEN_CONFIRM). */
bool owner_is_confirmed(const struct owner *owner);
void owner_set_confirmed(struct owner *owner, bool confirmed);

enum owner_sequence {
    OWNER_SEQUENCE_NEW,    /* the next one: do it, then owner_sequence_done */
    OWNER_SEQUENCE_REPLAY, /* the last one again: answer with the cached reply */
    OWNER_SEQUENCE_BUSY,   /* the last one again or the next one, while one is being done */
    OWNER_SEQUENCE_BAD     /* anything else: BAD_SEQID */
};
/* An owner that has no sequence yet takes any as new. After 2^32-1 comes 0 or 1. REPLY_R and LENGTH_R are set
 * for a replay, good until the next call for this owner; a NULL reply was too long to keep. */
enum owner_sequence owner_sequence_check(struct owner *owner, uint32_t seqid, const uint8_t **reply_r,
                                         size_t *length_r);
/* The next one is taken whatever it is: an OPEN of an owner that was never confirmed (RFC 7530 16.18.5). */
void owner_sequence_forget(struct owner *owner);
/* Ends what OWNER_SEQUENCE_NEW began. ADVANCE: the seqid was used up (not for the errors of RFC 7530 9.1.7:
 * STALE_CLIENTID, STALE_STATEID, BAD_STATEID, BAD_SEQID, BADXDR, RESOURCE, NOFILEHANDLE, MOVED). REPLY is
 * copied; one that is longer than max_owner_reply is not kept. */
void owner_sequence_done(struct owner *owner, bool advance, const void *reply, size_t length);

#endif
