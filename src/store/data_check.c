/*
 * data_check.c - DATA's half of store_check: everything is counted once more.
 *
 * All references are gathered (from inodes' roots, nodes and the garbage table to nodes; from inline leaves
 * and nodes to blocks), sorted, and merged with the rows in order of their ids. Then every block is read from
 * its segment, and its bytes are compared with its checksums and its hash.
 *
 * Rows of blocks with 0 references are no finding: the next start removes them.
 */
#include "store/core_priv.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

struct node_reference {
    uint64_t id, data_bytes, unwritten_bytes;
    uint64_t from; /* inode (LEVEL_ANY: garbage) or node, for the text */
    unsigned level;
};
enum { LEVEL_ANY = UINT8_MAX };

struct block_reference {
    uint64_t id;
    uint32_t end; /* of the piece, in the block */
};

struct found_block {
    uint64_t id, place;
    uint32_t length;
};

struct check {
    struct store_checker *checker;
    struct node_reference *nodes;
    struct block_reference *blocks;
    struct found_block *found;
    size_t node_count, node_capacity, block_count, block_capacity, found_count, found_capacity;
    size_t node_at, block_at, found_at; /* how far they are compared */
    uint64_t unwritten_bytes;
    struct disk_file *file; /* the segment that was read last */
    uint32_t segment;
    uint8_t *buffer;
};

/* ---- gathering ---- */

/* Room for one more member of SIZE bytes. */
static enum err grow(void **members, size_t count, size_t *capacity, size_t size)
{
    size_t wanted = *capacity > 0 ? *capacity * 2 : 1024;
    void *more;

    if (count < *capacity)
        return ERR_OK;
    more = realloc(*members, wanted * size);
    if (more == NULL)
        return ERR_NOMEM;
    *members = more;
    *capacity = wanted;
    return ERR_OK;
}

static enum err add_node(struct check *check, const struct child *child, unsigned level, uint64_t from)
{
    enum err err =
        grow((void **)&check->nodes, check->node_count, &check->node_capacity, sizeof *check->nodes);

    if (err != ERR_OK || child->id < NODE_FIRST_ID)
        return err;
    check->nodes[check->node_count++] = (struct node_reference){.id = child->id,
                                                                .data_bytes = child->data_bytes,
                                                                .unwritten_bytes = child->unwritten_bytes,
                                                                .from = from,
                                                                .level = level};
    return ERR_OK;
}

static enum err add_pieces(struct check *check, const struct leaf *leaf)
{
    uint32_t i, k;

    for (i = 0; i < leaf->slot_count; i++)
        for (k = 0; k < leaf->slots[i].count; k++) {
            const struct piece *piece = &slot_pieces(&leaf->slots[i])[k];
            enum err err;

            if (piece->kind != PIECE_DATA)
                continue;
            err = grow((void **)&check->blocks, check->block_count, &check->block_capacity,
                       sizeof *check->blocks);
            if (err != ERR_OK)
                return err;
            check->blocks[check->block_count++] =
                (struct block_reference){.id = piece->block, .end = piece->skip + piece->length};
        }
    return ERR_OK;
}

/* Calls EACH for the rows of SQL. */
static enum err each_row(struct check *check, const char *sql,
                         enum err (*each)(struct check *check, sqlite3_stmt *row))
{
    sqlite3_stmt *statement;
    enum err err = ERR_OK;
    int code = sqlite3_prepare_v2(check->checker->db, sql, -1, &statement, NULL);

    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(statement);
        if (code != SQLITE_ROW)
            break;
        err = each(check, statement);
        if (err != ERR_OK)
            break;
    }
    sqlite3_finalize(statement);
    if (err == ERR_OK && code != SQLITE_DONE) {
        store__finding(check->checker, "the data tables can't be read: %s",
                       sqlite3_errmsg(check->checker->db));
        return code == SQLITE_NOMEM ? ERR_NOMEM : code == SQLITE_CORRUPT ? ERR_CORRUPT : ERR_IO;
    }
    return err;
}

/* ino, size, used, root */
static enum err check_inode(struct check *check, sqlite3_stmt *row)
{
    uint64_t ino = (uint64_t)sqlite3_column_int64(row, 0), size = (uint64_t)sqlite3_column_int64(row, 1);
    uint64_t used = (uint64_t)sqlite3_column_int64(row, 2);
    struct leaf leaf = {0};
    struct child child;
    struct root root;
    enum err err = root_decode(sqlite3_column_blob(row, 3), (size_t)sqlite3_column_bytes(row, 3), &root);

    if (err == ERR_OK && root.leaf_length > 0)
        err = leaf_decode(&leaf, root.leaf, root.leaf_length);
    if (err == ERR_OK && root.leaf_length > 0 &&
        (leaf.data_bytes != root.data_bytes || leaf.unwritten_bytes != root.unwritten_bytes))
        err = ERR_CORRUPT;
    if (err == ERR_CORRUPT) {
        store__finding(check->checker, "the root of inode %" PRIu64 " is damaged", ino);
        leaf_free(&leaf);
        return ERR_OK;
    }
    if (err == ERR_OK && (root.data_bytes + root.unwritten_bytes != used || root.data_bytes > size))
        store__finding(check->checker,
                       "inode %" PRIu64 " (size %" PRIu64 ") uses %" PRIu64 " bytes, but has %" PRIu64
                       " of data and %" PRIu64 " unwritten",
                       ino, size, used, root.data_bytes, root.unwritten_bytes);
    check->unwritten_bytes += root.unwritten_bytes;
    child =
        (struct child){.id = root.id, .data_bytes = root.data_bytes, .unwritten_bytes = root.unwritten_bytes};
    if (err == ERR_OK)
        err = add_node(check, &child, root.height, ino);
    if (err == ERR_OK)
        err = add_pieces(check, &leaf);
    leaf_free(&leaf);
    return err;
}

static enum err check_garbage(struct check *check, sqlite3_stmt *row)
{
    struct child child = {.id = (uint64_t)sqlite3_column_int64(row, 0)};

    return add_node(check, &child, LEVEL_ANY, 0);
}

static enum err check_inner(struct check *check, uint64_t id, unsigned level, const uint8_t *bytes,
                            size_t length)
{
    struct child *children = calloc(NODE_CHILDREN, sizeof *children);
    enum err err;
    uint32_t i;

    if (children == NULL)
        return ERR_NOMEM;
    err = level <= NODE_LEVELS_MOST ? children_decode(bytes, length, level, children) : ERR_CORRUPT;
    for (i = 0; i < NODE_CHILDREN && err == ERR_OK; i++)
        err = add_node(check, &children[i], level - 1, id);
    free(children);
    return err;
}

/* id, level, data */
static enum err check_node(struct check *check, sqlite3_stmt *row)
{
    uint64_t id = (uint64_t)sqlite3_column_int64(row, 0);
    const uint8_t *bytes = sqlite3_column_blob(row, 2);
    size_t length = (size_t)sqlite3_column_bytes(row, 2);
    struct leaf leaf = {0};
    enum err err;

    if (sqlite3_column_int(row, 1) != 0) {
        err = check_inner(check, id, (unsigned)sqlite3_column_int(row, 1), bytes, length);
    } else {
        err = leaf_decode(&leaf, bytes, length);
        if (err == ERR_OK)
            err = add_pieces(check, &leaf);
        leaf_free(&leaf);
    }
    if (err != ERR_CORRUPT)
        return err;
    store__finding(check->checker, "node %" PRIu64 " is damaged", id);
    return ERR_OK;
}

/* ---- comparing nodes ---- */

static int node_order(const void *a, const void *b)
{
    uint64_t one = ((const struct node_reference *)a)->id, other = ((const struct node_reference *)b)->id;

    return one < other ? -1 : one > other;
}

static int block_order(const void *a, const void *b)
{
    uint64_t one = ((const struct block_reference *)a)->id, other = ((const struct block_reference *)b)->id;

    return one < other ? -1 : one > other;
}

static int place_order(const void *a, const void *b)
{
    uint64_t one = ((const struct found_block *)a)->place, other = ((const struct found_block *)b)->place;

    return one < other ? -1 : one > other;
}

/* Sums of a node's content; false when it is damaged (found before). */
static bool sums_of(unsigned level, const uint8_t *bytes, size_t length, struct child *sums)
{
    struct child *children;
    struct leaf leaf = {0};
    bool good;
    uint32_t i;

    *sums = (struct child){.id = 0};
    if (level == 0) {
        good = leaf_decode(&leaf, bytes, length) == ERR_OK;
        sums->data_bytes = leaf.data_bytes;
        sums->unwritten_bytes = leaf.unwritten_bytes;
        leaf_free(&leaf);
        return good;
    }
    children = calloc(NODE_CHILDREN, sizeof *children);
    good = children != NULL && level <= NODE_LEVELS_MOST &&
           children_decode(bytes, length, level, children) == ERR_OK;
    for (i = 0; good && i < NODE_CHILDREN; i++) {
        sums->data_bytes += children[i].data_bytes;
        sums->unwritten_bytes += children[i].unwritten_bytes;
    }
    free(children);
    return good;
}

static void missing_nodes(struct check *check, uint64_t below)
{
    for (; check->node_at < check->node_count && check->nodes[check->node_at].id < below; check->node_at++)
        store__finding(check->checker, "%" PRIu64 " refers to node %" PRIu64 ", which is missing",
                       check->nodes[check->node_at].from, check->nodes[check->node_at].id);
}

/* id, level, data, refs; in order of id */
static enum err compare_node(struct check *check, sqlite3_stmt *row)
{
    uint64_t id = (uint64_t)sqlite3_column_int64(row, 0);
    unsigned level = (unsigned)sqlite3_column_int(row, 1);
    struct child sums;
    int64_t counted = 0;
    bool good = sums_of(level, sqlite3_column_blob(row, 2), (size_t)sqlite3_column_bytes(row, 2), &sums);

    missing_nodes(check, id);
    for (; check->node_at < check->node_count && check->nodes[check->node_at].id == id;
         check->node_at++, counted++) {
        const struct node_reference *reference = &check->nodes[check->node_at];

        if (!good || reference->level == LEVEL_ANY)
            continue;
        if (reference->level != level)
            store__finding(check->checker, "node %" PRIu64 " is of level %u, but %" PRIu64 " has it at %u",
                           id, level, reference->from, reference->level);
        else if (reference->data_bytes != sums.data_bytes ||
                 reference->unwritten_bytes != sums.unwritten_bytes)
            store__finding(check->checker, "node %" PRIu64 " holds other sums than %" PRIu64 " says", id,
                           reference->from);
    }
    if (counted != sqlite3_column_int64(row, 3))
        store__finding(check->checker, "node %" PRIu64 " has %lld references counted, and %lld", id,
                       (long long)sqlite3_column_int64(row, 3), (long long)counted);
    return ERR_OK;
}

/* ---- comparing blocks ---- */

static void missing_blocks(struct check *check, uint64_t below)
{
    uint64_t last = 0;

    for (; check->block_at < check->block_count && check->blocks[check->block_at].id < below;
         check->block_at++) {
        if (check->blocks[check->block_at].id != last)
            store__finding(check->checker, "block %" PRIx64 " is referred to, and missing",
                           check->blocks[check->block_at].id);
        last = check->blocks[check->block_at].id;
    }
}

static bool bytes_match(struct check *check, uint32_t length, const uint8_t *checksums, const uint8_t *hash)
{
    struct reader reader = reader_of(checksums, record_chunks(length) * sizeof(uint32_t));
    uint32_t numbers[STORE_BLOCK_SIZE / RECORD_CHUNK], wanted, i;
    uint8_t digest[EVP_MAX_MD_SIZE];

    record_checksums(0, check->buffer, length, numbers);
    for (i = 0; i < record_chunks(length); i++)
        if (!reader_le32(&reader, &wanted) || wanted != numbers[i])
            return false;
    return hash == NULL || (EVP_Digest(check->buffer, length, digest, NULL, EVP_sha256(), NULL) == 1 &&
                            memcmp(digest, hash, HASH_BYTES) == 0);
}

/* A block's bytes against its checksums and its hash. The file stays open for the next one. */
static void check_bytes(struct check *check, sqlite3_stmt *row, const struct found_block *block)
{
    const uint8_t *hash = sqlite3_column_type(row, 4) == SQLITE_NULL ? NULL : sqlite3_column_blob(row, 4);
    enum err err = ERR_OK;
    char name[20];
    size_t got = 0;

    if (check->file == NULL || check->segment != position_segment(block->place)) {
        if (check->file != NULL)
            disk_close(&check->file);
        check->segment = position_segment(block->place);
        segment_name(check->segment, name);
        err = disk_open(check->checker->disk, name, DISK_READ, &check->file);
        if (err != ERR_OK)
            check->file = NULL;
    }
    if (err == ERR_OK)
        err = disk_pread(check->file, check->buffer, block->length, position_place(block->place), &got);
    if (err != ERR_OK || got < block->length)
        store__finding(check->checker, "block %" PRIx64 " at %" PRIx64 " can't be read: %s", block->id,
                       block->place, err != ERR_OK ? err_text(err) : "its segment ends before");
    else if (hash != NULL && sqlite3_column_bytes(row, 4) != HASH_BYTES)
        store__finding(check->checker, "block %" PRIx64 " has a hash of another kind", block->id);
    else if (!bytes_match(check, block->length, sqlite3_column_blob(row, 5), hash))
        store__finding(check->checker, "block %" PRIx64 " at %" PRIx64 " has other bytes than it should",
                       block->id, block->place);
}

/* id, place, length, refs, hash, checksums; in order of id */
static enum err compare_block(struct check *check, sqlite3_stmt *row)
{
    sqlite3_int64 length = sqlite3_column_int64(row, 2);
    struct found_block block = {.id = (uint64_t)sqlite3_column_int64(row, 0)};
    int64_t counted = 0;
    uint32_t end = 0;
    enum err err;

    missing_blocks(check, block.id);
    for (; check->block_at < check->block_count && check->blocks[check->block_at].id == block.id;
         check->block_at++, counted++)
        if (check->blocks[check->block_at].end > end)
            end = check->blocks[check->block_at].end;
    if (counted != sqlite3_column_int64(row, 3))
        store__finding(check->checker, "block %" PRIx64 " has %lld references counted, and %lld", block.id,
                       (long long)sqlite3_column_int64(row, 3), (long long)counted);
    block.place =
        sqlite3_column_type(row, 1) == SQLITE_NULL ? block.id : (uint64_t)sqlite3_column_int64(row, 1);
    if (length <= 0 || length > STORE_BLOCK_SIZE || end > length || position_segment(block.place) == 0 ||
        (size_t)sqlite3_column_bytes(row, 5) != record_chunks((uint32_t)length) * sizeof(uint32_t)) {
        store__finding(check->checker, "the row of block %" PRIx64 " is damaged", block.id);
        return ERR_OK;
    }
    block.length = (uint32_t)length;
    err = grow((void **)&check->found, check->found_count, &check->found_capacity, sizeof *check->found);
    if (err != ERR_OK)
        return err;
    check->found[check->found_count++] = block;
    check_bytes(check, row, &block);
    return ERR_OK;
}

/* ---- segments and sums ---- */

/* id, live; in order of id. Segments without a row have no blocks. */
static enum err compare_segment(struct check *check, sqlite3_stmt *row)
{
    uint32_t id = (uint32_t)sqlite3_column_int64(row, 0);
    int64_t live = 0;

    for (;
         check->found_at < check->found_count && position_segment(check->found[check->found_at].place) <= id;
         check->found_at++) {
        if (position_segment(check->found[check->found_at].place) < id)
            store__finding(check->checker, "segment %" PRIx32 " has blocks, but is not counted",
                           position_segment(check->found[check->found_at].place));
        else
            live += check->found[check->found_at].length;
    }
    if (live != sqlite3_column_int64(row, 1))
        store__finding(check->checker, "segment %" PRIx32 " has %lld live bytes counted, and %lld", id,
                       (long long)sqlite3_column_int64(row, 1), (long long)live);
    return ERR_OK;
}

static void check_overlaps(struct check *check)
{
    size_t i;

    for (i = 1; i < check->found_count; i++)
        if (check->found[i - 1].place + check->found[i - 1].length > check->found[i].place)
            store__finding(check->checker, "blocks %" PRIx64 " and %" PRIx64 " overlap",
                           check->found[i - 1].id, check->found[i].id);
}

static enum err compare_unwritten(struct check *check, sqlite3_stmt *row)
{
    if ((uint64_t)sqlite3_column_int64(row, 0) != check->unwritten_bytes)
        store__finding(check->checker, "%lld unwritten bytes are counted, %" PRIu64 " are there",
                       (long long)sqlite3_column_int64(row, 0), check->unwritten_bytes);
    return ERR_OK;
}

static enum err run(struct check *check)
{
    enum err err =
        each_row(check, "SELECT ino, size, used, root FROM inode WHERE type IN (1, 8)", check_inode);

    if (err == ERR_OK)
        err = each_row(check, "SELECT node FROM garbage", check_garbage);
    if (err == ERR_OK)
        err = each_row(check, "SELECT id, level, data FROM node", check_node);
    if (err != ERR_OK)
        return err;
    if (check->node_count > 1)
        qsort(check->nodes, check->node_count, sizeof *check->nodes, node_order);
    if (check->block_count > 1)
        qsort(check->blocks, check->block_count, sizeof *check->blocks, block_order);
    err = each_row(check, "SELECT id, level, data, refs FROM node ORDER BY id", compare_node);
    missing_nodes(check, UINT64_MAX);
    if (err == ERR_OK)
        err = each_row(check, "SELECT id, place, length, refs, hash, checksums FROM block ORDER BY id",
                       compare_block);
    missing_blocks(check, UINT64_MAX);
    if (err != ERR_OK)
        return err;
    if (check->found_count > 1)
        qsort(check->found, check->found_count, sizeof *check->found, place_order);
    check_overlaps(check);
    err = each_row(check, "SELECT id, live FROM segment ORDER BY id", compare_segment);
    if (err == ERR_OK && check->found_at < check->found_count)
        store__finding(check->checker, "segment %" PRIx32 " has blocks, but is not counted",
                       position_segment(check->found[check->found_at].place));
    if (err == ERR_OK)
        err = each_row(check, "SELECT ifnull((SELECT value FROM meta WHERE key = 'unwritten bytes'), 0)",
                       compare_unwritten);
    return err;
}

enum err data_check(struct store_checker *checker)
{
    struct check check = {.checker = checker, .buffer = malloc(STORE_BLOCK_SIZE)};
    enum err err = check.buffer == NULL ? ERR_NOMEM : ERR_OK;

    if (err == ERR_OK)
        err = run(&check);
    if (check.file != NULL)
        disk_close(&check.file);
    free(check.buffer);
    free(check.nodes);
    free(check.blocks);
    free(check.found);
    return err;
}
