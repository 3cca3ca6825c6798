/*
 * checkpoint.c - copying the WAL into the database, so that the WAL can begin anew.
 *
 * The checkpointer's own connection (synchronous = NORMAL) makes SQLite sync the WAL before it copies and the
 * database before the WAL may be overwritten. When the WAL is longer than BATCH_WAL_BYTES a worker makes
 * passes over it while the loop goes on committing, so each pass leaves a few frames. SQLite begins the WAL
 * anew only with a transaction that begins while all of it is copied, so the last pass is made on the loop,
 * between two batches. It copies few frames and syncs nothing but the WAL; a worker then syncs the database.
 * Until that is back nothing may be committed (checkpoint_holds_commit): the next commit overwrites the WAL.
 * Changes go on meanwhile; SQLite keeps what is not committed in memory. The WAL file is never made shorter.
 *
 * A failed checkpoint may have been a failed sync, which can't be tried again: the store fails. Only when
 * there was no space for a page of the database, it is tried again some frames later.
 */
#include "dittofs/log.h"
#include "store/batch_priv.h"
#include "store/sql_priv.h"
#include "store/sqlite_door_priv.h"
#include <stdlib.h>

enum {
    FRAME_BYTES = 4096 + 24,
    LAST_FRAMES = 256, /* copied on the loop at most, */
    PASSES_MOST = 8,   /* except when so many passes of the worker did not get there */
    RETRY_FRAMES = 1024,
    REFRESH_BYTES = 1 << 20,
};

struct checkpointer {
    struct store *store;
    sqlite3 *db;
    struct disk_file *file; /* the database, to sync it */
    struct loop_job job;
    bool job_runs;
    int frames;      /* in the WAL, after the last commit */
    int copied;      /* of them, so far */
    int counted;     /* of these, in the counters */
    int wait_frames; /* no pass before the WAL has so many */
    unsigned passes;
    bool last_wanted; /* the worker is through: the loop copies the rest */
    bool holds;       /* the last pass was made, and a worker syncs the database */
    enum err job_err;
    void (*all_done)(struct store *store);
};

static int count_frames(void *data, sqlite3 *db, const char *name, int frames)
{
    struct checkpointer *checkpointer = data;

    (void)db;
    (void)name;
    checkpointer->frames = frames;
    return SQLITE_OK;
}

static enum err run_pass(struct checkpointer *checkpointer)
{
    int frames = 0, copied = 0;
    int code = sqlite3_wal_checkpoint_v2(checkpointer->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &frames, &copied);
    enum err err = sqlite_door_err(checkpointer->store->door, code);

    if (err == ERR_OK && copied < 0)
        err = ERR_CORRUPT; /* not in WAL mode */
    if (err != ERR_OK) {
        log_error("store: checkpoint: %s", sqlite3_errmsg(checkpointer->db));
        return err;
    }
    checkpointer->copied = copied;
    return ERR_OK;
}

static void pass_work(struct loop_job *job)
{
    struct checkpointer *checkpointer = container_of(job, struct checkpointer, job);

    checkpointer->job_err = checkpointer->holds ? ERR_OK : run_pass(checkpointer);
    if (checkpointer->job_err == ERR_OK)
        checkpointer->job_err = sqlite_door_sync(checkpointer->store->door, checkpointer->file);
}

/* COPIED counts from the WAL's beginning. */
static void count_copied(struct checkpointer *checkpointer)
{
    int before = checkpointer->counted <= checkpointer->copied ? checkpointer->counted : 0;

    checkpointer->store->counters.checkpoint_frames += (uint64_t)(checkpointer->copied - before);
    checkpointer->counted = checkpointer->copied;
}

static void start_pass(struct checkpointer *checkpointer);

static void pass_failed(struct checkpointer *checkpointer, enum err err)
{
    struct store *store = checkpointer->store;

    if (err != ERR_NOSPC || sqlite_door_has_failed(store->door)) {
        (void)store__fail(store, err, "the WAL could not be checkpointed");
        return;
    }
    checkpointer->last_wanted = false;
    checkpointer->wait_frames = checkpointer->frames + RETRY_FRAMES;
}

static void pass_done(struct loop_job *job)
{
    struct checkpointer *checkpointer = container_of(job, struct checkpointer, job);
    struct store *store = checkpointer->store;
    void (*all_done)(struct store *) = checkpointer->all_done;
    int left = checkpointer->frames - checkpointer->copied;
    bool was_last = checkpointer->holds;

    checkpointer->job_runs = checkpointer->holds = false;
    if (checkpointer->job_err != ERR_OK)
        pass_failed(checkpointer, checkpointer->job_err);
    else
        count_copied(checkpointer);
    if (all_done != NULL) {
        checkpointer->all_done = NULL;
        all_done(store);
    } else if (was_last) {
        loop_wake(store->loop); /* a commit may wait */
    } else if (store->health == ERR_OK && checkpointer->job_err == ERR_OK) {
        if (left > LAST_FRAMES && checkpointer->passes < PASSES_MOST) {
            start_pass(checkpointer);
        } else {
            checkpointer->last_wanted = true;
            if (!store->transaction)
                checkpoint_consider(store);
        }
    }
}

static void submit(struct checkpointer *checkpointer)
{
    checkpointer->job = (struct loop_job){.work = pass_work, .done = pass_done};
    checkpointer->job_runs = true;
    if (loop_submit(checkpointer->store->loop, &checkpointer->job) != ERR_OK) {
        pass_work(&checkpointer->job);
        pass_done(&checkpointer->job);
    }
}

static void start_pass(struct checkpointer *checkpointer)
{
    checkpointer->passes++;
    submit(checkpointer);
}

/* Nothing is committed that is not copied afterwards. */
static void make_last_pass(struct checkpointer *checkpointer)
{
    struct store *store = checkpointer->store;
    enum err err = batch_sync_wal(store);

    if (err == ERR_OK)
        err = sql_execute(store->door, checkpointer->db, "PRAGMA synchronous = OFF");
    if (err == ERR_OK)
        err = run_pass(checkpointer);
    if (err == ERR_OK || err == ERR_NOSPC) {
        enum err back = sql_execute(store->door, checkpointer->db, "PRAGMA synchronous = NORMAL");

        err = err == ERR_OK ? back : err;
        if (back != ERR_OK) /* passes without syncs must never be */
            err = store__fail(store, back, "the checkpointer could not be set up");
    }
    if (err != ERR_OK) {
        pass_failed(checkpointer, err);
        return;
    }
    count_copied(checkpointer);
    /* The next transaction begins the WAL anew; its commit tells the number of frames. */
    checkpointer->frames = checkpointer->copied = checkpointer->counted = checkpointer->wait_frames = 0;
    checkpointer->last_wanted = false;
    checkpointer->holds = true;
    submit(checkpointer);
}

void checkpoint_consider(struct store *store)
{
    struct checkpointer *checkpointer = store->checkpointer;
    uint64_t most = store->options.segment_bytes / 16, bytes;

    if (checkpointer->job_runs || store->health != ERR_OK || store->transaction ||
        checkpointer->frames < checkpointer->wait_frames)
        return;
    most = most < BATCH_WAL_BYTES ? most : BATCH_WAL_BYTES;
    bytes = (uint64_t)checkpointer->frames * FRAME_BYTES;
    if (checkpointer->last_wanted || bytes > BATCH_WAL_BYTES_HARD) {
        make_last_pass(checkpointer);
    } else if (bytes > most) {
        checkpointer->passes = 0;
        start_pass(checkpointer);
    }
}

bool checkpoint_holds_commit(const struct store *store)
{
    return store->checkpointer->holds;
}

void checkpoint_all(struct store *store, void (*done)(struct store *store))
{
    invariant(!store->transaction && !store->checkpointer->job_runs);
    store->checkpointer->all_done = done;
    start_pass(store->checkpointer);
}

bool checkpoint_is_busy(const struct store *store)
{
    return store->checkpointer->job_runs;
}

enum err checkpoint_refresh_wal(struct disk *disk)
{
    uint8_t *bytes = malloc(REFRESH_BYTES);
    struct disk_file *file;
    uint64_t offset = 0;
    size_t got = REFRESH_BYTES;
    enum err err = bytes == NULL ? ERR_NOMEM : disk_open(disk, DOOR_WAL, DISK_READ | DISK_WRITE, &file);

    if (err != ERR_OK) {
        free(bytes);
        return err == ERR_NOENT ? ERR_OK : err;
    }
    for (; err == ERR_OK && got == REFRESH_BYTES; offset += got) {
        err = disk_pread(file, bytes, REFRESH_BYTES, offset, &got);
        if (err == ERR_OK && got > 0)
            err = disk_pwrite(file, bytes, got, offset);
    }
    if (err == ERR_OK && offset > 0)
        err = disk_sync(file);
    disk_close(&file);
    free(bytes);
    return err;
}

enum err checkpoint_open(struct store *store)
{
    struct checkpointer *checkpointer = calloc(1, sizeof *checkpointer);
    enum err err;

    if (checkpointer == NULL)
        return ERR_NOMEM;
    checkpointer->store = store;
    store->checkpointer = checkpointer;
    err = disk_open(store->disk, DOOR_DATABASE, DISK_READ | DISK_WRITE, &checkpointer->file);
    if (err == ERR_OK)
        err = sqlite_door_connect(store->door, &checkpointer->db);
    if (err == ERR_OK)
        err = sql_execute(store->door, checkpointer->db,
                          "PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0;"
                          "PRAGMA cache_size = 16; PRAGMA temp_store = MEMORY");
    if (err == ERR_OK)
        sqlite3_wal_hook(store->db, count_frames, checkpointer);
    else
        checkpoint_close(store);
    return err;
}

void checkpoint_close(struct store *store)
{
    struct checkpointer *checkpointer = store->checkpointer;

    if (checkpointer == NULL)
        return;
    if (store->db != NULL)
        sqlite3_wal_hook(store->db, NULL, NULL);
    if (checkpointer->db != NULL)
        sqlite3_close(checkpointer->db);
    if (checkpointer->file != NULL)
        disk_close(&checkpointer->file);
    free(checkpointer);
    store->checkpointer = NULL;
}
