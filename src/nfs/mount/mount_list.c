/*
 * mount_list.c - the list of mounts that DUMP tells (showmount -a).
 *
 * Advice only: nothing depends on it, so it is bounded by dropping the oldest and is not kept over a
 * restart.
 */
#include "nfs/mount/mount_priv.h"

#include <stdlib.h>
#include <string.h>

static void drop(struct nfs_server *server, struct mount_entry *entry)
{
    list_remove(&entry->link);
    server->counters.mounts_now--;
    free(entry);
}

static bool matches(const struct mount_entry *entry, const struct net_address *peer, const uint8_t *path,
                    uint32_t length)
{
    return net_address_same_host(&entry->peer, peer) &&
           (path == NULL || (entry->path_length == length && memcmp(entry->path, path, length) == 0));
}

void mount__list_add(struct nfs_server *server, const struct net_address *peer, const uint8_t *path,
                     uint32_t length)
{
    struct mount_entry *entry;
    struct list *link;

    list_for_each(link, &server->mounts)
    {
        if (matches(container_of(link, struct mount_entry, link), peer, path, length))
            return;
    }
    entry = malloc(sizeof *entry + length);
    if (entry == NULL)
        return;
    if (server->counters.mounts_now >= server->limits.mounts)
        drop(server, list_first(&server->mounts, struct mount_entry, link));
    entry->peer = *peer;
    entry->path_length = length;
    memcpy(entry->path, path, length);
    list_push_back(&server->mounts, &entry->link);
    server->counters.mounts_now++;
}

void mount__list_remove(struct nfs_server *server, const struct net_address *peer, const uint8_t *path,
                        uint32_t length)
{
    struct list *link, *following;

    list_for_each_safe(link, following, &server->mounts)
    {
        struct mount_entry *entry = container_of(link, struct mount_entry, link);
        if (matches(entry, peer, path, length))
            drop(server, entry);
    }
}

void mount__list_free(struct nfs_server *server)
{
    while (!list_is_empty(&server->mounts))
        drop(server, list_first(&server->mounts, struct mount_entry, link));
}
