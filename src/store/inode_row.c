/*
 * inode_row.c - an inode as a row: packing, reading, writing, deleting.
 *
 * Columns that checks and queries need stand alone (type, nlink, size, used, data_seq); the rest of struct
 * inode_attr is packed in `attr`, little endian, of fixed length, with a version. `blobs` holds what
 * inode_set_blob was given and the target of a symbolic link, each as {u32 kind, u32 length, bytes}.
 *
 * Data columns (size, used, data_seq, root) and attribute columns are written apart: an inode whose data is
 * not flushed keeps the data columns of its last flush, and attr_seq in `attr` says up to which log record
 * its times are right (docs/STORE.md, two stamps).
 */
#include "store/inode_priv.h"
#include "dittofs/cursor.h"
#include "dittofs/log.h"
#include "store/batch_priv.h"
#include "store/sql_priv.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { ATTR_VERSION = 1 };

static void put_time(struct writer *writer, struct timestamp time)
{
    writer_le64(writer, (uint64_t)time.seconds);
    writer_le32(writer, time.nanoseconds);
}

static bool get_time(struct reader *reader, struct timestamp *time_r)
{
    uint64_t seconds = 0;

    if (!reader_le64(reader, &seconds) || !reader_le32(reader, &time_r->nanoseconds))
        return false;
    time_r->seconds = (int64_t)seconds;
    return time_r->nanoseconds < 1000000000;
}

void inode_attr_encode(const struct inode *inode, uint8_t bytes[INODE_ATTR_BYTES])
{
    const struct inode_attr *attr = &inode->attr;
    struct writer writer;

    writer_init(&writer, bytes, INODE_ATTR_BYTES);
    writer_u8(&writer, ATTR_VERSION);
    writer_u8(&writer, (inode->flags & INODE_XATTRS) != 0);
    writer_le16(&writer, (uint16_t)attr->mode);
    writer_le32(&writer, attr->generation);
    writer_le32(&writer, attr->tree);
    writer_le32(&writer, attr->uid);
    writer_le32(&writer, attr->gid);
    writer_le32(&writer, attr->dos_attributes);
    writer_le32(&writer, attr->device_major);
    writer_le32(&writer, attr->device_minor);
    writer_le64(&writer, attr->change);
    writer_le64(&writer, attr->parent);
    writer_le64(&writer, inode->last_seq);
    put_time(&writer, attr->atime);
    put_time(&writer, attr->mtime);
    put_time(&writer, attr->ctime);
    put_time(&writer, attr->btime);
    invariant(!writer.failed && writer.length == INODE_ATTR_BYTES);
}

bool inode_attr_decode(struct inode *inode, const uint8_t *bytes, size_t length)
{
    struct inode_attr *attr = &inode->attr;
    struct reader reader = reader_of(bytes, length);
    uint8_t version, flags;
    uint16_t mode;

    if (length != INODE_ATTR_BYTES || !reader_u8(&reader, &version) || version != ATTR_VERSION ||
        !reader_u8(&reader, &flags) || flags > 1 || !reader_le16(&reader, &mode) || mode > 07777)
        return false;
    attr->mode = mode;
    if (flags)
        inode->flags |= INODE_XATTRS;
    return reader_le32(&reader, &attr->generation) && reader_le32(&reader, &attr->tree) &&
           reader_le32(&reader, &attr->uid) && reader_le32(&reader, &attr->gid) &&
           reader_le32(&reader, &attr->dos_attributes) && reader_le32(&reader, &attr->device_major) &&
           reader_le32(&reader, &attr->device_minor) && reader_le64(&reader, &attr->change) &&
           reader_le64(&reader, &attr->parent) && reader_le64(&reader, &inode->attr_seq) &&
           get_time(&reader, &attr->atime) && get_time(&reader, &attr->mtime) &&
           get_time(&reader, &attr->ctime) && get_time(&reader, &attr->btime);
}

bool inode_blobs_valid(const uint8_t *bytes, size_t length)
{
    struct reader reader = reader_of(bytes, length);
    uint32_t kind, size;

    while (!reader_is_done(&reader))
        if (!reader_le32(&reader, &kind) || !reader_le32(&reader, &size) || !reader_skip(&reader, size))
            return false;
    return true;
}

/* A copy of a column's bytes; NULL for an empty one. */
static enum err copy_column(sqlite3_stmt *statement, int column, uint8_t **bytes_r, uint32_t *length_r)
{
    const void *bytes = sqlite3_column_blob(statement, column);
    int length = sqlite3_column_bytes(statement, column);

    *bytes_r = NULL;
    *length_r = 0;
    if (length == 0)
        return ERR_OK;
    *bytes_r = bytes != NULL ? malloc((size_t)length) : NULL;
    if (*bytes_r == NULL)
        return ERR_NOMEM;
    memcpy(*bytes_r, bytes, (size_t)length);
    *length_r = (uint32_t)length;
    return ERR_OK;
}

static enum err read_columns(struct inode *inode, sqlite3_stmt *statement)
{
    struct inode_attr *attr = &inode->attr;
    const void *packed = sqlite3_column_blob(statement, 5);
    int type = sqlite3_column_int(statement, 0);
    enum err err;

    attr->type = (enum inode_type)type;
    attr->nlink = (uint32_t)sqlite3_column_int64(statement, 1);
    attr->size = sql_u64(statement, 2);
    attr->used = inode->used_in_row = sql_u64(statement, 3);
    inode->data_seq = sql_u64(statement, 4);
    if (packed == NULL || type < INODE_FILE || type > INODE_STREAM || attr->size > STORE_FILE_SIZE_MAX ||
        !inode_attr_decode(inode, packed, (size_t)sqlite3_column_bytes(statement, 5)))
        return ERR_CORRUPT;
    inode->last_seq = inode->data_seq > inode->attr_seq ? inode->data_seq : inode->attr_seq;
    err = copy_column(statement, 6, &inode->root, &inode->root_length);
    if (err == ERR_OK)
        err = copy_column(statement, 7, &inode->blobs, &inode->blobs_length);
    if (err == ERR_OK && !inode_blobs_valid(inode->blobs, inode->blobs_length))
        err = ERR_CORRUPT;
    return err;
}

enum err inode_row_read(struct inode *inode)
{
    struct store *store = inode->store;
    sqlite3_stmt *statement = store__prepare(
        store, "SELECT type, nlink, size, used, data_seq, attr, root, blobs FROM inode WHERE ino = ?");
    enum err err;
    bool row;

    if (statement == NULL)
        return ERR_NOMEM;
    sql_bind_u64(statement, 1, inode->attr.ino);
    err = store__step(store, statement, &row);
    if (err == ERR_OK)
        err = row ? read_columns(inode, statement) : ERR_STALE;
    store__release(store, statement);
    if (err == ERR_CORRUPT)
        log_error("store: the row of inode %" PRIu64 " is damaged", inode->attr.ino);
    return err;
}

static enum err insert_row(struct inode *inode, const uint8_t *attr)
{
    /* Data that was never flushed: the row says that there is none, the log has it. */
    bool has_data = inode->attr.type == INODE_FILE || inode->attr.type == INODE_STREAM;
    bool flushed = !has_data || (inode->flags & INODE_DATA_DIRTY);
    sqlite3_stmt *statement =
        store__prepare(inode->store, "INSERT INTO inode(ino, type, nlink, size, used, data_seq, attr, root,"
                                     " blobs) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)");

    if (statement == NULL)
        return ERR_NOMEM;
    sql_bind_u64(statement, 1, inode->attr.ino);
    sqlite3_bind_int(statement, 2, (int)inode->attr.type);
    sql_bind_u64(statement, 3, inode->attr.nlink);
    sql_bind_u64(statement, 4, flushed ? inode->attr.size : 0);
    sql_bind_u64(statement, 5, flushed ? inode->attr.used : 0);
    sql_bind_u64(statement, 6, flushed ? inode->data_seq : 0);
    sqlite3_bind_blob(statement, 7, attr, INODE_ATTR_BYTES, SQLITE_STATIC);
    sqlite3_bind_blob(statement, 8, flushed ? inode->root : NULL, (int)inode->root_length, SQLITE_STATIC);
    sqlite3_bind_blob(statement, 9, inode->blobs, (int)inode->blobs_length, SQLITE_STATIC);
    return store__run(inode->store, statement);
}

static enum err update_all(struct inode *inode, const uint8_t *attr)
{
    sqlite3_stmt *statement =
        store__prepare(inode->store, "UPDATE inode SET nlink = ?2, size = ?3, used = ?4, data_seq = ?5,"
                                     " attr = ?6, root = ?7 WHERE ino = ?1");

    if (statement == NULL)
        return ERR_NOMEM;
    sql_bind_u64(statement, 1, inode->attr.ino);
    sql_bind_u64(statement, 2, inode->attr.nlink);
    sql_bind_u64(statement, 3, inode->attr.size);
    sql_bind_u64(statement, 4, inode->attr.used);
    sql_bind_u64(statement, 5, inode->data_seq);
    sqlite3_bind_blob(statement, 6, attr, INODE_ATTR_BYTES, SQLITE_STATIC);
    sqlite3_bind_blob(statement, 7, inode->root, (int)inode->root_length, SQLITE_STATIC);
    return store__run(inode->store, statement);
}

static enum err update_attr(struct inode *inode, const uint8_t *attr)
{
    sqlite3_stmt *statement =
        store__prepare(inode->store, "UPDATE inode SET nlink = ?2, attr = ?3 WHERE ino = ?1");

    if (statement == NULL)
        return ERR_NOMEM;
    sql_bind_u64(statement, 1, inode->attr.ino);
    sql_bind_u64(statement, 2, inode->attr.nlink);
    sqlite3_bind_blob(statement, 3, attr, INODE_ATTR_BYTES, SQLITE_STATIC);
    return store__run(inode->store, statement);
}

static enum err update_blobs(struct inode *inode)
{
    sqlite3_stmt *statement = store__prepare(inode->store, "UPDATE inode SET blobs = ?2 WHERE ino = ?1");

    if (statement == NULL)
        return ERR_NOMEM;
    sql_bind_u64(statement, 1, inode->attr.ino);
    sqlite3_bind_blob(statement, 2, inode->blobs, (int)inode->blobs_length, SQLITE_STATIC);
    return store__run(inode->store, statement);
}

static enum err run_with_ino(struct inode *inode, const char *sql)
{
    sqlite3_stmt *statement = store__prepare(inode->store, sql);

    if (statement == NULL)
        return ERR_NOMEM;
    sql_bind_u64(statement, 1, inode->attr.ino);
    return store__run(inode->store, statement);
}

/* An inode without links is found again after a crash by its row in the orphan table. */
static enum err write_orphan(struct inode *inode)
{
    bool is_orphan = inode->attr.nlink == 0;
    enum err err;

    if (is_orphan == ((inode->flags & INODE_ORPHAN) != 0))
        return ERR_OK;
    err = is_orphan ? run_with_ino(inode, "INSERT OR IGNORE INTO orphan(ino) VALUES(?)")
                    : run_with_ino(inode, "DELETE FROM orphan WHERE ino = ?");
    if (err == ERR_OK)
        inode->flags ^= INODE_ORPHAN;
    return err;
}

enum err inode_row_write(struct inode *inode)
{
    struct store *store = inode->store;
    uint8_t attr[INODE_ATTR_BYTES];
    uint64_t used = inode->used_in_row;
    enum err err = store__begin(store);

    if (err != ERR_OK)
        return err;
    inode_attr_encode(inode, attr);
    if (inode->flags & INODE_NEW) {
        err = insert_row(inode, attr);
        store->totals_changed = true;
    } else {
        err = inode->flags & INODE_DATA_DIRTY ? update_all(inode, attr) : update_attr(inode, attr);
        if (err == ERR_OK && (inode->flags & INODE_BLOBS_DIRTY))
            err = update_blobs(inode);
    }
    if (err == ERR_OK)
        err = write_orphan(inode);
    if (err != ERR_OK)
        return err;
    inode->attr_seq = inode->last_seq;
    if (inode->flags & INODE_DATA_DIRTY)
        used = inode->attr.used;
    store->totals_changed = store->totals_changed || used != inode->used_in_row;
    store->logical_in_rows += used - inode->used_in_row;
    inode->used_in_row = used;
    inode->flags &= ~(uint32_t)(INODE_NEW | INODE_CHANGED);
    return ERR_OK;
}

enum err inode_row_delete(struct inode *inode)
{
    struct store *store = inode->store;
    enum err err = ERR_OK;

    if (inode->flags & (INODE_XATTRS | INODE_ORPHAN) || !(inode->flags & INODE_NEW))
        err = store__begin(store);
    if (err == ERR_OK && (inode->flags & INODE_XATTRS))
        err = run_with_ino(inode, "DELETE FROM xattr WHERE ino = ?");
    if (err == ERR_OK && (inode->flags & INODE_ORPHAN))
        err = run_with_ino(inode, "DELETE FROM orphan WHERE ino = ?");
    if (err == ERR_OK && !(inode->flags & INODE_NEW))
        err = run_with_ino(inode, "DELETE FROM inode WHERE ino = ?");
    if (err != ERR_OK)
        return err;
    store->totals_changed = store->totals_changed || !(inode->flags & INODE_NEW);
    store->logical_in_rows -= inode->used_in_row;
    inode->used_in_row = 0;
    return ERR_OK;
}
