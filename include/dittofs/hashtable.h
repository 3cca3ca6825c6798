/*
 * hashtable.h - a chained hash table whose links live in the members; grows by itself.
 */
#ifndef DITTOFS_HASHTABLE_H
#define DITTOFS_HASHTABLE_H

#include "dittofs/list.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hashlink {
    struct hashlink *next;
    uint64_t hash;
};

struct hashtable {
    struct hashlink **buckets;
    size_t bucket_count; /* a power of two, or 0 before the first insert */
    size_t count;
};

/* A zeroed table is an empty one. */
void hashtable_init(struct hashtable *table);
/* Frees the buckets; the members are the caller's. */
void hashtable_free(struct hashtable *table);

/* Adds LINK under HASH, also when an equal hash is there. False when memory is out. */
bool hashtable_insert(struct hashtable *table, struct hashlink *link, uint64_t hash)
    __attribute__((warn_unused_result));
/* LINK must be in TABLE. */
void hashtable_remove(struct hashtable *table, struct hashlink *link);

/* The first and the next member with HASH, or NULL. The caller compares keys. */
struct hashlink *hashtable_find(const struct hashtable *table, uint64_t hash);
struct hashlink *hashtable_find_next(const struct hashlink *link);

/* Walks all members in no order: start with NULL. A member may not be removed on the way, except that
 * hashtable_walk may first be called for the next one. */
struct hashlink *hashtable_walk(const struct hashtable *table, const struct hashlink *at);

#endif
