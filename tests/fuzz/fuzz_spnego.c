/*
 * fuzz_spnego.c - a peer's tokens to the acceptor of SPNEGO, and what was decoded, encoded again.
 *
 * The input: tokens, each behind its length (2 bytes, the last may be shorter).
 */
#include "auth_fixture.h"
#include "auth/spnego_message_priv.h"
#include "dittofs/ntlm.h"
#include "dittofs/spnego.h"
#include "simclock.h"

static struct cred_ntlm_server server;

static bool same(struct spnego__bytes a, struct spnego__bytes b)
{
    return (a.data == NULL) == (b.data == NULL) && (a.data == NULL || a.length == b.length) &&
           (a.data == NULL || a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

/* What is understood can be said again. */
static void check_both_ways(const uint8_t *token, size_t length)
{
    struct spnego__init init, init_again;
    struct spnego__response response, response_again;
    struct writer writer;

    writer_init_growing(&writer, 1 << 20);
    if (spnego__init_read(token, length, &init)) {
        spnego__init_write(&writer, &init, false);
        invariant(!writer.failed && spnego__init_read(writer.data, writer.length, &init_again));
        invariant(init.mechanism_count == init_again.mechanism_count);
        for (size_t i = 0; i < init.mechanism_count; i++)
            invariant(same(init.mechanisms[i], init_again.mechanisms[i]));
        invariant(same(init.token, init_again.token) && same(init.mic, init_again.mic));
    }
    writer_truncate(&writer, 0);
    if (spnego__response_read(token, length, &response)) {
        spnego__response_write(&writer, &response);
        invariant(!writer.failed && spnego__response_read(writer.data, writer.length, &response_again));
        invariant(response.state == response_again.state &&
                  same(response.mechanism, response_again.mechanism) &&
                  same(response.token, response_again.token) && same(response.mic, response_again.mic));
    }
    writer_free(&writer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cred_offer offer = {&cred_ntlm, &server};
    struct reader reader = reader_of(data, size);
    struct cred_acceptor *acceptor;
    enum cred_step step = CRED_MORE;
    uint16_t length;

    if (server.identity == NULL) {
        log_set_level(LOG_LEVEL_ERROR);
        simclock_install();
        server.identity = fixture_identity();
    }
    invariant(cred_acceptor_open(&offer, 1, &acceptor) == ERR_OK);
    while (step == CRED_MORE && reader_le16(&reader, &length)) {
        size_t take = length < reader.left ? length : reader.left;
        uint8_t *token = malloc(take + 1);
        struct writer reply;

        invariant(token != NULL && reader_copy(&reader, token, take));
        check_both_ways(token, take);
        writer_init_growing(&reply, CRED_REPLY_MAX);
        step = cred_acceptor_step(acceptor, token, take, &reply);
        /* Nobody here knows a password. */
        invariant(step != CRED_DONE && !reply.failed);
        invariant((step == CRED_FAILED) == (cred_acceptor_reason(acceptor) != CRED_REASON_NONE));
        writer_free(&reply);
        free(token);
    }
    cred_acceptor_close(&acceptor);
    return 0;
}
