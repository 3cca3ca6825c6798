/*
 * test_nlm.c - NLM over the wire: every version and transport, ranges, the MSG procedures, rights, shares,
 * and locks and opens of other protocols in the same tables.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nlm_fixture.h"

#include <stdio.h>

static void each_version(void **state)
{
    static const uint32_t versions[] = {1, 3, 4};

    (void)state;
    for (size_t i = 0; i < 6; i++) {
        struct rpcclient *client =
            nlmhost_connect(host, i % 2 ? RPCCLIENT_TCP : RPCCLIENT_UDP, versions[i / 2], 0);
        struct nlmc_lock one = a_lock("alpha", 1, 10, 20), two = a_lock("beta", 2, 29, 1);
        struct nlmc_result r;

        assert_int_equal(rpcclient_call(client, 0, NULL, NULL), RPCCLIENT_SUCCESS);
        assert_int_equal(nlm_call(client, NLMC_LOCK, &file, &one, NULL), NLMC_GRANTED_OK);
        assert_int_equal(nlm_call(client, NLMC_TEST, &file, &one, NULL), NLMC_GRANTED_OK);
        assert_int_equal(nlm_call(client, NLMC_TEST, &file, &two, &r), NLMC_DENIED);
        assert_true(r.exclusive);
        assert_int_equal(r.svid, 1);
        assert_string_equal(r.owner, "me");
        assert_int_equal(r.offset, 10);
        assert_int_equal(r.length, 20);
        assert_int_equal(nlm_call(client, NLMC_LOCK, &file, &two, NULL), NLMC_DENIED);
        assert_int_equal(nlm_call(client, NLMC_UNLOCK, &file, &one, NULL), NLMC_GRANTED_OK);
        assert_int_equal(nlm_call(client, NLMC_LOCK, &file, &two, NULL), NLMC_GRANTED_OK);
        assert_int_equal(nlm_call(client, NLMC_UNLOCK, &file, &two, NULL), NLMC_GRANTED_OK);
        assert_int_equal(nlm_call(client, NLMC_UNLOCK, &file, &two, NULL), NLMC_GRANTED_OK);
        if (versions[i / 2] == 1)
            assert_int_equal(rpcclient_call(client, NLMC_SHARE, NULL, NULL), RPCCLIENT_PROC_UNAVAIL);
        rpcclient_close(&client);
    }
    assert_int_equal(counters().locks, 0);
    assert_int_equal(counters().files, 0);
    rpcclient_program(nlm, 100021, 2);
    assert_int_equal(rpcclient_call(nlm, 0, NULL, NULL), RPCCLIENT_PROG_MISMATCH);
    assert_int_equal(nlm->low, 1);
    assert_int_equal(nlm->high, 4);
}

/* Owners are host, svid and oh together. */
static void owners(void **state)
{
    struct nlmc_lock base = a_lock("alpha", 1, 0, 0), same = base, svid = base, oh = base, caller = base;

    (void)state;
    svid.svid = 2;
    oh.owner = "you";
    caller.caller = "beta";
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &base, NULL), NLMC_GRANTED_OK);
    assert_int_equal(nlm_call(other, NLMC_LOCK, &file, &same, NULL), NLMC_GRANTED_OK);
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &svid, NULL), NLMC_DENIED);
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &oh, NULL), NLMC_DENIED);
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &caller, NULL), NLMC_DENIED);
    assert_int_equal(nlm_call(nlm, NLMC_UNLOCK, &file, &oh, NULL), NLMC_GRANTED_OK);
    assert_int_equal(counters().locks, 1);
    assert_int_equal(nlm_call(nlm, NLMC_UNLOCK, &file, &base, NULL), NLMC_GRANTED_OK);
    assert_int_equal(counters().locks, 0);
}

static const struct {
    uint32_t version;
    uint64_t lock_offset, lock_length; /* in version 4 */
    uint64_t test_offset, test_length;
    uint32_t status;
    uint64_t offset, length; /* as told */
} ranges[] = {
    {4, 0, 0, UINT64_MAX, 1, NLMC_DENIED, 0, 0},
    {4, 100, UINT64_MAX, UINT64_MAX, 1, NLMC_DENIED, 100, 0},
    {4, 100, UINT64_MAX - 99, 99, 1, NLMC_GRANTED_OK, 0, 0},
    {4, 1ull << 40, 10, (1ull << 40) + 9, 0, NLMC_DENIED, 1ull << 40, 10},
    {4, 1ull << 40, 10, (1ull << 40) + 10, 0, NLMC_GRANTED_OK, 0, 0},
    /* What does not fit in 32 bits. */
    {3, 1ull << 40, 10, 5, 0, NLMC_DENIED, INT32_MAX, 0},
    {3, 5, 1ull << 40, 5, 1, NLMC_DENIED, 5, 0},
    {3, 5, 0, 0, 5, NLMC_GRANTED_OK, 0, 0},
    {1, 0xfffffff0u, 10, 0xfffffff1u, 2, NLMC_DENIED, INT32_MAX, 0},
};

static void all_ranges(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        struct nlmc_lock held = a_lock("alpha", 1, ranges[i].lock_offset, ranges[i].lock_length);
        struct nlmc_lock wanted = a_lock("beta", 2, ranges[i].test_offset, ranges[i].test_length);
        struct rpcclient *client = nlmhost_connect(host, RPCCLIENT_UDP, ranges[i].version, 0);
        struct nlmc_result r;

        assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &held, NULL), NLMC_GRANTED_OK);
        assert_int_equal(nlm_call(client, NLMC_TEST, &file, &wanted, &r), ranges[i].status);
        assert_int_equal(r.offset, ranges[i].offset);
        assert_int_equal(r.length, ranges[i].length);
        assert_int_equal(nlm_call(nlm, NLMC_UNLOCK, &file, &held, NULL), NLMC_GRANTED_OK);
        rpcclient_close(&client);
    }
}

static void split_and_upgrade(void **state)
{
    struct nlmc_lock all = a_lock("alpha", 1, 0, 100), middle = a_lock("alpha", 1, 40, 20);
    struct nlmc_lock theirs = a_lock("beta", 1, 45, 5), shared = a_lock("beta", 1, 0, 100);

    (void)state;
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &all, NULL), NLMC_GRANTED_OK);
    assert_int_equal(nlm_call(nlm, NLMC_UNLOCK, &file, &middle, NULL), NLMC_GRANTED_OK);
    assert_int_equal(counters().locks, 2);
    assert_int_equal(nlm_call(other, NLMC_LOCK, &file, &theirs, NULL), NLMC_GRANTED_OK);
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &all, NULL), NLMC_DENIED);
    assert_int_equal(nlm_call(other, NLMC_UNLOCK, &file, &theirs, NULL), NLMC_GRANTED_OK);
    all.exclusive = false;
    shared.exclusive = false;
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &all, NULL), NLMC_GRANTED_OK);
    assert_int_equal(counters().locks, 1);
    assert_int_equal(nlm_call(other, NLMC_LOCK, &file, &shared, NULL), NLMC_GRANTED_OK);
    all.exclusive = true;
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &all, NULL), NLMC_DENIED);
    assert_int_equal(nlm_call(other, NLMC_UNLOCK, &file, &shared, NULL), NLMC_GRANTED_OK);
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &all, NULL), NLMC_GRANTED_OK);
}

/* The call is answered with nothing, and its result comes as a call. */
static void messages(void **state)
{
    static const uint32_t versions[] = {1, 3, 4};

    (void)state;
    for (int i = 0; i < 6; i++) {
        struct rpcclient *client =
            nlmhost_connect(host, i % 2 ? RPCCLIENT_TCP : RPCCLIENT_UDP, versions[i / 2], 0);
        struct nlmc_lock one = a_lock("alpha", 1, 7, 8), two = a_lock("beta", 2, 0, 0);
        struct nlmc_seen *seen = host->seen;

        memset(host->seen, 0, sizeof host->seen);
        nlm_send(client, NLMC_LOCK_MSG, &file, &one);
        nlmhost_until(host, seen[NLMC_LOCK_RES].count == 1);
        assert_int_equal(seen[NLMC_LOCK_RES].status, NLMC_GRANTED_OK);
        assert_int_equal(seen[NLMC_LOCK_RES].version, versions[i / 2]);
        assert_memory_equal(seen[NLMC_LOCK_RES].cookie, "cook", 4);
        nlm_send(client, NLMC_TEST_MSG, &file, &two);
        nlmhost_until(host, seen[NLMC_TEST_RES].count == 1);
        assert_int_equal(seen[NLMC_TEST_RES].status, NLMC_DENIED);
        assert_int_equal(seen[NLMC_TEST_RES].svid, 1);
        assert_string_equal(seen[NLMC_TEST_RES].owner, "me");
        assert_int_equal(seen[NLMC_TEST_RES].offset, 7);
        assert_int_equal(seen[NLMC_TEST_RES].length, 8);
        nlm_send(client, NLMC_CANCEL_MSG, &file, &two);
        nlmhost_until(host, seen[NLMC_CANCEL_RES].count == 1);
        assert_int_equal(seen[NLMC_CANCEL_RES].status, NLMC_DENIED);
        nlm_send(client, NLMC_UNLOCK_MSG, &file, &one);
        nlmhost_until(host, seen[NLMC_UNLOCK_RES].count == 1);
        assert_int_equal(seen[NLMC_UNLOCK_RES].status, NLMC_GRANTED_OK);
        nlm_send(client, NLMC_GRANTED_MSG, &file, &one);
        nlmhost_until(host, seen[NLMC_GRANTED_RES].count == 1);
        assert_int_equal(seen[NLMC_GRANTED_RES].status, NLMC_DENIED);
        assert_int_equal(counters().locks, 0);
        rpcclient_close(&client);
    }
    assert_int_equal(host->lookups, 6); /* once for each version and transport */
}

static const struct {
    uint32_t mode, owner, uid;
    bool exclusive;
    uint32_t status;
} rights[] = {
    {0644, 1000, 2000, false, NLMC_GRANTED_OK}, {0644, 1000, 2000, true, NLMC_FAILED},
    {0666, 1000, 2000, true, NLMC_GRANTED_OK},  {0600, 1000, 2000, false, NLMC_FAILED},
    {0000, 1000, 1000, true, NLMC_GRANTED_OK},  {0000, 1000, 1000, false, NLMC_GRANTED_OK},
    {0000, 1000, 0, true, NLMC_GRANTED_OK},
};

static void all_rights(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rights / sizeof *rights; i++) {
        struct rpcclient *client = nlmhost_connect(host, RPCCLIENT_UDP, 4, rights[i].uid);
        struct nlmc_lock lock = a_lock("alpha", 1, 0, 0);
        struct nfs3_handle handle;
        char name[16];

        snprintf(name, sizeof name, "r%zu", i);
        handle = new_file(name, rights[i].mode, rights[i].owner);
        lock.exclusive = rights[i].exclusive;
        assert_int_equal(nlm_call(client, NLMC_LOCK, &handle, &lock, NULL), rights[i].status);
        assert_int_equal(nlm_call(client, NLMC_UNLOCK, &handle, &lock, NULL), NLMC_GRANTED_OK);
        rpcclient_close(&client);
    }
}

static void refused(void **state)
{
    struct vfs_export_config export = nfsworld_export("a");
    struct vfs_host_rule elsewhere = {.address = {[0] = 0x20}, .prefix_bits = 128};
    struct nlmc_lock lock = a_lock("alpha", 1, 0, 0), nobody = a_lock("", 1, 0, 0);
    struct rpcclient *v3 = nlmhost_connect(host, RPCCLIENT_UDP, 3, 0);
    struct rpcclient *none = nlmhost_connect(host, RPCCLIENT_UDP, 4, 0);
    struct nfs3_handle bad = file;
    struct writer writer;

    (void)state;
    bad.data[20] ^= 1;
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &bad, &lock, NULL), NLMC_STALE);
    assert_int_equal(nlm_call(v3, NLMC_LOCK, &bad, &lock, NULL), NLMC_NO_LOCKS);
    assert_int_equal(nlm_call(nlm, NLMC_UNLOCK, &bad, &lock, NULL), NLMC_STALE);
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &top, &lock, NULL), NLMC_FAILED);
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &nobody, NULL), NLMC_FAILED);
    rpcclient_none(none);
    assert_int_equal(nlm_call(none, NLMC_LOCK, &file, &lock, NULL), NLMC_FAILED);
    writer_init_growing(&writer, 4096);
    nlm_put_arguments(&writer, 4, NLMC_LOCK, &file, &lock);
    writer_be32(&writer, 0);
    assert_int_equal(rpcclient_call(nlm, NLMC_LOCK, &writer, NULL), RPCCLIENT_GARBAGE_ARGS);
    writer_free(&writer);
    assert_int_equal(nlm_call(nlm, NLMC_GRANTED, &file, &lock, NULL), NLMC_DENIED);
    assert_int_equal(counters().clients, 0);

    /* What is held can be given back when the export is closed to its host. */
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &lock, NULL), NLMC_GRANTED_OK);
    export.hosts_allow = &elsewhere;
    export.hosts_allow_count = 1;
    nfsworld_set_exports(world, &export, 1);
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &lock, NULL), NLMC_FAILED);
    assert_int_equal(nlm_call(nlm, NLMC_TEST, &file, &lock, NULL), NLMC_FAILED);
    assert_int_equal(nlm_call(nlm, NLMC_UNLOCK, &file, &lock, NULL), NLMC_GRANTED_OK);
    assert_int_equal(counters().locks, 0);
    export = nfsworld_export("a");
    export.read_only = true;
    nfsworld_set_exports(world, &export, 1);
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &lock, NULL), NLMC_READ_ONLY);
    lock.exclusive = false;
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &lock, NULL), NLMC_GRANTED_OK);
    rpcclient_close(&v3);
    rpcclient_close(&none);
}

/* Both ways: a lock that a client of another protocol has, and one that it wants. */
static void other_protocols(void **state)
{
    struct lock_request range = {.offset = 50, .length = 10, .exclusive = true};
    struct nlmc_lock lock = a_lock("alpha", 1, 55, 1);
    struct owner *owner = stranger();
    struct state_file *found = state_of(&file);
    struct lock_conflict conflict;
    struct lock_holder *holder;
    struct nlmc_result r;

    (void)state;
    assert_int_equal(lock_holder_get(found, owner, NULL, LOCK_POSIX, &holder), ERR_OK);
    assert_int_equal(lock_set(holder, &range, NULL), ERR_OK);
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &lock, NULL), NLMC_DENIED);
    assert_int_equal(nlm_call(nlm, NLMC_TEST, &file, &lock, &r), NLMC_DENIED);
    assert_int_equal(r.svid, 0);
    assert_int_equal(r.owner_length, 0);
    assert_int_equal(r.offset, 50);
    lock.block = true;
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &lock, NULL), NLMC_BLOCKED);
    assert_int_equal(lock_unset(holder, 50, 10), ERR_OK);
    nlmhost_until(host, host->seen[NLMC_GRANTED].count == 1);
    assert_int_equal(lock_set(holder, &range, &conflict), ERR_DENIED);
    assert_int_equal(conflict.offset, 55);
    assert_int_equal(nlm_call(nlm, NLMC_UNLOCK, &file, &lock, NULL), NLMC_GRANTED_OK);
    assert_int_equal(lock_set(holder, &range, NULL), ERR_OK);
    state_file_unref(&found);
    owner_unref(&owner);
}

static uint32_t share(const char *caller, const char *owner, uint32_t mode, uint32_t access)
{
    struct nlmc_lock lock = {.caller = caller, .owner = owner, .mode = mode, .access = access};

    return nlm_call(nlm, NLMC_SHARE, &file, &lock, NULL);
}

static uint32_t unshare(const char *caller, const char *owner)
{
    struct nlmc_lock lock = {.caller = caller, .owner = owner};

    return nlm_call(nlm, NLMC_UNSHARE, &file, &lock, NULL);
}

static void shares(void **state)
{
    (void)state;
    assert_int_equal(share("alpha", "x", 2, 1), NLMC_GRANTED_OK); /* reads, denies writing */
    assert_int_equal(share("alpha", "x", 2, 1), NLMC_GRANTED_OK); /* again */
    assert_int_equal(counters().opens, 1);
    assert_int_equal(share("beta", "x", 0, 2), NLMC_DENIED);
    assert_int_equal(share("beta", "x", 0, 1), NLMC_GRANTED_OK);
    assert_int_equal(share("alpha", "y", 1, 1), NLMC_DENIED); /* beta and x read */
    assert_int_equal(share("alpha", "x", 3, 1), NLMC_DENIED); /* more than before */
    assert_int_equal(share("beta", "x", 0, 2), NLMC_DENIED);  /* and still what it was */
    assert_int_equal(share("alpha", "x", 0, 1), NLMC_GRANTED_OK);
    assert_int_equal(share("beta", "x", 0, 2), NLMC_GRANTED_OK);
    assert_int_equal(share("alpha", "x", 4, 1), NLMC_FAILED);
    assert_int_equal(share("alpha", "", 0, 1), NLMC_FAILED);
    assert_int_equal(unshare("alpha", "x"), NLMC_GRANTED_OK);
    assert_int_equal(unshare("alpha", "x"), NLMC_GRANTED_OK);
    assert_int_equal(unshare("gamma", "x"), NLMC_GRANTED_OK);
    assert_int_equal(unshare("beta", "x"), NLMC_GRANTED_OK);
    assert_int_equal(counters().opens, 0);
}

static void shares_and_opens(void **state)
{
    struct owner *owner = stranger();
    struct state_file *found = state_of(&file);
    struct open_spec spec = {.file = found, .owner = owner, .access = OPEN_WRITE};
    struct open *open;

    (void)state;
    assert_int_equal(share("alpha", "x", 2, 1), NLMC_GRANTED_OK);
    assert_int_equal(open_add(&spec, &open), ERR_SHARE_DENIED);
    spec.access = OPEN_READ;
    spec.deny = OPEN_READ;
    assert_int_equal(open_add(&spec, &open), ERR_SHARE_DENIED);
    spec.deny = OPEN_WRITE;
    assert_int_equal(open_add(&spec, &open), ERR_OK);
    assert_int_equal(share("beta", "x", 0, 3), NLMC_DENIED);
    open_close(open);
    assert_int_equal(unshare("alpha", "x"), NLMC_GRANTED_OK);
    assert_int_equal(share("beta", "x", 0, 3), NLMC_GRANTED_OK);
    state_file_unref(&found);
    owner_unref(&owner);
}

static void free_all(void **state)
{
    struct nlmc_lock lock = a_lock("alpha", 1, 0, 10), theirs = a_lock("beta", 1, 20, 10);
    struct nlmc_lock waits = a_lock("alpha", 2, 20, 1);

    (void)state;
    waits.block = true;
    assert_int_equal(nlm_call(nlm, NLMC_NM_LOCK, &file, &lock, NULL), NLMC_GRANTED_OK);
    assert_int_equal(nlm_call(nlm, NLMC_NM_LOCK, &file, &theirs, NULL), NLMC_GRANTED_OK);
    assert_int_equal(nlm_call(nlm, NLMC_NM_LOCK, &file, &waits, NULL), NLMC_DENIED); /* never waits */
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &waits, NULL), NLMC_BLOCKED);
    assert_int_equal(share("alpha", "x", 0, 1), NLMC_GRANTED_OK);
    nlm_free_all(nlm, "gamma", 0);
    assert_int_equal(counters().locks, 2);
    nlm_free_all(nlm, "alpha", 0);
    assert_int_equal(counters().locks, 1);
    assert_int_equal(counters().opens, 0);
    assert_int_equal(nlm_call(nlm, NLMC_UNLOCK, &file, &theirs, NULL), NLMC_GRANTED_OK);
    nlmhost_wait_ms(host, 50);
    assert_int_equal(host->seen[NLMC_GRANTED].count, 0);
    assert_int_equal(counters().files, 0);
}

/* A lock outlives its connection; a file its last name, as long as it is locked. */
static void outlive(void **state)
{
    struct nlmc_lock lock = a_lock("alpha", 1, 0, 0), theirs = a_lock("beta", 1, 0, 0);
    struct nfs3_result r;

    (void)state;
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &lock, NULL), NLMC_GRANTED_OK);
    rpcclient_close(&nlm);
    nlmhost_wait_ms(host, 20);
    nlm = nlmhost_connect(host, RPCCLIENT_TCP, 4, 0);
    assert_int_equal(nlm_call(other, NLMC_LOCK, &file, &theirs, NULL), NLMC_DENIED);
    assert_int_equal(nfs3_name_call(nfs, NFS3C_REMOVE, &top, "f", 1, &r), RPCCLIENT_SUCCESS);
    assert_int_equal(r.status, 0);
    assert_int_equal(nlm_call(other, NLMC_TEST, &file, &theirs, NULL), NLMC_DENIED);
    assert_int_equal(nlm_call(nlm, NLMC_UNLOCK, &file, &lock, NULL), NLMC_GRANTED_OK);
    assert_int_equal(nlm_call(other, NLMC_TEST, &file, &theirs, NULL), NLMC_STALE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_version, set_up, tear_down),
        cmocka_unit_test_setup_teardown(owners, set_up, tear_down),
        cmocka_unit_test_setup_teardown(all_ranges, set_up, tear_down),
        cmocka_unit_test_setup_teardown(split_and_upgrade, set_up, tear_down),
        cmocka_unit_test_setup_teardown(messages, set_up, tear_down),
        cmocka_unit_test_setup_teardown(all_rights, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_protocols, set_up, tear_down),
        cmocka_unit_test_setup_teardown(shares, set_up, tear_down),
        cmocka_unit_test_setup_teardown(shares_and_opens, set_up, tear_down),
        cmocka_unit_test_setup_teardown(free_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(outlive, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
