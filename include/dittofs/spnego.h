/*
 * spnego.h - which mechanism a peer and we speak, and running it (RFC 4178, MS-SPNG): the acceptor that a
 * front-end uses for SESSION_SETUP and the like.
 *
 * The peer's order of preference decides. Its first token is used when it is for the mechanism picked. When
 * that is not the peer's first choice, both sides must prove that nobody changed the list (mechListMIC); else
 * that is done when the peer does it. A token of NTLM without SPNEGO around it is taken, too, and answered
 * alike.
 *
 * One conversation each; everything is of the loop. The caller bounds how long a conversation may stay open.
 */
#ifndef DITTOFS_SPNEGO_H
#define DITTOFS_SPNEGO_H

#include "dittofs/cred.h"

/* A mechanism and its configuration: what its `open` gets. */
struct cred_offer {
    const struct cred_mechanism *mechanism;
    void *server;
};

enum {
    CRED_OFFERS_MAX = 4,
    CRED_TOKEN_MAX = 65535, /* of the peer's */
    CRED_REPLY_MAX = 65535,
};

struct cred_acceptor;

/* OFFERS are copied; what they point to must stay good. ERR_NOMEM, ERR_INVAL (none or too many). */
enum err cred_acceptor_open(const struct cred_offer *offers, size_t count,
                            struct cred_acceptor **acceptor_r) ERR_MUST_CHECK;
/* NULL is fine; leaves NULL. Wipes all secrets. */
void cred_acceptor_close(struct cred_acceptor **acceptor);

/* Takes a token and appends the reply. After CRED_DONE or CRED_FAILED the conversation is over. */
enum cred_step cred_acceptor_step(struct cred_acceptor *acceptor, const void *token, size_t length,
                                  struct writer *reply);
/* After CRED_FAILED: for the log. */
enum cred_reason cred_acceptor_reason(const struct cred_acceptor *acceptor);
/* "" when none was given; as the peer says, whoever it is. */
const char *cred_acceptor_claimed_user(const struct cred_acceptor *acceptor);
/* After CRED_DONE, good until the acceptor is closed. */
const struct cred_result *cred_acceptor_result(const struct cred_acceptor *acceptor);
/* NULL before one was picked. */
const char *cred_acceptor_mechanism(const struct cred_acceptor *acceptor);

/* The NegTokenInit2 that says what we do, for the answer to NEGOTIATE (MS-SPNG 2.2.1). */
void cred_spnego_hint(struct writer *writer, const struct cred_offer *offers, size_t count);

#endif
