/*
 * lock.c - byte ranges: what conflicts, setting, unsetting, testing, and I/O against them.
 *
 * Each range is in up to three trees: all of the file (what stands in the way of an exclusive lock or a
 * write), the exclusive ones of the file (what stands in the way of a shared lock or a read), and those of
 * its holder (what the holder has to merge, split or find again). So no search walks over ranges that can't
 * matter.
 *
 * Setting by LOCK_POSIX: a new range takes in all of the holder's of the same kind that it overlaps or
 * touches, cuts what it overlaps of the other kind, and goes in. At most two ranges are new (itself, and the
 * rest behind a cut in the middle); they are had before anything is changed, so that a failure changes
 * nothing.
 *
 * Invariants: by LOCK_POSIX the ranges of a holder are disjoint, and two of the same kind don't touch.
 */
#include "dittofs/lock.h"
#include "state/state_priv.h"

#include "dittofs/cursor.h"

/* ---- what conflicts ---- */

enum err lock__span(enum lock_rules rules, uint64_t offset, uint64_t length, struct lock_span *span_r)
{
    struct lock_span span = {.first = offset};

    if (length == 0) {
        if (rules == LOCK_POSIX)
            return ERR_INVAL;
        span.last = offset - 1; /* empty: first > last, and nothing at all at 0 */
        span.nowhere = offset == 0;
    } else if (rules == LOCK_POSIX) {
        /* RFC 7530 16.10.4: all ones means to the end, else the end must be a number. */
        if (length != LOCK_TO_END && !add_u64(offset, length, &span.last))
            return ERR_INVAL;
        span.last = length == LOCK_TO_END ? UINT64_MAX : span.last - 1;
    } else if (!add_u64(offset, length - 1, &span.last)) {
        return ERR_INVAL; /* MS-FSA 2.1.5.8 */
    }
    *span_r = span;
    return ERR_OK;
}

bool lock__is_conflict(const struct lock_holder *holds, const struct owner *owner, bool exclusive)
{
    return holds->owner != owner || (holds->rules == LOCK_EXACT && exclusive);
}

struct interval_filter lock__others(enum lock_rules rules, const struct owner *owner, bool exclusive)
{
    bool all = owner == NULL || (rules == LOCK_EXACT && exclusive);

    return (struct interval_filter){.not_tag = all ? 0 : owner->id};
}

static struct range *first_conflict(const struct state_file *file, const struct owner *owner,
                                    const struct lock_span *span, bool exclusive)
{
    const struct lock_holder *own = owner == NULL ? NULL : lock_holder_find(file, owner);
    struct interval_filter others = lock__others(own == NULL ? LOCK_POSIX : own->rules, owner, exclusive);
    struct interval *found;

    if (span->nowhere)
        return NULL;
    if (exclusive) {
        found = interval_find_other(&file->ranges, span->first, span->last, others);
        return found == NULL ? NULL : container_of(found, struct range, all);
    }
    found = interval_find_other(&file->exclusive_ranges, span->first, span->last, others);
    return found == NULL ? NULL : container_of(found, struct range, exclusive);
}

struct range *lock__conflict(struct state_file *file, const struct owner *owner, const struct lock_span *span,
                             bool exclusive)
{
    const struct client *client = owner == NULL ? NULL : owner->client;
    struct range *range;

    do {
        range = first_conflict(file, owner, span, exclusive);
    } while (range != NULL && client__yield(range->holder->owner->client, client));
    return range;
}

void lock__describe(const struct range *range, struct lock_conflict *conflict_r)
{
    uint64_t first = range->all.first, last = range->all.last;

    if (conflict_r == NULL)
        return;
    conflict_r->offset = first;
    conflict_r->length = last == UINT64_MAX ? LOCK_TO_END : last - first + 1;
    conflict_r->exclusive = range->is_exclusive;
    conflict_r->owner = range->holder->owner;
}

/* ---- setting and unsetting by LOCK_POSIX ---- */

static struct range *own_overlap(const struct lock_holder *holder, uint64_t first, uint64_t last)
{
    struct interval *found = interval_find(&holder->ranges, first, last, NULL, NULL);

    return found == NULL ? NULL : container_of(found, struct range, own);
}

/* The holder's range that goes on before and behind SPAN, or NULL: taking SPAN out of it leaves two. */
static struct range *split_by(const struct lock_holder *holder, const struct lock_span *span)
{
    struct range *range = own_overlap(holder, span->first, span->first);

    if (range == NULL || range->own.first == span->first || range->own.last <= span->last)
        return NULL;
    return range;
}

/* Takes [FIRST, LAST] out of RANGE. REST is used when that leaves two. */
static void cut(struct range *range, uint64_t first, uint64_t last, struct range *rest)
{
    uint64_t range_first = range->own.first, range_last = range->own.last;

    lock__range_remove(range);
    if (range_first < first) {
        lock__range_insert(range, range_first, first - 1);
        if (range_last > last) {
            rest->is_exclusive = range->is_exclusive;
            lock__range_insert(rest, last + 1, range_last);
        }
    } else if (range_last > last) {
        lock__range_insert(range, last + 1, range_last);
    } else {
        lock__range_free(range);
    }
}

static void absorb(struct range *range, uint64_t *first, uint64_t *last)
{
    if (range->own.first < *first)
        *first = range->own.first;
    if (range->own.last > *last)
        *last = range->own.last;
    lock__range_remove(range);
    lock__range_free(range);
}

static enum err apply_posix(struct lock_holder *holder, const struct lock_span *span, bool exclusive)
{
    uint64_t first = span->first, last = span->last;
    struct range *range = split_by(holder, span), *fresh, *rest = NULL;
    bool weaker = false;
    enum err err = ERR_OK;

    fresh = lock__range_new(holder, &err);
    if (fresh == NULL)
        return err;
    if (range != NULL && range->is_exclusive != exclusive) {
        rest = lock__range_new(holder, &err);
        if (rest == NULL) {
            lock__range_free(fresh);
            return err;
        }
    }
    while ((range = own_overlap(holder, first, last)) != NULL) {
        if (range->is_exclusive == exclusive) {
            absorb(range, &first, &last);
        } else {
            weaker = range->is_exclusive;
            cut(range, first, last, rest);
        }
    }
    range = first == 0 ? NULL : own_overlap(holder, first - 1, first - 1);
    if (range != NULL && range->is_exclusive == exclusive)
        absorb(range, &first, &last);
    range = last == UINT64_MAX ? NULL : own_overlap(holder, last + 1, last + 1);
    if (range != NULL && range->is_exclusive == exclusive)
        absorb(range, &first, &last);
    fresh->is_exclusive = exclusive;
    lock__range_insert(fresh, first, last);
    if (weaker)
        lock__freed(holder->file, span->first, span->last);
    return ERR_OK;
}

static enum err unset_posix(struct lock_holder *holder, const struct lock_span *span)
{
    struct range *range, *rest = NULL;
    enum err err = ERR_OK;

    if (split_by(holder, span) != NULL) {
        rest = lock__range_new(holder, &err);
        if (rest == NULL)
            return err;
    }
    while ((range = own_overlap(holder, span->first, span->last)) != NULL)
        cut(range, span->first, span->last, rest);
    return ERR_OK;
}

/* ---- by LOCK_EXACT: the holder's tree has offset and length as its key ---- */

static enum err apply_exact(struct lock_holder *holder, const struct lock_request *request)
{
    enum err err = ERR_OK;
    struct range *range = lock__range_new(holder, &err);

    if (range == NULL)
        return err;
    range->is_exclusive = request->exclusive;
    lock__range_insert(range, request->offset, request->length);
    return ERR_OK;
}

static enum err unset_exact(struct lock_holder *holder, uint64_t offset, uint64_t length)
{
    struct interval *found = interval_find_exact(&holder->ranges, offset, length);
    struct range *range;

    if (found == NULL)
        return ERR_LOCK_RANGE;
    range = container_of(found, struct range, own);
    lock__range_remove(range);
    lock__range_free(range);
    return ERR_OK;
}

/* ---- the public calls ---- */

enum err lock__apply(struct lock_holder *holder, const struct lock_request *request,
                     const struct lock_span *span)
{
    enum err err = recovery__note(holder->owner->client, request->reclaim);

    if (err != ERR_OK)
        return err;
    if (holder->rules == LOCK_EXACT)
        return apply_exact(holder, request);
    return apply_posix(holder, span, request->exclusive);
}

enum err lock_set(struct lock_holder *holder, const struct lock_request *request,
                  struct lock_conflict *conflict_r)
{
    struct lock_span span = {0};
    struct range *range;
    enum err err = lock__span(holder->rules, request->offset, request->length, &span);

    if (err == ERR_OK && !request->any_time)
        err = grace_check(holder->owner->client, request->reclaim);
    if (err != ERR_OK)
        return err;
    range = lock__conflict(holder->file, holder->owner, &span, request->exclusive);
    if (range != NULL) {
        lock__describe(range, conflict_r);
        return ERR_DENIED;
    }
    err = lock__apply(holder, request, &span);
    lock__hand_over(holder->file->state, CALL_WAITERS);
    return err;
}

enum err lock_unset(struct lock_holder *holder, uint64_t offset, uint64_t length)
{
    struct lock_span span = {0};
    enum err err = lock__span(holder->rules, offset, length, &span);

    if (err != ERR_OK)
        return err;
    err = holder->rules == LOCK_EXACT ? unset_exact(holder, offset, length) : unset_posix(holder, &span);
    if (err != ERR_OK)
        return err;
    lock__freed(holder->file, span.first, span.last);
    lock__hand_over(holder->file->state, CALL_WAITERS);
    return ERR_OK;
}

enum err lock_test(struct state_file *file, const struct owner *owner, const struct lock_request *request,
                   struct lock_conflict *conflict_r)
{
    struct lock_span span = {0};
    struct state_file *reference;
    struct range *range;
    enum err err = lock__span(LOCK_POSIX, request->offset, request->length, &span);

    if (err != ERR_OK || file == NULL)
        return err;
    reference = state_file_ref(file);
    range = lock__conflict(file, owner, &span, request->exclusive);
    if (range != NULL)
        lock__describe(range, conflict_r);
    state_file_unref(&reference);
    return range == NULL ? ERR_OK : ERR_DENIED;
}

/* ---- I/O ---- */

/* The range in the way of I/O by the owner with the id OWNER, or NULL. MS-FSA 2.1.4.10: writing through one's
 * own shared lock is refused, reading or writing through one's own exclusive one is what it is for. */
static struct range *io_conflict(const struct state_file *file, uint64_t owner, enum lock_io how, bool write,
                                 uint64_t first, uint64_t last)
{
    unsigned kinds = RANGE_EXACT | (how == LOCK_IO_STRICT ? RANGE_POSIX : 0u);
    struct interval_filter others = {.not_tag = owner, .kinds = kinds};
    struct interval_filter shared = {.kinds = RANGE_EXACT_SHARED};
    struct interval *found;

    if (!write) {
        found = interval_find_other(&file->exclusive_ranges, first, last, others);
        return found == NULL ? NULL : container_of(found, struct range, exclusive);
    }
    found = interval_find_other(&file->ranges, first, last, others);
    if (found == NULL)
        found = interval_find_other(&file->ranges, first, last, shared);
    return found == NULL ? NULL : container_of(found, struct range, all);
}

enum err lock_check_io(struct state_file *file, uint64_t owner, uint64_t offset, uint64_t length, bool write,
                       enum lock_io how)
{
    struct state_file *reference;
    struct range *range;
    uint64_t last;

    if (file == NULL || file->ranges.count == 0 || length == 0)
        return ERR_OK;
    if (how == LOCK_IO_ADVISORY && file->exact_count == 0)
        return ERR_OK;
    if (!add_u64(offset, length - 1, &last))
        last = UINT64_MAX;
    reference = state_file_ref(file);
    do {
        range = io_conflict(file, owner, how, write, offset, last);
    } while (range != NULL && client__yield(range->holder->owner->client, NULL));
    state_file_unref(&reference);
    return range == NULL ? ERR_OK : ERR_LOCKED;
}

bool lock_file_has_ranges(const struct state_file *file)
{
    return file->ranges.count > 0;
}
