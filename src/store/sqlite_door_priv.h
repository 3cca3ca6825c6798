/*
 * sqlite_door_priv.h - SQLite's files through the disk door.
 */
#ifndef DITTOFS_STORE_SQLITE_DOOR_PRIV_H
#define DITTOFS_STORE_SQLITE_DOOR_PRIV_H

#include "dittofs/disk.h"
#include "dittofs/err.h"
#include <sqlite3.h>
#include <stdbool.h>

#define DOOR_DATABASE "meta.db"
#define DOOR_WAL      "meta.db-wal"

struct sqlite_door;

/* A VFS over DISK for the connections of one store. READ_ONLY: nothing can be written through it. */
enum err sqlite_door_open(struct disk *disk, bool read_only, struct sqlite_door **door_r) ERR_MUST_CHECK;
/* Every connection must be closed. */
void sqlite_door_close(struct sqlite_door **door);

/* Opens DOOR_DATABASE; made when missing unless the door is read-only. For use by one thread at a time. */
enum err sqlite_door_connect(struct sqlite_door *door, sqlite3 **db_r) ERR_MUST_CHECK;

/* Syncs the database, or the WAL, through a handle of the caller's: the only way to do so beside SQLite's own
 * syncs. Fails when any sync through this door has failed before. Any thread. */
enum err sqlite_door_sync(struct sqlite_door *door, struct disk_file *file) ERR_MUST_CHECK;
enum err sqlite_door_sync_wal(struct sqlite_door *door, struct disk_file *wal) ERR_MUST_CHECK;

/* Has any sync failed? */
bool sqlite_door_has_failed(struct sqlite_door *door);

/* The store's error for a result code of SQLite; for I/O errors what the disk said last. Any thread. */
enum err sqlite_door_err(struct sqlite_door *door, int code);

#endif
