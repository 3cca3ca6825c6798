/*
 * smb2_keys.c - key derivation and the preauthentication hash (MS-SMB2 3.1.4.2, 3.3.5.4).
 */
#include "smb/smb2_crypto.h"
#include "dittofs/cursor.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

enum { DIALECT_300 = 0x0300, DIALECT_311 = 0x0311, KDF_INPUT_MAX = 128, SHA256_SIZE = 32 };

enum err smb2_kdf(const void *key, size_t key_length, const void *label, size_t label_length,
                  const void *context, size_t context_length, uint8_t *out, size_t out_length)
{
    uint8_t input[KDF_INPUT_MAX], block[SHA256_SIZE];
    size_t length = 4;
    unsigned block_length = 0;
    const void *done;

    if (out_length > sizeof block || label_length > sizeof input - 9 ||
        context_length > sizeof input - 9 - label_length || key_length > 64)
        return ERR_INVAL;
    /* SP800-108 5.1: K(1) = PRF(K, [1] | Label | 0x00 | Context | [L]); no more than one block is needed. */
    put_be32(input, 1);
    memcpy(input + length, label, label_length);
    length += label_length;
    input[length++] = 0;
    memcpy(input + length, context, context_length);
    length += context_length;
    put_be32(input + length, (uint32_t)out_length * 8);
    length += 4;
    done = HMAC(EVP_sha256(), key, (int)key_length, input, length, block, &block_length);
    if (done != NULL && block_length == sizeof block)
        memcpy(out, block, out_length);
    OPENSSL_cleanse(block, sizeof block);
    return done != NULL && block_length == sizeof block ? ERR_OK : ERR_NOMEM;
}

/* MS-SMB2 3.1.4.2, 3.3.5.5.3: labels and contexts, with their terminating zero. */
struct derivation {
    const char *label;
    size_t label_length;
    const char *context;
    size_t context_length;
};
enum purpose { SIGNING, APPLICATION, ENCRYPT, DECRYPT };

#define TEXT(literal) literal, sizeof(literal)

static const struct derivation derivations_300[] = {
    [SIGNING] = {TEXT("SMB2AESCMAC"), TEXT("SmbSign")},
    [APPLICATION] = {TEXT("SMB2APP"), TEXT("SmbRpc")},
    [ENCRYPT] = {TEXT("SMB2AESCCM"), TEXT("ServerOut")},
    [DECRYPT] = {TEXT("SMB2AESCCM"), TEXT("ServerIn ")},
};
static const struct derivation derivations_311[] = {
    [SIGNING] = {TEXT("SMBSigningKey"), NULL, SMB2_PREAUTH_SIZE},
    [APPLICATION] = {TEXT("SMBAppKey"), NULL, SMB2_PREAUTH_SIZE},
    [ENCRYPT] = {TEXT("SMBS2CCipherKey"), NULL, SMB2_PREAUTH_SIZE},
    [DECRYPT] = {TEXT("SMBC2SCipherKey"), NULL, SMB2_PREAUTH_SIZE},
};

static enum err derive(const struct derivation *how, const void *preauth, const uint8_t *key,
                       size_t key_length, uint8_t *out, size_t out_length)
{
    return smb2_kdf(key, key_length, how->label, how->label_length,
                    how->context != NULL ? how->context : preauth, how->context_length, out, out_length);
}

static enum err derive_all(const struct derivation *how, enum smb2_cipher cipher, const uint8_t *key,
                           const uint8_t *full_key, size_t full_length, const void *preauth,
                           struct smb2_keys *keys)
{
    bool wide = cipher == SMB2_CIPHER_AES256_CCM || cipher == SMB2_CIPHER_AES256_GCM;
    /* 256-bit ciphers derive from the whole of what GSS gave, the rest from its first 16 bytes. */
    const uint8_t *cipher_key = wide ? full_key : key;
    size_t cipher_key_length = wide ? full_length : SMB2_KEY_SIZE;
    size_t size = wide ? SMB2_KEY_SIZE_MAX : SMB2_KEY_SIZE;
    enum err err = derive(&how[SIGNING], preauth, key, SMB2_KEY_SIZE, keys->signing, SMB2_KEY_SIZE);

    if (err == ERR_OK)
        err = derive(&how[APPLICATION], preauth, key, SMB2_KEY_SIZE, keys->application, SMB2_KEY_SIZE);
    if (err == ERR_OK)
        err = derive(&how[ENCRYPT], preauth, cipher_key, cipher_key_length, keys->encrypt, size);
    if (err == ERR_OK)
        err = derive(&how[DECRYPT], preauth, cipher_key, cipher_key_length, keys->decrypt, size);
    return err;
}

enum err smb2_keys_derive(uint16_t dialect, enum smb2_cipher cipher, const uint8_t *session_key,
                          size_t session_key_length, const uint8_t preauth[SMB2_PREAUTH_SIZE],
                          struct smb2_keys *keys_r)
{
    struct smb2_keys keys = {0};
    uint8_t key[SMB2_KEY_SIZE] = {0};
    enum err err = ERR_OK;

    if (session_key_length == 0 || session_key_length > 64 || (dialect == DIALECT_311 && preauth == NULL))
        return ERR_INVAL;
    /* MS-SMB2 3.3.5.5.3: the first 16 bytes, padded with zeros on the right. */
    memcpy(key, session_key, session_key_length < sizeof key ? session_key_length : sizeof key);
    if (dialect < DIALECT_300) {
        memcpy(keys.signing, key, sizeof key);
        memcpy(keys.application, key, sizeof key);
    } else {
        err = derive_all(dialect == DIALECT_311 ? derivations_311 : derivations_300, cipher, key, session_key,
                         session_key_length, preauth, &keys);
    }
    if (err == ERR_OK)
        *keys_r = keys;
    smb2_keys_wipe(&keys);
    OPENSSL_cleanse(key, sizeof key);
    return err;
}

void smb2_keys_wipe(struct smb2_keys *keys)
{
    OPENSSL_cleanse(keys, sizeof *keys);
}

enum err smb2_preauth_update(uint8_t hash[SMB2_PREAUTH_SIZE], const struct smb2_part *parts, size_t count)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned length = 0;
    bool ok = context != NULL && EVP_DigestInit_ex(context, EVP_sha512(), NULL) == 1 &&
              EVP_DigestUpdate(context, hash, SMB2_PREAUTH_SIZE) == 1;

    for (size_t i = 0; ok && i < count; i++)
        ok = EVP_DigestUpdate(context, parts[i].data, parts[i].length) == 1;
    ok = ok && EVP_DigestFinal_ex(context, hash, &length) == 1 && length == SMB2_PREAUTH_SIZE;
    EVP_MD_CTX_free(context);
    return ok ? ERR_OK : ERR_NOMEM;
}
