/*
 * test_grant_matrix.c - what one client caches against what another asks for: leases of SMB and delegations
 * of NFSv4.0, 4.1 and 4.2, each against every kind of operation by every protocol, with a file of its own, on
 * the wire. The holder gives back what it is told to; whoever asks gets it then, and not before.
 *
 * The table is docs/LOCKING.md ("Caching grants"): what each operation of another leaves of a grant; and by
 * which of these operations each request is done.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lockask.h"
#include "nfs4client.h"

#include <stdio.h>
#include <string.h>

enum { R = SMB2C_LEASE_READ, H = SMB2C_LEASE_HANDLE, W = SMB2C_LEASE_WRITE };
enum { RECALL = 4, READ_DELEGATION = 1, WRITE_DELEGATION = 2, TRIES = 50 };

enum hold { LEASE_RWH, LEASE_RW, LEASE_RH, LEASE_R, DELEGATION_READ, DELEGATION_WRITE, HOLDS };
static const char *const hold_names[HOLDS] = {"lease RWH", "lease RW",        "lease RH",
                                              "lease R",   "read delegation", "write delegation"};
static const unsigned granted[HOLDS] = {R | W | H, R | W, R | H, R, R, R | W};

/* What others do, what it leaves of a lease, and which kinds of a lease its holder must have answered for
 * before it is done: written data, cached handles. A delegation stays when it has no others, or goes as a
 * whole, and that is waited for. */
enum operation { NOTHING, READING, OPENING_TO_WRITE, WRITING, LOCKING, LOCKING_OUT, NAMING };
static const struct {
    unsigned lease, waits_for, delegation;
} leaves[] = {
    [NOTHING] = {R | W | H, 0, R | W},
    [READING] = {R | H, W, R},
    [OPENING_TO_WRITE] = {R | H, W, 0},
    [WRITING] = {0, W, 0},
    [LOCKING] = {0, W, R},
    [LOCKING_OUT] = {0, W, 0},
    [NAMING] = {R | W, H, 0},
};

/* By what each is done: SMB does everything by way of an open, NFSv4 locks by way of one. */
static const enum operation done_by[ASKS][ASKERS][2] = {
    [ASK_LOCK_SHARED] = {{LOCKING}, {READING, LOCKING}, {READING, LOCKING}},
    [ASK_LOCK_EXCLUSIVE] = {{LOCKING_OUT}, {OPENING_TO_WRITE, LOCKING_OUT}, {OPENING_TO_WRITE, LOCKING_OUT}},
    [ASK_OPEN_READ] = {{READING}, {READING}, {READING}},
    [ASK_OPEN_WRITE] = {{OPENING_TO_WRITE}, {OPENING_TO_WRITE}, {OPENING_TO_WRITE}},
    [ASK_READ] = {{READING}, {READING}, {READING}},
    [ASK_WRITE] = {{WRITING}, {WRITING}, {OPENING_TO_WRITE, WRITING}},
    [ASK_TRUNCATE] = {{WRITING}, {WRITING}, {OPENING_TO_WRITE, WRITING}},
    [ASK_REMOVE] = {{NAMING}, {NAMING}, {READING, NAMING}},
    [ASK_RENAME] = {{NAMING}, {NAMING}, {READING, NAMING}},
};

static struct smbworld *world;
static struct actor *askers[ACTOR_PROTOCOLS], *lessee;
static struct nfs4c delegates[3];
static struct wire4_handle top4;
static uint32_t seqids[3];
static struct rpcclient *maker;
static struct nfs3_handle top;
static unsigned cells, files;
static char cell_text[200]; /* for failures */

/* The holder of the cell at hand. */
static struct {
    enum hold hold;
    int minor; /* of the delegate; -1: the lessee */
    struct nfs4_opened opened;
    unsigned left;  /* kinds that it still has */
    uint32_t heard; /* recalls of the delegate before this one */
    bool busy;
} holder;

/* ---- the holder does as it is told ---- */

static void serve_lessee(void)
{
    struct smb2c_break told;
    int timeout_ms = lessee->smb->timeout_ms;

    lessee->smb->timeout_ms = 0;
    while (smb2client_next_break(lessee->smb, &told)) {
        assert_true(told.lease);
        assert_int_equal(told.current, holder.left);
        holder.left = told.to;
        lessee->smb->timeout_ms = timeout_ms;
        if (told.flags & 1)
            assert_int_equal(smb2client_acknowledge_lease(lessee->smb, told.key, told.to), STATUS_SUCCESS);
        lessee->smb->timeout_ms = 0;
    }
    lessee->smb->timeout_ms = timeout_ms;
}

static void serve_delegate(void)
{
    struct nfs4c *c = &delegates[holder.minor];

    if (c->wire.minor > 0) { /* a call is heard when it waits for an answer of its own */
        wire4_begin(&c->wire);
        assert_int_equal(nfs4_call(c), NFS4_OK);
        nfs4_skip_sequence(c);
    }
    if (c->called_with[RECALL] == holder.heard || holder.left == 0)
        return;
    holder.left = 0;
    assert_int_equal(nfs4_try_delegreturn(c, &holder.opened.file, &holder.opened.delegation_id), NFS4_OK);
}

static void serve(void)
{
    if (holder.busy)
        return;
    holder.busy = true;
    if (holder.minor < 0)
        serve_lessee();
    else
        serve_delegate();
    holder.busy = false;
}

/* SMB's requests wait for their answer while the holder is told. */
static void pump_and_serve(void *data)
{
    static unsigned turns;

    (void)data;
    nfsworld_turn(world->nfs, 1);
    if (++turns % 8 == 0)
        serve();
}

/* ---- the world ---- */

static bool was_called(const struct nfs4c *c)
{
    return c->called_with[0] > 0;
}

static void come(int minor)
{
    struct nfs4c *c = &delegates[minor];
    char name[32];

    snprintf(name, sizeof name, "delegate %d", minor);
    nfs4_open(c, world->nfs, (uint32_t)minor, 1000, name);
    seqids[minor] = 0;
    c->wants_back = true;
    if (minor == 0)
        nfs4_listen(c);
    nfs4_introduce(c);
    for (int i = 0; minor == 0 && !was_called(c); i++) {
        assert_true(i < 20000);
        nfsworld_turn(world->nfs, 1);
    }
    nfsworld_turn(world->nfs, 10);
}

static int set_up(void **state)
{
    struct nfsworld_options options = {.nfs4 = {.delegations = true}};
    char name[32];

    (void)state;
    world = smbworld_open(&options, NULL);
    maker = nfsworld_client(world->nfs, 0, 0);
    top = nfsworld_mount(maker, "/a");
    for (int i = 0; i < ACTOR_PROTOCOLS; i++) {
        snprintf(name, sizeof name, "asker %d", i);
        askers[i] = actor_new(world, (enum actor_protocol)i, name);
    }
    askers[ACTOR_SMB]->smb->pump = pump_and_serve;
    lessee = actor_new(world, ACTOR_SMB, "lessee");
    for (int minor = 0; minor < 3; minor++)
        come(minor);
    top4 = wire4_walk(&delegates[2].wire, "a");
    return 0;
}

static int tear_down(void **state)
{
    struct state_counters counters;

    (void)state;
    state_counters(world->nfs->state, &counters);
    assert_int_equal(counters.opens + counters.locks + counters.grants, 0);
    for (int i = 0; i < ACTOR_PROTOCOLS; i++)
        actor_free(&askers[i]);
    actor_free(&lessee);
    for (int minor = 0; minor < 3; minor++)
        nfs4_close_client(&delegates[minor]);
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

static void remove_file(const char *name)
{
    struct nfs3_result r;

    assert_int_equal(nfs3_name_call(maker, NFS3C_REMOVE, &top, name, (uint32_t)strlen(name), &r),
                     RPCCLIENT_SUCCESS);
}

/* ---- holding ---- */

static void take_lease(const char *name)
{
    uint32_t got;

    assert_int_equal(actor_open_lease(lessee, name, OPEN_READ, granted[holder.hold], &got), OUT_OK);
    assert_int_equal(got, granted[holder.hold]);
}

static struct nfs4_opened open_as(struct nfs4c *c, const char *name, uint32_t access)
{
    uint32_t *seqid = &seqids[c->wire.minor];
    struct nfs4_open_args args = {.access = access, .owner = "o", .name = name, .seqid = *seqid};
    struct nfs4_opened opened = nfs4_must_open(c, &top4, &args);

    *seqid = c->wire.minor == 0 ? args.seqid : 0;
    assert_int_equal(nfs4_try_close(c, &opened.file, &opened.stateid, *seqid), NFS4_OK);
    if (c->wire.minor == 0)
        ++*seqid;
    return opened;
}

/* In 4.0 an owner that is not confirmed is given no delegation. */
static void confirm(struct nfs4c *c)
{
    char other[32];

    if (c->wire.minor != 0 || seqids[0] != 0)
        return;
    new_file(other);
    (void)open_as(c, other, 1);
    remove_file(other);
}

/* The open itself is closed again: what stands in the way is the delegation. */
static void take_delegation(const char *name)
{
    struct nfs4c *c = &delegates[holder.minor];
    bool writes = holder.hold == DELEGATION_WRITE;

    confirm(c);
    holder.heard = c->called_with[RECALL];
    holder.opened = open_as(c, name, writes ? 3 : 1);
    assert_int_equal(holder.opened.delegation, writes ? WRITE_DELEGATION : READ_DELEGATION);
}

static void let_go(void)
{
    if (holder.minor < 0)
        actor_release(lessee);
    else if (holder.left != 0)
        assert_int_equal(
            nfs4_try_delegreturn(&delegates[holder.minor], &holder.opened.file, &holder.opened.delegation_id),
            NFS4_OK);
}

/* ---- asking ---- */

/* Again and again, as clients do that are told to come later; the holder hears in between. NFSv3 has one word
 * for later and locked. */
static void ask_until_done(struct actor *asker, enum ask ask, const char *name, const char *other_name,
                           bool waits)
{
    unsigned tries = 0;
    enum outcome outcome;

    for (;; tries++) {
        outcome = actor_ask(asker, ask, name, other_name);
        if (outcome != OUT_LATER && (outcome != OUT_LOCKED || asker->protocol != ACTOR_V3))
            break;
        if (tries == TRIES)
            fail_msg("%s: told to come later for ever", cell_text);
        nfsworld_turn(world->nfs, 10);
        serve();
        nfsworld_turn(world->nfs, 10);
    }
    if (outcome != OUT_OK)
        fail_msg("%s: %s", cell_text, outcome_name(outcome));
    if (tries > 0 && !waits)
        fail_msg("%s: was told to come later", cell_text);
    /* SMB waits within its request. */
    if (tries == 0 && waits && asker->protocol != ACTOR_SMB)
        fail_msg("%s: did not wait", cell_text);
}

/* What is left at the end, and whether somebody has to be waited for. */
static unsigned expected_left(enum hold hold, enum ask ask, enum asker kind, bool *waits_r)
{
    unsigned left = granted[hold];

    *waits_r = false;
    for (int i = 0; i < 2; i++) {
        enum operation operation = done_by[ask][kind][i];
        bool delegation = hold >= DELEGATION_READ;
        unsigned keeps = delegation ? leaves[operation].delegation : leaves[operation].lease;

        if ((left & ~keeps) == 0)
            continue;
        *waits_r |= delegation || (left & leaves[operation].waits_for) != 0;
        left = delegation ? 0 : left & keeps;
    }
    return left;
}

static void run_cell(enum hold hold, int minor, struct actor *asker, enum ask ask)
{
    enum asker kind = asker_of(asker->protocol);
    bool waits;
    unsigned expected = expected_left(hold, ask, kind, &waits);
    char name[32], other_name[40];

    snprintf(cell_text, sizeof cell_text, "%s of %s; %s by %s", hold_names[hold],
             minor < 0 ? "SMB" : actor_protocol_name((enum actor_protocol)(ACTOR_V40 + minor)), ask_name(ask),
             actor_protocol_name(asker->protocol));
    new_file(name);
    snprintf(other_name, sizeof other_name, "new %s", name);
    holder.hold = hold;
    holder.minor = minor;
    holder.left = granted[hold];
    if (minor < 0)
        take_lease(name);
    else
        take_delegation(name);
    ask_until_done(asker, ask, name, other_name, waits);
    /* It goes down step by step. */
    for (int step = 0; step < 4; step++) {
        nfsworld_turn(world->nfs, 10);
        serve();
    }
    if (holder.left != expected)
        fail_msg("%s: leaves %x, not %x", cell_text, holder.left, expected);
    actor_release(asker);
    let_go();
    remove_file(name);
    remove_file(other_name);
    cells++;
}

static void every_pair(void **state)
{
    (void)state;
    for (int hold = 0; hold < HOLDS; hold++) {
        int first = hold < DELEGATION_READ ? -1 : 0, last = hold < DELEGATION_READ ? -1 : 2;

        for (int minor = first; minor <= last; minor++) {
            for (int asker = 0; asker < ACTOR_PROTOCOLS; asker++) {
                for (int ask = 0; ask < ASKS; ask++)
                    run_cell((enum hold)hold, minor, askers[asker], (enum ask)ask);
            }
        }
    }
    print_message("%u cells\n", cells);
    assert_true(cells >= 200);
}

/* Who has a delegation locks without asking us: none is given beside what others have locked, nor to read
 * beside a shared range, behind which somebody may wait for an exclusive one. */
static void none_beside_ranges(void **state)
{
    (void)state;
    for (int minor = 0; minor < 3; minor++) {
        struct nfs4c *c = &delegates[minor];

        confirm(c);
        for (int i = 0; i < ACTOR_PROTOCOLS * 4; i++) {
            struct actor *locker = askers[i / 4];
            bool exclusive = i & 1, writes = i & 2;
            unsigned wanted = writes ? WRITE_DELEGATION : READ_DELEGATION;
            struct nfs4_opened opened;
            char name[32];

            snprintf(cell_text, sizeof cell_text, "delegation to %s of %s, lock %s by %s",
                     writes ? "write" : "read", actor_protocol_name((enum actor_protocol)(ACTOR_V40 + minor)),
                     exclusive ? "exclusive" : "shared", actor_protocol_name(locker->protocol));
            new_file(name);
            assert_int_equal(actor_ask(locker, exclusive ? ASK_LOCK_EXCLUSIVE : ASK_LOCK_SHARED, name, NULL),
                             OUT_OK);
            opened = open_as(c, name, writes ? 3 : 1);
            if (opened.delegation == READ_DELEGATION || opened.delegation == WRITE_DELEGATION)
                fail_msg("%s: given", cell_text);
            actor_release(locker);
            opened = open_as(c, name, writes ? 3 : 1);
            if (opened.delegation != wanted)
                fail_msg("%s: not given afterwards", cell_text);
            assert_int_equal(nfs4_try_delegreturn(c, &opened.file, &opened.delegation_id), NFS4_OK);
            remove_file(name);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_pair, set_up, tear_down),
        cmocka_unit_test_setup_teardown(none_beside_ranges, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
