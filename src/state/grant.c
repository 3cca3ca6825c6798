/*
 * grant.c - caching grants and their breaks.
 *
 * Happy path: grant_add gives READ, say, to A; B wants to open for writing and calls grant_break, which marks
 * A's grant BREAKING and puts B's waiter on the file; at the turn's end A's front-end is told (`breaking`); A
 * answers (grant_acknowledge, grant_return), nothing is in B's way any more, and B is called back at the end
 * of that turn. When A does not answer within break_ms, the tick answers for it.
 *
 * Invariants: with WRITE in a grant's kinds, nobody else's grant on the file has any kind, unless one of them
 * is BREAKING. A waiter waits for BREAKING grants only. While anything is BREAKING or waits, nothing new is
 * granted on the file.
 */
#include "dittofs/grant.h"
#include "dittofs/lock.h"
#include "state/state_priv.h"

#include <stdlib.h>
#include <string.h>

enum { GRANT_ALL = GRANT_READ | GRANT_WRITE | GRANT_HANDLE };

struct grant {
    struct stateid_entry *stateid;
    struct state_file *file;
    struct client *client;
    struct list file_link, client_link;
    struct list break_link; /* in state->breaks, by break_due_ms, while BREAKING */
    struct list told_link;  /* in state->told while the holder is to be told */
    enum grant_status status;
    unsigned kinds;
    unsigned break_to; /* BREAKING: what the holder was told to go down to */
    unsigned wanted;   /* BREAKING: what it has to go down to by now */
    bool delegation, traceless, acknowledge;
    unsigned told; /* operations that it is told of instead of being broken */
    uint16_t epoch;
    uint64_t time_to_answer_ms;
    uint64_t break_due_ms; /* BREAKING: when the time to answer is over */
    const struct grant_operations *operations;
    void *user;
    uint32_t key_length;
    uint8_t key[GRANT_KEY_MAX];
};

void grant__init(struct state *state)
{
    list_init(&state->breaks);
    list_init(&state->told);
    list_init(&state->done_grantwaits);
}

/* What may stay beside an operation of another: leases (MS-SMB2 3.3.4.7, MS-FSA 2.1.4.12), delegations (RFC
 * 8881 10.4: a delegation goes with any operation that its holder would have to know of). */
static const struct {
    unsigned lease, delegation;
} kept_beside[] = {
    [GRANT_OP_READ] = {GRANT_READ | GRANT_HANDLE, GRANT_READ},
    [GRANT_OP_OPEN_WRITE] = {GRANT_READ | GRANT_HANDLE, 0},
    [GRANT_OP_WRITE] = {0, 0},
    [GRANT_OP_LOCK] = {0, GRANT_READ},
    /* Programs of who may read have shared ranges that we don't know of, and NLM locks without an open. */
    [GRANT_OP_LOCK_EXCLUSIVE] = {0, 0},
    [GRANT_OP_SETATTR] = {GRANT_ALL, 0},
    [GRANT_OP_NAMES] = {GRANT_READ | GRANT_WRITE, 0},
    [GRANT_OP_SHARE] = {GRANT_READ | GRANT_WRITE, 0},
    [GRANT_OP_DIRECTORY] = {0, 0},
    [GRANT_OP_ADD_ENTRY] = {0, 0},
    [GRANT_OP_REMOVE_ENTRY] = {0, 0},
    [GRANT_OP_RENAME_ENTRY] = {0, 0},
};

unsigned grant_compatible(enum grant_operation operation, bool delegation)
{
    return delegation ? kept_beside[operation].delegation : kept_beside[operation].lease;
}

/* ---- who is in whose way ---- */

/* Whose own grants are left alone. */
struct self {
    uint64_t client; /* 0: nobody's */
    const void *key; /* NULL: all of the client's */
    size_t key_length;
};

static struct self self_of(const struct client *client, const void *key, size_t key_length)
{
    return (struct self){.client = client == NULL ? 0 : client->id, .key = key, .key_length = key_length};
}

static bool is_own(const struct grant *grant, const struct self *self)
{
    return grant->client->id == self->client &&
           (self->key == NULL ||
            (grant->key_length == self->key_length && memcmp(grant->key, self->key, self->key_length) == 0));
}

static bool is_in_the_way(const struct grant *grant, enum grant_operation operation, const struct self *self)
{
    if (grant->status == GRANT_GRANTED && (grant->told & 1u << operation))
        return false;
    return (grant->kinds & ~grant_compatible(operation, grant->delegation)) != 0 && !is_own(grant, self);
}

bool grant_conflicts(struct state_file *file, enum grant_operation operation, const struct client *client,
                     const void *key, size_t key_length)
{
    struct self self = self_of(client, key, key_length);
    const struct grant *grant = NULL;

    if (file == NULL)
        return false;
    while ((grant = grant_next_of_file(file, grant)) != NULL) {
        if (is_in_the_way(grant, operation, &self))
            return true;
    }
    return false;
}

/* ---- breaking ---- */

static void tell(struct grant *grant)
{
    struct state *state = grant->file->state;

    if (list_is_empty(&grant->told_link))
        list_push_back(&state->told, &grant->told_link);
    state->counters.breaks_total++;
    loop_wake(state->loop);
}

/* Into the list of breaks, which is in order of time: nearly always at its end. */
static void start_time(struct grant *grant)
{
    struct list *link = grant->file->state->breaks.previous;

    grant->break_due_ms = state__now() + grant->time_to_answer_ms;
    while (link != &grant->file->state->breaks &&
           container_of(link, struct grant, break_link)->break_due_ms > grant->break_due_ms)
        link = link->previous;
    list_insert_after(link, &grant->break_link);
}

static void begin_break(struct grant *grant, unsigned to)
{
    grant->file->last_break_ms = state__now();
    /* MS-SMB2 3.3.4.7: a lease of READ alone is not acknowledged. */
    grant->acknowledge = grant->delegation || grant->kinds != GRANT_READ;
    grant->break_to = grant->wanted = to;
    grant->epoch++;
    if (grant->acknowledge) {
        grant->status = GRANT_BREAKING;
        start_time(grant);
    } else {
        grant->kinds = to;
    }
    tell(grant);
}

/* Of a lease, what the holder has written is waited for, or that it closes what it keeps open; that it
 * forgets what it has read is not (MS-FSA 2.1.4.12). Nor is a lease of a directory, whose holder may itself
 * be waiting for the change. A delegation's holder must know before (RFC 8881 10.4, 10.9). */
static bool is_waited_for(const struct grant *grant, enum grant_operation operation)
{
    static const unsigned needed[] = {
        [GRANT_OP_READ] = GRANT_WRITE,
        [GRANT_OP_OPEN_WRITE] = GRANT_WRITE,
        [GRANT_OP_WRITE] = GRANT_WRITE,
        [GRANT_OP_LOCK] = GRANT_WRITE,
        [GRANT_OP_LOCK_EXCLUSIVE] = GRANT_WRITE,
        [GRANT_OP_SETATTR] = GRANT_WRITE,
        [GRANT_OP_NAMES] = GRANT_HANDLE,
        [GRANT_OP_SHARE] = GRANT_HANDLE,
        [GRANT_OP_DIRECTORY] = 0,
        [GRANT_OP_ADD_ENTRY] = 0,
        [GRANT_OP_REMOVE_ENTRY] = 0,
        [GRANT_OP_RENAME_ENTRY] = 0,
    };

    return grant->delegation || (grant->kinds & needed[operation]) != 0;
}

/* Makes GRANT go down so that OPERATION can go on. True when its holder's answer is to be waited for. */
static bool break_one(struct grant *grant, enum grant_operation operation)
{
    unsigned keep = grant->delegation ? 0 : grant_compatible(operation, false);

    if (grant->status == GRANT_BREAKING)
        grant->wanted &= keep;
    else
        begin_break(grant, grant->kinds & keep);
    return grant->status == GRANT_BREAKING && is_waited_for(grant, operation);
}

static void enqueue(struct state_file *file, enum grant_operation operation, const struct self *self,
                    struct grant_waiter *waiter)
{
    waiter->file = state_file_ref(file);
    waiter->operation = (unsigned)operation;
    waiter->client = self->client;
    waiter->key_length = 0;
    if (self->key != NULL) {
        waiter->key_length = (uint32_t)self->key_length;
        memcpy(waiter->key, self->key, self->key_length);
    }
    list_push_back(&file->grant_waiters, &waiter->link);
}

enum err grant_break(struct state_file *file, enum grant_operation operation, const struct client *client,
                     const void *key, size_t key_length, struct grant_waiter *waiter)
{
    struct self self = self_of(client, key, key_length);
    struct state_file *reference;
    struct list *link;
    bool wait = false;

    if (key_length > GRANT_KEY_MAX)
        return ERR_INVAL;
    if (file == NULL || list_is_empty(&file->grants))
        return ERR_OK;
    reference = state_file_ref(file);
    for (link = file->grants.next; link != &file->grants;) {
        struct grant *grant = container_of(link, struct grant, file_link);

        link = link->next;
        if (!is_in_the_way(grant, operation, &self))
            continue;
        if (client__yield(grant->client, client))
            link = file->grants.next; /* others of it went too */
        else if (break_one(grant, operation))
            wait = true;
    }
    if (wait && waiter != NULL)
        enqueue(file, operation, &self, waiter);
    state_file_unref(&reference);
    if (!wait)
        return ERR_OK;
    return waiter != NULL ? ERR_WAIT : ERR_DELAY;
}

static bool still_waits(const struct grant_waiter *waiter)
{
    struct self self = {.client = waiter->client,
                        .key = waiter->key_length > 0 ? waiter->key : NULL,
                        .key_length = waiter->key_length};
    const struct grant *grant = NULL;

    /* Also for a break that followed the one it came for: its holder goes down step by step. */
    while ((grant = grant_next_of_file(waiter->file, grant)) != NULL) {
        if (grant->status == GRANT_BREAKING &&
            !grant_is_of_entries((enum grant_operation)waiter->operation) && !is_own(grant, &self))
            return true;
        if (grant->status == GRANT_BREAKING && grant->delegation && !is_own(grant, &self))
            return true;
    }
    return false;
}

/* A grant of FILE is less than it was. */
static void look_at_waiters(struct state_file *file)
{
    struct state *state = file->state;
    struct list *link, *following;

    list_for_each_safe(link, following, &file->grant_waiters)
    {
        struct grant_waiter *waiter = container_of(link, struct grant_waiter, link);
        if (still_waits(waiter))
            continue;
        list_remove(&waiter->link);
        list_push_back(&state->done_grantwaits, &waiter->link);
        loop_wake(state->loop);
    }
}

void grant_wait_cancel(struct grant_waiter *waiter)
{
    if (waiter->file == NULL)
        return;
    list_remove(&waiter->link);
    state_file_unref(&waiter->file);
}

/* Another step on the way down to WANTED: to the holder the same break (MS-SMB2 3.3.4.7: the same epoch). */
static void begin_further(struct grant *grant, unsigned to, unsigned wanted)
{
    begin_break(grant, to);
    grant->wanted = wanted;
    grant->epoch--;
}

/* The break that the holder was told of is over; it has KINDS left. */
static void end_break(struct grant *grant, unsigned kinds)
{
    grant->status = GRANT_GRANTED;
    grant->kinds = kinds;
    list_remove(&grant->break_link);
    list_remove(&grant->told_link);
    /* Down to nothing go cached handles first, then the rest: what is closed for the one need not be told of
     * the other. */
    if ((kinds & ~grant->wanted & GRANT_HANDLE) != 0)
        begin_further(grant, kinds & ~(unsigned)GRANT_HANDLE, grant->wanted);
    else if ((kinds & ~grant->wanted) != 0)
        begin_further(grant, kinds & grant->wanted, grant->wanted);
    look_at_waiters(grant->file);
}

/* ---- giving and taking ---- */

/* Is it an open beside which the grant may have everything? */
static bool is_own_open(const struct open *open, const struct self *self)
{
    return open->owner->client != NULL && open->owner->client->id == self->client &&
           (self->key == NULL || open->grant_key_length == 0 ||
            (open->grant_key_length == self->key_length &&
             memcmp(open->grant_key, self->key, self->key_length) == 0));
}

/* Somebody else has the file open in a way that KINDS can't stand. */
static bool is_open_by_others(const struct state_file *file, const struct self *self, unsigned kinds,
                              bool delegation)
{
    const struct open *open = NULL;
    unsigned access = kinds & GRANT_WRITE ? (unsigned)(OPEN_READ | OPEN_WRITE | OPEN_DELETE)
                      : delegation        ? (unsigned)OPEN_WRITE
                                          : 0;
    bool any = false;

    for (unsigned i = 0; i < SHARE_BITS; i++)
        any = any || ((access & 1u << i) && file->access_count[i] > 0);
    while (any && (open = open_next_of_file(file, open)) != NULL) {
        if ((open->access & access) != 0 && !is_own_open(open, self))
            return true;
    }
    return false;
}

static enum err check_free(const struct state_file *file, const struct client *client, const void *key,
                           size_t key_length, unsigned kinds, bool delegation)
{
    struct self self = self_of(client, key, key_length);
    const struct grant *grant = NULL;

    if (!list_is_empty(&file->grant_waiters))
        return ERR_AGAIN;
    while ((grant = grant_next_of_file(file, grant)) != NULL) {
        if (grant->status == GRANT_BREAKING)
            return ERR_AGAIN;
        if (is_own(grant, &self) || kinds == 0 || grant->kinds == 0)
            continue;
        if ((kinds | grant->kinds) & GRANT_WRITE)
            return ERR_AGAIN;
    }
    return is_open_by_others(file, &self, kinds, delegation) ? ERR_AGAIN : ERR_OK;
}

static enum err check_new(const struct grant_spec *spec)
{
    struct state_file *file = spec->file;
    struct state *state = file->state;
    uint64_t damping_ms = state->options.lease_ms / 3;
    enum err err;

    if (spec->key_length == 0 || spec->key_length > GRANT_KEY_MAX || (spec->kinds & ~(unsigned)GRANT_ALL))
        return ERR_INVAL;
    if (spec->client->status == CLIENT_GONE)
        return ERR_EXPIRED;
    if (!spec->any_time) {
        err = grace_check(spec->client, spec->reclaim);
        if (err != ERR_OK)
            return err;
    }
    if (grant_find(file, spec->client, spec->key, spec->key_length) != NULL)
        return ERR_EXIST;
    if (spec->delegation && !spec->reclaim && file->last_break_ms != 0 &&
        state__now() - file->last_break_ms < damping_ms)
        return ERR_AGAIN;
    /* Who has a delegation locks without asking (RFC 8881 10.4): it can't be given beside what others hold,
     * or wait for (who waits, waits for a range). */
    if (spec->delegation && !spec->reclaim && lock_file_has_ranges(file))
        return ERR_AGAIN;
    err = check_free(file, spec->client, spec->key, spec->key_length, spec->kinds, spec->delegation);
    if (err != ERR_OK)
        return err;
    if (state->counters.grants >= state->options.max_grants && !state__make_room(state, spec->client))
        return ERR_LIMIT;
    return recovery__note(spec->client, spec->reclaim);
}

enum err grant_add(const struct grant_spec *spec, struct grant **grant_r)
{
    struct grant *grant;
    enum err err = check_new(spec);

    if (err != ERR_OK)
        return err;
    grant = calloc(1, sizeof *grant);
    if (grant == NULL)
        return ERR_NOMEM;
    err = stateid__add(spec->client, STATEID_GRANT, grant, &grant->stateid);
    if (err != ERR_OK) {
        free(grant);
        return err;
    }
    grant->file = state_file_ref(spec->file);
    grant->client = spec->client;
    grant->status = GRANT_GRANTED;
    grant->kinds = spec->kinds;
    grant->delegation = spec->delegation;
    grant->traceless = spec->traceless;
    grant->told = spec->told;
    grant->epoch = 1;
    grant->operations = spec->operations;
    grant->user = spec->user;
    grant->time_to_answer_ms = spec->break_ms != 0 ? spec->break_ms : grant->file->state->options.break_ms;
    grant->key_length = (uint32_t)spec->key_length;
    memcpy(grant->key, spec->key, spec->key_length);
    list_init(&grant->break_link);
    list_init(&grant->told_link);
    list_push_back(&grant->file->grants, &grant->file_link);
    list_push_back(&grant->client->grants, &grant->client_link);
    grant->file->state->counters.grants++;
    *grant_r = grant;
    return ERR_OK;
}

struct grant *grant_find(const struct state_file *file, const struct client *client, const void *key,
                         size_t key_length)
{
    struct self self = self_of(client, key, key_length);
    struct grant *grant = NULL;

    while ((grant = grant_next_of_file(file, grant)) != NULL) {
        if (is_own(grant, &self))
            return grant;
    }
    return NULL;
}

enum err grant_upgrade(struct grant *grant, unsigned kinds)
{
    enum err err;

    if (kinds & ~(unsigned)GRANT_ALL)
        return ERR_INVAL;
    if (grant->status != GRANT_GRANTED)
        return ERR_AGAIN;
    kinds |= grant->kinds;
    if (kinds == grant->kinds)
        return ERR_OK;
    err = grace_check(grant->client, false);
    if (err == ERR_OK && grant->delegation && lock_file_has_ranges(grant->file))
        err = ERR_AGAIN;
    if (err == ERR_OK)
        err = check_free(grant->file, grant->client, grant->key, grant->key_length, kinds, grant->delegation);
    if (err != ERR_OK)
        return err;
    grant->kinds = kinds;
    grant->epoch++;
    return ERR_OK;
}

enum err grant_acknowledge(struct grant *grant, unsigned kinds)
{
    if (grant->status != GRANT_BREAKING)
        return ERR_NOENT;
    if (kinds & ~grant->break_to)
        return ERR_INVAL;
    end_break(grant, kinds);
    return ERR_OK;
}

void grant_recall(struct grant *grant)
{
    if (grant->status == GRANT_GRANTED)
        begin_break(grant, 0);
}

void grant_remind(struct grant *grant)
{
    if (grant->status == GRANT_BREAKING)
        tell(grant);
}

/* Everything but the stateid. */
static void take_down(struct grant *grant, bool say)
{
    struct state_file *file = grant->file;

    list_remove(&grant->file_link);
    list_remove(&grant->client_link);
    list_remove(&grant->break_link);
    list_remove(&grant->told_link);
    grant->status = GRANT_ENDED;
    file->state->counters.grants--;
    if (say && grant->operations->gone != NULL)
        grant->operations->gone(grant, grant->user);
    free(grant);
    look_at_waiters(file);
    state_file_unref(&file);
}

void grant_return(struct grant *grant)
{
    stateid__end(grant->file->state, grant->stateid, END_CLOSED);
    take_down(grant, false);
}

void grant_revoke(struct grant *grant)
{
    if (grant->traceless)
        stateid__end(grant->file->state, grant->stateid, END_EXPIRED);
    else
        stateid__revoke(grant->file->state, grant->stateid, ENTRY_GRANT_REVOKED);
    take_down(grant, true);
}

void grant__end(struct grant *grant, enum end_reason reason)
{
    stateid__end(grant->file->state, grant->stateid, reason);
    take_down(grant, true);
}

/* ---- time and turns ---- */

void grant__tick(struct state *state, uint64_t now_ms)
{
    while (!list_is_empty(&state->breaks)) {
        struct grant *grant = list_first(&state->breaks, struct grant, break_link);

        if (now_ms < grant->break_due_ms)
            return;
        state->counters.break_timeouts_total++;
        if (grant->delegation) {
            grant_revoke(grant); /* RFC 8881 10.4.6 */
        } else {
            grant->wanted = 0;
            end_break(grant, 0); /* MS-SMB2 3.3.6.5 */
        }
    }
}

void grant_tell(struct state *state)
{
    struct list due;

    list_init(&due);
    list_splice_back(&due, &state->told);
    while (!list_is_empty(&due)) {
        struct grant *grant = list_first(&due, struct grant, told_link);
        list_remove(&grant->told_link);
        grant->operations->breaking(grant, grant->break_to, grant->acknowledge);
    }
}

void grant__deliver(struct state *state)
{
    struct list due;

    grant_tell(state);
    list_init(&due);
    list_splice_back(&due, &state->done_grantwaits);
    while (!list_is_empty(&due)) {
        struct grant_waiter *waiter = list_first(&due, struct grant_waiter, link);
        list_remove(&waiter->link);
        state_file_unref(&waiter->file);
        waiter->done(waiter, ERR_OK);
    }
}

bool grant__is_contended(const struct client *client)
{
    const struct list *link;

    for (link = client->grants.next; link != &client->grants; link = link->next) {
        if (container_of(link, struct grant, client_link)->status == GRANT_BREAKING)
            return true;
    }
    return false;
}

void grant__close(struct state *state)
{
    while (!list_is_empty(&state->done_grantwaits))
        grant_wait_cancel(list_first(&state->done_grantwaits, struct grant_waiter, link));
}

/* ---- what it is ---- */

enum grant_status grant_status(const struct grant *grant)
{
    return grant->status;
}

unsigned grant_kinds(const struct grant *grant)
{
    return grant->kinds;
}

unsigned grant_break_to(const struct grant *grant)
{
    return grant->break_to;
}

uint16_t grant_epoch(const struct grant *grant)
{
    return grant->epoch;
}

struct client *grant_client(const struct grant *grant)
{
    return grant->client;
}

struct state_file *grant_file(const struct grant *grant)
{
    return grant->file;
}

const uint8_t *grant_key(const struct grant *grant, size_t *length_r)
{
    *length_r = grant->key_length;
    return grant->key;
}

void *grant_user(const struct grant *grant)
{
    return grant->user;
}

struct stateid grant_stateid(const struct grant *grant)
{
    return stateid__get(grant->file->state, grant->stateid);
}

struct stateid grant_stateid_next(struct grant *grant)
{
    return stateid__next(grant->file->state, grant->stateid);
}

struct grant *grant_next_of_file(const struct state_file *file, const struct grant *at)
{
    struct list *next = at == NULL ? file->grants.next : at->file_link.next;

    return next == &file->grants ? NULL : container_of(next, struct grant, file_link);
}

struct grant *grant_next_of_client(const struct client *client, const struct grant *at)
{
    struct list *next = at == NULL ? client->grants.next : at->client_link.next;

    return next == &client->grants ? NULL : container_of(next, struct grant, client_link);
}
