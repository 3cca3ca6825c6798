/*
 * data.c - DATA's part of struct store: opening, closing, jobs, housekeeping, figures.
 *
 * Opening reads the figures and where the log's tail is, and begins a new segment, so that a replay never
 * meets records of two runs in one file. Segment numbers jump at each start: numbers that a run used and
 * lost in a crash, with all that referred to them, are not used again, because log positions are sequence
 * numbers as well.
 */
#include "store/core_priv.h"

#include "dittofs/log.h"
#include "dittofs/random.h"
#include <stdlib.h>
#include <string.h>

enum {
    SEGMENT_JUMP = 256, /* far more segments than can be begun between two flushes */
    SEGMENT_BYTES_LEAST = 4 << 20,
    HOUSEKEEPING_MS = 250,
    IDLE_MS = 200, /* nobody has written or waited for the disk for so long */
};

const char *data_schema(void)
{
    return "CREATE TABLE node(id INTEGER PRIMARY KEY, refs INTEGER NOT NULL, level INTEGER NOT NULL,"
           " data BLOB NOT NULL) STRICT;"
           "CREATE TABLE block(id INTEGER PRIMARY KEY, place INTEGER, length INTEGER NOT NULL,"
           " refs INTEGER NOT NULL, hash BLOB, checksums BLOB NOT NULL) STRICT;"
           "CREATE UNIQUE INDEX block_hash ON block(hash) WHERE hash IS NOT NULL;"
           "CREATE INDEX block_place ON block(place) WHERE place IS NOT NULL;"
           "CREATE INDEX block_unused ON block(id) WHERE refs = 0;"
           "CREATE TABLE segment(id INTEGER PRIMARY KEY, live INTEGER NOT NULL, freed INTEGER NOT NULL) "
           "STRICT;"
           "CREATE TABLE garbage(seq INTEGER PRIMARY KEY, node INTEGER NOT NULL) STRICT;";
}

/* ---- jobs ---- */

static void job_work(struct loop_job *base)
{
    struct data_job *job = container_of(base, struct data_job, job);

    job->work(job);
}

static void tell_stopped(struct data *data)
{
    void (*stopped)(struct store * store) = data->stopped;

    if (stopped == NULL || data->job_count > 0)
        return;
    data->stopped = NULL;
    stopped(data->store);
}

static void job_done(struct loop_job *base)
{
    struct data_job *job = container_of(base, struct data_job, job);
    struct data *data = job->data;

    list_remove(&job->link);
    data->job_count--;
    job->done(job);
    tell_stopped(data);
}

static enum err submit(struct data *data, struct data_job *job)
{
    job->data = data;
    job->job = (struct loop_job){.work = job_work, .done = job_done};
    return loop_submit(data->store->loop, &job->job);
}

enum err job_submit(struct data *data, struct data_job *job)
{
    enum err err = submit(data, job);

    if (err != ERR_OK)
        return err;
    job->number = data->next_job++;
    list_push_back(&data->jobs, &job->link);
    data->job_count++;
    return ERR_OK;
}

enum err job_submit_again(struct data_job *job)
{
    struct data *data = job->data;
    struct list *behind = &data->jobs;
    enum err err = submit(data, job);

    if (err != ERR_OK)
        return err;
    while (behind->previous != &data->jobs &&
           container_of(behind->previous, struct data_job, link)->number > job->number)
        behind = behind->previous;
    list_insert_after(behind->previous, &job->link);
    data->job_count++;
    return ERR_OK;
}

bool jobs_are_back(const struct data *data, uint64_t number)
{
    return list_is_empty(&data->jobs) || list_first(&data->jobs, struct data_job, link)->number >= number;
}

size_t data_jobs(const struct store *store)
{
    return store->data == NULL ? 0 : store->data->job_count;
}

/* ---- housekeeping ---- */

static void housekeeping(struct loop_timer *timer)
{
    struct data *data = container_of(timer, struct data, timer);

    data->timer_runs = false;
    if (data->stopping || data->log.failed)
        return;
    settle_run(data);
    gc_run(data);
    if (data_flush_wanted(data->store))
        store__pump_soon(data->store);
    housekeeping_soon(data);
}

bool is_idle(const struct data *data)
{
    return clock_monotonic_ms() - data->foreground_ms >= IDLE_MS &&
           data->log.queued_bytes <= data->store->options.write_queue_bytes / 4;
}

/* As long as something is to be flushed, hashed or freed. */
void housekeeping_soon(struct data *data)
{
    if (data->timer_runs || !data->ready || data->stopping ||
        (list_is_empty(&data->dirty) && list_is_empty(&data->gc_segments) && settle_is_idle(data) &&
         !data->garbage))
        return;
    data->timer_runs = true;
    loop_timer_start(data->store->loop, &data->timer, HOUSEKEEPING_MS, 0);
}

/* Writes that waited when the store failed are answered here, not inside of the call that failed. */
static void end_of_turn(struct loop_hook *hook)
{
    struct data *data = container_of(hook, struct data, hook);

    if (data->log.failed)
        writes_resume(data);
    else
        housekeeping_soon(data);
}

/* ---- opening ---- */

static enum err figure(struct store *store, const char *key, uint64_t *value_r)
{
    enum err err = store__meta_get(store, key, value_r);

    return err == ERR_NOENT ? ERR_OK : err;
}

static enum err read_number(struct store *store, const char *sql, uint64_t *number_r)
{
    sqlite3_stmt *statement = store__prepare(store, sql);
    enum err err;
    bool row;

    if (statement == NULL)
        return ERR_NOMEM;
    err = store__step(store, statement, &row);
    if (err == ERR_OK && row)
        *number_r = (uint64_t)sqlite3_column_int64(statement, 0);
    store__release(store, statement);
    return err;
}

struct found_files {
    struct data *data;
    uint32_t last;
    bool failed;
};

static void found_file(void *data, const char *name)
{
    struct found_files *found = data;
    char again[20], *end;
    unsigned long id;

    if (strncmp(name, "seg-", 4) != 0)
        return;
    id = strtoul(name + 4, &end, 16);
    if (*end != '\0' || id == 0 || id > INT32_MAX)
        return;
    segment_name((uint32_t)id, again);
    if (strcmp(again, name) != 0)
        return;
    if (id > found->last)
        found->last = (uint32_t)id;
    if (segment_of(found->data, (uint32_t)id) == NULL)
        found->failed = true;
}

static enum err read_figures(struct data *data)
{
    struct store *store = data->store;
    uint64_t segment = 0, garbage = 0, key = 0;
    enum err err = figure(store, "log key", &key);

    if (err == ERR_OK)
        err = figure(store, "log tail", &data->tail);

    if (err == ERR_OK)
        err = figure(store, "last segment", &segment);
    if (err == ERR_OK)
        err = figure(store, "unwritten bytes", &data->unwritten_bytes);
    if (err == ERR_OK)
        err = read_number(store, "SELECT coalesce(max(id), 0) FROM node", &data->next_node);
    if (err == ERR_OK)
        err = read_number(store, "SELECT count(*) FROM (SELECT 1 FROM garbage LIMIT 1)", &garbage);
    if (err == ERR_OK)
        err = segments_load(data);
    data->log.key = (uint32_t)key;
    data->unwritten_flushed = data->unwritten_written = data->unwritten_bytes;
    data->segment_written = segment;
    data->garbage = garbage > 0;
    data->tail_durable = data->tail;
    data->next_node = data->next_node < NODE_FIRST_ID ? NODE_FIRST_ID : data->next_node + 1;
    return err;
}

static enum err begin_segment(struct data *data)
{
    struct found_files found = {.data = data, .last = (uint32_t)data->segment_written};
    enum err err = disk_list(data->store->disk, found_file, &found);

    if (err == ERR_OK && found.failed)
        err = ERR_NOMEM;
    if (err != ERR_OK)
        return err;
    if (position_segment(data->tail) > found.last)
        found.last = position_segment(data->tail);
    if (found.last > INT32_MAX - 2 * SEGMENT_JUMP) {
        log_error("store: segment numbers are used up");
        return ERR_LIMIT;
    }
    return log_open(data, found.last == 0 ? 1 : found.last + SEGMENT_JUMP);
}

static void init(struct data *data)
{
    struct store_options *options = &data->store->options;

    options->segment_bytes &= ~(uint64_t)(RECORD_PAGE - 1);
    if (options->segment_bytes < SEGMENT_BYTES_LEAST)
        options->segment_bytes = SEGMENT_BYTES_LEAST;
    if (options->segment_bytes > INT32_MAX / 2)
        options->segment_bytes = INT32_MAX / 2 + 1;
    list_init(&data->jobs);
    list_init(&data->segment_files);
    list_init(&data->dirty_segments);
    list_init(&data->gc_segments);
    list_init(&data->block_lru);
    list_init(&data->leaf_lru);
    list_init(&data->dirty);
    list_init(&data->logged);
    list_init(&data->urgent);
    list_init(&data->waiting_writes);
    list_init(&data->hook.link);
    data->next_job = 1;
    data->timer.callback = housekeeping;
    data->hook.callback = end_of_turn;
}

enum err data_open(struct store *store)
{
    struct data *data = calloc(1, sizeof *data);
    enum err err;

    if (data == NULL)
        return ERR_NOMEM;
    data->store = store;
    store->data = data;
    init(data);
    err = read_figures(data);
    if (err == ERR_OK)
        err = begin_segment(data);
    if (err == ERR_OK)
        err = settle_open(data);
    if (err == ERR_OK)
        err = gc_open(data);
    return err;
}

enum err data_choose_key(struct store *store)
{
    struct data *data = store->data;

    if (data->log.key != 0)
        return ERR_OK;
    while (data->log.key == 0)
        data->log.key = (uint32_t)random_u64();
    return store__meta_put(store, "log key", data->log.key);
}

void data_replayed(struct store *store)
{
    struct data *data = store->data;

    data->tail_durable = data->tail;
    data->ready = true;
    loop_hook_add(store->loop, &data->hook);
    gc_begin(data);
    housekeeping_soon(data);
}

void data_stop(struct store *store, void (*done)(struct store *store))
{
    struct data *data = store->data;

    data->stopping = true;
    data->stopped = done;
    loop_timer_stop(&data->timer);
    data->timer_runs = false;
    tell_stopped(data);
}

void data_close(struct store *store)
{
    struct data *data = store->data;

    if (data == NULL)
        return;
    if (data->timer_runs)
        loop_timer_stop(&data->timer);
    list_remove(&data->hook.link);
    /* Jobs that the loop has dropped. */
    while (!list_is_empty(&data->jobs)) {
        struct data_job *job = list_first(&data->jobs, struct data_job, link);

        list_remove(&job->link);
        job->drop(job);
    }
    settle_close(data);
    gc_close(data);
    if (data->log.data != NULL)
        log_close(data);
    blocks_close(data);
    segments_close(data);
    free(data);
    store->data = NULL;
}

/* ---- inodes ---- */

void data_inode_forget(struct inode *inode)
{
    if (inode->data == NULL)
        return;
    file_discard(inode->data);
    free(inode->data);
    inode->data = NULL;
}

bool data_inode_is_busy(const struct inode *inode)
{
    const struct data_inode *file = inode->data;

    return file != NULL && (!list_is_empty(&file->dirty_link) || file->users > 0);
}

/* What the flushed leaf in the inode's root refers to goes. */
static enum err drop_inline(struct data *data, const struct root *root)
{
    struct leaf_change *changes;
    struct leaf leaf = {0};
    size_t count = 0;
    uint32_t i, k;
    enum err err = leaf_decode(&leaf, root->leaf, root->leaf_length);

    if (err != ERR_OK)
        return err;
    changes = malloc((leaf.piece_count + 1) * sizeof *changes);
    for (i = 0; changes != NULL && i < leaf.slot_count; i++)
        for (k = 0; k < leaf.slots[i].count; k++) {
            const struct piece *piece = &slot_pieces(&leaf.slots[i])[k];

            if (piece->kind == PIECE_DATA)
                changes[count++] = (struct leaf_change){.block = piece->block, .delta = -1};
        }
    err = changes == NULL ? ERR_NOMEM : changes_apply(data, changes, count);
    free(changes);
    leaf_free(&leaf);
    return err;
}

enum err data_inode_free_slice(struct inode *inode, bool *done_r)
{
    struct data *data = inode->store->data;
    struct root root;
    enum err err = root_decode(inode->root, inode->root_length, &root);

    *done_r = true;
    gc_room_wanted(data, inode->attr.used);
    if (inode->data != NULL) {
        struct data_inode *file = inode->data;

        data->unwritten_bytes -= file->unwritten_counted;
        data->unwritten_flushed -= file->unwritten_flushed;
        file->unwritten_counted = file->unwritten_flushed = 0;
        file_discard(file);
    } else if (err == ERR_OK) {
        data->unwritten_bytes -= root.unwritten_bytes;
        data->unwritten_flushed -= root.unwritten_bytes;
    }
    if (err != ERR_OK) {
        log_error("store: inode %llu: its damaged root can't be freed", (unsigned long long)inode->attr.ino);
        return err;
    }
    if (inode->root_length == 0)
        return ERR_OK;
    err = store__begin(data->store);
    if (err == ERR_OK && root.leaf_length > 0)
        err = drop_inline(data, &root);
    else if (err == ERR_OK)
        err = garbage_add(data, root.id);
    if (err == ERR_OK)
        err = store__inode_set_root(inode, NULL, 0);
    return err == ERR_OK ? figures_flush(data) : err;
}

/* ---- figures ---- */

enum err data_room(struct store *store, uint64_t bytes)
{
    return store->data == NULL || log_room(store->data) >= bytes ? ERR_OK : ERR_NOSPC;
}

void data_space(const struct store *store, struct store_space *space_r)
{
    space_r->free_bytes = log_room(store->data);
    space_r->total_bytes = store->data->log.space.total_bytes;
    space_r->stored_bytes = store->data->stored_bytes;
}

void data_counters(const struct store *store, struct store_counters *counters_r)
{
    const struct data *data = store->data;

    counters_r->log_bytes = data->log.bytes;
    counters_r->blocks_hashed = data->blocks_hashed;
    counters_r->blocks_shared = data->blocks_shared;
    counters_r->bytes_rewritten = data->bytes_rewritten;
    counters_r->reads_inline = data->reads_inline;
    counters_r->reads_worker = data->reads_worker;
    counters_r->segments_reused = data->segments_reused;
}

void data_batch_durable(struct store *store, uint64_t batch)
{
    struct data *data = store->data;

    if (data->tail_batch <= batch)
        data->tail_durable = data->tail;
    if (data->ready && !data->stopping)
        gc_run(data);
}
