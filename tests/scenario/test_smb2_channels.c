/*
 * test_smb2_channels.c - a session over several connections, one of which is lost: breaks that were told over
 * it are told again over another one, whether it was closed or says nothing any more, and what was asked over
 * it, and waits, is not in the way of being asked again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "simclock.h"
#include "smb/smb2_priv.h"
#include "smbworld.h"

#include <linux/filter.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

enum { RWH = 7, RH = 3, READ = 1, REPLAY = 0x20000000, TURNS_MAX = 5000, TICK_MS = 20 };

static struct smbworld *world;

/* What is sent to a client that has gone silent is noticed within some TICK_MS; in others not at all. */
static int set_up_with(uint64_t tick_ms)
{
    struct smb_options options = {.lost_tick_ms = tick_ms};

    simclock_install();
    world = smbworld_open(NULL, &options);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    return set_up_with(3600 * 1000);
}

static int set_up_watchful(void **state)
{
    (void)state;
    return set_up_with(TICK_MS);
}

static int tear_down(void **state)
{
    struct state_counters counters;

    (void)state;
    nfsworld_turn(world->nfs, 20);
    state_counters(world->nfs->state, &counters);
    assert_int_equal(counters.grants + counters.opens, 0);
    smbworld_close(&world);
    simclock_remove();
    return 0;
}

static struct smb2client *machine(uint8_t number)
{
    struct smb2client *client = smbworld_connect(world);

    client->guid[0] = number;
    smbworld_log_on(client, "alice", "a");
    return client;
}

/* Another channel of FIRST's session. */
static struct smb2client *channel(const struct smb2client *first)
{
    struct smb2client *client = smbworld_connect(world);

    client->guid[0] = first->guid[0];
    assert_int_equal(smb2client_negotiate(client), STATUS_SUCCESS);
    assert_int_equal(smb2client_bind(client, first, "alice", "Passw0rd"), STATUS_SUCCESS);
    return client;
}

struct wish {
    uint8_t key;    /* of a lease, with all kinds; 0: none */
    uint8_t oplock; /* without one */
    uint8_t guid;   /* of a durable open; 0: it is none */
    uint32_t access;
};

static uint64_t send_open(struct smb2client *client, const struct wish *wish)
{
    uint8_t lease[SMB2C_LEASE_V2_SIZE], key[16] = {wish->key}, durable[32] = {0};
    struct smb2c_context contexts[3];
    struct smb2c_create create = {.name = "f",
                                  .access = wish->access,
                                  .share = SMB2C_SHARE_ALL,
                                  .disposition = SMB2C_OPEN_IF,
                                  .oplock = wish->key != 0 ? SMB2C_OPLOCK_LEASE : wish->oplock,
                                  .contexts = contexts};
    size_t count = 0;

    if (wish->key != 0)
        contexts[count++] =
            (struct smb2c_context){"RqLs", lease, smb2client_lease(lease, key, RWH, true, NULL, 0)};
    durable[16] = wish->guid;
    if (wish->guid != 0)
        contexts[count++] = (struct smb2c_context){"DH2Q", durable, sizeof durable};
    contexts[count] = (struct smb2c_context){NULL, NULL, 0};
    return smb2client_send_create(client, &create);
}

static uint32_t open_as(struct smb2client *client, const struct wish *wish, struct smb2c_opened *opened_r)
{
    uint32_t status = smb2client_wait(client, send_open(client, wish));

    if (status == STATUS_SUCCESS)
        assert_true(smb2client_read_create(client, opened_r));
    return status;
}

static uint64_t send_waiting(struct smb2client *client, const struct wish *wish)
{
    uint64_t id = send_open(client, wish), async_id;

    assert_true(smb2client_pending(client, id, &async_id));
    return id;
}

/* The connection is cut, and the server has seen it. */
static void cut(struct smb2client **client)
{
    uint64_t session = (*client)->session_id;
    const struct smb2_session *there = smb2__session_find(world->server, session);
    uint32_t before = there->channel_count;

    smb2client_close(client);
    for (unsigned turns = 0; turns < TURNS_MAX; turns++) {
        there = smb2__session_find(world->server, session);
        if (there == NULL || there->channel_count < before)
            return;
        nfsworld_turn(world->nfs, 1);
        assert_true(poll(NULL, 0, 1) >= 0);
    }
    fail_msg("the server does not see the end of a connection");
}

static struct smb2c_break expect_lease_break(struct smb2client *client, uint32_t from, uint32_t to)
{
    struct smb2c_break got;

    assert_true(smb2client_next_break(client, &got));
    assert_true(got.lease);
    assert_int_equal(got.key[0], 1);
    assert_int_equal(got.current, from);
    assert_int_equal(got.to, to);
    return got;
}

static void close_both(struct smb2client **one, struct smb2client **other)
{
    smb2client_close(one);
    smb2client_close(other);
}

/* MS-SMB2 3.3.4.7: the next channel is told the same, and may answer. */
static void lease_is_told_again(void **state)
{
    struct smb2client *first = machine(1), *second = channel(first), *other = machine(2);
    struct smb2c_opened held, opened;
    struct smb2c_break told, again;
    uint64_t id;

    (void)state;
    assert_int_equal(open_as(first, &(struct wish){.key = 1}, &held), STATUS_SUCCESS);
    id = send_waiting(other, &(struct wish){.access = SMB2C_READ_ONLY});
    told = expect_lease_break(first, RWH, RH);
    assert_int_equal(second->break_count, 0);
    cut(&first);
    again = expect_lease_break(second, RWH, RH);
    assert_int_equal(again.epoch, told.epoch);
    assert_int_equal(again.flags, 1);
    assert_int_equal(smb2client_acknowledge_lease(second, again.key, RH), STATUS_SUCCESS);
    assert_int_equal(smb2client_wait(other, id), STATUS_SUCCESS);
    assert_true(smb2client_read_create(other, &opened));
    close_both(&second, &other);
}

/* A lease is its machine's: another session of it can be told, too. */
static void lease_is_told_to_another_session(void **state)
{
    struct smb2client *first = machine(1), *second = machine(1), *other = machine(2);
    struct smb2c_opened held, too, opened;
    uint64_t id;

    (void)state;
    assert_int_equal(open_as(first, &(struct wish){.key = 1}, &held), STATUS_SUCCESS);
    assert_int_equal(open_as(second, &(struct wish){.key = 1}, &too), STATUS_SUCCESS);
    id = send_waiting(other, &(struct wish){.access = SMB2C_READ_ONLY});
    (void)expect_lease_break(first, RWH, RH);
    cut(&first);
    assert_int_equal(smb2client_acknowledge_lease(second, expect_lease_break(second, RWH, RH).key, READ | RH),
                     STATUS_SUCCESS);
    assert_int_equal(smb2client_wait(other, id), STATUS_SUCCESS);
    assert_true(smb2client_read_create(other, &opened));
    close_both(&second, &other);
}

/* MS-SMB2 3.3.4.6 */
static void oplock_is_told_again(void **state)
{
    struct smb2client *first = machine(1), *second = channel(first), *third = channel(first), *other;
    struct smb2c_opened held, opened;
    struct smb2c_break got;
    uint64_t id;

    (void)state;
    other = machine(2);
    assert_int_equal(open_as(first, &(struct wish){.oplock = SMB2C_OPLOCK_BATCH}, &held), STATUS_SUCCESS);
    id = send_waiting(other, &(struct wish){.access = SMB2C_READ_ONLY});
    assert_true(smb2client_next_break(first, &got));
    cut(&first);
    assert_true(smb2client_next_break(second, &got));
    cut(&second);
    assert_true(smb2client_next_break(third, &got));
    assert_false(got.lease);
    assert_memory_equal(got.file, held.file, sizeof held.file);
    assert_int_equal(got.level, SMB2C_OPLOCK_II);
    assert_int_equal(smb2client_acknowledge_oplock(third, held.file, SMB2C_OPLOCK_II), STATUS_SUCCESS);
    assert_int_equal(smb2client_wait(other, id), STATUS_SUCCESS);
    assert_true(smb2client_read_create(other, &opened));
    close_both(&third, &other);
}

/* It is told where the file was opened. */
static void oplock_is_told_where_it_is(void **state)
{
    struct smb2client *first = machine(1), *second = channel(first), *other = machine(2);
    struct smb2c_opened held, opened;
    struct smb2c_break got;
    uint64_t id;

    (void)state;
    assert_int_equal(open_as(second, &(struct wish){.oplock = SMB2C_OPLOCK_BATCH}, &held), STATUS_SUCCESS);
    id = send_waiting(other, &(struct wish){.access = SMB2C_READ_ONLY});
    assert_true(smb2client_next_break(second, &got));
    cut(&second);
    assert_true(smb2client_next_break(first, &got));
    assert_memory_equal(got.file, held.file, sizeof held.file);
    assert_int_equal(smb2client_close_file(first, held.file), STATUS_SUCCESS);
    assert_int_equal(smb2client_wait(other, id), STATUS_SUCCESS);
    assert_true(smb2client_read_create(other, &opened));
    close_both(&first, &other);
}

/* Nobody waits for the end of a cache of reads; its holder must know of it all the same. */
static void end_of_reading_is_told_again(void **state)
{
    struct smb2client *first = machine(1), *second = channel(first), *other = machine(2);
    struct smb2c_opened held, opened;

    (void)state;
    assert_int_equal(open_as(other, &(struct wish){.access = 0}, &opened), STATUS_SUCCESS);
    assert_int_equal(open_as(first, &(struct wish){.oplock = SMB2C_OPLOCK_II}, &held), STATUS_SUCCESS);
    assert_int_equal(smb2client_write(other, opened.file, 0, "x", 1), STATUS_SUCCESS);
    cut(&first);
    while (second->break_count == 0)
        assert_int_equal(smb2client_echo(second), STATUS_SUCCESS);
    assert_memory_equal(second->breaks[0].file, held.file, sizeof held.file);
    assert_int_equal(second->breaks[0].level, SMB2C_OPLOCK_NONE);
    close_both(&second, &other);
}

/* What was answered is not told again. */
static void answered_is_over(void **state)
{
    struct smb2client *first = machine(1), *second = channel(first), *other = machine(2);
    struct smb2c_opened held, opened;
    uint64_t id;

    (void)state;
    assert_int_equal(open_as(first, &(struct wish){.key = 1}, &held), STATUS_SUCCESS);
    id = send_waiting(other, &(struct wish){.access = SMB2C_READ_ONLY});
    assert_int_equal(smb2client_acknowledge_lease(first, expect_lease_break(first, RWH, RH).key, RH),
                     STATUS_SUCCESS);
    assert_int_equal(smb2client_wait(other, id), STATUS_SUCCESS);
    assert_true(smb2client_read_create(other, &opened));
    cut(&first);
    for (unsigned turns = 0; turns < 20; turns++) {
        assert_int_equal(smb2client_echo(second), STATUS_SUCCESS);
        nfsworld_turn(world->nfs, 1);
    }
    assert_int_equal(second->break_count, 0);
    close_both(&second, &other);
}

/* The system behind CLIENT is gone: its socket takes nothing that is sent to it. */
static void fall_silent(const struct smb2client *client)
{
    struct sock_filter nothing[] = {{.code = BPF_RET | BPF_K, .k = 0}};
    struct sock_fprog program = {.len = 1, .filter = nothing};

    assert_int_equal(setsockopt(client->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program), 0);
}

/* Time goes on in our clock as in the system's, which TCP has. */
static void pass_time(void)
{
    assert_true(poll(NULL, 0, TICK_MS) >= 0);
    nfsworld_advance(world->nfs, TICK_MS);
}

static void silent_channel(void **state)
{
    struct smb2client *first = machine(1), *second = channel(first), *other = machine(2);
    struct smb2c_opened held, opened;
    uint64_t id;

    (void)state;
    assert_int_equal(open_as(first, &(struct wish){.key = 1}, &held), STATUS_SUCCESS);
    fall_silent(first);
    id = send_waiting(other, &(struct wish){.access = SMB2C_READ_ONLY});
    while (second->break_count == 0) {
        pass_time();
        assert_int_equal(smb2client_echo(second), STATUS_SUCCESS);
    }
    assert_int_equal(smb2client_acknowledge_lease(second, expect_lease_break(second, RWH, RH).key, RH),
                     STATUS_SUCCESS);
    assert_int_equal(smb2client_wait(other, id), STATUS_SUCCESS);
    assert_true(smb2client_read_create(other, &opened));
    smb2client_close(&first);
    close_both(&second, &other);
}

/* Nobody waits for a machine that is gone for as long as a break may take. */
static void silent_alone(void **state)
{
    struct smb2client *first = machine(1), *other = machine(2);
    struct smb2c_opened held, opened;
    uint64_t began_ms, id;

    (void)state;
    assert_int_equal(open_as(first, &(struct wish){.oplock = SMB2C_OPLOCK_BATCH}, &held), STATUS_SUCCESS);
    fall_silent(first);
    began_ms = clock_monotonic_ms();
    id = send_waiting(other, &(struct wish){.oplock = SMB2C_OPLOCK_BATCH});
    while (!smb2client_has_reply(other, id))
        pass_time();
    assert_true(clock_monotonic_ms() - began_ms < SMB2_BREAK_MS);
    assert_int_equal(smb2client_wait(other, id), STATUS_SUCCESS);
    assert_true(smb2client_read_create(other, &opened));
    assert_int_equal(opened.oplock, SMB2C_OPLOCK_BATCH);
    close_both(&first, &other);
}

/* MS-SMB2 3.3.5.9.10: a CREATE that waits when its connection goes is known until what it waited for is over.
 */
static void lost_create(void **state)
{
    struct smb2client *first = machine(1), *second = channel(first), *other = machine(2);
    struct smb2c_opened held, opened;
    struct wish wish = {.key = 2, .guid = 7};

    (void)state;
    assert_int_equal(open_as(other, &(struct wish){.key = 1}, &held), STATUS_SUCCESS);
    (void)send_waiting(first, &wish);
    (void)expect_lease_break(other, RWH, RH);
    cut(&first);
    assert_int_equal(open_as(second, &wish, &opened), STATUS_DUPLICATE_OBJECTID);
    second->extra_flags = REPLAY;
    second->channel_sequence = 1;
    assert_int_equal(open_as(second, &wish, &opened), STATUS_FILE_NOT_AVAILABLE);
    second->extra_flags = 0;
    assert_int_equal(smb2client_close_file(other, held.file), STATUS_SUCCESS);
    second->extra_flags = REPLAY;
    assert_int_equal(open_as(second, &wish, &opened), STATUS_SUCCESS);
    second->extra_flags = 0;
    assert_int_equal(smb2client_write(second, opened.file, 0, "x", 1), STATUS_SUCCESS);
    assert_int_equal(smb2client_close_file(second, opened.file), STATUS_SUCCESS);
    close_both(&second, &other);
}

/* With its last connection the session goes, and nothing of it waits any more. */
static void lost_with_its_session(void **state)
{
    struct smb2client *first = machine(1), *second = channel(first), *other = machine(2);
    struct smb2c_opened held;

    (void)state;
    assert_int_equal(open_as(other, &(struct wish){.key = 1}, &held), STATUS_SUCCESS);
    (void)send_waiting(first, &(struct wish){.guid = 7});
    (void)expect_lease_break(other, RWH, RH);
    cut(&first);
    assert_int_equal(world->server->message_count, 1);
    cut(&second);
    assert_int_equal(world->server->message_count, 0);
    smb2client_close(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lease_is_told_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lease_is_told_to_another_session, set_up, tear_down),
        cmocka_unit_test_setup_teardown(oplock_is_told_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(oplock_is_told_where_it_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(end_of_reading_is_told_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(answered_is_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(silent_channel, set_up_watchful, tear_down),
        cmocka_unit_test_setup_teardown(silent_alone, set_up_watchful, tear_down),
        cmocka_unit_test_setup_teardown(lost_create, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lost_with_its_session, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
