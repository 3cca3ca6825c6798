/*
 * nfs3_args.c - decoders of the arguments of NFS version 3. See nfs3_args.h for what they promise.
 *
 * The bound of every counted item is what is left of the call, which rpc has bounded; file handles alone
 * have a bound of their own (RFC 1813 2.4: NFS3_FHSIZE).
 */
#include "nfs/v3/nfs3_args.h"

#include <stddef.h>

static bool read_fh(struct reader *reader, struct nfs3_fh *fh_r)
{
    return reader_xdr_opaque(reader, NFS3_FHSIZE, &fh_r->data, &fh_r->length);
}

static bool read_diropargs(struct reader *reader, struct nfs3_diropargs *where_r)
{
    uint32_t length;

    if (!read_fh(reader, &where_r->dir) ||
        !reader_xdr_opaque(reader, reader->left, &where_r->name.bytes, &length))
        return false;
    where_r->name.length = length;
    return true;
}

static bool read_time(struct reader *reader, struct nfs3_time *time_r)
{
    return reader_be32(reader, &time_r->seconds) && reader_be32(reader, &time_r->nanoseconds);
}

/* set_atime, set_mtime (RFC 1813 2.5). */
static bool read_time_how(struct reader *reader, enum nfs3_time_how *how_r, struct nfs3_time *time_r)
{
    uint32_t how;

    if (!reader_be32(reader, &how) || how > NFS3_SET_TO_CLIENT_TIME)
        return false;
    *how_r = (enum nfs3_time_how)how;
    return how != NFS3_SET_TO_CLIENT_TIME || read_time(reader, time_r);
}

static bool read_optional_u32(struct reader *reader, bool *set_r, uint32_t *value_r)
{
    return reader_xdr_bool(reader, set_r) && (!*set_r || reader_be32(reader, value_r));
}

static bool read_sattr(struct reader *reader, struct nfs3_sattr *sattr_r)
{
    *sattr_r = (struct nfs3_sattr){.set_mode = false};
    return read_optional_u32(reader, &sattr_r->set_mode, &sattr_r->mode) &&
           read_optional_u32(reader, &sattr_r->set_uid, &sattr_r->uid) &&
           read_optional_u32(reader, &sattr_r->set_gid, &sattr_r->gid) &&
           reader_xdr_bool(reader, &sattr_r->set_size) &&
           (!sattr_r->set_size || reader_be64(reader, &sattr_r->size)) &&
           read_time_how(reader, &sattr_r->atime_how, &sattr_r->atime) &&
           read_time_how(reader, &sattr_r->mtime_how, &sattr_r->mtime);
}

static bool decode_handle(struct reader *reader, union nfs3_args *args_r)
{
    return read_fh(reader, &args_r->handle);
}

static bool decode_where(struct reader *reader, union nfs3_args *args_r)
{
    return read_diropargs(reader, &args_r->where);
}

static bool decode_setattr(struct reader *reader, union nfs3_args *args_r)
{
    struct nfs3_setattr_args *args = &args_r->setattr;

    args->guard_ctime = (struct nfs3_time){.seconds = 0};
    return read_fh(reader, &args->object) && read_sattr(reader, &args->attributes) &&
           reader_xdr_bool(reader, &args->has_guard) &&
           (!args->has_guard || read_time(reader, &args->guard_ctime));
}

static bool decode_access(struct reader *reader, union nfs3_args *args_r)
{
    return read_fh(reader, &args_r->access.object) && reader_be32(reader, &args_r->access.access);
}

static bool decode_read(struct reader *reader, union nfs3_args *args_r)
{
    struct nfs3_read_args *args = &args_r->read;

    return read_fh(reader, &args->file) && reader_be64(reader, &args->offset) &&
           reader_be32(reader, &args->count);
}

static bool decode_write(struct reader *reader, union nfs3_args *args_r)
{
    struct nfs3_write_args *args = &args_r->write;
    uint32_t stable;

    if (!read_fh(reader, &args->file) || !reader_be64(reader, &args->offset) ||
        !reader_be32(reader, &args->count) || !reader_be32(reader, &stable) || stable > NFS3_FILE_SYNC)
        return false;
    args->stable = (enum nfs3_stable_how)stable;
    return reader_xdr_opaque(reader, reader->left, &args->data, &args->data_length);
}

static bool decode_create(struct reader *reader, union nfs3_args *args_r)
{
    struct nfs3_create_args *args = &args_r->create;
    uint32_t how;

    if (!read_diropargs(reader, &args->where) || !reader_be32(reader, &how) || how > NFS3_EXCLUSIVE)
        return false;
    args->how = (enum nfs3_createmode)how;
    if (how == NFS3_EXCLUSIVE) {
        args->attributes = (struct nfs3_sattr){.set_mode = false};
        return reader_copy(reader, args->verifier, sizeof args->verifier);
    }
    return read_sattr(reader, &args->attributes);
}

static bool decode_mkdir(struct reader *reader, union nfs3_args *args_r)
{
    return read_diropargs(reader, &args_r->mkdir.where) && read_sattr(reader, &args_r->mkdir.attributes);
}

static bool decode_symlink(struct reader *reader, union nfs3_args *args_r)
{
    struct nfs3_symlink_args *args = &args_r->symlink;

    return read_diropargs(reader, &args->where) && read_sattr(reader, &args->attributes) &&
           reader_xdr_opaque(reader, reader->left, &args->target, &args->target_length);
}

/* mknoddata3 has a void default arm (RFC 1813 3.3.11), so that any type decodes. */
static bool decode_mknod(struct reader *reader, union nfs3_args *args_r)
{
    struct nfs3_mknod_args *args = &args_r->mknod;

    args->attributes = (struct nfs3_sattr){.set_mode = false};
    args->device_major = args->device_minor = 0;
    if (!read_diropargs(reader, &args->where) || !reader_be32(reader, &args->type))
        return false;
    if (args->type == NF3SOCK || args->type == NF3FIFO)
        return read_sattr(reader, &args->attributes);
    if (args->type == NF3BLK || args->type == NF3CHR)
        return read_sattr(reader, &args->attributes) && reader_be32(reader, &args->device_major) &&
               reader_be32(reader, &args->device_minor);
    return true;
}

static bool decode_rename(struct reader *reader, union nfs3_args *args_r)
{
    return read_diropargs(reader, &args_r->rename.from) && read_diropargs(reader, &args_r->rename.to);
}

static bool decode_link(struct reader *reader, union nfs3_args *args_r)
{
    return read_fh(reader, &args_r->link.file) && read_diropargs(reader, &args_r->link.link);
}

static bool decode_readdir(struct reader *reader, union nfs3_args *args_r)
{
    struct nfs3_readdir_args *args = &args_r->readdir;

    args->maxcount = 0;
    return read_fh(reader, &args->dir) && reader_be64(reader, &args->cookie) &&
           reader_copy(reader, args->verifier, sizeof args->verifier) && reader_be32(reader, &args->count);
}

static bool decode_readdirplus(struct reader *reader, union nfs3_args *args_r)
{
    return decode_readdir(reader, args_r) && reader_be32(reader, &args_r->readdir.maxcount);
}

static bool decode_commit(struct reader *reader, union nfs3_args *args_r)
{
    struct nfs3_commit_args *args = &args_r->commit;

    return read_fh(reader, &args->file) && reader_be64(reader, &args->offset) &&
           reader_be32(reader, &args->count);
}

static bool (*const decoders[])(struct reader *reader, union nfs3_args *args_r) = {
    [NFS3_GETATTR] = decode_handle,
    [NFS3_SETATTR] = decode_setattr,
    [NFS3_LOOKUP] = decode_where,
    [NFS3_ACCESS] = decode_access,
    [NFS3_READLINK] = decode_handle,
    [NFS3_READ] = decode_read,
    [NFS3_WRITE] = decode_write,
    [NFS3_CREATE] = decode_create,
    [NFS3_MKDIR] = decode_mkdir,
    [NFS3_SYMLINK] = decode_symlink,
    [NFS3_MKNOD] = decode_mknod,
    [NFS3_REMOVE] = decode_where,
    [NFS3_RMDIR] = decode_where,
    [NFS3_RENAME] = decode_rename,
    [NFS3_LINK] = decode_link,
    [NFS3_READDIR] = decode_readdir,
    [NFS3_READDIRPLUS] = decode_readdirplus,
    [NFS3_FSSTAT] = decode_handle,
    [NFS3_FSINFO] = decode_handle,
    [NFS3_PATHCONF] = decode_handle,
    [NFS3_COMMIT] = decode_commit,
};

bool nfs3__decode_call(uint32_t procedure, struct reader *reader, union nfs3_args *args_r)
{
    if (procedure >= sizeof decoders / sizeof decoders[0])
        return false;
    if (decoders[procedure] != NULL && !decoders[procedure](reader, args_r))
        return false;
    return reader_is_done(reader);
}
