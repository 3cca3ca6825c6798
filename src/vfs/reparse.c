/*
 * reparse.c - reparse points of SMB that mean nothing here: kept with their file as they came; and turning a
 * file into something else, which is how SMB makes symbolic links and special files.
 */
#include "vfs/vfs_priv.h"

enum { REPARSE_POINT = 0x400, REPARSE_MAX = 16384 };

enum err vfs_reparse_get(const struct inode *inode, const uint8_t **data_r, size_t *length_r)
{
    enum err err = inode_get_blob(inode, VFS_BLOB_REPARSE, data_r, length_r);

    return err == ERR_OK && *data_r == NULL ? ERR_NOENT : err;
}

enum err vfs_reparse_set(struct vfs_context *context, struct inode *inode, const void *data, size_t length)
{
    const struct vfs_claim claim = {.inode = inode, .operation = GRANT_OP_SETATTR};
    struct inode_attr *attr;
    enum err err = vfs__gate_stream_write(context, inode);

    if (err == ERR_OK && length > REPARSE_MAX)
        err = ERR_INVAL;
    if (err == ERR_OK)
        err = vfs__conflict_claims(context, &claim, 1);
    if (err == ERR_OK)
        err = inode_set_blob(inode, VFS_BLOB_REPARSE, data, length);
    if (err != ERR_OK)
        return err;
    attr = inode_change(inode);
    attr->dos_attributes =
        (attr->dos_attributes & ~(uint32_t)REPARSE_POINT) | (length > 0 ? REPARSE_POINT : 0);
    attr->ctime = clock_wall();
    store_ticket_merge(&context->ticket, inode_ticket(inode));
    vfs__event_inode(context->vfs, context->event_source, VFS_EVENT_ATTRIBUTES, inode);
    return ERR_OK;
}

/* The old one loses its name; nothing that could fail is left. */
static void let_go(struct inode *dir, struct inode *inode, struct timestamp now)
{
    struct inode_attr *attr = inode_change(inode);

    if (attr->type == INODE_DIRECTORY) {
        attr->nlink = 0;
        vfs__dir_changed(dir, -1, now);
    } else {
        attr->nlink--;
    }
    attr->ctime = now;
}

enum err vfs_replace(struct vfs_context *context, struct inode *dir, struct store_name name,
                     struct inode *inode, const struct vfs_create *create, struct inode **inode_r)
{
    const struct vfs_claim claims[] = {{.inode = inode, .operation = GRANT_OP_NAMES},
                                       {.inode = dir, .operation = GRANT_OP_DIRECTORY}};
    const struct inode_attr *old = inode_attr(inode);
    struct timestamp now = clock_wall();
    struct inode_attr template = *old;
    struct inode *there, *fresh;
    enum err err = vfs__gate_replace(context, dir, inode, create->type);

    if (err == ERR_OK)
        err = vfs__find(dir, name, &there);
    if (err != ERR_OK)
        return err;
    if (there != inode)
        err = ERR_STALE;
    else if (old->type == INODE_DIRECTORY && !dir_is_empty(inode))
        err = ERR_NOTEMPTY;
    else if (old->type != INODE_DIRECTORY && old->nlink != 1)
        err = ERR_MLINK;
    inode_unref(&there);
    if (err == ERR_OK)
        err = vfs__conflict_claims(context, claims, 2);
    if (err != ERR_OK)
        return err;
    template.type = create->type;
    template.parent = 0;
    template.ctime = now;
    template.device_major = create->device_major;
    template.device_minor = create->device_minor;
    template.dos_attributes =
        (create->set.set & VFS_SET_DOS_ATTRIBUTES) != 0 ? create->set.dos_attributes : old->dos_attributes;
    if (create->type == INODE_SYMLINK)
        template.mode = 0777;
    err = inode_new(context->vfs->store, &template, create->target, create->target_length, &fresh);
    if (err != ERR_OK)
        return err;
    err = vfs__streams_drop(inode);
    if (err == ERR_OK)
        err = dir_replace(dir, name, fresh);
    if (err != ERR_OK) {
        inode_unref(&fresh);
        return err;
    }
    inode_change(fresh)->nlink = 1;
    let_go(dir, inode, now);
    vfs__dir_changed(dir, 0, now);
    vfs__ticket_metadata(context);
    store_ticket_merge(&context->ticket, inode_ticket(fresh));
    vfs__event_name(context, &(struct vfs_event){.kind = VFS_EVENT_REMOVED,
                                                 .inode = inode,
                                                 .dir = dir,
                                                 .name = name,
                                                 .cookie = vfs__event_cookie(context->vfs, dir, name)});
    vfs__event_created(context, dir, name, fresh);
    *inode_r = fresh;
    return ERR_OK;
}
