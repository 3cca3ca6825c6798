/*
 * export.c - the set of exports, who may use them and as whom.
 *
 * vfs_exports_set: 1. every configuration is checked, 2. copies and new exports are made and their trees
 * opened in the store, 3. the new set takes the place of the old one, which can't fail. A failure in 1 or 2
 * leaves the set as it was (a tree made on the way stays in the store, empty and unnamed by any export).
 *
 * Invariants: by_name and by_id hold the same exports, those that are not `gone`; an export's id is the id
 * of its tree in the store, so it is the same after a restart.
 */
#include "vfs/vfs_priv.h"

#include "dittofs/log.h"
#include <stdlib.h>
#include <string.h>

/* ---- the set ---- */

static bool rules_are_valid(const struct vfs_host_rule *rules, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (rules[i].prefix_bits > 128)
            return false;
    return true;
}

static enum err config_check(const struct vfs_export_config *config)
{
    const unsigned all_security = VFS_SEC_SYS | VFS_SEC_KRB5 | VFS_SEC_KRB5I | VFS_SEC_KRB5P | VFS_SEC_NONE;
    const unsigned all_protocols = VFS_NFS3 | VFS_NFS4 | VFS_SMB;
    size_t length = config->name == NULL ? 0 : strnlen(config->name, VFS_EXPORT_NAME_MAX + 1);

    if (length == 0 || length > VFS_EXPORT_NAME_MAX || memchr(config->name, '/', length) != NULL)
        return ERR_CONFIG;
    if (strcmp(config->name, ".") == 0 || strcmp(config->name, "..") == 0)
        return ERR_CONFIG;
    if (!rules_are_valid(config->hosts_allow, config->hosts_allow_count) ||
        !rules_are_valid(config->hosts_deny, config->hosts_deny_count))
        return ERR_CONFIG;
    if ((config->security & ~all_security) != 0 || (config->protocols & ~all_protocols) != 0)
        return ERR_CONFIG;
    if (config->squash != VFS_SQUASH_NONE && config->squash != VFS_SQUASH_ROOT &&
        config->squash != VFS_SQUASH_ALL)
        return ERR_CONFIG;
    return ERR_OK;
}

/* One allocation: the struct, both lists of rules, the name. NULL when memory is out. */
static struct vfs_export_config *config_copy(const struct vfs_export_config *from)
{
    size_t allow = from->hosts_allow_count * sizeof *from->hosts_allow;
    size_t deny = from->hosts_deny_count * sizeof *from->hosts_deny;
    size_t name = strlen(from->name) + 1;
    struct vfs_export_config *copy = malloc(sizeof *copy + allow + deny + name);
    uint8_t *at;

    if (copy == NULL)
        return NULL;
    *copy = *from;
    at = (uint8_t *)(copy + 1);
    copy->hosts_allow = (const struct vfs_host_rule *)at;
    if (allow != 0)
        memcpy(at, from->hosts_allow, allow);
    at += allow;
    copy->hosts_deny = (const struct vfs_host_rule *)at;
    if (deny != 0)
        memcpy(at, from->hosts_deny, deny);
    at += deny;
    copy->name = (const char *)at;
    memcpy(at, from->name, name);
    return copy;
}

static void export_free(struct vfs_export *export)
{
    if (export == NULL)
        return;
    free(export->config);
    free(export);
}

/* The root of a tree that was just made has the store's mode; it gets the configured one, once. */
static enum err root_settle(struct vfs *vfs, uint64_t root, const struct vfs_export_config *config)
{
    static const uint8_t made = 1;
    const uint8_t *value;
    size_t length;
    struct inode *inode;
    struct inode_attr *attr;
    enum err err = inode_get(vfs->store, root, 0, &inode);

    if (err != ERR_OK)
        return err;
    err = inode_get_blob(inode, VFS_BLOB_ROOT_MADE, &value, &length);
    if (err == ERR_OK && value == NULL) {
        err = inode_set_blob(inode, VFS_BLOB_ROOT_MADE, &made, sizeof made);
        if (err == ERR_OK) {
            attr = inode_change(inode);
            attr->mode = config->root_mode & MODE_ALL;
            attr->uid = config->root_uid;
            attr->gid = config->root_gid;
        }
    }
    inode_unref(&inode);
    return err;
}

static enum err export_make(struct vfs *vfs, const struct vfs_export_config *config,
                            struct vfs_export **export_r)
{
    struct vfs_export *export = calloc(1, sizeof *export);
    enum err err;

    if (export == NULL)
        return ERR_NOMEM;
    list_init(&export->link);
    err = store_tree_open(vfs->store, config->name, config->root_uid, config->root_gid, &export->id,
                          &export->root);
    if (err == ERR_OK)
        err = root_settle(vfs, export->root, config);
    if (err != ERR_OK) {
        free(export);
        return err;
    }
    *export_r = export;
    return ERR_OK;
}

/* Also one that is gone. */
static struct vfs_export *export_known(struct vfs *vfs, const char *name)
{
    struct list *link;

    list_for_each(link, &vfs->all_exports)
    {
        struct vfs_export *export = container_of(link, struct vfs_export, link);

        if (strcmp(export->config->name, name) == 0)
            return export;
    }
    return NULL;
}

/* A new set in the making: member I is EXPORTS[I] with CONFIGS[I]. */
struct export_set {
    struct vfs_export **by_name, **by_id;
    struct vfs_export_config **configs;
    size_t count;
};

static void set_drop(struct export_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        struct vfs_export *export = set->by_name == NULL ? NULL : set->by_name[i];

        if (set->configs != NULL)
            free(set->configs[i]);
        if (export != NULL && list_is_empty(&export->link))
            export_free(export); /* made for this set */
    }
    free(set->by_name);
    free(set->by_id);
    free(set->configs);
}

static int compare_configs(const void *a, const void *b)
{
    return strcmp((*(struct vfs_export_config *const *)a)->name,
                  (*(struct vfs_export_config *const *)b)->name);
}

static int compare_ids(const void *a, const void *b)
{
    uint32_t left = (*(struct vfs_export *const *)a)->id;
    uint32_t right = (*(struct vfs_export *const *)b)->id;

    return left < right ? -1 : left > right;
}

static enum err set_build(struct vfs *vfs, const struct vfs_export_config *configs, struct export_set *set)
{
    size_t room = set->count == 0 ? 1 : set->count;
    enum err err;

    set->by_name = calloc(room, sizeof(struct vfs_export *));
    set->by_id = calloc(room, sizeof(struct vfs_export *));
    set->configs = calloc(room, sizeof(struct vfs_export_config *));
    if (set->by_name == NULL || set->by_id == NULL || set->configs == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < set->count; i++) {
        err = config_check(&configs[i]);
        if (err != ERR_OK)
            return err;
        set->configs[i] = config_copy(&configs[i]);
        if (set->configs[i] == NULL)
            return ERR_NOMEM;
    }
    qsort(set->configs, set->count, sizeof(struct vfs_export_config *), compare_configs);
    for (size_t i = 1; i < set->count; i++)
        if (strcmp(set->configs[i - 1]->name, set->configs[i]->name) == 0)
            return ERR_CONFIG;
    for (size_t i = 0; i < set->count; i++) {
        set->by_name[i] = export_known(vfs, set->configs[i]->name);
        if (set->by_name[i] == NULL) {
            err = export_make(vfs, set->configs[i], &set->by_name[i]);
            if (err != ERR_OK)
                return err;
        }
        set->by_id[i] = set->by_name[i];
    }
    qsort(set->by_id, set->count, sizeof(struct vfs_export *), compare_ids);
    return ERR_OK;
}

static bool set_has_same_members(const struct vfs *vfs, const struct export_set *set)
{
    if (vfs->export_count != set->count)
        return false;
    for (size_t i = 0; i < set->count; i++)
        if (vfs->by_name[i] != set->by_name[i])
            return false;
    return true;
}

/* From here on nothing fails. */
static void set_install(struct vfs *vfs, struct export_set *set)
{
    if (!set_has_same_members(vfs, set))
        vfs->exports_generation++;
    for (size_t i = 0; i < vfs->export_count; i++)
        vfs->by_name[i]->gone = true;
    for (size_t i = 0; i < set->count; i++) {
        struct vfs_export *export = set->by_name[i];

        free(export->config);
        export->config = set->configs[i];
        export->gone = false;
        if (list_is_empty(&export->link))
            list_push_back(&vfs->all_exports, &export->link);
    }
    free(vfs->by_name);
    free(vfs->by_id);
    free(set->configs);
    vfs->by_name = set->by_name;
    vfs->by_id = set->by_id;
    vfs->export_count = set->count;
}

enum err vfs_exports_set(struct vfs *vfs, const struct vfs_export_config *configs, size_t count)
{
    struct export_set set = {.count = count};
    enum err err = set_build(vfs, configs, &set);

    if (err != ERR_OK) {
        set_drop(&set);
        return err;
    }
    set_install(vfs, &set);
    return ERR_OK;
}

void vfs__exports_free(struct vfs *vfs)
{
    struct list *link, *following;

    list_for_each_safe(link, following, &vfs->all_exports)
        export_free(container_of(link, struct vfs_export, link));
    free(vfs->by_name);
    free(vfs->by_id);
}

/* ---- finding them ---- */

struct vfs_export *vfs_export_find(struct vfs *vfs, const char *name, size_t length)
{
    size_t low = 0, high = vfs->export_count;

    if (length > VFS_EXPORT_NAME_MAX || memchr(name, '\0', length) != NULL)
        return NULL;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const char *at = vfs->by_name[middle]->config->name;
        int order = strncmp(name, at, length);

        if (order == 0)
            order = at[length] == '\0' ? 0 : -1;
        if (order == 0)
            return vfs->by_name[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

struct vfs_export *vfs_export_by_id(struct vfs *vfs, uint32_t id)
{
    size_t low = 0, high = vfs->export_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (vfs->by_id[middle]->id == id)
            return vfs->by_id[middle];
        if (id < vfs->by_id[middle]->id)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

struct vfs_export *vfs_export_next(struct vfs *vfs, const struct vfs_export *at)
{
    if (at == NULL)
        return vfs->export_count == 0 ? NULL : vfs->by_name[0];
    for (size_t i = 0; i + 1 < vfs->export_count; i++)
        if (vfs->by_name[i] == at)
            return vfs->by_name[i + 1];
    return NULL;
}

const struct vfs_export_config *vfs_export_config(const struct vfs_export *export)
{
    return export->config;
}

uint32_t vfs_export_id(const struct vfs_export *export)
{
    return export->id;
}

uint64_t vfs_exports_generation(const struct vfs *vfs)
{
    return vfs->exports_generation;
}

/* ---- hosts ---- */

/* PEER as the 16 bytes of a rule; false for what is no internet address. */
static bool address_bytes(const struct net_address *peer, uint8_t bytes[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    if (peer == NULL)
        return false;
    switch (peer->sa.any.sa_family) {
    case AF_INET:
        memcpy(bytes, mapped, sizeof mapped);
        memcpy(bytes + 12, &peer->sa.v4.sin_addr, 4);
        return true;
    case AF_INET6:
        memcpy(bytes, &peer->sa.v6.sin6_addr, 16);
        return true;
    default:
        return false;
    }
}

static bool rule_matches(const struct vfs_host_rule *rule, const uint8_t address[16])
{
    unsigned whole = rule->prefix_bits / 8, rest = rule->prefix_bits % 8;
    uint8_t mask = (uint8_t)(0xff00u >> rest);

    if (memcmp(rule->address, address, whole) != 0)
        return false;
    return rest == 0 || ((rule->address[whole] ^ address[whole]) & mask) == 0;
}

static bool any_rule_matches(const struct vfs_host_rule *rules, size_t count, const uint8_t address[16])
{
    for (size_t i = 0; i < count; i++)
        if (rule_matches(&rules[i], address))
            return true;
    return false;
}

/* smb.conf(5), hosts allow: who is on the list of allowed hosts is in, whatever the other list says; with
 * that list alone nobody else is; who is on the list of denied hosts is out; the rest is in. */
bool vfs_export_allows_host(const struct vfs_export *export, const struct net_address *peer)
{
    const struct vfs_export_config *config = export->config;
    uint8_t address[16];

    if (config->hosts_allow_count == 0 && config->hosts_deny_count == 0)
        return true;
    if (!address_bytes(peer, address))
        return false;
    if (any_rule_matches(config->hosts_allow, config->hosts_allow_count, address))
        return true;
    if (config->hosts_deny_count == 0)
        return false;
    return !any_rule_matches(config->hosts_deny, config->hosts_deny_count, address);
}

/* ---- a request's view ---- */

/* Group 0 among the other groups is not replaced (the list is the caller's) but left out: vfs__in_group. */
static struct vfs_user squash(const struct vfs_export_config *config, unsigned security,
                              const struct vfs_user *user)
{
    struct vfs_user squashed = *user;

    if (config->squash == VFS_SQUASH_ALL || security == VFS_SEC_NONE)
        return (struct vfs_user){.uid = config->anonymous_uid, .gid = config->anonymous_gid};
    if (config->squash == VFS_SQUASH_ROOT) {
        if (squashed.uid == 0)
            squashed.uid = config->anonymous_uid;
        if (squashed.gid == 0)
            squashed.gid = config->anonymous_gid;
    }
    return squashed;
}

enum err vfs_context_init(struct vfs_context *context, struct vfs *vfs, struct vfs_export *export,
                          enum vfs_protocol protocol, unsigned security, const struct net_address *peer,
                          const struct vfs_user *user)
{
    const struct vfs_export_config *config = export->config;

    if (export->gone)
        return ERR_STALE;
    if ((config->protocols & (unsigned)protocol) == 0 || !vfs_export_allows_host(export, peer))
        return ERR_ACCES;
    if ((config->security & security) == 0)
        return ERR_WRONGSEC;
    *context = (struct vfs_context){
        .vfs = vfs,
        .export = export,
        .protocol = protocol,
        .user = squash(config, security, user),
    };
    context->is_root = context->user.uid == 0;
    return ERR_OK;
}

enum err vfs_root(struct vfs_context *context, struct inode **root_r)
{
    if (context->export->gone)
        return ERR_STALE;
    return inode_get(context->vfs->store, context->export->root, 0, root_r);
}
