/*
 * smb2_receive.c - a frame becomes a message, SMB1's first words are answered; what is encrypted or large is
 * opened first (smb2_worker.c).
 */
#include "smb/smb2_priv.h"
#include "smb/smb2_worker.h"

#include <stdlib.h>

enum { ID_TRANSFORM = 0x424d53fd, ID_SMB1 = 0x424d53ff };

static struct smb2_message *message_new(struct smb2_conn *conn, struct buf *buf, size_t at, size_t length)
{
    struct smb2_message *message = calloc(1, sizeof *message);

    if (message == NULL)
        return NULL;
    message->server = conn->server;
    message->conn = conn;
    message->buf = buf;
    message->buf_at = at;
    message->data = buf->data + at;
    message->length = length;
    message->request.message = message;
    writer_init_growing(&message->replies, SMB2_REPLY_MAX);
    list_push_back(&conn->messages, &message->link);
    conn->message_count++;
    conn->message_bytes += length;
    conn->server->message_count++;
    return message;
}

bool smb2__message_take(struct smb2_conn *conn, struct buf *buf, size_t at, size_t length)
{
    struct reader reader = reader_of(buf->data + at, length);
    struct smb2_message *message;
    enum smb2_opening opening;
    uint32_t id;
    bool broken = true;

    if (!reader_le32(&reader, &id) || (id == (uint32_t)ID_SMB1)) {
        broken = length < 4 || !smb2__negotiate_smb1(conn, buf->data + at, length);
        buf_unref(&buf);
        return !broken;
    }
    message = message_new(conn, buf, at, length);
    if (message == NULL) {
        buf_unref(&buf);
        return false;
    }
    if (id != (uint32_t)ID_TRANSFORM) {
        opening = smb2__worker_check(message) ? SMB2_LATER : SMB2_OPENED;
    } else {
        opening = smb2__worker_decrypt(message);
    }
    if (opening == SMB2_BROKEN)
        smb2__message_free(message);
    else if (opening == SMB2_OPENED)
        smb2__message_go_on(message, &broken);
    return opening == SMB2_LATER || !broken;
}

void smb2__message_opened(struct smb2_message *message, bool good)
{
    struct smb2_conn *conn = message->conn;
    bool broken = !good;

    if (conn == NULL || conn->closing || !good)
        smb2__message_free(message);
    else
        smb2__message_go_on(message, &broken);
    if (conn == NULL)
        return;
    if (broken)
        smb2__conn_close(conn, true);
    smb2__conn_ready(conn);
}
