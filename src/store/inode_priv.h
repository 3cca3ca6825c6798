/*
 * inode_priv.h - inodes in memory and their rows: META alone uses these.
 */
#ifndef DITTOFS_STORE_INODE_PRIV_H
#define DITTOFS_STORE_INODE_PRIV_H

#include "store/store_priv.h"

enum {
    INODE_CHANGED = INODE_ATTR_DIRTY | INODE_DATA_DIRTY | INODE_BLOBS_DIRTY | INODE_ATIME_DIRTY,
    INODE_BLOB_MAX = 65536,      /* bytes of one blob */
    INODE_ATTR_BYTES = 104,      /* of a packed attr column */
    INODE_ROOM_BYTES = 16 << 10, /* space that a small change of metadata may cost */
};

/* ---- inode.c ---- */

/* Reads the store-wide values from the meta table (of a new database: makes them) and writes those of this
 * run into the open transaction. */
enum err inode_open(struct store *store) ERR_MUST_CHECK;
/* Before the last commit of a clean stop: no inode numbers are left out. */
enum err inode_stop(struct store *store) ERR_MUST_CHECK;
/* Frees all inodes in memory. */
void inode_close(struct store *store);

/* For the commit: frees doomed inodes (large ones in slices), writes the rows of dirty ones. */
enum err inode_free_doomed(struct store *store) ERR_MUST_CHECK;
enum err inode_write_dirty(struct store *store) ERR_MUST_CHECK;
/* Dooms all inodes in the orphan table: they had no name when the store was last closed. */
enum err inode_doom_orphans(struct store *store) ERR_MUST_CHECK;
/* Frees what an inode has in memory. */
void inode_destroy(struct inode *inode);

/* ---- inode_row.c ---- */

/* Fills a zeroed inode, ino and store set, from its row. ERR_STALE when there is none. */
enum err inode_row_read(struct inode *inode) ERR_MUST_CHECK;
/* Writes the row (inserts it when INODE_NEW), blobs and the orphan row, and clears the flags. */
enum err inode_row_write(struct inode *inode) ERR_MUST_CHECK;
/* Deletes the row and all that hangs on it, but data. */
enum err inode_row_delete(struct inode *inode) ERR_MUST_CHECK;
/* The attr column; DECODE is false for anything odd. */
void inode_attr_encode(const struct inode *inode, uint8_t bytes[INODE_ATTR_BYTES]);
bool inode_attr_decode(struct inode *inode, const uint8_t *bytes, size_t length);
/* Is BYTES a well-formed blobs column? */
bool inode_blobs_valid(const uint8_t *bytes, size_t length);

#endif
