/*
 * smb2_set_rename.c - rename and hard links (MS-FSA 2.1.5.14.6, 2.1.5.14.11): what may be, and what is in the
 * way. The names of all opens follow through smb2_delete.c.
 */
#include "smb/smb2_file_priv.h"

#include <stdlib.h>
#include <string.h>

enum { FLAG_REPLACE = 1, FLAG_POSIX = 2, DEPTH_MAX = 256 };

struct target {
    struct smb2_place place;
    bool replace, posix;
    bool same; /* what is there is the file itself */
    bool there;
};

/* MS-FSCC 2.4.42.2, 2.4.27.2: both have the same form; the extended one has flags. */
static uint32_t decode(struct reader *data, bool extended, struct target *target, struct reader *name_r)
{
    uint64_t root;
    uint32_t flags, length;

    if (!reader_le32(data, &flags) || !reader_skip(data, 4) || !reader_le64(data, &root) ||
        !reader_le32(data, &length))
        return STATUS_INFO_LENGTH_MISMATCH;
    if (!reader_sub(data, length, name_r))
        return STATUS_INFO_LENGTH_MISMATCH;
    if (!extended)
        flags = (flags & 0xff) != 0 ? FLAG_REPLACE : 0;
    target->replace = (flags & FLAG_REPLACE) != 0;
    target->posix = (flags & FLAG_POSIX) != 0;
    return root != 0 || length == 0 ? STATUS_INVALID_PARAMETER : STATUS_SUCCESS;
}

/* ---- what is in the way ---- */

/* Is AT, an open, somewhere below DIR? */
static bool is_below(struct vfs_context *context, const struct smb2_open *at, const struct inode *dir)
{
    struct inode *up, *parent;
    struct inode_attr attr;
    bool below = false;

    if (at->dir == NULL)
        return false;
    up = vfs_ref(at->dir);
    for (unsigned depth = 0; depth < DEPTH_MAX; depth++) {
        below = up == dir;
        vfs_getattr(up, &attr);
        if (below || attr.parent == attr.ino || vfs_parent(context, up, &parent) != ERR_OK)
            break;
        vfs_unref(&up);
        up = parent;
    }
    vfs_unref(&up);
    return below;
}

/* MS-FSA 2.1.5.14.11: a directory with something open in it stays where it is. */
static bool has_open_children(struct smb2_request *request, const struct inode *dir)
{
    struct smb_server *server = request->message->server;

    for (struct hashlink *link = NULL; (link = hashtable_walk(&server->files, link)) != NULL;) {
        const struct smb2_open *at = container_of(link, struct smb2_open, by_file);

        if (at->tree->export_id == request->tree->export_id && smb2_open_file(at) != dir &&
            is_below(&request->context, at, dir))
            return true;
    }
    return false;
}

/* The directory of the target is opened for it, shared for reading and writing (MS-FSA 2.1.5.14.11). */
static bool is_dir_denied(struct smb2_request *request, struct inode *dir)
{
    struct smb_server *server = request->message->server;
    struct state_file *file;
    struct inode_attr attr;

    vfs_getattr(dir, &attr);
    file = state_file_find(server->state, request->tree->export_id, attr.ino);
    return file != NULL && open_test(file, OPEN_WRITE, OPEN_DELETE, NULL) != ERR_OK;
}

static bool is_open(const struct smb_server *server, uint32_t export_id, const struct inode *inode,
                    const struct inode_attr *attr)
{
    const struct state_file *file = state_file_find(server->state, export_id, attr->ino);

    return smb2__file_next(server, inode, NULL) != NULL ||
           (file != NULL && open_next_of_file(file, NULL) != NULL);
}

/* May what is at the target be replaced? STATUS_SUCCESS also when nothing is there. */
static uint32_t judge_target(struct smb2_request *request, struct target *target)
{
    struct smb2_place *place = &target->place;
    struct store_name name = {.bytes = place->name, .length = place->length};
    struct smb_server *server = request->message->server;
    uint8_t stored[STORE_NAME_MAX];
    struct inode_attr attr;
    struct inode *inode;
    uint32_t status = STATUS_SUCCESS;
    size_t length;
    enum err err = smb2__lookup(&request->context, place->dir, name, &inode, stored, &length);

    target->there = err == ERR_OK;
    if (err != ERR_OK)
        return err == ERR_NOENT ? STATUS_SUCCESS : smb2__status(err);
    vfs_getattr(inode, &attr);
    target->same = inode == request->open->inode;
    /* It may be open in a cache alone. */
    if (!target->same && target->replace)
        err = vfs_conflict_names(&request->context, inode, NULL);
    if (err != ERR_OK) {
        vfs_unref(&inode);
        return smb2__status(err);
    }
    if (target->same)
        ; /* another case of the same name, or another link */
    else if (!target->replace)
        status = STATUS_OBJECT_NAME_COLLISION;
    else if (attr.type != INODE_DIRECTORY && smb2__file_is_going(server, inode, inode))
        status = STATUS_DELETE_PENDING;
    else if (attr.type == INODE_DIRECTORY || (attr.dos_attributes & SMB2_ATTRIBUTE_READONLY) ||
             (!target->posix && is_open(server, request->tree->export_id, inode, &attr)))
        status = STATUS_ACCESS_DENIED;
    vfs_unref(&inode);
    if (status != STATUS_SUCCESS || target->same)
        return status;
    /* The name replaced is the one that is there, whatever its case. */
    memcpy(place->name, stored, length);
    place->length = length;
    return STATUS_SUCCESS;
}

/* ---- rename ---- */

/* Who leaves a name, and who has got one (MS-FSA 2.1.5.14.11). */
static void tunnel(struct smb2_request *request, struct inode *dir, struct store_name from,
                   const struct target *target)
{
    const struct smb2_place *place = &target->place;
    struct store_name to = {.bytes = place->name, .length = place->length};
    struct smb_server *server = request->message->server;
    struct smb2_open *open = request->open;
    uint32_t export_id = request->tree->export_id;
    struct vfs_setattr set = {.set = VFS_SET_BTIME};
    struct smb2_tunneled found;
    struct inode_attr attr;
    enum err err = ERR_OK;

    vfs_getattr(open->inode, &attr);
    if (attr.type != INODE_FILE || target->same)
        return;
    smb2__tunnel_leave(server, export_id, dir, from, &attr);
    if (target->there || !smb2__tunnel_take(server, export_id, place->dir, to, &found))
        return;
    set.btime = found.btime;
    server->restores_times = true;
    err = vfs_setattr(&request->context, open->inode, &set, NULL, true);
    server->restores_times = false;
    if (err != ERR_OK)
        log_debug("smb: a file is as new as it is: %s", err_text(err));
}

static uint32_t rename_file(struct smb2_request *request, struct target *target)
{
    struct smb2_open *open = request->open;
    struct smb2_place *place = &target->place;
    struct store_name from, to;
    uint8_t old_name[STORE_NAME_MAX];
    struct inode *dir;
    uint32_t status;
    enum err err;

    status = judge_target(request, target);
    if (status != STATUS_SUCCESS)
        return status;
    if (open->is_directory && has_open_children(request, open->inode))
        return STATUS_ACCESS_DENIED;
    if (is_dir_denied(request, place->dir))
        return STATUS_SHARING_VIOLATION;
    /* The listener changes what the open says of itself, and others want the old name. */
    memcpy(old_name, open->name, open->name_length);
    from = (struct store_name){.bytes = old_name, .length = open->name_length};
    to = (struct store_name){.bytes = place->name, .length = place->length};
    dir = vfs_ref(open->dir);
    err = vfs_rename(&request->context, dir, from, place->dir, to, !target->replace && !target->same);
    if (err == ERR_OK)
        tunnel(request, dir, from, target);
    vfs_unref(&dir);
    if (err == ERR_INVAL)
        return STATUS_ACCESS_DENIED; /* into itself */
    if (err != ERR_OK)
        return smb2__status(err);
    free(open->dir_path);
    open->dir_path = place->dir_path;
    place->dir_path = NULL;
    return STATUS_SUCCESS;
}

/* "::$DATA": a stream becomes its file's own data, of which there must be none, neither open (MS-FSA
 * 2.1.5.14.11.1). The data is shared, then the stream removed: in between it is there twice. Whoever has more
 * of the stream than this one open, or ranges or a cache of it, is in the way. */
static uint32_t become_data(struct smb2_request *request, const struct target *target)
{
    struct smb_server *server = request->message->server;
    struct smb2_open *open = request->open;
    struct store_name from = {.bytes = open->stream, .length = open->stream_length};
    struct vfs_clone_end source = {.inode = open->inode, .right = VFS_IO_OPEN_HANDLE};
    struct vfs_clone_end data = {.inode = open->base, .right = VFS_IO_CHECK_MODE};
    struct inode_attr attr;
    uint32_t status;
    enum err err;

    vfs_getattr(open->base, &attr);
    if (attr.type != INODE_FILE || attr.size != 0)
        return STATUS_INVALID_PARAMETER;
    if (!(open->access & SMB2_ACCESS_WRITE_DATA))
        return STATUS_ACCESS_DENIED;
    if (!target->replace)
        return STATUS_OBJECT_NAME_COLLISION;
    for (struct smb2_open *at = NULL; (at = smb2__file_next(server, open->base, at)) != NULL;)
        if (at != open && (at->inode == open->inode || at->inode == open->base))
            return STATUS_INVALID_PARAMETER;
    if (lock_file_has_ranges(open->file) || open->oplock != NULL || open->lease != NULL)
        return STATUS_INVALID_PARAMETER;
    err = vfs_clone(&request->context, source, data, 0);
    if (err == ERR_OK)
        err = vfs_stream_remove(&request->context, open->base, from);
    if (err != ERR_OK)
        return smb2__status(err);
    status = smb2__open_move(server, open, vfs_ref(open->base));
    if (status != STATUS_SUCCESS)
        return status;
    vfs_unref(&open->base);
    open->stream_length = 0;
    return STATUS_SUCCESS;
}

/* ":name" or ":name:$DATA": of a stream (MS-FSA 2.1.5.14.11.1) */
static uint32_t rename_stream(struct smb2_request *request, struct target *target)
{
    const struct smb_server *server = request->message->server;
    struct smb2_open *open = request->open;
    struct store_name from = {.bytes = open->stream, .length = open->stream_length};
    struct store_name to = {.bytes = target->place.stream, .length = target->place.stream_length};
    uint8_t stored[STORE_NAME_MAX];
    struct inode *there;
    size_t length;
    bool taken;
    enum err err;

    /* The file's own data has no name to change. */
    if (open->base == NULL)
        return STATUS_INVALID_PARAMETER;
    if (to.length == 0)
        return become_data(request, target);
    err = vfs_stream_lookup(&request->context, open->base, to, &there, stored, &length);
    if (err == ERR_OK) {
        taken = there != open->inode;
        if (taken && !target->replace)
            err = ERR_EXIST;
        for (struct smb2_open *at = NULL; (at = smb2__file_next(server, open->base, at)) != NULL;)
            if (taken && at->inode == there)
                err = ERR_ACCES;
        if (taken)
            to = (struct store_name){.bytes = stored, .length = length};
        vfs_unref(&there);
    } else if (err == ERR_NOENT) {
        err = ERR_OK;
    }
    if (err == ERR_OK)
        err = vfs_stream_rename(&request->context, open->base, from, to, target->replace);
    if (err != ERR_OK)
        return smb2__status(err);
    for (struct smb2_open *at = NULL; (at = smb2__file_next(server, open->base, at)) != NULL;) {
        if (at->inode != open->inode)
            continue;
        memcpy(at->stream, to.bytes, to.length);
        at->stream_length = to.length;
    }
    return STATUS_SUCCESS;
}

uint32_t smb2__set_rename(struct smb2_request *request, struct reader *data, bool extended)
{
    struct smb2_open *open = request->open;
    struct target target = {.replace = false};
    struct reader name;
    uint32_t status = decode(data, extended, &target, &name);

    if (status == STATUS_SUCCESS && !(open->access & SMB2_ACCESS_DELETE))
        status = STATUS_ACCESS_DENIED;
    if (status != STATUS_SUCCESS)
        return status;
    status = smb2__path_walk(&request->context, name.at, name.left, &target.place);
    if (status == STATUS_STOPPED_ON_SYMLINK)
        status = smb2__reparse_stop(request, target.place.link, target.place.unparsed);
    else if (status == STATUS_SUCCESS && target.place.is_data)
        status = target.place.dir == NULL ? rename_stream(request, &target) : STATUS_SHARING_VIOLATION;
    else if (status == STATUS_SUCCESS && (open->base != NULL || target.place.dir == NULL))
        status = STATUS_INVALID_PARAMETER;
    else if (status == STATUS_SUCCESS && open->dir == NULL)
        status = STATUS_ACCESS_DENIED;
    else if (status == STATUS_SUCCESS)
        status = rename_file(request, &target);
    smb2__place_free(&target.place);
    return status;
}

/* ---- hard links ---- */

static uint32_t make_link(struct smb2_request *request, struct target *target)
{
    struct smb2_place *place = &target->place;
    struct smb2_open *open = request->open;
    struct store_name name;
    uint32_t status = judge_target(request, target);
    enum err err = ERR_OK;

    if (status != STATUS_SUCCESS)
        return status;
    if (target->same)
        return target->replace ? STATUS_SUCCESS : STATUS_OBJECT_NAME_COLLISION;
    name = (struct store_name){.bytes = place->name, .length = place->length};
    if (target->there) {
        bool by_handle = request->context.by_handle;

        request->context.by_handle = false; /* the handle is not one of what goes */
        err = vfs_remove(&request->context, place->dir, name, VFS_REMOVE_NOT_DIRECTORY);
        request->context.by_handle = by_handle;
    }
    if (err == ERR_OK)
        err = vfs_link(&request->context, open->inode, place->dir, name);
    return smb2__status(err);
}

uint32_t smb2__set_link(struct smb2_request *request, struct reader *data)
{
    struct smb2_open *open = request->open;
    struct target target = {.replace = false};
    struct reader name;
    uint32_t status = decode(data, false, &target, &name);

    if (status != STATUS_SUCCESS)
        return status;
    if (open->is_directory)
        return STATUS_FILE_IS_A_DIRECTORY;
    if (open->base != NULL)
        return STATUS_INVALID_PARAMETER;
    status = smb2__path_walk(&request->context, name.at, name.left, &target.place);
    if (status == STATUS_STOPPED_ON_SYMLINK)
        status = smb2__reparse_stop(request, target.place.link, target.place.unparsed);
    else if (status == STATUS_SUCCESS && (target.place.is_data || target.place.dir == NULL))
        status = STATUS_OBJECT_NAME_INVALID;
    else if (status == STATUS_SUCCESS)
        status = make_link(request, &target);
    smb2__place_free(&target.place);
    return status;
}
