/*
 * nfs4_lock_wait.h - clients that wait for a lock by asking again (READW_LT, WRITEW_LT; RFC 8881 9.6).
 */
#ifndef DITTOFS_NFS4_LOCK_WAIT_H
#define DITTOFS_NFS4_LOCK_WAIT_H

#include "nfs/v4/nfs4_state.h"

/* Before OWNER does anything to the locks of FILE: what it waited for, or was given and has not asked for
 * again, goes, unless REQUEST (NULL for LOCKU) is just that. */
void nfs4__blocked_settle(struct nfs4_server *server, const struct owner *owner, struct state_file *file,
                          const struct lock_request *request);
/* REQUEST was denied. ERR_WAIT: HOLDER waits in the queue and must stay; ERR_DEADLOCK; else it does not wait,
 * and its client asks again when it likes. IS_NEW: HOLDER was made for REQUEST. */
enum err nfs4__blocked_wait(struct nfs4_compound *compound, struct lock_holder *holder, bool is_new,
                            const struct lock_request *request) ERR_MUST_CHECK;
/* REQUEST was granted at last. */
void nfs4__blocked_end(struct nfs4_server *server, const struct owner *owner, struct state_file *file);

/* Ends all waits (the server closes). */
void nfs4__blocked_close(struct nfs4_server *server);

#endif
