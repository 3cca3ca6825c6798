/*
 * smb2_close.c - CLOSE (MS-SMB2 2.2.15, 3.3.5.10) and FLUSH (3.3.5.11).
 */
#include "smb/smb2_priv.h"

enum { FLAG_ATTRIBUTES = 1, APPLE_FULL_SYNC = 0xffff };

uint32_t smb2__close(struct smb2_request *request)
{
    struct writer *writer = smb2_reply(request);
    struct inode_attr attr;
    uint16_t flags;
    uint32_t status;

    if (!reader_skip(&request->body, 2) || !reader_le16(&request->body, &flags))
        return STATUS_INVALID_PARAMETER;
    smb2__open_attr(request->open, &attr);
    status = smb2__request_context(request);
    smb2__open_end(request->open, status == STATUS_SUCCESS ? &request->context : NULL);
    writer_le16(writer, 60);
    writer_le16(writer, flags & FLAG_ATTRIBUTES);
    writer_le32(writer, 0);
    if (flags & FLAG_ATTRIBUTES) {
        smb2__write_times(writer, &attr);
        writer_le64(writer, smb2__allocation(&attr));
        writer_le64(writer, smb2__end_of_file(&attr));
        writer_le32(writer, smb2__attributes(&attr));
    } else {
        writer_zeros(writer, 52);
    }
    return status == STATUS_SUCCESS ? smb2__request_durable(request, STATUS_SUCCESS) : STATUS_SUCCESS;
}

uint32_t smb2__flush(struct smb2_request *request)
{
    struct reader *reader = &request->body;
    uint32_t status = smb2__request_context(request);
    uint16_t reserved;
    enum err err;

    if (status != STATUS_SUCCESS)
        return status;
    if (!reader_skip(reader, 2) || !reader_le16(reader, &reserved))
        return STATUS_INVALID_PARAMETER;
    /* MS-SMB2 3.3.5.11; Apple's full sync comes through any handle of the file (smb2_apple.c). */
    if (!request->open->is_directory && !(request->open->access & SMB2_ACCESS_ANY_WRITE) &&
        reserved != APPLE_FULL_SYNC)
        return STATUS_ACCESS_DENIED;
    err = vfs_commit(&request->context, request->open->inode);
    if (err != ERR_OK)
        return smb2__status(err);
    writer_le16(smb2_reply(request), 4);
    writer_le16(smb2_reply(request), 0);
    return smb2__request_durable(request, STATUS_SUCCESS);
}
