/*
 * test_nfs4_named_attrs.c - named attributes (RFC 8881 5.3): their directory, making, finding, listing,
 * renaming and removing them, their data, whose rights count, and what is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nfs4world.h"

#include <stdio.h>
#include <string.h>

static uint32_t minor;
static struct nfs4world world;
static struct wire4 *w;
static struct wire4_owner owner;
static const struct wire4_handle *file, *dir;

static int set_up(void **state)
{
    (void)state;
    nfs4world_open(&world, minor, NULL);
    w = world.root;
    owner = wire4_owner("opener");
    file = &world.objects[N4_FILE];
    dir = &world.objects[N4_DIR];
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    nfs4world_close(&world);
    return 0;
}

static void op_openattr(struct wire4 *wire, bool create)
{
    wire4_op(wire, OP_OPENATTR);
    writer_be32(&wire->request, create);
}

/* The directory of HANDLE's attributes. */
static struct wire4_handle attrs_dir(const struct wire4_handle *handle)
{
    expect4(w, NFS4_OK, wire4_putfh(w, handle), op_openattr(w, true), wire4_getfh(w));
    return wire4_last(w)->handle;
}

/* NAME with TEXT in it, which nobody has open afterwards. */
static struct wire4_handle make(const struct wire4_handle *attrs, const char *name, const char *text)
{
    struct wire4_handle made;
    struct wire4_stateid stateid = wire4_open_at(w, &owner, attrs, name, 3, 0, WIRE4_GUARDED, &made);

    expect4(w, NFS4_OK, wire4_putfh(w, &made), wire4_write(w, &stateid, 0, 2, text, (uint32_t)strlen(text)));
    wire4_begin(w);
    wire4_putfh(w, &made);
    wire4_close_file(w, &owner, &stateid);
    assert_int_equal(wire4_send(w), NFS4_OK);
    return made;
}

static bool has_named(const struct wire4_handle *handle)
{
    return wire4_attrs_of(w, handle, wire4_bits(1, FATTR4_NAMED_ATTR)).named_attr;
}

static const char *content(const struct wire4_handle *handle)
{
    static char text[100];

    expect4(w, NFS4_OK, wire4_putfh(w, handle), wire4_read(w, OP_READ, &wire4_anonymous, 0, 99));
    snprintf(text, sizeof text, "%.*s", (int)wire4_last(w)->length, (const char *)wire4_last(w)->data);
    return text;
}

/* Names in the order of the listing, MOST bytes a reply. */
static const char *listing(const struct wire4_handle *attrs, uint32_t most)
{
    static char text[10000];
    struct wire4_result result;
    struct wire4_entry entry;
    uint64_t cookie = 0;
    size_t at = 0;

    do {
        expect4(w, NFS4_OK, wire4_putfh(w, attrs),
                wire4_readdir(w, cookie, 0, 0, most, wire4_bits(2, FATTR4_TYPE, FATTR4_FILEID)));
        result = *wire4_last(w);
        while (wire4_next_entry(&result, &entry)) {
            assert_int_equal(entry.attrs.type, NF4NAMEDATTR);
            assert_true(entry.cookie > cookie);
            cookie = entry.cookie;
            at += (size_t)snprintf(text + at, sizeof text - at, "%.*s ", (int)entry.length,
                                   (const char *)entry.name);
            assert_true(at < sizeof text);
        }
    } while (!result.eof);
    text[at] = '\0';
    return text;
}

static void making(void **state)
{
    const struct wire4_handle *of[] = {file, dir};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct wire4_handle attrs, one, found;
        struct wire4_attrs base, seen;
        uint64_t change;

        assert_false(has_named(of[i]));
        expect4(w, NFS4ERR_NOENT, wire4_putfh(w, of[i]), op_openattr(w, false));
        attrs = attrs_dir(of[i]);
        assert_false(has_named(of[i]));
        assert_string_equal(listing(&attrs, 4096), "");
        base =
            wire4_attrs_of(w, of[i], wire4_bits(4, FATTR4_FILEID, FATTR4_OWNER, FATTR4_FSID, FATTR4_CHANGE));
        change = base.change;
        seen = wire4_attrs_of(
            w, &attrs,
            wire4_bits(5, FATTR4_TYPE, FATTR4_FILEID, FATTR4_OWNER, FATTR4_FSID, FATTR4_FILEHANDLE));
        assert_int_equal(seen.type, NF4ATTRDIR);
        assert_true(seen.fileid != base.fileid && seen.fsid_major == base.fsid_major);
        assert_string_equal(seen.owner, base.owner);
        assert_memory_equal(seen.handle.data, attrs.data, attrs.length);
        one = make(&attrs, "one", "first");
        assert_true(has_named(of[i]));
        assert_true(wire4_attrs_of(w, of[i], wire4_bits(1, FATTR4_CHANGE)).change > change);
        seen =
            wire4_attrs_of(w, &one, wire4_bits(4, FATTR4_TYPE, FATTR4_SIZE, FATTR4_NAMED_ATTR, FATTR4_MODE));
        assert_int_equal(seen.type, NF4NAMEDATTR);
        assert_int_equal(seen.size, 5);
        assert_false(seen.named_attr);
        assert_string_equal(content(&one), "first");
        expect4(w, NFS4_OK, wire4_putfh(w, of[i]), op_openattr(w, false), wire4_lookup(w, "one"),
                wire4_getfh(w));
        found = wire4_last(w)->handle;
        assert_memory_equal(found.data, one.data, one.length);
        expect4(w, NFS4ERR_NOENT, wire4_putfh(w, &attrs), wire4_lookup(w, "ONE"));
        expect4(w, NFS4_OK, wire4_putfh(w, &attrs), wire4_void(w, OP_LOOKUPP), wire4_getfh(w));
        assert_memory_equal(wire4_last(w)->handle.data, of[i]->data, of[i]->length);
        (void)make(&attrs, "ONE", "another");
        assert_string_equal(listing(&attrs, 4096), "one ONE ");
        /* It does not outlive what it belongs to. */
        expect4(w, NFS4_OK, wire4_putfh(w, &world.top),
                wire4_remove(w, nfs4world_names[i == 0 ? N4_FILE : N4_DIR]));
        expect4(w, NFS4ERR_STALE, wire4_putfh(w, &one));
        expect4(w, NFS4ERR_STALE, wire4_putfh(w, &attrs));
    }
}

static void opening(void **state)
{
    struct wire4_handle attrs, made;
    struct wire4_fattr size = wire4_size(0);
    struct wire4_stateid stateid;

    (void)state;
    attrs = attrs_dir(file);
    made = make(&attrs, "a", "some text");
    /* There already, as the three ways see it. */
    wire4_begin(w);
    wire4_putfh(w, &attrs);
    wire4_open_name(w, &owner, "a", 3, 0, WIRE4_GUARDED, NULL, 0);
    assert_int_equal(wire4_send(w), NFS4ERR_EXIST);
    wire4_begin(w);
    wire4_putfh(w, &attrs);
    wire4_open_name(w, &owner, "b", 3, 0, WIRE4_EXCLUSIVE, NULL, 7);
    assert_int_equal(wire4_send(w), NFS4ERR_NOTSUPP);
    wire4_begin(w);
    wire4_putfh(w, &attrs);
    wire4_open_name(w, &owner, "none", 1, 0, WIRE4_NOCREATE, NULL, 0);
    assert_int_equal(wire4_send(w), NFS4ERR_NOENT);
    wire4_begin(w);
    wire4_putfh(w, &attrs);
    wire4_open_name(w, &owner, "a:b", 3, 0, WIRE4_UNCHECKED, NULL, 0);
    assert_int_equal(wire4_send(w), NFS4ERR_BADNAME);
    wire4_begin(w);
    wire4_putfh(w, &attrs);
    wire4_open_name(w, &owner, "a", 3, 0, WIRE4_UNCHECKED, &size, 0);
    assert_int_equal(wire4_send(w), NFS4_OK);
    assert_int_equal(wire4_last(w)->delegation, 0);
    stateid = wire4_last(w)->stateid;
    assert_string_equal(content(&made), "");
    /* Share modes and ranges are those of any file. */
    if (minor > 0) {
        wire4_begin(world.user);
        wire4_putfh(world.user, &attrs);
        wire4_open_name(world.user, &owner, "a", 1, 2, WIRE4_NOCREATE, NULL, 0);
        assert_int_equal(wire4_send(world.user), NFS4ERR_SHARE_DENIED);
    }
    expect4(w, NFS4_OK, wire4_putfh(w, &made), wire4_lockt(w, WIRE4_WRITE_LT, 0, 10, &owner));
    expect4(w, NFS4_OK, wire4_putfh(w, &made), wire4_setattr(w, &stateid, &(struct wire4_fattr){0}));
    size = wire4_size(100);
    expect4(w, NFS4_OK, wire4_putfh(w, &made), wire4_setattr(w, &stateid, &size));
    assert_int_equal(wire4_attrs_of(w, &made, wire4_bits(1, FATTR4_SIZE)).size, 100);
    size = wire4_mode(0600);
    expect4(w, minor == 0 ? NFS4ERR_INVAL : NFS4ERR_WRONG_TYPE, wire4_putfh(w, &made),
            wire4_setattr(w, &stateid, &size));
    wire4_begin(w);
    wire4_putfh(w, &made);
    wire4_close_file(w, &owner, &stateid);
    assert_int_equal(wire4_send(w), NFS4_OK);
}

static void names(void **state)
{
    struct wire4_handle attrs, others, one;
    const char *again;
    char name[20], all[10000];
    size_t at = 0;

    (void)state;
    attrs = attrs_dir(file);
    others = attrs_dir(dir);
    for (unsigned i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "name%u", i);
        (void)make(&attrs, name, name);
        at += (size_t)snprintf(all + at, sizeof all - at, "%s ", name);
    }
    assert_string_equal(listing(&attrs, 100000), all);
    assert_string_equal(listing(&attrs, 300), all);
    for (unsigned i = 1; i < 100; i++) {
        snprintf(name, sizeof name, "name%u", i);
        expect4(w, NFS4_OK, wire4_putfh(w, &attrs), wire4_remove(w, name));
        assert_true(wire4_last(w)->after > wire4_last(w)->before);
    }
    one = make(&attrs, "other", "other");
    expect4(w, NFS4_OK, wire4_putfh(w, &attrs), wire4_savefh(w), wire4_rename(w, "name0", "new"));
    assert_string_equal(listing(&attrs, 4096), "new other ");
    expect4(w, NFS4_OK, wire4_putfh(w, &attrs), wire4_savefh(w), wire4_rename(w, "new", "other"));
    again = listing(&attrs, 4096);
    assert_string_equal(again, "other ");
    expect4(w, NFS4ERR_STALE, wire4_putfh(w, &one));
    expect4(w, NFS4ERR_NOENT, wire4_putfh(w, &attrs), wire4_remove(w, "new"));
    expect4(w, NFS4ERR_NOENT, wire4_putfh(w, &attrs), wire4_savefh(w), wire4_rename(w, "new", "x"));
    /* From and to elsewhere. */
    expect4(w, NFS4ERR_XDEV, wire4_putfh(w, &attrs), wire4_savefh(w), wire4_putfh(w, &others),
            wire4_rename(w, "other", "x"));
    expect4(w, NFS4ERR_XDEV, wire4_putfh(w, &attrs), wire4_savefh(w), wire4_putfh(w, dir),
            wire4_rename(w, "other", "x"));
    expect4(w, NFS4ERR_XDEV, wire4_putfh(w, &world.top), wire4_savefh(w), wire4_putfh(w, &attrs),
            wire4_rename(w, "file", "x"));
}

/* The file's rights, as they are now. */
static void rights(void **state)
{
    static const struct {
        uint32_t mode;
        bool reads, writes;
        uint32_t access;
    } rows[] = {{0644, true, false, 0x03},
                {0666, true, true, 0x1f},
                {0622, false, true, 0x1e},
                {0600, false, false, 0}};
    struct wire4_handle attrs = attrs_dir(file), one = make(&attrs, "one", "text");
    struct wire4 *user = world.user;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct wire4_fattr mode = wire4_mode(rows[i].mode);
        uint32_t reads = rows[i].reads ? NFS4_OK : NFS4ERR_ACCESS;
        uint32_t writes = rows[i].writes ? NFS4_OK : NFS4ERR_ACCESS;
        bool any = rows[i].reads || rows[i].writes;

        expect4(w, NFS4_OK, wire4_putfh(w, file), wire4_setattr(w, &wire4_anonymous, &mode));
        expect4(user, reads, wire4_putfh(user, file), op_openattr(user, false));
        expect4(user, any ? NFS4_OK : NFS4ERR_ACCESS, wire4_putfh(user, file), op_openattr(user, true));
        expect4(user, NFS4_OK, wire4_putfh(user, &attrs), wire4_access(user, 0x1f));
        assert_int_equal(wire4_last(user)->access, rows[i].access);
        expect4(user, any ? NFS4_OK : NFS4ERR_ACCESS, wire4_putfh(user, &attrs), wire4_lookup(user, "one"));
        expect4(user, reads, wire4_putfh(user, &attrs),
                wire4_readdir(user, 0, 0, 0, 4096, wire4_bits(1, FATTR4_TYPE)));
        expect4(user, reads, wire4_putfh(user, &one), wire4_read(user, OP_READ, &wire4_anonymous, 0, 4));
        expect4(user, writes, wire4_putfh(user, &one), wire4_write(user, &wire4_anonymous, 0, 2, "t", 1));
        assert_int_equal(wire4_attrs_of(w, &one, wire4_bits(1, FATTR4_MODE)).mode, rows[i].mode);
        if (!rows[i].writes)
            expect4(user, NFS4ERR_ACCESS, wire4_putfh(user, &attrs), wire4_remove(user, "one"));
    }
}

/* What has none, and what there can't be done. */
static void refused(void **state)
{
    uint32_t wrong = minor == 0 ? NFS4ERR_INVAL : NFS4ERR_WRONG_TYPE;
    struct wire4_handle attrs = attrs_dir(file), one = make(&attrs, "one", "text");
    struct wire4_fattr mode = wire4_mode(0600);
    struct wire4_handle forged = attrs;
    uint32_t status;

    (void)state;
    for (int what = 0; what < N4_OBJECTS; what++) {
        wire4_begin(w);
        wire4_putfh(w, &world.objects[what]);
        op_openattr(w, true);
        status = wire4_send(w);
        assert_int_equal(status, what == N4_FILE || what == N4_DIR ? NFS4_OK : wrong);
    }
    expect4(w, NFS4ERR_NOTSUPP, wire4_putrootfh(w), op_openattr(w, true));
    expect4(w, wrong, wire4_putfh(w, &attrs), op_openattr(w, true));
    expect4(w, wrong, wire4_putfh(w, &one), op_openattr(w, true));
    expect4(w, wrong, wire4_putfh(w, &attrs), wire4_create(w, NF4DIR, NULL, "d", NULL));
    expect4(w, wrong, wire4_putfh(w, &attrs), wire4_setattr(w, &wire4_anonymous, &mode));
    expect4(w, wrong, wire4_putfh(w, file), wire4_savefh(w), wire4_putfh(w, &attrs),
            wire4_name(w, OP_LINK, "l", 1));
    expect4(w, wrong, wire4_putfh(w, &one), wire4_savefh(w), wire4_putfh(w, &world.top),
            wire4_name(w, OP_LINK, "l", 1));
    expect4(w, NFS4ERR_XDEV, wire4_putfh(w, &attrs), wire4_savefh(w), wire4_putfh(w, &world.top),
            wire4_name(w, OP_LINK, "l", 1));
    expect4(w, NFS4ERR_NOTDIR, wire4_putfh(w, &one), wire4_savefh(w), wire4_putfh(w, &attrs),
            wire4_rename(w, "one", "x"));
    expect4(w, NFS4ERR_ISDIR, wire4_putfh(w, &attrs), wire4_read(w, OP_READ, &wire4_anonymous, 0, 1));
    expect4(w, NFS4ERR_ISDIR, wire4_putfh(w, &attrs), wire4_commit(w, 0, 0));
    expect4(w, NFS4ERR_NOTDIR, wire4_putfh(w, &one), wire4_lookup(w, "x"));
    wire4_begin(w);
    wire4_putfh(w, &one);
    wire4_op(w, OP_OPENATTR);
    writer_be32(&w->request, 2);
    assert_int_equal(wire4_send(w), NFS4ERR_BADXDR);
    /* The handle of a file is no key to its attributes. */
    forged.data[1] ^= 1;
    expect4(w, NFS4ERR_BADHANDLE, wire4_putfh(w, &forged));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(making, set_up, tear_down),
        cmocka_unit_test_setup_teardown(opening, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rights, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refused, set_up, tear_down),
    };
    int failed = 0;

    for (minor = 0; minor <= 2; minor++)
        failed += cmocka_run_group_tests(tests, NULL, NULL);
    return failed;
}
