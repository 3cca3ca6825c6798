/*
 * delegation_fixture.h - what the tests of delegations begin with: an export "a" with a file "file" of five
 * bytes, and three clients that can be called, in the minor version that the test asks for.
 */
#ifndef DITTOFS_TESTS_DELEGATION_FIXTURE_H
#define DITTOFS_TESTS_DELEGATION_FIXTURE_H

#include "nfs4client.h"
#include "nfsworld.h"
#include "simclock.h"

#include <stdio.h>
#include <string.h>

enum { LEASE_MS = 20000, CLIENTS = 3, NONE = 0, READ_DELEGATION, WRITE_DELEGATION, NONE_EXT };
enum { ACCESS_READ = 1, ACCESS_WRITE = 2, ACCESS_BOTH = 3 };
enum { TRIES = 20000 };

static struct nfsworld *world;
static struct nfs4c clients[CLIENTS];
static uint32_t seqids[CLIENTS]; /* 4.0: of each client's open owner */
static struct wire4_handle top, file;

static inline void turn_until(bool (*condition)(void *data), void *data)
{
    for (int i = 0; i < TRIES && !condition(data); i++)
        nfsworld_turn(world, 1);
    assert_true(condition(data));
}

/* A call to a client of 4.1 is heard when it waits for an answer of its own. */
static inline void hear(struct nfs4c *c)
{
    nfsworld_turn(world, 10);
    if (c->wire.minor > 0) {
        wire4_begin(&c->wire);
        assert_int_equal(nfs4_call(c), NFS4_OK);
        nfs4_skip_sequence(c);
    }
    nfsworld_turn(world, 10);
}

static inline bool was_tested(void *data)
{
    return ((struct nfs4c *)data)->called_with[0] > 0;
}

/* Each number of the owner "o" is used once. */
static uint32_t *seqid_of(const struct nfs4c *c)
{
    return &seqids[c - clients];
}

static inline void come(struct nfs4c *c, uint32_t minor, const char *name)
{
    nfs4_open(c, world, minor, 0, name);
    *seqid_of(c) = 0;
    c->wants_back = true;
    if (minor == 0)
        nfs4_listen(c);
    nfs4_introduce(c);
    if (minor == 0)
        turn_until(was_tested, c);
    nfsworld_turn(world, 10);
}

/* OPEN of NAME by the owner "o"; in 4.0 confirmed beforehand, as only then there are delegations. */
static inline uint32_t try_open(struct nfs4c *c, const char *name, uint32_t access,
                                struct nfs4_opened *opened_r)
{
    struct nfs4_open_args args = {
        .access = access, .owner = "o", .create = NFS4C_UNCHECKED, .mode = 0666, .name = name};
    struct nfs4_opened opened;
    uint32_t status;

    if (c->wire.minor == 0 && *seqid_of(c) == 0) {
        struct nfs4_open_args first = args;

        first.name = c->name;
        opened = nfs4_must_open(c, &top, &first);
        assert_int_equal(nfs4_try_close(c, &opened.file, &opened.stateid, first.seqid++), NFS4_OK);
        *seqid_of(c) = first.seqid;
    }
    args.seqid = *seqid_of(c);
    status = nfs4_try_open(c, &top, &args, opened_r);
    if (c->wire.minor == 0)
        (*seqid_of(c))++;
    return status;
}

static inline struct nfs4_opened must_open(struct nfs4c *c, const char *name, uint32_t access)
{
    struct nfs4_opened opened;

    assert_int_equal(try_open(c, name, access, &opened), NFS4_OK);
    assert_false(opened.recall);
    return opened;
}

static inline void must_close(struct nfs4c *c, struct nfs4_opened *opened)
{
    assert_int_equal(nfs4_try_close(c, &opened->file, &opened->stateid, *seqid_of(c)), NFS4_OK);
    if (c->wire.minor == 0)
        (*seqid_of(c))++;
}

static inline void must_return(struct nfs4c *c, const struct nfs4_opened *opened)
{
    assert_int_equal(nfs4_try_delegreturn(c, &opened->file, &opened->delegation_id), NFS4_OK);
}

static inline uint32_t grants(void)
{
    struct state_counters counters;

    state_counters(world->state, &counters);
    return counters.grants;
}

/* Time passes, and all clients but EXCEPT show that they live. */
static inline void pass_ms(uint64_t ms, const struct nfs4c *except)
{
    while (ms > 0) {
        uint64_t step_ms = ms < LEASE_MS / 4 ? ms : LEASE_MS / 4;

        nfsworld_advance(world, step_ms);
        ms -= step_ms;
        for (int i = 0; i < CLIENTS; i++) {
            struct nfs4c *c = &clients[i];

            if (c == except)
                continue;
            wire4_begin(&c->wire);
            if (c->wire.minor == 0)
                wire4_renew(&c->wire, c->wire.clientid);
            nfs4_call(c);
        }
    }
}

static inline void begin_with(uint32_t minor, const struct nfsworld_options *given)
{
    struct vfs_export_config export = nfsworld_export("a");
    struct nfsworld_options options = {.nfs4 = {.delegations = true}};
    struct nfs4_opened opened;
    char name[16];

    if (given != NULL)
        options = *given;
    options.state.lease_ms = LEASE_MS;
    simclock_install();
    simclock_set_tick_ns(1000);
    world = nfsworld_open(&export, 1, &options);
    for (int i = 0; i < CLIENTS; i++) {
        snprintf(name, sizeof name, "client %d", i);
        come(&clients[i], minor, name);
    }
    top = wire4_walk(&clients[2].wire, "a");
    assert_int_equal(try_open(&clients[2], "file", ACCESS_BOTH, &opened), NFS4_OK);
    file = opened.file;
    wire4_begin(&clients[2].wire);
    wire4_putfh(&clients[2].wire, &file);
    nfs4_write(&clients[2], &opened.stateid, 0, "hello");
    assert_int_equal(nfs4_call(&clients[2]), NFS4_OK);
    must_close(&clients[2], &opened);
    if (opened.delegation != NONE)
        must_return(&clients[2], &opened);
    for (int i = 0; i < CLIENTS; i++)
        assert_int_equal(clients[i].called, 0);
}

static inline void begin(uint32_t minor)
{
    begin_with(minor, NULL);
}

static inline void end(void)
{
    for (int i = 0; i < CLIENTS; i++)
        nfs4_close_client(&clients[i]);
    nfsworld_close(&world);
    simclock_remove();
}

#endif
