/*
 * store_fixture.h - a store on the simulated disk and loop, or on a real folder with the real loop, for the
 * tests of this room.
 */
#ifndef DITTOFS_TESTS_STORE_FIXTURE_H
#define DITTOFS_TESTS_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dittofs/log.h"
#include "dittofs/random.h"
#include "dittofs/store.h"
#include "simclock.h"
#include "simdisk.h"
#include "simloop.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fixture {
    struct disk *disk;
    struct loop *loop;
    struct store *store;
    struct store_options options;
    bool simulated;
    char folder[64];
};

static const struct store_options fixture_small = {
    .inode_cache = 50,
    .name_cache = 200,
    .page_cache_bytes = 1 << 20,
    .block_cache_bytes = 1 << 20,
    .segment_bytes = 4 << 20,
    .write_queue_bytes = 1 << 20,
    .reserve_bytes = 1 << 20,
};

static inline void fixture_open(struct fixture *fixture)
{
    assert_int_equal(store_open(fixture->disk, fixture->loop, &fixture->options, &fixture->store), ERR_OK);
}

static inline void fixture_start(struct fixture *fixture, bool simulated)
{
    *fixture = (struct fixture){.simulated = simulated, .options = fixture_small};
    if (simulated) {
        simclock_install();
        random_set_seed(7);
        fixture->disk = simdisk_new(1);
        fixture->loop = simloop_new(1);
    } else {
        snprintf(fixture->folder, sizeof fixture->folder, "/tmp/dittofs-store-XXXXXX");
        assert_non_null(mkdtemp(fixture->folder));
        assert_int_equal(disk_open_folder(fixture->folder, &fixture->disk), ERR_OK);
        assert_int_equal(loop_open(&fixture->loop), ERR_OK);
    }
    fixture_open(fixture);
}

struct fixture_wait {
    struct store_waiter waiter;
    bool done;
    enum err err;
};

static inline void fixture_wait_done(struct store_waiter *waiter, enum err err)
{
    struct fixture_wait *wait = container_of(waiter, struct fixture_wait, waiter);

    wait->done = true;
    wait->err = err;
}

/* Waits for everything so far. */
static inline enum err fixture_sync(struct fixture *fixture)
{
    struct fixture_wait wait = {.waiter.done = fixture_wait_done};
    enum err err = store_wait(fixture->store, store_ticket_metadata(fixture->store), &wait.waiter);

    if (err != ERR_WAIT)
        return err;
    while (!wait.done)
        loop_run_once(fixture->loop, true);
    return wait.err;
}

struct fixture_stop {
    bool done;
    enum err err;
};

static inline void fixture_stopped(void *data, enum err err)
{
    struct fixture_stop *stop = data;

    stop->done = true;
    stop->err = err;
}

static inline enum err fixture_stop(struct fixture *fixture)
{
    struct fixture_stop stop = {0};

    store_shutdown(fixture->store, fixture_stopped, &stop);
    while (!stop.done)
        loop_run_once(fixture->loop, true);
    store_close(&fixture->store);
    return stop.err;
}

static inline void fixture_restart(struct fixture *fixture)
{
    assert_int_equal(fixture_stop(fixture), ERR_OK);
    fixture_open(fixture);
}

/* The process dies and is started again; on the simulated disk the power goes, too. */
static inline void fixture_crash(struct fixture *fixture, uint64_t seed)
{
    assert_true(fixture->simulated);
    simloop_drop_all(fixture->loop);
    store_close(&fixture->store);
    simdisk_power_cut(fixture->disk, seed);
    fixture_open(fixture);
}

static inline void fixture_report(void *data, const char *finding)
{
    (void)data;
    print_message("finding: %s\n", finding);
}

static inline void fixture_unlink(void *data, const char *name)
{
    assert_int_equal(disk_unlink(data, name), ERR_OK);
}

static inline void fixture_end(struct fixture *fixture)
{
    if (fixture->store != NULL)
        assert_int_equal(fixture_stop(fixture), ERR_OK);
    assert_int_equal(store_check(fixture->disk, fixture_report, NULL), ERR_OK);
    loop_close(&fixture->loop);
    if (!fixture->simulated)
        assert_int_equal(disk_list(fixture->disk, fixture_unlink, fixture->disk), ERR_OK);
    disk_destroy(&fixture->disk);
    if (fixture->simulated) {
        random_set_seed(0);
        simclock_remove();
    } else {
        char path[100];

        snprintf(path, sizeof path, "%s/lock", fixture->folder);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(rmdir(fixture->folder), 0);
    }
}

/* Runs TEST on the simulated disk and on a real one. */
static inline void on_both(void (*test)(struct fixture *f))
{
    struct fixture f;

    fixture_start(&f, true);
    test(&f);
    fixture_end(&f);
    fixture_start(&f, false);
    test(&f);
    fixture_end(&f);
}

#define ON_BOTH(name)                                                                                        \
    static void test_##name(void **state)                                                                    \
    {                                                                                                        \
        (void)state;                                                                                         \
        on_both(name);                                                                                       \
    }

/* ---- small helpers ---- */

static inline struct store_name name_of(const char *text)
{
    return (struct store_name){(const uint8_t *)text, strlen(text)};
}

static inline struct inode *tree_root(struct fixture *fixture, const char *name)
{
    struct inode *inode;
    uint32_t tree;
    uint64_t root;

    assert_int_equal(store_tree_open(fixture->store, name, 0, 0, &tree, &root), ERR_OK);
    assert_int_equal(inode_get(fixture->store, root, 0, &inode), ERR_OK);
    return inode;
}

static inline struct inode *make_inode(struct inode *dir, enum inode_type type)
{
    struct inode_attr template = {.type = type, .mode = 0644, .uid = 1000, .gid = 100, .tree = 1};
    struct inode *inode;

    template.tree = inode_attr(dir)->tree;
    template.atime = template.mtime = template.ctime = template.btime = clock_wall();
    assert_int_equal(inode_new(inode_store(dir), &template, NULL, 0, &inode), ERR_OK);
    return inode;
}

/* A file (or directory) as vfs makes one. */
static inline uint64_t make_named(struct inode *dir, const char *name, enum inode_type type)
{
    struct inode *inode = make_inode(dir, type);
    uint64_t ino = inode_attr(inode)->ino;

    assert_int_equal(dir_insert(dir, name_of(name), inode), ERR_OK);
    inode_change(inode)->nlink = type == INODE_DIRECTORY ? 2 : 1;
    if (type == INODE_DIRECTORY) {
        inode_change(inode)->parent = inode_attr(dir)->ino;
        inode_change(dir)->nlink++;
    }
    inode_change(dir)->mtime = clock_wall();
    inode_unref(&inode);
    return ino;
}

static inline uint64_t make_file(struct inode *dir, const char *name)
{
    return make_named(dir, name, INODE_FILE);
}

static inline void remove_file(struct inode *dir, const char *name)
{
    struct inode *inode;
    uint64_t ino;

    assert_int_equal(dir_lookup(dir, name_of(name), STORE_EXACT, &ino, NULL, NULL), ERR_OK);
    assert_int_equal(inode_get(inode_store(dir), ino, 0, &inode), ERR_OK);
    assert_int_equal(dir_remove(dir, name_of(name), ino), ERR_OK);
    inode_change(inode)->nlink--;
    inode_change(dir)->mtime = clock_wall();
    inode_unref(&inode);
}

static inline uint64_t look_up(struct inode *dir, const char *name)
{
    uint64_t ino = 0;
    enum err err = dir_lookup(dir, name_of(name), STORE_EXACT, &ino, NULL, NULL);

    assert_true(err == ERR_OK || err == ERR_NOENT);
    return err == ERR_OK ? ino : 0;
}

#endif
