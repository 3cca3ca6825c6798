/*
 * nfs3_getattr.c - GETATTR, SETATTR and ACCESS (RFC 1813 3.3.1, 3.3.2, 3.3.4).
 */
#include "nfs/v3/nfs3_priv.h"

void nfs3__getattr(struct nfs3_request *request)
{
    struct inode_attr attr;
    uint8_t *at;
    enum err err;

    if (!nfs3__open_object(request, &request->args.handle))
        return;
    err = nfs4__settle_attributes(request->server, request->object);
    if (err != ERR_OK) {
        nfs3__fail(request, err);
        return;
    }
    vfs_getattr(request->object, &attr);
    at = writer_reserve(&request->call->reply, 4 + NFS3_FATTR_SIZE);
    if (at != NULL)
        nfs3__put_fattr(put_be32(at, 0), request->export_id, &attr);
    nfs3__reply(request);
}

void nfs3__setattr(struct nfs3_request *request)
{
    const struct nfs3_setattr_args *args = &request->args.setattr;
    struct timestamp guard = nfs3__timestamp_of(args->guard_ctime);
    struct vfs_setattr set;
    enum err err;

    if (!nfs3__open_object(request, &args->object))
        return;
    nfs3__before(request->object, &request->before);
    err = nfs3__setattr_of(&args->attributes, &set);
    if (err == ERR_OK)
        err = vfs_setattr(&request->context, request->object, &set, args->has_guard ? &guard : NULL, false);
    if (err != ERR_OK) {
        nfs3__fail(request, err);
        return;
    }
    writer_be32(&request->call->reply, 0);
    nfs3__write_wcc(request, &request->before, request->object);
    nfs3__reply_durable(request);
}

enum {
    ACCESS3_READ = 0x01,
    ACCESS3_LOOKUP = 0x02,
    ACCESS3_MODIFY = 0x04,
    ACCESS3_EXTEND = 0x08,
    ACCESS3_DELETE = 0x10,
    ACCESS3_EXECUTE = 0x20
};

struct access_row {
    uint32_t wire;
    unsigned right; /* enum vfs_access */
};
static const struct access_row directory_rights[] = {
    {ACCESS3_READ, VFS_ACCESS_READ},     {ACCESS3_LOOKUP, VFS_ACCESS_EXECUTE},
    {ACCESS3_MODIFY, VFS_ACCESS_WRITE},  {ACCESS3_EXTEND, VFS_ACCESS_WRITE},
    {ACCESS3_DELETE, VFS_ACCESS_DELETE}, {0, 0},
};
static const struct access_row file_rights[] = {
    {ACCESS3_READ, VFS_ACCESS_READ},
    {ACCESS3_MODIFY, VFS_ACCESS_WRITE},
    {ACCESS3_EXTEND, VFS_ACCESS_WRITE},
    {ACCESS3_EXECUTE, VFS_ACCESS_EXECUTE},
    {0, 0},
};

void nfs3__access(struct nfs3_request *request)
{
    const struct nfs3_access_args *args = &request->args.access;
    const struct access_row *rows;
    struct inode_attr attr;
    unsigned wanted = 0, granted;
    uint32_t access = 0;
    uint8_t *at;

    if (!nfs3__open_object(request, &args->object))
        return;
    vfs_getattr(request->object, &attr);
    rows = attr.type == INODE_DIRECTORY ? directory_rights : file_rights;
    for (const struct access_row *row = rows; row->wire != 0; row++)
        wanted |= (args->access & row->wire) != 0 ? row->right : 0;
    granted = vfs_access(&request->context, request->object, wanted);
    for (const struct access_row *row = rows; row->wire != 0; row++)
        access |= (granted & row->right) != 0 ? args->access & row->wire : 0;
    at = writer_reserve(&request->call->reply, 4 + NFS3_POST_OP_ATTR_SIZE + 4);
    if (at != NULL) {
        at = put_be32(at, 0);
        at = put_be32(at, 1);
        at = nfs3__put_fattr(at, request->export_id, &attr);
        put_be32(at, access);
    }
    nfs3__reply(request);
}
