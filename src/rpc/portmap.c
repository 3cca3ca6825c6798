/*
 * portmap.c - tells clients where our programs are: by the system's rpcbind, or by being one.
 *
 * The happy path with a rpcbind: a worker job looks whether one answers, and registers each mapping for each
 * family of addresses through libtirpc, whose calls block. Without: the job says so, and the loop opens a
 * service of its own on port 111. At the end the registrations are taken back by a thread that is waited for
 * at most STOP_MS, since rpcbind may hang and we are to end.
 *
 * Ownership: the map is copied; a thread that is not waited for any longer frees its copy itself. While a job
 * runs, the portmap stays until it is back, also when it was stopped meanwhile; the server's shutdown waits
 * for that.
 */
#include "rpc/portmap_priv.h"
#include "dittofs/log.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netconfig.h>
#include <poll.h>
#include <pthread.h>
#include <rpc/rpc.h>
#include <rpc/rpcb_clnt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { PROBE_MS = 1000, STOP_MS = 2000 };

static const char rpcbind_socket[] = "/run/rpcbind.sock";

struct onc_portmap {
    struct onc_server *server;
    enum onc_portmap_mode mode;
    struct onc__map map;
    struct loop_job job;
    bool job_running;
    bool stopped;
    bool registered;             /* some of the mappings; written by the job */
    struct onc_service *service; /* when we serve */
    struct onc_program programs[ONC__PORTMAP_VERSIONS];
};

/* ---- the map ---- */

static void free_map(struct onc__map *map)
{
    free(map->addresses);
    free(map->mappings);
    *map = (struct onc__map){0};
}

/* With room for EXTRA more mappings. */
static bool copy_map(struct onc__map *to, const struct net_address *addresses, size_t address_count,
                     const struct onc_mapping *mappings, size_t mapping_count, size_t extra)
{
    to->addresses = calloc(address_count + 1, sizeof *to->addresses);
    to->mappings = calloc(mapping_count + extra + 1, sizeof *to->mappings);
    if (to->addresses == NULL || to->mappings == NULL) {
        free_map(to);
        return false;
    }
    if (address_count > 0)
        memcpy(to->addresses, addresses, address_count * sizeof *addresses);
    if (mapping_count > 0)
        memcpy(to->mappings, mappings, mapping_count * sizeof *mappings);
    to->address_count = address_count;
    to->mapping_count = mapping_count;
    return true;
}

/* ---- registration, on a worker or a thread of its own ---- */

/* The address to tell for FAMILY: ours when there is one, else the wildcard, which rpcbind turns into one
 * that the asking client can reach. */
static struct net_address address_to_tell(const struct onc__map *map, int family)
{
    struct net_address address = {.sa.any.sa_family = (sa_family_t)family};
    size_t count = 0;

    for (size_t i = 0; i < map->address_count; i++) {
        if (map->addresses[i].sa.any.sa_family != family)
            continue;
        if (count++ > 0)
            return (struct net_address){.sa.any.sa_family = (sa_family_t)family};
        address = map->addresses[i];
    }
    return address;
}

static bool register_one(const struct onc_mapping *mapping, struct netconfig *config,
                         struct net_address address)
{
    struct netbuf name = {.buf = &address.sa.storage};

    if (address.sa.any.sa_family == AF_INET6) {
        address.sa.v6.sin6_port = htons(mapping->port);
        name.len = name.maxlen = sizeof address.sa.v6;
    } else {
        address.sa.v4.sin_port = htons(mapping->port);
        name.len = name.maxlen = sizeof address.sa.v4;
    }
    /* What an earlier run left behind. */
    rpcb_unset(mapping->program, mapping->version, config);
    return rpcb_set(mapping->program, mapping->version, config, &name);
}

/* Calls for each mapping and family; gives how many succeeded. */
static size_t for_each_registration(const struct onc__map *map, bool set, size_t *count_r)
{
    static const int families[] = {AF_INET, AF_INET6};
    size_t done = 0;

    *count_r = 0;
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        struct net_address address = address_to_tell(map, families[i]);

        if (!onc__map_has_family(map, families[i]))
            continue;
        for (size_t j = 0; j < map->mapping_count; j++) {
            const struct onc_mapping *mapping = &map->mappings[j];
            struct netconfig *config = getnetconfigent(onc__netid(mapping->transport, families[i]));

            ++*count_r;
            if (config == NULL)
                continue;
            if (set ? register_one(mapping, config, address)
                    : rpcb_unset(mapping->program, mapping->version, config))
                done++;
            freenetconfigent(config);
        }
    }
    return done;
}

static bool connects(int family, const struct sockaddr *address, socklen_t length)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct pollfd polled = {.fd = fd, .events = POLLOUT};
    int error = 0;
    socklen_t error_length = sizeof error;
    bool connected;

    if (fd < 0)
        return false;
    connected = connect(fd, address, length) == 0;
    if (!connected && errno == EINPROGRESS && poll(&polled, 1, PROBE_MS) == 1)
        connected = getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_length) == 0 && error == 0;
    close(fd);
    return connected;
}

static bool rpcbind_answers(void)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct sockaddr_in loopback = {.sin_family = AF_INET,
                                   .sin_port = htons(ONC__PORTMAP_PORT),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    memcpy(local.sun_path, rpcbind_socket, sizeof rpcbind_socket);
    return connects(AF_UNIX, (const struct sockaddr *)&local, sizeof local) ||
           connects(AF_INET, (const struct sockaddr *)&loopback, sizeof loopback);
}

static void work(struct loop_job *job)
{
    struct onc_portmap *portmap = container_of(job, struct onc_portmap, job);
    size_t count, done;

    if (portmap->mode == ONC_PORTMAP_AUTO && !rpcbind_answers())
        return;
    portmap->mode = ONC_PORTMAP_REGISTER;
    done = for_each_registration(&portmap->map, true, &count);
    portmap->registered = done > 0;
    if (done < count)
        log_warning("rpc: rpcbind took %zu of %zu registrations", done, count);
    else
        log_info("rpc: registered with rpcbind");
}

/* ---- taking back ---- */

struct taking_back {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool done;      /* by the thread */
    bool abandoned; /* by us: the thread frees */
    struct onc__map map;
};

static void free_taking_back(struct taking_back *back)
{
    pthread_cond_destroy(&back->changed);
    pthread_mutex_destroy(&back->lock);
    free_map(&back->map);
    free(back);
}

static void *take_back_thread(void *data)
{
    struct taking_back *back = data;
    size_t count;
    bool abandoned;

    (void)for_each_registration(&back->map, false, &count);
    pthread_mutex_lock(&back->lock);
    back->done = true;
    abandoned = back->abandoned;
    pthread_cond_signal(&back->changed);
    pthread_mutex_unlock(&back->lock);
    if (abandoned)
        free_taking_back(back);
    return NULL;
}

/* Waits for the thread; false when it takes too long and frees by itself. */
static bool wait_for_thread(struct taking_back *back)
{
    struct timespec end;
    bool done;

    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += STOP_MS / 1000;
    pthread_mutex_lock(&back->lock);
    while (!back->done && pthread_cond_timedwait(&back->changed, &back->lock, &end) == 0)
        continue;
    done = back->done;
    back->abandoned = !done;
    pthread_mutex_unlock(&back->lock);
    return done;
}

/* Takes over the map. */
static void take_registrations_back(struct onc__map *map)
{
    struct taking_back *back = calloc(1, sizeof *back);
    pthread_t thread;

    if (back == NULL)
        return;
    pthread_mutex_init(&back->lock, NULL);
    pthread_cond_init(&back->changed, NULL);
    back->map = *map;
    *map = (struct onc__map){0};
    if (pthread_create(&thread, NULL, take_back_thread, back) != 0) {
        free_taking_back(back);
        return;
    }
    if (wait_for_thread(back)) {
        pthread_join(thread, NULL);
        free_taking_back(back);
    } else {
        pthread_detach(thread);
        log_warning("rpc: rpcbind does not answer; registrations may be left behind");
    }
}

static void finish(struct onc_portmap *portmap)
{
    if (portmap->registered)
        take_registrations_back(&portmap->map);
    free_map(&portmap->map);
    free(portmap);
}

/* ---- serving ---- */

static void set_port(struct net_address *address, uint16_t port)
{
    if (address->sa.any.sa_family == AF_INET6)
        address->sa.v6.sin6_port = htons(port);
    else
        address->sa.v4.sin_port = htons(port);
}

/* The mapper itself is in its table, too. */
static void add_own_mappings(struct onc__map *map)
{
    static const enum onc_transport transports[] = {ONC_TCP, ONC_UDP};

    for (uint32_t version = 2; version < 2 + ONC__PORTMAP_VERSIONS; version++) {
        for (size_t i = 0; i < sizeof transports / sizeof *transports; i++)
            map->mappings[map->mapping_count++] = (struct onc_mapping){.program = ONC__PORTMAP_PROGRAM,
                                                                       .version = version,
                                                                       .transport = transports[i],
                                                                       .port = ONC__PORTMAP_PORT};
    }
}

static void serve(struct onc_portmap *portmap)
{
    enum err err = onc_service_open(portmap->server, "portmap", &portmap->service);

    if (err == ERR_OK) {
        add_own_mappings(&portmap->map);
        err = onc__portmap_serve(portmap->service, &portmap->map, portmap->programs);
    }
    for (size_t i = 0; err == ERR_OK && i < portmap->map.address_count; i++) {
        struct net_address address = portmap->map.addresses[i];
        uint16_t port;

        set_port(&address, ONC__PORTMAP_PORT);
        err = onc_service_listen(portmap->service, ONC_TCP, &address, &port);
        if (err == ERR_OK)
            err = onc_service_listen(portmap->service, ONC_UDP, &address, &port);
    }
    if (err != ERR_OK)
        log_warning("rpc: can't serve port %d: %s; clients must be given the ports", ONC__PORTMAP_PORT,
                    err_text(err));
    else
        log_info("rpc: serving port %d", ONC__PORTMAP_PORT);
}

/* ---- life ---- */

static void on_done(struct loop_job *job)
{
    struct onc_portmap *portmap = container_of(job, struct onc_portmap, job);

    portmap->job_running = false;
    portmap->server->jobs--;
    if (portmap->server->shutting_down)
        loop_wake(portmap->server->loop);
    if (portmap->stopped)
        finish(portmap);
    else if (portmap->mode == ONC_PORTMAP_AUTO)
        serve(portmap);
}

enum err onc_portmap_start(struct onc_server *server, enum onc_portmap_mode mode,
                           const struct net_address *addresses, size_t address_count,
                           const struct onc_mapping *mappings, size_t mapping_count,
                           struct onc_portmap **portmap_r)
{
    struct onc_portmap *portmap = calloc(1, sizeof *portmap);
    enum err err;

    if (portmap == NULL)
        return ERR_NOMEM;
    portmap->server = server;
    portmap->mode = mode;
    if (!copy_map(&portmap->map, addresses, address_count, mappings, mapping_count,
                  2 * ONC__PORTMAP_VERSIONS)) {
        free(portmap);
        return ERR_NOMEM;
    }
    switch (mode) {
    case ONC_PORTMAP_AUTO:
    case ONC_PORTMAP_REGISTER:
        portmap->job.work = work;
        portmap->job.done = on_done;
        err = loop_submit(server->loop, &portmap->job);
        if (err != ERR_OK) {
            finish(portmap);
            return err;
        }
        portmap->job_running = true;
        server->jobs++;
        break;
    case ONC_PORTMAP_SERVE:
        serve(portmap);
        break;
    case ONC_PORTMAP_OFF:
        break;
    }
    *portmap_r = portmap;
    return ERR_OK;
}

void onc_portmap_stop(struct onc_portmap **portmap_p)
{
    struct onc_portmap *portmap = *portmap_p;

    *portmap_p = NULL;
    if (portmap == NULL)
        return;
    if (portmap->service != NULL)
        onc__service_stop(portmap->service);
    portmap->stopped = true;
    if (!portmap->job_running)
        finish(portmap);
}
