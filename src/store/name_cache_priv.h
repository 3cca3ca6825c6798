/*
 * name_cache_priv.h - what look-ups found, by directory and name; also that there was nothing.
 */
#ifndef DITTOFS_STORE_NAME_CACHE_PRIV_H
#define DITTOFS_STORE_NAME_CACHE_PRIV_H

#include "dittofs/store.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct name_cache;

enum name_kind {
    NAME_EXACT, /* the name as stored */
    NAME_FOLDED /* the folded name: that no entry is equal to it (never an inode) */
};

struct name_key {
    uint64_t low, high;
};

/* Room for at least ENTRIES; NULL when memory is out. */
struct name_cache *name_cache_new(uint32_t entries);
void name_cache_free(struct name_cache **cache);

struct name_key name_cache_key(const struct name_cache *cache, uint64_t dir, enum name_kind kind,
                               const void *name, size_t length);
/* False: not known. *INO_R 0: there is no such entry. */
bool name_cache_find(struct name_cache *cache, struct name_key key, uint64_t *ino_r);
void name_cache_put(struct name_cache *cache, struct name_key key, uint64_t ino);
void name_cache_forget(struct name_cache *cache, struct name_key key);
void name_cache_clear(struct name_cache *cache);

#endif
