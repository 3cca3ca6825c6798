/*
 * client.c - the table of clients and their leases.
 *
 * Happy path: client_new makes an unconfirmed record, client_confirm confirms it, client_renew moves it to
 * the end of the list of leases; the tick looks at that list's head only. A confirmed client whose lease is
 * over and that holds something which nobody waits for moves to the list of courtesy; client__yield drops it
 * from there when somebody wants what it holds, when a limit is reached, or when it gets too old.
 *
 * Invariants: of an owner (family, id) there is at most one confirmed (or courtesy) and one unconfirmed
 * record. A client is in exactly one of leases, unconfirmed and courtesy, or in none when it is confirmed and
 * not leased. Its record for recovery is removed before its state can be had by others (RFC 8881 8.4.2.1).
 */
#include "dittofs/client.h"
#include "state/state_priv.h"

#include "dittofs/clock.h"
#include "dittofs/random.h"

#include <stdlib.h>
#include <string.h>

void client__init(struct state *state)
{
    list_init(&state->clients);
    list_init(&state->leases);
    list_init(&state->unconfirmed);
    list_init(&state->courtesy);
}

/* ---- finding ---- */

static uint64_t owner_hash(const struct state *state, unsigned family, const void *owner, size_t length)
{
    return siphash64(&state->hash_key, owner, length) ^ hash_u64(family);
}

static struct client *find(struct state *state, unsigned family, const void *owner, size_t length,
                           bool confirmed)
{
    struct hashlink *link;

    link = hashtable_find(&state->clients_by_owner, owner_hash(state, family, owner, length));
    for (; link != NULL; link = hashtable_find_next(link)) {
        struct client *client = container_of(link, struct client, by_owner);
        if (client->family == family && client->owner_length == length &&
            memcmp(client->owner, owner, length) == 0 && (client->status != CLIENT_UNCONFIRMED) == confirmed)
            return client;
    }
    return NULL;
}

struct client *client_find_confirmed(struct state *state, unsigned family, const void *owner, size_t length)
{
    return find(state, family, owner, length, true);
}

struct client *client_find_unconfirmed(struct state *state, unsigned family, const void *owner, size_t length)
{
    return find(state, family, owner, length, false);
}

static struct client *find_id(struct state *state, uint64_t id, bool confirmed)
{
    struct hashlink *link = hashtable_find(&state->clients_by_id, hash_u64(id));

    for (; link != NULL; link = hashtable_find_next(link)) {
        struct client *client = container_of(link, struct client, by_id);
        if (client->id == id && (client->status != CLIENT_UNCONFIRMED) == confirmed)
            return client;
    }
    return NULL;
}

enum err client_by_id(struct state *state, uint64_t id, struct client **client_r)
{
    struct client *client = find_id(state, id, true);

    if (client == NULL)
        client = find_id(state, id, false);
    if (client != NULL) {
        *client_r = client;
        return ERR_OK;
    }
    for (size_t i = 0; i < EXPIRED_IDS && id != 0; i++) {
        if (state->expired_ids[i] == id)
            return ERR_EXPIRED;
    }
    return ERR_STALE_CLIENTID;
}

struct client *client_unconfirmed_by_id(struct state *state, uint64_t id)
{
    return find_id(state, id, false);
}

struct client *client_next(struct state *state, const struct client *at)
{
    struct list *next = at == NULL ? state->clients.next : at->link.next;

    return next == &state->clients ? NULL : container_of(next, struct client, link);
}

/* Ids rise in the order of the list, but for updates, which share one. */
static bool is_update(const struct client *client)
{
    return client->status == CLIENT_UNCONFIRMED && find_id(client->state, client->id, true) != NULL;
}

struct client *client_next_id(struct state *state, uint64_t after)
{
    struct client *client = after == 0 ? NULL : find_id(state, after, true);

    if (client == NULL && after != 0)
        client = find_id(state, after, false);
    client = client_next(state, client);
    while (client != NULL && (client->id <= after || is_update(client)))
        client = client_next(state, client);
    return client;
}

enum client_case client_classify(struct state *state, const struct client_spec *spec, bool update,
                                 struct client **confirmed_r, struct client **unconfirmed_r)
{
    struct client *confirmed = find(state, spec->family, spec->owner, spec->owner_length, true);
    struct client *unconfirmed = find(state, spec->family, spec->owner, spec->owner_length, false);
    bool same_verifier, same_principal;

    *confirmed_r = confirmed;
    *unconfirmed_r = unconfirmed;
    if (confirmed == NULL) {
        if (update)
            return CLIENT_CASE_UPDATE_NONE;
        return unconfirmed != NULL ? CLIENT_CASE_UNCONFIRMED : CLIENT_CASE_NEW;
    }
    same_verifier = memcmp(confirmed->verifier, spec->verifier, CLIENT_VERIFIER_SIZE) == 0;
    same_principal = client_is_principal(confirmed, spec->principal, spec->principal_length);
    if (update) {
        if (!same_verifier)
            return CLIENT_CASE_UPDATE_VERIFIER;
        return same_principal ? CLIENT_CASE_UPDATE : CLIENT_CASE_UPDATE_PRINCIPAL;
    }
    if (!same_principal) {
        bool idle = confirmed->status == CLIENT_COURTESY || !client_has_state(confirmed);
        return idle ? CLIENT_CASE_COLLISION_IDLE : CLIENT_CASE_COLLISION;
    }
    return same_verifier ? CLIENT_CASE_SAME : CLIENT_CASE_RESTART;
}

/* ---- making ---- */

static void free_memory(struct client *client)
{
    reply_slot__free(&client->create_slot);
    free(client->owner);
    free(client->principal);
    free(client);
}

static bool copy_bytes(uint8_t **to, size_t *length_r, const void *bytes, size_t length)
{
    *to = malloc(length + 1);
    if (*to == NULL)
        return false;
    if (length > 0)
        memcpy(*to, bytes, length);
    *length_r = length;
    return true;
}

static struct client *make(struct state *state, const struct client_spec *spec)
{
    struct client *client = calloc(1, sizeof *client);

    if (client == NULL)
        return NULL;
    if (!copy_bytes(&client->owner, &client->owner_length, spec->owner, spec->owner_length) ||
        !copy_bytes(&client->principal, &client->principal_length, spec->principal, spec->principal_length)) {
        free_memory(client);
        return NULL;
    }
    client->state = state;
    client->family = spec->family;
    client->leased = spec->leased;
    client->recoverable = spec->recoverable;
    client->completes = spec->completes;
    client->operations = spec->operations;
    client->user = spec->user;
    memcpy(client->verifier, spec->verifier, CLIENT_VERIFIER_SIZE);
    do {
        client->confirm_value = random_u64();
    } while (client->confirm_value == 0);
    client->renewed_ms = state__now();
    list_init(&client->owners);
    list_init(&client->opens);
    list_init(&client->grants);
    list_init(&client->sessions);
    list_init(&client->others);
    list_init(&client->revoked);
    return client;
}

/* The table is full: an expired client goes, else the oldest half-made one. */
static bool make_room(struct state *state, const struct client *except)
{
    struct list *link;

    if (state__make_room(state, except))
        return true;
    list_for_each(link, &state->unconfirmed)
    {
        struct client *client = container_of(link, struct client, lease_link);
        if (client->holds == 0) {
            client__end(client, END_CLOSED);
            return true;
        }
    }
    return false;
}

enum err client_new(struct state *state, const struct client_spec *spec, struct client *update_of,
                    struct client **client_r)
{
    struct client *client, *old;

    if (spec->owner_length == 0 || spec->owner_length > CLIENT_OWNER_MAX ||
        spec->principal_length > CLIENT_PRINCIPAL_MAX)
        return ERR_INVAL;
    old = find(state, spec->family, spec->owner, spec->owner_length, false);
    if (old != NULL)
        client__end(old, END_CLOSED);
    if (state->counters.clients >= state->options.max_clients && !make_room(state, update_of))
        return ERR_LIMIT;
    client = make(state, spec);
    if (client == NULL)
        return ERR_NOMEM;
    client->id =
        update_of != NULL ? update_of->id : (uint64_t)state->instance << 32 | (uint64_t)++state->last_client;
    if (!hashtable_insert(&state->clients_by_owner, &client->by_owner,
                          owner_hash(state, client->family, client->owner, client->owner_length)))
        goto err_after_make;
    if (!hashtable_insert(&state->clients_by_id, &client->by_id, hash_u64(client->id)))
        goto err_after_owner;
    list_push_back(&state->clients, &client->link);
    list_push_back(&state->unconfirmed, &client->lease_link);
    state->counters.clients++;
    *client_r = client;
    return ERR_OK;

err_after_owner:
    hashtable_remove(&state->clients_by_owner, &client->by_owner);
err_after_make:
    free_memory(client);
    return ERR_NOMEM;
}

/* ---- lease ---- */

static void start_lease(struct client *client)
{
    struct state *state = client->state;

    if (client->status == CLIENT_COURTESY) {
        client->status = CLIENT_CONFIRMED;
        state->counters.courtesy--;
    }
    client->renewed_ms = clock_monotonic_coarse_ms();
    /* Those that are busy are often the last already. */
    if (client->leased && state->leases.previous != &client->lease_link) {
        list_remove(&client->lease_link);
        list_push_back(&state->leases, &client->lease_link);
    }
}

enum err client_renew(struct client *client)
{
    if (client->status == CLIENT_GONE)
        return ERR_EXPIRED;
    if (client->status != CLIENT_UNCONFIRMED)
        start_lease(client);
    return ERR_OK;
}

/* ---- confirming ---- */

static void confirm_update(struct client *client, struct client *confirmed)
{
    void *old_user = confirmed->user;
    const struct client_operations *old_operations = confirmed->operations;
    uint8_t *old_principal = confirmed->principal;
    size_t old_length = confirmed->principal_length;

    memcpy(confirmed->verifier, client->verifier, CLIENT_VERIFIER_SIZE);
    confirmed->confirm_value = client->confirm_value;
    confirmed->principal = client->principal;
    confirmed->principal_length = client->principal_length;
    confirmed->user = client->user;
    confirmed->operations = client->operations;
    client->principal = old_principal;
    client->principal_length = old_length;
    client->user = old_user;
    client->operations = old_operations;
    client__end(client, END_CLOSED);
}

struct client *client_confirm(struct client *client)
{
    struct state *state = client->state;
    struct client *confirmed;

    if (client->status != CLIENT_UNCONFIRMED)
        return client;
    confirmed = find(state, client->family, client->owner, client->owner_length, true);
    if (confirmed != NULL && confirmed->id == client->id) {
        confirm_update(client, confirmed);
        start_lease(confirmed);
        return confirmed;
    }
    if (confirmed != NULL)
        client__end(confirmed, END_REPLACED);
    client->status = CLIENT_CONFIRMED;
    list_remove(&client->lease_link);
    start_lease(client);
    recovery__returned(client);
    return client;
}

/* ---- ending ---- */

static void give_everything_back(struct client *client, enum end_reason reason)
{
    /* Locks first, so that their waits learn that the client went, not that a file was closed. */
    for (struct list *link = client->owners.next; link != &client->owners;) {
        struct owner *owner = owner_ref(container_of(link, struct owner, client_link));
        while (!list_is_empty(&owner->holders))
            lock__holder_end(list_first(&owner->holders, struct lock_holder, owner_link), reason,
                             ERR_EXPIRED);
        link = link->next;
        owner_unref(&owner);
    }
    session__client_gone(client);
    while (!list_is_empty(&client->grants)) {
        struct grant *grant = grant_next_of_client(client, NULL);
        grant__end(grant, reason);
    }
    while (!list_is_empty(&client->opens))
        open__end(list_first(&client->opens, struct open, client_link), reason);
    while (!list_is_empty(&client->owners))
        owner__client_gone(list_first(&client->owners, struct owner, client_link));
    stateid__client_gone(client, reason);
}

void client__end(struct client *client, enum end_reason reason)
{
    struct state *state = client->state;
    bool was_confirmed = client->status != CLIENT_UNCONFIRMED;

    if (client->status == CLIENT_GONE)
        return;
    if (was_confirmed && recovery__forget(client) != ERR_OK)
        log_error("state: a client's record could not be removed: it may reclaim after a restart");
    if (client->status == CLIENT_COURTESY)
        state->counters.courtesy--;
    recovery__gone(client);
    give_everything_back(client, reason);
    if (reason == END_EXPIRED) {
        state->expired_ids[state->expired_at++ % EXPIRED_IDS] = client->id;
        state->counters.expired_total++;
    }
    hashtable_remove(&state->clients_by_owner, &client->by_owner);
    hashtable_remove(&state->clients_by_id, &client->by_id);
    list_remove(&client->link);
    list_remove(&client->lease_link);
    state->counters.clients--;
    client->status = CLIENT_GONE;
    if (client->operations != NULL && client->operations->gone != NULL)
        client->operations->gone(client, client->user);
    client->user = NULL;
    if (client->holds == 0)
        free_memory(client);
}

void client_destroy(struct client *client)
{
    client__end(client, END_CLOSED);
}

bool client__yield(struct client *client, const struct client *asking)
{
    if (client == NULL || client == asking || client->status != CLIENT_COURTESY || client->holds > 0)
        return false;
    if (recovery__forget(client) != ERR_OK)
        return false;
    client->state->counters.evicted_total++;
    client__end(client, END_EXPIRED);
    return true;
}

bool client_has_state(const struct client *client)
{
    return !list_is_empty(&client->opens) || !list_is_empty(&client->grants) || client->range_count > 0;
}

bool client_is_busy(const struct client *client)
{
    return !list_is_empty(&client->sessions) || client_has_state(client);
}

struct client *client_hold(struct client *client)
{
    client->holds++;
    return client;
}

void client_drop(struct client **client_p)
{
    struct client *client = *client_p;

    *client_p = NULL;
    if (client == NULL || --client->holds > 0)
        return;
    if (client->status == CLIENT_GONE)
        free_memory(client);
    else if (client->status == CLIENT_CONFIRMED)
        start_lease(client);
}

/* ---- the end of a lease ---- */

/* The lease of a confirmed client is over. */
static void lease_over(struct client *client, uint64_t now_ms)
{
    struct state *state = client->state;

    if (client->holds > 0) {
        start_lease(client);
        return;
    }
    /* What it waits for, it would not know what to do with. */
    for (struct list *link = client->owners.next; link != &client->owners; link = link->next) {
        struct owner *owner = container_of(link, struct owner, client_link);
        for (struct list *at = owner->holders.next; at != &owner->holders; at = at->next)
            lock__waits_end(container_of(at, struct lock_holder, owner_link), ERR_EXPIRED);
    }
    if (!client_has_state(client) || lock__is_contended(client) || grant__is_contended(client)) {
        client__end(client, END_EXPIRED);
        return;
    }
    client->status = CLIENT_COURTESY;
    client->renewed_ms = now_ms;
    list_remove(&client->lease_link);
    list_push_back(&state->courtesy, &client->lease_link);
    if (++state->counters.courtesy > state->options.max_courtesy)
        (void)state__make_room(state, NULL);
}

static struct client *oldest(struct list *list, uint64_t now_ms, uint64_t age_ms)
{
    struct client *client;

    if (list_is_empty(list))
        return NULL;
    client = list_first(list, struct client, lease_link);
    return now_ms - client->renewed_ms >= age_ms ? client : NULL;
}

void client__tick(struct state *state, uint64_t now_ms)
{
    uint64_t lease_ms = state->options.lease_ms;
    struct list *link, *following;
    struct client *client;

    list_for_each_safe(link, following, &state->unconfirmed)
    {
        client = container_of(link, struct client, lease_link);
        if (now_ms - client->renewed_ms < lease_ms)
            break;
        if (client->holds == 0)
            client__end(client, END_CLOSED);
    }
    while ((client = oldest(&state->leases, now_ms, lease_ms)) != NULL)
        lease_over(client, now_ms);
    while ((client = oldest(&state->courtesy, now_ms, state->options.courtesy_ms)) != NULL) {
        if (!client__yield(client, NULL))
            break;
    }
}

void client__close(struct state *state)
{
    while (!list_is_empty(&state->clients))
        client__end(list_first(&state->clients, struct client, link), END_CLOSED);
    hashtable_free(&state->clients_by_owner);
    hashtable_free(&state->clients_by_id);
}

/* ---- what it is ---- */

enum client_status client_status(const struct client *client)
{
    return client->status;
}

struct state *client_state(const struct client *client)
{
    return client->state;
}

uint64_t client_id(const struct client *client)
{
    return client->id;
}

unsigned client_family(const struct client *client)
{
    return client->family;
}

const uint8_t *client_owner(const struct client *client, size_t *length_r)
{
    *length_r = client->owner_length;
    return client->owner;
}

const uint8_t *client_verifier(const struct client *client)
{
    return client->verifier;
}

bool client_is_principal(const struct client *client, const void *principal, size_t length)
{
    return client->principal_length == length &&
           (length == 0 || memcmp(client->principal, principal, length) == 0);
}

uint64_t client_confirm_value(const struct client *client)
{
    return client->confirm_value;
}

void *client_user(const struct client *client)
{
    return client->user;
}

void client_set_user(struct client *client, void *user)
{
    client->user = user;
}

uint32_t client_revoked_grants(const struct client *client)
{
    return client->revoked_grants;
}

uint32_t client_revoked_others(const struct client *client)
{
    return client->revoked_others;
}

/* ---- for administrators ---- */

static void printable(char *to, size_t size, const uint8_t *from, size_t length)
{
    size_t count = length < size - 1 ? length : size - 1;

    for (size_t i = 0; i < count; i++)
        to[i] = from[i] >= 0x20 && from[i] < 0x7f ? (char)from[i] : '.';
    to[count] = '\0';
}

void client_describe(const struct client *client, struct client_description *description_r)
{
    *description_r = (struct client_description){.protocol = "unknown"};
    printable(description_r->name, sizeof description_r->name, client->owner, client->owner_length);
    if (client->operations != NULL && client->operations->describe != NULL)
        client->operations->describe(client, client->user, description_r);
}

void client_disconnect(struct client *client)
{
    if (client->operations != NULL && client->operations->disconnect != NULL)
        client->operations->disconnect(client, client->user);
    else
        client_destroy(client);
}

uint64_t client_idle_ms(const struct client *client)
{
    return state__now() - client->renewed_ms;
}
