/*
 * test_hashtable.c - growth, equal hashes, removal, walking; and lists.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dittofs/hash.h"
#include "dittofs/hashtable.h"
#include <stdlib.h>
#include <string.h>

struct member {
    struct hashlink link;
    unsigned key;
    bool seen;
};

enum { MANY = 20000 };

static struct member *find(const struct hashtable *table, uint64_t hash, unsigned key)
{
    struct hashlink *link = hashtable_find(table, hash);

    while (link != NULL && container_of(link, struct member, link)->key != key)
        link = hashtable_find_next(link);
    return link != NULL ? container_of(link, struct member, link) : NULL;
}

static void empty(void **state)
{
    struct hashtable table = {0};

    (void)state;
    assert_null(hashtable_find(&table, 1));
    assert_null(hashtable_walk(&table, NULL));
    hashtable_free(&table);
    hashtable_free(&table);
}

static void grows_and_finds(void **state)
{
    struct member *members = calloc(MANY, sizeof *members);
    struct hashtable table;
    size_t walked = 0;

    (void)state;
    hashtable_init(&table);
    for (unsigned i = 0; i < MANY; i++) {
        members[i].key = i;
        assert_true(hashtable_insert(&table, &members[i].link, hash_u64(i)));
    }
    assert_int_equal(table.count, MANY);
    assert_true(table.bucket_count >= MANY && (table.bucket_count & (table.bucket_count - 1)) == 0);
    for (unsigned i = 0; i < MANY; i++)
        assert_ptr_equal(find(&table, hash_u64(i), i), &members[i]);
    assert_null(hashtable_find(&table, hash_u64(MANY)));

    for (struct hashlink *at = hashtable_walk(&table, NULL); at != NULL; at = hashtable_walk(&table, at)) {
        struct member *member = container_of(at, struct member, link);
        assert_false(member->seen);
        member->seen = true;
        walked++;
    }
    assert_int_equal(walked, MANY);

    for (unsigned i = 0; i < MANY; i += 2)
        hashtable_remove(&table, &members[i].link);
    assert_int_equal(table.count, MANY / 2);
    for (unsigned i = 0; i < MANY; i++)
        assert_ptr_equal(find(&table, hash_u64(i), i), i % 2 == 0 ? NULL : &members[i]);
    hashtable_free(&table);
    free(members);
}

static void equal_hashes(void **state)
{
    struct member members[100];
    struct hashtable table;
    unsigned found = 0;

    (void)state;
    hashtable_init(&table);
    memset(members, 0, sizeof members);
    /* Three different hashes that share the low bits, so all are in one bucket. */
    for (unsigned i = 0; i < 100; i++) {
        members[i].key = i;
        assert_true(hashtable_insert(&table, &members[i].link, 7 + ((uint64_t)(i % 3) << 40)));
    }
    for (struct hashlink *at = hashtable_find(&table, 7); at != NULL; at = hashtable_find_next(at)) {
        assert_int_equal(container_of(at, struct member, link)->key % 3, 0);
        found++;
    }
    assert_int_equal(found, 34);
    for (unsigned i = 0; i < 100; i++)
        assert_ptr_equal(find(&table, 7 + ((uint64_t)(i % 3) << 40), i), &members[i]);
    hashtable_free(&table);
}

static void remove_on_the_way(void **state)
{
    struct member members[50];
    struct hashtable table;
    struct hashlink *at;
    unsigned removed = 0;

    (void)state;
    hashtable_init(&table);
    memset(members, 0, sizeof members);
    for (unsigned i = 0; i < 50; i++)
        assert_true(hashtable_insert(&table, &members[i].link, hash_u64(i)));
    at = hashtable_walk(&table, NULL);
    while (at != NULL) {
        struct hashlink *following = hashtable_walk(&table, at);
        hashtable_remove(&table, at);
        removed++;
        at = following;
    }
    assert_int_equal(removed, 50);
    assert_int_equal(table.count, 0);
    hashtable_free(&table);
}

struct item {
    int value;
    struct list link;
};

static void check_list(struct list *head, const int *values, size_t count)
{
    struct list *link;
    size_t i = 0;

    list_for_each(link, head)
    {
        assert_true(i < count);
        assert_int_equal(container_of(link, struct item, link)->value, values[i++]);
        assert_ptr_equal(link->next->previous, link);
    }
    assert_int_equal(i, count);
}

static void lists(void **state)
{
    struct item items[6];
    struct list head, other, *link, *following;

    (void)state;
    list_init(&head);
    list_init(&other);
    assert_true(list_is_empty(&head));
    for (int i = 0; i < 6; i++)
        items[i].value = i;
    list_push_back(&head, &items[1].link);
    list_push_back(&head, &items[2].link);
    list_push_front(&head, &items[0].link);
    list_push_back(&other, &items[3].link);
    list_push_back(&other, &items[4].link);
    list_insert_after(&items[4].link, &items[5].link);
    check_list(&head, (int[]){0, 1, 2}, 3);
    list_splice_back(&head, &other);
    assert_true(list_is_empty(&other));
    list_splice_back(&head, &other);
    check_list(&head, (int[]){0, 1, 2, 3, 4, 5}, 6);
    assert_int_equal(list_first(&head, struct item, link)->value, 0);
    assert_int_equal(list_last(&head, struct item, link)->value, 5);
    list_for_each_safe(link, following, &head)
    {
        if (container_of(link, struct item, link)->value % 2 == 0)
            list_remove(link);
    }
    list_remove(&items[0].link); /* twice does no harm */
    check_list(&head, (int[]){1, 3, 5}, 3);
    list_splice_back(&other, &head);
    assert_true(list_is_empty(&head));
    check_list(&other, (int[]){1, 3, 5}, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty),        cmocka_unit_test(grows_and_finds),
        cmocka_unit_test(equal_hashes), cmocka_unit_test(remove_on_the_way),
        cmocka_unit_test(lists),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
