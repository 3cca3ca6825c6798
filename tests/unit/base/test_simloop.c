/*
 * test_simloop.c - the simulated loop, and the heap of timers that all loops share.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dittofs/clock.h"
#include "dittofs/random.h"
#include "simclock.h"
#include "simloop.h"
#include <stdlib.h>
#include <string.h>

enum { JOBS = 20, TIMERS = 500 };

struct trace {
    char text[4 * JOBS + 1];
    size_t length;
};

struct work {
    struct loop_job job;
    struct trace *trace;
    char letter;
    int done;
};

static void do_work(struct loop_job *job)
{
    struct work *work = container_of(job, struct work, job);

    work->trace->text[work->trace->length++] = work->letter;
}

static void finish_work(struct loop_job *job)
{
    struct work *work = container_of(job, struct work, job);

    work->trace->text[work->trace->length++] = (char)(work->letter - 'a' + 'A');
    work->done++;
}

static int install_clock(void **state)
{
    (void)state;
    simclock_install();
    return 0;
}

static int remove_clock(void **state)
{
    (void)state;
    simclock_remove();
    return 0;
}

static void run_jobs(uint64_t seed, struct trace *trace)
{
    struct work works[JOBS] = {0};
    struct loop *loop = simloop_new(seed);

    memset(trace, 0, sizeof *trace);
    for (int i = 0; i < JOBS; i++) {
        works[i] = (struct work){
            .job = {.work = do_work, .done = finish_work}, .trace = trace, .letter = (char)('a' + i)};
        assert_int_equal(loop_submit(loop, &works[i].job), ERR_OK);
    }
    assert_int_equal(trace->length, 0);
    assert_int_equal(simloop_jobs(loop), JOBS);
    assert_int_equal(simloop_run_until_idle(loop), 2 * JOBS);
    assert_true(simloop_is_idle(loop));
    for (int i = 0; i < JOBS; i++)
        assert_int_equal(works[i].done, 1);
    loop_close(&loop);
}

static void order_comes_from_the_seed(void **state)
{
    struct trace a, b, c;
    unsigned apart = 0;

    (void)state;
    run_jobs(1, &a);
    run_jobs(1, &b);
    run_jobs(2, &c);
    assert_string_equal(a.text, b.text);
    assert_string_not_equal(a.text, c.text);
    for (int i = 0; i < JOBS; i++) {
        const char *work = strchr(a.text, 'a' + i), *done = strchr(a.text, 'A' + i);
        assert_true(work != NULL && done != NULL && work < done);
        apart += done - work > 1;
    }
    assert_true(apart > JOBS / 2);
}

static void drops_all(void **state)
{
    struct trace trace = {0};
    struct work works[4] = {0};
    struct loop_timer timer = {0};
    struct loop *loop = simloop_new(1);

    (void)state;
    for (int i = 0; i < 4; i++) {
        works[i] = (struct work){
            .job = {.work = do_work, .done = finish_work}, .trace = &trace, .letter = (char)('a' + i)};
        assert_int_equal(loop_submit(loop, &works[i].job), ERR_OK);
    }
    loop_run_once(loop, false);
    assert_int_equal(trace.length, 1);
    loop_timer_start(loop, &timer, 0, 1);
    simloop_drop_all(loop);
    assert_int_equal(simloop_jobs(loop), 0);
    simloop_run_until_idle(loop);
    assert_int_equal(trace.length, 1);
    loop_close(&loop);
}

static void refuses_jobs(void **state)
{
    struct trace trace = {0};
    struct work works[2] = {0};
    struct loop *loop = simloop_new(1);

    (void)state;
    for (int i = 0; i < 2; i++)
        works[i] = (struct work){
            .job = {.work = do_work, .done = finish_work}, .trace = &trace, .letter = (char)('a' + i)};
    simloop_refuse_jobs(loop, 2);
    assert_int_equal(loop_submit(loop, &works[0].job), ERR_OK);
    assert_int_equal(loop_submit(loop, &works[1].job), ERR_NOMEM);
    simloop_refuse_jobs(loop, 0);
    assert_int_equal(loop_submit(loop, &works[1].job), ERR_OK);
    simloop_run_until_idle(loop);
    assert_int_equal(works[0].done + works[1].done, 2);
    loop_close(&loop);
}

struct alarm {
    struct loop_timer timer;
    uint64_t due_ms;
    int rings;
    bool running;
};

static uint64_t last_due_ms;
static int rings;

static void ring(struct loop_timer *timer)
{
    struct alarm *alarm = container_of(timer, struct alarm, timer);

    assert_true(alarm->running);
    assert_true(alarm->due_ms <= clock_monotonic_ms());
    assert_true(alarm->due_ms >= last_due_ms);
    last_due_ms = alarm->due_ms;
    alarm->running = false;
    alarm->rings++;
    rings++;
}

/* Starts, restarts and stops at random; every timer that should have rung has, in order, no other one. */
static void heap_of_timers(void **state)
{
    struct alarm *alarms = calloc(TIMERS, sizeof *alarms);
    struct loop *loop = simloop_new(1);
    int expected = 0;

    (void)state;
    random_set_seed(77);
    last_due_ms = 0;
    rings = 0;
    for (int step = 0; step < 300; step++) {
        uint64_t now_ms = clock_monotonic_ms(), earliest_ms = UINT64_MAX, due_ms = UINT64_MAX;

        for (int i = 0; i < 30; i++) {
            struct alarm *alarm = &alarms[random_u64() % TIMERS];
            if (random_u64() % 3 == 0) {
                loop_timer_stop(&alarm->timer);
                alarm->running = false;
                continue;
            }
            alarm->timer.callback = ring;
            alarm->due_ms = now_ms + 1 + random_u64() % 200;
            alarm->running = true;
            loop_timer_start(loop, &alarm->timer, alarm->due_ms - now_ms, 0);
        }
        for (int i = 0; i < TIMERS; i++) {
            if (alarms[i].running && alarms[i].due_ms < earliest_ms)
                earliest_ms = alarms[i].due_ms;
        }
        assert_int_equal(loop_next_timer(loop, &due_ms), earliest_ms != UINT64_MAX);
        assert_true(due_ms == earliest_ms);
        simclock_advance_ms(random_u64() % 20);
        now_ms = clock_monotonic_ms();
        for (int i = 0; i < TIMERS; i++)
            expected += alarms[i].running && alarms[i].due_ms <= now_ms;
        loop_run_once(loop, false);
        assert_int_equal(rings, expected);
    }
    assert_true(rings > 1000);
    simloop_drop_all(loop);
    for (int i = 0; i < TIMERS; i++)
        assert_null(alarms[i].timer.loop);
    loop_close(&loop);
    random_set_seed(0);
    free(alarms);
}

struct repeating {
    struct loop_timer timer;
    int calls;
};

static void repeat(struct loop_timer *timer)
{
    container_of(timer, struct repeating, timer)->calls++;
}

static bool called_thrice(void *data)
{
    return ((struct repeating *)data)->calls >= 3;
}

static void time_moves_when_idle(void **state)
{
    struct repeating repeating = {.timer.callback = repeat};
    struct loop *loop = simloop_new(1);
    uint64_t start_ms = clock_monotonic_ms();

    (void)state;
    loop_timer_start(loop, &repeating.timer, 500, 1000);
    assert_false(simloop_run_until(loop, called_thrice, &repeating));
    assert_int_equal(repeating.calls, 0);
    assert_false(simloop_run_until_timed(loop, called_thrice, &repeating, 2499));
    assert_int_equal(repeating.calls, 2);
    assert_true(simloop_run_until_timed(loop, called_thrice, &repeating, 1000));
    assert_int_equal(clock_monotonic_ms(), start_ms + 2500);
    /* Missed turns are not made up for. */
    simclock_advance_ms(10500);
    simloop_run_until_idle(loop);
    assert_int_equal(repeating.calls, 4);
    loop_timer_stop(&repeating.timer);
    loop_close(&loop);
}

struct waker {
    struct loop_hook hook;
    struct loop *loop;
    int calls;
};

static void wake_some(struct loop_hook *hook)
{
    struct waker *waker = container_of(hook, struct waker, hook);

    if (++waker->calls < 5)
        loop_wake(waker->loop);
}

static void wakes(void **state)
{
    struct loop *loop = simloop_new(1);
    struct waker waker = {.hook.callback = wake_some, .loop = loop};

    (void)state;
    loop_hook_add(loop, &waker.hook);
    simloop_run_until_idle(loop);
    assert_int_equal(waker.calls, 5);
    assert_null(loop_uv(loop));
    loop_hook_remove(&waker.hook);
    loop_close(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_comes_from_the_seed),
        cmocka_unit_test(drops_all),
        cmocka_unit_test(refuses_jobs),
        cmocka_unit_test(heap_of_timers),
        cmocka_unit_test(time_moves_when_idle),
        cmocka_unit_test(wakes),
    };

    return cmocka_run_group_tests(tests, install_clock, remove_clock);
}
