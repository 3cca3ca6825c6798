/*
 * test_orphan.c - large files are freed in slices, in the background, and again after a crash.
 */
#include "store_fixture.h"

enum { LEAVES = 40 };
#define LEAF_BYTES ((uint64_t)128 << 20)

/* One page in each leaf of the block list (docs/STORE.md). */
static void write_leaves(struct inode *inode)
{
    static uint8_t page[4096];

    for (uint64_t i = 0; i < LEAVES; i++) {
        struct store_write write = {
            .inode = inode, .offset = i * LEAF_BYTES, .data = {.data = page, .length = sizeof page}};

        memset(page, (int)i + 1, sizeof page);
        assert_int_equal(store_write(&write), ERR_OK);
    }
}

static void run_for(struct fixture *f, unsigned ms)
{
    for (unsigned i = 0; i < ms; i += 10) {
        simclock_advance_ms(10);
        for (unsigned turn = 0; turn < 5; turn++)
            loop_run_once(f->loop, false);
    }
}

static void start_with_large_file(struct fixture *f, struct inode **root_r)
{
    struct inode *file;

    fixture_start(f, true);
    *root_r = tree_root(f, "a");
    make_file(*root_r, "large");
    assert_int_equal(inode_get(f->store, look_up(*root_r, "large"), 0, &file), ERR_OK);
    write_leaves(file);
    inode_unref(&file);
    run_for(f, 8000); /* into the database */
    assert_int_equal(fixture_sync(f), ERR_OK);
}

static void freed_in_the_background(void **state)
{
    struct store_space before, after;
    struct fixture f;
    struct inode *root;

    (void)state;
    start_with_large_file(&f, &root);
    store_space(f.store, &before);
    assert_int_equal(before.inodes, 2);
    assert_int_equal(before.logical_bytes, LEAVES * 4096);
    remove_file(root, "large");
    assert_int_equal(fixture_sync(&f), ERR_OK);
    run_for(&f, 5000);
    store_space(f.store, &after);
    assert_int_equal(after.inodes, 1);
    assert_int_equal(after.logical_bytes, 0);
    assert_true(after.stored_bytes + LEAVES * 4096 <= before.stored_bytes);
    inode_unref(&root);
    fixture_end(&f);
}

static void freed_after_a_crash(void **state)
{
    (void)state;
    for (unsigned turns = 0; turns < 60; turns += 3) {
        struct store_space space;
        struct fixture f;
        struct inode *root;

        start_with_large_file(&f, &root);
        remove_file(root, "large");
        assert_int_equal(fixture_sync(&f), ERR_OK);
        run_for(&f, turns * 10);
        fixture_crash(&f, turns);
        run_for(&f, 5000);
        store_space(f.store, &space);
        assert_int_equal(space.inodes, 1);
        assert_int_equal(space.logical_bytes, 0);
        fixture_end(&f);
    }
}

/* Doomed, but not yet freed, at a clean stop. */
static void freed_after_a_stop(void **state)
{
    struct store_space space;
    struct fixture f;
    struct inode *root;

    (void)state;
    start_with_large_file(&f, &root);
    remove_file(root, "large");
    inode_unref(&root);
    fixture_restart(&f);
    run_for(&f, 5000);
    store_space(f.store, &space);
    assert_int_equal(space.inodes, 1);
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(freed_in_the_background),
        cmocka_unit_test(freed_after_a_crash),
        cmocka_unit_test(freed_after_a_stop),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
