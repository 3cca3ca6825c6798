/*
 * test_handle.c - file handles: the same after a restart, refused when forged, stale when something is gone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "vfs/vfs_priv.h"
#include "simdisk.h"
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
    world_check_all_freed(&world, 1);
    world_stop(&world);
    return 0;
}

static enum err decode(const uint8_t *handle, size_t length)
{
    struct vfs_export *export = NULL;
    struct inode *inode = NULL;
    enum err err = vfs_handle_decode(world.vfs, handle, length, &export, &inode);

    if (err != ERR_OK) {
        assert_null(export);
        assert_null(inode);
    }
    vfs_unref(&inode);
    return err;
}

static void round_trip(void **state)
{
    uint8_t handle[VFS_HANDLE_SIZE], top[VFS_HANDLE_SIZE], again[VFS_HANDLE_SIZE];
    struct inode *inode = world_make(&world, NULL, "a", INODE_FILE, 0644, 0, 0), *found;
    struct vfs_export *export;
    uint64_t ino = inode_attr(inode)->ino;
    bool streams;

    (void)state;
    vfs_handle_encode(world.vfs, world.export, inode, handle);
    vfs_handle_encode(world.vfs, world.export, world.top, top);
    assert_memory_not_equal(handle, top, sizeof handle);
    /* The directory of its streams is something else. */
    vfs_handle_encode_streams(world.vfs, world.export, inode, again);
    assert_memory_not_equal(handle, again, sizeof handle);
    assert_int_equal(decode(again, sizeof again), ERR_BADHANDLE);
    assert_int_equal(vfs_handle_decode_any(world.vfs, again, sizeof again, &export, &found, &streams),
                     ERR_OK);
    assert_true(streams && found == inode);
    vfs_unref(&found);
    assert_int_equal(vfs_handle_decode_any(world.vfs, handle, sizeof handle, &export, &found, &streams),
                     ERR_OK);
    assert_true(!streams && found == inode);
    vfs_unref(&found);
    assert_int_equal(vfs_handle_decode(world.vfs, handle, sizeof handle, &export, &found), ERR_OK);
    assert_ptr_equal(found, inode);
    assert_ptr_equal(export, world.export);
    vfs_unref(&found);
    vfs_unref(&inode);
    world_restart(&world);
    assert_int_equal(vfs_handle_decode(world.vfs, handle, sizeof handle, &export, &found), ERR_OK);
    assert_int_equal(inode_attr(found)->ino, ino);
    assert_ptr_equal(export, world.export);
    vfs_handle_encode(world.vfs, export, found, again);
    assert_memory_equal(handle, again, sizeof handle);
    vfs_unref(&found);
    assert_int_equal(decode(top, sizeof top), ERR_OK);
    world_remove_all(&world, NULL, "a");
    assert_int_equal(decode(handle, sizeof handle), ERR_STALE);
    world_restart(&world);
    assert_int_equal(decode(handle, sizeof handle), ERR_STALE);
}

static void forged(void **state)
{
    struct inode *inode = world_make(&world, NULL, "a", INODE_FILE, 0644, 0, 0);
    uint8_t handle[VFS_HANDLE_SIZE + 1] = {0}, changed[VFS_HANDLE_SIZE];

    (void)state;
    vfs_handle_encode(world.vfs, world.export, inode, handle);
    for (unsigned bit = 0; bit < VFS_HANDLE_SIZE * 8; bit++) {
        memcpy(changed, handle, sizeof changed);
        changed[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(decode(changed, sizeof changed), ERR_BADHANDLE);
    }
    for (size_t length = 0; length <= sizeof handle; length++)
        assert_int_equal(decode(handle, length), length == VFS_HANDLE_SIZE ? ERR_OK : ERR_BADHANDLE);
    /* Forged ones of things that are gone are no less forged. */
    vfs_unref(&inode);
    world_remove_all(&world, NULL, "a");
    memcpy(changed, handle, sizeof changed);
    changed[VFS_HANDLE_SIZE - 1] ^= 1;
    assert_int_equal(decode(changed, sizeof changed), ERR_BADHANDLE);
    assert_int_equal(decode(handle, VFS_HANDLE_SIZE), ERR_STALE);
    memset(changed, 0, sizeof changed);
    assert_int_equal(decode(changed, sizeof changed), ERR_BADHANDLE);
}

/* Another store has another secret. */
static void of_another_store(void **state)
{
    uint8_t handle[VFS_HANDLE_SIZE];
    struct disk *mine = world.disk, *other = simdisk_new(99);

    (void)state;
    vfs_handle_encode(world.vfs, world.export, world.top, handle);
    world_down(&world);
    world.disk = other;
    assert_int_equal(world_up(&world), ERR_OK);
    assert_int_equal(decode(handle, sizeof handle), ERR_BADHANDLE);
    world_down(&world);
    world.disk = mine;
    assert_int_equal(world_up(&world), ERR_OK);
    assert_int_equal(decode(handle, sizeof handle), ERR_OK);
    disk_destroy(&other);
}

static void of_exports(void **state)
{
    struct vfs_export_config configs[2] = {world_config("test"), world_config("other")};
    uint8_t handle[VFS_HANDLE_SIZE], mixed[VFS_HANDLE_SIZE];
    struct vfs_context context = world.root;
    struct vfs_export *export, *other;
    struct inode *top, *found;

    (void)state;
    assert_int_equal(vfs_exports_set(world.vfs, configs, 2), ERR_OK);
    other = vfs_export_find(world.vfs, "other", 5);
    context.export = other;
    assert_int_equal(vfs_root(&context, &top), ERR_OK);
    vfs_handle_encode(world.vfs, other, top, handle);
    assert_int_equal(vfs_handle_decode(world.vfs, handle, sizeof handle, &export, &found), ERR_OK);
    assert_ptr_equal(export, other);
    assert_ptr_equal(found, top);
    vfs_unref(&found);
    /* An inode under an export that it is not of: made here, and never of use. */
    vfs_handle_encode(world.vfs, other, world.top, mixed);
    assert_int_equal(decode(mixed, sizeof mixed), ERR_STALE);
    vfs_unref(&top);
    assert_int_equal(vfs_exports_set(world.vfs, configs, 1), ERR_OK);
    assert_int_equal(decode(handle, sizeof handle), ERR_STALE);
    assert_int_equal(vfs_exports_set(world.vfs, configs, 2), ERR_OK);
    assert_int_equal(decode(handle, sizeof handle), ERR_OK);
    assert_int_equal(vfs_exports_set(world.vfs, configs, 1), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(forged),
        cmocka_unit_test(of_another_store),
        cmocka_unit_test(of_exports),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
