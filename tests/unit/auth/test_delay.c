/*
 * test_delay.c - how long answers to logons are held back: what is free, how it grows, what resets it, what
 * it costs many attempts at once, and the bound of the table.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dittofs/identity.h"
#include "simclock.h"
#include <stdio.h>
#include <string.h>

static struct cred_delays *delays;
static const uint8_t here[4] = {192, 0, 2, 1}, there[4] = {192, 0, 2, 2};

static int setup(void **state)
{
    (void)state;
    simclock_install();
    assert_int_equal(cred_delays_open(100, &delays), ERR_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cred_delays_close(&delays);
    assert_null(delays);
    simclock_remove();
    return 0;
}

static uint32_t failed(const void *host, const char *user)
{
    return cred_delays_done(delays, host, 4, user, false);
}

static uint32_t waits(const void *host, const char *user)
{
    return cred_delays_wait_ms(delays, host, 4, user);
}

static void grows_and_ends(void **state)
{
    static const uint32_t expected[] = {0, 0, 250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000};

    (void)state;
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        assert_int_equal(waits(here, "alice"), 0);
        assert_int_equal(failed(here, "alice"), expected[i]);
        assert_int_equal(waits(here, "ALICE"), expected[i]);
        simclock_advance_ms(expected[i]);
    }
    /* After a quarter of an hour it is forgotten. */
    simclock_advance_ms(15 * 60 * 1000 + 1);
    assert_int_equal(failed(here, "alice"), 0);
}

/* A guess made while another one waits is not cheaper. */
static void adds_up_in_parallel(void **state)
{
    (void)state;
    failed(here, "alice");
    failed(here, "alice");
    assert_int_equal(failed(here, "alice"), 250);
    assert_int_equal(failed(here, "alice"), 750);
    assert_int_equal(failed(here, "alice"), 1750);
    /* And the right one among them has to wait, too: it must not show by its speed. */
    assert_int_equal(cred_delays_done(delays, here, 4, "alice", true), 1750);
    assert_int_equal(waits(here, "alice"), 0);
    for (int i = 0; i < 30; i++)
        assert_true(failed(here, "alice") <= CRED_DELAY_MAX_MS);
    assert_int_equal(waits(here, "alice"), CRED_DELAY_MAX_MS);
}

static void others_are_not_hurt(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++)
        failed(here, "alice");
    assert_true(waits(here, "alice") > 0);
    assert_int_equal(waits(there, "alice"), 0);
    assert_int_equal(waits(here, "bob"), 0);
    assert_int_equal(cred_delays_done(delays, here, 4, "bob", true), 0);
    assert_true(waits(here, "alice") > 0);
}

/* Many names from one host: slow after ten failures, for whatever name comes next. */
static void spraying_is_slow(void **state)
{
    char name[16];

    (void)state;
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "user%d", i);
        assert_int_equal(failed(here, name), 0);
    }
    assert_int_equal(failed(here, "user10"), 250);
    assert_int_equal(waits(here, "user11"), 250);
    /* One's own success does not clear the host. */
    cred_delays_done(delays, here, 4, "mine", true);
    assert_int_equal(waits(here, "user11"), 250);
    assert_int_equal(waits(there, "user11"), 0);
}

static void addresses(void **state)
{
    static const uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 1};
    uint8_t one[16] = {0x20, 0x01, 0x0d, 0xb8, [7] = 1, [15] = 1};
    uint8_t same_network[16] = {0x20, 0x01, 0x0d, 0xb8, [7] = 1, [15] = 2};
    uint8_t other_network[16] = {0x20, 0x01, 0x0d, 0xb8, [7] = 2, [15] = 1};

    (void)state;
    for (int i = 0; i < 3; i++) {
        failed(here, "alice");
        cred_delays_done(delays, one, 16, "alice", false);
    }
    assert_int_equal(cred_delays_wait_ms(delays, mapped, 16, "alice"), 250);
    assert_int_equal(cred_delays_wait_ms(delays, same_network, 16, "alice"), 250);
    assert_int_equal(cred_delays_wait_ms(delays, other_network, 16, "alice"), 0);
}

/* Filled with new names, the table keeps the host's own entry, since that is used every time. */
static void table_is_bounded(void **state)
{
    char name[300];

    (void)state;
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "user%d", i);
        failed(here, name);
    }
    assert_int_equal(waits(here, "another"), CRED_DELAY_MAX_MS);
    simclock_advance_ms(CRED_DELAY_MAX_MS);
    assert_int_equal(waits(here, "user0"), 0);
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = 0;
    assert_int_equal(failed(there, name), 0);
    cred_delays_close(&delays);
    assert_int_equal(cred_delays_open(1, &delays), ERR_INVAL);
    assert_int_equal(cred_delays_open(2, &delays), ERR_OK);
    failed(here, "a");
    failed(there, "b");
    failed(here, "c");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(grows_and_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(adds_up_in_parallel, setup, teardown),
        cmocka_unit_test_setup_teardown(others_are_not_hurt, setup, teardown),
        cmocka_unit_test_setup_teardown(spraying_is_slow, setup, teardown),
        cmocka_unit_test_setup_teardown(addresses, setup, teardown),
        cmocka_unit_test_setup_teardown(table_is_bounded, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
