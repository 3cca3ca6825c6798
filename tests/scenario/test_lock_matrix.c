/*
 * test_lock_matrix.c - what one client holds against what another asks for: every ordered pair of protocols,
 * every kind of hold, every kind of operation, each with a file of its own, on the wire.
 *
 * The table below is docs/LOCKING.md ("What stands in the way of what") row by row: for each hold what is
 * answered to clients of NFSv3, of NFSv4 and of SMB. It does not matter who holds, but for what only SMB has.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lockask.h"

#include <stdio.h>
#include <string.h>

enum hold {
    HOLD_NFS_SHARED,    /* a byte range of NLM or NFSv4, of the first ten bytes */
    HOLD_NFS_EXCLUSIVE, /* the same, exclusive */
    HOLD_SMB_SHARED,
    HOLD_SMB_EXCLUSIVE,
    HOLD_OPEN,        /* an open for reading and writing that denies nothing */
    HOLD_DENY_READ,   /* one that denies reading */
    HOLD_DENY_WRITE,  /* one that denies writing */
    HOLD_DENY_DELETE, /* SMB's without FILE_SHARE_DELETE */
    HOLD_DELETING,    /* SMB's, marked to be deleted when the last one closes */
    HOLDS
};
static const char *const hold_names[HOLDS] = {"a shared range of NFS",
                                              "an exclusive range of NFS",
                                              "a shared range of SMB",
                                              "an exclusive range of SMB",
                                              "an open",
                                              "an open that denies reading",
                                              "an open that denies writing",
                                              "an open that denies deleting",
                                              "an open of what is being deleted"};

#define ALL(outcome)                                                                                         \
    {                                                                                                        \
        OUT_##outcome, OUT_##outcome, OUT_##outcome                                                          \
    }
#define EACH(nfs3, nfs4, smb)                                                                                \
    {                                                                                                        \
        OUT_##nfs3, OUT_##nfs4, OUT_##smb                                                                    \
    }

static const enum outcome expected[HOLDS][ASKS][ASKERS] = {
    [HOLD_NFS_SHARED] = {[ASK_LOCK_EXCLUSIVE] = ALL(DENIED)},
    [HOLD_NFS_EXCLUSIVE] = {[ASK_LOCK_SHARED] = ALL(DENIED), [ASK_LOCK_EXCLUSIVE] = ALL(DENIED)},
    /* Those of SMB are mandatory, for everybody. */
    [HOLD_SMB_SHARED] =
        {[ASK_LOCK_EXCLUSIVE] = ALL(DENIED), [ASK_WRITE] = ALL(LOCKED), [ASK_TRUNCATE] = ALL(LOCKED)},
    [HOLD_SMB_EXCLUSIVE] = {[ASK_LOCK_SHARED] = ALL(DENIED),
                            [ASK_LOCK_EXCLUSIVE] = ALL(DENIED),
                            [ASK_READ] = ALL(LOCKED),
                            [ASK_WRITE] = ALL(LOCKED),
                            [ASK_TRUNCATE] = ALL(LOCKED)},
    [HOLD_OPEN] = {[ASK_LOCK_SHARED] = ALL(OK)},
    /* NLM locks need no open. SMB does all by way of one; NFSv4's I/O is done without one here. */
    [HOLD_DENY_READ] = {[ASK_LOCK_SHARED] = EACH(OK, SHARE, SHARE),
                        [ASK_LOCK_EXCLUSIVE] = EACH(OK, SHARE, SHARE),
                        [ASK_OPEN_READ] = ALL(SHARE),
                        [ASK_READ] = EACH(LOCKED, LOCKED, SHARE)},
    [HOLD_DENY_WRITE] = {[ASK_LOCK_EXCLUSIVE] = EACH(OK, SHARE, SHARE),
                         [ASK_OPEN_WRITE] = ALL(SHARE),
                         [ASK_WRITE] = EACH(LOCKED, LOCKED, SHARE),
                         [ASK_TRUNCATE] = EACH(LOCKED, LOCKED, SHARE)},
    [HOLD_DENY_DELETE] = {[ASK_REMOVE] = EACH(OPEN, OPEN, SHARE), [ASK_RENAME] = EACH(OPEN, OPEN, SHARE)},
    /* To NFS the name is there until it is gone. */
    [HOLD_DELETING] = {[ASK_LOCK_SHARED] = EACH(OK, OK, DELETING),
                       [ASK_LOCK_EXCLUSIVE] = EACH(OK, OK, DELETING),
                       [ASK_OPEN_READ] = EACH(OK, OK, DELETING),
                       [ASK_OPEN_WRITE] = EACH(OK, OK, DELETING),
                       [ASK_READ] = EACH(OK, OK, DELETING),
                       [ASK_WRITE] = EACH(OK, OK, DELETING),
                       [ASK_TRUNCATE] = EACH(OK, OK, DELETING),
                       [ASK_REMOVE] = EACH(OK, OK, DELETING),
                       [ASK_RENAME] = EACH(OK, OK, DELETING)},
};

static struct smbworld *world;
static struct actor *holders[ACTOR_PROTOCOLS], *askers[ACTOR_PROTOCOLS];
static struct rpcclient *maker;
static struct nfs3_handle top;
static unsigned cells, files;
static char cell_text[200]; /* for failures */

static int set_up(void **state)
{
    char name[32];

    (void)state;
    world = smbworld_open(NULL, NULL);
    maker = nfsworld_client(world->nfs, 0, 0);
    top = nfsworld_mount(maker, "/a");
    for (int i = 0; i < ACTOR_PROTOCOLS; i++) {
        snprintf(name, sizeof name, "holder %d", i);
        holders[i] = actor_new(world, (enum actor_protocol)i, name);
        snprintf(name, sizeof name, "asker %d", i);
        askers[i] = actor_new(world, (enum actor_protocol)i, name);
    }
    return 0;
}

static int tear_down(void **state)
{
    struct state_counters counters;

    (void)state;
    state_counters(world->nfs->state, &counters);
    assert_int_equal(counters.opens + counters.locks + counters.waiters + counters.grants, 0);
    for (int i = 0; i < ACTOR_PROTOCOLS; i++) {
        actor_free(&holders[i]);
        actor_free(&askers[i]);
    }
    rpcclient_close(&maker);
    smbworld_close(&world);
    return 0;
}

static void new_file(char name[32])
{
    struct nfs3_new_attr attr = {.set = NFS3_SET_MODE | NFS3_SET_UID, .mode = 0666, .uid = 1000};
    uint8_t bytes[100] = {0};
    struct nfs3_result r;

    snprintf(name, 32, "file %u", ++files);
    assert_int_equal(nfs3_create(maker, &top, name, 1, &attr, 0, &r), RPCCLIENT_SUCCESS);
    assert_int_equal(r.status, 0);
    assert_int_equal(nfs3_write(maker, &r.handle, 0, bytes, sizeof bytes, 0, &r), RPCCLIENT_SUCCESS);
    assert_int_equal(r.status, 0);
}

static bool is_there(const char *name, uint64_t *size_r)
{
    struct nfs3_result r;

    assert_int_equal(nfs3_lookup(maker, &top, name, &r), RPCCLIENT_SUCCESS);
    *size_r = r.attr.size;
    return r.status == 0;
}

static void remove_file(const char *name)
{
    struct nfs3_result r;

    assert_int_equal(nfs3_name_call(maker, NFS3C_REMOVE, &top, name, (uint32_t)strlen(name), &r),
                     RPCCLIENT_SUCCESS);
}

static bool can_hold(enum actor_protocol protocol, enum hold hold)
{
    switch (hold) {
    case HOLD_NFS_SHARED:
    case HOLD_NFS_EXCLUSIVE:
        return protocol != ACTOR_SMB;
    case HOLD_SMB_SHARED:
    case HOLD_SMB_EXCLUSIVE:
    case HOLD_DENY_DELETE:
    case HOLD_DELETING:
        return protocol == ACTOR_SMB;
    case HOLD_OPEN:
    case HOLD_DENY_READ:
    case HOLD_DENY_WRITE:
    case HOLDS:
        break;
    }
    return true;
}

static void take_hold(struct actor *holder, enum hold hold, const char *name)
{
    static const unsigned denies[HOLDS] = {
        [HOLD_DENY_READ] = OPEN_READ, [HOLD_DENY_WRITE] = OPEN_WRITE, [HOLD_DENY_DELETE] = OPEN_DELETE};
    unsigned access = OPEN_READ | OPEN_WRITE;

    if (hold == HOLD_DELETING)
        access |= OPEN_DELETE;
    assert_int_equal(actor_open(holder, name, access, denies[hold]), OUT_OK);
    if (hold <= HOLD_SMB_EXCLUSIVE)
        assert_int_equal(actor_lock(holder, 0, 10, hold == HOLD_NFS_EXCLUSIVE || hold == HOLD_SMB_EXCLUSIVE),
                         OUT_OK);
    if (hold == HOLD_DELETING)
        assert_int_equal(actor_mark_deleted(holder), OUT_OK);
}

/* What was answered is what was done, and nothing else. */
static void check_effect(enum ask ask, enum hold hold, enum outcome outcome, const char *name,
                         const char *other_name)
{
    uint64_t size, other_size;
    bool there = is_there(name, &size), other = is_there(other_name, &other_size);
    bool done = outcome == OUT_OK;

    /* What is going goes by whatever name it has by then. */
    if (other != (done && ask == ASK_RENAME && hold != HOLD_DELETING))
        fail_msg("%s: the new name is %s", cell_text, other ? "there" : "not there");
    if (there == (hold == HOLD_DELETING || (done && (ask == ASK_REMOVE || ask == ASK_RENAME))))
        fail_msg("%s: the name is %s", cell_text, there ? "there" : "not there");
    if (there && size != (done && ask == ASK_TRUNCATE ? 0u : 100u))
        fail_msg("%s: the size is %llu", cell_text, (unsigned long long)size);
}

static void run_cell(struct actor *holder, enum hold hold, struct actor *asker, enum ask ask)
{
    enum asker kind = asker_of(asker->protocol);
    char name[32], other_name[40];
    enum outcome outcome;

    snprintf(cell_text, sizeof cell_text, "%s has %s; %s by %s", actor_protocol_name(holder->protocol),
             hold_names[hold], ask_name(ask), actor_protocol_name(asker->protocol));
    new_file(name);
    snprintf(other_name, sizeof other_name, "new %s", name);
    take_hold(holder, hold, name);
    outcome = actor_ask(asker, ask, name, other_name);
    if (outcome != expected[hold][ask][kind])
        fail_msg("%s: %s, not %s", cell_text, outcome_name(outcome), outcome_name(expected[hold][ask][kind]));
    actor_release(asker);
    actor_release(holder);
    check_effect(ask, hold, outcome, name, other_name);
    remove_file(name);
    remove_file(other_name);
    cells++;
}

static void every_pair(void **state)
{
    (void)state;
    for (int holder = 0; holder < ACTOR_PROTOCOLS; holder++) {
        for (int hold = 0; hold < HOLDS; hold++) {
            if (!can_hold((enum actor_protocol)holder, (enum hold)hold))
                continue;
            for (int asker = 0; asker < ACTOR_PROTOCOLS; asker++) {
                for (int ask = 0; ask < ASKS; ask++)
                    run_cell(holders[holder], (enum hold)hold, askers[asker], (enum ask)ask);
            }
        }
    }
    print_message("%u cells\n", cells);
    assert_true(cells >= 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_pair, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
