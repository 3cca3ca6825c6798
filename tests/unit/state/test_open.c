/*
 * test_open.c - share reservations: every pair of access and deny, upgrades and downgrades, anonymous I/O.
 */
#include "world.h"

enum { R = OPEN_READ, W = OPEN_WRITE, D = OPEN_DELETE };

static enum err try_open(struct world *world, uint64_t ino, struct client *client, const char *name,
                         unsigned access, unsigned deny, struct open **open_r)
{
    struct state_file *file = make_file(world, ino);
    struct owner *owner = make_owner(client, name);
    struct open_spec spec = {.file = file, .owner = owner, .access = access, .deny = deny};
    enum err err = open_add(&spec, open_r);

    owner_unref(&owner);
    state_file_unref(&file);
    return err;
}

static void every_pair(void **unused)
{
    struct world world;
    struct client *client;

    (void)unused;
    world_open(&world, NULL);
    client = make_client(&world, "one");
    for (unsigned all = 0; all < 1u << 12; all++) {
        unsigned access1 = all & 7, deny1 = all >> 3 & 7, access2 = all >> 6 & 7, deny2 = all >> 9 & 7;
        bool conflict = (access1 & deny2) != 0 || (access2 & deny1) != 0;
        struct open *first = NULL, *second = NULL;
        enum err expect = conflict ? ERR_SHARE_DENIED : ERR_OK;

        assert_int_equal(try_open(&world, 1, client, "A", access1, deny1, &first), ERR_OK);
        assert_int_equal(open_test(open_file(first), access2, deny2, NULL), expect);
        assert_int_equal(open_test(open_file(first), access2, deny2, open_owner(first)), ERR_OK);
        assert_int_equal(try_open(&world, 1, client, "B", access2, deny2, &second), expect);
        /* Also of the same owner. */
        if (second != NULL)
            open_close(second);
        second = NULL;
        assert_int_equal(try_open(&world, 1, client, "A", access2, deny2, &second), expect);
        if (second != NULL)
            open_close(second);
        /* By way of an upgrade: the first one's own bits don't count. */
        second = make_open(&world, 1, client, "B", 0, 0);
        assert_int_equal(open_upgrade(second, access2, deny2, false), expect);
        if (!conflict)
            assert_int_equal(open_upgrade(second, access2, deny2, false), ERR_OK);
        open_close(second);
        assert_int_equal(open_check_io(open_file(first), access2, 0),
                         (access2 & deny1) != 0 ? ERR_LOCKED : ERR_OK);
        assert_int_equal(open_check_io(open_file(first), access2, owner_id(open_owner(first))), ERR_OK);
        open_close(first);
    }
    assert_null(state_file_find(world.state, 1, 1));
    assert_int_equal(open_check_io(NULL, W, 0), ERR_OK);
    world_close(&world);
}

/* RFC 7530 16.19.4: the union of some of the opens. */
static void downgrades(void **unused)
{
    struct world world;
    struct client *client;
    struct open *open, *other = NULL;

    (void)unused;
    world_open(&world, NULL);
    client = make_client(&world, "one");
    open = make_open(&world, 1, client, "A", R | W, R | W); /* at once: not to be taken apart */
    assert_int_equal(open_downgrade(open, R, 0), ERR_INVAL);
    assert_int_equal(open_downgrade(open, R | W, R | W), ERR_OK);
    assert_int_equal(open_upgrade(open, R, 0, false), ERR_OK);
    assert_int_equal(open_downgrade(open, R, R), ERR_INVAL);
    assert_int_equal(open_downgrade(open, W, 0), ERR_INVAL);
    assert_int_equal(try_open(&world, 1, client, "B", R, 0, &other), ERR_SHARE_DENIED);
    assert_int_equal(open_downgrade(open, R, 0), ERR_OK);
    assert_int_equal(open_access(open), R);
    assert_int_equal(open_deny(open), 0);
    assert_int_equal(try_open(&world, 1, client, "B", R | W, W, &other), ERR_OK);
    assert_int_equal(open_downgrade(open, R | W, R | W), ERR_INVAL); /* that open is gone */
    assert_int_equal(open_upgrade(open, W, 0, false), ERR_SHARE_DENIED);
    assert_int_equal(open_access(open), R);
    open_close(other);
    /* Three parts, any union. */
    assert_int_equal(open_upgrade(open, W, 0, false), ERR_OK);
    assert_int_equal(open_upgrade(open, R | W, W, false), ERR_OK);
    assert_int_equal(open_downgrade(open, R | W, W), ERR_OK);
    assert_int_equal(open_downgrade(open, R | W, 0), ERR_OK);
    assert_int_equal(open_downgrade(open, 0, 0), ERR_INVAL);
    assert_int_equal(open_downgrade(open, W, 0), ERR_OK);
    assert_int_equal(open_upgrade(open, 8, 0, false), ERR_INVAL);
    assert_int_equal(try_open(&world, 1, client, "B", 0, 9, &other), ERR_INVAL);
    world_close(&world);
}

static int gone_calls;

static void gone(struct open *open, void *user)
{
    assert_ptr_equal(open_user(open), user);
    gone_calls++;
}

static int released;

static void release(void *user)
{
    assert_ptr_equal(user, &released);
    released++;
}

static void found_walked_and_released(void **unused)
{
    struct world world;
    struct client *client;
    struct state_file *file;
    struct owner *owner;
    struct open *open = NULL, *second;
    struct open_spec spec;

    (void)unused;
    gone_calls = released = 0;
    world_open(&world, NULL);
    client = make_client(&world, "one");
    file = make_file(&world, 1);
    state_file_set_user(file, &released, release);
    owner = make_owner(client, "A");
    assert_null(open_find(owner, file));
    spec = (struct open_spec){.file = file, .owner = owner, .access = R, .gone = gone, .user = &world};
    assert_int_equal(open_add(&spec, &open), ERR_OK);
    assert_ptr_equal(open_find(owner, file), open);
    second = make_open(&world, 2, client, "A", R, 0);
    assert_ptr_equal(open_find(owner, open_file(second)), second);
    assert_ptr_equal(open_next_of_file(file, NULL), open);
    assert_null(open_next_of_file(file, open));
    assert_ptr_equal(open_next_of_client(client, open), second);
    open_set_user(open, NULL);
    open_set_user(open, &world);
    assert_ptr_equal(state_file_user(file), &released);
    assert_int_equal(state_file_tree(file), 1);
    assert_int_equal(state_file_ino(file), 1);
    owner_unref(&owner);
    state_file_unref(&file); /* the open keeps it */
    assert_int_equal(released, 0);
    client_destroy(client);
    assert_int_equal(gone_calls, 1);
    assert_int_equal(released, 1);
    world_close(&world);
}

static void expired_opens_yield(void **unused)
{
    (void)unused;
    for (int how = 0; how < 4; how++) {
        struct world world;
        struct client *gone_client, *here;
        struct state_file *file;
        struct open *open = NULL;

        world_open(&world, NULL);
        gone_client = make_client(&world, "gone");
        here = make_client(&world, "here");
        /* Several of it in the way. */
        for (char name[] = "A"; name[0] < 'F'; name[0]++)
            (void)make_open(&world, 1, gone_client, name, R, W);
        open = make_open(&world, 1, here, "H", 0, 0);
        world_pass(&world, 60000);
        assert_int_equal(client_renew(here), ERR_OK);
        assert_int_equal(open_upgrade(open, W, 0, false), ERR_SHARE_DENIED);
        world_pass(&world, 40000);
        file = open_file(open);
        if (how == 0)
            assert_int_equal(open_upgrade(open, W, 0, false), ERR_OK);
        else if (how == 1)
            assert_int_equal(open_test(file, W, 0, NULL), ERR_OK);
        else if (how == 2)
            assert_int_equal(open_check_io(file, W, 0), ERR_OK);
        else
            assert_int_equal(try_open(&world, 1, here, "I", W, 0, &open), ERR_OK);
        assert_null(client_find_confirmed(world.state, 1, "gone", 4));
        world_close(&world);
    }
}

/* An open that nothing can conflict with costs the same beside 100,000 others. */
static void many_opens(void **unused)
{
    struct world world;
    struct client *client;
    struct open *open = NULL;
    char name[16];

    (void)unused;
    world_open(&world, &(struct state_options){.max_opens = 100000});
    client = make_client(&world, "one");
    for (int i = 0; i < 100000; i++) {
        snprintf(name, sizeof name, "%d", i);
        assert_int_equal(try_open(&world, 1, client, name, R, 0, &open), ERR_OK);
    }
    assert_int_equal(try_open(&world, 1, client, "one more", R, 0, &open), ERR_LIMIT);
    assert_int_equal(try_open(&world, 1, client, "one more", 0, R, &open), ERR_SHARE_DENIED);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair),
        cmocka_unit_test(downgrades),
        cmocka_unit_test(found_walked_and_released),
        cmocka_unit_test(expired_opens_yield),
        cmocka_unit_test(many_opens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
