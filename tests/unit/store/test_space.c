/*
 * test_space.c - what takes space: sharing of equal content, and giving back what was deleted.
 */
#include "data_model.h"

#include "dittofs/hash.h"
#include "store/core_priv.h"
#include <sys/stat.h>

enum { MIB = 1 << 20 };

static void fill(uint8_t *bytes, size_t length, uint64_t seed)
{
    size_t i;

    for (i = 0; i + 8 <= length; i += 8)
        memcpy(bytes + i, &(uint64_t){hash_u64(seed * 1000003 + i)}, 8);
}

/* Writes SIZE bytes in pieces of STEP; content follows from SEED. */
static void write_file(struct fixture *fixture, uint64_t ino, uint64_t size, uint32_t step, uint64_t seed)
{
    struct inode *inode = data_inode_of(fixture, ino);
    uint8_t *bytes = malloc(step);
    uint64_t offset;

    assert_non_null(bytes);
    for (offset = 0; offset < size; offset += step) {
        fill(bytes, step, seed + offset / step * 7919);
        assert_int_equal(data_write(fixture, inode, offset, bytes, step, true), ERR_OK);
    }
    assert_int_equal(data_sync(fixture, inode), ERR_OK);
    free(bytes);
    inode_unref(&inode);
}

static void compare_file(struct fixture *fixture, uint64_t ino, uint64_t size, uint32_t step, uint64_t seed)
{
    struct inode *inode = data_inode_of(fixture, ino);
    uint8_t *bytes = malloc(step), *read = malloc(step);
    uint64_t offset;

    assert_non_null(bytes);
    assert_non_null(read);
    for (offset = 0; offset < size; offset += step) {
        fill(bytes, step, seed + offset / step * 7919);
        assert_int_equal(data_read(fixture, inode, offset, step, read, NULL, NULL), ERR_OK);
        assert_memory_equal(bytes, read, step);
    }
    free(bytes);
    free(read);
    inode_unref(&inode);
}

static bool time_is_up;

static void time_up(struct loop_timer *timer)
{
    (void)timer;
    time_is_up = true;
}

/* Lets time pass, with everything that happens in the background. */
static void let_settle(struct fixture *fixture, unsigned seconds)
{
    struct loop_timer timer = {.callback = time_up};
    unsigned i;

    if (fixture->simulated) {
        for (i = 0; i < seconds * 4; i++) {
            simclock_advance_ms(250);
            simloop_run_until_idle(fixture->loop);
        }
        return;
    }
    time_is_up = false;
    loop_timer_start(fixture->loop, &timer, seconds * 1000, 0);
    while (!time_is_up)
        loop_run_once(fixture->loop, true);
}

static uint64_t stored(struct fixture *fixture)
{
    struct store_space space;

    store_space(fixture->store, &space);
    return space.stored_bytes;
}

struct taken {
    const char *folder;
    uint64_t bytes;
};

static void add_taken(void *data, const char *name)
{
    struct taken *taken = data;
    struct stat status;
    char path[100];

    snprintf(path, sizeof path, "%s/%s", taken->folder, name);
    if (strncmp(name, "seg-", 4) == 0 && stat(path, &status) == 0)
        taken->bytes += (uint64_t)status.st_blocks * 512;
}

/* Bytes that the segments take on the real disk. */
static uint64_t taken(const struct fixture *fixture)
{
    struct taken sum = {.folder = fixture->folder};

    assert_int_equal(disk_list(fixture->disk, add_taken, &sum), ERR_OK);
    return sum.bytes;
}

/* Waits, not for ever, until the segments take MOST bytes or less. */
static void let_shrink(struct fixture *fixture, uint64_t most)
{
    int i;

    for (i = 0; i < 30 && taken(fixture) > most; i++)
        let_settle(fixture, 1);
    assert_in_range(taken(fixture), 0, most);
}

static void test_equal_files_on_disk(void **state)
{
    struct fixture fixture;
    struct store_counters counters;
    struct inode *root;
    uint64_t first, second;

    (void)state;
    fixture_start(&fixture, false);
    assert_int_equal(fixture_stop(&fixture), ERR_OK);
    fixture.options.settle_ms = 100;
    fixture.options.segment_bytes = 32 * MIB;
    fixture.options.write_queue_bytes = 16 * MIB;
    fixture_open(&fixture);
    root = tree_root(&fixture, "space");
    first = make_file(root, "first");
    second = make_file(root, "second");
    write_file(&fixture, first, 64 * MIB, MIB, 1);
    write_file(&fixture, second, 64 * MIB, MIB, 1);
    let_shrink(&fixture, 70 * MIB);
    assert_in_range(stored(&fixture), 64 * MIB, 64 * MIB + MIB);
    assert_true(taken(&fixture) >= 64 * MIB);
    store_counters(fixture.store, &counters);
    assert_int_equal(counters.blocks_shared, 512);
    assert_int_equal(counters.bytes_rewritten, 0);

    remove_file(root, "first");
    let_settle(&fixture, 3);
    assert_in_range(stored(&fixture), 64 * MIB, 64 * MIB + MIB);
    compare_file(&fixture, second, 64 * MIB, MIB, 1);
    remove_file(root, "second");
    let_shrink(&fixture, 6 * MIB);
    assert_int_equal(stored(&fixture), 0);
    inode_unref(&root);
    fixture_end(&fixture);
}

/* Equal content that was written in other steps, and not aligned: found equal when it has settled. */
static void test_equal_after_settling(void **state)
{
    struct fixture fixture;
    struct inode *root, *inode;
    uint64_t first, second, third;

    (void)state;
    fixture_start(&fixture, true);
    root = tree_root(&fixture, "space");
    first = make_file(root, "first");
    second = make_file(root, "second");
    third = make_file(root, "third");
    write_file(&fixture, first, 2 * MIB, MIB, 1);
    write_file(&fixture, third, 2 * MIB, MIB, 2);
    let_settle(&fixture, 10);
    assert_int_equal(stored(&fixture), 4 * MIB);
    {
        uint8_t *bytes = malloc(2 * MIB);
        uint64_t offset, step;

        fill(bytes, MIB, 1);
        fill(bytes + MIB, MIB, 1 + 7919);
        inode = data_inode_of(&fixture, second);
        for (offset = 0; offset < 2 * MIB; offset += step) {
            step = 50000 < 2 * MIB - offset ? 50000 : 2 * MIB - offset;
            assert_int_equal(data_write(&fixture, inode, offset, bytes + offset, step, false), ERR_OK);
        }
        inode_unref(&inode);
        free(bytes);
    }
    let_settle(&fixture, 30);
    assert_int_equal(stored(&fixture), 4 * MIB);
    compare_file(&fixture, second, 2 * MIB, MIB, 1);
    inode_unref(&root);
    fixture_restart(&fixture);
    compare_file(&fixture, first, 2 * MIB, MIB, 1);
    compare_file(&fixture, second, 2 * MIB, MIB, 1);
    compare_file(&fixture, third, 2 * MIB, MIB, 2);
    fixture_end(&fixture);
}

static uint64_t hashed(struct fixture *fixture)
{
    struct store_counters counters;

    store_counters(fixture->store, &counters);
    return counters.blocks_hashed;
}

/* Whole blocks wait to be hashed until nobody writes; what is above the bound does not wait. */
static void test_hash_backlog(void **state)
{
    enum { BLOCKS = 16 * MIB / STORE_BLOCK_SIZE, BACKLOG = 4 * MIB };
    struct fixture fixture;
    struct inode *root;
    uint64_t first, second;

    (void)state;
    fixture_start(&fixture, true);
    root = tree_root(&fixture, "space");
    first = make_file(root, "first");
    write_file(&fixture, first, 16 * MIB, MIB, 1);
    simloop_run_until_idle(fixture.loop);
    assert_int_equal(hashed(&fixture), 0);
    let_settle(&fixture, 10);
    assert_int_equal(hashed(&fixture), BLOCKS);
    inode_unref(&root);
    assert_int_equal(fixture_stop(&fixture), ERR_OK);

    fixture.options.hash_backlog_bytes = BACKLOG;
    fixture_open(&fixture);
    root = tree_root(&fixture, "space");
    second = make_file(root, "second");
    write_file(&fixture, second, 16 * MIB, MIB, 2);
    simloop_run_until_idle(fixture.loop);
    /* Those of the last job may not be enough for one. */
    assert_in_range(hashed(&fixture), BLOCKS - BACKLOG / STORE_BLOCK_SIZE - 8,
                    BLOCKS - BACKLOG / STORE_BLOCK_SIZE);
    let_settle(&fixture, 10);
    assert_int_equal(hashed(&fixture), BLOCKS);
    compare_file(&fixture, first, 16 * MIB, MIB, 1);
    compare_file(&fixture, second, 16 * MIB, MIB, 2);
    inode_unref(&root);
    fixture_end(&fixture);
}

static bool count_row(void *data, const void *key, size_t key_length, const void *value, size_t value_length)
{
    (void)key;
    (void)key_length;
    (void)value;
    (void)value_length;
    ++*(unsigned *)data;
    return true;
}

static unsigned unsettled_rows(struct fixture *fixture)
{
    unsigned count = 0;

    assert_int_equal(store_record_scan(fixture->store, "unsettled", count_row, &count), ERR_OK);
    return count;
}

/* What waited to be hashed at the end waits again after the start, also behind holes and after a power cut.
 */
static void hash_after_restart(bool power_cut)
{
    enum { BLOCKS = 8 * MIB / STORE_BLOCK_SIZE };
    const uint64_t far = UINT64_C(1) << 46;
    struct fixture fixture;
    struct inode *root, *sparse;
    uint8_t *bytes = malloc(8 * MIB);
    uint64_t plain;

    assert_non_null(bytes);
    fixture_start(&fixture, true);
    assert_int_equal(fixture_stop(&fixture), ERR_OK);
    fixture.options.settle_ms = 3600 * 1000;
    fixture_open(&fixture);
    root = tree_root(&fixture, "space");
    plain = make_file(root, "plain");
    write_file(&fixture, plain, 8 * MIB, 8 * MIB, 1);
    sparse = data_inode_of(&fixture, make_file(root, "sparse"));
    fill(bytes, 8 * MIB, 1);
    assert_int_equal(data_write(&fixture, sparse, far, bytes, 8 * MIB, true), ERR_OK);
    inode_unref(&sparse);
    write_file(&fixture, make_file(root, "small"), 8, 8, 1);
    let_settle(&fixture, 10);
    assert_int_equal(hashed(&fixture), 0);
    assert_int_equal(unsettled_rows(&fixture), 2); /* of the small one nothing is hashed */
    inode_unref(&root);

    fixture.options.settle_ms = 100;
    if (power_cut)
        fixture_crash(&fixture, 1);
    else
        fixture_restart(&fixture);
    let_settle(&fixture, 30);
    assert_int_equal(hashed(&fixture), BLOCKS);
    assert_in_range(stored(&fixture), 8 * MIB, 8 * MIB + MIB);
    assert_int_equal(unsettled_rows(&fixture), 0);
    compare_file(&fixture, plain, 8 * MIB, 8 * MIB, 1);
    fixture_end(&fixture);
    free(bytes);
}

static void test_hash_after_restart(void **state)
{
    (void)state;
    hash_after_restart(false);
}

static void test_hash_after_power_cut(void **state)
{
    (void)state;
    hash_after_restart(true);
}

/* Lets SECONDS pass in which somebody reads LENGTH bytes every 100 ms. */
static void read_on(struct fixture *fixture, struct inode *inode, uint32_t length, unsigned seconds)
{
    uint8_t *bytes = malloc(length);
    unsigned i;

    assert_non_null(bytes);
    for (i = 0; i < seconds * 10; i++) {
        assert_int_equal(data_read(fixture, inode, 0, length, bytes, NULL, NULL), ERR_OK);
        simclock_advance_ms(100);
        simloop_run_until_idle(fixture->loop);
    }
    free(bytes);
}

/* A client that never rests, but does not do much, does not keep the store from hashing. One that does has
 * it hash little at a time. */
static void test_hash_beside_clients(void **state)
{
    enum { BLOCKS = 16 * MIB / STORE_BLOCK_SIZE };
    struct fixture fixture;
    struct inode *root, *inode;
    uint64_t ino;

    (void)state;
    fixture_start(&fixture, true);
    root = tree_root(&fixture, "space");
    ino = make_file(root, "file");
    write_file(&fixture, ino, 16 * MIB, MIB, 1);
    inode = data_inode_of(&fixture, ino);
    read_on(&fixture, inode, 4 * MIB, 8);
    assert_in_range(hashed(&fixture), 1, 8 * 8); /* a job of 8 a second */
    read_on(&fixture, inode, 4096, 4);
    assert_int_equal(hashed(&fixture), BLOCKS);
    inode_unref(&inode);
    inode_unref(&root);
    fixture_end(&fixture);
}

/* Small blocks between which most are deleted: punching can't win much there, compacting does. */
static void test_compaction(void **state)
{
    enum { SMALL = 3000, COUNT = 2000 };
    struct fixture fixture;
    struct inode *root, *inode;
    struct store_counters counters;
    uint64_t inos[COUNT], before, after, moved;
    uint8_t bytes[SMALL], read[SMALL];
    char name[20];
    int i;

    (void)state;
    fixture_start(&fixture, true);
    root = tree_root(&fixture, "space");
    before = simdisk_used_bytes(fixture.disk);
    for (i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "f%d", i);
        inos[i] = make_file(root, name);
        inode = data_inode_of(&fixture, inos[i]);
        fill(bytes, SMALL, (uint64_t)i);
        assert_int_equal(data_write(&fixture, inode, 0, bytes, SMALL, false), ERR_OK);
        inode_unref(&inode);
        if (i % 100 == 0)
            assert_int_equal(fixture_sync(&fixture), ERR_OK);
    }
    let_settle(&fixture, 10);
    assert_int_equal(stored(&fixture), COUNT * SMALL);
    for (i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "f%d", i);
        if (i % 10 != 0)
            remove_file(root, name);
    }
    inode_unref(&root);
    let_settle(&fixture, 10);
    store_counters(fixture.store, &counters);
    moved = counters.bytes_rewritten;
    fixture_restart(&fixture); /* the segment that was open is a closed one now */
    let_settle(&fixture, 20);
    assert_int_equal(stored(&fixture), COUNT / 10 * SMALL);
    after = simdisk_used_bytes(fixture.disk);
    assert_in_range(after, 0, before + 3 * MIB); /* of 6 that were written; the WAL is in it */
    store_counters(fixture.store, &counters);
    moved += counters.bytes_rewritten;
    assert_in_range(moved, COUNT / 20 * SMALL, COUNT / 10 * SMALL);
    for (i = 0; i < COUNT; i += 10) {
        inode = data_inode_of(&fixture, inos[i]);
        fill(bytes, SMALL, (uint64_t)i);
        assert_int_equal(data_read(&fixture, inode, 0, SMALL, read, NULL, NULL), ERR_OK);
        assert_memory_equal(read, bytes, SMALL - SMALL % 8);
        inode_unref(&inode);
    }
    fixture_end(&fixture);
}

static uint64_t reused(struct fixture *fixture)
{
    struct store_counters counters;

    store_counters(fixture->store, &counters);
    return counters.segments_reused;
}

static void count_segment(void *data, const char *name)
{
    *(unsigned *)data += strncmp(name, "seg-", 4) == 0;
}

static unsigned count_segments(struct fixture *fixture)
{
    unsigned count = 0;

    assert_int_equal(disk_list(fixture->disk, count_segment, &count), ERR_OK);
    return count;
}

/* A file that is written over gets the segments that it has left, also when the power goes; a minute later
 * they are gone, and whoever deletes something need not wait for that. */
static void test_segments_are_reused(void **state)
{
    struct fixture fixture;
    struct inode *root;
    uint64_t ino, round;

    (void)state;
    fixture_start(&fixture, true);
    root = tree_root(&fixture, "space");
    ino = make_file(root, "file");
    for (round = 0; round < 6; round++) {
        write_file(&fixture, ino, 16 * MIB, MIB, round);
        let_settle(&fixture, 5);
        compare_file(&fixture, ino, 16 * MIB, MIB, round);
    }
    assert_in_range(reused(&fixture), 8, 20);
    assert_in_range(count_segments(&fixture), 5, 10);
    let_settle(&fixture, 70);
    assert_in_range(count_segments(&fixture), 5, 6);
    write_file(&fixture, ino, 16 * MIB, MIB, 7);
    inode_unref(&root);

    fixture_crash(&fixture, 1);
    compare_file(&fixture, ino, 16 * MIB, MIB, 7);
    let_settle(&fixture, 5);
    assert_in_range(count_segments(&fixture), 5, 6);
    root = tree_root(&fixture, "space");
    for (round = 8; round < 10; round++) {
        write_file(&fixture, ino, 16 * MIB, MIB, round);
        let_settle(&fixture, 5);
    }
    assert_in_range(count_segments(&fixture), 7, 10);
    remove_file(root, "file");
    let_settle(&fixture, 3);
    assert_in_range(count_segments(&fixture), 0, 2);
    inode_unref(&root);
    fixture_end(&fixture);
}

static uint64_t number(struct fixture *fixture, const char *sql)
{
    sqlite3_stmt *statement = store__prepare(fixture->store, sql);
    uint64_t number;
    bool row;

    assert_non_null(statement);
    assert_int_equal(store__step(fixture->store, statement, &row), ERR_OK);
    number = row ? (uint64_t)sqlite3_column_int64(statement, 0) : 0;
    store__release(fixture->store, statement);
    return number;
}

static void run_sql(struct fixture *fixture, const char *sql)
{
    assert_int_equal(store__begin(fixture->store), ERR_OK);
    assert_int_equal(store__run(fixture->store, store__prepare(fixture->store, sql)), ERR_OK);
}

/* A store of format 1, whose records have no key, gets one with the first start, behind what it replays. */
static void test_format_1(void **state)
{
    struct fixture fixture;
    struct inode *root;
    uint64_t first, second;

    (void)state;
    fixture_start(&fixture, true);
    assert_int_not_equal(number(&fixture, "SELECT value FROM meta WHERE key = 'log key'"), 0);
    run_sql(&fixture, "DELETE FROM meta WHERE key = 'log key'");
    run_sql(&fixture, "PRAGMA user_version = 1");
    fixture.store->data->log.key = 0;
    root = tree_root(&fixture, "space");
    first = make_file(root, "first");
    write_file(&fixture, first, 6 * MIB, MIB, 1);
    inode_unref(&root);

    fixture_crash(&fixture, 1);
    assert_int_equal(number(&fixture, "PRAGMA user_version"), 2);
    assert_int_equal(number(&fixture, "SELECT value FROM meta WHERE key = 'log key'"),
                     fixture.store->data->log.key);
    assert_int_not_equal(fixture.store->data->log.key, 0);
    compare_file(&fixture, first, 6 * MIB, MIB, 1);
    root = tree_root(&fixture, "space");
    second = make_file(root, "second");
    write_file(&fixture, second, 6 * MIB, MIB, 2);
    inode_unref(&root);

    fixture_crash(&fixture, 2);
    compare_file(&fixture, first, 6 * MIB, MIB, 1);
    compare_file(&fixture, second, 6 * MIB, MIB, 2);
    fixture_end(&fixture);
}

/* A full disk refuses writes, not deleting, nor writes into what was allocated. */
static void test_full_disk(void **state)
{
    enum { STEP = 64 << 10 };
    struct fixture fixture;
    struct inode *root, *inode, *reserved;
    uint8_t *bytes = malloc(STEP);
    uint64_t written = 0, again = 0;
    enum err err;

    (void)state;
    assert_non_null(bytes);
    fixture_start(&fixture, true);
    simdisk_set_capacity(fixture.disk, 32 * MIB);
    root = tree_root(&fixture, "space");
    reserved = data_inode_of(&fixture, make_file(root, "reserved"));
    assert_int_equal(store_allocate(reserved, 0, 4 * MIB, false), ERR_OK);
    inode = data_inode_of(&fixture, make_file(root, "large"));
    for (err = ERR_OK; err == ERR_OK; written += STEP) {
        fill(bytes, STEP, written);
        err = data_write(&fixture, inode, written, bytes, STEP, false);
        if (written % MIB == 0)
            assert_int_equal(data_sync(&fixture, inode), ERR_OK);
    }
    assert_int_equal(err, ERR_NOSPC);
    assert_int_equal(store_health(fixture.store), ERR_OK);
    assert_in_range(written, 16 * MIB, 30 * MIB);
    assert_int_equal(data_sync(&fixture, inode), ERR_OK);
    assert_int_equal(store_allocate(inode, 64 * MIB, MIB, false), ERR_NOSPC);

    for (again = 0; again < 4 * MIB; again += STEP)
        assert_int_equal(data_write(&fixture, reserved, again, bytes, STEP, false), ERR_OK);
    assert_int_equal(data_sync(&fixture, reserved), ERR_OK);

    inode_unref(&inode);
    remove_file(root, "large");
    assert_int_equal(fixture_sync(&fixture), ERR_OK);
    let_settle(&fixture, 10);
    inode = data_inode_of(&fixture, make_file(root, "larger"));
    for (again = 0; again < written / 4 * 3; again += STEP) {
        fill(bytes, STEP, again + 1);
        assert_int_equal(data_write(&fixture, inode, again, bytes, STEP, false), ERR_OK);
        if (again % MIB == 0)
            assert_int_equal(data_sync(&fixture, inode), ERR_OK);
    }
    inode_unref(&inode);
    inode_unref(&reserved);
    inode_unref(&root);
    free(bytes);
    fixture_end(&fixture);
}

/* Others fill the disk: what is promised is what there is now. */
static void test_allocate_what_is_there(void **state)
{
    struct fixture fixture;
    struct inode *root, *inode;

    (void)state;
    fixture_start(&fixture, true);
    simdisk_set_capacity(fixture.disk, 64 * MIB);
    root = tree_root(&fixture, "space");
    inode = data_inode_of(&fixture, make_file(root, "file"));
    assert_int_equal(store_allocate(inode, 0, 8 * MIB, false), ERR_OK);
    simdisk_set_capacity(fixture.disk, simdisk_used_bytes(fixture.disk) + 12 * MIB);
    assert_int_equal(store_allocate(inode, 8 * MIB, 8 * MIB, false), ERR_NOSPC);
    assert_int_equal(store_allocate(inode, 8 * MIB, MIB, false), ERR_OK);
    assert_int_equal(store_allocate(inode, 0, 9 * MIB, false), ERR_OK); /* it has that already */
    inode_unref(&inode);
    inode_unref(&root);
    fixture_end(&fixture);
}

static unsigned warnings;

static void count_warning(enum log_level level, const char *line)
{
    warnings += level <= LOG_LEVEL_WARNING;
    print_message("%s\n", line);
}

/* The log's tail gets durable before records in front of it are written, which nobody needs any more: the
 * segment that they lie in has no file yet. It is left alone until it has, and then freed. */
static void test_freed_before_written(void **state)
{
    enum { PIECES = 7 };
    static const uint32_t pieces[PIECES] = {20 << 10, 36 << 10,  52 << 10, 60 << 10,
                                            76 << 10, 100 << 10, 124 << 10};

    (void)state;
    warnings = 0;
    log_set_sink(count_warning);
    for (int i = 0; i < PIECES; i++) {
        struct fixture fixture;
        struct inode *root, *inode;
        uint8_t *bytes = malloc(pieces[i]);
        uint32_t segment;
        uint64_t offset = 0;
        unsigned segments = 0;

        assert_non_null(bytes);
        fixture_start(&fixture, true);
        root = tree_root(&fixture, "space");
        inode = data_inode_of(&fixture, make_file(root, "file"));
        segment = fixture.store->data->log.segment;
        /* Up to the first piece of the next segment, which is not worth a write yet. */
        while (fixture.store->data->log.segment == segment) {
            simloop_run_until_idle(fixture.loop);
            fill(bytes, pieces[i], offset);
            assert_int_equal(data_write(&fixture, inode, offset, bytes, pieces[i], false), ERR_OK);
            offset += pieces[i];
        }
        remove_file(root, "file");
        inode_unref(&inode);
        assert_int_equal(fixture_sync(&fixture), ERR_OK);
        assert_int_equal(fixture_sync(&fixture), ERR_OK);
        let_settle(&fixture, 10);
        assert_int_equal(stored(&fixture), 0);
        assert_int_equal(disk_list(fixture.disk, count_segment, &segments), ERR_OK);
        assert_in_range(segments, 0, 1);
        inode_unref(&root);
        fixture_end(&fixture);
        free(bytes);
    }
    log_set_sink(NULL);
    assert_int_equal(warnings, 0);
}

static void swallow(enum log_level level, const char *line)
{
    (void)level;
    (void)line;
}

static void count_finding(void *data, const char *finding)
{
    (void)finding;
    ++*(unsigned *)data;
}

/* Flipped bits of a block are an error for the reader and a finding for the check; never other bytes. */
static void test_damage(void **state)
{
    struct fixture fixture;
    struct inode *root, *inode;
    uint8_t *bytes = malloc(MIB);
    unsigned findings = 0;
    uint64_t ino;

    (void)state;
    assert_non_null(bytes);
    fixture_start(&fixture, true);
    root = tree_root(&fixture, "space");
    ino = make_file(root, "file");
    write_file(&fixture, ino, MIB, MIB, 1);
    inode_unref(&root);
    fixture_restart(&fixture);
    /* the record's head fills a page, the payload begins behind it */
    assert_true(simdisk_corrupt(fixture.disk, "seg-00000001", 4096 + 300000, 0x10));
    inode = data_inode_of(&fixture, ino);
    log_set_sink(swallow);
    assert_int_equal(data_read(&fixture, inode, 0, MIB, bytes, NULL, NULL), ERR_CORRUPT);
    assert_int_equal(data_read(&fixture, inode, 300000, 1, bytes, NULL, NULL), ERR_CORRUPT);
    log_set_sink(NULL);
    assert_int_equal(data_read(&fixture, inode, 0, 131072, bytes, NULL, NULL), ERR_OK);
    inode_unref(&inode);
    assert_int_equal(fixture_stop(&fixture), ERR_OK);
    assert_int_equal(store_check(fixture.disk, count_finding, &findings), ERR_CORRUPT);
    assert_int_equal(findings, 1);
    assert_true(simdisk_corrupt(fixture.disk, "seg-00000001", 4096 + 300000, 0x10));
    fixture_open(&fixture);
    free(bytes);
    fixture_end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_files_on_disk),
        cmocka_unit_test(test_equal_after_settling),
        cmocka_unit_test(test_hash_backlog),
        cmocka_unit_test(test_hash_after_restart),
        cmocka_unit_test(test_hash_after_power_cut),
        cmocka_unit_test(test_hash_beside_clients),
        cmocka_unit_test(test_compaction),
        cmocka_unit_test(test_segments_are_reused),
        cmocka_unit_test(test_format_1),
        cmocka_unit_test(test_freed_before_written),
        cmocka_unit_test(test_allocate_what_is_there),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_damage),
    };

    log_set_level(LOG_LEVEL_WARNING);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
