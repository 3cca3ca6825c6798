/*
 * test_tree.c - files of many leaves and levels: windows around the ends of leaves and nodes against byte
 * arrays, with ranges and clones from window to window.
 */
#include "data_model.h"

#include "dittofs/hash.h"

enum { FILES = 3, WINDOWS = 6, WINDOW = 384 << 10 };
#define LEAF ((uint64_t)128 << 20)

/* Windows begin in front of ends of leaves, of nodes of level 1 and 2, and of the largest file. */
static const uint64_t bases[WINDOWS] = {
    0,
    LEAF - (128 << 10),
    3 * LEAF - (256 << 10),
    LEAF * 1024 - (128 << 10),
    LEAF * 1024 * 5 + 2 * LEAF - (128 << 10),
    STORE_FILE_SIZE_MAX - WINDOW,
};

struct sparse {
    uint64_t ino, size;
    uint8_t *bytes; /* WINDOWS * WINDOW */
};

struct world {
    struct fixture fixture;
    struct sparse files[FILES];
};

static uint64_t below(uint64_t most)
{
    return random_u64() % most;
}

/* The part of window W that lies in [OFFSET, END); false: none. */
static bool in_window(int w, uint64_t offset, uint64_t end, uint64_t *start_r, uint64_t *length_r)
{
    uint64_t low = offset > bases[w] ? offset : bases[w];
    uint64_t high = end < bases[w] + WINDOW ? end : bases[w] + WINDOW;

    if (low >= high)
        return false;
    *start_r = low;
    *length_r = high - low;
    return true;
}

static uint8_t *byte_at(struct sparse *file, int w, uint64_t offset)
{
    return file->bytes + (size_t)w * WINDOW + (offset - bases[w]);
}

static void clear(struct sparse *file, uint64_t offset, uint64_t end)
{
    uint64_t start, length;
    int w;

    for (w = 0; w < WINDOWS; w++)
        if (in_window(w, offset, end, &start, &length))
            memset(byte_at(file, w, start), 0, length);
}

static void compare(struct world *world, struct sparse *file)
{
    struct inode *inode = data_inode_of(&world->fixture, file->ino);
    uint8_t *bytes = malloc(WINDOW);
    uint32_t got;
    int w;

    assert_int_equal(inode_attr(inode)->size, file->size);
    for (w = 0; w < WINDOWS; w++) {
        assert_int_equal(data_read(&world->fixture, inode, bases[w], WINDOW, bytes, &got, NULL), ERR_OK);
        assert_int_equal(got, file->size <= bases[w]           ? 0
                              : file->size - bases[w] < WINDOW ? file->size - bases[w]
                                                               : WINDOW);
        if (memcmp(bytes, file->bytes + (size_t)w * WINDOW, got) != 0)
            fail_msg("inode %lu: window %d differs", (unsigned long)file->ino, w);
    }
    free(bytes);
    inode_unref(&inode);
}

static void step_write(struct world *world, struct sparse *file, struct inode *inode)
{
    int w = (int)below(WINDOWS);
    uint64_t offset = below(WINDOW / 512) * 512, length = 1 + below(160 << 10), i;
    uint8_t *bytes = malloc(length + 8);

    if (length > WINDOW - offset)
        length = WINDOW - offset;
    for (i = 0; i < length; i += 8)
        memcpy(bytes + i, &(uint64_t){random_u64()}, 8);
    assert_int_equal(data_write(&world->fixture, inode, bases[w] + offset, bytes, length, below(2)), ERR_OK);
    memcpy(byte_at(file, w, bases[w] + offset), bytes, length);
    if (bases[w] + offset + length > file->size)
        file->size = bases[w] + offset + length;
    free(bytes);
}

/* From near one base to near another. */
static void large_range(uint64_t *offset_r, uint64_t *end_r)
{
    uint64_t a = bases[below(WINDOWS)] + below(WINDOW / 4096) * 4096;
    uint64_t b = bases[below(WINDOWS)] + below(WINDOW / 4096) * 4096;

    *offset_r = a < b ? a : b;
    *end_r = (a < b ? b : a) + 4096;
}

/* Moves what the windows show, too: only between places where the windows lie alike. */
static void step_clone(struct world *world, struct sparse *to, struct inode *inode)
{
    struct sparse *from = &world->files[below(FILES)];
    struct inode *source = data_inode_of(&world->fixture, from->ino);
    uint64_t offset, end, start, length;
    int w;

    large_range(&offset, &end);
    if (below(4) == 0) {
        offset = 0;
        end = from->size;
    }
    if (end > from->size)
        end = from->size;
    if (from != to && offset < end) {
        assert_int_equal(store_clone(source, offset, inode, offset, end - offset), ERR_OK);
        for (w = 0; w < WINDOWS; w++)
            if (in_window(w, offset, end, &start, &length))
                memcpy(byte_at(to, w, start), byte_at(from, w, start), length);
        if (end > to->size)
            to->size = end;
    }
    inode_unref(&source);
}

/* One leaf of a file to another place of the same file: shared whole. */
static void step_clone_leaf(struct sparse *file, struct inode *inode)
{
    uint64_t offset, end;
    enum err err = store_clone(inode, 0, inode, 7 * LEAF, LEAF);

    if (file->size < LEAF) {
        assert_int_equal(err, ERR_INVAL);
        return;
    }
    assert_int_equal(err, ERR_OK);
    if (file->size < 8 * LEAF)
        file->size = 8 * LEAF;
    /* and back, into the fourth */
    assert_int_equal(store_clone(inode, 7 * LEAF, inode, 3 * LEAF, LEAF), ERR_OK);
    offset = 3 * LEAF;
    end = 4 * LEAF;
    clear(file, offset, end);
    memcpy(byte_at(file, 2, offset), byte_at(file, 0, 0), bases[2] + WINDOW - offset);
}

static void random_step(struct world *world)
{
    struct sparse *file = &world->files[below(FILES)];
    struct inode *inode = data_inode_of(&world->fixture, file->ino);
    uint64_t offset, end;

    large_range(&offset, &end);
    switch (below(14)) {
    case 0:
        assert_int_equal(store_truncate(inode, offset), ERR_OK);
        clear(file, offset, STORE_FILE_SIZE_MAX);
        file->size = offset;
        break;
    case 1:
        if (end > STORE_FILE_SIZE_MAX)
            end = STORE_FILE_SIZE_MAX;
        assert_int_equal(store_punch(inode, offset, end - offset), ERR_OK);
        clear(file, offset, end);
        break;
    case 2:
        if (end - offset <= LEAF * 1024 && end <= STORE_FILE_SIZE_MAX) {
            assert_int_equal(store_allocate(inode, offset, end - offset, false), ERR_OK);
            if (end > file->size)
                file->size = end;
        }
        break;
    case 3:
    case 4:
        step_clone(world, file, inode);
        break;
    case 5:
        step_clone_leaf(file, inode);
        break;
    case 6:
        simclock_advance_ms(below(2000));
        loop_run_once(world->fixture.loop, false);
        break;
    default:
        step_write(world, file, inode);
    }
    inode_unref(&inode);
}

static void run(uint64_t seed)
{
    struct world world;
    struct inode *root;
    int i, round, step;

    fixture_start(&world.fixture, true);
    random_set_seed(seed);
    root = tree_root(&world.fixture, "tree");
    for (i = 0; i < FILES; i++) {
        char name[8];

        snprintf(name, sizeof name, "f%d", i);
        world.files[i] = (struct sparse){.ino = make_file(root, name), .bytes = calloc(WINDOWS, WINDOW)};
        assert_non_null(world.files[i].bytes);
    }
    inode_unref(&root);
    assert_int_equal(fixture_sync(&world.fixture), ERR_OK);
    for (round = 0; round < 16; round++) {
        for (step = 0; step < 25; step++)
            random_step(&world);
        for (i = 0; i < FILES; i++)
            compare(&world, &world.files[i]);
        if (below(3) == 0) {
            fixture_restart(&world.fixture);
        } else if (below(2)) {
            for (i = 0; i < FILES; i++) {
                struct inode *inode = data_inode_of(&world.fixture, world.files[i].ino);

                assert_int_equal(data_sync(&world.fixture, inode), ERR_OK);
                inode_unref(&inode);
            }
            simloop_drop_all(world.fixture.loop);
            store_close(&world.fixture.store);
            simdisk_power_cut(world.fixture.disk, below(1000));
            assert_int_equal(store_check(world.fixture.disk, fixture_report, NULL), ERR_OK);
            fixture_open(&world.fixture);
        } else {
            simclock_advance_ms(4000);
            simloop_run_until_idle(world.fixture.loop);
        }
        for (i = 0; i < FILES; i++)
            compare(&world, &world.files[i]);
    }
    /* Removing them leaves nothing. */
    root = tree_root(&world.fixture, "tree");
    for (i = 0; i < FILES; i++) {
        char name[8];

        snprintf(name, sizeof name, "f%d", i);
        remove_file(root, name);
        free(world.files[i].bytes);
    }
    inode_unref(&root);
    for (i = 0; i < 40; i++) {
        simclock_advance_ms(500);
        simloop_run_until_idle(world.fixture.loop);
    }
    {
        struct store_space space;

        store_space(world.fixture.store, &space);
        assert_int_equal(space.stored_bytes, 0);
        assert_int_equal(space.logical_bytes, 0);
    }
    fixture_end(&world.fixture);
}

static void test_random(void **state)
{
    uint64_t seed;

    (void)state;
    for (seed = 1; seed <= 6; seed++)
        run(seed);
}

static void test_large_clone(void **state)
{
    struct fixture fixture;
    struct inode *root, *file, *copy;
    uint8_t byte = 'x', read;
    uint64_t i, before;

    (void)state;
    fixture_start(&fixture, true);
    root = tree_root(&fixture, "tree");
    file = data_inode_of(&fixture, make_file(root, "file"));
    copy = data_inode_of(&fixture, make_file(root, "copy"));
    for (i = 0; i < 80; i++)
        assert_int_equal(data_write(&fixture, file, i * LEAF, &byte, 1, false), ERR_OK);
    assert_int_equal(store_truncate(file, 80 * LEAF), ERR_OK); /* 10 GiB */
    assert_int_equal(store_clone(file, 0, copy, 0, 0), ERR_OK);
    assert_int_equal(inode_attr(copy)->size, 80 * LEAF);
    /* A change of either is not seen in the other. */
    byte = 'y';
    assert_int_equal(data_write(&fixture, copy, 5 * LEAF, &byte, 1, false), ERR_OK);
    assert_int_equal(data_read(&fixture, file, 5 * LEAF, 1, &read, NULL, NULL), ERR_OK);
    assert_int_equal(read, 'x');
    assert_int_equal(store_truncate(file, 0), ERR_OK);
    assert_int_equal(data_read(&fixture, copy, 6 * LEAF, 1, &read, NULL, NULL), ERR_OK);
    assert_int_equal(read, 'x');
    assert_int_equal(data_read(&fixture, copy, 5 * LEAF, 1, &read, NULL, NULL), ERR_OK);
    assert_int_equal(read, 'y');
    before = inode_attr(copy)->used;
    assert_int_equal(before, 80);
    inode_unref(&file);
    inode_unref(&copy);
    inode_unref(&root);
    fixture_end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_large_clone),
    };

    log_set_level(LOG_LEVEL_WARNING);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
