/*
 * nfs3_create.c - CREATE, MKDIR, SYMLINK and MKNOD (RFC 1813 3.3.8 to 3.3.11).
 *
 * Each fills a struct vfs_create; `make` does what they share: check and make in one step in vfs, results
 * with the new object's handle and attributes and the directory's wcc_data, sent when durable.
 */
#include "nfs/v3/nfs3_priv.h"

static void answer(struct nfs3_request *request)
{
    uint8_t *at = writer_reserve(&request->call->reply, 4 + NFS3_POST_OP_FH_SIZE + NFS3_POST_OP_ATTR_SIZE);

    if (at != NULL) {
        at = put_be32(at, 0);
        at = nfs3__put_post_op_fh(at, request, request->result);
        nfs3__put_post_op_attr(at, request->export_id, request->result);
    }
    nfs3__write_wcc(request, &request->before, request->object);
    nfs3__reply_durable(request);
}

/* DIROPARGS's directory is opened and CREATE is run in it, unless ERR (of its attributes) says otherwise. */
static void make(struct nfs3_request *request, const struct nfs3_diropargs *where,
                 const struct nfs3_sattr *sattr, struct vfs_create *create)
{
    bool created;
    enum err err;

    if (!nfs3__open_object(request, &where->dir))
        return;
    nfs3__before(request->object, &request->before);
    err = nfs3__setattr_of(sattr, &create->set);
    /* RFC 1813 3.2 and 3.3.9 have their own ideas of these names. */
    if (err == ERR_OK && where->name.length == 0)
        err = ERR_ACCES;
    if (err == ERR_OK && (nfs3__is_dot(where->name) || nfs3__is_dotdot(where->name)))
        err = ERR_EXIST;
    if (err == ERR_OK)
        err = vfs_create(&request->context, request->object, where->name, create, &request->result, &created);
    /* What was there already may have been made in a batch that is not durable yet. */
    if (err == ERR_OK && !created)
        err = vfs_commit(&request->context, request->result);
    if (err == ERR_OK)
        answer(request);
    else
        nfs3__fail(request, err);
}

void nfs3__create(struct nfs3_request *request)
{
    static const enum vfs_create_how hows[] = {
        [NFS3_UNCHECKED] = VFS_CREATE_UNCHECKED,
        [NFS3_GUARDED] = VFS_CREATE_GUARDED,
        [NFS3_EXCLUSIVE] = VFS_CREATE_EXCLUSIVE,
    };
    const struct nfs3_create_args *args = &request->args.create;
    struct vfs_create create = {.type = INODE_FILE, .how = hows[args->how]};

    if (args->how == NFS3_EXCLUSIVE)
        memcpy(create.verifier, args->verifier, sizeof create.verifier);
    make(request, &args->where, &args->attributes, &create);
}

void nfs3__mkdir(struct nfs3_request *request)
{
    const struct nfs3_mkdir_args *args = &request->args.mkdir;
    struct vfs_create create = {.type = INODE_DIRECTORY, .how = VFS_CREATE_GUARDED};

    make(request, &args->where, &args->attributes, &create);
}

void nfs3__symlink(struct nfs3_request *request)
{
    const struct nfs3_symlink_args *args = &request->args.symlink;
    struct vfs_create create = {
        .type = INODE_SYMLINK,
        .how = VFS_CREATE_GUARDED,
        .target = args->target,
        .target_length = args->target_length,
    };

    make(request, &args->where, &args->attributes, &create);
}

/* The inode type for MKNOD's; false for what it does not make (RFC 1813 3.3.11: NFS3ERR_BADTYPE). */
static bool special_type(uint32_t ftype, enum inode_type *type_r)
{
    switch (ftype) {
    case NF3BLK:
        *type_r = INODE_BLOCK_DEVICE;
        return true;
    case NF3CHR:
        *type_r = INODE_CHARACTER_DEVICE;
        return true;
    case NF3SOCK:
        *type_r = INODE_SOCKET;
        return true;
    case NF3FIFO:
        *type_r = INODE_FIFO;
        return true;
    default:
        return false;
    }
}

void nfs3__mknod(struct nfs3_request *request)
{
    const struct nfs3_mknod_args *args = &request->args.mknod;
    struct vfs_create create = {
        .how = VFS_CREATE_GUARDED,
        .device_major = args->device_major,
        .device_minor = args->device_minor,
    };

    if (special_type(args->type, &create.type)) {
        make(request, &args->where, &args->attributes, &create);
        return;
    }
    if (!nfs3__open_object(request, &args->where.dir))
        return;
    nfs3__before(request->object, &request->before);
    nfs3__fail(request, ERR_BADTYPE);
}
