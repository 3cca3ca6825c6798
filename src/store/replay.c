/*
 * replay.c - bringing back what the log's tail says and the database does not.
 *
 * Records are read in order from the tail. The first place where none is, or one whose checksums do not
 * match, is the end of what the last run made durable: everything acknowledged lies in front of it. A record
 * is applied when the inode is still there and its data_seq is older.
 *
 * What was read may lie in the page cache only, and after a sync that failed the kernel takes it for written:
 * so each record is written once more, and the files are synced before anything refers to them.
 * A disk that fails to read is not the end of the log: the store is not opened then.
 */
#include "store/core_priv.h"

#include "dittofs/log.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW_BYTES = 4 * RECORD_BYTES_MOST };

struct replay {
    struct data *data;
    struct disk_file *file;
    uint32_t segment;
    uint64_t start, filled; /* of the file, in the window */
    uint8_t *window;
    uint64_t records, applied;
};

/* ---- reading ---- */

/* LENGTH bytes at PLACE; NULL in *BYTES_R when the file ends before. */
static enum err look_at(struct replay *replay, uint64_t place, uint32_t length, const uint8_t **bytes_r)
{
    if (place < replay->start || place + length > replay->start + replay->filled) {
        size_t got;
        enum err err = disk_pread(replay->file, replay->window, WINDOW_BYTES, place, &got);

        if (err != ERR_OK)
            return err;
        replay->start = place;
        replay->filled = got;
    }
    *bytes_r =
        place + length <= replay->start + replay->filled ? replay->window + (place - replay->start) : NULL;
    return ERR_OK;
}

/* The record at PLACE, checked; *FOUND_R false: the log ends here. */
static enum err read_record(struct replay *replay, uint32_t place, struct record *record, uint32_t *checksums,
                            const uint8_t **payload_r, bool *found_r)
{
    const uint8_t *bytes;
    enum err err = look_at(replay, place, RECORD_HEADER_BYTES, &bytes);

    *found_r = false;
    if (err != ERR_OK || bytes == NULL ||
        !record_peek(bytes, replay->data->log.key, replay->segment, place, record))
        return err;
    err = look_at(replay, place, record_total(record), &bytes);
    if (err != ERR_OK || bytes == NULL)
        return err;
    *payload_r = bytes + record->head_length;
    *found_r = record_decode(record, bytes, checksums) && record_verify(record, checksums, *payload_r);
    return ERR_OK;
}

/* ---- applying ---- */

static enum err apply_clone(struct data_inode *target, const struct record *record, const uint8_t *payload)
{
    struct store *store = target->inode->store;
    struct reader reader = reader_of(payload, record->length);
    struct inode *source;
    struct data_inode *from;
    uint64_t ino, offset;
    enum err err;

    if (!reader_le64(&reader, &ino) || !reader_le64(&reader, &offset))
        return ERR_CORRUPT;
    err = inode_get(store, ino, 0, &source);
    if (err == ERR_STALE) { /* open, but without a name, when it was cloned: nobody was told of the clone */
        log_info("store: the source of an unfinished clone is gone");
        return ERR_OK;
    }
    if (err != ERR_OK)
        return err;
    err = file_of(source, &from);
    if (err == ERR_OK)
        err = clone_apply(from, offset, target, record->offset, record->argument);
    inode_unref(&source);
    return err;
}

static enum err apply_to(struct data_inode *file, const struct record *record, const uint32_t *checksums,
                         const uint8_t *payload)
{
    switch (record->type) {
    case RECORD_WRITE:
        return write_apply(file, record, checksums, NULL);
    case RECORD_TRUNCATE:
        return truncate_apply(file, record->offset);
    case RECORD_PUNCH:
        return punch_apply(file, record->offset, record->argument);
    case RECORD_ALLOCATE:
        return allocate_apply(file, record->offset, record->argument, record->flags & RECORD_KEEP_SIZE);
    case RECORD_CLONE:
        return apply_clone(file, record, payload);
    case RECORD_BLOCK:
    case RECORD_END:
        break;
    }
    return ERR_OK;
}

/* Ranges as store_write and the others let them through? */
static bool is_possible(const struct record *record)
{
    uint64_t length = record->type == RECORD_WRITE ? record->length : record->argument, end;

    if (record->type == RECORD_TRUNCATE)
        length = 0;
    return add_u64(record->offset, length, &end) && end <= STORE_FILE_SIZE_MAX;
}

static enum err apply(struct replay *replay, const struct record *record, const uint32_t *checksums,
                      const uint8_t *payload)
{
    struct store *store = replay->data->store;
    uint64_t seq = log_position(record->segment, record->place);
    struct data_inode *file;
    struct inode *inode;
    enum err err;

    replay->records++;
    if (record->type == RECORD_BLOCK || record->type == RECORD_END)
        return ERR_OK;
    err = inode_get(store, record->ino, 0, &inode);
    if (err == ERR_STALE)
        return ERR_OK;
    if (err != ERR_OK)
        return err;
    if (seq > inode->data_seq) {
        bool is_file = inode->attr.type == INODE_FILE || inode->attr.type == INODE_STREAM;

        err = is_file && is_possible(record) ? file_of(inode, &file) : ERR_CORRUPT;
        if (err == ERR_OK)
            err = apply_to(file, record, checksums, payload);
        if (err == ERR_OK)
            file_record_applied(file, record, seq, 0);
        if (err == ERR_OK && record->type == RECORD_CLONE)
            err = clone_commit(file);
        replay->applied++;
    }
    inode_unref(&inode);
    return err;
}

/* ---- walking ---- */

/* Applies what segment replay->segment holds from PLACE on. *NEXT_R: the segment it goes on in, 0: none. */
static enum err replay_segment(struct replay *replay, uint32_t place, uint32_t *next_r, uint64_t *end_r)
{
    uint32_t checksums[RECORD_CHECKSUMS_MOST];
    enum err err = ERR_OK;

    *next_r = 0;
    for (;;) {
        const uint8_t *payload;
        struct record record;
        bool found;

        err = read_record(replay, place, &record, checksums, &payload, &found);
        if (err != ERR_OK || !found)
            break;
        err = disk_pwrite(replay->file, payload - record.head_length, record_total(&record), place);
        if (err == ERR_OK)
            err = apply(replay, &record, checksums, payload);
        if (err != ERR_OK) {
            log_error("store: the record at %" PRIx32 " of segment %" PRIx32 " can't be replayed: %s", place,
                      replay->segment, err_text(err));
            break;
        }
        place += record_total(&record);
        leaves_trim(replay->data);
        blocks_trim(replay->data);
        if (record.type == RECORD_END && record.argument > replay->segment && record.argument <= INT32_MAX) {
            *next_r = (uint32_t)record.argument;
            break;
        }
    }
    *end_r = place;
    return err;
}

static enum err open_segment(struct replay *replay, bool *there_r)
{
    char name[20];
    enum err err;

    segment_name(replay->segment, name);
    replay->start = replay->filled = 0;
    err = disk_open(replay->data->store->disk, name, DISK_READ | DISK_WRITE, &replay->file);
    *there_r = err == ERR_OK;
    return err == ERR_NOENT ? ERR_OK : err;
}

enum err data_replay(struct store *store)
{
    struct data *data = store->data;
    struct replay replay = {.data = data, .segment = position_segment(data->tail)};
    uint32_t place = position_place(data->tail), next = replay.segment;
    uint64_t end = place;
    enum err err = ERR_OK;

    if (data->tail == 0)
        return ERR_OK; /* a new store */
    replay.window = malloc(WINDOW_BYTES);
    if (replay.window == NULL)
        return ERR_NOMEM;
    for (; err == ERR_OK && next != 0; place = 0) {
        bool there;

        replay.segment = next;
        err = open_segment(&replay, &there);
        if (err != ERR_OK || !there)
            break;
        err = replay_segment(&replay, place, &next, &end);
        disk_close(&replay.file);
        if (err == ERR_OK)
            err = log_adopt(data, replay.segment);
        /* What the last run knew to be free in it is not known any more: it is to be swept. */
        gc_freed(data, log_position(replay.segment, 0), RECORD_PAGE);
    }
    free(replay.window);
    if (err == ERR_OK && replay.records > 0)
        log_info("store: replayed %" PRIu64 " of %" PRIu64 " records of the log", replay.applied,
                 replay.records);
    return err;
}
