/*
 * smb2_crypto.c - engines that sign and encrypt messages (MS-SMB2 3.1.4.1, 3.1.4.3, 3.1.5.1, 3.3.5.2.1.1).
 *
 * Ownership: a key lives while its owner or an engine refers to it; the count is the loop's. Idle engines
 * hang on the key without a reference and are freed with it.
 *
 * HMAC, CMAC, CCM are libcrypto's; so is GCM where smb2_gcm.c can't.
 *
 * Invariants: an engine's contexts have their key schedule from its making on, and each message sets only
 * what is new (nonce, tag). No nonce is used twice with a key that encrypts.
 */
#include "smb/smb2_crypto.h"
#include "smb/smb2_crypto_priv.h"
#include "smb/smb2_gcm.h"
#include "dittofs/cursor.h"
#include "dittofs/hash.h"
#include "dittofs/list.h"
#include "dittofs/log.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum { IDLE_MAX = 4, TAG_SIZE = 16, AAD_OFFSET = 20, AAD_SIZE = SMB2_TRANSFORM_SIZE - AAD_OFFSET };
enum { GCM_NONCE = 12, CCM_NONCE = 11, TRANSFORM_ENCRYPTED = 1, TRANSFORM_PROTOCOL = 0x424d53fd };
/* The header's fields that the nonce of AES-GMAC is made of (MS-SMB2 2.2.1). */
enum { COMMAND_OFFSET = 12, FLAGS_OFFSET = 16, MESSAGE_ID_OFFSET = 24, COMMAND_CANCEL = 12 };
enum { FLAGS_SERVER_TO_REDIR = 1, GMAC_FROM_SERVER = 1, GMAC_CANCEL = 2 };

struct smb2_key {
    bool signs;
    bool encrypts;
    enum smb2_signing signing;
    enum smb2_cipher cipher;
    uint8_t bytes[SMB2_KEY_SIZE_MAX];
    uint64_t nonces; /* given out */
    unsigned references;
    struct list idle;
    unsigned idle_count;
};

struct smb2_engine {
    struct smb2_key *key;
    struct list link;        /* in key->idle */
    EVP_MAC_CTX *mac;        /* HMAC, CMAC */
    struct smb2_gcm *gcm;    /* GMAC, and the ciphers with GCM; or NULL: */
    EVP_CIPHER_CTX *context; /* all ciphers, and GMAC */
};

/* ---- making ---- */

static bool is_ccm(const struct smb2_key *key)
{
    return !key->signs && (key->cipher == SMB2_CIPHER_AES128_CCM || key->cipher == SMB2_CIPHER_AES256_CCM);
}

static const EVP_CIPHER *cipher_of(const struct smb2_key *key)
{
    if (key->signs)
        return EVP_aes_128_gcm();
    switch (key->cipher) {
    case SMB2_CIPHER_AES128_CCM:
        return EVP_aes_128_ccm();
    case SMB2_CIPHER_AES128_GCM:
        return EVP_aes_128_gcm();
    case SMB2_CIPHER_AES256_CCM:
        return EVP_aes_256_ccm();
    case SMB2_CIPHER_AES256_GCM:
        return EVP_aes_256_gcm();
    case SMB2_CIPHER_NONE:
        break;
    }
    return NULL;
}

static bool prepare_mac(struct smb2_engine *engine)
{
    bool hmac = engine->key->signing == SMB2_SIGNING_HMAC_SHA256;
    char name[] = "AES-128-CBC", digest[] = "SHA256";
    OSSL_PARAM parameters[] = {
        hmac ? OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0)
             : OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, name, 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_MAC *mac = EVP_MAC_fetch(NULL, hmac ? "HMAC" : "CMAC", NULL);

    if (mac != NULL)
        engine->mac = EVP_MAC_CTX_new(mac);
    EVP_MAC_free(mac);
    return engine->mac != NULL &&
           EVP_MAC_init(engine->mac, engine->key->bytes, SMB2_KEY_SIZE, parameters) == 1;
}

static bool prepare_cipher(struct smb2_engine *engine)
{
    const struct smb2_key *key = engine->key;
    const EVP_CIPHER *cipher = cipher_of(key);
    int encrypts = key->signs || key->encrypts;
    int nonce = is_ccm(key) ? CCM_NONCE : GCM_NONCE;

    if (cipher == EVP_aes_128_gcm() || cipher == EVP_aes_256_gcm())
        engine->gcm = smb2__gcm_new(key->bytes, (size_t)EVP_CIPHER_get_key_length(cipher));
    if (engine->gcm != NULL)
        return true;
    engine->context = EVP_CIPHER_CTX_new();
    if (engine->context == NULL || cipher == NULL ||
        EVP_CipherInit_ex(engine->context, cipher, NULL, NULL, NULL, encrypts) != 1 ||
        EVP_CIPHER_CTX_ctrl(engine->context, EVP_CTRL_AEAD_SET_IVLEN, nonce, NULL) != 1)
        return false;
    /* CCM has to know the tag's length before the key. */
    if (is_ccm(key) && EVP_CIPHER_CTX_ctrl(engine->context, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE, NULL) != 1)
        return false;
    return EVP_CipherInit_ex(engine->context, NULL, NULL, key->bytes, NULL, encrypts) == 1;
}

static void engine_free(struct smb2_engine *engine)
{
    EVP_MAC_CTX_free(engine->mac);
    EVP_CIPHER_CTX_free(engine->context);
    smb2__gcm_free(&engine->gcm);
    free(engine);
}

static struct smb2_engine *engine_new(struct smb2_key *key)
{
    struct smb2_engine *engine = calloc(1, sizeof *engine);
    bool mac = key->signs && key->signing != SMB2_SIGNING_AES_GMAC;

    if (engine == NULL)
        return NULL;
    engine->key = key;
    list_init(&engine->link);
    if (mac ? prepare_mac(engine) : prepare_cipher(engine))
        return engine;
    engine_free(engine);
    return NULL;
}

static void key_release(struct smb2_key *key)
{
    if (--key->references > 0)
        return;
    while (!list_is_empty(&key->idle)) {
        struct smb2_engine *engine = list_first(&key->idle, struct smb2_engine, link);
        list_remove(&engine->link);
        engine_free(engine);
    }
    OPENSSL_cleanse(key, sizeof *key);
    free(key);
}

/* Makes the first engine at once: what can't work shows here. */
static enum err key_new(const struct smb2_key *like, const uint8_t *bytes, size_t length,
                        struct smb2_key **key_r)
{
    struct smb2_key *key = calloc(1, sizeof *key);
    struct smb2_engine *engine;

    if (key == NULL)
        return ERR_NOMEM;
    *key = *like;
    memcpy(key->bytes, bytes, length);
    key->references = 1;
    list_init(&key->idle);
    engine = smb2_engine_take(key);
    if (engine == NULL) {
        key_release(key);
        return ERR_NOTSUPP;
    }
    smb2_engine_give(&engine);
    *key_r = key;
    return ERR_OK;
}

enum err smb2_key_new_signing(enum smb2_signing signing, const uint8_t key[SMB2_KEY_SIZE],
                              struct smb2_key **key_r)
{
    return key_new(&(struct smb2_key){.signs = true, .signing = signing}, key, SMB2_KEY_SIZE, key_r);
}

enum err smb2_key_new_cipher(enum smb2_cipher cipher, bool encrypts, const uint8_t *key,
                             struct smb2_key **key_r)
{
    bool wide = cipher == SMB2_CIPHER_AES256_CCM || cipher == SMB2_CIPHER_AES256_GCM;

    return key_new(&(struct smb2_key){.encrypts = encrypts, .cipher = cipher}, key,
                   wide ? SMB2_KEY_SIZE_MAX : SMB2_KEY_SIZE, key_r);
}

void smb2_key_free(struct smb2_key **key)
{
    if (*key != NULL)
        key_release(*key);
    *key = NULL;
}

struct smb2_engine *smb2_engine_take(struct smb2_key *key)
{
    struct smb2_engine *engine;

    if (list_is_empty(&key->idle)) {
        engine = engine_new(key);
    } else {
        engine = list_first(&key->idle, struct smb2_engine, link);
        list_remove(&engine->link);
        key->idle_count--;
    }
    if (engine != NULL)
        key->references++;
    return engine;
}

void smb2_engine_give(struct smb2_engine **engine)
{
    struct smb2_key *key;

    if (*engine == NULL)
        return;
    key = (*engine)->key;
    if (key->idle_count < IDLE_MAX) {
        list_push_front(&key->idle, &(*engine)->link);
        key->idle_count++;
    } else {
        engine_free(*engine);
    }
    *engine = NULL;
    key_release(key);
}

/* ---- signing ---- */

static bool mac_pass(EVP_MAC_CTX *mac, const struct smb2_part *parts, size_t count, uint8_t *signature)
{
    uint8_t out[EVP_MAX_MD_SIZE];
    size_t length = 0;
    /* No key: the one that the context has, from the start. */
    bool ok = EVP_MAC_init(mac, NULL, 0, NULL) == 1;

    for (size_t i = 0; ok && i < count; i++)
        ok = EVP_MAC_update(mac, parts[i].data, parts[i].length) == 1;
    ok = ok && EVP_MAC_final(mac, out, &length, sizeof out) == 1 && length >= SMB2_SIGNATURE_SIZE;
    /* HMAC-SHA256 is cut to 16 bytes (MS-SMB2 3.1.4.1). */
    if (ok)
        memcpy(signature, out, SMB2_SIGNATURE_SIZE);
    return ok;
}

/* Feeds data that is authenticated but not encrypted. */
static bool feed_aad(EVP_CIPHER_CTX *context, const void *data, size_t length)
{
    int done;

    return length == 0 ||
           (length <= INT_MAX && EVP_CipherUpdate(context, NULL, &done, data, (int)length) == 1);
}

static bool gmac_pass(EVP_CIPHER_CTX *context, const uint8_t *nonce, const struct smb2_part *parts,
                      size_t count, uint8_t *signature)
{
    uint8_t nothing[TAG_SIZE];
    int length = 0;
    bool ok = EVP_CipherInit_ex(context, NULL, NULL, NULL, nonce, -1) == 1;

    for (size_t i = 0; ok && i < count; i++)
        ok = feed_aad(context, parts[i].data, parts[i].length);
    return ok && EVP_CipherFinal_ex(context, nothing, &length) == 1 &&
           EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, signature) == 1;
}

enum err smb2__mac(struct smb2_engine *engine, const uint8_t *nonce, const struct smb2_part *parts,
                   size_t count, uint8_t signature_r[SMB2_SIGNATURE_SIZE])
{
    bool ok = true;

    invariant(engine->key->signs);
    if (engine->gcm != NULL)
        smb2__gcm_sign(engine->gcm, nonce, parts, count, signature_r);
    else if (engine->mac != NULL)
        ok = mac_pass(engine->mac, parts, count, signature_r);
    else
        ok = gmac_pass(engine->context, nonce, parts, count, signature_r);
    return ok ? ERR_OK : ERR_NOMEM;
}

/* MS-SMB2 3.1.4.1: the message id, a bit that the server sends, a bit that it is a CANCEL. */
static void gmac_nonce(const uint8_t *header, uint8_t nonce[GCM_NONCE])
{
    memset(nonce, 0, GCM_NONCE);
    memcpy(nonce, header + MESSAGE_ID_OFFSET, sizeof(uint64_t));
    if (header[FLAGS_OFFSET] & FLAGS_SERVER_TO_REDIR)
        nonce[8] |= GMAC_FROM_SERVER;
    if (header[COMMAND_OFFSET] == COMMAND_CANCEL && header[COMMAND_OFFSET + 1] == 0)
        nonce[8] |= GMAC_CANCEL;
}

enum err smb2_sign(struct smb2_engine *engine, const struct smb2_part *parts, size_t count,
                   uint8_t signature_r[SMB2_SIGNATURE_SIZE])
{
    static const uint8_t zeros[SMB2_SIGNATURE_SIZE];
    struct smb2_part pieces[SMB2_PARTS_MAX + 2];
    uint8_t nonce[GCM_NONCE];
    const uint8_t *header;

    if (count == 0 || count > SMB2_PARTS_MAX || parts[0].length < SMB2_HEADER_SIZE)
        return ERR_INVAL;
    header = parts[0].data;
    pieces[0] = (struct smb2_part){header, SMB2_SIGNATURE_OFFSET};
    pieces[1] = (struct smb2_part){zeros, sizeof zeros};
    pieces[2] = (struct smb2_part){header + SMB2_HEADER_SIZE, parts[0].length - SMB2_HEADER_SIZE};
    if (count > 1)
        memcpy(&pieces[3], &parts[1], (count - 1) * sizeof *parts);
    gmac_nonce(header, nonce);
    return smb2__mac(engine, nonce, pieces, count + 2, signature_r);
}

bool smb2_verify(struct smb2_engine *engine, const struct smb2_part *parts, size_t count)
{
    uint8_t signature[SMB2_SIGNATURE_SIZE];

    return smb2_sign(engine, parts, count, signature) == ERR_OK &&
           constant_time_equal(signature, (const uint8_t *)parts[0].data + SMB2_SIGNATURE_OFFSET,
                               sizeof signature);
}

/* ---- encryption ---- */

enum err smb2_transform_read(const void *message, size_t length, struct smb2_transform *transform_r)
{
    struct reader reader = reader_of(message, length);
    struct smb2_transform transform;
    uint32_t protocol;
    uint16_t reserved;

    if (!reader_le32(&reader, &protocol) || !reader_copy(&reader, transform.signature, SMB2_SIGNATURE_SIZE) ||
        !reader_copy(&reader, transform.nonce, SMB2_NONCE_SIZE) ||
        !reader_le32(&reader, &transform.original_size) || !reader_le16(&reader, &reserved) ||
        !reader_le16(&reader, &transform.flags) || !reader_le64(&reader, &transform.session_id))
        return ERR_BADXDR;
    /* MS-SMB2 3.3.5.2.1.1: only "encrypted" is defined; nothing may follow the one message. */
    if (protocol != (uint32_t)TRANSFORM_PROTOCOL || transform.flags != TRANSFORM_ENCRYPTED ||
        transform.original_size != reader.left || transform.original_size > INT_MAX ||
        transform.original_size < SMB2_HEADER_SIZE)
        return ERR_BADXDR;
    *transform_r = transform;
    return ERR_OK;
}

enum err smb2_key_nonce(struct smb2_key *key, uint8_t nonce_r[SMB2_NONCE_SIZE])
{
    struct writer writer;

    invariant(key->encrypts);
    if (key->nonces == UINT64_MAX)
        return ERR_LIMIT;
    key->nonces++;
    writer_init(&writer, nonce_r, SMB2_NONCE_SIZE);
    writer_le64(&writer, key->nonces);
    writer_zeros(&writer, SMB2_NONCE_SIZE - sizeof(uint64_t));
    return ERR_OK;
}

static size_t total_length(const struct smb2_part *parts, size_t count)
{
    size_t total = 0;

    for (size_t i = 0; i < count; i++)
        if (__builtin_add_overflow(total, parts[i].length, &total))
            return SIZE_MAX;
    return total;
}

/* The one call for the data that CCM allows; IN may be OUT. */
static bool ccm_pass(EVP_CIPHER_CTX *context, const uint8_t *aad, const uint8_t *in, size_t length,
                     uint8_t *out)
{
    int done;

    return EVP_CipherUpdate(context, NULL, &done, NULL, (int)length) == 1 &&
           feed_aad(context, aad, AAD_SIZE) && EVP_CipherUpdate(context, out, &done, in, (int)length) == 1;
}

static bool encrypt_parts(struct smb2_engine *engine, const uint8_t *header, const struct smb2_part *parts,
                          size_t count, size_t total, uint8_t *out, uint8_t *tag_r)
{
    const struct smb2_part aad = {header + AAD_OFFSET, AAD_SIZE};
    EVP_CIPHER_CTX *context = engine->context;
    uint8_t *at = out;
    int done;
    bool ok;

    if (engine->gcm != NULL) {
        smb2__gcm_encrypt(engine->gcm, header + AAD_OFFSET, &aad, parts, count, out, tag_r);
        return true;
    }
    if (EVP_CipherInit_ex(context, NULL, NULL, NULL, header + AAD_OFFSET, -1) != 1)
        return false;
    if (is_ccm(engine->key)) {
        for (size_t i = 0; i < count; i++) {
            if (parts[i].length > 0 && parts[i].data != at)
                memcpy(at, parts[i].data, parts[i].length);
            at += parts[i].length;
        }
        ok = ccm_pass(context, header + AAD_OFFSET, out, total, out);
        return ok && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, tag_r) == 1;
    }
    ok = feed_aad(context, header + AAD_OFFSET, AAD_SIZE);
    for (size_t i = 0; ok && i < count; i++) {
        ok = parts[i].length == 0 ||
             EVP_CipherUpdate(context, at, &done, parts[i].data, (int)parts[i].length) == 1;
        at += parts[i].length;
    }
    return ok && EVP_CipherFinal_ex(context, at, &done) == 1 &&
           EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, tag_r) == 1;
}

enum err smb2_encrypt(struct smb2_engine *engine, uint64_t session_id, const uint8_t nonce[SMB2_NONCE_SIZE],
                      const struct smb2_part *parts, size_t count, uint8_t *out)
{
    size_t total = total_length(parts, count);
    struct writer writer;

    invariant(!engine->key->signs && engine->key->encrypts);
    if (total > INT_MAX || total < SMB2_HEADER_SIZE)
        return ERR_INVAL;
    writer_init(&writer, out, SMB2_TRANSFORM_SIZE);
    writer_le32(&writer, (uint32_t)TRANSFORM_PROTOCOL);
    writer_zeros(&writer, SMB2_SIGNATURE_SIZE);
    writer_bytes(&writer, nonce, SMB2_NONCE_SIZE);
    writer_le32(&writer, (uint32_t)total);
    writer_le16(&writer, 0);
    writer_le16(&writer, TRANSFORM_ENCRYPTED);
    writer_le64(&writer, session_id);
    if (!encrypt_parts(engine, out, parts, count, total, out + SMB2_TRANSFORM_SIZE, out + sizeof(uint32_t)))
        return ERR_NOMEM;
    return ERR_OK;
}

static bool decrypt_pass(struct smb2_engine *engine, const uint8_t *header, const uint8_t *ciphertext,
                         size_t length, uint8_t *plain)
{
    const struct smb2_part aad = {header + AAD_OFFSET, AAD_SIZE}, in = {ciphertext, length};
    EVP_CIPHER_CTX *context = engine->context;
    uint8_t tag[TAG_SIZE];
    int done;

    if (engine->gcm != NULL)
        return smb2__gcm_decrypt(engine->gcm, header + AAD_OFFSET, &aad, &in, plain,
                                 header + sizeof(uint32_t));
    memcpy(tag, header + sizeof(uint32_t), sizeof tag);
    if (EVP_CipherInit_ex(context, NULL, NULL, NULL, header + AAD_OFFSET, -1) != 1 ||
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE, tag) != 1)
        return false;
    if (is_ccm(engine->key))
        return ccm_pass(context, header + AAD_OFFSET, ciphertext, length, plain);
    return feed_aad(context, header + AAD_OFFSET, AAD_SIZE) &&
           EVP_CipherUpdate(context, plain, &done, ciphertext, (int)length) == 1 &&
           EVP_CipherFinal_ex(context, plain + length, &done) == 1;
}

enum err smb2_decrypt(struct smb2_engine *engine, const uint8_t *header, const uint8_t *ciphertext,
                      size_t length, uint8_t *plain)
{
    invariant(!engine->key->signs && !engine->key->encrypts);
    if (length > INT_MAX || length == 0)
        return ERR_INVAL;
    if (decrypt_pass(engine, header, ciphertext, length, plain))
        return ERR_OK;
    OPENSSL_cleanse(plain, length);
    return ERR_ACCES;
}
