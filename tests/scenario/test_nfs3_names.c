/*
 * test_nfs3_names.c - NFS version 3 over the wire: what makes, finds, moves and removes names. Each
 * procedure's success with its wcc_data, and its errors.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nfs3check.h"
#include "nfsworld.h"

#include <stdio.h>
#include <string.h>

enum { UNCHECKED, GUARDED, EXCLUSIVE };
enum { REG = 1, DIR, BLK, CHR, LNK, SOCK, FIFO };
enum { USER = 1000, GROUP = 100 };

static struct nfsworld *world;
static struct rpcclient *root, *user;
static struct nfs3_handle top, other_top;

static int set_up(void **state)
{
    struct vfs_export_config exports[] = {nfsworld_export("a"), nfsworld_export("b")};

    (void)state;
    world = nfsworld_open(exports, 2, NULL);
    root = nfsworld_client(world, 0, 0);
    user = nfsworld_client(world, USER, GROUP);
    top = nfsworld_mount(root, "/a");
    other_top = nfsworld_mount(root, "/b");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rpcclient_close(&root);
    rpcclient_close(&user);
    nfsworld_close(&world);
    return 0;
}

/* A directory of the test's own, mode 0777. */
static struct nfs3_handle fresh_dir(void)
{
    static int count;
    struct nfs3_new_attr attr = {.set = NFS3_SET_MODE, .mode = 0777};
    struct nfs3_result r;
    char name[32];

    snprintf(name, sizeof name, "dir%d", count++);
    works(nfs3_mkdir(root, &top, name, &attr, &r));
    assert_true(r.has_handle);
    return r.handle;
}

static struct nfs3_handle make_file(const struct nfs3_handle *dir, const char *name)
{
    struct nfs3_new_attr attr = {.set = NFS3_SET_MODE, .mode = 0644};
    struct nfs3_result r;

    works(nfs3_create(root, dir, name, GUARDED, &attr, 0, &r));
    return r.handle;
}

static bool same_handle(const struct nfs3_handle *a, const struct nfs3_handle *b)
{
    return a->length == b->length && memcmp(a->data, b->data, a->length) == 0;
}

static void null_and_root(void **state)
{
    struct nfs3_result r;
    uint64_t fsid;

    (void)state;
    works(nfs3_call(root, NFS3C_NULL, NULL, &r));
    assert_int_equal(r.length, 0);
    works(nfs3_getattr(root, &top, &r));
    assert_int_equal(r.attr.type, DIR);
    assert_int_equal(r.attr.mode, 0777);
    assert_true(r.attr.nlink >= 2);
    assert_int_not_equal(r.attr.fileid, 0);
    assert_int_not_equal(r.attr.fsid, 0);
    fsid = r.attr.fsid;
    works(nfs3_getattr(root, &other_top, &r));
    assert_int_not_equal(r.attr.fsid, fsid);
}

static void create_makes_a_file(void **state)
{
    struct nfs3_handle dir = fresh_dir();
    struct nfs3_new_attr attr = {
        .set = NFS3_SET_MODE | NFS3_SET_SIZE,
        .mode = 0640,
        .size = 12345,
        .mtime_how = 2,
        .mtime = {.seconds = 1234567890, .nanoseconds = 42},
    };
    struct nfs3_result r;
    struct nfs3_handle file;

    (void)state;
    works(nfs3_create(user, &dir, "f", UNCHECKED, &attr, 0, &r));
    assert_true(r.has_handle && r.has_attr);
    assert_int_equal(r.attr.type, REG);
    assert_int_equal(r.attr.mode, 0640);
    assert_int_equal(r.attr.uid, USER);
    assert_int_equal(r.attr.gid, GROUP);
    assert_int_equal(r.attr.nlink, 1);
    assert_int_equal(r.attr.size, 12345);
    assert_int_equal(r.attr.mtime.seconds, 1234567890);
    assert_int_equal(r.attr.mtime.nanoseconds, 42);
    assert_wcc_changed(r.wcc);
    file = r.handle;
    works(nfs3_lookup(user, &dir, "f", &r));
    assert_true(same_handle(&file, &r.handle));
    assert_true(r.has_attr && r.has_dir_attr);
    assert_int_equal(r.dir_attr.type, DIR);
}

static void create_modes_and_what_is_there(void **state)
{
    struct nfs3_handle dir = fresh_dir(), file;
    struct nfs3_new_attr size5 = {.set = NFS3_SET_SIZE, .size = 5}, size0 = {.set = NFS3_SET_SIZE};
    struct nfs3_result r;

    (void)state;
    works(nfs3_create(root, &dir, "f", UNCHECKED, &size5, 0, &r));
    file = r.handle;
    gives(NFS3ERR_EXIST, nfs3_create(root, &dir, "f", GUARDED, NULL, 0, &r));
    assert_wcc_same(r.wcc);
    gives(NFS3ERR_EXIST, nfs3_create(root, &dir, "f", EXCLUSIVE, NULL, 7, &r));
    works(nfs3_create(root, &dir, "f", UNCHECKED, NULL, 0, &r));
    assert_true(same_handle(&file, &r.handle));
    assert_int_equal(r.attr.size, 5);
    works(nfs3_create(root, &dir, "f", UNCHECKED, &size0, 0, &r));
    assert_true(same_handle(&file, &r.handle));
    assert_int_equal(r.attr.size, 0);
    works(nfs3_mkdir(root, &dir, "d", NULL, &r));
    gives(NFS3ERR_EXIST, nfs3_create(root, &dir, "d", UNCHECKED, NULL, 0, &r));
}

static void exclusive_create_can_be_repeated(void **state)
{
    struct nfs3_handle dir = fresh_dir(), file;
    struct nfs3_new_attr times = {.atime_how = 1, .mtime_how = 1, .set = NFS3_SET_MODE, .mode = 0644};
    struct nfs3_result r;

    (void)state;
    works(nfs3_create(user, &dir, "x", EXCLUSIVE, NULL, 0x1122334455667788, &r));
    file = r.handle;
    /* With another xid, so that no cache of replies answers it. */
    works(nfs3_create(user, &dir, "x", EXCLUSIVE, NULL, 0x1122334455667788, &r));
    assert_true(same_handle(&file, &r.handle));
    gives(NFS3ERR_EXIST, nfs3_create(user, &dir, "x", EXCLUSIVE, NULL, 0x1122334455667789, &r));
    nfsworld_restart(world);
    rpcclient_close(&user);
    rpcclient_close(&root);
    user = nfsworld_client(world, USER, GROUP);
    root = nfsworld_client(world, 0, 0);
    works(nfs3_create(user, &dir, "x", EXCLUSIVE, NULL, 0x1122334455667788, &r));
    assert_true(same_handle(&file, &r.handle));
    works(nfs3_setattr(user, &file, &times, NULL, &r));
    gives(NFS3ERR_EXIST, nfs3_create(user, &dir, "x", EXCLUSIVE, NULL, 0x1122334455667788, &r));
}

static void directories(void **state)
{
    struct nfs3_handle dir = fresh_dir(), sub;
    struct nfs3_new_attr attr = {.set = NFS3_SET_MODE, .mode = 0750};
    struct nfs3_result r;

    (void)state;
    works(nfs3_mkdir(user, &dir, "sub", &attr, &r));
    assert_int_equal(r.attr.type, DIR);
    assert_int_equal(r.attr.mode, 0750);
    assert_int_equal(r.attr.nlink, 2);
    assert_wcc_changed(r.wcc);
    assert_int_equal(r.wcc.after.nlink, 3);
    sub = r.handle;
    gives(NFS3ERR_EXIST, nfs3_mkdir(user, &dir, "sub", &attr, &r));
    works(nfs3_create(user, &sub, "f", GUARDED, NULL, 0, &r));
    gives(NFS3ERR_NOTEMPTY, nfs3_name_call(user, NFS3C_RMDIR, &dir, "sub", 3, &r));
    assert_wcc_same(r.wcc);
    gives(NFS3ERR_NOTDIR, nfs3_name_call(user, NFS3C_RMDIR, &sub, "f", 1, &r));
    gives(NFS3ERR_ISDIR, nfs3_name_call(root, NFS3C_REMOVE, &dir, "sub", 3, &r));
    works(nfs3_name_call(user, NFS3C_REMOVE, &sub, "f", 1, &r));
    assert_wcc_changed(r.wcc);
    gives(NFS3ERR_NOENT, nfs3_name_call(user, NFS3C_REMOVE, &sub, "f", 1, &r));
    works(nfs3_name_call(user, NFS3C_RMDIR, &dir, "sub", 3, &r));
    assert_int_equal(r.wcc.after.nlink, 2);
    gives(NFS3ERR_NOENT, nfs3_name_call(user, NFS3C_RMDIR, &dir, "sub", 3, &r));
    gives(NFS3ERR_STALE, nfs3_getattr(user, &sub, &r));
    gives(NFS3ERR_STALE, nfs3_create(user, &sub, "late", GUARDED, NULL, 0, &r));
    assert_false(r.wcc.has_before || r.wcc.has_after);
}

static void symbolic_links(void **state)
{
    static char target[4098];
    struct nfs3_handle dir = fresh_dir(), link, file = make_file(&dir, "f");
    struct nfs3_result r;

    (void)state;
    works(nfs3_symlink(user, &dir, "l", "../some/where", &r));
    assert_int_equal(r.attr.type, LNK);
    assert_int_equal(r.attr.size, 13);
    assert_wcc_changed(r.wcc);
    link = r.handle;
    works(nfs3_handle_call(user, NFS3C_READLINK, &link, &r));
    assert_int_equal(r.data_length, 13);
    assert_memory_equal(r.data, "../some/where", 13);
    assert_true(r.has_attr);
    gives(NFS3ERR_INVAL, nfs3_handle_call(user, NFS3C_READLINK, &file, &r));
    assert_true(r.has_attr);
    gives(NFS3ERR_INVAL, nfs3_handle_call(user, NFS3C_READLINK, &dir, &r));
    gives(NFS3ERR_EXIST, nfs3_symlink(user, &dir, "l", "x", &r));
    gives(NFS3ERR_INVAL, nfs3_symlink(user, &dir, "empty", "", &r));
    memset(target, 'x', 4096);
    works(nfs3_symlink(user, &dir, "long", target, &r));
    link = r.handle;
    works(nfs3_handle_call(user, NFS3C_READLINK, &link, &r));
    assert_int_equal(r.data_length, 4096);
    assert_memory_equal(r.data, target, 4096);
    target[4096] = 'x';
    gives(NFS3ERR_NAMETOOLONG, nfs3_symlink(user, &dir, "longer", target, &r));
    assert_wcc_same(r.wcc);
}

static void special_files(void **state)
{
    static const uint32_t bad[] = {0, REG, DIR, LNK, 8, 0xffffffff};
    struct nfs3_handle dir = fresh_dir();
    struct nfs3_result r;

    (void)state;
    works(nfs3_mknod(user, &dir, "fifo", FIFO, 0, 0, &r));
    assert_int_equal(r.attr.type, FIFO);
    works(nfs3_mknod(user, &dir, "sock", SOCK, 0, 0, &r));
    assert_int_equal(r.attr.type, SOCK);
    assert_wcc_changed(r.wcc);
    works(nfs3_mknod(root, &dir, "chr", CHR, 1, 3, &r));
    assert_int_equal(r.attr.type, CHR);
    assert_int_equal(r.attr.rdev_major, 1);
    assert_int_equal(r.attr.rdev_minor, 3);
    works(nfs3_mknod(root, &dir, "blk", BLK, 0xfff, 0xfffff, &r));
    assert_int_equal(r.attr.type, BLK);
    assert_int_equal(r.attr.rdev_major, 0xfff);
    assert_int_equal(r.attr.rdev_minor, 0xfffff);
    gives(NFS3ERR_PERM, nfs3_mknod(user, &dir, "mine", CHR, 1, 3, &r));
    gives(NFS3ERR_EXIST, nfs3_mknod(user, &dir, "fifo", FIFO, 0, 0, &r));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        gives(NFS3ERR_BADTYPE, nfs3_mknod(root, &dir, "what", bad[i], 0, 0, &r));
        assert_wcc_same(r.wcc);
    }
}

static void renames(void **state)
{
    struct nfs3_handle dir = fresh_dir(), to = fresh_dir(), sub, file = make_file(&dir, "f");
    struct nfs3_result r;

    (void)state;
    works(nfs3_rename(user, &dir, "f", &dir, "g", &r));
    assert_wcc_changed(r.wcc);
    assert_wcc_changed(r.wcc2);
    gives(NFS3ERR_NOENT, nfs3_lookup(user, &dir, "f", &r));
    works(nfs3_rename(user, &dir, "g", &to, "h", &r));
    assert_wcc_changed(r.wcc);
    assert_wcc_changed(r.wcc2);
    works(nfs3_lookup(user, &to, "h", &r));
    assert_true(same_handle(&file, &r.handle));
    gives(NFS3ERR_NOENT, nfs3_rename(user, &dir, "g", &to, "h", &r));
    assert_wcc_same(r.wcc);
    assert_wcc_same(r.wcc2);
    /* Over a file that is there; the one that was is gone. */
    make_file(&to, "victim");
    works(nfs3_lookup(user, &to, "victim", &r));
    sub = r.handle;
    works(nfs3_rename(user, &to, "h", &to, "victim", &r));
    gives(NFS3ERR_STALE, nfs3_getattr(user, &sub, &r));
    works(nfs3_getattr(user, &file, &r));
    /* To itself, and to another name of the same file: nothing happens (POSIX). */
    works(nfs3_rename(user, &to, "victim", &to, "victim", &r));
    works(nfs3_link(root, &file, &to, "twin", &r));
    works(nfs3_rename(user, &to, "victim", &to, "twin", &r));
    works(nfs3_lookup(user, &to, "victim", &r));
    works(nfs3_mkdir(user, &to, "d", NULL, &r));
    sub = r.handle;
    gives(NFS3ERR_ISDIR, nfs3_rename(user, &to, "twin", &to, "d", &r));
    gives(NFS3ERR_NOTDIR, nfs3_rename(user, &to, "d", &to, "twin", &r));
    gives(NFS3ERR_INVAL, nfs3_rename(user, &to, "d", &sub, "into", &r));
    works(nfs3_mkdir(user, &dir, "full", NULL, &r));
    works(nfs3_create(user, &r.handle, "f", GUARDED, NULL, 0, &r));
    gives(NFS3ERR_NOTEMPTY, nfs3_rename(user, &to, "d", &dir, "full", &r));
    gives(NFS3ERR_XDEV, nfs3_rename(user, &to, "d", &other_top, "d", &r));
    assert_wcc_same(r.wcc);
    assert_false(r.wcc2.has_before || r.wcc2.has_after);
    gives(NFS3ERR_NOTDIR, nfs3_rename(user, &file, "a", &dir, "b", &r));
    gives(NFS3ERR_NOTDIR, nfs3_rename(user, &dir, "full", &file, "b", &r));
}

static void links(void **state)
{
    struct nfs3_handle dir = fresh_dir(), file = make_file(&dir, "f");
    struct nfs3_result r;

    (void)state;
    works(nfs3_link(user, &file, &dir, "g", &r));
    assert_true(r.has_attr);
    assert_int_equal(r.attr.nlink, 2);
    assert_wcc_changed(r.wcc);
    works(nfs3_lookup(user, &dir, "g", &r));
    assert_true(same_handle(&file, &r.handle));
    gives(NFS3ERR_EXIST, nfs3_link(user, &file, &dir, "g", &r));
    assert_true(r.has_attr);
    assert_wcc_same(r.wcc);
    gives(NFS3ERR_XDEV, nfs3_link(user, &file, &other_top, "g", &r));
    assert_true(r.has_attr);
    assert_false(r.wcc.has_after);
    gives(NFS3ERR_NOTDIR, nfs3_link(user, &file, &file, "g", &r));
    gives(NFS3ERR_ISDIR, nfs3_link(root, &dir, &dir, "loop", &r));
    works(nfs3_name_call(user, NFS3C_REMOVE, &dir, "f", 1, &r));
    works(nfs3_getattr(user, &file, &r));
    assert_int_equal(r.attr.nlink, 1);
    works(nfs3_name_call(user, NFS3C_REMOVE, &dir, "g", 1, &r));
    gives(NFS3ERR_STALE, nfs3_getattr(user, &file, &r));
    gives(NFS3ERR_STALE, nfs3_link(user, &file, &dir, "again", &r));
    assert_false(r.has_attr || r.wcc.has_after);
}

static void lookups(void **state)
{
    struct nfs3_handle dir = fresh_dir(), file = make_file(&dir, "f"), closed;
    struct nfs3_new_attr attr = {.set = NFS3_SET_MODE, .mode = 0600};
    struct nfs3_result r;

    (void)state;
    works(nfs3_lookup(user, &dir, ".", &r));
    assert_true(same_handle(&dir, &r.handle));
    works(nfs3_lookup(user, &dir, "..", &r));
    assert_true(same_handle(&top, &r.handle));
    works(nfs3_lookup(user, &top, "..", &r));
    assert_true(same_handle(&top, &r.handle));
    gives(NFS3ERR_NOENT, nfs3_lookup(user, &dir, "nobody", &r));
    assert_true(r.has_dir_attr);
    gives(NFS3ERR_NOTDIR, nfs3_lookup(user, &file, "f", &r));
    assert_true(r.has_dir_attr);
    gives(NFS3ERR_NOENT, nfs3_lookup(user, &dir, "F", &r));
    works(nfs3_mkdir(root, &dir, "closed", &attr, &r));
    closed = r.handle;
    gives(NFS3ERR_ACCES, nfs3_lookup(user, &closed, "x", &r));
    gives(NFS3ERR_ACCES, nfs3_lookup(user, &closed, "..", &r));
    gives(NFS3ERR_ACCES, nfs3_create(user, &closed, "x", UNCHECKED, NULL, 0, &r));
    assert_wcc_same(r.wcc);
}

/* "." and ".." where a name is made or removed (RFC 1813 3.3.9, 3.3.13, 3.3.14). */
static void dots_are_no_names(void **state)
{
    static const char *const dots[] = {".", ".."};
    struct nfs3_handle dir = fresh_dir(), file = make_file(&dir, "f");
    struct nfs3_result r;

    (void)state;
    for (int i = 0; i < 2; i++) {
        gives(NFS3ERR_EXIST, nfs3_create(root, &dir, dots[i], UNCHECKED, NULL, 0, &r));
        gives(NFS3ERR_EXIST, nfs3_mkdir(root, &dir, dots[i], NULL, &r));
        gives(NFS3ERR_EXIST, nfs3_symlink(root, &dir, dots[i], "x", &r));
        gives(NFS3ERR_EXIST, nfs3_mknod(root, &dir, dots[i], FIFO, 0, 0, &r));
        gives(NFS3ERR_EXIST, nfs3_link(root, &file, &dir, dots[i], &r));
        gives(NFS3ERR_ISDIR, nfs3_name_call(root, NFS3C_REMOVE, &dir, dots[i], (uint32_t)i + 1, &r));
        gives(NFS3ERR_INVAL, nfs3_rename(root, &dir, dots[i], &dir, "x", &r));
        gives(NFS3ERR_INVAL, nfs3_rename(root, &dir, "f", &dir, dots[i], &r));
    }
    gives(NFS3ERR_INVAL, nfs3_name_call(root, NFS3C_RMDIR, &dir, ".", 1, &r));
    gives(NFS3ERR_EXIST, nfs3_name_call(root, NFS3C_RMDIR, &dir, "..", 2, &r));
    works(nfs3_getattr(root, &dir, &r));
}

static void handles_survive_a_restart(void **state)
{
    struct nfs3_handle dir = fresh_dir(), file = make_file(&dir, "f"), gone = make_file(&dir, "g");
    struct nfs3_result r;

    (void)state;
    works(nfs3_name_call(root, NFS3C_REMOVE, &dir, "g", 1, &r));
    nfsworld_restart(world);
    rpcclient_close(&root);
    rpcclient_close(&user);
    root = nfsworld_client(world, 0, 0);
    user = nfsworld_client(world, USER, GROUP);
    works(nfs3_lookup(root, &dir, "f", &r));
    assert_true(same_handle(&file, &r.handle));
    gives(NFS3ERR_NOENT, nfs3_lookup(root, &dir, "g", &r));
    gives(NFS3ERR_STALE, nfs3_getattr(root, &gone, &r));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(null_and_root),
        cmocka_unit_test(create_makes_a_file),
        cmocka_unit_test(create_modes_and_what_is_there),
        cmocka_unit_test(exclusive_create_can_be_repeated),
        cmocka_unit_test(directories),
        cmocka_unit_test(symbolic_links),
        cmocka_unit_test(special_files),
        cmocka_unit_test(renames),
        cmocka_unit_test(links),
        cmocka_unit_test(lookups),
        cmocka_unit_test(dots_are_no_names),
        cmocka_unit_test(handles_survive_a_restart),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
