/*
 * smb2_session.c - SESSION_SETUP (MS-SMB2 2.2.5, 3.3.5.5), and the end of sessions.
 *
 * The conversation of SPNEGO goes over a channel: of a session that is new (no id), that is bound to another
 * connection (SMB2_SESSION_FLAG_BINDING, with a signature of the session's), or that is there (to log on
 * anew: keys, opens and locks stay). When it says who the user is, keys are derived; a first logon makes the
 * session valid and ends the one before that the client names. A binding that fails takes its channel away; a
 * logon anew that fails takes the session. The answer of a logon is held back as cred_delays say.
 */
#include "smb/smb2_priv.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

enum {
    FLAG_BINDING = 1,
    SIGNING_REQUIRED = 2, /* of a security mode */
    SESSION_FLAG_IS_GUEST = 1,
    SESSION_FLAG_ENCRYPT_DATA = 4,
    BODY_FIXED = 8,
    GUEST_ID = 65534
};

struct setup_args {
    uint8_t flags, security_mode;
    uint16_t token_offset, token_length;
    uint64_t previous_session;
    struct reader token;
};

static bool decode(struct smb2_request *request, struct setup_args *args)
{
    struct reader *reader = &request->body;

    return reader_skip(reader, 2) && reader_u8(reader, &args->flags) &&
           reader_u8(reader, &args->security_mode) && reader_skip(reader, 4 + 4) &&
           reader_le16(reader, &args->token_offset) && reader_le16(reader, &args->token_length) &&
           reader_le64(reader, &args->previous_session) &&
           smb2__request_part(request, args->token_offset, args->token_length, &args->token);
}

/* ---- sessions ---- */

struct smb2_session *smb2__session_find(const struct smb_server *server, uint64_t id)
{
    struct hashlink *link = hashtable_find(&server->sessions, hash_u64(id));

    for (; link != NULL; link = hashtable_find_next(link)) {
        struct smb2_session *session = container_of(link, struct smb2_session, link);

        if (session->id == id)
            return session;
    }
    return NULL;
}

/* A new session on its first channel. */
static enum err session_new(struct smb2_conn *conn, struct smb2_channel **channel_r)
{
    struct smb2_session *session = calloc(1, sizeof *session);
    enum err err;

    if (session == NULL)
        return ERR_NOMEM;
    session->references = 1;
    session->server = conn->server;
    session->id = conn->server->next_session++;
    session->next_tree = 1;
    session->peer = conn->peer;
    session->dialect = conn->dialect;
    session->cipher = conn->cipher;
    session->signing_algorithm = conn->signing;
    list_init(&session->channels);
    list_init(&session->trees);
    list_init(&session->opens);
    list_init(&session->lost);
    if (!hashtable_insert(&conn->server->sessions, &session->link, hash_u64(session->id))) {
        free(session);
        return ERR_NOMEM;
    }
    err = smb2__channel_new(session, conn, channel_r);
    if (err != ERR_OK)
        smb2__session_end(session);
    return err;
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
    smb2__client_unref(&gone->machine);
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
    hashtable_remove(&session->server->sessions, &session->link);
    while (!list_is_empty(&session->opens)) {
        struct smb2_open *open = list_first(&session->opens, struct smb2_open, link);

        if (!smb2__durable_park(open))
            smb2__open_end(open, NULL);
    }
    while (!list_is_empty(&session->lost))
        smb2__message_forget(list_first(&session->lost, struct smb2_message, link));
    while (!list_is_empty(&session->trees))
        smb2__tree_end(list_first(&session->trees, struct smb2_tree, link));
    while (!list_is_empty(&session->channels))
        smb2__channel_end(list_first(&session->channels, struct smb2_channel, session_link));
    session->client = NULL;
    smb2__client_unref(&session->machine);
    smb2__session_unref(&reference);
}

void smb2__session_close(struct smb2_session *session)
{
    while (!list_is_empty(&session->opens))
        smb2__open_end(list_first(&session->opens, struct smb2_open, link), NULL);
    smb2__session_end(session);
}

/* ---- a logon succeeds ---- */

static enum err derive(const struct smb2_channel *channel, const struct cred_result *result,
                       struct smb2_keys *keys_r)
{
    const struct smb2_conn *conn = channel->conn;

    return smb2_keys_derive(conn->dialect, conn->cipher, result->session_key, result->session_key_length,
                            channel->preauth, keys_r);
}

static enum err make_keys(const struct smb2_channel *channel, const struct cred_result *result)
{
    struct smb2_session *session = channel->session;
    enum smb2_cipher cipher = session->cipher;
    struct smb2_keys keys;
    enum err err = derive(channel, result, &keys);

    if (err != ERR_OK)
        return err;
    err = smb2_key_new_signing(session->signing_algorithm, keys.signing, &session->signing);
    if (err == ERR_OK && cipher != SMB2_CIPHER_NONE)
        err = smb2_key_new_cipher(cipher, true, keys.encrypt, &session->encrypt);
    if (err == ERR_OK && cipher != SMB2_CIPHER_NONE)
        err = smb2_key_new_cipher(cipher, false, keys.decrypt, &session->decrypt);
    smb2_keys_wipe(&keys);
    return err;
}

static uint32_t log_on_first(struct smb2_channel *channel, const struct cred_result *result)
{
    struct smb2_session *session = channel->session;
    enum smb_encryption encryption = session->server->options.encryption;
    enum err err;

    if (encryption == SMB_ENCRYPT_REQUIRED && session->cipher == SMB2_CIPHER_NONE)
        return STATUS_ACCESS_DENIED;
    session->user = result->user;
    err = make_keys(channel, result);
    if (err == ERR_OK)
        err = smb2__client_get(session->server, channel->conn->client_guid, session->id, &session->machine);
    if (err != ERR_OK)
        return smb2__status(err);
    session->client = session->machine->client;
    session->machine->dialect = session->dialect;
    session->machine->peer = session->peer;
    memcpy(session->machine->user, session->user.name, sizeof session->machine->user);
    session->encrypts = encryption != SMB_ENCRYPT_OFF && session->cipher != SMB2_CIPHER_NONE;
    session->valid = true;
    return STATUS_SUCCESS;
}

/* Nobody knows who it is: no keys, so no signatures (MS-SMB2 3.3.5.5.3), and the rights of a share's
 * anonymous user. */
static uint32_t log_on_guest(struct smb2_channel *channel)
{
    struct smb2_session *session = channel->session;
    enum err err =
        smb2__client_get(session->server, channel->conn->client_guid, session->id, &session->machine);

    if (err != ERR_OK)
        return smb2__status(err);
    session->user = (struct ident_user){.name = "Guest", .uid = GUEST_ID, .gid = GUEST_ID};
    session->client = session->machine->client;
    session->is_guest = session->valid = channel->valid = true;
    return STATUS_SUCCESS;
}

/* MS-SMB2 3.3.5.5.3: whose session it was gives up his name. What is open stays so, with the access that was
 * granted; everything else is judged as of a guest, until he gives his name again. */
static uint32_t lose_name(struct smb2_session *session, bool nameless)
{
    struct list *link;

    if (session->is_nameless == nameless)
        return STATUS_SUCCESS;
    session->is_nameless = nameless;
    list_for_each(link, &session->trees) container_of(link, struct smb2_tree, link)->judged = 0;
    return STATUS_SUCCESS;
}

static bool may_be_guest(const struct smb2_channel *channel)
{
    const struct smb_options *options = &channel->session->server->options;
    enum cred_reason reason = cred_acceptor_reason(channel->acceptor);

    if (!options->guests || options->encryption == SMB_ENCRYPT_REQUIRED)
        return false;
    return reason == CRED_REASON_ANONYMOUS || (reason == CRED_REASON_NO_USER && !channel->valid);
}

static uint32_t log_on_as_guest(struct smb2_channel *channel)
{
    if (!channel->session->valid)
        return log_on_guest(channel);
    /* No channel of somebody's session is a guest's. */
    return channel->valid ? lose_name(channel->session, true) : STATUS_ACCESS_DENIED;
}

/* MS-SMB2 3.3.5.5.3: a channel signs with a key of its own. */
static uint32_t bind_channel(struct smb2_channel *channel, const struct cred_result *result)
{
    struct smb2_keys keys;
    enum err err = derive(channel, result, &keys);

    if (err == ERR_OK)
        err = smb2_key_new_signing(channel->conn->signing, keys.signing, &channel->signing);
    smb2_keys_wipe(&keys);
    return err == ERR_OK ? STATUS_SUCCESS : smb2__status(err);
}

/* The client has lost a session and does not wait for its connection to go (MS-SMB2 3.3.5.5.3). */
static void end_previous(const struct smb2_channel *channel)
{
    const struct smb2_session *session = channel->session;
    struct smb2_session *previous = smb2__session_find(session->server, channel->previous_session);

    if (previous != NULL && previous != session && previous->valid && previous->user.uid == session->user.uid)
        smb2__session_end(previous);
}

/* STATUS_SUCCESS, or why the channel can't be. Binding and logging on anew are for the session's user alone.
 */
static uint32_t log_on(struct smb2_channel *channel)
{
    const struct cred_result *result = cred_acceptor_result(channel->acceptor);
    struct smb2_session *session = channel->session;
    uint32_t status = STATUS_SUCCESS;

    if (session->dead)
        return STATUS_USER_SESSION_DELETED;
    if (!session->valid)
        status = log_on_first(channel, result);
    else if (session->is_guest || result->user.uid != session->user.uid)
        status = STATUS_ACCESS_DENIED;
    else if (!channel->valid)
        status = bind_channel(channel, result);
    else
        status = lose_name(session, false);
    if (status != STATUS_SUCCESS)
        return status;
    channel->valid = true;
    end_previous(channel);
    return STATUS_SUCCESS;
}

/* ---- SESSION_SETUP ---- */

static void write_reply(struct smb2_request *request, const uint8_t *token, size_t length)
{
    struct writer *writer = smb2_reply(request);

    writer_le16(writer, 9);
    writer_le16(writer, (uint16_t)((request->session->encrypts ? SESSION_FLAG_ENCRYPT_DATA : 0) |
                                   (request->session->is_guest ? SESSION_FLAG_IS_GUEST : 0)));
    writer_le16(writer, SMB2_HEADER_SIZE + BODY_FIXED);
    writer_le16(writer, (uint16_t)length);
    writer_bytes(writer, token, length);
}

static void log_refusal(const struct smb2_channel *channel, const char *user)
{
    char text[NET_ADDRESS_TEXT];

    log_info("smb: logon from %s refused: %s (user \"%.64s\")",
             net_address_format(&channel->conn->peer, text),
             cred_reason_text(cred_acceptor_reason(channel->acceptor)), user);
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

/* The logon failed: what is left of the session? */
static void refuse(struct smb2_channel *channel)
{
    /* A logon anew (MS-SMB2 3.3.5.5.3). */
    if (channel->valid)
        smb2__session_end(channel->session);
    else
        smb2__channel_end(channel);
}

/* The conversation is over: the outcome, held back if it must be. */
static uint32_t conclude(struct smb2_request *request, const struct setup_args *args, bool good,
                         const struct writer *token)
{
    /* RFC 4178 4.2.2: accept-completed, for a peer that is told nothing else. */
    static const uint8_t accepted[] = {0xa1, 0x07, 0x30, 0x05, 0xa0, 0x03, 0x0a, 0x01, 0x00};
    static const char ntlm[] = "NTLMSSP";
    struct smb2_channel *channel = request->channel;
    struct smb2_conn *conn = channel->conn;
    const char *user = cred_acceptor_claimed_user(channel->acceptor);
    uint32_t status = STATUS_LOGON_FAILURE, delay_ms = 0;
    bool guest = false, bare;
    size_t host_length;
    const void *host = host_of(&conn->peer, &host_length);

    /* Too many tries: whatever was said, it does not count. */
    if (cred_delays_wait_ms(conn->server->delays, host, host_length, user) >= CRED_DELAY_MAX_MS)
        good = false;
    else if (!good && may_be_guest(channel))
        guest = true;
    else if (!good)
        log_refusal(channel, user);
    if (!guest)
        delay_ms = cred_delays_done(conn->server->delays, host, host_length, user, good);
    if (guest || good)
        status = guest ? log_on_as_guest(channel) : log_on(channel);
    else if (cred_acceptor_reason(channel->acceptor) == CRED_REASON_MALFORMED)
        status = STATUS_INVALID_PARAMETER;
    smb2__channel_settle(channel);
    if (status == STATUS_SUCCESS) {
        bare = args->token.left >= sizeof ntlm && memcmp(args->token.at, ntlm, sizeof ntlm) == 0;
        request->signs = true;
        request->session->must_sign =
            !request->session->is_guest &&
            (!conn->server->options.signing_optional ||
             ((args->security_mode | conn->client_security_mode) & SIGNING_REQUIRED) != 0);
        if (guest)
            write_reply(request, accepted, bare ? 0 : sizeof accepted);
        else
            write_reply(request, token->data, token->length);
    } else {
        refuse(channel);
    }
    return hold(request, status, delay_ms);
}

/* The channel that the conversation goes over. */
static uint32_t find_channel(struct smb2_request *request, const struct setup_args *args)
{
    struct smb2_conn *conn = request->message->conn;
    bool binds = (args->flags & FLAG_BINDING) != 0;
    uint32_t status;
    enum err err;

    if (request->channel != NULL)
        return binds && request->channel->valid ? STATUS_REQUEST_NOT_ACCEPTED : STATUS_SUCCESS;
    if (request->header.session_id == 0) {
        if (binds)
            return conn->dialect < 0x0300 ? STATUS_REQUEST_NOT_ACCEPTED : STATUS_INVALID_PARAMETER;
        err = session_new(conn, &request->channel);
        if (err != ERR_OK)
            return STATUS_INSUFF_SERVER_RESOURCES;
        request->session = request->channel->session;
        request->session->references++;
        request->header.session_id = request->session->id;
        request->message->session_id = request->session->id;
    } else {
        if (!binds || request->session == NULL)
            return STATUS_USER_SESSION_DELETED;
        status = smb2__channel_may_bind(request->session, conn);
        if (status == STATUS_SUCCESS && !request->signs)
            status = STATUS_INVALID_PARAMETER;
        if (status != STATUS_SUCCESS)
            return status;
        err = smb2__channel_new(request->session, conn, &request->channel);
        if (err != ERR_OK)
            return STATUS_INSUFFICIENT_RESOURCES;
    }
    request->channel->references++;
    return STATUS_SUCCESS;
}

static uint32_t begin(struct smb2_request *request, const struct setup_args *args)
{
    struct smb_server *server = request->message->server;
    uint32_t status = find_channel(request, args);
    struct smb2_channel *channel = request->channel;
    enum err err;

    if (status != STATUS_SUCCESS)
        return status;
    channel->previous_session = args->previous_session;
    if (channel->acceptor != NULL)
        return STATUS_SUCCESS;
    err = cred_acceptor_open(server->offers, 1, &channel->acceptor);
    if (err == ERR_OK)
        loop_timer_start(server->loop, &channel->logon_timer, SMB2_LOGON_MS, 0);
    else if (!channel->valid)
        smb2__channel_end(channel);
    return smb2__status(err);
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
    if (conn->dialect == 0x0311 && !request->channel->valid &&
        smb2_preauth_update(request->channel->preauth, &whole, 1) != ERR_OK)
        return STATUS_INSUFFICIENT_RESOURCES;
    writer_init_growing(&token, CRED_REPLY_MAX);
    step = cred_acceptor_step(request->channel->acceptor, args.token.at, args.token.left, &token);
    if (token.failed)
        step = CRED_FAILED;
    if (step == CRED_MORE) {
        write_reply(request, token.data, token.length);
        status = STATUS_MORE_PROCESSING_REQUIRED;
    } else {
        status = conclude(request, &args, step == CRED_DONE, &token);
    }
    writer_free(&token);
    return status;
}
