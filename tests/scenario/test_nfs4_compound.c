/*
 * test_nfs4_compound.c - whole compounds that are odd or wrong: tags, minor versions, operations that are not
 * there, bytes too few and too many, very many operations, lengths at their borders, replies that would be
 * too long (RFC 7530 15.2, RFC 8881 16.2, 2.10.6.4).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nfs4world.h"

#include <string.h>

static struct nfs4world world;
static uint32_t minor;
static struct wire4 *w;

static int set_up(void **state)
{
    (void)state;
    nfs4world_open(&world, minor, NULL);
    w = world.root;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    nfs4world_close(&world);
    return 0;
}

static bool is_alive(void)
{
    wire4_begin(w);
    wire4_putrootfh(w);
    return wire4_send(w) == NFS4_OK;
}

/* ---- the head ---- */

static void tags(void **state)
{
    char tag[2000];

    (void)state;
    for (size_t length = 0; length <= 1024; length += length < 8 ? 1 : 127) {
        memset(tag, 0x80 + (int)length % 64, length);
        tag[length] = '\0';
        w->tag = tag;
        expect4(w, NFS4_OK, wire4_putrootfh(w));
        expect4(w, NFS4ERR_NOENT, wire4_putrootfh(w), wire4_lookup(w, "absent"));
    }
    memset(tag, 'x', 1025);
    tag[1025] = '\0';
    w->tag = tag;
    wire4_begin(w);
    wire4_putrootfh(w);
    assert_int_equal(wire4_send_raw(w), RPCCLIENT_GARBAGE_ARGS);
    w->tag = NULL;
    assert_true(is_alive());
}

static void minor_versions(void **state)
{
    static const uint32_t others[] = {3, 4, 255, UINT32_MAX};

    (void)state;
    w->tag = "echoed";
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        w->minor = others[i];
        wire4_begin_bare(w);
        wire4_putrootfh(w);
        assert_int_equal(wire4_send_any(w), NFS4ERR_MINOR_VERS_MISMATCH);
        assert_int_equal(w->count, 0);
    }
    w->minor = minor;
    w->tag = NULL;
}

static void no_operations(void **state)
{
    (void)state;
    wire4_begin_bare(w);
    assert_int_equal(wire4_send_any(w), NFS4_OK);
    assert_int_equal(w->count, 0);
}

static void heads_that_are_cut(void **state)
{
    uint8_t bytes[] = {0, 0, 0, 4, 't', 'a', 'g', '!',         0, 0, 0, (uint8_t)minor,
                       0, 0, 0, 1, 0,   0,   0,   OP_PUTROOTFH};
    struct writer part;
    struct reader results;

    (void)state;
    rpcclient_program(w->rpc, 100003, 4);
    for (size_t length = 0; length < 16; length++) {
        writer_init(&part, bytes, length);
        part.length = length;
        assert_int_equal(rpcclient_call(w->rpc, 1, &part, &results), RPCCLIENT_GARBAGE_ARGS);
    }
    /* The number of the operation is missing: it can only be called an illegal one. */
    w->tag = "tag!";
    writer_init(&part, bytes, 16);
    part.length = 16;
    assert_int_equal(rpcclient_call(w->rpc, 1, &part, &results), RPCCLIENT_SUCCESS);
    assert_true(wire4_decode(w, results));
    assert_int_equal(w->status, NFS4ERR_BADXDR);
    assert_int_equal(w->last.opnum, OP_ILLEGAL);
    w->tag = NULL;
}

static void procedures(void **state)
{
    struct reader results;

    (void)state;
    rpcclient_program(w->rpc, 100003, 4);
    assert_int_equal(rpcclient_call(w->rpc, 0, NULL, &results), RPCCLIENT_SUCCESS);
    assert_int_equal(results.left, 0);
    assert_int_equal(rpcclient_call(w->rpc, 2, NULL, &results), RPCCLIENT_PROC_UNAVAIL);
    rpcclient_program(w->rpc, 100003, 5);
    assert_int_equal(rpcclient_call(w->rpc, 0, NULL, &results), RPCCLIENT_PROG_MISMATCH);
    assert_int_equal(w->rpc->high, 4);
}

/* ---- operations ---- */

/* Each number: illegal where the minor version has no such operation, NOTSUPP where we have not. */
static void numbers(void **state)
{
    static const uint32_t unsupported[] = {
        OP_DELEGPURGE,     OP_GETDEVICEINFO,  OP_GETDEVICELIST, OP_LAYOUTCOMMIT, OP_LAYOUTGET,
        OP_LAYOUTRETURN,   OP_SET_SSV,        OP_COPY_NOTIFY,   OP_LAYOUTERROR,  OP_LAYOUTSTATS,
        OP_OFFLOAD_CANCEL, OP_OFFLOAD_STATUS, OP_WRITE_SAME};
    static const uint32_t removed[] = {OP_OPEN_CONFIRM, OP_RENEW, OP_SETCLIENTID, OP_SETCLIENTID_CONFIRM,
                                       OP_RELEASE_LOCKOWNER};
    const uint32_t highest = minor == 0 ? 39 : minor == 1 ? 58 : 75;

    (void)state;
    for (uint32_t opnum = 0; opnum < 120; opnum++) {
        bool is_legal = opnum >= 3 && opnum <= highest;

        wire4_begin(w);
        wire4_op(w, opnum);
        wire4_send_any(w);
        if (!is_legal) {
            assert_int_equal(w->status, NFS4ERR_OP_ILLEGAL);
            assert_int_equal(w->last.opnum, OP_ILLEGAL);
            continue;
        }
        assert_int_not_equal(w->status, NFS4ERR_OP_ILLEGAL);
        assert_int_equal(w->last.opnum, opnum);
    }
    for (size_t i = 0; i < sizeof unsupported / sizeof *unsupported; i++) {
        if (unsupported[i] > highest)
            continue;
        wire4_begin(w);
        wire4_op(w, unsupported[i]);
        assert_int_equal(wire4_send(w), NFS4ERR_NOTSUPP);
    }
    /* RFC 8881 17: what 4.1 has replaced is not to be implemented there. */
    for (size_t i = 0; i < sizeof removed / sizeof *removed; i++) {
        wire4_begin(w);
        wire4_op(w, removed[i]);
        wire4_send(w);
        assert_int_equal(w->status == NFS4ERR_NOTSUPP, minor > 0);
    }
    for (uint32_t opnum = UINT32_MAX - 3; opnum != 0; opnum++) {
        wire4_begin(w);
        wire4_op(w, opnum);
        assert_int_equal(wire4_send_any(w), NFS4ERR_OP_ILLEGAL);
    }
    wire4_begin(w);
    wire4_op(w, OP_ILLEGAL);
    assert_int_equal(wire4_send_any(w), NFS4ERR_OP_ILLEGAL);
}

/* Outside of a session 4.1 takes only what makes one. */
static void outside_of_sessions(void **state)
{
    struct wire4 *bare = wire4_open(w->rpc, minor);

    (void)state;
    for (uint32_t opnum = 3; opnum < 76; opnum++) {
        if (opnum == OP_SEQUENCE || opnum == OP_EXCHANGE_ID || opnum == OP_CREATE_SESSION ||
            opnum == OP_DESTROY_SESSION || opnum == OP_BIND_CONN_TO_SESSION || opnum == OP_DESTROY_CLIENTID ||
            minor == 0 || (minor == 1 && opnum > 58))
            continue;
        wire4_begin_bare(bare);
        wire4_op(bare, opnum);
        assert_int_equal(wire4_send(bare), NFS4ERR_OP_NOT_IN_SESSION);
    }
    if (minor > 0) {
        wire4_begin(w);
        wire4_putrootfh(w);
        wire4_op(w, OP_SEQUENCE);
        writer_zeros(&w->request, 32);
        assert_int_equal(wire4_send(w), NFS4ERR_SEQUENCE_POS);
        wire4_begin_bare(bare);
        wire4_op(bare, OP_DESTROY_CLIENTID);
        writer_be64(&bare->request, 1);
        wire4_putrootfh(bare);
        assert_int_equal(wire4_send_any(bare), NFS4ERR_NOT_ONLY_OP);
    }
    wire4_close(&bare);
}

/* A request that works, cut after each byte: it must not be answered as if whole, and never end the server.
 */
static void arguments_that_are_cut(void **state)
{
    static const uint32_t opnums[] = {OP_PUTFH,   OP_LOOKUP, OP_GETATTR, OP_READ,   OP_WRITE, OP_READDIR,
                                      OP_SETATTR, OP_CREATE, OP_OPEN,    OP_ACCESS, OP_COMMIT};
    struct wire4_owner owner = wire4_owner("cut");
    struct wire4_fattr mode = wire4_mode(0644);

    (void)state;
    for (size_t i = 0; i < sizeof opnums / sizeof *opnums; i++) {
        size_t from, whole;

        wire4_begin(w);
        wire4_putfh(w, &world.top);
        from = w->request.length + 4;
        switch (opnums[i]) {
        case OP_PUTFH:
            wire4_putfh(w, &world.top);
            break;
        case OP_LOOKUP:
            wire4_lookup(w, "file");
            break;
        case OP_GETATTR:
            wire4_getattr(w, wire4_bits(2, FATTR4_TYPE, FATTR4_XATTR_SUPPORT));
            break;
        case OP_READ:
            wire4_read(w, OP_READ, &wire4_anonymous, 0, 1);
            break;
        case OP_WRITE:
            wire4_write(w, &wire4_anonymous, 0, 2, "12345", 5);
            break;
        case OP_READDIR:
            wire4_readdir(w, 0, 0, 100, 1000, wire4_bits(1, FATTR4_TYPE));
            break;
        case OP_SETATTR:
            wire4_setattr(w, &wire4_anonymous, &mode);
            break;
        case OP_CREATE:
            wire4_create(w, NF4LNK, "to", "cut", &mode);
            break;
        case OP_OPEN:
            wire4_open_name(w, &owner, "cut", 3, 0, WIRE4_GUARDED, &mode, 0);
            break;
        case OP_ACCESS:
            wire4_access(w, 1);
            break;
        default:
            wire4_commit(w, 0, 0);
            break;
        }
        whole = w->request.length;
        for (size_t length = from; length < whole; length++) {
            writer_patch_be32(&w->request, w->count_at, w->put);
            writer_truncate(&w->request, length);
            if (minor > 0)
                writer_patch_be32(&w->request, w->count_at + 4 + 4 + 16, w->session.seqid[w->slot]);
            assert_int_equal(wire4_send(w), NFS4ERR_BADXDR);
            assert_int_equal(w->last.opnum, opnums[i]);
            w->request.length = whole;
        }
        assert_true(is_alive());
    }
}

static void bytes_behind(void **state)
{
    (void)state;
    for (size_t extra = 4; extra <= 64; extra += 4) {
        wire4_begin(w);
        wire4_putrootfh(w);
        wire4_getfh(w);
        writer_zeros(&w->request, extra);
        assert_int_equal(wire4_send_any(w), NFS4ERR_BADXDR);
        wire4_begin(w);
        wire4_putfh(w, &world.top);
        wire4_create(w, NF4DIR, NULL, "must not be made", NULL);
        writer_zeros(&w->request, extra);
        assert_int_equal(wire4_send_any(w), NFS4ERR_BADXDR);
    }
    expect4(w, NFS4ERR_NOENT, wire4_putfh(w, &world.top), wire4_lookup(w, "must not be made"));
}

/* ---- many operations ---- */

static void many_operations(void **state)
{
    static const uint32_t counts[] = {2, 100, 200, 255};

    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        wire4_begin(w);
        while (w->put < counts[i])
            wire4_putrootfh(w);
        assert_int_equal(wire4_send(w), NFS4_OK);
    }
    /* A thousand are refused before the first is run. */
    wire4_begin(w);
    wire4_putfh(w, &world.top);
    wire4_create(w, NF4DIR, NULL, "one of many", NULL);
    while (w->put < 1000)
        wire4_putrootfh(w);
    wire4_send_any(w);
    assert_int_equal(w->status, minor == 0 ? NFS4ERR_RESOURCE : NFS4ERR_TOO_MANY_OPS);
    expect4(w, NFS4ERR_NOENT, wire4_putfh(w, &world.top), wire4_lookup(w, "one of many"));
    /* More than there are, and more than there can be. */
    wire4_begin(w);
    wire4_putrootfh(w);
    w->put = 200;
    assert_int_equal(wire4_send_any(w), NFS4ERR_BADXDR);
    wire4_begin(w);
    wire4_putrootfh(w);
    w->put = UINT32_MAX;
    wire4_send_any(w);
    assert_int_equal(w->status, minor == 0 ? NFS4ERR_RESOURCE : NFS4ERR_TOO_MANY_OPS);
    assert_true(is_alive());
}

/* The first failure ends a compound; what is behind it is not run. */
static void ends_at_failure(void **state)
{
    (void)state;
    wire4_begin(w);
    wire4_putfh(w, &world.top);
    wire4_create(w, NF4DIR, NULL, "before", NULL);
    wire4_lookup(w, "absent");
    wire4_putfh(w, &world.top);
    wire4_create(w, NF4DIR, NULL, "behind", NULL);
    assert_int_equal(wire4_send_any(w), NFS4ERR_NOENT);
    assert_int_equal(w->count, w->put - 2);
    expect4(w, NFS4_OK, wire4_putfh(w, &world.top), wire4_lookup(w, "before"));
    expect4(w, NFS4ERR_NOENT, wire4_putfh(w, &world.top), wire4_lookup(w, "behind"));
    /* A later operation that can't be decoded: those before it are done. */
    wire4_begin(w);
    wire4_putfh(w, &world.top);
    wire4_create(w, NF4DIR, NULL, "before it", NULL);
    wire4_op(w, OP_GETATTR);
    writer_be32(&w->request, 0x7fffffff);
    assert_int_equal(wire4_send(w), NFS4ERR_BADXDR);
    expect4(w, NFS4_OK, wire4_putfh(w, &world.top), wire4_lookup(w, "before it"));
}

/* ---- lengths ---- */

static const uint32_t lengths[] = {
    0,     1,          3,          4,          5,          127,        128,        129,       255,
    256,   257,        1023,       1024,       1025,       4095,       4096,       4097,      65535,
    65536, 0x7ffffffe, 0x7fffffff, 0x80000000, 0xfffffffc, 0xfffffffd, 0xfffffffe, 0xffffffff};

/* Opaque data that says it is LENGTH bytes, with 8 bytes behind: of each kind of argument. */
static void put_lying(int kind, uint32_t length)
{
    switch (kind) {
    case 0: /* a handle */
        wire4_op(w, OP_PUTFH);
        break;
    case 1: /* a name */
        wire4_op(w, OP_LOOKUP);
        break;
    case 2: /* a link's target */
        wire4_op(w, OP_CREATE);
        writer_be32(&w->request, NF4LNK);
        break;
    case 3: /* attributes */
        wire4_op(w, OP_SETATTR);
        writer_zeros(&w->request, 16 + 4);
        break;
    case 4: /* data */
        wire4_op(w, OP_WRITE);
        writer_zeros(&w->request, 16 + 8 + 4);
        break;
    case 5: /* an owner */
        wire4_op(w, OP_OPEN);
        writer_be32(&w->request, 1);
        writer_be32(&w->request, 1);
        writer_be32(&w->request, 0);
        writer_be64(&w->request, w->clientid);
        break;
    case 6: /* an owner within attributes */
        wire4_op(w, OP_SETATTR);
        writer_zeros(&w->request, 16);
        writer_be32(&w->request, 2);
        writer_be32(&w->request, 0);
        writer_be32(&w->request, 1 << (FATTR4_OWNER - 32));
        writer_be32(&w->request, 12);
        break;
    case 7: /* a bitmap */
        wire4_op(w, OP_GETATTR);
        break;
    default: /* a client's name */
        if (minor == 0) {
            wire4_op(w, OP_SETCLIENTID);
        } else {
            wire4_op(w, OP_TEST_STATEID);
        }
        writer_zeros(&w->request, minor == 0 ? 8 : 0);
        break;
    }
    writer_be32(&w->request, length);
    writer_zeros(&w->request, 8);
}

static void lengths_that_lie(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (int kind = 0; kind <= 8; kind++) {
            wire4_begin(w);
            wire4_putfh(w, &world.objects[N4_FILE]);
            put_lying(kind, lengths[i]);
            wire4_send(w);
            if (lengths[i] > 8)
                assert_int_equal(w->status, NFS4ERR_BADXDR);
        }
    assert_true(is_alive());
}

/* ---- replies ---- */

/* More than a reply may have: RESOURCE in 4.0, REP_TOO_BIG in 4.1; what was answered before stands. */
static void replies_that_are_too_long(void **state)
{
    enum { NAMES = 120 };
    char target[4001];

    (void)state;
    memset(target, 'x', sizeof target - 1);
    target[sizeof target - 1] = '\0';
    expect4(w, NFS4_OK, wire4_putfh(w, &world.top), wire4_create(w, NF4LNK, target, "long", NULL));
    wire4_begin(w);
    wire4_putfh(w, &world.top);
    wire4_lookup(w, "long");
    for (int i = 0; i < NAMES; i++)
        wire4_void(w, OP_READLINK);
    assert_int_equal(wire4_send(w), NFS4_OK);
    assert_int_equal(wire4_last(w)->length, 4000);
    assert_true(w->reply.left > NAMES * 4000);
    /* So many that the limit is met. */
    wire4_begin(w);
    wire4_putfh(w, &world.top);
    wire4_lookup(w, "long");
    while (w->put < 250)
        wire4_void(w, OP_READLINK);
    wire4_read(w, OP_READ, &wire4_anonymous, 0, 10);
    wire4_send_any(w);
    assert_true(w->reply.left <= (1 << 20) + 65536);
}

/* A session that wants short replies: the engine asks before it runs what would not fit. */
static void sessions_with_short_replies(void **state)
{
    struct wire4 *narrow;

    (void)state;
    for (uint32_t most = 200; most < 1400; most += 100) {
        narrow = wire4_open(w->rpc, minor);
        narrow->clientid = 0;
        wire4_begin_bare(narrow);
        wire4_op(narrow, OP_EXCHANGE_ID);
        writer_be64(&narrow->request, most);
        writer_xdr_opaque(&narrow->request, "narrow", 6);
        writer_zeros(&narrow->request, 12);
        assert_int_equal(wire4_send(narrow), NFS4_OK);
        narrow->clientid = narrow->last.clientid;
        wire4_begin_bare(narrow);
        wire4_op(narrow, OP_CREATE_SESSION);
        writer_be64(&narrow->request, narrow->clientid);
        writer_be32(&narrow->request, narrow->last.seqid);
        writer_be32(&narrow->request, 0);
        for (int channel = 0; channel < 2; channel++) {
            writer_be32(&narrow->request, 0);
            writer_be32(&narrow->request, 4096);
            writer_be32(&narrow->request, channel == 0 ? most : 4096);
            writer_be32(&narrow->request, most / 2);
            writer_be32(&narrow->request, 16);
            writer_be32(&narrow->request, 1);
            writer_be32(&narrow->request, 0);
        }
        writer_be32(&narrow->request, 1);
        writer_be32(&narrow->request, 1);
        writer_be32(&narrow->request, 0);
        assert_int_equal(wire4_send(narrow), NFS4_OK);
        narrow->session = wire4_session_of(&narrow->last);
        assert_true(narrow->last.channel[2] <= most);
        narrow->has_session = true;
        wire4_begin(narrow);
        wire4_op(narrow, OP_RECLAIM_COMPLETE);
        writer_be32(&narrow->request, 0);
        assert_int_equal(wire4_send(narrow), NFS4_OK);
        /* A directory is made only if the answer fits. */
        wire4_begin(narrow);
        wire4_putfh(narrow, &world.top);
        wire4_create(narrow, NF4DIR, NULL, "narrow", NULL);
        wire4_getattr(narrow, wire4_bits(1, FATTR4_TYPE));
        wire4_read(narrow, OP_READ, &wire4_anonymous, 0, 100000);
        wire4_send_any(narrow);
        assert_true(narrow->reply.left + 24 <= most);
        if (narrow->count >= 3 && wire4_at(narrow, 1)->status == NFS4_OK)
            expect4(w, NFS4_OK, wire4_putfh(w, &world.top), wire4_name(w, OP_REMOVE, "narrow", 6));
        else
            expect4(w, NFS4ERR_NOENT, wire4_putfh(w, &world.top), wire4_lookup(w, "narrow"));
        if (most >= 400) {
            expect4(narrow, NFS4_OK, wire4_putfh(narrow, &world.objects[N4_FILE]),
                    wire4_read(narrow, OP_READ, &wire4_anonymous, 0, 100000));
            assert_true(narrow->reply.left + 24 <= most);
            wire4_begin(narrow);
            wire4_putfh(narrow, &world.top);
            wire4_readdir(narrow, 0, 0, 0, 100000, wire4_bits(1, FATTR4_TYPE));
            wire4_send(narrow);
            assert_true(narrow->reply.left + 24 <= most);
        }
        /* Nothing that big: REP_TOO_BIG; to be cached: even less. */
        expect4(narrow, NFS4ERR_REP_TOO_BIG, wire4_putfh(narrow, &world.objects[N4_LINK]),
                wire4_void(narrow, OP_READLINK));
        narrow->cache_this = true;
        wire4_begin(narrow);
        wire4_putfh(narrow, &world.objects[N4_LINK]);
        wire4_void(narrow, OP_READLINK);
        assert_int_equal(wire4_send_any(narrow), NFS4ERR_REP_TOO_BIG_TO_CACHE);
        wire4_close(&narrow);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tags),
        cmocka_unit_test(minor_versions),
        cmocka_unit_test(no_operations),
        cmocka_unit_test(heads_that_are_cut),
        cmocka_unit_test(procedures),
        cmocka_unit_test(numbers),
        cmocka_unit_test(outside_of_sessions),
        cmocka_unit_test(arguments_that_are_cut),
        cmocka_unit_test(bytes_behind),
        cmocka_unit_test(many_operations),
        cmocka_unit_test(ends_at_failure),
        cmocka_unit_test(lengths_that_lie),
        cmocka_unit_test(replies_that_are_too_long),
    };
    const struct CMUnitTest tests_of_sessions[] = {cmocka_unit_test(sessions_with_short_replies)};
    int failed = 0;

    for (minor = 0; minor <= 2; minor++)
        failed += cmocka_run_group_tests(tests, set_up, tear_down);
    for (minor = 1; minor <= 2; minor++)
        failed += cmocka_run_group_tests(tests_of_sessions, set_up, tear_down);
    return failed;
}
