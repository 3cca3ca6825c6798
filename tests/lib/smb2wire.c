/*
 * smb2wire.c - an SMB 2 and 3 client at the level of messages: frames, signatures, encryption, logon.
 */
#include "smb2wire.h"
#include "dittofs/log.h"
#include "dittofs/utf16.h"
#include "ntlmclient.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    FRAME_HEAD = 4,
    MESSAGE_MAX = 64 << 20,
    READ_PIECE = 65536,
    TIMEOUT_MS = 20000,
    AT_NEXT = 20,
    AT_FLAGS = 16,
    CONTEXT_PREAUTH = 1,
    CONTEXT_ENCRYPTION = 2,
    CONTEXT_SIGNING = 8,
    CAPABILITIES = 0x7f,
    CAPABILITIES_PLAIN = 0x3f
};

const struct smb2wire_file smb2wire_same_file = {UINT64_MAX, UINT64_MAX};

/* ---- the socket ---- */

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool wait_for(struct smb2wire *wire, short events, int64_t end_ms)
{
    for (;;) {
        struct pollfd polled = {.fd = wire->fd, .events = events};
        int64_t left_ms = end_ms - now_ms();

        if (left_ms < 0)
            return false;
        if (wire->pump != NULL)
            wire->pump(wire->pump_data);
        if (poll(&polled, 1, wire->pump != NULL ? 0 : (int)left_ms) > 0)
            return true;
    }
}

struct smb2wire *smb2wire_open(const char *host, uint16_t port, void (*pump)(void *data), void *pump_data)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct smb2wire *wire;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

    if (fd < 0 || inet_pton(AF_INET, host, &address.sin_addr) != 1 ||
        connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    wire = calloc(1, sizeof *wire);
    invariant(wire != NULL);
    *wire = (struct smb2wire){.fd = fd,
                              .pump = pump,
                              .pump_data = pump_data,
                              .timeout_ms = TIMEOUT_MS,
                              .dialect = 0x0311,
                              .cipher = SMB2_CIPHER_AES128_GCM,
                              .signing = SMB2_SIGNING_AES_GMAC,
                              .guid = {1, 2, 3},
                              .credits = 1,
                              .asks = 1};
    writer_init_growing(&wire->request, MESSAGE_MAX);
    writer_init_growing(&wire->sealed, MESSAGE_MAX);
    writer_init_growing(&wire->in, MESSAGE_MAX);
    return wire;
}

void smb2wire_close(struct smb2wire **wire_p)
{
    struct smb2wire *wire = *wire_p;

    *wire_p = NULL;
    if (wire == NULL)
        return;
    close(wire->fd);
    smb2_key_free(&wire->signing_key);
    smb2_key_free(&wire->encrypt_key);
    smb2_key_free(&wire->decrypt_key);
    writer_free(&wire->request);
    writer_free(&wire->sealed);
    writer_free(&wire->in);
    free(wire);
}

/* ---- requests ---- */

/* Pads what was begun last and says where the next one begins. */
static void link_next(struct smb2wire *wire)
{
    struct writer *writer = &wire->request;

    while ((writer->length - wire->request_at) % 8 != 0)
        writer_u8(writer, 0);
    writer_patch_le32(writer, wire->request_at + AT_NEXT, (uint32_t)(writer->length - wire->request_at));
}

static void begin(struct smb2wire *wire, uint16_t command, uint32_t flags)
{
    struct writer *writer = &wire->request;
    uint16_t charge = wire->charge != 0 ? wire->charge : 1;

    if (writer->length > 0)
        link_next(wire);
    wire->request_at = writer->length;
    wire->charge = 0;
    writer_le32(writer, UINT32_C(0x424d53fe));
    writer_le16(writer, SMB2_HEADER_SIZE);
    writer_le16(writer, wire->dialect > 0x0202 && command != WIRE2_NEGOTIATE ? charge : 0);
    writer_le32(writer, 0);
    writer_le16(writer, command);
    writer_le16(writer, wire->asks);
    writer_le32(writer, flags);
    writer_le32(writer, 0);
    writer_le64(writer, wire->next_message);
    writer_le32(writer, 0);
    writer_le32(writer, wire->tree_id);
    writer_le64(writer, wire->session_id);
    writer_zeros(writer, SMB2_SIGNATURE_SIZE);
    if (command != WIRE2_CANCEL) {
        wire->next_message += charge;
        wire->credits -= wire->credits < charge ? wire->credits : charge;
    }
}

void smb2wire_begin(struct smb2wire *wire, uint16_t command)
{
    begin(wire, command, 0);
}

void smb2wire_begin_related(struct smb2wire *wire, uint16_t command)
{
    begin(wire, command, WIRE2_RELATED);
}

size_t smb2wire_offset(const struct smb2wire *wire)
{
    return wire->request.length - wire->request_at;
}

static bool sign_all(struct smb2wire *wire)
{
    struct writer *writer = &wire->request;
    size_t at = 0;

    for (;;) {
        struct reader reader = reader_of(writer->data + at, writer->length - at);
        struct smb2_engine *engine = smb2_engine_take(wire->signing_key);
        struct smb2_part part = {.data = reader.at};
        uint32_t next;

        invariant(engine != NULL && reader_skip(&reader, AT_NEXT) && reader_le32(&reader, &next));
        part.length = next >= SMB2_HEADER_SIZE && next < writer->length - at ? next : writer->length - at;
        writer->data[at + AT_FLAGS] |= WIRE2_SIGNED;
        invariant(smb2_sign(engine, &part, 1, writer->data + at + SMB2_SIGNATURE_OFFSET) == ERR_OK);
        smb2_engine_give(&engine);
        at += part.length;
        if (at + SMB2_HEADER_SIZE > writer->length)
            return true;
    }
}

static bool encrypt_all(struct smb2wire *wire)
{
    struct smb2_part part = {.data = wire->request.data, .length = wire->request.length};
    struct smb2_engine *engine = smb2_engine_take(wire->encrypt_key);
    uint8_t nonce[SMB2_NONCE_SIZE];
    uint8_t *out = writer_reserve(&wire->sealed, SMB2_TRANSFORM_SIZE + part.length);
    bool good = out != NULL && engine != NULL && smb2_key_nonce(wire->encrypt_key, nonce) == ERR_OK &&
                smb2_encrypt(engine, wire->session_id, nonce, &part, 1, out) == ERR_OK;

    smb2_engine_give(&engine);
    return good;
}

bool smb2wire_sign(struct smb2wire *wire)
{
    if (wire->request.failed)
        return false;
    if (!wire->logged_on || wire->signing_key == NULL || wire->unsigned_ ||
        wire->request.length < SMB2_HEADER_SIZE)
        return true;
    return sign_all(wire);
}

bool smb2wire_seal(struct smb2wire *wire)
{
    bool encrypts =
        wire->logged_on && (wire->encrypts || wire->session_encrypts) && wire->encrypt_key != NULL;
    size_t length = wire->request.length + (encrypts ? SMB2_TRANSFORM_SIZE : 0);
    bool good = true;

    writer_truncate(&wire->sealed, 0);
    writer_be32(&wire->sealed, (uint32_t)length);
    if (encrypts) {
        good = encrypt_all(wire);
    } else {
        good = smb2wire_sign(wire);
        writer_bytes(&wire->sealed, wire->request.data, wire->request.length);
    }
    smb2wire_drop(wire);
    return good && !wire->sealed.failed;
}

void smb2wire_drop(struct smb2wire *wire)
{
    writer_truncate(&wire->request, 0);
    wire->request_at = 0;
}

bool smb2wire_send_raw(struct smb2wire *wire, const void *bytes, size_t length)
{
    const uint8_t *at = bytes;
    int64_t end_ms = now_ms() + wire->timeout_ms;

    while (length > 0) {
        ssize_t sent = send(wire->fd, at, length, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent >= 0) {
            at += sent;
            length -= (size_t)sent;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            if (!wait_for(wire, POLLOUT, end_ms))
                return false;
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

bool smb2wire_send(struct smb2wire *wire)
{
    return smb2wire_seal(wire) && smb2wire_send_raw(wire, wire->sealed.data, wire->sealed.length);
}

/* ---- replies ---- */

bool smb2wire_unseal(struct smb2wire *wire, uint8_t **frame, size_t *length, bool *was_encrypted_r)
{
    struct smb2_transform transform;
    struct smb2_engine *engine;
    bool good;

    *was_encrypted_r = *length >= SMB2_TRANSFORM_SIZE && (*frame)[0] == 0xfd;
    if (!*was_encrypted_r)
        return true;
    if (wire->decrypt_key == NULL || smb2_transform_read(*frame, *length, &transform) != ERR_OK ||
        transform.session_id != wire->session_id)
        return false;
    engine = smb2_engine_take(wire->decrypt_key);
    good =
        engine != NULL && smb2_decrypt(engine, *frame, *frame + SMB2_TRANSFORM_SIZE,
                                       *length - SMB2_TRANSFORM_SIZE, *frame + SMB2_TRANSFORM_SIZE) == ERR_OK;
    smb2_engine_give(&engine);
    *frame += SMB2_TRANSFORM_SIZE;
    *length -= SMB2_TRANSFORM_SIZE;
    return good;
}

static bool read_header(struct smb2wire_reply *reply, const uint8_t *data, size_t left)
{
    struct reader reader = reader_of(data, left);
    uint32_t id;
    uint16_t size;
    uint64_t mixed;

    if (!reader_le32(&reader, &id) || id != UINT32_C(0x424d53fe) || !reader_le16(&reader, &size) ||
        size != SMB2_HEADER_SIZE || !reader_le16(&reader, &reply->credit_charge) ||
        !reader_le32(&reader, &reply->status) || !reader_le16(&reader, &reply->command) ||
        !reader_le16(&reader, &reply->credits) || !reader_le32(&reader, &reply->flags) ||
        !reader_le32(&reader, &reply->next) || !reader_le64(&reader, &reply->message_id) ||
        !reader_le64(&reader, &mixed) || !reader_le64(&reader, &reply->session_id) ||
        !reader_skip(&reader, SMB2_SIGNATURE_SIZE) || !(reply->flags & WIRE2_RESPONSE))
        return false;
    if (reply->flags & WIRE2_ASYNC)
        reply->async_id = mixed;
    else
        reply->tree_id = (uint32_t)(mixed >> 32);
    if (reply->next != 0 && (reply->next % 8 != 0 || reply->next < SMB2_HEADER_SIZE || reply->next > left))
        return false;
    reply->data = data;
    reply->length = reply->next != 0 ? reply->next : left;
    reply->body = reader_of(data + SMB2_HEADER_SIZE, reply->length - SMB2_HEADER_SIZE);
    return true;
}

bool smb2wire_take(struct smb2wire *wire, const uint8_t *frame, size_t length, size_t *at, bool was_encrypted,
                   struct smb2wire_reply *reply_r)
{
    struct smb2wire_reply reply = {.was_encrypted = was_encrypted};

    if (*at >= length || !read_header(&reply, frame + *at, length - *at))
        return false;
    /* A signature of zeros stands for none: the server has no session to sign with. */
    reply.is_signed = (reply.flags & WIRE2_SIGNED) != 0 &&
                      memcmp(reply.data + SMB2_SIGNATURE_OFFSET, (const uint8_t[SMB2_SIGNATURE_SIZE]){0},
                             SMB2_SIGNATURE_SIZE) != 0;
    if (reply.is_signed && wire->signing_key != NULL) {
        struct smb2_part part = {.data = reply.data, .length = reply.length};
        struct smb2_engine *engine = smb2_engine_take(wire->signing_key);
        bool good = engine != NULL && smb2_verify(engine, &part, 1);

        smb2_engine_give(&engine);
        if (!good)
            return false;
    }
    wire->credits += reply.credits;
    *at += reply.length;
    *reply_r = reply;
    return true;
}

/* A whole frame into wire->in. */
static bool receive_frame(struct smb2wire *wire)
{
    int64_t end_ms = now_ms() + wire->timeout_ms;
    size_t used = wire->frame == NULL ? 0 : FRAME_HEAD + wire->frame_length;
    uint32_t length;

    /* What came behind the last frame is the beginning of this one. */
    if (used > 0)
        memmove(wire->in.data, wire->in.data + used, wire->in.length - used);
    writer_truncate(&wire->in, wire->in.length - used);
    wire->frame = NULL;
    for (;;) {
        struct reader reader = reader_of(wire->in.data, wire->in.length);
        ssize_t got;

        if (reader_be32(&reader, &length) && reader.left >= length)
            break;
        if (!writer_has_room(&wire->in, READ_PIECE))
            return false;
        got = recv(wire->fd, wire->in.data + wire->in.length, READ_PIECE, MSG_DONTWAIT);
        if (got > 0)
            wire->in.length += (size_t)got;
        else if (got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) ||
                 !wait_for(wire, POLLIN, end_ms))
            return false;
    }
    wire->frame_length = length;
    wire->frame = wire->in.data + FRAME_HEAD;
    return true;
}

bool smb2wire_receive(struct smb2wire *wire, struct smb2wire_reply *reply_r)
{
    uint8_t *frame;
    size_t length;
    bool was_encrypted;

    if (wire->frame == NULL || wire->frame_at >= wire->frame_length) {
        if (!receive_frame(wire))
            return false;
        frame = wire->frame;
        length = wire->frame_length;
        if (!smb2wire_unseal(wire, &frame, &length, &was_encrypted)) {
            wire->broken = true;
            return false;
        }
        wire->frame_at = (size_t)(frame - wire->frame);
    }
    was_encrypted = wire->frame[0] == 0xfd;
    if (smb2wire_take(wire, wire->frame, wire->frame_length, &wire->frame_at, was_encrypted, reply_r))
        return true;
    wire->broken = true;
    return false;
}

bool smb2wire_settle(struct smb2wire *wire, uint64_t message_id, struct smb2wire_outcome *outcome_r)
{
    struct smb2wire_outcome outcome = {.status = SMB2WIRE_GONE};
    uint64_t echo = wire->next_message;
    struct smb2wire_reply reply;
    bool echoed = false;

    smb2wire_drop(wire);
    smb2wire_begin(wire, WIRE2_ECHO);
    writer_le32(&wire->request, 4);
    if (!smb2wire_send(wire))
        return false;
    while (!echoed || outcome.status == 0x103 || (outcome.replies == 0 && message_id != UINT64_MAX)) {
        if (!smb2wire_receive(wire, &reply))
            return false;
        echoed |= reply.message_id == echo;
        if (reply.message_id == message_id) {
            outcome.status = reply.status;
            outcome.async_id = reply.status == 0x103 ? reply.async_id : outcome.async_id;
            outcome.replies += reply.status != 0x103;
        }
        if (reply.message_id == echo && outcome.status == 0x103) {
            smb2wire_begin(wire, WIRE2_CANCEL);
            wire->request.data[AT_FLAGS] |= WIRE2_ASYNC;
            writer_patch_le32(&wire->request, 24, (uint32_t)message_id);
            writer_patch_le32(&wire->request, 28, (uint32_t)(message_id >> 32));
            writer_patch_le32(&wire->request, 32, (uint32_t)outcome.async_id);
            writer_patch_le32(&wire->request, 36, (uint32_t)(outcome.async_id >> 32));
            writer_le32(&wire->request, 4);
            if (!smb2wire_send(wire))
                return false;
        }
    }
    *outcome_r = outcome;
    return true;
}

bool smb2wire_is_closed(struct smb2wire *wire)
{
    int64_t end_ms = now_ms() + wire->timeout_ms;
    uint8_t piece[4096];

    for (;;) {
        ssize_t got = recv(wire->fd, piece, sizeof piece, MSG_DONTWAIT);

        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
            return true;
        if (got < 0 && !wait_for(wire, POLLIN, end_ms))
            return false;
    }
}

uint32_t smb2wire_call(struct smb2wire *wire, struct smb2wire_reply *reply_r)
{
    struct smb2wire_reply reply;

    wire->last_status = SMB2WIRE_GONE;
    if (!smb2wire_send(wire))
        return SMB2WIRE_GONE;
    do {
        if (!smb2wire_receive(wire, &reply))
            return SMB2WIRE_GONE;
    } while (reply.message_id == UINT64_MAX || (reply.status == 0x103 && !wire->take_pending));
    if (reply_r != NULL)
        *reply_r = reply;
    wire->last_status = reply.status;
    return reply.status;
}

/* ---- NEGOTIATE ---- */

static void preauth(struct smb2wire *wire, const void *data, size_t length)
{
    struct smb2_part part = {.data = data, .length = length};

    invariant(smb2_preauth_update(wire->preauth, &part, 1) == ERR_OK);
}

static void context_head(struct writer *writer, uint16_t type, uint16_t length)
{
    while (writer->length % 8 != 0)
        writer_u8(writer, 0);
    writer_le16(writer, type);
    writer_le16(writer, length);
    writer_le32(writer, 0);
}

void smb2wire_begin_negotiate(struct smb2wire *wire)
{
    struct writer *writer = &wire->request;
    bool has_contexts = wire->dialect == 0x0311;
    size_t body;

    smb2wire_begin(wire, WIRE2_NEGOTIATE);
    body = writer->length;
    writer_le16(writer, 36);
    writer_le16(writer, 1);
    writer_le16(writer, 1);
    writer_le16(writer, 0);
    writer_le32(writer, wire->cipher == SMB2_CIPHER_NONE ? CAPABILITIES_PLAIN : CAPABILITIES);
    writer_bytes(writer, wire->guid, sizeof wire->guid);
    writer_le64(writer, 0);
    writer_le16(writer, wire->dialect);
    if (!has_contexts)
        return;
    context_head(writer, CONTEXT_PREAUTH, 6 + 32);
    writer_patch_le32(writer, body + 28, (uint32_t)(writer->length - 8 - wire->request_at));
    writer_patch_le16(writer, body + 32, wire->cipher != SMB2_CIPHER_NONE ? 3 : 2);
    writer_le16(writer, 1);
    writer_le16(writer, 32);
    writer_le16(writer, 1);
    writer_zeros(writer, 32);
    context_head(writer, CONTEXT_SIGNING, 4);
    writer_le16(writer, 1);
    writer_le16(writer, (uint16_t)wire->signing);
    if (wire->cipher == SMB2_CIPHER_NONE)
        return;
    context_head(writer, CONTEXT_ENCRYPTION, 4);
    writer_le16(writer, 1);
    writer_le16(writer, (uint16_t)wire->cipher);
}

/* Which algorithms of those offered the server chose: none said is none for encryption, CMAC for signing. */
static bool read_contexts(struct smb2wire *wire, const struct smb2wire_reply *reply)
{
    struct reader reader = reply->body, whole = reader_of(reply->data, reply->length);
    uint16_t count, type, length, number, value;
    uint32_t offset;

    wire->cipher = SMB2_CIPHER_NONE;
    wire->signing = SMB2_SIGNING_AES_CMAC;
    if (!reader_skip(&reader, 6) || !reader_le16(&reader, &count) || !reader_skip(&reader, 52) ||
        !reader_le32(&reader, &offset) || !reader_skip(&whole, offset))
        return false;
    while (count-- > 0) {
        struct reader data;
        size_t padding = (reply->length - whole.left) % 8;

        if ((padding != 0 && !reader_skip(&whole, 8 - padding)) || !reader_le16(&whole, &type) ||
            !reader_le16(&whole, &length) || !reader_skip(&whole, 4) || !reader_sub(&whole, length, &data) ||
            !reader_le16(&data, &number) || !reader_le16(&data, &value))
            return false;
        if (type == CONTEXT_ENCRYPTION)
            wire->cipher = (enum smb2_cipher)value;
        else if (type == CONTEXT_SIGNING)
            wire->signing = (enum smb2_signing)value;
    }
    return true;
}

uint32_t smb2wire_negotiate(struct smb2wire *wire)
{
    struct smb2wire_reply reply;
    struct reader reader;
    uint16_t dialect;

    smb2wire_begin_negotiate(wire);
    preauth(wire, wire->request.data, wire->request.length);
    if (smb2wire_call(wire, &reply) != 0)
        return wire->last_status;
    reader = reply.body;
    if (!reader_skip(&reader, 4) || !reader_le16(&reader, &dialect) || dialect != wire->dialect)
        return SMB2WIRE_GONE;
    preauth(wire, reply.data, reply.length);
    if (dialect < 0x0300) {
        wire->signing = SMB2_SIGNING_HMAC_SHA256;
        wire->cipher = SMB2_CIPHER_NONE;
    } else if (dialect < 0x0311) {
        wire->signing = SMB2_SIGNING_AES_CMAC;
        wire->cipher = wire->cipher == SMB2_CIPHER_NONE ? SMB2_CIPHER_NONE : SMB2_CIPHER_AES128_CCM;
    } else if (!read_contexts(wire, &reply)) {
        return SMB2WIRE_GONE;
    }
    return 0;
}

/* ---- SESSION_SETUP ---- */

static void begin_setup(struct smb2wire *wire, const struct writer *token)
{
    struct writer *writer = &wire->request;

    smb2wire_begin(wire, WIRE2_SESSION_SETUP);
    writer_le16(writer, 25);
    writer_u8(writer, 0);
    writer_u8(writer, 1);
    writer_le32(writer, 0);
    writer_le32(writer, 0);
    writer_le16(writer, SMB2_HEADER_SIZE + 24);
    writer_le16(writer, (uint16_t)token->length);
    writer_le64(writer, 0);
    writer_bytes(writer, token->data, token->length);
    preauth(wire, writer->data, writer->length);
}

static bool read_setup(const struct smb2wire_reply *reply, uint16_t *flags, struct reader *token)
{
    struct reader reader = reply->body;
    uint16_t offset, length;

    if (!reader_skip(&reader, 2) || !reader_le16(&reader, flags) || !reader_le16(&reader, &offset) ||
        !reader_le16(&reader, &length))
        return false;
    *token = reader_of(reply->data, reply->length);
    return reader_skip(token, offset) && reader_sub(token, length, token);
}

static bool make_keys(struct smb2wire *wire, const uint8_t *key)
{
    struct smb2_keys keys;

    smb2_key_free(&wire->signing_key);
    smb2_key_free(&wire->encrypt_key);
    smb2_key_free(&wire->decrypt_key);
    if (smb2_keys_derive(wire->dialect, wire->cipher, key, NTLM__KEY, wire->preauth, &keys) != ERR_OK ||
        smb2_key_new_signing(wire->signing, keys.signing, &wire->signing_key) != ERR_OK)
        return false;
    /* The server's directions, turned round. */
    return wire->cipher == SMB2_CIPHER_NONE ||
           (smb2_key_new_cipher(wire->cipher, true, keys.decrypt, &wire->encrypt_key) == ERR_OK &&
            smb2_key_new_cipher(wire->cipher, false, keys.encrypt, &wire->decrypt_key) == ERR_OK);
}

uint32_t smb2wire_logon(struct smb2wire *wire, const char *user, const char *password)
{
    struct smb2wire_reply reply;
    struct ntlmclient ntlm;
    struct writer token;
    struct reader answer;
    uint16_t flags = 0;
    uint32_t status;

    ntlmclient_init(&ntlm, user, "", password);
    writer_init_growing(&token, 65536);
    ntlmclient_first(&ntlm, &token);
    for (;;) {
        begin_setup(wire, &token);
        status = smb2wire_call(wire, &reply);
        if (status != 0xc0000016)
            break;
        preauth(wire, reply.data, reply.length);
        wire->session_id = reply.session_id;
        writer_truncate(&token, 0);
        if (!read_setup(&reply, &flags, &answer) || !ntlmclient_next(&ntlm, answer.at, answer.left, &token)) {
            status = SMB2WIRE_GONE;
            break;
        }
    }
    if (status == 0 && (!read_setup(&reply, &flags, &answer) || !make_keys(wire, ntlm.session_key)))
        status = SMB2WIRE_GONE;
    wire->logged_on = status == 0;
    wire->session_encrypts = (flags & 4) != 0;
    writer_free(&token);
    ntlmclient_close(&ntlm);
    return status;
}

uint32_t smb2wire_logoff(struct smb2wire *wire)
{
    smb2wire_begin(wire, WIRE2_LOGOFF);
    writer_le32(&wire->request, 4);
    return smb2wire_call(wire, NULL);
}
