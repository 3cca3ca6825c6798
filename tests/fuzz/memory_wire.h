/*
 * memory_wire.h - an RPC connection without a socket, for the fuzz targets of src/rpc: bytes go in by
 * wire_put, what comes out is held against the rules of record marking and of replies.
 */
#ifndef DITTOFS_TESTS_MEMORY_WIRE_H
#define DITTOFS_TESTS_MEMORY_WIRE_H

#include "dittofs/log.h"
#include "rpc/rpc_priv.h"
#include "simloop.h"
#include <stdlib.h>
#include <string.h>

struct memory_wire {
    struct loop *loop;
    struct onc_conn *conn;
    bool congested;
    bool closed;       /* by the server */
    struct writer out; /* bytes that are not a whole record yet */
    uint32_t replies, calls;
};

/* Takes whole records out of what was sent. */
static void wire_check(struct memory_wire *wire)
{
    struct reader reader = reader_of(wire->out.data, wire->out.length);

    for (;;) {
        struct reader ahead = reader, message;
        uint32_t marker, xid, type, status;

        if (!reader_be32(&ahead, &marker))
            break;
        invariant((marker & 0x80000000u) != 0);
        if (!reader_sub(&ahead, marker & 0x7fffffffu, &message))
            break;
        invariant(reader_be32(&message, &xid) && reader_be32(&message, &type) && type <= ONC__REPLY);
        invariant(reader_be32(&message, &status));
        if (type == ONC__REPLY) {
            invariant(status <= ONC__DENIED);
            wire->replies++;
        } else {
            invariant(status == ONC__VERSION);
            wire->calls++;
        }
        reader = ahead;
    }
    if (reader.left < wire->out.length) {
        size_t left = reader.left;

        memmove(wire->out.data, reader.at, left);
        writer_truncate(&wire->out, left);
    }
}

static void wire_send(void *data, const struct bufpart *parts, int count)
{
    struct memory_wire *wire = data;

    for (int i = 0; i < count; i++)
        writer_bytes(&wire->out, parts[i].data, parts[i].length);
    invariant(!wire->out.failed);
    wire_check(wire);
}

static void wire_flush(void *data)
{
    (void)data;
}

static bool wire_is_congested(void *data)
{
    return ((struct memory_wire *)data)->congested;
}

static void wire_resume(void *data)
{
    (void)data;
}

static void wire_close(void *data, bool drain)
{
    (void)drain;
    ((struct memory_wire *)data)->closed = true;
}

static const struct onc__wire memory_wire_operations = {.send = wire_send,
                                                        .flush = wire_flush,
                                                        .is_congested = wire_is_congested,
                                                        .resume_reading = wire_resume,
                                                        .close = wire_close};

static void wire_open(struct memory_wire *wire, struct loop *loop, struct onc_service *service)
{
    struct net_address peer, local;

    *wire = (struct memory_wire){.loop = loop};
    writer_init_growing(&wire->out, 64 << 20);
    invariant(net_address_parse("192.0.2.1", 700, &peer) == ERR_OK);
    invariant(net_address_parse("192.0.2.2", 2049, &local) == ERR_OK);
    wire->conn = onc__conn_new(service, &memory_wire_operations, wire, &peer, &local);
    invariant(wire->conn != NULL);
}

/* The peer is gone. */
static void wire_end(struct memory_wire *wire)
{
    onc__conn_gone(wire->conn);
    wire->conn = NULL;
    invariant(wire->out.length == 0);
    writer_free(&wire->out);
}

/* Bytes from the peer, or zeros for NULL; what the connection does not take now is lost, as its end is. */
static void wire_put(struct memory_wire *wire, const uint8_t *bytes, size_t length)
{
    while (length > 0 && !wire->closed) {
        size_t room = 0;
        uint8_t *space = onc__conn_space(wire->conn, &room);

        if (space == NULL) {
            loop_run_once(wire->loop, false);
            if (wire->closed)
                return;
            space = onc__conn_space(wire->conn, &room);
        }
        if (space == NULL)
            return;
        invariant(room > 0);
        if (room > length)
            room = length;
        if (bytes != NULL) {
            memcpy(space, bytes, room);
            bytes += room;
        } else {
            memset(space, 0, room);
        }
        length -= room;
        onc__conn_received(wire->conn, room);
    }
}

#endif
