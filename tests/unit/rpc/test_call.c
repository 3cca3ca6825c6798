/*
 * test_call.c - calls over real connections: batches, cuts, big payloads, attached parts, suspended calls,
 * limits, time-outs, and connections that go at a bad moment.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "echo_fixture.h"
#include <stdlib.h>
#include <unistd.h>

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

static void numbers(struct writer *writer, uint32_t seed, size_t count)
{
    writer_init_growing(writer, 4 << 20);
    for (size_t i = 0; i < count; i++)
        writer_be32(writer, seed + (uint32_t)i * 2654435761u);
}

static void check_echo(struct rpcclient *client, const struct writer *arguments)
{
    struct reader results;

    assert_int_equal(rpcclient_call(client, ECHO_ECHO, arguments, &results), RPCCLIENT_SUCCESS);
    assert_int_equal(results.left, arguments->length);
    assert_memory_equal(results.at, arguments->data, arguments->length);
}

static void echo_over_both(void **state)
{
    struct rpcclient *tcp = echo_client(RPCCLIENT_TCP), *udp = echo_client(RPCCLIENT_UDP);
    static const size_t counts[] = {0, 1, 100, 250, 260, 500, 2048};

    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct writer arguments;

        numbers(&arguments, (uint32_t)i, counts[i]);
        if (counts[i] == 0)
            writer_reserve(&arguments, 0);
        if (arguments.data != NULL) {
            check_echo(tcp, &arguments);
            check_echo(udp, &arguments);
        }
        writer_free(&arguments);
    }
    rpcclient_close(&tcp);
    rpcclient_close(&udp);
}

/* Hundreds of calls in one segment: all are answered, in order. */
static void many_in_one_segment(void **state)
{
    enum { COUNT = 1000 };
    struct rpcclient *client = echo_client(RPCCLIENT_TCP);
    struct writer all;

    (void)state;
    writer_init_growing(&all, 1 << 20);
    for (uint32_t i = 0; i < COUNT; i++) {
        size_t start = all.length;
        struct writer argument;

        writer_be32(&all, 0);
        numbers(&argument, i, 1 + i % 7);
        rpcclient_build(client, &all, 5000 + i, ECHO_ECHO, &argument);
        writer_free(&argument);
        writer_patch_be32(&all, start, 0x80000000u | (uint32_t)(all.length - start - 4));
    }
    assert_true(rpcclient_send_raw(client, all.data, all.length));
    writer_free(&all);
    for (uint32_t i = 0; i < COUNT; i++) {
        struct reader results;
        uint32_t xid, value;

        assert_int_equal(rpcclient_receive(client, &xid, &results), RPCCLIENT_SUCCESS);
        assert_int_equal(xid, 5000 + i);
        assert_int_equal(results.left, 4 * (1 + i % 7));
        assert_true(reader_be32(&results, &value) && value == i);
    }
    rpcclient_close(&client);
}

static void cut_at_every_byte(void **state)
{
    struct rpcclient *client = echo_client(RPCCLIENT_TCP);
    struct writer message, arguments;

    (void)state;
    numbers(&arguments, 3, 5);
    writer_init_growing(&message, 4096);
    writer_be32(&message, 0);
    rpcclient_build(client, &message, 77, ECHO_ECHO, &arguments);
    writer_patch_be32(&message, 0, 0x80000000u | (uint32_t)(message.length - 4));
    for (size_t cut = 1; cut < message.length; cut++) {
        struct reader results;
        uint32_t xid;

        assert_true(rpcclient_send_raw(client, message.data, cut));
        echo_turns(3);
        assert_true(rpcclient_send_raw(client, message.data + cut, message.length - cut));
        assert_int_equal(rpcclient_receive(client, &xid, &results), RPCCLIENT_SUCCESS);
        assert_int_equal(xid, 77);
        assert_int_equal(results.left, arguments.length);
    }
    writer_free(&message);
    writer_free(&arguments);
    rpcclient_close(&client);
}

static void big_payloads(void **state)
{
    struct rpcclient *client = echo_client(RPCCLIENT_TCP);
    static const size_t counts[] = {1 << 18, 5000, 20, 1 << 18, 16384, 4096, 1 << 18, 1};
    static const size_t fragments[] = {0, 1 << 16, 9000, 1500};

    (void)state;
    for (size_t f = 0; f < sizeof fragments / sizeof *fragments; f++) {
        client->fragment_bytes = fragments[f];
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
            struct writer arguments;
            struct reader results;
            uint32_t length, sum, expected = 0;

            numbers(&arguments, (uint32_t)i, counts[i]);
            for (size_t j = 0; j < arguments.length; j++)
                expected += arguments.data[j];
            assert_int_equal(rpcclient_call(client, ECHO_SINK, &arguments, &results), RPCCLIENT_SUCCESS);
            assert_true(reader_be32(&results, &length) && length == arguments.length);
            assert_true(reader_be32(&results, &sum) && sum == expected);
            writer_free(&arguments);
        }
    }
    rpcclient_close(&client);
}

static void one_byte_fragments(void **state)
{
    struct rpcclient *client = echo_client(RPCCLIENT_TCP);
    struct writer arguments;

    (void)state;
    client->fragment_bytes = 1;
    numbers(&arguments, 9, 20);
    check_echo(client, &arguments);
    check_echo(client, &arguments);
    writer_free(&arguments);
    rpcclient_close(&client);
}

/* What is longer than a program takes is answered GARBAGE_ARGS, read past and forgotten. */
static void too_long_arguments(void **state)
{
    struct rpcclient *client = echo_client(RPCCLIENT_TCP);
    struct writer arguments;

    (void)state;
    rpcclient_program(client, ECHO_PROGRAM, 4);
    numbers(&arguments, 1, 250);
    check_echo(client, &arguments);
    writer_be32(&arguments, 0);
    assert_int_equal(rpcclient_call(client, ECHO_ECHO, &arguments, NULL), RPCCLIENT_GARBAGE_ARGS);
    writer_free(&arguments);
    numbers(&arguments, 1, 1 << 18);
    assert_int_equal(rpcclient_call(client, ECHO_ECHO, &arguments, NULL), RPCCLIENT_GARBAGE_ARGS);
    assert_true(buf_bytes_in_use() <= 256 * 1024);
    /* So is one for a program that is not there. */
    rpcclient_program(client, 1, 1);
    assert_int_equal(rpcclient_call(client, ECHO_ECHO, &arguments, NULL), RPCCLIENT_PROG_UNAVAIL);
    writer_free(&arguments);
    rpcclient_program(client, ECHO_PROGRAM, 4);
    assert_int_equal(rpcclient_call(client, ECHO_NULL, NULL, NULL), RPCCLIENT_SUCCESS);
    assert_int_equal(echo_counters().connections, 1);
    rpcclient_close(&client);
}

static void record_over_limit_closes(void **state)
{
    struct rpcclient *client = echo_client(RPCCLIENT_TCP);
    struct reader message;

    (void)state;
    assert_true(rpcclient_send_raw(client, "\x80\x20\0\0aaaaaaaaaaaaaaaaaaaa", 24));
    assert_int_equal(rpcclient_receive_message(client, &message), RPCCLIENT_CLOSED);
    assert_int_equal(echo_counters().bad_records, 1);
    rpcclient_close(&client);
}

static void check_attached(struct reader *results)
{
    for (uint32_t i = 0; i < ATTACH_PIECES; i++) {
        const uint8_t *data;
        uint32_t value;

        assert_true(reader_be32(results, &value) && value == i);
        assert_true(reader_bytes(results, ATTACH_BYTES - ATTACH_PIECES, &data));
        for (size_t j = 0; j < ATTACH_BYTES - ATTACH_PIECES; j++)
            assert_int_equal(data[j], (uint8_t)((i + j) * 13));
        assert_true(reader_be32(results, &value) && value == ~i);
    }
    assert_true(reader_is_done(results));
}

static void attached_parts(void **state)
{
    struct rpcclient *client = echo_client(RPCCLIENT_TCP);
    struct reader results;

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rpcclient_call(client, ECHO_ATTACH, NULL, &results), RPCCLIENT_SUCCESS);
        check_attached(&results);
    }
    rpcclient_close(&client);
    /* Too long for a datagram. */
    client = echo_client(RPCCLIENT_UDP);
    assert_int_equal(rpcclient_call(client, ECHO_ATTACH, NULL, &results), RPCCLIENT_SYSTEM_ERR);
    rpcclient_close(&client);
}

static void truncated_results(void **state)
{
    struct rpcclient *clients[] = {echo_client(RPCCLIENT_TCP), echo_client(RPCCLIENT_UDP)};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct reader results;
        uint32_t value;

        assert_int_equal(rpcclient_call(clients[i], ECHO_TRUNCATE, NULL, &results), RPCCLIENT_SUCCESS);
        assert_true(reader_be32(&results, &value) && value == 1);
        for (int j = 0; j < 1000; j++) {
            uint8_t byte;

            assert_true(reader_u8(&results, &byte) && byte == 0x11);
        }
        assert_true(reader_be32(&results, &value) && value == 4);
        assert_true(reader_is_done(&results));
        rpcclient_close(&clients[i]);
    }
}

static void rejections(void **state)
{
    static const enum rpcclient_status expected[] = {
        [ONC_REJECT_GARBAGE_ARGS] = RPCCLIENT_GARBAGE_ARGS, [ONC_REJECT_SYSTEM_ERROR] = RPCCLIENT_SYSTEM_ERR,
        [ONC_REJECT_PROC_UNAVAIL] = RPCCLIENT_PROC_UNAVAIL, [ONC_REJECT_AUTH_TOO_WEAK] = RPCCLIENT_AUTH_ERROR,
        [ONC_REJECT_AUTH_BADCRED] = RPCCLIENT_AUTH_ERROR,
    };
    struct rpcclient *client = echo_client(RPCCLIENT_TCP);

    (void)state;
    for (uint32_t why = 0; why < sizeof expected / sizeof *expected; why++) {
        struct writer arguments;

        writer_init_growing(&arguments, 4);
        writer_be32(&arguments, why);
        assert_int_equal(rpcclient_call(client, ECHO_REJECT, &arguments, NULL), expected[why]);
        if (why == ONC_REJECT_AUTH_TOO_WEAK)
            assert_int_equal(client->auth_status, 5);
        if (why == ONC_REJECT_AUTH_BADCRED)
            assert_int_equal(client->auth_status, 1);
        writer_free(&arguments);
    }
    assert_int_equal(rpcclient_call(client, ECHO_FAIL, NULL, NULL), RPCCLIENT_SYSTEM_ERR);
    client->timeout_ms = 100;
    assert_int_equal(rpcclient_call(client, ECHO_DROP, NULL, NULL), RPCCLIENT_TIMEOUT);
    rpcclient_close(&client);
}

/* Suspended calls end in another order than they came, and their arguments are good until then. */
static void suspended_calls(void **state)
{
    enum { COUNT = 20 };
    struct rpcclient *client = echo_client(RPCCLIENT_TCP);
    uint32_t xids[COUNT];
    struct writer arguments;

    (void)state;
    for (uint32_t i = 0; i < COUNT; i++) {
        numbers(&arguments, i, 8);
        xids[i] = rpcclient_send(client, ECHO_SUSPEND, &arguments);
        assert_true(xids[i] != 0);
        writer_free(&arguments);
    }
    echo_until(echo.suspended_count == COUNT);
    assert_int_equal(rpcclient_call(client, ECHO_NULL, NULL, NULL), RPCCLIENT_SUCCESS);
    assert_int_equal(echo_counters().calls_now, COUNT);
    while (echo.suspended_count > 0) {
        struct onc_call *call = echo.suspended[--echo.suspended_count];
        struct reader results;
        uint32_t value = 0, xid;

        assert_int_equal(call->arguments.left, 32);
        assert_true(reader_be32(&call->arguments, &value) && value == echo.suspended_count);
        writer_be32(&call->reply, value);
        onc_call_reply(call);
        assert_int_equal(rpcclient_receive(client, &xid, &results), RPCCLIENT_SUCCESS);
        assert_int_equal(xid, xids[value]);
    }
    rpcclient_close(&client);
}

/* Calls outlive their connection; their replies go nowhere, their memory goes with them. */
static void close_with_suspended_calls(void **state)
{
    struct rpcclient *client = echo_client(RPCCLIENT_TCP);
    struct writer arguments;

    (void)state;
    numbers(&arguments, 1, 100);
    for (int i = 0; i < 3; i++)
        assert_true(rpcclient_send(client, ECHO_SUSPEND, &arguments) != 0);
    echo_until(echo.suspended_count == 3);
    assert_non_null(onc_call_conn(echo.suspended[0]));
    rpcclient_close(&client);
    echo_until(echo_counters().connections_now == 0);
    for (int i = 0; i < 3; i++)
        assert_null(onc_call_conn(echo.suspended[i]));
    assert_memory_equal(echo.suspended[0]->arguments.at, arguments.data, arguments.length);
    onc_call_reply(echo.suspended[0]);
    onc_call_reject(echo.suspended[1], ONC_REJECT_SYSTEM_ERROR);
    onc_call_drop(echo.suspended[2]);
    echo.suspended_count = 0;
    assert_int_equal(echo_counters().calls_now, 0);
    writer_free(&arguments);
}

/* The server closes a connection from inside and outside of a call; watches are told. */
static int gone;

static void on_gone(struct onc_conn_watch *watch)
{
    (void)watch;
    gone++;
}

static void watches(void **state)
{
    struct rpcclient *client = echo_client(RPCCLIENT_TCP), *other = echo_client(RPCCLIENT_TCP);
    struct onc_conn_watch kept = {.gone = on_gone}, removed = {.gone = on_gone};
    struct writer arguments;
    struct reader message;
    uint64_t id;

    (void)state;
    gone = 0;
    numbers(&arguments, 1, 1);
    check_echo(client, &arguments);
    id = onc_conn_id(echo.last_conn);
    onc_conn_watch_add(echo.last_conn, &kept);
    onc_conn_watch_add(echo.last_conn, &removed);
    onc_conn_watch_remove(&removed);
    check_echo(other, &arguments);
    assert_true(onc_conn_id(echo.last_conn) != id);
    check_echo(client, &arguments);
    assert_int_equal(onc_conn_id(echo.last_conn), id);
    onc_conn_close(echo.last_conn);
    assert_int_equal(gone, 0);
    assert_int_equal(rpcclient_receive_message(client, &message), RPCCLIENT_CLOSED);
    echo_until(gone == 1);
    onc_conn_watch_remove(&kept);
    check_echo(other, &arguments);
    writer_free(&arguments);
    rpcclient_close(&client);
    rpcclient_close(&other);
    assert_int_equal(gone, 1);
}

/* Over the limit of calls in flight nothing is read, until one ends. */
static void calls_in_flight_limit(void **state)
{
    struct onc_limits limits = {.calls_per_connection = 4, .calls_total = 6};
    struct rpcclient *clients[2];

    (void)state;
    echo_open(&limits);
    for (int i = 0; i < 2; i++)
        clients[i] = echo_client(RPCCLIENT_TCP);
    for (int i = 0; i < 8; i++)
        assert_true(rpcclient_send(clients[0], ECHO_SUSPEND, NULL) != 0);
    echo_turns(50);
    assert_int_equal(echo.suspended_count, 4);
    for (int i = 0; i < 8; i++)
        assert_true(rpcclient_send(clients[1], ECHO_SUSPEND, NULL) != 0);
    echo_turns(50);
    assert_int_equal(echo.suspended_count, 6);
    /* Datagrams are dropped meanwhile. */
    {
        struct rpcclient *udp = echo_client(RPCCLIENT_UDP);

        udp->timeout_ms = 50;
        assert_int_equal(rpcclient_call(udp, ECHO_NULL, NULL, NULL), RPCCLIENT_TIMEOUT);
        rpcclient_close(&udp);
    }
    for (int i = 0; i < 16; i++) {
        struct onc_call *call;

        echo_until(echo.suspended_count > 0);
        assert_true(echo.suspended_count <= 6);
        call = echo.suspended[0];
        memmove(echo.suspended, echo.suspended + 1, --echo.suspended_count * sizeof *echo.suspended);
        onc_call_reply(call);
        echo_turns(5);
    }
    assert_int_equal(echo.runs, 16);
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < 8; j++) {
            struct reader results;
            uint32_t xid;

            assert_int_equal(rpcclient_receive(clients[i], &xid, &results), RPCCLIENT_SUCCESS);
        }
        rpcclient_close(&clients[i]);
    }
}

/* Bytes in flight are bounded, over all connections; who waits for memory gets it when others end. */
static void bytes_in_flight_limit(void **state)
{
    struct onc_limits limits = {.bytes_total = 3 << 20};
    struct rpcclient *clients[6];
    struct writer arguments;

    (void)state;
    echo_open(&limits);
    numbers(&arguments, 1, 200000);
    for (int i = 0; i < 6; i++) {
        clients[i] = echo_client(RPCCLIENT_TCP);
        clients[i]->timeout_ms = 100;
        (void)rpcclient_send(clients[i], ECHO_SUSPEND, &arguments);
    }
    echo_turns(100);
    assert_in_range(echo.suspended_count, 1, 3);
    assert_true(buf_bytes_in_use() <= 3 << 20);
    while (echo.runs < 6) {
        size_t runs = echo.runs;

        assert_true(echo.suspended_count > 0);
        onc_call_reply(echo.suspended[--echo.suspended_count]);
        /* What a client could not send before, it sends now. */
        for (int i = 0; i < 200 && echo.runs == runs; i++)
            loop_run_once(echo.loop, false);
        if (echo.runs == runs && echo.suspended_count == 0)
            break;
    }
    for (int i = 0; i < 6; i++)
        rpcclient_close(&clients[i]);
    writer_free(&arguments);
    /* Clients that gave up in the middle of a record count as well: at least those that fitted have run. */
    assert_true(echo.runs >= 2);
}

/* A client that sends and does not read is not served without end, and loses nothing when it reads. */
static void congestion(void **state)
{
    struct onc_limits limits = {.net = {.send_queue_bytes = 100000}};
    enum { COUNT = 300 };
    struct rpcclient *client;
    uint64_t calls;

    (void)state;
    echo_open(&limits);
    client = echo_client(RPCCLIENT_TCP);
    for (int i = 0; i < COUNT; i++)
        assert_true(rpcclient_send(client, ECHO_ATTACH, NULL) != 0);
    echo_turns(200);
    calls = echo_counters().calls;
    assert_true(calls < COUNT);
    echo_turns(20);
    assert_int_equal(echo_counters().calls, calls);
    for (int i = 0; i < COUNT; i++) {
        struct reader results;
        uint32_t xid;

        assert_int_equal(rpcclient_receive(client, &xid, &results), RPCCLIENT_SUCCESS);
        if (i % 50 == 0)
            check_attached(&results);
    }
    assert_int_equal(echo_counters().calls, COUNT);
    rpcclient_close(&client);
}

static void slow_reader_is_cut(void **state)
{
    struct onc_limits limits = {.net = {.send_queue_bytes = 100000, .stalled_ms = 200}};
    struct rpcclient *client;

    (void)state;
    echo_open(&limits);
    client = echo_client(RPCCLIENT_TCP);
    for (int i = 0; i < 300; i++)
        assert_true(rpcclient_send(client, ECHO_ATTACH, NULL) != 0);
    echo_until(echo_counters().connections == 1 && echo_counters().connections_now == 0);
    rpcclient_close(&client);
}

static void idle_connection_is_closed(void **state)
{
    struct onc_limits limits = {.idle_ms = 200};
    struct rpcclient *idle, *busy, *suspended, *partial;
    uint64_t end_ms;
    struct reader message;

    (void)state;
    echo_open(&limits);
    idle = echo_client(RPCCLIENT_TCP);
    busy = echo_client(RPCCLIENT_TCP);
    suspended = echo_client(RPCCLIENT_TCP);
    partial = echo_client(RPCCLIENT_TCP);
    assert_true(rpcclient_send(suspended, ECHO_SUSPEND, NULL) != 0);
    assert_true(rpcclient_send_raw(partial, "\x80\0\0\x40half", 8));
    end_ms = clock_monotonic_ms() + 800;
    while (clock_monotonic_ms() < end_ms) {
        assert_int_equal(rpcclient_call(busy, ECHO_NULL, NULL, NULL), RPCCLIENT_SUCCESS);
        usleep(20000);
    }
    assert_int_equal(rpcclient_receive_message(idle, &message), RPCCLIENT_CLOSED);
    assert_int_equal(rpcclient_receive_message(partial, &message), RPCCLIENT_CLOSED);
    assert_int_equal(echo_counters().connections_now, 2);
    onc_call_reply(echo.suspended[--echo.suspended_count]);
    assert_int_equal(rpcclient_receive_message(suspended, &message), RPCCLIENT_SUCCESS);
    rpcclient_close(&idle);
    rpcclient_close(&busy);
    rpcclient_close(&suspended);
    rpcclient_close(&partial);
}

static void connection_cap(void **state)
{
    struct onc_limits limits = {.net = {.connections = 2, .connections_per_host = 2}};
    struct rpcclient *clients[3];
    struct reader message;

    (void)state;
    echo_open(&limits);
    for (int i = 0; i < 3; i++)
        clients[i] = echo_client(RPCCLIENT_TCP);
    assert_int_equal(rpcclient_receive_message(clients[2], &message), RPCCLIENT_CLOSED);
    assert_int_equal(rpcclient_call(clients[1], ECHO_NULL, NULL, NULL), RPCCLIENT_SUCCESS);
    for (int i = 0; i < 3; i++)
        rpcclient_close(&clients[i]);
}

/* One client's flood does not keep another waiting for long: it has a bounded share of a turn. */
static void share_of_a_turn(void **state)
{
    enum { FLOOD = 1000 };
    struct rpcclient *flood = echo_client(RPCCLIENT_TCP), *other = echo_client(RPCCLIENT_TCP);
    struct writer all;

    (void)state;
    assert_int_equal(rpcclient_call(other, ECHO_NULL, NULL, NULL), RPCCLIENT_SUCCESS);
    assert_int_equal(rpcclient_call(flood, ECHO_NULL, NULL, NULL), RPCCLIENT_SUCCESS);
    writer_init_growing(&all, 1 << 20);
    for (uint32_t i = 0; i < FLOOD; i++) {
        size_t start = all.length;

        writer_be32(&all, 0);
        rpcclient_build(flood, &all, i + 1, ECHO_NULL, NULL);
        writer_patch_be32(&all, start, 0x80000000u | (uint32_t)(all.length - start - 4));
    }
    flood->pump = NULL;
    assert_true(rpcclient_send_raw(flood, all.data, all.length));
    writer_free(&all);
    assert_int_equal(rpcclient_call(other, ECHO_NULL, NULL, NULL), RPCCLIENT_SUCCESS);
    assert_true(echo_counters().calls < FLOOD / 2);
    flood->pump = echo_pump;
    for (int i = 0; i < FLOOD; i++) {
        struct reader results;
        uint32_t xid;

        assert_int_equal(rpcclient_receive(flood, &xid, &results), RPCCLIENT_SUCCESS);
    }
    rpcclient_close(&flood);
    rpcclient_close(&other);
}

/* Shutdown lets calls in flight end and answers them, and takes nothing new. */
static void shutdown_answers_calls_in_flight(void **state)
{
    struct rpcclient *client = echo_client(RPCCLIENT_TCP), *idle = echo_client(RPCCLIENT_TCP);
    struct reader results;
    uint32_t xid;

    (void)state;
    assert_int_equal(rpcclient_call(idle, ECHO_NULL, NULL, NULL), RPCCLIENT_SUCCESS);
    assert_true(rpcclient_send(client, ECHO_SUSPEND, NULL) != 0);
    echo_until(echo.suspended_count == 1);
    onc_server_shutdown(echo.server, echo_done, NULL);
    assert_true(rpcclient_send(client, ECHO_NULL, NULL) != 0);
    assert_int_equal(rpcclient_receive(idle, &xid, &results), RPCCLIENT_CLOSED);
    assert_null(rpcclient_open("127.0.0.1", echo.port, RPCCLIENT_TCP));
    assert_false(echo.done);
    onc_call_reply(echo.suspended[--echo.suspended_count]);
    assert_int_equal(rpcclient_receive(client, &xid, &results), RPCCLIENT_SUCCESS);
    assert_int_equal(rpcclient_receive(client, &xid, &results), RPCCLIENT_CLOSED);
    echo_until(echo.done);
    rpcclient_close(&client);
    rpcclient_close(&idle);
}

/* After the grace the connection closes under a call that does not end; the call itself is waited for. */
static void shutdown_waits_for_calls(void **state)
{
    struct rpcclient *client = echo_client(RPCCLIENT_TCP);
    struct reader results;
    uint32_t xid;

    (void)state;
    assert_true(rpcclient_send(client, ECHO_SUSPEND, NULL) != 0);
    echo_until(echo.suspended_count == 1);
    onc_server_shutdown(echo.server, echo_done, NULL);
    assert_int_equal(rpcclient_receive(client, &xid, &results), RPCCLIENT_CLOSED);
    echo_turns(20);
    assert_false(echo.done);
    assert_null(onc_call_conn(echo.suspended[0]));
    onc_call_reply(echo.suspended[--echo.suspended_count]);
    echo_until(echo.done);
    rpcclient_close(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(echo_over_both, setup, teardown),
        cmocka_unit_test_setup_teardown(many_in_one_segment, setup, teardown),
        cmocka_unit_test_setup_teardown(cut_at_every_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(big_payloads, setup, teardown),
        cmocka_unit_test_setup_teardown(one_byte_fragments, setup, teardown),
        cmocka_unit_test_setup_teardown(too_long_arguments, setup, teardown),
        cmocka_unit_test_setup_teardown(record_over_limit_closes, setup, teardown),
        cmocka_unit_test_setup_teardown(attached_parts, setup, teardown),
        cmocka_unit_test_setup_teardown(truncated_results, setup, teardown),
        cmocka_unit_test_setup_teardown(rejections, setup, teardown),
        cmocka_unit_test_setup_teardown(suspended_calls, setup, teardown),
        cmocka_unit_test_setup_teardown(close_with_suspended_calls, setup, teardown),
        cmocka_unit_test_setup_teardown(watches, setup, teardown),
        cmocka_unit_test_setup_teardown(calls_in_flight_limit, NULL, teardown),
        cmocka_unit_test_setup_teardown(bytes_in_flight_limit, NULL, teardown),
        cmocka_unit_test_setup_teardown(congestion, NULL, teardown),
        cmocka_unit_test_setup_teardown(slow_reader_is_cut, NULL, teardown),
        cmocka_unit_test_setup_teardown(idle_connection_is_closed, NULL, teardown),
        cmocka_unit_test_setup_teardown(connection_cap, NULL, teardown),
        cmocka_unit_test_setup_teardown(share_of_a_turn, setup, teardown),
        cmocka_unit_test_setup_teardown(shutdown_answers_calls_in_flight, setup, teardown),
        cmocka_unit_test_setup_teardown(shutdown_waits_for_calls, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
