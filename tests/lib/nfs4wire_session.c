/*
 * nfs4wire_session.c - the arguments of operations that make clients and sessions known.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nfs4wire.h"

#include <stdio.h>
#include <string.h>

static void put_text(struct wire4 *wire, const char *text)
{
    writer_xdr_opaque(&wire->request, text, strlen(text));
}

void wire4_setclientid(struct wire4 *wire, const char *name, uint64_t verifier, uint16_t port, uint32_t ident)
{
    char address[64];

    wire4_op(wire, OP_SETCLIENTID);
    writer_be64(&wire->request, verifier);
    put_text(wire, name);
    writer_be32(&wire->request, WIRE4_CALLBACK_PROGRAM);
    put_text(wire, "tcp");
    snprintf(address, sizeof address, "127.0.0.1.%u.%u", port >> 8, port & 255u);
    put_text(wire, address);
    writer_be32(&wire->request, ident);
}

void wire4_setclientid_confirm(struct wire4 *wire, uint64_t clientid, uint64_t confirm)
{
    wire4_op(wire, OP_SETCLIENTID_CONFIRM);
    writer_be64(&wire->request, clientid);
    writer_be64(&wire->request, confirm);
}

void wire4_renew(struct wire4 *wire, uint64_t clientid)
{
    wire4_op(wire, OP_RENEW);
    writer_be64(&wire->request, clientid);
}

void wire4_exchange_id(struct wire4 *wire, const char *name, uint64_t verifier, uint32_t flags)
{
    wire4_op(wire, OP_EXCHANGE_ID);
    writer_be64(&wire->request, verifier);
    put_text(wire, name);
    writer_be32(&wire->request, flags);
    writer_be32(&wire->request, 0); /* SP4_NONE */
    writer_be32(&wire->request, 0); /* no implementation id */
}

static void put_channel(struct wire4 *wire, const struct wire4_channel *channel)
{
    writer_be32(&wire->request, channel->header_pad);
    writer_be32(&wire->request, channel->request_max);
    writer_be32(&wire->request, channel->reply_max);
    writer_be32(&wire->request, channel->reply_cached_max);
    writer_be32(&wire->request, channel->operations_max);
    writer_be32(&wire->request, channel->requests_max);
    writer_be32(&wire->request, 0);
}

void wire4_create_session(struct wire4 *wire, const struct wire4_create_session_args *args)
{
    wire4_op(wire, OP_CREATE_SESSION);
    writer_be64(&wire->request, args->clientid);
    writer_be32(&wire->request, args->sequence);
    writer_be32(&wire->request, args->flags);
    put_channel(wire, &args->fore);
    put_channel(wire, &args->back);
    writer_be32(&wire->request, args->program);
    writer_be32(&wire->request, 1);
    writer_be32(&wire->request, 0); /* callbacks with AUTH_NONE */
}

struct wire4_session wire4_session_of(const struct wire4_result *result)
{
    struct wire4_session session = {.flags = result->flags,
                                    .request_max = result->channel[1],
                                    .reply_max = result->channel[2],
                                    .reply_cached_max = result->channel[3],
                                    .operations_max = result->channel[4],
                                    .slots = result->channel[5]};

    assert_int_equal(result->opnum, OP_CREATE_SESSION);
    assert_int_equal(result->channel[0], 0); /* no padding */
    memcpy(session.id, result->session, sizeof session.id);
    for (size_t i = 0; i < WIRE4_SLOTS; i++)
        session.seqid[i] = 1;
    return session;
}

void wire4_destroy_session(struct wire4 *wire, const uint8_t id[16])
{
    wire4_op(wire, OP_DESTROY_SESSION);
    writer_bytes(&wire->request, id, 16);
}

void wire4_destroy_clientid(struct wire4 *wire, uint64_t clientid)
{
    wire4_op(wire, OP_DESTROY_CLIENTID);
    writer_be64(&wire->request, clientid);
}

void wire4_bind_conn(struct wire4 *wire, const uint8_t id[16], uint32_t direction)
{
    wire4_op(wire, OP_BIND_CONN_TO_SESSION);
    writer_bytes(&wire->request, id, 16);
    writer_be32(&wire->request, direction);
    writer_xdr_bool(&wire->request, false);
}

void wire4_op_reclaim_complete(struct wire4 *wire, bool one_fs)
{
    wire4_op(wire, OP_RECLAIM_COMPLETE);
    writer_xdr_bool(&wire->request, one_fs);
}

void wire4_sequence(struct wire4 *wire, const uint8_t id[16], uint32_t seqid, uint32_t slot, uint32_t highest,
                    bool cache)
{
    wire4_op(wire, OP_SEQUENCE);
    writer_bytes(&wire->request, id, 16);
    writer_be32(&wire->request, seqid);
    writer_be32(&wire->request, slot);
    writer_be32(&wire->request, highest);
    writer_xdr_bool(&wire->request, cache);
}
