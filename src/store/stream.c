/*
 * stream.c - names of alternate data streams.
 *
 * A file's (or directory's) streams are few, so all of their names are one blob of its inode: for each
 * {u64 number of the stream's inode, u16 length, name}. It changes, and becomes durable, with the inode.
 * Names are compared like those of entries: exactly, or case-folded.
 *
 * Invariant (checked by store_check): an inode of type INODE_STREAM with a link is named by exactly one file.
 */
#include "dittofs/cursor.h"
#include "store/inode_priv.h"

#include <string.h>

enum { ENTRY_FIXED = 8 + 2 };

struct entry {
    uint64_t ino;
    struct store_name name;
};

static enum err blob_of(const struct inode *file, struct reader *reader_r)
{
    const uint8_t *data;
    size_t length;
    enum err err = inode_get_blob(file, STORE_BLOB_STREAMS, &data, &length);

    if (err == ERR_OK)
        *reader_r = reader_of(data, data == NULL ? 0 : length);
    return err;
}

/* The next entry: ERR_NOENT at the end, ERR_CORRUPT. */
static enum err next_entry(struct reader *reader, struct entry *entry)
{
    uint16_t length;

    if (reader_is_done(reader))
        return ERR_NOENT;
    if (!reader_le64(reader, &entry->ino) || !reader_le16(reader, &length) || length == 0 ||
        length > STORE_NAME_MAX || !reader_bytes(reader, length, &entry->name.bytes))
        return ERR_CORRUPT;
    entry->name.length = length;
    return ERR_OK;
}

static bool same(struct store_name a, struct store_name b)
{
    return a.length == b.length && memcmp(a.bytes, b.bytes, a.length) == 0;
}

static bool same_folded(struct store_name a, struct store_name b)
{
    uint8_t folded[2][STORE_NAME_MAX * 3];
    size_t length = store_fold_name(a, folded[0], sizeof folded[0]);

    return length == store_fold_name(b, folded[1], sizeof folded[1]) &&
           memcmp(folded[0], folded[1], length) == 0;
}

static enum err find(const struct inode *file, struct store_name name, enum store_match match,
                     struct entry *entry_r)
{
    struct entry entry, folded;
    struct reader reader;
    bool any = false;
    enum err err = blob_of(file, &reader);

    if (err == ERR_OK && (name.length == 0 || name.length > STORE_NAME_MAX))
        err = name.length == 0 ? ERR_INVAL : ERR_NAMETOOLONG;
    if (err != ERR_OK)
        return err;
    while ((err = next_entry(&reader, &entry)) == ERR_OK) {
        if (same(entry.name, name)) {
            *entry_r = entry;
            return ERR_OK;
        }
        if (match == STORE_FOLDED && !any && same_folded(entry.name, name)) {
            folded = entry;
            any = true;
        }
    }
    if (err == ERR_NOENT && any) {
        *entry_r = folded;
        return ERR_OK;
    }
    return err;
}

enum err stream_lookup(const struct inode *file, struct store_name name, enum store_match match,
                       uint64_t *ino_r, uint8_t *name_r, size_t *length_r)
{
    struct entry entry;
    enum err err = find(file, name, match, &entry);

    if (err != ERR_OK)
        return err;
    *ino_r = entry.ino;
    if (name_r != NULL) {
        memcpy(name_r, entry.name.bytes, entry.name.length);
        *length_r = entry.name.length;
    }
    return ERR_OK;
}

static const struct store_name nothing = {.bytes = NULL, .length = 0};

/* The names but those of GONE and OVER, and behind them {INO, NAME}, when that is not empty. */
static enum err rewrite(struct inode *file, struct store_name gone, struct store_name over,
                        struct store_name name, uint64_t ino)
{
    struct reader old;
    struct writer writer;
    struct entry entry;
    enum err err = blob_of(file, &old);

    if (err != ERR_OK)
        return err;
    writer_init_growing(&writer, INODE_BLOB_MAX);
    while ((err = next_entry(&old, &entry)) == ERR_OK)
        if (!same(entry.name, gone) && !same(entry.name, over))
            writer_bytes(&writer, entry.name.bytes - ENTRY_FIXED, ENTRY_FIXED + entry.name.length);
    if (err == ERR_NOENT && name.length > 0) {
        writer_le64(&writer, ino);
        writer_le16(&writer, (uint16_t)name.length);
        writer_bytes(&writer, name.bytes, name.length);
    }
    if (err == ERR_NOENT)
        err =
            writer.failed ? ERR_LIMIT : inode_set_blob(file, STORE_BLOB_STREAMS, writer.data, writer.length);
    writer_free(&writer);
    return err;
}

enum err stream_insert(struct inode *file, struct store_name name, const struct inode *stream)
{
    struct entry there;
    enum err err = find(file, name, STORE_EXACT, &there);

    if (stream->attr.type != INODE_STREAM ||
        (file->attr.type != INODE_FILE && file->attr.type != INODE_DIRECTORY))
        return ERR_BADTYPE;
    if (err == ERR_OK)
        return ERR_EXIST;
    return err == ERR_NOENT ? rewrite(file, nothing, nothing, name, stream->attr.ino) : err;
}

enum err stream_remove(struct inode *file, struct store_name name, uint64_t ino)
{
    struct entry entry;
    enum err err = find(file, name, STORE_EXACT, &entry);

    if (err == ERR_OK && entry.ino != ino)
        err = ERR_NOENT;
    return err == ERR_OK ? rewrite(file, name, nothing, nothing, 0) : err;
}

enum err stream_rename(struct inode *file, struct store_name from, struct store_name to)
{
    struct entry entry;
    enum err err = find(file, from, STORE_EXACT, &entry);

    if (err != ERR_OK)
        return err;
    if (to.length == 0 || to.length > STORE_NAME_MAX)
        return to.length == 0 ? ERR_INVAL : ERR_NAMETOOLONG;
    return rewrite(file, from, to, to, entry.ino);
}

enum err stream_remove_all(struct inode *file)
{
    return inode_set_blob(file, STORE_BLOB_STREAMS, NULL, 0);
}

enum err stream_scan(const struct inode *file, bool (*each)(void *data, struct store_name name, uint64_t ino),
                     void *data)
{
    struct entry entry;
    struct reader reader;
    enum err err = blob_of(file, &reader);

    if (err != ERR_OK)
        return err;
    while ((err = next_entry(&reader, &entry)) == ERR_OK)
        if (!each(data, entry.name, entry.ino))
            return ERR_OK;
    return err == ERR_NOENT ? ERR_OK : err;
}
