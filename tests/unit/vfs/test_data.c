/*
 * test_data.c - data operations: types, ranges, ends of files, set-id bits, times, holes, clones, waiting.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "vfs/vfs_priv.h"
#include "simdisk.h"
#include "simloop.h"
#include "vfsworld.h"
#include <stdlib.h>
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

static void types(void **state)
{
    static const struct {
        enum inode_type type;
        enum err expected;
    } cases[] = {
        {INODE_FILE, ERR_OK},
        {INODE_DIRECTORY, ERR_ISDIR},
        {INODE_SYMLINK, ERR_SYMLINK},
        {INODE_FIFO, ERR_WRONGTYPE},
        {INODE_SOCKET, ERR_WRONGTYPE},
        {INODE_BLOCK_DEVICE, ERR_WRONGTYPE},
        {INODE_CHARACTER_DEVICE, ERR_WRONGTYPE},
    };
    static uint8_t bytes[4096];
    struct inode *other = world_make(&world, NULL, "o", INODE_FILE, 0644, 0, 0);
    uint32_t got;
    uint64_t offset;
    bool eof;

    (void)state;
    assert_int_equal(world_write(&world, &world.root, other, 0, bytes, 4096, VFS_IO_CHECK_MODE), ERR_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct inode *inode = world_make(&world, NULL, "a", cases[i].type, 0644, 0, 0);
        enum err answers[8] = {
            world_write(&world, &world.root, inode, 0, bytes, 4096, VFS_IO_CHECK_MODE),
            world_read(&world, &world.root, inode, 0, bytes, 1, &got, &eof, VFS_IO_CHECK_MODE),
            vfs_commit(&world.root, inode),
            vfs_allocate(&world.root, inode, 0, 1, false, VFS_IO_CHECK_MODE),
            vfs_deallocate(&world.root, inode, 4096, 1, VFS_IO_CHECK_MODE),
            vfs_seek(&world.root, inode, 0, STORE_SEEK_DATA, VFS_IO_CHECK_MODE, &offset),
            vfs_clone(&world.root, (struct vfs_clone_end){inode, 0, VFS_IO_CHECK_MODE},
                      (struct vfs_clone_end){other, 0, VFS_IO_CHECK_MODE}, 0),
            vfs_clone(&world.root, (struct vfs_clone_end){other, 0, VFS_IO_CHECK_MODE},
                      (struct vfs_clone_end){inode, 0, VFS_IO_CHECK_MODE}, 0),
        };

        for (size_t call = 0; call < 8; call++)
            if (answers[call] != cases[i].expected)
                fail_msg("type %d, call %zu: %s", (int)cases[i].type, call, err_name(answers[call]));
        vfs_unref(&inode);
        world_remove_all(&world, NULL, "a");
    }
    vfs_unref(&other);
    world_remove_all(&world, NULL, "o");
}

static void read_ranges(void **state)
{
    static const struct {
        uint64_t offset;
        uint32_t length, got;
        bool eof;
    } cases[] = {
        {0, 10, 10, true},        {0, 9, 9, false},
        {0, 100, 10, true},       {9, 1, 1, true},
        {10, 1, 0, true},         {11, 1, 0, true},
        {5, 0, 0, false},         {10, 0, 0, true},
        {UINT64_MAX, 1, 0, true}, {UINT64_MAX, UINT32_MAX, 0, true},
        {0, 0, 0, false},
    };
    struct inode *inode = world_make(&world, NULL, "a", INODE_FILE, 0644, 0, 0);
    uint8_t bytes[128];
    uint32_t got;
    bool eof;

    (void)state;
    assert_int_equal(world_read(&world, &world.root, inode, 0, bytes, 1, &got, &eof, VFS_IO_CHECK_MODE),
                     ERR_OK);
    assert_int_equal(got, 0);
    assert_true(eof);
    assert_int_equal(world_write(&world, &world.root, inode, 0, "0123456789", 10, VFS_IO_CHECK_MODE), ERR_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        got = 99;
        assert_int_equal(world_read(&world, &world.root, inode, cases[i].offset, bytes, cases[i].length, &got,
                                    &eof, VFS_IO_CHECK_MODE),
                         ERR_OK);
        if (got != cases[i].got || eof != cases[i].eof)
            fail_msg("read case %zu: %u, %d", i, got, eof);
        if (got != 0)
            assert_memory_equal(bytes, &"0123456789"[cases[i].offset], got);
    }
    vfs_unref(&inode);
    world_remove_all(&world, NULL, "a");
}

static void write_ranges(void **state)
{
    static const struct {
        uint64_t offset;
        size_t length;
        enum err expected;
        uint64_t size_after;
    } cases[] = {
        {0, 0, ERR_OK, 0},
        {100, 0, ERR_OK, 0},
        {100, 1, ERR_OK, 101},
        {STORE_FILE_SIZE_MAX - 1, 1, ERR_OK, STORE_FILE_SIZE_MAX},
        {STORE_FILE_SIZE_MAX, 1, ERR_FBIG, 0},
        {STORE_FILE_SIZE_MAX - 1, 2, ERR_FBIG, 0},
        {UINT64_MAX, 1, ERR_FBIG, 0},
        {UINT64_MAX, 2, ERR_FBIG, 0},
        {INT64_MAX, 1, ERR_FBIG, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct inode *inode = world_make(&world, NULL, "a", INODE_FILE, 0644, 0, 0);
        struct inode_attr before, after;
        enum err err;

        vfs_getattr(inode, &before);
        err = world_write(&world, &world.root, inode, cases[i].offset, "xy", cases[i].length,
                          VFS_IO_CHECK_MODE);
        vfs_getattr(inode, &after);
        if (err != cases[i].expected)
            fail_msg("write case %zu: %s", i, err_name(err));
        assert_int_equal(after.size, cases[i].size_after);
        if (err != ERR_OK || cases[i].length == 0) {
            assert_memory_equal(&before, &after, sizeof before);
        } else {
            assert_int_equal(timestamp_compare(after.mtime, before.mtime), 1);
            assert_int_equal(timestamp_compare(after.ctime, before.ctime), 1);
            assert_int_not_equal(after.change, before.change);
        }
        vfs_unref(&inode);
        world_remove_all(&world, NULL, "a");
    }
}

/* The bits of POSIX: any write by anybody but root takes them. */
static void set_id_bits(void **state)
{
    static const struct {
        uint32_t uid, gid, mode, after;
    } cases[] = {
        {0, 0, 06777, 06777},     {1000, 100, 06777, 0777},  {2000, 100, 06777, 0777},
        {1000, 100, 04777, 0777}, {1000, 100, 02777, 0777},  {1000, 100, 02767, 02767},
        {2000, 200, 02767, 0767}, {1000, 100, 01777, 01777}, {1000, 100, 0666, 0666},
    };
    static uint8_t bytes[4096];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (unsigned how = 0; how < 4; how++) {
            struct inode *inode = world_make(&world, NULL, "a", INODE_FILE, 0644, 1000, 100);
            struct inode *source = world_make(&world, NULL, "s", INODE_FILE, 0644, 0, 0);
            struct vfs_context context = world_as(&world, cases[i].uid, cases[i].gid);
            enum err err = ERR_OK;

            assert_int_equal(world_write(&world, &world.root, source, 0, bytes, 4096, VFS_IO_OPEN_HANDLE),
                             ERR_OK);
            assert_int_equal(world_write(&world, &world.root, inode, 0, bytes, 4096, VFS_IO_OPEN_HANDLE),
                             ERR_OK);
            world_chmod(&world, inode, cases[i].mode);
            switch (how) {
            case 0:
                err = world_write(&world, &context, inode, 0, "x", 1, VFS_IO_OPEN_HANDLE);
                break;
            case 1:
                err = vfs_allocate(&context, inode, 0, 8192, false, VFS_IO_OPEN_HANDLE);
                break;
            case 2:
                err = vfs_deallocate(&context, inode, 0, 4096, VFS_IO_OPEN_HANDLE);
                break;
            case 3:
                err = vfs_clone(&context, (struct vfs_clone_end){source, 0, VFS_IO_CHECK_MODE},
                                (struct vfs_clone_end){inode, 0, VFS_IO_CHECK_MODE}, 4096);
                break;
            }
            assert_int_equal(err, ERR_OK);
            if (inode_attr(inode)->mode != cases[i].after)
                fail_msg("case %zu, call %u: %o", i, how, inode_attr(inode)->mode);
            vfs_unref(&inode);
            vfs_unref(&source);
            world_remove_all(&world, NULL, "a");
            world_remove_all(&world, NULL, "s");
        }
    }
}

static void holes(void **state)
{
    struct inode *inode = world_make(&world, NULL, "a", INODE_FILE, 0644, 0, 0);
    struct inode_attr before, after;
    static uint8_t bytes[16384], back[16384];
    uint64_t offset;
    uint32_t got;
    bool eof;

    (void)state;
    memset(bytes, 'b', sizeof bytes);
    assert_int_equal(world_write(&world, &world.root, inode, 0, bytes, sizeof bytes, VFS_IO_CHECK_MODE),
                     ERR_OK);
    vfs_getattr(inode, &before);
    assert_int_equal(vfs_deallocate(&world.root, inode, 4096, 4096, VFS_IO_CHECK_MODE), ERR_OK);
    vfs_getattr(inode, &after);
    assert_int_equal(after.size, sizeof bytes);
    assert_int_equal(timestamp_compare(after.mtime, before.mtime), 1);
    assert_int_equal(
        world_read(&world, &world.root, inode, 0, back, sizeof back, &got, &eof, VFS_IO_CHECK_MODE), ERR_OK);
    memset(bytes + 4096, 0, 4096);
    assert_memory_equal(back, bytes, sizeof back);
    assert_int_equal(vfs_seek(&world.root, inode, 0, STORE_SEEK_HOLE, VFS_IO_CHECK_MODE, &offset), ERR_OK);
    assert_int_equal(offset, 4096);
    assert_int_equal(vfs_seek(&world.root, inode, 4096, STORE_SEEK_DATA, VFS_IO_CHECK_MODE, &offset), ERR_OK);
    assert_int_equal(offset, 8192);
    assert_int_equal(vfs_seek(&world.root, inode, 8192, STORE_SEEK_HOLE, VFS_IO_CHECK_MODE, &offset), ERR_OK);
    assert_int_equal(offset, sizeof bytes);
    assert_int_equal(vfs_seek(&world.root, inode, sizeof bytes, STORE_SEEK_HOLE, VFS_IO_CHECK_MODE, &offset),
                     ERR_NXIO);
    assert_int_equal(vfs_seek(&world.root, inode, UINT64_MAX, STORE_SEEK_DATA, VFS_IO_CHECK_MODE, &offset),
                     ERR_NXIO);

    assert_int_equal(vfs_deallocate(&world.root, inode, 0, 0, VFS_IO_CHECK_MODE), ERR_INVAL);
    assert_int_equal(vfs_deallocate(&world.root, inode, UINT64_MAX, 2, VFS_IO_CHECK_MODE), ERR_INVAL);
    assert_int_equal(vfs_deallocate(&world.root, inode, 1 << 20, UINT64_MAX - (1 << 20), VFS_IO_CHECK_MODE),
                     ERR_OK);
    assert_int_equal(vfs_deallocate(&world.root, inode, 12288, UINT64_MAX - 12288, VFS_IO_CHECK_MODE),
                     ERR_OK);
    assert_int_equal(inode_attr(inode)->size, sizeof bytes);

    assert_int_equal(vfs_allocate(&world.root, inode, 0, 0, false, VFS_IO_CHECK_MODE), ERR_INVAL);
    assert_int_equal(vfs_allocate(&world.root, inode, UINT64_MAX, 2, false, VFS_IO_CHECK_MODE), ERR_FBIG);
    assert_int_equal(vfs_allocate(&world.root, inode, STORE_FILE_SIZE_MAX, 1, false, VFS_IO_CHECK_MODE),
                     ERR_FBIG);
    assert_int_equal(vfs_allocate(&world.root, inode, 0, 65536, true, VFS_IO_CHECK_MODE), ERR_OK);
    assert_int_equal(inode_attr(inode)->size, sizeof bytes);
    assert_int_equal(vfs_allocate(&world.root, inode, 0, 65536, false, VFS_IO_CHECK_MODE), ERR_OK);
    assert_int_equal(inode_attr(inode)->size, 65536);
    assert_true(inode_attr(inode)->used >= 65536);
    vfs_unref(&inode);
    world_remove_all(&world, NULL, "a");
}

static void clones(void **state)
{
    static const struct {
        uint64_t source_offset, target_offset, length;
        bool same;
        enum err expected;
    } cases[] = {
        {0, 0, 0, false, ERR_OK},
        {0, 0, 8192, false, ERR_OK},
        {0, 8192, 4096, false, ERR_OK},
        {4096, 0, 0, false, ERR_OK},
        {0, 0, 8193, false, ERR_INVAL}, /* beyond the source's end */
        {8193, 0, 0, false, ERR_INVAL},
        {8192, 0, 0, false, ERR_OK}, /* nothing */
        {UINT64_MAX, 0, 1, false, ERR_INVAL},
        {UINT64_MAX, 0, 2, false, ERR_INVAL},
        {0, STORE_FILE_SIZE_MAX, 4096, false, ERR_FBIG},
        {0, UINT64_MAX - 4095, 8192, false, ERR_FBIG},
        {0, 0, 4096, true, ERR_INVAL}, /* onto itself */
        {0, 4096, 8192, true, ERR_INVAL},
        {4096, 0, 0, true, ERR_OK},
        {0, 4096, 4096, true, ERR_OK},
        {0, 65536, 0, true, ERR_OK},
    };
    static uint8_t bytes[8192], back[131072];

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i / 16 ^ i);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct inode *source = world_make(&world, NULL, "s", INODE_FILE, 0644, 0, 0);
        struct inode *target =
            cases[i].same ? inode_ref(source) : world_make(&world, NULL, "t", INODE_FILE, 0644, 0, 0);
        uint64_t length;
        uint32_t got;
        bool eof;
        enum err err;

        assert_int_equal(world_write(&world, &world.root, source, 0, bytes, sizeof bytes, VFS_IO_CHECK_MODE),
                         ERR_OK);
        err = vfs_clone(
            &world.root, (struct vfs_clone_end){source, cases[i].source_offset, VFS_IO_CHECK_MODE},
            (struct vfs_clone_end){target, cases[i].target_offset, VFS_IO_CHECK_MODE}, cases[i].length);
        if (err != cases[i].expected)
            fail_msg("clone case %zu: %s", i, err_name(err));
        length = cases[i].length != 0 ? cases[i].length : sizeof bytes - cases[i].source_offset;
        if (err == ERR_OK && length != 0) {
            assert_int_equal(world_read(&world, &world.root, target, cases[i].target_offset, back,
                                        (uint32_t)length, &got, &eof, VFS_IO_CHECK_MODE),
                             ERR_OK);
            assert_int_equal(got, length);
            assert_memory_equal(back, bytes + cases[i].source_offset, length);
        } else if (!cases[i].same) {
            assert_int_equal(inode_attr(target)->size, 0);
        }
        vfs_unref(&source);
        vfs_unref(&target);
        world_remove_all(&world, NULL, "s");
        if (!cases[i].same)
            world_remove_all(&world, NULL, "t");
    }
}

static void clones_across_exports(void **state)
{
    struct vfs_export_config configs[2] = {world_config("test"), world_config("other")};
    struct vfs_context other = world.root;
    struct vfs_create create = {.type = INODE_FILE, .how = VFS_CREATE_GUARDED};
    struct inode *source = world_make(&world, NULL, "s", INODE_FILE, 0644, 0, 0), *top, *target;
    bool created;

    (void)state;
    assert_int_equal(vfs_exports_set(world.vfs, configs, 2), ERR_OK);
    other.export = vfs_export_find(world.vfs, "other", 5);
    assert_int_equal(vfs_root(&other, &top), ERR_OK);
    assert_int_equal(vfs_create(&other, top, world_name("t"), &create, &target, &created), ERR_OK);
    assert_int_equal(vfs_clone(&other, (struct vfs_clone_end){source, 0, VFS_IO_CHECK_MODE},
                               (struct vfs_clone_end){target, 0, VFS_IO_CHECK_MODE}, 0),
                     ERR_XDEV);
    assert_int_equal(vfs_clone(&world.root, (struct vfs_clone_end){source, 0, VFS_IO_CHECK_MODE},
                               (struct vfs_clone_end){target, 0, VFS_IO_CHECK_MODE}, 0),
                     ERR_XDEV);
    vfs_unref(&source);
    vfs_unref(&target);
    assert_int_equal(vfs_remove(&other, top, world_name("t"), VFS_REMOVE_ANY), ERR_OK);
    vfs_unref(&top);
    world_remove_all(&world, NULL, "s");
    assert_int_equal(vfs_exports_set(world.vfs, configs, 1), ERR_OK);
}

/* ---- data that is not in memory, durability ---- */

static void durable_data(void **state)
{
    struct inode *inode = world_make(&world, NULL, "a", INODE_FILE, 0644, 0, 0);
    struct vfs_context context = world.root;
    uint8_t bytes[5];
    uint32_t got;
    bool eof;

    (void)state;
    context.ticket = (struct store_ticket){0};
    assert_int_equal(world_write(&world, &context, inode, 0, "hello", 5, VFS_IO_CHECK_MODE), ERR_OK);
    assert_true(context.ticket.batch == 0 && context.ticket.position == 0); /* unstable */
    assert_int_equal(vfs_commit(&context, inode), ERR_OK);
    assert_int_equal(world_durable(&world, &context), ERR_OK);
    vfs_unref(&inode);
    world_crash(&world, 7);
    simdisk_set_nowait(world.disk, SIMDISK_NOWAIT_AGAIN);
    inode = world_find(&world, NULL, "a");
    assert_non_null(inode);
    assert_int_equal(inode_attr(inode)->size, 5);
    assert_int_equal(world_read(&world, &world.root, inode, 0, bytes, 5, &got, &eof, VFS_IO_CHECK_MODE),
                     ERR_OK);
    assert_int_equal(got, 5);
    assert_true(eof);
    assert_memory_equal(bytes, "hello", 5);
    simdisk_set_nowait(world.disk, SIMDISK_NOWAIT_READS);
    vfs_unref(&inode);
    world_remove_all(&world, NULL, "a");
}

enum { PIECE = 1 << 20, PIECES = 100 };

struct queued {
    struct vfs_write write;
    bool done;
};

static unsigned data_events;

static void count_event(struct vfs_listener *listener, const struct vfs_event *event)
{
    (void)listener, (void)event;
    data_events++;
}

static void queued_done(struct store_write *write, enum err err)
{
    struct queued *queued = container_of(write, struct queued, write.store);

    assert_int_equal(err, ERR_OK);
    assert_false(queued->done);
    queued->done = true;
}

/* More than the queue takes at once: those that wait are told of, and listeners with them, when done. */
static void writes_that_wait(void **state)
{
    struct inode *inode = world_make(&world, NULL, "a", INODE_FILE, 04755, 1000, 100);
    struct vfs_context context = world_as(&world, 1000, 100);
    struct vfs_listener listener = {.kinds = VFS_EVENT_DATA, .event = count_event};
    struct queued *queued = calloc(PIECES, sizeof *queued);
    uint8_t *bytes = malloc(PIECE);
    unsigned waiting = 0;

    (void)state;
    assert_non_null(queued);
    assert_non_null(bytes);
    memset(bytes, 'q', PIECE);
    data_events = 0;
    vfs_listener_add(world.vfs, &listener);
    for (unsigned i = 0; i < PIECES; i++) {
        enum err err;

        queued[i].write.store = (struct store_write){.inode = inode,
                                                     .offset = (uint64_t)i * PIECE,
                                                     .data = {.data = bytes, .length = PIECE},
                                                     .done = queued_done};
        err = vfs_write(&context, &queued[i].write, VFS_IO_OPEN_HANDLE);
        assert_true(err == ERR_OK || err == ERR_WAIT);
        queued[i].done = err == ERR_OK;
        waiting += err == ERR_WAIT;
        assert_int_equal(data_events, i + 1 - waiting);
    }
    assert_true(waiting > 0 && waiting < PIECES);
    assert_int_equal(inode_attr(inode)->mode, 0755);
    simloop_run_until_idle(world.loop);
    for (unsigned i = 0; i < PIECES; i++)
        assert_true(queued[i].done);
    assert_int_equal(data_events, PIECES);
    assert_int_equal(inode_attr(inode)->size, (uint64_t)PIECE * PIECES);
    vfs_listener_remove(&listener);
    free(queued);
    free(bytes);
    vfs_unref(&inode);
    world_remove_all(&world, NULL, "a");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types),
        cmocka_unit_test(read_ranges),
        cmocka_unit_test(write_ranges),
        cmocka_unit_test(set_id_bits),
        cmocka_unit_test(holes),
        cmocka_unit_test(clones),
        cmocka_unit_test(clones_across_exports),
        cmocka_unit_test(durable_data),
        cmocka_unit_test(writes_that_wait),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
