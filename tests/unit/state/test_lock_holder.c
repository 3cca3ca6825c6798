/*
 * test_lock_holder.c - holders of byte ranges when memory is out, when hashes collide, and when what they
 * belong to has gone; walks over what they hold and wait for. lock_holder.c itself is compiled in here, with
 * an allocator that can be told to fail and a hash that is the same for everybody.
 */
#include "world.h"

static unsigned allocations_left = UINT32_MAX; /* until they fail */
static bool insert_fails;

static void *scarce_calloc(size_t count, size_t size)
{
    if (allocations_left == 0)
        return NULL;
    allocations_left--;
    return calloc(count, size);
}

static bool scarce_insert(struct hashtable *table, struct hashlink *link, uint64_t hash)
{
    return !insert_fails && hashtable_insert(table, link, hash);
}

static uint64_t colliding_hash(const struct state *state, uint64_t a, uint64_t b)
{
    (void)state;
    (void)a;
    (void)b;
    return 4711;
}

#define calloc           scarce_calloc
#define hashtable_insert scarce_insert
#define state__hash      colliding_hash
#include "state/lock_holder.c"
#undef calloc
#undef hashtable_insert
#undef state__hash

static struct lock_request range(uint64_t offset, uint64_t length)
{
    return (struct lock_request){.offset = offset, .length = length, .exclusive = true};
}

/* Nothing is left of a holder that could not be made. */
static void holders_without_memory(void **unused)
{
    struct state_counters before, after;
    struct world world;
    struct client *client;
    struct state_file *file;
    struct owner *owner;
    struct lock_holder *holder = NULL;

    (void)unused;
    world_open(&world, NULL);
    client = make_client(&world, "one");
    file = make_file(&world, 1);
    owner = make_owner(client, "A");
    state_counters(world.state, &before);
    allocations_left = 0;
    assert_int_equal(lock_holder_get(file, owner, NULL, LOCK_POSIX, &holder), ERR_NOMEM);
    allocations_left = UINT32_MAX;
    insert_fails = true;
    assert_int_equal(lock_holder_get(file, owner, NULL, LOCK_POSIX, &holder), ERR_NOMEM);
    insert_fails = false;
    assert_null(holder);
    assert_null(lock_holder_find(file, owner));
    state_counters(world.state, &after);
    assert_int_equal(after.stateids, before.stateids);
    assert_int_equal(lock_holder_get(file, owner, NULL, LOCK_POSIX, &holder), ERR_OK);
    owner_unref(&owner);
    state_file_unref(&file);
    world_close(&world);
}

/* The table of stateids is full: it bounds the holders. */
static void holders_over_the_limit(void **unused)
{
    struct state_options options = {.max_opens = 1, .max_locks = 1, .max_grants = 1};
    struct world world;
    struct client *client;
    struct state_file *file;
    struct owner *owner;
    struct lock_holder *holder = NULL;
    enum err err = ERR_OK;
    uint64_t made = 0;

    (void)unused;
    world_open(&world, &options);
    client = make_client(&world, "one");
    owner = make_owner(client, "A");
    while (err == ERR_OK && made < 100000) {
        file = make_file(&world, ++made);
        err = lock_holder_get(file, owner, NULL, LOCK_POSIX, &holder);
        state_file_unref(&file);
    }
    assert_int_equal(err, ERR_LIMIT);
    lock_holder_free(holder);
    file = make_file(&world, made);
    assert_int_equal(lock_holder_get(file, owner, NULL, LOCK_POSIX, &holder), ERR_OK);
    state_file_unref(&file);
    owner_unref(&owner);
    world_close(&world);
}

/* A change that needs more ranges than there is memory for is not made in part. */
static void ranges_without_memory(void **unused)
{
    struct world world;
    struct client *client;
    struct lock_holder *a;

    (void)unused;
    world_open(&world, NULL);
    client = make_client(&world, "one");
    a = make_holder(&world, 1, client, "A", LOCK_POSIX);
    allocations_left = 0;
    assert_int_equal(lock_set(a, &(struct lock_request){.offset = 0, .length = 10}, NULL), ERR_NOMEM);
    assert_int_equal(lock_holder_count(a), 0);
    allocations_left = UINT32_MAX;
    assert_int_equal(lock_set(a, &(struct lock_request){.offset = 0, .length = 30}, NULL), ERR_OK);
    for (unsigned left = 0; left < 2; left++) {
        struct lock_request middle = range(10, 5);

        allocations_left = left;
        assert_int_equal(lock_set(a, &middle, NULL), ERR_NOMEM);
        assert_int_equal(lock_holder_count(a), 1);
    }
    allocations_left = 0;
    assert_int_equal(lock_unset(a, 10, 5), ERR_NOMEM);
    assert_int_equal(lock_holder_count(a), 1);
    /* The ends need none. */
    assert_int_equal(lock_unset(a, 0, 5), ERR_OK);
    assert_int_equal(lock_unset(a, 25, LOCK_TO_END), ERR_OK);
    assert_int_equal(lock_holder_count(a), 1);
    allocations_left = UINT32_MAX;
    world_close(&world);
}

/* A full table makes room when a silent client's courtesy is over, and only then. */
static void ranges_over_the_limit(void **unused)
{
    struct state_options options = {.max_locks = 2};
    struct world world;
    struct client *silent, *client;
    struct lock_holder *a, *b;
    struct lock_request one = range(0, 1), two = range(10, 1), three = range(20, 1);

    (void)unused;
    world_open(&world, &options);
    silent = make_client(&world, "silent");
    a = make_holder(&world, 1, silent, "A", LOCK_POSIX);
    assert_int_equal(lock_set(a, &one, NULL), ERR_OK);
    world_pass(&world, 60000);
    client = make_client(&world, "one");
    b = make_holder(&world, 1, client, "B", LOCK_POSIX);
    assert_int_equal(lock_set(b, &two, NULL), ERR_OK);
    assert_int_equal(lock_set(b, &three, NULL), ERR_LIMIT);
    world_pass(&world, 40000);
    assert_int_equal(client_status(silent), CLIENT_COURTESY);
    assert_int_equal(lock_set(b, &three, NULL), ERR_OK);
    assert_int_equal(lock_holder_count(b), 2);
    world_close(&world);
}

/* Holders with one hash are told apart by their file and owner. */
static void collisions(void **unused)
{
    enum { FILES = 3, OWNERS = 3 };
    struct world world;
    struct client *client;
    struct state_file *files[FILES];
    struct owner *owners[OWNERS];
    struct lock_holder *holders[FILES][OWNERS];

    (void)unused;
    world_open(&world, NULL);
    client = make_client(&world, "one");
    for (int f = 0; f < FILES; f++)
        files[f] = make_file(&world, (uint64_t)f + 1);
    for (int o = 0; o < OWNERS; o++)
        owners[o] = make_owner(client, (char[]){(char)('A' + o), 0});
    for (int f = 0; f < FILES; f++)
        for (int o = 0; o < OWNERS; o++) {
            assert_null(lock_holder_find(files[f], owners[o]));
            assert_int_equal(lock_holder_get(files[f], owners[o], NULL, LOCK_POSIX, &holders[f][o]), ERR_OK);
        }
    for (int f = 0; f < FILES; f++)
        for (int o = 0; o < OWNERS; o++) {
            struct lock_holder *again = NULL;

            assert_int_equal(lock_holder_get(files[f], owners[o], NULL, LOCK_POSIX, &again), ERR_OK);
            assert_ptr_equal(again, holders[f][o]);
            assert_ptr_equal(lock_holder_find(files[f], owners[o]), holders[f][o]);
            assert_int_equal(lock_holder_get(files[f], owners[o], NULL, LOCK_EXACT, &holders[f][o]),
                             ERR_INVAL);
            assert_ptr_equal(lock_holder_file(holders[f][o]), files[f]);
            assert_ptr_equal(lock_holder_owner(holders[f][o]), owners[o]);
        }
    lock_holder_free(holders[1][1]);
    assert_null(lock_holder_find(files[1], owners[1]));
    assert_ptr_equal(lock_holder_find(files[1], owners[2]), holders[1][2]);
    for (int o = 0; o < OWNERS; o++)
        owner_unref(&owners[o]);
    for (int f = 0; f < FILES; f++)
        state_file_unref(&files[f]);
    world_close(&world);
}

/* The stateid grows; an owner whose client has gone holds nothing any more; what is revoked has no stateid
 * left to end. */
static void ends(void **unused)
{
    struct world world;
    struct client *client, *gone;
    struct state_file *file;
    struct owner *owner;
    struct open *open;
    struct lock_holder *holder = NULL;
    struct stateid_object object;
    struct lock_request one = range(0, 1);
    struct stateid first, second;

    (void)unused;
    world_open(&world, NULL);
    client = make_client(&world, "one");
    gone = make_client(&world, "gone");
    file = make_file(&world, 1);
    owner = make_owner(gone, "L");
    client_destroy(gone);
    assert_int_equal(lock_holder_get(file, owner, NULL, LOCK_POSIX, &holder), ERR_EXPIRED);
    owner_unref(&owner);

    open = make_open(&world, 1, client, "O", OPEN_READ | OPEN_WRITE, 0);
    owner = make_owner(client, "L");
    assert_int_equal(lock_holder_get(file, owner, open, LOCK_POSIX, &holder), ERR_OK);
    first = lock_holder_stateid(holder);
    second = lock_holder_stateid_next(holder);
    assert_int_equal(second.seqid, first.seqid + 1);
    assert_memory_equal(second.other, first.other, sizeof first.other);
    assert_ptr_equal(lock_holder_open(holder), open);
    assert_int_equal(lock_set(holder, &one, NULL), ERR_OK);
    open_revoke(open);
    assert_null(lock_holder_find(file, owner));
    assert_int_equal(stateid_lookup(world.state, &second, STATEID_SEQID_EXACT, NULL, &object),
                     ERR_ADMIN_REVOKED);
    owner_unref(&owner);
    state_file_unref(&file);
    world_close(&world);
}

static void never(struct lock_waiter *waiter, enum err err)
{
    (void)waiter;
    (void)err;
    fail();
}

/* What a holder has and waits for, in order; a walk goes on when what it stood at has gone. */
static void walks(void **unused)
{
    static const struct {
        uint64_t offset, length;
        bool exclusive;
    } exact[] = {{0, 0, false}, {0, 4, true}, {5, 10, true}, {5, 10, false}, {5, 20, false}, {100, 0, true}};
    struct lock_waiter waiters[2] = {{.done = never}, {.done = never}};
    struct lock_conflict found;
    struct lock_cursor cursor = {0};
    struct world world;
    struct client *client;
    struct lock_holder *a, *b, *e;
    struct lock_request first = range(0, 10), second = range(20, 10), third = range(40, LOCK_TO_END);

    (void)unused;
    world_open(&world, NULL);
    client = make_client(&world, "one");
    a = make_holder(&world, 1, client, "A", LOCK_POSIX);
    b = make_holder(&world, 1, client, "B", LOCK_POSIX);
    e = make_holder(&world, 2, client, "E", LOCK_EXACT);
    assert_false(lock_holder_next_range(a, &cursor, &found));
    assert_false(lock_file_has_ranges(lock_holder_file(a)));
    assert_int_equal(lock_set(a, &third, NULL), ERR_OK);
    assert_int_equal(lock_set(a, &first, NULL), ERR_OK);
    assert_int_equal(lock_set(a, &second, NULL), ERR_OK);
    assert_true(lock_file_has_ranges(lock_holder_file(a)));
    assert_true(lock_holder_next_range(a, &cursor, &found));
    assert_true(found.offset == 0 && found.length == 10 && found.exclusive);
    assert_ptr_equal(found.owner, lock_holder_owner(a));
    assert_int_equal(lock_unset(a, 0, 10), ERR_OK);
    assert_true(lock_holder_next_range(a, &cursor, &found));
    assert_true(found.offset == 20 && found.length == 10);
    assert_true(lock_holder_next_range(a, &cursor, &found));
    assert_true(found.offset == 40 && found.length == LOCK_TO_END);
    assert_false(lock_holder_next_range(a, &cursor, &found));

    for (size_t i = 0; i < sizeof exact / sizeof *exact; i++) {
        struct lock_request request = {
            .offset = exact[i].offset, .length = exact[i].length, .exclusive = exact[i].exclusive};

        assert_int_equal(lock_set(e, &request, NULL), ERR_OK);
    }
    cursor = (struct lock_cursor){0};
    for (size_t i = 0; i < sizeof exact / sizeof *exact; i++) {
        assert_true(lock_holder_next_range(e, &cursor, &found));
        assert_true(found.offset == exact[i].offset && found.length == exact[i].length);
    }
    assert_false(lock_holder_next_range(e, &cursor, &found));
    lock_unset_all(e);
    assert_int_equal(lock_holder_count(e), 0);

    cursor = (struct lock_cursor){0};
    assert_false(lock_holder_next_wait(b, &cursor, &found));
    assert_int_equal(lock_wait(b, &second, &waiters[0], NULL), ERR_WAIT);
    assert_int_equal(lock_wait(b, &third, &waiters[1], NULL), ERR_WAIT);
    assert_true(lock_holder_next_wait(b, &cursor, &found));
    assert_true(found.offset == 20 && found.length == 10 && found.exclusive);
    assert_ptr_equal(found.owner, lock_holder_owner(b));
    assert_true(lock_holder_next_wait(b, &cursor, &found));
    assert_true(found.offset == 40 && found.length == LOCK_TO_END);
    assert_false(lock_holder_next_wait(b, &cursor, &found));
    /* What has been granted waits no longer, though nobody was told yet. */
    assert_int_equal(lock_unset(a, 20, 10), ERR_OK);
    lock__hand_over(world.state, 16);
    cursor = (struct lock_cursor){0};
    assert_true(lock_holder_next_wait(b, &cursor, &found));
    assert_int_equal(found.offset, 40);
    assert_false(lock_holder_next_wait(b, &cursor, &found));
    assert_false(lock_wait_cancel(&waiters[0]));
    assert_true(lock_wait_cancel(&waiters[1]));
    lock_holder_revoke(a);
    lock_holder_free(b);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holders_without_memory),
        cmocka_unit_test(holders_over_the_limit),
        cmocka_unit_test(ranges_without_memory),
        cmocka_unit_test(ranges_over_the_limit),
        cmocka_unit_test(collisions),
        cmocka_unit_test(ends),
        cmocka_unit_test(walks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
