/*
 * address.c - numeric addresses: parsing, formatting, comparing.
 *
 * Invariant: an IPv4-mapped IPv6 address never leaves this room; net__address_set turns it into plain IPv4,
 * so that one host has one form in host lists, caches and logs.
 */
#include "dittofs/net.h"
#include "net/net_priv.h"
#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

void net__address_set(struct net_address *address, const struct sockaddr_storage *from)
{
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)from;

    if (from->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = v6->sin6_port};

        memcpy(&v4.sin_addr, &v6->sin6_addr.s6_addr[12], sizeof v4.sin_addr);
        memset(address, 0, sizeof *address);
        address->sa.v4 = v4;
        return;
    }
    address->sa.storage = *from;
}

socklen_t net__address_length(const struct net_address *address)
{
    return address->sa.any.sa_family == AF_INET6 ? sizeof address->sa.v6 : sizeof address->sa.v4;
}

static enum err parse_v6(const char *text, uint16_t port, struct net_address *address_r)
{
    struct sockaddr_storage storage = {.ss_family = AF_INET6};
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&storage;
    char host[INET6_ADDRSTRLEN];
    const char *scope = strchr(text, '%');
    size_t length = scope != NULL ? (size_t)(scope - text) : strlen(text);

    if (length >= sizeof host)
        return ERR_INVAL;
    memcpy(host, text, length);
    host[length] = '\0';
    if (inet_pton(AF_INET6, host, &v6->sin6_addr) != 1)
        return ERR_INVAL;
    if (scope != NULL) {
        v6->sin6_scope_id = if_nametoindex(scope + 1);
        if (v6->sin6_scope_id == 0)
            return ERR_INVAL;
    }
    v6->sin6_port = htons(port);
    net__address_set(address_r, &storage);
    return ERR_OK;
}

enum err net_address_parse(const char *text, uint16_t port, struct net_address *address_r)
{
    struct in_addr v4;

    if (inet_pton(AF_INET, text, &v4) != 1)
        return parse_v6(text, port, address_r);
    memset(address_r, 0, sizeof *address_r);
    address_r->sa.v4.sin_family = AF_INET;
    address_r->sa.v4.sin_port = htons(port);
    address_r->sa.v4.sin_addr = v4;
    return ERR_OK;
}

const char *net_address_format(const struct net_address *address, char *text)
{
    char host[INET6_ADDRSTRLEN] = "?";

    switch (address->sa.any.sa_family) {
    case AF_INET:
        inet_ntop(AF_INET, &address->sa.v4.sin_addr, host, sizeof host);
        snprintf(text, NET_ADDRESS_TEXT, "%s:%u", host, net_address_port(address));
        break;
    case AF_INET6:
        inet_ntop(AF_INET6, &address->sa.v6.sin6_addr, host, sizeof host);
        if (address->sa.v6.sin6_scope_id != 0)
            snprintf(text, NET_ADDRESS_TEXT, "[%s%%%u]:%u", host, address->sa.v6.sin6_scope_id,
                     net_address_port(address));
        else
            snprintf(text, NET_ADDRESS_TEXT, "[%s]:%u", host, net_address_port(address));
        break;
    default:
        snprintf(text, NET_ADDRESS_TEXT, "?");
        break;
    }
    return text;
}

uint16_t net_address_port(const struct net_address *address)
{
    switch (address->sa.any.sa_family) {
    case AF_INET:
        return ntohs(address->sa.v4.sin_port);
    case AF_INET6:
        return ntohs(address->sa.v6.sin6_port);
    default:
        return 0;
    }
}

bool net_address_same_host(const struct net_address *a, const struct net_address *b)
{
    if (a->sa.any.sa_family != b->sa.any.sa_family)
        return false;
    switch (a->sa.any.sa_family) {
    case AF_INET:
        return a->sa.v4.sin_addr.s_addr == b->sa.v4.sin_addr.s_addr;
    case AF_INET6:
        return memcmp(&a->sa.v6.sin6_addr, &b->sa.v6.sin6_addr, sizeof a->sa.v6.sin6_addr) == 0 &&
               a->sa.v6.sin6_scope_id == b->sa.v6.sin6_scope_id;
    default:
        return false;
    }
}
