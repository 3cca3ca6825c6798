/*
 * test_nfs3_args.c - the argument decoders of NFS version 3 and of MOUNT: each shape round-trips, no part
 * of one is taken for the whole, nothing may follow, and numbers at the borders come through as they are.
 *
 * Input lies at the end of an allocation of its own, so that the address sanitizer sees a byte read too far.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dittofs/nfs.h"
#include "nfs/mount/mount_priv.h"
#include "nfs/v3/nfs3_args.h"

#include <stdlib.h>
#include <string.h>

static uint8_t space[256 * 1024];
static uint8_t handle[NFS3_FHSIZE];

static struct writer start(void)
{
    struct writer writer;

    for (size_t i = 0; i < sizeof handle; i++)
        handle[i] = (uint8_t)(i * 7 + 1);
    writer_init(&writer, space, sizeof space);
    return writer;
}

static void put_sattr_all(struct writer *writer)
{
    writer_be32(writer, 1);
    writer_be32(writer, 0100644);
    writer_be32(writer, 1);
    writer_be32(writer, 1000);
    writer_be32(writer, 1);
    writer_be32(writer, UINT32_MAX);
    writer_be32(writer, 1);
    writer_be64(writer, UINT64_MAX);
    writer_be32(writer, NFS3_SET_TO_SERVER_TIME);
    writer_be32(writer, NFS3_SET_TO_CLIENT_TIME);
    writer_be32(writer, 0x80000000);
    writer_be32(writer, 999999999);
}

static void put_sattr_none(struct writer *writer)
{
    writer_zeros(writer, (size_t)6 * 4);
}

static void put_where(struct writer *writer, const char *name)
{
    writer_xdr_opaque(writer, handle, 32);
    writer_xdr_opaque(writer, name, strlen(name));
}

static void put_handle(struct writer *writer)
{
    writer_xdr_opaque(writer, handle, 32);
}

static void put_lookup(struct writer *writer)
{
    put_where(writer, "name5");
}

static void put_setattr(struct writer *writer)
{
    put_handle(writer);
    put_sattr_all(writer);
    writer_be32(writer, 1);
    writer_be32(writer, 5);
    writer_be32(writer, 6);
}

static void put_access(struct writer *writer)
{
    put_handle(writer);
    writer_be32(writer, 0x3f);
}

static void put_read(struct writer *writer)
{
    put_handle(writer);
    writer_be64(writer, UINT64_MAX);
    writer_be32(writer, UINT32_MAX);
}

static void put_write(struct writer *writer)
{
    put_handle(writer);
    writer_be64(writer, (uint64_t)1 << 63);
    writer_be32(writer, 7);
    writer_be32(writer, NFS3_FILE_SYNC);
    writer_xdr_opaque(writer, "payload", 7);
}

static void put_create(struct writer *writer)
{
    put_where(writer, "f");
    writer_be32(writer, NFS3_GUARDED);
    put_sattr_all(writer);
}

static void put_create_exclusive(struct writer *writer)
{
    put_where(writer, "f");
    writer_be32(writer, NFS3_EXCLUSIVE);
    writer_be64(writer, 0x0102030405060708);
}

static void put_mkdir(struct writer *writer)
{
    put_where(writer, "dir");
    put_sattr_none(writer);
}

static void put_symlink(struct writer *writer)
{
    put_where(writer, "link");
    put_sattr_none(writer);
    writer_xdr_opaque(writer, "../to", 5);
}

static void put_mknod_device(struct writer *writer)
{
    put_where(writer, "null");
    writer_be32(writer, NF3CHR);
    put_sattr_none(writer);
    writer_be32(writer, 1);
    writer_be32(writer, 3);
}

static void put_mknod_fifo(struct writer *writer)
{
    put_where(writer, "fifo");
    writer_be32(writer, NF3FIFO);
    put_sattr_all(writer);
}

static void put_mknod_void(struct writer *writer)
{
    put_where(writer, "what");
    writer_be32(writer, 4711);
}

static void put_rename(struct writer *writer)
{
    put_where(writer, "from");
    put_where(writer, "to");
}

static void put_link(struct writer *writer)
{
    put_handle(writer);
    put_where(writer, "second");
}

static void put_readdir(struct writer *writer)
{
    put_handle(writer);
    writer_be64(writer, 9);
    writer_be64(writer, 0);
    writer_be32(writer, 4096);
}

static void put_readdirplus(struct writer *writer)
{
    put_readdir(writer);
    writer_be32(writer, 32768);
}

static void put_commit(struct writer *writer)
{
    put_handle(writer);
    writer_be64(writer, 1);
    writer_be32(writer, 2);
}

static void put_nothing(struct writer *writer)
{
    (void)writer;
}

static const struct shape {
    uint32_t procedure;
    void (*put)(struct writer *writer);
} shapes[] = {
    {NFS3_NULL, put_nothing},
    {NFS3_GETATTR, put_handle},
    {NFS3_SETATTR, put_setattr},
    {NFS3_LOOKUP, put_lookup},
    {NFS3_ACCESS, put_access},
    {NFS3_READLINK, put_handle},
    {NFS3_READ, put_read},
    {NFS3_WRITE, put_write},
    {NFS3_CREATE, put_create},
    {NFS3_CREATE, put_create_exclusive},
    {NFS3_MKDIR, put_mkdir},
    {NFS3_SYMLINK, put_symlink},
    {NFS3_MKNOD, put_mknod_device},
    {NFS3_MKNOD, put_mknod_fifo},
    {NFS3_MKNOD, put_mknod_void},
    {NFS3_REMOVE, put_lookup},
    {NFS3_RMDIR, put_lookup},
    {NFS3_RENAME, put_rename},
    {NFS3_LINK, put_link},
    {NFS3_READDIR, put_readdir},
    {NFS3_READDIRPLUS, put_readdirplus},
    {NFS3_FSSTAT, put_handle},
    {NFS3_FSINFO, put_handle},
    {NFS3_PATHCONF, put_handle},
    {NFS3_COMMIT, put_commit},
};

/* Decodes a copy of LENGTH bytes that ends where its memory ends. The copy lives until the next call. */
static bool decode(uint32_t procedure, size_t length, union nfs3_args *args_r)
{
    static uint8_t *copy;
    struct reader reader;

    free(copy);
    copy = malloc(length + (length == 0));
    assert_non_null(copy);
    memcpy(copy, space, length);
    reader = reader_of(copy, length);
    return nfs3__decode_call(procedure, &reader, args_r);
}

static void release_copy(void)
{
    union nfs3_args args;

    assert_true(decode(NFS3_NULL, 0, &args));
}

static void every_truncation_fails(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        struct writer writer = start();
        union nfs3_args args;
        shapes[i].put(&writer);
        assert_false(writer.failed);
        assert_true(decode(shapes[i].procedure, writer.length, &args));
        for (size_t length = 0; length < writer.length; length++)
            assert_false(decode(shapes[i].procedure, length, &args));
        for (size_t more = 1; more <= 8; more++) {
            writer_u8(&writer, 0);
            assert_false(decode(shapes[i].procedure, writer.length, &args));
        }
    }
    release_copy();
}

static void unknown_procedures_fail(void **state)
{
    union nfs3_args args;

    (void)state;
    assert_false(decode(NFS3_PROCEDURES, 0, &args));
    assert_false(decode(UINT32_MAX, 0, &args));
    release_copy();
}

static void values_come_through(void **state)
{
    struct writer writer = start();
    union nfs3_args args;

    (void)state;
    put_setattr(&writer);
    assert_true(decode(NFS3_SETATTR, writer.length, &args));
    assert_int_equal(args.setattr.object.length, 32);
    assert_memory_equal(args.setattr.object.data, handle, 32);
    assert_true(args.setattr.attributes.set_mode && args.setattr.attributes.set_uid);
    assert_true(args.setattr.attributes.set_gid && args.setattr.attributes.set_size);
    assert_int_equal(args.setattr.attributes.mode, 0100644);
    assert_int_equal(args.setattr.attributes.gid, UINT32_MAX);
    assert_true(args.setattr.attributes.size == UINT64_MAX);
    assert_int_equal(args.setattr.attributes.atime_how, NFS3_SET_TO_SERVER_TIME);
    assert_int_equal(args.setattr.attributes.mtime_how, NFS3_SET_TO_CLIENT_TIME);
    assert_int_equal(args.setattr.attributes.mtime.seconds, 0x80000000);
    assert_int_equal(args.setattr.attributes.mtime.nanoseconds, 999999999);
    assert_true(args.setattr.has_guard);
    assert_int_equal(args.setattr.guard_ctime.nanoseconds, 6);

    writer = start();
    put_read(&writer);
    assert_true(decode(NFS3_READ, writer.length, &args));
    assert_true(args.read.offset == UINT64_MAX && args.read.count == UINT32_MAX);

    writer = start();
    put_write(&writer);
    assert_true(decode(NFS3_WRITE, writer.length, &args));
    assert_true(args.write.offset == (uint64_t)1 << 63);
    assert_int_equal(args.write.count, 7);
    assert_int_equal(args.write.stable, NFS3_FILE_SYNC);
    assert_int_equal(args.write.data_length, 7);
    assert_memory_equal(args.write.data, "payload", 7);

    writer = start();
    put_create_exclusive(&writer);
    assert_true(decode(NFS3_CREATE, writer.length, &args));
    assert_int_equal(args.create.how, NFS3_EXCLUSIVE);
    assert_memory_equal(args.create.verifier, "\1\2\3\4\5\6\7\10", 8);
    assert_false(args.create.attributes.set_mode || args.create.attributes.set_size);

    writer = start();
    put_mknod_device(&writer);
    assert_true(decode(NFS3_MKNOD, writer.length, &args));
    assert_int_equal(args.mknod.device_major, 1);
    assert_int_equal(args.mknod.device_minor, 3);

    writer = start();
    put_readdirplus(&writer);
    assert_true(decode(NFS3_READDIRPLUS, writer.length, &args));
    assert_true(args.readdir.cookie == 9 && args.readdir.count == 4096 && args.readdir.maxcount == 32768);
    release_copy();
}

/* Handles have a bound of their own; names and targets only that of the call. */
static void lengths_at_the_borders(void **state)
{
    static const uint32_t names[] = {0, 1, 3, 4, 255, 256, 65535, 65536};
    static const uint32_t forged[] = {33, 65, 0x7fffffff, 0x80000000, 0xfffffffc, 0xfffffffd, 0xffffffff};
    static const char text[65536] = "x";
    union nfs3_args args;

    (void)state;
    for (uint32_t length = 0; length <= 68; length++) {
        struct writer writer = start();
        uint8_t long_handle[68] = {0};
        writer_xdr_opaque(&writer, long_handle, length);
        assert_int_equal(decode(NFS3_GETATTR, writer.length, &args), length <= NFS3_FHSIZE);
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct writer writer = start();
        put_handle(&writer);
        writer_xdr_opaque(&writer, text, names[i]);
        assert_true(decode(NFS3_LOOKUP, writer.length, &args));
        assert_int_equal(args.where.name.length, names[i]);
    }
    /* Counts that say more than there is, in every place where there is a count. */
    for (size_t i = 0; i < sizeof forged / sizeof forged[0]; i++) {
        struct writer writer = start();
        put_lookup(&writer);
        writer_patch_be32(&writer, 0, forged[i]);
        assert_false(decode(NFS3_LOOKUP, writer.length, &args));
        writer = start();
        put_lookup(&writer);
        writer_patch_be32(&writer, 36, forged[i]);
        assert_false(decode(NFS3_LOOKUP, writer.length, &args));
        writer = start();
        put_write(&writer);
        writer_patch_be32(&writer, 36 + 8 + 4 + 4, forged[i]);
        assert_false(decode(NFS3_WRITE, writer.length, &args));
    }
    release_copy();
}

static void discriminants_that_are_none_fail(void **state)
{
    static const uint32_t bad[] = {3, 4, 0x80000000, 0xffffffff};
    union nfs3_args args;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct writer writer = start();
        put_write(&writer);
        writer_patch_be32(&writer, 36 + 8 + 4, bad[i]);
        assert_false(decode(NFS3_WRITE, writer.length, &args));
        writer = start();
        put_create(&writer);
        writer_patch_be32(&writer, 36 + 8, bad[i]);
        assert_false(decode(NFS3_CREATE, writer.length, &args));
        writer = start();
        put_mkdir(&writer); /* set_mode is a boolean, set_atime an enum */
        writer_patch_be32(&writer, 36 + 8, bad[i]);
        assert_false(decode(NFS3_MKDIR, writer.length, &args));
        writer = start();
        put_mkdir(&writer);
        writer_patch_be32(&writer, 36 + 8 + 16, bad[i]);
        assert_false(decode(NFS3_MKDIR, writer.length, &args));
    }
    release_copy();
}

static void mount_arguments(void **state)
{
    static const char text[MOUNT_PATH_MAX + 1] = "/x";
    static const uint32_t lengths[] = {0, 1, 5, MOUNT_PATH_MAX, MOUNT_PATH_MAX + 1};
    struct mount_args args;

    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct writer writer = start();
        struct reader reader;
        writer_xdr_opaque(&writer, text, lengths[i]);
        reader = reader_of(space, writer.length);
        assert_int_equal(mount__decode_call(MOUNT_MNT, &reader, &args), lengths[i] <= MOUNT_PATH_MAX);
        for (size_t part = 0; part < writer.length; part++) {
            uint8_t *copy = malloc(part + 1);
            assert_non_null(copy);
            memcpy(copy, space, part);
            reader = reader_of(copy, part);
            assert_false(mount__decode_call(MOUNT_UMNT, &reader, &args));
            free(copy);
        }
        writer_u8(&writer, 0);
        reader = reader_of(space, writer.length);
        assert_false(mount__decode_call(MOUNT_MNT, &reader, &args));
    }
    for (uint32_t procedure = 0; procedure < MOUNT_PROCEDURES; procedure++) {
        struct reader reader = reader_of(space, 0);
        bool takes_path = procedure == MOUNT_MNT || procedure == MOUNT_UMNT;
        assert_int_equal(mount__decode_call(procedure, &reader, &args), !takes_path);
        reader = reader_of(space, 1);
        assert_false(mount__decode_call(procedure, &reader, &args));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_truncation_fails),
        cmocka_unit_test(unknown_procedures_fail),
        cmocka_unit_test(values_come_through),
        cmocka_unit_test(lengths_at_the_borders),
        cmocka_unit_test(discriminants_that_are_none_fail),
        cmocka_unit_test(mount_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
