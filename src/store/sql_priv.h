/*
 * sql_priv.h - the writer's connection: META alone uses these. What DATA may use is in store_priv.h.
 */
#ifndef DITTOFS_STORE_SQL_PRIV_H
#define DITTOFS_STORE_SQL_PRIV_H

#include "store/store_priv.h"

enum { SQL_SCHEMA_VERSION = 2, SQL_APPLICATION_ID = 0x44544653 /* "DTFS" */ };

/* Opens the door and the writer's connection; makes the database when the folder holds none. *MADE_R: it was
 * made just now (and is durable, without any row). */
enum err sql_open(struct store *store, bool *made_r) ERR_MUST_CHECK;
/* Finalizes statements and closes the connection and the door; what is not committed is lost. */
void sql_close(struct store *store);

/* The pragmas of a connection that only reads, or only checkpoints. */
enum err sql_execute(struct sqlite_door *door, sqlite3 *db, const char *sql) ERR_MUST_CHECK;
/* ERR_TOO_NEW, ERR_CORRUPT (not ours), *VERSION_R 0 for a database without tables. */
enum err sql_version(struct sqlite_door *door, sqlite3 *db, int *version_r) ERR_MUST_CHECK;

/* Says whose database this is and of which format, in the open transaction. */
enum err sql_stamp(struct store *store) ERR_MUST_CHECK;
/* Commits the open transaction, if any. A failure makes the store fail. */
enum err sql_commit(struct store *store) ERR_MUST_CHECK;

/* Binds bytes that stay until the statement is released; an empty value is an empty blob, not NULL. */
static inline void sql_bind_bytes(sqlite3_stmt *statement, int index, const void *data, size_t length)
{
    sqlite3_bind_blob(statement, index, data != NULL ? data : "", (int)length, SQLITE_STATIC);
}
static inline void sql_bind_u64(sqlite3_stmt *statement, int index, uint64_t value)
{
    sqlite3_bind_int64(statement, index, (sqlite3_int64)value);
}
static inline uint64_t sql_u64(sqlite3_stmt *statement, int column)
{
    return (uint64_t)sqlite3_column_int64(statement, column);
}

#endif
