/*
 * hash.c - CRC-32C (RFC 3720 B.4), SipHash-2-4 (Aumasson and Bernstein), and a compare that does not leak.
 *
 * CRC-32C is computed with the processor's instruction where there is one: three streams at a time, since
 * the instruction takes three cycles but a new one can begin in each, then joined by the linear map "as
 * many zero bytes follow". Elsewhere eight tables take eight bytes a step. The way is chosen once.
 */
#include "dittofs/hash.h"
#include "base/hash_priv.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#define HAVE_CRC_INSTRUCTION 1
#endif

#define CRC32C_POLYNOMIAL 0x82f63b78u /* reflected */

static pthread_once_t crc_once = PTHREAD_ONCE_INIT;
static uint32_t crc_tables[8][256];

static uint64_t load_le64(const uint8_t *data)
{
    uint64_t value;

    memcpy(&value, data, sizeof value);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    value = __builtin_bswap64(value);
#endif
    return value;
}

static void make_tables(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ CRC32C_POLYNOMIAL : crc >> 1;
        crc_tables[0][byte] = crc;
    }
    for (int table = 1; table < 8; table++) {
        for (int byte = 0; byte < 256; byte++) {
            uint32_t before = crc_tables[table - 1][byte];
            crc_tables[table][byte] = before >> 8 ^ crc_tables[0][before & 0xff];
        }
    }
}

/* Without the inversions at both ends, like crc_by_instruction. */
static uint32_t crc_by_tables(uint32_t crc, const uint8_t *data, size_t length)
{
    for (; length >= 8; data += 8, length -= 8) {
        uint64_t word = load_le64(data) ^ crc;
        crc = 0;
        for (int i = 0; i < 8; i++)
            crc ^= crc_tables[7 - i][word >> 8 * i & 0xff];
    }
    for (; length > 0; data++, length--)
        crc = crc >> 8 ^ crc_tables[0][(crc ^ *data) & 0xff];
    return crc;
}

#ifdef HAVE_CRC_INSTRUCTION
/* Three streams of this length: fits thrice into a 4 KiB page, and eight divides it. */
enum { STREAM_BYTES = 1360 };

static bool has_instruction;
static uint32_t shift_tables[4][256]; /* the map "STREAM_BYTES zero bytes follow", a byte at a time */

/* A table of the map for each byte of the crc, from the images of its 32 bits. */
static void make_shift_tables(void)
{
    static const uint8_t zeros[STREAM_BYTES];

    for (int i = 0; i < 4; i++) {
        for (int bit = 0; bit < 8; bit++) {
            uint32_t image = crc_by_tables((uint32_t)1 << (8 * i + bit), zeros, sizeof zeros);
            for (uint32_t byte = 0; byte < 256; byte++) {
                if (byte >> bit & 1)
                    shift_tables[i][byte] ^= image;
            }
        }
    }
}

static uint32_t shifted(uint32_t crc)
{
    return shift_tables[0][crc & 0xff] ^ shift_tables[1][crc >> 8 & 0xff] ^
           shift_tables[2][crc >> 16 & 0xff] ^ shift_tables[3][crc >> 24];
}

__attribute__((target("sse4.2"))) static uint32_t crc_by_instruction(uint32_t crc, const uint8_t *data,
                                                                     size_t length)
{
    uint64_t a = crc;

    for (; length >= 3 * STREAM_BYTES; data += 3 * STREAM_BYTES, length -= 3 * STREAM_BYTES) {
        uint64_t b = 0, c = 0;
        for (size_t i = 0; i < STREAM_BYTES; i += 8) {
            /* The processor's own prefetching ends with a page; without this, bytes that are not in its cache
             * take two to three times as long. It may point behind the end. */
            __builtin_prefetch((const void *)((uintptr_t)data + 3 * STREAM_BYTES + 3 * i));
            a = _mm_crc32_u64(a, load_le64(data + i));
            b = _mm_crc32_u64(b, load_le64(data + STREAM_BYTES + i));
            c = _mm_crc32_u64(c, load_le64(data + 2 * STREAM_BYTES + i));
        }
        a = shifted(shifted((uint32_t)a) ^ (uint32_t)b) ^ c;
    }
    for (; length >= 8; data += 8, length -= 8)
        a = _mm_crc32_u64(a, load_le64(data));
    for (; length > 0; data++, length--)
        a = _mm_crc32_u8((uint32_t)a, *data);
    return (uint32_t)a;
}
#endif

static void prepare(void)
{
    make_tables();
#ifdef HAVE_CRC_INSTRUCTION
    __builtin_cpu_init();
    has_instruction = __builtin_cpu_supports("sse4.2") != 0;
    make_shift_tables();
#endif
}

uint32_t hash__crc32c_by_tables(uint32_t crc, const void *data, size_t length)
{
    pthread_once(&crc_once, prepare);
    return ~crc_by_tables(~crc, data, length);
}

uint32_t crc32c(uint32_t crc, const void *data, size_t length)
{
    pthread_once(&crc_once, prepare);
#ifdef HAVE_CRC_INSTRUCTION
    if (has_instruction)
        return ~crc_by_instruction(~crc, data, length);
#endif
    return ~crc_by_tables(~crc, data, length);
}

struct sip_state {
    uint64_t v0, v1, v2, v3;
};

static uint64_t rotate(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

static void sip_rounds(struct sip_state *s, int rounds)
{
    while (rounds-- > 0) {
        s->v0 += s->v1;
        s->v1 = rotate(s->v1, 13) ^ s->v0;
        s->v0 = rotate(s->v0, 32);
        s->v2 += s->v3;
        s->v3 = rotate(s->v3, 16) ^ s->v2;
        s->v0 += s->v3;
        s->v3 = rotate(s->v3, 21) ^ s->v0;
        s->v2 += s->v1;
        s->v1 = rotate(s->v1, 17) ^ s->v2;
        s->v2 = rotate(s->v2, 32);
    }
}

static void sip_word(struct sip_state *s, uint64_t word)
{
    s->v3 ^= word;
    sip_rounds(s, 2);
    s->v0 ^= word;
}

static struct sip_state sip_absorb(const struct siphash_key *key, const uint8_t *data, size_t length,
                                   bool wide)
{
    uint64_t k0 = load_le64(key->bytes), k1 = load_le64(key->bytes + 8);
    struct sip_state s = {
        .v0 = k0 ^ 0x736f6d6570736575u,
        .v1 = k1 ^ 0x646f72616e646f6du ^ (wide ? 0xee : 0),
        .v2 = k0 ^ 0x6c7967656e657261u,
        .v3 = k1 ^ 0x7465646279746573u,
    };
    uint64_t last = (uint64_t)length << 56;
    size_t whole = length / 8 * 8;

    for (size_t i = 0; i < whole; i += 8)
        sip_word(&s, load_le64(data + i));
    for (size_t i = whole; i < length; i++)
        last |= (uint64_t)data[i] << 8 * (i - whole);
    sip_word(&s, last);
    return s;
}

uint64_t siphash64(const struct siphash_key *key, const void *data, size_t length)
{
    struct sip_state s = sip_absorb(key, data, length, false);

    s.v2 ^= 0xff;
    sip_rounds(&s, 4);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

void siphash128(const struct siphash_key *key, const void *data, size_t length, uint8_t out[16])
{
    struct sip_state s = sip_absorb(key, data, length, true);
    uint64_t halves[2];

    s.v2 ^= 0xee;
    sip_rounds(&s, 4);
    halves[0] = s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
    s.v1 ^= 0xdd;
    sip_rounds(&s, 4);
    halves[1] = s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
    for (int i = 0; i < 16; i++)
        out[i] = (uint8_t)(halves[i / 8] >> 8 * (i % 8));
}

int constant_time_equal(const void *a, const void *b, size_t length)
{
    const volatile uint8_t *left = a, *right = b;
    uint8_t difference = 0;

    for (size_t i = 0; i < length; i++)
        difference |= (uint8_t)(left[i] ^ right[i]);
    return difference == 0;
}
