/*
 * test_nfs4_lock_wait.c - waiting for a lock: the queue, CB_NOTIFY_LOCK over the back channel, and what
 * happens to a reservation that nobody fetches (RFC 8881 9.6, 20.11).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nfs/v4/nfs4_callback.h"
#include "nfs4client.h"
#include "nfsworld.h"
#include "simclock.h"

#include <stdio.h>
#include <string.h>

enum { LEASE_MS = 20000, CLIENTS = 4, RESERVED_MS = 5000 };

static struct nfsworld *world;

/* A client with an open of the file, and what its lock owner has. */
struct waiter {
    struct nfs4c c;
    char name[16];
    struct nfs4_opened opened;
    struct wire4_stateid lock;
    bool has_lock;
};
static struct waiter waiters[CLIENTS];

static void come(struct waiter *waiter, const char *name, bool wants_back)
{
    struct nfs4_open_args args = {
        .access = 3, .owner = waiter->name, .create = NFS4C_UNCHECKED, .mode = 0666, .name = "file"};
    struct wire4_handle top;

    memset(waiter, 0, sizeof *waiter);
    snprintf(waiter->name, sizeof waiter->name, "%s", name);
    nfs4_open(&waiter->c, world, 1, 0, waiter->name);
    waiter->c.wants_back = wants_back;
    nfs4_introduce(&waiter->c);
    top = wire4_walk(&waiter->c.wire, "a");
    waiter->opened = nfs4_must_open(&waiter->c, &top, &args);
    assert_int_equal(waiter->opened.flags, wants_back ? 4 | 32 : 4);
}

static int set_up(void **state)
{
    struct vfs_export_config export = nfsworld_export("a");
    struct nfsworld_options options = {.state = {.lease_ms = LEASE_MS}};
    char name[16];

    (void)state;
    simclock_install();
    simclock_set_tick_ns(1000);
    world = nfsworld_open(&export, 1, &options);
    for (int i = 0; i < CLIENTS; i++) {
        snprintf(name, sizeof name, "client %d", i);
        come(&waiters[i], name, true);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < CLIENTS; i++)
        nfs4_close_client(&waiters[i].c);
    nfsworld_close(&world);
    simclock_remove();
    return 0;
}

static uint32_t ask_range(struct waiter *waiter, uint32_t type, uint64_t offset, uint64_t length)
{
    struct wire4_lock_args args = {.type = type,
                                   .offset = offset,
                                   .length = length,
                                   .new_owner = !waiter->has_lock,
                                   .stateid = waiter->has_lock ? waiter->lock : waiter->opened.stateid,
                                   .owner = waiter->name};
    uint32_t status = nfs4_try_lock(&waiter->c, &waiter->opened.file, &args, &waiter->lock, NULL);

    if (status == NFS4_OK)
        waiter->has_lock = true;
    return status;
}

static uint32_t ask(struct waiter *waiter, uint32_t type)
{
    return ask_range(waiter, type, 0, 10);
}

static uint32_t give_back(struct waiter *waiter)
{
    return nfs4_try_locku(&waiter->c, &waiter->opened.file, &waiter->lock, 0, 0, UINT64_MAX);
}

/* A sign of life, in which calls are heard and answered. */
static void hear(struct waiter *waiter)
{
    nfsworld_turn(world, 5);
    wire4_begin(&waiter->c.wire);
    assert_int_equal(nfs4_call(&waiter->c), NFS4_OK);
    nfsworld_turn(world, 5);
}

static uint32_t locks(void)
{
    struct state_counters counters;

    state_counters(world->state, &counters);
    return counters.locks;
}

/* First come, first served, each told once. */
static void test_order(void **state)
{
    (void)state;
    assert_int_equal(ask(&waiters[0], WIRE4_WRITE_LT), NFS4_OK);
    for (int i = 1; i < CLIENTS; i++)
        assert_int_equal(ask(&waiters[i], WIRE4_WRITEW_LT), NFS4ERR_DENIED);
    for (int i = 1; i < CLIENTS; i++) {
        assert_int_equal(give_back(&waiters[i - 1]), NFS4_OK);
        for (int other = 1; other < CLIENTS; other++)
            hear(&waiters[other]);
        for (int other = 1; other < CLIENTS; other++)
            assert_int_equal(waiters[other].c.called, other <= i ? 1 : 0);
        assert_string_equal(waiters[i].c.called_owner, waiters[i].name);
        assert_int_equal(waiters[i].c.called_clientid, waiters[i].c.wire.clientid);
        assert_int_equal(waiters[i].c.called_minor, 1);
        assert_memory_equal(waiters[i].c.called_handle.data, waiters[i].opened.file.data, 32);
        /* Nobody else gets it in between, those who wait and those who don't. */
        assert_int_equal(ask(&waiters[0], WIRE4_WRITE_LT), NFS4ERR_DENIED);
        if (i + 1 < CLIENTS)
            assert_int_equal(ask(&waiters[i + 1], WIRE4_WRITEW_LT), NFS4ERR_DENIED);
        assert_int_equal(ask(&waiters[i], WIRE4_WRITEW_LT), NFS4_OK);
    }
    nfsworld_advance(world, RESERVED_MS + 2000);
    assert_int_equal(locks(), 1); /* what was fetched stays */
}

/* Several at once when they can share. */
static void test_shared(void **state)
{
    (void)state;
    assert_int_equal(ask(&waiters[0], WIRE4_WRITE_LT), NFS4_OK);
    assert_int_equal(ask(&waiters[1], WIRE4_READW_LT), NFS4ERR_DENIED);
    assert_int_equal(ask(&waiters[2], WIRE4_READW_LT), NFS4ERR_DENIED);
    assert_int_equal(give_back(&waiters[0]), NFS4_OK);
    for (int i = 1; i <= 2; i++) {
        hear(&waiters[i]);
        assert_int_equal(waiters[i].c.called, 1);
        assert_int_equal(ask(&waiters[i], WIRE4_READW_LT), NFS4_OK);
    }
}

/* A reservation that is not fetched goes to the next. */
static void test_not_fetched(void **state)
{
    (void)state;
    assert_int_equal(ask(&waiters[0], WIRE4_WRITE_LT), NFS4_OK);
    assert_int_equal(ask(&waiters[1], WIRE4_WRITEW_LT), NFS4ERR_DENIED);
    assert_int_equal(ask(&waiters[2], WIRE4_WRITEW_LT), NFS4ERR_DENIED);
    assert_int_equal(give_back(&waiters[0]), NFS4_OK);
    hear(&waiters[1]);
    hear(&waiters[2]);
    assert_int_equal(waiters[1].c.called, 1);
    assert_int_equal(waiters[2].c.called, 0);
    nfsworld_advance(world, RESERVED_MS + 2000);
    hear(&waiters[2]);
    assert_int_equal(waiters[2].c.called, 1);
    assert_int_equal(ask(&waiters[1], WIRE4_WRITE_LT), NFS4ERR_DENIED);
    assert_int_equal(ask(&waiters[2], WIRE4_WRITEW_LT), NFS4_OK);
}

/* Who does not ask again for a lease has given up. */
static void test_given_up(void **state)
{
    (void)state;
    assert_int_equal(ask(&waiters[0], WIRE4_WRITE_LT), NFS4_OK);
    assert_int_equal(ask(&waiters[1], WIRE4_WRITEW_LT), NFS4ERR_DENIED);
    assert_int_equal(ask(&waiters[2], WIRE4_WRITEW_LT), NFS4ERR_DENIED);
    nfsworld_advance(world, LEASE_MS / 2);
    for (int i = 0; i < CLIENTS; i++)
        hear(&waiters[i]);
    assert_int_equal(ask(&waiters[2], WIRE4_WRITEW_LT), NFS4ERR_DENIED);
    nfsworld_advance(world, LEASE_MS / 2 + 2000);
    for (int i = 0; i < CLIENTS; i++)
        hear(&waiters[i]);
    assert_int_equal(give_back(&waiters[0]), NFS4_OK);
    hear(&waiters[1]);
    hear(&waiters[2]);
    assert_int_equal(waiters[1].c.called, 0);
    assert_int_equal(waiters[2].c.called, 1);
}

/* Clients that can't be told: refused, deaf, cut off. The range is free again, at once or after the time-out.
 */
static void test_not_told(void **state)
{
    (void)state;
    for (int how = 0; how < 4; how++) {
        struct waiter *first = &waiters[0], *second = &waiters[1];

        assert_int_equal(ask(first, WIRE4_WRITE_LT), NFS4_OK);
        assert_int_equal(ask(second, WIRE4_WRITEW_LT), NFS4ERR_DENIED);
        second->c.answer = how == 0 ? NFS4ERR_NOTSUPP : NFS4_OK;
        second->c.sequence_answer = how == 1 ? NFS4ERR_BADSESSION : 0;
        second->c.deaf = how == 2;
        if (how == 3)
            nfs4_reconnect(&second->c);
        assert_int_equal(give_back(first), NFS4_OK);
        hear(second);
        if (how == 2) {
            assert_int_equal(ask(first, WIRE4_WRITE_LT), NFS4ERR_DENIED);
            nfsworld_advance(world, RESERVED_MS + 2000);
        }
        assert_int_equal(ask(first, WIRE4_WRITE_LT), NFS4_OK);
        assert_int_equal(give_back(first), NFS4_OK);
    }
    assert_int_equal(locks(), 0);
}

/* While it waits, or has been given what it waited for, an owner may do something else: then it waits no
 * more. */
static void test_another_request(void **state)
{
    (void)state;
    for (int told = 0; told <= 1; told++) {
        assert_int_equal(ask(&waiters[0], WIRE4_WRITE_LT), NFS4_OK);
        assert_int_equal(ask(&waiters[1], WIRE4_WRITEW_LT), NFS4ERR_DENIED);
        if (told) {
            assert_int_equal(give_back(&waiters[0]), NFS4_OK);
            hear(&waiters[1]);
        }
        assert_int_equal(ask_range(&waiters[1], WIRE4_WRITE_LT, 100, 10), NFS4_OK);
        if (!told)
            assert_int_equal(give_back(&waiters[0]), NFS4_OK);
        hear(&waiters[1]);
        assert_int_equal(locks(), 1);
        assert_int_equal(ask(&waiters[2], WIRE4_WRITE_LT), NFS4_OK);
        assert_int_equal(give_back(&waiters[2]), NFS4_OK);
        assert_int_equal(give_back(&waiters[1]), NFS4_OK);
        waiters[1].c.called = 0;
    }
}

/* An owner that has other ranges of the file is told, too, but nothing is kept for it: it could not be given
 * back without taking what it had before. Who is faster has it, and the owner waits again. */
static void test_with_other_ranges(void **state)
{
    (void)state;
    assert_int_equal(ask(&waiters[0], WIRE4_WRITE_LT), NFS4_OK);
    assert_int_equal(ask_range(&waiters[1], WIRE4_WRITE_LT, 100, 10), NFS4_OK);
    for (int faster = 0; faster <= 1; faster++) {
        assert_int_equal(ask(&waiters[1], WIRE4_WRITEW_LT), NFS4ERR_DENIED);
        assert_int_equal(ask(&waiters[1], WIRE4_WRITEW_LT),
                         NFS4ERR_DENIED); /* asking again is no other wait */
        assert_int_equal(give_back(&waiters[0]), NFS4_OK);
        nfsworld_turn(world, 5);
        assert_int_equal(locks(), 1);
        hear(&waiters[1]);
        assert_int_equal(waiters[1].c.called, faster + 1);
        assert_int_equal(waiters[1].c.called_opnum, OP_CB_NOTIFY_LOCK);
        assert_string_equal(waiters[1].c.called_owner, waiters[1].name);
        nfsworld_advance(world, RESERVED_MS + 2000); /* nothing is taken back either */
        assert_int_equal(locks(), 1);
        if (!faster)
            assert_int_equal(ask(&waiters[0], WIRE4_WRITE_LT), NFS4_OK);
    }
    assert_int_equal(ask(&waiters[1], WIRE4_WRITEW_LT), NFS4_OK);
    assert_int_equal(locks(), 2);
    assert_int_equal(ask(&waiters[2], WIRE4_WRITE_LT), NFS4ERR_DENIED);

    /* An upgrade: others' shared ranges are in the way, its own is not. */
    assert_int_equal(give_back(&waiters[1]), NFS4_OK);
    assert_int_equal(ask(&waiters[1], WIRE4_READ_LT), NFS4_OK);
    assert_int_equal(ask(&waiters[2], WIRE4_READ_LT), NFS4_OK);
    assert_int_equal(ask(&waiters[1], WIRE4_WRITEW_LT), NFS4ERR_DENIED);
    assert_int_equal(give_back(&waiters[2]), NFS4_OK);
    hear(&waiters[1]);
    assert_int_equal(waiters[1].c.called, 3);
    assert_int_equal(ask(&waiters[1], WIRE4_WRITEW_LT), NFS4_OK);
    assert_int_equal(locks(), 1);
    assert_int_equal(give_back(&waiters[1]), NFS4_OK);

    /* It goes away while it waits. */
    assert_int_equal(ask(&waiters[0], WIRE4_WRITE_LT), NFS4_OK);
    assert_int_equal(ask_range(&waiters[1], WIRE4_WRITE_LT, 100, 10), NFS4_OK);
    assert_int_equal(ask(&waiters[1], WIRE4_WRITEW_LT), NFS4ERR_DENIED);
    assert_int_equal(nfs4_try_close(&waiters[1].c, &waiters[1].opened.file, &waiters[1].opened.stateid, 0),
                     NFS4_OK);
    assert_int_equal(locks(), 1);
    assert_int_equal(give_back(&waiters[0]), NFS4_OK);
    hear(&waiters[1]);
    assert_int_equal(waiters[1].c.called, 3);
    assert_int_equal(locks(), 0);
}

/* The end of an open, a session, a client while it waits. */
static void test_end_while_waiting(void **state)
{
    struct wire4_stateid opened;

    (void)state;
    for (int told = 0; told <= 1; told++) {
        struct nfs4_open_args args = {
            .access = 3, .owner = waiters[1].name, .create = NFS4C_NOCREATE, .name = "file"};
        struct wire4_handle top = wire4_walk(&waiters[1].c.wire, "a");

        assert_int_equal(ask(&waiters[0], WIRE4_WRITE_LT), NFS4_OK);
        assert_int_equal(ask(&waiters[1], WIRE4_WRITEW_LT), NFS4ERR_DENIED);
        if (told) {
            assert_int_equal(give_back(&waiters[0]), NFS4_OK);
            hear(&waiters[1]);
        }
        opened = waiters[1].opened.stateid;
        assert_int_equal(nfs4_try_close(&waiters[1].c, &waiters[1].opened.file, &opened, 0), NFS4_OK);
        if (!told)
            assert_int_equal(give_back(&waiters[0]), NFS4_OK);
        nfsworld_turn(world, 5);
        assert_int_equal(locks(), 0);
        waiters[1].has_lock = false;
        waiters[1].opened = nfs4_must_open(&waiters[1].c, &top, &args);
        assert_int_equal(ask(&waiters[2], WIRE4_WRITE_LT), NFS4_OK);
        assert_int_equal(give_back(&waiters[2]), NFS4_OK);
    }
    /* A new life of the client. */
    assert_int_equal(ask(&waiters[0], WIRE4_WRITE_LT), NFS4_OK);
    assert_int_equal(ask(&waiters[1], WIRE4_WRITEW_LT), NFS4ERR_DENIED);
    waiters[1].c.verifier++;
    nfs4_introduce(&waiters[1].c);
    assert_int_equal(give_back(&waiters[0]), NFS4_OK);
    nfsworld_turn(world, 5);
    assert_int_equal(locks(), 0);
    nfsworld_advance(world, RESERVED_MS + 2000);
}

/* Two that wait for each other. */
static void test_deadlock(void **state)
{
    struct waiter *one = &waiters[0], *two = &waiters[1];
    struct wire4_lock_args lock = {.type = WIRE4_WRITE_LT, .length = 10, .new_owner = true};
    struct wire4_stateid id;

    (void)state;
    /* Only owners without ranges on the file queue, so the two need a file each. */
    struct nfs4_open_args args = {
        .access = 3, .owner = "o", .create = NFS4C_UNCHECKED, .mode = 0666, .name = "second file"};
    struct wire4_handle top = wire4_walk(&one->c.wire, "a");
    struct nfs4_opened one_second = nfs4_must_open(&one->c, &top, &args);
    struct nfs4_opened two_second = nfs4_must_open(&two->c, &top, &args);

    assert_int_equal(ask(one, WIRE4_WRITE_LT), NFS4_OK);
    lock.owner = two->name;
    lock.stateid = two_second.stateid;
    assert_int_equal(nfs4_try_lock(&two->c, &two_second.file, &lock, &id, NULL), NFS4_OK);
    assert_int_equal(ask(two, WIRE4_WRITEW_LT), NFS4ERR_DENIED);
    lock.owner = one->name;
    lock.type = WIRE4_WRITEW_LT;
    lock.stateid = one_second.stateid;
    assert_int_equal(nfs4_try_lock(&one->c, &one_second.file, &lock, &id, NULL), NFS4ERR_DEADLOCK);
}

/* Without a back channel a client just asks again, and nobody is kept out for it. */
static void test_polling(void **state)
{
    struct waiter poller;

    (void)state;
    come(&poller, "poller", false);
    assert_int_equal(ask(&waiters[0], WIRE4_WRITE_LT), NFS4_OK);
    assert_int_equal(ask(&poller, WIRE4_WRITEW_LT), NFS4ERR_DENIED);
    assert_int_equal(give_back(&waiters[0]), NFS4_OK);
    nfsworld_turn(world, 5);
    assert_int_equal(locks(), 0);
    assert_int_equal(ask(&waiters[1], WIRE4_WRITE_LT), NFS4_OK);
    assert_int_equal(ask(&poller, WIRE4_WRITEW_LT), NFS4ERR_DENIED);
    assert_int_equal(give_back(&waiters[1]), NFS4_OK);
    assert_int_equal(ask(&poller, WIRE4_WRITEW_LT), NFS4_OK);
    assert_int_equal(poller.c.called, 0);
    nfs4_close_client(&poller.c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_shared, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_not_fetched, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_given_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_not_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_another_request, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_with_other_ranges, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_end_while_waiting, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_deadlock, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_polling, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
