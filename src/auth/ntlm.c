/*
 * ntlm.c - the acceptor of NTLM (MS-NLMP 3.2.5).
 *
 * The happy path: NEGOTIATE comes, CHALLENGE goes, AUTHENTICATE comes, and its response fits the password's
 * hash; from the response comes the session key, from that (with key exchange) the exported one, with that
 * the MIC over all three messages is checked, and the two directions of signing are opened.
 *
 * Whatever is wrong ends the conversation in REFUSED with a reason for our log. A user who is not there or
 * may not log on costs the same work as one with a wrong password.
 *
 *   START --NEGOTIATE--> CHALLENGED --AUTHENTICATE--> ACCEPTED
 *     \________________________\______________________> REFUSED
 */
#include "dittofs/ntlm.h"
#include "auth/identity_priv.h"
#include "auth/ntlm_crypto_priv.h"
#include "auth/ntlm_message_priv.h"
#include "dittofs/clock.h"
#include "dittofs/hash.h"
#include "dittofs/log.h"
#include "dittofs/random.h"
#include "dittofs/utf16.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

enum { TARGET_INFO_MAX = 3 * (4 + 2 * NTLM_NAME_MAX) + 64, MAX_SKEW_S = 36 * 60 * 60, NTLMV1_RESPONSE = 24 };
#define FILETIME_1970 116444736000000000ULL
enum { FILETIME_SECOND = 10000000 };

enum state {
    START,      /* nothing has come */
    CHALLENGED, /* CHALLENGE was sent; both messages are kept for the MIC */
    ACCEPTED,   /* the result is there */
    REFUSED     /* the reason is there */
};

struct context {
    const struct cred_ntlm_server *server;
    enum state state;
    enum cred_reason reason;
    uint8_t server_challenge[NTLM__CHALLENGE_SIZE];
    uint32_t flags;          /* those of our CHALLENGE */
    struct writer negotiate; /* the messages, for the MIC */
    struct writer challenge;
    char claimed_user[3 * NTLM__USER_MAX + 1];
    struct cred_result result;
    struct ntlm__seal ours, theirs;
};

static enum err context_open(void *server, void **context_r)
{
    struct context *context;
    enum err err = cred_ntlm_prepare();

    if (err != ERR_OK)
        return err;
    context = calloc(1, sizeof *context);
    if (context == NULL)
        return ERR_NOMEM;
    context->server = server;
    writer_init_growing(&context->negotiate, NTLM__MESSAGE_MAX);
    writer_init_growing(&context->challenge, NTLM__MESSAGE_MAX);
    *context_r = context;
    return ERR_OK;
}

static void context_close(void **pointer)
{
    struct context *context = *pointer;

    *pointer = NULL;
    if (context == NULL)
        return;
    writer_free(&context->negotiate);
    writer_free(&context->challenge);
    ntlm__seal_close(&context->ours);
    ntlm__seal_close(&context->theirs);
    OPENSSL_cleanse(context, sizeof *context);
    free(context);
}

static enum cred_step refuse(struct context *context, enum cred_reason reason)
{
    context->state = REFUSED;
    context->reason = reason;
    OPENSSL_cleanse(&context->result, sizeof context->result);
    return CRED_FAILED;
}

/* ---- NEGOTIATE and CHALLENGE ---- */

static uint64_t filetime_now(void)
{
    struct timestamp now = clock_wall();

    return FILETIME_1970 + (uint64_t)now.seconds * FILETIME_SECOND + now.nanoseconds / 100;
}

static void write_name(struct writer *writer, uint16_t id, const char *name, const char *otherwise)
{
    uint8_t text[2 * NTLM_NAME_MAX];
    struct writer utf16;

    if (name[0] == 0)
        name = otherwise;
    writer_init(&utf16, text, sizeof text);
    if (!utf16_from_utf8(&utf16, name, strlen(name)) || utf16.failed)
        writer->failed = true;
    else
        ntlm__av_write(writer, id, text, utf16.length);
}

/* MS-NLMP 3.2.5.1.1: the names of the machine, which is no member of a domain, and the time. */
static void write_target_info(struct writer *writer, const struct cred_ntlm_server *server)
{
    const char *computer = ident_computer(server->identity);
    uint8_t time[8];
    struct writer time_writer;

    writer_init(&time_writer, time, sizeof time);
    writer_le64(&time_writer, filetime_now());
    write_name(writer, NTLM__AV_NB_DOMAIN, computer, "");
    write_name(writer, NTLM__AV_NB_COMPUTER, computer, "");
    write_name(writer, NTLM__AV_DNS_DOMAIN, server->dns_domain, computer);
    write_name(writer, NTLM__AV_DNS_COMPUTER, server->dns_computer, computer);
    ntlm__av_write(writer, NTLM__AV_TIMESTAMP, time, sizeof time);
    ntlm__av_write(writer, NTLM__AV_EOL, NULL, 0);
}

/* What we insist on, and what the client may choose. */
static uint32_t challenge_flags(uint32_t offered)
{
    return NTLM__NEGOTIATE_UNICODE | NTLM__REQUEST_TARGET | NTLM__NEGOTIATE_NTLM |
           NTLM__NEGOTIATE_ALWAYS_SIGN | NTLM__TARGET_TYPE_SERVER | NTLM__NEGOTIATE_ESS |
           NTLM__NEGOTIATE_TARGET_INFO |
           (offered & (NTLM__NEGOTIATE_SIGN | NTLM__NEGOTIATE_SEAL | NTLM__NEGOTIATE_VERSION |
                       NTLM__NEGOTIATE_128 | NTLM__NEGOTIATE_KEY_EXCH | NTLM__NEGOTIATE_56));
}

static enum cred_step take_negotiate(struct context *context, const void *token, size_t length,
                                     struct writer *reply)
{
    uint8_t target[2 * IDENT_COMPUTER_MAX], info[TARGET_INFO_MAX];
    const char *computer = ident_computer(context->server->identity);
    struct ntlm__negotiate negotiate;
    struct ntlm__challenge challenge = {0};
    struct writer name_writer, info_writer;

    if (!ntlm__negotiate_read(token, length, &negotiate))
        return refuse(context, CRED_REASON_MALFORMED);
    /* Without these there is no NTLMv2 worth having: refused now rather than after a password was tried. */
    if (!(negotiate.flags & NTLM__NEGOTIATE_UNICODE) || !(negotiate.flags & NTLM__NEGOTIATE_ESS))
        return refuse(context, CRED_REASON_WEAK);
    writer_init(&name_writer, target, sizeof target);
    writer_init(&info_writer, info, sizeof info);
    write_target_info(&info_writer, context->server);
    if (!utf16_from_utf8(&name_writer, computer, strlen(computer)) || name_writer.failed ||
        info_writer.failed)
        return refuse(context, CRED_REASON_INTERNAL);
    random_bytes(context->server_challenge, sizeof context->server_challenge);
    challenge.flags = context->flags = challenge_flags(negotiate.flags);
    memcpy(challenge.server_challenge, context->server_challenge, sizeof challenge.server_challenge);
    challenge.target_name = (struct ntlm__field){target, name_writer.length};
    challenge.target_info = (struct ntlm__field){info, info_writer.length};
    writer_bytes(&context->negotiate, token, length);
    ntlm__challenge_write(&context->challenge, &challenge);
    writer_bytes(reply, context->challenge.data, context->challenge.length);
    if (context->negotiate.failed || context->challenge.failed || reply->failed)
        return refuse(context, CRED_REASON_INTERNAL);
    context->state = CHALLENGED;
    return CRED_MORE;
}

/* ---- AUTHENTICATE ---- */

/* What is refused before any password is looked at. */
static enum cred_reason judge(const struct context *context, const struct ntlm__authenticate *message)
{
    if (message->user.length == 0 && message->nt_response.length == 0)
        return CRED_REASON_ANONYMOUS; /* MS-NLMP 3.2.5.1.2 */
    if (message->user.length == 0)
        return CRED_REASON_MALFORMED;
    if (!(message->flags & NTLM__NEGOTIATE_UNICODE) || !(message->flags & NTLM__NEGOTIATE_ESS))
        return CRED_REASON_WEAK;
    if (message->nt_response.length == 0)
        return CRED_REASON_LM;
    if (message->nt_response.length <= NTLMV1_RESPONSE)
        return CRED_REASON_NTLMV1;
    if (message->user.length > 2 * NTLM__USER_MAX)
        return CRED_REASON_MALFORMED;
    /* The client may take back what it offered, but not add to it. */
    if (message->flags & ~context->flags &
        (NTLM__NEGOTIATE_KEY_EXCH | NTLM__NEGOTIATE_128 | NTLM__NEGOTIATE_56))
        return CRED_REASON_MALFORMED;
    if ((message->flags & NTLM__NEGOTIATE_KEY_EXCH) && message->session_key.length != NTLM__KEY)
        return CRED_REASON_MALFORMED;
    return CRED_REASON_NONE;
}

static bool is_fresh(const struct context *context, uint64_t timestamp)
{
    uint64_t skew = context->server->max_skew_s != 0 ? context->server->max_skew_s : MAX_SKEW_S;
    uint64_t now = filetime_now();
    uint64_t apart = timestamp > now ? timestamp - now : now - timestamp;

    return apart / FILETIME_SECOND <= skew;
}

/* MS-NLMP 3.3.2: is the proof that of this hash? BASE_KEY_R is the session's base key then. */
static enum cred_reason check_proof(const struct context *context, const struct ntlm__authenticate *message,
                                    const uint8_t nt_hash[IDENT_NT_HASH_SIZE], uint8_t base_key_r[NTLM__KEY])
{
    const uint8_t *proof = message->nt_response.data;
    struct ntlm__piece pieces[] = {
        {context->server_challenge, sizeof context->server_challenge},
        {proof + NTLM__PROOF_SIZE, message->nt_response.length - NTLM__PROOF_SIZE},
    };
    struct ntlm__piece proof_piece = {proof, NTLM__PROOF_SIZE};
    uint8_t owf[NTLM__KEY], expected[NTLM__PROOF_SIZE];
    enum cred_reason reason = CRED_REASON_INTERNAL;

    if (ntlm__owf_v2(nt_hash, message->user.data, message->user.length, message->domain.data,
                     message->domain.length, owf) == ERR_OK &&
        ntlm__hmac_md5(owf, pieces, 2, expected) == ERR_OK &&
        ntlm__hmac_md5(owf, &proof_piece, 1, base_key_r) == ERR_OK)
        reason = constant_time_equal(expected, proof, sizeof expected) ? CRED_REASON_NONE
                                                                       : CRED_REASON_BAD_PASSWORD;
    OPENSSL_cleanse(owf, sizeof owf);
    OPENSSL_cleanse(expected, sizeof expected);
    return reason;
}

/* Whose it is, and whether he is that. */
static enum cred_reason check_password(struct context *context, const struct ntlm__authenticate *message,
                                       uint8_t base_key_r[NTLM__KEY])
{
    static const struct ident_user nobody;
    const struct ident_user *user = ident_user_find(context->server->identity, context->claimed_user);
    enum cred_reason reason =
        check_proof(context, message, user != NULL ? user->nt_hash : nobody.nt_hash, base_key_r);

    if (reason == CRED_REASON_INTERNAL)
        return reason;
    if (user == NULL)
        return CRED_REASON_NO_USER;
    if (reason == CRED_REASON_NONE && user->disabled)
        return CRED_REASON_DISABLED;
    if (reason == CRED_REASON_NONE) {
        context->result.user = *user;
        OPENSSL_cleanse(context->result.user.nt_hash, sizeof context->result.user.nt_hash);
    }
    return reason;
}

/* MS-NLMP 3.2.5.1.2: HMAC-MD5 of the three messages, the MIC in the last one being zeros. */
static enum cred_reason check_mic(const struct context *context, const uint8_t *token, size_t length)
{
    static const uint8_t zeros[NTLM__MIC_SIZE];
    const uint8_t *behind = token + NTLM__MIC_OFFSET + NTLM__MIC_SIZE;
    struct ntlm__piece pieces[] = {
        {context->negotiate.data, context->negotiate.length},
        {context->challenge.data, context->challenge.length},
        {token, NTLM__MIC_OFFSET},
        {zeros, sizeof zeros},
        {behind, length - NTLM__MIC_OFFSET - NTLM__MIC_SIZE},
    };
    uint8_t expected[NTLM__MIC_SIZE];

    if (ntlm__hmac_md5(context->result.session_key, pieces, sizeof pieces / sizeof *pieces, expected) !=
        ERR_OK)
        return CRED_REASON_INTERNAL;
    return constant_time_equal(expected, token + NTLM__MIC_OFFSET, sizeof expected) ? CRED_REASON_NONE
                                                                                    : CRED_REASON_BAD_MIC;
}

/* The exported session key (MS-NLMP 3.1.5.1.2) and both directions of signing. */
static enum cred_reason open_session(struct context *context, const struct ntlm__authenticate *message,
                                     const uint8_t base_key[NTLM__KEY])
{
    uint8_t *key = context->result.session_key;

    context->result.session_key_length = NTLM__KEY;
    memcpy(key, base_key, NTLM__KEY);
    if ((message->flags & NTLM__NEGOTIATE_KEY_EXCH) &&
        ntlm__rc4(base_key, message->session_key.data, NTLM__KEY, key) != ERR_OK)
        return CRED_REASON_INTERNAL;
    if (ntlm__seal_open(&context->ours, message->flags, key, false) != ERR_OK ||
        ntlm__seal_open(&context->theirs, message->flags, key, true) != ERR_OK)
        return CRED_REASON_INTERNAL;
    return CRED_REASON_NONE;
}

static enum cred_reason authenticate(struct context *context, const void *token, size_t length)
{
    struct ntlm__authenticate message;
    struct ntlm__blob blob;
    uint8_t base_key[NTLM__KEY];
    enum cred_reason reason;

    if (!ntlm__authenticate_read(token, length, &message))
        return CRED_REASON_MALFORMED;
    reason = judge(context, &message);
    if (reason != CRED_REASON_NONE)
        return reason;
    if (!utf16_to_string(context->claimed_user, sizeof context->claimed_user, message.user.data,
                         message.user.length) ||
        !ntlm__blob_read(message.nt_response, &blob))
        return CRED_REASON_MALFORMED;
    reason = check_password(context, &message, base_key);
    if (reason == CRED_REASON_NONE && !is_fresh(context, blob.timestamp))
        reason = CRED_REASON_CLOCK_SKEW;
    if (reason == CRED_REASON_NONE)
        reason = open_session(context, &message, base_key);
    OPENSSL_cleanse(base_key, sizeof base_key);
    if (reason != CRED_REASON_NONE)
        return reason;
    /* The flag is part of what the proof covers, so nobody on the way can take it out. */
    if (blob.av_flags & NTLM__AV_FLAG_MIC) {
        reason = message.has_mic_room ? check_mic(context, token, length) : CRED_REASON_BAD_MIC;
        if (reason != CRED_REASON_NONE)
            return reason;
    }
    /* For the log only: names that are no text are left out. */
    if (!utf16_to_string(context->result.domain, sizeof context->result.domain, message.domain.data,
                         message.domain.length) ||
        !utf16_to_string(context->result.workstation, sizeof context->result.workstation,
                         message.workstation.data, message.workstation.length))
        context->result.workstation[0] = 0;
    return CRED_REASON_NONE;
}

static enum cred_step context_step(void *pointer, const void *token, size_t length, struct writer *reply)
{
    struct context *context = pointer;
    enum cred_reason reason;

    switch (context->state) {
    case START:
        return take_negotiate(context, token, length, reply);
    case CHALLENGED:
        reason = authenticate(context, token, length);
        if (reason != CRED_REASON_NONE)
            return refuse(context, reason);
        context->state = ACCEPTED;
        return CRED_DONE;
    case ACCEPTED:
    case REFUSED:
        break;
    }
    return refuse(context, context->reason != CRED_REASON_NONE ? context->reason : CRED_REASON_MALFORMED);
}

/* ---- what follows ---- */

static enum cred_reason context_reason(const void *pointer)
{
    const struct context *context = pointer;

    return context->reason;
}

static const char *context_claimed_user(const void *pointer)
{
    const struct context *context = pointer;

    return context->claimed_user;
}

static const struct cred_result *context_result(const void *pointer)
{
    const struct context *context = pointer;

    invariant(context->state == ACCEPTED);
    return &context->result;
}

static enum err context_make_mic(void *pointer, const void *data, size_t length, uint8_t mic_r[CRED_MIC_MAX],
                                 size_t *mic_length_r)
{
    struct context *context = pointer;

    invariant(context->state == ACCEPTED);
    *mic_length_r = NTLM__SIGNATURE;
    return ntlm__sign(&context->ours, data, length, mic_r);
}

static bool context_check_mic(void *pointer, const void *data, size_t length, const void *mic,
                              size_t mic_length)
{
    struct context *context = pointer;

    invariant(context->state == ACCEPTED);
    return mic_length == NTLM__SIGNATURE && ntlm__verify(&context->theirs, data, length, mic);
}

/* 1.3.6.1.4.1.311.2.2.10 (MS-SPNG 1.9) */
static const uint8_t ntlm_oid[] = {0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x02, 0x0a};

const struct cred_mechanism cred_ntlm = {
    .name = "NTLM",
    .oids = {{ntlm_oid, sizeof ntlm_oid}},
    .recognizes = ntlm__is_message,
    .open = context_open,
    .close = context_close,
    .step = context_step,
    .reason = context_reason,
    .claimed_user = context_claimed_user,
    .result = context_result,
    .make_mic = context_make_mic,
    .check_mic = context_check_mic,
};

const char *cred_reason_text(enum cred_reason reason)
{
    static const char *const texts[CRED_REASON_COUNT] = {
        [CRED_REASON_NONE] = "none",
        [CRED_REASON_MALFORMED] = "malformed token",
        [CRED_REASON_NO_MECHANISM] = "no common mechanism",
        [CRED_REASON_NTLMV1] = "NTLMv1 is refused",
        [CRED_REASON_LM] = "LM is refused",
        [CRED_REASON_ANONYMOUS] = "anonymous logon is refused",
        [CRED_REASON_WEAK] = "the client lacks Unicode or extended session security",
        [CRED_REASON_NO_USER] = "no such user",
        [CRED_REASON_DISABLED] = "the user is disabled",
        [CRED_REASON_BAD_PASSWORD] = "wrong password",
        [CRED_REASON_BAD_MIC] = "messages were changed on their way",
        [CRED_REASON_CLOCK_SKEW] = "the client's clock is too far away",
        [CRED_REASON_INTERNAL] = "out of memory or libcrypto failed",
    };

    return (unsigned)reason < CRED_REASON_COUNT ? texts[reason] : "unknown";
}
