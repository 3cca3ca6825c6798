/*
 * test_message.c - headers and credentials (RFC 5531 8, 9): what is answered to each good and bad one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "echo_fixture.h"
#include "rpc/rpc_priv.h"

static struct rpcclient *client;

static int setup(void **state)
{
    (void)state;
    echo_open(NULL);
    client = echo_client(RPCCLIENT_TCP);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rpcclient_close(&client);
    echo_close();
    return 0;
}

static const struct {
    uint32_t rpc_version, program, version, procedure;
    enum rpcclient_status status;
    uint32_t low, high;
} headers[] = {
    {2, ECHO_PROGRAM, 2, ECHO_NULL, RPCCLIENT_SUCCESS, 0, 0},
    {2, ECHO_PROGRAM, 4, ECHO_NULL, RPCCLIENT_SUCCESS, 0, 0},
    {1, ECHO_PROGRAM, 2, ECHO_NULL, RPCCLIENT_RPC_MISMATCH, 2, 2},
    {3, ECHO_PROGRAM, 2, ECHO_NULL, RPCCLIENT_RPC_MISMATCH, 2, 2},
    {0xffffffff, 0, 0, 0, RPCCLIENT_RPC_MISMATCH, 2, 2},
    {2, ECHO_PROGRAM + 1, 2, ECHO_NULL, RPCCLIENT_PROG_UNAVAIL, 0, 0},
    {2, 0, 2, ECHO_NULL, RPCCLIENT_PROG_UNAVAIL, 0, 0},
    {2, ECHO_PROGRAM, 1, ECHO_NULL, RPCCLIENT_PROG_MISMATCH, 2, 4},
    {2, ECHO_PROGRAM, 3, ECHO_NULL, RPCCLIENT_PROG_MISMATCH, 2, 4},
    {2, ECHO_PROGRAM, 5, ECHO_NULL, RPCCLIENT_PROG_MISMATCH, 2, 4},
    {2, ECHO_PROGRAM, 0xffffffff, 77, RPCCLIENT_PROG_MISMATCH, 2, 4},
    {2, ECHO_PROGRAM, 2, ECHO_HOLE, RPCCLIENT_PROC_UNAVAIL, 0, 0},
    {2, ECHO_PROGRAM, 2, ECHO_PROCEDURES, RPCCLIENT_PROC_UNAVAIL, 0, 0},
    {2, ECHO_PROGRAM, 2, 0xffffffff, RPCCLIENT_PROC_UNAVAIL, 0, 0},
    {2, ECHO_PROGRAM, 4, ECHO_ATTACH, RPCCLIENT_PROC_UNAVAIL, 0, 0},
};

static void check_headers(struct rpcclient *over)
{
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        struct reader results;

        over->low = over->high = 0;
        over->rpc_version = headers[i].rpc_version;
        rpcclient_program(over, headers[i].program, headers[i].version);
        assert_int_equal(rpcclient_call(over, headers[i].procedure, NULL, &results), headers[i].status);
        assert_int_equal(over->low, headers[i].low);
        assert_int_equal(over->high, headers[i].high);
        assert_true(reader_is_done(&results));
    }
}

static void header_cases(void **state)
{
    struct rpcclient *udp = echo_client(RPCCLIENT_UDP);

    (void)state;
    check_headers(client);
    check_headers(udp);
    rpcclient_close(&udp);
    /* The connection has lived through all of that. */
    assert_int_equal(echo_counters().connections, 1);
    assert_int_equal(echo_counters().calls, 2 * sizeof headers / sizeof *headers);
}

/* A body of AUTH_SYS: stamp, name of NAME_LENGTH bytes, uid, gid, GROUPS groups and EXTRA bytes more. */
static size_t sys_body(uint8_t *to, size_t size, size_t name_length, uint32_t groups, size_t extra)
{
    struct writer writer;
    char name[300];

    memset(name, 'm', sizeof name);
    writer_init(&writer, to, size);
    writer_be32(&writer, 7);
    writer_xdr_opaque(&writer, name, name_length);
    writer_be32(&writer, 1001);
    writer_be32(&writer, 1002);
    writer_be32(&writer, groups);
    for (uint32_t i = 0; i < groups; i++)
        writer_be32(&writer, 2000 + i);
    writer_zeros(&writer, extra);
    assert_false(writer.failed);
    return writer.length;
}

static const struct {
    uint32_t flavor;
    size_t name_length;
    uint32_t groups;
    size_t extra, cut;
    uint32_t verifier_flavor;
    enum onc__auth_status auth;
} sys_cases[] = {
    {ONC_AUTH_SYS, 9, 0, 0, 0, 0, ONC__AUTH_OK},
    {ONC_AUTH_SYS, 0, 16, 0, 0, 0, ONC__AUTH_OK},
    {ONC_AUTH_SYS, 255, 16, 0, 0, 0, ONC__AUTH_OK},
    {ONC_AUTH_SYS, 9, 17, 0, 0, 0, ONC__AUTH_BADCRED},
    {ONC_AUTH_SYS, 256, 0, 0, 0, 0, ONC__AUTH_BADCRED},
    {ONC_AUTH_SYS, 9, 0, 4, 0, 0, ONC__AUTH_BADCRED},
    {ONC_AUTH_SYS, 9, 2, 0, 4, 0, ONC__AUTH_BADCRED},
    {ONC_AUTH_SYS, 9, 0, 0, 4, 0, ONC__AUTH_BADCRED},
    {ONC_AUTH_SYS, 9, 0, 0, 24, 0, ONC__AUTH_BADCRED},
    {ONC_AUTH_SYS, 9, 0, 0, 32, 0, ONC__AUTH_BADCRED},
    {ONC_AUTH_SYS, 9, 0, 0, 28, 0, ONC__AUTH_BADCRED},
    {ONC_AUTH_SYS, 9, 0, 0, 0, ONC_AUTH_SYS, ONC__AUTH_BADVERF},
    {ONC_AUTH_SHORT, 9, 0, 0, 0, 0, ONC__AUTH_REJECTEDCRED},
    {ONC_AUTH_NONE, 9, 0, 0, 0, 0, ONC__AUTH_BADCRED},
    {3 /* AUTH_DH */, 9, 0, 0, 0, 0, ONC__AUTH_BADCRED},
    {ONC_RPCSEC_GSS, 9, 0, 0, 0, 0, ONC__AUTH_BADCRED},
    {0xffffffff, 9, 0, 0, 0, 0, ONC__AUTH_BADCRED},
};

static void credential_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sys_cases / sizeof *sys_cases; i++) {
        uint8_t body[512];
        size_t length =
            sys_body(body, sizeof body, sys_cases[i].name_length, sys_cases[i].groups, sys_cases[i].extra);
        struct reader results;
        uint32_t value, groups = 0;
        const uint8_t *name;

        rpcclient_credential(client, sys_cases[i].flavor, body, length - sys_cases[i].cut);
        client->verifier_flavor = sys_cases[i].verifier_flavor;
        if (sys_cases[i].auth != ONC__AUTH_OK) {
            assert_int_equal(rpcclient_call(client, ECHO_WHO, NULL, NULL), RPCCLIENT_AUTH_ERROR);
            assert_int_equal(client->auth_status, sys_cases[i].auth);
            continue;
        }
        assert_int_equal(rpcclient_call(client, ECHO_WHO, NULL, &results), RPCCLIENT_SUCCESS);
        assert_true(reader_be32(&results, &value) && value == ONC_AUTH_SYS);
        assert_true(reader_be32(&results, &value) && value == 1001);
        assert_true(reader_be32(&results, &value) && value == 1002);
        assert_true(reader_be32(&results, &groups) && groups == sys_cases[i].groups);
        for (uint32_t j = 0; j < groups; j++)
            assert_true(reader_be32(&results, &value) && value == 2000 + j);
        assert_true(reader_xdr_opaque(&results, 300, &name, &value) && value == sys_cases[i].name_length);
        assert_true(reader_is_done(&results));
    }
}

static void machine_name_with_zero(void **state)
{
    uint8_t body[64];
    size_t length = sys_body(body, sizeof body, 8, 0, 0);

    (void)state;
    body[10] = '\0';
    rpcclient_credential(client, ONC_AUTH_SYS, body, length);
    assert_int_equal(rpcclient_call(client, ECHO_WHO, NULL, NULL), RPCCLIENT_AUTH_ERROR);
    assert_int_equal(client->auth_status, ONC__AUTH_BADCRED);
}

static void auth_none_is_nobody(void **state)
{
    struct reader results;
    uint32_t value;

    (void)state;
    rpcclient_none(client);
    assert_int_equal(rpcclient_call(client, ECHO_WHO, NULL, &results), RPCCLIENT_SUCCESS);
    assert_true(reader_be32(&results, &value) && value == ONC_AUTH_NONE);
    assert_true(reader_be32(&results, &value) && value == 65534);
    assert_true(reader_be32(&results, &value) && value == 65534);
    assert_true(reader_be32(&results, &value) && value == 0);
    assert_true(reader_be32(&results, &value) && value == 0);
    client->verifier_flavor = ONC_RPCSEC_GSS;
    assert_int_equal(rpcclient_call(client, ECHO_WHO, NULL, NULL), RPCCLIENT_AUTH_ERROR);
    assert_int_equal(client->auth_status, ONC__AUTH_BADVERF);
}

/* Bodies of credentials and verifiers of more than 400 bytes (RFC 5531 8.2), and headers that end early. */
static void header_cut_at_every_byte(void **state)
{
    uint8_t bytes[1024];
    struct writer writer;

    (void)state;
    for (size_t cut = 0; cut <= 40 + client->credential_length; cut += 4) {
        struct rpcclient *other = echo_client(RPCCLIENT_TCP);
        enum rpcclient_status status;
        struct reader results;
        uint32_t xid;

        writer_init(&writer, bytes, sizeof bytes);
        rpcclient_build(other, &writer, 99, ECHO_NULL, NULL);
        assert_int_equal(writer.length, 40 + other->credential_length);
        assert_true(rpcclient_send_message(other, bytes, cut));
        status = rpcclient_receive(other, &xid, &results);
        if (cut < 24)
            assert_int_equal(status, RPCCLIENT_CLOSED);
        else if (cut < writer.length)
            assert_int_equal(status, RPCCLIENT_AUTH_ERROR);
        else
            assert_int_equal(status, RPCCLIENT_SUCCESS);
        if (cut >= 24 && cut < writer.length)
            assert_int_equal(other->auth_status,
                             cut < writer.length - 8 ? ONC__AUTH_BADCRED : ONC__AUTH_BADVERF);
        rpcclient_close(&other);
    }
    rpcclient_credential(client, ONC_AUTH_SYS, bytes, 404);
    assert_int_equal(rpcclient_call(client, ECHO_NULL, NULL, NULL), RPCCLIENT_AUTH_ERROR);
    assert_int_equal(client->auth_status, ONC__AUTH_BADCRED);
}

/* Neither a call nor a reply: the connection ends. A reply to nothing is passed over. */
static void other_messages(void **state)
{
    static const uint8_t reply[] = {0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0};
    static const uint8_t type[] = {0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2};
    struct rpcclient *udp = echo_client(RPCCLIENT_UDP);
    struct reader message;

    (void)state;
    assert_true(rpcclient_send_message(udp, type, sizeof type));
    assert_true(rpcclient_send_message(udp, type, 3));
    assert_true(rpcclient_send_message(udp, type, 0));
    assert_int_equal(rpcclient_call(udp, ECHO_NULL, NULL, NULL), RPCCLIENT_SUCCESS);
    rpcclient_close(&udp);
    assert_true(rpcclient_send_message(client, reply, sizeof reply));
    assert_int_equal(rpcclient_call(client, ECHO_NULL, NULL, NULL), RPCCLIENT_SUCCESS);
    assert_true(rpcclient_send_message(client, type, sizeof type));
    assert_int_equal(rpcclient_receive_message(client, &message), RPCCLIENT_CLOSED);
    rpcclient_close(&client);
    client = echo_client(RPCCLIENT_TCP);
    assert_true(rpcclient_send_raw(client, "GET / HTTP/1.1\r\n\r\n", 18));
    assert_int_equal(rpcclient_receive_message(client, &message), RPCCLIENT_CLOSED);
    rpcclient_close(&client);
    client = echo_client(RPCCLIENT_TCP);
    assert_true(rpcclient_send_raw(client, "\x80\0\0\0", 4));
    assert_int_equal(rpcclient_receive_message(client, &message), RPCCLIENT_CLOSED);
    assert_int_equal(echo_counters().bad_records, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(header_cases, setup, teardown),
        cmocka_unit_test_setup_teardown(credential_cases, setup, teardown),
        cmocka_unit_test_setup_teardown(machine_name_with_zero, setup, teardown),
        cmocka_unit_test_setup_teardown(auth_none_is_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(header_cut_at_every_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(other_messages, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
