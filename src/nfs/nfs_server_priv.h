/*
 * nfs_server_priv.h - what the NFS front-ends keep between calls.
 */
#ifndef DITTOFS_NFS_SERVER_PRIV_H
#define DITTOFS_NFS_SERVER_PRIV_H

#include "dittofs/list.h"
#include "dittofs/nfs.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nfs3_request;
struct nfs4_server;

enum { NFS_MOUNT_VERSIONS = 3 };

struct nfs_server {
    struct vfs *vfs;
    struct nfs_limits limits; /* defaults filled in */
    struct nfs_counters counters;

    struct onc_program nfs3;
    struct onc_procedure nfs3_procedures[NFS3_PROCEDURES];
    struct nfs3_request *free_requests; /* finished ones, kept for reuse */
    uint32_t free_request_count;
    uint64_t read_bytes_now; /* of limits.read_bytes */

    struct nfs4_server *nfs4; /* NULL until it is added */

    struct onc_program mount[NFS_MOUNT_VERSIONS];
    struct list mounts; /* struct mount_entry, oldest first */
};

/* The user that CREDENTIAL names, and the flavour's bit of enum vfs_security; 0 for one that we don't know.
 * The groups stay CREDENTIAL's. */
struct vfs_user nfs__user(const struct onc_credential *credential);
unsigned nfs__security(const struct onc_credential *credential);

/* nfs/v3: fills in SERVER->nfs3; frees the kept requests. */
void nfs3__program_init(struct nfs_server *server);
void nfs3__requests_free(struct nfs_server *server);

/* nfs/mount: fills in SERVER->mount; empties the mount list. */
void mount__programs_init(struct nfs_server *server);
void mount__list_free(struct nfs_server *server);

#endif
