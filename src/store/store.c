/*
 * store.c - opening, closing, failing; figures.
 *
 * Opening, in steps: the database (made when missing), the values of this run, the log's replay, one commit
 * that makes all of it durable, orphans. Only then the loop's hook runs and others may change things.
 * A clean stop makes everything durable, has the WAL copied into the database, and tells; closing without it
 * is a crash.
 */
#include "dittofs/log.h"
#include "dittofs/random.h"
#include "store/batch_priv.h"
#include "store/data_priv.h"
#include "store/inode_priv.h"
#include "store/name_cache_priv.h"
#include "store/sql_priv.h"
#include <stdlib.h>

/* ---- failing ---- */

enum err store__fail(struct store *store, enum err err, const char *what)
{
    if (store->health != ERR_OK)
        return store->health;
    store->health = err;
    log_error("store: %s: %s. Nothing can be changed until the next start", what, err_text(err));
    /* Look-ups go to what the database says, which may lack what was never committed. */
    if (store->names != NULL)
        name_cache_clear(store->names);
    if (store->data != NULL)
        data_store_failed(store);
    if (store->batches != NULL)
        batch_failed(store);
    return err;
}

enum err store__writable(const struct store *store)
{
    if (store->health != ERR_OK)
        return store->health;
    return store->state <= STORE_OPEN ? ERR_OK : ERR_FAILED;
}

enum err store_health(const struct store *store)
{
    return store->health;
}

/* ---- opening ---- */

static void fill_options(struct store_options *options)
{
    if (options->inode_cache == 0)
        options->inode_cache = 100000;
    if (options->name_cache == 0)
        options->name_cache = 1000000;
    if (options->page_cache_bytes == 0)
        options->page_cache_bytes = 32 << 20;
    if (options->block_cache_bytes == 0)
        options->block_cache_bytes = 64 << 20;
    if (options->segment_bytes == 0)
        options->segment_bytes = 256 << 20;
    if (options->hash_backlog_bytes == 0)
        options->hash_backlog_bytes = (uint64_t)4 << 30;
    if (options->write_queue_bytes == 0)
        options->write_queue_bytes = 16 << 20;
    if (options->reserve_bytes == 0)
        options->reserve_bytes = 64 << 20;
    if (options->settle_ms == 0)
        options->settle_ms = 2000;
}

static enum err open_name_key(struct store *store)
{
    enum err err = store__blob_get(store, "name key", &store->name_key, sizeof store->name_key);

    if (err != ERR_NOENT)
        return err;
    random_bytes(&store->name_key, sizeof store->name_key);
    return store__blob_put(store, "name key", &store->name_key, sizeof store->name_key);
}

/* Brings back what the last run left, and makes that durable. */
static enum err recover(struct store *store)
{
    enum err err = open_name_key(store);

    if (err == ERR_OK)
        err = inode_open(store);
    if (err == ERR_OK)
        err = data_open(store);
    if (err == ERR_OK)
        err = data_replay(store);
    if (err == ERR_OK)
        err = data_choose_key(store);
    if (err == ERR_OK)
        err = store__begin(store);
    if (err == ERR_OK)
        err = sql_stamp(store);
    if (err == ERR_OK)
        err = store__commit_now(store);
    if (err == ERR_OK)
        data_replayed(store);
    if (err == ERR_OK)
        err = inode_doom_orphans(store);
    if (err == ERR_OK)
        err = store__commit_now(store);
    return err;
}

enum err store_open(struct disk *disk, struct loop *loop, const struct store_options *options,
                    struct store **store_r)
{
    struct store *store = calloc(1, sizeof *store);
    bool made = false;
    enum err err;

    if (store == NULL)
        return ERR_NOMEM;
    store->disk = disk;
    store->loop = loop;
    if (options != NULL)
        store->options = *options;
    fill_options(&store->options);
    store->boot_verifier = random_u64();
    list_init(&store->idle);
    list_init(&store->dirty);
    list_init(&store->doomed);
    hashtable_init(&store->inodes);
    store->names = name_cache_new(store->options.name_cache);
    err = store->names != NULL ? ERR_OK : ERR_NOMEM;
    if (err == ERR_OK)
        err = checkpoint_refresh_wal(disk);
    if (err == ERR_OK)
        err = sql_open(store, &made);
    if (err == ERR_OK)
        err = batch_open(store);
    if (err == ERR_OK)
        err = checkpoint_open(store);
    if (err == ERR_OK)
        err = recover(store);
    if (err != ERR_OK) {
        log_error("store: could not be opened: %s", err_text(err));
        store_close(&store);
        return err;
    }
    if (made)
        log_info("store: made a new store");
    store->state = STORE_OPEN;
    batch_start(store);
    *store_r = store;
    return ERR_OK;
}

/* ---- stopping and closing ---- */

static void stopped(struct store *store)
{
    void (*done)(void *, enum err) = store->stop_done;

    if (done == NULL)
        return;
    if (batch_is_busy(store) || checkpoint_is_busy(store))
        return; /* called again when they are back */
    store->state = STORE_STOPPED;
    store->stop_done = NULL;
    done(store->stop_data, store->health);
}

static void stop_checkpoint(struct store *store)
{
    if (checkpoint_is_busy(store)) {
        batch_drain(store, stop_checkpoint); /* in a later turn */
        return;
    }
    if (store->health != ERR_OK)
        stopped(store);
    else
        checkpoint_all(store, stopped);
}

static void stop_data_stopped(struct store *store)
{
    enum err err = store->health == ERR_OK ? inode_stop(store) : ERR_OK;

    if (err != ERR_OK)
        (void)store__fail(store, err, "the end of this run could not be recorded");
    batch_drain(store, stop_checkpoint);
}

void store_shutdown(struct store *store, void (*done)(void *data, enum err err), void *data)
{
    invariant(store->state == STORE_OPEN);
    store->state = STORE_STOPPING;
    store->stop_done = done;
    store->stop_data = data;
    data_stop(store, stop_data_stopped);
}

void store_close(struct store **store_p)
{
    struct store *store = *store_p;

    if (store == NULL)
        return;
    *store_p = NULL;
    if (store->data != NULL || store->batches != NULL)
        inode_close(store);
    hashtable_free(&store->inodes);
    if (store->data != NULL)
        data_close(store);
    checkpoint_close(store);
    batch_close(store);
    sql_close(store);
    name_cache_free(&store->names);
    free(store->value);
    free(store);
}

/* ---- figures ---- */

uint64_t store_boot_verifier(const struct store *store)
{
    return store->boot_verifier;
}

void store_space(struct store *store, struct store_space *space_r)
{
    *space_r = (struct store_space){.logical_bytes = store->logical_bytes, .inodes = store->inode_count};
    data_space(store, space_r);
}

void store_counters(const struct store *store, struct store_counters *counters_r)
{
    *counters_r = store->counters;
    counters_r->inodes_cached = store->inodes.count;
    data_counters(store, counters_r);
}
