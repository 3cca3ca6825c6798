/*
 * signals_priv.h - signals, as calls on the loop.
 */
#ifndef DITTOFS_DAEMON_SIGNALS_H
#define DITTOFS_DAEMON_SIGNALS_H

#include "dittofs/err.h"
#include "dittofs/loop.h"

struct signals;

struct signals_events {
    void (*stop)(void *owner, int number); /* SIGTERM, SIGINT */
    void (*reload)(void *owner);           /* SIGHUP */
    void (*figures)(void *owner);          /* SIGUSR1 */
};

/* SIGPIPE is ignored from now on. EVENTS must stay good. */
enum err signals_open(struct loop *loop, const struct signals_events *events, void *owner,
                      struct signals **signals_r) ERR_MUST_CHECK;
/* They have their default effect again. */
void signals_close(struct signals **signals);

#endif
