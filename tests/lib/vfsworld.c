/*
 * vfsworld.c - see vfsworld.h.
 */
#include "vfsworld.h"

#include "dittofs/hashtable.h"
#include "dittofs/hash.h"
#include "dittofs/log.h"
#include "simclock.h"
#include "simdisk.h"
#include "simloop.h"
#include <stdlib.h>
#include <string.h>

enum { WAIT_MS = 600000 };

/* ---- start, stop ---- */

struct outcome {
    bool done;
    enum err err;
};

static bool is_done(void *data)
{
    return ((struct outcome *)data)->done;
}

static void note_outcome(void *data, enum err err)
{
    struct outcome *outcome = data;

    invariant(!outcome->done);
    outcome->done = true;
    outcome->err = err;
}

struct vfs_export_config world_config(const char *name)
{
    return (struct vfs_export_config){
        .name = name,
        .sync = true,
        .squash = VFS_SQUASH_NONE,
        .anonymous_uid = 65534,
        .anonymous_gid = 65534,
        .security = VFS_SEC_SYS | VFS_SEC_KRB5 | VFS_SEC_KRB5I | VFS_SEC_KRB5P | VFS_SEC_NONE,
        .protocols = VFS_NFS3 | VFS_NFS4 | VFS_SMB,
        .root_mode = 0755,
    };
}

enum err world_up(struct world *world)
{
    struct vfs_export_config config = world_config("test");
    enum err err = store_open(world->disk, world->loop, NULL, &world->store);

    if (err != ERR_OK)
        return err;
    err = vfs_open(world->store, world->loop, &world->vfs);
    if (err == ERR_OK)
        err = vfs_exports_set(world->vfs, &config, 1);
    if (err == ERR_OK) {
        world->export = vfs_export_find(world->vfs, "test", 4);
        world->root = world_as(world, 0, 0);
        err = vfs_root(&world->root, &world->top);
    }
    if (err != ERR_OK) {
        vfs_close(&world->vfs);
        simloop_drop_all(world->loop);
        store_close(&world->store);
    }
    return err;
}

void world_start(struct world *world)
{
    memset(world, 0, sizeof *world);
    simclock_install();
    simclock_set_tick_ns(1000);
    world->disk = simdisk_new(1);
    world->loop = simloop_new(1);
    invariant(world_up(world) == ERR_OK);
}

void world_down(struct world *world)
{
    struct outcome outcome = {.done = false};

    vfs_unref(&world->top);
    vfs_close(&world->vfs);
    store_shutdown(world->store, note_outcome, &outcome);
    invariant(simloop_run_until_timed(world->loop, is_done, &outcome, WAIT_MS));
    store_close(&world->store);
}

void world_restart(struct world *world)
{
    world_down(world);
    invariant(world_up(world) == ERR_OK);
}

void world_crash(struct world *world, uint64_t seed)
{
    vfs_unref(&world->top);
    vfs_close(&world->vfs);
    simloop_drop_all(world->loop);
    store_close(&world->store);
    simdisk_power_cut(world->disk, seed);
    invariant(world_up(world) == ERR_OK);
}

void world_stop(struct world *world)
{
    world_down(world);
    loop_close(&world->loop);
    disk_destroy(&world->disk);
    simclock_remove();
}

/* ---- short ways ---- */

struct vfs_context world_as(const struct world *world, uint32_t uid, uint32_t gid)
{
    struct vfs_user user = {.uid = uid, .gid = gid};
    struct vfs_context context;

    invariant(vfs_context_init(&context, world->vfs, world->export, VFS_NFS4, VFS_SEC_SYS, NULL, &user) ==
              ERR_OK);
    return context;
}

struct store_name world_name(const char *text)
{
    return (struct store_name){.bytes = (const uint8_t *)text, .length = strlen(text)};
}

struct inode *world_make(struct world *world, struct inode *dir, const char *name, enum inode_type type,
                         uint32_t mode, uint32_t uid, uint32_t gid)
{
    struct vfs_create create = {
        .type = type,
        .how = VFS_CREATE_GUARDED,
        .set = {.set = VFS_SET_MODE | VFS_SET_UID | VFS_SET_GID, .mode = mode, .uid = uid, .gid = gid},
    };
    struct inode *inode;
    bool created;

    if (type == INODE_SYMLINK) {
        create.target = (const uint8_t *)"target";
        create.target_length = 6;
    }
    invariant(vfs_create(&world->root, dir == NULL ? world->top : dir, world_name(name), &create, &inode,
                         &created) == ERR_OK);
    invariant(created);
    return inode;
}

struct inode *world_find(struct world *world, struct inode *dir, const char *name)
{
    struct inode *inode;
    enum err err = vfs_lookup(&world->root, dir == NULL ? world->top : dir, world_name(name), &inode);

    invariant(err == ERR_OK || err == ERR_NOENT);
    return err == ERR_OK ? inode : NULL;
}

bool world_has(struct world *world, struct inode *dir, const char *name)
{
    struct inode *inode = world_find(world, dir, name);
    bool there = inode != NULL;

    inode_unref(&inode);
    return there;
}

struct first_name {
    uint8_t bytes[STORE_NAME_MAX + 1];
    size_t length;
};

static bool take_first(void *data, const struct vfs_dirent *entry)
{
    struct first_name *first = data;

    if (first->length != 0)
        return false;
    memcpy(first->bytes, entry->name.bytes, entry->name.length);
    first->length = entry->name.length;
    return true;
}

void world_remove_all(struct world *world, struct inode *dir, const char *name)
{
    struct inode *inode = world_find(world, dir, name);
    bool end;

    invariant(inode != NULL);
    while (inode_attr(inode)->type == INODE_DIRECTORY && !dir_is_empty(inode)) {
        struct first_name first = {.length = 0};

        invariant(vfs_readdir(&world->root, inode, 0, false, take_first, &first, &end) == ERR_OK);
        first.bytes[first.length] = '\0';
        world_remove_all(world, inode, (const char *)first.bytes);
    }
    inode_unref(&inode);
    invariant(vfs_remove(&world->root, dir == NULL ? world->top : dir, world_name(name), VFS_REMOVE_ANY) ==
              ERR_OK);
}

void world_chmod(struct world *world, struct inode *inode, uint32_t mode)
{
    struct vfs_setattr set = {.set = VFS_SET_MODE, .mode = mode};

    invariant(vfs_setattr(&world->root, inode, &set, NULL, false) == ERR_OK);
}

/* ---- waiting ---- */

struct durable_wait {
    struct store_waiter waiter;
    struct outcome outcome;
};

static void waiter_done(struct store_waiter *waiter, enum err err)
{
    note_outcome(&container_of(waiter, struct durable_wait, waiter)->outcome, err);
}

enum err world_durable(struct world *world, struct vfs_context *context)
{
    struct durable_wait wait = {.waiter.done = waiter_done};
    enum err err = vfs_durable(context, &wait.waiter);

    if (err != ERR_WAIT)
        return err;
    invariant(simloop_run_until_timed(world->loop, is_done, &wait.outcome, WAIT_MS));
    return wait.outcome.err;
}

struct write_wait {
    struct vfs_write write;
    struct outcome outcome;
};

static void write_done(struct store_write *write, enum err err)
{
    note_outcome(&container_of(write, struct write_wait, write.store)->outcome, err);
}

enum err world_write(struct world *world, struct vfs_context *context, struct inode *inode, uint64_t offset,
                     const void *data, size_t length, enum vfs_io_right right)
{
    struct write_wait wait = {
        .write.store = {
            .inode = inode, .offset = offset, .data = {.data = data, .length = length}, .done = write_done}};
    enum err err = vfs_write(context, &wait.write, right);

    if (err != ERR_WAIT)
        return err;
    invariant(simloop_run_until_timed(world->loop, is_done, &wait.outcome, WAIT_MS));
    return wait.outcome.err;
}

struct read_wait {
    struct vfs_read read;
    struct outcome outcome;
};

static void read_done(struct store_read *read, enum err err)
{
    note_outcome(&container_of(read, struct read_wait, read.store)->outcome, err);
}

enum err world_read(struct world *world, struct vfs_context *context, struct inode *inode, uint64_t offset,
                    void *data, uint32_t length, uint32_t *got_r, bool *eof_r, enum vfs_io_right right)
{
    struct read_wait wait = {
        .read.store = {
            .inode = inode, .offset = offset, .length = length, .buffer = data, .done = read_done}};
    enum err err = vfs_read(context, &wait.read, right);

    if (err == ERR_WAIT) {
        invariant(simloop_run_until_timed(world->loop, is_done, &wait.outcome, WAIT_MS));
        err = wait.outcome.err;
    }
    if (err == ERR_OK) {
        *got_r = wait.read.store.got;
        *eof_r = wait.read.store.eof;
    }
    return err;
}

/* ---- the whole tree ---- */

/* An inode that the walk met. */
struct met {
    struct hashlink hashed;
    struct inode *inode;
    uint32_t names;
    struct met *next;
};

struct walk {
    struct world *world;
    struct hashtable met;
    struct met *all; /* newest first */
    struct met *at;
    uint32_t subdirectories;
    size_t names, inodes;
};

static struct met *meet(struct walk *walk, struct inode *inode, bool *new_r)
{
    uint64_t hash = hash_u64(inode_attr(inode)->ino);
    struct hashlink *link;
    struct met *met;

    for (link = hashtable_find(&walk->met, hash); link != NULL; link = hashtable_find_next(link)) {
        met = container_of(link, struct met, hashed);
        if (met->inode == inode) {
            *new_r = false;
            return met;
        }
    }
    met = calloc(1, sizeof *met);
    invariant(met != NULL);
    met->inode = inode_ref(inode);
    invariant(hashtable_insert(&walk->met, &met->hashed, hash));
    met->next = walk->all;
    walk->all = met;
    *new_r = true;
    return met;
}

static bool walk_entry(void *data, const struct vfs_dirent *entry)
{
    struct walk *walk = data;
    const struct inode_attr *attr;
    struct met *met;
    bool new;

    invariant(entry->inode != NULL);
    attr = inode_attr(entry->inode);
    invariant(attr->ino == entry->ino && attr->nlink > 0);
    met = meet(walk, entry->inode, &new);
    met->names++;
    walk->names++;
    if (attr->type == INODE_DIRECTORY) {
        invariant(new);
        invariant(attr->parent == inode_attr(walk->at->inode)->ino);
        walk->subdirectories++;
    }
    return true;
}

static struct walk walk_tree(struct world *world)
{
    struct walk walk = {.world = world};
    struct met *done = NULL, *stop;
    bool new, end;

    meet(&walk, world->top, &new)->names = 1;
    /* Listing puts what is met for the first time in front of `all`; DONE is where the last round began. */
    while (walk.all != done) {
        stop = done;
        done = walk.all;
        for (struct met *met = done; met != stop; met = met->next) {
            const struct inode_attr *attr = inode_attr(met->inode);

            if (attr->type != INODE_DIRECTORY)
                continue;
            walk.at = met;
            walk.subdirectories = 0;
            invariant(vfs_readdir(&world->root, met->inode, 0, true, walk_entry, &walk, &end) == ERR_OK);
            invariant(end);
            invariant(attr->nlink == 2 + walk.subdirectories);
        }
    }
    while (walk.all != NULL) {
        struct met *met = walk.all;
        const struct inode_attr *attr = inode_attr(met->inode);

        invariant(attr->type == INODE_DIRECTORY ? met->names == 1 : attr->nlink == met->names);
        walk.all = met->next;
        walk.inodes++;
        inode_unref(&met->inode);
        free(met);
    }
    hashtable_free(&walk.met);
    return walk;
}

size_t world_check_tree(struct world *world)
{
    return walk_tree(world).names;
}

void world_check_all_freed(struct world *world, size_t other_roots)
{
    size_t inodes = walk_tree(world).inodes;
    struct store_space space;

    /* The store frees with its commits, large ones in slices. */
    for (unsigned second = 0; second < 10; second++) {
        simclock_advance_ms(1000);
        simloop_run_until_idle(world->loop);
    }
    store_space(world->store, &space);
    invariant(space.inodes == inodes + other_roots);
}
