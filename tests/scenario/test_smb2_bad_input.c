/*
 * test_smb2_bad_input.c - SMB and what no client should send, by a user who is logged on: every length,
 * offset and count of every command at its borders, requests that are cut, information levels that are none,
 * headers and chains that are broken, ids that were never given. Each request is answered once, or the
 * connection ends where MS-SMB2 says so; the server goes on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "smb2wire_world.h"

#include <stdlib.h>
#include <string.h>

static struct smbworld *world;
static struct smb2wire *wire;
static struct smb2wire_file file, dir;

static void open_files(void)
{
    static uint8_t page[4096];

    assert_int_equal(
        smb2wire_create(wire, &(struct smb2wire_create){.name = "file", .access = 0x13019f}, &file), 0);
    assert_int_equal(
        smb2wire_create(wire, &(struct smb2wire_create){.name = "dir", .access = 0x12019f, .options = 1},
                        &dir),
        0);
    assert_int_equal(smb2wire_write(wire, file, 0, page, sizeof page), 0);
}

static void connect_again(void)
{
    smb2wire_close(&wire);
    wire = smb2wire_client(world, 0);
    wire->pump = smb2wire_hasty_pump;
    open_files();
}

static int set_up(void **state)
{
    struct vfs_export_config export = smbworld_export("a");

    (void)state;
    export.sync = false;
    simclock_install();
    world = smbworld_open_exports(&export, 1, NULL, NULL);
    connect_again();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    smb2wire_close(&wire);
    smbworld_close(&world);
    simclock_remove();
    return 0;
}

/* ---- what is done to them ---- */

/* Takes away what the next try needs. */
static bool spoils(uint16_t command)
{
    return command == WIRE2_LOGOFF || command == WIRE2_TREE_DISCONNECT || command == WIRE2_CLOSE;
}

/* Sends what was built. One answer, or the end; a new connection after that. Gives the status. */
static uint32_t deliver(uint16_t command)
{
    uint64_t id = command == WIRE2_CANCEL ? UINT64_MAX : wire->next_message - 1;
    struct smb2wire_outcome outcome;
    bool stays = smb2wire_send(wire) && smb2wire_settle(wire, id, &outcome);

    assert_false(wire->broken);
    if (stays) {
        if (command != WIRE2_CANCEL)
            assert_int_equal(outcome.replies, 1);
        if (outcome.status == 0 && spoils(command))
            connect_again();
        return command == WIRE2_CANCEL ? 0 : outcome.status;
    }
    connect_again();
    return SMB2WIRE_GONE;
}

static void put(size_t at, uint64_t value, size_t width)
{
    for (size_t i = 0; i < width && at + i < wire->request.length; i++)
        wire->request.data[at + i] = (uint8_t)(value >> 8 * i);
}

static void try_value(uint16_t command, unsigned variant, size_t at, uint64_t value, size_t width)
{
    smb2wire_begin_sample(wire, command, file, dir, variant);
    put(at, value, width);
    if (deliver(command) == SMB2WIRE_GONE && command != WIRE2_NEGOTIATE)
        fail_msg("command %u: %zu bytes at %zu as %#llx end the connection", command, width, at,
                 (unsigned long long)value);
}

/* Is the file still there, and not another one in its place? */
static void still_serves(void)
{
    struct smb2wire_reply reply;

    smb2wire_begin_query_info(wire, file, 1, 4, 64);
    assert_int_equal(smb2wire_call(wire, &reply), 0);
}

static void borders_of(uint16_t command, unsigned variant)
{
    static const uint8_t bytes[] = {0, 1, 0x7f, 0x80, 0xff};
    static const uint64_t longs[] = {UINT64_MAX, INT64_MAX, UINT64_C(1) << 63, UINT64_MAX - 4095};
    size_t length;

    smb2wire_begin_sample(wire, command, file, dir, variant);
    length = wire->request.length;
    smb2wire_drop(wire);
    wire->next_message -= command != WIRE2_CANCEL;
    for (size_t at = SMB2_HEADER_SIZE; at < length; at++) {
        const uint64_t shorts[] = {length, length - 1, length + 1, SMB2_HEADER_SIZE,     0x7fff, 0x8000,
                                   0xffff, 0xfff8,     length - 8, SMB2_HEADER_SIZE - 1, 8,      2};
        const uint64_t words[] = {0x7fffffff, 0x80000000, 0xffffffff, 0xfffffff8, 0x100000, 0x100001, 65537};

        for (size_t i = 0; i < sizeof bytes; i++)
            try_value(command, variant, at, bytes[i], 1);
        for (size_t i = 0; at % 2 == 0 && i < sizeof shorts / sizeof *shorts; i++)
            try_value(command, variant, at, shorts[i], 2);
        for (size_t i = 0; at % 4 == 0 && i < sizeof words / sizeof *words; i++)
            try_value(command, variant, at, words[i], 4);
        for (size_t i = 0; at % 8 == 0 && i < sizeof longs / sizeof *longs; i++)
            try_value(command, variant, at, longs[i], 8);
    }
    still_serves();
}

static void borders(void **state)
{
    (void)state;
    for (uint16_t command = WIRE2_NEGOTIATE + 1; command < WIRE2_COMMANDS; command++)
        borders_of(command, 0);
    for (unsigned variant = 1; variant < 8; variant++)
        borders_of(WIRE2_CREATE, variant);
    for (unsigned variant = 1; variant < 8; variant++)
        borders_of(WIRE2_SET_INFO, variant);
    borders_of(WIRE2_OPLOCK_BREAK, 1);
}

static void cut(void **state)
{
    const unsigned variant = 3;

    (void)state;
    for (uint16_t command = WIRE2_NEGOTIATE + 1; command < WIRE2_COMMANDS; command++) {
        size_t length;

        smb2wire_begin_sample(wire, command, file, dir, variant);
        length = wire->request.length;
        smb2wire_drop(wire);
        wire->next_message -= command != WIRE2_CANCEL;
        for (size_t left = SMB2_HEADER_SIZE; left < length; left++) {
            smb2wire_begin_sample(wire, command, file, dir, variant);
            writer_truncate(&wire->request, left);
            if (deliver(command) == SMB2WIRE_GONE)
                fail_msg("command %u: cut to %zu bytes ends the connection", command, left);
        }
        still_serves();
    }
}

/* ---- levels ---- */

static void levels(void **state)
{
    static const uint32_t lengths[] = {0, 1, 7, 8, 24, 64, 4096, 65536};
    static uint8_t data[600];
    struct smb2wire_reply reply;

    (void)state;
    for (unsigned type = 0; type <= 5; type++) {
        for (unsigned class = 0; class < 80; class ++) {
            for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
                smb2wire_begin_query_info(wire, i % 2 ? file : dir, (uint8_t)type, (uint8_t) class,
                                          lengths[i]);
                deliver(WIRE2_QUERY_INFO);
            }
            for (size_t length = 0; length < 120; length += length < 16 ? 1 : 8) {
                memset(data, (int)length, sizeof data);
                smb2wire_begin_set_info(wire, file, (uint8_t)type, (uint8_t) class, data, (uint32_t)length);
                if (deliver(WIRE2_SET_INFO) == SMB2WIRE_GONE)
                    fail_msg("SET_INFO %u.%u with %zu bytes ends the connection", type, class, length);
            }
        }
    }
    for (unsigned class = 0; class < 80; class ++) {
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
            smb2wire_begin_query_directory(wire, dir, (uint8_t) class, 1, "*", lengths[i]);
            deliver(WIRE2_QUERY_DIRECTORY);
        }
    }
    smb2wire_begin_query_info(wire, dir, 1, 18, 65536);
    assert_int_equal(smb2wire_call(wire, &reply), 0);
}

static void controls(void **state)
{
    static uint8_t data[2048];

    (void)state;
    for (unsigned i = 0; i < SMB2WIRE_CONTROLS; i++) {
        for (uint32_t length = 0; length < 300; length += length < 80 ? 1 : 31) {
            for (unsigned fill = 0; fill < 3; fill++) {
                memset(data, fill == 0 ? 0 : fill == 1 ? 0xff : 1, sizeof data);
                smb2wire_begin_ioctl(wire, fill == 2 ? smb2wire_same_file : file, smb2wire_control(i), data,
                                     length, length % 3 == 0 ? 0 : 4096);
                deliver(WIRE2_IOCTL);
            }
        }
    }
}

/* ---- headers, chains, ids ---- */

static void headers(void **state)
{
    static const uint64_t values[] = {0,      1,      2,          0x3f,       0x40,
                                      0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff};

    (void)state;
    for (size_t at = 0; at < 48; at += 2) {
        for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
            smb2wire_begin_read(wire, file, 0, 16);
            put(at, values[i], values[i] > 0xffff ? 4 : 2);
            smb2wire_begin_query_info(wire, file, 1, 5, 64);
            put(at, values[i], values[i] > 0xffff ? 4 : 2);
            if (smb2wire_send(wire)) {
                struct smb2wire_outcome outcome;

                if (!smb2wire_settle(wire, UINT64_MAX, &outcome))
                    connect_again();
            } else {
                connect_again();
            }
        }
    }
    still_serves();
}

static void chain_of(const uint32_t *next, size_t count, bool ends)
{
    struct smb2wire_outcome outcome;
    bool stays;

    for (size_t i = 0; i < count; i++) {
        smb2wire_begin_sample(wire, WIRE2_ECHO, file, dir, 0);
        if (i + 1 == count)
            writer_zeros(&wire->request, 256);
    }
    wire->unsigned_ = true;
    for (size_t i = 0; i < count; i++)
        writer_patch_le32(&wire->request, i * 72 + 20, next[i]);
    stays = smb2wire_send(wire) && smb2wire_settle(wire, UINT64_MAX, &outcome);
    assert_false(wire->broken);
    assert_int_equal(stays, !ends);
    if (ends)
        connect_again();
    wire->unsigned_ = false;
}

static void chains(void **state)
{
    (void)state;
    chain_of((uint32_t[]){72, 0}, 2, false);
    chain_of((uint32_t[]){8, 0}, 2, true);
    chain_of((uint32_t[]){64, 0}, 2, true);
    chain_of((uint32_t[]){68, 0}, 2, true);
    chain_of((uint32_t[]){73, 0}, 2, true);
    chain_of((uint32_t[]){72, UINT32_MAX}, 2, true);
    chain_of((uint32_t[]){72, UINT32_C(0xffffffb8)}, 2, true); /* -72 */
    chain_of((uint32_t[]){UINT32_C(0xfffffff8), 0}, 2, true);
    chain_of((uint32_t[]){72, 72, 72, UINT32_C(0x80000000)}, 4, true);
    still_serves();
}

static void long_chain(void **state)
{
    (void)state;
    for (unsigned count = 1; count <= 64; count++) {
        struct smb2wire_outcome outcome;
        uint64_t id;

        while (wire->credits < count + 1)
            still_serves();
        for (unsigned i = 0; i < count; i++)
            smb2wire_begin_sample(wire, WIRE2_ECHO, file, dir, 0);
        id = wire->next_message - 1;
        if (!smb2wire_send(wire) || !smb2wire_settle(wire, id, &outcome)) {
            assert_true(count > 16);
            connect_again();
            break;
        }
        assert_int_equal(outcome.status, 0);
    }
    still_serves();
}

static void forged_ids(void **state)
{
    struct smb2wire *other = smb2wire_client(world, 0);
    struct smb2wire_file theirs, forged;
    uint64_t session = wire->session_id;
    uint32_t tree = wire->tree_id;

    (void)state;
    assert_int_equal(
        smb2wire_create(other, &(struct smb2wire_create){.name = "theirs", .access = 0x12019f}, &theirs), 0);
    smb2wire_begin_read(wire, theirs, 0, 1);
    assert_int_equal(deliver(WIRE2_READ), 0xc0000128);
    for (unsigned bit = 0; bit < 64; bit++) {
        forged = file;
        forged.persistent ^= UINT64_C(1) << bit;
        smb2wire_begin_read(wire, forged, 0, 1);
        assert_int_equal(deliver(WIRE2_READ), 0xc0000128);
        forged = file;
        forged.volatile_id ^= UINT64_C(1) << bit;
        smb2wire_begin_read(wire, forged, 0, 1);
        assert_int_equal(deliver(WIRE2_READ), 0xc0000128);
    }
    for (unsigned bit = 0; bit < 32; bit++) {
        wire->tree_id = tree ^ UINT32_C(1) << bit;
        smb2wire_begin_read(wire, file, 0, 1);
        assert_int_equal(deliver(WIRE2_READ), 0xc00000c9);
        wire->tree_id = tree;
    }
    for (unsigned bit = 0; bit < 64; bit++) {
        wire->session_id = session ^ UINT64_C(1) << bit;
        smb2wire_begin_read(wire, file, 0, 1);
        assert_int_equal(deliver(WIRE2_READ), wire->session_id == other->session_id ? 0 : 0xc0000203);
        wire->session_id = session;
    }
    /* Another connection's session is none here, whatever it is signed with. */
    wire->session_id = other->session_id;
    smb2wire_begin_read(wire, file, 0, 1);
    assert_int_equal(deliver(WIRE2_READ), 0xc0000203);
    wire->session_id = session;
    still_serves();
    smb2wire_close(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(borders, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(levels, set_up, tear_down),
        cmocka_unit_test_setup_teardown(controls, set_up, tear_down),
        cmocka_unit_test_setup_teardown(headers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(chains, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_chain, set_up, tear_down),
        cmocka_unit_test_setup_teardown(forged_ids, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
