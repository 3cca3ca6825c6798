/*
 * smb2_worker.c - encryption and signatures of large messages, which workers compute while the loop goes on.
 *
 * A message that comes: until it is decrypted, or its signature is checked, its connection is not read from,
 * so that what follows can't overtake it; the socket goes on filling meanwhile. What a worker found of a
 * signature counts for the key it was checked with, should the request turn out to be another's.
 *
 * A message whose replies are complete: these are encrypted, or the only one is signed, and sent when the
 * worker is done. Replies of different messages may go in any order (MS-SMB2 3.2.5.1). So few are made at a
 * time that one is signed while the next is read, and no more: their bytes stay in the processor's cache from
 * the read to the socket.
 *
 * A message stays in its connection's list and in the server's count as long as a worker has it; its bytes
 * are the worker's then. Small ones are not worth the way (and so is one when no job can be submitted), nor
 * is what comes where processors are few (smb.h, open_on_loop).
 */
#include "smb/smb2_worker.h"

#include <string.h>

enum { LARGE = 32 * 1024 };

static struct smb2_message *message_of(struct loop_job *job)
{
    return container_of(job, struct smb2_message, job);
}

/* Small ones are not worth the way. */
static bool is_opened_by_worker(const struct smb2_message *message)
{
    return message->length >= LARGE && !message->server->options.open_on_loop;
}

static bool submit(struct smb2_message *message, void (*work)(struct loop_job *job),
                   void (*done)(struct loop_job *job))
{
    message->job = (struct loop_job){.work = work, .done = done};
    return loop_submit(message->server->loop, &message->job) == ERR_OK;
}

/* ---- what comes ---- */

static void work_decrypt(struct loop_job *job)
{
    struct smb2_message *message = message_of(job);
    uint8_t *plain = message->buf->data + message->buf_at + SMB2_TRANSFORM_SIZE;

    message->job_err =
        smb2_decrypt(message->engine, message->data, plain, message->length - SMB2_TRANSFORM_SIZE, plain);
}

static bool take_plain(struct smb2_message *message)
{
    smb2_engine_give(&message->engine);
    if (message->job_err != ERR_OK)
        return false;
    message->encrypted = true;
    message->data += SMB2_TRANSFORM_SIZE;
    message->length -= SMB2_TRANSFORM_SIZE;
    if (message->conn != NULL)
        message->conn->message_bytes -= SMB2_TRANSFORM_SIZE;
    return message->length >= SMB2_HEADER_SIZE;
}

/* The connection may be read from again, whatever became of the message. */
static void done_decrypt(struct loop_job *job)
{
    struct smb2_message *message = message_of(job);

    if (message->conn != NULL)
        message->conn->working = false;
    smb2__message_opened(message, take_plain(message));
}

enum smb2_opening smb2__worker_decrypt(struct smb2_message *message)
{
    struct smb2_transform transform;
    struct smb2_channel *channel;

    if (message->conn->cipher == SMB2_CIPHER_NONE ||
        smb2_transform_read(message->data, message->length, &transform) != ERR_OK)
        return SMB2_BROKEN;
    channel = smb2__channel_find(message->conn, transform.session_id);
    if (channel == NULL || channel->session->decrypt == NULL)
        return SMB2_BROKEN;
    message->engine = smb2_engine_take(channel->session->decrypt);
    if (message->engine == NULL)
        return SMB2_BROKEN;
    message->encrypted_by = channel->session;
    channel->session->references++;
    if (is_opened_by_worker(message) && submit(message, work_decrypt, done_decrypt)) {
        message->conn->working = true;
        return SMB2_LATER;
    }
    work_decrypt(&message->job);
    return take_plain(message) ? SMB2_OPENED : SMB2_BROKEN;
}

static void work_check(struct loop_job *job)
{
    struct smb2_message *message = message_of(job);
    struct smb2_part part = {.data = message->data, .length = message->length};

    message->checked_good = smb2_verify(message->engine, &part, 1);
}

static void done_check(struct loop_job *job)
{
    struct smb2_message *message = message_of(job);

    if (message->conn != NULL)
        message->conn->working = false;
    smb2__message_opened(message, true);
}

bool smb2__worker_check(struct smb2_message *message)
{
    struct reader reader = reader_of(message->data, message->length);
    struct smb2_channel *channel;
    struct smb2_header header;
    struct smb2_key *key;

    /* Of what is large, WRITE alone is frequent; a compound is signed piece by piece. */
    if (!is_opened_by_worker(message) || !smb2__header_read(&reader, &header) ||
        header.command != SMB2_WRITE || header.next != 0 || !(header.flags & SMB2_FLAG_SIGNED))
        return false;
    channel = smb2__channel_find(message->conn, header.session_id);
    key = channel != NULL ? smb2__channel_key(channel) : NULL;
    if (key == NULL)
        return false;
    message->engine = smb2_engine_take(key);
    if (message->engine == NULL)
        return false;
    if (!submit(message, work_check, done_check)) {
        smb2_engine_give(&message->engine);
        return false;
    }
    /* The engine keeps the key, and so its address, until the message ends. */
    message->checked_key = key;
    message->conn->working = true;
    return true;
}

/* ---- what goes ---- */

static void work_encrypt(struct loop_job *job)
{
    struct smb2_message *message = message_of(job);
    struct smb2_part part = {.data = message->replies.data, .length = message->replies.length};

    message->job_err =
        smb2_encrypt(message->sealer, message->encrypted_by->id, message->nonce, &part, 1, message->seal_to);
}

static void work_sign(struct loop_job *job)
{
    struct smb2_message *message = message_of(job);
    struct smb2_part part = {.data = message->replies.data, .length = message->replies.length};
    uint8_t signature[SMB2_SIGNATURE_SIZE];

    message->job_err = smb2_sign(message->sealer, &part, 1, signature);
    if (message->job_err == ERR_OK)
        memcpy(message->replies.data + SMB2_SIGNATURE_OFFSET, signature, sizeof signature);
}

static bool can_send(const struct smb2_message *message)
{
    return message->conn != NULL && message->conn->net != NULL && !message->conn->closing;
}

static void came_back(struct smb2_message *message)
{
    smb2_engine_give(&message->sealer);
    if (message->conn != NULL)
        message->conn->sealing_bytes -= message->replies.length;
}

static void done_encrypt(struct loop_job *job)
{
    struct smb2_message *message = message_of(job);

    came_back(message);
    if (message->job_err == ERR_OK && can_send(message))
        smb2__send_frame(message->conn, message->sealed, message->seal_to,
                         SMB2_TRANSFORM_SIZE + message->replies.length);
    smb2__message_sent(message, message->job_err == ERR_OK);
}

static void done_sign(struct loop_job *job)
{
    struct smb2_message *message = message_of(job);
    bool good = message->job_err == ERR_OK;

    came_back(message);
    if (good && can_send(message))
        good = smb2__send(message->conn, NULL, &message->replies, message->large);
    smb2__message_sent(message, good);
}

static bool is_large(const struct smb2_message *message)
{
    return can_send(message) && !message->replies.failed && message->replies.length >= LARGE;
}

static bool submit_reply(struct smb2_message *message, void (*work)(struct loop_job *job),
                         void (*done)(struct loop_job *job))
{
    if (!submit(message, work, done))
        return false;
    message->conn->sealing_bytes += message->replies.length;
    return true;
}

bool smb2__worker_encrypt(struct smb2_message *message)
{
    struct smb2_key *key = message->encrypted_by->encrypt;

    if (!is_large(message))
        return false;
    if (message->large != NULL) { /* where it lies */
        message->sealed = buf_ref(message->large);
        message->seal_to = message->replies.data - SMB2_TRANSFORM_SIZE;
    } else {
        message->sealed = buf_new(SMB2_HEADROOM + message->replies.length);
        message->seal_to = message->sealed != NULL ? message->sealed->data + SMB2_FRAME_HEAD : NULL;
    }
    message->sealer = smb2_engine_take(key);
    if (message->sealed != NULL && message->sealer != NULL && smb2_key_nonce(key, message->nonce) == ERR_OK &&
        submit_reply(message, work_encrypt, done_encrypt))
        return true;
    smb2_engine_give(&message->sealer);
    buf_unref(&message->sealed);
    return false;
}

bool smb2__worker_sign(struct smb2_message *message, struct smb2_key *key)
{
    if (!is_large(message))
        return false;
    message->sealer = smb2_engine_take(key);
    if (message->sealer != NULL && submit_reply(message, work_sign, done_sign))
        return true;
    smb2_engine_give(&message->sealer);
    return false;
}
