/*
 * test_nfs4_locks.c - byte-range locks of two clients over the wire, as scripts with what each step answers
 * (RFC 7530 9, 16.10 to 16.12; RFC 8881 9, 18.10 to 18.12); leases that end, clients that crash, and a
 * restart of the server with a hundred clients' locks.
 *
 * A script is a row of steps, "who what where": who is a or b, lock owners of client 1, or y or z, of client
 * 2; what is r or w (LOCK), u (LOCKU), R or W (LOCKT); where is offset+length, with * for "to the end". A
 * step may end with what it answers when that is not NFS4_OK: !offset+length+r|w for DENIED with what is in
 * the way, or ?number for another status. Steps that concern a whole client: c1 it crashes and comes back, x1
 * it is silent until its lease is over (the other one is not), l1 it is silent for just less than that, q1 it
 * closes the file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nfs4world.h"
#include "simclock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CLIENTS = 2, OWNERS = 2, LEASE_S = 90 };
#define TO_END UINT64_MAX

struct locker {
    struct wire4_owner owner;
    struct wire4_stateid stateid;
    bool has_stateid;
};

struct side {
    struct wire4 *wire;
    const char *name;
    uint64_t verifier;
    struct wire4_owner opener;
    struct wire4_stateid open;
    bool is_open;
    struct locker lockers[OWNERS];
};

static struct nfs4world world;
static uint32_t minor;
static struct side sides[CLIENTS];
static struct wire4_handle file;
static const char *script; /* of the case at hand */
static unsigned cases;

static int set_up(void **state)
{
    struct nfsworld_options options = {.state = {.lease_ms = LEASE_S * 1000}};

    (void)state;
    simclock_install();
    simclock_set_tick_ns(1000);
    nfs4world_open(&world, minor, &options);
    for (int i = 0; i < CLIENTS; i++) {
        sides[i] = (struct side){.name = i == 0 ? "client one" : "client two", .verifier = 1};
        sides[i].wire = nfs4world_client(&world, minor, 0, sides[i].name);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < CLIENTS; i++)
        nfs4world_end(&sides[i].wire);
    nfs4world_close(&world);
    simclock_remove();
    return 0;
}

/* ---- steps ---- */

static void broken(const char *at, const char *what, uint64_t got)
{
    print_error("minor %u, \"%s\" at \"%s\": %s %llu\n", minor, script, at, what, (unsigned long long)got);
    fail();
}

/* Statuses after which an owner's sequence stays where it was (RFC 7530 9.1.7). */
static void keep_sequence(struct wire4 *wire, struct wire4_owner *owner)
{
    if (minor == 0 && (wire->status == NFS4ERR_BAD_STATEID || wire->status == NFS4ERR_STALE_STATEID ||
                       wire->status == NFS4ERR_STALE_CLIENTID || wire->status == NFS4ERR_EXPIRED))
        owner->seqid--;
}

static uint32_t do_lock(struct side *side, struct locker *locker, uint32_t type, uint64_t offset,
                        uint64_t length)
{
    struct wire4 *w = side->wire;

    wire4_begin(w);
    wire4_putfh(w, &file);
    if (locker->has_stateid)
        wire4_lock(w, type, false, offset, length, &locker->owner, &locker->stateid);
    else
        wire4_lock_new(w, type, false, offset, length, &side->opener, &side->open, &locker->owner);
    wire4_send_any(w);
    keep_sequence(w, &locker->owner);
    if (!locker->has_stateid)
        keep_sequence(w, &side->opener);
    if (w->status == NFS4_OK) {
        if (locker->has_stateid)
            assert_true(wire4_last(w)->stateid.seqid == locker->stateid.seqid + 1);
        locker->stateid = wire4_last(w)->stateid;
        locker->has_stateid = true;
    }
    return w->status;
}

static uint32_t do_unlock(struct side *side, struct locker *locker, uint64_t offset, uint64_t length)
{
    struct wire4 *w = side->wire;

    wire4_begin(w);
    wire4_putfh(w, &file);
    wire4_locku(w, offset, length, &locker->owner, &locker->stateid);
    wire4_send_any(w);
    keep_sequence(w, &locker->owner);
    if (w->status == NFS4_OK)
        locker->stateid = wire4_last(w)->stateid;
    return w->status;
}

static uint32_t do_test(struct side *side, struct locker *locker, uint32_t type, uint64_t offset,
                        uint64_t length)
{
    wire4_begin(side->wire);
    wire4_putfh(side->wire, &file);
    wire4_lockt(side->wire, type, offset, length, &locker->owner);
    return wire4_send_any(side->wire);
}

static void open_side(struct side *side)
{
    side->open = wire4_open_at(side->wire, &side->opener, &world.top, "locked", 3, 0, WIRE4_NOCREATE, NULL);
    side->is_open = true;
}

/* New names for the owners, so that no case sees another's sequences. */
static void begin_side(struct side *side)
{
    char key[32];

    snprintf(key, sizeof key, "opener %u", ++cases);
    side->opener = wire4_owner(key);
    for (int i = 0; i < OWNERS; i++) {
        snprintf(key, sizeof key, "locker %u %d", cases, i);
        side->lockers[i] = (struct locker){.owner = wire4_owner(key)};
    }
    open_side(side);
}

static void end_side(struct side *side)
{
    if (side->is_open) {
        expect4(side->wire, NFS4_OK, wire4_putfh(side->wire, &file),
                wire4_close_file(side->wire, &side->opener, &side->open));
    }
    side->is_open = false;
}

static void renew(struct wire4 *w)
{
    wire4_begin(w);
    if (w->minor == 0) {
        wire4_op(w, OP_RENEW);
        writer_be64(&w->request, w->clientid);
    } else {
        wire4_putrootfh(w);
    }
    assert_int_equal(wire4_send(w), NFS4_OK);
}

static void pass(int silent, uint64_t ms)
{
    for (uint64_t done = 0; done < ms; done += 10000) {
        nfsworld_advance(world.world, ms - done < 10000 ? ms - done : 10000);
        for (int i = 0; i < CLIENTS; i++)
            if (i != silent)
                renew(sides[i].wire);
        renew(world.root);
        renew(world.user);
    }
}

static void come_back(struct side *side)
{
    wire4_introduce(side->wire, side->name, ++side->verifier, true);
    side->is_open = false;
    begin_side(side);
}

/* ---- scripts ---- */

static uint64_t number(const char **at)
{
    char *end;
    uint64_t value;

    if (**at == '*') {
        (*at)++;
        return TO_END;
    }
    value = strtoull(*at, &end, 10);
    assert_true(end > *at);
    *at = end;
    return value;
}

static void check_denied(const struct wire4_result *r, const char **at, const char *step)
{
    uint64_t offset, length;
    uint32_t type;

    (*at)++;
    offset = number(at);
    (*at)++;
    length = number(at);
    type = (*at)[1] == 'w' ? WIRE4_WRITE_LT : WIRE4_READ_LT;
    *at += 2;
    if (r->status != NFS4ERR_DENIED)
        broken(step, "not DENIED but", r->status);
    if (r->lock_offset != offset)
        broken(step, "in the way is something at", r->lock_offset);
    if (r->lock_length != length)
        broken(step, "in the way is something so long:", r->lock_length);
    if (r->lock_type != type)
        broken(step, "in the way is a lock of type", r->lock_type);
}

static void client_step(const char **at)
{
    char what = *(*at)++;
    int which = *(*at)++ - '1';
    struct side *side = &sides[which];

    switch (what) {
    case 'c':
        come_back(side);
        break;
    case 'x':
        pass(which, (LEASE_S + 5) * 1000);
        break;
    case 'l':
        pass(which, (LEASE_S - 5) * 1000);
        break;
    default:
        end_side(side);
        for (int i = 0; i < OWNERS; i++)
            side->lockers[i].has_stateid = false;
        open_side(side);
        break;
    }
}

static void owner_step(const char **at)
{
    const char *step = *at;
    char who = *(*at)++, what = *(*at)++;
    struct side *side = &sides[who == 'y' || who == 'z'];
    struct locker *locker = &side->lockers[who == 'b' || who == 'z'];
    uint64_t offset = number(at), length;
    uint32_t type = what == 'w' || what == 'W' ? WIRE4_WRITE_LT : WIRE4_READ_LT, status, want = NFS4_OK;

    (*at)++;
    length = number(at);
    if (what == 'u')
        status = do_unlock(side, locker, offset, length);
    else if (what == 'R' || what == 'W')
        status = do_test(side, locker, type, offset, length);
    else
        status = do_lock(side, locker, type, offset, length);
    if (**at == '!') {
        check_denied(wire4_last(side->wire), at, step);
        return;
    }
    if (**at == '?') {
        (*at)++;
        want = (uint32_t)number(at);
    }
    if (status != want)
        broken(step, "the answer is", status);
}

static void run(const char *text)
{
    script = text;
    file = wire4_make_file(world.root, &world.top, "locked", 0666);
    for (int i = 0; i < CLIENTS; i++)
        begin_side(&sides[i]);
    for (const char *at = text; *at != '\0';) {
        if (*at == ' ') {
            at++;
            continue;
        }
        if (strchr("cxlq", *at) != NULL)
            client_step(&at);
        else
            owner_step(&at);
    }
    /* What the script lost, its client does not close. */
    for (int i = 0; i < CLIENTS; i++)
        come_back(&sides[i]);
    for (int i = 0; i < CLIENTS; i++)
        end_side(&sides[i]);
    expect4(world.root, NFS4_OK, wire4_putfh(world.root, &world.top),
            wire4_name(world.root, OP_REMOVE, "locked", 6));
}

/* ---- every relation of two ranges ---- */

struct range {
    uint64_t offset, length;
    bool overlaps; /* 100..199 */
};
static const struct range ranges[] = {
    {0, 1, false},
    {0, 100, false},
    {99, 1, false},
    {0, 101, true},
    {50, 100, true},
    {100, 1, true},
    {100, 50, true},
    {100, 100, true},
    {101, 98, true},
    {150, 10, true},
    {150, 50, true},
    {199, 1, true},
    {150, 100, true},
    {99, 102, true},
    {0, 300, true},
    {200, 1, false},
    {200, 100, false},
    {0, TO_END, true},
    {99, TO_END, true},
    {100, TO_END, true},
    {150, TO_END, true},
    {199, TO_END, true},
    {200, TO_END, false},
    {UINT64_MAX - 1, 1, false},
    {UINT64_MAX, TO_END, false},
};
enum { RANGES = sizeof ranges / sizeof *ranges };

static const char *put_range(const struct range *range)
{
    static char text[2][64];
    static int turn;
    char *to = text[turn ^= 1];

    if (range->length == TO_END)
        snprintf(to, sizeof text[0], "%llu+*", (unsigned long long)range->offset);
    else
        snprintf(to, sizeof text[0], "%llu+%llu", (unsigned long long)range->offset,
                 (unsigned long long)range->length);
    return to;
}

/* One holds 100..199; another owner, of another or the same client, asks for a range. */
static void conflicts(void **state)
{
    static const char types[] = "rw";
    char text[256];

    (void)state;
    for (int i = 0; i < RANGES; i++)
        for (int held = 0; held < 2; held++)
            for (int wanted = 0; wanted < 2; wanted++) {
                bool denied = ranges[i].overlaps && (held || wanted);
                const char *where = put_range(&ranges[i]);
                char answer[32] = "";

                if (denied)
                    snprintf(answer, sizeof answer, "!100+100+%c", types[held]);
                snprintf(text, sizeof text, "a%c100+100 y%c%s%s b%c%s%s y%c%s%s", types[held],
                         wanted ? 'W' : 'R', where, answer, wanted ? 'W' : 'R', where, answer, types[wanted],
                         where, answer);
                run(text);
            }
}

/* What a step leaves is asked for a byte at a time: what stands there for others. */
static const uint64_t probes[] = {0,
                                  49,
                                  50,
                                  98,
                                  99,
                                  100,
                                  101,
                                  149,
                                  150,
                                  159,
                                  160,
                                  198,
                                  199,
                                  200,
                                  201,
                                  249,
                                  250,
                                  299,
                                  300,
                                  (uint64_t)1 << 40,
                                  UINT64_MAX - 1,
                                  UINT64_MAX};

static bool holds(const struct range *range, uint64_t at)
{
    return at >= range->offset && (range->length == TO_END || at - range->offset < range->length);
}

/* KIND: what is held there: 0 nothing, 1 read, 2 write. */
static void probe(uint64_t at, int kind)
{
    struct side *other = &sides[1];

    if ((do_test(other, &other->lockers[0], WIRE4_WRITE_LT, at, at == UINT64_MAX ? TO_END : 1) == NFS4_OK) !=
            (kind == 0) ||
        (do_test(other, &other->lockers[0], WIRE4_READ_LT, at, at == UINT64_MAX ? TO_END : 1) == NFS4_OK) !=
            (kind < 2))
        broken("probe", "what is wrong is at", at);
    if (kind > 0)
        assert_true(other->wire->status == NFS4_OK ||
                    wire4_last(other->wire)->lock_type == (kind == 2 ? WIRE4_WRITE_LT : WIRE4_READ_LT));
}

/* The owner of 100..199 sets another range, of the same or another type: upgrade, downgrade, merge, split. */
static void own_ranges(void **state)
{
    static const struct range first = {100, 100, true};
    char text[128];

    (void)state;
    for (int i = 0; i < RANGES; i++)
        for (int held = 1; held <= 2; held++)
            for (int next = 0; next <= 2; next++) { /* 0: LOCKU */
                struct side *side = &sides[0];

                snprintf(text, sizeof text, "own range %s, type %d over %d", put_range(&ranges[i]), next,
                         held);
                script = text;
                file = wire4_make_file(world.root, &world.top, "locked", 0666);
                for (int s = 0; s < CLIENTS; s++)
                    begin_side(&sides[s]);
                assert_int_equal(do_lock(side, &side->lockers[0], (uint32_t)held, 100, 100), NFS4_OK);
                if (next == 0)
                    assert_int_equal(do_unlock(side, &side->lockers[0], ranges[i].offset, ranges[i].length),
                                     NFS4_OK);
                else
                    assert_int_equal(
                        do_lock(side, &side->lockers[0], (uint32_t)next, ranges[i].offset, ranges[i].length),
                        NFS4_OK);
                for (size_t p = 0; p < sizeof probes / sizeof *probes; p++)
                    probe(probes[p], holds(&ranges[i], probes[p]) ? next
                                     : holds(&first, probes[p])   ? held
                                                                  : 0);
                for (int s = 0; s < CLIENTS; s++)
                    end_side(&sides[s]);
                expect4(world.root, NFS4_OK, wire4_putfh(world.root, &world.top),
                        wire4_name(world.root, OP_REMOVE, "locked", 6));
            }
}

/* ---- by hand ---- */

static const char *const scripts[] = {
    /* Empty and impossible ranges. */
    "aw0+0?22",
    "aW0+0?22",
    "aw18446744073709551615+2?22",
    "aw18446744073709551614+2?22",
    "aw18446744073709551614+1 yR18446744073709551614+1!18446744073709551614+1+w yw18446744073709551615+*",
    "aw1+18446744073709551614 yR0+1 yR1+1!1+18446744073709551614+w",
    "aw10+10 au0+0?22 yR10+1!10+10+w",
    "aw18446744073709551615+* yW18446744073709551615+*!18446744073709551615+*+w yW0+18446744073709551614",
    /* Shared by many, then nobody may write. */
    "ar0+10 br0+10 yr0+10 zr0+10 aw0+10!0+10+r au0+10 bu0+10 yw0+10!0+10+r zu0+10 yw0+10",
    "ar0+* yr0+* aw5+1!0+*+r yu0+* aw5+1 yr0+5 yr5+1!5+1+w",
    /* Upgrades and downgrades with somebody there. */
    "ar0+10 yr5+1 aw0+10!5+1+r aw0+5 yw0+1!0+5+w yR5+5 yu0+10 aw0+10 yR9+1!0+10+w",
    "aw0+10 ar0+10 yr0+10 yw0+10!0+10+r au0+10 yw0+10",
    "aw0+10 ar3+3 yr3+3 yr2+1!0+3+w yr6+1!6+4+w",
    "aw0+100 ar0+50 yr0+50 yr50+1!50+50+w yW0+1!0+50+r",
    "ar0+100 aw20+20 yr0+20 yr20+1!20+20+w yr40+60 aw0+100!0+20+r",
    "aw0+10 yr0+1!0+10+w ar0+10 yr0+1 aw0+10!0+1+r yu0+1 aw0+10",
    "ar0+10 aw0+10 ar0+10 aw0+10 yR0+1!0+10+w au0+10 yW0+10",
    /* Splits and merges. */
    "aw0+100 au40+20 yw40+20 yw39+1!0+40+w yw60+1!60+40+w aw0+100!40+20+w",
    "aw0+10 aw10+10 aw20+10 yR15+1!0+30+w au10+10 yR5+1!0+10+w yR25+1!20+10+w yw10+10",
    "aw0+10 aw20+10 yw10+10 aw0+30!10+10+w yu10+10 aw0+30 yR15+1!0+30+w",
    "aw10+10 au0+15 yw0+15 yR15+1!15+5+w",
    "aw10+10 au15+* yw15+* yR14+1!10+5+w",
    "aw0+* au10+10 yw10+10 yR9+1!0+10+w yR20+1!20+*+w",
    "aw0+* au0+* yw0+*",
    "aw0+* au100+* yw100+* yR99+1!0+100+w aw100+1!100+*+w",
    "aw100+* aw0+100 yR0+1!0+*+w",
    "ar0+10 ar5+10 yW0+1!0+15+r",
    "ar0+10 ar10+* yW20+1!0+*+r",
    "aw0+1 aw2+1 aw4+1 aw6+1 yw1+1 yw3+1 yw5+1 yw0+7!0+1+w",
    "aw0+7 au1+1 au3+1 au5+1 yw1+1 yw3+1 yw5+1 aw0+7!1+1+w",
    /* Unlocking what is not held is fine; what others hold stays. */
    "aw0+10 au20+10 yR0+1!0+10+w yw20+10 au20+10 aR20+1!20+10+w",
    "aw0+10 yw10+10 au0+* aR10+1!10+10+w yR0+10",
    "aw0+10 au0+10 au0+10 yw0+10",
    /* Two owners of one client are two. */
    "aw0+10 bw0+10!0+10+w bw10+10 aw5+10!10+10+w au0+10 bw0+10 yR0+1!0+20+w",
    "aw0+10 bR0+10!0+10+w aW0+10 bW10+1",
    "ar0+10 br0+10 au0+10 yw0+10!0+10+r bu0+10 yw0+10",
    /* Handing over, one after the other: who asks again gets it when it is free. */
    "aw0+10 yw0+10!0+10+w zw0+10!0+10+w au0+10 yw0+10 zw0+10!0+10+w yu0+10 zw0+10",
    "aw0+10 yw0+10!0+10+w yw0+10!0+10+w yw0+10!0+10+w au0+10 yw0+10 aw0+10!0+10+w yu0+10 aw0+10",
    "aw0+10 yw5+10!0+10+w au5+5 yw5+10 aw0+5",
    "ar0+10 yw0+10!0+10+r zr0+10 au0+10 yw0+10!0+10+r zu0+10 yw0+10",
    /* Deadly embraces are answered each time, nobody hangs. */
    "aw0+1 yw1+1 aw1+1!1+1+w yw0+1!0+1+w au0+1 yw0+1",
    /* Closing the file gives back its locks. */
    "aw0+10 bw10+10 q1 yw0+20",
    "aw0+10 yw10+10 q1 yw0+10 aR10+1!0+20+w",
    "aw0+10 q1 aw0+10 yR0+1!0+10+w",
    /* A client that crashes and comes back has lost its locks, the other's stay. */
    "aw0+10 yw10+10 c1 yw0+10 aR10+1!0+20+w",
    "aw0+10 bw20+10 yw10+10 c2 aw10+10 bw0+1!0+20+w",
    "aw0+10 c1 aw0+10 yR0+1!0+10+w",
    "ar0+10 yr0+10 c1 yw0+10",
    "aw0+* c1 yw0+* c2 aw0+*",
    /* Leases: up to their end nobody else gets anything. */
    "aw0+10 l1 yw0+10!0+10+w",
    "aw0+10 l1 yw0+10!0+10+w au0+10 yw0+10",
    "aw0+10 l1 aw10+10 l1 yw0+10!0+20+w",
    /* Behind it, who wants it gets it. */
    "aw0+10 x1 yw0+10",
    "aw0+10 x1 yr5+1 yw0+10",
    "ar0+10 x1 yw0+10",
    "aw0+10 x1 yW0+10",
    "aw0+* bw0+1!0+*+w x1 yw100+1 zr101+1",
    /* Nobody wants it: it is kept out of courtesy, and the client goes on as if nothing had been. */
    "aw0+10 x1 aw10+10 yR0+1!0+20+w",
    "aw0+10 x1 yw10+10 au0+10 yw0+10",
    "aw0+10 x1 x1 aw10+10 yR0+1!0+20+w",
    "aw0+10 x1 yr20+1 zr30+1 ar0+10 yr0+10 au0+10",
    "ar0+10 x1 yr0+10 aw0+10!0+10+r ar0+20 yw0+10!0+20+r",
    /* Waiting for a client that is gone: once its time is over. */
    "aw0+10 yw0+10!0+10+w x1 yw0+10 zw0+10!0+10+w",
    "aw0+10 yw20+10 x1 yw0+30 zw0+10!0+30+w",
};

static void by_hand(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++)
        run(scripts[i]);
}

/* What a client finds that has lost its locks to another: its state is expired, not just bad. */
static void lost_to_another(void **state)
{
    struct side *side = &sides[0], *other = &sides[1];

    (void)state;
    file = wire4_make_file(world.root, &world.top, "locked", 0666);
    begin_side(side);
    begin_side(other);
    script = "lost";
    assert_int_equal(do_lock(side, &side->lockers[0], WIRE4_WRITE_LT, 0, 10), NFS4_OK);
    pass(0, (LEASE_S + 5) * 1000);
    assert_int_equal(do_lock(other, &other->lockers[0], WIRE4_WRITE_LT, 0, 10), NFS4_OK);
    do_unlock(side, &side->lockers[0], 0, 10);
    if (minor == 0)
        assert_int_equal(side->wire->status, NFS4ERR_EXPIRED);
    else
        assert_int_equal(side->wire->status, NFS4ERR_BADSESSION);
    assert_int_equal(do_test(other, &other->lockers[1], WIRE4_READ_LT, 0, 1), NFS4ERR_DENIED);
    come_back(side);
    assert_int_equal(do_lock(side, &side->lockers[0], WIRE4_WRITE_LT, 0, 10), NFS4ERR_DENIED);
    end_side(side);
    end_side(other);
    expect4(world.root, NFS4_OK, wire4_putfh(world.root, &world.top),
            wire4_name(world.root, OP_REMOVE, "locked", 6));
}

/* A lock owner whose first lock was denied may begin its sequence anew, or go on with it. */
static void denied_owners_begin_anew(void **state)
{
    struct side *side = &sides[0], *other = &sides[1];

    (void)state;
    script = "begins anew";
    file = wire4_make_file(world.root, &world.top, "locked", 0666);
    begin_side(side);
    begin_side(other);
    assert_int_equal(do_lock(side, &side->lockers[0], WIRE4_WRITE_LT, 0, 10), NFS4_OK);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(do_lock(other, &other->lockers[0], WIRE4_WRITE_LT, 0, 10), NFS4ERR_DENIED);
        if (i % 2)
            other->lockers[0].owner.seqid = 0;
    }
    other->lockers[0].owner.seqid = 77;
    assert_int_equal(do_unlock(side, &side->lockers[0], 0, 10), NFS4_OK);
    assert_int_equal(do_lock(other, &other->lockers[0], WIRE4_WRITE_LT, 0, 10), NFS4_OK);
    assert_int_equal(do_lock(other, &other->lockers[0], WIRE4_WRITE_LT, 5, 10), NFS4_OK);
    if (minor == 0) {
        other->lockers[0].owner.seqid = 0;
        do_lock(other, &other->lockers[0], WIRE4_WRITE_LT, 5, 10);
        assert_int_equal(other->wire->status, NFS4ERR_BAD_SEQID);
    }
    end_side(side);
    end_side(other);
    expect4(world.root, NFS4_OK, wire4_putfh(world.root, &world.top),
            wire4_name(world.root, OP_REMOVE, "locked", 6));
}

/* An open for reading takes read locks only, and the other way round. */
static void open_modes(void **state)
{
    struct side *side = &sides[0];

    (void)state;
    for (uint32_t access = 1; access <= 3; access++) {
        file = wire4_make_file(world.root, &world.top, "locked", 0666);
        begin_side(side);
        end_side(side);
        side->open =
            wire4_open_at(side->wire, &side->opener, &world.top, "locked", access, 0, WIRE4_NOCREATE, NULL);
        do_lock(side, &side->lockers[0], WIRE4_READ_LT, 0, 1);
        assert_int_equal(side->wire->status, access & 1 ? NFS4_OK : NFS4ERR_OPENMODE);
        do_lock(side, &side->lockers[1], WIRE4_WRITEW_LT, 10, 1);
        assert_int_equal(side->wire->status, access & 2 ? NFS4_OK : NFS4ERR_OPENMODE);
        side->is_open = true;
        end_side(side);
        expect4(world.root, NFS4_OK, wire4_putfh(world.root, &world.top),
                wire4_name(world.root, OP_REMOVE, "locked", 6));
    }
}

/* ---- a restart ---- */

enum { MANY = 100 };

struct many {
    struct wire4 *wire;
    char name[32];
    struct wire4_owner opener, locker;
    struct wire4_stateid open;
};

static void many_lock(struct many *one, int i, bool reclaim)
{
    struct wire4 *w = one->wire;

    one->locker = wire4_owner("locker");
    wire4_begin(w);
    wire4_putfh(w, &file);
    wire4_lock_new(w, WIRE4_WRITE_LT, reclaim, (uint64_t)i * 10, 10, &one->opener, &one->open, &one->locker);
    assert_int_equal(wire4_send(w), NFS4_OK);
}

static void many_reclaim(struct many *one, int i)
{
    struct wire4 *w = one->wire;

    one->opener = wire4_owner("opener");
    expect4(w, NFS4_OK, wire4_putfh(w, &file), wire4_open_fh(w, &one->opener, WIRE4_CLAIM_PREVIOUS, 3, 0));
    one->open = wire4_last(w)->stateid;
    many_lock(one, i, true);
}

static uint32_t new_open(struct wire4 *w)
{
    static unsigned opens;
    struct wire4_owner owner;
    char key[32];

    /* A new owner each time: in 4.0 it would be a retry. */
    snprintf(key, sizeof key, "new %u", opens++);
    owner = wire4_owner(key);

    wire4_begin(w);
    wire4_putfh(w, &world.top);
    wire4_open_name(w, &owner, "many", 3, 0, WIRE4_NOCREATE, NULL, 0);
    return wire4_send(w);
}

/* Workers' time is not simulated: what they sync becomes durable now. */
static void settle(void)
{
    for (int i = 0; i < 20; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
        nfsworld_turn(world.world, 10);
    }
}

/* All are at something else than reclaiming: in 4.0 that is how they say that they are done. */
static void renew_all(struct many *many)
{
    for (int i = 0; i < MANY; i++)
        renew(many[i].wire);
    for (int i = 0; i < CLIENTS; i++)
        renew(sides[i].wire);
    renew(world.root);
}

/* All the clients of one minor version, or MIXED. */
static void restart_with(bool mixed)
{
    static struct many many[MANY];
    struct wire4 *foreign;
    uint64_t left_ms;

    file = wire4_make_file(world.root, &world.top, "many", 0666);
    for (int i = 0; i < MANY; i++) {
        struct many *one = &many[i];

        snprintf(one->name, sizeof one->name, "many %d", i);
        one->wire = nfs4world_client(&world, mixed ? (uint32_t)i % 3 : minor, 0, one->name);
        one->opener = wire4_owner("opener");
        one->open = wire4_open_at(one->wire, &one->opener, &world.top, "many", 3, 0, WIRE4_NOCREATE, NULL);
        many_lock(one, i, false);
    }
    /* They go with the connections; the server does not. */
    for (int i = 0; i < MANY; i++)
        nfs4world_end(&many[i].wire);
    for (int i = 0; i < CLIENTS; i++)
        nfs4world_end(&sides[i].wire);
    wire4_close(&world.root);
    wire4_close(&world.user);
    rpcclient_close(&world.root_rpc);
    rpcclient_close(&world.user_rpc);
    nfsworld_restart(world.world);

    world.root_rpc = nfsworld_client(world.world, 0, 0);
    world.user_rpc = nfsworld_client(world.world, N4_USER, N4_GROUP);
    world.root = wire4_open(world.root_rpc, minor);
    world.user = wire4_open(world.user_rpc, minor);
    wire4_introduce(world.root, "root", 1, true);
    foreign = nfs4world_client(&world, minor, 0, "foreign");
    for (int i = 0; i < MANY; i++) {
        struct many *one = &many[i];

        /* Before, between and behind: nobody else gets anything, nor what is not there to be reclaimed. */
        assert_int_equal(new_open(foreign), NFS4ERR_GRACE);
        one->wire = wire4_open(nfsworld_client(world.world, 0, 0), mixed ? (uint32_t)i % 3 : minor);
        wire4_introduce(one->wire, one->name, 1, false);
        many_reclaim(one, i);
        if (one->wire->minor > 0)
            wire4_reclaim_complete(one->wire);
        nfsworld_advance(world.world, 50);
    }
    {
        struct wire4_owner owner = wire4_owner("thief");

        wire4_begin(foreign);
        wire4_putfh(foreign, &file);
        wire4_open_fh(foreign, &owner, WIRE4_CLAIM_PREVIOUS, 3, 0);
        wire4_send(foreign);
        assert_true(foreign->status == NFS4ERR_RECLAIM_BAD || foreign->status == NFS4ERR_NO_GRACE);
    }
    /* The last that held something before; it has nothing to reclaim any more. */
    for (int i = 0; i < CLIENTS; i++)
        sides[i].wire = nfs4world_client(&world, minor, 0, sides[i].name);
    settle();
    for (left_ms = 0; new_open(foreign) == NFS4ERR_GRACE; left_ms += 500) {
        assert_true(left_ms < 5000);
        nfsworld_advance(world.world, 500);
        renew_all(many);
        settle();
    }
    /* All of them hold what they held. */
    for (int i = 0; i < MANY; i++) {
        struct wire4_owner owner = wire4_owner("asks");

        wire4_begin(foreign);
        wire4_putfh(foreign, &file);
        wire4_lockt(foreign, WIRE4_READ_LT, (uint64_t)i * 10, 10, &owner);
        assert_int_equal(wire4_send(foreign), NFS4ERR_DENIED);
        assert_true(wire4_last(foreign)->lock_offset == (uint64_t)i * 10);
        assert_true(wire4_last(foreign)->clientid == many[i].wire->clientid);
    }
    nfs4world_end(&foreign);
    for (int i = 0; i < MANY; i++)
        nfs4world_end(&many[i].wire);
}

static void restart_with_many(void **state)
{
    (void)state;
    restart_with(false);
}

static void restart_with_all_versions(void **state)
{
    (void)state;
    restart_with(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conflicts),
        cmocka_unit_test(own_ranges),
        cmocka_unit_test(by_hand),
        cmocka_unit_test(lost_to_another),
        cmocka_unit_test(denied_owners_begin_anew),
        cmocka_unit_test(open_modes),
        cmocka_unit_test(restart_with_many),
    };
    const struct CMUnitTest mixed[] = {cmocka_unit_test(restart_with_all_versions)};
    int failed = 0;

    for (minor = 0; minor <= 1; minor++)
        failed += cmocka_run_group_tests(tests, set_up, tear_down);
    minor = 1;
    failed += cmocka_run_group_tests(mixed, set_up, tear_down);
    return failed;
}
