/*
 * gc.c - giving space back: sweeping, unlinking and compacting segments.
 *
 * Whenever a block goes its segment is listed. When what was freed is durable, and every job that
 * may still read it is back, the segment is swept: what no row covers in it is punched, headers of records
 * included, window by window. A segment without live blocks is unlinked, or rests for a minute as a spare
 * one, whose file the log may use again: then the file system has no blocks to give back and to find. One
 * whose blocks are so small or scattered that punching leaves more than twice their bytes is compacted: the
 * blocks are appended to the log and its rows say so; their ids stay.
 *
 * Fail closed: only what lies in front of the durable tail is touched (replay begins there), as far as the
 * log is written and synced: the tail may be durable before records in front of it that nobody needs any more
 * are written, and what they would still fill, or the file that they would still make, would never be freed.
 * A segment with blocks that have no row yet there is left alone; an error leaves everything as it is. Which
 * bytes are live is asked of the rows each time, never of counters.
 *
 * What clients write over is freed bit by bit, and mostly goes on to its segment's end: a sweep waits a
 * little for that. Who removes data wants the room: then nothing waits, and there are no spare segments.
 *
 * One job at a time.
 */
#include "store/fragment_priv.h"

#include "dittofs/log.h"
#include <stdlib.h>

enum {
    WINDOW_BYTES = 16 << 20,
    FREED_LEAST = 4096,           /* less is not worth a sweep */
    TAIL_FREED_LEAST = 64 * 1024, /* ... nor moving the tail for it */
    SWEEP_PAUSE_MS = 1000,        /* between two sweeps of a segment */
    FREED_LAST_MS = 4000,   /* so long after the last bytes (flushes are 3 s apart) a segment is swept */
    FREED_FIRST_MS = 15000, /* ... and so long after the first in any case */
    WANTED_LEAST = 1 << 20, /* who removes less does not look at the room */
    WANTED_MS = 10000,      /* ... in such a time; others do for so long */
    SPARES_MOST = 4,
    SPARE_MS = 60000,
    SPARE_ROOM = 16, /* segments that must fit on the disk beside them */
    ERROR_PAUSE_MS = 60000,
    COMPACT_LEAST = 256 * 1024, /* bytes that compacting must win */
    COMPACT_FACTOR = 2,
    COMPACT_BLOCKS = 32, /* of one job */
    COMPACT_ROOM = 16 << 20,
    BUSY_PAUSE_MS = 1000, /* between two jobs while clients write or read */
};

struct range {
    uint64_t start, end;
};

struct ranges {
    struct range *members;
    size_t count, capacity;
};

/* Punches ranges of a segment, or unlinks it. */
struct punch_job {
    struct data_job job;
    uint32_t segment;
    bool unlink;
    struct ranges ranges;
    uint64_t file_bytes; /* result */
    enum err err;
};

struct move {
    struct fragment fragment;
    struct buf *buf;
    enum err err;
};

struct compact_job {
    struct data_job job;
    uint32_t segment;
    size_t count;
    struct move moves[COMPACT_BLOCKS];
};

struct gc {
    bool busy; /* a job is under way */
    /* of the sweep under way */
    uint32_t segment; /* 0: none */
    uint64_t at;      /* where the next window begins */
    uint64_t freed_at_start, kept_bytes;
    /* of the compaction under way */
    uint32_t compacted; /* segment, 0: none */
    uint64_t compacted_ms;
    unsigned spare_count;
    uint64_t wanted_ms;                 /* when somebody last wanted room; 0: never */
    uint64_t removed_bytes, removed_ms; /* since that time */
};

/* ---- what is live ---- */

static bool add_range(struct ranges *ranges, uint64_t start, uint64_t end)
{
    if (ranges->count == ranges->capacity) {
        size_t capacity = ranges->capacity > 0 ? ranges->capacity * 2 : 256;
        struct range *more = realloc(ranges->members, capacity * sizeof *more);

        if (more == NULL)
            return false;
        ranges->members = more;
        ranges->capacity = capacity;
    }
    ranges->members[ranges->count++] = (struct range){start, end};
    return true;
}

static int range_order(const void *a, const void *b)
{
    uint64_t one = ((const struct range *)a)->start, other = ((const struct range *)b)->start;

    return one < other ? -1 : one > other;
}

/* Adds the blocks that SQL finds placed in [FROM, TO). */
static enum err add_rows(struct data *data, const char *sql, uint64_t from, uint64_t to, struct ranges *live)
{
    sqlite3_stmt *statement = store__prepare(data->store, sql);
    enum err err;
    bool row;

    if (statement == NULL)
        return ERR_NOMEM;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)from);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)to);
    while ((err = store__step(data->store, statement, &row)) == ERR_OK && row) {
        uint64_t place = (uint64_t)sqlite3_column_int64(statement, 0) & UINT32_MAX;

        if (!add_range(live, place, place + (uint64_t)sqlite3_column_int64(statement, 1))) {
            err = ERR_NOMEM;
            break;
        }
    }
    store__release(data->store, statement);
    return err;
}

/* The live ranges that reach into [START, END) of a segment, in order. */
static enum err find_live(struct data *data, const struct segment *segment, uint64_t start, uint64_t end,
                          struct ranges *live)
{
    uint64_t from = log_position(segment->id, start > STORE_BLOCK_SIZE ? start - STORE_BLOCK_SIZE : 0);
    uint64_t to = log_position(segment->id, 0) + end;
    struct list *link;
    enum err err = add_rows(data, "SELECT id, length FROM block WHERE id >= ?1 AND id < ?2 AND place IS NULL",
                            from, to, live);

    if (err == ERR_OK)
        err = add_rows(data, "SELECT place, length FROM block WHERE place >= ?1 AND place < ?2", from, to,
                       live);
    list_for_each(link, &segment->rowless)
    {
        const struct block *block = container_of(link, struct block, link);
        uint64_t place = position_place(block->place);

        if (err == ERR_OK && place < end && !add_range(live, place, place + block->length))
            err = ERR_NOMEM;
    }
    if (live->count > 1)
        qsort(live->members, live->count, sizeof *live->members, range_order);
    return err;
}

/* What LIVE leaves of [START, END), as far as it holds whole pages. Gives the bytes of pages that stay. */
static bool find_gaps(const struct ranges *live, uint64_t start, uint64_t end, struct ranges *gaps,
                      uint64_t *kept_r)
{
    uint64_t at = start, kept = end - start;
    size_t i;

    for (i = 0; i <= live->count; i++) {
        uint64_t upto = i < live->count ? live->members[i].start : end, first, last;

        upto = upto < end ? upto : end;
        first = (at + RECORD_PAGE - 1) / RECORD_PAGE * RECORD_PAGE;
        last = upto / RECORD_PAGE * RECORD_PAGE;
        if (first < last) {
            if (!add_range(gaps, first, last))
                return false;
            kept -= last - first;
        }
        if (i < live->count && live->members[i].end > at)
            at = live->members[i].end;
    }
    *kept_r = kept;
    return true;
}

/* ---- may it be touched? ---- */

/* How far into SEGMENT the durable tail and the log let us go. */
static uint64_t reach_of(const struct data *data, const struct segment *segment)
{
    uint64_t end = data->tail_durable < data->log.durable ? data->tail_durable : data->log.durable;

    if (segment->id < position_segment(end))
        return (uint64_t)1 << 32;
    return segment->id == position_segment(end) ? position_place(end) : 0;
}

/* Is all that was freed in it durable, and unread? */
static bool is_ripe(const struct data *data, const struct segment *segment)
{
    return store__durable_batch(data->store) >= segment->gc_batch && jobs_are_back(data, segment->gc_job);
}

static bool has_rowless_in_reach(const struct data *data, const struct segment *segment)
{
    return segment->id < position_segment(data->tail_durable) && !list_is_empty(&segment->rowless);
}

static void unlist(struct segment *segment)
{
    list_remove(&segment->gc_link);
    segment->gc_listed = false;
}

static void enlist(struct data *data, struct segment *segment)
{
    if (segment->gc_listed)
        return;
    segment->gc_listed = true;
    list_push_back(&data->gc_segments, &segment->gc_link);
}

void gc_freed(struct data *data, uint64_t place, uint64_t bytes)
{
    struct segment *segment = segment_of(data, position_segment(place));

    if (segment == NULL)
        return; /* stays as it is */
    segment->gc_last_ms = clock_monotonic_ms();
    if (segment->freed_bytes == 0)
        segment->gc_first_ms = segment->gc_last_ms;
    segment->freed_bytes += bytes;
    segment->gc_batch = store__batch(data->store);
    segment->gc_job = data->next_job;
    segment_changed(data, segment);
    enlist(data, segment);
}

/* ---- spare segments ---- */

/* Forgets SEGMENT and its row; false: it is still known. */
static bool forget_segment(struct data *data, struct segment *segment)
{
    sqlite3_stmt *statement;
    enum err err = ERR_OK;

    if (segment->has_row) {
        err = store__begin(data->store);
        statement = err == ERR_OK ? store__prepare(data->store, "DELETE FROM segment WHERE id = ?1") : NULL;
        if (statement == NULL)
            return false; /* another time */
        sqlite3_bind_int64(statement, 1, segment->id);
        err = store__run(data->store, statement);
    }
    if (err == ERR_OK)
        segment_forget(data, segment);
    return err == ERR_OK;
}

void gc_room_wanted(struct data *data, uint64_t bytes)
{
    struct gc *gc = data->gc;
    uint64_t now;

    if (bytes == 0)
        return;
    now = clock_monotonic_ms();
    if (now - gc->removed_ms >= WANTED_MS) {
        gc->removed_ms = now;
        gc->removed_bytes = 0;
    }
    gc->removed_bytes += bytes;
    if (gc->removed_bytes >= WANTED_LEAST)
        gc->wanted_ms = now;
}

/* May freed space stay where it is for a while? */
static bool may_wait(struct data *data, uint64_t now)
{
    return (data->gc->wanted_ms == 0 || now - data->gc->wanted_ms >= WANTED_MS) &&
           log_room(data) / SPARE_ROOM >= data->store->options.segment_bytes;
}

static void unspare(struct data *data, struct segment *segment)
{
    if (segment->gc_spare_ms == 0)
        return;
    segment->gc_spare_ms = 0;
    data->gc->spare_count--;
}

/* Does SEGMENT, in which nothing lies, rest as a spare one? Those of this run that are whole can become one.
 */
static bool is_spare(struct data *data, struct segment *segment, uint64_t now)
{
    if (!may_wait(data, now))
        return false;
    if (segment->gc_spare_ms != 0)
        return now - segment->gc_spare_ms < SPARE_MS;
    if (data->gc->spare_count == SPARES_MOST || segment->id < data->log.first_segment || segment->gc_is_thin)
        return false;
    segment->gc_spare_ms = now;
    data->gc->spare_count++;
    return true;
}

uint32_t gc_take_spare(struct data *data)
{
    struct list *link;

    list_for_each(link, &data->gc_segments)
    {
        struct segment *segment = container_of(link, struct segment, gc_link);
        uint32_t id = segment->id;

        if (segment->gc_spare_ms == 0)
            continue;
        unspare(data, segment);
        if (!forget_segment(data, segment))
            return 0;
        data->segments_reused++;
        return id;
    }
    return 0;
}

/* ---- punching and unlinking ---- */

static void punch_work(struct data_job *base)
{
    struct punch_job *job = container_of(base, struct punch_job, job);
    struct disk *disk = base->data->store->disk;
    struct disk_file *file;
    char name[20];
    size_t i;

    segment_name(job->segment, name);
    if (job->unlink) {
        job->err = disk_unlink(disk, name);
        return;
    }
    job->err = disk_open(disk, name, DISK_READ | DISK_WRITE, &file);
    if (job->err != ERR_OK)
        return;
    job->err = disk_size(file, &job->file_bytes);
    for (i = 0; i < job->ranges.count && job->err == ERR_OK; i++)
        job->err = disk_punch(file, job->ranges.members[i].start,
                              job->ranges.members[i].end - job->ranges.members[i].start);
    disk_close(&file);
}

static void punch_free(struct punch_job *job)
{
    free(job->ranges.members);
    free(job);
}

static void punch_drop(struct data_job *base)
{
    punch_free(container_of(base, struct punch_job, job));
}

static void unlinked(struct data *data, struct segment *segment, enum err err)
{
    if (err != ERR_OK && err != ERR_NOENT) {
        segment->gc_not_before_ms = clock_monotonic_ms() + ERROR_PAUSE_MS;
        log_warning("store: segment %x can't be unlinked: %s", segment->id, err_text(err));
        return;
    }
    unlist(segment);
    segment->freed_bytes = 0;
    (void)forget_segment(data, segment);
}

/* The sweep of SEGMENT, a file of FILE_BYTES, has reached its end. */
static void swept(struct data *data, struct segment *segment, uint64_t file_bytes)
{
    struct gc *gc = data->gc;
    bool wins = gc->kept_bytes > COMPACT_FACTOR * segment->live_bytes &&
                gc->kept_bytes - segment->live_bytes >= COMPACT_LEAST;

    gc->segment = 0;
    segment->gc_is_thin = gc->kept_bytes < file_bytes / 4 * 3;
    segment->gc_not_before_ms = clock_monotonic_ms() + SWEEP_PAUSE_MS;
    segment->freed_bytes -=
        gc->freed_at_start < segment->freed_bytes ? gc->freed_at_start : segment->freed_bytes;
    segment_changed(data, segment);
    if (segment->freed_bytes < FREED_LEAST)
        unlist(segment);
    if (wins && gc->compacted == 0 && segment->live_bytes > 0 &&
        segment->id < position_segment(data->tail_durable))
        gc->compacted = segment->id;
}

static void punch_done(struct data_job *base)
{
    struct punch_job *job = container_of(base, struct punch_job, job);
    struct data *data = base->data;
    struct segment *segment = segment_find(data, job->segment);

    data->gc->busy = false;
    data->log.space.asked_ms = 0; /* there may be more room now */
    if (segment == NULL || store__writable(data->store) != ERR_OK) {
        data->gc->segment = 0;
    } else if (job->unlink) {
        unlinked(data, segment, job->err);
    } else if (job->err != ERR_OK) {
        data->gc->segment = 0;
        segment->gc_not_before_ms = clock_monotonic_ms() + ERROR_PAUSE_MS;
        if (job->err == ERR_NOTSUPP)
            unlist(segment);
        else
            log_warning("store: segment %x can't be punched: %s", job->segment, err_text(job->err));
    } else if (data->gc->at >= job->file_bytes || data->gc->at >= reach_of(data, segment)) {
        swept(data, segment, job->file_bytes);
    }
    punch_free(job);
    gc_run(data);
}

static void submit_punch(struct data *data, struct punch_job *job)
{
    job->job.work = punch_work;
    job->job.done = punch_done;
    job->job.drop = punch_drop;
    if (job_submit(data, &job->job) == ERR_OK) {
        data->gc->busy = true;
    } else {
        data->gc->segment = 0;
        punch_free(job);
    }
}

static void begin_unlink(struct data *data, struct segment *segment)
{
    struct punch_job *job = calloc(1, sizeof *job);

    if (job == NULL)
        return;
    job->segment = segment->id;
    job->unlink = true;
    submit_punch(data, job);
}

/* Punches the next window of the sweep under way. */
static void sweep_on(struct data *data, struct segment *segment)
{
    struct gc *gc = data->gc;
    uint64_t end = gc->at + WINDOW_BYTES, reach = reach_of(data, segment), kept;
    struct punch_job *job = calloc(1, sizeof *job);
    struct ranges live = {NULL, 0, 0};
    bool found;

    if (job == NULL)
        return;
    job->segment = segment->id;
    end = end < reach ? end : reach;
    found = find_live(data, segment, gc->at, end, &live) == ERR_OK &&
            find_gaps(&live, gc->at, end, &job->ranges, &kept);
    free(live.members);
    if (!found) {
        gc->segment = 0;
        segment->gc_not_before_ms = clock_monotonic_ms() + ERROR_PAUSE_MS;
        punch_free(job);
        return;
    }
    gc->kept_bytes += kept;
    gc->at = end;
    submit_punch(data, job);
}

/* ---- compacting ---- */

static void compact_work(struct data_job *base)
{
    struct compact_job *job = container_of(base, struct compact_job, job);
    size_t i;

    for (i = 0; i < job->count; i++) {
        job->moves[i].err = fragment_read(&job->moves[i].fragment, true);
        if (job->moves[i].err != ERR_OK)
            fragment_report(0, &job->moves[i].fragment, job->moves[i].err);
    }
}

static void compact_free(struct data *data, struct compact_job *job)
{
    size_t i;

    for (i = 0; i < job->count; i++) {
        fragment_let_go(data, &job->moves[i].fragment);
        buf_unref(&job->moves[i].buf);
    }
    free(job);
}

static void compact_drop(struct data_job *base)
{
    compact_free(base->data, container_of(base, struct compact_job, job));
}

/* Appends a block's bytes to the log, where its row then says it lies. */
static enum err move_block(struct data *data, struct move *move)
{
    struct block *block = move->fragment.block;
    struct record record = {.type = RECORD_BLOCK};
    struct bufpart payload = {.buf = move->buf, .data = move->buf->data, .length = block->length};
    uint32_t checksums[RECORD_CHECKSUMS_MOST];
    uint64_t old = block->place;
    struct log_entry *entry;
    sqlite3_stmt *statement;
    enum err err = store__begin(data->store);

    if (err != ERR_OK || block->gone || old != move->fragment.place)
        return err;
    err = log_append(data, &record, payload, checksums, &entry);
    if (err != ERR_OK)
        return err;
    statement = store__prepare(data->store, "UPDATE block SET place = ?2 WHERE id = ?1");
    if (statement == NULL)
        return ERR_NOMEM;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)block->id);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)entry_position(entry, 0));
    err = store__run(data->store, statement);
    if (err != ERR_OK)
        return err;
    block_move(data, block, entry);
    store__needs_position(data->store, block->place + block->length);
    segment_count(data, old, -(int64_t)block->length);
    gc_freed(data, old, block->length);
    segment_count(data, block->place, block->length);
    data->bytes_rewritten += block->length;
    return ERR_OK;
}

static void compact_done(struct data_job *base)
{
    struct compact_job *job = container_of(base, struct compact_job, job);
    struct data *data = base->data;
    enum err err = ERR_OK;
    size_t i;

    data->gc->busy = false;
    for (i = 0; i < job->count && err == ERR_OK && store__writable(data->store) == ERR_OK; i++) {
        if (job->moves[i].err != ERR_OK)
            data->gc->compacted = 0; /* a damaged block: the segment stays */
        else
            err = move_block(data, &job->moves[i]);
    }
    if (err == ERR_OK && store__writable(data->store) == ERR_OK)
        err = figures_flush(data);
    if (err != ERR_OK)
        err = store__fail(data->store, err, "a segment can't be compacted");
    compact_free(data, job);
    blocks_trim(data);
    gc_run(data);
}

/* Ids of some blocks in SEGMENT, which may have been moved there. */
static enum err find_blocks(struct data *data, uint32_t segment, uint64_t *ids, size_t *count_r)
{
    sqlite3_stmt *statement = store__prepare(
        data->store, "SELECT id FROM block WHERE id >= ?1 AND id < ?2 AND place IS NULL "
                     "UNION ALL SELECT id FROM block WHERE place >= ?1 AND place < ?2 LIMIT ?3");
    enum err err;
    bool row;

    *count_r = 0;
    if (statement == NULL)
        return ERR_NOMEM;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)log_position(segment, 0));
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)log_position(segment + 1, 0));
    sqlite3_bind_int(statement, 3, COMPACT_BLOCKS);
    while ((err = store__step(data->store, statement, &row)) == ERR_OK && row)
        ids[(*count_r)++] = (uint64_t)sqlite3_column_int64(statement, 0);
    store__release(data->store, statement);
    return err;
}

static enum err prepare_move(struct data *data, uint64_t id, struct move *move)
{
    struct piece whole = {.block = id, .length = 1, .kind = PIECE_DATA};
    struct block *block;
    bool copied = false;
    enum err err = block_get(data, id, &block);

    if (err != ERR_OK)
        return err;
    whole.length = block->length;
    move->buf = buf_new(block->length);
    err = move->buf == NULL ? ERR_NOMEM
                            : fragment_find(data, 0, &whole, move->buf->data, &move->fragment, &copied);
    if (err == ERR_OK && copied)
        err = ERR_BUSY; /* it is being moved already: what is in memory was just written */
    if (err == ERR_OK)
        fragment_hold(data, &move->fragment);
    else
        buf_unref(&move->buf);
    return err;
}

/* Moves the next blocks of the compaction under way. */
static void compact_on(struct data *data)
{
    struct gc *gc = data->gc;
    struct compact_job *job = calloc(1, sizeof *job);
    uint64_t ids[COMPACT_BLOCKS];
    size_t count, i;
    enum err err;

    if (job == NULL)
        return;
    err = find_blocks(data, gc->compacted, ids, &count);
    for (i = 0; i < count && err == ERR_OK; i++) {
        err = prepare_move(data, ids[i], &job->moves[job->count]);
        job->count += err == ERR_OK;
    }
    if (err != ERR_OK || job->count == 0 || log_room(data) < COMPACT_ROOM) {
        gc->compacted = 0;
        compact_free(data, job);
        return;
    }
    job->segment = gc->compacted;
    gc->compacted_ms = clock_monotonic_ms();
    job->job.work = compact_work;
    job->job.done = compact_done;
    job->job.drop = compact_drop;
    if (job_submit(data, &job->job) == ERR_OK)
        gc->busy = true;
    else
        compact_free(data, job);
}

/* ---- choosing ---- */

/* Begins with SEGMENT if it is its time; false: nothing was begun. */
static bool consider(struct data *data, struct segment *segment, uint64_t now)
{
    uint64_t reach = reach_of(data, segment);

    if (segment->freed_bytes >= TAIL_FREED_LEAST && segment->id >= position_segment(data->tail_durable))
        data->tail_wanted = true;
    if (now < segment->gc_not_before_ms || !is_ripe(data, segment) || has_rowless_in_reach(data, segment))
        return false;
    if (segment->live_bytes == 0 && reach > UINT32_MAX && segment->file_users == 0) {
        if (is_spare(data, segment, now))
            return false;
        unspare(data, segment);
        begin_unlink(data, segment);
        return data->gc->busy;
    }
    if (segment->freed_bytes < FREED_LEAST || reach < RECORD_PAGE)
        return false;
    if (now - segment->gc_last_ms < FREED_LAST_MS && now - segment->gc_first_ms < FREED_FIRST_MS &&
        may_wait(data, now))
        return false;
    data->gc->segment = segment->id;
    data->gc->at = 0;
    data->gc->kept_bytes = 0;
    data->gc->freed_at_start = segment->freed_bytes;
    sweep_on(data, segment);
    return data->gc->busy;
}

void gc_run(struct data *data)
{
    struct gc *gc = data->gc;
    struct list *link, *next;
    uint64_t now = clock_monotonic_ms();

    if (gc->busy || !data->ready || data->stopping || store__writable(data->store) != ERR_OK)
        return;
    if (gc->segment != 0) {
        struct segment *segment = segment_find(data, gc->segment);

        if (segment == NULL)
            gc->segment = 0;
        else if (is_ripe(data, segment) && !has_rowless_in_reach(data, segment))
            sweep_on(data, segment);
        return;
    }
    list_for_each_safe(link, next, &data->gc_segments)
    {
        if (consider(data, container_of(link, struct segment, gc_link), now))
            return;
    }
    if (gc->compacted != 0 && (is_idle(data) || now - gc->compacted_ms >= BUSY_PAUSE_MS))
        compact_on(data);
}

/* ---- opening and closing ---- */

enum err gc_open(struct data *data)
{
    data->gc = calloc(1, sizeof *data->gc);
    return data->gc == NULL ? ERR_NOMEM : ERR_OK;
}

void gc_begin(struct data *data)
{
    struct hashlink *link;
    enum err err = blocks_drop_unused(data);

    if (err != ERR_OK)
        log_warning("store: blocks that nothing refers to can't be freed: %s", err_text(err));
    for (link = hashtable_walk(&data->segments, NULL); link != NULL;
         link = hashtable_walk(&data->segments, link)) {
        struct segment *segment = container_of(link, struct segment, hashed);

        if (segment->freed_bytes >= FREED_LEAST || segment->live_bytes == 0)
            enlist(data, segment);
    }
}

void gc_close(struct data *data)
{
    free(data->gc);
    data->gc = NULL;
}
