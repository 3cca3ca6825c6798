/*
 * nfs4_acl.h - access control lists as NFSv4 has them on the wire: nfsace4<> with names of users, groups and
 * the special ones (RFC 7530 6.2, RFC 8881 6.2).
 */
#ifndef DITTOFS_NFS4_ACL_H
#define DITTOFS_NFS4_ACL_H

#include "dittofs/acl.h"
#include "dittofs/arena.h"
#include "dittofs/cursor.h"
#include "nfs/v4/nfs4_idmap.h"

/* aclsupport: entries that allow and that deny. */
enum { NFS4_ACL_SUPPORT = 3 };

/* What it is that is decoded or encoded. */
enum nfs4_acl_kind {
    NFS4_ACL,   /* the attribute acl of 4.0 */
    NFS4_ACL_1, /* of 4.1 and later, which knows the mark of what is inherited, and leaves it away */
    NFS4_DACL   /* dacl: the marks, and flags of the whole list in front */
};

/* IDMAP NULL: users and groups by their numbers. */
void nfs4__acl_encode(struct writer *writer, enum nfs4_acl_kind kind, const struct acl *acl,
                      struct nfs4_idmap *idmap);

/* ACL has SIDs of domains. They can be users of this server's, which is not known here, so they are good only
 * where they were nobody's before: in BEFORE. */
bool nfs4__acl_has_domains(const struct acl *acl);
bool nfs4__acl_domains_are_in(const struct acl *acl, const struct acl *before);

/* False: can't be decoded (BADXDR). Else *STATUS_R, which says what is wrong with the list, and, when that is
 * NFS4_OK, *ACL_R, which lives as long as ARENA and what READER reads. IDMAP may be NULL. */
bool nfs4__acl_decode(struct reader *reader, enum nfs4_acl_kind kind, struct nfs4_idmap *idmap,
                      struct arena *arena, struct acl *acl_r, uint32_t *status_r) MUST_CHECK;

/* Passes over one; false: it is not well-formed. */
bool nfs4__acl_skip(struct reader *reader, enum nfs4_acl_kind kind) MUST_CHECK;

#endif
