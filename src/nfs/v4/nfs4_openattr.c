/*
 * nfs4_openattr.c - OPENATTR, and the directory of named attributes that it leads to (RFC 8881 5.3, 18.17).
 *
 * Named attributes are the streams of a file or directory that SMB knows. Their directory is no object of its
 * own: its handle says whose streams are meant, and it is there whether there are any or not; without any,
 * OPENATTR finds it only for who wants to make one. Names are compared exactly, as NFS does.
 *
 * A listing goes in order of the streams' inode numbers, which are their cookies: what comes and goes
 * meanwhile moves none of the others.
 */
#include "nfs/v4/nfs4_attr.h"
#include "nfs/v4/nfs4_operations.h"

#include <stdlib.h>
#include <string.h>

/* ---- OPENATTR ---- */

struct openattr_args {
    bool create;
};

bool nfs4__openattr_decode(struct nfs4_compound *compound)
{
    return reader_xdr_bool(&compound->arguments, &nfs4_new_args(compound, struct openattr_args)->create);
}

static bool see_one(void *data, struct store_name name, struct inode *stream)
{
    (void)name;
    (void)stream;
    *(bool *)data = true;
    return false;
}

uint32_t nfs4__openattr(struct nfs4_compound *compound)
{
    bool create = nfs4_args(compound, struct openattr_args)->create, any = false;
    enum inode_type type = vfs_attr(compound->current.inode)->type;
    struct nfs4_filehandle fh = {.place = NFS4_ATTR_DIR, .export_id = compound->current.export_id};
    uint32_t status = nfs4__context(compound);
    enum err err;

    if (status != NFS4_OK)
        return status;
    if (type != INODE_FILE && type != INODE_DIRECTORY)
        return nfs4__status(compound, ERR_WRONGTYPE);
    err = vfs_stream_list(&compound->context, compound->current.inode, see_one, &any);
    /* Who may only write can make some. */
    if (err == ERR_ACCES && create &&
        vfs_access(&compound->context, compound->current.inode, VFS_ACCESS_WRITE) != 0)
        err = ERR_OK;
    if (err == ERR_OK && !any && !create)
        err = ERR_NOENT;
    if (err == ERR_OK && !any && vfs_export_config(compound->context.export)->read_only)
        err = ERR_ROFS;
    if (err != ERR_OK)
        return nfs4__status(compound, err);
    fh.inode = vfs_ref(compound->current.inode);
    nfs4__set_current(compound, &fh);
    return NFS4_OK;
}

/* ---- OPEN ---- */

uint32_t nfs4__named_make(struct nfs4_compound *compound, struct store_name name, bool exclusive,
                          const struct nfs4_setattr *set, struct inode **inode_r)
{
    const struct vfs_setattr size = {.set = VFS_SET_SIZE, .size = set->set.size};
    struct vfs_context *context = &compound->context;
    struct inode *stream;
    enum err err;

    /* There is nowhere to keep the verifier. */
    if (exclusive)
        return NFS4ERR_NOTSUPP;
    if ((set->set.set & VFS_SET_SIZE) && set->set.size > STORE_FILE_SIZE_MAX)
        return NFS4ERR_FBIG;
    err = vfs_stream_create(context, compound->current.inode, name, &stream);
    if (err != ERR_OK)
        return nfs4__status(compound, err);
    if ((set->set.set & VFS_SET_SIZE) && set->set.size != 0)
        err = vfs_setattr(context, stream, &size, NULL, true);
    if (err != ERR_OK) {
        vfs_unref(&stream);
        return nfs4__status(compound, err);
    }
    *inode_r = stream;
    return NFS4_OK;
}

/* ---- READDIR ---- */

struct named_entry {
    uint64_t cookie;
    const uint8_t *name;
    size_t length;
};

struct named_list {
    struct arena *arena;
    uint64_t after;
    struct named_entry *entries;
    size_t count, room;
    enum err err;
};

/* Two of each size are there while it grows. */
static bool grow(struct named_list *list)
{
    size_t room = list->room == 0 ? 16 : 2 * list->room;
    struct named_entry *entries = arena_alloc(list->arena, room * sizeof *entries);

    if (entries == NULL)
        return false;
    if (list->count > 0)
        memcpy(entries, list->entries, list->count * sizeof *entries);
    list->entries = entries;
    list->room = room;
    return true;
}

static bool collect(void *data, struct store_name name, struct inode *stream)
{
    struct named_list *list = data;
    struct named_entry *entry;
    uint64_t cookie = STORE_COOKIE_FIRST + vfs_attr(stream)->ino;

    if (cookie <= list->after)
        return true;
    if (list->count == list->room && !grow(list)) {
        list->err = ERR_NOMEM;
        return false;
    }
    entry = &list->entries[list->count];
    *entry = (struct named_entry){.cookie = cookie, .length = name.length};
    entry->name = arena_copy(list->arena, name.bytes, name.length);
    if (entry->name == NULL) {
        list->err = ERR_NOMEM;
        return false;
    }
    list->count++;
    return true;
}

static int by_cookie(const void *a, const void *b)
{
    const struct named_entry *one = a, *other = b;

    return one->cookie < other->cookie ? -1 : one->cookie > other->cookie;
}

enum err nfs4__named_list(struct nfs4_compound *compound, uint64_t cookie,
                          bool (*each)(void *data, const struct vfs_dirent *entry), void *data, bool *end_r)
{
    struct inode *file = compound->current.inode;
    struct arena arena;
    struct named_list list = {.arena = &arena, .after = cookie};
    enum err err;

    arena_init(&arena, 0);
    err = vfs_stream_list(&compound->context, file, collect, &list);
    if (err == ERR_OK)
        err = list.err;
    if (err == ERR_OK && list.count > 0)
        qsort(list.entries, list.count, sizeof *list.entries, by_cookie);
    *end_r = true;
    for (size_t i = 0; err == ERR_OK && *end_r && i < list.count; i++) {
        const struct named_entry *entry = &list.entries[i];
        struct vfs_dirent dirent = {.cookie = entry->cookie, .name = {entry->name, entry->length}};

        err = vfs_stream_get(&compound->context, file, dirent.name, &dirent.inode);
        if (err != ERR_OK)
            break;
        dirent.ino = vfs_attr(dirent.inode)->ino;
        *end_r = each(data, &dirent);
        vfs_unref(&dirent.inode);
    }
    arena_reset(&arena);
    return err;
}
