/*
 * recovery.h - what survives a restart of clients, and the grace period in which they reclaim.
 *
 * A client that holds state has a record, made when it gets its first state: the boot in which it last held
 * any. One more record says in which boot grace last ended. At start, those whose boot is not before that one
 * may reclaim: a client that missed a whole grace period may not (others may have had its locks: RFC
 * 8881 8.4.3), while a restart within grace changes nothing (RFC 8881 8.4.2.1). A client that loses its state
 * to others (courtesy) loses its record first. Records of those that may not reclaim are removed when grace
 * ends.
 *
 * Durability: a record joins the open batch. A reply to a request during which recovery_writes() grew must
 * wait for it, as for any change. Grace itself ends only when its record is durable.
 *
 * Grace ends when its time is over, or as soon as all who may reclaim are done: clients that `completes` said
 * so (grace_complete); others are known to be at something else (client_renew) and did not reclaim for
 * reclaim_quiet_ms, or have been silent for reclaim_silent_ms after their last reclaim; or it was ended by
 * hand. A client that does not say when it is done reclaims before it does anything else (RFC 7530 9.6.2 has
 * it get new state only after grace, and its lease lasts), so one that renews its lease and reclaims nothing
 * for some seconds has nothing left; one that is not heard of may be cut off in the midst of it.
 */
#ifndef DITTOFS_RECOVERY_H
#define DITTOFS_RECOVERY_H

#include "dittofs/client.h"

struct recovery_wait {
    void (*done)(struct recovery_wait *wait, enum err err);
    void *private_data; /* the store's */
};

/* Implemented over store_record_*; TABLE is "state". */
struct recovery_store {
    void *data;
    enum err (*put)(void *data, const char *table, const void *key, size_t key_length, const void *value,
                    size_t value_length);
    enum err (*remove)(void *data, const char *table, const void *key, size_t key_length);
    enum err (*scan)(void *data, const char *table,
                     bool (*each)(void *each_data, const void *key, size_t key_length, const void *value,
                                  size_t value_length),
                     void *each_data);
    /* All puts and removes so far: ERR_OK when durable, ERR_WAIT and WAIT->done follows from the loop, or the
     * failure. NULL: they are durable at once. */
    enum err (*wait)(void *data, struct recovery_wait *wait);
    void (*wait_cancel)(void *data, struct recovery_wait *wait);
};

/* Grows with every record written or removed. */
uint64_t recovery_writes(const struct state *state);
/* A front-end that keeps records of its own of what its clients hold has removed one, or put a lesser one, in
 * the open batch. Until that is durable, recovery_writes() grows with whatever anybody gets: his reply waits
 * as well, or after a crash the record would stand against what he was told is his. */
void recovery_released(struct state *state);
/* Counts starts; 1 the first time. */
uint64_t recovery_boot(const struct state *state);

/* ---- grace ---- */

bool grace_is_active(const struct state *state);
/* May CLIENT get new state (RECLAIM false): ERR_GRACE. May it reclaim: ERR_NO_GRACE (not in grace, or it said
 * that it is complete), ERR_RECLAIM_BAD (it is not known to have held anything). open.h and lock.h ask this
 * themselves; what else must wait for reclaims (removing, I/O against locks) asks here. */
enum err grace_check(const struct client *client, bool reclaim) ERR_MUST_CHECK;
/* May it reclaim at all, now? */
bool grace_may_reclaim(const struct client *client);
/* The client has reclaimed everything: ERR_EXIST the second time (RFC 8881 18.51.3). Fine out of grace. */
enum err grace_complete(struct client *client) ERR_MUST_CHECK;
bool grace_is_complete(const struct client *client);
/* Ends grace now (administrator, tests), as soon as the record is durable. */
void grace_end(struct state *state);
uint64_t grace_left_ms(const struct state *state);

struct grace_missing {
    unsigned family;
    const uint8_t *owner;
    size_t owner_length;
    bool returned; /* it is back, but not done */
};
/* Those that grace waits for. EACH returns false to stop. */
void grace_missing_each(const struct state *state,
                        bool (*each)(void *data, const struct grace_missing *missing), void *data);

#endif
