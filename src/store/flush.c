/*
 * flush.c - writing files' trees and reference counts into the open transaction.
 *
 * A tree is written from the root down. A dirty node whose row has other users (refs above 1) is written as a
 * new row: everything it refers to gets one more reference, the old row one less. A dirty node that is its
 * row's only user applies the changes that it has noted. So counts are right after each node.
 *
 * A subtree that was dropped goes to the garbage table, which is emptied in slices with the commits: a file
 * of any size is truncated or removed with one row.
 *
 * The tail moves with each flush: to the first record that is not in the database.
 */
#include "store/core_priv.h"

#include "dittofs/clock.h"
#include "dittofs/log.h"
#include <stdlib.h>
#include <string.h>

enum {
    FLUSH_AGE_MS = 3000,         /* an inode's changes are in the database after about this long */
    FLUSH_LOG_BYTES = 128 << 20, /* so much of the log is replayed at most, about */
    FLUSH_CHANGES_MOST = 8192,   /* references that wait to be counted: what a flush costs the loop */
    GARBAGE_BUDGET = 4096,       /* blocks and nodes freed in one commit */
};

/* ---- what is dirty ---- */

void file_changed(struct data_inode *file, uint64_t position)
{
    struct data *data = file->inode->store->data;

    if (list_is_empty(&file->dirty_link)) {
        file->dirty_ms = clock_monotonic_ms();
        list_push_back(&data->dirty, &file->dirty_link);
        store__background(data->store);
    }
    if (position != 0 && list_is_empty(&file->logged_link)) {
        file->first_position = position;
        list_push_back(&data->logged, &file->logged_link);
    }
}

static bool log_is_long(const struct data *data)
{
    uint64_t segment_bytes = data->store->options.segment_bytes, first, end = log_end(&data->log);

    if (list_is_empty(&data->logged))
        return false;
    first = list_first(&data->logged, struct data_inode, logged_link)->first_position;
    return (position_segment(end) - position_segment(first)) * segment_bytes + position_place(end) -
               position_place(first) >
           FLUSH_LOG_BYTES;
}

static bool all_is_due(const struct data *data)
{
    return data->change_count > FLUSH_CHANGES_MOST || log_is_long(data);
}

bool data_flush_wanted(const struct store *store)
{
    const struct data *data = store->data;

    if (data->log.failed)
        return false;
    if (data->garbage || all_is_due(data))
        return true;
    if (data->tail_wanted && list_is_empty(&data->logged) && data->tail != log_end(&data->log))
        return true;
    return !list_is_empty(&data->dirty) &&
           clock_monotonic_ms() - list_first(&data->dirty, struct data_inode, dirty_link)->dirty_ms >=
               FLUSH_AGE_MS;
}

/* ---- reference counts ---- */

static int by_block(const void *a, const void *b)
{
    uint64_t one = ((const struct leaf_change *)a)->block, other = ((const struct leaf_change *)b)->block;

    return one < other ? -1 : one > other;
}

enum err changes_apply(struct data *data, struct leaf_change *changes, size_t count)
{
    enum err err = ERR_OK;
    size_t i, k;

    if (count > 1)
        qsort(changes, count, sizeof *changes, by_block);
    for (i = 0; i < count && err == ERR_OK; i = k) {
        int64_t sum = 0;

        for (k = i; k < count && changes[k].block == changes[i].block; k++)
            sum += changes[k].delta;
        err = block_apply(data, changes[i].block, sum);
    }
    return err;
}

/* Every piece of LEAF refers once more (DELTA 1) or once less (-1). */
static enum err apply_pieces(struct data *data, const struct leaf *leaf, int delta)
{
    struct leaf_change *changes = malloc((leaf->piece_count + 1) * sizeof *changes);
    size_t count = 0;
    uint32_t i, k;
    enum err err;

    if (changes == NULL)
        return ERR_NOMEM;
    for (i = 0; i < leaf->slot_count; i++) {
        const struct piece *pieces = slot_pieces(&leaf->slots[i]);

        for (k = 0; k < leaf->slots[i].count; k++)
            if (pieces[k].kind == PIECE_DATA)
                changes[count++] = (struct leaf_change){.block = pieces[k].block, .delta = delta};
    }
    err = changes_apply(data, changes, count);
    free(changes);
    return err;
}

/* The notes of LEAF are in the database. */
static enum err end_uses(struct data *data, struct leaf *leaf)
{
    enum err err = ERR_OK;
    size_t i;

    for (i = 0; i < leaf->change_count && err == ERR_OK; i++) {
        struct block *block;

        if (!leaf->changes[i].added)
            continue;
        leaf->changes[i].added = false;
        block = block_find(data, leaf->changes[i].block);
        invariant(block != NULL);
        err = block_unuse(data, block);
    }
    data->change_count -= leaf->change_count;
    leaf_changes_clear(leaf);
    return err;
}

/* ---- node rows ---- */

static enum err row_refs(struct data *data, uint64_t id, int64_t *refs_r)
{
    sqlite3_stmt *statement = store__prepare(data->store, "SELECT refs FROM node WHERE id = ?1");
    enum err err;
    bool row;

    if (statement == NULL)
        return ERR_NOMEM;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)id);
    err = store__step(data->store, statement, &row);
    if (err == ERR_OK && (!row || sqlite3_column_int64(statement, 0) < 1)) {
        log_error("store: node %llu is referred to and not there", (unsigned long long)id);
        err = ERR_CORRUPT;
    }
    if (err == ERR_OK)
        *refs_r = sqlite3_column_int64(statement, 0);
    store__release(data->store, statement);
    return err;
}

enum err node_add_refs(struct data *data, uint64_t id, int delta)
{
    sqlite3_stmt *statement;

    if (id < NODE_FIRST_ID)
        return ERR_OK;
    statement = store__prepare(data->store, "UPDATE node SET refs = refs + ?2 WHERE id = ?1");
    if (statement == NULL)
        return ERR_NOMEM;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)id);
    sqlite3_bind_int(statement, 2, delta);
    return store__run(data->store, statement);
}

static enum err delete_node(struct data *data, uint64_t id)
{
    sqlite3_stmt *statement = store__prepare(data->store, "DELETE FROM node WHERE id = ?1");

    if (statement == NULL)
        return ERR_NOMEM;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)id);
    return store__run(data->store, statement);
}

/* Writes NODE's row: a new one when it has none. */
static enum err write_row(struct data *data, struct node *node, const struct writer *writer)
{
    struct child *child = node_child(node);
    bool is_new = child->id < NODE_FIRST_ID;
    uint64_t id = is_new ? data->next_node : child->id;
    sqlite3_stmt *statement =
        store__prepare(data->store, is_new ? "INSERT INTO node(id, refs, level, data) VALUES(?1, 1, ?2, ?3)"
                                           : "UPDATE node SET level = ?2, data = ?3 WHERE id = ?1");
    enum err err;

    if (statement == NULL)
        return ERR_NOMEM;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)id);
    sqlite3_bind_int(statement, 2, node->level);
    sqlite3_bind_blob(statement, 3, writer->data, (int)writer->length, SQLITE_STATIC);
    err = store__run(data->store, statement);
    if (err != ERR_OK)
        return err;
    data->next_node += is_new;
    child->id = id;
    return ERR_OK;
}

/* ---- garbage ---- */

enum err garbage_add(struct data *data, uint64_t id)
{
    sqlite3_stmt *statement;

    if (id < NODE_FIRST_ID)
        return ERR_OK;
    statement = store__prepare(data->store, "INSERT INTO garbage(node) VALUES(?1)");
    if (statement == NULL)
        return ERR_NOMEM;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)id);
    data->garbage = true;
    return store__run(data->store, statement);
}

/* The last reference to row ID is gone: so are those that it holds. BYTES are its content. */
static enum err free_row(struct data *data, uint64_t id, unsigned level, const uint8_t *bytes, size_t length,
                         unsigned *spent)
{
    struct child *children;
    enum err err;
    uint32_t i;

    if (level == 0) {
        struct leaf leaf = {0};

        err = leaf_decode(&leaf, bytes, length);
        *spent += leaf.piece_count;
        if (err == ERR_OK)
            err = apply_pieces(data, &leaf, -1);
        leaf_free(&leaf);
    } else {
        children = calloc(NODE_CHILDREN, sizeof *children);
        if (children == NULL)
            return ERR_NOMEM;
        err = level <= NODE_LEVELS_MOST ? children_decode(bytes, length, level, children) : ERR_CORRUPT;
        for (i = 0; i < NODE_CHILDREN && err == ERR_OK; i++, ++*spent)
            err = garbage_add(data, children[i].id);
        free(children);
    }
    if (err == ERR_CORRUPT)
        log_error("store: node %llu is damaged and can't be freed", (unsigned long long)id);
    return err == ERR_OK ? delete_node(data, id) : err;
}

/* One reference to row ID goes. */
static enum err drop_reference(struct data *data, uint64_t id, unsigned *spent)
{
    sqlite3_stmt *statement;
    uint8_t *bytes = NULL;
    size_t length = 0;
    unsigned level = 0;
    int64_t refs;
    enum err err = row_refs(data, id, &refs);
    bool row;

    ++*spent;
    if (err != ERR_OK)
        return err;
    if (refs > 1)
        return node_add_refs(data, id, -1);
    statement = store__prepare(data->store, "SELECT level, data FROM node WHERE id = ?1");
    if (statement == NULL)
        return ERR_NOMEM;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)id);
    err = store__step(data->store, statement, &row);
    if (err == ERR_OK && row) {
        level = (unsigned)sqlite3_column_int(statement, 0);
        length = (size_t)sqlite3_column_bytes(statement, 1);
        bytes = malloc(length + 1);
        if (bytes == NULL)
            err = ERR_NOMEM;
        else if (length > 0)
            memcpy(bytes, sqlite3_column_blob(statement, 1), length);
    }
    store__release(data->store, statement);
    if (err == ERR_OK)
        err = free_row(data, id, level, bytes, length, spent);
    free(bytes);
    return err;
}

/* A row of the garbage table, the newest first: what a node held goes before its siblings. */
static enum err next_garbage(struct data *data, uint64_t *seq_r, uint64_t *node_r)
{
    sqlite3_stmt *statement =
        store__prepare(data->store, "SELECT seq, node FROM garbage ORDER BY seq DESC LIMIT 1");
    enum err err;
    bool row;

    if (statement == NULL)
        return ERR_NOMEM;
    err = store__step(data->store, statement, &row);
    if (err == ERR_OK && row) {
        *seq_r = (uint64_t)sqlite3_column_int64(statement, 0);
        *node_r = (uint64_t)sqlite3_column_int64(statement, 1);
    }
    store__release(data->store, statement);
    return err == ERR_OK && !row ? ERR_NOENT : err;
}

enum err garbage_drain(struct data *data, unsigned budget)
{
    unsigned spent = 0;
    enum err err = ERR_OK;

    while (data->garbage && spent < budget) {
        sqlite3_stmt *statement;
        uint64_t seq = 0, node = 0;

        err = next_garbage(data, &seq, &node);
        if (err == ERR_NOENT) {
            data->garbage = false;
            return ERR_OK;
        }
        if (err == ERR_OK)
            err = store__begin(data->store);
        if (err != ERR_OK)
            return err;
        statement = store__prepare(data->store, "DELETE FROM garbage WHERE seq = ?1");
        if (statement == NULL)
            return ERR_NOMEM;
        sqlite3_bind_int64(statement, 1, (sqlite3_int64)seq);
        err = store__run(data->store, statement);
        if (err == ERR_OK)
            err = drop_reference(data, node, &spent);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

/* ---- trees ---- */

/* The row of NODE has other users: they keep it, NODE gets a new one. */
static enum err split_off(struct data *data, struct node *node)
{
    struct child *child = node_child(node);
    enum err err = node_add_refs(data, child->id, -1);
    uint32_t i;

    child->id = 0;
    if (err != ERR_OK)
        return err;
    if (node->level == 0)
        return apply_pieces(data, &node->leaf, 1);
    for (i = 0; i < NODE_CHILDREN && err == ERR_OK; i++)
        if (!node->children[i].fresh)
            err = node_add_refs(data, node->children[i].id, 1);
    return err;
}

/* As the row's only user. */
static enum err apply_changes(struct data *data, struct node *node)
{
    enum err err = ERR_OK;
    size_t i;

    if (node->level == 0)
        return changes_apply(data, node->leaf.changes, node->leaf.change_count);
    for (i = 0; i < node->dropped_count && err == ERR_OK; i++)
        err = garbage_add(data, node->dropped[i]);
    return err;
}

static bool is_empty(const struct node *node)
{
    uint32_t i;

    if (node->level == 0)
        return node->leaf.piece_count == 0;
    for (i = 0; i < NODE_CHILDREN; i++)
        if (node->children[i].id != 0)
            return false;
    return true;
}

static void node_cleaned(struct data *data, struct node *node)
{
    uint32_t i;

    node->dirty = false;
    free(node->dropped);
    node->dropped = NULL;
    node->dropped_count = 0;
    if (node->level == 0)
        list_push_back(&data->leaf_lru, &node->lru);
    else
        for (i = 0; i < NODE_CHILDREN; i++)
            node->children[i].fresh = false;
}

/* Writes the encoded NODE to where it belongs: into the inode's root when it may and fits, or to its row. */
static enum err store_node(struct data *data, struct node *node, struct writer *writer)
{
    struct child *child = node_child(node);
    enum err err = ERR_OK;

    node->is_inline = false;
    if (is_empty(node) || (node->parent == NULL && node->level == 0 && writer->length <= ROOT_INLINE_MOST)) {
        if (child->id >= NODE_FIRST_ID)
            err = delete_node(data, child->id);
        child->id = 0;
        node->is_inline = !is_empty(node);
        return err;
    }
    return write_row(data, node, writer);
}

static enum err flush_node(struct data *data, struct node *node)
{
    struct child *child = node_child(node);
    struct writer writer;
    int64_t refs = 1;
    enum err err = ERR_OK;
    uint32_t i;

    if (child->id >= NODE_FIRST_ID)
        err = row_refs(data, child->id, &refs);
    if (err == ERR_OK)
        err = refs > 1 ? split_off(data, node) : apply_changes(data, node);
    if (err == ERR_OK && node->level == 0)
        err = end_uses(data, &node->leaf);
    for (i = 0; err == ERR_OK && node->level > 0 && i < NODE_CHILDREN; i++)
        if (node->children[i].node != NULL && node->children[i].node->dirty)
            err = flush_node(data, node->children[i].node);
    if (err != ERR_OK)
        return err;
    writer_init_growing(&writer, LEAF_ENCODED_MOST);
    if (node->level == 0)
        leaf_encode(&node->leaf, &writer);
    else
        children_encode(node->children, &writer);
    err = writer.failed ? ERR_NOMEM : store_node(data, node, &writer);
    writer_free(&writer);
    if (err == ERR_OK)
        node_cleaned(data, node);
    return err;
}

static enum err write_root(struct data_inode *file)
{
    struct root root = {.height = file->height,
                        .id = file->root.id,
                        .data_bytes = file->root.data_bytes,
                        .unwritten_bytes = file->root.unwritten_bytes};
    struct writer leaf, writer;
    enum err err;

    writer_init_growing(&leaf, LEAF_ENCODED_MOST);
    writer_init_growing(&writer, LEAF_ENCODED_MOST);
    if (file->root.node != NULL && file->root.node->is_inline) {
        leaf_encode(&file->root.node->leaf, &leaf);
        root.leaf = leaf.data;
        root.leaf_length = leaf.length;
    }
    if (root.id == 0 && root.leaf_length == 0)
        file->height = root.height = 0;
    root_encode(&root, &writer);
    err = leaf.failed || writer.failed ? ERR_NOMEM
                                       : store__inode_set_root(file->inode, writer.data, writer.length);
    writer_free(&writer);
    writer_free(&leaf);
    return err;
}

enum err file_flush(struct data_inode *file)
{
    struct inode *inode = file->inode;
    struct data *data = inode->store->data;
    enum err err = store__begin(data->store);
    size_t i;

    for (i = 0; i < file->dropped_count && err == ERR_OK; i++)
        err = garbage_add(data, file->dropped[i]);
    file->dropped_count = 0;
    if (err == ERR_OK && file->root.node != NULL && file->root.node->dirty)
        err = flush_node(data, file->root.node);
    /* A root without anything below it: the next use begins anew. */
    if (err == ERR_OK && file->root.node != NULL && file->root.node->level > 0 && file->root.id == 0) {
        node_free(data, file->root.node);
        file->root.node = NULL;
    }
    if (err == ERR_OK)
        err = write_root(file);
    if (err == ERR_OK)
        err = settle_flush(data, &inode->attr);
    if (err != ERR_OK)
        return err;
    data->unwritten_flushed += file->root.unwritten_bytes - file->unwritten_flushed;
    file->unwritten_flushed = file->root.unwritten_bytes;
    list_remove(&file->dirty_link);
    list_remove(&file->logged_link);
    list_remove(&file->urgent_link);
    inode->data_seq = inode->last_seq;
    store__inode_mark_dirty(inode, INODE_DATA_DIRTY | INODE_ATTR_DIRTY);
    return ERR_OK;
}

/* ---- figures ---- */

/* The first record that is not in the database; the log's end when all are. */
static uint64_t tail_now(const struct data *data)
{
    if (list_is_empty(&data->logged))
        return log_end(&data->log);
    return list_first(&data->logged, struct data_inode, logged_link)->first_position;
}

static enum err put_figure(struct data *data, const char *key, uint64_t value, uint64_t *written)
{
    enum err err;

    if (value == *written)
        return ERR_OK;
    err = store__begin(data->store);
    if (err == ERR_OK)
        err = store__meta_put(data->store, key, value);
    if (err == ERR_OK)
        *written = value;
    return err;
}

enum err figures_flush(struct data *data)
{
    enum err err = segments_flush(data);

    if (err == ERR_OK)
        err = put_figure(data, "unwritten bytes", data->unwritten_flushed, &data->unwritten_written);
    return err;
}

/* A tail that would only save reading a little is not worth a transaction of its own. */
static enum err move_tail(struct data *data)
{
    uint64_t tail = tail_now(data);
    enum err err;

    data->tail_wanted = false;
    if (tail == data->tail || (!data->store->transaction && list_is_empty(&data->gc_segments)))
        return ERR_OK;
    err = put_figure(data, "log tail", tail, &data->tail);
    if (err == ERR_OK)
        err = put_figure(data, "last segment", data->log.segment, &data->segment_written);
    data->tail_batch = store__batch(data->store);
    return err;
}

enum err data_flush(struct store *store, enum data_flush how)
{
    struct data *data = store->data;
    bool all = how == DATA_FLUSH_ALL || all_is_due(data);
    uint64_t now = clock_monotonic_ms();
    enum err err = ERR_OK;

    while (err == ERR_OK && !list_is_empty(&data->urgent))
        err = file_flush(list_first(&data->urgent, struct data_inode, urgent_link));
    while (err == ERR_OK && !list_is_empty(&data->dirty)) {
        struct data_inode *file = list_first(&data->dirty, struct data_inode, dirty_link);

        if (!all && now - file->dirty_ms < FLUSH_AGE_MS)
            break;
        err = file_flush(file);
    }
    if (err == ERR_OK)
        err = garbage_drain(data, GARBAGE_BUDGET);
    if (err == ERR_OK)
        err = move_tail(data);
    if (err == ERR_OK)
        err = figures_flush(data);
    leaves_trim(data);
    blocks_trim(data);
    return err;
}
