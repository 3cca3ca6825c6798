/*
 * client.h - clients: who they say they are, their lease, and the end of all they hold.
 *
 * A client is a record of an owner id (what the peer calls itself), unconfirmed or confirmed; of each owner
 * there is at most one of either. RFC 7530 16.33/16.34 (SETCLIENTID), RFC 8881 18.35.5 (EXCHANGE_ID), a
 * monitored host of NLM and a client of SMB are all expressed with the calls here.
 *
 *   client_new -> UNCONFIRMED -client_confirm-> CONFIRMED -lease over, holds state, nobody waits-> COURTESY
 *   COURTESY -client_renew-> CONFIRMED; COURTESY -conflict, limit, age-> GONE
 *   any -client_destroy-> GONE; UNCONFIRMED or stateless CONFIRMED -lease over-> GONE
 *
 * Who keeps a struct client across turns of the loop holds it (client_hold): the memory then stays when it
 * goes, and says CLIENT_GONE. A client with a holder does not expire; its lease starts anew when dropped. So
 * hold it for the time of a request, not while waiting for other clients.
 */
#ifndef DITTOFS_CLIENT_H
#define DITTOFS_CLIENT_H

#include "dittofs/state.h"

struct client;

enum { CLIENT_OWNER_MAX = 1024, CLIENT_PRINCIPAL_MAX = 1024, CLIENT_VERIFIER_SIZE = 8 };

enum client_status {
    CLIENT_UNCONFIRMED, /* made, may hold nothing yet */
    CLIENT_CONFIRMED,   /* may hold state; its lease runs */
    CLIENT_COURTESY,    /* its lease is over; keeps its state until somebody else wants it */
    CLIENT_GONE         /* only its holders still know it */
};

enum { CLIENT_TEXT_MAX = 192 };

/* For listings: printable ASCII. */
struct client_description {
    const char *protocol;          /* "NFSv4.1", "SMB 3.1.1": constant; never NULL */
    char name[CLIENT_TEXT_MAX];    /* what it calls itself, or whom it logged on as */
    char address[CLIENT_TEXT_MAX]; /* "" when it is not known */
};

struct client_operations {
    /* The client goes, for whatever reason; what it held is already given back. USER is the front-end's to
     * free. Called from client_destroy, client_confirm and any call that drops an expired client (a
     * conflicting open or lock): it may take notes and free, and must not call into state. */
    void (*gone)(struct client *client, void *user);
    /* Changes what DESCRIPTION says already: the owner's bytes as its name. May be NULL. */
    void (*describe)(const struct client *client, void *user, struct client_description *description);
    /* An administrator wants it gone: ends what the client hangs on (its connection), and the client, now or
     * soon. NULL: client_destroy does. */
    void (*disconnect)(struct client *client, void *user);
};

struct client_spec {
    unsigned family;   /* owners of different families (protocols) are never the same */
    const void *owner; /* 1..CLIENT_OWNER_MAX bytes, copied */
    size_t owner_length;
    uint8_t verifier[CLIENT_VERIFIER_SIZE]; /* tells one life of the client from the next */
    const void *principal; /* who it authenticated as, 0..CLIENT_PRINCIPAL_MAX bytes, copied */
    size_t principal_length;
    bool leased;      /* expires when not renewed; else it lives until destroyed */
    bool recoverable; /* recorded, once it holds state, so that it may reclaim after a restart */
    bool completes;   /* says when it has reclaimed everything (grace_complete); else silence says it */
    const struct client_operations *operations; /* may be NULL */
    void *user;
};

/* ---- finding ---- */

/* NULL when there is none. */
struct client *client_find_confirmed(struct state *state, unsigned family, const void *owner, size_t length);
struct client *client_find_unconfirmed(struct state *state, unsigned family, const void *owner,
                                       size_t length);
/* The confirmed record with this id, else the unconfirmed one. ERR_STALE_CLIENTID: not of this instance, or
 * destroyed; ERR_EXPIRED: it has lately lost its state because its lease was over. */
enum err client_by_id(struct state *state, uint64_t id, struct client **client_r) ERR_MUST_CHECK;
/* The unconfirmed record with this id (which an update shares with its confirmed one), or NULL. */
struct client *client_unconfirmed_by_id(struct state *state, uint64_t id);
/* Walks all clients: start with NULL. None may go on the way. */
struct client *client_next(struct state *state, const struct client *at);
/* The same for walks over several turns: the one that comes behind the id AFTER (0: the first), whether that
 * one is still there or not. A record that updates another one is left out. */
struct client *client_next_id(struct state *state, uint64_t after);

/* The rows of RFC 8881 18.35.5, which also serve RFC 7530 16.33.5. */
enum client_case {
    CLIENT_CASE_NEW,             /* 1: owner unknown (or unconfirmed only, see below) */
    CLIENT_CASE_SAME,            /* 2: confirmed, same verifier and principal */
    CLIENT_CASE_COLLISION,       /* 3: confirmed, another principal, and it holds state under its lease */
    CLIENT_CASE_COLLISION_IDLE,  /* 3: the same, but it holds nothing or has expired: may be replaced */
    CLIENT_CASE_UNCONFIRMED,     /* 4: unconfirmed only: to be replaced */
    CLIENT_CASE_RESTART,         /* 5: confirmed, same principal, another verifier */
    CLIENT_CASE_UPDATE,          /* 6: update asked for: confirmed, same verifier and principal */
    CLIENT_CASE_UPDATE_NONE,     /* 7: update asked for, nothing confirmed */
    CLIENT_CASE_UPDATE_VERIFIER, /* 8: update asked for, another verifier */
    CLIENT_CASE_UPDATE_PRINCIPAL /* 9: update asked for, another principal */
};
/* Says which row SPEC is; changes nothing. CONFIRMED_R and UNCONFIRMED_R get the records of that owner or
 * NULL. */
enum client_case client_classify(struct state *state, const struct client_spec *spec, bool update,
                                 struct client **confirmed_r, struct client **unconfirmed_r);

/* ---- making, confirming, ending ---- */

/* An unconfirmed record, which takes the place of another unconfirmed one of that owner. UPDATE_OF (may be
 * NULL): the confirmed record of the same owner whose id the new one shares: client_confirm will then only
 * move verifier, principal and user over (RFC 7530 16.33.5, callback update). ERR_INVAL (lengths), ERR_LIMIT,
 * ERR_NOMEM. */
enum err client_new(struct state *state, const struct client_spec *spec, struct client *update_of,
                    struct client **client_r) ERR_MUST_CHECK;
/* Confirms an unconfirmed record. An earlier confirmed record of the owner is destroyed with all it holds
 * (the client restarted); an update gives its verifier, principal, user and confirm verifier to the confirmed
 * one and goes (`gone` gets the old user). Returns the record that is confirmed now. A confirmed one stays.
 */
struct client *client_confirm(struct client *client);
/* Gives back all that it holds, forgets its record for recovery, and the client. */
void client_destroy(struct client *client);
/* It holds sessions, opens, locks or grants (DESTROY_CLIENTID). */
bool client_is_busy(const struct client *client);
/* It holds opens, locks or grants. */
bool client_has_state(const struct client *client);

struct client *client_hold(struct client *client);
/* Sets the pointer to NULL; NULL is fine. */
void client_drop(struct client **client);

/* ---- lease ---- */

/* Starts the lease anew, also out of courtesy. ERR_EXPIRED when the client is gone. */
enum err client_renew(struct client *client) ERR_MUST_CHECK;

/* ---- what it is ---- */

void client_describe(const struct client *client, struct client_description *description_r);
/* As an administrator: it and all that it holds goes. */
void client_disconnect(struct client *client);
enum client_status client_status(const struct client *client);
/* Since its lease was renewed (or it was made, or expired). */
uint64_t client_idle_ms(const struct client *client);
struct state *client_state(const struct client *client);
uint64_t client_id(const struct client *client); /* instance in the high half; never reused in an instance */
unsigned client_family(const struct client *client);
const uint8_t *client_owner(const struct client *client, size_t *length_r);
const uint8_t *client_verifier(const struct client *client);
bool client_is_principal(const struct client *client, const void *principal, size_t length);
/* Random, new with each record: what SETCLIENTID_CONFIRM must show. Never 0. */
uint64_t client_confirm_value(const struct client *client);
void *client_user(const struct client *client);
void client_set_user(struct client *client, void *user);
/* Stateids of it that were revoked and not yet freed by it (stateid_free): grants, and everything else. */
uint32_t client_revoked_grants(const struct client *client);
uint32_t client_revoked_others(const struct client *client);

#endif
