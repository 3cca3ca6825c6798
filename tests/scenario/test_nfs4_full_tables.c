/*
 * test_nfs4_full_tables.c - full tables: each is answered with the protocol's own error, takes nothing away
 * from who has something, and is no longer full when somebody gives something back (RFC 7530 13.1.8.1, RFC
 * 8881 15.1.1.3).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nfs4client.h"
#include "nfsworld.h"
#include "simclock.h"

#include <stdio.h>
#include <string.h>

enum { LEASE_MS = 20000, MOST = 8 };

static struct nfsworld *world;
static struct nfs4c c;
static struct wire4_handle top;

static void start(const struct state_options *limits)
{
    struct vfs_export_config export = nfsworld_export("a");
    struct nfsworld_options options = {.state = *limits};

    simclock_install();
    simclock_set_tick_ns(1000);
    options.state.lease_ms = LEASE_MS;
    world = nfsworld_open(&export, 1, &options);
}

static void finish(void)
{
    nfsworld_close(&world);
    simclock_remove();
}

static void begin(uint32_t minor)
{
    nfs4_open(&c, world, minor, 0, minor == 0 ? "old" : "new");
    nfs4_introduce(&c);
    top = wire4_walk(&c.wire, "a");
}

static uint32_t full(uint32_t minor)
{
    return minor == 0 ? NFS4ERR_RESOURCE : NFS4ERR_DELAY;
}

static struct nfs4_open_args named(const char *name)
{
    return (struct nfs4_open_args){
        .access = 3, .owner = "o", .create = NFS4C_UNCHECKED, .mode = 0666, .name = name};
}

static void test_opens(void **state)
{
    struct nfs4_opened opened[MOST + 1];
    char name[16];

    (void)state;
    start(&(struct state_options){.max_opens = MOST});
    for (uint32_t minor = 0; minor <= 1; minor++) {
        struct nfs4_open_args args = named(name);

        begin(minor);
        for (int i = 0; i < MOST; i++) {
            snprintf(name, sizeof name, "%u %d", minor, i);
            opened[i] = nfs4_must_open(&c, &top, &args);
        }
        snprintf(name, sizeof name, "%u more", minor);
        for (int i = 0; i < 3; i++) /* RESOURCE does not use a sequence id up */
            assert_int_equal(nfs4_try_open(&c, &top, &args, &opened[MOST]), full(minor));
        assert_int_equal(nfs4_try_write(&c, &opened[0].file, &opened[0].stateid), NFS4_OK);
        if (minor > 0)
            args.seqid = 0;
        assert_int_equal(nfs4_try_close(&c, &opened[0].file, &opened[0].stateid, args.seqid++), NFS4_OK);
        assert_int_equal(nfs4_try_open(&c, &top, &args, &opened[0]), NFS4_OK);
        args.seqid++;
        for (int i = 0; i < MOST; i++)
            assert_int_equal(nfs4_try_close(&c, &opened[i].file, &opened[i].stateid, args.seqid++), NFS4_OK);
        nfs4_close_client(&c);
    }
    finish();
}

static void test_locks(void **state)
{
    (void)state;
    start(&(struct state_options){.max_locks = MOST});
    for (uint32_t minor = 0; minor <= 1; minor++) {
        struct nfs4_open_args args = named("locked");
        struct wire4_lock_args lock = {.type = WIRE4_WRITE_LT, .length = 1, .new_owner = true, .owner = "l"};
        struct nfs4_opened opened;
        struct wire4_stateid id;

        begin(minor);
        opened = nfs4_must_open(&c, &top, &args);
        lock.stateid = opened.stateid;
        lock.open_seqid = args.seqid++;
        for (int i = 0; i <= MOST; i++) {
            lock.offset = (uint64_t)i * 10;
            assert_int_equal(nfs4_try_lock(&c, &opened.file, &lock, &id, NULL),
                             i < MOST ? NFS4_OK : full(minor));
            lock.new_owner = false;
            lock.stateid = id;
            lock.lock_seqid++;
        }
        /* RESOURCE left the number where it was; DELAY has none. */
        lock.lock_seqid--;
        assert_int_equal(nfs4_try_locku(&c, &opened.file, &id, lock.lock_seqid, 0, 1), NFS4_OK);
        lock.stateid = id;
        lock.lock_seqid++;
        assert_int_equal(nfs4_try_lock(&c, &opened.file, &lock, &id, NULL), NFS4_OK);
        assert_int_equal(nfs4_try_close(&c, &opened.file, &opened.stateid, args.seqid), NFS4_OK);
        nfs4_close_client(&c);
    }
    finish();
}

/* Half-made clients never keep a real one out; confirmed ones that hold something do. */
static void test_clients(void **state)
{
    struct nfs4c clients[MOST + 1];
    char name[16];

    (void)state;
    start(&(struct state_options){.max_clients = MOST});
    nfs4_open(&c, world, 1, 0, "flood");
    for (int i = 0; i < 10 * MOST; i++) {
        snprintf(name, sizeof name, "half %d", i);
        wire4_begin_bare(&c.wire);
        wire4_exchange_id(&c.wire, name, 1, 0);
        assert_int_equal(nfs4_call(&c), NFS4_OK);
    }
    for (int i = 0; i <= MOST; i++) {
        struct nfs4_open_args args = named(name);

        snprintf(name, sizeof name, "client %d", i);
        nfs4_open(&clients[i], world, 1, 0, name);
        if (i == MOST)
            break;
        nfs4_introduce(&clients[i]);
        top = wire4_walk(&clients[i].wire, "a");
        nfs4_must_open(&clients[i], &top, &args);
    }
    wire4_begin_bare(&clients[MOST].wire);
    wire4_exchange_id(&clients[MOST].wire, "late", 1, 0);
    assert_int_equal(nfs4_call(&clients[MOST]), NFS4ERR_DELAY);
    c.wire.minor = 0;
    wire4_begin_bare(&c.wire);
    nfs4_setclientid(&c, "late", 1);
    assert_int_equal(nfs4_call(&c), NFS4ERR_RESOURCE);
    /* One whose lease is over makes room. */
    nfsworld_advance(world, LEASE_MS / 2);
    for (int i = 1; i < MOST; i++) {
        wire4_begin(&clients[i].wire);
        assert_int_equal(nfs4_call(&clients[i]), NFS4_OK);
    }
    nfsworld_advance(world, LEASE_MS / 2 + 2000);
    nfs4_introduce(&clients[MOST]);
    wire4_begin(&clients[0].wire);
    assert_int_equal(nfs4_call(&clients[0]), NFS4ERR_BADSESSION);
    for (int i = 0; i <= MOST; i++)
        nfs4_close_client(&clients[i]);
    nfs4_close_client(&c);
    finish();
}

static void test_sessions(void **state)
{
    struct wire4_create_session_args args;
    struct wire4_session session;

    (void)state;
    /* 64 KiB of promised replies: later sessions get fewer slots, but each at least one. */
    start(&(struct state_options){.max_sessions = MOST, .max_reply_bytes = 65536});
    begin(1);
    for (int i = 1; i <= MOST; i++) {
        args = nfs4_usual_session(&c);
        wire4_begin_bare(&c.wire);
        wire4_create_session(&c.wire, &args);
        assert_int_equal(nfs4_call(&c), i < MOST ? NFS4_OK : NFS4ERR_DELAY);
        if (i == MOST)
            break;
        nfs4_result(&c, OP_CREATE_SESSION, NFS4_OK);
        session = wire4_session_of(&c.result);
        assert_true(session.slots >= 1 && session.slots <= args.fore.requests_max);
        c.create_sequence++;
    }
    wire4_begin_bare(&c.wire);
    wire4_destroy_session(&c.wire, session.id);
    assert_int_equal(nfs4_call(&c), NFS4_OK);
    wire4_begin_bare(&c.wire);
    wire4_create_session(&c.wire, &args);
    assert_int_equal(nfs4_call(&c), NFS4_OK);
    nfs4_close_client(&c);
    finish();
}

/* Replies of owners that can't be kept any more: the retry is told so, and is not done again. */
static void test_owner_replies(void **state)
{
    struct nfs4_open_args args = named("file");
    struct nfs4_opened opened;

    (void)state;
    start(&(struct state_options){.max_owner_replies = 1});
    begin(0);
    opened = nfs4_must_open(&c, &top, &args);
    assert_int_equal(nfs4_try_close(&c, &opened.file, &opened.stateid, args.seqid), NFS4_OK);
    assert_int_equal(nfs4_call_again(&c, false), NFS4ERR_RESOURCE);
    nfs4_close_client(&c);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_opens),    cmocka_unit_test(test_locks),         cmocka_unit_test(test_clients),
        cmocka_unit_test(test_sessions), cmocka_unit_test(test_owner_replies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
