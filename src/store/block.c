/*
 * block.c - blocks in memory and their rows.
 *
 * A block is made by a write, without a row; it gets one when the first leaf that refers to it is flushed.
 * Until then it stays in memory, on the list of its segment, for the leaves that use it. Blocks with a row
 * are a cache, bounded, the least recently used goes first.
 *
 * The row's place is NULL while the block lies where it was first written, which is its id.
 */
#include "store/core_priv.h"

#include "dittofs/hash.h"
#include "dittofs/log.h"
#include <stdlib.h>
#include <string.h>

static size_t block_memory(const struct block *block)
{
    return sizeof *block + record_chunks(block->length) * sizeof(uint32_t);
}

struct block *block_find(struct data *data, uint64_t id)
{
    struct hashlink *link;

    for (link = hashtable_find(&data->blocks, hash_u64(id)); link != NULL; link = hashtable_find_next(link)) {
        struct block *block = container_of(link, struct block, hashed);
        if (block->id == id)
            return block;
    }
    return NULL;
}

static struct block *allocate(struct data *data, uint64_t id, uint64_t place, uint32_t length)
{
    struct block *block = calloc(1, sizeof *block + record_chunks(length) * sizeof(uint32_t));

    if (block == NULL)
        return NULL;
    block->id = id;
    block->place = place;
    block->length = length;
    list_init(&block->link);
    list_init(&block->in_entry);
    if (!hashtable_insert(&data->blocks, &block->hashed, hash_u64(id))) {
        free(block);
        return NULL;
    }
    data->block_bytes += block_memory(block);
    return block;
}

void block_detach(struct block *block)
{
    list_remove(&block->in_entry);
    block->entry = NULL;
    block->bytes = NULL;
}

static void forget_hash(struct data *data, struct block *block)
{
    if (block->hash == NULL)
        return;
    hashtable_remove(&data->fresh_hashes, &block->by_hash);
    free(block->hash);
    block->hash = NULL;
}

static void block_free(struct data *data, struct block *block)
{
    block_detach(block);
    forget_hash(data, block);
    list_remove(&block->link);
    if (!block->has_row)
        data->rowless_count--;
    hashtable_remove(&data->blocks, &block->hashed);
    data->block_bytes -= block_memory(block);
    free(block);
}

static void attach(struct block *block, struct log_entry *entry, uint32_t into)
{
    block->entry = entry;
    block->bytes = entry->payload + into;
    list_push_back(&entry->blocks, &block->in_entry);
}

enum err block_new(struct data *data, uint64_t id, uint32_t length, const uint32_t *checksums,
                   struct log_entry *entry, uint32_t into, struct block **block_r)
{
    struct segment *segment = segment_of(data, position_segment(id));
    struct block *block;

    invariant(block_find(data, id) == NULL);
    block = segment == NULL ? NULL : allocate(data, id, id, length);
    if (block == NULL)
        return ERR_NOMEM;
    memcpy(block->checksums, checksums, record_chunks(length) * sizeof *checksums);
    block->uses = 1;
    if (entry != NULL)
        attach(block, entry, into);
    list_push_back(&segment->rowless, &block->link);
    data->rowless_count++;
    *block_r = block;
    return ERR_OK;
}

void block_move(struct data *data, struct block *block, struct log_entry *entry)
{
    block_detach(block);
    block->place = entry_position(entry, 0);
    attach(block, entry, 0);
    (void)data;
}

/* Puts it where it may be thrown away from, if it may. */
static void settle_down(struct data *data, struct block *block)
{
    if (block->uses > 0 || block->readers > 0)
        return;
    if (!block->has_row || block->gone) {
        if (!block->has_row)
            gc_freed(data, block->place, block->length);
        block_free(data, block);
        return;
    }
    list_remove(&block->link);
    list_push_back(&data->block_lru, &block->link);
}

void block_hold(struct data *data, struct block *block)
{
    (void)data;
    if (block->has_row)
        list_remove(&block->link);
    block->readers++;
}

void block_let_go(struct data *data, struct block *block)
{
    invariant(block->readers > 0);
    block->readers--;
    settle_down(data, block);
}

void block_use(struct data *data, struct block *block)
{
    (void)data;
    if (block->has_row)
        list_remove(&block->link);
    block->uses++;
}

void blocks_trim(struct data *data)
{
    size_t most = data->store->options.block_cache_bytes / 2;

    while (data->block_bytes > most && !list_is_empty(&data->block_lru))
        block_free(data, list_first(&data->block_lru, struct block, link));
}

void blocks_close(struct data *data)
{
    struct hashlink *link = hashtable_walk(&data->blocks, NULL);

    while (link != NULL) {
        struct block *block = container_of(link, struct block, hashed);

        link = hashtable_walk(&data->blocks, link);
        block_free(data, block);
    }
    hashtable_free(&data->blocks);
    hashtable_free(&data->fresh_hashes);
}

bool block_verify(const struct block *block, uint32_t first_chunk, const uint8_t *bytes, uint32_t length)
{
    uint32_t done, chunk = first_chunk;

    for (done = 0; done < length; done += RECORD_CHUNK, chunk++) {
        uint32_t part = length - done < RECORD_CHUNK ? length - done : RECORD_CHUNK;

        if (crc32c(0, bytes + done, part) != block->checksums[chunk])
            return false;
    }
    return true;
}

/* ---- rows ---- */

static enum err corrupt(uint64_t id, const char *what)
{
    log_error("store: block %llx %s", (unsigned long long)id, what);
    return ERR_CORRUPT;
}

/* The columns place, length, checksums from COLUMN on. */
static enum err read_row(struct data *data, uint64_t id, sqlite3_stmt *row, struct block **block_r)
{
    uint64_t place = sqlite3_column_type(row, 0) == SQLITE_NULL ? id : (uint64_t)sqlite3_column_int64(row, 0);
    sqlite3_int64 length = sqlite3_column_int64(row, 1);
    const uint8_t *checksums = sqlite3_column_blob(row, 2);
    struct reader reader = reader_of(checksums, (size_t)sqlite3_column_bytes(row, 2));
    struct block *block;
    uint32_t i;

    if (length <= 0 || length > STORE_BLOCK_SIZE || position_segment(place) == 0 ||
        reader.left != record_chunks((uint32_t)length) * sizeof(uint32_t))
        return corrupt(id, "has a damaged row");
    block = allocate(data, id, place, (uint32_t)length);
    if (block == NULL)
        return ERR_NOMEM;
    for (i = 0; i < record_chunks(block->length); i++)
        if (!reader_le32(&reader, &block->checksums[i]))
            break;
    block->has_row = true;
    block->is_hashed = sqlite3_column_type(row, 3) != SQLITE_NULL;
    list_push_back(&data->block_lru, &block->link);
    *block_r = block;
    return ERR_OK;
}

enum err block_get(struct data *data, uint64_t id, struct block **block_r)
{
    enum err err = block_lookup(data, id, block_r);

    return err == ERR_NOENT ? corrupt(id, "is referred to and not there") : err;
}

enum err block_lookup(struct data *data, uint64_t id, struct block **block_r)
{
    struct block *block = block_find(data, id);
    sqlite3_stmt *statement;
    enum err err;
    bool row;

    if (block != NULL) {
        if (block->has_row && block->uses == 0 && block->readers == 0) {
            list_remove(&block->link);
            list_push_back(&data->block_lru, &block->link);
        }
        *block_r = block;
        return ERR_OK;
    }
    statement = store__prepare(data->store, "SELECT place, length, checksums, hash FROM block WHERE id = ?1");
    if (statement == NULL)
        return ERR_NOMEM;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)id);
    err = store__step(data->store, statement, &row);
    if (err == ERR_OK)
        err = row ? read_row(data, id, statement, block_r) : ERR_NOENT;
    store__release(data->store, statement);
    blocks_trim(data);
    if (err == ERR_OK && block_find(data, id) == NULL)
        err = ERR_NOMEM; /* a cache too small for one block */
    return err;
}

static enum err insert_row(struct data *data, struct block *block, int64_t references)
{
    uint8_t checksums[RECORD_CHECKSUMS_MOST * 4];
    struct writer writer;
    sqlite3_stmt *statement;
    enum err err = store__begin(data->store);
    uint32_t i;

    if (err != ERR_OK)
        return err;
    statement = store__prepare(data->store, "INSERT INTO block(id, place, length, refs, hash, checksums) "
                                            "VALUES(?1, ?2, ?3, ?4, ?5, ?6)");
    if (statement == NULL)
        return ERR_NOMEM;
    writer_init(&writer, checksums, sizeof checksums);
    for (i = 0; i < record_chunks(block->length); i++)
        writer_le32(&writer, block->checksums[i]);
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)block->id);
    if (block->place != block->id)
        sqlite3_bind_int64(statement, 2, (sqlite3_int64)block->place);
    else
        sqlite3_bind_null(statement, 2); /* bindings stay from use to use */
    sqlite3_bind_int64(statement, 3, block->length);
    sqlite3_bind_int64(statement, 4, references);
    if (block->hash != NULL)
        sqlite3_bind_blob(statement, 5, block->hash, HASH_BYTES, SQLITE_STATIC);
    else
        sqlite3_bind_null(statement, 5);
    sqlite3_bind_blob(statement, 6, checksums, (int)writer.length, SQLITE_STATIC);
    err = store__run(data->store, statement);
    if (err != ERR_OK)
        return err;
    forget_hash(data, block);
    block->has_row = true;
    data->rowless_count--;
    list_remove(&block->link);
    segment_count(data, block->place, block->length);
    store__needs_position(data->store, block->place + block->length);
    settle_down(data, block);
    return ERR_OK;
}

/* The row of block ID, which lay at PLACE, is deleted. */
static void row_is_gone(struct data *data, uint64_t id, uint64_t place, uint32_t length)
{
    struct block *block = block_find(data, id);

    segment_count(data, place, -(int64_t)length);
    gc_freed(data, place, length);
    if (block != NULL && block->readers == 0)
        block_free(data, block);
    else if (block != NULL)
        block->gone = true;
}

/* Deletes the row of block ID if it has COUNT references; *DONE_R false: it has not, or is not there. */
static enum err delete_row(struct data *data, uint64_t id, int64_t count, bool *done_r)
{
    uint64_t place = 0;
    uint32_t length = 0;
    sqlite3_stmt *statement;
    enum err err = store__begin(data->store);

    *done_r = false;
    if (err != ERR_OK)
        return err;
    statement = store__prepare(
        data->store, "DELETE FROM block WHERE id = ?1 AND refs = ?2 RETURNING coalesce(place, id), length");
    if (statement == NULL)
        return ERR_NOMEM;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)id);
    sqlite3_bind_int64(statement, 2, count);
    err = store__step(data->store, statement, done_r);
    if (err == ERR_OK && *done_r) {
        bool more;

        place = (uint64_t)sqlite3_column_int64(statement, 0);
        length = (uint32_t)sqlite3_column_int64(statement, 1);
        err = store__step(data->store, statement, &more);
    }
    store__release(data->store, statement);
    if (err == ERR_OK && *done_r)
        row_is_gone(data, id, place, length);
    return err;
}

enum err blocks_drop_unused(struct data *data)
{
    enum err err = ERR_OK;
    bool row = true;

    while (err == ERR_OK && row) {
        sqlite3_stmt *statement = store__prepare(data->store, "SELECT id FROM block WHERE refs = 0 LIMIT 1");
        uint64_t id = 0;

        if (statement == NULL)
            return ERR_NOMEM;
        err = store__step(data->store, statement, &row);
        if (err == ERR_OK && row)
            id = (uint64_t)sqlite3_column_int64(statement, 0);
        store__release(data->store, statement);
        if (err == ERR_OK && row)
            err = delete_row(data, id, 0, &row);
    }
    return err == ERR_OK ? figures_flush(data) : err;
}

enum err block_unuse(struct data *data, struct block *block)
{
    bool done;
    enum err err;

    invariant(block->uses > 0);
    block->uses--;
    if (block->uses > 0 || !block->zero_row) {
        settle_down(data, block);
        return ERR_OK;
    }
    block->zero_row = false;
    err = delete_row(data, block->id, 0, &done);
    return err == ERR_OK ? figures_flush(data) : err;
}

/* REFERENCES are left in the row of block ID. */
static enum err applied(struct data *data, uint64_t id, int64_t references)
{
    struct block *block = block_find(data, id);
    bool done;

    if (references < 0)
        return corrupt(id, "has fewer references counted than it had");
    if (block != NULL)
        block->zero_row = references == 0 && block->uses > 0;
    if (references > 0 || (block != NULL && block->zero_row))
        return ERR_OK;
    return delete_row(data, id, 0, &done);
}

static enum err update_row(struct data *data, uint64_t id, int64_t delta)
{
    int64_t references = 0;
    sqlite3_stmt *statement;
    enum err err = store__begin(data->store);
    bool row;

    if (err != ERR_OK)
        return err;
    statement = store__prepare(data->store, "UPDATE block SET refs = refs + ?2 WHERE id = ?1 RETURNING refs");
    if (statement == NULL)
        return ERR_NOMEM;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)id);
    sqlite3_bind_int64(statement, 2, delta);
    err = store__step(data->store, statement, &row);
    if (err == ERR_OK && !row)
        err = corrupt(id, "is referred to and not there");
    if (err == ERR_OK) {
        references = sqlite3_column_int64(statement, 0);
        err = store__step(data->store, statement, &row);
    }
    store__release(data->store, statement);
    return err == ERR_OK ? applied(data, id, references) : err;
}

enum err block_apply(struct data *data, uint64_t id, int64_t delta)
{
    struct block *block = block_find(data, id);
    bool done = false;
    enum err err = ERR_OK;

    if (delta == 0)
        return ERR_OK;
    if (block != NULL && !block->has_row)
        return delta > 0 ? insert_row(data, block, delta) : corrupt(id, "loses references it never had");
    /* Nearly always the last reference goes, and no other use follows. */
    if (delta < 0 && (block == NULL || block->uses == 0))
        err = delete_row(data, id, -delta, &done);
    return err == ERR_OK && !done ? update_row(data, id, delta) : err;
}
