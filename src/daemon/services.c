/*
 * services.c - what answers on the network.
 *
 * A service listens on every address of the configuration at one port. When the port is "any", the first
 * address picks it and the others follow. NFS is served over TCP only, MOUNT, NLM and NSM over UDP, too, as
 * clients ask for it.
 */
#include "daemon/services_priv.h"
#include "dittofs/net.h"

#include <stdio.h>

enum {
    PROGRAM_NFS = 100003,   /* RFC 1813 */
    PROGRAM_MOUNT = 100005, /* RFC 1813 appendix I */
    PROGRAM_NLM = 100021,   /* RFC 1813 appendix II */
    PROGRAM_NSM = 100024,   /* X/Open XNFS chapter 11 */
    MAPPINGS_MAX = 24
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

static enum err listen_both(struct onc_service *service, const char *name, const struct config *config,
                            uint16_t *port)
{
    enum err err = listen_everywhere(service, name, ONC_TCP, config, port);

    return err == ERR_OK ? listen_everywhere(service, name, ONC_UDP, config, port) : err;
}

static void add_mapping_both(struct mappings *mappings, uint32_t program, uint32_t version, uint16_t port)
{
    add_mapping(mappings, program, version, ONC_TCP, port);
    add_mapping(mappings, program, version, ONC_UDP, port);
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

    if (!config->nfs_port.on || !config->mountd_port.on)
        return ERR_OK;
    err = onc_service_open(services->onc, "mountd", &service);
    if (err == ERR_OK)
        err = nfs_server_add_mount(services->nfs, service);
    services->mountd_port = config->mountd_port.number;
    if (err == ERR_OK)
        err = listen_both(service, "mountd", config, &services->mountd_port);
    for (uint32_t version = 1; err == ERR_OK && version <= 3; version++)
        add_mapping_both(mappings, PROGRAM_MOUNT, version, services->mountd_port);
    return err;
}

/* MOUNT, NLM and NSM serve NFS alone: without it none of them is on. NLM and NSM come together: without the
 * notices of the one, the locks of the other outlive their hosts. */
static enum err open_locking(struct services *services, const struct nfs_locking_options *locking,
                             const struct config *config, struct mappings *mappings)
{
    static const uint32_t versions[] = {1, 3, 4};
    struct onc_service *nlm, *nsm;
    enum err err;

    if (!config->nfs_port.on || !config->nlm_port.on || !config->statd_port.on)
        return ERR_OK;
    err = nfs_server_open_locking(services->nfs, locking);
    if (err == ERR_OK)
        err = onc_service_open(services->onc, "nlm", &nlm);
    if (err == ERR_OK)
        err = nfs_server_add_nlm(services->nfs, nlm);
    services->nlm_port = config->nlm_port.number;
    if (err == ERR_OK)
        err = listen_both(nlm, "nlm", config, &services->nlm_port);
    for (size_t i = 0; err == ERR_OK && i < sizeof versions / sizeof *versions; i++)
        add_mapping_both(mappings, PROGRAM_NLM, versions[i], services->nlm_port);
    if (err == ERR_OK)
        err = onc_service_open(services->onc, "statd", &nsm);
    if (err == ERR_OK)
        err = nfs_server_add_nsm(services->nfs, nsm);
    services->statd_port = config->statd_port.number;
    if (err == ERR_OK)
        err = listen_both(nsm, "statd", config, &services->statd_port);
    if (err == ERR_OK)
        add_mapping_both(mappings, PROGRAM_NSM, 1, services->statd_port);
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
                       const struct nfs4_options *nfs4, const struct nfs_locking_options *locking,
                       const struct config *config)
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
        err = open_locking(services, locking, config, &mappings);
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
    const struct {
        const char *name;
        uint16_t port;
    } rows[] = {
        {"nfs", services->nfs_port},
        {"mountd", services->mountd_port},
        {"nlm", services->nlm_port},
        {"statd", services->statd_port},
    };
    size_t used = 0;

    text[0] = '\0';
    for (size_t i = 0; i < sizeof rows / sizeof *rows && used < size; i++) {
        if (rows[i].port != 0)
            used += (size_t)snprintf(text + used, size - used, "%s%s %u", used > 0 ? ", " : "", rows[i].name,
                                     rows[i].port);
    }
    return text;
}
