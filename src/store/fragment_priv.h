/*
 * fragment_priv.h - parts of blocks to be read from segment files, checked (data_read.c).
 */
#ifndef DITTOFS_STORE_FRAGMENT_H
#define DITTOFS_STORE_FRAGMENT_H

#include "store/core_priv.h"

/* A part of a block that is wanted at TO. */
struct fragment {
    struct block *block;
    struct segment *segment;
    struct disk_file *file;
    uint64_t place; /* of the block's first byte; it may move meanwhile */
    uint32_t skip, length;
    uint8_t *to;
};

/* Loop: finds block, place and file of PIECE, whose bytes are wanted at TO. A block whose bytes are in memory
 * is copied at once: *COPIED_R. Not held yet. */
enum err fragment_find(struct data *data, uint64_t ino, const struct piece *piece, uint8_t *to,
                       struct fragment *fragment, bool *copied_r) ERR_MUST_CHECK;
/* Loop: keeps what a job will read, and gives it back. */
void fragment_hold(struct data *data, const struct fragment *fragment);
void fragment_let_go(struct data *data, const struct fragment *fragment);
/* Any thread: reads and compares the checksums; ERR_AGAIN when that would wait for the disk and WAIT is
 * false. */
enum err fragment_read(const struct fragment *fragment, bool wait) ERR_MUST_CHECK;
/* Logs that it can't be read. */
void fragment_report(uint64_t ino, const struct fragment *fragment, enum err err);

#endif
