/*
 * remove.c - taking a name away. The inode goes with its last name and its last reference (store.h).
 */
#include "vfs/vfs_priv.h"

static enum err type_check(const struct inode *inode, enum vfs_remove_what what)
{
    bool directory = inode_attr(inode)->type == INODE_DIRECTORY;

    switch (what) {
    case VFS_REMOVE_NOT_DIRECTORY:
        return directory ? ERR_ISDIR : ERR_OK;
    case VFS_REMOVE_DIRECTORY:
        return directory ? ERR_OK : ERR_NOTDIR;
    case VFS_REMOVE_ANY:
        return ERR_OK;
    }
    return ERR_INVAL;
}

static enum err remove_inode(struct vfs_context *context, struct inode *dir, struct store_name name,
                             struct inode *inode, enum vfs_remove_what what)
{
    bool directory = inode_attr(inode)->type == INODE_DIRECTORY;
    const struct vfs_claim claims[] = {{.inode = inode, .operation = GRANT_OP_NAMES, .deletes = true},
                                       {.inode = dir, .operation = GRANT_OP_REMOVE_ENTRY}};
    struct timestamp now = clock_wall();
    struct inode_attr *attr;
    uint64_t cookie = 0;
    enum err err = vfs__gate_remove(context, dir, inode);

    if (err == ERR_OK)
        err = type_check(inode, what);
    if (err == ERR_OK && directory && !dir_is_empty(inode))
        err = ERR_NOTEMPTY;
    if (err == ERR_OK && (directory || inode_attr(inode)->nlink == 1))
        err = vfs__streams_drop(inode);
    if (err == ERR_OK)
        err = vfs__conflict_claims(context, claims, 2);
    if (err == ERR_OK)
        cookie = vfs__event_cookie(context->vfs, dir, name);
    if (err == ERR_OK)
        err = dir_remove(dir, name, inode_attr(inode)->ino);
    if (err != ERR_OK)
        return err;
    attr = inode_change(inode);
    attr->nlink = directory ? 0 : attr->nlink - 1;
    attr->ctime = now;
    vfs__dir_changed(dir, directory ? -1 : 0, now);
    vfs__ticket_metadata(context);
    vfs__event_name(
        context, &(struct vfs_event){
                     .kind = VFS_EVENT_REMOVED, .inode = inode, .dir = dir, .name = name, .cookie = cookie});
    return ERR_OK;
}

enum err vfs_remove(struct vfs_context *context, struct inode *dir, struct store_name name,
                    enum vfs_remove_what what)
{
    struct inode *inode;
    enum err err = vfs__gate_search(context, dir);

    if (err == ERR_OK)
        err = vfs__name_check(name);
    if (err == ERR_OK)
        err = vfs__find(dir, name, &inode);
    if (err != ERR_OK)
        return err;
    err = remove_inode(context, dir, name, inode, what);
    inode_unref(&inode);
    return err;
}
