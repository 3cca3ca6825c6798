/*
 * test_simdisk.c - what the simulated disk promises: it keeps what was synced, loses the rest by chance
 * and in every way it claims to, fails when told, and never gives bytes that nobody wrote.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "simdisk.h"
#include <stdlib.h>
#include <string.h>

enum { SECTOR = SIMDISK_SECTOR_BYTES, PAGE = SIMDISK_PAGE_BYTES, SEEDS = 64 };

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

static uint8_t byte_at(struct disk_file *file, uint64_t offset)
{
    uint8_t byte = 0;
    size_t got = 0;

    assert_int_equal(disk_pread(file, &byte, 1, offset, &got), ERR_OK);
    assert_int_equal(got, 1);
    return byte;
}

static uint64_t size_of(struct disk_file *file)
{
    uint64_t size = 0;

    assert_int_equal(disk_size(file, &size), ERR_OK);
    return size;
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

static void behaves_as_a_disk(void **state)
{
    struct disk *disk = simdisk_new(1);
    struct disk_file *file = NULL;
    struct iovec vector[] = {{"abc", 3}, {"", 0}, {"defgh", 5}};
    uint8_t bytes[20];
    size_t got = 42;

    (void)state;
    assert_int_equal(disk_open(disk, "a", DISK_READ, &file), ERR_NOENT);
    assert_int_equal(disk_unlink(disk, "a"), ERR_NOENT);
    file = open_file(disk, "a");
    assert_int_equal(disk_open(disk, "a", DISK_WRITE | DISK_CREATE | DISK_EXCLUSIVE, &file), ERR_EXIST);
    assert_int_equal(disk_pwritev(file, vector, 3, PAGE - 2), ERR_OK);
    assert_int_equal(size_of(file), PAGE + 6);
    assert_int_equal(disk_pread(file, bytes, sizeof bytes, PAGE - 4, &got), ERR_OK);
    assert_int_equal(got, 10);
    assert_memory_equal(bytes, "\0\0abcdefgh", 10);
    assert_int_equal(disk_pread(file, bytes, 1, PAGE + 6, &got), ERR_OK);
    assert_int_equal(got, 0);
    assert_int_equal(disk_truncate(file, PAGE + 1), ERR_OK);
    assert_int_equal(disk_truncate(file, 3 * PAGE), ERR_OK);
    assert_int_equal(byte_at(file, PAGE), 'c');
    for (uint64_t at = PAGE + 1; at < 3 * PAGE; at += 5)
        assert_int_equal(byte_at(file, at), 0);
    fill(file, 0, 3 * PAGE, 'x');
    assert_int_equal(disk_punch(file, 1, 2 * PAGE), ERR_OK);
    assert_int_equal(byte_at(file, PAGE - 1), 'x');
    assert_int_equal(byte_at(file, PAGE), 0);
    assert_int_equal(byte_at(file, 2 * PAGE - 1), 0);
    assert_int_equal(byte_at(file, 2 * PAGE), 'x');
    /* An unlinked file lives on with its handle. */
    assert_int_equal(disk_unlink(disk, "a"), ERR_OK);
    assert_int_equal(byte_at(file, 0), 'x');
    assert_int_equal(simdisk_open_handles(disk), 1);
    disk_close(&file);
    assert_int_equal(simdisk_open_handles(disk), 0);
    assert_int_equal(simdisk_used_bytes(disk), 0);
    disk_destroy(&disk);
}

static void keeps_what_was_synced(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct disk_file *file;
        struct disk *disk = with_file(seed, 10000, &file);

        for (int again = 0; again < 3; again++) {
            cut(disk, seed + 1000, &file);
            assert_int_equal(size_of(file), 10000);
            for (uint64_t at = 0; at < 10000; at += 100)
                assert_int_equal(byte_at(file, at), 'o');
        }
        disk_close(&file);
        disk_destroy(&disk);
    }
}

/* Sectors of an overwrite that was not synced: each is wholly old or new, and every mixture occurs. */
static void tears_at_sectors(void **state)
{
    unsigned whole = 0, none = 0, mixed = 0, torn_page = 0;

    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct disk_file *file;
        struct disk *disk = with_file(seed, 4 * PAGE, &file);
        unsigned kept = 0, kept_in_first_page = 0;

        fill(file, 0, 4 * PAGE, 'n');
        cut(disk, seed, &file);
        assert_int_equal(size_of(file), 4 * PAGE);
        for (uint64_t sector = 0; sector < 32; sector++) {
            uint8_t first = byte_at(file, sector * SECTOR);
            assert_true(first == 'o' || first == 'n');
            for (uint64_t at = 1; at < SECTOR; at += 73)
                assert_int_equal(byte_at(file, sector * SECTOR + at), first);
            kept += first == 'n';
            kept_in_first_page += sector < 8 && first == 'n';
        }
        whole += kept == 32;
        none += kept == 0;
        mixed += kept > 0 && kept < 32;
        torn_page += kept_in_first_page > 0 && kept_in_first_page < 8;
        disk_close(&file);
        disk_destroy(&disk);
    }
    assert_true(whole > 0 && none > 0 && mixed > SEEDS / 3 && torn_page > 0);
}

static void same_seed_same_outcome(void **state)
{
    uint8_t first[8 * PAGE], second[8 * PAGE];
    size_t first_got = 0, second_got = 0;

    (void)state;
    for (int run = 0; run < 2; run++) {
        struct disk_file *file;
        struct disk *disk = with_file(5, 4 * PAGE, &file);

        for (uint64_t i = 0; i < 30; i++)
            fill(file, i * 1000, 900, (uint8_t)i);
        cut(disk, 9, &file);
        assert_int_equal(
            disk_pread(file, run == 0 ? first : second, sizeof first, 0, run == 0 ? &first_got : &second_got),
            ERR_OK);
        disk_close(&file);
        disk_destroy(&disk);
    }
    assert_int_equal(first_got, second_got);
    assert_memory_equal(first, second, first_got);
}

/* An append that was not synced: its size comes through or not or in part, and lost data under it are
 * zeros. */
static void loses_sizes(void **state)
{
    unsigned lost = 0, kept = 0, between = 0, zeros = 0;

    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct disk_file *file;
        struct disk *disk = with_file(seed, 1000, &file);
        uint64_t size;

        fill(file, 1000, 5 * PAGE, 'n');
        cut(disk, seed, &file);
        size = size_of(file);
        assert_true(size >= 1000 && size <= 1000 + 5 * PAGE);
        lost += size == 1000;
        kept += size == 1000 + 5 * PAGE;
        between += size > 1000 && size < 1000 + 5 * PAGE;
        for (uint64_t at = 0; at < size; at += 50) {
            uint8_t byte = byte_at(file, at);
            if (at < 1000)
                assert_int_equal(byte, 'o');
            else
                assert_true(byte == 'n' || byte == 0);
            zeros += at >= 1000 && byte == 0;
        }
        /* What was behind the end does not come back. */
        assert_int_equal(disk_truncate(file, 1000 + 5 * PAGE), ERR_OK);
        for (uint64_t at = size; at < 1000 + 5 * PAGE; at += 50)
            assert_int_equal(byte_at(file, at), 0);
        disk_close(&file);
        disk_destroy(&disk);
    }
    assert_true(lost > 0 && kept > 0 && between > 0 && zeros > 0);
}

/* Shrink, then write behind the new end: with the truncate undone, that write is gone, too. */
static void truncates_happen_or_not(void **state)
{
    unsigned undone = 0, done = 0, all = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 2 * SEEDS; seed++) {
        struct disk_file *file;
        struct disk *disk = with_file(seed, 10 * PAGE, &file);
        uint64_t size;

        assert_int_equal(disk_truncate(file, 100), ERR_OK);
        fill(file, 5 * PAGE, 100, 'n');
        cut(disk, seed, &file);
        size = size_of(file);
        if (size == 10 * PAGE) {
            undone++;
            for (uint64_t at = SECTOR; at < size; at += 100)
                assert_int_equal(byte_at(file, at), 'o');
        } else {
            assert_true(size >= 100 && size <= 5 * PAGE + 100);
            done += size == 100;
            for (uint64_t at = 0; at < size; at += 50) {
                uint8_t byte = byte_at(file, at);
                assert_true(at < 100 ? byte == 'o' : at < 5 * PAGE ? byte == 0 : byte == 'n' || byte == 0);
                all += byte == 'n';
            }
        }
        disk_close(&file);
        disk_destroy(&disk);
    }
    assert_true(undone > 0 && done > 0 && all > 0);
}

static void synced_truncate_and_punch(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct disk_file *file;
        struct disk *disk = with_file(seed, 10 * PAGE, &file);

        assert_int_equal(disk_truncate(file, 6 * PAGE + 10), ERR_OK);
        assert_int_equal(disk_truncate(file, 9 * PAGE), ERR_OK);
        assert_int_equal(disk_punch(file, PAGE, PAGE), ERR_OK);
        assert_int_equal(disk_sync(file), ERR_OK);
        cut(disk, seed, &file);
        assert_int_equal(size_of(file), 9 * PAGE);
        for (uint64_t at = 0; at < 9 * PAGE; at += 10) {
            bool is_zero = at >= 6 * PAGE + 10 || (at >= PAGE && at < 2 * PAGE);
            assert_int_equal(byte_at(file, at), is_zero ? 0 : 'o');
        }
        assert_int_equal(simdisk_used_bytes(disk), 6 * PAGE);
        disk_close(&file);
        disk_destroy(&disk);
    }
}

static void punches_happen_or_not(void **state)
{
    unsigned punched = 0, undone = 0;

    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct disk_file *file;
        struct disk *disk = with_file(seed, 4 * PAGE, &file);

        assert_int_equal(disk_punch(file, 0, 3 * PAGE), ERR_OK);
        assert_int_equal(simdisk_used_bytes(disk), PAGE);
        cut(disk, seed, &file);
        for (uint64_t page = 0; page < 3; page++) {
            uint8_t first = byte_at(file, page * PAGE);
            assert_true(first == 'o' || first == 0);
            for (uint64_t at = 0; at < PAGE; at += 111)
                assert_int_equal(byte_at(file, page * PAGE + at), first);
            punched += first == 0;
            undone += first == 'o';
        }
        assert_int_equal(byte_at(file, 3 * PAGE), 'o');
        disk_close(&file);
        disk_destroy(&disk);
    }
    assert_true(punched > 0 && undone > 0);
}

static void count_name(void *data, const char *name)
{
    (*(unsigned *)data) |= 1u << (name[0] - 'a');
}

static void names_come_and_go(void **state)
{
    unsigned made = 0, stayed = 0;

    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct disk *disk = simdisk_new(seed);
        struct disk_file *file;
        unsigned seen = 0;

        /* a: durable. b: durable, unlinked. c: made and its bytes synced, its name not. d: made, unlinked and
         * all synced. e: unlinked and made again, all synced. */
        for (const char *name = "a\0b\0d\0e\0"; *name != '\0'; name += 2) {
            file = open_file(disk, name);
            fill(file, 0, 10, 'o');
            assert_int_equal(disk_sync(file), ERR_OK);
            disk_close(&file);
        }
        assert_int_equal(disk_sync_names(disk), ERR_OK);
        assert_int_equal(disk_unlink(disk, "d"), ERR_OK);
        assert_int_equal(disk_unlink(disk, "e"), ERR_OK);
        file = open_file(disk, "e");
        fill(file, 0, 20, 'n');
        assert_int_equal(disk_sync(file), ERR_OK);
        disk_close(&file);
        assert_int_equal(disk_sync_names(disk), ERR_OK);
        assert_int_equal(disk_unlink(disk, "b"), ERR_OK);
        file = open_file(disk, "c");
        fill(file, 0, 10, 'n');
        assert_int_equal(disk_sync(file), ERR_OK);
        disk_close(&file);
        assert_int_equal(disk_list(disk, count_name, &seen), ERR_OK);
        assert_int_equal(seen, 1 | 4 | 16);

        simdisk_power_cut(disk, seed);
        seen = 0;
        assert_int_equal(disk_list(disk, count_name, &seen), ERR_OK);
        assert_int_equal(seen & (1 | 8 | 16), 1 | 16);
        stayed += (seen & 2) != 0;
        made += (seen & 4) != 0;
        if (seen & 4) {
            file = open_file(disk, "c");
            assert_int_equal(size_of(file), 10);
            assert_int_equal(byte_at(file, 9), 'n');
            disk_close(&file);
        }
        file = open_file(disk, "e");
        assert_int_equal(size_of(file), 20);
        disk_close(&file);
        disk_destroy(&disk);
    }
    assert_true(stayed > 0 && stayed < SEEDS);
    assert_true(made > 0 && made < SEEDS);
}

/* Each of the two names by itself; synced, the new one alone. */
static void renames_happen_or_not(void **state)
{
    unsigned outcomes = 0;

    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct disk_file *file;
        struct disk *disk = with_file(seed, 10, &file);
        struct disk_file *other;
        unsigned seen = 0;

        assert_int_equal(disk_rename(disk, "none", "b"), ERR_NOENT);
        assert_int_equal(disk_rename(disk, "f", "f"), ERR_EXIST);
        assert_int_equal(disk_rename(disk, "f", "b"), ERR_OK);
        assert_int_equal(disk_open(disk, "f", DISK_READ, &other), ERR_NOENT);
        if (seed % 2 == 0)
            assert_int_equal(disk_sync_names(disk), ERR_OK);
        simdisk_power_cut(disk, seed);
        disk_close(&file);
        assert_int_equal(disk_list(disk, count_name, &seen), ERR_OK);
        if (seed % 2 == 0)
            assert_int_equal(seen, 2);
        else
            outcomes |= 1u << ((seen & 2) + (seen >> 5));
        if (seen & 2) {
            assert_int_equal(disk_open(disk, "b", DISK_READ, &other), ERR_OK);
            assert_int_equal(size_of(other), 10);
            disk_close(&other);
        }
        disk_destroy(&disk);
    }
    assert_int_equal(outcomes, 1 | 2 | 4 | 8); /* none, "f", "b", both */
}

static void old_handles_are_dead(void **state)
{
    struct disk_file *file, *left;
    struct disk *disk = with_file(1, 100, &file);
    uint64_t size, calls;
    size_t got;
    char byte;

    (void)state;
    left = open_file(disk, "f"); /* freed with the disk */
    assert_int_equal(simdisk_open_handles(disk), 2);
    simdisk_power_cut(disk, 1);
    assert_int_equal(simdisk_open_handles(disk), 0);
    calls = simdisk_calls(disk);
    assert_int_equal(disk_pread(file, &byte, 1, 0, &got), ERR_IO);
    assert_int_equal(disk_pread_nowait(file, &byte, 1, 0, &got), ERR_IO);
    assert_int_equal(disk_pwrite(file, "x", 1, 0), ERR_IO);
    assert_int_equal(disk_sync(file), ERR_IO);
    assert_int_equal(disk_truncate(file, 0), ERR_IO);
    assert_int_equal(disk_allocate(file, 0, 1), ERR_IO);
    assert_int_equal(disk_punch(file, 0, 1), ERR_IO);
    assert_int_equal(disk_size(file, &size), ERR_IO);
    assert_int_equal(simdisk_calls(disk), calls);
    disk_close(&file);
    assert_non_null(left);
    file = open_file(disk, "f");
    assert_int_equal(size_of(file), 100);
    disk_close(&file);
    disk_destroy(&disk);
}

/* After a failed sync the next one says OK; what the first lost stays lost, what is written again counts. */
static void failed_syncs_forget(void **state)
{
    unsigned lost = 0, kept = 0, size_lost = 0;

    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct disk_file *file;
        struct disk *disk = with_file(seed, 8 * PAGE, &file);

        fill(file, 0, 2 * PAGE, 'n');
        fill(file, 8 * PAGE, PAGE, 'n');
        simdisk_fail(disk, 1, ERR_IO, 0);
        assert_int_equal(disk_sync(file), ERR_IO);
        assert_true(simdisk_fault_fired(disk));
        assert_int_equal(byte_at(file, 0), 'n'); /* as programs see it */
        if (seed % 2 == 0)
            fill(file, PAGE, PAGE, 'm');
        assert_int_equal(disk_sync(file), ERR_OK);
        cut(disk, seed, &file);
        for (uint64_t at = 0; at < PAGE; at += SECTOR) {
            lost += byte_at(file, at) == 'o';
            kept += byte_at(file, at) == 'n';
            if (seed % 2 == 0)
                assert_int_equal(byte_at(file, PAGE + at), 'm');
        }
        size_lost += size_of(file) == 8 * PAGE;
        disk_close(&file);
        disk_destroy(&disk);
    }
    assert_true(lost > 0 && kept > 0 && size_lost > 0);
}

/* What a failed sync forgot does not ride on another sector of its page that is written and synced later:
 * neither bytes, nor a punch, nor a truncate. */
static void forgotten_for_good(void **state)
{
    unsigned bytes_lost = 0, punch_lost = 0, truncate_lost = 0;

    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct disk_file *file;
        struct disk *disk = with_file(seed, 6 * PAGE, &file);

        fill(file, 0, PAGE, 'n');
        assert_int_equal(disk_punch(file, PAGE, PAGE), ERR_OK);
        assert_int_equal(disk_truncate(file, 4 * PAGE), ERR_OK);
        assert_int_equal(disk_truncate(file, 6 * PAGE), ERR_OK);
        simdisk_fail(disk, 1, ERR_IO, 0);
        assert_int_equal(disk_sync(file), ERR_IO);
        for (uint64_t page = 0; page < 6; page++)
            fill(file, page * PAGE, SECTOR, 'm');
        assert_int_equal(disk_sync(file), ERR_OK);
        cut(disk, seed, &file);
        assert_int_equal(size_of(file), 6 * PAGE);
        for (uint64_t page = 0; page < 6; page++)
            assert_int_equal(byte_at(file, page * PAGE), 'm');
        bytes_lost += byte_at(file, SECTOR) == 'o';
        punch_lost += byte_at(file, PAGE + SECTOR) == 'o';
        truncate_lost += byte_at(file, 5 * PAGE + SECTOR) == 'o';
        disk_close(&file);
        disk_destroy(&disk);
    }
    assert_true(bytes_lost > 0 && bytes_lost < SEEDS);
    assert_true(punch_lost > 0 && punch_lost < SEEDS);
    assert_true(truncate_lost > 0 && truncate_lost < SEEDS);
}

/* Each modifying call in turn fails, with the error asked for, once or from then on. */
static enum err change_number(struct disk *disk, struct disk_file *file, int number)
{
    struct disk_file *made = NULL;
    enum err err;

    switch (number) {
    case 0:
        return disk_pwrite(file, "12345678", 8, 0);
    case 1:
        return disk_sync(file);
    case 2:
        return disk_truncate(file, 50);
    case 3:
        return disk_allocate(file, 0, 100000);
    case 4:
        return disk_punch(file, 0, PAGE);
    case 5:
        err = disk_open(disk, "made", DISK_WRITE | DISK_CREATE, &made);
        disk_close(&made);
        return err;
    case 6:
        return disk_unlink(disk, "made");
    default:
        return disk_sync_names(disk);
    }
}

static void faults(void **state)
{
    (void)state;
    for (int failing = 0; failing < 8; failing++) {
        for (unsigned sticky = 0; sticky < 2; sticky++) {
            struct disk_file *file;
            struct disk *disk = with_file(1, 100, &file);
            uint64_t before = simdisk_calls(disk);

            simdisk_fail(disk, (uint64_t)failing + 1, ERR_NOSPC, sticky ? SIMDISK_STICKY : 0);
            for (int number = 0; number < 8; number++) {
                enum err expected = number == failing || (sticky && number > failing) ? ERR_NOSPC : ERR_OK;
                assert_int_equal(simdisk_fault_fired(disk), number > failing);
                /* The file that unlink needs was not made. */
                if (number == 6 && (failing == 5 || (sticky && failing < 5)))
                    expected = ERR_NOENT;
                assert_int_equal(change_number(disk, file, number), expected);
                assert_int_equal(byte_at(file, 0) != 'z', true); /* reads go on */
            }
            assert_true(simdisk_calls(disk) >= before + 7);
            disk_close(&file);
            disk_destroy(&disk);
        }
    }
}

static void faults_of_reads(void **state)
{
    struct disk_file *file;
    struct disk *disk = with_file(1, 100, &file);
    size_t got;
    char byte;

    (void)state;
    simdisk_fail(disk, 3, ERR_IO, SIMDISK_READS);
    assert_int_equal(disk_pread(file, &byte, 1, 0, &got), ERR_OK);
    assert_int_equal(disk_pwrite(file, "x", 1, 0), ERR_OK);
    assert_int_equal(disk_pread_nowait(file, &byte, 1, 0, &got), ERR_IO);
    assert_int_equal(disk_pread(file, &byte, 1, 0, &got), ERR_OK);
    simdisk_fail(disk, 1, ERR_IO, 0);
    assert_int_equal(disk_pread(file, &byte, 1, 0, &got), ERR_OK);
    simdisk_fail(disk, 0, ERR_OK, 0);
    assert_int_equal(disk_pwrite(file, "x", 1, 0), ERR_OK);
    assert_false(simdisk_fault_fired(disk));
    assert_true(simdisk_reads(disk) >= 3);
    disk_close(&file);
    disk_destroy(&disk);
}

static void failed_writes_leave_a_prefix(void **state)
{
    unsigned nothing = 0, part = 0;

    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct disk_file *file;
        struct disk *disk = with_file(seed, 1000, &file);
        uint8_t bytes[1000];
        uint64_t prefix = 0;

        memset(bytes, 'n', sizeof bytes);
        simdisk_fail(disk, 1, ERR_IO, 0);
        assert_int_equal(disk_pwrite(file, bytes, sizeof bytes, 0), ERR_IO);
        while (prefix < 1000 && byte_at(file, prefix) == 'n')
            prefix++;
        for (uint64_t at = prefix; at < 1000; at++)
            assert_int_equal(byte_at(file, at), 'o');
        nothing += prefix < 100;
        part += prefix > 500;
        disk_close(&file);
        disk_destroy(&disk);
    }
    assert_true(nothing > 0 && part > 0);
}

static void cut_at_call(void **state)
{
    (void)state;
    for (uint64_t number = 0; number < 6; number++) {
        struct disk_file *file, *other = NULL;
        struct disk *disk = with_file(number, 0, &file);
        size_t got;
        uint8_t byte;

        simdisk_cut_at_call(disk, number);
        for (uint64_t i = 0; i < 3; i++) {
            enum err written = disk_pwrite(file, &(uint8_t){(uint8_t)('a' + i)}, 1, i);
            enum err synced = disk_sync(file);
            assert_int_equal(written, 2 * i < number ? ERR_OK : ERR_IO);
            assert_int_equal(synced, 2 * i + 1 < number ? ERR_OK : ERR_IO);
        }
        assert_true(simdisk_is_cut(disk));
        assert_int_equal(disk_pread(file, &byte, 1, 0, &got), ERR_IO);
        assert_int_equal(disk_size(file, &(uint64_t){0}), ERR_IO);
        assert_int_equal(disk_open(disk, "f", DISK_READ, &other), ERR_IO);
        assert_int_equal(disk_open(disk, "missing", DISK_READ, &other), ERR_IO);
        assert_int_equal(disk_list(disk, count_name, &(unsigned){0}), ERR_IO);
        cut(disk, number, &file);
        assert_false(simdisk_is_cut(disk));
        /* Every byte with an acknowledged sync is there; at most the one in flight came through besides. */
        assert_true(size_of(file) >= number / 2 && size_of(file) <= (number + 2) / 2);
        for (uint64_t i = 0; i < number / 2; i++)
            assert_int_equal(byte_at(file, i), 'a' + i);
        disk_close(&file);
        disk_destroy(&disk);
    }
}

static void capacity(void **state)
{
    struct disk_file *file;
    struct disk *disk = with_file(1, 2 * PAGE, &file);
    struct disk_space space;
    uint8_t bytes[3 * PAGE] = {0};

    (void)state;
    simdisk_set_capacity(disk, 4 * PAGE);
    assert_int_equal(disk_space(disk, &space), ERR_OK);
    assert_int_equal(space.total_bytes, 4 * PAGE);
    assert_int_equal(space.free_bytes, 2 * PAGE);
    assert_int_equal(disk_allocate(file, 0, 5 * PAGE), ERR_NOSPC);
    assert_int_equal(simdisk_used_bytes(disk), 2 * PAGE);
    assert_int_equal(disk_allocate(file, 0, 3 * PAGE), ERR_OK);
    assert_int_equal(simdisk_used_bytes(disk), 3 * PAGE);
    assert_int_equal(size_of(file), 2 * PAGE);
    assert_int_equal(disk_pwrite(file, bytes, PAGE, 2 * PAGE), ERR_OK); /* as reserved */
    assert_int_equal(simdisk_used_bytes(disk), 3 * PAGE);
    assert_int_equal(disk_pwrite(file, bytes, sizeof bytes, 2 * PAGE), ERR_NOSPC);
    assert_int_equal(size_of(file), 4 * PAGE); /* what fitted */
    assert_int_equal(disk_pwrite(file, bytes, 4, 4 * PAGE), ERR_NOSPC);
    assert_int_equal(disk_pwrite(file, bytes, sizeof bytes, 0), ERR_OK);
    assert_int_equal(disk_punch(file, 0, PAGE), ERR_OK);
    assert_int_equal(disk_pwrite(file, bytes, 4, 4 * PAGE), ERR_OK);
    assert_int_equal(disk_truncate(file, 0), ERR_OK);
    assert_int_equal(simdisk_used_bytes(disk), 0);
    assert_int_equal(disk_sync(file), ERR_OK);
    disk_close(&file);
    disk_destroy(&disk);
}

static void nowait(void **state)
{
    struct disk_file *file;
    struct disk *disk = with_file(1, 1000, &file);
    unsigned again = 0, less = 0, all = 0;
    uint8_t bytes[1000];
    size_t got = 0;

    (void)state;
    assert_int_equal(disk_pread_nowait(file, bytes, 1000, 0, &got), ERR_OK);
    assert_int_equal(got, 1000);
    simdisk_set_nowait(disk, SIMDISK_NOWAIT_AGAIN);
    assert_int_equal(disk_pread_nowait(file, bytes, 1000, 0, &got), ERR_AGAIN);
    simdisk_set_nowait(disk, SIMDISK_NOWAIT_RANDOM);
    for (int i = 0; i < 100; i++) {
        enum err err = disk_pread_nowait(file, bytes, 1000, 0, &got);
        assert_true(err == ERR_OK || err == ERR_AGAIN);
        assert_true(err == ERR_AGAIN || got > 0);
        again += err == ERR_AGAIN;
        less += err == ERR_OK && got < 1000;
        all += err == ERR_OK && got == 1000;
    }
    assert_true(again > 0 && less > 0 && all > 0);
    assert_int_equal(disk_pread(file, bytes, 1000, 0, &got), ERR_OK);
    assert_int_equal(got, 1000);
    disk_close(&file);
    disk_destroy(&disk);
}

static void corruption(void **state)
{
    struct disk_file *file;
    struct disk *disk = with_file(1, 100, &file);

    (void)state;
    assert_false(simdisk_corrupt(disk, "g", 0, 1));
    assert_false(simdisk_corrupt(disk, "f", 100, 1));
    assert_true(simdisk_corrupt(disk, "f", 99, 0x80));
    assert_int_equal(byte_at(file, 99), 'o' ^ 0x80);
    assert_int_equal(byte_at(file, 98), 'o');
    cut(disk, 1, &file);
    assert_int_equal(byte_at(file, 99), 'o' ^ 0x80);
    fill(file, 0, 1, 'n');
    assert_true(simdisk_corrupt(disk, "f", 50, 1));
    assert_int_equal(disk_sync(file), ERR_OK);
    cut(disk, 1, &file);
    assert_int_equal(byte_at(file, 0), 'n');
    assert_int_equal(byte_at(file, 50), 'o' ^ 1);
    disk_close(&file);
    disk_destroy(&disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(behaves_as_a_disk),
        cmocka_unit_test(keeps_what_was_synced),
        cmocka_unit_test(tears_at_sectors),
        cmocka_unit_test(same_seed_same_outcome),
        cmocka_unit_test(loses_sizes),
        cmocka_unit_test(truncates_happen_or_not),
        cmocka_unit_test(synced_truncate_and_punch),
        cmocka_unit_test(punches_happen_or_not),
        cmocka_unit_test(names_come_and_go),
        cmocka_unit_test(renames_happen_or_not),
        cmocka_unit_test(old_handles_are_dead),
        cmocka_unit_test(failed_syncs_forget),
        cmocka_unit_test(forgotten_for_good),
        cmocka_unit_test(faults),
        cmocka_unit_test(faults_of_reads),
        cmocka_unit_test(failed_writes_leave_a_prefix),
        cmocka_unit_test(cut_at_call),
        cmocka_unit_test(capacity),
        cmocka_unit_test(nowait),
        cmocka_unit_test(corruption),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
