/*
 * smb2_query_info.c - QUERY_INFO (MS-SMB2 2.2.37, 3.3.5.20; MS-FSCC 2.4, 2.5): of files, of the file system,
 * and owner, group and DACL as the mode has them.
 */
#include "smb/smb2_priv.h"
#include "smb/smb2_time.h"
#include "dittofs/security_descriptor.h"

#include <string.h>

enum { OF_FILE = 1, OF_FILESYSTEM = 2, OF_SECURITY = 3, BODY_FIXED = 8 };
enum { SECURITY_OWNER = 1, SECURITY_GROUP = 2, SECURITY_DACL = 4 };
enum { SECTOR_SIZE = 512, SECTORS = 8, UNIT_SIZE = SECTOR_SIZE * SECTORS };

struct query_args {
    uint8_t type, class;
    uint32_t room, additional;
};

static bool decode(struct smb2_request *request, struct query_args *args)
{
    struct reader *reader = &request->body;

    return reader_skip(reader, 2) && reader_u8(reader, &args->type) && reader_u8(reader, &args->class) &&
           reader_le32(reader, &args->room) && reader_skip(reader, 8) &&
           reader_le32(reader, &args->additional);
}

/* ---- of a file ---- */

struct subject {
    struct writer *writer;
    struct smb2_open *open;
    struct inode_attr attr;
};

static void write_basic(const struct subject *subject)
{
    smb2__write_times(subject->writer, &subject->attr);
    writer_le32(subject->writer, smb2__attributes(&subject->attr));
    writer_le32(subject->writer, 0);
}

static void write_standard(const struct subject *subject)
{
    writer_le64(subject->writer, smb2__allocation(&subject->attr));
    writer_le64(subject->writer, smb2__end_of_file(&subject->attr));
    writer_le32(subject->writer, subject->open->is_directory ? 1 : subject->attr.nlink);
    writer_u8(subject->writer, subject->open->delete_pending);
    writer_u8(subject->writer, subject->open->is_directory);
    writer_le16(subject->writer, 0);
}

static void write_internal(const struct subject *subject)
{
    writer_le64(subject->writer, subject->attr.ino);
}

static void write_zero32(const struct subject *subject)
{
    writer_le32(subject->writer, 0);
}

static void write_access(const struct subject *subject)
{
    writer_le32(subject->writer, subject->open->access);
}

static void write_position(const struct subject *subject)
{
    writer_le64(subject->writer, subject->open->position);
}

static void write_mode(const struct subject *subject)
{
    writer_le32(subject->writer, subject->open->mode);
}

/* MS-FSCC 2.4.2; the name at its end is left empty: opens do not keep their path. */
static void write_all(const struct subject *subject)
{
    write_basic(subject);
    write_standard(subject);
    write_internal(subject);
    write_zero32(subject);
    write_access(subject);
    write_position(subject);
    write_mode(subject);
    write_zero32(subject);
    write_zero32(subject);
}

/* MS-FSCC 2.4.44: files have their unnamed stream, directories none. */
static void write_streams(const struct subject *subject)
{
    static const char name[] = "::$DATA";

    if (subject->open->is_directory)
        return;
    writer_le32(subject->writer, 0);
    writer_le32(subject->writer, 2 * (sizeof name - 1));
    writer_le64(subject->writer, smb2__end_of_file(&subject->attr));
    writer_le64(subject->writer, smb2__allocation(&subject->attr));
    if (!utf16_from_utf8(subject->writer, name, sizeof name - 1))
        subject->writer->failed = true;
}

static void write_compression(const struct subject *subject)
{
    writer_le64(subject->writer, smb2__end_of_file(&subject->attr));
    writer_zeros(subject->writer, 8);
}

static void write_network_open(const struct subject *subject)
{
    smb2__write_times(subject->writer, &subject->attr);
    writer_le64(subject->writer, smb2__allocation(&subject->attr));
    writer_le64(subject->writer, smb2__end_of_file(&subject->attr));
    writer_le32(subject->writer, smb2__attributes(&subject->attr));
    writer_le32(subject->writer, 0);
}

static void write_attribute_tag(const struct subject *subject)
{
    writer_le32(subject->writer, smb2__attributes(&subject->attr));
    writer_le32(subject->writer, 0);
}

static void write_id(const struct subject *subject)
{
    writer_le64(subject->writer, subject->open->tree->export_id);
    writer_le64(subject->writer, subject->attr.ino);
    writer_le64(subject->writer, 0);
}

/* MS-FSCC 2.4, by class. */
static const struct {
    void (*write)(const struct subject *subject);
    bool needs_attributes; /* FILE_READ_ATTRIBUTES */
} file_classes[] = {
    [4] = {write_basic, true},          [5] = {write_standard, false},     [6] = {write_internal, false},
    [7] = {write_zero32, false},        [8] = {write_access, false},       [14] = {write_position, false},
    [16] = {write_mode, false},         [17] = {write_zero32, false},      [18] = {write_all, true},
    [22] = {write_streams, false},      [28] = {write_compression, false}, [34] = {write_network_open, true},
    [35] = {write_attribute_tag, true}, [59] = {write_id, false},
};

static uint32_t query_file(struct smb2_request *request, const struct query_args *args)
{
    struct subject subject = {.writer = smb2_reply(request), .open = request->open};

    if (args->class >= sizeof file_classes / sizeof *file_classes || file_classes[args->class].write == NULL)
        return STATUS_INVALID_INFO_CLASS;
    if (file_classes[args->class].needs_attributes && !(request->open->access & SMB2_ACCESS_READ_ATTRIBUTES))
        return STATUS_ACCESS_DENIED;
    vfs_getattr(request->open->inode, &subject.attr);
    file_classes[args->class].write(&subject);
    return STATUS_SUCCESS;
}

/* ---- of the file system: MS-FSCC 2.5 ---- */

static uint32_t write_volume(struct smb2_request *request)
{
    const struct smb_server *server = request->message->server;
    const char *label = vfs_export_config(request->context.export)->name;
    struct writer *writer = smb2_reply(request);
    size_t at;

    writer_le64(writer, smb2_filetime(server->started));
    writer_le32(writer, request->tree->export_id);
    at = writer->length;
    writer_le32(writer, 0);
    writer_le16(writer, 0);
    if (!utf16_from_utf8(writer, label, strlen(label)))
        return STATUS_SUCCESS; /* no label that can be said */
    if (!writer->failed)
        writer_patch_le32(writer, at, (uint32_t)(writer->length - at - 6));
    return STATUS_SUCCESS;
}

static void write_size(struct smb2_request *request, bool full)
{
    struct writer *writer = smb2_reply(request);
    struct vfs_space space;

    vfs_space(&request->context, &space);
    writer_le64(writer, space.total_bytes / UNIT_SIZE);
    writer_le64(writer, space.available_bytes / UNIT_SIZE);
    if (full)
        writer_le64(writer, space.free_bytes / UNIT_SIZE);
    writer_le32(writer, SECTORS);
    writer_le32(writer, SECTOR_SIZE);
}

static void write_sector_size(struct writer *writer)
{
    for (int i = 0; i < 4; i++)
        writer_le32(writer, i == 0 ? SECTOR_SIZE : UNIT_SIZE);
    writer_le32(writer, 3); /* aligned, and no seek penalty to be known of */
    writer_le32(writer, 0);
    writer_le32(writer, 0);
}

enum { FS_VOLUME = 1, FS_SIZE = 3, FS_DEVICE = 4, FS_ATTRIBUTE = 5, FS_FULL_SIZE = 7, FS_SECTOR_SIZE = 11 };
enum { DEVICE_DISK = 7, DEVICE_MOUNTED = 0x20, FS_CASE_PRESERVED = 2, FS_UNICODE = 4, FS_ACLS = 8 };
/* What the FSCTLs can do (MS-FSCC 2.5.1). */
enum { FS_SPARSE = 0x40, FS_OBJECT_IDS = 0x10000, FS_BLOCK_SHARING = 0x08000000 };

static uint32_t query_filesystem(struct smb2_request *request, const struct query_args *args)
{
    struct writer *writer = smb2_reply(request);

    switch (args->class) {
    case FS_VOLUME:
        return write_volume(request);
    case FS_SIZE:
        write_size(request, false);
        return STATUS_SUCCESS;
    case FS_DEVICE:
        writer_le32(writer, DEVICE_DISK);
        writer_le32(writer, DEVICE_MOUNTED);
        return STATUS_SUCCESS;
    case FS_ATTRIBUTE:
        writer_le32(writer,
                    FS_CASE_PRESERVED | FS_UNICODE | FS_ACLS | FS_SPARSE | FS_OBJECT_IDS | FS_BLOCK_SHARING);
        writer_le32(writer, STORE_NAME_MAX);
        writer_le32(writer, 8);
        return utf16_from_utf8(writer, "NTFS", 4) ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
    case FS_FULL_SIZE:
        write_size(request, true);
        return STATUS_SUCCESS;
    case FS_SECTOR_SIZE:
        write_sector_size(writer);
        return STATUS_SUCCESS;
    default:
        return STATUS_INVALID_INFO_CLASS;
    }
}

/* ---- security ---- */

/* Three bits of a mode as an access mask. */
static uint32_t mask_of(uint32_t bits, bool directory)
{
    uint32_t mask = SMB2_ACCESS_READ_ATTRIBUTES | SMB2_ACCESS_READ_CONTROL | SMB2_ACCESS_SYNCHRONIZE;

    if (bits & 4)
        mask |= SMB2_ACCESS_READ_DATA | SMB2_ACCESS_READ_EA;
    if (bits & 2)
        mask |= SMB2_ACCESS_ANY_WRITE | SMB2_ACCESS_WRITE_EA | SMB2_ACCESS_WRITE_ATTRIBUTES |
                (directory ? SMB2_ACCESS_DELETE_CHILD : 0);
    if (bits & 1)
        mask |= SMB2_ACCESS_EXECUTE;
    return mask;
}

static uint32_t query_security(struct smb2_request *request, const struct query_args *args)
{
    const struct identity *identity = request->message->server->identity;
    struct inode_attr attr;
    struct sid owner, group;
    struct sec_ace aces[3] = {
        {.type = SEC_ACE_ALLOWED}, {.type = SEC_ACE_ALLOWED}, {.type = SEC_ACE_ALLOWED}};
    struct sec_acl dacl = {.count = 3, .aces = aces};
    struct sec_descriptor descriptor = {.control = 0};

    if (!(request->open->access & SMB2_ACCESS_READ_CONTROL))
        return STATUS_ACCESS_DENIED;
    if (args->additional & ~(uint32_t)(SECURITY_OWNER | SECURITY_GROUP | SECURITY_DACL))
        return STATUS_ACCESS_DENIED;
    vfs_getattr(request->open->inode, &attr);
    owner = aces[0].sid = ident_uid_to_sid(identity, attr.uid);
    group = aces[1].sid = ident_gid_to_sid(identity, attr.gid);
    aces[2].sid = sid_everyone;
    aces[0].mask = mask_of(attr.mode >> 6, request->open->is_directory) | SMB2_ACCESS_WRITE_DAC |
                   SMB2_ACCESS_WRITE_OWNER | SMB2_ACCESS_WRITE_ATTRIBUTES;
    aces[1].mask = mask_of(attr.mode >> 3, request->open->is_directory);
    aces[2].mask = mask_of(attr.mode, request->open->is_directory);
    if (args->additional & SECURITY_OWNER)
        descriptor.owner = &owner;
    if (args->additional & SECURITY_GROUP)
        descriptor.group = &group;
    if (args->additional & SECURITY_DACL) {
        descriptor.control = SEC_DACL_PRESENT;
        descriptor.dacl = &dacl;
    }
    return smb2__status(sec_descriptor_write(smb2_reply(request), &descriptor));
}

uint32_t smb2__query_info(struct smb2_request *request)
{
    struct writer *writer = smb2_reply(request);
    size_t body_at = writer->length, start;
    struct query_args args;
    uint32_t status;

    if (!decode(request, &args) || !smb2__is_paid(request, args.room))
        return STATUS_INVALID_PARAMETER;
    if (args.room > SMB2_IO_MAX)
        args.room = SMB2_IO_MAX;
    status = smb2__request_context(request);
    if (status != STATUS_SUCCESS)
        return status;
    writer_le16(writer, 9);
    writer_le16(writer, SMB2_HEADER_SIZE + BODY_FIXED);
    writer_le32(writer, 0);
    start = writer->length;
    if (args.type == OF_FILE)
        status = query_file(request, &args);
    else if (args.type == OF_FILESYSTEM)
        status = query_filesystem(request, &args);
    else
        status = args.type == OF_SECURITY ? query_security(request, &args) : STATUS_NOT_SUPPORTED;
    if (status != STATUS_SUCCESS)
        return status;
    if (writer->failed)
        return STATUS_INSUFFICIENT_RESOURCES;
    if (writer->length - start > args.room)
        return args.type == OF_SECURITY ? STATUS_BUFFER_TOO_SMALL : STATUS_INFO_LENGTH_MISMATCH;
    writer_patch_le32(writer, body_at + 4, (uint32_t)(writer->length - start));
    return STATUS_SUCCESS;
}
