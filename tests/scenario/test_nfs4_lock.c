/*
 * test_nfs4_lock.c - byte-range locks of two clients, scripted: each row of a table is a step with its
 * expected result; and what LOCK, LOCKT and LOCKU say to wrong arguments (RFC 8881 18.10 to 18.12).
 *
 * The tables run at minor versions 0, 1 and between both.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nfs4client.h"
#include "nfsworld.h"

#include <stdio.h>
#include <string.h>

enum { OWNERS = 3, END = -1 };
#define TO_END UINT64_MAX

static struct nfsworld *world;
static struct nfs4c clients[2];

static int set_up(void **state)
{
    struct vfs_export_config export = nfsworld_export("a");

    (void)state;
    world = nfsworld_open(&export, 1, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    nfsworld_close(&world);
    return 0;
}

/* ---- a lock owner of a client on the file ---- */

struct holder {
    struct nfs4c *c;
    char name[16];
    struct nfs4_open_args open;
    struct nfs4_opened opened;
    struct wire4_stateid lock;
    bool has_lock; /* a lock stateid */
    uint32_t seqid;
};

static struct holder holders[OWNERS];

static void holder_init(struct holder *holder, struct nfs4c *c, const char *owner, const char *file)
{
    struct wire4_handle top = wire4_walk(&c->wire, "a");

    memset(holder, 0, sizeof *holder);
    holder->c = c;
    snprintf(holder->name, sizeof holder->name, "%s", owner);
    holder->open = (struct nfs4_open_args){
        .access = 3, .owner = holder->name, .create = NFS4C_UNCHECKED, .mode = 0666, .name = file};
    holder->opened = nfs4_must_open(c, &top, &holder->open);
}

static uint32_t set(struct holder *holder, uint32_t type, uint64_t offset, uint64_t length,
                    struct nfs4_denied *denied_r)
{
    struct wire4_lock_args args = {.type = type,
                                   .offset = offset,
                                   .length = length,
                                   .new_owner = !holder->has_lock,
                                   .open_seqid = holder->open.seqid,
                                   .lock_seqid = holder->seqid,
                                   .stateid = holder->has_lock ? holder->lock : holder->opened.stateid,
                                   .owner = holder->name};
    struct wire4_stateid id;
    uint32_t status = nfs4_try_lock(holder->c, &holder->opened.file, &args, &id, denied_r);

    holder->seqid++;
    if (!holder->has_lock)
        holder->open.seqid++;
    if (status == NFS4_OK) {
        if (holder->has_lock) {
            assert_memory_equal(id.other, holder->lock.other, sizeof id.other);
            assert_int_equal(id.seqid, holder->lock.seqid + 1);
        }
        holder->lock = id;
        holder->has_lock = true;
    }
    return status;
}

static uint32_t unset(struct holder *holder, uint64_t offset, uint64_t length)
{
    if (!holder->has_lock)
        return NFS4_OK;
    return nfs4_try_locku(holder->c, &holder->opened.file, &holder->lock, holder->seqid++, offset, length);
}

/* ---- the tables ---- */

enum action { LOCK, TEST, UNLOCK };
enum kind { R = WIRE4_READ_LT, W = WIRE4_WRITE_LT, RW = WIRE4_READW_LT, WW = WIRE4_WRITEW_LT };

struct step {
    int owner; /* END: the table is over */
    enum action action;
    enum kind kind;
    uint64_t offset, length;
    uint32_t status;
    /* DENIED: what is in the way */
    uint64_t at, for_length;
    enum kind by;
};

#define OK     NFS4_OK
#define DENIED NFS4ERR_DENIED

static const struct step conflict[] = {
    {0, LOCK, W, 0, 10, OK, 0, 0, 0},      {1, LOCK, W, 0, 10, DENIED, 0, 10, W},
    {1, LOCK, R, 5, 1, DENIED, 0, 10, W},  {1, LOCK, R, 10, 1, OK, 0, 0, 0},
    {0, LOCK, W, 10, 1, DENIED, 10, 1, R}, {0, LOCK, R, 10, 1, OK, 0, 0, 0},
    {2, LOCK, R, 10, 1, OK, 0, 0, 0},      {2, LOCK, WW, 9, 1, DENIED, 0, 10, W},
    {2, LOCK, RW, 8, 4, DENIED, 0, 10, W}, {0, UNLOCK, W, 0, 10, OK, 0, 0, 0},
    {2, LOCK, W, 0, 10, OK, 0, 0, 0},      {1, TEST, R, 0, TO_END, DENIED, 0, 10, W},
    {END, 0, 0, 0, 0, 0, 0, 0, 0}};

static const struct step upgrade[] = {
    {0, LOCK, R, 0, 100, OK, 0, 0, 0},      {1, LOCK, R, 50, 100, OK, 0, 0, 0},
    {0, LOCK, W, 0, 50, OK, 0, 0, 0},       {0, LOCK, W, 0, 51, DENIED, 50, 100, R},
    {1, LOCK, W, 100, 50, OK, 0, 0, 0},     {1, LOCK, W, 50, 50, DENIED, 50, 50, R},
    {0, UNLOCK, R, 50, 50, OK, 0, 0, 0},    {1, LOCK, W, 50, 50, OK, 0, 0, 0},
    {2, TEST, R, 0, 100, DENIED, 0, 50, W}, {END, 0, 0, 0, 0, 0, 0, 0, 0}};

static const struct step downgrade[] = {{0, LOCK, W, 0, TO_END, OK, 0, 0, 0},
                                        {1, LOCK, R, 20, 10, DENIED, 0, TO_END, W},
                                        {0, LOCK, R, 20, 10, OK, 0, 0, 0},
                                        {1, LOCK, R, 20, 10, OK, 0, 0, 0},
                                        {1, LOCK, R, 19, 2, DENIED, 0, 20, W},
                                        {1, LOCK, R, 29, 2, DENIED, 30, TO_END, W},
                                        {0, LOCK, W, 20, 10, DENIED, 20, 10, R},
                                        {1, UNLOCK, R, 0, TO_END, OK, 0, 0, 0},
                                        {0, LOCK, W, 20, 10, OK, 0, 0, 0},
                                        {2, TEST, R, 25, 1, DENIED, 0, TO_END, W},
                                        {END, 0, 0, 0, 0, 0, 0, 0, 0}};

static const struct step split[] = {
    {0, LOCK, W, 0, 100, OK, 0, 0, 0},      {0, UNLOCK, W, 40, 20, OK, 0, 0, 0},
    {1, TEST, W, 0, 40, DENIED, 0, 40, W},  {1, TEST, W, 60, 100, DENIED, 60, 40, W},
    {1, LOCK, W, 40, 20, OK, 0, 0, 0},      {0, LOCK, W, 30, 20, DENIED, 40, 20, W},
    {1, UNLOCK, W, 45, 10, OK, 0, 0, 0},    {0, LOCK, W, 45, 10, OK, 0, 0, 0},
    {2, TEST, W, 40, 5, DENIED, 40, 5, W},  {2, TEST, W, 45, 10, DENIED, 45, 10, W},
    {2, TEST, W, 55, 5, DENIED, 55, 5, W},  {0, UNLOCK, W, 0, TO_END, OK, 0, 0, 0},
    {1, UNLOCK, W, 0, TO_END, OK, 0, 0, 0}, {2, LOCK, W, 0, TO_END, OK, 0, 0, 0},
    {END, 0, 0, 0, 0, 0, 0, 0, 0}};

static const struct step merge[] = {{0, LOCK, W, 0, 10, OK, 0, 0, 0},
                                    {0, LOCK, W, 20, 10, OK, 0, 0, 0},
                                    {1, TEST, R, 10, 10, OK, 0, 0, 0},
                                    {0, LOCK, W, 10, 10, OK, 0, 0, 0},
                                    {1, TEST, R, 29, 1, DENIED, 0, 30, W},
                                    {0, LOCK, W, 5, 45, OK, 0, 0, 0},
                                    {1, TEST, R, 49, 1, DENIED, 0, 50, W},
                                    {0, LOCK, W, 50, TO_END, OK, 0, 0, 0},
                                    {1, TEST, R, 1000, 1, DENIED, 0, TO_END, W},
                                    {END, 0, 0, 0, 0, 0, 0, 0, 0}};

static const struct step to_end[] = {{0, LOCK, W, 100, TO_END, OK, 0, 0, 0},
                                     {1, LOCK, W, 0, 100, OK, 0, 0, 0},
                                     {1, LOCK, W, UINT64_MAX, TO_END, DENIED, 100, TO_END, W},
                                     {1, LOCK, W, UINT64_MAX - 1, 1, DENIED, 100, TO_END, W},
                                     {0, UNLOCK, W, 200, TO_END, OK, 0, 0, 0},
                                     {1, LOCK, W, UINT64_MAX - 1, 1, OK, 0, 0, 0},
                                     {1, LOCK, W, 200, UINT64_MAX - 200, OK, 0, 0, 0},
                                     {2, TEST, W, 100, TO_END, DENIED, 100, 100, W},
                                     {0, LOCK, W, 100, 0, NFS4ERR_INVAL, 0, 0, 0},
                                     {0, LOCK, W, 100, UINT64_MAX - 1, NFS4ERR_INVAL, 0, 0, 0},
                                     {0, TEST, W, 100, 0, NFS4ERR_INVAL, 0, 0, 0},
                                     {0, TEST, W, 2, UINT64_MAX - 1, NFS4ERR_INVAL, 0, 0, 0},
                                     {0, UNLOCK, W, 100, 0, NFS4ERR_INVAL, 0, 0, 0},
                                     {0, UNLOCK, W, 2, UINT64_MAX - 1, NFS4ERR_INVAL, 0, 0, 0},
                                     {END, 0, 0, 0, 0, 0, 0, 0, 0}};

/* Never against oneself. */
static const struct step own[] = {
    {0, LOCK, W, 0, 10, OK, 0, 0, 0},         {0, TEST, W, 0, 10, OK, 0, 0, 0},
    {0, TEST, W, 5, TO_END, OK, 0, 0, 0},     {0, LOCK, W, 0, 10, OK, 0, 0, 0},
    {0, LOCK, R, 5, 10, OK, 0, 0, 0},         {0, UNLOCK, W, 50, 10, OK, 0, 0, 0},
    {2, TEST, W, 0, TO_END, DENIED, 0, 5, W}, {END, 0, 0, 0, 0, 0, 0, 0, 0}};

static const struct {
    const char *name;
    const struct step *steps;
} tables[] = {{"conflict", conflict},
              {"upgrade", upgrade},
              {"downgrade", downgrade},
              {"split", split},
              {"merge", merge},
              {"to end", to_end},
              {"own", own}};

static uint32_t do_step(const struct step *step, struct nfs4_denied *denied)
{
    struct holder *holder = &holders[step->owner];

    switch (step->action) {
    case LOCK:
        return set(holder, step->kind, step->offset, step->length, denied);
    case TEST:
        return nfs4_try_lockt(holder->c, &holder->opened.file, step->kind, step->offset, step->length,
                              holder->name, denied);
    case UNLOCK:
        break;
    }
    return unset(holder, step->offset, step->length);
}

static void run_table(const char *name, const struct step *steps)
{
    for (size_t i = 0; steps[i].owner != END; i++) {
        struct nfs4_denied denied = {.offset = 0};
        uint32_t status = do_step(&steps[i], &denied);

        if (status != steps[i].status)
            fail_msg("%s, step %zu: %u instead of %u", name, i, status, steps[i].status);
        if (status != NFS4ERR_DENIED)
            continue;
        if (denied.offset != steps[i].at || denied.length != steps[i].for_length ||
            denied.type != (uint32_t)steps[i].by)
            fail_msg("%s, step %zu: denied by %llu+%llu", name, i, (unsigned long long)denied.offset,
                     (unsigned long long)denied.length);
        assert_true(denied.clientid == clients[0].wire.clientid ||
                    denied.clientid == clients[1].wire.clientid);
    }
}

static void run_tables(uint32_t first_minor, uint32_t second_minor)
{
    char file[32], third[32], name[32];

    snprintf(name, sizeof name, "tables %u %u", first_minor, second_minor);
    nfs4_open(&clients[0], world, first_minor, 0, name);
    nfs4_open(&clients[1], world, second_minor, 0, strcat(name, "'"));
    nfs4_introduce(&clients[0]);
    nfs4_introduce(&clients[1]);
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        snprintf(file, sizeof file, "table %zu", i);
        holder_init(&holders[0], &clients[0], file, file);
        holder_init(&holders[1], &clients[1], file, file); /* the same name, but of another client */
        snprintf(third, sizeof third, "third %zu", i);
        holder_init(&holders[2], &clients[0], third, file);
        run_table(tables[i].name, tables[i].steps);
        for (int owner = 0; owner < OWNERS; owner++)
            assert_int_equal(nfs4_try_close(holders[owner].c, &holders[owner].opened.file,
                                            &holders[owner].opened.stateid, holders[owner].open.seqid),
                             NFS4_OK);
    }
    nfs4_close_client(&clients[0]);
    nfs4_close_client(&clients[1]);
}

static void test_tables(void **state)
{
    (void)state;
    run_tables(0, 0);
    run_tables(1, 1);
    run_tables(0, 2);
    run_tables(1, 0);
}

/* ---- single rules ---- */

static void one_client(uint32_t minor)
{
    nfs4_open(&clients[0], world, minor, 0, "single");
    nfs4_introduce(&clients[0]);
}

static void test_open_mode(void **state)
{
    struct wire4_handle top;
    struct nfs4_open_args args = {
        .access = 3, .owner = "o", .create = NFS4C_UNCHECKED, .mode = 0666, .name = "mode"};
    struct nfs4_opened opened;

    (void)state;
    one_client(1);
    top = wire4_walk(&clients[0].wire, "a");
    for (uint32_t access = 1; access <= 3; access++) {
        args.access = access;
        opened = nfs4_must_open(&clients[0], &top, &args);
        for (uint32_t type = WIRE4_READ_LT; type <= WIRE4_WRITEW_LT; type++) {
            struct wire4_lock_args lock = {
                .type = type, .length = 1, .new_owner = true, .stateid = opened.stateid, .owner = "l"};
            bool write = type == WIRE4_WRITE_LT || type == WIRE4_WRITEW_LT;

            assert_int_equal(nfs4_try_lock(&clients[0], &opened.file, &lock, NULL, NULL),
                             access & (write ? 2 : 1) ? NFS4_OK : NFS4ERR_OPENMODE);
        }
        assert_int_equal(nfs4_try_close(&clients[0], &opened.file, &opened.stateid, 0), NFS4_OK);
    }
    nfs4_close_client(&clients[0]);
}

static void test_wrong_arguments(void **state)
{
    struct wire4_lock_args lock = {.type = WIRE4_WRITE_LT, .length = 1, .new_owner = true, .owner = "l"};
    struct nfs4c *c = &clients[0];
    struct wire4_handle top;
    struct holder holder;

    (void)state;
    one_client(1);
    top = wire4_walk(&c->wire, "a");
    holder_init(&holder, c, "o", "wrong");
    lock.stateid = holder.opened.stateid;
    assert_int_equal(nfs4_try_lock(c, &top, &lock, NULL, NULL), NFS4ERR_ISDIR);
    assert_int_equal(nfs4_try_lockt(c, &top, WIRE4_READ_LT, 0, 1, "l", NULL), NFS4ERR_ISDIR);
    for (uint32_t type = 0; type <= 5; type += 5) {
        lock.type = type;
        assert_int_equal(nfs4_try_lock(c, &holder.opened.file, &lock, NULL, NULL), NFS4ERR_BADXDR);
        assert_int_equal(nfs4_try_lockt(c, &holder.opened.file, type, 0, 1, "l", NULL), NFS4ERR_BADXDR);
    }
    lock.type = WIRE4_WRITE_LT;
    lock.stateid = wire4_anonymous;
    assert_int_equal(nfs4_try_lock(c, &holder.opened.file, &lock, NULL, NULL), NFS4ERR_BAD_STATEID);
    lock.stateid = holder.opened.stateid;
    lock.new_owner = false; /* an open's stateid where a lock's belongs */
    assert_int_equal(nfs4_try_lock(c, &holder.opened.file, &lock, NULL, NULL), NFS4ERR_BAD_STATEID);
    assert_int_equal(nfs4_try_locku(c, &holder.opened.file, &lock.stateid, 0, 0, 1), NFS4ERR_BAD_STATEID);
    lock.new_owner = true;
    lock.reclaim = true;
    assert_int_equal(nfs4_try_lock(c, &holder.opened.file, &lock, NULL, NULL), NFS4ERR_NO_GRACE);
    nfs4_close_client(c);
}

/* What a failed first lock leaves: nothing. */
static void test_denied_leaves_nothing(void **state)
{
    struct state_counters before, after;
    struct nfs4_denied denied;
    struct holder holder, other;

    (void)state;
    one_client(1);
    holder_init(&holder, &clients[0], "o", "nothing");
    holder_init(&other, &clients[0], "p", "nothing");
    assert_int_equal(set(&holder, WIRE4_WRITE_LT, 0, 10, NULL), NFS4_OK);
    state_counters(world->state, &before);
    assert_int_equal(set(&other, WIRE4_WRITEW_LT, 0, 10, &denied), NFS4ERR_DENIED);
    assert_string_equal(denied.owner, "o");
    assert_int_equal(denied.clientid, clients[0].wire.clientid);
    state_counters(world->state, &after);
    assert_int_equal(after.stateids, before.stateids);
    assert_int_equal(after.owners, before.owners);
    nfs4_close_client(&clients[0]);
}

/* A lock's stateid: TEST_STATEID, FREE_STATEID, and its end with the open. */
static void test_lock_stateid(void **state)
{
    struct nfs4c *c = &clients[0];
    struct wire4_stateid ids[3];
    struct holder holder;
    uint32_t count, status;

    (void)state;
    one_client(1);
    holder_init(&holder, c, "o", "stateid");
    assert_int_equal(set(&holder, WIRE4_WRITE_LT, 0, 10, NULL), NFS4_OK);
    ids[0] = holder.lock;
    ids[1] = holder.opened.stateid;
    ids[2] = wire4_bypass;
    wire4_begin(&c->wire);
    wire4_test_stateid(&c->wire, ids, 3);
    assert_int_equal(nfs4_call(c), NFS4_OK);
    nfs4_skip_sequence(c);
    nfs4_result(c, OP_TEST_STATEID, NFS4_OK);
    assert_true(reader_be32(&c->results, &count));
    assert_int_equal(count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(reader_be32(&c->results, &status));
        assert_int_equal(status, i == 2 ? NFS4ERR_BAD_STATEID : NFS4_OK);
    }
    assert_int_equal(nfs4_try_write(c, &holder.opened.file, &holder.lock), NFS4_OK);
    wire4_begin(&c->wire);
    wire4_free_stateid(&c->wire, &holder.lock);
    assert_int_equal(nfs4_call(c), NFS4ERR_LOCKS_HELD);
    assert_int_equal(unset(&holder, 0, TO_END), NFS4_OK);
    wire4_begin(&c->wire);
    wire4_free_stateid(&c->wire, &holder.lock);
    assert_int_equal(nfs4_call(c), NFS4_OK);
    assert_int_equal(nfs4_try_write(c, &holder.opened.file, &holder.lock), NFS4ERR_BAD_STATEID);
    wire4_begin(&c->wire);
    wire4_free_stateid(&c->wire, &holder.lock);
    assert_int_equal(nfs4_call(c), NFS4ERR_BAD_STATEID);
    holder.has_lock = false;
    assert_int_equal(set(&holder, WIRE4_WRITE_LT, 0, 10, NULL), NFS4_OK);
    assert_int_equal(nfs4_try_close(c, &holder.opened.file, &holder.opened.stateid, 0), NFS4_OK);
    assert_int_equal(nfs4_try_write(c, &holder.opened.file, &holder.lock), NFS4ERR_BAD_STATEID);
    assert_int_equal(nfs4_try_lockt(c, &holder.opened.file, WIRE4_WRITE_LT, 0, 10, "p", NULL), NFS4_OK);
    nfs4_close_client(c);
}

static void test_release_lockowner(void **state)
{
    struct nfs4c *c = &clients[0];
    struct holder holder;

    (void)state;
    one_client(0);
    holder_init(&holder, c, "o", "release");
    assert_int_equal(set(&holder, WIRE4_WRITE_LT, 0, 10, NULL), NFS4_OK);
    for (int i = 0; i < 3; i++) {
        wire4_begin(&c->wire);
        wire4_release_lockowner(&c->wire, i == 2 ? "unknown" : holder.name);
        assert_int_equal(nfs4_call(c), i == 0 ? NFS4ERR_LOCKS_HELD : NFS4_OK);
        if (i == 0)
            assert_int_equal(unset(&holder, 0, 10), NFS4_OK);
    }
    assert_int_equal(nfs4_try_write(c, &holder.opened.file, &holder.lock), NFS4ERR_BAD_STATEID);
    /* It begins anew, with any number. */
    holder.has_lock = false;
    holder.seqid = 1000;
    assert_int_equal(set(&holder, WIRE4_WRITE_LT, 0, 10, NULL), NFS4_OK);
    c->wire.clientid ^= 1;
    wire4_begin(&c->wire);
    wire4_release_lockowner(&c->wire, holder.name);
    assert_int_equal(nfs4_call(c), NFS4ERR_STALE_CLIENTID);
    nfs4_close_client(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_tables, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_open_mode, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wrong_arguments, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_denied_leaves_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lock_stateid, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_release_lockowner, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
