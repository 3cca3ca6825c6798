/*
 * test_loop.c - the real loop: jobs on workers, timers by the system's clock, hooks and wakes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dittofs/clock.h"
#include "dittofs/loop.h"
#include <pthread.h>
#include <stdlib.h>
#include <uv.h>

struct work {
    struct loop_job job;
    pthread_t worker;
    int worked, done;
    struct work *next; /* submitted from done */
    int *finished;
    int expected;
};

static struct loop *loop;
static pthread_t loop_thread;

static int open_loop(void **state)
{
    (void)state;
    loop_thread = pthread_self();
    return loop_open(&loop) == ERR_OK ? 0 : -1;
}

static int close_loop(void **state)
{
    (void)state;
    loop_close(&loop);
    return loop == NULL ? 0 : -1;
}

static void do_work(struct loop_job *job)
{
    struct work *work = container_of(job, struct work, job);

    work->worker = pthread_self();
    work->worked++;
}

static void finish_work(struct loop_job *job)
{
    struct work *work = container_of(job, struct work, job);

    assert_true(pthread_equal(pthread_self(), loop_thread));
    assert_false(pthread_equal(work->worker, loop_thread));
    assert_int_equal(work->worked, 1);
    work->done++;
    if (work->next != NULL)
        assert_int_equal(loop_submit(loop, &work->next->job), ERR_OK);
    if (++*work->finished == work->expected)
        loop_stop(loop);
}

static void jobs(void **state)
{
    struct work works[200] = {0};
    int finished = 0;

    (void)state;
    for (int i = 0; i < 200; i++) {
        works[i].job.work = do_work;
        works[i].job.done = finish_work;
        works[i].finished = &finished;
        works[i].expected = 200;
        if (i < 100)
            works[i].next = &works[100 + i];
    }
    for (int i = 0; i < 100; i++) {
        assert_int_equal(loop_submit(loop, &works[i].job), ERR_OK);
        assert_int_equal(works[i].done, 0);
    }
    loop_run(loop);
    assert_int_equal(finished, 200);
    for (int i = 0; i < 200; i++)
        assert_int_equal(works[i].done, 1);
}

struct alarm {
    struct loop_timer timer;
    int rings, stop_after;
    bool stops_loop, stops_itself, frees_itself, restarts;
    uint64_t rang_ms;
    int *sequence, place;
};

static void ring(struct loop_timer *timer)
{
    struct alarm *alarm = container_of(timer, struct alarm, timer);

    alarm->rings++;
    alarm->rang_ms = clock_monotonic_ms();
    if (alarm->sequence != NULL)
        alarm->place = (*alarm->sequence)++;
    if (alarm->restarts && alarm->rings < 3)
        loop_timer_start(loop, timer, 0, 0);
    if (alarm->stops_itself && alarm->rings == alarm->stop_after)
        loop_timer_stop(timer);
    if (alarm->stops_loop)
        loop_stop(loop);
    if (alarm->frees_itself)
        free(alarm);
}

static void timers_in_order(void **state)
{
    struct alarm first = {.timer.callback = ring}, second = first, third = first, never = first;
    uint64_t start_ms = clock_monotonic_ms();
    int sequence = 0;

    (void)state;
    third.stops_loop = true;
    first.sequence = second.sequence = third.sequence = &sequence;
    loop_timer_start(loop, &third.timer, 30, 0);
    loop_timer_start(loop, &first.timer, 1000000, 0);
    loop_timer_start(loop, &second.timer, 10, 0);
    loop_timer_start(loop, &first.timer, 5, 0); /* started again: the new time counts */
    loop_timer_start(loop, &never.timer, 20, 0);
    loop_timer_stop(&never.timer);
    loop_timer_stop(&never.timer);
    loop_run(loop);
    assert_int_equal(never.rings, 0);
    assert_int_equal(first.rings + second.rings + third.rings, 3);
    assert_int_equal(first.place, 0);
    assert_int_equal(second.place, 1);
    assert_int_equal(third.place, 2);
    assert_true(first.rang_ms >= start_ms + 5 && second.rang_ms >= start_ms + 10);
    assert_true(third.rang_ms >= start_ms + 30 && third.rang_ms < start_ms + 5000);
}

static void timers_repeat_and_restart(void **state)
{
    struct alarm repeating = {.timer.callback = ring, .stops_itself = true, .stop_after = 4};
    struct alarm restarting = {.timer.callback = ring, .restarts = true};
    struct alarm end = {.timer.callback = ring, .stops_loop = true};
    struct alarm *freed = calloc(1, sizeof *freed), *stopped = calloc(1, sizeof *stopped);

    (void)state;
    freed->timer.callback = ring;
    freed->frees_itself = true;
    stopped->timer.callback = ring;
    loop_timer_start(loop, &freed->timer, 1, 0);
    loop_timer_start(loop, &stopped->timer, 1, 1);
    loop_timer_stop(&stopped->timer);
    free(stopped);
    loop_timer_start(loop, &repeating.timer, 0, 2);
    loop_timer_start(loop, &restarting.timer, 0, 0);
    loop_timer_start(loop, &end.timer, 60, 0);
    loop_run(loop);
    assert_int_equal(repeating.rings, 4);
    assert_int_equal(restarting.rings, 3);
    assert_int_equal(end.rings, 1);
}

struct counter {
    struct loop_hook hook;
    int calls, wakes, stop_at;
    struct counter *removes, *adds;
};

static void count(struct loop_hook *hook)
{
    struct counter *counter = container_of(hook, struct counter, hook);

    counter->calls++;
    if (counter->removes != NULL)
        loop_hook_remove(&counter->removes->hook);
    if (counter->adds != NULL) {
        loop_hook_add(loop, &counter->adds->hook);
        counter->adds = NULL;
    }
    if (counter->wakes > 0) {
        counter->wakes--;
        loop_wake(loop);
        loop_wake(loop);
    }
    if (counter->calls == counter->stop_at)
        loop_stop(loop);
}

static void hooks_and_wakes(void **state)
{
    struct counter waking = {.hook.callback = count, .wakes = 9, .stop_at = 10};

    (void)state;
    loop_hook_add(loop, &waking.hook);
    /* Nothing but the wakes makes the loop turn. */
    loop_run(loop);
    assert_int_equal(waking.calls, 10);
    /* A wake from outside of a turn lets a turn that may wait return. */
    waking.stop_at = 0;
    loop_wake(loop);
    loop_run_once(loop, true);
    assert_true(waking.calls >= 11);
    loop_hook_remove(&waking.hook);
    loop_hook_remove(&waking.hook);
    loop_run_once(loop, false);
    assert_true(waking.calls <= 12);
}

static void hooks_change_on_the_way(void **state)
{
    struct counter a = {.hook.callback = count}, b = a, c = a, d = a;

    (void)state;
    loop_hook_add(loop, &a.hook);
    loop_hook_add(loop, &b.hook);
    loop_hook_add(loop, &c.hook);
    a.removes = &b; /* before its turn comes */
    c.removes = &c; /* itself */
    a.adds = &d;    /* for the next turn */
    loop_run_once(loop, false);
    assert_int_equal(a.calls, 1);
    assert_int_equal(b.calls, 0);
    assert_int_equal(c.calls, 1);
    assert_int_equal(d.calls, 0);
    loop_run_once(loop, false);
    assert_int_equal(a.calls, 2);
    assert_int_equal(c.calls, 1);
    assert_int_equal(d.calls, 1);
    loop_hook_remove(&a.hook);
    loop_hook_remove(&d.hook);
}

/* A hook sees what the events of the turn before left, before the loop waits again. */
static void wake_from_done(struct loop_job *job)
{
    (void)job;
    loop_wake(loop);
}

static void hook_after_event(void **state)
{
    struct work work = {.job = {.work = do_work, .done = wake_from_done}};
    struct counter counter = {.hook.callback = count};

    (void)state;
    loop_hook_add(loop, &counter.hook);
    assert_int_equal(loop_submit(loop, &work.job), ERR_OK);
    loop_run_once(loop, true);
    assert_int_equal(work.worked, 1);
    loop_run_once(loop, true); /* does not wait: woken */
    assert_true(counter.calls >= 2);
    loop_hook_remove(&counter.hook);
}

static void stop_before_run(void **state)
{
    (void)state;
    loop_stop(loop);
    loop_run(loop);
    /* And it runs again. */
    loop_stop(loop);
    loop_run(loop);
    assert_non_null(loop_uv(loop));
}

static void on_close(uv_handle_t *handle)
{
    free(handle);
}

/* Handles of other rooms that were closed but whose callbacks are still to come do not disturb. */
static void closes_after_others(void **state)
{
    uv_timer_t *timer = malloc(sizeof *timer);
    struct loop *own;

    (void)state;
    assert_int_equal(loop_open(&own), ERR_OK);
    uv_timer_init(loop_uv(own), timer);
    uv_close((uv_handle_t *)timer, on_close);
    loop_close(&own);
    assert_null(own);
    loop_close(&own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs),
        cmocka_unit_test(timers_in_order),
        cmocka_unit_test(timers_repeat_and_restart),
        cmocka_unit_test(hooks_and_wakes),
        cmocka_unit_test(hooks_change_on_the_way),
        cmocka_unit_test(hook_after_event),
        cmocka_unit_test(stop_before_run),
        cmocka_unit_test(closes_after_others),
    };

    return cmocka_run_group_tests(tests, open_loop, close_loop);
}
