/*
 * services.c - what answers on the network.
 *
 * A service listens on every address of the configuration at one port. When the port is "any", the first
 * address picks it and the others follow. NFS is served over TCP only, MOUNT over UDP, too, as old clients
 * and showmount ask for it.
 */
#include "daemon/services_priv.h"
#include "dittofs/net.h"

#include <stdio.h>

enum {
    PROGRAM_NFS = 100003,   /* RFC 1813 */
    PROGRAM_MOUNT = 100005, /* RFC 1813 appendix I */
    MAPPINGS_MAX = 16
};

struct mappings {
    struct onc_mapping items[MAPPINGS_MAX];
    size_t count;
};

static void add_mapping(struct mappings *mappings, uint32_t program, uint32_t version,
                        enum onc_transport transport, uint16_t port)
{
    invariant(mappings->count < MAPPINGS_MAX);
    mappings->items[mappings->count++] = (struct onc_mapping){
        .program = program,
        .version = version,
        .transport = transport,
        .port = port,
    };
}

/* A host without IPv6 (or without IPv4) serves what it has, unless the configuration names the address. */
static enum err listen_everywhere(struct onc_service *service, const char *name, enum onc_transport transport,
                                  const struct config *config, uint16_t *port)
{
    enum err first_failure = ERR_OK;
    size_t working = 0;

    for (size_t i = 0; i < config->listen.count; i++) {
        const char *text = config->listen.addresses[i];
        struct net_address address;
        enum err err = net_address_parse(text, *port, &address);

        if (err == ERR_OK)
            err = onc_service_listen(service, transport, &address, port);
        if (err == ERR_OK) {
            working++;
            continue;
        }
        log_write(config->listen_given ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING,
                  "%s: can't listen on %s port %u (%s): %s", name, text, *port,
                  transport == ONC_TCP ? "TCP" : "UDP", err_text(err));
        if (first_failure == ERR_OK)
            first_failure = err;
    }
    return working == 0 || config->listen_given ? first_failure : ERR_OK;
}

static enum err open_nfs(struct services *services, struct state *state, const struct nfs4_options *nfs4,
                         const struct config *config, struct mappings *mappings)
{
    struct onc_service *service;
    enum err err;

    if (!config->nfs_port.on)
        return ERR_OK;
    err = onc_service_open(services->onc, "nfs", &service);
    if (err == ERR_OK)
        err = nfs_server_add_nfs3(services->nfs, service);
    if (err == ERR_OK)
        err = nfs_server_add_nfs4(services->nfs, service, state, nfs4);
    services->nfs_port = config->nfs_port.number;
    if (err == ERR_OK)
        err = listen_everywhere(service, "nfs", ONC_TCP, config, &services->nfs_port);
    for (uint32_t version = 3; err == ERR_OK && version <= 4; version++)
        add_mapping(mappings, PROGRAM_NFS, version, ONC_TCP, services->nfs_port);
    return err;
}

static enum err open_mountd(struct services *services, const struct config *config, struct mappings *mappings)
{
    struct onc_service *service;
    enum err err;

    if (!config->mountd_port.on)
        return ERR_OK;
    err = onc_service_open(services->onc, "mountd", &service);
    if (err == ERR_OK)
        err = nfs_server_add_mount(services->nfs, service);
    services->mountd_port = config->mountd_port.number;
    if (err == ERR_OK)
        err = listen_everywhere(service, "mountd", ONC_TCP, config, &services->mountd_port);
    if (err == ERR_OK)
        err = listen_everywhere(service, "mountd", ONC_UDP, config, &services->mountd_port);
    for (uint32_t version = 1; err == ERR_OK && version <= 3; version++) {
        add_mapping(mappings, PROGRAM_MOUNT, version, ONC_TCP, services->mountd_port);
        add_mapping(mappings, PROGRAM_MOUNT, version, ONC_UDP, services->mountd_port);
    }
    return err;
}

static enum err start_portmap(struct services *services, const struct config *config,
                              const struct mappings *mappings)
{
    struct net_address addresses[CONFIG_LISTEN_MAX];

    if (mappings->count == 0 || config->rpcbind == ONC_PORTMAP_OFF)
        return ERR_OK;
    for (size_t i = 0; i < config->listen.count; i++) {
        enum err err = net_address_parse(config->listen.addresses[i], 0, &addresses[i]);

        if (err != ERR_OK)
            return err;
    }
    return onc_portmap_start(services->onc, config->rpcbind, addresses, config->listen.count, mappings->items,
                             mappings->count, &services->portmap);
}

enum err services_open(struct services *services, struct loop *loop, struct vfs *vfs, struct state *state,
                       const struct nfs4_options *nfs4, const struct config *config)
{
    struct mappings mappings = {.count = 0};
    enum err err = nfs_server_open(vfs, NULL, &services->nfs);

    if (err == ERR_OK)
        err = onc_server_open(loop, &config->rpc, &services->onc);
    if (err == ERR_OK)
        err = open_nfs(services, state, nfs4, config, &mappings);
    if (err == ERR_OK)
        err = open_mountd(services, config, &mappings);
    if (err == ERR_OK)
        err = start_portmap(services, config, &mappings);
    if (err != ERR_OK)
        log_error("the services can't be started: %s", err_text(err));
    return err;
}

void services_shutdown(struct services *services, void (*done)(void *data), void *data)
{
    onc_portmap_stop(&services->portmap);
    if (services->onc != NULL)
        onc_server_shutdown(services->onc, done, data);
    else
        done(data);
}

void services_close(struct services *services)
{
    if (services->onc != NULL)
        onc_server_close(&services->onc);
    if (services->nfs != NULL)
        nfs_server_close(&services->nfs);
}

const char *services_describe(const struct services *services, char *text, size_t size)
{
    size_t used = 0;

    text[0] = '\0';
    if (services->nfs_port != 0)
        used = (size_t)snprintf(text, size, "nfs %u", services->nfs_port);
    if (services->mountd_port != 0 && used < size)
        used += (size_t)snprintf(text + used, size - used, "%smountd %u", used > 0 ? ", " : "",
                                 services->mountd_port);
    if (used == 0)
        snprintf(text, size, "no service is turned on");
    return text;
}
