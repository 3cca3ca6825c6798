/*
 * vfs.h - protocol-neutral file operations on exports: names, attributes, permissions, data, notification.
 *
 * A front-end decodes, calls one of these and encodes. Every rule on what a user may do is checked here, in
 * one gate, for all protocols. All calls are on the loop thread. Metadata calls are synchronous; reading
 * and writing data may answer ERR_WAIT and call back. Calls that change something add to a ticket what must
 * be durable before the reply may go; vfs_durable waits for it.
 *
 * Calls that are in conflict with others' caching grants begin to break these and answer ERR_DELAY; nothing
 * has been changed then. Those in conflict with a deny mode answer ERR_LOCKED (data) or ERR_FILE_OPEN
 * (remove, rename).
 *
 * Inodes (struct inode of store.h, opaque here) come with a reference for the caller: vfs_unref.
 */
#ifndef DITTOFS_VFS_H
#define DITTOFS_VFS_H

#include "dittofs/acl.h"
#include "dittofs/buf.h"
#include "dittofs/clock.h"
#include "dittofs/err.h"
#include "dittofs/list.h"
#include "dittofs/loop.h"
#include "dittofs/net.h"
#include "dittofs/store.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vfs;
struct vfs_export;
struct client;
struct owner;
struct grant_waiter;

/* ---- start, stop ---- */

/* STORE and LOOP stay the caller's. */
enum err vfs_open(struct store *store, struct loop *loop, struct vfs **vfs_r) ERR_MUST_CHECK;
/* What clients hold (deny modes, byte ranges) is asked of STATE from now on; NULL: nobody holds anything. To
 * be set to NULL before state is closed. */
struct state;
void vfs_use_state(struct vfs *vfs, struct state *state);
/* Every inode must have been given back. */
void vfs_close(struct vfs **vfs);
struct loop *vfs_loop(struct vfs *vfs);
/* Changes at every start: the NFS write verifier. */
uint64_t vfs_boot_verifier(const struct vfs *vfs);

/* ---- exports ---- */

enum vfs_protocol { VFS_NFS3 = 1, VFS_NFS4 = 2, VFS_SMB = 4 };
enum vfs_security {
    VFS_SEC_SYS = 1,
    VFS_SEC_KRB5 = 2,
    VFS_SEC_KRB5I = 4,
    VFS_SEC_KRB5P = 8,
    VFS_SEC_NONE = 16
};
enum vfs_squash { VFS_SQUASH_NONE, VFS_SQUASH_ROOT, VFS_SQUASH_ALL };

/* A host or network of "hosts allow". */
struct vfs_host_rule {
    uint8_t address[16]; /* IPv4 as ::ffff:a.b.c.d */
    uint8_t prefix_bits; /* 0..128 */
};

/* What the configuration says of an export. */
struct vfs_export_config {
    const char *name; /* NFS path "/name", SMB share "name"; 1..80 bytes without '/' */
    bool read_only;
    bool sync;                               /* false: replies do not wait for durability */
    const struct vfs_host_rule *hosts_allow; /* none: everybody */
    size_t hosts_allow_count;
    const struct vfs_host_rule *hosts_deny; /* looked at after hosts_allow, as in smb.conf(5) */
    size_t hosts_deny_count;
    enum vfs_squash squash;
    uint32_t anonymous_uid, anonymous_gid;
    unsigned security;                      /* enum vfs_security bits */
    unsigned protocols;                     /* enum vfs_protocol bits */
    uint32_t root_uid, root_gid, root_mode; /* of the root directory when the tree is made */
};

/* Replaces all exports by CONFIGS (copied), all or nothing: an export of the same name keeps its id and its
 * inodes; one that is gone answers ERR_STALE from now on. */
enum err vfs_exports_set(struct vfs *vfs, const struct vfs_export_config *configs,
                         size_t count) ERR_MUST_CHECK;
/* NULL when there is none. Good until the next vfs_exports_set. */
struct vfs_export *vfs_export_find(struct vfs *vfs, const char *name, size_t length);
struct vfs_export *vfs_export_by_id(struct vfs *vfs, uint32_t id);
/* Walks all exports in order of name: start with NULL. */
struct vfs_export *vfs_export_next(struct vfs *vfs, const struct vfs_export *at);
const struct vfs_export_config *vfs_export_config(const struct vfs_export *export);
/* Stable across restarts; the fsid. Never 0. */
uint32_t vfs_export_id(const struct vfs_export *export);
/* Changes whenever the set of exports changes: `change` of the pseudo root. */
uint64_t vfs_exports_generation(const struct vfs *vfs);

/* ---- who ---- */

struct vfs_user {
    uint32_t uid, gid;
    uint32_t group_count;
    const uint32_t *groups; /* good as long as the request */
};

/* Whose caching grants (grant.h) are not in the way: CLIENT's with KEY, or, with KEY NULL, all of CLIENT's;
 * CLIENT NULL: nobody's, all are broken. */
struct vfs_grant_owner {
    struct client *client;
    const void *key;
    size_t key_length;
};

/* A request's view: who asks, through which export, over what. Filled in by vfs_context; one a request (or
 * for each current filehandle of a COMPOUND). */
struct vfs_context {
    struct vfs *vfs;
    struct vfs_export *export;
    enum vfs_protocol protocol;
    struct vfs_user user;              /* squashed */
    bool is_root;                      /* uid 0 after squashing: passes permission checks as POSIX has it */
    uint64_t owner;                    /* the open or lock owner in state for conflict checks; 0: anonymous */
    struct vfs_grant_owner grants;     /* those on what it reads and changes */
    struct vfs_grant_owner dir_grants; /* those on directories whose entries it changes */
    /* Called when the break that made a call answer ERR_DELAY is over: it may be tried again. The first such
     * call of a request uses it. NULL: the client comes again by itself. */
    struct grant_waiter *grant_waiter;
    bool tells_only;            /* breaks are begun and not waited for: what is done when a client has gone */
    struct store_ticket ticket; /* what must be durable before the reply; starts at {0, 0} */
    uint64_t event_source; /* told to listeners, so that a watcher can leave out its own changes; 0: none */
    /* The rights on the inode itself were asked for, and granted, when the handle was opened through which it
     * comes now (SMB): the front-end holds the operation against them. Directories are asked all the same. */
    bool by_handle;
    bool ignores_ranges; /* a truncation that is part of opening: byte ranges of others are not in its way */
};

/* Checks host, protocol, security flavour (one enum vfs_security bit) and squashes USER: ERR_ACCES (host or
 * protocol), ERR_WRONGSEC. Called for every operation, so that a reload takes effect at once. */
enum err vfs_context_init(struct vfs_context *context, struct vfs *vfs, struct vfs_export *export,
                          enum vfs_protocol protocol, unsigned security, const struct net_address *peer,
                          const struct vfs_user *user) ERR_MUST_CHECK;
/* The host part alone (MOUNT, EXPORT listings). */
bool vfs_export_allows_host(const struct vfs_export *export, const struct net_address *peer);

/* ---- file handles: export, inode, generation, keyed MAC; survive restarts ---- */

enum { VFS_HANDLE_SIZE = 32 };
void vfs_handle_encode(struct vfs *vfs, const struct vfs_export *export, const struct inode *inode,
                       uint8_t handle[VFS_HANDLE_SIZE]);
/* ERR_BADHANDLE when it was not made here; ERR_STALE when export or inode are gone. *INODE_R has a reference.
 */
enum err vfs_handle_decode(struct vfs *vfs, const uint8_t *handle, size_t length,
                           struct vfs_export **export_r, struct inode **inode_r) ERR_MUST_CHECK;
/* The same for the directory of INODE's streams, whose handle is another one. *STREAMS_R: it was of such a
 * directory; vfs_handle_decode refuses that. */
void vfs_handle_encode_streams(struct vfs *vfs, const struct vfs_export *export, const struct inode *inode,
                               uint8_t handle[VFS_HANDLE_SIZE]);
enum err vfs_handle_decode_any(struct vfs *vfs, const uint8_t *handle, size_t length,
                               struct vfs_export **export_r, struct inode **inode_r,
                               bool *streams_r) ERR_MUST_CHECK;

struct inode *vfs_ref(struct inode *inode);
void vfs_unref(struct inode **inode);
enum err vfs_root(struct vfs_context *context, struct inode **root_r) ERR_MUST_CHECK;

/* ---- attributes ---- */

/* A snapshot for replies. Owner and mode of a stream are its file's. */
void vfs_getattr(struct inode *inode, struct inode_attr *attr_r);
/* What it says now: good until something is changed. */
const struct inode_attr *vfs_attr(const struct inode *inode);

enum vfs_time_how { VFS_TIME_KEEP, VFS_TIME_NOW, VFS_TIME_SET };
enum vfs_set_bits {
    VFS_SET_MODE = 1,
    VFS_SET_UID = 2,
    VFS_SET_GID = 4,
    VFS_SET_SIZE = 8,
    VFS_SET_DOS_ATTRIBUTES = 16,
    VFS_SET_BTIME = 32,
    VFS_SET_CTIME = 64, /* through SMB's handles alone; else it is the time of the change */
    VFS_SET_ACL = 128   /* behind the mode: the list says what becomes of its nine bits (RFC 8881 6.4.1.3) */
};
struct vfs_setattr {
    unsigned set; /* enum vfs_set_bits */
    uint32_t mode, uid, gid;
    uint64_t size;
    uint32_t dos_attributes;
    enum vfs_time_how atime_how, mtime_how;
    struct timestamp atime, mtime, btime, ctime;
    const struct acl *acl;
};
/* All or nothing, with POSIX's rules: owner or root for mode and times, root for uid, owner for a gid of his
 * groups, set-id bits cleared when others change or write, sticky and set-gid rules, write permission (or the
 * owner, or WRITABLE_HANDLE: an open for writing) for size and times "now". GUARD (may be NULL): ERR_NOT_SYNC
 * when ctime differs (RFC 1813 3.3.2). */
enum err vfs_setattr(struct vfs_context *context, struct inode *inode, const struct vfs_setattr *set,
                     const struct timestamp *guard, bool writable_handle) ERR_MUST_CHECK;

/* Somebody has changed INODE's data and will write it later (a delegation's holder): its times and change
 * move on now. */
void vfs_note_change(struct vfs *vfs, struct inode *inode);

/* Bits of access; front-ends map theirs to these. */
enum vfs_access {
    VFS_ACCESS_READ = 1,     /* data, or list a directory */
    VFS_ACCESS_WRITE = 2,    /* data, or add entries */
    VFS_ACCESS_EXECUTE = 4,  /* or traverse */
    VFS_ACCESS_DELETE = 8,   /* remove entries of a directory */
    VFS_ACCESS_SETATTR = 16, /* owner's rights */
};
/* The part of WANTED that the user has. Read-only exports and directories' meaning of bits are in it. */
unsigned vfs_access(struct vfs_context *context, struct inode *inode, unsigned wanted);

/* All that the user may do with INODE, by its list or else its mode, as enum acl_mask bits; with DIR (may be
 * NULL), the directory it is in, also what that gives: deleting entries, and listing them
 * (MS-FSA 2.1.5.1.2.1).
 */
uint32_t vfs_rights(struct vfs_context *context, struct inode *inode, struct inode *dir);

struct arena;
/* The access control list: ERR_NOENT when the mode alone counts. It lives as long as ARENA. */
enum err vfs_acl_get(struct vfs_context *context, struct inode *inode, struct arena *arena,
                     struct acl *acl_r) ERR_MUST_CHECK;
enum { VFS_ACL_OF_MODE_MAX = 5 };
/* The list that ATTR's mode means, in ACES. */
void vfs_acl_of_mode(const struct inode_attr *attr, struct acl_ace aces[VFS_ACL_OF_MODE_MAX],
                     struct acl *acl_r);
/* vfs_setattr of the list alone: the mode follows. Needs ACL_WRITE_DAC. ERR_INVAL,
 * ERR_FBIG (too many entries). */
enum err vfs_acl_set(struct vfs_context *context, struct inode *inode, const struct acl *acl) ERR_MUST_CHECK;

/* ---- names ---- */

/* NAME is 1..255 bytes without '/' and NUL, not "." or "..": ERR_INVAL (empty), ERR_NAMETOOLONG, ERR_BADNAME
 * come from here. For NFSv3, vfs_lookup itself takes "." and "..". */
enum err vfs_lookup(struct vfs_context *context, struct inode *dir, struct store_name name,
                    struct inode **inode_r) ERR_MUST_CHECK;
/* Case-insensitive; NAME_R (STORE_NAME_MAX bytes) gets the stored name. */
enum err vfs_lookup_folded(struct vfs_context *context, struct inode *dir, struct store_name name,
                           struct inode **inode_r, uint8_t *name_r, size_t *length_r) ERR_MUST_CHECK;
/* The parent of a directory; of the root: the root. */
enum err vfs_parent(struct vfs_context *context, struct inode *dir, struct inode **parent_r) ERR_MUST_CHECK;

enum vfs_create_how {
    VFS_CREATE_UNCHECKED, /* an existing regular file is opened (and truncated when SET has size 0) */
    VFS_CREATE_GUARDED,   /* ERR_EXIST */
    VFS_CREATE_EXCLUSIVE  /* ERR_EXIST unless the one there was made with the same VERIFIER */
};
struct vfs_create {
    enum inode_type type;    /* anything but INODE_STREAM */
    enum vfs_create_how how; /* files only; others are GUARDED */
    uint8_t verifier[8];     /* EXCLUSIVE: kept with the file until its times are set */
    /* Initial attributes. A list takes the place of what is inherited from the directory. */
    struct vfs_setattr set;
    uint32_t umask; /* bits that the mode loses unless a list is inherited (RFC 8275 5) */
    uint32_t device_major, device_minor;
    const uint8_t *target; /* symbolic links */
    size_t target_length;
};
/* *CREATED_R: the file is new, made by this call or, EXCLUSIVE, by the one that it repeats. */
enum err vfs_create(struct vfs_context *context, struct inode *dir, struct store_name name,
                    const struct vfs_create *create, struct inode **inode_r, bool *created_r) ERR_MUST_CHECK;
enum err vfs_link(struct vfs_context *context, struct inode *inode, struct inode *dir,
                  struct store_name name) ERR_MUST_CHECK;

enum vfs_remove_what { VFS_REMOVE_NOT_DIRECTORY, VFS_REMOVE_DIRECTORY, VFS_REMOVE_ANY };
enum err vfs_remove(struct vfs_context *context, struct inode *dir, struct store_name name,
                    enum vfs_remove_what what) ERR_MUST_CHECK;
/* POSIX rename: what is at the target goes, in the same step. NO_REPLACE: ERR_EXIST then (SMB). */
enum err vfs_rename(struct vfs_context *context, struct inode *from_dir, struct store_name from,
                    struct inode *to_dir, struct store_name to, bool no_replace) ERR_MUST_CHECK;
enum err vfs_readlink(struct vfs_context *context, struct inode *inode, uint8_t target[STORE_SYMLINK_MAX],
                      size_t *length_r) ERR_MUST_CHECK;

struct vfs_dirent {
    uint64_t cookie;
    uint64_t ino;
    struct store_name name;
    struct inode
        *inode; /* when asked for; NULL when it can't be had. No reference: good during the call only */
};
/* Lists behind COOKIE (0: from the start), "." and ".." left out. EACH returns false to stop (the entry was
 * not taken). The directory needs read permission; inodes of entries are fetched when WITH_INODES
 * and the user may search the directory. */
enum err vfs_readdir(struct vfs_context *context, struct inode *dir, uint64_t cookie, bool with_inodes,
                     bool (*each)(void *data, const struct vfs_dirent *entry), void *data,
                     bool *end_r) ERR_MUST_CHECK;

/* ---- data ---- */

/* Whose permission is checked: NFSv3 and special stateids check the file's mode at each call (an owner may
 * always read and write what he could open); an open handle was checked when it was opened. */
enum vfs_io_right { VFS_IO_CHECK_MODE, VFS_IO_OPEN_HANDLE };

struct vfs_read {
    struct store_read store; /* in: inode, offset, length, buffer, done; out: got, eof */
};
/* ERR_OK: done, no callback. ERR_WAIT: read->store.done follows. */
enum err vfs_read(struct vfs_context *context, struct vfs_read *read, enum vfs_io_right right) ERR_MUST_CHECK;

struct vfs_write {
    struct store_write store; /* in: inode, offset, data, done */
    /* private: of a write that waits */
    struct vfs *vfs;
    uint64_t event_source;
    void (*caller_done)(struct store_write *write, enum err err);
};
/* As store_write; afterwards (ERR_OK or DONE) merge inode_ticket() into the request's ticket for a stable
 * write. Clears set-id bits as POSIX says. */
enum err vfs_write(struct vfs_context *context, struct vfs_write *write,
                   enum vfs_io_right right) ERR_MUST_CHECK;
/* Adds to the context's ticket all of INODE's data and metadata (COMMIT, FLUSH, stable writes). */
enum err vfs_commit(struct vfs_context *context, struct inode *inode) ERR_MUST_CHECK;
enum err vfs_allocate(struct vfs_context *context, struct inode *inode, uint64_t offset, uint64_t length,
                      bool keep_size, enum vfs_io_right right) ERR_MUST_CHECK;
enum err vfs_deallocate(struct vfs_context *context, struct inode *inode, uint64_t offset, uint64_t length,
                        enum vfs_io_right right) ERR_MUST_CHECK;
enum err vfs_seek(struct vfs_context *context, struct inode *inode, uint64_t offset, enum store_seek what,
                  enum vfs_io_right right, uint64_t *offset_r) ERR_MUST_CHECK;
/* One end of a clone. */
struct vfs_clone_end {
    struct inode *inode;
    uint64_t offset;
    enum vfs_io_right right;
};
/* A LENGTH of 0: up to the source's end. */
enum err vfs_clone(struct vfs_context *context, struct vfs_clone_end source, struct vfs_clone_end target,
                   uint64_t length) ERR_MUST_CHECK;

/* ---- conflicts of what front-ends do in state themselves ---- */

/* Before open_add or open_upgrade with ACCESS and DENY (enum open_share bits), EMPTIES: with truncation;
 * opens of EXCEPT (may be NULL) don't count. Begins the breaks of caching grants that it needs: ERR_OK,
 * ERR_DELAY. */
enum err vfs_conflict_open(const struct vfs_context *context, const struct inode *inode, unsigned access,
                           unsigned deny, bool empties, const struct owner *except) ERR_MUST_CHECK;
/* Before a byte range is set: ERR_OK, ERR_DELAY. */
enum err vfs_conflict_lock(const struct vfs_context *context, const struct inode *inode,
                           bool exclusive) ERR_MUST_CHECK;
/* Before the promise that INODE's name in DIR (may be NULL) will go: ERR_OK, ERR_DELAY. */
enum err vfs_conflict_names(const struct vfs_context *context, struct inode *inode,
                            struct inode *dir) ERR_MUST_CHECK;

/* ---- extended attributes (namespace "user."; NAME without the prefix) ---- */

enum err vfs_xattr_get(struct vfs_context *context, struct inode *inode, struct store_name name,
                       const uint8_t **value_r, size_t *length_r) ERR_MUST_CHECK;
enum err vfs_xattr_set(struct vfs_context *context, struct inode *inode, struct store_name name,
                       const void *value, size_t length, enum xattr_how how) ERR_MUST_CHECK;
enum err vfs_xattr_remove(struct vfs_context *context, struct inode *inode,
                          struct store_name name) ERR_MUST_CHECK;
enum err vfs_xattr_list(struct vfs_context *context, struct inode *inode, struct store_name after,
                        bool (*each)(void *data, struct store_name name, size_t value_length),
                        void *data) ERR_MUST_CHECK;

/* ---- alternate data streams: named data beside that of a file, or of a directory. Their inodes are of type
 * INODE_STREAM and take all data calls; attributes, rights and ACL are the file's. ---- */

/* Case-insensitive; NAME_R (STORE_NAME_MAX bytes) gets the stored name. ERR_NOENT. */
enum err vfs_stream_lookup(struct vfs_context *context, struct inode *file, struct store_name name,
                           struct inode **stream_r, uint8_t *name_r, size_t *length_r) ERR_MUST_CHECK;
/* NAME is exact. */
enum err vfs_stream_get(struct vfs_context *context, struct inode *file, struct store_name name,
                        struct inode **stream_r) ERR_MUST_CHECK;
/* Has it any? Whoever asks. */
bool vfs_has_streams(const struct inode *file);
/* ERR_EXIST; ERR_WRONGTYPE for what has no streams, ERR_LIMIT when there are too many. */
enum err vfs_stream_create(struct vfs_context *context, struct inode *file, struct store_name name,
                           struct inode **stream_r) ERR_MUST_CHECK;
/* NAME is exact. It lives on as long as somebody has it. */
enum err vfs_stream_remove(struct vfs_context *context, struct inode *file,
                           struct store_name name) ERR_MUST_CHECK;
/* Both are exact. What is at TO goes when REPLACE, else ERR_EXIST. */
enum err vfs_stream_rename(struct vfs_context *context, struct inode *file, struct store_name from,
                           struct store_name to, bool replace) ERR_MUST_CHECK;
/* EACH returns false to stop. STREAM is good during the call only. */
enum err vfs_stream_list(struct vfs_context *context, struct inode *file,
                         bool (*each)(void *data, struct store_name name, struct inode *stream),
                         void *data) ERR_MUST_CHECK;

/* ---- reparse points of SMB ---- */

/* One of a kind that means nothing here; ERR_NOENT. Good until the inode's next change. */
enum err vfs_reparse_get(const struct inode *inode, const uint8_t **data_r, size_t *length_r) ERR_MUST_CHECK;
/* LENGTH 0 takes it away. Files and directories only. */
enum err vfs_reparse_set(struct vfs_context *context, struct inode *inode, const void *data,
                         size_t length) ERR_MUST_CHECK;
/* INODE, an empty directory or a file without other names, called NAME in DIR, is replaced by something else
 * with its owner and times: a symbolic link, a special file, an empty file. *INODE_R is that. */
enum err vfs_replace(struct vfs_context *context, struct inode *dir, struct store_name name,
                     struct inode *inode, const struct vfs_create *create,
                     struct inode **inode_r) ERR_MUST_CHECK;

/* ---- durability ---- */

/* Waits for CONTEXT's ticket: ERR_OK when it is durable already (or the export is `sync = no`). ERR_WAIT:
 * WAITER's done follows. */
enum err vfs_durable(struct vfs_context *context, struct store_waiter *waiter) ERR_MUST_CHECK;
/* Adds to CONTEXT's ticket all metadata so far, records of other rooms included. */
void vfs_wait_for_metadata(struct vfs_context *context);
/* Forgets a wait; DONE is not called any more. */
void vfs_durable_cancel(struct store_waiter *waiter);

/* ---- space ---- */

struct vfs_space {
    uint64_t total_bytes, free_bytes, available_bytes;
    uint64_t total_files, free_files, available_files;
};
void vfs_space(struct vfs_context *context, struct vfs_space *space_r);

/* ---- change notification, inside the process ---- */

enum vfs_event_kind {
    VFS_EVENT_CREATED = 1,    /* dir, name, inode */
    VFS_EVENT_REMOVED = 2,    /* dir, name, inode */
    VFS_EVENT_RENAMED = 4,    /* dir, name -> other_dir, other_name */
    VFS_EVENT_ATTRIBUTES = 8, /* inode */
    VFS_EVENT_DATA = 16,      /* inode: written, truncated */
    VFS_EVENT_XATTRS = 32,    /* inode */
    VFS_EVENT_STREAMS = 64,   /* inode: a stream of it came, went or got another name */
};
struct vfs_event {
    enum vfs_event_kind kind;
    struct inode *inode;
    struct inode *dir, *other_dir;
    struct store_name name, other_name;
    uint64_t source;         /* the context's event_source */
    const struct client *by; /* whose grants the context has; NULL: not known */
    bool is_replaced;        /* REMOVED: by the RENAMED that follows */
    struct inode *replaced;  /* RENAMED: what was at its target; or NULL */
    /* Of NAME; and of OTHER_NAME, which is that of what was replaced, too. 0 when no listener wants them. */
    uint64_t cookie, other_cookie;
    unsigned set; /* ATTRIBUTES, DATA: the enum vfs_set_bits that were asked for */
    bool atime_set, mtime_set;
};
/* Told of every change, after it was made, within the call that made it: it may only take notes. */
struct vfs_listener {
    unsigned kinds; /* enum vfs_event_kind bits */
    void (*event)(struct vfs_listener *listener, const struct vfs_event *event);
    bool cookies;     /* wants them: a query for each change of a name */
    struct vfs *vfs;  /* private */
    struct list link; /* private */
};
void vfs_listener_add(struct vfs *vfs, struct vfs_listener *listener);
void vfs_listener_remove(struct vfs_listener *listener);
/* Where in its listing the entry of DIR with COOKIE is: the entry before it, ERR_NOENT when it is the first;
 * *LAST_R in either case: there is none behind it. A listener may call it. */
enum err vfs_entry_before(struct inode *dir, uint64_t cookie, uint64_t *cookie_r,
                          uint8_t name_r[STORE_NAME_MAX], size_t *length_r, bool *last_r) ERR_MUST_CHECK;
/* A directory that INODE is in, with a reference, and its name there: the one that was seen last. ERR_NOENT
 * when it has none or nobody has seen it since somebody listens. A listener may call it. */
enum err vfs_where(struct vfs *vfs, struct inode *inode, struct inode **dir_r, uint8_t name_r[STORE_NAME_MAX],
                   size_t *length_r) ERR_MUST_CHECK;

#endif
