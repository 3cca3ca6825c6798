/*
 * data_read.c - store_read and store_seek.
 *
 * What is in memory is copied and what is in the page cache is read at once, on the loop. From the first
 * piece that would wait for the disk on, pieces that lie on the disk go to one job. A caller that wants to
 * know whether the disk is waited for has all of them go to the job, which reads what is in the page cache,
 * comes back to tell and goes again for the rest. Every byte that comes from a file is checked against the
 * checksum of its chunk; a chunk that is wanted in part is read whole.
 *
 * The job holds the blocks and the files it reads, nothing of the inode: their bytes are not given back
 * before jobs that began earlier are done (gc.c).
 */
#include "store/fragment_priv.h"

#include "dittofs/log.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Jobs under way, of whatever kind: workers that are this busy are not asked for what the loop can do. */
enum { JOBS_MANY = 4 };

struct read_job {
    struct data_job job;
    struct store_read *read;
    uint64_t ino;
    bool wait; /* for the disk */
    enum err err;
    size_t next; /* fragment to be read */
    size_t count, capacity;
    struct fragment fragments[];
};

/* ---- reading and checking ---- */

static enum err read_bytes(const struct fragment *fragment, uint32_t from, void *to, uint32_t length,
                           bool wait)
{
    uint64_t offset = (uint64_t)position_place(fragment->place) + from;
    size_t got = 0;
    enum err err = wait ? disk_pread(fragment->file, to, length, offset, &got)
                        : disk_pread_nowait(fragment->file, to, length, offset, &got);

    if (err == ERR_OK && got < length)
        err = wait ? ERR_CORRUPT : ERR_AGAIN;
    return err;
}

enum err fragment_read(const struct fragment *fragment, bool wait)
{
    const struct block *block = fragment->block;
    uint32_t skip = fragment->skip, end = fragment->skip + fragment->length;
    uint8_t scratch[RECORD_CHUNK], *to = fragment->to;
    enum err err = ERR_OK;

    while (skip < end && err == ERR_OK) {
        uint32_t chunk = skip / RECORD_CHUNK, start = chunk * RECORD_CHUNK, length;
        uint32_t whole = end == block->length ? end : end / RECORD_CHUNK * RECORD_CHUNK;

        if (skip == start && whole > start) {
            length = whole - start;
            err = read_bytes(fragment, start, to, length, wait);
            if (err == ERR_OK && !block_verify(block, chunk, to, length))
                err = ERR_CORRUPT;
        } else {
            uint32_t chunk_length =
                block->length - start < RECORD_CHUNK ? block->length - start : RECORD_CHUNK;

            length = start + chunk_length < end ? start + chunk_length - skip : end - skip;
            err = read_bytes(fragment, start, scratch, chunk_length, wait);
            if (err == ERR_OK && !block_verify(block, chunk, scratch, chunk_length))
                err = ERR_CORRUPT;
            if (err == ERR_OK)
                memcpy(to, scratch + (skip - start), length);
        }
        skip += length;
        to += length;
    }
    return err;
}

void fragment_report(uint64_t ino, const struct fragment *fragment, enum err err)
{
    log_error("store: inode %" PRIu64 ": block %" PRIx64 " at %" PRIx64 " can't be read: %s", ino,
              fragment->block->id, fragment->place, err_text(err));
}

enum err fragment_find(struct data *data, uint64_t ino, const struct piece *piece, uint8_t *to,
                       struct fragment *fragment, bool *copied_r)
{
    enum err err;

    *copied_r = false;
    *fragment = (struct fragment){.skip = piece->skip, .length = piece->length, .to = to};
    err = block_get(data, piece->block, &fragment->block);
    if (err != ERR_OK)
        return err;
    if (piece->skip + piece->length > fragment->block->length) {
        log_error("store: inode %" PRIu64 ": block %" PRIx64 " is shorter than its piece", ino, piece->block);
        return ERR_CORRUPT;
    }
    if (fragment->block->entry != NULL) {
        memcpy(to, fragment->block->bytes + piece->skip, piece->length);
        *copied_r = true;
        return ERR_OK;
    }
    fragment->place = fragment->block->place;
    fragment->segment = segment_of(data, position_segment(fragment->place));
    if (fragment->segment == NULL)
        return ERR_NOMEM;
    return segment_file(data, fragment->segment, true, &fragment->file);
}

void fragment_hold(struct data *data, const struct fragment *fragment)
{
    block_hold(data, fragment->block);
    segment_hold_file(data, fragment->segment);
}

void fragment_let_go(struct data *data, const struct fragment *fragment)
{
    segment_release_file(data, fragment->segment);
    block_let_go(data, fragment->block);
}

/* ---- the job ---- */

static void let_go(struct data *data, struct read_job *job)
{
    size_t i;

    for (i = 0; i < job->count; i++)
        fragment_let_go(data, &job->fragments[i]);
}

static void read_work(struct data_job *base)
{
    struct read_job *job = container_of(base, struct read_job, job);

    for (job->err = ERR_OK; job->next < job->count; job->next++) {
        job->err = fragment_read(&job->fragments[job->next], job->wait);
        if (job->err == ERR_AGAIN)
            return;
        if (job->err != ERR_OK) {
            fragment_report(job->ino, &job->fragments[job->next], job->err);
            return;
        }
    }
}

static void read_done(struct data_job *base)
{
    struct read_job *job = container_of(base, struct read_job, job);
    struct store_read *read = job->read;
    enum err err;

    if (job->err == ERR_AGAIN) {
        job->wait = true;
        if (job_submit_again(base) == ERR_OK) {
            read->waits_for_disk(read);
            return;
        }
        read_work(base);
    }
    err = job->err;
    let_go(base->data, job);
    blocks_trim(base->data);
    free(job);
    read->job = NULL;
    read->done(read, err);
}

static void read_drop(struct data_job *base)
{
    struct read_job *job = container_of(base, struct read_job, job);

    let_go(base->data, job);
    free(job);
}

static enum err add_fragment(struct data *data, struct read_job **job_p, const struct fragment *fragment)
{
    struct read_job *job = *job_p;

    if (job == NULL || job->count == job->capacity) {
        size_t capacity = job == NULL ? 16 : job->capacity * 2;

        job = realloc(job, sizeof *job + capacity * sizeof job->fragments[0]);
        if (job == NULL)
            return ERR_NOMEM;
        if (*job_p == NULL)
            *job = (struct read_job){.err = ERR_OK};
        job->capacity = capacity;
        *job_p = job;
    }
    job->fragments[job->count++] = *fragment;
    fragment_hold(data, fragment);
    return ERR_OK;
}

/* ---- store_read ---- */

/* PIECE of a block, wanted by READ at TO: at once, or added to the job. */
static enum err read_piece(struct data *data, const struct store_read *read, const struct piece *piece,
                           uint8_t *to, struct read_job **job)
{
    bool by_worker = read->waits_for_disk != NULL && data->job_count < JOBS_MANY;
    uint64_t ino = read->inode->attr.ino;
    struct fragment fragment;
    bool copied;
    enum err err = fragment_find(data, ino, piece, to, &fragment, &copied);

    if (err != ERR_OK || copied)
        return err;
    err = *job != NULL || by_worker ? ERR_AGAIN : fragment_read(&fragment, false);
    if (err == ERR_AGAIN)
        return add_fragment(data, job, &fragment);
    if (err != ERR_OK)
        fragment_report(ino, &fragment, err);
    return err;
}

/* The first LENGTH bytes that READ wants. */
static enum err read_range(struct data_inode *file, const struct store_read *read, uint32_t length,
                           struct read_job **job)
{
    struct data *data = file->inode->store->data;
    uint64_t offset = read->offset;
    uint8_t *to = read->buffer;
    enum piece_kind kind;
    struct node *node = NULL;
    bool found = false;
    enum err err;

    while (length > 0) {
        uint64_t rest = LEAF_BYTES - offset % LEAF_BYTES;
        struct piece piece = {.length = (uint32_t)rest};

        if (!found || offset % LEAF_BYTES == 0) {
            err = file_leaf(file, offset, false, &node, &kind);
            if (err != ERR_OK)
                return err;
            found = true;
        }
        if (node != NULL)
            leaf_at(&node->leaf, (uint32_t)(offset % LEAF_BYTES), &piece);
        if (piece.length > length)
            piece.length = length;
        if (node == NULL || piece.kind != PIECE_DATA) {
            memset(to, 0, piece.length);
        } else {
            err = read_piece(data, read, &piece, to, job);
            if (err != ERR_OK)
                return err;
        }
        offset += piece.length;
        to += piece.length;
        length -= piece.length;
    }
    return ERR_OK;
}

static enum err begin_job(struct data *data, struct store_read *read, struct read_job *job)
{
    enum err err;

    job->read = read;
    job->ino = read->inode->attr.ino;
    job->wait = read->waits_for_disk == NULL;
    job->job.work = read_work;
    job->job.done = read_done;
    job->job.drop = read_drop;
    err = job_submit(data, &job->job);
    if (err == ERR_OK) {
        read->job = job;
        data->reads_worker++;
        return ERR_WAIT;
    }
    /* No worker: slow, but right. */
    job->wait = true;
    read_work(&job->job);
    err = job->err;
    let_go(data, job);
    free(job);
    return err;
}

enum err store_read(struct store_read *read)
{
    struct inode *inode = read->inode;
    struct data *data = inode->store->data;
    struct read_job *job = NULL;
    struct data_inode *file;
    uint32_t length = read->length;
    enum err err;

    read->job = NULL;
    list_init(&read->link);
    if (inode->attr.type != INODE_FILE && inode->attr.type != INODE_STREAM)
        return inode->attr.type == INODE_DIRECTORY ? ERR_ISDIR : ERR_INVAL;
    if (read->offset >= inode->attr.size)
        length = 0;
    else if (inode->attr.size - read->offset < length)
        length = (uint32_t)(inode->attr.size - read->offset);
    read->got = length;
    read->eof = length < read->length || read->offset + length >= inode->attr.size;
    if (length == 0)
        return ERR_OK;
    data->foreground_ms = clock_monotonic_ms();
    data->foreground_bytes += length;
    err = file_of(inode, &file);
    if (err == ERR_OK)
        err = read_range(file, read, length, &job);
    if (err == ERR_OK && job != NULL)
        err = begin_job(data, read, job);
    else if (job != NULL) {
        let_go(data, job);
        free(job);
    }
    if (err == ERR_OK)
        data->reads_inline++;
    leaves_trim(data);
    blocks_trim(data);
    return err;
}

/* ---- store_seek ---- */

enum err store_seek(struct inode *inode, uint64_t offset, enum store_seek what, uint64_t *offset_r)
{
    struct data_inode *file;
    enum err err;

    if (inode->attr.type != INODE_FILE && inode->attr.type != INODE_STREAM)
        return inode->attr.type == INODE_DIRECTORY ? ERR_ISDIR : ERR_INVAL;
    if (offset >= inode->attr.size)
        return ERR_NXIO;
    err = file_of(inode, &file);
    while (err == ERR_OK && offset < inode->attr.size) {
        enum piece_kind kind;
        uint64_t length;

        err = file_extent(file, offset, &kind, &length);
        if (err == ERR_OK && (kind == PIECE_DATA) == (what == STORE_SEEK_DATA)) {
            *offset_r = offset;
            break;
        }
        offset += length;
    }
    leaves_trim(inode->store->data);
    if (err != ERR_OK || offset < inode->attr.size)
        return err;
    if (what == STORE_SEEK_DATA)
        return ERR_NXIO;
    *offset_r = inode->attr.size;
    return ERR_OK;
}
