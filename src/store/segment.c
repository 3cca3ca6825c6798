/*
 * segment.c - segment files: how many bytes of each are live, and handles for reading them.
 *
 * A row counts the bytes of blocks (with a row) that lie in a segment; it is made with the first and goes
 * with the file. Handles for reading are opened at need and kept, the least recently used is closed; jobs
 * that read hold theirs.
 */
#include "store/core_priv.h"

#include "dittofs/hash.h"
#include "dittofs/log.h"
#include <stdio.h>
#include <stdlib.h>

enum { FILES_MOST = 256 };

void segment_name(uint32_t id, char name[20])
{
    snprintf(name, 20, "seg-%08x", id);
}

struct segment *segment_find(struct data *data, uint32_t id)
{
    uint64_t hash = hash_u64(id);
    struct hashlink *link;

    for (link = hashtable_find(&data->segments, hash); link != NULL; link = hashtable_find_next(link)) {
        struct segment *segment = container_of(link, struct segment, hashed);
        if (segment->id == id)
            return segment;
    }
    return NULL;
}

struct segment *segment_of(struct data *data, uint32_t id)
{
    struct segment *segment = segment_find(data, id);

    if (segment != NULL)
        return segment;
    segment = calloc(1, sizeof *segment);
    if (segment == NULL)
        return NULL;
    segment->id = id;
    list_init(&segment->dirty_link);
    list_init(&segment->rowless);
    list_init(&segment->file_link);
    list_init(&segment->gc_link);
    if (!hashtable_insert(&data->segments, &segment->hashed, hash_u64(id))) {
        free(segment);
        return NULL;
    }
    return segment;
}

static void close_file(struct data *data, struct segment *segment)
{
    if (segment->file == NULL)
        return;
    list_remove(&segment->file_link);
    disk_close(&segment->file);
    data->segment_file_count--;
}

void segment_forget(struct data *data, struct segment *segment)
{
    close_file(data, segment);
    list_remove(&segment->dirty_link);
    list_remove(&segment->gc_link);
    invariant(list_is_empty(&segment->rowless) && segment->file_users == 0);
    hashtable_remove(&data->segments, &segment->hashed);
    free(segment);
}

/* Closes the one that was not used for the longest time. */
static void close_oldest(struct data *data)
{
    struct list *link;

    list_for_each(link, &data->segment_files)
    {
        struct segment *segment = container_of(link, struct segment, file_link);
        if (segment->file_users > 0)
            continue;
        close_file(data, segment);
        return;
    }
}

enum err segment_file(struct data *data, struct segment *segment, bool may_open, struct disk_file **file_r)
{
    char name[20];
    enum err err;

    if (segment->file != NULL) {
        list_remove(&segment->file_link);
        list_push_back(&data->segment_files, &segment->file_link);
        *file_r = segment->file;
        return ERR_OK;
    }
    if (!may_open)
        return ERR_AGAIN;
    if (data->segment_file_count >= FILES_MOST)
        close_oldest(data);
    segment_name(segment->id, name);
    err = disk_open(data->store->disk, name, DISK_READ, &segment->file);
    if (err != ERR_OK) {
        segment->file = NULL;
        log_error("store: segment file %s can't be opened: %s", name, err_text(err));
        return err == ERR_NOENT ? ERR_CORRUPT : err;
    }
    list_push_back(&data->segment_files, &segment->file_link);
    data->segment_file_count++;
    *file_r = segment->file;
    return ERR_OK;
}

void segment_hold_file(struct data *data, struct segment *segment)
{
    (void)data;
    segment->file_users++;
}

void segment_release_file(struct data *data, struct segment *segment)
{
    (void)data;
    segment->file_users--;
}

void segment_count(struct data *data, uint64_t place, int64_t bytes)
{
    struct segment *segment = segment_of(data, position_segment(place));

    if (segment == NULL) {
        enum err err = store__fail(data->store, ERR_NOMEM, "a segment can't be counted");
        (void)err;
        return;
    }
    invariant(bytes >= 0 || segment->live_bytes >= (uint64_t)-bytes);
    segment->live_bytes += (uint64_t)bytes;
    data->stored_bytes += (uint64_t)bytes;
    segment_changed(data, segment);
}

void segment_changed(struct data *data, struct segment *segment)
{
    segment->dirty = true;
    if (list_is_empty(&segment->dirty_link))
        list_push_back(&data->dirty_segments, &segment->dirty_link);
}

enum err segments_load(struct data *data)
{
    sqlite3_stmt *statement = store__prepare(data->store, "SELECT id, live, freed FROM segment");
    enum err err = ERR_NOMEM;
    bool row;

    if (statement == NULL)
        return err;
    while ((err = store__step(data->store, statement, &row)) == ERR_OK && row) {
        struct segment *segment = segment_of(data, (uint32_t)sqlite3_column_int64(statement, 0));

        if (segment == NULL) {
            err = ERR_NOMEM;
            break;
        }
        segment->has_row = true;
        segment->live_bytes = (uint64_t)sqlite3_column_int64(statement, 1);
        segment->freed_bytes = (uint64_t)sqlite3_column_int64(statement, 2);
        data->stored_bytes += segment->live_bytes;
    }
    store__release(data->store, statement);
    return err;
}

enum err segments_flush(struct data *data)
{
    enum err err = list_is_empty(&data->dirty_segments) ? ERR_OK : store__begin(data->store);

    while (err == ERR_OK && !list_is_empty(&data->dirty_segments)) {
        struct segment *segment = list_first(&data->dirty_segments, struct segment, dirty_link);
        sqlite3_stmt *statement = store__prepare(
            data->store, "INSERT INTO segment(id, live, freed) VALUES(?1, ?2, ?3) ON CONFLICT(id) "
                         "DO UPDATE SET live = excluded.live, freed = excluded.freed");

        if (statement == NULL)
            return ERR_NOMEM;
        sqlite3_bind_int64(statement, 1, segment->id);
        sqlite3_bind_int64(statement, 2, (sqlite3_int64)segment->live_bytes);
        sqlite3_bind_int64(statement, 3, (sqlite3_int64)segment->freed_bytes);
        err = store__run(data->store, statement);
        if (err == ERR_OK) {
            segment->has_row = true;
            segment->dirty = false;
            list_remove(&segment->dirty_link);
        }
    }
    return err;
}

void segments_close(struct data *data)
{
    struct hashlink *link = hashtable_walk(&data->segments, NULL);

    while (link != NULL) {
        struct segment *segment = container_of(link, struct segment, hashed);

        link = hashtable_walk(&data->segments, link);
        segment->file_users = 0;
        segment_forget(data, segment);
    }
    hashtable_free(&data->segments);
}
