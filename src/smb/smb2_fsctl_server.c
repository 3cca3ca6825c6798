/*
 * smb2_fsctl_server.c - FSCTLs about the server (MS-SMB2 3.3.5.15): how the connection was negotiated, the
 * server's interfaces, and the things that there are none of: DFS, snapshots, hashes for branch caches.
 */
#include "smb/smb2_ioctl.h"

#include <string.h>

enum { DIALECTS_MAX = 64, VALIDATE_SIZE = 24, INTERFACES_MAX = 64, INTERFACE_SIZE = 152, ADDRESS_SIZE = 128 };
enum { FAMILY_IPV4 = 2, FAMILY_IPV6 = 0x17, CAPABLE_RSS = 1 };

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

uint32_t smb2__fsctl_validate_negotiate(struct smb2_request *request, struct smb2_ioctl *ioctl)
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
uint32_t smb2__fsctl_no_dfs(struct smb2_request *request, struct smb2_ioctl *ioctl)
{
    (void)request;
    (void)ioctl;
    return STATUS_FS_DRIVER_REQUIRED;
}

/* MS-SMB2 3.3.5.15.1: no snapshot, in an array of no bytes. */
uint32_t smb2__fsctl_snapshots(struct smb2_request *request, struct smb2_ioctl *ioctl)
{
    if (ioctl->most_output < 16)
        return STATUS_INVALID_PARAMETER;
    writer_zeros(smb2_reply(request), 12);
    return STATUS_SUCCESS;
}

/* MS-SMB2 3.3.5.15.7 */
uint32_t smb2__fsctl_read_hash(struct smb2_request *request, struct smb2_ioctl *ioctl)
{
    (void)ioctl;
    return request->message->conn->dialect <= 0x0202 ? STATUS_INVALID_DEVICE_REQUEST
                                                     : STATUS_HASH_NOT_SUPPORTED;
}

/* MS-FSCC 2.3.35: every name is one that could be looked up. */
uint32_t smb2__fsctl_pathname_valid(struct smb2_request *request, struct smb2_ioctl *ioctl)
{
    (void)request;
    (void)ioctl;
    return STATUS_SUCCESS;
}

/* ---- interfaces (MS-SMB2 2.2.32.5, 3.3.5.15.11) ---- */

static void write_address(struct writer *writer, const struct net_address *address)
{
    size_t at = writer->length;

    if (address->sa.any.sa_family == AF_INET6) {
        writer_le16(writer, FAMILY_IPV6);
        writer_zeros(writer, 6);
        writer_bytes(writer, &address->sa.v6.sin6_addr, 16);
        writer_le32(writer, 0);
    } else {
        writer_le16(writer, FAMILY_IPV4);
        writer_zeros(writer, 2);
        writer_bytes(writer, &address->sa.v4.sin_addr, 4);
    }
    writer_zeros(writer, ADDRESS_SIZE - (writer->length - at));
}

uint32_t smb2__fsctl_interfaces(struct smb2_request *request, struct smb2_ioctl *ioctl)
{
    const struct smb_options *options = &request->message->server->options;
    struct smb_interface list[INTERFACES_MAX];
    struct writer *writer = smb2_reply(request);
    size_t count;

    if (request->message->conn->dialect < 0x0300 || options->interfaces == NULL)
        return STATUS_INVALID_DEVICE_REQUEST;
    count = options->interfaces(options->interfaces_data, list, INTERFACES_MAX);
    if (count * INTERFACE_SIZE > ioctl->most_output)
        return STATUS_BUFFER_TOO_SMALL;
    for (size_t i = 0; i < count && !writer->failed; i++) {
        writer_le32(writer, i + 1 < count ? INTERFACE_SIZE : 0);
        writer_le32(writer, list[i].index);
        writer_le32(writer, list[i].has_queues ? CAPABLE_RSS : 0);
        writer_le32(writer, 0);
        writer_le64(writer, list[i].bits_per_second);
        write_address(writer, &list[i].address);
    }
    return STATUS_SUCCESS;
}
