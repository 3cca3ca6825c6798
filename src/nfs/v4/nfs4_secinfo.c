/*
 * nfs4_secinfo.c - SECINFO and SECINFO_NO_NAME (RFC 8881 18.29, 18.45): what an export accepts.
 *
 * Both consume the current filehandle.
 */
#include "nfs/v4/nfs4_operations.h"
#include "nfs/v4/nfs4_server.h"

enum { STYLE_CURRENT_FH = 0, STYLE_PARENT = 1, GSS_INTEGRITY = 2, GSS_PRIVACY = 3, GSS_NONE = 1 };

/* Kerberos 5: 1.2.840.113554.1.2.2 */
static const uint8_t krb5_oid[] = {0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02};

static void put_gss(struct writer *reply, uint32_t service)
{
    writer_be32(reply, ONC_RPCSEC_GSS);
    writer_xdr_opaque(reply, krb5_oid, sizeof krb5_oid);
    writer_be32(reply, 0); /* default quality of protection */
    writer_be32(reply, service);
}

/* SECINFO4resok: the strongest first (RFC 8881 18.29.4 leaves the order to the server). */
static void put_flavors(struct writer *reply, unsigned security)
{
    size_t at = reply->length;
    uint32_t count = 0;

    writer_be32(reply, 0);
    if (security & VFS_SEC_KRB5P)
        put_gss(reply, GSS_PRIVACY), count++;
    if (security & VFS_SEC_KRB5I)
        put_gss(reply, GSS_INTEGRITY), count++;
    if (security & VFS_SEC_KRB5)
        put_gss(reply, GSS_NONE), count++;
    if (security & VFS_SEC_SYS)
        writer_be32(reply, ONC_AUTH_SYS), count++;
    if (security & VFS_SEC_NONE)
        writer_be32(reply, ONC_AUTH_NONE), count++;
    if (!reply->failed)
        writer_patch_be32(reply, at, count);
}

/* The pseudo root can be walked with all that any export accepts. */
static unsigned pseudo_security(struct nfs4_compound *compound)
{
    struct vfs_export *export = NULL;
    unsigned security = VFS_SEC_SYS;

    while ((export = vfs_export_next(compound->server->vfs, export)) != NULL)
        security |= vfs_export_config(export)->security;
    return security;
}

static uint32_t answer(struct nfs4_compound *compound, struct vfs_export *export)
{
    put_flavors(&compound->call->reply,
                export == NULL ? pseudo_security(compound) : vfs_export_config(export)->security);
    nfs4__filehandle_release(&compound->current);
    compound->has_current_stateid = false;
    return NFS4_OK;
}

/* ---- SECINFO ---- */

struct secinfo_args {
    struct store_name name;
    uint32_t style;
};

bool nfs4__secinfo_decode(struct nfs4_compound *compound)
{
    return nfs4__decode_component(&compound->arguments, &nfs4_new_args(compound, struct secinfo_args)->name);
}

uint32_t nfs4__secinfo(struct nfs4_compound *compound)
{
    struct store_name name = nfs4_args(compound, struct secinfo_args)->name;
    struct nfs4_filehandle fh;
    struct vfs_export *export;
    uint32_t status = nfs4__check_directory(&compound->current);

    if (status != NFS4_OK)
        return NFS4ERR_NOTDIR;
    status = nfs4__check_component(name);
    if (status != NFS4_OK)
        return status;
    if (compound->current.place == NFS4_PSEUDO_ROOT) {
        /* No check of the flavour here: this is how a client learns of it. */
        export = vfs_export_find(compound->server->vfs, (const char *)name.bytes, name.length);
        if (export == NULL || !(vfs_export_config(export)->protocols & VFS_NFS4) ||
            !vfs_export_allows_host(export, &compound->call->peer))
            return NFS4ERR_NOENT;
        return answer(compound, export);
    }
    status = nfs4__lookup_name(compound, &compound->current, name, &fh);
    if (status != NFS4_OK)
        return status;
    nfs4__filehandle_release(&fh);
    return answer(compound, compound->context.export);
}

/* ---- SECINFO_NO_NAME ---- */

bool nfs4__secinfo_no_name_decode(struct nfs4_compound *compound)
{
    struct secinfo_args *args = nfs4_new_args(compound, struct secinfo_args);

    return reader_be32(&compound->arguments, &args->style) && args->style <= STYLE_PARENT;
}

uint32_t nfs4__secinfo_no_name(struct nfs4_compound *compound)
{
    const struct secinfo_args *args = nfs4_args(compound, struct secinfo_args);
    struct vfs_export *export;
    struct inode_attr attr;

    if (compound->current.place == NFS4_PSEUDO_ROOT)
        return args->style == STYLE_PARENT ? NFS4ERR_NOENT : answer(compound, NULL);
    export = vfs_export_by_id(compound->server->vfs, compound->current.export_id);
    if (export == NULL)
        return NFS4ERR_STALE;
    if (args->style == STYLE_PARENT) {
        if (nfs4__check_directory(&compound->current) != NFS4_OK)
            return NFS4ERR_NOTDIR;
        vfs_getattr(compound->current.inode, &attr);
        if (attr.parent == attr.ino)
            export = NULL;
    }
    return answer(compound, export);
}
