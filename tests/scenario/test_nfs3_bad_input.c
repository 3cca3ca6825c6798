/*
 * test_nfs3_bad_input.c - NFS version 3 and what no client should send: names of any length and content,
 * forged handles, calls that end early or late, procedures and versions that are none. The server answers
 * each, and goes on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nfs3check.h"
#include "nfsworld.h"

#include <stdlib.h>
#include <string.h>

static struct nfsworld *world;
static struct rpcclient *root;
static struct nfs3_handle top, file;

static int set_up(void **state)
{
    struct vfs_export_config export = nfsworld_export("a");
    struct nfs3_result r;

    (void)state;
    export.sync = false;
    world = nfsworld_open(&export, 1, NULL);
    root = nfsworld_client(world, 0, 0);
    top = nfsworld_mount(root, "/a");
    works(nfs3_create(root, &top, "f", 1, NULL, 0, &r));
    file = r.handle;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rpcclient_close(&root);
    nfsworld_close(&world);
    return 0;
}

static struct writer begin(const struct nfs3_handle *handle)
{
    struct writer writer;

    writer_init_growing(&writer, 4 * 1024 * 1024);
    nfs3_put_handle(&writer, handle);
    return writer;
}

static uint32_t finish(uint32_t procedure, struct writer *writer)
{
    struct nfs3_result r;

    assert_int_equal(nfs3_call(root, procedure, writer, &r), RPCCLIENT_SUCCESS);
    writer_free(writer);
    return r.status;
}

/* NAME of LENGTH bytes in the last name argument of PROCEDURE, with all else in order. */
static uint32_t try_name(uint32_t procedure, const void *name, uint32_t length)
{
    struct writer writer = begin(procedure == NFS3C_LINK ? &file : &top);

    if (procedure == NFS3C_LINK)
        nfs3_put_handle(&writer, &top);
    if (procedure == NFS3C_RENAME) {
        writer_xdr_opaque(&writer, "f", 1);
        nfs3_put_handle(&writer, &top);
    }
    writer_xdr_opaque(&writer, name, length);
    switch (procedure) {
    case NFS3C_CREATE:
        writer_be32(&writer, 1);
        nfs3_put_attr(&writer, NULL);
        break;
    case NFS3C_MKDIR:
        nfs3_put_attr(&writer, NULL);
        break;
    case NFS3C_SYMLINK:
        nfs3_put_attr(&writer, NULL);
        writer_xdr_opaque(&writer, "x", 1);
        break;
    case NFS3C_MKNOD:
        writer_be32(&writer, 7);
        nfs3_put_attr(&writer, NULL);
        break;
    default:
        break;
    }
    return finish(procedure, &writer);
}

static void names(void **state)
{
    static const uint32_t procedures[] = {NFS3C_LOOKUP,  NFS3C_CREATE, NFS3C_MKDIR,
                                          NFS3C_SYMLINK, NFS3C_MKNOD,  NFS3C_REMOVE,
                                          NFS3C_RMDIR,   NFS3C_RENAME, NFS3C_LINK};
    char *name = malloc(65536);

    (void)state;
    assert_non_null(name);
    memset(name, 'n', 65536);
    for (size_t i = 0; i < sizeof procedures / sizeof procedures[0]; i++) {
        uint32_t procedure = procedures[i];
        bool makes = procedure != NFS3C_LOOKUP && procedure != NFS3C_REMOVE && procedure != NFS3C_RMDIR;
        assert_int_equal(try_name(procedure, "", 0), NFS3ERR_ACCES);
        assert_int_equal(try_name(procedure, name, 256), NFS3ERR_NAMETOOLONG);
        assert_int_equal(try_name(procedure, name, 65536), NFS3ERR_NAMETOOLONG);
        assert_int_equal(try_name(procedure, "a/b", 3), NFS3ERR_ACCES);
        assert_int_equal(try_name(procedure, "/", 1), NFS3ERR_ACCES);
        assert_int_equal(try_name(procedure, "a\0b", 3), NFS3ERR_ACCES);
        assert_int_equal(try_name(procedure, "\0", 1), NFS3ERR_ACCES);
        assert_int_equal(try_name(procedure, name, 255), makes ? NFS3_OK : NFS3ERR_NOENT);
        if (procedure == NFS3C_RENAME) {
            struct nfs3_result r;
            name[255] = '\0';
            works(nfs3_rename(root, &top, name, &top, "f", &r));
            name[255] = 'n';
        } else if (makes) {
            assert_int_equal(try_name(procedure == NFS3C_MKDIR ? NFS3C_RMDIR : NFS3C_REMOVE, name, 255),
                             NFS3_OK);
        }
    }
    /* Bytes mean nothing else: neither UTF-8 nor control characters. */
    assert_int_equal(try_name(NFS3C_CREATE, "\xff\xfe\n\x01", 4), NFS3_OK);
    assert_int_equal(try_name(NFS3C_LOOKUP, "\xff\xfe\n\x01", 4), NFS3_OK);
    assert_int_equal(try_name(NFS3C_REMOVE, "\xff\xfe\n\x01", 4), NFS3_OK);
    free(name);
}

static void forged_handles(void **state)
{
    struct nfs3_result r;

    (void)state;
    for (uint32_t i = 0; i < file.length; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct nfs3_handle forged = file;
            forged.data[i] ^= (uint8_t)(1u << bit);
            gives(NFS3ERR_BADHANDLE, nfs3_getattr(root, &forged, &r));
        }
    }
    for (uint32_t length = 0; length <= 64; length++) {
        struct nfs3_handle forged = file;
        forged.length = length;
        if (length != file.length)
            gives(NFS3ERR_BADHANDLE, nfs3_getattr(root, &forged, &r));
    }
}

/* Arguments of PROCEDURE as they should be. */
static struct writer good_call(uint32_t procedure)
{
    struct writer writer = begin(procedure == NFS3C_LINK ? &file : &top);

    switch (procedure) {
    case NFS3C_NULL:
        writer_truncate(&writer, 0);
        break;
    case NFS3C_SETATTR:
        nfs3_put_attr(&writer, NULL);
        writer_be32(&writer, 0);
        break;
    case NFS3C_ACCESS:
        writer_be32(&writer, 63);
        break;
    case NFS3C_READ:
    case NFS3C_COMMIT:
        writer_be64(&writer, 0);
        writer_be32(&writer, 1);
        break;
    case NFS3C_WRITE:
        writer_be64(&writer, 0);
        writer_be32(&writer, 1);
        writer_be32(&writer, 0);
        writer_xdr_opaque(&writer, "x", 1);
        break;
    case NFS3C_LOOKUP:
    case NFS3C_REMOVE:
    case NFS3C_RMDIR:
        writer_xdr_opaque(&writer, "none", 4);
        break;
    case NFS3C_CREATE:
        writer_xdr_opaque(&writer, "..", 2);
        writer_be32(&writer, 0);
        nfs3_put_attr(&writer, NULL);
        break;
    case NFS3C_MKDIR:
        writer_xdr_opaque(&writer, "..", 2);
        nfs3_put_attr(&writer, NULL);
        break;
    case NFS3C_SYMLINK:
        writer_xdr_opaque(&writer, "..", 2);
        nfs3_put_attr(&writer, NULL);
        writer_xdr_opaque(&writer, "x", 1);
        break;
    case NFS3C_MKNOD:
        writer_xdr_opaque(&writer, "..", 2);
        writer_be32(&writer, 7);
        nfs3_put_attr(&writer, NULL);
        break;
    case NFS3C_RENAME:
        writer_xdr_opaque(&writer, "none", 4);
        nfs3_put_handle(&writer, &top);
        writer_xdr_opaque(&writer, "none", 4);
        break;
    case NFS3C_LINK:
        nfs3_put_handle(&writer, &top);
        writer_xdr_opaque(&writer, "..", 2);
        break;
    case NFS3C_READDIR:
    case NFS3C_READDIRPLUS:
        writer_be64(&writer, 0);
        writer_be64(&writer, 0);
        writer_be32(&writer, 4096);
        if (procedure == NFS3C_READDIRPLUS)
            writer_be32(&writer, 4096);
        break;
    default:
        break;
    }
    return writer;
}

static void garbage_arguments(void **state)
{
    struct nfs3_result r;

    (void)state;
    for (uint32_t procedure = 0; procedure < NFS3_PROCEDURES; procedure++) {
        struct writer good = good_call(procedure);
        size_t whole = good.length;
        assert_int_equal(nfs3_call(root, procedure, &good, &r), RPCCLIENT_SUCCESS);
        for (size_t length = 0; length < whole; length++) {
            struct writer cut = good;
            cut.length = length;
            assert_int_equal(nfs3_call(root, procedure, &cut, &r), RPCCLIENT_GARBAGE_ARGS);
        }
        for (int more = 1; more <= 8; more++) {
            writer_u8(&good, 0);
            assert_int_equal(nfs3_call(root, procedure, &good, &r), RPCCLIENT_GARBAGE_ARGS);
        }
        writer_free(&good);
    }
}

static void what_is_not_served(void **state)
{
    struct nfs3_result r;
    struct reader results;

    (void)state;
    assert_int_equal(nfs3_call(root, NFS3_PROCEDURES, NULL, &r), RPCCLIENT_PROC_UNAVAIL);
    assert_int_equal(nfs3_call(root, UINT32_MAX, NULL, &r), RPCCLIENT_PROC_UNAVAIL);
    rpcclient_program(root, 100003, 2);
    assert_int_equal(rpcclient_call(root, 0, NULL, &results), RPCCLIENT_PROG_MISMATCH);
    assert_int_equal(root->low, 3);
    rpcclient_program(root, 100099, 3);
    assert_int_equal(rpcclient_call(root, 0, NULL, &results), RPCCLIENT_PROG_UNAVAIL);
}

/* A WRITE of one byte more than wtmax and its other arguments may have. */
static void calls_that_are_too_long(void **state)
{
    size_t length = 1024 * 1024 + 1024;
    uint8_t *data = calloc(1, length);
    struct writer writer = begin(&file);
    struct nfs3_result r;

    (void)state;
    assert_non_null(data);
    writer_be64(&writer, 0);
    writer_be32(&writer, (uint32_t)length);
    writer_be32(&writer, 0);
    writer_xdr_opaque(&writer, data, length);
    assert_int_equal(nfs3_call(root, NFS3C_WRITE, &writer, &r), RPCCLIENT_GARBAGE_ARGS);
    writer_free(&writer);
    free(data);
    works(nfs3_getattr(root, &file, &r));
    assert_int_equal(r.attr.size, 0);
}

static void requests_are_all_ended(void **state)
{
    struct nfs_counters counters;

    (void)state;
    nfs_server_counters(world->nfs, &counters);
    assert_int_equal(counters.nfs3_calls_now, 0);
    assert_true(counters.nfs3_calls[NFS3C_LOOKUP] > 0);
    assert_true(counters.nfs3_failures[NFS3C_GETATTR] > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(forged_handles),
        cmocka_unit_test(calls_that_are_too_long),
        cmocka_unit_test(garbage_arguments),
        cmocka_unit_test(what_is_not_served),
        cmocka_unit_test(requests_are_all_ended),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
