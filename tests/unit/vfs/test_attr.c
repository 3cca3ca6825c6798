/*
 * test_attr.c - setattr: modes, owners, set-id bits, sizes, times, guards; nothing changes when it fails.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "vfs/vfs_priv.h"
#include "simclock.h"
#include "vfsworld.h"
#include <string.h>

static struct world world;

static int start(void **state)
{
    (void)state;
    world_start(&world);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    world_check_all_freed(&world, 0);
    world_stop(&world);
    return 0;
}

static const uint32_t groups[] = {7, 8};

/* User 1000 is in the groups 100, 7 and 8; 2000 in 200; 0 is root. */
static struct vfs_context user(uint32_t uid)
{
    struct vfs_context context = world_as(&world, uid, uid / 10);

    if (uid == 1000) {
        context.user.groups = groups;
        context.user.group_count = 2;
    }
    return context;
}

#define MODE VFS_SET_MODE
#define UID  VFS_SET_UID
#define GID  VFS_SET_GID
#define SIZE VFS_SET_SIZE
#define DOS  VFS_SET_DOS_ATTRIBUTES
#define BT   VFS_SET_BTIME

static const struct {
    const char *what;
    uint32_t by;          /* user */
    enum inode_type type; /* owned by 1000, group 100 */
    uint32_t mode;        /* before */
    unsigned set;         /* with the values below */
    uint32_t new_mode, new_uid, new_gid;
    uint64_t new_size;
    enum err expected;
    uint32_t mode_after;
} cases[] = {
    /* modes */
    {"owner", 1000, INODE_FILE, 0644, MODE, 0751, 0, 0, 0, ERR_OK, 0751},
    {"root", 0, INODE_FILE, 0644, MODE, 0751, 0, 0, 0, ERR_OK, 0751},
    {"group member", 2000, INODE_FILE, 0666, MODE, 0751, 0, 0, 0, ERR_PERM, 0666},
    {"bits above 07777 are not bits", 1000, INODE_FILE, 0644, MODE, 0100751, 0, 0, 0, ERR_OK, 0751},
    {"setuid", 1000, INODE_FILE, 0644, MODE, 04755, 0, 0, 0, ERR_OK, 04755},
    {"setgid, in the group", 1000, INODE_FILE, 0644, MODE, 02755, 0, 0, 0, ERR_OK, 02755},
    {"sticky on a directory", 1000, INODE_DIRECTORY, 0755, MODE, 01777, 0, 0, 0, ERR_OK, 01777},
    {"of a link", 1000, INODE_SYMLINK, 0777, MODE, 0755, 0, 0, 0, ERR_OK, 0755},
    /* owners */
    {"give away", 1000, INODE_FILE, 0644, UID, 0, 2000, 0, 0, ERR_PERM, 0644},
    {"take", 2000, INODE_FILE, 0666, UID, 0, 2000, 0, 0, ERR_PERM, 0666},
    {"to oneself", 1000, INODE_FILE, 0644, UID, 0, 1000, 0, 0, ERR_OK, 0644},
    {"root gives away", 0, INODE_FILE, 0644, UID, 0, 2000, 0, 0, ERR_OK, 0644},
    {"no user", 0, INODE_FILE, 0644, UID, 0, UINT32_MAX, 0, 0, ERR_INVAL, 0644},
    {"own other group", 1000, INODE_FILE, 0644, GID, 0, 0, 8, 0, ERR_OK, 0644},
    {"same group", 1000, INODE_FILE, 0644, GID, 0, 0, 100, 0, ERR_OK, 0644},
    {"strange group", 1000, INODE_FILE, 0644, GID, 0, 0, 200, 0, ERR_PERM, 0644},
    {"member, not owner", 2000, INODE_FILE, 0666, GID, 0, 0, 200, 0, ERR_PERM, 0666},
    {"root, any group", 0, INODE_FILE, 0644, GID, 0, 0, 12345, 0, ERR_OK, 0644},
    {"no group", 0, INODE_FILE, 0644, GID, 0, 0, UINT32_MAX, 0, ERR_INVAL, 0644},
    /* set-id bits at a new owner */
    {"chgrp drops set-id", 1000, INODE_FILE, 06755, GID, 0, 0, 7, 0, ERR_OK, 0755},
    {"chgrp drops setuid, keeps locking bit", 1000, INODE_FILE, 06745, GID, 0, 0, 7, 0, ERR_OK, 02745},
    {"root's chown drops them too", 0, INODE_FILE, 06755, UID, 0, 2000, 0, 0, ERR_OK, 0755},
    {"root names the mode as well", 0, INODE_FILE, 0644, UID | MODE, 06755, 2000, 0, 0, ERR_OK, 06755},
    {"owner names the mode as well", 1000, INODE_FILE, 0644, GID | MODE, 06755, 0, 7, 0, ERR_OK, 0755},
    {"directories keep theirs", 0, INODE_DIRECTORY, 02755, GID, 0, 0, 7, 0, ERR_OK, 02755},
    /* sizes */
    {"owner without write bits", 1000, INODE_FILE, 0444, SIZE, 0, 0, 0, 10, ERR_OK, 0444},
    {"others with them", 2000, INODE_FILE, 0666, SIZE, 0, 0, 0, 10, ERR_OK, 0666},
    {"others without", 2000, INODE_FILE, 0644, SIZE, 0, 0, 0, 10, ERR_ACCES, 0644},
    {"directory", 1000, INODE_DIRECTORY, 0755, SIZE, 0, 0, 0, 10, ERR_ISDIR, 0755},
    {"link", 1000, INODE_SYMLINK, 0777, SIZE, 0, 0, 0, 10, ERR_SYMLINK, 0777},
    {"fifo", 1000, INODE_FIFO, 0644, SIZE, 0, 0, 0, 10, ERR_WRONGTYPE, 0644},
    {"too large", 1000, INODE_FILE, 0644, SIZE, 0, 0, 0, STORE_FILE_SIZE_MAX + 1, ERR_FBIG, 0644},
    {"largest", 1000, INODE_FILE, 0644, SIZE, 0, 0, 0, STORE_FILE_SIZE_MAX, ERR_OK, 0644},
    {"all ones", 1000, INODE_FILE, 0644, SIZE, 0, 0, 0, UINT64_MAX, ERR_FBIG, 0644},
    {"set-id goes with the data", 2000, INODE_FILE, 06777, SIZE, 0, 0, 0, 10, ERR_OK, 0777},
    {"also by the owner", 1000, INODE_FILE, 06755, SIZE, 0, 0, 0, 10, ERR_OK, 0755},
    {"root leaves it", 0, INODE_FILE, 06755, SIZE, 0, 0, 0, 10, ERR_OK, 06755},
    /* all or nothing */
    {"mode and a strange group", 1000, INODE_FILE, 0644, MODE | GID, 0600, 0, 200, 0, ERR_PERM, 0644},
    {"size and a strange owner", 1000, INODE_FILE, 0644, SIZE | UID, 0, 2000, 0, 10, ERR_PERM, 0644},
    /* the rest */
    {"dos bits by a writer", 2000, INODE_FILE, 0666, DOS, 0, 0, 0, 0, ERR_OK, 0666},
    {"dos bits by a reader", 2000, INODE_FILE, 0644, DOS, 0, 0, 0, 0, ERR_ACCES, 0644},
    {"birth time by the owner", 1000, INODE_FILE, 0444, BT, 0, 0, 0, 0, ERR_OK, 0444},
    {"birth time by a writer", 2000, INODE_FILE, 0666, BT, 0, 0, 0, 0, ERR_PERM, 0666},
};

static void who_sets_what(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct inode *inode = world_make(&world, NULL, "a", cases[i].type, cases[i].mode, 1000, 100);
        struct vfs_context context = user(cases[i].by);
        struct vfs_setattr set = {
            .set = cases[i].set,
            .mode = cases[i].new_mode,
            .uid = cases[i].new_uid,
            .gid = cases[i].new_gid,
            .size = cases[i].new_size,
            .dos_attributes = 0x22,
            .btime = {.seconds = 77, .nanoseconds = 5},
        };
        struct inode_attr before, after;
        enum err err;

        vfs_getattr(inode, &before);
        err = vfs_setattr(&context, inode, &set, NULL, false);
        vfs_getattr(inode, &after);
        if (err != cases[i].expected || after.mode != cases[i].mode_after)
            fail_msg("%s: %s, mode %o", cases[i].what, err_name(err), after.mode);
        if (err == ERR_OK) {
            assert_int_equal(after.uid, cases[i].set & UID ? cases[i].new_uid : before.uid);
            assert_int_equal(after.gid, cases[i].set & GID ? cases[i].new_gid : before.gid);
            if (cases[i].set & SIZE)
                assert_int_equal(after.size, cases[i].new_size);
            assert_int_equal(after.dos_attributes, cases[i].set & DOS ? 0x22 : 0);
            if (cases[i].set & BT)
                assert_int_equal(after.btime.seconds, 77);
            assert_int_not_equal(after.change, before.change);
            assert_int_equal(timestamp_compare(after.ctime, before.ctime), 1);
            assert_int_equal(timestamp_compare(after.mtime, before.mtime), cases[i].set & SIZE ? 1 : 0);
            assert_true(context.ticket.batch != 0 || context.ticket.position != 0);
        } else {
            assert_memory_equal(&before, &after, sizeof before);
            assert_true(context.ticket.batch == 0 && context.ticket.position == 0);
        }
        vfs_unref(&inode);
        world_remove_all(&world, NULL, "a");
    }
}

/* A group that the user is not in can't get its set-id bit, whether by chmod or by create. */
static void setgid_needs_the_group(void **state)
{
    struct inode *inode = world_make(&world, NULL, "a", INODE_FILE, 0644, 1000, 200);
    struct vfs_setattr set = {.set = VFS_SET_MODE, .mode = 02755};
    struct vfs_context context = user(1000);
    struct inode_attr attr;

    (void)state;
    assert_int_equal(vfs_setattr(&context, inode, &set, NULL, false), ERR_OK);
    vfs_getattr(inode, &attr);
    assert_int_equal(attr.mode, 0755);
    assert_int_equal(vfs_setattr(&world.root, inode, &set, NULL, false), ERR_OK);
    vfs_getattr(inode, &attr);
    assert_int_equal(attr.mode, 02755);
    vfs_unref(&inode);
    world_remove_all(&world, NULL, "a");
}

static void times(void **state)
{
    struct inode *inode = world_make(&world, NULL, "a", INODE_FILE, 0666, 1000, 100);
    struct vfs_context owner = user(1000), other = user(2000);
    struct vfs_setattr set = {0};
    struct inode_attr before, after;

    (void)state;
    /* Given ones: before 1970, far ahead, the last nanosecond. */
    set.atime_how = set.mtime_how = VFS_TIME_SET;
    set.atime = (struct timestamp){.seconds = -5000000000, .nanoseconds = 1};
    set.mtime = (struct timestamp){.seconds = 5000000000, .nanoseconds = 999999999};
    assert_int_equal(vfs_setattr(&owner, inode, &set, NULL, false), ERR_OK);
    vfs_getattr(inode, &after);
    assert_int_equal(timestamp_compare(after.atime, set.atime), 0);
    assert_int_equal(timestamp_compare(after.mtime, set.mtime), 0);
    before = after;
    set.mtime.nanoseconds = 1000000000;
    assert_int_equal(vfs_setattr(&owner, inode, &set, NULL, false), ERR_INVAL);
    set.mtime.nanoseconds = 0;
    set.atime.nanoseconds = UINT32_MAX;
    assert_int_equal(vfs_setattr(&owner, inode, &set, NULL, false), ERR_INVAL);
    set.atime.nanoseconds = 0;
    assert_int_equal(vfs_setattr(&other, inode, &set, NULL, false), ERR_PERM);
    vfs_getattr(inode, &after);
    assert_memory_equal(&before, &after, sizeof before);
    /* One of them now, by somebody who may write. */
    set = (struct vfs_setattr){.mtime_how = VFS_TIME_NOW};
    assert_int_equal(vfs_setattr(&other, inode, &set, NULL, false), ERR_OK);
    vfs_getattr(inode, &after);
    assert_int_equal(timestamp_compare(after.atime, before.atime), 0);
    assert_int_equal(timestamp_compare(after.mtime, after.ctime), 0);
    assert_int_equal(timestamp_compare(after.ctime, before.ctime), 1);
    /* A size and a given mtime in one: the given one counts. */
    set = (struct vfs_setattr){.set = VFS_SET_SIZE, .size = 3, .mtime_how = VFS_TIME_SET, .mtime.seconds = 9};
    assert_int_equal(vfs_setattr(&owner, inode, &set, NULL, false), ERR_OK);
    vfs_getattr(inode, &after);
    assert_int_equal(after.mtime.seconds, 9);
    assert_int_equal(after.size, 3);
    vfs_unref(&inode);
    /* Kept over a restart. */
    world_restart(&world);
    inode = world_find(&world, NULL, "a");
    vfs_getattr(inode, &before);
    assert_memory_equal(&before, &after, sizeof before);
    vfs_unref(&inode);
    world_remove_all(&world, NULL, "a");
}

static void guards(void **state)
{
    struct inode *inode = world_make(&world, NULL, "a", INODE_FILE, 0644, 1000, 100);
    struct vfs_setattr set = {.set = VFS_SET_MODE, .mode = 0600}, nothing = {0};
    struct vfs_context context = user(1000);
    struct inode_attr before, after;
    struct timestamp guard;

    (void)state;
    vfs_getattr(inode, &before);
    guard = before.ctime;
    guard.nanoseconds++;
    assert_int_equal(vfs_setattr(&context, inode, &set, &guard, false), ERR_NOT_SYNC);
    assert_int_equal(vfs_setattr(&context, inode, &nothing, &guard, false), ERR_NOT_SYNC);
    vfs_getattr(inode, &after);
    assert_memory_equal(&before, &after, sizeof before);
    guard = before.ctime;
    assert_int_equal(vfs_setattr(&context, inode, &set, &guard, false), ERR_OK);
    vfs_getattr(inode, &after);
    assert_int_equal(after.mode, 0600);
    /* It has moved on. */
    assert_int_equal(vfs_setattr(&context, inode, &set, &guard, false), ERR_NOT_SYNC);
    /* Setting nothing is fine and changes nothing. */
    before = after;
    assert_int_equal(vfs_setattr(&context, inode, &nothing, &before.ctime, false), ERR_OK);
    vfs_getattr(inode, &after);
    assert_memory_equal(&before, &after, sizeof before);
    vfs_unref(&inode);
    world_remove_all(&world, NULL, "a");
}

/* atime moves with a read when it is not after the other times, or old; never else. */
static void relatime(void **state)
{
    struct inode *inode = world_make(&world, NULL, "a", INODE_FILE, 0644, 1000, 100);
    struct vfs_export_config config = world_config("test");
    struct inode_attr first, second;
    uint8_t byte;
    uint32_t got;
    bool eof;

    (void)state;
    assert_int_equal(world_write(&world, &world.root, inode, 0, "abc", 3, VFS_IO_CHECK_MODE), ERR_OK);
    assert_int_equal(world_read(&world, &world.root, inode, 0, &byte, 1, &got, &eof, VFS_IO_CHECK_MODE),
                     ERR_OK);
    vfs_getattr(inode, &first);
    assert_int_equal(timestamp_compare(first.atime, first.mtime), 1);
    assert_int_equal(world_read(&world, &world.root, inode, 0, &byte, 1, &got, &eof, VFS_IO_CHECK_MODE),
                     ERR_OK);
    vfs_getattr(inode, &second);
    assert_memory_equal(&first, &second, sizeof first); /* nor did `change` move */
    simclock_advance_ms((uint64_t)24 * 60 * 60 * 1000 + 1);
    config.read_only = true;
    assert_int_equal(vfs_exports_set(world.vfs, &config, 1), ERR_OK);
    assert_int_equal(world_read(&world, &world.root, inode, 0, &byte, 1, &got, &eof, VFS_IO_CHECK_MODE),
                     ERR_OK);
    vfs_getattr(inode, &second);
    assert_int_equal(timestamp_compare(second.atime, first.atime), 0);
    config.read_only = false;
    assert_int_equal(vfs_exports_set(world.vfs, &config, 1), ERR_OK);
    assert_int_equal(world_read(&world, &world.root, inode, 0, &byte, 1, &got, &eof, VFS_IO_CHECK_MODE),
                     ERR_OK);
    vfs_getattr(inode, &second);
    assert_int_equal(timestamp_compare(second.atime, first.atime), 1);
    assert_int_equal(second.change, first.change);
    vfs_unref(&inode);
    world_remove_all(&world, NULL, "a");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_sets_what), cmocka_unit_test(setgid_needs_the_group),
        cmocka_unit_test(times),         cmocka_unit_test(guards),
        cmocka_unit_test(relatime),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
