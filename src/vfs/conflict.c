/*
 * conflict.c - what others hold of a file: deny modes of opens and mandatory byte ranges.
 *
 * Asked by every operation that reads or changes a file's data, for every protocol, after the gate of
 * access.c has said that the user may. Nobody holds anything of most files: that costs one look into a hash
 * table.
 */
#include "vfs/vfs_priv.h"

#include "dittofs/lock.h"
#include "dittofs/open.h"

void vfs_use_state(struct vfs *vfs, struct state *state)
{
    vfs->state = state;
}

enum err vfs__conflict_io(const struct vfs_context *context, const struct inode *inode,
                          enum vfs_io_right right, struct vfs_range range, bool write)
{
    const struct inode_attr *attr = inode_attr(inode);
    struct state_file *file;
    enum err err = ERR_OK;

    if (context->vfs->state == NULL)
        return ERR_OK;
    file = state_file_find(context->vfs->state, attr->tree, attr->ino);
    if (file == NULL)
        return ERR_OK;
    /* An open handle met the deny modes of the others when it was opened. */
    if (right != VFS_IO_OPEN_HANDLE)
        err = open_check_io(file, write ? OPEN_WRITE : OPEN_READ, context->owner);
    if (err == ERR_OK)
        err = lock_check_io(file, context->owner, range.offset, range.length, write, LOCK_IO_ADVISORY);
    return err;
}
