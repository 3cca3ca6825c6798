/*
 * test_nfs4_sequence.c - SEQUENCE: slots and their reply cache, connections, limits of the session (RFC
 * 8881 18.46, 2.10.6).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nfs4client.h"
#include "nfsworld.h"

#include <string.h>

static struct nfsworld *world;
static struct nfs4c c;

static int set_up(void **state)
{
    struct vfs_export_config export = nfsworld_export("a");

    (void)state;
    world = nfsworld_open(&export, 1, NULL);
    nfs4_open(&c, world, 1, 0, "client");
    nfs4_introduce(&c);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    nfs4_close_client(&c);
    nfsworld_close(&world);
    return 0;
}

static uint32_t sequence(const uint8_t *id, uint32_t seqid, uint32_t slot, uint32_t highest)
{
    wire4_begin_bare(&c.wire);
    wire4_sequence(&c.wire, id, seqid, slot, highest, true);
    wire4_post(&c.wire);
    return nfs4_call_again(&c, true);
}

static void test_where_it_stands(void **state)
{
    uint8_t unknown[16] = "no such session";

    (void)state;
    assert_int_equal(sequence(unknown, 1, 0, 0), NFS4ERR_BADSESSION);
    wire4_begin_bare(&c.wire);
    wire4_putrootfh(&c.wire);
    assert_int_equal(nfs4_call(&c), NFS4ERR_OP_NOT_IN_SESSION);
    wire4_begin(&c.wire);
    wire4_sequence(&c.wire, c.wire.session.id, c.wire.session.seqid[0], 0, 0, true);
    assert_int_equal(nfs4_call(&c), NFS4ERR_SEQUENCE_POS);
    wire4_begin(&c.wire);
    wire4_op(&c.wire, 77);
    assert_int_equal(nfs4_call(&c), NFS4ERR_OP_ILLEGAL);
    nfs4_skip_sequence(&c);
    nfs4_result(&c, OP_ILLEGAL, NFS4ERR_OP_ILLEGAL);
}

static void test_slots(void **state)
{
    uint32_t last = c.wire.session.slots - 1;

    (void)state;
    /* The figures of the result. */
    wire4_begin(&c.wire);
    assert_int_equal(nfs4_call(&c), NFS4_OK);
    nfs4_skip_sequence(&c);
    assert_int_equal(c.wire.session.highest_slot, last);
    assert_int_equal(c.wire.session.target_slot, last);
    assert_int_equal(c.wire.session.status_flags, 0);
    /* Each slot counts for itself, from 1. */
    c.wire.slot = last;
    wire4_begin(&c.wire);
    assert_int_equal(nfs4_call(&c), NFS4_OK);
    assert_int_equal(sequence(c.wire.session.id, 1, last + 1, last + 1), NFS4ERR_BADSLOT);
    assert_int_equal(sequence(c.wire.session.id, 1, UINT32_MAX, UINT32_MAX), NFS4ERR_BADSLOT);
    assert_int_equal(sequence(c.wire.session.id, 2, last, last - 1), NFS4ERR_BAD_HIGH_SLOT);
    assert_int_equal(sequence(c.wire.session.id, 3, last, last), NFS4ERR_SEQ_MISORDERED);
    assert_int_equal(sequence(c.wire.session.id, 0, last, last), NFS4ERR_SEQ_MISORDERED);
    /* None of these has moved it. */
    wire4_begin(&c.wire);
    assert_int_equal(nfs4_call(&c), NFS4_OK);
    c.wire.slot = 0;
}

/* The bytes of the last answer. */
static size_t keep(uint8_t bytes[2048])
{
    assert_true(c.wire.reply.left <= 2048);
    memcpy(bytes, c.wire.reply.at, c.wire.reply.left);
    return c.wire.reply.left;
}

static void test_retry(void **state)
{
    struct wire4_handle top = wire4_walk(&c.wire, "a");
    struct nfs4_open_args args = {
        .access = 3, .owner = "o", .create = NFS4C_GUARDED, .mode = 0644, .name = "once"};
    uint8_t first[2048];
    size_t length;

    (void)state;
    /* Done once, answered as often as wanted, byte for byte, over any connection. */
    wire4_begin(&c.wire);
    wire4_putfh(&c.wire, &top);
    nfs4_open_op(&c, &args);
    assert_int_equal(nfs4_call(&c), NFS4_OK);
    length = keep(first);
    for (int i = 0; i < 3; i++) {
        nfs4_reconnect(&c);
        assert_int_equal(nfs4_call_again(&c, i == 0), NFS4_OK);
        assert_int_equal(c.wire.reply.left, length);
        assert_memory_equal(c.wire.reply.at, first, length);
    }
    /* Errors, too: the name is there now. */
    wire4_begin(&c.wire);
    wire4_putfh(&c.wire, &top);
    nfs4_open_op(&c, &args);
    assert_int_equal(nfs4_call(&c), NFS4ERR_EXIST);
    wire4_begin(&c.wire);
    wire4_putfh(&c.wire, &top);
    wire4_remove(&c.wire, "once");
    assert_int_equal(nfs4_call(&c), NFS4_OK);
    assert_int_equal(nfs4_call_again(&c, false), NFS4_OK);
}

static void test_retry_not_cached(void **state)
{
    struct wire4_handle top = wire4_walk(&c.wire, "a");

    (void)state;
    c.wire.cache_this = false;
    wire4_begin(&c.wire);
    wire4_putfh(&c.wire, &top);
    wire4_getfh(&c.wire);
    assert_int_equal(nfs4_call(&c), NFS4_OK);
    assert_int_equal(nfs4_call_again(&c, false), NFS4ERR_RETRY_UNCACHED_REP);
    wire4_begin(&c.wire);
    assert_int_equal(nfs4_call(&c), NFS4_OK);
    assert_int_equal(nfs4_call_again(&c, false), NFS4_OK); /* SEQUENCE alone is always kept */
    c.wire.cache_this = true;
}

/* The same seqid with another request: another operation, name, order, number, user. */
static void test_false_retry(void **state)
{
    struct wire4_handle top = wire4_walk(&c.wire, "a");
    struct nfs4c other;

    (void)state;
    wire4_begin(&c.wire);
    wire4_putfh(&c.wire, &top);
    wire4_lookup(&c.wire, "one");
    assert_int_equal(nfs4_call(&c), NFS4ERR_NOENT);
    c.wire.session.seqid[0]--;
    wire4_begin(&c.wire);
    wire4_putfh(&c.wire, &top);
    wire4_lookup(&c.wire, "two");
    wire4_post(&c.wire);
    assert_int_equal(nfs4_call_again(&c, true), NFS4ERR_SEQ_FALSE_RETRY);
    wire4_begin(&c.wire);
    wire4_putfh(&c.wire, &top);
    wire4_remove(&c.wire, "one");
    wire4_post(&c.wire);
    assert_int_equal(nfs4_call_again(&c, true), NFS4ERR_SEQ_FALSE_RETRY);
    wire4_begin(&c.wire);
    wire4_putfh(&c.wire, &top);
    wire4_post(&c.wire);
    assert_int_equal(nfs4_call_again(&c, true), NFS4ERR_SEQ_FALSE_RETRY);
    nfs4_open(&other, world, 1, 1000, "other");
    other.wire.has_session = true;
    other.wire.session = c.wire.session;
    wire4_begin(&other.wire);
    wire4_putfh(&other.wire, &top);
    wire4_lookup(&other.wire, "one");
    assert_int_equal(nfs4_call(&other), NFS4ERR_SEQ_FALSE_RETRY);
    nfs4_close_client(&other);
    /* And the real one again. */
    wire4_begin(&c.wire);
    wire4_putfh(&c.wire, &top);
    wire4_lookup(&c.wire, "one");
    assert_int_equal(nfs4_call(&c), NFS4ERR_NOENT);
}

static void small_session(struct wire4_channel fore)
{
    struct wire4_create_session_args args = nfs4_usual_session(&c);

    args.fore = fore;
    wire4_begin_bare(&c.wire);
    wire4_create_session(&c.wire, &args);
    assert_int_equal(nfs4_call(&c), NFS4_OK);
    nfs4_result(&c, OP_CREATE_SESSION, NFS4_OK);
    c.wire.session = wire4_session_of(&c.result);
    c.create_sequence++;
}

static void test_limits(void **state)
{
    struct wire4_handle top = wire4_walk(&c.wire, "a");
    char name[256];

    (void)state;
    memset(name, 'n', 255);
    name[255] = '\0';
    small_session((struct wire4_channel){0, 512, 512, 512, 4, 4});
    wire4_begin(&c.wire);
    wire4_putrootfh(&c.wire);
    wire4_getfh(&c.wire);
    wire4_savefh(&c.wire);
    assert_int_equal(nfs4_call(&c), NFS4_OK);
    wire4_begin(&c.wire);
    for (int i = 0; i < 4; i++)
        wire4_putrootfh(&c.wire);
    assert_int_equal(nfs4_call(&c), NFS4ERR_TOO_MANY_OPS);
    wire4_begin(&c.wire);
    wire4_putfh(&c.wire, &top);
    wire4_lookup(&c.wire, name);
    wire4_lookup(&c.wire, name);
    assert_int_equal(nfs4_call(&c), NFS4ERR_REQ_TOO_BIG);
    /* Neither used the slot. */
    wire4_begin(&c.wire);
    assert_int_equal(nfs4_call(&c), NFS4_OK);
    /* A reply that may not be as long as it could get: with and without the cache. */
    small_session((struct wire4_channel){0, 8192, 400, 200, 16, 4});
    for (int cached = 0; cached <= 1; cached++) {
        c.wire.cache_this = cached != 0;
        wire4_begin(&c.wire);
        for (int i = 0; i < 8; i++) {
            wire4_putrootfh(&c.wire);
            wire4_getfh(&c.wire);
        }
        c.wire.put = c.wire.put > 16 ? 16 : c.wire.put;
        c.wire.request.length = c.wire.count_at + 4 + 4 + 16 + 4 + 4 + 4 + 4 + 15 * 4;
        assert_int_equal(nfs4_call(&c), cached ? NFS4ERR_REP_TOO_BIG_TO_CACHE : NFS4ERR_REP_TOO_BIG);
        assert_true(c.wire.reply.left <= (cached ? 200 : 400));
    }
    /* Not even SEQUENCE's own reply can be kept: the slot is not used then. */
    small_session((struct wire4_channel){0, 8192, 8192, 10, 16, 4});
    wire4_begin(&c.wire);
    assert_int_equal(nfs4_call(&c), NFS4ERR_REP_TOO_BIG_TO_CACHE);
    c.wire.cache_this = false;
    wire4_begin(&c.wire);
    assert_int_equal(nfs4_call(&c), NFS4_OK);
    c.wire.cache_this = true;
}

static void test_connections(void **state)
{
    uint32_t direction;
    bool rdma;

    (void)state;
    /* Any connection may carry the session (SP4_NONE). */
    nfs4_reconnect(&c);
    wire4_begin(&c.wire);
    assert_int_equal(nfs4_call(&c), NFS4_OK);
    for (uint32_t wanted = 0; wanted <= 8; wanted++) {
        bool known = wanted == 1 || wanted == 2 || wanted == 3 || wanted == 7;

        wire4_begin_bare(&c.wire);
        wire4_bind_conn(&c.wire, c.wire.session.id, wanted);
        assert_int_equal(nfs4_call(&c), known ? NFS4_OK : NFS4ERR_INVAL);
        if (!known)
            continue;
        nfs4_result(&c, OP_BIND_CONN_TO_SESSION, NFS4_OK);
        assert_true(reader_skip(&c.results, 16) && reader_be32(&c.results, &direction) &&
                    reader_xdr_bool(&c.results, &rdma));
        assert_int_equal(direction, wanted == 7 ? 3 : wanted);
        assert_false(rdma);
    }
    /* The back channel goes with its connection, and the client hears of it. */
    wire4_begin(&c.wire);
    nfs4_call(&c);
    nfs4_skip_sequence(&c);
    assert_int_equal(c.wire.session.status_flags, 0);
    nfs4_reconnect(&c);
    nfsworld_turn(world, 20);
    wire4_begin(&c.wire);
    nfs4_call(&c);
    nfs4_skip_sequence(&c);
    assert_int_equal(c.wire.session.status_flags, 0x201);
    wire4_begin_bare(&c.wire);
    wire4_bind_conn(&c.wire, c.wire.session.id, 3);
    wire4_putrootfh(&c.wire);
    assert_int_equal(nfs4_call(&c), NFS4ERR_NOT_ONLY_OP);
}

/* The bits of 4.0 that are not those of 4.1, and the other way round. */
static void test_minor_versions(void **state)
{
    static const uint32_t old[] = {OP_OPEN_CONFIRM, OP_RENEW, OP_SETCLIENTID, OP_SETCLIENTID_CONFIRM,
                                   OP_RELEASE_LOCKOWNER};

    (void)state;
    for (size_t i = 0; i < sizeof old / sizeof *old; i++) {
        wire4_begin(&c.wire);
        wire4_op(&c.wire, old[i]);
        assert_int_equal(nfs4_call(&c), NFS4ERR_NOTSUPP);
    }
    c.wire.minor = 0;
    wire4_begin(&c.wire);
    assert_int_equal(nfs4_call(&c), NFS4ERR_OP_ILLEGAL);
    c.wire.minor = 3;
    wire4_begin(&c.wire);
    assert_int_equal(nfs4_call(&c), NFS4ERR_MINOR_VERS_MISMATCH);
    assert_int_equal(c.wire.count, 0);
    c.wire.minor = 2;
    wire4_begin(&c.wire);
    assert_int_equal(nfs4_call(&c), NFS4_OK);
    c.wire.minor = 1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_where_it_stands, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_slots, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_retry, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_retry_not_cached, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_false_retry, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_limits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_connections, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_minor_versions, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
