/*
 * nfs4_server.h - what the NFSv4 front-end keeps between compounds.
 */
#ifndef DITTOFS_NFS4_SERVER_H
#define DITTOFS_NFS4_SERVER_H

#include "dittofs/vfs.h"
#include "nfs/v4/nfs4_priv.h"
#include <stdint.h>

struct state;

struct nfs4_server {
    struct nfs_server *nfs;
    struct vfs *vfs;
    struct state *state;
    struct loop *loop;
    struct timestamp started; /* times of the pseudo root */
    uint32_t lease_s;
    char id_domain[256];      /* of owner@domain strings; empty: numeric only */
    uint64_t read_bytes_most; /* of buffers that READs in flight wait with */
    uint64_t read_bytes_now;
    struct list compounds; /* under way */
    struct nfs4_compound *free_compounds;
    uint32_t free_compound_count;
    uint64_t operations[OP_COUNT]; /* run, by number */
    uint64_t compounds_done, compounds_failed;
};

/* A compound for CALL, zeroed, from those kept for reuse; NULL when memory is out. */
struct nfs4_compound *nfs4__compound_new(struct nfs4_server *server, struct onc_call *call);
void nfs4__compound_free(struct nfs4_compound *compound);
void nfs4__count_operation(const struct nfs4_compound *compound);
void nfs4__count_compound(const struct nfs4_compound *compound);

#endif
