/*
 * test_hash.c - published vectors, and the fast CRC against the slow one at every border.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/hash_priv.h"
#include "dittofs/hash.h"
#include "dittofs/random.h"
#include <stdlib.h>
#include <string.h>

static void crc32c_published(void **state)
{
    /* RFC 3720 B.4 (there in byte order), and the check value of the catalogue of CRCs. */
    uint8_t data[32];

    (void)state;
    assert_int_equal(crc32c(0, "", 0), 0);
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283u);
    memset(data, 0, sizeof data);
    assert_int_equal(crc32c(0, data, sizeof data), 0x8a9136aau);
    memset(data, 0xff, sizeof data);
    assert_int_equal(crc32c(0, data, sizeof data), 0x62a8ab43u);
    for (unsigned i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)i;
    assert_int_equal(crc32c(0, data, sizeof data), 0x46dd794eu);
    for (unsigned i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(31 - i);
    assert_int_equal(crc32c(0, data, sizeof data), 0x113fdb5cu);
    assert_int_equal(hash__crc32c_by_tables(0, "123456789", 9), 0xe3069283u);
}

/* Bit by bit, from the polynomial's definition. */
static uint32_t crc32c_slowly(uint32_t crc, const uint8_t *data, size_t length)
{
    crc = ~crc;
    for (; length > 0; data++, length--) {
        crc ^= *data;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

static void crc32c_ways_agree(void **state)
{
    static const size_t lengths[] = {0,    1,    7,    8,    9,    15,   16,   17,   63,
                                     1359, 1360, 4079, 4080, 4081, 4096, 8160, 8167, 20000};
    uint8_t *data = malloc(20000 + 8);

    (void)state;
    random_bytes(data, 20000 + 8);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        for (size_t shift = 0; shift < 8; shift++) {
            uint32_t expected = crc32c_slowly(0x1234567, data + shift, lengths[i]);
            assert_int_equal(crc32c(0x1234567, data + shift, lengths[i]), expected);
            assert_int_equal(hash__crc32c_by_tables(0x1234567, data + shift, lengths[i]), expected);
        }
    }
    free(data);
}

static void crc32c_continues(void **state)
{
    uint8_t data[5000];
    uint32_t whole;

    (void)state;
    random_bytes(data, sizeof data);
    whole = crc32c(0, data, sizeof data);
    for (size_t cut = 0; cut <= sizeof data; cut += 311)
        assert_int_equal(crc32c(crc32c(0, data, cut), data + cut, sizeof data - cut), whole);
}

static void siphash_published(void **state)
{
    /* The reference implementation's vectors: key 00..0f, messages 00, 00 01, ... */
    static const struct {
        size_t length;
        uint64_t hash;
    } cases64[] = {
        {0, 0x726fdb47dd0e0e31u}, {1, 0x74f839c593dc67fdu}, {2, 0x0d6c8009d9a94f5au},
        {7, 0xab0200f58b01d137u}, {8, 0x93f5f5799a932462u}, {15, 0xa129ca6149be45e5u},
    };
    static const struct {
        size_t length;
        uint8_t hash[16];
    } cases128[] = {
        {0, {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02, 0x93}},
        {1, {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc, 0x45}},
        {2, {0x81, 0x77, 0x22, 0x8d, 0xa4, 0xa4, 0x5d, 0xc7, 0xfc, 0xa3, 0x8b, 0xde, 0xf6, 0x0a, 0xff, 0xe4}},
    };
    struct siphash_key key;
    uint8_t message[16], out[16];

    (void)state;
    for (unsigned i = 0; i < 16; i++)
        key.bytes[i] = message[i] = (uint8_t)i;
    for (size_t i = 0; i < sizeof cases64 / sizeof cases64[0]; i++)
        assert_true(siphash64(&key, message, cases64[i].length) == cases64[i].hash);
    for (size_t i = 0; i < sizeof cases128 / sizeof cases128[0]; i++) {
        siphash128(&key, message, cases128[i].length, out);
        assert_memory_equal(out, cases128[i].hash, sizeof out);
    }
}

static void siphash_depends_on_all(void **state)
{
    struct siphash_key key = {{1}};
    uint8_t message[40] = {0};
    uint64_t before = siphash64(&key, message, sizeof message);

    (void)state;
    for (size_t i = 0; i < sizeof message; i++) {
        message[i] ^= 1;
        assert_true(siphash64(&key, message, sizeof message) != before);
        message[i] ^= 1;
    }
    assert_true(siphash64(&key, message, sizeof message - 1) != before);
    key.bytes[15] ^= 0x80;
    assert_true(siphash64(&key, message, sizeof message) != before);
}

static void compare(void **state)
{
    uint8_t a[16] = {0}, b[16] = {0};

    (void)state;
    assert_true(constant_time_equal(a, b, sizeof a));
    assert_true(constant_time_equal(a, b, 0));
    for (size_t i = 0; i < sizeof a * 8; i++) {
        b[i / 8] ^= (uint8_t)(1u << i % 8);
        assert_false(constant_time_equal(a, b, sizeof a));
        b[i / 8] = 0;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32c_published),       cmocka_unit_test(crc32c_ways_agree),
        cmocka_unit_test(crc32c_continues),       cmocka_unit_test(siphash_published),
        cmocka_unit_test(siphash_depends_on_all), cmocka_unit_test(compare),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
