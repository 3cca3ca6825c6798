/*
 * nfs_server.c - opening and closing the NFS front-ends, and their figures.
 *
 * The server owns the program rows that rpc points to, the pool of requests and the mount list. It is closed
 * after the RPC server has ended every call, so nothing of a request can be alive then: an invariant.
 */
#include "dittofs/nfs.h"

#include "dittofs/log.h"
#include "nfs/nfs_server_priv.h"
#include "nfs/v4/nfs4_server.h"

#include <stdlib.h>

enum { DEFAULT_MOUNTS = 1024, DEFAULT_READ_MIB = 256 };

enum err nfs_server_open(struct vfs *vfs, const struct nfs_limits *limits, struct nfs_server **server_r)
{
    struct nfs_server *server = calloc(1, sizeof *server);

    if (server == NULL)
        return ERR_NOMEM;
    server->vfs = vfs;
    if (limits != NULL)
        server->limits = *limits;
    if (server->limits.mounts == 0)
        server->limits.mounts = DEFAULT_MOUNTS;
    if (server->limits.read_bytes == 0)
        server->limits.read_bytes = (uint64_t)DEFAULT_READ_MIB << 20;
    list_init(&server->mounts);
    nfs3__program_init(server);
    mount__programs_init(server);
    *server_r = server;
    return ERR_OK;
}

void nfs_server_close(struct nfs_server **server)
{
    struct nfs_server *given = *server;

    *server = NULL;
    if (given == NULL)
        return;
    invariant(given->counters.nfs3_calls_now == 0);
    nfs4__server_close(&given->nfs4);
    nfs__locking_close(given);
    nfs3__requests_free(given);
    mount__list_free(given);
    free(given);
}

enum err nfs_server_add_nfs3(struct nfs_server *server, struct onc_service *service)
{
    return onc_service_add_program(service, &server->nfs3);
}

enum err nfs_server_add_nfs4(struct nfs_server *server, struct onc_service *service, struct state *state,
                             const struct nfs4_options *options)
{
    enum err err;

    invariant(server->nfs4 == NULL);
    err = nfs4__server_open(server, state, options, &server->nfs4);
    return err != ERR_OK ? err : onc_service_add_program(service, &server->nfs4->program);
}

enum err nfs_server_add_mount(struct nfs_server *server, struct onc_service *service)
{
    for (int i = 0; i < NFS_MOUNT_VERSIONS; i++) {
        enum err err = onc_service_add_program(service, &server->mount[i]);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

void nfs_server_counters(const struct nfs_server *server, struct nfs_counters *counters_r)
{
    *counters_r = server->counters;
}

struct vfs_user nfs__user(const struct onc_credential *credential)
{
    return (struct vfs_user){
        .uid = credential->uid,
        .gid = credential->gid,
        .group_count = credential->group_count,
        .groups = credential->groups,
    };
}

unsigned nfs__security(const struct onc_credential *credential)
{
    switch (credential->flavor) {
    case ONC_AUTH_NONE:
        return VFS_SEC_NONE;
    case ONC_AUTH_SYS:
        return VFS_SEC_SYS;
    default:
        return 0;
    }
}
