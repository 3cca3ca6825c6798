/*
 * readdir.c - listing a directory. "." and ".." are the front-ends': the store's cookies leave room for them.
 */
#include "vfs/vfs_priv.h"

struct listing {
    struct store *store;
    bool with_inodes;
    bool (*each)(void *data, const struct vfs_dirent *entry);
    void *data;
};

static bool list_entry(void *data, const struct dirent *entry)
{
    const struct listing *listing = data;
    struct vfs_dirent out = {.cookie = entry->cookie, .ino = entry->ino, .name = entry->name};
    bool more;

    if (listing->with_inodes && inode_get(listing->store, entry->ino, 0, &out.inode) != ERR_OK)
        out.inode = NULL;
    more = listing->each(listing->data, &out);
    inode_unref(&out.inode);
    return more;
}

enum err vfs_readdir(struct vfs_context *context, struct inode *dir, uint64_t cookie, bool with_inodes,
                     bool (*each)(void *data, const struct vfs_dirent *entry), void *data, bool *end_r)
{
    struct listing listing = {
        .store = context->vfs->store, .with_inodes = with_inodes, .each = each, .data = data};
    enum err err = vfs__gate_list(context, dir);

    if (err != ERR_OK)
        return err;
    if (cookie > INT64_MAX)
        return ERR_BADCOOKIE; /* the store's are positive 63-bit numbers */
    /* Names need read permission; what is behind them, as in stat(2), search permission. */
    if (with_inodes)
        listing.with_inodes = vfs__gate_search(context, dir) == ERR_OK;
    err = dir_scan(dir, cookie, list_entry, &listing, end_r);
    if (err == ERR_OK)
        vfs__touch_atime(context, dir);
    return err;
}
