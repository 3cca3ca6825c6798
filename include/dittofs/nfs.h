/*
 * nfs.h - the NFS front-ends: MOUNT versions 1 to 3, NFS version 3 (RFC 1813) and NFS version 4 (RFC 7530,
 * 8881, 7862) over rpc, vfs and state.
 *
 * All calls are on the loop thread. A front-end keeps nothing that a client relies on: file handles,
 * cookies and verifiers come from vfs and survive a restart; what clients of NFSv4 hold is in state; the list
 * of mounts is for `showmount` only.
 */
#ifndef DITTOFS_NFS_H
#define DITTOFS_NFS_H

#include "dittofs/err.h"
#include "dittofs/rpc.h"
#include "dittofs/vfs.h"
#include <stdint.h>

struct nfs_server;
struct recovery_store;
struct state;

struct nfs_limits {
    uint32_t mounts; /* entries of the mount list; the oldest goes when it is full; 0: 1024 */
    uint64_t
        read_bytes; /* of buffers that READs in flight wait with; more are answered JUKEBOX; 0: 256 MiB */
};

/* VFS stays the caller's. LIMITS may be NULL. */
enum err nfs_server_open(struct vfs *vfs, const struct nfs_limits *limits,
                         struct nfs_server **server_r) ERR_MUST_CHECK;
/* Only when no call can come or is in flight any more: after the DONE of onc_server_shutdown. */
void nfs_server_close(struct nfs_server **server);

/* Registers NFS version 3 on SERVICE. The server must outlive the service. */
enum err nfs_server_add_nfs3(struct nfs_server *server, struct onc_service *service) ERR_MUST_CHECK;
/* Where names of users and groups come from. Called on workers; may take its time. ERR_OK, ERR_NOENT (there
 * is no such), or another: it can't be said now. */
enum { NFS4_NAME_MAX = 256 }; /* with the zero byte */
struct nfs4_names {
    enum err (*name_of)(void *data, bool is_group, uint32_t id, char name_r[NFS4_NAME_MAX]);
    enum err (*id_of)(void *data, bool is_group, const char *name, uint32_t *id_r);
    void *data;
};
/* What the configuration says of NFS version 4. */
enum { NFS4_SERVER_ID_SIZE = 16 };
struct nfs4_options {
    const char *id_domain;          /* of name@domain strings; NULL: owners are sent as numbers */
    const struct nfs4_names *names; /* NULL: there are none */
    uint8_t
        server_id[NFS4_SERVER_ID_SIZE]; /* the same after every restart: clients know us by it (trunking) */
    bool delegations; /* may be given; false: only what clients reclaim, and that is asked back at once */
};
/* Registers NFS version 4 (minor versions 0, 1 and 2) on SERVICE. STATE must outlive the server; the time of
 * leases is its. */
enum err nfs_server_add_nfs4(struct nfs_server *server, struct onc_service *service, struct state *state,
                             const struct nfs4_options *options) ERR_MUST_CHECK;
/* Registers MOUNT versions 1, 2 and 3 on SERVICE; it may be the same one. */
enum err nfs_server_add_mount(struct nfs_server *server, struct onc_service *service) ERR_MUST_CHECK;

/* ---- locks of NFS version 3: NLM versions 1, 3 and 4, and NSM version 1 ---- */

/* A 0 takes the default. */
struct nfs_locking_options {
    struct state *state; /* holds the locks; must outlive the server */
    /* Our NSM's state number, and who is to be told of our restart; copied. NULL: nothing survives one. */
    const struct recovery_store *records;
    uint16_t portmap_port;   /* of clients: 111 */
    uint64_t grant_retry_ms; /* a granted lock's client that does not answer is called again: 1000, then twice
                                as long each time, at most 30000 */
    uint64_t host_idle_ms;   /* a host that holds nothing is forgotten: 600000 */
    uint64_t notify_retry_ms;   /* of SM_NOTIFY: 2000, then twice as long, at most 60000 */
    uint64_t notify_give_up_ms; /* 900000 */
};
/* Before the two below. The loop's next turns tell the hosts that held locks before of our restart: by then
 * the services have to answer. */
enum err nfs_server_open_locking(struct nfs_server *server,
                                 const struct nfs_locking_options *options) ERR_MUST_CHECK;
enum err nfs_server_add_nlm(struct nfs_server *server, struct onc_service *service) ERR_MUST_CHECK;
enum err nfs_server_add_nsm(struct nfs_server *server, struct onc_service *service) ERR_MUST_CHECK;

enum { NFS3_PROCEDURES = 22, MOUNT_PROCEDURES = 6 };

struct nfs_counters {
    uint64_t nfs3_calls[NFS3_PROCEDURES];    /* by procedure, with those answered an error */
    uint64_t nfs3_failures[NFS3_PROCEDURES]; /* answered with a status other than NFS3_OK */
    uint64_t nfs3_calls_now;                 /* decoded and not yet answered */
    uint64_t bytes_read, bytes_written;
    uint64_t mounts_now;
};
void nfs_server_counters(const struct nfs_server *server, struct nfs_counters *counters_r);
/* The procedure's name ("GETATTR"), for metrics. */
const char *nfs3_procedure_name(uint32_t procedure);

#endif
