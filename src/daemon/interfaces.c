/*
 * interfaces.c - asks the system for its interfaces, at each call: they come and go.
 */
#include "daemon/interfaces_priv.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#define DEFAULT_SPEED UINT64_C(1000000000) /* of what does not say */

/* What the driver says in megabits; virtual interfaces say nothing, or -1. */
static uint64_t speed_of(const char *name)
{
    char path[64 + IF_NAMESIZE];
    long megabits = 0;
    FILE *file;

    snprintf(path, sizeof path, "/sys/class/net/%.*s/speed", IF_NAMESIZE, name);
    file = fopen(path, "re");
    if (file == NULL)
        return DEFAULT_SPEED;
    if (fscanf(file, "%ld", &megabits) != 1)
        megabits = 0;
    fclose(file);
    return megabits > 0 ? (uint64_t)megabits * 1000000 : DEFAULT_SPEED;
}

static bool take_address(const struct sockaddr *from, struct net_address *to)
{
    if (from == NULL || (from->sa_family != AF_INET && from->sa_family != AF_INET6))
        return false;
    memset(to, 0, sizeof *to);
    memcpy(&to->sa, from, from->sa_family == AF_INET ? sizeof to->sa.v4 : sizeof to->sa.v6);
    return from->sa_family == AF_INET || !IN6_IS_ADDR_LINKLOCAL(&to->sa.v6.sin6_addr);
}

static bool is_listened_on(const struct config_listen *listen, const struct net_address *address)
{
    for (size_t i = 0; listen != NULL && i < listen->count; i++) {
        static const char *const any[] = {"0.0.0.0", "::"};
        const char *text = listen->addresses[i];
        struct net_address other;

        if (strcmp(text, any[0]) == 0 || strcmp(text, any[1]) == 0 ||
            (net_address_parse(text, 0, &other) == ERR_OK && net_address_same_host(&other, address)))
            return true;
    }
    return listen == NULL;
}

static size_t list_kind(const struct ifaddrs *all, bool loopback, const struct config_listen *listen,
                        struct smb_interface *list, size_t most)
{
    size_t count = 0;

    for (const struct ifaddrs *at = all; at != NULL && count < most; at = at->ifa_next) {
        struct smb_interface *item = &list[count];

        if (!(at->ifa_flags & IFF_UP) || ((at->ifa_flags & IFF_LOOPBACK) != 0) != loopback ||
            !take_address(at->ifa_addr, &item->address) || !is_listened_on(listen, &item->address))
            continue;
        item->index = if_nametoindex(at->ifa_name);
        item->has_queues = false;
        item->bits_per_second = speed_of(at->ifa_name);
        count++;
    }
    return count;
}

size_t interfaces_list(const struct config_listen *listen, struct smb_interface *list, size_t most)
{
    struct ifaddrs *all;
    size_t count;

    if (getifaddrs(&all) != 0)
        return 0;
    count = list_kind(all, false, listen, list, most);
    if (count == 0)
        count = list_kind(all, true, listen, list, most);
    freeifaddrs(all);
    return count;
}
