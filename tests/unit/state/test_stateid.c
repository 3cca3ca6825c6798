/*
 * test_stateid.c - stateids and their wrongness; owners and their sequences.
 */
#include "world.h"

static enum err look(struct world *world, struct stateid stateid, const struct client *client)
{
    struct stateid_object object;

    return stateid_lookup(world->state, &stateid, STATEID_SEQID_EXACT, client, &object);
}

static void kinds_of_wrongness(void **unused)
{
    struct world world;
    struct client *client, *other;
    struct open *open, *second;
    struct stateid stateid, changed, old;
    struct stateid_object object;

    (void)unused;
    world_open(&world, NULL);
    client = make_client(&world, "one");
    other = make_client(&world, "two");
    open = make_open(&world, 1, client, "O", OPEN_READ, 0);
    stateid = open_stateid(open);
    assert_int_equal(stateid.seqid, 1);
    assert_int_equal(stateid_lookup(world.state, &stateid, STATEID_SEQID_EXACT, client, &object), ERR_OK);
    assert_int_equal(object.kind, STATEID_OPEN);
    assert_ptr_equal(object.open, open);
    assert_ptr_equal(object.client, client);
    assert_int_equal(look(&world, stateid, NULL), ERR_OK);
    /* bad: another client's, never made, special */
    assert_int_equal(look(&world, stateid, other), ERR_BAD_STATEID);
    changed = stateid;
    changed.other[7] = 200; /* index */
    assert_int_equal(look(&world, changed, client), ERR_BAD_STATEID);
    changed = stateid;
    changed.other[11]++; /* generation */
    assert_int_equal(look(&world, changed, client), ERR_BAD_STATEID);
    changed = (struct stateid){0};
    assert_int_equal(look(&world, changed, client), ERR_BAD_STATEID);
    memset(&changed, 0xff, sizeof changed);
    assert_int_equal(look(&world, changed, client), ERR_BAD_STATEID);
    /* stale: of another instance */
    changed = stateid;
    changed.other[0] ^= 1;
    assert_int_equal(look(&world, changed, client), ERR_STALE_STATEID);
    /* old, later, zero */
    old = stateid;
    stateid = open_stateid_next(open);
    assert_int_equal(stateid.seqid, 2);
    assert_int_equal(look(&world, old, client), ERR_OLD_STATEID);
    changed = stateid;
    changed.seqid = 3;
    assert_int_equal(look(&world, changed, client), ERR_BAD_STATEID);
    changed.seqid = 0;
    assert_int_equal(look(&world, changed, client), ERR_OLD_STATEID);
    assert_int_equal(stateid_lookup(world.state, &changed, STATEID_SEQID_ZERO_CURRENT, client, &object),
                     ERR_OK);
    assert_int_equal(object.seqid, 2);
    /* the seqid goes round and leaves 0 out */
    open->stateid->seqid = UINT32_MAX;
    old = open_stateid(open);
    assert_int_equal(open_stateid_next(open).seqid, 1);
    assert_int_equal(look(&world, old, client), ERR_OLD_STATEID);
    /* given back: bad, whoever has its index now */
    stateid = open_stateid(open);
    open_close(open);
    assert_int_equal(look(&world, stateid, client), ERR_BAD_STATEID);
    assert_int_equal(stateid_free(world.state, &stateid, client), ERR_BAD_STATEID);
    /* revoked, until freed */
    open = make_open(&world, 1, client, "O", OPEN_READ, 0);
    stateid = open_stateid(open);
    assert_int_equal(stateid_free(world.state, &stateid, client), ERR_LOCKS_HELD);
    open_revoke(open);
    assert_int_equal(client_revoked_others(client), 1);
    assert_int_equal(look(&world, stateid, client), ERR_ADMIN_REVOKED);
    assert_int_equal(stateid_free(world.state, &stateid, other), ERR_BAD_STATEID);
    assert_int_equal(stateid_free(world.state, &stateid, client), ERR_OK);
    assert_int_equal(client_revoked_others(client), 0);
    assert_int_equal(look(&world, stateid, client), ERR_BAD_STATEID);
    /* expired with its client's lease; still so when other things are made */
    stateid = open_stateid(make_open(&world, 1, client, "O", OPEN_READ, OPEN_WRITE));
    second = make_open(&world, 2, other, "O", OPEN_READ, 0);
    world_pass(&world, 60000);
    assert_int_equal(client_renew(other), ERR_OK);
    world_pass(&world, 40000);
    assert_int_equal(look(&world, stateid, NULL), ERR_OK); /* courtesy */
    assert_int_equal(open_test(second->file, OPEN_WRITE, 0, NULL), ERR_OK);
    (void)make_open(&world, 1, other, "O", OPEN_WRITE, 0);
    assert_int_equal(look(&world, stateid, NULL), ERR_EXPIRED);
    for (uint64_t i = 0; i < 100; i++)
        (void)make_open(&world, 10 + i, other, "P", OPEN_WRITE, 0);
    assert_int_equal(look(&world, stateid, NULL), ERR_EXPIRED);
    assert_int_equal(stateid_free(world.state, &stateid, other), ERR_EXPIRED);
    /* its client went by itself: bad */
    stateid = open_stateid(second);
    client_destroy(other);
    assert_int_equal(look(&world, stateid, NULL), ERR_BAD_STATEID);
    world_close(&world);
}

static void revoking_takes_locks_too(void **unused)
{
    struct world world;
    struct client *client;
    struct open *open;
    struct lock_holder *holder = NULL;
    struct owner *owner;
    struct stateid lock, stateid;
    struct stateid_object object;

    (void)unused;
    world_open(&world, NULL);
    client = make_client(&world, "one");
    open = make_open(&world, 1, client, "O", OPEN_READ, 0);
    owner = make_owner(client, "L");
    assert_int_equal(lock_holder_get(open_file(open), owner, open, LOCK_POSIX, &holder), ERR_OK);
    owner_unref(&owner);
    assert_int_equal(
        lock_set(holder, &(struct lock_request){.offset = 0, .length = 1, .exclusive = true}, NULL), ERR_OK);
    lock = lock_holder_stateid_next(holder);
    assert_int_equal(stateid_lookup(world.state, &lock, STATEID_SEQID_EXACT, client, &object), ERR_OK);
    assert_int_equal(object.kind, STATEID_LOCK);
    assert_ptr_equal(object.holder, holder);
    stateid = open_stateid(open);
    open_revoke(open);
    assert_int_equal(look(&world, lock, client), ERR_ADMIN_REVOKED);
    assert_int_equal(look(&world, stateid, client), ERR_ADMIN_REVOKED);
    assert_int_equal(client_revoked_others(client), 2);
    assert_null(state_file_find(world.state, 1, 1));
    assert_int_equal(stateid_free(world.state, &lock, client), ERR_OK);
    world_close(&world);
}

static void front_ends_objects(void **unused)
{
    struct world world;
    struct client *client;
    struct stateid stateid, second;
    struct stateid_object object;
    int thing = 0;

    (void)unused;
    world_open(&world, NULL);
    client = make_client(&world, "one");
    assert_int_equal(stateid_new(client, &thing, &stateid), ERR_OK);
    assert_int_equal(stateid_new(client, &thing, &second), ERR_OK);
    assert_int_equal(stateid_lookup(world.state, &stateid, STATEID_SEQID_EXACT, client, &object), ERR_OK);
    assert_int_equal(object.kind, STATEID_OTHER);
    assert_ptr_equal(object.other, &thing);
    stateid_end(world.state, &stateid);
    stateid_end(world.state, &stateid);
    assert_int_equal(look(&world, stateid, client), ERR_BAD_STATEID);
    client_destroy(client);
    assert_int_equal(look(&world, second, NULL), ERR_BAD_STATEID);
    world_close(&world);
}

/* An index is used again only after many others, with another generation; the table is bounded. */
static void indexes_rest(void **unused)
{
    struct world world;
    struct state_options options = {.max_opens = 100, .max_locks = 1, .max_grants = 1};
    struct client *client;
    struct stateid first, stateid;
    struct state_counters counters;

    (void)unused;
    world_open(&world, &options);
    client = make_client(&world, "one");
    assert_int_equal(stateid_new(client, NULL, &first), ERR_OK);
    stateid_end(world.state, &first);
    for (int i = 0; i < 3 * STATEID_FREE_MIN; i++) {
        assert_int_equal(stateid_new(client, NULL, &stateid), ERR_OK);
        if (i < STATEID_FREE_MIN - 1)
            assert_memory_not_equal(stateid.other + 4, first.other + 4, 4);
        assert_memory_not_equal(stateid.other, first.other, STATEID_OTHER_SIZE);
        stateid_end(world.state, &stateid);
        assert_int_equal(look(&world, stateid, client), ERR_BAD_STATEID);
    }
    assert_int_equal(look(&world, first, client), ERR_BAD_STATEID);
    assert_true(world.state->stateids.used <= STATEID_FREE_MIN + 1);
    for (int i = 0; i < STATEID_FREE_MIN + 102; i++)
        assert_int_equal(stateid_new(client, NULL, &stateid), ERR_OK);
    assert_int_equal(stateid_new(client, NULL, &stateid), ERR_LIMIT);
    state_counters(world.state, &counters);
    assert_int_equal(counters.stateids, STATEID_FREE_MIN + 102);
    world_close(&world);
}

/* ---- owners and sequences ---- */

struct step {
    uint32_t seqid;
    enum owner_sequence expect;
    bool done, advance;
    const char *reply; /* given when done, expected when a replay */
};

static const struct step steps[] = {
    {7, OWNER_SEQUENCE_NEW, false, false, NULL}, /* any is the first */
    {7, OWNER_SEQUENCE_BUSY, false, false, NULL},
    {8, OWNER_SEQUENCE_BUSY, true, true, "seven"},
    {7, OWNER_SEQUENCE_REPLAY, false, false, "seven"},
    {7, OWNER_SEQUENCE_REPLAY, false, false, "seven"},
    {6, OWNER_SEQUENCE_BAD, false, false, NULL},
    {9, OWNER_SEQUENCE_BAD, false, false, NULL},
    {8, OWNER_SEQUENCE_NEW, true, false, "not used up"},
    {7, OWNER_SEQUENCE_REPLAY, false, false, "seven"},
    {8, OWNER_SEQUENCE_NEW, true, true, "eight"},
    {7, OWNER_SEQUENCE_BAD, false, false, NULL},
    {8, OWNER_SEQUENCE_REPLAY, false, false, "eight"},
    {9, OWNER_SEQUENCE_NEW, true, true, "a reply that is longer than may be kept"},
    {9, OWNER_SEQUENCE_REPLAY, false, false, NULL},
};

static void owner_sequences(void **unused)
{
    struct world world;
    struct state_options options = {.max_owner_reply = 20};
    struct client *client;
    struct owner *owner;
    struct state_counters counters;
    const uint8_t *reply = NULL;
    size_t length = 0;

    (void)unused;
    world_open(&world, &options);
    client = make_client(&world, "one");
    owner = make_owner(client, "O");
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        const struct step *step = &steps[i];
        enum owner_sequence found = owner_sequence_check(owner, step->seqid, &reply, &length);

        if (found != step->expect)
            fail_msg("row %zu: %d, expected %d", i, found, step->expect);
        if (step->done) {
            owner_sequence_done(owner, step->advance, step->reply, strlen(step->reply));
        } else if (found == OWNER_SEQUENCE_REPLAY && step->reply != NULL) {
            assert_int_equal(length, strlen(step->reply));
            assert_memory_equal(reply, step->reply, length);
        } else if (found == OWNER_SEQUENCE_REPLAY) {
            assert_null(reply);
        }
    }
    /* An owner that was never confirmed begins anew. */
    assert_false(owner_is_confirmed(owner));
    owner_sequence_forget(owner);
    assert_int_equal(owner_sequence_check(owner, UINT32_MAX, &reply, &length), OWNER_SEQUENCE_NEW);
    owner_set_confirmed(owner, true);
    assert_true(owner_is_confirmed(owner));
    owner_sequence_done(owner, true, "x", 1);
    assert_int_equal(owner_sequence_check(owner, 0, &reply, &length), OWNER_SEQUENCE_NEW);
    owner_sequence_done(owner, false, NULL, 0);
    assert_int_equal(owner_sequence_check(owner, 1, &reply, &length), OWNER_SEQUENCE_NEW);
    owner_sequence_done(owner, true, "y", 1);
    state_counters(world.state, &counters);
    assert_int_equal(counters.owner_reply_bytes, 1);
    owner_unref(&owner);
    state_counters(world.state, &counters);
    assert_int_equal(counters.owner_reply_bytes, 0);
    world_close(&world);
}

static void replies_are_bounded(void **unused)
{
    struct world world;
    struct state_options options = {.max_owner_replies = 10};
    struct client *client;
    struct owner *a, *b;
    const uint8_t *reply = NULL;
    size_t length = 0;

    (void)unused;
    world_open(&world, &options);
    client = make_client(&world, "one");
    a = make_owner(client, "A");
    b = make_owner(client, "B");
    assert_int_equal(owner_sequence_check(a, 1, &reply, &length), OWNER_SEQUENCE_NEW);
    owner_sequence_done(a, true, "1234567", 7);
    assert_int_equal(owner_sequence_check(b, 1, &reply, &length), OWNER_SEQUENCE_NEW);
    owner_sequence_done(b, true, "1234567", 7);
    assert_int_equal(owner_sequence_check(b, 1, &reply, &length), OWNER_SEQUENCE_REPLAY);
    assert_null(reply);
    owner_unref(&a);
    owner_unref(&b);
    world_close(&world);
}

static void owners_are_found_and_kept(void **unused)
{
    struct world world;
    struct client *client, *other;
    struct owner *owner, *same, *kind = NULL;
    const uint8_t *reply = NULL;
    size_t length = 0;
    struct open *open;
    struct stateid stateid;
    uint64_t id;
    char longer[OWNER_KEY_MAX + 1] = {0};

    (void)unused;
    world_open(&world, NULL);
    client = make_client(&world, "one");
    other = make_client(&world, "two");
    owner = make_owner(client, "O");
    id = owner_id(owner);
    assert_true(id != 0);
    same = make_owner(client, "O");
    assert_ptr_equal(owner, same);
    owner_unref(&same);
    assert_int_equal(owner_get(client, 2, "O", 1, &kind), ERR_OK);
    assert_ptr_not_equal(kind, owner);
    assert_int_equal(owner_kind(kind), 2);
    owner_unref(&kind);
    assert_null(owner_find(client, 2, "O", 1));
    assert_null(owner_find(other, 1, "O", 1));
    assert_int_equal(owner_get(client, 1, longer, sizeof longer, &kind), ERR_INVAL);
    /* Kept for its sequence, and found by a replayed close. */
    owner_keep(owner);
    owner_keep(owner);
    open = make_open(&world, 1, client, "O", OPEN_READ, 0);
    assert_true(owner_has_opens(owner));
    stateid = open_stateid(open);
    assert_null(stateid_closed_owner(world.state, &stateid));
    open_close(open);
    assert_ptr_equal(stateid_closed_owner(world.state, &stateid), owner);
    open_close(make_open(&world, 2, client, "O", OPEN_READ, 0));
    assert_null(stateid_closed_owner(world.state, &stateid));
    owner_unref(&owner);
    owner = owner_find(client, 1, "O", 1);
    assert_non_null(owner);
    assert_int_equal(owner_id(owner), id);
    /* Used, it stays; unused for a lease, it goes. */
    world_pass(&world, 60000);
    assert_int_equal(client_renew(client), ERR_OK);
    (void)owner_sequence_check(owner, 1, &reply, &length);
    owner_sequence_done(owner, true, "r", 1);
    world_pass(&world, 80000);
    assert_int_equal(client_renew(client), ERR_OK);
    assert_non_null(owner_find(client, 1, "O", 1));
    world_pass(&world, 20000);
    assert_null(owner_find(client, 1, "O", 1));
    /* The client goes before the owner. */
    owner = make_owner(client, "P");
    owner_keep(owner);
    client_hold(client);
    client_destroy(client);
    assert_null(owner_client(owner));
    assert_int_equal(owner_get(client, 1, "O", 1, &kind), ERR_EXPIRED);
    owner_unref(&owner);
    client_drop(&client);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_of_wrongness),        cmocka_unit_test(revoking_takes_locks_too),
        cmocka_unit_test(front_ends_objects),        cmocka_unit_test(indexes_rest),
        cmocka_unit_test(owner_sequences),           cmocka_unit_test(replies_are_bounded),
        cmocka_unit_test(owners_are_found_and_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
