/*
 * nfs4_io.c - READ, WRITE, COMMIT (RFC 8881 18.22, 18.32, 18.3) and READ_PLUS (RFC 7862 15.10).
 *
 * The happy path of READ: the stateid is checked, a buffer as long as what the file has of the range is
 * filled, now or on a worker, and becomes a part of the reply without a copy; a reply that the client wants
 * cached is copied. Failures: wrong stateids and types; too many bytes of buffers in flight are DELAY; a file
 * that shrank meanwhile gives fewer bytes.
 */
#include "nfs/v4/nfs4_operations.h"
#include "nfs/v4/nfs4_server.h"
#include "nfs/v4/nfs4_state.h"

enum stable_how4 { UNSTABLE4, DATA_SYNC4, FILE_SYNC4 };
enum data_content4 { CONTENT_DATA = 0, CONTENT_HOLE = 1 };

/* ISDIR for directories; for others than files RFC 7530 16.25.4 has INVAL, RFC 8881 15.1.2.9 WRONG_TYPE and
 * SYMLINK. */
uint32_t nfs4__check_file(const struct nfs4_compound *compound)
{
    enum inode_type type = vfs_attr(compound->current.inode)->type;

    if (type == INODE_FILE || type == INODE_STREAM)
        return NFS4_OK;
    if (type == INODE_DIRECTORY)
        return NFS4ERR_ISDIR;
    if (compound->minor == 0)
        return NFS4ERR_INVAL;
    return type == INODE_SYMLINK ? NFS4ERR_SYMLINK : NFS4ERR_WRONG_TYPE;
}

/* ---- READ ---- */

struct read_args {
    struct nfs4_stateid stateid;
    uint64_t offset;
    uint32_t count;
    struct vfs_read read;
    struct buf *buf;
    uint32_t reserved;
};

bool nfs4__read_decode(struct nfs4_compound *compound)
{
    struct read_args *args = nfs4_new_args(compound, struct read_args);
    struct reader *reader = &compound->arguments;

    return nfs4__decode_stateid(reader, &args->stateid) && reader_be64(reader, &args->offset) &&
           reader_be32(reader, &args->count);
}

static void read_release(struct nfs4_compound *compound, struct read_args *args)
{
    compound->server->read_bytes_now -= args->reserved;
    args->reserved = 0;
    buf_unref(&args->buf);
}

static bool put_data(struct nfs4_compound *compound, struct buf *buf, uint32_t length)
{
    struct writer *reply = &compound->call->reply;

    if (compound->cache_reply) {
        if (!nfs4__reserve(compound, length))
            return false;
        writer_bytes(reply, buf->data, length);
    } else if (length > 0 && !onc_call_attach(compound->call, buf, buf->data, length))
        return false;
    writer_zeros(reply, (4 - length % 4) % 4);
    return true;
}

static uint32_t read_answer(struct nfs4_compound *compound, struct read_args *args, enum err err)
{
    struct writer *reply = &compound->call->reply;
    uint32_t got = args->read.store.got;
    uint64_t size;
    bool put;

    if (err != ERR_OK) {
        read_release(compound, args);
        return nfs4__status(compound, err);
    }
    size = vfs_attr(compound->current.inode)->size;
    writer_xdr_bool(reply, args->offset >= size || got >= size - args->offset);
    writer_be32(reply, got);
    put = put_data(compound, args->buf, got);
    read_release(compound, args);
    return put ? NFS4_OK : NFS4ERR_DELAY;
}

static void read_done(struct store_read *store, enum err err)
{
    struct read_args *args =
        container_of(container_of(store, struct vfs_read, store), struct read_args, read);
    struct nfs4_compound *compound = nfs4_compound_of(args);

    nfs4__resume(compound, read_answer(compound, args, err));
}

/* Prepares reading: the stateid, the type, how much, the buffer. */
static uint32_t read_begin(struct nfs4_compound *compound, struct read_args *args, enum vfs_io_right *right_r)
{
    struct nfs4_server *server = compound->server;
    uint64_t size;
    uint32_t length = args->count < NFS4_IO_MAX ? args->count : NFS4_IO_MAX;
    size_t room = nfs4__room(compound);
    uint32_t status = nfs4__context(compound);

    if (status == NFS4_OK)
        status = nfs4__check_file(compound);
    if (status == NFS4_OK)
        status = nfs4__stateid_for_io(compound, &args->stateid, NFS4_IO_READ, right_r);
    if (status != NFS4_OK)
        return status;
    size = vfs_attr(compound->current.inode)->size;
    if (args->offset >= size)
        length = 0;
    else if (length > size - args->offset)
        length = (uint32_t)(size - args->offset);
    /* The status, eof, the count and padding stand beside the data. A short read is fine for the client. */
    room = room < 64 ? 0 : room - 64;
    if (length > room)
        length = (uint32_t)room & ~(uint32_t)4095;
    if (length > server->read_bytes_most - server->read_bytes_now)
        return NFS4ERR_DELAY;
    args->buf = buf_new(length);
    if (args->buf == NULL)
        return NFS4ERR_DELAY;
    server->read_bytes_now += length;
    args->reserved = length;
    args->read = (struct vfs_read){.store = {.inode = compound->current.inode,
                                             .offset = args->offset,
                                             .length = length,
                                             .buffer = args->buf->data,
                                             .done = read_done}};
    return NFS4_OK;
}

uint32_t nfs4__read(struct nfs4_compound *compound)
{
    struct read_args *args = nfs4_args(compound, struct read_args);
    enum vfs_io_right right;
    uint32_t status = read_begin(compound, args, &right);
    enum err err;

    if (status != NFS4_OK)
        return status;
    err = vfs_read(&compound->context, &args->read, right);
    return err == ERR_WAIT ? NFS4_WAIT : read_answer(compound, args, err);
}

/* ---- WRITE ---- */

struct write_args {
    struct nfs4_stateid stateid;
    uint64_t offset;
    uint32_t stable;
    const uint8_t *data;
    uint32_t length;
    struct vfs_write write;
};

bool nfs4__write_decode(struct nfs4_compound *compound)
{
    struct write_args *args = nfs4_new_args(compound, struct write_args);
    struct reader *reader = &compound->arguments;

    return nfs4__decode_stateid(reader, &args->stateid) && reader_be64(reader, &args->offset) &&
           reader_be32(reader, &args->stable) && args->stable <= FILE_SYNC4 &&
           reader_xdr_opaque(reader, UINT32_MAX, &args->data, &args->length);
}

static uint32_t write_answer(struct nfs4_compound *compound, const struct write_args *args, enum err err)
{
    struct writer *reply = &compound->call->reply;
    bool sync;

    if (err == ERR_OK && args->stable != UNSTABLE4)
        err = vfs_commit(&compound->context, compound->current.inode);
    if (err != ERR_OK)
        return nfs4__status(compound, err);
    sync = vfs_export_config(compound->context.export)->sync;
    writer_be32(reply, args->length);
    /* What is more than asked for is told; an export without `sync` answers as if. */
    writer_be32(reply, args->stable != UNSTABLE4 && sync ? FILE_SYNC4 : args->stable);
    writer_be64(reply, vfs_boot_verifier(compound->server->vfs));
    return NFS4_OK;
}

static void write_done(struct store_write *store, enum err err)
{
    struct write_args *args =
        container_of(container_of(store, struct vfs_write, store), struct write_args, write);
    struct nfs4_compound *compound = nfs4_compound_of(args);
    uint32_t status = nfs4__context(compound);

    /* A reload may have taken the export away meanwhile. */
    if (status == NFS4_OK)
        status = write_answer(compound, args, err);
    nfs4__resume(compound, status);
}

uint32_t nfs4__write(struct nfs4_compound *compound)
{
    struct write_args *args = nfs4_args(compound, struct write_args);
    enum vfs_io_right right;
    uint64_t end;
    uint32_t status = nfs4__context(compound);
    enum err err;

    if (status == NFS4_OK)
        status = nfs4__check_file(compound);
    if (status == NFS4_OK)
        status = nfs4__stateid_for_io(compound, &args->stateid, NFS4_IO_WRITE, &right);
    if (status != NFS4_OK)
        return status;
    if (!add_u64(args->offset, args->length, &end))
        return compound->minor == 0 ? NFS4ERR_INVAL : NFS4ERR_FBIG;
    args->write = (struct vfs_write){
        .store = {.inode = compound->current.inode,
                  .offset = args->offset,
                  .data = {.buf = compound->call->arguments_buf, .data = args->data, .length = args->length},
                  .done = write_done}};
    err = vfs_write(&compound->context, &args->write, right);
    return err == ERR_WAIT ? NFS4_WAIT : write_answer(compound, args, err);
}

/* ---- COMMIT ---- */

struct commit_args {
    uint64_t offset;
    uint32_t count;
};

bool nfs4__commit_decode(struct nfs4_compound *compound)
{
    struct commit_args *args = nfs4_new_args(compound, struct commit_args);

    return reader_be64(&compound->arguments, &args->offset) &&
           reader_be32(&compound->arguments, &args->count);
}

/* The whole file is committed; the range may end where numbers do, and not behind (RFC 8881 18.3.3). */
uint32_t nfs4__commit(struct nfs4_compound *compound)
{
    const struct commit_args *args = nfs4_args(compound, struct commit_args);
    uint64_t end;
    uint32_t status = nfs4__context(compound);
    enum err err;

    if (status == NFS4_OK)
        status = nfs4__check_file(compound);
    if (status == NFS4_OK && !add_u64(args->offset, args->count, &end))
        status = NFS4ERR_INVAL;
    if (status != NFS4_OK)
        return status;
    err = vfs_commit(&compound->context, compound->current.inode);
    if (err != ERR_OK)
        return nfs4__status(compound, err);
    writer_be64(&compound->call->reply, vfs_boot_verifier(compound->server->vfs));
    return NFS4_OK;
}

/* ---- READ_PLUS ---- */

bool nfs4__read_plus_decode(struct nfs4_compound *compound)
{
    return nfs4__read_decode(compound);
}

/* One segment of data, cut at the next hole; behind a short one the client asks again. */
static uint32_t plus_answer(struct nfs4_compound *compound, struct read_args *args, enum err err)
{
    struct writer *reply = &compound->call->reply;
    uint32_t got = args->read.store.got;
    uint64_t size;
    bool put = true;

    if (err != ERR_OK) {
        read_release(compound, args);
        return nfs4__status(compound, err);
    }
    size = vfs_attr(compound->current.inode)->size;
    writer_xdr_bool(reply, args->offset >= size || got >= size - args->offset);
    writer_be32(reply, got > 0 ? 1 : 0);
    if (got > 0) {
        writer_be32(reply, CONTENT_DATA);
        writer_be64(reply, args->offset);
        writer_be32(reply, got);
        put = put_data(compound, args->buf, got);
    }
    read_release(compound, args);
    return put ? NFS4_OK : NFS4ERR_DELAY;
}

static void plus_done(struct store_read *store, enum err err)
{
    struct read_args *args =
        container_of(container_of(store, struct vfs_read, store), struct read_args, read);
    struct nfs4_compound *compound = nfs4_compound_of(args);

    nfs4__resume(compound, plus_answer(compound, args, err));
}

/* A hole at the offset, up to the next data, the end of the file or of what was asked for. */
static uint32_t plus_hole(struct nfs4_compound *compound, const struct read_args *args, uint64_t end,
                          uint64_t size)
{
    struct writer *reply = &compound->call->reply;

    writer_xdr_bool(reply, end >= size);
    writer_be32(reply, 1);
    writer_be32(reply, CONTENT_HOLE);
    writer_be64(reply, args->offset);
    writer_be64(reply, end - args->offset);
    return NFS4_OK;
}

uint32_t nfs4__read_plus(struct nfs4_compound *compound)
{
    struct read_args *args = nfs4_args(compound, struct read_args);
    enum vfs_io_right right;
    struct inode_attr attr;
    uint64_t end, next;
    uint32_t status = read_begin(compound, args, &right);
    enum err err;

    if (status != NFS4_OK)
        return status;
    vfs_getattr(compound->current.inode, &attr);
    end = args->offset + args->read.store.length;
    if (args->read.store.length > 0) {
        err = vfs_seek(&compound->context, compound->current.inode, args->offset, STORE_SEEK_DATA, right,
                       &next);
        if (err == ERR_NXIO || (err == ERR_OK && next > args->offset)) {
            read_release(compound, args);
            return plus_hole(compound, args, err == ERR_NXIO || next > end ? end : next, attr.size);
        }
        if (err == ERR_OK)
            err = vfs_seek(&compound->context, compound->current.inode, args->offset, STORE_SEEK_HOLE, right,
                           &next);
        if (err != ERR_OK) {
            read_release(compound, args);
            return nfs4__status(compound, err);
        }
        if (next < end)
            args->read.store.length = (uint32_t)(next - args->offset);
    }
    args->read.store.done = plus_done;
    err = vfs_read(&compound->context, &args->read, right);
    return err == ERR_WAIT ? NFS4_WAIT : plus_answer(compound, args, err);
}
