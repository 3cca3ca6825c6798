/*
 * smb2_session.c - SESSION_SETUP (MS-SMB2 2.2.5, 3.3.5.5), and the end of sessions.
 *
 * A session is made by the first SESSION_SETUP without an id, carries the conversation of SPNEGO, and becomes
 * valid when that says who the user is: keys are derived, a client in state is made. A logon that fails or
 * does not come to its end takes the session away; a failed re-authentication takes it away, too.
 * The answer of a logon is held back as cred_delays say.
 */
#include "smb/smb2_priv.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

enum { FLAG_BINDING = 1, SESSION_FLAG_ENCRYPT_DATA = 4, BODY_FIXED = 8 };

struct setup_args {
    uint8_t flags;
    uint16_t token_offset, token_length;
    struct reader token;
};

static bool decode(struct smb2_request *request, struct setup_args *args)
{
    struct reader *reader = &request->body;

    return reader_skip(reader, 2) && reader_u8(reader, &args->flags) && reader_skip(reader, 1 + 4 + 4) &&
           reader_le16(reader, &args->token_offset) && reader_le16(reader, &args->token_length) &&
           smb2__request_part(request, args->token_offset, args->token_length, &args->token);
}

struct smb2_session *smb2__session_find(const struct smb2_conn *conn, uint64_t id)
{
    const struct list *link;

    list_for_each(link, &conn->sessions)
    {
        struct smb2_session *session = container_of(link, struct smb2_session, link);

        if (session->id == id)
            return session;
    }
    return NULL;
}

static void on_logon_late(struct loop_timer *timer)
{
    smb2__session_end(container_of(timer, struct smb2_session, logon_timer));
}

static struct smb2_session *session_new(struct smb2_conn *conn)
{
    struct smb2_session *session;

    if (conn->session_count >= SMB2_SESSIONS_MAX)
        return NULL;
    session = calloc(1, sizeof *session);
    if (session == NULL)
        return NULL;
    session->references = 1;
    session->id = conn->server->next_session++;
    session->conn = conn;
    session->next_tree = 1;
    session->peer = conn->peer;
    memcpy(session->preauth, conn->preauth, sizeof session->preauth);
    list_init(&session->trees);
    list_init(&session->opens);
    list_push_back(&conn->sessions, &session->link);
    conn->session_count++;
    session->logon_timer.callback = on_logon_late;
    loop_timer_start(conn->server->loop, &session->logon_timer, SMB2_LOGON_MS, 0);
    return session;
}

void smb2__session_unref(struct smb2_session **session)
{
    struct smb2_session *gone = *session;

    *session = NULL;
    if (gone == NULL || --gone->references > 0)
        return;
    smb2_key_free(&gone->signing);
    smb2_key_free(&gone->encrypt);
    smb2_key_free(&gone->decrypt);
    cred_acceptor_close(&gone->acceptor);
    OPENSSL_cleanse(gone, sizeof *gone);
    free(gone);
}

void smb2__session_end(struct smb2_session *session)
{
    struct smb2_session *reference = session;

    if (session->dead)
        return;
    session->dead = true;
    session->valid = false;
    loop_timer_stop(&session->logon_timer);
    while (!list_is_empty(&session->opens))
        smb2__open_end(list_first(&session->opens, struct smb2_open, link), NULL);
    while (!list_is_empty(&session->trees))
        smb2__tree_end(list_first(&session->trees, struct smb2_tree, link));
    if (session->client != NULL) {
        client_destroy(session->client);
        client_drop(&session->client);
    }
    list_remove(&session->link);
    session->conn->session_count--;
    session->conn = NULL;
    smb2__session_unref(&reference);
}

/* ---- a logon succeeds ---- */

static enum err make_keys(struct smb2_session *session, const struct cred_result *result)
{
    const struct smb2_conn *conn = session->conn;
    struct smb2_keys keys;
    enum err err = smb2_keys_derive(conn->dialect, conn->cipher, result->session_key,
                                    result->session_key_length, session->preauth, &keys);

    if (err != ERR_OK)
        return err;
    err = smb2_key_new_signing(conn->signing, keys.signing, &session->signing);
    if (err == ERR_OK && conn->cipher != SMB2_CIPHER_NONE)
        err = smb2_key_new_cipher(conn->cipher, true, keys.encrypt, &session->encrypt);
    if (err == ERR_OK && conn->cipher != SMB2_CIPHER_NONE)
        err = smb2_key_new_cipher(conn->cipher, false, keys.decrypt, &session->decrypt);
    smb2_keys_wipe(&keys);
    return err;
}

static enum err make_client(struct smb2_session *session)
{
    struct client_spec spec = {.family = SMB2_FAMILY,
                               .owner = &session->id,
                               .owner_length = sizeof session->id,
                               .principal = &session->user.uid,
                               .principal_length = sizeof session->user.uid};
    struct client *client;
    enum err err = client_new(session->conn->server->state, &spec, NULL, &client);

    if (err == ERR_OK)
        session->client = client_hold(client_confirm(client));
    return err;
}

/* STATUS_SUCCESS, or why the session can't be. A re-authentication keeps keys and state, and must be of the
 * same user (MS-SMB2 3.3.5.5.3). */
static uint32_t log_on(struct smb2_session *session)
{
    const struct cred_result *result = cred_acceptor_result(session->acceptor);
    bool must_encrypt = session->conn->server->options.encryption_required;
    enum err err;

    if (session->signing != NULL)
        return result->user.uid == session->user.uid ? STATUS_SUCCESS : STATUS_ACCESS_DENIED;
    if (must_encrypt && session->conn->cipher == SMB2_CIPHER_NONE)
        return STATUS_ACCESS_DENIED;
    session->user = result->user;
    err = make_keys(session, result);
    if (err == ERR_OK)
        err = make_client(session);
    if (err != ERR_OK)
        return smb2__status(err);
    session->encrypts = must_encrypt;
    return STATUS_SUCCESS;
}

/* ---- SESSION_SETUP ---- */

static void write_reply(struct smb2_request *request, const uint8_t *token, size_t length)
{
    struct writer *writer = smb2_reply(request);

    writer_le16(writer, 9);
    writer_le16(writer, request->session->encrypts ? SESSION_FLAG_ENCRYPT_DATA : 0);
    writer_le16(writer, SMB2_HEADER_SIZE + BODY_FIXED);
    writer_le16(writer, (uint16_t)length);
    writer_bytes(writer, token, length);
}

static void log_refusal(const struct smb2_session *session, const char *user)
{
    char text[NET_ADDRESS_TEXT];

    log_info("smb: logon from %s refused: %s (user \"%.64s\")",
             net_address_format(&session->conn->peer, text),
             cred_reason_text(cred_acceptor_reason(session->acceptor)), user);
}

static void on_held(struct loop_timer *timer)
{
    struct smb2_request *request = container_of(timer, struct smb2_request, timer);

    smb2__request_done(request, request->final_status);
}

static void cancel_held(struct smb2_request *request)
{
    loop_timer_stop(&request->timer);
    smb2__request_done(request, STATUS_CANCELLED);
}

static uint32_t hold(struct smb2_request *request, uint32_t status, uint32_t delay_ms)
{
    if (delay_ms == 0)
        return status;
    request->final_status = status;
    request->timer.callback = on_held;
    request->cancel = cancel_held;
    loop_timer_start(request->message->server->loop, &request->timer, delay_ms, 0);
    return SMB2_WAIT;
}

static const void *host_of(const struct net_address *address, size_t *length_r)
{
    if (address->sa.any.sa_family == AF_INET6) {
        *length_r = sizeof address->sa.v6.sin6_addr;
        return &address->sa.v6.sin6_addr;
    }
    *length_r = sizeof address->sa.v4.sin_addr;
    return &address->sa.v4.sin_addr;
}

/* The conversation is over: the outcome, held back if it must be. */
static uint32_t conclude(struct smb2_request *request, bool good, const struct writer *token)
{
    struct smb2_session *session = request->session;
    struct smb2_conn *conn = session->conn;
    const char *user = cred_acceptor_claimed_user(session->acceptor);
    uint32_t status = STATUS_LOGON_FAILURE, delay_ms;
    size_t host_length;
    const void *host = host_of(&conn->peer, &host_length);

    /* Too many tries: whatever was said, it does not count. */
    if (cred_delays_wait_ms(conn->server->delays, host, host_length, user) >= CRED_DELAY_MAX_MS)
        good = false;
    else if (!good)
        log_refusal(session, user);
    delay_ms = cred_delays_done(conn->server->delays, host, host_length, user, good);
    if (good)
        status = log_on(session);
    cred_acceptor_close(&session->acceptor);
    loop_timer_stop(&session->logon_timer);
    if (status == STATUS_SUCCESS) {
        session->valid = true;
        request->signs = true;
        write_reply(request, token->data, token->length);
    } else {
        request->signs = false;
        smb2__session_end(session);
    }
    return hold(request, status, delay_ms);
}

static uint32_t begin(struct smb2_request *request, const struct setup_args *args)
{
    struct smb2_conn *conn = request->message->conn;

    /* One session over several connections is not built (MS-SMB2 3.3.5.5.2). */
    if (args->flags & FLAG_BINDING)
        return conn->dialect >= 0x0300 ? STATUS_REQUEST_NOT_ACCEPTED : STATUS_INVALID_PARAMETER;
    if (request->header.session_id == 0) {
        request->session = session_new(conn);
        if (request->session == NULL)
            return STATUS_INSUFF_SERVER_RESOURCES;
        request->session->references++;
        request->header.session_id = request->session->id;
    } else if (request->session == NULL) {
        return STATUS_USER_SESSION_DELETED;
    }
    if (request->session->acceptor != NULL)
        return STATUS_SUCCESS;
    return smb2__status(cred_acceptor_open(conn->server->offers, 1, &request->session->acceptor));
}

uint32_t smb2__session_setup(struct smb2_request *request)
{
    struct smb2_conn *conn = request->message->conn;
    struct smb2_part whole = {.data = request->data, .length = request->length};
    struct setup_args args;
    struct writer token;
    enum cred_step step;
    uint32_t status;

    if (!decode(request, &args))
        return STATUS_INVALID_PARAMETER;
    status = begin(request, &args);
    if (status != STATUS_SUCCESS)
        return status;
    if (conn->dialect == 0x0311 && !request->session->valid &&
        smb2_preauth_update(request->session->preauth, &whole, 1) != ERR_OK)
        return STATUS_INSUFFICIENT_RESOURCES;
    writer_init_growing(&token, CRED_REPLY_MAX);
    step = cred_acceptor_step(request->session->acceptor, args.token.at, args.token.left, &token);
    if (token.failed)
        step = CRED_FAILED;
    if (step == CRED_MORE) {
        write_reply(request, token.data, token.length);
        status = STATUS_MORE_PROCESSING_REQUIRED;
    } else {
        status = conclude(request, step == CRED_DONE, &token);
    }
    writer_free(&token);
    return status;
}
