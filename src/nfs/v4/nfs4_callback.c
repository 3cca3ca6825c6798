/*
 * nfs4_callback.c - calls to a client of NFSv4.1 over the back channel (RFC 8881 2.10.3.1, 20.9).
 *
 * The happy path: a session of the client that has a connection for it lends a slot; CB_COMPOUND with
 * CB_SEQUENCE and one operation goes out; the client's answer gives the slot back and tells its status. A
 * call is alive until its answer, its time-out or the end of its connection, also when nobody waits for it
 * any more: a slot's sequence id may be used for another call only when the client has answered this one.
 */
#include "nfs/v4/nfs4_callback.h"
#include <stdlib.h>
#include <string.h>

enum {
    VERSION = 1, /* RFC 5662 says so, whatever RFC 8881 18.36.3 does */
    CB_COMPOUND = 1,
    ARGUMENTS_MAX = 4096,
    TAG_MAX = 1024,
    SEQUENCE_RESULTS = 32 /* behind CB_SEQUENCE's status */
};

struct nfs4_callback {
    struct onc_callback rpc;
    struct session *session; /* held */
    uint32_t slot, opnum;
    void (*done)(void *data, enum err err, uint32_t status); /* NULL: nobody waits */
    void *data;
};

/* ---- the answer ---- */

static bool decode_sequence(struct reader *reader, struct nfs4_callback_reply *reply)
{
    uint32_t opnum;

    if (!reader_be32(reader, &opnum) || opnum != OP_CB_SEQUENCE ||
        !reader_be32(reader, &reply->sequence_status))
        return false;
    return reply->sequence_status != NFS4_OK || reader_skip(reader, SEQUENCE_RESULTS);
}

bool nfs4__callback_decode(struct reader *reader, uint32_t opnum, struct nfs4_callback_reply *reply_r)
{
    struct nfs4_callback_reply reply = {.has_status = false};
    const uint8_t *tag;
    uint32_t status, length, count, number;

    if (!reader_be32(reader, &status) || !reader_xdr_opaque(reader, TAG_MAX, &tag, &length) ||
        !reader_be32(reader, &count) || count == 0 || count > 2 || !decode_sequence(reader, &reply))
        return false;
    if (count == 2) {
        if (reply.sequence_status != NFS4_OK || !reader_be32(reader, &number) || number != opnum ||
            !reader_be32(reader, &reply.status))
            return false;
        reply.has_status = true;
    }
    *reply_r = reply;
    return true;
}

/* The client has seen the sequence id: with what it kept of it, or without. */
static bool has_used_slot(const struct nfs4_callback_reply *reply)
{
    return reply->sequence_status == NFS4_OK || reply->sequence_status == NFS4ERR_RETRY_UNCACHED_REP ||
           reply->sequence_status == NFS4ERR_SEQ_FALSE_RETRY;
}

static void callback_done(struct onc_callback *rpc, enum err err, struct reader *results)
{
    struct nfs4_callback *callback = container_of(rpc, struct nfs4_callback, rpc);
    struct nfs4_callback_reply reply = {.has_status = false};
    bool used = false;

    if (err == ERR_OK && !nfs4__callback_decode(results, callback->opnum, &reply))
        err = ERR_BADXDR;
    if (err == ERR_OK) {
        used = has_used_slot(&reply);
        if (!reply.has_status)
            reply.status = reply.sequence_status;
    }
    session_back_end(callback->session, callback->slot, used);
    session_drop(&callback->session);
    if (callback->done != NULL)
        callback->done(callback->data, err, reply.status);
    free(callback);
}

/* ---- the call ---- */

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

static void encode(struct writer *writer, const struct session *session, const struct nfs4_callback *callback,
                   uint32_t seqid, const struct nfs4_callback_spec *spec)
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
    writer_be32(writer, 0);         /* no referring calls */
    writer_be32(writer, spec->opnum);
    writer_bytes(writer, spec->arguments, spec->length);
}

static void set_credential(struct onc_credential *credential, const struct nfs4_session *user)
{
    credential->flavor = user->callback_flavor;
    credential->uid = user->callback_uid;
    credential->gid = user->callback_gid;
    memcpy(credential->machine_name, user->callback_machine, sizeof credential->machine_name);
}

static struct nfs4_callback *callback_new(struct session *session, const struct nfs4_callback_spec *spec)
{
    struct nfs4_callback *callback = calloc(1, sizeof *callback);
    const struct nfs4_session *user = session_user(session);

    if (callback == NULL)
        return NULL;
    callback->opnum = spec->opnum;
    callback->done = spec->done;
    callback->data = spec->data;
    callback->rpc.done = callback_done;
    callback->rpc.program = user->callback_program;
    callback->rpc.version = VERSION;
    callback->rpc.procedure = CB_COMPOUND;
    callback->rpc.timeout_ms = spec->timeout_ms;
    set_credential(&callback->rpc.credential, user);
    return callback;
}

/* The slot is ours. */
static enum err send_on_slot(struct session *session, struct nfs4_callback *callback, uint32_t seqid,
                             const struct nfs4_callback_spec *spec)
{
    const struct nfs4_session *user = session_user(session);
    uint8_t bytes[ARGUMENTS_MAX];
    struct writer writer;

    writer_init(&writer, bytes,
                user->back_request_max < sizeof bytes ? user->back_request_max : sizeof bytes);
    encode(&writer, session, callback, seqid, spec);
    if (writer.failed)
        return ERR_INVAL;
    return onc_conn_call(session_back_connection(session), &callback->rpc, bytes, writer.length);
}

enum err nfs4__callback_send(struct client *client, const struct nfs4_callback_spec *spec,
                             struct nfs4_callback **callback_r)
{
    struct session *session = find_session(client);
    struct nfs4_callback *callback;
    uint32_t seqid;
    enum err err;

    if (session == NULL)
        return ERR_NETWORK;
    callback = callback_new(session, spec);
    if (callback == NULL)
        return ERR_NOMEM;
    err = session_back_begin(session, &callback->slot, &seqid);
    if (err != ERR_OK)
        goto err_after_new;
    err = send_on_slot(session, callback, seqid, spec);
    if (err != ERR_OK)
        goto err_after_begin;
    callback->session = session_hold(session);
    *callback_r = callback;
    return ERR_OK;

err_after_begin:
    session_back_end(session, callback->slot, false);
err_after_new:
    free(callback);
    return err;
}

void nfs4__callback_forget(struct nfs4_callback **callback)
{
    if (*callback != NULL)
        (*callback)->done = NULL;
    *callback = NULL;
}
