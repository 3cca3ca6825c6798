/*
 * control_priv.h - the control socket: what dittofsctl(8) asks and does while the daemon serves.
 *
 * A UNIX socket called "control" in the state folder. Who may open it (its mode) may do everything; each
 * action is logged with the user. A connection sends lines (control_request_priv.h) and gets lines of JSON:
 * any number of items, and a last one with "ok". Requests of a connection are answered one after another.
 *
 * Nothing here blocks the loop or grows: a listing is made in pages, one a turn at most, and the next page
 * when the last one has been taken by the peer; one that takes nothing is cut. Listings tell what they find
 * on their way: what comes and goes meanwhile is in them or not.
 */
#ifndef DITTOFS_DAEMON_CONTROL_H
#define DITTOFS_DAEMON_CONTROL_H

#include "daemon/config_priv.h"
#include "daemon/services_priv.h"
#include "daemon/smb_service_priv.h"
#include "dittofs/state.h"

#define CONTROL_SOCKET "control"

/* What it shows and acts on; all stay the caller's. */
struct control_subject {
    const struct config *config;
    struct loop *loop;
    struct store *store;
    struct vfs *vfs;
    struct state *state;
    struct services *services;
    struct smb_service *smb;
    /* Reads the configuration again. REASON of CONFIG_REASON_MAX bytes says why it failed. */
    enum err (*reload)(void *owner, char *reason);
    void *owner;
};

struct control_limits {
    unsigned connections; /* more are told so and closed; 0: 64 */
    uint64_t stalled_ms;  /* a peer that sends no line, or takes nothing, for so long is cut; 0: 60 s */
    uint64_t turn_ns;     /* time for a page; 0: 1 ms */
};

struct control;

/* SUBJECT and LIMITS (may be NULL) are copied. MODE: of the socket, 0600 or 0660. The log says why when it
 * fails. */
enum err control_open(const struct control_subject *subject, uint32_t mode,
                      const struct control_limits *limits, struct control **control_r) ERR_MUST_CHECK;
/* Cuts all connections; the loop frees them in its next turns. NULL is fine; leaves NULL. */
void control_close(struct control **control);

#endif
