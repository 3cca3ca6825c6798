/*
 * smb2_delete.c - the opens of a file by all of its streams, and its deletion (MS-FSA 2.1.5.5, 2.1.5.14.3).
 *
 * An open made with FILE_DELETE_ON_CLOSE marks the file (or stream) when it is closed; a disposition marks it
 * at once. The mark is on one of the opens and goes on to another when that one is closed; the last one takes
 * the name away. A file also waits for the opens of its streams: then the mark is on one of these
 * (`base_pending`). While it is marked nobody opens it. With POSIX's semantics the name goes when the open
 * that was marked does, and whoever else has the file open keeps it.
 *
 * The name that goes is that by which the marking open came: it is handed on with the mark. Renames, also
 * those by NFS, reach the opens through a listener of vfs.
 */
#include "smb/smb2_file_priv.h"
#include "dittofs/hash.h"

#include <stdlib.h>
#include <string.h>

static uint64_t hash_of(const struct inode *file)
{
    return hash_u64((uint64_t)(uintptr_t)file);
}

bool smb2__file_add(struct smb_server *server, struct smb2_open *open)
{
    open->is_indexed = hashtable_insert(&server->files, &open->by_file, hash_of(smb2_open_file(open)));
    return open->is_indexed;
}

void smb2__file_remove(struct smb_server *server, struct smb2_open *open)
{
    if (open->is_indexed)
        hashtable_remove(&server->files, &open->by_file);
    open->is_indexed = false;
}

struct smb2_open *smb2__file_next(const struct smb_server *server, const struct inode *file,
                                  const struct smb2_open *at)
{
    struct hashlink *link =
        at == NULL ? hashtable_find(&server->files, hash_of(file)) : hashtable_find_next(&at->by_file);

    for (; link != NULL; link = hashtable_find_next(link)) {
        struct smb2_open *open = container_of(link, struct smb2_open, by_file);

        if (smb2_open_file(open) == file)
            return open;
    }
    return NULL;
}

bool smb2__file_is_going(const struct smb_server *server, const struct inode *file, const struct inode *inode)
{
    for (struct smb2_open *at = NULL; (at = smb2__file_next(server, file, at)) != NULL;)
        if (at->base_pending || (at->delete_pending && (at->base == NULL || at->inode == inode)))
            return true;
    return false;
}

/* ---- marks ---- */

/* Another open of what OPEN was one of: of the same stream, or any of the file. */
static struct smb2_open *another(const struct smb_server *server, const struct smb2_open *open, bool any)
{
    const struct inode *file = smb2_open_file(open);

    for (struct smb2_open *at = NULL; (at = smb2__file_next(server, file, at)) != NULL;)
        if (at != open && (any || at->inode == open->inode))
            return at;
    return NULL;
}

static void hand_on_name(const struct smb2_open *from, struct smb2_open *to)
{
    if (from->dir == NULL)
        return;
    vfs_unref(&to->dir);
    to->dir = vfs_ref(from->dir);
    memcpy(to->name, from->name, from->name_length);
    to->name_length = from->name_length;
    smb2__persist_note(to);
}

/* Takes the name away, if it is still that of the file. */
static void delete_name(const struct smb2_open *open, struct vfs_context *context)
{
    struct store_name name = {.bytes = open->name, .length = open->name_length};
    struct inode_attr attr;
    struct inode *there;
    enum err err;

    if (open->dir == NULL || vfs_lookup(context, open->dir, name, &there) != ERR_OK)
        return;
    vfs_getattr(there, &attr);
    if (there == smb2_open_file(open)) {
        context->by_handle = true;
        err = vfs_remove(context, open->dir, name,
                         attr.type == INODE_DIRECTORY ? VFS_REMOVE_DIRECTORY : VFS_REMOVE_NOT_DIRECTORY);
        if (err != ERR_OK)
            log_debug("smb: deleting on close failed: %s", err_text(err));
        else
            smb2__tunnel_leave(open->server, open->tree->export_id, open->dir, name, &attr);
    }
    vfs_unref(&there);
}

static void delete_stream(const struct smb2_open *open, struct vfs_context *context)
{
    struct store_name name = {.bytes = open->stream, .length = open->stream_length};
    enum err err;

    context->by_handle = true;
    err = vfs_stream_remove(context, open->base, name);
    if (err != ERR_OK)
        log_debug("smb: deleting a stream on close failed: %s", err_text(err));
}

/* The open of a stream goes, with the stream and the file as marked. */
static void settle_stream(struct smb_server *server, struct smb2_open *open, struct vfs_context *context)
{
    struct smb2_open *same = another(server, open, false), *any = another(server, open, true);

    if (open->delete_pending && same != NULL) {
        same->delete_pending = true;
        smb2__persist_note(same);
    } else if (open->delete_pending)
        delete_stream(open, context);
    if (!open->base_pending)
        return;
    if (any == NULL) {
        delete_name(open, context);
        return;
    }
    hand_on_name(open, any);
    any->base_pending = true;
    smb2__persist_note(any);
}

static void settle_file(struct smb_server *server, struct smb2_open *open, struct vfs_context *context)
{
    struct smb2_open *same = another(server, open, false), *any = another(server, open, true);

    if (!open->delete_pending)
        return;
    if (open->delete_posix || any == NULL) {
        delete_name(open, context);
        return;
    }
    /* Handles that are kept open in a cache keep the file. */
    if (vfs_conflict_names(context, open->inode, NULL) != ERR_OK)
        log_debug("smb: caching grants on a file that goes can't be broken");
    hand_on_name(open, same != NULL ? same : any);
    if (same != NULL)
        same->delete_pending = true;
    else
        any->base_pending = true;
    smb2__persist_note(same != NULL ? same : any);
    smb2__notify_deleted(server, open->inode);
}

void smb2__file_settle(struct smb_server *server, struct smb2_open *open, struct vfs_context *context)
{
    struct vfs_context own;

    if (open->delete_on_close)
        open->delete_pending = true;
    if (!open->delete_pending && !open->base_pending)
        return;
    if (context == NULL) {
        if (smb2__tree_context(server, open->tree, owner_id(open->owner), &own) != STATUS_SUCCESS)
            return;
        smb2__open_grants(open, &own);
        context = &own;
    }
    /* The last handle is closed, and nobody is left to try again. */
    context->tells_only = true;
    if (open->base != NULL)
        settle_stream(server, open, context);
    else
        settle_file(server, open, context);
}

/* ---- renames ---- */

static bool has_name(const struct smb2_open *open, const struct inode *dir, struct store_name name)
{
    return open->dir == dir && open->name_length == name.length &&
           memcmp(open->name, name.bytes, name.length) == 0;
}

static void on_rename(struct vfs_listener *listener, const struct vfs_event *event)
{
    struct smb_server *server = container_of(listener, struct smb_server, renames);

    for (struct smb2_open *at = NULL; (at = smb2__file_next(server, event->inode, at)) != NULL;) {
        if (!has_name(at, event->dir, event->name) || event->other_name.length > sizeof at->name)
            continue;
        vfs_unref(&at->dir);
        at->dir = vfs_ref(event->other_dir);
        memcpy(at->name, event->other_name.bytes, event->other_name.length);
        at->name_length = event->other_name.length;
        free(at->dir_path); /* found anew when somebody asks */
        at->dir_path = NULL;
        smb2__persist_note(at);
    }
}

void smb2__file_watch(struct smb_server *server)
{
    server->renames = (struct vfs_listener){.kinds = VFS_EVENT_RENAMED, .event = on_rename};
    vfs_listener_add(server->vfs, &server->renames);
}

void smb2__file_unwatch(struct smb_server *server)
{
    vfs_listener_remove(&server->renames);
    hashtable_free(&server->files);
}
