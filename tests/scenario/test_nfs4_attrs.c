/*
 * test_nfs4_attrs.c - attributes over the wire: which there are at each minor version, their values on files,
 * directories and the pseudo root; setting them, VERIFY and NVERIFY; and what is wrong with bitmaps and
 * bodies (RFC 8881 5, 18.7, 18.30, 18.31; RFC 8275; RFC 8276).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nfs4world.h"

#include <string.h>

static struct nfs4world world;
static uint32_t minor;

static int set_up(void **state)
{
    (void)state;
    nfs4world_open(&world, minor, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    nfs4world_close(&world);
    return 0;
}

static struct wire4_attrs get(const struct wire4_handle *handle, unsigned attr)
{
    return wire4_attrs_of(world.root, handle, wire4_bits(1, (int)attr));
}

/* Asked for all that is supported (less what can only be set), an object has all of it. */
static void all_readable(void **state)
{
    static const int set_only[] = {FATTR4_TIME_ACCESS_SET, FATTR4_TIME_MODIFY_SET, FATTR4_MODE_SET_MASKED,
                                   FATTR4_MODE_UMASK};
    static const unsigned required[] = {FATTR4_SUPPORTED_ATTRS,
                                        FATTR4_TYPE,
                                        FATTR4_FH_EXPIRE_TYPE,
                                        FATTR4_CHANGE,
                                        FATTR4_SIZE,
                                        FATTR4_LINK_SUPPORT,
                                        FATTR4_SYMLINK_SUPPORT,
                                        FATTR4_NAMED_ATTR,
                                        FATTR4_FSID,
                                        FATTR4_UNIQUE_HANDLES,
                                        FATTR4_LEASE_TIME,
                                        FATTR4_RDATTR_ERROR,
                                        FATTR4_FILEHANDLE,
                                        FATTR4_MOUNTED_ON_FILEID};
    struct wire4_bitmap wanted;
    struct wire4_attrs attrs;

    (void)state;
    wanted = get(&world.top, FATTR4_SUPPORTED_ATTRS).supported;
    for (size_t i = 0; i < sizeof required / sizeof *required; i++)
        assert_true(wire4_has(&wanted, required[i]));
    assert_int_equal(wire4_has(&wanted, FATTR4_SUPPATTR_EXCLCREAT), minor >= 1);
    assert_int_equal(wire4_has(&wanted, FATTR4_MODE_SET_MASKED), minor >= 1);
    assert_true(wire4_has(&wanted, FATTR4_ACL) && wire4_has(&wanted, FATTR4_ACLSUPPORT));
    assert_int_equal(wire4_has(&wanted, FATTR4_DACL), minor >= 1);
    assert_false(wire4_has(&wanted, FATTR4_SACL));
    assert_int_equal(wire4_has(&wanted, FATTR4_CLONE_BLKSIZE), minor >= 2);
    assert_int_equal(wire4_has(&wanted, FATTR4_CHANGE_ATTR_TYPE), minor >= 2);
    assert_int_equal(wire4_has(&wanted, FATTR4_XATTR_SUPPORT), minor >= 2);
    assert_int_equal(wire4_has(&wanted, FATTR4_MODE_UMASK), minor >= 2);
    assert_int_equal(wire4_has(&wanted, FATTR4_OPEN_ARGUMENTS), minor >= 2);
    for (size_t i = 0; i < sizeof set_only / sizeof *set_only; i++)
        wanted.words[set_only[i] / 32] &= ~(UINT32_C(1) << set_only[i] % 32);
    for (int what = -1; what < N4_OBJECTS; what++) {
        attrs = wire4_attrs_of(world.root, what < 0 ? &world.top : &world.objects[what], wanted);
        assert_memory_equal(&attrs.mask, &wanted, sizeof wanted);
        assert_int_equal(attrs.rdattr_error, 0);
        assert_int_equal(attrs.fh_expire_type, 0);
        assert_int_equal(attrs.maxname, 255);
        assert_true(attrs.maxread >= 1 << 20 && attrs.maxwrite >= 1 << 20);
        assert_true(attrs.fileid != 0);
        assert_true(attrs.unique_handles && attrs.link_support && attrs.symlink_support);
        assert_true(attrs.lease_time > 0);
        assert_true(attrs.space_total > 0 && attrs.space_avail <= attrs.space_free &&
                    attrs.space_free <= attrs.space_total);
        assert_true(attrs.files_avail <= attrs.files_free && attrs.files_free <= attrs.files_total);
    }
    /* The pseudo root has the same ones. */
    expect4(world.root, NFS4_OK, wire4_putrootfh(world.root), wire4_getattr(world.root, wanted));
    attrs = wire4_last(world.root)->attrs;
    assert_memory_equal(&attrs.mask, &wanted, sizeof wanted);
    assert_int_equal(attrs.type, NF4DIR);
    assert_int_equal(attrs.mode, 0555);
    assert_false(attrs.xattr_support);
    /* RFC 9754: claims 0, 1, 2, 4 and 5; the wishes ANY_DELEG, NO_DELEG and CANCEL. */
    assert_int_equal(attrs.open_arguments[3].words[0], minor >= 2 ? 0x37 : 0);
    assert_int_equal(attrs.open_arguments[2].words[0], minor >= 2 ? 0x38 : 0);
    assert_int_equal(attrs.fsid_major, 0);
}

static void unknown_ones_are_left_out(void **state)
{
    struct wire4_bitmap wanted = wire4_bits(6, FATTR4_TYPE, FATTR4_SACL, FATTR4_MIMETYPE, FATTR4_FS_LOCATIONS,
                                            FATTR4_SEC_LABEL, FATTR4_LAYOUT_TYPES);
    struct wire4_attrs attrs;

    (void)state;
    attrs = wire4_attrs_of(world.root, &world.top, wanted);
    assert_int_equal(attrs.mask.words[0], 1 << FATTR4_TYPE);
    assert_int_equal(attrs.mask.words[1], 0);
    assert_int_equal(attrs.mask.words[2], 0);
    /* A bitmap with more words than the protocol has bits for. */
    wire4_begin(world.root);
    wire4_putfh(world.root, &world.top);
    wire4_op(world.root, OP_GETATTR);
    writer_be32(&world.root->request, 5);
    for (int i = 0; i < 5; i++)
        writer_be32(&world.root->request, i == 0 ? 2 : i < 3 ? 0 : UINT32_MAX);
    assert_int_equal(wire4_send(world.root), NFS4_OK);
    assert_int_equal(wire4_last(world.root)->attrs.type, NF4DIR);
    /* None at all. */
    attrs = wire4_attrs_of(world.root, &world.top, wire4_bits(0));
    assert_int_equal(attrs.mask.words[0], 0);
}

static void types_and_values(void **state)
{
    static const uint32_t types[N4_OBJECTS] = {NF4REG, NF4DIR, NF4LNK, NF4FIFO, NF4SOCK, NF4BLK, NF4CHR};
    struct wire4_attrs attrs;

    (void)state;
    for (int what = 0; what < N4_OBJECTS; what++) {
        attrs = wire4_attrs_of(world.root, &world.objects[what],
                               wire4_bits(7, FATTR4_TYPE, FATTR4_FILEHANDLE, FATTR4_FSID, FATTR4_NUMLINKS,
                                          FATTR4_OWNER, FATTR4_OWNER_GROUP, FATTR4_RAWDEV));
        assert_int_equal(attrs.type, types[what]);
        assert_int_equal(attrs.handle.length, world.objects[what].length);
        assert_memory_equal(attrs.handle.data, world.objects[what].data, attrs.handle.length);
        assert_int_not_equal(attrs.fsid_major, 0);
        assert_int_equal(attrs.numlinks, what == N4_DIR ? 2 : 1);
        assert_string_equal(attrs.owner, "0");
        assert_string_equal(attrs.group, "0");
        assert_int_equal(attrs.rawdev_major, what >= N4_BLOCK ? 5 : 0);
        assert_int_equal(attrs.rawdev_minor, what >= N4_BLOCK ? 7 : 0);
    }
    assert_int_equal(get(&world.objects[N4_FILE], FATTR4_SIZE).size, 11);
    assert_int_equal(get(&world.objects[N4_LINK], FATTR4_SIZE).size, 6);
    /* What the export is mounted on is another thing than its root; elsewhere both are the same. */
    attrs = wire4_attrs_of(world.root, &world.top, wire4_bits(2, FATTR4_FILEID, FATTR4_MOUNTED_ON_FILEID));
    assert_true(attrs.fileid != attrs.mounted_on_fileid);
    attrs = wire4_attrs_of(world.root, &world.objects[N4_DIR],
                           wire4_bits(2, FATTR4_FILEID, FATTR4_MOUNTED_ON_FILEID));
    assert_true(attrs.fileid == attrs.mounted_on_fileid);
}

/* ---- setting ---- */

static uint32_t set(struct wire4 *wire, const struct wire4_handle *handle, const struct wire4_fattr *fattr)
{
    wire4_begin(wire);
    wire4_putfh(wire, handle);
    wire4_setattr(wire, &wire4_anonymous, fattr);
    return wire4_send(wire);
}

static void set_works(const struct wire4_handle *handle, const struct wire4_fattr *fattr)
{
    assert_int_equal(set(world.root, handle, fattr), NFS4_OK);
    assert_memory_equal(&wire4_last(world.root)->set, &fattr->mask, sizeof fattr->mask);
}

static void setting(void **state)
{
    const struct wire4_handle *file = &world.objects[N4_FILE];
    struct wire4_fattr fattr = wire4_fattr();
    struct wire4_attrs attrs;
    uint64_t change = get(file, FATTR4_CHANGE).change;

    (void)state;
    wire4_add64(&fattr, FATTR4_SIZE, 5);
    wire4_add32(&fattr, FATTR4_ARCHIVE, 1);
    wire4_add32(&fattr, FATTR4_HIDDEN, 1);
    wire4_add32(&fattr, FATTR4_MODE, 0640);
    wire4_add_text(&fattr, FATTR4_OWNER, "1000");
    wire4_add_text(&fattr, FATTR4_OWNER_GROUP, "77");
    wire4_add32(&fattr, FATTR4_SYSTEM, 0);
    wire4_add_time(&fattr, FATTR4_TIME_ACCESS_SET, 1, (struct timestamp){1000000000, 5});
    wire4_add_time(&fattr, FATTR4_TIME_CREATE, -1, (struct timestamp){900000000, 6});
    wire4_add_time(&fattr, FATTR4_TIME_MODIFY_SET, 1, (struct timestamp){-5, 999999999});
    set_works(file, &fattr);
    attrs = wire4_attrs_of(world.root, file,
                           wire4_bits(11, FATTR4_SIZE, FATTR4_ARCHIVE, FATTR4_HIDDEN, FATTR4_MODE,
                                      FATTR4_OWNER, FATTR4_OWNER_GROUP, FATTR4_SYSTEM, FATTR4_TIME_ACCESS,
                                      FATTR4_TIME_CREATE, FATTR4_TIME_MODIFY, FATTR4_CHANGE));
    assert_int_equal(attrs.size, 5);
    assert_true(attrs.archive && attrs.hidden && !attrs.system);
    assert_int_equal(attrs.mode, 0640);
    assert_string_equal(attrs.owner, "1000");
    assert_string_equal(attrs.group, "77");
    assert_true(attrs.atime.seconds == 1000000000 && attrs.atime.nanoseconds == 5);
    assert_true(attrs.btime.seconds == 900000000 && attrs.btime.nanoseconds == 6);
    assert_true(attrs.mtime.seconds == -5 && attrs.mtime.nanoseconds == 999999999);
    assert_true(attrs.change > change);
    /* One DOS attribute leaves the others. */
    fattr = wire4_fattr();
    wire4_add32(&fattr, FATTR4_HIDDEN, 0);
    set_works(file, &fattr);
    attrs = wire4_attrs_of(world.root, file, wire4_bits(2, FATTR4_ARCHIVE, FATTR4_HIDDEN));
    assert_true(attrs.archive && !attrs.hidden);
    /* The server's time. */
    fattr = wire4_fattr();
    wire4_add_time(&fattr, FATTR4_TIME_MODIFY_SET, 0, (struct timestamp){0, 0});
    set_works(file, &fattr);
    assert_true(get(file, FATTR4_TIME_MODIFY).mtime.seconds > 1700000000);
    /* Nothing. */
    fattr = wire4_fattr();
    set_works(file, &fattr);
}

static void modes(void **state)
{
    const struct wire4_handle *file = &world.objects[N4_FILE];
    struct wire4_fattr fattr = wire4_mode(0751);

    (void)state;
    set_works(file, &fattr);
    fattr = wire4_fattr();
    wire4_add64(&fattr, FATTR4_MODE_SET_MASKED, (uint64_t)0004 << 32 | 0007);
    if (minor == 0) {
        assert_int_equal(set(world.root, file, &fattr), NFS4ERR_ATTRNOTSUPP);
        return;
    }
    set_works(file, &fattr);
    assert_int_equal(get(file, FATTR4_MODE).mode, 0754);
    /* A bit that the mask leaves out does not matter. */
    fattr = wire4_fattr();
    wire4_add64(&fattr, FATTR4_MODE_SET_MASKED, (uint64_t)0777 << 32 | 0020);
    set_works(file, &fattr);
    assert_int_equal(get(file, FATTR4_MODE).mode, 0774);
    fattr = wire4_fattr();
    wire4_add64(&fattr, FATTR4_MODE_SET_MASKED, (uint64_t)0777 << 32 | 010000);
    assert_int_equal(set(world.root, file, &fattr), NFS4ERR_INVAL);
    /* Two modes at once. */
    fattr = wire4_mode(0600);
    wire4_add64(&fattr, FATTR4_MODE_SET_MASKED, (uint64_t)0777 << 32 | 0777);
    assert_int_equal(set(world.root, file, &fattr), NFS4ERR_INVAL);
    assert_int_equal(get(file, FATTR4_MODE).mode, 0774);
}

static void mode_with_umask(void **state)
{
    struct wire4_fattr fattr = wire4_fattr();

    (void)state;
    wire4_add64(&fattr, FATTR4_MODE_UMASK, (uint64_t)0777 << 32 | 0027);
    wire4_begin(world.root);
    wire4_putfh(world.root, &world.top);
    wire4_create(world.root, NF4DIR, NULL, "umask", &fattr);
    wire4_getattr(world.root, wire4_bits(1, FATTR4_MODE));
    if (minor < 2) {
        assert_int_equal(wire4_send_any(world.root), NFS4ERR_ATTRNOTSUPP);
        return;
    }
    assert_int_equal(wire4_send(world.root), NFS4_OK);
    assert_int_equal(wire4_last(world.root)->attrs.mode, 0750);
    /* RFC 8275 4: for what is made only. */
    assert_int_equal(set(world.root, &world.objects[N4_FILE], &fattr), NFS4ERR_INVAL);
}

/* Bodies and bitmaps that can't be right, and values that can't be set. */
struct set_case {
    const char *name;
    uint32_t words[3];
    uint32_t length; /* of the body */
    uint8_t body[24];
    uint32_t status;
};
static const struct set_case set_cases[] = {
    {"type", {1 << FATTR4_TYPE}, 4, {0, 0, 0, 1}, NFS4ERR_INVAL},
    {"fileid", {1 << FATTR4_FILEID}, 8, {0}, NFS4ERR_INVAL},
    {"change", {1 << FATTR4_CHANGE}, 8, {0}, NFS4ERR_INVAL},
    {"rdattr_error", {1 << FATTR4_RDATTR_ERROR}, 4, {0}, NFS4ERR_INVAL},
    {"aclsupport", {1 << FATTR4_ACLSUPPORT}, 4, {0}, NFS4ERR_INVAL},
    {"a list cut off", {1 << FATTR4_ACL}, 4, {0, 0, 0, 1}, NFS4ERR_BADXDR},
    {"a list of 4 Gi", {1 << FATTR4_ACL}, 20, {0xff, 0xff, 0xff, 0xff}, NFS4ERR_BADXDR},
    {"sacl", {0, 1 << (FATTR4_SACL - 32)}, 8, {0}, NFS4ERR_ATTRNOTSUPP},
    {"mimetype", {0, 1 << (FATTR4_MIMETYPE - 32)}, 4, {0}, NFS4ERR_ATTRNOTSUPP},
    {"time_backup", {0, 1 << (FATTR4_TIME_BACKUP - 32)}, 12, {0}, NFS4ERR_ATTRNOTSUPP},
    {"sec_label", {0, 0, 1 << (FATTR4_SEC_LABEL - 64)}, 12, {0}, NFS4ERR_ATTRNOTSUPP},
    {"no such bit", {0, 0, UINT32_C(1) << 31}, 4, {0}, NFS4ERR_ATTRNOTSUPP},
    {"a body too short", {1 << FATTR4_SIZE}, 4, {0}, NFS4ERR_BADXDR},
    {"a body too long", {0, 1 << (FATTR4_MODE - 32)}, 8, {0}, NFS4ERR_BADXDR},
    {"no body", {0, 1 << (FATTR4_MODE - 32)}, 0, {0}, NFS4ERR_BADXDR},
    {"a body without a bit", {0}, 4, {0}, NFS4ERR_BADXDR},
    {"a boolean of 2", {1 << FATTR4_HIDDEN}, 4, {0, 0, 0, 2}, NFS4ERR_BADXDR},
    {"an owner over its body", {0, 1 << (FATTR4_OWNER - 32)}, 8, {0, 0, 0, 5, '1'}, NFS4ERR_BADXDR},
    {"an owner of 4 GiB", {0, 1 << (FATTR4_OWNER - 32)}, 8, {0xff, 0xff, 0xff, 0xff}, NFS4ERR_BADXDR},
    {"an owner without padding", {0, 1 << (FATTR4_OWNER - 32)}, 5, {0, 0, 0, 1, '1'}, NFS4ERR_BADXDR},
    {"no owner", {0, 1 << (FATTR4_OWNER - 32)}, 4, {0}, NFS4ERR_INVAL},
    {"an owner with a name",
     {0, 1 << (FATTR4_OWNER - 32)},
     12,
     {0, 0, 0, 7, 'a', '@', 'b', '.', 'o', 'r', 'g'},
     NFS4ERR_BADOWNER},
    {"an owner below 0", {0, 1 << (FATTR4_OWNER - 32)}, 8, {0, 0, 0, 2, '-', '1'}, NFS4ERR_BADOWNER},
    {"an owner over 2^32",
     {0, 1 << (FATTR4_OWNER - 32)},
     16,
     {0, 0, 0, 10, '4', '2', '9', '4', '9', '6', '7', '2', '9', '6'},
     NFS4ERR_BADOWNER},
    {"the owner that POSIX has not",
     {0, 1 << (FATTR4_OWNER - 32)},
     16,
     {0, 0, 0, 10, '4', '2', '9', '4', '9', '6', '7', '2', '9', '5'},
     NFS4ERR_BADOWNER},
    {"a mode with more bits", {0, 1 << (FATTR4_MODE - 32)}, 4, {0, 1, 0, 0}, NFS4ERR_INVAL},
    {"a time of 10^9 ns",
     {0, 1 << (FATTR4_TIME_MODIFY_SET - 32)},
     16,
     {0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0x3b, 0x9a, 0xca, 0x00},
     NFS4ERR_INVAL},
    {"a time that is set some other way",
     {0, 1 << (FATTR4_TIME_MODIFY_SET - 32)},
     4,
     {0, 0, 0, 2},
     NFS4ERR_BADXDR},
    {"a size over the largest", {1 << FATTR4_SIZE}, 8, {0xff, 0, 0, 0, 0, 0, 0, 0}, NFS4ERR_FBIG},
};

static void wrong_settings(void **state)
{
    struct wire4 *wire = world.root;
    size_t wrong = 0;

    (void)state;
    for (size_t i = 0; i < sizeof set_cases / sizeof *set_cases; i++) {
        const struct set_case *row = &set_cases[i];
        uint32_t want = row->status, got;

        wire4_begin(wire);
        wire4_putfh(wire, &world.objects[N4_FILE]);
        wire4_op(wire, OP_SETATTR);
        writer_zeros(&wire->request, 16);
        writer_be32(&wire->request, 3);
        for (int word = 0; word < 3; word++)
            writer_be32(&wire->request, row->words[word]);
        writer_xdr_opaque(&wire->request, row->body, row->length);
        got = wire4_send(wire);
        if (got == want && wire4_last(wire)->set.words[0] == 0 && wire4_last(wire)->set.words[1] == 0)
            continue;
        wrong++;
        print_error("minor %u: %s: %u, not %u\n", minor, row->name, got, want);
    }
    assert_int_equal(wrong, 0);
    assert_int_equal(get(&world.objects[N4_FILE], FATTR4_SIZE).size, 11);
}

static void wrong_bitmaps(void **state)
{
    static const uint32_t counts[] = {0x7fffffff, 0xffffffff, 65, 1000};
    struct wire4 *wire = world.root;

    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        wire4_begin(wire);
        wire4_putfh(wire, &world.objects[N4_FILE]);
        wire4_op(wire, OP_GETATTR);
        writer_be32(&wire->request, counts[i]);
        writer_be32(&wire->request, 2);
        assert_int_equal(wire4_send(wire), NFS4ERR_BADXDR);
    }
    /* A word short. */
    wire4_begin(wire);
    wire4_putfh(wire, &world.objects[N4_FILE]);
    wire4_op(wire, OP_GETATTR);
    writer_be32(&wire->request, 2);
    writer_be32(&wire->request, 2);
    assert_int_equal(wire4_send(wire), NFS4ERR_BADXDR);
}

static void write_only_ones_are_not_read(void **state)
{
    static const struct {
        int attr;
        uint32_t first_minor;
    } rows[] = {{FATTR4_TIME_ACCESS_SET, 0},
                {FATTR4_TIME_MODIFY_SET, 0},
                {FATTR4_MODE_SET_MASKED, 1},
                {FATTR4_MODE_UMASK, 2}};
    struct wire4 *wire = world.root;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct wire4_bitmap wanted = wire4_bits(1, rows[i].attr);
        struct wire4_fattr fattr = wire4_fattr();

        if (minor < rows[i].first_minor)
            continue;
        wire4_add64(&fattr, (unsigned)rows[i].attr, 0);
        expect4(wire, NFS4ERR_INVAL, wire4_putfh(wire, &world.top), wire4_getattr(wire, wanted));
        expect4(wire, NFS4ERR_INVAL, wire4_putrootfh(wire), wire4_getattr(wire, wanted));
        expect4(wire, NFS4ERR_INVAL, wire4_putfh(wire, &world.top),
                wire4_readdir(wire, 0, 0, 4096, 4096, wanted));
        expect4(wire, NFS4ERR_INVAL, wire4_putfh(wire, &world.top), wire4_verify(wire, OP_VERIFY, &fattr));
        expect4(wire, NFS4ERR_INVAL, wire4_putfh(wire, &world.top), wire4_verify(wire, OP_NVERIFY, &fattr));
    }
}

/* ---- VERIFY, NVERIFY ---- */

static void verifying(void **state)
{
    struct wire4 *wire = world.root;
    const struct wire4_handle *file = &world.objects[N4_FILE];
    struct wire4_fattr same = wire4_fattr(), other = wire4_fattr(), none = wire4_fattr(), bad = wire4_fattr();

    (void)state;
    wire4_add32(&same, FATTR4_TYPE, NF4REG);
    wire4_add64(&same, FATTR4_SIZE, 11);
    wire4_add32(&other, FATTR4_TYPE, NF4REG);
    wire4_add64(&other, FATTR4_SIZE, 12);
    expect4(wire, NFS4_OK, wire4_putfh(wire, file), wire4_verify(wire, OP_VERIFY, &same), wire4_getfh(wire));
    expect4(wire, NFS4ERR_NOT_SAME, wire4_putfh(wire, file), wire4_verify(wire, OP_VERIFY, &other));
    expect4(wire, NFS4ERR_SAME, wire4_putfh(wire, file), wire4_verify(wire, OP_NVERIFY, &same));
    expect4(wire, NFS4_OK, wire4_putfh(wire, file), wire4_verify(wire, OP_NVERIFY, &other),
            wire4_getfh(wire));
    /* Of nothing, all are equal. */
    expect4(wire, NFS4_OK, wire4_putfh(wire, file), wire4_verify(wire, OP_VERIFY, &none));
    expect4(wire, NFS4ERR_SAME, wire4_putfh(wire, file), wire4_verify(wire, OP_NVERIFY, &none));
    /* Too short and too long a body is another one. */
    bad = same;
    bad.length -= 4;
    expect4(wire, NFS4ERR_BADXDR, wire4_putfh(wire, file), wire4_verify(wire, OP_VERIFY, &bad));
    bad = same;
    bad.length += 4;
    expect4(wire, NFS4ERR_BADXDR, wire4_putfh(wire, file), wire4_verify(wire, OP_NVERIFY, &bad));
    /* What there is not, and what can't be compared. */
    bad = wire4_fattr();
    wire4_add32(&bad, FATTR4_MIMETYPE, 0);
    expect4(wire, NFS4ERR_ATTRNOTSUPP, wire4_putfh(wire, file), wire4_verify(wire, OP_VERIFY, &bad));
    expect4(wire, NFS4ERR_ATTRNOTSUPP, wire4_putfh(wire, file), wire4_verify(wire, OP_NVERIFY, &bad));
    bad = wire4_fattr();
    wire4_add32(&bad, FATTR4_RDATTR_ERROR, 0);
    expect4(wire, NFS4ERR_INVAL, wire4_putfh(wire, file), wire4_verify(wire, OP_VERIFY, &bad));
    expect4(wire, NFS4ERR_INVAL, wire4_putfh(wire, file), wire4_verify(wire, OP_NVERIFY, &bad));
    /* The pseudo root. */
    bad = wire4_fattr();
    wire4_add32(&bad, FATTR4_TYPE, NF4DIR);
    expect4(wire, NFS4_OK, wire4_putrootfh(wire), wire4_verify(wire, OP_VERIFY, &bad));
    expect4(wire, NFS4ERR_SAME, wire4_putrootfh(wire), wire4_verify(wire, OP_NVERIFY, &bad));
}

/* Each attribute that can be read, compared with what GETATTR has just said of it. */
static void verifying_each(void **state)
{
    struct wire4 *wire = world.root;
    const struct wire4_handle *file = &world.objects[N4_FILE];
    struct wire4_bitmap supported = get(file, FATTR4_SUPPORTED_ATTRS).supported;

    (void)state;
    for (int attr = 0; attr < FATTR4_COUNT; attr++) {
        struct wire4_fattr fattr = wire4_fattr();
        const uint8_t *body;
        uint32_t bytes;

        if (!wire4_has(&supported, (unsigned)attr) || attr == FATTR4_RDATTR_ERROR ||
            attr == FATTR4_TIME_ACCESS_SET || attr == FATTR4_TIME_MODIFY_SET ||
            attr == FATTR4_MODE_SET_MASKED || attr == FATTR4_MODE_UMASK)
            continue;
        wire4_begin(wire);
        wire4_putfh(wire, file);
        wire4_getattr(wire, wire4_bits(1, attr));
        assert_int_equal(wire4_send(wire), NFS4_OK);
        /* The result ends the message: bitmap, length, values. */
        bytes = wire4_last(wire)->bytes - 4 - 4 * (1 + (uint32_t)attr / 32) - 4;
        body = wire->rpc->message + wire->rpc->message_length - bytes;
        fattr.mask = wire4_bits(1, attr);
        fattr.length = bytes;
        memcpy(fattr.bytes, body, bytes);
        if (attr == FATTR4_SPACE_AVAIL || attr == FATTR4_SPACE_FREE || attr == FATTR4_FILES_FREE ||
            attr == FATTR4_FILES_AVAIL)
            continue; /* may move between two calls */
        expect4(wire, NFS4_OK, wire4_putfh(wire, file), wire4_verify(wire, OP_VERIFY, &fattr));
        expect4(wire, NFS4ERR_SAME, wire4_putfh(wire, file), wire4_verify(wire, OP_NVERIFY, &fattr));
    }
}

/* ---- rights ---- */

static void rights(void **state)
{
    struct wire4_handle own = wire4_make_file(world.user, &world.top, "own", 0644);
    struct wire4_fattr mode = wire4_mode(0600), owner = wire4_fattr(), size = wire4_size(0);
    struct wire4_handle roots = wire4_make_file(world.root, &world.top, "roots", 0644);

    (void)state;
    wire4_add_text(&owner, FATTR4_OWNER, "5");
    assert_int_equal(set(world.user, &own, &mode), NFS4_OK);
    assert_int_equal(set(world.user, &own, &owner), NFS4ERR_PERM);
    assert_int_equal(set(world.user, &roots, &mode), NFS4ERR_PERM);
    assert_int_equal(set(world.user, &roots, &size), NFS4ERR_ACCESS);
    assert_int_equal(set(world.root, &own, &owner), NFS4_OK);
    assert_int_equal(set(world.user, &own, &mode), NFS4ERR_PERM);
}

struct access_case {
    uint32_t mode;
    bool directory;
    uint32_t wanted, supported, granted; /* for a user who is not the owner */
};
static const struct access_case access_cases[] = {
    {0644, false, 0x3f, 0x2d, 0x01}, {0666, false, 0x3f, 0x2d, 0x0d}, {0777, false, 0x3f, 0x2d, 0x2d},
    {0601, false, 0x3f, 0x2d, 0x20}, {0600, false, 0x3f, 0x2d, 0x00}, {0777, true, 0x3f, 0x1f, 0x1f},
    {0755, true, 0x3f, 0x1f, 0x03},  {0744, true, 0x3f, 0x1f, 0x01},  {0700, true, 0x3f, 0x1f, 0x00},
    {0777, true, 0x02, 0x02, 0x02},  {0777, false, 0x00, 0x00, 0x00},
};

static void access_bits(void **state)
{
    struct wire4_handle file = wire4_make_file(world.root, &world.top, "access", 0);
    struct wire4_handle dir = wire4_make_dir(world.root, &world.top, "access.d", 0);

    (void)state;
    for (size_t i = 0; i < sizeof access_cases / sizeof *access_cases; i++) {
        const struct access_case *row = &access_cases[i];
        const struct wire4_handle *object = row->directory ? &dir : &file;
        struct wire4_fattr mode = wire4_mode(row->mode);

        assert_int_equal(set(world.root, object, &mode), NFS4_OK);
        expect4(world.user, NFS4_OK, wire4_putfh(world.user, object), wire4_access(world.user, row->wanted));
        assert_int_equal(wire4_last(world.user)->supported, row->supported);
        assert_int_equal(wire4_last(world.user)->access, row->granted);
    }
    /* RFC 8276's bits are known in 4.2 and nowhere else. */
    wire4_begin(world.root);
    wire4_putfh(world.root, &file);
    wire4_access(world.root, 0x1ff);
    if (minor < 2) {
        assert_int_equal(wire4_send(world.root), NFS4ERR_INVAL);
    } else {
        assert_int_equal(wire4_send(world.root), NFS4_OK);
        assert_int_equal(wire4_last(world.root)->supported, 0x1ed);
        assert_int_equal(wire4_last(world.root)->access & 0x1c0, 0x1c0);
    }
    expect4(world.root, NFS4ERR_INVAL, wire4_putfh(world.root, &file), wire4_access(world.root, 0x80000000));
    expect4(world.user, NFS4_OK, wire4_putrootfh(world.user), wire4_access(world.user, 0x3f));
    assert_int_equal(wire4_last(world.user)->access, 0x03);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_readable, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unknown_ones_are_left_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(types_and_values, set_up, tear_down),
        cmocka_unit_test_setup_teardown(setting, set_up, tear_down),
        cmocka_unit_test_setup_teardown(modes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(mode_with_umask, set_up, tear_down),
        cmocka_unit_test_setup_teardown(wrong_settings, set_up, tear_down),
        cmocka_unit_test_setup_teardown(wrong_bitmaps, set_up, tear_down),
        cmocka_unit_test_setup_teardown(write_only_ones_are_not_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(verifying, set_up, tear_down),
        cmocka_unit_test_setup_teardown(verifying_each, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rights, set_up, tear_down),
        cmocka_unit_test_setup_teardown(access_bits, set_up, tear_down),
    };
    int failed = 0;

    for (minor = 0; minor <= 2; minor++)
        failed += cmocka_run_group_tests(tests, NULL, NULL);
    return failed;
}
