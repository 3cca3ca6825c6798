/*
 * test_nfs3_data.c - NFS version 3 over the wire: attributes, READ, WRITE, COMMIT and the figures of a file
 * system; offsets and counts at the borders; what is durable when the answer is there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nfs3check.h"
#include "nfsworld.h"
#include "simdisk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { UNSTABLE, DATA_SYNC, FILE_SYNC };
enum { USER = 1000, GROUP = 100, MIB = 1024 * 1024 };
#define SIZE_MAX_FILE ((uint64_t)1 << 47)

static struct nfsworld *world;
static struct rpcclient *root, *user;
static struct nfs3_handle top;

static void connect_clients(void)
{
    root = nfsworld_client(world, 0, 0);
    user = nfsworld_client(world, USER, GROUP);
}

static void disconnect_clients(void)
{
    rpcclient_close(&root);
    rpcclient_close(&user);
}

static int set_up(void **state)
{
    struct vfs_export_config exports[] = {nfsworld_export("a"), nfsworld_export("async")};

    (void)state;
    exports[1].sync = false;
    world = nfsworld_open(exports, 2, NULL);
    connect_clients();
    top = nfsworld_mount(root, "/a");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    disconnect_clients();
    nfsworld_close(&world);
    return 0;
}

static struct nfs3_handle fresh_file(const struct nfs3_handle *dir, uint32_t mode)
{
    static int count;
    struct nfs3_new_attr attr = {.set = NFS3_SET_MODE, .mode = mode};
    struct nfs3_result r;
    char name[32];

    snprintf(name, sizeof name, "file%d", count++);
    works(nfs3_create(root, dir, name, 1, &attr, 0, &r));
    return r.handle;
}

static uint8_t *pattern(size_t length, uint32_t seed)
{
    uint8_t *data = malloc(length);

    assert_non_null(data);
    for (size_t i = 0; i < length; i++) {
        seed = seed * 1664525 + 1013904223;
        data[i] = (uint8_t)(seed >> 24);
    }
    return data;
}

static void write_and_read(void **state)
{
    static const uint32_t lengths[] = {1, 2, 3, 4, 5, 4095, 4096, 4097, 131072, 131073, MIB - 1, MIB};

    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        for (uint32_t stable = UNSTABLE; stable <= FILE_SYNC; stable++) {
            struct nfs3_handle file = fresh_file(&top, 0600);
            uint8_t *data = pattern(lengths[i], (uint32_t)i);
            struct nfs3_result r;
            works(nfs3_write(root, &file, 3, data, lengths[i], stable, &r));
            assert_int_equal(r.count, lengths[i]);
            assert_int_equal(r.committed, stable == UNSTABLE ? UNSTABLE : FILE_SYNC);
            assert_wcc_changed(r.wcc);
            assert_int_equal(r.wcc.size, 0);
            assert_int_equal(r.wcc.after.size, lengths[i] + 3);
            works(nfs3_read(root, &file, 0, 3, &r));
            assert_int_equal(r.count, 3);
            assert_memory_equal(r.data, "\0\0", 3);
            assert_false(r.eof);
            works(nfs3_read(root, &file, 3, lengths[i], &r));
            assert_int_equal(r.count, lengths[i]);
            assert_memory_equal(r.data, data, lengths[i]);
            assert_true(r.eof);
            assert_true(r.has_attr);
            free(data);
        }
    }
}

static void the_end_of_a_file(void **state)
{
    struct nfs3_handle file = fresh_file(&top, 0600);
    static const struct {
        uint64_t offset;
        uint32_t count;
        uint32_t got;
        bool eof;
    } rows[] = {
        {0, 0, 0, false},
        {0, 9, 9, false},
        {0, 10, 10, true},
        {0, 11, 10, true},
        {9, 1, 1, true},
        {9, 0xffffffff, 1, true},
        {10, 0, 0, true},
        {10, 1, 0, true},
        {11, 4096, 0, true},
        {0x7fffffff, 1, 0, true},
        {0x80000000, 1, 0, true},
        {0xffffffff, 0xffffffff, 0, true},
        {0x100000000, 1, 0, true},
        {0x7fffffffffffffff, 1, 0, true},
        {0x8000000000000000, 0xffffffff, 0, true},
        {0xffffffffffffffff, 0, 0, true},
        {0xffffffffffffffff, 1, 0, true},
        {0xffffffffffffffff, 0xffffffff, 0, true},
    };
    struct nfs3_result r;

    (void)state;
    works(nfs3_write(root, &file, 0, "0123456789", 10, FILE_SYNC, &r));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        works(nfs3_read(root, &file, rows[i].offset, rows[i].count, &r));
        assert_int_equal(r.count, rows[i].got);
        assert_int_equal(r.eof, rows[i].eof);
        assert_memory_equal(r.data, &"0123456789"[rows[i].got > 0 ? rows[i].offset : 0], rows[i].got);
    }
    /* No more than rtmax, and that is not the end. */
    works(nfs3_write(root, &file, 2 * MIB, "x", 1, UNSTABLE, &r));
    works(nfs3_read(root, &file, 0, 0xffffffff, &r));
    assert_int_equal(r.count, MIB);
    assert_false(r.eof);
}

static void writes_at_the_borders(void **state)
{
    struct nfs3_handle file = fresh_file(&top, 0600);
    static const struct {
        uint64_t offset;
        uint32_t status;
    } rows[] = {
        {0x7fffffff, NFS3_OK},
        {0x80000000, NFS3_OK},
        {0xffffffff, NFS3_OK},
        {0x100000000, NFS3_OK},
        {SIZE_MAX_FILE - 1, NFS3_OK},
        {SIZE_MAX_FILE, NFS3ERR_FBIG},
        {0x7fffffffffffffff, NFS3ERR_FBIG},
        {0x8000000000000000, NFS3ERR_FBIG},
        {0xfffffffffffffffe, NFS3ERR_FBIG},
        {0xffffffffffffffff, NFS3ERR_FBIG},
    };
    struct nfs3_result r;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        gives(rows[i].status, nfs3_write(root, &file, rows[i].offset, "z", 1, UNSTABLE, &r));
        if (rows[i].status != NFS3_OK) {
            assert_wcc_same(r.wcc);
            continue;
        }
        works(nfs3_read(root, &file, rows[i].offset, 1, &r));
        assert_int_equal(r.count, 1);
        assert_memory_equal(r.data, "z", 1);
        works(nfs3_read(root, &file, rows[i].offset - 4, 3, &r));
        assert_memory_equal(r.data, "\0\0", 3);
    }
    works(nfs3_write(root, &file, 0, "", 0, FILE_SYNC, &r));
    assert_int_equal(r.count, 0);
}

static void write_count_and_data_must_agree(void **state)
{
    struct nfs3_handle file = fresh_file(&top, 0600);
    static const uint32_t counts[] = {0, 3, 5, 0x80000000, 0xffffffff};
    struct nfs3_result r;

    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        struct writer writer;
        writer_init_growing(&writer, 4096);
        nfs3_put_handle(&writer, &file);
        writer_be64(&writer, 0);
        writer_be32(&writer, counts[i]);
        writer_be32(&writer, FILE_SYNC);
        writer_xdr_opaque(&writer, "data", 4);
        gives(NFS3ERR_INVAL, nfs3_call(root, NFS3C_WRITE, &writer, &r));
        assert_wcc_same(r.wcc);
        writer_free(&writer);
    }
    works(nfs3_getattr(root, &file, &r));
    assert_int_equal(r.attr.size, 0);
}

static void only_files_have_data(void **state)
{
    struct nfs3_result r;
    struct nfs3_handle link, fifo;

    (void)state;
    works(nfs3_symlink(root, &top, "link", "x", &r));
    link = r.handle;
    works(nfs3_mknod(root, &top, "fifo", 7, 0, 0, &r));
    fifo = r.handle;
    gives(NFS3ERR_ISDIR, nfs3_read(root, &top, 0, 1, &r));
    gives(NFS3ERR_ISDIR, nfs3_write(root, &top, 0, "x", 1, UNSTABLE, &r));
    gives(NFS3ERR_ISDIR, nfs3_commit(root, &top, 0, 0, &r));
    gives(NFS3ERR_INVAL, nfs3_read(root, &link, 0, 1, &r));
    gives(NFS3ERR_INVAL, nfs3_write(root, &link, 0, "x", 1, UNSTABLE, &r));
    gives(NFS3ERR_INVAL, nfs3_commit(root, &link, 0, 0, &r));
    gives(NFS3ERR_INVAL, nfs3_read(root, &fifo, 0, 1, &r));
    gives(NFS3ERR_INVAL, nfs3_write(root, &fifo, 0, "x", 1, UNSTABLE, &r));
    assert_wcc_same(r.wcc);
}

static void permission_for_data(void **state)
{
    struct nfs3_handle private = fresh_file(&top, 0600), readable = fresh_file(&top, 0604);
    struct nfs3_handle writable = fresh_file(&top, 0602), runnable = fresh_file(&top, 0601);
    struct nfs3_result r;

    (void)state;
    gives(NFS3ERR_ACCES, nfs3_read(user, &private, 0, 1, &r));
    assert_true(r.has_attr);
    gives(NFS3ERR_ACCES, nfs3_write(user, &private, 0, "x", 1, UNSTABLE, &r));
    works(nfs3_read(user, &readable, 0, 1, &r));
    gives(NFS3ERR_ACCES, nfs3_write(user, &readable, 0, "x", 1, UNSTABLE, &r));
    gives(NFS3ERR_ACCES, nfs3_read(user, &writable, 0, 1, &r));
    works(nfs3_write(user, &writable, 0, "x", 1, UNSTABLE, &r));
    works(nfs3_read(user, &runnable, 0, 1, &r)); /* RFC 1813 4.4 */
}

static void commit_and_the_verifier(void **state)
{
    struct nfs3_handle file = fresh_file(&top, 0600);
    struct nfs3_result r;
    uint64_t verifier;

    (void)state;
    works(nfs3_write(root, &file, 0, "unstable", 8, UNSTABLE, &r));
    verifier = r.verifier;
    works(nfs3_commit(root, &file, 0, 0, &r));
    assert_int_equal(r.verifier, verifier);
    assert_wcc_same(r.wcc);
    works(nfs3_commit(root, &file, UINT64_MAX, UINT32_MAX, &r));
    disconnect_clients();
    nfsworld_restart(world);
    connect_clients();
    works(nfs3_commit(root, &file, 0, 0, &r));
    assert_int_not_equal(r.verifier, verifier);
    works(nfs3_read(root, &file, 0, 100, &r));
    assert_int_equal(r.count, 8);
    assert_memory_equal(r.data, "unstable", 8);
}

/* A write is stable when it says so: the disk was synced between call and answer. */
static void stable_means_synced(void **state)
{
    struct nfs3_handle file = fresh_file(&top, 0600), async_top = nfsworld_mount(root, "/async");
    struct nfs3_new_attr mode = {.set = NFS3_SET_MODE, .mode = 0644};
    struct nfs3_result r;
    uint64_t syncs;

    (void)state;
    syncs = simdisk_syncs(world->disk);
    works(nfs3_write(root, &file, 0, "x", 1, FILE_SYNC, &r));
    assert_true(simdisk_syncs(world->disk) > syncs);
    syncs = simdisk_syncs(world->disk);
    works(nfs3_write(root, &file, 0, "y", 1, DATA_SYNC, &r));
    assert_true(simdisk_syncs(world->disk) > syncs);
    works(nfs3_write(root, &file, 0, "z", 1, UNSTABLE, &r));
    syncs = simdisk_syncs(world->disk);
    works(nfs3_commit(root, &file, 0, 0, &r));
    assert_true(simdisk_syncs(world->disk) > syncs);
    syncs = simdisk_syncs(world->disk);
    works(nfs3_setattr(root, &file, &mode, NULL, &r));
    assert_true(simdisk_syncs(world->disk) > syncs);
    syncs = simdisk_syncs(world->disk);
    fresh_file(&top, 0600);
    assert_true(simdisk_syncs(world->disk) > syncs);
    /* What is durable already costs nothing. */
    syncs = simdisk_syncs(world->disk);
    works(nfs3_commit(root, &file, 0, 0, &r));
    assert_int_equal(simdisk_syncs(world->disk), syncs);
    /* An async export answers as it was asked. */
    file = fresh_file(&async_top, 0600);
    works(nfs3_write(root, &file, 0, "x", 1, DATA_SYNC, &r));
    assert_int_equal(r.committed, DATA_SYNC);
    works(nfs3_write(root, &file, 0, "x", 1, FILE_SYNC, &r));
    assert_int_equal(r.committed, FILE_SYNC);
}

static void reads_that_wait_for_the_disk(void **state)
{
    struct nfs3_handle file = fresh_file(&top, 0600);
    uint8_t *data = pattern(MIB, 99);
    struct nfs3_result r;

    (void)state;
    works(nfs3_write(root, &file, 0, data, MIB, FILE_SYNC, &r));
    simdisk_set_nowait(world->disk, SIMDISK_NOWAIT_AGAIN);
    disconnect_clients();
    nfsworld_restart(world);
    connect_clients();
    works(nfs3_read(root, &file, 0, MIB, &r));
    assert_int_equal(r.count, MIB);
    assert_memory_equal(r.data, data, MIB);
    assert_true(r.eof);
    works(nfs3_read(root, &file, 5, 11, &r));
    assert_memory_equal(r.data, data + 5, 11);
    simdisk_set_nowait(world->disk, SIMDISK_NOWAIT_READS);
    free(data);
}

static void attributes_can_be_set(void **state)
{
    struct nfs3_handle file = fresh_file(&top, 0600);
    struct nfs3_new_attr all = {
        .set = NFS3_SET_MODE | NFS3_SET_UID | NFS3_SET_GID | NFS3_SET_SIZE,
        .mode = 0100751, /* the type's bits are left aside */
        .uid = USER,
        .gid = GROUP,
        .size = 70000,
        .atime_how = 2,
        .atime = {.seconds = 1, .nanoseconds = 999999999},
        .mtime_how = 2,
        .mtime = {.seconds = UINT32_MAX, .nanoseconds = 0},
    };
    struct nfs3_new_attr now = {.atime_how = 1, .mtime_how = 1}, shorter = {.set = NFS3_SET_SIZE, .size = 3};
    struct nfs3_new_attr longer = {.set = NFS3_SET_SIZE, .size = 6}, none = {.set = 0};
    struct nfs3_result r;

    (void)state;
    works(nfs3_setattr(root, &file, &all, NULL, &r));
    assert_wcc_changed(r.wcc);
    assert_int_equal(r.wcc.after.mode, 0751);
    assert_int_equal(r.wcc.after.uid, USER);
    assert_int_equal(r.wcc.after.gid, GROUP);
    assert_int_equal(r.wcc.after.size, 70000);
    assert_int_equal(r.wcc.after.atime.seconds, 1);
    assert_int_equal(r.wcc.after.atime.nanoseconds, 999999999);
    assert_int_equal(r.wcc.after.mtime.seconds, UINT32_MAX);
    works(nfs3_setattr(user, &file, &now, NULL, &r));
    assert_true(r.wcc.after.mtime.seconds > 1000000000 && r.wcc.after.mtime.seconds < UINT32_MAX);
    works(nfs3_setattr(root, &file, &none, NULL, &r));
    assert_wcc_same(r.wcc);
    /* Shrink, then grow: what was behind the end reads as zeros. */
    works(nfs3_write(root, &file, 0, "abcdef", 6, FILE_SYNC, &r));
    works(nfs3_setattr(user, &file, &shorter, NULL, &r));
    works(nfs3_setattr(user, &file, &longer, NULL, &r));
    works(nfs3_read(user, &file, 0, 10, &r));
    assert_int_equal(r.count, 6);
    assert_memory_equal(r.data, "abc\0\0\0", 6);
}

static void attributes_that_can_not_be_set(void **state)
{
    struct nfs3_handle file = fresh_file(&top, 0600);
    struct nfs3_new_attr mode = {.set = NFS3_SET_MODE, .mode = 0777}, uid = {.set = NFS3_SET_UID, .uid = 1};
    struct nfs3_new_attr size = {.set = NFS3_SET_SIZE, .size = 1};
    struct nfs3_new_attr most = {.set = NFS3_SET_SIZE, .size = SIZE_MAX_FILE};
    struct nfs3_new_attr big = {.set = NFS3_SET_SIZE, .size = SIZE_MAX_FILE + 1};
    struct nfs3_new_attr huge = {.set = NFS3_SET_SIZE, .size = UINT64_MAX};
    struct nfs3_new_attr time = {.mtime_how = 2, .mtime = {.seconds = 1, .nanoseconds = 1000000000}};
    struct timestamp guard;
    struct nfs3_result r;

    (void)state;
    gives(NFS3ERR_PERM, nfs3_setattr(user, &file, &mode, NULL, &r));
    assert_wcc_same(r.wcc);
    gives(NFS3ERR_PERM, nfs3_setattr(user, &file, &uid, NULL, &r));
    gives(NFS3ERR_ACCES, nfs3_setattr(user, &file, &size, NULL, &r));
    gives(NFS3ERR_ISDIR, nfs3_setattr(root, &top, &size, NULL, &r));
    gives(NFS3ERR_FBIG, nfs3_setattr(root, &file, &big, NULL, &r));
    gives(NFS3ERR_FBIG, nfs3_setattr(root, &file, &huge, NULL, &r));
    gives(NFS3ERR_INVAL, nfs3_setattr(root, &file, &time, NULL, &r));
    assert_wcc_same(r.wcc);
    works(nfs3_setattr(root, &file, &most, NULL, &r));
    guard = r.wcc.after.ctime;
    works(nfs3_setattr(root, &file, &size, &guard, &r));
    gives(NFS3ERR_NOT_SYNC, nfs3_setattr(root, &file, &size, &guard, &r));
    assert_wcc_same(r.wcc);
}

static void access_bits(void **state)
{
    enum { READ = 1, LOOKUP = 2, MODIFY = 4, EXTEND = 8, DELETE = 16, EXECUTE = 32, ALL = 63 };
    static const struct {
        bool directory;
        uint32_t mode, wanted, by_user, by_root;
    } rows[] = {
        {false, 0000, ALL, 0, READ | MODIFY | EXTEND},
        {false, 0004, ALL, READ, READ | MODIFY | EXTEND},
        {false, 0002, ALL, MODIFY | EXTEND, READ | MODIFY | EXTEND},
        {false, 0001, ALL, EXECUTE, READ | MODIFY | EXTEND | EXECUTE},
        {false, 0007, ALL, READ | MODIFY | EXTEND | EXECUTE, READ | MODIFY | EXTEND | EXECUTE},
        {false, 0007, MODIFY, MODIFY, MODIFY},
        {false, 0007, EXTEND | 0xffffffc0, EXTEND, EXTEND},
        {false, 0007, 0, 0, 0},
        {true, 0000, ALL, 0, READ | LOOKUP | MODIFY | EXTEND | DELETE},
        {true, 0004, ALL, READ, READ | LOOKUP | MODIFY | EXTEND | DELETE},
        {true, 0001, ALL, LOOKUP, READ | LOOKUP | MODIFY | EXTEND | DELETE},
        {true, 0003, ALL, LOOKUP | MODIFY | EXTEND | DELETE, READ | LOOKUP | MODIFY | EXTEND | DELETE},
        {true, 0007, DELETE | EXECUTE, DELETE, DELETE},
    };
    struct nfs3_result r;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct nfs3_new_attr attr = {.set = NFS3_SET_MODE, .mode = rows[i].mode};
        struct nfs3_handle object;
        char name[32];
        snprintf(name, sizeof name, "access%zu", i);
        if (rows[i].directory)
            works(nfs3_mkdir(root, &top, name, &attr, &r));
        else
            works(nfs3_create(root, &top, name, 1, &attr, 0, &r));
        object = r.handle;
        works(nfs3_access(user, &object, rows[i].wanted, &r));
        assert_int_equal(r.access, rows[i].by_user);
        assert_true(r.has_attr);
        works(nfs3_access(root, &object, rows[i].wanted, &r));
        assert_int_equal(r.access, rows[i].by_root);
    }
}

static void figures(void **state)
{
    struct nfs3_result r;

    (void)state;
    works(nfs3_handle_call(user, NFS3C_FSSTAT, &top, &r));
    assert_true(r.has_attr);
    assert_true(r.space[0] > 0 && r.space[1] <= r.space[0] && r.space[2] <= r.space[1]);
    assert_true(r.space[3] > 0 && r.space[4] <= r.space[3] && r.space[5] <= r.space[4]);
    works(nfs3_handle_call(user, NFS3C_FSINFO, &top, &r));
    assert_int_equal(r.limits[0], MIB);
    assert_int_equal(r.limits[3], MIB);
    assert_true(r.limits[1] <= r.limits[0] && r.limits[4] <= r.limits[3] && r.limits[6] > 0);
    assert_true(r.maxfilesize == SIZE_MAX_FILE);
    assert_int_equal(r.time_delta.seconds, 0);
    assert_int_equal(r.time_delta.nanoseconds, 1);
    assert_int_equal(r.properties, 0x1b);
    works(nfs3_handle_call(user, NFS3C_PATHCONF, &top, &r));
    assert_int_equal(r.name_max, 255);
    assert_true(r.linkmax >= 1000);
    assert_true(r.no_trunc && r.chown_restricted && !r.case_insensitive && r.case_preserving);
}

enum { QUEUE = 128 * 1024, PIECE = 64 * 1024, PIECES = 40 };

/* A server whose write queue has room for two writes. */
static struct nfsworld *narrow_world(struct rpcclient **client_r, struct nfs3_handle *file_r)
{
    struct vfs_export_config export = nfsworld_export("a");
    struct nfsworld_options options = {.store = {.write_queue_bytes = QUEUE},
                                       .nfs = {.read_bytes = 2 * PIECE}};
    struct nfsworld *narrow = nfsworld_open(&export, 1, &options);
    struct nfs3_handle dir;
    struct nfs3_result r;

    *client_r = nfsworld_client(narrow, 0, 0);
    dir = nfsworld_mount(*client_r, "/a");
    works(nfs3_create(*client_r, &dir, "f", 1, NULL, 0, &r));
    *file_r = r.handle;
    return narrow;
}

static void send_write(struct rpcclient *client, const struct nfs3_handle *file, uint32_t number,
                       uint32_t stable)
{
    static uint8_t data[PIECE];
    struct writer writer;

    memset(data, (int)number + 1, sizeof data);
    writer_init_growing(&writer, 2 * PIECE);
    nfs3_put_handle(&writer, file);
    writer_be64(&writer, (uint64_t)number * PIECE);
    writer_be32(&writer, PIECE);
    writer_be32(&writer, stable);
    writer_xdr_opaque(&writer, data, sizeof data);
    rpcclient_program(client, 100003, 3);
    assert_int_not_equal(rpcclient_send(client, NFS3C_WRITE, &writer), 0);
    writer_free(&writer);
}

/* The status of the next reply, of whichever write. */
static uint32_t receive_write(struct rpcclient *client)
{
    struct reader results;
    struct nfs3_result r;
    uint32_t xid;

    assert_int_equal(rpcclient_receive(client, &xid, &results), RPCCLIENT_SUCCESS);
    assert_true(nfs3_decode(results, NFS3C_WRITE, &r));
    assert_true(r.status != NFS3_OK || r.count == PIECE);
    return r.status;
}

static void writes_that_wait_for_room(void **state)
{
    struct rpcclient *client;
    struct nfs3_handle file;
    struct nfsworld *narrow = narrow_world(&client, &file);
    struct nfs3_result r;

    (void)state;
    for (uint32_t i = 0; i < PIECES; i++)
        send_write(client, &file, i, i % 3);
    for (uint32_t i = 0; i < PIECES; i++)
        assert_int_equal(receive_write(client), NFS3_OK);
    for (uint32_t i = 0; i < PIECES; i++) {
        works(nfs3_read(client, &file, (uint64_t)i * PIECE, PIECE, &r));
        assert_int_equal(r.count, PIECE);
        for (uint32_t j = 0; j < PIECE; j++)
            assert_int_equal(r.data[j], i + 1);
    }
    /* Reads have a bound of their own. */
    gives(NFS3ERR_JUKEBOX, nfs3_read(client, &file, 0, 2 * PIECE + 1, &r));
    assert_true(r.has_attr);
    rpcclient_close(&client);
    nfsworld_close(&narrow);
}

/* A write that waits while a reload takes its export away, or while its connection goes, ends all the same.
 */
static void what_goes_while_writes_wait(void **state)
{
    struct vfs_export_config export = nfsworld_export("a"), other = nfsworld_export("other");
    struct nfs_counters counters = {.nfs3_calls_now = 1};
    struct rpcclient *client;
    struct nfs3_handle file;
    struct nfsworld *narrow = narrow_world(&client, &file);

    (void)state;
    for (uint32_t i = 0; i < PIECES; i++)
        send_write(client, &file, i, i % 3);
    nfsworld_turn(narrow, 2);
    nfsworld_set_exports(narrow, &other, 1);
    for (uint32_t i = 0; i < PIECES; i++) {
        uint32_t status = receive_write(client);
        assert_true(status == NFS3_OK || status == NFS3ERR_STALE);
    }
    nfsworld_set_exports(narrow, &export, 1);
    for (uint32_t i = 0; i < PIECES; i++)
        send_write(client, &file, i, i % 3);
    nfsworld_turn(narrow, 2);
    rpcclient_close(&client);
    for (int i = 0; i < 10000 && counters.nfs3_calls_now > 0; i++) {
        loop_run_once(narrow->loop, true);
        nfs_server_counters(narrow->nfs, &counters);
    }
    assert_int_equal(counters.nfs3_calls_now, 0);
    nfsworld_close(&narrow);
}

/* After a sync that fails nothing is promised any more, and nobody is told otherwise. Last of all tests: the
 * store does not come back from it. */
static void a_failed_sync_is_told(void **state)
{
    struct vfs_export_config exports[] = {nfsworld_export("a")};
    struct nfsworld *failing = nfsworld_open(exports, 1, NULL);
    struct rpcclient *client = nfsworld_client(failing, 0, 0);
    struct nfs3_handle dir = nfsworld_mount(client, "/a"), file;
    struct nfs3_result r;

    (void)state;
    works(nfs3_create(client, &dir, "f", 1, NULL, 0, &r));
    file = r.handle;
    works(nfs3_write(client, &file, 0, "good", 4, FILE_SYNC, &r));
    simdisk_fail(failing->disk, 1, ERR_IO, SIMDISK_STICKY);
    assert_int_equal(nfs3_write(client, &file, 0, "bad!", 4, FILE_SYNC, &r), RPCCLIENT_SUCCESS);
    assert_true(r.status == NFS3ERR_IO || r.status == NFS3ERR_ROFS);
    assert_int_equal(nfs3_create(client, &dir, "g", 1, NULL, 0, &r), RPCCLIENT_SUCCESS);
    assert_true(r.status == NFS3ERR_IO || r.status == NFS3ERR_ROFS);
    works(nfs3_getattr(client, &file, &r));
    rpcclient_close(&client);
    nfsworld_abandon(&failing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(write_and_read),
        cmocka_unit_test(the_end_of_a_file),
        cmocka_unit_test(writes_at_the_borders),
        cmocka_unit_test(write_count_and_data_must_agree),
        cmocka_unit_test(only_files_have_data),
        cmocka_unit_test(permission_for_data),
        cmocka_unit_test(commit_and_the_verifier),
        cmocka_unit_test(stable_means_synced),
        cmocka_unit_test(reads_that_wait_for_the_disk),
        cmocka_unit_test(attributes_can_be_set),
        cmocka_unit_test(attributes_that_can_not_be_set),
        cmocka_unit_test(access_bits),
        cmocka_unit_test(figures),
        cmocka_unit_test(writes_that_wait_for_room),
        cmocka_unit_test(what_goes_while_writes_wait),
        cmocka_unit_test(a_failed_sync_is_told),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
