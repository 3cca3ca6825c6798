/*
 * data_range.c - truncating, punching and allocating ranges of a file.
 *
 * Each is a record of the log like a write: their order among writes is kept by a replay. What is cut off is
 * gone: no later growth shows it again, because the pieces behind the end are taken away, not hidden.
 */
#include "store/core_priv.h"

#include "dittofs/log.h"

static const struct bufpart nothing = {.length = 0};

/* Queues RECORD, which APPLY below has done or will do. */
static enum err queue_record(struct data_inode *file, struct record *record, uint64_t *end_r)
{
    struct data *data = file->inode->store->data;
    uint32_t checksums[RECORD_CHECKSUMS_MOST];
    struct log_entry *entry;
    enum err err;

    record->ino = file->inode->attr.ino;
    record->mtime = clock_wall();
    err = log_append(data, record, nothing, checksums, &entry);
    if (err == ERR_OK)
        *end_r = log_position(record->segment, (uint64_t)record->place + entry->total);
    return err;
}

static enum err begin(struct inode *inode, struct data_inode **file_r)
{
    enum err err = store__writable(inode->store);

    if (err != ERR_OK)
        return err;
    if (inode->attr.type != INODE_FILE && inode->attr.type != INODE_STREAM)
        return inode->attr.type == INODE_DIRECTORY ? ERR_ISDIR : ERR_INVAL;
    return file_of(inode, file_r);
}

/* ERR is what applying the record gave. */
static enum err finish(struct data_inode *file, const struct record *record, uint64_t end, enum err err)
{
    struct store *store = file->inode->store;

    file_record_applied(file, record, log_position(record->segment, record->place), end);
    if (err != ERR_OK)
        return store__fail(store, err, "a queued change of a file can't be applied");
    leaves_trim(store->data);
    blocks_trim(store->data);
    return ERR_OK;
}

enum err truncate_apply(struct data_inode *file, uint64_t size)
{
    /* Also what was allocated behind the old end goes: ftruncate does the same. */
    enum err err = file_clear(file, size, level_bytes(file->height));

    if (err == ERR_OK)
        file->inode->attr.size = size;
    return err;
}

enum err store_truncate(struct inode *inode, uint64_t size)
{
    struct record record = {.type = RECORD_TRUNCATE, .offset = size};
    struct data_inode *file;
    uint64_t end;
    enum err err = begin(inode, &file);

    if (err == ERR_OK && size > STORE_FILE_SIZE_MAX)
        err = ERR_FBIG;
    if (err == ERR_OK)
        err = file_prepare(file, size, size);
    if (err == ERR_OK)
        err = queue_record(file, &record, &end);
    if (err != ERR_OK)
        return err;
    if (size < inode->attr.size)
        gc_room_wanted(inode->store->data, inode->attr.size - size);
    return finish(file, &record, end, truncate_apply(file, size));
}

enum err punch_apply(struct data_inode *file, uint64_t offset, uint64_t length)
{
    return file_clear(file, offset, offset + length);
}

enum err store_punch(struct inode *inode, uint64_t offset, uint64_t length)
{
    struct record record = {.type = RECORD_PUNCH, .offset = offset, .argument = length};
    struct data_inode *file;
    uint64_t end;
    enum err err = begin(inode, &file);

    if (err == ERR_OK && (!add_u64(offset, length, &end) || end > STORE_FILE_SIZE_MAX))
        err = ERR_FBIG;
    if (err != ERR_OK || length == 0)
        return err;
    err = file_prepare(file, offset, end);
    if (err == ERR_OK)
        err = queue_record(file, &record, &end);
    if (err != ERR_OK)
        return err;
    gc_room_wanted(inode->store->data, length);
    return finish(file, &record, end, punch_apply(file, offset, length));
}

enum err allocate_apply(struct data_inode *file, uint64_t offset, uint64_t length, bool keep_size)
{
    uint64_t end = offset + length;
    enum err err = file_fill(file, offset, end);

    if (err == ERR_OK && !keep_size && end > file->inode->attr.size)
        file->inode->attr.size = end;
    return err;
}

enum err store_allocate(struct inode *inode, uint64_t offset, uint64_t length, bool keep_size)
{
    struct record record = {.type = RECORD_ALLOCATE,
                            .offset = offset,
                            .argument = length,
                            .flags = keep_size ? RECORD_KEEP_SIZE : 0};
    struct data_inode *file;
    uint64_t end, missing, behind;
    enum err err = begin(inode, &file);

    if (err == ERR_OK && length == 0)
        err = ERR_INVAL;
    if (err == ERR_OK && (!add_u64(offset, length, &end) || end > STORE_FILE_SIZE_MAX))
        err = ERR_FBIG;
    if (err != ERR_OK)
        return err;
    /* A promise is made on what there is now, not on what there was. */
    inode->store->data->log.space.asked_ms = 0;
    if (length > log_room(inode->store->data)) {
        err = file_count(file, offset, end, PIECE_HOLE, &missing);
        if (err == ERR_OK && missing > log_room(inode->store->data))
            err = ERR_NOSPC;
        if (err != ERR_OK)
            return err;
    }
    /* Filling reads the whole range: it comes before the record, so that what can't be read fails nothing
     * but this call. A part that was done is harmless. */
    err = file_fill(file, offset, end);
    if (err == ERR_OK)
        err = queue_record(file, &record, &behind);
    if (err != ERR_OK) {
        file_changed(file, 0);
        return err;
    }
    return finish(file, &record, behind, allocate_apply(file, offset, length, keep_size));
}
