/*
 * test_nfs4_names.c - names over the wire: which are fine, making, linking, renaming and removing with their
 * change_info, walking from the pseudo root into exports and back (RFC 8881 14.5, 18.4, 18.9, 18.13, 18.14,
 * 18.24 to 18.26).
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

/* ---- names that can't be ---- */

#define LONG_255                                                                                             \
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" \
    "xxx"                                                                                                    \
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" \
    "xxx"                                                                                                    \
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
_Static_assert(sizeof LONG_255 == 256, "255 bytes and an end");

struct name_case {
    const char *name;
    uint32_t length;
    uint32_t status; /* NFS4_OK: a name that can be made */
};
static const struct name_case name_cases[] = {
    {"", 0, NFS4ERR_INVAL},
    {".", 1, NFS4ERR_BADNAME},
    {"..", 2, NFS4ERR_BADNAME},
    {"...", 3, NFS4_OK},
    {".x", 2, NFS4_OK},
    {"a/b", 3, NFS4ERR_BADCHAR},
    {"/", 1, NFS4ERR_BADCHAR},
    {"a\0b", 3, NFS4ERR_BADCHAR},
    {"\0", 1, NFS4ERR_BADCHAR},
    {LONG_255, 255, NFS4_OK},
    {LONG_255 "x", 256, NFS4ERR_NAMETOOLONG},
    {" ", 1, NFS4_OK},
    {"a\nb", 3, NFS4_OK},
    {"\xc3\xa4", 2, NFS4_OK},               /* U+00E4 */
    {"\xf0\x9f\x98\x80", 4, NFS4_OK},       /* U+1F600 */
    {"\xff", 1, NFS4ERR_INVAL},             /* never in UTF-8 */
    {"a\x80", 2, NFS4ERR_INVAL},            /* a byte that continues nothing */
    {"\xc3", 1, NFS4ERR_INVAL},             /* one that is not continued */
    {"\xc0\xaf", 2, NFS4ERR_INVAL},         /* an overlong slash */
    {"\xed\xa0\x80", 3, NFS4ERR_INVAL},     /* a surrogate */
    {"\xf4\x90\x80\x80", 4, NFS4ERR_INVAL}, /* above U+10FFFF */
};

enum { BY_LOOKUP, BY_CREATE, BY_REMOVE, BY_RENAME_FROM, BY_RENAME_TO, BY_LINK, BY_OPEN, BY_SECINFO, WAYS };

static void put_way(struct wire4 *w, int way, const char *name, uint32_t length)
{
    static unsigned owners;
    struct wire4_owner owner;

    wire4_putfh(w, &world.objects[N4_FILE]);
    if (way == BY_RENAME_FROM || way == BY_RENAME_TO)
        wire4_putfh(w, &world.top);
    wire4_savefh(w);
    wire4_putfh(w, &world.top);
    switch (way) {
    case BY_LOOKUP:
        wire4_name(w, OP_LOOKUP, name, length);
        break;
    case BY_CREATE:
        wire4_op(w, OP_CREATE);
        writer_be32(&w->request, NF4DIR);
        writer_xdr_opaque(&w->request, name, length);
        wire4_put_fattr(w, NULL);
        break;
    case BY_REMOVE:
        wire4_name(w, OP_REMOVE, name, length);
        break;
    case BY_RENAME_FROM:
        wire4_name(w, OP_RENAME, name, length);
        writer_xdr_opaque(&w->request, "renamed", 7);
        break;
    case BY_RENAME_TO:
        wire4_name(w, OP_RENAME, "fifo", 4);
        writer_xdr_opaque(&w->request, name, length);
        break;
    case BY_LINK:
        wire4_name(w, OP_LINK, name, length);
        break;
    case BY_OPEN:
        owner = wire4_owner("names");
        owner.key[0] = (char)('0' + ++owners % 64);
        wire4_op(w, OP_OPEN);
        writer_be32(&w->request, 1);
        writer_be32(&w->request, 1);
        writer_be32(&w->request, 0);
        writer_be64(&w->request, w->clientid);
        writer_xdr_opaque(&w->request, owner.key, strlen(owner.key));
        writer_be32(&w->request, 0);
        writer_be32(&w->request, 0);
        writer_xdr_opaque(&w->request, name, length);
        break;
    default:
        wire4_name(w, OP_SECINFO, name, length);
        break;
    }
}

static void names(void **state)
{
    size_t wrong = 0;

    (void)state;
    for (size_t i = 0; i < sizeof name_cases / sizeof *name_cases; i++)
        for (int way = 0; way < WAYS; way++) {
            const struct name_case *row = &name_cases[i];
            bool makes = way == BY_CREATE || way == BY_RENAME_TO || way == BY_LINK;
            uint32_t want = row->status != NFS4_OK ? row->status : makes ? NFS4_OK : NFS4ERR_NOENT, got;

            wire4_begin(world.root);
            put_way(world.root, way, row->name, row->length);
            got = wire4_send(world.root);
            if (got != want) {
                wrong++;
                print_error("minor %u, name %zu, way %d: %u, not %u\n", minor, i, way, got, want);
            }
            if (got != NFS4_OK)
                continue;
            if (way == BY_RENAME_TO) {
                wire4_begin(world.root);
                wire4_putfh(world.root, &world.top);
                wire4_savefh(world.root);
                wire4_name(world.root, OP_RENAME, row->name, row->length);
                writer_xdr_opaque(&world.root->request, "fifo", 4);
            } else {
                wire4_begin(world.root);
                wire4_putfh(world.root, &world.top);
                wire4_name(world.root, OP_REMOVE, row->name, row->length);
            }
            assert_int_equal(wire4_send(world.root), NFS4_OK);
        }
    assert_int_equal(wrong, 0);
}

/* ---- making ---- */

static uint64_t change_of(const struct wire4_handle *dir)
{
    return wire4_attrs_of(world.root, dir, wire4_bits(1, FATTR4_CHANGE)).change;
}

static void assert_changed(const struct wire4_handle *dir, uint64_t before)
{
    const struct wire4_result r = *wire4_last(world.root);

    assert_true(r.atomic);
    assert_true(r.before == before);
    assert_true(r.after > r.before);
    assert_true(change_of(dir) == r.after);
}

static void making(void **state)
{
    static const uint32_t types[] = {NF4DIR, NF4LNK, NF4FIFO, NF4SOCK, NF4BLK, NF4CHR};
    static const uint32_t no_types[] = {0, NF4REG, NF4ATTRDIR, NF4NAMEDATTR, 10, UINT32_MAX};
    struct wire4 *w = world.root;
    struct wire4_fattr mode = wire4_mode(0751), size = wire4_size(0), bad = wire4_fattr();

    (void)state;
    wire4_add32(&bad, FATTR4_MIMETYPE, 0);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        uint64_t before = change_of(&world.top);

        expect4(w, NFS4_OK, wire4_putfh(w, &world.top), wire4_create(w, types[i], "to", "new", &mode));
        assert_int_equal(wire4_last(w)->set.words[1], mode.mask.words[1]);
        assert_changed(&world.top, before);
        expect4(w, NFS4_OK, wire4_putfh(w, &world.top), wire4_lookup(w, "new"),
                wire4_getattr(w, wire4_bits(2, FATTR4_TYPE, FATTR4_MODE)));
        assert_int_equal(wire4_last(w)->attrs.type, types[i]);
        if (types[i] != NF4LNK)
            assert_int_equal(wire4_last(w)->attrs.mode, 0751);
        before = change_of(&world.top);
        expect4(w, NFS4ERR_EXIST, wire4_putfh(w, &world.top), wire4_create(w, types[i], "to", "new", &mode));
        assert_true(change_of(&world.top) == before);
        expect4(w, NFS4_OK, wire4_putfh(w, &world.top), wire4_name(w, OP_REMOVE, "new", 3));
        assert_changed(&world.top, before);
    }
    for (size_t i = 0; i < sizeof no_types / sizeof *no_types; i++)
        expect4(w, NFS4ERR_BADTYPE, wire4_putfh(w, &world.top),
                wire4_create(w, no_types[i], NULL, "new", NULL));
    expect4(w, NFS4ERR_INVAL, wire4_putfh(w, &world.top), wire4_create(w, NF4LNK, "", "new", NULL));
    expect4(w, NFS4ERR_INVAL, wire4_putfh(w, &world.top), wire4_create(w, NF4DIR, NULL, "new", &size));
    expect4(w, NFS4ERR_ATTRNOTSUPP, wire4_putfh(w, &world.top), wire4_create(w, NF4DIR, NULL, "new", &bad));
    expect4(w, NFS4ERR_NOENT, wire4_putfh(w, &world.top), wire4_lookup(w, "new"));
    /* The new object is the current one behind CREATE. */
    expect4(w, NFS4_OK, wire4_putfh(w, &world.top), wire4_create(w, NF4DIR, NULL, "new", NULL),
            wire4_create(w, NF4DIR, NULL, "in it", NULL), wire4_void(w, OP_LOOKUPP),
            wire4_lookup(w, "in it"));
    expect4(w, NFS4ERR_NOTEMPTY, wire4_putfh(w, &world.top), wire4_name(w, OP_REMOVE, "new", 3));
    expect4(w, NFS4ERR_NOENT, wire4_putfh(w, &world.top), wire4_name(w, OP_REMOVE, "absent", 6));
    expect4(world.user, NFS4_OK, wire4_putfh(world.user, &world.top),
            wire4_create(world.user, NF4DIR, NULL, "mine", NULL),
            wire4_getattr(world.user, wire4_bits(2, FATTR4_OWNER, FATTR4_OWNER_GROUP)));
    assert_string_equal(wire4_last(world.user)->attrs.owner, "1000");
    assert_string_equal(wire4_last(world.user)->attrs.group, "100");
}

static void symbolic_links(void **state)
{
    struct wire4 *w = world.root;
    char target[4100];

    (void)state;
    expect4(w, NFS4_OK, wire4_putfh(w, &world.objects[N4_LINK]), wire4_void(w, OP_READLINK));
    assert_int_equal(wire4_last(w)->length, 6);
    assert_memory_equal(wire4_last(w)->data, "target", 6);
    for (size_t length = 1020; length <= sizeof target - 1; length++) {
        if (length == 1030)
            length = 4090;
        memset(target, 'x', length);
        target[length] = '\0';
        wire4_begin(w);
        wire4_putfh(w, &world.top);
        wire4_create(w, NF4LNK, target, "long", NULL);
        wire4_void(w, OP_READLINK);
        if (wire4_send_any(w) != NFS4_OK) {
            /* PATH_MAX, the end counted. */
            assert_int_equal(w->status, NFS4ERR_NAMETOOLONG);
            assert_true(length > 4095);
            continue;
        }
        assert_true(length <= 4096);
        assert_int_equal(wire4_last(w)->length, length);
        assert_memory_equal(wire4_last(w)->data, target, length);
        expect4(w, NFS4_OK, wire4_putfh(w, &world.top), wire4_name(w, OP_REMOVE, "long", 4));
    }
}

static void linking(void **state)
{
    struct wire4 *w = world.root;
    const struct wire4_handle *file = &world.objects[N4_FILE], *dir = &world.objects[N4_DIR];
    uint64_t before = change_of(dir);

    (void)state;
    expect4(w, NFS4_OK, wire4_putfh(w, file), wire4_savefh(w), wire4_putfh(w, dir),
            wire4_name(w, OP_LINK, "name", 4));
    assert_changed(dir, before);
    assert_int_equal(wire4_attrs_of(w, file, wire4_bits(1, FATTR4_NUMLINKS)).numlinks, 2);
    expect4(w, NFS4ERR_EXIST, wire4_putfh(w, file), wire4_savefh(w), wire4_putfh(w, dir),
            wire4_name(w, OP_LINK, "name", 4));
    expect4(w, NFS4_OK, wire4_putfh(w, dir), wire4_lookup(w, "name"), wire4_getfh(w));
    assert_memory_equal(wire4_last(w)->handle.data, file->data, file->length);
    expect4(w, NFS4_OK, wire4_putfh(w, dir), wire4_name(w, OP_REMOVE, "name", 4));
    assert_int_equal(wire4_attrs_of(w, file, wire4_bits(1, FATTR4_NUMLINKS)).numlinks, 1);
    /* Without a saved filehandle. */
    expect4(w, NFS4ERR_NOFILEHANDLE, wire4_putfh(w, dir), wire4_name(w, OP_LINK, "name", 4));
    expect4(w, NFS4ERR_NOFILEHANDLE, wire4_putfh(w, dir), wire4_rename(w, "a", "b"));
    expect4(w, minor == 0 ? NFS4ERR_RESTOREFH : NFS4ERR_NOFILEHANDLE, wire4_putfh(w, dir),
            wire4_void(w, OP_RESTOREFH));
}

/* ---- RENAME ---- */

/* From "d/s" to "e/t"; S and T: 0 nothing, 'f' file, 'd' directory, 'D' one that is not empty, '=' (T) the
 * same. */
struct rename_case {
    char source, target;
    uint32_t status;
};
static const struct rename_case rename_cases[] = {
    {'f', 0, NFS4_OK},         {'d', 0, NFS4_OK},   {'D', 0, NFS4_OK},         {0, 0, NFS4ERR_NOENT},
    {0, 'f', NFS4ERR_NOENT},   {'f', 'f', NFS4_OK}, {'f', 'd', NFS4ERR_EXIST}, {'f', 'D', NFS4ERR_EXIST},
    {'d', 'f', NFS4ERR_EXIST}, {'d', 'd', NFS4_OK}, {'D', 'd', NFS4_OK},       {'d', 'D', NFS4ERR_NOTEMPTY},
    {'D', 'f', NFS4ERR_EXIST}, {'f', '=', NFS4_OK},
};

static void make(const struct wire4_handle *dir, const char *name, char what)
{
    struct wire4 *w = world.root;
    struct wire4_handle made;

    if (what == 'f')
        wire4_make_file(w, dir, name, 0644);
    if (what == 'd' || what == 'D') {
        made = wire4_make_dir(w, dir, name, 0755);
        if (what == 'D')
            wire4_make_file(w, &made, "inside", 0644);
    }
}

static uint64_t fileid_at(const struct wire4_handle *dir, const char *name)
{
    wire4_begin(world.root);
    wire4_putfh(world.root, dir);
    wire4_lookup(world.root, name);
    wire4_getattr(world.root, wire4_bits(1, FATTR4_FILEID));
    return wire4_send_any(world.root) == NFS4_OK ? wire4_last(world.root)->attrs.fileid : 0;
}

static void renaming(void **state)
{
    struct wire4 *w = world.root;
    char name[8] = "r0";

    (void)state;
    for (size_t i = 0; i < sizeof rename_cases / sizeof *rename_cases; i++) {
        const struct rename_case *row = &rename_cases[i];
        struct wire4_handle base, d, e;
        uint64_t source, target, d_before, e_before;

        name[1] = (char)('A' + i);
        base = wire4_make_dir(w, &world.top, name, 0755);
        d = wire4_make_dir(w, &base, "d", 0755);
        e = wire4_make_dir(w, &base, "e", 0755);
        make(&d, "s", row->source);
        make(&e, "t", row->target);
        if (row->target == '=')
            expect4(w, NFS4_OK, wire4_putfh(w, &d), wire4_lookup(w, "s"), wire4_savefh(w), wire4_putfh(w, &e),
                    wire4_name(w, OP_LINK, "t", 1));
        source = fileid_at(&d, "s");
        target = fileid_at(&e, "t");
        d_before = change_of(&d);
        e_before = change_of(&e);
        wire4_begin(w);
        wire4_putfh(w, &d);
        wire4_savefh(w);
        wire4_putfh(w, &e);
        wire4_rename(w, "s", "t");
        if (wire4_send(w) != row->status)
            print_error("minor %u, rename %zu\n", minor, i);
        assert_int_equal(w->status, row->status);
        if (row->status == NFS4_OK && row->target != '=') {
            assert_true(wire4_last(w)->before == d_before && wire4_last(w)->after > d_before);
            assert_true(wire4_last(w)->to_before == e_before && wire4_last(w)->to_after > e_before);
            assert_true(fileid_at(&d, "s") == 0);
            assert_true(fileid_at(&e, "t") == source);
        } else {
            /* Nothing is done, also when both are the same (RFC 8881 18.26.4). */
            assert_true(fileid_at(&d, "s") == source);
            assert_true(fileid_at(&e, "t") == target);
            assert_true(change_of(&d) == d_before && change_of(&e) == e_before);
        }
    }
    /* A directory into itself. */
    expect4(w, NFS4ERR_INVAL, wire4_putfh(w, &world.top), wire4_savefh(w), wire4_lookup(w, "rA"),
            wire4_lookup(w, "d"), wire4_rename(w, "rA", "x"));
    expect4(w, NFS4ERR_INVAL, wire4_putfh(w, &world.top), wire4_savefh(w), wire4_lookup(w, "rA"),
            wire4_rename(w, "rA", "x"));
    expect4(w, NFS4_OK, wire4_putfh(w, &world.top), wire4_savefh(w), wire4_rename(w, "rA", "rA"));
}

/* ---- rights ---- */

static void rights(void **state)
{
    struct wire4 *w = world.user;
    struct wire4_handle closed = wire4_make_dir(world.root, &world.top, "closed", 0700),
                        fixed = wire4_make_dir(world.root, &world.top, "fixed", 0755),
                        sticky = wire4_make_dir(world.root, &world.top, "sticky", 01777);

    (void)state;
    wire4_make_file(world.root, &closed, "f", 0666);
    wire4_make_file(world.root, &fixed, "f", 0666);
    wire4_make_file(world.root, &sticky, "f", 0666);
    expect4(w, NFS4ERR_ACCESS, wire4_putfh(w, &closed), wire4_lookup(w, "f"));
    expect4(w, NFS4ERR_ACCESS, wire4_putfh(w, &closed), wire4_lookup(w, "absent"));
    expect4(w, NFS4ERR_ACCESS, wire4_putfh(w, &closed),
            wire4_readdir(w, 0, 0, 4096, 4096, wire4_bits(1, FATTR4_TYPE)));
    expect4(w, NFS4_OK, wire4_putfh(w, &fixed), wire4_lookup(w, "f"));
    expect4(w, NFS4ERR_ACCESS, wire4_putfh(w, &fixed), wire4_create(w, NF4DIR, NULL, "x", NULL));
    expect4(w, NFS4ERR_EXIST, wire4_putfh(w, &fixed), wire4_create(w, NF4DIR, NULL, "f", NULL));
    expect4(w, NFS4ERR_ACCESS, wire4_putfh(w, &fixed), wire4_name(w, OP_REMOVE, "f", 1));
    expect4(w, NFS4ERR_ACCESS, wire4_putfh(w, &fixed), wire4_savefh(w), wire4_putfh(w, &world.top),
            wire4_rename(w, "f", "g"));
    expect4(w, NFS4ERR_ACCESS, wire4_putfh(w, &world.top), wire4_savefh(w), wire4_putfh(w, &fixed),
            wire4_rename(w, "fifo", "g"));
    expect4(w, NFS4ERR_ACCESS, wire4_putfh(w, &world.objects[N4_FILE]), wire4_savefh(w),
            wire4_putfh(w, &fixed), wire4_name(w, OP_LINK, "g", 1));
    wire4_begin(w);
    wire4_putfh(w, &sticky);
    wire4_name(w, OP_REMOVE, "f", 1);
    wire4_send(w);
    assert_true(w->status == NFS4ERR_ACCESS || w->status == NFS4ERR_PERM);
}

/* ---- the pseudo root ---- */

static void crossing(void **state)
{
    struct wire4 *w = world.root;
    struct wire4_attrs root;

    (void)state;
    expect4(w, NFS4_OK, wire4_putrootfh(w), wire4_lookup(w, "a"), wire4_getfh(w));
    assert_memory_equal(wire4_last(w)->handle.data, world.top.data, world.top.length);
    expect4(w, NFS4ERR_NOENT, wire4_putrootfh(w), wire4_lookup(w, "b"));
    expect4(w, NFS4ERR_NOENT, wire4_putrootfh(w), wire4_lookup(w, "A"));
    expect4(w, NFS4_OK, wire4_putrootfh(w), wire4_getattr(w, wire4_bits(2, FATTR4_FILEID, FATTR4_FSID)));
    root = wire4_last(w)->attrs;
    /* Up from the export's root is the pseudo root again; above it there is nothing. */
    expect4(w, NFS4_OK, wire4_putfh(w, &world.top), wire4_void(w, OP_LOOKUPP),
            wire4_getattr(w, wire4_bits(2, FATTR4_FILEID, FATTR4_FSID)));
    assert_true(wire4_last(w)->attrs.fileid == root.fileid);
    assert_true(wire4_last(w)->attrs.fsid_major == root.fsid_major);
    expect4(w, NFS4ERR_NOENT, wire4_putrootfh(w), wire4_void(w, OP_LOOKUPP));
    expect4(w, NFS4_OK, wire4_putfh(w, &world.objects[N4_DIR]), wire4_void(w, OP_LOOKUPP), wire4_getfh(w));
    assert_memory_equal(wire4_last(w)->handle.data, world.top.data, world.top.length);
    /* The pseudo root's handle is one like others. */
    expect4(w, NFS4_OK, wire4_putrootfh(w), wire4_getfh(w));
    expect4(w, NFS4_OK, wire4_putfh(w, &wire4_at(w, 1)->handle), wire4_lookup(w, "a"));
    expect4(w, NFS4_OK, wire4_void(w, OP_PUTPUBFH), wire4_lookup(w, "a"));
    /* Nothing can be made, moved or removed there. */
    expect4(w, NFS4ERR_EXIST, wire4_putrootfh(w), wire4_create(w, NF4DIR, NULL, "a", NULL));
    expect4(w, NFS4ERR_ROFS, wire4_putrootfh(w), wire4_create(w, NF4DIR, NULL, "b", NULL));
    expect4(w, NFS4ERR_ROFS, wire4_putrootfh(w), wire4_name(w, OP_REMOVE, "a", 1));
    expect4(w, NFS4ERR_ROFS, wire4_putfh(w, &world.top), wire4_savefh(w), wire4_putrootfh(w),
            wire4_rename(w, "file", "x"));
    expect4(w, NFS4ERR_XDEV, wire4_putrootfh(w), wire4_savefh(w), wire4_putfh(w, &world.top),
            wire4_rename(w, "a", "x"));
}

static void handles(void **state)
{
    struct wire4 *w = world.root;
    struct wire4_handle gone = wire4_make_file(w, &world.top, "gone", 0644), bad;

    (void)state;
    expect4(w, NFS4_OK, wire4_putfh(w, &world.top), wire4_name(w, OP_REMOVE, "gone", 4));
    expect4(w, NFS4ERR_STALE, wire4_putfh(w, &gone));
    for (uint32_t at = 0; at < world.top.length; at++) {
        bad = world.top;
        bad.data[at] ^= 1;
        expect4(w, NFS4ERR_BADHANDLE, wire4_putfh(w, &bad));
    }
    for (uint32_t length = 0; length <= NFS4_FHSIZE; length++) {
        memset(&bad, 0, sizeof bad);
        memcpy(bad.data, world.top.data, length < world.top.length ? length : world.top.length);
        bad.length = length;
        if (length != world.top.length)
            expect4(w, NFS4ERR_BADHANDLE, wire4_putfh(w, &bad));
    }
    /* One byte longer than the protocol allows. */
    wire4_begin(w);
    wire4_op(w, OP_PUTFH);
    writer_be32(&w->request, NFS4_FHSIZE + 1);
    writer_zeros(&w->request, NFS4_FHSIZE + 4);
    assert_int_equal(wire4_send(w), NFS4ERR_BADXDR);
    /* A failed PUTFH ends the compound, so what was current does not matter any more; SAVEFH and RESTOREFH.
     */
    expect4(w, NFS4_OK, wire4_putfh(w, &world.top), wire4_savefh(w), wire4_lookup(w, "dir"),
            wire4_void(w, OP_RESTOREFH), wire4_getfh(w));
    assert_memory_equal(wire4_last(w)->handle.data, world.top.data, world.top.length);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(making, set_up, tear_down),
        cmocka_unit_test_setup_teardown(symbolic_links, set_up, tear_down),
        cmocka_unit_test_setup_teardown(linking, set_up, tear_down),
        cmocka_unit_test_setup_teardown(renaming, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rights, set_up, tear_down),
        cmocka_unit_test_setup_teardown(crossing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(handles, set_up, tear_down),
    };
    int failed = 0;

    for (minor = 0; minor <= 2; minor++)
        failed += cmocka_run_group_tests(tests, NULL, NULL);
    return failed;
}
