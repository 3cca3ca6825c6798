/*
 * nfs4_session.c - sessions of NFSv4.1: CREATE_SESSION, DESTROY_SESSION, BIND_CONN_TO_SESSION,
 * BACKCHANNEL_CTL (RFC 8881 18.36, 18.37, 18.34, 18.33).
 *
 * CREATE_SESSION confirms the client, and is done once for each of the client's sequence ids: a retry gets
 * the same results, which the state room keeps. What it refuses leaves the sequence where it was.
 *
 * A connection that carries a session is watched: when it goes, it goes from all its sessions.
 */
#include "nfs/v4/nfs4_operations.h"
#include "nfs/v4/nfs4_server.h"
#include "nfs/v4/nfs4_state.h"
#include <stdlib.h>
#include <string.h>

/* RFC 8881 18.36.1, 18.34.1 */
enum { FLAG_PERSIST = 1, FLAG_CONN_BACK_CHAN = 2, FLAG_CONN_RDMA = 4 };
enum { CDFC_FORE = 1, CDFC_BACK = 2, CDFC_FORE_OR_BOTH = 3, CDFC_BACK_OR_BOTH = 7 };

enum {
    SLOTS_MAX = 128,
    REPLY_CACHED_MAX = 2048,
    REQUEST_MAX = NFS4_IO_MAX + 65536,
    /* Below these no useful compound fits (RFC 8881 18.36.3: TOOSMALL). */
    REQUEST_LEAST = 128,
    REPLY_LEAST = 128,
    BACK_REQUEST_LEAST = 512,
    BACK_REPLY_LEAST = 256,
    BACK_OPERATIONS_LEAST = 2,
    BACK_SLOTS_MAX = 16,
    BACK_SIZE_MAX = 4096,
    BACK_OPERATIONS_MAX = 16,
    SECURITY_MAX = 16 /* entries of callback_sec_parms4<> that we look at */
};

/* channel_attrs4 */
struct channel {
    uint32_t header_pad, request_max, reply_max, reply_cached_max, operations_max, requests_max;
};

struct create_session_args {
    uint64_t clientid;
    uint32_t sequence, flags;
    struct channel fore, back;
    struct nfs4_session session; /* callback program and security */
};

/* ---- arguments ---- */

static bool decode_channel(struct reader *reader, struct channel *channel)
{
    uint32_t rdma;

    if (!reader_be32(reader, &channel->header_pad) || !reader_be32(reader, &channel->request_max) ||
        !reader_be32(reader, &channel->reply_max) || !reader_be32(reader, &channel->reply_cached_max) ||
        !reader_be32(reader, &channel->operations_max) || !reader_be32(reader, &channel->requests_max) ||
        !reader_be32(reader, &rdma) || rdma > 1)
        return false;
    return rdma == 0 || reader_skip(reader, 4);
}

/* authsys_parms */
static bool decode_sys(struct reader *reader, struct nfs4_session *session, bool take)
{
    const uint8_t *machine;
    uint32_t stamp, length, uid, gid, count;

    if (!reader_be32(reader, &stamp) || !reader_xdr_opaque(reader, ONC_MACHINE_NAME_MAX, &machine, &length) ||
        !reader_be32(reader, &uid) || !reader_be32(reader, &gid) || !reader_be32(reader, &count) ||
        count > ONC_GROUPS_MAX || !reader_skip(reader, (size_t)count * 4))
        return false;
    if (!take)
        return true;
    session->callback_flavor = ONC_AUTH_SYS;
    session->callback_uid = uid;
    session->callback_gid = gid;
    memcpy(session->callback_machine, machine, length);
    session->callback_machine[length] = '\0';
    return true;
}

static bool skip_gss(struct reader *reader)
{
    const uint8_t *handle;
    uint32_t service, length;

    return reader_be32(reader, &service) && reader_xdr_opaque(reader, NFS4_OPAQUE_LIMIT, &handle, &length) &&
           reader_xdr_opaque(reader, NFS4_OPAQUE_LIMIT, &handle, &length);
}

bool nfs4__decode_callback_security(struct reader *reader, struct nfs4_session *session)
{
    bool taken = false;
    uint32_t count, flavor;

    session->callback_flavor = ONC_AUTH_NONE;
    if (!reader_be32(reader, &count) || count > SECURITY_MAX)
        return false;
    while (count-- > 0) {
        if (!reader_be32(reader, &flavor))
            return false;
        if (flavor == ONC_RPCSEC_GSS) {
            if (!skip_gss(reader))
                return false;
            continue;
        }
        if (flavor != ONC_AUTH_NONE && flavor != ONC_AUTH_SYS)
            return false;
        if (flavor == ONC_AUTH_SYS && !decode_sys(reader, session, !taken))
            return false;
        taken = true;
    }
    return true;
}

bool nfs4__create_session_decode(struct nfs4_compound *compound)
{
    struct create_session_args *args = nfs4_new_args(compound, struct create_session_args);
    struct reader *reader = &compound->arguments;

    return reader_be64(reader, &args->clientid) && reader_be32(reader, &args->sequence) &&
           reader_be32(reader, &args->flags) && decode_channel(reader, &args->fore) &&
           decode_channel(reader, &args->back) && reader_be32(reader, &args->session.callback_program) &&
           nfs4__decode_callback_security(reader, &args->session);
}

/* ---- connections ---- */

struct nfs4_connection {
    struct onc_conn_watch watch;
    struct hashlink link;
    struct nfs4_server *server;
    struct onc_conn *conn;
    uint64_t clientid; /* 4.0: the client that spoke last; 0: none */
};

static void connection_gone(struct onc_conn_watch *watch)
{
    struct nfs4_connection *connection = container_of(watch, struct nfs4_connection, watch);
    struct nfs4_server *server = connection->server;

    session_connection_gone(server->state, connection->conn);
    onc_conn_watch_remove(watch);
    hashtable_remove(&server->connections, &connection->link);
    free(connection);
}

static struct nfs4_connection *find_connection(const struct nfs4_server *server, const struct onc_conn *conn)
{
    struct hashlink *link = hashtable_find(&server->connections, hash_u64(onc_conn_id(conn)));

    for (; link != NULL; link = hashtable_find_next(link))
        if (container_of(link, struct nfs4_connection, link)->conn == conn)
            return container_of(link, struct nfs4_connection, link);
    return NULL;
}

/* NULL when memory is out. */
static struct nfs4_connection *watch(struct nfs4_server *server, struct onc_conn *conn)
{
    struct nfs4_connection *connection = find_connection(server, conn);

    if (connection != NULL)
        return connection;
    connection = calloc(1, sizeof *connection);
    if (connection == NULL)
        return NULL;
    if (!hashtable_insert(&server->connections, &connection->link, hash_u64(onc_conn_id(conn)))) {
        free(connection);
        return NULL;
    }
    connection->server = server;
    connection->conn = conn;
    connection->watch.gone = connection_gone;
    onc_conn_watch_add(conn, &connection->watch);
    return connection;
}

void nfs4__connections_forget(struct nfs4_server *server)
{
    invariant(server->connections.count == 0);
    hashtable_free(&server->connections);
}

bool nfs4__bind_connection(struct nfs4_compound *compound, struct session *session, unsigned directions)
{
    struct onc_conn *conn = onc_call_conn(compound->call);

    /* It went while its request waited to be run: nobody will read the answer. */
    if (conn == NULL)
        return true;
    if ((session_directions(session, conn) & directions) == directions)
        return true;
    if (watch(compound->server, conn) == NULL || session_attach(session, conn, directions) != ERR_OK)
        return false;
    nfs4__client_seen(compound, client_user(session_client(session)));
    return true;
}

/* The client has another connection for calls: what became of the last one says nothing of it. */
static void set_path_unknown(struct client *client)
{
    ((struct nfs4_client *)client_user(client))->path = NFS4_PATH_UNKNOWN;
}

void nfs4__connection_set_client(struct nfs4_compound *compound, uint64_t clientid)
{
    struct onc_conn *conn = onc_call_conn(compound->call);
    struct nfs4_connection *connection = conn == NULL ? NULL : watch(compound->server, conn);

    if (connection != NULL)
        connection->clientid = clientid;
}

uint64_t nfs4__connection_client(const struct nfs4_compound *compound)
{
    const struct onc_conn *conn = onc_call_conn(compound->call);
    const struct nfs4_connection *connection = conn == NULL ? NULL : find_connection(compound->server, conn);

    return connection == NULL ? 0 : connection->clientid;
}

/* ---- CREATE_SESSION ---- */

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Brings what the client wants down to what it gets. */
static uint32_t negotiate(struct create_session_args *args)
{
    struct channel *fore = &args->fore, *back = &args->back;

    if (args->flags & ~(uint32_t)(FLAG_PERSIST | FLAG_CONN_BACK_CHAN | FLAG_CONN_RDMA))
        return NFS4ERR_INVAL;
    if (fore->request_max < REQUEST_LEAST || fore->reply_max < REPLY_LEAST || fore->operations_max == 0 ||
        back->request_max < BACK_REQUEST_LEAST || back->reply_max < BACK_REPLY_LEAST ||
        back->operations_max < BACK_OPERATIONS_LEAST)
        return NFS4ERR_TOOSMALL;
    fore->header_pad = back->header_pad = 0;
    fore->request_max = least(fore->request_max, REQUEST_MAX);
    fore->reply_max = least(fore->reply_max, NFS4_REPLY_MAX);
    fore->reply_cached_max = least(fore->reply_cached_max, least(fore->reply_max, REPLY_CACHED_MAX));
    fore->operations_max = least(fore->operations_max, NFS4_OPERATIONS_MAX);
    fore->requests_max = least(fore->requests_max, SLOTS_MAX);
    if (fore->requests_max == 0)
        fore->requests_max = 1;
    back->request_max = least(back->request_max, BACK_SIZE_MAX);
    back->reply_max = least(back->reply_max, BACK_SIZE_MAX);
    back->reply_cached_max = least(back->reply_cached_max, back->reply_max);
    back->operations_max = least(back->operations_max, BACK_OPERATIONS_MAX);
    back->requests_max = least(back->requests_max, BACK_SLOTS_MAX);
    /* Neither a reply cache that outlives us nor RDMA. */
    args->flags &= FLAG_CONN_BACK_CHAN;
    if (back->requests_max == 0)
        args->flags = 0;
    return NFS4_OK;
}

static void session_gone(struct session *session, void *user)
{
    (void)session;
    free(user);
}

static struct nfs4_session *session_user_new(const struct create_session_args *args, uint32_t minor)
{
    struct nfs4_session *user = malloc(sizeof *user);

    if (user == NULL)
        return NULL;
    *user = args->session;
    user->minor = minor;
    user->request_max = args->fore.request_max;
    user->reply_max = args->fore.reply_max;
    user->reply_cached_max = args->fore.reply_cached_max;
    user->operations_max = args->fore.operations_max;
    user->back_request_max = args->back.request_max;
    user->back_reply_max = args->back.reply_max;
    user->back_operations_max = args->back.operations_max;
    user->has_back = (args->flags & FLAG_CONN_BACK_CHAN) != 0;
    return user;
}

static enum err make_session(struct nfs4_compound *compound, struct client *client,
                             struct create_session_args *args, struct session **session_r)
{
    struct session_spec spec = {.slots = args->fore.requests_max,
                                .cached_reply_max = args->fore.reply_cached_max,
                                .back_slots = args->back.requests_max,
                                .gone = session_gone};
    enum err err;

    spec.user = session_user_new(args, compound->minor);
    if (spec.user == NULL)
        return ERR_NOMEM;
    err = session_new(client, &spec, session_r);
    if (err != ERR_OK) {
        free(spec.user);
        return err;
    }
    args->fore.requests_max = session_slot_count(*session_r);
    if (!nfs4__bind_connection(compound, *session_r,
                               SESSION_FORE | (args->flags & FLAG_CONN_BACK_CHAN ? SESSION_BACK : 0u))) {
        session_destroy(*session_r);
        return ERR_LIMIT;
    }
    return ERR_OK;
}

static void encode_channel(struct writer *reply, const struct channel *channel)
{
    writer_be32(reply, channel->header_pad);
    writer_be32(reply, channel->request_max);
    writer_be32(reply, channel->reply_max);
    writer_be32(reply, channel->reply_cached_max);
    writer_be32(reply, channel->operations_max);
    writer_be32(reply, channel->requests_max);
    writer_be32(reply, 0); /* ca_rdma_ird */
}

static void encode_session(struct nfs4_compound *compound, const struct create_session_args *args,
                           const struct session *session)
{
    struct writer *reply = &compound->call->reply;

    writer_bytes(reply, session_id(session), SESSION_ID_SIZE);
    writer_be32(reply, args->sequence);
    writer_be32(reply, args->flags);
    encode_channel(reply, &args->fore);
    encode_channel(reply, &args->back);
}

/* The sequence says that it is to be done. */
static uint32_t create_session(struct nfs4_compound *compound, struct create_session_args *args,
                               struct client *client)
{
    const struct writer *reply = &compound->call->reply;
    size_t results_at = compound->result_at + 4;
    struct session *session;
    enum err err;

    client = client_confirm(client);
    err = make_session(compound, client, args, &session);
    if (err != ERR_OK) {
        session_create_done(client, false, NULL, 0);
        return nfs4__status(compound, err);
    }
    if (args->flags & FLAG_CONN_BACK_CHAN)
        set_path_unknown(client);
    encode_session(compound, args, session);
    session_create_done(client, true, reply->data + results_at, reply->length - results_at);
    return NFS4_OK;
}

static uint32_t find_client(struct nfs4_compound *compound, uint64_t id, struct client **client_r)
{
    uint8_t principal[NFS4_PRINCIPAL_SIZE];

    if (client_by_id(compound->server->state, id, client_r) != ERR_OK ||
        client_family(*client_r) != NFS4_FAMILY_1)
        return NFS4ERR_STALE_CLIENTID;
    /* Only who made the record may confirm it (RFC 8881 18.36.4). */
    nfs4__principal(compound, principal);
    if (client_status(*client_r) == CLIENT_UNCONFIRMED &&
        !client_is_principal(*client_r, principal, sizeof principal))
        return NFS4ERR_CLID_INUSE;
    return NFS4_OK;
}

uint32_t nfs4__create_session(struct nfs4_compound *compound)
{
    struct create_session_args *args = nfs4_args(compound, struct create_session_args);
    struct client *client;
    const uint8_t *kept;
    size_t length;
    uint32_t status = find_client(compound, args->clientid, &client);

    if (status == NFS4_OK)
        status = negotiate(args);
    if (status != NFS4_OK)
        return status;
    /* Whatever else a retry says, the sequence id tells that it is one (RFC 8881 18.36.4). */
    switch (session_create_check(client, args->sequence, 0, &kept, &length)) {
    case SESSION_SEQUENCE_NEW:
        return create_session(compound, args, client);
    case SESSION_SEQUENCE_REPLAY:
        writer_bytes(&compound->call->reply, kept, length);
        return NFS4_OK;
    case SESSION_SEQUENCE_UNCACHED:
    case SESSION_SEQUENCE_BUSY:
        return NFS4ERR_DELAY;
    case SESSION_SEQUENCE_FALSE_RETRY:
    case SESSION_SEQUENCE_MISORDERED:
    case SESSION_SEQUENCE_BAD_SLOT:
    case SESSION_SEQUENCE_BAD_HIGH_SLOT:
        break;
    }
    return NFS4ERR_SEQ_MISORDERED;
}

/* ---- DESTROY_SESSION ---- */

struct session_id_args {
    const uint8_t *id;
    uint32_t direction;
    bool rdma;
};

bool nfs4__destroy_session_decode(struct nfs4_compound *compound)
{
    return reader_bytes(&compound->arguments, SESSION_ID_SIZE,
                        &nfs4_new_args(compound, struct session_id_args)->id);
}

uint32_t nfs4__destroy_session(struct nfs4_compound *compound)
{
    struct session *session =
        session_find(compound->server->state, nfs4_args(compound, struct session_id_args)->id);

    if (session == NULL)
        return NFS4ERR_BADSESSION;
    /* RFC 8881 18.37.3: the session of the compound itself goes with its last operation. */
    if (compound->has_session && session == compound->session->session &&
        compound->operation_index + 1 != compound->operation_count)
        return NFS4ERR_NOT_ONLY_OP;
    session_destroy(session);
    return NFS4_OK;
}

/* ---- BIND_CONN_TO_SESSION ---- */

bool nfs4__bind_conn_to_session_decode(struct nfs4_compound *compound)
{
    struct session_id_args *args = nfs4_new_args(compound, struct session_id_args);
    struct reader *reader = &compound->arguments;

    return reader_bytes(reader, SESSION_ID_SIZE, &args->id) && reader_be32(reader, &args->direction) &&
           reader_xdr_bool(reader, &args->rdma);
}

uint32_t nfs4__bind_conn_to_session(struct nfs4_compound *compound)
{
    const struct session_id_args *args = nfs4_args(compound, struct session_id_args);
    struct writer *reply = &compound->call->reply;
    struct session *session = session_find(compound->server->state, args->id);
    unsigned directions;

    if (session == NULL)
        return NFS4ERR_BADSESSION;
    switch (args->direction) {
    case CDFC_FORE:
        directions = SESSION_FORE;
        break;
    case CDFC_BACK:
        directions = SESSION_BACK;
        break;
    case CDFC_FORE_OR_BOTH:
    case CDFC_BACK_OR_BOTH:
        directions = SESSION_FORE | SESSION_BACK;
        break;
    default:
        return NFS4ERR_INVAL;
    }
    if (!nfs4__bind_connection(compound, session, directions))
        return NFS4ERR_DELAY;
    if (directions & SESSION_BACK) {
        ((struct nfs4_session *)session_user(session))->has_back = true;
        set_path_unknown(session_client(session));
    }
    writer_bytes(reply, args->id, SESSION_ID_SIZE);
    writer_be32(reply, directions); /* CDFS4_FORE, _BACK, _BOTH have the same values */
    writer_xdr_bool(reply, false);
    return NFS4_OK;
}

/* ---- BACKCHANNEL_CTL ---- */

bool nfs4__backchannel_ctl_decode(struct nfs4_compound *compound)
{
    struct nfs4_session *wanted = nfs4_new_args(compound, struct nfs4_session);

    return reader_be32(&compound->arguments, &wanted->callback_program) &&
           nfs4__decode_callback_security(&compound->arguments, wanted);
}

uint32_t nfs4__backchannel_ctl(struct nfs4_compound *compound)
{
    const struct nfs4_session *wanted = nfs4_args(compound, struct nfs4_session);
    struct nfs4_session *user = session_user(compound->session->session);

    /* An operation before this one has destroyed it. */
    if (user == NULL || !session_is_alive(compound->session->session))
        return NFS4ERR_BADSESSION;
    user->callback_program = wanted->callback_program;
    user->callback_flavor = wanted->callback_flavor;
    user->callback_uid = wanted->callback_uid;
    user->callback_gid = wanted->callback_gid;
    memcpy(user->callback_machine, wanted->callback_machine, sizeof user->callback_machine);
    return NFS4_OK;
}
