/*
 * nfs3_write.c - WRITE and COMMIT (RFC 1813 3.3.7, 3.3.21).
 *
 * The happy path: the data is handed on where it lies in the call; when vfs has it, an UNSTABLE write is
 * answered; the others wait until the data and what is needed to find it are durable, and say FILE_SYNC.
 * Failures: an export that a reload took away while the write waited is STALE; a failed sync replaces the
 * results.
 */
#include "nfs/v3/nfs3_priv.h"

/* What was done with data asked to be STABLE: DATA_SYNC is answered with more than it asks for. An export
 * without `sync` answers as if (exports(5), async). */
static enum nfs3_stable_how committed(const struct nfs3_request *request)
{
    enum nfs3_stable_how stable = request->args.write.stable;

    if (stable == NFS3_UNSTABLE || !vfs_export_config(request->context.export)->sync)
        return stable;
    return NFS3_FILE_SYNC;
}

static void answer(struct nfs3_request *request, enum err err)
{
    const struct nfs3_write_args *args = &request->args.write;
    struct writer *writer = &request->call->reply;

    if (err == ERR_OK && args->stable != NFS3_UNSTABLE)
        err = vfs_commit(&request->context, request->object);
    if (err != ERR_OK) {
        nfs3__fail(request, err);
        return;
    }
    request->server->counters.bytes_written += args->count;
    writer_be32(writer, 0);
    nfs3__write_wcc(request, &request->before, request->object);
    writer_be32(writer, args->count);
    writer_be32(writer, committed(request));
    writer_be64(writer, vfs_boot_verifier(request->server->vfs));
    if (args->stable == NFS3_UNSTABLE)
        nfs3__reply(request);
    else
        nfs3__reply_durable(request);
}

static void done(struct store_write *write, enum err err)
{
    struct nfs3_request *request =
        container_of(container_of(write, struct vfs_write, store), struct nfs3_request, write);

    /* Others may have written since: no attributes before. The export may have gone. */
    request->before.known = false;
    request->context.export = vfs_export_by_id(request->server->vfs, request->export_id);
    if (request->context.export == NULL && err == ERR_OK)
        err = ERR_STALE;
    answer(request, err);
}

void nfs3__write(struct nfs3_request *request)
{
    const struct nfs3_write_args *args = &request->args.write;
    uint64_t end;
    enum err err;

    if (!nfs3__open_object(request, &args->file))
        return;
    nfs3__before(request->object, &request->before);
    if (args->count != args->data_length)
        err = ERR_INVAL;
    else if (!add_u64(args->offset, args->count, &end))
        err = ERR_FBIG;
    else {
        request->write = (struct vfs_write){
            .store = {.inode = request->object,
                      .offset = args->offset,
                      .data = {.buf = request->call->arguments_buf,
                               .data = args->data,
                               .length = args->count},
                      .done = done},
        };
        err = vfs_write(&request->context, &request->write, VFS_IO_CHECK_MODE);
    }
    if (err != ERR_WAIT)
        answer(request, err);
}

/* Offset and count are left aside: the whole file is committed (RFC 1813 3.3.21 allows more than asked). */
void nfs3__commit(struct nfs3_request *request)
{
    struct writer *writer = &request->call->reply;
    enum err err;

    if (!nfs3__open_object(request, &request->args.commit.file))
        return;
    nfs3__before(request->object, &request->before);
    err = vfs_commit(&request->context, request->object);
    if (err != ERR_OK) {
        nfs3__fail(request, err);
        return;
    }
    writer_be32(writer, 0);
    nfs3__write_wcc(request, &request->before, request->object);
    writer_be64(writer, vfs_boot_verifier(request->server->vfs));
    nfs3__reply_durable(request);
}
