/*
 * buf.c - counted byte buffers and the pool that keeps freed ones.
 *
 * Capacities are rounded up to classes, four a doubling, so that at most a fifth of a buffer is waste.
 * A freed buffer goes to the front of its class's list, unless the pool holds POOL_MOST_BYTES already.
 * Larger ones than the last class are not kept. Bytes of kept buffers are poisoned for AddressSanitizer.
 */
#include "dittofs/buf.h"
#include "dittofs/log.h"

#include <stdlib.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) && !defined(__SANITIZE_ADDRESS__)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#define poison(data, length)   ASAN_POISON_MEMORY_REGION(data, length)
#define unpoison(data, length) ASAN_UNPOISON_MEMORY_REGION(data, length)
#else
#define poison(data, length)   ((void)(data), (void)(length))
#define unpoison(data, length) ((void)(data), (void)(length))
#endif

enum {
    SMALLEST_SHIFT = 9, /* 512 bytes */
    LARGEST_SHIFT = 23, /* 8 MiB */
    STEPS = 4,
    CLASS_COUNT = (LARGEST_SHIFT - SMALLEST_SHIFT) * STEPS + 1,
    CLASS_NONE = CLASS_COUNT,
    PAGE_BYTES = 4096,
    POOL_MOST_BYTES = 64 * 1024 * 1024,
};

/* What lies behind every struct buf. */
struct pooled {
    struct buf buf;
    struct pooled *next;
};

static struct pooled *kept[CLASS_COUNT];
static size_t bytes_kept;
static size_t bytes_in_use;

static size_t class_bytes(uint32_t pool_class)
{
    size_t base = (size_t)1 << (SMALLEST_SHIFT + pool_class / STEPS);

    return base + base / STEPS * (pool_class % STEPS);
}

/* The smallest class that holds CAPACITY bytes. */
static uint32_t class_for(size_t capacity)
{
    uint32_t shift, step;
    size_t base;

    if (capacity <= (size_t)1 << SMALLEST_SHIFT)
        return 0;
    if (capacity > (size_t)1 << LARGEST_SHIFT)
        return CLASS_NONE;
    shift = 63 - (uint32_t)__builtin_clzll((unsigned long long)capacity - 1);
    base = (size_t)1 << shift;
    step = (uint32_t)((capacity - base + base / STEPS - 1) / (base / STEPS));
    return (shift - SMALLEST_SHIFT) * STEPS + step;
}

static struct pooled *allocate(size_t capacity, uint32_t pool_class)
{
    struct pooled *pooled = malloc(sizeof *pooled);

    if (pooled == NULL)
        return NULL;
    *pooled = (struct pooled){.buf = {.pool_class = pool_class, .capacity = capacity}};
    if (capacity < PAGE_BYTES)
        pooled->buf.data = malloc(capacity);
    else if (posix_memalign((void **)&pooled->buf.data, PAGE_BYTES, capacity) != 0)
        pooled->buf.data = NULL;
    if (pooled->buf.data == NULL) {
        free(pooled);
        return NULL;
    }
    return pooled;
}

static void release(struct pooled *pooled)
{
    free(pooled->buf.data);
    free(pooled);
}

struct buf *buf_new(size_t capacity)
{
    uint32_t pool_class = class_for(capacity);
    size_t bytes = pool_class == CLASS_NONE ? capacity : class_bytes(pool_class);
    struct pooled *pooled;

    if (pool_class != CLASS_NONE && kept[pool_class] != NULL) {
        pooled = kept[pool_class];
        kept[pool_class] = pooled->next;
        bytes_kept -= bytes;
        unpoison(pooled->buf.data, bytes);
    } else {
        pooled = allocate(bytes, pool_class);
        if (pooled == NULL)
            return NULL;
    }
    pooled->next = NULL;
    pooled->buf.references = 1;
    bytes_in_use += bytes;
    return &pooled->buf;
}

struct buf *buf_ref(struct buf *buf)
{
    invariant(buf->references > 0 && buf->references < UINT32_MAX);
    buf->references++;
    return buf;
}

void buf_unref(struct buf **buf)
{
    struct buf *given = *buf;
    struct pooled *pooled;

    *buf = NULL;
    if (given == NULL)
        return;
    invariant(given->references > 0);
    if (--given->references > 0)
        return;
    pooled = (struct pooled *)given;
    bytes_in_use -= given->capacity;
    if (given->pool_class == CLASS_NONE || bytes_kept + given->capacity > POOL_MOST_BYTES) {
        release(pooled);
        return;
    }
    poison(given->data, given->capacity);
    pooled->next = kept[given->pool_class];
    kept[given->pool_class] = pooled;
    bytes_kept += given->capacity;
}

size_t buf_bytes_in_use(void)
{
    return bytes_in_use;
}

size_t buf_bytes_kept(void)
{
    return bytes_kept;
}

void buf_pool_drain(void)
{
    for (uint32_t i = 0; i < CLASS_COUNT; i++) {
        while (kept[i] != NULL) {
            struct pooled *pooled = kept[i];
            kept[i] = pooled->next;
            unpoison(pooled->buf.data, pooled->buf.capacity);
            release(pooled);
        }
    }
    bytes_kept = 0;
}
