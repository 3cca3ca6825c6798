/*
 * smb2_persist.c - records of persistent opens (MS-SMB2 3.3.5.9.10, .12): so that they stand again when the
 * server was killed and started anew, from before anybody else is served.
 *
 * CREATE with SMB2_DHANDLE_FLAG_PERSISTENT, on a share that has them, records the open with its lease or
 * oplock; LOCK each range. Both are answered when that is durable: the records join the batch that is open,
 * so what many clients ask for at once costs one sync. What the open's holder changes later (the mark of
 * deletion, a range given back) or has taken away (its lease) is recorded when it happens; a name that
 * somebody else gave the file soon after. Whatever is written through such an open is durable before the
 * reply, as its holder does not hear of a restart.
 *
 * A record that goes, or says less than before, makes all who get something wait until that is durable
 * (recovery_released): what is free now must not be held again after a crash.
 *
 * Invariant: an open that is_persistent has a record, and one in server->unrecorded has one that will be
 * written anew. A record without an open is one that could not be removed: the next start does it.
 */
#include "smb/smb2_persist.h"
#include "smb/smb2_grants.h"
#include "dittofs/clock.h"

#include <string.h>

/* ---- the form ---- */

enum { VERSION = 1 };

size_t smb2__record_key(uint8_t key[SMB2_RECORD_KEY], char kind, uint64_t id)
{
    struct writer writer;

    writer_init(&writer, key, SMB2_RECORD_KEY);
    writer_u8(&writer, (uint8_t)kind);
    writer_be64(&writer, id);
    return writer.length;
}

static void write_bytes(struct writer *writer, const uint8_t *bytes, uint8_t length)
{
    writer_u8(writer, length);
    writer_bytes(writer, bytes, length);
}

static bool read_bytes(struct reader *reader, const uint8_t **bytes, uint8_t *length)
{
    return reader_u8(reader, length) && reader_bytes(reader, *length, bytes);
}

void smb2__record_write(const struct smb2_record *kept, struct writer *writer)
{
    writer_u8(writer, VERSION);
    writer_be32(writer, kept->export_id);
    writer_be32(writer, kept->flags);
    writer_bytes(writer, kept->file, sizeof kept->file);
    writer_bytes(writer, kept->dir, sizeof kept->dir);
    write_bytes(writer, kept->name, kept->name_length);
    write_bytes(writer, kept->stream, kept->stream_length);
    write_bytes(writer, kept->user, kept->user_length);
    writer_be32(writer, kept->uid);
    writer_bytes(writer, kept->guid, sizeof kept->guid);
    writer_be16(writer, kept->dialect);
    writer_bytes(writer, kept->peer, sizeof kept->peer);
    writer_be32(writer, kept->access);
    writer_be32(writer, kept->share);
    writer_be32(writer, kept->action);
    writer_be32(writer, kept->durable_ms);
    writer_be32(writer, kept->mode);
    writer_bytes(writer, kept->create_guid, sizeof kept->create_guid);
    writer_bytes(writer, kept->parent_key, sizeof kept->parent_key);
    writer_bytes(writer, kept->app, sizeof kept->app);
    writer_be64(writer, kept->app_version[0]);
    writer_be64(writer, kept->app_version[1]);
    writer_u8(writer, kept->oplock_level);
    writer_u8(writer, kept->oplock_kinds);
    writer_u8(writer, kept->lease.version);
    writer_bytes(writer, kept->lease.key, sizeof kept->lease.key);
    writer_be16(writer, kept->lease.epoch);
    writer_u8(writer, (uint8_t)kept->lease.kinds);
}

static bool read_who(struct smb2_record *kept, struct reader *reader)
{
    return read_bytes(reader, &kept->name, &kept->name_length) &&
           read_bytes(reader, &kept->stream, &kept->stream_length) &&
           read_bytes(reader, &kept->user, &kept->user_length) && kept->user_length <= IDENT_NAME_MAX &&
           reader_be32(reader, &kept->uid) && reader_copy(reader, kept->guid, sizeof kept->guid) &&
           reader_be16(reader, &kept->dialect) && reader_copy(reader, kept->peer, sizeof kept->peer);
}

static bool read_caching(struct smb2_record *kept, struct reader *reader)
{
    const uint8_t all = GRANT_READ | GRANT_WRITE | GRANT_HANDLE;
    uint8_t kinds;

    if (!reader_u8(reader, &kept->oplock_level) || !reader_u8(reader, &kept->oplock_kinds) ||
        !reader_u8(reader, &kept->lease.version) ||
        !reader_copy(reader, kept->lease.key, sizeof kept->lease.key) ||
        !reader_be16(reader, &kept->lease.epoch) || !reader_u8(reader, &kinds))
        return false;
    kept->lease.kinds = kinds;
    return (kinds & ~all) == 0 && (kept->oplock_kinds & ~all) == 0;
}

bool smb2__record_read(struct smb2_record *kept, struct reader *reader)
{
    uint8_t version;

    return reader_u8(reader, &version) && version == VERSION && reader_be32(reader, &kept->export_id) &&
           reader_be32(reader, &kept->flags) && reader_copy(reader, kept->file, sizeof kept->file) &&
           reader_copy(reader, kept->dir, sizeof kept->dir) && read_who(kept, reader) &&
           reader_be32(reader, &kept->access) && reader_be32(reader, &kept->share) &&
           reader_be32(reader, &kept->action) && reader_be32(reader, &kept->durable_ms) &&
           reader_be32(reader, &kept->mode) &&
           reader_copy(reader, kept->create_guid, sizeof kept->create_guid) &&
           reader_copy(reader, kept->parent_key, sizeof kept->parent_key) &&
           reader_copy(reader, kept->app, sizeof kept->app) && reader_be64(reader, &kept->app_version[0]) &&
           reader_be64(reader, &kept->app_version[1]) && read_caching(kept, reader) && reader_is_done(reader);
}

/* ---- what there is to record ---- */

static void keep_peer(const struct net_address *address, uint8_t bytes[16])
{
    if (address->sa.any.sa_family == AF_INET6) {
        memcpy(bytes, &address->sa.v6.sin6_addr, 16);
        return;
    }
    memset(bytes, 0, 10);
    memset(bytes + 10, 0xff, 2);
    memcpy(bytes + 12, &address->sa.v4.sin_addr, 4);
}

static uint32_t flags_of(const struct smb2_open *open)
{
    return (open->delete_on_close ? (unsigned)SMB2_RECORD_DELETE_ON_CLOSE : 0u) |
           (open->delete_pending ? (unsigned)SMB2_RECORD_DELETE_PENDING : 0u) |
           (open->delete_posix ? (unsigned)SMB2_RECORD_DELETE_POSIX : 0u) |
           (open->base_pending ? (unsigned)SMB2_RECORD_BASE_PENDING : 0u) |
           (open->has_parent_key ? (unsigned)SMB2_RECORD_PARENT_KEY : 0u) |
           (open->has_app ? (unsigned)SMB2_RECORD_APP : 0u) |
           (open->has_app_version ? (unsigned)SMB2_RECORD_APP_VERSION : 0u) |
           (open->dir != NULL ? (unsigned)SMB2_RECORD_HAS_DIR : 0u) |
           (open->is_durable ? (unsigned)SMB2_RECORD_DURABLE : 0u);
}

static unsigned oplock_kinds(const struct smb2_open *open)
{
    if (open->oplock == NULL)
        return 0;
    return grant_status(open->oplock) == GRANT_BREAKING ? grant_break_to(open->oplock)
                                                        : grant_kinds(open->oplock);
}

static void keep(const struct smb2_open *open, const struct vfs_export *export, struct smb2_record *kept)
{
    const struct smb2_session *session = open->tree->session;

    *kept = (struct smb2_record){
        .id = open->persistent_id,
        .export_id = open->tree->export_id,
        .flags = flags_of(open),
        .name = open->name,
        .name_length = (uint8_t)open->name_length,
        .stream = open->stream,
        .stream_length = (uint8_t)open->stream_length,
        .user = (const uint8_t *)session->user.name,
        .user_length = (uint8_t)strlen(session->user.name),
        .uid = session->user.uid,
        .dialect = session->dialect,
        .access = open->access,
        .share = 7u & ~open_deny(open->share),
        .action = open->action,
        .durable_ms = open->durable_ms,
        .mode = open->mode,
        .oplock_level = open->oplock_level,
        .oplock_kinds = (uint8_t)oplock_kinds(open),
    };
    vfs_handle_encode(open->server->vfs, export, smb2_open_file(open), kept->file);
    if (open->dir != NULL)
        vfs_handle_encode(open->server->vfs, export, open->dir, kept->dir);
    memcpy(kept->guid, open->machine->guid, sizeof kept->guid);
    keep_peer(&session->peer, kept->peer);
    memcpy(kept->create_guid, open->create_guid, sizeof kept->create_guid);
    memcpy(kept->parent_key, open->parent_key, sizeof kept->parent_key);
    memcpy(kept->app, open->app, sizeof kept->app);
    memcpy(kept->app_version, open->app_version, sizeof kept->app_version);
    smb2__lease_keep(open, &kept->lease);
}

/* ---- writing ---- */

static enum err put(const struct smb_server *server, const void *key, size_t key_length, const void *value,
                    size_t value_length)
{
    return server->records.put(server->records.data, SMB2_PERSIST_TABLE, key, key_length, value,
                               value_length);
}

static enum err take_away(const struct smb_server *server, const void *key, size_t key_length)
{
    return server->records.remove(server->records.data, SMB2_PERSIST_TABLE, key, key_length);
}

static enum err put_open(const struct smb2_open *open)
{
    const struct vfs_export *export = vfs_export_by_id(open->server->vfs, open->tree->export_id);
    uint8_t key[SMB2_RECORD_KEY], bytes[SMB2_RECORD_MAX];
    struct smb2_record kept;
    struct writer writer;

    if (export == NULL)
        return ERR_STALE;
    keep(open, export, &kept);
    writer_init(&writer, bytes, sizeof bytes);
    smb2__record_write(&kept, &writer);
    invariant(!writer.failed);
    return put(open->server, key, smb2__record_key(key, 'o', open->persistent_id), bytes, writer.length);
}

static void settled(struct smb2_open *open)
{
    list_remove(&open->unrecorded_link);
    open->is_unrecorded = false;
}

bool smb2__persist_begin(struct smb2_open *open)
{
    static const uint8_t nobody[16];
    struct smb_server *server = open->server;
    enum err err;

    if (!server->has_records || open->share == NULL || server->persistent_count >= SMB2_PERSISTENT_MAX ||
        memcmp(open->machine->guid, nobody, sizeof nobody) == 0)
        return false;
    err = put_open(open);
    if (err != ERR_OK) {
        log_warning("smb: a persistent handle can't be recorded: %s", err_text(err));
        return false;
    }
    open->is_persistent = open->write_through = true;
    server->persistent_count++;
    return true;
}

void smb2__persist_update(struct smb2_open *open)
{
    enum err err;

    if (!open->is_persistent || open->share == NULL)
        return;
    if (open->is_unrecorded)
        settled(open);
    err = put_open(open);
    if (err == ERR_OK)
        recovery_released(open->server->state);
    else
        log_error("smb: what became of a persistent handle can't be recorded: %s", err_text(err));
}

static size_t range_key(uint8_t key[SMB2_RECORD_RANGE], uint64_t id, bool exclusive, uint64_t offset,
                        uint64_t length)
{
    struct writer writer;

    writer_init(&writer, key, SMB2_RECORD_RANGE);
    writer_u8(&writer, 'r');
    writer_be64(&writer, id);
    writer_u8(&writer, exclusive ? SMB2_RECORD_EXCLUSIVE : SMB2_RECORD_SHARED);
    writer_be64(&writer, offset);
    writer_be64(&writer, length);
    return writer.length;
}

static enum err put_range(const struct smb2_open *open, uint64_t offset, uint64_t length, bool exclusive)
{
    const struct lock_holder *holder = lock_holder_find(open->file, open->owner);
    uint32_t count = holder == NULL ? 0 : lock_holder_count_equal(holder, offset, length, exclusive);
    uint8_t key[SMB2_RECORD_RANGE], value[4];
    size_t key_length = range_key(key, open->persistent_id, exclusive, offset, length);
    struct writer writer;

    if (count == 0)
        return take_away(open->server, key, key_length);
    writer_init(&writer, value, sizeof value);
    writer_be32(&writer, count);
    return put(open->server, key, key_length, value, sizeof value);
}

enum err smb2__persist_range(const struct smb2_open *open, uint64_t offset, uint64_t length)
{
    enum err err = put_range(open, offset, length, true);

    return err == ERR_OK ? put_range(open, offset, length, false) : err;
}

enum err smb2__persist_numbers(const struct smb2_open *open)
{
    uint8_t key[SMB2_RECORD_KEY];

    return put(open->server, key, smb2__record_key(key, 's', open->persistent_id), open->lock_numbers,
               sizeof open->lock_numbers);
}

/* ---- the end ---- */

static enum err remove_ranges(const struct smb2_open *open)
{
    const struct lock_holder *holder = lock_holder_find(open->file, open->owner);
    struct lock_cursor cursor = {0};
    struct lock_conflict range;
    uint8_t key[SMB2_RECORD_RANGE];
    enum err err = ERR_OK;

    while (err == ERR_OK && holder != NULL && lock_holder_next_range(holder, &cursor, &range))
        err = take_away(open->server, key,
                        range_key(key, open->persistent_id, range.exclusive, range.offset, range.length));
    return err;
}

static void remove_all(struct smb2_open *open)
{
    uint8_t key[SMB2_RECORD_KEY];
    enum err err = take_away(open->server, key, smb2__record_key(key, 'o', open->persistent_id));

    if (err == ERR_OK)
        err = take_away(open->server, key, smb2__record_key(key, 's', open->persistent_id));
    if (err == ERR_OK)
        err = remove_ranges(open);
    if (err != ERR_OK)
        log_error("smb: the record of a persistent handle can't be removed: %s", err_text(err));
    recovery_released(open->server->state);
}

void smb2__persist_returned(struct smb2_open *open)
{
    if (open->is_restored)
        open->machine->missing--;
    open->is_restored = false;
}

void smb2__persist_end(struct smb2_open *open)
{
    if (!open->is_persistent)
        return;
    smb2__persist_returned(open);
    if (open->is_left && open->share != NULL) {
        if (open->is_unrecorded)
            smb2__persist_update(open);
    } else {
        remove_all(open);
    }
    if (open->is_unrecorded)
        settled(open);
    open->is_persistent = false;
    open->server->persistent_count--;
}

/* ---- soon ---- */

/* An administrator has closed it. */
static void revoked(struct smb2_open *open)
{
    if (open->session == NULL)
        smb2__open_end(open, NULL);
    else
        smb2__persist_end(open);
}

/* Its client is back, and has been answered: it is told of the break that it could not be told of. */
static void remind(struct smb2_open *open)
{
    struct grant *grant = open->lease != NULL ? open->lease->grant : open->oplock;

    if (open->owes_break && grant != NULL)
        grant_remind(grant);
    open->owes_break = false;
}

static void on_due(struct loop_timer *timer)
{
    struct smb_server *server = container_of(timer, struct smb_server, record_timer);

    while (!list_is_empty(&server->unrecorded)) {
        struct smb2_open *open = list_first(&server->unrecorded, struct smb2_open, unrecorded_link);

        settled(open);
        if (open->share == NULL) {
            revoked(open);
            continue;
        }
        smb2__persist_update(open);
        remind(open);
    }
}

void smb2__persist_note(struct smb2_open *open)
{
    struct smb_server *server = open->server;

    if (!open->is_persistent || open->is_unrecorded)
        return;
    open->is_unrecorded = true;
    list_push_back(&server->unrecorded, &open->unrecorded_link);
    if (server->stopping)
        return; /* it ends soon, and is recorded then */
    server->record_timer.callback = on_due;
    loop_timer_start(server->loop, &server->record_timer, 0, 0);
}

void smb2__persist_stop(struct smb_server *server)
{
    loop_timer_stop(&server->record_timer);
}

/* ---- who is missing ---- */

void smb_missing_each(const struct smb_server *server,
                      bool (*each)(void *data, const struct smb_missing *missing), void *data)
{
    uint64_t now_ms = clock_monotonic_ms();

    for (struct hashlink *at = hashtable_walk(&server->clients, NULL); at != NULL;
         at = hashtable_walk(&server->clients, at)) {
        const struct smb2_client *machine = container_of(at, const struct smb2_client, link);
        struct smb_missing missing = {
            .user = machine->user,
            .peer = &machine->peer,
            .opens = machine->missing,
            .left_ms = machine->missing_until_ms > now_ms ? machine->missing_until_ms - now_ms : 0};

        if (machine->missing > 0 && !each(data, &missing))
            return;
    }
}
