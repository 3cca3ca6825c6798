/*
 * loop.h - the one loop: timers, jobs for workers, and the end of a turn.
 *
 * All state belongs to the thread that runs the loop. A job carries its own buffers to a worker thread
 * and comes back; nothing else crosses threads. What stands behind is libuv, or in tests a simulated loop
 * (tests/lib/simloop.h) that runs jobs and timers in a seeded order on one thread.
 */
#ifndef DITTOFS_LOOP_H
#define DITTOFS_LOOP_H

#include "dittofs/err.h"
#include "dittofs/list.h"
#include <stdbool.h>
#include <stdint.h>

struct loop;

/* A piece of work for a worker. Memory is the submitter's and must stay until DONE was called. */
struct loop_job {
    void (*work)(struct loop_job *job); /* on a worker thread */
    void (*done)(struct loop_job *job); /* later, on the loop, exactly once */
    void *private_data;
    struct list link;     /* private */
    struct loop *loop;    /* private */
    void *implementation; /* private */
};

/* A one-shot or repeating timer. Zero it, set CALLBACK, then start it. */
struct loop_timer {
    void (*callback)(struct loop_timer *timer);
    struct loop *loop;           /* private; NULL while it is not running */
    struct loop_timer *child;    /* private, like the rest: its place in the loop's heap */
    struct loop_timer *sibling;  /* the next child of its parent */
    struct loop_timer *previous; /* the sibling before, or the parent */
    uint64_t due_ms;
    uint64_t repeat_ms;
    uint64_t order; /* of starting, among those due at the same time */
};

/* Called at the end of every loop turn, before the loop waits for events. */
struct loop_hook {
    void (*callback)(struct loop_hook *hook);
    struct list link; /* private */
};

/* The real loop, on libuv. */
enum err loop_open(struct loop **loop_r) ERR_MUST_CHECK;
/* Runs until loop_stop. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);
/* Runs what is due and waits for events at most once (tests, draining). */
void loop_run_once(struct loop *loop, bool may_wait);
/* Every timer must be stopped and every job back. */
void loop_close(struct loop **loop);
/* The libuv loop behind it, for rooms that may name uv_ types (net, daemon); NULL for a simulated one. */
void *loop_uv(struct loop *loop);

/* Hands a job to a worker. With ERR_OK, done will be called once, later, never inside this call; with
 * anything else it will not be called. */
enum err loop_submit(struct loop *loop, struct loop_job *job) ERR_MUST_CHECK;

/* (Re)starts TIMER: first after DELAY_MS, then every REPEAT_MS unless that is 0. */
void loop_timer_start(struct loop *loop, struct loop_timer *timer, uint64_t delay_ms, uint64_t repeat_ms);
/* Stops it; a timer that is not running is fine. It may be freed as soon as this returns. */
void loop_timer_stop(struct loop_timer *timer);

void loop_hook_add(struct loop *loop, struct loop_hook *hook);
void loop_hook_remove(struct loop_hook *hook);
/* Makes sure that a turn ends soon even if no event comes: hooks run once more. On the loop's thread only;
 * cheap, and as good called often as once. */
void loop_wake(struct loop *loop);

/* What a simulated loop puts in place of libuv. */
struct loop_operations {
    enum err (*submit)(struct loop *loop, struct loop_job *job);
    /* Another timer than before is due first, or none; NULL when the implementation asks each turn. */
    void (*timers_changed)(struct loop *loop);
    void (*run)(struct loop *loop);  /* NULL: run_once until loop_stop */
    void (*stop)(struct loop *loop); /* NULL with it */
    void (*run_once)(struct loop *loop, bool may_wait);
    void (*wake)(struct loop *loop);
    void (*close)(struct loop *loop);
};
/* Makes a loop over OPERATIONS; loop_data() gives DATA back. */
enum err loop_open_with(const struct loop_operations *operations, void *data,
                        struct loop **loop_r) ERR_MUST_CHECK;
void *loop_data(struct loop *loop);
/* For implementations: runs all hooks (at the end of a turn); runs the timers that are due; says when the
 * next is due (clock_monotonic_ms), false when there is none; forgets all timers, or hooks. */
void loop_run_hooks(struct loop *loop);
void loop_run_timers(struct loop *loop);
bool loop_next_timer(struct loop *loop, uint64_t *due_ms_r);
void loop_forget_timers(struct loop *loop);
void loop_forget_hooks(struct loop *loop);

#endif
