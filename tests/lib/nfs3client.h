/*
 * nfs3client.h - a wire-level client of MOUNT and NFS version 3, our own from RFC 1813: it sends what it is
 * told, right or wrong, and shows everything of the answer: status, weak cache consistency data, length.
 *
 * A call blocks. One struct nfs3_result holds what any procedure can answer; what a procedure does not have
 * is zero. Bytes that it refers to are good until the client's next call.
 */
#ifndef DITTOFS_TESTS_NFS3CLIENT_H
#define DITTOFS_TESTS_NFS3CLIENT_H

#include "dittofs/clock.h"
#include "dittofs/cursor.h"
#include "rpcclient.h"
#include <stdbool.h>
#include <stdint.h>

enum {
    NFS3C_NULL = 0,
    NFS3C_GETATTR,
    NFS3C_SETATTR,
    NFS3C_LOOKUP,
    NFS3C_ACCESS,
    NFS3C_READLINK,
    NFS3C_READ,
    NFS3C_WRITE,
    NFS3C_CREATE,
    NFS3C_MKDIR,
    NFS3C_SYMLINK,
    NFS3C_MKNOD,
    NFS3C_REMOVE,
    NFS3C_RMDIR,
    NFS3C_RENAME,
    NFS3C_LINK,
    NFS3C_READDIR,
    NFS3C_READDIRPLUS,
    NFS3C_FSSTAT,
    NFS3C_FSINFO,
    NFS3C_PATHCONF,
    NFS3C_COMMIT
};

struct nfs3_handle {
    uint32_t length;
    uint8_t data[64];
};

struct nfs3_fattr {
    uint32_t type, mode, nlink, uid, gid;
    uint64_t size, used;
    uint32_t rdev_major, rdev_minor;
    uint64_t fsid, fileid;
    struct timestamp atime, mtime, ctime;
};

struct nfs3_wcc {
    bool has_before, has_after;
    uint64_t size; /* before */
    struct timestamp mtime, ctime;
    struct nfs3_fattr after;
};

struct nfs3_result {
    uint32_t status;
    uint32_t length; /* bytes of results, status included */
    bool has_attr;   /* obj_attributes, file_attributes, dir_attributes of READDIR */
    struct nfs3_fattr attr;
    bool has_dir_attr; /* LOOKUP */
    struct nfs3_fattr dir_attr;
    struct nfs3_wcc wcc, wcc2; /* RENAME: from, to */
    bool has_handle;
    struct nfs3_handle handle;
    uint32_t access;     /* ACCESS */
    uint32_t count;      /* READ, WRITE */
    bool eof;            /* READ, READDIR, READDIRPLUS */
    uint32_t committed;  /* WRITE */
    uint64_t verifier;   /* WRITE, COMMIT, READDIR, READDIRPLUS */
    const uint8_t *data; /* READ, READLINK */
    uint32_t data_length;
    uint32_t entry_count;  /* READDIR, READDIRPLUS */
    struct reader entries; /* for nfs3_next_entry */
    uint32_t entry_bytes;  /* of names, fileids and cookies: what dircount counts */
    uint64_t space[6];     /* FSSTAT: tbytes, fbytes, abytes, tfiles, ffiles, afiles */
    uint32_t limits[7];    /* FSINFO: rtmax, rtpref, rtmult, wtmax, wtpref, wtmult, dtpref */
    uint64_t maxfilesize;
    struct timestamp time_delta;
    uint32_t properties;
    uint32_t linkmax, name_max; /* PATHCONF */
    bool no_trunc, chown_restricted, case_insensitive, case_preserving;
};

struct nfs3_entry {
    uint64_t fileid, cookie;
    const uint8_t *name;
    uint32_t name_length;
    bool has_attr, has_handle; /* READDIRPLUS */
    struct nfs3_fattr attr;
    struct nfs3_handle handle;
};
/* Takes the next entry off RESULT; false when there is none. */
bool nfs3_next_entry(struct nfs3_result *result, bool plus, struct nfs3_entry *entry_r);

/* New attributes: a member counts when its bit is in SET. */
enum { NFS3_SET_MODE = 1, NFS3_SET_UID = 2, NFS3_SET_GID = 4, NFS3_SET_SIZE = 8 };
struct nfs3_new_attr {
    unsigned set;
    uint32_t mode, uid, gid;
    uint64_t size;
    uint32_t atime_how, mtime_how; /* 0 leave, 1 server's, 2 client's */
    struct timestamp atime, mtime;
};
void nfs3_put_handle(struct writer *writer, const struct nfs3_handle *handle);
void nfs3_put_attr(struct writer *writer, const struct nfs3_new_attr *attr);

/* Sends ARGUMENTS (may be NULL) as they are and decodes the results of PROCEDURE, which must be well-formed
 * to the last byte: RPCCLIENT_BROKEN otherwise, whatever the status. Sets the client's program. */
enum rpcclient_status nfs3_call(struct rpcclient *client, uint32_t procedure, const struct writer *arguments,
                                struct nfs3_result *result_r) MUST_CHECK;
/* Results as they came to RESULT_R; false when they are not well-formed (for calls sent by halves). */
bool nfs3_decode(struct reader results, uint32_t procedure, struct nfs3_result *result_r) MUST_CHECK;

/* ---- the procedures, as they are meant; NAME is a C string ---- */

enum rpcclient_status nfs3_getattr(struct rpcclient *client, const struct nfs3_handle *object,
                                   struct nfs3_result *result_r) MUST_CHECK;
enum rpcclient_status nfs3_setattr(struct rpcclient *client, const struct nfs3_handle *object,
                                   const struct nfs3_new_attr *attr, const struct timestamp *guard,
                                   struct nfs3_result *result_r) MUST_CHECK;
enum rpcclient_status nfs3_lookup(struct rpcclient *client, const struct nfs3_handle *dir, const char *name,
                                  struct nfs3_result *result_r) MUST_CHECK;
enum rpcclient_status nfs3_access(struct rpcclient *client, const struct nfs3_handle *object, uint32_t access,
                                  struct nfs3_result *result_r) MUST_CHECK;
enum rpcclient_status nfs3_read(struct rpcclient *client, const struct nfs3_handle *file, uint64_t offset,
                                uint32_t count, struct nfs3_result *result_r) MUST_CHECK;
enum rpcclient_status nfs3_write(struct rpcclient *client, const struct nfs3_handle *file, uint64_t offset,
                                 const void *data, uint32_t length, uint32_t stable,
                                 struct nfs3_result *result_r) MUST_CHECK;
/* HOW: 0 unchecked, 1 guarded, 2 exclusive (then VERIFIER counts and ATTR does not). */
enum rpcclient_status nfs3_create(struct rpcclient *client, const struct nfs3_handle *dir, const char *name,
                                  uint32_t how, const struct nfs3_new_attr *attr, uint64_t verifier,
                                  struct nfs3_result *result_r) MUST_CHECK;
enum rpcclient_status nfs3_mkdir(struct rpcclient *client, const struct nfs3_handle *dir, const char *name,
                                 const struct nfs3_new_attr *attr, struct nfs3_result *result_r) MUST_CHECK;
enum rpcclient_status nfs3_symlink(struct rpcclient *client, const struct nfs3_handle *dir, const char *name,
                                   const char *target, struct nfs3_result *result_r) MUST_CHECK;
enum rpcclient_status nfs3_mknod(struct rpcclient *client, const struct nfs3_handle *dir, const char *name,
                                 uint32_t type, uint32_t major, uint32_t minor,
                                 struct nfs3_result *result_r) MUST_CHECK;
/* GETATTR, READLINK, FSSTAT, FSINFO, PATHCONF. */
enum rpcclient_status nfs3_handle_call(struct rpcclient *client, uint32_t procedure,
                                       const struct nfs3_handle *object,
                                       struct nfs3_result *result_r) MUST_CHECK;
/* LOOKUP, REMOVE, RMDIR; NAME of LENGTH bytes. */
enum rpcclient_status nfs3_name_call(struct rpcclient *client, uint32_t procedure,
                                     const struct nfs3_handle *dir, const void *name, uint32_t length,
                                     struct nfs3_result *result_r) MUST_CHECK;
enum rpcclient_status nfs3_rename(struct rpcclient *client, const struct nfs3_handle *from_dir,
                                  const char *from, const struct nfs3_handle *to_dir, const char *to,
                                  struct nfs3_result *result_r) MUST_CHECK;
enum rpcclient_status nfs3_link(struct rpcclient *client, const struct nfs3_handle *file,
                                const struct nfs3_handle *dir, const char *name,
                                struct nfs3_result *result_r) MUST_CHECK;
enum rpcclient_status nfs3_readdir(struct rpcclient *client, const struct nfs3_handle *dir, uint64_t cookie,
                                   uint64_t verifier, uint32_t count,
                                   struct nfs3_result *result_r) MUST_CHECK;
enum rpcclient_status nfs3_readdirplus(struct rpcclient *client, const struct nfs3_handle *dir,
                                       uint64_t cookie, uint64_t verifier, uint32_t dircount,
                                       uint32_t maxcount, struct nfs3_result *result_r) MUST_CHECK;
enum rpcclient_status nfs3_commit(struct rpcclient *client, const struct nfs3_handle *file, uint64_t offset,
                                  uint32_t count, struct nfs3_result *result_r) MUST_CHECK;

/* ---- MOUNT ---- */

struct mount3_result {
    uint32_t status;
    struct nfs3_handle handle;
    uint32_t flavor_count;
    uint32_t flavors[16];
};
enum rpcclient_status mount3_mnt(struct rpcclient *client, const char *path,
                                 struct mount3_result *result_r) MUST_CHECK;
/* DUMP and EXPORT of VERSION as lines: "host path\n", "path group group\n"; TEXT is a C string after. */
enum rpcclient_status mount3_dump(struct rpcclient *client, uint32_t version, char *text,
                                  size_t size) MUST_CHECK;
enum rpcclient_status mount3_export(struct rpcclient *client, uint32_t version, char *text,
                                    size_t size) MUST_CHECK;
/* PATH NULL: UMNTALL. */
enum rpcclient_status mount3_umnt(struct rpcclient *client, uint32_t version, const char *path) MUST_CHECK;

#endif
