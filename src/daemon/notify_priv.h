/*
 * notify_priv.h - telling systemd how the service is (sd_notify(3)). Does nothing when systemd did not start
 * the program, or in a build without libsystemd.
 */
#ifndef DITTOFS_DAEMON_NOTIFY_H
#define DITTOFS_DAEMON_NOTIFY_H

#include "dittofs/loop.h"
#include <stdbool.h>

/* Did a service manager start us that wants to be told? Then the program does not go to the background. */
bool notify_is_wanted(void);

/* STATUS is a line for `systemctl status`. */
void notify_ready(const char *status);
void notify_reloading(void);
void notify_stopping(void);

/* Pings the watchdog from LOOP when the service manager wants that. */
struct notify_watchdog {
    struct loop_timer timer;
};
void notify_watchdog_start(struct notify_watchdog *watchdog, struct loop *loop);
void notify_watchdog_stop(struct notify_watchdog *watchdog);

#endif
