/*
 * dirent_priv.h - what the check needs to know of directory keys.
 */
#ifndef DITTOFS_STORE_DIRENT_PRIV_H
#define DITTOFS_STORE_DIRENT_PRIV_H

#include "dittofs/hash.h"
#include "dittofs/store.h"

/* Can an entry called NAME have KEY? */
bool dirent_key_fits(const struct siphash_key *secret, struct store_name name, uint64_t key);

#endif
