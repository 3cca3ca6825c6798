/*
 * notify.c - telling systemd how the service is.
 *
 * Pings of the watchdog come from a timer on the loop, twice in the time it allows: a loop that is stuck
 * stops them, and systemd restarts the service.
 */
#include "daemon/notify_priv.h"
#include "dittofs/clock.h"
#include "dittofs/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>

static void tell(const char *state)
{
    int result = sd_notify(0, state);

    if (result < 0)
        log_warning("the service manager could not be told: error %d", -result);
}

static uint64_t watchdog_period_ms(void)
{
    uint64_t usec;

    return sd_watchdog_enabled(0, &usec) > 0 ? usec / 2 / 1000 : 0;
}
#else
static void tell(const char *state)
{
    (void)state;
}

static uint64_t watchdog_period_ms(void)
{
    return 0;
}
#endif

bool notify_is_wanted(void)
{
    const char *path = getenv("NOTIFY_SOCKET");

    return path != NULL && path[0] != '\0';
}

void notify_ready(const char *status)
{
    char text[512];

    snprintf(text, sizeof text, "READY=1\nSTATUS=%s", status);
    tell(text);
}

void notify_reloading(void)
{
    char text[64];

    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_monotonic_ns() / 1000);
    tell(text);
}

void notify_stopping(void)
{
    tell("STOPPING=1\nSTATUS=stopping");
}

static void on_timer(struct loop_timer *timer)
{
    (void)timer;
    tell("WATCHDOG=1");
}

void notify_watchdog_start(struct notify_watchdog *watchdog, struct loop *loop)
{
    uint64_t period_ms = watchdog_period_ms();

    *watchdog = (struct notify_watchdog){.timer.callback = on_timer};
    if (period_ms > 0)
        loop_timer_start(loop, &watchdog->timer, period_ms, period_ms);
}

void notify_watchdog_stop(struct notify_watchdog *watchdog)
{
    loop_timer_stop(&watchdog->timer);
}
