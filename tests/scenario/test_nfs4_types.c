/*
 * test_nfs4_types.c - each operation on each type of object, at each minor version: what it answers (RFC 7530
 * 13, 16; RFC 8881 15, 18; RFC 7862 11, 15), without a filehandle, and at the pseudo root.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nfs4world.h"

static struct nfs4world world;
static uint32_t minor;
static const struct wire4_handle *subject; /* of the case; NULL: the pseudo root */

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

/* The file saved, the subject current. */
static void put_both(struct wire4 *w)
{
    wire4_putfh(w, &world.objects[N4_FILE]);
    wire4_savefh(w);
    if (subject == NULL)
        wire4_putrootfh(w);
    else
        wire4_putfh(w, subject);
}

static void put_lookup(struct wire4 *w)
{
    wire4_lookup(w, "none");
}
static void put_lookupp(struct wire4 *w)
{
    wire4_void(w, OP_LOOKUPP);
}
static void put_read(struct wire4 *w)
{
    wire4_read(w, OP_READ, &wire4_anonymous, 0, 100);
}
static void put_write(struct wire4 *w)
{
    wire4_write(w, &wire4_anonymous, 0, 2, "x", 1);
}
static void put_commit(struct wire4 *w)
{
    wire4_commit(w, 0, 0);
}
static void put_readdir(struct wire4 *w)
{
    wire4_readdir(w, 0, 0, 4096, 4096, wire4_bits(1, FATTR4_TYPE));
}
static void put_readlink(struct wire4 *w)
{
    wire4_void(w, OP_READLINK);
}
static void put_create(struct wire4 *w)
{
    wire4_create(w, NF4DIR, NULL, "none", NULL);
}
static void put_remove(struct wire4 *w)
{
    wire4_name(w, OP_REMOVE, "none", 4);
}
static void put_rename(struct wire4 *w)
{
    wire4_savefh(w);
    wire4_rename(w, "none", "none2");
}
static void put_link_from(struct wire4 *w)
{
    wire4_savefh(w);
    wire4_putfh(w, &world.objects[N4_DIR]);
    wire4_name(w, OP_LINK, "none", 4);
}
static void put_link_to(struct wire4 *w)
{
    put_both(w);
    wire4_name(w, OP_LINK, "none", 4);
}
static void put_set_size(struct wire4 *w)
{
    struct wire4_fattr fattr = wire4_size(11);

    wire4_setattr(w, &wire4_anonymous, &fattr);
}
static void put_set_mode(struct wire4 *w)
{
    struct wire4_fattr fattr = wire4_mode(0777);

    wire4_setattr(w, &wire4_anonymous, &fattr);
}
static void put_getattr(struct wire4 *w)
{
    wire4_getattr(w, wire4_bits(2, FATTR4_TYPE, FATTR4_SIZE));
}
static void put_access(struct wire4 *w)
{
    wire4_access(w, 0x3f);
}
static void put_secinfo(struct wire4 *w)
{
    wire4_name(w, OP_SECINFO, "absent", 6);
}
static void put_open(struct wire4 *w)
{
    static int opens;
    struct wire4_owner owner = wire4_owner("types");

    owner.key[0] = (char)('A' + opens++ % 26);
    wire4_open_name(w, &owner, "absent", 1, 0, WIRE4_NOCREATE, NULL, 0);
}
static void put_getfh(struct wire4 *w)
{
    wire4_getfh(w);
}
static void put_allocate(struct wire4 *w)
{
    wire4_range(w, OP_ALLOCATE, &wire4_anonymous, 0, 1);
}
static void put_deallocate(struct wire4 *w)
{
    wire4_range(w, OP_DEALLOCATE, &wire4_anonymous, 4096, 1);
}
static void put_seek(struct wire4 *w)
{
    wire4_seek(w, &wire4_anonymous, 0, 0);
}
static void put_read_plus(struct wire4 *w)
{
    wire4_read(w, OP_READ_PLUS, &wire4_anonymous, 0, 100);
}
static void put_io_advise(struct wire4 *w)
{
    wire4_range(w, OP_IO_ADVISE, &wire4_anonymous, 0, 100);
    writer_be32(&w->request, 0);
}
static void put_clone_from(struct wire4 *w)
{
    struct wire4_handle file = world.objects[N4_FILE];

    wire4_savefh(w);
    wire4_putfh(w, &file);
    wire4_clone(w, &wire4_anonymous, &wire4_anonymous, 0, 4096, 0);
}
static void put_clone_to(struct wire4 *w)
{
    put_both(w);
    wire4_clone(w, &wire4_anonymous, &wire4_anonymous, 0, 0, 0);
}
static void put_getxattr(struct wire4 *w)
{
    wire4_name(w, OP_GETXATTR, "none", 4);
}
static void put_removexattr(struct wire4 *w)
{
    wire4_name(w, OP_REMOVEXATTR, "none", 4);
}
static void put_listxattrs(struct wire4 *w)
{
    wire4_listxattrs(w, 0, 4096);
}

/* WRONG_TYPE and SYMLINK exist since 4.1 where the table says so; 4.0 has `old`. */
struct type_case {
    const char *name;
    void (*put)(struct wire4 *wire);
    uint32_t first_minor;
    uint32_t file, dir, link, other;
    uint32_t old_link, old_other; /* in 4.0; 0: the same */
    uint32_t pseudo;              /* at the pseudo root */
};
static const struct type_case type_cases[] = {
    {"LOOKUP", put_lookup, 0, NFS4ERR_NOTDIR, NFS4ERR_NOENT, NFS4ERR_SYMLINK, NFS4ERR_NOTDIR, 0, 0,
     NFS4ERR_NOENT},
    {"LOOKUPP", put_lookupp, 0, NFS4ERR_NOTDIR, NFS4_OK, NFS4ERR_SYMLINK, NFS4ERR_NOTDIR, NFS4ERR_NOTDIR, 0,
     NFS4ERR_NOENT},
    {"READ", put_read, 0, NFS4_OK, NFS4ERR_ISDIR, NFS4ERR_SYMLINK, NFS4ERR_WRONG_TYPE, NFS4ERR_INVAL,
     NFS4ERR_INVAL, NFS4ERR_ISDIR},
    {"WRITE", put_write, 0, NFS4_OK, NFS4ERR_ISDIR, NFS4ERR_SYMLINK, NFS4ERR_WRONG_TYPE, NFS4ERR_INVAL,
     NFS4ERR_INVAL, NFS4ERR_ISDIR},
    {"COMMIT", put_commit, 0, NFS4_OK, NFS4ERR_ISDIR, NFS4ERR_SYMLINK, NFS4ERR_WRONG_TYPE, NFS4ERR_INVAL,
     NFS4ERR_INVAL, NFS4ERR_ISDIR},
    {"READDIR", put_readdir, 0, NFS4ERR_NOTDIR, NFS4_OK, NFS4ERR_NOTDIR, NFS4ERR_NOTDIR, 0, 0, NFS4_OK},
    {"READLINK", put_readlink, 0, NFS4ERR_WRONG_TYPE, NFS4ERR_WRONG_TYPE, NFS4_OK, NFS4ERR_WRONG_TYPE, 0,
     NFS4ERR_INVAL, NFS4ERR_WRONG_TYPE},
    {"CREATE", put_create, 0, NFS4ERR_NOTDIR, NFS4_OK, NFS4ERR_NOTDIR, NFS4ERR_NOTDIR, 0, 0, NFS4ERR_ROFS},
    {"REMOVE", put_remove, 0, NFS4ERR_NOTDIR, NFS4_OK, NFS4ERR_NOTDIR, NFS4ERR_NOTDIR, 0, 0, NFS4ERR_ROFS},
    {"RENAME", put_rename, 0, NFS4ERR_NOTDIR, NFS4ERR_NOENT, NFS4ERR_NOTDIR, NFS4ERR_NOTDIR, 0, 0,
     NFS4ERR_ROFS},
    {"LINK to it", put_link_from, 0, NFS4_OK, NFS4ERR_ISDIR, NFS4ERR_EXIST, NFS4ERR_EXIST, 0, 0,
     NFS4ERR_ISDIR},
    {"LINK in it", put_link_to, 0, NFS4ERR_NOTDIR, NFS4ERR_EXIST, NFS4ERR_NOTDIR, NFS4ERR_NOTDIR, 0, 0,
     NFS4ERR_ROFS},
    {"SETATTR of the size", put_set_size, 0, NFS4_OK, NFS4ERR_ISDIR, NFS4ERR_INVAL, NFS4ERR_INVAL, 0, 0,
     NFS4ERR_ROFS},
    {"SETATTR of the mode", put_set_mode, 0, NFS4_OK, NFS4_OK, NFS4_OK, NFS4_OK, 0, 0, NFS4ERR_ROFS},
    {"GETATTR", put_getattr, 0, NFS4_OK, NFS4_OK, NFS4_OK, NFS4_OK, 0, 0, NFS4_OK},
    {"ACCESS", put_access, 0, NFS4_OK, NFS4_OK, NFS4_OK, NFS4_OK, 0, 0, NFS4_OK},
    {"GETFH", put_getfh, 0, NFS4_OK, NFS4_OK, NFS4_OK, NFS4_OK, 0, 0, NFS4_OK},
    {"SECINFO", put_secinfo, 0, NFS4ERR_NOTDIR, NFS4ERR_NOENT, NFS4ERR_NOTDIR, NFS4ERR_NOTDIR, 0, 0,
     NFS4ERR_NOENT},
    {"OPEN in it", put_open, 0, NFS4ERR_NOTDIR, NFS4ERR_NOENT, NFS4ERR_SYMLINK, NFS4ERR_NOTDIR, 0, 0,
     NFS4ERR_NOENT},
    {"ALLOCATE", put_allocate, 2, NFS4_OK, NFS4ERR_ISDIR, NFS4ERR_SYMLINK, NFS4ERR_WRONG_TYPE, 0, 0,
     NFS4ERR_ISDIR},
    {"DEALLOCATE", put_deallocate, 2, NFS4_OK, NFS4ERR_ISDIR, NFS4ERR_SYMLINK, NFS4ERR_WRONG_TYPE, 0, 0,
     NFS4ERR_ISDIR},
    {"SEEK", put_seek, 2, NFS4_OK, NFS4ERR_ISDIR, NFS4ERR_SYMLINK, NFS4ERR_WRONG_TYPE, 0, 0, NFS4ERR_ISDIR},
    {"READ_PLUS", put_read_plus, 2, NFS4_OK, NFS4ERR_ISDIR, NFS4ERR_SYMLINK, NFS4ERR_WRONG_TYPE, 0, 0,
     NFS4ERR_ISDIR},
    {"IO_ADVISE", put_io_advise, 2, NFS4_OK, NFS4ERR_ISDIR, NFS4ERR_SYMLINK, NFS4ERR_WRONG_TYPE, 0, 0,
     NFS4ERR_ISDIR},
    {"CLONE from it", put_clone_from, 2, NFS4_OK, NFS4ERR_ISDIR, NFS4ERR_SYMLINK, NFS4ERR_WRONG_TYPE, 0, 0,
     NFS4ERR_XDEV},
    {"CLONE to it", put_clone_to, 2, NFS4ERR_INVAL /* itself */, NFS4ERR_ISDIR, NFS4ERR_SYMLINK,
     NFS4ERR_WRONG_TYPE, 0, 0, NFS4ERR_ISDIR},
    {"GETXATTR", put_getxattr, 2, NFS4ERR_NOXATTR, NFS4ERR_NOXATTR, NFS4ERR_WRONG_TYPE, NFS4ERR_WRONG_TYPE, 0,
     0, NFS4ERR_NOTSUPP},
    {"REMOVEXATTR", put_removexattr, 2, NFS4ERR_NOXATTR, NFS4ERR_NOXATTR, NFS4ERR_WRONG_TYPE,
     NFS4ERR_WRONG_TYPE, 0, 0, NFS4ERR_ROFS},
    {"LISTXATTRS", put_listxattrs, 2, NFS4_OK, NFS4_OK, NFS4ERR_WRONG_TYPE, NFS4ERR_WRONG_TYPE, 0, 0,
     NFS4ERR_NOTSUPP},
};

static uint32_t wanted(const struct type_case *row, enum nfs4world_object what)
{
    switch (what) {
    case N4_FILE:
        /* READLINK */
        return minor == 0 && row->file == NFS4ERR_WRONG_TYPE ? NFS4ERR_INVAL : row->file;
    case N4_DIR:
        return minor == 0 && row->dir == NFS4ERR_WRONG_TYPE ? NFS4ERR_INVAL : row->dir;
    case N4_LINK:
        return minor == 0 && row->old_link != 0 ? row->old_link : row->link;
    default:
        return minor == 0 && row->old_other != 0 ? row->old_other : row->other;
    }
}

static void operations_on_types(void **state)
{
    size_t wrong = 0;

    (void)state;
    for (size_t i = 0; i < sizeof type_cases / sizeof *type_cases; i++)
        for (int what = 0; what < N4_OBJECTS; what++) {
            const struct type_case *row = &type_cases[i];
            uint32_t got, want = wanted(row, (enum nfs4world_object)what);

            subject = &world.objects[what];
            wire4_begin(world.root);
            wire4_putfh(world.root, subject);
            row->put(world.root);
            got = wire4_send_any(world.root);
            if (minor < row->first_minor)
                want = NFS4ERR_OP_ILLEGAL;
            /* Those of 4.0 and 4.1 stand behind the SEQUENCE and PUTFH of a case, not at its end. */
            if (got == want && (minor < row->first_minor || world.root->count == world.root->put))
                continue;
            wrong++;
            print_error("minor %u, %s on %s: %u, not %u\n", minor, row->name, nfs4world_names[what], got,
                        want);
        }
    assert_int_equal(wrong, 0);
}

static void without_filehandle(void **state)
{
    size_t wrong = 0;

    (void)state;
    for (size_t i = 0; i < sizeof type_cases / sizeof *type_cases; i++) {
        const struct type_case *row = &type_cases[i];
        uint32_t want = minor < row->first_minor ? NFS4ERR_OP_ILLEGAL : NFS4ERR_NOFILEHANDLE;
        uint32_t got;

        if (row->put == put_link_to || row->put == put_clone_to || row->put == put_clone_from)
            continue; /* these bring their own */
        wire4_begin(world.root);
        row->put(world.root);
        got = wire4_send_any(world.root);
        if (got == want)
            continue;
        wrong++;
        print_error("minor %u, %s without a filehandle: %u, not %u\n", minor, row->name, got, want);
    }
    assert_int_equal(wrong, 0);
}

static void at_pseudo_root(void **state)
{
    size_t wrong = 0;

    (void)state;
    for (size_t i = 0; i < sizeof type_cases / sizeof *type_cases; i++) {
        const struct type_case *row = &type_cases[i];
        uint32_t want = row->pseudo == NFS4ERR_WRONG_TYPE && minor == 0 ? NFS4ERR_INVAL : row->pseudo;
        uint32_t got;

        subject = NULL;
        wire4_begin(world.root);
        wire4_putrootfh(world.root);
        row->put(world.root);
        got = wire4_send_any(world.root);
        if (minor < row->first_minor)
            want = NFS4ERR_OP_ILLEGAL;
        if (got == want)
            continue;
        wrong++;
        print_error("minor %u, %s at the pseudo root: %u, not %u\n", minor, row->name, got, want);
    }
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations_on_types),
        cmocka_unit_test(without_filehandle),
        cmocka_unit_test(at_pseudo_root),
    };
    int failed = 0;

    for (minor = 0; minor <= 2; minor++)
        failed += cmocka_run_group_tests(tests, set_up, tear_down);
    return failed;
}
