/*
 * batch_priv.h - batches, the pump, and checkpoints of the WAL: META alone uses these.
 */
#ifndef DITTOFS_STORE_BATCH_PRIV_H
#define DITTOFS_STORE_BATCH_PRIV_H

#include "store/store_priv.h"

enum {
    BATCH_WAL_BYTES = 16 << 20,      /* the WAL is checkpointed from here on */
    BATCH_WAL_BYTES_HARD = 256 << 20 /* the loop waits for a checkpoint from here on */
};

enum err batch_open(struct store *store) ERR_MUST_CHECK;
/* Recovery is over: the hook runs from now on. */
void batch_start(struct store *store);
/* No job may be under way unless the loop has dropped it. Waiters are forgotten. */
void batch_close(struct store *store);
/* The open batch has something to commit. */
void batch_touched(struct store *store);
/* Makes everything durable in the background, then calls DONE (later, once). */
void batch_drain(struct store *store, void (*done)(struct store *store));
/* Waiters get the failure in the next turn. */
void batch_failed(struct store *store);
/* Syncs the WAL here and now. */
enum err batch_sync_wal(struct store *store) ERR_MUST_CHECK;
/* A job of the pump is under way. */
bool batch_is_busy(const struct store *store);

/* ---- checkpoint.c ---- */

/* Before anything is read: writes what the WAL holds once more, and syncs it. After a sync that failed the
 * kernel takes pages for written that are not, and this process may read them from its cache. */
enum err checkpoint_refresh_wal(struct disk *disk) ERR_MUST_CHECK;
/* Opens the checkpointer's connection. */
enum err checkpoint_open(struct store *store) ERR_MUST_CHECK;
void checkpoint_close(struct store *store);
/* Called when no transaction is open, after a commit: starts or finishes a checkpoint when it is time. */
void checkpoint_consider(struct store *store);
bool checkpoint_is_busy(const struct store *store);
/* Nothing may be committed now. */
bool checkpoint_holds_commit(const struct store *store);
/* Copies the whole WAL into the database, in a worker; then calls DONE. No transaction may be open. */
void checkpoint_all(struct store *store, void (*done)(struct store *store));

#endif
