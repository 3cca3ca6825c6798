/*
 * nfs4_server.h - what the NFSv4 front-end keeps between compounds.
 */
#ifndef DITTOFS_NFS4_SERVER_H
#define DITTOFS_NFS4_SERVER_H

#include "dittofs/hash.h"
#include "dittofs/hashtable.h"
#include "dittofs/log.h"
#include "dittofs/vfs.h"
#include "nfs/v4/nfs4_priv.h"
#include <stdint.h>

struct onc_client;
struct state;

enum { NFS4_IDENTITY_MAX = 63 };

enum { NFS4_PROCEDURES = 2 };

/* Files whose delegations were recalled lately, each at the place that its hash says. */
enum { NFS4_RECALLED = 1024 };
struct nfs4_recalled {
    uint64_t file; /* a hash of its handle */
    uint64_t since_ms;
};

struct nfs4_server {
    struct onc_program program;
    struct onc_procedure procedures[NFS4_PROCEDURES];
    struct nfs_server *nfs;
    struct vfs *vfs;
    struct state *state;
    struct loop *loop;
    struct timestamp started; /* times of the pseudo root */
    uint32_t lease_s;
    char identity[NFS4_IDENTITY_MAX + 1]; /* 4.1: server owner and scope */
    struct hashtable connections;         /* that carry sessions (nfs4_session.c) */
    struct hashtable blocked;             /* struct nfs4_blocked (nfs4_lock_wait.c) */
    struct list waiting, reserved;
    struct loop_timer blocked_timer;
    struct nfs4_idmap *idmap; /* names of owners */
    bool delegations;         /* may be given */
    struct list delegated;    /* struct nfs4_delegation */
    uint32_t notices;         /* of them, that are told of changes (nfs4_notice.c) */
    struct vfs_listener notice_listener;
    struct nfs4_recalled recalled[NFS4_RECALLED];
    struct list callbacks;       /* struct nfs4_callback, under way */
    struct onc_client *outgoing; /* for those of 4.0 */
    uint64_t path_generation;
    uint64_t read_bytes_most; /* of buffers that READs in flight wait with */
    uint64_t read_bytes_now;
    struct list compounds; /* under way */
    struct nfs4_compound *free_compounds;
    uint32_t free_compound_count;
    uint64_t operations[OP_COUNT]; /* run, by number */
    uint64_t compounds_done, compounds_failed;
};

struct nfs4_options;
enum err nfs4__server_open(struct nfs_server *nfs, struct state *state, const struct nfs4_options *options,
                           struct nfs4_server **server_r) ERR_MUST_CHECK;
/* No compound may be under way, nor a connection be open. NULL is fine. */
void nfs4__server_close(struct nfs4_server **server);

/* A compound for CALL, from those kept for reuse; NULL when memory is out. */
struct nfs4_compound *nfs4__compound_new(struct nfs4_server *server, struct onc_call *call);
void nfs4__compound_free(struct nfs4_compound *compound);
void nfs4__count_compound(const struct nfs4_compound *compound);
/* nfs4_session.c: none must be left. */
void nfs4__connections_forget(struct nfs4_server *server);

#endif
