/*
 * simloop.h - a simulated loop on one thread: jobs run in an order that a seed chooses.
 *
 * A turn (loop_run_once) does one step of one job, chosen by chance among all that wait: its work, or its
 * done when the work was done in an earlier turn. Then it runs the timers that are due by clock.h (install
 * simclock.h to have them under control), then the hooks. So other jobs, timers and hooks come between the
 * two halves of a job, as with real workers.
 */
#ifndef DITTOFS_TESTS_SIMLOOP_H
#define DITTOFS_TESTS_SIMLOOP_H

#include "dittofs/loop.h"

/* Never NULL. Freed with loop_close. */
struct loop *simloop_new(uint64_t seed);

/* Turns until no job waits, nobody has woken the loop and no timer is due. Gives the number of turns; panics
 * after a million (something keeps itself busy). */
uint64_t simloop_run_until_idle(struct loop *loop);
/* Turns until CONDITION(DATA); false when the loop was idle before that. Time does not move. */
bool simloop_run_until(struct loop *loop, bool (*condition)(void *data), void *data);
/* The same, but when idle it advances the simulated clock to the next timer, at most MOST_MS in all. */
bool simloop_run_until_timed(struct loop *loop, bool (*condition)(void *data), void *data, uint64_t most_ms);
/* Is there nothing that a turn would do, but hooks? */
bool simloop_is_idle(struct loop *loop);

/* Jobs that wait for their work, or for their done. */
size_t simloop_jobs(struct loop *loop);

/* Forgets all jobs, timers and hooks: the process died. Their memory is their owners'. */
void simloop_drop_all(struct loop *loop);
/* Jobs are refused with ERR_NOMEM from the NUMBER-th submit on (1: the next); 0: never. */
void simloop_refuse_jobs(struct loop *loop, uint64_t number);

#endif
