/*
 * test_nfs4_delegations.c - who is given a delegation, which, and what it is good for; WANT_DELEGATION,
 * GET_DIR_DELEGATION, reclaims (RFC 7530 10.4, 16.16, 16.8; RFC 8881 18.16, 18.39, 18.49, 10.2-10.4).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "delegation_fixture.h"

#include <stdlib.h>

enum { WANT_READ = 0x100, WANT_WRITE = 0x200, WANT_ANY = 0x300, WANT_NO = 0x400, WANT_CANCEL = 0x500 };
enum { CONTENTION = 1, RESOURCE = 2, NO_UPGRADE = 5, CANCELLED = 7, IS_DIR = 8 };

/* The kind follows from what it is opened for; readers share. */
static void test_kinds(void **state)
{
    (void)state;
    for (uint32_t minor = 0; minor <= 2; minor++) {
        struct nfs4_opened one, two;

        begin(minor);
        one = must_open(&clients[0], "file", ACCESS_READ);
        two = must_open(&clients[1], "file", ACCESS_READ);
        assert_int_equal(one.delegation, READ_DELEGATION);
        assert_int_equal(two.delegation, READ_DELEGATION);
        assert_int_equal(grants(), 2);
        /* Not a second one for the same client. */
        must_open(&clients[0], "file", ACCESS_READ);
        assert_int_equal(grants(), 2);
        must_return(&clients[0], &one);
        assert_int_equal(nfs4_try_delegreturn(&clients[0], &file, &one.delegation_id), NFS4ERR_BAD_STATEID);
        must_return(&clients[1], &two);
        one = must_open(&clients[0], "new", ACCESS_WRITE);
        assert_int_equal(one.delegation, WRITE_DELEGATION);
        two = must_open(&clients[0], "newer", ACCESS_BOTH);
        assert_int_equal(two.delegation, WRITE_DELEGATION);
        /* Of another file. */
        assert_int_equal(nfs4_try_delegreturn(&clients[0], &two.file, &one.delegation_id),
                         NFS4ERR_BAD_STATEID);
        assert_int_equal(clients[0].called + clients[1].called, 0);
        end();
    }
}

/* An open of 4.0 that is not confirmed yet comes without one (RFC 7530 16.16.5). */
static void test_unconfirmed(void **state)
{
    struct nfs4_open_args args = {.access = ACCESS_READ, .owner = "new", .name = "file"};
    struct nfs4_opened opened;

    (void)state;
    begin(0);
    assert_int_equal(nfs4_try_open(&clients[0], &top, &args, &opened), NFS4_OK);
    assert_int_equal(opened.flags & 2, 2);
    assert_int_equal(opened.delegation, NONE);
    end();
}

/* Another client that has it open for writing is in the way of any; one that reads, of a write delegation. */
static void test_open_by_others(void **state)
{
    (void)state;
    for (uint32_t minor = 0; minor <= 1; minor++) {
        struct nfs4_opened opened;

        begin(minor);
        opened = must_open(&clients[1], "file", ACCESS_WRITE);
        must_return(&clients[1], &opened);
        assert_int_equal(must_open(&clients[0], "file", ACCESS_READ).delegation, NONE);
        assert_int_equal(must_open(&clients[0], "file", ACCESS_WRITE).delegation, NONE);
        must_close(&clients[1], &opened);
        opened = must_open(&clients[1], "file", ACCESS_READ);
        assert_int_equal(opened.delegation, NONE); /* the first one writes */
        end();
    }
}

/* 4.1: wishes, and the reasons why they are not met. */
static void test_wishes(void **state)
{
    struct nfs4_opened opened;

    (void)state;
    begin(1);
    opened = must_open(&clients[0], "file", ACCESS_READ | WANT_NO);
    assert_int_equal(opened.delegation, NONE_EXT);
    assert_int_equal(opened.why, 0);
    opened = must_open(&clients[0], "file", ACCESS_READ | WANT_CANCEL);
    assert_int_equal(opened.why, CANCELLED);
    opened = must_open(&clients[0], "file", ACCESS_BOTH | WANT_READ);
    assert_int_equal(opened.delegation, READ_DELEGATION);
    opened = must_open(&clients[0], "file", ACCESS_BOTH | WANT_WRITE);
    assert_int_equal(opened.delegation, NONE_EXT);
    assert_int_equal(opened.why, NO_UPGRADE);
    opened = must_open(&clients[1], "other", ACCESS_BOTH | WANT_NO);
    opened = must_open(&clients[0], "other", ACCESS_READ | WANT_ANY);
    assert_int_equal(opened.delegation, NONE_EXT);
    assert_int_equal(opened.why, CONTENTION);
    /* Nobody can call it. */
    nfs4_close_client(&clients[1]);
    nfs4_open(&clients[1], world, 1, 0, "deaf");
    nfs4_introduce(&clients[1]);
    opened = must_open(&clients[1], "third", ACCESS_READ | WANT_READ);
    assert_int_equal(opened.delegation, NONE_EXT);
    assert_int_equal(opened.why, RESOURCE);
    assert_int_equal(must_open(&clients[1], "third", ACCESS_READ).delegation, NONE);
    end();
}

/* The configuration says no. */
static void test_off(void **state)
{
    struct nfsworld_options options = {.nfs4 = {.delegations = false}};

    (void)state;
    begin_with(1, &options);
    assert_int_equal(must_open(&clients[0], "file", ACCESS_READ).delegation, NONE);
    assert_int_equal(grants(), 0);
    end();
}

/* I/O by the delegation's stateid, by its holder and by others. */
static void test_use(void **state)
{
    (void)state;
    for (uint32_t minor = 0; minor <= 1; minor++) {
        struct nfs4_opened opened;
        uint64_t size;

        begin(minor);
        opened = must_open(&clients[0], "file", ACCESS_READ);
        assert_int_equal(nfs4_try_read(&clients[0], &file, &opened.delegation_id), NFS4_OK);
        assert_int_equal(nfs4_try_write(&clients[0], &file, &opened.delegation_id), NFS4ERR_OPENMODE);
        must_close(&clients[0], &opened);
        assert_int_equal(nfs4_try_read(&clients[0], &file, &opened.delegation_id), NFS4_OK);
        if (minor > 0)
            assert_int_equal(nfs4_try_read(&clients[1], &file, &opened.delegation_id), NFS4ERR_BAD_STATEID);
        must_return(&clients[0], &opened);
        assert_int_equal(nfs4_try_read(&clients[0], &file, &opened.delegation_id), NFS4ERR_BAD_STATEID);
        opened = must_open(&clients[0], "file", ACCESS_BOTH);
        must_close(&clients[0], &opened);
        assert_int_equal(nfs4_try_write(&clients[0], &file, &opened.delegation_id), NFS4_OK);
        wire4_begin(&clients[0].wire);
        wire4_putfh(&clients[0].wire, &file);
        nfs4_truncate(&clients[0], &opened.delegation_id, 2);
        assert_int_equal(nfs4_call(&clients[0]), NFS4_OK);
        /* Its own attributes cost the holder no call. */
        assert_int_equal(nfs4_try_getattr(&clients[0], &file, NULL, &size), NFS4_OK);
        assert_int_equal(size, 2);
        assert_int_equal(clients[0].called, 0);
        if (minor > 0) {
            wire4_begin(&clients[0].wire);
            wire4_free_stateid(&clients[0].wire, &opened.delegation_id);
            assert_int_equal(nfs4_call(&clients[0]), NFS4ERR_LOCKS_HELD);
        }
        end();
    }
}

/* What the holder does itself is not in its way. */
static void test_self(void **state)
{
    (void)state;
    for (uint32_t minor = 0; minor <= 1; minor++) {
        struct nfs4_opened opened, again;

        begin(minor);
        opened = must_open(&clients[0], "file", ACCESS_READ);
        again = must_open(&clients[0], "file", ACCESS_WRITE);
        assert_int_equal(nfs4_try_write(&clients[0], &file, &again.stateid), NFS4_OK);
        hear(&clients[0]);
        assert_int_equal(clients[0].called, 0);
        must_return(&clients[0], &opened);
        end();
    }
}

/* Opens that were made under a delegation become the server's (RFC 8881 10.4.2). */
static void test_claim_current(void **state)
{
    (void)state;
    for (uint32_t minor = 0; minor <= 1; minor++) {
        struct nfs4_opened opened, claimed;
        struct nfs4_open_args args = {.owner = "local", .access = ACCESS_READ, .name = "file", .claim = 2};

        begin(minor);
        opened = must_open(&clients[0], "file", ACCESS_READ);
        args.stateid = opened.delegation_id;
        claimed = nfs4_must_open(&clients[0], &top, &args);
        assert_int_equal(claimed.delegation, NONE);
        assert_int_equal(nfs4_try_read(&clients[0], &file, &claimed.stateid), NFS4_OK);
        if (minor > 0) {
            args.claim = 5;
            args.owner = "local too";
            claimed = nfs4_must_open(&clients[0], &file, &args);
            assert_int_equal(nfs4_try_read(&clients[0], &file, &claimed.stateid), NFS4_OK);
            args.stateid = opened.stateid; /* an open's is none */
            assert_int_equal(nfs4_try_open(&clients[0], &file, &args, &claimed), NFS4ERR_BAD_STATEID);
            args.stateid = opened.delegation_id;
            assert_int_equal(nfs4_try_open(&clients[1], &file, &args, &claimed), NFS4ERR_BAD_STATEID);
            args.claim = 6;
            assert_int_equal(nfs4_try_open(&clients[0], &file, &args, &claimed), NFS4ERR_NOTSUPP);
        }
        args.claim = 3;
        assert_int_equal(nfs4_try_open(&clients[0], &top, &args, &claimed), NFS4ERR_NOTSUPP);
        end();
    }
}

static void again(struct nfs4c *c)
{
    nfs4_reconnect(c);
    c->called_with[0] = 0;
    c->reclaims = true;
    nfs4_introduce(c);
    if (c->wire.minor == 0)
        turn_until(was_tested, c);
}

static void restart(void)
{
    for (int i = 0; i < CLIENTS; i++) {
        nfs4_stop_listening(&clients[i]);
        rpcclient_close(&clients[i].wire.rpc);
    }
    nfsworld_restart(world);
    for (int i = 0; i < CLIENTS; i++)
        if (clients[i].wire.minor == 0)
            nfs4_listen(&clients[i]);
}

/* After a restart (RFC 8881 10.2.1): what the client had it gets back, in grace; others get none. */
static void test_reclaim(void **state)
{
    (void)state;
    for (uint32_t minor = 0; minor <= 1; minor++) {
        struct nfs4_open_args args = {.owner = "o", .access = ACCESS_BOTH, .claim = 1, .delegated = 2};
        struct nfs4_opened opened, other;

        begin(minor);
        opened = must_open(&clients[0], "file", ACCESS_BOTH);
        assert_int_equal(opened.delegation, WRITE_DELEGATION);
        restart();
        again(&clients[0]);
        again(&clients[1]);
        opened = nfs4_must_open(&clients[0], &file, &args);
        assert_int_equal(opened.delegation, WRITE_DELEGATION);
        assert_false(opened.recall);
        assert_int_equal(nfs4_try_write(&clients[0], &file, &opened.delegation_id), NFS4_OK);
        /* Its second owner hears of the same one. */
        args.owner = "o2";
        args.seqid = 0;
        other = nfs4_must_open(&clients[0], &file, &args);
        assert_memory_equal(other.delegation_id.other, opened.delegation_id.other, 12);
        args.delegated = 1;
        args.owner = "o3";
        args.seqid = 0;
        assert_int_equal(nfs4_try_open(&clients[0], &file, &args, &other), NFS4ERR_RECLAIM_CONFLICT);
        args.delegated = 7;
        args.seqid = minor == 0 ? 1 : 0;
        assert_int_equal(nfs4_try_open(&clients[0], &file, &args, &other), NFS4ERR_INVAL);
        /* Who had nothing gets nothing. */
        args.delegated = 2;
        args.seqid = 0;
        assert_int_equal(nfs4_try_open(&clients[1], &file, &args, &other), NFS4ERR_RECLAIM_BAD);
        end();
    }
}

/* ---- WANT_DELEGATION ---- */

/* The result's type; *ID_R its stateid or *WHY_R the reason. 1000 and more: the status. */
static uint32_t want(struct nfs4c *c, const struct wire4_handle *handle, uint32_t bits, uint32_t claim,
                     struct nfs4_opened *opened_r)
{
    uint32_t status;

    wire4_begin(&c->wire);
    wire4_putfh(&c->wire, handle);
    wire4_op(&c->wire, OP_WANT_DELEGATION);
    writer_be32(&c->wire.request, bits);
    writer_be32(&c->wire.request, claim);
    if (claim == 1)
        writer_be32(&c->wire.request, READ_DELEGATION);
    nfs4_call(c);
    nfs4_skip_sequence(c);
    nfs4_result(c, OP_PUTFH, NFS4_OK);
    status = nfs4_result_status(c, OP_WANT_DELEGATION);
    if (status != NFS4_OK)
        return status;
    opened_r->delegation = c->result.delegation;
    opened_r->file = *handle;
    opened_r->why = c->result.why;
    opened_r->delegation_id = c->result.delegation_id;
    return NFS4_OK;
}

static void test_want(void **state)
{
    struct nfs4_opened opened, other;

    (void)state;
    begin(1);
    assert_int_equal(want(&clients[0], &file, WANT_READ, 4, &opened), NFS4_OK);
    assert_int_equal(opened.delegation, READ_DELEGATION);
    assert_int_equal(nfs4_try_read(&clients[0], &file, &opened.delegation_id), NFS4_OK);
    assert_int_equal(want(&clients[0], &file, WANT_READ, 4, &other), NFS4_OK);
    assert_int_equal(other.why, NO_UPGRADE);
    assert_int_equal(want(&clients[1], &file, WANT_WRITE, 4, &other), NFS4_OK);
    assert_int_equal(other.delegation, NONE_EXT);
    assert_int_equal(other.why, CONTENTION);
    must_return(&clients[0], &opened);
    assert_int_equal(want(&clients[1], &file, WANT_ANY, 4, &other), NFS4_OK);
    assert_int_equal(other.delegation, WRITE_DELEGATION);
    assert_int_equal(want(&clients[0], &file, WANT_CANCEL, 4, &other), NFS4_OK);
    assert_int_equal(other.why, CANCELLED);
    assert_int_equal(want(&clients[0], &top, WANT_READ, 4, &other), NFS4_OK);
    assert_int_equal(other.why, IS_DIR);
    assert_int_equal(want(&clients[0], &file, 0, 4, &other), NFS4ERR_INVAL);
    assert_int_equal(want(&clients[0], &file, WANT_NO, 4, &other), NFS4ERR_INVAL);
    assert_int_equal(want(&clients[0], &file, WANT_READ | 0x10, 4, &other), NFS4ERR_INVAL);
    assert_int_equal(want(&clients[0], &file, WANT_READ, 6, &other), NFS4ERR_NOTSUPP);
    assert_int_equal(want(&clients[0], &file, WANT_READ, 1, &other), NFS4ERR_NO_GRACE);
    assert_int_equal(want(&clients[0], &file, WANT_READ, 0, &other), NFS4ERR_BADXDR);
    end();
}

/* ---- GET_DIR_DELEGATION ---- */

static uint32_t get_dir(struct nfs4c *c, const struct wire4_handle *handle, struct nfs4_opened *opened_r)
{
    uint32_t status;

    wire4_begin(&c->wire);
    wire4_putfh(&c->wire, handle);
    wire4_op(&c->wire, OP_GET_DIR_DELEGATION);
    writer_be32(&c->wire.request, 0);
    writer_be32(&c->wire.request, 0); /* notifications: none (those: test_nfs4_dir_notify.c) */
    writer_zeros(&c->wire.request, 24);
    writer_zeros(&c->wire.request, 8);
    nfs4_call(c);
    nfs4_skip_sequence(c);
    nfs4_result(c, OP_PUTFH, NFS4_OK);
    status = nfs4_result_status(c, OP_GET_DIR_DELEGATION);
    if (status != NFS4_OK)
        return status;
    opened_r->delegation = c->result.delegation;
    opened_r->file = *handle;
    opened_r->delegation_id = c->result.delegation_id;
    for (int i = 0; i < 3; i++)
        for (int word = 0; word < 3; word++)
            assert_int_equal(c->result.notifications[i].words[word], 0);
    return NFS4_OK;
}

static uint32_t make_file(struct nfs4c *c, const char *name)
{
    struct nfs4_opened opened;

    return try_open(c, name, ACCESS_READ | WANT_NO, &opened);
}

/* Others' changes of entries recall it, the holder's own don't. */
static void test_directory(void **state)
{
    struct nfs4_opened directory, other;

    (void)state;
    begin(1);
    assert_int_equal(get_dir(&clients[0], &file, &directory), NFS4ERR_NOTDIR);
    assert_int_equal(get_dir(&clients[0], &top, &directory), NFS4_OK);
    assert_int_equal(directory.delegation, READ_DELEGATION);
    assert_int_equal(get_dir(&clients[0], &top, &other), NFS4_OK);
    assert_int_equal(other.delegation, NONE);
    assert_int_equal(get_dir(&clients[1], &top, &other), NFS4_OK);
    assert_int_equal(other.delegation, READ_DELEGATION);
    must_return(&clients[1], &other);
    assert_int_equal(make_file(&clients[0], "mine"), NFS4_OK);
    hear(&clients[0]);
    assert_int_equal(clients[0].called, 0);
    assert_int_equal(make_file(&clients[1], "yours"), NFS4ERR_DELAY);
    hear(&clients[0]);
    assert_int_equal(clients[0].called_with[4], 1);
    assert_memory_equal(clients[0].called_handle.data, top.data, top.length);
    assert_memory_equal(clients[0].called_id.other, directory.delegation_id.other, 12);
    must_return(&clients[0], &directory);
    assert_int_equal(make_file(&clients[1], "yours"), NFS4_OK);
    /* Not again at once. */
    assert_int_equal(get_dir(&clients[0], &top, &directory), NFS4_OK);
    assert_int_equal(directory.delegation, NONE);
    end();
}

/* The table fills: those who want more are asked to give some back. */
static void test_recall_any(void **state)
{
    struct nfsworld_options options = {.nfs4 = {.delegations = true}, .state = {.max_grants = 16}};
    struct nfs4_opened opened = {.delegation = NONE};
    char name[16];

    (void)state;
    begin_with(1, &options);
    for (int i = 0; i < 18; i++) {
        snprintf(name, sizeof name, "f%d", i);
        opened = must_open(&clients[0], name, ACCESS_READ | WANT_READ);
        if (i < 16)
            assert_int_equal(opened.delegation, READ_DELEGATION);
    }
    assert_int_equal(opened.delegation, NONE_EXT);
    assert_int_equal(opened.why, RESOURCE);
    assert_int_equal(grants(), 16);
    hear(&clients[0]);
    assert_int_equal(clients[0].called_with[8], 1);
    assert_int_equal(clients[0].called_keep, 7);
    assert_int_equal(clients[0].called_mask, 7);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_unconfirmed),
        cmocka_unit_test(test_open_by_others),
        cmocka_unit_test(test_wishes),
        cmocka_unit_test(test_off),
        cmocka_unit_test(test_use),
        cmocka_unit_test(test_self),
        cmocka_unit_test(test_claim_current),
        cmocka_unit_test(test_reclaim),
        cmocka_unit_test(test_want),
        cmocka_unit_test(test_directory),
        cmocka_unit_test(test_recall_any),
    };

    cmocka_set_test_filter(getenv("FILTER"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
