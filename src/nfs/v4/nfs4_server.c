/*
 * nfs4_server.c - the NFSv4 program and what it keeps between compounds.
 */
#include "nfs/v4/nfs4_server.h"
#include "nfs/v4/nfs4_delegation.h"
#include "nfs/v4/nfs4_lock_wait.h"
#include "dittofs/clock.h"
#include "dittofs/rpc_client.h"
#include "dittofs/state.h"
#include <stdlib.h>
#include <string.h>

enum {
    PROGRAM = 100003, /* RFC 7531 */
    VERSION = 4,
    ARGUMENTS_MAX = NFS4_IO_MAX + 65536,
    REPLY_FIRST = 2048, /* room for a reply at its beginning: most compounds as a whole */
    FREE_COMPOUNDS_MAX = 256
};

/* ---- the program ---- */

static void null_procedure(struct onc_call *call)
{
    onc_call_reply(call);
}

/* Slots tell retries of 4.1 and later; those of 4.0 are known by the RPC layer's cache alone, where no
 * owner's sequence is in the compound. */
static bool may_cache(const struct onc_call *call)
{
    struct reader reader = call->arguments;
    const uint8_t *tag;
    uint32_t length, minor;

    return reader_xdr_opaque(&reader, NFS4_TAG_MAX, &tag, &length) && reader_be32(&reader, &minor) &&
           minor == 0;
}

static void program_init(struct nfs4_server *server)
{
    server->procedures[0] = (struct onc_procedure){.name = "NULL", .run = null_procedure};
    server->procedures[1] = (struct onc_procedure){.name = "COMPOUND",
                                                   .run = nfs4__compound,
                                                   .flags = ONC_CACHED,
                                                   .reply_max = REPLY_FIRST,
                                                   .may_cache = may_cache};
    server->program = (struct onc_program){
        .name = "nfs",
        .number = PROGRAM,
        .version = VERSION,
        .procedures = server->procedures,
        .procedure_count = NFS4_PROCEDURES,
        .arguments_max = ARGUMENTS_MAX,
        .data = server,
    };
}

/* ---- open and close ---- */

static void identity_init(struct nfs4_server *server, const uint8_t id[NFS4_SERVER_ID_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    static const char prefix[] = "dittofs-";
    char *to = server->identity;

    _Static_assert(sizeof prefix + 2 * NFS4_SERVER_ID_SIZE <= sizeof server->identity, "it fits");
    memcpy(to, prefix, sizeof prefix - 1);
    to += sizeof prefix - 1;
    for (int i = 0; i < NFS4_SERVER_ID_SIZE; i++) {
        *to++ = digits[id[i] >> 4];
        *to++ = digits[id[i] & 15];
    }
}

enum err nfs4__server_open(struct nfs_server *nfs, struct state *state, const struct nfs4_options *options,
                           struct nfs4_server **server_r)
{
    struct nfs4_server *server;
    enum err err;

    server = calloc(1, sizeof *server);
    if (server == NULL)
        return ERR_NOMEM;
    err = nfs4__idmap_open(vfs_loop(nfs->vfs), options->id_domain, options->names, &server->idmap);
    if (err == ERR_OK)
        err = onc_client_open(vfs_loop(nfs->vfs), NULL, &server->outgoing);
    if (err != ERR_OK) {
        nfs4__idmap_close(&server->idmap);
        free(server);
        return err;
    }
    server->nfs = nfs;
    server->vfs = nfs->vfs;
    server->state = state;
    server->loop = vfs_loop(nfs->vfs);
    server->started = clock_wall();
    server->lease_s = (uint32_t)(state_options(state)->lease_ms / 1000);
    server->read_bytes_most = nfs->limits.read_bytes;
    identity_init(server, options->server_id);
    hashtable_init(&server->connections);
    hashtable_init(&server->blocked);
    list_init(&server->waiting);
    list_init(&server->reserved);
    server->delegations = options->delegations;
    list_init(&server->callbacks);
    list_init(&server->delegated);
    list_init(&server->compounds);
    program_init(server);
    *server_r = server;
    return ERR_OK;
}

void nfs4__server_close(struct nfs4_server **server)
{
    struct nfs4_server *given = *server;

    *server = NULL;
    if (given == NULL)
        return;
    invariant(list_is_empty(&given->compounds));
    nfs4__idmap_close(&given->idmap);
    nfs4__blocked_close(given);
    nfs4__delegations_close(given);
    nfs4__callbacks_close(given);
    nfs4__connections_forget(given);
    while (given->free_compounds != NULL) {
        struct nfs4_compound *compound = given->free_compounds;

        given->free_compounds = compound->next_free;
        free(compound);
    }
    onc_client_close(&given->outgoing);
    free(given);
}

/* ---- compounds ---- */

struct nfs4_compound *nfs4__compound_new(struct nfs4_server *server, struct onc_call *call)
{
    struct nfs4_compound *compound = server->free_compounds;

    if (compound != NULL) {
        server->free_compounds = compound->next_free;
        server->free_compound_count--;
    } else {
        compound = malloc(sizeof *compound);
        if (compound == NULL)
            return NULL;
    }
    memset(&compound->operation_index, 0,
           offsetof(struct nfs4_compound, minor) - offsetof(struct nfs4_compound, operation_index));
    compound->context.export = NULL;
    compound->server = server;
    compound->call = call;
    compound->arguments = call->arguments;
    list_push_back(&server->compounds, &compound->link);
    return compound;
}

void nfs4__compound_free(struct nfs4_compound *compound)
{
    struct nfs4_server *server = compound->server;

    list_remove(&compound->link);
    if (server->free_compound_count >= FREE_COMPOUNDS_MAX) {
        free(compound);
        return;
    }
    compound->next_free = server->free_compounds;
    server->free_compounds = compound;
    server->free_compound_count++;
}

void nfs4__count_compound(const struct nfs4_compound *compound)
{
    if (compound->status == NFS4_OK)
        compound->server->compounds_done++;
    else
        compound->server->compounds_failed++;
}
