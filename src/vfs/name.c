/*
 * name.c - names: what may be one, looking one up, parents; and what an entry's coming or going does to its
 * directory.
 *
 * Bytes of a name mean nothing here but '/' and NUL, which no protocol can use: names never become part of
 * a host path. Valid UTF-8 is a rule of NFSv4 and SMB, checked there.
 */
#include "vfs/vfs_priv.h"

#include <string.h>

static bool is_dot(struct store_name name)
{
    return name.length == 1 && name.bytes[0] == '.';
}

static bool is_dot_dot(struct store_name name)
{
    return name.length == 2 && name.bytes[0] == '.' && name.bytes[1] == '.';
}

enum err vfs__name_check(struct store_name name)
{
    if (name.length == 0)
        return ERR_INVAL;
    if (name.length > STORE_NAME_MAX)
        return ERR_NAMETOOLONG;
    if (is_dot(name) || is_dot_dot(name))
        return ERR_BADNAME;
    if (memchr(name.bytes, '/', name.length) != NULL || memchr(name.bytes, '\0', name.length) != NULL)
        return ERR_BADNAME;
    return ERR_OK;
}

/* The inode an entry names. One that is not there is damage, not a stale handle of the client's. */
static enum err entry_inode(struct inode *dir, uint64_t ino, struct inode **inode_r)
{
    enum err err = inode_get(inode_store(dir), ino, 0, inode_r);

    return err == ERR_STALE ? ERR_CORRUPT : err;
}

enum err vfs__find(struct inode *dir, struct store_name name, struct inode **inode_r)
{
    uint64_t ino;
    enum err err = dir_lookup(dir, name, STORE_EXACT, &ino, NULL, NULL);

    return err == ERR_OK ? entry_inode(dir, ino, inode_r) : err;
}

enum err vfs_parent(struct vfs_context *context, struct inode *dir, struct inode **parent_r)
{
    const struct inode_attr *attr = inode_attr(dir);
    enum err err = vfs__gate_search(context, dir);

    if (err != ERR_OK)
        return err;
    return inode_get(context->vfs->store, attr->parent, 0, parent_r);
}

/* RFC 8881 18.13.3: a symbolic link in place of the directory is an error of its own. */
static enum err lookup_gate(const struct vfs_context *context, const struct inode *dir)
{
    enum err err = vfs__gate_search(context, dir);

    if (err == ERR_NOTDIR && context->protocol == VFS_NFS4 && inode_attr(dir)->type == INODE_SYMLINK)
        return ERR_SYMLINK;
    return err;
}

enum err vfs_lookup(struct vfs_context *context, struct inode *dir, struct store_name name,
                    struct inode **inode_r)
{
    enum err err = lookup_gate(context, dir);

    if (err != ERR_OK)
        return err;
    err = vfs__name_check(name);
    if (err == ERR_OK) {
        err = vfs__find(dir, name, inode_r);
        if (err == ERR_OK)
            vfs__where_note(context->vfs, dir, name, *inode_r);
        return err;
    }
    if (context->protocol != VFS_NFS3)
        return err;
    if (is_dot(name)) {
        *inode_r = inode_ref(dir);
        return ERR_OK;
    }
    return is_dot_dot(name) ? vfs_parent(context, dir, inode_r) : err;
}

enum err vfs_lookup_folded(struct vfs_context *context, struct inode *dir, struct store_name name,
                           struct inode **inode_r, uint8_t *name_r, size_t *length_r)
{
    uint64_t ino;
    enum err err = lookup_gate(context, dir);

    if (err == ERR_OK)
        err = vfs__name_check(name);
    if (err == ERR_OK)
        err = dir_lookup(dir, name, STORE_FOLDED, &ino, name_r, length_r);
    if (err == ERR_OK)
        err = entry_inode(dir, ino, inode_r);
    if (err == ERR_OK)
        vfs__where_note(context->vfs, dir, (struct store_name){.bytes = name_r, .length = *length_r},
                        *inode_r);
    return err;
}

void vfs__dir_changed(struct inode *dir, int links, struct timestamp now)
{
    struct inode_attr *attr = inode_change(dir);

    attr->nlink += (uint32_t)links;
    attr->mtime = attr->ctime = now;
}

void vfs__ticket_metadata(struct vfs_context *context)
{
    store_ticket_merge(&context->ticket, store_ticket_metadata(context->vfs->store));
}

void vfs_wait_for_metadata(struct vfs_context *context)
{
    vfs__ticket_metadata(context);
}
