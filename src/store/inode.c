/*
 * inode.c - inodes in memory: found by number, counted references, changed in place, freed.
 *
 * An inode in memory is in store->inodes and on at most one list: idle (nobody refers to it and its row is
 * right: may be dropped, oldest first), dirty (its row is written with the next commit), doomed (no links and
 * no references: freed with the next commits, not found any more). One that is referenced and clean, or has
 * data that is not flushed, is on none.
 *
 * Numbers are handed out below ino_limit, which is in the database: a crash leaves numbers out, but none is
 * used twice. Values of `change` begin with the number of the run, so that none repeats either.
 */
#include "store/inode_priv.h"
#include "dittofs/cursor.h"
#include "dittofs/log.h"
#include "dittofs/random.h"
#include "store/batch_priv.h"
#include "store/data_priv.h"
#include "store/sql_priv.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    INO_FIRST = 2,
    INO_STEP = 1 << 18,          /* numbers that are made usable at once */
    DIRECTORY_SIZE = 4096,       /* the nominal size of a directory */
    EXTRA_BYTES_MOST = 64 << 20, /* roots and blobs of inodes in memory; idle ones are dropped above */
    SLICES_MOST = 4,             /* of large doomed inodes, a commit */

    DIRTY_ATIMES_MOST = 4096, /* inodes whose atime alone waits for a commit */
};
#define BLOB_SYMLINK UINT32_MAX /* the kind under which a symbolic link's target is kept */

/* ---- lists ---- */

static void leave_list(struct inode *inode)
{
    struct store *store = inode->store;

    if (inode->flags & INODE_ON_IDLE)
        store->idle_count--;
    else if (inode->flags & INODE_ON_DIRTY)
        store->dirty_count--;
    inode->flags &= ~(uint32_t)(INODE_ON_IDLE | INODE_ON_DIRTY);
    list_remove(&inode->link);
}

void inode_destroy(struct inode *inode)
{
    struct store *store = inode->store;

    leave_list(inode);
    hashtable_remove(&store->inodes, &inode->hashed);
    store->extra_bytes -= inode->root_length + inode->blobs_length;
    data_inode_forget(inode);
    free(inode->root);
    free(inode->blobs);
    free(inode);
}

/* Drops idle inodes that are too many. */
static void trim_cache(struct store *store)
{
    while (store->idle_count > 0 &&
           (store->idle_count > store->options.inode_cache || store->extra_bytes > EXTRA_BYTES_MOST))
        inode_destroy(list_first(&store->idle, struct inode, link));
}

/* Nobody refers to INODE: puts it where it belongs. */
static void settle(struct inode *inode)
{
    struct store *store = inode->store;

    if (inode->references > 0 || (inode->flags & (INODE_ON_DIRTY | INODE_DOOMED)))
        return;
    if (data_inode_is_busy(inode))
        return;
    leave_list(inode);
    inode->flags |= INODE_ON_IDLE;
    list_push_back(&store->idle, &inode->link);
    store->idle_count++;
    trim_cache(store);
}

static void doom(struct inode *inode)
{
    struct store *store = inode->store;

    leave_list(inode);
    inode->flags |= INODE_DOOMED;
    list_push_back(&store->doomed, &inode->link);
    store->doomed_count++;
    batch_touched(store);
}

void store__inode_not_busy(struct inode *inode)
{
    settle(inode);
}

void store__inode_mark_dirty(struct inode *inode, uint32_t flags)
{
    struct store *store = inode->store;

    inode->flags |= flags;
    if (!(flags & INODE_DATA_DIRTY)) {
        inode->batch = store__batch(store);
        batch_touched(store);
    }
    if (inode->flags & (INODE_ON_DIRTY | INODE_DOOMED))
        return;
    leave_list(inode);
    inode->flags |= INODE_ON_DIRTY;
    list_push_back(&store->dirty, &inode->link);
    store->dirty_count++;
}

/* ---- references ---- */

static struct inode *find(struct store *store, uint64_t ino)
{
    struct hashlink *link = hashtable_find(&store->inodes, hash_u64(ino));

    while (link != NULL) {
        struct inode *inode = container_of(link, struct inode, hashed);

        if (inode->attr.ino == ino)
            return inode;
        link = hashtable_find_next(link);
    }
    return NULL;
}

/* A zeroed inode in the table, on no list. */
static struct inode *make(struct store *store, uint64_t ino)
{
    struct inode *inode = calloc(1, sizeof *inode);

    if (inode == NULL)
        return NULL;
    inode->store = store;
    inode->attr.ino = ino;
    list_init(&inode->link);
    if (!hashtable_insert(&store->inodes, &inode->hashed, hash_u64(ino))) {
        free(inode);
        return NULL;
    }
    return inode;
}

static enum err load(struct store *store, uint64_t ino, struct inode **inode_r)
{
    struct inode *inode = make(store, ino);
    enum err err;

    if (inode == NULL)
        return ERR_NOMEM;
    err = inode_row_read(inode);
    store->extra_bytes += inode->root_length + inode->blobs_length;
    if (err != ERR_OK) {
        inode_destroy(inode);
        return err;
    }
    *inode_r = inode;
    return ERR_OK;
}

enum err inode_get(struct store *store, uint64_t ino, uint32_t generation, struct inode **inode_r)
{
    struct inode *inode;
    enum err err;

    if (ino == 0 || ino > INT64_MAX)
        return ERR_STALE;
    inode = find(store, ino);
    if (inode == NULL) {
        err = load(store, ino, &inode);
        if (err != ERR_OK)
            return err;
        if (inode->attr.nlink == 0) { /* lost its last name before a crash, and waits to be freed */
            inode_destroy(inode);
            return ERR_STALE;
        }
        if (generation != 0 && inode->attr.generation != generation) {
            settle(inode);
            return ERR_STALE;
        }
    }
    if ((inode->flags & INODE_DOOMED) || (generation != 0 && inode->attr.generation != generation))
        return ERR_STALE;
    *inode_r = inode_ref(inode);
    return ERR_OK;
}

struct inode *inode_ref(struct inode *inode)
{
    if (inode->references++ == 0 && (inode->flags & INODE_ON_IDLE))
        leave_list(inode);
    return inode;
}

void inode_unref(struct inode **inode_p)
{
    struct inode *inode = *inode_p;

    if (inode == NULL)
        return;
    *inode_p = NULL;
    invariant(inode->references > 0);
    if (--inode->references > 0)
        return;
    if (inode->attr.nlink == 0)
        doom(inode);
    else
        settle(inode);
}

const struct inode_attr *inode_attr(const struct inode *inode)
{
    return &inode->attr;
}

struct store *inode_store(const struct inode *inode)
{
    return inode->store;
}

void *inode_user(const struct inode *inode)
{
    return inode->user;
}

void inode_set_user(struct inode *inode, void *user)
{
    inode->user = user;
}

/* ---- changes ---- */

uint64_t store__next_change(struct store *store)
{
    return store->next_change++;
}

struct inode_attr *inode_change(struct inode *inode)
{
    inode->attr.change = store__next_change(inode->store);
    store__inode_mark_dirty(inode, INODE_ATTR_DIRTY);
    return &inode->attr;
}

void inode_touch_atime(struct inode *inode, struct timestamp atime)
{
    struct store *store = inode->store;

    inode->attr.atime = atime;
    if (store__writable(store) != ERR_OK)
        return;
    inode->flags |= INODE_ATIME_DIRTY;
    if (!(inode->flags & (INODE_ON_DIRTY | INODE_DOOMED))) {
        leave_list(inode);
        inode->flags |= INODE_ON_DIRTY;
        list_push_back(&store->dirty, &inode->link);
        store->dirty_count++;
    }
    if (store->dirty_count > DIRTY_ATIMES_MOST)
        batch_touched(store);
}

void store__inode_set_used(struct inode *inode, uint64_t used)
{
    inode->store->logical_bytes += used - inode->attr.used;
    inode->attr.used = used;
}

static enum err set_bytes(struct inode *inode, uint8_t **bytes, uint32_t *bytes_length, uint8_t *fresh,
                          size_t length)
{
    inode->store->extra_bytes += length - *bytes_length;
    free(*bytes);
    *bytes = fresh;
    *bytes_length = (uint32_t)length;
    return ERR_OK;
}

enum err store__inode_set_root(struct inode *inode, const void *root, size_t length)
{
    uint8_t *fresh = NULL;

    if (length > 0) {
        fresh = malloc(length);
        if (fresh == NULL)
            return ERR_NOMEM;
        memcpy(fresh, root, length);
    }
    return set_bytes(inode, &inode->root, &inode->root_length, fresh, length);
}

/* ---- new inodes ---- */

/* A number that the database knows, durably, to be in use. */
static enum err next_number(struct store *store, uint64_t *ino_r)
{
    bool is_durable = store__durable_batch(store) >= store->ino_limit_batch;
    uint64_t usable = is_durable ? store->ino_limit : store->ino_limit_before;

    if (store->next_ino + INO_STEP / 2 >= store->ino_limit && is_durable) {
        enum err err = store__meta_put(store, "ino limit", store->ino_limit + INO_STEP);

        if (err != ERR_OK)
            return err;
        store->ino_limit_before = store->ino_limit;
        store->ino_limit += INO_STEP;
        store->ino_limit_batch = store__batch(store);
    }
    if (store->next_ino >= usable)
        return ERR_DELAY;
    *ino_r = store->next_ino++;
    return ERR_OK;
}

static void fill_new(struct inode *inode, const struct inode_attr *template)
{
    struct store *store = inode->store;
    uint64_t ino = inode->attr.ino;

    inode->attr = *template;
    inode->attr.ino = ino;
    inode->attr.generation =
        (uint32_t)siphash64(&store->name_key, &ino, sizeof ino) ^ (uint32_t)hash_u64(store->boot_verifier);
    if (inode->attr.generation == 0)
        inode->attr.generation = 1; /* 0 would match any */
    inode->attr.nlink = 0;
    inode->attr.mode &= 07777;
    inode->attr.size = template->type == INODE_DIRECTORY ? DIRECTORY_SIZE : 0;
    inode->attr.used = 0;
    inode->attr.change = store__next_change(store);
}

static enum err set_blob(struct inode *inode, uint32_t kind, const void *data, size_t length);

enum err inode_new(struct store *store, const struct inode_attr *template, const void *target, size_t length,
                   struct inode **inode_r)
{
    bool is_symlink = template->type == INODE_SYMLINK;
    struct inode *inode;
    uint64_t ino;
    enum err err = store__writable(store);

    if (err == ERR_OK && (template->type < INODE_FILE || template->type > INODE_STREAM))
        err = ERR_INVAL;
    if (err == ERR_OK && (is_symlink ? length == 0 : target != NULL))
        err = ERR_INVAL;
    if (err == ERR_OK && is_symlink && length > STORE_SYMLINK_MAX)
        err = ERR_NAMETOOLONG;
    if (err == ERR_OK)
        err = data_room(store, INODE_ROOM_BYTES);
    if (err == ERR_OK)
        err = next_number(store, &ino);
    if (err != ERR_OK)
        return err;
    inode = make(store, ino);
    if (inode == NULL)
        return ERR_NOMEM;
    fill_new(inode, template);
    if (is_symlink) {
        err = set_blob(inode, BLOB_SYMLINK, target, length);
        if (err != ERR_OK) {
            inode_destroy(inode);
            return err;
        }
        inode->attr.size = length;
    }
    store->inode_count++;
    inode->references = 1;
    store__inode_mark_dirty(inode, INODE_NEW | INODE_ATTR_DIRTY);
    *inode_r = inode;
    return ERR_OK;
}

/* ---- blobs ---- */

/* Where a blob of KIND is in the encoded ones; false when there is none. */
static bool find_blob(const struct inode *inode, uint32_t kind, const uint8_t **data_r, uint32_t *length_r)
{
    struct reader reader = reader_of(inode->blobs, inode->blobs_length);
    uint32_t at_kind, length;
    const uint8_t *data;

    while (reader_le32(&reader, &at_kind) && reader_le32(&reader, &length) &&
           reader_bytes(&reader, length, &data)) {
        if (at_kind != kind)
            continue;
        *data_r = data;
        *length_r = length;
        return true;
    }
    return false;
}

static enum err set_blob(struct inode *inode, uint32_t kind, const void *data, size_t length)
{
    const uint8_t *old;
    uint32_t old_length = 0;
    size_t kept = inode->blobs_length, before = 0, fresh_length;
    struct writer writer;
    uint8_t *fresh = NULL;

    if (find_blob(inode, kind, &old, &old_length)) {
        before = (size_t)(old - inode->blobs) - 8;
        kept -= old_length + 8;
    }
    fresh_length = kept + (length > 0 ? length + 8 : 0);
    if (fresh_length > 0) {
        fresh = malloc(fresh_length);
        if (fresh == NULL)
            return ERR_NOMEM;
        writer_init(&writer, fresh, fresh_length);
        if (kept == inode->blobs_length) {
            writer_bytes(&writer, inode->blobs, kept);
        } else {
            writer_bytes(&writer, inode->blobs, before);
            writer_bytes(&writer, inode->blobs + before + 8 + old_length, kept - before);
        }
        if (length > 0) {
            writer_le32(&writer, kind);
            writer_le32(&writer, (uint32_t)length);
            writer_bytes(&writer, data, length);
        }
        invariant(!writer.failed && writer.length == fresh_length);
    }
    return set_bytes(inode, &inode->blobs, &inode->blobs_length, fresh, fresh_length);
}

enum err inode_set_blob(struct inode *inode, unsigned kind, const void *data, size_t length)
{
    enum err err = store__writable(inode->store);

    if (err == ERR_OK && (length > INODE_BLOB_MAX || kind == BLOB_SYMLINK))
        err = ERR_INVAL;
    if (err == ERR_OK && length > 0)
        err = data_room(inode->store, length + INODE_ROOM_BYTES);
    if (err == ERR_OK)
        err = set_blob(inode, kind, data, length);
    if (err == ERR_OK)
        store__inode_mark_dirty(inode, INODE_BLOBS_DIRTY);
    return err;
}

enum err inode_get_blob(const struct inode *inode, unsigned kind, const uint8_t **data_r, size_t *length_r)
{
    const uint8_t *data = NULL;
    uint32_t length = 0;

    if (kind == BLOB_SYMLINK)
        return ERR_INVAL;
    (void)find_blob(inode, kind, &data, &length);
    *data_r = data;
    *length_r = length;
    return ERR_OK;
}

enum err inode_symlink_target(struct inode *inode, uint8_t *buffer, size_t *length_r)
{
    const uint8_t *target;
    uint32_t length;

    if (inode->attr.type != INODE_SYMLINK)
        return ERR_INVAL;
    if (!find_blob(inode, BLOB_SYMLINK, &target, &length) || length > STORE_SYMLINK_MAX) {
        log_error("store: symbolic link %" PRIu64 " has no target", inode->attr.ino);
        return ERR_CORRUPT;
    }
    memcpy(buffer, target, length);
    *length_r = length;
    return ERR_OK;
}

/* ---- at the commit ---- */

/* Frees a doomed inode, or a slice of it; *LARGE_R: there is more. */
static enum err free_one(struct inode *inode, bool *large_r)
{
    struct store *store = inode->store;
    bool done = true;
    enum err err = ERR_OK;

    if (inode->attr.type == INODE_FILE || inode->attr.type == INODE_STREAM)
        err = data_inode_free_slice(inode, &done);
    if (err == ERR_OK && done)
        err = inode_row_delete(inode);
    if (err != ERR_OK)
        return err;
    *large_r = !done;
    if (!done)
        return ERR_OK;
    store->inode_count--;
    store->logical_bytes -= inode->attr.used;
    store->doomed_count--;
    inode_destroy(inode);
    return ERR_OK;
}

enum err inode_free_doomed(struct store *store)
{
    struct list *link, *following;
    unsigned slices = 0;

    list_for_each_safe(link, following, &store->doomed)
    {
        struct inode *inode = container_of(link, struct inode, link);
        bool large = true;
        enum err err = ERR_OK;

        if (slices < SLICES_MOST)
            err = free_one(inode, &large);
        if (err == ERR_OK && large) {
            slices++;
            if (inode->flags & (INODE_CHANGED | INODE_NEW))
                err = inode_row_write(inode);
        }
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

enum err inode_write_dirty(struct store *store)
{
    enum err err = ERR_OK;

    while (err == ERR_OK && !list_is_empty(&store->dirty)) {
        struct inode *inode = list_first(&store->dirty, struct inode, link);

        err = inode_row_write(inode);
        if (err != ERR_OK)
            break;
        leave_list(inode);
        settle(inode);
    }
    if (err == ERR_OK && store->totals_changed) {
        err = store__meta_put(store, "inodes", store->inode_count);
        if (err == ERR_OK)
            err = store__meta_put(store, "logical bytes", store->logical_in_rows);
        store->totals_changed = false;
    }
    return err;
}

enum err inode_doom_orphans(struct store *store)
{
    sqlite3_stmt *statement = store__prepare(store, "SELECT ino FROM orphan");
    enum err err = statement != NULL ? ERR_OK : ERR_NOMEM;
    size_t count = 0;
    bool row = true;

    while (err == ERR_OK && row) {
        struct inode *inode;
        uint64_t ino;

        err = store__step(store, statement, &row);
        if (err != ERR_OK || !row)
            break;
        ino = sql_u64(statement, 0);
        inode = find(store, ino);
        if (inode == NULL)
            err = load(store, ino, &inode);
        if (err == ERR_OK && (inode->attr.nlink > 0 || inode->references > 0))
            err = ERR_CORRUPT;
        if (err != ERR_OK) {
            log_error("store: orphan %" PRIu64 " can't be freed: %s", ino, err_text(err));
            break;
        }
        inode->flags |= INODE_ORPHAN;
        if (!(inode->flags & INODE_DOOMED))
            doom(inode);
        count++;
    }
    if (statement != NULL)
        store__release(store, statement);
    if (count > 0)
        log_info("store: freeing %zu files that had lost their last name", count);
    return err;
}

/* ---- opening and closing ---- */

static enum err meta_get_or(struct store *store, const char *key, uint64_t otherwise, uint64_t *value_r)
{
    enum err err = store__meta_get(store, key, value_r);

    if (err != ERR_NOENT)
        return err;
    *value_r = otherwise;
    return ERR_OK;
}

enum err inode_open(struct store *store)
{
    enum err err = meta_get_or(store, "boots", 0, &store->boot_count);

    if (err == ERR_OK)
        err = meta_get_or(store, "ino limit", INO_FIRST, &store->next_ino);
    if (err == ERR_OK)
        err = meta_get_or(store, "inodes", 0, &store->inode_count);
    if (err == ERR_OK)
        err = meta_get_or(store, "logical bytes", 0, &store->logical_bytes);
    if (err != ERR_OK)
        return err;
    store->logical_in_rows = store->logical_bytes;
    store->boot_count++;
    store->next_change = (store->boot_count << 40) + 1;
    /* Usable once this run's first commit, before anything else, is durable. */
    store->ino_limit = store->ino_limit_before = store->next_ino + INO_STEP;
    err = store__meta_put(store, "boots", store->boot_count);
    if (err == ERR_OK)
        err = store__meta_put(store, "ino limit", store->ino_limit);
    return err;
}

enum err inode_stop(struct store *store)
{
    return store__meta_put(store, "ino limit", store->next_ino);
}

void inode_close(struct store *store)
{
    struct hashlink *link = hashtable_walk(&store->inodes, NULL);

    while (link != NULL) {
        struct inode *inode = container_of(link, struct inode, hashed);

        link = hashtable_walk(&store->inodes, link);
        inode_destroy(inode);
    }
    hashtable_free(&store->inodes);
}
