/*
 * loop_priv.h - the loop itself, for loop.c and the libuv implementation.
 */
#ifndef DITTOFS_BASE_LOOP_PRIV_H
#define DITTOFS_BASE_LOOP_PRIV_H

#include "dittofs/loop.h"

struct loop {
    const struct loop_operations *operations;
    void *data; /* the implementation's */
    struct list hooks;
    struct loop_timer *first_timer; /* the heap's root */
    uint64_t timer_order;           /* the next timer's order */
    bool stopping;
};

#endif
