/*
 * node.c - the tree over a file's leaves, in memory.
 *
 * A file up to 128 MiB is one leaf; each level above multiplies that by 1024. A child that is not in memory
 * is loaded from its row when it is needed; clean leaves are a cache, inner nodes stay with their file.
 * Every child carries the sums of data and unwritten bytes below it, kept right at each change, so that
 * whole subtrees can be dropped without reading them.
 *
 * Dropping a subtree that has a row only notes the row in the parent: what to do with it is decided when the
 * parent is flushed (if the parent's row is shared, the others keep the subtree).
 */
#include "store/core_priv.h"

#include "dittofs/log.h"
#include <stdlib.h>

static struct data *data_of(const struct data_inode *file)
{
    return file->inode->store->data;
}

static enum err damaged(const struct data_inode *file, uint64_t id, const char *what)
{
    log_error("store: inode %llu: node %llu %s", (unsigned long long)file->inode->attr.ino,
              (unsigned long long)id, what);
    return ERR_CORRUPT;
}

struct child *node_child(struct node *node)
{
    return node->parent != NULL ? &node->parent->children[node->index] : &node->file->root;
}

static void count_memory(struct data *data, struct node *node)
{
    size_t memory =
        sizeof *node + (node->level > 0 ? NODE_CHILDREN * sizeof(struct child) : leaf_memory(&node->leaf));

    data->leaf_bytes += memory - node->memory;
    node->memory = memory;
}

/* Adds to the sums of NODE's child entry and of all above. */
static void add_sums(struct data_inode *file, struct node *node, uint64_t data_bytes,
                     uint64_t unwritten_bytes)
{
    for (; node != NULL; node = node->parent) {
        struct child *child = node_child(node);
        child->data_bytes += data_bytes;
        child->unwritten_bytes += unwritten_bytes;
    }
    (void)file;
}

void node_add_sums(struct node *parent, struct child *child, uint64_t data_bytes, uint64_t unwritten_bytes)
{
    child->data_bytes += data_bytes;
    child->unwritten_bytes += unwritten_bytes;
    add_sums(parent->file, parent, data_bytes, unwritten_bytes);
}

void node_mark_dirty(struct node *node)
{
    for (; node != NULL && !node->dirty; node = node->parent) {
        node->dirty = true;
        list_remove(&node->lru);
    }
}

enum err node_new(struct data_inode *file, struct node *parent, uint32_t index, uint8_t level,
                  struct node **node_r)
{
    struct node *node = calloc(1, sizeof *node);

    if (node == NULL)
        return ERR_NOMEM;
    if (level > 0) {
        node->children = calloc(NODE_CHILDREN, sizeof *node->children);
        if (node->children == NULL) {
            free(node);
            return ERR_NOMEM;
        }
    }
    node->file = file;
    node->parent = parent;
    node->index = index;
    node->level = level;
    list_init(&node->lru);
    if (level == 0)
        list_push_back(&data_of(file)->leaf_lru, &node->lru);
    count_memory(data_of(file), node);
    *node_r = node;
    return ERR_OK;
}

/* Uses of blocks that were added and not flushed end. */
static void end_uses(struct data *data, struct leaf *leaf)
{
    size_t i;

    for (i = 0; i < leaf->change_count; i++) {
        struct block *block;
        enum err err;

        if (!leaf->changes[i].added)
            continue;
        block = block_find(data, leaf->changes[i].block);
        invariant(block != NULL);
        err = block_unuse(data, block);
        if (err != ERR_OK)
            err = store__fail(data->store, err, "a block's row can't be deleted");
    }
    data->change_count -= leaf->change_count;
    leaf_changes_clear(leaf);
}

void node_free(struct data *data, struct node *node)
{
    uint32_t i;

    if (node->level > 0) {
        for (i = 0; i < NODE_CHILDREN; i++)
            if (node->children[i].node != NULL)
                node_free(data, node->children[i].node);
        free(node->children);
    } else {
        end_uses(data, &node->leaf);
        leaf_free(&node->leaf);
    }
    free(node->dropped);
    list_remove(&node->lru);
    data->leaf_bytes -= node->memory;
    free(node);
}

static enum err decode_node(struct node *node, const uint8_t *bytes, size_t length)
{
    const struct child *child = node_child(node);
    uint64_t data_bytes = 0, unwritten_bytes = 0;
    enum err err;
    uint32_t i;

    if (node->level == 0) {
        err = leaf_decode(&node->leaf, bytes, length);
        data_bytes = node->leaf.data_bytes;
        unwritten_bytes = node->leaf.unwritten_bytes;
    } else {
        err = children_decode(bytes, length, node->level, node->children);
        for (i = 0; i < NODE_CHILDREN; i++) {
            data_bytes += node->children[i].data_bytes;
            unwritten_bytes += node->children[i].unwritten_bytes;
        }
    }
    if (err == ERR_OK && (data_bytes != child->data_bytes || unwritten_bytes != child->unwritten_bytes))
        err = ERR_CORRUPT;
    if (err == ERR_CORRUPT)
        return damaged(node->file, child->id, "is damaged");
    return err;
}

/* A node for a child that is unwritten all over. */
static enum err fill_node(struct node *node)
{
    struct piece with = {.kind = PIECE_UNWRITTEN};
    uint32_t i;

    if (node->level == 0)
        return leaf_replace(&node->leaf, 0, LEAF_BYTES, &with);
    for (i = 0; i < NODE_CHILDREN; i++) {
        node->children[i].id = NODE_UNWRITTEN;
        node->children[i].unwritten_bytes = level_bytes(node->level - 1u);
    }
    return ERR_OK;
}

static enum err read_row(struct node *node, uint64_t id)
{
    struct store *store = node->file->inode->store;
    sqlite3_stmt *statement = store__prepare(store, "SELECT level, data FROM node WHERE id = ?1");
    enum err err;
    bool row;

    if (statement == NULL)
        return ERR_NOMEM;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)id);
    err = store__step(store, statement, &row);
    if (err == ERR_OK && !row)
        err = damaged(node->file, id, "is referred to and not there");
    if (err == ERR_OK && sqlite3_column_int(statement, 0) != node->level)
        err = damaged(node->file, id, "is of another level");
    if (err == ERR_OK)
        err =
            decode_node(node, sqlite3_column_blob(statement, 1), (size_t)sqlite3_column_bytes(statement, 1));
    store__release(store, statement);
    return err;
}

enum err node_load(struct data_inode *file, struct node *parent, uint32_t index, uint8_t level,
                   struct node **node_r)
{
    struct child *child = parent != NULL ? &parent->children[index] : &file->root;
    struct node *node;
    enum err err;

    if (child->node != NULL) {
        *node_r = child->node;
        return ERR_OK;
    }
    err = node_new(file, parent, index, level, &node);
    if (err != ERR_OK)
        return err;
    if (child->id == NODE_UNWRITTEN)
        err = fill_node(node);
    else if (child->id != 0)
        err = read_row(node, child->id);
    if (err != ERR_OK) {
        node_free(data_of(file), node);
        return err;
    }
    count_memory(data_of(file), node);
    child->node = node;
    *node_r = node;
    return ERR_OK;
}

/* ---- files ---- */

static enum err load_inline(struct data_inode *file, const struct root *root)
{
    struct node *node;
    enum err err = node_new(file, NULL, 0, 0, &node);

    if (err != ERR_OK)
        return err;
    err = decode_node(node, root->leaf, root->leaf_length);
    if (err != ERR_OK) {
        node_free(data_of(file), node);
        return err;
    }
    node->is_inline = true;
    count_memory(data_of(file), node);
    file->root.node = node;
    return ERR_OK;
}

static enum err load_root(struct data_inode *file)
{
    struct root root;
    enum err err = root_decode(file->inode->root, file->inode->root_length, &root);

    if (err != ERR_OK)
        return damaged(file, 0, "(the root) is damaged");
    file->height = root.height;
    file->root =
        (struct child){.id = root.id, .data_bytes = root.data_bytes, .unwritten_bytes = root.unwritten_bytes};
    if (root.leaf_length > 0) {
        err = load_inline(file, &root);
        if (err != ERR_OK)
            return err;
    }
    file->loaded = true;
    file->unwritten_counted = file->unwritten_flushed = root.unwritten_bytes;
    return ERR_OK;
}

enum err file_of(struct inode *inode, struct data_inode **file_r)
{
    struct data_inode *file = inode->data;
    enum err err;

    if (file == NULL) {
        file = calloc(1, sizeof *file);
        if (file == NULL)
            return ERR_NOMEM;
        file->inode = inode;
        list_init(&file->dirty_link);
        list_init(&file->logged_link);
        list_init(&file->urgent_link);
        inode->data = file;
    }
    if (!file->loaded) {
        err = load_root(file);
        if (err != ERR_OK)
            return err;
    }
    *file_r = file;
    return ERR_OK;
}

void file_discard(struct data_inode *file)
{
    if (file->root.node != NULL)
        node_free(data_of(file), file->root.node);
    file->root.node = NULL;
    free(file->dropped);
    file->dropped = NULL;
    file->dropped_count = 0;
    file->loaded = false;
    list_remove(&file->dirty_link);
    list_remove(&file->logged_link);
    list_remove(&file->urgent_link);
}

enum err file_grow(struct data_inode *file, uint64_t offset)
{
    while (offset >= level_bytes(file->height)) {
        struct child old = file->root;
        struct node *node;
        enum err err;

        if (old.id == 0 && old.node == NULL) { /* nothing there: only higher */
            file->height++;
            continue;
        }
        err = node_new(file, NULL, 0, (uint8_t)(file->height + 1), &node);
        if (err != ERR_OK)
            return err;
        node->children[0] = old;
        file->root.id = 0;
        file->root.node = node;
        file->height++;
        if (old.node != NULL)
            old.node->parent = node;
        node->dirty = true;
        /* The leaf's references were counted in line: its first row takes them over. */
        if (old.node != NULL && old.node->is_inline)
            node_mark_dirty(old.node);
    }
    return ERR_OK;
}

enum err file_leaf(struct data_inode *file, uint64_t offset, bool create, struct node **node_r,
                   enum piece_kind *kind_r)
{
    struct node *parent = NULL, *node;
    unsigned level;
    uint32_t index = 0;
    enum err err;

    if (offset >= level_bytes(file->height)) {
        if (!create) {
            *node_r = NULL;
            *kind_r = PIECE_HOLE;
            return ERR_OK;
        }
        err = file_grow(file, offset);
        if (err != ERR_OK)
            return err;
    }
    for (level = file->height;; level--) {
        struct child *child = parent != NULL ? &parent->children[index] : &file->root;

        if (child->node == NULL && !create && child->id < NODE_FIRST_ID) {
            *node_r = NULL;
            *kind_r = child->id == 0 ? PIECE_HOLE : PIECE_UNWRITTEN;
            return ERR_OK;
        }
        err = node_load(file, parent, index, (uint8_t)level, &node);
        if (err != ERR_OK)
            return err;
        if (level == 0)
            break;
        parent = node;
        index = (uint32_t)(offset / level_bytes(level - 1) % NODE_CHILDREN);
    }
    if (!node->dirty) {
        list_remove(&node->lru);
        list_push_back(&data_of(file)->leaf_lru, &node->lru);
    }
    *node_r = node;
    *kind_r = PIECE_DATA;
    return ERR_OK;
}

enum err node_replace(struct node *node, uint32_t start, uint32_t length, const struct piece *with)
{
    uint64_t data_bytes = node->leaf.data_bytes, unwritten_bytes = node->leaf.unwritten_bytes;
    size_t changes = node->leaf.change_count;
    enum err err = leaf_replace(&node->leaf, start, length, with);

    add_sums(node->file, node, node->leaf.data_bytes - data_bytes,
             node->leaf.unwritten_bytes - unwritten_bytes);
    data_of(node->file)->change_count += node->leaf.change_count - changes;
    node_mark_dirty(node);
    count_memory(data_of(node->file), node);
    return err;
}

enum err node_drop_row(struct data_inode *file, struct node *parent, uint64_t id)
{
    uint64_t **dropped = parent != NULL ? &parent->dropped : &file->dropped;
    size_t *count = parent != NULL ? &parent->dropped_count : &file->dropped_count;
    uint64_t *more;

    /* Grown at powers of two. */
    if ((*count & (*count - 1)) == 0) {
        more = realloc(*dropped, (*count > 0 ? *count * 2 : 1) * sizeof *more);
        if (more == NULL)
            return ERR_NOMEM;
        *dropped = more;
    }
    (*dropped)[(*count)++] = id;
    return ERR_OK;
}

/* The whole subtree goes. */
static enum err drop_child(struct data_inode *file, struct node *parent, struct child *child)
{
    enum err err;

    if (child->id >= NODE_FIRST_ID) {
        err = node_drop_row(file, parent, child->id);
        if (err != ERR_OK)
            return err;
    }
    add_sums(file, parent, 0 - child->data_bytes, 0 - child->unwritten_bytes);
    if (child->node != NULL)
        node_free(data_of(file), child->node);
    *child = (struct child){.id = 0};
    if (parent != NULL)
        node_mark_dirty(parent);
    return ERR_OK;
}

/* Makes [FROM, TO), counted from the start of what the child covers, a hole. */
static enum err clear_child(struct data_inode *file, struct node *parent, uint32_t index, unsigned level,
                            uint64_t from, uint64_t to)
{
    struct child *child = parent != NULL ? &parent->children[index] : &file->root;
    uint64_t below = level > 0 ? level_bytes(level - 1) : 0;
    struct node *node;
    enum err err;
    uint64_t i;

    if (child->id == 0 && child->node == NULL)
        return ERR_OK;
    if (from == 0 && to == level_bytes(level) && (child->node == NULL || !child->node->is_inline) &&
        !(level > 0 && child->id == 0))
        return drop_child(file, parent, child);
    err = node_load(file, parent, index, (uint8_t)level, &node);
    if (err != ERR_OK)
        return err;
    if (level == 0)
        return node->leaf.piece_count == 0 ? ERR_OK
                                           : node_replace(node, (uint32_t)from, (uint32_t)(to - from), NULL);
    for (i = from / below; i < NODE_CHILDREN && i * below < to; i++) {
        uint64_t start = i * below, low = from > start ? from - start : 0;
        uint64_t high = to - start < below ? to - start : below;

        err = clear_child(file, node, (uint32_t)i, level - 1, low, high);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

enum err file_clear(struct data_inode *file, uint64_t offset, uint64_t end)
{
    uint64_t most = level_bytes(file->height);

    if (end > most)
        end = most;
    return offset < end ? clear_child(file, NULL, 0, file->height, offset, end) : ERR_OK;
}

static enum err fill_leaf(struct node *node, uint32_t from, uint32_t to)
{
    static const struct piece with = {.kind = PIECE_UNWRITTEN};
    enum err err = ERR_OK;

    while (err == ERR_OK && from < to) {
        struct piece piece;

        leaf_at(&node->leaf, from, &piece);
        if (piece.length > to - from)
            piece.length = to - from;
        if (piece.kind == PIECE_HOLE)
            err = node_replace(node, from, piece.length, &with);
        from += piece.length;
    }
    return err;
}

/* Makes the holes in [FROM, TO) unwritten. */
static enum err fill_child(struct data_inode *file, struct node *parent, uint32_t index, unsigned level,
                           uint64_t from, uint64_t to)
{
    struct child *child = parent != NULL ? &parent->children[index] : &file->root;
    uint64_t below = level > 0 ? level_bytes(level - 1) : 0;
    struct node *node;
    enum err err;
    uint64_t i;

    if (child->id == NODE_UNWRITTEN && child->node == NULL)
        return ERR_OK;
    if (child->id == 0 && child->node == NULL && from == 0 && to == level_bytes(level)) {
        child->id = NODE_UNWRITTEN;
        child->unwritten_bytes = to;
        add_sums(file, parent, 0, to);
        if (parent != NULL)
            node_mark_dirty(parent);
        return ERR_OK;
    }
    err = node_load(file, parent, index, (uint8_t)level, &node);
    if (err != ERR_OK)
        return err;
    if (level == 0)
        return fill_leaf(node, (uint32_t)from, (uint32_t)to);
    for (i = from / below; i < NODE_CHILDREN && i * below < to; i++) {
        uint64_t start = i * below, low = from > start ? from - start : 0;
        uint64_t high = to - start < below ? to - start : below;

        err = fill_child(file, node, (uint32_t)i, level - 1, low, high);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

enum err file_fill(struct data_inode *file, uint64_t offset, uint64_t end)
{
    enum err err = offset < end ? file_grow(file, end - 1) : ERR_OK;

    return err == ERR_OK && offset < end ? fill_child(file, NULL, 0, file->height, offset, end) : err;
}

/* Is all that CHILD covers of one kind? Its sums say so, without a look at what may be thousands of leaves.
 */
static bool is_uniform(const struct child *child, unsigned level, enum piece_kind *kind_r)
{
    if (child->data_bytes == level_bytes(level))
        *kind_r = PIECE_DATA;
    else if (child->unwritten_bytes == level_bytes(level))
        *kind_r = PIECE_UNWRITTEN;
    else if (child->data_bytes + child->unwritten_bytes == 0)
        *kind_r = PIECE_HOLE;
    else
        return false;
    return true;
}

enum err file_extent(struct data_inode *file, uint64_t offset, enum piece_kind *kind_r, uint64_t *length_r)
{
    struct child *child = &file->root;
    unsigned level = file->height;
    struct piece piece;
    struct node *node;
    enum err err;

    if (offset >= level_bytes(level)) {
        *kind_r = PIECE_HOLE;
        *length_r = STORE_FILE_SIZE_MAX - offset;
        return ERR_OK;
    }
    for (;; level--) {
        if (is_uniform(child, level, kind_r)) {
            *length_r = level_bytes(level) - offset % level_bytes(level);
            return ERR_OK;
        }
        if (level == 0 || child->node == NULL)
            break;
        child = &child->node->children[offset / level_bytes(level - 1) % NODE_CHILDREN];
    }
    err = file_leaf(file, offset, false, &node, kind_r);
    if (err != ERR_OK)
        return err;
    *length_r = LEAF_BYTES - offset % LEAF_BYTES;
    if (node == NULL)
        return ERR_OK;
    leaf_at(&node->leaf, (uint32_t)(offset % LEAF_BYTES), &piece);
    *kind_r = piece.kind;
    *length_r = piece.length;
    return ERR_OK;
}

enum err file_count(struct data_inode *file, uint64_t offset, uint64_t end, enum piece_kind kind,
                    uint64_t *bytes_r)
{
    uint64_t sum = 0;

    while (offset < end) {
        enum piece_kind found;
        uint64_t length;
        enum err err = file_extent(file, offset, &found, &length);

        if (err != ERR_OK)
            return err;
        if (length > end - offset)
            length = end - offset;
        sum += found == kind ? length : 0;
        offset += length;
    }
    *bytes_r = sum;
    return ERR_OK;
}

enum err file_prepare(struct data_inode *file, uint64_t offset, uint64_t end)
{
    enum piece_kind kind;
    struct node *node;
    enum err err = file_leaf(file, offset, false, &node, &kind);

    if (err == ERR_OK && end > offset)
        err = file_leaf(file, end - 1, false, &node, &kind);
    return err;
}

void leaves_trim(struct data *data)
{
    size_t most = data->store->options.block_cache_bytes / 2;

    while (data->leaf_bytes > most && !list_is_empty(&data->leaf_lru)) {
        struct node *node = list_first(&data->leaf_lru, struct node, lru);

        node_child(node)->node = NULL;
        if (node->is_inline)
            node->file->loaded = false;
        node_free(data, node);
    }
}
