/*
 * loop_uv.c - the real loop, on libuv.
 *
 * A turn of libuv is: timers, idle handles, prepare handles, poll, close callbacks. Hooks run in a prepare
 * handle, which is the last thing before it polls; being active always, it also keeps uv_run from
 * returning. A wake is an idle handle that stops itself: while one is active libuv does not wait when it
 * polls, so another turn follows. One uv_timer stands for the earliest of our timers.
 */
#include "dittofs/loop.h"
#include "base/loop_priv.h"
#include "dittofs/clock.h"
#include "dittofs/log.h"

#include <stdlib.h>
#include <uv.h>

/* Turns that loop_close grants to handles that others have just closed. */
enum { CLOSING_TURNS = 100 };

struct uv_implementation {
    uv_loop_t loop;
    uv_prepare_t prepare;
    uv_idle_t idle;
    uv_timer_t timer;
    size_t jobs; /* handed to workers and not back */
};

struct uv_job {
    uv_work_t request;
    struct loop_job *job;
};

static void on_work(uv_work_t *request)
{
    struct loop_job *job = container_of(request, struct uv_job, request)->job;

    job->work(job);
}

static void on_done(uv_work_t *request, int status)
{
    struct uv_job *item = container_of(request, struct uv_job, request);
    struct loop_job *job = item->job;
    struct uv_implementation *implementation = loop_data(job->loop);

    (void)status; /* jobs are never cancelled */
    implementation->jobs--;
    free(item);
    job->done(job);
}

static enum err uv_submit(struct loop *loop, struct loop_job *job)
{
    struct uv_implementation *implementation = loop_data(loop);
    struct uv_job *item = malloc(sizeof *item);

    if (item == NULL)
        return ERR_NOMEM;
    item->job = job;
    if (uv_queue_work(&implementation->loop, &item->request, on_work, on_done) != 0) {
        free(item);
        return ERR_NOMEM;
    }
    implementation->jobs++;
    return ERR_OK;
}

static void on_timer(uv_timer_t *timer)
{
    loop_run_timers(timer->data);
}

static void uv_timers_changed(struct loop *loop)
{
    struct uv_implementation *implementation = loop_data(loop);
    uint64_t due_ms, now_ms;

    if (!loop_next_timer(loop, &due_ms)) {
        uv_timer_stop(&implementation->timer);
        return;
    }
    /* libuv counts from the time at which the turn began. That makes it early at most, and then nothing is
     * due and it is set again. */
    now_ms = clock_monotonic_ms();
    uv_timer_start(&implementation->timer, on_timer, due_ms > now_ms ? due_ms - now_ms : 0, 0);
}

static void on_prepare(uv_prepare_t *prepare)
{
    loop_run_hooks(prepare->data);
}

static void on_idle(uv_idle_t *idle)
{
    uv_idle_stop(idle);
}

static void uv_wake(struct loop *loop)
{
    struct uv_implementation *implementation = loop_data(loop);

    uv_idle_start(&implementation->idle, on_idle);
}

static void uv_run_until_stop(struct loop *loop)
{
    struct uv_implementation *implementation = loop_data(loop);

    uv_run(&implementation->loop, UV_RUN_DEFAULT);
    invariant(loop->stopping); /* a stop before the run counts, too */
    loop->stopping = false;
}

static void uv_stop_run(struct loop *loop)
{
    struct uv_implementation *implementation = loop_data(loop);

    uv_stop(&implementation->loop);
}

static void uv_one_turn(struct loop *loop, bool may_wait)
{
    struct uv_implementation *implementation = loop_data(loop);

    uv_run(&implementation->loop, may_wait ? UV_RUN_ONCE : UV_RUN_NOWAIT);
}

static void close_implementation(struct loop *loop)
{
    struct uv_implementation *implementation = loop_data(loop);
    int busy = UV_EBUSY;

    invariant(implementation->jobs == 0);
    uv_close((uv_handle_t *)&implementation->prepare, NULL);
    uv_close((uv_handle_t *)&implementation->idle, NULL);
    uv_close((uv_handle_t *)&implementation->timer, NULL);
    for (int turn = 0; turn < CLOSING_TURNS && busy != 0; turn++) {
        uv_run(&implementation->loop, UV_RUN_NOWAIT);
        busy = uv_loop_close(&implementation->loop);
    }
    invariant(busy == 0);
    free(implementation);
}

static const struct loop_operations operations = {
    .submit = uv_submit,
    .timers_changed = uv_timers_changed,
    .run = uv_run_until_stop,
    .stop = uv_stop_run,
    .run_once = uv_one_turn,
    .wake = uv_wake,
    .close = close_implementation,
};

enum err loop_open(struct loop **loop_r)
{
    struct uv_implementation *implementation = calloc(1, sizeof *implementation);
    struct loop *loop;
    enum err err;

    if (implementation == NULL)
        return ERR_NOMEM;
    err = loop_open_with(&operations, implementation, &loop);
    if (err != ERR_OK)
        goto err_after_implementation;
    if (uv_loop_init(&implementation->loop) != 0) {
        err = ERR_NOMEM;
        goto err_after_loop;
    }
    /* These three can't fail (libuv: they only fill in the handle). */
    uv_prepare_init(&implementation->loop, &implementation->prepare);
    uv_idle_init(&implementation->loop, &implementation->idle);
    uv_timer_init(&implementation->loop, &implementation->timer);
    implementation->prepare.data = loop;
    implementation->idle.data = loop;
    implementation->timer.data = loop;
    uv_prepare_start(&implementation->prepare, on_prepare);
    *loop_r = loop;
    return ERR_OK;

err_after_loop:
    free(loop);
err_after_implementation:
    free(implementation);
    return err;
}

void *loop_uv(struct loop *loop)
{
    struct uv_implementation *implementation = loop_data(loop);

    return loop->operations == &operations ? &implementation->loop : NULL;
}
