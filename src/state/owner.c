/*
 * owner.c - owners of opens and locks, and NFSv4.0's sequence of their requests.
 *
 * An owner that is kept has one reference by its place in state->kept_owners; it is idle when that is the
 * only one. Idle ones go after a lease, or oldest first when the table is full (RFC 7530 9.1.10 lets us
 * forget them).
 */
#include "dittofs/owner.h"
#include "state/state_priv.h"

#include <stdlib.h>
#include <string.h>

static uint64_t key_hash(const struct state *state, const struct client *client, unsigned kind,
                         const void *key, size_t length)
{
    return siphash64(&state->hash_key, key, length) ^ hash_u64((uint64_t)(uintptr_t)client + kind);
}

struct owner *owner_find(struct client *client, unsigned kind, const void *key, size_t length)
{
    struct state *state = client->state;
    struct hashlink *link = hashtable_find(&state->owners, key_hash(state, client, kind, key, length));

    for (; link != NULL; link = hashtable_find_next(link)) {
        struct owner *owner = container_of(link, struct owner, hashlink);
        if (owner->client == client && owner->kind == kind && owner->key_length == length &&
            memcmp(owner->key, key, length) == 0)
            return owner;
    }
    return NULL;
}

bool owner__drop_idle(struct state *state)
{
    struct list *link;

    list_for_each(link, &state->kept_owners)
    {
        struct owner *owner = container_of(link, struct owner, kept_link);
        if (owner->references == 1 && !owner->slot.busy) {
            owner_release_locks(owner);
            return true;
        }
    }
    return false;
}

enum err owner_get(struct client *client, unsigned kind, const void *key, size_t length,
                   struct owner **owner_r)
{
    struct state *state = client->state;
    struct owner *owner;

    if (length > OWNER_KEY_MAX)
        return ERR_INVAL;
    if (client->status == CLIENT_GONE)
        return ERR_EXPIRED;
    owner = owner_find(client, kind, key, length);
    if (owner != NULL) {
        *owner_r = owner_ref(owner);
        return ERR_OK;
    }
    if (state->counters.owners >= state->options.max_owners && !owner__drop_idle(state) &&
        !state__make_room(state, client))
        return ERR_LIMIT;
    owner = calloc(1, sizeof *owner + length);
    if (owner == NULL)
        return ERR_NOMEM;
    if (!hashtable_insert(&state->owners, &owner->hashlink, key_hash(state, client, kind, key, length))) {
        free(owner);
        return ERR_NOMEM;
    }
    owner->state = state;
    owner->client = client;
    owner->references = 1;
    owner->kind = kind;
    owner->id = ++state->last_owner;
    owner->used_ms = state__now();
    list_push_back(&client->owners, &owner->client_link);
    list_init(&owner->kept_link);
    list_init(&owner->opens);
    list_init(&owner->holders);
    list_init(&owner->waits);
    list_init(&owner->search_link);
    owner->key_length = length;
    if (length > 0)
        memcpy(owner->key, key, length);
    state->counters.owners++;
    *owner_r = owner;
    return ERR_OK;
}

struct owner *owner_ref(struct owner *owner)
{
    owner->references++;
    return owner;
}

/* No longer found by its key. */
static void leave_table(struct owner *owner)
{
    if (owner->client == NULL)
        return;
    hashtable_remove(&owner->state->owners, &owner->hashlink);
    list_remove(&owner->client_link);
    owner->client = NULL;
}

void reply_slot__free(struct reply_slot *slot)
{
    free(slot->reply);
    slot->reply = NULL;
    slot->reply_length = 0;
}

static void drop_reply(struct owner *owner)
{
    owner->state->counters.owner_reply_bytes -= owner->slot.reply_length;
    reply_slot__free(&owner->slot);
}

void owner_unref(struct owner **owner_p)
{
    struct owner *owner = *owner_p;

    *owner_p = NULL;
    if (owner == NULL || --owner->references > 0)
        return;
    invariant(list_is_empty(&owner->opens) && list_is_empty(&owner->holders) && list_is_empty(&owner->waits));
    leave_table(owner);
    if (owner->closed != NULL)
        owner->closed->closer = NULL;
    drop_reply(owner);
    owner->state->counters.owners--;
    free(owner);
}

static void unkeep(struct owner *owner)
{
    struct owner *reference = owner;

    if (!owner->kept)
        return;
    owner->kept = false;
    list_remove(&owner->kept_link);
    owner_unref(&reference);
}

void owner__client_gone(struct owner *owner)
{
    leave_table(owner);
    unkeep(owner);
}

void owner__tick(struct state *state, uint64_t now_ms)
{
    struct list *link, *following;

    list_for_each_safe(link, following, &state->kept_owners)
    {
        struct owner *owner = container_of(link, struct owner, kept_link);
        if (now_ms - owner->used_ms < state->options.lease_ms)
            break;
        if (owner->references == 1 && !owner->slot.busy)
            unkeep(owner);
    }
}

void owner__close(struct state *state)
{
    invariant(state->owners.count == 0);
    hashtable_free(&state->owners);
}

void owner_release_locks(struct owner *owner)
{
    struct owner *reference = owner_ref(owner);

    while (!list_is_empty(&owner->holders))
        lock__holder_end(list_first(&owner->holders, struct lock_holder, owner_link), END_CLOSED,
                         ERR_CANCELLED);
    unkeep(owner);
    owner_unref(&reference);
}

struct client *owner_client(const struct owner *owner)
{
    return owner->client;
}

unsigned owner_kind(const struct owner *owner)
{
    return owner->kind;
}

const uint8_t *owner_key(const struct owner *owner, size_t *length_r)
{
    *length_r = owner->key_length;
    return owner->key;
}

uint64_t owner_id(const struct owner *owner)
{
    return owner->id;
}

bool owner_has_opens(const struct owner *owner)
{
    return !list_is_empty(&owner->opens);
}

bool owner_has_locks(const struct owner *owner)
{
    return owner->range_count > 0;
}

/* ---- sequence ids ---- */

static void touch(struct owner *owner)
{
    owner->used_ms = state__now();
    if (owner->kept) {
        list_remove(&owner->kept_link);
        list_push_back(&owner->state->kept_owners, &owner->kept_link);
    }
}

void owner_keep(struct owner *owner)
{
    if (owner->kept || owner->client == NULL)
        return;
    owner->kept = true;
    owner_ref(owner);
    list_push_back(&owner->state->kept_owners, &owner->kept_link);
    touch(owner);
}

bool owner_is_confirmed(const struct owner *owner)
{
    return owner->confirmed;
}

void owner_set_confirmed(struct owner *owner, bool confirmed)
{
    owner->confirmed = confirmed;
}

enum owner_sequence owner_sequence_check(struct owner *owner, uint32_t seqid, const uint8_t **reply_r,
                                         size_t *length_r)
{
    struct reply_slot *slot = &owner->slot;
    /* RFC 7530 9.1.7: the seqid after 2^32-1 is not said; Linux goes on at 0, others leave 0 out. */
    bool next = seqid == slot->seqid + 1 || (slot->seqid == UINT32_MAX && seqid == 1);

    touch(owner);
    if (slot->used && seqid == slot->seqid) {
        if (slot->busy)
            return OWNER_SEQUENCE_BUSY;
        *reply_r = slot->reply;
        *length_r = slot->reply_length;
        return OWNER_SEQUENCE_REPLAY;
    }
    if (slot->used && !next)
        return OWNER_SEQUENCE_BAD;
    if (slot->busy)
        return OWNER_SEQUENCE_BUSY;
    slot->busy = true;
    slot->digest = seqid; /* the one under way; becomes the last one when it is done */
    return OWNER_SEQUENCE_NEW;
}

void owner_sequence_forget(struct owner *owner)
{
    if (!owner->slot.busy)
        owner->slot.used = false;
}

void owner_sequence_done(struct owner *owner, bool advance, const void *reply, size_t length)
{
    struct state *state = owner->state;
    struct reply_slot *slot = &owner->slot;
    uint64_t total;

    slot->busy = false;
    if (!advance)
        return;
    slot->used = true;
    slot->seqid = (uint32_t)slot->digest;
    drop_reply(owner);
    total = state->counters.owner_reply_bytes + length;
    if (reply == NULL || length > state->options.max_owner_reply || total > state->options.max_owner_replies)
        return;
    slot->reply = malloc(length + 1);
    if (slot->reply == NULL)
        return;
    memcpy(slot->reply, reply, length);
    slot->reply_length = length;
    state->counters.owner_reply_bytes = total;
}
