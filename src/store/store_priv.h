/*
 * store_priv.h - what the parts of the store share.
 *
 * META (store.c, sql.c, inode*.c, dirent.c, xattr.c, record.c, batch.c, checkpoint.c) owns struct store, the
 * database, inodes and batches. DATA (data_priv.h) owns the log, the segments, extents and blocks. Each
 * calls the other only through the functions declared here and in data_priv.h. All of it runs on the loop
 * thread, except where it says worker.
 *
 * The life of a change: a public call changes rows in the open transaction and inodes in memory; nothing is
 * committed inside of a public call. At the end of the turn the pump (batch.c) asks DATA to flush what must
 * be in this commit, writes the rows of dirty inodes, commits once the log is durable up to what the
 * transaction refers to, and has a worker sync the log and the WAL. When the job is back, waiters are
 * completed and DATA may reuse what the batch freed.
 *
 * Invariants:
 * - A committed transaction refers only to log positions that are durable.
 * - Batch numbers and log positions only grow; durable <= committed < open.
 * - After store__fail nothing is ever written again, and every waiter gets the error.
 */
#ifndef DITTOFS_STORE_PRIV_H
#define DITTOFS_STORE_PRIV_H

#include "dittofs/hash.h"
#include "dittofs/hashtable.h"
#include "dittofs/list.h"
#include "dittofs/store.h"
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

struct data;       /* DATA's part of struct store */
struct data_inode; /* DATA's part of struct inode */
struct sqlite_door;
struct name_cache;
struct sql_cache;

/* ---- struct inode ---- */

enum inode_flags {
    INODE_NEW = 1,          /* has no row in the database yet */
    INODE_ATTR_DIRTY = 2,   /* attribute columns differ from the row */
    INODE_DATA_DIRTY = 4,   /* size, used, root, data_seq are to be written with the row (set by DATA) */
    INODE_BLOBS_DIRTY = 8,  /* blobs differ from the row */
    INODE_ATIME_DIRTY = 16, /* only atime differs: written when something else is */
    INODE_XATTRS = 32,      /* may have extended attributes */
    INODE_ORPHAN = 64,      /* has a row in the orphan table */
    INODE_DOOMED = 128,     /* without links and references: is being freed, no longer found */
    INODE_ON_IDLE = 256,    /* where its link is: META's */
    INODE_ON_DIRTY = 512,
};

/* Kinds of blobs that are META's own: above those of inode_set_blob's callers. The highest is the target of a
 * symbolic link. */
#define STORE_BLOB_STREAMS (UINT32_MAX - 1)

struct inode {
    struct hashlink hashed; /* in store->inodes */
    struct list link;       /* in store->idle (clean, no references), dirty, or doomed */
    struct store *store;
    struct inode_attr attr;
    void *user;
    uint32_t references;
    uint32_t flags; /* enum inode_flags */
    uint64_t batch; /* the last metadata batch that changed it; 0: long durable */

    /* DATA's; META reads and writes the columns. */
    struct data_inode *data; /* NULL until DATA makes it; DATA frees it in data_inode_forget */
    uint8_t *root;           /* malloc'ed encoded data_root as of the last flush, NULL: no data */
    uint32_t root_length;
    uint32_t blobs_length;
    uint8_t *blobs;       /* META's: encoded blobs and symlink target, malloc'ed */
    uint64_t position;    /* end in the log of its last record: its ticket */
    uint64_t last_seq;    /* sequence number of its last log record; >= attr_seq, data_seq */
    uint64_t data_seq;    /* size, used, root (as flushed) are complete up to here */
    uint64_t attr_seq;    /* times in the row reflect the log up to here (META sets it to last_seq when it
                             writes the attribute columns); may be ahead of the durable log, so a new run's
                             sequence numbers must be above those of all earlier runs */
    uint64_t used_in_row; /* META's: `used` as counted in the totals row */
};

/* ---- struct store ---- */

enum store_state {
    STORE_OPENING, /* recovery; commits are made by hand (store__commit_now) */
    STORE_OPEN,
    STORE_STOPPING, /* store_shutdown was called: no more changes */
    STORE_STOPPED   /* everything is durable, only store_close is left */
};

struct store {
    struct disk *disk;
    struct loop *loop;
    struct store_options options; /* with defaults filled in */
    enum store_state state;
    enum err health;
    struct store_counters counters;

    /* database (sql.c) */
    struct sqlite_door *door;
    sqlite3 *db;                  /* writer, on the loop */
    bool transaction;             /* BEGIN was done */
    uint64_t row_changes;         /* statements that changed something in this transaction */
    struct sql_cache *statements; /* prepared ones, by the address of their text */

    /* inodes (inode.c) */
    struct hashtable inodes;
    struct list idle;  /* least recently used first */
    struct list dirty; /* rows to write with the next commit */
    struct list doomed;
    size_t idle_count, dirty_count, doomed_count;
    size_t extra_bytes; /* of roots and blobs of cached inodes */
    uint64_t next_ino;
    uint64_t ino_limit,
        ino_limit_before; /* numbers below may be used: once the batch that says so is durable */
    uint64_t ino_limit_batch;
    uint64_t next_change;
    uint64_t inode_count, logical_bytes; /* figures of store_space */
    uint64_t logical_in_rows;            /* sum of used_in_row */
    bool totals_changed;
    struct siphash_key name_key; /* of directory keys; kept in the database */
    struct name_cache *names;

    uint64_t boot_count;
    uint64_t boot_verifier;

    uint8_t *value; /* the value that xattr_get gave last */
    size_t value_capacity;

    void (*stop_done)(void *data, enum err err); /* of store_shutdown */
    void *stop_data;

    struct batches *batches;           /* batch.c */
    struct checkpointer *checkpointer; /* checkpoint.c */
    struct data *data;                 /* DATA's */
};

/* ---- META gives to DATA ---- */

/* Opens the write transaction if none is open, and joins the open batch. Called before changing statements.
 * The sticky error when the store has failed. */
enum err store__begin(struct store *store) ERR_MUST_CHECK;

/* A prepared statement on the writer connection for SQL (a string literal: it is known by its address).
 * Bind, step and then always store__release it, also after an error. May be nested with itself. NULL when it
 * can't be prepared (out of memory: logged). */
sqlite3_stmt *store__prepare(struct store *store, const char *sql);
void store__release(struct store *store, sqlite3_stmt *statement);
/* Steps STATEMENT: ERR_OK with *ROW_R telling whether there is a row. Failures of changing statements inside
 * a transaction that SQLite rolled back make the store fail. */
enum err store__step(struct store *store, sqlite3_stmt *statement, bool *row_r) ERR_MUST_CHECK;
/* Steps a statement that returns no rows and releases it. */
enum err store__run(struct store *store, sqlite3_stmt *statement) ERR_MUST_CHECK;
/* Rows of the meta table; integers. ERR_NOENT. */
enum err store__meta_get(struct store *store, const char *key, uint64_t *value_r) ERR_MUST_CHECK;
enum err store__meta_put(struct store *store, const char *key, uint64_t value) ERR_MUST_CHECK;

/* The same for values of LENGTH bytes. ERR_CORRUPT when the length differs. */
enum err store__blob_get(struct store *store, const char *key, void *value, size_t length) ERR_MUST_CHECK;
enum err store__blob_put(struct store *store, const char *key, const void *value,
                         size_t length) ERR_MUST_CHECK;

/* Puts INODE on the list of rows written with the next commit; FLAGS are added to its flags. Unless they have
 * INODE_DATA_DIRTY (a flush of what the log has anyway), inode->batch becomes the open batch. */
void store__inode_mark_dirty(struct inode *inode, uint32_t flags);
/* The only way to set attr.used: keeps the figures. */
void store__inode_set_used(struct inode *inode, uint64_t used);
/* data_inode_is_busy turned false outside of a flush: without references it may leave memory now. */
void store__inode_not_busy(struct inode *inode);
/* A new value for attr.change that was never used before. */
uint64_t store__next_change(struct store *store);
/* Replaces inode->root by a copy; marks nothing. */
enum err store__inode_set_root(struct inode *inode, const void *root, size_t length) ERR_MUST_CHECK;

/* The number of the open batch: what is changed now becomes durable with it. */
uint64_t store__batch(const struct store *store);
uint64_t store__durable_batch(const struct store *store);
/* The open transaction refers to log bytes up to POSITION: COMMIT waits until they are durable. */
void store__needs_position(struct store *store, uint64_t position);
/* Something to sync or flush came up outside of a public call (a job is back): run the pump at the end of
 * this turn. */
void store__pump_soon(struct store *store);
/* The log got its first bytes that are not durable: look at data_sync_wanted within a second or so. */
void store__background(struct store *store);
/* While the store is opening: flush everything, sync the log, commit, sync the WAL. Blocks.
 * ERR_BUSY when a sync job is under way. */
enum err store__commit_now(struct store *store) ERR_MUST_CHECK;

/* Makes the store fail for good: health becomes ERR, every waiter gets it. Logs WHAT once. Returns ERR. */
enum err store__fail(struct store *store, enum err err, const char *what);
/* ERR_OK when changes are possible: neither failed nor stopping. Asked by every public call that changes
 * something. */
enum err store__writable(const struct store *store) ERR_MUST_CHECK;

/* For store_check (no struct store writes): opens the database read-only through the door with STATE
 * untouched; DATA's half gets the same connection. */
struct store_checker {
    struct disk *disk;
    sqlite3 *db;
    void (*report)(void *data, const char *finding);
    void *data;
    uint64_t findings;
};
void store__finding(struct store_checker *checker, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
