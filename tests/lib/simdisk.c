/*
 * simdisk.c - the simulated disk: names, handles, faults and counters. What files hold is in
 * simdisk_inode.c.
 *
 * One mutex is held through every call. A name has two meanings like a page has two images: the inode it
 * names now and the one it names after a power cut. Inodes live as long as a name of either kind or a
 * handle refers to them.
 */
#include "simdisk.h"
#include "simdisk_inode.h"
#include "dittofs/log.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_CAPACITY ((uint64_t)1 << 40)

struct name {
    struct list link;
    struct sim_inode *live;    /* NULL: not there */
    struct sim_inode *durable; /* NULL: not there */
    bool pending;              /* changed since the last sync of names */
    char text[];
};

struct handle {
    struct disk_file file;
    struct list link;
    struct sim_inode *inode; /* NULL: from before a power cut */
    unsigned flags;
};

struct fault {
    uint64_t left; /* calls up to the one that fails; 0: not armed */
    enum err err;
    unsigned flags;
    bool fired;
};

struct simdisk {
    struct disk disk;
    pthread_mutex_t mutex;
    struct list names;
    struct list handles;
    struct sim_random random;
    struct fault fault;
    bool cut_armed, is_cut;
    uint64_t cut_left; /* modifying calls that still work */
    uint64_t calls, syncs, reads;
    uint64_t capacity, used_bytes;
    enum simdisk_nowait nowait;
};

/* How a call goes on. */
enum verdict {
    GO,     /* as usual */
    BREAK,  /* in its midst: with part of its effect, then the error */
    REFUSE, /* with the error at once */
};

static struct simdisk *sim_of(struct disk *disk)
{
    return container_of(disk, struct simdisk, disk);
}

static struct handle *handle_of(struct disk_file *file)
{
    return container_of(file, struct handle, file);
}

static struct simdisk *lock(struct disk *disk)
{
    struct simdisk *sim = sim_of(disk);

    pthread_mutex_lock(&sim->mutex);
    return sim;
}

static enum err unlock(struct simdisk *sim, enum err err)
{
    pthread_mutex_unlock(&sim->mutex);
    return err;
}

static bool fault_hits(struct simdisk *sim)
{
    struct fault *fault = &sim->fault;

    if (fault->fired && fault->flags & SIMDISK_STICKY)
        return true;
    if (fault->left == 0 || --fault->left > 0)
        return false;
    fault->fired = true;
    return true;
}

static enum verdict judge_change(struct simdisk *sim, enum err *err_r)
{
    sim->calls++;
    *err_r = ERR_IO;
    if (sim->is_cut)
        return REFUSE;
    if (sim->cut_armed && sim->cut_left-- == 0) {
        sim->is_cut = true;
        return BREAK;
    }
    if (fault_hits(sim)) {
        *err_r = sim->fault.err;
        return BREAK;
    }
    *err_r = ERR_OK;
    return GO;
}

static enum err judge_read(struct simdisk *sim)
{
    sim->reads++;
    if (sim->is_cut)
        return ERR_IO;
    return sim->fault.flags & SIMDISK_READS && fault_hits(sim) ? sim->fault.err : ERR_OK;
}

static struct name *name_find(struct simdisk *sim, const char *text)
{
    struct list *link;

    list_for_each(link, &sim->names)
    {
        struct name *name = container_of(link, struct name, link);
        if (strcmp(name->text, text) == 0)
            return name;
    }
    return NULL;
}

static void *need(void *memory)
{
    invariant(memory != NULL);
    return memory;
}

static struct name *name_get(struct simdisk *sim, const char *text)
{
    struct name *name = name_find(sim, text);
    size_t length = strlen(text);

    if (name != NULL)
        return name;
    name = need(calloc(1, sizeof *name + length + 1));
    memcpy(name->text, text, length);
    list_push_back(&sim->names, &name->link);
    return name;
}

static void name_free_if_gone(struct name *name)
{
    if (name->live != NULL || name->durable != NULL)
        return;
    list_remove(&name->link);
    free(name);
}

static void name_settle(struct name *name, bool happened)
{
    name->pending = false;
    if (!happened || name->durable == name->live)
        return;
    sim_inode_unref(name->durable);
    name->durable = name->live;
    if (name->live != NULL)
        name->live->references++;
}

static enum err sim_open(struct disk *disk, const char *text, unsigned flags, struct disk_file **file_r)
{
    struct simdisk *sim = lock(disk);
    struct name *name = name_find(sim, text);
    struct handle *handle;
    enum err err = ERR_OK;

    invariant(text[0] != '\0' && text[0] != '.' && strchr(text, '/') == NULL);
    if (name != NULL && name->live != NULL) {
        if (flags & DISK_CREATE && flags & DISK_EXCLUSIVE)
            return unlock(sim, ERR_EXIST);
        err = judge_read(sim);
    } else if (flags & DISK_CREATE) {
        if (judge_change(sim, &err) == GO) {
            name = name_get(sim, text);
            name->live = sim_inode_new(&sim->used_bytes);
            name->pending = true;
        }
    } else {
        err = sim->is_cut ? ERR_IO : ERR_NOENT;
    }
    if (err != ERR_OK)
        return unlock(sim, err);
    handle = need(calloc(1, sizeof *handle));
    handle->file.disk = disk;
    handle->inode = name->live;
    handle->inode->references++;
    handle->flags = flags;
    list_push_back(&sim->handles, &handle->link);
    *file_r = &handle->file;
    return unlock(sim, ERR_OK);
}

static void sim_close(struct disk_file *file)
{
    struct handle *handle = handle_of(file);
    struct simdisk *sim = lock(file->disk);

    list_remove(&handle->link);
    sim_inode_unref(handle->inode);
    free(handle);
    unlock(sim, ERR_OK);
}

static enum err read_locked(struct simdisk *sim, struct handle *handle, void *buffer, size_t length,
                            uint64_t offset, size_t *got_r)
{
    enum err err;

    if (handle->inode == NULL)
        return ERR_IO;
    invariant(handle->flags & DISK_READ);
    err = judge_read(sim);
    if (err != ERR_OK)
        return err;
    if (offset >= handle->inode->live_size)
        length = 0;
    else if (length > handle->inode->live_size - offset)
        length = (size_t)(handle->inode->live_size - offset);
    sim_inode_read(handle->inode, buffer, length, offset);
    *got_r = length;
    return ERR_OK;
}

static enum err sim_pread(struct disk_file *file, void *buffer, size_t length, uint64_t offset, size_t *got_r)
{
    struct simdisk *sim = lock(file->disk);

    return unlock(sim, read_locked(sim, handle_of(file), buffer, length, offset, got_r));
}

static enum err sim_pread_nowait(struct disk_file *file, void *buffer, size_t length, uint64_t offset,
                                 size_t *got_r)
{
    struct simdisk *sim = lock(file->disk);

    if (sim->nowait == SIMDISK_NOWAIT_AGAIN)
        return unlock(sim, ERR_AGAIN);
    if (sim->nowait == SIMDISK_NOWAIT_RANDOM) {
        if (sim_random_chance(&sim->random, 2))
            return unlock(sim, ERR_AGAIN);
        /* RWF_NOWAIT: fewer are given when only the first pages are in memory; none would be EAGAIN. */
        if (length > 1 && sim_random_chance(&sim->random, 2))
            length = 1 + (size_t)sim_random_below(&sim->random, length - 1);
    }
    return unlock(sim, read_locked(sim, handle_of(file), buffer, length, offset, got_r));
}

static uint64_t room_of(struct simdisk *sim)
{
    return sim->used_bytes < sim->capacity ? sim->capacity - sim->used_bytes : 0;
}

/* Writes the first MOST bytes at most, as far as there is room. */
static enum err write_locked(struct simdisk *sim, struct sim_inode *inode, const struct iovec *vector,
                             int count, uint64_t offset, uint64_t most)
{
    for (int i = 0; i < count && most > 0; i++) {
        size_t length = vector[i].iov_len < most ? vector[i].iov_len : (size_t)most;
        size_t fitting = sim_inode_fitting(inode, offset, length, room_of(sim));

        sim_inode_write(inode, vector[i].iov_base, fitting, offset, &sim->random);
        if (fitting < length)
            return ERR_NOSPC;
        offset += length;
        most -= length;
    }
    return ERR_OK;
}

static enum err sim_pwritev(struct disk_file *file, const struct iovec *vector, int count, uint64_t offset)
{
    struct simdisk *sim = lock(file->disk);
    struct handle *handle = handle_of(file);
    uint64_t length = 0;
    enum verdict verdict;
    enum err err, written;

    if (handle->inode == NULL)
        return unlock(sim, ERR_IO);
    invariant(handle->flags & DISK_WRITE);
    for (int i = 0; i < count; i++)
        length += vector[i].iov_len;
    if (length > INT64_MAX || offset > INT64_MAX - length)
        return unlock(sim, ERR_INVAL);
    verdict = judge_change(sim, &err);
    if (verdict == REFUSE)
        return unlock(sim, err);
    if (verdict == BREAK)
        length = sim_random_below(&sim->random, length + 1);
    written = write_locked(sim, handle->inode, vector, count, offset, length);
    return unlock(sim, verdict == BREAK ? err : written);
}

static enum err sim_sync(struct disk_file *file)
{
    struct simdisk *sim = lock(file->disk);
    struct handle *handle = handle_of(file);
    enum verdict verdict;
    enum err err;

    if (handle->inode == NULL)
        return unlock(sim, ERR_IO);
    sim->syncs++;
    verdict = judge_change(sim, &err);
    if (verdict == GO)
        sim_inode_sync(handle->inode);
    else if (verdict == BREAK)
        sim_inode_sync_failed(handle->inode, &sim->random);
    return unlock(sim, err);
}

static enum err sim_truncate(struct disk_file *file, uint64_t size)
{
    struct simdisk *sim = lock(file->disk);
    struct handle *handle = handle_of(file);
    enum verdict verdict;
    enum err err;

    if (handle->inode == NULL)
        return unlock(sim, ERR_IO);
    invariant(handle->flags & DISK_WRITE);
    if (size > INT64_MAX)
        return unlock(sim, ERR_INVAL);
    verdict = judge_change(sim, &err);
    if (verdict == GO || (verdict == BREAK && sim_random_chance(&sim->random, 2)))
        sim_inode_truncate(handle->inode, size);
    return unlock(sim, err);
}

static enum err sim_allocate(struct disk_file *file, uint64_t offset, uint64_t length)
{
    struct simdisk *sim = lock(file->disk);
    struct handle *handle = handle_of(file);
    enum err err;

    if (handle->inode == NULL)
        return unlock(sim, ERR_IO);
    if (length > INT64_MAX || offset > INT64_MAX - length)
        return unlock(sim, ERR_INVAL);
    if (judge_change(sim, &err) == GO && !sim_inode_reserve(handle->inode, offset, length, room_of(sim)))
        err = ERR_NOSPC;
    return unlock(sim, err);
}

static enum err sim_punch(struct disk_file *file, uint64_t offset, uint64_t length)
{
    struct simdisk *sim = lock(file->disk);
    struct handle *handle = handle_of(file);
    enum err err;

    if (handle->inode == NULL)
        return unlock(sim, ERR_IO);
    if (length > INT64_MAX || offset > INT64_MAX - length)
        return unlock(sim, ERR_INVAL);
    if (judge_change(sim, &err) == GO)
        sim_inode_punch(handle->inode, offset, length);
    return unlock(sim, err);
}

static enum err sim_size(struct disk_file *file, uint64_t *size_r)
{
    struct simdisk *sim = lock(file->disk);
    struct handle *handle = handle_of(file);

    if (handle->inode == NULL || sim->is_cut)
        return unlock(sim, ERR_IO);
    *size_r = handle->inode->live_size;
    return unlock(sim, ERR_OK);
}

static enum err sim_unlink(struct disk *disk, const char *text)
{
    struct simdisk *sim = lock(disk);
    struct name *name = name_find(sim, text);
    enum err err;

    if (name == NULL || name->live == NULL)
        return unlock(sim, sim->is_cut ? ERR_IO : ERR_NOENT);
    if (judge_change(sim, &err) == GO) {
        sim_inode_unref(name->live);
        name->live = NULL;
        name->pending = true;
        name_free_if_gone(name);
    }
    return unlock(sim, err);
}

/* Both names may be found after a power cut, or none. */
static enum err sim_rename(struct disk *disk, const char *from, const char *to)
{
    struct simdisk *sim = lock(disk);
    struct name *old = name_find(sim, from), *new = name_find(sim, to);
    enum err err;

    if (old == NULL || old->live == NULL)
        return unlock(sim, sim->is_cut ? ERR_IO : ERR_NOENT);
    if (new != NULL &&new->live != NULL)
        return unlock(sim, ERR_EXIST);
    if (judge_change(sim, &err) == GO) {
        new = name_get(sim, to);
        new->live = old->live;
        old->live = NULL;
        new->pending = old->pending = true;
        name_free_if_gone(old);
    }
    return unlock(sim, err);
}

static enum err sim_sync_names(struct disk *disk)
{
    struct simdisk *sim = lock(disk);
    struct list *link, *following;
    enum verdict verdict;
    enum err err;

    sim->syncs++;
    verdict = judge_change(sim, &err);
    if (verdict == REFUSE)
        return unlock(sim, err);
    list_for_each_safe(link, following, &sim->names)
    {
        struct name *name = container_of(link, struct name, link);
        if (name->pending)
            name_settle(name, verdict == GO || sim_random_chance(&sim->random, 2));
        name_free_if_gone(name);
    }
    return unlock(sim, err);
}

/* EACH may call the disk: it gets a copy of the list, without the lock. */
static enum err sim_list(struct disk *disk, void (*each)(void *data, const char *name), void *data)
{
    struct simdisk *sim = lock(disk);
    size_t count = 0, room = 0;
    char **texts = NULL;
    struct list *link;

    if (sim->is_cut)
        return unlock(sim, ERR_IO);
    list_for_each(link, &sim->names)
    {
        struct name *name = container_of(link, struct name, link);
        if (name->live == NULL)
            continue;
        if (count == room) {
            room = room * 2 + 16;
            texts = need(realloc(texts, room * sizeof *texts));
        }
        texts[count++] = need(strdup(name->text));
    }
    unlock(sim, ERR_OK);
    for (size_t i = 0; i < count; i++) {
        each(data, texts[i]);
        free(texts[i]);
    }
    free(texts);
    return ERR_OK;
}

static enum err sim_space(struct disk *disk, struct disk_space *space_r)
{
    struct simdisk *sim = lock(disk);

    *space_r = (struct disk_space){.total_bytes = sim->capacity, .free_bytes = room_of(sim)};
    return unlock(sim, ERR_OK);
}

static void sim_destroy(struct disk *disk)
{
    struct simdisk *sim = sim_of(disk);

    while (!list_is_empty(&sim->handles)) {
        struct handle *handle = list_first(&sim->handles, struct handle, link);
        list_remove(&handle->link);
        sim_inode_unref(handle->inode);
        free(handle);
    }
    while (!list_is_empty(&sim->names)) {
        struct name *name = list_first(&sim->names, struct name, link);
        list_remove(&name->link);
        sim_inode_unref(name->live);
        sim_inode_unref(name->durable);
        free(name);
    }
    pthread_mutex_destroy(&sim->mutex);
    free(sim);
}

static const struct disk_operations operations = {
    .open = sim_open,
    .close = sim_close,
    .pread = sim_pread,
    .pread_nowait = sim_pread_nowait,
    .pwritev = sim_pwritev,
    .sync = sim_sync,
    .truncate = sim_truncate,
    .allocate = sim_allocate,
    .punch = sim_punch,
    .size = sim_size,
    .unlink = sim_unlink,
    .rename = sim_rename,
    .sync_names = sim_sync_names,
    .list = sim_list,
    .space = sim_space,
    .destroy = sim_destroy,
};

struct disk *simdisk_new(uint64_t seed)
{
    struct simdisk *sim = need(calloc(1, sizeof *sim));

    sim->disk.operations = &operations;
    pthread_mutex_init(&sim->mutex, NULL);
    list_init(&sim->names);
    list_init(&sim->handles);
    sim->random.state = seed;
    sim->capacity = DEFAULT_CAPACITY;
    return &sim->disk;
}

static void name_power_cut(struct name *name, struct sim_random *random)
{
    name_settle(name, name->pending && sim_random_chance(random, 2));
    if (name->live != name->durable) {
        sim_inode_unref(name->live);
        name->live = name->durable;
        if (name->live != NULL)
            name->live->references++;
    }
    /* A name whose change was forgotten by a failed sync comes here, too; an inode has one name only. */
    if (name->live != NULL)
        sim_inode_power_cut(name->live, random);
    name_free_if_gone(name);
}

void simdisk_power_cut(struct disk *disk, uint64_t seed)
{
    struct simdisk *sim = lock(disk);
    struct sim_random random = {.state = seed};
    struct list *link, *following;

    list_for_each(link, &sim->handles)
    {
        struct handle *handle = container_of(link, struct handle, link);
        sim_inode_unref(handle->inode);
        handle->inode = NULL;
    }
    list_for_each_safe(link, following, &sim->names)
        name_power_cut(container_of(link, struct name, link), &random);
    sim->fault = (struct fault){0};
    sim->cut_armed = sim->is_cut = false;
    unlock(sim, ERR_OK);
}

void simdisk_fail(struct disk *disk, uint64_t number, enum err err, unsigned flags)
{
    struct simdisk *sim = lock(disk);

    sim->fault = (struct fault){.left = number, .err = err, .flags = flags};
    unlock(sim, ERR_OK);
}

bool simdisk_fault_fired(struct disk *disk)
{
    struct simdisk *sim = lock(disk);
    bool fired = sim->fault.fired;

    unlock(sim, ERR_OK);
    return fired;
}

void simdisk_cut_at_call(struct disk *disk, uint64_t number)
{
    struct simdisk *sim = lock(disk);

    sim->cut_armed = true;
    sim->cut_left = number;
    unlock(sim, ERR_OK);
}

bool simdisk_is_cut(struct disk *disk)
{
    struct simdisk *sim = lock(disk);
    bool is_cut = sim->is_cut;

    unlock(sim, ERR_OK);
    return is_cut;
}

static uint64_t counter(struct disk *disk, const uint64_t *value)
{
    struct simdisk *sim = lock(disk);
    uint64_t now = *value;

    unlock(sim, ERR_OK);
    return now;
}

uint64_t simdisk_calls(struct disk *disk)
{
    return counter(disk, &sim_of(disk)->calls);
}

uint64_t simdisk_syncs(struct disk *disk)
{
    return counter(disk, &sim_of(disk)->syncs);
}

uint64_t simdisk_reads(struct disk *disk)
{
    return counter(disk, &sim_of(disk)->reads);
}

uint64_t simdisk_used_bytes(struct disk *disk)
{
    return counter(disk, &sim_of(disk)->used_bytes);
}

void simdisk_set_capacity(struct disk *disk, uint64_t bytes)
{
    struct simdisk *sim = lock(disk);

    sim->capacity = bytes;
    unlock(sim, ERR_OK);
}

size_t simdisk_open_handles(struct disk *disk)
{
    struct simdisk *sim = lock(disk);
    struct list *link;
    size_t count = 0;

    list_for_each(link, &sim->handles)
    {
        if (container_of(link, struct handle, link)->inode != NULL)
            count++;
    }
    unlock(sim, ERR_OK);
    return count;
}

void simdisk_set_nowait(struct disk *disk, enum simdisk_nowait how)
{
    struct simdisk *sim = lock(disk);

    sim->nowait = how;
    unlock(sim, ERR_OK);
}

bool simdisk_corrupt(struct disk *disk, const char *text, uint64_t offset, uint8_t mask)
{
    struct simdisk *sim = lock(disk);
    struct name *name = name_find(sim, text);
    bool is_there = name != NULL && name->live != NULL && offset < name->live->live_size;

    if (is_there)
        sim_inode_flip(name->live, offset, mask);
    unlock(sim, ERR_OK);
    return is_there;
}
