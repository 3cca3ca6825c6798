/*
 * nfs4client_called.c - calls that the server makes to a client of NFS version 4: over the back channel, or
 * to a listener of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nfs4client.h"
#include "nfsworld.h"

#include <string.h>

enum { CB_VERSION = 1, CB_GETATTR = 3, CB_RECALL = 4, CB_NOTIFY = 6, CB_RECALL_ANY = 8 };
enum { CB_SEQUENCE = 11, CB_NOTIFY_LOCK = 13 };

static void read_called_handle(struct nfs4c *c, struct reader *arguments)
{
    const uint8_t *data = NULL;

    assert_true(reader_xdr_opaque(arguments, sizeof c->called_handle.data, &data, &c->called_handle.length));
    memcpy(c->called_handle.data, data, c->called_handle.length);
}

static void read_called_sequence(struct nfs4c *c, struct reader *arguments)
{
    const uint8_t *session = NULL;
    uint32_t opnum = 0, highest, cached, lists = 2, calls = 0;

    assert_true(reader_be32(arguments, &opnum) && reader_bytes(arguments, 16, &session) &&
                reader_be32(arguments, &c->called_seqid) && reader_be32(arguments, &c->called_slot) &&
                reader_be32(arguments, &highest) && reader_be32(arguments, &cached) &&
                reader_be32(arguments, &lists));
    assert_int_equal(opnum, CB_SEQUENCE);
    assert_memory_equal(session, c->wire.session.id, 16);
    assert_true(lists <= 1);
    c->called_referring = lists == 1;
    if (lists == 0)
        return;
    assert_true(reader_copy(arguments, c->referring_session, 16) && reader_be32(arguments, &calls) &&
                reader_be32(arguments, &c->referring_seqid) && reader_be32(arguments, &c->referring_slot));
    assert_int_equal(calls, 1);
}

static void read_called_lock(struct nfs4c *c, struct reader *arguments)
{
    const uint8_t *owner = NULL;
    uint32_t length = 0;

    read_called_handle(c, arguments);
    assert_true(reader_be64(arguments, &c->called_clientid) &&
                reader_xdr_opaque(arguments, sizeof c->called_owner - 1, &owner, &length));
    memcpy(c->called_owner, owner, length);
    c->called_owner[length] = '\0';
}

static void read_called_operation(struct nfs4c *c, struct reader *arguments)
{
    uint32_t words = 0, truncate = 1;

    switch (c->called_opnum) {
    case CB_GETATTR:
        read_called_handle(c, arguments);
        assert_true(reader_be32(arguments, &words) && words == 1 && reader_be32(arguments, &words));
        assert_int_equal(words, 1u << FATTR4_CHANGE | 1u << FATTR4_SIZE);
        break;
    case CB_RECALL:
        assert_true(reader_be32(arguments, &c->called_id.seqid) &&
                    reader_copy(arguments, c->called_id.other, sizeof c->called_id.other) &&
                    reader_be32(arguments, &truncate));
        assert_int_equal(truncate, 0);
        read_called_handle(c, arguments);
        break;
    case CB_NOTIFY:
        assert_true(reader_be32(arguments, &c->called_id.seqid) &&
                    reader_copy(arguments, c->called_id.other, sizeof c->called_id.other));
        read_called_handle(c, arguments);
        nfs4_read_notices(c, arguments);
        break;
    case CB_RECALL_ANY:
        assert_true(reader_be32(arguments, &c->called_keep) && reader_be32(arguments, &words) && words == 1 &&
                    reader_be32(arguments, &c->called_mask));
        break;
    case CB_NOTIFY_LOCK:
        read_called_lock(c, arguments);
        break;
    default:
        fail_msg("called with %u", c->called_opnum);
    }
}

static void read_called(struct nfs4c *c, struct reader *arguments)
{
    const uint8_t *tag = NULL;
    uint32_t length = 0, count = 0;

    assert_true(reader_xdr_opaque(arguments, 1024, &tag, &length) &&
                reader_be32(arguments, &c->called_minor) && reader_be32(arguments, &c->called_ident) &&
                reader_be32(arguments, &count));
    assert_int_equal(c->called_minor, c->wire.minor);
    assert_int_equal(count, c->wire.minor == 0 ? 1 : 2);
    if (c->wire.minor > 0)
        read_called_sequence(c, arguments);
    assert_true(reader_be32(arguments, &c->called_opnum));
    read_called_operation(c, arguments);
    assert_true(reader_is_done(arguments));
    c->called++;
    c->called_with[c->called_opnum]++;
}

static void write_answer(const struct nfs4c *c, struct writer *results)
{
    uint32_t first = c->wire.minor > 0 ? 1 : 0;

    writer_be32(results, c->sequence_answer != 0 ? c->sequence_answer : c->answer);
    writer_be32(results, 0);
    writer_be32(results, c->junk == NFS4C_MANY ? 7 : first + (c->sequence_answer == 0));
    if (c->junk == NFS4C_CUT)
        return;
    if (first) {
        writer_be32(results, CB_SEQUENCE);
        writer_be32(results, c->sequence_answer);
        if (c->sequence_answer != 0)
            return;
        writer_bytes(results, c->wire.session.id, 16);
        writer_be32(results, c->called_seqid);
        writer_be32(results, c->called_slot);
        writer_zeros(results, 8);
    }
    writer_be32(results, c->junk == NFS4C_OTHER ? 5 : c->called_opnum);
    writer_be32(results, c->answer);
    if (c->called_opnum != CB_GETATTR || c->answer != NFS4_OK)
        return;
    writer_be32(results, 1);
    writer_be32(results, c->junk == NFS4C_NO_ATTRIBUTES ? 0 : 1u << FATTR4_CHANGE | 1u << FATTR4_SIZE);
    writer_be32(results, c->junk == NFS4C_NO_ATTRIBUTES ? 0 : 16);
    if (c->junk == NFS4C_NO_ATTRIBUTES)
        return;
    writer_be64(results, c->answer_change);
    writer_be64(results, c->answer_size);
}

void nfs4_on_called(struct rpcclient *rpc, void *data, uint32_t xid, uint32_t program, uint32_t version,
                    uint32_t procedure, struct reader *arguments)
{
    struct nfs4c *c = data;
    struct writer results;

    assert_int_equal(program, WIRE4_CALLBACK_PROGRAM);
    assert_int_equal(version, CB_VERSION);
    assert_int_equal(procedure, 1);
    read_called(c, arguments);
    if (c->deaf)
        return;
    writer_init_growing(&results, 4096);
    write_answer(c, &results);
    assert_true(rpcclient_reply(rpc, xid, RPCCLIENT_SUCCESS, &results));
    writer_free(&results);
}

static void on_null(struct onc_call *call)
{
    struct nfs4c *c = call->program->data;

    c->called_with[0]++;
    if (c->deaf)
        onc_call_drop(call);
    else
        onc_call_reply(call);
}

static void on_compound(struct onc_call *call)
{
    struct nfs4c *c = call->program->data;

    read_called(c, &call->arguments);
    c->called_flavor = call->credential.flavor;
    c->called_uid = call->credential.uid;
    if (c->deaf) {
        onc_call_drop(call);
        return;
    }
    write_answer(c, &call->reply);
    onc_call_reply(call);
}

static const struct onc_procedure callback_procedures[] = {
    {.name = "CB_NULL", .run = on_null}, {.name = "CB_COMPOUND", .run = on_compound, .reply_max = 1024}};

void nfs4_listen(struct nfs4c *c)
{
    struct onc_service *service;
    struct net_address address;

    c->callback_program = (struct onc_program){.name = "callback",
                                               .number = WIRE4_CALLBACK_PROGRAM,
                                               .version = CB_VERSION,
                                               .procedures = callback_procedures,
                                               .procedure_count = 2,
                                               .arguments_max = 4096,
                                               .data = c};
    assert_int_equal(onc_server_open(c->world->loop, NULL, &c->listener), ERR_OK);
    assert_int_equal(onc_service_open(c->listener, "callback", &service), ERR_OK);
    assert_int_equal(onc_service_add_program(service, &c->callback_program), ERR_OK);
    assert_int_equal(net_address_parse("127.0.0.1", c->listen_port, &address), ERR_OK);
    assert_int_equal(onc_service_listen(service, ONC_TCP, &address, &c->listen_port), ERR_OK);
}

static void listen_done(void *data)
{
    ((struct nfs4c *)data)->listen_done = true;
}

void nfs4_stop_listening(struct nfs4c *c)
{
    if (c->listener == NULL)
        return;
    c->listen_done = false;
    onc_server_shutdown(c->listener, listen_done, c);
    while (!c->listen_done)
        loop_run_once(c->world->loop, true);
    onc_server_close(&c->listener);
}
