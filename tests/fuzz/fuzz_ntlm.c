/*
 * fuzz_ntlm.c - messages of NTLM to the acceptor.
 *
 * The input: what to do (1 byte), a message. 0: it is the first one. 1: it follows a good NEGOTIATE. 2: the
 * same, and its proof is made right when it has one, so that what comes behind the password is reached. 3: a
 * CHALLENGE for the decoder.
 */
#include "auth_fixture.h"
#include "dittofs/ntlm.h"
#include "ntlmclient.h"
#include "simclock.h"

enum { FIRST, SECOND, SECOND_PROVED, CHALLENGE, KINDS };

static struct cred_ntlm_server server;

static void set_up(void)
{
    if (server.identity != NULL)
        return;
    log_set_level(LOG_LEVEL_ERROR);
    simclock_install();
    server.identity = fixture_identity();
}

/* Puts the proof that alice's password gives into the message, if it has room for one. */
static void prove(uint8_t *message, size_t length, const uint8_t challenge[NTLM__CHALLENGE_SIZE])
{
    const struct ident_user *alice = ident_user_find(server.identity, "alice");
    struct ntlm__authenticate parsed;
    uint8_t owf[NTLM__KEY];

    if (!ntlm__authenticate_read(message, length, &parsed) || parsed.nt_response.length <= NTLM__PROOF_SIZE ||
        ntlm__owf_v2(alice->nt_hash, parsed.user.data, parsed.user.length, parsed.domain.data,
                     parsed.domain.length, owf) != ERR_OK)
        return;
    struct ntlm__piece pieces[] = {
        {challenge, NTLM__CHALLENGE_SIZE},
        {parsed.nt_response.data + NTLM__PROOF_SIZE, parsed.nt_response.length - NTLM__PROOF_SIZE}};
    invariant(ntlm__hmac_md5(owf, pieces, 2, message + (parsed.nt_response.data - message)) == ERR_OK);
}

static void send_second(void *context, uint8_t *message, size_t length, bool proved)
{
    struct writer negotiate, reply;
    struct ntlmclient client;
    enum cred_step step;

    ntlmclient_init(&client, "alice", "", "Passw0rd");
    writer_init_growing(&negotiate, NTLM__MESSAGE_MAX);
    writer_init_growing(&reply, NTLM__MESSAGE_MAX);
    ntlmclient_negotiate(&client, &negotiate);
    invariant(cred_ntlm.step(context, negotiate.data, negotiate.length, &reply) == CRED_MORE);
    if (proved)
        prove(message, length, reply.data + 24);
    step = cred_ntlm.step(context, message, length, &reply);
    /* Without the right proof nobody gets in; with it, the user is the one whose proof it is. */
    invariant(step == CRED_FAILED || (step == CRED_DONE && proved));
    if (step == CRED_DONE)
        invariant(strcmp(cred_ntlm.result(context)->user.name, "alice") == 0);
    else
        invariant(cred_ntlm.reason(context) != CRED_REASON_NONE);
    writer_free(&negotiate);
    writer_free(&reply);
    ntlmclient_close(&client);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ntlm__challenge challenge;
    struct writer reply;
    uint8_t *message;
    void *context;
    int kind;

    if (size == 0)
        return 0;
    set_up();
    kind = data[0] % KINDS;
    size--;
    message = malloc(size + 1);
    invariant(message != NULL && cred_ntlm.open(&server, &context) == ERR_OK);
    memcpy(message, data + 1, size);
    writer_init_growing(&reply, NTLM__MESSAGE_MAX);
    if (kind == FIRST)
        invariant(cred_ntlm.step(context, message, size, &reply) != CRED_DONE);
    else if (kind == CHALLENGE)
        (void)!ntlm__challenge_read(message, size, &challenge);
    else
        send_second(context, message, size, kind == SECOND_PROVED);
    writer_free(&reply);
    cred_ntlm.close(&context);
    free(message);
    return 0;
}
