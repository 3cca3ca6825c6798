/*
 * nfs4_server.c - the NFSv4 program and what it keeps between compounds.
 */
#include "nfs/v4/nfs4_server.h"
#include <stdlib.h>
#include <string.h>

enum { FREE_COMPOUNDS_MAX = 256 };

struct nfs4_compound *nfs4__compound_new(struct nfs4_server *server, struct onc_call *call)
{
    struct nfs4_compound *compound = server->free_compounds;

    if (compound != NULL) {
        server->free_compounds = compound->next_free;
        server->free_compound_count--;
        /* operation_state is zeroed before each decode. */
        memset(compound, 0, offsetof(struct nfs4_compound, operation_state));
    } else {
        compound = calloc(1, sizeof *compound);
        if (compound == NULL)
            return NULL;
    }
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

void nfs4__count_operation(const struct nfs4_compound *compound)
{
    compound->server->operations[compound->opnum]++;
}

void nfs4__count_compound(const struct nfs4_compound *compound)
{
    if (compound->status == NFS4_OK)
        compound->server->compounds_done++;
    else
        compound->server->compounds_failed++;
}
