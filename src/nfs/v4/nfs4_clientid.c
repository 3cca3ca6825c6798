/*
 * nfs4_clientid.c - who a client of NFSv4.0 is: SETCLIENTID, SETCLIENTID_CONFIRM, RENEW (RFC
 * 7530 16.33, 16.34, 16.28).
 *
 * RFC 7530 tells records { v, x, c, k, s } apart: verifier, id string, client id, callback, confirm value.
 * They are the records of client.h, at most one confirmed and one unconfirmed of each x.
 */
#include "nfs/v4/nfs4_callback.h"
#include "nfs/v4/nfs4_operations.h"
#include "nfs/v4/nfs4_server.h"
#include "nfs/v4/nfs4_state.h"
#include "dittofs/grant.h"
#include <string.h>

struct setclientid_args {
    const uint8_t *verifier;
    const uint8_t *id;
    uint32_t id_length;
    uint32_t program, ident;
    const uint8_t *netid, *address;
    uint32_t netid_length, address_length;
};

bool nfs4__setclientid_decode(struct nfs4_compound *compound)
{
    struct setclientid_args *args = nfs4_new_args(compound, struct setclientid_args);
    struct reader *reader = &compound->arguments;

    return reader_bytes(reader, NFS4_VERIFIER_SIZE, &args->verifier) &&
           reader_xdr_opaque(reader, NFS4_OPAQUE_LIMIT, &args->id, &args->id_length) &&
           reader_be32(reader, &args->program) &&
           reader_xdr_opaque(reader, UINT32_MAX, &args->netid, &args->netid_length) &&
           reader_xdr_opaque(reader, UINT32_MAX, &args->address, &args->address_length) &&
           reader_be32(reader, &args->ident);
}

/* An address that does not fit is none that could be called: then there are no callbacks. */
static void copy_text(char *to, size_t size, const uint8_t *text, uint32_t length)
{
    if (length < size && memchr(text, 0, length) == NULL)
        memcpy(to, text, length);
}

static struct nfs4_client *client_of_args(const struct nfs4_compound *compound,
                                          const struct setclientid_args *args)
{
    struct nfs4_client *user = nfs4__client_new();

    if (user == NULL)
        return NULL;
    user->callback_program = args->program;
    user->callback_ident = args->ident;
    copy_text(user->netid, sizeof user->netid, args->netid, args->netid_length);
    copy_text(user->address, sizeof user->address, args->address, args->address_length);
    nfs4__path_init(compound, user);
    return user;
}

/* The other principal's client is told by its address (RFC 7530 16.33.3). */
static uint32_t in_use(struct nfs4_compound *compound, const struct client *holder)
{
    const struct nfs4_client *user = client_user(holder);

    writer_xdr_opaque(&compound->call->reply, user->netid, strlen(user->netid));
    writer_xdr_opaque(&compound->call->reply, user->address, strlen(user->address));
    return NFS4ERR_CLID_INUSE;
}

static void spec_init(struct client_spec *spec, const struct setclientid_args *args,
                      const uint8_t principal[NFS4_PRINCIPAL_SIZE])
{
    *spec = (struct client_spec){.family = NFS4_FAMILY_0,
                                 .owner = args->id,
                                 .owner_length = args->id_length,
                                 .principal = principal,
                                 .principal_length = NFS4_PRINCIPAL_SIZE,
                                 .leased = true,
                                 .recoverable = true,
                                 .operations = &nfs4__client_operations};
    memcpy(spec->verifier, args->verifier, sizeof spec->verifier);
}

/* Makes the unconfirmed record. UPDATE_OF: a callback update, which keeps the client id. */
static uint32_t record(struct nfs4_compound *compound, struct client_spec *spec,
                       const struct setclientid_args *args, struct client *update_of)
{
    struct client *client;
    struct nfs4_client *user = client_of_args(compound, args);
    enum err err;

    if (user == NULL)
        return NFS4ERR_DELAY;
    spec->user = user;
    err = client_new(compound->server->state, spec, update_of, &client);
    if (err != ERR_OK) {
        nfs4__client_operations.gone(NULL, user);
        return nfs4__status(compound, err);
    }
    writer_be64(&compound->call->reply, client_id(client));
    writer_be64(&compound->call->reply, client_confirm_value(client));
    return NFS4_OK;
}

uint32_t nfs4__setclientid(struct nfs4_compound *compound)
{
    const struct setclientid_args *args = nfs4_args(compound, struct setclientid_args);
    uint8_t principal[NFS4_PRINCIPAL_SIZE];
    struct client *confirmed, *unconfirmed;
    struct client_spec spec;

    nfs4__principal(compound, principal);
    spec_init(&spec, args, principal);
    switch (client_classify(compound->server->state, &spec, false, &confirmed, &unconfirmed)) {
    case CLIENT_CASE_COLLISION:
        return in_use(compound, confirmed);
    case CLIENT_CASE_SAME:
        return record(compound, &spec, args, confirmed);
    case CLIENT_CASE_NEW:
    case CLIENT_CASE_UNCONFIRMED:
    case CLIENT_CASE_RESTART:
    case CLIENT_CASE_COLLISION_IDLE:
    case CLIENT_CASE_UPDATE:
    case CLIENT_CASE_UPDATE_NONE:
    case CLIENT_CASE_UPDATE_VERIFIER:
    case CLIENT_CASE_UPDATE_PRINCIPAL:
        break;
    }
    return record(compound, &spec, args, NULL);
}

/* ---- SETCLIENTID_CONFIRM ---- */

struct confirm_args {
    uint64_t clientid, verifier;
};

bool nfs4__setclientid_confirm_decode(struct nfs4_compound *compound)
{
    struct confirm_args *args = nfs4_new_args(compound, struct confirm_args);

    return reader_be64(&compound->arguments, &args->clientid) &&
           reader_be64(&compound->arguments, &args->verifier);
}

/* Another principal's live client of the same name would be thrown out by confirming CLIENT. */
static bool would_throw_out(struct nfs4_compound *compound, const struct client *client,
                            const uint8_t principal[NFS4_PRINCIPAL_SIZE])
{
    size_t length;
    const uint8_t *name = client_owner(client, &length);
    const struct client *there = client_find_confirmed(compound->server->state, NFS4_FAMILY_0, name, length);

    return there != NULL && client_status(there) == CLIENT_CONFIRMED && client_has_state(there) &&
           !client_is_principal(there, principal, NFS4_PRINCIPAL_SIZE);
}

uint32_t nfs4__setclientid_confirm(struct nfs4_compound *compound)
{
    const struct confirm_args *args = nfs4_args(compound, struct confirm_args);
    struct state *state = compound->server->state;
    struct client *unconfirmed = client_unconfirmed_by_id(state, args->clientid);
    uint8_t principal[NFS4_PRINCIPAL_SIZE];
    struct client *client;

    nfs4__principal(compound, principal);
    if (client_by_id(state, args->clientid, &client) != ERR_OK || client_family(client) != NFS4_FAMILY_0)
        return NFS4ERR_STALE_CLIENTID;
    if (!client_is_principal(client, principal, sizeof principal) ||
        (unconfirmed != NULL && !client_is_principal(unconfirmed, principal, sizeof principal)))
        return NFS4ERR_CLID_INUSE;
    if (unconfirmed != NULL && client_confirm_value(unconfirmed) == args->verifier) {
        if (would_throw_out(compound, unconfirmed, principal))
            return NFS4ERR_CLID_INUSE;
        client = client_confirm(unconfirmed);
        nfs4__client_used(compound, client);
        nfs4__path_test(compound->server, client);
        return NFS4_OK;
    }
    /* A retry. */
    if (client_status(client) != CLIENT_UNCONFIRMED && client_confirm_value(client) == args->verifier)
        return NFS4_OK;
    return NFS4ERR_STALE_CLIENTID;
}

/* ---- RENEW ---- */

bool nfs4__renew_decode(struct nfs4_compound *compound)
{
    return reader_be64(&compound->arguments, nfs4_new_args(compound, uint64_t));
}

uint32_t nfs4__renew(struct nfs4_compound *compound)
{
    struct client *client;
    uint32_t status = nfs4__client_of_id(compound, *nfs4_args(compound, uint64_t), &client);

    if (status != NFS4_OK || grant_next_of_client(client, NULL) == NULL || !nfs4__path_is_down(client))
        return status;
    /* Its lease is renewed all the same; it would not hear of recalls (RFC 7530 16.28.4). */
    nfs4__path_test(compound->server, client);
    return NFS4ERR_CB_PATH_DOWN;
}
