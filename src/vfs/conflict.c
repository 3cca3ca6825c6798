/*
 * conflict.c - what others hold of a file: caching grants, deny modes of opens, mandatory byte ranges.
 *
 * Asked by every operation that reads or changes something, for every protocol, after the gate of access.c
 * has said that the user may, and before anything is changed. Nobody holds anything of most files: that costs
 * one look into a hash table a file.
 *
 * Caching grants come first: a holder that gives its grant back may close what it had open for the cache
 * alone, and what it had locked there. All grants of all files that an operation touches are asked at once,
 * so that their breaks run side by side. Which grant may stay beside which operation says grant.c.
 *
 * A break that has to be waited for makes the operation answer ERR_DELAY: NFS clients come again, and for SMB
 * the context has a waiter, behind which the request runs again.
 */
#include "vfs/vfs_priv.h"

#include "dittofs/lock.h"
#include "dittofs/open.h"

void vfs_use_state(struct vfs *vfs, struct state *state)
{
    vfs->state = state;
}

/* NULL: nobody holds anything of it. */
static struct state_file *held(const struct vfs_context *context, const struct inode *inode)
{
    const struct inode_attr *attr = inode_attr(inode);

    return context->vfs->state == NULL ? NULL : state_file_find(context->vfs->state, attr->tree, attr->ino);
}

/* ---- caching grants ---- */

/* Begins the breaks that OPERATION needs: ERR_DELAY when one has to be waited for. */
static enum err break_grants(const struct vfs_context *context, struct state_file *file,
                             enum grant_operation operation)
{
    const struct vfs_grant_owner *self =
        grant_is_of_entries(operation) ? &context->dir_grants : &context->grants;
    /* It waits behind one file at a time, and asks again after it. */
    bool waits = context->grant_waiter != NULL && context->grant_waiter->file == NULL;
    enum err err = grant_break(file, operation, self->client, self->key, self->key_length,
                               waits && !context->tells_only ? context->grant_waiter : NULL);

    if (err != ERR_WAIT && err != ERR_DELAY)
        return err;
    return context->tells_only ? ERR_OK : ERR_DELAY;
}

/* Somebody's open denies ACCESS: perhaps only one that he keeps in his cache. */
static enum err break_denying(const struct vfs_context *context, struct state_file *file, enum err denied)
{
    enum err err = break_grants(context, file, GRANT_OP_SHARE);

    return err == ERR_OK ? denied : err;
}

enum err vfs__conflict_claims(const struct vfs_context *context, const struct vfs_claim *claims, size_t count)
{
    enum err result = ERR_OK;

    for (size_t i = 0; i < count; i++) {
        struct state_file *file = claims[i].inode == NULL ? NULL : held(context, claims[i].inode);
        enum err err = break_grants(context, file, claims[i].operation);

        if (result == ERR_OK || err != ERR_DELAY)
            result = err == ERR_OK ? result : err;
    }
    for (size_t i = 0; i < count && result == ERR_OK; i++) {
        struct state_file *file;

        if (claims[i].operation != GRANT_OP_NAMES || !claims[i].deletes || claims[i].inode == NULL)
            continue;
        file = held(context, claims[i].inode);
        if (open_check_io(file, OPEN_DELETE, context->owner) != ERR_OK)
            result = ERR_FILE_OPEN;
    }
    return result;
}

/* ---- data ---- */

enum err vfs__conflict_io(const struct vfs_context *context, const struct inode *inode,
                          enum vfs_io_right right, struct vfs_range range, bool write)
{
    struct state_file *file = held(context, inode);
    enum err err;

    if (file == NULL)
        return ERR_OK;
    file = state_file_ref(file); /* expired clients may be dropped on the way */
    err = break_grants(context, file, write ? GRANT_OP_WRITE : GRANT_OP_READ);
    /* An open handle met the deny modes of the others when it was opened. */
    if (err == ERR_OK && right != VFS_IO_OPEN_HANDLE) {
        err = open_check_io(file, write ? OPEN_WRITE : OPEN_READ, context->owner);
        if (err != ERR_OK)
            err = break_denying(context, file, err);
    }
    if (err == ERR_OK && !context->ignores_ranges)
        err = lock_check_io(file, context->owner, range.offset, range.length, write, LOCK_IO_ADVISORY);
    state_file_unref(&file);
    return err;
}

/* ---- what front-ends do in state themselves ---- */

enum err vfs_conflict_open(const struct vfs_context *context, const struct inode *inode, unsigned access,
                           unsigned deny, bool empties, const struct owner *except)
{
    struct state_file *file = held(context, inode);
    enum grant_operation operation = GRANT_OP_READ;
    enum err err;

    if (file == NULL)
        return ERR_OK;
    file = state_file_ref(file);
    /* Who denies reading must know of all who may read without asking, as a writer must. */
    if ((access & OPEN_WRITE) || (deny & OPEN_READ))
        operation = GRANT_OP_OPEN_WRITE;
    if (empties)
        operation = GRANT_OP_WRITE;
    /* Another's open that stands in the way stays so, whatever else its holder may cache. */
    if (open_test(file, access, deny, except) != ERR_OK)
        operation = GRANT_OP_SHARE;
    err = break_grants(context, file, operation);
    state_file_unref(&file);
    return err;
}

enum err vfs_conflict_lock(const struct vfs_context *context, const struct inode *inode, bool exclusive)
{
    return break_grants(context, held(context, inode), exclusive ? GRANT_OP_LOCK_EXCLUSIVE : GRANT_OP_LOCK);
}

enum err vfs_conflict_names(const struct vfs_context *context, struct inode *inode, struct inode *dir)
{
    const struct vfs_claim claims[] = {{.inode = inode, .operation = GRANT_OP_NAMES},
                                       {.inode = dir, .operation = GRANT_OP_DIRECTORY}};

    return vfs__conflict_claims(context, claims, 2);
}
