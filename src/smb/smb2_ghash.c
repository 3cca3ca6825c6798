/*
 * smb2_ghash.c - GHASH with carry-less multiplication (S. Gueron and M. Kounavis, "Intel Carry-Less
 * Multiplication Instruction and its Usage for Computing the GCM Mode", algorithm 5 and figure 8).
 *
 * GHASH's bits are numbered from the other end than the processor's. A block is therefore held with its bytes
 * turned round; a product of two such numbers lacks a shift by one bit, which H has had in advance. So has
 * each power of it: x * H' is x times H, also for x = H'.
 *
 * Thirty-two blocks are multiplied by H^32 to H^1 and added before the sum is reduced once. There are neither
 * branches nor tables that depend on the key or the data.
 */
#include "smb/smb2_ghash.h"
#include "dittofs/log.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>

#define WIDE __attribute__((target("avx512f,avx512bw,vpclmulqdq,pclmul,ssse3")))

enum { STRIDE = SMB2_GHASH_POWERS * SMB2_GHASH_BLOCK };

/* A product of two blocks, or the sum of some: low, the two in the middle together, high. */
struct product {
    __m128i low, middle, high;
};

bool smb2__ghash_is_possible(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
           __builtin_cpu_supports("vpclmulqdq") != 0 && __builtin_cpu_supports("pclmul") != 0;
}

WIDE static __m128i turned_round(__m128i block)
{
    return _mm_shuffle_epi8(block, _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}

/* Modulo x^128 + x^127 + x^126 + x^121 + 1, two words of the four at a time. */
WIDE static __m128i reduced(struct product product)
{
    const __m128i polynomial = _mm_set_epi64x(0, (int64_t)UINT64_C(0xc200000000000000));
    __m128i low = _mm_xor_si128(product.low, _mm_slli_si128(product.middle, 8));
    __m128i high = _mm_xor_si128(product.high, _mm_srli_si128(product.middle, 8));

    low = _mm_xor_si128(_mm_shuffle_epi32(low, 0x4e), _mm_clmulepi64_si128(low, polynomial, 0x00));
    low = _mm_xor_si128(_mm_shuffle_epi32(low, 0x4e), _mm_clmulepi64_si128(low, polynomial, 0x00));
    return _mm_xor_si128(high, low);
}

WIDE static __m128i times(__m128i x, __m128i h)
{
    return reduced((struct product){
        .low = _mm_clmulepi64_si128(x, h, 0x00),
        .middle = _mm_xor_si128(_mm_clmulepi64_si128(x, h, 0x01), _mm_clmulepi64_si128(x, h, 0x10)),
        .high = _mm_clmulepi64_si128(x, h, 0x11),
    });
}

struct wide_product {
    __m512i low, middle, high;
};

WIDE static __m128i all_lanes(__m512i lanes)
{
    __m256i half = _mm256_xor_si256(_mm512_castsi512_si256(lanes), _mm512_extracti64x4_epi64(lanes, 1));

    return _mm_xor_si128(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

WIDE static __m512i four_blocks(const uint8_t *data)
{
    const __m512i turn =
        _mm512_broadcast_i32x4(_mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));

    return _mm512_shuffle_epi8(_mm512_loadu_si512(data), turn);
}

/* Adds X times four powers from I on. `middle` has low and high added (Karatsuba), which needs three
 * multiplications. */
WIDE static void multiply_add(struct wide_product *product, __m512i x, const struct smb2_ghash_key *key,
                              int i)
{
    __m512i h = _mm512_loadu_si512(key->powers[i]), sum = _mm512_loadu_si512(key->sums[i]);
    __m512i words = _mm512_xor_si512(x, _mm512_shuffle_epi32(x, _MM_PERM_BADC));

    product->low = _mm512_xor_si512(product->low, _mm512_clmulepi64_epi128(x, h, 0x00));
    product->middle = _mm512_xor_si512(product->middle, _mm512_clmulepi64_epi128(words, sum, 0x00));
    product->high = _mm512_xor_si512(product->high, _mm512_clmulepi64_epi128(x, h, 0x11));
}

/* (SUM + the first block) * H^32 + the second * H^31 + ... The first come last, as SUM is known last. */
WIDE static __m128i add_stride(const struct smb2_ghash_key *key, __m128i sum, const uint8_t *data)
{
    const __m512i zero = _mm512_setzero_si512();
    struct wide_product product = {zero, zero, zero};
    __m512i first = _mm512_xor_si512(four_blocks(data), _mm512_inserti32x4(zero, sum, 0));

    for (int i = 4; i < SMB2_GHASH_POWERS; i += 4)
        multiply_add(&product, four_blocks(data + i * SMB2_GHASH_BLOCK), key, i);
    multiply_add(&product, first, key, 0);
    product.middle = _mm512_ternarylogic_epi64(product.middle, product.low, product.high, 0x96); /* sum */
    return reduced(
        (struct product){all_lanes(product.low), all_lanes(product.middle), all_lanes(product.high)});
}

WIDE static __m128i add_block(const struct smb2_ghash_key *key, __m128i sum, const uint8_t *data)
{
    __m128i h = _mm_loadu_si128((const __m128i *)(const void *)key->powers[SMB2_GHASH_POWERS - 1]);
    __m128i x = turned_round(_mm_loadu_si128((const __m128i *)(const void *)data));

    return times(_mm_xor_si128(sum, x), h);
}

WIDE void smb2__ghash_prepare(struct smb2_ghash_key *key, const uint8_t h[SMB2_GHASH_BLOCK])
{
    uint64_t words[2], carry;
    __m128i first, power;

    _mm_storeu_si128((__m128i *)(void *)words,
                     turned_round(_mm_loadu_si128((const __m128i *)(const void *)h)));
    carry = 0 - (words[1] >> 63);
    words[1] = (words[1] << 1 | words[0] >> 63) ^ (carry & UINT64_C(0xc200000000000000));
    words[0] = (words[0] << 1) ^ (carry & 1);
    first = power = _mm_set_epi64x((int64_t)words[1], (int64_t)words[0]);
    for (int i = SMB2_GHASH_POWERS - 1; i >= 0; i--) {
        _mm_storeu_si128((__m128i *)(void *)key->powers[i], power);
        key->sums[i][0] = key->sums[i][1] = key->powers[i][0] ^ key->powers[i][1];
        power = times(power, first);
    }
}

void smb2__ghash_begin(struct smb2_ghash *hash, const struct smb2_ghash_key *key)
{
    *hash = (struct smb2_ghash){.key = key};
}

WIDE void smb2__ghash_add(struct smb2_ghash *hash, const void *bytes, size_t length)
{
    __m128i sum = _mm_loadu_si128((const __m128i *)(const void *)hash->sum);
    const uint8_t *data = bytes;

    while (length > 0) {
        if (hash->kept > 0 || length < SMB2_GHASH_BLOCK) {
            size_t more = SMB2_GHASH_BLOCK - hash->kept < length ? SMB2_GHASH_BLOCK - hash->kept : length;

            memcpy(hash->rest + hash->kept, data, more);
            hash->kept = (hash->kept + more) % SMB2_GHASH_BLOCK;
            if (hash->kept == 0)
                sum = add_block(hash->key, sum, hash->rest);
            data += more;
            length -= more;
        } else if (length >= STRIDE) {
            sum = add_stride(hash->key, sum, data);
            data += STRIDE;
            length -= STRIDE;
        } else {
            sum = add_block(hash->key, sum, data);
            data += SMB2_GHASH_BLOCK;
            length -= SMB2_GHASH_BLOCK;
        }
    }
    _mm_storeu_si128((__m128i *)(void *)hash->sum, sum);
}

void smb2__ghash_pad(struct smb2_ghash *hash)
{
    static const uint8_t zeros[SMB2_GHASH_BLOCK];

    if (hash->kept > 0)
        smb2__ghash_add(hash, zeros, SMB2_GHASH_BLOCK - hash->kept);
}

WIDE void smb2__ghash_end(struct smb2_ghash *hash, uint64_t open_bytes, uint64_t encrypted_bytes,
                          uint8_t hash_r[SMB2_GHASH_BLOCK])
{
    const uint64_t *h = hash->key->powers[SMB2_GHASH_POWERS - 1];
    __m128i sum;

    smb2__ghash_pad(hash);
    sum = _mm_loadu_si128((const __m128i *)(const void *)hash->sum);
    sum = _mm_xor_si128(sum, _mm_set_epi64x((int64_t)(open_bytes * 8), (int64_t)(encrypted_bytes * 8)));
    sum = times(sum, _mm_loadu_si128((const __m128i *)(const void *)h));
    _mm_storeu_si128((__m128i *)(void *)hash_r, turned_round(sum));
}

#else

bool smb2__ghash_is_possible(void)
{
    return false;
}

void smb2__ghash_prepare(struct smb2_ghash_key *key, const uint8_t h[SMB2_GHASH_BLOCK])
{
    (void)key;
    (void)h;
    invariant(!"smb2__ghash_is_possible");
}

void smb2__ghash_begin(struct smb2_ghash *hash, const struct smb2_ghash_key *key)
{
    (void)hash;
    (void)key;
    invariant(!"smb2__ghash_is_possible");
}

void smb2__ghash_add(struct smb2_ghash *hash, const void *data, size_t length)
{
    (void)hash;
    (void)data;
    (void)length;
    invariant(!"smb2__ghash_is_possible");
}

void smb2__ghash_pad(struct smb2_ghash *hash)
{
    (void)hash;
    invariant(!"smb2__ghash_is_possible");
}

void smb2__ghash_end(struct smb2_ghash *hash, uint64_t open_bytes, uint64_t encrypted_bytes,
                     uint8_t hash_r[SMB2_GHASH_BLOCK])
{
    (void)hash;
    (void)open_bytes;
    (void)encrypted_bytes;
    (void)hash_r;
    invariant(!"smb2__ghash_is_possible");
}
#endif
