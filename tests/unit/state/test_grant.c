/*
 * test_grant.c - caching grants: what breaks what, acknowledging, time-outs, waiters, damping.
 */
#include "world.h"

enum { R = GRANT_READ, W = GRANT_WRITE, H = GRANT_HANDLE };

struct told {
    int calls, gone;
    unsigned to;
    bool acknowledge;
};

static void breaking(struct grant *grant, unsigned to, bool acknowledge)
{
    struct told *told = grant_user(grant);

    told->calls++;
    told->to = to;
    told->acknowledge = acknowledge;
}

static void gone(struct grant *grant, void *user)
{
    (void)grant;
    ((struct told *)user)->gone++;
}

static const struct grant_operations operations = {.breaking = breaking, .gone = gone};

struct scene {
    struct world world;
    struct client *a, *b, *c;
    struct state_file *file;
    struct told told[4];
    struct grant_waiter waiter, second;
    int done;
};

static struct scene *current;

static void done(struct grant_waiter *waiter, enum err err)
{
    (void)waiter;
    assert_int_equal(err, ERR_OK);
    current->done++;
}

static void scene_open(struct scene *scene)
{
    *scene = (struct scene){.waiter = {.done = done}, .second = {.done = done}};
    current = scene;
    world_open(&scene->world, NULL);
    scene->a = make_client(&scene->world, "a");
    scene->b = make_client(&scene->world, "b");
    scene->c = make_client(&scene->world, "c");
    scene->file = make_file(&scene->world, 1);
}

static void scene_close(struct scene *scene)
{
    state_file_unref(&scene->file);
    world_close(&scene->world);
}

static enum err try_grant(struct scene *scene, struct client *client, const char *key, unsigned kinds,
                          bool delegation, struct grant **grant_r)
{
    struct grant_spec spec = {.file = scene->file,
                              .client = client,
                              .key = key,
                              .key_length = strlen(key),
                              .kinds = kinds,
                              .delegation = delegation,
                              .operations = &operations,
                              .user = &scene->told[*key == 0 ? 0 : *key - '0']};

    return grant_add(&spec, grant_r);
}

static struct grant *give(struct scene *scene, struct client *client, const char *key, unsigned kinds,
                          bool delegation)
{
    struct grant *grant = NULL;

    assert_int_equal(try_grant(scene, client, key, kinds, delegation, &grant), ERR_OK);
    return grant;
}

/* ---- what breaks what ---- */

struct row {
    unsigned kinds;
    bool delegation;
    enum grant_operation operation;
    bool waits;
    unsigned to; /* what is left, or asked for; 99: nothing happens */
};

static const struct row rows[] = {
    /* leases and oplocks */
    {R | W | H, false, GRANT_OP_READ, true, R | H},
    {R | H, false, GRANT_OP_READ, false, 99},
    {R | W, false, GRANT_OP_READ, true, R},
    {R | W | H, false, GRANT_OP_OPEN_WRITE, true, R | H},
    {R | H, false, GRANT_OP_OPEN_WRITE, false, 99},
    {R, false, GRANT_OP_WRITE, false, 0},     /* not acknowledged */
    {R | H, false, GRANT_OP_WRITE, false, 0}, /* nothing that was written is waited for */
    {R | H, false, GRANT_OP_LOCK, false, 0},
    {R | W | H, false, GRANT_OP_WRITE, true, 0},
    {R, false, GRANT_OP_LOCK, false, 0},
    {R | W | H, false, GRANT_OP_LOCK_EXCLUSIVE, true, 0},
    {R | W | H, false, GRANT_OP_SETATTR, false, 99},
    {R, false, GRANT_OP_SETATTR, false, 99},
    {R | W | H, false, GRANT_OP_NAMES, true, R | W},
    {R | H, false, GRANT_OP_NAMES, true, R},
    {R, false, GRANT_OP_NAMES, false, 99},
    {R | W | H, false, GRANT_OP_SHARE, true, R | W},
    {R, false, GRANT_OP_DIRECTORY, false, 0},
    {0, false, GRANT_OP_WRITE, false, 99},
    /* delegations: as a whole or not at all */
    {R, true, GRANT_OP_READ, false, 99},
    {R | W, true, GRANT_OP_READ, true, 0},
    {R, true, GRANT_OP_OPEN_WRITE, true, 0},
    {R, true, GRANT_OP_WRITE, true, 0},
    {R, true, GRANT_OP_LOCK, false, 99},
    {R | W, true, GRANT_OP_LOCK, true, 0},
    {R, true, GRANT_OP_LOCK_EXCLUSIVE, true, 0},
    {R | W, true, GRANT_OP_LOCK_EXCLUSIVE, true, 0},
    {R, true, GRANT_OP_SETATTR, true, 0},
    {R, true, GRANT_OP_NAMES, true, 0},
    {R, true, GRANT_OP_DIRECTORY, true, 0},
};

static void what_breaks_what(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *row = &rows[i];
        struct scene scene;
        /* All but the loss of reading alone. */
        bool answers = row->to != 99 && (row->delegation || row->kinds != R);
        struct grant *grant;
        enum err err;

        scene_open(&scene);
        grant = give(&scene, scene.a, "1", row->kinds, row->delegation);
        /* One's own are left alone. */
        assert_int_equal(grant_break(scene.file, row->operation, scene.a, "1", 1, NULL), ERR_OK);
        assert_int_equal(grant_break(scene.file, row->operation, scene.a, NULL, 0, NULL), ERR_OK);
        assert_int_equal(grant_conflicts(scene.file, row->operation, scene.b, NULL, 0), row->to != 99);
        /* Of the same client by another key they are not. */
        assert_int_equal(grant_conflicts(scene.file, row->operation, scene.a, "2", 1), row->to != 99);
        err = grant_break(scene.file, row->operation, scene.b, NULL, 0, &scene.waiter);
        if (err != (row->waits ? ERR_WAIT : ERR_OK))
            fail_msg("row %zu: %s", i, err_name(err));
        assert_int_equal(scene.told[1].calls, 0); /* later */
        world_turns(&scene.world);
        assert_int_equal(scene.told[1].calls, row->to != 99);
        if (row->to != 99) {
            assert_int_equal(scene.told[1].to, row->to);
            assert_int_equal(scene.told[1].acknowledge, answers);
            assert_int_equal(grant_kinds(grant), answers ? row->kinds : row->to);
            assert_int_equal(grant_epoch(grant), 2);
        }
        if (answers) {
            assert_int_equal(grant_status(grant), GRANT_BREAKING);
            assert_int_equal(grant_acknowledge(grant, row->to | 8), ERR_INVAL);
            assert_int_equal(grant_acknowledge(grant, row->to), ERR_OK);
            assert_int_equal(scene.done, 0);
            world_turns(&scene.world);
            assert_int_equal(scene.done, row->waits);
            assert_int_equal(grant_kinds(grant), row->to);
        }
        assert_int_equal(grant_acknowledge(grant, 0), ERR_NOENT);
        assert_int_equal(grant_break(scene.file, row->operation, scene.b, NULL, 0, &scene.waiter), ERR_OK);
        scene_close(&scene);
    }
}

/* A lease of a directory is told, and nobody waits for the answer; other things wait for it all the same. */
static void directory_leases_are_told(void **unused)
{
    struct scene scene;
    struct grant *grant;

    (void)unused;
    scene_open(&scene);
    grant = give(&scene, scene.a, "1", R | H, false);
    assert_int_equal(grant_break(scene.file, GRANT_OP_DIRECTORY, scene.b, NULL, 0, &scene.waiter), ERR_OK);
    assert_int_equal(grant_break(scene.file, GRANT_OP_DIRECTORY, scene.b, NULL, 0, NULL), ERR_OK);
    world_turns(&scene.world);
    assert_int_equal(scene.told[1].calls, 1);
    assert_true(scene.told[1].acknowledge);
    assert_int_equal(grant_status(grant), GRANT_BREAKING);
    assert_int_equal(grant_break(scene.file, GRANT_OP_NAMES, scene.b, NULL, 0, &scene.waiter), ERR_WAIT);
    assert_int_equal(grant_acknowledge(grant, 0), ERR_OK);
    world_turns(&scene.world);
    assert_int_equal(scene.done, 1);
    grant_return(grant);
    world_pass(&scene.world, 31000); /* it was contended */
    (void)give(&scene, scene.a, "1", R, true);
    assert_int_equal(grant_break(scene.file, GRANT_OP_DIRECTORY, scene.b, NULL, 0, NULL), ERR_DELAY);
    scene_close(&scene);
}

/* Who is told of some changes keeps his grant over them, as long as nobody takes it away; and one that is
 * recalled or was out of reach. */
static void told_instead(void **unused)
{
    struct scene scene;
    struct grant *grant;
    struct grant_spec spec;

    (void)unused;
    scene_open(&scene);
    spec = (struct grant_spec){.file = scene.file,
                               .client = scene.a,
                               .key = "1",
                               .key_length = 1,
                               .kinds = R,
                               .delegation = true,
                               .told = 1u << GRANT_OP_ADD_ENTRY | 1u << GRANT_OP_SETATTR,
                               .operations = &operations,
                               .user = &scene.told[1]};
    assert_int_equal(grant_add(&spec, &grant), ERR_OK);
    assert_int_equal(grant_break(scene.file, GRANT_OP_ADD_ENTRY, scene.b, NULL, 0, NULL), ERR_OK);
    assert_int_equal(grant_break(scene.file, GRANT_OP_SETATTR, scene.b, NULL, 0, NULL), ERR_OK);
    assert_false(grant_conflicts(scene.file, GRANT_OP_ADD_ENTRY, scene.b, NULL, 0));
    assert_true(grant_conflicts(scene.file, GRANT_OP_REMOVE_ENTRY, scene.b, NULL, 0));
    world_turns(&scene.world);
    assert_int_equal(scene.told[1].calls, 0);
    grant_remind(grant); /* there is nothing to remind of */
    grant_recall(grant);
    grant_recall(grant);
    world_turns(&scene.world);
    assert_int_equal(scene.told[1].calls, 1);
    assert_int_equal(scene.told[1].to, 0);
    assert_int_equal(grant_status(grant), GRANT_BREAKING);
    assert_int_equal(grant_break(scene.file, GRANT_OP_ADD_ENTRY, scene.b, NULL, 0, NULL), ERR_DELAY);
    grant_remind(grant);
    world_turns(&scene.world);
    assert_int_equal(scene.told[1].calls, 2);
    grant_return(grant);
    assert_int_equal(grant_break(scene.file, GRANT_OP_ADD_ENTRY, scene.b, NULL, 0, NULL), ERR_OK);
    scene_close(&scene);
}

static void anonymous_and_polling(void **unused)
{
    struct scene scene;
    struct grant *grant;

    (void)unused;
    scene_open(&scene);
    assert_int_equal(grant_break(NULL, GRANT_OP_WRITE, NULL, NULL, 0, NULL), ERR_OK);
    assert_int_equal(grant_break(scene.file, GRANT_OP_WRITE, NULL, NULL, 0, NULL), ERR_OK);
    assert_false(grant_conflicts(NULL, GRANT_OP_WRITE, NULL, NULL, 0));
    grant = give(&scene, scene.a, "1", R | W, true);
    assert_int_equal(grant_break(scene.file, GRANT_OP_READ, NULL, NULL, 0, NULL), ERR_DELAY);
    assert_int_equal(grant_break(scene.file, GRANT_OP_READ, NULL, NULL, 0, NULL), ERR_DELAY);
    world_turns(&scene.world);
    assert_int_equal(scene.told[1].calls, 1); /* told once */
    grant_return(grant);
    assert_int_equal(scene.told[1].gone, 0);
    assert_int_equal(grant_break(scene.file, GRANT_OP_READ, NULL, NULL, 0, NULL), ERR_OK);
    assert_int_equal(
        grant_break(scene.file, GRANT_OP_READ, scene.a, "123456789012345678901234567890123", 33, NULL),
        ERR_INVAL);
    scene_close(&scene);
}

/* A further conflict during a break: asked for after the answer, step by step, and all wait for the end. */
static void second_break_follows(void **unused)
{
    struct scene scene;
    struct grant *grant;

    (void)unused;
    scene_open(&scene);
    grant = give(&scene, scene.a, "1", R | W | H, false);
    assert_int_equal(grant_break(scene.file, GRANT_OP_READ, scene.b, NULL, 0, &scene.waiter), ERR_WAIT);
    assert_int_equal(grant_break(scene.file, GRANT_OP_WRITE, scene.c, NULL, 0, &scene.second), ERR_WAIT);
    world_turns(&scene.world);
    assert_int_equal(scene.told[1].calls, 1);
    assert_int_equal(scene.told[1].to, R | H);
    assert_int_equal(grant_break_to(grant), R | H);
    assert_int_equal(grant_acknowledge(grant, R | H), ERR_OK);
    world_turns(&scene.world);
    assert_int_equal(scene.told[1].calls, 2);
    assert_int_equal(scene.told[1].to, R);
    assert_int_equal(grant_epoch(grant), 2); /* it is one break to the holder */
    assert_int_equal(scene.done, 0);
    assert_int_equal(grant_acknowledge(grant, R), ERR_OK);
    grant_tell(scene.world.state);
    assert_int_equal(scene.told[1].calls, 3);
    assert_int_equal(scene.told[1].to, 0);
    assert_false(scene.told[1].acknowledge);
    assert_int_equal(grant_kinds(grant), 0);
    assert_int_equal(scene.done, 0);
    world_turns(&scene.world);
    assert_int_equal(scene.told[1].calls, 3);
    assert_int_equal(scene.done, 2);
    scene_close(&scene);
}

static void waiters_wait_for_all(void **unused)
{
    struct scene scene;
    struct grant *one, *two;

    (void)unused;
    scene_open(&scene);
    one = give(&scene, scene.a, "1", R, true);
    two = give(&scene, scene.b, "2", R, true);
    assert_int_equal(grant_break(scene.file, GRANT_OP_OPEN_WRITE, scene.c, NULL, 0, &scene.waiter), ERR_WAIT);
    assert_int_equal(grant_break(scene.file, GRANT_OP_OPEN_WRITE, scene.a, NULL, 0, &scene.second), ERR_WAIT);
    world_turns(&scene.world);
    assert_int_equal(scene.told[1].calls + scene.told[2].calls, 2);
    grant_return(two);
    world_turns(&scene.world);
    assert_int_equal(scene.done, 1); /* a waits for nothing of its own */
    grant_wait_cancel(&scene.waiter);
    grant_wait_cancel(&scene.waiter);
    grant_return(one);
    world_turns(&scene.world);
    assert_int_equal(scene.done, 1);
    scene_close(&scene);
}

/* ---- giving ---- */

static void what_may_be_given(void **unused)
{
    struct scene scene;
    struct grant *grant = NULL, *lease;
    struct open *open;

    (void)unused;
    scene_open(&scene);
    /* Opens of others. */
    open = make_open(&scene.world, 1, scene.b, "O", OPEN_READ, 0);
    assert_int_equal(try_grant(&scene, scene.a, "1", R | W, true, &grant), ERR_AGAIN);
    assert_int_equal(try_grant(&scene, scene.a, "1", R, true, &grant), ERR_OK);
    grant_return(grant);
    assert_int_equal(open_upgrade(open, OPEN_WRITE, 0, false), ERR_OK);
    assert_int_equal(try_grant(&scene, scene.a, "1", R, true, &grant), ERR_AGAIN);
    assert_int_equal(try_grant(&scene, scene.a, "1", R, false, &grant), ERR_OK); /* a lease may */
    assert_int_equal(grant_upgrade(grant, R | W), ERR_AGAIN);
    open_close(open);
    (void)make_open(&scene.world, 1, scene.a, "O", OPEN_READ | OPEN_WRITE, 0); /* one's own don't matter */
    assert_int_equal(grant_upgrade(grant, H), ERR_OK);
    assert_int_equal(grant_kinds(grant), R | H);
    assert_int_equal(grant_upgrade(grant, W), ERR_OK);
    assert_int_equal(grant_upgrade(grant, W), ERR_OK);
    assert_int_equal(grant_epoch(grant), 3);
    assert_int_equal(grant_upgrade(grant, 8), ERR_INVAL);
    /* Grants of others. */
    assert_int_equal(try_grant(&scene, scene.b, "2", R, false, &lease), ERR_AGAIN);
    assert_int_equal(try_grant(&scene, scene.b, "2", 0, false, &lease), ERR_OK);
    assert_int_equal(try_grant(&scene, scene.b, "2", R, false, &lease), ERR_EXIST);
    assert_ptr_equal(grant_find(scene.file, scene.b, "2", 1), lease);
    assert_null(grant_find(scene.file, scene.b, "1", 1));
    assert_int_equal(try_grant(&scene, scene.b, "", R, false, &lease), ERR_INVAL);
    assert_int_equal(try_grant(&scene, scene.b, "3", 8, false, &lease), ERR_INVAL);
    /* While something breaks. */
    assert_int_equal(grant_break(scene.file, GRANT_OP_READ, scene.c, NULL, 0, &scene.waiter), ERR_WAIT);
    assert_int_equal(try_grant(&scene, scene.c, "3", R, false, &lease), ERR_AGAIN);
    assert_int_equal(grant_upgrade(grant, W), ERR_AGAIN);
    assert_int_equal(grant_acknowledge(grant, R), ERR_OK);
    world_turns(&scene.world);
    assert_int_equal(try_grant(&scene, scene.c, "3", R, false, &lease), ERR_OK);
    scene_close(&scene);
}

/* Opens of one client that say to which of its grants they belong. */
static void keys_of_opens(void **unused)
{
    struct scene scene;
    struct owner *owner;
    struct open_spec spec;
    struct open *open;
    struct grant *grant = NULL;

    (void)unused;
    scene_open(&scene);
    owner = make_owner(scene.a, "O");
    spec = (struct open_spec){
        .file = scene.file, .owner = owner, .access = OPEN_READ, .grant_key = "1", .grant_key_length = 1};
    assert_int_equal(open_add(&spec, &open), ERR_OK);
    assert_int_equal(try_grant(&scene, scene.a, "2", R | W, false, &grant), ERR_AGAIN);
    assert_int_equal(try_grant(&scene, scene.b, "1", R | W, false, &grant), ERR_AGAIN);
    assert_int_equal(try_grant(&scene, scene.a, "1", R | W, false, &grant), ERR_OK);
    grant_return(grant);
    spec.grant_key_length = OPEN_GRANT_KEY_MAX + 1;
    assert_int_equal(open_add(&spec, &open), ERR_INVAL);
    owner_unref(&owner);
    scene_close(&scene);
}

static void contended_files_are_not_delegated(void **unused)
{
    struct scene scene;
    struct grant *grant;

    (void)unused;
    scene_open(&scene);
    grant = give(&scene, scene.a, "1", R, true);
    assert_int_equal(grant_break(scene.file, GRANT_OP_WRITE, scene.b, NULL, 0, NULL), ERR_DELAY);
    grant_return(grant);
    assert_int_equal(try_grant(&scene, scene.a, "1", R, true, &grant), ERR_AGAIN);
    assert_int_equal(try_grant(&scene, scene.a, "1", R, false, &grant), ERR_OK);
    grant_return(grant);
    world_pass(&scene.world, 31000);
    assert_int_equal(try_grant(&scene, scene.a, "1", R, true, &grant), ERR_OK);
    scene_close(&scene);
}

/* ---- time ---- */

static void who_does_not_answer(void **unused)
{
    struct scene scene;
    struct grant *lease;
    struct stateid stateid;
    struct stateid_object object;

    (void)unused;
    scene_open(&scene);
    stateid = grant_stateid(give(&scene, scene.a, "1", R, true));
    lease = give(&scene, scene.b, "2", R | H, false); /* not waited for, and yet its time runs */
    assert_int_equal(stateid_lookup(scene.world.state, &stateid, STATEID_SEQID_EXACT, scene.a, &object),
                     ERR_OK);
    assert_int_equal(object.kind, STATEID_GRANT);
    assert_int_equal(grant_break(scene.file, GRANT_OP_WRITE, scene.c, NULL, 0, &scene.waiter), ERR_WAIT);
    world_pass(&scene.world, 40000);
    assert_int_equal(scene.done, 0);
    assert_int_equal(client_renew(scene.a), ERR_OK);
    world_pass(&scene.world, 7000);
    assert_int_equal(scene.done, 1);
    assert_int_equal(scene.told[1].gone, 1);
    assert_int_equal(scene.told[2].gone, 0);
    assert_int_equal(grant_kinds(lease), 0);
    assert_int_equal(stateid_lookup(scene.world.state, &stateid, STATEID_SEQID_EXACT, scene.a, &object),
                     ERR_DELEG_REVOKED);
    assert_int_equal(client_revoked_grants(scene.a), 1);
    assert_int_equal(stateid_free(scene.world.state, &stateid, scene.a), ERR_OK);
    assert_int_equal(client_revoked_grants(scene.a), 0);
    scene_close(&scene);
}

/* Each has its own time. */
static void times_to_answer(void **unused)
{
    static const uint64_t times[] = {0, 20000, 10000}; /* the first is that of the options: 45 s */
    struct scene scene;
    struct grant *grants[3];

    (void)unused;
    scene_open(&scene);
    for (unsigned i = 0; i < 3; i++) {
        const char key[] = {(char)('1' + (int)i), 0};
        struct grant_spec spec = {.file = scene.file,
                                  .client = scene.a,
                                  .key = key,
                                  .key_length = 1,
                                  .kinds = R | H,
                                  .break_ms = times[i],
                                  .operations = &operations,
                                  .user = &scene.told[i + 1]};

        assert_int_equal(grant_add(&spec, &grants[i]), ERR_OK);
    }
    assert_int_equal(grant_break(scene.file, GRANT_OP_NAMES, scene.c, NULL, 0, &scene.waiter), ERR_WAIT);
    for (unsigned step = 0; step < 3; step++) {
        static const uint64_t passes[] = {11500, 10000, 25000};
        static const unsigned left[] = {2, 1, 0};
        unsigned breaking_now = 0;

        assert_int_equal(client_renew(scene.a), ERR_OK);
        world_pass(&scene.world, passes[step]);
        for (unsigned i = 0; i < 3; i++)
            breaking_now += grant_status(grants[i]) == GRANT_BREAKING;
        assert_int_equal(breaking_now, left[step]);
        assert_int_equal(grant_kinds(grants[2]), 0);
    }
    assert_int_equal(scene.done, 1);
    scene_close(&scene);
}

static void expired_holders_are_dropped(void **unused)
{
    struct scene scene;

    (void)unused;
    scene_open(&scene);
    (void)give(&scene, scene.a, "1", R | W, true);
    world_pass(&scene.world, 60000);
    assert_int_equal(client_renew(scene.b), ERR_OK);
    world_pass(&scene.world, 40000);
    assert_int_equal(client_status(scene.a), CLIENT_COURTESY);
    assert_int_equal(grant_break(scene.file, GRANT_OP_READ, scene.b, NULL, 0, &scene.waiter), ERR_OK);
    assert_int_equal(scene.told[1].gone, 1);
    assert_int_equal(scene.told[1].calls, 0);
    assert_null(client_find_confirmed(scene.world.state, 1, "a", 1));
    scene_close(&scene);
    /* With a break under way it is not kept out of courtesy. */
    scene_open(&scene);
    (void)give(&scene, scene.a, "1", R | W, false);
    world_pass(&scene.world, 60000);
    assert_int_equal(client_renew(scene.b), ERR_OK);
    assert_int_equal(grant_break(scene.file, GRANT_OP_READ, scene.b, NULL, 0, &scene.waiter), ERR_WAIT);
    world_pass(&scene.world, 32000);
    assert_int_equal(scene.done, 1);
    assert_null(client_find_confirmed(scene.world.state, 1, "a", 1));
    scene_close(&scene);
}

static void walked_and_released(void **unused)
{
    struct scene scene;
    struct grant *grant;
    size_t length = 0;
    struct state_counters counters;

    (void)unused;
    scene_open(&scene);
    grant = give(&scene, scene.a, "1", R, true);
    assert_ptr_equal(grant_client(grant), scene.a);
    assert_ptr_equal(grant_file(grant), scene.file);
    assert_memory_equal(grant_key(grant, &length), "1", 1);
    assert_int_equal(length, 1);
    assert_ptr_equal(grant_next_of_file(scene.file, NULL), grant);
    assert_ptr_equal(grant_next_of_client(scene.a, NULL), grant);
    assert_null(grant_next_of_client(scene.a, grant));
    assert_int_equal(grant_stateid_next(grant).seqid, 2);
    /* Waiters at the end of everything. */
    (void)give(&scene, scene.b, "2", R, true);
    assert_int_equal(grant_break(scene.file, GRANT_OP_WRITE, scene.c, NULL, 0, &scene.waiter), ERR_WAIT);
    client_destroy(scene.a);
    assert_int_equal(scene.told[1].gone, 1);
    state_counters(scene.world.state, &counters);
    assert_int_equal(counters.grants, 1);
    assert_int_equal(counters.breaks_total, 2);
    scene_close(&scene);
    assert_int_equal(scene.done, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_breaks_what),     cmocka_unit_test(anonymous_and_polling),
        cmocka_unit_test(second_break_follows), cmocka_unit_test(waiters_wait_for_all),
        cmocka_unit_test(what_may_be_given),    cmocka_unit_test(contended_files_are_not_delegated),
        cmocka_unit_test(who_does_not_answer),  cmocka_unit_test(expired_holders_are_dropped),
        cmocka_unit_test(walked_and_released),  cmocka_unit_test(directory_leases_are_told),
        cmocka_unit_test(told_instead),         cmocka_unit_test(keys_of_opens),
        cmocka_unit_test(times_to_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
