/*
 * simclock.c - a clock that moves only when a test moves it. Any thread may look at it.
 */
#include "simclock.h"

#include <pthread.h>
#include <stddef.h>

enum { NS_PER_S = 1000000000 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct timestamp wall_now;
static uint64_t monotonic_now_ns;
static uint64_t tick_ns;

static void advance_wall(uint64_t ns)
{
    uint64_t nanoseconds = wall_now.nanoseconds + ns % NS_PER_S;

    wall_now.seconds += (int64_t)(ns / NS_PER_S + nanoseconds / NS_PER_S);
    wall_now.nanoseconds = (uint32_t)(nanoseconds % NS_PER_S);
}

static struct timestamp look_at_wall(void *data)
{
    struct timestamp seen;

    (void)data;
    pthread_mutex_lock(&mutex);
    seen = wall_now;
    advance_wall(tick_ns);
    pthread_mutex_unlock(&mutex);
    return seen;
}

static uint64_t look_at_monotonic(void *data)
{
    uint64_t seen;

    (void)data;
    pthread_mutex_lock(&mutex);
    seen = monotonic_now_ns;
    pthread_mutex_unlock(&mutex);
    return seen;
}

static const struct clock_source source = {.wall = look_at_wall, .monotonic_ns = look_at_monotonic};

void simclock_install(void)
{
    pthread_mutex_lock(&mutex);
    wall_now = (struct timestamp){.seconds = 1704067200};
    monotonic_now_ns = (uint64_t)1000 * NS_PER_S;
    tick_ns = 0;
    pthread_mutex_unlock(&mutex);
    clock_set_source(&source);
}

void simclock_remove(void)
{
    clock_set_source(NULL);
}

void simclock_advance_ns(uint64_t ns)
{
    pthread_mutex_lock(&mutex);
    monotonic_now_ns += ns;
    advance_wall(ns);
    pthread_mutex_unlock(&mutex);
}

void simclock_advance_ms(uint64_t ms)
{
    simclock_advance_ns(ms * 1000000);
}

void simclock_set_wall(struct timestamp wall)
{
    pthread_mutex_lock(&mutex);
    wall_now = wall;
    pthread_mutex_unlock(&mutex);
}

void simclock_jump_wall_s(int64_t seconds)
{
    pthread_mutex_lock(&mutex);
    wall_now.seconds += seconds;
    pthread_mutex_unlock(&mutex);
}

void simclock_set_tick_ns(uint64_t ns)
{
    pthread_mutex_lock(&mutex);
    tick_ns = ns;
    pthread_mutex_unlock(&mutex);
}
