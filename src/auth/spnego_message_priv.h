/*
 * spnego_message_priv.h - the tokens of SPNEGO as plain structs (RFC 4178 4.2, MS-SPNG 2.2.1).
 *
 * Decoders refer into the token. Nesting is as deep as the grammar: nothing recurses.
 */
#ifndef DITTOFS_AUTH_SPNEGO_MESSAGE_PRIV_H
#define DITTOFS_AUTH_SPNEGO_MESSAGE_PRIV_H

#include "dittofs/spnego.h"

enum { SPNEGO__MECHANISMS_MAX = 32, SPNEGO__LIST_MAX = 1024 };

struct spnego__bytes {
    const uint8_t *data; /* NULL: not there */
    size_t length;
};

enum spnego__state {
    SPNEGO__ACCEPT_COMPLETED = 0,
    SPNEGO__ACCEPT_INCOMPLETE = 1,
    SPNEGO__REJECT = 2,
    SPNEGO__REQUEST_MIC = 3,
    SPNEGO__STATE_NONE /* not there */
};

struct spnego__init {
    struct spnego__bytes list; /* the MechTypeList whole, with its head: what the MIC is over */
    struct spnego__bytes mechanisms[SPNEGO__MECHANISMS_MAX];
    size_t mechanism_count;
    struct spnego__bytes token;
    struct spnego__bytes mic;
};

struct spnego__response {
    enum spnego__state state;
    struct spnego__bytes mechanism;
    struct spnego__bytes token;
    struct spnego__bytes mic;
};

/* A NegTokenInit or NegTokenInit2 in its GSS-API frame. Mechanisms beyond the most are passed over. */
bool spnego__init_read(const void *data, size_t length, struct spnego__init *init_r) MUST_CHECK;
bool spnego__response_read(const void *data, size_t length, struct spnego__response *response_r) MUST_CHECK;

void spnego__response_write(struct writer *writer, const struct spnego__response *response);
/* HINT: with the hint name of NegTokenInit2. */
void spnego__init_write(struct writer *writer, const struct spnego__init *init, bool hint);

#endif
