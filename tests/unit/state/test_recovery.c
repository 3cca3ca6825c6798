/*
 * test_recovery.c - records and grace over a store in memory that can lose what is not durable, and fail.
 */
#include "world.h"

enum { RECORDS = 64 };

struct record {
    size_t key_length, value_length;
    uint8_t key[64], value[32]; /* keys of tests are short */
};

struct records {
    struct record at[RECORDS];
    size_t count;
};

struct disk_store {
    struct records now, durable;
    bool slow;      /* what is put is durable only after finish_sync */
    bool fail_puts; /* the store has failed */
    struct recovery_wait *waiting;
    struct recovery_store store;
};

static struct record *find_record(struct records *records, const void *key, size_t length)
{
    for (size_t i = 0; i < records->count; i++) {
        if (records->at[i].key_length == length && memcmp(records->at[i].key, key, length) == 0)
            return &records->at[i];
    }
    return NULL;
}

static enum err put(void *data, const char *table, const void *key, size_t key_length, const void *value,
                    size_t value_length)
{
    struct disk_store *disk = data;
    struct record *record = find_record(&disk->now, key, key_length);

    assert_string_equal(table, "state");
    if (disk->fail_puts)
        return ERR_FAILED;
    if (record == NULL) {
        assert_true(disk->now.count < RECORDS);
        record = &disk->now.at[disk->now.count++];
    }
    assert_true(key_length <= sizeof record->key && value_length <= sizeof record->value);
    record->key_length = key_length;
    memcpy(record->key, key, key_length);
    record->value_length = value_length;
    memcpy(record->value, value, value_length);
    return ERR_OK;
}

static enum err take_away(void *data, const char *table, const void *key, size_t key_length)
{
    struct disk_store *disk = data;
    struct record *record = find_record(&disk->now, key, key_length);

    (void)table;
    if (disk->fail_puts)
        return ERR_FAILED;
    if (record != NULL)
        *record = disk->now.at[--disk->now.count];
    return ERR_OK;
}

static enum err scan(void *data, const char *table,
                     bool (*each)(void *each_data, const void *key, size_t key_length, const void *value,
                                  size_t value_length),
                     void *each_data)
{
    struct disk_store *disk = data;

    (void)table;
    for (size_t i = 0; i < disk->now.count; i++) {
        const struct record *record = &disk->now.at[i];
        if (!each(each_data, record->key, record->key_length, record->value, record->value_length))
            break;
    }
    return ERR_OK;
}

static enum err wait_durable(void *data, struct recovery_wait *wait)
{
    struct disk_store *disk = data;

    if (!disk->slow) {
        disk->durable = disk->now;
        return ERR_OK;
    }
    disk->waiting = wait;
    return ERR_WAIT;
}

static void wait_cancel(void *data, struct recovery_wait *wait)
{
    struct disk_store *disk = data;

    assert_ptr_equal(disk->waiting, wait);
    disk->waiting = NULL;
}

static void finish_sync(struct disk_store *disk, enum err err)
{
    struct recovery_wait *wait = disk->waiting;

    disk->waiting = NULL;
    if (err == ERR_OK)
        disk->durable = disk->now;
    wait->done(wait, err);
}

/* ---- the scene: one store, several lives of the server ---- */

struct scene {
    struct world world;
    struct disk_store disk;
};

static void boot(struct scene *scene)
{
    world_start(&scene->world, &scene->disk.store);
}

static void scene_open(struct scene *scene)
{
    *scene = (struct scene){
        .disk.store = {
            .put = put, .remove = take_away, .scan = scan, .wait = wait_durable, .wait_cancel = wait_cancel}};
    scene->disk.store.data = &scene->disk;
    simclock_install();
    scene->world.loop = simloop_new(1);
    boot(scene);
}

/* The server stops, with everything synced, and starts again. */
static void restart(struct scene *scene)
{
    state_close(&scene->world.state);
    boot(scene);
}

/* The machine dies: what is not durable is gone. */
static void crash(struct scene *scene)
{
    state_close(&scene->world.state);
    scene->disk.now = scene->disk.durable;
    scene->disk.waiting = NULL;
    boot(scene);
}

static void scene_close(struct scene *scene)
{
    world_close(&scene->world);
}

static enum err lock(struct scene *scene, struct client *client, uint64_t ino, bool reclaim)
{
    struct lock_request request = {.offset = 0, .length = LOCK_TO_END, .exclusive = true, .reclaim = reclaim};

    return lock_set(make_holder(&scene->world, ino, client, "L", LOCK_POSIX), &request, NULL);
}

static struct client *make_silent(struct scene *scene, const char *name)
{
    struct client_spec spec = client_spec_of(name);
    struct client *client = NULL;

    spec.completes = false;
    assert_int_equal(client_new(scene->world.state, &spec, NULL, &client), ERR_OK);
    return client_confirm(client);
}

static bool in_grace(const struct scene *scene)
{
    return grace_is_active(scene->world.state);
}

struct seen {
    int count, returned;
};

static bool see(void *data, const struct grace_missing *missing)
{
    struct seen *seen = data;

    assert_true(missing->owner_length > 0);
    seen->count++;
    seen->returned += missing->returned;
    return true;
}

static struct seen missing(const struct scene *scene)
{
    struct seen seen = {0};

    grace_missing_each(scene->world.state, see, &seen);
    return seen;
}

/* ---- tests ---- */

static void no_grace_without_records(void **unused)
{
    struct scene scene;
    struct client *client;

    (void)unused;
    scene_open(&scene);
    assert_int_equal(recovery_boot(scene.world.state), 1);
    assert_false(in_grace(&scene));
    client = make_client(&scene.world, "a");
    assert_int_equal(lock(&scene, client, 1, true), ERR_NO_GRACE);
    restart(&scene); /* it never had any state */
    assert_int_equal(recovery_boot(scene.world.state), 2);
    assert_false(in_grace(&scene));
    client = make_client(&scene.world, "a");
    assert_int_equal(lock(&scene, client, 1, false), ERR_OK);
    client_destroy(client); /* by itself: nothing is left to reclaim */
    restart(&scene);
    assert_false(in_grace(&scene));
    scene_close(&scene);
}

static void reclaim_and_complete(void **unused)
{
    struct scene scene;
    struct client *a, *b, *c;
    uint64_t writes;

    (void)unused;
    scene_open(&scene);
    writes = recovery_writes(scene.world.state);
    a = make_client(&scene.world, "a");
    b = make_client(&scene.world, "b");
    assert_int_equal(recovery_writes(scene.world.state), writes);
    assert_int_equal(lock(&scene, a, 1, false), ERR_OK);
    assert_int_equal(recovery_writes(scene.world.state), writes + 1); /* its reply has to wait */
    assert_int_equal(lock(&scene, a, 2, false), ERR_OK);
    (void)make_open(&scene.world, 3, b, "O", OPEN_READ, 0);
    assert_int_equal(recovery_writes(scene.world.state), writes + 2);
    restart(&scene);
    assert_true(in_grace(&scene));
    assert_int_equal(missing(&scene).count, 2);
    assert_true(grace_left_ms(scene.world.state) == 90000);
    c = make_client(&scene.world, "c");
    assert_int_equal(lock(&scene, c, 1, false), ERR_GRACE);
    assert_int_equal(lock(&scene, c, 1, true), ERR_RECLAIM_BAD);
    assert_false(grace_may_reclaim(c));
    assert_int_equal(grace_complete(c), ERR_OK);
    a = make_client(&scene.world, "a");
    assert_true(grace_may_reclaim(a));
    assert_int_equal(missing(&scene).returned, 1);
    assert_int_equal(lock(&scene, a, 4, false), ERR_GRACE);
    assert_int_equal(lock(&scene, a, 1, true), ERR_OK);
    assert_int_equal(lock(&scene, a, 2, true), ERR_OK);
    assert_int_equal(grace_complete(a), ERR_OK);
    assert_true(grace_is_complete(a));
    assert_int_equal(grace_complete(a), ERR_EXIST);
    assert_int_equal(lock(&scene, a, 2, true), ERR_NO_GRACE);
    assert_true(in_grace(&scene));
    b = make_client(&scene.world, "b");
    assert_int_equal(grace_complete(b), ERR_OK); /* it gave up what it had */
    assert_false(in_grace(&scene));              /* at once */
    assert_int_equal(lock(&scene, c, 1, false), ERR_DENIED);
    assert_int_equal(lock(&scene, c, 4, false), ERR_OK);
    assert_int_equal(lock(&scene, b, 5, true), ERR_NO_GRACE);
    restart(&scene);
    assert_int_equal(missing(&scene).count, 2); /* a and c */
    scene_close(&scene);
}

static void grace_ends_by_time(void **unused)
{
    struct scene scene;
    struct client *a, *b;

    (void)unused;
    scene_open(&scene);
    a = make_client(&scene.world, "a");
    assert_int_equal(lock(&scene, a, 1, false), ERR_OK);
    restart(&scene);
    world_pass(&scene.world, 50000);
    b = make_client(&scene.world, "b");
    world_pass(&scene.world, 38000);
    assert_int_equal(lock(&scene, b, 1, false), ERR_GRACE);
    world_pass(&scene.world, 3000);
    assert_false(in_grace(&scene));
    assert_int_equal(grace_left_ms(scene.world.state), 0);
    assert_int_equal(lock(&scene, b, 1, false), ERR_OK);
    a = make_client(&scene.world, "a");
    assert_int_equal(lock(&scene, a, 1, true), ERR_NO_GRACE);
    scene_close(&scene);
}

/* RFC 8881 8.4.3, second edge: A is away during a whole grace period, B has its lock and gives it back, the
 * server restarts again: A must not reclaim. */
static void away_for_a_whole_grace(void **unused)
{
    struct scene scene;
    struct client *a, *b;

    (void)unused;
    scene_open(&scene);
    a = make_client(&scene.world, "a");
    assert_int_equal(lock(&scene, a, 1, false), ERR_OK);
    restart(&scene);
    world_pass(&scene.world, 91000);
    b = make_client(&scene.world, "b");
    assert_int_equal(lock(&scene, b, 1, false), ERR_OK);
    lock_unset_all(lock_holder_find(state_file_find(scene.world.state, 1, 1), owner_find(b, 1, "L", 1)));
    restart(&scene);
    a = make_client(&scene.world, "a");
    assert_int_equal(lock(&scene, a, 1, true), ERR_RECLAIM_BAD);
    b = make_client(&scene.world, "b");
    assert_int_equal(lock(&scene, b, 1, true), ERR_OK);
    scene_close(&scene);
}

/* RFC 8881 8.4.2.1: a restart within grace, before or after A has reclaimed, changes nothing. */
static void restart_within_grace(void **unused)
{
    struct scene scene;
    struct client *a;

    (void)unused;
    scene_open(&scene);
    a = make_client(&scene.world, "a");
    assert_int_equal(lock(&scene, a, 1, false), ERR_OK);
    (void)lock(&scene, make_client(&scene.world, "b"), 2, false);
    for (int i = 0; i < 3; i++) {
        restart(&scene);
        world_pass(&scene.world, 30000);
        assert_true(in_grace(&scene));
        assert_int_equal(missing(&scene).count, 2);
    }
    a = make_client(&scene.world, "a");
    assert_int_equal(lock(&scene, a, 1, true), ERR_OK);
    restart(&scene);
    a = make_client(&scene.world, "a");
    assert_int_equal(lock(&scene, a, 1, true), ERR_OK);
    assert_int_equal(grace_complete(a), ERR_OK);
    restart(&scene); /* done, but grace was not over */
    assert_int_equal(missing(&scene).count, 2);
    a = make_client(&scene.world, "a");
    assert_int_equal(lock(&scene, a, 1, true), ERR_OK);
    scene_close(&scene);
}

/* One that reclaims a part and then falls silent without RECLAIM_COMPLETE may have lost the rest. */
static void incomplete_is_not_trusted(void **unused)
{
    struct scene scene;
    struct client *a;

    (void)unused;
    scene_open(&scene);
    a = make_client(&scene.world, "a");
    assert_int_equal(lock(&scene, a, 1, false), ERR_OK);
    assert_int_equal(lock(&scene, a, 2, false), ERR_OK);
    restart(&scene);
    a = make_client(&scene.world, "a");
    assert_int_equal(lock(&scene, a, 1, true), ERR_OK);
    grace_end(scene.world.state);
    assert_false(in_grace(&scene));
    restart(&scene);
    assert_false(in_grace(&scene));
    /* But late is late, not never: complete after grace, with what it has. */
    a = make_client(&scene.world, "a");
    assert_int_equal(lock(&scene, a, 1, false), ERR_OK);
    restart(&scene);
    a = make_client(&scene.world, "a");
    assert_int_equal(lock(&scene, a, 1, true), ERR_OK);
    grace_end(scene.world.state);
    assert_int_equal(grace_complete(a), ERR_OK);
    restart(&scene);
    assert_int_equal(missing(&scene).count, 1);
    scene_close(&scene);
}

/* NFSv4.0 does not say when it is done. */
static void silence_says_done(void **unused)
{
    struct scene scene;
    struct client *a, *b;

    (void)unused;
    scene_open(&scene);
    scene.world.options.reclaim_silent_ms = 4000;
    assert_int_equal(lock(&scene, make_silent(&scene, "a"), 1, false), ERR_OK);
    assert_int_equal(lock(&scene, make_silent(&scene, "b"), 2, false), ERR_OK);
    restart(&scene);
    a = make_silent(&scene, "a");
    for (uint64_t i = 0; i < 5; i++) {
        assert_int_equal(lock(&scene, a, 10 + i, true), ERR_OK);
        world_pass(&scene.world, 3000);
    }
    assert_int_equal(missing(&scene).count, 2);
    world_pass(&scene.world, 3000);
    assert_int_equal(missing(&scene).count, 1);
    assert_int_equal(lock(&scene, a, 20, true), ERR_NO_GRACE);
    b = make_silent(&scene, "b");
    assert_int_equal(lock(&scene, b, 2, true), ERR_OK);
    world_pass(&scene.world, 5500);
    assert_false(in_grace(&scene)); /* within 5 s and a tick of the last reclaim */
    restart(&scene);
    assert_int_equal(missing(&scene).count, 2);
    /* Ended by hand while they are not yet silent: what they have reclaimed counts. */
    a = make_silent(&scene, "a");
    assert_int_equal(lock(&scene, a, 1, true), ERR_OK);
    grace_end(scene.world.state);
    assert_false(in_grace(&scene));
    restart(&scene);
    assert_int_equal(missing(&scene).count, 1);
    scene_close(&scene);
}

/* One that is at something else, and reclaims no more, is done sooner than one that is not heard of. */
static void other_work_says_done(void **unused)
{
    struct scene scene;
    struct client *a, *b;

    (void)unused;
    scene_open(&scene);
    assert_int_equal(lock(&scene, make_silent(&scene, "a"), 1, false), ERR_OK);
    assert_int_equal(lock(&scene, make_silent(&scene, "b"), 2, false), ERR_OK);
    restart(&scene);
    a = make_silent(&scene, "a");
    b = make_silent(&scene, "b");
    /* Slow, but not done: it reads what it has back, and goes on. */
    for (uint64_t i = 0; i < 5; i++) {
        assert_int_equal(lock(&scene, a, 10 + i, true), ERR_OK);
        world_pass(&scene.world, 1000);
        assert_int_equal(client_renew(a), ERR_OK);
        world_pass(&scene.world, 1500);
    }
    assert_int_equal(lock(&scene, b, 2, true), ERR_OK);
    world_pass(&scene.world, 2000);
    assert_int_equal(missing(&scene).count, 1); /* a is */
    world_pass(&scene.world, 20000);
    assert_int_equal(missing(&scene).count, 1); /* nobody has heard of b since */
    assert_int_equal(client_renew(b), ERR_OK);
    world_pass(&scene.world, 1500);
    assert_false(in_grace(&scene));
    restart(&scene);
    assert_int_equal(missing(&scene).count, 2);
    /* Heard of at once: within 5 s. */
    a = make_silent(&scene, "a");
    b = make_silent(&scene, "b");
    assert_int_equal(lock(&scene, a, 1, true), ERR_OK);
    assert_int_equal(lock(&scene, b, 2, true), ERR_OK);
    world_pass(&scene.world, 10);
    assert_int_equal(client_renew(a), ERR_OK);
    assert_int_equal(client_renew(b), ERR_OK);
    world_pass(&scene.world, 2500);
    assert_true(in_grace(&scene));
    world_pass(&scene.world, 2490);
    assert_false(in_grace(&scene));
    scene_close(&scene);
}

/* Its state is given to others only when the record that lets it reclaim is gone. */
static void courtesy_ends_with_the_record(void **unused)
{
    struct scene scene;
    struct client *a, *b;
    uint64_t writes;

    (void)unused;
    scene_open(&scene);
    a = make_client(&scene.world, "a");
    assert_int_equal(lock(&scene, a, 1, false), ERR_OK);
    world_pass(&scene.world, 60000);
    b = make_client(&scene.world, "b");
    assert_int_equal(lock(&scene, b, 2, false), ERR_OK);
    world_pass(&scene.world, 40000);
    assert_int_equal(client_status(a), CLIENT_COURTESY);
    restart(&scene); /* uncontended: it may still reclaim */
    assert_int_equal(missing(&scene).count, 2);
    a = make_client(&scene.world, "a");
    assert_int_equal(lock(&scene, a, 1, true), ERR_OK);
    assert_int_equal(grace_complete(a), ERR_OK);
    grace_end(scene.world.state);
    world_pass(&scene.world, 60000);
    b = make_client(&scene.world, "b");
    assert_int_equal(lock(&scene, b, 2, false), ERR_OK);
    world_pass(&scene.world, 40000);
    /* A store that can't record it: nothing is given away. */
    scene.disk.fail_puts = true;
    assert_int_equal(lock(&scene, b, 1, false), ERR_DENIED);
    assert_int_equal(client_status(a), CLIENT_COURTESY);
    scene.disk.fail_puts = false;
    writes = recovery_writes(scene.world.state);
    assert_int_equal(lock(&scene, b, 1, false), ERR_OK);
    assert_true(recovery_writes(scene.world.state) > writes);
    restart(&scene);
    a = make_client(&scene.world, "a");
    assert_int_equal(lock(&scene, a, 1, true), ERR_RECLAIM_BAD);
    scene_close(&scene);
}

/* What a front-end's record stood for is not given to anybody who is told so before that record is gone for
 * good. */
static void released_is_durable_first(void **unused)
{
    struct scene scene;
    struct client *a;
    uint64_t writes;

    (void)unused;
    scene_open(&scene);
    a = make_client(&scene.world, "a");
    assert_int_equal(lock(&scene, a, 1, false), ERR_OK); /* it has its record */
    writes = recovery_writes(scene.world.state);
    assert_int_equal(lock(&scene, a, 2, false), ERR_OK);
    recovery_released(scene.world.state); /* at once */
    assert_int_equal(lock(&scene, a, 3, false), ERR_OK);
    assert_int_equal(recovery_writes(scene.world.state), writes);
    scene.disk.slow = true;
    recovery_released(scene.world.state);
    assert_int_equal(lock(&scene, a, 4, false), ERR_OK);
    assert_int_equal(recovery_writes(scene.world.state), writes + 1);
    (void)make_open(&scene.world, 5, a, "O", OPEN_READ, 0);
    assert_int_equal(recovery_writes(scene.world.state), writes + 2);
    recovery_released(scene.world.state); /* not in the batch that is waited for */
    finish_sync(&scene.disk, ERR_OK);
    assert_int_equal(lock(&scene, a, 6, false), ERR_OK);
    assert_int_equal(recovery_writes(scene.world.state), writes + 3);
    finish_sync(&scene.disk, ERR_OK);
    assert_null(scene.disk.waiting);
    assert_int_equal(lock(&scene, a, 7, false), ERR_OK);
    assert_int_equal(recovery_writes(scene.world.state), writes + 3);
    recovery_released(scene.world.state);
    scene_close(&scene); /* while it is waited for */
    assert_null(scene.disk.waiting);
}

static void failing_store(void **unused)
{
    struct scene scene;
    struct client *a;
    struct open *open;

    (void)unused;
    scene_open(&scene);
    a = make_client(&scene.world, "a");
    scene.disk.fail_puts = true;
    assert_int_equal(lock(&scene, a, 1, false), ERR_FAILED);
    assert_false(client_has_state(a));
    scene.disk.fail_puts = false;
    open = make_open(&scene.world, 1, a, "O", OPEN_READ, 0);
    assert_non_null(open);
    restart(&scene);
    a = make_client(&scene.world, "a");
    scene.disk.fail_puts = true;
    assert_int_equal(grace_complete(a), ERR_FAILED);
    assert_false(grace_is_complete(a));
    grace_end(scene.world.state);
    assert_true(in_grace(&scene)); /* not without the record */
    scene.disk.fail_puts = false;
    grace_end(scene.world.state); /* not at once again */
    assert_true(in_grace(&scene));
    world_pass(&scene.world, 11000);
    grace_end(scene.world.state);
    assert_false(in_grace(&scene));
    scene_close(&scene);
    /* Damaged records: no start. */
    scene_open(&scene);
    state_close(&scene.world.state);
    assert_int_equal(put(&scene.disk, "state", "c\0\0\0\1x", 6, "\1short", 6), ERR_OK);
    assert_int_equal(
        state_open(scene.world.loop, &scene.world.options, &scene.disk.store, &scene.world.state),
        ERR_CORRUPT);
    scene.disk.now.count = 0;
    assert_int_equal(put(&scene.disk, "state", "boot", 4, "short", 5), ERR_OK);
    assert_int_equal(
        state_open(scene.world.loop, &scene.world.options, &scene.disk.store, &scene.world.state),
        ERR_CORRUPT);
    scene.disk.now.count = 0;
    assert_int_equal(put(&scene.disk, "state", "what?", 5, "", 0), ERR_OK);
    assert_int_equal(
        state_open(scene.world.loop, &scene.world.options, &scene.disk.store, &scene.world.state),
        ERR_CORRUPT);
    scene.disk.now.count = 0;
    scene.disk.fail_puts = true;
    assert_int_equal(
        state_open(scene.world.loop, &scene.world.options, &scene.disk.store, &scene.world.state),
        ERR_FAILED);
    scene.disk.fail_puts = false;
    boot(&scene);
    scene_close(&scene);
}

/* Grace goes on until its end is on disk; a crash before that finds it as it was. */
static void end_is_durable_first(void **unused)
{
    struct scene scene;
    struct client *a, *b;

    (void)unused;
    scene_open(&scene);
    assert_int_equal(lock(&scene, make_client(&scene.world, "a"), 1, false), ERR_OK);
    restart(&scene);
    scene.disk.durable = scene.disk.now;
    scene.disk.slow = true;
    grace_end(scene.world.state);
    grace_end(scene.world.state);
    assert_true(in_grace(&scene));
    b = make_client(&scene.world, "b");
    assert_int_equal(lock(&scene, b, 1, false), ERR_GRACE);
    crash(&scene);
    assert_int_equal(missing(&scene).count, 1);
    a = make_client(&scene.world, "a");
    assert_int_equal(lock(&scene, a, 1, true), ERR_OK);
    grace_end(scene.world.state);
    finish_sync(&scene.disk, ERR_IO);
    assert_true(in_grace(&scene));
    world_pass(&scene.world, 10000);
    grace_end(scene.world.state);
    finish_sync(&scene.disk, ERR_OK);
    assert_false(in_grace(&scene));
    b = make_client(&scene.world, "b");
    assert_int_equal(lock(&scene, b, 1, false), ERR_DENIED);
    scene_close(&scene);
}

/* A crash between the end of grace and the removal of the records that it made worthless. */
static void worthless_records_are_removed(void **unused)
{
    struct scene scene;
    struct client *a;
    size_t records;

    (void)unused;
    scene_open(&scene);
    assert_int_equal(lock(&scene, make_client(&scene.world, "a"), 1, false), ERR_OK);
    restart(&scene);
    scene.disk.slow = true;
    grace_end(scene.world.state);
    finish_sync(&scene.disk, ERR_OK); /* what is durable still has the record of a */
    scene.disk.slow = false;
    records = scene.disk.durable.count;
    crash(&scene);
    assert_false(in_grace(&scene));
    assert_int_equal(scene.disk.now.count, records - 1);
    a = make_client(&scene.world, "a");
    assert_int_equal(lock(&scene, a, 1, true), ERR_NO_GRACE);
    scene_close(&scene);
}

/* Lives of a client in grace: it restarts, it goes, its lease ends. */
static void lives_in_grace(void **unused)
{
    struct scene scene;
    struct client *a;
    struct client_spec spec = client_spec_of("a");

    (void)unused;
    scene_open(&scene);
    assert_int_equal(lock(&scene, make_client(&scene.world, "a"), 1, false), ERR_OK);
    assert_int_equal(lock(&scene, make_client(&scene.world, "b"), 2, false), ERR_OK);
    restart(&scene);
    (void)make_client(&scene.world, "a");
    memcpy(spec.verifier, "reborn!!", 8);
    assert_int_equal(client_new(scene.world.state, &spec, NULL, &a), ERR_OK);
    a = client_confirm(a);
    assert_int_equal(lock(&scene, a, 1, true), ERR_RECLAIM_BAD);
    assert_int_equal(missing(&scene).count, 1);
    client_destroy(make_client(&scene.world, "b"));
    world_pass(&scene.world, 2000);
    assert_false(in_grace(&scene));
    scene_close(&scene);
}

/* 100 clients, their locks, a foreigner all along. */
static void many_come_back(void **unused)
{
    struct scene scene;
    struct client *client, *foreigner;
    char name[8];

    (void)unused;
    scene_open(&scene);
    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof name, "c%d", i);
        assert_int_equal(lock(&scene, make_client(&scene.world, name), (uint64_t)i + 1, false), ERR_OK);
    }
    restart(&scene);
    foreigner = make_client(&scene.world, "foreign");
    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof name, "c%d", i);
        client = make_client(&scene.world, name);
        assert_int_equal(lock(&scene, foreigner, (uint64_t)i + 1, false), ERR_GRACE);
        assert_int_equal(lock(&scene, client, (uint64_t)i + 1, true), ERR_OK);
        assert_int_equal(grace_complete(client), ERR_OK);
    }
    assert_false(in_grace(&scene));
    for (int i = 0; i < 50; i++)
        assert_int_equal(lock(&scene, foreigner, (uint64_t)i + 1, false), ERR_DENIED);
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_grace_without_records),
        cmocka_unit_test(reclaim_and_complete),
        cmocka_unit_test(grace_ends_by_time),
        cmocka_unit_test(away_for_a_whole_grace),
        cmocka_unit_test(restart_within_grace),
        cmocka_unit_test(incomplete_is_not_trusted),
        cmocka_unit_test(silence_says_done),
        cmocka_unit_test(other_work_says_done),
        cmocka_unit_test(courtesy_ends_with_the_record),
        cmocka_unit_test(released_is_durable_first),
        cmocka_unit_test(failing_store),
        cmocka_unit_test(end_is_durable_first),
        cmocka_unit_test(worthless_records_are_removed),
        cmocka_unit_test(lives_in_grace),
        cmocka_unit_test(many_come_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
