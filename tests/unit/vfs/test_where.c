/*
 * test_where.c - finding a name for an inode again: the one that was seen last, or for a directory any.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "vfsworld.h"

#include <string.h>

static struct world world;

static void ignore(struct vfs_listener *listener, const struct vfs_event *event)
{
    (void)listener;
    (void)event;
}

static struct vfs_listener listener = {.kinds = VFS_EVENT_CREATED, .event = ignore};

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

/* NULL: there must be none. */
static void expect(struct inode *inode, struct inode *dir, const char *name)
{
    uint8_t got[STORE_NAME_MAX];
    struct inode *there;
    size_t length;
    enum err err = vfs_where(world.vfs, inode, &there, got, &length);

    assert_int_equal(err, name != NULL ? ERR_OK : ERR_NOENT);
    if (name == NULL)
        return;
    assert_ptr_equal(there, dir);
    assert_int_equal(length, strlen(name));
    assert_memory_equal(got, name, length);
    vfs_unref(&there);
}

static void files(void **state)
{
    struct inode *before = world_make(&world, NULL, "before", INODE_FILE, 0644, 0, 0), *after, *dir, *again;

    (void)state;
    expect(before, NULL, NULL);
    vfs_listener_add(world.vfs, &listener);
    expect(before, NULL, NULL); /* nobody has seen it since */
    again = world_find(&world, NULL, "before");
    expect(before, world.top, "before");
    after = world_make(&world, NULL, "after", INODE_FILE, 0644, 0, 0);
    expect(after, world.top, "after");
    dir = world_make(&world, NULL, "dir", INODE_DIRECTORY, 0755, 0, 0);
    assert_int_equal(vfs_rename(&world.root, world.top, world_name("after"), dir, world_name("moved"), false),
                     ERR_OK);
    expect(after, dir, "moved");
    assert_int_equal(vfs_remove(&world.root, dir, world_name("moved"), VFS_REMOVE_ANY), ERR_OK);
    expect(after, NULL, NULL);
    vfs_listener_remove(&listener);
    vfs_unref(&again);
    vfs_unref(&before);
    vfs_unref(&after);
    vfs_unref(&dir);
}

static void directories(void **state)
{
    struct inode *dir = world_make(&world, NULL, "dir", INODE_DIRECTORY, 0755, 0, 0);
    struct inode *sub = world_make(&world, dir, "sub", INODE_DIRECTORY, 0755, 0, 0);

    (void)state;
    /* Nobody listens: they are found by their parents. */
    expect(sub, dir, "sub");
    expect(dir, world.top, "dir");
    expect(world.top, NULL, NULL);
    vfs_listener_add(world.vfs, &listener);
    expect(sub, dir, "sub");
    assert_int_equal(vfs_rename(&world.root, dir, world_name("sub"), world.top, world_name("up"), false),
                     ERR_OK);
    expect(sub, world.top, "up");
    assert_int_equal(vfs_remove(&world.root, world.top, world_name("up"), VFS_REMOVE_ANY), ERR_OK);
    expect(sub, NULL, NULL);
    vfs_listener_remove(&listener);
    vfs_unref(&sub);
    vfs_unref(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files, start, stop),
        cmocka_unit_test_setup_teardown(directories, start, stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
