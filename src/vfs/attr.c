/*
 * attr.c - attributes: reading them, setting them, and what changes by itself.
 *
 * vfs_setattr: 1. are the values possible, 2. may the user (the gate), 3. does the guard match, 4. the steps
 * that can fail, undone when one does, 5. the rest in one change of the inode. So a failure changes nothing.
 */
#include "vfs/acl_priv.h"

#include <stdlib.h>
#include <string.h>

static const uint32_t NANOSECONDS = 1000000000;
enum { RELATIME_SECONDS = 24 * 60 * 60 };

void vfs_getattr(struct inode *inode, struct inode_attr *attr_r)
{
    const struct inode_attr *attr = inode_attr(inode);
    struct inode *file;

    *attr_r = *attr;
    if (attr->type != INODE_STREAM || inode_get(inode_store(inode), attr->parent, 0, &file) != ERR_OK)
        return;
    attr_r->mode = inode_attr(file)->mode & 0777;
    attr_r->uid = inode_attr(file)->uid;
    attr_r->gid = inode_attr(file)->gid;
    inode_unref(&file);
}

const struct inode_attr *vfs_attr(const struct inode *inode)
{
    return inode_attr(inode);
}

/* RFC 8881 18.22.3, 18.32.3: directories, symbolic links and the rest have an error each; the NFSv4.0 front
 * end and NFSv3 make less of it. */
enum err vfs__require_file(const struct inode *inode)
{
    switch (inode_attr(inode)->type) {
    case INODE_FILE:
    case INODE_STREAM:
        return ERR_OK;
    case INODE_DIRECTORY:
        return ERR_ISDIR;
    case INODE_SYMLINK:
        return ERR_SYMLINK;
    case INODE_FIFO:
    case INODE_SOCKET:
    case INODE_BLOCK_DEVICE:
    case INODE_CHARACTER_DEVICE:
        return ERR_WRONGTYPE;
    }
    return ERR_WRONGTYPE;
}

enum err vfs__setattr_check(enum inode_type type, const struct vfs_setattr *set)
{
    /* They are the file's. */
    if (type == INODE_STREAM && (set->set & (VFS_SET_MODE | VFS_SET_UID | VFS_SET_GID | VFS_SET_ACL)) != 0)
        return ERR_WRONGTYPE;
    if ((set->set & VFS_SET_UID) != 0 && set->uid == UINT32_MAX)
        return ERR_INVAL; /* chown(2): "leave it", no user */
    if ((set->set & VFS_SET_GID) != 0 && set->gid == UINT32_MAX)
        return ERR_INVAL;
    if (set->atime_how == VFS_TIME_SET && set->atime.nanoseconds >= NANOSECONDS)
        return ERR_INVAL;
    if (set->mtime_how == VFS_TIME_SET && set->mtime.nanoseconds >= NANOSECONDS)
        return ERR_INVAL;
    if ((set->set & VFS_SET_BTIME) != 0 && set->btime.nanoseconds >= NANOSECONDS)
        return ERR_INVAL;
    if ((set->set & VFS_SET_CTIME) != 0 && set->ctime.nanoseconds >= NANOSECONDS)
        return ERR_INVAL;
    if ((set->set & VFS_SET_SIZE) != 0 && set->size > STORE_FILE_SIZE_MAX)
        return type == INODE_FILE || type == INODE_STREAM ? ERR_FBIG : ERR_INVAL;
    return (set->set & VFS_SET_ACL) != 0 ? vfs__acl_check(set->acl) : ERR_OK;
}

/* chmod(2): the set-group-id bit is not given away to a group one is not in. */
uint32_t vfs__mode_allowed(const struct vfs_context *context, uint32_t mode, uint32_t gid)
{
    mode &= MODE_ALL;
    if (!context->is_root && !vfs__in_group(context, gid))
        mode &= ~(uint32_t)MODE_SETGID;
    return mode;
}

/* The set-group-id bit of a file that its group can't execute has nothing to do with privileges. */
static uint32_t without_set_id(const struct vfs_context *context, const struct inode_attr *attr)
{
    uint32_t mode = attr->mode & ~(uint32_t)MODE_SETUID;

    if ((mode & 0010) != 0 || (!context->is_root && !vfs__in_group(context, attr->gid)))
        mode &= ~(uint32_t)MODE_SETGID;
    return mode;
}

uint32_t vfs__mode_after_write(const struct vfs_context *context, const struct inode_attr *attr)
{
    if (context->is_root || (attr->mode & (MODE_SETUID | MODE_SETGID)) == 0)
        return attr->mode;
    return without_set_id(context, attr);
}

struct timestamp vfs__time(enum vfs_time_how how, struct timestamp given, struct timestamp kept,
                           struct timestamp now)
{
    switch (how) {
    case VFS_TIME_KEEP:
        return kept;
    case VFS_TIME_NOW:
        return now;
    case VFS_TIME_SET:
        return given;
    }
    return kept;
}

void vfs__data_changed(struct vfs_context *context, struct inode *inode)
{
    struct inode_attr *attr = inode_change(inode);

    attr->mode = vfs__mode_after_write(context, attr);
    attr->mtime = attr->ctime = clock_wall();
    store_ticket_merge(&context->ticket, inode_ticket(inode));
    vfs__event_inode(context->vfs, context->event_source, VFS_EVENT_DATA, inode);
}

void vfs_note_change(struct vfs *vfs, struct inode *inode)
{
    struct inode_attr *attr = inode_change(inode);

    attr->mtime = attr->ctime = clock_wall();
    vfs__event_inode(vfs, 0, VFS_EVENT_DATA, inode);
}

void vfs__touch_atime(const struct vfs_context *context, struct inode *inode)
{
    const struct inode_attr *attr = inode_attr(inode);
    struct timestamp now;

    if (context->export->config->read_only)
        return;
    now = clock_wall();
    if (timestamp_compare(attr->atime, attr->mtime) > 0 && timestamp_compare(attr->atime, attr->ctime) > 0 &&
        now.seconds - attr->atime.seconds < RELATIME_SECONDS)
        return;
    inode_touch_atime(inode, now);
}

/* The mode that results from SET, for a new owner and group as well. chown(2): set-id bits of a file do not
 * survive a new owner or group, unless root names them in the same breath. */
static uint32_t mode_after_set(const struct vfs_context *context, const struct inode_attr *attr,
                               const struct vfs_setattr *set)
{
    bool chown = (set->set & (VFS_SET_UID | VFS_SET_GID)) != 0 && attr->type != INODE_DIRECTORY;
    uint32_t gid = (set->set & VFS_SET_GID) != 0 ? set->gid : attr->gid;
    struct inode_attr after = *attr;

    if ((set->set & VFS_SET_SIZE) != 0)
        after.mode = vfs__mode_after_write(context, attr);
    if ((set->set & VFS_SET_MODE) != 0) {
        after.mode = vfs__mode_allowed(context, set->mode, gid);
        if (context->is_root)
            return after.mode;
    }
    return chown ? without_set_id(context, &after) : after.mode;
}

static void attributes_apply(const struct vfs_context *context, struct inode *inode,
                             const struct vfs_setattr *set)
{
    struct timestamp now = clock_wall();
    struct inode_attr *attr = inode_change(inode);
    struct timestamp mtime = (set->set & VFS_SET_SIZE) != 0 ? now : attr->mtime;

    attr->mode = mode_after_set(context, attr, set);
    if ((set->set & VFS_SET_UID) != 0)
        attr->uid = set->uid;
    if ((set->set & VFS_SET_GID) != 0)
        attr->gid = set->gid;
    if ((set->set & VFS_SET_DOS_ATTRIBUTES) != 0)
        attr->dos_attributes = set->dos_attributes;
    if ((set->set & VFS_SET_BTIME) != 0)
        attr->btime = set->btime;
    attr->atime = vfs__time(set->atime_how, set->atime, attr->atime, now);
    attr->mtime = vfs__time(set->mtime_how, set->mtime, mtime, now);
    attr->ctime = (set->set & VFS_SET_CTIME) != 0 ? set->ctime : now;
    /* Another owner is another meaning of what the list gives to owner and group. */
    if ((set->set & VFS_SET_ACL) != 0 ||
        ((set->set & (VFS_SET_UID | VFS_SET_GID)) != 0 && (set->set & VFS_SET_MODE) == 0))
        attr->mode = (attr->mode & ~(uint32_t)0777) | (vfs__acl_mode(inode) & 0777);
}

/* An exclusive create's verifier, taken away. */
struct dropped_verifier {
    uint8_t bytes[8];
    size_t length; /* 0: there was none */
};

/* Setting the times ends its life (RFC 1813 3.3.8: the client's SETATTR after the create): a later exclusive
 * create of the name, even with equal bytes, is another one. */
static enum err verifier_drop(struct inode *inode, struct dropped_verifier *dropped)
{
    const uint8_t *verifier;
    size_t length;
    enum err err = inode_get_blob(inode, VFS_BLOB_VERIFIER, &verifier, &length);

    if (err != ERR_OK || verifier == NULL || length == 0)
        return err;
    if (length > sizeof dropped->bytes)
        return ERR_CORRUPT;
    memcpy(dropped->bytes, verifier, length);
    err = inode_set_blob(inode, VFS_BLOB_VERIFIER, NULL, 0);
    if (err == ERR_OK)
        dropped->length = length;
    return err;
}

/* The list as it was. */
struct replaced_list {
    uint8_t *bytes; /* malloc'ed; NULL: there was none */
    size_t length;
    bool is_replaced;
};

static enum err list_replace(struct inode *inode, const struct vfs_setattr *set,
                             struct replaced_list *replaced)
{
    const uint8_t *bytes;
    enum err err = inode_get_blob(inode, VFS_BLOB_ACL, &bytes, &replaced->length);

    if (err != ERR_OK)
        return err;
    if (bytes != NULL) {
        replaced->bytes = malloc(replaced->length);
        if (replaced->bytes == NULL)
            return ERR_NOMEM;
        memcpy(replaced->bytes, bytes, replaced->length);
    }
    err = (set->set & VFS_SET_ACL) != 0 ? vfs__acl_write(inode, set->acl) : vfs__acl_chmod(inode, set->mode);
    replaced->is_replaced = err == ERR_OK;
    return err;
}

/* The steps that can fail: all done, or none. Truncating comes last, as what is gone does not come back. */
static enum err setattr_prepare(struct inode *inode, const struct vfs_setattr *set, bool times)
{
    struct dropped_verifier dropped = {.length = 0};
    struct replaced_list replaced = {.bytes = NULL};
    enum err err = times && inode_attr(inode)->type == INODE_FILE ? verifier_drop(inode, &dropped) : ERR_OK;
    enum err undo = ERR_OK;

    if (err == ERR_OK && (set->set & (VFS_SET_MODE | VFS_SET_ACL)) != 0)
        err = list_replace(inode, set, &replaced);
    if (err == ERR_OK && (set->set & VFS_SET_SIZE) != 0)
        err = store_truncate(inode, set->size);
    if (err != ERR_OK && replaced.is_replaced)
        undo = inode_set_blob(inode, VFS_BLOB_ACL, replaced.bytes, replaced.length);
    if (err != ERR_OK && undo == ERR_OK && dropped.length != 0)
        undo = inode_set_blob(inode, VFS_BLOB_VERIFIER, dropped.bytes, dropped.length);
    free(replaced.bytes);
    return undo != ERR_OK ? undo : err;
}

static enum err setattr_conflicts(const struct vfs_context *context, struct inode *inode,
                                  const struct vfs_setattr *set, bool writable_handle)
{
    const struct inode_attr *attr = inode_attr(inode);
    struct vfs_claim claims[] = {{.inode = inode, .operation = GRANT_OP_SETATTR},
                                 {.inode = inode, .operation = GRANT_OP_READ}};
    /* What a holder has written in its cache must come before the time that is to be the file's. MS-FSA
     * 2.1.5.15.2 leaves it in the cache. */
    bool flush = set->mtime_how != VFS_TIME_KEEP && context->protocol != VFS_SMB;

    if ((set->set & VFS_SET_SIZE) == 0)
        return vfs__conflict_claims(context, claims, flush ? 2 : 1);
    return vfs__conflict_io(context, inode, writable_handle ? VFS_IO_OPEN_HANDLE : VFS_IO_CHECK_MODE,
                            (struct vfs_range){set->size < attr->size ? set->size : attr->size, UINT64_MAX},
                            true);
}

enum err vfs_setattr(struct vfs_context *context, struct inode *inode, const struct vfs_setattr *set,
                     const struct timestamp *guard, bool writable_handle)
{
    const struct inode_attr *attr = inode_attr(inode);
    bool times = set->atime_how != VFS_TIME_KEEP || set->mtime_how != VFS_TIME_KEEP;
    bool size = (set->set & VFS_SET_SIZE) != 0;
    enum err err = size ? vfs__require_file(inode) : ERR_OK;

    if (err == ERR_OK)
        err = vfs__setattr_check(attr->type, set);
    if (err == ERR_OK)
        err = vfs__gate_setattr(context, inode, set, writable_handle);
    if (err != ERR_OK)
        return err;
    if (guard != NULL && timestamp_compare(*guard, attr->ctime) != 0)
        return ERR_NOT_SYNC; /* RFC 1813 3.3.2 */
    if (set->set == 0 && !times)
        return ERR_OK;
    err = setattr_conflicts(context, inode, set, writable_handle);
    if (err != ERR_OK)
        return err;
    err = setattr_prepare(inode, set, times);
    if (err != ERR_OK)
        return err;
    attributes_apply(context, inode, set);
    store_ticket_merge(&context->ticket, inode_ticket(inode));
    vfs__event_attributes(context, inode, set);
    return ERR_OK;
}
