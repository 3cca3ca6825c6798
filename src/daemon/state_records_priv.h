/*
 * state_records_priv.h - records of the state room, kept in the store.
 */
#ifndef DITTOFS_DAEMON_STATE_RECORDS_H
#define DITTOFS_DAEMON_STATE_RECORDS_H

#include "dittofs/recovery.h"
#include "dittofs/store.h"

/* What state_open wants, over store_record_*. STORE must outlive the state. */
struct recovery_store state_records(struct store *store);

#endif
