/*
 * test_ntlm.c - the acceptor of NTLM against a client: good passwords, everything that is refused and why,
 * every byte changed or missing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "auth_fixture.h"
#include "dittofs/ntlm.h"
#include "ntlmclient.h"
#include "simclock.h"

static struct identity *identity;
static struct cred_ntlm_server server;

static int setup(void **state)
{
    (void)state;
    simclock_install();
    identity = fixture_identity();
    server = (struct cred_ntlm_server){.identity = identity, .dns_computer = "server.example.org"};
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

/* One conversation, its messages kept so that they can be changed. */
struct talk {
    void *context;
    uint8_t negotiate[256], challenge[2048], authenticate[4096];
    size_t negotiate_length, challenge_length, authenticate_length;
};

static void talk_open(struct talk *talk)
{
    memset(talk, 0, sizeof *talk);
    assert_int_equal(cred_ntlm.open(&server, &talk->context), ERR_OK);
}

static void talk_close(struct talk *talk)
{
    cred_ntlm.close(&talk->context);
    assert_null(talk->context);
}

static enum cred_step send_negotiate(struct talk *talk)
{
    struct writer reply;
    enum cred_step step;

    writer_init(&reply, talk->challenge, sizeof talk->challenge);
    step = cred_ntlm.step(talk->context, talk->negotiate, talk->negotiate_length, &reply);
    talk->challenge_length = reply.length;
    return step;
}

static enum cred_step send_authenticate(struct talk *talk)
{
    uint8_t nothing[1];
    struct writer reply;
    enum cred_step step;

    writer_init(&reply, nothing, sizeof nothing);
    step = cred_ntlm.step(talk->context, talk->authenticate, talk->authenticate_length, &reply);
    assert_int_equal(reply.length, 0);
    return step;
}

/* Up to the AUTHENTICATE that CLIENT would send. */
static void prepare(struct talk *talk, struct ntlmclient *client)
{
    struct writer writer;

    writer_init(&writer, talk->negotiate, sizeof talk->negotiate);
    ntlmclient_negotiate(client, &writer);
    talk->negotiate_length = writer.length;
    assert_int_equal(send_negotiate(talk), CRED_MORE);
    writer_init(&writer, talk->authenticate, sizeof talk->authenticate);
    assert_true(ntlmclient_authenticate(client, talk->challenge, talk->challenge_length, &writer));
    talk->authenticate_length = writer.length;
}

/* The whole of it. The client stays open. */
static enum cred_step converse(struct talk *talk, struct ntlmclient *client)
{
    talk_open(talk);
    prepare(talk, client);
    return send_authenticate(talk);
}

/* ---- what is accepted ---- */

static const struct {
    const char *user, *domain;
    const char *name;
    uint32_t uid;
    uint32_t without; /* flags that the client does not offer */
    bool mic;
} accepted[] = {
    {"alice", "", "alice", 1000, 0, true},
    {"alice", "", "alice", 1000, 0, false},
    {"ALICE", "WORKGROUP", "alice", 1000, 0, true},
    {"Alice", "server", "alice", 1000, NTLM__NEGOTIATE_KEY_EXCH, true},
    {"alice", "", "alice", 1000, NTLM__NEGOTIATE_128, true},
    {"alice", "", "alice", 1000, NTLM__NEGOTIATE_128 | NTLM__NEGOTIATE_56, true},
    {"alice", "", "alice", 1000, NTLM__NEGOTIATE_SIGN | NTLM__NEGOTIATE_SEAL | NTLM__NEGOTIATE_VERSION, true},
    {"\xc3\x9cnal", "", "\xc3\x9cnal", 1001, 0, true},
    {"\xc3\xbcnAL", "D\xc3\xb6main", "\xc3\x9cnal", 1001, 0, true},
};

static void accepts_good_passwords(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++) {
        uint8_t mic[CRED_MIC_MAX], nothing[IDENT_NT_HASH_SIZE] = {0};
        const struct cred_result *result;
        struct ntlmclient client;
        struct talk talk;
        size_t length;

        ntlmclient_init(&client, accepted[i].user, accepted[i].domain, "Passw0rd");
        client.flags &= ~accepted[i].without;
        client.mic = accepted[i].mic;
        assert_int_equal(converse(&talk, &client), CRED_DONE);
        result = cred_ntlm.result(talk.context);
        assert_string_equal(result->user.name, accepted[i].name);
        assert_int_equal(result->user.uid, accepted[i].uid);
        assert_int_equal(result->user.gid, 100);
        assert_int_equal(result->user.group_count, 2);
        assert_memory_equal(result->user.nt_hash, nothing, sizeof nothing);
        assert_string_equal(result->domain, accepted[i].domain);
        assert_string_equal(result->workstation, "CLIENT");
        assert_string_equal(cred_ntlm.claimed_user(talk.context), accepted[i].user);
        assert_int_equal(result->session_key_length, NTLM__KEY);
        assert_memory_equal(result->session_key, client.session_key, NTLM__KEY);
        /* Both directions of signing. */
        assert_int_equal(cred_ntlm.make_mic(talk.context, "abc", 3, mic, &length), ERR_OK);
        assert_int_equal(length, NTLM__SIGNATURE);
        assert_true(ntlm__verify(&client.theirs, "abc", 3, mic));
        assert_int_equal(ntlm__sign(&client.ours, "def", 3, mic), ERR_OK);
        assert_false(cred_ntlm.check_mic(talk.context, "def", 3, mic, length - 1));
        assert_true(cred_ntlm.check_mic(talk.context, "def", 3, mic, length));
        assert_false(cred_ntlm.check_mic(talk.context, "def", 3, mic, length));
        /* It is over. */
        assert_int_equal(send_authenticate(&talk), CRED_FAILED);
        talk_close(&talk);
        ntlmclient_close(&client);
    }
}

/* MS-NLMP 2.2.1.2: what the client is told about us. */
static void challenge_says_who_we_are(void **state)
{
    static const struct {
        uint16_t id;
        const char *name;
    } names[] = {{NTLM__AV_NB_COMPUTER, "S\0E\0R\0V\0E\0R\0"},
                 {NTLM__AV_NB_DOMAIN, "S\0E\0R\0V\0E\0R\0"},
                 {NTLM__AV_DNS_DOMAIN, "S\0E\0R\0V\0E\0R\0"},
                 {NTLM__AV_DNS_COMPUTER, "s\0e\0r\0v\0e\0r\0.\0"}};
    struct ntlmclient client;
    struct ntlm__field value;
    struct talk first, second;

    (void)state;
    ntlmclient_init(&client, "alice", "", "Passw0rd");
    assert_int_equal(converse(&first, &client), CRED_DONE);
    assert_memory_equal(client.challenge.target_name.data, "S\0E\0R\0V\0E\0R\0", 12);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_true(ntlm__av_find(client.challenge.target_info, names[i].id, &value));
        assert_memory_equal(value.data, names[i].name, 12);
    }
    /* 2024-01-01T00:00:00Z */
    assert_true(ntlm__av_find(client.challenge.target_info, NTLM__AV_TIMESTAMP, &value));
    assert_memory_equal(value.data, "\x00\xc0\x89\x76\x45\x3c\xda\x01", 8);
    for (size_t cut = 0; cut < first.challenge_length; cut++)
        assert_false(ntlm__challenge_read(first.challenge, cut, &client.challenge));
    /* No two challenges are the same. */
    assert_int_equal(converse(&second, &client), CRED_DONE);
    assert_memory_not_equal(first.challenge + 24, second.challenge + 24, NTLM__CHALLENGE_SIZE);
    /* And so an answer is good for one only. */
    talk_close(&first);
    talk_open(&first);
    assert_int_equal(send_negotiate(&first), CRED_FAILED);
    talk_close(&first);
    talk_open(&first);
    memcpy(&first.negotiate, &second.negotiate, sizeof first.negotiate);
    first.negotiate_length = second.negotiate_length;
    assert_int_equal(send_negotiate(&first), CRED_MORE);
    memcpy(&first.authenticate, &second.authenticate, sizeof first.authenticate);
    first.authenticate_length = second.authenticate_length;
    assert_int_equal(send_authenticate(&first), CRED_FAILED);
    assert_int_equal(cred_ntlm.reason(first.context), CRED_REASON_BAD_PASSWORD);
    talk_close(&first);
    talk_close(&second);
    ntlmclient_close(&client);
}

/* ---- what is refused ---- */

#define LONG_NAME                                                                                            \
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"   \
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"   \
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct {
    const char *user, *password;
    enum ntlmclient_response response;
    int64_t clock_offset_s;
    bool claim_mic_only;
    uint32_t add_flags;
    enum cred_reason reason;
} refused[] = {
    {"alice", "passw0rd", NTLMCLIENT_V2, 0, false, 0, CRED_REASON_BAD_PASSWORD},
    {"alice", "", NTLMCLIENT_V2, 0, false, 0, CRED_REASON_BAD_PASSWORD},
    {"nobody", "Passw0rd", NTLMCLIENT_V2, 0, false, 0, CRED_REASON_NO_USER},
    {"guest", "", NTLMCLIENT_V2, 0, false, 0, CRED_REASON_NO_USER},
    {"ali\\ce", "Passw0rd", NTLMCLIENT_V2, 0, false, 0, CRED_REASON_NO_USER},
    {LONG_NAME, "Passw0rd", NTLMCLIENT_V2, 0, false, 0, CRED_REASON_MALFORMED},
    {"mallory", "Passw0rd", NTLMCLIENT_V2, 0, false, 0, CRED_REASON_DISABLED},
    {"mallory", "wrong", NTLMCLIENT_V2, 0, false, 0, CRED_REASON_BAD_PASSWORD},
    {"alice", "Passw0rd", NTLMCLIENT_V1, 0, false, 0, CRED_REASON_NTLMV1},
    {"alice", "Passw0rd", NTLMCLIENT_LM, 0, false, 0, CRED_REASON_LM},
    {"", "", NTLMCLIENT_ANONYMOUS, 0, false, 0, CRED_REASON_ANONYMOUS},
    {"", "", NTLMCLIENT_V2, 0, false, 0, CRED_REASON_MALFORMED},
    {"alice", "Passw0rd", NTLMCLIENT_V2, 36 * 3600 + 1, false, 0, CRED_REASON_CLOCK_SKEW},
    {"alice", "Passw0rd", NTLMCLIENT_V2, -36 * 3600 - 1, false, 0, CRED_REASON_CLOCK_SKEW},
    {"alice", "Passw0rd", NTLMCLIENT_V2, 36 * 3600, false, 0, CRED_REASON_NONE},
    {"alice", "Passw0rd", NTLMCLIENT_V2, 0, true, 0, CRED_REASON_BAD_MIC},
};

static void refuses_with_a_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct ntlmclient client;
        struct talk talk;
        enum cred_step step;

        ntlmclient_init(&client, refused[i].user, "", refused[i].password);
        client.response = refused[i].response;
        client.clock_offset_s = refused[i].clock_offset_s;
        client.mic = !refused[i].claim_mic_only;
        client.claim_mic_only = refused[i].claim_mic_only;
        client.add_flags = refused[i].add_flags;
        step = converse(&talk, &client);
        assert_int_equal(step, refused[i].reason == CRED_REASON_NONE ? CRED_DONE : CRED_FAILED);
        assert_int_equal(cred_ntlm.reason(talk.context), refused[i].reason);
        assert_non_null(cred_reason_text(refused[i].reason));
        talk_close(&talk);
        ntlmclient_close(&client);
    }
}

static void refuses_weak_offers(void **state)
{
    static const uint32_t needed[] = {NTLM__NEGOTIATE_UNICODE, NTLM__NEGOTIATE_ESS};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct ntlmclient client;
        struct writer writer;
        struct talk talk;

        ntlmclient_init(&client, "alice", "", "Passw0rd");
        client.flags &= ~needed[i];
        talk_open(&talk);
        writer_init(&writer, talk.negotiate, sizeof talk.negotiate);
        ntlmclient_negotiate(&client, &writer);
        talk.negotiate_length = writer.length;
        assert_int_equal(send_negotiate(&talk), CRED_FAILED);
        assert_int_equal(cred_ntlm.reason(talk.context), CRED_REASON_WEAK);
        talk_close(&talk);
        ntlmclient_close(&client);
    }
}

/* A client may not use what it did not offer: key exchange would come from nowhere. */
static void refuses_flags_that_were_added(void **state)
{
    struct ntlmclient client;
    struct talk talk;

    (void)state;
    ntlmclient_init(&client, "alice", "", "Passw0rd");
    client.flags &= ~NTLM__NEGOTIATE_KEY_EXCH;
    client.add_flags = NTLM__NEGOTIATE_KEY_EXCH;
    assert_int_equal(converse(&talk, &client), CRED_FAILED);
    assert_int_equal(cred_ntlm.reason(talk.context), CRED_REASON_MALFORMED);
    talk_close(&talk);
    ntlmclient_close(&client);
}

static void skew_can_be_narrowed(void **state)
{
    struct ntlmclient client;
    struct talk talk;

    (void)state;
    server.max_skew_s = 300;
    for (int64_t offset = 299; offset <= 301; offset++) {
        ntlmclient_init(&client, "alice", "", "Passw0rd");
        client.clock_offset_s = -offset;
        assert_int_equal(converse(&talk, &client), offset <= 300 ? CRED_DONE : CRED_FAILED);
        talk_close(&talk);
        ntlmclient_close(&client);
    }
}

/* Messages in a wrong order, or none. */
static void refuses_out_of_order(void **state)
{
    struct ntlmclient client;
    struct talk talk;

    (void)state;
    ntlmclient_init(&client, "alice", "", "Passw0rd");
    talk_open(&talk);
    prepare(&talk, &client);
    assert_int_equal(send_negotiate(&talk), CRED_FAILED);
    assert_int_equal(send_authenticate(&talk), CRED_FAILED);
    assert_int_equal(cred_ntlm.reason(talk.context), CRED_REASON_MALFORMED);
    talk_close(&talk);
    talk_open(&talk);
    assert_int_equal(cred_ntlm.step(talk.context, "", 0, &(struct writer){0}), CRED_FAILED);
    talk_close(&talk);
    ntlmclient_close(&client);
}

/* ---- on the way ---- */

/* A whole conversation; CHANGE is done to the messages. */
static enum cred_step converse_changed(struct ntlmclient *client, int message, size_t at, uint8_t change)
{
    enum cred_step step;
    struct writer writer;
    struct talk talk;

    talk_open(&talk);
    writer_init(&writer, talk.negotiate, sizeof talk.negotiate);
    ntlmclient_negotiate(client, &writer);
    talk.negotiate_length = writer.length;
    if (message == 1)
        talk.negotiate[at] ^= change;
    step = send_negotiate(&talk);
    if (step == CRED_MORE) {
        if (message == 2)
            talk.challenge[at] ^= change;
        writer_init(&writer, talk.authenticate, sizeof talk.authenticate);
        if (!ntlmclient_authenticate(client, talk.challenge, talk.challenge_length, &writer)) {
            talk_close(&talk);
            return CRED_FAILED;
        }
        talk.authenticate_length = writer.length;
        if (message == 3)
            talk.authenticate[at] ^= change;
        step = send_authenticate(&talk);
    }
    talk_close(&talk);
    return step;
}

/* With a MIC, no bit of any message can be changed. */
static void notices_every_changed_byte(void **state)
{
    struct ntlmclient client;
    struct talk talk;
    size_t lengths[4];

    (void)state;
    ntlmclient_init(&client, "alice", "", "Passw0rd");
    assert_int_equal(converse(&talk, &client), CRED_DONE);
    lengths[1] = talk.negotiate_length;
    lengths[2] = talk.challenge_length;
    lengths[3] = talk.authenticate_length;
    talk_close(&talk);
    for (int message = 1; message <= 3; message++)
        for (size_t at = 0; at < lengths[message]; at++) {
            assert_int_equal(converse_changed(&client, message, at, 0x01), CRED_FAILED);
            assert_int_equal(converse_changed(&client, message, at, 0x80), CRED_FAILED);
        }
    assert_int_equal(converse_changed(&client, 0, 0, 0), CRED_DONE);
    ntlmclient_close(&client);
}

static void refuses_every_shorter_message(void **state)
{
    struct ntlmclient client;
    struct talk talk;

    (void)state;
    ntlmclient_init(&client, "alice", "", "Passw0rd");
    talk_open(&talk);
    prepare(&talk, &client);
    talk_close(&talk);
    for (size_t cut = 0; cut < talk.negotiate_length; cut++) {
        uint8_t *copy = malloc(cut + 1); /* so that a read beyond the end is seen */
        uint8_t reply_bytes[2048];
        struct writer reply;
        void *context;

        memcpy(copy, talk.negotiate, cut);
        copy = realloc(copy, cut > 0 ? cut : 1);
        assert_int_equal(cred_ntlm.open(&server, &context), ERR_OK);
        writer_init(&reply, reply_bytes, sizeof reply_bytes);
        assert_int_equal(cred_ntlm.step(context, copy, cut, &reply), CRED_FAILED);
        cred_ntlm.close(&context);
        free(copy);
    }
    for (size_t cut = 0; cut < 2000; cut++) {
        uint8_t *copy;

        talk_open(&talk);
        prepare(&talk, &client);
        if (cut >= talk.authenticate_length) {
            talk_close(&talk);
            break;
        }
        copy = malloc(cut > 0 ? cut : 1);
        memcpy(copy, talk.authenticate, cut);
        assert_int_equal(cred_ntlm.step(talk.context, copy, cut, &(struct writer){0}), CRED_FAILED);
        free(copy);
        talk_close(&talk);
    }
    ntlmclient_close(&client);
}

/* Without a MIC the proof still holds what it covers: target information, time and challenges. */
static void proof_covers_the_response(void **state)
{
    struct ntlmclient client;
    struct talk talk;

    (void)state;
    ntlmclient_init(&client, "alice", "", "Passw0rd");
    client.mic = false;
    client.add_flags = 0;
    for (size_t at = 0;; at++) {
        struct ntlm__authenticate message;

        talk_open(&talk);
        prepare(&talk, &client);
        assert_true(ntlm__authenticate_read(talk.authenticate, talk.authenticate_length, &message));
        if (at == message.nt_response.length) {
            talk_close(&talk);
            break;
        }
        talk.authenticate[(size_t)(message.nt_response.data - talk.authenticate) + at] ^= 0x04;
        assert_int_equal(send_authenticate(&talk), CRED_FAILED);
        talk_close(&talk);
    }
    ntlmclient_close(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(accepts_good_passwords, setup, teardown),
        cmocka_unit_test_setup_teardown(challenge_says_who_we_are, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_with_a_reason, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_weak_offers, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_flags_that_were_added, setup, teardown),
        cmocka_unit_test_setup_teardown(skew_can_be_narrowed, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_out_of_order, setup, teardown),
        cmocka_unit_test_setup_teardown(notices_every_changed_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_every_shorter_message, setup, teardown),
        cmocka_unit_test_setup_teardown(proof_covers_the_response, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
