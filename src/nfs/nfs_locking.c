/*
 * nfs_locking.c - opening and closing NLM and NSM, and addresses as both use them.
 */
#include "nfs/nfs_locking_priv.h"

#include "nfs/nfs_server_priv.h"

#include <arpa/inet.h>
#include <string.h>

enum err nfs_server_open_locking(struct nfs_server *server, const struct nfs_locking_options *options)
{
    struct onc_client_options client = {.portmap_port = options->portmap_port};
    enum err err = onc_client_open(vfs_loop(server->vfs), &client, &server->outgoing);

    if (err == ERR_OK)
        err = nsm__open_server(server, options, server->outgoing, &server->nsm);
    if (err == ERR_OK)
        err = nlm__open_server(server, options, server->outgoing, server->nsm, &server->nlm);
    if (err == ERR_OK)
        nsm__set_nlm(server->nsm, server->nlm);
    else
        nfs__locking_close(server);
    return err;
}

void nfs__locking_close(struct nfs_server *server)
{
    nlm__close_server(&server->nlm);
    nsm__close_server(&server->nsm);
    onc_client_close(&server->outgoing);
}

enum err nfs_server_add_nlm(struct nfs_server *server, struct onc_service *service)
{
    return nlm__add_programs(server->nlm, service);
}

enum err nfs_server_add_nsm(struct nfs_server *server, struct onc_service *service)
{
    return nsm__add_program(server->nsm, service);
}

/* ---- addresses ---- */

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

void nfs__address_bytes(const struct net_address *address, uint8_t bytes[NFS_ADDRESS_SIZE])
{
    if (address->sa.any.sa_family == AF_INET6) {
        memcpy(bytes, &address->sa.v6.sin6_addr, NFS_ADDRESS_SIZE);
        return;
    }
    memcpy(bytes, mapped, sizeof mapped);
    memcpy(bytes + sizeof mapped, &address->sa.v4.sin_addr, sizeof address->sa.v4.sin_addr);
}

struct net_address nfs__address_of_bytes(const uint8_t bytes[NFS_ADDRESS_SIZE])
{
    struct net_address address = {.sa.v4 = {.sin_family = AF_INET}};

    if (memcmp(bytes, mapped, sizeof mapped) == 0) {
        memcpy(&address.sa.v4.sin_addr, bytes + sizeof mapped, sizeof address.sa.v4.sin_addr);
        return address;
    }
    address = (struct net_address){.sa.v6 = {.sin6_family = AF_INET6}};
    memcpy(&address.sa.v6.sin6_addr, bytes, NFS_ADDRESS_SIZE);
    return address;
}

struct net_address nfs__host_of(const struct net_address *address)
{
    struct net_address host = *address;

    if (host.sa.any.sa_family == AF_INET6)
        host.sa.v6.sin6_port = 0;
    else
        host.sa.v4.sin_port = 0;
    return host;
}

const char *nfs__host_text(const struct net_address *address, char text[NET_ADDRESS_TEXT])
{
    bool v6 = address->sa.any.sa_family == AF_INET6;

    if (inet_ntop(v6 ? AF_INET6 : AF_INET,
                  v6 ? (const void *)&address->sa.v6.sin6_addr : (const void *)&address->sa.v4.sin_addr, text,
                  NET_ADDRESS_TEXT) == NULL)
        text[0] = '\0';
    return text;
}
