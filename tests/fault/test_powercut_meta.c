/*
 * test_powercut_meta.c - metadata on a disk that loses power, or whose n-th call fails.
 *
 * Random operations run against the store and against a model, of which a copy is kept after each operation.
 * Some operations are waited for. Then the power goes: what is found afterwards must be the model as it was
 * after some operation, as a whole, and none before the last one that was acknowledged. store_check must be
 * clean each time. After a failure nothing may be acknowledged any more.
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
    DIRS = 2,
    NAMES = 10,
    RECORDS = 4,
    INODES = 64,
    HISTORY = 2000,
    WAITERS = 8,
    HELD = 3,
};

struct model_inode {
    uint64_t ino; /* 0: free */
    uint32_t nlink, mode;
    unsigned xattr, blob; /* 0: none */
    enum inode_type type;
};

struct model {
    uint64_t names[DIRS][NAMES];
    unsigned records[RECORDS];
    struct model_inode inodes[INODES];
    uint32_t dir_modes[DIRS];
};

struct test_waiter {
    struct store_waiter waiter;
    bool waits;
    size_t operation;
};

static struct world {
    uint64_t seed;
    struct disk *disk;
    struct loop *loop;
    struct store *store;
    struct inode *dirs[DIRS];
    uint64_t random;
    size_t done, acknowledged; /* operations; history[done] is the present */
    struct model history[HISTORY];
    struct test_waiter waiters[WAITERS];
    struct inode *held[HELD]; /* as by clients that have files open, also removed ones */
    bool failed;
} w;

static const struct store_options options = {
    .inode_cache = 5,
    .name_cache = 16,
    .page_cache_bytes = 256 << 10,
    .block_cache_bytes = 256 << 10,
    .segment_bytes = 1 << 20, /* the WAL is checkpointed at a sixteenth of it */
    .write_queue_bytes = 256 << 10,
    .reserve_bytes = 1 << 20,
};

static unsigned chance(unsigned bound)
{
    w.random += 0x9e3779b97f4a7c15;
    return (unsigned)(hash_u64(w.random) % bound);
}

static struct model *present(void)
{
    return &w.history[w.done];
}

static struct store_name name_of(unsigned number)
{
    static char text[4][24];
    static unsigned next;
    char *name = text[next++ % 4];

    snprintf(name, 24, number % 2 ? "NAME number %u" : "name.%u", number);
    return (struct store_name){(const uint8_t *)name, strlen(name)};
}

static struct model_inode *model_find(struct model *model, uint64_t ino)
{
    for (unsigned i = 0; i < INODES; i++)
        if (model->inodes[i].ino == ino)
            return &model->inodes[i];
    return NULL;
}

/* ---- operations: true when done, and the model changed alike ---- */

/* A change was refused: only a store that has failed does that here. */
static bool refused(enum err err)
{
    if (err == ERR_OK)
        return false;
    assert_int_not_equal(store_health(w.store), ERR_OK);
    w.failed = true;
    return true;
}

static void stamp(struct inode *dir)
{
    struct inode_attr *attr = inode_change(dir);

    attr->mtime = attr->ctime = clock_wall();
}

static bool drop_link(struct model *model, struct inode *inode)
{
    struct model_inode *gone = model_find(model, inode_attr(inode)->ino);

    assert_non_null(gone);
    inode_change(inode)->nlink--;
    if (--gone->nlink == 0)
        *gone = (struct model_inode){0};
    return true;
}

static bool do_create(struct model *model, unsigned dir, unsigned name)
{
    struct model_inode *slot = model_find(model, 0);
    bool symlink = chance(6) == 0;
    struct inode_attr template = {.type = symlink ? INODE_SYMLINK : INODE_FILE,
                                  .mode = chance(01000),
                                  .tree = inode_attr(w.dirs[dir])->tree,
                                  .mtime = clock_wall()};
    struct inode *inode;
    enum err err;

    if (model->names[dir][name] != 0 || slot == NULL)
        return false;
    err = inode_new(w.store, &template, symlink ? "target" : NULL, symlink ? 6 : 0, &inode);
    if (err == ERR_NOSPC || refused(err))
        return false;
    err = dir_insert(w.dirs[dir], name_of(name), inode);
    if (refused(err)) {
        inode_unref(&inode);
        return false;
    }
    inode_change(inode)->nlink = 1;
    stamp(w.dirs[dir]);
    *slot = (struct model_inode){
        .ino = inode_attr(inode)->ino, .nlink = 1, .mode = template.mode, .type = template.type};
    model->names[dir][name] = slot->ino;
    inode_unref(&inode);
    return true;
}

/* The inode under a name, or NULL when it can't be read. */
static struct inode *get(uint64_t ino)
{
    struct inode *inode;

    if (inode_get(w.store, ino, 0, &inode) == ERR_OK)
        return inode;
    w.failed = w.failed || store_health(w.store) != ERR_OK;
    return NULL;
}

static bool do_remove(struct model *model, unsigned dir, unsigned name)
{
    uint64_t ino = model->names[dir][name];
    struct inode *inode;

    if (ino == 0 || (inode = get(ino)) == NULL)
        return false;
    if (refused(dir_remove(w.dirs[dir], name_of(name), ino))) {
        inode_unref(&inode);
        return false;
    }
    drop_link(model, inode);
    stamp(w.dirs[dir]);
    model->names[dir][name] = 0;
    if (chance(2) == 0) {
        struct inode **held = &w.held[chance(HELD)];

        inode_unref(held);
        *held = inode_ref(inode);
    }
    inode_unref(&inode);
    return true;
}

static bool do_rename(struct model *model, unsigned dir, unsigned name)
{
    unsigned to_dir = chance(DIRS), to = chance(NAMES);
    uint64_t ino = model->names[dir][name], over = model->names[to_dir][to];
    struct inode *inode, *old = NULL;
    bool done = false;

    if (ino == 0 || ino == over || (dir == to_dir && name == to) || (inode = get(ino)) == NULL)
        return false;
    if (over != 0 && (old = get(over)) == NULL)
        goto out;
    if (refused(over != 0 ? dir_replace(w.dirs[to_dir], name_of(to), inode)
                          : dir_insert(w.dirs[to_dir], name_of(to), inode)) ||
        refused(dir_remove(w.dirs[dir], name_of(name), ino)))
        goto out;
    if (old != NULL)
        drop_link(model, old);
    stamp(w.dirs[dir]);
    stamp(w.dirs[to_dir]);
    model->names[dir][name] = 0;
    model->names[to_dir][to] = ino;
    done = true;
out:
    inode_unref(&old);
    inode_unref(&inode);
    return done;
}

static bool do_link(struct model *model, unsigned dir, unsigned name)
{
    unsigned to = chance(NAMES);
    uint64_t ino = model->names[dir][name];
    struct inode *inode;
    bool done = false;

    if (ino == 0 || model->names[0][to] != 0 || (inode = get(ino)) == NULL)
        return false;
    if (!refused(dir_insert(w.dirs[0], name_of(to), inode))) {
        inode_change(inode)->nlink++;
        model_find(model, ino)->nlink++;
        model->names[0][to] = ino;
        done = true;
    }
    inode_unref(&inode);
    return done;
}

static bool do_change(struct model *model, unsigned dir, unsigned name)
{
    uint64_t ino = model->names[dir][name];
    struct model_inode *node = model_find(model, ino);
    unsigned what = chance(4), value = 1 + chance(1000);
    uint8_t bytes[3000];
    struct store_name xattr = {(const uint8_t *)"user.x", 6};
    struct inode *inode;
    bool done = false;

    if (ino == 0 || (inode = get(ino)) == NULL)
        return false;
    memset(bytes, (int)value, sizeof bytes);
    if (what == 0) {
        inode_change(inode)->mode = node->mode = value & 0777;
        done = true;
    } else if (what == 1 && !refused(inode_set_blob(inode, 7, bytes, value))) {
        node->blob = value;
        done = true;
    } else if (what == 2 && node->xattr != 0) {
        if (!refused(xattr_remove(inode, xattr))) {
            node->xattr = 0;
            done = true;
        }
    } else if (what >= 2 && !refused(xattr_set(inode, xattr, bytes, value * 3, XATTR_EITHER))) {
        node->xattr = value * 3;
        done = true;
    }
    inode_unref(&inode);
    return done;
}

static bool do_record(struct model *model, unsigned key)
{
    unsigned value = chance(500);
    uint8_t bytes[500];

    memset(bytes, (int)key, sizeof bytes);
    if (value < 100 ? refused(store_record_delete(w.store, "t", &key, sizeof key))
                    : refused(store_record_put(w.store, "t", &key, sizeof key, bytes, value)))
        return false;
    model->records[key] = value < 100 ? 0 : value;
    return true;
}

static bool do_operation(struct model *model)
{
    unsigned dir = chance(DIRS), name = chance(NAMES);

    switch (chance(10)) {
    case 0:
    case 1:
    case 2:
    case 3:
        return do_create(model, dir, name);
    case 4:
    case 5:
        return do_remove(model, dir, name);
    case 6:
        return do_rename(model, dir, name);
    case 7:
        return do_link(model, dir, name);
    case 8:
        return do_record(model, chance(RECORDS));
    default:
        return do_change(model, dir, name);
    }
}

/* ---- is the store like a model? ---- */

struct tally {
    const struct model *model;
    unsigned count;
    bool same;
};

static bool tally_record(void *data, const void *key, size_t key_length, const void *value,
                         size_t value_length)
{
    struct tally *tally = data;
    unsigned number;

    assert_int_equal(key_length, sizeof number);
    memcpy(&number, key, sizeof number);
    tally->same = tally->same && number < RECORDS && tally->model->records[number] == value_length &&
                  *(const uint8_t *)value == number;
    tally->count++;
    return true;
}

static bool tally_entry(void *data, const struct dirent *entry)
{
    (void)entry;
    ((struct tally *)data)->count++;
    return true;
}

static bool same_inode(const struct model_inode *node)
{
    struct store_name name = {(const uint8_t *)"user.x", 6};
    uint8_t target[STORE_SYMLINK_MAX];
    const uint8_t *value;
    struct inode *inode;
    size_t length;
    bool same;
    enum err err;

    if (inode_get(w.store, node->ino, 0, &inode) != ERR_OK)
        return false;
    same = inode_attr(inode)->nlink == node->nlink && inode_attr(inode)->mode == node->mode &&
           inode_attr(inode)->type == node->type;
    assert_int_equal(inode_get_blob(inode, 7, &value, &length), ERR_OK);
    same = same && length == node->blob;
    err = xattr_get(inode, name, &value, &length);
    assert_true(err == ERR_OK || err == ERR_NOXATTR);
    same = same && (err == ERR_OK ? length == node->xattr : node->xattr == 0);
    if (node->type == INODE_SYMLINK && same) {
        assert_int_equal(inode_symlink_target(inode, target, &length), ERR_OK);
        same = length == 6 && memcmp(target, "target", 6) == 0;
    }
    inode_unref(&inode);
    return same;
}

static bool same(const struct model *model)
{
    struct tally tally = {.model = model, .same = true};
    unsigned names = 0, records = 0;
    bool end;

    for (unsigned dir = 0; dir < DIRS; dir++) {
        for (unsigned name = 0; name < NAMES; name++) {
            uint64_t ino = 0;
            enum err err = dir_lookup(w.dirs[dir], name_of(name), STORE_EXACT, &ino, NULL, NULL);

            assert_true(err == ERR_OK || err == ERR_NOENT);
            if (ino != model->names[dir][name])
                return false;
            names += ino != 0;
        }
        assert_int_equal(dir_scan(w.dirs[dir], 0, tally_entry, &tally, &end), ERR_OK);
    }
    if (tally.count != names)
        return false;
    for (unsigned i = 0; i < INODES; i++)
        if (model->inodes[i].ino != 0 && !same_inode(&model->inodes[i]))
            return false;
    tally.count = 0;
    assert_int_equal(store_record_scan(w.store, "t", tally_record, &tally), ERR_OK);
    for (unsigned i = 0; i < RECORDS; i++)
        records += model->records[i] != 0;
    return tally.same && tally.count == records;
}

/* ---- running ---- */

static void acknowledged(struct store_waiter *waiter, enum err err)
{
    struct test_waiter *waits = container_of(waiter, struct test_waiter, waiter);

    waits->waits = false;
    if (err == ERR_OK) {
        /* in order, and never after a failure */
        assert_int_equal(store_health(w.store), ERR_OK);
        if (waits->operation > w.acknowledged)
            w.acknowledged = waits->operation;
    } else {
        w.failed = true;
    }
}

static void wait_for_it(void)
{
    struct test_waiter *free = NULL;
    enum err err;

    for (unsigned i = 0; i < WAITERS; i++)
        if (!w.waiters[i].waits)
            free = &w.waiters[i];
    if (free == NULL)
        return;
    free->operation = w.done;
    free->waiter.done = acknowledged;
    err = store_wait(w.store, store_ticket_metadata(w.store), &free->waiter);
    free->waits = err == ERR_WAIT;
    if (err == ERR_OK && free->operation > w.acknowledged)
        w.acknowledged = free->operation;
    w.failed = w.failed || (err != ERR_OK && err != ERR_WAIT);
}

static enum err open_store(void)
{
    struct store_options chosen = options;
    enum err err;

    if (w.seed % 2 == 0)
        chosen.segment_bytes /= 4;
    err = store_open(w.disk, w.loop, &chosen, &w.store);

    for (unsigned dir = 0; err == ERR_OK && dir < DIRS; dir++) {
        char name[8];
        uint32_t tree;
        uint64_t root;

        snprintf(name, sizeof name, "tree%u", dir);
        err = store_tree_open(w.store, name, 0, 0, &tree, &root);
        if (err == ERR_OK)
            err = inode_get(w.store, root, 0, &w.dirs[dir]);
    }
    return err;
}

/* The process dies. */
static void drop(void)
{
    simloop_drop_all(w.loop);
    for (unsigned dir = 0; dir < DIRS; dir++)
        w.dirs[dir] = NULL; /* freed with the store */
    memset(w.held, 0, sizeof w.held);
    store_close(&w.store);
    memset(w.waiters, 0, sizeof w.waiters);
}

static void run_operations(unsigned count)
{
    while (count-- > 0 && !w.failed && w.done + 1 < HISTORY) {
        struct model next = *present();

        if (do_operation(&next))
            w.history[++w.done] = next;
        if (w.failed)
            break;
        if (chance(3) == 0)
            wait_for_it();
        for (unsigned turns = chance(4); turns > 0; turns--)
            loop_run_once(w.loop, false);
        if (chance(10) == 0)
            simclock_advance_ms(chance(1500));
    }
}

static void report(void *data, const char *finding)
{
    (void)data;
    print_message("seed %llu: finding: %s\n", (unsigned long long)w.seed, finding);
}

/* Finds which past the store holds, and goes on from there. */
static void settle_history(uint64_t seed)
{
    size_t at = w.done + 1;

    while (at-- > w.acknowledged)
        if (same(&w.history[at]))
            break;
    if (at + 1 <= w.acknowledged) {
        size_t older = w.acknowledged;

        while (older-- > 0)
            if (same(&w.history[older]))
                break;
        fail_msg("%llu: the store holds none of the states %zu to %zu, but perhaps %zd",
                 (unsigned long long)seed, w.acknowledged, w.done, (ssize_t)older);
    }
    w.history[0] = w.history[at];
    w.done = w.acknowledged = 0;
    w.failed = false;
}

static void start_world(uint64_t seed)
{
    memset(&w, 0, sizeof w);
    w.random = w.seed = seed;
    simclock_install();
    random_set_seed(seed + 1);
    w.disk = simdisk_new(seed);
    w.loop = simloop_new(seed);
}

static void end_world(void)
{
    loop_close(&w.loop);
    disk_destroy(&w.disk);
    random_set_seed(0);
    simclock_remove();
}

/* Opens until the power stays on for it. */
static void open_with_cuts(uint64_t seed)
{
    for (unsigned tries = 0;; tries++) {
        if (tries < 3 && chance(2) == 0)
            simdisk_cut_at_call(w.disk, chance(40));
        if (open_store() == ERR_OK)
            return;
        assert_true(simdisk_is_cut(w.disk));
        if (w.store != NULL)
            drop();
        simloop_drop_all(w.loop);
        simdisk_power_cut(w.disk, seed + tries);
    }
}

static void one_power_cut_run(uint64_t seed)
{
    start_world(seed);
    open_with_cuts(seed);
    for (unsigned round = 0; round < 6; round++) {
        run_operations(chance(60));
        if (chance(4) != 0)
            simdisk_cut_at_call(w.disk, chance(50));
        run_operations(100);
        drop();
        simdisk_power_cut(w.disk, seed * 100 + round);
        open_with_cuts(seed * 1000 + round * 10);
        settle_history(seed);
        drop();
        simdisk_power_cut(w.disk, seed);
        assert_int_equal(store_check(w.disk, report, NULL), ERR_OK);
        open_with_cuts(seed);
        assert_true(same(present()));
    }
    drop();
    end_world();
}

static void power_cuts(void **state)
{
    const char *from = getenv("SEED"), *runs = getenv("RUNS");
    uint64_t first = from != NULL ? strtoull(from, NULL, 10) : 1;
    uint64_t count = runs != NULL ? strtoull(runs, NULL, 10) : 60;

    (void)state;
    for (uint64_t seed = first; seed < first + count; seed++)
        one_power_cut_run(seed);
    one_power_cut_run(1420); /* the WAL began anew without its head being durable first */
}

/* ---- the n-th call fails ---- */

static void stopped(void *data, enum err err)
{
    *(enum err *)data = err;
}

static enum err stop(void)
{
    enum err err = ERR_WAIT;

    for (unsigned dir = 0; dir < DIRS; dir++)
        inode_unref(&w.dirs[dir]);
    for (unsigned i = 0; i < HELD; i++)
        inode_unref(&w.held[i]);
    store_shutdown(w.store, stopped, &err);
    while (err == ERR_WAIT)
        loop_run_once(w.loop, true);
    assert_true(store_health(w.store) == err || err != ERR_OK);
    memset(w.waiters, 0, sizeof w.waiters);
    store_close(&w.store);
    return err;
}

/* One life of a store in which the NUMBER-th call fails. False when it did not come to that. */
static bool one_failure(uint64_t number, enum err err, unsigned flags, uint64_t seed)
{
    bool fired;

    start_world(seed);
    simdisk_fail(w.disk, number, err, flags);
    if (open_store() == ERR_OK) {
        run_operations(150);
        if (store_health(w.store) != ERR_OK) {
            struct store_waiter waiter = {.done = acknowledged};
            struct inode_attr template = {.type = INODE_FILE};
            struct inode *inode;

            /* sticky: nothing is accepted, nothing is called durable that was not before */
            assert_int_not_equal(inode_new(w.store, &template, NULL, 0, &inode), ERR_OK);
            assert_int_not_equal(store_wait(w.store, store_ticket_metadata(w.store), &waiter), ERR_OK);
        }
        if (stop() == ERR_OK)
            w.acknowledged = w.done;
    } else if (w.store != NULL) {
        drop();
    }
    fired = simdisk_fault_fired(w.disk);
    simloop_drop_all(w.loop);
    simdisk_fail(w.disk, 0, ERR_OK, 0);
    simdisk_power_cut(w.disk, seed + number);
    assert_int_equal(open_store(), ERR_OK);
    settle_history(number);
    assert_int_equal(stop(), ERR_OK);
    assert_int_equal(store_check(w.disk, report, NULL), ERR_OK);
    end_world();
    return fired;
}

static void nth_call_fails(void **state)
{
    static const struct {
        enum err err;
        unsigned flags;
    } table[] = {{ERR_IO, 0},
                 {ERR_IO, SIMDISK_STICKY},
                 {ERR_NOSPC, 0},
                 {ERR_NOSPC, SIMDISK_STICKY},
                 {ERR_IO, SIMDISK_READS},
                 {ERR_IO, SIMDISK_READS | SIMDISK_STICKY}};

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        uint64_t number = 1, step = 1;

        while (one_failure(number, table[i].err, table[i].flags, 42)) {
            number += step;
            step = number > 60 ? 3 : 1;
        }
        assert_true(number > 60);
        print_message("%s, flags %u: up to call %llu\n", err_name(table[i].err), table[i].flags,
                      (unsigned long long)number);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(power_cuts),
        cmocka_unit_test(nth_call_fails),
    };

    log_set_sink(NULL);
    log_set_level(getenv("VERBOSE") != NULL ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR);
    cmocka_set_test_filter(getenv("FILTER"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
