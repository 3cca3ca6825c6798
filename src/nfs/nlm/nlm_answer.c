/*
 * nlm_answer.c - the RES calls, by which the MSG procedures are answered.
 *
 * They go to the NLM of the host that asked, at the port that its port mapper tells, over the transport that
 * it used. Nobody waits for their replies, and what is lost the client asks for again. Their number is
 * bounded: over the limit an answer is dropped.
 */
#include "nfs/nlm/nlm_priv.h"

#include <stdlib.h>

enum { ANSWERS_MAX = 1024, TIMEOUT_MS = 5000 };

struct nlm_answer {
    struct nlm *nlm;
    struct list link;
    struct onc_client_call call;
};

static void forget(struct nlm_answer *answer)
{
    list_remove(&answer->link);
    answer->nlm->answer_count--;
    free(answer);
}

static void done(struct onc_client_call *call, enum err err, struct reader *results)
{
    struct nlm_answer *answer = container_of(call, struct nlm_answer, call);
    char peer[NET_ADDRESS_TEXT];

    (void)results;
    if (err != ERR_OK)
        log_debug("nlm: an answer did not reach %s: %s", nfs__host_text(&call->to, peer), err_text(err));
    forget(answer);
}

void nlm__answer(struct nlm_request *request, uint32_t procedure, const void *results, size_t length)
{
    struct nlm *nlm = request->nlm;
    struct nlm_answer *answer;

    if (nlm->answer_count >= ANSWERS_MAX)
        return;
    answer = calloc(1, sizeof *answer);
    if (answer == NULL)
        return;
    answer->nlm = nlm;
    answer->call = (struct onc_client_call){
        .done = done,
        .to = nfs__host_of(&request->call->peer),
        .transport = request->call->transport,
        .program = NLM_PROGRAM,
        .version = request->version,
        .procedure = procedure,
        .timeout_ms = TIMEOUT_MS,
        .credential = {.flavor = ONC_AUTH_NONE},
    };
    if (onc_client_call(nlm->outgoing, &answer->call, results, length) != ERR_OK) {
        free(answer);
        return;
    }
    list_push_back(&nlm->answers, &answer->link);
    nlm->answer_count++;
}

void nlm__answers_free(struct nlm *nlm)
{
    while (!list_is_empty(&nlm->answers)) {
        struct nlm_answer *answer = list_first(&nlm->answers, struct nlm_answer, link);

        onc_client_cancel(&answer->call);
        forget(answer);
    }
}
