/*
 * smb2_ghash.h - GHASH (NIST SP 800-38D 6.4) over data that is not encrypted, for signatures with AES-GMAC.
 *
 * libcrypto 3.0 multiplies 16 bytes at a time. Processors with AVX-512 and VPCLMULQDQ take 64 in an
 * instruction of the same time. Where they can't, libcrypto's own GMAC is used.
 */
#ifndef DITTOFS_SMB_SMB2_GHASH_H
#define DITTOFS_SMB_SMB2_GHASH_H

#include "smb/smb2_crypto.h"

enum { SMB2_GHASH_BLOCK = 16, SMB2_GHASH_POWERS = 32 };

/* As secret as the key that it was made from. */
struct smb2_ghash_key {
    uint64_t powers[SMB2_GHASH_POWERS][2]; /* of H, the highest first */
    uint64_t sums[SMB2_GHASH_POWERS][2];   /* of the two words of each, twice */
};

/* Has this processor what the functions below need? They must not be called where it has not. */
bool smb2__ghash_is_possible(void);
/* H: the block of zeros, encrypted. */
void smb2__ghash_prepare(struct smb2_ghash_key *key, const uint8_t h[SMB2_GHASH_BLOCK]);
/* Over the parts as one string, padded, and the block of the lengths. Takes as long for any bytes. */
void smb2__ghash(const struct smb2_ghash_key *key, const struct smb2_part *parts, size_t count,
                 uint8_t hash_r[SMB2_GHASH_BLOCK]);

#endif
