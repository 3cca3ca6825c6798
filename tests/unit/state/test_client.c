/*
 * test_client.c - the table of clients: every row of RFC 8881 18.35.5, RFC 7530 16.33/16.34, leases,
 * courtesy, limits.
 */
#include "world.h"

static int gone_calls;
static void *gone_user;

static void gone(struct client *client, void *user)
{
    assert_int_equal(client_status(client), CLIENT_GONE);
    gone_calls++;
    gone_user = user;
}

static const struct client_operations operations = {.gone = gone};

static struct client *add(struct world *world, const struct client_spec *spec)
{
    struct client *client = NULL;

    assert_int_equal(client_new(world->state, spec, NULL, &client), ERR_OK);
    return client;
}

static void give_state(struct world *world, struct client *client, uint64_t ino)
{
    assert_int_equal(lock_set(make_holder(world, ino, client, "L", LOCK_POSIX),
                              &(struct lock_request){.offset = 0, .length = 1, .exclusive = true}, NULL),
                     ERR_OK);
}

/* ---- RFC 8881 18.35.5 ---- */

enum there { NOTHING, UNCONFIRMED, CONFIRMED, CONFIRMED_WITH_STATE, COURTESY };

static const struct {
    enum there there; /* of owner "o", verifier "v1......", principal "p" */
    const char *verifier, *principal;
    bool update;
    enum client_case expect;
} cases[] = {
    {NOTHING, "v1......", "p", false, CLIENT_CASE_NEW},
    {CONFIRMED, "v1......", "p", false, CLIENT_CASE_SAME},
    {CONFIRMED_WITH_STATE, "v1......", "p", false, CLIENT_CASE_SAME},
    {COURTESY, "v1......", "p", false, CLIENT_CASE_SAME},
    {CONFIRMED, "v1......", "q", false, CLIENT_CASE_COLLISION_IDLE},
    {CONFIRMED, "v2......", "q", false, CLIENT_CASE_COLLISION_IDLE},
    {CONFIRMED_WITH_STATE, "v1......", "q", false, CLIENT_CASE_COLLISION},
    {CONFIRMED_WITH_STATE, "v2......", "pp", false, CLIENT_CASE_COLLISION},
    {COURTESY, "v1......", "q", false, CLIENT_CASE_COLLISION_IDLE},
    {UNCONFIRMED, "v1......", "p", false, CLIENT_CASE_UNCONFIRMED},
    {UNCONFIRMED, "v2......", "q", false, CLIENT_CASE_UNCONFIRMED},
    {CONFIRMED, "v2......", "p", false, CLIENT_CASE_RESTART},
    {CONFIRMED_WITH_STATE, "v2......", "p", false, CLIENT_CASE_RESTART},
    {CONFIRMED, "v1......", "p", true, CLIENT_CASE_UPDATE},
    {NOTHING, "v1......", "p", true, CLIENT_CASE_UPDATE_NONE},
    {UNCONFIRMED, "v1......", "p", true, CLIENT_CASE_UPDATE_NONE},
    {CONFIRMED, "v2......", "p", true, CLIENT_CASE_UPDATE_VERIFIER},
    {CONFIRMED, "v1......", "q", true, CLIENT_CASE_UPDATE_PRINCIPAL},
};

static void rows_of_exchange_id(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct world world;
        struct client_spec spec = client_spec_of("o");
        struct client *confirmed = NULL, *unconfirmed = NULL, *client = NULL;
        enum client_case found;

        world_open(&world, NULL);
        memcpy(spec.verifier, "v1......", 8);
        if (cases[i].there != NOTHING)
            client = add(&world, &spec);
        if (cases[i].there >= CONFIRMED)
            assert_ptr_equal(client_confirm(client), client);
        if (cases[i].there >= CONFIRMED_WITH_STATE)
            give_state(&world, client, 1);
        if (cases[i].there == COURTESY)
            world_pass(&world, 100000);
        memcpy(spec.verifier, cases[i].verifier, 8);
        spec.principal = cases[i].principal;
        spec.principal_length = strlen(cases[i].principal);
        found = client_classify(world.state, &spec, cases[i].update, &confirmed, &unconfirmed);
        if (found != cases[i].expect)
            fail_msg("row %zu: case %d, expected %d", i, found, cases[i].expect);
        assert_ptr_equal(confirmed, cases[i].there >= CONFIRMED ? client : NULL);
        assert_ptr_equal(unconfirmed, cases[i].there == UNCONFIRMED ? client : NULL);
        /* The same owner of another protocol is somebody else. */
        spec.family = 2;
        assert_int_equal(client_classify(world.state, &spec, false, &confirmed, &unconfirmed),
                         CLIENT_CASE_NEW);
        world_close(&world);
    }
}

/* Case 5: the old life stays until the new one is confirmed; then all it held goes. */
static void restarted_client_replaces_itself(void **unused)
{
    struct world world;
    struct client_spec spec = client_spec_of("o");
    struct client *old, *fresh, *found = NULL;
    uint64_t old_id;

    (void)unused;
    gone_calls = 0;
    world_open(&world, NULL);
    spec.operations = &operations;
    spec.user = "old";
    old = client_confirm(add(&world, &spec));
    old_id = client_id(old);
    give_state(&world, old, 1);
    memcpy(spec.verifier, "reborn!!", 8);
    spec.user = "new";
    fresh = add(&world, &spec);
    assert_true(client_id(fresh) != old_id);
    assert_ptr_equal(client_find_confirmed(world.state, 1, "o", 1), old);
    assert_ptr_equal(client_find_unconfirmed(world.state, 1, "o", 1), fresh);
    assert_true(client_has_state(old));
    /* Once more, before it is confirmed: case 4 beside a confirmed record. */
    fresh = add(&world, &spec);
    assert_int_equal(gone_calls, 1);
    assert_string_equal(gone_user, "new");
    assert_ptr_equal(client_confirm(fresh), fresh);
    assert_int_equal(gone_calls, 2);
    assert_string_equal(gone_user, "old");
    assert_int_equal(client_by_id(world.state, old_id, &found), ERR_STALE_CLIENTID);
    assert_int_equal(client_by_id(world.state, client_id(fresh), &found), ERR_OK);
    assert_ptr_equal(found, fresh);
    assert_null(client_find_unconfirmed(world.state, 1, "o", 1));
    assert_false(client_has_state(fresh));
    assert_null(state_file_find(world.state, 1, 1));
    world_close(&world);
    assert_int_equal(gone_calls, 3);
}

/* RFC 7530 16.33.5, update of the callback: the new record shares the id, and gives what it has to the old
 * one. */
static void callback_update_shares_the_id(void **unused)
{
    struct world world;
    struct client_spec spec = client_spec_of("o");
    struct client *confirmed, *update = NULL, *found = NULL;
    uint64_t value;

    (void)unused;
    gone_calls = 0;
    world_open(&world, NULL);
    spec.operations = &operations;
    spec.user = "first callback";
    confirmed = client_confirm(add(&world, &spec));
    give_state(&world, confirmed, 1);
    spec.user = "second callback";
    assert_int_equal(client_new(world.state, &spec, confirmed, &update), ERR_OK);
    assert_true(client_id(update) == client_id(confirmed));
    value = client_confirm_value(update);
    assert_true(value != client_confirm_value(confirmed));
    assert_int_equal(client_by_id(world.state, client_id(update), &found), ERR_OK);
    assert_ptr_equal(found, confirmed);
    assert_ptr_equal(client_unconfirmed_by_id(world.state, client_id(update)), update);
    assert_ptr_equal(client_confirm(update), confirmed);
    assert_int_equal(gone_calls, 1);
    assert_string_equal(gone_user, "first callback");
    assert_string_equal(client_user(confirmed), "second callback");
    assert_true(client_confirm_value(confirmed) == value);
    assert_true(client_has_state(confirmed));
    assert_null(client_unconfirmed_by_id(world.state, client_id(confirmed)));
    assert_ptr_equal(client_confirm(confirmed), confirmed); /* a retransmission */
    /* The confirmed one goes between: the update stands for itself. */
    assert_int_equal(client_new(world.state, &spec, confirmed, &update), ERR_OK);
    client_destroy(confirmed);
    assert_ptr_equal(client_confirm(update), update);
    assert_int_equal(client_status(update), CLIENT_CONFIRMED);
    world_close(&world);
}

static void bad_specs_are_refused(void **unused)
{
    struct world world;
    struct client_spec spec = client_spec_of("");
    struct client *client = NULL;
    char longer[CLIENT_OWNER_MAX + 1] = {1};

    (void)unused;
    world_open(&world, NULL);
    assert_int_equal(client_new(world.state, &spec, NULL, &client), ERR_INVAL);
    spec.owner = longer;
    spec.owner_length = sizeof longer;
    assert_int_equal(client_new(world.state, &spec, NULL, &client), ERR_INVAL);
    spec.owner_length--;
    assert_int_equal(client_new(world.state, &spec, NULL, &client), ERR_OK);
    spec.principal = longer;
    spec.principal_length = sizeof longer;
    assert_int_equal(client_new(world.state, &spec, NULL, &client), ERR_INVAL);
    world_close(&world);
}

/* ---- ids ---- */

static void ids_tell_stale_from_expired(void **unused)
{
    struct world world;
    struct client *client, *found = NULL;
    uint64_t id;

    (void)unused;
    world_open(&world, NULL);
    client = make_client(&world, "o");
    id = client_id(client);
    assert_int_equal(id >> 32, state_instance(world.state));
    assert_int_equal(client_by_id(world.state, 0, &found), ERR_STALE_CLIENTID);
    assert_int_equal(client_by_id(world.state, id ^ (uint64_t)1 << 40, &found), ERR_STALE_CLIENTID);
    client_destroy(client);
    assert_int_equal(client_by_id(world.state, id, &found), ERR_STALE_CLIENTID);
    client = make_client(&world, "o");
    assert_true(client_id(client) != id);
    id = client_id(client);
    world_pass(&world, 95000);
    assert_int_equal(client_by_id(world.state, id, &found), ERR_EXPIRED);
    world_close(&world);
}

/* ---- leases ---- */

static void leases_end_on_time(void **unused)
{
    struct world world;
    struct client *renewed, *silent, *forever;
    struct client_spec spec = client_spec_of("forever");

    (void)unused;
    world_open(&world, NULL);
    renewed = make_client(&world, "renewed");
    silent = make_client(&world, "silent");
    spec.leased = false;
    forever = client_confirm(add(&world, &spec));
    world_pass(&world, 89000);
    assert_ptr_equal(client_find_confirmed(world.state, 1, "silent", 6), silent);
    assert_int_equal(client_renew(renewed), ERR_OK);
    world_pass(&world, 2500);
    assert_null(client_find_confirmed(world.state, 1, "silent", 6));
    assert_ptr_equal(client_find_confirmed(world.state, 1, "renewed", 7), renewed);
    world_pass(&world, 86000);
    assert_non_null(client_find_confirmed(world.state, 1, "renewed", 7));
    world_pass(&world, 5000);
    assert_null(client_find_confirmed(world.state, 1, "renewed", 7));
    assert_ptr_equal(client_next(world.state, NULL), forever);
    assert_null(client_next(world.state, forever));
    world_close(&world);
}

static void half_made_clients_go(void **unused)
{
    struct world world;
    struct client_spec spec = client_spec_of("half");
    struct client *half, *held;

    (void)unused;
    world_open(&world, NULL);
    half = add(&world, &spec);
    spec.owner = "held";
    held = client_hold(add(&world, &spec));
    assert_int_equal(client_renew(half), ERR_OK); /* no lease to renew */
    world_pass(&world, 89000);
    assert_non_null(client_find_unconfirmed(world.state, 1, "half", 4));
    world_pass(&world, 2000);
    assert_null(client_find_unconfirmed(world.state, 1, "half", 4));
    assert_ptr_equal(client_find_unconfirmed(world.state, 1, "held", 4), held);
    client_drop(&held);
    world_pass(&world, 2000);
    assert_null(client_next(world.state, NULL));
    world_close(&world);
}

static void held_clients_stay(void **unused)
{
    struct world world;
    struct client *client, *second;
    struct client_spec spec = client_spec_of("b");

    (void)unused;
    gone_calls = 0;
    world_open(&world, NULL);
    client = client_hold(make_client(&world, "a"));
    world_pass(&world, 300000);
    assert_int_equal(client_status(client), CLIENT_CONFIRMED);
    client_drop(&client);
    assert_null(client);
    world_pass(&world, 80000); /* a whole lease from there */
    assert_non_null(client_find_confirmed(world.state, 1, "a", 1));
    spec.operations = &operations;
    second = client_hold(client_confirm(add(&world, &spec)));
    client_destroy(second);
    assert_int_equal(gone_calls, 1);
    assert_int_equal(client_status(second), CLIENT_GONE);
    assert_int_equal(client_renew(second), ERR_EXPIRED);
    client_destroy(second); /* twice does no harm */
    assert_int_equal(gone_calls, 1);
    client_drop(&second);
    world_close(&world);
}

static void courtesy(void **unused)
{
    struct world world;
    struct state_options options = {.courtesy_ms = 1000000, .max_courtesy = 2};
    struct client *client, *found = NULL;
    struct state_counters counters;

    (void)unused;
    world_open(&world, &options);
    client = make_client(&world, "one");
    give_state(&world, client, 1);
    world_pass(&world, 100000);
    assert_int_equal(client_status(client), CLIENT_COURTESY);
    /* Back, with all it had. */
    assert_int_equal(client_renew(client), ERR_OK);
    assert_int_equal(client_status(client), CLIENT_CONFIRMED);
    assert_true(client_has_state(client));
    world_pass(&world, 100000);
    state_counters(world.state, &counters);
    assert_int_equal(counters.courtesy, 1);
    /* Too many: the oldest goes. */
    give_state(&world, make_client(&world, "two"), 2);
    world_pass(&world, 100000);
    give_state(&world, make_client(&world, "three"), 3);
    world_pass(&world, 100000);
    assert_null(client_find_confirmed(world.state, 1, "one", 3));
    assert_non_null(client_find_confirmed(world.state, 1, "two", 3));
    state_counters(world.state, &counters);
    assert_int_equal(counters.courtesy, 2);
    assert_int_equal(counters.evicted_total, 1);
    assert_int_equal(counters.expired_total, 1);
    /* Too old. */
    world_pass(&world, 1100000);
    state_counters(world.state, &counters);
    assert_int_equal(counters.clients, 0);
    assert_int_equal(counters.courtesy, 0);
    assert_int_equal(counters.locks, 0);
    assert_int_equal(client_by_id(world.state, (uint64_t)state_instance(world.state) << 32 | 1, &found),
                     ERR_EXPIRED);
    world_close(&world);
}

/* ---- limits ---- */

static void full_tables_make_room(void **unused)
{
    struct world world;
    struct state_options options = {.max_clients = 3, .max_owners = 4, .max_opens = 2};
    struct client *a, *b, *c = NULL;
    struct client_spec spec = client_spec_of("c");
    struct owner *owner = NULL, *kept;
    struct open *open = NULL;
    struct open_spec open_spec = {.access = OPEN_READ};

    (void)unused;
    world_open(&world, &options);
    a = make_client(&world, "a");
    give_state(&world, a, 1);
    b = make_client(&world, "b");
    add(&world, &(struct client_spec){.family = 1, .owner = "half", .owner_length = 4});
    /* The half-made one goes first; then nobody can. */
    assert_int_equal(client_new(world.state, &spec, NULL, &c), ERR_OK);
    assert_null(client_find_unconfirmed(world.state, 1, "half", 4));
    c = client_hold(client_confirm(c));
    spec.owner = "d";
    assert_int_equal(client_new(world.state, &spec, NULL, &(struct client *){NULL}), ERR_LIMIT);
    /* Owners: an idle kept one goes, then an expired client's. */
    kept = make_owner(b, "kept");
    owner_keep(kept);
    owner_unref(&kept);
    owner = make_owner(b, "1");
    for (char name[] = "2"; name[0] < '4'; name[0]++) {
        struct owner *more = NULL;
        assert_int_equal(owner_get(b, 1, name, 1, &more), ERR_OK);
        owner_keep(more);
        open_spec.file = make_file(&world, 5);
        open_spec.owner = more;
        assert_int_equal(open_add(&open_spec, &open), ERR_OK);
        state_file_unref(&open_spec.file);
        owner_unref(&more);
    }
    assert_null(owner_find(b, 1, "kept", 4));
    assert_int_equal(owner_get(b, 1, "5", 1, &kept), ERR_LIMIT);
    open_spec.file = make_file(&world, 6);
    open_spec.owner = owner;
    assert_int_equal(open_add(&open_spec, &open), ERR_LIMIT);
    world_pass(&world, 60000);
    assert_int_equal(client_renew(b), ERR_OK);
    world_pass(&world, 40000);
    assert_int_equal(client_status(a), CLIENT_COURTESY);
    assert_int_equal(owner_get(b, 1, "5", 1, &kept), ERR_OK);
    assert_null(client_find_confirmed(world.state, 1, "a", 1));
    owner_unref(&kept);
    owner_unref(&owner);
    state_file_unref(&open_spec.file);
    client_drop(&c);
    world_close(&world);
}

static void ten_thousand_clients(void **unused)
{
    struct world world;
    struct state_options options = {.max_clients = 10000};
    struct client *client = NULL;
    struct client_spec spec;
    char name[16];

    (void)unused;
    world_open(&world, &options);
    for (int i = 0; i < 10000; i++) {
        snprintf(name, sizeof name, "client %d", i);
        give_state(&world, make_client(&world, name), (uint64_t)i + 1);
    }
    spec = client_spec_of("one more");
    assert_int_equal(client_new(world.state, &spec, NULL, &client), ERR_LIMIT);
    world_pass(&world, 100000);
    assert_int_equal(client_new(world.state, &spec, NULL, &client), ERR_OK);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_exchange_id),
        cmocka_unit_test(restarted_client_replaces_itself),
        cmocka_unit_test(callback_update_shares_the_id),
        cmocka_unit_test(bad_specs_are_refused),
        cmocka_unit_test(ids_tell_stale_from_expired),
        cmocka_unit_test(leases_end_on_time),
        cmocka_unit_test(half_made_clients_go),
        cmocka_unit_test(held_clients_stay),
        cmocka_unit_test(courtesy),
        cmocka_unit_test(full_tables_make_room),
        cmocka_unit_test(ten_thousand_clients),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
