/*
 * nlm_host.c - the hosts that lock: each is a client of state's, without a lease.
 *
 * NLM has no client ids. A host is the name that it calls itself (caller_name) at the address that it calls
 * from: names alone are not unique (every second machine is called "localhost"), and with the address a host
 * can only free what it locked itself. A host that comes from another address is another one to us; its old
 * locks go when it says from there that it has restarted, or by the administrator.
 *
 * A host lives longer than its client: it remembers the state number of the host's NSM, so that a notice that
 * comes twice does not take what was locked in between. Who holds nothing for a while is forgotten.
 *
 * Invariants: host->client is NULL or a confirmed client whose user is the host. A host with blocks, or with
 * requests that wait for its record, is not freed.
 */
#include "nfs/nlm/nlm_priv.h"

#include "dittofs/clock.h"
#include "nfs/nfs_locking_priv.h"
#include "nfs/nsm/nsm_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { HOSTS_MAX = 20000, HOSTS_OF_ADDRESS = 512, KEY_MAX = NFS_ADDRESS_SIZE + NLM_NAME_MAX };

/* The address alone: a notice is looked up without the exact name. */
static uint64_t hash_of(const uint8_t address[NFS_ADDRESS_SIZE])
{
    uint64_t halves[2];

    memcpy(halves, address, sizeof halves);
    return hash_u64(halves[0] ^ hash_u64(halves[1]));
}

static struct nlm_host *first_at(const struct nlm *nlm, const struct net_address *address)
{
    uint8_t bytes[NFS_ADDRESS_SIZE];
    struct hashlink *link;

    nfs__address_bytes(address, bytes);
    link = hashtable_find(&nlm->hosts, hash_of(bytes));
    return link == NULL ? NULL : container_of(link, struct nlm_host, hashlink);
}

static struct nlm_host *next_at(const struct nlm_host *host)
{
    struct hashlink *link = hashtable_find_next(&host->hashlink);

    return link == NULL ? NULL : container_of(link, struct nlm_host, hashlink);
}

struct nlm_host *nlm__host_find(struct nlm *nlm, const struct net_address *address, struct nlm_bytes name)
{
    struct nlm_host *host = first_at(nlm, address);

    for (; host != NULL; host = next_at(host)) {
        if (net_address_same_host(&host->address, address) && host->name_length == name.length &&
            memcmp(host->name, name.data, name.length) == 0)
            return host;
    }
    return NULL;
}

static struct nsm_subject subject_of(const struct nlm_host *host)
{
    return (struct nsm_subject){.address = host->address, .name = host->name, .length = host->name_length};
}

/* ---- its client ---- */

static void on_gone(struct client *client, void *user)
{
    struct nlm_host *host = user;

    (void)client;
    if (host != NULL) {
        host->client = NULL;
        host->is_recorded = false;
    }
}

static void describe(const struct client *client, void *user, struct client_description *description)
{
    const struct nlm_host *host = user;
    char text[NET_ADDRESS_TEXT];

    (void)client;
    description->protocol = "NLM";
    if (host == NULL)
        return;
    snprintf(description->name, sizeof description->name, "%.*s", (int)host->name_length, host->name);
    snprintf(description->address, sizeof description->address, "%s", nfs__host_text(&host->address, text));
}

static const struct client_operations operations = {.gone = on_gone, .describe = describe};

static size_t write_key(uint8_t key[KEY_MAX], const struct net_address *address, const char *name,
                        uint32_t length)
{
    nfs__address_bytes(address, key);
    memcpy(key + NFS_ADDRESS_SIZE, name, length);
    return NFS_ADDRESS_SIZE + length;
}

static enum err make_client(struct nlm_host *host)
{
    uint8_t key[KEY_MAX];
    struct client_spec spec = {
        .family = NLM_FAMILY,
        .owner = key,
        .owner_length = write_key(key, &host->address, host->name, host->name_length),
        .recoverable = true,
        .operations = &operations,
        .user = host,
    };
    struct client *client;
    enum err err = client_new(host->nlm->state, &spec, NULL, &client);

    if (err == ERR_OK)
        host->client = client_confirm(client);
    return err;
}

/* ---- making and forgetting ---- */

static void free_host(struct nlm_host *host)
{
    invariant(list_is_empty(&host->blocks) && host->recording == 0);
    hashtable_remove(&host->nlm->hosts, &host->hashlink);
    free(host);
}

static enum err new_host(struct nlm *nlm, const struct net_address *address, struct nlm_bytes name,
                         struct nlm_host **host_r)
{
    uint8_t bytes[NFS_ADDRESS_SIZE];
    struct nsm_subject subject;
    struct nlm_host *host;
    size_t others = 0;

    for (host = first_at(nlm, address); host != NULL; host = next_at(host))
        others++;
    if (nlm->hosts.count >= HOSTS_MAX || others >= HOSTS_OF_ADDRESS)
        return ERR_LIMIT;
    host = calloc(1, sizeof *host + name.length);
    if (host == NULL)
        return ERR_NOMEM;
    nfs__address_bytes(address, bytes);
    if (!hashtable_insert(&nlm->hosts, &host->hashlink, hash_of(bytes))) {
        free(host);
        return ERR_NOMEM;
    }
    host->nlm = nlm;
    host->address = nfs__host_of(address);
    list_init(&host->blocks);
    host->name_length = name.length;
    memcpy(host->name, name.data, name.length);
    subject = subject_of(host);
    host->nsm_state = nsm__state_of(nlm->nsm, &subject);
    *host_r = host;
    return ERR_OK;
}

static void lose_all(struct nlm_host *host, const char *why)
{
    char text[NET_ADDRESS_TEXT];

    nlm__blocks_drop(host);
    if (host->client == NULL)
        return;
    log_info("nlm: %s %s: what it held is free", nfs__host_text(&host->address, text), why);
    client_destroy(host->client);
}

/* A host reclaims everything before it lets its programs lock anew, so this is how the end of its reclaims
 * shows: recovery.h waits for no more than a moment then. One that has not reclaimed anything may not know
 * yet that we have restarted. */
void nlm__host_heard(const struct nlm_request *request)
{
    struct nlm_host *host =
        nlm__host_find(request->nlm, &request->call->peer, request->args.lock.caller_name);

    if (host != NULL && host->client != NULL && client_has_state(host->client) &&
        client_renew(host->client) != ERR_OK)
        log_error("nlm: a host's client has gone without a word");
}

enum err nlm__host_get(struct nlm *nlm, const struct net_address *address, struct nlm_bytes name,
                       uint32_t nsm_state, struct nlm_host **host_r)
{
    struct nlm_host *host = nlm__host_find(nlm, address, name);
    enum err err = ERR_OK;

    if (host == NULL)
        err = new_host(nlm, address, name, &host);
    if (err != ERR_OK)
        return err;
    host->used_ms = clock_monotonic_ms();
    /* The host has restarted, and its notice is late or lost. State numbers only rise. */
    if (nsm_state != 0 && nsm_state != host->nsm_state) {
        if (host->nsm_state != 0 && (int32_t)(nsm_state - host->nsm_state) > 0)
            lose_all(host, "locks after a restart");
        host->nsm_state = nsm_state;
    }
    if (host->client == NULL)
        err = make_client(host);
    if (err == ERR_OK)
        *host_r = host;
    return err;
}

enum err nlm__host_monitor(struct nlm_request *request)
{
    struct nlm_host *host = request->host;
    struct nsm_subject subject = subject_of(host);

    return nsm__monitor(request->nlm->nsm, &subject, onc_call_local(request->call), host->nsm_state);
}

/* ---- restarts ---- */

/* statd may tell its name with or without the domain, whatever lockd says; or by its address. */
static bool is_same_name(const struct net_address *address, const char *own, uint32_t own_length,
                         struct nlm_bytes name)
{
    const char *given = (const char *)name.data;
    char text[NET_ADDRESS_TEXT];
    uint32_t own_first = 0, given_first = 0;

    if (own_length == name.length && strncasecmp(own, given, own_length) == 0)
        return true;
    nfs__host_text(address, text);
    if (strlen(text) == name.length && memcmp(text, given, name.length) == 0)
        return true;
    while (own_first < own_length && own[own_first] != '.')
        own_first++;
    while (given_first < name.length && given[given_first] != '.')
        given_first++;
    return own_first == given_first && own_first > 0 && strncasecmp(own, given, own_first) == 0;
}

static void restarted(struct nlm_host *host, uint32_t nsm_state)
{
    struct nsm_subject subject = subject_of(host);

    if (nsm_state != 0 && host->nsm_state == nsm_state)
        return;
    lose_all(host, "has restarted");
    if (nsm_state != 0) {
        host->nsm_state = nsm_state;
        nsm__set_state_of(host->nlm->nsm, &subject, nsm_state);
    }
}

struct search {
    const struct net_address *address;
    struct nlm_bytes name;
    uint8_t key[KEY_MAX];
    size_t length; /* 0: none was found */
};

static bool look_at_missing(void *data, const struct grace_missing *missing)
{
    struct search *search = data;
    uint8_t bytes[NFS_ADDRESS_SIZE];

    if (missing->family != NLM_FAMILY || missing->returned || missing->owner_length <= NFS_ADDRESS_SIZE ||
        missing->owner_length > KEY_MAX)
        return true;
    nfs__address_bytes(search->address, bytes);
    if (memcmp(bytes, missing->owner, NFS_ADDRESS_SIZE) != 0 ||
        !is_same_name(search->address, (const char *)missing->owner + NFS_ADDRESS_SIZE,
                      (uint32_t)(missing->owner_length - NFS_ADDRESS_SIZE), search->name))
        return true;
    memcpy(search->key, missing->owner, missing->owner_length);
    search->length = missing->owner_length;
    return false;
}

/* In grace: a host that restarted meanwhile, too, has nothing to reclaim, and need not be waited for. It is
 * made a host with a client, which then loses all. */
static void find_missing(struct nlm *nlm, const struct net_address *address, struct nlm_bytes name)
{
    for (int i = 0; i < HOSTS_MAX; i++) {
        struct search search = {.address = address, .name = name};
        struct nlm_host *host;
        struct nlm_bytes found;

        grace_missing_each(nlm->state, look_at_missing, &search);
        if (search.length == 0)
            return;
        found = (struct nlm_bytes){.data = search.key + NFS_ADDRESS_SIZE,
                                   .length = (uint32_t)(search.length - NFS_ADDRESS_SIZE)};
        if (nlm__host_get(nlm, address, found, 0, &host) != ERR_OK)
            return;
    }
}

void nlm__host_restarted(struct nlm *nlm, const struct net_address *address, struct nlm_bytes name,
                         uint32_t nsm_state)
{
    struct nlm_host *host, *next;

    if (grace_is_active(nlm->state))
        find_missing(nlm, address, name);
    for (host = first_at(nlm, address); host != NULL; host = next) {
        next = next_at(host);
        if (net_address_same_host(&host->address, address) &&
            is_same_name(address, host->name, host->name_length, name))
            restarted(host, nsm_state);
    }
}

/* ---- the end ---- */

static bool is_idle(const struct nlm_host *host, uint64_t now_ms)
{
    return now_ms - host->used_ms >= host->nlm->idle_ms && list_is_empty(&host->blocks) &&
           host->recording == 0 && (host->client == NULL || !client_has_state(host->client));
}

void nlm__hosts_sweep(struct loop_timer *timer)
{
    struct nlm *nlm = container_of(timer, struct nlm, sweep);
    struct hashlink *link = hashtable_walk(&nlm->hosts, NULL);
    uint64_t now_ms = clock_monotonic_ms();

    while (link != NULL) {
        struct nlm_host *host = container_of(link, struct nlm_host, hashlink);
        struct nsm_subject subject;

        link = hashtable_walk(&nlm->hosts, link);
        if (!is_idle(host, now_ms))
            continue;
        if (host->client != NULL)
            client_destroy(host->client);
        subject = subject_of(host);
        nsm__unmonitor(nlm->nsm, &subject);
        free_host(host);
    }
}

/* As a restart does: what is recorded stays, and so do the clients, until state is closed. */
void nlm__hosts_free(struct nlm *nlm)
{
    struct hashlink *link;

    while ((link = hashtable_walk(&nlm->hosts, NULL)) != NULL) {
        struct nlm_host *host = container_of(link, struct nlm_host, hashlink);

        if (host->client != NULL)
            client_set_user(host->client, NULL);
        while (!list_is_empty(&host->blocks))
            nlm__block_end(list_first(&host->blocks, struct nlm_block, link), true);
        free_host(host);
    }
}
