/*
 * test_store_failures.c - stores that are refused, fail, are full, or damaged.
 */
#include "store_fixture.h"

/* For calls that are to fail. */
static void ignore_line(enum log_level level, const char *line)
{
    (void)level;
    (void)line;
}

static void poke(struct fixture *f, const char *name, uint64_t offset, const void *bytes, size_t length)
{
    struct disk_file *file;

    assert_int_equal(disk_open(f->disk, name, DISK_WRITE, &file), ERR_OK);
    assert_int_equal(disk_pwrite(file, bytes, length, offset), ERR_OK);
    assert_int_equal(disk_sync(file), ERR_OK);
    disk_close(&file);
}

static void newer_formats_are_refused(struct fixture *f)
{
    static const uint8_t newer[4] = {0, 0, 0, 99}, ours[4] = {0, 0, 0, 2}, none[4];
    struct store *store;

    /* user_version is at offset 60 (https://sqlite.org/fileformat2.html 1.3); after a clean stop the WAL is
     * empty of anything newer, but still has page 1, so it goes, too */
    assert_int_equal(fixture_stop(f), ERR_OK);
    assert_int_equal(disk_unlink(f->disk, "meta.db-wal"), ERR_OK);
    poke(f, "meta.db", 60, newer, 4);
    log_set_sink(ignore_line);
    assert_int_equal(store_open(f->disk, f->loop, &f->options, &store), ERR_TOO_NEW);
    poke(f, "meta.db", 60, ours, 4);
    poke(f, "meta.db", 68, none, 4);
    assert_int_equal(store_open(f->disk, f->loop, &f->options, &store), ERR_CORRUPT);
    poke(f, "meta.db", 68, "DTFS", 4);
    log_set_sink(NULL);
    fixture_open(f);
}

static void lost_databases_are_not_made_anew(struct fixture *f)
{
    struct disk_file *file;
    struct store *store;

    assert_int_equal(fixture_stop(f), ERR_OK);
    assert_int_equal(disk_open(f->disk, "seg-0000ffff", DISK_WRITE | DISK_CREATE, &file), ERR_OK);
    disk_close(&file);
    assert_int_equal(disk_unlink(f->disk, "meta.db"), ERR_OK);
    assert_int_equal(disk_unlink(f->disk, "meta.db-wal"), ERR_OK);
    log_set_sink(ignore_line);
    assert_int_equal(store_open(f->disk, f->loop, &f->options, &store), ERR_CORRUPT);
    assert_int_equal(store_open(f->disk, f->loop, &f->options, &store), ERR_CORRUPT);
    log_set_sink(NULL);
    assert_int_equal(disk_list(f->disk, fixture_unlink, f->disk), ERR_OK);
    fixture_open(f);
}

static void a_failed_sync_is_final(void **state)
{
    struct fixture f;
    struct inode *root, *inode;
    struct fixture_wait wait = {.waiter.done = fixture_wait_done};
    struct inode_attr template = {.type = INODE_FILE};
    uint64_t ino;

    (void)state;
    fixture_start(&f, true);
    root = tree_root(&f, "a");
    ino = make_file(root, "x");
    fixture_sync(&f);
    make_file(root, "lost");
    assert_int_equal(inode_get(f.store, ino, 0, &inode), ERR_OK);
    log_set_sink(ignore_line);
    simdisk_fail(f.disk, 1, ERR_IO, 0); /* the commit's write, or a sync: all later calls would succeed */
    assert_int_equal(fixture_sync(&f), ERR_IO);
    assert_int_equal(store_health(f.store), ERR_IO);
    assert_int_equal(inode_new(f.store, &template, NULL, 0, &inode), ERR_IO);
    assert_int_equal(dir_insert(root, name_of("y"), inode), ERR_IO);
    assert_int_equal(dir_remove(root, name_of("x"), ino), ERR_IO);
    assert_int_equal(dir_replace(root, name_of("x"), inode), ERR_IO);
    assert_int_equal(xattr_set(inode, name_of("user.x"), "", 0, XATTR_EITHER), ERR_IO);
    assert_int_equal(xattr_remove(inode, name_of("user.x")), ERR_IO);
    assert_int_equal(inode_set_blob(inode, 1, "x", 1), ERR_IO);
    assert_int_equal(store_record_put(f.store, "t", "", 0, "", 0), ERR_IO);
    assert_int_equal(store_record_delete(f.store, "t", "", 0), ERR_IO);
    assert_int_equal(store_wait(f.store, store_ticket_metadata(f.store), &wait.waiter), ERR_IO);
    assert_int_equal(look_up(root, "x"), ino); /* reading goes on */
    inode_unref(&inode);
    inode_unref(&root);
    assert_int_equal(fixture_stop(&f), ERR_IO);
    log_set_sink(NULL);
    fixture_open(&f);
    root = tree_root(&f, "a");
    assert_int_equal(look_up(root, "x"), ino);
    inode_unref(&root);
    fixture_end(&f);
}

static void full_disks_refuse_and_delete(void **state)
{
    struct fixture f;
    struct inode *root, *inode;
    struct inode_attr template = {.type = INODE_FILE};

    (void)state;
    fixture_start(&f, true);
    root = tree_root(&f, "a");
    for (unsigned i = 0; i < 50; i++) {
        char name[20];

        snprintf(name, sizeof name, "f%u", i);
        make_file(root, name);
    }
    fixture_sync(&f);
    simdisk_set_capacity(f.disk, simdisk_used_bytes(f.disk) + f.options.reserve_bytes / 2);
    simclock_advance_ms(5000); /* figures of space are kept for a while */
    assert_int_equal(inode_new(f.store, &template, NULL, 0, &inode), ERR_NOSPC);
    assert_int_equal(inode_get(f.store, look_up(root, "f0"), 0, &inode), ERR_OK);
    assert_int_equal(dir_insert(root, name_of("link"), inode), ERR_NOSPC);
    assert_int_equal(xattr_set(inode, name_of("user.x"), "x", 1, XATTR_EITHER), ERR_NOSPC);
    assert_int_equal(inode_set_blob(inode, 1, "x", 1), ERR_NOSPC);
    assert_int_equal(store_record_put(f.store, "t", "x", 1, "x", 1), ERR_NOSPC);
    inode_change(inode)->mode = 0600;
    inode_unref(&inode);
    for (unsigned i = 0; i < 50; i++) {
        char name[20];

        snprintf(name, sizeof name, "f%u", i);
        remove_file(root, name);
        assert_int_equal(fixture_sync(&f), ERR_OK);
    }
    fixture_crash(&f, 1); /* opening works, too */
    simdisk_set_capacity(f.disk, (uint64_t)1 << 40);
    simclock_advance_ms(5000);
    root = tree_root(&f, "a");
    assert_true(dir_is_empty(root));
    make_file(root, "again");
    inode_unref(&root);
    fixture_end(&f);
}

/* ---- the check ---- */

struct findings {
    unsigned count;
    char first[200];
};

static void count_finding(void *data, const char *finding)
{
    struct findings *findings = data;

    if (findings->count++ == 0)
        snprintf(findings->first, sizeof findings->first, "%s", finding);
}

static void the_check_finds_damage(void **state)
{
    struct fixture f;
    struct inode *root, *file;
    struct findings findings = {0};

    (void)state;
    fixture_start(&f, true);
    assert_int_equal(store_check(f.disk, count_finding, &findings), ERR_OK);
    root = tree_root(&f, "a");
    /* links that don't agree, a directory that is in two places, a file without a name */
    make_file(root, "x");
    assert_int_equal(inode_get(f.store, look_up(root, "x"), 0, &file), ERR_OK);
    inode_change(file)->nlink = 3;
    inode_unref(&file);
    file = make_inode(root, INODE_FILE);
    inode_change(file)->nlink = 1;
    inode_unref(&file);
    assert_int_equal(dir_insert(root, name_of("loop"), root), ERR_OK);
    inode_unref(&root);
    assert_int_equal(fixture_stop(&f), ERR_OK);
    assert_int_equal(store_check(f.disk, count_finding, &findings), ERR_CORRUPT);
    assert_true(findings.count >= 4);
    /* a page that is damaged */
    findings.count = 0;
    assert_true(simdisk_corrupt(f.disk, "meta.db", 3 * 4096 + 1, 0xff));
    assert_true(simdisk_corrupt(f.disk, "meta.db", 3 * 4096 + 4, 0xff));
    assert_int_equal(disk_unlink(f.disk, "meta.db-wal"), ERR_OK);
    {
        struct disk_file *wal;

        assert_int_equal(disk_open(f.disk, "meta.db-wal", DISK_WRITE | DISK_CREATE, &wal), ERR_OK);
        disk_close(&wal);
    }
    log_set_sink(ignore_line);
    assert_int_equal(store_check(f.disk, count_finding, &findings), ERR_CORRUPT);
    log_set_sink(NULL);
    assert_true(findings.count > 0);
    assert_int_equal(disk_unlink(f.disk, "meta.db"), ERR_OK);
    assert_int_not_equal(store_check(f.disk, count_finding, &findings), ERR_OK);
    loop_close(&f.loop);
    disk_destroy(&f.disk);
    random_set_seed(0);
    simclock_remove();
}

ON_BOTH(newer_formats_are_refused)
ON_BOTH(lost_databases_are_not_made_anew)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_newer_formats_are_refused),
        cmocka_unit_test(test_lost_databases_are_not_made_anew),
        cmocka_unit_test(a_failed_sync_is_final),
        cmocka_unit_test(full_disks_refuse_and_delete),
        cmocka_unit_test(the_check_finds_damage),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
