/*
 * session.h - sessions: slots with their cached replies, connections, and slots of the back channel (RFC
 * 8881 2.10).
 *
 * A slot's reply is kept as the encoded bytes that were sent. What a session may cache at most is promised
 * when it is made: it gets fewer slots when the promise does not fit into max_reply_bytes. Who keeps a struct
 * session across turns holds it, as clients.
 */
#ifndef DITTOFS_SESSION_H
#define DITTOFS_SESSION_H

#include "dittofs/client.h"

struct session;

enum { SESSION_ID_SIZE = 16, SESSION_SLOTS_MAX = 1024, SESSION_CONNECTIONS_MAX = 64 };

struct session_spec {
    uint32_t slots;            /* 1..SESSION_SLOTS_MAX wanted; more are cut */
    uint32_t cached_reply_max; /* longest reply that a slot keeps, bytes */
    uint32_t back_slots;       /* of the back channel; 0: none */
    /* The session goes, for whatever reason: as client_operations.gone. May be NULL. */
    void (*gone)(struct session *session, void *user);
    void *user;
};
/* ERR_EXPIRED (the client is gone), ERR_LIMIT, ERR_NOMEM. */
enum err session_new(struct client *client, const struct session_spec *spec,
                     struct session **session_r) ERR_MUST_CHECK;
/* NULL when there is none. */
struct session *session_find(struct state *state, const uint8_t id[SESSION_ID_SIZE]);
void session_destroy(struct session *session);
struct session *session_hold(struct session *session);
void session_drop(struct session **session);
bool session_is_alive(const struct session *session);

const uint8_t *session_id(const struct session *session);
/* NULL once it is destroyed. */
struct client *session_client(const struct session *session);
void *session_user(const struct session *session);
uint32_t session_slot_count(const struct session *session);
uint32_t session_cached_reply_max(const struct session *session);
/* Walk: start with NULL. */
struct session *session_next_of_client(const struct client *client, const struct session *at);

/* ---- slots ---- */

enum session_sequence {
    SESSION_SEQUENCE_NEW,         /* the next one: do it, then session_slot_done */
    SESSION_SEQUENCE_REPLAY,      /* the last one again: the cached reply */
    SESSION_SEQUENCE_UNCACHED,    /* the last one again, and it was not cached: RETRY_UNCACHED_REP */
    SESSION_SEQUENCE_BUSY,        /* the last one again while it is being done: DELAY */
    SESSION_SEQUENCE_FALSE_RETRY, /* the last seqid with another request: SEQ_FALSE_RETRY */
    SESSION_SEQUENCE_MISORDERED,  /* SEQ_MISORDERED */
    SESSION_SEQUENCE_BAD_SLOT,    /* BADSLOT */
    SESSION_SEQUENCE_BAD_HIGH_SLOT
};
/* DIGEST is of the request's bytes (siphash64, say). REPLY_R and LENGTH_R are set for a replay, good until
 * the slot's next request. A client that is new to a slot starts at 1. */
enum session_sequence session_sequence_check(struct session *session, uint32_t slot, uint32_t seqid,
                                             uint32_t highest_slot, uint64_t digest, const uint8_t **reply_r,
                                             size_t *length_r);
/* Ends what SESSION_SEQUENCE_NEW began; REPLY is copied, or NULL when it is not to be cached. False when it
 * is longer than the session allows or memory is out: it is not cached. Fine for a session that is destroyed
 * but held. */
bool session_slot_done(struct session *session, uint32_t slot, const void *reply, size_t length);

/* SEQID is the last one that came on SLOT: whether its reply was received is not known. */
bool session_slot_is_at(const struct session *session, uint32_t slot, uint32_t seqid);

/* ---- CREATE_SESSION's own slot: one a client (RFC 8881 18.36.4) ---- */

/* As above, without slots: NEW, REPLAY, UNCACHED, BUSY, FALSE_RETRY or MISORDERED. */
enum session_sequence session_create_check(struct client *client, uint32_t seqid, uint64_t digest,
                                           const uint8_t **reply_r, size_t *length_r);
void session_create_done(struct client *client, bool advance, const void *reply, size_t length);
/* The seqid that the next CREATE_SESSION has to have: eir_sequenceid. Starts at 1. */
uint32_t session_create_next(const struct client *client);

/* ---- connections ---- */

enum session_direction { SESSION_FORE = 1, SESSION_BACK = 2 };

/* CONNECTION is opaque. Adds DIRECTIONS to it: ERR_LIMIT, ERR_NOMEM. */
enum err session_attach(struct session *session, void *connection, unsigned directions) ERR_MUST_CHECK;
/* enum session_direction bits; 0 when it is not attached. */
unsigned session_directions(const struct session *session, const void *connection);
void session_detach(struct session *session, const void *connection);
/* The connection has gone: from all sessions. */
void session_connection_gone(struct state *state, const void *connection);
/* A connection for calls to the client, the one attached last; NULL when there is none. */
void *session_back_connection(const struct session *session);

/* ---- back channel ---- */

/* Takes a free slot: ERR_AGAIN when all are in use, ERR_NOTSUPP when there are none. */
enum err session_back_begin(struct session *session, uint32_t *slot_r, uint32_t *seqid_r) ERR_MUST_CHECK;
/* Gives it back. ANSWERED: the client has answered, the seqid is used up; else the next call repeats it. */
void session_back_end(struct session *session, uint32_t slot, bool answered);
uint32_t session_back_slot_count(const struct session *session);

#endif
