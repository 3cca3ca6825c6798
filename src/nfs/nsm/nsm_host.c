/*
 * nsm_host.c - the monitored hosts, and all records of NSM.
 *
 * Records are in the table "nsm": "state" has our state number; 'h', the host's address and its name have the
 * state number of its NSM and the address of ours that it uses; 'w' and more are watches (nsm_watch.c).
 *
 * A record stays until its host holds nothing any more, and has been told of our last start. Hosts that were
 * loaded are not in use until they lock again; when they are told, and do not, they are forgotten.
 */
#include "nfs/nsm/nsm_priv.h"

#include "dittofs/hash.h"
#include "nfs/nlm/nlm_priv.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define TABLE "nsm"
enum { HOSTS_MAX = 20000, KEY_MAX = 1 + NFS_ADDRESS_SIZE + NSM_NAME_MAX, RECORD_VERSION = 1, VALUE_MAX = 64 };

static const char state_key[] = {'s', 't', 'a', 't', 'e'};

uint64_t nsm__writes(const struct nsm *nsm)
{
    return nsm->writes;
}

/* ---- in memory ---- */

static uint64_t hash_of(const struct nsm_subject *subject)
{
    uint8_t bytes[NFS_ADDRESS_SIZE];
    uint64_t halves[2], hash = 0;

    nfs__address_bytes(&subject->address, bytes);
    memcpy(halves, bytes, sizeof halves);
    /* Names at one address are few: NLM sees to that. */
    hash = hash_u64(halves[0] ^ hash_u64(halves[1]));
    for (uint32_t i = 0; i < subject->length; i++)
        hash = hash * 31 + (uint8_t)subject->name[i];
    return hash_u64(hash);
}

static struct nsm_host *find(const struct nsm *nsm, const struct nsm_subject *subject)
{
    struct hashlink *link = hashtable_find(&nsm->monitored, hash_of(subject));

    for (; link != NULL; link = hashtable_find_next(link)) {
        struct nsm_host *host = container_of(link, struct nsm_host, hashlink);

        if (net_address_same_host(&host->address, &subject->address) &&
            host->name_length == subject->length && memcmp(host->name, subject->name, subject->length) == 0)
            return host;
    }
    return NULL;
}

static enum err new_host(struct nsm *nsm, const struct nsm_subject *subject, struct nsm_host **host_r)
{
    struct nsm_host *host;

    if (nsm->monitored.count >= HOSTS_MAX)
        return ERR_LIMIT;
    host = calloc(1, sizeof *host + subject->length);
    if (host == NULL)
        return ERR_NOMEM;
    if (!hashtable_insert(&nsm->monitored, &host->hashlink, hash_of(subject))) {
        free(host);
        return ERR_NOMEM;
    }
    host->nsm = nsm;
    host->address = subject->address;
    host->name_length = subject->length;
    memcpy(host->name, subject->name, subject->length);
    *host_r = host;
    return ERR_OK;
}

static void free_host(struct nsm_host *host)
{
    if (host->notices > 0)
        nsm__notices_end(host->nsm, host);
    hashtable_remove(&host->nsm->monitored, &host->hashlink);
    free(host);
}

void nsm__hosts_free(struct nsm *nsm)
{
    struct hashlink *link;

    while ((link = hashtable_walk(&nsm->monitored, NULL)) != NULL)
        free_host(container_of(link, struct nsm_host, hashlink));
    hashtable_free(&nsm->monitored);
}

/* ---- records ---- */

static size_t write_key(uint8_t key[KEY_MAX], const struct nsm_host *host)
{
    key[0] = 'h';
    nfs__address_bytes(&host->address, key + 1);
    memcpy(key + 1 + NFS_ADDRESS_SIZE, host->name, host->name_length);
    return 1 + NFS_ADDRESS_SIZE + host->name_length;
}

static enum err put(struct nsm *nsm, const void *key, size_t key_length, const struct writer *value)
{
    if (nsm->records.put == NULL)
        return ERR_OK;
    nsm->writes++;
    return nsm->records.put(nsm->records.data, TABLE, key, key_length, value->data, value->length);
}

static enum err put_host(struct nsm_host *host)
{
    uint8_t key[KEY_MAX], bytes[VALUE_MAX], local[NFS_ADDRESS_SIZE];
    struct writer writer;

    nfs__address_bytes(&host->local, local);
    writer_init(&writer, bytes, sizeof bytes);
    writer_u8(&writer, RECORD_VERSION);
    writer_be32(&writer, host->state);
    writer_bytes(&writer, local, sizeof local);
    return put(host->nsm, key, write_key(key, host), &writer);
}

static void remove_host(struct nsm_host *host)
{
    struct nsm *nsm = host->nsm;
    uint8_t key[KEY_MAX];

    if (nsm->records.put == NULL)
        return;
    nsm->writes++;
    if (nsm->records.remove(nsm->records.data, TABLE, key, write_key(key, host)) != ERR_OK)
        log_error("nsm: the record of a host that holds nothing can't be removed");
}

enum err nsm__put_state(struct nsm *nsm)
{
    uint8_t bytes[4];
    struct writer writer;

    writer_init(&writer, bytes, sizeof bytes);
    writer_be32(&writer, nsm->state);
    return put(nsm, state_key, sizeof state_key, &writer);
}

/* ---- loading ---- */

struct load {
    struct nsm *nsm;
    enum err err;
};

static enum err load_host(struct nsm *nsm, struct reader *key, struct reader *value)
{
    struct nsm_subject subject;
    struct nsm_host *host;
    const uint8_t *address, *local;
    uint8_t version;
    uint32_t state;
    enum err err;

    if (!reader_bytes(key, NFS_ADDRESS_SIZE, &address) || key->left == 0 || key->left > NSM_NAME_MAX ||
        !reader_u8(value, &version) || version != RECORD_VERSION || !reader_be32(value, &state) ||
        !reader_bytes(value, NFS_ADDRESS_SIZE, &local) || !reader_is_done(value))
        return ERR_CORRUPT;
    subject = (struct nsm_subject){.address = nfs__address_of_bytes(address),
                                   .name = (const char *)key->at,
                                   .length = (uint32_t)key->left};
    err = new_host(nsm, &subject, &host);
    if (err == ERR_OK) {
        host->state = state;
        host->local = nfs__address_of_bytes(local);
        host->untold = true;
    }
    return err;
}

static bool load_record(void *data, const void *key, size_t key_length, const void *value,
                        size_t value_length)
{
    struct load *load = data;
    struct reader key_reader = reader_of(key, key_length), value_reader = reader_of(value, value_length);
    uint8_t kind = 0;
    bool good = true;

    if (key_length == sizeof state_key && memcmp(key, state_key, sizeof state_key) == 0)
        good = reader_be32(&value_reader, &load->nsm->state) && reader_is_done(&value_reader);
    else if (reader_u8(&key_reader, &kind) && kind == 'h')
        load->err = load_host(load->nsm, &key_reader, &value_reader);
    else
        good = kind == 'w' && nsm__load_watch(load->nsm, &key_reader, &value_reader);
    if (!good)
        load->err = ERR_CORRUPT;
    return load->err == ERR_OK;
}

enum err nsm__load(struct nsm *nsm)
{
    struct load load = {.nsm = nsm, .err = ERR_OK};
    enum err err;

    if (nsm->records.put == NULL)
        return ERR_OK;
    err = nsm->records.scan(nsm->records.data, TABLE, load_record, &load);
    if (err == ERR_OK)
        err = load.err;
    return err == ERR_OK ? nsm__watches_renew(nsm) : err;
}

/* ---- monitoring ---- */

enum err nsm__monitor(struct nsm *nsm, const struct nsm_subject *subject, const struct net_address *local,
                      uint32_t state)
{
    struct nsm_host *host = find(nsm, subject);
    bool is_new = host == NULL;
    enum err err = is_new ? new_host(nsm, subject, &host) : ERR_OK;

    if (err != ERR_OK)
        return err;
    host->in_use = true;
    if (!is_new && (state == 0 || host->state == state) && net_address_same_host(&host->local, local))
        return ERR_OK;
    host->local = nfs__host_of(local);
    host->state = state;
    err = put_host(host);
    if (err != ERR_OK && is_new)
        free_host(host);
    return err;
}

void nsm__unmonitor(struct nsm *nsm, const struct nsm_subject *subject)
{
    struct nsm_host *host = find(nsm, subject);

    if (host == NULL)
        return;
    host->in_use = false;
    if (host->notices == 0 && !host->untold) {
        remove_host(host);
        free_host(host);
    }
}

void nsm__untell_all(struct nsm *nsm)
{
    struct hashlink *link = NULL;

    while ((link = hashtable_walk(&nsm->monitored, link)) != NULL)
        container_of(link, struct nsm_host, hashlink)->untold = true;
}

void nsm__host_told(struct nsm_host *host)
{
    if (host->notices > 0 || host->in_use)
        return;
    remove_host(host);
    free_host(host);
}

uint32_t nsm__state_of(const struct nsm *nsm, const struct nsm_subject *subject)
{
    const struct nsm_host *host = find(nsm, subject);

    return host == NULL ? 0 : host->state;
}

void nsm__set_state_of(struct nsm *nsm, const struct nsm_subject *subject, uint32_t state)
{
    struct nsm_host *host = find(nsm, subject);

    if (host == NULL || host->state == state)
        return;
    host->state = state;
    if (put_host(host) != ERR_OK)
        log_error("nsm: a host's state number can't be recorded");
}
