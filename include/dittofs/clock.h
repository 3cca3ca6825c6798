/*
 * clock.h - the door to time.
 */
#ifndef DITTOFS_CLOCK_H
#define DITTOFS_CLOCK_H

#include <stdint.h>

/* A point in time: seconds since 1970 (may be negative) and nanoseconds 0..999999999. */
struct timestamp {
    int64_t seconds;
    uint32_t nanoseconds;
};

/* Wall clock: for times in attributes only. It may jump. */
struct timestamp clock_wall(void);

/* Monotonic milliseconds: for leases, time-outs and ages. Starts somewhere, never goes back. */
uint64_t clock_monotonic_ms(void);
/* The same, up to some milliseconds behind it, and cheaper to ask: for what happens at every request. */
uint64_t clock_monotonic_coarse_ms(void);
/* Monotonic nanoseconds: for measuring. */
uint64_t clock_monotonic_ns(void);

/* -1, 0 or 1 as A is before, at or after B. */
int timestamp_compare(struct timestamp a, struct timestamp b);

/* What stands behind the door: NULL members mean the system's. The pointer must stay good. */
struct clock_source {
    struct timestamp (*wall)(void *data);
    uint64_t (*monotonic_ns)(void *data);
    void *data;
};
void clock_set_source(const struct clock_source *source);

#endif
