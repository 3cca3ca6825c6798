/*
 * test_client.c - calls of our own to other hosts: over UDP and TCP, lost, refused, cancelled, with the port
 * given or asked for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dittofs/rpc_client.h"
#include "echo_fixture.h"
#include "rpc/portmap_priv.h"
#include "rpc/rpc_priv.h"

enum { CALLS = 8, ELSEWHERE = 0x20000009 };

struct made {
    struct onc_client_call call;
    int done;
    enum err err;
    uint32_t value;
    bool again;           /* from inside of done */
    struct made *cancels; /* from inside of done */
};

static struct onc_client *client;
static struct made made[CALLS];
static struct net_address addresses[2];
static struct onc_mapping mappings[3];
static const struct onc__map map = {
    .addresses = addresses, .address_count = 2, .mappings = mappings, .mapping_count = 3};
static struct onc_program programs[ONC__PORTMAP_VERSIONS];

static void send_call(struct made *item, uint32_t value);

static void on_done(struct onc_client_call *call, enum err err, struct reader *results)
{
    struct made *item = container_of(call, struct made, call);

    item->done++;
    item->err = err;
    if (err == ERR_OK)
        assert_true(results->left == 0 || reader_be32(results, &item->value));
    else
        assert_null(results);
    if (item->cancels != NULL)
        onc_client_cancel(&item->cancels->call);
    if (item->again) {
        item->again = false;
        send_call(item, 77);
    }
}

static int setup(void **state)
{
    struct onc_client_options options = {.idle_ms = 50};
    struct net_address address;
    uint16_t port;

    (void)state;
    echo_open(NULL);
    assert_int_equal(net_address_parse("127.0.0.1", echo.port, &address), ERR_OK);
    assert_int_equal(onc_service_listen(echo.service, ONC_UDP, &address, &port), ERR_OK);
    assert_int_equal(net_address_parse("::1", echo.port, &address), ERR_OK);
    assert_int_equal(onc_service_listen(echo.service, ONC_TCP, &address, &port), ERR_OK);
    assert_int_equal(onc_service_listen(echo.service, ONC_UDP, &address, &port), ERR_OK);
    assert_int_equal(net_address_parse("0.0.0.0", 0, &addresses[0]), ERR_OK);
    assert_int_equal(net_address_parse("::", 0, &addresses[1]), ERR_OK);
    mappings[0] = (struct onc_mapping){ECHO_PROGRAM, 2, ONC_TCP, echo.port};
    mappings[1] = (struct onc_mapping){ECHO_PROGRAM, 2, ONC_UDP, echo.udp_port};
    mappings[2] = (struct onc_mapping){ELSEWHERE, 1, ONC_TCP, 1};
    assert_int_equal(onc__portmap_serve(echo.service, &map, programs), ERR_OK);
    options.portmap_port = echo.port;
    assert_int_equal(onc_client_open(echo.loop, &options, &client), ERR_OK);
    memset(made, 0, sizeof made);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    onc_client_close(&client);
    echo_close();
    return 0;
}

static struct onc_client_counters counters(void)
{
    struct onc_client_counters now;

    onc_client_counters(client, &now);
    return now;
}

static void prepare(struct made *item, enum onc_transport transport, const char *host, uint16_t port,
                    uint32_t procedure)
{
    *item = (struct made){.call = {.done = on_done,
                                   .transport = transport,
                                   .program = ECHO_PROGRAM,
                                   .version = 2,
                                   .procedure = procedure,
                                   .timeout_ms = 5000,
                                   .credential = {.flavor = ONC_AUTH_SYS, .machine_name = "us"}}};
    assert_int_equal(net_address_parse(host, port, &item->call.to), ERR_OK);
}

static void send_call(struct made *item, uint32_t value)
{
    uint8_t bytes[4];
    struct writer arguments;

    writer_init(&arguments, bytes, sizeof bytes);
    writer_be32(&arguments, value);
    item->done = 0;
    assert_int_equal(onc_client_call(client, &item->call, bytes, sizeof bytes), ERR_OK);
    memset(bytes, 0xee, sizeof bytes); /* copied at once */
    assert_int_equal(item->done, 0);
}

static void expect(struct made *item, enum err err, uint32_t value)
{
    echo_until(item->done > 0);
    assert_int_equal(item->done, 1);
    assert_int_equal(item->err, err);
    if (err == ERR_OK)
        assert_int_equal(item->value, value);
    assert_null(item->call.client);
}

static void answered(void **state)
{
    static const char *const hosts[] = {"127.0.0.1", "::1"};

    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        prepare(&made[i], i % 2 ? ONC_TCP : ONC_UDP, hosts[i / 2], echo.port, ECHO_ECHO);
        send_call(&made[i], 100 + i);
    }
    for (uint32_t i = 0; i < 4; i++)
        expect(&made[i], ERR_OK, 100 + i);
    assert_int_equal(counters().calls_now, 0);
    assert_int_equal(counters().lookups, 0);
}

/* Calls at once and one after the other; then nothing is left open. */
static void one_connection(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < CALLS; i++) {
        prepare(&made[i], ONC_TCP, "127.0.0.1", echo.port, ECHO_ECHO);
        send_call(&made[i], i);
    }
    for (uint32_t i = 0; i < CALLS; i++)
        expect(&made[i], ERR_OK, i);
    made[0].again = true;
    send_call(&made[0], 1);
    echo_until(made[0].done > 0 && !made[0].again);
    expect(&made[0], ERR_OK, 77);
    assert_int_equal(counters().connections, 1);
    echo_until(counters().connections_now == 0);
    echo_until(echo_counters().connections_now == 0);
    send_call(&made[0], 5);
    expect(&made[0], ERR_OK, 5);
    assert_int_equal(counters().connections, 2);
}

static void refused(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 3; i++)
        prepare(&made[i], i % 2 ? ONC_TCP : ONC_UDP, "127.0.0.1", echo.port, ECHO_ECHO);
    made[0].call.program++;
    made[1].call.version = 3;
    made[2].call.procedure = ECHO_HOLE;
    for (uint32_t i = 0; i < 3; i++)
        send_call(&made[i], i);
    for (uint32_t i = 0; i < 3; i++)
        expect(&made[i], ERR_NOTSUPP, 0);
    prepare(&made[3], ONC_TCP, "127.0.0.1", echo.port, ECHO_REJECT);
    send_call(&made[3], ONC_REJECT_AUTH_TOO_WEAK);
    expect(&made[3], ERR_ACCES, 0);
    prepare(&made[4], ONC_UDP, "127.0.0.1", echo.port, ECHO_REJECT);
    send_call(&made[4], ONC_REJECT_SYSTEM_ERROR);
    expect(&made[4], ERR_SERVERFAULT, 0);
    made[4].call.credential.flavor = ONC_RPCSEC_GSS;
    assert_int_equal(onc_client_call(client, &made[4].call, NULL, 0), ERR_NOTSUPP);
}

/* The server drops the first ones; then it answers one that was sent again. */
static void lost(void **state)
{
    (void)state;
    prepare(&made[0], ONC_UDP, "127.0.0.1", echo.port, ECHO_DROP);
    made[0].call.timeout_ms = 200;
    made[0].call.retransmit_ms = 20;
    send_call(&made[0], 0);
    expect(&made[0], ERR_EXPIRED, 0);
    assert_in_range(counters().retransmissions, 2, 4); /* after 20, 60, 140 ms */
    assert_in_range(echo.runs, 2, 5);
    prepare(&made[1], ONC_UDP, "127.0.0.1", echo.port, ECHO_SUSPEND);
    made[1].call.retransmit_ms = 10;
    send_call(&made[1], 0);
    echo_until(echo.suspended_count == 2);
    onc_call_drop(echo.suspended[0]);
    writer_be32(&echo.suspended[1]->reply, 42);
    onc_call_reply(echo.suspended[1]);
    echo.suspended_count = 0;
    expect(&made[1], ERR_OK, 42);
    prepare(&made[2], ONC_TCP, "127.0.0.1", echo.port, ECHO_SUSPEND);
    made[2].call.timeout_ms = 50;
    send_call(&made[2], 0);
    expect(&made[2], ERR_EXPIRED, 0);
}

static void broken_connections(void **state)
{
    (void)state;
    prepare(&made[0], ONC_TCP, "127.0.0.1", 1, ECHO_ECHO);
    send_call(&made[0], 0);
    expect(&made[0], ERR_NETWORK, 0);
    prepare(&made[1], ONC_TCP, "127.0.0.1", echo.port, ECHO_ECHO);
    send_call(&made[1], 0);
    expect(&made[1], ERR_OK, 0);
    for (uint32_t i = 2; i < 5; i++) {
        prepare(&made[i], ONC_TCP, "127.0.0.1", echo.port, ECHO_SUSPEND);
        send_call(&made[i], 0);
    }
    echo_until(echo.suspended_count == 3);
    /* The first to fail calls again, and cancels the last. */
    made[2].again = true;
    made[2].cancels = &made[4];
    onc_conn_close(onc_call_conn(echo.suspended[0]));
    echo_until(made[3].done > 0);
    assert_int_equal(made[3].err, ERR_NETWORK);
    assert_int_equal(made[4].done, 0);
    echo_until(echo.suspended_count == 4);
    writer_be32(&echo.suspended[3]->reply, 9);
    onc_call_reply(echo.suspended[3]);
    echo.suspended_count = 3;
    expect(&made[2], ERR_OK, 9);
}

static void port_asked_for(void **state)
{
    static const char *const hosts[] = {"127.0.0.1", "::1"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        prepare(&made[0], ONC_TCP, hosts[i], 0, ECHO_ECHO);
        prepare(&made[1], ONC_TCP, hosts[i], 0, ECHO_ECHO);
        send_call(&made[0], 1);
        send_call(&made[1], 2);
        expect(&made[0], ERR_OK, 1);
        expect(&made[1], ERR_OK, 2);
        send_call(&made[1], 3);
        expect(&made[1], ERR_OK, 3);
        assert_int_equal(counters().lookups, i + 1);
    }
    prepare(&made[2], ONC_UDP, "127.0.0.1", 0, ECHO_ECHO);
    send_call(&made[2], 4);
    expect(&made[2], ERR_OK, 4);
    assert_int_equal(counters().lookups, 3);
    assert_int_equal(counters().ports_now, 3);
}

static void port_not_there(void **state)
{
    (void)state;
    prepare(&made[0], ONC_TCP, "127.0.0.1", 0, ECHO_ECHO);
    made[0].call.program = ELSEWHERE + 1;
    prepare(&made[1], ONC_TCP, "127.0.0.1", 0, ECHO_ECHO);
    made[1].call.program = ELSEWHERE + 1;
    made[0].cancels = &made[1];
    send_call(&made[0], 0);
    send_call(&made[1], 0);
    expect(&made[0], ERR_NOTSUPP, 0);
    assert_int_equal(made[1].done, 0);
    made[0].again = true;
    made[0].cancels = NULL;
    send_call(&made[0], 0);
    echo_until(!made[0].again);
    expect(&made[0], ERR_NOTSUPP, 0);
    assert_int_equal(counters().ports_now, 0);
    /* Nobody answers there: it is asked for again the next time. */
    prepare(&made[2], ONC_TCP, "127.0.0.1", 0, ECHO_ECHO);
    made[2].call.program = ELSEWHERE;
    made[2].call.version = 1;
    send_call(&made[2], 0);
    expect(&made[2], ERR_NETWORK, 0);
    assert_int_equal(counters().ports_now, 0);
    mappings[2].port = echo.port;
    send_call(&made[2], 0);
    expect(&made[2], ERR_NOTSUPP, 0); /* it is another program */
}

/* A reply counts only from where the call went. */
static void reply_from_elsewhere(void **state)
{
    struct rpcclient *stranger;
    uint8_t bytes[28];
    struct writer reply;
    uint16_t port = 0;

    (void)state;
    prepare(&made[0], ONC_UDP, "127.0.0.1", echo.port, ECHO_SUSPEND);
    send_call(&made[0], 0);
    echo_until(echo.suspended_count == 1);
    port = net_address_port(&echo.suspended[0]->peer);
    writer_init(&reply, bytes, sizeof bytes);
    onc__reply_write(&reply, made[0].call.xid, (struct onc__verdict){.status = ONC__SUCCESS});
    writer_be32(&reply, 666);
    stranger = rpcclient_open("127.0.0.1", port, RPCCLIENT_UDP);
    assert_non_null(stranger);
    assert_true(rpcclient_send_raw(stranger, bytes, reply.length));
    echo_turns(20);
    assert_int_equal(made[0].done, 0);
    writer_be32(&echo.suspended[0]->reply, 7);
    onc_call_reply(echo.suspended[0]);
    echo.suspended_count = 0;
    expect(&made[0], ERR_OK, 7);
    rpcclient_close(&stranger);
}

/* Cancelled, or closed, wherever they are; teardown sees what leaks. */
static void cancelled(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < CALLS; i++) {
        prepare(&made[i], i % 2 ? ONC_TCP : ONC_UDP, "127.0.0.1", i < 4 ? echo.port : 0, ECHO_SUSPEND);
        send_call(&made[i], i);
    }
    onc_client_cancel(&made[1].call);
    onc_client_cancel(&made[4].call);
    onc_client_cancel(&made[4].call);
    echo_until(echo.suspended_count == 6);
    onc_client_cancel(&made[2].call);
    onc_client_cancel(&made[7].call);
    echo_turns(10);
    for (uint32_t i = 0; i < CALLS; i++)
        assert_int_equal(made[i].done, 0);
    assert_int_equal(counters().calls_now, 4);
    /* These are still waiting for a port when the client closes. */
    prepare(&made[1], ONC_TCP, "127.0.0.2", 0, ECHO_SUSPEND);
    send_call(&made[1], 0);
}

static void limits(void **state)
{
    struct onc_client_options options = {.calls_max = 2, .connections_max = 1};
    struct onc_client *small;
    static uint8_t big[65537];

    (void)state;
    assert_int_equal(onc_client_open(echo.loop, &options, &small), ERR_OK);
    for (uint32_t i = 0; i < 3; i++)
        prepare(&made[i], ONC_TCP, i == 1 ? "::1" : "127.0.0.1", echo.port, ECHO_ECHO);
    assert_int_equal(onc_client_call(small, &made[0].call, big, sizeof big), ERR_INVAL);
    assert_int_equal(onc_client_call(small, &made[0].call, big, 4), ERR_OK);
    assert_int_equal(onc_client_call(small, &made[1].call, big, 4), ERR_OK);
    assert_int_equal(onc_client_call(small, &made[2].call, big, 4), ERR_LIMIT);
    expect(&made[0], ERR_OK, 0);
    expect(&made[1], ERR_NETWORK, 0); /* no second connection */
    onc_client_close(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(answered, setup, teardown),
        cmocka_unit_test_setup_teardown(one_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(refused, setup, teardown),
        cmocka_unit_test_setup_teardown(lost, setup, teardown),
        cmocka_unit_test_setup_teardown(broken_connections, setup, teardown),
        cmocka_unit_test_setup_teardown(port_asked_for, setup, teardown),
        cmocka_unit_test_setup_teardown(port_not_there, setup, teardown),
        cmocka_unit_test_setup_teardown(reply_from_elsewhere, setup, teardown),
        cmocka_unit_test_setup_teardown(cancelled, setup, teardown),
        cmocka_unit_test_setup_teardown(limits, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
