/*
 * settle.c - hashing, sharing, rewriting.
 *
 * What is written has to settle: a slot waits until nobody has written to it for settle_ms, then its pieces
 * are gathered and hashed, and what is scattered is appended to the log in one piece (a RECORD_BLOCK). That
 * happens when clients leave time for it, because hashing takes as long as all the rest of a large write.
 * What waits is bounded, in bytes (hash_backlog_bytes, and a part of the room that is left): above that,
 * blocks that a write fills whole are hashed at once, while their bytes are in memory, and what waits is
 * hashed without waiting for a quiet moment.
 *
 * When a hash is known, the leaf is made to refer to the block that has it, and the bytes just written are
 * freed like any that were overwritten. The block that is shared may itself not be durable yet: its row is
 * written by whichever leaf that refers to it is flushed first, and that commit waits for its bytes.
 *
 * Nothing is held while a job runs but the bytes: a result counts only if the leaf still has the same pieces.
 * What waits is a list in memory. A slot that is forgotten (a full list) stays as it is: not shared, and
 * right. A restart forgets the slots, but not the inodes that they are of (unsettled.c): those are looked
 * through again, a leaf at a time.
 */
#include "store/fragment_priv.h"
#include "store/unsettled_priv.h"

#include "dittofs/log.h"
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum {
    ITEMS_MOST = 8,   /* blocks of one job */
    FRESH_MOST = 128, /* blocks that wait to be hashed at once: they keep their buffers */
    WAITING_MOST = 65536,
    WAITING_CROWDED = 49152, /* so many have two jobs hash what was just written */
    ROOM_SHARE = 4,          /* of the room that is left, what waits may take up one in so many bytes */
    BUSY_PAUSE_MS = 1000,    /* between two jobs while clients write or read much */
    CALM_BYTES_A_MS = 16384, /* what they write and read is little below that... */
    CALM_LOOK_MS = 200,      /* ... over about so long */
    LOOK_AT_MOST = 64,       /* waiting slots looked at in one go */
    HASH_LEAST = 4096,       /* shorter blocks are not worth a hash */
    GROWING_PIECES = 16,     /* a block at the end of a file with fewer pieces waits longer: it may grow on */
    GROWING_FACTOR = 8,
    CROWDED_PIECES = 1024, /* a slot with more is rewritten without waiting */
    SLOT_WAITS = 1,        /* slot.flags */
    EXTENTS_AT_MOST = 256, /* looked at in one go */
};

struct waiting {
    struct list link;
    uint64_t ino, offset; /* of the slot */
};

/* A run of pieces without a hole between them, in one slot. */
struct item {
    uint64_t ino, offset; /* in the file */
    uint32_t length;
    size_t piece_count, fragment_count;
    struct piece *pieces;       /* as they were */
    struct fragment *fragments; /* to be read */
    struct buf *buf;
    const uint8_t *bytes;
    uint8_t hash[HASH_BYTES];
    enum err err;
};

struct settle_job {
    struct data_job job;
    struct list link; /* in settle->fresh while it is being filled */
    bool is_fresh;
    size_t count;
    struct item items[ITEMS_MOST];
};

struct settle {
    struct unsettled unsettled; /* holds: one for each of waiting, one for each item */
    uint64_t resume_offset;     /* how far the inode that is looked through was */
    struct list waiting;
    size_t waiting_count;
    struct list fresh; /* struct settle_job that are filled, the last maybe not whole */
    size_t fresh_count;
    unsigned fresh_jobs, gather_jobs;
    uint64_t gathered_ms; /* when the last one began */
    bool is_calm;         /* clients wrote and read little up to looked_ms */
    uint64_t looked_ms, looked_bytes;
};

/* ---- items ---- */

static void item_free(struct data *data, struct item *item)
{
    size_t i;

    for (i = 0; i < item->fragment_count; i++)
        fragment_let_go(data, &item->fragments[i]);
    free(item->fragments);
    free(item->pieces);
    buf_unref(&item->buf);
}

static void job_free(struct data *data, struct settle_job *job)
{
    size_t i;

    for (i = 0; i < job->count; i++) {
        unsettled_let_go(&data->settle->unsettled, job->items[i].ino);
        item_free(data, &job->items[i]);
    }
    free(job);
}

static void settle_work(struct data_job *base)
{
    struct settle_job *job = container_of(base, struct settle_job, job);
    size_t i, k;

    for (i = 0; i < job->count; i++) {
        struct item *item = &job->items[i];

        for (k = 0; k < item->fragment_count && item->err == ERR_OK; k++) {
            item->err = fragment_read(&item->fragments[k], true);
            if (item->err != ERR_OK)
                fragment_report(item->ino, &item->fragments[k], item->err);
        }
        if (item->err == ERR_OK &&
            EVP_Digest(item->bytes, item->length, item->hash, NULL, EVP_sha256(), NULL) != 1)
            item->err = ERR_NOMEM;
    }
}

static void settle_drop(struct data_job *base)
{
    job_free(base->data, container_of(base, struct settle_job, job));
}

/* ---- known hashes ---- */

static uint64_t hash_key(const uint8_t *hash)
{
    uint64_t key;

    memcpy(&key, hash, sizeof key);
    return key;
}

/* The block with HASH, or ERR_NOENT. */
static enum err find_known(struct data *data, const uint8_t *hash, struct block **block_r)
{
    struct hashlink *link;
    sqlite3_stmt *statement;
    uint64_t id = 0;
    enum err err;
    bool row;

    for (link = hashtable_find(&data->fresh_hashes, hash_key(hash)); link != NULL;
         link = hashtable_find_next(link)) {
        struct block *block = container_of(link, struct block, by_hash);

        if (memcmp(block->hash, hash, HASH_BYTES) == 0) {
            *block_r = block;
            return ERR_OK;
        }
    }
    statement = store__prepare(data->store, "SELECT id FROM block WHERE hash = ?1");
    if (statement == NULL)
        return ERR_NOMEM;
    sqlite3_bind_blob(statement, 1, hash, HASH_BYTES, SQLITE_STATIC);
    err = store__step(data->store, statement, &row);
    if (err == ERR_OK && row)
        id = (uint64_t)sqlite3_column_int64(statement, 0);
    store__release(data->store, statement);
    if (err == ERR_OK)
        err = row ? block_get(data, id, block_r) : ERR_NOENT;
    return err;
}

/* BLOCK, which nobody else has the hash of, gets it. */
static enum err set_hash(struct data *data, struct block *block, const uint8_t *hash)
{
    sqlite3_stmt *statement;
    enum err err;

    data->blocks_hashed++;
    if (!block->has_row) {
        block->hash = malloc(HASH_BYTES);
        if (block->hash == NULL)
            return ERR_NOMEM;
        memcpy(block->hash, hash, HASH_BYTES);
        if (!hashtable_insert(&data->fresh_hashes, &block->by_hash, hash_key(hash))) {
            free(block->hash);
            block->hash = NULL;
            return ERR_NOMEM;
        }
        block->is_hashed = true;
        return ERR_OK;
    }
    err = store__begin(data->store);
    if (err != ERR_OK)
        return err;
    statement = store__prepare(data->store, "UPDATE block SET hash = ?2 WHERE id = ?1");
    if (statement == NULL)
        return ERR_NOMEM;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)block->id);
    sqlite3_bind_blob(statement, 2, hash, HASH_BYTES, SQLITE_STATIC);
    err = store__run(data->store, statement);
    if (err == ERR_OK)
        block->is_hashed = true;
    return err;
}

/* ---- results ---- */

/* Has the leaf the same pieces as when ITEM was made? */
static bool is_unchanged(const struct node *node, const struct item *item)
{
    uint32_t at = (uint32_t)(item->offset % LEAF_BYTES);
    size_t i;

    for (i = 0; i < item->piece_count; i++) {
        const struct piece *piece = &item->pieces[i];
        struct piece now;

        leaf_at(&node->leaf, at, &now);
        if (now.kind != PIECE_DATA || now.block != piece->block || now.skip != piece->skip ||
            now.length != piece->length)
            return false;
        at += piece->length;
    }
    return true;
}

static enum err refer_to(struct data *data, struct node *node, const struct item *item, struct block *block)
{
    struct piece with = {.kind = PIECE_DATA, .block = block->id};

    block_use(data, block);
    return node_replace(node, (uint32_t)(item->offset % LEAF_BYTES), item->length, &with);
}

/* Appends the run as one block. */
static enum err rewrite(struct data *data, struct data_inode *file, struct node *node,
                        const struct item *item)
{
    struct record record = {.type = RECORD_BLOCK, .ino = item->ino, .offset = item->offset};
    struct piece with = {.kind = PIECE_DATA};
    struct bufpart payload = {.buf = item->buf, .data = item->bytes, .length = item->length};
    uint32_t checksums[RECORD_CHECKSUMS_MOST];
    struct log_entry *entry;
    struct block *block;
    enum err err;

    if (log_room(data) < 2 * STORE_BLOCK_SIZE)
        return ERR_OK; /* scattered is better than full */
    err = log_append(data, &record, payload, checksums, &entry);
    if (err != ERR_OK)
        return err;
    with.block = entry_position(entry, 0);
    err = block_new(data, with.block, item->length, checksums, entry, 0, &block);
    if (err == ERR_OK && item->length >= HASH_LEAST)
        err = set_hash(data, block, item->hash);
    if (err == ERR_OK)
        err = node_replace(node, (uint32_t)(item->offset % LEAF_BYTES), item->length, &with);
    data->bytes_rewritten += item->length;
    file_changed(file, log_position(record.segment, record.place));
    return err;
}

static enum err apply_to(struct data *data, struct data_inode *file, struct node *node,
                         const struct item *item)
{
    struct block *known, *own;
    enum err err = find_known(data, item->hash, &known);

    if (err == ERR_OK && known->length == item->length) {
        if (item->piece_count == 1 && item->pieces[0].block == known->id)
            return ERR_OK;
        data->blocks_shared++;
        gc_room_wanted(data, item->length);
        err = refer_to(data, node, item, known);
        file_changed(file, 0);
        return err;
    }
    if (err != ERR_NOENT)
        return err;
    if (item->piece_count > 1)
        return rewrite(data, file, node, item);
    err = block_get(data, item->pieces[0].block, &own);
    return err == ERR_OK && !own->is_hashed ? set_hash(data, own, item->hash) : err;
}

/* The leaf that holds OFFSET of inode INO; *NODE_R NULL when there is none any more. The inode is referenced.
 */
static enum err find_leaf(struct data *data, uint64_t ino, uint64_t offset, struct inode **inode_r,
                          struct node **node_r)
{
    struct data_inode *file;
    enum piece_kind kind;
    enum err err = inode_get(data->store, ino, 0, inode_r);

    *node_r = NULL;
    if (err != ERR_OK) {
        *inode_r = NULL;
        return err == ERR_STALE ? ERR_OK : err;
    }
    err = file_of(*inode_r, &file);
    if (err == ERR_OK)
        err = file_leaf(file, offset, false, node_r, &kind);
    return err;
}

static void apply(struct data *data, const struct item *item)
{
    struct inode *inode;
    struct node *node;
    enum err err;

    if (item->err != ERR_OK)
        return; /* reported where it was read */
    err = find_leaf(data, item->ino, item->offset, &inode, &node);
    if (err == ERR_OK && node != NULL && is_unchanged(node, item)) {
        err = apply_to(data, inode->data, node, item);
        if (err != ERR_OK)
            err = store__fail(data->store, err, "a block's hash can't be recorded");
    }
    inode_unref(&inode);
}

static void settle_done(struct data_job *base)
{
    struct settle_job *job = container_of(base, struct settle_job, job);
    struct data *data = base->data;
    size_t i;

    if (job->is_fresh)
        data->settle->fresh_jobs--;
    else
        data->settle->gather_jobs--;
    for (i = 0; i < job->count && store__writable(data->store) == ERR_OK; i++)
        apply(data, &job->items[i]);
    job_free(data, job);
    leaves_trim(data);
    blocks_trim(data);
    settle_run(data);
}

static void submit(struct data *data, struct settle_job *job)
{
    job->job.work = settle_work;
    job->job.done = settle_done;
    job->job.drop = settle_drop;
    if (job_submit(data, &job->job) != ERR_OK) {
        job_free(data, job); /* not shared, and right */
        return;
    }
    if (job->is_fresh)
        data->settle->fresh_jobs++;
    else
        data->settle->gather_jobs++;
}

/* ---- when ---- */

/* Is as much waiting as may? */
static bool is_urgent(struct data *data)
{
    uint64_t bytes = (uint64_t)data->settle->waiting_count * STORE_BLOCK_SIZE;

    return bytes >= data->store->options.hash_backlog_bytes || bytes > log_room(data) / ROOM_SHARE;
}

/* Do clients leave time for hashing? */
static bool has_time(struct data *data)
{
    struct settle *settle = data->settle;
    uint64_t now = clock_monotonic_ms(), passed = now - settle->looked_ms;

    if (passed >= CALM_LOOK_MS) {
        uint64_t bytes = data->foreground_bytes - settle->looked_bytes;

        /* An old look says nothing of now. */
        settle->is_calm = passed < 5 * CALM_LOOK_MS && bytes < passed * CALM_BYTES_A_MS;
        settle->looked_ms = now;
        settle->looked_bytes = data->foreground_bytes;
    }
    return is_idle(data) || settle->is_calm;
}

/* ---- what was just written ---- */

static void submit_fresh(struct data *data)
{
    struct settle *settle = data->settle;
    /* The clients need the processors, too. */
    unsigned most = settle->waiting_count >= WAITING_CROWDED ? 2 : 1;

    while (settle->fresh_jobs < most && !list_is_empty(&settle->fresh)) {
        struct settle_job *job = list_first(&settle->fresh, struct settle_job, link);

        list_remove(&job->link);
        settle->fresh_count -= job->count;
        submit(data, job);
    }
}

static bool add_fresh(struct data *data, uint64_t ino, uint64_t offset, const struct block *block)
{
    struct settle *settle = data->settle;
    struct settle_job *job =
        list_is_empty(&settle->fresh) ? NULL : list_last(&settle->fresh, struct settle_job, link);
    struct item *item;

    if (settle->fresh_count >= FRESH_MOST)
        return false;
    if (job == NULL || job->count == ITEMS_MOST) {
        job = calloc(1, sizeof *job);
        if (job == NULL)
            return false;
        job->is_fresh = true;
        list_push_back(&settle->fresh, &job->link);
    }
    item = &job->items[job->count];
    *item = (struct item){.ino = ino, .offset = offset, .length = block->length, .piece_count = 1};
    item->pieces = malloc(sizeof *item->pieces);
    if (item->pieces == NULL || !unsettled_hold(&settle->unsettled, ino)) {
        free(item->pieces);
        return false;
    }
    item->pieces[0] = (struct piece){.kind = PIECE_DATA,
                                     .block = block->id,
                                     .start = (uint32_t)(offset % LEAF_BYTES),
                                     .length = block->length};
    item->buf = buf_ref(block->entry->buf);
    item->bytes = block->bytes;
    job->count++;
    settle->fresh_count++;
    if (job->count == ITEMS_MOST)
        submit_fresh(data);
    return true;
}

/* ---- what has to settle ---- */

static void wait_more(struct data *data, struct slot *slot, uint64_t ino, uint64_t offset)
{
    struct waiting *waiting;

    if ((slot->flags & SLOT_WAITS) || data->settle->waiting_count >= WAITING_MOST)
        return;
    waiting = malloc(sizeof *waiting);
    if (waiting == NULL || !unsettled_hold(&data->settle->unsettled, ino)) {
        free(waiting);
        return;
    }
    waiting->ino = ino;
    waiting->offset = offset - offset % STORE_BLOCK_SIZE;
    list_push_back(&data->settle->waiting, &waiting->link);
    data->settle->waiting_count++;
    slot->flags |= SLOT_WAITS;
}

void settle_touched(struct node *node, uint64_t offset, struct block *block)
{
    struct inode *inode = node->file->inode;
    struct data *data = inode->store->data;
    struct slot *slot = leaf_slot(&node->leaf, (uint32_t)(offset % LEAF_BYTES));

    slot->touched_ms = (uint32_t)clock_monotonic_ms();
    if (data->ready && block->length == STORE_BLOCK_SIZE && block->entry != NULL &&
        block->entry->buf != NULL && is_urgent(data) && add_fresh(data, inode->attr.ino, offset, block))
        return;
    wait_more(data, slot, inode->attr.ino, offset);
}

/* Makes an item of the pieces FIRST to BEHIND of SLOT. */
static enum err make_item(struct data *data, struct inode *inode, uint64_t slot_offset,
                          const struct slot *slot, uint32_t first, uint32_t behind, struct item *item)
{
    const struct piece *pieces = slot_pieces(slot) + first;
    size_t count = behind - first, i;
    uint32_t into = 0;
    enum err err = ERR_OK;

    *item = (struct item){.ino = inode->attr.ino, .piece_count = count};
    item->offset = slot_offset + pieces[0].start % STORE_BLOCK_SIZE;
    item->length = pieces[count - 1].start + pieces[count - 1].length - pieces[0].start;
    item->buf = buf_new(item->length);
    item->pieces = malloc(count * sizeof *item->pieces);
    item->fragments = malloc(count * sizeof *item->fragments);
    if (item->buf == NULL || item->pieces == NULL || item->fragments == NULL)
        err = ERR_NOMEM;
    for (i = 0; i < count && err == ERR_OK; i++) {
        struct fragment *fragment = &item->fragments[item->fragment_count];
        bool copied;

        item->pieces[i] = pieces[i];
        err = fragment_find(data, inode->attr.ino, &pieces[i], item->buf->data + into, fragment, &copied);
        if (err == ERR_OK && !copied) {
            fragment_hold(data, fragment);
            item->fragment_count++;
        }
        into += pieces[i].length;
    }
    if (err != ERR_OK) {
        item_free(data, item);
        return err;
    }
    item->bytes = item->buf->data;
    return ERR_OK;
}

/* Is the run [FIRST, BEHIND) of SLOT worth a job? */
static bool is_worth_it(struct data *data, const struct slot *slot, uint32_t first, uint32_t behind)
{
    const struct piece *piece = &slot_pieces(slot)[first];
    struct block *block;

    if (behind - first > 1)
        return true;
    if (piece->length < HASH_LEAST || piece->skip > 0 || block_get(data, piece->block, &block) != ERR_OK)
        return false;
    return !block->is_hashed && block->length == piece->length;
}

/* May the slot get more pieces soon? */
static bool is_growing(const struct slot *slot, uint32_t age_ms, uint64_t settle_ms)
{
    const struct piece *last = &slot_pieces(slot)[slot->count - 1];

    return slot->count > 1 && slot->count < GROWING_PIECES &&
           (last->start + last->length) % STORE_BLOCK_SIZE != 0 && age_ms < GROWING_FACTOR * settle_ms;
}

/* Looks at a slot that has waited: adds an item to JOB, has it wait on, or forgets it. */
static enum err consider(struct data *data, const struct waiting *waiting, struct settle_job *job)
{
    uint64_t settle_ms = data->store->options.settle_ms;
    struct inode *inode;
    struct node *node;
    enum err err = find_leaf(data, waiting->ino, waiting->offset, &inode, &node);
    struct slot *slot = err == ERR_OK && node != NULL
                            ? leaf_slot(&node->leaf, (uint32_t)(waiting->offset % LEAF_BYTES))
                            : NULL;
    uint32_t age_ms, first, behind;

    if (slot != NULL && slot->count > 0) {
        slot->flags &= ~(uint32_t)SLOT_WAITS;
        age_ms = (uint32_t)clock_monotonic_ms() - slot->touched_ms;
        if (slot->count < CROWDED_PIECES && (age_ms < settle_ms || is_growing(slot, age_ms, settle_ms))) {
            wait_more(data, slot, waiting->ino, waiting->offset);
            slot = NULL;
        }
    }
    for (first = 0; slot != NULL && err == ERR_OK && first < slot->count; first = behind) {
        const struct piece *pieces = slot_pieces(slot);

        behind = first + 1;
        if (pieces[first].kind != PIECE_DATA)
            continue;
        while (behind < slot->count && pieces[behind].kind == PIECE_DATA &&
               pieces[behind - 1].start + pieces[behind - 1].length == pieces[behind].start)
            behind++;
        if (!is_worth_it(data, slot, first, behind))
            continue;
        err = make_item(data, inode, waiting->offset, slot, first, behind, &job->items[job->count]);
        if (err == ERR_OK) {
            invariant(unsettled_hold(&data->settle->unsettled, waiting->ino)); /* WAITING holds it */
            job->count++;
        }
        /* Other runs of the slot: another time. */
        if (behind < slot->count)
            wait_more(data, slot, waiting->ino, waiting->offset);
        break;
    }
    inode_unref(&inode);
    return err;
}

static void gather(struct data *data)
{
    struct settle *settle = data->settle;
    size_t most = settle->waiting_count < LOOK_AT_MOST ? settle->waiting_count : LOOK_AT_MOST;
    struct settle_job *job;

    if (most == 0 || settle->gather_jobs > 0)
        return;
    /* A busy store has a little done at a time, or more when much waits. */
    if (!has_time(data) && !is_urgent(data) && clock_monotonic_ms() - settle->gathered_ms < BUSY_PAUSE_MS)
        return;
    settle->gathered_ms = clock_monotonic_ms();
    job = calloc(1, sizeof *job);
    if (job == NULL)
        return;
    for (; most > 0 && job->count < ITEMS_MOST; most--) {
        struct waiting *waiting = list_first(&settle->waiting, struct waiting, link);
        enum err err;

        list_remove(&waiting->link);
        settle->waiting_count--;
        err = consider(data, waiting, job);
        if (err != ERR_OK)
            log_warning("store: inode %llu can't be looked at for sharing: %s",
                        (unsigned long long)waiting->ino, err_text(err));
        unsettled_let_go(&settle->unsettled, waiting->ino);
        free(waiting);
    }
    if (job->count > 0)
        submit(data, job);
    else
        free(job);
}

/* ---- after a start ---- */

/* Has the slots of LEAF that have something from OFFSET on wait. */
static void leaf_waits(struct data *data, struct node *node, uint64_t ino, uint64_t offset)
{
    uint32_t at = (uint32_t)(offset % LEAF_BYTES);

    for (; at / STORE_BLOCK_SIZE < node->leaf.slot_count; at += STORE_BLOCK_SIZE) {
        struct slot *slot = leaf_slot(&node->leaf, at);

        if (slot->count > 0)
            wait_more(data, slot, ino, offset - offset % LEAF_BYTES + at);
    }
}

/* Goes on in inode INO: to the next leaf, past some extents, or to *END_R. */
static enum err look_on(struct data *data, uint64_t ino, bool *end_r)
{
    uint64_t *offset = &data->settle->resume_offset;
    struct data_inode *file;
    struct inode *inode;
    struct node *node;
    enum err err = find_leaf(data, ino, *offset, &inode, &node);
    int i;

    *end_r = err != ERR_OK || inode == NULL || *offset >= inode->attr.size;
    if (*end_r) {
        inode_unref(&inode);
        return err;
    }
    err = file_of(inode, &file);
    for (i = 0; i < EXTENTS_AT_MOST && err == ERR_OK && node == NULL && *offset < inode->attr.size; i++) {
        enum piece_kind kind;
        uint64_t length;

        err = file_extent(file, *offset, &kind, &length);
        if (err == ERR_OK && kind == PIECE_DATA)
            err = file_leaf(file, *offset, false, &node, &kind);
        else if (err == ERR_OK)
            *offset += length;
    }
    if (err == ERR_OK && node != NULL) {
        leaf_waits(data, node, ino, *offset);
        *offset += LEAF_BYTES - *offset % LEAF_BYTES;
    }
    *end_r = err != ERR_OK;
    inode_unref(&inode);
    return err;
}

/* Looks through the inodes that had not settled before the start, while little else waits. */
static void resume(struct data *data)
{
    struct settle *settle = data->settle;
    uint64_t ino;
    bool end;
    enum err err;

    while (settle->waiting_count < LOOK_AT_MOST && unsettled_next(&settle->unsettled, &ino)) {
        err = look_on(data, ino, &end);
        if (err != ERR_OK)
            log_warning("store: inode %llu can't be looked at for sharing: %s", (unsigned long long)ino,
                        err_text(err));
        if (!end)
            break; /* on with the next run */
        settle->resume_offset = 0;
        unsettled_looked_through(&settle->unsettled);
    }
}

enum err settle_flush(struct data *data, const struct inode_attr *attr)
{
    if (attr->size < HASH_LEAST)
        return ERR_OK;
    return unsettled_flush(&data->settle->unsettled, data->store, attr->ino);
}

void settle_run(struct data *data)
{
    enum err err;

    if (!data->ready || data->stopping || store__writable(data->store) != ERR_OK)
        return;
    err = unsettled_sweep(&data->settle->unsettled, data->store);
    if (err != ERR_OK) {
        (void)store__fail(data->store, err, "what has settled can't be recorded");
        return;
    }
    resume(data);
    submit_fresh(data);
    gather(data);
    leaves_trim(data);
    blocks_trim(data);
}

bool settle_is_idle(const struct data *data)
{
    const struct settle *settle = data->settle;

    return settle->waiting_count == 0 && list_is_empty(&settle->fresh) &&
           unsettled_is_empty(&settle->unsettled);
}

enum err settle_open(struct data *data)
{
    data->settle = calloc(1, sizeof *data->settle);
    if (data->settle == NULL)
        return ERR_NOMEM;
    list_init(&data->settle->waiting);
    list_init(&data->settle->fresh);
    return unsettled_open(&data->settle->unsettled, data->store);
}

void settle_close(struct data *data)
{
    struct settle *settle = data->settle;

    if (settle == NULL)
        return;
    while (!list_is_empty(&settle->waiting)) {
        struct waiting *waiting = list_first(&settle->waiting, struct waiting, link);

        list_remove(&waiting->link);
        free(waiting);
    }
    while (!list_is_empty(&settle->fresh)) {
        struct settle_job *job = list_first(&settle->fresh, struct settle_job, link);

        list_remove(&job->link);
        job_free(data, job);
    }
    unsettled_close(&settle->unsettled);
    free(settle);
    data->settle = NULL;
}
