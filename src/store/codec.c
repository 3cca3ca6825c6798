/*
 * codec.c - the encoded forms of inode roots and inner nodes.
 *
 * Root:  version (1), height (1), kind (1): 0 nothing, 1 a leaf in line, 2 a node row; varint data bytes,
 *        varint unwritten bytes; then the encoded leaf, or varint id; CRC-32C of all that (4).
 * Inner: version (1), then for each child that is not a hole: varint holes in front of it, varint id, varint
 *        data bytes, varint unwritten bytes; CRC-32C (4).
 * Whatever is odd is ERR_CORRUPT.
 */
#include "store/core_priv.h"

#include "dittofs/hash.h"

enum { ROOT_VERSION = 1, CHILDREN_VERSION = 1 };
enum root_kind { ROOT_NOTHING, ROOT_INLINE, ROOT_ROW };

static void seal(struct writer *writer, size_t from)
{
    if (!writer->failed)
        writer_le32(writer, crc32c(0, writer->data + from, writer->length - from));
}

/* The bytes in front of the checksum, if it is right and the version is VERSION. */
static bool unseal(const uint8_t *data, size_t length, uint8_t version, struct reader *body_r)
{
    struct reader reader = reader_of(data, length);
    uint32_t crc;
    uint8_t found;

    return length >= 5 && reader_sub(&reader, length - 4, body_r) && reader_le32(&reader, &crc) &&
           crc == crc32c(0, data, length - 4) && reader_u8(body_r, &found) && found == version;
}

void root_encode(const struct root *root, struct writer *writer)
{
    size_t from = writer->length;
    bool is_inline = root->leaf_length > 0;

    writer_u8(writer, ROOT_VERSION);
    writer_u8(writer, (uint8_t)root->height);
    writer_u8(writer, is_inline ? ROOT_INLINE : root->id != 0 ? ROOT_ROW : ROOT_NOTHING);
    varint_write(writer, root->data_bytes);
    varint_write(writer, root->unwritten_bytes);
    if (is_inline)
        writer_bytes(writer, root->leaf, root->leaf_length);
    else if (root->id != 0)
        varint_write(writer, root->id);
    seal(writer, from);
}

static bool fits_level(uint64_t data_bytes, uint64_t unwritten_bytes, unsigned level)
{
    uint64_t most = level_bytes(level);

    return data_bytes <= most && unwritten_bytes <= most - data_bytes;
}

enum err root_decode(const uint8_t *data, size_t length, struct root *root_r)
{
    struct root root = {.height = 0};
    struct reader body;
    uint8_t height, kind;

    if (length == 0) {
        *root_r = root;
        return ERR_OK;
    }
    if (!unseal(data, length, ROOT_VERSION, &body) || !reader_u8(&body, &height) ||
        !reader_u8(&body, &kind) || !varint_read(&body, &root.data_bytes) ||
        !varint_read(&body, &root.unwritten_bytes) || height > NODE_LEVELS_MOST ||
        !fits_level(root.data_bytes, root.unwritten_bytes, height))
        return ERR_CORRUPT;
    root.height = height;
    if (kind == ROOT_INLINE) {
        root.leaf = body.at;
        root.leaf_length = body.left;
        if (height > 0 || root.leaf_length == 0)
            return ERR_CORRUPT;
    } else if (kind == ROOT_ROW) {
        if (!varint_read(&body, &root.id) || !reader_is_done(&body) || root.id > INT64_MAX ||
            (root.id < NODE_FIRST_ID && root.id != NODE_UNWRITTEN))
            return ERR_CORRUPT;
    } else if (kind != ROOT_NOTHING || !reader_is_done(&body) || root.data_bytes + root.unwritten_bytes > 0) {
        return ERR_CORRUPT;
    }
    *root_r = root;
    return ERR_OK;
}

void children_encode(const struct child *children, struct writer *writer)
{
    size_t from = writer->length;
    uint32_t i, holes = 0;

    writer_u8(writer, CHILDREN_VERSION);
    for (i = 0; i < NODE_CHILDREN; i++) {
        if (children[i].id == 0) {
            holes++;
            continue;
        }
        varint_write(writer, holes);
        holes = 0;
        varint_write(writer, children[i].id);
        varint_write(writer, children[i].data_bytes);
        varint_write(writer, children[i].unwritten_bytes);
    }
    seal(writer, from);
}

enum err children_decode(const uint8_t *data, size_t length, unsigned level, struct child *children)
{
    struct reader body;
    uint64_t index = 0, holes;

    if (!unseal(data, length, CHILDREN_VERSION, &body))
        return ERR_CORRUPT;
    for (; !reader_is_done(&body); index++) {
        struct child child = {.id = 0};

        if (!varint_read(&body, &holes) || !varint_read(&body, &child.id) ||
            !varint_read(&body, &child.data_bytes) || !varint_read(&body, &child.unwritten_bytes) ||
            holes >= NODE_CHILDREN || index + holes >= NODE_CHILDREN || child.id > INT64_MAX ||
            (child.id < NODE_FIRST_ID && child.id != NODE_UNWRITTEN) ||
            !fits_level(child.data_bytes, child.unwritten_bytes, level - 1))
            return ERR_CORRUPT;
        index += holes;
        children[index] = child;
    }
    return ERR_OK;
}
