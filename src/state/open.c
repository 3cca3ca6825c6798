/*
 * open.c - opens and their share reservations.
 *
 * A file counts how many opens have each bit of access and of deny, so that an open which nothing can be in
 * the way of costs the same with one open and with ten thousand; only when a count says that there may be a
 * conflict are the opens looked at.
 */
#include "dittofs/open.h"
#include "state/state_priv.h"

#include <stdlib.h>
#include <string.h>

enum { SHARE_ALL = OPEN_READ | OPEN_WRITE | OPEN_DELETE };

static void count(struct state_file *file, unsigned access, unsigned deny, int change)
{
    for (unsigned i = 0; i < SHARE_BITS; i++) {
        if (access & 1u << i)
            file->access_count[i] += (uint32_t)change;
        if (deny & 1u << i)
            file->deny_count[i] += (uint32_t)change;
    }
}

/* Some open has a bit in its way, SELF (may be NULL) left out. */
static bool may_conflict(const struct state_file *file, unsigned access, unsigned deny,
                         const struct open *self)
{
    for (unsigned i = 0; i < SHARE_BITS; i++) {
        unsigned bit = 1u << i;
        uint32_t own_access = self != NULL && (self->access & bit) ? 1 : 0;
        uint32_t own_deny = self != NULL && (self->deny & bit) ? 1 : 0;

        if (((access & bit) && file->deny_count[i] > own_deny) ||
            ((deny & bit) && file->access_count[i] > own_access))
            return true;
    }
    return false;
}

/* An open in the way of ACCESS and DENY; those of SELF and of the owner with the id EXCEPT (0: nobody) don't
 * count, those of expired clients but ASKING are dropped. */
static const struct open *find_conflict(struct state_file *file, unsigned access, unsigned deny,
                                        const struct open *self, uint64_t except, const struct client *asking)
{
    struct list *link = file->opens.next;

    if (!may_conflict(file, access, deny, self))
        return NULL;
    while (link != &file->opens) {
        struct open *open = container_of(link, struct open, file_link);

        link = link->next;
        if (open == self || open->owner->id == except ||
            ((access & open->deny) == 0 && (deny & open->access) == 0))
            continue;
        if (!client__yield(open->owner->client, asking))
            return open;
        link = file->opens.next; /* others of it went too */
    }
    return NULL;
}

static uint64_t table_hash(const struct owner *owner, const struct state_file *file)
{
    return state__hash(file->state, owner->id, (uint64_t)(uintptr_t)file);
}

struct open *open_find(const struct owner *owner, const struct state_file *file)
{
    struct hashlink *link = hashtable_find(&file->state->opens, table_hash(owner, file));

    for (; link != NULL; link = hashtable_find_next(link)) {
        struct open *open = container_of(link, struct open, hashlink);
        if (open->owner == owner && open->file == file)
            return open;
    }
    return NULL;
}

static uint64_t combination(unsigned access, unsigned deny)
{
    return (uint64_t)1 << (access << SHARE_BITS | deny);
}

static enum err check_new(const struct open_spec *spec, struct client *client)
{
    enum err err;

    if (client == NULL || client->status == CLIENT_GONE)
        return ERR_EXPIRED;
    if (!spec->any_time) {
        err = grace_check(client, spec->reclaim);
        if (err != ERR_OK)
            return err;
    }
    if (find_conflict(spec->file, spec->access, spec->deny, NULL, 0, client) != NULL)
        return ERR_SHARE_DENIED;
    if (client->state->counters.opens >= client->state->options.max_opens &&
        !state__make_room(client->state, client))
        return ERR_LIMIT;
    return recovery__note(client, spec->reclaim);
}

enum err open_add(const struct open_spec *spec, struct open **open_r)
{
    struct client *client = spec->owner->client;
    struct state *state = spec->file->state;
    struct open *open;
    enum err err;

    if (((spec->access | spec->deny) & ~(unsigned)SHARE_ALL) || spec->grant_key_length > OPEN_GRANT_KEY_MAX)
        return ERR_INVAL;
    err = check_new(spec, client);
    if (err != ERR_OK)
        return err;
    open = calloc(1, sizeof *open);
    if (open == NULL)
        return ERR_NOMEM;
    err = stateid__add(client, STATEID_OPEN, open, &open->stateid);
    if (err != ERR_OK)
        goto err_after_alloc;
    err = ERR_NOMEM;
    if (!hashtable_insert(&state->opens, &open->hashlink, table_hash(spec->owner, spec->file)))
        goto err_after_stateid;
    open->file = state_file_ref(spec->file);
    open->owner = owner_ref(spec->owner);
    open->access = spec->access;
    open->deny = spec->deny;
    open->combinations = combination(spec->access, spec->deny);
    open->gone = spec->gone;
    open->user = spec->user;
    open->grant_key_length = (uint8_t)spec->grant_key_length;
    if (spec->grant_key_length > 0)
        memcpy(open->grant_key, spec->grant_key, spec->grant_key_length);
    list_init(&open->holders);
    list_push_back(&open->file->opens, &open->file_link);
    list_push_back(&open->owner->opens, &open->owner_link);
    list_push_back(&client->opens, &open->client_link);
    count(open->file, open->access, open->deny, 1);
    state->counters.opens++;
    *open_r = open;
    return ERR_OK;

err_after_stateid:
    stateid__end(state, open->stateid, END_CLOSED);
err_after_alloc:
    free(open);
    return err;
}

enum err open_upgrade(struct open *open, unsigned access, unsigned deny, bool reclaim)
{
    struct client *client = open->owner->client;
    enum err err;

    if ((access | deny) & ~(unsigned)SHARE_ALL)
        return ERR_INVAL;
    err = grace_check(client, reclaim);
    if (err != ERR_OK)
        return err;
    if (find_conflict(open->file, access, deny, open, 0, client) != NULL)
        return ERR_SHARE_DENIED;
    err = recovery__note(client, reclaim);
    if (err != ERR_OK)
        return err;
    count(open->file, open->access, open->deny, -1);
    open->access |= access;
    open->deny |= deny;
    open->combinations |= combination(access, deny);
    count(open->file, open->access, open->deny, 1);
    return ERR_OK;
}

/* The largest set of earlier opens that could give ACCESS and DENY is that of all which have no other bits;
 * if any set gives exactly these, so does that one. */
enum err open_downgrade(struct open *open, unsigned access, unsigned deny)
{
    unsigned access_union = 0, deny_union = 0;
    uint64_t kept = 0;

    for (unsigned a = 0; a <= SHARE_ALL; a++) {
        for (unsigned d = 0; d <= SHARE_ALL; d++) {
            if (!(open->combinations & combination(a, d)) || (a & ~access) || (d & ~deny))
                continue;
            access_union |= a;
            deny_union |= d;
            kept |= combination(a, d);
        }
    }
    if (kept == 0 || access_union != access || deny_union != deny)
        return ERR_INVAL;
    count(open->file, open->access, open->deny, -1);
    open->access = access;
    open->deny = deny;
    open->combinations = kept;
    count(open->file, open->access, open->deny, 1);
    return ERR_OK;
}

/* Everything but the stateid. */
static void take_down(struct open *open, enum end_reason reason)
{
    struct state *state = open->file->state;

    while (!list_is_empty(&open->holders))
        lock__holder_end(list_first(&open->holders, struct lock_holder, open_link), reason, ERR_CANCELLED);
    hashtable_remove(&state->opens, &open->hashlink);
    list_remove(&open->file_link);
    list_remove(&open->owner_link);
    list_remove(&open->client_link);
    count(open->file, open->access, open->deny, -1);
    state->counters.opens--;
    if (open->gone != NULL)
        open->gone(open, open->user);
    owner_unref(&open->owner);
    state_file_unref(&open->file);
    free(open);
}

void open__end(struct open *open, enum end_reason reason)
{
    if (reason == END_CLOSED && open->owner->kept)
        stateid__set_closer(open->stateid, open->owner);
    stateid__end(open->file->state, open->stateid, reason);
    take_down(open, reason);
}

void open_close(struct open *open)
{
    open__end(open, END_CLOSED);
}

void open_revoke(struct open *open)
{
    struct state *state = open->file->state;

    while (!list_is_empty(&open->holders)) {
        struct lock_holder *holder = list_first(&open->holders, struct lock_holder, open_link);
        stateid__revoke(state, holder->stateid, ENTRY_ADMIN_REVOKED);
        holder->stateid = NULL;
        lock__holder_end(holder, END_CLOSED, ERR_ADMIN_REVOKED);
    }
    stateid__revoke(state, open->stateid, ENTRY_ADMIN_REVOKED);
    take_down(open, END_CLOSED);
}

enum err open_test(struct state_file *file, unsigned access, unsigned deny, const struct owner *except)
{
    struct state_file *reference = state_file_ref(file);
    const struct open *open = find_conflict(file, access, deny, NULL, except != NULL ? except->id : 0,
                                            except != NULL ? except->client : NULL);

    state_file_unref(&reference);
    return open == NULL ? ERR_OK : ERR_SHARE_DENIED;
}

enum err open_check_io(struct state_file *file, unsigned access, uint64_t owner)
{
    struct state_file *reference;
    const struct open *open;

    if (file == NULL || !may_conflict(file, access, 0, NULL))
        return ERR_OK;
    reference = state_file_ref(file);
    open = find_conflict(file, access, 0, NULL, owner, NULL);
    state_file_unref(&reference);
    return open == NULL ? ERR_OK : ERR_LOCKED;
}

unsigned open_access(const struct open *open)
{
    return open->access;
}

unsigned open_deny(const struct open *open)
{
    return open->deny;
}

struct owner *open_owner(const struct open *open)
{
    return open->owner;
}

struct state_file *open_file(const struct open *open)
{
    return open->file;
}

void *open_user(const struct open *open)
{
    return open->user;
}

void open_set_user(struct open *open, void *user)
{
    open->user = user;
}

struct stateid open_stateid(const struct open *open)
{
    return stateid__get(open->file->state, open->stateid);
}

struct stateid open_stateid_next(struct open *open)
{
    return stateid__next(open->file->state, open->stateid);
}

bool open_has_locks(const struct open *open)
{
    struct list *link;

    list_for_each(link, &open->holders)
    {
        if (container_of(link, struct lock_holder, open_link)->ranges.count > 0)
            return true;
    }
    return false;
}

struct open *open_next_of_file(const struct state_file *file, const struct open *at)
{
    struct list *next = at == NULL ? file->opens.next : at->file_link.next;

    return next == &file->opens ? NULL : container_of(next, struct open, file_link);
}

struct open *open_next_of_client(const struct client *client, const struct open *at)
{
    struct list *next = at == NULL ? client->opens.next : at->client_link.next;

    return next == &client->opens ? NULL : container_of(next, struct open, client_link);
}
