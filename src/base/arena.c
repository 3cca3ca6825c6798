/*
 * arena.c - memory that goes all at once.
 *
 * Blocks are linked, the one being filled first. Sizes are rounded up to the strictest alignment, and the
 * rounded sizes count against the limit. An allocation larger than a block gets one of its own, behind the
 * one being filled.
 */
#include "dittofs/arena.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_LIMIT = 1024 * 1024, BLOCK_BYTES = 4096, ALIGNMENT = _Alignof(max_align_t) };

struct arena_block {
    struct arena_block *next;
    size_t used;
    size_t capacity;
    _Alignas(max_align_t) uint8_t data[];
};

void arena_init(struct arena *arena, size_t limit)
{
    *arena = (struct arena){.limit = limit != 0 ? limit : DEFAULT_LIMIT};
}

static struct arena_block *block_new(size_t capacity)
{
    struct arena_block *block = calloc(1, sizeof *block + capacity);

    if (block != NULL)
        block->capacity = capacity;
    return block;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    size_t limit = arena->limit != 0 ? arena->limit : DEFAULT_LIMIT;
    struct arena_block *block = arena->blocks;
    uint8_t *memory;

    if (size > limit)
        return NULL;
    size = size == 0 ? ALIGNMENT : (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (size > limit - arena->used)
        return NULL;
    if (block == NULL || size > block->capacity - block->used) {
        size_t capacity = BLOCK_BYTES - sizeof *block;
        bool own = size > capacity / 2;

        block = block_new(own ? size : capacity);
        if (block == NULL)
            return NULL;
        if (own && arena->blocks != NULL) {
            block->next = arena->blocks->next;
            arena->blocks->next = block;
        } else {
            block->next = arena->blocks;
            arena->blocks = block;
        }
    }
    memory = block->data + block->used;
    block->used += size;
    arena->used += size;
    return memory;
}

void *arena_copy(struct arena *arena, const void *data, size_t length)
{
    uint8_t *copy;

    if (length == SIZE_MAX)
        return NULL;
    copy = arena_alloc(arena, length + 1);
    if (copy != NULL && length > 0)
        memcpy(copy, data, length);
    return copy;
}

void arena_reset(struct arena *arena)
{
    struct arena_block *block = arena->blocks;

    while (block != NULL) {
        struct arena_block *next = block->next;
        free(block);
        block = next;
    }
    arena->blocks = NULL;
    arena->used = 0;
}
