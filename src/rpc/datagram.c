/*
 * datagram.c - calls and replies as datagrams, for MOUNT, NLM, NSM and portmap.
 *
 * A datagram is a whole call. Its bytes are copied, as calls may outlive the receive. Over a limit it is
 * dropped, as datagrams are: the client asks again.
 */
#include "rpc/rpc_priv.h"
#include "dittofs/clock.h"
#include <stdlib.h>
#include <string.h>

static void on_received(struct net_datagram *socket, void *data, const struct net_address *from,
                        const struct net_address *to, const uint8_t *bytes, size_t length)
{
    struct onc__datagram *datagram = data;
    struct onc_service *service = datagram->service;
    struct onc_server *server = service->server;
    struct onc__record record = {.length = length};

    (void)socket;
    server->counters.bytes_received += length;
    if (server->shutting_down || onc__server_is_full(server) || length == 0 ||
        length > server->limits.record_bytes_max)
        return;
    record.block = onc__block_new(&server->memory, length);
    if (record.block == NULL)
        return;
    memcpy(record.block->buf->data, bytes, length);
    record.data = record.block->buf->data;
    if (!onc__call_serve(service, NULL, datagram, from, to, &record, clock_monotonic_ns()))
        server->counters.bad_records++;
}

enum err onc__datagram_open(struct onc_service *service, const struct net_address *address, uint16_t *port_r)
{
    struct onc__datagram *datagram = calloc(1, sizeof *datagram);
    enum err err;

    if (datagram == NULL)
        return ERR_NOMEM;
    datagram->service = service;
    err = net_datagram_open(service->server->loop, address, on_received, datagram, &datagram->socket);
    if (err != ERR_OK) {
        free(datagram);
        return err;
    }
    list_push_back(&service->datagrams, &datagram->link);
    *port_r = net_datagram_port(datagram->socket);
    return ERR_OK;
}

void onc__datagram_free(struct onc__datagram *datagram)
{
    list_remove(&datagram->link);
    net_datagram_close(&datagram->socket);
    free(datagram);
}
