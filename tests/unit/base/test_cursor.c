/*
 * test_cursor.c - readers and writers at their borders.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dittofs/cursor.h"
#include <stdlib.h>
#include <string.h>

static const uint8_t eight[] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef};

/* Reads with the function of a width; all give their value as 64 bits. */
#define NUMBER_READ(name, type)                                                                              \
    static bool name##_any(struct reader *reader, uint64_t *value_r)                                         \
    {                                                                                                        \
        type value;                                                                                          \
        if (!reader_##name(reader, &value))                                                                  \
            return false;                                                                                    \
        *value_r = value;                                                                                    \
        return true;                                                                                         \
    }
NUMBER_READ(u8, uint8_t)
NUMBER_READ(le16, uint16_t)
NUMBER_READ(le32, uint32_t)
NUMBER_READ(le64, uint64_t)
NUMBER_READ(be16, uint16_t)
NUMBER_READ(be32, uint32_t)
NUMBER_READ(be64, uint64_t)

static const struct {
    bool (*read)(struct reader *reader, uint64_t *value_r);
    size_t width;
    uint64_t value;
} numbers[] = {
    {u8_any, 1, 0x01},
    {le16_any, 2, 0x2301},
    {le32_any, 4, 0x67452301},
    {le64_any, 8, 0xefcdab8967452301},
    {be16_any, 2, 0x0123},
    {be32_any, 4, 0x01234567},
    {be64_any, 8, 0x0123456789abcdef},
};

static void read_numbers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        for (size_t left = 0; left <= 8; left++) {
            struct reader reader = reader_of(eight, left);
            uint64_t value = 42;
            if (left < numbers[i].width) {
                assert_false(numbers[i].read(&reader, &value));
                assert_int_equal(reader.left, left);
                assert_ptr_equal(reader.at, eight);
                assert_int_equal(value, 42);
            } else {
                assert_true(numbers[i].read(&reader, &value));
                assert_true(value == numbers[i].value);
                assert_int_equal(reader.left, left - numbers[i].width);
                assert_ptr_equal(reader.at, eight + numbers[i].width);
                assert_int_equal(reader_is_done(&reader), left == numbers[i].width);
            }
        }
    }
}

static void read_bytes(void **state)
{
    struct reader reader = reader_of(eight, 8), sub, untouched;
    const uint8_t *data = NULL;
    uint8_t copy[8] = {0};

    (void)state;
    assert_true(reader_bytes(&reader, 3, &data));
    assert_ptr_equal(data, eight);
    assert_false(reader_bytes(&reader, 6, &data));
    assert_false(reader_bytes(&reader, SIZE_MAX, &data));
    assert_ptr_equal(data, eight);
    assert_true(reader_copy(&reader, copy, 2));
    assert_memory_equal(copy, eight + 3, 2);
    assert_false(reader_copy(&reader, copy, 4));
    assert_memory_equal(copy, eight + 3, 2);
    assert_true(reader_sub(&reader, 2, &sub));
    assert_int_equal(sub.left, 2);
    assert_ptr_equal(sub.at, eight + 5);
    untouched = sub;
    assert_false(reader_sub(&reader, 2, &sub));
    assert_memory_equal(&sub, &untouched, sizeof sub);
    assert_false(reader_skip(&sub, 3));
    assert_true(reader_skip(&sub, 2));
    assert_true(reader_is_done(&sub));
    assert_true(reader_skip(&reader, 1));
    assert_true(reader_is_done(&reader));
    assert_true(reader_skip(&reader, 0));
    assert_true(reader_bytes(&reader, 0, &data));
    assert_false(reader_skip(&reader, 1));
    reader = reader_of(NULL, 0);
    assert_true(reader_copy(&reader, NULL, 0));
    assert_true(reader_skip(&reader, 0));
}

static void read_xdr_bool(void **state)
{
    static const struct {
        uint8_t data[4];
        size_t length;
        bool good, value;
    } cases[] = {
        {{0, 0, 0, 0}, 4, true, false},          {{0, 0, 0, 1}, 4, true, true},
        {{0, 0, 0, 2}, 4, false, false},         {{1, 0, 0, 0}, 4, false, false},
        {{255, 255, 255, 255}, 4, false, false}, {{0, 0, 0, 1}, 3, false, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct reader reader = reader_of(cases[i].data, cases[i].length);
        bool value = !cases[i].value;
        assert_int_equal(reader_xdr_bool(&reader, &value), cases[i].good);
        assert_int_equal(value, cases[i].good ? cases[i].value : !cases[i].value);
        assert_int_equal(reader.left, cases[i].good ? 0 : cases[i].length);
    }
}

static void read_xdr_opaque(void **state)
{
    /* COUNT stands before LENGTH bytes of data; MOST is the caller's bound. */
    static const struct {
        uint32_t count;
        size_t length, most;
        bool good;
        size_t left;
    } cases[] = {
        {0, 0, 0, true, 0},
        {0, 0, 100, true, 0},
        {1, 4, 1, true, 0},
        {1, 3, 1, false, 0},
        {1, 1, 1, false, 0},
        {4, 4, 4, true, 0},
        {4, 4, 3, false, 0},
        {5, 8, 5, true, 0},
        {5, 7, 5, false, 0},
        {3, 4, 100, true, 0},
        {3, 10, 100, true, 6},
        {4, 3, 100, false, 0},
        {0xffffffff, 8, SIZE_MAX, false, 0},
        {0xfffffffd, 8, SIZE_MAX, false, 0},
        {0x80000000, 8, 100, false, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t length = 4 + cases[i].length;
        uint8_t *bytes = malloc(length); /* of its exact size, so that AddressSanitizer watches */
        struct reader reader = reader_of(bytes, length);
        const uint8_t *data = NULL;
        uint32_t got = 42;

        memset(bytes, 0xee, length); /* padding that is not zero is accepted */
        for (int byte = 0; byte < 4; byte++)
            bytes[byte] = (uint8_t)(cases[i].count >> 8 * (3 - byte));
        assert_int_equal(reader_xdr_opaque(&reader, cases[i].most, &data, &got), cases[i].good);
        if (cases[i].good) {
            assert_ptr_equal(data, bytes + 4);
            assert_int_equal(got, cases[i].count);
            assert_int_equal(reader.left, cases[i].left);
        } else {
            assert_null(data);
            assert_int_equal(got, 42);
            assert_int_equal(reader.left, length);
        }
        free(bytes);
    }
}

static void read_xdr_fixed(void **state)
{
    struct reader reader = reader_of(eight, 7);
    const uint8_t *data = NULL;

    (void)state;
    assert_false(reader_xdr_fixed(&reader, 5, &data));
    assert_false(reader_xdr_fixed(&reader, SIZE_MAX, &data));
    assert_null(data);
    assert_true(reader_xdr_fixed(&reader, 3, &data));
    assert_int_equal(reader.left, 3);
    assert_false(reader_xdr_fixed(&reader, 3, &data));
    assert_true(reader_xdr_fixed(&reader, 0, &data));
    assert_int_equal(reader.left, 3);
}

static void write_numbers(void **state)
{
    static const uint8_t expected[] = {1,    0x34, 0x12, 0x78, 0x56, 0x34, 0x12, 8, 7, 6, 5, 4, 3, 2, 1,
                                       0x12, 0x34, 0x12, 0x34, 0x56, 0x78, 1,    2, 3, 4, 5, 6, 7, 8};
    uint8_t bytes[sizeof expected];
    struct writer writer;

    (void)state;
    writer_init(&writer, bytes, sizeof bytes);
    writer_u8(&writer, 1);
    writer_le16(&writer, 0x1234);
    writer_le32(&writer, 0x12345678);
    writer_le64(&writer, 0x0102030405060708);
    writer_be16(&writer, 0x1234);
    writer_be32(&writer, 0x12345678);
    writer_be64(&writer, 0x0102030405060708);
    assert_false(writer.failed);
    assert_int_equal(writer.length, sizeof expected);
    assert_memory_equal(bytes, expected, sizeof expected);
    assert_true(writer_has_room(&writer, 0));
    assert_false(writer_has_room(&writer, 1));
    assert_false(writer.failed);
    writer_u8(&writer, 1);
    assert_true(writer.failed);
    assert_int_equal(writer.length, sizeof expected);
    writer_free(&writer);
}

static void write_stops_at_the_border(void **state)
{
    /* A guard byte behind the capacity stays what it is. */
    uint8_t bytes[9];
    struct writer writer;

    (void)state;
    for (size_t capacity = 0; capacity < 8; capacity++) {
        memset(bytes, 0xcc, sizeof bytes);
        writer_init(&writer, bytes, capacity);
        writer_be64(&writer, 0);
        assert_true(writer.failed);
        assert_int_equal(writer.length, 0);
        writer_u8(&writer, 0); /* ignored though it would fit */
        assert_int_equal(writer.length, 0);
        assert_false(writer_has_room(&writer, 0));
        for (size_t i = 0; i < sizeof bytes; i++)
            assert_int_equal(bytes[i], 0xcc);
    }
    writer_init(&writer, bytes, 8);
    writer_be64(&writer, 0);
    assert_false(writer.failed);
    assert_int_equal(bytes[8], 0xcc);
    writer_init(&writer, bytes, 8);
    assert_null(writer_reserve(&writer, SIZE_MAX));
    writer_init(&writer, NULL, 0);
    assert_non_null(writer_reserve(&writer, 0));
    writer_bytes(&writer, NULL, 0);
    writer_zeros(&writer, 0);
    assert_false(writer.failed);
}

static void write_xdr(void **state)
{
    static const uint8_t expected[] = {0,   0,   0,   1, 0,   0,   0,   0,   0,   0, 0, 3,
                                       'a', 'b', 'c', 0, 'w', 'x', 'y', 'z', 'q', 0, 0, 0};
    uint8_t bytes[sizeof expected];
    struct writer writer;

    (void)state;
    memset(bytes, 0xcc, sizeof bytes);
    writer_init(&writer, bytes, sizeof bytes);
    writer_xdr_bool(&writer, true);
    writer_xdr_opaque(&writer, "", 0);
    writer_xdr_opaque(&writer, "abc", 3);
    writer_xdr_fixed(&writer, "wxyzq", 5);
    assert_false(writer.failed);
    assert_int_equal(writer.length, sizeof expected);
    assert_memory_equal(bytes, expected, sizeof expected);

    /* The padding does not fit, so nothing is written. */
    writer_init(&writer, bytes, 7);
    writer_xdr_opaque(&writer, "abc", 3);
    assert_true(writer.failed);
    assert_int_equal(writer.length, 0);
    writer_init(&writer, bytes, 7);
    writer_xdr_opaque(&writer, bytes, SIZE_MAX);
    assert_true(writer.failed);
    writer_init(&writer, bytes, 7);
    writer_xdr_fixed(&writer, bytes, SIZE_MAX - 1);
    assert_true(writer.failed);
}

static void write_align_patch_truncate(void **state)
{
    uint8_t bytes[32];
    struct writer writer;
    size_t position;

    (void)state;
    memset(bytes, 0xcc, sizeof bytes);
    writer_init(&writer, bytes, sizeof bytes);
    writer_align(&writer, 8);
    assert_int_equal(writer.length, 0);
    writer_u8(&writer, 1);
    writer_align(&writer, 8);
    assert_int_equal(writer.length, 8);
    assert_memory_equal(bytes, "\1\0\0\0\0\0\0\0", 8);
    writer_align(&writer, 8);
    assert_int_equal(writer.length, 8);
    writer_patch_be32(&writer, 4, 0x01020304);
    writer_patch_le32(&writer, 0, 0x01020304);
    writer_patch_le16(&writer, 2, 0xaabb);
    assert_memory_equal(bytes, "\4\3\xbb\xaa\1\2\3\4", 8);

    /* An entry that does not fit is taken back. */
    position = writer.length;
    writer_zeros(&writer, 20);
    writer_be64(&writer, 1);
    assert_true(writer.failed);
    writer_patch_be32(&writer, 30, 1); /* of what was not written: ignored */
    writer_truncate(&writer, position);
    assert_false(writer.failed);
    assert_int_equal(writer.length, 8);
    writer_u8(&writer, 9);
    assert_int_equal(bytes[8], 9);
}

static void write_growing(void **state)
{
    struct writer writer;

    (void)state;
    writer_init_growing(&writer, 100000);
    assert_non_null(writer_reserve(&writer, 0));
    for (uint32_t i = 0; i < 25000; i++)
        writer_be32(&writer, i);
    assert_false(writer.failed);
    assert_int_equal(writer.length, 100000);
    for (uint32_t i = 0; i < 25000; i += 999) {
        struct reader reader = reader_of(writer.data + (size_t)i * 4, 4);
        uint32_t value;
        assert_true(reader_be32(&reader, &value));
        assert_int_equal(value, i);
    }
    assert_false(writer_has_room(&writer, 1));
    assert_false(writer.failed);
    writer_u8(&writer, 0);
    assert_true(writer.failed);
    assert_int_equal(writer.length, 100000);
    writer_free(&writer);
    assert_true(writer.failed);
    assert_int_equal(writer.length, 0);
    writer_u8(&writer, 0);
    writer_free(&writer);

    writer_init_growing(&writer, 10);
    writer_zeros(&writer, 11);
    assert_true(writer.failed);
    writer_truncate(&writer, 0);
    writer_zeros(&writer, 10);
    assert_false(writer.failed);
    assert_int_equal(writer.capacity, 10);
    writer_free(&writer);
}

static void adding(void **state)
{
    uint64_t sum = 42;

    (void)state;
    assert_true(add_u64(UINT64_MAX - 1, 1, &sum));
    assert_true(sum == UINT64_MAX);
    assert_false(add_u64(UINT64_MAX, 1, &sum));
    assert_false(add_u64(UINT64_MAX, UINT64_MAX, &sum));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_numbers),
        cmocka_unit_test(read_bytes),
        cmocka_unit_test(read_xdr_bool),
        cmocka_unit_test(read_xdr_opaque),
        cmocka_unit_test(read_xdr_fixed),
        cmocka_unit_test(write_numbers),
        cmocka_unit_test(write_stops_at_the_border),
        cmocka_unit_test(write_xdr),
        cmocka_unit_test(write_align_patch_truncate),
        cmocka_unit_test(write_growing),
        cmocka_unit_test(adding),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
