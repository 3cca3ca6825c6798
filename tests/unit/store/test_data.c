/*
 * test_data.c - file data: every call against byte arrays, across flushes, restarts and crashes.
 */
#include "data_model.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
    };

    log_set_level(LOG_LEVEL_WARNING);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
