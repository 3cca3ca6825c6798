/*
 * test_interval.c - the set of intervals against a plain array: everything that can be asked of it, after
 * each of many random changes, with intervals that are equal, empty, one point, or reach to the end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dittofs/hash.h"
#include "state/interval_priv.h"

#include <string.h>

enum { MEMBERS = 48, STEPS = 4000, SPAN = 24 };
#define TO_END UINT64_MAX

static struct interval members[MEMBERS];
static bool is_in[MEMBERS];
static uint64_t orders;

static uint64_t roll(uint64_t *seed)
{
    return hash_u64(*seed += 0x9e3779b97f4a7c15u);
}

static int key_compare(const struct interval *a, const struct interval *b)
{
    if (a->first != b->first)
        return a->first < b->first ? -1 : 1;
    if (a->last != b->last)
        return a->last < b->last ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

static bool overlaps(const struct interval *a, uint64_t first, uint64_t last)
{
    return a->first <= last && first <= a->last;
}

static bool is_odd(const struct interval *interval, const void *data)
{
    assert_ptr_equal(data, members);
    return interval->order % 2 == 1;
}

static struct interval *model_find(uint64_t first, uint64_t last, bool odd, const struct interval *after)
{
    struct interval *best = NULL;

    for (int i = 0; i < MEMBERS; i++) {
        struct interval *at = &members[i];

        if (is_in[i] && overlaps(at, first, last) && (!odd || at->order % 2 == 1) &&
            (after == NULL || key_compare(at, after) > 0) && (best == NULL || key_compare(at, best) < 0))
            best = at;
    }
    return best;
}

static struct interval *model_latest(uint64_t first, uint64_t last, bool odd, uint64_t below)
{
    struct interval *best = NULL;

    for (int i = 0; i < MEMBERS; i++) {
        struct interval *at = &members[i];

        if (is_in[i] && overlaps(at, first, last) && (!odd || at->order % 2 == 1) && at->order < below &&
            (best == NULL || at->order > best->order))
            best = at;
    }
    return best;
}

static struct interval *model_exact(uint64_t first, uint64_t last)
{
    struct interval *best = NULL;

    for (int i = 0; i < MEMBERS; i++)
        if (is_in[i] && members[i].first == first && members[i].last == last &&
            (best == NULL || members[i].order < best->order))
            best = &members[i];
    return best;
}

/* Inclusive ends: usual, one point, empty, to the end. */
static void random_ends(uint64_t *seed, uint64_t *first_r, uint64_t *last_r)
{
    uint64_t dice = roll(seed);

    *first_r = dice % SPAN;
    switch (dice / 64 % 8) {
    case 0:
        *last_r = *first_r;
        break;
    case 1:
        *last_r = *first_r - 1;
        break;
    case 2:
        *last_r = TO_END;
        break;
    default:
        *last_r = *first_r + dice / 1024 % 6;
        break;
    }
    if (*first_r == 0 && dice / 64 % 8 == 1)
        *first_r = *last_r = 1;
}

static void compare_all(const struct interval_tree *tree, uint64_t *seed)
{
    uint64_t first, last, below = roll(seed) % (orders + 2);
    struct interval *after = &members[roll(seed) % MEMBERS];

    random_ends(seed, &first, &last);
    assert_ptr_equal(interval_find(tree, first, last, NULL, NULL), model_find(first, last, false, NULL));
    assert_ptr_equal(interval_find(tree, first, last, is_odd, members), model_find(first, last, true, NULL));
    assert_ptr_equal(interval_find_after(tree, first, last, after), model_find(first, last, false, after));
    assert_ptr_equal(interval_find_latest(tree, first, last, below, NULL, NULL),
                     model_latest(first, last, false, below));
    assert_ptr_equal(interval_find_latest(tree, first, last, TO_END, is_odd, members),
                     model_latest(first, last, true, TO_END));
    assert_ptr_equal(interval_find_exact(tree, first, last), model_exact(first, last));
}

static void random_against_model(void **state)
{
    struct interval_tree tree = {0};
    uint64_t seed = 4711;
    size_t count = 0;

    (void)state;
    memset(members, 0, sizeof members);
    for (int step = 0; step < STEPS; step++) {
        /* It fills, and empties, in turns. */
        bool fills = step / 500 % 2 == 0;
        uint64_t at = roll(&seed) % MEMBERS;

        if (is_in[at] && (!fills || roll(&seed) % 4 == 0)) {
            interval_remove(&tree, &members[at]);
            is_in[at] = false;
            count--;
        } else if (!is_in[at] && (fills || roll(&seed) % 4 == 0)) {
            random_ends(&seed, &members[at].first, &members[at].last);
            members[at].order = ++orders;
            interval_insert(&tree, &members[at]);
            is_in[at] = true;
            count++;
        }
        assert_int_equal(tree.count, count);
        assert_true((interval_any(&tree) == NULL) == (count == 0));
        for (int i = 0; i < 8; i++)
            compare_all(&tree, &seed);
    }
}

/* An empty interval is a point between two numbers: it overlaps what has both in it. */
static void empty_intervals(void **state)
{
    struct interval_tree tree = {0};
    struct interval empty = {.first = 10, .last = 9, .order = 1};

    (void)state;
    assert_null(interval_find(&tree, 0, TO_END, NULL, NULL));
    assert_null(interval_find_exact(&tree, 0, 0));
    interval_insert(&tree, &empty);
    assert_ptr_equal(interval_find(&tree, 9, 10, NULL, NULL), &empty);
    assert_ptr_equal(interval_find(&tree, 0, TO_END, NULL, NULL), &empty);
    assert_null(interval_find(&tree, 10, 20, NULL, NULL));
    assert_null(interval_find(&tree, 0, 9, NULL, NULL));
    assert_ptr_equal(interval_find_exact(&tree, 10, 9), &empty);
    assert_null(interval_find_exact(&tree, 10, 10));
    assert_null(interval_find_after(&tree, 0, TO_END, &empty));
    interval_remove(&tree, &empty);
    assert_null(interval_any(&tree));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_against_model),
        cmocka_unit_test(empty_intervals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
