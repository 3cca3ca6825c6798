/*
 * xattr.c - extended attributes: rows of their own, in byte order of names.
 *
 * An inode that never had one is flagged, so that asking for its attributes costs no statement.
 */
#include "store/data_priv.h"
#include "store/inode_priv.h"
#include "store/sql_priv.h"
#include <stdlib.h>
#include <string.h>

static enum err check(struct store_name name)
{
    if (name.length == 0)
        return ERR_INVAL;
    return name.length <= STORE_XATTR_NAME_MAX ? ERR_OK : ERR_NAMETOOLONG;
}

static enum err exists(struct inode *inode, struct store_name name, bool *exists_r)
{
    struct store *store = inode->store;
    sqlite3_stmt *statement;
    enum err err;

    *exists_r = false;
    if (!(inode->flags & INODE_XATTRS))
        return ERR_OK;
    statement = store__prepare(store, "SELECT 1 FROM xattr WHERE ino = ? AND name = ?");
    if (statement == NULL)
        return ERR_NOMEM;
    sql_bind_u64(statement, 1, inode->attr.ino);
    sql_bind_bytes(statement, 2, name.bytes, name.length);
    err = store__step(store, statement, exists_r);
    store__release(store, statement);
    return err;
}

static enum err put(struct inode *inode, struct store_name name, const void *value, size_t length)
{
    struct store *store = inode->store;
    sqlite3_stmt *statement = store__prepare(store, "INSERT INTO xattr(ino, name, value) VALUES(?1, ?2, ?3)"
                                                    " ON CONFLICT(ino, name) DO UPDATE SET value = ?3");

    if (statement == NULL)
        return ERR_NOMEM;
    sql_bind_u64(statement, 1, inode->attr.ino);
    sql_bind_bytes(statement, 2, name.bytes, name.length);
    sql_bind_bytes(statement, 3, value, length);
    return store__run(store, statement);
}

enum err xattr_set(struct inode *inode, struct store_name name, const void *value, size_t length,
                   enum xattr_how how)
{
    struct store *store = inode->store;
    bool is_there = false;
    enum err err = store__writable(store);

    if (err == ERR_OK)
        err = check(name);
    if (err == ERR_OK && length > STORE_XATTR_VALUE_MAX)
        err = ERR_XATTR2BIG;
    if (err == ERR_OK)
        err = data_room(store, length + INODE_ROOM_BYTES);
    if (err == ERR_OK && how != XATTR_EITHER)
        err = exists(inode, name, &is_there);
    if (err == ERR_OK && how == XATTR_CREATE && is_there)
        err = ERR_EXIST;
    if (err == ERR_OK && how == XATTR_REPLACE && !is_there)
        err = ERR_NOXATTR;
    if (err == ERR_OK)
        err = store__begin(store);
    if (err == ERR_OK)
        err = put(inode, name, value, length);
    if (err != ERR_OK)
        return err;
    if (inode->flags & INODE_XATTRS)
        inode->batch = store__batch(store);
    else
        store__inode_mark_dirty(inode, INODE_XATTRS | INODE_ATTR_DIRTY);
    return ERR_OK;
}

/* Keeps BYTES until the next call. */
static enum err keep(struct store *store, const void *bytes, size_t length)
{
    if (length > store->value_capacity) {
        uint8_t *larger = realloc(store->value, length);

        if (larger == NULL)
            return ERR_NOMEM;
        store->value = larger;
        store->value_capacity = length;
    }
    if (length > 0)
        memcpy(store->value, bytes, length);
    return ERR_OK;
}

enum err xattr_get(struct inode *inode, struct store_name name, const uint8_t **value_r, size_t *length_r)
{
    struct store *store = inode->store;
    sqlite3_stmt *statement;
    size_t length = 0;
    enum err err = check(name);
    bool row;

    if (err == ERR_OK && !(inode->flags & INODE_XATTRS))
        err = ERR_NOXATTR;
    if (err != ERR_OK)
        return err;
    statement = store__prepare(store, "SELECT value FROM xattr WHERE ino = ? AND name = ?");
    if (statement == NULL)
        return ERR_NOMEM;
    sql_bind_u64(statement, 1, inode->attr.ino);
    sql_bind_bytes(statement, 2, name.bytes, name.length);
    err = store__step(store, statement, &row);
    if (err == ERR_OK && !row)
        err = ERR_NOXATTR;
    if (err == ERR_OK) {
        length = (size_t)sqlite3_column_bytes(statement, 0);
        err = keep(store, sqlite3_column_blob(statement, 0), length);
    }
    store__release(store, statement);
    if (err != ERR_OK)
        return err;
    *value_r = store->value;
    *length_r = length;
    return ERR_OK;
}

enum err xattr_remove(struct inode *inode, struct store_name name)
{
    struct store *store = inode->store;
    sqlite3_stmt *statement;
    enum err err = store__writable(store);

    if (err == ERR_OK)
        err = check(name);
    if (err == ERR_OK && !(inode->flags & INODE_XATTRS))
        err = ERR_NOXATTR;
    if (err == ERR_OK)
        err = store__begin(store);
    if (err != ERR_OK)
        return err;
    statement = store__prepare(store, "DELETE FROM xattr WHERE ino = ? AND name = ?");
    if (statement == NULL)
        return ERR_NOMEM;
    sql_bind_u64(statement, 1, inode->attr.ino);
    sql_bind_bytes(statement, 2, name.bytes, name.length);
    err = store__run(store, statement);
    if (err == ERR_OK && sqlite3_changes(store->db) == 0)
        return ERR_NOXATTR;
    if (err == ERR_OK)
        inode->batch = store__batch(store);
    return err;
}

enum err xattr_list(struct inode *inode, struct store_name after,
                    bool (*each)(void *data, struct store_name name, size_t value_length), void *data)
{
    struct store *store = inode->store;
    sqlite3_stmt *statement;
    enum err err;
    bool row, more = true;

    if (!(inode->flags & INODE_XATTRS))
        return ERR_OK;
    statement = store__prepare(
        store, "SELECT name, length(value) FROM xattr WHERE ino = ? AND name > ? ORDER BY name");
    if (statement == NULL)
        return ERR_NOMEM;
    sql_bind_u64(statement, 1, inode->attr.ino);
    sql_bind_bytes(statement, 2, after.bytes, after.length);
    do {
        struct store_name name;

        err = store__step(store, statement, &row);
        if (err != ERR_OK || !row)
            break;
        name.bytes = sqlite3_column_blob(statement, 0);
        name.length = (size_t)sqlite3_column_bytes(statement, 0);
        more = each(data, name, (size_t)sqlite3_column_int(statement, 1));
    } while (more);
    store__release(store, statement);
    return err;
}
