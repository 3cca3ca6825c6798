/*
 * stream.c - alternate data streams: data under names of their own beside that of a file or directory.
 *
 * Who may change the file's data may make, rename and remove its streams. A stream belongs to its file: it
 * has no permissions, and when the file's last name goes, all streams lose theirs in the same batch, so that
 * those nobody has open are freed with it, also when the program does not live to do so.
 */
#include "vfs/vfs_priv.h"

#include <string.h>

/* MS-FSCC 2.1.5.3: what separates it from the rest of a path is no part of its name. */
static enum err name_check(struct store_name name)
{
    if (name.length == 0)
        return ERR_INVAL;
    if (name.length > STORE_NAME_MAX)
        return ERR_NAMETOOLONG;
    for (size_t i = 0; i < name.length; i++)
        if (memchr("/\\:", name.bytes[i], 4) != NULL) /* and the zero behind them */
            return ERR_BADNAME;
    return ERR_OK;
}

static enum err get(struct inode *file, uint64_t ino, struct inode **stream_r)
{
    enum err err = inode_get(inode_store(file), ino, 0, stream_r);

    return err == ERR_STALE ? ERR_CORRUPT : err;
}

/* The exact NAME. */
static enum err find(struct inode *file, struct store_name name, struct inode **stream_r)
{
    uint64_t ino;
    enum err err = stream_lookup(file, name, STORE_EXACT, &ino, NULL, NULL);

    return err == ERR_OK ? get(file, ino, stream_r) : err;
}

/* Who keeps the file's attributes in its cache must know. */
static enum err conflicts(const struct vfs_context *context, struct inode *file)
{
    const struct vfs_claim claim = {.inode = file, .operation = GRANT_OP_SETATTR};

    return vfs__conflict_claims(context, &claim, 1);
}

/* Those who have STREAM open may not want that; SMB has asked them before. */
static enum err name_goes(const struct vfs_context *context, struct inode *stream)
{
    const struct vfs_claim claim = {.inode = stream, .operation = GRANT_OP_NAMES, .deletes = true};

    return context->by_handle ? ERR_OK : vfs__conflict_claims(context, &claim, 1);
}

static void changed(struct vfs_context *context, struct inode *file)
{
    inode_change(file)->ctime = clock_wall();
    vfs__ticket_metadata(context);
    vfs__event_inode(context->vfs, context->event_source, VFS_EVENT_STREAMS, file);
}

enum err vfs_stream_lookup(struct vfs_context *context, struct inode *file, struct store_name name,
                           struct inode **stream_r, uint8_t *name_r, size_t *length_r)
{
    uint64_t ino;
    enum err err = vfs__gate_stream_search(context, file);

    if (err == ERR_OK)
        err = name_check(name);
    if (err == ERR_OK)
        err = stream_lookup(file, name, STORE_FOLDED, &ino, name_r, length_r);
    return err == ERR_OK ? get(file, ino, stream_r) : err;
}

enum err vfs_stream_get(struct vfs_context *context, struct inode *file, struct store_name name,
                        struct inode **stream_r)
{
    enum err err = vfs__gate_stream_search(context, file);

    if (err == ERR_OK)
        err = name_check(name);
    return err == ERR_OK ? find(file, name, stream_r) : err;
}

enum err vfs_stream_create(struct vfs_context *context, struct inode *file, struct store_name name,
                           struct inode **stream_r)
{
    const struct inode_attr *attr = inode_attr(file);
    struct timestamp now = clock_wall();
    struct inode_attr template = {.tree = attr->tree,
                                  .type = INODE_STREAM,
                                  .mode = attr->mode & 0777,
                                  .uid = attr->uid,
                                  .gid = attr->gid,
                                  .parent = attr->ino,
                                  .atime = now,
                                  .mtime = now,
                                  .ctime = now,
                                  .btime = now};
    struct inode *stream;
    uint64_t ino;
    enum err err = vfs__gate_stream_write(context, file);

    if (err == ERR_OK)
        err = name_check(name);
    if (err != ERR_OK)
        return err;
    err = stream_lookup(file, name, STORE_EXACT, &ino, NULL, NULL);
    if (err != ERR_NOENT)
        return err == ERR_OK ? ERR_EXIST : err;
    err = conflicts(context, file);
    if (err != ERR_OK)
        return err;
    err = inode_new(context->vfs->store, &template, NULL, 0, &stream);
    if (err != ERR_OK)
        return err;
    err = stream_insert(file, name, stream);
    if (err != ERR_OK) {
        inode_unref(&stream); /* without a link: it goes */
        return err;
    }
    inode_change(stream)->nlink = 1;
    changed(context, file);
    *stream_r = stream;
    return ERR_OK;
}

enum err vfs_stream_remove(struct vfs_context *context, struct inode *file, struct store_name name)
{
    struct inode *stream;
    enum err err = vfs__gate_stream_write(context, file);

    if (err == ERR_OK)
        err = find(file, name, &stream);
    if (err != ERR_OK)
        return err;
    err = conflicts(context, file);
    if (err == ERR_OK)
        err = name_goes(context, stream);
    if (err == ERR_OK)
        err = stream_remove(file, name, inode_attr(stream)->ino);
    if (err == ERR_OK)
        inode_change(stream)->nlink = 0;
    inode_unref(&stream);
    if (err == ERR_OK)
        changed(context, file);
    return err;
}

enum err vfs_stream_rename(struct vfs_context *context, struct inode *file, struct store_name from,
                           struct store_name to, bool replace)
{
    struct inode *stream = NULL, *victim = NULL;
    enum err err = vfs__gate_stream_write(context, file);

    if (err == ERR_OK)
        err = name_check(to);
    if (err == ERR_OK)
        err = find(file, from, &stream);
    if (err != ERR_OK)
        return err;
    err = find(file, to, &victim);
    if (err == ERR_OK && victim == stream)
        goto out; /* it has that name */
    if (err == ERR_OK && !replace)
        err = ERR_EXIST;
    if (err == ERR_OK || err == ERR_NOENT)
        err = conflicts(context, file);
    if (err == ERR_OK)
        err = name_goes(context, stream);
    if (err == ERR_OK && victim != NULL)
        err = name_goes(context, victim);
    if (err == ERR_OK)
        err = stream_rename(file, from, to);
    if (err != ERR_OK)
        goto out;
    if (victim != NULL)
        inode_change(victim)->nlink = 0;
    changed(context, file);
out:
    inode_unref(&victim);
    inode_unref(&stream);
    return err;
}

struct listing {
    struct inode *file;
    bool (*each)(void *data, struct store_name name, struct inode *stream);
    void *data;
    enum err err;
};

static bool list_one(void *data, struct store_name name, uint64_t ino)
{
    struct listing *listing = data;
    struct inode *stream;
    bool more;

    listing->err = get(listing->file, ino, &stream);
    if (listing->err != ERR_OK)
        return false;
    more = listing->each(listing->data, name, stream);
    inode_unref(&stream);
    return more;
}

enum err vfs_stream_list(struct vfs_context *context, struct inode *file,
                         bool (*each)(void *data, struct store_name name, struct inode *stream), void *data)
{
    struct listing listing = {.file = file, .each = each, .data = data, .err = ERR_OK};
    enum err err = vfs__gate_stream_list(context, file);

    if (err == ERR_OK)
        err = stream_scan(file, list_one, &listing);
    return err == ERR_OK ? listing.err : err;
}

static bool unlink_one(void *data, struct store_name name, uint64_t ino)
{
    struct listing *listing = data;
    struct inode *stream;

    (void)name;
    listing->err = get(listing->file, ino, &stream);
    if (listing->err != ERR_OK)
        return false;
    inode_change(stream)->nlink = 0;
    inode_unref(&stream);
    return true;
}

static bool any_one(void *data, struct store_name name, uint64_t ino)
{
    (void)name;
    (void)ino;
    *(bool *)data = true;
    return false;
}

bool vfs_has_streams(const struct inode *file)
{
    bool any = false;

    return stream_scan(file, any_one, &any) == ERR_OK && any;
}

enum err vfs__streams_drop(struct inode *inode)
{
    struct listing listing = {.file = inode, .err = ERR_OK};
    bool any = false;
    enum err err = stream_scan(inode, any_one, &any);

    if (err != ERR_OK || !any)
        return err;
    err = stream_scan(inode, unlink_one, &listing);
    if (err == ERR_OK)
        err = listing.err;
    return err == ERR_OK ? stream_remove_all(inode) : err;
}
