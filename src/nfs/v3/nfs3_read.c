/*
 * nfs3_read.c - READ (RFC 1813 3.3.6).
 *
 * The happy path: a buffer as long as what the file has of the range; vfs fills it, now or on a worker; the
 * buffer becomes a part of the reply without a copy.
 * Failures: too many bytes of buffers in flight are JUKEBOX; what vfs says.
 */
#include "nfs/v3/nfs3_priv.h"

static void answer(struct nfs3_request *request, enum err err)
{
    const struct nfs3_read_args *args = &request->args.read;
    struct onc_call *call = request->call;
    uint32_t got = request->read.store.got;
    struct inode_attr attr;
    uint8_t *at;

    if (err != ERR_OK) {
        nfs3__fail(request, err);
        return;
    }
    vfs_getattr(request->object, &attr);
    at = writer_reserve(&call->reply, 4 + NFS3_POST_OP_ATTR_SIZE + 3 * 4);
    if (at != NULL) {
        at = put_be32(at, 0);
        at = put_be32(at, 1);
        at = nfs3__put_fattr(at, request->export_id, &attr);
        at = put_be32(at, got);
        /* As the size is in the attributes just above: got never brings the offset past 2^64. */
        at = put_be32(at, args->offset >= attr.size || got >= attr.size - args->offset);
        put_be32(at, got);
    }
    if (got > 0 && !onc_call_attach(call, request->buf, request->buf->data, got)) {
        nfs3__fail(request, ERR_NOMEM);
        return;
    }
    writer_zeros(&call->reply, (4 - got % 4) % 4);
    request->server->counters.bytes_read += got;
    nfs3__reply(request);
}

static void done(struct store_read *read, enum err err)
{
    answer(container_of(container_of(read, struct vfs_read, store), struct nfs3_request, read), err);
}

/* How much of the range the file has now. */
static uint32_t length_of(const struct nfs3_read_args *args, struct inode *inode)
{
    uint32_t length = args->count < NFS3_IO_MAX ? args->count : NFS3_IO_MAX;
    uint64_t size = vfs_attr(inode)->size;

    if (args->offset >= size)
        return 0;
    return length < size - args->offset ? length : (uint32_t)(size - args->offset);
}

void nfs3__read(struct nfs3_request *request)
{
    const struct nfs3_read_args *args = &request->args.read;
    struct nfs_server *server = request->server;
    uint32_t length;
    enum err err;

    if (!nfs3__open_object(request, &args->file))
        return;
    length = length_of(args, request->object);
    if (length > server->limits.read_bytes - server->read_bytes_now) {
        nfs3__fail(request, ERR_DELAY);
        return;
    }
    request->buf = buf_new(length);
    if (request->buf == NULL) {
        nfs3__fail(request, ERR_NOMEM);
        return;
    }
    server->read_bytes_now += length;
    request->reserved = length;
    request->read = (struct vfs_read){
        .store = {.inode = request->object,
                  .offset = args->offset,
                  .length = length,
                  .buffer = request->buf->data,
                  .done = done},
    };
    err = vfs_read(&request->context, &request->read, VFS_IO_CHECK_MODE);
    if (err != ERR_WAIT)
        answer(request, err);
}
