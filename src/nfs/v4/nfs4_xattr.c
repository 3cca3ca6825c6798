/*
 * nfs4_xattr.c - GETXATTR, SETXATTR, LISTXATTRS, REMOVEXATTR (RFC 8276 8.4). Names are of the namespace
 * "user." and come without it.
 */
#include "nfs/v4/nfs4_operations.h"
#include "nfs/v4/nfs4_server.h"
#include <string.h>

enum { SETXATTR4_EITHER = 0, SETXATTR4_CREATE = 1, SETXATTR4_REPLACE = 2 };
enum { LIST_FIXED = 8 + 4 + 4 }; /* cookie, number of names, eof */

struct xattr_args {
    uint32_t how;
    struct store_name name;
    const uint8_t *value;
    uint32_t length;
    uint64_t cookie;
    uint32_t maxcount;
};

static uint32_t check_name(struct store_name name)
{
    if (name.length == 0 || memchr(name.bytes, 0, name.length) != NULL)
        return NFS4ERR_INVAL;
    return name.length > STORE_XATTR_NAME_MAX ? NFS4ERR_NAMETOOLONG : NFS4_OK;
}

bool nfs4__getxattr_decode(struct nfs4_compound *compound)
{
    return nfs4__decode_component(&compound->arguments, &nfs4_new_args(compound, struct xattr_args)->name);
}

uint32_t nfs4__getxattr(struct nfs4_compound *compound)
{
    struct store_name name = nfs4_args(compound, struct xattr_args)->name;
    const uint8_t *value;
    size_t length;
    uint32_t status = check_name(name);
    enum err err;

    if (status == NFS4_OK)
        status = nfs4__context(compound);
    if (status != NFS4_OK)
        return status;
    err = vfs_xattr_get(&compound->context, compound->current.inode, name, &value, &length);
    if (err != ERR_OK)
        return nfs4__status(compound, err);
    if (nfs4__room(compound) < length + 16)
        return compound->cache_reply ? NFS4ERR_REP_TOO_BIG_TO_CACHE : NFS4ERR_REP_TOO_BIG;
    if (!nfs4__reserve(compound, length + 16))
        return NFS4ERR_DELAY;
    writer_xdr_opaque(&compound->call->reply, value, length);
    return NFS4_OK;
}

bool nfs4__setxattr_decode(struct nfs4_compound *compound)
{
    struct xattr_args *args = nfs4_new_args(compound, struct xattr_args);
    struct reader *reader = &compound->arguments;

    return reader_be32(reader, &args->how) && nfs4__decode_component(reader, &args->name) &&
           reader_xdr_opaque(reader, UINT32_MAX, &args->value, &args->length);
}

uint32_t nfs4__setxattr(struct nfs4_compound *compound)
{
    static const enum xattr_how hows[] = {XATTR_EITHER, XATTR_CREATE, XATTR_REPLACE};
    const struct xattr_args *args = nfs4_args(compound, struct xattr_args);
    uint64_t before;
    uint32_t status = check_name(args->name);
    enum err err;

    if (args->how > SETXATTR4_REPLACE)
        return NFS4ERR_INVAL;
    if (status == NFS4_OK && args->length > STORE_XATTR_VALUE_MAX)
        status = NFS4ERR_XATTR2BIG;
    if (status == NFS4_OK)
        status = nfs4__context(compound);
    if (status != NFS4_OK)
        return status;
    before = nfs4__change_of(compound->current.inode);
    err = vfs_xattr_set(&compound->context, compound->current.inode, args->name, args->value, args->length,
                        hows[args->how]);
    if (err != ERR_OK)
        return nfs4__status(compound, err);
    nfs4__encode_change_info(&compound->call->reply, true, before, nfs4__change_of(compound->current.inode));
    return NFS4_OK;
}

bool nfs4__removexattr_decode(struct nfs4_compound *compound)
{
    return nfs4__getxattr_decode(compound);
}

uint32_t nfs4__removexattr(struct nfs4_compound *compound)
{
    struct store_name name = nfs4_args(compound, struct xattr_args)->name;
    uint64_t before;
    uint32_t status = check_name(name);
    enum err err;

    if (status == NFS4_OK)
        status = nfs4__context(compound);
    if (status != NFS4_OK)
        return status;
    before = nfs4__change_of(compound->current.inode);
    err = vfs_xattr_remove(&compound->context, compound->current.inode, name);
    if (err != ERR_OK)
        return nfs4__status(compound, err);
    nfs4__encode_change_info(&compound->call->reply, true, before, nfs4__change_of(compound->current.inode));
    return NFS4_OK;
}

/* ---- LISTXATTRS ---- */

bool nfs4__listxattrs_decode(struct nfs4_compound *compound)
{
    struct xattr_args *args = nfs4_new_args(compound, struct xattr_args);

    return reader_be64(&compound->arguments, &args->cookie) &&
           reader_be32(&compound->arguments, &args->maxcount);
}

struct listing {
    struct nfs4_compound *compound;
    uint64_t skip; /* names that earlier replies have given */
    size_t end;    /* reply length that names may reach */
    uint32_t taken;
    bool full;
};

static bool each(void *data, struct store_name name, size_t value_length)
{
    struct listing *listing = data;
    struct writer *reply = &listing->compound->call->reply;
    size_t start = reply->length;

    (void)value_length;
    if (listing->skip > 0) {
        listing->skip--;
        return true;
    }
    writer_xdr_opaque(reply, name.bytes, name.length);
    if (reply->failed || reply->length > listing->end) {
        writer_truncate(reply, start);
        listing->full = true;
        return false;
    }
    listing->taken++;
    return true;
}

/* The cookie is the number of names given so far, in byte order of names (RFC 8276 8.4.3 allows names that
 * come and go meanwhile to be missed or doubled). */
uint32_t nfs4__listxattrs(struct nfs4_compound *compound)
{
    const struct xattr_args *args = nfs4_args(compound, struct xattr_args);
    struct writer *reply = &compound->call->reply;
    struct listing listing = {.compound = compound, .skip = args->cookie};
    size_t room = nfs4__room(compound), cookie_at = reply->length;
    uint32_t status = nfs4__context(compound);
    enum err err;

    if (status != NFS4_OK)
        return status;
    if (room > args->maxcount)
        room = args->maxcount;
    if (room < LIST_FIXED)
        return NFS4ERR_TOOSMALL;
    if (!nfs4__reserve(compound, room))
        return NFS4ERR_DELAY;
    listing.end = reply->length + room - 4;
    writer_be64(reply, 0);
    writer_be32(reply, 0);
    err = vfs_xattr_list(&compound->context, compound->current.inode, (struct store_name){NULL, 0}, each,
                         &listing);
    if (err != ERR_OK)
        return nfs4__status(compound, err);
    if (listing.skip > 0)
        return NFS4ERR_BAD_COOKIE;
    if (listing.full && listing.taken == 0)
        return NFS4ERR_TOOSMALL;
    writer_patch_be32(reply, cookie_at, (uint32_t)((args->cookie + listing.taken) >> 32));
    writer_patch_be32(reply, cookie_at + 4, (uint32_t)(args->cookie + listing.taken));
    writer_patch_be32(reply, cookie_at + 8, listing.taken);
    writer_xdr_bool(reply, !listing.full);
    return NFS4_OK;
}
