/*
 * arena.h - memory that goes all at once, with the request that it was decoded for.
 */
#ifndef DITTOFS_ARENA_H
#define DITTOFS_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *blocks;
    size_t used;  /* bytes given out */
    size_t limit; /* most bytes it gives out; 0: 1 MiB */
};

void arena_init(struct arena *arena, size_t limit);
/* Zeroed memory aligned for any type, or NULL when the limit or memory is reached. */
void *arena_alloc(struct arena *arena, size_t size);
/* A copy of LENGTH bytes with a zero byte behind them, or NULL. */
void *arena_copy(struct arena *arena, const void *data, size_t length);
/* Frees everything; the arena can be used again. */
void arena_reset(struct arena *arena);

#endif
