/*
 * test_smb2_crypto.c - published vectors of key derivation, MACs and ciphers, messages that Windows has
 * signed and encrypted, and every byte changed or missing.
 *
 * The messages are from Microsoft's Open Specifications blog ("SMB 2 and SMB 3 security in Windows 10: the
 * anatomy of signing and cryptographic keys", "Encryption in SMB 3.0: a protocol perspective", "SMB 3.1.1
 * Encryption in Windows 10", "SMB 3.1.1 Pre-authentication integrity in Windows 10").
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "hex.h"
#include "smb/smb2_crypto.h"
#include "smb/smb2_crypto_priv.h"
#include "smb/smb2_gcm.h"
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(call) assert_int_equal(call, ERR_OK)

static void assert_hex(const void *data, size_t length, const char *hex)
{
    uint8_t expected[1024];

    assert_int_equal(unhex(hex, expected, sizeof expected), length);
    assert_memory_equal(data, expected, length);
}

/* ---- keys ---- */

/* The vectors of NIST for SP800-108 have a fixed input without label, zero and length; those of Microsoft
 * below check the whole construction. */
static void kdf_is_bounded(void **state)
{
    uint8_t long_label[200] = {0}, out[33];

    (void)state;
    assert_int_equal(smb2_kdf("k", 1, long_label, sizeof long_label, "", 0, out, 16), ERR_INVAL);
    assert_int_equal(smb2_kdf("k", 1, long_label, 60, long_label, 60, out, 16), ERR_INVAL);
    assert_int_equal(smb2_kdf("k", 1, "", 0, "", 0, out, 33), ERR_INVAL);
    CHECK(smb2_kdf("k", 1, "a", 1, "b", 1, out, 32));
}

#define HASH_311                                                                                             \
    "0DD13628CC3ED218EF9DF9772D436D0887AB9814BFAE63A80AA845F36909DB79"                                       \
    "28622DDDAD522D9751640A459762C5A9D6BB084CBB3CE6BDADEF5D5BCE3C6C01"
#define HASH_311_ENCRYPTION                                                                                  \
    "B23F3CBFD69487D9832B79B1594A367CDD950909B774C3A4C412B4FCEA9EDDDB"                                       \
    "A7DB256BA2EA30E977F11F9B113247578E0E915C6D2A513B8F2FCA5707DC8770"

static const struct {
    uint16_t dialect;
    enum smb2_cipher cipher;
    const char *session_key, *preauth, *signing, *application, *encrypt, *decrypt;
} derivations[] = {
    {0x0202, SMB2_CIPHER_NONE, "7CD451825D0450D235424E44BA6E78CC", NULL, "7CD451825D0450D235424E44BA6E78CC",
     "7CD451825D0450D235424E44BA6E78CC", NULL, NULL},
    {0x0210, SMB2_CIPHER_NONE, "7CD4", NULL, "7CD40000000000000000000000000000", NULL, NULL, NULL},
    /* The blog's "EncryptionKey" is the client's. */
    {0x0300, SMB2_CIPHER_AES128_CCM, "7CD451825D0450D235424E44BA6E78CC", NULL,
     "0B7E9C5CAC36C0F6EA9AB275298CEDCE", "BB23A4575AA26C721AF525AF15A87B4F",
     "B0F0427F7CEB416D1D9DCC0CD4F99447", "FAD27796665B313EBB578F388632B4F7"},
    {0x0302, SMB2_CIPHER_AES128_CCM, "4E01A2B313BCF660CC250BEF021AEDE6", NULL,
     "BA1A17DBBFEC349BCA105563D598952F", NULL, NULL, NULL},
    {0x0300, SMB2_CIPHER_AES128_CCM, "B4546771B515F766A86735532DD6C4F0", NULL, NULL, NULL,
     "8FE2B57EC34D2DB5B1A9727F526BBDB5", "261B72350558F2E9DCF613070383EDBF"},
    {0x0311, SMB2_CIPHER_AES128_GCM, "270E1BA896585EEB7AF3472D3B4C75A7", HASH_311,
     "73FE7A9A77BEF0BDE49C650D8CCB5F76", "6D7AD7954E9EC61E907B4D473DC178FF",
     "E2AF0DCEFAC68DA71A0DFBD0D1350D74", "629BCBC54422A0F572B97F45989B6073"},
    {0x0311, SMB2_CIPHER_AES128_GCM, "419FDDF34C1E001909D362AE7FB6AF79", HASH_311_ENCRYPTION, NULL, NULL,
     "748C50868C90F302962A5C35F5F9A8BF", "A2F5E80E5D59103034F32E52F698E5EC"},
    /* More than 16 bytes from GSS: only their first 16 count for ciphers of 128 bits. */
    {0x0300, SMB2_CIPHER_AES128_CCM, "7CD451825D0450D235424E44BA6E78CCFFFFFFFFFFFFFFFF", NULL,
     "0B7E9C5CAC36C0F6EA9AB275298CEDCE", "BB23A4575AA26C721AF525AF15A87B4F",
     "B0F0427F7CEB416D1D9DCC0CD4F99447", "FAD27796665B313EBB578F388632B4F7"},
};

static void derives_keys(void **state)
{
    uint8_t key[64], preauth[SMB2_PREAUTH_SIZE];
    struct smb2_keys keys;

    (void)state;
    for (size_t i = 0; i < sizeof derivations / sizeof *derivations; i++) {
        size_t length = unhex(derivations[i].session_key, key, sizeof key);

        if (derivations[i].preauth != NULL)
            unhex(derivations[i].preauth, preauth, sizeof preauth);
        CHECK(smb2_keys_derive(derivations[i].dialect, derivations[i].cipher, key, length, preauth, &keys));
        if (derivations[i].signing != NULL)
            assert_hex(keys.signing, 16, derivations[i].signing);
        if (derivations[i].application != NULL)
            assert_hex(keys.application, 16, derivations[i].application);
        if (derivations[i].encrypt != NULL)
            assert_hex(keys.encrypt, 16, derivations[i].encrypt);
        if (derivations[i].decrypt != NULL)
            assert_hex(keys.decrypt, 16, derivations[i].decrypt);
    }
    assert_int_equal(smb2_keys_derive(0x0311, SMB2_CIPHER_AES128_GCM, key, 16, NULL, &keys), ERR_INVAL);
    assert_int_equal(smb2_keys_derive(0x0300, SMB2_CIPHER_AES128_CCM, key, 0, NULL, &keys), ERR_INVAL);
    assert_int_equal(smb2_keys_derive(0x0300, SMB2_CIPHER_AES128_CCM, key, 65, NULL, &keys), ERR_INVAL);
}

/* MS-SMB2 3.3.5.5.3: 256-bit keys come from the whole session key with L = 256; the others stay. */
static void derives_wide_keys(void **state)
{
    struct smb2_keys narrow, wide;
    uint8_t key[32], preauth[SMB2_PREAUTH_SIZE], expected[32];

    (void)state;
    memset(key, 0x5a, sizeof key);
    memset(preauth, 0xa5, sizeof preauth);
    CHECK(smb2_keys_derive(0x0311, SMB2_CIPHER_AES128_GCM, key, 32, preauth, &narrow));
    CHECK(smb2_keys_derive(0x0311, SMB2_CIPHER_AES256_GCM, key, 32, preauth, &wide));
    assert_memory_equal(narrow.signing, wide.signing, 16);
    assert_memory_equal(narrow.application, wide.application, 16);
    assert_memory_not_equal(narrow.encrypt, wide.encrypt, 16);
    CHECK(smb2_kdf(key, 32, "SMBS2CCipherKey", 16, preauth, 64, expected, 32));
    assert_memory_equal(wide.encrypt, expected, 32);
    CHECK(smb2_kdf(key, 32, "SMBC2SCipherKey", 16, preauth, 64, expected, 32));
    assert_memory_equal(wide.decrypt, expected, 32);
}

static const char *const preauth_messages[][2] = {
    {"FE534D4240000100000000000000800000000000000000000100000000000000FFFE000000000000"
     "00000000000000000000000000000000000000000000000024000500000000003F000000ECD86F32"
     "6276024F9F7752B89BB33F3A70000000020000000202100200030203110300000100260000000000"
     "010020000100FA49E6578F1F3A9F4CD3E9CC14A67AA884B3D05844E0E5A118225C15887F32FF0000"
     "0200060000000000020002000100",
     "DD94EFC5321BB618A2E208BA8920D2F422992526947A409B5037DE1E0FE8C7362B8C47122594CDE0"
     "CE26AA9DFC8BCDBDE0621957672623351A7540F1E54A0426"},
    {"FE534D4240000100000000000000010001000000000000000100000000000000FFFE000000000000"
     "000000000000000000000000000000000000000000000000410001001103020039CBCAF329714942"
     "BDCE5D60F09AB3FB2F000000000080000000800000008000D8DAE5ADCBAED00109094AB095AED001"
     "80004001C00100006082013C06062B0601050502A08201303082012CA01A3018060A2B0601040182"
     "3702021E060A2B06010401823702020AA282010C048201084E45474F455854530100000000000000"
     "60000000700000007C7CC0FD06D6362D02DDE1CF343BFE292900F49750B4AA97934D9C4296B26E51"
     "FD370471B235E15A50DAE15BD5489C87000000000000000060000000010000000000000000000000"
     "5C33530DEAF90D4DB2EC4AE3786EC3084E45474F4558545303000000010000004000000098000000"
     "7C7CC0FD06D6362D02DDE1CF343BFE295C33530DEAF90D4DB2EC4AE3786EC3084000000058000000"
     "3056A05430523027802530233121301F06035504031318546F6B656E205369676E696E6720507562"
     "6C6963204B65793027802530233121301F06035504031318546F6B656E205369676E696E67205075"
     "626C6963204B6579010026000000000001002000010060A3C3B95C3C7CCD51EC536648D9B3AC74C4"
     "83CA5B65385A251117BEB30712E50000020004000000000001000200",
     "324BFA92A4F3A190E466EBEA08D9C110DC88BFED758D9846ECC6F541CC1D02AE3C94A79F36011E99"
     "7E13F841B91B50957AD07B19C8E2539C0B23FDAE09D2C513"},
};

static void chains_the_preauth_hash(void **state)
{
    uint8_t hash[SMB2_PREAUTH_SIZE] = {0}, message[1024];

    (void)state;
    for (size_t i = 0; i < sizeof preauth_messages / sizeof *preauth_messages; i++) {
        size_t length = unhex(preauth_messages[i][0], message, sizeof message);
        struct smb2_part parts[] = {{message, 64}, {message + 64, 0}, {message + 64, length - 64}};

        CHECK(smb2_preauth_update(hash, parts, 3));
        assert_hex(hash, sizeof hash, preauth_messages[i][1]);
    }
}

/* ---- MACs ---- */

static struct smb2_key *signing_key(enum smb2_signing signing, const char *hex)
{
    uint8_t bytes[SMB2_KEY_SIZE];
    struct smb2_key *key;

    assert_int_equal(unhex(hex, bytes, sizeof bytes), sizeof bytes);
    CHECK(smb2_key_new_signing(signing, bytes, &key));
    return key;
}

static const struct {
    enum smb2_signing signing;
    const char *key, *nonce, *message, *mac;
} macs[] = {
    /* RFC 4493 4 */
    {SMB2_SIGNING_AES_CMAC, "2b7e151628aed2a6abf7158809cf4f3c", "", "", "bb1d6929e95937287fa37d129b756746"},
    {SMB2_SIGNING_AES_CMAC, "2b7e151628aed2a6abf7158809cf4f3c", "", "6bc1bee22e409f96e93d7e117393172a",
     "070a16b46b4d4144f79bdd9dd04a287c"},
    {SMB2_SIGNING_AES_CMAC, "2b7e151628aed2a6abf7158809cf4f3c", "",
     "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411",
     "dfa66747de9ae63030ca32611497c827"},
    {SMB2_SIGNING_AES_CMAC, "2b7e151628aed2a6abf7158809cf4f3c", "",
     "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
     "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
     "51f0bebf7e3b9d92fc49741779363cfe"},
    /* NIST CAVP gcmEncryptExtIV128, no plaintext, AAD of 128 bits */
    {SMB2_SIGNING_AES_GMAC, "77be63708971c4e240d1cb79e8d77feb", "e0e00f19fed7ba0136a797f3",
     "7a43ec1d9c0a5a78a0b16533a6213cab", "209fcc8d3675ed938e9c7166709dd946"},
    /* The GCM specification's test case 1: nothing at all */
    {SMB2_SIGNING_AES_GMAC, "00000000000000000000000000000000", "000000000000000000000000", "",
     "58e2fccefa7e3061367f1d57a4e7455a"},
    /* RFC 4231 4.3, whose key is padded with zeros anyway (RFC 2104 2) */
    {SMB2_SIGNING_HMAC_SHA256, "4a656665000000000000000000000000", "",
     "7768617420646f2079612077616e7420666f72206e6f7468696e673f", "5bdcc146bf60754e6a042426089575c7"},
};

static void makes_published_macs(void **state)
{
    uint8_t message[64], nonce[12], mac[SMB2_SIGNATURE_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof macs / sizeof *macs; i++) {
        struct smb2_key *key = signing_key(macs[i].signing, macs[i].key);
        size_t length = unhex(macs[i].message, message, sizeof message);

        unhex(macs[i].nonce, nonce, sizeof nonce);
        /* In one piece and in two, again and again with the same contexts. */
        for (size_t cut = 0; cut <= length; cut++) {
            struct smb2_engine *engine = smb2_engine_take(key);
            struct smb2_part parts[] = {{message, cut}, {message + cut, length - cut}};

            CHECK(smb2__mac(engine, nonce, parts, 2, mac));
            assert_hex(mac, sizeof mac, macs[i].mac);
            smb2_engine_give(&engine);
        }
        smb2_key_free(&key);
    }
}

/* A SESSION_SETUP response that Windows Server signed with AES-CMAC. */
static const char signed_by_windows[] =
    "FE534D4240000100000000000100800009000000000000000300000000000000FFFE000000000000"
    "1900000000100000EBE146DA120BA25FC3376A49DFE31BC10900000048001D00A11B3019A0030A01"
    "00A3120410010000003B453CDC3524164200000000";

static void verifies_what_windows_signed(void **state)
{
    struct smb2_key *key = signing_key(SMB2_SIGNING_AES_CMAC, "73FE7A9A77BEF0BDE49C650D8CCB5F76");
    struct smb2_engine *engine = smb2_engine_take(key);
    uint8_t message[256];
    size_t length = unhex(signed_by_windows, message, sizeof message);
    struct smb2_part part = {message, length};

    (void)state;
    assert_true(smb2_verify(engine, &part, 1));
    for (size_t i = 0; i < length; i++) {
        message[i] ^= 0x01;
        assert_false(smb2_verify(engine, &part, 1));
        message[i] ^= 0x01;
    }
    for (part.length = 0; part.length < length; part.length++)
        assert_false(smb2_verify(engine, &part, 1));
    part.length = length;
    assert_true(smb2_verify(engine, &part, 1));
    smb2_engine_give(&engine);
    smb2_key_free(&key);
}

static void make_message(uint8_t *message, size_t length)
{
    memset(message, 0, length);
    memcpy(message, "\xfeSMB\x40", 5);
    for (size_t i = 24; i < length; i++)
        message[i] = (uint8_t)(i * 11 + 5);
}

static void signs_and_verifies(void **state)
{
    static const enum smb2_signing all[] = {SMB2_SIGNING_HMAC_SHA256, SMB2_SIGNING_AES_CMAC,
                                            SMB2_SIGNING_AES_GMAC};
    uint8_t message[150];

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct smb2_key *key = signing_key(all[i], "000102030405060708090a0b0c0d0e0f");
        struct smb2_engine *engine = smb2_engine_take(key);
        struct smb2_part parts[3] = {{message, 64}, {message + 64, 0}, {message + 64, sizeof message - 64}};
        struct smb2_part whole = {message, sizeof message};

        make_message(message, sizeof message);
        CHECK(smb2_sign(engine, parts, 3, message + SMB2_SIGNATURE_OFFSET));
        assert_true(smb2_verify(engine, &whole, 1));
        for (size_t at = 0; at < sizeof message; at++) {
            message[at] ^= 0x80;
            assert_false(smb2_verify(engine, &whole, 1));
            message[at] ^= 0x80;
        }
        assert_true(smb2_verify(engine, parts, 3));
        assert_int_equal(smb2_sign(engine, parts, 0, message), ERR_INVAL);
        assert_int_equal(smb2_sign(engine, parts, SMB2_PARTS_MAX + 1, message), ERR_INVAL);
        smb2_engine_give(&engine);
        smb2_key_free(&key);
    }
}

/* MS-SMB2 3.1.4.1: who sends, and CANCEL, are in the nonce beside the message id. */
static void gmac_nonces_differ(void **state)
{
    static const struct {
        uint8_t command, flags, in_nonce;
    } cases[] = {{0, 0, 0}, {0, 1, 1}, {12, 0, 2}, {12, 1, 3}, {5, 0x09, 1}, {12, 8, 2}};
    struct smb2_key *key = signing_key(SMB2_SIGNING_AES_GMAC, "000102030405060708090a0b0c0d0e0f");
    struct smb2_engine *engine = smb2_engine_take(key);
    uint8_t message[64], nonce[12], signature[16], expected[16];
    struct smb2_part part = {message, sizeof message};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        make_message(message, sizeof message);
        message[12] = cases[i].command;
        message[16] = cases[i].flags;
        CHECK(smb2_sign(engine, &part, 1, signature));
        memset(message + SMB2_SIGNATURE_OFFSET, 0, SMB2_SIGNATURE_SIZE);
        memset(nonce, 0, sizeof nonce);
        memcpy(nonce, message + 24, 8);
        nonce[8] = cases[i].in_nonce;
        CHECK(smb2__mac(engine, nonce, &part, 1, expected));
        assert_memory_equal(signature, expected, sizeof expected);
    }
    smb2_engine_give(&engine);
    smb2_key_free(&key);
}

/* ---- encryption ---- */

static struct smb2_key *cipher_key(enum smb2_cipher cipher, bool encrypts, const char *hex)
{
    uint8_t bytes[SMB2_KEY_SIZE_MAX] = {0};
    struct smb2_key *key;

    unhex(hex, bytes, sizeof bytes);
    CHECK(smb2_key_new_cipher(cipher, encrypts, bytes, &key));
    return key;
}

#define WIDE_KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define COUNTED                                                                                              \
    "030a11181f262d343b424950575e656c737a81888f969da4abb2b9c0c7ced5dce3eaf1f8ff060d141b222930373e454c535a61" \
    "686f767d848b9299a0a7aeb5bcc3cad1d8dfe6edf4fb020910171e252c333a41484f565d646b727980878e959ca3aab1b8"

/* The first four: from Windows. The others: AES from another binding of the ciphers, 100 bytes, one key. */
static const struct {
    enum smb2_cipher cipher;
    const char *key, *message, *plain;
} encrypted[] = {
    {SMB2_CIPHER_AES128_CCM, "261B72350558F2E9DCF613070383EDBF",
     "FD534D4281A286535415445DAE393921E44FA42E66E69A111892584FB5ED524A"
     "744DA3EE87000000000001001100001400E4080025C8FEE16605A437832D1CD5"
     "2DA9F4645333482A175FE5384563F45FCDAFAEF38BC62BA4D5C62897996625A4"
     "4C29BE5658DE2E6117585779E7B59FFD971278D08580D7FA899E410E910EABF5"
     "AA1DB43050B33B49182637759AC15D84BFCDF5B6B238993C0F4CF4D6012023F6"
     "C627297075D84B7803912D0A9639634453595EF3E33FFE4E7AC2AB",
     "FE534D4240000100000000000900400008000000000000000400000000000000"
     "FFFE0000010000001100001400E4080000000000000000000000000000000000"
     "3100700017000000000000000000000015010000390000020100000039020000"
     "00000000000000007000000000000000536D623320656E6372797074696F6E20"
     "74657374696E67"},
    {SMB2_CIPHER_AES128_CCM, "8FE2B57EC34D2DB5B1A9727F526BBDB5",
     "FD534D42A6015530A18F6D9AFFE22AFAE8E66484860000000000000011000014"
     "00E4080050000000000001001100001400E40800DBF46435C5F14169293CE079"
     "E344479BF670227E49873F458672C3098DAC467DD5809F369D67409166515787"
     "1483E01F7BECD02064EAC3E235F913668BBC2F097980D4B378F1993EFF6E60D1"
     "77309E5B",
     "FE534D4240000100000000000900210009000000000000000400000000000000"
     "FFFE0000010000001100001400E4080000000000000000000000000000000000"
     "11000000170000000000000000000000"},
    {SMB2_CIPHER_AES128_GCM, "A2F5E80E5D59103034F32E52F698E5EC",
     "FD534D42BD73D97D2BC9001BCAFAC0FDFF5FEEBCC7D6822D269CAF48904C664C0000000087000000"
     "0000010025000000001000006ECDD2A7AFC7B47763057A041B8FD4DAFFE990B70C9E09D36C084E02"
     "D14EF247F8BDE38ACF6256F8B1D3B56F77FBDEB312FEA5E92CBCC1ED8FB2EBBFAA75E49A4A394BB4"
     "4576545567C24D4C014D47C9FBDFDAFD2C4F9B72F8D256452620A299F48E29E53D6B61D1C13A19E9"
     "1AF013F00D17E3ABC2FC3D36C8C1B6B93973253852DBD442E46EE8",
     "FE534D4240000100000000000900010008000000000000000500000000000000FFFE000001000000"
     "25000000001000000000000000000000000000000000000031007000170000000000000000000000"
     "0600000004000000010000000400000000000000000000007000000000000000536D623320656E63"
     "72797074696F6E2074657374696E67"},
    {SMB2_CIPHER_AES128_GCM, "748C50868C90F302962A5C35F5F9A8BF",
     "FD534D42ACBE1CB7ED343ADF1725EF144D90D4B0E06831DD2E8EB7B4000000000000000050000000"
     "00000100250000000010000026BBBF949983A6C1C796559D0F2C510CB651D1F7B6AC8DED32A2A0B8"
     "F2D793A815C6F6B848D69767A215841A42D400AE6DDB5F0B44173A014973321FDD7950DA6179159B"
     "82E03C9E18A050FF0EA1C967",
     "FE534D4240000100000000000900010001000000000000000500000000000000FFFE000001000000"
     "25000000001000000000000000000000000000000000000011000000170000000000000000000000"},
    {SMB2_CIPHER_AES256_CCM, WIDE_KEY,
     "fd534d42bfa311798492a5f009ba10095974c267a0a1a2a3a4a5a6a7a8a9aaabacadaeaf6400000000000100887766554433221"
     "1"
     "9bab5297ee74d97ad3b97ca261bbd185b9b6df5116a70ff45939f4ed86f7f0a8b2dddfe69f3c7cdb4cc2f8835e27f7fcd1dac33"
     "b"
     "91daa3cf0d42bcf69622c5bf99803044a90b961f5a30cd8cfce79ff3b95b361bd2a4d9ab88cd908c76132c6449addf82",
     COUNTED},
    {SMB2_CIPHER_AES256_GCM, WIDE_KEY,
     "fd534d42cf1eaea427e3c4742a43515a3cac66fca0a1a2a3a4a5a6a7a8a9aaabacadaeaf6400000000000100887766554433221"
     "1"
     "e5126d355aed2f8b5927ce835024a5b203d6d8981d21dfc837bc9f46b865a0dd319cb60750245e2944be2df83e44c6b51441272"
     "00"
     "da667facacc92fe03de300c777654b7ef4309140fe0f60898d0e996fe31eaec8a97c41e8507471a3614d8082c2e9a13",
     COUNTED},
};

static void encrypts_in_place(struct smb2_key *key, const struct smb2_transform *transform,
                              const uint8_t *plain, size_t length, const uint8_t *message)
{
    struct smb2_engine *engine = smb2_engine_take(key);
    uint8_t out[512];
    struct smb2_part part = {out + SMB2_TRANSFORM_SIZE, length};

    memcpy(out + SMB2_TRANSFORM_SIZE, plain, length);
    CHECK(smb2_encrypt(engine, transform->session_id, transform->nonce, &part, 1, out));
    assert_memory_equal(out, message, SMB2_TRANSFORM_SIZE + length);
    smb2_engine_give(&engine);
}

static void encrypts_as_published(void **state)
{
    uint8_t message[512], plain[512], out[512];
    struct smb2_transform transform;

    (void)state;
    for (size_t i = 0; i < sizeof encrypted / sizeof *encrypted; i++) {
        struct smb2_key *key = cipher_key(encrypted[i].cipher, true, encrypted[i].key);
        size_t length = unhex(encrypted[i].message, message, sizeof message);
        size_t plain_length = unhex(encrypted[i].plain, plain, sizeof plain);

        CHECK(smb2_transform_read(message, length, &transform));
        assert_int_equal(transform.original_size, plain_length);
        for (size_t cut = 0; cut <= plain_length; cut += 9) {
            struct smb2_engine *engine = smb2_engine_take(key);
            struct smb2_part parts[] = {{plain, cut}, {plain + cut, plain_length - cut}};

            CHECK(smb2_encrypt(engine, transform.session_id, transform.nonce, parts, 2, out));
            assert_memory_equal(out, message, length);
            smb2_engine_give(&engine);
        }
        encrypts_in_place(key, &transform, plain, plain_length, message);
        smb2_key_free(&key);
    }
}

static void decrypts_and_notices(void **state)
{
    uint8_t message[512], plain[512], out[512];

    (void)state;
    for (size_t i = 0; i < sizeof encrypted / sizeof *encrypted; i++) {
        struct smb2_key *key = cipher_key(encrypted[i].cipher, false, encrypted[i].key);
        struct smb2_engine *engine = smb2_engine_take(key);
        size_t length = unhex(encrypted[i].message, message, sizeof message);
        size_t plain_length = unhex(encrypted[i].plain, plain, sizeof plain);
        uint8_t *text = message + SMB2_TRANSFORM_SIZE;

        CHECK(smb2_decrypt(engine, message, text, plain_length, out));
        assert_memory_equal(out, plain, plain_length);
        for (size_t at = 4; at < length; at++) {
            /* Of the nonce, what the cipher does not use is authenticated all the same. */
            message[at] ^= 0x10;
            assert_int_equal(smb2_decrypt(engine, message, text, plain_length, out), ERR_ACCES);
            assert_int_equal(out[0], 0);
            message[at] ^= 0x10;
        }
        for (size_t cut = 1; cut < plain_length; cut++)
            assert_int_equal(smb2_decrypt(engine, message, text, cut, out), ERR_ACCES);
        assert_int_equal(smb2_decrypt(engine, message, text, 0, out), ERR_INVAL);
        /* In place, after all those failures. */
        CHECK(smb2_decrypt(engine, message, text, plain_length, text));
        assert_memory_equal(text, plain, plain_length);
        smb2_engine_give(&engine);
        smb2_key_free(&key);
    }
}

static void reads_transform_headers(void **state)
{
    uint8_t message[512];
    struct smb2_transform transform;
    size_t length = unhex(encrypted[0].message, message, sizeof message);

    (void)state;
    CHECK(smb2_transform_read(message, length, &transform));
    assert_int_equal(transform.session_id, 0x8E40014000011);
    for (size_t cut = 0; cut < length; cut++)
        assert_int_equal(smb2_transform_read(message, cut, &transform), ERR_BADXDR);
    assert_int_equal(smb2_transform_read(message, length + 1, &transform), ERR_BADXDR);
    message[42] = 2; /* Flags */
    assert_int_equal(smb2_transform_read(message, length, &transform), ERR_BADXDR);
    message[42] = 1;
    message[0] = 0xfe;
    assert_int_equal(smb2_transform_read(message, length, &transform), ERR_BADXDR);
}

/* ---- keys and engines ---- */

static void nonces_never_repeat(void **state)
{
    struct smb2_key *key = cipher_key(SMB2_CIPHER_AES128_CCM, true, "00");
    uint8_t nonce[SMB2_NONCE_SIZE], last[SMB2_NONCE_SIZE] = {0};

    (void)state;
    for (int i = 0; i < 1000; i++) {
        CHECK(smb2_key_nonce(key, nonce));
        assert_memory_not_equal(nonce, last, 8);
        assert_memory_equal(nonce + 8, last + 8, 8);
        memcpy(last, nonce, sizeof last);
    }
    assert_hex(nonce, 3, "E80300");
    smb2_key_free(&key);
}

/* An engine that is still with a worker outlives its key's owner; idle ones are kept within bounds. */
static void engines_outlive_their_owner(void **state)
{
    struct smb2_key *key = signing_key(SMB2_SIGNING_HMAC_SHA256, "000102030405060708090a0b0c0d0e0f");
    struct smb2_engine *engines[10], *again;
    uint8_t message[64] = {0}, first[16], second[16];
    struct smb2_part part = {message, sizeof message};

    (void)state;
    for (size_t i = 0; i < 10; i++)
        assert_non_null(engines[i] = smb2_engine_take(key));
    for (size_t i = 1; i < 10; i++)
        smb2_engine_give(&engines[i]);
    again = smb2_engine_take(key);
    assert_non_null(again);
    assert_ptr_not_equal(again, engines[0]);
    smb2_key_free(&key);
    assert_null(key);
    CHECK(smb2_sign(engines[0], &part, 1, first));
    CHECK(smb2_sign(again, &part, 1, second));
    assert_memory_equal(first, second, sizeof first);
    smb2_engine_give(&engines[0]);
    smb2_engine_give(&again);
    smb2_engine_give(&again);
    smb2_key_free(&key);
}

static void unknown_ciphers_are_refused(void **state)
{
    uint8_t bytes[SMB2_KEY_SIZE_MAX] = {0};
    struct smb2_key *key = NULL;

    (void)state;
    assert_int_equal(smb2_key_new_cipher(SMB2_CIPHER_NONE, true, bytes, &key), ERR_NOTSUPP);
    assert_null(key);
}

/* ---- two libraries ---- */

static int refuse_gcm(void **state)
{
    (void)state;
    smb2__gcm_allow(false);
    return 0;
}

static int allow_gcm(void **state)
{
    (void)state;
    smb2__gcm_allow(true);
    return 0;
}

enum { AGREE_MAX = 70000 };

/* A key whose engine is libcrypto's, or what smb2_gcm.h gives. */
static struct smb2_key *key_of(bool gcm, bool signs, bool encrypts, enum smb2_cipher cipher)
{
    static const uint8_t bytes[SMB2_KEY_SIZE_MAX] = "a key of thirty-two bytes, or 16";
    struct smb2_key *key;

    smb2__gcm_allow(gcm);
    if (signs)
        CHECK(smb2_key_new_signing(SMB2_SIGNING_AES_GMAC, bytes, &key));
    else
        CHECK(smb2_key_new_cipher(cipher, encrypts, bytes, &key));
    smb2__gcm_allow(true);
    return key;
}

static void sign_with(struct smb2_key *key, const struct smb2_part *parts, uint8_t *signature)
{
    struct smb2_engine *engine = smb2_engine_take(key);

    assert_non_null(engine);
    CHECK(smb2_sign(engine, parts, 3, signature));
    smb2_engine_give(&engine);
}

/* What one has encrypted the other decrypts, in place; not when a bit was changed. */
static void pass_on(struct smb2_key *from, struct smb2_key *to, const struct smb2_part *parts, size_t length)
{
    static uint8_t plain[AGREE_MAX], message[SMB2_TRANSFORM_SIZE + AGREE_MAX];
    uint8_t nonce[SMB2_NONCE_SIZE];
    struct smb2_engine *engine = smb2_engine_take(from);
    size_t at = 0;

    assert_non_null(engine);
    CHECK(smb2_key_nonce(from, nonce));
    CHECK(smb2_encrypt(engine, 7, nonce, parts, 3, message));
    smb2_engine_give(&engine);
    engine = smb2_engine_take(to);
    assert_non_null(engine);
    message[SMB2_TRANSFORM_SIZE + length / 2] ^= 1;
    assert_int_equal(smb2_decrypt(engine, message, message + SMB2_TRANSFORM_SIZE, length, plain), ERR_ACCES);
    message[SMB2_TRANSFORM_SIZE + length / 2] ^= 1;
    CHECK(
        smb2_decrypt(engine, message, message + SMB2_TRANSFORM_SIZE, length, message + SMB2_TRANSFORM_SIZE));
    smb2_engine_give(&engine);
    for (int i = 0; i < 3; i++) {
        assert_memory_equal(message + SMB2_TRANSFORM_SIZE + at, parts[i].data, parts[i].length);
        at += parts[i].length;
    }
}

static void libraries_agree(void **state)
{
    static const enum smb2_cipher ciphers[] = {SMB2_CIPHER_AES128_GCM, SMB2_CIPHER_AES256_GCM};
    static uint8_t bytes[AGREE_MAX];
    struct smb2_key *signs[2], *encrypts[2][2], *decrypts[2][2];

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 31 + i / 251);
    for (int gcm = 0; gcm < 2; gcm++) {
        signs[gcm] = key_of(gcm, true, false, SMB2_CIPHER_NONE);
        for (int c = 0; c < 2; c++) {
            encrypts[c][gcm] = key_of(gcm, false, true, ciphers[c]);
            decrypts[c][gcm] = key_of(gcm, false, false, ciphers[c]);
        }
    }
    for (size_t length = SMB2_HEADER_SIZE; length < AGREE_MAX; length += length < 700 ? 1 : length / 3 + 5) {
        size_t cut = SMB2_HEADER_SIZE + length % 5 * (length - SMB2_HEADER_SIZE) / 5;
        struct smb2_part parts[] = {{bytes, SMB2_HEADER_SIZE},
                                    {bytes + SMB2_HEADER_SIZE, cut - SMB2_HEADER_SIZE},
                                    {bytes + cut, length - cut}};
        uint8_t signatures[2][SMB2_SIGNATURE_SIZE];

        sign_with(signs[0], parts, signatures[0]);
        sign_with(signs[1], parts, signatures[1]);
        assert_memory_equal(signatures[0], signatures[1], SMB2_SIGNATURE_SIZE);
        for (int c = 0; c < 2; c++) {
            pass_on(encrypts[c][0], decrypts[c][1], parts, length);
            pass_on(encrypts[c][1], decrypts[c][0], parts, length);
        }
    }
    for (int gcm = 0; gcm < 2; gcm++) {
        smb2_key_free(&signs[gcm]);
        for (int c = 0; c < 2; c++) {
            smb2_key_free(&encrypts[c][gcm]);
            smb2_key_free(&decrypts[c][gcm]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kdf_is_bounded),
        cmocka_unit_test(derives_keys),
        cmocka_unit_test(derives_wide_keys),
        cmocka_unit_test(chains_the_preauth_hash),
        cmocka_unit_test(makes_published_macs),
        cmocka_unit_test(verifies_what_windows_signed),
        cmocka_unit_test(signs_and_verifies),
        cmocka_unit_test(gmac_nonces_differ),
        cmocka_unit_test(encrypts_as_published),
        cmocka_unit_test(decrypts_and_notices),
        cmocka_unit_test(reads_transform_headers),
        cmocka_unit_test(nonces_never_repeat),
        cmocka_unit_test(engines_outlive_their_owner),
        cmocka_unit_test(unknown_ciphers_are_refused),
        cmocka_unit_test(libraries_agree),
    };

    /* With libcrypto alone, and with what is used in its place where that can be. */
    int failed = cmocka_run_group_tests_name("libcrypto", tests, refuse_gcm, allow_gcm);

    return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
