/*
 * smb2_ghash.h - GHASH (NIST SP 800-38D 6.4), for signatures with AES-GMAC and encryption with AES-GCM.
 *
 * libcrypto 3.0 multiplies 16 bytes at a time. Processors with AVX-512 and VPCLMULQDQ take 64 in an
 * instruction of the same time. Where they can't, libcrypto's own GMAC and GCM are used.
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

/* A hash under way. */
struct smb2_ghash {
    const struct smb2_ghash_key *key;
    uint64_t sum[2];
    uint8_t rest[SMB2_GHASH_BLOCK]; /* of what was added, less than a block */
    size_t kept;
};

/* All of it takes as long for any bytes and any key. */
void smb2__ghash_begin(struct smb2_ghash *hash, const struct smb2_ghash_key *key);
void smb2__ghash_add(struct smb2_ghash *hash, const void *data, size_t length);
/* What follows begins a block: behind what is authenticated only, when something encrypted follows. */
void smb2__ghash_pad(struct smb2_ghash *hash);
/* The lengths, in bytes, of what was authenticated only and of what was encrypted. */
void smb2__ghash_end(struct smb2_ghash *hash, uint64_t open_bytes, uint64_t encrypted_bytes,
                     uint8_t hash_r[SMB2_GHASH_BLOCK]);

#endif
