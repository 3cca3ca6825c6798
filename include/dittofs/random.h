/*
 * random.h - the door to randomness.
 */
#ifndef DITTOFS_RANDOM_H
#define DITTOFS_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Fills BUFFER with bytes fit for keys. Ends the process when the system has none. */
void random_bytes(void *buffer, size_t length);
uint64_t random_u64(void);

/* Puts a generator with a seed behind the door (tests), or the system's back with 0. */
void random_set_seed(uint64_t seed);

#endif
