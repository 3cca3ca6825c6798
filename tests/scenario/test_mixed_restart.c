/*
 * test_mixed_restart.c - a restart while 50 hosts of NLM, 50 clients of NFSv4 (4.0, 4.1 and 4.2 in turns) and
 * 50 machines of SMB, whose handles are persistent, hold a range each of one file. NFS reclaims, SMB's stand
 * from the first moment: nothing is lost, nothing is given away in between, and grace is over as soon as all
 * of NFS are back. What machines of SMB without persistent handles held is gone with their connections.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dittofs/recovery.h"
#include "lockactor.h"
#include "simclock.h"

#include <stdio.h>
#include <string.h>

enum {
    EACH = 50,
    OWNERS = 3 * EACH,
    STRANGERS = 3,
    RANGE = 10,
    GRACE_MS = 90000,
    LEASE_MS = 600000,
    EARLY_MS = 10000 /* far less than grace would last */
};
#define FREE_OFFSET ((uint64_t)1000000)

static struct smbworld *world;
static struct actor *owners[OWNERS];       /* by number: its range is number * RANGE */
static struct actor *strangers[STRANGERS]; /* NFSv3, NFSv4.1, SMB: who held nothing */
static bool persistent;                    /* SMB's handles are */

static enum actor_protocol protocol_of(int number)
{
    static const enum actor_protocol versions[] = {ACTOR_V40, ACTOR_V41, ACTOR_V42};

    if (number % 3 == 0)
        return ACTOR_V3;
    return number % 3 == 1 ? versions[number / 3 % 3] : ACTOR_SMB;
}

static bool is_smb(int number)
{
    return protocol_of(number) == ACTOR_SMB;
}

static uint64_t offset_of(int number)
{
    return (uint64_t)number * RANGE;
}

static struct state_counters counters(void)
{
    struct state_counters now;

    state_counters(world->nfs->state, &now);
    return now;
}

static unsigned access_of(const struct actor *actor)
{
    return actor->protocol == ACTOR_V3 ? 0 : OPEN_READ | OPEN_WRITE;
}

static void new_actors(void)
{
    static const enum actor_protocol kinds[STRANGERS] = {ACTOR_V3, ACTOR_V41, ACTOR_SMB};
    char name[32];

    for (int i = 0; i < OWNERS; i++) {
        snprintf(name, sizeof name, "owner %d", i);
        owners[i] = persistent && is_smb(i) ? actor_new_persistent(world, name)
                                            : actor_new(world, protocol_of(i), name);
        assert_int_equal(actor_open(owners[i], "f", access_of(owners[i]), 0), OUT_OK);
        assert_int_equal(actor_lock(owners[i], offset_of(i), RANGE, true), OUT_OK);
    }
    for (int i = 0; i < STRANGERS; i++) {
        snprintf(name, sizeof name, "stranger %d", i);
        strangers[i] = actor_new(world, kinds[i], name);
    }
}

static int set_up_world(bool with_persistent)
{
    struct nfsworld_options options = {
        .state = {.grace_ms = GRACE_MS, .lease_ms = LEASE_MS},
        .locking = {.portmap_port = 1, .notify_retry_ms = 60000}, /* nobody answers there */
    };
    struct nfs3_new_attr attr = {.set = NFS3_SET_MODE | NFS3_SET_UID, .mode = 0666, .uid = 1000};
    struct rpcclient *maker;
    struct nfs3_handle top;
    struct nfs3_result r;

    persistent = with_persistent;
    simclock_install();
    simclock_set_tick_ns(1000);
    world = persistent ? smbworld_open_persistent(&options) : smbworld_open(&options, NULL);
    maker = nfsworld_client(world->nfs, 0, 0);
    top = nfsworld_mount(maker, "/a");
    assert_int_equal(nfs3_create(maker, &top, "f", 1, &attr, 0, &r), RPCCLIENT_SUCCESS);
    assert_int_equal(r.status, 0);
    rpcclient_close(&maker);
    new_actors();
    assert_int_equal(counters().locks, OWNERS);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    return set_up_world(true);
}

static int set_up_without(void **state)
{
    (void)state;
    return set_up_world(false);
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < OWNERS; i++)
        actor_free(&owners[i]);
    for (int i = 0; i < STRANGERS; i++)
        actor_free(&strangers[i]);
    smbworld_close(&world);
    simclock_remove();
    return 0;
}

static bool count_opens(void *data, const struct smb_missing *missing)
{
    *(unsigned *)data += missing->opens;
    return true;
}

static unsigned smb_missing(void)
{
    unsigned opens = 0;

    smb_missing_each(world->server, count_opens, &opens);
    return opens;
}

static void restart(void)
{
    if (persistent)
        smbworld_crash(world, 1);
    else
        smbworld_restart(world);
    assert_true(grace_is_active(world->nfs->state));
    assert_int_equal(counters().locks, persistent ? EACH : 0);
    assert_int_equal(smb_missing(), persistent ? EACH : 0);
    for (int i = 0; i < OWNERS; i++) {
        actor_reconnect(owners[i]);
        if (is_smb(i) && !persistent)
            owners[i]->has_open = owners[i]->has_lock = false;
    }
    for (int i = 0; i < STRANGERS; i++) {
        actor_reconnect(strangers[i]);
        actor_complete(strangers[i]);
    }
}

/* Who comes anew gets nothing, wherever he asks; who held nothing has nothing to reclaim. */
static void nothing_new(void)
{
    struct actor *nfs3 = strangers[0], *nfs4 = strangers[1], *smb = strangers[2];

    assert_int_equal(actor_open(nfs3, "f", 0, 0), OUT_OK);
    assert_int_equal(actor_lock(nfs3, FREE_OFFSET, 1, true), OUT_LATER);
    assert_int_equal(actor_reclaim(nfs3, FREE_OFFSET, 1, true), OUT_GONE);
    assert_int_equal(actor_open(nfs4, "f", OPEN_READ | OPEN_WRITE, 0), OUT_LATER);
    assert_int_equal(actor_open(smb, "f", OPEN_READ | OPEN_WRITE, 0), OUT_LATER);
    /* Nor do those of SMB that come back. */
    if (!persistent)
        assert_int_equal(actor_open(owners[2], "f", OPEN_READ | OPEN_WRITE, 0), OUT_LATER);
}

/* Not in the order in which they locked. */
static void reclaim_all(int but)
{
    for (int i = 0; i < OWNERS; i++) {
        int number = (i * 77 + 5) % OWNERS;

        if ((is_smb(number) && !persistent) || number == but)
            continue;
        assert_int_equal(actor_reclaim(owners[number], offset_of(number), RANGE, true), OUT_OK);
        assert_true(grace_is_active(world->nfs->state));
        if (i % 10 == 0)
            nothing_new();
    }
    for (int i = 0; i < OWNERS; i++) {
        if (i != but)
            actor_complete(owners[i]);
    }
}

/* The programs of all hosts want more. */
static void ask_for_more(int but)
{
    for (int i = 0; i < OWNERS; i++) {
        if (!is_smb(i) && i != but && owners[i]->protocol <= ACTOR_V40)
            assert_int_equal(actor_lock(owners[i], FREE_OFFSET + offset_of(i), RANGE, false), OUT_LATER);
    }
}

/* Those of SMB, whose handles are not persistent, take what was theirs again, and no more. */
static void take_again(int lost)
{
    for (int i = 2; i < OWNERS; i += 3) {
        assert_int_equal(actor_open(owners[i], "f", OPEN_READ | OPEN_WRITE, 0), OUT_OK);
        assert_int_equal(actor_lock(owners[i], offset_of(i), RANGE, true), OUT_OK);
        if (i - 1 != lost)
            assert_int_equal(actor_lock(owners[i], offset_of(i - 1), RANGE, true), OUT_DENIED);
    }
}

/* What every owner has is denied to all others; where SMB was without persistent handles, and beside it all,
 * is free. */
static void check_ranges(int lost)
{
    unsigned held = (persistent ? OWNERS : 2 * EACH) - (lost >= 0 ? 1 : 0);

    struct actor *nfs3 = strangers[0], *nfs4 = strangers[1];

    assert_int_equal(actor_open(nfs4, "f", OPEN_READ | OPEN_WRITE, 0), OUT_OK);
    for (int i = 0; i < OWNERS; i++) {
        struct actor *asker = i % 2 == 0 ? nfs3 : nfs4;
        enum outcome wanted = (is_smb(i) && !persistent) || i == lost ? OUT_OK : OUT_DENIED;

        assert_int_equal(actor_lock(asker, offset_of(i), RANGE, false), wanted);
        if (wanted == OUT_OK)
            assert_int_equal(actor_unlock(asker, offset_of(i), RANGE), OUT_OK);
    }
    assert_int_equal(counters().locks, held);
    if (!persistent)
        take_again(lost);
    assert_int_equal(counters().locks, OWNERS - (lost >= 0 ? 1 : 0));
}

/* The clock goes on by MS, then stands still: the record of grace's end has to become durable. */
static void end_within(uint64_t ms)
{
    nfsworld_advance(world->nfs, ms);
    for (uint64_t end_ms = nlmhost_now_ms() + 30000; grace_is_active(world->nfs->state);) {
        assert_true(nlmhost_now_ms() < end_ms);
        nfsworld_turn(world->nfs, 1);
    }
}

static void all_come_back(void **state)
{
    (void)state;
    restart();
    nothing_new();
    reclaim_all(-1);
    assert_int_equal(counters().locks, persistent ? OWNERS : 2 * EACH);
    assert_int_equal(smb_missing(), 0);
    nfsworld_advance(world->nfs, 500);
    ask_for_more(-1);
    end_within(EARLY_MS);
    check_ranges(-1);
    for (int i = 0; i < OWNERS; i++)
        actor_release(owners[i]);
    actor_release(strangers[1]);
    assert_int_equal(counters().locks + counters().opens, 0);
}

static bool count_missing(void *data, const struct grace_missing *missing)
{
    (void)missing;
    ++*(int *)data;
    return true;
}

/* One stays away: grace lasts, for everybody; then what it had is free, and it can't reclaim any more. */
static void one_stays_away(void **state)
{
    enum { AWAY = 4 };
    int missing = 0;

    (void)state;
    assert_int_equal(protocol_of(AWAY), ACTOR_V41);
    restart();
    reclaim_all(AWAY);
    nfsworld_advance(world->nfs, 500);
    ask_for_more(AWAY);
    nfsworld_advance(world->nfs, EARLY_MS);
    assert_true(grace_is_active(world->nfs->state));
    grace_missing_each(world->nfs->state, count_missing, &missing);
    assert_int_equal(missing, 1);
    nothing_new();
    nfsworld_advance(world->nfs, GRACE_MS - 2 * EARLY_MS);
    assert_true(grace_is_active(world->nfs->state));
    end_within(2 * EARLY_MS);
    for (int i = 0; i < OWNERS; i++) {
        /* Their leases ran on meanwhile. */
        if (protocol_of(i) != ACTOR_V3 && !is_smb(i))
            assert_int_equal(actor_read(owners[i]), OUT_OK);
    }
    assert_int_equal(actor_reclaim(owners[AWAY], offset_of(AWAY), RANGE, true), OUT_GONE);
    check_ranges(AWAY);
}

/* Nobody of SMB comes back: grace does not wait for them, and what they had is not given away; when their
 * time is over, it is free. */
static void smb_stays_away(void **state)
{
    enum { TIME_MS = 60000, AWAY = 2 };

    (void)state;
    restart();
    for (int i = 0; i < OWNERS; i++) {
        if (!is_smb(i))
            assert_int_equal(actor_reclaim(owners[i], offset_of(i), RANGE, true), OUT_OK);
    }
    for (int i = 0; i < OWNERS; i++)
        actor_complete(owners[i]);
    nfsworld_advance(world->nfs, 500);
    ask_for_more(-1);
    end_within(EARLY_MS);
    assert_int_equal(smb_missing(), EACH);
    assert_int_equal(actor_open(strangers[0], "f", 0, 0), OUT_OK);
    check_ranges(-1);
    nfsworld_advance(world->nfs, TIME_MS);
    assert_int_equal(smb_missing(), 0);
    assert_int_equal(counters().locks, 2 * EACH);
    assert_int_equal(actor_lock(strangers[0], offset_of(AWAY), RANGE, true), OUT_OK);
    assert_int_equal(actor_reclaim(owners[AWAY], offset_of(AWAY), RANGE, true), OUT_GONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(all_come_back, set_up_without, tear_down),
        cmocka_unit_test_setup_teardown(smb_stays_away, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_stays_away, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
