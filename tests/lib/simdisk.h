/*
 * simdisk.h - a simulated disk behind struct disk, in memory, that loses what was not synced.
 *
 * What a file holds is kept twice: as programs see it (live) and as a power cut leaves it (durable).
 * Between two syncs every sector of 512 bytes that was written is pending; a power cut keeps or loses
 * each by chance, by itself. Sectors that are overwritten while pending may have reached the disk in the
 * older version. So:
 *   - a size that was not synced is kept, lost, or somewhere between; lost data under a kept size reads as
 *     zeros, and data beyond the kept size is gone;
 *   - a truncate that was not synced has happened or has not; what was written behind its end afterwards
 *     survives only with it;
 *   - a punched page is punched or has its old bytes;
 *   - a name made or unlinked without disk_sync_names is there or is not; of a rename that is two names,
 *     each by itself.
 * disk_sync makes a file's bytes and size durable, disk_sync_names the names. A sync that fails makes some
 * of it durable, and the rest is forgotten as by Linux: the next sync says ERR_OK and does nothing for it,
 * only what is written again counts.
 *
 * Every function may be called on any thread. One seed and one order of calls give one outcome.
 * Handles: disk_destroy frees those that were left open.
 */
#ifndef DITTOFS_TESTS_SIMDISK_H
#define DITTOFS_TESTS_SIMDISK_H

#include "dittofs/disk.h"

enum { SIMDISK_SECTOR_BYTES = 512, SIMDISK_PAGE_BYTES = 4096 };

/* An empty disk of 1 TiB. Never NULL. */
struct disk *simdisk_new(uint64_t seed);

/* The power goes and comes back: afterwards the disk holds what was durable and some of what was pending.
 * All faults and cuts are disarmed, every handle from before answers ERR_IO (and may still be closed). */
void simdisk_power_cut(struct disk *disk, uint64_t seed);

/*
 * Faults. Modifying calls are counted: pwritev, sync, truncate, allocate, punch, unlink, rename, sync_names
 * and an open that makes a file; calls that are refused for other reasons (ERR_NOENT, an old handle) are not.
 * A pwritev that fails here has written some prefix, a truncate has happened or not, the others but the
 * syncs have done nothing.
 */
enum simdisk_fault_flags {
    SIMDISK_STICKY = 1, /* all later ones fail, too */
    SIMDISK_READS = 2,  /* reads and opens are counted for the fault as well, and fail */
};
/* The NUMBER-th call from now (1: the next) fails with ERR. 0 disarms. */
void simdisk_fail(struct disk *disk, uint64_t number, enum err err, unsigned flags);
/* Did it? (Since it was armed.) */
bool simdisk_fault_fired(struct disk *disk);
/* After NUMBER more modifying calls the power is gone: the next such call is cut off in its midst and
 * fails, and everything after it fails, with ERR_IO. simdisk_power_cut brings the disk back. */
void simdisk_cut_at_call(struct disk *disk, uint64_t number);
/* Is the power gone by simdisk_cut_at_call? */
bool simdisk_is_cut(struct disk *disk);

/* Modifying calls, and syncs among them, since the disk was made; reads of both kinds. */
uint64_t simdisk_calls(struct disk *disk);
uint64_t simdisk_syncs(struct disk *disk);
uint64_t simdisk_reads(struct disk *disk);

/* Pages that would need more than BYTES in all get ERR_NOSPC. */
void simdisk_set_capacity(struct disk *disk, uint64_t bytes);
/* Whole pages, with those reserved by disk_allocate. */
uint64_t simdisk_used_bytes(struct disk *disk);
/* Handles that are open since the last power cut. */
size_t simdisk_open_handles(struct disk *disk);

/* What disk_pread_nowait answers. */
enum simdisk_nowait {
    SIMDISK_NOWAIT_READS, /* the bytes (the default) */
    SIMDISK_NOWAIT_AGAIN, /* ERR_AGAIN, always */
    SIMDISK_NOWAIT_RANDOM /* the bytes, fewer than asked, or ERR_AGAIN */
};
void simdisk_set_nowait(struct disk *disk, enum simdisk_nowait how);

/* Flips the bits of MASK in the byte at OFFSET of a file, live and durable. False when it is not there. */
bool simdisk_corrupt(struct disk *disk, const char *name, uint64_t offset, uint8_t mask);

#endif
