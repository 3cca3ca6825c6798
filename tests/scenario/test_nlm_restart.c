/*
 * test_nlm_restart.c - restarts on both sides: ours, with notices to the hosts that held locks, grace and
 * reclaim; and theirs, told by NOTIFY. And the part of NSM that is for programs of our own machine.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "loopback.h"
#include "nlm_fixture.h"
#include "simdisk.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

enum { STAT = 1, MON, UNMON, UNMON_ALL, SIMU_CRASH };

static void restart(void)
{
    disconnect_all();
    nfsworld_restart(world);
    connect_all();
}

static struct rpcclient *nsm_client(void)
{
    struct rpcclient *client = nlmhost_connect(host, RPCCLIENT_UDP, 1, 0);

    rpcclient_program(client, 100024, 1);
    return client;
}

/* A datagram client that calls from 127.0.0.2: another host. */
static struct rpcclient *nsm_client_elsewhere(void)
{
    struct rpcclient *client = nsm_client();
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002)};
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(world->port),
                             .sin_addr.s_addr = inet_addr(loopback_address())};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof from), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_true(dup2(fd, client->fd) >= 0);
    close(fd);
    return client;
}

static void notify(const char *name, uint32_t state)
{
    struct rpcclient *client = nsm_client();

    nsm_notify(client, name, state);
    rpcclient_close(&client);
}

static void end_grace(void)
{
    grace_end(world->state);
    nlmhost_until(host, !grace_is_active(world->state));
}

static void reclaimed(void **state)
{
    struct nlmc_lock lock = a_lock("alpha", 1, 0, 10), theirs = a_lock("beta", 1, 20, 10);
    struct nlmc_lock fresh = a_lock("gamma", 1, 100, 10), bad = fresh;
    uint32_t first_state;
    struct rpcclient *nsm = nsm_client();

    (void)state;
    first_state = nsm_call(nsm, STAT, "x", NULL, 0, 0, &(uint32_t){0});
    rpcclient_close(&nsm);
    assert_int_equal(first_state % 2, 1);
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &lock, NULL), NLMC_GRANTED_OK);
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &theirs, NULL), NLMC_GRANTED_OK);
    restart();
    nlmhost_until(host, host->notices == 4); /* two hosts, by our address and by our name */
    assert_int_equal(host->notice_state, first_state + 2);
    assert_true(grace_is_active(world->state));
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &fresh, NULL), NLMC_GRACE);
    fresh.block = true;
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &fresh, NULL), NLMC_GRACE);
    assert_int_equal(nlm_call(nlm, NLMC_TEST, &file, &fresh, NULL), NLMC_GRACE);
    bad.reclaim = true; /* had nothing */
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &bad, NULL), NLMC_DENIED);
    lock.reclaim = theirs.reclaim = true;
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &lock, NULL), NLMC_GRANTED_OK);
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &theirs, NULL), NLMC_GRANTED_OK);
    end_grace();
    lock.reclaim = theirs.reclaim = false;
    fresh.offset = 5;
    fresh.block = false;
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &fresh, NULL), NLMC_DENIED);
    theirs.reclaim = true;
    theirs.offset = 1000;
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &theirs, NULL), NLMC_DENIED); /* too late */
    assert_int_equal(counters().locks, 2);
    /* All of it once more: what was reclaimed is recorded as what was locked. */
    restart();
    nlmhost_until(host, host->notices == 8);
    assert_int_equal(host->notice_state, first_state + 4);
    lock.reclaim = true;
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &lock, NULL), NLMC_GRANTED_OK);
}

static void shares_reclaimed(void **state)
{
    struct nlmc_lock share = {.caller = "alpha", .owner = "x", .mode = 2, .access = 1};
    struct nlmc_lock theirs = {.caller = "beta", .owner = "x", .mode = 0, .access = 2};

    (void)state;
    assert_int_equal(nlm_call(nlm, NLMC_SHARE, &file, &share, NULL), NLMC_GRANTED_OK);
    restart();
    nlmhost_until(host, host->notices == 2);
    assert_int_equal(nlm_call(nlm, NLMC_SHARE, &file, &theirs, NULL), NLMC_GRACE);
    share.reclaim = true;
    assert_int_equal(nlm_call(nlm, NLMC_SHARE, &file, &share, NULL), NLMC_GRANTED_OK);
    end_grace();
    assert_int_equal(nlm_call(nlm, NLMC_SHARE, &file, &theirs, NULL), NLMC_DENIED);
    assert_int_equal(nlm_call(nlm, NLMC_UNSHARE, &file, &share, NULL), NLMC_GRANTED_OK);
    assert_int_equal(nlm_call(nlm, NLMC_SHARE, &file, &theirs, NULL), NLMC_GRANTED_OK);
}

/* Again and again, until they are answered; who does not lock again is not told the next time. */
static void notices_repeated(void **state)
{
    struct nlmc_lock lock = a_lock("alpha", 1, 0, 10);
    int notices;

    (void)state;
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &lock, NULL), NLMC_GRANTED_OK);
    host->mute = true;
    restart();
    nlmhost_until(host, host->notices >= 4);
    host->mute = false;
    notices = host->notices;
    nlmhost_until(host, host->notices >= notices + 2);
    nlmhost_wait_ms(host, 200);
    host->notices = 0;
    end_grace();
    restart();
    nlmhost_wait_ms(host, 300);
    assert_int_equal(host->notices, 0);
    assert_false(grace_is_active(world->state));
}

/* A host that holds nothing for a while is forgotten; who waits, or holds something, is not. */
static void idle_hosts(void **state)
{
    struct nlmc_lock lock = a_lock("alpha", 1, 0, 10), theirs = a_lock("beta", 1, 20, 10);
    struct nlmc_lock waits = a_lock("gamma", 1, 20, 10);

    (void)state;
    world->options.locking.host_idle_ms = 100;
    restart();
    waits.block = true;
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &lock, NULL), NLMC_GRANTED_OK);
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &theirs, NULL), NLMC_GRANTED_OK);
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &waits, NULL), NLMC_BLOCKED);
    nlmhost_wait_ms(host, 250);
    assert_int_equal(counters().clients, 3);
    assert_int_equal(nlm_call(nlm, NLMC_UNLOCK, &file, &lock, NULL), NLMC_GRANTED_OK);
    nlmhost_until(host, counters().clients == 2);
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &lock, NULL), NLMC_GRANTED_OK);
    assert_int_equal(nlm_call(nlm, NLMC_UNLOCK, &file, &lock, NULL), NLMC_GRANTED_OK);
    assert_int_equal(nlm_call(nlm, NLMC_UNLOCK, &file, &theirs, NULL), NLMC_GRANTED_OK);
    nlmhost_until(host, host->seen[NLMC_GRANTED].count == 1);
    nlmhost_until(host, counters().clients == 1);
    restart();
    nlmhost_until(host, host->notices == 2);
    assert_true(grace_is_active(world->state));
    nlmhost_wait_ms(host, 100);
    assert_int_equal(host->notices, 2);
}

/* A first lock that can't be recorded is not given: after a crash its host would not be told. */
static void not_recorded(void **state)
{
    struct nlmc_lock lock = a_lock("alpha", 1, 0, 10), share = lock;

    (void)state;
    nfsworld_turn(world, 50);
    simdisk_fail(world->disk, 1, ERR_IO, SIMDISK_STICKY);
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &lock, NULL), NLMC_FAILED);
    assert_int_equal(counters().locks, 0);
    share.mode = share.access = 1;
    assert_int_equal(nlm_call(nlm, NLMC_SHARE, &file, &share, NULL), NLMC_FAILED);
    assert_int_equal(counters().opens, 0);
    disconnect_all();
    nfsworld_abandon(&world);
    nlmhost_close(&host);
}

static uint32_t locks_after(const char *name, uint32_t state)
{
    notify(name, state);
    return counters().locks;
}

static void their_restart(void **state)
{
    struct nlmc_lock lock = a_lock("alpha.example", 1, 0, 10), waits = a_lock("beta", 1, 5, 1);
    struct rpcclient *elsewhere = nsm_client_elsewhere();

    (void)state;
    waits.block = true;
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &lock, NULL), NLMC_GRANTED_OK);
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &waits, NULL), NLMC_BLOCKED);
    assert_int_equal(locks_after("gamma", 5), 1);
    assert_int_equal(locks_after("alpha2", 5), 1);
    assert_int_equal(locks_after("", 5), 1);
    nsm_notify(elsewhere, "alpha.example", 5); /* another host of that name */
    assert_int_equal(counters().locks, 1);
    assert_int_equal(host->seen[NLMC_GRANTED].count, 0);
    notify("ALPHA.example", 5);
    nlmhost_until(host, host->seen[NLMC_GRANTED].count == 1); /* beta has its turn */
    assert_int_equal(locks_after("beta", 5), 0);
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &lock, NULL), NLMC_GRANTED_OK);
    assert_int_equal(locks_after("alpha", 5), 1); /* the same notice again */
    assert_int_equal(locks_after("alpha", 7), 0); /* without its domain */
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &lock, NULL), NLMC_GRANTED_OK);
    assert_int_equal(locks_after("127.0.0.1", 9), 0); /* by its address */
    rpcclient_close(&elsewhere);
}

/* The notice may be late: the first lock of the new life says as much. */
static void their_restart_seen_at_lock(void **state)
{
    struct nlmc_lock lock = a_lock("alpha", 1, 0, 10), fresh = a_lock("alpha", 2, 0, 5);

    (void)state;
    lock.state = 11;
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &lock, NULL), NLMC_GRANTED_OK);
    fresh.state = 11;
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &fresh, NULL), NLMC_DENIED);
    fresh.state = 9; /* not newer */
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &fresh, NULL), NLMC_DENIED);
    fresh.state = 13;
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &fresh, NULL), NLMC_GRANTED_OK);
    assert_int_equal(counters().locks, 1);
    assert_int_equal(locks_after("alpha", 13), 1); /* comes late */
    /* What we know of it survives our restart. */
    restart();
    fresh.reclaim = true;
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &fresh, NULL), NLMC_GRANTED_OK);
    assert_int_equal(locks_after("alpha", 13), 1);
    assert_int_equal(locks_after("alpha", 15), 0);
}

static bool count_missing(void *data, const struct grace_missing *missing)
{
    (void)missing;
    ++*(int *)data;
    return true;
}

/* Both restart: the host has nothing to reclaim, and grace does not wait for it. */
static void both_restart(void **state)
{
    struct nlmc_lock lock = a_lock("alpha", 1, 0, 10), theirs = a_lock("beta", 1, 20, 10);
    int missing = 0;

    (void)state;
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &lock, NULL), NLMC_GRANTED_OK);
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &theirs, NULL), NLMC_GRANTED_OK);
    restart();
    grace_missing_each(world->state, count_missing, &missing);
    assert_int_equal(missing, 2);
    notify("alpha", 5);
    missing = 0;
    grace_missing_each(world->state, count_missing, &missing);
    assert_int_equal(missing, 1);
    lock.reclaim = true;
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &lock, NULL), NLMC_DENIED);
    notify("beta", 5);
    nlmhost_until(host, !grace_is_active(world->state));
    lock.reclaim = false;
    assert_int_equal(nlm_call(nlm, NLMC_LOCK, &file, &lock, NULL), NLMC_GRANTED_OK);
}

/* What a program of this machine asks for; whose host is 127.0.0.1 here, as all are. */
static void watches(void **state)
{
    struct rpcclient *nsm = nsm_client(), *elsewhere = nsm_client_elsewhere();
    uint32_t result, number;

    (void)state;
    number = nsm_call(nsm, STAT, "anything", NULL, 0, 0, &result);
    assert_int_equal(result, 0);
    nsm_call(nsm, MON, "a.name", "x", 100024, 9, &result);
    assert_int_equal(result, 1);
    assert_int_equal(nsm_call(nsm, MON, "127.0.0.1", "x", 100024, 9, &result), number);
    assert_int_equal(result, 0);
    nsm_call(nsm, MON, "127.0.0.1", "x", 100024, 9, &result); /* again: it is one watch */
    nsm_notify(nsm, "whoever", 21);
    nlmhost_until(host, host->told == 1);
    assert_int_equal(host->told_state, 21);
    nlmhost_wait_ms(host, 50);
    assert_int_equal(host->told, 1);
    nsm_notify(elsewhere, "whoever", 23); /* not the host that is watched */
    nsm_call(nsm, UNMON, "127.0.0.1", "y", 100024, 9, NULL);
    nlmhost_wait_ms(host, 50);
    assert_int_equal(host->told, 1);
    rpcclient_close(&nsm);
    rpcclient_close(&elsewhere);

    /* It survives our restart, of which the watched host is told. */
    restart();
    nlmhost_until(host, host->notices == 1);
    assert_int_equal(host->notice_state, number + 2);
    nsm = nsm_client();
    nsm_notify(nsm, "whoever", 25);
    nlmhost_until(host, host->told == 2);
    assert_int_equal(nsm_call(nsm, STAT, "x", NULL, 0, 0, &result), number + 2);
    nsm_call(nsm, SIMU_CRASH, NULL, NULL, 0, 0, NULL);
    nlmhost_until(host, host->notices == 2);
    assert_int_equal(host->notice_state, number + 4);
    nsm_call(nsm, UNMON_ALL, NULL, "x", 100024, 9, NULL);
    nsm_notify(nsm, "whoever", 27);
    nlmhost_wait_ms(host, 50);
    assert_int_equal(host->told, 2);
    rpcclient_close(&nsm);
    restart();
    nlmhost_wait_ms(host, 200);
    assert_int_equal(host->notices, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reclaimed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(shares_reclaimed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(notices_repeated, set_up, tear_down),
        cmocka_unit_test_setup_teardown(idle_hosts, set_up, tear_down),
        cmocka_unit_test_setup(not_recorded, set_up),
        cmocka_unit_test_setup_teardown(their_restart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(their_restart_seen_at_lock, set_up, tear_down),
        cmocka_unit_test_setup_teardown(both_restart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(watches, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
