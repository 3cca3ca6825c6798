/*
 * nfs4client.c - a wire-level client of NFS version 4.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nfs4client.h"
#include "nfsworld.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROGRAM = 100003, VERSION = 4, COMPOUND = 1, BODY_MAX = 2 << 20 };

const struct nfs4_id nfs4_zeros = {.seqid = 0};
const struct nfs4_id nfs4_ones = {.seqid = UINT32_MAX,
                                  .other = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}};
const struct nfs4_id nfs4_current = {.seqid = 1};

static void connect_rpc(struct nfs4c *c)
{
    c->rpc = nfsworld_client(c->world, c->uid, c->uid);
    rpcclient_program(c->rpc, PROGRAM, VERSION);
    c->rpc->called = nfs4_on_called;
    c->rpc->called_data = c;
}

void nfs4_open(struct nfs4c *c, struct nfsworld *world, uint32_t minor, uint32_t uid, const char *name)
{
    memset(c, 0, sizeof *c);
    c->world = world;
    c->minor = minor;
    c->uid = uid;
    c->verifier = 1;
    c->cache_this = true;
    c->tag = "test";
    strncpy(c->name, name, sizeof c->name - 1);
    writer_init_growing(&c->body, BODY_MAX);
    writer_init_growing(&c->message, BODY_MAX);
    connect_rpc(c);
}

void nfs4_close_client(struct nfs4c *c)
{
    nfs4_stop_listening(c);
    rpcclient_close(&c->rpc);
    writer_free(&c->body);
    writer_free(&c->message);
}

void nfs4_reconnect(struct nfs4c *c)
{
    rpcclient_close(&c->rpc);
    connect_rpc(c);
}

/* ---- the compound ---- */

void nfs4_begin_bare(struct nfs4c *c)
{
    writer_truncate(&c->body, 0);
    c->count = 0;
}

void nfs4_begin(struct nfs4c *c)
{
    nfs4_begin_bare(c);
    if (c->has_session)
        nfs4_sequence(c, c->session.id, c->session.seqid[c->slot], c->slot, c->slot, c->cache_this);
}

void nfs4_op(struct nfs4c *c, uint32_t opnum)
{
    writer_be32(&c->body, opnum);
    c->count++;
}

static void build_message(struct nfs4c *c)
{
    writer_truncate(&c->message, 0);
    writer_xdr_opaque(&c->message, c->tag, strlen(c->tag));
    writer_be32(&c->message, c->minor);
    writer_be32(&c->message, c->count_sent != 0 ? c->count_sent : c->count);
    writer_bytes(&c->message, c->body.data, c->body.length);
    assert_false(c->message.failed);
}

/* tag, number of results */
static void read_head(struct nfs4c *c, struct reader results)
{
    const uint8_t *tag = NULL;
    uint32_t length = 0;

    c->reply = c->results = results;
    assert_true(reader_be32(&c->results, &c->status));
    assert_true(reader_xdr_opaque(&c->results, 1024, &tag, &length));
    assert_int_equal(length, strlen(c->tag));
    assert_memory_equal(tag, c->tag, length);
    assert_true(reader_be32(&c->results, &c->answered));
}

/* The slot's sequence goes on unless SEQUENCE itself was refused. */
static void advance(struct nfs4c *c)
{
    struct reader results = c->results;
    uint32_t opnum, status;

    if (c->has_session && c->answered > 0 && reader_be32(&results, &opnum) &&
        reader_be32(&results, &status) && opnum == OP_SEQUENCE && status == NFS4_OK)
        c->session.seqid[c->slot]++;
}

static uint32_t receive(struct nfs4c *c)
{
    struct reader results;
    uint32_t xid;

    do
        assert_int_equal(rpcclient_receive(c->rpc, &xid, &results), RPCCLIENT_SUCCESS);
    while (xid != c->xid);
    read_head(c, results);
    return c->status;
}

uint32_t nfs4_receive(struct nfs4c *c)
{
    receive(c);
    advance(c);
    return c->status;
}

void nfs4_send(struct nfs4c *c)
{
    build_message(c);
    c->xid = rpcclient_send(c->rpc, COMPOUND, &c->message);
    assert_int_not_equal(c->xid, 0);
}

uint32_t nfs4_call(struct nfs4c *c)
{
    nfs4_send(c);
    return nfs4_receive(c);
}

uint32_t nfs4_call_again(struct nfs4c *c, bool same_xid)
{
    if (same_xid)
        assert_true(rpcclient_send_as(c->rpc, c->xid, COMPOUND, &c->message));
    else
        c->xid = rpcclient_send(c->rpc, COMPOUND, &c->message);
    return receive(c);
}

uint32_t nfs4_result_status(struct nfs4c *c, uint32_t opnum)
{
    uint32_t number = 0, status = 0;

    assert_true(reader_be32(&c->results, &number));
    assert_int_equal(number, opnum);
    assert_true(reader_be32(&c->results, &status));
    return status;
}

void nfs4_result(struct nfs4c *c, uint32_t opnum, uint32_t status)
{
    assert_int_equal(nfs4_result_status(c, opnum), status);
}

void nfs4_skip_sequence(struct nfs4c *c)
{
    struct nfs4c_session *session = &c->session;
    uint32_t seqid, slot;

    if (!c->has_session)
        return;
    nfs4_result(c, OP_SEQUENCE, NFS4_OK);
    assert_true(reader_skip(&c->results, 16) && reader_be32(&c->results, &seqid) &&
                reader_be32(&c->results, &slot) && reader_be32(&c->results, &session->highest_slot) &&
                reader_be32(&c->results, &session->target_slot) &&
                reader_be32(&c->results, &session->status_flags));
}

/* ---- operations ---- */

static void put_text(struct nfs4c *c, const char *text)
{
    writer_xdr_opaque(&c->body, text, strlen(text));
}

static void put_owner(struct nfs4c *c, const char *owner)
{
    writer_be64(&c->body, c->clientid);
    put_text(c, owner);
}

void nfs4_put_id(struct nfs4c *c, const struct nfs4_id *id)
{
    writer_be32(&c->body, id->seqid);
    writer_bytes(&c->body, id->other, sizeof id->other);
}

void nfs4_sequence(struct nfs4c *c, const uint8_t id[16], uint32_t seqid, uint32_t slot, uint32_t highest,
                   bool cache)
{
    nfs4_op(c, OP_SEQUENCE);
    writer_bytes(&c->body, id, 16);
    writer_be32(&c->body, seqid);
    writer_be32(&c->body, slot);
    writer_be32(&c->body, highest);
    writer_xdr_bool(&c->body, cache);
}

void nfs4_putrootfh(struct nfs4c *c)
{
    nfs4_op(c, OP_PUTROOTFH);
}

void nfs4_putfh(struct nfs4c *c, const struct nfs4_handle *handle)
{
    nfs4_op(c, OP_PUTFH);
    writer_xdr_opaque(&c->body, handle->data, handle->length);
}

void nfs4_getfh(struct nfs4c *c)
{
    nfs4_op(c, OP_GETFH);
}

void nfs4_savefh(struct nfs4c *c)
{
    nfs4_op(c, OP_SAVEFH);
}

void nfs4_restorefh(struct nfs4c *c)
{
    nfs4_op(c, OP_RESTOREFH);
}

void nfs4_lookup(struct nfs4c *c, const char *name)
{
    nfs4_op(c, OP_LOOKUP);
    put_text(c, name);
}

void nfs4_remove(struct nfs4c *c, const char *name)
{
    nfs4_op(c, OP_REMOVE);
    put_text(c, name);
}

static void put_attributes(struct nfs4c *c, const struct nfs4_open_args *args)
{
    struct writer *body = &c->body;

    writer_be32(body, 2);
    writer_be32(body, args->has_size ? 1u << FATTR4_SIZE : 0);
    writer_be32(body, args->mode != 0 ? 1u << (FATTR4_MODE - 32) : 0);
    writer_be32(body, (args->has_size ? 8u : 0) + (args->mode != 0 ? 4u : 0));
    if (args->has_size)
        writer_be64(body, 0);
    if (args->mode != 0)
        writer_be32(body, args->mode);
}

static void put_how(struct nfs4c *c, const struct nfs4_open_args *args)
{
    struct writer *body = &c->body;

    writer_be32(body, args->create != NFS4C_NOCREATE);
    if (args->create == NFS4C_NOCREATE)
        return;
    writer_be32(body, (uint32_t)args->create - NFS4C_UNCHECKED);
    if (args->create >= NFS4C_EXCLUSIVE)
        writer_be64(body, args->verifier);
    if (args->create != NFS4C_EXCLUSIVE)
        put_attributes(c, args);
}

void nfs4_open_op(struct nfs4c *c, const struct nfs4_open_args *args)
{
    nfs4_op(c, OP_OPEN);
    writer_be32(&c->body, args->seqid);
    writer_be32(&c->body, args->access);
    writer_be32(&c->body, args->deny);
    put_owner(c, args->owner);
    put_how(c, args);
    writer_be32(&c->body, args->claim);
    if (args->claim == 2 || args->claim == 5)
        nfs4_put_id(c, &args->stateid);
    if (args->claim == 0 || args->claim == 2 || args->claim == 3)
        put_text(c, args->name);
    if (args->claim == 1)
        writer_be32(&c->body, args->delegated);
}

static void read_delegation(struct nfs4c *c, struct nfs4_open_result *result)
{
    const uint8_t *who = NULL;
    uint32_t limit = 0, type = 1, flag = 1, mask = 1, length = 0;

    assert_true(result->delegation <= 2);
    result->delegation_id = nfs4_id_read(c);
    assert_true(reader_xdr_bool(&c->results, &result->recall));
    if (result->delegation == 2) {
        assert_true(reader_be32(&c->results, &limit) && reader_be64(&c->results, &result->space_limit));
        assert_int_equal(limit, 1);
    }
    assert_true(reader_be32(&c->results, &type) && reader_be32(&c->results, &flag) &&
                reader_be32(&c->results, &mask) && reader_xdr_opaque(&c->results, 64, &who, &length));
    assert_int_equal(type | flag | mask, 0);
}

struct nfs4_open_result nfs4_open_read(struct nfs4c *c)
{
    struct reader *results = &c->results;
    struct nfs4_open_result result = {.stateid = nfs4_id_read(c)};
    uint32_t words = 0;

    assert_true(reader_xdr_bool(results, &result.atomic) && reader_be64(results, &result.before) &&
                reader_be64(results, &result.after) && reader_be32(results, &result.flags) &&
                reader_be32(results, &words) && words <= 3);
    for (uint32_t i = 0; i < words; i++)
        assert_true(reader_be32(results, &result.attributes[i]));
    assert_true(reader_be32(results, &result.delegation));
    if (result.delegation == 3) {
        assert_true(reader_be32(results, &result.why));
        if (result.why == 1 || result.why == 2)
            assert_true(reader_skip(results, 4));
    } else if (result.delegation != 0) {
        read_delegation(c, &result);
    }
    return result;
}

void nfs4_open_confirm(struct nfs4c *c, const struct nfs4_id *id, uint32_t seqid)
{
    nfs4_op(c, OP_OPEN_CONFIRM);
    nfs4_put_id(c, id);
    writer_be32(&c->body, seqid);
}

void nfs4_open_downgrade(struct nfs4c *c, const struct nfs4_id *id, uint32_t seqid, uint32_t access,
                         uint32_t deny)
{
    nfs4_op(c, OP_OPEN_DOWNGRADE);
    nfs4_put_id(c, id);
    writer_be32(&c->body, seqid);
    writer_be32(&c->body, access);
    writer_be32(&c->body, deny);
}

void nfs4_close(struct nfs4c *c, const struct nfs4_id *id, uint32_t seqid)
{
    nfs4_op(c, OP_CLOSE);
    writer_be32(&c->body, seqid);
    nfs4_put_id(c, id);
}

void nfs4_read(struct nfs4c *c, const struct nfs4_id *id, uint64_t offset, uint32_t count)
{
    nfs4_op(c, OP_READ);
    nfs4_put_id(c, id);
    writer_be64(&c->body, offset);
    writer_be32(&c->body, count);
}

void nfs4_write(struct nfs4c *c, const struct nfs4_id *id, uint64_t offset, const char *text)
{
    nfs4_op(c, OP_WRITE);
    nfs4_put_id(c, id);
    writer_be64(&c->body, offset);
    writer_be32(&c->body, 2); /* FILE_SYNC4 */
    put_text(c, text);
}

void nfs4_truncate(struct nfs4c *c, const struct nfs4_id *id, uint64_t size)
{
    nfs4_op(c, OP_SETATTR);
    nfs4_put_id(c, id);
    writer_be32(&c->body, 1);
    writer_be32(&c->body, 1u << FATTR4_SIZE);
    writer_be32(&c->body, 8);
    writer_be64(&c->body, size);
}

void nfs4_lock(struct nfs4c *c, const struct nfs4_lock_args *args)
{
    struct writer *body = &c->body;

    nfs4_op(c, OP_LOCK);
    writer_be32(body, args->type);
    writer_xdr_bool(body, args->reclaim);
    writer_be64(body, args->offset);
    writer_be64(body, args->length);
    writer_xdr_bool(body, args->new_owner);
    if (args->new_owner)
        writer_be32(body, args->open_seqid);
    nfs4_put_id(c, &args->stateid);
    writer_be32(body, args->lock_seqid);
    if (args->new_owner)
        put_owner(c, args->owner);
}

void nfs4_lockt(struct nfs4c *c, uint32_t type, uint64_t offset, uint64_t length, const char *owner)
{
    nfs4_op(c, OP_LOCKT);
    writer_be32(&c->body, type);
    writer_be64(&c->body, offset);
    writer_be64(&c->body, length);
    put_owner(c, owner);
}

void nfs4_locku(struct nfs4c *c, const struct nfs4_id *id, uint32_t seqid, uint64_t offset, uint64_t length)
{
    nfs4_op(c, OP_LOCKU);
    writer_be32(&c->body, NFS4C_WRITE);
    writer_be32(&c->body, seqid);
    nfs4_put_id(c, id);
    writer_be64(&c->body, offset);
    writer_be64(&c->body, length);
}

void nfs4_release_lockowner(struct nfs4c *c, const char *owner)
{
    nfs4_op(c, OP_RELEASE_LOCKOWNER);
    put_owner(c, owner);
}

struct nfs4_denied nfs4_denied_read(struct nfs4c *c)
{
    struct nfs4_denied denied = {.offset = 0};
    const uint8_t *owner = NULL;
    uint32_t length = 0;

    assert_true(reader_be64(&c->results, &denied.offset) && reader_be64(&c->results, &denied.length) &&
                reader_be32(&c->results, &denied.type) && reader_be64(&c->results, &denied.clientid) &&
                reader_xdr_opaque(&c->results, sizeof denied.owner - 1, &owner, &length));
    memcpy(denied.owner, owner, length);
    return denied;
}

struct nfs4_id nfs4_id_read(struct nfs4c *c)
{
    struct nfs4_id id;

    assert_true(reader_be32(&c->results, &id.seqid) && reader_copy(&c->results, id.other, sizeof id.other));
    return id;
}

struct nfs4_handle nfs4_handle_read(struct nfs4c *c)
{
    struct nfs4_handle handle = {.length = 0};
    const uint8_t *data;

    assert_true(reader_xdr_opaque(&c->results, sizeof handle.data, &data, &handle.length));
    memcpy(handle.data, data, handle.length);
    return handle;
}

/* ---- clients and sessions ---- */

void nfs4_setclientid(struct nfs4c *c, const char *name, uint64_t verifier)
{
    char address[64] = "127.0.0.1.8.1";

    nfs4_op(c, OP_SETCLIENTID);
    writer_be64(&c->body, verifier);
    put_text(c, name);
    writer_be32(&c->body, NFS4C_CALLBACK_PROGRAM);
    put_text(c, "tcp");
    if (c->listen_port != 0)
        snprintf(address, sizeof address, "127.0.0.1.%u.%u", c->listen_port >> 8, c->listen_port & 255u);
    put_text(c, address);
    writer_be32(&c->body, c->callback_ident != 0 ? c->callback_ident : 7);
}

void nfs4_setclientid_confirm(struct nfs4c *c, uint64_t clientid, uint64_t confirm)
{
    nfs4_op(c, OP_SETCLIENTID_CONFIRM);
    writer_be64(&c->body, clientid);
    writer_be64(&c->body, confirm);
}

void nfs4_renew(struct nfs4c *c, uint64_t clientid)
{
    nfs4_op(c, OP_RENEW);
    writer_be64(&c->body, clientid);
}

void nfs4_exchange_id(struct nfs4c *c, const char *name, uint64_t verifier, uint32_t flags)
{
    nfs4_op(c, OP_EXCHANGE_ID);
    writer_be64(&c->body, verifier);
    put_text(c, name);
    writer_be32(&c->body, flags);
    writer_be32(&c->body, 0); /* SP4_NONE */
    writer_be32(&c->body, 0); /* no implementation id */
}

static void read_text(struct nfs4c *c, char *text, size_t size)
{
    const uint8_t *bytes = NULL;
    uint32_t length = 0;

    assert_true(reader_xdr_opaque(&c->results, (uint32_t)size - 1, &bytes, &length));
    memcpy(text, bytes, length);
    text[length] = '\0';
}

struct nfs4_exchange_result nfs4_exchange_read(struct nfs4c *c)
{
    struct nfs4_exchange_result result;
    uint32_t protection = 1, count = 1;

    assert_true(reader_be64(&c->results, &result.clientid) && reader_be32(&c->results, &result.sequence) &&
                reader_be32(&c->results, &result.flags) && reader_be32(&c->results, &protection) &&
                reader_be64(&c->results, &result.minor_id));
    assert_int_equal(protection, 0);
    read_text(c, result.major_id, sizeof result.major_id);
    read_text(c, result.scope, sizeof result.scope);
    assert_true(reader_be32(&c->results, &count));
    assert_int_equal(count, 0);
    return result;
}

struct nfs4_create_session_args nfs4_usual_session(const struct nfs4c *c)
{
    struct nfs4_channel fore = {0, 1100000, 1100000, 2048, 16, 16}, back = {0, 4096, 4096, 0, 4, 4};

    return (struct nfs4_create_session_args){.clientid = c->clientid,
                                             .sequence = c->create_sequence,
                                             .flags = c->wants_back ? 2 : 0,
                                             .fore = fore,
                                             .back = back,
                                             .program = 0x40000000};
}

static void put_channel(struct nfs4c *c, const struct nfs4_channel *channel)
{
    writer_be32(&c->body, channel->header_pad);
    writer_be32(&c->body, channel->request_max);
    writer_be32(&c->body, channel->reply_max);
    writer_be32(&c->body, channel->reply_cached_max);
    writer_be32(&c->body, channel->operations_max);
    writer_be32(&c->body, channel->requests_max);
    writer_be32(&c->body, 0);
}

void nfs4_create_session(struct nfs4c *c, const struct nfs4_create_session_args *args)
{
    nfs4_op(c, OP_CREATE_SESSION);
    writer_be64(&c->body, args->clientid);
    writer_be32(&c->body, args->sequence);
    writer_be32(&c->body, args->flags);
    put_channel(c, &args->fore);
    put_channel(c, &args->back);
    writer_be32(&c->body, args->program);
    writer_be32(&c->body, 1);
    writer_be32(&c->body, 0); /* AUTH_NONE */
}

void nfs4_create_session_read(struct nfs4c *c, struct nfs4c_session *session, uint32_t *sequence_r)
{
    struct reader *results = &c->results;
    uint32_t pad = 1, rdma = 1;

    memset(session, 0, sizeof *session);
    assert_true(reader_copy(results, session->id, 16) && reader_be32(results, sequence_r) &&
                reader_be32(results, &session->flags) && reader_be32(results, &pad) &&
                reader_be32(results, &session->request_max) && reader_be32(results, &session->reply_max) &&
                reader_be32(results, &session->reply_cached_max) &&
                reader_be32(results, &session->operations_max) && reader_be32(results, &session->slots) &&
                reader_be32(results, &rdma) && reader_skip(results, 28));
    assert_int_equal(pad, 0);
    assert_int_equal(rdma, 0);
    for (size_t i = 0; i < NFS4C_SLOTS; i++)
        session->seqid[i] = 1;
}

void nfs4_destroy_session(struct nfs4c *c, const uint8_t id[16])
{
    nfs4_op(c, OP_DESTROY_SESSION);
    writer_bytes(&c->body, id, 16);
}

void nfs4_destroy_clientid(struct nfs4c *c, uint64_t clientid)
{
    nfs4_op(c, OP_DESTROY_CLIENTID);
    writer_be64(&c->body, clientid);
}

void nfs4_bind_conn(struct nfs4c *c, const uint8_t id[16], uint32_t direction)
{
    nfs4_op(c, OP_BIND_CONN_TO_SESSION);
    writer_bytes(&c->body, id, 16);
    writer_be32(&c->body, direction);
    writer_xdr_bool(&c->body, false);
}

void nfs4_reclaim_complete(struct nfs4c *c, bool one_fs)
{
    nfs4_op(c, OP_RECLAIM_COMPLETE);
    writer_xdr_bool(&c->body, one_fs);
}

void nfs4_test_stateid(struct nfs4c *c, const struct nfs4_id *ids, uint32_t count)
{
    nfs4_op(c, OP_TEST_STATEID);
    writer_be32(&c->body, count);
    for (uint32_t i = 0; i < count; i++)
        nfs4_put_id(c, &ids[i]);
}

void nfs4_free_stateid(struct nfs4c *c, const struct nfs4_id *id)
{
    nfs4_op(c, OP_FREE_STATEID);
    nfs4_put_id(c, id);
}

static void introduce_0(struct nfs4c *c)
{
    uint64_t confirm = 0;

    nfs4_begin(c);
    nfs4_setclientid(c, c->name, c->verifier);
    assert_int_equal(nfs4_call(c), NFS4_OK);
    nfs4_result(c, OP_SETCLIENTID, NFS4_OK);
    assert_true(reader_be64(&c->results, &c->clientid) && reader_be64(&c->results, &confirm));
    nfs4_begin(c);
    nfs4_setclientid_confirm(c, c->clientid, confirm);
    assert_int_equal(nfs4_call(c), NFS4_OK);
}

static void introduce_1(struct nfs4c *c)
{
    struct nfs4_exchange_result result;
    struct nfs4_create_session_args args;
    uint32_t sequence;

    c->has_session = false;
    nfs4_begin(c);
    nfs4_exchange_id(c, c->name, c->verifier, 0);
    assert_int_equal(nfs4_call(c), NFS4_OK);
    nfs4_result(c, OP_EXCHANGE_ID, NFS4_OK);
    result = nfs4_exchange_read(c);
    c->clientid = result.clientid;
    c->create_sequence = result.sequence;
    args = nfs4_usual_session(c);
    nfs4_begin(c);
    nfs4_create_session(c, &args);
    assert_int_equal(nfs4_call(c), NFS4_OK);
    nfs4_result(c, OP_CREATE_SESSION, NFS4_OK);
    nfs4_create_session_read(c, &c->session, &sequence);
    assert_int_equal(sequence, c->create_sequence);
    c->create_sequence++;
    c->has_session = true;
}

void nfs4_introduce(struct nfs4c *c)
{
    if (c->minor == 0) {
        introduce_0(c);
        return;
    }
    introduce_1(c);
    if (c->reclaims)
        return;
    nfs4_begin(c);
    nfs4_reclaim_complete(c, false);
    /* Another session of the same life has said so before. */
    if (nfs4_call(c) != NFS4ERR_COMPLETE_ALREADY)
        assert_int_equal(c->status, NFS4_OK);
}
