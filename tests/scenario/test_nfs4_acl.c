/*
 * test_nfs4_acl.c - access control lists over the wire (RFC 8881 6): shown, set, obeyed and inherited, beside
 * the mode, with what is being made, too long for a reply, and refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nfs4world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ALLOW,
    DENY,
    R = 0x1,
    W = 0x2,
    X = 0x20,
    READ_ACL = 0x20000,
    WRITE_ACL = 0x40000,
    ALL = 0x1f01ff,
    FILE_INHERIT = 1,
    DIR_INHERIT = 2,
    INHERIT_ONLY = 8,
    GROUP = 0x40,
    INHERITED = 0x80,
    AUTO_INHERIT = 1,
    PROTECTED = 2
};

static uint32_t minor;
static struct nfs4world world;
static struct wire4 *w;
static const struct wire4_handle *file, *dir;

static int set_up(void **state)
{
    (void)state;
    nfs4world_open(&world, minor, NULL);
    w = world.root;
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

/* "A:flags:mask:who " for each entry, in hexadecimal. */
static const char *text_of(struct reader list, uint32_t count)
{
    static char text[4096];
    struct wire4_ace ace;
    char who[256];
    size_t at = 0;

    text[0] = '\0';
    for (; wire4_next_ace(&list, &ace, who); count--) {
        assert_in_range(ace.type, ALLOW, DENY);
        at += (size_t)snprintf(text + at, sizeof text - at, "%c:%x:%x:%s ", "AD"[ace.type], ace.flags,
                               ace.mask, who);
        assert_true(at < sizeof text);
    }
    assert_int_equal(count, 0);
    return text;
}

static const char *acl_of(const struct wire4_handle *handle)
{
    struct wire4_attrs attrs = wire4_attrs_of(w, handle, wire4_bits(1, FATTR4_ACL));

    return text_of(attrs.acl, attrs.acl_count);
}

static const char *dacl_of(const struct wire4_handle *handle, uint32_t flags)
{
    struct wire4_attrs attrs = wire4_attrs_of(w, handle, wire4_bits(1, FATTR4_DACL));

    assert_int_equal(attrs.dacl_flags, flags);
    return text_of(attrs.dacl, attrs.dacl_count);
}

static uint32_t mode_of(const struct wire4_handle *handle)
{
    return wire4_attrs_of(w, handle, wire4_bits(1, FATTR4_MODE)).mode;
}

#define LIST(...)                                                                                            \
    (const struct wire4_ace[]){__VA_ARGS__},                                                                 \
        sizeof((const struct wire4_ace[]){__VA_ARGS__}) / sizeof(struct wire4_ace)

static struct wire4_fattr acl(const struct wire4_ace *aces, size_t count)
{
    struct wire4_fattr fattr = wire4_fattr();

    wire4_add_acl(&fattr, FATTR4_ACL, 0, aces, (uint32_t)count);
    return fattr;
}

static struct wire4_fattr dacl(uint32_t flags, const struct wire4_ace *aces, size_t count)
{
    struct wire4_fattr fattr = wire4_fattr();

    wire4_add_acl(&fattr, FATTR4_DACL, flags, aces, (uint32_t)count);
    return fattr;
}

static uint32_t set(struct wire4 *wire, const struct wire4_handle *handle, const struct wire4_fattr *fattr)
{
    uint32_t status;

    wire4_begin(wire);
    wire4_putfh(wire, handle);
    wire4_setattr(wire, &wire4_anonymous, fattr);
    status = wire4_send(wire);
    if (status == NFS4_OK)
        assert_memory_equal(&wire4_last(wire)->set, &fattr->mask, sizeof fattr->mask);
    return status;
}

static uint32_t chmod_to(const struct wire4_handle *handle, uint32_t mode)
{
    struct wire4_fattr fattr = wire4_mode(mode);

    return set(w, handle, &fattr);
}

/* ---- without a list of its own ---- */

static void lists_of_modes(void **state)
{
    static const struct {
        uint32_t mode;
        const char *list;
    } rows[] = {
        {0640, "A:0:1e019f:OWNER@ A:0:120089:GROUP@ A:0:120080:EVERYONE@ "},
        {0077, "D:0:3f:OWNER@ A:0:1e0180:OWNER@ A:0:1200bf:GROUP@ A:0:1200bf:EVERYONE@ "},
        {0604, "A:0:1e019f:OWNER@ A:0:120080:GROUP@ D:0:9:GROUP@ A:0:120089:EVERYONE@ "},
    };
    struct wire4_attrs attrs;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(chmod_to(file, rows[i].mode), NFS4_OK);
        assert_string_equal(acl_of(file), rows[i].list);
        if (minor > 0)
            assert_string_equal(dacl_of(file, 0), rows[i].list);
    }
    assert_int_equal(chmod_to(dir, 0700), NFS4_OK);
    assert_string_equal(acl_of(dir), "A:0:1e01ff:OWNER@ A:0:120080:GROUP@ A:0:120080:EVERYONE@ ");
    /* What there is everywhere, and what is nowhere. */
    for (int what = 0; what < N4_OBJECTS; what++) {
        attrs = wire4_attrs_of(w, &world.objects[what],
                               wire4_bits(3, FATTR4_ACL, FATTR4_ACLSUPPORT, FATTR4_SACL));
        assert_int_equal(attrs.aclsupport, 3);
        assert_true(attrs.acl_count >= 3);
        assert_false(wire4_has(&attrs.mask, FATTR4_SACL));
    }
    expect4(w, NFS4_OK, wire4_putrootfh(w), wire4_getattr(w, wire4_bits(1, FATTR4_ACL)));
    assert_string_equal(text_of(wire4_last(w)->attrs.acl, wire4_last(w)->attrs.acl_count),
                        "A:0:1e01a9:OWNER@ A:0:1200a9:GROUP@ A:0:1200a9:EVERYONE@ ");
}

/* ---- setting ---- */

static void setting(void **state)
{
    struct wire4_fattr fattr = acl(LIST({DENY, 0, W, "1000"}, {ALLOW, GROUP, R | W, "100"},
                                        {ALLOW, 0, ALL, "OWNER@"}, {ALLOW, 0, R, "EVERYONE@"}));
    uint64_t change = wire4_attrs_of(w, file, wire4_bits(1, FATTR4_CHANGE)).change;
    struct wire4_attrs attrs;

    (void)state;
    assert_int_equal(set(world.user, file, &fattr), NFS4ERR_PERM);
    assert_int_equal(set(w, file, &fattr), NFS4_OK);
    assert_string_equal(acl_of(file), "D:0:2:1000 A:40:3:100 A:0:1f01ff:OWNER@ A:0:1:EVERYONE@ ");
    attrs = wire4_attrs_of(w, file, wire4_bits(2, FATTR4_CHANGE, FATTR4_MODE));
    assert_true(attrs.change > change);
    assert_int_equal(attrs.mode, 0744);
    /* It is obeyed. */
    expect4(world.user, NFS4_OK, wire4_putfh(world.user, file), wire4_access(world.user, 0x3f));
    assert_int_equal(wire4_last(world.user)->access & 0xd, 0x1);
    expect4(world.user, NFS4_OK, wire4_putfh(world.user, file),
            wire4_read(world.user, OP_READ, &wire4_anonymous, 0, 5));
    expect4(world.user, NFS4ERR_ACCESS, wire4_putfh(world.user, file),
            wire4_write(world.user, &wire4_anonymous, 0, 2, "x", 1));
    /* VERIFY compares with what is there. */
    expect4(w, NFS4_OK, wire4_putfh(w, file), wire4_verify(w, OP_VERIFY, &fattr));
    expect4(w, NFS4ERR_SAME, wire4_putfh(w, file), wire4_verify(w, OP_NVERIFY, &fattr));
    fattr = acl(LIST({DENY, 0, W, "1000"}));
    expect4(w, NFS4ERR_NOT_SAME, wire4_putfh(w, file), wire4_verify(w, OP_VERIFY, &fattr));
    expect4(w, NFS4_OK, wire4_putfh(w, file), wire4_verify(w, OP_NVERIFY, &fattr));
    fattr.length -= 4;
    expect4(w, NFS4ERR_BADXDR, wire4_putfh(w, file), wire4_verify(w, OP_VERIFY, &fattr));
    /* chmod edits it (RFC 8881 6.4.1.1). */
    assert_int_equal(chmod_to(file, 0640), NFS4_OK);
    assert_int_equal(mode_of(file), 0640);
    assert_non_null(strstr(acl_of(file), "D:0:2:1000 A:40:1:100 "));
    /* None lets nobody in but the owner, to repair it. */
    fattr = acl(NULL, 0);
    assert_int_equal(set(w, file, &fattr), NFS4_OK);
    assert_string_equal(acl_of(file), "");
    assert_int_equal(mode_of(file), 0);
    fattr = acl(LIST({ALLOW, 0, WRITE_ACL | R, "1000"}));
    assert_int_equal(set(w, file, &fattr), NFS4_OK);
    fattr = acl(LIST({ALLOW, 0, ALL, "1000"}, {ALLOW, 0, X, "GROUP@"}));
    assert_int_equal(set(world.user, file, &fattr), NFS4_OK);
    assert_int_equal(mode_of(file), 0010);
}

/* Who may not read the list is told so, for this attribute alone. */
static void seeing(void **state)
{
    struct wire4_bitmap with_error = wire4_bits(3, FATTR4_RDATTR_ERROR, FATTR4_ACL, FATTR4_TYPE);
    struct wire4_fattr fattr = acl(LIST({ALLOW, 0, R, "EVERYONE@"}));
    struct wire4_result listing;
    struct wire4_entry entry;
    unsigned refused = 0;

    (void)state;
    assert_int_equal(set(w, file, &fattr), NFS4_OK);
    expect4(world.user, NFS4ERR_ACCESS, wire4_putfh(world.user, file),
            wire4_getattr(world.user, wire4_bits(2, FATTR4_ACL, FATTR4_MODE)));
    expect4(world.user, NFS4ERR_ACCESS, wire4_putfh(world.user, file),
            wire4_verify(world.user, OP_VERIFY, &fattr));
    expect4(world.user, NFS4_OK, wire4_putfh(world.user, file),
            wire4_getattr(world.user, wire4_bits(2, FATTR4_ACLSUPPORT, FATTR4_MODE)));
    expect4(world.user, NFS4ERR_ACCESS, wire4_putfh(world.user, &world.top),
            wire4_readdir(world.user, 0, 0, 8192, 8192, wire4_bits(1, FATTR4_ACL)));
    expect4(world.user, NFS4_OK, wire4_putfh(world.user, &world.top),
            wire4_readdir(world.user, 0, 0, 8192, 8192, with_error));
    listing = *wire4_last(world.user);
    while (wire4_next_entry(&listing, &entry)) {
        bool is_file = entry.length == 4 && memcmp(entry.name, "file", 4) == 0;

        assert_int_equal(entry.attrs.rdattr_error, is_file ? NFS4ERR_ACCESS : NFS4_OK);
        assert_int_equal(wire4_has(&entry.attrs.mask, FATTR4_ACL), !is_file);
        refused += is_file;
    }
    assert_int_equal(refused, 1);
    fattr = acl(LIST({ALLOW, 0, READ_ACL, "1000"}));
    assert_int_equal(set(w, file, &fattr), NFS4_OK);
    expect4(world.user, NFS4_OK, wire4_putfh(world.user, file),
            wire4_getattr(world.user, wire4_bits(1, FATTR4_ACL)));
}

/* RFC 8881 6.4.1.3: the mode first, then the list. */
static void with_a_mode(void **state)
{
    const struct wire4_ace aces[] = {{ALLOW, 0, R | X, "OWNER@"}, {ALLOW, 0, W, "GROUP@"}};
    struct wire4_fattr fattr = acl(aces, 2), two;

    (void)state;
    wire4_add32(&fattr, FATTR4_MODE, 02777);
    assert_int_equal(set(w, file, &fattr), NFS4_OK);
    assert_string_equal(acl_of(file), "A:0:21:OWNER@ A:0:2:GROUP@ ");
    assert_int_equal(mode_of(file), 02520);
    /* Size, list and an owner who can't be: nothing is changed. */
    fattr = wire4_size(3);
    wire4_add_acl(&fattr, FATTR4_ACL, 0, LIST({ALLOW, 0, ALL, "EVERYONE@"}));
    wire4_add_text(&fattr, FATTR4_OWNER, "nobody@nowhere");
    assert_int_equal(set(w, file, &fattr), NFS4ERR_BADOWNER);
    assert_int_equal(mode_of(file), 02520);
    assert_int_equal(wire4_attrs_of(w, file, wire4_bits(1, FATTR4_SIZE)).size, 11);
    if (minor == 0)
        return;
    two = acl(aces, 2);
    wire4_add_acl(&two, FATTR4_DACL, 0, aces, 2);
    assert_int_equal(set(w, file, &two), NFS4ERR_INVAL);
}

static void errors(void **state)
{
    static const struct {
        struct wire4_ace ace;
        uint32_t status;
    } rows[] = {
        {{2, 0, R, "OWNER@"}, NFS4ERR_ATTRNOTSUPP},
        {{3, 0, R, "OWNER@"}, NFS4ERR_ATTRNOTSUPP},
        {{4, 0, R, "OWNER@"}, NFS4ERR_INVAL},
        {{ALLOW, 0x100, R, "OWNER@"}, NFS4ERR_INVAL},
        {{ALLOW, 0, 0x200000, "OWNER@"}, NFS4ERR_INVAL},
        {{ALLOW, 0, R, "ann@nowhere"}, NFS4ERR_BADOWNER},
        {{ALLOW, 0, R, ""}, NFS4ERR_INVAL},
    };
    const char *before;
    char text[200];
    struct wire4_fattr fattr;

    (void)state;
    before = acl_of(file);
    snprintf(text, sizeof text, "%s", before);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fattr = acl(&rows[i].ace, 1);
        assert_int_equal(set(w, file, &fattr), rows[i].status);
        expect4(w, rows[i].status, wire4_putfh(w, &world.top), wire4_create(w, NF4DIR, NULL, "no", &fattr));
        assert_string_equal(acl_of(file), text);
    }
    expect4(w, NFS4ERR_NOENT, wire4_putfh(w, &world.top), wire4_lookup(w, "no"));
    fattr = acl(LIST({ALLOW, 0, R, "EVERYONE@"}));
    assert_int_equal(set(w, &world.objects[N4_LINK], &fattr),
                     minor == 0 ? NFS4ERR_INVAL : NFS4ERR_WRONG_TYPE);
    expect4(w, NFS4ERR_ATTRNOTSUPP, wire4_putfh(w, &world.top), wire4_create(w, NF4LNK, "to", "no", &fattr));
    /* None of 4.0. */
    fattr = dacl(0, LIST({ALLOW, 0, R, "EVERYONE@"}));
    assert_int_equal(set(w, file, &fattr), minor == 0 ? NFS4ERR_ATTRNOTSUPP : NFS4_OK);
}

/* ---- with what is made ---- */

static void creating(void **state)
{
    const struct wire4_ace aces[] = {{ALLOW, 0, R | X | 0x4, "1000"}, {ALLOW, 0, R, "OWNER@"}};
    struct wire4_owner owner = wire4_owner("opener");
    struct wire4_fattr fattr = acl(aces, 2);
    static const int hows[] = {WIRE4_UNCHECKED, WIRE4_GUARDED, WIRE4_EXCLUSIVE_1};
    struct wire4_handle made;
    char name[20];

    (void)state;
    wire4_add32(&fattr, FATTR4_MODE, 0777);
    expect4(w, NFS4_OK, wire4_putfh(w, &world.top), wire4_create(w, NF4DIR, NULL, "d", &fattr),
            wire4_getfh(w));
    made = wire4_last(w)->handle;
    assert_memory_equal(&wire4_at(w, 1)->set, &fattr.mask, sizeof fattr.mask);
    assert_string_equal(acl_of(&made), "A:0:25:1000 A:0:1:OWNER@ ");
    assert_int_equal(mode_of(&made), 0400);
    for (size_t i = 0; i < sizeof hows / sizeof *hows; i++) {
        struct wire4_stateid stateid;

        if (minor == 0 && hows[i] == WIRE4_EXCLUSIVE_1)
            continue;
        snprintf(name, sizeof name, "f%zu", i);
        wire4_begin(w);
        wire4_putfh(w, &world.top);
        wire4_open_name(w, &owner, name, 3, 0, hows[i], &fattr, 77);
        wire4_getfh(w);
        assert_int_equal(wire4_send(w), NFS4_OK);
        made = wire4_last(w)->handle;
        assert_memory_equal(&wire4_at(w, 1)->set, &fattr.mask, sizeof fattr.mask);
        stateid = wire4_at(w, 1)->stateid;
        if (minor == 0 && i == 0) {
            wire4_begin(w);
            wire4_putfh(w, &made);
            wire4_open_confirm(w, &owner, &stateid);
            assert_int_equal(wire4_send(w), NFS4_OK);
            stateid = wire4_last(w)->stateid;
        }
        assert_string_equal(acl_of(&made), "A:0:25:1000 A:0:1:OWNER@ ");
        assert_int_equal(mode_of(&made), 0400);
        wire4_begin(w);
        wire4_putfh(w, &made);
        wire4_close_file(w, &owner, &stateid);
        assert_int_equal(wire4_send(w), NFS4_OK);
    }
}

static void inheriting(void **state)
{
    struct wire4_fattr list = acl(LIST({ALLOW, 0, ALL, "EVERYONE@"}, {ALLOW, FILE_INHERIT, R | W, "1000"},
                                       {ALLOW, FILE_INHERIT | DIR_INHERIT | INHERIT_ONLY, ALL, "OWNER@"})),
                       umask = wire4_fattr();
    struct wire4_handle made;

    (void)state;
    assert_int_equal(set(w, dir, &list), NFS4_OK);
    assert_string_equal(acl_of(dir), "A:0:1f01ff:EVERYONE@ A:1:3:1000 A:b:1f01ff:OWNER@ ");
    expect4(w, NFS4_OK, wire4_putfh(w, dir), wire4_create(w, NF4FIFO, NULL, "f", NULL), wire4_getfh(w));
    made = wire4_last(w)->handle;
    assert_string_equal(acl_of(&made), "A:0:3:1000 A:0:1f01ff:OWNER@ ");
    assert_int_equal(mode_of(&made), 0700);
    expect4(w, NFS4_OK, wire4_putfh(w, dir), wire4_create(w, NF4DIR, NULL, "d", NULL), wire4_getfh(w));
    made = wire4_last(w)->handle;
    assert_string_equal(acl_of(&made), "A:9:3:1000 A:3:1f01ff:OWNER@ ");
    /* A mode is set on top of it: those with names have no more than the group. */
    made = wire4_make_file(w, dir, "g", 0640);
    assert_int_equal(mode_of(&made), 0640);
    assert_non_null(strstr(acl_of(&made), "A:0:1:1000 "));
    if (minor < 2)
        return;
    /* A umask is not (RFC 8275 5). */
    wire4_add64(&umask, FATTR4_MODE_UMASK, (uint64_t)0660 << 32 | 0077);
    expect4(w, NFS4_OK, wire4_putfh(w, dir), wire4_create(w, NF4FIFO, NULL, "u", &umask), wire4_getfh(w));
    made = wire4_last(w)->handle;
    assert_int_equal(mode_of(&made), 0660);
    assert_non_null(strstr(acl_of(&made), "A:0:3:1000 "));
    expect4(w, NFS4_OK, wire4_putfh(w, &world.top), wire4_create(w, NF4FIFO, NULL, "u", &umask),
            wire4_getfh(w));
    made = wire4_last(w)->handle;
    assert_int_equal(mode_of(&made), 0600);
}

static void dacls(void **state)
{
    struct wire4_fattr fattr =
        dacl(AUTO_INHERIT | PROTECTED,
             LIST({ALLOW, INHERITED, R, "1000"}, {ALLOW, FILE_INHERIT | DIR_INHERIT, ALL, "EVERYONE@"}));
    struct wire4_handle made;

    (void)state;
    if (minor == 0)
        return;
    assert_int_equal(set(w, dir, &fattr), NFS4_OK);
    assert_string_equal(dacl_of(dir, AUTO_INHERIT | PROTECTED), "A:80:1:1000 A:3:1f01ff:EVERYONE@ ");
    assert_string_equal(acl_of(dir), "A:0:1:1000 A:3:1f01ff:EVERYONE@ ");
    expect4(w, NFS4_OK, wire4_putfh(w, dir), wire4_verify(w, OP_VERIFY, &fattr));
    expect4(w, NFS4_OK, wire4_putfh(w, dir), wire4_create(w, NF4FIFO, NULL, "f", NULL), wire4_getfh(w));
    made = wire4_last(w)->handle;
    assert_string_equal(dacl_of(&made, AUTO_INHERIT), "A:80:1f01ff:EVERYONE@ ");
    /* acl has no flags, and says nothing of inheriting. */
    fattr = acl(LIST({ALLOW, INHERITED, R, "1000"}));
    assert_int_equal(set(w, dir, &fattr), NFS4_OK);
    assert_string_equal(dacl_of(dir, 0), "A:0:1:1000 ");
    fattr = dacl(8, LIST({ALLOW, 0, R, "1000"}));
    assert_int_equal(set(w, dir, &fattr), NFS4ERR_INVAL);
}

/* ---- long ones ---- */

/* SETATTR with COUNT entries for users 1, 2, 3 .. */
static uint32_t set_long(const struct wire4_handle *handle, uint32_t count)
{
    struct wire4_ace *aces = calloc(count, sizeof *aces);
    char(*names)[12] = calloc(count, sizeof *names);
    struct writer values;

    assert_true(aces != NULL && names != NULL);
    for (uint32_t i = 0; i < count; i++) {
        snprintf(names[i], sizeof names[i], "%u", i + 1);
        aces[i] = (struct wire4_ace){ALLOW, 0, READ_ACL | R, names[i]};
    }
    writer_init_growing(&values, 1 << 20);
    wire4_put_aces(&values, aces, count);
    wire4_begin(w);
    wire4_putfh(w, handle);
    wire4_op(w, OP_SETATTR);
    wire4_put_stateid(w, &wire4_anonymous);
    writer_be32(&w->request, 1);
    writer_be32(&w->request, UINT32_C(1) << FATTR4_ACL);
    writer_xdr_opaque(&w->request, values.data, values.length);
    writer_free(&values);
    free(aces);
    free(names);
    return wire4_send(w);
}

static void long_ones(void **state)
{
    enum { MOST = 2000 };
    struct wire4_bitmap wanted = wire4_bits(2, FATTR4_ACL, FATTR4_MODE), twice;
    struct wire4_attrs attrs;
    struct wire4_ace ace;
    char who[256];

    (void)state;
    assert_int_equal(set_long(file, MOST + 1), NFS4ERR_FBIG);
    assert_int_equal(set_long(file, MOST), NFS4_OK);
    attrs = wire4_attrs_of(w, file, wanted);
    assert_int_equal(attrs.acl_count, MOST);
    for (unsigned i = 1; wire4_next_ace(&attrs.acl, &ace, who); i++)
        assert_int_equal(strtoul(who, NULL, 10), i);
    /* A whole directory with two of them; then a listing that has no room for one. */
    assert_int_equal(set_long(&world.objects[N4_FIFO], MOST), NFS4_OK);
    expect4(w, NFS4_OK, wire4_putfh(w, &world.top), wire4_readdir(w, 0, 0, 0, 128 * 1024, wanted));
    assert_true(wire4_last(w)->count >= 2);
    for (uint32_t most = 256; most <= 65536; most *= 2) {
        wire4_begin(w);
        wire4_putfh(w, &world.top);
        wire4_readdir(w, 0, 0, 0, most, wanted);
        assert_true(wire4_send(w) == NFS4_OK || w->status == NFS4ERR_TOOSMALL);
        assert_true(w->status != NFS4_OK || wire4_last(w)->bytes <= most);
    }
    /* More of them than the largest reply holds. */
    wire4_begin(w);
    wire4_putfh(w, file);
    for (int i = 0; i < 30; i++)
        wire4_getattr(w, wanted);
    assert_int_equal(wire4_send_any(w), minor == 0 ? NFS4ERR_RESOURCE : NFS4ERR_REP_TOO_BIG);
    assert_true(w->count > 20 && w->count < 31);
    if (minor == 0)
        return;
    twice = wire4_bits(2, FATTR4_ACL, FATTR4_DACL);
    attrs = wire4_attrs_of(w, file, twice);
    assert_true(attrs.acl_count == MOST && attrs.dacl_count == MOST);
    w->cache_this = true;
    wire4_begin(w);
    wire4_putfh(w, file);
    wire4_getattr(w, wanted);
    assert_int_equal(wire4_send_any(w), NFS4ERR_REP_TOO_BIG_TO_CACHE);
    w->cache_this = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lists_of_modes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(setting, set_up, tear_down),
        cmocka_unit_test_setup_teardown(seeing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(with_a_mode, set_up, tear_down),
        cmocka_unit_test_setup_teardown(errors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(creating, set_up, tear_down),
        cmocka_unit_test_setup_teardown(inheriting, set_up, tear_down),
        cmocka_unit_test_setup_teardown(dacls, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_ones, set_up, tear_down),
    };
    int failed = 0;

    for (minor = 0; minor <= 2; minor++)
        failed += cmocka_run_group_tests(tests, NULL, NULL);
    return failed;
}
