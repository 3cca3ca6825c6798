/*
 * test_record.c - record marking, driven from memory: cuts at every place, fragments, sizes around all
 * thresholds, limits, memory that runs out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "rpc/record_priv.h"
#include <stdlib.h>
#include <string.h>

enum { RECORD_MAX = 1 << 20 };

static struct onc__memory memory;
static struct onc__records records;
static struct writer stream;
static size_t judged, judged_length;
static bool verdict;

static bool judge(struct onc__records *of, const uint8_t *head, size_t head_length, size_t record_length)
{
    assert_ptr_equal(of, &records);
    assert_non_null(head);
    assert_true(head_length >= ONC__HEAD_BYTES);
    judged++;
    judged_length = record_length;
    return verdict;
}

static int setup(void **state)
{
    (void)state;
    memory = (struct onc__memory){.bytes_max = 16 << 20};
    onc__records_init(&records, &memory, RECORD_MAX);
    records.judge = judge;
    judged = 0;
    verdict = true;
    writer_init_growing(&stream, 64 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    onc__records_free(&records);
    assert_int_equal(memory.bytes, 0);
    onc__memory_free(&memory);
    writer_free(&stream);
    assert_int_equal(buf_bytes_in_use(), 0);
    buf_pool_drain();
    return 0;
}

/* The I-th byte of record NUMBER. */
static uint8_t content(uint32_t number, size_t i)
{
    return (uint8_t)(number * 31 + i * 7 + (i >> 8));
}

/* Adds record NUMBER of LENGTH bytes to the stream, in fragments of PIECE bytes. */
static void put_record(uint32_t number, size_t length, size_t piece)
{
    size_t at = 0;

    do {
        size_t now = length - at < piece ? length - at : piece;
        uint8_t *to;

        writer_be32(&stream, (uint32_t)now | (at + now == length ? 0x80000000u : 0));
        to = writer_reserve(&stream, now);
        assert_non_null(to);
        for (size_t i = 0; i < now; i++)
            to[i] = content(number, at + i);
        at += now;
    } while (at < length);
}

static void check_record(const struct onc__record *record, uint32_t number, size_t length)
{
    assert_int_equal(record->length, length);
    for (size_t i = 0; i < length; i++)
        assert_int_equal(record->data[i], content(number, i));
}

/* Feeds the stream in reads of at most CUT bytes; the records must be those of LENGTHS. HOLD keeps them all
 * to the end, as suspended calls do. */
static void feed(size_t cut, const size_t *lengths, size_t count, bool hold)
{
    struct onc__record *held = calloc(count, sizeof *held);
    size_t at = 0, got = 0;

    assert_non_null(held);
    while (at < stream.length) {
        size_t room = 0;
        uint8_t *space = onc__records_space(&records, &room);
        enum onc__next next;

        assert_non_null(space);
        assert_true(room > 0);
        if (room > cut)
            room = cut;
        if (room > stream.length - at)
            room = stream.length - at;
        memcpy(space, stream.data + at, room);
        at += room;
        onc__records_received(&records, room);
        while ((next = onc__records_next(&records, &held[got])) == ONC__NEXT_RECORD) {
            assert_true(got < count);
            if (!hold) {
                check_record(&held[got], (uint32_t)got, lengths[got]);
                onc__block_put(&held[got].block);
            }
            if (++got == count)
                break;
        }
        assert_true(next == ONC__NEXT_NEED_BYTES || got == count);
        onc__records_rest(&records);
    }
    assert_int_equal(got, count);
    assert_false(onc__records_has_partial(&records));
    for (size_t i = 0; hold && i < count; i++) {
        check_record(&held[i], (uint32_t)i, lengths[i]);
        onc__block_put(&held[i].block);
    }
    onc__records_rest(&records);
    assert_int_equal(memory.bytes, 0);
    free(held);
}

static void cut_at_every_byte(void **state)
{
    static const size_t lengths[] = {40, 0, 1, 3, 4, 100, 41};

    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        put_record((uint32_t)i, lengths[i], RECORD_MAX);
    for (size_t cut = 1; cut <= stream.length; cut++)
        feed(cut, lengths, sizeof lengths / sizeof *lengths, cut % 2 == 0);
}

static void sizes_around_thresholds(void **state)
{
    static const size_t lengths[] = {
        100,
        ONC__SMALL_RECORD - 1,
        ONC__SMALL_RECORD,
        ONC__SMALL_RECORD + 1,
        ONC__HEAD_BYTES,
        ONC__BLOCK_BYTES - 4,
        ONC__BLOCK_BYTES,
        60,
        RECORD_MAX - 1,
        RECORD_MAX,
        12000,
        12001,
        70,
        ONC__PEEK_BYTES,
        ONC__BLOCK_BYTES + 1,
        40000,
        44,
    };
    static const size_t cuts[] = {RECORD_MAX * 2, ONC__BLOCK_BYTES, 9973, 1448, 131};

    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        put_record((uint32_t)i, lengths[i], RECORD_MAX);
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        feed(cuts[i], lengths, sizeof lengths / sizeof *lengths, false);
        feed(cuts[i], lengths, sizeof lengths / sizeof *lengths, true);
    }
    assert_true(judged > 0);
}

static void fragments(void **state)
{
    static const size_t lengths[] = {300, 5000, 1, 20000, 300000, 64};
    static const size_t pieces[] = {1, 700, 1, 64, 1000, 13};
    static const size_t cuts[] = {RECORD_MAX, 1000, 77, 3, 1};

    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        put_record((uint32_t)i, lengths[i], pieces[i]);
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++)
        feed(cuts[i], lengths, sizeof lengths / sizeof *lengths, i % 2 == 0);
}

/* Many small records of one read lie in one block, which is used again when all are done. */
static void many_share_a_block(void **state)
{
    enum { COUNT = 500, LENGTH = 100 };
    struct onc__record taken[COUNT];
    size_t room;
    uint8_t *space;

    (void)state;
    for (uint32_t i = 0; i < COUNT; i++)
        put_record(i, LENGTH, LENGTH);
    space = onc__records_space(&records, &room);
    assert_true(room >= stream.length);
    memcpy(space, stream.data, stream.length);
    onc__records_received(&records, stream.length);
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_int_equal(onc__records_next(&records, &taken[i]), ONC__NEXT_RECORD);
        assert_ptr_equal(taken[i].block, taken[0].block);
        assert_ptr_equal(taken[i].data, space + i * (LENGTH + 4) + 4);
    }
    /* With calls in it, the block goes on behind them. */
    assert_ptr_equal(onc__records_space(&records, &room), space + stream.length);
    for (uint32_t i = 0; i < COUNT; i++) {
        check_record(&taken[i], i, LENGTH);
        onc__block_put(&taken[i].block);
    }
    assert_ptr_equal(onc__records_space(&records, &room), space);
}

/* A procedure that keeps bytes holds a reference to the buffer: they are not overwritten. */
static void kept_bytes_stay(void **state)
{
    struct onc__record record;
    struct buf *kept;
    size_t room;
    uint8_t *space;

    (void)state;
    put_record(7, 50, 50);
    space = onc__records_space(&records, &room);
    memcpy(space, stream.data, stream.length);
    onc__records_received(&records, stream.length);
    assert_int_equal(onc__records_next(&records, &record), ONC__NEXT_RECORD);
    kept = buf_ref(record.block->buf);
    onc__block_put(&record.block);
    onc__records_rest(&records);
    assert_ptr_equal(onc__records_space(&records, &room), space + stream.length);
    for (size_t i = 0; i < 50; i++)
        assert_int_equal(space[4 + i], content(7, i));
    buf_unref(&kept);
}

/* A big record is read straight into memory of its own, of which only the first bytes were copied. */
static void big_record_is_read_in_place(void **state)
{
    enum { LENGTH = 700000, FIRST = 3000 };
    struct onc__record record;
    size_t room;
    uint8_t *space, *own;

    (void)state;
    put_record(0, LENGTH, LENGTH);
    put_record(1, LENGTH, LENGTH);
    for (uint32_t i = 0; i < 2; i++) {
        const uint8_t *from = stream.data + i * (LENGTH + 4);

        space = onc__records_space(&records, &room);
        assert_true(i == 0 ? room == ONC__BLOCK_BYTES : room == ONC__PEEK_BYTES);
        memcpy(space, from, FIRST + 4);
        onc__records_received(&records, FIRST + 4);
        assert_int_equal(onc__records_next(&records, &record), ONC__NEXT_NEED_BYTES);
        assert_int_equal(judged, i + 1);
        assert_int_equal(judged_length, LENGTH);
        assert_true(onc__records_has_partial(&records));
        onc__records_rest(&records);
        own = onc__records_space(&records, &room);
        assert_int_equal(room, LENGTH - FIRST);
        memcpy(own, from + 4 + FIRST, room);
        onc__records_received(&records, room);
        assert_int_equal(onc__records_next(&records, &record), ONC__NEXT_RECORD);
        assert_ptr_equal(record.data, own - FIRST);
        check_record(&record, i, LENGTH);
        onc__block_put(&record.block);
    }
}

static void skipped_record_needs_no_memory(void **state)
{
    static const size_t after[] = {30};
    size_t at = 0;
    struct onc__record record;
    enum onc__next next = ONC__NEXT_NEED_BYTES;

    (void)state;
    verdict = false;
    put_record(0, RECORD_MAX, RECORD_MAX);
    put_record(0, 30, 30);
    while (next == ONC__NEXT_NEED_BYTES && at < stream.length) {
        size_t room;
        uint8_t *space = onc__records_space(&records, &room);

        if (room > 50000)
            room = 50000;
        if (room > stream.length - at)
            room = stream.length - at;
        memcpy(space, stream.data + at, room);
        at += room;
        onc__records_received(&records, room);
        next = onc__records_next(&records, &record);
        assert_true(memory.bytes <= ONC__BLOCK_BYTES);
    }
    assert_int_equal(next, ONC__NEXT_RECORD);
    assert_int_equal(judged, 1);
    check_record(&record, 0, after[0]);
    onc__block_put(&record.block);
}

/* Puts MARKERS (and for each so many bytes) and says what comes of it. */
static enum onc__next outcome(const uint32_t *markers, size_t count)
{
    struct onc__record record;
    enum onc__next next = ONC__NEXT_NEED_BYTES;

    for (size_t i = 0; i < count && next == ONC__NEXT_NEED_BYTES; i++) {
        size_t left = 4 + (markers[i] & 0xffff), room;
        uint8_t *space;

        do {
            space = onc__records_space(&records, &room);
            assert_non_null(space);
            if (room > left)
                room = left;
            memset(space, 0, room);
            if (left == 4 + (markers[i] & 0xffff)) {
                assert_true(room >= 4);
                space[0] = (uint8_t)(markers[i] >> 24);
                space[1] = (uint8_t)(markers[i] >> 16);
                space[2] = (uint8_t)(markers[i] >> 8);
                space[3] = (uint8_t)markers[i];
            }
            left -= room;
            onc__records_received(&records, room);
            next = onc__records_next(&records, &record);
        } while (left > 0 && next == ONC__NEXT_NEED_BYTES);
    }
    if (next == ONC__NEXT_RECORD)
        onc__block_put(&record.block);
    onc__records_free(&records);
    onc__records_init(&records, &memory, RECORD_MAX);
    return next;
}

static void broken_records(void **state)
{
    uint32_t markers[ONC__FRAGMENTS_MAX + 2];

    (void)state;
    markers[0] = 0x80000000u | (RECORD_MAX + 0x10000);
    assert_int_equal(outcome(markers, 1), ONC__NEXT_BROKEN);
    markers[0] = 0xffff0000u;
    assert_int_equal(outcome(markers, 1), ONC__NEXT_BROKEN);
    markers[0] = 0x7fff0000u;
    assert_int_equal(outcome(markers, 1), ONC__NEXT_BROKEN);
    /* Fragments that are too long together. */
    for (size_t i = 0; i < 17; i++)
        markers[i] = 0xffff;
    markers[17] = 0x80000000u;
    assert_int_equal(outcome(markers, 18), ONC__NEXT_BROKEN);
    /* Empty fragments for ever. */
    memset(markers, 0, sizeof markers);
    assert_int_equal(outcome(markers, ONC__FRAGMENTS_MAX + 2), ONC__NEXT_BROKEN);
    /* A few are no harm. */
    markers[9] = 0x80000008u;
    assert_int_equal(outcome(markers, 10), ONC__NEXT_RECORD);
}

static void waits_for_memory(void **state)
{
    enum { LENGTH = 500000 };
    struct onc__block *other;
    struct onc__record record;
    size_t room;
    uint8_t *space;

    (void)state;
    memory.bytes_max = 1 << 20;
    other = onc__block_new(&memory, 700000);
    assert_non_null(other);
    put_record(0, LENGTH, LENGTH);
    space = onc__records_space(&records, &room);
    memcpy(space, stream.data, 2000);
    onc__records_received(&records, 2000);
    assert_int_equal(onc__records_next(&records, &record), ONC__NEXT_NEED_MEMORY);
    assert_int_equal(onc__records_next(&records, &record), ONC__NEXT_NEED_MEMORY);
    onc__block_put(&other);
    assert_int_equal(onc__records_next(&records, &record), ONC__NEXT_NEED_BYTES);
    assert_int_equal(judged, 1);
    space = onc__records_space(&records, &room);
    assert_int_equal(room, LENGTH + 4 - 2000);
    memcpy(space, stream.data + 2000, room);
    onc__records_received(&records, room);
    assert_int_equal(onc__records_next(&records, &record), ONC__NEXT_RECORD);
    check_record(&record, 0, LENGTH);
    onc__block_put(&record.block);
    other = onc__block_new(&memory, 900000);
    assert_non_null(other);
    onc__records_rest(&records);
    memory.bytes_max = memory.bytes;
    assert_null(onc__records_space(&records, &room));
    onc__block_put(&other);
    assert_non_null(onc__records_space(&records, &room));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(cut_at_every_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(sizes_around_thresholds, setup, teardown),
        cmocka_unit_test_setup_teardown(fragments, setup, teardown),
        cmocka_unit_test_setup_teardown(many_share_a_block, setup, teardown),
        cmocka_unit_test_setup_teardown(kept_bytes_stay, setup, teardown),
        cmocka_unit_test_setup_teardown(big_record_is_read_in_place, setup, teardown),
        cmocka_unit_test_setup_teardown(skipped_record_needs_no_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(broken_records, setup, teardown),
        cmocka_unit_test_setup_teardown(waits_for_memory, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
