/*
 * test_session.c - slots, CREATE_SESSION's slot, connections, the back channel.
 */
#include "world.h"

static struct session *make_session(struct client *client, uint32_t slots, uint32_t cached, uint32_t back)
{
    struct session_spec spec = {.slots = slots, .cached_reply_max = cached, .back_slots = back};
    struct session *session = NULL;

    assert_int_equal(session_new(client, &spec, &session), ERR_OK);
    return session;
}

struct step {
    uint32_t slot, seqid, highest;
    uint64_t digest;
    enum session_sequence expect;
    const char *reply; /* NEW: done with it ("-": not cached; NULL: not done yet); REPLAY: expected */
};

static const struct step steps[] = {
    {0, 0, 3, 1, SESSION_SEQUENCE_MISORDERED, NULL}, /* nothing there to be retried */
    {0, 2, 3, 1, SESSION_SEQUENCE_MISORDERED, NULL},
    {4, 1, 4, 1, SESSION_SEQUENCE_BAD_SLOT, NULL},
    {0, 1, 4, 1, SESSION_SEQUENCE_BAD_HIGH_SLOT, NULL},
    {2, 1, 1, 1, SESSION_SEQUENCE_BAD_HIGH_SLOT, NULL},
    {0, 1, 3, 1, SESSION_SEQUENCE_NEW, "first"},
    {0, 1, 3, 1, SESSION_SEQUENCE_REPLAY, "first"},
    {0, 1, 3, 1, SESSION_SEQUENCE_REPLAY, "first"},
    {0, 1, 3, 2, SESSION_SEQUENCE_FALSE_RETRY, NULL},
    {0, 3, 3, 1, SESSION_SEQUENCE_MISORDERED, NULL},
    {0, 0, 3, 1, SESSION_SEQUENCE_MISORDERED, NULL},
    {0, 2, 3, 5, SESSION_SEQUENCE_NEW, "-"},
    {0, 2, 3, 5, SESSION_SEQUENCE_UNCACHED, NULL},
    {0, 2, 3, 6, SESSION_SEQUENCE_FALSE_RETRY, NULL},
    {0, 1, 3, 1, SESSION_SEQUENCE_MISORDERED, NULL},
    {0, 3, 3, 7, SESSION_SEQUENCE_NEW, NULL}, /* under way */
    {0, 3, 3, 7, SESSION_SEQUENCE_BUSY, NULL},
    {0, 3, 3, 8, SESSION_SEQUENCE_FALSE_RETRY, NULL},
    {0, 4, 3, 7, SESSION_SEQUENCE_MISORDERED, NULL},
    {3, 1, 3, 1, SESSION_SEQUENCE_NEW, "other slots go on"},
    {3, 1, 3, 1, SESSION_SEQUENCE_REPLAY, "other slots go on"},
};

static void slot_cases(void **unused)
{
    struct world world;
    struct client *client;
    struct session *session;
    const uint8_t *reply = NULL;
    size_t length = 0;

    (void)unused;
    world_open(&world, NULL);
    client = make_client(&world, "one");
    session = make_session(client, 4, 20, 0);
    assert_int_equal(session_slot_count(session), 4);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        const struct step *step = &steps[i];
        enum session_sequence found = session_sequence_check(session, step->slot, step->seqid, step->highest,
                                                             step->digest, &reply, &length);
        if (found != step->expect)
            fail_msg("row %zu: %d, expected %d", i, found, step->expect);
        if (found == SESSION_SEQUENCE_REPLAY) {
            assert_int_equal(length, strlen(step->reply));
            assert_memory_equal(reply, step->reply, length);
        } else if (found == SESSION_SEQUENCE_NEW && step->reply != NULL) {
            bool cache = step->reply[0] != '-';
            assert_true(session_slot_done(session, step->slot, cache ? step->reply : NULL,
                                          cache ? strlen(step->reply) : 0));
        }
    }
    /* Too long to be kept. */
    assert_false(session_slot_done(session, 0, "more than twenty bytes", 22));
    assert_int_equal(session_sequence_check(session, 0, 3, 3, 7, &reply, &length), SESSION_SEQUENCE_UNCACHED);
    world_close(&world);
}

static int gone_calls;

static void gone(struct session *session, void *user)
{
    assert_false(session_is_alive(session));
    assert_string_equal(user, "user");
    gone_calls++;
}

static void held_sessions_stay(void **unused)
{
    struct world world;
    struct client *client;
    struct session *session = NULL, *held;
    struct session_spec spec = {.slots = 1, .cached_reply_max = 100, .gone = gone, .user = "user"};
    uint8_t id[SESSION_ID_SIZE];
    const uint8_t *reply = NULL;
    size_t length = 0;

    (void)unused;
    gone_calls = 0;
    world_open(&world, NULL);
    client = make_client(&world, "one");
    assert_int_equal(session_new(client, &spec, &session), ERR_OK);
    memcpy(id, session_id(session), sizeof id);
    assert_ptr_equal(session_find(world.state, id), session);
    assert_ptr_equal(session_client(session), client);
    assert_ptr_equal(session_next_of_client(client, NULL), session);
    assert_null(session_next_of_client(client, session));
    assert_true(client_is_busy(client));
    assert_false(client_has_state(client));
    held = session_hold(session);
    assert_int_equal(session_sequence_check(held, 0, 1, 0, 1, &reply, &length), SESSION_SEQUENCE_NEW);
    client_destroy(client);
    assert_int_equal(gone_calls, 1);
    assert_null(session_find(world.state, id));
    assert_null(session_client(held));
    assert_false(session_slot_done(held, 0, "reply", 5));
    assert_int_equal(session_attach(held, &world, SESSION_FORE), ERR_EXPIRED);
    session_destroy(held); /* twice does no harm */
    session_drop(&held);
    assert_null(held);
    world_close(&world);
    assert_int_equal(gone_calls, 1);
}

static void promises_are_bounded(void **unused)
{
    struct world world;
    struct state_options options = {.max_reply_bytes = 64000, .max_sessions = 6};
    struct client *client;
    struct session *session;
    struct session_spec spec = {.slots = 64, .cached_reply_max = 1000};
    struct state_counters counters;

    (void)unused;
    world_open(&world, &options);
    client = make_client(&world, "one");
    session = make_session(client, 64, 1000, 0); /* an eighth of what there is */
    assert_int_equal(session_slot_count(session), 8);
    assert_int_equal(session_cached_reply_max(session), 1000);
    assert_int_equal(session_slot_count(make_session(client, 64, 1000, 0)), 7);
    assert_int_equal(session_slot_count(make_session(client, 5, 1000, 0)), 5);
    state_counters(world.state, &counters);
    assert_int_equal(counters.reply_bytes, 20000);
    session_destroy(session);
    state_counters(world.state, &counters);
    assert_int_equal(counters.reply_bytes, 12000);
    assert_int_equal(session_slot_count(make_session(client, 64, 40000, 0)), 1);
    spec.cached_reply_max = 12001;
    assert_int_equal(session_new(client, &spec, &session), ERR_LIMIT);
    assert_int_equal(session_slot_count(make_session(client, 5000, 0, 5000)), SESSION_SLOTS_MAX);
    assert_int_equal(session_slot_count(make_session(client, 0, 0, 0)), 1);
    spec.cached_reply_max = 0;
    assert_int_equal(session_slot_count(make_session(client, 1, 0, 0)), 1);
    assert_int_equal(session_new(client, &spec, &session), ERR_LIMIT);
    world_close(&world);
}

static void create_session_replays(void **unused)
{
    struct world world;
    struct client *client;
    const uint8_t *reply = NULL;
    size_t length = 0;

    (void)unused;
    world_open(&world, NULL);
    client = make_client(&world, "one");
    assert_int_equal(session_create_next(client), 1);
    assert_int_equal(session_create_check(client, 0, 1, &reply, &length), SESSION_SEQUENCE_MISORDERED);
    assert_int_equal(session_create_check(client, 2, 1, &reply, &length), SESSION_SEQUENCE_MISORDERED);
    /* One that fails and does not count. */
    assert_int_equal(session_create_check(client, 1, 1, &reply, &length), SESSION_SEQUENCE_NEW);
    session_create_done(client, false, NULL, 0);
    assert_int_equal(session_create_next(client), 1);
    assert_int_equal(session_create_check(client, 0, 1, &reply, &length), SESSION_SEQUENCE_MISORDERED);
    assert_int_equal(session_create_check(client, 1, 1, &reply, &length), SESSION_SEQUENCE_NEW);
    assert_int_equal(session_create_check(client, 1, 1, &reply, &length), SESSION_SEQUENCE_BUSY);
    session_create_done(client, true, "made", 4);
    assert_int_equal(session_create_next(client), 2);
    assert_int_equal(session_create_check(client, 1, 1, &reply, &length), SESSION_SEQUENCE_REPLAY);
    assert_memory_equal(reply, "made", 4);
    assert_int_equal(length, 4);
    assert_int_equal(session_create_check(client, 1, 2, &reply, &length), SESSION_SEQUENCE_FALSE_RETRY);
    assert_int_equal(session_create_check(client, 2, 2, &reply, &length), SESSION_SEQUENCE_NEW);
    session_create_done(client, true, NULL, 0);
    assert_int_equal(session_create_check(client, 2, 2, &reply, &length), SESSION_SEQUENCE_UNCACHED);
    /* After 2^32-1 comes 0 (slots have the same check). */
    client->create_slot.seqid = UINT32_MAX;
    assert_int_equal(session_create_check(client, 1, 2, &reply, &length), SESSION_SEQUENCE_MISORDERED);
    assert_int_equal(session_create_check(client, 0, 2, &reply, &length), SESSION_SEQUENCE_NEW);
    world_close(&world);
}

static void connections(void **unused)
{
    struct world world;
    struct client *client;
    struct session *a, *b;
    char wires[SESSION_CONNECTIONS_MAX + 1];

    (void)unused;
    world_open(&world, NULL);
    client = make_client(&world, "one");
    a = make_session(client, 1, 0, 1);
    b = make_session(client, 1, 0, 1);
    assert_null(session_back_connection(a));
    assert_int_equal(session_attach(a, &wires[0], SESSION_FORE), ERR_OK);
    assert_null(session_back_connection(a));
    assert_int_equal(session_attach(a, &wires[1], SESSION_FORE | SESSION_BACK), ERR_OK);
    assert_int_equal(session_attach(b, &wires[1], SESSION_FORE), ERR_OK);
    assert_ptr_equal(session_back_connection(a), &wires[1]);
    assert_int_equal(session_directions(a, &wires[0]), SESSION_FORE);
    assert_int_equal(session_directions(b, &wires[0]), 0);
    assert_int_equal(session_attach(a, &wires[0], SESSION_BACK), ERR_OK);
    assert_int_equal(session_directions(a, &wires[0]), SESSION_FORE | SESSION_BACK);
    assert_ptr_equal(session_back_connection(a), &wires[0]); /* the newest */
    session_connection_gone(world.state, &wires[0]);
    assert_ptr_equal(session_back_connection(a), &wires[1]);
    session_connection_gone(world.state, &wires[1]);
    assert_null(session_back_connection(a));
    assert_int_equal(session_directions(b, &wires[1]), 0);
    session_connection_gone(world.state, &wires[1]);
    for (int i = 0; i < SESSION_CONNECTIONS_MAX; i++)
        assert_int_equal(session_attach(a, &wires[i], SESSION_FORE), ERR_OK);
    assert_int_equal(session_attach(a, &wires[SESSION_CONNECTIONS_MAX], SESSION_FORE), ERR_LIMIT);
    assert_int_equal(session_attach(a, &wires[3], SESSION_BACK), ERR_OK);
    session_detach(a, &wires[3]);
    session_detach(a, &wires[3]);
    assert_int_equal(session_attach(a, &wires[SESSION_CONNECTIONS_MAX], SESSION_FORE), ERR_OK);
    world_close(&world);
}

static void back_channel(void **unused)
{
    struct world world;
    struct client *client;
    struct session *session;
    uint32_t slot = 9, seqid = 9, second = 9;

    (void)unused;
    world_open(&world, NULL);
    client = make_client(&world, "one");
    session = make_session(client, 1, 0, 0);
    assert_int_equal(session_back_begin(session, &slot, &seqid), ERR_NOTSUPP);
    session = make_session(client, 1, 0, 2);
    assert_int_equal(session_back_slot_count(session), 2);
    assert_int_equal(session_back_begin(session, &slot, &seqid), ERR_OK);
    assert_int_equal(slot, 0);
    assert_int_equal(seqid, 1);
    assert_int_equal(session_back_begin(session, &second, &seqid), ERR_OK);
    assert_int_equal(second, 1);
    assert_int_equal(session_back_begin(session, &second, &seqid), ERR_AGAIN);
    session_back_end(session, 0, false);
    assert_int_equal(session_back_begin(session, &slot, &seqid), ERR_OK);
    assert_int_equal(seqid, 1); /* again */
    session_back_end(session, 0, true);
    assert_int_equal(session_back_begin(session, &slot, &seqid), ERR_OK);
    assert_int_equal(seqid, 2);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slot_cases),           cmocka_unit_test(held_sessions_stay),
        cmocka_unit_test(promises_are_bounded), cmocka_unit_test(create_session_replays),
        cmocka_unit_test(connections),          cmocka_unit_test(back_channel),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
