/*
 * test_nfs3_retry.c - a call whose connection is cut before the answer and that is sent again over a new
 * one with the same xid: what is not idempotent is executed once and answered as the first time.
 *
 * Cut at two places: before the server has seen the call end (the retry finds it running or done), and after
 * it has answered into a connection that nobody reads.
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

static struct nfsworld *world;
static struct rpcclient *root;
static struct nfs3_handle top, dir, file;

static int set_up(void **state)
{
    struct vfs_export_config export = nfsworld_export("a");

    (void)state;
    world = nfsworld_open(&export, 1, NULL);
    root = nfsworld_client(world, 0, 0);
    top = nfsworld_mount(root, "/a");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rpcclient_close(&root);
    nfsworld_close(&world);
    return 0;
}

/* A directory with a file "f" and a directory "d". */
static void prepare(void)
{
    static int count;
    struct nfs3_result r;
    char name[32];

    snprintf(name, sizeof name, "dir%d", count++);
    works(nfs3_mkdir(root, &top, name, NULL, &r));
    dir = r.handle;
    works(nfs3_create(root, &dir, "f", 1, NULL, 0, &r));
    file = r.handle;
    works(nfs3_mkdir(root, &dir, "d", NULL, &r));
}

static void put_name(struct writer *writer, const char *name)
{
    nfs3_put_handle(writer, &dir);
    writer_xdr_opaque(writer, name, strlen(name));
}

static void put_create(struct writer *writer)
{
    put_name(writer, "new");
    writer_be32(writer, 1);
    nfs3_put_attr(writer, NULL);
}

static void put_mkdir(struct writer *writer)
{
    put_name(writer, "new");
    nfs3_put_attr(writer, NULL);
}

static void put_symlink(struct writer *writer)
{
    put_mkdir(writer);
    writer_xdr_opaque(writer, "x", 1);
}

static void put_mknod(struct writer *writer)
{
    put_name(writer, "new");
    writer_be32(writer, 7);
    nfs3_put_attr(writer, NULL);
}

static void put_remove(struct writer *writer)
{
    put_name(writer, "f");
}

static void put_rmdir(struct writer *writer)
{
    put_name(writer, "d");
}

static void put_rename(struct writer *writer)
{
    put_name(writer, "f");
    put_name(writer, "g");
}

static void put_link(struct writer *writer)
{
    nfs3_put_handle(writer, &file);
    put_name(writer, "g");
}

/* Guarded by the ctime, so that a second execution would be NOT_SYNC. */
static void put_setattr(struct writer *writer)
{
    struct nfs3_new_attr attr = {.set = NFS3_SET_MODE, .mode = 0612};
    struct nfs3_result r;

    works(nfs3_getattr(root, &file, &r));
    nfs3_put_handle(writer, &file);
    nfs3_put_attr(writer, &attr);
    writer_be32(writer, 1);
    writer_be32(writer, (uint32_t)r.attr.ctime.seconds);
    writer_be32(writer, r.attr.ctime.nanoseconds);
}

static const struct row {
    uint32_t procedure;
    void (*put)(struct writer *writer);
    uint32_t again; /* what a second execution would say */
} rows[] = {
    {NFS3C_SETATTR, put_setattr, NFS3ERR_NOT_SYNC}, {NFS3C_CREATE, put_create, NFS3ERR_EXIST},
    {NFS3C_MKDIR, put_mkdir, NFS3ERR_EXIST},        {NFS3C_SYMLINK, put_symlink, NFS3ERR_EXIST},
    {NFS3C_MKNOD, put_mknod, NFS3ERR_EXIST},        {NFS3C_REMOVE, put_remove, NFS3ERR_NOENT},
    {NFS3C_RMDIR, put_rmdir, NFS3ERR_NOENT},        {NFS3C_RENAME, put_rename, NFS3ERR_NOENT},
    {NFS3C_LINK, put_link, NFS3ERR_EXIST},
};

static struct rpcclient *connect_again(void)
{
    struct rpcclient *client = nfsworld_client(world, 0, 0);

    rpcclient_program(client, 100003, 3);
    return client;
}

/* Sends ROW's call and cuts the connection after TURNS of the loop; then again, over a new one. */
static void retry(const struct row *row, int turns)
{
    struct rpcclient *client = connect_again();
    struct nfs_counters before, after;
    uint32_t xid = client->next_xid++, got;
    struct writer writer;
    struct reader results;
    struct nfs3_result r;

    prepare();
    writer_init_growing(&writer, 4096);
    row->put(&writer);
    nfs_server_counters(world->nfs, &before);
    assert_true(rpcclient_send_as(client, xid, row->procedure, &writer));
    nfsworld_turn(world, turns);
    rpcclient_close(&client);
    nfsworld_turn(world, turns);
    client = connect_again();
    assert_true(rpcclient_send_as(client, xid, row->procedure, &writer));
    assert_int_equal(rpcclient_receive(client, &got, &results), RPCCLIENT_SUCCESS);
    assert_int_equal(got, xid);
    assert_true(nfs3_decode(results, row->procedure, &r));
    assert_int_equal(r.status, NFS3_OK);
    nfs_server_counters(world->nfs, &after);
    assert_int_equal(after.nfs3_calls[row->procedure] - before.nfs3_calls[row->procedure], 1);
    /* With another xid it is another call. */
    assert_true(rpcclient_send_as(client, xid + 1, row->procedure, &writer));
    assert_int_equal(rpcclient_receive(client, &got, &results), RPCCLIENT_SUCCESS);
    assert_true(nfs3_decode(results, row->procedure, &r));
    assert_int_equal(r.status, row->again);
    writer_free(&writer);
    rpcclient_close(&client);
}

static void executed_once(void **state)
{
    static const int turns[] = {0, 1, 2, 3, 5, 10, 50, 500};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (size_t j = 0; j < sizeof turns / sizeof turns[0]; j++)
            retry(&rows[i], turns[j]);
    }
}

/* A failure is kept as well: REMOVE of what was not there stays NOENT when somebody makes it meanwhile. */
static void failures_are_kept(void **state)
{
    struct rpcclient *client = connect_again();
    uint32_t xid = client->next_xid++, got;
    struct writer writer;
    struct reader results;
    struct nfs3_result r;

    (void)state;
    prepare();
    writer_init_growing(&writer, 4096);
    put_name(&writer, "later");
    for (int i = 0; i < 2; i++) {
        assert_true(rpcclient_send_as(client, xid, NFS3C_REMOVE, &writer));
        assert_int_equal(rpcclient_receive(client, &got, &results), RPCCLIENT_SUCCESS);
        assert_true(nfs3_decode(results, NFS3C_REMOVE, &r));
        assert_int_equal(r.status, NFS3ERR_NOENT);
        if (i == 0)
            works(nfs3_create(root, &dir, "later", 1, NULL, 0, &r));
    }
    works(nfs3_lookup(root, &dir, "later", &r));
    writer_free(&writer);
    rpcclient_close(&client);
}

/* Connections that go while calls of all kinds are under way leave nothing behind. */
static void cut_with_calls_in_flight(void **state)
{
    static const uint8_t data[65536];
    struct nfs_counters counters;

    (void)state;
    prepare();
    for (int round = 0; round < 20; round++) {
        struct rpcclient *client = connect_again();
        struct writer write, create;
        char name[32];
        for (int i = 0; i < 10; i++) {
            writer_init_growing(&write, 128 * 1024);
            nfs3_put_handle(&write, &file);
            writer_be64(&write, (uint64_t)i * sizeof data);
            writer_be32(&write, sizeof data);
            writer_be32(&write, (uint32_t)i % 3);
            writer_xdr_opaque(&write, data, sizeof data);
            assert_int_not_equal(rpcclient_send(client, NFS3C_WRITE, &write), 0);
            writer_free(&write);
            writer_init_growing(&create, 4096);
            snprintf(name, sizeof name, "r%d-%d", round, i);
            put_name(&create, name);
            writer_be32(&create, 0);
            nfs3_put_attr(&create, NULL);
            assert_int_not_equal(rpcclient_send(client, NFS3C_CREATE, &create), 0);
            writer_free(&create);
        }
        nfsworld_turn(world, round);
        rpcclient_close(&client);
        nfsworld_turn(world, 3);
    }
    for (int i = 0; i < 10000; i++) {
        nfs_server_counters(world->nfs, &counters);
        if (counters.nfs3_calls_now == 0)
            break;
        loop_run_once(world->loop, true);
    }
    assert_int_equal(counters.nfs3_calls_now, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(executed_once),
        cmocka_unit_test(failures_are_kept),
        cmocka_unit_test(cut_with_calls_in_flight),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
