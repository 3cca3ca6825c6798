/*
 * test_smb2_durable.c - opens that outlive their connection: what they keep until their client is back, when
 * they go, and what the other protocols see of them meanwhile.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lockactor.h"
#include "simclock.h"
#include "smb/smb2_priv.h"

#include <string.h>
#include <unistd.h>

enum { TURNS_MAX = 5000, TIMEOUT_MS = 5000, RWH = 7, REPLAY = 0x20000000, RESILIENCY = 0x001401D4 };
enum { KEY = 1, GUID = 2 };

static struct smbworld *world;

static int set_up(void **state)
{
    (void)state;
    simclock_install();
    world = smbworld_open(NULL, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    smbworld_close(&world);
    simclock_remove();
    return 0;
}

/* A client of the machine NUMBER. */
static struct smb2client *machine(uint8_t number, const char *user)
{
    struct smb2client *client = smbworld_connect(world);

    client->guid[0] = number;
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
    uint32_t share;
    bool is_plain;        /* no lease */
    uint32_t timeout_ms;  /* 0: not durable */
    const uint8_t *again; /* the file id of one that comes back */
};

static uint32_t open_as(struct smb2client *client, const struct wish *wish, struct smb2c_opened *opened_r)
{
    uint8_t lease[SMB2C_LEASE_V2_SIZE], request[32] = {0}, again[36] = {0};
    static const uint8_t key[16] = {KEY};
    struct smb2c_context contexts[3];
    struct smb2c_create create = {.name = wish->name,
                                  .share = wish->share,
                                  .disposition = SMB2C_OPEN_IF,
                                  .oplock = wish->is_plain ? SMB2C_OPLOCK_NONE : SMB2C_OPLOCK_LEASE,
                                  .contexts = contexts};
    size_t count = 0;

    put_le32(request, wish->timeout_ms);
    request[16] = GUID;
    if (wish->again != NULL)
        memcpy(again, wish->again, 16);
    again[16] = GUID;
    if (!wish->is_plain)
        contexts[count++] =
            (struct smb2c_context){"RqLs", lease, smb2client_lease(lease, key, RWH, true, NULL, 0)};
    if (wish->again != NULL)
        contexts[count++] = (struct smb2c_context){"DH2C", again, sizeof again};
    else if (wish->timeout_ms != 0)
        contexts[count++] = (struct smb2c_context){"DH2Q", request, sizeof request};
    contexts[count] = (struct smb2c_context){NULL, NULL, 0};
    return smb2client_create(client, &create, opened_r);
}

static uint32_t lock(struct smb2client *client, const uint8_t *file, uint32_t flags)
{
    struct smb2c_range range = {.offset = 0, .length = 3, .flags = flags};

    return smb2client_lock(client, file, &range, 1);
}

/* The connection is cut, and the server has seen it. */
static void cut(struct smb2client **client, uint32_t parked)
{
    unsigned turns = 0;

    smb2client_close(client);
    while ((world->server->parked_count != parked || !list_is_empty(&world->server->conns)) &&
           turns++ < TURNS_MAX) {
        nfsworld_turn(world->nfs, 1);
        usleep(200);
    }
    assert_int_equal(world->server->parked_count, parked);
}

/* With data, a range, a lease that caches all, and TIMEOUT_MS. */
static struct smb2client *open_durable(struct smb2c_opened *opened_r)
{
    struct smb2client *client = machine(1, "alice");
    struct wish wish = {.name = "f", .share = SMB2C_SHARE_ALL, .timeout_ms = TIMEOUT_MS};
    struct reader data;
    uint32_t timeout_ms, lease;
    uint8_t key[16];
    uint16_t epoch;

    assert_int_equal(open_as(client, &wish, opened_r), STATUS_SUCCESS);
    assert_true(smb2client_context(client, "DH2Q", &data) && reader_le32(&data, &timeout_ms));
    assert_int_equal(timeout_ms, TIMEOUT_MS);
    assert_true(smb2client_lease_granted(client, key, &lease, &epoch));
    assert_int_equal(lease, RWH);
    assert_int_equal(smb2client_write(client, opened_r->file, 0, "hello", 5), STATUS_SUCCESS);
    assert_int_equal(lock(client, opened_r->file, SMB2C_LOCK_EXCLUSIVE | SMB2C_FAIL_AT_ONCE), STATUS_SUCCESS);
    return client;
}

static uint32_t reconnect(struct smb2client *client, const struct smb2c_opened *before,
                          struct smb2c_opened *opened_r)
{
    return open_as(client, &(struct wish){.name = "f", .again = before->file}, opened_r);
}

/* Within its time all is as it was: the id, what is cached, the range, the data. */
static void comes_back(void **state)
{
    struct smb2c_opened opened, again, second;
    struct smb2client *client = open_durable(&opened);
    struct wish wish = {.name = "f", .share = SMB2C_SHARE_ALL};
    struct reader got;
    uint8_t key[16];
    uint32_t lease;
    uint16_t epoch;

    (void)state;
    for (unsigned round = 0; round < 3; round++) {
        cut(&client, 1);
        nfsworld_advance(world->nfs, TIMEOUT_MS - 1000);
        client = machine(1, "alice");
        assert_int_equal(reconnect(client, &opened, &again), STATUS_SUCCESS);
        assert_int_equal(world->server->parked_count, 0);
        assert_memory_equal(again.file, opened.file, 8);
        assert_true(smb2client_lease_granted(client, key, &lease, &epoch));
        assert_true(smb2client_context(client, "RqLs", &got) && got.left == SMB2C_LEASE_V2_SIZE);
        assert_int_equal(lease, RWH);
        assert_int_equal(key[0], KEY);
        opened = again;
    }
    assert_int_equal(smb2client_read(client, opened.file, 0, 100, &got), STATUS_SUCCESS);
    assert_int_equal(got.left, 5);
    assert_memory_equal(got.at, "hello", 5);
    assert_int_equal(open_as(client, &wish, &second), STATUS_SUCCESS);
    assert_int_equal(lock(client, second.file, SMB2C_LOCK_SHARED | SMB2C_FAIL_AT_ONCE),
                     STATUS_LOCK_NOT_GRANTED);
    assert_int_equal(lock(client, opened.file, SMB2C_UNLOCK), STATUS_SUCCESS);
    assert_int_equal(lock(client, second.file, SMB2C_LOCK_SHARED | SMB2C_FAIL_AT_ONCE), STATUS_SUCCESS);
    smb2client_close(&client);
}

/* To whom it does not come back. */
static void refused(void **state)
{
    struct smb2c_opened opened, again;
    struct smb2client *client = open_durable(&opened), *other;
    struct smb2c_opened forged;

    (void)state;
    other = machine(1, "alice");
    assert_int_equal(reconnect(other, &opened, &again), STATUS_OBJECT_NAME_NOT_FOUND); /* still in use */
    smb2client_close(&other);
    cut(&client, 1);
    forged = opened;
    forged.file[3] ^= 1;
    client = machine(1, "alice");
    assert_int_equal(reconnect(client, &forged, &again), STATUS_OBJECT_NAME_NOT_FOUND);
    assert_int_equal(open_as(client, &(struct wish){.name = "g", .again = opened.file}, &again),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(
        open_as(client, &(struct wish){.name = "f", .is_plain = true, .again = opened.file}, &again),
        STATUS_OBJECT_NAME_NOT_FOUND);
    smb2client_close(&client);
    client = machine(2, "alice"); /* the lease is another machine's */
    assert_int_equal(reconnect(client, &opened, &again), STATUS_OBJECT_NAME_NOT_FOUND);
    smb2client_close(&client);
    client = machine(1, "\303\234nal");
    assert_int_equal(reconnect(client, &opened, &again), STATUS_ACCESS_DENIED);
    smb2client_close(&client);
    assert_int_equal(world->server->parked_count, 1);
    client = machine(1, "alice");
    assert_int_equal(reconnect(client, &opened, &again), STATUS_SUCCESS);
    smb2client_close(&client);
}

/* After its time it is gone, with all it held. */
static void time_over(void **state)
{
    struct smb2c_opened opened, again;
    struct smb2client *client = open_durable(&opened);
    struct state_counters counters;

    (void)state;
    cut(&client, 1);
    nfsworld_advance(world->nfs, TIMEOUT_MS + 1000);
    assert_int_equal(world->server->parked_count, 0);
    state_counters(world->nfs->state, &counters);
    assert_int_equal(counters.opens + counters.locks + counters.grants + counters.clients, 0);
    client = machine(1, "alice");
    assert_int_equal(reconnect(client, &opened, &again), STATUS_OBJECT_NAME_NOT_FOUND);
    smb2client_close(&client);
}

/* LOGOFF leaves it, the end of its share does not. */
static void logoff(void **state)
{
    struct smb2c_opened opened, again;
    struct smb2client *client = open_durable(&opened);

    (void)state;
    assert_int_equal(smb2client_logoff(client), STATUS_SUCCESS);
    assert_int_equal(world->server->parked_count, 1);
    smb2client_close(&client);
    client = machine(1, "alice");
    assert_int_equal(reconnect(client, &opened, &again), STATUS_SUCCESS);
    assert_int_equal(smb2client_tree_disconnect(client), STATUS_SUCCESS);
    assert_int_equal(world->server->parked_count, 0);
    assert_int_equal(smb2client_tree_connect(client, "a"), STATUS_SUCCESS);
    assert_int_equal(reconnect(client, &again, &opened), STATUS_OBJECT_NAME_NOT_FOUND);
    smb2client_close(&client);
}

/* A new session takes the place of the one that its client has lost. */
static void previous(void **state)
{
    struct smb2c_opened opened, again;
    struct smb2client *lost = open_durable(&opened), *client = smbworld_connect(world);

    (void)state;
    client->guid[0] = 1;
    client->previous_session = lost->session_id;
    smbworld_log_on(client, "alice", "a");
    assert_int_equal(reconnect(client, &opened, &again), STATUS_SUCCESS);
    assert_int_equal(smb2client_close_file(lost, opened.file), STATUS_USER_SESSION_DELETED);
    assert_int_equal(smb2client_close_file(client, again.file), STATUS_SUCCESS);
    smb2client_close(&lost);
    smb2client_close(&client);
    /* Another user's session stays. */
    lost = open_durable(&opened);
    client = smbworld_connect(world);
    client->previous_session = lost->session_id;
    smbworld_log_on(client, "\303\234nal", "a");
    assert_int_equal(smb2client_close_file(lost, opened.file), STATUS_SUCCESS);
    smb2client_close(&lost);
    smb2client_close(&client);
}

/* A connection that has negotiated DIALECT, nothing more. */
static struct smb2client *connection(uint16_t dialect)
{
    struct smb2client *client = smbworld_connect(world);

    client->guid[0] = 1;
    client->dialects[0] = dialect;
    assert_int_equal(smb2client_negotiate(client), STATUS_SUCCESS);
    return client;
}

static uint32_t bind_to(struct smb2client *first, uint16_t dialect, const char *user, const char *password)
{
    struct smb2client *second = connection(dialect);
    uint32_t status = smb2client_bind(second, first, user, password);

    smb2client_close(&second);
    return status;
}

/* A session over two connections lives until the second has ended, too (MS-SMB2 3.3.5.5). */
static void channels(void **state)
{
    struct smb2c_opened opened, again;
    struct smb2client *first = open_durable(&opened), *second = connection(0x0311);
    struct reader got;

    (void)state;
    assert_int_equal(bind_to(first, 0x0302, "alice", "Passw0rd"), STATUS_INVALID_PARAMETER);
    assert_int_equal(bind_to(first, 0x0210, "alice", "Passw0rd"), STATUS_REQUEST_NOT_ACCEPTED);
    assert_int_equal(bind_to(first, 0x0311, "\303\234nal", "Passw0rd"), STATUS_ACCESS_DENIED);
    assert_int_equal(bind_to(first, 0x0311, "alice", "wrong"), STATUS_LOGON_FAILURE);
    first->sign_bytes[0] ^= 1; /* who does not have the session's key */
    assert_int_equal(bind_to(first, 0x0311, "alice", "Passw0rd"), STATUS_ACCESS_DENIED);
    first->sign_bytes[0] ^= 1;
    assert_int_equal(smb2client_echo(first), STATUS_SUCCESS);
    assert_int_equal(smb2client_bind(second, first, "alice", "Passw0rd"), STATUS_SUCCESS);
    assert_memory_not_equal(second->sign_bytes, first->sign_bytes, sizeof first->sign_bytes);
    assert_int_equal(smb2client_read(second, opened.file, 0, 100, &got), STATUS_SUCCESS);
    assert_int_equal(got.left, 5);
    smb2client_close(&first);
    for (unsigned turns = 0; turns < 100; turns++) {
        assert_int_equal(smb2client_echo(second), STATUS_SUCCESS);
        nfsworld_turn(world->nfs, 1);
    }
    assert_int_equal(world->server->parked_count, 0);
    assert_int_equal(smb2client_read(second, opened.file, 0, 100, &got), STATUS_SUCCESS);
    cut(&second, 1);
    first = machine(1, "alice");
    assert_int_equal(reconnect(first, &opened, &again), STATUS_SUCCESS);
    smb2client_close(&first);
}

/* What somebody does in the end, when a cache has to be given up first. */
static enum outcome insist(struct actor *actor, enum outcome (*what)(struct actor *actor))
{
    enum outcome outcome = what(actor);

    for (unsigned turns = 0; outcome == OUT_LATER && turns < TURNS_MAX; turns++) {
        nfsworld_turn(world->nfs, 1);
        outcome = what(actor);
    }
    return outcome;
}

static enum outcome open_to_write(struct actor *actor)
{
    return actor_open(actor, "f", OPEN_READ | OPEN_WRITE, 0);
}

/* Whoever wants what a parked open caches gets it, whatever he speaks. */
static void wanted(void **state)
{
    (void)state;
    for (enum actor_protocol protocol = 0; protocol < ACTOR_PROTOCOLS; protocol++) {
        struct smb2c_opened opened, again;
        struct smb2client *client = open_durable(&opened);
        struct actor *actor;

        cut(&client, 1);
        actor = actor_new(world, protocol, actor_protocol_name(protocol));
        if (insist(actor, open_to_write) != OUT_OK || insist(actor, actor_write) != OUT_OK ||
            world->server->parked_count != 0)
            fail_msg("%s: not taken away", actor_protocol_name(protocol));
        actor_release(actor);
        actor_free(&actor);
        client = machine(1, "alice");
        assert_int_equal(reconnect(client, &opened, &again), STATUS_OBJECT_NAME_NOT_FOUND);
        smb2client_close(&client);
    }
}

/* A resilient open with SHARE and a range, parked. */
static void park_resilient(uint32_t share)
{
    struct smb2client *client = machine(1, "alice");
    struct smb2c_opened opened;
    uint8_t input[8] = {0};
    struct reader output;

    assert_int_equal(open_as(client, &(struct wish){.name = "f", .share = share, .is_plain = true}, &opened),
                     STATUS_SUCCESS);
    put_le32(input, 301 * 1000);
    assert_int_equal(smb2client_ioctl(client, opened.file, RESILIENCY, input, sizeof input, 0, &output),
                     STATUS_INVALID_PARAMETER);
    put_le32(input, TIMEOUT_MS);
    assert_int_equal(smb2client_ioctl(client, opened.file, RESILIENCY, input, sizeof input, 0, &output),
                     STATUS_SUCCESS);
    assert_int_equal(lock(client, opened.file, SMB2C_LOCK_EXCLUSIVE | SMB2C_FAIL_AT_ONCE), STATUS_SUCCESS);
    cut(&client, 1);
}

/* Nobody gets by the share mode of a resilient one until its time is over. */
static void share_mode_stays(void **state)
{
    (void)state;
    for (enum actor_protocol protocol = 0; protocol < ACTOR_PROTOCOLS; protocol++) {
        struct actor *actor = actor_new(world, protocol, actor_protocol_name(protocol));

        park_resilient(SMB2C_SHARE_READ);
        if (insist(actor, open_to_write) != OUT_SHARE)
            fail_msg("%s: got by the share mode", actor_protocol_name(protocol));
        nfsworld_advance(world->nfs, TIMEOUT_MS + 1000);
        if (insist(actor, open_to_write) != OUT_OK)
            fail_msg("%s: the share mode stays", actor_protocol_name(protocol));
        actor_release(actor);
        actor_free(&actor);
    }
}

static enum outcome lock_it(struct actor *actor)
{
    return actor_lock(actor, 1, 1, true);
}

static void range_stays(void **state)
{
    (void)state;
    for (enum actor_protocol protocol = 0; protocol < ACTOR_PROTOCOLS; protocol++) {
        struct actor *actor = actor_new(world, protocol, actor_protocol_name(protocol));

        park_resilient(SMB2C_SHARE_ALL);
        if (insist(actor, open_to_write) != OUT_OK || insist(actor, lock_it) != OUT_DENIED ||
            insist(actor, actor_write) != OUT_LOCKED)
            fail_msg("%s: got by the range", actor_protocol_name(protocol));
        nfsworld_advance(world->nfs, TIMEOUT_MS + 1000);
        if (insist(actor, lock_it) != OUT_OK || insist(actor, actor_write) != OUT_OK)
            fail_msg("%s: the range stays", actor_protocol_name(protocol));
        actor_release(actor);
        actor_free(&actor);
    }
}

/* A CREATE whose answer was lost is asked again. */
static void replayed(void **state)
{
    struct smb2client *client = machine(1, "alice");
    struct wish wish = {.name = "f", .share = SMB2C_SHARE_ALL, .timeout_ms = TIMEOUT_MS};
    struct smb2c_opened opened, again;
    struct reader got;

    (void)state;
    assert_int_equal(open_as(client, &wish, &opened), STATUS_SUCCESS);
    assert_int_equal(open_as(client, &wish, &again), STATUS_DUPLICATE_OBJECTID);
    client->extra_flags = REPLAY;
    assert_int_equal(open_as(client, &wish, &again), STATUS_SUCCESS);
    assert_memory_equal(again.file, opened.file, sizeof opened.file);
    assert_int_equal(again.action, opened.action);
    client->extra_flags = 0;
    assert_int_equal(smb2client_write(client, opened.file, 0, "x", 1), STATUS_SUCCESS);
    assert_int_equal(smb2client_read(client, opened.file, 0, 1, &got), STATUS_SUCCESS);
    /* It has used the handle: it has got the answer. */
    client->extra_flags = REPLAY;
    assert_int_equal(open_as(client, &wish, &again), STATUS_SUCCESS);
    assert_memory_not_equal(again.file, opened.file, sizeof opened.file);
    client->extra_flags = 0;
    /* What is overtaken changes nothing any more (MS-SMB2 3.3.5.2.10). */
    client->channel_sequence = 2;
    assert_int_equal(smb2client_write(client, opened.file, 0, "y", 1), STATUS_SUCCESS);
    client->channel_sequence = 1;
    assert_int_equal(smb2client_write(client, opened.file, 0, "z", 1), STATUS_FILE_NOT_AVAILABLE);
    assert_int_equal(smb2client_read(client, opened.file, 0, 1, &got), STATUS_SUCCESS);
    assert_int_equal(*got.at, 'y');
    smb2client_close(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(comes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(time_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(logoff, set_up, tear_down),
        cmocka_unit_test_setup_teardown(previous, set_up, tear_down),
        cmocka_unit_test_setup_teardown(channels, set_up, tear_down),
        cmocka_unit_test_setup_teardown(wanted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(share_mode_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(range_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(replayed, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
