/*
 * nfs3_lookup.c - LOOKUP and READLINK (RFC 1813 3.3.3, 3.3.5).
 */
#include "nfs/v3/nfs3_priv.h"

void nfs3__lookup(struct nfs3_request *request)
{
    const struct nfs3_diropargs *where = &request->args.where;
    uint8_t *at;
    enum err err;

    if (!nfs3__open_object(request, &where->dir))
        return;
    /* The null string is ACCES (RFC 1813 3.2, comments on filenames). */
    err = where->name.length == 0
              ? ERR_ACCES
              : vfs_lookup(&request->context, request->object, where->name, &request->result);
    if (err != ERR_OK) {
        nfs3__fail(request, err);
        return;
    }
    at = writer_reserve(&request->call->reply, 4 + 4 + VFS_HANDLE_SIZE + 2 * NFS3_POST_OP_ATTR_SIZE);
    if (at != NULL) {
        at = put_be32(at, 0);
        at = put_be32(at, VFS_HANDLE_SIZE);
        vfs_handle_encode(request->server->vfs, request->context.export, request->result, at);
        at = nfs3__put_post_op_attr(at + VFS_HANDLE_SIZE, request->export_id, request->result);
        nfs3__put_post_op_attr(at, request->export_id, request->object);
    }
    nfs3__reply(request);
}

void nfs3__readlink(struct nfs3_request *request)
{
    uint8_t target[STORE_SYMLINK_MAX];
    size_t length;
    enum err err;

    if (!nfs3__open_object(request, &request->args.handle))
        return;
    err = vfs_readlink(&request->context, request->object, target, &length);
    if (err != ERR_OK) {
        nfs3__fail(request, err);
        return;
    }
    writer_be32(&request->call->reply, 0);
    nfs3__write_post_op_attr(request, request->object);
    writer_xdr_opaque(&request->call->reply, target, length);
    nfs3__reply(request);
}
