/*
 * test_clock.c - the system's clocks, the simulated one, and seeded randomness.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dittofs/clock.h"
#include "dittofs/random.h"
#include "simclock.h"
#include <string.h>
#include <stdlib.h>
#include <time.h>

static void system_clocks(void **state)
{
    struct timestamp wall = clock_wall();
    uint64_t before = clock_monotonic_ns(), after;

    (void)state;
    assert_true(llabs(wall.seconds - (int64_t)time(NULL)) <= 1);
    assert_true(wall.nanoseconds < 1000000000);
    after = clock_monotonic_ns();
    assert_true(after >= before);
    assert_true(clock_monotonic_ms() - after / 1000000 < 1000);
    before = clock_monotonic_coarse_ms();
    assert_true(before <= clock_monotonic_ms());
    assert_true(clock_monotonic_coarse_ms() >= before);
    assert_true(clock_monotonic_ms() - before < 1000);
}

static void compare(void **state)
{
    static const struct {
        struct timestamp a, b;
        int result;
    } cases[] = {
        {{0, 0}, {0, 0}, 0}, {{0, 0}, {0, 1}, -1},          {{0, 1}, {0, 0}, 1},
        {{1, 0}, {0, 9}, 1}, {{-1, 999999999}, {0, 0}, -1}, {{INT64_MIN, 0}, {INT64_MAX, 0}, -1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(timestamp_compare(cases[i].a, cases[i].b), cases[i].result);
}

static void simulated(void **state)
{
    struct timestamp wall;
    uint64_t start_ms;

    (void)state;
    simclock_install();
    start_ms = clock_monotonic_ms();
    wall = clock_wall();
    assert_int_equal(wall.seconds, 1704067200);
    assert_int_equal(clock_monotonic_ms(), start_ms);
    simclock_advance_ms(2500);
    assert_int_equal(clock_monotonic_ms(), start_ms + 2500);
    assert_int_equal(clock_monotonic_coarse_ms(), start_ms + 2500);
    assert_int_equal(clock_wall().seconds, wall.seconds + 2);
    assert_int_equal(clock_wall().nanoseconds, 500000000);
    simclock_advance_ns(500000001);
    assert_int_equal(clock_wall().seconds, wall.seconds + 3);
    assert_int_equal(clock_wall().nanoseconds, 1);
    simclock_jump_wall_s(-3600);
    assert_int_equal(clock_wall().seconds, wall.seconds - 3597);
    assert_int_equal(clock_monotonic_ms(), start_ms + 3000);
    simclock_set_wall((struct timestamp){.seconds = -5, .nanoseconds = 999999999});
    simclock_set_tick_ns(1);
    assert_int_equal(clock_wall().seconds, -5);
    assert_int_equal(clock_wall().seconds, -4);
    assert_int_equal(clock_wall().nanoseconds, 1);
    simclock_remove();
    assert_true(clock_wall().seconds > 1704067200);
}

static void randomness(void **state)
{
    uint8_t a[37], b[37];
    uint64_t first;

    (void)state;
    random_bytes(a, sizeof a);
    random_bytes(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    assert_true(random_u64() != random_u64());
    random_set_seed(1);
    random_bytes(a, sizeof a);
    first = random_u64();
    random_set_seed(1);
    random_bytes(b, sizeof b);
    assert_memory_equal(a, b, sizeof a);
    assert_true(random_u64() == first);
    random_set_seed(2);
    random_bytes(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    random_set_seed(0);
    assert_true(random_u64() != random_u64());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(system_clocks),
        cmocka_unit_test(compare),
        cmocka_unit_test(simulated),
        cmocka_unit_test(randomness),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
