/*
 * hash.h - checksums and keyed hashes.
 */
#ifndef DITTOFS_HASH_H
#define DITTOFS_HASH_H

#include <stddef.h>
#include <stdint.h>

/* CRC-32C (Castagnoli, RFC 3720 B.4). Start with 0; continue with the previous result. Uses the
 * processor's instruction where there is one. */
uint32_t crc32c(uint32_t crc, const void *data, size_t length);

struct siphash_key {
    uint8_t bytes[16];
};
/* SipHash-2-4 with 64 and 128 bits of output: for tables that a peer could try to make collide, and for
 * MACs of handles (128). */
uint64_t siphash64(const struct siphash_key *key, const void *data, size_t length);
void siphash128(const struct siphash_key *key, const void *data, size_t length, uint8_t out[16]);

/* Equal bytes? Takes the same time wherever they differ. */
int constant_time_equal(const void *a, const void *b, size_t length);

/* A good 64-bit mix of a number, for hash tables keyed by our own numbers. */
static inline uint64_t hash_u64(uint64_t x)
{
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdULL;
    x ^= x >> 33;
    x *= 0xc4ceb9fe1a85ec53ULL;
    return x ^ (x >> 33);
}

#endif
