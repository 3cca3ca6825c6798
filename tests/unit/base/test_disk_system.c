/*
 * test_disk_system.c - the system's disk in a folder of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dittofs/disk.h"
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/test-disk-XXXXXX";
static char path[64];
static struct disk *disk;

static int open_disk(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/state", folder);
    return disk_open_folder(path, &disk) == ERR_OK ? 0 : -1;
}

static int remove_disk(void **state)
{
    DIR *listing = opendir(path);
    struct dirent *entry;

    (void)state;
    disk_destroy(&disk);
    disk_destroy(&disk);
    while ((entry = readdir(listing)) != NULL)
        unlinkat(dirfd(listing), entry->d_name, 0);
    closedir(listing);
    return rmdir(path) == 0 && rmdir(folder) == 0 ? 0 : -1;
}

static struct disk_file *make(const char *name)
{
    struct disk_file *file = NULL;

    assert_int_equal(disk_open(disk, name, DISK_READ | DISK_WRITE | DISK_CREATE | DISK_EXCLUSIVE, &file),
                     ERR_OK);
    return file;
}

static void check(struct disk_file *file, uint64_t offset, const void *expected, size_t length)
{
    uint8_t *got = malloc(length + 1);
    size_t count = 0;

    assert_int_equal(disk_pread(file, got, length, offset, &count), ERR_OK);
    assert_int_equal(count, length);
    assert_memory_equal(got, expected, length);
    free(got);
}

static void folder_and_lock(void **state)
{
    struct disk *second = NULL;
    struct stat status;
    char missing[96];

    (void)state;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    assert_int_equal(disk_open_folder(path, &second), ERR_BUSY);
    assert_null(second);
    disk_destroy(&disk);
    assert_null(disk);
    assert_int_equal(disk_open_folder(path, &disk), ERR_OK);
    snprintf(missing, sizeof missing, "%s/no/such", folder);
    assert_int_equal(disk_open_folder(missing, &second), ERR_NOENT);
    snprintf(missing, sizeof missing, "%s/lock", path);
    assert_int_equal(disk_open_folder(missing, &second), ERR_NOTDIR);
}

static void opening(void **state)
{
    struct disk_file *file = NULL;

    (void)state;
    assert_int_equal(disk_open(disk, "a", DISK_READ, &file), ERR_NOENT);
    assert_null(file);
    assert_int_equal(disk_open(disk, "a", DISK_READ | DISK_WRITE | DISK_CREATE, &file), ERR_OK);
    disk_close(&file);
    assert_null(file);
    disk_close(&file);
    assert_int_equal(disk_open(disk, "a", DISK_WRITE | DISK_CREATE | DISK_EXCLUSIVE, &file), ERR_EXIST);
    assert_int_equal(disk_open(disk, "a", DISK_WRITE, &file), ERR_OK);
    assert_int_equal(disk_pwrite(file, "x", 1, 0), ERR_OK);
    disk_close(&file);
    assert_int_equal(disk_open(disk, "a", DISK_READ, &file), ERR_OK);
    check(file, 0, "x", 1);
    assert_int_not_equal(disk_pwrite(file, "y", 1, 0), ERR_OK);
    disk_close(&file);
    assert_int_equal(disk_unlink(disk, "a"), ERR_OK);
    assert_int_equal(disk_unlink(disk, "a"), ERR_NOENT);
    assert_int_equal(disk_sync_names(disk), ERR_OK);
}

static void reading_and_writing(void **state)
{
    struct disk_file *file = make("data");
    uint8_t bytes[100];
    uint64_t size;
    size_t got = 42;

    (void)state;
    assert_int_equal(disk_pread(file, bytes, 10, 0, &got), ERR_OK);
    assert_int_equal(got, 0);
    assert_int_equal(disk_pwrite(file, "hello", 5, 10), ERR_OK);
    assert_int_equal(disk_size(file, &size), ERR_OK);
    assert_int_equal(size, 15);
    assert_int_equal(disk_pread(file, bytes, sizeof bytes, 8, &got), ERR_OK);
    assert_int_equal(got, 7);
    assert_memory_equal(bytes, "\0\0hello", 7);
    assert_int_equal(disk_pread(file, bytes, sizeof bytes, 15, &got), ERR_OK);
    assert_int_equal(got, 0);
    assert_int_equal(disk_pread(file, bytes, 1, UINT64_MAX, &got), ERR_INVAL);
    assert_int_equal(disk_pwrite(file, "x", 1, UINT64_MAX), ERR_INVAL);
    assert_int_equal(disk_pwrite(file, "x", 0, 3), ERR_OK);
    assert_int_equal(disk_sync(file), ERR_OK);
    assert_int_equal(disk_truncate(file, 12), ERR_OK);
    assert_int_equal(disk_truncate(file, 14), ERR_OK);
    check(file, 10, "he\0\0", 4);
    assert_int_equal(disk_truncate(file, UINT64_MAX), ERR_INVAL);
    disk_close(&file);
    assert_int_equal(disk_unlink(disk, "data"), ERR_OK);
}

/* More parts than one system call takes, empty ones among them. */
static void long_vectors(void **state)
{
    enum { PARTS = 5000 };
    struct iovec *vector = calloc(PARTS, sizeof *vector);
    uint8_t *bytes = malloc(PARTS * 7);
    struct disk_file *file = make("vector");
    size_t length = 0;
    uint64_t size;

    (void)state;
    for (size_t i = 0; i < PARTS * 7; i++)
        bytes[i] = (uint8_t)(i * 31 >> 3);
    for (size_t i = 0; i < PARTS; i++) {
        vector[i] = (struct iovec){.iov_base = bytes + length, .iov_len = i * i % 8};
        length += i * i % 8;
    }
    assert_int_equal(disk_pwritev(file, vector, PARTS, 3), ERR_OK);
    assert_int_equal(disk_size(file, &size), ERR_OK);
    assert_int_equal(size, 3 + length);
    check(file, 3, bytes, length);
    for (size_t i = 0; i < PARTS; i++)
        vector[i].iov_len = 0;
    assert_int_equal(disk_pwritev(file, vector, PARTS, 0), ERR_OK);
    assert_int_equal(disk_pwritev(file, vector, 0, 0), ERR_OK);
    disk_close(&file);
    assert_int_equal(disk_unlink(disk, "vector"), ERR_OK);
    free(vector);
    free(bytes);
}

/* The system writes a part and then refuses: the part is there, the error comes up. */
static void short_writes(void **state)
{
    struct rlimit before, limited;
    struct disk_file *file = make("short");
    uint8_t bytes[3000];
    uint64_t size;
    enum err err;

    (void)state;
    memset(bytes, 'x', sizeof bytes);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limited = before;
    limited.rlim_cur = 1000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limited), 0);
    err = disk_pwrite(file, bytes, sizeof bytes, 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(err, ERR_FBIG);
    assert_int_equal(disk_size(file, &size), ERR_OK);
    assert_int_equal(size, 1000);
    disk_close(&file);
    assert_int_equal(disk_unlink(disk, "short"), ERR_OK);
}

static void nowait(void **state)
{
    struct disk_file *file = make("nowait");
    uint8_t written[8192], got[8192];
    size_t count = 0;
    enum err err;

    (void)state;
    memset(written, 'w', sizeof written);
    assert_int_equal(disk_pwrite(file, written, sizeof written, 0), ERR_OK);
    err = disk_pread_nowait(file, got, sizeof got, 0, &count);
    assert_true(err == ERR_OK || err == ERR_AGAIN);
    if (err == ERR_OK) {
        assert_true(count > 0 && count <= sizeof got);
        assert_memory_equal(got, written, count);
        assert_int_equal(disk_pread_nowait(file, got, sizeof got, 8192, &count), ERR_OK);
        assert_int_equal(count, 0);
    }
    assert_int_equal(disk_pread_nowait(file, got, 1, UINT64_MAX, &count), ERR_INVAL);
    disk_close(&file);
    assert_int_equal(disk_unlink(disk, "nowait"), ERR_OK);
}

static void allocate_and_punch(void **state)
{
    struct disk_file *file = make("space");
    uint8_t *expected = malloc(5 * 4096);
    struct stat status;
    char full[96];
    uint64_t size;
    enum err err;

    (void)state;
    snprintf(full, sizeof full, "%s/space", path);
    err = disk_allocate(file, 0, 1 << 20);
    assert_true(err == ERR_OK || err == ERR_NOTSUPP);
    assert_int_equal(disk_size(file, &size), ERR_OK);
    assert_int_equal(size, 0);
    assert_int_equal(stat(full, &status), 0);
    if (err == ERR_OK)
        assert_true(status.st_blocks >= (1 << 20) / 512);
    assert_int_equal(disk_allocate(file, UINT64_MAX, 1), ERR_INVAL);
    assert_int_equal(disk_allocate(file, 0, 0), ERR_OK);

    memset(expected, 'p', 5 * 4096);
    assert_int_equal(disk_pwrite(file, expected, 5 * 4096, 0), ERR_OK);
    assert_int_equal(disk_punch(file, 100, 4096), ERR_OK); /* no whole page in it */
    check(file, 0, expected, 5 * 4096);
    err = disk_punch(file, 4000, 2 * 4096 + 200);
    assert_true(err == ERR_OK || err == ERR_NOTSUPP);
    if (err == ERR_OK) {
        memset(expected + 4096, 0, 2 * 4096);
        check(file, 0, expected, 5 * 4096);
    }
    assert_int_equal(disk_punch(file, UINT64_MAX - 10, 5), ERR_INVAL);
    assert_int_equal(disk_size(file, &size), ERR_OK);
    assert_int_equal(size, 5 * 4096);
    disk_close(&file);
    assert_int_equal(disk_unlink(disk, "space"), ERR_OK);
    free(expected);
}

struct names {
    char text[256];
    int count;
};

static void add_name(void *data, const char *name)
{
    struct names *names = data;
    size_t length = strlen(names->text);

    names->count++;
    snprintf(names->text + length, sizeof names->text - length, "%s ", name);
}

static void listing_and_space(void **state)
{
    struct disk_file *one = make("one"), *two = make("two");
    struct names names = {.count = 0};
    struct disk_space space;

    (void)state;
    /* The lock file is not shown. */
    assert_int_equal(disk_list(disk, add_name, &names), ERR_OK);
    assert_int_equal(names.count, 2);
    assert_true(strcmp(names.text, "one two ") == 0 || strcmp(names.text, "two one ") == 0);
    assert_int_equal(disk_list(disk, add_name, &names), ERR_OK);
    assert_int_equal(names.count, 4);
    assert_int_equal(disk_space(disk, &space), ERR_OK);
    assert_true(space.total_bytes > 0 && space.free_bytes <= space.total_bytes);
    disk_close(&one);
    disk_close(&two);
    assert_int_equal(disk_unlink(disk, "one"), ERR_OK);
    assert_int_equal(disk_unlink(disk, "two"), ERR_OK);
}

static void renaming(void **state)
{
    struct disk_file *one = make("one"), *two = make("two"), *again;

    (void)state;
    assert_int_equal(disk_pwrite(one, "1", 1, 0), ERR_OK);
    assert_int_equal(disk_rename(disk, "one", "two"), ERR_EXIST);
    assert_int_equal(disk_rename(disk, "none", "three"), ERR_NOENT);
    assert_int_equal(disk_rename(disk, "one", "three"), ERR_OK);
    assert_int_equal(disk_sync_names(disk), ERR_OK);
    assert_int_equal(disk_open(disk, "one", DISK_READ, &again), ERR_NOENT);
    assert_int_equal(disk_open(disk, "three", DISK_READ, &again), ERR_OK);
    check(again, 0, "1", 1);
    assert_int_equal(disk_pwrite(one, "3", 1, 0), ERR_OK); /* a handle from before */
    check(again, 0, "3", 1);
    disk_close(&again);
    disk_close(&one);
    disk_close(&two);
    assert_int_equal(disk_unlink(disk, "two"), ERR_OK);
    assert_int_equal(disk_unlink(disk, "three"), ERR_OK);
}

/* A link planted in the folder leads nowhere. */
static void links_are_not_followed(void **state)
{
    struct disk_file *file = NULL;
    char link[96];

    (void)state;
    snprintf(link, sizeof link, "%s/planted", path);
    assert_int_equal(symlink("/etc/passwd", link), 0);
    assert_int_not_equal(disk_open(disk, "planted", DISK_READ, &file), ERR_OK);
    assert_null(file);
    assert_int_equal(disk_unlink(disk, "planted"), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folder_and_lock),        cmocka_unit_test(opening),
        cmocka_unit_test(reading_and_writing),    cmocka_unit_test(long_vectors),
        cmocka_unit_test(short_writes),           cmocka_unit_test(nowait),
        cmocka_unit_test(allocate_and_punch),     cmocka_unit_test(listing_and_space),
        cmocka_unit_test(links_are_not_followed), cmocka_unit_test(renaming),
    };

    return cmocka_run_group_tests(tests, open_disk, remove_disk);
}
