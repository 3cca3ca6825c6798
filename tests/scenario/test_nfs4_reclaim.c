/*
 * test_nfs4_reclaim.c - the server starts anew under open files and held locks: grace, reclaims, who may and
 * who may not (RFC 8881 8.4.2, RFC 7530 9.6.2).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nfs4client.h"
#include "nfsworld.h"
#include "simclock.h"

#include "dittofs/recovery.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LEASE_MS = 20000 };

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

/* A client with an open and a lock on [0, 10). */
struct actor {
    struct nfs4c c;
    char name[32];
    struct nfs4_open_args open;
    struct nfs4_opened opened;
    struct wire4_stateid lock;
    uint32_t lock_seqid;
};

static uint32_t lock_first(struct actor *actor, bool reclaim)
{
    struct wire4_lock_args lock = {.type = WIRE4_WRITE_LT,
                                   .reclaim = reclaim,
                                   .length = 10,
                                   .new_owner = true,
                                   .open_seqid = actor->open.seqid++,
                                   .lock_seqid = actor->lock_seqid++,
                                   .stateid = actor->opened.stateid,
                                   .owner = actor->name};

    return nfs4_try_lock(&actor->c, &actor->opened.file, &lock, &actor->lock, NULL);
}

static void come(struct actor *actor, uint32_t minor, const char *name, const char *file)
{
    struct wire4_handle top;

    memset(actor, 0, sizeof *actor);
    snprintf(actor->name, sizeof actor->name, "%s", name);
    nfs4_open(&actor->c, world, minor, 0, actor->name);
    nfs4_introduce(&actor->c);
    top = wire4_walk(&actor->c.wire, "a");
    actor->open = (struct nfs4_open_args){
        .access = 3, .deny = 2, .owner = actor->name, .create = NFS4C_UNCHECKED, .mode = 0666, .name = file};
    actor->opened = nfs4_must_open(&actor->c, &top, &actor->open);
    assert_int_equal(lock_first(actor, false), NFS4_OK);
}

static void leave(struct actor *actor)
{
    rpcclient_close(&actor->c.wire.rpc);
}

/* The same life of the client, at the server's next: its client id and session are gone. */
static void come_back(struct actor *actor)
{
    nfs4_reconnect(&actor->c);
    actor->c.wire.has_session = false;
    if (actor->c.wire.minor > 0) {
        struct wire4_create_session_args args;

        wire4_begin(&actor->c.wire);
        wire4_exchange_id(&actor->c.wire, actor->c.name, actor->c.verifier, 0);
        assert_int_equal(nfs4_call(&actor->c), NFS4_OK);
        nfs4_result(&actor->c, OP_EXCHANGE_ID, NFS4_OK);
        actor->c.wire.clientid = actor->c.result.clientid;
        actor->c.create_sequence = actor->c.result.seqid;
        args = nfs4_usual_session(&actor->c);
        wire4_begin(&actor->c.wire);
        wire4_create_session(&actor->c.wire, &args);
        assert_int_equal(nfs4_call(&actor->c), NFS4_OK);
        nfs4_result(&actor->c, OP_CREATE_SESSION, NFS4_OK);
        actor->c.wire.session = wire4_session_of(&actor->c.result);
        actor->c.wire.has_session = true;
    } else {
        nfs4_introduce(&actor->c);
    }
    actor->open.claim = 1;
    actor->open.create = NFS4C_NOCREATE;
}

static uint32_t reclaim_open(struct actor *actor)
{
    uint32_t status = nfs4_try_open(&actor->c, &actor->opened.file, &actor->open, &actor->opened);

    actor->open.seqid++;
    return status;
}

static void reclaim_all(struct actor *actor)
{
    assert_int_equal(reclaim_open(actor), NFS4_OK);
    assert_int_equal(actor->opened.flags & 2, 0); /* nothing to confirm */
    assert_int_equal(lock_first(actor, true), NFS4_OK);
}

static void say_complete(struct actor *actor)
{
    if (actor->c.wire.minor == 0)
        return;
    wire4_begin(&actor->c.wire);
    wire4_op_reclaim_complete(&actor->c.wire, false);
    assert_int_equal(nfs4_call(&actor->c), NFS4_OK);
}

static uint32_t open_new(struct actor *actor, const char *file)
{
    struct wire4_handle top = wire4_walk(&actor->c.wire, "a");
    struct nfs4_open_args args = {.access = 1, .owner = "new", .create = NFS4C_UNCHECKED, .name = file};
    struct nfs4_opened opened;

    return nfs4_try_open(&actor->c, &top, &args, &opened);
}

/* Its end is a record, which a worker makes durable. */
static void assert_grace_ends(void)
{
    for (int i = 0; i < 2000 && grace_is_active(world->state); i++) {
        nfsworld_turn(world, 1);
        usleep(1000);
    }
    assert_false(grace_is_active(world->state));
}

static void close_actor(struct actor *actor)
{
    nfs4_close_client(&actor->c);
}

static void restart(uint32_t minor)
{
    struct actor one, two, stranger;

    come(&one, minor, "one", "file");
    come(&two, 1, "two", "another");
    leave(&one);
    leave(&two);
    nfsworld_restart(world);
    assert_true(grace_is_active(world->state));

    /* What was before is not known any more; what is new has to wait. */
    nfs4_reconnect(&one.c);
    if (minor == 0)
        assert_int_equal(nfs4_try_read(&one.c, &one.opened.file, &one.opened.stateid), NFS4ERR_STALE_STATEID);
    come_back(&one);
    assert_int_equal(open_new(&one, "fresh"), NFS4ERR_GRACE);
    assert_int_equal(nfs4_try_read(&one.c, &one.opened.file, &wire4_anonymous), NFS4ERR_GRACE);
    assert_int_equal(nfs4_try_lockt(&one.c, &one.opened.file, WIRE4_READ_LT, 0, 1, "somebody", NULL),
                     NFS4ERR_GRACE);
    one.open.seqid++;
    reclaim_all(&one);
    assert_int_equal(nfs4_try_write(&one.c, &one.opened.file, &one.opened.stateid), NFS4_OK);

    /* Who held nothing reclaims nothing, nor gets anything. */
    nfs4_open(&stranger.c, world, 1, 0, "stranger");
    nfs4_introduce(&stranger.c);
    stranger.open = one.open;
    stranger.open.deny = 0;
    stranger.opened = one.opened;
    assert_int_not_equal(reclaim_open(&stranger), NFS4_OK);
    assert_int_equal(open_new(&stranger, "fresh"), NFS4ERR_GRACE);

    /* A conflicting reclaim is refused: somebody lies. */
    come_back(&two);
    two.opened.file = one.opened.file;
    assert_int_equal(reclaim_open(&two), NFS4ERR_SHARE_DENIED);
    say_complete(&two);
    say_complete(&one);
    /* 4.1 says when it is done; 4.0 is silent for a lease. */
    if (minor == 0)
        nfsworld_advance(world, LEASE_MS - 1000);
    nfsworld_advance(world, 2000);
    assert_grace_ends();
    nfs4_introduce(&stranger.c); /* it held nothing, and may have gone with its lease */
    assert_int_equal(open_new(&stranger, "fresh"), NFS4_OK);
    close_actor(&one);
    close_actor(&two);
    nfs4_close_client(&stranger.c);
}

static void test_restart_0(void **state)
{
    (void)state;
    restart(0);
}

static void test_restart_1(void **state)
{
    (void)state;
    restart(1);
}

/* After RECLAIM_COMPLETE there is nothing to reclaim any more, in grace or out of it. */
static void test_complete_ends_it(void **state)
{
    struct actor one, late;

    (void)state;
    come(&one, 1, "one", "file");
    come(&late, 1, "late", "another");
    leave(&one);
    leave(&late);
    nfsworld_restart(world);
    come_back(&one);
    say_complete(&one);
    assert_int_equal(reclaim_open(&one), NFS4ERR_NO_GRACE);
    assert_int_equal(open_new(&one, "fresh"), NFS4ERR_GRACE); /* the others are not done */
    /* The late one never comes: grace ends by time, and then it is too late. */
    nfsworld_advance(world, LEASE_MS + 1000);
    assert_grace_ends();
    nfs4_reconnect(&one.c);
    come_back(&one);
    come_back(&late);
    assert_int_equal(reclaim_open(&late), NFS4ERR_NO_GRACE);
    close_actor(&one);
    close_actor(&late);
}

/* Two restarts: who missed a whole grace period may not reclaim in the next (RFC 8881 8.4.3); who reclaimed,
 * or was cut off within grace, may. */
static void test_double_restart(void **state)
{
    struct actor steady, missing;

    (void)state;
    come(&steady, 1, "steady", "file");
    come(&missing, 1, "missing", "another");
    leave(&steady);
    leave(&missing);
    nfsworld_restart(world);
    come_back(&steady);
    reclaim_all(&steady);
    leave(&steady);
    nfsworld_restart(world); /* within grace: nobody has lost anything */
    come_back(&steady);
    reclaim_all(&steady);
    say_complete(&steady);
    nfsworld_advance(world, LEASE_MS + 1000);
    assert_grace_ends();
    leave(&steady);
    nfsworld_restart(world);
    assert_true(grace_is_active(world->state));
    come_back(&missing);
    assert_int_equal(reclaim_open(&missing), NFS4ERR_RECLAIM_BAD);
    come_back(&steady);
    reclaim_all(&steady);
    say_complete(&steady);
    assert_grace_ends();
    close_actor(&steady);
    close_actor(&missing);
}

/* A hundred clients: all reclaim, no foreign lock is granted meanwhile, and grace ends with the last of them.
 */
static void test_hundred(void **state)
{
    enum { CLIENTS = 100 };
    static struct actor actors[CLIENTS];
    struct actor thief;
    char name[32];

    (void)state;
    for (int i = 0; i < CLIENTS; i++) {
        snprintf(name, sizeof name, "client %d", i);
        come(&actors[i], 1, name, name);
        leave(&actors[i]);
    }
    nfsworld_restart(world);
    nfs4_open(&thief.c, world, 1, 0, "thief");
    nfs4_introduce(&thief.c);
    for (int i = 0; i < CLIENTS; i++) {
        assert_true(grace_is_active(world->state));
        assert_int_equal(open_new(&thief, actors[i].name), NFS4ERR_GRACE);
        come_back(&actors[i]);
        reclaim_all(&actors[i]);
        say_complete(&actors[i]);
    }
    assert_grace_ends();
    for (int i = 0; i < CLIENTS; i++) {
        assert_int_equal(nfs4_try_write(&actors[i].c, &actors[i].opened.file, &actors[i].lock), NFS4_OK);
        close_actor(&actors[i]);
    }
    nfs4_close_client(&thief.c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_restart_0, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_restart_1, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_complete_ends_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_double_restart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hundred, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
