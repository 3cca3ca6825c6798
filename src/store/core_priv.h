/*
 * core_priv.h - what DATA's files share: the parts of struct data and who owns them.
 *
 *     log.c        the queue of records, writing them out, syncing
 *     segment.c    segment files: live bytes, handles for reading
 *     block.c      blocks: where bytes lie, their checksums, how many pieces refer to them
 *     node.c       the tree of nodes over a file's leaves, in memory
 *     flush.c      writing trees and reference counts into the open transaction
 *     data_*.c     the public calls, replay, check
 *     settle.c     hashing, sharing, rewriting
 *     unsettled.c  where that goes on after a restart
 *     gc.c         giving space back
 *
 * Invariants:
 * - A piece in memory refers to a block that is in data->blocks or has a row.
 * - block.refs in the database is the number of pieces in nodes and inline roots in the database that refer
 *   to it; node.refs the number of children and roots that refer to it; always, after each public call.
 * - Records in front of data->tail are in the database (or void); only bytes in front of the durable tail are
 *   ever given back to the file system.
 */
#ifndef DITTOFS_STORE_CORE_H
#define DITTOFS_STORE_CORE_H

#include "store/data_priv.h"
#include "store/leaf_priv.h"
#include "store/log_record_priv.h"

#include <pthread.h>

struct data;

enum {
    NODE_CHILDREN = 1024,
    NODE_LEVELS_MOST = 3, /* inner nodes above a leaf: 2^27 * 2^30 bytes */
    HASH_BYTES = 32,      /* SHA-256 */
};
/* In place of a child's node id: a leaf or subtree that is unwritten all over. Real ids are above. */
#define NODE_UNWRITTEN ((uint64_t)1)
#define NODE_FIRST_ID  ((uint64_t)16)

/* ---- jobs ---- */

/* A worker's job of DATA. They are listed so that an owner knows when all that were begun before some moment
 * are back, and so that data_close can free those that will never come back. */
struct data_job {
    struct loop_job job;
    struct list link;
    struct data *data;
    uint64_t number;
    void (*work)(struct data_job *job);
    void (*done)(struct data_job *job); /* owns the memory from here on */
    void (*drop)(struct data_job *job); /* frees it, calls nobody */
};
enum err job_submit(struct data *data, struct data_job *job) ERR_MUST_CHECK;
/* From its DONE: the same job, with its number, as if it had not been back. */
enum err job_submit_again(struct data_job *job) ERR_MUST_CHECK;
/* Are all jobs that were submitted before NUMBER back? */
bool jobs_are_back(const struct data *data, uint64_t number);

/* ---- log.c ---- */

/* A record that is queued, or written but still kept. Its payload is in BUF, or behind the head when BUF is
 * NULL. */
struct log_entry {
    struct list link;
    struct list blocks; /* whose bytes are read from here */
    uint32_t segment, place, head_length, length, total;
    bool ends_segment; /* a RECORD_END */
    uint32_t reuses;   /* ... and the next segment gets the file of this one; 0: a new file */
    struct buf *buf;
    const uint8_t *payload;
    uint8_t head[];
};

struct log_space {
    uint64_t free_bytes, total_bytes; /* as the disk said */
    uint64_t queued;                  /* bytes that were accepted, but not written then */
    uint64_t appended;                /* ... with those accepted since */
    uint64_t asked_ms;
};

struct log {
    struct data *data;
    uint32_t key; /* of records; 0: none was chosen yet */
    /* loop thread */
    uint32_t first_segment;  /* of this run */
    uint32_t segment, place; /* of the next record */
    uint64_t durable;        /* position */
    uint64_t oldest_ms;      /* when the oldest bytes that are not durable were accepted */
    uint64_t bytes;          /* accepted since the start */
    size_t queued_bytes;     /* of entries in memory */
    size_t fresh_bytes;      /* of entries that no job was begun for */
    struct data_job job;
    struct data_job zero_job;
    uint64_t zero_asked; /* zeros were asked for up to here, about */
    bool writing;        /* job is under way */
    bool zeroing;        /* zero_job is */
    bool failed;
    struct log_space space;
    /* workers and loop */
    pthread_mutex_t queue_lock;
    struct list pending; /* entries to write, in order */
    struct list written; /* entries the loop may let go of */
    /* workers: one writes at a time */
    pthread_mutex_t write_lock;
    struct list files;
    _Atomic enum err error;
    uint64_t written_position; /* end of what was written */
    uint64_t synced_position;  /* that was written when the last sync began */
    uint32_t step_bytes;       /* reserved ahead */
    uint32_t reused;           /* whose file the segment gets that begins; 0: a new file */
    uint64_t sync_began_ms;
};

enum err log_open(struct data *data, uint32_t segment) ERR_MUST_CHECK;
void log_close(struct data *data);
/* Queues a record: lays it out, counts checksums into CHECKSUMS (RECORD_CHECKSUMS_MOST numbers) and copies
 * the payload, or keeps a reference to its buffer when that is large. PAYLOAD.length is the record's. */
enum err log_append(struct data *data, struct record *record, struct bufpart payload, uint32_t *checksums,
                    struct log_entry **entry_r) ERR_MUST_CHECK;
/* Where the payload's byte INTO lies. */
static inline uint64_t entry_position(const struct log_entry *entry, uint32_t into)
{
    return log_position(entry->segment, (uint64_t)entry->place + entry->head_length + into);
}
static inline uint64_t log_end(const struct log *log)
{
    return log_position(log->segment, log->place);
}
/* Bytes that writes can still have; asks the disk when what is known is old. */
uint64_t log_room(struct data *data);
/* Has what is queued be written when there is enough of it. */
void log_kick(struct data *data);
/* Segment ID's files were found by replay: to be synced with the next sync. */
enum err log_adopt(struct data *data, uint32_t segment) ERR_MUST_CHECK;

/* ---- segment.c ---- */

struct segment {
    struct hashlink hashed;
    uint32_t id;
    uint64_t live_bytes; /* of blocks with a row, as in the open transaction */
    bool has_row, dirty;
    struct list dirty_link;
    struct list rowless; /* blocks placed here that have no row */
    /* handle for reading; jobs that use it keep it open */
    struct disk_file *file;
    uint32_t file_users;
    struct list file_link; /* least recently used first */
    /* gc.c */
    struct list gc_link;
    bool gc_listed;
    uint64_t freed_bytes;             /* since the last sweep began */
    uint64_t gc_batch;                /* what was freed is durable with this batch */
    uint64_t gc_job;                  /* jobs up to this one may still read what was freed */
    uint64_t gc_first_ms, gc_last_ms; /* when FREED_BYTES began to grow, when it grew last */
    uint64_t gc_not_before_ms;
    bool gc_is_thin;      /* a sweep left less than three quarters of it */
    uint64_t gc_spare_ms; /* since when it is a spare one; 0: it is none */
};

void segment_name(uint32_t id, char name[20]);
/* The segment with ID, made in memory when new. NULL: out of memory. */
struct segment *segment_of(struct data *data, uint32_t id);
/* Only if it is known. */
struct segment *segment_find(struct data *data, uint32_t id);
/* A handle for reading; ERR_AGAIN when it has to be opened and MAY_OPEN is false. */
enum err segment_file(struct data *data, struct segment *segment, bool may_open,
                      struct disk_file **file_r) ERR_MUST_CHECK;
void segment_hold_file(struct data *data, struct segment *segment);
void segment_release_file(struct data *data, struct segment *segment);
void segment_count(struct data *data, uint64_t place, int64_t bytes);
void segment_changed(struct data *data, struct segment *segment);
enum err segments_load(struct data *data) ERR_MUST_CHECK;
enum err segments_flush(struct data *data) ERR_MUST_CHECK;
void segment_forget(struct data *data, struct segment *segment);
void segments_close(struct data *data);

/* ---- block.c ---- */

/* A stored extent. The id is the position it was first written at, the place where it lies now. */
struct block {
    struct hashlink hashed;
    struct hashlink by_hash; /* when it has a hash and no row */
    struct list link;        /* data->block_lru, or segment->rowless */
    struct list in_entry;
    struct log_entry *entry; /* its bytes are in memory, in this record */
    const uint8_t *bytes;    /* with entry */
    uint64_t id, place;
    uint8_t *hash; /* HASH_BYTES, malloc'ed, or NULL: not known here */
    uint32_t length;
    uint32_t uses;    /* changes of leaves that have added it and are not flushed */
    uint32_t readers; /* jobs, and callers on the stack */
    bool has_row;
    bool gone;      /* the row was deleted while somebody reads */
    bool zero_row;  /* the row has 0 references because a use follows */
    bool is_hashed; /* has a hash, here or in its row */
    uint32_t checksums[];
};

/* A new one, without a row, with one use. ENTRY may be NULL (replay). */
enum err block_new(struct data *data, uint64_t id, uint32_t length, const uint32_t *checksums,
                   struct log_entry *entry, uint32_t into, struct block **block_r) ERR_MUST_CHECK;
/* The one with ID from memory or its row, good until the next call unless held: ERR_CORRUPT (logged) when
 * there is none. */
enum err block_get(struct data *data, uint64_t id, struct block **block_r) ERR_MUST_CHECK;
/* The same, but ERR_NOENT and no line when there is none. */
enum err block_lookup(struct data *data, uint64_t id, struct block **block_r) ERR_MUST_CHECK;
/* From memory only. */
struct block *block_find(struct data *data, uint64_t id);
void block_hold(struct data *data, struct block *block);
void block_let_go(struct data *data, struct block *block);
/* One more change of a leaf that has added it. */
void block_use(struct data *data, struct block *block);
/* A use ends; a row that nothing refers to any more goes (in the open transaction). */
enum err block_unuse(struct data *data, struct block *block) ERR_MUST_CHECK;
/* Changes the references in the database: makes the row, or takes it away. */
enum err block_apply(struct data *data, uint64_t id, int64_t delta) ERR_MUST_CHECK;
/* The block in memory moves: its bytes are now in ENTRY. */
void block_move(struct data *data, struct block *block, struct log_entry *entry);
/* Its entry is going away. */
void block_detach(struct block *block);
/* Deletes rows with 0 references that a crash left. */
enum err blocks_drop_unused(struct data *data) ERR_MUST_CHECK;
void blocks_trim(struct data *data);
void blocks_close(struct data *data);
/* Do LENGTH bytes from chunk FIRST on match? */
bool block_verify(const struct block *block, uint32_t first_chunk, const uint8_t *bytes, uint32_t length);

/* ---- node.c ---- */

struct child {
    uint64_t id;                          /* row; 0: none yet, or a hole when node is NULL; NODE_UNWRITTEN */
    uint64_t data_bytes, unwritten_bytes; /* in the subtree, now */
    struct node *node;                    /* when in memory */
    bool fresh; /* the reference is counted, but the parent's row does not have it */
};

struct node {
    struct data_inode *file;
    struct node *parent;    /* NULL: the root */
    uint32_t index;         /* in parent */
    uint8_t level;          /* 0: a leaf */
    bool dirty;             /* and so are all above */
    bool is_inline;         /* as flushed it is the leaf in the inode's root: its references are counted */
    struct list lru;        /* clean leaves; else alone */
    size_t memory;          /* counted in data->leaf_bytes */
    struct leaf leaf;       /* level 0 */
    struct child *children; /* else: NODE_CHILDREN of them */
    uint64_t *dropped;      /* rows of children that are gone since the last flush */
    size_t dropped_count;
};

/* DATA's part of an inode. */
struct data_inode {
    struct inode *inode;
    struct list dirty_link;  /* in data->dirty by dirty_ms; else alone */
    struct list logged_link; /* in data->logged by first_position; else alone */
    struct list urgent_link; /* in data->urgent: must be in the next commit; else alone */
    uint64_t dirty_ms;
    uint64_t first_position; /* of the oldest record that is not flushed */
    bool loaded;             /* height and root are read */
    unsigned height;
    struct child root;
    uint64_t *dropped; /* old roots */
    size_t dropped_count;
    uint64_t unwritten_counted; /* in data->unwritten_bytes */
    uint64_t unwritten_flushed; /* in data->unwritten_flushed */
    uint32_t users;             /* reads, waiting writes and jobs */
};

/* INODE's part, made when missing, its root loaded. */
enum err file_of(struct inode *inode, struct data_inode **file_r) ERR_MUST_CHECK;
/* Forgets all in memory; changes that are not flushed are lost. */
void file_discard(struct data_inode *file);
/* The leaf that covers OFFSET. When it is a hole or unwritten all over: NULL with CREATE false (*KIND_R says
 * which), else made. Good until leaves_trim. */
enum err file_leaf(struct data_inode *file, uint64_t offset, bool create, struct node **node_r,
                   enum piece_kind *kind_r) ERR_MUST_CHECK;
/* Changes a leaf: leaf_replace with the sums above it kept right. An added block must have its use. */
enum err node_replace(struct node *node, uint32_t start, uint32_t length,
                      const struct piece *with) ERR_MUST_CHECK;
/* Makes [OFFSET, END) a hole (UNWRITTEN false), or its holes unwritten. */
enum err file_clear(struct data_inode *file, uint64_t offset, uint64_t end) ERR_MUST_CHECK;
enum err file_fill(struct data_inode *file, uint64_t offset, uint64_t end) ERR_MUST_CHECK;
/* The bytes from OFFSET on that are alike, at most to the end of what one piece or node covers. */
enum err file_extent(struct data_inode *file, uint64_t offset, enum piece_kind *kind_r,
                     uint64_t *length_r) ERR_MUST_CHECK;
/* How many bytes of [OFFSET, END) are of KIND. */
enum err file_count(struct data_inode *file, uint64_t offset, uint64_t end, enum piece_kind kind,
                    uint64_t *bytes_r) ERR_MUST_CHECK;
/* Loads what file_clear and a write of the range would have to read, so that they can't fail for that. */
enum err file_prepare(struct data_inode *file, uint64_t offset, uint64_t end) ERR_MUST_CHECK;
void node_free(struct data *data, struct node *node);
struct child *node_child(struct node *node);
void node_mark_dirty(struct node *node);
/* Adds to CHILD, of the inner node PARENT, and to all above. */
void node_add_sums(struct node *parent, struct child *child, uint64_t data_bytes, uint64_t unwritten_bytes);
enum err node_new(struct data_inode *file, struct node *parent, uint32_t index, uint8_t level,
                  struct node **node_r) ERR_MUST_CHECK;
enum err node_load(struct data_inode *file, struct node *parent, uint32_t index, uint8_t level,
                   struct node **node_r) ERR_MUST_CHECK;
/* Puts COUNT new levels above the root so that OFFSET is covered. */
enum err file_grow(struct data_inode *file, uint64_t offset) ERR_MUST_CHECK;
/* The row ID of a subtree is no longer referred to by PARENT (NULL: the root). */
enum err node_drop_row(struct data_inode *file, struct node *parent, uint64_t id) ERR_MUST_CHECK;
/* Lets clean leaves go above the bound. Never while a caller has one at hand. */
void leaves_trim(struct data *data);
/* Bytes that a subtree under a node of LEVEL covers: 128 MiB at level 0. */
static inline uint64_t level_bytes(unsigned level)
{
    return (uint64_t)LEAF_BYTES << 10 * level;
}

/* ---- encodings of rows (codec.c) ---- */

enum { ROOT_INLINE_MOST = 1024 };
struct root {
    unsigned height;
    uint64_t id; /* 0: the leaf is inline, or there is none */
    uint64_t data_bytes, unwritten_bytes;
    const uint8_t *leaf;
    size_t leaf_length;
};
void root_encode(const struct root *root, struct writer *writer);
enum err root_decode(const uint8_t *data, size_t length, struct root *root_r) ERR_MUST_CHECK;
void children_encode(const struct child *children, struct writer *writer);
/* CHILDREN: NODE_CHILDREN zeroed ones, of a node of LEVEL (1 and more). */
enum err children_decode(const uint8_t *data, size_t length, unsigned level,
                         struct child *children) ERR_MUST_CHECK;

/* ---- flush.c ---- */

/* Something of FILE has changed in memory; POSITION of the record that says so, or 0: no record. */
void file_changed(struct data_inode *file, uint64_t position);
/* Writes FILE into the open transaction. */
enum err file_flush(struct data_inode *file) ERR_MUST_CHECK;
/* A reference to node row ID is gone: now, or in slices later. */
enum err garbage_add(struct data *data, uint64_t id) ERR_MUST_CHECK;
enum err garbage_drain(struct data *data, unsigned budget) ERR_MUST_CHECK;
/* Changes the references of node row ID; nothing for what has no row. */
enum err node_add_refs(struct data *data, uint64_t id, int delta) ERR_MUST_CHECK;
/* Writes live bytes of segments and other sums into the open transaction: they agree with its rows then. */
enum err figures_flush(struct data *data) ERR_MUST_CHECK;
/* Applies changes of references, summed up by block; sorts CHANGES. */
enum err changes_apply(struct data *data, struct leaf_change *changes, size_t count) ERR_MUST_CHECK;

/* ---- data_write.c, data_range.c, clone.c: the changes behind the public calls, without a record ---- */

/* Sets size, used, times and position of the inode after a change that RECORD describes. */
void file_record_applied(struct data_inode *file, const struct record *record, uint64_t position,
                         uint64_t end);
enum err write_apply(struct data_inode *file, const struct record *record, const uint32_t *checksums,
                     struct log_entry *entry) ERR_MUST_CHECK;
enum err truncate_apply(struct data_inode *file, uint64_t size) ERR_MUST_CHECK;
enum err punch_apply(struct data_inode *file, uint64_t offset, uint64_t length) ERR_MUST_CHECK;
enum err allocate_apply(struct data_inode *file, uint64_t offset, uint64_t length,
                        bool keep_size) ERR_MUST_CHECK;
enum err clone_apply(struct data_inode *source, uint64_t source_offset, struct data_inode *target,
                     uint64_t target_offset, uint64_t length) ERR_MUST_CHECK;
enum err clone_commit(struct data_inode *target) ERR_MUST_CHECK;
/* Writes that waited for room in the queue. */
void writes_resume(struct data *data);
void writes_fail(struct data *data, enum err err);

/* ---- settle.c, gc.c ---- */

enum err settle_open(struct data *data) ERR_MUST_CHECK;
void settle_close(struct data *data);
/* The slot at OFFSET of the file, in leaf NODE, was written; BLOCK is what it got. */
void settle_touched(struct node *node, uint64_t offset, struct block *block);
/* The tree of the inode with ATTR is being written into the open transaction. */
enum err settle_flush(struct data *data, const struct inode_attr *attr) ERR_MUST_CHECK;
void settle_run(struct data *data);
bool settle_is_idle(const struct data *data);

enum err gc_open(struct data *data) ERR_MUST_CHECK;
/* Replay is over: looks for what a crash left. */
void gc_begin(struct data *data);
/* BYTES at PLACE are not used any more. */
void gc_freed(struct data *data, uint64_t place, uint64_t bytes);
/* Somebody removes BYTES of data, or has them twice, and wants to see the room. */
void gc_room_wanted(struct data *data, uint64_t bytes);
/* A segment that nothing lies in any more, and that is not known any more: the caller's to use again, or to
 * leave to the next start. 0: there is none. */
uint32_t gc_take_spare(struct data *data);
void gc_run(struct data *data);
void gc_close(struct data *data);

/* Has nobody wanted anything for a moment? Then there is time to rewrite. */
bool is_idle(const struct data *data);
/* Has housekeeping run within a quarter of a second, if there is something to do. */
void housekeeping_soon(struct data *data);

/* ---- struct data ---- */

struct data {
    struct store *store;
    struct log log;
    struct list jobs; /* struct data_job, in the order they were submitted */
    size_t job_count;
    uint64_t next_job;
    bool ready;    /* replayed: background work may run */
    bool stopping; /* no new background work */
    void (*stopped)(struct store *store);

    struct hashtable segments;
    struct list segment_files; /* open for reading */
    size_t segment_file_count;
    struct list dirty_segments;
    struct list gc_segments;
    uint64_t stored_bytes;

    struct hashtable blocks;
    struct hashtable fresh_hashes;
    struct list block_lru;
    size_t block_bytes;
    size_t rowless_count;

    struct list leaf_lru;
    size_t leaf_bytes;
    size_t change_count; /* noted in leaves, not flushed */
    uint64_t next_node;

    struct list dirty, logged, urgent; /* struct data_inode */
    uint64_t unwritten_bytes;          /* reserved by store_allocate, in all files */
    uint64_t unwritten_flushed;        /* as in the open transaction */
    uint64_t tail;                     /* as in the open transaction: replay begins here */
    uint64_t tail_batch;               /* the batch that tail belongs to */
    uint64_t tail_durable;
    bool tail_wanted;                            /* space can be freed when it moves on */
    uint64_t unwritten_written, segment_written; /* as in the meta table */
    bool garbage;                                /* there may be rows in the garbage table */

    struct list waiting_writes;
    uint64_t foreground_ms;    /* when somebody last wrote or read */
    uint64_t foreground_bytes; /* written and read so far */
    struct loop_timer timer;
    struct loop_hook hook;
    bool timer_runs;
    struct settle *settle;
    struct gc *gc;

    uint64_t blocks_hashed, blocks_shared, bytes_rewritten, reads_inline, reads_worker, segments_reused;
};

#endif
