/*
 * nfs4_copy.c - COPY within the server, synchronous (RFC 7862 15.2).
 *
 * The happy path: blocks are shared, so nearly any length is copied at once, what is too much of it
 * SHARE_STEP bytes a call. Ranges that can't be shared (offsets that are no multiples of 4 KiB) are copied
 * through a buffer, at most COPY_STEP bytes a call; the count in the reply tells the client to go on from
 * there.
 */
#include "nfs/v4/nfs4_operations.h"
#include "nfs/v4/nfs4_server.h"
#include <string.h>

enum { COPY_STEP = 1024 * 1024, SHARE_STEP = 1 << 30, FILE_SYNC4 = 2, UNSTABLE4 = 0 };

struct copy_args {
    struct nfs4_stateid source_stateid, target_stateid;
    uint64_t source_offset, target_offset, length;
    bool consecutive, synchronous;
    uint32_t sources; /* servers to copy from */
    enum vfs_io_right source_right, target_right;
    struct buf *buf;
    uint32_t reserved; /* of the server's read_bytes_most */
    struct vfs_read read;
    struct vfs_write write;
};

bool nfs4__copy_decode(struct nfs4_compound *compound)
{
    struct copy_args *args = nfs4_new_args(compound, struct copy_args);
    struct reader *reader = &compound->arguments;

    if (!nfs4__decode_stateid(reader, &args->source_stateid) ||
        !nfs4__decode_stateid(reader, &args->target_stateid) || !reader_be64(reader, &args->source_offset) ||
        !reader_be64(reader, &args->target_offset) || !reader_be64(reader, &args->length) ||
        !reader_xdr_bool(reader, &args->consecutive) || !reader_xdr_bool(reader, &args->synchronous) ||
        !reader_be32(reader, &args->sources))
        return false;
    /* A copy from other servers is refused: what follows need not be decoded. */
    return args->sources == 0 || reader_skip(reader, reader->left);
}

static void put_result(struct nfs4_compound *compound, uint64_t count, uint32_t committed)
{
    struct writer *reply = &compound->call->reply;

    writer_be32(reply, 0); /* no callback id: it is done */
    writer_be64(reply, count);
    writer_be32(reply, committed);
    writer_be64(reply, vfs_boot_verifier(compound->server->vfs));
    writer_xdr_bool(reply, true); /* consecutive */
    writer_xdr_bool(reply, true); /* synchronous */
}

static void copy_release(struct nfs4_compound *compound, struct copy_args *args)
{
    compound->server->read_bytes_now -= args->reserved;
    args->reserved = 0;
    buf_unref(&args->buf);
}

static uint32_t finish(struct nfs4_compound *compound, struct copy_args *args, enum err err)
{
    copy_release(compound, args);
    if (err != ERR_OK)
        return nfs4__status(compound, err);
    put_result(compound, args->write.store.data.length, UNSTABLE4);
    return NFS4_OK;
}

static void write_done(struct store_write *write, enum err err)
{
    struct copy_args *args =
        container_of(container_of(write, struct vfs_write, store), struct copy_args, write);
    struct nfs4_compound *compound = nfs4_compound_of(args);

    nfs4__resume(compound, finish(compound, args, err));
}

/* What was read goes to the target. */
static uint32_t write_out(struct nfs4_compound *compound, struct copy_args *args, enum err err)
{
    uint32_t status = err == ERR_OK ? nfs4__context(compound) : nfs4__status(compound, err);

    if (status != NFS4_OK) {
        copy_release(compound, args);
        return status;
    }
    args->write = (struct vfs_write){
        .store = {.inode = compound->current.inode,
                  .offset = args->target_offset,
                  .data = {.buf = args->buf, .data = args->buf->data, .length = args->read.store.got},
                  .done = write_done}};
    err = vfs_write(&compound->context, &args->write, args->target_right);
    return err == ERR_WAIT ? NFS4_WAIT : finish(compound, args, err);
}

static void read_done(struct store_read *read, enum err err)
{
    struct copy_args *args = container_of(container_of(read, struct vfs_read, store), struct copy_args, read);
    struct nfs4_compound *compound = nfs4_compound_of(args);
    uint32_t status = write_out(compound, args, err);

    if (status != NFS4_WAIT)
        nfs4__resume(compound, status);
}

static uint32_t copy_step(struct nfs4_compound *compound, struct copy_args *args, uint64_t length)
{
    enum err err;

    if (length > COPY_STEP)
        length = COPY_STEP;
    if (length > compound->server->read_bytes_most - compound->server->read_bytes_now)
        return NFS4ERR_DELAY;
    args->buf = buf_new(length);
    if (args->buf == NULL)
        return NFS4ERR_DELAY;
    args->reserved = (uint32_t)length;
    compound->server->read_bytes_now += args->reserved;
    args->read = (struct vfs_read){.store = {.inode = compound->saved.inode,
                                             .offset = args->source_offset,
                                             .length = (uint32_t)length,
                                             .buffer = args->buf->data,
                                             .done = read_done}};
    err = vfs_read(&compound->context, &args->read, args->source_right);
    return err == ERR_WAIT ? NFS4_WAIT : write_out(compound, args, err);
}

/* RFC 7862 15.2.3: the range must lie in the source; a length of 0 means up to its end. */
static uint32_t check_range(const struct nfs4_compound *compound, const struct copy_args *args,
                            uint64_t *length_r)
{
    struct inode_attr source;
    uint64_t end, target_end;

    vfs_getattr(compound->saved.inode, &source);
    if (!add_u64(args->source_offset, args->length, &end) || args->source_offset > source.size ||
        end > source.size)
        return NFS4ERR_INVAL;
    *length_r = args->length == 0 ? source.size - args->source_offset : args->length;
    if (!add_u64(args->target_offset, *length_r, &target_end))
        return NFS4ERR_INVAL;
    /* The same file with ranges that overlap. */
    if (compound->saved.inode == compound->current.inode && args->source_offset < target_end &&
        args->target_offset < args->source_offset + *length_r)
        return NFS4ERR_INVAL;
    return NFS4_OK;
}

static enum err share(struct nfs4_compound *compound, const struct copy_args *args, uint64_t length)
{
    if (length == 0)
        return ERR_OK;
    return vfs_clone(&compound->context,
                     (struct vfs_clone_end){compound->saved.inode, args->source_offset, args->source_right},
                     (struct vfs_clone_end){compound->current.inode, args->target_offset, args->target_right},
                     length);
}

uint32_t nfs4__copy(struct nfs4_compound *compound)
{
    struct copy_args *args = nfs4_args(compound, struct copy_args);
    uint64_t length = 0;
    uint32_t status;
    enum err err;

    if (args->sources != 0)
        return NFS4ERR_NOTSUPP;
    status = nfs4__prepare_copy(compound, &args->source_stateid, &args->target_stateid, &args->source_right,
                                &args->target_right);
    if (status == NFS4_OK)
        status = check_range(compound, args, &length);
    if (status != NFS4_OK)
        return status;
    err = share(compound, args, length);
    if (err == ERR_INVAL && length > SHARE_STEP) {
        length = SHARE_STEP;
        err = share(compound, args, length);
    }
    if (err == ERR_INVAL)
        return copy_step(compound, args, length);
    if (err != ERR_OK)
        return nfs4__status(compound, err);
    put_result(compound, length, FILE_SYNC4);
    return NFS4_OK;
}
