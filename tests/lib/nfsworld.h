/*
 * nfsworld.h - a whole NFS server within a test: simulated disk, store, vfs, state, rpc and the NFS
 * front-ends on a loop that turns while a client waits, so that test and server take turns on one thread.
 *
 * Everything fails the test by itself (cmocka), so nothing here returns an error.
 */
#ifndef DITTOFS_TESTS_NFSWORLD_H
#define DITTOFS_TESTS_NFSWORLD_H

#include "dittofs/disk.h"
#include "dittofs/nfs.h"
#include "dittofs/state.h"
#include "nfs3client.h"

enum { NFSWORLD_EXPORTS_MAX = 16 };

struct nfsworld_options {
    struct nfs_limits nfs;
    struct store_options store;
    struct state_options state;
    struct nfs4_options nfs4;           /* without the server id */
    struct nfs_locking_options locking; /* without state and records, which are the world's */
};

struct nfsworld {
    struct disk *disk; /* simdisk; stays over a restart */
    struct loop *loop;
    struct store *store;
    struct vfs *vfs;
    struct state *state; /* what it records stays over a restart */
    struct onc_server *rpc;
    struct nfs_server *nfs;
    uint16_t port; /* NFS over TCP, MOUNT over TCP and UDP; stays over a restart */
    struct nfsworld_options options;
    struct vfs_export_config exports[NFSWORLD_EXPORTS_MAX];
    size_t export_count;
    bool done; /* of a shutdown */
};

/* Starts a server with COUNT exports. OPTIONS may be NULL. */
struct nfsworld *nfsworld_open(const struct vfs_export_config *exports, size_t count,
                               const struct nfsworld_options *options);
/* Ends it in good order; no request, inode or buffer may be left. Close the clients first. */
void nfsworld_close(struct nfsworld **world);
/* The same for one whose disk has failed: what is in the store is dropped as by a crash. */
void nfsworld_abandon(struct nfsworld **world);
/* Ends it and starts another one on the same disk, with the same exports and port. */
void nfsworld_restart(struct nfsworld *world);
/* The power goes, with all that was not synced, and comes back: SEED says what of it is left. */
void nfsworld_crash(struct nfsworld *world, uint64_t seed);
/* Turns the loop COUNT times. */
void nfsworld_turn(struct nfsworld *world, int count);
/* The simulated clock (which the test has installed) goes on by MS, in steps of at most a second, and the
 * server does what is due then. */
void nfsworld_advance(struct nfsworld *world, uint64_t ms);
/* Replaces the exports as a reload does. */
void nfsworld_set_exports(struct nfsworld *world, const struct vfs_export_config *exports, size_t count);

/* An export that everybody may use: read-write, sync, no squash, AUTH_SYS, root directory 0777. */
struct vfs_export_config nfsworld_export(const char *name);

/* A connection with AUTH_SYS as UID and GID. */
struct rpcclient *nfsworld_client(struct nfsworld *world, uint32_t uid, uint32_t gid);
struct rpcclient *nfsworld_udp_client(struct nfsworld *world);
/* The handle of PATH by MOUNT. */
struct nfs3_handle nfsworld_mount(struct rpcclient *client, const char *path);

#endif
