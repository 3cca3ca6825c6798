/*
 * test_log_record.c - heads of records: what is read again, and what is never taken for one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store/log_record_priv.h"
#include <string.h>

enum { KEY = 0x1234567, SEGMENT = 7, PLACE = 4096, LENGTH = 40000 };

static uint8_t payload[LENGTH], head[RECORD_HEAD_MOST];

/* Encodes a write of LENGTH bytes. */
static struct record encode(void)
{
    struct record record = {.key = KEY,
                            .type = RECORD_WRITE,
                            .segment = SEGMENT,
                            .place = PLACE,
                            .ino = 99,
                            .offset = 131000,
                            .mtime = {12, 34},
                            .length = LENGTH};
    uint32_t checksums[RECORD_CHECKSUMS_MOST];
    size_t i;

    for (i = 0; i < LENGTH; i++)
        payload[i] = (uint8_t)(i * 7);
    record_lay_out(&record);
    record_checksums(record.offset, payload, LENGTH, checksums);
    record_encode(&record, checksums, head);
    return record;
}

static void test_read_again(void **state)
{
    struct record record = encode(), again;
    uint32_t checksums[RECORD_CHECKSUMS_MOST];

    (void)state;
    assert_true(record_peek(head, KEY, SEGMENT, PLACE, &again));
    assert_memory_equal(&again, &record, sizeof again);
    assert_true(record_decode(&again, head, checksums));
    assert_true(record_verify(&again, checksums, payload));
    payload[LENGTH - 1] ^= 1;
    assert_false(record_verify(&again, checksums, payload));
}

/* A client that guesses where the log will go on when a segment is used again does not know the key. */
static void test_another_key(void **state)
{
    struct record again;
    uint32_t checksums[RECORD_CHECKSUMS_MOST], bit;

    (void)state;
    encode();
    for (bit = 0; bit < 32; bit++) {
        assert_true(record_peek(head, KEY ^ 1u << bit, SEGMENT, PLACE, &again));
        assert_false(record_decode(&again, head, checksums));
    }
    assert_true(record_peek(head, 0, SEGMENT, PLACE, &again));
    assert_false(record_decode(&again, head, checksums));
}

static void test_another_place(void **state)
{
    struct record again;

    (void)state;
    encode();
    assert_false(record_peek(head, KEY, SEGMENT + 1, PLACE, &again));
    assert_false(record_peek(head, KEY, SEGMENT, PLACE + 4096, &again));
}

static void test_damage(void **state)
{
    struct record record = encode(), again;
    uint32_t checksums[RECORD_CHECKSUMS_MOST], used = RECORD_HEADER_BYTES + record.checksum_count * 4, i;

    (void)state;
    for (i = 0; i < used; i++) {
        head[i] ^= 0x10;
        assert_false(record_peek(head, KEY, SEGMENT, PLACE, &again) &&
                     record_decode(&again, head, checksums));
        head[i] ^= 0x10;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_again),
        cmocka_unit_test(test_another_key),
        cmocka_unit_test(test_another_place),
        cmocka_unit_test(test_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
