/*
 * access.c - the one gate: who may do what to which inode.
 *
 * Every operation of this room asks exactly one vfs__gate_ function before it changes or tells anything, for
 * every protocol. The rules are POSIX's: one class of mode bits applies (owner, else group, else others);
 * user 0 passes them all, except that a file needs some execute bit to be executed; in a directory with the
 * sticky bit only the entry's owner, the directory's owner and user 0 remove or replace an entry.
 *
 * What holds for everybody, user 0 included: an export that is gone is ERR_STALE, a read-only one ERR_ROFS,
 * a store that has failed answers its failure, an inode of another export's tree is ERR_STALE.
 */
#include "vfs/vfs_priv.h"

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

/* The PERMIT_ bits that the user has. */
static unsigned permitted(const struct vfs_context *context, const struct inode_attr *attr)
{
    if (context->is_root) {
        if (attr->type == INODE_DIRECTORY || (attr->mode & 0111) != 0)
            return PERMIT_READ | PERMIT_WRITE | PERMIT_EXECUTE;
        return PERMIT_READ | PERMIT_WRITE;
    }
    if (context->user.uid == attr->uid)
        return attr->mode >> 6 & 7;
    if (vfs__in_group(context, attr->gid))
        return attr->mode >> 3 & 7;
    return attr->mode & 7;
}

static enum err require(const struct vfs_context *context, const struct inode_attr *attr, unsigned bits)
{
    return (permitted(context, attr) & bits) == bits ? ERR_OK : ERR_ACCES;
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
    return require(context, attr, bits);
}

enum err vfs__gate_search(const struct vfs_context *context, const struct inode *dir)
{
    return gate_directory(context, dir, PERMIT_EXECUTE);
}

enum err vfs__gate_list(const struct vfs_context *context, const struct inode *dir)
{
    return gate_directory(context, dir, PERMIT_READ);
}

enum err vfs__gate_add(const struct vfs_context *context, const struct inode *dir)
{
    const struct inode_attr *attr = inode_attr(dir);
    enum err err = changeable(context, attr);

    if (err != ERR_OK)
        return err;
    if (attr->type != INODE_DIRECTORY)
        return ERR_NOTDIR;
    /* A removed directory that somebody still holds gets no new names. */
    if (attr->nlink == 0)
        return ERR_STALE;
    return require(context, attr, PERMIT_WRITE | PERMIT_EXECUTE);
}

enum err vfs__gate_remove(const struct vfs_context *context, const struct inode *dir,
                          const struct inode *victim)
{
    enum err err = vfs__gate_add(context, dir);

    if (err != ERR_OK)
        return err;
    /* POSIX leaves the choice between EPERM and EACCES; RFC 1813 3.3.12 and RFC 8881 18.25 know the latter.
     */
    return sticky_denies(context, inode_attr(dir), inode_attr(victim)) ? ERR_ACCES : ERR_OK;
}

enum err vfs__gate_rename(const struct vfs_context *context, const struct inode *from_dir,
                          const struct inode *inode, const struct inode *to_dir, const struct inode *victim)
{
    enum err err = vfs__gate_remove(context, from_dir, inode);

    if (err != ERR_OK)
        return err;
    err = victim == NULL ? vfs__gate_add(context, to_dir) : vfs__gate_remove(context, to_dir, victim);
    if (err != ERR_OK)
        return err;
    /* Another parent is a change of the directory itself: of its "..". */
    if (inode_attr(inode)->type == INODE_DIRECTORY && inode_attr(from_dir)->ino != inode_attr(to_dir)->ino)
        return require(context, inode_attr(inode), PERMIT_WRITE);
    return ERR_OK;
}

enum err vfs__gate_readlink(const struct vfs_context *context, const struct inode *inode)
{
    return usable(context, inode_attr(inode));
}

/* ---- attributes ---- */

enum err vfs__gate_setattr(const struct vfs_context *context, const struct inode *inode,
                           const struct vfs_setattr *set, bool writable_handle)
{
    const struct inode_attr *attr = inode_attr(inode);
    bool owner = is_owner(context, attr);
    bool writes = (set->set & (VFS_SET_SIZE | VFS_SET_DOS_ATTRIBUTES)) != 0 ||
                  set->atime_how == VFS_TIME_NOW || set->mtime_how == VFS_TIME_NOW;
    enum err err = changeable(context, attr);

    if (err != ERR_OK)
        return err;
    if ((set->set & VFS_SET_UID) != 0 && !context->is_root && !(owner && set->uid == attr->uid))
        return ERR_PERM;
    if ((set->set & VFS_SET_GID) != 0 && !context->is_root &&
        !(owner && (set->gid == attr->gid || vfs__in_group(context, set->gid))))
        return ERR_PERM;
    if (!owner && ((set->set & (VFS_SET_MODE | VFS_SET_BTIME)) != 0 || set->atime_how == VFS_TIME_SET ||
                   set->mtime_how == VFS_TIME_SET))
        return ERR_PERM;
    if (writes && !owner && !writable_handle)
        return require(context, attr, PERMIT_WRITE);
    return ERR_OK;
}

unsigned vfs_access(struct vfs_context *context, struct inode *inode, unsigned wanted)
{
    const struct inode_attr *attr = inode_attr(inode);
    bool directory = attr->type == INODE_DIRECTORY;
    unsigned bits, granted = 0;

    if (usable(context, attr) != ERR_OK)
        return 0;
    bits = permitted(context, attr);
    if ((bits & PERMIT_READ) != 0)
        granted |= VFS_ACCESS_READ;
    if ((bits & PERMIT_EXECUTE) != 0)
        granted |= VFS_ACCESS_EXECUTE;
    if ((wanted & ~granted) != 0 && changeable(context, attr) == ERR_OK) {
        /* Entries are reached by searching: a directory that can't be searched can't be changed. */
        if ((bits & PERMIT_WRITE) != 0 && (!directory || (bits & PERMIT_EXECUTE) != 0))
            granted |= VFS_ACCESS_WRITE | (directory ? VFS_ACCESS_DELETE : 0);
        if (is_owner(context, attr))
            granted |= VFS_ACCESS_SETATTR;
    }
    return granted & wanted;
}

/* ---- data ---- */

/* RFC 1813 4.4: the owner reads and writes whatever the mode says, since a UNIX client checks at open only,
 * and who may execute a file must read it to do so. */
enum err vfs__gate_read(const struct vfs_context *context, const struct inode *inode, enum vfs_io_right right)
{
    const struct inode_attr *attr = inode_attr(inode);
    enum err err = usable(context, attr);

    if (err == ERR_OK)
        err = vfs__require_file(inode);
    if (err != ERR_OK)
        return err;
    if (right == VFS_IO_OPEN_HANDLE || is_owner(context, attr))
        return ERR_OK;
    return (permitted(context, attr) & (PERMIT_READ | PERMIT_EXECUTE)) != 0 ? ERR_OK : ERR_ACCES;
}

enum err vfs__gate_write(const struct vfs_context *context, const struct inode *inode,
                         enum vfs_io_right right)
{
    const struct inode_attr *attr = inode_attr(inode);
    enum err err = vfs__require_file(inode);

    if (err == ERR_OK)
        err = changeable(context, attr);
    if (err != ERR_OK)
        return err;
    if (right == VFS_IO_OPEN_HANDLE || is_owner(context, attr))
        return ERR_OK;
    return require(context, attr, PERMIT_WRITE);
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
    return err != ERR_OK ? err : require(context, attr, PERMIT_READ);
}

enum err vfs__gate_xattr_write(const struct vfs_context *context, const struct inode *inode)
{
    const struct inode_attr *attr = inode_attr(inode);
    enum err err = changeable(context, attr);

    if (err == ERR_OK)
        err = require_xattr_type(attr);
    if (err == ERR_OK)
        err = require(context, attr, PERMIT_WRITE);
    if (err != ERR_OK)
        return err;
    /* xattr(7): in a sticky directory that all may write, its attributes are the owner's alone. */
    if (attr->type == INODE_DIRECTORY && (attr->mode & MODE_STICKY) != 0 && !is_owner(context, attr))
        return ERR_PERM;
    return ERR_OK;
}
