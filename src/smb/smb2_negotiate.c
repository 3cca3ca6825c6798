/*
 * smb2_negotiate.c - NEGOTIATE (MS-SMB2 2.2.3, 3.3.5.4), also in its SMB1 form (3.3.5.3).
 *
 * The highest dialect of both is taken. Signing is required always. What was negotiated is fixed for the
 * connection; a second NEGOTIATE ends it.
 */
#include "smb/smb2_priv.h"
#include "smb/smb2_time.h"
#include "dittofs/clock.h"
#include "dittofs/random.h"

#include <string.h>

enum {
    CAPABILITY_LEASING = 2,
    CAPABILITY_LARGE_MTU = 4,
    CAPABILITY_MULTI_CHANNEL = 8,
    CAPABILITY_ENCRYPTION = 0x40,
    CONTEXT_PREAUTH = 1,
    CONTEXT_ENCRYPTION = 2,
    CONTEXT_SIGNING = 8,
    HASH_SHA512 = 1,
    SALT_SIZE = 32,
    DIALECTS_MAX = 64,
    CONTEXTS_MAX = 16,
    DIALECT_WILDCARD = 0x02ff,
    HINT_MAX = 512,
    BODY_FIXED = 64
};

struct negotiate_args {
    uint16_t dialect_count, security_mode, context_count;
    uint32_t capabilities, context_offset;
    const uint8_t *guid;
    struct reader dialects;
};

struct contexts {
    bool preauth, has_signing, has_encryption;
    enum smb2_cipher cipher;
    enum smb2_signing signing;
};

static bool decode(struct smb2_request *request, struct negotiate_args *args)
{
    struct reader *reader = &request->body;

    return reader_skip(reader, 2) && reader_le16(reader, &args->dialect_count) &&
           reader_le16(reader, &args->security_mode) && reader_skip(reader, 2) &&
           reader_le32(reader, &args->capabilities) && reader_bytes(reader, 16, &args->guid) &&
           reader_le32(reader, &args->context_offset) && reader_le16(reader, &args->context_count) &&
           reader_skip(reader, 2) && args->dialect_count > 0 && args->dialect_count <= DIALECTS_MAX &&
           reader_sub(reader, (size_t)args->dialect_count * 2, &args->dialects);
}

static uint16_t choose_dialect(const struct smb_options *options, struct reader dialects)
{
    static const uint16_t known[] = {0x0202, 0x0210, 0x0300, 0x0302, 0x0311};
    uint16_t best = 0, offered;

    while (reader_le16(&dialects, &offered)) {
        for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
            if (offered == known[i] && offered > best && offered >= options->least_dialect &&
                offered <= options->most_dialect)
                best = offered;
        }
    }
    return best;
}

/* ---- contexts of 3.1.1 ---- */

static bool read_preauth(struct reader reader, struct contexts *contexts)
{
    uint16_t count, salt, hash;

    if (contexts->preauth || !reader_le16(&reader, &count) || !reader_le16(&reader, &salt) || count == 0)
        return false;
    for (unsigned i = 0; i < count; i++) {
        if (!reader_le16(&reader, &hash))
            return false;
        contexts->preauth |= hash == HASH_SHA512;
    }
    return reader_skip(&reader, salt);
}

/* The first that we have: the client knows what suits it. Linux (6.1) derives a wrong signing key when it
 * gets one of its later choices, the 256-bit ones. */
static bool read_ciphers(struct reader reader, struct contexts *contexts)
{
    uint16_t count, cipher;

    if (contexts->has_encryption || !reader_le16(&reader, &count) || count == 0)
        return false;
    contexts->has_encryption = true;
    for (unsigned i = 0; i < count; i++) {
        if (!reader_le16(&reader, &cipher))
            return false;
        if (contexts->cipher == SMB2_CIPHER_NONE && cipher <= SMB2_CIPHER_AES256_GCM)
            contexts->cipher = (enum smb2_cipher)cipher;
    }
    return true;
}

static bool read_signings(struct reader reader, struct contexts *contexts)
{
    uint16_t count, signing;
    bool any = false;

    if (contexts->has_signing || !reader_le16(&reader, &count) || count == 0)
        return false;
    contexts->has_signing = true;
    contexts->signing = SMB2_SIGNING_HMAC_SHA256;
    for (unsigned i = 0; i < count; i++) {
        if (!reader_le16(&reader, &signing))
            return false;
        any = any || signing <= SMB2_SIGNING_AES_GMAC;
        /* The ids are in the order of our preference. */
        if (signing <= SMB2_SIGNING_AES_GMAC && signing > (unsigned)contexts->signing)
            contexts->signing = (enum smb2_signing)signing;
    }
    /* MS-SMB2 3.3.5.4: nothing of ours offered means AES-CMAC. */
    if (!any)
        contexts->signing = SMB2_SIGNING_AES_CMAC;
    return true;
}

static bool read_context(uint16_t type, struct reader data, struct contexts *contexts)
{
    switch (type) {
    case CONTEXT_PREAUTH:
        return read_preauth(data, contexts);
    case CONTEXT_ENCRYPTION:
        return read_ciphers(data, contexts);
    case CONTEXT_SIGNING:
        return read_signings(data, contexts);
    default: /* compression, the name, the transport and what is to come: not ours */
        return true;
    }
}

static bool read_contexts(const struct smb2_request *request, const struct negotiate_args *args,
                          struct contexts *contexts)
{
    struct reader reader;
    size_t start;

    if (args->context_count > CONTEXTS_MAX || args->context_offset % 8 != 0 ||
        args->context_offset > request->length)
        return false;
    start = request->length - args->context_offset;
    reader = reader_of(request->data + args->context_offset, start);
    for (unsigned i = 0; i < args->context_count; i++) {
        struct reader data;
        uint16_t type, length;
        size_t padding = reader.left < start ? (start - reader.left) % 8 : 0;

        if ((padding != 0 && !reader_skip(&reader, 8 - padding)) || !reader_le16(&reader, &type) ||
            !reader_le16(&reader, &length) || !reader_skip(&reader, 4) ||
            !reader_sub(&reader, length, &data) || !read_context(type, data, contexts))
            return false;
    }
    return contexts->preauth;
}

static void align_reply(struct writer *writer, size_t from)
{
    while ((writer->length - from) % 8 != 0 && !writer->failed)
        writer_u8(writer, 0);
}

static uint16_t write_contexts(struct writer *writer, size_t from, const struct contexts *contexts)
{
    uint8_t salt[SALT_SIZE];
    uint16_t count = 1;

    random_bytes(salt, sizeof salt);
    writer_le16(writer, CONTEXT_PREAUTH);
    writer_le16(writer, 6 + SALT_SIZE);
    writer_le32(writer, 0);
    writer_le16(writer, 1);
    writer_le16(writer, SALT_SIZE);
    writer_le16(writer, HASH_SHA512);
    writer_bytes(writer, salt, sizeof salt);
    if (contexts->has_encryption) {
        align_reply(writer, from);
        writer_le16(writer, CONTEXT_ENCRYPTION);
        writer_le16(writer, 4);
        writer_le32(writer, 0);
        writer_le16(writer, 1);
        writer_le16(writer, (uint16_t)contexts->cipher);
        count++;
    }
    if (contexts->has_signing) {
        align_reply(writer, from);
        writer_le16(writer, CONTEXT_SIGNING);
        writer_le16(writer, 4);
        writer_le32(writer, 0);
        writer_le16(writer, 1);
        writer_le16(writer, (uint16_t)contexts->signing);
        count++;
    }
    return count;
}

/* ---- the reply ---- */

uint32_t smb2__capabilities(const struct smb2_conn *conn, uint16_t dialect)
{
    uint32_t capabilities =
        dialect > 0x0202 && dialect != DIALECT_WILDCARD ? CAPABILITY_LARGE_MTU | CAPABILITY_LEASING : 0;

    if (conn->cipher != SMB2_CIPHER_NONE && dialect < 0x0311)
        capabilities |= CAPABILITY_ENCRYPTION;
    /* MS-SMB2 3.3.5.4 */
    if (dialect >= 0x0300)
        capabilities |= conn->client_capabilities &
                        (CAPABILITY_MULTI_CHANNEL | SMB2_CAPABILITY_DIRECTORY_LEASING |
                         (conn->offers_persistent ? (unsigned)SMB2_CAPABILITY_PERSISTENT_HANDLES : 0u));
    return capabilities;
}

/* The body with the security token, without contexts: their count and offset are 0. */
void smb2__negotiate_body(const struct smb2_conn *conn, struct writer *writer, uint16_t dialect)
{
    const struct smb_server *server = conn->server;
    uint32_t most = dialect > 0x0202 && dialect != DIALECT_WILDCARD ? SMB2_IO_MAX : SMB2_IO_MAX_202;
    uint8_t hint[HINT_MAX];
    struct writer token;

    writer_init(&token, hint, sizeof hint);
    cred_spnego_hint(&token, server->offers, 1);
    writer_le16(writer, 65);
    writer_le16(writer, smb2_security_mode(server));
    writer_le16(writer, dialect);
    writer_le16(writer, 0);
    writer_bytes(writer, server->options.server_guid, 16);
    writer_le32(writer, smb2__capabilities(conn, dialect));
    writer_le32(writer, most == SMB2_IO_MAX ? SMB2_TRANSACT_MAX : most);
    writer_le32(writer, most);
    writer_le32(writer, most);
    writer_le64(writer, smb2_filetime(clock_wall()));
    writer_le64(writer, 0);
    writer_le16(writer, SMB2_HEADER_SIZE + BODY_FIXED);
    writer_le16(writer, (uint16_t)token.length);
    writer_le32(writer, 0);
    writer_bytes(writer, token.data, token.failed ? 0 : token.length);
}

static uint32_t settle_311(struct smb2_request *request, const struct negotiate_args *args,
                           struct contexts *contexts)
{
    struct smb2_conn *conn = request->message->conn;
    struct smb2_part part = {.data = request->data, .length = request->length};

    if (!read_contexts(request, args, contexts))
        return STATUS_INVALID_PARAMETER;
    conn->cipher = contexts->cipher;
    conn->signing = contexts->signing;
    return smb2_preauth_update(conn->preauth, &part, 1) == ERR_OK ? STATUS_SUCCESS
                                                                  : STATUS_INSUFFICIENT_RESOURCES;
}

uint32_t smb2__negotiate(struct smb2_request *request)
{
    struct smb2_conn *conn = request->message->conn;
    struct writer *writer = smb2_reply(request);
    struct contexts contexts = {.cipher = SMB2_CIPHER_NONE, .signing = SMB2_SIGNING_AES_CMAC};
    struct negotiate_args args;
    uint16_t dialect;
    uint32_t status;

    if (conn->state == SMB2_CONN_NEGOTIATED) {
        smb2__conn_close(conn, false);
        return STATUS_INVALID_PARAMETER;
    }
    if (!decode(request, &args))
        return STATUS_INVALID_PARAMETER;
    dialect = choose_dialect(&conn->server->options, args.dialects);
    if (dialect == 0)
        return STATUS_NOT_SUPPORTED;
    if (dialect == 0x0311) {
        status = settle_311(request, &args, &contexts);
        if (status != STATUS_SUCCESS)
            return status;
    } else if (dialect >= 0x0300) {
        conn->signing = SMB2_SIGNING_AES_CMAC;
        conn->cipher =
            (args.capabilities & CAPABILITY_ENCRYPTION) ? SMB2_CIPHER_AES128_CCM : SMB2_CIPHER_NONE;
    } else {
        conn->signing = SMB2_SIGNING_HMAC_SHA256;
    }
    conn->state = SMB2_CONN_NEGOTIATED;
    conn->dialect = dialect;
    conn->client_security_mode = args.security_mode;
    conn->client_capabilities = args.capabilities;
    memcpy(conn->client_guid, args.guid, sizeof conn->client_guid);
    smb2__negotiate_body(conn, writer, dialect);
    if (dialect == 0x0311) {
        size_t at = request->reply_at + SMB2_HEADER_SIZE;
        uint32_t offset;

        align_reply(writer, request->reply_at);
        offset = (uint32_t)smb2_reply_offset(request);
        uint16_t count = write_contexts(writer, request->reply_at, &contexts);
        if (!writer->failed) {
            writer_patch_le16(writer, at + 6, count);
            writer_patch_le32(writer, at + 60, offset);
        }
    }
    return STATUS_SUCCESS;
}

/* ---- SMB1 ---- */

enum { SMB1_HEADER_SIZE = 32, SMB1_NEGOTIATE = 0x72 };

/* The SMB2 dialects among those of an SMB1 client (MS-SMB 2.2.4.5.2.1). */
static uint16_t offered_in_smb1(const uint8_t *data, size_t length)
{
    static const char any[] = "SMB 2.???", first[] = "SMB 2.002";
    struct reader reader = reader_of(data, length);
    uint16_t bytes, best = 0;
    uint8_t command, words;

    if (!reader_skip(&reader, 4) || !reader_u8(&reader, &command) || command != SMB1_NEGOTIATE ||
        !reader_skip(&reader, SMB1_HEADER_SIZE - 5) || !reader_u8(&reader, &words) || words != 0 ||
        !reader_le16(&reader, &bytes) || bytes > reader.left)
        return 0;
    reader.left = bytes;
    while (reader.left > 0) {
        const uint8_t *text = reader.at + 1, *end;

        if (*reader.at != 2)
            return 0;
        end = memchr(text, 0, reader.left - 1);
        if (end == NULL)
            return 0;
        if ((size_t)(end - text) == sizeof any - 1 && memcmp(text, any, sizeof any - 1) == 0)
            best = DIALECT_WILDCARD;
        else if ((size_t)(end - text) == sizeof first - 1 && memcmp(text, first, sizeof first - 1) == 0 &&
                 best == 0)
            best = 0x0202;
        if (!reader_skip(&reader, (size_t)(end - reader.at) + 1))
            return 0;
    }
    return best;
}

bool smb2__negotiate_smb1(struct smb2_conn *conn, const uint8_t *data, size_t length)
{
    uint16_t dialect = conn->state == SMB2_CONN_NEW ? offered_in_smb1(data, length) : 0;
    struct writer writer;
    uint8_t head[SMB2_FRAME_HEAD];
    struct writer frame;

    if (dialect == 0 || (dialect == 0x0202 && conn->server->options.least_dialect > 0x0202))
        return false;
    /* It counts as message 0, and its reply grants message 1. */
    if (!smb2__window_take(&conn->window, 0, 1) || smb2__window_grant(&conn->window, 1) != 1)
        return false;
    writer_init_growing(&writer, 1024);
    writer_le32(&writer, UINT32_C(0x424d53fe));
    writer_le16(&writer, SMB2_HEADER_SIZE);
    writer_zeros(&writer, 8);
    writer_le16(&writer, 1);
    writer_le32(&writer, SMB2_FLAG_RESPONSE);
    writer_zeros(&writer, SMB2_HEADER_SIZE - 20);
    smb2__negotiate_body(conn, &writer, dialect);
    writer_init(&frame, head, sizeof head);
    writer_be32(&frame, (uint32_t)writer.length);
    if (!writer.failed)
        net_conn_send(conn->net,
                      (struct bufpart[]){{.data = head, .length = sizeof head},
                                         {.data = writer.data, .length = writer.length}},
                      2);
    conn->state = dialect == 0x0202 ? SMB2_CONN_NEGOTIATED : SMB2_CONN_MULTI;
    if (dialect == 0x0202) {
        conn->dialect = dialect;
        conn->signing = SMB2_SIGNING_HMAC_SHA256;
    }
    if (writer.failed) {
        writer_free(&writer);
        return false;
    }
    writer_free(&writer);
    return true;
}
