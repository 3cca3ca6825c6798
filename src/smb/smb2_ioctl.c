/*
 * smb2_ioctl.c - IOCTL (MS-SMB2 2.2.31, 3.3.5.15): the table of FSCTLs.
 *
 * What is not in the table answers STATUS_INVALID_DEVICE_REQUEST (3.3.5.15).
 */
#include "smb/smb2_ioctl.h"

enum { FLAG_FSCTL = 1, BODY_FIXED = 48, AT_OUTPUT_COUNT = 36 };
enum { FILE_AT = 8 }; /* of the body */

static bool decode(struct smb2_request *request, struct smb2_ioctl *ioctl, uint32_t *flags_r)
{
    struct reader reader = request->body;
    uint32_t offset, length;

    return reader_skip(&reader, 4) && reader_le32(&reader, &ioctl->code) && reader_skip(&reader, 16) &&
           reader_le32(&reader, &offset) && reader_le32(&reader, &length) && reader_skip(&reader, 12) &&
           reader_le32(&reader, &ioctl->most_output) && reader_le32(&reader, flags_r) &&
           smb2__request_part(request, length == 0 ? 0 : offset, length, &ioctl->input);
}

enum { ON_FILE = 1, ON_PIPE = 2 };

static const struct fsctl_row {
    uint32_t code;
    unsigned needs; /* a file id of a disk, of a pipe; 0: none */
    uint32_t (*run)(struct smb2_request *request, struct smb2_ioctl *ioctl);
} fsctls[] = {
    {FSCTL_VALIDATE_NEGOTIATE_INFO, 0, smb2__fsctl_validate_negotiate},
    {FSCTL_DFS_GET_REFERRALS, 0, smb2__fsctl_no_dfs},
    {FSCTL_DFS_GET_REFERRALS_EX, 0, smb2__fsctl_no_dfs},
    {FSCTL_QUERY_NETWORK_INTERFACE_INFO, 0, smb2__fsctl_interfaces},
    {FSCTL_PIPE_WAIT, 0, smb2__fsctl_pipe_wait},
    {FSCTL_PIPE_PEEK, ON_PIPE, smb2__fsctl_pipe_peek},
    {FSCTL_PIPE_TRANSCEIVE, ON_PIPE, smb2__fsctl_pipe_transceive},
    {FSCTL_SRV_ENUMERATE_SNAPSHOTS, ON_FILE, smb2__fsctl_snapshots},
    {FSCTL_SRV_READ_HASH, ON_FILE, smb2__fsctl_read_hash},
    {FSCTL_SRV_REQUEST_RESUME_KEY, ON_FILE, smb2__fsctl_resume_key},
    {FSCTL_SRV_COPYCHUNK, ON_FILE, smb2__fsctl_copychunk},
    {FSCTL_SRV_COPYCHUNK_WRITE, ON_FILE, smb2__fsctl_copychunk_write},
    {FSCTL_DUPLICATE_EXTENTS_TO_FILE, ON_FILE, smb2__fsctl_duplicate},
    {FSCTL_DUPLICATE_EXTENTS_TO_FILE_EX, ON_FILE, smb2__fsctl_duplicate_ex},
    {FSCTL_GET_REPARSE_POINT, ON_FILE, smb2__fsctl_get_reparse},
    {FSCTL_SET_REPARSE_POINT, ON_FILE, smb2__fsctl_set_reparse},
    {FSCTL_DELETE_REPARSE_POINT, ON_FILE, smb2__fsctl_delete_reparse},
    {FSCTL_SET_SPARSE, ON_FILE, smb2__fsctl_set_sparse},
    {FSCTL_SET_ZERO_DATA, ON_FILE, smb2__fsctl_set_zero_data},
    {FSCTL_QUERY_ALLOCATED_RANGES, ON_FILE, smb2__fsctl_query_ranges},
    {FSCTL_QUERY_FILE_REGIONS, ON_FILE, smb2__fsctl_query_regions},
    {FSCTL_FILE_LEVEL_TRIM, ON_FILE, smb2__fsctl_trim},
    {FSCTL_GET_COMPRESSION, ON_FILE, smb2__fsctl_get_compression},
    {FSCTL_SET_COMPRESSION, ON_FILE, smb2__fsctl_set_compression},
    {FSCTL_GET_INTEGRITY_INFORMATION, ON_FILE, smb2__fsctl_get_integrity},
    {FSCTL_SET_INTEGRITY_INFORMATION, ON_FILE, smb2__fsctl_set_integrity},
    {FSCTL_CREATE_OR_GET_OBJECT_ID, ON_FILE, smb2__fsctl_object_id},
    {FSCTL_GET_OBJECT_ID, ON_FILE, smb2__fsctl_object_id},
    {FSCTL_LMR_REQUEST_RESILIENCY, ON_FILE, smb2__fsctl_resiliency},
    {FSCTL_IS_PATHNAME_VALID, ON_FILE, smb2__fsctl_pathname_valid},
};

static const struct fsctl_row *find_row(uint32_t code)
{
    for (size_t i = 0; i < sizeof fsctls / sizeof *fsctls; i++) {
        if (fsctls[i].code == code)
            return &fsctls[i];
    }
    return NULL;
}

/* ---- the reply ---- */

static void begin_reply(struct smb2_request *request, uint32_t code)
{
    struct writer *writer = smb2_reply(request);
    const struct smb2_open *open = request->open;

    writer_le16(writer, 49);
    writer_le16(writer, 0);
    writer_le32(writer, code);
    writer_le64(writer, open != NULL ? open->persistent_id : UINT64_MAX);
    writer_le64(writer, open != NULL ? open->volatile_id : UINT64_MAX);
    writer_le32(writer, SMB2_HEADER_SIZE + BODY_FIXED);
    writer_le32(writer, 0);
    writer_le32(writer, SMB2_HEADER_SIZE + BODY_FIXED);
    writer_le32(writer, 0);
    writer_le64(writer, 0);
}

void smb2__ioctl_end(struct smb2_request *request)
{
    struct writer *writer = smb2_reply(request);
    size_t body_at = request->reply_at + SMB2_HEADER_SIZE;

    if (!writer->failed)
        writer_patch_le32(writer, body_at + AT_OUTPUT_COUNT,
                          (uint32_t)(writer->length - body_at - BODY_FIXED));
}

void smb2__ioctl_done(struct smb2_request *request, uint32_t status)
{
    smb2__ioctl_end(request);
    smb2__request_done(request, status);
}

/* MS-SMB2 2.2.31: FSCTLs about the server come with a file id of all ones. */
static bool has_no_file(const struct smb2_request *request)
{
    struct reader reader = request->body;
    uint64_t persistent, volatile_id;

    return reader_skip(&reader, FILE_AT) && reader_le64(&reader, &persistent) &&
           reader_le64(&reader, &volatile_id) && persistent == UINT64_MAX && volatile_id == UINT64_MAX;
}

uint32_t smb2__ioctl(struct smb2_request *request)
{
    const struct fsctl_row *row;
    struct smb2_ioctl ioctl;
    uint32_t flags, status;

    if (!decode(request, &ioctl, &flags))
        return STATUS_INVALID_PARAMETER;
    if (!(flags & FLAG_FSCTL))
        return STATUS_NOT_SUPPORTED;
    if (ioctl.most_output > SMB2_IO_MAX || !smb2__is_paid(request, ioctl.most_output) ||
        !smb2__is_paid(request, (uint32_t)ioctl.input.left))
        return STATUS_INVALID_PARAMETER;
    row = find_row(ioctl.code);
    if (row == NULL)
        return STATUS_INVALID_DEVICE_REQUEST;
    if (row->needs != 0) {
        status = smb2__request_open_at(request, FILE_AT);
        if (status == STATUS_SUCCESS)
            status = smb2__replay_begin(request);
        if (status != STATUS_SUCCESS)
            return status;
        if (((row->needs & ON_PIPE) != 0) != request->tree->is_ipc)
            return STATUS_INVALID_DEVICE_REQUEST;
    }
    if (row->needs == 0 && !has_no_file(request))
        return STATUS_INVALID_PARAMETER;
    begin_reply(request, ioctl.code);
    status = row->run(request, &ioctl);
    if (status != SMB2_WAIT)
        smb2__ioctl_end(request);
    return status;
}
