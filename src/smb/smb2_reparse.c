/*
 * smb2_reparse.c - reparse points (MS-FSCC 2.1.2; MS-FSA 2.1.5.10.8, .9, .38).
 *
 * What is a symbolic link here is IO_REPARSE_TAG_SYMLINK there; devices, pipes and sockets are
 * IO_REPARSE_TAG_NFS. Setting one of these makes the file that which it says, for NFS, too: the open goes on
 * as one of the new file in the old one's place. Reparse points of other kinds are kept as they come, and are
 * plain files or directories to NFS.
 *
 * Links are never followed here: the client is told (STATUS_STOPPED_ON_SYMLINK) and asks for where they lead.
 */
#include "smb/smb2_file_priv.h"
#include "smb/smb2_ioctl.h"

#include <string.h>

#define TAG_SYMLINK UINT32_C(0xA000000C)
#define TAG_NFS     UINT32_C(0x80000014)
/* MS-FSCC 2.1.2.6: inode types of NFS */
#define NFS_LNK  UINT64_C(0x00000000014B4E4C)
#define NFS_CHR  UINT64_C(0x0000000000524843)
#define NFS_BLK  UINT64_C(0x00000000004B4C42)
#define NFS_FIFO UINT64_C(0x000000004F464946)
#define NFS_SOCK UINT64_C(0x000000004B434F53)

enum { HEADER = 8, REPARSE_MAX = 16384, SYMLINK_RELATIVE = 1, ERROR_SYMLINK = 0x4C4D5953 };

uint32_t smb2__reparse_tag(struct inode *file, const struct inode_attr *attr)
{
    const uint8_t *data;
    struct reader reader;
    uint32_t tag;
    size_t length;

    switch (attr->type) {
    case INODE_SYMLINK:
        return TAG_SYMLINK;
    case INODE_FIFO:
    case INODE_SOCKET:
    case INODE_BLOCK_DEVICE:
    case INODE_CHARACTER_DEVICE:
        return TAG_NFS;
    case INODE_FILE:
    case INODE_DIRECTORY:
    case INODE_STREAM:
        break;
    }
    if (!(attr->dos_attributes & SMB2_ATTRIBUTE_REPARSE_POINT) || file == NULL ||
        vfs_reparse_get(file, &data, &length) != ERR_OK)
        return 0;
    reader = reader_of(data, length);
    return reader_le32(&reader, &tag) ? tag : 0;
}

/* ---- symbolic links ---- */

/* The target as Windows writes it: with backslashes. What is absolute here stays so: from the client's root.
 */
static bool write_target(struct writer *writer, const uint8_t *target, size_t length)
{
    uint8_t text[STORE_SYMLINK_MAX];

    for (size_t i = 0; i < length; i++)
        text[i] = target[i] == '/' ? '\\' : target[i];
    return utf16_from_utf8(writer, text, length);
}

/* The part that FSCTL_GET_REPARSE_POINT and the error share (MS-FSCC 2.1.2.4): offsets, flags, both names. */
static bool write_link(struct writer *writer, const uint8_t *target, size_t length)
{
    size_t at = writer->length, names, name;

    writer_zeros(writer, 8);
    writer_le32(writer, length > 0 && target[0] == '/' ? 0 : SYMLINK_RELATIVE);
    names = writer->length;
    if (!write_target(writer, target, length))
        return false;
    name = writer->length - names;
    if (!write_target(writer, target, length) || writer->failed || name > UINT16_MAX / 2)
        return false;
    writer_patch_le16(writer, at, 0);
    writer_patch_le16(writer, at + 2, (uint16_t)name);
    writer_patch_le16(writer, at + 4, (uint16_t)name);
    writer_patch_le16(writer, at + 6, (uint16_t)name);
    return true;
}

uint32_t smb2__reparse_stop(struct smb2_request *request, struct inode *link, size_t unparsed)
{
    uint8_t target[STORE_SYMLINK_MAX];
    struct writer writer;
    size_t length, start;

    if (vfs_readlink(&request->context, link, target, &length) != ERR_OK)
        return STATUS_IO_REPARSE_TAG_NOT_HANDLED;
    writer_init_growing(&writer, REPARSE_MAX);
    /* MS-SMB2 2.2.2.2.1 */
    writer_le32(&writer, 0);
    writer_le32(&writer, ERROR_SYMLINK);
    writer_le32(&writer, TAG_SYMLINK);
    writer_le16(&writer, 0);
    writer_le16(&writer, (uint16_t)unparsed);
    start = writer.length;
    if (!write_link(&writer, target, length)) {
        writer_free(&writer);
        return STATUS_IO_REPARSE_TAG_NOT_HANDLED;
    }
    writer_patch_le32(&writer, 0, (uint32_t)(writer.length - 4));
    writer_patch_le16(&writer, 12, (uint16_t)(writer.length - start));
    smb2__request_error_data(request, writer.data, writer.length);
    writer_free(&writer);
    return STATUS_STOPPED_ON_SYMLINK;
}

/* ---- asking ---- */

static uint32_t get_link(struct smb2_request *request, struct writer *output)
{
    uint8_t target[STORE_SYMLINK_MAX];
    size_t length, start;
    enum err err = vfs_readlink(&request->context, request->open->inode, target, &length);

    if (err != ERR_OK)
        return smb2__status(err);
    writer_le32(output, TAG_SYMLINK);
    writer_le32(output, 0);
    start = output->length;
    if (!write_link(output, target, length))
        return output->failed ? STATUS_BUFFER_TOO_SMALL : STATUS_IO_REPARSE_DATA_INVALID;
    writer_patch_le16(output, start - 4, (uint16_t)(output->length - start));
    return STATUS_SUCCESS;
}

static uint32_t get_special(const struct inode_attr *attr, struct writer *output)
{
    bool device = attr->type == INODE_BLOCK_DEVICE || attr->type == INODE_CHARACTER_DEVICE;
    uint64_t type = attr->type == INODE_FIFO           ? NFS_FIFO
                    : attr->type == INODE_SOCKET       ? NFS_SOCK
                    : attr->type == INODE_BLOCK_DEVICE ? NFS_BLK
                                                       : NFS_CHR;

    writer_le32(output, TAG_NFS);
    writer_le16(output, device ? 16 : 8);
    writer_le16(output, 0);
    writer_le64(output, type);
    if (device) {
        writer_le32(output, attr->device_major);
        writer_le32(output, attr->device_minor);
    }
    return output->failed ? STATUS_BUFFER_TOO_SMALL : STATUS_SUCCESS;
}

static uint32_t get(struct smb2_request *request, struct writer *output)
{
    struct inode *file = smb2_open_file(request->open);
    struct inode_attr attr;
    const uint8_t *data;
    size_t length;

    vfs_getattr(file, &attr);
    if (smb2__reparse_tag(file, &attr) == 0)
        return STATUS_NOT_A_REPARSE_POINT;
    if (attr.type == INODE_SYMLINK)
        return get_link(request, output);
    if (attr.type != INODE_FILE && attr.type != INODE_DIRECTORY)
        return get_special(&attr, output);
    if (vfs_reparse_get(file, &data, &length) != ERR_OK)
        return STATUS_NOT_A_REPARSE_POINT;
    writer_bytes(output, data, length);
    return output->failed ? STATUS_BUFFER_TOO_SMALL : STATUS_SUCCESS;
}

uint32_t smb2__fsctl_get_reparse(struct smb2_request *request, struct smb2_ioctl *ioctl)
{
    struct writer *writer = smb2_reply(request);
    size_t start = writer->length;
    uint32_t status = smb2__request_context(request);

    if (status == STATUS_SUCCESS)
        status = get(request, writer);
    if (status == STATUS_SUCCESS && writer->length - start > ioctl->most_output)
        return STATUS_BUFFER_TOO_SMALL;
    return status;
}

/* ---- setting ---- */

/* What the data says, as something to be made. */
struct wish {
    struct vfs_create create;
    uint8_t target[STORE_SYMLINK_MAX];
};

static uint32_t take_target(struct wish *wish, struct reader name)
{
    struct writer writer;

    writer_init(&writer, wish->target, sizeof wish->target);
    if (!utf16_to_utf8(&writer, name.at, name.left) || writer.failed || writer.length == 0 ||
        memchr(wish->target, 0, writer.length) != NULL)
        return STATUS_IO_REPARSE_DATA_INVALID;
    for (size_t i = 0; i < writer.length; i++)
        if (wish->target[i] == '\\')
            wish->target[i] = '/';
    wish->create.type = INODE_SYMLINK;
    wish->create.target = wish->target;
    wish->create.target_length = writer.length;
    return STATUS_SUCCESS;
}

static uint32_t take_link(struct wish *wish, struct reader data)
{
    uint16_t offset, length;
    struct reader names, name;
    uint32_t flags;

    if (!reader_le16(&data, &offset) || !reader_le16(&data, &length) || !reader_skip(&data, 4) ||
        !reader_le32(&data, &flags))
        return STATUS_IO_REPARSE_DATA_INVALID;
    names = data;
    if (!reader_skip(&names, offset) || !reader_sub(&names, length, &name))
        return STATUS_IO_REPARSE_DATA_INVALID;
    return take_target(wish, name);
}

static uint32_t take_special(struct wish *wish, struct reader data)
{
    uint64_t type;

    if (!reader_le64(&data, &type))
        return STATUS_IO_REPARSE_DATA_INVALID;
    switch (type) {
    case NFS_LNK:
        return take_target(wish, data);
    case NFS_FIFO:
        wish->create.type = INODE_FIFO;
        return STATUS_SUCCESS;
    case NFS_SOCK:
        wish->create.type = INODE_SOCKET;
        return STATUS_SUCCESS;
    case NFS_CHR:
    case NFS_BLK:
        wish->create.type = type == NFS_CHR ? INODE_CHARACTER_DEVICE : INODE_BLOCK_DEVICE;
        if (!reader_le32(&data, &wish->create.device_major) ||
            !reader_le32(&data, &wish->create.device_minor))
            return STATUS_IO_REPARSE_DATA_INVALID;
        return STATUS_SUCCESS;
    default:
        return STATUS_IO_REPARSE_DATA_INVALID;
    }
}

/* Something else takes the place of what the open is of; the open is then one of that. */
static uint32_t become(struct smb2_request *request, const struct vfs_create *create)
{
    const struct smb_server *server = request->message->server;
    struct smb2_open *open = request->open;
    struct store_name name = {.bytes = open->name, .length = open->name_length};
    struct inode *fresh;
    enum err err;

    for (struct smb2_open *at = NULL; (at = smb2__file_next(server, open->inode, at)) != NULL;)
        if (at != open)
            return STATUS_SHARING_VIOLATION;
    if (open->dir == NULL)
        return STATUS_ACCESS_DENIED;
    err = vfs_replace(&request->context, open->dir, name, open->inode, create, &fresh);
    return err == ERR_OK ? smb2__open_move(request->message->server, open, fresh) : smb2__status(err);
}

static bool may_write(const struct smb2_open *open)
{
    return (open->access & (SMB2_ACCESS_WRITE_DATA | SMB2_ACCESS_WRITE_ATTRIBUTES)) != 0;
}

static bool has_entries(struct smb2_request *request)
{
    bool any;

    return smb2__has_entries(&request->context, request->open->inode, &any) != ERR_OK || any;
}

static uint32_t set(struct smb2_request *request, struct reader input)
{
    struct smb2_open *open = request->open;
    struct reader reader = input, data;
    struct wish wish = {.create = {.how = VFS_CREATE_GUARDED}};
    struct inode_attr attr;
    uint32_t tag, old, status;
    uint16_t length;

    if (!may_write(open))
        return STATUS_ACCESS_DENIED;
    if (open->base != NULL || input.left > REPARSE_MAX)
        return STATUS_INVALID_PARAMETER;
    if (!reader_le32(&reader, &tag) || !reader_le16(&reader, &length) || !reader_skip(&reader, 2) ||
        !reader_sub(&reader, length, &data) || reader.left != 0)
        return STATUS_IO_REPARSE_DATA_INVALID;
    if (tag < 2)
        return STATUS_IO_REPARSE_TAG_INVALID;
    vfs_getattr(open->inode, &attr);
    old = smb2__reparse_tag(open->inode, &attr);
    if (old != 0 && old != tag)
        return STATUS_IO_REPARSE_TAG_MISMATCH;
    if (attr.type == INODE_DIRECTORY && has_entries(request))
        return STATUS_DIRECTORY_NOT_EMPTY;
    if (tag != TAG_SYMLINK && tag != TAG_NFS)
        return smb2__status(vfs_reparse_set(&request->context, open->inode, input.at, input.left));
    status = tag == TAG_SYMLINK ? take_link(&wish, data) : take_special(&wish, data);
    if (status != STATUS_SUCCESS)
        return status;
    if (attr.type == INODE_DIRECTORY) {
        wish.create.set.set = VFS_SET_DOS_ATTRIBUTES;
        wish.create.set.dos_attributes = attr.dos_attributes | SMB2_ATTRIBUTE_DIRECTORY;
    }
    return become(request, &wish.create);
}

static uint32_t take_away(struct smb2_request *request, struct reader input)
{
    static const struct vfs_create plain = {.type = INODE_FILE, .how = VFS_CREATE_GUARDED};
    struct smb2_open *open = request->open;
    struct inode_attr attr;
    uint32_t tag, old;

    if (!may_write(open))
        return STATUS_ACCESS_DENIED;
    if (open->base != NULL || !reader_le32(&input, &tag))
        return STATUS_INVALID_PARAMETER;
    vfs_getattr(open->inode, &attr);
    old = smb2__reparse_tag(open->inode, &attr);
    if (old == 0)
        return STATUS_NOT_A_REPARSE_POINT;
    if (old != tag)
        return STATUS_IO_REPARSE_TAG_MISMATCH;
    if (attr.type == INODE_FILE || attr.type == INODE_DIRECTORY)
        return smb2__status(vfs_reparse_set(&request->context, open->inode, NULL, 0));
    return become(request, &plain);
}

uint32_t smb2__fsctl_set_reparse(struct smb2_request *request, struct smb2_ioctl *ioctl)
{
    uint32_t status = smb2__request_context(request);

    if (status == STATUS_SUCCESS)
        status = set(request, ioctl->input);
    return status;
}

uint32_t smb2__fsctl_delete_reparse(struct smb2_request *request, struct smb2_ioctl *ioctl)
{
    uint32_t status = smb2__request_context(request);

    if (status == STATUS_SUCCESS)
        status = take_away(request, ioctl->input);
    return status;
}
