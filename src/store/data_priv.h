/*
 * data_priv.h - what DATA (log, segments, extents, blocks) gives to META. See store_priv.h for the other
 * direction and for who owns which field of struct inode.
 *
 * All of it runs on the loop thread except data_sync_work. The public data calls (store_read, store_write,
 * store_truncate, store_punch, store_allocate, store_clone, store_seek) are DATA's, too.
 *
 * What META can rely on:
 * - A data call changes memory and the log's queue only; it sets attr.size, used, mtime, ctime, change,
 *   inode->position and last_seq and does not join the batch: its log record alone makes it durable. Clone is
 *   the exception: it writes into the open transaction and joins its batch.
 * - An inode with data that is not flushed is busy: it stays in memory, DATA flushes it within some seconds.
 * - The log is a complete, ordered record of data operations: replaying what is behind data_seq gives the
 *   state before the crash.
 */
#ifndef DITTOFS_STORE_DATA_PRIV_H
#define DITTOFS_STORE_DATA_PRIV_H

#include "store/store_priv.h"

/* ---- opening and closing ---- */

/* The CREATE TABLE statements of DATA's tables, for a new database. */
const char *data_schema(void);
/* Makes store->data, reads segments and figures, begins a new segment. The database is open, inode cache
 * empty. */
enum err data_open(struct store *store) ERR_MUST_CHECK;
/* Replays the log's tail through inode_get(). META calls store__commit_now and data_replayed() behind it. */
enum err data_replay(struct store *store) ERR_MUST_CHECK;
/* Chooses the log's key if it has none, after the replay, so that it is committed with a tail behind all
 * records without one. */
enum err data_choose_key(struct store *store) ERR_MUST_CHECK;
/* What was replayed is durable: the tail may move on, background work may start. */
void data_replayed(struct store *store);
/* No new background jobs; DONE is called once, later, on the loop, or at once when none is under way. */
void data_stop(struct store *store, void (*done)(struct store *store));
/* Background jobs and reads that are under way (the sync job of META is not counted). */
size_t data_jobs(const struct store *store);
/* Frees everything in memory, also without a shutdown. data_jobs() is 0. Inodes that META still has are
 * forgotten with data_inode_forget before. */
void data_close(struct store *store);

/* ---- flushing: rows in the open transaction ---- */

enum data_flush {
    DATA_FLUSH_DUE, /* inodes that must be in this commit: oldest record too old, log too long, clones */
    DATA_FLUSH_ALL
};
/* Writes what is dirty into the open transaction (begins one when needed) and with it the figures, segments
 * and the tail. Sets inode->data_seq and root, marks the inodes INODE_DATA_DIRTY | INODE_ATTR_DIRTY, calls
 * store__needs_position. META writes the rows right behind it and then commits: no public call lies between.
 * Failures are for store__fail. */
enum err data_flush(struct store *store, enum data_flush how) ERR_MUST_CHECK;
/* Something is due for DATA_FLUSH_DUE, though nobody may wait. Cheap. */
bool data_flush_wanted(const struct store *store);

/* ---- syncing the log ---- */

uint64_t data_durable_position(const struct store *store);
/* The end of what was accepted: what is in the log now is durable when data_durable_position is here. */
uint64_t data_end_position(const struct store *store);
/* The log holds bytes that are not durable and older than a second. */
bool data_sync_wanted(const struct store *store);
/* A sync: begin on the loop, work on a worker, end on the loop with work's outcome. One at a time. Begin is
 * false (and nothing follows) when there is nothing to sync. */
bool data_sync_begin(struct store *store);
enum err data_sync_work(struct store *store) ERR_MUST_CHECK;
void data_sync_end(struct store *store, enum err err);
/* Transactions up to BATCH are durable: what they freed may be reused. */
void data_batch_durable(struct store *store, uint64_t batch);
/* The store has failed: nothing is to be written any more; writes that wait get the error. */
void data_store_failed(struct store *store);

/* ---- inodes ---- */

/* The inode leaves memory: frees inode->data. Only for one that is not busy, or doomed, or at the close. */
void data_inode_forget(struct inode *inode);
/* Has unflushed data, or reads or writes under way: must stay in memory though it has no references. */
bool data_inode_is_busy(const struct inode *inode);
/* Gives back a bounded part of the data of a doomed inode in the open transaction; drops unflushed data
 * first. When not *DONE_R: updates inode->root and marks INODE_DATA_DIRTY; to be called again, in another
 * turn. */
enum err data_inode_free_slice(struct inode *inode, bool *done_r) ERR_MUST_CHECK;

/* ---- figures, check ---- */

/* ERR_NOSPC when BYTES more would touch the reserve: asked before an inode is made or an xattr set. Cheap. */
enum err data_room(struct store *store, uint64_t bytes) ERR_MUST_CHECK;
/* Fills in total_bytes, free_bytes and stored_bytes. */
void data_space(const struct store *store, struct store_space *space_r);
/* Fills in log_bytes, blocks_hashed, blocks_shared, bytes_rewritten, reads_inline and reads_worker. */
void data_counters(const struct store *store, struct store_counters *counters_r);
/* DATA's half of store_check: roots of all inodes, nodes, blocks, segments, the log's tail. ERR_OK when it
 * could be examined (findings are counted in CHECKER). */
enum err data_check(struct store_checker *checker) ERR_MUST_CHECK;

#endif
