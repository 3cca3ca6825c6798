/*
 * smb2client_session.c - NEGOTIATE, logon with NTLMv2, shares (MS-SMB2 2.2.3 to 2.2.10).
 */
#include "smb2client.h"
#include "smb2client_priv.h"

#include "dittofs/utf16.h"
#include "ntlmclient.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BODY_MAX = 1 << 17,
    TOKEN_MAX = 65535,
    CONTEXT_PREAUTH = 1,
    CONTEXT_ENCRYPTION = 2,
    CONTEXT_SIGNING = 8,
    ROUNDS_MAX = 8
};

static bool is_logon(const struct smb2client *client, uint16_t command)
{
    if (client->binds)
        return command == SMB2C_SESSION_SETUP;
    return client->sign_key == NULL && (command == SMB2C_NEGOTIATE || command == SMB2C_SESSION_SETUP);
}

void smb2c__note_sent(struct smb2client *client, uint16_t command, const void *message, size_t length)
{
    struct smb2_part part = {.data = message, .length = length};

    if (!is_logon(client, command))
        return;
    if (command == SMB2C_SESSION_SETUP && client->session_id == 0)
        memcpy(client->session_preauth, client->preauth, sizeof client->preauth);
    if (smb2_preauth_update(command == SMB2C_NEGOTIATE ? client->preauth : client->session_preauth, &part,
                            1) != ERR_OK)
        abort();
}

/* The last answer of a logon, the successful one, is no part of the hash. */
void smb2c__note_received(struct smb2client *client, const void *message, size_t length)
{
    struct reader reader = reader_of(message, length);
    struct smb2_part part = {.data = message, .length = length};
    uint32_t status;
    uint16_t command;

    if (!reader_skip(&reader, 8) || !reader_le32(&reader, &status) || !reader_le16(&reader, &command) ||
        !is_logon(client, command))
        return;
    if (command == SMB2C_SESSION_SETUP && status != STATUS_MORE_PROCESSING_REQUIRED)
        return;
    if (smb2_preauth_update(command == SMB2C_NEGOTIATE ? client->preauth : client->session_preauth, &part,
                            1) != ERR_OK)
        abort();
}

/* ---- NEGOTIATE ---- */

static void put_context(struct writer *body, uint16_t type, uint16_t value)
{
    writer_align(body, 8);
    writer_le16(body, type);
    writer_le16(body, type == CONTEXT_PREAUTH ? 38 : 4);
    writer_le32(body, 0);
    writer_le16(body, 1);
    if (type == CONTEXT_PREAUTH)
        writer_le16(body, 32);
    writer_le16(body, value);
    if (type == CONTEXT_PREAUTH)
        writer_zeros(body, 32);
}

static void put_negotiate(const struct smb2client *client, struct writer *body)
{
    bool contexts = false;

    writer_le16(body, 36);
    writer_le16(body, (uint16_t)client->dialect_count);
    writer_le16(body, 1);
    writer_le16(body, 0);
    writer_le32(body, client->capabilities);
    writer_bytes(body, client->guid, sizeof client->guid);
    writer_zeros(body, 8);
    for (size_t i = 0; i < client->dialect_count; i++) {
        writer_le16(body, client->dialects[i]);
        contexts |= client->dialects[i] == 0x0311;
    }
    if (!contexts)
        return;
    writer_align(body, 8);
    writer_patch_le32(body, 28, (uint32_t)(SMB2_HEADER_SIZE + body->length));
    writer_patch_le16(body, 32, client->cipher_offer != 0 ? 3 : 2);
    put_context(body, CONTEXT_PREAUTH, 1);
    if (client->cipher_offer != 0)
        put_context(body, CONTEXT_ENCRYPTION, client->cipher_offer);
    put_context(body, CONTEXT_SIGNING, client->signing_offer);
}

static bool read_contexts(struct smb2client *client, uint32_t offset, uint16_t count)
{
    for (unsigned i = 0; i < count; i++) {
        struct reader reader;
        uint16_t type, length, number, value;

        if (offset > client->reply->length ||
            !smb2client_part(client, offset, (uint32_t)client->reply->length - offset, &reader) ||
            !reader_le16(&reader, &type) || !reader_le16(&reader, &length) || !reader_skip(&reader, 4) ||
            length > reader.left)
            return false;
        if (type == CONTEXT_ENCRYPTION || type == CONTEXT_SIGNING) {
            if (!reader_le16(&reader, &number) || number != 1 || !reader_le16(&reader, &value))
                return false;
            if (type == CONTEXT_ENCRYPTION)
                client->cipher = (enum smb2_cipher)value;
            else
                client->signing = (enum smb2_signing)value;
        }
        offset += 8u + ((length + 7u) & ~7u);
    }
    return true;
}

static bool read_negotiate(struct smb2client *client)
{
    struct reader body = smb2client_body(client);
    uint16_t dialect, count;
    uint32_t offset;

    if (!reader_skip(&body, 4) || !reader_le16(&body, &dialect) || !reader_le16(&body, &count) ||
        !reader_copy(&body, client->server_guid, sizeof client->server_guid) ||
        !reader_le32(&body, &client->server_capabilities) || !reader_le32(&body, &client->max_transact) ||
        !reader_le32(&body, &client->max_read) || !reader_le32(&body, &client->max_write) ||
        !reader_skip(&body, 20) || !reader_le32(&body, &offset))
        return false;
    client->dialect = dialect;
    client->signing = dialect >= 0x0300 ? SMB2_SIGNING_AES_CMAC : SMB2_SIGNING_HMAC_SHA256;
    client->cipher = dialect >= 0x0300 && dialect < 0x0311 ? SMB2_CIPHER_AES128_CCM : SMB2_CIPHER_NONE;
    return dialect != 0x0311 || read_contexts(client, offset, count);
}

uint32_t smb2client_negotiate(struct smb2client *client)
{
    struct writer body;
    uint32_t status;

    writer_init_growing(&body, BODY_MAX);
    put_negotiate(client, &body);
    status = smb2client_call(client, SMB2C_NEGOTIATE, &body);
    writer_free(&body);
    if (status == STATUS_SUCCESS && !read_negotiate(client))
        return SMB2C_BROKEN;
    return status;
}

/* ---- logon ---- */

enum { FLAG_BINDING = 1 };

static uint32_t session_setup(struct smb2client *client, const struct writer *token)
{
    struct writer body;
    uint32_t status;

    writer_init_growing(&body, BODY_MAX);
    writer_le16(&body, 25);
    writer_u8(&body, client->binds ? FLAG_BINDING : 0);
    writer_u8(&body, 1);
    writer_le32(&body, client->capabilities & 1);
    writer_le32(&body, 0);
    writer_le16(&body, SMB2_HEADER_SIZE + 24);
    writer_le16(&body, (uint16_t)token->length);
    writer_le64(&body, client->previous_session);
    writer_bytes(&body, token->data, token->length);
    status = smb2client_call(client, SMB2C_SESSION_SETUP, &body);
    writer_free(&body);
    return status;
}

/* The keys from what NTLM agreed on. */
static bool make_keys(struct smb2client *client, const struct ntlmclient *ntlm)
{
    struct smb2_keys keys;

    if (client->sign_key != NULL && !client->binds)
        return true;
    smb2_key_free(&client->sign_key);
    if (smb2_keys_derive(client->dialect, client->cipher, ntlm->session_key, NTLM__KEY,
                         client->session_preauth, &keys) != ERR_OK ||
        smb2_key_new_signing(client->signing, keys.signing, &client->sign_key) != ERR_OK)
        return false;
    memcpy(client->sign_bytes, keys.signing, sizeof client->sign_bytes);
    if (client->cipher == SMB2_CIPHER_NONE || client->binds)
        return true;
    /* What the server decrypts with is what we encrypt with. */
    return smb2_key_new_cipher(client->cipher, true, keys.decrypt, &client->encrypt_key) == ERR_OK &&
           smb2_key_new_cipher(client->cipher, false, keys.encrypt, &client->decrypt_key) == ERR_OK;
}

static bool reply_token(const struct smb2client *client, uint16_t *flags_r, struct reader *token_r)
{
    struct reader body = smb2client_body(client);
    uint16_t offset, length;

    return reader_skip(&body, 2) && reader_le16(&body, flags_r) && reader_le16(&body, &offset) &&
           reader_le16(&body, &length) && smb2client_part(client, offset, length, token_r);
}

static bool check_last(struct smb2client *client)
{
    struct smb2_engine *engine = smb2_engine_take(client->sign_key);
    struct smb2_part part = {.data = client->reply->data, .length = client->reply->length};
    bool good = client->reply->is_signed && engine != NULL && smb2_verify(engine, &part, 1);

    smb2_engine_give(&engine);
    return good;
}

static uint32_t converse(struct smb2client *client, struct ntlmclient *ntlm, struct writer *token)
{
    ntlmclient_first(ntlm, token);
    for (int round = 0; round < ROUNDS_MAX; round++) {
        uint32_t status = session_setup(client, token);
        struct reader answer;
        uint16_t flags;

        if (status != STATUS_SUCCESS && status != STATUS_MORE_PROCESSING_REQUIRED)
            return status;
        client->session_id = client->reply->session_id;
        writer_truncate(token, 0);
        if (!reply_token(client, &flags, &answer) ||
            (answer.left > 0 && !ntlmclient_next(ntlm, answer.at, answer.left, token)))
            return SMB2C_BROKEN;
        if (status == STATUS_SUCCESS) {
            client->session_flags = flags;
            return make_keys(client, ntlm) && check_last(client) ? STATUS_SUCCESS : SMB2C_BROKEN;
        }
    }
    return SMB2C_BROKEN;
}

uint32_t smb2client_logon(struct smb2client *client, const char *user, const char *password)
{
    struct ntlmclient ntlm;
    struct writer token;
    uint32_t status;

    ntlmclient_init(&ntlm, user != NULL ? user : "", "", password != NULL ? password : "");
    if (user == NULL)
        ntlm.response = NTLMCLIENT_ANONYMOUS;
    writer_init_growing(&token, TOKEN_MAX);
    status = converse(client, &ntlm, &token);
    writer_free(&token);
    ntlmclient_close(&ntlm);
    return status;
}

uint32_t smb2client_bind(struct smb2client *client, const struct smb2client *session, const char *user,
                         const char *password)
{
    uint32_t status;

    smb2_key_free(&client->sign_key);
    if (smb2_key_new_signing(session->signing, session->sign_bytes, &client->sign_key) != ERR_OK)
        return SMB2C_BROKEN;
    client->session_id = session->session_id;
    client->tree_id = session->tree_id;
    memcpy(client->session_preauth, client->preauth, sizeof client->preauth);
    client->binds = true;
    status = smb2client_logon(client, user, password);
    client->binds = false;
    return status;
}

/* ---- what has no arguments ---- */

static uint32_t bare(struct smb2client *client, uint16_t command)
{
    uint8_t bytes[4];
    struct writer body;

    writer_init(&body, bytes, sizeof bytes);
    writer_le16(&body, 4);
    writer_le16(&body, 0);
    return smb2client_call(client, command, &body);
}

uint32_t smb2client_logoff(struct smb2client *client)
{
    return bare(client, SMB2C_LOGOFF);
}

uint32_t smb2client_tree_disconnect(struct smb2client *client)
{
    return bare(client, SMB2C_TREE_DISCONNECT);
}

uint32_t smb2client_echo(struct smb2client *client)
{
    return bare(client, SMB2C_ECHO);
}

uint32_t smb2client_tree_connect(struct smb2client *client, const char *share)
{
    char path[512];
    struct writer body;
    struct reader answer;
    uint32_t status;

    snprintf(path, sizeof path, "\\\\server\\%s", share);
    writer_init_growing(&body, BODY_MAX);
    writer_le16(&body, 9);
    writer_le16(&body, 0);
    writer_le16(&body, SMB2_HEADER_SIZE + 8);
    writer_le16(&body, 0);
    if (!utf16_from_utf8(&body, path, strlen(path)))
        abort();
    writer_patch_le16(&body, 6, (uint16_t)(body.length - 8));
    status = smb2client_call(client, SMB2C_TREE_CONNECT, &body);
    writer_free(&body);
    if (status != STATUS_SUCCESS)
        return status;
    client->tree_id = client->reply->tree_id;
    answer = smb2client_body(client);
    return reader_skip(&answer, 12) && reader_le32(&answer, &client->tree_access) ? status : SMB2C_BROKEN;
}
