/*
 * record.c - small records of other rooms, the trees of exports, and secrets: rows that are read and written
 * as they are.
 */
#include "dittofs/log.h"
#include "dittofs/random.h"
#include "store/data_priv.h"
#include "store/inode_priv.h"
#include "store/sql_priv.h"
#include <stdio.h>
#include <string.h>

enum {
    RECORD_BYTES_MAX = 1 << 20,
    TREE_NAME_MAX = 255,
    SECRET_BYTES_MAX = 64,
    KEY_TEXT_MAX = 100,
};

/* ---- records ---- */

enum err store_record_put(struct store *store, const char *table, const void *key, size_t key_length,
                          const void *value, size_t value_length)
{
    sqlite3_stmt *statement;
    enum err err = store__writable(store);

    if (err == ERR_OK && (key_length > RECORD_BYTES_MAX || value_length > RECORD_BYTES_MAX))
        err = ERR_INVAL;
    if (err == ERR_OK)
        err = data_room(store, key_length + value_length + INODE_ROOM_BYTES);
    if (err == ERR_OK)
        err = store__begin(store);
    if (err != ERR_OK)
        return err;
    statement = store__prepare(store, "INSERT INTO record(tbl, key, value) VALUES(?1, ?2, ?3)"
                                      " ON CONFLICT(tbl, key) DO UPDATE SET value = ?3");
    if (statement == NULL)
        return ERR_NOMEM;
    sqlite3_bind_text(statement, 1, table, -1, SQLITE_STATIC);
    sql_bind_bytes(statement, 2, key, key_length);
    sql_bind_bytes(statement, 3, value, value_length);
    return store__run(store, statement);
}

enum err store_record_delete(struct store *store, const char *table, const void *key, size_t key_length)
{
    sqlite3_stmt *statement;
    enum err err = store__writable(store);

    if (err == ERR_OK)
        err = store__begin(store);
    if (err != ERR_OK)
        return err;
    statement = store__prepare(store, "DELETE FROM record WHERE tbl = ? AND key = ?");
    if (statement == NULL)
        return ERR_NOMEM;
    sqlite3_bind_text(statement, 1, table, -1, SQLITE_STATIC);
    sql_bind_bytes(statement, 2, key, key_length);
    return store__run(store, statement);
}

enum err store_record_scan(struct store *store, const char *table,
                           bool (*each)(void *data, const void *key, size_t key_length, const void *value,
                                        size_t value_length),
                           void *data)
{
    sqlite3_stmt *statement =
        store__prepare(store, "SELECT key, value FROM record WHERE tbl = ? ORDER BY key");
    enum err err;
    bool row, more = true;

    if (statement == NULL)
        return ERR_NOMEM;
    sqlite3_bind_text(statement, 1, table, -1, SQLITE_STATIC);
    do {
        err = store__step(store, statement, &row);
        if (err != ERR_OK || !row)
            break;
        more = each(data, sqlite3_column_blob(statement, 0), (size_t)sqlite3_column_bytes(statement, 0),
                    sqlite3_column_blob(statement, 1), (size_t)sqlite3_column_bytes(statement, 1));
    } while (more);
    store__release(store, statement);
    return err;
}

/* ---- trees ---- */

static enum err find_tree(struct store *store, const char *name, uint32_t *tree_r, uint64_t *root_r)
{
    sqlite3_stmt *statement = store__prepare(store, "SELECT id, root FROM tree WHERE name = ?");
    enum err err;
    bool row;

    if (statement == NULL)
        return ERR_NOMEM;
    sql_bind_bytes(statement, 1, name, strlen(name));
    err = store__step(store, statement, &row);
    if (err == ERR_OK && !row)
        err = ERR_NOENT;
    if (err == ERR_OK) {
        *tree_r = (uint32_t)sqlite3_column_int64(statement, 0);
        *root_r = sql_u64(statement, 1);
    }
    store__release(store, statement);
    return err;
}

static enum err insert_tree(struct store *store, const char *name, uint32_t tree, uint64_t root)
{
    sqlite3_stmt *statement;
    enum err err = store__begin(store);

    if (err != ERR_OK)
        return err;
    statement = store__prepare(store, "INSERT INTO tree(id, name, root) VALUES(?, ?, ?)");
    if (statement == NULL)
        return ERR_NOMEM;
    sqlite3_bind_int64(statement, 1, tree);
    sql_bind_bytes(statement, 2, name, strlen(name));
    sql_bind_u64(statement, 3, root);
    return store__run(store, statement);
}

static enum err next_tree(struct store *store, uint32_t *tree_r)
{
    sqlite3_stmt *statement = store__prepare(store, "SELECT ifnull(max(id), 0) + 1 FROM tree");
    enum err err;
    bool row;

    if (statement == NULL)
        return ERR_NOMEM;
    err = store__step(store, statement, &row);
    if (err == ERR_OK)
        *tree_r = (uint32_t)sqlite3_column_int64(statement, 0);
    store__release(store, statement);
    return err;
}

static enum err make_tree(struct store *store, const char *name, uint32_t uid, uint32_t gid, uint32_t *tree_r,
                          uint64_t *root_r)
{
    struct timestamp now = clock_wall();
    struct inode_attr template = {.type = INODE_DIRECTORY,
                                  .mode = 0755,
                                  .uid = uid,
                                  .gid = gid,
                                  .atime = now,
                                  .mtime = now,
                                  .ctime = now,
                                  .btime = now};
    struct inode_attr *attr;
    struct inode *root;
    enum err err = next_tree(store, &template.tree);

    if (err == ERR_OK)
        err = inode_new(store, &template, NULL, 0, &root);
    if (err != ERR_OK)
        return err;
    err = insert_tree(store, name, template.tree, root->attr.ino);
    if (err == ERR_OK) {
        attr = inode_change(root);
        attr->nlink = 2;
        attr->parent = attr->ino;
        *tree_r = template.tree;
        *root_r = attr->ino;
    }
    inode_unref(&root);
    return err;
}

enum err store_tree_open(struct store *store, const char *name, uint32_t uid, uint32_t gid, uint32_t *tree_r,
                         uint64_t *root_r)
{
    enum err err;

    if (name[0] == '\0' || strlen(name) > TREE_NAME_MAX)
        return ERR_INVAL;
    err = find_tree(store, name, tree_r, root_r);
    if (err == ERR_NOENT)
        err = store__writable(store);
    else
        return err;
    return err == ERR_OK ? make_tree(store, name, uid, gid, tree_r, root_r) : err;
}

/* ---- secrets ---- */

enum err store__blob_get(struct store *store, const char *key, void *value, size_t length)
{
    sqlite3_stmt *statement = store__prepare(store, "SELECT value FROM meta WHERE key = ?");
    enum err err;
    bool row;

    if (statement == NULL)
        return ERR_NOMEM;
    sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC);
    err = store__step(store, statement, &row);
    if (err == ERR_OK && !row)
        err = ERR_NOENT;
    else if (err == ERR_OK && (sqlite3_column_type(statement, 0) != SQLITE_BLOB ||
                               (size_t)sqlite3_column_bytes(statement, 0) != length))
        err = ERR_CORRUPT;
    else if (err == ERR_OK)
        memcpy(value, sqlite3_column_blob(statement, 0), length);
    store__release(store, statement);
    return err;
}

enum err store__blob_put(struct store *store, const char *key, const void *value, size_t length)
{
    sqlite3_stmt *statement;
    enum err err = store__begin(store);

    if (err != ERR_OK)
        return err;
    statement = store__prepare(store, "INSERT INTO meta(key, value) VALUES(?1, ?2)"
                                      " ON CONFLICT(key) DO UPDATE SET value = ?2");
    if (statement == NULL)
        return ERR_NOMEM;
    sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC);
    sql_bind_bytes(statement, 2, value, length);
    return store__run(store, statement);
}

enum err store_secret(struct store *store, const char *name, void *secret, size_t length)
{
    char key[KEY_TEXT_MAX];
    uint8_t fresh[SECRET_BYTES_MAX];
    int text = snprintf(key, sizeof key, "secret %s", name);
    enum err err;

    if (text < 0 || (size_t)text >= sizeof key || length == 0 || length > sizeof fresh)
        return ERR_INVAL;
    err = store__blob_get(store, key, fresh, length);
    if (err == ERR_NOENT) {
        err = store__writable(store);
        if (err != ERR_OK)
            return err;
        random_bytes(fresh, length);
        err = store__blob_put(store, key, fresh, length);
        /* What is made with a secret leaves the machine at once, so it must not be forgotten. Secrets are
         * asked for at the start; one that comes amid a sync is durable with its batch. */
        if (err == ERR_OK)
            err = store__commit_now(store);
        if (err == ERR_BUSY)
            err = ERR_OK;
    }
    if (err == ERR_OK)
        memcpy(secret, fresh, length);
    explicit_bzero(fresh, sizeof fresh);
    return err;
}
