/*
 * test_nfs4_retry.c - exactly once: for each operation that must not run twice, the connection is cut behind
 * the request and before the reply, and the request is sent again over a new one: it is answered as if
 * nothing had happened, and was done once.
 *
 * 4.1 and 4.2 know it by the slot; 4.0 by the owner's sequence or, where there is none, by the xid in the RPC
 * layer's cache.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nfs4client.h"
#include "nfsworld.h"

#include <stdio.h>
#include <string.h>

static struct nfsworld *world;
static struct nfs4c c;
static struct wire4_handle dir;
static struct nfs4_opened held; /* "held" in DIR, with what is counted for its owners */
static struct nfs4_open_args args;
static struct wire4_stateid lock_id;
static uint32_t lock_seqid;

static int set_up(void **state)
{
    struct vfs_export_config export = nfsworld_export("a");

    (void)state;
    world = nfsworld_open(&export, 1, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    nfsworld_close(&world);
    return 0;
}

/* ---- the operations ---- */

static void put_text(const char *text)
{
    writer_xdr_opaque(&c.wire.request, text, strlen(text));
}

static void begin_create(void)
{
    wire4_op(&c.wire, OP_CREATE);
    writer_be32(&c.wire.request, NF4DIR);
    put_text("new");
    writer_be32(&c.wire.request, 0);
    writer_be32(&c.wire.request, 0);
}

static void begin_link(void)
{
    wire4_putfh(&c.wire, &held.file);
    wire4_savefh(&c.wire);
    wire4_putfh(&c.wire, &dir);
    wire4_op(&c.wire, OP_LINK);
    put_text("new");
}

static void begin_remove(void)
{
    wire4_remove(&c.wire, "held");
}

static void begin_rename(void)
{
    wire4_savefh(&c.wire);
    wire4_op(&c.wire, OP_RENAME);
    put_text("held");
    put_text("new");
}

static void begin_open(void)
{
    struct nfs4_open_args create = args;

    create.create = NFS4C_GUARDED;
    create.name = "new";
    nfs4_open_op(&c, &create);
}

static void begin_downgrade(void)
{
    wire4_putfh(&c.wire, &held.file);
    wire4_op_open_downgrade(&c.wire, &held.stateid, args.seqid, 1, 0);
}

static void begin_close(void)
{
    wire4_putfh(&c.wire, &held.file);
    wire4_op_close(&c.wire, &held.stateid, args.seqid);
}

static void begin_lock(void)
{
    struct wire4_lock_args lock = {
        .type = WIRE4_READ_LT, .offset = 100, .length = 10, .stateid = lock_id, .lock_seqid = lock_seqid};

    wire4_putfh(&c.wire, &held.file);
    wire4_op_lock(&c.wire, &lock);
}

static void begin_lock_new(void)
{
    struct wire4_lock_args lock = {.type = WIRE4_READ_LT,
                                   .offset = 100,
                                   .length = 10,
                                   .new_owner = true,
                                   .open_seqid = args.seqid,
                                   .stateid = held.stateid,
                                   .owner = "another"};

    wire4_putfh(&c.wire, &held.file);
    wire4_op_lock(&c.wire, &lock);
}

static void begin_locku(void)
{
    wire4_putfh(&c.wire, &held.file);
    wire4_op_locku(&c.wire, &lock_id, lock_seqid, 0, 5);
}

static void begin_guarded_setattr(void)
{
    /* VERIFY, then a change: the second time the guard would fail. */
    wire4_putfh(&c.wire, &held.file);
    wire4_op(&c.wire, OP_VERIFY);
    writer_be32(&c.wire.request, 1);
    writer_be32(&c.wire.request, 1u << FATTR4_SIZE);
    writer_be32(&c.wire.request, 8);
    writer_be64(&c.wire.request, 0);
    nfs4_truncate(&c, &held.stateid, 4096);
}

static void begin_setxattr(void)
{
    wire4_putfh(&c.wire, &held.file);
    wire4_op(&c.wire, OP_SETXATTR);
    writer_be32(&c.wire.request, 1); /* SETXATTR4_CREATE */
    put_text("name");
    put_text("value");
}

static void begin_free_stateid(void)
{
    wire4_putfh(&c.wire, &held.file);
    wire4_op_locku(&c.wire, &lock_id, lock_seqid, 0, UINT64_MAX);
    wire4_free_stateid(&c.wire, &wire4_current);
}

/* Each would fail, or do more, if it ran twice. */
static const struct {
    const char *name;
    void (*begin)(void);
    uint32_t first_minor, last_minor;
    bool by_xid; /* 4.0: no owner's sequence is in it */
} rows[] = {
    {"CREATE", begin_create, 0, 2, true},
    {"LINK", begin_link, 0, 2, true},
    {"REMOVE", begin_remove, 0, 2, true},
    {"RENAME", begin_rename, 0, 2, true},
    {"SETATTR", begin_guarded_setattr, 0, 2, true},
    {"SETXATTR", begin_setxattr, 2, 2, true},
    {"OPEN", begin_open, 0, 2, false},
    {"OPEN_DOWNGRADE", begin_downgrade, 0, 2, false},
    {"CLOSE", begin_close, 0, 2, false},
    {"LOCK", begin_lock, 0, 2, false},
    {"LOCK, new owner", begin_lock_new, 0, 2, false},
    {"LOCKU", begin_locku, 0, 2, false},
    {"FREE_STATEID", begin_free_stateid, 1, 2, true},
};

/* ---- the scene ---- */

static void make_directory(const char *name)
{
    struct wire4_handle top = wire4_walk(&c.wire, "a");

    wire4_begin(&c.wire);
    wire4_putfh(&c.wire, &top);
    wire4_op(&c.wire, OP_CREATE);
    writer_be32(&c.wire.request, NF4DIR);
    put_text(name);
    writer_be32(&c.wire.request, 0);
    writer_be32(&c.wire.request, 0);
    wire4_getfh(&c.wire);
    assert_int_equal(nfs4_call(&c), NFS4_OK);
    dir.length = 32;
    memcpy(dir.data, c.wire.reply.at + c.wire.reply.left - 32, 32);
}

static void prepare(uint32_t minor)
{
    static int scenes;
    struct wire4_lock_args lock = {.type = WIRE4_READ_LT, .length = 10, .new_owner = true, .owner = "locker"};
    char name[32];

    snprintf(name, sizeof name, "scene %d", scenes++);
    nfs4_open(&c, world, minor, 0, name);
    nfs4_introduce(&c);
    make_directory(name);
    args = (struct nfs4_open_args){
        .access = 1, .owner = "o", .create = NFS4C_UNCHECKED, .mode = 0644, .name = "held"};
    held = nfs4_must_open(&c, &dir, &args);
    args.access = 3;
    held = nfs4_must_open(&c, &dir, &args);
    lock.stateid = held.stateid;
    lock.open_seqid = args.seqid++;
    assert_int_equal(nfs4_try_lock(&c, &held.file, &lock, &lock_id, NULL), NFS4_OK);
    lock_seqid = 1;
}

/* How far the server gets before the cut: it may not have seen the request whole, be in the midst of it, or
 * have answered to nobody. */
static void cut_after(int turns)
{
    nfsworld_turn(world, turns);
    nfs4_reconnect(&c);
}

static void try_row(size_t row, uint32_t minor, int turns)
{
    bool same_xid = minor == 0 && rows[row].by_xid;
    uint32_t status;

    prepare(minor);
    wire4_begin(&c.wire);
    wire4_putfh(&c.wire, &dir);
    rows[row].begin();
    wire4_post(&c.wire);
    cut_after(turns);
    status = nfs4_call_again(&c, same_xid);
    /* Still under way: the client waits a little. */
    for (int i = 0; status == NFS4ERR_DELAY && i < 1000; i++) {
        nfsworld_turn(world, 1);
        status = nfs4_call_again(&c, same_xid);
    }
    if (status != NFS4_OK)
        fail_msg("%s, minor version %u, cut after %d turns: %u", rows[row].name, minor, turns, status);
    assert_int_equal(c.wire.count, c.wire.put);
    nfs4_close_client(&c);
}

static void test_cut(void **state)
{
    static const int turns[] = {0, 1, 2, 3, 5, 200};

    (void)state;
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++)
        for (uint32_t minor = rows[row].first_minor; minor <= rows[row].last_minor; minor++)
            for (size_t i = 0; i < sizeof turns / sizeof *turns; i++)
                try_row(row, minor, turns[i]);
}

/* The other way round: what is no retry is done again. */
static void test_twice_is_twice(void **state)
{
    (void)state;
    for (uint32_t minor = 0; minor <= 2; minor++) {
        prepare(minor);
        for (int i = 0; i < 2; i++) {
            wire4_begin(&c.wire);
            wire4_putfh(&c.wire, &dir);
            begin_create();
            assert_int_equal(nfs4_call(&c), i == 0 ? NFS4_OK : NFS4ERR_EXIST);
        }
        nfs4_close_client(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_twice_is_twice, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
