/*
 * ntlmclient.h - the client's side of NTLM and SPNEGO, as a test wants it: right, or wrong in a chosen way.
 *
 * Fill in the first part (ntlmclient_init has usable values), then exchange tokens:
 *   ntlmclient_first(client, &token);  send it
 *   while the server wants more: ntlmclient_next(client, reply, length, &token) and send it
 */
#ifndef TESTS_NTLMCLIENT_H
#define TESTS_NTLMCLIENT_H

#include "auth/ntlm_crypto_priv.h"
#include "auth/ntlm_message_priv.h"
#include "auth/spnego_message_priv.h"

enum ntlmclient_response {
    NTLMCLIENT_V2,
    NTLMCLIENT_V1,       /* 24 bytes of NTLMv1 */
    NTLMCLIENT_LM,       /* LM only */
    NTLMCLIENT_ANONYMOUS /* no user, no response */
};

struct ntlmclient {
    /* ---- what it does ---- */
    char user[512], domain[256], workstation[64], password[256];
    uint32_t flags; /* of NEGOTIATE; those of AUTHENTICATE are what the server left of them */
    uint32_t add_flags;
    enum ntlmclient_response response;
    bool mic;               /* in AUTHENTICATE */
    bool claim_mic_only;    /* says that there is a MIC, and leaves zeros */
    bool spnego;            /* else bare NTLMSSP */
    bool list_mic;          /* sends a mechListMIC */
    bool late_list_mic;     /* only when the server has sent its own */
    bool foreign_first;     /* offers another mechanism before NTLM, with a token of it */
    int64_t clock_offset_s; /* added to the server's time */
    uint8_t client_challenge[NTLM__CHALLENGE_SIZE];
    uint8_t session_key[NTLM__KEY]; /* the exported one with key exchange; else filled in */

    /* ---- what happened ---- */
    struct ntlm__challenge challenge; /* refers into challenge_message */
    struct writer negotiate_message, challenge_message;
    uint8_t list[SPNEGO__LIST_MAX]; /* the mechanisms, as sent */
    size_t list_length;
    bool authenticated;      /* AUTHENTICATE is on its way */
    bool server_mic_checked; /* the server's mechListMIC came and was right */
    bool ended;              /* accept-completed came */
    struct ntlm__seal ours, theirs;
};

void ntlmclient_init(struct ntlmclient *client, const char *user, const char *domain, const char *password);
void ntlmclient_close(struct ntlmclient *client);

/* These append the token to TOKEN. */
void ntlmclient_first(struct ntlmclient *client, struct writer *token);
/* False when the reply is not understood or its MIC is wrong. Nothing is appended when there is nothing to
 * send. */
bool ntlmclient_next(struct ntlmclient *client, const void *reply, size_t length, struct writer *token);

/* The bare messages. */
void ntlmclient_negotiate(struct ntlmclient *client, struct writer *message);
bool ntlmclient_authenticate(struct ntlmclient *client, const void *challenge, size_t length,
                             struct writer *message);

#endif
