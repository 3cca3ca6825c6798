/*
 * test_conflict.c - what others hold: which operation breaks which caching grant, waits, changes nothing
 * before it may, and whose own grants are left alone; files that somebody has open and lets nobody delete.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dittofs/grant.h"
#include "dittofs/lock.h"
#include "simloop.h"
#include "vfs/vfs_priv.h"
#include "vfsworld.h"
#include <string.h>

enum { R = GRANT_READ, W = GRANT_WRITE, H = GRANT_HANDLE, NOTHING = 99 };

static struct world world;
static struct state *state_room;
static struct client *holder, *other;
static struct inode *file, *dir, *target, *sub;
static struct {
    int calls, done;
    unsigned to;
} told;

static void breaking(struct grant *grant, unsigned to, bool acknowledge)
{
    (void)grant;
    (void)acknowledge;
    told.calls++;
    told.to = to;
}

static const struct grant_operations operations = {.breaking = breaking};

static void waited(struct grant_waiter *waiter, enum err err)
{
    (void)waiter;
    assert_int_equal(err, ERR_OK);
    told.done++;
}

static struct client *make_client(const char *name)
{
    struct client_spec spec = {.family = 1, .owner = name, .owner_length = strlen(name)};
    struct client *client = NULL;

    assert_int_equal(client_new(state_room, &spec, NULL, &client), ERR_OK);
    return client_confirm(client);
}

static int start(void **state)
{
    (void)state;
    world_start(&world);
    assert_int_equal(state_open(world.loop, &(struct state_options){0}, NULL, &state_room), ERR_OK);
    vfs_use_state(world.vfs, state_room);
    holder = make_client("holder");
    other = make_client("other");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    vfs_use_state(world.vfs, NULL);
    state_close(&state_room);
    world_check_all_freed(&world, 0);
    world_stop(&world);
    return 0;
}

static void scene_begin(void)
{
    memset(&told, 0, sizeof told);
    dir = world_make(&world, NULL, "dir", INODE_DIRECTORY, 0777, 0, 0);
    file = world_make(&world, dir, "file", INODE_FILE, 0666, 0, 0);
    target = world_make(&world, dir, "target", INODE_FILE, 0666, 0, 0);
    sub = world_make(&world, dir, "sub", INODE_DIRECTORY, 0777, 0, 0);
    assert_int_equal(world_write(&world, &world.root, file, 0, "hello", 5, VFS_IO_CHECK_MODE), ERR_OK);
}

static void scene_end(void)
{
    vfs_unref(&file);
    vfs_unref(&target);
    vfs_unref(&sub);
    vfs_unref(&dir);
    world_remove_all(&world, NULL, "dir");
}

static struct state_file *state_of(const struct inode *inode)
{
    struct state_file *found = NULL;

    assert_int_equal(state_file_get(state_room, inode_attr(inode)->tree, inode_attr(inode)->ino, &found),
                     ERR_OK);
    return found;
}

static struct grant *give(const struct inode *inode, unsigned kinds, bool delegation)
{
    struct state_file *on = state_of(inode);
    struct grant_spec spec = {.file = on,
                              .client = holder,
                              .key = "key",
                              .key_length = 3,
                              .kinds = kinds,
                              .delegation = delegation,
                              .operations = &operations};
    struct grant *grant = NULL;

    assert_int_equal(grant_add(&spec, &grant), ERR_OK);
    state_file_unref(&on);
    return grant;
}

/* ---- every operation ---- */

static enum err do_read(struct vfs_context *context)
{
    uint8_t data[5];
    uint32_t got;
    bool eof;

    return world_read(&world, context, file, 0, data, sizeof data, &got, &eof, VFS_IO_OPEN_HANDLE);
}

static enum err do_write(struct vfs_context *context)
{
    return world_write(&world, context, file, 0, "HELLO", 5, VFS_IO_OPEN_HANDLE);
}

static enum err set(struct vfs_context *context, struct vfs_setattr set)
{
    return vfs_setattr(context, file, &set, NULL, false);
}

static enum err do_truncate(struct vfs_context *context)
{
    return set(context, (struct vfs_setattr){.set = VFS_SET_SIZE, .size = 1});
}

static enum err do_chmod(struct vfs_context *context)
{
    return set(context, (struct vfs_setattr){.set = VFS_SET_MODE, .mode = 0600});
}

static enum err do_touch(struct vfs_context *context)
{
    return set(context, (struct vfs_setattr){.mtime_how = VFS_TIME_SET, .mtime = {.seconds = 7}});
}

static enum err do_nothing(struct vfs_context *context)
{
    return set(context, (struct vfs_setattr){.set = 0});
}

static enum err do_allocate(struct vfs_context *context)
{
    return vfs_allocate(context, file, 0, 4096, false, VFS_IO_OPEN_HANDLE);
}

static enum err do_punch(struct vfs_context *context)
{
    return vfs_deallocate(context, file, 0, 4096, VFS_IO_OPEN_HANDLE);
}

static enum err do_xattr_set(struct vfs_context *context)
{
    return vfs_xattr_set(context, file, world_name("a"), "v", 1, XATTR_EITHER);
}

static enum err do_remove(struct vfs_context *context)
{
    return vfs_remove(context, dir, world_name("file"), VFS_REMOVE_NOT_DIRECTORY);
}

static enum err do_rename(struct vfs_context *context)
{
    return vfs_rename(context, dir, world_name("file"), sub, world_name("moved"), false);
}

static enum err do_replace(struct vfs_context *context)
{
    return vfs_rename(context, dir, world_name("target"), dir, world_name("file"), false);
}

static enum err do_link(struct vfs_context *context)
{
    return vfs_link(context, file, dir, world_name("link"));
}

static enum err do_create(struct vfs_context *context)
{
    struct vfs_create create = {.type = INODE_FILE, .how = VFS_CREATE_GUARDED};
    struct inode *made = NULL;
    bool created;
    enum err err = vfs_create(context, dir, world_name("new"), &create, &made, &created);

    if (err == ERR_OK)
        vfs_unref(&made);
    return err;
}

static enum err do_create_over(struct vfs_context *context)
{
    struct vfs_create create = {.type = INODE_FILE, .how = VFS_CREATE_UNCHECKED, .set.set = VFS_SET_SIZE};
    struct inode *there = NULL;
    bool created;
    enum err err = vfs_create(context, dir, world_name("file"), &create, &there, &created);

    if (err == ERR_OK)
        vfs_unref(&there);
    return err;
}

static enum err do_open_read(struct vfs_context *context)
{
    return vfs_conflict_open(context, file, OPEN_READ, 0, false, NULL);
}

static enum err do_open_write(struct vfs_context *context)
{
    return vfs_conflict_open(context, file, OPEN_WRITE, 0, false, NULL);
}

static enum err do_open_deny(struct vfs_context *context)
{
    return vfs_conflict_open(context, file, OPEN_READ, OPEN_READ, false, NULL);
}

static enum err do_open_empty(struct vfs_context *context)
{
    return vfs_conflict_open(context, file, OPEN_READ, 0, true, NULL);
}

static enum err do_lock(struct vfs_context *context)
{
    return vfs_conflict_lock(context, file, false);
}

static enum err do_lock_exclusive(struct vfs_context *context)
{
    return vfs_conflict_lock(context, file, true);
}

/* What becomes of a lease with everything, of one to read, and of a delegation to read and to write, on the
 * file (or, ON_DIR, on the directory). NOTHING: it stays. */
static const struct row {
    const char *name;
    enum err (*run)(struct vfs_context *context);
    bool on_dir;
    unsigned rwh, r, read_delegation, write_delegation;
} rows[] = {
    {"read", do_read, false, R | H, NOTHING, NOTHING, 0},
    {"write", do_write, false, 0, 0, 0, 0},
    {"truncate", do_truncate, false, 0, 0, 0, 0},
    {"chmod", do_chmod, false, NOTHING, NOTHING, 0, 0},
    {"touch", do_touch, false, R | H, NOTHING, 0, 0},
    {"set nothing", do_nothing, false, NOTHING, NOTHING, NOTHING, NOTHING},
    {"allocate", do_allocate, false, 0, 0, 0, 0},
    {"punch", do_punch, false, 0, 0, 0, 0},
    {"set xattr", do_xattr_set, false, NOTHING, NOTHING, 0, 0},
    {"remove", do_remove, false, R | W, NOTHING, 0, 0},
    {"rename", do_rename, false, R | W, NOTHING, 0, 0},
    {"replace", do_replace, false, R | W, NOTHING, 0, 0},
    {"link", do_link, false, R | W, NOTHING, 0, 0},
    {"create beside it", do_create, false, NOTHING, NOTHING, NOTHING, NOTHING},
    {"create over it", do_create_over, false, 0, 0, 0, 0},
    {"open to read", do_open_read, false, R | H, NOTHING, NOTHING, 0},
    {"open to write", do_open_write, false, R | H, NOTHING, 0, 0},
    {"open, deny reading", do_open_deny, false, R | H, NOTHING, 0, 0},
    {"open, emptied", do_open_empty, false, 0, 0, 0, 0},
    {"lock", do_lock, false, 0, 0, NOTHING, 0},
    {"lock exclusively", do_lock_exclusive, false, 0, 0, 0, 0},
    {"create in", do_create, true, NOTHING, 0, 0, NOTHING},
    {"remove in", do_remove, true, NOTHING, 0, 0, NOTHING},
    {"rename from", do_rename, true, NOTHING, 0, 0, NOTHING},
    {"link in", do_link, true, NOTHING, 0, 0, NOTHING},
    {"write below", do_write, true, NOTHING, NOTHING, NOTHING, NOTHING},
};

static void one(const struct row *row, unsigned kinds, bool delegation, unsigned to)
{
    const struct inode *on = row->on_dir ? dir : file;
    bool waits = to != NOTHING && (delegation || kinds != R);
    struct grant_waiter waiter = {.done = waited};
    struct vfs_context context;
    struct inode_attr before, after, dir_before, dir_after;
    struct grant *grant;

    scene_begin();
    on = row->on_dir ? dir : file;
    grant = give(on, kinds, delegation);
    /* Its holder goes on without a break. */
    vfs_getattr(file, &before);
    vfs_getattr(dir, &dir_before);
    context = world.root;
    context.grants = context.dir_grants = (struct vfs_grant_owner){other, NULL, 0};
    context.grant_waiter = &waiter;
    if (row->run(&context) != (waits ? ERR_DELAY : ERR_OK))
        fail_msg("%s, %u", row->name, kinds);
    simloop_run_until_idle(world.loop);
    if (told.calls != (to != NOTHING) || (told.calls > 0 && told.to != to))
        fail_msg("%s, %u: told %d times, %u", row->name, kinds, told.calls, told.to);
    if (waits) {
        /* Nothing was changed. */
        vfs_getattr(file, &after);
        vfs_getattr(dir, &dir_after);
        assert_memory_equal(&before, &after, sizeof before);
        assert_memory_equal(&dir_before, &dir_after, sizeof dir_before);
        assert_int_equal(told.done, 0);
        /* Asked again, also by one who can't wait: the holder hears of it once. */
        context.grant_waiter = NULL;
        assert_int_equal(row->run(&context), ERR_DELAY);
        if (to == 0)
            grant_return(grant);
        else
            assert_int_equal(grant_acknowledge(grant, to), ERR_OK);
        simloop_run_until_idle(world.loop);
        assert_int_equal(told.calls, 1);
        assert_int_equal(told.done, 1);
        assert_int_equal(row->run(&context), ERR_OK);
        if (to != 0)
            grant_return(grant);
    } else {
        grant_return(grant);
    }
    scene_end();
}

static void what_breaks_what(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!rows[i].on_dir) {
            one(&rows[i], R | W | H, false, rows[i].rwh);
            one(&rows[i], R | W, true, rows[i].write_delegation);
        }
        one(&rows[i], R, false, rows[i].r);
        one(&rows[i], R, true, rows[i].read_delegation);
    }
}

static void ones_own_are_left_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        static const struct {
            const char *key;
            bool own;
        } keys[] = {{NULL, true}, {"key", true}, {"yek", false}};

        for (size_t k = 0; k < 3; k++) {
            struct vfs_context context;
            struct grant *grant;

            scene_begin();
            grant = give(rows[i].on_dir ? dir : file, R, true);
            context = world.root;
            context.grants = context.dir_grants =
                (struct vfs_grant_owner){holder, keys[k].key, keys[k].key == NULL ? 0 : 3};
            assert_int_equal(rows[i].run(&context),
                             keys[k].own || rows[i].read_delegation == NOTHING ? ERR_OK : ERR_DELAY);
            simloop_run_until_idle(world.loop);
            assert_int_equal(told.calls, !keys[k].own && rows[i].read_delegation != NOTHING);
            grant_return(grant);
            scene_end();
        }
    }
}

/* All breaks of one operation run side by side; who has gone waits for none. */
static void several_at_once(void **state)
{
    struct grant_waiter waiter = {.done = waited};
    struct vfs_context context = world.root;
    struct grant *grants[3];

    (void)state;
    scene_begin();
    grants[0] = give(file, R | H, false);
    grants[1] = give(target, R, true);
    grants[2] = give(dir, R, true);
    context.grant_waiter = &waiter;
    assert_int_equal(do_replace(&context), ERR_DELAY);
    simloop_run_until_idle(world.loop);
    assert_int_equal(told.calls, 3);
    assert_true(world_has(&world, dir, "target"));
    grant_wait_cancel(&waiter);
    context.grant_waiter = NULL;
    context.tells_only = true;
    assert_int_equal(do_replace(&context), ERR_OK);
    assert_false(world_has(&world, dir, "target"));
    for (size_t i = 0; i < 3; i++)
        grant_return(grants[i]);
    assert_int_equal(told.done, 0);
    scene_end();
}

/* ---- opens that let nobody delete ---- */

static struct open *open_as(struct client *client, unsigned access, unsigned deny)
{
    struct state_file *on = state_of(file);
    struct owner *owner = NULL;
    struct open_spec spec;
    struct open *open = NULL;

    assert_int_equal(owner_get(client, 1, "owner", 5, &owner), ERR_OK);
    spec = (struct open_spec){.file = on, .owner = owner, .access = access, .deny = deny};
    assert_int_equal(open_add(&spec, &open), ERR_OK);
    owner_unref(&owner);
    state_file_unref(&on);
    return open;
}

static void deletion_is_denied(void **state)
{
    static enum err (*const deletions[])(struct vfs_context * context) = {do_remove, do_rename, do_replace};

    (void)state;
    for (size_t i = 0; i < sizeof deletions / sizeof *deletions; i++) {
        struct vfs_context context = world.root;
        struct open *open;

        scene_begin();
        open = open_as(holder, OPEN_READ, OPEN_DELETE);
        assert_int_equal(deletions[i](&context), ERR_FILE_OPEN);
        assert_int_equal(do_link(&context), ERR_OK);
        assert_int_equal(vfs_remove(&context, dir, world_name("link"), VFS_REMOVE_ANY), ERR_FILE_OPEN);
        assert_true(world_has(&world, dir, "file") && world_has(&world, dir, "target"));
        /* The one who denies it to others may. */
        context.owner = owner_id(open_owner(open));
        assert_int_equal(deletions[i](&context), ERR_OK);
        open_close(open);
        scene_end();
    }
}

/* A deny mode that a cached handle may be the reason of is asked back before it counts. */
static void cached_handles_deny_at_first(void **state)
{
    struct vfs_context context = world.root;
    struct grant *grant;
    struct open *open;

    (void)state;
    scene_begin();
    grant = give(file, R | H, false);
    open = open_as(holder, OPEN_READ, OPEN_READ | OPEN_DELETE);
    assert_int_equal(do_open_read(&context), ERR_DELAY);
    simloop_run_until_idle(world.loop);
    assert_int_equal(told.to, R);
    assert_int_equal(grant_acknowledge(grant, R), ERR_OK);
    /* The holder has it open in earnest. */
    assert_int_equal(do_open_read(&context), ERR_OK); /* open_add says no */
    assert_int_equal(
        world_read(&world, &context, file, 0, &told, 1, &(uint32_t){0}, &(bool){false}, VFS_IO_CHECK_MODE),
        ERR_LOCKED);
    assert_int_equal(do_remove(&context), ERR_FILE_OPEN);
    grant_return(grant);
    grant = give(file, R | H, false);
    assert_int_equal(do_remove(&context), ERR_DELAY);
    /* It was in its cache alone. */
    open_close(open);
    grant_return(grant);
    assert_int_equal(do_remove(&context), ERR_OK);
    scene_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_breaks_what, start, stop),
        cmocka_unit_test_setup_teardown(ones_own_are_left_alone, start, stop),
        cmocka_unit_test_setup_teardown(several_at_once, start, stop),
        cmocka_unit_test_setup_teardown(deletion_is_denied, start, stop),
        cmocka_unit_test_setup_teardown(cached_handles_deny_at_first, start, stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
