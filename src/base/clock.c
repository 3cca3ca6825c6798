/*
 * clock.c - the door to time: the system's clocks, unless a test has put others in their place.
 */
#include "dittofs/clock.h"

#include <stdatomic.h>
#include <stddef.h>
#include <time.h>

static _Atomic(const struct clock_source *) current_source;

struct timestamp clock_wall(void)
{
    const struct clock_source *source = atomic_load_explicit(&current_source, memory_order_acquire);
    struct timespec now;

    if (source != NULL && source->wall != NULL)
        return source->wall(source->data);
    clock_gettime(CLOCK_REALTIME, &now);
    return (struct timestamp){.seconds = now.tv_sec, .nanoseconds = (uint32_t)now.tv_nsec};
}

uint64_t clock_monotonic_ns(void)
{
    const struct clock_source *source = atomic_load_explicit(&current_source, memory_order_acquire);
    struct timespec now;

    if (source != NULL && source->monotonic_ns != NULL)
        return source->monotonic_ns(source->data);
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t clock_monotonic_ms(void)
{
    return clock_monotonic_ns() / 1000000u;
}

uint64_t clock_monotonic_coarse_ms(void)
{
    const struct clock_source *source = atomic_load_explicit(&current_source, memory_order_acquire);
    struct timespec now;

    if (source != NULL && source->monotonic_ns != NULL)
        return source->monotonic_ns(source->data) / 1000000u;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000u;
}

int timestamp_compare(struct timestamp a, struct timestamp b)
{
    if (a.seconds != b.seconds)
        return a.seconds < b.seconds ? -1 : 1;
    if (a.nanoseconds != b.nanoseconds)
        return a.nanoseconds < b.nanoseconds ? -1 : 1;
    return 0;
}

void clock_set_source(const struct clock_source *source)
{
    atomic_store_explicit(&current_source, source, memory_order_release);
}
