/*
 * nfs3_request.c - the life of a request: taken from the pool, its handles opened, answered, given back.
 *
 * The results are encoded right after the operation, from attributes of that moment, also when the reply
 * has to wait for durability: so another client's change made meanwhile can't hide in the wcc_data.
 *
 * Invariants: every request ends its call exactly once, by nfs3__request_end's callers here; a request that
 * waits for vfs has exactly one callback coming.
 */
#include "nfs/v3/nfs3_priv.h"

#include "dittofs/log.h"

#include <stdlib.h>

enum { REQUESTS_KEPT = 256 };

struct nfs3_request *nfs3__request_new(struct nfs_server *server, struct onc_call *call,
                                       enum nfs3_procedure procedure, enum nfs3_failure failure)
{
    struct nfs3_request *request = server->free_requests;

    if (request != NULL) {
        server->free_requests = request->next_free;
        server->free_request_count--;
    } else {
        request = malloc(sizeof *request);
        if (request == NULL)
            return NULL;
    }
    /* The arguments, the read and the write are filled in before they are looked at. */
    request->server = server;
    request->call = call;
    request->procedure = procedure;
    request->failure = failure;
    request->object = request->other = request->result = NULL;
    request->before.known = request->other_before.known = false;
    request->buf = NULL;
    request->reserved = 0;
    server->counters.nfs3_calls_now++;
    return request;
}

void nfs3__request_end(struct nfs3_request *request)
{
    struct nfs_server *server = request->server;

    vfs_unref(&request->object);
    vfs_unref(&request->other);
    vfs_unref(&request->result);
    buf_unref(&request->buf);
    server->read_bytes_now -= request->reserved;
    server->counters.nfs3_calls_now--;
    if (server->free_request_count >= REQUESTS_KEPT) {
        free(request);
        return;
    }
    request->next_free = server->free_requests;
    server->free_requests = request;
    server->free_request_count++;
}

void nfs3__requests_free(struct nfs_server *server)
{
    while (server->free_requests != NULL) {
        struct nfs3_request *request = server->free_requests;
        server->free_requests = request->next_free;
        free(request);
    }
    server->free_request_count = 0;
}

/* The inode of FH with the caller's view of its export in *CONTEXT_R. */
static enum err open_handle(struct nfs3_request *request, const struct nfs3_fh *fh,
                            struct vfs_context *context_r, struct inode **inode_r)
{
    struct vfs *vfs = request->server->vfs;
    const struct onc_credential *credential = &request->call->credential;
    struct vfs_user user = nfs__user(credential);
    unsigned security = nfs__security(credential);
    struct vfs_export *export;
    enum err err;

    err = vfs_handle_decode(vfs, fh->data, fh->length, &export, inode_r);
    if (err != ERR_OK)
        return err;
    err = security == 0
              ? ERR_WRONGSEC
              : vfs_context_init(context_r, vfs, export, VFS_NFS3, security, &request->call->peer, &user);
    if (err != ERR_OK)
        vfs_unref(inode_r);
    return err;
}

/* A flavour that the export does not take is for RPC to say: NFSv3 has no status for it (RFC 2623 2.7). */
static void fail_open(struct nfs3_request *request, enum err err)
{
    if (err == ERR_WRONGSEC) {
        request->server->counters.nfs3_failures[request->procedure]++;
        onc_call_reject(request->call, ONC_REJECT_AUTH_TOO_WEAK);
        nfs3__request_end(request);
        return;
    }
    nfs3__fail(request, err);
}

bool nfs3__open_object(struct nfs3_request *request, const struct nfs3_fh *fh)
{
    enum err err = open_handle(request, fh, &request->context, &request->object);

    if (err != ERR_OK) {
        fail_open(request, err);
        return false;
    }
    request->export_id = vfs_export_id(request->context.export);
    return true;
}

bool nfs3__open_other(struct nfs3_request *request, const struct nfs3_fh *fh)
{
    struct vfs_context context;
    enum err err = open_handle(request, fh, &context, &request->other);

    if (err == ERR_OK && context.export != request->context.export) {
        vfs_unref(&request->other);
        err = ERR_XDEV;
    }
    if (err != ERR_OK)
        fail_open(request, err);
    return err == ERR_OK;
}

void nfs3__before(struct inode *inode, struct nfs3_before *before_r)
{
    struct inode_attr attr;

    vfs_getattr(inode, &attr);
    *before_r =
        (struct nfs3_before){.known = true, .size = attr.size, .mtime = attr.mtime, .ctime = attr.ctime};
}

void nfs3__reply(struct nfs3_request *request)
{
    onc_call_reply(request->call);
    nfs3__request_end(request);
}

void nfs3__fail(struct nfs3_request *request, enum err err)
{
    struct onc_call *call = request->call;

    onc_call_reply_truncate(call, 0);
    writer_be32(&call->reply, err_to_nfs3(err));
    switch (request->failure) {
    case NFS3_FAIL_VOID:
        break;
    case NFS3_FAIL_ATTR:
        nfs3__write_post_op_attr(request, request->object);
        break;
    case NFS3_FAIL_WCC:
        nfs3__write_wcc(request, &request->before, request->object);
        break;
    case NFS3_FAIL_WCC_WCC:
        nfs3__write_wcc(request, &request->before, request->object);
        nfs3__write_wcc(request, &request->other_before, request->other);
        break;
    case NFS3_FAIL_ATTR_WCC:
        nfs3__write_post_op_attr(request, request->object);
        nfs3__write_wcc(request, &request->other_before, request->other);
        break;
    }
    request->server->counters.nfs3_failures[request->procedure]++;
    nfs3__reply(request);
}

static void durable(struct store_waiter *waiter, enum err err)
{
    struct nfs3_request *request = container_of(waiter, struct nfs3_request, wait);

    if (err == ERR_OK) {
        nfs3__reply(request);
        return;
    }
    /* What others did meanwhile would be in the attributes after, so there are none before. */
    request->before.known = request->other_before.known = false;
    nfs3__fail(request, err);
}

void nfs3__reply_durable(struct nfs3_request *request)
{
    enum err err;

    request->wait.done = durable;
    err = vfs_durable(&request->context, &request->wait);
    if (err != ERR_WAIT)
        durable(&request->wait, err);
}
