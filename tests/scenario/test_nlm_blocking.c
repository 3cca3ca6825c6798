/*
 * test_nlm_blocking.c - locks that are waited for: the GRANTED callback in both forms, sent again until it is
 * answered; refused, cancelled, asked for again; first come, first served; deadlocks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nlm_fixture.h"

#include <stdio.h>

static struct nlmc_lock held, wanted;

/* "alpha" has the file, "beta" waits for a part of it. */
static void block(void)
{
    held = a_lock("alpha", 1, 0, 0);
    wanted = a_lock("beta", 2, 100, 50);
    wanted.block = true;
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &held, NULL), NLMC_GRANTED_OK);
    assert_int_equal(nlm_call(other, NLMC_LOCK, &file, &wanted, NULL), NLMC_BLOCKED);
    assert_int_equal(counters().waiters, 1);
}

static void release(void)
{
    assert_int_equal(nlm_call(nlm, NLMC_UNLOCK, &file, &held, NULL), NLMC_GRANTED_OK);
}

static bool is_free(uint64_t offset)
{
    struct nlmc_lock test = a_lock("gamma", 9, offset, 1);

    return nlm_call(nlm, NLMC_TEST, &file, &test, NULL) == NLMC_GRANTED_OK;
}

static void granted(void **state)
{
    static const uint32_t versions[] = {1, 3, 4};

    (void)state;
    for (int i = 0; i < 6; i++) {
        struct nlmc_seen *seen = &host->seen[NLMC_GRANTED];

        rpcclient_close(&other);
        other = nlmhost_connect(host, i % 2 ? RPCCLIENT_TCP : RPCCLIENT_UDP, versions[i / 2], 0);
        memset(seen, 0, sizeof *seen);
        block();
        nlmhost_wait_ms(host, 20);
        assert_int_equal(seen->count, 0);
        release();
        nlmhost_until(host, seen->count == 1);
        assert_int_equal(seen->version, versions[i / 2]);
        assert_true(seen->exclusive);
        assert_string_equal(seen->caller, "beta");
        assert_string_equal(seen->owner, "me");
        assert_int_equal(seen->handle_length, file.length);
        assert_int_equal(seen->svid, 2);
        assert_int_equal(seen->offset, 100);
        assert_int_equal(seen->length, 50);
        assert_true(is_free(99));
        assert_false(is_free(100));
        assert_false(is_free(149));
        assert_int_equal(nlm_call(other, NLMC_UNLOCK, &file, &wanted, NULL), NLMC_GRANTED_OK);
        nlmhost_wait_ms(host, 100);
        assert_int_equal(seen->count, 1);
        assert_int_equal(counters().files, 0);
    }
}

static void granted_by_message(void **state)
{
    struct nlmc_seen *seen = host->seen;

    (void)state;
    held = a_lock("alpha", 1, 0, 0);
    wanted = a_lock("beta", 2, 100, 50);
    wanted.block = true;
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &held, NULL), NLMC_GRANTED_OK);
    nlm_send(other, NLMC_LOCK_MSG, &file, &wanted);
    nlmhost_until(host, seen[NLMC_LOCK_RES].count == 1);
    assert_int_equal(seen[NLMC_LOCK_RES].status, NLMC_BLOCKED);
    release();
    nlmhost_until(host, seen[NLMC_GRANTED_MSG].count >= 3); /* until GRANTED_RES comes */
    assert_int_equal(seen[NLMC_GRANTED].count, 0);
    nlm_granted_res(other, &seen[NLMC_GRANTED_MSG], NLMC_GRANTED_OK);
    seen[NLMC_GRANTED_MSG].count = 0;
    nlmhost_wait_ms(host, 300);
    assert_in_range(seen[NLMC_GRANTED_MSG].count, 0, 1);
    assert_false(is_free(100));
    /* The same again, and one with a cookie that was never given. */
    nlm_granted_res(other, &seen[NLMC_GRANTED_MSG], NLMC_DENIED);
    seen[NLMC_GRANTED_MSG].cookie[7] ^= 0x55;
    nlm_granted_res(other, &seen[NLMC_GRANTED_MSG], NLMC_DENIED);
    assert_false(is_free(100));
}

static void called_until_answered(void **state)
{
    struct nlmc_seen *seen = &host->seen[NLMC_GRANTED];
    int count;

    (void)state;
    host->answer = NLMC_GRACE; /* come back later */
    block();
    release();
    nlmhost_until(host, seen->count >= 4);
    assert_false(is_free(100));
    host->answer = NLMC_GRANTED_OK;
    count = seen->count;
    nlmhost_until(host, seen->count > count);
    count = seen->count;
    nlmhost_wait_ms(host, 1200);
    assert_int_equal(seen->count, count);
    assert_false(is_free(100));
}

static void refused(void **state)
{
    struct nlmc_lock third = a_lock("gamma", 3, 0, 0);
    struct nlmc_seen *seen = &host->seen[NLMC_GRANTED];

    (void)state;
    host->answer = NLMC_DENIED;
    block();
    third.block = true;
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &third, NULL), NLMC_BLOCKED);
    release();
    nlmhost_until(host, seen->count == 2); /* both are called, and want nothing */
    nlmhost_until(host, counters().locks == 0);
    assert_string_equal(seen->caller, "gamma");
    assert_true(is_free(100));
}

static void cancelled(void **state)
{
    struct nlmc_seen *seen = &host->seen[NLMC_GRANTED];
    struct nlmc_lock wrong;

    (void)state;
    block();
    wrong = wanted;
    wrong.offset++;
    assert_int_equal(nlm_call(other, NLMC_CANCEL, &file, &wrong, NULL), NLMC_DENIED);
    wrong = wanted;
    wrong.svid++;
    assert_int_equal(nlm_call(other, NLMC_CANCEL, &file, &wrong, NULL), NLMC_DENIED);
    assert_int_equal(counters().waiters, 1);
    assert_int_equal(nlm_call(other, NLMC_CANCEL, &file, &wanted, NULL), NLMC_GRANTED_OK);
    assert_int_equal(counters().waiters, 0);
    assert_int_equal(nlm_call(other, NLMC_CANCEL, &file, &wanted, NULL), NLMC_DENIED);
    release();
    nlmhost_wait_ms(host, 50);
    assert_int_equal(seen->count, 0);
    /* Granted already, and not answered: it is given back. */
    host->answer = NLMC_GRACE;
    block();
    release();
    nlmhost_until(host, seen->count >= 1);
    assert_int_equal(nlm_call(other, NLMC_CANCEL, &file, &wanted, NULL), NLMC_GRANTED_OK);
    assert_true(is_free(100));
    assert_int_equal(counters().locks, 0);
}

/* A client asks again every 30 s or so, as callbacks can be lost. */
static void asked_again(void **state)
{
    struct nlmc_seen *seen = &host->seen[NLMC_GRANTED];
    int count;

    (void)state;
    host->answer = NLMC_GRACE;
    block();
    assert_int_equal(nlm_call(other, NLMC_LOCK, &file, &wanted, NULL), NLMC_BLOCKED);
    assert_int_equal(counters().waiters, 1);
    release();
    nlmhost_until(host, seen->count >= 2);
    assert_int_equal(nlm_call(other, NLMC_LOCK, &file, &wanted, NULL), NLMC_GRANTED_OK);
    count = seen->count;
    nlmhost_wait_ms(host, 500);
    assert_int_equal(seen->count, count);
    assert_false(is_free(100));
    /* Unlocked before it has answered: no call comes after that, and a new lock of it is not touched. */
    assert_int_equal(nlm_call(other, NLMC_UNLOCK, &file, &wanted, NULL), NLMC_GRANTED_OK);
    block();
    release();
    nlmhost_until(host, seen->count > count);
    assert_int_equal(nlm_call(other, NLMC_UNLOCK, &file, &wanted, NULL), NLMC_GRANTED_OK);
    wanted.block = false;
    assert_int_equal(nlm_call(other, NLMC_LOCK, &file, &wanted, NULL), NLMC_GRANTED_OK);
    host->answer = NLMC_DENIED;
    count = seen->count;
    nlmhost_wait_ms(host, 500);
    assert_int_equal(seen->count, count);
    assert_false(is_free(100));
    assert_int_equal(nlm_call(other, NLMC_UNLOCK, &file, &wanted, NULL), NLMC_GRANTED_OK);
    /* Asked again without waiting: it does not wait any more. */
    block();
    wanted.block = false;
    assert_int_equal(nlm_call(other, NLMC_LOCK, &file, &wanted, NULL), NLMC_DENIED);
    assert_int_equal(counters().waiters, 0);
}

static void deadlock(void **state)
{
    struct nlmc_lock one = a_lock("alpha", 1, 0, 1), two = a_lock("beta", 1, 1, 1);
    struct rpcclient *v3 = nlmhost_connect(host, RPCCLIENT_TCP, 3, 0);

    (void)state;
    one.block = two.block = true;
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &one, NULL), NLMC_GRANTED_OK);
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &two, NULL), NLMC_GRANTED_OK);
    one.offset = 1;
    two.offset = 0;
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &one, NULL), NLMC_BLOCKED);
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &two, NULL), NLMC_DEADLOCK);
    assert_int_equal(nlm_call(v3, NLMC_LOCK, &file, &two, NULL), NLMC_DEADLOCK);
    rpcclient_close(&v3);
}

/* One after the other, in the order they came; a host that restarts leaves the queue. */
static void in_order(void **state)
{
    enum { WAITERS = 200, GONE = 5 };
    struct nlmc_seen *seen = &host->seen[NLMC_GRANTED];
    struct nlmc_lock lock = a_lock("alpha", 0, 0, 0), gone = a_lock("gone", 77, 0, 0);

    (void)state;
    lock.block = gone.block = true;
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &lock, NULL), NLMC_GRANTED_OK);
    for (lock.svid = 1; lock.svid <= WAITERS; lock.svid++) {
        lock.caller = lock.svid % 2 ? "alpha" : "beta";
        assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &lock, NULL), NLMC_BLOCKED);
        if (lock.svid == GONE)
            assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &gone, NULL), NLMC_BLOCKED);
    }
    nlm_free_all(nlm, "gone", 0);
    for (uint32_t i = 0; i < WAITERS; i++) {
        lock.svid = i;
        lock.caller = i % 2 || i == 0 ? "alpha" : "beta";
        assert_int_equal(nlm_call(nlm, NLMC_UNLOCK, &file, &lock, NULL), NLMC_GRANTED_OK);
        nlmhost_until(host, seen->count == (int)i + 1);
        assert_int_equal(seen->svid, i + 1);
    }
    assert_int_equal(counters().waiters, 0);
}

/* Closing with callbacks under way, and waiters: teardown sees what leaks. */
static void closed_meanwhile(void **state)
{
    (void)state;
    host->mute = true;
    block();
    release();
    nlmhost_until(host, host->seen[NLMC_GRANTED].count >= 1);
    held.offset = 500;
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &held, NULL), NLMC_GRANTED_OK);
    wanted.offset = 600;
    assert_int_equal(nlm_call(other, NLMC_LOCK, &file, &wanted, NULL), NLMC_BLOCKED);
    nlm_send(other, NLMC_TEST_MSG, &file, &wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(granted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(granted_by_message, set_up, tear_down),
        cmocka_unit_test_setup_teardown(called_until_answered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cancelled, set_up, tear_down),
        cmocka_unit_test_setup_teardown(asked_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(deadlock, set_up, tear_down),
        cmocka_unit_test_setup_teardown(in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(closed_meanwhile, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
