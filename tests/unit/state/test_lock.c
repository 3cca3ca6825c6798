/*
 * test_lock.c - byte ranges without waiting: case tables, and a random comparison with a model of bytes.
 */
#include "world.h"

#define MAX UINT64_MAX

/* ---- case tables: each row is a step on one file; owners A, B are of one client, C of another ---- */

enum step { SET, SETX, UNSET, TEST, TESTX };

struct row {
    char who;
    enum step step;
    uint64_t offset, length;
    enum err expect;
    const char *held; /* of everybody afterwards; NULL: as before */
};

static void describe(const struct state_file *file, const struct interval *node, char *text, size_t size)
{
    const struct range *range;
    char one[80], first[24], last[24];
    size_t length;

    if (node == NULL)
        return;
    describe(file, node->left, text, size);
    range = container_of(node, struct range, all);
    length = 0;
    snprintf(first, sizeof first, node->first > MAX - 100 ? "M-%llu" : "%llu",
             (unsigned long long)(node->first > MAX - 100 ? MAX - node->first : node->first));
    snprintf(last, sizeof last, node->last > MAX - 100 ? "M-%llu" : "%llu",
             (unsigned long long)(node->last > MAX - 100 ? MAX - node->last : node->last));
    snprintf(one, sizeof one, "%s%c%c[%s,%s]", *text == 0 ? "" : " ",
             owner_key(range->holder->owner, &length)[0], range->is_exclusive ? 'x' : 's', first, last);
    assert_true(strlen(text) + strlen(one) < size);
    strcat(text, one);
    describe(file, node->right, text, size);
}

static int compare_words(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Words in alphabetical order: rows may name ranges in any. */
static void sort_words(char *text)
{
    char copy[512], *words[64], *rest = copy;
    size_t count = 0;

    snprintf(copy, sizeof copy, "%s", text);
    for (char *word; count < 64 && (word = strsep(&rest, " ")) != NULL;)
        words[count++] = word;
    qsort(words, count, sizeof words[0], compare_words);
    text[0] = 0;
    for (size_t i = 0; i < count; i++)
        sprintf(text + strlen(text), "%s%s", i == 0 ? "" : " ", words[i]);
}

static void run_rows(const struct row *rows, size_t count, enum lock_rules rules)
{
    struct world world;
    struct client *client, *other;
    struct lock_holder *holders[3];
    struct state_file *file;
    char held[512] = "", now[512];

    world_open(&world, NULL);
    client = make_client(&world, "one");
    other = make_client(&world, "two");
    holders[0] = make_holder(&world, 7, client, "A", rules);
    holders[1] = make_holder(&world, 7, client, "B", rules);
    holders[2] = make_holder(&world, 7, other, "C", LOCK_POSIX);
    file = lock_holder_file(holders[0]);
    for (size_t i = 0; i < count; i++) {
        const struct row *row = &rows[i];
        struct lock_holder *holder = holders[row->who - 'A'];
        struct lock_request request = {.offset = row->offset,
                                       .length = row->length,
                                       .exclusive = row->step == SETX || row->step == TESTX};
        enum err err = ERR_OK;

        switch (row->step) {
        case SET:
        case SETX:
            err = lock_set(holder, &request, NULL);
            break;
        case UNSET:
            err = lock_unset(holder, row->offset, row->length);
            break;
        case TEST:
        case TESTX:
            err = lock_test(file, lock_holder_owner(holder), &request, &(struct lock_conflict){0});
            break;
        }
        if (row->held != NULL)
            snprintf(held, sizeof held, "%s", row->held);
        now[0] = 0;
        describe(file, file->ranges.root, now, sizeof now);
        sort_words(now);
        sort_words(held);
        if (err != row->expect || strcmp(now, held) != 0)
            fail_msg("row %zu: %s (expected %s), held '%s' (expected '%s')", i, err_name(err),
                     err_name(row->expect), now, held);
    }
    world_close(&world);
}

static const struct row posix_rows[] = {
    /* merging */
    {'A', SET, 0, 10, ERR_OK, "As[0,9]"},
    {'A', SET, 10, 10, ERR_OK, "As[0,19]"},
    {'A', SET, 5, 3, ERR_OK, "As[0,19]"},
    {'A', SET, 40, 10, ERR_OK, "As[0,19] As[40,49]"},
    {'A', SET, 15, 30, ERR_OK, "As[0,49]"},
    {'A', SET, 60, 10, ERR_OK, "As[0,49] As[60,69]"},
    {'A', SET, 50, 10, ERR_OK, "As[0,69]"},
    {'A', SET, 0, 0, ERR_INVAL, NULL},
    /* upgrade in the middle, at both ends, over all; downgrade */
    {'A', SETX, 20, 10, ERR_OK, "As[0,19] Ax[20,29] As[30,69]"},
    {'A', SETX, 0, 5, ERR_OK, "Ax[0,4] As[5,19] Ax[20,29] As[30,69]"},
    {'A', SETX, 60, 10, ERR_OK, "Ax[0,4] As[5,19] Ax[20,29] As[30,59] Ax[60,69]"},
    {'A', SETX, 3, 60, ERR_OK, "Ax[0,69]"},
    {'A', SET, 10, 10, ERR_OK, "Ax[0,9] As[10,19] Ax[20,69]"},
    {'A', SET, 5, 10, ERR_OK, "Ax[0,4] As[5,19] Ax[20,69]"},
    {'A', SET, 0, 70, ERR_OK, "As[0,69]"},
    /* others */
    {'B', SET, 0, 10, ERR_OK, "As[0,69] Bs[0,9]"},
    {'B', SETX, 0, 10, ERR_DENIED, NULL},
    {'B', SETX, 69, 1, ERR_DENIED, NULL},
    {'B', SETX, 70, 1, ERR_OK, "As[0,69] Bs[0,9] Bx[70,70]"},
    {'A', SETX, 5, 60, ERR_DENIED, NULL},
    {'A', SETX, 10, 60, ERR_OK, "As[0,9] Bs[0,9] Ax[10,69] Bx[70,70]"},
    {'B', TEST, 69, 1, ERR_DENIED, NULL},
    {'B', TEST, 9, 1, ERR_OK, NULL},
    {'B', TESTX, 9, 1, ERR_DENIED, NULL},
    {'A', TESTX, 10, 60, ERR_OK, NULL},
    {'C', TEST, 70, 1, ERR_DENIED, NULL},
    {'C', TESTX, 71, LOCK_TO_END, ERR_OK, NULL},
    {'C', TESTX, 71, 0, ERR_INVAL, NULL},
    /* unlocking: nothing there, split, ends, over several */
    {'A', UNSET, 100, 10, ERR_OK, NULL},
    {'A', UNSET, 20, 10, ERR_OK, "As[0,9] Bs[0,9] Ax[10,19] Ax[30,69] Bx[70,70]"},
    {'A', UNSET, 30, 5, ERR_OK, "As[0,9] Bs[0,9] Ax[10,19] Ax[35,69] Bx[70,70]"},
    {'A', UNSET, 60, 20, ERR_OK, "As[0,9] Bs[0,9] Ax[10,19] Ax[35,59] Bx[70,70]"},
    {'A', UNSET, 5, 50, ERR_OK, "As[0,4] Bs[0,9] Ax[55,59] Bx[70,70]"},
    {'A', UNSET, 0, LOCK_TO_END, ERR_OK, "Bs[0,9] Bx[70,70]"},
    {'B', UNSET, 0, LOCK_TO_END, ERR_OK, ""},
    {'B', UNSET, 0, 0, ERR_INVAL, NULL},
    /* the end of the numbers */
    {'A', SETX, 100, LOCK_TO_END, ERR_OK, "Ax[100,M-0]"},
    {'B', TESTX, MAX - 1, 1, ERR_DENIED, NULL},
    {'B', SETX, MAX - 1, 2, ERR_INVAL, NULL},
    {'B', SETX, MAX, 2, ERR_INVAL, NULL},
    {'B', UNSET, MAX, 2, ERR_INVAL, NULL},
    {'A', UNSET, MAX - 1, 1, ERR_OK, "Ax[100,M-2] Ax[M-0,M-0]"},
    {'A', SETX, MAX - 1, LOCK_TO_END, ERR_OK, "Ax[100,M-0]"},
    {'A', UNSET, MAX, LOCK_TO_END, ERR_OK, "Ax[100,M-1]"},
    {'B', SETX, MAX, LOCK_TO_END, ERR_OK, "Ax[100,M-1] Bx[M-0,M-0]"},
    {'A', UNSET, 0, LOCK_TO_END, ERR_OK, "Bx[M-0,M-0]"},
    /* adjacent ranges of another kind do not merge */
    {'B', UNSET, 0, LOCK_TO_END, ERR_OK, ""},
    {'A', SET, 10, 10, ERR_OK, "As[10,19]"},
    {'A', SETX, 0, 10, ERR_OK, "Ax[0,9] As[10,19]"},
    {'A', SETX, 20, 10, ERR_OK, "Ax[0,9] As[10,19] Ax[20,29]"},
    {'A', SETX, 10, 10, ERR_OK, "Ax[0,29]"},
    /* a new shared range between exclusive ones, and inside of one */
    {'A', SET, 30, 5, ERR_OK, "Ax[0,29] As[30,34]"},
    {'A', SETX, 35, 5, ERR_OK, "Ax[0,29] As[30,34] Ax[35,39]"},
    {'A', SETX, 10, 10, ERR_OK, NULL},
};

static void posix_cases(void **unused)
{
    (void)unused;
    run_rows(posix_rows, sizeof posix_rows / sizeof posix_rows[0], LOCK_POSIX);
}

/* A and B by LOCK_EXACT, C by LOCK_POSIX. */
static const struct row exact_rows[] = {
    /* stacking */
    {'A', SET, 0, 10, ERR_OK, "As[0,9]"},
    {'A', SET, 0, 10, ERR_OK, "As[0,9] As[0,9]"},
    {'A', SET, 5, 10, ERR_OK, "As[0,9] As[0,9] As[5,14]"},
    {'A', SETX, 5, 1, ERR_DENIED, NULL}, /* its own shared ones too */
    {'A', UNSET, 0, 5, ERR_LOCK_RANGE, NULL},
    {'A', UNSET, 0, 15, ERR_LOCK_RANGE, NULL},
    {'A', UNSET, 0, 10, ERR_OK, "As[0,9] As[5,14]"},
    {'A', UNSET, 0, 10, ERR_OK, "As[5,14]"},
    {'A', UNSET, 0, 10, ERR_LOCK_RANGE, NULL},
    {'B', UNSET, 5, 10, ERR_LOCK_RANGE, NULL},
    {'A', UNSET, 5, 10, ERR_OK, ""},
    /* shared upon its own exclusive; the exclusive one goes first */
    {'A', SETX, 0, 10, ERR_OK, "Ax[0,9]"},
    {'A', SETX, 0, 10, ERR_DENIED, NULL},
    {'A', SET, 0, 10, ERR_OK, "Ax[0,9] As[0,9]"},
    {'B', SET, 9, 1, ERR_DENIED, NULL},
    {'C', SET, 9, 1, ERR_DENIED, NULL},
    {'A', UNSET, 0, 10, ERR_OK, "As[0,9]"},
    {'C', SET, 9, 1, ERR_OK, "As[0,9] Cs[9,9]"},
    {'B', SETX, 9, 1, ERR_DENIED, NULL},
    {'A', UNSET, 0, 10, ERR_OK, "Cs[9,9]"},
    {'C', UNSET, 0, LOCK_TO_END, ERR_OK, ""},
    /* length 0 is a point: in the inside only */
    {'A', SETX, 10, 10, ERR_OK, "Ax[10,19]"},
    {'B', SETX, 10, 0, ERR_OK, "Bx[10,9] Ax[10,19]"},
    {'B', SETX, 20, 0, ERR_OK, "Bx[10,9] Ax[10,19] Bx[20,19]"},
    {'B', SETX, 15, 0, ERR_DENIED, NULL},
    {'B', SETX, 10, 0, ERR_OK, "Bx[10,9] Bx[10,9] Ax[10,19] Bx[20,19]"},
    {'C', SET, 9, 2, ERR_DENIED, NULL},
    {'A', UNSET, 10, 10, ERR_OK, "Bx[10,9] Bx[10,9] Bx[20,19]"},
    {'C', SET, 9, 2, ERR_DENIED, NULL},
    {'C', SET, 10, 2, ERR_OK, "Bx[10,9] Bx[10,9] Cs[10,11] Bx[20,19]"},
    {'B', UNSET, 10, 0, ERR_OK, "Bx[10,9] Cs[10,11] Bx[20,19]"},
    {'B', UNSET, 10, 0, ERR_OK, "Cs[10,11] Bx[20,19]"},
    {'B', UNSET, 10, 0, ERR_LOCK_RANGE, NULL},
    {'B', UNSET, 20, 0, ERR_OK, "Cs[10,11]"},
    {'C', UNSET, 10, 2, ERR_OK, ""},
    /* an empty lock at 0 is in nobody's way, but there */
    {'B', SETX, 0, 0, ERR_OK, ""},
    {'A', SETX, 0, 10, ERR_OK, "Ax[0,9]"},
    {'B', SETX, 0, 0, ERR_OK, NULL},
    {'B', UNSET, 0, 0, ERR_OK, NULL},
    {'B', UNSET, 0, 0, ERR_OK, NULL},
    {'B', UNSET, 0, 0, ERR_LOCK_RANGE, NULL},
    {'A', UNSET, 0, 10, ERR_OK, ""},
    /* lengths are literal */
    {'A', SETX, 1, MAX, ERR_OK, "Ax[1,M-0]"},
    {'A', SETX, 2, MAX, ERR_INVAL, NULL},
    {'B', SET, 0, 1, ERR_OK, "Bs[0,0] Ax[1,M-0]"},
    {'A', UNSET, 1, MAX, ERR_OK, "Bs[0,0]"},
    {'A', SETX, MAX, 1, ERR_OK, "Bs[0,0] Ax[M-0,M-0]"},
    {'A', UNSET, MAX, 2, ERR_INVAL, NULL},
};

static void exact_cases(void **unused)
{
    (void)unused;
    run_rows(exact_rows, sizeof exact_rows / sizeof exact_rows[0], LOCK_EXACT);
}

static void conflict_is_described(void **unused)
{
    struct world world;
    struct client *client;
    struct lock_holder *a, *b;
    struct lock_conflict conflict;
    struct lock_request request = {.offset = 0, .length = LOCK_TO_END, .exclusive = true};

    (void)unused;
    world_open(&world, NULL);
    client = make_client(&world, "one");
    a = make_holder(&world, 1, client, "A", LOCK_POSIX);
    b = make_holder(&world, 1, client, "B", LOCK_POSIX);
    assert_int_equal(lock_set(a, &(struct lock_request){.offset = 100, .length = 50}, NULL), ERR_OK);
    assert_int_equal(
        lock_set(a, &(struct lock_request){.offset = 1000, .length = LOCK_TO_END, .exclusive = true}, NULL),
        ERR_OK);
    assert_int_equal(lock_set(b, &request, &conflict), ERR_DENIED);
    assert_int_equal(conflict.offset, 100);
    assert_int_equal(conflict.length, 50);
    assert_false(conflict.exclusive);
    assert_ptr_equal(conflict.owner, lock_holder_owner(a));
    request.offset = 200;
    assert_int_equal(lock_test(lock_holder_file(b), NULL, &request, &conflict), ERR_DENIED);
    assert_int_equal(conflict.offset, 1000);
    assert_true(conflict.length == LOCK_TO_END);
    assert_true(conflict.exclusive);
    assert_int_equal(lock_test(NULL, NULL, &request, &conflict), ERR_OK);
    world_close(&world);
}

/* ---- limits ---- */

static void limit_changes_nothing(void **unused)
{
    struct world world;
    struct state_options options = {.max_locks = 3};
    struct client *client;
    struct lock_holder *a, *b, *e;

    (void)unused;
    world_open(&world, &options);
    client = make_client(&world, "one");
    a = make_holder(&world, 1, client, "A", LOCK_POSIX);
    b = make_holder(&world, 1, client, "B", LOCK_POSIX);
    e = make_holder(&world, 2, client, "E", LOCK_EXACT);
    assert_int_equal(lock_set(a, &(struct lock_request){.offset = 0, .length = 30}, NULL), ERR_OK);
    assert_int_equal(lock_set(b, &(struct lock_request){.offset = 0, .length = 5}, NULL), ERR_OK);
    /* One more fits, a split into three does not. */
    assert_int_equal(lock_set(a, &(struct lock_request){.offset = 10, .length = 5, .exclusive = true}, NULL),
                     ERR_LIMIT);
    assert_int_equal(lock_holder_count(a), 1);
    assert_int_equal(lock_unset(a, 10, 5), ERR_OK);
    assert_int_equal(lock_holder_count(a), 2);
    assert_int_equal(lock_unset(a, 2, 5), ERR_LIMIT);
    assert_int_equal(lock_set(a, &(struct lock_request){.offset = 100, .length = 5}, NULL), ERR_LIMIT);
    assert_int_equal(lock_set(e, &(struct lock_request){.offset = 100, .length = 5}, NULL), ERR_LIMIT);
    /* What needs no more memory goes on. */
    assert_int_equal(lock_unset(a, 0, 5), ERR_OK);
    assert_int_equal(lock_unset(a, 0, LOCK_TO_END), ERR_OK);
    lock_unset_all(b);
    assert_int_equal(lock_holder_count(b), 0);
    world_close(&world);
}

/* ---- I/O ---- */

struct io_row {
    char who; /* A and B by LOCK_EXACT, C by LOCK_POSIX, N: nobody */
    uint64_t offset, length;
    bool write;
    enum lock_io how;
    enum err expect;
};

/* A: shared [0,9], exclusive [10,19]; C: shared [20,29], exclusive [30,39]. */
static const struct io_row io_rows[] = {
    {'N', 0, 10, false, LOCK_IO_ADVISORY, ERR_OK},
    {'N', 0, 1, true, LOCK_IO_ADVISORY, ERR_LOCKED},
    {'B', 9, 1, true, LOCK_IO_ADVISORY, ERR_LOCKED},
    {'A', 9, 1, true, LOCK_IO_ADVISORY, ERR_LOCKED}, /* through its own shared one */
    {'A', 9, 1, false, LOCK_IO_ADVISORY, ERR_OK},
    {'A', 10, 10, true, LOCK_IO_STRICT, ERR_OK},
    {'A', 10, 10, false, LOCK_IO_STRICT, ERR_OK},
    {'B', 10, 1, false, LOCK_IO_STRICT, ERR_LOCKED},
    {'N', 19, 100, false, LOCK_IO_ADVISORY, ERR_LOCKED},
    {'C', 19, 1, false, LOCK_IO_ADVISORY, ERR_LOCKED},
    {'N', 20, 20, true, LOCK_IO_ADVISORY, ERR_OK},
    {'N', 20, 10, false, LOCK_IO_STRICT, ERR_OK},
    {'N', 20, 10, true, LOCK_IO_STRICT, ERR_LOCKED},
    {'C', 20, 20, true, LOCK_IO_STRICT, ERR_OK},
    {'B', 30, 1, false, LOCK_IO_STRICT, ERR_LOCKED},
    {'B', 40, MAX, true, LOCK_IO_STRICT, ERR_OK},
    {'B', 39, MAX, true, LOCK_IO_STRICT, ERR_LOCKED},
    {'B', 15, 0, true, LOCK_IO_STRICT, ERR_OK},
};

static void io_against_locks(void **unused)
{
    struct world world;
    struct client *client;
    struct lock_holder *holders[3];
    struct state_file *file;

    (void)unused;
    world_open(&world, NULL);
    client = make_client(&world, "one");
    holders[0] = make_holder(&world, 1, client, "A", LOCK_EXACT);
    holders[1] = make_holder(&world, 1, client, "B", LOCK_EXACT);
    holders[2] = make_holder(&world, 1, client, "C", LOCK_POSIX);
    file = lock_holder_file(holders[0]);
    assert_int_equal(lock_check_io(file, 0, 0, 100, true, LOCK_IO_STRICT), ERR_OK);
    assert_int_equal(lock_check_io(NULL, 0, 0, 100, true, LOCK_IO_STRICT), ERR_OK);
    assert_int_equal(lock_set(holders[2], &(struct lock_request){.offset = 20, .length = 10}, NULL), ERR_OK);
    /* Advisory locks alone: nothing is looked at. */
    assert_int_equal(lock_check_io(file, 0, 0, 100, true, LOCK_IO_ADVISORY), ERR_OK);
    assert_int_equal(
        lock_set(holders[2], &(struct lock_request){.offset = 30, .length = 10, .exclusive = true}, NULL),
        ERR_OK);
    assert_int_equal(lock_set(holders[0], &(struct lock_request){.offset = 0, .length = 10}, NULL), ERR_OK);
    assert_int_equal(
        lock_set(holders[0], &(struct lock_request){.offset = 10, .length = 10, .exclusive = true}, NULL),
        ERR_OK);
    for (size_t i = 0; i < sizeof io_rows / sizeof io_rows[0]; i++) {
        const struct io_row *row = &io_rows[i];
        uint64_t owner = row->who == 'N' ? 0 : owner_id(lock_holder_owner(holders[row->who - 'A']));
        enum err err = lock_check_io(file, owner, row->offset, row->length, row->write, row->how);
        if (err != row->expect)
            fail_msg("row %zu: %s", i, err_name(err));
    }
    world_close(&world);
}

/* ---- expired holders ---- */

static void expired_holders_yield(void **unused)
{
    struct world world;
    struct client *gone, *here;
    struct lock_holder *a, *b;
    struct state_file *file;
    struct lock_request all = {.offset = 0, .length = LOCK_TO_END, .exclusive = true};

    (void)unused;
    for (int how = 0; how < 5; how++) {
        world_open(&world, NULL);
        gone = make_client(&world, "gone");
        here = make_client(&world, "here");
        file = make_file(&world, 1);
        a = make_holder(&world, 1, gone, "A", how == 4 ? LOCK_EXACT : LOCK_POSIX);
        b = make_holder(&world, 1, here, "B", LOCK_POSIX);
        assert_int_equal(lock_set(a, &all, NULL), how == 4 ? ERR_OK : ERR_OK);
        world_pass(&world, 60000);
        assert_int_equal(client_renew(here), ERR_OK);
        assert_int_equal(lock_set(b, &all, NULL), ERR_DENIED);
        world_pass(&world, 40000);
        assert_int_equal(client_status(gone), CLIENT_COURTESY);
        if (how == 0)
            assert_int_equal(lock_set(b, &all, NULL), ERR_OK);
        else if (how == 1)
            assert_int_equal(lock_test(file, lock_holder_owner(b), &all, NULL), ERR_OK);
        else if (how == 2)
            assert_int_equal(lock_check_io(file, 0, 0, 1, true, LOCK_IO_STRICT), ERR_OK);
        else if (how == 3)
            assert_int_equal(lock_check_io(file, 0, 0, 1, false, LOCK_IO_STRICT), ERR_OK);
        else /* the file goes with its only holder */
            lock_holder_free(b);
        if (how < 4)
            assert_null(client_find_confirmed(world.state, 1, "gone", 4));
        state_file_unref(&file);
        if (how == 4) {
            file = state_file_find(world.state, 1, 1);
            assert_int_equal(lock_check_io(file, 0, 0, 1, true, LOCK_IO_ADVISORY), ERR_OK);
            assert_null(state_file_find(world.state, 1, 1));
        }
        world_close(&world);
    }
}

/* ---- the model: what each owner has on each byte ---- */

enum { MODEL_OWNERS = 5, MODEL_BYTES = 48, MODEL_STEPS = 60000 };

struct model {
    char held[MODEL_OWNERS][MODEL_BYTES]; /* 0, 's', 'x' */
    uint64_t base;
};

static bool model_conflicts(const struct model *model, int owner, int first, int last, bool exclusive)
{
    for (int other = 0; other < MODEL_OWNERS; other++) {
        for (int at = first; at <= last && other != owner; at++) {
            if (model->held[other][at] == 'x' || (exclusive && model->held[other][at] != 0))
                return true;
        }
    }
    return false;
}

static void compare(const struct model *model, int owner, const struct lock_holder *holder)
{
    char seen[MODEL_BYTES] = {0};
    uint32_t ranges = 0, expected = 0;
    uint64_t from = 0;
    struct interval *found;

    while ((found = interval_find(&holder->ranges, from, MAX, NULL, NULL)) != NULL) {
        const struct range *range = container_of(found, struct range, own);
        for (uint64_t at = found->first; at - found->first <= found->last - found->first; at++) {
            seen[at - model->base] = range->is_exclusive ? 'x' : 's';
            if (at == MAX)
                break;
        }
        ranges++;
        from = found->last + 1;
        if (found->last == MAX)
            break;
    }
    assert_memory_equal(seen, model->held[owner], MODEL_BYTES);
    for (int at = 0; at < MODEL_BYTES; at++)
        expected += seen[at] != 0 && (at == 0 || seen[at - 1] != seen[at]);
    assert_int_equal(ranges, expected); /* merged as far as can be */
    assert_int_equal(lock_holder_count(holder), expected);
}

static void random_against_model(void **unused)
{
    struct world world;
    struct client *client;
    struct lock_holder *holders[MODEL_OWNERS];

    (void)unused;
    for (int end = 0; end < 2; end++) {
        struct model model = {.base = end ? MAX - (MODEL_BYTES - 1) : 0};
        uint64_t seed = 12345 + (uint64_t)end;

        world_open(&world, NULL);
        client = make_client(&world, "one");
        for (int i = 0; i < MODEL_OWNERS; i++)
            holders[i] = make_holder(&world, 1, client, (char[]){(char)('A' + i), 0}, LOCK_POSIX);
        for (int step = 0; step < MODEL_STEPS; step++) {
            uint64_t dice = hash_u64(seed += 0x9e3779b97f4a7c15u);
            int owner = (int)(dice % MODEL_OWNERS), what = (int)(dice / 8 % 8);
            int first = (int)(dice / 64 % MODEL_BYTES);
            int last = first + (int)(dice / 65536 % (dice / 1048576 % 3 == 0 ? MODEL_BYTES : 6));
            bool exclusive = dice / 4096 % 2 == 0, conflict;
            struct lock_request request = {.offset = model.base + (uint64_t)first, .exclusive = exclusive};

            if (last >= MODEL_BYTES)
                last = MODEL_BYTES - 1;
            request.length = end && last == MODEL_BYTES - 1 ? LOCK_TO_END : (uint64_t)(last - first + 1);
            conflict = model_conflicts(&model, owner, first, last, exclusive);
            if (what < 4) {
                assert_int_equal(lock_set(holders[owner], &request, NULL), conflict ? ERR_DENIED : ERR_OK);
                if (!conflict)
                    memset(&model.held[owner][first], exclusive ? 'x' : 's', (size_t)(last - first + 1));
            } else if (what < 7) {
                assert_int_equal(lock_unset(holders[owner], request.offset, request.length), ERR_OK);
                memset(&model.held[owner][first], 0, (size_t)(last - first + 1));
            } else {
                assert_int_equal(lock_test(lock_holder_file(holders[owner]),
                                           lock_holder_owner(holders[owner]), &request, NULL),
                                 conflict ? ERR_DENIED : ERR_OK);
            }
            compare(&model, owner, holders[owner]);
        }
        world_close(&world);
    }
}

/* ---- release by owner, open and client ---- */

static void released_with_owner_open_client(void **unused)
{
    struct world world;
    struct client *client, *other;
    struct lock_holder *a, *b, *c;
    struct owner *owner;
    struct open *open;
    struct state_file *file;
    struct state_counters counters;
    struct lock_request one = {.offset = 0, .length = 1};

    (void)unused;
    world_open(&world, NULL);
    client = make_client(&world, "one");
    other = make_client(&world, "two");
    open = make_open(&world, 1, client, "O", OPEN_READ, 0);
    file = make_file(&world, 1);
    owner = make_owner(client, "L");
    assert_int_equal(lock_holder_get(file, owner, open, LOCK_POSIX, &a), ERR_OK);
    assert_int_equal(lock_holder_get(file, owner, open, LOCK_POSIX, &b), ERR_OK);
    assert_ptr_equal(a, b);
    assert_ptr_equal(lock_holder_open(a), open);
    assert_int_equal(lock_holder_get(file, owner, open, LOCK_EXACT, &b), ERR_INVAL);
    assert_false(open_has_locks(open));
    assert_int_equal(lock_set(a, &one, NULL), ERR_OK);
    assert_true(open_has_locks(open));
    assert_true(owner_has_locks(owner));
    open_close(open);
    assert_false(owner_has_locks(owner));
    assert_null(lock_holder_find(file, owner));
    b = make_holder(&world, 1, client, "L", LOCK_POSIX);
    c = make_holder(&world, 2, client, "L", LOCK_POSIX);
    assert_int_equal(lock_set(b, &one, NULL), ERR_OK);
    assert_int_equal(lock_set(c, &one, NULL), ERR_OK);
    owner_release_locks(owner);
    state_counters(world.state, &counters);
    assert_int_equal(counters.locks, 0);
    c = make_holder(&world, 2, other, "L", LOCK_POSIX);
    assert_int_equal(lock_set(c, &one, NULL), ERR_OK);
    assert_true(client_is_busy(other));
    client_destroy(other);
    state_counters(world.state, &counters);
    assert_int_equal(counters.locks, 0);
    owner_unref(&owner);
    state_file_unref(&file);
    client_destroy(client);
    state_counters(world.state, &counters);
    assert_int_equal(counters.files, 0);
    assert_int_equal(counters.owners, 0);
    assert_int_equal(counters.stateids, 0);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(posix_cases),           cmocka_unit_test(exact_cases),
        cmocka_unit_test(conflict_is_described), cmocka_unit_test(limit_changes_nothing),
        cmocka_unit_test(io_against_locks),      cmocka_unit_test(expired_holders_yield),
        cmocka_unit_test(random_against_model),  cmocka_unit_test(released_with_owner_open_client),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
