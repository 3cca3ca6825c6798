/*
 * simdisk_inode.h - one file of the simulated disk: its pages and sizes, live and durable (simdisk.h says
 * what is promised). For simdisk.c alone, which holds the lock and knows the names.
 */
#ifndef DITTOFS_TESTS_SIMDISK_INODE_H
#define DITTOFS_TESTS_SIMDISK_INODE_H

#include "dittofs/hashtable.h"
#include "dittofs/list.h"
#include <stdbool.h>
#include <stdint.h>

/* A chance generator of its own (SplitMix64), so that the system's door to randomness stays free. */
struct sim_random {
    uint64_t state;
};
uint64_t sim_random_next(struct sim_random *random);
/* 0 .. BOUND - 1; BOUND > 0. */
uint64_t sim_random_below(struct sim_random *random, uint64_t bound);
/* True with a chance of QUARTERS / 4. */
bool sim_random_chance(struct sim_random *random, unsigned quarters);

struct sim_inode {
    struct hashtable pages;
    struct list dirty; /* pages with something pending */
    unsigned references;
    uint64_t live_size;
    uint64_t durable_size;
    bool size_pending;
    bool truncate_pending;
    uint64_t truncate_low; /* the lowest end since the last sync, when a truncate is pending */
    uint64_t *used_bytes;  /* the disk's */
};

struct sim_inode *sim_inode_new(uint64_t *used_bytes);
/* Gives a reference back; the last frees it. NULL is fine. */
void sim_inode_unref(struct sim_inode *inode);

void sim_inode_read(struct sim_inode *inode, void *buffer, size_t length, uint64_t offset);
/* How many of LENGTH bytes fit when only ROOM more bytes of pages may be used. */
size_t sim_inode_fitting(struct sim_inode *inode, uint64_t offset, size_t length, uint64_t room);
void sim_inode_write(struct sim_inode *inode, const void *data, size_t length, uint64_t offset,
                     struct sim_random *random);
void sim_inode_truncate(struct sim_inode *inode, uint64_t size);
/* False, and nothing done, when it needs more than ROOM. */
bool sim_inode_reserve(struct sim_inode *inode, uint64_t offset, uint64_t length, uint64_t room);
void sim_inode_punch(struct sim_inode *inode, uint64_t offset, uint64_t length);
void sim_inode_flip(struct sim_inode *inode, uint64_t offset, uint8_t mask);

void sim_inode_sync(struct sim_inode *inode);
/* A sync that fails: some of what is pending becomes durable, the rest is forgotten. */
void sim_inode_sync_failed(struct sim_inode *inode, struct sim_random *random);
/* Leaves what is durable and some of what is pending. */
void sim_inode_power_cut(struct sim_inode *inode, struct sim_random *random);

#endif
