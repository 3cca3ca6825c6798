/*
 * nfs4_open_create.c - OPEN by name: finding the file, or making it in one of four ways (RFC 8881 18.16.3).
 *
 * UNCHECKED4 takes a file that is there, and empties it if the attributes say so: but not before OPEN has
 * seen that nobody denies it, so that is left to nfs4_open.c. GUARDED4 wants it to be new. EXCLUSIVE4 and
 * EXCLUSIVE4_1 take the one that the same request made before, known by its verifier, which vfs keeps with
 * the file.
 */
#include "nfs/v4/nfs4_open_priv.h"
#include "nfs/v4/nfs4_operations.h"
#include <string.h>

static enum vfs_create_how how_of(enum nfs4_create_mode mode)
{
    switch (mode) {
    case UNCHECKED4:
        return VFS_CREATE_UNCHECKED;
    case GUARDED4:
        return VFS_CREATE_GUARDED;
    case EXCLUSIVE4:
    case EXCLUSIVE4_1:
        break;
    }
    return VFS_CREATE_EXCLUSIVE;
}

/* What was really set on the new file: an owner that the user can't give away was passed over. */
static void note_attributes(struct nfs4_open *open)
{
    const struct nfs4_setattr *set = &open->set;
    struct inode_attr attr;

    open->attributes_set = set->mask;
    vfs_getattr(open->file.inode, &attr);
    if ((set->set.set & VFS_SET_UID) && attr.uid != set->set.uid)
        open->attributes_set.words[FATTR4_OWNER / 32] &= ~((uint32_t)1 << FATTR4_OWNER % 32);
    if ((set->set.set & VFS_SET_GID) && attr.gid != set->set.gid)
        open->attributes_set.words[FATTR4_OWNER_GROUP / 32] &= ~((uint32_t)1 << FATTR4_OWNER_GROUP % 32);
}

static uint32_t make(struct nfs4_compound *compound, struct nfs4_open *open)
{
    struct vfs_create create = {.type = INODE_FILE, .how = how_of(open->mode)};
    static const struct inode_attr nothing;
    bool created = false;
    uint32_t status = nfs4__context(compound);
    enum err err;

    if (status == NFS4_OK)
        status = nfs4_attr_check_list(compound, &open->set, NULL);
    if (status != NFS4_OK)
        return status;
    nfs4__set_grant_client(compound, open->client);
    if (compound->current.place == NFS4_ATTR_DIR) {
        status =
            nfs4__named_make(compound, open->name, open->mode >= EXCLUSIVE4, &open->set, &open->file.inode);
        if (status != NFS4_OK)
            return status;
        open->file.place = NFS4_IN_EXPORT;
        open->file.export_id = compound->current.export_id;
        open->created = true;
        /* Of the attributes only a size means anything. */
        if (open->set.set.set & VFS_SET_SIZE)
            nfs4_bitmap_add(&open->attributes_set, FATTR4_SIZE);
        return NFS4_OK;
    }
    nfs4_attr_complete(&open->set, &nothing);
    create.set = open->set.set;
    create.umask = open->set.umask;
    memcpy(create.verifier, open->verifier, sizeof create.verifier);
    err = vfs_create(&compound->context, compound->current.inode, open->name, &create, &open->file.inode,
                     &created);
    if (err != ERR_OK)
        return nfs4__status(compound, err);
    open->file.place = NFS4_IN_EXPORT;
    open->file.export_id = compound->current.export_id;
    open->created = created;
    if (created)
        note_attributes(open);
    return NFS4_OK;
}

/* A file that is there: of the attributes only a size of zero counts. */
static void take_existing(struct nfs4_open *open)
{
    if ((open->set.set.set & VFS_SET_SIZE) && open->set.set.size == 0)
        open->truncate = true;
}

static uint32_t check_create(struct nfs4_compound *compound, const struct nfs4_open *open)
{
    if (open->set.status != NFS4_OK)
        return open->set.status;
    if (open->mode == EXCLUSIVE4_1 && !nfs4_attr_is_exclusive(&open->set.mask, compound->minor))
        return NFS4ERR_ATTRNOTSUPP;
    /* Exports come from the configuration. */
    return compound->current.place == NFS4_PSEUDO_ROOT ? NFS4ERR_ROFS : NFS4_OK;
}

static uint32_t find_or_make(struct nfs4_compound *compound, struct nfs4_open *open)
{
    uint32_t status;

    if (open->create) {
        status = check_create(compound, open);
        if (status != NFS4_OK)
            return status;
        if (open->mode != UNCHECKED4)
            return make(compound, open);
    }
    status = nfs4__lookup_name(compound, &compound->current, open->name, &open->file);
    if (status == NFS4_OK && open->create)
        take_existing(open);
    else if (status == NFS4ERR_NOENT && open->create)
        status = make(compound, open);
    return status;
}

uint32_t nfs4__open_by_name(struct nfs4_compound *compound, struct nfs4_open *open)
{
    struct inode *dir = compound->current.inode; /* NULL for the pseudo root */
    uint32_t status = nfs4__check_directory(&compound->current);

    if (status == NFS4_OK)
        status = nfs4__check_component(open->name);
    if (status != NFS4_OK)
        return status;
    open->change_before = dir != NULL ? nfs4__change_of(dir) : 0;
    status = find_or_make(compound, open);
    open->change_after = dir != NULL ? nfs4__change_of(dir) : 0;
    return status;
}
