/*
 * smb2_fsctl_file.c - FSCTLs on a file's ranges and attributes (MS-FSCC 2.3, MS-FSA 2.1.5.10): sparse files
 * and their ranges, zeros, trimming, compression, integrity, object ids.
 *
 * Holes are made whether or not a file is marked sparse; the mark is what clients are shown.
 */
#include "smb/smb2_ioctl.h"

#include <string.h>

enum {
    COMPRESSION_NONE = 0,
    COMPRESSION_LAST = 2, /* default, LZNT1 */
    CHECKSUM_CRC32 = 1,   /* MS-FSCC 2.3.20: what the store keeps for every 4 KiB */
    CHECKSUM_UNCHANGED = 0xffff,
    CHECKSUM_BYTES = 4096,
    REGION_VALID_DATA = 1,
    RANGE_SIZE = 16,
    TRIM_RANGES_MAX = 256,
    HOLE_ALIGNMENT = 4096,
    OBJECT_ID_SIZE = 64
};

static bool get_range(struct reader *input, uint64_t *offset_r, uint64_t *length_r)
{
    return reader_le64(input, offset_r) && reader_le64(input, length_r) && *offset_r <= INT64_MAX &&
           *length_r <= INT64_MAX && *offset_r + *length_r <= INT64_MAX;
}

/* ---- sparse files ---- */

static uint32_t set_attributes(struct smb2_request *request, uint32_t attributes)
{
    struct vfs_setattr set = {.set = VFS_SET_DOS_ATTRIBUTES, .dos_attributes = attributes};
    uint32_t status = smb2__request_context(request);

    if (status != STATUS_SUCCESS)
        return status;
    return smb2__status(vfs_setattr(&request->context, request->open->inode, &set, NULL, true));
}

/* MS-FSA 2.1.5.10.38; without a buffer it means yes (MS-FSCC 2.3.83). */
uint32_t smb2__fsctl_set_sparse(struct smb2_request *request, struct smb2_ioctl *ioctl)
{
    struct inode_attr attr;
    uint32_t attributes;
    uint8_t on = 1;

    if (ioctl->input.left > 0 && !reader_u8(&ioctl->input, &on))
        return STATUS_INVALID_PARAMETER;
    if (request->open->is_directory)
        return STATUS_INVALID_PARAMETER;
    if (!(request->open->access & (SMB2_ACCESS_ANY_WRITE | SMB2_ACCESS_WRITE_ATTRIBUTES)))
        return STATUS_ACCESS_DENIED;
    vfs_getattr(request->open->inode, &attr);
    attributes = on != 0 ? attr.dos_attributes | SMB2_ATTRIBUTE_SPARSE
                         : attr.dos_attributes & ~(uint32_t)SMB2_ATTRIBUTE_SPARSE;
    return attributes == attr.dos_attributes ? STATUS_SUCCESS : set_attributes(request, attributes);
}

/* MS-FSA 2.1.5.10.39 */
uint32_t smb2__fsctl_set_zero_data(struct smb2_request *request, struct smb2_ioctl *ioctl)
{
    uint64_t from, to;
    struct inode_attr attr;
    uint32_t status;
    enum err err;

    if (!reader_le64(&ioctl->input, &from) || !reader_le64(&ioctl->input, &to) || from > INT64_MAX ||
        to > INT64_MAX || from > to || request->open->is_directory)
        return STATUS_INVALID_PARAMETER;
    if (!(request->open->access & SMB2_ACCESS_WRITE_DATA))
        return STATUS_ACCESS_DENIED;
    vfs_getattr(request->open->inode, &attr);
    if (to > attr.size)
        to = attr.size;
    status = smb2__request_context(request);
    if (status != STATUS_SUCCESS || from >= to)
        return status;
    err = vfs_deallocate(&request->context, request->open->inode, from, to - from, VFS_IO_OPEN_HANDLE);
    return err == ERR_LOCKED ? STATUS_FILE_LOCK_CONFLICT : smb2__status(err);
}

/* The next allocated range in [*AT, END): false when there is none. Of a file that is not sparse all is. */
static bool next_range(struct smb2_request *request, bool sparse, uint64_t *at, uint64_t end,
                       uint64_t *from_r, uint64_t *length_r)
{
    struct inode *inode = request->open->inode;
    uint64_t from = *at, to = end;

    if (*at >= end)
        return false;
    if (sparse &&
        (vfs_seek(&request->context, inode, *at, STORE_SEEK_DATA, VFS_IO_OPEN_HANDLE, &from) != ERR_OK ||
         from >= end))
        return false;
    if (sparse &&
        vfs_seek(&request->context, inode, from, STORE_SEEK_HOLE, VFS_IO_OPEN_HANDLE, &to) != ERR_OK)
        to = end;
    if (to > end)
        to = end;
    *from_r = from;
    *length_r = to - from;
    *at = to;
    return true;
}

/* MS-FSA 2.1.5.10.22 FSCTL_QUERY_ALLOCATED_RANGES */
uint32_t smb2__fsctl_query_ranges(struct smb2_request *request, struct smb2_ioctl *ioctl)
{
    struct writer *writer = smb2_reply(request);
    uint64_t at, length, end, range_from, range_length;
    struct inode_attr attr;
    uint32_t status, room = ioctl->most_output / RANGE_SIZE;
    bool sparse;

    if (!get_range(&ioctl->input, &at, &length) || request->open->is_directory)
        return STATUS_INVALID_PARAMETER;
    if (!(request->open->access & SMB2_ACCESS_READ_DATA))
        return STATUS_ACCESS_DENIED;
    status = smb2__request_context(request);
    if (status != STATUS_SUCCESS)
        return status;
    vfs_getattr(request->open->inode, &attr);
    sparse = (attr.dos_attributes & SMB2_ATTRIBUTE_SPARSE) != 0;
    end = at + length < attr.size ? at + length : attr.size;
    for (uint32_t count = 0; next_range(request, sparse, &at, end, &range_from, &range_length); count++) {
        if (count == room)
            return count == 0 ? STATUS_BUFFER_TOO_SMALL : STATUS_BUFFER_OVERFLOW;
        writer_le64(writer, range_from);
        writer_le64(writer, range_length);
    }
    return STATUS_SUCCESS;
}

/* MS-FSCC 2.3.55: all of a file up to its end is valid. */
uint32_t smb2__fsctl_query_regions(struct smb2_request *request, struct smb2_ioctl *ioctl)
{
    struct writer *writer = smb2_reply(request);
    uint64_t from = 0, length = INT64_MAX, end;
    uint32_t usage = REGION_VALID_DATA;
    struct inode_attr attr;
    bool any;

    if (ioctl->input.left > 0 &&
        (!get_range(&ioctl->input, &from, &length) || !reader_le32(&ioctl->input, &usage)))
        return STATUS_INVALID_PARAMETER;
    if (request->open->is_directory || usage == 0)
        return STATUS_INVALID_PARAMETER;
    if (ioctl->most_output < 16 + 24)
        return STATUS_BUFFER_TOO_SMALL;
    vfs_getattr(request->open->inode, &attr);
    end = from + length < attr.size ? from + length : attr.size;
    any = from < end && (usage & REGION_VALID_DATA);
    writer_le32(writer, 0);
    writer_le32(writer, any);
    writer_le32(writer, any);
    writer_le32(writer, 0);
    if (any) {
        writer_le64(writer, from);
        writer_le64(writer, end - from);
        writer_le32(writer, REGION_VALID_DATA);
        writer_le32(writer, 0);
    }
    return STATUS_SUCCESS;
}

/* MS-FSCC 2.3.77: what the client does not need any more; whole blocks of it are given back. */
uint32_t smb2__fsctl_trim(struct smb2_request *request, struct smb2_ioctl *ioctl)
{
    uint64_t offset, length;
    uint32_t key, count, status;

    if (!reader_le32(&ioctl->input, &key) || !reader_le32(&ioctl->input, &count) || key != 0 || count == 0 ||
        count > TRIM_RANGES_MAX || (uint64_t)count * RANGE_SIZE > ioctl->input.left ||
        request->open->is_directory)
        return STATUS_INVALID_PARAMETER;
    if (!(request->open->access & SMB2_ACCESS_WRITE_DATA))
        return STATUS_ACCESS_DENIED;
    status = smb2__request_context(request);
    for (uint32_t i = 0; i < count && status == STATUS_SUCCESS; i++) {
        uint64_t end;

        if (!get_range(&ioctl->input, &offset, &length))
            return STATUS_INVALID_PARAMETER;
        end = (offset + length) & ~(uint64_t)(HOLE_ALIGNMENT - 1);
        offset = (offset + HOLE_ALIGNMENT - 1) & ~(uint64_t)(HOLE_ALIGNMENT - 1);
        if (offset < end)
            status = smb2__status(vfs_deallocate(&request->context, request->open->inode, offset,
                                                 end - offset, VFS_IO_OPEN_HANDLE));
    }
    if (status == STATUS_SUCCESS && ioctl->most_output >= 4)
        writer_le32(smb2_reply(request), count);
    return status;
}

/* ---- compression, which there is none of ---- */

uint32_t smb2__fsctl_get_compression(struct smb2_request *request, struct smb2_ioctl *ioctl)
{
    if (ioctl->most_output < 2)
        return STATUS_INVALID_PARAMETER;
    writer_le16(smb2_reply(request), COMPRESSION_NONE);
    return STATUS_SUCCESS;
}

uint32_t smb2__fsctl_set_compression(struct smb2_request *request, struct smb2_ioctl *ioctl)
{
    uint16_t format;

    if (!reader_le16(&ioctl->input, &format) || format > COMPRESSION_LAST)
        return STATUS_INVALID_PARAMETER;
    if (!(request->open->access & SMB2_ACCESS_WRITE_DATA))
        return STATUS_ACCESS_DENIED;
    return format == COMPRESSION_NONE ? STATUS_SUCCESS : STATUS_NOT_SUPPORTED;
}

/* ---- integrity: always on ---- */

uint32_t smb2__fsctl_get_integrity(struct smb2_request *request, struct smb2_ioctl *ioctl)
{
    struct writer *writer = smb2_reply(request);

    if (ioctl->most_output < 16)
        return STATUS_INVALID_PARAMETER;
    writer_le16(writer, CHECKSUM_CRC32);
    writer_le16(writer, 0);
    writer_le32(writer, 0);
    writer_le32(writer, CHECKSUM_BYTES);
    writer_le32(writer, CHECKSUM_BYTES);
    return STATUS_SUCCESS;
}

/* It can't be turned off, nor be of another kind. */
uint32_t smb2__fsctl_set_integrity(struct smb2_request *request, struct smb2_ioctl *ioctl)
{
    uint16_t algorithm;

    if (!reader_le16(&ioctl->input, &algorithm) || ioctl->input.left < 6)
        return STATUS_INVALID_PARAMETER;
    if (!(request->open->access & (SMB2_ACCESS_WRITE_DATA | SMB2_ACCESS_WRITE_ATTRIBUTES)))
        return STATUS_ACCESS_DENIED;
    return algorithm == CHECKSUM_CRC32 || algorithm == CHECKSUM_UNCHANGED ? STATUS_SUCCESS
                                                                          : STATUS_INVALID_PARAMETER;
}

/* ---- object ids: the inode's number and generation, which are never used again ---- */

uint32_t smb2__fsctl_object_id(struct smb2_request *request, struct smb2_ioctl *ioctl)
{
    struct writer *writer = smb2_reply(request);
    struct inode_attr attr;

    if (ioctl->most_output < OBJECT_ID_SIZE)
        return STATUS_INVALID_PARAMETER;
    vfs_getattr(request->open->inode, &attr);
    writer_le64(writer, attr.ino);
    writer_le32(writer, attr.generation);
    writer_le32(writer, attr.tree);
    /* Where it was born: here, as far as anybody knows. */
    writer_bytes(writer, request->message->server->options.server_guid, 16);
    writer_le64(writer, attr.ino);
    writer_le32(writer, attr.generation);
    writer_le32(writer, attr.tree);
    writer_zeros(writer, 16);
    return STATUS_SUCCESS;
}
