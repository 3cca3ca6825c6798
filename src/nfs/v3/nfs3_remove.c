/*
 * nfs3_remove.c - REMOVE, RMDIR, RENAME and LINK (RFC 1813 3.3.12 to 3.3.15).
 *
 * The rules are vfs's; what the RFC says of empty, "." and ".." as names is looked at here.
 */
#include "nfs/v3/nfs3_priv.h"

static void take_away(struct nfs3_request *request, enum vfs_remove_what what)
{
    const struct nfs3_diropargs *where = &request->args.where;
    bool directory = what == VFS_REMOVE_DIRECTORY;
    enum err err;

    if (!nfs3__open_object(request, &where->dir))
        return;
    nfs3__before(request->object, &request->before);
    if (where->name.length == 0)
        err = ERR_ACCES;
    else if (nfs3__is_dot(where->name))
        err = directory ? ERR_INVAL : ERR_ISDIR; /* RFC 1813 3.3.13 */
    else if (nfs3__is_dotdot(where->name))
        err = directory ? ERR_EXIST : ERR_ISDIR;
    else
        err = vfs_remove(&request->context, request->object, where->name, what);
    if (err != ERR_OK) {
        nfs3__fail(request, err);
        return;
    }
    writer_be32(&request->call->reply, 0);
    nfs3__write_wcc(request, &request->before, request->object);
    nfs3__reply_durable(request);
}

void nfs3__remove(struct nfs3_request *request)
{
    take_away(request, VFS_REMOVE_NOT_DIRECTORY);
}

void nfs3__rmdir(struct nfs3_request *request)
{
    take_away(request, VFS_REMOVE_DIRECTORY);
}

void nfs3__rename(struct nfs3_request *request)
{
    const struct nfs3_rename_args *args = &request->args.rename;
    const struct store_name from = args->from.name, to = args->to.name;
    enum err err;

    if (!nfs3__open_object(request, &args->from.dir))
        return;
    nfs3__before(request->object, &request->before);
    if (!nfs3__open_other(request, &args->to.dir))
        return;
    nfs3__before(request->other, &request->other_before);
    if (from.length == 0 || to.length == 0)
        err = ERR_ACCES;
    else if (nfs3__is_dot(from) || nfs3__is_dotdot(from) || nfs3__is_dot(to) || nfs3__is_dotdot(to))
        err = ERR_INVAL; /* RFC 1813 3.3.14 */
    else
        err = vfs_rename(&request->context, request->object, from, request->other, to, false);
    if (err != ERR_OK) {
        nfs3__fail(request, err);
        return;
    }
    writer_be32(&request->call->reply, 0);
    nfs3__write_wcc(request, &request->before, request->object);
    nfs3__write_wcc(request, &request->other_before, request->other);
    nfs3__reply_durable(request);
}

void nfs3__link(struct nfs3_request *request)
{
    const struct nfs3_link_args *args = &request->args.link;
    const struct store_name name = args->link.name;
    enum err err;

    if (!nfs3__open_object(request, &args->file) || !nfs3__open_other(request, &args->link.dir))
        return;
    nfs3__before(request->other, &request->other_before);
    if (name.length == 0)
        err = ERR_ACCES;
    else if (nfs3__is_dot(name) || nfs3__is_dotdot(name))
        err = ERR_EXIST;
    else
        err = vfs_link(&request->context, request->object, request->other, name);
    if (err != ERR_OK) {
        nfs3__fail(request, err);
        return;
    }
    writer_be32(&request->call->reply, 0);
    nfs3__write_post_op_attr(request, request->object);
    nfs3__write_wcc(request, &request->other_before, request->other);
    nfs3__reply_durable(request);
}
