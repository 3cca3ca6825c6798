/*
 * test_arena.c - limits, alignment, zeroing, reuse.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dittofs/arena.h"
#include <string.h>

static void zeroed_and_aligned(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena, 0);
    for (size_t size = 0; size < 9000; size = size * 3 / 2 + 1) {
        uint8_t *memory = arena_alloc(&arena, size);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % _Alignof(max_align_t), 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(memory[i], 0);
        memset(memory, 0xa5, size);
    }
    arena_reset(&arena);
}

static void pieces_do_not_overlap(void **state)
{
    struct arena arena;
    uint8_t *pieces[300];

    (void)state;
    arena_init(&arena, 0);
    for (unsigned i = 0; i < 300; i++) {
        pieces[i] = arena_alloc(&arena, 1 + i * 7 % 3000);
        assert_non_null(pieces[i]);
        memset(pieces[i], (int)(i & 0xff), 1 + i * 7 % 3000);
    }
    for (unsigned i = 0; i < 300; i++) {
        for (size_t at = 0; at < 1 + i * 7 % 3000; at++)
            assert_int_equal(pieces[i][at], i & 0xff);
    }
    arena_reset(&arena);
}

static void limits(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena, 1024);
    assert_null(arena_alloc(&arena, 1025));
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_null(arena_alloc(&arena, SIZE_MAX - 8));
    assert_null(arena_copy(&arena, "", SIZE_MAX));
    assert_int_equal(arena.used, 0);
    assert_non_null(arena_alloc(&arena, 1008));
    assert_non_null(arena_alloc(&arena, 16));
    assert_null(arena_alloc(&arena, 1));
    assert_null(arena_alloc(&arena, 0));
    arena_reset(&arena);
    assert_int_equal(arena.used, 0);
    assert_non_null(arena_alloc(&arena, 1024));
    arena_reset(&arena);

    /* The default. */
    arena_init(&arena, 0);
    assert_null(arena_alloc(&arena, 1024 * 1024 + 1));
    assert_non_null(arena_alloc(&arena, 1024 * 1024));
    assert_null(arena_alloc(&arena, 1));
    arena_reset(&arena);
}

static void copies(void **state)
{
    struct arena arena;
    char *copy;

    (void)state;
    arena_init(&arena, 0);
    copy = arena_copy(&arena, "abcdef", 3);
    assert_string_equal(copy, "abc");
    copy = arena_copy(&arena, NULL, 0);
    assert_string_equal(copy, "");
    arena_reset(&arena);
    arena_reset(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zeroed_and_aligned),
        cmocka_unit_test(pieces_do_not_overlap),
        cmocka_unit_test(limits),
        cmocka_unit_test(copies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
