/*
 * lock_holder.c - holders of byte ranges, and the memory of ranges.
 *
 * A holder is made when an owner first locks on a file, and stays (its stateid with it) until it is freed or
 * its open, owner or client goes. All counts of ranges are kept where ranges go in and out of the trees.
 */
#include "dittofs/lock.h"
#include "state/state_priv.h"

#include <stdlib.h>

/* ---- ranges ---- */

struct range *lock__range_new(struct lock_holder *holder, enum err *err_r)
{
    struct state *state = holder->file->state;
    struct range *range;

    if (state->counters.locks >= state->options.max_locks &&
        !state__make_room(state, holder->owner->client)) {
        *err_r = ERR_LIMIT;
        return NULL;
    }
    range = calloc(1, sizeof *range);
    if (range == NULL) {
        *err_r = ERR_NOMEM;
        return NULL;
    }
    range->holder = holder;
    state->counters.locks++;
    return range;
}

void lock__range_free(struct range *range)
{
    range->holder->file->state->counters.locks--;
    free(range);
}

static void count(struct lock_holder *holder, int change)
{
    holder->owner->range_count += (uint32_t)change;
    holder->owner->client->range_count += (uint32_t)change;
    if (holder->rules == LOCK_EXACT)
        holder->file->exact_count += (uint32_t)change;
}

/* Exclusive ones are found before shared ones that are otherwise equal: an unlock takes them first. */
static uint64_t own_order(const struct range *range, uint64_t order)
{
    return range->is_exclusive ? order : order | (uint64_t)1 << 63;
}

static bool is_nowhere(const struct range *range)
{
    return range->holder->rules == LOCK_EXACT && range->own.first == 0 && range->own.last == 0;
}

void lock__range_insert(struct range *range, uint64_t first, uint64_t last)
{
    struct lock_holder *holder = range->holder;
    struct state_file *file = holder->file;
    uint64_t order = ++file->state->last_order;

    range->own.first = first;
    range->own.last = last;
    range->own.order = own_order(range, order);
    interval_insert(&holder->ranges, &range->own);
    count(holder, 1);
    range->all.first = first;
    range->all.last = holder->rules == LOCK_EXACT ? first + last - 1 : last; /* there LAST is a length */
    range->all.order = order;
    range->all.tag = holder->owner->id;
    range->all.kind = RANGE_POSIX;
    if (holder->rules == LOCK_EXACT)
        range->all.kind = RANGE_EXACT | (range->is_exclusive ? 0 : RANGE_EXACT_SHARED);
    range->exclusive = range->all;
    if (is_nowhere(range))
        return;
    interval_insert(&file->ranges, &range->all);
    if (range->is_exclusive)
        interval_insert(&file->exclusive_ranges, &range->exclusive);
}

void lock__range_remove(struct range *range)
{
    struct lock_holder *holder = range->holder;
    struct state_file *file = holder->file;

    interval_remove(&holder->ranges, &range->own);
    count(holder, -1);
    if (is_nowhere(range))
        return;
    interval_remove(&file->ranges, &range->all);
    if (range->is_exclusive)
        interval_remove(&file->exclusive_ranges, &range->exclusive);
}

/* ---- holders ---- */

static uint64_t table_hash(const struct state_file *file, const struct owner *owner)
{
    return state__hash(file->state, (uint64_t)(uintptr_t)file, owner->id);
}

struct lock_holder *lock_holder_find(const struct state_file *file, const struct owner *owner)
{
    struct hashlink *link = hashtable_find(&file->state->holders, table_hash(file, owner));

    for (; link != NULL; link = hashtable_find_next(link)) {
        struct lock_holder *holder = container_of(link, struct lock_holder, hashlink);
        if (holder->file == file && holder->owner == owner)
            return holder;
    }
    return NULL;
}

enum err lock_holder_get(struct state_file *file, struct owner *owner, struct open *open,
                         enum lock_rules rules, struct lock_holder **holder_r)
{
    struct lock_holder *holder = lock_holder_find(file, owner);
    enum err err;

    if (holder != NULL) {
        if (holder->rules != rules)
            return ERR_INVAL;
        *holder_r = holder;
        return ERR_OK;
    }
    if (owner->client == NULL)
        return ERR_EXPIRED;
    holder = calloc(1, sizeof *holder);
    if (holder == NULL)
        return ERR_NOMEM;
    err = stateid__add(owner->client, STATEID_LOCK, holder, &holder->stateid);
    if (err != ERR_OK) {
        free(holder);
        return err;
    }
    if (!hashtable_insert(&file->state->holders, &holder->hashlink, table_hash(file, owner))) {
        stateid__end(file->state, holder->stateid, END_CLOSED);
        free(holder);
        return ERR_NOMEM;
    }
    holder->file = state_file_ref(file);
    holder->owner = owner_ref(owner);
    holder->open = open;
    holder->rules = rules;
    list_init(&holder->waits);
    list_init(&holder->open_link);
    list_push_back(&file->holders, &holder->file_link);
    list_push_back(&owner->holders, &holder->owner_link);
    if (open != NULL)
        list_push_back(&open->holders, &holder->open_link);
    *holder_r = holder;
    return ERR_OK;
}

void lock_unset_all(struct lock_holder *holder)
{
    struct interval *interval;

    while ((interval = interval_any(&holder->ranges)) != NULL) {
        struct range *range = container_of(interval, struct range, own);
        uint64_t first = range->all.first, last = range->all.last;

        lock__range_remove(range);
        lock__range_free(range);
        lock__freed(holder->file, first, last);
    }
}

void lock__holder_end(struct lock_holder *holder, enum end_reason reason, enum err result)
{
    struct state *state = holder->file->state;

    lock__waits_end(holder, result);
    lock_unset_all(holder);
    if (holder->stateid != NULL)
        stateid__end(state, holder->stateid, reason);
    hashtable_remove(&state->holders, &holder->hashlink);
    list_remove(&holder->file_link);
    list_remove(&holder->owner_link);
    list_remove(&holder->open_link);
    owner_unref(&holder->owner);
    state_file_unref(&holder->file);
    free(holder);
}

void lock_holder_free(struct lock_holder *holder)
{
    lock__holder_end(holder, END_CLOSED, ERR_CANCELLED);
}

void lock_holder_revoke(struct lock_holder *holder)
{
    stateid__revoke(holder->file->state, holder->stateid, ENTRY_ADMIN_REVOKED);
    holder->stateid = NULL;
    lock__holder_end(holder, END_CLOSED, ERR_ADMIN_REVOKED);
}

struct owner *lock_holder_owner(const struct lock_holder *holder)
{
    return holder->owner;
}

struct state_file *lock_holder_file(const struct lock_holder *holder)
{
    return holder->file;
}

struct open *lock_holder_open(const struct lock_holder *holder)
{
    return holder->open;
}

uint32_t lock_holder_count(const struct lock_holder *holder)
{
    return (uint32_t)holder->ranges.count;
}

uint32_t lock_holder_count_equal(const struct lock_holder *holder, uint64_t offset, uint64_t length,
                                 bool exclusive)
{
    struct interval after = {.first = offset, .last = length};
    const struct interval *found;
    uint32_t count = 0;

    invariant(holder->rules == LOCK_EXACT);
    /* The own tree has lengths for ends. */
    while ((found = interval_find_after(&holder->ranges, 0, UINT64_MAX, &after)) != NULL &&
           found->first == offset && found->last == length) {
        if (container_of(found, const struct range, own)->is_exclusive == exclusive)
            count++;
        after.order = found->order;
    }
    return count;
}

struct stateid lock_holder_stateid(const struct lock_holder *holder)
{
    return stateid__get(holder->file->state, holder->stateid);
}

struct stateid lock_holder_stateid_next(struct lock_holder *holder)
{
    return stateid__next(holder->file->state, holder->stateid);
}

/* ---- walks ---- */

bool lock_holder_next_range(const struct lock_holder *holder, struct lock_cursor *cursor,
                            struct lock_conflict *range_r)
{
    struct interval after = {.first = cursor->first, .last = cursor->last, .order = cursor->order};
    struct interval *found = interval_find_after(&holder->ranges, 0, UINT64_MAX, &after);
    const struct range *range;

    if (found == NULL)
        return false;
    range = container_of(found, struct range, own);
    *cursor = (struct lock_cursor){.first = found->first, .last = found->last, .order = found->order};
    lock__describe(range, range_r);
    /* By LOCK_EXACT the own tree has the length, also that of an empty one. */
    if (holder->rules == LOCK_EXACT)
        range_r->length = found->last;
    return true;
}

bool lock_holder_next_wait(const struct lock_holder *holder, struct lock_cursor *cursor,
                           struct lock_conflict *range_r)
{
    const struct list *link;

    list_for_each(link, &holder->waits)
    {
        const struct lock_waiter_private *wait =
            container_of(link, const struct lock_waiter_private, holder_link);

        if (wait->place == WAIT_DONE || wait->all.order <= cursor->order)
            continue;
        cursor->order = wait->all.order;
        *range_r = (struct lock_conflict){.offset = wait->request.offset,
                                          .length = wait->request.length,
                                          .exclusive = wait->request.exclusive,
                                          .owner = holder->owner};
        return true;
    }
    return false;
}
