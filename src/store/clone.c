/*
 * clone.c - sharing ranges between files.
 *
 * A whole file is shared by its root; in other ranges whole leaves are shared where both offsets allow it and
 * the rest piece by piece. The source sees no change; nothing is copied.
 *
 * Rows can be shared only when they are there: the source is flushed into the open transaction when nodes are
 * to be shared, and the target always is. So a crash leaves either both (in one commit) or neither, and the
 * record in the log, replayed in order, then finds the source as it was.
 */
#include "store/core_priv.h"
#include "store/inode_priv.h"

#include "dittofs/log.h"

enum { CLONE_ALIGNMENT = 4096, CLONE_ROOM_BYTES = 65536 };

/* Data that is shared in one call, leaf by leaf and piece by piece: the loop serves nobody meanwhile. */
#define CLONE_LEAVES_MOST ((uint64_t)16 << 40)
#define CLONE_PIECES_MOST ((uint64_t)1 << 30)

/* Flushes FILE, and writes its inode's row at once: the columns must agree with what was flushed, whatever
 * changes follow in this turn. */
static enum err flush_now(struct data_inode *file)
{
    enum err err = file_flush(file);

    return err == ERR_OK ? inode_row_write(file->inode) : err;
}

static bool is_flushed(const struct data_inode *file)
{
    return list_is_empty(&file->dirty_link);
}

/* ---- piece by piece ---- */

/* One extent of the source at FROM, at most LENGTH bytes, to TO of the target (which has a hole there). Says
 * how long it was. */
static enum err clone_extent(struct data_inode *source, uint64_t from, struct data_inode *target, uint64_t to,
                             uint64_t length, uint64_t *done_r)
{
    struct data *data = target->inode->store->data;
    uint64_t room = STORE_BLOCK_SIZE - to % STORE_BLOCK_SIZE;
    enum piece_kind kind;
    struct piece piece;
    struct block *block;
    struct node *node;
    enum err err = file_extent(source, from, &kind, done_r);

    if (err != ERR_OK)
        return err;
    if (*done_r > length)
        *done_r = length;
    if (kind != PIECE_DATA)
        return ERR_OK; /* unwritten ranges read as zeros: a hole does, too, and reserves nothing */
    if (*done_r > room)
        *done_r = room;
    err = file_leaf(source, from, false, &node, &kind);
    if (err != ERR_OK)
        return err;
    if (node != NULL)
        leaf_at(&node->leaf, (uint32_t)(from % LEAF_BYTES), &piece);
    if (node == NULL || piece.kind != PIECE_DATA)
        return ERR_CORRUPT; /* the sums above said otherwise */
    if (*done_r > piece.length)
        *done_r = piece.length;
    err = file_leaf(target, to, true, &node, &kind);
    if (err == ERR_OK)
        err = block_get(data, piece.block, &block);
    if (err != ERR_OK)
        return err;
    block_use(data, block);
    return node_replace(node, (uint32_t)(to % LEAF_BYTES), (uint32_t)*done_r, &piece);
}

static enum err clone_pieces(struct data_inode *source, uint64_t from, struct data_inode *target, uint64_t to,
                             uint64_t length)
{
    while (length > 0) {
        uint64_t done;
        enum err err = clone_extent(source, from, target, to, length, &done);

        if (err != ERR_OK)
            return err;
        from += done;
        to += done;
        length -= done;
    }
    return ERR_OK;
}

/* ---- whole nodes ---- */

/* The node of level 1 over OFFSET, made when CREATE. */
static enum err inner_at(struct data_inode *file, uint64_t offset, bool create, struct node **node_r)
{
    struct node *node = NULL;
    uint32_t index = 0;
    unsigned level;
    enum err err;

    *node_r = NULL;
    if (create && (err = file_grow(file, offset > LEAF_BYTES ? offset : LEAF_BYTES)) != ERR_OK)
        return err;
    if (file->height == 0 || offset >= level_bytes(file->height))
        return ERR_OK;
    for (level = file->height;; level--) {
        struct child *child = node != NULL ? &node->children[index] : &file->root;

        if (!create && child->node == NULL && child->id < NODE_FIRST_ID)
            return ERR_OK;
        err = node_load(file, node, index, (uint8_t)level, &node);
        if (err != ERR_OK)
            return err;
        if (level == 1)
            break;
        index = (uint32_t)(offset / level_bytes(level - 1) % NODE_CHILDREN);
    }
    *node_r = node;
    return ERR_OK;
}

/* Shares the leaf at FROM; *SHARED_R false: it has no row (a hole, or in memory only), or it reserves space,
 * which nobody has asked for the target. */
static enum err clone_leaf(struct data_inode *source, uint64_t from, struct data_inode *target, uint64_t to,
                           bool *shared_r)
{
    struct data *data = target->inode->store->data;
    struct node *inner;
    struct child child, *at;
    enum err err = inner_at(source, from, false, &inner);

    *shared_r = false;
    if (err != ERR_OK || inner == NULL)
        return err;
    child = inner->children[from / LEAF_BYTES % NODE_CHILDREN];
    if (child.id < NODE_FIRST_ID || child.unwritten_bytes > 0 || (child.node != NULL && child.node->dirty))
        return ERR_OK;
    err = file_clear(target, to, to + LEAF_BYTES);
    if (err == ERR_OK)
        err = inner_at(target, to, true, &inner);
    if (err == ERR_OK)
        err = node_add_refs(data, child.id, 1);
    if (err != ERR_OK)
        return err;
    at = &inner->children[to / LEAF_BYTES % NODE_CHILDREN];
    invariant(at->id == 0 && at->data_bytes == 0);
    if (at->node != NULL)
        node_free(data, at->node); /* an empty one */
    *at = (struct child){.id = child.id, .fresh = true};
    node_mark_dirty(inner);
    node_add_sums(inner, at, child.data_bytes, child.unwritten_bytes);
    *shared_r = true;
    return ERR_OK;
}

/* The target, which is empty, gets the source's root. */
static enum err clone_root(struct data_inode *source, struct data_inode *target)
{
    struct data *data = target->inode->store->data;
    enum err err = node_add_refs(data, source->root.id, 1);

    if (err != ERR_OK)
        return err;
    if (target->root.node != NULL)
        node_free(data, target->root.node);
    target->height = source->height;
    target->root = source->root;
    target->root.node = NULL;
    return ERR_OK;
}

/* ---- the whole ---- */

static bool is_empty(const struct data_inode *file)
{
    return file->root.data_bytes + file->root.unwritten_bytes == 0 && file->root.id == 0 &&
           (file->root.node == NULL || (file->root.node->level == 0 && !file->root.node->dirty));
}

/* Would it take too long? A whole file shares its root, whatever its size. */
static bool is_too_much(const struct data_inode *source, uint64_t from, uint64_t to, uint64_t length)
{
    uint64_t bytes = length < source->root.data_bytes ? length : source->root.data_bytes;

    if (from % LEAF_BYTES != to % LEAF_BYTES)
        return bytes > CLONE_PIECES_MOST;
    return bytes > CLONE_LEAVES_MOST && (from != 0 || to != 0 || length < source->inode->attr.size);
}

/* A leaf in the middle can be shared only if both ranges lie alike. */
static bool has_whole_leaf(uint64_t from, uint64_t to, uint64_t length)
{
    uint64_t lead = (LEAF_BYTES - from % LEAF_BYTES) % LEAF_BYTES;

    return from % LEAF_BYTES == to % LEAF_BYTES && length >= lead + LEAF_BYTES;
}

enum err clone_apply(struct data_inode *source, uint64_t from, struct data_inode *target, uint64_t to,
                     uint64_t length)
{
    uint64_t end = to + length;
    bool whole = from == 0 && to == 0 && length >= source->inode->attr.size && source != target;
    bool has_row = source->root.id >= NODE_FIRST_ID || source->height > 0;
    bool nodes = has_whole_leaf(from, to, length) || (whole && has_row);
    enum err err = store__begin(target->inode->store);

    if (err == ERR_OK && nodes && !is_flushed(source))
        err = flush_now(source);
    if (err == ERR_OK && whole && has_row && !is_flushed(target))
        err = flush_now(target);
    if (err == ERR_OK && whole && source->root.id >= NODE_FIRST_ID && source->root.unwritten_bytes == 0 &&
        is_empty(target)) {
        err = clone_root(source, target);
        length = 0;
    }
    if (err == ERR_OK && length > 0)
        err = file_clear(target, to, end);
    while (err == ERR_OK && length > 0) {
        uint64_t step = LEAF_BYTES - from % LEAF_BYTES;
        bool shared = false;

        step = step < length ? step : length;
        if (nodes && step == LEAF_BYTES && to % LEAF_BYTES == 0)
            err = clone_leaf(source, from, target, to, &shared);
        if (err == ERR_OK && !shared)
            err = clone_pieces(source, from, target, to, step);
        from += step;
        to += step;
        length -= step;
    }
    if (err == ERR_OK && end > target->inode->attr.size)
        target->inode->attr.size = end;
    return err;
}

/* The target and its new references go into the open transaction; its ticket is that batch. */
enum err clone_commit(struct data_inode *target)
{
    struct data *data = target->inode->store->data;
    enum err err;

    store__inode_mark_dirty(target->inode, INODE_ATTR_DIRTY);
    err = flush_now(target);
    if (err == ERR_OK)
        err = figures_flush(data);
    leaves_trim(data);
    blocks_trim(data);
    return err;
}

static enum err check_ranges(struct inode *source, uint64_t from, struct inode *target, uint64_t to,
                             uint64_t *length)
{
    uint64_t from_end, to_end;

    if (source->attr.type == INODE_DIRECTORY || target->attr.type == INODE_DIRECTORY)
        return ERR_ISDIR;
    if ((source->attr.type != INODE_FILE && source->attr.type != INODE_STREAM) ||
        (target->attr.type != INODE_FILE && target->attr.type != INODE_STREAM))
        return ERR_INVAL;
    if (from % CLONE_ALIGNMENT != 0 || to % CLONE_ALIGNMENT != 0 || from > source->attr.size)
        return ERR_INVAL;
    if (*length == 0)
        *length = source->attr.size - from;
    if (!add_u64(from, *length, &from_end) || from_end > source->attr.size)
        return ERR_INVAL;
    if (*length % CLONE_ALIGNMENT != 0 && from_end != source->attr.size)
        return ERR_INVAL;
    if (!add_u64(to, *length, &to_end) || to_end > STORE_FILE_SIZE_MAX)
        return ERR_FBIG;
    if (source == target && from < to_end && to < from_end)
        return ERR_INVAL;
    return ERR_OK;
}

enum err store_clone(struct inode *source, uint64_t source_offset, struct inode *target,
                     uint64_t target_offset, uint64_t length)
{
    struct record record = {.type = RECORD_CLONE};
    struct store *store = target->store;
    uint32_t checksums[RECORD_CHECKSUMS_MOST];
    uint8_t payload[RECORD_SOURCE_BYTES];
    struct data_inode *from, *to;
    struct log_entry *entry;
    struct writer writer;
    enum err err = store__writable(store);

    if (err == ERR_OK)
        err = check_ranges(source, source_offset, target, target_offset, &length);
    if (err == ERR_OK && length == 0)
        return ERR_OK;
    if (err == ERR_OK)
        err = data_room(store, CLONE_ROOM_BYTES);
    if (err == ERR_OK)
        err = file_of(source, &from);
    if (err == ERR_OK)
        err = file_of(target, &to);
    if (err == ERR_OK && is_too_much(from, source_offset, target_offset, length))
        err = ERR_INVAL;
    if (err == ERR_OK)
        err = file_prepare(to, target_offset, target_offset + length);
    if (err != ERR_OK)
        return err;

    /* The record comes behind: a source that can't be read fails this call alone. What was shared until then
     * stays, in both, in one commit. */
    err = clone_apply(from, source_offset, to, target_offset, length);
    if (err != ERR_OK) {
        file_changed(to, 0);
        if (clone_commit(to) != ERR_OK)
            return store__fail(store, err, "half a clone can't be written");
        return err;
    }
    record.ino = target->attr.ino;
    record.offset = target_offset;
    record.argument = length;
    record.mtime = clock_wall();
    writer_init(&writer, payload, sizeof payload);
    writer_le64(&writer, source->attr.ino);
    writer_le64(&writer, source_offset);
    err = log_append(store->data, &record, (struct bufpart){.data = payload, .length = sizeof payload},
                     checksums, &entry);
    if (err == ERR_OK) {
        file_record_applied(to, &record, log_position(record.segment, record.place),
                            log_position(record.segment, (uint64_t)record.place + entry->total));
        err = clone_commit(to);
    }
    return err == ERR_OK ? ERR_OK : store__fail(store, err, "a clone can't be written");
}
