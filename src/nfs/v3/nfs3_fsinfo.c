/*
 * nfs3_fsinfo.c - FSSTAT, FSINFO and PATHCONF (RFC 1813 3.3.18 to 3.3.20).
 */
#include "nfs/v3/nfs3_priv.h"

void nfs3__fsstat(struct nfs3_request *request)
{
    struct writer *writer = &request->call->reply;
    struct vfs_space space;

    if (!nfs3__open_object(request, &request->args.handle))
        return;
    vfs_space(&request->context, &space);
    writer_be32(writer, 0);
    nfs3__write_post_op_attr(request, request->object);
    writer_be64(writer, space.total_bytes);
    writer_be64(writer, space.free_bytes);
    writer_be64(writer, space.available_bytes);
    writer_be64(writer, space.total_files);
    writer_be64(writer, space.free_files);
    writer_be64(writer, space.available_files);
    writer_be32(writer, 0); /* invarsec: it may change at any time */
    nfs3__reply(request);
}

enum { FSF3_LINK = 0x01, FSF3_SYMLINK = 0x02, FSF3_HOMOGENEOUS = 0x08, FSF3_CANSETTIME = 0x10 };

void nfs3__fsinfo(struct nfs3_request *request)
{
    struct writer *writer = &request->call->reply;

    if (!nfs3__open_object(request, &request->args.handle))
        return;
    writer_be32(writer, 0);
    nfs3__write_post_op_attr(request, request->object);
    writer_be32(writer, NFS3_IO_MAX); /* rtmax, rtpref, rtmult */
    writer_be32(writer, NFS3_IO_MAX);
    writer_be32(writer, NFS3_IO_MULTIPLE);
    writer_be32(writer, NFS3_IO_MAX); /* wtmax, wtpref, wtmult */
    writer_be32(writer, NFS3_IO_MAX);
    writer_be32(writer, NFS3_IO_MULTIPLE);
    writer_be32(writer, NFS3_DIR_PREFERRED);
    writer_be64(writer, STORE_FILE_SIZE_MAX);
    writer_be32(writer, 0); /* time_delta: a nanosecond */
    writer_be32(writer, 1);
    writer_be32(writer, FSF3_LINK | FSF3_SYMLINK | FSF3_HOMOGENEOUS | FSF3_CANSETTIME);
    nfs3__reply(request);
}

void nfs3__pathconf(struct nfs3_request *request)
{
    struct writer *writer = &request->call->reply;

    if (!nfs3__open_object(request, &request->args.handle))
        return;
    writer_be32(writer, 0);
    nfs3__write_post_op_attr(request, request->object);
    writer_be32(writer, STORE_LINK_MAX);
    writer_be32(writer, STORE_NAME_MAX);
    writer_xdr_bool(writer, true);  /* no_trunc */
    writer_xdr_bool(writer, true);  /* chown_restricted */
    writer_xdr_bool(writer, false); /* case_insensitive */
    writer_xdr_bool(writer, true);  /* case_preserving */
    nfs3__reply(request);
}
