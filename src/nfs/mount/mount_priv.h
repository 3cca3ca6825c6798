/*
 * mount_priv.h - the arguments and the list of the MOUNT protocol (RFC 1813 appendix I, RFC 1094 appendix A).
 */
#ifndef DITTOFS_NFS_MOUNT_PRIV_H
#define DITTOFS_NFS_MOUNT_PRIV_H

#include "dittofs/cursor.h"
#include "dittofs/net.h"
#include "nfs/nfs_server_priv.h"

enum { MOUNT_PATH_MAX = 1024 }; /* MNTPATHLEN */

enum mount_procedure { MOUNT_NULL = 0, MOUNT_MNT, MOUNT_DUMP, MOUNT_UMNT, MOUNT_UMNTALL, MOUNT_EXPORT };

struct mount_args {
    const uint8_t *path; /* MNT, UMNT: a dirpath as it came */
    uint32_t path_length;
};

/* The arguments of PROCEDURE, the same in every version; false when they are not there whole or more is. */
bool mount__decode_call(uint32_t procedure, struct reader *reader, struct mount_args *args_r) MUST_CHECK;

/* ---- who has mounted what: for DUMP only, bounded, forgotten at a restart ---- */

struct mount_entry {
    struct list link;
    struct net_address peer;
    uint32_t path_length;
    uint8_t path[];
};
/* Adds a pair that is not there yet; the oldest goes when the list is full. */
void mount__list_add(struct nfs_server *server, const struct net_address *peer, const uint8_t *path,
                     uint32_t length);
/* Takes PATH of PEER's host off; NULL: all of that host. */
void mount__list_remove(struct nfs_server *server, const struct net_address *peer, const uint8_t *path,
                        uint32_t length);

#endif
