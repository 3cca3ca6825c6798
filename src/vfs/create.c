/*
 * create.c - making a file, directory, link or special file under a name.
 *
 * The happy path: the name is not there; the gate lets the user add one; the inode is made with all that it
 * starts with (mode, owner, verifier, size); its name is inserted; then, where nothing fails any more, link
 * counts and times follow. Until its name is there an inode has no links, so giving it back undoes all of it.
 *
 * Who owns it: the user. The group is the user's, or that of a directory with the set-group-id bit, which
 * directories in it inherit as well. An owner or group in the initial attributes counts where the user could
 * set it afterwards, else it is left aside: clients send their own idea of it, squashed or not.
 */
#include "vfs/acl_priv.h"

#include <string.h>

/* ---- what is there already ---- */

static enum err not_a_file(const struct vfs_context *context, const struct inode *inode)
{
    enum err err = vfs__require_file(inode);

    /* RFC 1813 3.3.8 knows only that the name is taken; RFC 8881 18.16.3 wants to hear by what. */
    return err != ERR_OK && context->protocol == VFS_NFS3 ? ERR_EXIST : err;
}

static enum err open_unchecked(struct vfs_context *context, struct inode *inode,
                               const struct vfs_create *create)
{
    static const struct vfs_setattr truncate = {.set = VFS_SET_SIZE};
    enum err err = not_a_file(context, inode);

    if (err != ERR_OK)
        return err;
    /* RFC 8881 18.16.3: of the attributes only a size of zero counts for a file that is there. */
    if ((create->set.set & VFS_SET_SIZE) == 0 || create->set.size != 0)
        return ERR_OK;
    return vfs_setattr(context, inode, &truncate, NULL, false);
}

static enum err open_exclusive(struct vfs_context *context, struct inode *inode,
                               const struct vfs_create *create)
{
    const uint8_t *verifier;
    size_t length;
    enum err err;

    if (inode_attr(inode)->type != INODE_FILE)
        return ERR_EXIST;
    err = inode_get_blob(inode, VFS_BLOB_VERIFIER, &verifier, &length);
    if (err != ERR_OK)
        return err;
    if (verifier == NULL || length != sizeof create->verifier ||
        !constant_time_equal(verifier, create->verifier, length))
        return ERR_EXIST;
    /* The call it repeats may not be durable yet. */
    store_ticket_merge(&context->ticket, inode_ticket(inode));
    return ERR_OK;
}

static enum err open_existing(struct vfs_context *context, struct inode *inode,
                              const struct vfs_create *create)
{
    if (create->type != INODE_FILE)
        return ERR_EXIST;
    switch (create->how) {
    case VFS_CREATE_UNCHECKED:
        return open_unchecked(context, inode, create);
    case VFS_CREATE_GUARDED:
        return ERR_EXIST;
    case VFS_CREATE_EXCLUSIVE:
        return open_exclusive(context, inode, create);
    }
    return ERR_EXIST;
}

/* ---- the new one ---- */

static enum err type_check(const struct vfs_context *context, const struct vfs_create *create)
{
    switch (create->type) {
    case INODE_FILE:
        return ERR_OK;
    case INODE_DIRECTORY:
    case INODE_FIFO:
    case INODE_SOCKET:
        break;
    case INODE_SYMLINK:
        if (create->target == NULL || create->target_length == 0 ||
            memchr(create->target, '\0', create->target_length) != NULL)
            return ERR_INVAL;
        if (create->target_length > STORE_SYMLINK_MAX)
            return ERR_NAMETOOLONG;
        break;
    case INODE_BLOCK_DEVICE:
    case INODE_CHARACTER_DEVICE:
        if (!context->is_root)
            return ERR_PERM; /* mknod(2) */
        break;
    case INODE_STREAM:
        return ERR_BADTYPE;
    }
    return (create->set.set & VFS_SET_SIZE) != 0 && create->set.size != 0 ? ERR_INVAL : ERR_OK;
}

/* Where the client names no mode (an exclusive create's SETATTR is still to come) nobody else gets in. */
static uint32_t default_mode(enum inode_type type)
{
    if (type == INODE_SYMLINK)
        return 0777;
    return type == INODE_DIRECTORY ? 0700 : 0600;
}

static uint32_t initial_gid(const struct vfs_context *context, const struct inode_attr *dir,
                            const struct vfs_setattr *set)
{
    if ((set->set & VFS_SET_GID) != 0 && (context->is_root || vfs__in_group(context, set->gid)))
        return set->gid;
    return (dir->mode & MODE_SETGID) != 0 ? dir->gid : context->user.gid;
}

static struct inode_attr initial_attr(const struct vfs_context *context, const struct inode_attr *dir,
                                      const struct vfs_create *create, struct timestamp now)
{
    const struct vfs_setattr *set = &create->set;
    bool device = create->type == INODE_BLOCK_DEVICE || create->type == INODE_CHARACTER_DEVICE;
    bool directory = create->type == INODE_DIRECTORY;
    uint32_t mode = (set->set & VFS_SET_MODE) != 0 ? set->mode : default_mode(create->type);
    struct inode_attr attr = {
        .tree = dir->tree,
        .type = create->type,
        .uid = context->user.uid,
        .gid = initial_gid(context, dir, set),
        .parent = directory ? dir->ino : 0,
        .atime = vfs__time(set->atime_how, set->atime, now, now),
        .mtime = vfs__time(set->mtime_how, set->mtime, now, now),
        .ctime = now,
        .btime = (set->set & VFS_SET_BTIME) != 0 ? set->btime : now,
    };

    if ((set->set & VFS_SET_UID) != 0 && context->is_root)
        attr.uid = set->uid;
    attr.mode = vfs__mode_allowed(context, mode & ~create->umask, attr.gid);
    if (directory)
        attr.mode |= dir->mode & MODE_SETGID;
    if ((set->set & VFS_SET_DOS_ATTRIBUTES) != 0)
        attr.dos_attributes = set->dos_attributes;
    if (device) {
        attr.device_major = create->device_major;
        attr.device_minor = create->device_minor;
    }
    return attr;
}

static enum err acl_inherit(const struct inode *dir, struct inode *inode)
{
    struct arena arena;
    struct acl acl;
    enum err err;

    arena_init(&arena, 0);
    err = vfs__acl_inherit(dir, inode_attr(inode), &arena, &acl);
    if (err == ERR_OK)
        err = vfs__acl_write(inode, &acl);
    arena_reset(&arena);
    return err;
}

/* The list it starts with, given or inherited. A mode that NFS names is set on top of an inherited one
 * (RFC 8881 6.4.3), without its umask (RFC 8275 5); else the mode follows from the list. */
static enum err acl_make(const struct vfs_context *context, const struct inode *dir,
                         const struct vfs_create *create, struct inode *inode)
{
    bool given = (create->set.set & VFS_SET_ACL) != 0;
    bool named = context->protocol != VFS_SMB && (create->set.set & VFS_SET_MODE) != 0;
    enum err err;

    if (create->type == INODE_SYMLINK || (!given && !vfs__acl_is_there(dir)))
        return ERR_OK;
    err = given ? vfs__acl_write(inode, create->set.acl) : acl_inherit(dir, inode);
    if (err != ERR_OK)
        return err == ERR_NOENT ? ERR_OK : err; /* nothing to inherit */
    if (given || !named) {
        inode_change(inode)->mode = vfs__acl_mode(inode);
        return ERR_OK;
    }
    inode_change(inode)->mode |= create->set.mode & create->umask & 0777;
    return vfs__acl_chmod(inode, inode_attr(inode)->mode);
}

/* An inode without a name, with all that it starts with. */
static enum err inode_make(struct vfs_context *context, struct inode *dir, const struct vfs_create *create,
                           struct timestamp now, struct inode **inode_r)
{
    struct inode_attr attr = initial_attr(context, inode_attr(dir), create, now);
    bool symlink = create->type == INODE_SYMLINK;
    struct inode *inode;
    enum err err = inode_new(context->vfs->store, &attr, symlink ? create->target : NULL,
                             symlink ? create->target_length : 0, &inode);

    if (err != ERR_OK)
        return err;
    err = acl_make(context, dir, create, inode);
    if (err == ERR_OK && create->type == INODE_FILE && create->how == VFS_CREATE_EXCLUSIVE)
        err = inode_set_blob(inode, VFS_BLOB_VERIFIER, create->verifier, sizeof create->verifier);
    if (err == ERR_OK && (create->set.set & VFS_SET_SIZE) != 0 && create->set.size != 0) {
        err = store_truncate(inode, create->set.size);
        /* It moved the times, which are those of the attributes. */
        if (err == ERR_OK) {
            struct inode_attr *changed = inode_change(inode);

            changed->mtime = attr.mtime;
            changed->ctime = attr.ctime;
        }
    }
    if (err != ERR_OK) {
        inode_unref(&inode);
        return err;
    }
    *inode_r = inode;
    return ERR_OK;
}

static enum err create_new(struct vfs_context *context, struct inode *dir, struct store_name name,
                           const struct vfs_create *create, struct inode **inode_r)
{
    bool directory = create->type == INODE_DIRECTORY;
    const struct vfs_claim claim = {.inode = dir, .operation = GRANT_OP_ADD_ENTRY};
    struct timestamp now = clock_wall();
    struct inode *inode;
    enum err err = vfs__gate_add(context, dir, directory);

    if (err == ERR_OK)
        err = type_check(context, create);
    if (err == ERR_OK)
        err = vfs__setattr_check(create->type, &create->set);
    if (err == ERR_OK && directory && inode_attr(dir)->nlink >= STORE_LINK_MAX)
        err = ERR_MLINK;
    if (err == ERR_OK)
        err = vfs__conflict_claims(context, &claim, 1);
    if (err == ERR_OK)
        err = inode_make(context, dir, create, now, &inode);
    if (err != ERR_OK)
        return err;
    err = dir_insert(dir, name, inode);
    if (err != ERR_OK) {
        inode_unref(&inode);
        return err;
    }
    inode_change(inode)->nlink = directory ? 2 : 1;
    vfs__dir_changed(dir, directory ? 1 : 0, now);
    vfs__ticket_metadata(context);
    store_ticket_merge(&context->ticket, inode_ticket(inode));
    vfs__event_created(context, dir, name, inode);
    *inode_r = inode;
    return ERR_OK;
}

enum err vfs_create(struct vfs_context *context, struct inode *dir, struct store_name name,
                    const struct vfs_create *create, struct inode **inode_r, bool *created_r)
{
    struct inode *inode;
    enum err err = vfs__gate_search(context, dir);

    if (err == ERR_OK)
        err = vfs__name_check(name);
    if (err != ERR_OK)
        return err;
    err = vfs__find(dir, name, &inode);
    if (err == ERR_NOENT) {
        err = create_new(context, dir, name, create, inode_r);
        if (err == ERR_OK)
            *created_r = true;
        return err;
    }
    if (err != ERR_OK)
        return err;
    err = open_existing(context, inode, create);
    if (err != ERR_OK) {
        inode_unref(&inode);
        return err;
    }
    *inode_r = inode;
    *created_r = create->how == VFS_CREATE_EXCLUSIVE;
    return ERR_OK;
}

/* ---- another name ---- */

enum err vfs_link(struct vfs_context *context, struct inode *inode, struct inode *dir, struct store_name name)
{
    const struct vfs_claim claims[] = {{.inode = inode, .operation = GRANT_OP_NAMES},
                                       {.inode = dir, .operation = GRANT_OP_ADD_ENTRY}};
    const struct inode_attr *attr = inode_attr(inode);
    struct timestamp now = clock_wall();
    struct inode *there;
    struct inode_attr *changed;
    enum err err = vfs__gate_search(context, dir);

    if (err == ERR_OK)
        err = vfs__name_check(name);
    if (err != ERR_OK)
        return err;
    if (attr->tree != inode_attr(dir)->tree)
        return ERR_XDEV;
    if (attr->type == INODE_DIRECTORY)
        return ERR_ISDIR;
    if (attr->type == INODE_STREAM)
        return ERR_BADTYPE;
    err = vfs__find(dir, name, &there);
    if (err == ERR_OK) {
        inode_unref(&there);
        return ERR_EXIST;
    }
    if (err == ERR_NOENT)
        err = vfs__gate_add(context, dir, false);
    if (err != ERR_OK)
        return err;
    if (attr->nlink == 0)
        return ERR_STALE; /* removed and still held: it does not come back */
    if (attr->nlink >= STORE_LINK_MAX)
        return ERR_MLINK;
    err = vfs__conflict_claims(context, claims, 2);
    if (err == ERR_OK)
        err = dir_insert(dir, name, inode);
    if (err != ERR_OK)
        return err;
    changed = inode_change(inode);
    changed->nlink++;
    changed->ctime = now;
    vfs__dir_changed(dir, 0, now);
    vfs__ticket_metadata(context);
    vfs__event_created(context, dir, name, inode);
    return ERR_OK;
}

enum err vfs_readlink(struct vfs_context *context, struct inode *inode, uint8_t target[STORE_SYMLINK_MAX],
                      size_t *length_r)
{
    enum err err = vfs__gate_readlink(context, inode);

    if (err != ERR_OK)
        return err;
    if (inode_attr(inode)->type != INODE_SYMLINK)
        return ERR_INVAL;
    return inode_symlink_target(inode, target, length_r);
}
