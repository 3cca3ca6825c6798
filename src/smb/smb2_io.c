/*
 * smb2_io.c - READ and WRITE (MS-SMB2 2.2.19, 2.2.21, 3.3.5.12, 3.3.5.13).
 *
 * READ has the store fill the reply in place; few large ones are under way at a time (smb2_read_slots.c).
 * WRITE hands the message's buffer to the store, which keeps its own reference. Byte ranges of SMB are
 * mandatory, those of NFS are not (lock.h). A WRITE is durable before the reply only when the client asked
 * for that; else FLUSH is what makes it so.
 */
#include "smb/smb2_priv.h"

enum { FLAG_WRITE_THROUGH = 1, FLAG_UNBUFFERED_WRITE = 2, READ_BODY = 16, CREDIT_BYTES = 65536 };
enum { LARGE_READ = 512 * 1024 }; /* a worker's way costs more than it gains on less */

struct io_args {
    uint32_t length, minimum, flags, channel;
    uint64_t offset;
    uint16_t data_offset;
    struct reader data;
};

bool smb2__is_paid(const struct smb2_request *request, uint32_t length)
{
    const struct smb2_conn *conn = request->message->conn;
    uint32_t charge = request->header.credit_charge == 0 ? 1 : request->header.credit_charge;

    if (conn->dialect <= 0x0202)
        return length <= SMB2_IO_MAX_202;
    return length <= SMB2_TRANSACT_MAX && (uint64_t)length <= (uint64_t)charge * CREDIT_BYTES;
}

static uint32_t check_lock(struct smb2_request *request, const struct io_args *args, bool write)
{
    const struct smb2_open *open = request->open;
    enum err err =
        lock_check_io(open->file, owner_id(open->owner), args->offset, args->length, write, LOCK_IO_ADVISORY);

    return err == ERR_LOCKED ? STATUS_FILE_LOCK_CONFLICT : smb2__status(err);
}

/* ---- READ ---- */

static bool decode_read(struct smb2_request *request, struct io_args *args)
{
    struct reader *reader = &request->body;

    return reader_skip(reader, 4) && reader_le32(reader, &args->length) &&
           reader_le64(reader, &args->offset) && reader_skip(reader, 16) &&
           reader_le32(reader, &args->minimum) && reader_le32(reader, &args->channel);
}

static uint32_t finish_read(struct smb2_request *request)
{
    struct writer *writer = smb2_reply(request);
    size_t body_at = request->reply_at + SMB2_HEADER_SIZE;
    uint32_t got = request->read.store.got;

    if (request->read.store.length > 0 && got == 0)
        return STATUS_END_OF_FILE;
    if (got < request->final_status) /* the least that the client wants */
        return STATUS_END_OF_FILE;
    writer_truncate(writer, body_at + READ_BODY + got);
    request->open->position = request->read.store.offset + got;
    if (got == 0)
        writer_u8(writer, 0);
    writer_patch_le32(writer, body_at + 4, got);
    return STATUS_SUCCESS;
}

static void on_read(struct store_read *read, enum err err)
{
    struct vfs_read *vfs = container_of(read, struct vfs_read, store);
    struct smb2_request *request = container_of(vfs, struct smb2_request, read);

    /* First, so that a worker reads while this one is sent. */
    smb2__read_slot_give(request);
    smb2__request_done(request, err == ERR_OK ? finish_read(request) : smb2__status(err));
}

static void on_read_waits(struct store_read *read)
{
    struct vfs_read *vfs = container_of(read, struct vfs_read, store);

    smb2__read_slot_give(container_of(vfs, struct smb2_request, read));
}

/* Worth a worker's while, and that of the loop to wait for one: what is alone in its message. */
static bool is_large_read(const struct smb2_request *request, uint32_t length)
{
    return length >= LARGE_READ && request->message->count == 1 &&
           request->message->next_at == request->message->length;
}

static uint32_t read_into_reply(struct smb2_request *request, const struct io_args *args, bool is_large)
{
    struct writer *writer = smb2_reply(request);
    uint8_t *buffer;
    enum err err;

    smb2__reply_large(request, args->length);
    writer_le16(writer, 17);
    writer_u8(writer, SMB2_HEADER_SIZE + READ_BODY);
    writer_u8(writer, 0);
    writer_zeros(writer, 12);
    buffer = args->length > 0 ? writer_reserve(writer, args->length) : NULL;
    if (writer->failed)
        return STATUS_INSUFFICIENT_RESOURCES;
    request->final_status = args->minimum;
    request->read.store = (struct store_read){.inode = request->open->inode,
                                              .offset = args->offset,
                                              .length = args->length,
                                              .buffer = buffer,
                                              .done = on_read,
                                              .waits_for_disk = is_large ? on_read_waits : NULL};
    if (args->length == 0)
        return finish_read(request);
    err = vfs_read(&request->context, &request->read, VFS_IO_OPEN_HANDLE);
    if (err == ERR_WAIT)
        return SMB2_WAIT;
    return err == ERR_OK ? finish_read(request) : smb2__status(err);
}

uint32_t smb2__read(struct smb2_request *request)
{
    struct io_args args = {.length = 0};
    uint32_t status;
    bool is_large;

    if (!decode_read(request, &args) || args.channel != 0 || !smb2__is_paid(request, args.length) ||
        args.length > SMB2_IO_MAX || args.offset > INT64_MAX - (uint64_t)args.length)
        return STATUS_INVALID_PARAMETER;
    if (request->open->is_directory)
        return STATUS_INVALID_DEVICE_REQUEST;
    if (!(request->open->access & (SMB2_ACCESS_READ_DATA | SMB2_ACCESS_EXECUTE)))
        return STATUS_ACCESS_DENIED;
    status = smb2__request_context(request);
    if (status == STATUS_SUCCESS)
        status = check_lock(request, &args, false);
    if (status != STATUS_SUCCESS)
        return status;
    is_large = is_large_read(request, args.length);
    if (is_large && !smb2__read_slot_take(request))
        return SMB2_WAIT;
    status = read_into_reply(request, &args, is_large);
    if (status != SMB2_WAIT)
        smb2__read_slot_give(request);
    return status;
}

/* ---- WRITE ---- */

static bool decode_write(struct smb2_request *request, struct io_args *args)
{
    struct reader *reader = &request->body;

    return reader_skip(reader, 2) && reader_le16(reader, &args->data_offset) &&
           reader_le32(reader, &args->length) && reader_le64(reader, &args->offset) &&
           reader_skip(reader, 16) && reader_le32(reader, &args->channel) && reader_skip(reader, 8) &&
           reader_le32(reader, &args->flags) &&
           smb2__request_part(request, args->data_offset, args->length, &args->data);
}

static uint32_t finish_write(struct smb2_request *request)
{
    struct writer *writer = smb2_reply(request);
    bool through = request->final_status != 0;
    enum err err;

    smb2__times_keep(request);
    writer_le16(writer, 17);
    writer_le16(writer, 0);
    writer_le32(writer, (uint32_t)request->write.store.data.length);
    writer_zeros(writer, 8);
    request->open->has_changed = true;
    if (!through)
        return STATUS_SUCCESS;
    err = vfs_commit(&request->context, request->open->inode);
    return err == ERR_OK ? smb2__request_durable(request, STATUS_SUCCESS) : smb2__status(err);
}

static void on_written(struct store_write *write, enum err err)
{
    struct vfs_write *vfs = container_of(write, struct vfs_write, store);
    struct smb2_request *request = container_of(vfs, struct smb2_request, write);
    uint32_t status = err == ERR_OK ? finish_write(request) : smb2__status(err);

    if (status != SMB2_WAIT)
        smb2__request_done(request, status);
}

uint32_t smb2__write(struct smb2_request *request)
{
    struct smb2_open *open = request->open;
    struct io_args args = {.length = 0};
    uint32_t status;
    enum err err;

    if (!decode_write(request, &args) || args.channel != 0 || !smb2__is_paid(request, args.length) ||
        args.length > SMB2_IO_MAX)
        return STATUS_INVALID_PARAMETER;
    if (open->is_directory)
        return STATUS_INVALID_DEVICE_REQUEST;
    if (!(open->access & SMB2_ACCESS_ANY_WRITE))
        return STATUS_ACCESS_DENIED;
    status = smb2__request_context(request);
    if (status != STATUS_SUCCESS)
        return status;
    /* FILE_APPEND_DATA alone does not let what is there be changed; all ones mean: at the end. */
    if (!(open->access & SMB2_ACCESS_WRITE_DATA)) {
        struct inode_attr attr;

        vfs_getattr(open->inode, &attr);
        if (args.offset != UINT64_MAX && args.offset < attr.size)
            return STATUS_ACCESS_DENIED;
        if (args.offset == UINT64_MAX)
            args.offset = attr.size;
    }
    if (args.offset > INT64_MAX - (uint64_t)args.length)
        return STATUS_INVALID_PARAMETER;
    status = check_lock(request, &args, true);
    if (status != STATUS_SUCCESS)
        return status;
    request->final_status =
        open->write_through || (args.flags & (FLAG_WRITE_THROUGH | FLAG_UNBUFFERED_WRITE));
    request->write.store = (struct store_write){
        .inode = open->inode,
        .offset = args.offset,
        .data = {.buf = request->message->buf, .data = args.data.at, .length = args.length},
        .done = on_written};
    if (args.length == 0)
        return finish_write(request);
    smb2__times_note(request);
    err = vfs_write(&request->context, &request->write, VFS_IO_OPEN_HANDLE);
    if (err == ERR_WAIT)
        return SMB2_WAIT;
    return err == ERR_OK ? finish_write(request) : smb2__status(err);
}
