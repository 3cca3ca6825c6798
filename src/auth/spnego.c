/*
 * spnego.c - the acceptor's side of SPNEGO (RFC 4178 5, MS-SPNG 3.2).
 *
 * The happy path: the first token names the peer's mechanisms and brings a token of the first of them; that
 * goes to the mechanism, whose replies and the peer's next tokens travel in NegTokenResp, until the mechanism
 * is done. When the peer then sends a MIC over its list of mechanisms, it is checked and answered with one of
 * ours. If the mechanism was not the peer's first choice, the MIC must come, with that token or in one more
 * round.
 *
 *   START --token--> RUNNING --mechanism done--> ENDED
 *     |                 \--MIC missing--> WAIT_MIC --MIC--> ENDED
 *     \--a mechanism's own token--> BARE --mechanism done--> ENDED
 */
#include "dittofs/spnego.h"
#include "auth/spnego_message_priv.h"
#include "dittofs/log.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS_MAX = 10 };

enum state {
    START,    /* nothing has come */
    RUNNING,  /* a mechanism was picked and is not done */
    BARE,     /* the same, without SPNEGO around its tokens */
    WAIT_MIC, /* the mechanism is done, the peer's MIC is missing */
    ENDED     /* done or refused */
};

struct cred_acceptor {
    struct cred_offer offers[CRED_OFFERS_MAX];
    size_t offer_count;
    enum state state;
    enum cred_reason reason;
    unsigned rounds;
    const struct cred_mechanism *mechanism;
    void *context;
    struct spnego__bytes oid; /* the mechanism's, as the peer has it; for the first reply, into `list` */
    bool mic_required;
    uint8_t list[SPNEGO__LIST_MAX];
    size_t list_length;
};

enum err cred_acceptor_open(const struct cred_offer *offers, size_t count, struct cred_acceptor **acceptor_r)
{
    struct cred_acceptor *acceptor;

    if (count == 0 || count > CRED_OFFERS_MAX)
        return ERR_INVAL;
    acceptor = calloc(1, sizeof *acceptor);
    if (acceptor == NULL)
        return ERR_NOMEM;
    memcpy(acceptor->offers, offers, count * sizeof *offers);
    acceptor->offer_count = count;
    *acceptor_r = acceptor;
    return ERR_OK;
}

void cred_acceptor_close(struct cred_acceptor **acceptor)
{
    if (*acceptor == NULL)
        return;
    if ((*acceptor)->context != NULL)
        (*acceptor)->mechanism->close(&(*acceptor)->context);
    OPENSSL_cleanse(*acceptor, sizeof **acceptor);
    free(*acceptor);
    *acceptor = NULL;
}

static enum cred_step refuse(struct cred_acceptor *acceptor, enum cred_reason reason)
{
    acceptor->state = ENDED;
    acceptor->reason = reason;
    return CRED_FAILED;
}

/* ---- picking a mechanism ---- */

static bool offers_oid(const struct cred_mechanism *mechanism, struct spnego__bytes oid)
{
    for (size_t i = 0; i < sizeof mechanism->oids / sizeof *mechanism->oids; i++)
        if (mechanism->oids[i].length == oid.length && oid.length > 0 &&
            memcmp(mechanism->oids[i].bytes, oid.data, oid.length) == 0)
            return true;
    return false;
}

static bool open_mechanism(struct cred_acceptor *acceptor, const struct cred_offer *offer)
{
    acceptor->mechanism = offer->mechanism;
    return offer->mechanism->open(offer->server, &acceptor->context) == ERR_OK;
}

/* The first of the peer's that we do. CHOICE_R is its place in the list. */
static const struct cred_offer *pick(const struct cred_acceptor *acceptor, const struct spnego__init *init,
                                     size_t *choice_r)
{
    for (size_t i = 0; i < init->mechanism_count; i++)
        for (size_t j = 0; j < acceptor->offer_count; j++)
            if (offers_oid(acceptor->offers[j].mechanism, init->mechanisms[i])) {
                *choice_r = i;
                return &acceptor->offers[j];
            }
    return NULL;
}

/* ---- replies ---- */

static struct spnego__bytes written(const struct writer *writer)
{
    return (struct spnego__bytes){writer->length > 0 ? writer->data : NULL, writer->length};
}

/* Sends STATE with the mechanism's reply and, if MIC, one over the list. */
static enum cred_step answer(struct cred_acceptor *acceptor, enum spnego__state state, bool first,
                             const struct writer *token, bool mic, struct writer *reply)
{
    uint8_t code[CRED_MIC_MAX];
    struct spnego__response response = {.state = state, .token = written(token)};

    if (first)
        response.mechanism = acceptor->oid;
    if (mic) {
        if (acceptor->mechanism->make_mic(acceptor->context, acceptor->list, acceptor->list_length, code,
                                          &response.mic.length) != ERR_OK)
            return refuse(acceptor, CRED_REASON_INTERNAL);
        response.mic.data = code;
    }
    spnego__response_write(reply, &response);
    if (reply->failed)
        return refuse(acceptor, CRED_REASON_INTERNAL);
    if (state == SPNEGO__ACCEPT_COMPLETED) {
        acceptor->state = ENDED;
        return CRED_DONE;
    }
    return CRED_MORE;
}

static bool check_mic(struct cred_acceptor *acceptor, struct spnego__bytes mic)
{
    return acceptor->mechanism->check_mic(acceptor->context, acceptor->list, acceptor->list_length, mic.data,
                                          mic.length);
}

/* The mechanism is done: what about the list? */
static enum cred_step complete(struct cred_acceptor *acceptor, bool first, const struct writer *token,
                               struct spnego__bytes mic, struct writer *reply)
{
    if (mic.data != NULL) {
        if (!check_mic(acceptor, mic))
            return refuse(acceptor, CRED_REASON_BAD_MIC);
        return answer(acceptor, SPNEGO__ACCEPT_COMPLETED, first, token, true, reply);
    }
    if (!acceptor->mic_required)
        return answer(acceptor, SPNEGO__ACCEPT_COMPLETED, first, token, false, reply);
    /* RFC 4178 5: ours goes first, the peer's has to come in one more round. */
    acceptor->state = WAIT_MIC;
    return answer(acceptor, SPNEGO__ACCEPT_INCOMPLETE, first, token, true, reply);
}

/* Gives TOKEN to the mechanism, and its reply to the peer. */
static enum cred_step run(struct cred_acceptor *acceptor, bool first, struct spnego__bytes token,
                          struct spnego__bytes mic, struct writer *reply)
{
    struct writer inner;
    enum cred_step step;

    writer_init_growing(&inner, CRED_REPLY_MAX);
    step = acceptor->mechanism->step(acceptor->context, token.data, token.length, &inner);
    if (step == CRED_FAILED) {
        step = refuse(acceptor, acceptor->mechanism->reason(acceptor->context));
    } else if (inner.failed) {
        step = refuse(acceptor, CRED_REASON_INTERNAL);
    } else if (step == CRED_DONE) {
        step = complete(acceptor, first, &inner, mic, reply);
    } else if (mic.data != NULL) {
        step = refuse(acceptor, CRED_REASON_MALFORMED); /* there is no key for it yet */
    } else {
        step = answer(acceptor,
                      first && acceptor->mic_required ? SPNEGO__REQUEST_MIC : SPNEGO__ACCEPT_INCOMPLETE,
                      first, &inner, false, reply);
    }
    writer_free(&inner);
    return step;
}

/* ---- tokens ---- */

static enum cred_step take_init(struct cred_acceptor *acceptor, const void *token, size_t length,
                                struct writer *reply)
{
    const struct cred_offer *offer;
    struct spnego__init init;
    struct writer nothing = {0};
    size_t choice = 0;

    if (!spnego__init_read(token, length, &init) || init.list.length > sizeof acceptor->list)
        return refuse(acceptor, CRED_REASON_MALFORMED);
    offer = pick(acceptor, &init, &choice);
    if (offer == NULL)
        return refuse(acceptor, CRED_REASON_NO_MECHANISM);
    memcpy(acceptor->list, init.list.data, init.list.length);
    acceptor->list_length = init.list.length;
    acceptor->oid = init.mechanisms[choice];
    acceptor->oid.data = acceptor->list + (init.mechanisms[choice].data - init.list.data);
    acceptor->mic_required = choice > 0;
    if (!open_mechanism(acceptor, offer))
        return refuse(acceptor, CRED_REASON_INTERNAL);
    acceptor->state = RUNNING;
    /* RFC 4178 4.2.1: the token is for the first mechanism of the list. */
    if (choice == 0 && init.token.data != NULL)
        return run(acceptor, true, init.token, init.mic, reply);
    if (init.mic.data != NULL)
        return refuse(acceptor, CRED_REASON_MALFORMED);
    return answer(acceptor, acceptor->mic_required ? SPNEGO__REQUEST_MIC : SPNEGO__ACCEPT_INCOMPLETE, true,
                  &nothing, false, reply);
}

static enum cred_step take_response(struct cred_acceptor *acceptor, const void *token, size_t length,
                                    struct writer *reply)
{
    struct spnego__response response;
    struct writer nothing = {0};

    if (!spnego__response_read(token, length, &response) || response.state == SPNEGO__REJECT)
        return refuse(acceptor, CRED_REASON_MALFORMED);
    if (acceptor->state == RUNNING) {
        if (response.token.data == NULL)
            return refuse(acceptor, CRED_REASON_MALFORMED);
        return run(acceptor, false, response.token, response.mic, reply);
    }
    if (response.token.data != NULL)
        return refuse(acceptor, CRED_REASON_MALFORMED);
    if (response.mic.data == NULL || !check_mic(acceptor, response.mic))
        return refuse(acceptor, CRED_REASON_BAD_MIC);
    return answer(acceptor, SPNEGO__ACCEPT_COMPLETED, false, &nothing, false, reply);
}

static enum cred_step take_bare(struct cred_acceptor *acceptor, const void *token, size_t length,
                                struct writer *reply)
{
    enum cred_step step = acceptor->mechanism->step(acceptor->context, token, length, reply);

    if (step == CRED_FAILED)
        return refuse(acceptor, acceptor->mechanism->reason(acceptor->context));
    if (reply->failed)
        return refuse(acceptor, CRED_REASON_INTERNAL);
    if (step == CRED_DONE)
        acceptor->state = ENDED;
    return step;
}

static enum cred_step take_first(struct cred_acceptor *acceptor, const void *token, size_t length,
                                 struct writer *reply)
{
    for (size_t i = 0; i < acceptor->offer_count; i++) {
        const struct cred_mechanism *mechanism = acceptor->offers[i].mechanism;

        if (mechanism->recognizes == NULL || !mechanism->recognizes(token, length))
            continue;
        if (!open_mechanism(acceptor, &acceptor->offers[i]))
            return refuse(acceptor, CRED_REASON_INTERNAL);
        acceptor->state = BARE;
        return take_bare(acceptor, token, length, reply);
    }
    return take_init(acceptor, token, length, reply);
}

enum cred_step cred_acceptor_step(struct cred_acceptor *acceptor, const void *token, size_t length,
                                  struct writer *reply)
{
    if (length > CRED_TOKEN_MAX || acceptor->rounds++ >= ROUNDS_MAX)
        return refuse(acceptor, CRED_REASON_MALFORMED);
    switch (acceptor->state) {
    case START:
        return take_first(acceptor, token, length, reply);
    case RUNNING:
    case WAIT_MIC:
        return take_response(acceptor, token, length, reply);
    case BARE:
        return take_bare(acceptor, token, length, reply);
    case ENDED:
        break;
    }
    return refuse(acceptor, acceptor->reason != CRED_REASON_NONE ? acceptor->reason : CRED_REASON_MALFORMED);
}

enum cred_reason cred_acceptor_reason(const struct cred_acceptor *acceptor)
{
    return acceptor->reason;
}

const char *cred_acceptor_claimed_user(const struct cred_acceptor *acceptor)
{
    return acceptor->context != NULL ? acceptor->mechanism->claimed_user(acceptor->context) : "";
}

const struct cred_result *cred_acceptor_result(const struct cred_acceptor *acceptor)
{
    invariant(acceptor->state == ENDED && acceptor->reason == CRED_REASON_NONE);
    return acceptor->mechanism->result(acceptor->context);
}

const char *cred_acceptor_mechanism(const struct cred_acceptor *acceptor)
{
    return acceptor->mechanism != NULL ? acceptor->mechanism->name : NULL;
}

void cred_spnego_hint(struct writer *writer, const struct cred_offer *offers, size_t count)
{
    struct spnego__init init = {0};

    for (size_t i = 0; i < count && i < CRED_OFFERS_MAX; i++)
        for (size_t j = 0; j < sizeof offers[i].mechanism->oids / sizeof *offers[i].mechanism->oids; j++)
            if (offers[i].mechanism->oids[j].length > 0)
                init.mechanisms[init.mechanism_count++] = (struct spnego__bytes){
                    offers[i].mechanism->oids[j].bytes, offers[i].mechanism->oids[j].length};
    spnego__init_write(writer, &init, true);
}
