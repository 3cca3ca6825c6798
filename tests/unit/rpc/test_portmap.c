/*
 * test_portmap.c - program 100000 as we serve it: versions 2, 3 and 4 over TCP and UDP, with a wire client.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "echo_fixture.h"
#include "rpc/portmap_priv.h"
#include <netinet/in.h>
#include <stdio.h>
#include <time.h>

static struct net_address addresses[2];
static struct onc_mapping mappings[] = {
    {100003, 3, ONC_TCP, 2049},  {100003, 4, ONC_TCP, 2049},  {100005, 1, ONC_TCP, 20048},
    {100005, 3, ONC_UDP, 20048}, {100005, 3, ONC_TCP, 20048}, {100021, 4, ONC_UDP, 65535},
};
enum { MAPPINGS = sizeof mappings / sizeof *mappings };
static const struct onc__map map = {
    .addresses = addresses, .address_count = 2, .mappings = mappings, .mapping_count = MAPPINGS};
static struct onc_program programs[ONC__PORTMAP_VERSIONS];
static struct rpcclient *tcp, *udp;

static struct rpcclient *portmap_client(enum rpcclient_transport transport)
{
    struct rpcclient *client = echo_client(transport);

    rpcclient_program(client, ONC__PORTMAP_PROGRAM, 2);
    rpcclient_none(client);
    return client;
}

static int setup(void **state)
{
    (void)state;
    echo_open(NULL);
    assert_int_equal(net_address_parse("0.0.0.0", 0, &addresses[0]), ERR_OK);
    assert_int_equal(net_address_parse("::", 0, &addresses[1]), ERR_OK);
    assert_int_equal(onc__portmap_serve(echo.service, &map, programs), ERR_OK);
    tcp = portmap_client(RPCCLIENT_TCP);
    udp = portmap_client(RPCCLIENT_UDP);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rpcclient_close(&tcp);
    rpcclient_close(&udp);
    echo_close();
    return 0;
}

static enum rpcclient_status call_pmap(struct rpcclient *client, uint32_t procedure, uint32_t program,
                                       uint32_t version, uint32_t protocol, uint32_t *value_r)
{
    uint8_t bytes[16];
    struct writer arguments;
    struct reader results;
    enum rpcclient_status status;

    writer_init(&arguments, bytes, sizeof bytes);
    writer_be32(&arguments, program);
    writer_be32(&arguments, version);
    writer_be32(&arguments, protocol);
    writer_be32(&arguments, 0);
    status = rpcclient_call(client, procedure, &arguments, &results);
    if (status == RPCCLIENT_SUCCESS) {
        assert_true(reader_be32(&results, value_r));
        assert_true(reader_is_done(&results));
    }
    return status;
}

static const struct {
    uint32_t program, version, protocol, port;
} ports[] = {
    {100003, 3, IPPROTO_TCP, 2049},
    {100003, 4, IPPROTO_TCP, 2049},
    {100003, 3, IPPROTO_UDP, 0},
    {100003, 2, IPPROTO_TCP, 2049}, /* another version: the program says which */
    {100005, 3, IPPROTO_UDP, 20048},
    {100021, 4, IPPROTO_UDP, 65535},
    {100021, 4, IPPROTO_TCP, 0},
    {100099, 1, IPPROTO_TCP, 0},
    {100003, 3, 0, 0},
    {100003, 3, 0xffffffff, 0},
};

static void getport(void **state)
{
    struct rpcclient *clients[] = {tcp, udp};

    (void)state;
    for (size_t c = 0; c < 2; c++) {
        for (size_t i = 0; i < sizeof ports / sizeof *ports; i++) {
            uint32_t port;

            assert_int_equal(
                call_pmap(clients[c], 3, ports[i].program, ports[i].version, ports[i].protocol, &port),
                RPCCLIENT_SUCCESS);
            assert_int_equal(port, ports[i].port);
        }
    }
}

static void set_is_refused(void **state)
{
    (void)state;
    for (uint32_t procedure = 1; procedure <= 2; procedure++) {
        uint32_t value = 7;

        assert_int_equal(call_pmap(tcp, procedure, 100003, 3, IPPROTO_TCP, &value), RPCCLIENT_SUCCESS);
        assert_int_equal(value, 0);
    }
    getport(state);
}

static void null_and_others(void **state)
{
    static const struct {
        uint32_t version, procedure;
        enum rpcclient_status status;
    } cases[] = {
        {2, 0, RPCCLIENT_SUCCESS},       {3, 0, RPCCLIENT_SUCCESS},       {4, 0, RPCCLIENT_SUCCESS},
        {2, 5, RPCCLIENT_PROC_UNAVAIL},  {3, 5, RPCCLIENT_PROC_UNAVAIL},  {3, 9, RPCCLIENT_PROC_UNAVAIL},
        {4, 10, RPCCLIENT_PROC_UNAVAIL}, {1, 0, RPCCLIENT_PROG_MISMATCH}, {5, 0, RPCCLIENT_PROG_MISMATCH},
        {2, 3, RPCCLIENT_GARBAGE_ARGS},  {3, 3, RPCCLIENT_GARBAGE_ARGS},  {4, 9, RPCCLIENT_GARBAGE_ARGS},
        {2, 1, RPCCLIENT_GARBAGE_ARGS},  {4, 2, RPCCLIENT_GARBAGE_ARGS},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rpcclient_program(tcp, ONC__PORTMAP_PROGRAM, cases[i].version);
        assert_int_equal(rpcclient_call(tcp, cases[i].procedure, NULL, NULL), cases[i].status);
        if (cases[i].status == RPCCLIENT_PROG_MISMATCH) {
            assert_int_equal(tcp->low, 2);
            assert_int_equal(tcp->high, 4);
        }
    }
}

static void arguments_too_many(void **state)
{
    uint8_t bytes[20] = {0};
    struct writer arguments;

    (void)state;
    writer_init(&arguments, bytes, sizeof bytes);
    writer_zeros(&arguments, sizeof bytes);
    for (uint32_t procedure = 0; procedure <= 4; procedure++)
        assert_int_equal(rpcclient_call(tcp, procedure, &arguments, NULL), RPCCLIENT_GARBAGE_ARGS);
    rpcclient_program(tcp, ONC__PORTMAP_PROGRAM, 4);
    assert_int_equal(rpcclient_call(tcp, 4, &arguments, NULL), RPCCLIENT_GARBAGE_ARGS);
    assert_int_equal(rpcclient_call(tcp, 6, &arguments, NULL), RPCCLIENT_GARBAGE_ARGS);
}

static void pmap_dump(void **state)
{
    struct reader results;
    uint32_t more, value;

    (void)state;
    assert_int_equal(rpcclient_call(udp, 4, NULL, NULL), RPCCLIENT_PROC_UNAVAIL);
    assert_int_equal(rpcclient_call(tcp, 4, NULL, &results), RPCCLIENT_SUCCESS);
    for (size_t i = 0; i < MAPPINGS; i++) {
        assert_true(reader_be32(&results, &more) && more == 1);
        assert_true(reader_be32(&results, &value) && value == mappings[i].program);
        assert_true(reader_be32(&results, &value) && value == mappings[i].version);
        assert_true(reader_be32(&results, &value) &&
                    value == (mappings[i].transport == ONC_TCP ? IPPROTO_TCP : IPPROTO_UDP));
        assert_true(reader_be32(&results, &value) && value == mappings[i].port);
    }
    assert_true(reader_be32(&results, &more) && more == 0);
    assert_true(reader_is_done(&results));
}

static void read_text(struct reader *results, char text[100])
{
    const uint8_t *data;
    uint32_t length;

    assert_true(reader_xdr_opaque(results, 99, &data, &length));
    memcpy(text, data, length);
    text[length] = '\0';
}

static void check_address(struct rpcclient *client, uint32_t procedure, uint32_t program, uint32_t version,
                          const char *expected)
{
    uint8_t bytes[64];
    struct writer arguments;
    struct reader results;
    char text[100];

    writer_init(&arguments, bytes, sizeof bytes);
    writer_be32(&arguments, program);
    writer_be32(&arguments, version);
    writer_xdr_opaque(&arguments, "tcp", 3);
    writer_xdr_opaque(&arguments, "", 0);
    writer_xdr_opaque(&arguments, "me", 2);
    assert_int_equal(rpcclient_call(client, procedure, &arguments, &results), RPCCLIENT_SUCCESS);
    read_text(&results, text);
    assert_string_equal(text, expected);
    assert_true(reader_is_done(&results));
}

static void getaddr(void **state)
{
    (void)state;
    for (uint32_t version = 3; version <= 4; version++) {
        rpcclient_program(tcp, ONC__PORTMAP_PROGRAM, version);
        rpcclient_program(udp, ONC__PORTMAP_PROGRAM, version);
        check_address(tcp, 3, 100003, 3, "127.0.0.1.8.1");
        check_address(tcp, 3, 100003, 9, "127.0.0.1.8.1");
        check_address(tcp, 3, 100021, 4, "");
        check_address(udp, 3, 100021, 4, "127.0.0.1.255.255");
        check_address(udp, 3, 100003, 3, "");
    }
    check_address(tcp, 9, 100003, 3, "127.0.0.1.8.1");
    check_address(tcp, 9, 100003, 9, "");
}

static void rpcb_dump(void **state)
{
    struct reader results;
    uint32_t more, value;
    char text[100];

    (void)state;
    rpcclient_program(tcp, ONC__PORTMAP_PROGRAM, 4);
    rpcclient_program(udp, ONC__PORTMAP_PROGRAM, 4);
    assert_int_equal(rpcclient_call(udp, 4, NULL, NULL), RPCCLIENT_PROC_UNAVAIL);
    assert_int_equal(rpcclient_call(tcp, 4, NULL, &results), RPCCLIENT_SUCCESS);
    for (size_t i = 0; i < 2 * MAPPINGS; i++) {
        const struct onc_mapping *mapping = &mappings[i / 2];
        char expected[100];

        assert_true(reader_be32(&results, &more) && more == 1);
        assert_true(reader_be32(&results, &value) && value == mapping->program);
        assert_true(reader_be32(&results, &value) && value == mapping->version);
        read_text(&results, text);
        snprintf(expected, sizeof expected, "%s%s", mapping->transport == ONC_TCP ? "tcp" : "udp",
                 i % 2 == 1 ? "6" : "");
        assert_string_equal(text, expected);
        read_text(&results, text);
        snprintf(expected, sizeof expected, "%s.%u.%u", i % 2 == 1 ? "::" : "0.0.0.0", mapping->port >> 8,
                 mapping->port & 255);
        assert_string_equal(text, expected);
        read_text(&results, text);
    }
    assert_true(reader_be32(&results, &more) && more == 0);
    assert_true(reader_is_done(&results));
}

static void gettime(void **state)
{
    struct reader results;
    uint32_t value = 0;

    (void)state;
    rpcclient_program(udp, ONC__PORTMAP_PROGRAM, 3);
    assert_int_equal(rpcclient_call(udp, 6, NULL, &results), RPCCLIENT_SUCCESS);
    assert_true(reader_be32(&results, &value));
    assert_true(value + 5 > (uint32_t)time(NULL) && value <= (uint32_t)time(NULL));
}

static void uaddr_of_ipv6(void **state)
{
    struct net_address address;
    char text[ONC__UADDR_TEXT];

    (void)state;
    assert_int_equal(net_address_parse("2001:db8::5", 9, &address), ERR_OK);
    assert_string_equal(onc__uaddr_format(&address, 2049, text), "2001:db8::5.8.1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(getport, setup, teardown),
        cmocka_unit_test_setup_teardown(set_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(null_and_others, setup, teardown),
        cmocka_unit_test_setup_teardown(arguments_too_many, setup, teardown),
        cmocka_unit_test_setup_teardown(pmap_dump, setup, teardown),
        cmocka_unit_test_setup_teardown(getaddr, setup, teardown),
        cmocka_unit_test_setup_teardown(rpcb_dump, setup, teardown),
        cmocka_unit_test_setup_teardown(gettime, setup, teardown),
        cmocka_unit_test(uaddr_of_ipv6),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
