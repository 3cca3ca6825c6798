/*
 * storedata.c - what reading and writing file data costs in the store.
 *
 *     storedata FOLDER [MIB]
 *
 * FOLDER is made, and must not exist. Prints, for each of: cached random reads of 4 KiB, sequential writes
 * and reads of 1 MiB, stable writes of 4 and 32 KiB with 32 in flight, rewriting of random 4 KiB, and a
 * clone, the wall clock time and the CPU time of the loop's thread for one operation.
 */
#include "dittofs/clock.h"
#include "dittofs/hash.h"
#include "dittofs/log.h"
#include "dittofs/store.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MIB = 1 << 20, IN_FLIGHT = 32 };

struct run {
    struct loop *loop;
    struct store *store;
    struct inode *dir;
    uint64_t wall, cpu;
    unsigned waiting;
    uint64_t longest; /* CPU time of a turn of the loop */
    uint64_t stable_done;
};

static uint64_t thread_ns(void)
{
    struct timespec time;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void start(struct run *run)
{
    run->wall = clock_monotonic_ns();
    run->cpu = thread_ns();
    run->longest = 0;
}

/* One turn of the loop, timed. */
static void turn(struct run *run, bool may_wait)
{
    uint64_t before = thread_ns(), taken;

    loop_run_once(run->loop, may_wait);
    taken = thread_ns() - before;
    if (taken > run->longest)
        run->longest = taken;
}

static void report(const struct run *run, const char *what, uint64_t count, uint64_t bytes)
{
    double wall = (double)(clock_monotonic_ns() - run->wall), cpu = (double)(thread_ns() - run->cpu);

    printf("%-32s %8" PRIu64 " x: %9.2f us wall, %8.2f us loop each; %8.1f MiB/s, longest turn %.1f ms\n",
           what, count, wall / 1000 / (double)count, cpu / 1000 / (double)count,
           (double)count * (double)bytes / MIB / (wall / 1e9), (double)run->longest / 1e6);
}

static void check(enum err err, const char *what)
{
    if (err == ERR_OK)
        return;
    fprintf(stderr, "%s: %s\n", what, err_text(err));
    exit(1);
}

static void *memory(size_t length)
{
    void *bytes = malloc(length);

    if (bytes == NULL)
        exit(1);
    return bytes;
}

static struct inode *make_file(struct run *run, const char *name)
{
    struct inode_attr template = {.type = INODE_FILE, .mode = 0644, .tree = inode_attr(run->dir)->tree};
    struct inode *inode;

    check(inode_new(run->store, &template, NULL, 0, &inode), "inode_new");
    check(dir_insert(run->dir, (struct store_name){(const uint8_t *)name, strlen(name)}, inode),
          "dir_insert");
    inode_change(inode)->nlink = 1;
    return inode;
}

struct operation {
    struct store_read read;
    struct store_write write;
    struct store_waiter waiter;
    struct run *run;
    enum err err;
    bool done;
};

static void write_done(struct store_write *write, enum err err)
{
    struct operation *operation = container_of(write, struct operation, write);

    operation->err = err;
    operation->done = true;
}

static void read_done(struct store_read *read, enum err err)
{
    struct operation *operation = container_of(read, struct operation, read);

    operation->err = err;
    operation->done = true;
}

static void wait_done(struct store_waiter *waiter, enum err err)
{
    struct operation *operation = container_of(waiter, struct operation, waiter);

    operation->err = err;
    operation->done = true;
    operation->run->waiting--;
}

static void finish(struct run *run, struct operation *operation, enum err err, const char *what)
{
    if (err == ERR_WAIT) {
        while (!operation->done)
            turn(run, true);
        err = operation->err;
    }
    check(err, what);
}

static void write_at(struct run *run, struct inode *inode, uint64_t offset, struct bufpart data)
{
    struct operation operation = {
        .write = {.inode = inode, .offset = offset, .data = data, .done = write_done}, .run = run};

    finish(run, &operation, store_write(&operation.write), "store_write");
}

static void read_at(struct run *run, struct inode *inode, uint64_t offset, uint8_t *to, uint32_t length)
{
    struct operation operation = {
        .read = {.inode = inode, .offset = offset, .length = length, .buffer = to, .done = read_done},
        .run = run};

    finish(run, &operation, store_read(&operation.read), "store_read");
}

static void sync_file(struct run *run, struct inode *inode)
{
    struct operation operation = {.waiter.done = wait_done, .run = run};

    run->waiting++;
    finish(run, &operation, store_wait(run->store, inode_ticket(inode), &operation.waiter), "store_wait");
}

static void fill(uint8_t *bytes, size_t length, uint64_t seed)
{
    size_t i;

    for (i = 0; i + 8 <= length; i += 8)
        memcpy(bytes + i, &(uint64_t){hash_u64(seed + i)}, 8);
}

static void sequential(struct run *run, struct inode *inode, uint64_t count)
{
    uint8_t *bytes = memory(MIB);
    uint64_t i;

    fill(bytes, MIB, 1);
    start(run);
    for (i = 0; i < count; i++) {
        struct buf *buf = buf_new(MIB);

        if (buf == NULL)
            exit(1);
        memcpy(buf->data, bytes, MIB);
        memcpy(buf->data, &i, sizeof i);
        memcpy(buf->data + MIB / 2, &i, sizeof i);
        write_at(run, inode, i * MIB, (struct bufpart){.buf = buf, .data = buf->data, .length = MIB});
        buf_unref(&buf);
        turn(run, false);
    }
    report(run, "sequential write (with a copy)", count, MIB);
    sync_file(run, inode);
    report(run, "... until it is durable", count, MIB);
    start(run);
    for (i = 0; i < count; i++)
        read_at(run, inode, i * MIB, bytes, MIB);
    report(run, "sequential read, cached", count, MIB);
    free(bytes);
}

static void random_reads(struct run *run, struct inode *inode, uint64_t count)
{
    uint64_t size = inode_attr(inode)->size, i;
    uint8_t bytes[4096];

    start(run);
    for (i = 0; i < count; i++)
        read_at(run, inode, hash_u64(i) % (size / 4096) * 4096, bytes, 4096);
    report(run, "random read of 4 KiB, cached", count, 4096);
}

static void random_writes(struct run *run, struct inode *inode, uint64_t count)
{
    uint64_t size = inode_attr(inode)->size, i;
    uint8_t bytes[4096];

    fill(bytes, sizeof bytes, 3);
    start(run);
    for (i = 0; i < count; i++) {
        memcpy(bytes, &i, sizeof i);
        write_at(run, inode, hash_u64(i) % (size / 4096) * 4096,
                 (struct bufpart){.data = bytes, .length = sizeof bytes});
        turn(run, false);
    }
    report(run, "random write of 4 KiB, unstable", count, 4096);
    sync_file(run, inode);
    report(run, "... until it is durable", count, 4096);
}

static void stable(struct run *run, struct inode *inode, uint64_t count, uint32_t length, unsigned in_flight)
{
    struct operation *operations = calloc(in_flight, sizeof *operations);
    uint8_t *bytes = memory(length);
    uint64_t issued = 0;
    char what[64];
    unsigned i;

    if (operations == NULL)
        exit(1);
    fill(bytes, length, 4);
    for (i = 0; i < in_flight; i++)
        operations[i].done = true;
    start(run);
    while (issued < count || run->waiting > 0) {
        for (i = 0; i < in_flight && issued < count; i++) {
            struct operation *operation = &operations[i];
            enum err err;

            if (!operation->done)
                continue;
            memcpy(bytes, &issued, sizeof issued);
            write_at(run, inode, issued++ * length, (struct bufpart){.data = bytes, .length = length});
            *operation = (struct operation){.waiter.done = wait_done, .run = run};
            run->waiting++;
            err = store_wait(run->store, inode_ticket(inode), &operation->waiter);
            if (err != ERR_WAIT)
                check(err, "store_wait");
        }
        turn(run, true);
    }
    snprintf(what, sizeof what, "stable write of %u KiB, %u at once", length / 1024, in_flight);
    report(run, what, count, length);
    free(operations);
    free(bytes);
}

static void stopped(void *data, enum err err)
{
    struct operation *operation = data;

    operation->err = err;
    operation->done = true;
}

int main(int argc, char **argv)
{
    uint64_t mib = argc > 2 ? strtoull(argv[2], NULL, 10) : 512, root;
    struct operation stop = {.done = false};
    struct inode *inode, *other;
    struct run run = {.loop = NULL};
    struct store_counters counters;
    struct disk *disk;
    uint32_t tree;

    if (argc < 2) {
        fprintf(stderr, "usage: storedata FOLDER [MIB]\n");
        return 2;
    }
    check(disk_open_folder(argv[1], &disk), argv[1]);
    check(loop_open(&run.loop), "loop");
    check(store_open(disk, run.loop, NULL, &run.store), "store_open");
    check(store_tree_open(run.store, "load", 0, 0, &tree, &root), "tree");
    check(inode_get(run.store, root, 0, &run.dir), "root");

    inode = make_file(&run, "large");
    sequential(&run, inode, mib);
    random_reads(&run, inode, 200000);
    other = make_file(&run, "clone");
    start(&run);
    check(store_clone(inode, 0, other, 0, 0), "store_clone");
    report(&run, "clone of it all", 1, mib * MIB);
    random_writes(&run, inode, 50000);
    random_reads(&run, inode, 200000);
    inode_unref(&inode);
    inode = make_file(&run, "stable");
    stable(&run, inode, 500, 4096, 1);
    stable(&run, inode, 20000, 4096, IN_FLIGHT);
    stable(&run, inode, 10000, 32768, IN_FLIGHT);
    stable(&run, inode, 1000, 131072, IN_FLIGHT);
    store_counters(run.store, &counters);
    printf("hashed %" PRIu64 ", shared %" PRIu64 ", rewritten %" PRIu64 " MiB, syncs %" PRIu64
           ", reads inline %" PRIu64 ", by workers %" PRIu64 "\n",
           counters.blocks_hashed, counters.blocks_shared, counters.bytes_rewritten / MIB, counters.syncs,
           counters.reads_inline, counters.reads_worker);
    inode_unref(&inode);
    inode_unref(&other);
    inode_unref(&run.dir);
    store_shutdown(run.store, stopped, &stop);
    while (!stop.done)
        loop_run_once(run.loop, true);
    check(stop.err, "store_shutdown");
    store_close(&run.store);
    loop_close(&run.loop);
    disk_destroy(&disk);
    return 0;
}
