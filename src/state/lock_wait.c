/*
 * lock_wait.c - requests that wait for byte ranges: the queue, handing over, and deadlocks.
 *
 * A waiter that an earlier conflicting waiter is in the way of stands behind the latest such; one that only
 * held ranges are in the way of is in the file's front tree. So a chain of ten thousand exclusive waiters has
 * one in front, and a release looks at that one alone. Who is granted or leaves sends those behind it to be
 * looked at again.
 *
 *   lock_wait -> FRONT or BEHIND; BEHIND -the one before left, and then its turn comes-> looked at
 *   FRONT, PENDING -looked at-> FRONT, BEHIND or DONE; any -holder ends-> DONE; DONE -called back-> gone
 *
 * Looking at waiters (pending ones, and those in front of what became free) is bounded per call and per turn;
 * until its turn a waiter keeps its place, and later waiters queue behind it.
 *
 * Deadlock: an owner waits for the owners of held ranges in the way of its requests. lock_wait searches from
 * the new request's obstacles, breadth first, for the asking owner: found, it is a deadlock. The queue adds
 * edges of its own (a waiter waits for the one it stands behind), which must never close a circle: nobody
 * stands behind one who waits for him, and when a new wait closes a circle through the queue, those in it
 * that stand behind somebody are looked at again, and pass.
 */
#include "dittofs/lock.h"
#include "state/state_priv.h"

#include <stdlib.h>

/* A request as it is looked at. */
struct view {
    struct lock_holder *holder;
    struct lock_span span;
    bool exclusive;
};

static struct view view_of(const struct lock_waiter_private *wait)
{
    return (struct view){.holder = wait->holder,
                         .span = {.first = wait->all.first, .last = wait->all.last},
                         .exclusive = wait->request.exclusive};
}

/* ---- places ---- */

static void make_busy(struct state_file *file)
{
    struct state *state = file->state;

    if (!list_is_empty(&file->busy_link))
        return;
    list_push_back(&state->busy_files, &file->busy_link);
    loop_wake(state->loop);
}

static void make_pending(struct lock_waiter_private *wait)
{
    struct state_file *file = wait->holder->file;

    wait->place = WAIT_PENDING;
    list_push_back(&file->pending, &wait->place_link);
    make_busy(file);
}

/* Frees a crowd that has nobody left. */
static void disband(struct lock_crowd *crowd)
{
    if (crowd->leader != NULL || !list_is_empty(&crowd->followers))
        return;
    list_remove(&crowd->link);
    free(crowd);
}

/* It is nowhere then, as if pending. */
static void leave_place(struct lock_waiter_private *wait)
{
    if (wait->place == WAIT_FRONT)
        interval_remove(&wait->holder->file->front, &wait->front);
    list_remove(&wait->place_link);
    wait->place = WAIT_PENDING;
    if (wait->behind != NULL)
        disband(wait->behind);
    wait->behind = NULL;
}

/* ---- deadlocks ---- */

struct search {
    const struct owner *target;
    uint32_t number;
    unsigned steps;  /* left */
    bool with_queue; /* whom a waiter stands behind counts too */
    bool requeue;    /* and it is to be looked at again */
    bool found;
    struct list queue; /* owners whose waits are to be looked at */
};

static void reach(struct search *search, struct owner *owner)
{
    if (owner == search->target)
        search->found = true;
    if (owner->search == search->number)
        return;
    owner->search = search->number;
    list_push_back(&search->queue, &owner->search_link);
}

struct obstacle_visit {
    struct search *search;
    const struct view *view;
};

/* Used as a match that takes none, until the search is over. */
static bool reach_obstacle(const struct range *range, const struct obstacle_visit *visit)
{
    const struct view *view = visit->view;

    if (lock__is_conflict(range->holder, view->holder->owner, view->exclusive))
        reach(visit->search, range->holder->owner);
    if (visit->search->steps > 0)
        visit->search->steps--;
    return visit->search->found || visit->search->steps == 0;
}

static bool reach_from_all(const struct interval *interval, const void *data)
{
    return reach_obstacle(container_of(interval, struct range, all), data);
}

static bool reach_from_exclusive(const struct interval *interval, const void *data)
{
    return reach_obstacle(container_of(interval, struct range, exclusive), data);
}

static void reach_obstacles(struct search *search, const struct view *view)
{
    const struct state_file *file = view->holder->file;
    struct obstacle_visit visit = {.search = search, .view = view};

    if (view->exclusive)
        (void)interval_find(&file->ranges, view->span.first, view->span.last, reach_from_all, &visit);
    else
        (void)interval_find(&file->exclusive_ranges, view->span.first, view->span.last, reach_from_exclusive,
                            &visit);
}

static void search_begin(struct search *search, struct state *state, const struct owner *target)
{
    search->target = target;
    search->number = ++state->search;
    search->found = false;
    list_init(&search->queue);
}

static void search_owner(struct search *search, const struct owner *owner)
{
    struct list *link;

    list_for_each(link, &owner->waits)
    {
        struct lock_waiter_private *wait = container_of(link, struct lock_waiter_private, owner_link);
        struct view view = view_of(wait);

        if (search->found || search->steps == 0)
            return;
        search->steps--;
        reach_obstacles(search, &view);
        if (wait->place != WAIT_BEHIND || !search->with_queue || wait->behind->leader == NULL)
            continue;
        reach(search, wait->behind->leader->holder->owner);
        if (search->requeue) {
            leave_place(wait);
            make_pending(wait);
        }
    }
}

static bool search_run(struct search *search)
{
    while (!list_is_empty(&search->queue)) {
        struct owner *owner = list_first(&search->queue, struct owner, search_link);

        list_remove(&owner->search_link);
        if (!search->found && search->steps > 0)
            search_owner(search, owner);
    }
    return search->found;
}

/* Nobody can wait for one who has nothing. */
static bool can_be_waited_for(const struct owner *owner)
{
    return owner->range_count > 0 || !list_is_empty(&owner->waits);
}

/* Would VIEW, waiting for the ranges in its way, wait for itself? */
static bool would_wait_for_itself(const struct view *view, bool with_queue)
{
    struct search search = {.steps = DEADLOCK_STEPS, .with_queue = with_queue};

    if (view->holder->rules != LOCK_POSIX || !can_be_waited_for(view->holder->owner))
        return false;
    search_begin(&search, view->holder->file->state, view->holder->owner);
    reach_obstacles(&search, view);
    return search_run(&search);
}

/* Those whom VIEW waits for, and that stand behind somebody, are to be looked at again. */
static void requeue_obstacles(const struct view *view)
{
    struct search search = {.steps = DEADLOCK_STEPS, .with_queue = true, .requeue = true};

    search_begin(&search, view->holder->file->state, NULL);
    reach_obstacles(&search, view);
    (void)search_run(&search);
}

/* SEARCH is used for its steps. */
static bool waits_for(struct search *search, struct owner *who, const struct owner *target)
{
    if (!can_be_waited_for(target) || search->steps == 0)
        return false;
    search_begin(search, who->state, target);
    reach(search, who);
    return search_run(search);
}

/* ---- the queue ---- */

/* The latest waiter before BELOW that VIEW has to stand behind, or NULL. */
static struct lock_waiter_private *find_ahead(const struct view *view, uint64_t below)
{
    const struct state_file *file = view->holder->file;
    const struct lock_span *span = &view->span;
    struct search search = {.steps = DEADLOCK_STEPS, .with_queue = true};
    struct interval_filter others = lock__others(view->holder->rules, view->holder->owner, view->exclusive);

    for (unsigned tries = 0; tries < QUEUE_TRIES; tries++) {
        struct lock_waiter_private *wait;
        struct interval *found;

        if (view->exclusive) {
            found = interval_find_latest_other(&file->waiters, span->first, span->last, below, others);
            wait = found == NULL ? NULL : container_of(found, struct lock_waiter_private, all);
        } else {
            found =
                interval_find_latest_other(&file->exclusive_waiters, span->first, span->last, below, others);
            wait = found == NULL ? NULL : container_of(found, struct lock_waiter_private, exclusive);
        }
        if (wait == NULL || !waits_for(&search, wait->holder->owner, view->holder->owner))
            return wait;
        below = found->order;
    }
    return NULL;
}

static void stand_behind(struct lock_waiter_private *wait, struct lock_waiter_private *ahead)
{
    wait->place = WAIT_BEHIND;
    wait->behind = ahead->crowd;
    list_push_back(&ahead->crowd->followers, &wait->place_link);
}

static void stand_in_front(struct lock_waiter_private *wait)
{
    wait->place = WAIT_FRONT;
    interval_insert(&wait->holder->file->front, &wait->front);
}

/* Those behind it are to be looked at: however many they are, that is one step here. */
static void leave_crowd(struct lock_waiter_private *wait)
{
    struct lock_crowd *crowd = wait->crowd;

    wait->crowd = NULL;
    crowd->leader = NULL;
    if (list_is_empty(&crowd->followers)) {
        disband(crowd);
        return;
    }
    list_push_back(&wait->holder->file->left, &crowd->link);
    make_busy(wait->holder->file);
}

/* Leaves the queue. */
static void leave(struct lock_waiter_private *wait)
{
    struct state_file *file = wait->holder->file;

    leave_place(wait);
    interval_remove(&file->waiters, &wait->all);
    if (wait->request.exclusive)
        interval_remove(&file->exclusive_waiters, &wait->exclusive);
    list_remove(&wait->owner_link);
    file->state->counters.waiters--;
    leave_crowd(wait);
}

/* Leaves the queue with RESULT; stays known to its holder until it is called back. */
static void finish(struct lock_waiter_private *wait, enum err result)
{
    struct state *state = wait->state;

    leave(wait);
    wait->place = WAIT_DONE;
    wait->result = result;
    list_push_back(&state->done_waits, &wait->place_link);
    loop_wake(state->loop);
}

void lock__freed(struct state_file *file, uint64_t first, uint64_t last)
{
    if (file->front.count == 0)
        return;
    if (file->freed == FREED_NOTHING) {
        file->freed_first = first;
        file->freed_last = last;
        file->freed_at = (struct interval){0};
        file->freed = FREED;
    } else {
        file->freed_first = first < file->freed_first ? first : file->freed_first;
        file->freed_last = last > file->freed_last ? last : file->freed_last;
        file->freed = FREED_AGAIN;
    }
    make_busy(file);
}

/* The next waiter to be looked at, or NULL. A pass goes on where it was, so that those at its end have their
 * turn however often ranges become free. */
static struct lock_waiter_private *next_wait(struct state_file *file)
{
    struct interval *found;

    if (!list_is_empty(&file->pending))
        return list_first(&file->pending, struct lock_waiter_private, place_link);
    if (!list_is_empty(&file->left))
        return list_first(&list_first(&file->left, struct lock_crowd, link)->followers,
                          struct lock_waiter_private, place_link);
    while (file->freed != FREED_NOTHING) {
        found = interval_find_after(&file->front, file->freed_first, file->freed_last, &file->freed_at);
        if (found != NULL) {
            file->freed_at = *found;
            return container_of(found, struct lock_waiter_private, front);
        }
        file->freed = file->freed == FREED_AGAIN ? FREED : FREED_NOTHING;
        file->freed_at = (struct interval){0};
    }
    return NULL;
}

static enum err set(struct lock_holder *holder, const struct lock_request *request,
                    const struct lock_span *span)
{
    return request->only_tell ? ERR_OK : lock__apply(holder, request, span);
}

static void look_at(struct lock_waiter_private *wait)
{
    struct view view = view_of(wait);
    struct lock_waiter_private *ahead = find_ahead(&view, wait->all.order);

    leave_place(wait);
    if (ahead != NULL) {
        stand_behind(wait, ahead);
        return;
    }
    if (lock__conflict(wait->holder->file, wait->holder->owner, &view.span, view.exclusive) != NULL) {
        stand_in_front(wait);
        return;
    }
    finish(wait, set(wait->holder, &wait->request, &view.span));
}

void lock__hand_over(struct state *state, unsigned budget)
{
    while (budget > 0 && !list_is_empty(&state->busy_files)) {
        struct state_file *file = list_first(&state->busy_files, struct state_file, busy_link);
        struct lock_waiter_private *wait = next_wait(file);

        list_remove(&file->busy_link);
        if (wait == NULL)
            continue;
        list_push_back(&state->busy_files, &file->busy_link); /* others' files have their turn too */
        look_at(wait);
        budget--;
    }
}

/* ---- the public calls ---- */

static enum err enqueue(const struct view *view, const struct lock_request *request,
                        struct lock_waiter *waiter, struct lock_waiter_private *ahead)
{
    struct state_file *file = view->holder->file;
    struct state *state = file->state;
    struct lock_waiter_private *wait;
    struct lock_crowd *crowd;

    if (state->counters.waiters >= state->options.max_waiters)
        return ERR_LIMIT;
    wait = calloc(1, sizeof *wait);
    crowd = calloc(1, sizeof *crowd);
    if (wait == NULL || crowd == NULL) {
        free(wait);
        free(crowd);
        return ERR_NOMEM;
    }
    crowd->leader = wait;
    list_init(&crowd->followers);
    list_init(&crowd->link);
    wait->crowd = crowd;
    wait->waiter = waiter;
    wait->holder = view->holder;
    wait->state = state;
    wait->request = *request;
    list_init(&wait->place_link);
    wait->all.first = view->span.first;
    wait->all.last = view->span.last;
    wait->all.order = ++state->last_order;
    wait->all.tag = view->holder->owner->id;
    wait->exclusive = wait->front = wait->all;
    interval_insert(&file->waiters, &wait->all);
    if (view->exclusive)
        interval_insert(&file->exclusive_waiters, &wait->exclusive);
    list_push_back(&view->holder->waits, &wait->holder_link);
    list_push_back(&view->holder->owner->waits, &wait->owner_link);
    if (ahead != NULL)
        stand_behind(wait, ahead);
    else
        stand_in_front(wait);
    waiter->private_data = wait;
    state->counters.waiters++;
    return ERR_WAIT;
}

enum err lock_wait(struct lock_holder *holder, const struct lock_request *request, struct lock_waiter *waiter,
                   struct lock_conflict *conflict_r)
{
    struct view view = {.holder = holder, .exclusive = request->exclusive};
    struct lock_waiter_private *ahead;
    struct range *range;
    enum err err = lock__span(holder->rules, request->offset, request->length, &view.span);

    waiter->private_data = NULL;
    if (err == ERR_OK)
        err = grace_check(holder->owner->client, request->reclaim);
    if (err != ERR_OK)
        return err;
    range = lock__conflict(holder->file, holder->owner, &view.span, request->exclusive);
    ahead = view.span.nowhere ? NULL : find_ahead(&view, UINT64_MAX);
    if (range == NULL && ahead == NULL) {
        err = set(holder, request, &view.span);
        lock__hand_over(holder->file->state, CALL_WAITERS);
        return err;
    }
    if (range != NULL && would_wait_for_itself(&view, false)) {
        holder->file->state->counters.deadlocks_total++;
        return ERR_DEADLOCK;
    }
    err = enqueue(&view, request, waiter, ahead);
    if (err != ERR_WAIT || range == NULL)
        return err;
    lock__describe(range, conflict_r);
    if (would_wait_for_itself(&view, true))
        requeue_obstacles(&view);
    return ERR_WAIT;
}

bool lock_wait_cancel(struct lock_waiter *waiter)
{
    struct lock_waiter_private *wait = waiter->private_data;
    bool was_granted;

    if (wait == NULL)
        return false;
    was_granted = wait->place == WAIT_DONE && wait->result == ERR_OK;
    if (wait->place == WAIT_DONE)
        list_remove(&wait->place_link);
    else
        leave(wait);
    list_remove(&wait->holder_link);
    waiter->private_data = NULL;
    free(wait);
    return !was_granted;
}

/* One that was granted and not called back yet has lost its range with the holder. */
void lock__waits_end(struct lock_holder *holder, enum err result)
{
    while (!list_is_empty(&holder->waits)) {
        struct lock_waiter_private *wait =
            list_first(&holder->waits, struct lock_waiter_private, holder_link);

        if (wait->place != WAIT_DONE)
            finish(wait, result);
        wait->result = result;
        list_remove(&wait->holder_link);
        wait->holder = NULL;
    }
}

void lock__deliver(struct state *state)
{
    struct list due;

    list_init(&due);
    list_splice_back(&due, &state->done_waits);
    while (!list_is_empty(&due)) {
        struct lock_waiter_private *wait = list_first(&due, struct lock_waiter_private, place_link);
        struct lock_waiter *waiter = wait->waiter;
        enum err result = wait->result;

        list_remove(&wait->place_link);
        list_remove(&wait->holder_link);
        free(wait);
        waiter->private_data = NULL;
        waiter->done(waiter, result);
    }
}

void lock__close(struct state *state)
{
    while (!list_is_empty(&state->done_waits)) {
        struct lock_waiter_private *wait =
            list_first(&state->done_waits, struct lock_waiter_private, place_link);
        list_remove(&wait->place_link);
        wait->waiter->private_data = NULL;
        free(wait);
    }
}

/* Any waiter on one of its locked files counts: its own have been ended before. */
bool lock__is_contended(const struct client *client)
{
    const struct list *link, *at;

    for (link = client->owners.next; link != &client->owners; link = link->next) {
        const struct owner *owner = container_of(link, struct owner, client_link);
        for (at = owner->holders.next; at != &owner->holders; at = at->next) {
            const struct lock_holder *holder = container_of(at, struct lock_holder, owner_link);
            if (holder->ranges.count > 0 && holder->file->waiters.count > 0)
                return true;
        }
    }
    return false;
}
