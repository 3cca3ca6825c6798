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
struct nlm;
struct nsm;
struct onc_client;

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

    struct onc_client *outgoing; /* these three: NULL without locking */
    struct nlm *nlm;
    struct nsm *nsm;
};

/* The user that CREDENTIAL names, and the flavour's bit of enum vfs_security; 0 for one that we don't know.
 * The groups stay CREDENTIAL's. */
struct vfs_user nfs__user(const struct onc_credential *credential);
unsigned nfs__security(const struct onc_credential *credential);

/* nfs/v3: fills in SERVER->nfs3; frees the kept requests. */
void nfs3__program_init(struct nfs_server *server);
void nfs3__requests_free(struct nfs_server *server);

/* nfs/v4: a client of version 4 that may be writing INODE in its cache is told to come back with it:
 * ERR_DELAY.
 */
enum err nfs4__settle_attributes(struct nfs_server *server, struct inode *inode) ERR_MUST_CHECK;

/* nfs/mount: fills in SERVER->mount; empties the mount list. */
void mount__programs_init(struct nfs_server *server);
void mount__list_free(struct nfs_server *server);

/* nfs_locking.c: closes NLM and NSM. */
void nfs__locking_close(struct nfs_server *server);

/* An address as a key: IPv4 as ::ffff:a.b.c.d; and back, without a port. */
enum { NFS_ADDRESS_SIZE = 16 };
void nfs__address_bytes(const struct net_address *address, uint8_t bytes[NFS_ADDRESS_SIZE]);
struct net_address nfs__address_of_bytes(const uint8_t bytes[NFS_ADDRESS_SIZE]);
/* ADDRESS without its port. */
struct net_address nfs__host_of(const struct net_address *address);
/* "10.0.0.1", "fd00::1" into TEXT; returns TEXT. */
const char *nfs__host_text(const struct net_address *address, char text[NET_ADDRESS_TEXT]);

#endif
