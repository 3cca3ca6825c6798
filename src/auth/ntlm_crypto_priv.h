/*
 * ntlm_crypto_priv.h - the cryptography of MS-NLMP 3.3.2 and 3.4, for both sides of a conversation.
 */
#ifndef DITTOFS_AUTH_NTLM_CRYPTO_PRIV_H
#define DITTOFS_AUTH_NTLM_CRYPTO_PRIV_H

#include "dittofs/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NTLM__KEY = 16, NTLM__SIGNATURE = 16 };

struct ntlm__piece {
    const void *data;
    size_t length;
};

enum err ntlm__md4(const void *data, size_t length, uint8_t digest_r[16]) ERR_MUST_CHECK;
enum err ntlm__hmac_md5(const uint8_t key[NTLM__KEY], const struct ntlm__piece *pieces, size_t count,
                        uint8_t mac_r[16]) ERR_MUST_CHECK;
/* All at once, with a key of its own. OUT may be IN. */
enum err ntlm__rc4(const uint8_t key[NTLM__KEY], const void *in, size_t length, void *out) ERR_MUST_CHECK;

/* NTOWFv2 (MS-NLMP 3.3.2). USER and DOMAIN are UTF-16LE; USER is put in upper case here. */
enum err ntlm__owf_v2(const uint8_t nt_hash[16], const uint8_t *user, size_t user_length,
                      const uint8_t *domain, size_t domain_length, uint8_t owf_r[NTLM__KEY]) ERR_MUST_CHECK;

/* One direction of a session's signing and sealing, with extended session security (MS-NLMP 3.4.4.2). */
struct ntlm__seal {
    uint8_t sign_key[NTLM__KEY];
    void *rc4; /* EVP_CIPHER_CTX */
    uint32_t sequence;
    bool encrypts_signature; /* with key exchange */
};

/* FLAGS: those negotiated (56 or 128 bits, key exchange). */
enum err ntlm__seal_open(struct ntlm__seal *seal, uint32_t flags, const uint8_t session_key[NTLM__KEY],
                         bool from_client) ERR_MUST_CHECK;
/* A zeroed one is fine. */
void ntlm__seal_close(struct ntlm__seal *seal);
enum err ntlm__sign(struct ntlm__seal *seal, const void *data, size_t length,
                    uint8_t signature_r[NTLM__SIGNATURE]) ERR_MUST_CHECK;
bool ntlm__verify(struct ntlm__seal *seal, const void *data, size_t length,
                  const uint8_t signature[NTLM__SIGNATURE]) __attribute__((warn_unused_result));
/* Encrypts DATA in place and signs what it was (MS-NLMP 3.4.3, GSS_WrapEx). */
enum err ntlm__seal(struct ntlm__seal *seal, void *data, size_t length,
                    uint8_t signature_r[NTLM__SIGNATURE]) ERR_MUST_CHECK;
bool ntlm__unseal(struct ntlm__seal *seal, void *data, size_t length,
                  const uint8_t signature[NTLM__SIGNATURE]) __attribute__((warn_unused_result));

#endif
