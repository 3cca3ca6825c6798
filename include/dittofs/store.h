/*
 * store.h - inodes, names, extended attributes and file data, durable by ticket.
 *
 * The store knows no permissions, no protocols and no locks: it does what vfs tells it. All calls are on
 * the loop thread. Metadata calls are synchronous. Asynchronous are only file data that is not in memory
 * (store_read), room in the write queue (store_write) and durability (store_wait).
 *
 * Names: a directory's entries are one index, keyed by (directory, hash of the case-folded name, counter),
 * which serves exact look-ups, case-insensitive look-ups and listing; the key is the entry's cookie.
 * Data: docs/STORE.md.
 */
#ifndef DITTOFS_STORE_H
#define DITTOFS_STORE_H

#include "dittofs/buf.h"
#include "dittofs/clock.h"
#include "dittofs/disk.h"
#include "dittofs/err.h"
#include "dittofs/list.h"
#include "dittofs/loop.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;
struct inode;

enum {
    STORE_NAME_MAX = 255,          /* bytes of a name */
    STORE_SYMLINK_MAX = 4096,      /* bytes of a symbolic link's target */
    STORE_XATTR_NAME_MAX = 255,    /* bytes */
    STORE_XATTR_VALUE_MAX = 65536, /* bytes */
    STORE_LINK_MAX = 65000,
    STORE_BLOCK_SIZE = 131072, /* the unit of hashing and sharing */
};
#define STORE_FILE_SIZE_MAX ((uint64_t)1 << 47) /* 128 TiB */

enum inode_type {
    INODE_FILE = 1,
    INODE_DIRECTORY,
    INODE_SYMLINK,
    INODE_FIFO,
    INODE_SOCKET,
    INODE_BLOCK_DEVICE,
    INODE_CHARACTER_DEVICE,
    INODE_STREAM /* an alternate data stream's content; has no name in a directory */
};

/* What is known of an inode. Changed through inode_change() only. */
struct inode_attr {
    uint64_t ino;        /* never 0, never reused; the fileid of every protocol */
    uint32_t generation; /* random */
    uint32_t tree;       /* the export's tree it belongs to */
    enum inode_type type;
    uint32_t mode; /* permission and set-id bits, 07777 */
    uint32_t uid, gid;
    uint32_t nlink;
    uint32_t dos_attributes; /* FILE_ATTRIBUTE_* bits that mode can't say */
    uint32_t device_major, device_minor;
    uint64_t size;   /* bytes; of a symlink the target's length; of a directory a nominal figure */
    uint64_t used;   /* bytes of data and of unwritten (allocated) ranges, before sharing */
    uint64_t change; /* never repeats for this inode, also not across a crash */
    uint64_t
        parent; /* of a directory: the directory it is in (the root: itself); of a stream: its file; else 0 */
    struct timestamp atime, mtime, ctime, btime;
};

/* ---- opening ---- */

struct store_options {
    uint32_t inode_cache;     /* most inodes kept in memory without a user; 0: 100000 */
    uint32_t name_cache;      /* most name look-ups kept; 0: 1000000 */
    size_t page_cache_bytes;  /* of SQLite; 0: 32 MiB */
    size_t block_cache_bytes; /* of block records and block lists; 0: 64 MiB */
    uint64_t segment_bytes;   /* size of a segment file; 0: 256 MiB */
    size_t write_queue_bytes; /* file data accepted and not yet in the page cache; 0: 16 MiB */
    uint64_t reserve_bytes; /* disk space that writes can't have, kept for deleting and recovery; 0: 64 MiB */
    uint64_t settle_ms;     /* a block untouched for so long is hashed; 0: 2000 */
    /* File data that may wait for a quiet moment to be hashed (and so to be shared); what is written above
     * that is hashed under way; 0: 4 GiB */
    uint64_t hash_backlog_bytes;
};

/* Opens (makes) the store on DISK: recovers, replays the log, frees orphans. Blocks. ERR_TOO_NEW when a
 * newer version wrote it, ERR_CORRUPT, ERR_IO, ERR_NOSPC; the log says more. DISK and LOOP stay the
 * caller's. */
enum err store_open(struct disk *disk, struct loop *loop, const struct store_options *options,
                    struct store **store_r) ERR_MUST_CHECK;
/* Makes everything durable and checkpoints; DONE is called once, later, with the outcome. Every inode must
 * have been given back and every read and write be finished. */
void store_shutdown(struct store *store, void (*done)(void *data, enum err err), void *data);
/* After store_shutdown's DONE; or without it to drop everything as a crash would (tests). */
void store_close(struct store **store);

/* A number that is new at every store_open, random: NFS write verifiers and the like come from it. */
uint64_t store_boot_verifier(const struct store *store);
/* LENGTH (at most 64) secret bytes kept for NAME, made at first use: keys of handles. */
enum err store_secret(struct store *store, const char *name, void *secret, size_t length) ERR_MUST_CHECK;
/* ERR_OK, or the sticky error of a failed sync: nothing can be changed any more. */
enum err store_health(const struct store *store);

/* ---- trees: one an export ---- */

/* The tree called NAME (the export's name), made with a root directory (mode 0755, uid, gid) when missing. */
enum err store_tree_open(struct store *store, const char *name, uint32_t uid, uint32_t gid, uint32_t *tree_r,
                         uint64_t *root_r) ERR_MUST_CHECK;

struct store_space {
    uint64_t total_bytes;   /* of the file system below */
    uint64_t free_bytes;    /* that writes can have */
    uint64_t stored_bytes;  /* live bytes in segments: after sharing */
    uint64_t logical_bytes; /* sum of `used` over all files: before sharing */
    uint64_t inodes;        /* in use */
};
/* Figures are kept, not counted at the call. */
void store_space(struct store *store, struct store_space *space_r);

/* ---- inodes ---- */

/* The inode with a number, with a reference for the caller: ERR_STALE when there is none. A GENERATION of 0
 * matches any. An inode without links lives as long as it has references. */
enum err inode_get(struct store *store, uint64_t ino, uint32_t generation,
                   struct inode **inode_r) ERR_MUST_CHECK;
struct inode *inode_ref(struct inode *inode);
/* Gives a reference back and sets the pointer to NULL; NULL is fine. The last one of an inode without
 * links frees it: at once when small, in slices in the background when large. */
void inode_unref(struct inode **inode);

/* Good until the inode's next change. */
const struct inode_attr *inode_attr(const struct inode *inode);
struct store *inode_store(const struct inode *inode);
/* A pointer for the user's own state of this inode (vfs keeps its node there); NULL at first. A user that
 * sets it holds a reference. */
void *inode_user(const struct inode *inode);
void inode_set_user(struct inode *inode, void *user);

/* Lets the caller change mode, uid, gid, nlink, dos_attributes, parent, atime, mtime, ctime and btime in
 * place; gives `change` a new value and joins the inode to the open batch. Not size and used: these follow
 * from data calls. */
struct inode_attr *inode_change(struct inode *inode);
/* The same for atime alone: no new `change`, no batch of its own (written when something else is). */
void inode_touch_atime(struct inode *inode, struct timestamp atime);

/* A new inode with nlink 0; TEMPLATE gives type, mode, uid, gid, tree, device numbers, parent and times.
 * TARGET (LENGTH bytes) for symbolic links, else NULL. It must be linked by a name, or referenced, before
 * the turn ends. */
enum err inode_new(struct store *store, const struct inode_attr *template, const void *target, size_t length,
                   struct inode **inode_r) ERR_MUST_CHECK;
/* The target of a symbolic link into BUFFER of STORE_SYMLINK_MAX bytes. */
enum err inode_symlink_target(struct inode *inode, uint8_t *buffer, size_t *length_r) ERR_MUST_CHECK;
/* A small opaque value kept with the inode (ACLs): LENGTH 0 takes it away. Changes nothing else. */
enum err inode_set_blob(struct inode *inode, unsigned kind, const void *data, size_t length) ERR_MUST_CHECK;
/* Good until the next call for this inode; *DATA_R is NULL when there is none. */
enum err inode_get_blob(const struct inode *inode, unsigned kind, const uint8_t **data_r,
                        size_t *length_r) ERR_MUST_CHECK;

/* ---- names ---- */

struct store_name {
    const uint8_t *bytes;
    size_t length;
};

enum store_match {
    STORE_EXACT,
    STORE_FOLDED /* exact if there is one, else the first that is equal after Unicode case folding */
};

struct dirent {
    uint64_t cookie; /* above STORE_COOKIE_FIRST; stable as long as the entry lives, also across a restart */
    uint64_t ino;
    enum inode_type type;
    struct store_name name;
};
/* Cookies up to this one are free for "." and ".." of the protocols. */
#define STORE_COOKIE_FIRST 8u

/* ERR_NOENT when there is no such entry. NAME_R (may be NULL) of STORE_NAME_MAX bytes gets the name as
 * stored. */
enum err dir_lookup(struct inode *dir, struct store_name name, enum store_match match, uint64_t *ino_r,
                    uint8_t *name_r, size_t *length_r) ERR_MUST_CHECK;
/* Of the exact name: ERR_NOENT. */
enum err dir_cookie(struct inode *dir, struct store_name name, uint64_t *cookie_r) ERR_MUST_CHECK;
/* The entry before COOKIE: ERR_NOENT when it is the first. NAME_R of STORE_NAME_MAX bytes. */
enum err dir_previous(struct inode *dir, uint64_t cookie, uint64_t *cookie_r, uint8_t *name_r,
                      size_t *length_r) ERR_MUST_CHECK;
/* Check and insert in one: ERR_EXIST when the exact name is there. Link counts and times are the caller's. */
enum err dir_insert(struct inode *dir, struct store_name name, struct inode *inode) ERR_MUST_CHECK;
/* ERR_NOENT when the entry is not there or is not INO. */
enum err dir_remove(struct inode *dir, struct store_name name, uint64_t ino) ERR_MUST_CHECK;
/* Makes an entry that is there point to INODE (rename over). */
enum err dir_replace(struct inode *dir, struct store_name name, struct inode *inode) ERR_MUST_CHECK;
bool dir_is_empty(struct inode *dir);

/* Calls EACH for the entries behind COOKIE (0: from the start) in cookie order until it returns false or
 * there are none; END_R says the latter. EACH must not change the directory. */
enum err dir_scan(struct inode *dir, uint64_t cookie, bool (*each)(void *data, const struct dirent *entry),
                  void *data, bool *end_r) ERR_MUST_CHECK;
/* Case-folds NAME (full Unicode folding, NFC left alone; bytes that are not UTF-8 stay): what STORE_FOLDED
 * compares. Returns the length in FOLDED of CAPACITY bytes, 3 * length is always enough. */
size_t store_fold_name(struct store_name name, uint8_t *folded, size_t capacity);

/* ---- extended attributes ---- */

enum xattr_how { XATTR_EITHER, XATTR_CREATE, XATTR_REPLACE };
/* ERR_EXIST (create), ERR_NOXATTR (replace), ERR_XATTR2BIG. Times and `change` are the caller's. */
enum err xattr_set(struct inode *inode, struct store_name name, const void *value, size_t length,
                   enum xattr_how how) ERR_MUST_CHECK;
/* ERR_NOXATTR. *VALUE_R is good until the next call into the store. */
enum err xattr_get(struct inode *inode, struct store_name name, const uint8_t **value_r,
                   size_t *length_r) ERR_MUST_CHECK;
enum err xattr_remove(struct inode *inode, struct store_name name) ERR_MUST_CHECK;
/* In byte order of names, behind AFTER (empty: from the start). */
enum err xattr_list(struct inode *inode, struct store_name after,
                    bool (*each)(void *data, struct store_name name, size_t value_length),
                    void *data) ERR_MUST_CHECK;

/* ---- alternate data streams: names of INODE_STREAM inodes, kept with the file or directory they belong to.
 * Link counts (1 as long as it has a name), times and `change` are the caller's. ---- */

/* ERR_NOENT. NAME_R (may be NULL) of STORE_NAME_MAX bytes gets the name as stored. */
enum err stream_lookup(const struct inode *file, struct store_name name, enum store_match match,
                       uint64_t *ino_r, uint8_t *name_r, size_t *length_r) ERR_MUST_CHECK;
/* ERR_EXIST when the exact name is there, ERR_LIMIT when FILE has as many streams as it can have. */
enum err stream_insert(struct inode *file, struct store_name name, const struct inode *stream) ERR_MUST_CHECK;
/* ERR_NOENT when there is no such stream or it is not INO. */
enum err stream_remove(struct inode *file, struct store_name name, uint64_t ino) ERR_MUST_CHECK;
/* Another name, in one step; a stream that has it already loses it. ERR_NOENT. */
enum err stream_rename(struct inode *file, struct store_name from, struct store_name to) ERR_MUST_CHECK;
/* Takes all names away. */
enum err stream_remove_all(struct inode *file) ERR_MUST_CHECK;
/* Calls EACH for all streams until it returns false; it must not change them. */
enum err stream_scan(const struct inode *file, bool (*each)(void *data, struct store_name name, uint64_t ino),
                     void *data) ERR_MUST_CHECK;

/* ---- data ---- */

struct store_read {
    /* in */
    struct inode *inode;
    uint64_t offset;
    uint32_t length;
    uint8_t *buffer; /* LENGTH bytes, which a worker may fill until DONE */
    void (*done)(struct store_read *read, enum err err);
    /* NULL: what lies in the page cache is read on the loop. Else a worker reads it, too, unless workers have
     * much to do; before DONE this is called, once, when the worker has found that it must wait for the disk.
     */
    void (*waits_for_disk)(struct store_read *read);
    /* out */
    uint32_t got; /* fewer than LENGTH only at the end of the file */
    bool eof;     /* the read reached the end of the file */
    /* private */
    struct list link;
    void *job;
};
/* ERR_OK: READ is filled, DONE is not called. ERR_WAIT: DONE follows, later, on the loop. Else the failure
 * (ERR_IO, ERR_CORRUPT): a range that can't be found or fails its checksum. What is being read stays
 * readable until DONE, whatever is overwritten, truncated or removed meanwhile. */
enum err store_read(struct store_read *read) ERR_MUST_CHECK;

struct store_write {
    /* in */
    struct inode *inode;
    uint64_t offset;
    struct bufpart data; /* DATA.buf may be NULL: the bytes are copied before the call returns */
    void (*done)(struct store_write *write, enum err err);
    /* private */
    struct list link;
};
/* Writes at OFFSET and makes the file larger when it ends behind the end. mtime, ctime and `change` follow.
 * ERR_OK: done and visible, in the log's queue (store_wait tells when durable). ERR_WAIT: the queue was full;
 * DONE follows when it is done and visible; the inode and the data must stay. ERR_NOSPC, ERR_FBIG,
 * ERR_FAILED. */
enum err store_write(struct store_write *write) ERR_MUST_CHECK;
/* Forgets a write that waits; DONE is not called. */
void store_write_cancel(struct store_write *write);

/* Sets the size; what lies behind is gone for ever, what is new is a hole. Times follow. */
enum err store_truncate(struct inode *inode, uint64_t size) ERR_MUST_CHECK;
/* Makes the range a hole. The size stays. */
enum err store_punch(struct inode *inode, uint64_t offset, uint64_t length) ERR_MUST_CHECK;
/* Reserves space for what is a hole in the range, which becomes unwritten; the size grows to its end unless
 * KEEP_SIZE. ERR_NOSPC. */
enum err store_allocate(struct inode *inode, uint64_t offset, uint64_t length, bool keep_size) ERR_MUST_CHECK;
/* Shares LENGTH bytes (0: to the end of the source). Offsets must be multiples of 4096; so must the length
 * unless it ends at the source's end: ERR_INVAL. So is more data than can be shared in one call: over 1 GiB
 * when the offsets differ within 128 MiB, else over 16 TiB that are not the whole file. Sees all that was
 * written. Both may be the same inode when the ranges don't overlap. */
enum err store_clone(struct inode *source, uint64_t source_offset, struct inode *target,
                     uint64_t target_offset, uint64_t length) ERR_MUST_CHECK;

enum store_seek { STORE_SEEK_DATA, STORE_SEEK_HOLE };
/* The first data, or the first hole, at or behind OFFSET; the end of the file counts as a hole. Unwritten
 * ranges are holes here. ERR_NXIO when OFFSET is at or behind the end or no data follows. */
enum err store_seek(struct inode *inode, uint64_t offset, enum store_seek what,
                    uint64_t *offset_r) ERR_MUST_CHECK;

/* ---- durability ---- */

/* What has to be durable before a reply may go: the later of each. {0, 0} is durable. */
struct store_ticket {
    uint64_t batch;    /* of metadata */
    uint64_t position; /* of the data log */
};
static inline void store_ticket_merge(struct store_ticket *ticket, struct store_ticket other)
{
    if (other.batch > ticket->batch)
        ticket->batch = other.batch;
    if (other.position > ticket->position)
        ticket->position = other.position;
}
/* All metadata changes so far. */
struct store_ticket store_ticket_metadata(const struct store *store);
/* All changes of INODE so far: its data, its attributes, and its creation. */
struct store_ticket inode_ticket(const struct inode *inode);

struct store_waiter {
    void (*done)(struct store_waiter *waiter, enum err err);
    struct store_ticket ticket; /* private */
    struct list link;           /* private */
};
/* ERR_OK when TICKET is durable already. ERR_WAIT: DONE follows, later, on the loop, with ERR_OK or the
 * sync's failure. Else the store's sticky failure. Waiting is what makes a batch be synced at the end of the
 * turn. */
enum err store_wait(struct store *store, struct store_ticket ticket,
                    struct store_waiter *waiter) ERR_MUST_CHECK;
void store_wait_cancel(struct store_waiter *waiter);

/* ---- small records of other rooms (state's recovery records, monitors, users) ---- */

/* TABLE and KEY name a record; the value is opaque. Joins the open batch. */
enum err store_record_put(struct store *store, const char *table, const void *key, size_t key_length,
                          const void *value, size_t value_length) ERR_MUST_CHECK;
enum err store_record_delete(struct store *store, const char *table, const void *key,
                             size_t key_length) ERR_MUST_CHECK;
/* All records of TABLE in key order; EACH returns false to stop and must not change the table. */
enum err store_record_scan(struct store *store, const char *table,
                           bool (*each)(void *data, const void *key, size_t key_length, const void *value,
                                        size_t value_length),
                           void *data) ERR_MUST_CHECK;

/* ---- figures and checks ---- */

struct store_counters {
    uint64_t batches, syncs, sync_ns_total;
    uint64_t log_bytes, blocks_hashed, blocks_shared, bytes_rewritten;
    uint64_t inodes_cached, name_hits, name_misses;
    uint64_t checkpoint_frames;
    uint64_t reads_inline, reads_worker;
    uint64_t segments_reused;
};
void store_counters(const struct store *store, struct store_counters *counters_r);

/* dittofsd --check: examines a store that nobody has open, without changing it (REPAIR false): database
 * integrity, schema, every name resolves and link counts agree, every extent resolves to a block, every
 * block's bytes match their checksums and hash, reference counts and space figures recounted. Calls REPORT
 * for every finding. ERR_OK: clean. ERR_CORRUPT: findings. Else it could not be examined. */
enum err store_check(struct disk *disk, void (*report)(void *data, const char *finding),
                     void *data) ERR_MUST_CHECK;

#endif
