/*
 * test_callback.c - calls to the client over its own connection: answers, rejections, time-outs, cancelling,
 * and connections that go.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "echo_fixture.h"

enum { CALLBACK_PROGRAM = 0x40000000, CALLBACKS = 8 };

struct sent {
    struct onc_callback callback;
    int done;
    enum err err;
    uint32_t value;
    struct onc_callback *cancels; /* from inside of done */
};

static struct sent sent[CALLBACKS];
static struct rpcclient *client;
static int called;
static uint32_t called_xids[CALLBACKS];

static void on_done(struct onc_callback *callback, enum err err, struct reader *results)
{
    struct sent *item = container_of(callback, struct sent, callback);

    item->done++;
    item->err = err;
    if (err == ERR_OK)
        assert_true(reader_be32(results, &item->value));
    else
        assert_null(results);
    if (item->cancels != NULL)
        onc_callback_cancel(item->cancels);
}

static void on_called(struct rpcclient *by, void *data, uint32_t xid, uint32_t program, uint32_t version,
                      uint32_t procedure, struct reader *arguments)
{
    uint32_t value = 0;

    (void)data;
    assert_ptr_equal(by, client);
    assert_int_equal(program, CALLBACK_PROGRAM);
    assert_int_equal(version, 1);
    assert_int_equal(procedure, 1);
    assert_true(reader_be32(arguments, &value));
    assert_true(reader_is_done(arguments));
    assert_in_range(value, 0, CALLBACKS - 1);
    called_xids[value] = xid;
    called++;
}

static int setup(void **state)
{
    (void)state;
    echo_open(NULL);
    memset(sent, 0, sizeof sent);
    called = 0;
    client = echo_client(RPCCLIENT_TCP);
    client->called = on_called;
    assert_int_equal(rpcclient_call(client, ECHO_ECHO, NULL, NULL), RPCCLIENT_SUCCESS);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rpcclient_close(&client);
    echo_close();
    return 0;
}

static void call_client(uint32_t i, uint64_t timeout_ms)
{
    uint8_t bytes[4];
    struct writer arguments;

    writer_init(&arguments, bytes, sizeof bytes);
    writer_be32(&arguments, i);
    sent[i].callback = (struct onc_callback){
        .done = on_done,
        .program = CALLBACK_PROGRAM,
        .version = 1,
        .procedure = 1,
        .timeout_ms = timeout_ms,
        .credential = {.flavor = ONC_AUTH_SYS, .uid = 0, .gid = 0, .machine_name = "server"}};
    if (i % 2 == 1)
        sent[i].callback.credential.flavor = ONC_AUTH_NONE;
    assert_int_equal(onc_conn_call(echo.last_conn, &sent[i].callback, bytes, sizeof bytes), ERR_OK);
    memset(bytes, 0xee, sizeof bytes); /* copied at once */
    assert_int_equal(sent[i].done, 0);
}

/* Lets the client take the calls that wait for it. */
static void take_calls(int count)
{
    echo_turns(3);
    while (called < count)
        assert_int_equal(rpcclient_call(client, ECHO_NULL, NULL, NULL), RPCCLIENT_SUCCESS);
}

static void answer(uint32_t i, enum rpcclient_status status, uint32_t value)
{
    uint8_t bytes[4];
    struct writer results;

    writer_init(&results, bytes, sizeof bytes);
    writer_be32(&results, value);
    assert_true(rpcclient_reply(client, called_xids[i], status, &results));
}

/* In another order than they were sent, with calls of the client's between. */
static void answered(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < CALLBACKS; i++)
        call_client(i, 10000);
    take_calls(CALLBACKS);
    for (uint32_t i = CALLBACKS; i-- > 0;) {
        answer(i, RPCCLIENT_SUCCESS, 100 + i);
        assert_int_equal(rpcclient_call(client, ECHO_NULL, NULL, NULL), RPCCLIENT_SUCCESS);
        assert_int_equal(sent[i].done, 1);
        assert_int_equal(sent[i].err, ERR_OK);
        assert_int_equal(sent[i].value, 100 + i);
    }
    answer(0, RPCCLIENT_SUCCESS, 0); /* once more: passed over */
    assert_int_equal(rpcclient_call(client, ECHO_NULL, NULL, NULL), RPCCLIENT_SUCCESS);
    assert_int_equal(sent[0].done, 1);
}

static const struct {
    enum rpcclient_status status;
    enum err err;
} rejections[] = {
    {RPCCLIENT_PROG_UNAVAIL, ERR_NOTSUPP}, {RPCCLIENT_PROC_UNAVAIL, ERR_NOTSUPP},
    {RPCCLIENT_GARBAGE_ARGS, ERR_BADXDR},  {RPCCLIENT_SYSTEM_ERR, ERR_SERVERFAULT},
    {RPCCLIENT_BROKEN, ERR_SERVERFAULT}, /* no accept_stat at all */
};

static void rejected(void **state)
{
    static const uint8_t denied_auth[] = {0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2};
    static const uint8_t nonsense[] = {0, 0, 0, 1, 0, 0, 0, 7};
    struct writer writer;
    uint8_t bytes[32];

    (void)state;
    for (uint32_t i = 0; i < sizeof rejections / sizeof *rejections; i++) {
        call_client(i, 10000);
        take_calls((int)i + 1);
        answer(i, rejections[i].status, 0);
        echo_until(sent[i].done == 1);
        assert_int_equal(sent[i].err, rejections[i].err);
    }
    call_client(6, 10000);
    call_client(7, 10000);
    take_calls(7);
    writer_init(&writer, bytes, sizeof bytes);
    writer_be32(&writer, called_xids[6]);
    writer_bytes(&writer, denied_auth, sizeof denied_auth);
    assert_true(rpcclient_send_message(client, bytes, writer.length));
    writer_init(&writer, bytes, sizeof bytes);
    writer_be32(&writer, called_xids[7]);
    writer_bytes(&writer, nonsense, sizeof nonsense);
    assert_true(rpcclient_send_message(client, bytes, writer.length));
    echo_until(sent[6].done == 1 && sent[7].done == 1);
    assert_int_equal(sent[6].err, ERR_ACCES);
    assert_int_equal(sent[7].err, ERR_BADXDR);
}

static void timed_out(void **state)
{
    (void)state;
    call_client(0, 10000);
    call_client(1, 50);
    call_client(2, 100);
    call_client(3, 50);
    sent[1].cancels = &sent[3].callback;
    echo_until(sent[2].done == 1);
    assert_int_equal(sent[1].done, 1);
    assert_int_equal(sent[1].err, ERR_EXPIRED);
    assert_int_equal(sent[2].err, ERR_EXPIRED);
    assert_int_equal(sent[3].done, 0);
    assert_int_equal(sent[0].done, 0);
    /* An answer that comes too late is nobody's. */
    take_calls(4);
    answer(1, RPCCLIENT_SUCCESS, 1);
    answer(0, RPCCLIENT_SUCCESS, 2);
    echo_until(sent[0].done == 1);
    assert_int_equal(sent[1].done, 1);
    assert_int_equal(sent[0].value, 2);
}

static void cancelled(void **state)
{
    (void)state;
    call_client(0, 50);
    call_client(1, 50);
    onc_callback_cancel(&sent[0].callback);
    onc_callback_cancel(&sent[0].callback);
    echo_until(sent[1].done == 1);
    take_calls(2);
    answer(0, RPCCLIENT_SUCCESS, 1);
    assert_int_equal(rpcclient_call(client, ECHO_NULL, NULL, NULL), RPCCLIENT_SUCCESS);
    assert_int_equal(sent[0].done, 0);
}

static void connection_goes(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 4; i++)
        call_client(i, 10000);
    sent[0].cancels = &sent[1].callback;
    rpcclient_close(&client);
    echo_until(echo_counters().connections_now == 0);
    assert_int_equal(sent[0].err, ERR_NETWORK);
    assert_int_equal(sent[0].done, 1);
    assert_int_equal(sent[1].done, 0);
    assert_int_equal(sent[2].done, 1);
    assert_int_equal(sent[3].done, 1);
}

static void refused_on_closing_connection(void **state)
{
    struct onc_callback callback = {.done = on_done};

    (void)state;
    onc_conn_close(echo.last_conn);
    assert_int_equal(onc_conn_call(echo.last_conn, &callback, NULL, 0), ERR_NETWORK);
    echo_until(echo_counters().connections_now == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(answered, setup, teardown),
        cmocka_unit_test_setup_teardown(rejected, setup, teardown),
        cmocka_unit_test_setup_teardown(timed_out, setup, teardown),
        cmocka_unit_test_setup_teardown(cancelled, setup, teardown),
        cmocka_unit_test_setup_teardown(connection_goes, setup, teardown),
        cmocka_unit_test_setup_teardown(refused_on_closing_connection, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
