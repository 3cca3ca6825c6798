/*
 * unsettled_priv.h - which inodes have blocks that wait to be hashed, over restarts.
 */
#ifndef DITTOFS_STORE_UNSETTLED_H
#define DITTOFS_STORE_UNSETTLED_H

#include "dittofs/cursor.h"
#include "dittofs/err.h"
#include "dittofs/hashtable.h"
#include "dittofs/list.h"
#include "dittofs/store.h"

#include <stdbool.h>
#include <stdint.h>

struct unsettled {
    struct hashtable inodes;
    struct list look_through; /* of an earlier start, held */
    struct list lingering;    /* not held any more, with a row */
};

/* UNSETTLED is zeroed; loads the rows. ERR_NOMEM, or what SQLite said: close it then, too. */
enum err unsettled_open(struct unsettled *unsettled, struct store *store) ERR_MUST_CHECK;
/* Forgets all; the rows stay. */
void unsettled_close(struct unsettled *unsettled);

/* Something of INO waits, once more; false when memory is out. */
bool unsettled_hold(struct unsettled *unsettled, uint64_t ino) MUST_CHECK;
/* It waits no longer. */
void unsettled_let_go(struct unsettled *unsettled, uint64_t ino);

/* INO's tree is being written into the open transaction: so is a row, if it is held. */
enum err unsettled_flush(struct unsettled *unsettled, struct store *store, uint64_t ino) ERR_MUST_CHECK;
/* Takes rows away that are not needed any more. */
enum err unsettled_sweep(struct unsettled *unsettled, struct store *store) ERR_MUST_CHECK;

/* An inode of an earlier start that is to be looked through; false: none is left. */
bool unsettled_next(const struct unsettled *unsettled, uint64_t *ino_r);
/* The one that unsettled_next told is. */
void unsettled_looked_through(struct unsettled *unsettled);

/* Is there neither a row to be taken away nor an inode to be looked through? */
bool unsettled_is_empty(const struct unsettled *unsettled);

#endif
