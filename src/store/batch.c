/*
 * batch.c - batches, tickets, and the pump that makes changes durable.
 *
 * Changes join the open batch (one SQLite transaction). At the end of a turn, when somebody waits or
 * something is a second old, and no sync is under way, the pump
 *   1. has DATA flush what is due, frees doomed inodes, writes the rows of dirty inodes;
 *   2. commits, if the log is durable up to what the transaction refers to; else it syncs the log first and
 *      commits when that is back;
 *   3. has a worker sync the log, then the WAL;
 *   4. when the job is back, completes waiters, and starts over.
 * So while a sync is under way the next batch fills.
 *
 * Waiters stand in two queues, by batch and by position, each sorted; one whose batch is durable moves to the
 * second queue if its position is not.
 *
 * Failures: whatever fails in 1 to 4 is final (store__fail). Waiters are answered from the pump, never inside
 * of the call that failed.
 *
 * Invariant: durable <= committed < open; a job covers what was committed when it was submitted.
 */
#include "store/batch_priv.h"
#include "dittofs/clock.h"
#include "dittofs/log.h"
#include "store/data_priv.h"
#include "store/inode_priv.h"
#include "store/sql_priv.h"
#include "store/sqlite_door_priv.h"
#include <stdlib.h>

enum {
    BACKGROUND_MS = 1000,    /* what nobody waits for is durable after about this long */
    ROW_CHANGES_MOST = 8192, /* a transaction is committed at so many, waiters or not: it is in memory */
    DIRTY_MOST = 8192,       /* so are inodes that are to be written */
    LOG_FIRST_MOST = 3,      /* syncs of the log that a commit waits for before the loop itself does one */
    RETRY_MS = 20,           /* large deletions go on after this long */
};

struct batches {
    struct store *store;
    struct loop_hook hook;
    struct loop_timer timer;
    bool hooked;
    bool timer_runs;
    bool timer_fired;

    uint64_t open, committed, durable; /* batch numbers */
    bool changed;                      /* the open batch has changes */
    uint64_t changed_ms;               /* since when */
    bool prepared;                     /* DATA has flushed what was due for the commit that waits */
    unsigned log_first;                /* syncs of the log that this commit has waited for */
    uint64_t needs_position;

    struct list by_batch, by_position; /* of struct store_waiter */

    struct disk_file *wal;
    struct loop_job job;
    bool job_runs;
    bool job_log, job_wal; /* what it syncs */
    uint64_t job_batch;
    enum err job_log_err, job_wal_err;
    uint64_t job_start_ns;

    void (*drained)(struct store *store);
    bool failed_told;
};

/* ---- what others ask ---- */

uint64_t store__batch(const struct store *store)
{
    return store->batches->open;
}

uint64_t store__durable_batch(const struct store *store)
{
    return store->batches->durable;
}

void store__needs_position(struct store *store, uint64_t position)
{
    if (position > store->batches->needs_position)
        store->batches->needs_position = position;
}

void store__pump_soon(struct store *store)
{
    loop_wake(store->loop);
}

static void arm_timer(struct batches *batches, uint64_t delay_ms)
{
    if (batches->timer_runs || !batches->hooked)
        return;
    batches->timer_runs = true;
    loop_timer_start(batches->store->loop, &batches->timer, delay_ms, 0);
}

void batch_touched(struct store *store)
{
    struct batches *batches = store->batches;

    if (batches->changed)
        return;
    batches->changed = true;
    batches->changed_ms = clock_monotonic_ms();
    arm_timer(batches, BACKGROUND_MS);
}

void store__background(struct store *store)
{
    arm_timer(store->batches, BACKGROUND_MS);
}

bool batch_is_busy(const struct store *store)
{
    return store->batches->job_runs;
}

/* ---- tickets and waiters ---- */

struct store_ticket store_ticket_metadata(const struct store *store)
{
    const struct batches *batches = store->batches;

    return (struct store_ticket){.batch = batches->changed ? batches->open : batches->committed};
}

struct store_ticket inode_ticket(const struct inode *inode)
{
    return (struct store_ticket){.batch = inode->batch, .position = inode->position};
}

static void queue_waiter(struct batches *batches, struct store_waiter *waiter)
{
    bool by_batch = waiter->ticket.batch > batches->durable;
    struct list *queue = by_batch ? &batches->by_batch : &batches->by_position;
    struct list *at = queue->previous;

    /* nearly always at the end: tickets are taken in order */
    for (; at != queue; at = at->previous) {
        struct store_waiter *other = container_of(at, struct store_waiter, link);

        if (by_batch ? other->ticket.batch <= waiter->ticket.batch
                     : other->ticket.position <= waiter->ticket.position)
            break;
    }
    list_insert_after(at, &waiter->link);
}

enum err store_wait(struct store *store, struct store_ticket ticket, struct store_waiter *waiter)
{
    struct batches *batches = store->batches;

    if (store->health != ERR_OK)
        return store->health;
    if (ticket.batch <= batches->durable && ticket.position <= data_durable_position(store))
        return ERR_OK;
    waiter->ticket = ticket;
    queue_waiter(batches, waiter);
    loop_wake(store->loop);
    return ERR_WAIT;
}

void store_wait_cancel(struct store_waiter *waiter)
{
    list_remove(&waiter->link);
}

/* Calls back the waiters whose tickets are durable. They may wait anew, cancel others, and change things. */
static void complete_waiters(struct store *store)
{
    struct batches *batches = store->batches;

    while (store->health == ERR_OK && !list_is_empty(&batches->by_batch)) {
        struct store_waiter *waiter = list_first(&batches->by_batch, struct store_waiter, link);

        if (waiter->ticket.batch > batches->durable)
            break;
        list_remove(&waiter->link);
        if (waiter->ticket.position > data_durable_position(store))
            queue_waiter(batches, waiter);
        else
            waiter->done(waiter, ERR_OK);
    }
    while (store->health == ERR_OK && !list_is_empty(&batches->by_position)) {
        struct store_waiter *waiter = list_first(&batches->by_position, struct store_waiter, link);

        if (waiter->ticket.position > data_durable_position(store))
            break;
        list_remove(&waiter->link);
        waiter->done(waiter, ERR_OK);
    }
}

static void fail_waiters(struct store *store)
{
    struct batches *batches = store->batches;

    list_splice_back(&batches->by_batch, &batches->by_position);
    while (!list_is_empty(&batches->by_batch)) {
        struct store_waiter *waiter = list_first(&batches->by_batch, struct store_waiter, link);

        list_remove(&waiter->link);
        waiter->done(waiter, store->health);
    }
}

void batch_failed(struct store *store)
{
    loop_wake(store->loop);
}

/* ---- commit ---- */

/* Writes into the transaction all that the open batch lacks. FLUSH says what of the data. */
static enum err prepare_commit(struct store *store, enum data_flush flush)
{
    struct batches *batches = store->batches;
    enum err err = ERR_OK;

    if (!batches->prepared || flush == DATA_FLUSH_ALL)
        err = data_flush(store, flush);
    batches->prepared = true;
    if (err == ERR_OK)
        err = inode_free_doomed(store);
    if (err == ERR_OK)
        err = inode_write_dirty(store);
    if (err != ERR_OK)
        return store__fail(store, err, "a batch could not be written");
    return ERR_OK;
}

static enum err commit(struct store *store)
{
    struct batches *batches = store->batches;
    enum err err = sql_commit(store);

    if (err != ERR_OK)
        return err;
    batches->committed = batches->open++;
    batches->changed = false;
    batches->prepared = false;
    batches->log_first = 0;
    store->counters.batches++;
    return ERR_OK;
}

static bool log_is_behind(struct store *store)
{
    return store->batches->needs_position > data_durable_position(store);
}

/* Syncs the log here and now. */
static enum err sync_log_now(struct store *store)
{
    enum err err;

    if (!data_sync_begin(store))
        return ERR_OK;
    err = data_sync_work(store);
    data_sync_end(store, err);
    if (err != ERR_OK)
        return store__fail(store, err, "the log could not be synced");
    return ERR_OK;
}

static void batch_is_durable(struct store *store, uint64_t batch)
{
    store->batches->durable = batch;
    data_batch_durable(store, batch);
}

enum err batch_sync_wal(struct store *store)
{
    struct batches *batches = store->batches;
    enum err err = sqlite_door_sync_wal(store->door, batches->wal);

    /* A job that is under way says it for its own batch, and in order. */
    if (err == ERR_OK && !batches->job_runs) {
        batch_is_durable(store, batches->committed);
        loop_wake(store->loop); /* there may be waiters for it */
    }
    return err;
}

enum err store__commit_now(struct store *store)
{
    struct batches *batches = store->batches;
    enum err err = store->health;

    if (err == ERR_OK && (batches->job_runs || checkpoint_holds_commit(store)))
        return ERR_BUSY;
    if (err == ERR_OK)
        err = prepare_commit(store, DATA_FLUSH_ALL);
    if (err == ERR_OK)
        err = sync_log_now(store);
    if (err == ERR_OK && log_is_behind(store))
        err = store__fail(store, ERR_IO, "the log did not get durable");
    if (err == ERR_OK)
        err = commit(store);
    if (err != ERR_OK)
        return err;
    err = batch_sync_wal(store);
    if (err != ERR_OK)
        return store__fail(store, err, "the WAL could not be synced");
    return ERR_OK;
}

/* ---- the job ---- */

static void sync_work(struct loop_job *job)
{
    struct batches *batches = container_of(job, struct batches, job);

    if (batches->job_log)
        batches->job_log_err = data_sync_work(batches->store);
    /* After a log that could not be synced nothing may get durable that came later. */
    if (batches->job_wal && batches->job_log_err == ERR_OK)
        batches->job_wal_err = sqlite_door_sync_wal(batches->store->door, batches->wal);
}

static void sync_returned(struct store *store)
{
    struct batches *batches = store->batches;

    batches->job_runs = false;
    store->counters.syncs++;
    store->counters.sync_ns_total += clock_monotonic_ns() - batches->job_start_ns;
    if (batches->job_log)
        data_sync_end(store, batches->job_log_err);
    if (batches->job_log_err != ERR_OK)
        (void)store__fail(store, batches->job_log_err, "the log could not be synced");
    else if (batches->job_wal_err != ERR_OK)
        (void)store__fail(store, batches->job_wal_err, "the WAL could not be synced");
    if (store->health != ERR_OK)
        return;
    if (batches->job_wal)
        batch_is_durable(store, batches->job_batch);
    complete_waiters(store);
}

static void sync_done(struct loop_job *job)
{
    struct store *store = container_of(job, struct batches, job)->store;

    sync_returned(store);
    loop_wake(store->loop); /* the pump runs at the end of this turn, also for what waiters' callbacks did */
}

static void submit_sync(struct store *store, bool want_log)
{
    struct batches *batches = store->batches;

    batches->job_log = want_log && data_sync_begin(store);
    batches->job_wal = batches->committed > batches->durable;
    if (!batches->job_log && !batches->job_wal)
        return;
    batches->job_batch = batches->committed;
    batches->job_log_err = batches->job_wal_err = ERR_OK;
    batches->job_start_ns = clock_monotonic_ns();
    batches->job = (struct loop_job){.work = sync_work, .done = sync_done};
    batches->job_runs = true;
    if (loop_submit(store->loop, &batches->job) != ERR_OK) {
        /* no worker: slow, but right */
        sync_work(&batches->job);
        sync_done(&batches->job);
    }
}

/* ---- the pump ---- */

static bool is_due(const struct batches *batches)
{
    return batches->changed && clock_monotonic_ms() - batches->changed_ms >= BACKGROUND_MS;
}

static bool is_full(const struct store *store)
{
    return (store->transaction && store->row_changes >= ROW_CHANGES_MOST) || store->dirty_count >= DIRTY_MOST;
}

/* Step 1 and 2. True: the log must be synced before the commit. */
static enum err pump_commit(struct store *store, bool *log_first_r)
{
    struct batches *batches = store->batches;
    enum err err = prepare_commit(store, batches->drained != NULL ? DATA_FLUSH_ALL : DATA_FLUSH_DUE);

    *log_first_r = false;
    if (err == ERR_OK && log_is_behind(store)) {
        if (batches->job_runs || batches->log_first < LOG_FIRST_MOST) {
            batches->log_first += !batches->job_runs;
            *log_first_r = true;
            return ERR_OK;
        }
        err = sync_log_now(store);
        if (err == ERR_OK && log_is_behind(store)) {
            *log_first_r = true; /* a write of the log is under way: after it */
            return ERR_OK;
        }
    }
    if (err == ERR_OK)
        err = commit(store);
    if (err == ERR_OK)
        checkpoint_consider(store);
    return err;
}

static void rearm(struct store *store)
{
    struct batches *batches = store->batches;

    if (batches->timer_runs)
        return;
    if (store->doomed_count > 0)
        arm_timer(batches, RETRY_MS);
    else if (batches->changed || batches->committed > batches->durable ||
             data_end_position(store) > data_durable_position(store) || data_flush_wanted(store))
        arm_timer(batches, BACKGROUND_MS);
}

static void pump(struct store *store)
{
    struct batches *batches = store->batches;
    bool waits = !list_is_empty(&batches->by_batch), log_first = false;
    bool background = batches->drained != NULL || is_due(batches) || data_flush_wanted(store) ||
                      (store->doomed_count > 0 && batches->timer_fired);
    bool want_log = !list_is_empty(&batches->by_position) || data_sync_wanted(store);
    bool changed = batches->changed || store->doomed_count > 0 || data_flush_wanted(store) ||
                   (batches->drained != NULL && (store->dirty_count > 0));

    if (batches->job_runs) {
        /* The next batch waits for the sync, but not at any size. */
        if (batches->changed && is_full(store) && !checkpoint_holds_commit(store))
            (void)pump_commit(store, &log_first);
        return;
    }
    if (changed && !checkpoint_holds_commit(store) &&
        (waits || background || batches->prepared || is_full(store)) &&
        pump_commit(store, &log_first) != ERR_OK)
        return;
    batches->timer_fired = false;
    if (waits || background || want_log || log_first || batches->committed > batches->durable)
        submit_sync(store, want_log || log_first || batches->drained != NULL);
    rearm(store);
}

/* Is there nothing left to make durable? */
static bool is_clean(struct store *store)
{
    struct batches *batches = store->batches;

    return !batches->job_runs && !batches->changed && batches->committed == batches->durable &&
           store->dirty_count == 0 && data_end_position(store) <= data_durable_position(store);
}

static void end_of_turn(struct loop_hook *hook)
{
    struct batches *batches = container_of(hook, struct batches, hook);
    struct store *store = batches->store;

    complete_waiters(store);
    if (store->health == ERR_OK)
        pump(store);
    if (store->health != ERR_OK && !batches->job_runs)
        fail_waiters(store);
    if (batches->drained != NULL && !batches->job_runs && (store->health != ERR_OK || is_clean(store))) {
        void (*drained)(struct store *) = batches->drained;

        batches->drained = NULL;
        drained(store);
    }
}

static void timer_fired(struct loop_timer *timer)
{
    struct batches *batches = container_of(timer, struct batches, timer);

    batches->timer_runs = false;
    batches->timer_fired = true;
    loop_wake(batches->store->loop);
}

void batch_drain(struct store *store, void (*done)(struct store *store))
{
    store->batches->drained = done;
    loop_wake(store->loop);
}

/* ---- opening and closing ---- */

enum err batch_open(struct store *store)
{
    struct batches *batches = calloc(1, sizeof *batches);
    enum err err;

    if (batches == NULL)
        return ERR_NOMEM;
    batches->store = store;
    batches->open = 1;
    batches->hook.callback = end_of_turn;
    batches->timer.callback = timer_fired;
    list_init(&batches->by_batch);
    list_init(&batches->by_position);
    err = disk_open(store->disk, DOOR_WAL, DISK_READ | DISK_WRITE, &batches->wal);
    if (err != ERR_OK) {
        free(batches);
        return err;
    }
    store->batches = batches;
    return ERR_OK;
}

void batch_start(struct store *store)
{
    store->batches->hooked = true;
    loop_hook_add(store->loop, &store->batches->hook);
    rearm(store);
}

void batch_close(struct store *store)
{
    struct batches *batches = store->batches;

    if (batches == NULL)
        return;
    if (batches->hooked) {
        loop_hook_remove(&batches->hook);
        loop_timer_stop(&batches->timer);
    }
    disk_close(&batches->wal);
    free(batches);
    store->batches = NULL;
}
