/*
 * smb2client.c - the transport of the test client: frames, signatures, encryption, replies in any order.
 *
 * The socket never blocks: each wait is a poll, between which `pump` lets a server on the same thread work.
 */
#include "smb2client.h"
#include "smb2client_priv.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    TIMEOUT_MS = 10000,
    FRAME_MAX = 16 << 20,
    HEAD = 4,
    FLAG_RESPONSE = 1,
    FLAG_ASYNC = 2,
    FLAG_RELATED = 4,
    FLAG_SIGNED = 8,
    CREDITS_ASKED = 64,
    AT_STATUS = 8,
    AT_FLAGS = 16,
    AT_NEXT = 20,
    AT_ASYNC = 32,
    CREDIT_BYTES = 65536
};
#define MAGIC_PLAIN UINT32_C(0x424d53fe)

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits for EVENTS; false when END_MS has passed. */
static bool wait_for(struct smb2client *client, short events, int64_t end_ms)
{
    for (;;) {
        struct pollfd polled = {.fd = client->fd, .events = events};
        int64_t left_ms = end_ms - now_ms();

        if (client->pump != NULL)
            client->pump(client->pump_data);
        if (poll(&polled, 1, client->pump != NULL || left_ms < 0 ? 0 : (int)left_ms) > 0)
            return true;
        if (left_ms < 0)
            return false;
    }
}

struct smb2client *smb2client_open(const char *host, uint16_t port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found;
    static uint32_t machines = 1;
    struct smb2client *client;
    char service[16];
    int fd;

    snprintf(service, sizeof service, "%u", port);
    if (getaddrinfo(host, service, &hints, &found) != 0)
        return NULL;
    fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    client = calloc(1, sizeof *client);
    if (fd < 0 || client == NULL || connect(fd, found->ai_addr, found->ai_addrlen) != 0) {
        if (fd >= 0)
            close(fd);
        free(client);
        freeaddrinfo(found);
        return NULL;
    }
    freeaddrinfo(found);
    client->fd = fd;
    client->timeout_ms = TIMEOUT_MS;
    client->dialects[0] = 0x0311;
    client->dialect_count = 1;
    client->capabilities = 0x7f;
    client->cipher_offer = SMB2_CIPHER_AES128_GCM;
    client->signing_offer = SMB2_SIGNING_AES_CMAC;
    memset(client->guid, 0xc1, sizeof client->guid);
    memcpy(client->guid, &machines, sizeof machines);
    machines++;
    client->credits = 1;
    list_init(&client->replies);
    return client;
}

void smb2client_close(struct smb2client **client_p)
{
    struct smb2client *client = *client_p;

    *client_p = NULL;
    if (client == NULL)
        return;
    close(client->fd);
    while (!list_is_empty(&client->replies)) {
        struct smb2_reply *reply = list_first(&client->replies, struct smb2_reply, link);

        list_remove(&reply->link);
        free(reply);
    }
    free(client->reply);
    smb2_key_free(&client->sign_key);
    smb2_key_free(&client->encrypt_key);
    smb2_key_free(&client->decrypt_key);
    free(client);
}

/* ---- sending ---- */

bool smb2client_send_raw(struct smb2client *client, const void *bytes, size_t length)
{
    const uint8_t *at = bytes;
    int64_t end_ms = now_ms() + client->timeout_ms;

    while (length > 0 && !client->broken) {
        ssize_t sent = send(client->fd, at, length, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (sent > 0) {
            at += sent;
            length -= (size_t)sent;
        } else if (sent < 0 && errno != EAGAIN && errno != EINTR) {
            client->broken = true;
        } else if (!wait_for(client, POLLOUT, end_ms)) {
            return false;
        }
    }
    return !client->broken;
}

static void put_header(const struct smb2client *client, struct writer *frame, uint16_t command,
                       uint64_t message_id, uint16_t charge, uint32_t flags)
{
    writer_le32(frame, MAGIC_PLAIN);
    writer_le16(frame, SMB2_HEADER_SIZE);
    writer_le16(frame, client->dialect > 0x0202 ? charge : 0);
    writer_le32(frame, client->channel_sequence);
    writer_le16(frame, command);
    writer_le16(frame, CREDITS_ASKED);
    writer_le32(frame, flags | client->extra_flags);
    writer_le32(frame, 0);
    writer_le64(frame, message_id);
    writer_le32(frame, 0xfeff);
    writer_le32(frame, flags & FLAG_RELATED ? UINT32_MAX : client->tree_id);
    writer_le64(frame, flags & FLAG_RELATED ? UINT64_MAX : client->session_id);
    writer_zeros(frame, SMB2_SIGNATURE_SIZE);
}

static void sign(struct smb2client *client, uint8_t *message, size_t length)
{
    struct smb2_engine *engine = smb2_engine_take(client->sign_key);
    struct smb2_part part = {.data = message, .length = length};
    uint8_t signature[SMB2_SIGNATURE_SIZE];

    message[AT_FLAGS] |= FLAG_SIGNED;
    if (engine == NULL || smb2_sign(engine, &part, 1, signature) != ERR_OK)
        abort();
    memcpy(message + SMB2_SIGNATURE_OFFSET, signature, sizeof signature);
    smb2_engine_give(&engine);
}

/* The message behind the frame's head, as it is or encrypted. */
static bool send_frame(struct smb2client *client, struct writer *frame)
{
    size_t length = frame->length - HEAD;
    struct smb2_engine *engine;
    struct smb2_part part;
    uint8_t nonce[SMB2_NONCE_SIZE], *message;
    bool sent;

    if (frame->failed)
        abort();
    if (!client->encrypts || client->encrypt_key == NULL) {
        writer_patch_be32(frame, 0, (uint32_t)length);
        return smb2client_send_raw(client, frame->data, frame->length);
    }
    message = malloc(HEAD + SMB2_TRANSFORM_SIZE + length);
    engine = smb2_engine_take(client->encrypt_key);
    part = (struct smb2_part){.data = frame->data + HEAD, .length = length};
    if (message == NULL || engine == NULL || smb2_key_nonce(client->encrypt_key, nonce) != ERR_OK ||
        smb2_encrypt(engine, client->session_id, nonce, &part, 1, message + HEAD) != ERR_OK)
        abort();
    smb2_engine_give(&engine);
    message[0] = 0;
    message[1] = (uint8_t)((SMB2_TRANSFORM_SIZE + length) >> 16);
    message[2] = (uint8_t)((SMB2_TRANSFORM_SIZE + length) >> 8);
    message[3] = (uint8_t)(SMB2_TRANSFORM_SIZE + length);
    sent = smb2client_send_raw(client, message, HEAD + SMB2_TRANSFORM_SIZE + length);
    free(message);
    return sent;
}

/* What a request costs: its own bytes or those of its answer (MS-SMB2 3.2.4.1.5). */
static uint16_t charge_of(uint16_t command, const struct writer *body)
{
    struct reader reader = reader_of(body->data, body->length);
    uint32_t asked = 0;
    size_t most = body->length > 64 ? body->length - 64 : 1;

    if ((command == SMB2C_READ || command == SMB2C_QUERY_INFO) && reader_skip(&reader, 4) &&
        reader_le32(&reader, &asked) && asked > most)
        most = asked;
    return (uint16_t)((most + CREDIT_BYTES - 1) / CREDIT_BYTES);
}

uint64_t smb2client_send_compound(struct smb2client *client, const struct smb2c_part *parts, size_t count,
                                  bool related)
{
    uint64_t first = client->next_message;
    struct writer frame;
    bool sent;

    writer_init_growing(&frame, FRAME_MAX);
    writer_be32(&frame, 0);
    for (size_t i = 0; i < count; i++) {
        uint16_t charge = charge_of(parts[i].command, parts[i].body);
        size_t at = frame.length;

        if (charge > client->credits) {
            writer_free(&frame);
            return UINT64_MAX;
        }
        client->credits -= charge;
        put_header(client, &frame, parts[i].command, client->next_message, charge,
                   related && i > 0 ? FLAG_RELATED : 0);
        client->next_message += charge;
        writer_bytes(&frame, parts[i].body->data, parts[i].body->length);
        if (i + 1 < count) {
            while ((frame.length - at) % 8 != 0 && !frame.failed)
                writer_u8(&frame, 0);
            writer_patch_le32(&frame, at + AT_NEXT, (uint32_t)(frame.length - at));
        }
        if (client->sign_key != NULL && !client->encrypts && !client->leaves_unsigned && !frame.failed)
            sign(client, frame.data + at, frame.length - at);
    }
    smb2c__note_sent(client, parts[0].command, frame.data + HEAD, frame.length - HEAD);
    sent = send_frame(client, &frame);
    writer_free(&frame);
    return sent ? first : UINT64_MAX;
}

uint64_t smb2client_send(struct smb2client *client, uint16_t command, const struct writer *body)
{
    struct smb2c_part part = {.command = command, .body = body};

    return smb2client_send_compound(client, &part, 1, false);
}

void smb2client_cancel(struct smb2client *client, uint64_t message_id, uint64_t async_id)
{
    struct writer frame;

    writer_init_growing(&frame, 256);
    writer_be32(&frame, 0);
    put_header(client, &frame, SMB2C_CANCEL, message_id, 0, async_id != 0 ? FLAG_ASYNC : 0);
    if (async_id != 0) {
        writer_patch_le32(&frame, HEAD + AT_ASYNC, (uint32_t)async_id);
        writer_patch_le32(&frame, HEAD + AT_ASYNC + 4, (uint32_t)(async_id >> 32));
    }
    writer_le16(&frame, 4);
    writer_le16(&frame, 0);
    if (client->sign_key != NULL && !client->encrypts && !client->leaves_unsigned && !frame.failed)
        sign(client, frame.data + HEAD, frame.length - HEAD);
    send_frame(client, &frame);
    writer_free(&frame);
}

/* ---- receiving ---- */

static bool receive_bytes(struct smb2client *client, uint8_t *to, size_t length, int64_t end_ms)
{
    while (length > 0) {
        ssize_t got = recv(client->fd, to, length, MSG_DONTWAIT);

        if (got > 0) {
            to += got;
            length -= (size_t)got;
        } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            client->broken = true;
            return false;
        } else if (!wait_for(client, POLLIN, end_ms)) {
            return false;
        }
    }
    return true;
}

/* MS-SMB2 2.2.23 */
static bool take_break(struct smb2client *client, const struct smb2_reply *reply)
{
    struct reader body = reader_of(reader_of(reply->data, reply->length).at + SMB2_HEADER_SIZE,
                                   reply->length - SMB2_HEADER_SIZE);
    struct smb2c_break got = {.lease = false};
    uint16_t size;

    if (client->break_count == SMB2C_BREAKS_MAX || !reader_le16(&body, &size))
        return false;
    if (size == 24) {
        if (!reader_u8(&body, &got.level) || !reader_skip(&body, 5) ||
            !reader_copy(&body, got.file, sizeof got.file))
            return false;
    } else {
        got.lease = true;
        if (size != 44 || !reader_le16(&body, &got.epoch) || !reader_le32(&body, &got.flags) ||
            !reader_copy(&body, got.key, sizeof got.key) || !reader_le32(&body, &got.current) ||
            !reader_le32(&body, &got.to))
            return false;
    }
    client->breaks[client->break_count++] = got;
    return true;
}

static bool read_header(struct smb2_reply *reply, uint32_t *next_r)
{
    struct reader reader = reader_of(reply->data, reply->length);
    uint32_t magic, low;
    uint16_t size;

    if (!reader_le32(&reader, &magic) || magic != MAGIC_PLAIN || !reader_le16(&reader, &size) ||
        size != SMB2_HEADER_SIZE || !reader_skip(&reader, 2) || !reader_le32(&reader, &reply->status) ||
        !reader_le16(&reader, &reply->command) || !reader_le16(&reader, &reply->credits) ||
        !reader_le32(&reader, &reply->flags) || !reader_le32(&reader, next_r) ||
        !reader_le64(&reader, &reply->message_id))
        return false;
    if (reply->flags & FLAG_ASYNC) {
        if (!reader_le64(&reader, &reply->async_id))
            return false;
    } else if (!reader_le32(&reader, &low) || !reader_le32(&reader, &reply->tree_id)) {
        return false;
    }
    return reader_le64(&reader, &reply->session_id) && (reply->flags & FLAG_RESPONSE);
}

static bool check_signature(struct smb2client *client, const struct smb2_reply *reply, bool encrypted)
{
    struct smb2_engine *engine;
    struct smb2_part part = {.data = reply->data, .length = reply->length};
    bool good;

    if (encrypted || client->sign_key == NULL || reply->message_id == UINT64_MAX ||
        reply->status == STATUS_PENDING || !reply->is_signed)
        return true;
    /* The last one of a binding has a signature of the new channel's: see smb2client_bind. */
    if (client->binds && reply->command == SMB2C_SESSION_SETUP && reply->status == STATUS_SUCCESS)
        return true;
    engine = smb2_engine_take(client->sign_key);
    good = engine != NULL && smb2_verify(engine, &part, 1);
    smb2_engine_give(&engine);
    return good;
}

/* One reply of a message, of LENGTH bytes at DATA; *NEXT_R: where the following one is, 0: there is none. */
static bool take_reply(struct smb2client *client, const uint8_t *data, size_t length, bool encrypted,
                       uint32_t *next_r)
{
    struct smb2_reply *reply = calloc(1, sizeof *reply + length);

    if (reply == NULL)
        abort();
    memcpy(reply->data, data, length);
    reply->length = length;
    if (length < SMB2_HEADER_SIZE + 2 || !read_header(reply, next_r) || *next_r % 8 != 0 ||
        (*next_r != 0 && (*next_r < SMB2_HEADER_SIZE || *next_r >= length))) {
        free(reply);
        return false;
    }
    if (*next_r != 0)
        reply->length = *next_r;
    /* A signature of zeros stands for none: the server has no session to sign with. */
    reply->is_signed = (reply->flags & FLAG_SIGNED) != 0 &&
                       memcmp(reply->data + SMB2_SIGNATURE_OFFSET, (const uint8_t[SMB2_SIGNATURE_SIZE]){0},
                              SMB2_SIGNATURE_SIZE) != 0;
    if (!check_signature(client, reply, encrypted)) {
        fprintf(stderr, "smb2client: the signature of a reply is wrong\n");
        free(reply);
        return false;
    }
    client->credits += reply->credits;
    if (reply->command == SMB2C_OPLOCK_BREAK && reply->message_id == UINT64_MAX) {
        bool good = take_break(client, reply);

        free(reply);
        return good;
    }
    list_push_back(&client->replies, &reply->link);
    return true;
}

static bool take_message(struct smb2client *client, uint8_t *message, size_t length)
{
    struct smb2_transform transform;
    struct smb2_engine *engine;
    bool encrypted = length >= 4 && message[0] == 0xfd;
    uint32_t next = 0;

    if (encrypted) {
        if (client->decrypt_key == NULL || smb2_transform_read(message, length, &transform) != ERR_OK)
            return false;
        engine = smb2_engine_take(client->decrypt_key);
        length -= SMB2_TRANSFORM_SIZE;
        if (engine == NULL || smb2_decrypt(engine, message, message + SMB2_TRANSFORM_SIZE, length,
                                           message + SMB2_TRANSFORM_SIZE) != ERR_OK) {
            smb2_engine_give(&engine);
            return false;
        }
        smb2_engine_give(&engine);
        message += SMB2_TRANSFORM_SIZE;
    }
    do {
        if (!take_reply(client, message, length, encrypted, &next))
            return false;
        message += next;
        length -= next;
    } while (next != 0);
    return true;
}

/* The next message, whatever it is for. */
static bool receive(struct smb2client *client, int64_t end_ms)
{
    uint8_t head[HEAD], *message;
    uint32_t length;
    bool good;

    if (client->broken || !wait_for(client, POLLIN, end_ms) ||
        !receive_bytes(client, head, HEAD, now_ms() + client->timeout_ms))
        return false;
    length = (uint32_t)head[1] << 16 | (uint32_t)head[2] << 8 | head[3];
    message = malloc(length + 1);
    if (message == NULL)
        abort();
    good = head[0] == 0 && receive_bytes(client, message, length, now_ms() + client->timeout_ms);
    if (good) {
        smb2c__note_received(client, message, length);
        good = take_message(client, message, length);
    }
    free(message);
    if (!good)
        client->broken = true;
    return good;
}

static struct smb2_reply *find_reply(const struct smb2client *client, uint64_t message_id, bool pending)
{
    const struct list *link;

    list_for_each(link, &client->replies)
    {
        struct smb2_reply *reply = container_of(link, struct smb2_reply, link);

        if (reply->message_id == message_id &&
            (reply->status == STATUS_PENDING && (reply->flags & FLAG_ASYNC)) == pending)
            return reply;
    }
    return NULL;
}

uint32_t smb2client_wait(struct smb2client *client, uint64_t message_id)
{
    int64_t end_ms = now_ms() + client->timeout_ms;
    struct smb2_reply *reply, *interim;

    if (message_id == UINT64_MAX)
        return SMB2C_BROKEN;
    while ((reply = find_reply(client, message_id, false)) == NULL) {
        if (!receive(client, end_ms))
            return client->broken ? SMB2C_BROKEN : SMB2C_TIMEOUT;
    }
    interim = find_reply(client, message_id, true);
    if (interim != NULL) {
        list_remove(&interim->link);
        free(interim);
    }
    list_remove(&reply->link);
    free(client->reply);
    client->reply = reply;
    return reply->status;
}

uint32_t smb2client_call(struct smb2client *client, uint16_t command, const struct writer *body)
{
    return smb2client_wait(client, smb2client_send(client, command, body));
}

bool smb2client_pending(struct smb2client *client, uint64_t message_id, uint64_t *async_id_r)
{
    int64_t end_ms = now_ms() + client->timeout_ms;
    const struct smb2_reply *interim;

    while ((interim = find_reply(client, message_id, true)) == NULL) {
        if (find_reply(client, message_id, false) != NULL || !receive(client, end_ms))
            return false;
    }
    if (async_id_r != NULL)
        *async_id_r = interim->async_id;
    return true;
}

bool smb2client_has_reply(struct smb2client *client, uint64_t message_id)
{
    while (find_reply(client, message_id, false) == NULL) {
        if (!receive(client, 0))
            return false;
    }
    return true;
}

bool smb2client_wait_closed(struct smb2client *client)
{
    int64_t end_ms = now_ms() + client->timeout_ms;

    while (!client->broken) {
        if (!receive(client, end_ms) && !client->broken)
            return false;
    }
    return true;
}

bool smb2client_next_break(struct smb2client *client, struct smb2c_break *break_r)
{
    int64_t end_ms = now_ms() + client->timeout_ms;

    while (client->break_count == 0) {
        if (!receive(client, end_ms))
            return false;
    }
    *break_r = client->breaks[0];
    client->break_count--;
    memmove(client->breaks, client->breaks + 1, client->break_count * sizeof *client->breaks);
    return true;
}

struct reader smb2client_body(const struct smb2client *client)
{
    return reader_of(client->reply->data + SMB2_HEADER_SIZE, client->reply->length - SMB2_HEADER_SIZE);
}

bool smb2client_part(const struct smb2client *client, uint32_t offset, uint32_t length, struct reader *part_r)
{
    struct reader reader = reader_of(client->reply->data, client->reply->length);

    return reader_skip(&reader, offset) && reader_sub(&reader, length, part_r);
}
