/*
 * echo_fixture.h - a server with a small program on the loopback, on a real loop, and clients on the same
 * thread, for the tests of src/rpc. Each test file includes it once.
 */
#ifndef DITTOFS_TESTS_ECHO_FIXTURE_H
#define DITTOFS_TESTS_ECHO_FIXTURE_H

#include "dittofs/clock.h"
#include "dittofs/rpc.h"
#include "rpcclient.h"
#include <string.h>

enum { ECHO_PROGRAM = 0x20000001, ECHO_PATIENCE_MS = 10000, ECHO_SUSPENDED = 64 };

enum echo_procedure {
    ECHO_NULL,
    ECHO_ECHO,    /* the arguments */
    ECHO_COUNT,   /* cached: how often it ran */
    ECHO_SUSPEND, /* ends when the test says so */
    ECHO_ATTACH,  /* ATTACH_PIECES times: a number, an attached part, a number */
    ECHO_SINK,    /* length and sum of the arguments */
    ECHO_FAIL,    /* more results than declared */
    ECHO_WHO,     /* the credentials */
    ECHO_HOLE,
    ECHO_SUSPEND_CACHED,
    ECHO_REJECT, /* with the arguments' number */
    ECHO_DROP,
    ECHO_TRUNCATE, /* takes back half of what it wrote */
    ECHO_PROCEDURES
};

enum { ATTACH_PIECES = 40, ATTACH_BYTES = 5000, ECHO_REPLY_MAX = 8192 };

static struct echo_fixture {
    struct loop *loop;
    struct onc_server *server;
    struct onc_service *service;
    uint16_t port, udp_port;
    uint32_t runs; /* of the counting ones */
    struct onc_call *suspended[ECHO_SUSPENDED];
    size_t suspended_count;
    struct onc_conn *last_conn;
    bool done;
} echo;

static void echo_run_null(struct onc_call *call)
{
    onc_call_reply(call);
}

static void echo_run_echo(struct onc_call *call)
{
    echo.last_conn = onc_call_conn(call);
    writer_bytes(&call->reply, call->arguments.at, call->arguments.left);
    assert_int_equal(onc_call_reply_length(call), call->reply.failed ? 0 : call->arguments.left);
    onc_call_reply(call);
}

static void echo_run_count(struct onc_call *call)
{
    writer_be32(&call->reply, ++echo.runs);
    onc_call_reply(call);
}

static void echo_run_suspend(struct onc_call *call)
{
    echo.runs++;
    assert_true(echo.suspended_count < ECHO_SUSPENDED);
    echo.suspended[echo.suspended_count++] = call;
}

static void echo_run_attach(struct onc_call *call)
{
    struct buf *buf = buf_new(ATTACH_BYTES);
    size_t length = 0;

    assert_non_null(buf);
    for (size_t i = 0; i < ATTACH_BYTES; i++)
        buf->data[i] = (uint8_t)(i * 13);
    for (uint32_t i = 0; i < ATTACH_PIECES; i++) {
        writer_be32(&call->reply, i);
        assert_true(onc_call_attach(call, buf, buf->data + i, ATTACH_BYTES - ATTACH_PIECES));
        writer_be32(&call->reply, ~i);
        length += 8 + ATTACH_BYTES - ATTACH_PIECES;
        assert_int_equal(onc_call_reply_length(call), length);
    }
    buf_unref(&buf);
    onc_call_reply(call);
}

static void echo_run_sink(struct onc_call *call)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < call->arguments.left; i++)
        sum += call->arguments.at[i];
    writer_be32(&call->reply, (uint32_t)call->arguments.left);
    writer_be32(&call->reply, sum);
    onc_call_reply(call);
}

static void echo_run_fail(struct onc_call *call)
{
    writer_zeros(&call->reply, 5);
    onc_call_reply(call);
}

static void echo_run_who(struct onc_call *call)
{
    const struct onc_credential *who = &call->credential;

    writer_be32(&call->reply, who->flavor);
    writer_be32(&call->reply, who->uid);
    writer_be32(&call->reply, who->gid);
    writer_be32(&call->reply, who->group_count);
    for (uint32_t i = 0; i < who->group_count; i++)
        writer_be32(&call->reply, who->groups[i]);
    writer_xdr_opaque(&call->reply, who->machine_name, strlen(who->machine_name));
    onc_call_reply(call);
}

static void echo_run_reject(struct onc_call *call)
{
    uint32_t why = 0;

    echo.runs++;
    assert_true(reader_be32(&call->arguments, &why));
    onc_call_reject(call, (enum onc_reject)why);
}

static void echo_run_drop(struct onc_call *call)
{
    echo.runs++;
    onc_call_drop(call);
}

static void echo_run_truncate(struct onc_call *call)
{
    struct buf *buf = buf_new(1000);
    size_t length;

    memset(buf->data, 0x11, 1000);
    writer_be32(&call->reply, 1);
    assert_true(onc_call_attach(call, buf, buf->data, 1000));
    assert_true(onc_call_attach(call, buf, buf->data, 0));
    length = onc_call_reply_length(call);
    assert_true(onc_call_attach(call, buf, buf->data, 500));
    writer_be32(&call->reply, 2);
    assert_true(onc_call_attach(call, buf, buf->data, 1000));
    writer_be32(&call->reply, 3);
    assert_int_equal(buf->references, 4);
    onc_call_reply_truncate(call, length);
    assert_int_equal(buf->references, 2);
    assert_int_equal(onc_call_reply_length(call), 1004);
    writer_be32(&call->reply, 4);
    buf_unref(&buf);
    onc_call_reply(call);
}

static const struct onc_procedure echo_procedures[ECHO_PROCEDURES] = {
    [ECHO_NULL] = {.name = "NULL", .run = echo_run_null},
    [ECHO_ECHO] = {.name = "ECHO", .run = echo_run_echo, .reply_max = ECHO_REPLY_MAX},
    [ECHO_COUNT] = {.name = "COUNT", .run = echo_run_count, .flags = ONC_CACHED, .reply_max = 4},
    [ECHO_SUSPEND] = {.name = "SUSPEND", .run = echo_run_suspend, .reply_max = 64},
    [ECHO_ATTACH] = {.name = "ATTACH", .run = echo_run_attach, .reply_max = 8 * ATTACH_PIECES},
    [ECHO_SINK] = {.name = "SINK", .run = echo_run_sink, .reply_max = 8},
    [ECHO_FAIL] = {.name = "FAIL", .run = echo_run_fail, .reply_max = 4},
    [ECHO_WHO] = {.name = "WHO", .run = echo_run_who, .reply_max = 512},
    [ECHO_SUSPEND_CACHED] = {.name = "SUSPEND_CACHED",
                             .run = echo_run_suspend,
                             .flags = ONC_CACHED,
                             .reply_max = 64},
    [ECHO_REJECT] = {.name = "REJECT", .run = echo_run_reject, .flags = ONC_CACHED},
    [ECHO_DROP] = {.name = "DROP", .run = echo_run_drop, .flags = ONC_CACHED},
    [ECHO_TRUNCATE] = {.name = "TRUNCATE", .run = echo_run_truncate, .reply_max = 64},
};

static const struct onc_program echo_v2 = {.name = "echo",
                                           .number = ECHO_PROGRAM,
                                           .version = 2,
                                           .procedures = echo_procedures,
                                           .procedure_count = ECHO_PROCEDURES,
                                           .arguments_max = 1 << 20};
/* Takes little, so that what is too long for it can be skipped. */
static const struct onc_program echo_v4 = {.name = "echo",
                                           .number = ECHO_PROGRAM,
                                           .version = 4,
                                           .procedures = echo_procedures,
                                           .procedure_count = ECHO_ATTACH,
                                           .arguments_max = 1000};

static void echo_open(const struct onc_limits *limits)
{
    struct net_address address;

    memset(&echo, 0, sizeof echo);
    assert_int_equal(loop_open(&echo.loop), ERR_OK);
    assert_int_equal(onc_server_open(echo.loop, limits, &echo.server), ERR_OK);
    assert_int_equal(onc_service_open(echo.server, "echo", &echo.service), ERR_OK);
    assert_int_equal(onc_service_add_program(echo.service, &echo_v2), ERR_OK);
    assert_int_equal(onc_service_add_program(echo.service, &echo_v4), ERR_OK);
    assert_int_equal(net_address_parse("127.0.0.1", 0, &address), ERR_OK);
    assert_int_equal(onc_service_listen(echo.service, ONC_TCP, &address, &echo.port), ERR_OK);
    assert_int_equal(onc_service_listen(echo.service, ONC_UDP, &address, &echo.udp_port), ERR_OK);
}

static void echo_done(void *data)
{
    (void)data;
    assert_false(echo.done);
    echo.done = true;
}

#define echo_until(condition)                                                                                \
    do {                                                                                                     \
        uint64_t end_ = clock_monotonic_ms() + ECHO_PATIENCE_MS;                                             \
        while (!(condition)) {                                                                               \
            assert_true(clock_monotonic_ms() < end_);                                                        \
            loop_run_once(echo.loop, false);                                                                 \
        }                                                                                                    \
    } while (0)

static inline struct onc_counters echo_counters(void)
{
    struct onc_counters counters;

    onc_server_counters(echo.server, &counters);
    return counters;
}

static void echo_close(void)
{
    struct onc_counters counters;

    while (echo.suspended_count > 0)
        onc_call_drop(echo.suspended[--echo.suspended_count]);
    if (!echo.done) {
        onc_server_shutdown(echo.server, echo_done, NULL);
        assert_false(echo.done); /* never inside the call */
    }
    echo_until(echo.done);
    counters = echo_counters();
    assert_int_equal(counters.calls_now, 0);
    assert_int_equal(counters.connections_now, 0);
    onc_server_close(&echo.server);
    loop_close(&echo.loop);
    assert_int_equal(buf_bytes_in_use(), 0);
    buf_pool_drain();
}

static void echo_pump(void *data)
{
    (void)data;
    loop_run_once(echo.loop, false);
}

static inline void echo_turns(int turns)
{
    while (turns-- > 0)
        loop_run_once(echo.loop, false);
}

static inline struct rpcclient *echo_client(enum rpcclient_transport transport)
{
    struct rpcclient *client =
        rpcclient_open("127.0.0.1", transport == RPCCLIENT_TCP ? echo.port : echo.udp_port, transport);

    assert_non_null(client);
    client->pump = echo_pump;
    rpcclient_program(client, ECHO_PROGRAM, 2);
    rpcclient_sys(client, 1000, 100, NULL, 0);
    return client;
}

#endif
