/*
 * log.c - the data log: a queue of records, a worker that writes it out, syncing.
 *
 * The happy path: log_append (loop) gives a record its place and puts it on `pending`. A worker, of the log's
 * own job or of the sync job, takes what is pending, writes it in long runs and puts the entries on
 * `written`; the loop lets go of those when a job is back. A sync is a write-out and an fdatasync of every
 * segment file that was written since its last one.
 *
 * Whichever job comes first writes what is there; the other finds nothing. write_lock makes them take turns,
 * so that bytes reach a file in order; queue_lock is held for list operations only.
 *
 * When syncs are small, a worker writes zeros ahead of the log's end and syncs them: an fdatasync of blocks
 * that are there already is twice as fast as one that has to make the blocks and the size known as well.
 * Replay takes zeros for the end of the log. In the file of an earlier segment, used again, all that is
 * there.
 *
 * The first failure is final: what was not written stays in memory, where it can still be read, and nothing
 * is ever written behind it.
 */
#include "store/core_priv.h"

#include "dittofs/log.h"
#include <stdlib.h>
#include <string.h>

enum {
    COPY_BELOW = 16384,         /* payloads below this many bytes are copied into the entry */
    KICK_BYTES = 256 * 1024,    /* so much is worth a job */
    VECTOR_MOST = 256,          /* parts of one disk call */
    RUN_BYTES = 1 << 20,        /* one disk call's; the page cache takes longer for large ones */
    BACK_BYTES = 4 << 20,       /* written and not on its way to the disk: worth telling the system */
    JOB_BYTES = 8 << 20,        /* a job writes about so much, then memory is given back */
    STEP_LEAST = 256 * 1024,    /* reserved ahead of the end of a segment */
    STEP_MOST = 16 << 20,       /* ... and at most */
    ZERO_BYTES = 1 << 20,       /* written ahead in one go */
    ZERO_LEFT = 256 * 1024,     /* when less than this is left */
    ZERO_SYNC_MOST = 64 * 1024, /* after syncs of no more than this */
    END_BYTES = RECORD_HEADER_BYTES,
    SYNC_FILES = 16,             /* files collected in one go */
    SYNC_AFTER_MS = 1000,        /* unsynced bytes get this old when nobody waits */
    SPACE_FRESH_MS = 500,        /* the disk is asked for free space at most this often */
    SPACE_FRESH_BYTES = 4 << 20, /* ... unless so much was written since */
};

/* A segment file that is being written, or not yet synced. Workers', under write_lock. */
struct log_file {
    struct list link;
    uint32_t segment;
    struct disk_file *file;
    uint64_t allocated; /* reserved up to here; UINT64_MAX: the file system can't, or it is an old one */
    uint64_t end;       /* of the records in it */
    uint64_t back;      /* the system was told to write out what is before this */
    uint64_t zeroed;    /* there are blocks up to here, of zeros or an earlier segment; UINT64_MAX: no more */
    bool is_new;        /* its name is not synced */
    bool is_made;       /* ... and was made by this run */
    bool dirty;
    bool finished; /* nothing more will be written to it */
    bool is_held;  /* being synced by the job that wrote zeros: not to be closed */
};

static const uint8_t zeros[RECORD_ALIGNMENT];

/* ---- workers ---- */

static struct log_file *file_find(struct log *log, uint32_t segment)
{
    struct list *link;

    list_for_each(link, &log->files)
    {
        struct log_file *file = container_of(link, struct log_file, link);
        if (file->segment == segment)
            return file;
    }
    return NULL;
}

static enum err file_open(struct log *log, uint32_t segment, unsigned flags, struct log_file **file_r)
{
    struct log_file *file = calloc(1, sizeof *file);
    char name[20];
    enum err err;

    if (file == NULL)
        return ERR_NOMEM;
    segment_name(segment, name);
    file->segment = segment;
    err = disk_open(log->data->store->disk, name, flags, &file->file);
    if (err != ERR_OK) {
        free(file);
        return err;
    }
    list_push_back(&log->files, &file->link);
    *file_r = file;
    return ERR_OK;
}

/* Gives the file of an empty segment, if one was taken for that, the name of SEGMENT: its blocks and pages
 * need not be made. False: there is none. */
static bool reuse_file(struct log *log, uint32_t segment)
{
    struct disk *disk = log->data->store->disk;
    uint32_t reused = log->reused;
    char old[20], new[20];
    enum err ignored;

    log->reused = 0;
    if (reused == 0)
        return false;
    segment_name(reused, old);
    segment_name(segment, new);
    if (disk_rename(disk, old, new) == ERR_OK)
        return true;
    ignored = disk_unlink(disk, old);
    (void)ignored;
    return false;
}

/* The file of a segment that begins. */
static enum err file_make(struct log *log, uint32_t segment, struct log_file **file_r)
{
    bool is_reused = reuse_file(log, segment);
    unsigned flags = is_reused ? DISK_WRITE : DISK_WRITE | DISK_CREATE | DISK_EXCLUSIVE;
    enum err err = file_open(log, segment, flags, file_r);

    if (err == ERR_OK && is_reused)
        err = disk_size((*file_r)->file, &(*file_r)->zeroed);
    if (err == ERR_OK)
        (*file_r)->is_new = (*file_r)->is_made = true;
    return err;
}

static void file_close(struct log_file *file)
{
    list_remove(&file->link);
    disk_close(&file->file);
    free(file);
}

/* Reserves space for writes up to END, and some more. A disk that is nearly full gives what is needed. */
static enum err reserve_ahead(struct log *log, struct log_file *file, uint64_t end)
{
    uint64_t most = log->data->store->options.segment_bytes, upto = end + log->step_bytes;
    enum err err;

    if (end <= file->allocated)
        return ERR_OK;
    if (upto > most)
        upto = most;
    err = disk_allocate(file->file, file->allocated, upto - file->allocated);
    if (err == ERR_NOSPC && upto > end) {
        upto = end;
        err = disk_allocate(file->file, file->allocated, upto - file->allocated);
    }
    if (err == ERR_NOTSUPP) {
        upto = UINT64_MAX;
        err = ERR_OK;
    }
    if (err == ERR_OK)
        file->allocated = upto;
    return err;
}

static int entry_vector(const struct log_entry *entry, struct iovec *vector)
{
    uint32_t tail = entry->total - entry->head_length - entry->length;

    if (entry->buf == NULL) {
        vector[0] = (struct iovec){.iov_base = (void *)(uintptr_t)entry->head, .iov_len = entry->total};
        return 1;
    }
    vector[0] = (struct iovec){.iov_base = (void *)(uintptr_t)entry->head, .iov_len = entry->head_length};
    vector[1] = (struct iovec){.iov_base = (void *)(uintptr_t)entry->payload, .iov_len = entry->length};
    if (tail == 0)
        return 2;
    vector[2] = (struct iovec){.iov_base = (void *)(uintptr_t)zeros, .iov_len = tail};
    return 3;
}

/* Writes entries from the front of TAKEN that lie one behind the other, and moves them to DONE. */
static enum err write_run(struct log *log, struct list *taken, struct list *done)
{
    struct log_entry *first = list_first(taken, struct log_entry, link);
    uint64_t end = first->place;
    struct iovec vector[VECTOR_MOST];
    struct log_file *file = file_find(log, first->segment);
    struct list *link;
    uint32_t reuses = 0;
    bool ended = false;
    enum err err;
    int count = 0;

    if (file == NULL) {
        err = file_make(log, first->segment, &file);
        if (err != ERR_OK)
            return err;
    }
    for (link = taken->next;
         link != taken && !ended && count + 3 <= VECTOR_MOST && end - first->place < RUN_BYTES;
         link = link->next) {
        struct log_entry *entry = container_of(link, struct log_entry, link);

        count += entry_vector(entry, vector + count);
        end += entry->total;
        ended = entry->ends_segment;
        reuses = entry->reuses;
    }
    err = reserve_ahead(log, file, end);
    if (err != ERR_OK)
        return err;
    file->dirty = true;
    err = disk_pwritev(file->file, vector, count, first->place);
    if (err != ERR_OK)
        return err;
    if (ended) {
        /* What was reserved behind the last record goes back. Not more than a waste when that fails. */
        enum err ignored = disk_truncate(file->file, end);
        (void)ignored;
        file->finished = true;
        log->reused = reuses;
    }
    while (taken->next != link) {
        struct list *moved = taken->next;
        list_remove(moved);
        list_push_back(done, moved);
    }
    file->end = end;
    if (end - file->back >= BACK_BYTES) {
        disk_write_back(file->file, file->back, end - file->back);
        file->back = end;
    }
    log->written_position = log_position(first->segment, end);
    return ERR_OK;
}

/* Takes what is pending from the front, about MOST bytes. */
static void take_pending(struct log *log, size_t most, struct list *taken)
{
    size_t bytes = 0;

    pthread_mutex_lock(&log->queue_lock);
    while (!list_is_empty(&log->pending) && bytes < most) {
        struct log_entry *entry = list_first(&log->pending, struct log_entry, link);

        bytes += entry->total;
        list_remove(&entry->link);
        list_push_back(taken, &entry->link);
    }
    pthread_mutex_unlock(&log->queue_lock);
}

/* With write_lock held. */
static enum err write_pending(struct log *log, size_t most)
{
    struct list taken, done;
    enum err err = log->error;

    list_init(&taken);
    list_init(&done);
    if (err != ERR_OK)
        return err;
    take_pending(log, most, &taken);
    while (err == ERR_OK && !list_is_empty(&taken))
        err = write_run(log, &taken, &done);
    log->error = err;
    pthread_mutex_lock(&log->queue_lock);
    list_splice_back(&log->written, &done);
    list_splice_back(&taken, &log->pending);
    list_splice_back(&log->pending, &taken);
    pthread_mutex_unlock(&log->queue_lock);
    return err;
}

static void write_work(struct data_job *job)
{
    struct log *log = &job->data->log;
    enum err err;

    pthread_mutex_lock(&log->write_lock);
    err = write_pending(log, JOB_BYTES); /* kept in log->error */
    (void)err;
    pthread_mutex_unlock(&log->write_lock);
}

/* The file that records go to now; with write_lock held. */
static struct log_file *current_file(struct log *log)
{
    struct log_file *file = list_is_empty(&log->files) ? NULL : list_last(&log->files, struct log_file, link);

    return file == NULL || file->finished ? NULL : file;
}

/* Writes zeros ahead of the records in FILE; with write_lock held. */
static enum err write_zeros(struct log *log, struct log_file *file)
{
    static const uint8_t page[16 * RECORD_PAGE];
    struct iovec vector[ZERO_BYTES / sizeof page];
    uint64_t start = (file->end + RECORD_PAGE - 1) / RECORD_PAGE * RECORD_PAGE;
    uint64_t most = log->data->store->options.segment_bytes;
    enum err err;
    size_t i;

    if (file->zeroed > start)
        start = file->zeroed;
    if (start + ZERO_BYTES > most || log->error != ERR_OK) {
        file->zeroed = UINT64_MAX;
        return log->error;
    }
    err = reserve_ahead(log, file, start + ZERO_BYTES);
    if (err != ERR_OK) {
        file->zeroed = UINT64_MAX; /* a full disk: records have their own reserve */
        return err == ERR_NOSPC ? ERR_OK : err;
    }
    for (i = 0; i < ZERO_BYTES / sizeof page; i++)
        vector[i] = (struct iovec){.iov_base = (void *)(uintptr_t)page, .iov_len = sizeof page};
    err = disk_pwritev(file->file, vector, (int)i, start);
    file->zeroed = start + ZERO_BYTES;
    return err;
}

static void zero_work(struct data_job *job)
{
    struct log *log = &job->data->log;
    struct log_file *file;
    enum err err = ERR_OK;

    pthread_mutex_lock(&log->write_lock);
    file = current_file(log);
    if (file != NULL && file->zeroed != UINT64_MAX && file->zeroed < file->end + ZERO_LEFT) {
        err = write_zeros(log, file);
        if (err == ERR_OK && file->zeroed != UINT64_MAX) {
            file->is_held = true;
            pthread_mutex_unlock(&log->write_lock);
            err = disk_sync(file->file);
            pthread_mutex_lock(&log->write_lock);
            file->is_held = false;
            if (file->finished && !file->dirty)
                file_close(file);
        }
        /* A sync that failed may have been about records. */
        if (err != ERR_OK)
            log->error = err;
    }
    pthread_mutex_unlock(&log->write_lock);
}

/* Takes up to SYNC_FILES files that need a sync; with write_lock held. */
static int dirty_files(struct log *log, struct log_file **files, bool *new_r)
{
    struct list *link;
    int count = 0;

    list_for_each(link, &log->files)
    {
        struct log_file *file = container_of(link, struct log_file, link);
        if (count == SYNC_FILES)
            break;
        if (!file->dirty)
            continue;
        file->dirty = false;
        *new_r |= file->is_new;
        files[count++] = file;
    }
    return count;
}

/* Files that are synced and will not be written again need no handle. */
static void close_finished(struct log *log, struct log_file **files, int count)
{
    int i;

    for (i = 0; i < count; i++) {
        files[i]->is_new = files[i]->is_made = false;
        if (files[i]->finished && !files[i]->dirty && !files[i]->is_held)
            file_close(files[i]);
    }
    (void)log;
}

/* After a names' sync that failed the system may have forgotten the names that were made before it: a later
 * one would say that they are durable. Nothing durable refers to these files; a restart must not build on
 * them. With write_lock held. */
static void unlink_made(struct log *log)
{
    struct list *link;

    list_for_each(link, &log->files)
    {
        struct log_file *file = container_of(link, struct log_file, link);
        char name[20];
        enum err ignored;

        if (!file->is_made)
            continue;
        segment_name(file->segment, name);
        ignored = disk_unlink(log->data->store->disk, name);
        (void)ignored;
    }
}

enum err data_sync_work(struct store *store)
{
    struct log *log = &store->data->log;
    struct log_file *files[SYNC_FILES];
    enum err err;
    int count, i;

    pthread_mutex_lock(&log->write_lock);
    err = write_pending(log, SIZE_MAX);
    log->synced_position = log->written_position;
    while (err == ERR_OK) {
        bool is_new = false, names_failed = false;

        count = dirty_files(log, files, &is_new);
        if (count == 0)
            break;
        /* Others may go on writing meanwhile; files are closed here only. */
        pthread_mutex_unlock(&log->write_lock);
        for (i = 0; i < count && err == ERR_OK; i++)
            err = disk_sync(files[i]->file);
        if (err == ERR_OK && is_new) {
            err = disk_sync_names(store->disk);
            names_failed = err != ERR_OK;
        }
        pthread_mutex_lock(&log->write_lock);
        if (err == ERR_OK)
            close_finished(log, files, count);
        else
            log->error = err;
        if (names_failed)
            unlink_made(log);
        if (count < SYNC_FILES)
            break;
    }
    pthread_mutex_unlock(&log->write_lock);
    return err;
}

/* ---- the loop ---- */

static void entry_free(struct log_entry *entry)
{
    while (!list_is_empty(&entry->blocks))
        block_detach(container_of(entry->blocks.next, struct block, in_entry));
    list_remove(&entry->link);
    buf_unref(&entry->buf);
    free(entry);
}

/* Lets go of what is written. */
static void reap(struct data *data)
{
    struct log *log = &data->log;
    struct list written, *link, *next;

    list_init(&written);
    pthread_mutex_lock(&log->queue_lock);
    list_splice_back(&written, &log->written);
    pthread_mutex_unlock(&log->queue_lock);
    list_for_each_safe(link, next, &written)
    {
        struct log_entry *entry = container_of(link, struct log_entry, link);
        log->queued_bytes -= entry->total;
        entry_free(entry);
    }
    writes_resume(data);
}

static void write_done(struct data_job *job)
{
    struct data *data = job->data;

    data->log.writing = false;
    reap(data);
    if (data->log.error != ERR_OK && !data->log.failed) {
        enum err err = store__fail(data->store, data->log.error, "the data log can't be written");
        (void)err;
        return;
    }
    log_kick(data);
}

static void write_drop(struct data_job *job)
{
    job->data->log.writing = false;
}

void log_kick(struct data *data)
{
    struct log *log = &data->log;
    size_t enough = data->store->options.write_queue_bytes / 4;

    if (enough > KICK_BYTES)
        enough = KICK_BYTES;
    if (log->writing || log->failed || log->fresh_bytes == 0 ||
        (log->fresh_bytes < enough && list_is_empty(&data->waiting_writes)))
        return;
    log->job.work = write_work;
    log->job.done = write_done;
    log->job.drop = write_drop;
    if (job_submit(data, &log->job) != ERR_OK)
        return; /* the next sync writes it */
    log->writing = true;
    log->fresh_bytes -= log->fresh_bytes < JOB_BYTES ? log->fresh_bytes : JOB_BYTES;
}

static void push(struct data *data, struct log_entry *entry)
{
    struct log *log = &data->log;

    if (log->durable == log_end(log))
        log->oldest_ms = clock_monotonic_ms();
    log->place = entry->place + entry->total;
    log->bytes += entry->total;
    log->queued_bytes += entry->total;
    log->fresh_bytes += entry->total;
    log->space.appended += entry->total;
    pthread_mutex_lock(&log->queue_lock);
    list_push_back(&log->pending, &entry->link);
    pthread_mutex_unlock(&log->queue_lock);
}

/* The record as an entry with room for COPIED bytes of payload. */
static struct log_entry *entry_new(const struct record *record, const uint32_t *checksums, uint32_t copied)
{
    uint32_t total = record_total(record);
    struct log_entry *entry =
        malloc(sizeof *entry + record->head_length + (copied > 0 ? total - record->head_length : 0));

    if (entry == NULL)
        return NULL;
    *entry = (struct log_entry){
        .segment = record->segment,
        .place = record->place,
        .head_length = record->head_length,
        .length = record->length,
        .total = total,
    };
    list_init(&entry->link);
    list_init(&entry->blocks);
    record_encode(record, checksums, entry->head);
    return entry;
}

/* Says that the log goes on in the next segment. There is always room for it. */
static enum err begin_next_segment(struct data *data)
{
    struct log *log = &data->log;
    struct record record = {.key = log->key,
                            .type = RECORD_END,
                            .segment = log->segment,
                            .place = log->place,
                            .argument = log->segment + 1};
    struct log_entry *entry;

    record_lay_out(&record);
    entry = entry_new(&record, NULL, 0);
    if (entry == NULL)
        return ERR_NOMEM;
    entry->ends_segment = true;
    entry->reuses = gc_take_spare(data);
    push(data, entry);
    log->segment++;
    log->place = 0;
    return ERR_OK;
}

static enum err place_record(struct data *data, struct record *record)
{
    struct log *log = &data->log;
    enum err err;

    record->key = log->key;
    record->segment = log->segment;
    record->place = log->place;
    record_lay_out(record);
    if ((uint64_t)record->place + record_total(record) + END_BYTES <= data->store->options.segment_bytes)
        return ERR_OK;
    if (log->segment == INT32_MAX)
        return ERR_LIMIT;
    err = begin_next_segment(data);
    if (err != ERR_OK)
        return err;
    record->segment = log->segment;
    record->place = log->place;
    record_lay_out(record);
    return ERR_OK;
}

enum err log_append(struct data *data, struct record *record, struct bufpart payload, uint32_t *checksums,
                    struct log_entry **entry_r)
{
    struct log_entry *entry;
    bool copied = payload.length < COPY_BELOW;
    enum err err;

    record->length = (uint32_t)payload.length;
    err = place_record(data, record);
    if (err != ERR_OK)
        return err;
    record_checksums(record->type == RECORD_WRITE ? record->offset : 0, payload.data, record->length,
                     checksums);
    entry = entry_new(record, checksums, copied ? record->length : 0);
    if (entry == NULL)
        return ERR_NOMEM;
    if (copied) {
        uint8_t *to = entry->head + record->head_length;

        if (record->length > 0)
            memcpy(to, payload.data, record->length);
        memset(to + record->length, 0, entry->total - record->head_length - record->length);
        entry->payload = to;
    } else if (payload.buf != NULL) {
        entry->buf = buf_ref(payload.buf);
        entry->payload = payload.data;
    } else {
        entry->buf = buf_new(payload.length);
        if (entry->buf == NULL) {
            free(entry);
            return ERR_NOMEM;
        }
        memcpy(entry->buf->data, payload.data, payload.length);
        entry->payload = entry->buf->data;
    }
    push(data, entry);
    *entry_r = entry;
    log_kick(data);
    return ERR_OK;
}

uint64_t log_room(struct data *data)
{
    struct log_space *space = &data->log.space;
    uint64_t now = clock_monotonic_ms();
    uint64_t kept = data->store->options.reserve_bytes + data->unwritten_bytes;

    if (space->asked_ms == 0 || now - space->asked_ms > SPACE_FRESH_MS ||
        space->appended - space->queued > SPACE_FRESH_BYTES ||
        space->free_bytes < kept + space->appended + STEP_MOST) {
        struct disk_space answer;

        if (disk_space(data->store->disk, &answer) == ERR_OK) {
            space->free_bytes = answer.free_bytes;
            space->total_bytes = answer.total_bytes;
            space->queued = space->appended = data->log.queued_bytes;
            space->asked_ms = now;
        }
    }
    kept += space->appended;
    return space->free_bytes > kept ? space->free_bytes - kept : 0;
}

/* ---- syncing ---- */

uint64_t data_durable_position(const struct store *store)
{
    return store->data->log.durable;
}

uint64_t data_end_position(const struct store *store)
{
    return log_end(&store->data->log);
}

bool data_sync_wanted(const struct store *store)
{
    const struct log *log = &store->data->log;

    return !log->failed && log->durable != log_end(log) &&
           clock_monotonic_ms() - log->oldest_ms >= SYNC_AFTER_MS;
}

bool data_sync_begin(struct store *store)
{
    struct log *log = &store->data->log;

    if (log->failed || log->durable == log_end(log))
        return false;
    log->fresh_bytes = 0;
    log->sync_began_ms = clock_monotonic_ms();
    return true;
}

static void zero_done(struct data_job *job)
{
    struct data *data = job->data;

    data->log.zeroing = false;
    if (data->log.error != ERR_OK && !data->log.failed) {
        enum err err = store__fail(data->store, data->log.error, "the data log can't be written ahead");
        (void)err;
    }
}

static void zero_drop(struct data_job *job)
{
    job->data->log.zeroing = false;
}

/* Writes zeros ahead if the last sync, of what lay behind position BEFORE, was a small one. */
static void zero_ahead(struct data *data, uint64_t before)
{
    struct log *log = &data->log;

    if (log->zeroing || data->stopping || log->durable - before > ZERO_SYNC_MOST ||
        (position_segment(log->zero_asked) == log->segment &&
         position_place(log->zero_asked) > log->place + ZERO_LEFT))
        return;
    log->zero_job = (struct data_job){.work = zero_work, .done = zero_done, .drop = zero_drop};
    list_init(&log->zero_job.link);
    if (job_submit(data, &log->zero_job) != ERR_OK)
        return;
    log->zeroing = true;
    log->zero_asked = log_position(log->segment, (uint64_t)log->place + ZERO_BYTES);
}

void data_sync_end(struct store *store, enum err err)
{
    struct data *data = store->data;
    struct log *log = &data->log;
    uint64_t before;

    reap(data);
    if (err != ERR_OK) {
        err = store__fail(store, err, "the data log can't be synced");
        return;
    }
    before = log->durable;
    if (log->synced_position > log->durable)
        log->durable = log->synced_position;
    zero_ahead(data, before);
    log->oldest_ms = log->sync_began_ms;
    log_kick(data);
}

enum err log_adopt(struct data *data, uint32_t segment)
{
    struct log_file *file;
    uint64_t size;
    enum err err = file_open(&data->log, segment, DISK_READ | DISK_WRITE, &file);

    if (err != ERR_OK)
        return err;
    /* What a run had reserved behind its last record goes back. */
    if (disk_size(file->file, &size) == ERR_OK) {
        enum err ignored = disk_truncate(file->file, size);
        (void)ignored;
    }
    file->allocated = UINT64_MAX;
    file->is_new = true;
    file->dirty = true;
    file->finished = true;
    data->log.durable = 0;
    return ERR_OK;
}

enum err log_open(struct data *data, uint32_t segment)
{
    struct log *log = &data->log;
    uint64_t step = data->store->options.segment_bytes / 16;

    log->data = data;
    log->segment = log->first_segment = segment;
    log->durable = log->written_position = log->synced_position = log_position(segment, 0);
    log->step_bytes = (uint32_t)(step < STEP_LEAST ? STEP_LEAST : step > STEP_MOST ? STEP_MOST : step);
    list_init(&log->pending);
    list_init(&log->written);
    list_init(&log->files);
    list_init(&log->job.link);
    if (pthread_mutex_init(&log->queue_lock, NULL) != 0 || pthread_mutex_init(&log->write_lock, NULL) != 0)
        return ERR_NOMEM;
    return ERR_OK;
}

void log_close(struct data *data)
{
    struct log *log = &data->log;

    while (!list_is_empty(&log->pending))
        entry_free(list_first(&log->pending, struct log_entry, link));
    while (!list_is_empty(&log->written))
        entry_free(list_first(&log->written, struct log_entry, link));
    while (!list_is_empty(&log->files))
        file_close(list_first(&log->files, struct log_file, link));
    pthread_mutex_destroy(&log->queue_lock);
    pthread_mutex_destroy(&log->write_lock);
}

void data_store_failed(struct store *store)
{
    if (store->data == NULL)
        return;
    store->data->log.failed = true;
    writes_fail(store->data, store->health);
}
