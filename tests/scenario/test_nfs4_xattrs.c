/*
 * test_nfs4_xattrs.c - extended attributes over the wire (RFC 8276): setting, getting, listing in pieces,
 * removing, lengths and rights.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nfs4world.h"

#include <stdio.h>
#include <string.h>

enum { EITHER, CREATE, REPLACE, VALUE_MAX = 65536 };

static struct nfs4world world;
static struct wire4 *w;
static const struct wire4_handle *file;
static uint8_t value[VALUE_MAX + 1];

static int set_up(void **state)
{
    (void)state;
    nfs4world_open(&world, 2, NULL);
    w = world.root;
    file = &world.objects[N4_FILE];
    memset(value, 'v', sizeof value);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    nfs4world_close(&world);
    return 0;
}

static uint64_t change_of_file(void)
{
    return wire4_attrs_of(w, file, wire4_bits(1, FATTR4_CHANGE)).change;
}

struct how_case {
    uint32_t how;
    bool exists;
    uint32_t status;
};
static const struct how_case how_cases[] = {
    {EITHER, false, NFS4_OK},      {EITHER, true, NFS4_OK},  {CREATE, false, NFS4_OK},
    {CREATE, true, NFS4ERR_EXIST}, {REPLACE, true, NFS4_OK}, {REPLACE, false, NFS4ERR_NOXATTR},
};

static void setting(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof how_cases / sizeof *how_cases; i++) {
        const struct how_case *row = &how_cases[i];
        uint64_t before;

        if (row->exists)
            expect4(w, NFS4_OK, wire4_putfh(w, file), wire4_setxattr(w, EITHER, "name", "old", 3));
        before = change_of_file();
        expect4(w, row->status, wire4_putfh(w, file), wire4_setxattr(w, row->how, "name", "value", 5));
        if (row->status == NFS4_OK) {
            assert_true(wire4_last(w)->atomic);
            assert_true(wire4_last(w)->before == before && wire4_last(w)->after > before);
            expect4(w, NFS4_OK, wire4_putfh(w, file), wire4_name(w, OP_GETXATTR, "name", 4));
            assert_int_equal(wire4_last(w)->length, 5);
            assert_memory_equal(wire4_last(w)->data, "value", 5);
        } else {
            assert_true(change_of_file() == before);
        }
        wire4_begin(w);
        wire4_putfh(w, file);
        wire4_name(w, OP_REMOVEXATTR, "name", 4);
        assert_int_equal(wire4_send(w), row->exists || row->status == NFS4_OK ? NFS4_OK : NFS4ERR_NOXATTR);
    }
    expect4(w, NFS4ERR_NOXATTR, wire4_putfh(w, file), wire4_name(w, OP_GETXATTR, "name", 4));
    expect4(w, NFS4ERR_NOXATTR, wire4_putfh(w, file), wire4_name(w, OP_REMOVEXATTR, "name", 4));
    wire4_begin(w);
    wire4_putfh(w, file);
    wire4_setxattr(w, 3, "name", "x", 1);
    wire4_send(w);
    assert_true(w->status == NFS4ERR_INVAL || w->status == NFS4ERR_BADXDR);
}

static void lengths(void **state)
{
    static const uint32_t good[] = {0, 1, 3, 4, 255, 4096, 65535, VALUE_MAX};
    char name[300];

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        expect4(w, NFS4_OK, wire4_putfh(w, file), wire4_setxattr(w, EITHER, "long", value, good[i]));
        expect4(w, NFS4_OK, wire4_putfh(w, file), wire4_name(w, OP_GETXATTR, "long", 4));
        assert_int_equal(wire4_last(w)->length, good[i]);
        assert_memory_equal(wire4_last(w)->data, value, good[i]);
    }
    expect4(w, NFS4ERR_XATTR2BIG, wire4_putfh(w, file),
            wire4_setxattr(w, EITHER, "long", value, VALUE_MAX + 1));
    expect4(w, NFS4_OK, wire4_putfh(w, file), wire4_name(w, OP_REMOVEXATTR, "long", 4));
    for (uint32_t length = 0; length < sizeof name - 1; length++) {
        memset(name, 'n', length);
        name[length] = '\0';
        wire4_begin(w);
        wire4_putfh(w, file);
        wire4_setxattr(w, EITHER, name, "x", 1);
        wire4_send(w);
        if (length == 0)
            assert_int_equal(w->status, NFS4ERR_INVAL);
        else if (w->status == NFS4_OK)
            expect4(w, NFS4_OK, wire4_putfh(w, file), wire4_name(w, OP_REMOVEXATTR, name, length));
        else
            assert_int_equal(w->status, NFS4ERR_NAMETOOLONG);
        if (length == 249) /* 255 with "user." */
            assert_int_equal(w->status, NFS4_OK);
        if (length == 256)
            assert_int_equal(w->status, NFS4ERR_NAMETOOLONG);
    }
    expect4(w, NFS4ERR_INVAL, wire4_putfh(w, file), wire4_name(w, OP_GETXATTR, "a\0b", 3));
}

static void listing(void **state)
{
    enum { NAMES = 100 };
    static const uint32_t maxcounts[] = {32, 64, 100, 1000, 100000, UINT32_MAX};
    char name[16];

    (void)state;
    for (int i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "name%02d", i);
        expect4(w, NFS4_OK, wire4_putfh(w, file), wire4_setxattr(w, CREATE, name, "x", 1));
    }
    for (size_t i = 0; i < sizeof maxcounts / sizeof *maxcounts; i++) {
        bool seen[NAMES] = {false};
        uint64_t cookie = 0;
        struct wire4_result r;
        int found = 0;

        do {
            const uint8_t *text;
            uint32_t length;
            int number;

            expect4(w, NFS4_OK, wire4_putfh(w, file), wire4_listxattrs(w, cookie, maxcounts[i]));
            r = *wire4_last(w);
            assert_true(r.bytes <= maxcounts[i]);
            assert_true(r.count > 0 || r.eof);
            while (wire4_next_name(&r, &text, &length)) {
                assert_int_equal(length, 6);
                number = (text[4] - '0') * 10 + text[5] - '0';
                assert_false(seen[number]);
                seen[number] = true;
                found++;
            }
            cookie = r.cookie;
        } while (!r.eof);
        assert_int_equal(found, NAMES);
    }
    expect4(w, NFS4ERR_TOOSMALL, wire4_putfh(w, file), wire4_listxattrs(w, 0, 15));
    expect4(w, NFS4ERR_TOOSMALL, wire4_putfh(w, file), wire4_listxattrs(w, 0, 20));
    expect4(w, NFS4ERR_BAD_COOKIE, wire4_putfh(w, file), wire4_listxattrs(w, 100000, 1000));
    for (int i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "name%02d", i);
        expect4(w, NFS4_OK, wire4_putfh(w, file), wire4_name(w, OP_REMOVEXATTR, name, 6));
    }
    expect4(w, NFS4_OK, wire4_putfh(w, file), wire4_listxattrs(w, 0, 16));
    assert_true(wire4_last(w)->eof);
}

static void rights(void **state)
{
    struct wire4 *user = world.user;
    struct wire4_handle readable = wire4_make_file(w, &world.top, "r", 0644),
                        secret = wire4_make_file(w, &world.top, "s", 0600);

    (void)state;
    expect4(w, NFS4_OK, wire4_putfh(w, &readable), wire4_setxattr(w, EITHER, "n", "v", 1));
    expect4(user, NFS4_OK, wire4_putfh(user, &readable), wire4_name(user, OP_GETXATTR, "n", 1));
    expect4(user, NFS4ERR_ACCESS, wire4_putfh(user, &readable), wire4_setxattr(user, EITHER, "n", "w", 1));
    expect4(user, NFS4ERR_ACCESS, wire4_putfh(user, &readable), wire4_name(user, OP_REMOVEXATTR, "n", 1));
    expect4(user, NFS4ERR_ACCESS, wire4_putfh(user, &secret), wire4_name(user, OP_GETXATTR, "n", 1));
}

static void survives_restart(void **state)
{
    struct nfs4world *all = &world;

    (void)state;
    expect4(w, NFS4_OK, wire4_putfh(w, file), wire4_setxattr(w, EITHER, "kept", "value", 5));
    wire4_close(&all->root);
    wire4_close(&all->user);
    rpcclient_close(&all->root_rpc);
    rpcclient_close(&all->user_rpc);
    nfsworld_restart(all->world);
    all->root_rpc = nfsworld_client(all->world, 0, 0);
    all->user_rpc = nfsworld_client(all->world, N4_USER, N4_GROUP);
    all->root = w = wire4_open(all->root_rpc, 2);
    all->user = wire4_open(all->user_rpc, 2);
    wire4_introduce(w, "root", 1, true);
    expect4(w, NFS4_OK, wire4_putfh(w, file), wire4_name(w, OP_GETXATTR, "kept", 4));
    assert_memory_equal(wire4_last(w)->data, "value", 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(setting), cmocka_unit_test(lengths),          cmocka_unit_test(listing),
        cmocka_unit_test(rights),  cmocka_unit_test(survives_restart),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
