/*
 * smb2_query_info.c - QUERY_INFO (MS-SMB2 2.2.37, 3.3.5.20; MS-FSCC 2.4, 2.5): of files, of the file system.
 * Security descriptors are smb2_security.c's, extended attributes smb2_ea.c's. There are no quotas.
 */
#include "smb/smb2_file_priv.h"
#include "smb/smb2_time.h"

#include <string.h>

enum { OF_FILE = 1, OF_FILESYSTEM = 2, OF_SECURITY = 3, OF_QUOTA = 4, BODY_FIXED = 8 };
enum { FLAG_RESTART = 1, FLAG_SINGLE = 2 };
enum { SECTOR_SIZE = 512, SECTORS = 8, UNIT_SIZE = SECTOR_SIZE * SECTORS };
enum { SECTORS_ALIGNED = 1 | 2, SECTORS_TRIM = 8 }; /* MS-FSCC 2.5.7: of device and partition */

struct query_args {
    uint8_t type, class;
    uint32_t room, input_length, additional, flags;
    uint16_t input_offset;
    struct reader input;
};

static bool decode(struct smb2_request *request, struct query_args *args)
{
    struct reader *reader = &request->body;

    return reader_skip(reader, 2) && reader_u8(reader, &args->type) && reader_u8(reader, &args->class) &&
           reader_le32(reader, &args->room) && reader_le16(reader, &args->input_offset) &&
           reader_skip(reader, 2) && reader_le32(reader, &args->input_length) &&
           reader_le32(reader, &args->additional) && reader_le32(reader, &args->flags) &&
           smb2__request_part(request, args->input_length == 0 ? 0 : args->input_offset, args->input_length,
                              &args->input);
}

/* ---- of a file ---- */

struct subject {
    struct smb2_request *request;
    struct writer *writer;
    struct smb2_open *open;
    struct inode_attr attr;
};

static void write_basic(struct subject *subject)
{
    smb2__write_times(subject->writer, &subject->attr);
    writer_le32(subject->writer, smb2__attributes(&subject->attr));
    writer_le32(subject->writer, 0);
}

/* A file that is going has one link less (MS-FSA 2.1.5.12.27). */
static uint32_t links(const struct subject *subject, bool going)
{
    uint32_t count = subject->attr.type == INODE_DIRECTORY ? 1 : subject->attr.nlink;

    return going && count > 0 ? count - 1 : count;
}

static void write_standard(struct subject *subject)
{
    const struct smb2_open *open = subject->open;
    bool going = smb2__file_is_going(subject->request->message->server, smb2_open_file(open), open->inode);

    writer_le64(subject->writer, smb2__allocation(&subject->attr));
    writer_le64(subject->writer, smb2__end_of_file(&subject->attr));
    writer_le32(subject->writer, links(subject, going));
    writer_u8(subject->writer, going);
    writer_u8(subject->writer, open->is_directory);
    writer_le16(subject->writer, 0);
}

static void write_internal(struct subject *subject)
{
    writer_le64(subject->writer, subject->attr.ino);
}

static void write_zero32(struct subject *subject)
{
    writer_le32(subject->writer, 0);
}

static void write_ea(struct subject *subject)
{
    writer_le32(subject->writer, smb2__ea_size(&subject->request->context, smb2_open_file(subject->open)));
}

static void write_access(struct subject *subject)
{
    writer_le32(subject->writer, subject->open->access);
}

static void write_position(struct subject *subject)
{
    writer_le64(subject->writer, subject->open->position);
}

static void write_mode(struct subject *subject)
{
    writer_le32(subject->writer, subject->open->mode);
}

/* The length of the name, and the name behind the share: with a separator in front, or without. */
static void write_path(struct subject *subject, bool normalized)
{
    size_t at = subject->writer->length;
    struct writer path;

    writer_init_growing(&path, 2 * SMB2_PATH_MAX);
    if (!normalized)
        writer_u8(&path, '\\');
    if (smb2__open_path(&subject->request->context, subject->open, &path) != STATUS_SUCCESS)
        writer_truncate(&path, 0);
    writer_le32(subject->writer, 0);
    if (utf16_from_utf8(subject->writer, path.data, path.length) && !subject->writer->failed)
        writer_patch_le32(subject->writer, at, (uint32_t)(subject->writer->length - at - 4));
    writer_free(&path);
}

static void write_name(struct subject *subject)
{
    write_path(subject, false);
}

static void write_normalized(struct subject *subject)
{
    write_path(subject, true);
}

/* MS-FSCC 2.4.5 */
static void write_alternate(struct subject *subject)
{
    const struct smb2_open *open = subject->open;
    struct store_name name = {.bytes = open->name, .length = open->name_length};
    char text[SMB2_SHORT_NAME_MAX + 1];
    size_t at = subject->writer->length;

    smb2__short_name(name, text);
    writer_le32(subject->writer, 0);
    if (utf16_from_utf8(subject->writer, text, strlen(text)) && !subject->writer->failed)
        writer_patch_le32(subject->writer, at, (uint32_t)(subject->writer->length - at - 4));
}

/* MS-FSCC 2.4.2 */
static void write_all(struct subject *subject)
{
    write_basic(subject);
    write_standard(subject);
    write_internal(subject);
    write_ea(subject);
    write_access(subject);
    write_position(subject);
    write_mode(subject);
    write_zero32(subject);
    write_name(subject);
}

/* ---- streams: MS-FSCC 2.4.44 ---- */

struct streams {
    struct writer *writer;
    size_t start, last;
    bool any;
};

static bool add_stream(void *data, struct store_name name, struct inode *stream)
{
    static const char type[] = ":$DATA";
    struct streams *streams = data;
    struct writer *writer = streams->writer;
    struct inode_attr attr;
    size_t before = writer->length, at, name_at;

    vfs_getattr(stream, &attr);
    while ((writer->length - streams->start) % 8 != 0 && !writer->failed)
        writer_u8(writer, 0);
    at = writer->length;
    writer_le32(writer, 0);
    writer_le32(writer, 0);
    writer_le64(writer, smb2__end_of_file(&attr));
    writer_le64(writer, smb2__allocation(&attr));
    name_at = writer->length;
    writer_le16(writer, ':');
    if (!utf16_from_utf8(writer, name.bytes, name.length) ||
        !utf16_from_utf8(writer, type, sizeof type - 1)) {
        writer_truncate(writer, before);
        return true;
    }
    if (writer->failed)
        return false;
    writer_patch_le32(writer, at + 4, (uint32_t)(writer->length - name_at));
    if (streams->any)
        writer_patch_le32(writer, streams->last, (uint32_t)(at - streams->last));
    streams->last = at;
    streams->any = true;
    return true;
}

/* Files have their unnamed stream, directories none. */
static void write_streams(struct subject *subject)
{
    const struct store_name unnamed = {.bytes = (const uint8_t *)"", .length = 0};
    struct streams streams = {.writer = subject->writer, .start = subject->writer->length};
    struct inode *file = smb2_open_file(subject->open);
    struct inode_attr attr;

    vfs_getattr(file, &attr);
    if (attr.type != INODE_FILE && attr.type != INODE_DIRECTORY)
        return;
    if (attr.type == INODE_FILE)
        (void)add_stream(&streams, unnamed, file);
    if (vfs_stream_list(&subject->request->context, file, add_stream, &streams) != ERR_OK)
        subject->writer->failed = true;
}

static void write_compression(struct subject *subject)
{
    writer_le64(subject->writer, smb2__end_of_file(&subject->attr));
    writer_zeros(subject->writer, 8);
}

static void write_network_open(struct subject *subject)
{
    smb2__write_times(subject->writer, &subject->attr);
    writer_le64(subject->writer, smb2__allocation(&subject->attr));
    writer_le64(subject->writer, smb2__end_of_file(&subject->attr));
    writer_le32(subject->writer, smb2__attributes(&subject->attr));
    writer_le32(subject->writer, 0);
}

static void write_attribute_tag(struct subject *subject)
{
    writer_le32(subject->writer, smb2__attributes(&subject->attr));
    writer_le32(subject->writer, smb2__reparse_tag(smb2_open_file(subject->open), &subject->attr));
}

/* MS-FSCC 2.4.26: all that QFid says, but for its order */
static void write_id(struct subject *subject)
{
    writer_le64(subject->writer, subject->open->tree->export_id);
    writer_le64(subject->writer, subject->attr.ino);
    writer_le64(subject->writer, 0);
}

/* MS-FSCC 2.4.41: nobody needs hard links' ids to be told apart; one entry a link */
static void write_standard_link(struct subject *subject)
{
    const struct smb2_open *open = subject->open;
    bool going = smb2__file_is_going(subject->request->message->server, smb2_open_file(open), open->inode);

    writer_le32(subject->writer, links(subject, going));
    writer_le32(subject->writer, links(subject, false));
    writer_u8(subject->writer, going);
    writer_u8(subject->writer, open->is_directory);
    writer_le16(subject->writer, 0);
}

enum { CLASS_FULL_EA = 15, CLASS_NORMALIZED_NAME = 48 };

/* MS-FSCC 2.4, by class. */
static const struct file_class {
    void (*write)(struct subject *subject);
    uint16_t least; /* bytes that must have room: what lies behind may be cut off */
    uint32_t needs; /* access */
} file_classes[] = {
    [4] = {write_basic, 40, SMB2_ACCESS_READ_ATTRIBUTES},
    [5] = {write_standard, 24, 0},
    [6] = {write_internal, 8, 0},
    [7] = {write_ea, 4, 0},
    [8] = {write_access, 4, 0},
    [9] = {write_name, 8, 0},
    [14] = {write_position, 8, 0},
    [16] = {write_mode, 4, 0},
    [17] = {write_zero32, 4, 0},
    [18] = {write_all, 104, SMB2_ACCESS_READ_ATTRIBUTES},
    [21] = {write_alternate, 8, 0},
    [22] = {write_streams, 32, 0},
    [28] = {write_compression, 16, 0},
    [34] = {write_network_open, 56, SMB2_ACCESS_READ_ATTRIBUTES},
    [35] = {write_attribute_tag, 8, SMB2_ACCESS_READ_ATTRIBUTES},
    [48] = {write_normalized, 8, 0},
    [54] = {write_standard_link, 12, 0},
    [59] = {write_id, 24, 0},
};

static uint32_t query_eas(struct smb2_request *request, const struct query_args *args)
{
    if (!(request->open->access & SMB2_ACCESS_READ_EA))
        return STATUS_ACCESS_DENIED;
    return smb2__ea_query(request, args->input, (args->flags & FLAG_RESTART) != 0,
                          (args->flags & FLAG_SINGLE) != 0, args->room);
}

/* What does not fit is cut off where only a name or list lies behind what is fixed (MS-SMB2 3.3.5.20.1). */
static uint32_t cut(struct smb2_request *request, size_t start, size_t room)
{
    struct writer *writer = smb2_reply(request);

    if (writer->failed)
        return STATUS_INSUFFICIENT_RESOURCES;
    if (writer->length - start <= room)
        return STATUS_SUCCESS;
    writer_truncate(writer, start + room);
    return STATUS_BUFFER_OVERFLOW;
}

static uint32_t query_file(struct smb2_request *request, const struct query_args *args)
{
    struct subject subject = {.request = request, .writer = smb2_reply(request), .open = request->open};
    size_t start = subject.writer->length;
    const struct file_class *row;

    if (args->class == CLASS_FULL_EA)
        return query_eas(request, args);
    /* MS-SMB2 3.3.5.20.1 */
    if (args->class == CLASS_NORMALIZED_NAME && request->message->conn->dialect < 0x0311)
        return STATUS_NOT_SUPPORTED;
    if (args->class >= sizeof file_classes / sizeof *file_classes || file_classes[args->class].write == NULL)
        return STATUS_INVALID_INFO_CLASS;
    row = &file_classes[args->class];
    if (args->room < row->least)
        return STATUS_INFO_LENGTH_MISMATCH;
    if ((request->open->access & row->needs) != row->needs)
        return STATUS_ACCESS_DENIED;
    smb2__open_attr(request->open, &subject.attr);
    row->write(&subject);
    return cut(request, start, args->room);
}

/* ---- of the file system: MS-FSCC 2.5 ---- */

static void write_volume(struct smb2_request *request)
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
    /* No label, when it can't be said. */
    if (utf16_from_utf8(writer, label, strlen(label)) && !writer->failed)
        writer_patch_le32(writer, at, (uint32_t)(writer->length - at - 6));
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
    writer_le32(writer, SECTORS_ALIGNED | SECTORS_TRIM);
    writer_le32(writer, 0);
    writer_le32(writer, 0);
}

/* MS-FSCC 2.5.2: there are no quotas, and so no limits */
static void write_control(struct writer *writer)
{
    writer_zeros(writer, 24);
    writer_le64(writer, UINT64_MAX);
    writer_le64(writer, UINT64_MAX);
    writer_le32(writer, 0);
    writer_le32(writer, 0);
}

/* MS-FSCC 2.5.6: the server and the share */
static void write_object_id(struct smb2_request *request)
{
    struct writer *writer = smb2_reply(request);

    writer_bytes(writer, request->message->server->options.server_guid, 12);
    writer_le32(writer, request->tree->export_id);
    writer_zeros(writer, 48);
}

enum {
    FS_CASE_SENSITIVE = 1,
    FS_CASE_PRESERVED = 2,
    FS_UNICODE = 4,
    FS_ACLS = 8,
    FS_SPARSE = 0x40,
    FS_REPARSE = 0x80,
    FS_OBJECT_IDS = 0x10000,
    FS_STREAMS = 0x40000,
    FS_HARD_LINKS = 0x400000,
    FS_EAS = 0x800000,
    FS_BLOCK_SHARING = 0x08000000,
    DEVICE_DISK = 7,
    DEVICE_MOUNTED = 0x20,
};

static void write_device(struct smb2_request *request)
{
    writer_le32(smb2_reply(request), DEVICE_DISK);
    writer_le32(smb2_reply(request), DEVICE_MOUNTED);
}

static void write_attributes(struct smb2_request *request)
{
    struct writer *writer = smb2_reply(request);

    writer_le32(writer, FS_CASE_SENSITIVE | FS_CASE_PRESERVED | FS_UNICODE | FS_ACLS | FS_SPARSE |
                            FS_REPARSE | FS_STREAMS | FS_HARD_LINKS | FS_EAS | FS_OBJECT_IDS |
                            FS_BLOCK_SHARING);
    writer_le32(writer, STORE_NAME_MAX);
    writer_le32(writer, 8);
    if (!utf16_from_utf8(writer, "NTFS", 4))
        writer->failed = true;
}

static void write_short_size(struct smb2_request *request)
{
    write_size(request, false);
}

static void write_full_size(struct smb2_request *request)
{
    write_size(request, true);
}

static void write_quotas(struct smb2_request *request)
{
    write_control(smb2_reply(request));
}

static void write_sectors(struct smb2_request *request)
{
    write_sector_size(smb2_reply(request));
}

/* MS-FSCC 2.5, by class; `least` as above. */
static const struct fs_class {
    void (*write)(struct smb2_request *request);
    uint16_t least;
} fs_classes[] = {
    [1] = {write_volume, 24},     [3] = {write_short_size, 24}, [4] = {write_device, 8},
    [5] = {write_attributes, 16}, [6] = {write_quotas, 48},     [7] = {write_full_size, 32},
    [8] = {write_object_id, 64},  [11] = {write_sectors, 28},
};

static uint32_t query_filesystem(struct smb2_request *request, const struct query_args *args)
{
    size_t start = smb2_reply(request)->length;

    if (args->class >= sizeof fs_classes / sizeof *fs_classes || fs_classes[args->class].write == NULL)
        return STATUS_INVALID_INFO_CLASS;
    if (args->room < fs_classes[args->class].least)
        return STATUS_INFO_LENGTH_MISMATCH;
    fs_classes[args->class].write(request);
    return cut(request, start, args->room);
}

static uint32_t query_security(struct smb2_request *request, const struct query_args *args)
{
    struct writer *writer = smb2_reply(request);
    size_t start = writer->length;
    uint32_t status = smb2__security_query(request, args->additional);
    uint8_t needed[4];
    struct writer size;

    if (status != STATUS_SUCCESS || writer->failed || writer->length - start <= args->room)
        return status;
    /* MS-SMB2 3.3.5.20.3: how much it would be */
    writer_init(&size, needed, sizeof needed);
    writer_le32(&size, (uint32_t)(writer->length - start));
    smb2__request_error_data(request, needed, sizeof needed);
    return STATUS_BUFFER_TOO_SMALL;
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
    if (status != STATUS_SUCCESS && status != STATUS_BUFFER_OVERFLOW)
        return status;
    if (writer->failed)
        return STATUS_INSUFFICIENT_RESOURCES;
    writer_patch_le32(writer, body_at + 4, (uint32_t)(writer->length - start));
    return status;
}
