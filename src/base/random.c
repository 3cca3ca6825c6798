/*
 * random.c - the door to randomness: getrandom(2), or SplitMix64 from a seed in tests.
 */
#include "dittofs/random.h"
#include "dittofs/hash.h"
#include "dittofs/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/random.h>

static atomic_bool seeded;
static _Atomic uint64_t seeded_state;

static uint64_t seeded_next(void)
{
    return hash_u64(atomic_fetch_add(&seeded_state, 0x9e3779b97f4a7c15u) + 0x9e3779b97f4a7c15u);
}

static void system_bytes(uint8_t *to, size_t length)
{
    while (length > 0) {
        ssize_t got = getrandom(to, length, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            panic(__FILE__, __LINE__, "the system gives no random bytes");
        to += got;
        length -= (size_t)got;
    }
}

void random_bytes(void *buffer, size_t length)
{
    uint8_t *to = buffer;

    if (!atomic_load(&seeded)) {
        system_bytes(to, length);
        return;
    }
    while (length > 0) {
        uint64_t value = seeded_next();
        size_t part = length < sizeof value ? length : sizeof value;
        memcpy(to, &value, part);
        to += part;
        length -= part;
    }
}

uint64_t random_u64(void)
{
    uint64_t value;

    random_bytes(&value, sizeof value);
    return value;
}

void random_set_seed(uint64_t seed)
{
    atomic_store(&seeded_state, seed);
    atomic_store(&seeded, seed != 0);
}
