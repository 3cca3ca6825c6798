/*
 * nfs4_filehandle.c - the current and the saved filehandle: PUTFH, PUTROOTFH, PUTPUBFH, GETFH, SAVEFH,
 * RESTOREFH, and the names that lead from one to another: LOOKUP, LOOKUPP (RFC 8881 18.19
 * to 18.28, 18.13, 18.14).
 *
 * The pseudo root is a directory whose entries are the exports; its handle is a constant.
 */
#include "nfs/v4/nfs4_operations.h"
#include "nfs/v4/nfs4_server.h"
#include <string.h>

static const uint8_t pseudo_root_handle[VFS_HANDLE_SIZE] = "dittofs pseudo root";

void nfs4__filehandle_encode(struct nfs4_server *server, const struct nfs4_filehandle *fh,
                             uint8_t handle[VFS_HANDLE_SIZE])
{
    struct vfs_export *export;

    if (fh->place == NFS4_PSEUDO_ROOT) {
        memcpy(handle, pseudo_root_handle, VFS_HANDLE_SIZE);
        return;
    }
    export = vfs_export_by_id(server->vfs, fh->export_id);
    /* An export that a reload has just taken away: a handle that nobody made, which will be refused. */
    if (export == NULL)
        memset(handle, 0, VFS_HANDLE_SIZE);
    else if (fh->place == NFS4_ATTR_DIR)
        vfs_handle_encode_streams(server->vfs, export, fh->inode, handle);
    else
        vfs_handle_encode(server->vfs, export, fh->inode, handle);
}

void nfs4__filehandle_release(struct nfs4_filehandle *fh)
{
    vfs_unref(&fh->inode);
    fh->place = NFS4_NOWHERE;
}

void nfs4__set_current(struct nfs4_compound *compound, struct nfs4_filehandle *fh)
{
    nfs4__filehandle_release(&compound->current);
    compound->current = *fh;
    *fh = (struct nfs4_filehandle){.place = NFS4_NOWHERE};
    compound->has_current_stateid = false;
}

uint32_t nfs4__context_for(struct nfs4_compound *compound, const struct nfs4_filehandle *fh)
{
    struct vfs_export *export = vfs_export_by_id(compound->server->vfs, fh->export_id);
    const struct onc_call *call = compound->call;
    struct vfs_user user;
    enum err err;

    if ((fh->place != NFS4_IN_EXPORT && fh->place != NFS4_ATTR_DIR) || export == NULL)
        return NFS4ERR_STALE;
    user = nfs__user(&call->credential);
    err = vfs_context_init(&compound->context, compound->server->vfs, export, VFS_NFS4,
                           nfs__security(&call->credential), &call->peer, &user);
    if (err != ERR_OK)
        return nfs4__status(compound, err);
    /* In 4.0 only a stateid says who it is. */
    if (compound->has_session)
        nfs4__set_grant_client(compound, compound->session->client);
    return NFS4_OK;
}

void nfs4__set_grant_client(struct nfs4_compound *compound, struct client *client)
{
    compound->context.grants = compound->context.dir_grants = (struct vfs_grant_owner){.client = client};
}

uint32_t nfs4__context(struct nfs4_compound *compound)
{
    return nfs4__context_for(compound, &compound->current);
}

static struct nfs4_filehandle filehandle_copy(const struct nfs4_filehandle *fh)
{
    struct nfs4_filehandle copy = *fh;

    if (copy.inode != NULL)
        vfs_ref(copy.inode);
    return copy;
}

/* ---- PUTFH and its kin ---- */

struct putfh_args {
    const uint8_t *handle;
    uint32_t length;
};

bool nfs4__putfh_decode(struct nfs4_compound *compound)
{
    struct putfh_args *args = nfs4_new_args(compound, struct putfh_args);

    return reader_xdr_opaque(&compound->arguments, NFS4_FHSIZE, &args->handle, &args->length);
}

uint32_t nfs4__putfh(struct nfs4_compound *compound)
{
    const struct putfh_args *args = nfs4_args(compound, struct putfh_args);
    struct nfs4_filehandle fh = {.place = NFS4_IN_EXPORT};
    struct vfs_export *export;
    bool streams;
    enum err err;

    if (args->length == VFS_HANDLE_SIZE && memcmp(args->handle, pseudo_root_handle, VFS_HANDLE_SIZE) == 0)
        return nfs4__putrootfh(compound);
    err = vfs_handle_decode_any(compound->server->vfs, args->handle, args->length, &export, &fh.inode,
                                &streams);
    if (err != ERR_OK)
        return nfs4__status(compound, err);
    fh.export_id = vfs_export_id(export);
    fh.place = streams ? NFS4_ATTR_DIR : NFS4_IN_EXPORT;
    nfs4__set_current(compound, &fh);
    return NFS4_OK;
}

/* The public filehandle is the root (RFC 8881 18.20.3 leaves it to the server). */
uint32_t nfs4__putrootfh(struct nfs4_compound *compound)
{
    struct nfs4_filehandle fh = {.place = NFS4_PSEUDO_ROOT};

    nfs4__set_current(compound, &fh);
    return NFS4_OK;
}

uint32_t nfs4__getfh(struct nfs4_compound *compound)
{
    uint8_t handle[VFS_HANDLE_SIZE];

    nfs4__filehandle_encode(compound->server, &compound->current, handle);
    writer_xdr_opaque(&compound->call->reply, handle, sizeof handle);
    return NFS4_OK;
}

uint32_t nfs4__savefh(struct nfs4_compound *compound)
{
    nfs4__filehandle_release(&compound->saved);
    compound->saved = filehandle_copy(&compound->current);
    compound->saved_stateid = compound->current_stateid;
    compound->has_saved_stateid = compound->has_current_stateid;
    return NFS4_OK;
}

uint32_t nfs4__restorefh(struct nfs4_compound *compound)
{
    struct nfs4_filehandle fh;

    /* RFC 7530 16.29.4; RFC 8881 15.1.16 made it obsolete. */
    if (compound->saved.place == NFS4_NOWHERE)
        return compound->minor == 0 ? NFS4ERR_RESTOREFH : NFS4ERR_NOFILEHANDLE;
    fh = filehandle_copy(&compound->saved);
    nfs4__set_current(compound, &fh);
    compound->current_stateid = compound->saved_stateid;
    compound->has_current_stateid = compound->has_saved_stateid;
    return NFS4_OK;
}

/* ---- LOOKUP ---- */

struct lookup_args {
    struct store_name name;
};

bool nfs4__lookup_decode(struct nfs4_compound *compound)
{
    return nfs4__decode_component(&compound->arguments, &nfs4_new_args(compound, struct lookup_args)->name);
}

/* The root of an export, if the caller may see the export at all: one that his host may not use is not there.
 */
uint32_t nfs4__export_root(struct nfs4_compound *compound, struct vfs_export *export,
                           struct nfs4_filehandle *fh_r)
{
    struct nfs4_filehandle fh = {.place = NFS4_IN_EXPORT, .export_id = vfs_export_id(export)};
    uint32_t status = nfs4__context_for(compound, &fh);
    enum err err;

    if (status == NFS4ERR_ACCESS)
        return NFS4ERR_NOENT;
    if (status != NFS4_OK)
        return status;
    err = vfs_root(&compound->context, &fh.inode);
    if (err != ERR_OK)
        return nfs4__status(compound, err);
    *fh_r = fh;
    return NFS4_OK;
}

uint32_t nfs4__lookup_name(struct nfs4_compound *compound, const struct nfs4_filehandle *dir,
                           struct store_name name, struct nfs4_filehandle *fh_r)
{
    struct nfs4_filehandle fh = {.place = NFS4_IN_EXPORT, .export_id = dir->export_id};
    struct vfs_export *export;
    uint32_t status;
    enum err err;

    if (dir->place == NFS4_PSEUDO_ROOT) {
        export = vfs_export_find(compound->server->vfs, (const char *)name.bytes, name.length);
        return export == NULL ? NFS4ERR_NOENT : nfs4__export_root(compound, export, fh_r);
    }
    status = nfs4__context_for(compound, dir);
    if (status != NFS4_OK)
        return status;
    err = dir->place == NFS4_ATTR_DIR ? vfs_stream_get(&compound->context, dir->inode, name, &fh.inode)
                                      : vfs_lookup(&compound->context, dir->inode, name, &fh.inode);
    if (err != ERR_OK)
        return nfs4__status(compound, err);
    *fh_r = fh;
    return NFS4_OK;
}

uint32_t nfs4__check_directory(const struct nfs4_filehandle *fh)
{
    enum inode_type type;

    if (fh->place == NFS4_PSEUDO_ROOT || fh->place == NFS4_ATTR_DIR)
        return NFS4_OK;
    type = vfs_attr(fh->inode)->type;
    return type == INODE_DIRECTORY ? NFS4_OK : type == INODE_SYMLINK ? NFS4ERR_SYMLINK : NFS4ERR_NOTDIR;
}

uint32_t nfs4__lookup(struct nfs4_compound *compound)
{
    struct store_name name = nfs4_args(compound, struct lookup_args)->name;
    struct nfs4_filehandle fh;
    uint32_t status = nfs4__check_directory(&compound->current);

    if (status == NFS4_OK)
        status = nfs4__check_component(name);
    if (status == NFS4_OK)
        status = nfs4__lookup_name(compound, &compound->current, name, &fh);
    if (status != NFS4_OK)
        return status;
    nfs4__set_current(compound, &fh);
    return NFS4_OK;
}

uint32_t nfs4__lookupp(struct nfs4_compound *compound)
{
    struct nfs4_filehandle fh = {.place = NFS4_IN_EXPORT, .export_id = compound->current.export_id};
    struct inode_attr attr;
    uint32_t status;
    enum err err;

    /* RFC 8881 18.14.3: above the root there is nothing. */
    if (compound->current.place == NFS4_PSEUDO_ROOT)
        return NFS4ERR_NOENT;
    status = nfs4__check_directory(&compound->current);
    if (status == NFS4ERR_SYMLINK && compound->minor == 0)
        status = NFS4ERR_NOTDIR;
    if (status != NFS4_OK)
        return status;
    status = nfs4__context(compound);
    if (status != NFS4_OK)
        return status;
    if (compound->current.place == NFS4_ATTR_DIR) {
        fh.inode = vfs_ref(compound->current.inode);
        nfs4__set_current(compound, &fh);
        return NFS4_OK;
    }
    vfs_getattr(compound->current.inode, &attr);
    if (attr.parent == attr.ino)
        return nfs4__putrootfh(compound);
    err = vfs_parent(&compound->context, compound->current.inode, &fh.inode);
    if (err != ERR_OK)
        return nfs4__status(compound, err);
    nfs4__set_current(compound, &fh);
    return NFS4_OK;
}
