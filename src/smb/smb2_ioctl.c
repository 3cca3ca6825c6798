/*
 * smb2_ioctl.c - IOCTL (MS-SMB2 2.2.31, 3.3.5.15): the table of FSCTLs, and the one about the connection.
 *
 * What is not in the table answers STATUS_INVALID_DEVICE_REQUEST (3.3.5.15).
 */
#include "smb/smb2_ioctl.h"

#include <string.h>

enum { FLAG_FSCTL = 1, BODY_FIXED = 48, AT_OUTPUT_COUNT = 36, DIALECTS_MAX = 64, VALIDATE_SIZE = 24 };
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

/* What the client says that it sent is what we got (MS-SMB2 3.3.5.15.12). */
static bool is_as_negotiated(const struct smb2_conn *conn, struct reader input)
{
    const uint8_t *guid;
    uint32_t capabilities;
    uint16_t mode, count, dialect, best = 0;

    if (!reader_le32(&input, &capabilities) || !reader_bytes(&input, 16, &guid) ||
        !reader_le16(&input, &mode) || !reader_le16(&input, &count) || count > DIALECTS_MAX)
        return false;
    for (unsigned i = 0; i < count; i++) {
        if (!reader_le16(&input, &dialect))
            return false;
        if (dialect >= conn->server->options.least_dialect && dialect <= conn->server->options.most_dialect &&
            dialect > best && dialect != 0x02ff)
            best = dialect;
    }
    return best == conn->dialect && capabilities == conn->client_capabilities &&
           mode == conn->client_security_mode && memcmp(guid, conn->client_guid, 16) == 0;
}

static uint32_t validate(struct smb2_request *request, struct smb2_ioctl *ioctl)
{
    struct smb2_conn *conn = request->message->conn;
    struct writer *writer = smb2_reply(request);

    if (!is_as_negotiated(conn, ioctl->input)) {
        log_warning("smb: a client's NEGOTIATE was changed on its way");
        smb2__conn_close(conn, false);
        return STATUS_ACCESS_DENIED;
    }
    if (ioctl->most_output < VALIDATE_SIZE)
        return STATUS_BUFFER_TOO_SMALL;
    writer_le32(writer, smb2__capabilities(conn, conn->dialect));
    writer_bytes(writer, conn->server->options.server_guid, 16);
    writer_le16(writer, smb2_security_mode(conn->server));
    writer_le16(writer, conn->dialect);
    return STATUS_SUCCESS;
}

/* MS-SMB2 3.3.5.15.2: there is no DFS here. */
static uint32_t no_dfs(struct smb2_request *request, struct smb2_ioctl *ioctl)
{
    (void)request;
    (void)ioctl;
    return STATUS_FS_DRIVER_REQUIRED;
}

enum { ON_FILE = 1, ON_PIPE = 2 };

static const struct fsctl_row {
    uint32_t code;
    unsigned needs; /* a file id of a disk, of a pipe; 0: whatever it is */
    uint32_t (*run)(struct smb2_request *request, struct smb2_ioctl *ioctl);
} fsctls[] = {
    {FSCTL_VALIDATE_NEGOTIATE_INFO, 0, validate},
    {FSCTL_DFS_GET_REFERRALS, 0, no_dfs},
    {FSCTL_DFS_GET_REFERRALS_EX, 0, no_dfs},
    {FSCTL_PIPE_WAIT, 0, smb2__fsctl_pipe_wait},
    {FSCTL_PIPE_PEEK, ON_PIPE, smb2__fsctl_pipe_peek},
    {FSCTL_PIPE_TRANSCEIVE, ON_PIPE, smb2__fsctl_pipe_transceive},
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

static void end_reply(struct smb2_request *request)
{
    struct writer *writer = smb2_reply(request);
    size_t body_at = request->reply_at + SMB2_HEADER_SIZE;

    if (!writer->failed)
        writer_patch_le32(writer, body_at + AT_OUTPUT_COUNT,
                          (uint32_t)(writer->length - body_at - BODY_FIXED));
}

void smb2__ioctl_done(struct smb2_request *request, uint32_t status)
{
    end_reply(request);
    smb2__request_done(request, status);
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
    begin_reply(request, ioctl.code);
    status = row->run(request, &ioctl);
    if (status != SMB2_WAIT)
        end_reply(request);
    return status;
}
