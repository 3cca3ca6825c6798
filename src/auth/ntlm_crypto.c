/*
 * ntlm_crypto.c - MD4, HMAC-MD5, RC4, signing and sealing (MS-NLMP 3.3.2, 3.4).
 *
 * libcrypto has MD4 and RC4 in its legacy provider, which is not loaded by default. It is loaded into a
 * library context of our own, so that nothing else of the process can use these by accident. On Debian 12 the
 * provider is part of libssl3, the package of the library itself: where one is, the other is; so no
 * MD4 of our own is kept. A system that has taken it out gets a clear line at the start.
 */
#include "auth/ntlm_crypto_priv.h"
#include "auth/identity_priv.h"
#include "auth/ntlm_message_priv.h"
#include "dittofs/hash.h"
#include "dittofs/log.h"
#include "dittofs/ntlm.h"
#include "dittofs/utf16.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <pthread.h>
#include <string.h>

enum { PASSWORD_CHARACTERS_MAX = 256, SIGNATURE_VERSION = 1, CHECKSUM = 8 };

/* Made once, kept until the process ends. */
static struct {
    OSSL_LIB_CTX *context;
    EVP_MD *md4;
    EVP_MD *md5;
    EVP_CIPHER *rc4;
    EVP_MAC *hmac;
    bool usable;
} library;

static void library_open(void)
{
    library.context = OSSL_LIB_CTX_new();
    if (library.context != NULL && OSSL_PROVIDER_load(library.context, "default") != NULL &&
        OSSL_PROVIDER_load(library.context, "legacy") != NULL) {
        library.md4 = EVP_MD_fetch(library.context, "MD4", NULL);
        library.md5 = EVP_MD_fetch(library.context, "MD5", NULL);
        library.rc4 = EVP_CIPHER_fetch(library.context, "RC4", NULL);
        library.hmac = EVP_MAC_fetch(library.context, "HMAC", NULL);
    }
    library.usable =
        library.md4 != NULL && library.md5 != NULL && library.rc4 != NULL && library.hmac != NULL;
    if (!library.usable)
        log_error("NTLM can't be used: libcrypto's legacy provider (MD4, RC4) is missing");
}

enum err cred_ntlm_prepare(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, library_open);
    return library.usable ? ERR_OK : ERR_NOTSUPP;
}

/* ---- the primitives ---- */

static enum err digest(EVP_MD *md, const struct ntlm__piece *pieces, size_t count, uint8_t digest_r[16])
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned length = 0;
    bool ok = context != NULL && EVP_DigestInit_ex(context, md, NULL) == 1;

    for (size_t i = 0; ok && i < count; i++)
        ok = EVP_DigestUpdate(context, pieces[i].data, pieces[i].length) == 1;
    ok = ok && EVP_DigestFinal_ex(context, digest_r, &length) == 1 && length == 16;
    EVP_MD_CTX_free(context);
    return ok ? ERR_OK : ERR_NOMEM;
}

enum err ntlm__md4(const void *data, size_t length, uint8_t digest_r[16])
{
    struct ntlm__piece piece = {data, length};
    enum err err = cred_ntlm_prepare();

    return err == ERR_OK ? digest(library.md4, &piece, 1, digest_r) : err;
}

enum err ntlm__hmac_md5(const uint8_t key[NTLM__KEY], const struct ntlm__piece *pieces, size_t count,
                        uint8_t mac_r[16])
{
    char name[] = "MD5";
    OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
                               OSSL_PARAM_construct_end()};
    enum err err = cred_ntlm_prepare();
    EVP_MAC_CTX *context;
    size_t length = 0;
    bool ok;

    if (err != ERR_OK)
        return err;
    context = EVP_MAC_CTX_new(library.hmac);
    ok = context != NULL && EVP_MAC_init(context, key, NTLM__KEY, parameters) == 1;
    for (size_t i = 0; ok && i < count; i++)
        ok = EVP_MAC_update(context, pieces[i].data, pieces[i].length) == 1;
    ok = ok && EVP_MAC_final(context, mac_r, &length, 16) == 1 && length == 16;
    EVP_MAC_CTX_free(context);
    return ok ? ERR_OK : ERR_NOMEM;
}

static EVP_CIPHER_CTX *rc4_open(const uint8_t key[NTLM__KEY])
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();

    if (context != NULL && EVP_EncryptInit_ex(context, library.rc4, NULL, key, NULL) == 1)
        return context;
    EVP_CIPHER_CTX_free(context);
    return NULL;
}

static bool rc4_run(EVP_CIPHER_CTX *context, const void *in, size_t length, void *out)
{
    int done;

    return length == 0 || (length <= INT_MAX && EVP_EncryptUpdate(context, out, &done, in, (int)length) == 1);
}

enum err ntlm__rc4(const uint8_t key[NTLM__KEY], const void *in, size_t length, void *out)
{
    enum err err = cred_ntlm_prepare();
    EVP_CIPHER_CTX *context;

    if (err != ERR_OK)
        return err;
    context = rc4_open(key);
    if (context == NULL || !rc4_run(context, in, length, out))
        err = ERR_NOMEM;
    EVP_CIPHER_CTX_free(context);
    return err;
}

/* ---- password hashes ---- */

enum err cred_nt_hash(const char *password, uint8_t hash_r[IDENT_NT_HASH_SIZE])
{
    uint8_t text[2 * PASSWORD_CHARACTERS_MAX];
    struct writer writer;
    enum err err;

    writer_init(&writer, text, sizeof text);
    if (!utf16_from_utf8(&writer, password, strlen(password)))
        err = ERR_BADCHAR;
    else if (writer.failed)
        err = ERR_NAMETOOLONG;
    else
        err = ntlm__md4(text, writer.length, hash_r);
    OPENSSL_cleanse(text, sizeof text);
    return err;
}

enum err ntlm__owf_v2(const uint8_t nt_hash[16], const uint8_t *user, size_t user_length,
                      const uint8_t *domain, size_t domain_length, uint8_t owf_r[NTLM__KEY])
{
    uint8_t upper[2 * NTLM__USER_MAX];
    struct reader reader = reader_of(user, user_length);
    struct ntlm__piece pieces[2];
    struct writer writer;
    uint16_t unit;

    writer_init(&writer, upper, sizeof upper);
    while (reader_le16(&reader, &unit))
        writer_le16(&writer, ident__upper(unit));
    if (writer.failed || !reader_is_done(&reader))
        return ERR_INVAL;
    pieces[0] = (struct ntlm__piece){upper, writer.length};
    pieces[1] = (struct ntlm__piece){domain, domain_length};
    return ntlm__hmac_md5(nt_hash, pieces, 2, owf_r);
}

/* ---- signing and sealing ---- */

/* MS-NLMP 3.4.5.2, 3.4.5.3: with their terminating zero. */
static const char client_sign[] = "session key to client-to-server signing key magic constant";
static const char server_sign[] = "session key to server-to-client signing key magic constant";
static const char client_seal[] = "session key to client-to-server sealing key magic constant";
static const char server_seal[] = "session key to server-to-client sealing key magic constant";

enum err ntlm__seal_open(struct ntlm__seal *seal, uint32_t flags, const uint8_t session_key[NTLM__KEY],
                         bool from_client)
{
    struct ntlm__piece sign[] = {{session_key, NTLM__KEY},
                                 {from_client ? client_sign : server_sign, sizeof client_sign}};
    struct ntlm__piece sealing[] = {{session_key, NTLM__KEY},
                                    {from_client ? client_seal : server_seal, sizeof client_seal}};
    uint8_t key[NTLM__KEY];
    enum err err = cred_ntlm_prepare();

    *seal = (struct ntlm__seal){.encrypts_signature = (flags & NTLM__NEGOTIATE_KEY_EXCH) != 0};
    if (err != ERR_OK)
        return err;
    /* MS-NLMP 3.4.5.3: of the session key, as many bits as were negotiated. */
    if (!(flags & NTLM__NEGOTIATE_128))
        sealing[0].length = flags & NTLM__NEGOTIATE_56 ? 7 : 5;
    err = digest(library.md5, sign, 2, seal->sign_key);
    if (err == ERR_OK)
        err = digest(library.md5, sealing, 2, key);
    if (err == ERR_OK) {
        seal->rc4 = rc4_open(key);
        err = seal->rc4 != NULL ? ERR_OK : ERR_NOMEM;
    }
    OPENSSL_cleanse(key, sizeof key);
    return err;
}

void ntlm__seal_close(struct ntlm__seal *seal)
{
    EVP_CIPHER_CTX_free(seal->rc4);
    OPENSSL_cleanse(seal, sizeof *seal);
}

/* MS-NLMP 3.4.4.2 MAC */
enum err ntlm__sign(struct ntlm__seal *seal, const void *data, size_t length,
                    uint8_t signature_r[NTLM__SIGNATURE])
{
    uint8_t sequence[4], mac[16];
    struct ntlm__piece pieces[] = {{sequence, sizeof sequence}, {data, length}};
    struct writer writer;
    enum err err;

    writer_init(&writer, sequence, sizeof sequence);
    writer_le32(&writer, seal->sequence);
    err = ntlm__hmac_md5(seal->sign_key, pieces, 2, mac);
    if (err != ERR_OK)
        return err;
    if (seal->encrypts_signature && !rc4_run(seal->rc4, mac, CHECKSUM, mac))
        return ERR_NOMEM;
    writer_init(&writer, signature_r, NTLM__SIGNATURE);
    writer_le32(&writer, SIGNATURE_VERSION);
    writer_bytes(&writer, mac, CHECKSUM);
    writer_le32(&writer, seal->sequence);
    seal->sequence++;
    return ERR_OK;
}

bool ntlm__verify(struct ntlm__seal *seal, const void *data, size_t length,
                  const uint8_t signature[NTLM__SIGNATURE])
{
    uint8_t expected[NTLM__SIGNATURE];

    return ntlm__sign(seal, data, length, expected) == ERR_OK &&
           constant_time_equal(expected, signature, sizeof expected);
}

enum err ntlm__seal(struct ntlm__seal *seal, void *data, size_t length, uint8_t signature_r[NTLM__SIGNATURE])
{
    /* The data is encrypted first, its checksum after it with the same stream, over what it was. */
    struct ntlm__seal plain = *seal;
    enum err err;

    plain.encrypts_signature = false;
    err = ntlm__sign(&plain, data, length, signature_r);
    if (err == ERR_OK && !rc4_run(seal->rc4, data, length, data))
        err = ERR_NOMEM;
    if (err == ERR_OK && seal->encrypts_signature &&
        !rc4_run(seal->rc4, signature_r + sizeof(uint32_t), CHECKSUM, signature_r + sizeof(uint32_t)))
        err = ERR_NOMEM;
    seal->sequence++;
    OPENSSL_cleanse(&plain, sizeof plain);
    return err;
}

bool ntlm__unseal(struct ntlm__seal *seal, void *data, size_t length,
                  const uint8_t signature[NTLM__SIGNATURE])
{
    return rc4_run(seal->rc4, data, length, data) && ntlm__verify(seal, data, length, signature);
}
