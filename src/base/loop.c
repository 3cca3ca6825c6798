/*
 * loop.c - what every loop has: hooks, timers and the calls into the implementation.
 *
 * Timers are in a pairing heap whose links live in the timers, so that starting one needs no memory and
 * a stopped one may be freed at once. Order: by due time, then by the order of starting.
 * Invariants: a timer is in the heap exactly while its loop is not NULL; no child is due before its
 * parent. A one-shot timer is out of the heap before its callback runs, a repeating one is in it again.
 */
#include "dittofs/loop.h"
#include "base/loop_priv.h"
#include "dittofs/clock.h"
#include "dittofs/log.h"

#include <stdlib.h>

enum err loop_open_with(const struct loop_operations *operations, void *data, struct loop **loop_r)
{
    struct loop *loop = calloc(1, sizeof *loop);

    if (loop == NULL)
        return ERR_NOMEM;
    loop->operations = operations;
    loop->data = data;
    list_init(&loop->hooks);
    *loop_r = loop;
    return ERR_OK;
}

void *loop_data(struct loop *loop)
{
    return loop->data;
}

void loop_run(struct loop *loop)
{
    if (loop->operations->run != NULL) {
        loop->operations->run(loop);
        return;
    }
    while (!loop->stopping)
        loop->operations->run_once(loop, true);
    loop->stopping = false;
}

void loop_stop(struct loop *loop)
{
    loop->stopping = true;
    if (loop->operations->stop != NULL)
        loop->operations->stop(loop);
}

void loop_run_once(struct loop *loop, bool may_wait)
{
    loop->operations->run_once(loop, may_wait);
}

void loop_close(struct loop **loop)
{
    struct loop *closing = *loop;

    *loop = NULL;
    if (closing == NULL)
        return;
    invariant(closing->first_timer == NULL);
    closing->operations->close(closing);
    free(closing);
}

enum err loop_submit(struct loop *loop, struct loop_job *job)
{
    job->loop = loop;
    return loop->operations->submit(loop, job);
}

void loop_wake(struct loop *loop)
{
    loop->operations->wake(loop);
}

void loop_hook_add(struct loop *loop, struct loop_hook *hook)
{
    list_push_back(&loop->hooks, &hook->link);
}

void loop_hook_remove(struct loop_hook *hook)
{
    if (hook->link.next != NULL)
        list_remove(&hook->link);
}

/* Each hook goes back to the loop's list before it is called: so those added on the way run in the next
 * turn, and any may be removed at any time, itself included. */
void loop_run_hooks(struct loop *loop)
{
    struct list waiting;

    list_init(&waiting);
    list_splice_back(&waiting, &loop->hooks);
    while (!list_is_empty(&waiting)) {
        struct loop_hook *hook = list_first(&waiting, struct loop_hook, link);
        list_remove(&hook->link);
        list_push_back(&loop->hooks, &hook->link);
        hook->callback(hook);
    }
}

static bool due_before(const struct loop_timer *a, const struct loop_timer *b)
{
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->order < b->order;
}

/* Joins two heaps; either may be NULL. */
static struct loop_timer *meld(struct loop_timer *a, struct loop_timer *b)
{
    if (a == NULL)
        return b;
    if (b == NULL)
        return a;
    if (due_before(b, a)) {
        struct loop_timer *swapped = a;
        a = b;
        b = swapped;
    }
    b->previous = a;
    b->sibling = a->child;
    if (a->child != NULL)
        a->child->previous = b;
    a->child = b;
    return a;
}

/* Joins the children of a timer that goes: in pairs from the left, then those from the right. */
static struct loop_timer *meld_children(struct loop_timer *child)
{
    struct loop_timer *pairs = NULL, *melded = NULL;

    while (child != NULL) {
        struct loop_timer *a = child, *b = a->sibling, *pair;
        child = b != NULL ? b->sibling : NULL;
        a->sibling = a->previous = NULL;
        if (b != NULL)
            b->sibling = b->previous = NULL;
        pair = meld(a, b);
        pair->sibling = pairs;
        pairs = pair;
    }
    while (pairs != NULL) {
        struct loop_timer *next = pairs->sibling;
        pairs->sibling = NULL;
        melded = meld(melded, pairs);
        pairs = next;
    }
    return melded;
}

static void heap_insert(struct loop *loop, struct loop_timer *timer)
{
    timer->child = timer->sibling = timer->previous = NULL;
    timer->order = loop->timer_order++;
    timer->loop = loop;
    loop->first_timer = meld(loop->first_timer, timer);
}

static void heap_remove(struct loop_timer *timer)
{
    struct loop *loop = timer->loop;
    struct loop_timer *children = meld_children(timer->child);

    if (timer == loop->first_timer) {
        loop->first_timer = children;
    } else {
        if (timer->previous->child == timer)
            timer->previous->child = timer->sibling;
        else
            timer->previous->sibling = timer->sibling;
        if (timer->sibling != NULL)
            timer->sibling->previous = timer->previous;
        loop->first_timer = meld(loop->first_timer, children);
    }
    timer->child = timer->sibling = timer->previous = NULL;
    timer->loop = NULL;
}

static void tell_change(struct loop *loop)
{
    if (loop->operations->timers_changed != NULL)
        loop->operations->timers_changed(loop);
}

void loop_timer_start(struct loop *loop, struct loop_timer *timer, uint64_t delay_ms, uint64_t repeat_ms)
{
    if (timer->loop != NULL)
        loop_timer_stop(timer);
    if (__builtin_add_overflow(clock_monotonic_ms(), delay_ms, &timer->due_ms))
        timer->due_ms = UINT64_MAX;
    timer->repeat_ms = repeat_ms;
    heap_insert(loop, timer);
    if (loop->first_timer == timer)
        tell_change(loop);
}

void loop_timer_stop(struct loop_timer *timer)
{
    struct loop *loop = timer->loop;
    bool was_first;

    if (loop == NULL)
        return;
    was_first = loop->first_timer == timer;
    heap_remove(timer);
    if (was_first)
        tell_change(loop);
}

bool loop_next_timer(struct loop *loop, uint64_t *due_ms_r)
{
    if (loop->first_timer == NULL)
        return false;
    *due_ms_r = loop->first_timer->due_ms;
    return true;
}

/* Those that are started on the way wait for the next call, so that this one ends. */
void loop_run_timers(struct loop *loop)
{
    uint64_t now_ms = clock_monotonic_ms(), first_new = loop->timer_order;

    while (loop->first_timer != NULL && loop->first_timer->due_ms <= now_ms &&
           loop->first_timer->order < first_new) {
        struct loop_timer *timer = loop->first_timer;

        heap_remove(timer);
        if (timer->repeat_ms != 0) {
            /* Turns that were missed are not made up for. */
            timer->due_ms += timer->repeat_ms;
            if (timer->due_ms <= now_ms)
                timer->due_ms = now_ms + timer->repeat_ms;
            heap_insert(loop, timer);
        }
        timer->callback(timer);
    }
    tell_change(loop);
}

void loop_forget_timers(struct loop *loop)
{
    while (loop->first_timer != NULL)
        heap_remove(loop->first_timer);
    tell_change(loop);
}

void loop_forget_hooks(struct loop *loop)
{
    while (!list_is_empty(&loop->hooks))
        list_remove(loop->hooks.next);
}
