/*
 * unsettled.c - which inodes have blocks that wait to be hashed, over restarts.
 *
 * settle.c holds an inode for each slot and each item of a job. An inode that is held when its tree is
 * written gets a row (table `record`, tbl "unsettled", key: the number, 8 bytes, big-endian); what has
 * settled before costs nothing. The row goes some time after the last hold, when the tree that refers to
 * shared blocks has been written, too. At a start the inodes with rows are held until settle.c has looked
 * through them.
 *
 * Rows are hints: one too many costs a look through the file, one too few leaves equal content unshared.
 */
#include "store/unsettled_priv.h"

#include "dittofs/clock.h"
#include "dittofs/cursor.h"
#include "dittofs/log.h"
#include "store/inode_priv.h"
#include "store/sql_priv.h"

#include <stdlib.h>

#define TABLE "unsettled"
enum {
    KEY_BYTES = 8,
    LINGER_MS = 10000, /* a tree's changes are written within this time */
};

struct unsettled_inode {
    struct hashlink hashed;
    struct list link; /* in look_through or in lingering; else alone */
    uint64_t ino;
    uint64_t settled_ms; /* when the last hold went */
    uint32_t holds;
    bool has_row;
};

static struct unsettled_inode *find(const struct unsettled *unsettled, uint64_t ino)
{
    struct hashlink *link = hashtable_find(&unsettled->inodes, hash_u64(ino));

    for (; link != NULL; link = hashtable_find_next(link)) {
        struct unsettled_inode *found = container_of(link, struct unsettled_inode, hashed);
        if (found->ino == ino)
            return found;
    }
    return NULL;
}

static struct unsettled_inode *add(struct unsettled *unsettled, uint64_t ino)
{
    struct unsettled_inode *added = calloc(1, sizeof *added);

    if (added == NULL || !hashtable_insert(&unsettled->inodes, &added->hashed, hash_u64(ino))) {
        free(added);
        return NULL;
    }
    added->ino = ino;
    list_init(&added->link);
    return added;
}

static void forget(struct unsettled *unsettled, struct unsettled_inode *inode)
{
    hashtable_remove(&unsettled->inodes, &inode->hashed);
    list_remove(&inode->link);
    free(inode);
}

bool unsettled_hold(struct unsettled *unsettled, uint64_t ino)
{
    struct unsettled_inode *inode = find(unsettled, ino);

    if (inode == NULL)
        inode = add(unsettled, ino);
    if (inode == NULL)
        return false;
    if (inode->holds++ == 0)
        list_remove(&inode->link);
    return true;
}

void unsettled_let_go(struct unsettled *unsettled, uint64_t ino)
{
    struct unsettled_inode *inode = find(unsettled, ino);

    invariant(inode != NULL && inode->holds > 0);
    if (--inode->holds > 0)
        return;
    if (!inode->has_row) {
        forget(unsettled, inode);
        return;
    }
    inode->settled_ms = clock_monotonic_ms();
    list_push_back(&unsettled->lingering, &inode->link);
}

/* ---- rows ---- */

/* Not by store_record_put: a file that is on the disk needs no room for this. */
static enum err run_on(struct store *store, const char *sql, uint64_t ino)
{
    uint8_t key[KEY_BYTES];
    struct writer writer;
    sqlite3_stmt *statement;
    enum err err = store__begin(store);

    if (err != ERR_OK)
        return err;
    statement = store__prepare(store, sql);
    if (statement == NULL)
        return ERR_NOMEM;
    writer_init(&writer, key, sizeof key);
    writer_be64(&writer, ino);
    sqlite3_bind_blob(statement, 1, key, sizeof key, SQLITE_STATIC);
    return store__run(store, statement);
}

enum err unsettled_flush(struct unsettled *unsettled, struct store *store, uint64_t ino)
{
    struct unsettled_inode *inode = find(unsettled, ino);
    enum err err;

    if (inode == NULL || inode->has_row)
        return ERR_OK;
    err = run_on(store, "INSERT OR IGNORE INTO record(tbl, key, value) VALUES('" TABLE "', ?1, x'')", ino);
    inode->has_row = err == ERR_OK;
    return err;
}

enum err unsettled_sweep(struct unsettled *unsettled, struct store *store)
{
    uint64_t now = clock_monotonic_ms();

    while (!list_is_empty(&unsettled->lingering)) {
        struct unsettled_inode *inode = list_first(&unsettled->lingering, struct unsettled_inode, link);
        enum err err;

        if (now - inode->settled_ms < LINGER_MS)
            break;
        err = run_on(store, "DELETE FROM record WHERE tbl = '" TABLE "' AND key = ?1", inode->ino);
        if (err != ERR_OK)
            return err;
        forget(unsettled, inode);
    }
    return ERR_OK;
}

/* ---- after a start ---- */

struct load {
    struct unsettled *unsettled;
    enum err err;
};

static bool load_row(void *data, const void *key, size_t key_length, const void *value, size_t value_length)
{
    struct load *load = data;
    struct reader reader = reader_of(key, key_length);
    struct unsettled_inode *inode;
    uint64_t ino;

    (void)value;
    (void)value_length;
    if (!reader_be64(&reader, &ino) || !reader_is_done(&reader)) {
        log_warning("store: a row of \"" TABLE "\" is damaged and ignored");
        return true;
    }
    inode = add(load->unsettled, ino);
    if (inode == NULL) {
        load->err = ERR_NOMEM;
        return false;
    }
    inode->has_row = true;
    inode->holds = 1;
    list_push_back(&load->unsettled->look_through, &inode->link);
    return true;
}

enum err unsettled_open(struct unsettled *unsettled, struct store *store)
{
    struct load load = {.unsettled = unsettled};
    enum err err;

    list_init(&unsettled->look_through);
    list_init(&unsettled->lingering);
    err = store_record_scan(store, TABLE, load_row, &load);
    return err == ERR_OK ? load.err : err;
}

bool unsettled_next(const struct unsettled *unsettled, uint64_t *ino_r)
{
    if (list_is_empty(&unsettled->look_through))
        return false;
    *ino_r = list_first(&unsettled->look_through, struct unsettled_inode, link)->ino;
    return true;
}

void unsettled_looked_through(struct unsettled *unsettled)
{
    struct unsettled_inode *inode = list_first(&unsettled->look_through, struct unsettled_inode, link);

    list_remove(&inode->link);
    unsettled_let_go(unsettled, inode->ino);
}

bool unsettled_is_empty(const struct unsettled *unsettled)
{
    return list_is_empty(&unsettled->look_through) && list_is_empty(&unsettled->lingering);
}

void unsettled_close(struct unsettled *unsettled)
{
    struct hashlink *link = hashtable_walk(&unsettled->inodes, NULL);

    while (link != NULL) {
        struct unsettled_inode *inode = container_of(link, struct unsettled_inode, hashed);

        link = hashtable_walk(&unsettled->inodes, link);
        free(inode);
    }
    hashtable_free(&unsettled->inodes);
}
