/*
 * smb2_crypto.h - keys, signatures, preauthentication hash and encryption of SMB 2 and 3: functions over
 * buffers, without sessions or connections.
 *
 * Keys and engines. A struct smb2_key is one key of a session or channel: made, used and freed on the loop.
 * To sign or encrypt, an engine is taken from it, used, and given back; an engine holds prepared OpenSSL
 * contexts (setting up a key schedule costs more than signing a small message), is used by one thread at a
 * time, and may be carried by a job to a worker. A key keeps a few idle engines. An engine refers to its key,
 * so a session may drop its key while a worker still uses it.
 *
 * Directions are the server's: `encrypt` is for what we send, `decrypt` for what we receive.
 */
#ifndef DITTOFS_SMB_SMB2_CRYPTO_H
#define DITTOFS_SMB_SMB2_CRYPTO_H

#include "dittofs/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* MS-SMB2 2.2.3.1.7: the ids on the wire. 2.0.2 and 2.1 sign with HMAC-SHA256, 3.0 and 3.0.2 with CMAC. */
enum smb2_signing {
    SMB2_SIGNING_HMAC_SHA256 = 0,
    SMB2_SIGNING_AES_CMAC = 1,
    SMB2_SIGNING_AES_GMAC = 2,
};

/* MS-SMB2 2.2.3.1.2: the ids on the wire. 3.0 and 3.0.2 have AES-128-CCM only. */
enum smb2_cipher {
    SMB2_CIPHER_NONE = 0,
    SMB2_CIPHER_AES128_CCM = 1,
    SMB2_CIPHER_AES128_GCM = 2,
    SMB2_CIPHER_AES256_CCM = 3,
    SMB2_CIPHER_AES256_GCM = 4,
};

enum {
    SMB2_HEADER_SIZE = 64,
    SMB2_KEY_SIZE = 16,
    SMB2_KEY_SIZE_MAX = 32,
    SMB2_SIGNATURE_OFFSET = 48,
    SMB2_SIGNATURE_SIZE = 16,
    SMB2_NONCE_SIZE = 16,
    SMB2_PREAUTH_SIZE = 64,
    SMB2_TRANSFORM_SIZE = 52,
    SMB2_PARTS_MAX = 30, /* pieces of a message that is signed */
};

/* A piece of a message: header, body and file data need not lie together. */
struct smb2_part {
    const void *data;
    size_t length;
};

/* ---- keys ---- */

/* The counter mode KDF of SP800-108 5.1 with HMAC-SHA256, r = 32 (MS-SMB2 3.1.4.2). LABEL and CONTEXT are
 * taken with the lengths given: those of the specification include their terminating zero. OUT_LENGTH is at
 * most 32.
 */
enum err smb2_kdf(const void *key, size_t key_length, const void *label, size_t label_length,
                  const void *context, size_t context_length, uint8_t *out, size_t out_length) ERR_MUST_CHECK;

struct smb2_keys {
    uint8_t signing[SMB2_KEY_SIZE];
    uint8_t application[SMB2_KEY_SIZE];
    uint8_t encrypt[SMB2_KEY_SIZE_MAX]; /* the first 16 or 32 bytes, as the cipher has it */
    uint8_t decrypt[SMB2_KEY_SIZE_MAX];
};

/* All keys of a session (of a channel: its signing key) from the key that GSS gave. PREAUTH is the
 * session's hash, for dialect 0x0311 only. Below 0x0300 the signing key is the session key itself. */
enum err smb2_keys_derive(uint16_t dialect, enum smb2_cipher cipher, const uint8_t *session_key,
                          size_t session_key_length, const uint8_t preauth[SMB2_PREAUTH_SIZE],
                          struct smb2_keys *keys_r) ERR_MUST_CHECK;
void smb2_keys_wipe(struct smb2_keys *keys);

/* HASH becomes SHA-512(HASH, message); it starts as zeros (MS-SMB2 3.3.5.4, 3.3.5.5). */
enum err smb2_preauth_update(uint8_t hash[SMB2_PREAUTH_SIZE], const struct smb2_part *parts,
                             size_t count) ERR_MUST_CHECK;

/* ---- engines ---- */

struct smb2_key;
struct smb2_engine;

/* ERR_NOMEM, or ERR_NOTSUPP when libcrypto does not have the algorithm. */
enum err smb2_key_new_signing(enum smb2_signing signing, const uint8_t key[SMB2_KEY_SIZE],
                              struct smb2_key **key_r) ERR_MUST_CHECK;
/* KEY has 16 or 32 bytes, as the cipher needs. A key encrypts or decrypts, not both. */
enum err smb2_key_new_cipher(enum smb2_cipher cipher, bool encrypts, const uint8_t *key,
                             struct smb2_key **key_r) ERR_MUST_CHECK;
/* NULL is fine; leaves NULL. The key is wiped when its last engine is back. */
void smb2_key_free(struct smb2_key **key);

/* On the loop. NULL when memory is out. */
struct smb2_engine *smb2_engine_take(struct smb2_key *key);
/* On the loop. NULL is fine; leaves NULL. */
void smb2_engine_give(struct smb2_engine **engine);

/* ---- signing ---- */

/* The signature of a message, whose first part holds at least its whole header; what stands in the
 * header's signature field is taken as zeros (MS-SMB2 3.1.4.1). SMB2_FLAGS_SIGNED must be set before. */
enum err smb2_sign(struct smb2_engine *engine, const struct smb2_part *parts, size_t count,
                   uint8_t signature_r[SMB2_SIGNATURE_SIZE]) ERR_MUST_CHECK;
/* Is the signature in the header right? In constant time. */
bool smb2_verify(struct smb2_engine *engine, const struct smb2_part *parts, size_t count)
    __attribute__((warn_unused_result));

/* ---- encryption ---- */

/* MS-SMB2 2.2.41 */
struct smb2_transform {
    uint8_t signature[SMB2_SIGNATURE_SIZE];
    uint8_t nonce[SMB2_NONCE_SIZE];
    uint32_t original_size;
    uint16_t flags;
    uint64_t session_id;
};

/* Is this an encrypted message, and is its size that of what follows? ERR_BADXDR when not. */
enum err smb2_transform_read(const void *message, size_t length,
                             struct smb2_transform *transform_r) ERR_MUST_CHECK;

/* The next nonce of a key that encrypts: a counter, so that none comes twice; all channels of a session share
 * the key and so the counter. On the loop. ERR_LIMIT when the counter is used up. */
enum err smb2_key_nonce(struct smb2_key *key, uint8_t nonce_r[SMB2_NONCE_SIZE]) ERR_MUST_CHECK;
/* Writes the transform header and the encrypted parts to OUT, which has room for SMB2_TRANSFORM_SIZE and the
 * lengths of the parts, and overlaps none of them; but a single part may lie where it goes to. */
enum err smb2_encrypt(struct smb2_engine *engine, uint64_t session_id, const uint8_t nonce[SMB2_NONCE_SIZE],
                      const struct smb2_part *parts, size_t count, uint8_t *out) ERR_MUST_CHECK;
/* Checks and decrypts what follows HEADER (SMB2_TRANSFORM_SIZE bytes) into PLAIN, which may be CIPHERTEXT.
 * ERR_ACCES when anything was tampered with: PLAIN is wiped then. */
enum err smb2_decrypt(struct smb2_engine *engine, const uint8_t *header, const uint8_t *ciphertext,
                      size_t length, uint8_t *plain) ERR_MUST_CHECK;

#endif
