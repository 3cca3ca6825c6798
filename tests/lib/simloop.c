/*
 * simloop.c - the simulated loop.
 *
 * Jobs are linked by their own links, in the list that says what they wait for: work or done.
 */
#include "simloop.h"
#include "simclock.h"
#include "simdisk_inode.h"
#include "dittofs/clock.h"
#include "dittofs/log.h"

#include <stdlib.h>

enum { TURNS_MOST = 1000000 };

struct simloop {
    struct list to_work;
    struct list to_finish;
    size_t work_count, finish_count;
    struct sim_random random;
    uint64_t submits_left; /* until they are refused; 0: never */
    bool refuses;
    bool woken;
};

static enum err sim_submit(struct loop *loop, struct loop_job *job)
{
    struct simloop *sim = loop_data(loop);

    if (sim->submits_left > 0 && --sim->submits_left == 0)
        sim->refuses = true;
    if (sim->refuses)
        return ERR_NOMEM;
    list_push_back(&sim->to_work, &job->link);
    sim->work_count++;
    return ERR_OK;
}

static struct loop_job *job_at(struct list *head, uint64_t index)
{
    struct list *link = head->next;

    while (index-- > 0)
        link = link->next;
    return container_of(link, struct loop_job, link);
}

static void step_one_job(struct simloop *sim)
{
    size_t count = sim->work_count + sim->finish_count;
    struct loop_job *job;
    uint64_t chosen;

    if (count == 0)
        return;
    chosen = sim_random_below(&sim->random, count);
    if (chosen < sim->work_count) {
        job = job_at(&sim->to_work, chosen);
        list_remove(&job->link);
        sim->work_count--;
        job->work(job);
        list_push_back(&sim->to_finish, &job->link);
        sim->finish_count++;
        return;
    }
    job = job_at(&sim->to_finish, chosen - sim->work_count);
    list_remove(&job->link);
    sim->finish_count--;
    job->done(job);
}

static void sim_run_once(struct loop *loop, bool may_wait)
{
    struct simloop *sim = loop_data(loop);

    (void)may_wait;
    sim->woken = false;
    step_one_job(sim);
    loop_run_timers(loop);
    loop_run_hooks(loop);
}

static void sim_wake(struct loop *loop)
{
    struct simloop *sim = loop_data(loop);

    sim->woken = true;
}

static void sim_close(struct loop *loop)
{
    struct simloop *sim = loop_data(loop);

    invariant(sim->work_count == 0 && sim->finish_count == 0);
    free(sim);
}

static const struct loop_operations operations = {
    .submit = sim_submit,
    .run_once = sim_run_once,
    .wake = sim_wake,
    .close = sim_close,
};

struct loop *simloop_new(uint64_t seed)
{
    struct simloop *sim = calloc(1, sizeof *sim);
    struct loop *loop;

    invariant(sim != NULL);
    list_init(&sim->to_work);
    list_init(&sim->to_finish);
    sim->random.state = seed;
    invariant(loop_open_with(&operations, sim, &loop) == ERR_OK);
    return loop;
}

bool simloop_is_idle(struct loop *loop)
{
    struct simloop *sim = loop_data(loop);
    uint64_t due_ms;

    return sim->work_count == 0 && sim->finish_count == 0 && !sim->woken &&
           !(loop_next_timer(loop, &due_ms) && due_ms <= clock_monotonic_ms());
}

uint64_t simloop_run_until_idle(struct loop *loop)
{
    uint64_t turns = 0;

    /* At least one: what was called before it waits for the end of a turn. */
    do {
        loop_run_once(loop, false);
        invariant(++turns < TURNS_MOST);
    } while (!simloop_is_idle(loop));
    return turns;
}

bool simloop_run_until(struct loop *loop, bool (*condition)(void *data), void *data)
{
    return simloop_run_until_timed(loop, condition, data, 0);
}

bool simloop_run_until_timed(struct loop *loop, bool (*condition)(void *data), void *data, uint64_t most_ms)
{
    uint64_t turns = 0, due_ms;

    while (!condition(data)) {
        uint64_t now_ms = clock_monotonic_ms();

        if (turns > 0 && simloop_is_idle(loop)) {
            if (!loop_next_timer(loop, &due_ms) || due_ms - now_ms > most_ms)
                return false;
            most_ms -= due_ms - now_ms;
            simclock_advance_ms(due_ms - now_ms);
        }
        loop_run_once(loop, false);
        invariant(++turns < TURNS_MOST);
    }
    return true;
}

size_t simloop_jobs(struct loop *loop)
{
    struct simloop *sim = loop_data(loop);

    return sim->work_count + sim->finish_count;
}

void simloop_drop_all(struct loop *loop)
{
    struct simloop *sim = loop_data(loop);

    while (!list_is_empty(&sim->to_work))
        list_remove(sim->to_work.next);
    while (!list_is_empty(&sim->to_finish))
        list_remove(sim->to_finish.next);
    sim->work_count = sim->finish_count = 0;
    sim->woken = false;
    loop_forget_timers(loop);
    loop_forget_hooks(loop);
}

void simloop_refuse_jobs(struct loop *loop, uint64_t number)
{
    struct simloop *sim = loop_data(loop);

    sim->submits_left = number;
    sim->refuses = false;
}
