/*
 * name_cache.c - a set-associative table of look-ups.
 *
 * Entries carry no names, only a keyed 128-bit hash of (directory, kind, name): 32 bytes each, and no name
 * can be made to collide with another. A set has four; the one used longest ago makes room. Every change of a
 * directory goes through dirent.c, which puts or forgets exactly what it changed, so nothing is ever stale.
 */
#include "store/name_cache_priv.h"
#include "dittofs/hash.h"
#include "dittofs/random.h"
#include <stdlib.h>
#include <string.h>

enum { WAYS = 4 };

struct entry {
    struct name_key key;
    uint64_t ino;
    uint32_t used; /* the clock at its last use; 0: free */
};

struct name_cache {
    struct siphash_key secret;
    uint32_t clock;
    size_t mask; /* number of sets - 1 */
    struct entry *entries;
};

struct name_cache *name_cache_new(uint32_t entries)
{
    struct name_cache *cache = calloc(1, sizeof *cache);
    size_t sets = 16;

    if (cache == NULL)
        return NULL;
    while (sets * WAYS < entries)
        sets *= 2;
    cache->mask = sets - 1;
    /* pages are touched as entries come */
    cache->entries = calloc(sets * WAYS, sizeof *cache->entries);
    if (cache->entries == NULL) {
        free(cache);
        return NULL;
    }
    random_bytes(&cache->secret, sizeof cache->secret);
    return cache;
}

void name_cache_free(struct name_cache **cache)
{
    if (*cache == NULL)
        return;
    free((*cache)->entries);
    free(*cache);
    *cache = NULL;
}

struct name_key name_cache_key(const struct name_cache *cache, uint64_t dir, enum name_kind kind,
                               const void *name, size_t length)
{
    uint8_t text[9 + 3 * STORE_NAME_MAX];
    struct name_key key;

    if (length > sizeof text - 9)
        length = sizeof text - 9;
    memcpy(text, &dir, 8);
    text[8] = (uint8_t)kind;
    memcpy(text + 9, name, length);
    siphash128(&cache->secret, text, 9 + length, (uint8_t *)&key);
    return key;
}

static struct entry *find(struct name_cache *cache, struct name_key key)
{
    struct entry *set = &cache->entries[(key.low & cache->mask) * WAYS];

    for (unsigned i = 0; i < WAYS; i++)
        if (set[i].key.low == key.low && set[i].key.high == key.high && set[i].used != 0)
            return &set[i];
    return NULL;
}

static uint32_t tick(struct name_cache *cache)
{
    if (++cache->clock == 0)
        cache->clock = 1; /* after a wrap some young entries look old: no harm */
    return cache->clock;
}

bool name_cache_find(struct name_cache *cache, struct name_key key, uint64_t *ino_r)
{
    struct entry *entry = find(cache, key);

    if (entry == NULL)
        return false;
    entry->used = tick(cache);
    *ino_r = entry->ino;
    return true;
}

void name_cache_put(struct name_cache *cache, struct name_key key, uint64_t ino)
{
    struct entry *entry = find(cache, key);
    struct entry *set = &cache->entries[(key.low & cache->mask) * WAYS];

    if (entry == NULL) {
        entry = &set[0];
        for (unsigned i = 1; i < WAYS; i++)
            if (set[i].used < entry->used)
                entry = &set[i];
    }
    *entry = (struct entry){.key = key, .ino = ino, .used = tick(cache)};
}

void name_cache_forget(struct name_cache *cache, struct name_key key)
{
    struct entry *entry = find(cache, key);

    if (entry != NULL)
        entry->used = 0;
}

void name_cache_clear(struct name_cache *cache)
{
    memset(cache->entries, 0, (cache->mask + 1) * WAYS * sizeof *cache->entries);
}
