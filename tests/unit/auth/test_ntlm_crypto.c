/*
 * test_ntlm_crypto.c - the example of MS-NLMP 4.2.4, and what Windows sent and checked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "auth/identity_priv.h"
#include "auth/ntlm_crypto_priv.h"
#include "auth/ntlm_message_priv.h"
#include "auth/spnego_message_priv.h"
#include "dittofs/utf16.h"
#include "hex.h"
#include <string.h>

#define CHECK(call) assert_int_equal(call, ERR_OK)

static void assert_hex(const void *data, size_t length, const char *hex)
{
    uint8_t expected[1024];

    assert_int_equal(unhex(hex, expected, sizeof expected), length);
    assert_memory_equal(data, expected, length);
}

/* MS-NLMP 4.2.1, 4.2.4 */
#define USER      "5500730065007200"
#define DOMAIN    "44006f006d00610069006e00"
#define CHALLENGE "0123456789abcdef"
#define FLAGS     0xe28a8233u
#define TEMP                                                                                                 \
    "01010000000000000000000000000000aaaaaaaaaaaaaaaa0000000002000c0044006f006d00610069006e0001000c00530065" \
    "00"                                                                                                     \
    "720076006500720000000000"                                                                               \
    "00000000"

static void hashes_passwords(void **state)
{
    /* 4.2.2.1.2; the empty password's is known well; RFC 1320 A.5 has MD4("abc"). */
    static const struct {
        const char *password, *hash;
    } cases[] = {{"Password", "a4f49c406510bdcab6824ee7c30fd852"}, {"", "31d6cfe0d16ae931b73c59d7e0c089c0"}};
    uint8_t hash[16];
    char longest[258] = {0};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK(cred_nt_hash(cases[i].password, hash));
        assert_hex(hash, 16, cases[i].hash);
    }
    CHECK(ntlm__md4("abc", 3, hash));
    assert_hex(hash, 16, "a448017aaf21d8525fc10ae87aa6729d");
    memset(longest, 'x', 257);
    assert_int_equal(cred_nt_hash(longest, hash), ERR_NAMETOOLONG);
    longest[256] = 0;
    CHECK(cred_nt_hash(longest, hash));
    assert_int_equal(cred_nt_hash("\xff", hash), ERR_BADCHAR);
}

static void follows_the_example(void **state)
{
    uint8_t hash[16], owf[16], user[8], domain[12], challenge[8], temp[128], out[16], base_key[16], key[16];
    size_t length = unhex(TEMP, temp, sizeof temp);
    struct ntlm__piece response[] = {{challenge, 8}, {temp, length}}, lm[] = {{challenge, 8}, {temp + 16, 8}};
    struct ntlm__piece proof = {out, 16};

    (void)state;
    unhex(USER, user, sizeof user);
    unhex(DOMAIN, domain, sizeof domain);
    unhex(CHALLENGE, challenge, sizeof challenge);
    CHECK(cred_nt_hash("Password", hash));
    /* 4.2.4.1.1 */
    CHECK(ntlm__owf_v2(hash, user, sizeof user, domain, sizeof domain, owf));
    assert_hex(owf, 16, "0c868a403bfd7a93a3001ef22ef02e3f");
    /* 4.2.4.2.1, 4.2.4.2.2, 4.2.4.1.2 */
    CHECK(ntlm__hmac_md5(owf, lm, 2, out));
    assert_hex(out, 16, "86c35097ac9cec102554764a57cccc19");
    CHECK(ntlm__hmac_md5(owf, response, 2, out));
    assert_hex(out, 16, "68cd0ab851e51c96aabc927bebef6a1c");
    CHECK(ntlm__hmac_md5(owf, &proof, 1, base_key));
    assert_hex(base_key, 16, "8de40ccadbc14a82f15cb0ad0de95ca3");
    /* 4.2.4.2.3 */
    memset(key, 0x55, sizeof key);
    CHECK(ntlm__rc4(base_key, key, sizeof key, out));
    assert_hex(out, 16, "c5dad2544fc9799094ce1ce90bc9d03e");
}

/* 4.2.4.4 */
static void seals_as_the_example(void **state)
{
    struct ntlm__seal seal, peer;
    uint8_t key[16], text[18], signature[16];
    struct writer writer;

    (void)state;
    memset(key, 0x55, sizeof key);
    CHECK(ntlm__seal_open(&seal, FLAGS, key, true));
    CHECK(ntlm__seal_open(&peer, FLAGS, key, true));
    assert_hex(seal.sign_key, 16, "4788dc861b4782f35d43fd98fe1a2d39");
    writer_init(&writer, text, sizeof text);
    assert_true(utf16_from_utf8(&writer, "Plaintext", 9));
    CHECK(ntlm__seal(&seal, text, sizeof text, signature));
    assert_hex(text, sizeof text, "54e50165bf1936dc996020c1811b0f06fb5f");
    assert_hex(signature, 16, "010000007fb38ec5c55d497600000000");
    assert_true(ntlm__unseal(&peer, text, sizeof text, signature));
    assert_hex(text, sizeof text, "50006c00610069006e007400650078007400");
    /* The next ones, with the next number; a repeated one is refused. */
    CHECK(ntlm__seal(&seal, text, sizeof text, signature));
    assert_int_equal(signature[12], 1);
    assert_true(ntlm__unseal(&peer, text, sizeof text, signature));
    CHECK(ntlm__sign(&seal, text, sizeof text, signature));
    assert_true(ntlm__verify(&peer, text, sizeof text, signature));
    assert_false(ntlm__verify(&peer, text, sizeof text, signature));
    ntlm__seal_close(&seal);
    ntlm__seal_close(&peer);
}

/* The message of 4.2.4.3 */
#define AUTHENTICATE                                                                                         \
    "4e544c4d5353500003000000180018006c00000054005400840000000c000c004800000008000800540000001000100"        \
    "05c00000010001000d8000000358288e20501280a0000000f44006f006d00610069006e005500730065007200"              \
    "43004f004d005000550054004500520086c35097ac9cec102554764a57cccc19aaaaaaaaaaaaaaaa"                       \
    "68cd0ab851e51c96aabc927bebef6a1c" TEMP "c5dad2544fc9799094ce1ce90bc9d03e"

static void reads_the_example(void **state)
{
    uint8_t message[512];
    size_t length = unhex(AUTHENTICATE, message, sizeof message);
    struct ntlm__authenticate authenticate;
    struct ntlm__blob blob;

    (void)state;
    assert_true(ntlm__authenticate_read(message, length, &authenticate));
    assert_int_equal(authenticate.flags, 0xe2888235u);
    assert_hex(authenticate.user.data, authenticate.user.length, USER);
    assert_hex(authenticate.domain.data, authenticate.domain.length, DOMAIN);
    assert_hex(authenticate.session_key.data, authenticate.session_key.length,
               "c5dad2544fc9799094ce1ce90bc9d03e");
    assert_false(authenticate.has_mic_room);
    assert_true(ntlm__blob_read(authenticate.nt_response, &blob));
    assert_int_equal(blob.timestamp, 0);
    assert_hex(blob.client_challenge, 8, "aaaaaaaaaaaaaaaa");
    assert_int_equal(blob.av_flags, 0);
    /* Cut anywhere, it is none. */
    for (size_t cut = 0; cut < length; cut++)
        assert_false(ntlm__authenticate_read(message, cut, &authenticate));
}

/*
 * A session set-up between two machines of Windows, whose session key Microsoft has published (the blog named
 * in test_smb2_crypto.c): the three messages, the MIC of the last one, and the MICs over the mechanisms.
 */
static const char windows_negotiate[] =
    "604806062B0601050502A03E303CA00E300C060A2B06010401823702020AA22A04284E544C4D5353500001000000978208E2"
    "00000000000000000000000000000000060380250000000F";
static const char windows_challenge[] =
    "A181B03081ADA0030A0101A10C060A2B06010401823702020AA281970481944E544C4D53535000020000000C000C0038"
    "00000015828AE20D1D8BA31179D008000000000000000050005000440000000A0092270000000F53"
    "005500540033003100310002000C0053005500540033003100310001000C00530055005400330031"
    "00310004000C0053005500540033003100310003000C0053005500540033003100310007000800A1"
    "A1F5ADCBAED00100000000";
static const char windows_authenticate[] =
    "A18201CB308201C7A0030A0101A28201AA048201A64E544C4D53535000030000"
    "001800180090000000EE00EE00A80000000C000C00580000001A001A0064000000120012007E0000"
    "001000100096010000158288E2060380250000000FECAC77A5F385A8BF9C38C706EEEDDCD3530055"
    "005400330031003100610064006D0069006E006900730074007200610074006F0072004400520049"
    "0056004500520033003100310000000000000000000000000000000000000000000000000063078E"
    "B639FE03E20A231C3AE3BF23080101000000000000A1A1F5ADCBAED001BC4AD05F223CC90F000000"
    "0002000C0053005500540033003100310001000C0053005500540033003100310004000C00530055"
    "00540033003100310003000C0053005500540033003100310007000800A1A1F5ADCBAED001060004"
    "00020000000800300030000000000000000000000000300000B61FEFCAA857EA57BF1EDCEBF8974B"
    "8E0EBA5A6DFD9D07A31D11B548F8C9D0CC0A00100000000000000000000000000000000000090016"
    "0063006900660073002F005300550054003300310031000000000000000000000000003B9BDFF38F"
    "5EE8F9663F11A0F4C03A78A31204100100000063775A9A5FD97F0600000000";
static const char windows_completed[] = "A11B3019A0030A0100A3120410010000003B453CDC3524164200000000";
static const char windows_session_key[] = "270E1BA896585EEB7AF3472D3B4C75A7";

static void agrees_with_windows(void **state)
{
    uint8_t first[128], second[256], third[512], fourth[64], key[16], mic[16], zeroed[512], signature[16];
    struct spnego__init init;
    struct spnego__response challenge, authenticate, completed;
    struct ntlm__authenticate message;
    struct ntlm__challenge challenge_message;
    struct ntlm__blob blob;
    struct ntlm__seal client, server;
    char user[64];

    (void)state;
    unhex(windows_session_key, key, sizeof key);
    assert_true(spnego__init_read(first, unhex(windows_negotiate, first, sizeof first), &init));
    assert_true(spnego__response_read(second, unhex(windows_challenge, second, sizeof second), &challenge));
    assert_true(
        spnego__response_read(third, unhex(windows_authenticate, third, sizeof third), &authenticate));
    assert_true(spnego__response_read(fourth, unhex(windows_completed, fourth, sizeof fourth), &completed));
    assert_int_equal(challenge.state, SPNEGO__ACCEPT_INCOMPLETE);
    assert_int_equal(completed.state, SPNEGO__ACCEPT_COMPLETED);
    assert_true(ntlm__challenge_read(challenge.token.data, challenge.token.length, &challenge_message));
    assert_true(ntlm__authenticate_read(authenticate.token.data, authenticate.token.length, &message));
    assert_true(ntlm__blob_read(message.nt_response, &blob));
    assert_int_equal(blob.av_flags, NTLM__AV_FLAG_MIC);
    assert_true(message.has_mic_room);
    assert_true(utf16_to_string(user, sizeof user, message.user.data, message.user.length));
    assert_string_equal(user, "administrator");

    /* The MIC over the three messages. */
    memcpy(zeroed, authenticate.token.data, authenticate.token.length);
    memset(zeroed + NTLM__MIC_OFFSET, 0, NTLM__MIC_SIZE);
    {
        struct ntlm__piece pieces[] = {{init.token.data, init.token.length},
                                       {challenge.token.data, challenge.token.length},
                                       {zeroed, authenticate.token.length}};
        CHECK(ntlm__hmac_md5(key, pieces, 3, mic));
    }
    assert_memory_equal(mic, authenticate.token.data + NTLM__MIC_OFFSET, sizeof mic);

    /* The MICs over the mechanisms: the client's, then the server's. */
    CHECK(ntlm__seal_open(&client, message.flags, key, true));
    CHECK(ntlm__seal_open(&server, message.flags, key, false));
    assert_true(ntlm__verify(&client, init.list.data, init.list.length, authenticate.mic.data));
    CHECK(ntlm__sign(&server, init.list.data, init.list.length, signature));
    assert_int_equal(completed.mic.length, sizeof signature);
    assert_memory_equal(signature, completed.mic.data, sizeof signature);
    ntlm__seal_close(&client);
    ntlm__seal_close(&server);
}

/* Letters beyond ASCII are put in upper case, others left alone; surrogates pass. */
static void upper_case_is_one_for_one(void **state)
{
    static const uint16_t cases[][2] = {
        {'a', 'A'},       {0xe4, 0xc4},     {0x3c9, 0x3a9},   {0x44f, 0x42f},   {0xdf, 0xdf}, {0x131, 0x131},
        {0xd83d, 0xd83d}, {0xdc00, 0xdc00}, {0x4e2d, 0x4e2d}, {0xffff, 0xffff}, {0, 0}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(ident__upper(cases[i][0]), cases[i][1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_passwords),     cmocka_unit_test(follows_the_example),
        cmocka_unit_test(seals_as_the_example), cmocka_unit_test(reads_the_example),
        cmocka_unit_test(agrees_with_windows),  cmocka_unit_test(upper_case_is_one_for_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
