/*
 * duplicate.c - the duplicate-request cache: a call that is not idempotent and is sent again, because its
 * reply was lost or is late, gets the reply of the first, or none while that runs.
 *
 * The key is the client's host (not its port: a retry may come over a new connection), xid, program, version,
 * procedure, and length and CRC-32C of the whole message behind the xid, so that a client that uses an xid
 * again for something else is not given a wrong answer.
 *
 * Invariants: an entry with `call` is running, belongs to that call, and is not in the list `used`; one
 * without has its reply, and is. Running ones are bounded by the calls in flight; answered ones by the two
 * limits, the one used least recently goes first.
 */
#include "rpc/rpc_priv.h"
#include "dittofs/random.h"
#include <stdlib.h>
#include <string.h>

struct key {
    uint8_t host[16];
    uint32_t scope;
    uint32_t family;
    uint32_t xid, program, version, procedure;
    uint32_t crc, length;
};

struct onc__duplicate {
    struct hashlink link;
    struct list used_link;
    struct key key;
    struct onc__call *call;
    uint8_t *reply;
    size_t length;
};

void onc__duplicates_init(struct onc__duplicates *duplicates, size_t entries_max, size_t bytes_max)
{
    hashtable_init(&duplicates->table);
    list_init(&duplicates->used);
    random_bytes(&duplicates->key, sizeof duplicates->key);
    duplicates->entries_max = entries_max;
    duplicates->bytes_max = bytes_max;
    duplicates->bytes = 0;
}

static void remove_entry(struct onc__duplicates *duplicates, struct onc__duplicate *entry)
{
    hashtable_remove(&duplicates->table, &entry->link);
    list_remove(&entry->used_link);
    duplicates->bytes -= entry->length;
    free(entry->reply);
    free(entry);
}

void onc__duplicates_free(struct onc__duplicates *duplicates)
{
    while (!list_is_empty(&duplicates->used))
        remove_entry(duplicates, list_first(&duplicates->used, struct onc__duplicate, used_link));
    hashtable_free(&duplicates->table);
}

static void make_key(const struct onc__call *call, struct key *key)
{
    const struct onc_call *public_call = &call->call;
    const struct net_address *peer = &public_call->peer;
    const uint8_t *message = call->message + sizeof public_call->xid;
    size_t length = call->record_bytes - sizeof public_call->xid;

    memset(key, 0, sizeof *key);
    key->family = peer->sa.any.sa_family;
    if (key->family == AF_INET6) {
        memcpy(key->host, &peer->sa.v6.sin6_addr, sizeof peer->sa.v6.sin6_addr);
        key->scope = peer->sa.v6.sin6_scope_id;
    } else {
        memcpy(key->host, &peer->sa.v4.sin_addr, sizeof peer->sa.v4.sin_addr);
    }
    key->xid = public_call->xid;
    key->program = public_call->program->number;
    key->version = public_call->program->version;
    key->procedure = (uint32_t)(public_call->procedure - public_call->program->procedures);
    key->crc = crc32c(0, message, length);
    key->length = (uint32_t)length;
}

/* Makes room for one more entry; false when all are running. */
static bool make_room(struct onc__duplicates *duplicates)
{
    while (duplicates->table.count >= duplicates->entries_max) {
        if (list_is_empty(&duplicates->used))
            return false;
        remove_entry(duplicates, list_first(&duplicates->used, struct onc__duplicate, used_link));
    }
    return true;
}

/* Without an entry the call is run all the same, and a retry of it, too. */
static void add_entry(struct onc__duplicates *duplicates, struct onc__call *call, const struct key *key,
                      uint64_t hash)
{
    struct onc__duplicate *entry;

    if (!make_room(duplicates))
        return;
    entry = malloc(sizeof *entry);
    if (entry == NULL)
        return;
    *entry = (struct onc__duplicate){.key = *key, .call = call};
    list_init(&entry->used_link);
    if (!hashtable_insert(&duplicates->table, &entry->link, hash)) {
        free(entry);
        return;
    }
    call->duplicate = entry;
}

enum onc__duplicate_kind onc__duplicates_look_up(struct onc__duplicates *duplicates, struct onc__call *call,
                                                 const uint8_t **reply_r, size_t *length_r,
                                                 struct onc__call **running_r)
{
    struct key key;
    uint64_t hash;

    make_key(call, &key);
    hash = siphash64(&duplicates->key, &key, sizeof key);
    for (struct hashlink *link = hashtable_find(&duplicates->table, hash); link != NULL;
         link = hashtable_find_next(link)) {
        struct onc__duplicate *entry = container_of(link, struct onc__duplicate, link);

        if (memcmp(&entry->key, &key, sizeof key) != 0)
            continue;
        if (entry->call != NULL) {
            *running_r = entry->call;
            return ONC__DUPLICATE_RUNNING;
        }
        list_remove(&entry->used_link);
        list_push_back(&duplicates->used, &entry->used_link);
        *reply_r = entry->reply;
        *length_r = entry->length;
        return ONC__DUPLICATE_ANSWERED;
    }
    add_entry(duplicates, call, &key, hash);
    return ONC__DUPLICATE_NEW;
}

uint8_t *onc__duplicates_keep(struct onc__duplicates *duplicates, struct onc__call *call, size_t length)
{
    struct onc__duplicate *entry = call->duplicate;

    while (duplicates->bytes + length > duplicates->bytes_max && !list_is_empty(&duplicates->used))
        remove_entry(duplicates, list_first(&duplicates->used, struct onc__duplicate, used_link));
    if (duplicates->bytes + length > duplicates->bytes_max)
        return NULL;
    entry->reply = malloc(length);
    if (entry->reply == NULL)
        return NULL;
    entry->length = length;
    duplicates->bytes += length;
    entry->call = NULL;
    call->duplicate = NULL;
    list_push_back(&duplicates->used, &entry->used_link);
    return entry->reply;
}

void onc__duplicates_forget(struct onc__duplicates *duplicates, struct onc__call *call)
{
    remove_entry(duplicates, call->duplicate);
    call->duplicate = NULL;
}
