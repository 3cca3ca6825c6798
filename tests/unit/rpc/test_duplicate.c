/*
 * test_duplicate.c - the duplicate-request cache: a call that is sent again is executed once, over the same
 * or a new connection, and what only looks alike is executed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "echo_fixture.h"
#include "rpc/rpc_priv.h"

static int setup(void **state)
{
    (void)state;
    echo_open(NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    echo_close();
    return 0;
}

/* Sends the COUNT call with XID and an argument, and gives what it counted. */
static uint32_t count_as(struct rpcclient *client, uint32_t xid, uint32_t argument)
{
    struct writer arguments;
    struct reader results;
    uint32_t got_xid, value = 0;

    writer_init_growing(&arguments, 4);
    writer_be32(&arguments, argument);
    assert_true(rpcclient_send_as(client, xid, ECHO_COUNT, &arguments));
    writer_free(&arguments);
    assert_int_equal(rpcclient_receive(client, &got_xid, &results), RPCCLIENT_SUCCESS);
    assert_int_equal(got_xid, xid);
    assert_true(reader_be32(&results, &value));
    assert_true(reader_is_done(&results));
    return value;
}

static void executed_once(void **state)
{
    struct rpcclient *client = echo_client(RPCCLIENT_TCP);

    (void)state;
    assert_int_equal(count_as(client, 100, 1), 1);
    assert_int_equal(count_as(client, 100, 1), 1);
    assert_int_equal(count_as(client, 100, 1), 1);
    assert_int_equal(count_as(client, 101, 1), 2);
    assert_int_equal(count_as(client, 100, 2), 3); /* another body */
    rpcclient_sys(client, 1001, 100, NULL, 0);
    assert_int_equal(count_as(client, 100, 1), 4); /* other credentials */
    assert_int_equal(echo.runs, 4);
    assert_int_equal(echo_counters().duplicates, 2);
    /* A new connection, and datagrams: the same host. */
    rpcclient_close(&client);
    client = echo_client(RPCCLIENT_TCP);
    assert_int_equal(count_as(client, 100, 1), 1);
    assert_int_equal(count_as(client, 101, 1), 2);
    rpcclient_close(&client);
    client = echo_client(RPCCLIENT_UDP);
    assert_int_equal(count_as(client, 101, 1), 2);
    assert_int_equal(echo.runs, 4);
    rpcclient_close(&client);
}

static void idempotent_ones_are_not_kept(void **state)
{
    struct rpcclient *client = echo_client(RPCCLIENT_TCP);
    struct reader results;
    uint32_t xid;

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_true(rpcclient_send_as(client, 7, ECHO_NULL, NULL));
        assert_int_equal(rpcclient_receive(client, &xid, &results), RPCCLIENT_SUCCESS);
    }
    assert_int_equal(echo_counters().duplicates, 0);
    assert_int_equal(echo_counters().calls, 2);
    rpcclient_close(&client);
}

static void end_suspended(uint32_t value)
{
    struct onc_call *call = echo.suspended[--echo.suspended_count];

    writer_be32(&call->reply, value);
    onc_call_reply(call);
}

/* While it runs a retry gets no answer of its own. */
static void retry_while_running(void **state)
{
    struct rpcclient *client = echo_client(RPCCLIENT_TCP);
    struct reader results;
    uint32_t xid, value;

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_true(rpcclient_send_as(client, 9, ECHO_SUSPEND_CACHED, NULL));
    echo_until(echo_counters().duplicates == 2);
    assert_int_equal(echo.runs, 1);
    assert_int_equal(echo_counters().calls_now, 1);
    end_suspended(5);
    assert_int_equal(rpcclient_receive(client, &xid, &results), RPCCLIENT_SUCCESS);
    assert_true(reader_be32(&results, &value) && value == 5);
    assert_int_equal(rpcclient_call(client, ECHO_NULL, NULL, NULL), RPCCLIENT_SUCCESS);
    assert_int_equal(echo.runs, 1);
    rpcclient_close(&client);
}

/* The connection breaks while the call runs; the client asks again over a new one, before or after its end.
 */
static void retry_over_new_connection(void **state)
{
    struct rpcclient *client = echo_client(RPCCLIENT_TCP);
    struct reader results;
    uint32_t xid, value;

    (void)state;
    assert_true(rpcclient_send_as(client, 9, ECHO_SUSPEND_CACHED, NULL));
    assert_true(rpcclient_send_as(client, 10, ECHO_SUSPEND_CACHED, NULL));
    echo_until(echo.suspended_count == 2);
    rpcclient_close(&client);
    echo_until(echo_counters().connections_now == 0);
    end_suspended(10); /* nobody hears it */
    client = echo_client(RPCCLIENT_TCP);
    assert_true(rpcclient_send_as(client, 10, ECHO_SUSPEND_CACHED, NULL));
    assert_int_equal(rpcclient_receive(client, &xid, &results), RPCCLIENT_SUCCESS);
    assert_true(reader_be32(&results, &value) && value == 10);
    assert_true(rpcclient_send_as(client, 9, ECHO_SUSPEND_CACHED, NULL));
    echo_until(echo_counters().duplicates == 2);
    assert_non_null(onc_call_conn(echo.suspended[0]));
    end_suspended(9);
    assert_int_equal(rpcclient_receive(client, &xid, &results), RPCCLIENT_SUCCESS);
    assert_int_equal(xid, 9);
    assert_true(reader_be32(&results, &value) && value == 9);
    assert_int_equal(echo.runs, 2);
    rpcclient_close(&client);
}

/* The old connection is not known to be dead yet. */
static void retry_moves_the_call(void **state)
{
    struct rpcclient *old = echo_client(RPCCLIENT_TCP), *new = echo_client(RPCCLIENT_TCP);
    struct reader results;
    uint32_t xid;

    (void)state;
    assert_true(rpcclient_send_as(old, 9, ECHO_SUSPEND_CACHED, NULL));
    echo_until(echo.suspended_count == 1);
    assert_true(rpcclient_send_as(new, 9, ECHO_SUSPEND_CACHED, NULL));
    echo_until(echo_counters().duplicates == 1);
    rpcclient_close(&old);
    echo_until(echo_counters().connections_now == 1);
    end_suspended(1);
    assert_int_equal(rpcclient_receive(new, &xid, &results), RPCCLIENT_SUCCESS);
    rpcclient_close(&new);
}

/* Rejected and dropped calls are executed again. */
static void rejected_ones_are_not_kept(void **state)
{
    struct rpcclient *client = echo_client(RPCCLIENT_TCP);
    struct writer arguments;
    struct reader results;
    uint32_t xid;

    (void)state;
    writer_init_growing(&arguments, 4);
    writer_be32(&arguments, ONC_REJECT_SYSTEM_ERROR);
    for (uint32_t i = 1; i <= 3; i++) {
        assert_true(rpcclient_send_as(client, 5, ECHO_REJECT, &arguments));
        assert_int_equal(rpcclient_receive(client, &xid, &results), RPCCLIENT_SYSTEM_ERR);
        assert_int_equal(echo.runs, i);
    }
    writer_free(&arguments);
    for (uint32_t i = 4; i <= 5; i++) {
        assert_true(rpcclient_send_as(client, 6, ECHO_DROP, NULL));
        echo_until(echo.runs == i);
    }
    assert_int_equal(echo_counters().duplicates, 0);
    rpcclient_close(&client);
}

static void bounded_by_entries(void **state)
{
    struct onc_limits limits = {.duplicate_cache_entries = 4};
    struct rpcclient *client;

    (void)state;
    echo_open(&limits);
    client = echo_client(RPCCLIENT_TCP);
    for (uint32_t i = 1; i <= 4; i++)
        assert_int_equal(count_as(client, i, 0), i);
    assert_int_equal(count_as(client, 1, 0), 1); /* the latest used now */
    assert_int_equal(count_as(client, 5, 0), 5); /* puts 2 out */
    assert_int_equal(count_as(client, 1, 0), 1);
    assert_int_equal(count_as(client, 3, 0), 3);
    assert_int_equal(count_as(client, 2, 0), 6);
    assert_int_equal(echo.server->duplicates.table.count, 4);
    rpcclient_close(&client);
}

static void bounded_by_bytes(void **state)
{
    struct onc_limits limits = {.duplicate_cache_bytes = 100};
    struct rpcclient *client;

    (void)state;
    echo_open(&limits);
    client = echo_client(RPCCLIENT_TCP);
    for (uint32_t i = 1; i <= 10; i++) {
        assert_int_equal(count_as(client, i, 0), i);
        assert_true(echo.server->duplicates.bytes <= 100);
    }
    assert_int_equal(count_as(client, 10, 0), 10);
    assert_int_equal(count_as(client, 1, 0), 11);
    rpcclient_close(&client);
}

/* Running calls hold all places: others run without one. */
static void full_of_running_calls(void **state)
{
    struct onc_limits limits = {.duplicate_cache_entries = 2};
    struct rpcclient *client;

    (void)state;
    echo_open(&limits);
    client = echo_client(RPCCLIENT_TCP);
    for (uint32_t i = 1; i <= 3; i++)
        assert_true(rpcclient_send_as(client, i, ECHO_SUSPEND_CACHED, NULL));
    echo_until(echo.suspended_count == 3);
    assert_int_equal(echo.server->duplicates.table.count, 2);
    assert_int_equal(count_as(client, 9, 0), 4);
    assert_int_equal(count_as(client, 9, 0), 5);
    rpcclient_close(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(executed_once, setup, teardown),
        cmocka_unit_test_setup_teardown(idempotent_ones_are_not_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(retry_while_running, setup, teardown),
        cmocka_unit_test_setup_teardown(retry_over_new_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(retry_moves_the_call, setup, teardown),
        cmocka_unit_test_setup_teardown(rejected_ones_are_not_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(bounded_by_entries, NULL, teardown),
        cmocka_unit_test_setup_teardown(bounded_by_bytes, NULL, teardown),
        cmocka_unit_test_setup_teardown(full_of_running_calls, NULL, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
