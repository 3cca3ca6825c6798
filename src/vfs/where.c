/*
 * where.c - from an inode back to a directory and a name: for those who are told of a change to a file and
 * want to say where it is.
 *
 * Files do not know their names. The names that were looked up, made or renamed last are remembered in a
 * table of fixed size; what it says is proved by a look-up before it is used. A directory knows its parent,
 * which is searched for it when the table does not help, up to a bound. The table is there once somebody
 * listens.
 */
#include "vfs/vfs_priv.h"

#include <stdlib.h>
#include <string.h>

enum { SLOTS = 4096, SEARCH_MAX = 50000 };

struct vfs__where {
    struct slot {
        uint64_t ino, dir; /* 0: empty */
        uint8_t length;
        uint8_t name[STORE_NAME_MAX];
    } slots[SLOTS];
};

void vfs__where_open(struct vfs *vfs)
{
    /* Without memory nothing is remembered. */
    if (vfs->where == NULL)
        vfs->where = calloc(1, sizeof *vfs->where);
}

void vfs__where_close(struct vfs *vfs)
{
    free(vfs->where);
    vfs->where = NULL;
}

/* Directories have slots of their own: many files must not push them out, as finding them is a search. */
static struct slot *slot_of(const struct vfs *vfs, const struct inode_attr *attr)
{
    size_t base = attr->type == INODE_DIRECTORY ? SLOTS / 2 : 0;

    return &vfs->where->slots[base + (hash_u64(attr->ino) & (SLOTS / 2 - 1))];
}

void vfs__where_note(struct vfs *vfs, const struct inode *dir, struct store_name name,
                     const struct inode *inode)
{
    struct slot *slot;

    if (vfs->where == NULL || name.length > STORE_NAME_MAX)
        return;
    slot = slot_of(vfs, inode_attr(inode));
    slot->ino = inode_attr(inode)->ino;
    slot->dir = inode_attr(dir)->ino;
    slot->length = (uint8_t)name.length;
    memcpy(slot->name, name.bytes, name.length);
}

/* What the table says, if it is still so. */
static bool remembered(struct vfs *vfs, const struct inode_attr *attr, struct inode **dir_r, uint8_t *name_r,
                       size_t *length_r)
{
    const struct slot *slot;
    struct store_name name;
    uint64_t there;

    if (vfs->where == NULL)
        return false;
    slot = slot_of(vfs, attr);
    name = (struct store_name){.bytes = slot->name, .length = slot->length};
    if (slot->ino != attr->ino || inode_get(vfs->store, slot->dir, 0, dir_r) != ERR_OK)
        return false;
    if (dir_lookup(*dir_r, name, STORE_EXACT, &there, NULL, NULL) != ERR_OK || there != attr->ino) {
        inode_unref(dir_r);
        return false;
    }
    memcpy(name_r, slot->name, slot->length);
    *length_r = slot->length;
    return true;
}

struct search {
    uint64_t ino;
    uint32_t seen;
    bool found;
    uint8_t *name;
    size_t length;
};

static bool is_it(void *data, const struct dirent *entry)
{
    struct search *search = data;

    if (entry->ino == search->ino) {
        search->found = true;
        search->length = entry->name.length;
        memcpy(search->name, entry->name.bytes, entry->name.length);
        return false;
    }
    return ++search->seen < SEARCH_MAX;
}

enum err vfs_where(struct vfs *vfs, struct inode *inode, struct inode **dir_r, uint8_t name_r[STORE_NAME_MAX],
                   size_t *length_r)
{
    const struct inode_attr *attr = inode_attr(inode);
    struct search search = {.ino = attr->ino, .name = name_r};
    bool end;
    enum err err;

    if (remembered(vfs, attr, dir_r, name_r, length_r))
        return ERR_OK;
    if (attr->type != INODE_DIRECTORY || attr->parent == 0 || attr->parent == attr->ino)
        return ERR_NOENT;
    err = inode_get(vfs->store, attr->parent, 0, dir_r);
    if (err != ERR_OK)
        return err;
    err = dir_scan(*dir_r, 0, is_it, &search, &end);
    if (err == ERR_OK && !search.found)
        err = ERR_NOENT;
    if (err != ERR_OK) {
        inode_unref(dir_r);
        return err;
    }
    *length_r = search.length;
    vfs__where_note(vfs, *dir_r, (struct store_name){.bytes = name_r, .length = search.length}, inode);
    return ERR_OK;
}
