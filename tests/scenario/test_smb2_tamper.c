/*
 * test_smb2_tamper.c - SMB with somebody on the wire, or at the door: what is changed or sent again on its
 * way is refused, a changed NEGOTIATE or SESSION_SETUP leaves no session that could be used; logons that are
 * never ended, and ids that were not granted, cost nothing but themselves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "smb2wire_world.h"
#include "smb/smb2_priv.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define ACCESS_DENIED UINT32_C(0xc0000022)
#define MORE          UINT32_C(0xc0000016)

static struct smbworld *world;

static int set_up(void **state)
{
    struct vfs_export_config export = smbworld_export("a");

    (void)state;
    export.sync = false;
    simclock_install();
    world = smbworld_open_exports(&export, 1, NULL, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    smbworld_close(&world);
    simclock_remove();
    return 0;
}

static uint32_t echo(struct smb2wire *wire)
{
    smb2wire_begin(wire, WIRE2_ECHO);
    writer_le32(&wire->request, 4);
    return smb2wire_call(wire, NULL);
}

static struct smb2wire_file a_file(struct smb2wire *wire)
{
    struct smb2wire_file file = {0, 0};

    assert_int_equal(
        smb2wire_create(wire, &(struct smb2wire_create){.name = "file", .access = 0x12019f}, &file), 0);
    return file;
}

/* ---- NEGOTIATE ---- */

/* Sends the client's NEGOTIATE with the byte at AT changed by somebody else. */
static uint32_t changed_negotiate(struct smb2wire *wire, size_t at, uint8_t xor)
{
    struct smb2_part part;
    struct smb2wire_reply reply;
    uint32_t status;

    smb2wire_begin_negotiate(wire);
    part = (struct smb2_part){wire->request.data, wire->request.length};
    assert_int_equal(smb2_preauth_update(wire->preauth, &part, 1), ERR_OK);
    wire->request.data[at] ^= xor;
    status = smb2wire_call(wire, &reply);
    if (status == 0) {
        part = (struct smb2_part){reply.data, reply.length};
        assert_int_equal(smb2_preauth_update(wire->preauth, &part, 1), ERR_OK);
    }
    return status;
}

/* Whatever is changed in a NEGOTIATE of 3.1.1: no session comes of it that takes a request. */
static void negotiate_311(void **state)
{
    size_t length, usable = 0;
    struct smb2wire *wire = smb2wire_to(world);

    (void)state;
    smb2wire_begin_negotiate(wire);
    length = wire->request.length;
    smb2wire_close(&wire);
    for (size_t at = 4; at < length; at++) {
        uint32_t status;

        if (at >= 24 && at < 32) /* the id: another one may not come */
            continue;
        wire = smb2wire_to(world);
        status = changed_negotiate(wire, at, 0x01);
        if (status == 0 && smb2wire_logon(wire, "alice", "Passw0rd") == 0) {
            usable++;
            assert_int_not_equal(smb2wire_tree_connect(wire, "a"), 0);
        }
        smb2wire_close(&wire);
    }
    assert_true(usable > 20); /* of the padding, the salt.. */
}

static void put_validate(struct writer *writer, uint32_t capabilities, uint8_t guid, uint16_t mode,
                         uint16_t dialect)
{
    static const uint8_t guid_rest[15] = {2, 3};

    writer_le32(writer, capabilities);
    writer_u8(writer, guid);
    writer_bytes(writer, guid_rest, sizeof guid_rest);
    writer_le16(writer, mode);
    writer_le16(writer, 1);
    writer_le16(writer, dialect);
}

/* FSCTL_VALIDATE_NEGOTIATE_INFO ends a connection whose NEGOTIATE was changed (MS-SMB2 3.3.5.15.12). */
static void negotiate_300(void **state)
{
    static const struct {
        uint32_t capabilities;
        uint8_t guid;
        uint16_t mode, dialect;
        bool good;
    } cases[] = {
        {0x7f, 1, 1, 0x0300, true},  {0x3f, 1, 1, 0x0300, false}, {0x7f, 9, 1, 0x0300, false},
        {0x7f, 1, 3, 0x0300, false}, {0x7f, 1, 1, 0x0302, false}, {0x7f, 1, 1, 0x0210, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct smb2wire *wire = smb2wire_client(world, 0x0300);
        struct smb2wire_reply reply;
        uint8_t bytes[64];
        struct writer input;
        uint32_t status;

        writer_init(&input, bytes, sizeof bytes);
        put_validate(&input, cases[i].capabilities, cases[i].guid, cases[i].mode, cases[i].dialect);
        smb2wire_begin_ioctl(wire, smb2wire_same_file, 0x00140204, input.data, (uint32_t)input.length, 24);
        status = smb2wire_call(wire, &reply);
        assert_int_equal(status, cases[i].good ? 0 : SMB2WIRE_GONE);
        if (cases[i].good) {
            assert_int_equal(reply.length, SMB2_HEADER_SIZE + 48 + 24);
            assert_int_equal(reply.body.at[48 + 22], 0x00);
            assert_int_equal(reply.body.at[48 + 23], 0x03);
            assert_int_equal(echo(wire), 0);
        } else {
            assert_true(smb2wire_is_closed(wire));
        }
        smb2wire_close(&wire);
    }
}

/* ---- SESSION_SETUP ---- */

/* The first SESSION_SETUP and its reply, either with a byte changed on the way, give other keys. */
static void session_setup_311(void **state)
{
    (void)state;
    for (unsigned which = 0; which < 3; which++) {
        struct smb2wire *wire = smb2wire_to(world);

        assert_int_equal(smb2wire_negotiate(wire), 0);
        /* What the client hashed is not what the server did: before, or within the logon. */
        wire->preauth[which * 20] ^= 1;
        assert_int_equal(smb2wire_logon(wire, "alice", "Passw0rd"), 0);
        assert_int_equal(smb2wire_tree_connect(wire, "a"), ACCESS_DENIED);
        assert_int_equal(smb2wire_tree_connect(wire, "a"), ACCESS_DENIED);
        wire->encrypts = true;
        assert_int_equal(smb2wire_tree_connect(wire, "a"), SMB2WIRE_GONE);
        assert_true(smb2wire_is_closed(wire));
        smb2wire_close(&wire);
    }
}

/* A logon's reply that the client must not believe: nobody but who knows the password can sign. */
static void wrong_password(void **state)
{
    struct smb2wire *wire = smb2wire_to(world);

    (void)state;
    assert_int_equal(smb2wire_negotiate(wire), 0);
    assert_int_equal(smb2wire_logon(wire, "alice", "passw0rd"), 0xc000006d);
    assert_int_equal(smb2wire_logon(wire, "nobody", "Passw0rd"), 0xc0000203); /* that session is over */
    wire->session_id = 0;
    assert_int_equal(smb2wire_logon(wire, "nobody", "Passw0rd"), 0xc000006d);
    wire->session_id = 0;
    assert_int_equal(smb2wire_logon(wire, "alice", "Passw0rd"), 0);
    smb2wire_close(&wire);
}

/* ---- messages ---- */

static void changed_messages(struct smb2wire *wire, uint32_t status)
{
    struct smb2wire_file file = a_file(wire);
    size_t length;

    smb2wire_begin_write(wire, file, 0, "the right content", 17, 0);
    assert_true(smb2wire_seal(wire));
    length = wire->sealed.length;
    wire->next_message--;
    for (size_t at = 4; at < length; at += at < 60 ? 1 : 7) {
        struct smb2wire_reply reply;

        /* Of the header: what stands before and around the signature is looked at first. */
        if (status == ACCESS_DENIED && at < 4 + SMB2_SIGNATURE_OFFSET)
            continue;
        smb2wire_begin_write(wire, file, 0, "the right content", 17, 0);
        assert_true(smb2wire_seal(wire));
        wire->sealed.data[at] ^= 0x40;
        assert_true(smb2wire_send_raw(wire, wire->sealed.data, wire->sealed.length));
        if (status == SMB2WIRE_GONE) {
            assert_true(smb2wire_is_closed(wire));
            return;
        }
        assert_true(smb2wire_receive(wire, &reply));
        assert_int_equal(reply.status, status);
    }
}

static void signed_messages(void **state)
{
    static const uint16_t dialects[] = {0x0202, 0x0210, 0x0300, 0x0302, 0x0311};

    (void)state;
    for (size_t i = 0; i < sizeof dialects / sizeof *dialects; i++) {
        struct smb2wire *wire = smb2wire_client(world, dialects[i]);
        struct smb2wire_file file;
        char content[17];
        uint32_t got;

        changed_messages(wire, ACCESS_DENIED);
        file = a_file(wire);
        assert_int_not_equal(smb2wire_read(wire, file, 0, content, sizeof content, &got),
                             0); /* still empty */
        smb2wire_close(&wire);
    }
}

static void encrypted_messages(void **state)
{
    static const struct {
        uint16_t dialect;
        enum smb2_cipher cipher;
    } cases[] = {{0x0300, SMB2_CIPHER_AES128_CCM}, {0x0302, SMB2_CIPHER_AES128_CCM},
                 {0x0311, SMB2_CIPHER_AES128_CCM}, {0x0311, SMB2_CIPHER_AES128_GCM},
                 {0x0311, SMB2_CIPHER_AES256_CCM}, {0x0311, SMB2_CIPHER_AES256_GCM}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t at = 4; at < 200; at += 3) {
            struct smb2wire *wire = smb2wire_to(world);

            wire->dialect = cases[i].dialect;
            wire->cipher = cases[i].cipher;
            assert_int_equal(smb2wire_negotiate(wire), 0);
            assert_int_equal(smb2wire_logon(wire, "alice", "Passw0rd"), 0);
            wire->encrypts = true;
            assert_int_equal(smb2wire_tree_connect(wire, "a"), 0);
            smb2wire_begin_write(wire, smb2wire_same_file, 0, "0123456789012345678901234567890123456789", 40,
                                 0);
            assert_true(smb2wire_seal(wire));
            if (at < wire->sealed.length) {
                wire->sealed.data[at] ^= 4;
                assert_true(smb2wire_send_raw(wire, wire->sealed.data, wire->sealed.length));
                assert_true(smb2wire_is_closed(wire));
            }
            smb2wire_close(&wire);
        }
    }
}

/* What was sent once, sent again: its id is used. */
static void replayed(void **state)
{
    (void)state;
    for (int encrypts = 0; encrypts < 2; encrypts++) {
        struct smb2wire *wire = smb2wire_client(world, 0);
        struct smb2wire_file file = a_file(wire);
        struct smb2wire_reply reply;

        wire->encrypts = encrypts;
        smb2wire_begin_write(wire, file, 0, "once", 4, 0);
        assert_true(smb2wire_seal(wire));
        assert_true(smb2wire_send_raw(wire, wire->sealed.data, wire->sealed.length));
        assert_true(smb2wire_receive(wire, &reply));
        assert_int_equal(reply.status, 0);
        assert_true(smb2wire_send_raw(wire, wire->sealed.data, wire->sealed.length));
        assert_true(smb2wire_is_closed(wire));
        smb2wire_close(&wire);
    }
}

/* What the server said, said to the server. */
static void reflected(void **state)
{
    struct smb2wire *wire = smb2wire_client(world, 0);

    (void)state;
    assert_int_equal(echo(wire), 0);
    assert_true(smb2wire_send_raw(wire, wire->in.data, wire->in.length));
    assert_true(smb2wire_is_closed(wire));
    smb2wire_close(&wire);
}

/* An encrypted message may not carry one of another session, nor may a session that encrypts be talked to in
 * the clear when the server wants it so. */
static void encryption_required(void **state)
{
    struct smb_options options = {.encryption = SMB_ENCRYPT_REQUIRED};
    struct vfs_export_config export = smbworld_export("a");
    struct smb2wire *wire;

    (void)state;
    smbworld_close(&world);
    world = smbworld_open_exports(&export, 1, NULL, &options);
    wire = smb2wire_client(world, 0);
    assert_true(wire->session_encrypts);
    wire->session_encrypts = false;
    assert_int_equal(smb2wire_tree_connect(wire, "a"), ACCESS_DENIED);
    smb2wire_close(&wire);
    /* Who can't encrypt does not get in. */
    wire = smb2wire_to(world);
    wire->dialect = 0x0210;
    assert_int_equal(smb2wire_negotiate(wire), 0);
    assert_int_equal(smb2wire_logon(wire, "alice", "Passw0rd"), ACCESS_DENIED);
    smb2wire_close(&wire);
}

/* ---- at the door ---- */

static uint32_t half_open(struct smb2wire *wire)
{
    static const uint8_t token[] = {'N', 'T', 'L', 'M', 'S', 'S', 'P', 0, 1, 0, 0, 0, 0x35, 0x82, 0x08, 0x60};
    struct writer *writer = &wire->request;

    wire->session_id = 0;
    smb2wire_begin(wire, WIRE2_SESSION_SETUP);
    writer_le16(writer, 25);
    writer_le16(writer, 0x100);
    writer_le64(writer, 0);
    writer_le16(writer, SMB2_HEADER_SIZE + 24);
    writer_le16(writer, 32);
    writer_le64(writer, 0);
    writer_bytes(writer, token, sizeof token);
    writer_zeros(writer, 16);
    return smb2wire_call(wire, NULL);
}

/* 500 logons that are not ended: bounded on a connection, gone after a while, and in nobody's way. */
static void half_open_sessions(void **state)
{
    enum { CONNECTIONS = 10, EACH = 50, OVER = 200, LOGON_MS = 46 * 1000 };
    struct smb2wire *wires[CONNECTIONS], *wire;
    unsigned refused = 0;

    (void)state;
    for (int i = 0; i < CONNECTIONS; i++) {
        wires[i] = smb2wire_to(world);
        wires[i]->asks = 8;
        assert_int_equal(smb2wire_negotiate(wires[i]), 0);
        for (int j = 0; j < EACH; j++)
            assert_int_equal(half_open(wires[i]), MORE);
    }
    for (int j = 0; j < OVER; j++)
        refused += half_open(wires[0]) != MORE;
    assert_true(refused >= OVER - 64);
    wire = smb2wire_client(world, 0);
    assert_int_equal(echo(wire), 0);
    /* Somebody else's delay is not his. */
    nfsworld_advance(world->nfs, LOGON_MS);
    for (int i = 0; i < CONNECTIONS; i++) {
        assert_true(smb2wire_is_closed(wires[i]));
        smb2wire_close(&wires[i]);
    }
    assert_int_equal(echo(wire), 0);
    smb2wire_close(&wire);
}

/* ---- credits ---- */

static void credits(void **state)
{
    struct smb2wire *wire = smb2wire_client(world, 0);

    (void)state;
    /* However many are asked for, only so many can be used ahead. */
    wire->asks = UINT16_MAX;
    for (int i = 0; i < 100; i++)
        assert_int_equal(echo(wire), 0);
    assert_in_range(wire->credits, 1, SMB2_CREDITS_MAX);
    /* Who asks for none still gets one back for each. */
    wire->asks = 0;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(echo(wire), 0);
    assert_true(wire->credits > 0);
    /* An id beyond is the end. */
    wire->next_message += wire->credits;
    assert_int_equal(echo(wire), SMB2WIRE_GONE);
    smb2wire_close(&wire);
}

/* A charge that the ids don't cover, and data that the charge does not. */
static void charges(void **state)
{
    struct smb2wire *wire = smb2wire_client(world, 0);
    struct smb2wire_file file = a_file(wire);

    (void)state;
    wire->charge = 1;
    smb2wire_begin_read(wire, file, 0, 65537);
    assert_int_equal(smb2wire_call(wire, NULL), 0xc000000d);
    wire->charge = 2;
    smb2wire_begin_read(wire, file, 0, 65537);
    assert_int_equal(smb2wire_call(wire, NULL), 0xc0000011);
    wire->charge = 64;
    smb2wire_begin_read(wire, file, 0, 2 << 20);
    assert_int_equal(smb2wire_call(wire, NULL), 0xc000000d);
    wire->charge = UINT16_MAX;
    smb2wire_begin_read(wire, file, 0, 1);
    assert_int_equal(smb2wire_call(wire, NULL), SMB2WIRE_GONE);
    smb2wire_close(&wire);
}

/* Ids that come in any order, each once. */
static void ids_out_of_order(void **state)
{
    struct smb2wire *wire = smb2wire_client(world, 0);
    uint64_t first;

    (void)state;
    wire->asks = 64;
    for (int i = 0; i < 8; i++)
        assert_int_equal(echo(wire), 0);
    first = wire->next_message;
    for (int i = 15; i >= 0; i--) {
        wire->next_message = first + (uint64_t)i;
        assert_int_equal(echo(wire), 0);
    }
    wire->next_message = first + 3;
    assert_int_equal(echo(wire), SMB2WIRE_GONE);
    smb2wire_close(&wire);
}

/* ---- frames ---- */

/* Requests that come in any pieces, with keep-alives between them. */
static void pieces(void **state)
{
    static const uint8_t keep_alive[4] = {0x85};
    struct smb2wire *wire = smb2wire_client(world, 0);
    struct smb2wire_file file = a_file(wire);
    struct smb2wire_reply reply;

    (void)state;
    for (size_t piece = 1; piece < 40; piece += piece < 8 ? 1 : 7) {
        struct writer all;

        writer_init_growing(&all, 1 << 20);
        for (unsigned i = 0; i < 20; i++) {
            smb2wire_begin_write(wire, file, i * 1000, "0123456789", 10, 0);
            assert_true(smb2wire_seal(wire));
            if (i % 3 == 0)
                writer_bytes(&all, keep_alive, sizeof keep_alive);
            writer_bytes(&all, wire->sealed.data, wire->sealed.length);
        }
        for (size_t at = 0; at < all.length; at += piece) {
            assert_true(
                smb2wire_send_raw(wire, all.data + at, piece < all.length - at ? piece : all.length - at));
            nfsworld_turn(world->nfs, 1);
        }
        writer_free(&all);
        for (unsigned i = 0; i < 20; i++) {
            assert_true(smb2wire_receive(wire, &reply));
            assert_int_equal(reply.status, 0);
        }
    }
    smb2wire_close(&wire);
}

/* Somebody who asks for much and reads nothing: the server stops reading, too, and goes on where it was. */
static void replies_not_read(void **state)
{
    enum { READS = 3000, SIZE = 16384, TURNS = 20 };
    static uint8_t data[SIZE];
    struct smb2wire *wire = smb2wire_client(world, 0);
    struct smb2wire_file file = a_file(wire);
    struct smb2wire_reply reply;
    struct reader got;
    struct writer all;
    size_t sent = 0;
    uint64_t first;

    (void)state;
    memset(data, 'd', sizeof data);
    assert_int_equal(smb2wire_write(wire, file, 0, data, sizeof data), 0);
    wire->asks = UINT16_MAX;
    assert_int_equal(echo(wire), 0);
    assert_true(wire->credits > READS);
    first = wire->next_message;
    writer_init_growing(&all, 4 << 20);
    for (unsigned i = 0; i < READS; i++) {
        smb2wire_begin_read(wire, file, 0, SIZE);
        assert_true(smb2wire_seal(wire));
        writer_bytes(&all, wire->sealed.data, wire->sealed.length);
    }
    /* As much as goes without a reply being read, and some turns more: what is queued is bounded. */
    for (unsigned still = 0; sent < all.length && still < TURNS; still++) {
        ssize_t now = send(wire->fd, all.data + sent, all.length - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (now > 0) {
            sent += (size_t)now;
            still = 0;
        }
        nfsworld_turn(world->nfs, 4);
    }
    assert_true(buf_bytes_in_use() < (size_t)READS * SIZE / 2);
    for (unsigned i = 0; i < READS; i++) {
        if (sent < all.length) {
            ssize_t now = send(wire->fd, all.data + sent, all.length - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

            sent += now > 0 ? (size_t)now : 0;
        }
        assert_true(smb2wire_receive(wire, &reply));
        assert_int_equal(reply.message_id, first + i);
        assert_true(smb2wire_read_data(&reply, &got));
        assert_int_equal(got.left, SIZE);
    }
    assert_int_equal(sent, all.length);
    writer_free(&all);
    assert_int_equal(echo(wire), 0);
    smb2wire_close(&wire);
}

/* A burst that is read at once and can't be answered at once: nothing more comes to wake the server up. */
static void a_burst(void **state)
{
    enum { READS = 60, SIZE = 131072 };
    static uint8_t data[SIZE];
    struct smb2wire *wire = smb2wire_client(world, 0);
    struct smb2wire_file file = a_file(wire);
    struct smb2wire_reply reply;
    struct writer all;

    (void)state;
    assert_int_equal(smb2wire_write(wire, file, 0, data, sizeof data), 0);
    wire->asks = 512;
    assert_int_equal(echo(wire), 0);
    writer_init_growing(&all, 1 << 20);
    for (unsigned i = 0; i < READS; i++) {
        smb2wire_begin_read(wire, file, 0, SIZE);
        assert_true(smb2wire_seal(wire));
        writer_bytes(&all, wire->sealed.data, wire->sealed.length);
    }
    assert_true(smb2wire_send_raw(wire, all.data, all.length));
    for (unsigned i = 0; i < READS; i++) {
        assert_true(smb2wire_receive(wire, &reply));
        assert_int_equal(reply.status, 0);
    }
    writer_free(&all);
    smb2wire_close(&wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(negotiate_311, set_up, tear_down),
        cmocka_unit_test_setup_teardown(negotiate_300, set_up, tear_down),
        cmocka_unit_test_setup_teardown(session_setup_311, set_up, tear_down),
        cmocka_unit_test_setup_teardown(wrong_password, set_up, tear_down),
        cmocka_unit_test_setup_teardown(signed_messages, set_up, tear_down),
        cmocka_unit_test_setup_teardown(encrypted_messages, set_up, tear_down),
        cmocka_unit_test_setup_teardown(replayed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reflected, set_up, tear_down),
        cmocka_unit_test_setup_teardown(encryption_required, set_up, tear_down),
        cmocka_unit_test_setup_teardown(half_open_sessions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(credits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(charges, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ids_out_of_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pieces, set_up, tear_down),
        cmocka_unit_test_setup_teardown(replies_not_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_burst, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
