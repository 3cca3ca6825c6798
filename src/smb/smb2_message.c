/*
 * smb2_message.c - the life of a message.
 *
 * The happy path: a frame comes as a buffer; an encrypted one is decrypted in place. Its requests run one
 * behind the other: header read, length and NextCommand checked, credits taken, signature checked, session,
 * tree and file found, `run`. A reply is a header and what `run` wrote. When the last has ended, the replies
 * are signed each, or encrypted together, and sent.
 *
 * A request that waits suspends its message; smb2__request_done goes on. With STATUS_PENDING the interim
 * reply goes alone, and the final one has SMB2_FLAGS_ASYNC_COMMAND.
 *
 * What a peer may not do ends the connection (returns false): broken headers and chains, ids outside of the
 * window, what can't be decrypted. What it may ask but not get is answered with a status.
 */
#include "smb/smb2_priv.h"
#include "smb/smb2_share.h"
#include "smb/smb2_worker.h"

#include <stdlib.h>
#include <string.h>

enum { HEADER_STRUCTURE_SIZE = 64 };
enum {
    AT_STATUS = 8,
    AT_CREDITS = 14,
    AT_FLAGS = 16,
    AT_NEXT = 20,
    AT_ASYNC = 32,
    AT_TREE = 36,
    AT_SESSION = 40
};
enum { LARGE_REPLY = 16384, LARGE_REPLY_SLACK = 256 };
enum { SEVERITY_ERROR = 3, ERROR_BODY_SIZE = 9, FIRST_RELATED = UINT8_MAX };

bool smb2__request_part(const struct smb2_request *request, uint32_t offset, uint32_t length,
                        struct reader *part_r)
{
    if (offset > request->length || length > request->length - offset)
        return false;
    *part_r = reader_of(request->data + offset, length);
    return true;
}

/* ---- replies ---- */

static void write_header(struct smb2_request *request)
{
    struct writer *writer = smb2_reply(request);
    const struct smb2_header *header = &request->header;
    uint32_t flags = SMB2_FLAG_RESPONSE | (header->flags & SMB2_FLAG_RELATED);

    request->reply_at = writer->length;
    writer_le32(writer, SMB2_PROTOCOL_ID);
    writer_le16(writer, HEADER_STRUCTURE_SIZE);
    writer_le16(writer, header->credit_charge);
    writer_le32(writer, STATUS_SUCCESS);
    writer_le16(writer, header->command);
    writer_le16(writer, request->granted);
    writer_le32(writer, flags);
    writer_le32(writer, 0);
    writer_le64(writer, header->message_id);
    writer_le32(writer, 0xfeff);
    writer_le32(writer, header->tree_id);
    writer_le64(writer, header->session_id);
    writer_zeros(writer, SMB2_SIGNATURE_SIZE);
}

/* MS-SMB2 2.2.2 */
static void write_error(struct writer *writer)
{
    writer_le16(writer, ERROR_BODY_SIZE);
    writer_le16(writer, 0);
    writer_le32(writer, 0);
    writer_u8(writer, 0);
}

enum { ERROR_HEADER_SIZE = 8, AT_ERROR_COUNT = SMB2_HEADER_SIZE + 2, AT_ERROR_BYTES = SMB2_HEADER_SIZE + 4 };

/* What lies behind a failure: with 3.1.1 in an error context (MS-SMB2 2.2.2.1). */
static void write_error_data(struct smb2_request *request)
{
    struct writer *writer = &request->message->replies;
    const struct bufpart *data = &request->error_data;
    bool context = request->message->conn != NULL && request->message->conn->dialect >= 0x0311;
    size_t at = request->reply_at + SMB2_HEADER_SIZE + ERROR_HEADER_SIZE;

    write_error(writer);
    if (data->length == 0 || writer->failed)
        return;
    writer_truncate(writer, at);
    if (context) {
        writer_le32(writer, (uint32_t)data->length);
        writer_le32(writer, 0); /* SMB2_ERROR_ID_DEFAULT */
    }
    writer_bytes(writer, data->data, data->length);
    if (writer->failed)
        return;
    writer->data[request->reply_at + AT_ERROR_COUNT] = context;
    writer_patch_le32(writer, request->reply_at + AT_ERROR_BYTES, (uint32_t)(writer->length - at));
}

static bool has_body(uint32_t status)
{
    return status == STATUS_SUCCESS || status == STATUS_BUFFER_OVERFLOW ||
           status == STATUS_MORE_PROCESSING_REQUIRED || status == STATUS_OPLOCK_BREAK_IN_PROGRESS;
}

static void set_flag(struct writer *writer, size_t reply_at, uint32_t flag)
{
    writer->data[reply_at + AT_FLAGS] |= (uint8_t)flag;
}

/* What the peer signs with and we do, NULL when there is none yet. */
static struct smb2_key *key_of(const struct smb2_request *request)
{
    if (request->channel != NULL)
        return smb2__channel_key(request->channel);
    return request->session != NULL ? request->session->signing : NULL;
}

static bool must_sign(const struct smb2_request *request)
{
    return request->signs && !request->message->encrypted && key_of(request) != NULL;
}

/* Signs the reply from REPLY_AT to the end of what is written. */
static bool sign_reply(struct writer *writer, size_t reply_at, struct smb2_key *key)
{
    struct smb2_part part = {.data = writer->data + reply_at, .length = writer->length - reply_at};
    struct smb2_engine *engine = smb2_engine_take(key);
    uint8_t signature[SMB2_SIGNATURE_SIZE];
    enum err err;

    if (engine == NULL)
        return false;
    set_flag(writer, reply_at, SMB2_FLAG_SIGNED);
    err = smb2_sign(engine, &part, 1, signature);
    smb2_engine_give(&engine);
    if (err == ERR_OK)
        memcpy(writer->data + reply_at + SMB2_SIGNATURE_OFFSET, signature, sizeof signature);
    return err == ERR_OK;
}

void smb2__reply_large(struct smb2_request *request, size_t length)
{
    struct smb2_message *message = request->message;
    struct writer *writer = &message->replies;
    size_t used = writer->length;
    struct buf *buf;

    if (length < LARGE_REPLY || message->large != NULL || message->next_at < message->length ||
        writer->failed)
        return;
    buf = buf_new(SMB2_HEADROOM + used + length + LARGE_REPLY_SLACK);
    if (buf == NULL)
        return; /* the writer's own memory does as well */
    memcpy(buf->data + SMB2_HEADROOM, writer->data, used);
    writer_free(writer);
    writer_init(writer, buf->data + SMB2_HEADROOM, buf->capacity - SMB2_HEADROOM);
    writer->length = used;
    message->large = buf;
}

static void send_replies(struct smb2_message *message, const struct writer *writer)
{
    struct smb2_conn *conn = message->conn;
    bool sent = !writer->failed;

    if (conn == NULL || conn->net == NULL || conn->closing || writer->length == 0)
        return;
    if (sent)
        sent = smb2__send(conn, message->encrypted_by, writer,
                          writer == &message->replies ? message->large : NULL);
    if (!sent)
        smb2__conn_close(conn, false);
}

static void update_preauth(const struct smb2_request *request, uint8_t hash[SMB2_PREAUTH_SIZE])
{
    const struct writer *writer = &request->message->replies;
    struct smb2_part part = {.data = writer->data + request->reply_at,
                             .length = writer->length - request->reply_at};

    /* Without memory for it the signatures that follow can't be right: the logon fails by itself. */
    if (smb2_preauth_update(hash, &part, 1) != ERR_OK)
        request->message->replies.failed = true;
}

/* MS-SMB2 3.3.5.4, 3.3.5.5: hashes go over what is sent, as it is sent, with its signature. */
static void hash_reply(struct smb2_request *request)
{
    struct smb2_conn *conn = request->message->conn;
    uint32_t status = request->sent_status;

    if (conn == NULL || conn->dialect != 0x0311)
        return;
    if (request->header.command == SMB2_NEGOTIATE && status == STATUS_SUCCESS)
        update_preauth(request, conn->preauth);
    else if (request->header.command == SMB2_SESSION_SETUP && status == STATUS_MORE_PROCESSING_REQUIRED &&
             request->channel != NULL)
        update_preauth(request, request->channel->preauth);
}

/* Another reply will follow: how it is taken back is remembered. */
static void note_sealed(struct smb2_request *request)
{
    struct smb2_message *message = request->message;
    struct writer *writer = &message->replies;

    writer_patch_le32(writer, request->reply_at + AT_NEXT, (uint32_t)(writer->length - request->reply_at));
    smb2__channel_unref(&message->sealed_by);
    message->sealed_at = request->reply_at;
    if (must_sign(request) && request->channel != NULL) {
        message->sealed_by = request->channel;
        request->channel->references++;
    }
}

/* The last one of a compound waits long: what is answered already goes before it, as a message of its own
 * (MS-SMB2 3.3.4.2). */
static void send_answered(struct smb2_request *request)
{
    struct smb2_message *message = request->message;
    struct writer *writer = &message->replies, answered;
    size_t length = request->reply_at;

    if (length == 0 || message->next_at < message->length || message->large != NULL || writer->failed)
        return;
    writer_init(&answered, writer->data, length);
    answered.length = length;
    writer_patch_le32(&answered, message->sealed_at + AT_NEXT, 0);
    if (message->sealed_by != NULL &&
        !sign_reply(&answered, message->sealed_at, smb2__channel_key(message->sealed_by)))
        answered.failed = true;
    send_replies(message, &answered);
    memmove(writer->data, writer->data + length, writer->length - length);
    writer->length -= length;
    request->reply_at = 0;
}

/* Seals the last reply, with padding in a compound, and the offset when another one will follow it (MS-SMB2
 * 3.3.4.1.3). */
static void seal_last(struct smb2_message *message, bool another)
{
    struct smb2_request *request = &message->request;
    struct writer *writer = &message->replies;

    if (writer->failed || !message->any_reply)
        return;
    if (another || message->count > 1) {
        while ((writer->length - request->reply_at) % 8 != 0 && !writer->failed)
            writer_u8(writer, 0);
    }
    if (writer->failed)
        return;
    if (another)
        note_sealed(request);
    if (must_sign(request) && !sign_reply(writer, request->reply_at, key_of(request)))
        writer->failed = true;
    /* Who asked with a signature that can't be right gets none back: clients take one of zeros as such. */
    if ((request->header.flags & SMB2_FLAG_SIGNED) && !message->encrypted && !must_sign(request))
        set_flag(writer, request->reply_at, SMB2_FLAG_SIGNED);
    hash_reply(request);
}

static void finish_reply(struct smb2_request *request, uint32_t status)
{
    struct smb2_message *message = request->message;
    struct writer *writer = &message->replies;

    if (!has_body(status) && !request->keeps_body) {
        writer_truncate(writer, request->reply_at + SMB2_HEADER_SIZE);
        write_error_data(request);
    }
    if (writer->failed) {
        /* What did not fit, or found no memory. */
        writer_truncate(writer, request->reply_at + SMB2_HEADER_SIZE);
        write_error(writer);
        status = STATUS_INSUFFICIENT_RESOURCES;
    }
    smb2__replay_end(request);
    message->any_reply = !writer->failed;
    if (writer->failed)
        return;
    writer_patch_le32(writer, request->reply_at + AT_STATUS, status);
    writer_patch_le32(writer, request->reply_at + AT_TREE, request->header.tree_id);
    writer_patch_le32(writer, request->reply_at + AT_SESSION, (uint32_t)request->header.session_id);
    writer_patch_le32(writer, request->reply_at + AT_SESSION + 4,
                      (uint32_t)(request->header.session_id >> 32));
    if (request->async_id != 0) {
        set_flag(writer, request->reply_at, SMB2_FLAG_ASYNC);
        writer_patch_le32(writer, request->reply_at + AT_ASYNC, (uint32_t)request->async_id);
        writer_patch_le32(writer, request->reply_at + AT_ASYNC + 4, (uint32_t)(request->async_id >> 32));
        writer_patch_le16(writer, request->reply_at + AT_CREDITS, 0);
    }
    request->sent_status = status;
}

bool smb2__request_pending(struct smb2_request *request)
{
    struct smb2_message *message = request->message;
    struct smb2_conn *conn = message->conn;
    struct writer interim;

    if (conn == NULL || request->async_id != 0)
        return true;
    if (conn->async_count >= SMB2_ASYNC_MAX)
        return false;
    conn->async_count++;
    request->async_id = conn->next_async++;
    send_answered(request);
    writer_init_growing(&interim, SMB2_HEADER_SIZE + 64);
    writer_bytes(&interim, message->replies.data + request->reply_at, SMB2_HEADER_SIZE);
    write_error(&interim);
    if (!interim.failed) {
        writer_patch_le32(&interim, AT_STATUS, STATUS_PENDING);
        set_flag(&interim, 0, SMB2_FLAG_ASYNC);
        writer_patch_le32(&interim, AT_ASYNC, (uint32_t)request->async_id);
        writer_patch_le32(&interim, AT_ASYNC + 4, (uint32_t)(request->async_id >> 32));
        if (must_sign(request) && !sign_reply(&interim, 0, key_of(request)))
            interim.failed = true;
    }
    send_replies(message, &interim);
    writer_free(&interim);
    return true;
}

/* ---- checks before a request runs ---- */

static bool verify(struct smb2_request *request)
{
    struct smb2_part part = {.data = request->data, .length = request->length};
    const struct smb2_message *message = request->message;
    struct smb2_engine *engine;
    bool good;

    if (message->checked_key != NULL && message->checked_key == key_of(request))
        return message->checked_good;
    engine = smb2_engine_take(key_of(request));
    good = engine != NULL && smb2_verify(engine, &part, 1);

    smb2_engine_give(&engine);
    return good;
}

/* MS-SMB2 3.3.5.2.4, 3.3.5.2.9: a session that is valid takes what is encrypted by it or signed. */
static uint32_t check_protection(struct smb2_request *request)
{
    struct smb2_session *session = request->session;

    if (request->message->encrypted)
        return session == request->message->encrypted_by ? STATUS_SUCCESS : STATUS_ACCESS_DENIED;
    if (session->encrypts && request->header.command != SMB2_SESSION_SETUP)
        return STATUS_ACCESS_DENIED;
    /* A guest has no key: what he sends is what anybody could send. */
    if (key_of(request) == NULL)
        return session->is_guest || (request->row->needs & SMB2_WITHOUT_SIGNATURE) ? STATUS_SUCCESS
                                                                                   : STATUS_ACCESS_DENIED;
    /* MS-SMB2 3.3.5.7: in 3.1.1 TREE_CONNECT proves that nobody changed what was negotiated. */
    if (!(request->header.flags & SMB2_FLAG_SIGNED) && !session->must_sign &&
        (session->dialect != 0x0311 || request->header.command != SMB2_TREE_CONNECT))
        return STATUS_SUCCESS;
    if (!(request->header.flags & SMB2_FLAG_SIGNED) || !verify(request))
        return STATUS_ACCESS_DENIED;
    request->signs = true;
    return STATUS_SUCCESS;
}

/* A session of another connection, which SESSION_SETUP may ask to bind: it must show that it has its key, or
 * it learns no more than that there is nothing (MS-SMB2 3.3.5.5). */
static uint32_t find_foreign_session(struct smb2_request *request)
{
    request->session = smb2__session_find(request->message->server, request->header.session_id);
    if (request->session == NULL)
        return STATUS_USER_SESSION_DELETED;
    request->session->references++;
    if (!(request->header.flags & SMB2_FLAG_SIGNED) || request->session->signing == NULL)
        return STATUS_SUCCESS;
    request->signs = verify(request);
    return request->signs ? STATUS_SUCCESS : STATUS_ACCESS_DENIED;
}

static uint32_t find_session(struct smb2_request *request)
{
    struct smb2_message *message = request->message;
    bool needed = (request->row->needs & SMB2_NEEDS_SESSION) != 0;
    struct smb2_channel *channel = smb2__channel_find(message->conn, request->header.session_id);

    if (channel == NULL && request->header.command == SMB2_SESSION_SETUP && request->header.session_id != 0)
        return find_foreign_session(request);
    if (channel == NULL)
        return needed ? STATUS_USER_SESSION_DELETED : STATUS_SUCCESS;
    channel->references++;
    request->channel = channel;
    request->session = channel->session;
    request->session->references++;
    if (needed && !channel->valid)
        return STATUS_USER_SESSION_DELETED;
    return check_protection(request);
}

static uint32_t find_tree(struct smb2_request *request)
{
    if (!(request->row->needs & SMB2_NEEDS_TREE))
        return STATUS_SUCCESS;
    request->tree = smb2__tree_find(request->session, request->header.tree_id);
    if (request->tree == NULL)
        return STATUS_NETWORK_NAME_DELETED;
    request->tree->references++;
    if (request->tree->is_ipc && (request->row->needs & SMB2_NEEDS_DISK) && request->row->run_pipe == NULL)
        return STATUS_INVALID_DEVICE_REQUEST;
    return smb2__share_check(request);
}

uint32_t smb2__request_open_at(struct smb2_request *request, size_t at)
{
    struct smb2_message *message = request->message;
    struct reader reader = request->body;
    uint64_t persistent, volatile_id;

    if (!reader_skip(&reader, at) || !reader_le64(&reader, &persistent) ||
        !reader_le64(&reader, &volatile_id))
        return STATUS_INVALID_PARAMETER;
    /* MS-SMB2 3.3.5.2.7.2: all ones mean the file of the request before. */
    if ((request->header.flags & SMB2_FLAG_RELATED) && persistent == UINT64_MAX &&
        volatile_id == UINT64_MAX) {
        if (message->related_status != STATUS_SUCCESS)
            return message->related_status;
        if (!message->has_file)
            return STATUS_INVALID_PARAMETER;
        persistent = message->persistent_id;
        volatile_id = message->volatile_id;
    }
    /* Also one that is not there is what related requests mean from now on. */
    message->persistent_id = persistent;
    message->volatile_id = volatile_id;
    message->has_file = true;
    message->related_status = STATUS_SUCCESS;
    request->open = smb2__open_find(request->session, persistent, volatile_id);
    if (request->open == NULL || request->open->tree != request->tree) {
        request->open = NULL;
        return STATUS_FILE_CLOSED;
    }
    request->open->references++;
    request->open->is_replay_eligible = false; /* its client has got the answer of the CREATE */
    return STATUS_SUCCESS;
}

static uint32_t check_size(struct smb2_request *request)
{
    struct reader reader = request->body;
    uint16_t size;

    if (!reader_le16(&reader, &size) ||
        (size != request->row->structure_size && (size == 0 || size != request->row->other_size)))
        return STATUS_INVALID_PARAMETER;
    /* The odd byte stands for what follows, if anything does (MS-SMB2 2.2). */
    return reader.left + 2 >= (size & ~1U) ? STATUS_SUCCESS : STATUS_INVALID_PARAMETER;
}

/* What is no command at all: its reply is signed like others'. */
static const struct smb2_command_row unknown_command = {.name = "unknown", .needs = SMB2_NEEDS_SESSION};

static uint32_t run_command(struct smb2_request *request)
{
    return request->tree != NULL && request->tree->is_ipc && request->row->run_pipe != NULL
               ? request->row->run_pipe(request)
               : request->row->run(request);
}

static uint32_t begin_request(struct smb2_request *request)
{
    struct smb2_message *message = request->message;
    uint32_t status;

    /* MS-SMB2 3.3.5.2.7.2: there must be something that it is related to. */
    if ((request->header.flags & SMB2_FLAG_RELATED) && message->count > 1 && !message->has_session)
        return STATUS_INVALID_PARAMETER;
    message->has_session = false;
    status = find_session(request);
    if (status != STATUS_SUCCESS)
        return status;
    if (request->row == &unknown_command ||
        (message->count == 1 && (request->header.flags & SMB2_FLAG_RELATED)))
        return STATUS_INVALID_PARAMETER;
    message->session_id = request->header.session_id;
    message->tree_id = request->header.tree_id;
    message->has_session = true;
    if (request->row->structure_size == 0)
        return STATUS_NOT_SUPPORTED;
    status = check_size(request);
    if (status == STATUS_SUCCESS)
        status = find_tree(request);
    if (status == STATUS_SUCCESS && (request->row->needs & SMB2_NEEDS_FILE))
        status = smb2__request_open_at(request, request->row->file_at);
    if (status == STATUS_SUCCESS)
        status = smb2__replay_begin(request);
    return status == STATUS_SUCCESS ? run_command(request) : status;
}

/* ---- requests that wait and are run again: for others' caching grants, for a slot ---- */

static void clear_request(struct smb2_request *request)
{
    smb2__replay_end(request);
    smb2__open_unref(&request->open);
    smb2__tree_unref(&request->tree);
    smb2__channel_unref(&request->channel);
    smb2__session_unref(&request->session);
    buf_unref(&request->payload);
    free(request->scratch);
    request->scratch = NULL;
    buf_unref(&request->error_data.buf);
}

static void cancel_grant_wait(struct smb2_request *request)
{
    grant_wait_cancel(&request->grants);
    smb2__request_done(request, STATUS_CANCELLED);
}

static uint32_t start_request(struct smb2_request *request, uint32_t (*begin)(struct smb2_request *request));

static void run_again(struct smb2_request *request, uint32_t (*begin)(struct smb2_request *request))
{
    uint32_t status;

    writer_truncate(smb2_reply(request), request->reply_at + SMB2_HEADER_SIZE);
    request->body = reader_of(request->data + SMB2_HEADER_SIZE, request->length - SMB2_HEADER_SIZE);
    status = start_request(request, begin);
    if (status != SMB2_WAIT)
        smb2__request_done(request, status);
}

void smb2__request_resume(struct smb2_request *request)
{
    request->cancel = NULL;
    run_again(request, run_command);
}

/* What was in the way has gone. Session, share and file may have, too, so everything is looked at anew. */
static void on_grants_broken(struct grant_waiter *waiter, enum err err)
{
    struct smb2_request *request = container_of(waiter, struct smb2_request, grants);

    (void)err; /* ERR_OK always */
    request->cancel = NULL;
    if (request->message->conn == NULL) {
        smb2__request_done(request, STATUS_CANCELLED);
        return;
    }
    clear_request(request);
    run_again(request, begin_request);
}

/* Runs the request. One that vfs has answered with ERR_DELAY has changed nothing: it is suspended, and run
 * again when the breaks are over, as if it came only then. */
static uint32_t start_request(struct smb2_request *request, uint32_t (*begin)(struct smb2_request *request))
{
    struct smb2_message *message = request->message;
    uint32_t status;

    request->grants = (struct grant_waiter){.done = on_grants_broken};
    message->running = true;
    status = begin(request);
    message->running = false;
    grant_tell(message->server->state); /* before the reply, as clients expect */
    if (request->grants.file == NULL)
        return status;
    if (status != smb2__status(ERR_DELAY) || ++request->grant_tries > SMB2_GRANT_TRIES) {
        grant_wait_cancel(&request->grants);
        return status;
    }
    if (!smb2__request_pending(request)) {
        grant_wait_cancel(&request->grants);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    request->cancel = cancel_grant_wait;
    return SMB2_WAIT;
}

/* ---- one behind the other ---- */

void smb2__message_free(struct smb2_message *message)
{
    struct smb_server *server = message->server;
    struct smb2_conn *conn = message->conn;

    clear_request(&message->request);
    smb2__session_unref(&message->encrypted_by);
    smb2__channel_unref(&message->sealed_by);
    writer_free(&message->replies);
    buf_unref(&message->large);
    buf_unref(&message->sealed);
    smb2_engine_give(&message->engine);
    list_remove(&message->link);
    if (conn != NULL) {
        conn->message_count--;
        conn->message_bytes -= message->length;
        smb2__conn_ready(conn);
    }
    buf_unref(&message->buf);
    free(message);
    server->message_count--;
    smb2__server_check_stopped(server);
}

/* The next request of the message into REQUEST. False: the chain is broken. */
static bool cut_request(struct smb2_message *message, struct smb2_request *request)
{
    struct reader reader = reader_of(message->data + message->next_at, message->length - message->next_at);

    request->data = reader.at;
    request->length = reader.left;
    if (!smb2__header_read(&reader, &request->header))
        return false;
    if (request->header.next != 0) {
        if (request->header.next % 8 != 0 || request->header.next < SMB2_HEADER_SIZE + 2 ||
            request->header.next > request->length - SMB2_HEADER_SIZE)
            return false;
        request->length = request->header.next;
        message->next_at += request->header.next;
    } else {
        message->next_at = message->length;
    }
    request->body = reader_of(request->data + SMB2_HEADER_SIZE, request->length - SMB2_HEADER_SIZE);
    if ((request->header.flags & SMB2_FLAG_RELATED) && message->count > 0) {
        request->header.session_id = message->session_id;
        request->header.tree_id = message->tree_id;
    }
    return !(request->header.flags & SMB2_FLAG_RESPONSE) && ++message->count <= SMB2_COMPOUND_MAX;
}

static bool take_credits(struct smb2_conn *conn, struct smb2_request *request)
{
    uint16_t charge = conn->dialect > 0x0202 ? request->header.credit_charge : 1;

    if (!smb2__window_take(&conn->window, request->header.message_id, charge))
        return false;
    request->granted = smb2__window_grant(&conn->window, request->header.credits);
    return true;
}

/* MS-SMB2 3.3.5.16. Clients leave CANCEL unsigned at times, so only a signature that is there is checked. */
static void cancel_other(struct smb2_request *request)
{
    struct smb2_conn *conn = request->message->conn;

    request->channel = smb2__channel_find(conn, request->header.session_id);
    if (request->channel == NULL)
        return;
    request->channel->references++;
    request->session = request->channel->session;
    request->session->references++;
    if (request->message->encrypted ? request->session != request->message->encrypted_by
                                    : (request->header.flags & SMB2_FLAG_SIGNED) != 0 &&
                                          (key_of(request) == NULL || !verify(request)))
        return;
    smb2__message_cancel(conn, &request->header);
}

/* Runs requests until one waits or none is left. False: the connection must end. */
static bool run_requests(struct smb2_message *message)
{
    struct smb2_request *request = &message->request;

    while (message->next_at < message->length && message->conn != NULL) {
        uint32_t status;

        seal_last(message, true);
        clear_request(request);
        memset(request, 0, sizeof *request);
        request->message = message;
        if (!cut_request(message, request))
            return false;
        request->row = request->header.command < SMB2_COMMANDS ? &smb2__commands[request->header.command]
                                                               : &unknown_command;
        /* MS-SMB2 3.3.5.2.2: nothing else before it, and no answer */
        if (request->header.command != SMB2_NEGOTIATE && message->conn->state != SMB2_CONN_NEGOTIATED)
            return false;
        if (request->header.command == SMB2_CANCEL) {
            cancel_other(request);
            message->any_reply = false;
            continue;
        }
        if (!take_credits(message->conn, request))
            return false;
        write_header(request);
        if (message->replies.failed)
            return false;
        status = start_request(request, begin_request);
        if (status == SMB2_WAIT) {
            request->waiting = true;
            return true;
        }
        finish_reply(request, status);
        if (request->header.command == SMB2_CREATE)
            message->related_status = status;
    }
    return true;
}

/* The replies are complete: may a worker seal them? */
static bool seal_by_worker(struct smb2_message *message)
{
    struct smb2_request *request = &message->request;

    if (!message->any_reply || message->replies.failed)
        return false;
    if (message->encrypted_by != NULL)
        return smb2__worker_encrypt(message);
    if (request->reply_at != 0 || !must_sign(request))
        return false;
    set_flag(&message->replies, 0, SMB2_FLAG_SIGNED);
    return smb2__worker_sign(message, key_of(request));
}

void smb2__message_go_on(struct smb2_message *message, bool *broken_r)
{
    *broken_r = message->conn != NULL && !run_requests(message);
    if (!*broken_r && message->request.waiting)
        return;
    if (!*broken_r) {
        if (seal_by_worker(message))
            return;
        seal_last(message, false);
        send_replies(message, &message->replies);
    }
    smb2__message_free(message);
}

void smb2__message_sent(struct smb2_message *message, bool good)
{
    if (!good && message->conn != NULL)
        smb2__conn_close(message->conn, false);
    smb2__message_free(message);
}

void smb2__request_done(struct smb2_request *request, uint32_t status)
{
    struct smb2_message *message = request->message;
    struct smb2_conn *conn = message->conn;
    bool broken;

    invariant(request->waiting && !message->running);
    request->waiting = false;
    request->cancel = NULL;
    if (conn == NULL) {
        smb2__message_free(message);
        return;
    }
    if (request->async_id != 0)
        conn->async_count--;
    finish_reply(request, status);
    if (request->header.command == SMB2_CREATE)
        message->related_status = status;
    smb2__message_go_on(message, &broken);
    if (broken)
        smb2__conn_close(conn, true);
}

/* MS-SMB2 3.3.5.9.10: its client will ask again over another channel, and must not be in its own way. */
static bool keep_lost(struct smb2_message *message)
{
    const struct smb2_request *request = &message->request;
    struct smb2_session *session = request->session;
    const struct list *link;
    unsigned count = 0;

    if (request->cancel != cancel_grant_wait || !request->has_create_guid || session->dead)
        return false;
    list_for_each(link, &session->lost) count++;
    if (count >= SMB2_LOST_MAX)
        return false;
    list_push_back(&session->lost, &message->link);
    return true;
}

void smb2__message_detach(struct smb2_message *message)
{
    struct smb2_request *request = &message->request;

    list_remove(&message->link);
    message->conn = NULL;
    if (request->cancel == NULL || keep_lost(message))
        return;
    request->cancel(request);
}

void smb2__message_forget(struct smb2_message *message)
{
    message->request.cancel(&message->request);
}

void smb2__message_cancel(struct smb2_conn *conn, const struct smb2_header *header)
{
    struct list *link;

    list_for_each(link, &conn->messages)
    {
        struct smb2_request *request = &container_of(link, struct smb2_message, link)->request;
        bool same = (header->flags & SMB2_FLAG_ASYNC) ? request->async_id == header->async_id
                                                      : request->header.message_id == header->message_id;

        if (request->waiting && same && request->header.session_id == header->session_id &&
            request->async_id != 0 && request->cancel != NULL) {
            request->cancel(request);
            return;
        }
    }
}
