/*
 * background_priv.h - going to the background, as daemon(7) describes for programs that nobody supervises.
 */
#ifndef DITTOFS_DAEMON_BACKGROUND_H
#define DITTOFS_DAEMON_BACKGROUND_H

#include "dittofs/err.h"

/* Forks. In the parent it does not return: the parent waits until the child calls background_ready and
 * exits 0, or exits 1 when the child ended before. To be called before any thread is made. */
enum err background_begin(void) ERR_MUST_CHECK;
/* The service is up: lets the parent go, closes stderr and logs to syslog from now on. Does nothing without
 * background_begin. */
void background_ready(void);

#endif
