/*
 * smb2_restore.c - persistent opens at the start of the server (MS-SMB2 3.3.3): all that are recorded are
 * opened again, with their ranges and leases, and parked, before anybody is served. So nobody can have got
 * what is theirs, and grace, which keeps others from getting anything new, need not wait for them.
 *
 * First all records are read; then the opens are made, then their ranges. What does not stand any more (the
 * file, the share, the user is gone, or the share has no such handles now) loses its record, and is said.
 */
#include "smb/smb2_file_priv.h"
#include "smb/smb2_grants.h"
#include "smb/smb2_persist.h"
#include "smb/smb2_share.h"
#include "dittofs/clock.h"

#include <stdlib.h>
#include <string.h>

/* A record as it was read. */
struct row {
    struct list link;
    size_t key_length, value_length;
    uint8_t bytes[]; /* key and value */
};

struct load {
    struct smb_server *server;
    struct list rows;
    enum err err;
    unsigned opens, ranges, lost;
};

static bool take_row(void *data, const void *key, size_t key_length, const void *value, size_t value_length)
{
    struct load *load = data;
    struct row *row = malloc(sizeof *row + key_length + value_length);

    if (row == NULL) {
        load->err = ERR_NOMEM;
        return false;
    }
    row->key_length = key_length;
    row->value_length = value_length;
    if (key_length > 0)
        memcpy(row->bytes, key, key_length);
    if (value_length > 0)
        memcpy(row->bytes + key_length, value, value_length);
    list_push_back(&load->rows, &row->link);
    return true;
}

/* ---- an open ---- */

static void read_peer(const uint8_t bytes[16], struct net_address *address_r)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    memset(address_r, 0, sizeof *address_r);
    if (memcmp(bytes, mapped, sizeof mapped) == 0) {
        address_r->sa.v4.sin_family = AF_INET;
        memcpy(&address_r->sa.v4.sin_addr, bytes + 12, 4);
    } else {
        address_r->sa.v6.sin6_family = AF_INET6;
        memcpy(&address_r->sa.v6.sin6_addr, bytes, 16);
    }
}

static const struct ident_user *find_user(const struct smb_server *server, const struct smb2_record *kept)
{
    const struct ident_user *user;
    char name[IDENT_NAME_MAX + 1];

    memcpy(name, kept->user, kept->user_length);
    name[kept->user_length] = '\0';
    user = ident_user_find(server->identity, name);
    return user != NULL && user->uid == kept->uid && !user->disabled ? user : NULL;
}

/* A tree with a session behind it that has ended, as every parked open has one. */
static enum err make_tree(struct smb_server *server, const struct smb2_record *kept,
                          struct smb2_tree **tree_r)
{
    const struct ident_user *user = find_user(server, kept);
    struct smb2_session *session;
    struct smb2_tree *tree;
    enum err err;

    if (user == NULL)
        return ERR_PERM;
    session = calloc(1, sizeof *session);
    tree = calloc(1, sizeof *tree);
    err = session == NULL || tree == NULL ? ERR_NOMEM
                                          : smb2__client_get(server, kept->guid, 0, &session->machine);
    if (err != ERR_OK) {
        free(session);
        free(tree);
        return err;
    }
    session->references = 1;
    session->dead = tree->dead = true;
    session->server = server;
    session->dialect = kept->dialect;
    session->user = *user;
    read_peer(kept->peer, &session->peer);
    list_init(&session->channels);
    list_init(&session->trees);
    list_init(&session->opens);
    list_init(&session->lost);
    tree->references = 1;
    tree->session = session;
    tree->export_id = kept->export_id;
    list_init(&tree->link);
    *tree_r = tree;
    return ERR_OK;
}

/* The file, and what is opened of it. */
static enum err find_file(struct smb2_tree *tree, const struct smb2_record *kept, struct inode **file_r,
                          struct inode **inode_r)
{
    struct smb_server *server = tree->session->server;
    struct store_name name = {.bytes = kept->stream, .length = kept->stream_length};
    uint8_t stored[STORE_NAME_MAX];
    struct vfs_context context;
    struct vfs_export *export;
    struct inode *file;
    size_t length;
    enum err err = vfs_handle_decode(server->vfs, kept->file, sizeof kept->file, &export, &file);

    if (err != ERR_OK)
        return err;
    if (vfs_export_id(export) != kept->export_id)
        err = ERR_STALE;
    if (err == ERR_OK && kept->stream_length == 0)
        *inode_r = vfs_ref(file);
    if (err == ERR_OK && kept->stream_length > 0) {
        if (smb2__tree_context(server, tree, 0, &context) != STATUS_SUCCESS)
            err = ERR_ACCES;
        context.by_handle = true;
        if (err == ERR_OK)
            err = vfs_stream_lookup(&context, file, name, inode_r, stored, &length);
    }
    if (err != ERR_OK)
        vfs_unref(&file);
    else
        *file_r = file;
    return err;
}

static void settle(struct smb2_open *open, const struct smb2_record *kept)
{
    struct smb_server *server = open->server;
    struct vfs_export *export;

    if ((kept->flags & SMB2_RECORD_HAS_DIR) &&
        vfs_handle_decode(server->vfs, kept->dir, sizeof kept->dir, &export, &open->dir) != ERR_OK)
        open->dir = NULL; /* the name is gone with it, and there is nothing to delete */
    memcpy(open->name, kept->name, kept->name_length);
    open->name_length = kept->name_length;
    memcpy(open->stream, kept->stream, kept->stream_length);
    open->stream_length = kept->stream_length;
    open->delete_on_close = (kept->flags & SMB2_RECORD_DELETE_ON_CLOSE) != 0;
    open->delete_pending = (kept->flags & SMB2_RECORD_DELETE_PENDING) != 0;
    open->delete_posix = (kept->flags & SMB2_RECORD_DELETE_POSIX) != 0;
    open->base_pending = (kept->flags & SMB2_RECORD_BASE_PENDING) != 0;
    open->is_durable = (kept->flags & SMB2_RECORD_DURABLE) != 0;
    open->write_through = true;
    open->action = kept->action;
    open->durable_ms = kept->durable_ms;
    open->mode = kept->mode;
    open->has_app = (kept->flags & SMB2_RECORD_APP) != 0;
    open->has_app_version = (kept->flags & SMB2_RECORD_APP_VERSION) != 0;
    memcpy(open->app, kept->app, sizeof open->app);
    memcpy(open->app_version, kept->app_version, sizeof open->app_version);
    memcpy(open->create_guid, kept->create_guid, sizeof open->create_guid);
    open->is_replay_eligible = true;
    open->has_create_guid = hashtable_insert(&server->create_guids, &open->by_guid,
                                             siphash64(&server->hash_key, open->create_guid, 16));
    smb2__open_name(open);
}

static void park(struct smb2_open *open, const struct smb2_record *kept)
{
    struct smb_server *server = open->server;
    struct smb2_client *machine = open->machine;
    const struct smb2_session *session = open->session;

    open->is_persistent = open->is_restored = true;
    server->persistent_count++;
    if (kept->lease.version != 0)
        smb2__lease_restore(open, &kept->lease);
    else
        smb2__oplock_restore(open, kept->oplock_level, kept->oplock_kinds);
    machine->dialect = session->dialect;
    machine->peer = session->peer;
    memcpy(machine->user, session->user.name, sizeof machine->user);
    machine->missing++;
    invariant(smb2__durable_park(open));
    if (open->parked_until_ms > machine->missing_until_ms)
        machine->missing_until_ms = open->parked_until_ms;
}

static enum err restore_open(struct smb_server *server, const struct smb2_record *kept)
{
    const struct vfs_export *export = vfs_export_by_id(server->vfs, kept->export_id);
    struct inode *file = NULL, *inode = NULL;
    struct smb2_open_wish wish;
    struct smb2_open *open;
    struct smb2_tree *tree;
    enum err err;

    if (export == NULL || !(vfs_export_config(export)->protocols & VFS_SMB) ||
        !smb2__share(server, export)->persistent)
        return ERR_NOTSUPP;
    if (smb2__open_by_id(server, kept->id) != NULL)
        return ERR_EXIST;
    err = make_tree(server, kept, &tree);
    if (err != ERR_OK)
        return err;
    err = find_file(tree, kept, &file, &inode);
    if (err == ERR_OK) {
        wish = (struct smb2_open_wish){
            .inode = inode,
            .base = inode != file ? file : NULL,
            .access = kept->access,
            .share = kept->share,
            .lease_key = kept->lease.version != 0 ? kept->lease.key : NULL,
            .parent_key = (kept->flags & SMB2_RECORD_PARENT_KEY) != 0 ? kept->parent_key : NULL,
            .persistent_id = kept->id,
        };
        if (smb2__open_new(server, tree, &wish, &open) == STATUS_SUCCESS) {
            inode = NULL;
            settle(open, kept);
            park(open, kept);
        } else {
            err = ERR_SHARE_DENIED;
        }
    }
    vfs_unref(&inode);
    vfs_unref(&file);
    smb2__tree_unref(&tree);
    return err;
}

/* ---- ranges and numbers ---- */

static bool read_range(struct reader *key, struct reader *value, uint64_t *id_r, struct lock_request *range_r,
                       uint32_t *count_r)
{
    uint8_t kind;

    if (!reader_be64(key, id_r) || !reader_u8(key, &kind) || !reader_be64(key, &range_r->offset) ||
        !reader_be64(key, &range_r->length) || !reader_is_done(key) || kind > SMB2_RECORD_SHARED ||
        !reader_be32(value, count_r) || !reader_is_done(value))
        return false;
    range_r->exclusive = kind == SMB2_RECORD_EXCLUSIVE;
    return true;
}

/* Of an open that stands again; else it is of no use. */
static enum err restore_range(struct smb_server *server, struct reader *key, struct reader *value)
{
    struct lock_request range = {.any_time = true};
    struct lock_holder *holder;
    struct smb2_open *open;
    uint32_t count;
    uint64_t id;
    enum err err;

    if (!read_range(key, value, &id, &range, &count))
        return ERR_CORRUPT;
    open = smb2__open_by_id(server, id);
    if (open == NULL || !open->is_restored)
        return ERR_NOENT;
    err = lock_holder_get(open->file, open->owner, open->share, LOCK_EXACT, &holder);
    for (uint32_t i = 0; i < count && err == ERR_OK; i++)
        err = lock_set(holder, &range, NULL);
    return err;
}

static enum err restore_numbers(const struct smb_server *server, struct reader *key, struct reader *value)
{
    struct smb2_open *open;
    uint64_t id;

    if (!reader_be64(key, &id) || !reader_is_done(key) || value->left != sizeof open->lock_numbers)
        return ERR_CORRUPT;
    open = smb2__open_by_id(server, id);
    if (open == NULL || !open->is_restored)
        return ERR_NOENT;
    return reader_copy(value, open->lock_numbers, sizeof open->lock_numbers) ? ERR_OK : ERR_CORRUPT;
}

/* ---- all ---- */

static enum err restore_row(struct load *load, const struct row *row)
{
    struct reader key = reader_of(row->bytes, row->key_length);
    struct reader value = reader_of(row->bytes + row->key_length, row->value_length);
    struct smb2_record kept;
    uint8_t kind;
    enum err err = ERR_CORRUPT;

    if (!reader_u8(&key, &kind))
        return ERR_CORRUPT;
    if (kind == 'o' && reader_be64(&key, &kept.id) && reader_is_done(&key) &&
        smb2__record_read(&kept, &value))
        err = restore_open(load->server, &kept);
    else if (kind == 'r')
        err = restore_range(load->server, &key, &value);
    else if (kind == 's')
        err = restore_numbers(load->server, &key, &value);
    if (err == ERR_OK && kind == 'o')
        load->opens++;
    else if (err == ERR_OK && kind == 'r')
        load->ranges++;
    else if (err != ERR_OK && kind == 'o') {
        load->lost++;
        log_warning("smb: a persistent handle from before the restart is gone: %s", err_text(err));
    }
    return err;
}

static enum err restore_rows(struct load *load)
{
    struct recovery_store *records = &load->server->records;
    struct list *link;
    enum err err;

    /* In the order of their keys: opens, ranges (exclusive ones first), numbers. */
    list_for_each(link, &load->rows)
    {
        const struct row *row = container_of(link, const struct row, link);

        err = restore_row(load, row);
        if (err == ERR_NOMEM)
            return err;
        if (err == ERR_OK)
            continue;
        err = records->remove(records->data, SMB2_PERSIST_TABLE, row->bytes, row->key_length);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

static enum err load_rows(struct load *load)
{
    const struct recovery_store *records = &load->server->records;
    enum err err;

    list_init(&load->rows);
    err = records->scan(records->data, SMB2_PERSIST_TABLE, take_row, load);
    return err == ERR_OK ? load->err : err;
}

static void free_rows(struct load *load)
{
    struct list *link, *following;

    list_for_each_safe(link, following, &load->rows)
    {
        list_remove(link);
        free(container_of(link, struct row, link));
    }
}

/* The row of a range that is not held, or not so often, any more. */
static enum err correct(struct smb_server *server, const struct row *row)
{
    struct reader key = reader_of(row->bytes, row->key_length);
    struct reader value = reader_of(row->bytes + row->key_length, row->value_length);
    const struct lock_holder *holder;
    const struct smb2_open *open;
    struct lock_request range;
    uint32_t count, now;
    uint8_t kind;
    uint64_t id;

    if (!reader_u8(&key, &kind) || kind != 'r' || !read_range(&key, &value, &id, &range, &count))
        return ERR_OK;
    open = smb2__open_by_id(server, id);
    if (open == NULL || !open->is_persistent)
        return ERR_OK;
    holder = lock_holder_find(open->file, open->owner);
    now = holder == NULL ? 0 : lock_holder_count_equal(holder, range.offset, range.length, range.exclusive);
    return now == count ? ERR_OK : smb2__persist_range(open, range.offset, range.length);
}

enum err smb_server_locks_taken(struct smb_server *server)
{
    struct load load = {.server = server, .err = ERR_OK};
    struct list *link;
    enum err err;

    if (!server->has_records || server->persistent_count == 0)
        return ERR_OK;
    err = load_rows(&load);
    list_for_each(link, &load.rows)
    {
        if (err == ERR_OK)
            err = correct(server, container_of(link, struct row, link));
    }
    free_rows(&load);
    recovery_released(server->state);
    return err;
}

enum err smb_server_restore(struct smb_server *server)
{
    struct load load = {.server = server, .err = ERR_OK};
    enum err err;

    if (!server->has_records)
        return ERR_OK;
    err = load_rows(&load);
    if (err == ERR_OK)
        err = restore_rows(&load);
    free_rows(&load);
    if (load.opens + load.lost > 0)
        log_info("smb: %u persistent handles with %u locks stand again, %u don't", load.opens, load.ranges,
                 load.lost);
    return err;
}
