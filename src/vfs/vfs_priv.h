/*
 * vfs_priv.h - what the files of this room share: the structs behind the public names, the gate, and the
 * small helpers that keep times, link counts and tickets in one way everywhere.
 */
#ifndef DITTOFS_VFS_PRIV_H
#define DITTOFS_VFS_PRIV_H

#include "dittofs/grant.h"
#include "dittofs/hash.h"
#include "dittofs/list.h"
#include "dittofs/vfs.h"

enum {
    VFS_EXPORT_NAME_MAX = 80,
    /* Levels that a rename walks up to see that a directory is not moved into itself. */
    VFS_DEPTH_MAX = 10000,
};

/* Mode bits, as in POSIX. */
enum { MODE_SETUID = 04000, MODE_SETGID = 02000, MODE_STICKY = 01000, MODE_ALL = 07777 };
/* Of one class: read, write, execute or search. */
enum { PERMIT_READ = 4, PERMIT_WRITE = 2, PERMIT_EXECUTE = 1 };

/* What this room keeps with inodes (inode_set_blob). */
enum vfs_blob {
    VFS_BLOB_ROOT_MADE = 1, /* of an export's root: its mode and owner were set as configured */
    VFS_BLOB_VERIFIER = 2,  /* of a file: the verifier of its exclusive create, until its times are set */
    VFS_BLOB_ACL = 3,       /* its access control list (acl.c); none: its mode counts */
    VFS_BLOB_REPARSE = 4,   /* of a file or directory: a reparse point of a kind that means nothing here */
};

/* An export lives until vfs_close, so that a request that waits never has a dangling one; one that the
 * configuration no longer names is `gone` and comes back under its name with the same id. */
struct vfs_export {
    uint32_t id; /* of the store's tree */
    uint64_t root;
    bool gone;
    struct vfs_export_config *config; /* with its name and rules in one allocation */
    struct list link;                 /* in vfs.all_exports */
};

struct vfs {
    struct store *store;
    struct state *state; /* NULL: nobody holds anything */
    struct loop *loop;
    struct siphash_key handle_key;
    struct list listeners;
    unsigned cookie_listeners; /* of them, who want cookies */
    struct vfs__where *where;  /* NULL: nobody has listened yet */
    struct list all_exports;
    struct vfs_export **by_name; /* those in use, sorted by name */
    struct vfs_export **by_id;   /* the same, sorted by id */
    size_t export_count;
    uint64_t exports_generation;
};

/* ---- conflict.c ---- */

struct vfs_range {
    uint64_t offset, length; /* UINT64_MAX: to the end */
};
/* Do others' caching grants, deny modes or mandatory byte ranges stand in the way of reading or writing
 * RANGE? ERR_DELAY, ERR_LOCKED. */
enum err vfs__conflict_io(const struct vfs_context *context, const struct inode *inode,
                          enum vfs_io_right right, struct vfs_range range, bool write) ERR_MUST_CHECK;

/* What an operation does to one inode. */
struct vfs_claim {
    struct inode *inode; /* may be NULL: nothing is there */
    enum grant_operation operation;
    bool deletes; /* with GRANT_OP_NAMES: an open that denies deletion is in the way */
};
/* ERR_DELAY: caching grants of one of them are being broken; ERR_FILE_OPEN: an open denies deletion. */
enum err vfs__conflict_claims(const struct vfs_context *context, const struct vfs_claim *claims,
                              size_t count) ERR_MUST_CHECK;

/* ---- access.c: the gate. Each function is asked once by each operation of its kind, before anything is
 * changed, and answers with the whole verdict. Then conflict.c is asked about others' opens, locks and
 * caching grants. ---- */

bool vfs__in_group(const struct vfs_context *context, uint32_t gid);
/* Looking a name up in DIR. */
enum err vfs__gate_search(const struct vfs_context *context, const struct inode *dir) ERR_MUST_CHECK;
/* Listing DIR. */
enum err vfs__gate_list(const struct vfs_context *context, const struct inode *dir) ERR_MUST_CHECK;
/* A new name in DIR, of a directory or of something else. */
enum err vfs__gate_add(const struct vfs_context *context, const struct inode *dir,
                       bool directory) ERR_MUST_CHECK;
/* VICTIM's name in DIR goes. */
enum err vfs__gate_remove(const struct vfs_context *context, const struct inode *dir,
                          const struct inode *victim) ERR_MUST_CHECK;
/* INODE goes from FROM_DIR to TO_DIR, where VICTIM (may be NULL) makes room. */
enum err vfs__gate_rename(const struct vfs_context *context, const struct inode *from_dir,
                          const struct inode *inode, const struct inode *to_dir,
                          const struct inode *victim) ERR_MUST_CHECK;
enum err vfs__gate_setattr(const struct vfs_context *context, const struct inode *inode,
                           const struct vfs_setattr *set, bool writable_handle) ERR_MUST_CHECK;
/* Reading, or changing, data. Regular files only. */
enum err vfs__gate_read(const struct vfs_context *context, const struct inode *inode,
                        enum vfs_io_right right) ERR_MUST_CHECK;
enum err vfs__gate_write(const struct vfs_context *context, const struct inode *inode,
                         enum vfs_io_right right) ERR_MUST_CHECK;
/* Alternate data streams of INODE: finding one by its name, listing them, changing their names. */
enum err vfs__gate_stream_search(const struct vfs_context *context, const struct inode *inode) ERR_MUST_CHECK;
enum err vfs__gate_stream_list(const struct vfs_context *context, const struct inode *inode) ERR_MUST_CHECK;
enum err vfs__gate_stream_write(const struct vfs_context *context, const struct inode *inode) ERR_MUST_CHECK;
/* INODE, a handle's or its owner's, becomes something of TYPE under its name in DIR. */
enum err vfs__gate_replace(const struct vfs_context *context, const struct inode *dir,
                           const struct inode *inode, enum inode_type type) ERR_MUST_CHECK;
enum err vfs__gate_acl_read(const struct vfs_context *context, const struct inode *inode) ERR_MUST_CHECK;
enum err vfs__gate_readlink(const struct vfs_context *context, const struct inode *inode) ERR_MUST_CHECK;
enum err vfs__gate_xattr_read(const struct vfs_context *context, const struct inode *inode) ERR_MUST_CHECK;
enum err vfs__gate_xattr_write(const struct vfs_context *context, const struct inode *inode) ERR_MUST_CHECK;

/* ---- attr.c ---- */

/* ERR_OK for a regular file (or a stream), else what the protocols want to hear: ERR_ISDIR, ERR_SYMLINK,
 * ERR_WRONGTYPE. */
enum err vfs__require_file(const struct inode *inode) ERR_MUST_CHECK;
/* Are SET's values possible at all (whoever asks) for an inode of TYPE? */
enum err vfs__setattr_check(enum inode_type type, const struct vfs_setattr *set) ERR_MUST_CHECK;
/* MODE as this user may give it to what belongs to group GID. */
uint32_t vfs__mode_allowed(const struct vfs_context *context, uint32_t mode, uint32_t gid);
/* MODE after somebody wrote: without set-id bits unless it was root. */
uint32_t vfs__mode_after_write(const struct vfs_context *context, const struct inode_attr *attr);
/* The time that HOW means; KEPT for VFS_TIME_KEEP. */
struct timestamp vfs__time(enum vfs_time_how how, struct timestamp given, struct timestamp kept,
                           struct timestamp now);
/* After a change of data that does not set times itself: times, set-id bits, ticket, event. */
void vfs__data_changed(struct vfs_context *context, struct inode *inode);
/* A read at NOW: moves atime as relatime does. */
void vfs__touch_atime(const struct vfs_context *context, struct inode *inode);

/* ---- name.c ---- */

/* 1..255 bytes, no '/', no NUL, not "." or "..". */
enum err vfs__name_check(struct store_name name) ERR_MUST_CHECK;
/* The inode behind NAME in DIR with a reference; no permission is asked. */
enum err vfs__find(struct inode *dir, struct store_name name, struct inode **inode_r) ERR_MUST_CHECK;
/* An entry of DIR came or went: times, and the link count by LINKS. */
void vfs__dir_changed(struct inode *dir, int links, struct timestamp now);
/* The context's reply waits for all metadata changed so far. */
void vfs__ticket_metadata(struct vfs_context *context);

/* ---- stream.c ---- */

/* INODE lost its last name: so do its streams. */
enum err vfs__streams_drop(struct inode *inode) ERR_MUST_CHECK;

/* ---- event.c ---- */

void vfs__event_inode(struct vfs *vfs, uint64_t source, enum vfs_event_kind kind, struct inode *inode);
void vfs__event_created(struct vfs_context *context, struct inode *dir, struct store_name name,
                        struct inode *inode);
/* EVENT is REMOVED or RENAMED; what the context knows is filled in. */
void vfs__event_name(struct vfs_context *context, const struct vfs_event *event);
/* The cookie of NAME, which is there now; 0 when nobody wants it. */
uint64_t vfs__event_cookie(const struct vfs *vfs, struct inode *dir, struct store_name name);

/* What attributes were set. */
void vfs__event_attributes(const struct vfs_context *context, struct inode *inode,
                           const struct vfs_setattr *set);

/* ---- where.c ---- */

void vfs__where_open(struct vfs *vfs);
void vfs__where_close(struct vfs *vfs);
/* INODE was seen as NAME in DIR. */
void vfs__where_note(struct vfs *vfs, const struct inode *dir, struct store_name name,
                     const struct inode *inode);

/* ---- export.c ---- */

void vfs__exports_free(struct vfs *vfs);

#endif
