/*
 * test_nfs4_limits.c - very many clients, opens and locks: what is over a limit is answered by the protocol's
 * own errors, others are served meanwhile, memory stays bounded, and what was given back can be had again.
 *
 * The limits are a fiftieth of what is asked for, as sanitisers make each allocation dear;
 * DITTOFS_TEST_FULL=1 takes 10,000 clients, 100,000 opens and 100,000 locks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nfs4world.h"
#include "simclock.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LEASE_S = 90 };

static struct nfs4world world;
static uint32_t minor;
static uint32_t clients_most, opens_most, locks_most;

static int set_up(void **state)
{
    struct nfsworld_options options = {.state = {.lease_ms = LEASE_S * 1000}};
    bool full = getenv("DITTOFS_TEST_FULL") != NULL;

    (void)state;
    clients_most = full ? 10000 : 200;
    opens_most = full ? 100000 : 2000;
    locks_most = full ? 100000 : 2000;
    options.state.max_clients = clients_most;
    options.state.max_opens = opens_most;
    options.state.max_locks = locks_most;
    options.state.max_owners = 2 * opens_most + 100;
    simclock_install();
    simclock_set_tick_ns(1000);
    nfs4world_open(&world, minor, &options);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    nfs4world_close(&world);
    simclock_remove();
    return 0;
}

static struct state_counters figures(void)
{
    struct state_counters counters;

    state_counters(world.world->state, &counters);
    return counters;
}

static uint32_t over_limit(void)
{
    return minor == 0 ? NFS4ERR_RESOURCE : NFS4ERR_DELAY;
}

/* What this process takes, server and client together; said when the table is full (docs/NFS.md). */
static uint64_t resident_kib(void)
{
    FILE *file;
    unsigned long all = 0, resident = 0;

    malloc_trim(0); /* what an earlier test has freed does not count */
    file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu %lu", &all, &resident), 2);
    fclose(file);
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
}

static void say_taken(const char *what, uint32_t count, uint64_t before_kib)
{
    uint64_t now_kib = resident_kib();

    print_message("minor %u: %u %s: %llu KiB\n", minor, count, what,
                  (unsigned long long)(now_kib > before_kib ? now_kib - before_kib : 0));
}

static void renew(struct wire4 *w)
{
    wire4_begin(w);
    if (minor == 0) {
        wire4_op(w, OP_RENEW);
        writer_be64(&w->request, w->clientid);
    } else {
        wire4_putrootfh(w);
    }
    assert_int_equal(wire4_send(w), NFS4_OK);
}

/* ---- clients ---- */

static uint32_t say_hello(struct wire4 *w, uint32_t number)
{
    char name[32];

    snprintf(name, sizeof name, "client %u", number);
    wire4_begin_bare(w);
    wire4_op(w, minor == 0 ? OP_SETCLIENTID : OP_EXCHANGE_ID);
    writer_be64(&w->request, 1);
    writer_xdr_opaque(&w->request, name, strlen(name));
    if (minor == 0) {
        writer_be32(&w->request, 0x40000000);
        writer_xdr_opaque(&w->request, "tcp", 3);
        writer_xdr_opaque(&w->request, "127.0.0.1.0.111", 15);
        writer_be32(&w->request, 1);
    } else {
        writer_zeros(&w->request, 12);
    }
    return wire4_send(w);
}

/* Names that nobody confirms give way to newer ones; who is known works on. */
static void unconfirmed_clients(void **state)
{
    struct wire4 *w = wire4_open(world.root_rpc, minor);

    (void)state;
    for (uint32_t i = 0; i < 2 * clients_most; i++) {
        say_hello(w, i);
        assert_true(w->status == NFS4_OK || w->status == over_limit());
        assert_true(figures().clients <= clients_most);
    }
    renew(world.root);
    expect4(world.root, NFS4_OK, wire4_putfh(world.root, &world.top), wire4_lookup(world.root, "file"));
    for (int s = 0; s < LEASE_S + 20; s += 10) {
        nfsworld_advance(world.world, 10000);
        renew(world.root);
        renew(world.user);
    }
    assert_true(figures().clients <= 2);
    assert_int_equal(say_hello(w, 0), NFS4_OK);
    wire4_close(&w);
}

/* Clients with a lease that runs: the table is full, a new one is refused, and taken when one's lease is
 * over. */
static void clients(void **state)
{
    struct wire4 *w = wire4_open(world.root_rpc, minor);
    uint64_t before_kib = resident_kib();
    char name[32];

    (void)state;
    while (figures().clients < clients_most) {
        snprintf(name, sizeof name, "client %u", figures().clients);
        wire4_introduce(w, name, 1, true);
    }
    say_taken("clients", clients_most, before_kib);
    for (uint32_t i = 0; i < 100; i++)
        assert_int_equal(say_hello(w, clients_most + 1000 + i), over_limit());
    renew(world.root);
    expect4(world.root, NFS4_OK, wire4_putfh(world.root, &world.top), wire4_lookup(world.root, "file"));
    for (int s = 0; s < LEASE_S + 20; s += 10) {
        nfsworld_advance(world.world, 10000);
        renew(world.root);
        renew(world.user);
    }
    assert_int_equal(say_hello(w, clients_most + 1000), NFS4_OK);
    wire4_close(&w);
}

/* Clients that hold something and are silent: the oldest gives way to a new one. */
static void silent_clients_give_way(void **state)
{
    struct wire4_owner owner = wire4_owner("keeper");
    uint32_t made = 0;

    (void)state;
    for (; made < clients_most + 50; made++) {
        char name[32];
        struct wire4 *w;

        snprintf(name, sizeof name, "silent %u", made);
        w = nfs4world_client(&world, minor, 0, name);
        owner = wire4_owner("keeper");
        wire4_open_at(w, &owner, &world.top, "file", 1, 0, WIRE4_NOCREATE, NULL);
        nfs4world_end(&w);
        if (made == clients_most / 2) /* these become expired */
            for (int s = 0; s < LEASE_S + 20; s += 10) {
                nfsworld_advance(world.world, 10000);
                renew(world.root);
                renew(world.user);
            }
    }
    assert_true(figures().clients <= clients_most);
    assert_true(figures().evicted_total >= 50);
    renew(world.root);
}

/* ---- opens and locks ---- */

static void opens(void **state)
{
    struct wire4 *w = world.root;
    struct wire4_handle file = world.objects[N4_FILE];
    struct wire4_owner *owners = calloc(opens_most + 1, sizeof *owners);
    struct wire4_stateid *stateids = calloc(opens_most + 1, sizeof *stateids);
    uint32_t made = 0;
    uint64_t before_kib;
    char key[32];

    (void)state;
    assert_true(owners != NULL && stateids != NULL);
    memset(owners, 1, (opens_most + 1) * sizeof *owners);
    memset(stateids, 1, (opens_most + 1) * sizeof *stateids);
    before_kib = resident_kib();
    for (;;) {
        assert_true(made <= opens_most);
        snprintf(key, sizeof key, "opener %u", made);
        owners[made] = wire4_owner(key);
        wire4_begin(w);
        wire4_putfh(w, &world.top);
        wire4_open_name(w, &owners[made], "file", 3, 0, WIRE4_NOCREATE, NULL, 0);
        if (wire4_send(w) != NFS4_OK)
            break;
        stateids[made] = wire4_last(w)->stateid;
        if (minor == 0) {
            expect4(w, NFS4_OK, wire4_putfh(w, &file), wire4_open_confirm(w, &owners[made], &stateids[made]));
            stateids[made] = wire4_last(w)->stateid;
        }
        made++;
    }
    assert_int_equal(w->status, over_limit());
    assert_int_equal(made, opens_most);
    assert_int_equal(figures().opens, opens_most);
    say_taken("opens, each of another owner", made, before_kib);
    /* The same for everybody; what is open works, also without an open. */
    expect4(world.user, NFS4_OK, wire4_putfh(world.user, &file),
            wire4_read(world.user, OP_READ, &wire4_anonymous, 0, 1));
    expect4(w, NFS4_OK, wire4_putfh(w, &file), wire4_read(w, OP_READ, &stateids[made / 2], 0, 1));
    for (uint32_t i = 0; i < made; i++)
        expect4(w, NFS4_OK, wire4_putfh(w, &file), wire4_close_file(w, &owners[i], &stateids[i]));
    assert_int_equal(figures().opens, 0);
    owners[made] = wire4_owner("again");
    wire4_open_at(w, &owners[made], &world.top, "file", 3, 0, WIRE4_NOCREATE, NULL);
    free(owners);
    free(stateids);
}

static void locks(void **state)
{
    struct wire4 *w = world.root;
    struct wire4_handle file;
    struct wire4_owner opener = wire4_owner("opener"), locker = wire4_owner("locker");
    struct wire4_stateid open = wire4_open_at(w, &opener, &world.top, "file", 3, 0, WIRE4_NOCREATE, &file);
    struct wire4_stateid lock;
    uint64_t before_kib = resident_kib();
    uint32_t made = 1;

    (void)state;
    expect4(w, NFS4_OK, wire4_putfh(w, &file),
            wire4_lock_new(w, WIRE4_WRITE_LT, false, 0, 1, &opener, &open, &locker));
    lock = wire4_last(w)->stateid;
    for (;;) {
        assert_true(made <= locks_most);
        wire4_begin(w);
        wire4_putfh(w, &file);
        wire4_lock(w, WIRE4_WRITE_LT, false, (uint64_t)made * 2, 1, &locker, &lock);
        if (wire4_send(w) != NFS4_OK)
            break;
        lock = wire4_last(w)->stateid;
        made++;
    }
    assert_int_equal(w->status, over_limit());
    assert_int_equal(made, locks_most);
    assert_int_equal(figures().locks, locks_most);
    say_taken("locked ranges", made, before_kib);
    if (minor == 0) /* RESOURCE left the owner's sequence where it was */
        locker.seqid--;
    expect4(w, NFS4_OK, wire4_putfh(w, &file), wire4_locku(w, 0, UINT64_MAX, &locker, &lock));
    assert_int_equal(figures().locks, 0);
    expect4(w, NFS4_OK, wire4_putfh(w, &file), wire4_close_file(w, &opener, &open));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(unconfirmed_clients, set_up, tear_down),
        cmocka_unit_test_setup_teardown(clients, set_up, tear_down),
        cmocka_unit_test_setup_teardown(silent_clients_give_way, set_up, tear_down),
        cmocka_unit_test_setup_teardown(opens, set_up, tear_down),
        cmocka_unit_test_setup_teardown(locks, set_up, tear_down),
    };
    int failed = 0;

    for (minor = 0; minor <= 1; minor++)
        failed += cmocka_run_group_tests(tests, NULL, NULL);
    return failed;
}
