/*
 * smb2_crypto_priv.h - the bare MAC under a signature, for the published vectors, and keys that have
 * libcrypto do what it does where smb2_ghash.h is not possible.
 */
#ifndef DITTOFS_SMB_SMB2_CRYPTO_PRIV_H
#define DITTOFS_SMB_SMB2_CRYPTO_PRIV_H

#include "smb/smb2_crypto.h"

/* Over the parts as they are. NONCE: 12 bytes, for AES-GMAC only. */
enum err smb2__mac(struct smb2_engine *engine, const uint8_t *nonce, const struct smb2_part *parts,
                   size_t count, uint8_t signature_r[SMB2_SIGNATURE_SIZE]) ERR_MUST_CHECK;
/* A key for AES-GMAC whose GHASH is libcrypto's on any processor. */
enum err smb2__key_new_libcrypto_gmac(const uint8_t key[SMB2_KEY_SIZE],
                                      struct smb2_key **key_r) ERR_MUST_CHECK;
/* The same for AES-GCM; see smb2_key_new_cipher. */
enum err smb2__key_new_libcrypto_cipher(enum smb2_cipher cipher, bool encrypts, const uint8_t *key,
                                        struct smb2_key **key_r) ERR_MUST_CHECK;

#endif
