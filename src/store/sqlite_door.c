/*
 * sqlite_door.c - a SQLite VFS whose files go through struct disk.
 *
 * Two files exist, the database and its WAL; journals and temporary files are kept in memory by pragma, and
 * any other name is refused. One process owns the folder (the disk's lock), so file locks and the WAL's
 * shared memory are held here, in the heap, under one mutex: they order the connections of one store, each of
 * which is used by one thread at a time (writer: loop; checkpointer: a worker).
 *
 * SQLite writes each frame of the WAL in two small pieces. Here they are gathered and written at the
 * transaction's end, in a few large ones: at the latest with the frame that says "commit" (its header has a
 * database size, https://sqlite.org/fileformat2.html 4.1), before SQLite shows the transaction to other
 * connections. Nothing but the writer's own handle needs to know.
 *
 * Errors of the disk are kept in last_error, because SQLite's codes say less than enum err.
 */
#include "store/sqlite_door_priv.h"
#include "dittofs/clock.h"
#include "dittofs/log.h"
#include "dittofs/random.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SHM_LOCKS = SQLITE_SHM_NLOCK,
    SHM_REGIONS_MAX = 4096, /* of 32 KiB: a WAL of 16 million frames */
    GATHER_BYTES = 256 << 10,
    FRAME_HEAD_BYTES = 24,
};

struct sqlite_door {
    sqlite3_vfs vfs;
    char name[40];
    struct disk *disk;
    bool read_only;
    _Atomic int last_error;     /* enum err */
    pthread_mutex_t sync_mutex; /* one sync of the WAL at a time */
    _Atomic int sync_error;     /* of the first one that failed, of any file */
    pthread_mutex_t mutex;      /* of everything below */
    unsigned shared;            /* connections with a SHARED lock or more on the database */
    bool reserved, pending, exclusive;
    void *regions[SHM_REGIONS_MAX];
    unsigned lock_shared[SHM_LOCKS];
    bool lock_exclusive[SHM_LOCKS];
    unsigned mappers; /* files that mapped the shared memory */
};

struct door_file {
    sqlite3_file base;
    struct sqlite_door *door;
    struct disk_file *file;
    int level; /* SQLITE_LOCK_* held */
    bool mapped;
    uint16_t shm_shared, shm_exclusive; /* bits of locks held */

    /* of a WAL that is written: bytes that are gathered, and where they belong */
    bool is_wal;
    bool commits; /* the page that follows ends the transaction */
    uint8_t *gathered;
    size_t gathered_length;
    uint64_t gathered_at;
};

static struct door_file *door_file(sqlite3_file *file)
{
    return (struct door_file *)file;
}

static int failed(struct sqlite_door *door, enum err err, int code)
{
    atomic_store(&door->last_error, (int)err);
    if (err == ERR_NOSPC)
        return SQLITE_FULL;
    if (err == ERR_NOMEM)
        return SQLITE_IOERR_NOMEM;
    return code;
}

enum err sqlite_door_err(struct sqlite_door *door, int code)
{
    enum err last;

    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return ERR_OK;
    case SQLITE_CONSTRAINT:
        return ERR_EXIST;
    case SQLITE_FULL:
        return ERR_NOSPC;
    case SQLITE_NOMEM:
        return ERR_NOMEM;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_MISMATCH:
        return ERR_CORRUPT;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERR_BUSY;
    default:
        last = (enum err)atomic_load(&door->last_error);
        return last != ERR_OK ? last : ERR_IO;
    }
}

/* ---- files ---- */

/* After a failed sync the system may have dropped what was to be written, and the next one, by whomever, may
 * say that all is well: so there is no next one. */
enum err sqlite_door_sync(struct sqlite_door *door, struct disk_file *file)
{
    enum err err = (enum err)atomic_load(&door->sync_error);

    if (err != ERR_OK)
        return err;
    err = disk_sync(file);
    if (err != ERR_OK)
        atomic_store(&door->sync_error, (int)err);
    return err;
}

bool sqlite_door_has_failed(struct sqlite_door *door)
{
    return atomic_load(&door->sync_error) != ERR_OK;
}

enum err sqlite_door_sync_wal(struct sqlite_door *door, struct disk_file *wal)
{
    enum err err;

    pthread_mutex_lock(&door->sync_mutex);
    err = sqlite_door_sync(door, wal);
    pthread_mutex_unlock(&door->sync_mutex);
    return err;
}

static int file_close(sqlite3_file *file)
{
    struct door_file *f = door_file(file);

    free(f->gathered); /* a transaction that was never committed */
    disk_close(&f->file);
    return SQLITE_OK;
}

/* Writes what was gathered. */
static int flush(struct door_file *f)
{
    size_t length = f->gathered_length;
    enum err err;

    if (length == 0)
        return SQLITE_OK;
    f->gathered_length = 0;
    f->gathered_at += length;
    err = disk_pwrite(f->file, f->gathered, length, f->gathered_at - length);
    return err == ERR_OK ? SQLITE_OK : failed(f->door, err, SQLITE_IOERR_WRITE);
}

static bool is_commit(const uint8_t *frame_head)
{
    static const uint8_t none[4];

    return memcmp(frame_head + 4, none, sizeof none) != 0;
}

static int write_now(struct door_file *f, const void *data, size_t length, uint64_t offset)
{
    enum err err = disk_pwrite(f->file, data, length, offset);

    return err == ERR_OK ? SQLITE_OK : failed(f->door, err, SQLITE_IOERR_WRITE);
}

/* The WAL begins anew with a new head. It must be durable before the frames behind it are overwritten: an old
 * head with a part of the old frames would bring back old pages over newer ones of the database. SQLite does
 * the same, but not with synchronous = OFF. */
static int begin_wal(struct door_file *f, const uint8_t *head, size_t length)
{
    int code = flush(f);
    enum err err;

    if (code == SQLITE_OK)
        code = write_now(f, head, length, 0);
    if (code != SQLITE_OK)
        return code;
    f->gathered_at = length;
    f->commits = false;
    err = sqlite_door_sync_wal(f->door, f->file);
    return err == ERR_OK ? SQLITE_OK : failed(f->door, err, SQLITE_IOERR_FSYNC);
}

static int gather(struct door_file *f, const uint8_t *data, size_t length, uint64_t offset)
{
    bool follows = offset == f->gathered_at + f->gathered_length;
    int code = SQLITE_OK;

    if (offset == 0)
        return begin_wal(f, data, length);
    if (f->gathered == NULL)
        f->gathered = malloc(GATHER_BYTES);
    if (!follows || f->gathered_length + length > GATHER_BYTES)
        code = flush(f);
    if (code != SQLITE_OK)
        return code;
    if (!follows || f->gathered == NULL) {
        /* Begins somewhere else; or frames that were written are changed, and no page follows their heads. */
        f->gathered_at = offset + length;
        f->commits = length == FRAME_HEAD_BYTES && is_commit(data);
        return write_now(f, data, length, offset);
    }
    memcpy(f->gathered + f->gathered_length, data, length);
    f->gathered_length += length;
    if (length == FRAME_HEAD_BYTES) {
        f->commits = is_commit(data);
        return SQLITE_OK;
    }
    if (f->commits)
        code = flush(f);
    f->commits = false;
    return code;
}

static int file_read(sqlite3_file *file, void *buffer, int length, sqlite3_int64 offset)
{
    struct door_file *f = door_file(file);
    int code = flush(f);
    size_t got = 0;
    enum err err;

    if (code != SQLITE_OK)
        return code;
    err = disk_pread(f->file, buffer, (size_t)length, (uint64_t)offset, &got);
    if (err != ERR_OK)
        return failed(f->door, err, SQLITE_IOERR_READ);
    if (got < (size_t)length) {
        memset((uint8_t *)buffer + got, 0, (size_t)length - got);
        return SQLITE_IOERR_SHORT_READ;
    }
    return SQLITE_OK;
}

static int file_write(sqlite3_file *file, const void *data, int length, sqlite3_int64 offset)
{
    struct door_file *f = door_file(file);

    if (f->door->read_only)
        return SQLITE_READONLY;
    if (f->is_wal && length <= GATHER_BYTES)
        return gather(f, data, (size_t)length, (uint64_t)offset);
    return write_now(f, data, (size_t)length, (uint64_t)offset);
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct door_file *f = door_file(file);
    int code = flush(f);
    enum err err;

    if (f->door->read_only)
        return SQLITE_READONLY;
    if (code != SQLITE_OK)
        return code;
    err = disk_truncate(f->file, (uint64_t)size);
    return err == ERR_OK ? SQLITE_OK : failed(f->door, err, SQLITE_IOERR_TRUNCATE);
}

static int file_sync(sqlite3_file *file, int flags)
{
    struct door_file *f = door_file(file);
    int code = flush(f);
    enum err err;

    (void)flags;
    if (code != SQLITE_OK)
        return code;
    err = f->is_wal ? sqlite_door_sync_wal(f->door, f->file) : sqlite_door_sync(f->door, f->file);
    return err == ERR_OK ? SQLITE_OK : failed(f->door, err, SQLITE_IOERR_FSYNC);
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size_r)
{
    struct door_file *f = door_file(file);
    int code = flush(f);
    uint64_t size;
    enum err err;

    if (code != SQLITE_OK)
        return code;
    err = disk_size(f->file, &size);
    if (err != ERR_OK)
        return failed(f->door, err, SQLITE_IOERR_FSTAT);
    *size_r = (sqlite3_int64)size;
    return SQLITE_OK;
}

/* The state machine of SQLite's "File Locking And Concurrency" page, for the connections of one process. */
static int file_lock(sqlite3_file *file, int level)
{
    struct door_file *f = door_file(file);
    struct sqlite_door *door = f->door;
    int code = SQLITE_OK;

    if (f->level >= level)
        return SQLITE_OK;
    pthread_mutex_lock(&door->mutex);
    if (level == SQLITE_LOCK_SHARED) {
        if (door->pending || door->exclusive)
            code = SQLITE_BUSY;
        else
            door->shared++;
    } else if (level == SQLITE_LOCK_RESERVED) {
        if (door->reserved)
            code = SQLITE_BUSY;
        else
            door->reserved = true;
    } else { /* PENDING and EXCLUSIVE; a hot journal is rolled back without RESERVED, but there are none */
        if (door->exclusive || (door->pending && f->level < SQLITE_LOCK_PENDING) ||
            (door->reserved && f->level < SQLITE_LOCK_RESERVED)) {
            code = SQLITE_BUSY;
        } else if (door->shared > 1) {
            door->pending = door->reserved = true;
            f->level = SQLITE_LOCK_PENDING;
            code = SQLITE_BUSY;
        } else {
            door->pending = door->reserved = door->exclusive = true;
        }
    }
    if (code == SQLITE_OK)
        f->level = level;
    pthread_mutex_unlock(&door->mutex);
    return code;
}

static int file_unlock(sqlite3_file *file, int level)
{
    struct door_file *f = door_file(file);
    struct sqlite_door *door = f->door;

    if (f->level <= level)
        return SQLITE_OK;
    pthread_mutex_lock(&door->mutex);
    if (f->level >= SQLITE_LOCK_RESERVED)
        door->reserved = false;
    if (f->level >= SQLITE_LOCK_PENDING)
        door->pending = false;
    if (f->level == SQLITE_LOCK_EXCLUSIVE)
        door->exclusive = false;
    if (level == SQLITE_LOCK_NONE)
        door->shared--;
    f->level = level;
    pthread_mutex_unlock(&door->mutex);
    return SQLITE_OK;
}

static int file_check_reserved(sqlite3_file *file, int *result_r)
{
    struct sqlite_door *door = door_file(file)->door;

    pthread_mutex_lock(&door->mutex);
    *result_r = door->reserved;
    pthread_mutex_unlock(&door->mutex);
    return SQLITE_OK;
}

static int file_control(sqlite3_file *file, int what, void *argument)
{
    (void)file;
    if (what == SQLITE_FCNTL_PERSIST_WAL) { /* the WAL is never removed */
        *(int *)argument = 1;
        return SQLITE_OK;
    }
    return SQLITE_NOTFOUND;
}

static int file_sector_size(sqlite3_file *file)
{
    (void)file;
    return 4096;
}

static int file_characteristics(sqlite3_file *file)
{
    (void)file;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

/* ---- the WAL's shared memory ---- */

static int shm_map(sqlite3_file *file, int region, int size, int extend, void volatile **memory_r)
{
    struct door_file *f = door_file(file);
    struct sqlite_door *door = f->door;
    int code = SQLITE_OK;

    *memory_r = NULL;
    if (region < 0 || region >= SHM_REGIONS_MAX)
        return SQLITE_IOERR_SHMMAP;
    pthread_mutex_lock(&door->mutex);
    if (!f->mapped) {
        f->mapped = true;
        door->mappers++;
    }
    if (door->regions[region] == NULL && extend) {
        door->regions[region] = calloc(1, (size_t)size);
        if (door->regions[region] == NULL)
            code = SQLITE_IOERR_NOMEM;
    }
    *memory_r = door->regions[region];
    pthread_mutex_unlock(&door->mutex);
    return code;
}

static bool shm_may_lock(struct door_file *f, unsigned bit, bool exclusive)
{
    struct sqlite_door *door = f->door;
    bool mine_shared = (f->shm_shared >> bit) & 1;

    if (door->lock_exclusive[bit])
        return (f->shm_exclusive >> bit) & 1;
    return !exclusive || door->lock_shared[bit] == (mine_shared ? 1u : 0u);
}

static void shm_set(struct door_file *f, unsigned bit, bool exclusive)
{
    if (exclusive && !((f->shm_exclusive >> bit) & 1)) {
        f->door->lock_exclusive[bit] = true;
        f->shm_exclusive |= (uint16_t)(1u << bit);
    } else if (!exclusive && !((f->shm_shared >> bit) & 1)) {
        f->door->lock_shared[bit]++;
        f->shm_shared |= (uint16_t)(1u << bit);
    }
}

static void shm_clear(struct door_file *f, unsigned bit)
{
    if ((f->shm_exclusive >> bit) & 1)
        f->door->lock_exclusive[bit] = false;
    if ((f->shm_shared >> bit) & 1)
        f->door->lock_shared[bit]--;
    f->shm_exclusive &= (uint16_t) ~(1u << bit);
    f->shm_shared &= (uint16_t) ~(1u << bit);
}

static int shm_lock(sqlite3_file *file, int first, int count, int flags)
{
    struct door_file *f = door_file(file);
    bool exclusive = (flags & SQLITE_SHM_EXCLUSIVE) != 0;
    int code = SQLITE_OK;

    pthread_mutex_lock(&f->door->mutex);
    if (flags & SQLITE_SHM_UNLOCK) {
        for (int i = first; i < first + count; i++)
            shm_clear(f, (unsigned)i);
    } else {
        for (int i = first; i < first + count && code == SQLITE_OK; i++)
            if (!shm_may_lock(f, (unsigned)i, exclusive))
                code = SQLITE_BUSY;
        for (int i = first; i < first + count && code == SQLITE_OK; i++)
            shm_set(f, (unsigned)i, exclusive);
    }
    pthread_mutex_unlock(&f->door->mutex);
    return code;
}

static void shm_barrier(sqlite3_file *file)
{
    (void)file;
    atomic_thread_fence(memory_order_seq_cst);
}

static int shm_unmap(sqlite3_file *file, int remove)
{
    struct door_file *f = door_file(file);
    struct sqlite_door *door = f->door;

    (void)remove;
    if (!f->mapped)
        return SQLITE_OK;
    pthread_mutex_lock(&door->mutex);
    for (unsigned i = 0; i < SHM_LOCKS; i++)
        shm_clear(f, i);
    f->mapped = false;
    if (--door->mappers == 0) {
        for (unsigned i = 0; i < SHM_REGIONS_MAX; i++) {
            free(door->regions[i]);
            door->regions[i] = NULL;
        }
    }
    pthread_mutex_unlock(&door->mutex);
    return SQLITE_OK;
}

static const sqlite3_io_methods file_methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
    .xShmMap = shm_map,
    .xShmLock = shm_lock,
    .xShmBarrier = shm_barrier,
    .xShmUnmap = shm_unmap,
};

/* ---- the VFS ---- */

static struct sqlite_door *vfs_door(sqlite3_vfs *vfs)
{
    return vfs->pAppData;
}

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *flags_r)
{
    struct sqlite_door *door = vfs_door(vfs);
    struct door_file *f = door_file(file);
    unsigned how = DISK_READ;
    enum err err;

    file->pMethods = NULL;
    if (name == NULL || (strcmp(name, DOOR_DATABASE) != 0 && strcmp(name, DOOR_WAL) != 0)) {
        log_error("store: SQLite asked for a file that it may not have: %s", name ? name : "(temporary)");
        return SQLITE_CANTOPEN;
    }
    if (!door->read_only)
        how |= DISK_WRITE | (flags & SQLITE_OPEN_CREATE ? DISK_CREATE : 0);
    *f = (struct door_file){.door = door, .is_wal = strcmp(name, DOOR_WAL) == 0};
    err = disk_open(door->disk, name, how, &f->file);
    if (err != ERR_OK)
        return failed(door, err, SQLITE_CANTOPEN);
    f->base.pMethods = &file_methods;
    if (flags_r != NULL)
        *flags_r = door->read_only
                       ? (flags & ~(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE)) | SQLITE_OPEN_READONLY
                       : flags;
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    struct sqlite_door *door = vfs_door(vfs);
    enum err err;

    (void)sync;
    if (door->read_only)
        return SQLITE_READONLY;
    err = disk_unlink(door->disk, name);
    if (err == ERR_NOENT)
        return SQLITE_IOERR_DELETE_NOENT;
    return err == ERR_OK ? SQLITE_OK : failed(door, err, SQLITE_IOERR_DELETE);
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *result_r)
{
    struct sqlite_door *door = vfs_door(vfs);
    struct disk_file *file;
    enum err err;

    (void)flags;
    *result_r = 0;
    if (strcmp(name, DOOR_DATABASE) != 0 && strcmp(name, DOOR_WAL) != 0)
        return SQLITE_OK;
    err = disk_open(door->disk, name, DISK_READ, &file);
    if (err == ERR_NOENT)
        return SQLITE_OK;
    if (err != ERR_OK)
        return failed(door, err, SQLITE_IOERR_ACCESS);
    disk_close(&file);
    *result_r = 1;
    return SQLITE_OK;
}

static int vfs_full_path(sqlite3_vfs *vfs, const char *name, int capacity, char *path)
{
    (void)vfs;
    return snprintf(path, (size_t)capacity, "%s", name) < capacity ? SQLITE_OK : SQLITE_CANTOPEN;
}

static int vfs_randomness(sqlite3_vfs *vfs, int length, char *bytes)
{
    (void)vfs;
    random_bytes(bytes, (size_t)length);
    return length;
}

static int vfs_sleep(sqlite3_vfs *vfs, int microseconds)
{
    (void)vfs;
    return microseconds; /* nobody waits for a lock: a busy connection is told at once */
}

static int vfs_time(sqlite3_vfs *vfs, sqlite3_int64 *milliseconds_r)
{
    struct timestamp now = clock_wall();

    (void)vfs;
    /* Julian day 2440587.5 is 1970-01-01 */
    *milliseconds_r = 210866760000000 + now.seconds * 1000 + now.nanoseconds / 1000000;
    return SQLITE_OK;
}

static int vfs_last_error(sqlite3_vfs *vfs, int capacity, char *text)
{
    (void)vfs;
    if (capacity > 0)
        text[0] = '\0';
    return 0;
}

static void configure_sqlite(void)
{
    /* Figures of memory that nobody reads cost a mutex an allocation. */
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    (void)sqlite3_initialize();
}

enum err sqlite_door_open(struct disk *disk, bool read_only, struct sqlite_door **door_r)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    static _Atomic unsigned count;
    struct sqlite_door *door;

    pthread_once(&once, configure_sqlite);
    door = calloc(1, sizeof *door);
    if (door == NULL)
        return ERR_NOMEM;
    door->disk = disk;
    door->read_only = read_only;
    pthread_mutex_init(&door->mutex, NULL);
    pthread_mutex_init(&door->sync_mutex, NULL);
    snprintf(door->name, sizeof door->name, "dittofs-%u", atomic_fetch_add(&count, 1));
    door->vfs = (sqlite3_vfs){
        .iVersion = 2,
        .szOsFile = sizeof(struct door_file),
        .mxPathname = 64,
        .zName = door->name,
        .pAppData = door,
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_full_path,
        .xRandomness = vfs_randomness,
        .xSleep = vfs_sleep,
        .xGetLastError = vfs_last_error,
        .xCurrentTimeInt64 = vfs_time,
    };
    if (sqlite3_vfs_register(&door->vfs, 0) != SQLITE_OK) {
        pthread_mutex_destroy(&door->mutex);
        pthread_mutex_destroy(&door->sync_mutex);
        free(door);
        return ERR_NOMEM;
    }
    *door_r = door;
    return ERR_OK;
}

void sqlite_door_close(struct sqlite_door **door)
{
    struct sqlite_door *d = *door;

    if (d == NULL)
        return;
    *door = NULL;
    invariant(d->mappers == 0);
    sqlite3_vfs_unregister(&d->vfs);
    pthread_mutex_destroy(&d->mutex);
    pthread_mutex_destroy(&d->sync_mutex);
    free(d);
}

enum err sqlite_door_connect(struct sqlite_door *door, sqlite3 **db_r)
{
    int flags = SQLITE_OPEN_NOMUTEX |
                (door->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    sqlite3 *db = NULL;
    int code = sqlite3_open_v2(DOOR_DATABASE, &db, flags, door->name);

    if (code == SQLITE_OK) /* closing is no checkpoint: that is ours, and a crash must look like one */
        code = sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    if (code != SQLITE_OK) {
        sqlite3_close(db);
        return sqlite_door_err(door, code);
    }
    *db_r = db;
    return ERR_OK;
}
