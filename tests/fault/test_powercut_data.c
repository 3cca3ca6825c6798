/*
 * test_powercut_data.c - file data on a disk that loses power, or whose n-th call fails.
 *
 * Random operations run against the store and against a model that keeps every state a file has had. Some
 * are waited for. Then the power goes. Afterwards
 *   - the names of a file must be as they were after some operation, none before the last acknowledged one;
 *   - the content and size of a file must be, as a whole, as after some operation on it, none before the last
 *     acknowledged one: the log is in order, so not even unacknowledged writes may be mixed;
 *   - store_check must be clean, before recovery and after a clean stop.
 * The next round goes on with what was found.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dittofs/hash.h"
#include "dittofs/log.h"
#include "dittofs/random.h"
#include "dittofs/store.h"
#include "simclock.h"
#include "simdisk.h"
#include "simloop.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SLOTS = 5,            /* files at a time */
    VERSIONS = 400,       /* states of a file kept */
    CAPACITY = 600 << 10, /* bytes of a file */
    NAMES = 400,          /* states of the names of a slot */
    WAITERS = 12,
};

/* What a file held after an operation. */
struct version {
    uint8_t *bytes;
    uint64_t size;
};

/* One life of a file: from its creation to its removal. */
struct file {
    uint64_t ino;
    struct version versions[VERSIONS];
    size_t count, acknowledged; /* versions[acknowledged] and later ones are legal */
};

/* Names of a slot after an operation: bit 0 "a", bit 1 "b". */
struct names {
    uint64_t ino;
    unsigned mask;
};

struct slot {
    struct file now, before; /* BEFORE: the life that was removed last: its names may still be there */
    struct names names[NAMES];
    size_t count, acknowledged;
};

struct test_waiter {
    struct store_waiter waiter;
    bool waits;
    struct slot *slot;
    uint64_t ino;
    size_t version; /* of the file */
    size_t names[SLOTS];
    bool metadata;
};

static struct world {
    struct disk *disk;
    struct loop *loop;
    struct store *store;
    struct inode *dir;
    uint64_t random;
    struct slot slots[SLOTS];
    struct test_waiter waiters[WAITERS];
    bool failed;
    bool is_steady; /* files are written over, never with what was there before, and read, nothing else */
} w;

static const struct store_options options = {
    .inode_cache = 3,
    .name_cache = 16,
    .page_cache_bytes = 256 << 10,
    .block_cache_bytes = 64 << 10,
    .segment_bytes = 4 << 20,
    .write_queue_bytes = 512 << 10,
    .reserve_bytes = 1 << 20,
    .settle_ms = 300,
};

static uint64_t below(uint64_t bound)
{
    w.random += 0x9e3779b97f4a7c15;
    return hash_u64(w.random) % bound;
}

/* ---- the model ---- */

static struct version *last_version(struct file *file)
{
    return &file->versions[file->count - 1];
}

static struct names *last_names(struct slot *slot)
{
    return &slot->names[slot->count - 1];
}

static void free_versions(struct file *file, size_t from, size_t to)
{
    size_t i;

    for (i = from; i < to; i++) {
        free(file->versions[i].bytes);
        file->versions[i].bytes = NULL;
    }
}

/* A new version, a copy of the last: CAPACITY bytes. */
static struct version *add_version(struct file *file)
{
    struct version *version;

    if (file->count == VERSIONS) { /* what is acknowledged long ago needs no copy */
        size_t keep = file->count - file->acknowledged;

        assert_true(keep < VERSIONS);
        free_versions(file, 0, file->acknowledged);
        memmove(file->versions, file->versions + file->acknowledged, keep * sizeof file->versions[0]);
        file->count = keep;
        file->acknowledged = 0;
    }
    version = &file->versions[file->count];
    version->bytes = calloc(1, CAPACITY);
    assert_non_null(version->bytes);
    version->size = 0;
    if (file->count > 0) {
        memcpy(version->bytes, last_version(file)->bytes, CAPACITY);
        version->size = last_version(file)->size;
    }
    file->count++;
    return version;
}

static void add_names(struct slot *slot, uint64_t ino, unsigned mask)
{
    assert_true(slot->count < NAMES);
    slot->names[slot->count++] = (struct names){ino, mask};
}

static struct store_name name_of(size_t slot, unsigned which)
{
    static char text[4][16];
    static unsigned next;
    char *name = text[next++ % 4];

    snprintf(name, 16, "%c%zu", which ? 'b' : 'a', slot);
    return (struct store_name){(const uint8_t *)name, strlen(name)};
}

/* ---- waiting ---- */

static void acknowledge(struct store_waiter *base, enum err err)
{
    struct test_waiter *waiter = container_of(base, struct test_waiter, waiter);
    size_t i;

    waiter->waits = false;
    if (err != ERR_OK) {
        w.failed = true;
        return;
    }
    if (waiter->metadata)
        for (i = 0; i < SLOTS; i++)
            if (waiter->names[i] > w.slots[i].acknowledged)
                w.slots[i].acknowledged = waiter->names[i];
    if (waiter->slot != NULL && waiter->slot->now.ino == waiter->ino &&
        waiter->version > waiter->slot->now.acknowledged)
        waiter->slot->now.acknowledged = waiter->version;
}

/* Versions move when the array is full: no waiter may be pending then. */
static void wait_for(struct slot *slot, struct inode *inode, bool metadata)
{
    struct store_ticket ticket = {0, 0};
    struct test_waiter *waiter = NULL;
    enum err err;
    size_t i;

    for (i = 0; i < WAITERS && waiter == NULL; i++)
        if (!w.waiters[i].waits)
            waiter = &w.waiters[i];
    if (waiter == NULL)
        return;
    *waiter = (struct test_waiter){.waiter.done = acknowledge, .slot = slot, .metadata = metadata};
    if (inode != NULL) {
        ticket = inode_ticket(inode);
        waiter->ino = slot->now.ino;
        waiter->version = slot->now.count - 1;
    }
    if (metadata)
        store_ticket_merge(&ticket, store_ticket_metadata(w.store));
    for (i = 0; i < SLOTS; i++)
        waiter->names[i] = w.slots[i].count - 1;
    err = store_wait(w.store, ticket, &waiter->waiter);
    if (err == ERR_WAIT)
        waiter->waits = true;
    else
        acknowledge(&waiter->waiter, err);
}

static bool anybody_waits(void)
{
    size_t i;

    for (i = 0; i < WAITERS; i++)
        if (w.waiters[i].waits)
            return true;
    return false;
}

/* ---- operations ---- */

/* An operation was refused: only a store that has failed does that here. */
static bool refused(enum err err)
{
    if (err == ERR_OK)
        return false;
    if (err != ERR_NOSPC)
        assert_int_not_equal(store_health(w.store), ERR_OK);
    w.failed = true;
    return true;
}

static void do_create(size_t number)
{
    struct slot *slot = &w.slots[number];
    struct inode_attr template = {.type = INODE_FILE, .mode = 0644, .tree = inode_attr(w.dir)->tree};
    struct inode *inode;

    /* Two lives of a file are kept: the one before must be past. */
    if (slot->now.ino != 0 && slot->names[slot->acknowledged].ino != slot->now.ino)
        return;
    if (refused(inode_new(w.store, &template, NULL, 0, &inode)))
        return;
    if (!refused(dir_insert(w.dir, name_of(number, 0), inode))) {
        inode_change(inode)->nlink = 1;
        free_versions(&slot->before, 0, slot->before.count);
        slot->before = slot->now;
        memset(&slot->now, 0, sizeof slot->now);
        slot->now.ino = inode_attr(inode)->ino;
        add_version(&slot->now);
        add_names(slot, slot->now.ino, 1);
    }
    inode_unref(&inode);
}

static void do_remove(size_t number, struct inode *inode)
{
    struct slot *slot = &w.slots[number];
    unsigned mask = last_names(slot)->mask, which = mask == 2 || (mask == 3 && below(2));

    if (refused(dir_remove(w.dir, name_of(number, which), slot->now.ino)))
        return;
    inode_change(inode)->nlink--;
    add_names(slot, slot->now.ino, mask & ~(1u << which));
}

/* To its other name, or a second one. */
static void do_rename(size_t number, struct inode *inode)
{
    struct slot *slot = &w.slots[number];
    unsigned mask = last_names(slot)->mask;
    bool link = below(3) == 0;

    if (mask == 3 || refused(dir_insert(w.dir, name_of(number, mask == 1), inode)))
        return;
    if (link)
        inode_change(inode)->nlink++;
    else if (refused(dir_remove(w.dir, name_of(number, mask != 1), slot->now.ino)))
        return;
    add_names(slot, slot->now.ino, link ? 3 : 3 - mask);
}

static void write_done(struct store_write *write, enum err err)
{
    (void)write;
    (void)err;
}

static void fill(uint8_t *bytes, size_t length)
{
    uint64_t seed = w.is_steady || below(2) ? below(UINT64_MAX) : below(3);
    size_t i;

    for (i = 0; i + 8 <= length; i += 8)
        memcpy(bytes + i, &(uint64_t){hash_u64(seed + i)}, 8);
    memset(bytes + i, (int)seed, length - i);
}

static void random_range(uint64_t *offset_r, uint64_t *length_r)
{
    static const uint32_t grains[] = {1, 512, 4096, 131072};
    uint64_t grain = grains[below(4)], offset = below(CAPACITY / grain) * grain;
    uint64_t length = (1 + below(grain == 1 ? 10000 : grain == 131072 ? 2 : 10)) * grain;

    *offset_r = offset;
    *length_r = length > CAPACITY - offset ? CAPACITY - offset : length;
}

static void do_write(struct slot *slot, struct inode *inode)
{
    struct store_write write = {.inode = inode, .done = write_done};
    struct buf *buf;
    uint64_t length;
    enum err err;

    random_range(&write.offset, &length);
    if (w.is_steady && below(2)) { /* all of it: what ends then ends in one piece */
        write.offset = 0;
        length = CAPACITY;
    }
    buf = buf_new(length);
    assert_non_null(buf);
    fill(buf->data, length);
    write.data = (struct bufpart){.buf = below(2) ? buf : NULL, .data = buf->data, .length = length};
    err = store_write(&write);
    if (err == ERR_WAIT) {
        store_write_cancel(&write);
    } else if (!refused(err)) {
        struct version *version = add_version(&slot->now);

        memcpy(version->bytes + write.offset, buf->data, length);
        if (write.offset + length > version->size)
            version->size = write.offset + length;
    }
    buf_unref(&buf);
}

static void do_range(struct slot *slot, struct inode *inode, uint64_t what)
{
    struct version *version;
    uint64_t offset, length;

    random_range(&offset, &length);
    switch (what) {
    case 0:
        if (refused(store_truncate(inode, offset)))
            return;
        version = add_version(&slot->now);
        memset(version->bytes + offset, 0, CAPACITY - offset);
        version->size = offset;
        break;
    case 1:
        if (refused(store_punch(inode, offset, length)))
            return;
        version = add_version(&slot->now);
        memset(version->bytes + offset, 0, length);
        break;
    default:
        if (refused(store_allocate(inode, offset, length, false)))
            return;
        version = add_version(&slot->now);
        if (offset + length > version->size)
            version->size = offset + length;
    }
}

static void do_clone(struct slot *slot, struct inode *inode)
{
    struct slot *from = &w.slots[below(SLOTS)];
    struct inode *source;
    struct version *version;
    uint64_t size;

    if (from == slot || last_names(from)->mask == 0)
        return;
    if (refused(inode_get(w.store, from->now.ino, 0, &source)))
        return;
    size = last_version(&from->now)->size;
    assert_int_equal(inode_attr(source)->size, size);
    if (size > 0 && !refused(store_clone(source, 0, inode, 0, 0))) {
        version = add_version(&slot->now);
        memcpy(version->bytes, last_version(&from->now)->bytes, size);
        if (size > version->size)
            version->size = size;
    }
    inode_unref(&source);
}

/* What is read while it runs is what was written last. */
static void do_read(struct slot *slot, struct inode *inode)
{
    struct version *version = last_version(&slot->now);
    static uint8_t bytes[CAPACITY];
    struct store_read read = {.inode = inode, .length = CAPACITY, .buffer = bytes};
    enum err err;

    read.done = NULL;
    simdisk_set_nowait(w.disk, SIMDISK_NOWAIT_READS);
    err = store_read(&read);
    simdisk_set_nowait(w.disk, SIMDISK_NOWAIT_RANDOM);
    if (err != ERR_OK) {
        w.failed = true; /* the power is gone */
        return;
    }
    assert_int_equal(read.got, version->size);
    assert_memory_equal(bytes, version->bytes, read.got);
}

static void random_operation(void)
{
    size_t number = below(SLOTS);
    struct slot *slot = &w.slots[number];
    struct inode *inode = NULL;
    uint64_t what = below(16);

    if (last_names(slot)->mask == 0) {
        do_create(number);
        if (!w.failed && below(3) == 0)
            wait_for(NULL, NULL, true);
        return;
    }
    if (refused(inode_get(w.store, slot->now.ino, 0, &inode)))
        return;
    if (w.is_steady)
        what = what == 6 ? 6 : 15;
    if (what < 3)
        do_range(slot, inode, what);
    else if (what == 3)
        do_clone(slot, inode);
    else if (what == 4)
        do_rename(number, inode);
    else if (what == 5 && below(2))
        do_remove(number, inode);
    else if (what == 6)
        do_read(slot, inode);
    else
        do_write(slot, inode);
    if (!w.failed && last_names(slot)->mask != 0 && below(4) == 0)
        wait_for(slot, inode, false); /* a stable write, a commit */
    else if (!w.failed && below(8) == 0)
        wait_for(NULL, NULL, true);
    inode_unref(&inode);
}

/* ---- after the cut ---- */

static uint64_t look_up(size_t number, unsigned which)
{
    uint64_t ino;
    enum err err = dir_lookup(w.dir, name_of(number, which), STORE_EXACT, &ino, NULL, NULL);

    assert_true(err == ERR_OK || err == ERR_NOENT);
    return err == ERR_OK ? ino : 0;
}

static void read_done(struct store_read *read, enum err err)
{
    *(enum err *)read->job = err;
}

static void read_whole(struct inode *inode, uint8_t *bytes, uint64_t size)
{
    struct store_read read = {.inode = inode, .length = (uint32_t)size, .buffer = bytes, .done = read_done};

    simdisk_set_nowait(w.disk, SIMDISK_NOWAIT_READS);
    assert_int_equal(store_read(&read), ERR_OK);
    assert_int_equal(read.got, size);
}

/* The content is that of a legal version, which becomes the only one. */
static void verify_content(size_t number, struct file *file)
{
    static uint8_t bytes[CAPACITY];
    struct inode *inode;
    size_t i;

    assert_int_equal(inode_get(w.store, file->ino, 0, &inode), ERR_OK);
    assert_true(inode_attr(inode)->size <= CAPACITY);
    read_whole(inode, bytes, inode_attr(inode)->size);
    for (i = file->count; i > file->acknowledged; i--) {
        struct version *version = &file->versions[i - 1];

        if (version->size == inode_attr(inode)->size && memcmp(version->bytes, bytes, version->size) == 0)
            break;
    }
    if (i == file->acknowledged)
        fail_msg("file %zu (inode %lu): size %lu is none of %zu legal versions (last: %lu)", number,
                 (unsigned long)file->ino, (unsigned long)inode_attr(inode)->size,
                 file->count - file->acknowledged, (unsigned long)last_version(file)->size);
    i--;
    free_versions(file, 0, i);
    free_versions(file, i + 1, file->count);
    file->versions[0] = file->versions[i];
    file->count = 1;
    file->acknowledged = 0;
    inode_unref(&inode);
}

static void verify_slot(size_t number)
{
    struct slot *slot = &w.slots[number];
    uint64_t a = look_up(number, 0), b = look_up(number, 1);
    unsigned mask = (a != 0) | (b != 0) << 1;
    size_t i;

    for (i = slot->count; i > slot->acknowledged; i--)
        if (slot->names[i - 1].mask == mask && (mask == 0 || slot->names[i - 1].ino == (a != 0 ? a : b)))
            break;
    if (i == slot->acknowledged)
        fail_msg("file %zu: names %u of inode %lu are not legal", number, mask,
                 (unsigned long)(a != 0 ? a : b));
    assert_true(mask != 3 || a == b);
    if (mask != 0 && slot->now.ino != (a != 0 ? a : b)) {
        /* The removal and what came after it are lost. */
        assert_int_equal(slot->before.ino, a != 0 ? a : b);
        free_versions(&slot->now, 0, slot->now.count);
        slot->now = slot->before;
        memset(&slot->before, 0, sizeof slot->before);
    }
    slot->names[0] = (struct names){slot->now.ino, mask};
    slot->count = 1;
    slot->acknowledged = 0;
    if (mask != 0)
        verify_content(number, &slot->now);
}

static void report(void *data, const char *finding)
{
    (void)data;
    print_message("finding: %s\n", finding);
}

static void open_store(void)
{
    uint32_t tree;
    uint64_t root;

    assert_int_equal(store_open(w.disk, w.loop, &options, &w.store), ERR_OK);
    assert_int_equal(store_tree_open(w.store, "export", 0, 0, &tree, &root), ERR_OK);
    assert_int_equal(inode_get(w.store, root, 0, &w.dir), ERR_OK);
}

static void close_store(void)
{
    if (w.store == NULL)
        return;
    inode_unref(&w.dir);
    simloop_drop_all(w.loop);
    store_close(&w.store);
    memset(w.waiters, 0, sizeof w.waiters);
    w.failed = false;
}

static void begin(uint64_t seed)
{
    size_t i;

    memset(&w, 0, sizeof w);
    w.random = seed;
    simclock_install();
    random_set_seed(seed + 1);
    w.disk = simdisk_new(seed);
    w.loop = simloop_new(seed);
    for (i = 0; i < SLOTS; i++)
        w.slots[i].count = 1;
}

static void end(void)
{
    size_t i;

    close_store();
    for (i = 0; i < SLOTS; i++) {
        free_versions(&w.slots[i].now, 0, w.slots[i].now.count);
        free_versions(&w.slots[i].before, 0, w.slots[i].before.count);
    }
    loop_close(&w.loop);
    assert_int_equal(simdisk_open_handles(w.disk), 0);
    disk_destroy(&w.disk);
    random_set_seed(0);
    simclock_remove();
}

static bool is_cut(void *data)
{
    (void)data;
    return w.failed || simdisk_is_cut(w.disk) || store_health(w.store) != ERR_OK;
}

static void verify_all(void)
{
    size_t i;

    for (i = 0; i < SLOTS; i++)
        verify_slot(i);
}

/* Power comes back: everything is looked at. Sometimes only the process dies first, and what the next one has
 * recovered from the page cache must stay. */
static void recover_and_verify(uint64_t seed)
{
    close_store();
    if (!simdisk_is_cut(w.disk) && below(2)) {
        simdisk_fail(w.disk, 0, ERR_OK, 0);
        simdisk_cut_at_call(w.disk, UINT64_MAX);
        open_store();
        verify_all();
        close_store();
    }
    simdisk_power_cut(w.disk, seed);
    assert_int_equal(store_check(w.disk, report, NULL), ERR_OK);
    open_store();
    verify_all();
}

static bool nobody_waits(void *data)
{
    return is_cut(data) || !anybody_waits();
}

/* At most OPERATIONS, with turns and time between them. */
static void run(unsigned operations)
{
    while (operations-- > 0 && !is_cut(NULL)) {
        uint64_t turns = below(4);

        random_operation();
        while (turns-- > 0 && !is_cut(NULL)) {
            loop_run_once(w.loop, false);
            if (below(3) == 0)
                simclock_advance_ms(below(400));
        }
    }
}

/* At most OPERATIONS, until the power goes with disk call CALL from now, or all are answered. */
static void run_into_cut(unsigned operations, uint64_t call)
{
    simdisk_set_nowait(w.disk, SIMDISK_NOWAIT_RANDOM);
    simdisk_cut_at_call(w.disk, call);
    run(operations);
    (void)simloop_run_until_timed(w.loop, nobody_waits, NULL, 5000);
}

/* ---- tests ---- */

static void test_power_cuts(void **state)
{
    unsigned cuts = 0, disks = 0;
    uint64_t seed = 1;

    (void)state;
    while (cuts < 520) {
        unsigned round;

        begin(seed++);
        disks++;
        open_store();
        for (round = 0; round < 8; round++) {
            run_into_cut(90, 1 + below(150));
            cuts++;
            recover_and_verify(below(UINT64_MAX));
        }
        end();
    }
    print_message("%u cuts on %u disks\n", cuts, disks);
}

/* The same where files are only written over, so that segments end that hold nothing any more. */
static void test_power_cuts_in_reused_segments(void **state)
{
    struct store_counters counters;
    unsigned cuts = 0, used = 0;
    uint64_t seed = 1000;

    (void)state;
    while (cuts < 60) {
        unsigned round;

        begin(seed++);
        open_store();
        run(60);
        for (round = 0; round < 4; round++) {
            w.is_steady = true;
            run_into_cut(900, 200 + below(600));
            cuts++;
            store_counters(w.store, &counters);
            used += counters.segments_reused > 0;
            recover_and_verify(below(UINT64_MAX));
        }
        end();
    }
    print_message("%u cuts, %u of them with segments used again\n", cuts, used);
    assert_true(used > cuts / 2);
}

static void stop_done(void *data, enum err err)
{
    *(enum err *)data = err;
}

/* The same operations each time; call number N fails. True: it was reached. */
static bool run_with_fault(bool is_steady, uint64_t number, enum err err)
{
    enum err stopped = ERR_COUNT;
    bool fired;
    size_t i;

    begin(77);
    w.is_steady = is_steady;
    open_store();
    simdisk_fail(w.disk, number, err, 0);
    run(is_steady ? 400 : 60);
    (void)simloop_run_until_timed(w.loop, nobody_waits, NULL, 5000);
    fired = simdisk_fault_fired(w.disk);
    recover_and_verify(number);
    /* And a clean stop after it. */
    inode_unref(&w.dir);
    store_shutdown(w.store, stop_done, &stopped);
    for (i = 0; i < 100000 && stopped == ERR_COUNT; i++)
        loop_run_once(w.loop, true);
    assert_int_equal(stopped, ERR_OK);
    store_close(&w.store);
    assert_int_equal(store_check(w.disk, report, NULL), ERR_OK);
    end();
    return fired;
}

static void test_failing_calls(void **state)
{
    static const enum err errors[] = {ERR_IO, ERR_NOSPC};
    unsigned runs = 0;
    uint64_t number;
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++)
        for (number = 1; run_with_fault(false, number, errors[i]); number++)
            runs++;
    print_message("%u calls failed\n", runs);
    assert_true(runs > 80);
    for (i = 0; i < 2; i++)
        for (number = 100 + i; run_with_fault(true, number, errors[i]); number += 11)
            runs++;
    print_message("%u with those in reused segments\n", runs);
    assert_true(runs > 140);
}

static void swallow(enum log_level level, const char *line)
{
    (void)level;
    (void)line;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_power_cuts),
        cmocka_unit_test(test_power_cuts_in_reused_segments),
        cmocka_unit_test(test_failing_calls),
    };

    log_set_sink(getenv("VERBOSE") != NULL ? NULL : swallow); /* failures are what happens here */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
