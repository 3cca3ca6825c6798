/*
 * data.c - DATA's part of struct store: opening, closing, figures.
 */
#include "store/data_priv.h"

#include "dittofs/log.h"
#include <stdlib.h>

struct data {
    struct store *store;
};

const char *data_schema(void)
{
    return "";
}

enum err data_open(struct store *store)
{
    struct data *data = calloc(1, sizeof *data);

    if (data == NULL)
        return ERR_NOMEM;
    data->store = store;
    store->data = data;
    return ERR_OK;
}

enum err data_replay(struct store *store)
{
    (void)store;
    return ERR_OK;
}

void data_replayed(struct store *store)
{
    (void)store;
}

void data_stop(struct store *store, void (*done)(struct store *store))
{
    done(store);
}

size_t data_jobs(const struct store *store)
{
    (void)store;
    return 0;
}

void data_close(struct store *store)
{
    free(store->data);
    store->data = NULL;
}

enum err data_flush(struct store *store, enum data_flush how)
{
    (void)store;
    (void)how;
    return ERR_OK;
}

bool data_flush_wanted(const struct store *store)
{
    (void)store;
    return false;
}

uint64_t data_durable_position(const struct store *store)
{
    (void)store;
    return 0;
}

uint64_t data_end_position(const struct store *store)
{
    (void)store;
    return 0;
}

bool data_sync_wanted(const struct store *store)
{
    (void)store;
    return false;
}

bool data_sync_begin(struct store *store)
{
    (void)store;
    return false;
}

enum err data_sync_work(struct store *store)
{
    (void)store;
    return ERR_OK;
}

void data_sync_end(struct store *store, enum err err)
{
    (void)store;
    (void)err;
}

void data_batch_durable(struct store *store, uint64_t batch)
{
    (void)store;
    (void)batch;
}

void data_store_failed(struct store *store)
{
    (void)store;
}

void data_inode_forget(struct inode *inode)
{
    (void)inode;
}

bool data_inode_is_busy(const struct inode *inode)
{
    (void)inode;
    return false;
}

enum err data_inode_free_slice(struct inode *inode, bool *done_r)
{
    (void)inode;
    *done_r = true;
    return ERR_OK;
}

enum err data_room(struct store *store, uint64_t bytes)
{
    (void)store;
    (void)bytes;
    return ERR_OK;
}

void data_space(const struct store *store, struct store_space *space_r)
{
    struct disk_space space;

    if (disk_space(store->disk, &space) == ERR_OK) {
        space_r->total_bytes = space.total_bytes;
        space_r->free_bytes = space.free_bytes;
    }
    space_r->stored_bytes = 0;
}

void data_counters(const struct store *store, struct store_counters *counters_r)
{
    (void)store;
    (void)counters_r;
}

enum err data_check(struct store_checker *checker)
{
    (void)checker;
    return ERR_OK;
}

enum err store_read(struct store_read *read)
{
    (void)read;
    return ERR_NOTSUPP;
}

enum err store_write(struct store_write *write)
{
    (void)write;
    return ERR_NOTSUPP;
}

void store_write_cancel(struct store_write *write)
{
    (void)write;
}

enum err store_truncate(struct inode *inode, uint64_t size)
{
    (void)inode;
    (void)size;
    return ERR_NOTSUPP;
}

enum err store_punch(struct inode *inode, uint64_t offset, uint64_t length)
{
    (void)inode;
    (void)offset;
    (void)length;
    return ERR_NOTSUPP;
}

enum err store_allocate(struct inode *inode, uint64_t offset, uint64_t length, bool keep_size)
{
    (void)inode;
    (void)offset;
    (void)length;
    (void)keep_size;
    return ERR_NOTSUPP;
}

enum err store_clone(struct inode *source, uint64_t source_offset, struct inode *target,
                     uint64_t target_offset, uint64_t length)
{
    (void)source;
    (void)source_offset;
    (void)target;
    (void)target_offset;
    (void)length;
    return ERR_NOTSUPP;
}

enum err store_seek(struct inode *inode, uint64_t offset, enum store_seek what, uint64_t *offset_r)
{
    (void)inode;
    (void)offset;
    (void)what;
    (void)offset_r;
    return ERR_NOTSUPP;
}
