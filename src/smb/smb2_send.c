/*
 * smb2_send.c - messages to the peer as they go over the wire: framed, encrypted where they must be; and
 * those that nobody asked for.
 */
#include "smb/smb2_grants.h"

#include <string.h>

enum { LARGE_FRAME = 65536 };

bool smb2__header_read(struct reader *reader, struct smb2_header *header_r)
{
    struct smb2_header header = {.tree_id = 0};
    uint32_t id;
    uint16_t size;
    uint64_t mixed;

    if (!reader_le32(reader, &id) || id != SMB2_PROTOCOL_ID || !reader_le16(reader, &size) ||
        size != SMB2_HEADER_SIZE || !reader_le16(reader, &header.credit_charge) ||
        !reader_le16(reader, &header.channel_sequence) || !reader_skip(reader, 2) ||
        !reader_le16(reader, &header.command) || !reader_le16(reader, &header.credits) ||
        !reader_le32(reader, &header.flags) || !reader_le32(reader, &header.next) ||
        !reader_le64(reader, &header.message_id) || !reader_le64(reader, &mixed) ||
        !reader_le64(reader, &header.session_id) || !reader_skip(reader, SMB2_SIGNATURE_SIZE))
        return false;
    if (header.flags & SMB2_FLAG_ASYNC)
        header.async_id = mixed;
    else
        header.tree_id = (uint32_t)(mixed >> 32);
    *header_r = header;
    return true;
}

void smb2__request_error_data(struct smb2_request *request, const void *data, size_t length)
{
    struct buf *buf = buf_new(length);

    buf_unref(&request->error_data.buf);
    request->error_data = (struct bufpart){.buf = buf, .length = 0};
    if (buf == NULL)
        return;
    memcpy(buf->data, data, length);
    request->error_data.data = buf->data;
    request->error_data.length = length;
}

/* A socket that takes it at once gives the buffer back while it is in the processor's cache. */
void smb2__send_frame(struct smb2_conn *conn, struct buf *buf, uint8_t *data, size_t length)
{
    struct bufpart part = {.buf = buf, .data = data - SMB2_FRAME_HEAD, .length = SMB2_FRAME_HEAD + length};
    struct writer head;

    writer_init(&head, data - SMB2_FRAME_HEAD, SMB2_FRAME_HEAD);
    writer_be32(&head, (uint32_t)length);
    net_conn_send(conn->net, &part, 1);
    if (length >= LARGE_FRAME)
        net_conn_flush(conn->net);
}

/* What lies in BUF is encrypted where it lies, else on the way to another one. */
static bool send_encrypted(struct smb2_conn *conn, struct smb2_session *session, const struct writer *writer,
                           struct buf *buf)
{
    struct smb2_part part = {.data = writer->data, .length = writer->length};
    struct buf *sealed = buf != NULL ? buf_ref(buf) : buf_new(SMB2_HEADROOM + writer->length);
    struct smb2_engine *engine = smb2_engine_take(session->encrypt);
    uint8_t nonce[SMB2_NONCE_SIZE], *to = NULL;
    enum err err = sealed == NULL || engine == NULL ? ERR_NOMEM : smb2_key_nonce(session->encrypt, nonce);

    if (err == ERR_OK) {
        to = buf != NULL ? writer->data - SMB2_TRANSFORM_SIZE : sealed->data + SMB2_FRAME_HEAD;
        err = smb2_encrypt(engine, session->id, nonce, &part, 1, to);
    }
    smb2_engine_give(&engine);
    if (err == ERR_OK)
        smb2__send_frame(conn, sealed, to, SMB2_TRANSFORM_SIZE + writer->length);
    buf_unref(&sealed);
    return err == ERR_OK;
}

static void send_copied(struct smb2_conn *conn, const struct writer *writer)
{
    uint8_t head[SMB2_FRAME_HEAD];
    struct writer frame;
    struct bufpart parts[2] = {{.data = head, .length = sizeof head},
                               {.data = writer->data, .length = writer->length}};

    writer_init(&frame, head, sizeof head);
    writer_be32(&frame, (uint32_t)writer->length);
    net_conn_send(conn->net, parts, 2);
}

bool smb2__send(struct smb2_conn *conn, struct smb2_session *session, const struct writer *writer,
                struct buf *buf)
{
    if (session != NULL)
        return send_encrypted(conn, session, writer, buf);
    if (buf != NULL)
        smb2__send_frame(conn, buf, writer->data, writer->length);
    else
        send_copied(conn, writer);
    return true;
}

/* MS-SMB2 3.3.4.6, 3.3.4.7: of no session and not signed, but encrypted where everything is. */
void smb2__send_notification(struct smb2_conn *conn, struct smb2_session *session,
                             const struct smb2_break *told)
{
    struct writer writer;
    bool sent;

    writer_init_growing(&writer, SMB2_HEADER_SIZE + SMB2_BREAK_MAX);
    writer_le32(&writer, SMB2_PROTOCOL_ID);
    writer_le16(&writer, SMB2_HEADER_SIZE);
    writer_le16(&writer, 0);
    writer_le32(&writer, STATUS_SUCCESS);
    writer_le16(&writer, SMB2_OPLOCK_BREAK);
    writer_le16(&writer, 0);
    writer_le32(&writer, SMB2_FLAG_RESPONSE);
    writer_le32(&writer, 0);
    writer_le64(&writer, UINT64_MAX);
    writer_zeros(&writer, SMB2_HEADER_SIZE - 32);
    writer_bytes(&writer, told->body, told->length);
    sent = !writer.failed && conn->net != NULL;
    if (sent)
        sent = smb2__send(conn, session->encrypts ? session : NULL, &writer, NULL);
    writer_free(&writer);
    if (!sent)
        smb2__conn_close(conn, false);
}
