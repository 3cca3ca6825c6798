/*
 * test_nfs4_delegation_recall.c - how delegations end: what recalls them, over which path, what becomes of
 * holders that are slow, deaf, confused or gone (RFC 7530 10.4, 15.2, 16.28; RFC 8881 10.4, 18.46, 20.2,
 * 2.10.6.3).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "delegation_fixture.h"

#include <stdlib.h>

#include "nfs3client.h"

enum { CB_PATH_DOWN = 0x1, STATE_REVOKED = 0x40, PATH_DOWN_SESSION = 0x200, BACKCHANNEL_FAULT = 0x400 };
enum { RECALL = 4, JUKEBOX = 10008 };

static uint32_t recalls_wanted;

static bool was_recalled(void *data)
{
    return ((struct nfs4c *)data)->called_with[RECALL] >= recalls_wanted;
}

/* C hears its COUNT-th recall, and no other. */
static void hear_recall(struct nfs4c *c, uint32_t count)
{
    recalls_wanted = count;
    if (c->wire.minor == 0)
        turn_until(was_recalled, c);
    hear(c);
    assert_int_equal(c->called_with[RECALL], count);
}

/* CONFLICTS answers DELAY until the first client, which is told, has returned its delegation. */
static void check_recall(uint32_t minor, uint32_t access, uint32_t (*conflicts)(void))
{
    struct nfs4c *holder = &clients[0];
    struct nfs4_opened opened;

    begin(minor);
    opened = must_open(holder, "file", access);
    assert_int_not_equal(opened.delegation, NONE);
    must_close(holder, &opened);
    assert_int_equal(conflicts(), NFS4ERR_DELAY);
    hear_recall(holder, 1);
    assert_memory_equal(holder->called_id.other, opened.delegation_id.other, 12);
    assert_int_equal(holder->called_id.seqid, opened.delegation_id.seqid);
    assert_memory_equal(holder->called_handle.data, file.data, file.length);
    assert_int_equal(conflicts(), NFS4ERR_DELAY);
    /* It is good until it is returned. */
    assert_int_equal(nfs4_try_read(holder, &file, &opened.delegation_id), NFS4_OK);
    if (access & ACCESS_WRITE)
        assert_int_equal(nfs4_try_write(holder, &file, &opened.delegation_id), NFS4_OK);
    must_return(holder, &opened);
    assert_int_equal(conflicts(), NFS4_OK);
    hear(holder);
    assert_int_equal(holder->called_with[RECALL], 1);
    end();
}

static uint32_t open_as_other(uint32_t access)
{
    struct nfs4_opened opened;

    return try_open(&clients[1], "file", access, &opened);
}

static uint32_t opens_for_reading(void)
{
    return open_as_other(ACCESS_READ);
}

static uint32_t opens_for_writing(void)
{
    return open_as_other(ACCESS_WRITE);
}

static uint32_t reads(void)
{
    return nfs4_try_read(&clients[1], &file, &wire4_anonymous);
}

static uint32_t writes(void)
{
    return nfs4_try_write(&clients[1], &file, &wire4_anonymous);
}

static uint32_t truncates(void)
{
    wire4_begin(&clients[1].wire);
    wire4_putfh(&clients[1].wire, &file);
    nfs4_truncate(&clients[1], &wire4_anonymous, 1);
    return nfs4_call(&clients[1]);
}

static uint32_t changes_mode(void)
{
    struct nfs4c *c = &clients[1];

    wire4_begin(&c->wire);
    wire4_putfh(&c->wire, &file);
    wire4_op(&c->wire, OP_SETATTR);
    wire4_put_stateid(&c->wire, &wire4_anonymous);
    writer_be32(&c->wire.request, 2);
    writer_be32(&c->wire.request, 0);
    writer_be32(&c->wire.request, 1u << (FATTR4_MODE - 32));
    writer_be32(&c->wire.request, 4);
    writer_be32(&c->wire.request, 0600);
    return nfs4_call(c);
}

static uint32_t removes(void)
{
    wire4_begin(&clients[1].wire);
    wire4_putfh(&clients[1].wire, &top);
    wire4_remove(&clients[1].wire, "file");
    return nfs4_call(&clients[1]);
}

static uint32_t renames(void)
{
    struct nfs4c *c = &clients[1];

    wire4_begin(&c->wire);
    wire4_putfh(&c->wire, &top);
    wire4_savefh(&c->wire);
    wire4_op(&c->wire, OP_RENAME);
    writer_xdr_opaque(&c->wire.request, "file", 4);
    writer_xdr_opaque(&c->wire.request, "renamed", 7);
    return nfs4_call(c);
}

static uint32_t links(void)
{
    struct nfs4c *c = &clients[1];

    wire4_begin(&c->wire);
    wire4_putfh(&c->wire, &file);
    wire4_savefh(&c->wire);
    wire4_putfh(&c->wire, &top);
    wire4_op(&c->wire, OP_LINK);
    writer_xdr_opaque(&c->wire.request, "linked", 6);
    return nfs4_call(c);
}

static void test_conflicts(void **state)
{
    (void)state;
    for (uint32_t minor = 0; minor <= 1; minor++) {
        check_recall(minor, ACCESS_READ, opens_for_writing);
        check_recall(minor, ACCESS_BOTH, opens_for_reading);
        check_recall(minor, ACCESS_BOTH, opens_for_writing);
        check_recall(minor, ACCESS_BOTH, reads);
        check_recall(minor, ACCESS_READ, writes);
        check_recall(minor, ACCESS_READ, truncates);
        check_recall(minor, ACCESS_READ, changes_mode);
        check_recall(minor, ACCESS_READ, removes);
        check_recall(minor, ACCESS_READ, renames);
        check_recall(minor, ACCESS_READ, links);
    }
}

/* What does not disturb a reader. */
static void test_no_conflicts(void **state)
{
    (void)state;
    for (uint32_t minor = 0; minor <= 1; minor++) {
        begin(minor);
        assert_int_equal(must_open(&clients[0], "file", ACCESS_READ).delegation, READ_DELEGATION);
        assert_int_equal(opens_for_reading(), NFS4_OK);
        assert_int_equal(reads(), NFS4_OK);
        assert_int_equal(nfs4_try_getattr(&clients[1], &file, NULL, NULL), NFS4_OK);
        hear(&clients[0]);
        assert_int_equal(clients[0].called, 0);
        end();
    }
}

/* All readers go for one writer. */
static void test_several(void **state)
{
    struct nfs4_opened one, two, writer;

    (void)state;
    for (uint32_t minor = 0; minor <= 1; minor++) {
        begin(minor);
        one = must_open(&clients[0], "file", ACCESS_READ);
        two = must_open(&clients[2], "file", ACCESS_READ);
        assert_int_equal(opens_for_writing(), NFS4ERR_DELAY);
        hear_recall(&clients[0], 1);
        hear_recall(&clients[2], 1);
        must_return(&clients[0], &one);
        assert_int_equal(opens_for_writing(), NFS4ERR_DELAY);
        must_return(&clients[2], &two);
        writer = must_open(&clients[1], "file", ACCESS_WRITE);
        assert_int_equal(writer.delegation, NONE); /* it has just been recalled */
        end();
    }
}

/* With time and nobody in the way there are delegations of the file again. */
static void test_damping(void **state)
{
    struct nfs4_opened opened;

    (void)state;
    begin(1);
    opened = must_open(&clients[0], "file", ACCESS_READ);
    assert_int_equal(opens_for_writing(), NFS4ERR_DELAY);
    hear(&clients[0]);
    must_return(&clients[0], &opened);
    assert_int_equal(must_open(&clients[0], "file", ACCESS_READ).delegation, NONE);
    pass_ms(LEASE_MS, NULL);
    assert_int_equal(must_open(&clients[0], "file", ACCESS_READ).delegation, READ_DELEGATION);
    end();
}

/* Clients of other versions of the protocol. */
static void test_across(void **state)
{
    (void)state;
    for (uint32_t minor = 0; minor <= 1; minor++) {
        struct rpcclient *rpc;
        struct nfs3_handle three = {.length = 0};
        struct nfs4_opened opened;
        struct nfs3_result r;

        begin(minor);
        rpc = nfsworld_client(world, 0, 0);
        three.length = file.length;
        memcpy(three.data, file.data, file.length);
        opened = must_open(&clients[0], "file", ACCESS_BOTH);
        assert_int_equal(nfs3_getattr(rpc, &three, &r), RPCCLIENT_SUCCESS);
        assert_int_equal(r.status, JUKEBOX);
        hear_recall(&clients[0], 1);
        assert_int_equal(nfs4_try_write(&clients[0], &file, &opened.delegation_id), NFS4_OK);
        must_return(&clients[0], &opened);
        must_close(&clients[0], &opened);
        assert_int_equal(nfs3_getattr(rpc, &three, &r), RPCCLIENT_SUCCESS);
        assert_int_equal(r.status, 0);
        pass_ms(LEASE_MS, NULL);
        *seqid_of(&clients[0]) = 0; /* its owner was forgotten */
        opened = must_open(&clients[0], "file", ACCESS_READ);
        assert_int_equal(opened.delegation, READ_DELEGATION);
        assert_int_equal(nfs3_getattr(rpc, &three, &r), RPCCLIENT_SUCCESS);
        assert_int_equal(r.status, 0);
        assert_int_equal(nfs3_write(rpc, &three, 0, "x", 1, 2, &r), RPCCLIENT_SUCCESS);
        assert_int_equal(r.status, JUKEBOX);
        hear_recall(&clients[0], 2);
        rpcclient_close(&rpc);
        end();
    }
}

/* ---- who does not return it ---- */

static uint32_t flags_of(struct nfs4c *c)
{
    wire4_begin(&c->wire);
    assert_int_equal(nfs4_call(c), NFS4_OK);
    nfs4_skip_sequence(c);
    return c->wire.session.status_flags;
}

static void test_revoked(void **state)
{
    struct nfs4c *holder = &clients[0];
    struct nfs4_opened opened;
    uint32_t status = 0, count = 0;

    (void)state;
    begin(1);
    opened = must_open(holder, "file", ACCESS_READ);
    assert_int_equal(opens_for_writing(), NFS4ERR_DELAY);
    pass_ms(LEASE_MS / 2, NULL);
    assert_int_equal(holder->called_with[RECALL], 1); /* it took it: no need to say it again */
    assert_int_equal(opens_for_writing(), NFS4ERR_DELAY);
    assert_int_equal(flags_of(holder), 0);
    pass_ms(LEASE_MS / 2 + 2000, NULL);
    assert_int_equal(opens_for_writing(), NFS4_OK);
    assert_int_equal(nfs4_try_read(holder, &file, &opened.delegation_id), NFS4ERR_DELEG_REVOKED);
    assert_int_equal(nfs4_try_delegreturn(holder, &file, &opened.delegation_id), NFS4ERR_DELEG_REVOKED);
    assert_int_equal(flags_of(holder), STATE_REVOKED);
    wire4_begin(&holder->wire);
    wire4_test_stateid(&holder->wire, &opened.delegation_id, 1);
    assert_int_equal(nfs4_call(holder), NFS4_OK);
    nfs4_skip_sequence(holder);
    nfs4_result(holder, OP_TEST_STATEID, NFS4_OK);
    assert_true(reader_be32(&holder->results, &count) && reader_be32(&holder->results, &status));
    assert_int_equal(status, NFS4ERR_DELEG_REVOKED);
    wire4_begin(&holder->wire);
    wire4_free_stateid(&holder->wire, &opened.delegation_id);
    assert_int_equal(nfs4_call(holder), NFS4_OK);
    assert_int_equal(flags_of(holder), 0);
    assert_int_equal(nfs4_try_read(holder, &file, &opened.delegation_id), NFS4ERR_BAD_STATEID);
    /* Its open is not touched. */
    assert_int_equal(nfs4_try_read(holder, &file, &opened.stateid), NFS4_OK);
    end();
}

/* 4.0 has no word of its own for it, nor FREE_STATEID. */
static void test_revoked_0(void **state)
{
    struct nfs4_opened opened;

    (void)state;
    begin(0);
    opened = must_open(&clients[0], "file", ACCESS_READ);
    assert_int_equal(opens_for_writing(), NFS4ERR_DELAY);
    pass_ms(LEASE_MS + 2000, NULL);
    assert_int_equal(opens_for_writing(), NFS4_OK);
    assert_int_equal(nfs4_try_read(&clients[0], &file, &opened.delegation_id), NFS4ERR_EXPIRED);
    assert_int_equal(nfs4_try_read(&clients[0], &file, &opened.stateid), NFS4_OK);
    assert_int_equal(nfs4_try_delegreturn(&clients[0], &file, &opened.delegation_id), NFS4ERR_EXPIRED);
    end();
}

/* Who answers a recall lives: when the time to return the delegation is over it loses that, not all it has.
 */
static void test_answer_renews(void **state)
{
    struct nfs4c *holder = &clients[0];
    struct nfs4_opened opened;

    (void)state;
    begin(1);
    opened = must_open(holder, "file", ACCESS_READ);
    pass_ms(LEASE_MS / 2, holder);
    assert_int_equal(opens_for_writing(), NFS4ERR_DELAY);
    hear_recall(holder, 1);
    pass_ms(LEASE_MS + 1000, holder);
    assert_int_equal(opens_for_writing(), NFS4_OK);
    assert_int_equal(nfs4_try_read(holder, &file, &opened.delegation_id), NFS4ERR_DELEG_REVOKED);
    assert_int_equal(nfs4_try_read(holder, &file, &opened.stateid), NFS4_OK);
    end();
}

/* A client that is gone does not keep anybody waiting: its delegation is kept until somebody wants it. */
static void test_courtesy(void **state)
{
    struct nfs4_opened opened;

    (void)state;
    for (uint32_t minor = 0; minor <= 1; minor++) {
        begin(minor);
        opened = must_open(&clients[0], "file", ACCESS_READ);
        assert_int_equal(opened.delegation, READ_DELEGATION);
        pass_ms(LEASE_MS + 5000, &clients[0]);
        assert_int_equal(grants(), 1);
        assert_int_equal(opens_for_writing(), NFS4_OK);
        assert_int_equal(clients[0].called, 0);
        end();
    }
}

/* ---- the path ---- */

static uint32_t renew(struct nfs4c *c)
{
    wire4_begin(&c->wire);
    wire4_renew(&c->wire, c->wire.clientid);
    return nfs4_call(c);
}

/* 4.0: who can't be called hears so from RENEW while it has something to lose, and gets nothing more. */
static void test_path_down_0(void **state)
{
    struct nfs4c *holder = &clients[0];
    struct nfs4_opened opened, more;

    (void)state;
    begin(0);
    opened = must_open(holder, "file", ACCESS_READ);
    assert_int_equal(renew(holder), NFS4_OK);
    nfs4_stop_listening(holder);
    assert_int_equal(opens_for_writing(), NFS4ERR_DELAY);
    nfsworld_advance(world, 2000);
    assert_int_equal(renew(holder), NFS4ERR_CB_PATH_DOWN);
    more = must_open(holder, "more", ACCESS_READ);
    assert_int_equal(more.delegation, NONE);
    /* It is back: the recall comes through, and the next open gets one again. */
    nfs4_listen(holder);
    nfsworld_advance(world, 5000);
    hear_recall(holder, 1);
    assert_int_equal(renew(holder), NFS4_OK);
    must_return(holder, &opened);
    must_close(holder, &more);
    assert_int_equal(must_open(holder, "more", ACCESS_READ).delegation, READ_DELEGATION);
    end();
}

/* 4.0: an address that does not answer CB_NULL, or is not the client's own, is not called; SETCLIENTID with
 * another one changes it. */
static void test_address(void **state)
{
    struct nfs4c *c = &clients[0];
    uint16_t port;

    (void)state;
    begin(0);
    nfs4_stop_listening(c);
    c->verifier++;
    nfs4_introduce(c);
    *seqid_of(c) = 0;
    nfsworld_advance(world, 1000);
    assert_int_equal(must_open(c, "file", ACCESS_READ).delegation, NONE);
    /* The same client, called elsewhere. */
    port = c->listen_port;
    c->listen_port = 0;
    nfs4_listen(c);
    assert_int_not_equal(c->listen_port, port);
    c->callback_ident = 77;
    c->called_with[0] = 0;
    nfs4_introduce(c);
    turn_until(was_tested, c);
    nfsworld_turn(world, 10);
    assert_int_equal(must_open(c, "new", ACCESS_READ).delegation, READ_DELEGATION);
    wire4_begin(&clients[1].wire);
    wire4_putfh(&clients[1].wire, &top);
    wire4_remove(&clients[1].wire, "new");
    assert_int_equal(nfs4_call(&clients[1]), NFS4ERR_DELAY);
    hear_recall(c, 1);
    assert_int_equal(c->called_ident, 77);
    assert_int_equal(c->called_flavor, 1); /* AUTH_SYS, as who introduced it */
    assert_int_equal(c->called_uid, 0);
    end();
}

/* 4.1: a connection that was cut, one that is deaf, and slots that are out of step. */
static void test_path_down_1(void **state)
{
    struct nfs4c *holder = &clients[0];
    struct nfs4_opened opened;

    (void)state;
    begin(1);
    opened = must_open(holder, "file", ACCESS_READ);
    nfs4_reconnect(holder);
    assert_int_equal(flags_of(holder), CB_PATH_DOWN | PATH_DOWN_SESSION);
    assert_int_equal(opens_for_writing(), NFS4ERR_DELAY);
    nfsworld_advance(world, 2000);
    assert_int_equal(must_open(holder, "more", ACCESS_READ).delegation, NONE);
    wire4_begin_bare(&holder->wire);
    wire4_bind_conn(&holder->wire, holder->wire.session.id, 7);
    holder->wire.has_session = false;
    assert_int_equal(nfs4_call(holder), NFS4_OK);
    holder->wire.has_session = true;
    for (int i = 0; i < 9 && holder->called_with[RECALL] == 0; i++) {
        nfsworld_advance(world, 1000);
        hear(holder);
    }
    assert_int_equal(holder->called_with[RECALL], 1);
    assert_int_equal(flags_of(holder), 0);
    must_return(holder, &opened);
    end();

    begin(1);
    opened = must_open(holder, "file", ACCESS_READ);
    holder->deaf = true;
    assert_int_equal(opens_for_writing(), NFS4ERR_DELAY);
    hear(holder);
    assert_int_equal(flags_of(holder), 0);
    nfsworld_advance(world, LEASE_MS / 4 + 2000);
    assert_int_equal(flags_of(holder), CB_PATH_DOWN);
    assert_int_equal(must_open(holder, "more", ACCESS_READ).delegation, NONE);
    /* It hears again. */
    holder->deaf = false;
    for (int i = 0; i < 15 && flags_of(holder) != 0; i++) {
        nfsworld_advance(world, 1000);
        hear(holder);
    }
    assert_int_equal(flags_of(holder), 0);
    must_return(holder, &opened);
    end();

    begin(1);
    opened = must_open(holder, "file", ACCESS_READ);
    holder->sequence_answer = NFS4ERR_SEQ_MISORDERED;
    assert_int_equal(opens_for_writing(), NFS4ERR_DELAY);
    hear(holder);
    assert_int_equal(flags_of(holder), BACKCHANNEL_FAULT);
    must_return(holder, &opened);
    end();
}

/* ---- answers to a recall ---- */

/* Busy, or not knowing yet of what is recalled (RFC 8881 2.10.6.3): it is said again. */
static void test_said_again(void **state)
{
    static const uint32_t answers[] = {NFS4ERR_DELAY, NFS4ERR_BAD_STATEID, NFS4ERR_BADHANDLE,
                                       NFS4ERR_RESOURCE, NFS4ERR_SERVERFAULT};

    (void)state;
    for (uint32_t minor = 0; minor <= 1; minor++) {
        for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
            struct nfs4c *holder = &clients[0];
            struct nfs4_opened opened;
            uint32_t called;

            begin(minor);
            opened = must_open(holder, "file", ACCESS_READ);
            holder->answer = answers[i];
            assert_int_equal(opens_for_writing(), NFS4ERR_DELAY);
            hear(holder);
            for (int second = 0; second < 4; second++) {
                nfsworld_advance(world, 1000);
                hear(holder);
            }
            assert_true(holder->called_with[RECALL] >= 2);
            holder->answer = NFS4_OK;
            nfsworld_advance(world, 8000);
            hear(holder);
            called = holder->called_with[RECALL];
            nfsworld_advance(world, 1000);
            hear(holder);
            assert_int_equal(holder->called_with[RECALL], called);
            must_return(holder, &opened);
            assert_int_equal(opens_for_writing(), NFS4_OK);
            end();
        }
    }
}

static void test_malformed(void **state)
{
    (void)state;
    for (uint32_t minor = 0; minor <= 1; minor++) {
        for (int junk = NFS4C_CUT; junk <= NFS4C_MANY; junk++) {
            struct nfs4c *holder = &clients[0];
            struct nfs4_opened opened;

            begin(minor);
            opened = must_open(holder, "file", ACCESS_READ);
            holder->junk = (enum nfs4c_junk)junk;
            assert_int_equal(opens_for_writing(), NFS4ERR_DELAY);
            hear_recall(holder, 1);
            if (minor == 0)
                assert_int_equal(renew(holder), NFS4ERR_CB_PATH_DOWN);
            else
                assert_int_equal(flags_of(holder), CB_PATH_DOWN);
            holder->junk = NFS4C_GOOD;
            nfsworld_advance(world, 2000);
            hear_recall(holder, 2);
            must_return(holder, &opened);
            assert_int_equal(opens_for_writing(), NFS4_OK);
            end();
        }
    }
}

/* The recall says which request gave the delegation, until the slot's next one shows that its answer came. */
static void test_referring(void **state)
{
    struct nfs4c *holder = &clients[0];
    struct nfs4_opened opened;

    (void)state;
    for (int later = 0; later <= 1; later++) {
        begin(1);
        holder->wire.slot = 2;
        opened = must_open(holder, "file", ACCESS_READ);
        if (!later)
            holder->wire.slot = 1;
        hear(holder);
        assert_int_equal(opens_for_writing(), NFS4ERR_DELAY);
        hear_recall(holder, 1);
        assert_int_equal(holder->called_referring, !later);
        if (!later) {
            assert_memory_equal(holder->referring_session, holder->wire.session.id, 16);
            assert_int_equal(holder->referring_slot, 2);
            assert_int_equal(holder->referring_seqid, 1);
        }
        must_return(holder, &opened);
        end();
    }
}

/* It ends while the recall is on its way: by its return, a new life of the client, the end of the server. */
static void test_crossing(void **state)
{
    (void)state;
    for (uint32_t minor = 0; minor <= 1; minor++) {
        for (int how = 0; how < 3; how++) {
            struct nfs4c *holder = &clients[0];
            struct nfs4_opened opened;

            begin(minor);
            opened = must_open(holder, "file", ACCESS_READ);
            holder->deaf = true;
            assert_int_equal(opens_for_writing(), NFS4ERR_DELAY);
            nfsworld_turn(world, 3);
            if (how == 0)
                must_return(holder, &opened);
            holder->verifier++;
            if (how == 1)
                nfs4_introduce(holder);
            if (how < 2)
                assert_int_equal(opens_for_writing(), NFS4_OK);
            end();
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conflicts),  cmocka_unit_test(test_no_conflicts),
        cmocka_unit_test(test_several),    cmocka_unit_test(test_damping),
        cmocka_unit_test(test_across),     cmocka_unit_test(test_revoked),
        cmocka_unit_test(test_revoked_0),  cmocka_unit_test(test_answer_renews),
        cmocka_unit_test(test_courtesy),   cmocka_unit_test(test_path_down_0),
        cmocka_unit_test(test_address),    cmocka_unit_test(test_path_down_1),
        cmocka_unit_test(test_said_again), cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_referring),  cmocka_unit_test(test_crossing),
    };

    cmocka_set_test_filter(getenv("FILTER"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
