/*
 * rename.c - moving a name, over another one if it must be.
 *
 * In steps: both names are looked up; everything that forbids the move is checked; the target's entry is
 * made (or turned) to name the inode and the source's entry is taken away, where the first step is undone
 * should the second fail; then link counts, the directory's ".." and times follow, which can't fail. To
 * everybody else on the loop this is one step.
 *
 * Invariants: a directory's link count is 2 plus its subdirectories; a directory is never below itself.
 */
#include "vfs/vfs_priv.h"

#include <string.h>

struct rename {
    struct inode *from_dir, *to_dir;
    struct store_name from, to;
    struct inode *inode;  /* what moves */
    struct inode *victim; /* what is at the target, or NULL */
};

static uint64_t ino_of(const struct inode *inode)
{
    return inode_attr(inode)->ino;
}

static bool is_directory(const struct inode *inode)
{
    return inode != NULL && inode_attr(inode)->type == INODE_DIRECTORY;
}

static enum err rename_find(const struct vfs_context *context, struct rename *rename)
{
    enum err err = vfs__gate_search(context, rename->from_dir);

    if (err != ERR_OK)
        return err;
    if (inode_attr(rename->from_dir)->tree != inode_attr(rename->to_dir)->tree)
        return ERR_XDEV;
    err = vfs__gate_search(context, rename->to_dir);
    if (err == ERR_OK)
        err = vfs__name_check(rename->from);
    if (err == ERR_OK)
        err = vfs__name_check(rename->to);
    if (err == ERR_OK)
        err = vfs__find(rename->from_dir, rename->from, &rename->inode);
    if (err != ERR_OK)
        return err;
    err = vfs__find(rename->to_dir, rename->to, &rename->victim);
    return err == ERR_NOENT ? ERR_OK : err;
}

/* ERR_INVAL when DIR is below (or is) the directory that moves. */
static enum err below_itself(const struct rename *rename)
{
    struct store *store = inode_store(rename->inode);
    uint64_t moving = ino_of(rename->inode);
    struct inode *at = inode_ref(rename->to_dir);
    enum err err = ERR_NAMETOOLONG;

    for (unsigned depth = 0; depth < VFS_DEPTH_MAX; depth++) {
        uint64_t ino = ino_of(at), parent = inode_attr(at)->parent;

        if (ino == moving || parent == ino) {
            err = ino == moving ? ERR_INVAL : ERR_OK;
            break;
        }
        inode_unref(&at);
        err = inode_get(store, parent, 0, &at);
        if (err != ERR_OK)
            return err;
        err = ERR_NAMETOOLONG;
    }
    inode_unref(&at);
    return err;
}

static enum err rename_check(const struct vfs_context *context, const struct rename *rename)
{
    bool directory = is_directory(rename->inode);
    bool other_parent = ino_of(rename->from_dir) != ino_of(rename->to_dir);
    enum err err = directory && other_parent ? below_itself(rename) : ERR_OK;

    if (err == ERR_OK)
        err = vfs__gate_rename(context, rename->from_dir, rename->inode, rename->to_dir, rename->victim);
    if (err != ERR_OK)
        return err;
    if (rename->victim != NULL) {
        if (directory && !is_directory(rename->victim))
            return ERR_NOTDIR;
        if (!directory && is_directory(rename->victim))
            return ERR_ISDIR;
        return directory && !dir_is_empty(rename->victim) ? ERR_NOTEMPTY : ERR_OK;
    }
    if (directory && other_parent && inode_attr(rename->to_dir)->nlink >= STORE_LINK_MAX)
        return ERR_MLINK;
    return ERR_OK;
}

static enum err rename_conflicts(const struct vfs_context *context, const struct rename *rename)
{
    bool within = rename->from_dir == rename->to_dir;
    const struct vfs_claim claims[] = {
        {.inode = rename->inode, .operation = GRANT_OP_NAMES, .deletes = true},
        {.inode = rename->victim, .operation = GRANT_OP_NAMES, .deletes = true},
        {.inode = rename->from_dir, .operation = within ? GRANT_OP_RENAME_ENTRY : GRANT_OP_REMOVE_ENTRY},
        {.inode = rename->to_dir, .operation = GRANT_OP_ADD_ENTRY}};

    return vfs__conflict_claims(context, claims, within ? 3 : 4);
}

/* Neither turning an entry nor taking one away needs space, so with a victim nothing but a failing store
 * comes between the two steps; a new entry, which may not fit, is the first one. */
static enum err rename_entries(const struct rename *rename)
{
    enum err err = rename->victim != NULL ? dir_replace(rename->to_dir, rename->to, rename->inode)
                                          : dir_insert(rename->to_dir, rename->to, rename->inode);
    enum err undo;

    if (err != ERR_OK)
        return err;
    err = dir_remove(rename->from_dir, rename->from, ino_of(rename->inode));
    if (err == ERR_OK)
        return ERR_OK;
    undo = rename->victim != NULL ? dir_replace(rename->to_dir, rename->to, rename->victim)
                                  : dir_remove(rename->to_dir, rename->to, ino_of(rename->inode));
    /* A store that can't do that either has failed for good: no batch of it is committed any more. */
    return undo == ERR_OK ? err : undo;
}

static void rename_links(const struct rename *rename)
{
    struct timestamp now = clock_wall();
    bool directory = is_directory(rename->inode);
    int lost = directory ? -1 : 0;
    int gained = (directory ? 1 : 0) - (is_directory(rename->victim) ? 1 : 0);
    struct inode_attr *attr;

    if (ino_of(rename->from_dir) == ino_of(rename->to_dir)) {
        vfs__dir_changed(rename->from_dir, lost + gained, now);
    } else {
        vfs__dir_changed(rename->from_dir, lost, now);
        vfs__dir_changed(rename->to_dir, gained, now);
    }
    if (rename->victim != NULL) {
        attr = inode_change(rename->victim);
        attr->nlink = is_directory(rename->victim) ? 0 : attr->nlink - 1;
        attr->ctime = now;
    }
    attr = inode_change(rename->inode);
    attr->ctime = now;
    if (directory)
        attr->parent = ino_of(rename->to_dir);
}

/* COOKIE is that of the old name. */
static void rename_tell(struct vfs_context *context, const struct rename *rename, uint64_t cookie)
{
    uint64_t new_cookie = vfs__event_cookie(context->vfs, rename->to_dir, rename->to);

    if (rename->victim != NULL)
        vfs__event_name(context, &(struct vfs_event){.kind = VFS_EVENT_REMOVED,
                                                     .inode = rename->victim,
                                                     .dir = rename->to_dir,
                                                     .name = rename->to,
                                                     .cookie = new_cookie,
                                                     .is_replaced = true});
    vfs__event_name(context, &(struct vfs_event){.kind = VFS_EVENT_RENAMED,
                                                 .inode = rename->inode,
                                                 .dir = rename->from_dir,
                                                 .other_dir = rename->to_dir,
                                                 .name = rename->from,
                                                 .other_name = rename->to,
                                                 .replaced = rename->victim,
                                                 .cookie = cookie,
                                                 .other_cookie = new_cookie});
}

static enum err rename_found(struct vfs_context *context, const struct rename *rename, bool no_replace)
{
    bool same_name = false;
    uint64_t cookie = 0;
    enum err err;

    if (rename->victim != NULL && ino_of(rename->victim) == ino_of(rename->inode)) {
        same_name = ino_of(rename->from_dir) == ino_of(rename->to_dir) &&
                    rename->from.length == rename->to.length &&
                    memcmp(rename->from.bytes, rename->to.bytes, rename->to.length) == 0;
        /* RFC 1813 3.3.14, RFC 8881 18.26.3: two names of one file stay as they are. */
        return no_replace && !same_name ? ERR_EXIST : ERR_OK;
    }
    if (rename->victim != NULL && no_replace)
        return ERR_EXIST;
    err = rename_check(context, rename);
    if (err == ERR_OK && rename->victim != NULL &&
        (is_directory(rename->victim) || inode_attr(rename->victim)->nlink == 1))
        err = vfs__streams_drop(rename->victim);
    if (err == ERR_OK)
        err = rename_conflicts(context, rename);
    if (err == ERR_OK)
        cookie = vfs__event_cookie(context->vfs, rename->from_dir, rename->from);
    if (err == ERR_OK)
        err = rename_entries(rename);
    if (err != ERR_OK)
        return err;
    rename_links(rename);
    vfs__ticket_metadata(context);
    rename_tell(context, rename, cookie);
    return ERR_OK;
}

enum err vfs_rename(struct vfs_context *context, struct inode *from_dir, struct store_name from,
                    struct inode *to_dir, struct store_name to, bool no_replace)
{
    struct rename rename = {.from_dir = from_dir, .to_dir = to_dir, .from = from, .to = to};
    enum err err = rename_find(context, &rename);

    if (err == ERR_OK)
        err = rename_found(context, &rename, no_replace);
    inode_unref(&rename.inode);
    inode_unref(&rename.victim);
    return err;
}
