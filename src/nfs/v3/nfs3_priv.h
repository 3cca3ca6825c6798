/*
 * nfs3_priv.h - a call of NFS version 3 from its decoding to its reply, and the encoders that its
 * procedures share.
 *
 * A procedure (nfs3_OPERATION.c) is run with decoded arguments. It opens the handles, calls vfs, writes the
 * results and ends the request by exactly one of nfs3__reply, nfs3__reply_durable, nfs3__fail; an open that
 * fails has ended it already. Inodes in OBJECT, OTHER and RESULT are given back at the end.
 */
#ifndef DITTOFS_NFS_V3_PRIV_H
#define DITTOFS_NFS_V3_PRIV_H

#include "dittofs/rpc.h"
#include "dittofs/vfs.h"
#include "nfs/nfs_server_priv.h"
#include "nfs/v3/nfs3_args.h"
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum {
    NFS3_IO_MAX = 1024 * 1024,   /* bytes of a READ or WRITE */
    NFS3_DIR_MAX = 128 * 1024,   /* bytes of results of READDIR and READDIRPLUS */
    NFS3_DIR_PREFERRED = 65536,  /* dtpref */
    NFS3_IO_MULTIPLE = 4096,     /* rtmult, wtmult */
    NFS3_FATTR_SIZE = 84,        /* fattr3 as XDR */
    NFS3_POST_OP_ATTR_SIZE = 88, /* with attributes */
    NFS3_POST_OP_FH_SIZE = 8 + VFS_HANDLE_SIZE,
};

/* What of an object's attributes was there before the operation (wcc_attr, RFC 1813 2.6). */
struct nfs3_before {
    bool known;
    uint64_t size;
    struct timestamp mtime, ctime;
};

/* What stands behind a status that is not NFS3_OK. */
enum nfs3_failure {
    NFS3_FAIL_VOID,     /* nothing */
    NFS3_FAIL_ATTR,     /* post_op_attr of OBJECT */
    NFS3_FAIL_WCC,      /* wcc_data of OBJECT */
    NFS3_FAIL_WCC_WCC,  /* wcc_data of OBJECT and of OTHER (RENAME) */
    NFS3_FAIL_ATTR_WCC, /* post_op_attr of OBJECT, wcc_data of OTHER (LINK) */
};

struct nfs3_request {
    struct nfs_server *server;
    struct onc_call *call;
    enum nfs3_procedure procedure;
    enum nfs3_failure failure;
    struct vfs_context context;
    uint32_t export_id;   /* of OBJECT; still good when a reload has taken context.export away */
    struct inode *object; /* the first handle's */
    struct inode *other;  /* the second handle's (RENAME: to, LINK: dir) */
    struct inode *result; /* found or made */
    struct nfs3_before before, other_before;
    struct buf *buf;          /* READ: what was read */
    uint64_t reserved;        /* READ: taken from server->limits.read_bytes */
    struct vfs_read read;     /* READ, while it waits */
    struct vfs_write write;   /* WRITE, while it waits */
    struct store_waiter wait; /* for durability */
    union nfs3_args args;
    struct nfs3_request *next_free;
};

/* nfs3_OPERATION.c: one for each procedure but NULL. */
void nfs3__getattr(struct nfs3_request *request);
void nfs3__setattr(struct nfs3_request *request);
void nfs3__lookup(struct nfs3_request *request);
void nfs3__access(struct nfs3_request *request);
void nfs3__readlink(struct nfs3_request *request);
void nfs3__read(struct nfs3_request *request);
void nfs3__write(struct nfs3_request *request);
void nfs3__create(struct nfs3_request *request);
void nfs3__mkdir(struct nfs3_request *request);
void nfs3__symlink(struct nfs3_request *request);
void nfs3__mknod(struct nfs3_request *request);
void nfs3__remove(struct nfs3_request *request);
void nfs3__rmdir(struct nfs3_request *request);
void nfs3__rename(struct nfs3_request *request);
void nfs3__link(struct nfs3_request *request);
void nfs3__readdir(struct nfs3_request *request);
void nfs3__readdirplus(struct nfs3_request *request);
void nfs3__fsstat(struct nfs3_request *request);
void nfs3__fsinfo(struct nfs3_request *request);
void nfs3__pathconf(struct nfs3_request *request);
void nfs3__commit(struct nfs3_request *request);

/* nfs3_request.c */

struct nfs3_request *nfs3__request_new(struct nfs_server *server, struct onc_call *call,
                                       enum nfs3_procedure procedure, enum nfs3_failure failure);
/* Gives back what it holds. The call must have been ended. */
void nfs3__request_end(struct nfs3_request *request);

/* Finds the handle's object and checks that the caller may use its export; OBJECT goes with the context of
 * the request. False: the request is answered. */
bool nfs3__open_object(struct nfs3_request *request, const struct nfs3_fh *fh) MUST_CHECK;
/* The second handle of RENAME and LINK: must be of the same export. */
bool nfs3__open_other(struct nfs3_request *request, const struct nfs3_fh *fh) MUST_CHECK;

/* Takes down what wcc_data says of INODE before the operation. */
void nfs3__before(struct inode *inode, struct nfs3_before *before_r);

/* Sends the results. */
void nfs3__reply(struct nfs3_request *request);
/* Sends the results when all in the context's ticket is durable; a failure of that replaces them. */
void nfs3__reply_durable(struct nfs3_request *request);
/* Replaces the results by ERR's status and what the procedure has behind it. */
void nfs3__fail(struct nfs3_request *request, enum err err);

/* nfs3_encode.c */

/* Each fills bytes at AT, which has room, and returns the place behind them. */
uint8_t *nfs3__put_fattr(uint8_t *at, uint32_t export_id, const struct inode_attr *attr);
/* post_op_attr with attributes: NFS3_POST_OP_ATTR_SIZE bytes. */
uint8_t *nfs3__put_post_op_attr(uint8_t *at, uint32_t export_id, struct inode *inode);
/* post_op_fh3 with a handle: NFS3_POST_OP_FH_SIZE bytes. */
uint8_t *nfs3__put_post_op_fh(uint8_t *at, const struct nfs3_request *request, const struct inode *inode);

/* post_op_attr and wcc_data of INODE into the reply; of NULL: that there are none. */
void nfs3__write_post_op_attr(struct nfs3_request *request, struct inode *inode);
void nfs3__write_wcc(struct nfs3_request *request, const struct nfs3_before *before, struct inode *inode);

/* The other direction: ERR_INVAL when a time has a billion nanoseconds. */
enum err nfs3__setattr_of(const struct nfs3_sattr *sattr, struct vfs_setattr *set_r) ERR_MUST_CHECK;
struct timestamp nfs3__timestamp_of(struct nfs3_time time);

/* "." or ".."? These can't be made, removed or renamed. */
static inline bool nfs3__is_dot(struct store_name name)
{
    return name.length == 1 && name.bytes[0] == '.';
}
static inline bool nfs3__is_dotdot(struct store_name name)
{
    return name.length == 2 && name.bytes[0] == '.' && name.bytes[1] == '.';
}

#endif
