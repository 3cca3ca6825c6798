/*
 * test_vfs.c - durability of what operations did, over crashes; sync = no; the boot verifier; space.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "vfs/vfs_priv.h"
#include "simdisk.h"
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

static struct vfs_context fresh(void)
{
    struct vfs_context context = world.root;

    context.ticket = (struct store_ticket){0};
    return context;
}

static void verifier(void **state)
{
    uint64_t first = vfs_boot_verifier(world.vfs);

    (void)state;
    assert_int_equal(vfs_boot_verifier(world.vfs), first);
    assert_ptr_equal(vfs_loop(world.vfs), world.loop);
    world_restart(&world);
    assert_int_not_equal(vfs_boot_verifier(world.vfs), first);
}

/* What a reply was sent for is there after a crash, whatever the disk loses. */
static void replies_are_durable(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct vfs_context context = fresh();
        struct vfs_create create = {.type = INODE_FILE, .how = VFS_CREATE_GUARDED};
        struct vfs_setattr set = {.set = VFS_SET_MODE, .mode = 0604};
        struct inode *dir = world_make(&world, NULL, "dir", INODE_DIRECTORY, 0755, 0, 0), *inode, *other;
        bool created;

        assert_int_equal(vfs_create(&context, dir, world_name("a"), &create, &inode, &created), ERR_OK);
        assert_int_equal(world_durable(&world, &context), ERR_OK);
        context = fresh();
        assert_int_equal(vfs_setattr(&context, inode, &set, NULL, false), ERR_OK);
        assert_int_equal(vfs_link(&context, inode, dir, world_name("b")), ERR_OK);
        assert_int_equal(vfs_rename(&context, dir, world_name("a"), world.top, world_name("c"), false),
                         ERR_OK);
        assert_int_equal(world_durable(&world, &context), ERR_OK);
        /* These get no reply: there or not, but the tree is true. */
        context = fresh();
        assert_int_equal(vfs_create(&context, dir, world_name("d"), &create, &other, &created), ERR_OK);
        vfs_unref(&other);
        vfs_unref(&inode);
        vfs_unref(&dir);
        world_crash(&world, seed);
        world_check_tree(&world);
        dir = world_find(&world, NULL, "dir");
        inode = world_find(&world, NULL, "c");
        other = world_find(&world, dir, "b");
        assert_non_null(inode);
        assert_ptr_equal(inode, other);
        assert_int_equal(inode_attr(inode)->mode, 0604);
        assert_int_equal(inode_attr(inode)->nlink, 2);
        assert_false(world_has(&world, dir, "a"));
        vfs_unref(&inode);
        vfs_unref(&other);
        vfs_unref(&dir);
        context = fresh();
        assert_int_equal(vfs_remove(&context, world.top, world_name("c"), VFS_REMOVE_ANY), ERR_OK);
        assert_int_equal(world_durable(&world, &context), ERR_OK);
        world_crash(&world, seed * 1000);
        assert_false(world_has(&world, NULL, "c"));
        world_remove_all(&world, NULL, "dir");
    }
}

/* Each operation that changes something names what its reply must wait for. */
static void every_change_has_a_ticket(void **state)
{
    struct vfs_create create = {.type = INODE_FILE, .how = VFS_CREATE_GUARDED};
    struct vfs_setattr mode = {.set = VFS_SET_MODE, .mode = 0600}, size = {.set = VFS_SET_SIZE, .size = 7};
    struct inode *inode;
    bool created;

    (void)state;
    for (unsigned call = 0; call < 12; call++) {
        struct vfs_context context = fresh();
        enum err err = ERR_OK;

        switch (call) {
        case 0:
            err = vfs_create(&context, world.top, world_name("a"), &create, &inode, &created);
            break;
        case 1:
            err = vfs_setattr(&context, inode, &mode, NULL, false);
            break;
        case 2:
            err = vfs_setattr(&context, inode, &size, NULL, false);
            break;
        case 3:
            err = vfs_link(&context, inode, world.top, world_name("b"));
            break;
        case 4:
            err = vfs_rename(&context, world.top, world_name("b"), world.top, world_name("c"), false);
            break;
        case 5:
            err = vfs_xattr_set(&context, inode, world_name("k"), "v", 1, XATTR_EITHER);
            break;
        case 6:
            err = vfs_xattr_remove(&context, inode, world_name("k"));
            break;
        case 7:
            err = vfs_allocate(&context, inode, 0, 8192, false, VFS_IO_CHECK_MODE);
            break;
        case 8:
            err = vfs_deallocate(&context, inode, 0, 4096, VFS_IO_CHECK_MODE);
            break;
        case 9:
            err = vfs_clone(&context, (struct vfs_clone_end){inode, 0, VFS_IO_CHECK_MODE},
                            (struct vfs_clone_end){inode, 8192, VFS_IO_CHECK_MODE}, 8192);
            break;
        case 10:
            err = vfs_remove(&context, world.top, world_name("c"), VFS_REMOVE_ANY);
            break;
        case 11:
            err = vfs_remove(&context, world.top, world_name("a"), VFS_REMOVE_ANY);
            break;
        }
        assert_int_equal(err, ERR_OK);
        if (context.ticket.batch == 0 && context.ticket.position == 0)
            fail_msg("call %u has no ticket", call);
        /* So that one's ticket is not another's. */
        assert_int_equal(world_durable(&world, &context), ERR_OK);
    }
    vfs_unref(&inode);
}

static void nothing_to_wait_for(void **state)
{
    struct vfs_export_config config = world_config("test");
    struct vfs_context context = fresh();
    struct vfs_create create = {.type = INODE_FILE, .how = VFS_CREATE_GUARDED};
    struct store_waiter waiter = {.done = NULL};
    struct inode *inode;
    bool created;

    (void)state;
    assert_int_equal(vfs_lookup(&context, world.top, world_name("none"), &inode), ERR_NOENT);
    assert_int_equal(vfs_durable(&context, &waiter), ERR_OK);
    assert_int_equal(vfs_create(&context, world.top, world_name("a"), &create, &inode, &created), ERR_OK);
    vfs_unref(&inode);
    assert_int_equal(world_durable(&world, &context), ERR_OK);
    assert_int_equal(vfs_durable(&context, &waiter), ERR_OK); /* by now it is */
    /* exports(5), async: the reply does not wait. */
    config.sync = false;
    assert_int_equal(vfs_exports_set(world.vfs, &config, 1), ERR_OK);
    context = fresh();
    assert_int_equal(vfs_create(&context, world.top, world_name("b"), &create, &inode, &created), ERR_OK);
    vfs_unref(&inode);
    assert_int_not_equal(context.ticket.batch, 0);
    assert_int_equal(vfs_durable(&context, &waiter), ERR_OK);
    config.sync = true;
    assert_int_equal(vfs_exports_set(world.vfs, &config, 1), ERR_OK);
    assert_int_equal(world_durable(&world, &context), ERR_OK);
    world_remove_all(&world, NULL, "a");
    world_remove_all(&world, NULL, "b");
}

/* The change number of an inode never comes twice, whatever happens. */
static void change_numbers(void **state)
{
    struct inode *inode = world_make(&world, NULL, "a", INODE_FILE, 0644, 0, 0);
    struct vfs_context context = world.root;
    uint64_t last = inode_attr(inode)->change;

    (void)state;
    assert_int_equal(world_durable(&world, &context), ERR_OK);
    for (unsigned round = 0; round < 4; round++) {
        for (unsigned i = 0; i < 5; i++) {
            world_chmod(&world, inode, 0600 + i);
            assert_true(inode_attr(inode)->change > last);
            last = inode_attr(inode)->change;
        }
        vfs_unref(&inode);
        if (round % 2 == 0)
            world_restart(&world);
        else
            world_crash(&world, round);
        inode = world_find(&world, NULL, "a");
        assert_non_null(inode);
    }
    vfs_unref(&inode);
    world_remove_all(&world, NULL, "a");
}

static void space(void **state)
{
    struct vfs_space before, after;
    struct inode *inode;

    (void)state;
    vfs_space(&world.root, &before);
    assert_true(before.total_bytes >= before.free_bytes);
    assert_true(before.free_bytes >= before.available_bytes);
    assert_true(before.available_bytes > 0);
    assert_true(before.total_files >= before.free_files);
    assert_true(before.available_files > 0);
    inode = world_make(&world, NULL, "a", INODE_FILE, 0644, 0, 0);
    vfs_unref(&inode);
    vfs_space(&world.root, &after);
    assert_int_equal(after.total_files - after.free_files, before.total_files - before.free_files + 1);
    world_remove_all(&world, NULL, "a");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verifier),
        cmocka_unit_test(replies_are_durable),
        cmocka_unit_test(every_change_has_a_ticket),
        cmocka_unit_test(nothing_to_wait_for),
        cmocka_unit_test(change_numbers),
        cmocka_unit_test(space),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
