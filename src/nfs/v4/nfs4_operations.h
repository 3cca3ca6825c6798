/*
 * nfs4_operations.h - the operations' functions, by file, for the table in nfs4_table.c; and what some of
 * them lend to others.
 */
#ifndef DITTOFS_NFS4_OPERATIONS_H
#define DITTOFS_NFS4_OPERATIONS_H

#include "nfs/v4/nfs4_priv.h"

#define NFS4_OPERATION(name)                                                                                 \
    bool nfs4__##name##_decode(struct nfs4_compound *compound);                                              \
    uint32_t nfs4__##name(struct nfs4_compound *compound)
#define NFS4_OPERATION_VOID(name) uint32_t nfs4__##name(struct nfs4_compound *compound)

/* nfs4_filehandle.c */
NFS4_OPERATION(putfh);
NFS4_OPERATION_VOID(putrootfh);
NFS4_OPERATION_VOID(getfh);
NFS4_OPERATION_VOID(savefh);
NFS4_OPERATION_VOID(restorefh);
NFS4_OPERATION(lookup);
NFS4_OPERATION_VOID(lookupp);
/* The object NAME of DIR, with a reference. */
uint32_t nfs4__lookup_name(struct nfs4_compound *compound, const struct nfs4_filehandle *dir,
                           struct store_name name, struct nfs4_filehandle *fh_r);
uint32_t nfs4__export_root(struct nfs4_compound *compound, struct vfs_export *export,
                           struct nfs4_filehandle *fh_r);
/* NFS4_OK for a directory, else NFS4ERR_NOTDIR or NFS4ERR_SYMLINK. */
uint32_t nfs4__check_directory(const struct nfs4_filehandle *fh);

/* nfs4_getattr.c */
NFS4_OPERATION(getattr);
NFS4_OPERATION(verify);
NFS4_OPERATION(nverify);
NFS4_OPERATION(access);
NFS4_OPERATION(setattr);

/* nfs4_names.c */
NFS4_OPERATION(create);
NFS4_OPERATION(link);
NFS4_OPERATION(remove);
NFS4_OPERATION(rename);
NFS4_OPERATION_VOID(readlink);

/* nfs4_readdir.c */
NFS4_OPERATION(readdir);

/* nfs4_secinfo.c */
NFS4_OPERATION(secinfo);
NFS4_OPERATION(secinfo_no_name);

/* nfs4_openattr.c */
NFS4_OPERATION(openattr);
struct nfs4_setattr;
/* OPEN's new named attribute NAME in the current directory of them. */
uint32_t nfs4__named_make(struct nfs4_compound *compound, struct store_name name, bool exclusive,
                          const struct nfs4_setattr *set, struct inode **inode_r);
/* Lists the current directory of named attributes behind COOKIE as vfs_readdir does. */
enum err nfs4__named_list(struct nfs4_compound *compound, uint64_t cookie,
                          bool (*each)(void *data, const struct vfs_dirent *entry), void *data, bool *end_r);

/* nfs4_io.c */
NFS4_OPERATION(read);
NFS4_OPERATION(write);
NFS4_OPERATION(commit);
NFS4_OPERATION(read_plus);
/* NFS4_OK when the current filehandle is a regular file's, else what READ and WRITE say then. */
uint32_t nfs4__check_file(const struct nfs4_compound *compound);

/* nfs4_space.c */
NFS4_OPERATION(allocate);
NFS4_OPERATION(deallocate);
NFS4_OPERATION(seek);
NFS4_OPERATION(clone);
NFS4_OPERATION(io_advise);
/* CLONE and COPY: both files are of one export, the saved one readable, the current one writable. */
uint32_t nfs4__prepare_copy(struct nfs4_compound *compound, const struct nfs4_stateid *source_stateid,
                            const struct nfs4_stateid *target_stateid, enum vfs_io_right *source_r,
                            enum vfs_io_right *target_r);

/* nfs4_copy.c */
NFS4_OPERATION(copy);

/* nfs4_xattr.c */
NFS4_OPERATION(getxattr);
NFS4_OPERATION(setxattr);
NFS4_OPERATION(listxattrs);
NFS4_OPERATION(removexattr);

/* nfs4_open.c, nfs4_open_owner.c */
NFS4_OPERATION(open);
NFS4_OPERATION(open_confirm);
NFS4_OPERATION(open_downgrade);
NFS4_OPERATION(close);

/* nfs4_delegation.c, nfs4_delegation_want.c */
NFS4_OPERATION(delegreturn);
NFS4_OPERATION(want_delegation);
NFS4_OPERATION(get_dir_delegation);

/* nfs4_lock.c */
NFS4_OPERATION(lock);
NFS4_OPERATION(lockt);
NFS4_OPERATION(locku);
NFS4_OPERATION(release_lockowner);

/* nfs4_clientid.c: 4.0 */
NFS4_OPERATION(setclientid);
NFS4_OPERATION(setclientid_confirm);
NFS4_OPERATION(renew);

/* nfs4_exchange_id.c, nfs4_session.c, nfs4_sequence.c: 4.1 */
NFS4_OPERATION(exchange_id);
NFS4_OPERATION(create_session);
NFS4_OPERATION(destroy_session);
NFS4_OPERATION(destroy_clientid);
NFS4_OPERATION(bind_conn_to_session);
NFS4_OPERATION(backchannel_ctl);
NFS4_OPERATION(sequence);
NFS4_OPERATION(reclaim_complete);

/* nfs4_stateid.c */
NFS4_OPERATION(free_stateid);
NFS4_OPERATION(test_stateid);

#undef NFS4_OPERATION
#undef NFS4_OPERATION_VOID

#endif
