/*
 * test_smb2_start.c - how clients come in, on the wire: the start over SMB1 (MS-SMB2 3.3.5.3), which is all
 * that is left of it, and the time that wrong passwords cost.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "loopback.h"
#include "smb2wire_world.h"
#include "smb/smb2_priv.h"

#include <arpa/inet.h>
#include <string.h>

#define LOGON_FAILURE UINT32_C(0xc000006d)

enum { WILDCARD = 0x02ff, SMB1_NEGOTIATE = 0x72, SMB1_ECHO = 0x2b, STEP_MS = 10 };

static struct smbworld *world;

static int set_up(void **state)
{
    (void)state;
    simclock_install();
    world = smbworld_open(NULL, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    smbworld_close(&world);
    simclock_remove();
    return 0;
}

/* ---- the start over SMB1 ---- */

struct smb1 {
    uint8_t bytes[256];
    size_t length; /* with the frame's head of four bytes */
};

/* An SMB1 message whose data are the dialects TEXTS, each behind its mark (MS-CIFS 2.2.4.52.1). */
static struct smb1 smb1_message(uint8_t command, const char *const *texts)
{
    struct smb1 message;
    struct writer writer;
    size_t data;

    writer_init(&writer, message.bytes, sizeof message.bytes);
    writer_be32(&writer, 0);
    writer_bytes(&writer, "\xffSMB", 4);
    writer_u8(&writer, command);
    writer_zeros(&writer, 32 - 5);
    writer_u8(&writer, 0); /* words */
    writer_le16(&writer, 0);
    data = writer.length;
    for (; *texts != NULL; texts++) {
        writer_u8(&writer, 2);
        writer_bytes(&writer, *texts, strlen(*texts) + 1);
    }
    writer_patch_le16(&writer, data - 2, (uint16_t)(writer.length - data));
    message.bytes[3] = (uint8_t)(writer.length - 4);
    message.length = writer.length;
    assert_true(!writer.failed && writer.length < 256);
    return message;
}

static void send_smb1(struct smb2wire *wire, const struct smb1 *message)
{
    assert_true(smb2wire_send_raw(wire, message->bytes, message->length));
}

/* The dialect of the SMB2 answer; the client goes on as after message 0. */
static uint16_t answered_dialect(struct smb2wire *wire)
{
    struct smb2wire_reply reply;
    uint16_t dialect = 0;

    assert_true(smb2wire_receive(wire, &reply));
    assert_int_equal(reply.command, WIRE2_NEGOTIATE);
    assert_int_equal(reply.status, 0);
    assert_int_equal(reply.message_id, 0);
    assert_int_equal(reply.credits, 1);
    assert_true(reader_skip(&reply.body, 4) && reader_le16(&reply.body, &dialect));
    wire->next_message = 1;
    wire->credits = 1;
    return dialect;
}

static const char *const both[] = {"PC NETWORK PROGRAM 1.0", "NT LM 0.12", "SMB 2.002", "SMB 2.???", NULL};
static const char *const both_turned[] = {"SMB 2.???", "SMB 2.002", "NT LM 0.12", NULL};
static const char *const any_alone[] = {"SMB 2.???", NULL};
static const char *const first_alone[] = {"NT LM 0.12", "SMB 2.002", NULL};
static const char *const only_smb1[] = {"NT LM 0.12", NULL};
static const char *const none[] = {NULL};

static void use(struct smb2wire *wire)
{
    struct smb2wire_file file = {0, 0};

    assert_int_equal(smb2wire_logon(wire, "alice", "Passw0rd"), 0);
    assert_int_equal(smb2wire_tree_connect(wire, "a"), 0);
    assert_int_equal(smb2wire_create(wire, &(struct smb2wire_create){.name = "file"}, &file), 0);
    assert_int_equal(smb2wire_close_file(wire, file), 0);
}

/* "SMB 2.???": any dialect follows in an SMB2 NEGOTIATE, which counts as the first one. */
static void any_dialect(void **state)
{
    static const char *const *const offers[] = {both, both_turned, any_alone};
    static const uint16_t dialects[] = {0x0202, 0x0210, 0x0300, 0x0302, 0x0311};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < sizeof dialects / sizeof *dialects; j++) {
            struct smb1 message = smb1_message(SMB1_NEGOTIATE, offers[i]);
            struct smb2wire *wire = smb2wire_to(world);

            wire->dialect = dialects[j];
            send_smb1(wire, &message);
            assert_int_equal(answered_dialect(wire), WILDCARD);
            assert_int_equal(smb2wire_negotiate(wire), 0);
            use(wire);
            smb2wire_close(&wire);
        }
    }
}

/* "SMB 2.002" is that dialect, and there is nothing more to say of it. */
static void first_dialect(void **state)
{
    struct smb1 message = smb1_message(SMB1_NEGOTIATE, first_alone);
    struct smb2wire *wire = smb2wire_to(world);

    (void)state;
    send_smb1(wire, &message);
    assert_int_equal(answered_dialect(wire), 0x0202);
    wire->dialect = 0x0202;
    wire->signing = SMB2_SIGNING_HMAC_SHA256;
    wire->cipher = SMB2_CIPHER_NONE;
    use(wire);
    smb2wire_begin_negotiate(wire);
    assert_true(smb2wire_send(wire));
    assert_true(smb2wire_is_closed(wire));
    smb2wire_close(&wire);
}

/* A server that does without 2.0.2 goes on with whoever can do more. */
static void first_dialect_refused(void **state)
{
    struct smb_options options = {.least_dialect = 0x0210};
    struct smb1 message = smb1_message(SMB1_NEGOTIATE, first_alone);
    struct smb2wire *wire;

    (void)state;
    smbworld_close(&world);
    world = smbworld_open(NULL, &options);
    wire = smb2wire_to(world);
    send_smb1(wire, &message);
    assert_true(smb2wire_is_closed(wire));
    smb2wire_close(&wire);
    wire = smb2wire_to(world);
    message = smb1_message(SMB1_NEGOTIATE, both);
    send_smb1(wire, &message);
    assert_int_equal(answered_dialect(wire), WILDCARD);
    assert_int_equal(smb2wire_negotiate(wire), 0);
    use(wire);
    smb2wire_close(&wire);
}

static void ends_connection(const struct smb1 *message, const char *what)
{
    struct smb2wire *wire = smb2wire_to(world);
    struct smb2wire_reply reply;

    send_smb1(wire, message);
    if (smb2wire_receive(wire, &reply) || !smb2wire_is_closed(wire))
        fail_msg("%s: there is an answer", what);
    smb2wire_close(&wire);
}

/* What is no NEGOTIATE for SMB2 ends the connection, without an answer. */
static void malformed(void **state)
{
    const struct smb1 good = smb1_message(SMB1_NEGOTIATE, both);
    enum { WORDS = 4 + 32, BYTES = WORDS + 1, FIRST = BYTES + 2 };
    struct smb1 message;

    (void)state;
    message = smb1_message(SMB1_NEGOTIATE, only_smb1);
    ends_connection(&message, "SMB1 alone");
    message = smb1_message(SMB1_NEGOTIATE, none);
    ends_connection(&message, "no dialects");
    message = smb1_message(SMB1_ECHO, both);
    ends_connection(&message, "another command");
    for (size_t length = 4; length < good.length - 4; length++) {
        message = good;
        message.bytes[3] = (uint8_t)length;
        message.length = 4 + length;
        ends_connection(&message, "cut");
    }
    message = good;
    message.bytes[WORDS] = 1;
    ends_connection(&message, "words");
    message = good;
    message.bytes[BYTES]++;
    ends_connection(&message, "more dialects than bytes");
    message = good;
    message.bytes[BYTES]--;
    ends_connection(&message, "a dialect without an end");
    message = good;
    message.bytes[FIRST] = 4;
    ends_connection(&message, "another mark");
}

/* Once SMB2 was agreed on, and even while it is, there is no way back. */
static void smb1_afterwards(void **state)
{
    struct smb1 message = smb1_message(SMB1_NEGOTIATE, both), echo = smb1_message(SMB1_ECHO, none);
    struct smb2wire *wire = smb2wire_to(world);

    (void)state;
    send_smb1(wire, &message);
    assert_int_equal(answered_dialect(wire), WILDCARD);
    send_smb1(wire, &message);
    assert_true(smb2wire_is_closed(wire));
    smb2wire_close(&wire);
    for (unsigned i = 0; i < 2; i++) {
        wire = smb2wire_client(world, 0);
        send_smb1(wire, i == 0 ? &message : &echo);
        assert_true(smb2wire_is_closed(wire));
        smb2wire_close(&wire);
    }
    /* nor may anything but NEGOTIATE come next */
    wire = smb2wire_to(world);
    send_smb1(wire, &message);
    assert_int_equal(answered_dialect(wire), WILDCARD);
    assert_int_equal(smb2wire_logon(wire, "alice", "Passw0rd"), SMB2WIRE_GONE);
    assert_true(smb2wire_is_closed(wire));
    smb2wire_close(&wire);
}

/* ---- wrong passwords ---- */

static const char *trying; /* the user */

/* Time goes on while an answer to him is held back, and stands still else: how long it takes does not depend
 * on the machine. */
static void pump(void *data)
{
    struct loop *loop = world->nfs->loop;
    struct in_addr host = {.s_addr = htonl(INADDR_LOOPBACK)};

    (void)data;
    loop_run_once(loop, false);
    if (cred_delays_wait_ms(world->server->delays, &host, sizeof host, trying) == 0)
        return;
    simclock_advance_ms(STEP_MS);
    loop_run_timers(loop);
}

/* Logs on over a connection of its own: how long the answer took. */
static uint64_t try(const char *user, const char *password, uint32_t status)
{
    struct smb2wire *wire = smb2wire_open(loopback_address(), world->port, pump, NULL);
    uint64_t before;

    assert_non_null(wire);
    trying = user;
    assert_int_equal(smb2wire_negotiate(wire), 0);
    before = clock_monotonic_ms();
    assert_int_equal(smb2wire_logon(wire, user, password), status);
    smb2wire_close(&wire);
    return clock_monotonic_ms() - before;
}

/* People mistype twice; from then on each try takes twice as long. Others are not made to wait for that. */
static void delays(void **state)
{
    static const uint64_t wanted[] = {0, 0, 250, 500, 1000, 2000, 4000, 8000};

    (void)state;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        assert_int_equal(try("alice", "wrong", LOGON_FAILURE), wanted[i]);
    assert_int_equal(try("\xc3\x9cnal", "Passw0rd", 0), 0);
    /* Who knows the password begins anew. */
    assert_int_equal(try("alice", "Passw0rd", 0), 0);
    assert_int_equal(try("alice", "wrong", LOGON_FAILURE), 0);
    assert_int_equal(try("alice", "wrong", LOGON_FAILURE), 0);
}

/* Another name for each try does not help, nor does one that is nobody's. */
static void delays_of_a_host(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 10; i++) {
        char name[] = {'n', (char)('a' + i), 0};

        assert_int_equal(try(name, "wrong", LOGON_FAILURE), 0);
    }
    assert_int_equal(try("other", "wrong", LOGON_FAILURE), 250);
    assert_int_equal(try("alice", "wrong", LOGON_FAILURE), 500);
}

/* ---- who may not come in any more ---- */

/* With a user all his sessions end, and what they have open; others' don't. */
static void user_gone(void **state)
{
    struct smb2wire *first = smb2wire_client(world, 0), *second = smb2wire_client(world, 0x0210);
    struct smb2wire *other = smb2wire_to(world);
    struct smb2wire_file file = {0, 0};
    struct state_counters counters;

    (void)state;
    assert_int_equal(smb2wire_create(first, &(struct smb2wire_create){.name = "f"}, &file), 0);
    assert_int_equal(smb2wire_negotiate(other), 0);
    assert_int_equal(smb2wire_logon(other, "\xc3\x9cnal", "Passw0rd"), 0);
    assert_int_equal(smb2wire_tree_connect(other, "a"), 0);
    smb_user_disconnect(world->server, "nobody");
    assert_int_equal(smb2wire_tree_connect(first, "a"), 0);
    smb_user_disconnect(world->server, "alice");
    state_counters(world->nfs->state, &counters);
    assert_int_equal(counters.opens, 0);
    assert_int_equal(smb2wire_tree_connect(first, "a"), STATUS_USER_SESSION_DELETED);
    assert_int_equal(smb2wire_tree_connect(second, "a"), STATUS_USER_SESSION_DELETED);
    assert_int_equal(smb2wire_tree_connect(other, "a"), 0);
    smb2wire_close(&first);
    smb2wire_close(&second);
    smb2wire_close(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(any_dialect, set_up, tear_down),
        cmocka_unit_test_setup_teardown(first_dialect, set_up, tear_down),
        cmocka_unit_test_setup_teardown(first_dialect_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(malformed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(smb1_afterwards, set_up, tear_down),
        cmocka_unit_test_setup_teardown(delays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(delays_of_a_host, set_up, tear_down),
        cmocka_unit_test_setup_teardown(user_gone, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
