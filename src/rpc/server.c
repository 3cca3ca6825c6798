/*
 * server.c - the server: limits, services, listeners, shutdown.
 *
 * A service is a group of programs that are answered on the same ports. The server's hook at the end of each
 * turn lets connections go on that had to wait. Shutdown: listeners close, nothing more is read, calls in
 * flight get GRACE_MS to end and their replies are sent; then all connections close, and when the last one
 * and the last call are gone the owner is told.
 */
#include "rpc/rpc_priv.h"
#include "dittofs/clock.h"
#include "dittofs/log.h"
#include "dittofs/random.h"
#include <stdlib.h>
#include <string.h>

enum {
    RECORD_BYTES_MAX = (1 << 20) + (64 << 10), /* defaults of struct onc_limits */
    CALLS_PER_CONNECTION = 256,
    CALLS_TOTAL = 8192,
    BYTES_TOTAL = 256 << 20,
    IDLE_MS = 15 * 60 * 1000,
    DUPLICATE_CACHE_ENTRIES = 4096,
    DUPLICATE_CACHE_BYTES = 8 << 20,
    SWEEP_MS_MAX = 15 * 1000,
    SWEEPS_PER_IDLE = 4,
    GRACE_MS = 2000,
    RECORD_BYTES_LIMIT = 0x7fffffff
};

struct onc__listener {
    struct net_listener *net;
    struct onc_service *service;
    struct list link; /* in service->listeners */
};

static void on_hook(struct loop_hook *hook);

static void set_limits(struct onc_limits *to, const struct onc_limits *from)
{
    if (from != NULL)
        *to = *from;
    if (to->record_bytes_max == 0)
        to->record_bytes_max = RECORD_BYTES_MAX;
    if (to->record_bytes_max > RECORD_BYTES_LIMIT)
        to->record_bytes_max = RECORD_BYTES_LIMIT;
    if (to->calls_per_connection == 0)
        to->calls_per_connection = CALLS_PER_CONNECTION;
    if (to->calls_total == 0)
        to->calls_total = CALLS_TOTAL;
    if (to->bytes_total == 0)
        to->bytes_total = BYTES_TOTAL;
    if (to->idle_ms == 0)
        to->idle_ms = IDLE_MS;
    if (to->duplicate_cache_entries == 0)
        to->duplicate_cache_entries = DUPLICATE_CACHE_ENTRIES;
    if (to->duplicate_cache_bytes == 0)
        to->duplicate_cache_bytes = DUPLICATE_CACHE_BYTES;
}

static void on_sweep(struct loop_timer *timer)
{
    struct onc_server *server = container_of(timer, struct onc_server, sweep);
    uint64_t now_ms = clock_monotonic_ms();
    struct list *link, *following;

    list_for_each_safe(link, following, &server->conns)
    {
        onc__conn_sweep(container_of(link, struct onc_conn, link), now_ms);
    }
    /* Memory may have come back without a call's end. */
    onc__server_unblock(server);
}

static void on_grace(struct loop_timer *timer)
{
    struct onc_server *server = container_of(timer, struct onc_server, grace);
    struct list *link, *following;

    log_warning("rpc: %llu calls did not end in time for the shutdown",
                (unsigned long long)server->counters.calls_now);
    list_for_each_safe(link, following, &server->conns)
    {
        onc__conn_close(container_of(link, struct onc_conn, link), false);
    }
}

enum err onc_server_open(struct loop *loop, const struct onc_limits *limits, struct onc_server **server_r)
{
    struct onc_server *server = calloc(1, sizeof *server);
    uint64_t sweep_ms;

    if (server == NULL)
        return ERR_NOMEM;
    server->loop = loop;
    set_limits(&server->limits, limits);
    server->memory.bytes_max = server->limits.bytes_total;
    server->next_conn_id = 1;
    list_init(&server->services);
    list_init(&server->conns);
    list_init(&server->ready);
    list_init(&server->blocked);
    onc__duplicates_init(&server->duplicates, server->limits.duplicate_cache_entries,
                         server->limits.duplicate_cache_bytes);
    server->hook.callback = on_hook;
    loop_hook_add(loop, &server->hook);
    server->sweep.callback = on_sweep;
    server->grace.callback = on_grace;
    sweep_ms = server->limits.idle_ms / SWEEPS_PER_IDLE + 1;
    if (sweep_ms > SWEEP_MS_MAX)
        sweep_ms = SWEEP_MS_MAX;
    loop_timer_start(loop, &server->sweep, sweep_ms, sweep_ms);
    *server_r = server;
    return ERR_OK;
}

/* ---- going on ---- */

bool onc__server_is_full(const struct onc_server *server)
{
    return server->counters.calls_now >= server->limits.calls_total;
}

void onc__server_unblock(struct onc_server *server)
{
    if (onc__server_is_full(server) || list_is_empty(&server->blocked))
        return;
    list_splice_back(&server->ready, &server->blocked);
    loop_wake(server->loop);
}

static void free_datagrams(struct onc_service *service)
{
    while (!list_is_empty(&service->datagrams))
        onc__datagram_free(list_first(&service->datagrams, struct onc__datagram, link));
}

static void free_all_datagrams(struct onc_server *server)
{
    struct list *link;

    list_for_each(link, &server->services)
    {
        free_datagrams(container_of(link, struct onc_service, link));
    }
}

static void finish_shutdown(struct onc_server *server)
{
    void (*done)(void *) = server->shutdown_done;

    if (server->counters.calls_now > 0 || server->counters.connections_now > 0 || server->jobs > 0 ||
        done == NULL)
        return;
    server->shutdown_done = NULL;
    loop_timer_stop(&server->grace);
    free_all_datagrams(server);
    done(server->shutdown_data);
}

static void on_hook(struct loop_hook *hook)
{
    struct onc_server *server = container_of(hook, struct onc_server, hook);
    struct list waiting;

    if (!list_is_empty(&server->ready)) {
        list_init(&waiting);
        list_splice_back(&waiting, &server->ready);
        while (!list_is_empty(&waiting)) {
            struct onc_conn *conn = list_first(&waiting, struct onc_conn, ready_link);

            list_remove(&conn->ready_link);
            onc__conn_continue(conn);
        }
    }
    if (server->shutting_down)
        finish_shutdown(server);
}

/* ---- shutdown ---- */

static void close_listeners(struct onc_service *service)
{
    while (!list_is_empty(&service->listeners)) {
        struct onc__listener *listener = list_first(&service->listeners, struct onc__listener, link);

        list_remove(&listener->link);
        net_listener_close(&listener->net);
        free(listener);
    }
}

void onc__service_stop(struct onc_service *service)
{
    struct list *link, *following;

    close_listeners(service);
    free_datagrams(service);
    list_for_each_safe(link, following, &service->server->conns)
    {
        struct onc_conn *conn = container_of(link, struct onc_conn, link);

        if (conn->service == service)
            onc__conn_close(conn, true);
    }
    service->program_count = 0;
}

void onc_server_shutdown(struct onc_server *server, void (*done)(void *data), void *data)
{
    struct list *link, *following;

    invariant(!server->shutting_down);
    server->shutting_down = true;
    server->shutdown_done = done;
    server->shutdown_data = data;
    list_for_each(link, &server->services)
    {
        close_listeners(container_of(link, struct onc_service, link));
    }
    list_for_each_safe(link, following, &server->conns)
    {
        struct onc_conn *conn = container_of(link, struct onc_conn, link);

        if (conn->call_count == 0)
            onc__conn_close(conn, true);
    }
    loop_timer_stop(&server->sweep);
    loop_timer_start(server->loop, &server->grace, GRACE_MS, 0);
    loop_wake(server->loop);
}

static void free_service(struct onc_service *service)
{
    list_remove(&service->link);
    free(service->programs);
    free(service->name);
    free(service);
}

void onc_server_close(struct onc_server **server_p)
{
    struct onc_server *server = *server_p;

    *server_p = NULL;
    if (server == NULL)
        return;
    invariant(server->counters.calls_now == 0 && list_is_empty(&server->conns));
    loop_hook_remove(&server->hook);
    loop_timer_stop(&server->sweep);
    loop_timer_stop(&server->grace);
    free_all_datagrams(server);
    while (!list_is_empty(&server->services)) {
        struct onc_service *service = list_first(&server->services, struct onc_service, link);

        invariant(list_is_empty(&service->listeners));
        free_service(service);
    }
    onc__duplicates_free(&server->duplicates);
    onc__calls_free(server);
    onc__memory_free(&server->memory);
    free(server);
}

/* ---- services ---- */

enum err onc_service_open(struct onc_server *server, const char *name, struct onc_service **service_r)
{
    struct onc_service *service = calloc(1, sizeof *service);

    if (service == NULL)
        return ERR_NOMEM;
    service->name = strdup(name);
    if (service->name == NULL) {
        free(service);
        return ERR_NOMEM;
    }
    service->server = server;
    list_init(&service->listeners);
    list_init(&service->datagrams);
    list_push_back(&server->services, &service->link);
    *service_r = service;
    return ERR_OK;
}

enum err onc_service_add_program(struct onc_service *service, const struct onc_program *program)
{
    const struct onc_program **programs =
        realloc(service->programs, (service->program_count + 1) * sizeof(struct onc_program *));

    if (programs == NULL)
        return ERR_NOMEM;
    service->programs = programs;
    programs[service->program_count++] = program;
    return ERR_OK;
}

static bool on_accepted(struct net_conn *net, void *data)
{
    struct onc__listener *listener = data;
    struct onc_conn *conn =
        onc__conn_new(listener->service, &onc__conn_wire, net, net_conn_peer(net), net_conn_local(net));

    if (conn == NULL)
        return false;
    net_conn_set_events(net, &onc__conn_events, conn);
    return true;
}

static enum err listen_stream(struct onc_service *service, const struct net_address *address,
                              uint16_t *port_r)
{
    struct onc__listener *listener = calloc(1, sizeof *listener);
    enum err err;

    if (listener == NULL)
        return ERR_NOMEM;
    listener->service = service;
    err = net_listen(service->server->loop, address, &service->server->limits.net, on_accepted, listener,
                     &listener->net);
    if (err != ERR_OK) {
        free(listener);
        return err;
    }
    list_push_back(&service->listeners, &listener->link);
    *port_r = net_listener_port(listener->net);
    return ERR_OK;
}

enum err onc_service_listen(struct onc_service *service, enum onc_transport transport,
                            const struct net_address *address, uint16_t *port_r)
{
    if (service->server->shutting_down)
        return ERR_CANCELLED;
    switch (transport) {
    case ONC_TCP:
        return listen_stream(service, address, port_r);
    case ONC_UDP:
        return onc__datagram_open(service, address, port_r);
    }
    return ERR_INVAL;
}

void onc_server_counters(const struct onc_server *server, struct onc_counters *counters_r)
{
    *counters_r = server->counters;
}
