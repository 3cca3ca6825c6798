/*
 * access.c - the one gate: who may do what to which inode.
 *
 * Every operation of this room asks exactly one vfs__gate_ function before it changes or tells anything, for
 * every protocol. The rules are POSIX's: one class of mode bits applies (owner, else group, else others);
 * user 0 passes them all, except that a file needs some execute bit to be executed; in a directory with the
 * sticky bit only the entry's owner, the directory's owner and user 0 remove or replace an entry.
 *
 * An inode with an access control list (acl.c) is governed by that instead: by the rights that it gives the
 * user. SMB asks for rights when it opens (vfs_rights) and holds what comes through the handle against them,
 * so what concerns the inode itself then passes here (`by_handle`). As on Windows, where everybody has the
 * privilege, it looks up names in directories whose list does not let the user traverse them.
 *
 * What holds for everybody, user 0 included: an export that is gone is ERR_STALE, a read-only one ERR_ROFS,
 * a store that has failed answers its failure, an inode of another export's tree is ERR_STALE.
 */
#include "vfs/acl_priv.h"

bool vfs__in_group(const struct vfs_context *context, uint32_t gid)
{
    const struct vfs_user *user = &context->user;

    if (gid == user->gid)
        return true;
    /* A squashed root must not come back as group 0. */
    if (gid == 0 && context->export->config->squash != VFS_SQUASH_NONE)
        return false;
    for (uint32_t i = 0; i < user->group_count; i++)
        if (user->groups[i] == gid)
            return true;
    return false;
}

static bool is_owner(const struct vfs_context *context, const struct inode_attr *attr)
{
    return context->is_root || context->user.uid == attr->uid;
}

/* A stream has no rights of its own: its file's count, which is *FILE_R then, with a reference; NULL for
 * everything else. */
static enum err stream_file(const struct vfs_context *context, const struct inode *inode,
                            struct inode **file_r)
{
    const struct inode_attr *attr = inode_attr(inode);

    *file_r = NULL;
    return attr->type == INODE_STREAM ? inode_get(context->vfs->store, attr->parent, 0, file_r) : ERR_OK;
}

/* By the inode's list: false when it has none. */
static bool list_rights(const struct vfs_context *context, const struct inode *inode, uint32_t *rights_r)
{
    struct acl_walk walk;

    if (!vfs__acl_begin(inode, &walk))
        return false;
    *rights_r = vfs__acl_rights(context, inode, &walk);
    return true;
}

/* Does the inode's list give RIGHT? No, when it has none. */
static bool list_gives(const struct vfs_context *context, const struct inode *inode, uint32_t right)
{
    uint32_t rights;

    return !context->is_root && list_rights(context, inode, &rights) && (rights & right) == right;
}

/* The PERMIT_ bits that the user has. */
static unsigned permitted(const struct vfs_context *context, const struct inode *inode)
{
    const struct inode_attr *attr = inode_attr(inode);
    uint32_t rights;

    if (context->is_root) {
        if (attr->type == INODE_DIRECTORY || (attr->mode & 0111) != 0)
            return PERMIT_READ | PERMIT_WRITE | PERMIT_EXECUTE;
        return PERMIT_READ | PERMIT_WRITE;
    }
    if (list_rights(context, inode, &rights))
        return (rights & ACL_READ_DATA ? PERMIT_READ : 0) | (rights & ACL_WRITE_DATA ? PERMIT_WRITE : 0) |
               (rights & ACL_EXECUTE ? PERMIT_EXECUTE : 0);
    if (context->user.uid == attr->uid)
        return attr->mode >> 6 & 7;
    if (vfs__in_group(context, attr->gid))
        return attr->mode >> 3 & 7;
    return attr->mode & 7;
}

static enum err require(const struct vfs_context *context, const struct inode *inode, unsigned bits)
{
    return (permitted(context, inode) & bits) == bits ? ERR_OK : ERR_ACCES;
}

static enum err usable(const struct vfs_context *context, const struct inode_attr *attr)
{
    return context->export->gone || attr->tree != context->export->id ? ERR_STALE : ERR_OK;
}

/* May anything be changed through this export at all? */
static enum err changeable(const struct vfs_context *context, const struct inode_attr *attr)
{
    enum err err = usable(context, attr);

    if (err != ERR_OK)
        return err;
    if (context->export->config->read_only)
        return ERR_ROFS;
    return store_health(context->vfs->store);
}

static bool sticky_denies(const struct vfs_context *context, const struct inode_attr *dir,
                          const struct inode_attr *victim)
{
    return (dir->mode & MODE_STICKY) != 0 && !is_owner(context, dir) && !is_owner(context, victim);
}

/* ---- names ---- */

/* A directory that may be used, with all of BITS permitted. */
static enum err gate_directory(const struct vfs_context *context, const struct inode *dir, unsigned bits)
{
    const struct inode_attr *attr = inode_attr(dir);
    enum err err = usable(context, attr);

    if (err != ERR_OK)
        return err;
    if (attr->type != INODE_DIRECTORY)
        return ERR_NOTDIR;
    return require(context, dir, bits);
}

enum err vfs__gate_search(const struct vfs_context *context, const struct inode *dir)
{
    bool traverses = context->protocol == VFS_SMB && vfs__acl_is_there(dir);

    return gate_directory(context, dir, traverses ? 0 : PERMIT_EXECUTE);
}

enum err vfs__gate_list(const struct vfs_context *context, const struct inode *dir)
{
    return gate_directory(context, dir, context->by_handle ? 0 : PERMIT_READ);
}

/* May entries of DIR be changed at all? */
static enum err gate_entries(const struct vfs_context *context, const struct inode *dir)
{
    const struct inode_attr *attr = inode_attr(dir);
    enum err err = changeable(context, attr);

    if (err != ERR_OK)
        return err;
    if (attr->type != INODE_DIRECTORY)
        return ERR_NOTDIR;
    /* A removed directory that somebody still holds gets no new names. */
    return attr->nlink == 0 ? ERR_STALE : ERR_OK;
}

enum err vfs__gate_add(const struct vfs_context *context, const struct inode *dir, bool directory)
{
    enum err err = gate_entries(context, dir);
    uint32_t rights, wanted = directory ? ACL_ADD_SUBDIRECTORY : ACL_ADD_FILE;

    if (err != ERR_OK)
        return err;
    if (!context->is_root && list_rights(context, dir, &rights))
        return (rights & wanted) == wanted ? ERR_OK : ERR_ACCES;
    return require(context, dir, PERMIT_WRITE | PERMIT_EXECUTE);
}

/* By the list of the victim, or by list or mode of the directory. */
static enum err may_remove(const struct vfs_context *context, const struct inode *dir,
                           const struct inode *victim, bool by_handle)
{
    uint32_t rights;
    enum err err = gate_entries(context, dir);

    if (err != ERR_OK || by_handle || list_gives(context, victim, ACL_DELETE))
        return err;
    if (!context->is_root && list_rights(context, dir, &rights))
        err = rights & ACL_DELETE_CHILD ? ERR_OK : ERR_ACCES;
    else
        err = require(context, dir, PERMIT_WRITE | PERMIT_EXECUTE);
    if (err != ERR_OK)
        return err;
    /* POSIX leaves the choice between EPERM and EACCES; RFC 1813 3.3.12 and RFC 8881 18.25 know the latter.
     */
    return sticky_denies(context, inode_attr(dir), inode_attr(victim)) ? ERR_ACCES : ERR_OK;
}

enum err vfs__gate_remove(const struct vfs_context *context, const struct inode *dir,
                          const struct inode *victim)
{
    return may_remove(context, dir, victim, context->by_handle);
}

enum err vfs__gate_rename(const struct vfs_context *context, const struct inode *from_dir,
                          const struct inode *inode, const struct inode *to_dir, const struct inode *victim)
{
    bool directory = inode_attr(inode)->type == INODE_DIRECTORY;
    enum err err = vfs__gate_remove(context, from_dir, inode);

    if (err == ERR_OK)
        err = vfs__gate_add(context, to_dir, directory);
    /* The handle is one of what moves, not of what is in the way. */
    if (err == ERR_OK && victim != NULL)
        err = may_remove(context, to_dir, victim, false);
    if (err != ERR_OK)
        return err;
    /* Another parent is a change of the directory itself: of its "..". */
    if (directory && !context->by_handle && inode_attr(from_dir)->ino != inode_attr(to_dir)->ino &&
        !list_gives(context, inode, ACL_DELETE))
        return require(context, inode, PERMIT_WRITE);
    return ERR_OK;
}

enum err vfs__gate_readlink(const struct vfs_context *context, const struct inode *inode)
{
    return usable(context, inode_attr(inode));
}

/* ---- attributes ---- */

/* INODE's owner, mode and list count. */
static enum err may_set(const struct vfs_context *context, const struct inode *inode,
                        const struct vfs_setattr *set, bool writable_handle)
{
    const struct inode_attr *attr = inode_attr(inode);
    bool owner = is_owner(context, attr);
    bool takes = context->by_handle || list_gives(context, inode, ACL_WRITE_OWNER);
    bool touches = owner || context->by_handle || list_gives(context, inode, ACL_WRITE_ATTRIBUTES);
    bool writes = (set->set & (VFS_SET_SIZE | VFS_SET_DOS_ATTRIBUTES)) != 0 ||
                  set->atime_how == VFS_TIME_NOW || set->mtime_how == VFS_TIME_NOW;

    /* Who has ACL_WRITE_OWNER can make himself the owner, nobody else (MS-FSA 2.1.5.14.16). */
    if ((set->set & VFS_SET_UID) != 0 && !context->is_root && !(owner && set->uid == attr->uid) &&
        !(takes && set->uid == context->user.uid))
        return ERR_PERM;
    if ((set->set & VFS_SET_GID) != 0 && !context->is_root &&
        !((owner || takes) && (set->gid == attr->gid || vfs__in_group(context, set->gid))))
        return ERR_PERM;
    if ((set->set & VFS_SET_MODE) != 0 && !owner && !list_gives(context, inode, ACL_WRITE_DAC))
        return ERR_PERM;
    if ((set->set & VFS_SET_ACL) != 0 && !owner && !context->by_handle &&
        !list_gives(context, inode, ACL_WRITE_DAC))
        return ERR_PERM;
    if ((set->set & VFS_SET_CTIME) != 0 && !context->by_handle)
        return ERR_PERM;
    if (!touches &&
        ((set->set & VFS_SET_BTIME) != 0 || set->atime_how == VFS_TIME_SET || set->mtime_how == VFS_TIME_SET))
        return ERR_PERM;
    if (!writes || owner || writable_handle)
        return ERR_OK;
    if ((set->set & VFS_SET_SIZE) == 0 && touches)
        return ERR_OK;
    return require(context, inode, PERMIT_WRITE);
}

enum err vfs__gate_setattr(const struct vfs_context *context, const struct inode *inode,
                           const struct vfs_setattr *set, bool writable_handle)
{
    const struct inode_attr *attr = inode_attr(inode);
    struct inode *file = NULL;
    enum err err = changeable(context, attr);

    if (err == ERR_OK && (set->set & VFS_SET_ACL) != 0 &&
        (attr->type == INODE_SYMLINK || attr->type == INODE_STREAM))
        err = ERR_WRONGTYPE;
    if (err == ERR_OK && !context->by_handle)
        err = stream_file(context, inode, &file);
    if (err == ERR_OK)
        err = may_set(context, file != NULL ? file : inode, set, writable_handle);
    inode_unref(&file);
    return err;
}

/* INODE's owner, mode and list count. */
static unsigned may_access(struct vfs_context *context, struct inode *inode, unsigned wanted)
{
    const struct inode_attr *attr = inode_attr(inode);
    bool directory = attr->type == INODE_DIRECTORY;
    unsigned bits, granted = 0;

    bits = permitted(context, inode);
    if ((bits & PERMIT_READ) != 0)
        granted |= VFS_ACCESS_READ;
    if ((bits & PERMIT_EXECUTE) != 0)
        granted |= VFS_ACCESS_EXECUTE;
    if ((wanted & ~granted) != 0 && changeable(context, attr) == ERR_OK) {
        /* Entries are reached by searching: a directory that can't be searched can't be changed. */
        if ((bits & PERMIT_WRITE) != 0 && (!directory || (bits & PERMIT_EXECUTE) != 0))
            granted |= VFS_ACCESS_WRITE | (directory ? VFS_ACCESS_DELETE : 0);
        if (directory && list_gives(context, inode, ACL_DELETE_CHILD))
            granted |= VFS_ACCESS_DELETE;
        if (is_owner(context, attr) || list_gives(context, inode, ACL_WRITE_DAC))
            granted |= VFS_ACCESS_SETATTR;
    }
    return granted & wanted;
}

unsigned vfs_access(struct vfs_context *context, struct inode *inode, unsigned wanted)
{
    struct inode *file;
    unsigned granted;

    if (usable(context, inode_attr(inode)) != ERR_OK || stream_file(context, inode, &file) != ERR_OK)
        return 0;
    granted = may_access(context, file != NULL ? file : inode, wanted);
    inode_unref(&file);
    return granted;
}

/* What a mode says, in the terms of lists. Who can read a file can execute it, where the protocol asks: the
 * mode bit is one of UNIX programs. */
static uint32_t mode_rights(const struct vfs_context *context, const struct inode *inode)
{
    const struct inode_attr *attr = inode_attr(inode);
    bool directory = attr->type == INODE_DIRECTORY;
    unsigned bits = permitted(context, inode);
    uint32_t rights = ACL_READ_ATTRIBUTES | ACL_READ_CONTROL | ACL_SYNCHRONIZE | ACL_READ_EA;

    if (bits & PERMIT_READ)
        rights |= ACL_READ_DATA | (directory ? 0 : ACL_EXECUTE);
    if (bits & PERMIT_WRITE)
        rights |= ACL_WRITE_DATA | ACL_APPEND_DATA | ACL_WRITE_EA | ACL_WRITE_ATTRIBUTES;
    if (bits & PERMIT_EXECUTE)
        rights |= ACL_EXECUTE;
    /* Of a file the right means nothing, and is part of what full access is. */
    if ((bits & PERMIT_WRITE) && (!directory || (bits & PERMIT_EXECUTE)))
        rights |= ACL_DELETE_CHILD;
    if (is_owner(context, attr))
        rights |= ACL_WRITE_ATTRIBUTES | ACL_WRITE_DAC | ACL_WRITE_OWNER;
    return rights;
}

/* INODE's owner, mode and list count. */
static uint32_t rights_by(struct vfs_context *context, struct inode *inode, struct inode *dir)
{
    uint32_t rights, dir_rights;

    if (context->is_root)
        rights = ACL_ALL;
    else if (!list_rights(context, inode, &rights))
        rights = mode_rights(context, inode);
    if (dir != NULL && !context->is_root) {
        if (!list_rights(context, dir, &dir_rights))
            dir_rights = mode_rights(context, dir);
        if (dir_rights & ACL_LIST)
            rights |= ACL_READ_ATTRIBUTES;
        if ((dir_rights & ACL_DELETE_CHILD) && !sticky_denies(context, inode_attr(dir), inode_attr(inode)))
            rights |= ACL_DELETE;
    }
    if (context->export->config->read_only)
        rights &= ~(uint32_t)ACL_ALL_CHANGES;
    return rights;
}

uint32_t vfs_rights(struct vfs_context *context, struct inode *inode, struct inode *dir)
{
    struct inode *file;
    uint32_t rights;

    if (usable(context, inode_attr(inode)) != ERR_OK || stream_file(context, inode, &file) != ERR_OK)
        return 0;
    rights = rights_by(context, file != NULL ? file : inode, dir);
    inode_unref(&file);
    return rights;
}

/* ---- data ---- */

/* RFC 1813 4.4: the owner reads and writes whatever the mode says, since a UNIX client checks at open only.
 * Else one of ANY_OF is needed. */
static enum err may_use_data(const struct vfs_context *context, const struct inode *inode, unsigned any_of)
{
    struct inode *file;
    const struct inode *by;
    enum err err = stream_file(context, inode, &file);

    if (err != ERR_OK)
        return err;
    by = file != NULL ? file : inode;
    if (!is_owner(context, inode_attr(by)) && (permitted(context, by) & any_of) == 0)
        err = ERR_ACCES;
    inode_unref(&file);
    return err;
}

enum err vfs__gate_read(const struct vfs_context *context, const struct inode *inode, enum vfs_io_right right)
{
    enum err err = usable(context, inode_attr(inode));

    if (err == ERR_OK)
        err = vfs__require_file(inode);
    if (err != ERR_OK || right == VFS_IO_OPEN_HANDLE)
        return err;
    /* RFC 1813 4.4: who may execute a file must read it to do so. */
    return may_use_data(context, inode, PERMIT_READ | PERMIT_EXECUTE);
}

enum err vfs__gate_write(const struct vfs_context *context, const struct inode *inode,
                         enum vfs_io_right right)
{
    enum err err = vfs__require_file(inode);

    if (err == ERR_OK)
        err = changeable(context, inode_attr(inode));
    if (err != ERR_OK || right == VFS_IO_OPEN_HANDLE)
        return err;
    return may_use_data(context, inode, PERMIT_WRITE);
}

/* ---- extended attributes ---- */

/* As the "user." namespace of xattr(7): files and directories only (RFC 8276 8.4: others WRONG_TYPE), with
 * the permissions of their data. */
static enum err require_xattr_type(const struct inode_attr *attr)
{
    return attr->type == INODE_FILE || attr->type == INODE_DIRECTORY ? ERR_OK : ERR_WRONGTYPE;
}

enum err vfs__gate_xattr_read(const struct vfs_context *context, const struct inode *inode)
{
    const struct inode_attr *attr = inode_attr(inode);
    enum err err = usable(context, attr);

    if (err == ERR_OK)
        err = require_xattr_type(attr);
    if (err != ERR_OK || context->by_handle || list_gives(context, inode, ACL_READ_EA))
        return err;
    return require(context, inode, PERMIT_READ);
}

enum err vfs__gate_xattr_write(const struct vfs_context *context, const struct inode *inode)
{
    const struct inode_attr *attr = inode_attr(inode);
    enum err err = changeable(context, attr);

    if (err == ERR_OK)
        err = require_xattr_type(attr);
    if (err != ERR_OK || context->by_handle || list_gives(context, inode, ACL_WRITE_EA))
        return err;
    err = require(context, inode, PERMIT_WRITE);
    if (err != ERR_OK)
        return err;
    /* xattr(7): in a sticky directory that all may write, its attributes are the owner's alone. */
    if (attr->type == INODE_DIRECTORY && (attr->mode & MODE_STICKY) != 0 && !is_owner(context, attr))
        return ERR_PERM;
    return ERR_OK;
}

/* ---- streams ---- */

enum err vfs__gate_stream_search(const struct vfs_context *context, const struct inode *inode)
{
    const struct inode_attr *attr = inode_attr(inode);
    enum err err = usable(context, attr);

    if (err == ERR_OK)
        err = require_xattr_type(attr);
    /* SMB asks for the file's rights when it opens what it has found. */
    if (err != ERR_OK || context->by_handle || context->protocol == VFS_SMB)
        return err;
    return permitted(context, inode) & (PERMIT_READ | PERMIT_WRITE) ? ERR_OK : ERR_ACCES;
}

enum err vfs__gate_stream_list(const struct vfs_context *context, const struct inode *inode)
{
    const struct inode_attr *attr = inode_attr(inode);
    enum err err = usable(context, attr);

    if (err == ERR_OK)
        err = require_xattr_type(attr);
    return err != ERR_OK || context->by_handle ? err : require(context, inode, PERMIT_READ);
}

enum err vfs__gate_stream_write(const struct vfs_context *context, const struct inode *inode)
{
    const struct inode_attr *attr = inode_attr(inode);
    enum err err = changeable(context, attr);

    if (err == ERR_OK)
        err = require_xattr_type(attr);
    if (err == ERR_OK && attr->nlink == 0)
        err = ERR_STALE; /* a stream would outlive it */
    if (err != ERR_OK || context->by_handle)
        return err;
    return require(context, inode, PERMIT_WRITE);
}

/* ---- lists ---- */

enum err vfs__gate_acl_read(const struct vfs_context *context, const struct inode *inode)
{
    uint32_t rights;
    enum err err = usable(context, inode_attr(inode));

    if (err != ERR_OK || context->by_handle || context->is_root || !list_rights(context, inode, &rights))
        return err;
    return rights & ACL_READ_CONTROL ? ERR_OK : ERR_ACCES;
}

/* ---- becoming something else ---- */

enum err vfs__gate_replace(const struct vfs_context *context, const struct inode *dir,
                           const struct inode *inode, enum inode_type type)
{
    const struct inode_attr *attr = inode_attr(inode);
    enum err err = gate_entries(context, dir);

    if (err == ERR_OK)
        err = changeable(context, attr);
    if (err != ERR_OK)
        return err;
    if ((type == INODE_BLOCK_DEVICE || type == INODE_CHARACTER_DEVICE) && !context->is_root)
        return ERR_PERM; /* mknod(2) */
    return context->by_handle || is_owner(context, attr) ? ERR_OK : ERR_PERM;
}
