/*
 * test_remove.c - removing: types, what is not empty, link counts and times, and what is still held.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "vfs/vfs_priv.h"
#include "vfsworld.h"

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

static void types(void **state)
{
    static const struct {
        enum inode_type type;
        bool filled;
        enum vfs_remove_what what;
        enum err expected;
    } cases[] = {
        {INODE_FILE, false, VFS_REMOVE_NOT_DIRECTORY, ERR_OK},
        {INODE_FILE, false, VFS_REMOVE_ANY, ERR_OK},
        {INODE_FILE, false, VFS_REMOVE_DIRECTORY, ERR_NOTDIR},
        {INODE_SYMLINK, false, VFS_REMOVE_DIRECTORY, ERR_NOTDIR},
        {INODE_SYMLINK, false, VFS_REMOVE_NOT_DIRECTORY, ERR_OK},
        {INODE_FIFO, false, VFS_REMOVE_ANY, ERR_OK},
        {INODE_DIRECTORY, false, VFS_REMOVE_NOT_DIRECTORY, ERR_ISDIR},
        {INODE_DIRECTORY, true, VFS_REMOVE_NOT_DIRECTORY, ERR_ISDIR},
        {INODE_DIRECTORY, false, VFS_REMOVE_DIRECTORY, ERR_OK},
        {INODE_DIRECTORY, false, VFS_REMOVE_ANY, ERR_OK},
        {INODE_DIRECTORY, true, VFS_REMOVE_DIRECTORY, ERR_NOTEMPTY},
        {INODE_DIRECTORY, true, VFS_REMOVE_ANY, ERR_NOTEMPTY},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct inode *dir = world_make(&world, NULL, "dir", INODE_DIRECTORY, 0755, 0, 0), *inner;
        struct inode *inode = world_make(&world, dir, "a", cases[i].type, 0755, 0, 0);
        struct vfs_context context = world.root;
        struct inode_attr before, after;
        enum err err;

        if (cases[i].filled) {
            inner = world_make(&world, inode, "inner", INODE_FILE, 0644, 0, 0);
            vfs_unref(&inner);
        }
        context.ticket = (struct store_ticket){0};
        vfs_getattr(dir, &before);
        err = vfs_remove(&context, dir, world_name("a"), cases[i].what);
        vfs_getattr(dir, &after);
        if (err != cases[i].expected)
            fail_msg("case %zu: %s", i, err_name(err));
        assert_int_equal(world_has(&world, dir, "a"), err != ERR_OK);
        if (err == ERR_OK) {
            assert_int_equal(inode_attr(inode)->nlink, 0);
            assert_int_equal(after.nlink, 2);
            assert_int_equal(timestamp_compare(after.mtime, before.mtime), 1);
            assert_int_equal(timestamp_compare(after.ctime, after.mtime), 0);
            assert_int_not_equal(after.change, before.change);
            assert_int_not_equal(context.ticket.batch, 0);
        } else {
            assert_memory_equal(&before, &after, sizeof before);
            assert_int_equal(context.ticket.batch, 0);
        }
        assert_int_equal(vfs_remove(&world.root, dir, world_name("b"), cases[i].what), ERR_NOENT);
        vfs_unref(&inode);
        vfs_unref(&dir);
        world_remove_all(&world, NULL, "dir");
    }
}

/* What was removed while somebody holds it can be read and written until it is given back. */
static void held(void **state)
{
    struct inode *inode = world_make(&world, NULL, "a", INODE_FILE, 0644, 0, 0), *again;
    uint64_t ino = inode_attr(inode)->ino;
    uint8_t bytes[4];
    uint32_t got;
    bool eof;

    (void)state;
    world_remove_all(&world, NULL, "a");
    assert_int_equal(world_write(&world, &world.root, inode, 0, "text", 4, VFS_IO_OPEN_HANDLE), ERR_OK);
    assert_int_equal(world_read(&world, &world.root, inode, 0, bytes, 4, &got, &eof, VFS_IO_OPEN_HANDLE),
                     ERR_OK);
    assert_int_equal(got, 4);
    assert_memory_equal(bytes, "text", 4);
    vfs_unref(&inode);
    assert_int_equal(inode_get(world.store, ino, 0, &again), ERR_STALE);
    assert_int_equal(world_durable(&world, &world.root), ERR_OK);
    world_restart(&world);
    assert_int_equal(inode_get(world.store, ino, 0, &again), ERR_STALE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types),
        cmocka_unit_test(held),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
