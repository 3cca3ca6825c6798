/*
 * test_nfs4_readdir.c - READDIR over the wire: budgets, cookies, attributes of entries, the pseudo root (RFC
 * 8881 18.23, RFC 7530 16.24).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nfs4world.h"

#include <stdio.h>
#include <string.h>

enum { ENTRIES = 300 };

static struct nfs4world world;
static uint32_t minor;
static struct wire4_handle big;

static int set_up(void **state)
{
    char name[32];

    (void)state;
    nfs4world_open(&world, minor, NULL);
    big = wire4_make_dir(world.root, &world.top, "big", 0755);
    for (int i = 0; i < ENTRIES; i++) {
        snprintf(name, sizeof name, "e%03d%.*s", i, i % 20, "xxxxxxxxxxxxxxxxxxxxxxxx");
        expect4(world.root, NFS4_OK, wire4_putfh(world.root, &big),
                wire4_create(world.root, i % 2 ? NF4DIR : NF4FIFO, NULL, name, NULL));
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    nfs4world_close(&world);
    return 0;
}

/* Lists the whole directory with these budgets; each entry comes once. The number of replies. */
static int list_all(const struct wire4_handle *dir, uint32_t dircount, uint32_t maxcount,
                    struct wire4_bitmap wanted, int entries)
{
    bool seen[ENTRIES] = {false};
    uint64_t cookie = 0, verifier = 0;
    struct wire4_result r;
    struct wire4_entry entry;
    int replies = 0, count = 0;

    do {
        expect4(world.root, NFS4_OK, wire4_putfh(world.root, dir),
                wire4_readdir(world.root, cookie, verifier, dircount, maxcount, wanted));
        r = *wire4_last(world.root);
        /* READDIR4resok is what stands behind the status. */
        assert_true(r.bytes <= maxcount);
        assert_true(r.count > 0 || r.eof);
        verifier = r.verifier;
        while (wire4_next_entry(&r, &entry)) {
            int i = 0;

            assert_true(entry.cookie > 2 && entry.cookie != cookie);
            cookie = entry.cookie;
            assert_memory_equal(&entry.attrs.mask, &wanted, sizeof wanted);
            if (entry.name[0] == 'e' && sscanf((const char *)entry.name, "e%3d", &i) == 1) {
                assert_false(seen[i]);
                seen[i] = true;
            }
            count++;
        }
        replies++;
        assert_true(replies <= entries + 1);
    } while (!r.eof);
    assert_int_equal(count, entries);
    return replies;
}

static void budgets(void **state)
{
    static const uint32_t maxcounts[] = {128, 200, 256, 512, 1000, 4096, 32768, 1 << 20, UINT32_MAX};
    struct wire4_bitmap none = wire4_bits(0), some = wire4_bits(3, FATTR4_TYPE, FATTR4_CHANGE, FATTR4_FILEID);
    int before = ENTRIES + 2;

    (void)state;
    for (size_t i = 0; i < sizeof maxcounts / sizeof *maxcounts; i++) {
        int replies = list_all(&big, 0, maxcounts[i], some, ENTRIES);

        assert_true(replies <= before);
        before = replies;
        list_all(&big, maxcounts[i], maxcounts[i], none, ENTRIES);
    }
    assert_true(before <= 1 + ENTRIES * 80 / 65536 + 1);
    /* dircount counts names and cookies: a small one makes small replies, and never none. */
    assert_true(list_all(&big, 100, 32768, some, ENTRIES) > list_all(&big, 2000, 32768, some, ENTRIES));
    assert_int_equal(list_all(&big, 1, 32768, some, ENTRIES), ENTRIES);
}

/* The smallest budget that still takes an entry, to the byte. */
static void too_small(void **state)
{
    struct wire4_bitmap type = wire4_bits(1, FATTR4_TYPE);
    uint32_t fits = 0;

    (void)state;
    for (uint32_t maxcount = 0; maxcount < 200; maxcount++) {
        wire4_begin(world.root);
        wire4_putfh(world.root, &big);
        wire4_readdir(world.root, 0, 0, 0, maxcount, type);
        wire4_send(world.root);
        if (world.root->status == NFS4_OK && fits == 0)
            fits = maxcount;
        assert_int_equal(world.root->status, fits == 0 ? NFS4ERR_TOOSMALL : NFS4_OK);
        if (fits != 0)
            assert_true(wire4_last(world.root)->bytes <= maxcount);
        if (fits == maxcount && fits != 0) {
            assert_int_equal(wire4_last(world.root)->count, 1);
            assert_int_equal(wire4_last(world.root)->bytes, maxcount);
        }
    }
    assert_true(fits > 0);
    /* An empty directory fits into what is fixed: verifier, no entry, eof. */
    expect4(world.root, NFS4_OK, wire4_putfh(world.root, &world.objects[N4_DIR]),
            wire4_readdir(world.root, 0, 0, 0, 16, type));
    assert_true(wire4_last(world.root)->eof && wire4_last(world.root)->count == 0);
    expect4(world.root, NFS4ERR_TOOSMALL, wire4_putfh(world.root, &world.objects[N4_DIR]),
            wire4_readdir(world.root, 0, 0, 0, 15, type));
}

static void cookies(void **state)
{
    struct wire4 *w = world.root;
    struct wire4_bitmap type = wire4_bits(1, FATTR4_TYPE);
    struct wire4_entry first, entry;
    struct wire4_result r;

    (void)state;
    expect4(w, NFS4ERR_BAD_COOKIE, wire4_putfh(w, &big), wire4_readdir(w, 1, 0, 0, 4096, type));
    expect4(w, NFS4ERR_BAD_COOKIE, wire4_putfh(w, &big), wire4_readdir(w, 2, 0, 0, 4096, type));
    expect4(w, NFS4ERR_BAD_COOKIE, wire4_putfh(w, &big), wire4_readdir(w, UINT64_MAX, 0, 0, 4096, type));
    expect4(w, NFS4_OK, wire4_putfh(w, &big), wire4_readdir(w, 0, 0, 0, 512, type));
    r = *wire4_last(w);
    assert_true(wire4_next_entry(&r, &first));
    expect4(w, NFS4ERR_NOT_SAME, wire4_putfh(w, &big), wire4_readdir(w, first.cookie, 12345, 0, 512, type));
    /* The entry of a cookie may go: what is behind it comes. */
    expect4(w, NFS4_OK, wire4_putfh(w, &big), wire4_readdir(w, first.cookie, 0, 0, 512, type));
    r = *wire4_last(w);
    assert_true(wire4_next_entry(&r, &entry));
    assert_true(entry.cookie != first.cookie);
    expect4(w, NFS4_OK, wire4_putfh(w, &big), wire4_readdir(w, 0, 0, 0, 512, type));
    r = *wire4_last(w);
    assert_true(wire4_next_entry(&r, &first));
    {
        uint8_t name[64];
        uint32_t length = first.length;
        uint64_t second = entry.cookie;

        memcpy(name, first.name, length);
        expect4(w, NFS4_OK, wire4_putfh(w, &big), wire4_name(w, OP_REMOVE, name, length));
        expect4(w, NFS4_OK, wire4_putfh(w, &big), wire4_readdir(w, first.cookie, 0, 0, 512, type));
        r = *wire4_last(w);
        assert_true(wire4_next_entry(&r, &entry));
        assert_true(entry.cookie == second);
    }
}

/* Attributes in entries are those that GETATTR gives. */
static void attributes_of_entries(void **state)
{
    struct wire4 *w = world.root;
    struct wire4_bitmap wanted =
        wire4_bits(9, FATTR4_TYPE, FATTR4_CHANGE, FATTR4_SIZE, FATTR4_RDATTR_ERROR, FATTR4_FILEHANDLE,
                   FATTR4_FILEID, FATTR4_MODE, FATTR4_OWNER, FATTR4_TIME_MODIFY);
    struct wire4_entry entries[16];
    char names[16][32];
    struct wire4_result r;
    int count = 0;

    (void)state;
    expect4(w, NFS4_OK, wire4_putfh(w, &world.top), wire4_readdir(w, 0, 0, 0, 32768, wanted));
    r = *wire4_last(w);
    while (count < 16 && wire4_next_entry(&r, &entries[count])) {
        assert_true(entries[count].length < sizeof names[0]);
        memcpy(names[count], entries[count].name, entries[count].length);
        names[count][entries[count].length] = '\0';
        count++;
    }
    assert_int_equal(count, N4_OBJECTS + 1);
    for (int i = 0; i < count; i++) {
        struct wire4_attrs attrs;

        expect4(w, NFS4_OK, wire4_putfh(w, &world.top), wire4_lookup(w, names[i]), wire4_getattr(w, wanted));
        attrs = wire4_last(w)->attrs;
        assert_memory_equal(&attrs, &entries[i].attrs, sizeof attrs);
    }
}

/* Entries' attributes need no right on the entry; listing needs one to read the directory. */
static void rights(void **state)
{
    struct wire4 *w = world.user;
    struct wire4_handle dir = wire4_make_dir(world.root, &world.top, "list", 0744);

    (void)state;
    wire4_make_file(world.root, &dir, "f", 0600);
    wire4_begin(w);
    wire4_putfh(w, &dir);
    wire4_readdir(w, 0, 0, 0, 4096, wire4_bits(2, FATTR4_TYPE, FATTR4_RDATTR_ERROR));
    assert_int_equal(wire4_send(w), NFS4_OK);
    assert_int_equal(wire4_last(w)->count, 1);
}

static void pseudo_root(void **state)
{
    struct vfs_export_config exports[] = {nfsworld_export("a"), nfsworld_export("b"), nfsworld_export("c")};
    struct wire4 *w = world.root;
    struct wire4_bitmap wanted =
        wire4_bits(5, FATTR4_TYPE, FATTR4_FSID, FATTR4_RDATTR_ERROR, FATTR4_FILEID, FATTR4_MOUNTED_ON_FILEID);
    struct wire4_result r;
    struct wire4_entry entry;
    struct wire4_attrs attrs;
    uint64_t change, cookie = 0;

    (void)state;
    expect4(w, NFS4_OK, wire4_putrootfh(w), wire4_getattr(w, wire4_bits(1, FATTR4_CHANGE)));
    change = wire4_last(w)->attrs.change;
    nfsworld_set_exports(world.world, exports, 3);
    expect4(w, NFS4_OK, wire4_putrootfh(w), wire4_getattr(w, wire4_bits(1, FATTR4_CHANGE)));
    assert_true(wire4_last(w)->attrs.change != change);
    /* One at a time. */
    for (char name = 'a'; name <= 'c'; name++) {
        expect4(w, NFS4_OK, wire4_putrootfh(w), wire4_readdir(w, cookie, 0, 1, 4096, wanted));
        r = *wire4_last(w);
        assert_int_equal(r.eof, name == 'c');
        assert_true(wire4_next_entry(&r, &entry));
        assert_int_equal(entry.length, 1);
        assert_int_equal(entry.name[0], name);
        cookie = entry.cookie;
        assert_int_equal(entry.attrs.type, NF4DIR);
        assert_false(wire4_next_entry(&r, &entry));
        wire4_begin(w);
        wire4_putrootfh(w);
        wire4_name(w, OP_LOOKUP, &name, 1);
        wire4_getattr(w, wanted);
        assert_int_equal(wire4_send(w), NFS4_OK);
        attrs = wire4_last(w)->attrs;
        assert_memory_equal(&attrs, &entry.attrs, sizeof attrs);
    }
    /* One that needs another flavour tells so in its entry; without rdattr_error the listing fails. */
    exports[1].security = VFS_SEC_KRB5;
    nfsworld_set_exports(world.world, exports, 3);
    expect4(w, NFS4_OK, wire4_putrootfh(w), wire4_readdir(w, 0, 0, 0, 4096, wanted));
    r = *wire4_last(w);
    assert_int_equal(r.count, 3);
    assert_true(wire4_next_entry(&r, &entry) && wire4_next_entry(&r, &entry));
    assert_int_equal(entry.attrs.rdattr_error, NFS4ERR_WRONGSEC);
    /* One that the host may not use is not there. */
    exports[1] = nfsworld_export("b");
    exports[1].protocols = VFS_NFS3;
    nfsworld_set_exports(world.world, exports, 3);
    expect4(w, NFS4_OK, wire4_putrootfh(w), wire4_readdir(w, 0, 0, 0, 4096, wanted));
    assert_int_equal(wire4_last(w)->count, 2);
    nfsworld_set_exports(world.world, exports, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(budgets), cmocka_unit_test(too_small),
        cmocka_unit_test(cookies), cmocka_unit_test(attributes_of_entries),
        cmocka_unit_test(rights),  cmocka_unit_test(pseudo_root),
    };
    int failed = 0;

    for (minor = 0; minor <= 2; minor++)
        failed += cmocka_run_group_tests(tests, set_up, tear_down);
    return failed;
}
