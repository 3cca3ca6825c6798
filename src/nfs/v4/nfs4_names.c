/*
 * nfs4_names.c - CREATE (of what is no regular file), LINK, REMOVE, RENAME and READLINK (RFC 8881 18.4, 18.9,
 * 18.25, 18.26, 18.24).
 */
#include "nfs/v4/nfs4_attr.h"
#include "nfs/v4/nfs4_operations.h"
#include "nfs/v4/nfs4_server.h"
#include <string.h>

/* ---- CREATE ---- */

struct create_args {
    uint32_t type;
    const uint8_t *target;
    uint32_t target_length;
    uint32_t device_major, device_minor;
    struct store_name name;
    struct nfs4_setattr set;
};

bool nfs4__create_decode(struct nfs4_compound *compound)
{
    struct create_args *args = nfs4_new_args(compound, struct create_args);
    struct reader *reader = &compound->arguments;

    if (!reader_be32(reader, &args->type))
        return false;
    if (args->type == NF4LNK) {
        if (!reader_xdr_opaque(reader, UINT32_MAX, &args->target, &args->target_length))
            return false;
    } else if (args->type == NF4BLK || args->type == NF4CHR) {
        if (!reader_be32(reader, &args->device_major) || !reader_be32(reader, &args->device_minor))
            return false;
    }
    return nfs4__decode_component(reader, &args->name) &&
           nfs4_attr_decode_set(reader, compound->minor, compound->server->idmap, &compound->call->arena,
                                &args->set);
}

static uint32_t check_create(const struct nfs4_compound *compound, const struct create_args *args,
                             struct vfs_create *create)
{
    uint32_t status = nfs4__check_component(args->name);

    if (!nfs4_inode_type_of(args->type, &create->type))
        return NFS4ERR_BADTYPE;
    if (status == NFS4_OK)
        status = args->set.status;
    if (status != NFS4_OK)
        return status;
    if (args->set.set.set & VFS_SET_SIZE)
        return NFS4ERR_INVAL;
    if (args->type == NF4LNK && args->target_length == 0)
        return NFS4ERR_INVAL;
    if (args->type == NF4LNK && args->target_length > STORE_SYMLINK_MAX)
        return NFS4ERR_NAMETOOLONG;
    /* A symbolic link has none. */
    if (args->type == NF4LNK && (args->set.set.set & VFS_SET_ACL))
        return NFS4ERR_ATTRNOTSUPP;
    (void)compound;
    return NFS4_OK;
}

uint32_t nfs4__create(struct nfs4_compound *compound)
{
    struct create_args *args = nfs4_args(compound, struct create_args);
    struct nfs4_filehandle fh = {.place = NFS4_IN_EXPORT, .export_id = compound->current.export_id};
    struct vfs_create create = {.how = VFS_CREATE_GUARDED};
    static const struct inode_attr nothing;
    uint64_t before;
    bool created;
    uint32_t status = nfs4__check_directory(&compound->current);
    enum err err;

    /* RFC 8881 18.4.3 knows NOTDIR only. */
    if (status != NFS4_OK)
        return NFS4ERR_NOTDIR;
    status = check_create(compound, args, &create);
    /* As in any file system that is read-only: a name that is there comes first. */
    if (status == NFS4_OK && compound->current.place == NFS4_PSEUDO_ROOT)
        return vfs_export_find(compound->server->vfs, (const char *)args->name.bytes, args->name.length) !=
                       NULL
                   ? NFS4ERR_EXIST
                   : NFS4ERR_ROFS;
    if (status == NFS4_OK)
        status = nfs4__context(compound);
    if (status == NFS4_OK)
        status = nfs4_attr_check_list(compound, &args->set, NULL);
    if (status != NFS4_OK)
        return status;
    nfs4_attr_complete(&args->set, &nothing);
    create.set = args->set.set;
    create.umask = args->set.umask;
    create.device_major = args->device_major;
    create.device_minor = args->device_minor;
    create.target = args->target;
    create.target_length = args->target_length;
    before = nfs4__change_of(compound->current.inode);
    err = vfs_create(&compound->context, compound->current.inode, args->name, &create, &fh.inode, &created);
    if (err != ERR_OK)
        return nfs4__status(compound, err);
    nfs4__encode_change_info(&compound->call->reply, true, before, nfs4__change_of(compound->current.inode));
    nfs4__encode_bitmap(&compound->call->reply, &args->set.mask);
    nfs4__set_current(compound, &fh);
    return NFS4_OK;
}

/* ---- LINK ---- */

struct name_args {
    struct store_name name, new_name;
};

bool nfs4__link_decode(struct nfs4_compound *compound)
{
    return nfs4__decode_component(&compound->arguments, &nfs4_new_args(compound, struct name_args)->name);
}

/* The saved and the current filehandle are of one export. */
static uint32_t check_same_export(const struct nfs4_compound *compound)
{
    if (compound->saved.place == NFS4_PSEUDO_ROOT || compound->saved.place != compound->current.place ||
        compound->saved.export_id != compound->current.export_id)
        return NFS4ERR_XDEV;
    return NFS4_OK;
}

uint32_t nfs4__link(struct nfs4_compound *compound)
{
    struct store_name name = nfs4_args(compound, struct name_args)->name;
    struct inode_attr attr;
    uint64_t before;
    uint32_t status;
    enum err err;

    if (nfs4__check_directory(&compound->current) != NFS4_OK)
        return NFS4ERR_NOTDIR;
    if (compound->saved.place == NFS4_PSEUDO_ROOT)
        return NFS4ERR_ISDIR;
    vfs_getattr(compound->saved.inode, &attr);
    if (attr.type == INODE_DIRECTORY)
        return NFS4ERR_ISDIR;
    if (attr.type == INODE_STREAM)
        return nfs4__status(compound, ERR_WRONGTYPE);
    status = nfs4__check_component(name);
    if (status == NFS4_OK)
        status = check_same_export(compound);
    if (status == NFS4_OK)
        status = nfs4__context(compound);
    if (status != NFS4_OK)
        return status;
    before = nfs4__change_of(compound->current.inode);
    err = vfs_link(&compound->context, compound->saved.inode, compound->current.inode, name);
    if (err != ERR_OK)
        return nfs4__status(compound, err);
    nfs4__encode_change_info(&compound->call->reply, true, before, nfs4__change_of(compound->current.inode));
    return NFS4_OK;
}

/* ---- REMOVE ---- */

bool nfs4__remove_decode(struct nfs4_compound *compound)
{
    return nfs4__link_decode(compound);
}

uint32_t nfs4__remove(struct nfs4_compound *compound)
{
    struct store_name name = nfs4_args(compound, struct name_args)->name;
    uint64_t before;
    uint32_t status;
    enum err err;

    if (nfs4__check_directory(&compound->current) != NFS4_OK)
        return NFS4ERR_NOTDIR;
    status = nfs4__check_component(name);
    if (status == NFS4_OK)
        status = nfs4__context(compound);
    if (status != NFS4_OK)
        return status;
    before = nfs4__change_of(compound->current.inode);
    if (compound->current.place == NFS4_ATTR_DIR)
        err = vfs_stream_remove(&compound->context, compound->current.inode, name);
    else
        err = vfs_remove(&compound->context, compound->current.inode, name, VFS_REMOVE_ANY);
    if (err != ERR_OK)
        return nfs4__status(compound, err);
    nfs4__encode_change_info(&compound->call->reply, true, before, nfs4__change_of(compound->current.inode));
    return NFS4_OK;
}

/* ---- RENAME ---- */

bool nfs4__rename_decode(struct nfs4_compound *compound)
{
    struct name_args *args = nfs4_new_args(compound, struct name_args);

    return nfs4__decode_component(&compound->arguments, &args->name) &&
           nfs4__decode_component(&compound->arguments, &args->new_name);
}

/* RFC 8881 18.26.3: a target of another type than the source is EXIST, a full directory EXIST or NOTEMPTY. */
static uint32_t rename_status(const struct nfs4_compound *compound, enum err err)
{
    return err == ERR_ISDIR || err == ERR_NOTDIR ? NFS4ERR_EXIST : nfs4__status(compound, err);
}

uint32_t nfs4__rename(struct nfs4_compound *compound)
{
    const struct name_args *args = nfs4_args(compound, struct name_args);
    uint64_t from_before, to_before;
    uint32_t status;
    enum err err;

    if (nfs4__check_directory(&compound->saved) != NFS4_OK ||
        nfs4__check_directory(&compound->current) != NFS4_OK)
        return NFS4ERR_NOTDIR;
    status = nfs4__check_component(args->name);
    if (status == NFS4_OK)
        status = nfs4__check_component(args->new_name);
    if (status == NFS4_OK)
        status = check_same_export(compound);
    if (status == NFS4_OK)
        status = nfs4__context(compound);
    if (status != NFS4_OK)
        return status;
    from_before = nfs4__change_of(compound->saved.inode);
    to_before = nfs4__change_of(compound->current.inode);
    if (compound->current.place != NFS4_ATTR_DIR)
        err = vfs_rename(&compound->context, compound->saved.inode, args->name, compound->current.inode,
                         args->new_name, false);
    else if (compound->saved.inode == compound->current.inode)
        err =
            vfs_stream_rename(&compound->context, compound->current.inode, args->name, args->new_name, true);
    else
        err = ERR_XDEV; /* of another file */
    if (err != ERR_OK)
        return rename_status(compound, err);
    nfs4__encode_change_info(&compound->call->reply, true, from_before,
                             nfs4__change_of(compound->saved.inode));
    nfs4__encode_change_info(&compound->call->reply, true, to_before,
                             nfs4__change_of(compound->current.inode));
    return NFS4_OK;
}

/* ---- READLINK ---- */

uint32_t nfs4__readlink(struct nfs4_compound *compound)
{
    uint8_t target[STORE_SYMLINK_MAX];
    struct inode_attr attr;
    size_t length;
    /* For what is no symbolic link RFC 7530 16.25.4 has INVAL, RFC 8881 18.24.3 WRONG_TYPE. */
    const uint32_t other_type = compound->minor > 0 ? NFS4ERR_WRONG_TYPE : NFS4ERR_INVAL;
    uint32_t status;
    enum err err;

    if (compound->current.place == NFS4_PSEUDO_ROOT)
        return other_type;
    status = nfs4__context(compound);
    if (status != NFS4_OK)
        return status;
    vfs_getattr(compound->current.inode, &attr);
    if (attr.type != INODE_SYMLINK)
        return other_type;
    err = vfs_readlink(&compound->context, compound->current.inode, target, &length);
    if (err != ERR_OK)
        return nfs4__status(compound, err);
    writer_xdr_opaque(&compound->call->reply, target, length);
    return NFS4_OK;
}
