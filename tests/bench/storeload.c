/*
 * storeload.c - how fast the store makes, finds, lists and removes names, and what it costs.
 *
 *     storeload FOLDER [FILES [IN_FLIGHT]]
 *
 * FOLDER is made, and must not exist. IN_FLIGHT simulated clients each make (remove) one file after the
 * other in one directory and wait until it is durable. Prints operations a second, CPU time of the loop's
 * thread and of the process for each, and the memory at the end.
 */
#include "dittofs/clock.h"
#include "dittofs/log.h"
#include "dittofs/random.h"
#include "dittofs/store.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { CLIENTS_MOST = 4096 };

struct run;

struct client {
    struct store_waiter waiter;
    struct run *run;
};

struct run {
    struct loop *loop;
    struct store *store;
    struct inode *dir;
    uint64_t files, next, finished;
    void (*operation)(struct run *run, uint64_t number);
    bool failed;
};

static uint64_t cpu_ns(clockid_t clock)
{
    struct timespec time;

    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

struct measure {
    uint64_t wall, thread, process;
};

static struct measure now(void)
{
    return (struct measure){clock_monotonic_ns(), cpu_ns(CLOCK_THREAD_CPUTIME_ID),
                            cpu_ns(CLOCK_PROCESS_CPUTIME_ID)};
}

static void report(const char *what, uint64_t count, struct measure start)
{
    struct measure end = now();
    double n = (double)count;

    printf("%-28s %9.0f/s  %7.2f us loop  %7.2f us process\n", what,
           n * 1e9 / (double)(end.wall - start.wall), (double)(end.thread - start.thread) / n / 1e3,
           (double)(end.process - start.process) / n / 1e3);
    fflush(stdout);
}

static void must(enum err err, const char *what)
{
    if (err == ERR_OK)
        return;
    fprintf(stderr, "%s: %s\n", what, err_text(err));
    exit(1);
}

static struct store_name name_of(uint64_t number, char text[32])
{
    int length = snprintf(text, 32, "file.%" PRIu64 ".dat", number);

    return (struct store_name){(const uint8_t *)text, (size_t)length};
}

static void create(struct run *run, uint64_t number)
{
    struct timestamp time = clock_wall();
    struct inode_attr template = {.type = INODE_FILE,
                                  .mode = 0644,
                                  .uid = 1000,
                                  .gid = 1000,
                                  .tree = inode_attr(run->dir)->tree,
                                  .atime = time,
                                  .mtime = time,
                                  .ctime = time,
                                  .btime = time};
    char text[32];
    struct store_name name = name_of(number, text);
    struct inode_attr *attr;
    struct inode *inode;
    uint64_t ino;

    if (dir_lookup(run->dir, name, STORE_EXACT, &ino, NULL, NULL) != ERR_NOENT)
        must(ERR_EXIST, "create");
    must(inode_new(run->store, &template, NULL, 0, &inode), "inode_new");
    must(dir_insert(run->dir, name, inode), "dir_insert");
    inode_change(inode)->nlink = 1;
    attr = inode_change(run->dir);
    attr->mtime = attr->ctime = time;
    inode_unref(&inode);
}

static void take_away(struct run *run, uint64_t number)
{
    struct timestamp time = clock_wall();
    char text[32];
    struct store_name name = name_of(number, text);
    struct inode_attr *attr;
    struct inode *inode;
    uint64_t ino;

    must(dir_lookup(run->dir, name, STORE_EXACT, &ino, NULL, NULL), "dir_lookup");
    must(inode_get(run->store, ino, 0, &inode), "inode_get");
    must(dir_remove(run->dir, name, ino), "dir_remove");
    inode_change(inode)->nlink = 0;
    attr = inode_change(run->dir);
    attr->mtime = attr->ctime = time;
    inode_unref(&inode);
}

static void durable(struct store_waiter *waiter, enum err err);

static void go_on(struct client *client)
{
    struct run *run = client->run;

    while (run->next < run->files) {
        enum err err;

        run->operation(run, run->next++);
        client->waiter.done = durable;
        err = store_wait(run->store, store_ticket_metadata(run->store), &client->waiter);
        if (err == ERR_WAIT)
            return;
        must(err, "store_wait");
        run->finished++;
    }
}

static void durable(struct store_waiter *waiter, enum err err)
{
    struct client *client = container_of(waiter, struct client, waiter);

    must(err, "durable");
    client->run->finished++;
    go_on(client);
}

static void run_clients(struct run *run, const char *what, unsigned count,
                        void (*operation)(struct run *, uint64_t))
{
    static struct client clients[CLIENTS_MOST];
    struct store_counters before, after;
    struct measure start = now();

    run->operation = operation;
    run->next = run->finished = 0;
    store_counters(run->store, &before);
    for (unsigned i = 0; i < count; i++) {
        clients[i].run = run;
        go_on(&clients[i]);
    }
    while (run->finished < run->files)
        loop_run_once(run->loop, true);
    report(what, run->files, start);
    store_counters(run->store, &after);
    printf("    %.1f operations a sync, %.0f us a sync, %" PRIu64 " frames checkpointed\n",
           (double)run->files / (double)(after.syncs - before.syncs),
           (double)(after.sync_ns_total - before.sync_ns_total) / 1e3 / (double)(after.syncs - before.syncs),
           after.checkpoint_frames - before.checkpoint_frames);
}

static void look_up_all(struct run *run, const char *what)
{
    struct measure start = now();
    char text[32];
    uint64_t ino;

    for (uint64_t i = 0; i < run->files; i++) {
        struct store_name name = name_of(i * 2654435761u % run->files, text);

        must(dir_lookup(run->dir, name, STORE_EXACT, &ino, NULL, NULL), "dir_lookup");
    }
    report(what, run->files, start);
}

static void get_all(struct run *run, const char *what, uint64_t step)
{
    struct measure start = now();
    struct inode *inode;
    uint64_t first = inode_attr(run->dir)->ino + 1;

    for (uint64_t i = 0; i < run->files; i++) {
        must(inode_get(run->store, first + i * step % run->files, 0, &inode), "inode_get");
        inode_unref(&inode);
    }
    report(what, run->files, start);
}

struct page {
    struct run *run;
    unsigned left;
    uint64_t last, count;
};

static bool page_entry(void *data, const struct dirent *entry)
{
    struct page *page = data;
    struct inode *inode;

    must(inode_get(page->run->store, entry->ino, 0, &inode), "inode_get");
    inode_unref(&inode);
    page->last = entry->cookie;
    page->count++;
    return --page->left > 0;
}

static void list_all(struct run *run, const char *what)
{
    struct measure start = now();
    struct page page = {.run = run};
    bool end = false;

    while (!end) {
        page.left = 100;
        must(dir_scan(run->dir, page.last, page_entry, &page, &end), "dir_scan");
    }
    if (page.count != run->files)
        must(ERR_CORRUPT, "listing");
    report(what, run->files, start);
}

static void stopped(void *data, enum err err)
{
    must(err, "shutdown");
    *(bool *)data = true;
}

static void open_store(struct run *run, struct disk *disk)
{
    struct measure start = now();
    uint64_t root;
    uint32_t tree;

    must(store_open(disk, run->loop, NULL, &run->store), "store_open");
    must(store_tree_open(run->store, "load", 0, 0, &tree, &root), "store_tree_open");
    must(inode_get(run->store, root, 0, &run->dir), "inode_get");
    report("open", 1, start);
}

static void close_store(struct run *run)
{
    struct measure start = now();
    bool done = false;

    inode_unref(&run->dir);
    store_shutdown(run->store, stopped, &done);
    while (!done)
        loop_run_once(run->loop, true);
    store_close(&run->store);
    report("stop", 1, start);
}

static void print_memory(void)
{
    char line[200];
    FILE *file = fopen("/proc/self/status", "r");

    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "VmRSS", 5) == 0 || strncmp(line, "VmHWM", 5) == 0)
            fputs(line, stdout);
    if (file != NULL)
        fclose(file);
}

int main(int argc, char **argv)
{
    struct run run = {.files = argc > 2 ? strtoull(argv[2], NULL, 10) : 50000};
    unsigned clients = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 32;
    struct disk *disk;

    if (argc < 2 || clients == 0 || clients > CLIENTS_MOST) {
        fprintf(stderr, "usage: storeload FOLDER [FILES [IN_FLIGHT]]\n");
        return 2;
    }
    must(disk_open_folder(argv[1], &disk), "folder");
    must(loop_open(&run.loop), "loop");
    open_store(&run, disk);
    run_clients(&run, "create, durable", clients, create);
    look_up_all(&run, "look-up, cached");
    get_all(&run, "inode, cached or not", 1);
    list_all(&run, "list with inodes");
    print_memory();
    close_store(&run);
    open_store(&run, disk);
    list_all(&run, "list with inodes, fresh");
    close_store(&run);
    open_store(&run, disk);
    look_up_all(&run, "look-up, fresh");
    get_all(&run, "inode, fresh, scattered", 2654435761u);
    run_clients(&run, "remove, durable", clients, take_away);
    print_memory();
    close_store(&run);
    loop_close(&run.loop);
    disk_destroy(&disk);
    return 0;
}
