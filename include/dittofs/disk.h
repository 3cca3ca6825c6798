/*
 * disk.h - the door to the disk: files in one folder (the state directory), by name.
 *
 * Names are ours alone ("meta.db", "seg-00000012"): no byte from a client is ever part of one. Every
 * function may be called on any thread; one file may be read and written by several threads at once.
 * Behind the door is the system, or in tests a simulated disk (tests/lib/simdisk.h) that loses what was
 * not synced at a power cut and fails the n-th call.
 * Errors: ERR_IO, ERR_NOSPC, ERR_NOENT, ERR_EXIST, ERR_ACCES, ERR_NOMEM, ERR_BUSY (lock), ERR_AGAIN.
 */
#ifndef DITTOFS_DISK_H
#define DITTOFS_DISK_H

#include "dittofs/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct disk;
struct disk_file;

enum disk_open_flags {
    DISK_READ = 1,
    DISK_WRITE = 2,
    DISK_CREATE = 4,    /* make it when missing */
    DISK_EXCLUSIVE = 8, /* with DISK_CREATE: ERR_EXIST when it is there */
};

struct disk_space {
    uint64_t total_bytes;
    uint64_t free_bytes; /* free for us */
};

struct disk_operations {
    enum err (*open)(struct disk *disk, const char *name, unsigned flags, struct disk_file **file_r);
    void (*close)(struct disk_file *file);
    enum err (*pread)(struct disk_file *file, void *buffer, size_t length, uint64_t offset, size_t *got_r);
    enum err (*pread_nowait)(struct disk_file *file, void *buffer, size_t length, uint64_t offset,
                             size_t *got_r);
    enum err (*pwritev)(struct disk_file *file, const struct iovec *vector, int count, uint64_t offset);
    enum err (*sync)(struct disk_file *file);
    void (*write_back)(struct disk_file *file, uint64_t offset, uint64_t length); /* may be NULL */
    enum err (*truncate)(struct disk_file *file, uint64_t size);
    enum err (*allocate)(struct disk_file *file, uint64_t offset, uint64_t length);
    enum err (*punch)(struct disk_file *file, uint64_t offset, uint64_t length);
    enum err (*size)(struct disk_file *file, uint64_t *size_r);
    enum err (*unlink)(struct disk *disk, const char *name);
    enum err (*rename)(struct disk *disk, const char *from, const char *to);
    enum err (*sync_names)(struct disk *disk);
    enum err (*list)(struct disk *disk, void (*each)(void *data, const char *name), void *data);
    enum err (*space)(struct disk *disk, struct disk_space *space_r);
    void (*destroy)(struct disk *disk);
};

struct disk {
    const struct disk_operations *operations;
};
struct disk_file {
    struct disk *disk;
};

/* The system's disk at folder PATH, made (mode 0700) when missing, and locked: ERR_BUSY when another
 * process holds it. */
enum err disk_open_folder(const char *path, struct disk **disk_r) ERR_MUST_CHECK;
void disk_destroy(struct disk **disk);

enum err disk_open(struct disk *disk, const char *name, unsigned flags,
                   struct disk_file **file_r) ERR_MUST_CHECK;
void disk_close(struct disk_file **file);
/* Reads up to LENGTH bytes; fewer only at the end of the file. */
enum err disk_pread(struct disk_file *file, void *buffer, size_t length, uint64_t offset,
                    size_t *got_r) ERR_MUST_CHECK;
/* The same from memory only (RWF_NOWAIT): ERR_AGAIN when it would wait for the disk. It may give fewer
 * bytes than asked. */
enum err disk_pread_nowait(struct disk_file *file, void *buffer, size_t length, uint64_t offset,
                           size_t *got_r) ERR_MUST_CHECK;
/* Writes all bytes or fails; after a failure any part may have been written. */
enum err disk_pwritev(struct disk_file *file, const struct iovec *vector, int count,
                      uint64_t offset) ERR_MUST_CHECK;
enum err disk_pwrite(struct disk_file *file, const void *data, size_t length, uint64_t offset) ERR_MUST_CHECK;
/* fdatasync: the bytes and the size are durable. A file just created is found again after a power cut only
 * after disk_sync_names, too. */
enum err disk_sync(struct disk_file *file) ERR_MUST_CHECK;
/* Has the system begin to write the range out, so that a later disk_sync has less to do. Promises nothing; a
 * failure is disk_sync's to report. */
void disk_write_back(struct disk_file *file, uint64_t offset, uint64_t length);
enum err disk_sync_names(struct disk *disk) ERR_MUST_CHECK;
enum err disk_truncate(struct disk_file *file, uint64_t size) ERR_MUST_CHECK;
/* Reserves space without changing the size (FALLOC_FL_KEEP_SIZE). */
enum err disk_allocate(struct disk_file *file, uint64_t offset, uint64_t length) ERR_MUST_CHECK;
/* Gives whole 4 KiB pages within the range back to the file system; they read as zeros. Does nothing where
 * the file system can't (and says ERR_NOTSUPP). */
enum err disk_punch(struct disk_file *file, uint64_t offset, uint64_t length) ERR_MUST_CHECK;
enum err disk_size(struct disk_file *file, uint64_t *size_r) ERR_MUST_CHECK;
/* ERR_NOENT when there is none. */
enum err disk_unlink(struct disk *disk, const char *name) ERR_MUST_CHECK;
/* Gives FROM the name TO. Handles stay good. Durable with disk_sync_names. ERR_NOENT, ERR_EXIST, ERR_NOTSUPP
 * where the file system can't do it without taking away another TO. */
enum err disk_rename(struct disk *disk, const char *from, const char *to) ERR_MUST_CHECK;
/* Calls EACH for every file name, in no order. */
enum err disk_list(struct disk *disk, void (*each)(void *data, const char *name), void *data) ERR_MUST_CHECK;
enum err disk_space(struct disk *disk, struct disk_space *space_r) ERR_MUST_CHECK;

#endif
