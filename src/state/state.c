/*
 * state.c - the sum of what clients hold, its files, its tick and its hook.
 *
 * One repeating timer looks at everything that ends by time: leases, courtesy, kept owners, breaks, grace. It
 * is due once a second, or more often with short leases (tests). One hook at the end of a turn calls back
 * those who were granted something.
 *
 * Invariants: a file exists as long as its references; an open, a lock holder, a grant and a waiter count.
 * Nothing of a client outlives it but its memory, while it is held.
 */
#include "dittofs/state.h"
#include "state/state_priv.h"

#include "dittofs/clock.h"
#include "dittofs/random.h"

#include <stdlib.h>
#include <string.h>

enum { TICK_MOST_MS = 1000, TICK_LEAST_MS = 10, TICKS_A_LEASE = 20 };

uint64_t state__now(void)
{
    return clock_monotonic_ms();
}

uint64_t state__hash(const struct state *state, uint64_t a, uint64_t b)
{
    uint64_t key[2] = {a, b};

    return siphash64(&state->hash_key, key, sizeof key);
}

static void tick(struct loop_timer *timer)
{
    struct state *state = container_of(timer, struct state, timer);
    uint64_t now = state__now();

    /* First what a client is to lose alone, then those that lose everything. */
    grant__tick(state, now);
    client__tick(state, now);
    owner__tick(state, now);
    recovery__tick(state, now);
}

static void turn_ends(struct loop_hook *hook)
{
    struct state *state = container_of(hook, struct state, hook);

    lock__hand_over(state, TURN_WAITERS);
    lock__deliver(state);
    grant__deliver(state);
    if (!list_is_empty(&state->busy_files) || !list_is_empty(&state->done_waits))
        loop_wake(state->loop);
}

#define DEFAULT_TO(member, value)                                                                            \
    do {                                                                                                     \
        if ((member) == 0)                                                                                   \
            (member) = (value);                                                                              \
    } while (0)

static void set_options(struct state_options *to, const struct state_options *from)
{
    *to = *from;
    DEFAULT_TO(to->lease_ms, 90000);
    DEFAULT_TO(to->grace_ms, to->lease_ms);
    DEFAULT_TO(to->reclaim_quiet_ms, 3500);
    DEFAULT_TO(to->reclaim_silent_ms, to->lease_ms);
    DEFAULT_TO(to->courtesy_ms, 86400000);
    DEFAULT_TO(to->break_ms, to->lease_ms / 2 + 1);
    DEFAULT_TO(to->max_clients, 20000);
    DEFAULT_TO(to->max_courtesy, 4096);
    DEFAULT_TO(to->max_owners, 400000);
    DEFAULT_TO(to->max_opens, 400000);
    DEFAULT_TO(to->max_locks, 1000000);
    DEFAULT_TO(to->max_waiters, 100000);
    DEFAULT_TO(to->max_grants, 200000);
    DEFAULT_TO(to->max_sessions, 40000);
    DEFAULT_TO(to->max_reply_bytes, (uint64_t)1 << 30);
    DEFAULT_TO(to->max_owner_reply, 4096);
    DEFAULT_TO(to->max_owner_replies, (uint64_t)64 << 20);
}

static uint64_t tick_ms(const struct state_options *options)
{
    uint64_t ms = options->lease_ms / TICKS_A_LEASE;

    if (ms > TICK_MOST_MS)
        return TICK_MOST_MS;
    return ms < TICK_LEAST_MS ? TICK_LEAST_MS : ms;
}

static void choose_instance(struct state *state)
{
    random_bytes(&state->hash_key, sizeof state->hash_key);
    /* Never such that a stateid could look like a special one. */
    do {
        state->instance = (uint32_t)random_u64();
    } while (state->instance == 0 || state->instance == UINT32_MAX);
}

enum err state_open(struct loop *loop, const struct state_options *options,
                    const struct recovery_store *recovery, struct state **state_r)
{
    struct state *state = calloc(1, sizeof *state);
    enum err err;

    if (state == NULL)
        return ERR_NOMEM;
    state->loop = loop;
    set_options(&state->options, options);
    choose_instance(state);
    list_init(&state->busy_files);
    list_init(&state->done_waits);
    list_init(&state->kept_owners);
    client__init(state);
    stateid__init(state);
    grant__init(state);
    err = recovery__open(state, recovery);
    if (err != ERR_OK) {
        free(state);
        return err;
    }
    state->timer.callback = tick;
    loop_timer_start(loop, &state->timer, tick_ms(&state->options), tick_ms(&state->options));
    state->hook.callback = turn_ends;
    loop_hook_add(loop, &state->hook);
    *state_r = state;
    return ERR_OK;
}

void state_close(struct state **state_p)
{
    struct state *state = *state_p;

    if (state == NULL)
        return;
    *state_p = NULL;
    state->closing = true;
    loop_timer_stop(&state->timer);
    loop_hook_remove(&state->hook);
    client__close(state);
    lock__close(state);
    grant__close(state);
    session__close(state);
    owner__close(state);
    recovery__close(state);
    stateid__free_table(state);
    invariant(state->files.count == 0);
    hashtable_free(&state->files);
    hashtable_free(&state->opens);
    hashtable_free(&state->holders);
    free(state);
}

const struct state_options *state_options(const struct state *state)
{
    return &state->options;
}

uint32_t state_instance(const struct state *state)
{
    return state->instance;
}

void state_counters(const struct state *state, struct state_counters *counters_r)
{
    *counters_r = state->counters;
    counters_r->stateids = state->stateids.used - state->stateids.free_count;
}

bool state__make_room(struct state *state, const struct client *except)
{
    struct list *link, *following;

    list_for_each_safe(link, following, &state->courtesy)
    {
        struct client *client = container_of(link, struct client, lease_link);
        if (client__yield(client, except))
            return true;
    }
    return false;
}

/* ---- files ---- */

struct state_file *state_file_find(struct state *state, uint32_t tree, uint64_t ino)
{
    struct hashlink *link = hashtable_find(&state->files, state__hash(state, tree, ino));

    for (; link != NULL; link = hashtable_find_next(link)) {
        struct state_file *file = container_of(link, struct state_file, hashlink);
        if (file->tree == tree && file->ino == ino)
            return file;
    }
    return NULL;
}

enum err state_file_get(struct state *state, uint32_t tree, uint64_t ino, struct state_file **file_r)
{
    struct state_file *file = state_file_find(state, tree, ino);

    if (file != NULL) {
        *file_r = state_file_ref(file);
        return ERR_OK;
    }
    file = calloc(1, sizeof *file);
    if (file == NULL)
        return ERR_NOMEM;
    if (!hashtable_insert(&state->files, &file->hashlink, state__hash(state, tree, ino))) {
        free(file);
        return ERR_NOMEM;
    }
    file->state = state;
    file->references = 1;
    file->tree = tree;
    file->ino = ino;
    list_init(&file->opens);
    list_init(&file->holders);
    list_init(&file->pending);
    list_init(&file->left);
    list_init(&file->busy_link);
    list_init(&file->grants);
    list_init(&file->grant_waiters);
    state->counters.files++;
    *file_r = file;
    return ERR_OK;
}

struct state_file *state_file_ref(struct state_file *file)
{
    file->references++;
    return file;
}

void state_file_unref(struct state_file **file_p)
{
    struct state_file *file = *file_p;

    *file_p = NULL;
    if (file == NULL || --file->references > 0)
        return;
    invariant(list_is_empty(&file->opens) && list_is_empty(&file->holders) && file->waiters.count == 0);
    invariant(list_is_empty(&file->grants) && list_is_empty(&file->grant_waiters));
    hashtable_remove(&file->state->files, &file->hashlink);
    file->state->counters.files--;
    list_remove(&file->busy_link);
    state_file_set_user(file, NULL, NULL);
    free(file->name);
    free(file);
}

uint32_t state_file_tree(const struct state_file *file)
{
    return file->tree;
}

uint64_t state_file_ino(const struct state_file *file)
{
    return file->ino;
}

void state_file_set_user(struct state_file *file, void *user, void (*release)(void *user))
{
    if (file->release != NULL)
        file->release(file->user);
    file->user = user;
    file->release = release;
}

void state_file_set_name(struct state_file *file, uint64_t dir, const void *name, size_t length)
{
    uint8_t size = length < UINT8_MAX ? (uint8_t)length : UINT8_MAX;

    file->name_dir = dir;
    if (file->name != NULL && file->name[0] == size && memcmp(file->name + 1, name, size) == 0)
        return;
    free(file->name);
    file->name = malloc(1 + (size_t)size);
    if (file->name == NULL)
        return;
    file->name[0] = size;
    memcpy(file->name + 1, name, size);
}

const uint8_t *state_file_name(const struct state_file *file, uint64_t *dir_r, size_t *length_r)
{
    if (file->name == NULL)
        return NULL;
    *dir_r = file->name_dir;
    *length_r = file->name[0];
    return file->name + 1;
}

void *state_file_user(const struct state_file *file)
{
    return file->user;
}
