/*
 * hashtable.c - a chained hash table whose links live in the members.
 *
 * Invariant: a member is in the bucket that the low bits of its hash name. The table doubles when it holds
 * as many members as buckets, and never shrinks. When memory for doubling is out, it goes on with longer
 * chains.
 */
#include "dittofs/hashtable.h"
#include "dittofs/log.h"

#include <stdlib.h>

enum { FIRST_BUCKETS = 16 };

static struct hashlink **bucket_of(const struct hashtable *table, uint64_t hash)
{
    return &table->buckets[hash & (table->bucket_count - 1)];
}

static void grow(struct hashtable *table)
{
    size_t bucket_count = table->bucket_count == 0 ? FIRST_BUCKETS : table->bucket_count * 2;
    struct hashtable grown = {.bucket_count = bucket_count, .count = table->count};

    grown.buckets = calloc(bucket_count, sizeof(struct hashlink *));
    if (grown.buckets == NULL)
        return;
    for (size_t i = 0; i < table->bucket_count; i++) {
        struct hashlink *link = table->buckets[i];
        while (link != NULL) {
            struct hashlink *next = link->next;
            struct hashlink **bucket = bucket_of(&grown, link->hash);
            link->next = *bucket;
            *bucket = link;
            link = next;
        }
    }
    free(table->buckets);
    *table = grown;
}

void hashtable_init(struct hashtable *table)
{
    *table = (struct hashtable){0};
}

void hashtable_free(struct hashtable *table)
{
    free(table->buckets);
    hashtable_init(table);
}

bool hashtable_insert(struct hashtable *table, struct hashlink *link, uint64_t hash)
{
    struct hashlink **bucket;

    if (table->count >= table->bucket_count)
        grow(table);
    if (table->bucket_count == 0)
        return false;
    bucket = bucket_of(table, hash);
    link->hash = hash;
    link->next = *bucket;
    *bucket = link;
    table->count++;
    return true;
}

void hashtable_remove(struct hashtable *table, struct hashlink *link)
{
    struct hashlink **at;

    invariant(table->bucket_count > 0);
    at = bucket_of(table, link->hash);
    while (*at != link) {
        invariant(*at != NULL);
        at = &(*at)->next;
    }
    *at = link->next;
    link->next = NULL;
    table->count--;
}

struct hashlink *hashtable_find(const struct hashtable *table, uint64_t hash)
{
    struct hashlink *link;

    if (table->bucket_count == 0)
        return NULL;
    link = *bucket_of(table, hash);
    while (link != NULL && link->hash != hash)
        link = link->next;
    return link;
}

struct hashlink *hashtable_find_next(const struct hashlink *link)
{
    struct hashlink *next = link->next;

    while (next != NULL && next->hash != link->hash)
        next = next->next;
    return next;
}

struct hashlink *hashtable_walk(const struct hashtable *table, const struct hashlink *at)
{
    size_t bucket = 0;

    if (at != NULL) {
        if (at->next != NULL)
            return at->next;
        bucket = (at->hash & (table->bucket_count - 1)) + 1;
    }
    for (; bucket < table->bucket_count; bucket++) {
        if (table->buckets[bucket] != NULL)
            return table->buckets[bucket];
    }
    return NULL;
}
