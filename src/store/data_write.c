/*
 * data_write.c - store_write: from the caller's bytes to the log's queue and the file's leaves.
 *
 * A write is cut into records of at most 1 MiB, a record into parts at every 128 KiB of the file; each part
 * is a block. Everything that could fail for what is on disk is read before the record is queued; behind that
 * only lack of memory can fail, and then the store fails.
 *
 * Writes that find the queue full wait in order; the worker that writes the queue out lets them go on.
 */
#include "store/core_priv.h"

#include "dittofs/log.h"

enum { WRITE_OVERHEAD = 8192 /* bytes of the log that a record may need besides its payload */ };

void file_record_applied(struct data_inode *file, const struct record *record, uint64_t position,
                         uint64_t end)
{
    struct inode *inode = file->inode;
    struct data *data = inode->store->data;
    uint64_t seq = log_position(record->segment, record->place);

    store__inode_set_used(inode, file->root.data_bytes + file->root.unwritten_bytes);
    data->unwritten_bytes += file->root.unwritten_bytes - file->unwritten_counted;
    file->unwritten_counted = file->root.unwritten_bytes;
    if (seq > inode->attr_seq) {
        inode->attr.mtime = inode->attr.ctime = record->mtime;
        inode->attr.change = store__next_change(inode->store);
    }
    inode->last_seq = seq > inode->last_seq ? seq : inode->last_seq;
    inode->position = end > inode->position ? end : inode->position;
    file_changed(file, position);
}

/* The block for a part, with a use. A replayed one may have a row already: another file shares it. */
static enum err take_block(struct data *data, uint64_t id, uint32_t length, const uint32_t *checksums,
                           struct log_entry *entry, uint32_t into, struct block **block_r)
{
    enum err err;

    if (entry == NULL) {
        err = block_lookup(data, id, block_r);
        if (err == ERR_OK && (*block_r)->length != length)
            err = ERR_CORRUPT;
        if (err == ERR_OK)
            block_use(data, *block_r);
        if (err != ERR_NOENT)
            return err;
    }
    return block_new(data, id, length, checksums, entry, into, block_r);
}

enum err write_apply(struct data_inode *file, const struct record *record, const uint32_t *checksums,
                     struct log_entry *entry)
{
    struct data *data = file->inode->store->data;
    uint64_t offset = record->offset, end = record->offset + record->length;
    uint32_t into = 0, chunk = 0;

    while (offset < end) {
        uint32_t length = record_part(offset, (uint32_t)(end - offset));
        struct piece with = {.kind = PIECE_DATA};
        enum piece_kind kind;
        struct block *block;
        struct node *node;
        enum err err = file_leaf(file, offset, true, &node, &kind);

        if (err != ERR_OK)
            return err;
        with.block = log_position(record->segment, (uint64_t)record->place + record->head_length + into);
        err = take_block(data, with.block, length, checksums + chunk, entry, into, &block);
        if (err == ERR_OK)
            err = node_replace(node, (uint32_t)(offset % LEAF_BYTES), length, &with);
        if (err != ERR_OK)
            return err;
        settle_touched(node, offset, block);
        chunk += record_chunks(length);
        into += length;
        offset += length;
    }
    if (end > file->inode->attr.size)
        file->inode->attr.size = end;
    return ERR_OK;
}

/* One record's worth. */
static enum err write_record(struct data_inode *file, uint64_t offset, struct bufpart part)
{
    struct inode *inode = file->inode;
    struct data *data = inode->store->data;
    uint32_t checksums[RECORD_CHECKSUMS_MOST];
    struct record record = {
        .type = RECORD_WRITE, .ino = inode->attr.ino, .offset = offset, .mtime = clock_wall()};
    struct log_entry *entry;
    enum err err = file_prepare(file, offset, offset + part.length);

    if (err != ERR_OK)
        return err;
    err = log_append(data, &record, part, checksums, &entry);
    if (err != ERR_OK)
        return err;
    err = write_apply(file, &record, checksums, entry);
    file_record_applied(file, &record, log_position(record.segment, record.place),
                        log_position(record.segment, (uint64_t)record.place + entry->total));
    if (err != ERR_OK)
        return store__fail(inode->store, err, "a queued write can't be applied");
    return ERR_OK;
}

static enum err write_now(struct store_write *write)
{
    struct data *data = write->inode->store->data;
    struct bufpart rest = write->data;
    uint64_t offset = write->offset, room, reserved = 0;
    struct data_inode *file;
    enum err err = file_of(write->inode, &file);

    if (err != ERR_OK)
        return err;
    data->foreground_ms = clock_monotonic_ms();
    data->foreground_bytes += rest.length;
    room = log_room(data);
    if (room < rest.length + WRITE_OVERHEAD && file->root.unwritten_bytes > 0) {
        err = file_count(file, offset, offset + rest.length, PIECE_UNWRITTEN, &reserved);
        if (err != ERR_OK)
            return err;
    }
    if (reserved < rest.length && room < rest.length - reserved + WRITE_OVERHEAD)
        return ERR_NOSPC;
    while (rest.length > 0 && err == ERR_OK) {
        struct bufpart part = rest;

        if (part.length > RECORD_PAYLOAD_MOST) {
            /* Cut where the file is cut, so that no block is cut in two. */
            part.length = RECORD_PAYLOAD_MOST - (size_t)(offset % STORE_BLOCK_SIZE);
        }
        err = write_record(file, offset, part);
        offset += part.length;
        rest.data += part.length;
        rest.length -= part.length;
    }
    leaves_trim(data);
    blocks_trim(data);
    return err;
}

static bool queue_has_room(const struct data *data, size_t length)
{
    size_t most = data->store->options.write_queue_bytes;

    return data->log.queued_bytes == 0 || data->log.queued_bytes + length <= most;
}

static bool is_file(const struct inode *inode)
{
    return inode->attr.type == INODE_FILE || inode->attr.type == INODE_STREAM;
}

enum err store_write(struct store_write *write)
{
    struct inode *inode = write->inode;
    struct data *data = inode->store->data;
    uint64_t end;
    enum err err = store__writable(inode->store);

    list_init(&write->link);
    if (err != ERR_OK)
        return err;
    if (!is_file(inode))
        return inode->attr.type == INODE_DIRECTORY ? ERR_ISDIR : ERR_INVAL;
    if (!add_u64(write->offset, write->data.length, &end) || end > STORE_FILE_SIZE_MAX)
        return ERR_FBIG;
    if (write->data.length == 0)
        return ERR_OK;
    if (list_is_empty(&data->waiting_writes) && queue_has_room(data, write->data.length))
        return write_now(write);
    if (inode->data == NULL) {
        struct data_inode *file;
        err = file_of(inode, &file);
        if (err != ERR_OK)
            return err;
    }
    inode->data->users++;
    list_push_back(&data->waiting_writes, &write->link);
    log_kick(data);
    return ERR_WAIT;
}

/* It waits no more. The inode may leave memory here. */
static void stop_waiting(struct store_write *write)
{
    struct inode *inode = write->inode;

    list_remove(&write->link);
    inode->data->users--;
    if (!data_inode_is_busy(inode))
        store__inode_not_busy(inode);
}

void store_write_cancel(struct store_write *write)
{
    if (!list_is_empty(&write->link))
        stop_waiting(write);
}

void writes_resume(struct data *data)
{
    while (!list_is_empty(&data->waiting_writes)) {
        struct store_write *write = list_first(&data->waiting_writes, struct store_write, link);
        enum err err;

        if (!queue_has_room(data, write->data.length) && !data->log.failed)
            break;
        err = data->log.failed ? data->store->health : write_now(write);
        stop_waiting(write);
        write->done(write, err);
    }
}

void writes_fail(struct data *data, enum err err)
{
    (void)err;
    if (!list_is_empty(&data->waiting_writes))
        store__pump_soon(data->store);
}
