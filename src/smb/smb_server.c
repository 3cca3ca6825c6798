/*
 * smb_server.c - the front-end as a whole: listeners, and the order of its end.
 *
 * Shutdown: listeners go, connections close, what their requests wait for comes back; then `stopped` is told.
 */
#include "smb/smb2_file_priv.h"
#include "dittofs/clock.h"
#include "dittofs/random.h"

#include <stdlib.h>

enum { DELAYS_MAX = 4096 };

struct smb__listener {
    struct net_listener *net;
    struct list link;
};

enum err smb_server_open(struct loop *loop, struct vfs *vfs, struct state *state, struct identity *identity,
                         const struct smb_options *options, struct smb_server **server_r)
{
    struct smb_server *server;
    enum err err = cred_ntlm_prepare();

    if (err != ERR_OK)
        return err;
    server = calloc(1, sizeof *server);
    if (server == NULL)
        return ERR_NOMEM;
    server->loop = loop;
    server->vfs = vfs;
    server->state = state;
    server->identity = identity;
    server->options = *options;
    if (server->options.least_dialect == 0)
        server->options.least_dialect = 0x0202;
    if (server->options.most_dialect == 0)
        server->options.most_dialect = 0x0311;
    server->ntlm.identity = identity;
    server->offers[0] = (struct cred_offer){.mechanism = &cred_ntlm, .server = &server->ntlm};
    /* Some clients keep 32 bits of it. */
    server->next_session = random_u64() >> 33 | 1;
    server->next_file = random_u64() >> 1 | 1;
    server->started = clock_wall();
    server->shares_generation = 1;
    random_bytes(&server->hash_key, sizeof server->hash_key);
    hashtable_init(&server->sessions);
    hashtable_init(&server->opens);
    hashtable_init(&server->clients);
    hashtable_init(&server->create_guids);
    list_init(&server->parked);
    list_init(&server->unrecorded);
    if (options->records != NULL) {
        server->records = *options->records;
        server->has_records = true;
    }
    list_init(&server->listeners);
    list_init(&server->conns);
    list_init(&server->watches);
    list_init(&server->read_slots.conns);
    hashtable_init(&server->leases);
    err = cred_delays_open(DELAYS_MAX, &server->delays);
    if (err != ERR_OK) {
        free(server);
        return err;
    }
    smb2__file_watch(server);
    *server_r = server;
    return ERR_OK;
}

static bool on_accepted(struct net_conn *net, void *data)
{
    struct smb_server *server = data;
    struct smb2_conn *conn = server->stopping ? NULL : smb2__conn_of_wire(server, net);

    if (conn == NULL)
        return false;
    net_conn_set_events(net, &smb2__conn_events, conn);
    return true;
}

enum err smb_server_listen(struct smb_server *server, const struct net_address *address, uint16_t *port_r)
{
    struct net_limits limits = {.connections = server->options.connections,
                                .send_queue_bytes = SMB2_SEND_QUEUE_MAX};
    struct smb__listener *listener = calloc(1, sizeof *listener);
    enum err err;

    if (listener == NULL)
        return ERR_NOMEM;
    err = net_listen(server->loop, address, &limits, on_accepted, server, &listener->net);
    if (err != ERR_OK) {
        free(listener);
        return err;
    }
    list_push_back(&server->listeners, &listener->link);
    *port_r = net_listener_port(listener->net);
    return ERR_OK;
}

void smb2__server_check_stopped(struct smb_server *server)
{
    void (*stopped)(void *data) = server->stopped;

    if (!server->stopping || stopped == NULL || !list_is_empty(&server->conns) || server->message_count > 0)
        return;
    server->stopped = NULL;
    stopped(server->stopped_data);
}

void smb_server_shutdown(struct smb_server *server, void (*done)(void *data), void *data)
{
    struct list *link, *following;

    server->stopping = true;
    server->stopped = done;
    server->stopped_data = data;
    list_for_each_safe(link, following, &server->listeners)
    {
        struct smb__listener *listener = container_of(link, struct smb__listener, link);

        net_listener_close(&listener->net);
        list_remove(&listener->link);
        free(listener);
    }
    list_for_each_safe(link, following, &server->conns)
        smb2__conn_close(container_of(link, struct smb2_conn, link), true);
    smb2__persist_stop(server);
    smb2__durable_end_all(server);
    smb2__server_check_stopped(server);
}

void smb_server_close(struct smb_server **server)
{
    struct smb_server *gone = *server;

    *server = NULL;
    if (gone == NULL)
        return;
    invariant(list_is_empty(&gone->conns) && list_is_empty(&gone->listeners) && gone->message_count == 0);
    invariant(gone->sessions.count == 0 && gone->opens.count == 0 && gone->clients.count == 0);
    invariant(gone->leases.count == 0);
    smb2__read_slots_stop(gone);
    hashtable_free(&gone->leases);
    hashtable_free(&gone->sessions);
    hashtable_free(&gone->opens);
    hashtable_free(&gone->clients);
    hashtable_free(&gone->create_guids);
    cred_delays_close(&gone->delays);
    smb_shares_free(&gone->shares);
    smb2__file_unwatch(gone);
    smb2__tunnel_free(gone);
    free(gone);
}
