/*
 * test_vfs_faults.c - a mixed workload of vfs while the n-th call of the disk fails, for every n.
 *
 * After every operation that was done the whole tree is written down. What must hold: an operation that
 * fails says why and changes nothing; after the crash that follows, the tree is one of those written down,
 * not older than the last one that was promised to be durable; the store's own check finds nothing wrong,
 * before and after; and the store can be used again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dittofs/arena.h"
#include "dittofs/cursor.h"
#include "dittofs/hash.h"
#include "dittofs/log.h"
#include "simclock.h"
#include "simdisk.h"
#include "simloop.h"
#include "vfsworld.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct world world;

/* ---- the whole tree as text ---- */

enum { DUMP_MOST = 1 << 20, DIR_MOST = 128, DUMP_DATA = 1 << 18 };

struct dump_entry {
    char name[64];
    struct inode *inode;
};

struct dump_dir {
    struct dump_entry entries[DIR_MOST];
    unsigned count;
    bool failed;
};

static bool dump_take(void *data, const struct vfs_dirent *entry)
{
    struct dump_dir *dir = data;

    if (entry->inode == NULL) {
        dir->failed = true;
        return false;
    }
    assert_true(dir->count < DIR_MOST && entry->name.length < 64);
    memcpy(dir->entries[dir->count].name, entry->name.bytes, entry->name.length);
    dir->entries[dir->count].name[entry->name.length] = '\0';
    dir->entries[dir->count].inode = inode_ref(entry->inode);
    dir->count++;
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct dump_entry *)a)->name, ((const struct dump_entry *)b)->name);
}

static bool dump_xattr(void *data, struct store_name name, size_t value_length)
{
    char line[64];

    snprintf(line, sizeof line, " %.*s=%zu", (int)name.length, (const char *)name.bytes, value_length);
    writer_bytes(data, line, strlen(line));
    return true;
}

static bool dump_stream(void *data, struct store_name name, struct inode *stream)
{
    char line[100];

    snprintf(line, sizeof line, " :%.*s=%llu", (int)name.length, (const char *)name.bytes,
             (unsigned long long)inode_attr(stream)->size);
    writer_bytes(data, line, strlen(line));
    return true;
}

static enum err dump_list(struct writer *out, struct inode *inode)
{
    struct arena arena;
    struct acl acl;
    char line[64];
    enum err err;

    arena_init(&arena, 0);
    err = vfs_acl_get(&world.root, inode, &arena, &acl);
    for (uint16_t i = 0; err == ERR_OK && i < acl.count; i++) {
        snprintf(line, sizeof line, " %u:%u:%x", (unsigned)acl.aces[i].who, acl.aces[i].id, acl.aces[i].mask);
        writer_bytes(out, line, strlen(line));
    }
    arena_reset(&arena);
    return err == ERR_NOENT ? ERR_OK : err;
}

static enum err dump_inode(struct writer *out, struct inode *inode)
{
    static uint8_t bytes[DUMP_DATA];
    const struct inode_attr *attr = inode_attr(inode);
    char line[160];
    uint32_t got = 0;
    bool eof;
    enum err err = ERR_OK;

    snprintf(line, sizeof line, "%llu type %d mode %o owner %u:%u links %u", (unsigned long long)(attr->ino),
             (int)attr->type, attr->mode, attr->uid, attr->gid, attr->nlink);
    writer_bytes(out, line, strlen(line));
    if (attr->type == INODE_FILE) {
        err = world_read(&world, &world.root, inode, 0, bytes, sizeof bytes, &got, &eof, VFS_IO_OPEN_HANDLE);
        if (err != ERR_OK)
            return err;
        snprintf(line, sizeof line, " size %llu data %08x", (unsigned long long)attr->size,
                 crc32c(0, bytes, got));
        writer_bytes(out, line, strlen(line));
    }
    if (attr->type == INODE_FILE || attr->type == INODE_DIRECTORY)
        err = vfs_xattr_list(&world.root, inode, world_name(""), dump_xattr, out);
    if (err == ERR_OK)
        err = dump_list(out, inode);
    if (err == ERR_OK && (attr->type == INODE_FILE || attr->type == INODE_DIRECTORY))
        err = vfs_stream_list(&world.root, inode, dump_stream, out);
    writer_bytes(out, "\n", 1);
    return err;
}

static enum err dump_directory(struct writer *out, struct inode *inode, const char *path)
{
    struct dump_dir *dir = calloc(1, sizeof *dir);
    bool end;
    enum err err;

    assert_non_null(dir);
    err = vfs_readdir(&world.root, inode, 0, true, dump_take, dir, &end);
    if (err == ERR_OK && dir->failed)
        err = ERR_IO;
    qsort(dir->entries, dir->count, sizeof dir->entries[0], by_name);
    for (unsigned i = 0; i < dir->count; i++) {
        char below[256];

        if (err == ERR_OK) {
            snprintf(below, sizeof below, "%s/%s", path, dir->entries[i].name);
            writer_bytes(out, below, strlen(below));
            writer_bytes(out, " ", 1);
            err = dump_inode(out, dir->entries[i].inode);
        }
        if (err == ERR_OK && inode_attr(dir->entries[i].inode)->type == INODE_DIRECTORY)
            err = dump_directory(out, dir->entries[i].inode, below);
        vfs_unref(&dir->entries[i].inode);
    }
    free(dir);
    return err;
}

/* A malloc'ed text of everything, or NULL when the disk did not let it be read. */
static char *dump(void)
{
    struct writer out;

    writer_init_growing(&out, DUMP_MOST);
    writer_bytes(&out, "/ ", 2);
    if (dump_inode(&out, world.top) != ERR_OK || dump_directory(&out, world.top, "") != ERR_OK) {
        writer_free(&out);
        return NULL;
    }
    writer_bytes(&out, "", 1);
    assert_false(out.failed);
    return (char *)out.data;
}

/* ---- the workload ---- */

static uint8_t pattern[300000];

/* The inode at PATH ("a/b"), with a reference. */
static enum err at(const char *path, struct inode **inode_r)
{
    struct inode *dir = inode_ref(world.top), *next;
    enum err err = ERR_OK;

    while (*path != '\0' && err == ERR_OK) {
        size_t length = strcspn(path, "/");
        struct store_name name = {.bytes = (const uint8_t *)path, .length = length};

        err = vfs_lookup(&world.root, dir, name, &next);
        if (err == ERR_OK) {
            vfs_unref(&dir);
            dir = next;
        }
        path += length;
        path += *path == '/' ? 1 : 0;
    }
    if (err != ERR_OK)
        vfs_unref(&dir);
    else
        *inode_r = dir;
    return err;
}

enum action {
    MAKE,
    EXCLUSIVE,
    LINK,
    RENAME,
    REMOVE,
    CHMOD,
    SIZE,
    TOUCH,
    WRITE,
    PUNCH,
    CLONE,
    SET_X,
    REMOVE_X,
    LIST,
    CHMOD_LISTED, /* the list grows, for which there may be no room */
    STREAM,
    RENAME_STREAM,
    REMOVE_STREAM
};

static const struct step {
    enum action action;
    const char *dir, *name; /* of what it is done to; the name that comes or goes */
    const char *other, *other_name;
    uint64_t number, offset; /* type, mode, size or length */
} steps[] = {
    {MAKE, "", "d1", NULL, NULL, INODE_DIRECTORY, 0},
    {MAKE, "d1", "f1", NULL, NULL, INODE_FILE, 0},
    {WRITE, "d1/f1", NULL, NULL, NULL, 5000, 0},
    {EXCLUSIVE, "d1", "x1", NULL, NULL, 0, 0},
    {TOUCH, "d1/x1", NULL, NULL, NULL, 0, 0},
    {MAKE, "d1", "d2", NULL, NULL, INODE_DIRECTORY, 0},
    {MAKE, "d1/d2", "s1", NULL, NULL, INODE_SYMLINK, 0},
    {LINK, "d1/f1", NULL, "d1/d2", "f2", 0, 0},
    {CHMOD, "d1/f1", NULL, NULL, NULL, 0604, 0},
    {SET_X, "d1/f1", "k1", NULL, NULL, 10, 0},
    {SET_X, "d1/f1", "k2", NULL, NULL, 6000, 0},
    {WRITE, "d1/f1", NULL, NULL, NULL, 200000, 4000},
    {RENAME, "d1", "x1", "d1/d2", "x2", 0, 0},
    {SIZE, "d1/f1", NULL, NULL, NULL, 1234, 0},
    {RENAME, "d1", "d2", "", "d3", 0, 0},
    {LIST, "d3", NULL, NULL, NULL, 0, 0},        /* inherited from now on */
    {LIST, "d1/f1", NULL, NULL, NULL, 02777, 0}, /* with a mode */
    {CHMOD_LISTED, "d1/f1", NULL, NULL, NULL, 0640, 0},
    {STREAM, "d3/x2", "one", NULL, NULL, 0, 0},
    {STREAM, "d3/x2", "two", NULL, NULL, 0, 0},
    {RENAME_STREAM, "d3/x2", "two", NULL, "one", 0, 0}, /* over one */
    {STREAM, "d1", "three", NULL, NULL, 0, 0},
    {REMOVE_STREAM, "d1", "three", NULL, NULL, 0, 0},
    {MAKE, "d3", "f3", NULL, NULL, INODE_FILE, 0},
    {WRITE, "d3/f3", NULL, NULL, NULL, 131072, 131072},
    {CLONE, "d3/f3", NULL, "d1/f1", NULL, 0, 0},
    {RENAME, "d3", "f3", "d3", "x2", 0, 0}, /* over a file */
    {REMOVE_X, "d1/f1", "k2", NULL, NULL, 0, 0},
    {PUNCH, "d1/f1", NULL, NULL, NULL, 65536, 131072},
    {MAKE, "d1", "d4", NULL, NULL, INODE_DIRECTORY, 0},
    {MAKE, "d1", "d5", NULL, NULL, INODE_DIRECTORY, 0},
    {RENAME, "d1", "d5", "d1", "d4", 0, 0}, /* over a directory */
    {REMOVE, "d3", "s1", NULL, NULL, 0, 0},
    {REMOVE, "d3", "f2", NULL, NULL, 0, 0}, /* one of two links */
    {REMOVE, "d1", "f1", NULL, NULL, 0, 0}, /* the last, with data */
    {REMOVE, "d1", "d4", NULL, NULL, 0, 0},
    {REMOVE, "", "d1", NULL, NULL, 0, 0},
};

enum { STEPS = sizeof steps / sizeof steps[0] };

static enum err create_at(struct vfs_context *context, struct inode *dir, const struct step *step)
{
    struct vfs_create create = {
        .type = step->action == EXCLUSIVE ? INODE_FILE : (enum inode_type)step->number,
        .how = step->action == EXCLUSIVE ? VFS_CREATE_EXCLUSIVE : VFS_CREATE_GUARDED,
        .verifier = "1234567",
        .set = {.set = VFS_SET_MODE, .mode = 0755},
        .target = (const uint8_t *)"target",
        .target_length = 6,
    };
    struct inode *inode;
    bool created;
    enum err err = vfs_create(context, dir, world_name(step->name), &create, &inode, &created);

    if (err == ERR_OK)
        vfs_unref(&inode);
    return err;
}

static enum err set_at(struct vfs_context *context, struct inode *inode, const struct step *step)
{
    struct vfs_setattr set = {.mode = (uint32_t)step->number, .size = step->number};

    if (step->action == CHMOD || step->action == CHMOD_LISTED)
        set.set = VFS_SET_MODE;
    else if (step->action == SIZE)
        set.set = VFS_SET_SIZE;
    else
        set.mtime_how = set.atime_how = VFS_TIME_NOW;
    return vfs_setattr(context, inode, &set, NULL, false);
}

/* A list that files inherit; with the mode that the step has. */
static enum err list_at(struct vfs_context *context, struct inode *inode, const struct step *step)
{
    struct acl_ace aces[] = {{.who = ACL_OWNER, .mask = ACL_ALL},
                             {.who = ACL_UID, .id = 7, .flags = ACL_OBJECT_INHERIT, .mask = ACL_READ_DATA}};
    const struct acl acl = {.count = 2, .aces = aces};
    struct vfs_setattr set = {.set = VFS_SET_ACL, .acl = &acl, .mode = (uint32_t)step->number};

    if (step->number != 0)
        set.set |= VFS_SET_MODE;
    return vfs_setattr(context, inode, &set, NULL, false);
}

static enum err stream_at(struct vfs_context *context, struct inode *inode, const struct step *step)
{
    struct inode *stream;
    enum err err = vfs_stream_create(context, inode, world_name(step->name), &stream);

    if (err == ERR_OK)
        vfs_unref(&stream);
    return err;
}

static enum err write_at(struct vfs_context *context, struct inode *inode, const struct step *step)
{
    enum err err =
        world_write(&world, context, inode, step->offset, pattern, step->number, VFS_IO_CHECK_MODE);

    return err == ERR_OK ? vfs_commit(context, inode) : err;
}

static enum err do_step(struct vfs_context *context, const struct step *step, struct inode *inode,
                        struct inode *other)
{
    switch (step->action) {
    case MAKE:
    case EXCLUSIVE:
        return create_at(context, inode, step);
    case LINK:
        return vfs_link(context, inode, other, world_name(step->other_name));
    case RENAME:
        return vfs_rename(context, inode, world_name(step->name), other, world_name(step->other_name), false);
    case REMOVE:
        return vfs_remove(context, inode, world_name(step->name), VFS_REMOVE_ANY);
    case CHMOD:
    case CHMOD_LISTED:
    case SIZE:
    case TOUCH:
        return set_at(context, inode, step);
    case WRITE:
        return write_at(context, inode, step);
    case PUNCH:
        return vfs_deallocate(context, inode, step->offset, step->number, VFS_IO_CHECK_MODE);
    case CLONE:
        return vfs_clone(context, (struct vfs_clone_end){inode, 0, VFS_IO_CHECK_MODE},
                         (struct vfs_clone_end){other, 0, VFS_IO_CHECK_MODE}, 0);
    case SET_X:
        return vfs_xattr_set(context, inode, world_name(step->name), pattern, step->number, XATTR_CREATE);
    case REMOVE_X:
        return vfs_xattr_remove(context, inode, world_name(step->name));
    case LIST:
        return list_at(context, inode, step);
    case STREAM:
        return stream_at(context, inode, step);
    case RENAME_STREAM:
        return vfs_stream_rename(context, inode, world_name(step->name), world_name(step->other_name), true);
    case REMOVE_STREAM:
        return vfs_stream_remove(context, inode, world_name(step->name));
    }
    return ERR_NOTSUPP;
}

static enum err run_step(struct vfs_context *context, const struct step *step)
{
    struct inode *inode, *other = NULL;
    enum err err = at(step->dir, &inode);

    if (err != ERR_OK)
        return err;
    if (step->other != NULL)
        err = at(step->other, &other);
    if (err == ERR_OK)
        err = do_step(context, step, inode, other);
    vfs_unref(&inode);
    vfs_unref(&other);
    return err;
}

/* ---- one run ---- */

/* What the tree was after each operation; SHOTS[0] at the start. */
struct history {
    char *shots[STEPS + 1];
    unsigned count;
    unsigned promised; /* index of the last one that was said to be durable */
};

static void history_free(struct history *history)
{
    for (unsigned i = 0; i < history->count; i++)
        free(history->shots[i]);
}

static bool is_expected_failure(enum err err, enum err injected)
{
    return err == injected || err == ERR_FAILED || err == ERR_IO;
}

/* A step that failed while the store lives has changed nothing. */
static void expect_unchanged(const struct history *history, unsigned step, enum err err, const char *now)
{
    const char *before = history->shots[history->count - 1];

    if (strcmp(now, before) != 0)
        fail_msg("step %u failed (%s) and left something:\n%s\nbefore:\n%s", step, err_name(err), now,
                 before);
}

/* Runs the steps until the store has failed, or a look at the tree hit the fault. Steps that build on one
 * that failed may find nothing. */
static void run_workload(struct history *history, enum err injected)
{
    bool failed = false;

    for (unsigned i = 0; i < STEPS && store_health(world.store) == ERR_OK; i++) {
        struct vfs_context context = world.root;
        enum err err, durable;
        char *shot;

        context.ticket = (struct store_ticket){0};
        err = run_step(&context, &steps[i]);
        if (err != ERR_OK && !is_expected_failure(err, injected) && !(failed && err == ERR_NOENT))
            fail_msg("step %u: %s", i, err_name(err));
        failed = failed || err != ERR_OK;
        if (store_health(world.store) != ERR_OK)
            return;
        shot = dump();
        if (shot == NULL)
            return;
        if (err != ERR_OK) {
            expect_unchanged(history, i, err, shot);
            free(shot);
            continue;
        }
        history->shots[history->count++] = shot;
        durable = world_durable(&world, &context);
        if (durable == ERR_OK)
            history->promised = history->count - 1;
        else if (!is_expected_failure(durable, injected))
            fail_msg("step %u: waiting said %s", i, err_name(durable));
    }
}

static void print_finding(void *data, const char *finding)
{
    ++*(unsigned *)data;
    print_message("check: %s\n", finding);
}

static void check_store(const char *when)
{
    unsigned findings = 0;
    enum err err = store_check(world.disk, print_finding, &findings);

    if (err != ERR_OK || findings != 0)
        fail_msg("check %s: %s, %u findings", when, err_name(err), findings);
}

static void expect_one_of(const struct history *history)
{
    char *now = dump();

    assert_non_null(now);
    for (unsigned i = history->promised; i < history->count; i++) {
        if (strcmp(now, history->shots[i]) == 0) {
            free(now);
            return;
        }
    }
    fail_msg("after the crash:\n%s\nwas never so since:\n%s", now, history->shots[history->promised]);
}

/* The process dies and the power is cut. */
static void drop(uint64_t seed)
{
    vfs_unref(&world.top);
    vfs_close(&world.vfs);
    simloop_drop_all(world.loop);
    store_close(&world.store);
    simdisk_power_cut(world.disk, seed);
}

/* The power is gone and back: everything that was promised, nothing that never was, and it works. */
static void recover(const struct history *history, uint64_t seed)
{
    struct vfs_context context;
    struct inode *inode;

    drop(seed);
    check_store("after the crash");
    assert_int_equal(world_up(&world), ERR_OK);
    world_check_tree(&world);
    expect_one_of(history);
    context = world.root;
    context.ticket = (struct store_ticket){0};
    inode = world_make(&world, NULL, "afterwards", INODE_FILE, 0644, 0, 0);
    assert_int_equal(world_write(&world, &context, inode, 0, pattern, 10000, VFS_IO_CHECK_MODE), ERR_OK);
    assert_int_equal(vfs_commit(&context, inode), ERR_OK);
    vfs_unref(&inode);
    assert_int_equal(world_durable(&world, &context), ERR_OK);
    world_check_tree(&world);
    world_down(&world);
    check_store("after a clean stop");
    loop_close(&world.loop);
    disk_destroy(&world.disk);
}

/* The start is durable, so that the first tree written down is one that can be found again. */
static void settle(void)
{
    struct vfs_context context = world.root;
    struct vfs_setattr set = {.set = VFS_SET_UID, .uid = 0};

    assert_int_equal(vfs_setattr(&context, world.top, &set, NULL, false), ERR_OK);
    assert_int_equal(world_durable(&world, &context), ERR_OK);
}

enum { CUT = 1 << 16 }; /* a flag of ours beside simdisk's: cut the power instead */

/* True when the fault fired: there may be more calls. */
static bool one_run(uint64_t number, enum err injected, unsigned flags)
{
    struct history history = {.count = 1};
    bool fired;

    world_start(&world);
    settle();
    history.shots[0] = dump();
    assert_non_null(history.shots[0]);
    if ((flags & CUT) != 0)
        simdisk_cut_at_call(world.disk, number - 1);
    else
        simdisk_fail(world.disk, number, injected, flags);
    run_workload(&history, injected);
    fired = (flags & CUT) != 0 ? simdisk_is_cut(world.disk) : simdisk_fault_fired(world.disk);
    if (!fired)
        assert_int_equal(history.promised, STEPS);
    recover(&history, number * 31 + flags);
    history_free(&history);
    return fired;
}

static void every_number(enum err injected, unsigned flags)
{
    uint64_t number = 1;

    log_set_level(LOG_LEVEL_ERROR);
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = (uint8_t)(hash_u64(i / 64) >> i % 8);
    while (one_run(number, injected, flags))
        number++;
    print_message("%u calls failed in turn\n", (unsigned)(number - 1));
    assert_true(number > STEPS); /* each step at least one */
}

static void one_write_fails(void **state)
{
    (void)state;
    every_number(ERR_IO, 0);
}

static void all_writes_fail(void **state)
{
    (void)state;
    every_number(ERR_IO, SIMDISK_STICKY);
}

static void one_write_finds_no_space(void **state)
{
    (void)state;
    every_number(ERR_NOSPC, 0);
}

static void no_space_from_then_on(void **state)
{
    (void)state;
    every_number(ERR_NOSPC, SIMDISK_STICKY);
}

static void one_call_fails(void **state)
{
    (void)state;
    every_number(ERR_IO, SIMDISK_READS);
}

static void power_cut(void **state)
{
    (void)state;
    every_number(ERR_IO, CUT);
}

/* One start after a crash while the NUMBER-th call fails, reads as well: it says so, and another start finds
 * all. True when the fault fired. */
static bool one_start(uint64_t number)
{
    struct history history = {.count = 1};
    enum err err;
    char *seen;
    bool fired;

    world_start(&world);
    settle();
    history.shots[0] = dump();
    run_workload(&history, ERR_OK);
    assert_int_equal(history.promised, STEPS);
    drop(number);
    simdisk_fail(world.disk, number, ERR_IO, SIMDISK_READS);
    err = world_up(&world);
    seen = err == ERR_OK ? dump() : NULL;
    fired = simdisk_fault_fired(world.disk);
    assert_true(err == ERR_OK || (fired && err == ERR_IO));
    assert_true(seen != NULL || fired);
    if (seen != NULL)
        assert_string_equal(seen, history.shots[STEPS]);
    free(seen);
    if (err == ERR_OK)
        drop(number);
    simdisk_fail(world.disk, 0, ERR_OK, 0);
    check_store("after a failed start");
    assert_int_equal(world_up(&world), ERR_OK);
    expect_one_of(&history);
    recover(&history, number);
    history_free(&history);
    return fired;
}

static void opening_fails(void **state)
{
    uint64_t number = 1;

    (void)state;
    while (one_start(number))
        number++;
    print_message("%u calls failed in turn\n", (unsigned)(number - 1));
    assert_true(number > 10);
}

/* ---- no room for more ---- */

enum { RESERVE_BYTES = 64 << 20 }; /* of store_options */

/* What a full disk must not hinder. */
static bool must_work(enum action action)
{
    return action == REMOVE || action == REMOVE_X || action == CHMOD || action == TOUCH || action == SIZE;
}

/* Streams in SHOT: of files with one name each. */
static size_t streams_of(const char *shot)
{
    size_t count = 0;

    for (; (shot = strstr(shot, " :")) != NULL; shot += 2)
        count++;
    return count;
}

/* Step NUMBER when only ROOM bytes above the store's reserve are free. */
static void one_without_room(unsigned number, uint64_t room)
{
    struct vfs_context context;
    char *before, *after;
    enum err err;

    world_start(&world);
    settle();
    context = world.root;
    for (unsigned i = 0; i < number; i++)
        assert_int_equal(run_step(&context, &steps[i]), ERR_OK);
    assert_int_equal(world_durable(&world, &context), ERR_OK);
    before = dump();
    simdisk_set_capacity(world.disk, simdisk_used_bytes(world.disk) + RESERVE_BYTES + room);
    simclock_advance_ms(1000);
    context.ticket = (struct store_ticket){0};
    err = run_step(&context, &steps[number]);
    if (err != ERR_OK && (err != ERR_NOSPC || must_work(steps[number].action)))
        fail_msg("step %u with room for %u: %s", number, (unsigned)room, err_name(err));
    after = dump();
    if (err != ERR_OK)
        assert_string_equal(before, after);
    assert_int_equal(world_durable(&world, &context), ERR_OK);
    simdisk_set_capacity(world.disk, (uint64_t)1 << 40);
    simclock_advance_ms(1000);
    world_check_all_freed(&world, streams_of(after));
    if (err != ERR_OK)
        assert_int_equal(run_step(&context, &steps[number]), ERR_OK);
    free(after);
    after = dump();
    world_check_all_freed(&world, streams_of(after));
    world_stop(&world);
    free(before);
    free(after);
}

/* In steps of a page around what the store wants for a change of metadata: first refused as a whole, then in
 * the middle of an operation, then not. */
static void no_room(void **state)
{
    (void)state;
    for (unsigned number = 0; number < STEPS; number++)
        for (uint64_t pages = 0; pages < 8; pages++)
            one_without_room(number, pages * SIMDISK_PAGE_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_write_fails),
        cmocka_unit_test(all_writes_fail),
        cmocka_unit_test(one_write_finds_no_space),
        cmocka_unit_test(no_space_from_then_on),
        cmocka_unit_test(one_call_fails),
        cmocka_unit_test(power_cut),
        cmocka_unit_test(opening_fails),
        cmocka_unit_test(no_room),

    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
