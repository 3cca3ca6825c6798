/*
 * nfs4_exchange_id.c - who a client of NFSv4.1 is: EXCHANGE_ID, DESTROY_CLIENTID, RECLAIM_COMPLETE (RFC
 * 8881 18.35, 18.50, 18.51).
 *
 * Server owner and scope are made from one number that the store keeps, the same at all addresses and after
 * each restart: so clients may trunk over any of our addresses (RFC 8881 2.10.5).
 */
#include "nfs/v4/nfs4_operations.h"
#include "nfs/v4/nfs4_server.h"
#include "nfs/v4/nfs4_state.h"
#include <string.h>

/* RFC 8881 18.35.1 */
enum { SP4_NONE, SP4_MACH_CRED, SP4_SSV };
#define FLAG_SUPP_MOVED_REFER    UINT32_C(0x00000001)
#define FLAG_SUPP_MOVED_MIGR     UINT32_C(0x00000002)
#define FLAG_BIND_PRINC_STATEID  UINT32_C(0x00000100)
#define FLAG_USE_NON_PNFS        UINT32_C(0x00010000)
#define FLAG_USE_PNFS_MDS        UINT32_C(0x00020000)
#define FLAG_USE_PNFS_DS         UINT32_C(0x00040000)
#define FLAG_UPD_CONFIRMED_REC_A UINT32_C(0x40000000)
#define FLAG_CONFIRMED_R         UINT32_C(0x80000000)

enum { ALGORITHMS_MAX = 64, OID_MAX = 256 };

struct exchange_id_args {
    const uint8_t *verifier;
    const uint8_t *owner;
    uint32_t owner_length;
    uint32_t flags;
    uint32_t protection; /* SP4_ */
};

/* ---- arguments ---- */

/* sec_oid4<> */
static bool skip_oids(struct reader *reader)
{
    const uint8_t *oid;
    uint32_t count, length;

    if (!reader_be32(reader, &count) || count > ALGORITHMS_MAX)
        return false;
    while (count-- > 0)
        if (!reader_xdr_opaque(reader, OID_MAX, &oid, &length))
            return false;
    return true;
}

static bool skip_protection(struct reader *reader, uint32_t protection)
{
    struct nfs4_bitmap bitmap;

    if (protection == SP4_NONE)
        return true;
    if (protection > SP4_SSV || !nfs4__decode_bitmap(reader, &bitmap) ||
        !nfs4__decode_bitmap(reader, &bitmap))
        return false;
    return protection == SP4_MACH_CRED || (skip_oids(reader) && skip_oids(reader) && reader_skip(reader, 8));
}

/* nfs_impl_id4<1> */
static bool skip_implementation(struct reader *reader)
{
    const uint8_t *text;
    uint32_t count, length;

    if (!reader_be32(reader, &count) || count > 1)
        return false;
    return count == 0 ||
           (reader_xdr_opaque(reader, NFS4_OPAQUE_LIMIT, &text, &length) &&
            reader_xdr_opaque(reader, NFS4_OPAQUE_LIMIT, &text, &length) && reader_skip(reader, 12));
}

bool nfs4__exchange_id_decode(struct nfs4_compound *compound)
{
    struct exchange_id_args *args = nfs4_new_args(compound, struct exchange_id_args);
    struct reader *reader = &compound->arguments;

    return reader_bytes(reader, NFS4_VERIFIER_SIZE, &args->verifier) &&
           reader_xdr_opaque(reader, NFS4_OPAQUE_LIMIT, &args->owner, &args->owner_length) &&
           reader_be32(reader, &args->flags) && reader_be32(reader, &args->protection) &&
           skip_protection(reader, args->protection) && skip_implementation(reader);
}

static uint32_t check_args(const struct exchange_id_args *args)
{
    uint32_t known = FLAG_SUPP_MOVED_REFER | FLAG_SUPP_MOVED_MIGR | FLAG_BIND_PRINC_STATEID |
                     FLAG_USE_NON_PNFS | FLAG_USE_PNFS_MDS | FLAG_USE_PNFS_DS | FLAG_UPD_CONFIRMED_REC_A;

    /* The one of RFC 7862 14.1 is for the cluster file systems that fence, and not known here either. */
    if (args->flags & ~known)
        return NFS4ERR_INVAL;
    switch (args->protection) {
    case SP4_NONE:
        return NFS4_OK;
    case SP4_MACH_CRED:
        return NFS4ERR_INVAL; /* needs RPCSEC_GSS with integrity (RFC 8881 18.35.3) */
    default:
        return NFS4ERR_ENCR_ALG_UNSUPP; /* none of SSV's */
    }
}

/* ---- EXCHANGE_ID ---- */

static void encode_result(struct nfs4_compound *compound, const struct client *client)
{
    struct writer *reply = &compound->call->reply;
    const struct nfs4_server *server = compound->server;
    uint32_t flags = FLAG_USE_NON_PNFS;

    if (client_status(client) != CLIENT_UNCONFIRMED)
        flags |= FLAG_CONFIRMED_R;
    writer_be64(reply, client_id(client));
    writer_be32(reply, session_create_next(client));
    writer_be32(reply, flags);
    writer_be32(reply, SP4_NONE);
    writer_be64(reply, 0); /* so_minor_id */
    writer_xdr_opaque(reply, server->identity, strlen(server->identity));
    writer_xdr_opaque(reply, server->identity, strlen(server->identity));
    writer_be32(reply, 0); /* no implementation id: it would only help who looks for holes */
}

static uint32_t record(struct nfs4_compound *compound, struct client_spec *spec)
{
    struct nfs4_client *user = nfs4__client_new();
    struct client *client;
    enum err err;

    if (user == NULL)
        return NFS4ERR_DELAY;
    nfs4__client_seen(compound, user);
    spec->user = user;
    err = client_new(compound->server->state, spec, NULL, &client);
    if (err != ERR_OK) {
        nfs4__client_operations.gone(NULL, user);
        return nfs4__status(compound, err);
    }
    encode_result(compound, client);
    return NFS4_OK;
}

/* RFC 8881 18.35.5 */
static uint32_t exchange(struct nfs4_compound *compound, struct client_spec *spec, bool update)
{
    struct client *confirmed, *unconfirmed;

    switch (client_classify(compound->server->state, spec, update, &confirmed, &unconfirmed)) {
    case CLIENT_CASE_NEW:         /* 1 */
    case CLIENT_CASE_UNCONFIRMED: /* 4 */
    case CLIENT_CASE_RESTART:     /* 5: the old one stays until the new one is confirmed */
        return record(compound, spec);
    case CLIENT_CASE_COLLISION: /* 3 */
        return NFS4ERR_CLID_INUSE;
    case CLIENT_CASE_COLLISION_IDLE: /* 3 */
        if (client_status(confirmed) == CLIENT_CONFIRMED && client_is_busy(confirmed))
            return NFS4ERR_CLID_INUSE;
        client_destroy(confirmed);
        return record(compound, spec);
    case CLIENT_CASE_SAME:   /* 2 */
    case CLIENT_CASE_UPDATE: /* 6: nothing that it could update is kept */
        encode_result(compound, confirmed);
        return NFS4_OK;
    case CLIENT_CASE_UPDATE_NONE: /* 7 */
        return NFS4ERR_NOENT;
    case CLIENT_CASE_UPDATE_VERIFIER: /* 8 */
        return NFS4ERR_NOT_SAME;
    case CLIENT_CASE_UPDATE_PRINCIPAL: /* 9 */
        break;
    }
    return NFS4ERR_PERM;
}

uint32_t nfs4__exchange_id(struct nfs4_compound *compound)
{
    const struct exchange_id_args *args = nfs4_args(compound, struct exchange_id_args);
    uint8_t principal[NFS4_PRINCIPAL_SIZE];
    struct client_spec spec = {.family = NFS4_FAMILY_1,
                               .owner = args->owner,
                               .owner_length = args->owner_length,
                               .principal = principal,
                               .principal_length = sizeof principal,
                               .leased = true,
                               .recoverable = true,
                               .completes = true,
                               .operations = &nfs4__client_operations};
    uint32_t status = check_args(args);

    if (status != NFS4_OK)
        return status;
    nfs4__principal(compound, principal);
    memcpy(spec.verifier, args->verifier, sizeof spec.verifier);
    return exchange(compound, &spec, (args->flags & FLAG_UPD_CONFIRMED_REC_A) != 0);
}

/* ---- DESTROY_CLIENTID ---- */

bool nfs4__destroy_clientid_decode(struct nfs4_compound *compound)
{
    return reader_be64(&compound->arguments, nfs4_new_args(compound, uint64_t));
}

uint32_t nfs4__destroy_clientid(struct nfs4_compound *compound)
{
    struct client *client;

    if (client_by_id(compound->server->state, *nfs4_args(compound, uint64_t), &client) != ERR_OK ||
        client_family(client) != NFS4_FAMILY_1)
        return NFS4ERR_STALE_CLIENTID;
    if (client_is_busy(client))
        return NFS4ERR_CLIENTID_BUSY;
    client_destroy(client);
    return NFS4_OK;
}

/* ---- RECLAIM_COMPLETE ---- */

struct reclaim_complete_args {
    bool one_fs;
};

bool nfs4__reclaim_complete_decode(struct nfs4_compound *compound)
{
    return reader_xdr_bool(&compound->arguments,
                           &nfs4_new_args(compound, struct reclaim_complete_args)->one_fs);
}

uint32_t nfs4__reclaim_complete(struct nfs4_compound *compound)
{
    /* For one file system: after a migration, of which there are none here (RFC 8881 18.51.3). */
    if (nfs4_args(compound, struct reclaim_complete_args)->one_fs)
        return compound->current.place == NFS4_NOWHERE ? NFS4ERR_NOFILEHANDLE : NFS4_OK;
    return grace_complete(compound->session->client) == ERR_OK ? NFS4_OK : NFS4ERR_COMPLETE_ALREADY;
}
