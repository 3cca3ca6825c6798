/*
 * The window of message ids: each is taken once, none outside of what was granted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "smb/smb2_priv.h"

static void test_only_what_was_granted(void **state)
{
    struct smb2_window window;

    (void)state;
    smb2__window_init(&window);
    assert_false(smb2__window_take(&window, 1, 1));
    assert_true(smb2__window_take(&window, 0, 1));
    assert_false(smb2__window_take(&window, 0, 1));
    assert_false(smb2__window_take(&window, 1, 1));
    assert_int_equal(smb2__window_grant(&window, 4), 4);
    /* Out of order, each once, none behind the end. */
    assert_true(smb2__window_take(&window, 3, 1));
    assert_false(smb2__window_take(&window, 3, 1));
    assert_false(smb2__window_take(&window, 2, 2)); /* 3 was used */
    assert_false(smb2__window_take(&window, 4, 2)); /* 5 was not granted */
    assert_false(smb2__window_take(&window, UINT64_MAX, 2));
    assert_true(smb2__window_take(&window, 1, 2));
    assert_true(smb2__window_take(&window, 4, 0)); /* 0 counts as 1 */
    assert_false(smb2__window_take(&window, 5, 1));
}

static void test_never_more_than_the_most(void **state)
{
    struct smb2_window window;
    uint64_t id = 1;

    (void)state;
    smb2__window_init(&window);
    assert_true(smb2__window_take(&window, 0, 1));
    assert_int_equal(smb2__window_grant(&window, UINT16_MAX), SMB2_CREDITS_MAX);
    assert_int_equal(smb2__window_grant(&window, 1), 0);
    /* Many times round: ids and bits stay in step, and 0 asked for is one granted. */
    for (int i = 0; i < 5 * SMB2_CREDITS_MAX; i++, id++) {
        assert_true(smb2__window_take(&window, id, 1));
        assert_int_equal(smb2__window_grant(&window, 0), 1);
        assert_false(smb2__window_take(&window, id, 1));
    }
    /* One that is left out holds the window back. */
    for (unsigned i = 1; i < SMB2_CREDITS_MAX; i++) {
        assert_true(smb2__window_take(&window, id + i, 1));
        assert_int_equal(smb2__window_grant(&window, 8), 0);
    }
    assert_true(smb2__window_take(&window, id, 1));
    assert_int_equal(smb2__window_grant(&window, UINT16_MAX), SMB2_CREDITS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_what_was_granted),
        cmocka_unit_test(test_never_more_than_the_most),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
