/*
 * services_priv.h - what answers on the network: the RPC server, the NFS front-ends on their ports, and the
 * entries in the port mapper.
 */
#ifndef DITTOFS_DAEMON_SERVICES_H
#define DITTOFS_DAEMON_SERVICES_H

#include "daemon/config_priv.h"
#include "dittofs/loop.h"
#include "dittofs/nfs.h"

struct services {
    struct onc_server *onc;
    struct nfs_server *nfs;
    struct onc_portmap *portmap;
    uint16_t nfs_port, mountd_port, nlm_port, statd_port; /* the real ones; 0: off */
};

/* Opens what CONFIG turns on; SERVICES is zeroed before. STATE is what clients hold; NFS4 what those of
 * NFSv4 are told of us; LOCKING has what NLM and NSM keep. When it fails, the log says why, and
 * services_shutdown and services_close end what was opened. */
enum err services_open(struct services *services, struct loop *loop, struct vfs *vfs, struct state *state,
                       const struct nfs4_options *nfs4, const struct nfs_locking_options *locking,
                       const struct config *config) ERR_MUST_CHECK;
/* Takes no more calls and waits for those in flight: DONE is called then, also when nothing was open. */
void services_shutdown(struct services *services, void (*done)(void *data), void *data);
/* After DONE, not inside it. */
void services_close(struct services *services);

/* "nfs 2049, mountd 20048, nlm 4045, statd 4046" into TEXT, without those that are off; returns TEXT. */
const char *services_describe(const struct services *services, char *text, size_t size);

#endif
