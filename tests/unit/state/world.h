/*
 * world.h - a state room over simulated loop and clock, and short ways to make what tests need.
 */
#ifndef DITTOFS_TESTS_STATE_WORLD_H
#define DITTOFS_TESTS_STATE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "simclock.h"
#include "simloop.h"
#include "state/state_priv.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct world {
    struct loop *loop;
    struct state *state;
    struct state_options options;
};

static inline void world_start(struct world *world, const struct recovery_store *recovery)
{
    assert_int_equal(state_open(world->loop, &world->options, recovery, &world->state), ERR_OK);
}

static inline void world_open(struct world *world, const struct state_options *options)
{
    simclock_install();
    world->loop = simloop_new(1);
    world->options = options != NULL ? *options : (struct state_options){0};
    world_start(world, NULL);
}

/* Everything must be given back by now, but what belongs to clients. */
static inline void world_close(struct world *world)
{
    state_close(&world->state);
    loop_close(&world->loop);
    simclock_remove();
}

static inline void world_turns(struct world *world)
{
    simloop_run_until_idle(world->loop);
}

/* Time goes on, timers run. */
static inline void world_pass(struct world *world, uint64_t ms)
{
    while (ms > 0) {
        uint64_t step = ms < 500 ? ms : 500;
        simclock_advance_ms(step);
        simloop_run_until_idle(world->loop);
        ms -= step;
    }
}

static inline struct client_spec client_spec_of(const char *name)
{
    struct client_spec spec = {.family = 1,
                               .owner = name,
                               .owner_length = strlen(name),
                               .principal = "p",
                               .principal_length = 1,
                               .leased = true,
                               .recoverable = true,
                               .completes = true};

    memcpy(spec.verifier, "verifier", CLIENT_VERIFIER_SIZE);
    return spec;
}

static inline struct client *make_client(struct world *world, const char *name)
{
    struct client_spec spec = client_spec_of(name);
    struct client *client = NULL;

    assert_int_equal(client_new(world->state, &spec, NULL, &client), ERR_OK);
    return client_confirm(client);
}

/* With a reference. */
static inline struct owner *make_owner(struct client *client, const char *name)
{
    struct owner *owner = NULL;

    assert_int_equal(owner_get(client, 1, name, strlen(name), &owner), ERR_OK);
    return owner;
}

/* With a reference. */
static inline struct state_file *make_file(struct world *world, uint64_t ino)
{
    struct state_file *file = NULL;

    assert_int_equal(state_file_get(world->state, 1, ino, &file), ERR_OK);
    return file;
}

/* Only what belongs to others refers to owner and file afterwards. */
static inline struct lock_holder *make_holder(struct world *world, uint64_t ino, struct client *client,
                                              const char *name, enum lock_rules rules)
{
    struct state_file *file = make_file(world, ino);
    struct owner *owner = make_owner(client, name);
    struct lock_holder *holder = NULL;

    assert_int_equal(lock_holder_get(file, owner, NULL, rules, &holder), ERR_OK);
    owner_unref(&owner);
    state_file_unref(&file);
    return holder;
}

static inline struct open *make_open(struct world *world, uint64_t ino, struct client *client,
                                     const char *name, unsigned access, unsigned deny)
{
    struct state_file *file = make_file(world, ino);
    struct owner *owner = make_owner(client, name);
    struct open_spec spec = {.file = file, .owner = owner, .access = access, .deny = deny};
    struct open *open = NULL;

    assert_int_equal(open_add(&spec, &open), ERR_OK);
    owner_unref(&owner);
    state_file_unref(&file);
    return open;
}

#endif
