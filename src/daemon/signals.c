/*
 * signals.c - signals, as calls on the loop, through libuv's own handlers.
 *
 * The struct holds the libuv handles, so it goes with the close callback of the last of them.
 */
#include "daemon/signals_priv.h"

#include <signal.h>
#include <stdlib.h>
#include <uv.h>

enum { SIGNAL_COUNT = 4 };
static const int numbers[SIGNAL_COUNT] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};

struct signals {
    const struct signals_events *events;
    void *owner;
    unsigned open; /* handles that are not closed yet */
    uv_signal_t handles[SIGNAL_COUNT];
};

static void on_signal(uv_signal_t *handle, int number)
{
    struct signals *signals = handle->data;

    if (number == SIGHUP)
        signals->events->reload(signals->owner);
    else if (number == SIGUSR1)
        signals->events->figures(signals->owner);
    else
        signals->events->stop(signals->owner, number);
}

static void on_closed(uv_handle_t *handle)
{
    struct signals *signals = handle->data;

    if (--signals->open == 0)
        free(signals);
}

enum err signals_open(struct loop *loop, const struct signals_events *events, void *owner,
                      struct signals **signals_r)
{
    struct signals *signals = calloc(1, sizeof *signals);

    if (signals == NULL)
        return ERR_NOMEM;
    signal(SIGPIPE, SIG_IGN);
    signals->events = events;
    signals->owner = owner;
    for (int i = 0; i < SIGNAL_COUNT; i++) {
        int result = uv_signal_init(loop_uv(loop), &signals->handles[i]);

        if (result == 0) {
            signals->handles[i].data = signals;
            signals->open++;
            result = uv_signal_start(&signals->handles[i], on_signal, numbers[i]);
        }
        if (result != 0) {
            if (signals->open == 0)
                free(signals);
            else
                signals_close(&signals);
            return err_from_errno(-result);
        }
    }
    *signals_r = signals;
    return ERR_OK;
}

void signals_close(struct signals **signals)
{
    struct signals *gone = *signals;
    unsigned open;

    *signals = NULL;
    if (gone == NULL)
        return;
    open = gone->open;
    for (unsigned i = 0; i < open; i++)
        uv_close((uv_handle_t *)&gone->handles[i], on_closed);
}
