/*
 * sql.c - the writer's connection: making and opening the database, the schema, prepared statements, the open
 * transaction.
 *
 * Making a database, in steps that a power cut may separate: an empty database of one page in WAL mode is
 * written, then it and the two names are synced; only then the schema goes through the WAL, in one
 * transaction. So a folder is one of: empty; a database of at most one page and nothing else (begun again); a
 * database whose WAL holds the schema or doesn't (then it is made again). Anything else without a schema is
 * damage and refused, never opened as empty.
 *
 * Statements are kept by the address of their text. A failed statement that changes something leaves the
 * transaction in doubt, so it makes the store fail; the one exception are constraints (ERR_EXIST), which
 * SQLite undoes as a whole.
 */
#include "store/sql_priv.h"
#include "dittofs/log.h"
#include "store/data_priv.h"
#include "store/batch_priv.h"
#include "store/sqlite_door_priv.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    STATEMENT_SLOTS = 512, /* a power of two; far more than there are statements in the sources */
    NESTED_MAX = 16,       /* statements used while the same one is being stepped, at once */
    PAGE_BYTES = 4096,
};

struct sql_slot {
    const char *sql;
    sqlite3_stmt *statement;
};

struct sql_cache {
    struct sql_slot slots[STATEMENT_SLOTS];
    size_t count;
    sqlite3_stmt *nested[NESTED_MAX];
    size_t nested_count;
};

/* Columns that have to be queried or checked stand alone; `attr` is packed by inode_row.c. */
static const char schema[] =
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE tree(id INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE, root INTEGER NOT NULL) STRICT;"
    "CREATE TABLE inode(ino INTEGER PRIMARY KEY, type INTEGER NOT NULL, nlink INTEGER NOT NULL,"
    " size INTEGER NOT NULL, used INTEGER NOT NULL, data_seq INTEGER NOT NULL, attr BLOB NOT NULL,"
    " root BLOB, blobs BLOB) STRICT;"
    "CREATE TABLE dirent(dir INTEGER NOT NULL, key INTEGER NOT NULL, ino INTEGER NOT NULL,"
    " type INTEGER NOT NULL, name BLOB NOT NULL, PRIMARY KEY(dir, key)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE xattr(ino INTEGER NOT NULL, name BLOB NOT NULL, value BLOB NOT NULL,"
    " PRIMARY KEY(ino, name)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE record(tbl TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL,"
    " PRIMARY KEY(tbl, key)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE orphan(ino INTEGER PRIMARY KEY) STRICT;";

/* ---- statements ---- */

static struct sql_slot *slot_of(struct sql_cache *cache, const char *sql)
{
    size_t i = hash_u64((uint64_t)(uintptr_t)sql) & (STATEMENT_SLOTS - 1);

    while (cache->slots[i].sql != NULL && cache->slots[i].sql != sql)
        i = (i + 1) & (STATEMENT_SLOTS - 1);
    return &cache->slots[i];
}

static sqlite3_stmt *prepare(struct store *store, const char *sql, unsigned flags)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v3(store->db, sql, -1, flags, &statement, NULL);

    if (code != SQLITE_OK) {
        log_error("store: can't prepare \"%s\": %s", sql, sqlite3_errmsg(store->db));
        return NULL;
    }
    return statement;
}

sqlite3_stmt *store__prepare(struct store *store, const char *sql)
{
    struct sql_cache *cache = store->statements;
    struct sql_slot *slot = slot_of(cache, sql);
    sqlite3_stmt *statement;

    if (slot->statement == NULL) {
        statement = prepare(store, sql, SQLITE_PREPARE_PERSISTENT);
        if (statement == NULL)
            return NULL;
        invariant(cache->count < STATEMENT_SLOTS / 2);
        cache->count++;
        slot->sql = sql;
        slot->statement = statement;
        return statement;
    }
    if (!sqlite3_stmt_busy(slot->statement))
        return slot->statement;
    if (cache->nested_count == NESTED_MAX) {
        log_error("store: too many nested statements");
        return NULL;
    }
    statement = prepare(store, sql, 0);
    if (statement != NULL)
        cache->nested[cache->nested_count++] = statement;
    return statement;
}

void store__release(struct store *store, sqlite3_stmt *statement)
{
    struct sql_cache *cache = store->statements;

    (void)sqlite3_reset(statement); /* repeats the error of the step, which was answered there */
    for (size_t i = cache->nested_count; i-- > 0;) {
        if (cache->nested[i] != statement)
            continue;
        sqlite3_finalize(statement);
        cache->nested[i] = cache->nested[--cache->nested_count];
        return;
    }
}

static enum err step_failed(struct store *store, sqlite3_stmt *statement, int code)
{
    enum err err = sqlite_door_err(store->door, code);
    bool rolled_back = store->transaction && sqlite3_get_autocommit(store->db);

    if (err == ERR_EXIST)
        return err;
    log_error("store: \"%s\": %s (%s)", sqlite3_sql(statement), sqlite3_errmsg(store->db), err_name(err));
    if (rolled_back || !sqlite3_stmt_readonly(statement))
        (void)store__fail(store, err, "a change could not be made");
    return err;
}

enum err store__step(struct store *store, sqlite3_stmt *statement, bool *row_r)
{
    int code = sqlite3_step(statement);

    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return step_failed(store, statement, code);
    if (row_r != NULL)
        *row_r = code == SQLITE_ROW;
    return ERR_OK;
}

enum err store__run(struct store *store, sqlite3_stmt *statement)
{
    enum err err;

    if (statement == NULL)
        return ERR_NOMEM;
    err = store__step(store, statement, NULL);
    store__release(store, statement);
    store->row_changes++;
    return err;
}

/* ---- transactions ---- */

enum err store__begin(struct store *store)
{
    enum err err;

    if (store->health != ERR_OK)
        return store->health;
    if (!store->transaction) {
        err = store__run(store, store__prepare(store, "BEGIN IMMEDIATE"));
        if (err != ERR_OK)
            return store__fail(store, err, "no transaction could be begun");
        store->transaction = true;
        store->row_changes = 0;
    }
    batch_touched(store);
    return ERR_OK;
}

enum err sql_commit(struct store *store)
{
    enum err err;

    if (!store->transaction)
        return ERR_OK;
    err = store__run(store, store__prepare(store, "COMMIT"));
    if (err != ERR_OK)
        return store__fail(store, err, "a batch could not be committed");
    store->transaction = false;
    return ERR_OK;
}

enum err store__meta_get(struct store *store, const char *key, uint64_t *value_r)
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
    else if (err == ERR_OK && sqlite3_column_type(statement, 0) != SQLITE_INTEGER)
        err = ERR_CORRUPT;
    else if (err == ERR_OK)
        *value_r = sql_u64(statement, 0);
    store__release(store, statement);
    return err;
}

enum err store__meta_put(struct store *store, const char *key, uint64_t value)
{
    enum err err = store__begin(store);
    sqlite3_stmt *statement;

    if (err != ERR_OK)
        return err;
    statement = store__prepare(store, "INSERT INTO meta(key, value) VALUES(?1, ?2)"
                                      " ON CONFLICT(key) DO UPDATE SET value = ?2");
    if (statement == NULL)
        return ERR_NOMEM;
    sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC);
    sql_bind_u64(statement, 2, value);
    return store__run(store, statement);
}

/* ---- opening ---- */

enum err sql_execute(struct sqlite_door *door, sqlite3 *db, const char *sql)
{
    int code = sqlite3_exec(db, sql, NULL, NULL, NULL);

    if (code != SQLITE_OK)
        log_error("store: \"%.60s\": %s", sql, sqlite3_errmsg(db));
    return sqlite_door_err(door, code);
}

static enum err query_int(struct sqlite_door *door, sqlite3 *db, const char *sql, int *value_r)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        *value_r = sqlite3_column_int(statement, 0);
        code = SQLITE_OK;
    } else if (code == SQLITE_DONE) {
        code = SQLITE_CORRUPT;
    }
    if (code != SQLITE_OK)
        log_error("store: \"%s\": %s", sql, sqlite3_errmsg(db));
    sqlite3_finalize(statement);
    return sqlite_door_err(door, code);
}

enum err sql_version(struct sqlite_door *door, sqlite3 *db, int *version_r)
{
    int version = 0, application = 0, tables = 0;
    enum err err = query_int(door, db, "PRAGMA user_version", &version);

    if (err == ERR_OK)
        err = query_int(door, db, "PRAGMA application_id", &application);
    if (err == ERR_OK)
        err = query_int(door, db, "SELECT count(*) FROM sqlite_schema", &tables);
    if (err != ERR_OK)
        return err;
    if (version == 0 && tables == 0) {
        *version_r = 0;
        return ERR_OK;
    }
    if (application != SQL_APPLICATION_ID || version <= 0) {
        log_error("store: " DOOR_DATABASE " is not a database of dittofsd");
        return ERR_CORRUPT;
    }
    if (version > SQL_SCHEMA_VERSION) {
        log_error("store: " DOOR_DATABASE " has format %d; this program knows formats up to %d: start the "
                  "newer program that wrote it",
                  version, SQL_SCHEMA_VERSION);
        return ERR_TOO_NEW;
    }
    *version_r = version;
    return ERR_OK;
}

static void look_for_segments(void *data, const char *name)
{
    if (strncmp(name, "seg-", 4) == 0)
        *(bool *)data = true;
}

static enum err has_segments(struct store *store, bool *segments_r)
{
    *segments_r = false;
    return disk_list(store->disk, look_for_segments, segments_r);
}

/* Takes away what an interrupted making left: a first page that is not whole. */
static enum err sweep_unfinished(struct store *store, bool *empty_r)
{
    static const char magic[16] = "SQLite format 3";
    uint8_t head[sizeof magic];
    struct disk_file *file;
    uint64_t size = 0;
    size_t got = 0;
    bool segments;
    enum err err = disk_open(store->disk, DOOR_DATABASE, DISK_READ, &file);

    *empty_r = err == ERR_NOENT;
    if (err == ERR_NOENT)
        return ERR_OK;
    if (err != ERR_OK)
        return err;
    err = disk_size(file, &size);
    if (err == ERR_OK)
        err = disk_pread(file, head, sizeof head, 0, &got);
    disk_close(&file);
    if (err != ERR_OK || size > PAGE_BYTES || (got == sizeof head && memcmp(head, magic, sizeof magic) == 0))
        return err;
    err = has_segments(store, &segments);
    if (err != ERR_OK)
        return err;
    if (segments) {
        log_error("store: " DOOR_DATABASE " has lost its content, but there is data");
        return ERR_CORRUPT;
    }
    err = disk_unlink(store->disk, DOOR_WAL);
    if (err == ERR_OK || err == ERR_NOENT)
        err = disk_unlink(store->disk, DOOR_DATABASE);
    *empty_r = true;
    return err;
}

static enum err sync_file(struct store *store, const char *name, uint64_t least_bytes)
{
    static const uint8_t zeros[65536];
    struct disk_file *file;
    uint64_t size = 0;
    enum err err = disk_open(store->disk, name, DISK_READ | DISK_WRITE | DISK_CREATE, &file);

    if (err != ERR_OK)
        return err;
    err = disk_size(file, &size);
    while (err == ERR_OK && size < least_bytes) {
        err = disk_pwrite(file, zeros, sizeof zeros, size);
        size += sizeof zeros;
    }
    if (err == ERR_OK)
        err = disk_sync(file);
    disk_close(&file);
    return err;
}

/* A new WAL is written full of zeros up to where it will be restarted: syncing blocks that were there before
 * costs about half of syncing new ones, and the WAL's space is taken while there is some. */
static enum err sync_new_files(struct store *store)
{
    uint64_t wal_bytes = store->options.segment_bytes / 16;
    enum err err = sync_file(store, DOOR_DATABASE, 0);

    if (err == ERR_OK)
        err = sync_file(store, DOOR_WAL, wal_bytes < BATCH_WAL_BYTES ? wal_bytes : BATCH_WAL_BYTES);
    if (err == ERR_OK)
        err = disk_sync_names(store->disk);
    return err;
}

enum err sql_stamp(struct store *store)
{
    char stamp[100];

    snprintf(stamp, sizeof stamp, "PRAGMA application_id = %d; PRAGMA user_version = %d", SQL_APPLICATION_ID,
             SQL_SCHEMA_VERSION);
    return sql_execute(store->door, store->db, stamp);
}

static enum err make_schema(struct store *store)
{
    bool segments;
    enum err err = has_segments(store, &segments);

    if (err == ERR_OK && segments) {
        log_error("store: " DOOR_DATABASE " is empty or missing, but there is data");
        err = ERR_CORRUPT;
    }
    if (err == ERR_OK)
        err = sync_new_files(store);
    if (err == ERR_OK)
        err = sql_execute(store->door, store->db, "BEGIN IMMEDIATE");
    if (err == ERR_OK)
        err = sql_execute(store->door, store->db, schema);
    if (err == ERR_OK)
        err = sql_execute(store->door, store->db, data_schema());
    if (err == ERR_OK)
        err = sql_stamp(store);
    if (err == ERR_OK)
        err = sql_execute(store->door, store->db, "COMMIT");
    return err;
}

static enum err set_pragmas(struct store *store, bool is_empty)
{
    char text[300];
    int wal = 0;
    enum err err = ERR_OK;

    /* Without this the change to WAL mode would write a journal file. */
    if (is_empty)
        err = sql_execute(store->door, store->db,
                          "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;"
                          "PRAGMA journal_mode = WAL");
    snprintf(text, sizeof text,
             "PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 0; PRAGMA temp_store = MEMORY;"
             "PRAGMA cache_size = -%zu; PRAGMA cache_spill = OFF; PRAGMA foreign_keys = OFF",
             store->options.page_cache_bytes / 1024);
    if (err == ERR_OK)
        err = sql_execute(store->door, store->db, text);
    if (err == ERR_OK)
        err = query_int(store->door, store->db, "SELECT journal_mode = 'wal' FROM pragma_journal_mode", &wal);
    if (err == ERR_OK && !wal) {
        log_error("store: " DOOR_DATABASE " is not in WAL mode");
        err = ERR_CORRUPT;
    }
    return err;
}

enum err sql_open(struct store *store, bool *made_r)
{
    bool is_empty;
    enum err err = sweep_unfinished(store, &is_empty);
    int version = 0;

    if (err != ERR_OK)
        return err;
    store->statements = calloc(1, sizeof *store->statements);
    if (store->statements == NULL)
        return ERR_NOMEM;
    err = sqlite_door_open(store->disk, false, &store->door);
    if (err == ERR_OK)
        err = sqlite_door_connect(store->door, &store->db);
    if (err == ERR_OK)
        err = set_pragmas(store, is_empty);
    if (err == ERR_OK)
        err = sql_version(store->door, store->db, &version);
    if (err == ERR_OK && version == 0)
        err = make_schema(store);
    if (err != ERR_OK) {
        sql_close(store);
        return err;
    }
    *made_r = version == 0;
    return ERR_OK;
}

void sql_close(struct store *store)
{
    struct sql_cache *cache = store->statements;

    if (cache != NULL) {
        invariant(cache->nested_count == 0);
        for (size_t i = 0; i < STATEMENT_SLOTS; i++)
            sqlite3_finalize(cache->slots[i].statement);
        free(cache);
        store->statements = NULL;
    }
    if (store->db != NULL) {
        int code = sqlite3_close(store->db);

        invariant(code == SQLITE_OK); /* every statement was released */
        store->db = NULL;
    }
    sqlite_door_close(&store->door);
}
