/*
 * smb2_ioctl.c - IOCTL (MS-SMB2 2.2.31, 3.3.5.15): FSCTL_VALIDATE_NEGOTIATE_INFO; everything else answers
 * that it is not there.
 */
#include "smb/smb2_priv.h"

#include <string.h>

#define FSCTL_DFS_GET_REFERRALS       UINT32_C(0x00060194)
#define FSCTL_DFS_GET_REFERRALS_EX    UINT32_C(0x000601B0)
#define FSCTL_VALIDATE_NEGOTIATE_INFO UINT32_C(0x00140204)

enum { FLAG_FSCTL = 1, BODY_FIXED = 48, DIALECTS_MAX = 64, VALIDATE_SIZE = 24 };

struct ioctl_args {
    uint32_t code, input_offset, input_length, most_output, flags;
    struct reader input;
};

static bool decode(struct smb2_request *request, struct ioctl_args *args)
{
    struct reader *reader = &request->body;

    return reader_skip(reader, 4) && reader_le32(reader, &args->code) && reader_skip(reader, 16) &&
           reader_le32(reader, &args->input_offset) && reader_le32(reader, &args->input_length) &&
           reader_skip(reader, 12) && reader_le32(reader, &args->most_output) &&
           reader_le32(reader, &args->flags) &&
           smb2__request_part(request, args->input_length == 0 ? 0 : args->input_offset, args->input_length,
                              &args->input);
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

static uint32_t validate(struct smb2_request *request, const struct ioctl_args *args)
{
    struct smb2_conn *conn = request->message->conn;
    struct writer *writer = smb2_reply(request);

    if (!is_as_negotiated(conn, args->input)) {
        log_warning("smb: a client's NEGOTIATE was changed on its way");
        smb2__conn_close(conn, false);
        return STATUS_ACCESS_DENIED;
    }
    if (args->most_output < VALIDATE_SIZE)
        return STATUS_BUFFER_TOO_SMALL;
    writer_le16(writer, 49);
    writer_le16(writer, 0);
    writer_le32(writer, args->code);
    writer_le64(writer, UINT64_MAX);
    writer_le64(writer, UINT64_MAX);
    writer_le32(writer, SMB2_HEADER_SIZE + BODY_FIXED);
    writer_le32(writer, 0);
    writer_le32(writer, SMB2_HEADER_SIZE + BODY_FIXED);
    writer_le32(writer, VALIDATE_SIZE);
    writer_le64(writer, 0);
    writer_le32(writer, smb2__capabilities(conn, conn->dialect));
    writer_bytes(writer, conn->server->options.server_guid, 16);
    writer_le16(writer, SMB2_SECURITY_MODE);
    writer_le16(writer, conn->dialect);
    return STATUS_SUCCESS;
}

uint32_t smb2__ioctl(struct smb2_request *request)
{
    struct ioctl_args args;

    if (!decode(request, &args))
        return STATUS_INVALID_PARAMETER;
    if (!(args.flags & FLAG_FSCTL))
        return STATUS_NOT_SUPPORTED;
    switch (args.code) {
    case FSCTL_VALIDATE_NEGOTIATE_INFO:
        return validate(request, &args);
    case FSCTL_DFS_GET_REFERRALS:
    case FSCTL_DFS_GET_REFERRALS_EX:
        return STATUS_FS_DRIVER_REQUIRED;
    default:
        return STATUS_INVALID_DEVICE_REQUEST;
    }
}
