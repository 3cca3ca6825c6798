/*
 * xattr.c - extended attributes of the user's namespace (RFC 8276, xattr(7)).
 */
#include "vfs/vfs_priv.h"

#include <string.h>

static enum err name_check(struct store_name name)
{
    if (name.length == 0)
        return ERR_INVAL;
    if (name.length > STORE_XATTR_NAME_MAX)
        return ERR_NAMETOOLONG;
    return memchr(name.bytes, '\0', name.length) != NULL ? ERR_INVAL : ERR_OK;
}

static enum err conflicts(const struct vfs_context *context, struct inode *inode)
{
    const struct vfs_claim claim = {.inode = inode, .operation = GRANT_OP_SETATTR};

    return vfs__conflict_claims(context, &claim, 1);
}

static void changed(struct vfs_context *context, struct inode *inode)
{
    inode_change(inode)->ctime = clock_wall();
    vfs__ticket_metadata(context);
    vfs__event_inode(context->vfs, context->event_source, VFS_EVENT_XATTRS, inode);
}

enum err vfs_xattr_get(struct vfs_context *context, struct inode *inode, struct store_name name,
                       const uint8_t **value_r, size_t *length_r)
{
    enum err err = vfs__gate_xattr_read(context, inode);

    if (err == ERR_OK)
        err = name_check(name);
    return err == ERR_OK ? xattr_get(inode, name, value_r, length_r) : err;
}

enum err vfs_xattr_set(struct vfs_context *context, struct inode *inode, struct store_name name,
                       const void *value, size_t length, enum xattr_how how)
{
    enum err err = vfs__gate_xattr_write(context, inode);

    if (err == ERR_OK)
        err = name_check(name);
    if (err == ERR_OK && length > STORE_XATTR_VALUE_MAX)
        err = ERR_XATTR2BIG;
    if (err == ERR_OK)
        err = conflicts(context, inode);
    if (err == ERR_OK)
        err = xattr_set(inode, name, value, length, how);
    if (err == ERR_OK)
        changed(context, inode);
    return err;
}

enum err vfs_xattr_remove(struct vfs_context *context, struct inode *inode, struct store_name name)
{
    enum err err = vfs__gate_xattr_write(context, inode);

    if (err == ERR_OK)
        err = name_check(name);
    if (err == ERR_OK)
        err = conflicts(context, inode);
    if (err == ERR_OK)
        err = xattr_remove(inode, name);
    if (err == ERR_OK)
        changed(context, inode);
    return err;
}

enum err vfs_xattr_list(struct vfs_context *context, struct inode *inode, struct store_name after,
                        bool (*each)(void *data, struct store_name name, size_t value_length), void *data)
{
    enum err err = vfs__gate_xattr_read(context, inode);

    return err == ERR_OK ? xattr_list(inode, after, each, data) : err;
}
