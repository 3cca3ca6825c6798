/*
 * check_meta.c - store_check, and its metadata half: the database, inodes, names, links.
 *
 * Nothing is written: the door is read-only, and what the WAL holds is read from there. Every query names one
 * rule that a sound store keeps; each row that it gives is a finding. Rules that need code (packed columns,
 * keys of entries) are below them. The data half is DATA's.
 */
#include "dittofs/log.h"
#include "store/data_priv.h"
#include "store/dirent_priv.h"
#include "store/inode_priv.h"
#include "store/sql_priv.h"
#include "store/sqlite_door_priv.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FINDING_TEXT_MAX = 400 };

void store__finding(struct store_checker *checker, const char *format, ...)
{
    char text[FINDING_TEXT_MAX];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    checker->findings++;
    checker->report(checker->data, text);
}

/* A query gives up to two numbers a row, which the text shows. Types of inodes: 2 is a directory, 8 a
 * stream, which has no name. */
static const struct rule {
    const char *text;
    const char *sql;
} rules[] = {
    {"entry of directory %lld points to inode %lld, which is missing",
     "SELECT d.dir, d.ino FROM dirent d LEFT JOIN inode i ON i.ino = d.ino WHERE i.ino IS NULL"},
    {"inode %lld holds %lld entries, but is no directory in use",
     "SELECT d.dir, count(*) FROM dirent d LEFT JOIN inode i ON i.ino = d.dir"
     " WHERE i.ino IS NULL OR i.type <> 2 OR i.nlink = 0 GROUP BY d.dir"},
    {"entry of directory %lld has another type than inode %lld",
     "SELECT d.dir, d.ino FROM dirent d JOIN inode i ON i.ino = d.ino WHERE d.type <> i.type"},
    {"inode %lld has %lld links, which its names don't bear out",
     "SELECT i.ino, i.nlink FROM inode i LEFT JOIN (SELECT ino, count(*) AS n FROM dirent GROUP BY ino) c"
     " ON c.ino = i.ino WHERE i.type NOT IN (2, 8) AND i.nlink <> ifnull(c.n, 0)"},
    {"directory %lld has %lld names",
     "SELECT i.ino, ifnull(c.n, 0) FROM inode i LEFT JOIN"
     " (SELECT ino, count(*) AS n FROM dirent WHERE type = 2 GROUP BY ino) c ON c.ino = i.ino"
     " LEFT JOIN tree t ON t.root = i.ino WHERE i.type = 2 AND i.nlink > 0"
     " AND ifnull(c.n, 0) <> (t.root IS NULL)"},
    {"directory %lld has %lld links, which its subdirectories don't bear out",
     "SELECT i.ino, i.nlink FROM inode i LEFT JOIN"
     " (SELECT dir, count(*) AS n FROM dirent WHERE type = 2 GROUP BY dir) c ON c.dir = i.ino"
     " WHERE i.type = 2 AND i.nlink > 0 AND i.nlink <> 2 + ifnull(c.n, 0)"},
    {"directory %lld can't be reached from a root",
     "WITH RECURSIVE reached(ino) AS (SELECT root FROM tree UNION"
     " SELECT d.ino FROM reached r JOIN dirent d ON d.dir = r.ino WHERE d.type = 2)"
     " SELECT ino, 0 FROM inode WHERE type = 2 AND nlink > 0 AND ino NOT IN (SELECT ino FROM reached)"},
    {"tree %lld has no root directory (%lld)",
     "SELECT t.id, t.root FROM tree t LEFT JOIN inode i ON i.ino = t.root AND i.type = 2"
     " WHERE i.ino IS NULL"},
    {"inode %lld is gone, but has %lld extended attributes",
     "SELECT x.ino, count(*) FROM xattr x LEFT JOIN inode i ON i.ino = x.ino WHERE i.ino IS NULL"
     " GROUP BY x.ino"},
    {"orphan %lld is not an inode without links",
     "SELECT o.ino, 0 FROM orphan o LEFT JOIN inode i ON i.ino = o.ino WHERE ifnull(i.nlink, 1) <> 0"},
    {"inode %lld has no links, but is no orphan",
     "SELECT i.ino, 0 FROM inode i LEFT JOIN orphan o ON o.ino = i.ino WHERE i.nlink = 0 AND o.ino IS NULL"},
    {"%lld inodes are recorded, %lld are there",
     "SELECT * FROM (SELECT ifnull((SELECT value FROM meta WHERE key = 'inodes'), 0) AS recorded,"
     " (SELECT count(*) FROM inode) AS counted) WHERE recorded <> counted"},
    {"%lld bytes are recorded as used, %lld are",
     "SELECT * FROM (SELECT ifnull((SELECT value FROM meta WHERE key = 'logical bytes'), 0) AS recorded,"
     " (SELECT ifnull(sum(used), 0) FROM inode) AS counted) WHERE recorded <> counted"},
    {"inode %lld is not below the limit of numbers",
     "SELECT ino, 0 FROM inode WHERE ino >= ifnull((SELECT value FROM meta WHERE key = 'ino limit'), 0)"},
};

/* These ask `stream`, a table of the check's own connection: what the files say of their streams. */
static const struct rule stream_rules[] = {
    {"stream %lld of inode %lld is missing, or no stream",
     "SELECT s.ino, s.file FROM stream s LEFT JOIN inode i ON i.ino = s.ino"
     " WHERE ifnull(i.type, 0) <> 8 OR i.nlink <> 1"},
    {"stream %lld has %lld names",
     "SELECT i.ino, count(s.file) FROM inode i LEFT JOIN stream s ON s.ino = i.ino"
     " WHERE i.type = 8 AND i.nlink > 0 GROUP BY i.ino HAVING count(s.file) <> 1"},
    {"inode %lld, which can't have streams, has stream %lld",
     "SELECT s.file, s.ino FROM stream s JOIN inode i ON i.ino = s.file"
     " WHERE i.type NOT IN (1, 2) OR i.nlink = 0"},
};

static enum err failed(struct store_checker *checker, struct sqlite_door *door, int code, const char *what)
{
    enum err err = sqlite_door_err(door, code);

    if (err == ERR_CORRUPT) {
        store__finding(checker, "%s: %s", what, sqlite3_errmsg(checker->db));
        return ERR_OK;
    }
    log_error("store: check: %s: %s", what, sqlite3_errmsg(checker->db));
    return err;
}

static enum err check_rule(struct store_checker *checker, struct sqlite_door *door, const struct rule *rule)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(checker->db, rule->sql, -1, &statement, NULL);

    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW) {
            char text[FINDING_TEXT_MAX];

            snprintf(text, sizeof text, rule->text, (long long)sqlite3_column_int64(statement, 0),
                     (long long)sqlite3_column_int64(statement, 1));
            store__finding(checker, "%s", text);
        }
    }
    sqlite3_finalize(statement);
    return code == SQLITE_DONE ? ERR_OK : failed(checker, door, code, "a rule can't be checked");
}

static enum err check_integrity(struct store_checker *checker, struct sqlite_door *door)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(checker->db, "PRAGMA integrity_check", -1, &statement, NULL);

    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW) {
            const char *text = (const char *)sqlite3_column_text(statement, 0);

            if (text == NULL || strcmp(text, "ok") != 0)
                store__finding(checker, "database: %s", text != NULL ? text : "?");
        }
    }
    sqlite3_finalize(statement);
    return code == SQLITE_DONE ? ERR_OK : failed(checker, door, code, "database");
}

struct noting {
    struct store_checker *checker;
    uint64_t file;
};

static bool note_stream(void *data, struct store_name name, uint64_t ino)
{
    struct noting *noting = data;
    sqlite3_stmt *statement = NULL;

    (void)name;
    if (sqlite3_prepare_v2(noting->checker->db, "INSERT INTO stream(ino, file) VALUES(?, ?)", -1, &statement,
                           NULL) != SQLITE_OK)
        return false;
    sql_bind_u64(statement, 1, ino);
    sql_bind_u64(statement, 2, noting->file);
    (void)sqlite3_step(statement);
    sqlite3_finalize(statement);
    return true;
}

static void check_inode(struct store_checker *checker, sqlite3_stmt *statement)
{
    struct inode inode = {.attr.ino = sql_u64(statement, 0)};
    uint64_t type = sql_u64(statement, 1), size = sql_u64(statement, 2);
    const uint8_t *attr = sqlite3_column_blob(statement, 3), *blobs = sqlite3_column_blob(statement, 4);
    int attr_length = sqlite3_column_bytes(statement, 3), blobs_length = sqlite3_column_bytes(statement, 4);

    if (inode.attr.ino == 0 || inode.attr.ino > INT64_MAX)
        store__finding(checker, "an inode has the number %" PRId64, (int64_t)inode.attr.ino);
    if (type < INODE_FILE || type > INODE_STREAM)
        store__finding(checker, "inode %" PRIu64 " has type %" PRIu64, inode.attr.ino, type);
    if (size > STORE_FILE_SIZE_MAX)
        store__finding(checker, "inode %" PRIu64 " has size %" PRIu64, inode.attr.ino, size);
    if (attr == NULL || !inode_attr_decode(&inode, attr, (size_t)attr_length))
        store__finding(checker, "inode %" PRIu64 " has attributes that can't be decoded", inode.attr.ino);
    else if (type == INODE_DIRECTORY && sql_u64(statement, 5) != 0 &&
             inode.attr.parent != sql_u64(statement, 5))
        store__finding(checker, "directory %" PRIu64 " has parent %" PRIu64 " but is in %" PRIu64,
                       inode.attr.ino, inode.attr.parent, sql_u64(statement, 5));
    if (blobs_length > 0 && !inode_blobs_valid(blobs, (size_t)blobs_length))
        store__finding(checker, "inode %" PRIu64 " has values that can't be decoded", inode.attr.ino);
    else if (blobs_length > 0) {
        struct noting noting = {.checker = checker, .file = inode.attr.ino};
        struct inode copy = {.blobs = (uint8_t *)(uintptr_t)blobs, .blobs_length = (uint32_t)blobs_length};

        if (stream_scan(&copy, note_stream, &noting) != ERR_OK)
            store__finding(checker, "inode %" PRIu64 " has streams that can't be decoded", inode.attr.ino);
    }
}

static void check_entry(struct store_checker *checker, const struct siphash_key *secret,
                        sqlite3_stmt *statement)
{
    struct store_name name = {sqlite3_column_blob(statement, 2), (size_t)sqlite3_column_bytes(statement, 2)};
    uint64_t dir = sql_u64(statement, 0), key = sql_u64(statement, 1);

    if (name.length == 0 || name.length > STORE_NAME_MAX || name.bytes == NULL)
        store__finding(checker, "directory %" PRIu64 " has a name of %zu bytes", dir, name.length);
    else if (!dirent_key_fits(secret, name, key))
        store__finding(checker, "directory %" PRIu64 " has an entry with a wrong key", dir);
}

/* Both walks: calls CHECK for each row of SQL. */
static enum err check_rows(struct store_checker *checker, struct sqlite_door *door, const char *sql,
                           const struct siphash_key *secret)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(checker->db, sql, -1, &statement, NULL);

    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(statement);
        if (code != SQLITE_ROW)
            break;
        if (secret != NULL)
            check_entry(checker, secret, statement);
        else
            check_inode(checker, statement);
    }
    sqlite3_finalize(statement);
    return code == SQLITE_DONE ? ERR_OK : failed(checker, door, code, "rows can't be read");
}

static enum err read_name_key(struct store_checker *checker, struct sqlite_door *door,
                              struct siphash_key *secret)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(checker->db, "SELECT value FROM meta WHERE key = 'name key'", -1,
                                  &statement, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW && sqlite3_column_bytes(statement, 0) == sizeof *secret)
        memcpy(secret, sqlite3_column_blob(statement, 0), sizeof *secret);
    else if (code == SQLITE_ROW || code == SQLITE_DONE)
        code = SQLITE_NOTFOUND;
    sqlite3_finalize(statement);
    if (code == SQLITE_NOTFOUND) {
        store__finding(checker, "the key of names is missing");
        return ERR_NOENT;
    }
    return code == SQLITE_ROW ? ERR_OK : failed(checker, door, code, "the key of names");
}

static enum err check_metadata(struct store_checker *checker, struct sqlite_door *door)
{
    struct siphash_key secret;
    enum err err = check_integrity(checker, door);

    if (err != ERR_OK || checker->findings > 0)
        return err; /* nothing that follows from a damaged database says anything */
    for (size_t i = 0; err == ERR_OK && i < sizeof rules / sizeof *rules; i++)
        err = check_rule(checker, door, &rules[i]);
    if (err == ERR_OK)
        err = sql_execute(door, checker->db, "CREATE TEMP TABLE stream(ino INTEGER, file INTEGER)");
    if (err == ERR_OK)
        err = check_rows(checker, door,
                         "SELECT i.ino, i.type, i.size, i.attr, i.blobs, p.dir FROM inode i"
                         " LEFT JOIN (SELECT ino, max(dir) AS dir FROM dirent WHERE type = 2 GROUP BY ino) p"
                         " ON p.ino = i.ino",
                         NULL);
    if (err == ERR_OK)
        err = sql_execute(door, checker->db, "CREATE INDEX stream_ino ON stream(ino)");
    for (size_t i = 0; err == ERR_OK && i < sizeof stream_rules / sizeof *stream_rules; i++)
        err = check_rule(checker, door, &stream_rules[i]);
    if (err == ERR_OK && read_name_key(checker, door, &secret) == ERR_OK)
        err = check_rows(checker, door, "SELECT dir, key, name FROM dirent", &secret);
    return err;
}

static enum err check_opened(struct store_checker *checker, struct sqlite_door *door)
{
    int version = 0;
    enum err err = sql_execute(door, checker->db, "PRAGMA temp_store = MEMORY");

    if (err == ERR_OK)
        err = sql_version(door, checker->db, &version);
    if (err == ERR_CORRUPT) {
        store__finding(checker, "the database can't be read");
        return ERR_OK;
    }
    if (err != ERR_OK)
        return err;
    if (version == 0) {
        store__finding(checker, "the database has no tables");
        return ERR_OK;
    }
    err = check_metadata(checker, door);
    return err == ERR_OK ? data_check(checker) : err;
}

enum err store_check(struct disk *disk, void (*report)(void *data, const char *finding), void *data)
{
    struct store_checker checker = {.disk = disk, .report = report, .data = data};
    struct sqlite_door *door;
    enum err err = sqlite_door_open(disk, true, &door);

    if (err != ERR_OK)
        return err;
    err = sqlite_door_connect(door, &checker.db);
    if (err == ERR_OK) {
        err = check_opened(&checker, door);
        sqlite3_close(checker.db);
    }
    sqlite_door_close(&door);
    if (err != ERR_OK)
        return err;
    return checker.findings > 0 ? ERR_CORRUPT : ERR_OK;
}
