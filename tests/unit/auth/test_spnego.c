/*
 * test_spnego.c - the acceptor of SPNEGO: whole conversations with NTLM inside, the MICs over the list of
 * mechanisms, another mechanism behind the same door, tokens of Windows, every byte changed or missing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "auth/der_priv.h"
#include "auth/spnego_message_priv.h"
#include "auth_fixture.h"
#include "dittofs/ntlm.h"
#include "dittofs/spnego.h"
#include "hex.h"
#include "ntlmclient.h"
#include "simclock.h"

static struct identity *identity;
static struct cred_ntlm_server server;
static struct cred_offer offers[2];

static int setup(void **state)
{
    (void)state;
    simclock_install();
    identity = fixture_identity();
    server = (struct cred_ntlm_server){.identity = identity};
    offers[0] = (struct cred_offer){&cred_ntlm, &server};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ident_close(&identity);
    simclock_remove();
    random_set_seed(0);
    return 0;
}

/* ---- conversations ---- */

enum { ROUNDS = 6, TOKEN = 4096 };

/* What went over the wire, and the place where to change it. */
struct wire {
    int round; /* 0: nothing is changed; the client's tokens are 1, 3, 5, ours 2, 4, 6 */
    size_t at;
    uint8_t change;
    size_t lengths[2 * ROUNDS + 1];
    uint8_t tokens[2 * ROUNDS + 1][TOKEN];
};

static void pass(struct wire *wire, int number, uint8_t *token, size_t length)
{
    wire->lengths[number] = length;
    memcpy(wire->tokens[number], token, length);
    if (wire->round == number && wire->at < length)
        token[wire->at] ^= wire->change;
}

/* Runs to the end. CRED_DONE only when both sides are content. */
static enum cred_step converse(struct ntlmclient *client, struct wire *wire, struct cred_acceptor *acceptor)
{
    uint8_t token[TOKEN], reply[TOKEN];
    struct writer token_writer, reply_writer;
    enum cred_step step = CRED_MORE;

    client->authenticated = client->server_mic_checked = client->ended = false;
    writer_init(&token_writer, token, sizeof token);
    ntlmclient_first(client, &token_writer);
    for (int round = 0; round < ROUNDS; round++) {
        pass(wire, 2 * round + 1, token, token_writer.length);
        writer_init(&reply_writer, reply, sizeof reply);
        step = cred_acceptor_step(acceptor, token, token_writer.length, &reply_writer);
        if (step == CRED_FAILED)
            return step;
        pass(wire, 2 * round + 2, reply, reply_writer.length);
        writer_init(&token_writer, token, sizeof token);
        if (step == CRED_DONE && !client->spnego)
            return step;
        if (!ntlmclient_next(client, reply, reply_writer.length, &token_writer))
            return CRED_FAILED;
        if (step == CRED_DONE)
            return client->ended ? step : CRED_FAILED;
    }
    return CRED_FAILED;
}

static enum cred_step run(struct ntlmclient *client, struct wire *wire, enum cred_reason *reason_r)
{
    struct cred_acceptor *acceptor;
    enum cred_step step;

    assert_int_equal(cred_acceptor_open(offers, 1, &acceptor), ERR_OK);
    step = converse(client, wire, acceptor);
    *reason_r = cred_acceptor_reason(acceptor);
    if (step == CRED_DONE) {
        const struct cred_result *result = cred_acceptor_result(acceptor);

        assert_string_equal(result->user.name, "alice");
        assert_string_equal(cred_acceptor_claimed_user(acceptor), client->user);
        assert_string_equal(cred_acceptor_mechanism(acceptor), "NTLM");
        assert_memory_equal(result->session_key, client->session_key, NTLM__KEY);
    }
    cred_acceptor_close(&acceptor);
    assert_null(acceptor);
    return step;
}

static const struct {
    bool spnego, list_mic, late_list_mic, foreign_first;
    bool server_mic; /* the client gets one */
    enum cred_reason reason;
} conversations[] = {
    {true, true, false, false, true, CRED_REASON_NONE},
    {true, false, false, false, false, CRED_REASON_NONE},
    {false, false, false, false, false, CRED_REASON_NONE},
    {true, true, false, true, true, CRED_REASON_NONE},
    {true, false, true, true, true, CRED_REASON_NONE},
    {true, false, false, true, true, CRED_REASON_BAD_MIC},
};

static void configure(struct ntlmclient *client, size_t i)
{
    ntlmclient_init(client, "Alice", "", "Passw0rd");
    client->spnego = conversations[i].spnego;
    client->list_mic = conversations[i].list_mic;
    client->late_list_mic = conversations[i].late_list_mic;
    client->foreign_first = conversations[i].foreign_first;
}

static void whole_conversations(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof conversations / sizeof *conversations; i++) {
        struct ntlmclient client;
        struct wire wire = {0};
        enum cred_reason reason;

        configure(&client, i);
        assert_int_equal(run(&client, &wire, &reason),
                         conversations[i].reason == CRED_REASON_NONE ? CRED_DONE : CRED_FAILED);
        assert_int_equal(reason, conversations[i].reason);
        assert_int_equal(client.server_mic_checked, conversations[i].server_mic);
        ntlmclient_close(&client);
    }
}

static bool lies_in(struct spnego__bytes bytes, const uint8_t *at)
{
    return bytes.data != NULL && at >= bytes.data && at < bytes.data + bytes.length;
}

/* Is the byte AT of a token of the clean run one that a MIC covers? The frames are not: a peer passes over
 * fields that it does not know, and a length may be written in several ways. Nor is a token for another
 * mechanism. */
static bool is_covered(const struct wire *clean, size_t i, int round, size_t at)
{
    const uint8_t *token = clean->tokens[round];
    struct spnego__init init;
    struct spnego__response response;

    if (!conversations[i].spnego)
        return true;
    if (round == 1) {
        assert_true(spnego__init_read(token, clean->lengths[round], &init));
        return (conversations[i].list_mic && lies_in(init.list, token + at)) ||
               (!conversations[i].foreign_first && lies_in(init.token, token + at));
    }
    assert_true(spnego__response_read(token, clean->lengths[round], &response));
    return lies_in(response.token, token + at) || lies_in(response.mic, token + at);
}

/* Whatever else is changed, a session that comes about is the one that was wanted (run() checks that). */
static void notices_changed_bytes(void **state)
{
    static struct wire clean, wire;
    size_t covered = 0, harmless = 0;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct ntlmclient client;
        enum cred_reason reason;

        configure(&client, i);
        memset(&clean, 0, sizeof clean);
        assert_int_equal(run(&client, &clean, &reason), CRED_DONE);
        for (int round = 1; round <= 2 * ROUNDS; round++)
            for (size_t at = 0; at < clean.lengths[round]; at++)
                for (unsigned bit = 0; bit < 8; bit++) {
                    wire = (struct wire){.round = round, .at = at, .change = (uint8_t)(1u << bit)};
                    if (is_covered(&clean, i, round, at)) {
                        covered++;
                        if (run(&client, &wire, &reason) != CRED_FAILED)
                            fail_msg("conversation %zu, token %d, byte %zu, bit %u got through", i, round, at,
                                     bit);
                    } else if (run(&client, &wire, &reason) == CRED_DONE) {
                        harmless++;
                    }
                }
        ntlmclient_close(&client);
    }
    /* Most is covered, and of the rest most is refused as malformed. */
    assert_true(covered > 10000 && harmless < 500);
}

/* ---- single tokens ---- */

static enum cred_step first_token(const void *token, size_t length, enum cred_reason *reason_r,
                                  struct spnego__response *response_r, uint8_t *reply, size_t size)
{
    struct cred_acceptor *acceptor;
    uint8_t *copy = malloc(length > 0 ? length : 1); /* so that a read beyond the end is seen */
    struct writer writer;
    enum cred_step step;

    memcpy(copy, token, length);
    assert_int_equal(cred_acceptor_open(offers, 1, &acceptor), ERR_OK);
    writer_init(&writer, reply, size);
    step = cred_acceptor_step(acceptor, copy, length, &writer);
    *reason_r = cred_acceptor_reason(acceptor);
    if (step == CRED_MORE)
        assert_true(spnego__response_read(reply, writer.length, response_r));
    cred_acceptor_close(&acceptor);
    free(copy);
    return step;
}

/* The first token of a client of Windows (the blog named in test_smb2_crypto.c). */
static const char windows_first[] =
    "604806062B0601050502A03E303CA00E300C060A2B06010401823702020AA22A04284E544C4D5353500001000000978208E2"
    "00000000000000000000000000000000060380250000000F";

static void takes_a_token_of_windows(void **state)
{
    uint8_t token[128], reply[TOKEN];
    size_t length = unhex(windows_first, token, sizeof token);
    struct spnego__response response;
    struct ntlm__challenge challenge;
    enum cred_reason reason;

    (void)state;
    assert_int_equal(first_token(token, length, &reason, &response, reply, sizeof reply), CRED_MORE);
    assert_int_equal(response.state, SPNEGO__ACCEPT_INCOMPLETE);
    assert_int_equal(response.mechanism.length, cred_ntlm.oids[0].length);
    assert_memory_equal(response.mechanism.data, cred_ntlm.oids[0].bytes, response.mechanism.length);
    assert_true(ntlm__challenge_read(response.token.data, response.token.length, &challenge));
    assert_int_equal(challenge.flags & 0xe2888211u, 0xe2888211u);
    for (size_t cut = 0; cut < length; cut++)
        assert_int_equal(first_token(token, cut, &reason, &response, reply, sizeof reply), CRED_FAILED);
    /* And with something behind it. */
    token[length] = 0;
    assert_int_equal(first_token(token, length + 1, &reason, &response, reply, sizeof reply), CRED_FAILED);
    assert_int_equal(reason, CRED_REASON_MALFORMED);
}

static const struct {
    const char *what, *token;
    enum cred_step step;
    enum cred_reason reason;
} tokens[] = {
    {"nothing", "", CRED_FAILED, CRED_REASON_MALFORMED},
    {"Kerberos only", "601B06062B0601050502A011300FA00D300B06092A864886F712010202", CRED_FAILED,
     CRED_REASON_NO_MECHANISM},
    {"NTLM without a token", "601C06062B0601050502A0123010A00E300C060A2B06010401823702020A", CRED_MORE,
     CRED_REASON_NONE},
    {"lengths in a longer form", "60812006062B0601050502A08200143082 0010A00E300C060A2B06010401823702020A",
     CRED_MORE, CRED_REASON_NONE},
    {"the indefinite form", "608006062B0601050502A0123010A00E300C060A2B06010401823702020A0000", CRED_FAILED,
     CRED_REASON_MALFORMED},
    {"a length of five bytes", "6085000000001C06062B0601050502A0123010A00E300C060A2B06010401823702020A",
     CRED_FAILED, CRED_REASON_MALFORMED},
    {"a length of 4 GiB", "6084FFFFFFFF06062B0601050502A0123010A00E300C060A2B06010401823702020A", CRED_FAILED,
     CRED_REASON_MALFORMED},
    {"no list", "600E06062B0601050502A0043002A000", CRED_FAILED, CRED_REASON_MALFORMED},
    {"an empty list", "601006062B0601050502A0063004A0023000", CRED_FAILED, CRED_REASON_MALFORMED},
    {"fields out of order", "602206062B0601050502A0183016A2040402AAAAA00E300C060A2B06010401823702020A",
     CRED_FAILED, CRED_REASON_MALFORMED},
    {"another mechanism's frame", "601C06062B0601050503A0123010A00E300C060A2B06010401823702020A", CRED_FAILED,
     CRED_REASON_MALFORMED},
    {"NegTokenResp at first", "A1073005A0030A0100", CRED_FAILED, CRED_REASON_MALFORMED},
    {"a MIC before there is a key",
     "602206062B0601050502A0183016A00E300C060A2B06010401823702020AA3040402AAAA", CRED_FAILED,
     CRED_REASON_MALFORMED},
    {"a hint as in NegTokenInit2", "602006062B0601050502A0163014A00E300C060A2B06010401823702020AA3023000",
     CRED_MORE, CRED_REASON_NONE},
    {"bare NTLM, too short", "4E544C4D5353500001000000", CRED_FAILED, CRED_REASON_MALFORMED},
};

static void single_tokens(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
        uint8_t token[128], reply[TOKEN];
        size_t length = unhex(tokens[i].token, token, sizeof token);
        struct spnego__response response;
        enum cred_reason reason;
        enum cred_step step = first_token(token, length, &reason, &response, reply, sizeof reply);

        if (step != tokens[i].step || reason != tokens[i].reason)
            fail_msg("%s: step %d, reason %d", tokens[i].what, (int)step, (int)reason);
    }
}

static void rounds_and_replies_are_bounded(void **state)
{
    uint8_t token[128], reply[16];
    size_t length = unhex(windows_first, token, sizeof token);
    struct cred_acceptor *acceptor;
    struct writer writer;

    (void)state;
    assert_int_equal(cred_acceptor_open(offers, 0, &acceptor), ERR_INVAL);
    assert_int_equal(cred_acceptor_open(offers, CRED_OFFERS_MAX + 1, &acceptor), ERR_INVAL);
    assert_int_equal(cred_acceptor_open(offers, 1, &acceptor), ERR_OK);
    assert_string_equal(cred_acceptor_claimed_user(acceptor), "");
    assert_null(cred_acceptor_mechanism(acceptor));
    writer_init(&writer, reply, sizeof reply);
    assert_int_equal(cred_acceptor_step(acceptor, token, length, &writer), CRED_FAILED);
    assert_int_equal(cred_acceptor_reason(acceptor), CRED_REASON_INTERNAL);
    for (int i = 0; i < 20; i++)
        assert_int_equal(cred_acceptor_step(acceptor, token, length, &writer), CRED_FAILED);
    cred_acceptor_close(&acceptor);
}

/* MS-SPNG 3.2.5.2, and the bytes that servers of Windows without a domain send. */
static void hints_what_we_do(void **state)
{
    uint8_t token[256], expected[256];
    struct spnego__init init;
    struct writer writer;
    size_t length;

    (void)state;
    writer_init(&writer, token, sizeof token);
    cred_spnego_hint(&writer, offers, 1);
    assert_true(spnego__init_read(token, writer.length, &init));
    assert_int_equal(init.mechanism_count, 1);
    length = unhex("604806062B0601050502A03E303CA00E300C060A2B06010401823702020AA32A3028A0261B24"
                   "6E6F745F646566696E65645F696E5F5246433431373840706C656173655F69676E6F7265",
                   expected, sizeof expected);
    assert_int_equal(writer.length, length);
    assert_memory_equal(token, expected, length);
}

/* ---- another mechanism behind the door ---- */

/* Takes "1" and "2", answers the first with "+"; its MIC is the data's length. With two identifiers, as
 * Kerberos has. */
static const uint8_t toy_oid[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02};
static const uint8_t toy_other_oid[] = {0x2a, 0x86, 0x48, 0x82, 0xf7, 0x12, 0x01, 0x02, 0x02};
static struct cred_result toy_result;
static int toy_contexts;

static enum err toy_open(void *data, void **context_r)
{
    *context_r = data;
    toy_contexts++;
    return ERR_OK;
}

static void toy_close(void **context)
{
    *context = NULL;
    toy_contexts--;
}

static enum cred_step toy_step(void *context, const void *token, size_t length, struct writer *reply)
{
    (void)context;
    if (length == 1 && memcmp(token, "1", 1) == 0) {
        writer_u8(reply, '+');
        return CRED_MORE;
    }
    return length == 1 && memcmp(token, "2", 1) == 0 ? CRED_DONE : CRED_FAILED;
}

static enum cred_reason toy_reason(const void *context)
{
    (void)context;
    return CRED_REASON_BAD_PASSWORD;
}

static const char *toy_user(const void *context)
{
    (void)context;
    return "toy";
}

static const struct cred_result *toy_result_of(const void *context)
{
    (void)context;
    return &toy_result;
}

static enum err toy_make_mic(void *context, const void *data, size_t length, uint8_t mic_r[CRED_MIC_MAX],
                             size_t *mic_length_r)
{
    (void)context;
    (void)data;
    mic_r[0] = (uint8_t)length;
    *mic_length_r = 1;
    return ERR_OK;
}

static bool toy_check_mic(void *context, const void *data, size_t length, const void *mic, size_t mic_length)
{
    (void)context;
    (void)data;
    return mic_length == 1 && *(const uint8_t *)mic == (uint8_t)length;
}

static const struct cred_mechanism toy = {
    .name = "toy",
    .oids = {{toy_oid, sizeof toy_oid}, {toy_other_oid, sizeof toy_other_oid}},
    .open = toy_open,
    .close = toy_close,
    .step = toy_step,
    .reason = toy_reason,
    .claimed_user = toy_user,
    .result = toy_result_of,
    .make_mic = toy_make_mic,
    .check_mic = toy_check_mic,
};

static enum cred_step toy_send(struct cred_acceptor *acceptor, const struct spnego__init *init,
                               const struct spnego__response *next, struct spnego__response *response_r,
                               uint8_t *reply)
{
    uint8_t token[512];
    struct writer writer, reply_writer;
    enum cred_step step;

    writer_init(&writer, token, sizeof token);
    if (init != NULL)
        spnego__init_write(&writer, init, false);
    else
        spnego__response_write(&writer, next);
    writer_init(&reply_writer, reply, TOKEN);
    step = cred_acceptor_step(acceptor, token, writer.length, &reply_writer);
    if (step != CRED_FAILED)
        assert_true(spnego__response_read(reply, reply_writer.length, response_r));
    return step;
}

/* The peer's order decides, its identifier comes back, its first token is used when it is for that mechanism.
 */
static void picks_by_the_peers_order(void **state)
{
    const struct spnego__bytes ntlm = {cred_ntlm.oids[0].bytes, cred_ntlm.oids[0].length};
    const struct spnego__bytes first = {toy_oid, sizeof toy_oid},
                               other = {toy_other_oid, sizeof toy_other_oid};
    const struct spnego__bytes one = {(const uint8_t *)"1", 1}, two = {(const uint8_t *)"2", 1};
    struct spnego__init init = {.mechanisms = {other, first, ntlm}, .mechanism_count = 3, .token = one};
    struct spnego__response response, next = {.state = SPNEGO__STATE_NONE, .token = two};
    struct cred_acceptor *acceptor;
    uint8_t reply[TOKEN];

    (void)state;
    offers[1] = (struct cred_offer){&toy, &toy_result};
    assert_int_equal(cred_acceptor_open(offers, 2, &acceptor), ERR_OK);
    assert_int_equal(toy_send(acceptor, &init, NULL, &response, reply), CRED_MORE);
    assert_int_equal(response.state, SPNEGO__ACCEPT_INCOMPLETE);
    assert_int_equal(response.mechanism.length, sizeof toy_other_oid);
    assert_memory_equal(response.mechanism.data, toy_other_oid, sizeof toy_other_oid);
    assert_memory_equal(response.token.data, "+", 1);
    assert_int_equal(toy_send(acceptor, NULL, &next, &response, reply), CRED_DONE);
    assert_null(response.mechanism.data);
    assert_string_equal(cred_acceptor_mechanism(acceptor), "toy");
    assert_ptr_equal(cred_acceptor_result(acceptor), &toy_result);
    cred_acceptor_close(&acceptor);
    assert_int_equal(toy_contexts, 0);

    /* Done with the first token. */
    init.token = two;
    assert_int_equal(cred_acceptor_open(offers, 2, &acceptor), ERR_OK);
    assert_int_equal(toy_send(acceptor, &init, NULL, &response, reply), CRED_DONE);
    assert_int_equal(response.state, SPNEGO__ACCEPT_COMPLETED);
    assert_memory_equal(response.mechanism.data, toy_other_oid, sizeof toy_other_oid);
    cred_acceptor_close(&acceptor);

    /* Something unknown before it: the token is not for us, and the MIC is asked for. */
    init.mechanisms[0] = (struct spnego__bytes){(const uint8_t *)"\x2a\x03", 2};
    assert_int_equal(cred_acceptor_open(offers, 2, &acceptor), ERR_OK);
    assert_int_equal(toy_send(acceptor, &init, NULL, &response, reply), CRED_MORE);
    assert_int_equal(response.state, SPNEGO__REQUEST_MIC);
    assert_memory_equal(response.mechanism.data, toy_oid, sizeof toy_oid);
    assert_null(response.token.data);
    assert_int_equal(toy_send(acceptor, NULL, &next, &response, reply), CRED_MORE);
    assert_int_equal(response.state, SPNEGO__ACCEPT_INCOMPLETE);
    assert_int_equal(response.mic.length, 1);
    next = (struct spnego__response){.state = SPNEGO__ACCEPT_COMPLETED, .mic = {response.mic.data, 1}};
    assert_int_equal(toy_send(acceptor, NULL, &next, &response, reply), CRED_DONE);
    cred_acceptor_close(&acceptor);
    assert_int_equal(toy_contexts, 0);
}

static void peers_can_reject(void **state)
{
    struct spnego__init init = {.mechanisms = {{toy_oid, sizeof toy_oid}}, .mechanism_count = 1};
    struct spnego__response response, next = {.state = SPNEGO__REJECT, .token = {(const uint8_t *)"2", 1}};
    struct cred_acceptor *acceptor;
    uint8_t reply[TOKEN];

    (void)state;
    offers[1] = (struct cred_offer){&toy, &toy_result};
    assert_int_equal(cred_acceptor_open(offers, 2, &acceptor), ERR_OK);
    assert_int_equal(toy_send(acceptor, &init, NULL, &response, reply), CRED_MORE);
    assert_int_equal(toy_send(acceptor, NULL, &next, &response, reply), CRED_FAILED);
    next.state = SPNEGO__STATE_NONE;
    assert_int_equal(toy_send(acceptor, NULL, &next, &response, reply), CRED_FAILED);
    cred_acceptor_close(&acceptor);
    assert_int_equal(toy_contexts, 0);
}

/* ---- DER ---- */

static void der_lengths(void **state)
{
    static const struct {
        size_t length;
        const char *head;
    } cases[] = {{0, "0400"},       {127, "047F"},       {128, "048180"},      {255, "0481FF"},
                 {256, "04820100"}, {65535, "0482FFFF"}, {65536, "0483010000"}};
    static uint8_t buffer[70000];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t head[8], tag;
        size_t head_length = unhex(cases[i].head, head, sizeof head);
        struct reader reader, content;
        struct writer writer;

        writer_init(&writer, buffer, sizeof buffer);
        der__head(&writer, DER__OCTET_STRING, cases[i].length);
        assert_int_equal(writer.length, head_length);
        assert_memory_equal(buffer, head, head_length);
        assert_int_equal(der__size(cases[i].length), head_length + cases[i].length);
        reader = reader_of(buffer, head_length + cases[i].length);
        assert_true(der__read(&reader, &tag, &content));
        assert_int_equal(content.left, cases[i].length);
        assert_true(reader_is_done(&reader));
        reader = reader_of(buffer, head_length + cases[i].length - 1);
        assert_false(der__read(&reader, &tag, &content));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(whole_conversations, setup, teardown),
        cmocka_unit_test_setup_teardown(notices_changed_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(takes_a_token_of_windows, setup, teardown),
        cmocka_unit_test_setup_teardown(single_tokens, setup, teardown),
        cmocka_unit_test_setup_teardown(rounds_and_replies_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(hints_what_we_do, setup, teardown),
        cmocka_unit_test_setup_teardown(picks_by_the_peers_order, setup, teardown),
        cmocka_unit_test_setup_teardown(peers_can_reject, setup, teardown),
        cmocka_unit_test(der_lengths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
