/*
 * test_smb2_persistent.c - handles that outlive the server: what stands again after a power cut, for whom,
 * and until when; what was given back or taken away before does not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dittofs/recovery.h"
#include "lockactor.h"
#include "simclock.h"
#include "smb/smb2_priv.h"

#include <string.h>
#include <unistd.h>

enum { TURNS_MAX = 5000, TIMEOUT_MS = 60000, RWH = 7, RH = 3, REPLAY = 0x20000000, PERSISTENT = 2 };
enum { KEY = 1, GUID = 2, LEASE_MS = 600000, GRACE_MS = 10000 };

static struct smbworld *world;
static uint64_t seed;

static int set_up(void **state)
{
    struct nfsworld_options options = {
        .state = {.grace_ms = GRACE_MS, .lease_ms = LEASE_MS},
        .locking = {.portmap_port = 1, .notify_retry_ms = 60000}, /* nobody answers there */
    };

    (void)state;
    simclock_install();
    simclock_set_tick_ns(1000);
    world = smbworld_open_persistent(&options);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    smbworld_close(&world);
    simclock_remove();
    return 0;
}

static struct smb2client *machine(uint8_t number, const char *user)
{
    struct smb2client *client = smbworld_connect(world);

    client->guid[0] = number;
    memset(client->guid + 1, 0, sizeof client->guid - 1);
    smbworld_log_on(client, user, "a");
    return client;
}

static void put_le32(uint8_t *at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

struct wish {
    const char *name;
    uint32_t share, access, options;
    uint32_t lease;       /* 0: none */
    uint8_t oplock;       /* without a lease */
    uint32_t flags;       /* PERSISTENT */
    const uint8_t *again; /* the file id of one that comes back */
};

static uint32_t open_as(struct smb2client *client, const struct wish *wish, struct smb2c_opened *opened_r)
{
    uint8_t lease[SMB2C_LEASE_V2_SIZE], request[32] = {0}, again[36] = {0};
    static const uint8_t key[16] = {KEY};
    struct smb2c_context contexts[3];
    struct smb2c_create create = {.name = wish->name,
                                  .share = wish->share,
                                  .access = wish->access,
                                  .options = wish->options,
                                  .disposition = SMB2C_OPEN_IF,
                                  .oplock = wish->lease != 0 ? (uint8_t)SMB2C_OPLOCK_LEASE : wish->oplock,
                                  .contexts = contexts};
    size_t count = 0;

    put_le32(request, TIMEOUT_MS);
    put_le32(request + 4, wish->flags);
    request[16] = again[16] = GUID;
    request[17] = again[17] = (uint8_t)wish->name[0];
    put_le32(again + 32, wish->flags);
    if (wish->again != NULL)
        memcpy(again, wish->again, 16);
    if (wish->lease != 0)
        contexts[count++] =
            (struct smb2c_context){"RqLs", lease, smb2client_lease(lease, key, wish->lease, true, NULL, 0)};
    contexts[count++] = wish->again != NULL ? (struct smb2c_context){"DH2C", again, sizeof again}
                                            : (struct smb2c_context){"DH2Q", request, sizeof request};
    contexts[count] = (struct smb2c_context){NULL, NULL, 0};
    return smb2client_create(client, &create, opened_r);
}

/* What DH2Q in the reply says; 0 without it. */
static uint32_t granted_flags(const struct smb2client *client)
{
    uint32_t timeout_ms, flags = 0;
    struct reader data;

    if (!smb2client_context(client, "DH2Q", &data))
        return 0;
    assert_true(reader_le32(&data, &timeout_ms) && reader_le32(&data, &flags));
    assert_int_equal(timeout_ms, TIMEOUT_MS);
    return flags;
}

static const struct wish with_lease = {
    .name = "f", .share = SMB2C_SHARE_ALL, .lease = RWH, .flags = PERSISTENT};

static struct smb2client *open_persistent(const struct wish *wish, struct smb2c_opened *opened_r)
{
    struct smb2client *client = machine(1, "alice");

    assert_int_equal(open_as(client, wish, opened_r), STATUS_SUCCESS);
    assert_int_equal(granted_flags(client), PERSISTENT);
    return client;
}

static uint32_t reconnect(struct smb2client *client, const struct wish *wish,
                          const struct smb2c_opened *before, struct smb2c_opened *opened_r)
{
    struct wish again = *wish;

    again.again = before->file;
    return open_as(client, &again, opened_r);
}

static uint32_t lock(struct smb2client *client, const uint8_t *file, uint64_t offset, uint64_t length,
                     uint32_t flags)
{
    struct smb2c_range range = {.offset = offset, .length = length, .flags = flags};

    return smb2client_lock(client, file, &range, 1);
}

enum {
    EXCLUSIVE = SMB2C_LOCK_EXCLUSIVE | SMB2C_FAIL_AT_ONCE,
    SHARED = SMB2C_LOCK_SHARED | SMB2C_FAIL_AT_ONCE
};

static uint32_t lease_now(const struct smb2client *client)
{
    uint32_t lease = 0;
    uint8_t key[16];
    uint16_t epoch;

    assert_true(smb2client_lease_granted(client, key, &lease, &epoch));
    return lease;
}

/* The power goes under CLIENT. */
static void crash(struct smb2client **client, uint32_t parked)
{
    smbworld_crash(world, ++seed);
    if (client != NULL)
        smb2client_close(client);
    assert_int_equal(world->server->parked_count, parked);
}

static void end_grace(uint64_t within_ms)
{
    nfsworld_advance(world->nfs, within_ms);
    for (unsigned turns = 0; grace_is_active(world->nfs->state); turns++) {
        assert_true(turns < TURNS_MAX); /* its record has to become durable */
        nfsworld_turn(world->nfs, 1);
        usleep(1000);
    }
}

static void crash_after_grace(struct smb2client **client)
{
    crash(client, 1);
    end_grace(GRACE_MS + 1000);
}

static struct state_counters counters(void)
{
    struct state_counters now;

    state_counters(world->nfs->state, &now);
    return now;
}

/* Nothing is held, and the next start finds nothing either. */
static void nothing_left(void)
{
    smbworld_restart(world);
    assert_int_equal(world->server->parked_count, 0);
    assert_int_equal(counters().opens + counters().locks + counters().grants, 0);
}

static enum outcome insist(struct actor *actor, enum outcome (*what)(struct actor *actor), unsigned turns)
{
    enum outcome outcome = what(actor);

    for (; outcome == OUT_LATER && turns > 0; turns--) {
        nfsworld_turn(world->nfs, 1);
        outcome = what(actor);
    }
    return outcome;
}

static enum outcome open_to_write(struct actor *actor)
{
    return actor_open(actor, "f", OPEN_READ | OPEN_WRITE, 0);
}

static bool count_missing(void *data, const struct smb_missing *missing)
{
    assert_string_equal(missing->user, "alice");
    assert_true(missing->left_ms > 0 && missing->left_ms <= TIMEOUT_MS);
    *(uint32_t *)data += missing->opens;
    return true;
}

static uint32_t missing(void)
{
    uint32_t opens = 0;

    smb_missing_each(world->server, count_missing, &opens);
    return opens;
}

/* All is as it was, time and again: the id, the lease, ranges that stack, the data. */
static void comes_back(void **state)
{
    struct smb2c_opened opened, again, second;
    struct smb2client *client = open_persistent(&with_lease, &opened);
    struct wish plain = {.name = "f", .share = SMB2C_SHARE_ALL, .lease = RWH};
    struct reader got;

    (void)state;
    assert_int_equal(lease_now(client), RWH);
    assert_int_equal(smb2client_write(client, opened.file, 0, "hello", 5), STATUS_SUCCESS);
    assert_int_equal(lock(client, opened.file, 0, 10, EXCLUSIVE), STATUS_SUCCESS);
    assert_int_equal(lock(client, opened.file, 2, 3, SHARED), STATUS_SUCCESS);
    assert_int_equal(lock(client, opened.file, 2, 3, SHARED), STATUS_SUCCESS);
    /* What is given back is not waited for; the next lock is, and stands behind it. */
    assert_int_equal(lock(client, opened.file, 50, 1, EXCLUSIVE), STATUS_SUCCESS);
    assert_int_equal(lock(client, opened.file, 50, 1, SMB2C_UNLOCK), STATUS_SUCCESS);
    assert_int_equal(lock(client, opened.file, 100, 0, EXCLUSIVE), STATUS_SUCCESS);
    for (unsigned round = 0; round < 3; round++) {
        crash(&client, 1);
        assert_int_equal(counters().locks, 4);
        assert_int_equal(missing(), 1);
        nfsworld_advance(world->nfs, TIMEOUT_MS - 2000);
        client = machine(1, "alice");
        assert_int_equal(reconnect(client, &with_lease, &opened, &again), STATUS_SUCCESS);
        assert_int_equal(missing(), 0);
        assert_memory_equal(again.file, opened.file, 8);
        assert_int_equal(lease_now(client), RWH);
        opened = again;
    }
    assert_int_equal(smb2client_read(client, opened.file, 0, 100, &got), STATUS_SUCCESS);
    assert_memory_equal(got.at, "hello", 5);
    assert_int_equal(open_as(client, &plain, &second), STATUS_DUPLICATE_OBJECTID);
    assert_int_equal(lock(client, opened.file, 0, 10, SMB2C_UNLOCK), STATUS_SUCCESS);
    assert_int_equal(lock(client, opened.file, 2, 3, SMB2C_UNLOCK), STATUS_SUCCESS);
    assert_int_equal(lock(client, opened.file, 2, 3, SMB2C_UNLOCK), STATUS_SUCCESS);
    assert_int_equal(lock(client, opened.file, 2, 3, SMB2C_UNLOCK), STATUS_RANGE_NOT_LOCKED);
    assert_int_equal(smb2client_close_file(client, opened.file), STATUS_SUCCESS);
    smb2client_close(&client);
    nothing_left();
}

/* Who shows the wrong thing, or is somebody else, does not get it; without time it is gone for good. */
static void refused(void **state)
{
    struct wish wish = {.name = "f", .share = SMB2C_SHARE_READ, .flags = PERSISTENT}, plain = wish;
    struct smb2c_opened opened, again, forged;
    struct smb2client *client = open_persistent(&wish, &opened);

    (void)state;
    plain.flags = 0;
    crash(&client, 1);
    client = machine(1, "alice");
    forged = opened;
    forged.file[3] ^= 1;
    assert_int_equal(reconnect(client, &wish, &forged, &again), STATUS_OBJECT_NAME_NOT_FOUND);
    assert_int_equal(reconnect(client, &plain, &opened, &again), STATUS_OBJECT_NAME_NOT_FOUND);
    assert_int_equal(reconnect(client, &with_lease, &opened, &again), STATUS_OBJECT_NAME_NOT_FOUND);
    smb2client_close(&client);
    client = machine(1, "\303\234nal");
    assert_int_equal(reconnect(client, &wish, &opened, &again), STATUS_ACCESS_DENIED);
    smb2client_close(&client);
    assert_int_equal(world->server->parked_count, 1);
    nfsworld_advance(world->nfs, TIMEOUT_MS + 1000);
    assert_int_equal(world->server->parked_count, 0);
    assert_int_equal(missing(), 0);
    client = machine(1, "alice");
    assert_int_equal(reconnect(client, &wish, &opened, &again), STATUS_OBJECT_NAME_NOT_FOUND);
    smb2client_close(&client);
    nothing_left();
}

/* Only for who asks, knows of them, and of a share that has them. */
static void where_there_are_none(void **state)
{
    struct wish wish = with_lease;
    struct smb2c_opened opened;
    struct smb2client *client;
    struct reader body;
    uint32_t capabilities = 0;

    (void)state;
    client = machine(1, "alice");
    assert_true(client->server_capabilities & SMB2C_CAP_PERSISTENT);
    assert_int_equal(smb2client_tree_connect(client, "a"), STATUS_SUCCESS);
    body = smb2client_body(client);
    assert_true(reader_skip(&body, 8) && reader_le32(&body, &capabilities));
    assert_int_equal(capabilities, 0x10);
    wish.flags = 0;
    assert_int_equal(open_as(client, &wish, &opened), STATUS_SUCCESS);
    assert_int_equal(granted_flags(client), 0); /* durable, no more */
    crash(&client, 0);
    client = smbworld_connect(world);
    client->capabilities &= ~(uint32_t)SMB2C_CAP_PERSISTENT;
    smbworld_log_on(client, "alice", "a");
    assert_false(client->server_capabilities & SMB2C_CAP_PERSISTENT);
    assert_int_equal(open_as(client, &with_lease, &opened), STATUS_SUCCESS);
    assert_int_equal(granted_flags(client), 0);
    smb2client_close(&client);
    /* The share has them no more: neither new ones nor those that were. */
    client = machine(2, "alice");
    wish = (struct wish){.name = "g", .share = SMB2C_SHARE_ALL, .flags = PERSISTENT};
    assert_int_equal(open_as(client, &wish, &opened), STATUS_SUCCESS);
    assert_int_equal(granted_flags(client), PERSISTENT);
    world->persistent = false;
    crash(&client, 0);
    client = machine(2, "alice");
    assert_false(client->server_capabilities & SMB2C_CAP_PERSISTENT);
    assert_int_equal(open_as(client, &wish, &opened), STATUS_SUCCESS);
    assert_int_equal(granted_flags(client), 0);
    smb2client_close(&client);
    world->persistent = true;
    nothing_left();
}

/* Share mode and range stand against everybody, before and after grace, until the time is over. */
static void stands_against_all(void **state)
{
    struct wish wish = {.name = "f", .share = SMB2C_SHARE_READ, .flags = PERSISTENT};

    (void)state;
    for (enum actor_protocol protocol = 0; protocol < ACTOR_PROTOCOLS; protocol++) {
        struct smb2c_opened opened;
        struct smb2client *client = open_persistent(&wish, &opened);
        struct actor *actor;

        assert_int_equal(smb2client_write(client, opened.file, 0, "abc", 3), STATUS_SUCCESS);
        assert_int_equal(lock(client, opened.file, 0, 3, EXCLUSIVE), STATUS_SUCCESS);
        crash_after_grace(&client);
        actor = actor_new(world, protocol, actor_protocol_name(protocol));
        if (insist(actor, open_to_write, TURNS_MAX) != OUT_SHARE)
            fail_msg("%s: got by the share mode", actor_protocol_name(protocol));
        assert_int_equal(actor_open(actor, "f", protocol == ACTOR_V3 ? 0 : OPEN_READ, 0), OUT_OK);
        assert_int_equal(actor_lock(actor, 1, 1, false), OUT_DENIED);
        assert_int_equal(actor_read(actor), OUT_LOCKED);
        actor_release(actor);
        assert_int_equal(missing(), 1);
        nfsworld_advance(world->nfs, TIMEOUT_MS + 1000);
        if (insist(actor, open_to_write, TURNS_MAX) != OUT_OK)
            fail_msg("%s: the share mode stays", actor_protocol_name(protocol));
        assert_int_equal(actor_lock(actor, 1, 1, true), OUT_OK);
        actor_release(actor);
        actor_free(&actor);
    }
    nothing_left();
}

/* What was given back, and then given to another who was told so, is not held again by who had it before. */
static void given_back_is_free(void **state)
{
    struct wish wish = {.name = "f", .share = SMB2C_SHARE_ALL, .flags = PERSISTENT};
    struct smb2c_opened opened;
    struct smb2client *client = open_persistent(&wish, &opened);
    struct actor *actor = actor_new(world, ACTOR_V41, "heir");

    (void)state;
    assert_int_equal(lock(client, opened.file, 0, 10, EXCLUSIVE), STATUS_SUCCESS);
    assert_int_equal(lock(client, opened.file, 20, 10, EXCLUSIVE), STATUS_SUCCESS);
    assert_int_equal(insist(actor, open_to_write, TURNS_MAX), OUT_OK);
    assert_int_equal(actor_lock(actor, 100, 1, true), OUT_OK); /* its record is there */
    for (unsigned round = 0; round < 5; round++) {
        assert_int_equal(lock(client, opened.file, 0, 10, SMB2C_UNLOCK), STATUS_SUCCESS);
        assert_int_equal(actor_lock(actor, 0, 10, true), OUT_OK);
        crash(&client, 1);
        assert_int_equal(counters().locks, 1);
        actor_reconnect(actor);
        assert_int_equal(actor_reclaim(actor, 0, 10, true), OUT_OK);
        actor_complete(actor);
        end_grace(2000); /* all are back */
        client = machine(1, "alice");
        assert_int_equal(reconnect(client, &wish, &opened, &opened), STATUS_SUCCESS);
        assert_int_equal(lock(client, opened.file, 0, 10, EXCLUSIVE), STATUS_LOCK_NOT_GRANTED);
        assert_int_equal(actor_unlock(actor, 0, UINT64_MAX), OUT_OK);
        assert_int_equal(lock(client, opened.file, 0, 10, EXCLUSIVE), STATUS_SUCCESS);
    }
    assert_int_equal(smb2client_close_file(client, opened.file), STATUS_SUCCESS);
    assert_int_equal(actor_lock(actor, 20, 10, true), OUT_OK);
    crash(&client, 0);
    actor_reconnect(actor);
    assert_int_equal(actor_reclaim(actor, 20, 10, true), OUT_OK);
    actor_complete(actor);
    nfsworld_advance(world->nfs, 2000);
    actor_release(actor);
    actor_free(&actor);
}

/* A LOCK that had to wait is recorded when it is granted. */
static void waiting_lock(void **state)
{
    struct wish wish = {.name = "f", .share = SMB2C_SHARE_ALL, .flags = PERSISTENT};
    struct smb2c_opened opened;
    struct smb2client *client = open_persistent(&wish, &opened);
    struct actor *actor = actor_new(world, ACTOR_V42, "first");
    uint64_t message, async;

    (void)state;
    assert_int_equal(insist(actor, open_to_write, TURNS_MAX), OUT_OK);
    assert_int_equal(actor_lock(actor, 0, 10, true), OUT_OK);
    message = smb2client_send_lock(client, opened.file, 0, 10, SMB2C_LOCK_EXCLUSIVE);
    assert_true(smb2client_pending(client, message, &async));
    assert_int_equal(actor_unlock(actor, 0, 10), OUT_OK);
    assert_int_equal(smb2client_wait(client, message), STATUS_SUCCESS);
    actor_release(actor);
    actor_free(&actor);
    crash(&client, 1);
    assert_int_equal(counters().locks, 1);
    nfsworld_advance(world->nfs, TIMEOUT_MS + 1000);
    assert_int_equal(counters().locks, 0);
}

/* What its lease caches is wanted while it is away: it has the time of a break to come back, is told, and
 * the other waits. */
static void lease_is_wanted(void **state)
{
    struct smb2c_opened opened;
    struct smb2client *client = open_persistent(&with_lease, &opened);
    struct actor *actor = NULL;
    struct smb2c_break got;

    (void)state;
    for (enum actor_protocol protocol = ACTOR_V40; protocol <= ACTOR_V42; protocol++) {
        crash_after_grace(&client);
        actor = actor_new(world, protocol, actor_protocol_name(protocol));
        assert_int_equal(insist(actor, open_to_write, 50), OUT_LATER);
        client = machine(1, "alice");
        assert_int_equal(reconnect(client, &with_lease, &opened, &opened), STATUS_SUCCESS);
        assert_true(smb2client_next_break(client, &got));
        assert_true(got.lease && got.flags == 1);
        assert_int_equal(got.to, RH);
        assert_int_equal(insist(actor, open_to_write, 50), OUT_LATER);
        assert_int_equal(smb2client_write(client, opened.file, 0, "cached", 6), STATUS_SUCCESS);
        assert_int_equal(smb2client_acknowledge_lease(client, got.key, RH), STATUS_SUCCESS);
        assert_int_equal(insist(actor, open_to_write, TURNS_MAX), OUT_OK);
        actor_release(actor);
        actor_free(&actor);
        /* It is RH in the record, too. */
        crash_after_grace(&client);
        client = machine(1, "alice");
        assert_int_equal(reconnect(client, &with_lease, &opened, &opened), STATUS_SUCCESS);
        assert_int_equal(lease_now(client), RH);
        assert_int_equal(smb2client_close_file(client, opened.file), STATUS_SUCCESS);
        smb2client_close(&client);
        client = open_persistent(&with_lease, &opened);
    }
    /* It does not come in time: the other goes on, the open stays. */
    crash_after_grace(&client);
    actor = actor_new(world, ACTOR_V42, "other");
    assert_int_equal(insist(actor, open_to_write, 50), OUT_LATER);
    nfsworld_advance(world->nfs, SMB2_BREAK_MS + 1000);
    assert_int_equal(insist(actor, open_to_write, TURNS_MAX), OUT_OK);
    assert_int_equal(world->server->parked_count, 1);
    actor_release(actor);
    actor_free(&actor);
    client = machine(1, "alice");
    assert_int_equal(reconnect(client, &with_lease, &opened, &opened), STATUS_SUCCESS);
    smb2client_close(&client);
}

/* A batch oplock comes back as such. */
static void with_oplock(void **state)
{
    struct wish wish = {
        .name = "f", .share = SMB2C_SHARE_ALL, .oplock = SMB2C_OPLOCK_BATCH, .flags = PERSISTENT};
    struct smb2c_opened opened, again;
    struct smb2client *client = open_persistent(&wish, &opened);

    (void)state;
    assert_int_equal(opened.oplock, SMB2C_OPLOCK_BATCH);
    crash(&client, 1);
    assert_int_equal(counters().grants, 1);
    client = machine(1, "alice");
    assert_int_equal(reconnect(client, &wish, &opened, &again), STATUS_SUCCESS);
    assert_int_equal(again.oplock, SMB2C_OPLOCK_BATCH);
    smb2client_close(&client);
}

/* The CREATE whose answer was lost with the server is asked again. */
static void replayed(void **state)
{
    struct smb2c_opened opened, again;
    struct smb2client *client = open_persistent(&with_lease, &opened);

    (void)state;
    crash(&client, 1);
    client = machine(1, "alice");
    client->extra_flags = REPLAY;
    assert_int_equal(open_as(client, &with_lease, &again), STATUS_SUCCESS);
    assert_int_equal(granted_flags(client), PERSISTENT);
    assert_memory_equal(again.file, opened.file, 8);
    assert_int_equal(again.action, opened.action);
    assert_int_equal(lease_now(client), RWH);
    client->extra_flags = 0;
    assert_int_equal(world->server->parked_count, 0);
    assert_int_equal(smb2client_close_file(client, again.file), STATUS_SUCCESS);
    smb2client_close(&client);
    nothing_left();
}

static uint32_t look_up(const char *name)
{
    struct rpcclient *rpc = nfsworld_client(world->nfs, 1000, 1000);
    struct nfs3_handle top = nfsworld_mount(rpc, "/a");
    struct nfs3_result r;

    assert_int_equal(nfs3_lookup(rpc, &top, name, &r), RPCCLIENT_SUCCESS);
    rpcclient_close(&rpc);
    return r.status;
}

/* Deletion on close is not forgotten, nor the name that the file got meanwhile. */
static void deleted_at_last(void **state)
{
    struct wish wish = {.name = "f",
                        .share = SMB2C_SHARE_ALL,
                        .access = SMB2C_READ_WRITE | SMB2C_DELETE,
                        .options = SMB2C_DELETE_ON_CLOSE,
                        .flags = PERSISTENT};
    struct smb2c_opened opened;
    struct smb2client *client = open_persistent(&wish, &opened);
    struct actor *actor = actor_new(world, ACTOR_V3, "renamer");

    (void)state;
    assert_int_equal(actor_rename(actor, "f", "g"), OUT_OK);
    nfsworld_turn(world->nfs, 10);
    /* It is durable behind what was recorded before. */
    assert_int_equal(lock(client, opened.file, 0, 1, EXCLUSIVE), STATUS_SUCCESS);
    crash(&client, 1);
    assert_int_equal(look_up("g"), 0);
    nfsworld_advance(world->nfs, TIMEOUT_MS + 1000);
    assert_int_equal(world->server->parked_count, 0);
    assert_int_equal(look_up("g"), 2);
    actor_free(&actor);
    nothing_left();
}

/* A stop in good order leaves them as a crash does; what an administrator ends is gone. */
static void stopped_and_disconnected(void **state)
{
    struct smb2c_opened opened;
    struct smb2client *client = open_persistent(&with_lease, &opened);
    struct smb_session_info info;
    struct client *at = NULL;

    (void)state;
    smb2client_close(&client);
    smbworld_restart(world);
    assert_int_equal(world->server->parked_count, 1);
    client = machine(1, "alice");
    assert_int_equal(reconnect(client, &with_lease, &opened, &opened), STATUS_SUCCESS);
    assert_true(smb_session_next(world->server, 0, &info));
    assert_int_equal(smb_session_disconnect(world->server, info.id), ERR_OK);
    assert_int_equal(world->server->parked_count, 0);
    assert_int_equal(counters().opens, 0);
    smb2client_close(&client);
    nothing_left();
    /* The machine, with what it has left parked. */
    client = open_persistent(&with_lease, &opened);
    crash(&client, 1);
    while ((at = client_next(world->nfs->state, at)) != NULL && client_family(at) != SMB2_FAMILY)
        continue;
    assert_non_null(at);
    client_disconnect(at);
    assert_int_equal(world->server->parked_count, 0);
    nothing_left();
}

static uint64_t open_id(const struct smb2c_opened *opened)
{
    struct reader reader = reader_of(opened->file, sizeof opened->file);
    uint64_t id = 0;

    assert_true(reader_le64(&reader, &id));
    return id;
}

/* What an administrator has taken away does not come back. */
static void taken_away(void **state)
{
    struct wish wish = {.name = "f", .share = SMB2C_SHARE_READ, .flags = PERSISTENT};
    struct smb2c_opened opened;
    struct smb2client *client = open_persistent(&wish, &opened);
    struct smb2_open *open = smb2__open_by_id(world->server, open_id(&opened));
    struct lock_holder *holder;

    (void)state;
    assert_non_null(open);
    assert_int_equal(lock(client, opened.file, 0, 3, EXCLUSIVE), STATUS_SUCCESS);
    assert_int_equal(lock(client, opened.file, 10, 3, EXCLUSIVE), STATUS_SUCCESS);
    assert_int_equal(lock(client, opened.file, 20, 3, SHARED), STATUS_SUCCESS);
    holder = lock_holder_find(open->file, open->owner);
    assert_int_equal(lock_unset(holder, 10, 3), ERR_OK);
    assert_int_equal(smb_server_locks_taken(world->server), ERR_OK);
    smbworld_restart(world);
    smb2client_close(&client);
    assert_int_equal(world->server->parked_count, 1);
    assert_int_equal(counters().locks, 2);
    client = machine(1, "alice");
    assert_int_equal(reconnect(client, &wish, &opened, &opened), STATUS_SUCCESS);
    open = smb2__open_by_id(world->server, open_id(&opened));
    lock_holder_revoke(lock_holder_find(open->file, open->owner));
    assert_int_equal(smb_server_locks_taken(world->server), ERR_OK);
    smbworld_restart(world);
    assert_int_equal(counters().locks, 0);
    smb2client_close(&client);
    /* The open itself. */
    client = machine(1, "alice");
    assert_int_equal(reconnect(client, &wish, &opened, &opened), STATUS_SUCCESS);
    open = smb2__open_by_id(world->server, open_id(&opened));
    open_revoke(open->share);
    nfsworld_turn(world->nfs, 10);
    smbworld_restart(world);
    assert_int_equal(world->server->parked_count, 0);
    smb2client_close(&client);
}

/* Streams and directories. */
static void of_other_kinds(void **state)
{
    struct wish stream = {.name = "f:notes", .share = SMB2C_SHARE_READ, .flags = PERSISTENT};
    struct wish directory = {.name = "d",
                             .share = SMB2C_SHARE_ALL,
                             .access = SMB2C_READ_ONLY,
                             .options = SMB2C_DIRECTORY,
                             .flags = PERSISTENT};
    struct smb2c_opened file, notes, dir;
    struct smb2client *client = open_persistent(&stream, &notes);
    struct reader got;

    (void)state;
    assert_int_equal(smb2client_write(client, notes.file, 0, "note", 4), STATUS_SUCCESS);
    assert_int_equal(open_as(client, &directory, &dir), STATUS_SUCCESS);
    assert_int_equal(granted_flags(client), PERSISTENT);
    crash(&client, 2);
    client = machine(1, "alice");
    assert_int_equal(reconnect(client, &stream, &notes, &file), STATUS_SUCCESS);
    assert_int_equal(smb2client_read(client, file.file, 0, 10, &got), STATUS_SUCCESS);
    assert_int_equal(got.left, 4);
    assert_memory_equal(got.at, "note", 4);
    assert_int_equal(reconnect(client, &directory, &dir, &file), STATUS_SUCCESS);
    smb2client_close(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(comes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(where_there_are_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stands_against_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(given_back_is_free, set_up, tear_down),
        cmocka_unit_test_setup_teardown(waiting_lock, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lease_is_wanted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(with_oplock, set_up, tear_down),
        cmocka_unit_test_setup_teardown(replayed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(deleted_at_last, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stopped_and_disconnected, set_up, tear_down),
        cmocka_unit_test_setup_teardown(taken_away, set_up, tear_down),
        cmocka_unit_test_setup_teardown(of_other_kinds, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
