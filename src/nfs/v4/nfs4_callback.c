/*
 * nfs4_callback.c - calls to a client: of NFSv4.1 over the back channel (RFC 8881 2.10.3.1, 20.9), of NFSv4.0
 * over a connection of our own (RFC 7530 15.1).
 *
 * The happy path of 4.1: a session of the client that has a connection for it lends a slot; CB_COMPOUND with
 * CB_SEQUENCE and one operation goes out; the client's answer gives the slot back and tells its status. A
 * call is alive until its answer, its time-out or the end of its connection, also when nobody waits for it
 * any more: a slot's sequence id may be used for another call only when the client has answered this one.
 *
 * In 4.0 CB_COMPOUND with the client's callback_ident and the operation alone goes to its address; the rpc
 * room connects when it must.
 */
#include "nfs/v4/nfs4_callback.h"
#include "nfs/v4/nfs4_server.h"
#include "dittofs/log.h"
#include "dittofs/rpc_client.h"
#include <stdlib.h>
#include <string.h>

enum {
    VERSION = 1, /* RFC 5662 says so, whatever RFC 8881 18.36.3 does */
    CB_COMPOUND = 1,
    ARGUMENTS_MAX = 4096,
    TAG_MAX = 1024,
    SEQUENCE_RESULTS = 32, /* behind CB_SEQUENCE's status */
    PATIENCE_MOST_MS = 10000
};

struct nfs4_callback {
    struct list link; /* in server->callbacks */
    struct nfs4_server *server;
    struct onc_callback back;      /* 4.1 */
    struct onc_client_call call;   /* 4.0 */
    struct session *session;       /* 4.1: held */
    uint64_t clientid, generation; /* whose path it tells of */
    uint32_t slot, opnum;
    /* NULL: nobody waits */
    void (*done)(void *data, enum err err, uint32_t status, struct reader *results);
    void *data;
};

uint64_t nfs4__callback_patience_ms(const struct nfs4_server *server)
{
    uint64_t quarter_ms = state_options(server->state)->lease_ms / 4;

    return quarter_ms < PATIENCE_MOST_MS ? quarter_ms : PATIENCE_MOST_MS;
}

/* ---- the answer ---- */

static bool decode_sequence(struct reader *reader, struct nfs4_callback_reply *reply)
{
    uint32_t opnum;

    if (!reader_be32(reader, &opnum) || opnum != OP_CB_SEQUENCE ||
        !reader_be32(reader, &reply->sequence_status))
        return false;
    return reply->sequence_status != NFS4_OK || reader_skip(reader, SEQUENCE_RESULTS);
}

/* The operation that was asked for; OP_ILLEGAL answers for one that the client does not know. */
static bool decode_operation(struct reader *reader, uint32_t opnum, struct nfs4_callback_reply *reply)
{
    uint32_t number;

    if (!reader_be32(reader, &number) || (number != opnum && number != OP_ILLEGAL) ||
        !reader_be32(reader, &reply->status) || (number == OP_ILLEGAL && reply->status == NFS4_OK))
        return false;
    reply->has_status = true;
    return true;
}

bool nfs4__callback_decode(struct reader *reader, uint32_t minor, uint32_t opnum,
                           struct nfs4_callback_reply *reply_r)
{
    struct nfs4_callback_reply reply = {.has_status = false};
    const uint8_t *tag;
    uint32_t status, length, count;

    if (!reader_be32(reader, &status) || !reader_xdr_opaque(reader, TAG_MAX, &tag, &length) ||
        !reader_be32(reader, &count))
        return false;
    if (minor == 0 && count == 0 && status != NFS4_OK) {
        reply.status = status; /* a client that could not begin with it: MINOR_VERS_MISMATCH, RESOURCE */
        reply.has_status = true;
    } else if (minor == 0) {
        if (count != 1 || !decode_operation(reader, opnum, &reply))
            return false;
    } else {
        if (count == 0 || count > 2 || !decode_sequence(reader, &reply))
            return false;
        if (count == 2 && (reply.sequence_status != NFS4_OK || !decode_operation(reader, opnum, &reply)))
            return false;
    }
    *reply_r = reply;
    return true;
}

static void callback_free(struct nfs4_callback *callback)
{
    list_remove(&callback->link);
    session_drop(&callback->session);
    free(callback);
}

static void finish(struct nfs4_callback *callback, enum err err, uint32_t status, struct reader *results)
{
    /* A slot that was taken away, or a call that we could not send, says nothing of the client. */
    nfs4__path_note(callback->server, callback->clientid, callback->generation, err == ERR_OK);
    if (callback->done != NULL)
        callback->done(callback->data, err, status, err == ERR_OK && status == NFS4_OK ? results : NULL);
    callback_free(callback);
}

/* The client has seen the sequence id: with what it kept of it, or without. */
static bool has_used_slot(const struct nfs4_callback_reply *reply)
{
    return reply->sequence_status == NFS4_OK || reply->sequence_status == NFS4ERR_RETRY_UNCACHED_REP ||
           reply->sequence_status == NFS4ERR_SEQ_FALSE_RETRY;
}

/* The client's slots are no longer what ours are: it has to make a new session (RFC 8881 18.46.3). */
static bool is_fault(uint32_t sequence_status)
{
    return sequence_status == NFS4ERR_BADSESSION || sequence_status == NFS4ERR_BADSLOT ||
           sequence_status == NFS4ERR_SEQ_MISORDERED || sequence_status == NFS4ERR_SEQ_FALSE_RETRY;
}

/* CLIENT, NULL when the session has ended, has answered: it lives. Its time to return what is recalled runs
 * from about here, and its lease must not end before. */
static void renew_lease(struct client *client)
{
    if (client != NULL && client_renew(client) != ERR_OK)
        log_debug("nfs4: a client that is gone has answered a callback");
}

static void back_done(struct onc_callback *back, enum err err, struct reader *results)
{
    struct nfs4_callback *callback = container_of(back, struct nfs4_callback, back);
    struct nfs4_session *user = session_user(callback->session);
    struct nfs4_callback_reply reply = {.has_status = false};
    bool used = false;

    if (err == ERR_OK && !nfs4__callback_decode(results, 1, callback->opnum, &reply))
        err = ERR_BADXDR;
    if (err == ERR_OK) {
        used = has_used_slot(&reply);
        if (!reply.has_status)
            reply.status = reply.sequence_status == NFS4_OK ? NFS4ERR_SERVERFAULT : reply.sequence_status;
        if (user != NULL && is_fault(reply.sequence_status))
            user->back_fault = true;
        if (reply.sequence_status == NFS4_OK)
            renew_lease(session_client(callback->session));
    }
    session_back_end(callback->session, callback->slot, used);
    finish(callback, err, reply.status, results);
}

static void call_done(struct onc_client_call *call, enum err err, struct reader *results)
{
    struct nfs4_callback *callback = container_of(call, struct nfs4_callback, call);
    struct nfs4_callback_reply reply = {.has_status = false};

    if (err == ERR_OK && !nfs4__callback_decode(results, 0, callback->opnum, &reply))
        err = ERR_BADXDR;
    finish(callback, err, reply.status, results);
}

/* ---- the call over a back channel ---- */

/* A session of CLIENT that can be called now. */
static struct session *find_session(const struct client *client)
{
    struct session *session = NULL;

    while ((session = session_next_of_client(client, session)) != NULL)
        if (session_back_slot_count(session) > 0 && session_back_connection(session) != NULL)
            return session;
    return NULL;
}

bool nfs4__callback_is_possible(const struct client *client)
{
    return find_session(client) != NULL;
}

/* csa_referring_call_lists */
static void encode_referring(struct writer *writer, const struct nfs4_request *referring)
{
    writer_be32(writer, referring == NULL ? 0 : 1);
    if (referring == NULL)
        return;
    writer_bytes(writer, referring->session, SESSION_ID_SIZE);
    writer_be32(writer, 1);
    writer_be32(writer, referring->seqid);
    writer_be32(writer, referring->slot);
}

static void encode_back(struct writer *writer, const struct session *session,
                        const struct nfs4_callback *callback, uint32_t seqid,
                        const struct nfs4_callback_spec *spec)
{
    const struct nfs4_session *user = session_user(session);

    writer_xdr_opaque(writer, "", 0); /* tag */
    writer_be32(writer, user->minor);
    writer_be32(writer, 0); /* callback_ident: for 4.0 */
    writer_be32(writer, 2);
    writer_be32(writer, OP_CB_SEQUENCE);
    writer_bytes(writer, session_id(session), SESSION_ID_SIZE);
    writer_be32(writer, seqid);
    writer_be32(writer, callback->slot);
    writer_be32(writer, session_back_slot_count(session) - 1);
    writer_xdr_bool(writer, false); /* csa_cachethis */
    encode_referring(writer, spec->referring);
    writer_be32(writer, spec->opnum);
    writer_bytes(writer, spec->arguments, spec->length);
}

/* The slot is ours. */
static enum err send_on_slot(struct session *session, struct nfs4_callback *callback, uint32_t seqid,
                             const struct nfs4_callback_spec *spec)
{
    const struct nfs4_session *user = session_user(session);
    struct onc_callback *back = &callback->back;
    uint8_t bytes[ARGUMENTS_MAX];
    struct writer writer;

    writer_init(&writer, bytes,
                user->back_request_max < sizeof bytes ? user->back_request_max : sizeof bytes);
    encode_back(&writer, session, callback, seqid, spec);
    if (writer.failed)
        return ERR_INVAL;
    back->done = back_done;
    back->program = user->callback_program;
    back->version = VERSION;
    back->procedure = CB_COMPOUND;
    back->timeout_ms = spec->timeout_ms;
    back->credential.flavor = user->callback_flavor;
    back->credential.uid = user->callback_uid;
    back->credential.gid = user->callback_gid;
    memcpy(back->credential.machine_name, user->callback_machine, sizeof back->credential.machine_name);
    return onc_conn_call(session_back_connection(session), back, bytes, writer.length);
}

static enum err send_back(struct client *client, struct nfs4_callback *callback,
                          const struct nfs4_callback_spec *spec)
{
    struct session *session = find_session(client);
    uint32_t seqid;
    enum err err;

    if (session == NULL)
        return ERR_NETWORK;
    err = session_back_begin(session, &callback->slot, &seqid);
    if (err != ERR_OK)
        return err;
    err = send_on_slot(session, callback, seqid, spec);
    if (err != ERR_OK)
        session_back_end(session, callback->slot, false);
    else
        callback->session = session_hold(session);
    return err;
}

/* ---- the call over a connection of ours ---- */

static enum err send_own(struct nfs4_callback *callback, const struct nfs4_client *user,
                         const struct nfs4_callback_spec *spec)
{
    struct onc_client_call *call = &callback->call;
    uint8_t bytes[ARGUMENTS_MAX];
    struct writer writer;

    if (!user->has_callback)
        return ERR_NETWORK;
    writer_init(&writer, bytes, sizeof bytes);
    writer_xdr_opaque(&writer, "", 0); /* tag */
    writer_be32(&writer, 0);           /* minor version */
    writer_be32(&writer, user->callback_ident);
    writer_be32(&writer, 1);
    writer_be32(&writer, spec->opnum);
    writer_bytes(&writer, spec->arguments, spec->length);
    if (writer.failed)
        return ERR_INVAL;
    call->done = call_done;
    call->to = user->callback_address;
    call->transport = ONC_TCP;
    call->program = user->callback_program;
    call->version = VERSION;
    call->procedure = CB_COMPOUND;
    call->timeout_ms = spec->timeout_ms;
    call->credential.flavor = user->callback_flavor;
    call->credential.uid = user->callback_uid;
    call->credential.gid = user->callback_gid;
    return onc_client_call(callback->server->outgoing, call, bytes, writer.length);
}

/* ---- either ---- */

enum err nfs4__callback_send(struct nfs4_server *server, struct client *client,
                             const struct nfs4_callback_spec *spec, struct nfs4_callback **callback_r)
{
    const struct nfs4_client *user = client_user(client);
    struct nfs4_callback *callback = calloc(1, sizeof *callback);
    enum err err;

    if (callback == NULL)
        return ERR_NOMEM;
    callback->server = server;
    callback->clientid = client_id(client);
    callback->generation = user->generation;
    callback->opnum = spec->opnum;
    callback->done = spec->done;
    callback->data = spec->data;
    if (client_family(client) == NFS4_FAMILY_0)
        err = send_own(callback, user, spec);
    else
        err = send_back(client, callback, spec);
    if (err != ERR_OK) {
        free(callback);
        return err;
    }
    list_push_back(&server->callbacks, &callback->link);
    *callback_r = callback;
    return ERR_OK;
}

void nfs4__callback_forget(struct nfs4_callback **callback)
{
    if (*callback != NULL)
        (*callback)->done = NULL;
    *callback = NULL;
}

void nfs4__callbacks_close(struct nfs4_server *server)
{
    while (!list_is_empty(&server->callbacks)) {
        struct nfs4_callback *callback = list_first(&server->callbacks, struct nfs4_callback, link);

        onc_callback_cancel(&callback->back);
        onc_client_cancel(&callback->call);
        callback_free(callback);
    }
}
