/*
 * cred.h - what mechanisms of authentication have in common: how one is run, and what comes out.
 *
 * A mechanism is a table of functions and a context for each conversation. spnego.h picks one by what the
 * peer offers; ntlm.h is one. Another (Kerberos) is one more table: it says which object identifiers are its
 * own, takes tokens, and fills in the same result.
 */
#ifndef DITTOFS_CRED_H
#define DITTOFS_CRED_H

#include "dittofs/identity.h"

enum cred_step {
    CRED_MORE,  /* send the reply, another token must follow */
    CRED_DONE,  /* the peer is who the result says; send the reply, if there is one */
    CRED_FAILED /* refused; there is no reply */
};

/* Why a peer was refused: for our log. The peer sees one and the same answer for all of them. */
enum cred_reason {
    CRED_REASON_NONE,
    CRED_REASON_MALFORMED,    /* not a token, or not one that may come now */
    CRED_REASON_NO_MECHANISM, /* nothing offered that we do */
    CRED_REASON_NTLMV1,       /* an NTLMv1 or NTLM2-session response */
    CRED_REASON_LM,           /* an LM response only */
    CRED_REASON_ANONYMOUS,    /* no user and no response */
    CRED_REASON_WEAK,         /* Unicode or extended session security missing */
    CRED_REASON_NO_USER,      /* no user of that name */
    CRED_REASON_DISABLED,     /* a user that may not log on */
    CRED_REASON_BAD_PASSWORD, /* the response does not fit */
    CRED_REASON_BAD_MIC,      /* messages were changed on their way, or their check is missing */
    CRED_REASON_CLOCK_SKEW,   /* the response is too old or from the future */
    CRED_REASON_INTERNAL,     /* memory or libcrypto */
    CRED_REASON_COUNT
};
const char *cred_reason_text(enum cred_reason reason);

enum { CRED_SESSION_KEY_MAX = 32, CRED_WORKSTATION_MAX = 255, CRED_DOMAIN_MAX = 255 };

struct cred_result {
    uint8_t session_key[CRED_SESSION_KEY_MAX];
    size_t session_key_length;
    struct ident_user user; /* a copy, without the hash */
    char domain[CRED_DOMAIN_MAX + 1];
    char workstation[CRED_WORKSTATION_MAX + 1];
};

enum { CRED_MIC_MAX = 64 };

struct cred_mechanism {
    const char *name;
    /* Object identifiers in DER, without tag and length; the first is the one to answer with. */
    struct {
        const uint8_t *bytes;
        size_t length;
    } oids[2];
    /* Is this a token of the mechanism as it is, without SPNEGO around it? May be NULL. */
    bool (*recognizes)(const void *token, size_t length);
    /* SERVER is what was registered with the mechanism. The context is freed by `close`. */
    enum err (*open)(void *server, void **context_r);
    void (*close)(void **context);
    /* Takes one token and appends the reply to REPLY, which is bounded. */
    enum cred_step (*step)(void *context, const void *token, size_t length, struct writer *reply);
    enum cred_reason (*reason)(const void *context);
    /* The user's name as the peer gave it, "" as long as there is none: for delays and the log. */
    const char *(*claimed_user)(const void *context);
    /* After CRED_DONE. */
    const struct cred_result *(*result)(const void *context);
    /* A message integrity code of ours, and the check of one of the peer's, over DATA. */
    enum err (*make_mic)(void *context, const void *data, size_t length, uint8_t mic_r[CRED_MIC_MAX],
                         size_t *mic_length_r);
    bool (*check_mic)(void *context, const void *data, size_t length, const void *mic, size_t mic_length);
};

#endif
