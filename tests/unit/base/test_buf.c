/*
 * test_buf.c - references, classes, reuse and its bound.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dittofs/buf.h"
#include <string.h>

static void references(void **state)
{
    struct buf *buf = buf_new(100), *second, *none = NULL;

    (void)state;
    assert_non_null(buf);
    assert_true(buf->capacity >= 100);
    assert_int_equal(buf_bytes_in_use(), buf->capacity);
    second = buf_ref(buf);
    assert_ptr_equal(second, buf);
    buf_unref(&buf);
    assert_null(buf);
    assert_int_equal(buf_bytes_in_use(), second->capacity);
    memset(second->data, 1, second->capacity);
    buf_unref(&second);
    assert_null(second);
    assert_int_equal(buf_bytes_in_use(), 0);
    buf_unref(&none);
    buf_pool_drain();
    assert_int_equal(buf_bytes_kept(), 0);
}

static void capacities(void **state)
{
    static const size_t sizes[] = {
        0,       1,       511,     512,     513,   640,   641,    1023,    1024,    1025,
        4095,    4096,    4097,    8192,    65536, 65537, 131072, 1048576, 1048577, 1048576 + 4096,
        8388607, 8388608, 8388609, 10000000};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct buf *buf = buf_new(sizes[i]);
        assert_non_null(buf);
        assert_true(buf->capacity >= sizes[i]);
        if (sizes[i] > 512)
            assert_true(buf->capacity - sizes[i] <= sizes[i] / 4);
        if (buf->capacity >= 4096)
            assert_int_equal((uintptr_t)buf->data % 4096, 0);
        memset(buf->data, 0x5a, buf->capacity);
        buf_unref(&buf);
    }
    buf_pool_drain();
}

static void reuse(void **state)
{
    struct buf *buf = buf_new(100000), *again;
    uint8_t *data = buf->data;
    size_t capacity = buf->capacity;

    (void)state;
    buf_unref(&buf);
    assert_int_equal(buf_bytes_kept(), capacity);
    again = buf_new(capacity);
    assert_ptr_equal(again->data, data);
    assert_int_equal(again->references, 1);
    assert_int_equal(buf_bytes_kept(), 0);
    again->data[0] = again->data[capacity - 1] = 1;
    buf_unref(&again);
    /* Too large to be kept. */
    buf = buf_new(9000000);
    buf_unref(&buf);
    assert_int_equal(buf_bytes_kept(), capacity);
    buf_pool_drain();
    assert_int_equal(buf_bytes_kept(), 0);
}

static void bound(void **state)
{
    struct buf *bufs[100];

    (void)state;
    for (int i = 0; i < 100; i++)
        assert_non_null(bufs[i] = buf_new(1024 * 1024));
    assert_int_equal(buf_bytes_in_use(), 100 * 1024 * 1024);
    for (int i = 0; i < 100; i++)
        buf_unref(&bufs[i]);
    assert_int_equal(buf_bytes_in_use(), 0);
    assert_int_equal(buf_bytes_kept(), 64 * 1024 * 1024);
    buf_pool_drain();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(references),
        cmocka_unit_test(capacities),
        cmocka_unit_test(reuse),
        cmocka_unit_test(bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
