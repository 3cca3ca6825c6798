/*
 * test_nfs4_clients.c - who a client is: the cases of SETCLIENTID (RFC 7530 16.33, 16.34) and EXCHANGE_ID
 * (RFC 8881 18.35.5), CREATE_SESSION and its retries, leases and courtesy.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dittofs/client.h"
#include "nfs4client.h"
#include "nfs4wire.h"
#include "nfsworld.h"
#include "simclock.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { LEASE_MS = 20000 };
enum { CONFIRMED_R = (int)0x80000000, UPDATE = 0x40000000, USE_NON_PNFS = 0x10000 };

static struct nfsworld *world;

static int set_up(void **state)
{
    struct vfs_export_config export = nfsworld_export("a");
    struct nfsworld_options options = {.state = {.lease_ms = LEASE_MS}};

    (void)state;
    simclock_install();
    simclock_set_tick_ns(1000);
    world = nfsworld_open(&export, 1, &options);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    nfsworld_close(&world);
    simclock_remove();
    return 0;
}

/* ---- 4.0 ---- */

struct record {
    uint64_t clientid, confirm;
};

static uint32_t setclientid(struct nfs4c *c, const char *name, uint64_t verifier, struct record *record_r)
{
    uint32_t status;

    wire4_begin(&c->wire);
    nfs4_setclientid(c, name, verifier);
    nfs4_call(c);
    status = nfs4_result_status(c, OP_SETCLIENTID);
    if (status == NFS4_OK)
        *record_r = (struct record){.clientid = c->result.clientid, .confirm = c->result.verifier};
    return status;
}

static uint32_t confirm(struct nfs4c *c, const struct record *record)
{
    wire4_begin(&c->wire);
    wire4_setclientid_confirm(&c->wire, record->clientid, record->confirm);
    return nfs4_call(c);
}

static uint32_t renew(struct nfs4c *c, uint64_t clientid)
{
    wire4_begin(&c->wire);
    wire4_renew(&c->wire, clientid);
    return nfs4_call(c);
}

static void test_setclientid_cases(void **state)
{
    struct record first, second, third;
    struct nfs4c c;

    (void)state;
    nfs4_open(&c, world, 0, 0, "x");
    /* Nothing known; then another unconfirmed one takes its place. */
    assert_int_equal(setclientid(&c, "cases", 1, &first), NFS4_OK);
    assert_int_equal(setclientid(&c, "cases", 1, &second), NFS4_OK);
    assert_true(first.clientid != second.clientid && first.confirm != second.confirm);
    assert_int_equal(confirm(&c, &first), NFS4ERR_STALE_CLIENTID);
    assert_int_equal(renew(&c, second.clientid), NFS4ERR_STALE_CLIENTID);
    assert_int_equal(confirm(&c, &second), NFS4_OK);
    assert_int_equal(confirm(&c, &second), NFS4_OK); /* a retry */
    assert_int_equal(renew(&c, second.clientid), NFS4_OK);
    /* A callback update: the same client id, another confirm value. */
    assert_int_equal(setclientid(&c, "cases", 1, &third), NFS4_OK);
    assert_true(third.clientid == second.clientid && third.confirm != second.confirm);
    assert_int_equal(confirm(&c, &second), NFS4_OK); /* still the confirmed one's */
    assert_int_equal(confirm(&c, &third), NFS4_OK);
    assert_int_equal(confirm(&c, &second), NFS4ERR_STALE_CLIENTID);
    /* A new life: another id; the old one counts until it is confirmed. */
    assert_int_equal(setclientid(&c, "cases", 2, &first), NFS4_OK);
    assert_true(first.clientid != third.clientid);
    assert_int_equal(renew(&c, third.clientid), NFS4_OK);
    assert_int_equal(setclientid(&c, "cases", 3, &second), NFS4_OK);
    assert_true(second.clientid != first.clientid);
    assert_int_equal(confirm(&c, &first), NFS4ERR_STALE_CLIENTID);
    assert_int_equal(confirm(&c, &second), NFS4_OK);
    assert_int_equal(renew(&c, third.clientid), NFS4ERR_STALE_CLIENTID);
    /* Nonsense. */
    second.confirm ^= 1;
    assert_int_equal(confirm(&c, &second), NFS4ERR_STALE_CLIENTID);
    second.clientid = 0;
    assert_int_equal(confirm(&c, &second), NFS4ERR_STALE_CLIENTID);
    nfs4_close_client(&c);
}

static struct nfs4_opened open_file(struct nfs4c *c, const char *name)
{
    struct wire4_handle top = wire4_walk(&c->wire, "a");
    struct nfs4_open_args args = {
        .access = 3, .owner = "owner", .create = NFS4C_UNCHECKED, .mode = 0666, .name = name};

    return nfs4_must_open(c, &top, &args);
}

static void test_another_principal(void **state)
{
    struct nfs4c one, other;
    struct record record;
    char netid[32] = "";
    const uint8_t *text;
    uint32_t length;

    (void)state;
    nfs4_open(&one, world, 0, 0, "principal");
    nfs4_open(&other, world, 0, 1000, "principal");
    nfs4_introduce(&one);
    /* Idle: the name may be taken over. */
    assert_int_equal(setclientid(&other, "principal", 9, &record), NFS4_OK);
    open_file(&one, "held");
    assert_int_equal(confirm(&other, &record), NFS4ERR_CLID_INUSE);
    assert_int_equal(setclientid(&other, "principal", 9, &record), NFS4ERR_CLID_INUSE);
    assert_true(reader_xdr_opaque(&other.results, 31, &text, &length));
    memcpy(netid, text, length);
    assert_string_equal(netid, "tcp");
    /* Another principal can't confirm what this one asked for. */
    assert_int_equal(setclientid(&one, "mine", 1, &record), NFS4_OK);
    assert_int_equal(confirm(&other, &record), NFS4ERR_CLID_INUSE);
    nfs4_close_client(&one);
    nfs4_close_client(&other);
}

static void test_new_life_drops_state(void **state)
{
    struct nfs4_opened opened;
    struct nfs4c c;

    (void)state;
    nfs4_open(&c, world, 0, 0, "life");
    nfs4_introduce(&c);
    opened = open_file(&c, "life");
    assert_int_equal(nfs4_try_read(&c, &opened.file, &opened.stateid), NFS4_OK);
    c.verifier = 2;
    nfs4_introduce(&c);
    assert_int_equal(nfs4_try_read(&c, &opened.file, &opened.stateid), NFS4ERR_EXPIRED);
    nfs4_close_client(&c);
}

/* ---- 4.1 ---- */

static uint32_t exchange(struct nfs4c *c, const char *name, uint64_t verifier, uint32_t flags,
                         struct wire4_result *result_r)
{
    uint32_t status;

    wire4_begin_bare(&c->wire);
    wire4_exchange_id(&c->wire, name, verifier, flags);
    nfs4_call(c);
    status = nfs4_result_status(c, OP_EXCHANGE_ID);
    if (status == NFS4_OK)
        *result_r = c->result;
    return status;
}

/* What there is before, what is asked, what comes of it. */
struct exchange_case {
    const char *name;
    int before; /* 0 nothing, 1 unconfirmed, 2 confirmed without state, 3 with a session, 4 with an open */
    bool update, same_verifier, same_principal;
    uint32_t status;
    bool same_clientid, confirmed;
};

static const struct exchange_case exchange_cases[] = {
    {"new", 0, false, true, true, NFS4_OK, false, false},
    {"unconfirmed, same", 1, false, true, true, NFS4_OK, false, false},
    {"unconfirmed, other verifier", 1, false, false, true, NFS4_OK, false, false},
    {"unconfirmed, other principal", 1, false, true, false, NFS4_OK, false, false},
    {"unconfirmed, all other", 1, false, false, false, NFS4_OK, false, false},
    {"confirmed, same", 3, false, true, true, NFS4_OK, true, true},
    {"confirmed, restart", 3, false, false, true, NFS4_OK, false, false},
    {"collision, idle", 2, false, true, false, NFS4_OK, false, false},
    {"collision, idle, restart", 2, false, false, false, NFS4_OK, false, false},
    {"collision, session", 3, false, true, false, NFS4ERR_CLID_INUSE, false, false},
    {"collision, open", 4, false, true, false, NFS4ERR_CLID_INUSE, false, false},
    {"update of nothing", 0, true, true, true, NFS4ERR_NOENT, false, false},
    {"update of unconfirmed", 1, true, true, true, NFS4ERR_NOENT, false, false},
    {"update", 3, true, true, true, NFS4_OK, true, true},
    {"update, other verifier", 3, true, false, true, NFS4ERR_NOT_SAME, false, false},
    {"update, other principal", 3, true, true, false, NFS4ERR_PERM, false, false},
    {"update, all other", 3, true, false, false, NFS4ERR_NOT_SAME, false, false},
};

static uint64_t prepare(struct nfs4c *c, const struct exchange_case *row)
{
    struct wire4_result result = {.clientid = 0};

    if (row->before == 1)
        assert_int_equal(exchange(c, c->name, 1, 0, &result), NFS4_OK);
    if (row->before < 2)
        return result.clientid;
    nfs4_introduce(c);
    if (row->before == 4)
        open_file(c, c->name);
    if (row->before == 2) {
        wire4_begin_bare(&c->wire);
        wire4_destroy_session(&c->wire, c->wire.session.id);
        assert_int_equal(nfs4_call(c), NFS4_OK);
    }
    return c->wire.clientid;
}

static void test_exchange_id_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof exchange_cases / sizeof *exchange_cases; i++) {
        const struct exchange_case *row = &exchange_cases[i];
        struct wire4_result result;
        struct nfs4c one, other;
        uint64_t clientid;
        char name[32];
        uint32_t status;

        snprintf(name, sizeof name, "exchange %zu", i);
        nfs4_open(&one, world, 1, 0, name);
        nfs4_open(&other, world, 1, row->same_principal ? 0 : 1000, name);
        clientid = prepare(&one, row);
        status = exchange(&other, name, row->same_verifier ? 1 : 2, row->update ? UPDATE : 0, &result);
        if (status != row->status)
            fail_msg("%s: %u instead of %u", row->name, status, row->status);
        if (status == NFS4_OK) {
            assert_int_equal(result.clientid == clientid, row->same_clientid);
            assert_int_equal((result.status_flags & (uint32_t)CONFIRMED_R) != 0, row->confirmed);
            assert_true(result.status_flags & USE_NON_PNFS);
        }
        nfs4_close_client(&one);
        nfs4_close_client(&other);
    }
}

static void test_exchange_id_arguments(void **state)
{
    static const struct {
        uint32_t flags, protection, status;
    } rows[] = {
        {0, 0, NFS4_OK},
        {USE_NON_PNFS | 3, 0, NFS4_OK},
        {4, 0, NFS4ERR_INVAL},
        {(uint32_t)CONFIRMED_R, 0, NFS4ERR_INVAL},
        {0, 1, NFS4ERR_INVAL}, /* SP4_MACH_CRED without RPCSEC_GSS */
        {0, 2, NFS4ERR_ENCR_ALG_UNSUPP},
        {0, 3, NFS4ERR_BADXDR},
    };
    struct nfs4c c;

    (void)state;
    nfs4_open(&c, world, 1, 0, "arguments");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        wire4_begin_bare(&c.wire);
        wire4_op(&c.wire, OP_EXCHANGE_ID);
        writer_be64(&c.wire.request, 1);
        writer_xdr_opaque(&c.wire.request, "arguments", 9);
        writer_be32(&c.wire.request, rows[i].flags);
        writer_be32(&c.wire.request, rows[i].protection);
        if (rows[i].protection == 1)
            writer_zeros(&c.wire.request, 8); /* two empty bitmaps */
        if (rows[i].protection == 2)
            writer_zeros(&c.wire.request, 8 + 8 + 8); /* and no algorithms */
        writer_be32(&c.wire.request, 0);
        assert_int_equal(nfs4_call(&c), rows[i].status);
    }
    /* Two implementation ids. */
    wire4_begin_bare(&c.wire);
    wire4_exchange_id(&c.wire, "arguments", 1, 0);
    writer_patch_be32(&c.wire.request, c.wire.request.length - 4, 2);
    writer_zeros(&c.wire.request, 2 * 20);
    assert_int_equal(nfs4_call(&c), NFS4ERR_BADXDR);
    /* Without SEQUENCE it stands alone. */
    wire4_begin_bare(&c.wire);
    wire4_exchange_id(&c.wire, "arguments", 1, 0);
    wire4_putrootfh(&c.wire);
    assert_int_equal(nfs4_call(&c), NFS4ERR_NOT_ONLY_OP);
    nfs4_close_client(&c);
}

/* The same server at every address and after a restart. */
static void test_server_owner_stays(void **state)
{
    struct wire4_result one, two, later;
    struct nfs4c c;

    (void)state;
    nfs4_open(&c, world, 1, 0, "trunk");
    assert_int_equal(exchange(&c, "trunk", 1, 0, &one), NFS4_OK);
    nfs4_reconnect(&c);
    c.wire.minor = 2;
    assert_int_equal(exchange(&c, "trunk", 1, 0, &two), NFS4_OK);
    nfs4_close_client(&c);
    nfsworld_restart(world);
    nfs4_open(&c, world, 1, 0, "trunk");
    assert_int_equal(exchange(&c, "trunk", 1, 0, &later), NFS4_OK);
    assert_true(strlen(one.major_id) > 8 && strlen(one.scope) > 8);
    assert_string_equal(one.major_id, two.major_id);
    assert_string_equal(one.scope, two.scope);
    assert_string_equal(one.major_id, later.major_id);
    assert_string_equal(one.scope, later.scope);
    assert_int_equal(one.minor_id, later.minor_id);
    nfs4_close_client(&c);
}

/* ---- CREATE_SESSION ---- */

static uint32_t create(struct nfs4c *c, const struct wire4_create_session_args *args,
                       struct wire4_session *session_r)
{
    uint32_t status;

    wire4_begin_bare(&c->wire);
    wire4_create_session(&c->wire, args);
    nfs4_call(c);
    status = nfs4_result_status(c, OP_CREATE_SESSION);
    if (status == NFS4_OK)
        *session_r = wire4_session_of(&c->result);
    return status;
}

static void test_create_session_sequence(void **state)
{
    struct wire4_create_session_args args;
    struct wire4_result result;
    struct wire4_session first, again;
    struct nfs4c c;

    (void)state;
    nfs4_open(&c, world, 1, 0, "create");
    assert_int_equal(exchange(&c, "create", 1, 0, &result), NFS4_OK);
    c.wire.clientid = result.clientid;
    c.create_sequence = result.seqid;
    args = nfs4_usual_session(&c);
    args.sequence--;
    assert_int_equal(create(&c, &args, &first), NFS4ERR_SEQ_MISORDERED);
    args.sequence += 2;
    assert_int_equal(create(&c, &args, &first), NFS4ERR_SEQ_MISORDERED);
    args.sequence--;
    /* What is refused does not use the sequence id up. */
    args.flags = 8;
    assert_int_equal(create(&c, &args, &first), NFS4ERR_INVAL);
    args.flags = 0;
    assert_int_equal(create(&c, &args, &first), NFS4_OK);
    /* A retry makes no second session, whatever else it says. */
    args.program++;
    assert_int_equal(create(&c, &args, &again), NFS4_OK);
    assert_memory_equal(first.id, again.id, sizeof first.id);
    args.sequence++;
    assert_int_equal(create(&c, &args, &again), NFS4_OK);
    assert_memory_not_equal(first.id, again.id, sizeof first.id);
    args.sequence--;
    assert_int_equal(create(&c, &args, &again), NFS4ERR_SEQ_MISORDERED);
    args.clientid ^= 1;
    assert_int_equal(create(&c, &args, &again), NFS4ERR_STALE_CLIENTID);
    nfs4_close_client(&c);
}

static void test_create_session_channels(void **state)
{
    static const struct {
        struct wire4_channel fore, back;
        uint32_t status;
    } rows[] = {
        {{0, 0, 8192, 8192, 16, 8}, {0, 4096, 4096, 0, 4, 4}, NFS4ERR_TOOSMALL},
        {{0, 8192, 20, 8192, 16, 8}, {0, 4096, 4096, 0, 4, 4}, NFS4ERR_TOOSMALL},
        {{0, 8192, 8192, 8192, 0, 8}, {0, 4096, 4096, 0, 4, 4}, NFS4ERR_TOOSMALL},
        {{0, 8192, 8192, 8192, 16, 8}, {0, 10, 4096, 0, 4, 4}, NFS4ERR_TOOSMALL},
        {{0, 8192, 8192, 8192, 16, 8}, {0, 4096, 10, 0, 4, 4}, NFS4ERR_TOOSMALL},
        {{0, 8192, 8192, 8192, 16, 8}, {0, 4096, 4096, 0, 1, 4}, NFS4ERR_TOOSMALL},
        {{4, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX}, {0, 4096, 4096, 0, 4, 4}, NFS4_OK},
        {{0, 512, 512, 0, 4, 1}, {0, 512, 512, 0, 2, 1}, NFS4_OK},
    };
    struct wire4_create_session_args args;
    struct wire4_session session;
    struct nfs4c c;

    (void)state;
    nfs4_open(&c, world, 1, 0, "channels");
    nfs4_introduce(&c);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        args = nfs4_usual_session(&c);
        args.fore = rows[i].fore;
        args.back = rows[i].back;
        assert_int_equal(create(&c, &args, &session), rows[i].status);
        if (rows[i].status != NFS4_OK)
            continue;
        c.create_sequence++;
        assert_true(session.request_max <= rows[i].fore.request_max && session.request_max <= 2 << 20);
        assert_true(session.reply_max <= rows[i].fore.reply_max && session.reply_max <= 2 << 20);
        assert_true(session.reply_cached_max <= rows[i].fore.reply_cached_max &&
                    session.reply_cached_max <= 65536);
        assert_true(session.operations_max <= rows[i].fore.operations_max && session.operations_max <= 1024);
        assert_true(session.slots <= rows[i].fore.requests_max && session.slots <= 1024 && session.slots > 0);
    }
    nfs4_close_client(&c);
}

static void test_create_session_confirms(void **state)
{
    struct wire4_create_session_args args;
    struct wire4_result result;
    struct wire4_session old;
    struct nfs4c c, other;

    (void)state;
    nfs4_open(&c, world, 1, 0, "confirms");
    nfs4_open(&other, world, 1, 1000, "confirms");
    nfs4_introduce(&c);
    old = c.wire.session;
    assert_int_equal(exchange(&c, "confirms", 2, 0, &result), NFS4_OK);
    /* The old life goes on until the new one is confirmed, by who asked for it. */
    wire4_begin(&c.wire);
    assert_int_equal(nfs4_call(&c), NFS4_OK);
    args = nfs4_usual_session(&c);
    args.clientid = result.clientid;
    args.sequence = result.seqid;
    assert_int_equal(create(&other, &args, &other.wire.session), NFS4ERR_CLID_INUSE);
    assert_int_equal(create(&c, &args, &c.wire.session), NFS4_OK);
    wire4_begin_bare(&c.wire);
    wire4_sequence(&c.wire, old.id, old.seqid[0], 0, 0, false);
    assert_int_equal(nfs4_call(&c), NFS4ERR_BADSESSION);
    nfs4_close_client(&c);
    nfs4_close_client(&other);
}

static uint32_t destroy_clientid(struct nfs4c *c, uint64_t clientid)
{
    wire4_begin_bare(&c->wire);
    wire4_destroy_clientid(&c->wire, clientid);
    return nfs4_call(c);
}

static void test_destroy(void **state)
{
    struct nfs4_opened opened;
    struct nfs4c c;

    (void)state;
    nfs4_open(&c, world, 1, 0, "destroy");
    nfs4_introduce(&c);
    assert_int_equal(destroy_clientid(&c, c.wire.clientid), NFS4ERR_CLIENTID_BUSY); /* a session */
    opened = open_file(&c, "destroyed");
    wire4_begin(&c.wire);
    wire4_destroy_session(&c.wire, c.wire.session.id);
    wire4_putrootfh(&c.wire);
    assert_int_equal(nfs4_call(&c), NFS4ERR_NOT_ONLY_OP);
    wire4_begin(&c.wire);
    wire4_destroy_session(&c.wire, c.wire.session.id);
    assert_int_equal(nfs4_call(&c), NFS4_OK);
    assert_int_equal(destroy_clientid(&c, c.wire.clientid), NFS4ERR_CLIENTID_BUSY); /* an open */
    wire4_begin_bare(&c.wire);
    wire4_destroy_session(&c.wire, c.wire.session.id);
    assert_int_equal(nfs4_call(&c), NFS4ERR_BADSESSION);
    nfs4_introduce(&c); /* the same client, another session */
    assert_int_equal(nfs4_try_close(&c, &opened.file, &opened.stateid, 0), NFS4_OK);
    wire4_begin_bare(&c.wire);
    wire4_destroy_session(&c.wire, c.wire.session.id);
    assert_int_equal(nfs4_call(&c), NFS4_OK);
    assert_int_equal(destroy_clientid(&c, c.wire.clientid), NFS4_OK);
    assert_int_equal(destroy_clientid(&c, c.wire.clientid), NFS4ERR_STALE_CLIENTID);
    nfs4_close_client(&c);
}

static void test_reclaim_complete(void **state)
{
    struct wire4_handle top;
    struct nfs4_open_args args = {.access = 1, .owner = "o", .create = NFS4C_GUARDED, .name = "complete"};
    struct nfs4_opened opened;
    struct nfs4c c;

    (void)state;
    nfs4_open(&c, world, 1, 0, "complete");
    nfs4_introduce(&c);
    wire4_begin(&c.wire);
    wire4_op_reclaim_complete(&c.wire, false);
    assert_int_equal(nfs4_call(&c), NFS4ERR_COMPLETE_ALREADY);
    wire4_begin(&c.wire);
    wire4_op_reclaim_complete(&c.wire, true);
    assert_int_equal(nfs4_call(&c), NFS4ERR_NOFILEHANDLE);
    wire4_begin(&c.wire);
    wire4_putrootfh(&c.wire);
    wire4_op_reclaim_complete(&c.wire, true);
    assert_int_equal(nfs4_call(&c), NFS4_OK);
    /* A new life has not said so: it gets nothing new. */
    c.verifier = 7;
    c.wire.has_session = false;
    {
        struct wire4_result result;
        struct wire4_create_session_args session;

        assert_int_equal(exchange(&c, "complete", 7, 0, &result), NFS4_OK);
        c.wire.clientid = result.clientid;
        c.create_sequence = result.seqid;
        session = nfs4_usual_session(&c);
        assert_int_equal(create(&c, &session, &c.wire.session), NFS4_OK);
        c.wire.has_session = true;
    }
    top = wire4_walk(&c.wire, "a");
    assert_int_equal(nfs4_try_open(&c, &top, &args, &opened), NFS4ERR_GRACE);
    wire4_begin(&c.wire);
    wire4_op_reclaim_complete(&c.wire, false);
    assert_int_equal(nfs4_call(&c), NFS4_OK);
    assert_int_equal(nfs4_try_open(&c, &top, &args, &opened), NFS4_OK);
    nfs4_close_client(&c);
}

/* ---- leases ---- */

static void test_lease(void **state)
{
    struct wire4_handle top;
    struct nfs4_open_args args = {.access = 3, .owner = "p", .create = NFS4C_UNCHECKED, .name = "leased"};
    struct nfs4_opened held, taken;
    struct nfs4c c, other;

    (void)state;
    for (uint32_t minor = 0; minor <= 1; minor++) {
        struct nfs4_open_args deny = {
            .access = 3, .deny = 3, .owner = "o", .create = NFS4C_UNCHECKED, .mode = 0666, .name = "leased"};

        nfs4_open(&c, world, minor, 0, "leased");
        nfs4_open(&other, world, 1, 0, "other");
        nfs4_introduce(&c);
        nfs4_introduce(&other);
        top = wire4_walk(&c.wire, "a");
        held = nfs4_must_open(&c, &top, &deny);
        assert_int_equal(nfs4_try_open(&other, &top, &args, &taken), NFS4ERR_SHARE_DENIED);
        /* Out of courtesy: nobody wants it, so it stays; and comes back with the first sign of life. */
        nfsworld_advance(world, LEASE_MS + 1000);
        assert_int_equal(nfs4_try_read(&c, &held.file, &held.stateid), NFS4_OK);
        wire4_begin(&other.wire);
        wire4_putrootfh(&other.wire);
        nfs4_call(&other);
        if (other.wire.status == NFS4ERR_BADSESSION) /* it held nothing */
            nfs4_introduce(&other);
        assert_int_equal(nfs4_try_open(&other, &top, &args, &taken), NFS4ERR_SHARE_DENIED);
        /* Expired, and wanted: it goes. */
        nfsworld_advance(world, LEASE_MS / 2);
        wire4_begin(&other.wire);
        nfs4_call(&other);
        nfsworld_advance(world, LEASE_MS / 2 + 1000);
        wire4_begin(&other.wire);
        nfs4_call(&other);
        assert_int_equal(nfs4_try_open(&other, &top, &args, &taken), NFS4_OK);
        if (minor == 0) {
            assert_int_equal(nfs4_try_read(&c, &held.file, &held.stateid), NFS4ERR_EXPIRED);
            assert_int_equal(renew(&c, c.wire.clientid), NFS4ERR_EXPIRED);
        } else {
            wire4_begin(&c.wire);
            assert_int_equal(nfs4_call(&c), NFS4ERR_BADSESSION);
        }
        assert_int_equal(nfs4_try_close(&other, &taken.file, &taken.stateid, 0), NFS4_OK);
        nfs4_close_client(&c);
        nfs4_close_client(&other);
    }
}

/* Administrators see where a client's last connection comes from. */
static void check_address(const struct rpcclient *rpc)
{
    const struct client *client = client_next(world->state, NULL);
    struct sockaddr_in own = {0};
    socklen_t length = sizeof own;
    struct client_description description;
    char text[32];

    assert_non_null(client);
    assert_null(client_next(world->state, client));
    assert_int_equal(getsockname(rpc->fd, (struct sockaddr *)&own, &length), 0);
    snprintf(text, sizeof text, "127.0.0.1:%u", ntohs(own.sin_port));
    client_describe(client, &description);
    assert_string_equal(description.protocol, "NFSv4.1");
    assert_string_equal(description.address, text);
}

static void test_address(void **state)
{
    struct rpcclient *first = nfsworld_client(world, 0, 0), *second = nfsworld_client(world, 0, 0);
    struct wire4 *wire = wire4_open(first, 1);

    (void)state;
    wire4_introduce(wire, "somebody", 1, true);
    check_address(first);
    wire->rpc = second;
    expect4(wire, NFS4_OK, wire4_putrootfh(wire));
    check_address(second);
    wire4_close(&wire);
    rpcclient_close(&first);
    rpcclient_close(&second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_setclientid_cases, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_another_principal, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_new_life_drops_state, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_exchange_id_cases, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_exchange_id_arguments, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_server_owner_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_create_session_sequence, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_create_session_channels, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_create_session_confirms, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_destroy, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_reclaim_complete, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lease, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_address, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
