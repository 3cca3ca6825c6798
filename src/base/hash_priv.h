/*
 * hash_priv.h - the way of crc32c() that a processor with the instruction does not take, for its test.
 */
#ifndef DITTOFS_BASE_HASH_PRIV_H
#define DITTOFS_BASE_HASH_PRIV_H

#include <stddef.h>
#include <stdint.h>

uint32_t hash__crc32c_by_tables(uint32_t crc, const void *data, size_t length);

#endif
