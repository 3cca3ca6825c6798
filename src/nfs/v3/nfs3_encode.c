/*
 * nfs3_encode.c - attributes as NFS version 3 has them (RFC 1813 2.5 and 2.6), in both directions.
 *
 * fsid is the export's id, fileid the inode's number: the same on every protocol.
 */
#include "nfs/v3/nfs3_priv.h"

enum { NANOSECONDS = 1000000000, MODE_BITS = 07777 };

static uint32_t ftype_of(enum inode_type type)
{
    switch (type) {
    case INODE_FILE:
    case INODE_STREAM:
        return NF3REG;
    case INODE_DIRECTORY:
        return NF3DIR;
    case INODE_SYMLINK:
        return NF3LNK;
    case INODE_FIFO:
        return NF3FIFO;
    case INODE_SOCKET:
        return NF3SOCK;
    case INODE_BLOCK_DEVICE:
        return NF3BLK;
    case INODE_CHARACTER_DEVICE:
        return NF3CHR;
    }
    return NF3REG;
}

/* nfstime3 has 32 bits without a sign: what lies outside shows as the nearest that it can say. */
static uint8_t *put_time(uint8_t *at, struct timestamp time)
{
    if (time.seconds < 0)
        time = (struct timestamp){.seconds = 0};
    else if (time.seconds > (int64_t)UINT32_MAX)
        time = (struct timestamp){.seconds = UINT32_MAX, .nanoseconds = NANOSECONDS - 1};
    at = put_be32(at, (uint32_t)time.seconds);
    return put_be32(at, time.nanoseconds);
}

uint8_t *nfs3__put_fattr(uint8_t *at, uint32_t export_id, const struct inode_attr *attr)
{
    at = put_be32(at, ftype_of(attr->type));
    at = put_be32(at, attr->mode & MODE_BITS);
    at = put_be32(at, attr->nlink);
    at = put_be32(at, attr->uid);
    at = put_be32(at, attr->gid);
    at = put_be64(at, attr->size);
    at = put_be64(at, attr->used);
    at = put_be32(at, attr->device_major);
    at = put_be32(at, attr->device_minor);
    at = put_be64(at, export_id);
    at = put_be64(at, attr->ino);
    at = put_time(at, attr->atime);
    at = put_time(at, attr->mtime);
    return put_time(at, attr->ctime);
}

uint8_t *nfs3__put_post_op_attr(uint8_t *at, uint32_t export_id, struct inode *inode)
{
    struct inode_attr attr;

    vfs_getattr(inode, &attr);
    at = put_be32(at, 1);
    return nfs3__put_fattr(at, export_id, &attr);
}

uint8_t *nfs3__put_post_op_fh(uint8_t *at, const struct nfs3_request *request, const struct inode *inode)
{
    at = put_be32(at, 1);
    at = put_be32(at, VFS_HANDLE_SIZE);
    vfs_handle_encode(request->server->vfs, request->context.export, inode, at);
    return at + VFS_HANDLE_SIZE;
}

void nfs3__write_post_op_attr(struct nfs3_request *request, struct inode *inode)
{
    struct writer *writer = &request->call->reply;
    uint8_t *at;

    if (inode == NULL) {
        writer_be32(writer, 0);
        return;
    }
    at = writer_reserve(writer, NFS3_POST_OP_ATTR_SIZE);
    if (at != NULL)
        nfs3__put_post_op_attr(at, request->export_id, inode);
}

void nfs3__write_wcc(struct nfs3_request *request, const struct nfs3_before *before, struct inode *inode)
{
    struct writer *writer = &request->call->reply;
    uint8_t *at;

    if (inode == NULL || !before->known) {
        writer_be32(writer, 0);
    } else {
        at = writer_reserve(writer, 4 + 3 * 8);
        if (at == NULL)
            return;
        at = put_be32(at, 1);
        at = put_be64(at, before->size);
        at = put_time(at, before->mtime);
        put_time(at, before->ctime);
    }
    nfs3__write_post_op_attr(request, inode);
}

struct timestamp nfs3__timestamp_of(struct nfs3_time time)
{
    return (struct timestamp){.seconds = time.seconds, .nanoseconds = time.nanoseconds};
}

static enum vfs_time_how time_how_of(enum nfs3_time_how how)
{
    switch (how) {
    case NFS3_DONT_CHANGE:
        return VFS_TIME_KEEP;
    case NFS3_SET_TO_SERVER_TIME:
        return VFS_TIME_NOW;
    case NFS3_SET_TO_CLIENT_TIME:
        return VFS_TIME_SET;
    }
    return VFS_TIME_KEEP;
}

enum err nfs3__setattr_of(const struct nfs3_sattr *sattr, struct vfs_setattr *set_r)
{
    if (sattr->atime.nanoseconds >= NANOSECONDS || sattr->mtime.nanoseconds >= NANOSECONDS)
        return ERR_INVAL;
    *set_r = (struct vfs_setattr){
        .set = (sattr->set_mode ? VFS_SET_MODE : 0u) | (sattr->set_uid ? VFS_SET_UID : 0u) |
               (sattr->set_gid ? VFS_SET_GID : 0u) | (sattr->set_size ? VFS_SET_SIZE : 0u),
        .mode = sattr->mode & MODE_BITS,
        .uid = sattr->uid,
        .gid = sattr->gid,
        .size = sattr->size,
        .atime_how = time_how_of(sattr->atime_how),
        .mtime_how = time_how_of(sattr->mtime_how),
        .atime = nfs3__timestamp_of(sattr->atime),
        .mtime = nfs3__timestamp_of(sattr->mtime),
    };
    return ERR_OK;
}
