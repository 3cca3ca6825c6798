/*
 * test_data.c - file data: every call against byte arrays, across flushes, restarts and crashes.
 */
#include "data_model.h"
#include "store/core_priv.h"

#include "dittofs/hash.h"

enum { FILES = 4, CAPACITY = 2 << 20 };

struct world {
    struct fixture fixture;
    struct model_file files[FILES];
    uint8_t *scratch;
};

static uint64_t below(uint64_t most)
{
    return random_u64() % most;
}

static void world_start(struct world *world)
{
    struct inode *root;
    int i;

    fixture_start(&world->fixture, true);
    root = tree_root(&world->fixture, "data");
    for (i = 0; i < FILES; i++) {
        char name[8];

        snprintf(name, sizeof name, "f%d", i);
        model_init(&world->files[i], make_file(root, name), CAPACITY);
    }
    inode_unref(&root);
    assert_int_equal(fixture_sync(&world->fixture), ERR_OK);
    world->scratch = malloc(CAPACITY);
    assert_non_null(world->scratch);
}

static void world_end(struct world *world)
{
    int i;

    for (i = 0; i < FILES; i++)
        model_free(&world->files[i]);
    free(world->scratch);
    fixture_end(&world->fixture);
}

/* A range as clients ask for: aligned or not, small or large. */
static void random_range(uint64_t *offset_r, uint64_t *length_r)
{
    static const uint32_t grains[] = {1, 512, 4096, 65536, 131072};
    uint64_t grain = grains[below(5)], offset = below(CAPACITY / grain) * grain;
    uint64_t length = (1 + below(grain == 1 ? 20000 : 12)) * grain;

    *offset_r = offset;
    *length_r = length > CAPACITY - offset ? CAPACITY - offset : length;
}

static void fill_random(uint8_t *bytes, uint64_t length)
{
    /* One in three has content that others have, too. */
    uint64_t x = below(3) ? random_u64() : below(4), i;

    for (i = 0; i + 8 <= length; i += 8)
        memcpy(bytes + i, &(uint64_t){hash_u64(x + i)}, 8);
    memset(bytes + i, (int)x, length - i);
}

static void step_write(struct world *world, struct model_file *file, struct inode *inode)
{
    uint64_t offset, length;

    random_range(&offset, &length);
    fill_random(world->scratch, length);
    assert_int_equal(data_write(&world->fixture, inode, offset, world->scratch, length, below(2)), ERR_OK);
    model_write(file, offset, world->scratch, length);
}

static void step_clone(struct world *world, struct model_file *file, struct inode *inode)
{
    struct model_file *other = &world->files[below(FILES)];
    struct inode *source = data_inode_of(&world->fixture, other->ino);
    uint64_t from = below(other->size / 4096 + 1) * 4096, to, length;
    enum err err;

    if (below(3) == 0)
        from = 0;
    to = below(2) ? from : below(CAPACITY / 4096) * 4096;
    if (from > other->size)
        from = 0;
    length = other->size - from;
    if (length > 4096 && below(2))
        length = (1 + below(length / 4096)) * 4096;
    if (length > other->size - from)
        length = other->size - from;
    if (length > CAPACITY - to)
        length = (CAPACITY - to) / 4096 * 4096;
    err = store_clone(source, from, inode, to, length);
    if (length == 0) {
        assert_int_equal(err, from == other->size ? ERR_OK : ERR_OK);
        if (from < other->size) { /* 0 means to the end */
            length = other->size - from;
            assert_true(to + length <= CAPACITY);
            model_clone(other, from, file, to, length);
        }
    } else if (other == file && from < to + length && to < from + length) {
        assert_int_equal(err, ERR_INVAL);
    } else {
        assert_int_equal(err, ERR_OK);
        model_clone(other, from, file, to, length);
    }
    inode_unref(&source);
}

static void random_step(struct world *world)
{
    struct model_file *file = &world->files[below(FILES)];
    struct inode *inode = data_inode_of(&world->fixture, file->ino);
    uint64_t offset, length;
    bool keep;

    random_range(&offset, &length);
    switch (below(12)) {
    case 0:
        length = below(2) ? below(CAPACITY) : below(CAPACITY / 4096) * 4096;
        assert_int_equal(store_truncate(inode, length), ERR_OK);
        model_truncate(file, length);
        break;
    case 1:
        assert_int_equal(store_punch(inode, offset, length), ERR_OK);
        model_clear(file, offset, length);
        break;
    case 2:
        keep = below(2);
        assert_int_equal(store_allocate(inode, offset, length, keep), ERR_OK);
        model_allocate(file, offset, length, keep);
        break;
    case 3:
        step_clone(world, file, inode);
        break;
    case 4:
        model_compare_range(&world->fixture, file, offset, (uint32_t)length);
        break;
    case 5:
        simclock_advance_ms(below(1500));
        loop_run_once(world->fixture.loop, false);
        break;
    default:
        step_write(world, file, inode);
    }
    inode_unref(&inode);
}

static void compare_all(struct world *world)
{
    int i;

    for (i = 0; i < FILES; i++)
        model_compare(&world->fixture, &world->files[i]);
}

static void sync_all(struct world *world)
{
    int i;

    for (i = 0; i < FILES; i++) {
        struct inode *inode = data_inode_of(&world->fixture, world->files[i].ino);

        assert_int_equal(data_sync(&world->fixture, inode), ERR_OK);
        inode_unref(&inode);
    }
}

static void run_random(uint64_t seed)
{
    struct world world;
    int round, step;

    world_start(&world);
    random_set_seed(seed);
    simdisk_set_nowait(world.fixture.disk, SIMDISK_NOWAIT_RANDOM);
    for (round = 0; round < 25; round++) {
        for (step = 0; step < 40; step++)
            random_step(&world);
        compare_all(&world);
        switch (below(4)) {
        case 0:
            fixture_restart(&world.fixture);
            assert_int_equal(store_check(world.fixture.disk, fixture_report, NULL), ERR_OK);
            break;
        case 1:
            sync_all(&world);
            fixture_crash(&world.fixture, below(1000000));
            break;
        case 2:
            simclock_advance_ms(4000);
            simloop_run_until_idle(world.fixture.loop);
            break;
        default:
            break;
        }
        compare_all(&world);
    }
    world_end(&world);
}

static void test_random(void **state)
{
    uint64_t seed;

    (void)state;
    for (seed = 1; seed <= 4; seed++)
        run_random(seed);
}

/* ---- reads by workers ---- */

enum { READS = 6, READ_BYTES = 256 * 1024 };

struct reads {
    struct data_wait waits[READS];
    uint8_t *bytes[READS];
};

static void begin_read(struct world *world, struct reads *reads, unsigned i, enum err wanted)
{
    struct data_wait *wait = &reads->waits[i];

    reads->bytes[i] = malloc(READ_BYTES);
    assert_non_null(reads->bytes[i]);
    *wait = (struct data_wait){.read = {.inode = data_inode_of(&world->fixture, world->files[0].ino),
                                        .length = READ_BYTES,
                                        .buffer = reads->bytes[i],
                                        .done = data_read_done,
                                        .waits_for_disk = data_read_waits}};
    assert_int_equal(store_read(&wait->read), wanted);
    if (wanted == ERR_OK)
        wait->done = true;
}

static void end_read(struct world *world, struct reads *reads, unsigned i)
{
    struct data_wait *wait = &reads->waits[i];

    assert_true(wait->done);
    assert_int_equal(wait->err, ERR_OK);
    assert_int_equal(wait->read.got, READ_BYTES);
    assert_memory_equal(reads->bytes[i], world->files[0].bytes, READ_BYTES);
    inode_unref(&wait->read.inode);
    free(reads->bytes[i]);
}

/* A file whose bytes are on the disk and not in the store's memory. */
static void make_stored(struct world *world)
{
    struct inode *inode = data_inode_of(&world->fixture, world->files[0].ino);

    random_set_seed(11);
    fill_random(world->scratch, READ_BYTES);
    assert_int_equal(data_write(&world->fixture, inode, 0, world->scratch, READ_BYTES, false), ERR_OK);
    model_write(&world->files[0], 0, world->scratch, READ_BYTES);
    inode_unref(&inode);
    fixture_restart(&world->fixture);
    simloop_run_until_idle(world->fixture.loop);
}

/* What is in the page cache a worker reads, and nobody is told; of the disk they are told, once. Workers that
 * have much to do are left alone. */
static void by_worker(void **state)
{
    static const enum simdisk_nowait hows[] = {SIMDISK_NOWAIT_READS, SIMDISK_NOWAIT_AGAIN};
    struct world world;

    (void)state;
    world_start(&world);
    make_stored(&world);
    for (unsigned k = 0; k < 2; k++) {
        struct reads reads;

        simdisk_set_nowait(world.fixture.disk, hows[k]);
        for (unsigned i = 0; i < READS; i++)
            begin_read(&world, &reads, i, i >= 4 && k == 0 ? ERR_OK : ERR_WAIT);
        simloop_run_until_idle(world.fixture.loop);
        for (unsigned i = 0; i < READS; i++) {
            assert_int_equal(reads.waits[i].told, k == 1);
            end_read(&world, &reads, i);
        }
    }
    world_end(&world);
}

/* A job that goes again for the disk is as old as it was: what it reads is not given back before. */
static void keeps_its_age(void **state)
{
    struct world world;
    struct data *data;
    struct reads reads;
    uint64_t next;

    (void)state;
    world_start(&world);
    make_stored(&world);
    data = world.fixture.store->data;
    simdisk_set_nowait(world.fixture.disk, SIMDISK_NOWAIT_AGAIN);
    begin_read(&world, &reads, 0, ERR_WAIT);
    next = data->next_job;
    assert_false(jobs_are_back(data, next));
    begin_read(&world, &reads, 1, ERR_WAIT);
    while (reads.waits[0].told == 0)
        loop_run_once(world.fixture.loop, true);
    assert_false(jobs_are_back(data, next));
    while (!reads.waits[0].done)
        loop_run_once(world.fixture.loop, true);
    assert_true(jobs_are_back(data, next));
    simloop_run_until_idle(world.fixture.loop);
    end_read(&world, &reads, 0);
    end_read(&world, &reads, 1);
    world_end(&world);
}

/* Without a worker for the second way the loop goes it. */
static void no_worker(void **state)
{
    struct world world;
    struct reads reads;

    (void)state;
    world_start(&world);
    make_stored(&world);
    simdisk_set_nowait(world.fixture.disk, SIMDISK_NOWAIT_AGAIN);
    begin_read(&world, &reads, 0, ERR_WAIT);
    simloop_refuse_jobs(world.fixture.loop, 1);
    simloop_run_until_idle(world.fixture.loop);
    end_read(&world, &reads, 0);
    begin_read(&world, &reads, 0, ERR_OK);
    end_read(&world, &reads, 0);
    simloop_refuse_jobs(world.fixture.loop, 0);
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(by_worker),
        cmocka_unit_test(keeps_its_age),
        cmocka_unit_test(no_worker),
    };

    log_set_level(LOG_LEVEL_WARNING);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
