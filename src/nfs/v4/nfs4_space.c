/*
 * nfs4_space.c - ALLOCATE, DEALLOCATE, SEEK, CLONE, IO_ADVISE (RFC 7862 15).
 */
#include "nfs/v4/nfs4_operations.h"
#include "nfs/v4/nfs4_state.h"
#include <string.h>

enum { CONTENT4_DATA = 0, CONTENT4_HOLE = 1 };

/* What is common to the operations: stateids, ranges. */
struct range_args {
    struct nfs4_stateid stateid, target_stateid;
    uint64_t offset, target_offset, length;
    uint32_t what;
    struct nfs4_bitmap hints;
};

static bool decode_stateid_range(struct nfs4_compound *compound)
{
    struct range_args *args = nfs4_new_args(compound, struct range_args);
    struct reader *reader = &compound->arguments;

    return nfs4__decode_stateid(reader, &args->stateid) && reader_be64(reader, &args->offset) &&
           reader_be64(reader, &args->length);
}

bool nfs4__allocate_decode(struct nfs4_compound *compound)
{
    return decode_stateid_range(compound);
}

bool nfs4__deallocate_decode(struct nfs4_compound *compound)
{
    return decode_stateid_range(compound);
}

static uint32_t prepare(struct nfs4_compound *compound, const struct nfs4_stateid *stateid, enum nfs4_io io,
                        enum vfs_io_right *right_r)
{
    uint32_t status = nfs4__context(compound);

    if (status == NFS4_OK)
        status = nfs4__check_file(compound);
    /* RFC 7862 15.1.3 names WRONG_TYPE, without ISDIR's cousins. */
    if (status == NFS4_OK)
        status = nfs4__stateid_for_io(compound, stateid, io, right_r);
    return status;
}

static uint32_t check_range(const struct range_args *args)
{
    uint64_t end;

    if (args->length == 0)
        return NFS4ERR_INVAL;
    return add_u64(args->offset, args->length, &end) ? NFS4_OK : NFS4ERR_INVAL;
}

uint32_t nfs4__allocate(struct nfs4_compound *compound)
{
    const struct range_args *args = nfs4_args(compound, struct range_args);
    enum vfs_io_right right;
    uint32_t status = prepare(compound, &args->stateid, NFS4_IO_WRITE, &right);
    enum err err;

    if (status == NFS4_OK)
        status = check_range(args);
    if (status != NFS4_OK)
        return status;
    err = vfs_allocate(&compound->context, compound->current.inode, args->offset, args->length, false, right);
    return err == ERR_OK ? NFS4_OK : nfs4__status(compound, err);
}

uint32_t nfs4__deallocate(struct nfs4_compound *compound)
{
    const struct range_args *args = nfs4_args(compound, struct range_args);
    enum vfs_io_right right;
    uint32_t status = prepare(compound, &args->stateid, NFS4_IO_WRITE, &right);
    enum err err;

    if (status == NFS4_OK)
        status = check_range(args);
    if (status != NFS4_OK)
        return status;
    err = vfs_deallocate(&compound->context, compound->current.inode, args->offset, args->length, right);
    return err == ERR_OK ? NFS4_OK : nfs4__status(compound, err);
}

/* ---- SEEK ---- */

bool nfs4__seek_decode(struct nfs4_compound *compound)
{
    struct range_args *args = nfs4_new_args(compound, struct range_args);
    struct reader *reader = &compound->arguments;

    return nfs4__decode_stateid(reader, &args->stateid) && reader_be64(reader, &args->offset) &&
           reader_be32(reader, &args->what);
}

uint32_t nfs4__seek(struct nfs4_compound *compound)
{
    const struct range_args *args = nfs4_args(compound, struct range_args);
    struct writer *reply = &compound->call->reply;
    enum vfs_io_right right;
    struct inode_attr attr;
    uint64_t found;
    uint32_t status = prepare(compound, &args->stateid, NFS4_IO_READ, &right);
    enum err err;

    if (status != NFS4_OK)
        return status;
    if (args->what != CONTENT4_DATA && args->what != CONTENT4_HOLE)
        return NFS4ERR_UNION_NOTSUPP;
    vfs_getattr(compound->current.inode, &attr);
    if (args->offset >= attr.size)
        return NFS4ERR_NXIO;
    err = vfs_seek(&compound->context, compound->current.inode, args->offset,
                   args->what == CONTENT4_DATA ? STORE_SEEK_DATA : STORE_SEEK_HOLE, right, &found);
    /* RFC 7862 15.11.3: no data up to the end is told by eof, not by an error. */
    if (err == ERR_NXIO)
        found = attr.size;
    else if (err != ERR_OK)
        return nfs4__status(compound, err);
    writer_xdr_bool(reply, found >= attr.size);
    writer_be64(reply, found);
    return NFS4_OK;
}

/* ---- CLONE ---- */

bool nfs4__clone_decode(struct nfs4_compound *compound)
{
    struct range_args *args = nfs4_new_args(compound, struct range_args);
    struct reader *reader = &compound->arguments;

    return nfs4__decode_stateid(reader, &args->stateid) &&
           nfs4__decode_stateid(reader, &args->target_stateid) && reader_be64(reader, &args->offset) &&
           reader_be64(reader, &args->target_offset) && reader_be64(reader, &args->length);
}

/* Both files of one export, the saved one readable by its stateid, the current one writable by the other. */
uint32_t nfs4__prepare_copy(struct nfs4_compound *compound, const struct nfs4_stateid *source_stateid,
                            const struct nfs4_stateid *target_stateid, enum vfs_io_right *source_r,
                            enum vfs_io_right *target_r)
{
    struct nfs4_filehandle target = compound->current;
    struct nfs4_stateid current_stateid = compound->current_stateid;
    bool has_current_stateid = compound->has_current_stateid;
    uint32_t status;

    if (compound->saved.place != NFS4_IN_EXPORT || compound->saved.export_id != target.export_id)
        return NFS4ERR_XDEV;
    /* The checks look at the current filehandle: the source takes its place for a while. */
    compound->current = compound->saved;
    compound->current_stateid = compound->saved_stateid;
    compound->has_current_stateid = compound->has_saved_stateid;
    status = prepare(compound, source_stateid, NFS4_IO_READ, source_r);
    compound->current = target;
    compound->current_stateid = current_stateid;
    compound->has_current_stateid = has_current_stateid;
    if (status == NFS4_OK)
        status = prepare(compound, target_stateid, NFS4_IO_WRITE, target_r);
    return status;
}

uint32_t nfs4__clone(struct nfs4_compound *compound)
{
    struct range_args *args = nfs4_args(compound, struct range_args);
    enum vfs_io_right source, target;
    uint32_t status = nfs4__prepare_copy(compound, &args->stateid, &args->target_stateid, &source, &target);
    enum err err;

    if (status != NFS4_OK)
        return status;
    err =
        vfs_clone(&compound->context, (struct vfs_clone_end){compound->saved.inode, args->offset, source},
                  (struct vfs_clone_end){compound->current.inode, args->target_offset, target}, args->length);
    return err == ERR_OK ? NFS4_OK : nfs4__status(compound, err);
}

/* ---- IO_ADVISE ---- */

bool nfs4__io_advise_decode(struct nfs4_compound *compound)
{
    return decode_stateid_range(compound) &&
           nfs4__decode_bitmap(&compound->arguments, &nfs4_args(compound, struct range_args)->hints);
}

/* RFC 7862 15.5.3: hints that the server does not act upon are left out of its answer. */
uint32_t nfs4__io_advise(struct nfs4_compound *compound)
{
    const struct range_args *args = nfs4_args(compound, struct range_args);
    static const struct nfs4_bitmap none;
    enum vfs_io_right right;
    uint32_t status = prepare(compound, &args->stateid, NFS4_IO_READ, &right);

    if (status == NFS4_OK)
        nfs4__encode_bitmap(&compound->call->reply, &none);
    return status;
}
