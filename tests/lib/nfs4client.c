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

static void connect_rpc(struct nfs4c *c)
{
    c->wire.rpc = nfsworld_client(c->world, c->uid, c->uid);
    c->wire.rpc->called = nfs4_on_called;
    c->wire.rpc->called_data = c;
}

void nfs4_open(struct nfs4c *c, struct nfsworld *world, uint32_t minor, uint32_t uid, const char *name)
{
    memset(c, 0, sizeof *c);
    wire4_init(&c->wire, NULL, minor);
    c->wire.cache_this = true;
    c->wire.tag = "test";
    c->world = world;
    c->uid = uid;
    c->verifier = 1;
    strncpy(c->name, name, sizeof c->name - 1);
    connect_rpc(c);
}

void nfs4_close_client(struct nfs4c *c)
{
    nfs4_stop_listening(c);
    rpcclient_close(&c->wire.rpc);
    wire4_free(&c->wire);
}

void nfs4_reconnect(struct nfs4c *c)
{
    rpcclient_close(&c->wire.rpc);
    connect_rpc(c);
}

/* ---- the compound ---- */

/* Behind status, tag and number of results. */
static uint32_t read_head(struct nfs4c *c)
{
    const uint8_t *tag;
    uint32_t length, word;

    c->rest = c->wire.reply;
    assert_true(reader_be32(&c->rest, &word) && reader_xdr_opaque(&c->rest, UINT32_MAX, &tag, &length) &&
                reader_be32(&c->rest, &word));
    c->results = c->rest;
    return c->wire.status;
}

uint32_t nfs4_receive(struct nfs4c *c)
{
    wire4_receive(&c->wire);
    return read_head(c);
}

uint32_t nfs4_call(struct nfs4c *c)
{
    wire4_post(&c->wire);
    return nfs4_receive(c);
}

uint32_t nfs4_call_again(struct nfs4c *c, bool same_xid)
{
    wire4_post_again(&c->wire, same_xid);
    wire4_receive_again(&c->wire);
    return read_head(c);
}

uint32_t nfs4_result_status(struct nfs4c *c, uint32_t opnum)
{
    c->results = c->rest;
    assert_true(wire4_get_result(&c->rest, &c->result));
    assert_int_equal(c->result.opnum, opnum);
    assert_true(reader_skip(&c->results, 8));
    return c->result.status;
}

void nfs4_result(struct nfs4c *c, uint32_t opnum, uint32_t status)
{
    assert_int_equal(nfs4_result_status(c, opnum), status);
}

void nfs4_skip_sequence(struct nfs4c *c)
{
    if (c->wire.has_session)
        nfs4_result(c, OP_SEQUENCE, NFS4_OK);
}

/* ---- operations ---- */

void nfs4_open_op(struct nfs4c *c, const struct nfs4_open_args *args)
{
    struct wire4_fattr fattr = wire4_fattr();

    if (args->has_size)
        wire4_add64(&fattr, FATTR4_SIZE, 0);
    if (args->mode != 0)
        wire4_add32(&fattr, FATTR4_MODE, args->mode);
    wire4_op_open(&c->wire, &(struct wire4_open_args){.seqid = args->seqid,
                                                      .access = args->access,
                                                      .deny = args->deny,
                                                      .owner = args->owner,
                                                      .how = args->create - NFS4C_UNCHECKED + WIRE4_UNCHECKED,
                                                      .fattr = &fattr,
                                                      .verifier = args->verifier,
                                                      .claim = args->claim,
                                                      .name = args->name,
                                                      .stateid = args->stateid,
                                                      .delegated = args->delegated});
}

void nfs4_write(struct nfs4c *c, const struct wire4_stateid *id, uint64_t offset, const char *text)
{
    wire4_write(&c->wire, id, offset, 2, text, (uint32_t)strlen(text));
}

void nfs4_truncate(struct nfs4c *c, const struct wire4_stateid *id, uint64_t size)
{
    struct wire4_fattr fattr = wire4_size(size);

    wire4_setattr(&c->wire, id, &fattr);
}

/* ---- clients and sessions ---- */

void nfs4_setclientid(struct nfs4c *c, const char *name, uint64_t verifier)
{
    wire4_setclientid(&c->wire, name, verifier, c->listen_port != 0 ? c->listen_port : 8 << 8 | 1,
                      c->callback_ident != 0 ? c->callback_ident : 7);
}

struct wire4_create_session_args nfs4_usual_session(const struct nfs4c *c)
{
    struct wire4_channel fore = {0, 1100000, 1100000, 2048, 16, 16}, back = {0, 4096, 4096, 0, 4, 4};

    return (struct wire4_create_session_args){.clientid = c->wire.clientid,
                                              .sequence = c->create_sequence,
                                              .flags = c->wants_back ? 2 : 0,
                                              .fore = fore,
                                              .back = back,
                                              .program = WIRE4_CALLBACK_PROGRAM};
}

static void introduce_0(struct nfs4c *c)
{
    struct wire4 *wire = &c->wire;

    wire4_begin(wire);
    nfs4_setclientid(c, c->name, c->verifier);
    assert_int_equal(wire4_send(wire), NFS4_OK);
    wire->clientid = wire->last.clientid;
    expect4(wire, NFS4_OK, wire4_setclientid_confirm(wire, wire->clientid, wire->last.verifier));
}

static void introduce_1(struct nfs4c *c)
{
    struct wire4 *wire = &c->wire;
    struct wire4_create_session_args args;

    wire->has_session = false;
    expect4(wire, NFS4_OK, wire4_exchange_id(wire, c->name, c->verifier, 0));
    wire->clientid = wire->last.clientid;
    c->create_sequence = wire->last.seqid;
    args = nfs4_usual_session(c);
    expect4(wire, NFS4_OK, wire4_create_session(wire, &args));
    assert_int_equal(wire->last.seqid, c->create_sequence);
    wire->session = wire4_session_of(&wire->last);
    c->create_sequence++;
    wire->has_session = true;
}

void nfs4_introduce(struct nfs4c *c)
{
    if (c->wire.minor == 0) {
        introduce_0(c);
        return;
    }
    introduce_1(c);
    if (c->reclaims)
        return;
    wire4_begin(&c->wire);
    wire4_op_reclaim_complete(&c->wire, false);
    /* Another session of the same life has said so before. */
    if (wire4_send(&c->wire) != NFS4ERR_COMPLETE_ALREADY)
        assert_int_equal(c->wire.status, NFS4_OK);
}
