/*
 * nfs4_sequence.c - SEQUENCE (RFC 8881 18.46): the first operation of nearly every compound of NFSv4.1.
 *
 * It finds the session, binds the connection to it if it is not yet (state protection is SP4_NONE, so any
 * may: RFC 8881 2.10.8.3), holds the request against the session's limits and its slot, and renews the lease.
 * A retry is answered with the bytes of the first answer. What it refuses leaves the slot as it was.
 *
 * The slot is busy until nfs4__session_finish, which keeps the reply when the client asked for that. Session
 * and client are held meanwhile, so that either may be destroyed by the compound itself.
 */
#include "nfs/v4/nfs4_callback.h"
#include "nfs/v4/nfs4_operations.h"
#include "nfs/v4/nfs4_server.h"
#include "nfs/v4/nfs4_state.h"
#include "dittofs/hash.h"

/* RFC 8881 18.46.2 */
enum {
    STATUS_CB_PATH_DOWN = 0x1,
    STATUS_ADMIN_STATE_REVOKED = 0x20,
    STATUS_RECALLABLE_STATE_REVOKED = 0x40,
    STATUS_CB_PATH_DOWN_SESSION = 0x200,
    STATUS_BACKCHANNEL_FAULT = 0x400
};

enum {
    CALL_HEADER_LEAST = 40, /* of an RPC call, with the shortest credentials */
    REPLY_HEADER = 24,      /* of an RPC reply */
    SEQUENCE_RESULTS = 64,  /* of a compound with SEQUENCE alone, and an error behind it */
    DIGEST_FRONT = 512,     /* bytes of the request that tell a false retry: these, */
    DIGEST_BACK = 64        /* and these at its end */
};

struct sequence_args {
    const uint8_t *id;
    uint32_t seqid, slot, highest_slot;
    bool cache;
};

bool nfs4__sequence_decode(struct nfs4_compound *compound)
{
    struct sequence_args *args = nfs4_new_args(compound, struct sequence_args);
    struct reader *reader = &compound->arguments;

    return reader_bytes(reader, SESSION_ID_SIZE, &args->id) && reader_be32(reader, &args->seqid) &&
           reader_be32(reader, &args->slot) && reader_be32(reader, &args->highest_slot) &&
           reader_xdr_bool(reader, &args->cache);
}

/* ---- the session's limits ---- */

static uint32_t check_limits(const struct nfs4_compound *compound, const struct nfs4_session *user,
                             const struct sequence_args *args)
{
    uint32_t most = args->cache ? user->reply_cached_max : user->reply_max;

    if (compound->call->arguments.left + CALL_HEADER_LEAST > user->request_max)
        return NFS4ERR_REQ_TOO_BIG;
    if (compound->operation_count > user->operations_max)
        return NFS4ERR_TOO_MANY_OPS;
    if (most < REPLY_HEADER + SEQUENCE_RESULTS + onc_call_reply_length(compound->call))
        return args->cache ? NFS4ERR_REP_TOO_BIG_TO_CACHE : NFS4ERR_REP_TOO_BIG;
    return NFS4_OK;
}

/* ---- the slot ---- */

/* Tells another request with the same seqid from a retry (RFC 8881 2.10.6.1.3.1): by who asks, and the
 * operations behind this one. Of a long request only both ends count. A checksum is enough: who makes two
 * requests look alike misleads nobody but himself. */
static uint64_t digest(const struct nfs4_compound *compound, const struct sequence_args *args)
{
    const struct onc_credential *credential = &compound->call->credential;
    const struct reader *rest = &compound->arguments;
    uint64_t who = (uint64_t)credential->flavor << 32 | credential->uid;
    uint64_t shape = (uint64_t)rest->left << 32 | (uint64_t)compound->operation_count << 1 | args->cache;
    uint32_t sum;

    if (rest->left <= DIGEST_FRONT + DIGEST_BACK) {
        sum = crc32c(0, rest->at, rest->left);
    } else {
        sum = crc32c(0, rest->at, DIGEST_FRONT);
        sum = crc32c(sum, rest->at + rest->left - DIGEST_BACK, DIGEST_BACK);
    }
    return hash_u64(hash_u64(hash_u64(who) ^ shape) ^ sum);
}

/* NFS4_OK: the slot is ours. */
static uint32_t take_slot(struct nfs4_compound *compound, const struct sequence_args *args,
                          struct session *session)
{
    const uint8_t *reply;
    size_t length;

    switch (session_sequence_check(session, args->slot, args->seqid, args->highest_slot,
                                   digest(compound, args), &reply, &length)) {
    case SESSION_SEQUENCE_NEW:
        return NFS4_OK;
    case SESSION_SEQUENCE_REPLAY:
        nfs4__answer_with(compound, reply, length);
        return NFS4_ANSWERED;
    case SESSION_SEQUENCE_UNCACHED:
        return NFS4ERR_RETRY_UNCACHED_REP;
    case SESSION_SEQUENCE_BUSY:
        return NFS4ERR_DELAY;
    case SESSION_SEQUENCE_FALSE_RETRY:
        return NFS4ERR_SEQ_FALSE_RETRY;
    case SESSION_SEQUENCE_MISORDERED:
        return NFS4ERR_SEQ_MISORDERED;
    case SESSION_SEQUENCE_BAD_SLOT:
        return NFS4ERR_BADSLOT;
    case SESSION_SEQUENCE_BAD_HIGH_SLOT:
        break;
    }
    return NFS4ERR_BAD_HIGH_SLOT;
}

/* ---- SEQUENCE ---- */

static uint32_t status_flags(const struct session *session, const struct client *client,
                             const struct nfs4_session *user)
{
    uint32_t flags = 0;

    if (user->has_back && session_back_connection(session) == NULL)
        flags |= STATUS_CB_PATH_DOWN_SESSION;
    if (user->has_back && nfs4__path_is_down(client))
        flags |= STATUS_CB_PATH_DOWN;
    if (user->back_fault)
        flags |= STATUS_BACKCHANNEL_FAULT;
    if (client_revoked_grants(client) > 0)
        flags |= STATUS_RECALLABLE_STATE_REVOKED;
    if (client_revoked_others(client) > 0)
        flags |= STATUS_ADMIN_STATE_REVOKED;
    return flags;
}

static void begin(struct nfs4_compound *compound, const struct sequence_args *args,
                  const struct nfs4_session *user, struct session *session, struct client *client)
{
    struct nfs4_session_state *state = &compound->session_memory;
    uint32_t most = args->cache ? user->reply_cached_max : user->reply_max;

    *state = (struct nfs4_session_state){.session = session_hold(session),
                                         .client = client_hold(client),
                                         .slot = args->slot,
                                         .seqid = args->seqid};
    compound->session = state;
    compound->has_session = true;
    compound->clientid = client_id(client);
    compound->cache_reply = args->cache;
    if (most - REPLY_HEADER < compound->reply_limit)
        compound->reply_limit = most - REPLY_HEADER;
    /* While it is held, it does not expire, and when it is dropped, its lease starts anew. */
    if (client_status(client) == CLIENT_COURTESY)
        nfs4__client_renew(client);
}

uint32_t nfs4__sequence(struct nfs4_compound *compound)
{
    const struct sequence_args *args = nfs4_args(compound, struct sequence_args);
    struct session *session = session_find(compound->server->state, args->id);
    const struct nfs4_session *user;
    struct client *client;
    uint32_t status, highest;
    uint8_t *at;

    if (session == NULL)
        return NFS4ERR_BADSESSION;
    user = session_user(session);
    client = session_client(session);
    if (!nfs4__bind_connection(compound, session, SESSION_FORE))
        return NFS4ERR_CONN_NOT_BOUND_TO_SESSION;
    status = check_limits(compound, user, args);
    if (status == NFS4_OK)
        status = take_slot(compound, args, session);
    if (status != NFS4_OK)
        return status;
    begin(compound, args, user, session, client);
    at = writer_reserve(&compound->call->reply, SESSION_ID_SIZE + 5 * 4);
    if (at == NULL)
        return NFS4ERR_SERVERFAULT;
    highest = session_slot_count(session) - 1;
    memcpy(at, args->id, SESSION_ID_SIZE);
    at = put_be32(at + SESSION_ID_SIZE, args->seqid);
    at = put_be32(at, args->slot);
    at = put_be32(at, highest); /* sr_highest_slotid */
    at = put_be32(at, highest); /* sr_target_highest_slotid */
    put_be32(at, status_flags(session, client, user));
    return NFS4_OK;
}

/* ---- the end of the compound ---- */

void nfs4__session_finish(struct nfs4_compound *compound)
{
    struct nfs4_session_state *state = compound->session;
    const struct writer *reply = &compound->call->reply;
    const uint8_t *results = reply->data + compound->status_at;
    size_t length = reply->length - compound->status_at;
    /* SEQUENCE alone costs nothing to keep, and is what a client tries first. */
    bool keep = compound->cache_reply || compound->operation_count == 1;

    /* Something was attached: then the client did not want it kept. */
    if (reply->failed || onc_call_reply_length(compound->call) != length)
        keep = false;
    (void)session_slot_done(state->session, state->slot, keep ? results : NULL, keep ? length : 0);
    compound->session = NULL;
    session_drop(&state->session);
    client_drop(&state->client);
}
