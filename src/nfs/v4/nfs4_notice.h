/*
 * nfs4_notice.h - what the holder of a directory's delegation is told instead of losing it (RFC 8881 10.9,
 * 18.39, 20.4).
 */
#ifndef DITTOFS_NFS4_NOTICE_H
#define DITTOFS_NFS4_NOTICE_H

#include "nfs/v4/nfs4_delegation.h"

/* notify_type4 */
enum nfs4_notify {
    NOTIFY_CHANGE_CHILD_ATTRS,
    NOTIFY_CHANGE_DIR_ATTRS,
    NOTIFY_REMOVE_ENTRY,
    NOTIFY_ADD_ENTRY,
    NOTIFY_RENAME_ENTRY,
    NOTIFY_CHANGE_COOKIE_VERIFIER,
    NOTIFY_TYPES
};

struct nfs4_notice_wish {
    struct nfs4_bitmap types, child_attributes, dir_attributes;
    uint64_t child_delay_ms, dir_delay_ms; /* at least so long from a change of attributes on */
};
/* The parts of WISH that we do; nothing more is looked at afterwards. */
void nfs4__notice_reduce(struct nfs4_notice_wish *wish);

/* For a delegation of the directory INODE that is to be made: NULL when memory is out. */
struct nfs4_notice *nfs4__notice_new(struct nfs4_server *server, struct inode *inode,
                                     const struct nfs4_notice_wish *wish);
/* The operations (1u << enum grant_operation) that need not break it. */
unsigned nfs4__notice_operations(const struct nfs4_notice *notice);
/* DELEGATION is there: changes are told from now on. */
void nfs4__notice_begin(struct nfs4_notice *notice, struct nfs4_delegation *delegation);
/* It is being recalled: nothing more is told. NULL is fine. */
void nfs4__notice_stop(struct nfs4_notice *notice);
/* NULL is fine; leaves NULL. */
void nfs4__notice_free(struct nfs4_notice **notice);

#endif
