/*
 * test_store.c - inodes and their cache, extended attributes, records, tickets, checkpoints.
 */
#include "store_fixture.h"

/* ---- inodes ---- */

static void assert_same_attr(const struct inode_attr *a, const struct inode_attr *b)
{
    assert_int_equal(a->ino, b->ino);
    assert_int_equal(a->generation, b->generation);
    assert_int_equal(a->tree, b->tree);
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->mode, b->mode);
    assert_int_equal(a->uid, b->uid);
    assert_int_equal(a->gid, b->gid);
    assert_int_equal(a->nlink, b->nlink);
    assert_int_equal(a->dos_attributes, b->dos_attributes);
    assert_int_equal(a->device_major, b->device_major);
    assert_int_equal(a->device_minor, b->device_minor);
    assert_int_equal(a->size, b->size);
    assert_int_equal(a->used, b->used);
    assert_int_equal(a->change, b->change);
    assert_int_equal(a->parent, b->parent);
    assert_int_equal(timestamp_compare(a->atime, b->atime), 0);
    assert_int_equal(timestamp_compare(a->mtime, b->mtime), 0);
    assert_int_equal(timestamp_compare(a->ctime, b->ctime), 0);
    assert_int_equal(timestamp_compare(a->btime, b->btime), 0);
}

static void attributes_survive(struct fixture *f)
{
    struct inode *root = tree_root(f, "a");
    uint64_t ino = make_file(root, "x"), change;
    struct inode_attr *attr, kept;
    struct inode *inode;

    assert_int_equal(inode_get(f->store, ino, 0, &inode), ERR_OK);
    change = inode_attr(inode)->change;
    attr = inode_change(inode);
    assert_true(attr->change > change);
    attr->mode = 07777;
    attr->uid = 0xfffffffe;
    attr->gid = 77;
    attr->dos_attributes = 0x23;
    attr->atime = (struct timestamp){-5, 999999999};
    attr->mtime = (struct timestamp){1LL << 40, 1};
    attr->btime = (struct timestamp){0, 0};
    attr->device_major = 8;
    attr->device_minor = 0xfffff;
    kept = *attr;
    inode_unref(&inode);
    inode_unref(&root);
    fixture_restart(f);
    assert_int_equal(inode_get(f->store, ino, kept.generation + 1, &inode), ERR_STALE);
    assert_int_equal(inode_get(f->store, ino, kept.generation, &inode), ERR_OK);
    assert_same_attr(inode_attr(inode), &kept);
    assert_true(inode_change(inode)->change > kept.change);
    inode_unref(&inode);
    assert_int_equal(inode_get(f->store, 0, 0, &inode), ERR_STALE);
    assert_int_equal(inode_get(f->store, UINT64_MAX, 0, &inode), ERR_STALE);
    assert_int_equal(inode_get(f->store, 99999999, 0, &inode), ERR_STALE);
}

static void blobs_and_targets(struct fixture *f)
{
    struct inode *root = tree_root(f, "a");
    struct inode_attr template = {.type = INODE_SYMLINK, .mode = 0777, .tree = inode_attr(root)->tree};
    uint8_t long_target[STORE_SYMLINK_MAX + 1], back[STORE_SYMLINK_MAX], big[65537];
    const uint8_t *value;
    struct inode *link;
    uint64_t ino;
    size_t length;

    memset(long_target, 't', sizeof long_target);
    memset(big, 'b', sizeof big);
    assert_int_equal(inode_new(f->store, &template, NULL, 0, &link), ERR_INVAL);
    assert_int_equal(inode_new(f->store, &template, long_target, sizeof long_target, &link), ERR_NAMETOOLONG);
    assert_int_equal(inode_new(f->store, &template, long_target, STORE_SYMLINK_MAX, &link), ERR_OK);
    assert_int_equal(dir_insert(root, name_of("l"), link), ERR_OK);
    inode_change(link)->nlink = 1;
    ino = inode_attr(link)->ino;
    assert_int_equal(inode_attr(link)->size, STORE_SYMLINK_MAX);
    assert_int_equal(inode_set_blob(link, 1, "one", 3), ERR_OK);
    assert_int_equal(inode_set_blob(link, 2, "second", 6), ERR_OK);
    assert_int_equal(inode_set_blob(link, 3, big, sizeof big), ERR_INVAL);
    inode_unref(&link);
    inode_unref(&root);
    fixture_restart(f);
    assert_int_equal(inode_get(f->store, ino, 0, &link), ERR_OK);
    assert_int_equal(inode_symlink_target(link, back, &length), ERR_OK);
    assert_int_equal(length, STORE_SYMLINK_MAX);
    assert_memory_equal(back, long_target, length);
    assert_int_equal(inode_set_blob(link, 1, NULL, 0), ERR_OK);
    assert_int_equal(inode_get_blob(link, 1, &value, &length), ERR_OK);
    assert_null(value);
    assert_int_equal(inode_set_blob(link, 2, big, 65536), ERR_OK);
    assert_int_equal(inode_set_blob(link, 3, "third", 5), ERR_OK);
    inode_unref(&link);
    fixture_restart(f);
    assert_int_equal(inode_get(f->store, ino, 0, &link), ERR_OK);
    assert_int_equal(inode_get_blob(link, 2, &value, &length), ERR_OK);
    assert_int_equal(length, 65536);
    assert_memory_equal(value, big, length);
    assert_int_equal(inode_get_blob(link, 3, &value, &length), ERR_OK);
    assert_int_equal(length, 5);
    assert_int_equal(inode_symlink_target(link, back, &length), ERR_OK);
    inode_unref(&link);
}

static void numbers_never_repeat(struct fixture *f)
{
    uint64_t last = 0, last_change = 0;

    for (unsigned round = 0; round < 6; round++) {
        struct inode *root = tree_root(f, "a");

        for (unsigned i = 0; i < 20; i++) {
            char name[20];
            struct inode *inode;
            uint64_t ino;

            snprintf(name, sizeof name, "%u-%u", round, i);
            ino = make_file(root, name);
            assert_true(ino > last);
            last = ino;
            assert_int_equal(inode_get(f->store, ino, 0, &inode), ERR_OK);
            assert_true(inode_attr(inode)->change > last_change);
            last_change = inode_attr(inode)->change;
            inode_unref(&inode);
            if (i == 10)
                fixture_sync(f);
        }
        inode_unref(&root);
        if (f->simulated && round % 2 == 0)
            fixture_crash(f, round);
        else
            fixture_restart(f);
    }
}

static void the_cache_is_bounded(struct fixture *f)
{
    struct inode *root = tree_root(f, "a");
    struct store_counters counters;
    struct inode *held;
    uint64_t first = 0;

    for (unsigned i = 0; i < 1000; i++) {
        char name[20];
        uint64_t ino;

        snprintf(name, sizeof name, "f%u", i);
        ino = make_file(root, name);
        if (i == 0)
            first = ino;
        if (i % 100 == 0)
            fixture_sync(f);
    }
    fixture_sync(f);
    assert_int_equal(inode_get(f->store, first, 0, &held), ERR_OK);
    inode_set_user(held, f);
    for (unsigned i = 0; i < 1000; i++) {
        struct inode *inode;

        assert_int_equal(inode_get(f->store, first + i, 0, &inode), ERR_OK);
        assert_int_equal(inode_attr(inode)->ino, first + i);
        inode_unref(&inode);
    }
    store_counters(f->store, &counters);
    assert_true(counters.inodes_cached <= f->options.inode_cache + 2);
    assert_ptr_equal(inode_user(held), f);
    inode_unref(&held);
    inode_unref(&root);
}

static void open_files_outlive_their_names(struct fixture *f)
{
    struct inode *root = tree_root(f, "a");
    struct store_space space;
    struct inode *open, *again;
    uint64_t ino = make_file(root, "x"), other = make_file(root, "y");

    fixture_sync(f);
    assert_int_equal(inode_get(f->store, ino, 0, &open), ERR_OK);
    remove_file(root, "x");
    fixture_sync(f);
    assert_int_equal(inode_get(f->store, ino, 0, &again), ERR_OK);
    inode_unref(&again);
    store_space(f->store, &space);
    assert_int_equal(space.inodes, 3);
    inode_unref(&open);
    assert_int_equal(inode_get(f->store, ino, 0, &again), ERR_STALE);
    fixture_sync(f);
    store_space(f->store, &space);
    assert_int_equal(space.inodes, 2);
    if (f->simulated) { /* a crash while one is open: it is gone afterwards */
        assert_int_equal(inode_get(f->store, other, 0, &open), ERR_OK);
        remove_file(root, "y");
        fixture_sync(f);
        fixture_crash(f, 3);
        assert_int_equal(inode_get(f->store, other, 0, &open), ERR_STALE);
        store_space(f->store, &space);
        assert_int_equal(space.inodes, 1);
    } else {
        inode_unref(&root);
    }
}

static void access_times_are_lazy(struct fixture *f)
{
    struct inode *root = tree_root(f, "a");
    uint64_t ino = make_file(root, "x"), change;
    struct store_counters before, after;
    struct store_ticket ticket;
    struct inode *inode;

    fixture_sync(f);
    assert_int_equal(inode_get(f->store, ino, 0, &inode), ERR_OK);
    change = inode_attr(inode)->change;
    store_counters(f->store, &before);
    ticket = store_ticket_metadata(f->store);
    inode_touch_atime(inode, (struct timestamp){12345, 6});
    assert_int_equal(store_ticket_metadata(f->store).batch, ticket.batch);
    for (unsigned i = 0; i < 10; i++) {
        if (f->simulated)
            simclock_advance_ms(1000);
        loop_run_once(f->loop, false);
    }
    store_counters(f->store, &after);
    assert_int_equal(after.batches, before.batches);
    inode_unref(&inode);
    inode_unref(&root);
    fixture_restart(f);
    assert_int_equal(inode_get(f->store, ino, 0, &inode), ERR_OK);
    assert_int_equal(inode_attr(inode)->atime.seconds, 12345);
    assert_int_equal(inode_attr(inode)->change, change);
    inode_unref(&inode);
}

/* ---- extended attributes ---- */

struct names {
    char text[400];
    size_t sizes;
};

static bool list_name(void *data, struct store_name name, size_t length)
{
    struct names *names = data;
    size_t at = strlen(names->text);

    snprintf(names->text + at, sizeof names->text - at, "%.*s ", (int)name.length, (const char *)name.bytes);
    names->sizes += length;
    return true;
}

static void extended_attributes(struct fixture *f)
{
    struct inode *root = tree_root(f, "a");
    uint64_t ino = make_file(root, "x");
    struct names names = {0};
    static uint8_t big[STORE_XATTR_VALUE_MAX + 1];
    uint8_t long_name[256];
    const uint8_t *value;
    struct inode *inode;
    size_t length;

    memset(long_name, 'n', sizeof long_name);
    memset(big, 'v', sizeof big);
    assert_int_equal(inode_get(f->store, ino, 0, &inode), ERR_OK);
    assert_int_equal(xattr_get(inode, name_of("user.a"), &value, &length), ERR_NOXATTR);
    assert_int_equal(xattr_remove(inode, name_of("user.a")), ERR_NOXATTR);
    assert_int_equal(xattr_set(inode, name_of("user.a"), "1", 1, XATTR_REPLACE), ERR_NOXATTR);
    assert_int_equal(xattr_set(inode, name_of("user.c"), "333", 3, XATTR_CREATE), ERR_OK);
    assert_int_equal(xattr_set(inode, name_of("user.c"), "3", 1, XATTR_CREATE), ERR_EXIST);
    assert_int_equal(xattr_set(inode, name_of("user.a"), "1", 1, XATTR_EITHER), ERR_OK);
    assert_int_equal(xattr_set(inode, name_of("user.a"), "22", 2, XATTR_REPLACE), ERR_OK);
    assert_int_equal(xattr_set(inode, name_of("user.b"), NULL, 0, XATTR_EITHER), ERR_OK);
    assert_int_equal(xattr_set(inode, name_of("user.z"), big, sizeof big, XATTR_EITHER), ERR_XATTR2BIG);
    assert_int_equal(xattr_set(inode, name_of("user.z"), big, sizeof big - 1, XATTR_EITHER), ERR_OK);
    assert_int_equal(xattr_set(inode, (struct store_name){long_name, 256}, "", 0, XATTR_EITHER),
                     ERR_NAMETOOLONG);
    inode_unref(&inode);
    inode_unref(&root);
    fixture_restart(f);
    assert_int_equal(inode_get(f->store, ino, 0, &inode), ERR_OK);
    assert_int_equal(xattr_get(inode, name_of("user.a"), &value, &length), ERR_OK);
    assert_int_equal(length, 2);
    assert_memory_equal(value, "22", 2);
    assert_int_equal(xattr_get(inode, name_of("user.b"), &value, &length), ERR_OK);
    assert_int_equal(length, 0);
    assert_int_equal(xattr_get(inode, name_of("user.z"), &value, &length), ERR_OK);
    assert_int_equal(length, STORE_XATTR_VALUE_MAX);
    assert_memory_equal(value, big, length);
    assert_int_equal(xattr_remove(inode, name_of("user.z")), ERR_OK);
    assert_int_equal(xattr_remove(inode, name_of("user.z")), ERR_NOXATTR);
    assert_int_equal(xattr_list(inode, name_of(""), list_name, &names), ERR_OK);
    assert_string_equal(names.text, "user.a user.b user.c ");
    assert_int_equal(names.sizes, 5);
    names = (struct names){0};
    assert_int_equal(xattr_list(inode, name_of("user.b"), list_name, &names), ERR_OK);
    assert_string_equal(names.text, "user.c ");
    inode_unref(&inode);
    root = tree_root(f, "a");
    remove_file(root, "x"); /* the check would find attributes of a file that is gone */
    inode_unref(&root);
}

/* ---- records, trees, secrets ---- */

static bool list_record(void *data, const void *key, size_t key_length, const void *value,
                        size_t value_length)
{
    struct names *names = data;
    size_t at = strlen(names->text);

    snprintf(names->text + at, sizeof names->text - at, "%.*s=%.*s ", (int)key_length, (const char *)key,
             (int)value_length, (const char *)value);
    return true;
}

static void records(struct fixture *f)
{
    struct names names = {0};

    assert_int_equal(store_record_put(f->store, "t", "b", 1, "2", 1), ERR_OK);
    assert_int_equal(store_record_put(f->store, "t", "a", 1, "one", 3), ERR_OK);
    assert_int_equal(store_record_put(f->store, "t", "a", 1, "1", 1), ERR_OK);
    assert_int_equal(store_record_put(f->store, "t", "c", 1, "", 0), ERR_OK);
    assert_int_equal(store_record_put(f->store, "u", "a", 1, "other", 5), ERR_OK);
    assert_int_equal(store_record_delete(f->store, "t", "none", 4), ERR_OK);
    fixture_restart(f);
    assert_int_equal(store_record_scan(f->store, "t", list_record, &names), ERR_OK);
    assert_string_equal(names.text, "a=1 b=2 c= ");
    assert_int_equal(store_record_delete(f->store, "t", "b", 1), ERR_OK);
    names.text[0] = 0;
    assert_int_equal(store_record_scan(f->store, "t", list_record, &names), ERR_OK);
    assert_string_equal(names.text, "a=1 c= ");
    names.text[0] = 0;
    assert_int_equal(store_record_scan(f->store, "none", list_record, &names), ERR_OK);
    assert_string_equal(names.text, "");
}

static void trees_and_secrets(struct fixture *f)
{
    uint32_t tree[2], again;
    uint64_t root[2], root_again, verifier = store_boot_verifier(f->store);
    uint8_t secret[32], other[32], back[32];
    struct inode *inode;

    assert_int_equal(store_tree_open(f->store, "", 0, 0, &again, &root_again), ERR_INVAL);
    assert_int_equal(store_tree_open(f->store, "one", 5, 6, &tree[0], &root[0]), ERR_OK);
    assert_int_equal(store_tree_open(f->store, "two", 0, 0, &tree[1], &root[1]), ERR_OK);
    assert_int_not_equal(tree[0], tree[1]);
    assert_int_not_equal(root[0], root[1]);
    assert_int_equal(store_secret(f->store, "handles", secret, sizeof secret), ERR_OK);
    assert_int_equal(store_secret(f->store, "others", other, sizeof other), ERR_OK);
    assert_memory_not_equal(secret, other, sizeof secret);
    if (f->simulated)
        fixture_crash(f, 1); /* a secret is durable when it is given */
    else
        fixture_restart(f);
    assert_int_equal(store_secret(f->store, "handles", back, sizeof back), ERR_OK);
    assert_memory_equal(secret, back, sizeof secret);
    assert_int_equal(store_secret(f->store, "handles", back, 16), ERR_CORRUPT);
    assert_int_equal(store_tree_open(f->store, "one", 0, 0, &again, &root_again), ERR_OK);
    assert_int_equal(again, tree[0]);
    assert_int_equal(root_again, root[0]);
    assert_int_equal(inode_get(f->store, root_again, 0, &inode), ERR_OK);
    assert_int_equal(inode_attr(inode)->uid, 5);
    assert_int_equal(inode_attr(inode)->gid, 6);
    assert_int_equal(inode_attr(inode)->mode, 0755);
    assert_int_equal(inode_attr(inode)->nlink, 2);
    assert_int_equal(inode_attr(inode)->parent, root_again);
    inode_unref(&inode);
    assert_int_not_equal(store_boot_verifier(f->store), verifier);
}

/* ---- tickets ---- */

struct ordered {
    struct store_waiter waiter;
    unsigned number;
    unsigned *next;
    bool done;
    struct ordered *cancels;
};

static void in_order(struct store_waiter *waiter, enum err err)
{
    struct ordered *ordered = container_of(waiter, struct ordered, waiter);

    assert_int_equal(err, ERR_OK);
    assert_false(ordered->done);
    ordered->done = true;
    assert_true(ordered->number >= *ordered->next);
    *ordered->next = ordered->number;
    if (ordered->cancels != NULL)
        store_wait_cancel(&ordered->cancels->waiter);
}

static void waiters_come_back_in_order(struct fixture *f)
{
    struct inode *root = tree_root(f, "a");
    struct ordered waits[50];
    unsigned next = 0;

    fixture_sync(f);
    assert_int_equal(store_wait(f->store, store_ticket_metadata(f->store), &waits[0].waiter), ERR_OK);
    assert_int_equal(store_wait(f->store, (struct store_ticket){0}, &waits[0].waiter), ERR_OK);
    for (unsigned i = 0; i < 50; i++) {
        char name[20];

        snprintf(name, sizeof name, "f%u", i);
        make_file(root, name);
        waits[i] = (struct ordered){.waiter.done = in_order, .number = i, .next = &next};
        assert_int_equal(store_wait(f->store, store_ticket_metadata(f->store), &waits[i].waiter), ERR_WAIT);
        assert_false(waits[i].done); /* never inside of the call */
        if (i % 7 == 0)
            loop_run_once(f->loop, false);
    }
    store_wait_cancel(&waits[48].waiter);
    waits[47].cancels = &waits[49];
    while (!waits[47].done)
        loop_run_once(f->loop, true);
    for (unsigned i = 0; i < 10; i++)
        loop_run_once(f->loop, false);
    for (unsigned i = 0; i < 48; i++)
        assert_true(waits[i].done);
    assert_false(waits[48].done);
    assert_false(waits[49].done);
    inode_unref(&root);
}

static void what_was_waited_for_survives(void **state)
{
    struct fixture f;
    struct inode *root;
    struct ordered wait;
    unsigned next = 0;

    (void)state;
    fixture_start(&f, true);
    root = tree_root(&f, "a");
    fixture_sync(&f);
    for (unsigned i = 0; i < 30; i++) {
        char name[20];

        snprintf(name, sizeof name, "f%u", i);
        make_file(root, name);
        wait = (struct ordered){.waiter.done = in_order, .next = &next};
        assert_int_equal(store_wait(f.store, inode_ticket(root), &wait.waiter), ERR_WAIT);
        while (!wait.done)
            loop_run_once(f.loop, true);
        fixture_crash(&f, i);
        root = tree_root(&f, "a");
        assert_int_not_equal(look_up(root, name), 0);
    }
    inode_unref(&root);
    fixture_end(&f);
}

/* What nobody waits for is durable soon. */
static void background_sync(void **state)
{
    struct fixture f;
    struct inode *root;

    (void)state;
    fixture_start(&f, true);
    root = tree_root(&f, "a");
    make_file(root, "x");
    for (unsigned i = 0; i < 30; i++) {
        simclock_advance_ms(100);
        loop_run_once(f.loop, false);
    }
    fixture_crash(&f, 1);
    root = tree_root(&f, "a");
    assert_int_not_equal(look_up(root, "x"), 0);
    inode_unref(&root);
    fixture_end(&f);
}

/* A thousand changes in one turn: one batch, one sync. */
static void one_batch_a_turn(struct fixture *f)
{
    struct inode *root = tree_root(f, "a");
    struct store_counters before, after;

    fixture_sync(f);
    store_counters(f->store, &before);
    for (unsigned i = 0; i < 1000; i++) {
        char name[20];

        snprintf(name, sizeof name, "f%u", i);
        make_file(root, name);
    }
    fixture_sync(f);
    store_counters(f->store, &after);
    assert_int_equal(after.batches - before.batches, 1);
    assert_int_equal(after.syncs - before.syncs, 1);
    inode_unref(&root);
}

static void without_workers(void **state)
{
    struct fixture f;
    struct inode *root;

    (void)state;
    fixture_start(&f, true);
    simloop_refuse_jobs(f.loop, 1);
    root = tree_root(&f, "a");
    make_file(root, "x");
    assert_int_equal(fixture_sync(&f), ERR_OK);
    fixture_crash(&f, 1);
    root = tree_root(&f, "a");
    assert_int_not_equal(look_up(root, "x"), 0);
    inode_unref(&root);
    fixture_end(&f);
}

/* ---- the WAL ---- */

static uint64_t file_size(struct fixture *f, const char *name)
{
    struct disk_file *file;
    uint64_t size;

    assert_int_equal(disk_open(f->disk, name, DISK_READ, &file), ERR_OK);
    assert_int_equal(disk_size(file, &size), ERR_OK);
    disk_close(&file);
    return size;
}

/* The WAL is begun anew while changes go on, so it stays about as large as it was made. */
static void the_wal_is_reused(struct fixture *f)
{
    struct inode *root = tree_root(f, "a");
    struct store_counters counters;

    for (unsigned i = 0; i < 3000; i++) {
        char name[20];

        snprintf(name, sizeof name, "f%u", i);
        make_file(root, name);
        if (i % 3 == 0)
            fixture_sync(f);
    }
    store_counters(f->store, &counters);
    assert_true(counters.checkpoint_frames > 2000);
    assert_true(file_size(f, "meta.db-wal") < 3u << 20);
    inode_unref(&root);
    fixture_restart(f);
    root = tree_root(f, "a");
    for (unsigned i = 0; i < 3000; i++) {
        char name[20];

        snprintf(name, sizeof name, "f%u", i);
        assert_int_not_equal(look_up(root, name), 0);
    }
    inode_unref(&root);
}

ON_BOTH(attributes_survive)
ON_BOTH(blobs_and_targets)
ON_BOTH(numbers_never_repeat)
ON_BOTH(the_cache_is_bounded)
ON_BOTH(open_files_outlive_their_names)
ON_BOTH(access_times_are_lazy)
ON_BOTH(extended_attributes)
ON_BOTH(records)
ON_BOTH(trees_and_secrets)
ON_BOTH(waiters_come_back_in_order)
ON_BOTH(one_batch_a_turn)
ON_BOTH(the_wal_is_reused)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attributes_survive),
        cmocka_unit_test(test_blobs_and_targets),
        cmocka_unit_test(test_numbers_never_repeat),
        cmocka_unit_test(test_the_cache_is_bounded),
        cmocka_unit_test(test_open_files_outlive_their_names),
        cmocka_unit_test(test_access_times_are_lazy),
        cmocka_unit_test(test_extended_attributes),
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_trees_and_secrets),
        cmocka_unit_test(test_waiters_come_back_in_order),
        cmocka_unit_test(what_was_waited_for_survives),
        cmocka_unit_test(background_sync),
        cmocka_unit_test(test_one_batch_a_turn),
        cmocka_unit_test(without_workers),
        cmocka_unit_test(test_the_wal_is_reused),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
