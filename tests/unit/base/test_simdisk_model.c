/*
 * test_simdisk_model.c - random calls on the simulated disk against a model of what may be left after a
 * power cut, and calls of several threads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "simdisk.h"
#include "simdisk_inode.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = SIMDISK_PAGE_BYTES };

static struct disk_file *open_file(struct disk *disk, const char *name)
{
    struct disk_file *file = NULL;

    assert_int_equal(disk_open(disk, name, DISK_READ | DISK_WRITE | DISK_CREATE, &file), ERR_OK);
    return file;
}

static void fill(struct disk_file *file, uint64_t offset, size_t length, uint8_t byte)
{
    uint8_t *bytes = malloc(length);

    memset(bytes, byte, length);
    assert_int_equal(disk_pwrite(file, bytes, length, offset), ERR_OK);
    free(bytes);
}

/* A disk with the file "f", its name durable, which holds LENGTH durable bytes 'o' (old). */
static struct disk *with_file(uint64_t seed, size_t length, struct disk_file **file_r)
{
    struct disk *disk = simdisk_new(seed);

    *file_r = open_file(disk, "f");
    if (length > 0)
        fill(*file_r, 0, length, 'o');
    assert_int_equal(disk_sync(*file_r), ERR_OK);
    assert_int_equal(disk_sync_names(disk), ERR_OK);
    return disk;
}

/* Cuts the power and opens "f" again; the old handle is closed. */
static void cut(struct disk *disk, uint64_t seed, struct disk_file **file)
{
    simdisk_power_cut(disk, seed);
    disk_close(file);
    assert_int_equal(disk_open(disk, "f", DISK_READ | DISK_WRITE, file), ERR_OK);
}

/*
 * Random calls against a model that keeps every image since the last good sync: after a power cut each byte
 * must come from one of them, and the size must lie between their sizes.
 */
enum { MODEL_BYTES = 6 * PAGE, MODEL_IMAGES = 24 };

struct model {
    uint8_t images[MODEL_IMAGES][MODEL_BYTES]; /* zeros behind their sizes */
    uint64_t sizes[MODEL_IMAGES];
    unsigned count;
};

static void model_step(struct model *model, struct disk_file *file, struct sim_random *random)
{
    unsigned now = model->count - 1;
    uint8_t *image = model->images[now + 1];
    uint64_t offset = sim_random_below(random, MODEL_BYTES - 1), size = model->sizes[now];
    size_t length = 1 + (size_t)sim_random_below(random, MODEL_BYTES - offset);

    memcpy(image, model->images[now], MODEL_BYTES);
    switch (sim_random_below(random, 8)) {
    case 0:
        assert_int_equal(disk_truncate(file, offset), ERR_OK);
        if (offset < size)
            memset(image + offset, 0, MODEL_BYTES - offset);
        size = offset;
        break;
    case 1: {
        uint64_t first = (offset + PAGE - 1) / PAGE * PAGE, end = (offset + length) / PAGE * PAGE;
        assert_int_equal(disk_punch(file, offset, length), ERR_OK);
        if (first < end)
            memset(image + first, 0, (size_t)(end - first));
        break;
    }
    default: {
        uint8_t byte = (uint8_t)(1 + sim_random_below(random, 255));
        fill(file, offset, length, byte);
        memset(image + offset, byte, length);
        size = offset + length > size ? offset + length : size;
    }
    }
    model->sizes[now + 1] = size;
    model->count++;
}

static void model_collapse(struct model *model, const uint8_t *image, uint64_t size)
{
    if (image != model->images[0])
        memmove(model->images[0], image, MODEL_BYTES);
    model->sizes[0] = size;
    model->count = 1;
}

static void model_check_live(const struct model *model, struct disk_file *file)
{
    uint8_t got[MODEL_BYTES + 1];
    size_t count = 0;

    assert_int_equal(disk_pread(file, got, sizeof got, 0, &count), ERR_OK);
    assert_int_equal(count, model->sizes[model->count - 1]);
    assert_memory_equal(got, model->images[model->count - 1], count);
}

static void model_check_cut(struct model *model, struct disk_file *file)
{
    uint8_t got[MODEL_BYTES + 1] = {0};
    uint64_t least = UINT64_MAX, most = 0;
    size_t count = 0;

    assert_int_equal(disk_pread(file, got, sizeof got, 0, &count), ERR_OK);
    for (unsigned i = 0; i < model->count; i++) {
        least = model->sizes[i] < least ? model->sizes[i] : least;
        most = model->sizes[i] > most ? model->sizes[i] : most;
    }
    assert_true(count >= least && count <= most);
    for (size_t at = 0; at < count; at++) {
        unsigned i = 0;
        while (i < model->count && model->images[i][at] != got[at])
            i++;
        assert_true(i < model->count);
    }
    model_collapse(model, got, count);
}

static void random_calls(void **state)
{
    struct model *model = calloc(1, sizeof *model);

    (void)state;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct sim_random random = {.state = seed};
        struct disk_file *file;
        struct disk *disk = with_file(seed, 0, &file);

        memset(model->images[0], 0, MODEL_BYTES);
        model_collapse(model, model->images[0], 0);
        for (int step = 0; step < 60; step++) {
            uint64_t what = sim_random_below(&random, 10);
            if (what == 0) {
                cut(disk, sim_random_next(&random), &file);
                model_check_cut(model, file);
            } else if (what == 1 || model->count == MODEL_IMAGES) {
                assert_int_equal(disk_sync(file), ERR_OK);
                model_collapse(model, model->images[model->count - 1], model->sizes[model->count - 1]);
            } else {
                model_step(model, file, &random);
            }
            model_check_live(model, file);
        }
        disk_close(&file);
        assert_int_equal(disk_unlink(disk, "f"), ERR_OK);
        assert_int_equal(disk_sync_names(disk), ERR_OK);
        assert_int_equal(simdisk_used_bytes(disk), 0);
        disk_destroy(&disk);
    }
    free(model);
}

static void *write_own_range(void *argument)
{
    struct disk_file *file = *(struct disk_file **)argument;
    static _Atomic uint64_t next;
    uint64_t mine = next++;

    for (uint64_t i = 0; i < 200; i++) {
        uint8_t bytes[300];
        memset(bytes, (int)(mine + 1), sizeof bytes);
        if (disk_pwrite(file, bytes, sizeof bytes, mine * 200 * 300 + i * 300) != ERR_OK)
            return file;
        if (i % 50 == 0 && disk_sync(file) != ERR_OK)
            return file;
    }
    return NULL;
}

static void many_threads(void **state)
{
    struct disk_file *file;
    struct disk *disk = with_file(1, 0, &file);
    pthread_t threads[4];
    void *failed;

    (void)state;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_own_range, &file), 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    for (uint64_t at = 0; at < 4 * 200 * 300; at++) {
        uint8_t byte = 0;
        size_t got = 0;
        assert_int_equal(disk_pread(file, &byte, 1, at, &got), ERR_OK);
        assert_int_equal(got, 1);
        assert_int_equal(byte, at / (200 * 300) + 1);
    }
    disk_close(&file);
    disk_destroy(&disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_calls),
        cmocka_unit_test(many_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
