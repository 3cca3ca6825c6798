/*
 * ntlmclient.c - the client's side of NTLM (MS-NLMP 3.1.5) and SPNEGO (RFC 4178).
 */
#include "ntlmclient.h"
#include "dittofs/identity.h"
#include "dittofs/log.h"
#include "dittofs/utf16.h"

#include <string.h>

enum { HEADER = 88, VERSION_SIZE = 8 };
static const uint8_t version[VERSION_SIZE] = {10, 0, 0, 0, 0, 0, 0, 15};
static const uint8_t ntlm_oid[] = {0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x02, 0x0a};
/* 1.2.840.113554.1.2.2 */
static const uint8_t krb5_oid[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02};

void ntlmclient_init(struct ntlmclient *client, const char *user, const char *domain, const char *password)
{
    *client = (struct ntlmclient){
        .flags = NTLM__NEGOTIATE_UNICODE | NTLM__REQUEST_TARGET | NTLM__NEGOTIATE_SIGN |
                 NTLM__NEGOTIATE_SEAL | NTLM__NEGOTIATE_NTLM | NTLM__NEGOTIATE_ALWAYS_SIGN |
                 NTLM__NEGOTIATE_ESS | NTLM__NEGOTIATE_TARGET_INFO | NTLM__NEGOTIATE_VERSION |
                 NTLM__NEGOTIATE_128 | NTLM__NEGOTIATE_KEY_EXCH | NTLM__NEGOTIATE_56,
        .mic = true,
        .spnego = true,
        .list_mic = true,
        .workstation = "CLIENT",
    };
    invariant(strlen(user) < sizeof client->user && strlen(domain) < sizeof client->domain &&
              strlen(password) < sizeof client->password);
    memcpy(client->user, user, strlen(user));
    memcpy(client->domain, domain, strlen(domain));
    memcpy(client->password, password, strlen(password));
    memset(client->client_challenge, 0xc1, sizeof client->client_challenge);
    memset(client->session_key, 0x5e, sizeof client->session_key);
    writer_init_growing(&client->negotiate_message, NTLM__MESSAGE_MAX);
    writer_init_growing(&client->challenge_message, NTLM__MESSAGE_MAX);
}

void ntlmclient_close(struct ntlmclient *client)
{
    writer_free(&client->negotiate_message);
    writer_free(&client->challenge_message);
    ntlm__seal_close(&client->ours);
    ntlm__seal_close(&client->theirs);
}

void ntlmclient_negotiate(struct ntlmclient *client, struct writer *message)
{
    struct writer *own = &client->negotiate_message;

    writer_truncate(own, 0);
    writer_bytes(own, ntlm__magic, sizeof ntlm__magic);
    writer_le32(own, NTLM__MESSAGE_NEGOTIATE);
    writer_le32(own, client->flags);
    writer_zeros(own, 16);
    if (client->flags & NTLM__NEGOTIATE_VERSION)
        writer_bytes(own, version, sizeof version);
    writer_bytes(message, own->data, own->length);
    invariant(!own->failed);
}

/* ---- AUTHENTICATE ---- */

struct parts {
    uint8_t user[2048], domain[1024], workstation[256];
    size_t user_length, domain_length, workstation_length;
    struct writer blob; /* the response without its proof */
    uint8_t proof[16];
    uint8_t encrypted_key[NTLM__KEY];
};

static size_t utf16(const char *text, void *to, size_t size)
{
    struct writer writer;

    writer_init(&writer, to, size);
    invariant(utf16_from_utf8(&writer, text, strlen(text)) && !writer.failed);
    return writer.length;
}

/* MS-NLMP 3.1.5.1.2: the server's pairs, with the flag that a MIC is there. */
static void write_blob(struct ntlmclient *client, struct writer *blob)
{
    struct ntlm__field time, pairs = client->challenge.target_info;
    uint64_t timestamp = 0;

    if (ntlm__av_find(pairs, NTLM__AV_TIMESTAMP, &time)) {
        struct reader reader = reader_of(time.data, time.length);
        invariant(reader_le64(&reader, &timestamp));
    }
    timestamp += (uint64_t)(client->clock_offset_s * 10000000);
    writer_le16(blob, 0x0101);
    writer_zeros(blob, 6);
    writer_le64(blob, timestamp);
    writer_bytes(blob, client->client_challenge, sizeof client->client_challenge);
    writer_zeros(blob, 4);
    writer_bytes(blob, pairs.data, pairs.length - 4);
    if (client->mic || client->claim_mic_only)
        ntlm__av_write(blob, NTLM__AV_FLAGS, "\2\0\0\0", 4);
    ntlm__av_write(blob, NTLM__AV_EOL, NULL, 0);
    writer_zeros(blob, 4);
}

/* MS-NLMP 3.3.2. Fills the session key in or encrypts it. */
static void compute(struct ntlmclient *client, struct parts *parts, uint32_t flags)
{
    uint8_t hash[16], owf[16], base_key[16];
    struct ntlm__piece pieces[] = {{client->challenge.server_challenge, NTLM__CHALLENGE_SIZE},
                                   {parts->blob.data, parts->blob.length}};
    struct ntlm__piece proof = {parts->proof, sizeof parts->proof};

    invariant(cred_nt_hash(client->password, hash) == ERR_OK);
    /* A user whose name is too long has no key: any will do. */
    if (ntlm__owf_v2(hash, parts->user, parts->user_length, parts->domain, parts->domain_length, owf) !=
        ERR_OK)
        memset(owf, 0, sizeof owf);
    invariant(ntlm__hmac_md5(owf, pieces, 2, parts->proof) == ERR_OK);
    invariant(ntlm__hmac_md5(owf, &proof, 1, base_key) == ERR_OK);
    if (flags & NTLM__NEGOTIATE_KEY_EXCH)
        invariant(ntlm__rc4(base_key, client->session_key, NTLM__KEY, parts->encrypted_key) == ERR_OK);
    else
        memcpy(client->session_key, base_key, NTLM__KEY);
}

static void write_field(struct writer *message, size_t length, uint32_t *offset)
{
    writer_le16(message, (uint16_t)length);
    writer_le16(message, (uint16_t)length);
    writer_le32(message, *offset);
    *offset += (uint32_t)length;
}

static void write_message(struct ntlmclient *client, const struct parts *parts, uint32_t flags,
                          struct writer *message)
{
    bool v2 = client->response == NTLMCLIENT_V2;
    size_t nt = v2 ? 16 + parts->blob.length : client->response == NTLMCLIENT_V1 ? 24 : 0;
    size_t lm = client->response == NTLMCLIENT_ANONYMOUS ? 1 : 24;
    size_t key = flags & NTLM__NEGOTIATE_KEY_EXCH ? NTLM__KEY : 0;
    uint32_t offset = HEADER;

    writer_bytes(message, ntlm__magic, sizeof ntlm__magic);
    writer_le32(message, NTLM__MESSAGE_AUTHENTICATE);
    write_field(message, lm, &offset);
    write_field(message, nt, &offset);
    write_field(message, parts->domain_length, &offset);
    write_field(message, parts->user_length, &offset);
    write_field(message, parts->workstation_length, &offset);
    write_field(message, key, &offset);
    writer_le32(message, flags);
    writer_bytes(message, version, sizeof version);
    writer_zeros(message, NTLM__MIC_SIZE);
    writer_zeros(message, lm);
    if (v2) {
        writer_bytes(message, parts->proof, sizeof parts->proof);
        writer_bytes(message, parts->blob.data, parts->blob.length);
    } else {
        writer_zeros(message, nt);
    }
    writer_bytes(message, parts->domain, parts->domain_length);
    writer_bytes(message, parts->user, parts->user_length);
    writer_bytes(message, parts->workstation, parts->workstation_length);
    writer_bytes(message, parts->encrypted_key, key);
}

bool ntlmclient_authenticate(struct ntlmclient *client, const void *challenge, size_t length,
                             struct writer *message)
{
    struct writer *own = &client->challenge_message;
    size_t start = message->length;
    struct parts parts = {0};
    uint32_t flags;

    writer_truncate(own, 0);
    writer_bytes(own, challenge, length);
    if (own->failed || !ntlm__challenge_read(own->data, own->length, &client->challenge))
        return false;
    flags = (client->flags & client->challenge.flags) | client->add_flags;
    if (client->response != NTLMCLIENT_ANONYMOUS)
        parts.user_length = utf16(client->user, parts.user, sizeof parts.user);
    parts.domain_length = utf16(client->domain, parts.domain, sizeof parts.domain);
    parts.workstation_length = utf16(client->workstation, parts.workstation, sizeof parts.workstation);
    writer_init_growing(&parts.blob, NTLM__MESSAGE_MAX);
    write_blob(client, &parts.blob);
    compute(client, &parts, flags);
    write_message(client, &parts, flags, message);
    writer_free(&parts.blob);
    invariant(!message->failed);
    if (client->mic) {
        struct ntlm__piece pieces[] = {{client->negotiate_message.data, client->negotiate_message.length},
                                       {own->data, own->length},
                                       {message->data + start, message->length - start}};
        invariant(ntlm__hmac_md5(client->session_key, pieces, 3, message->data + start + NTLM__MIC_OFFSET) ==
                  ERR_OK);
    }
    ntlm__seal_close(&client->ours);
    ntlm__seal_close(&client->theirs);
    invariant(ntlm__seal_open(&client->ours, flags, client->session_key, true) == ERR_OK);
    invariant(ntlm__seal_open(&client->theirs, flags, client->session_key, false) == ERR_OK);
    client->authenticated = true;
    return true;
}

/* ---- SPNEGO ---- */

void ntlmclient_first(struct ntlmclient *client, struct writer *token)
{
    struct spnego__init init = {0}, sent;
    struct writer message;

    if (!client->spnego) {
        ntlmclient_negotiate(client, token);
        return;
    }
    if (client->foreign_first)
        init.mechanisms[init.mechanism_count++] = (struct spnego__bytes){krb5_oid, sizeof krb5_oid};
    init.mechanisms[init.mechanism_count++] = (struct spnego__bytes){ntlm_oid, sizeof ntlm_oid};
    writer_init_growing(&message, NTLM__MESSAGE_MAX);
    if (client->foreign_first)
        writer_bytes(&message, "a token of that one", 19);
    else
        ntlmclient_negotiate(client, &message);
    init.token = (struct spnego__bytes){message.data, message.length};
    spnego__init_write(token, &init, false);
    invariant(!token->failed && spnego__init_read(token->data, token->length, &sent));
    memcpy(client->list, sent.list.data, sent.list.length);
    client->list_length = sent.list.length;
    writer_free(&message);
}

static bool check_server_mic(struct ntlmclient *client, struct spnego__bytes mic)
{
    if (!client->authenticated || mic.length != NTLM__SIGNATURE ||
        !ntlm__verify(&client->theirs, client->list, client->list_length, mic.data))
        return false;
    client->server_mic_checked = true;
    return true;
}

bool ntlmclient_next(struct ntlmclient *client, const void *reply, size_t length, struct writer *token)
{
    struct spnego__response response, answer = {.state = SPNEGO__STATE_NONE};
    uint8_t signature[NTLM__SIGNATURE];
    struct writer message;
    bool ok = true, mic = client->list_mic;

    if (!client->spnego)
        return ntlmclient_authenticate(client, reply, length, token);
    if (!spnego__response_read(reply, length, &response) ||
        (response.mic.data != NULL && !check_server_mic(client, response.mic)))
        return false;
    if (response.state == SPNEGO__ACCEPT_COMPLETED) {
        client->ended = true;
        return true;
    }
    writer_init_growing(&message, NTLM__MESSAGE_MAX);
    if (client->authenticated) { /* only the MIC is missing */
        mic = client->list_mic || client->late_list_mic;
    } else if (response.token.data == NULL) {
        ntlmclient_negotiate(client, &message);
    } else {
        ok = ntlmclient_authenticate(client, response.token.data, response.token.length, &message);
    }
    if (message.length > 0)
        answer.token = (struct spnego__bytes){message.data, message.length};
    if (ok && client->authenticated && mic) {
        invariant(ntlm__sign(&client->ours, client->list, client->list_length, signature) == ERR_OK);
        answer.mic = (struct spnego__bytes){signature, sizeof signature};
    }
    if (ok)
        spnego__response_write(token, &answer);
    writer_free(&message);
    return ok && !token->failed;
}
