/*
 * nfs3_args.h - the arguments of the procedures of NFS version 3 (RFC 1813 2.5, 2.6 and 3.3) as structs.
 *
 * Decoders read one argument struct each and do not judge: names of any length, handles that nobody made
 * and numbers of any size pass; what is not XDR of the type (a count beyond the bytes, a discriminant
 * that the union does not have) fails. Bytes are referred to where they lie.
 */
#ifndef DITTOFS_NFS_V3_ARGS_H
#define DITTOFS_NFS_V3_ARGS_H

#include "dittofs/cursor.h"
#include "dittofs/vfs.h"
#include <stdbool.h>
#include <stdint.h>

enum { NFS3_FHSIZE = 64, NFS3_VERIFIER_SIZE = 8 };

enum nfs3_procedure {
    NFS3_NULL = 0,
    NFS3_GETATTR,
    NFS3_SETATTR,
    NFS3_LOOKUP,
    NFS3_ACCESS,
    NFS3_READLINK,
    NFS3_READ,
    NFS3_WRITE,
    NFS3_CREATE,
    NFS3_MKDIR,
    NFS3_SYMLINK,
    NFS3_MKNOD,
    NFS3_REMOVE,
    NFS3_RMDIR,
    NFS3_RENAME,
    NFS3_LINK,
    NFS3_READDIR,
    NFS3_READDIRPLUS,
    NFS3_FSSTAT,
    NFS3_FSINFO,
    NFS3_PATHCONF,
    NFS3_COMMIT
};

enum nfs3_ftype { NF3REG = 1, NF3DIR, NF3BLK, NF3CHR, NF3LNK, NF3SOCK, NF3FIFO };
enum nfs3_time_how { NFS3_DONT_CHANGE = 0, NFS3_SET_TO_SERVER_TIME, NFS3_SET_TO_CLIENT_TIME };
enum nfs3_stable_how { NFS3_UNSTABLE = 0, NFS3_DATA_SYNC, NFS3_FILE_SYNC };
enum nfs3_createmode { NFS3_UNCHECKED = 0, NFS3_GUARDED, NFS3_EXCLUSIVE };

struct nfs3_fh {
    const uint8_t *data;
    uint32_t length; /* at most NFS3_FHSIZE */
};

struct nfs3_diropargs {
    struct nfs3_fh dir;
    struct store_name name;
};

struct nfs3_time {
    uint32_t seconds, nanoseconds;
};

struct nfs3_sattr {
    bool set_mode, set_uid, set_gid, set_size;
    uint32_t mode, uid, gid;
    uint64_t size;
    enum nfs3_time_how atime_how, mtime_how;
    struct nfs3_time atime, mtime;
};

struct nfs3_setattr_args {
    struct nfs3_fh object;
    struct nfs3_sattr attributes;
    bool has_guard;
    struct nfs3_time guard_ctime;
};

struct nfs3_access_args {
    struct nfs3_fh object;
    uint32_t access;
};

struct nfs3_read_args {
    struct nfs3_fh file;
    uint64_t offset;
    uint32_t count;
};

struct nfs3_write_args {
    struct nfs3_fh file;
    uint64_t offset;
    uint32_t count;
    enum nfs3_stable_how stable;
    const uint8_t *data;
    uint32_t data_length;
};

struct nfs3_create_args {
    struct nfs3_diropargs where;
    enum nfs3_createmode how;
    struct nfs3_sattr attributes;         /* unless EXCLUSIVE */
    uint8_t verifier[NFS3_VERIFIER_SIZE]; /* EXCLUSIVE */
};

struct nfs3_mkdir_args {
    struct nfs3_diropargs where;
    struct nfs3_sattr attributes;
};

struct nfs3_symlink_args {
    struct nfs3_diropargs where;
    struct nfs3_sattr attributes;
    const uint8_t *target;
    uint32_t target_length;
};

struct nfs3_mknod_args {
    struct nfs3_diropargs where;
    uint32_t type; /* any number; only four of enum nfs3_ftype bring attributes */
    struct nfs3_sattr attributes;
    uint32_t device_major, device_minor; /* NF3BLK, NF3CHR */
};

struct nfs3_rename_args {
    struct nfs3_diropargs from, to;
};

struct nfs3_link_args {
    struct nfs3_fh file;
    struct nfs3_diropargs link;
};

struct nfs3_readdir_args {
    struct nfs3_fh dir;
    uint64_t cookie;
    uint8_t verifier[NFS3_VERIFIER_SIZE];
    uint32_t count; /* of READDIRPLUS: dircount */
    uint32_t maxcount;
};

struct nfs3_commit_args {
    struct nfs3_fh file;
    uint64_t offset;
    uint32_t count;
};

/* One member a procedure; those with a lone file handle share HANDLE. */
union nfs3_args {
    struct nfs3_fh handle;
    struct nfs3_diropargs where; /* LOOKUP, REMOVE, RMDIR */
    struct nfs3_setattr_args setattr;
    struct nfs3_access_args access;
    struct nfs3_read_args read;
    struct nfs3_write_args write;
    struct nfs3_create_args create;
    struct nfs3_mkdir_args mkdir;
    struct nfs3_symlink_args symlink;
    struct nfs3_mknod_args mknod;
    struct nfs3_rename_args rename;
    struct nfs3_link_args link;
    struct nfs3_readdir_args readdir;
    struct nfs3_commit_args commit;
};

/* Decodes the arguments of PROCEDURE (enum nfs3_procedure, NFS3_NULL too) and fails on leftovers: all that
 * is done with bytes of a call. */
bool nfs3__decode_call(uint32_t procedure, struct reader *reader, union nfs3_args *args_r) MUST_CHECK;

#endif
