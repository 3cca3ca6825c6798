/*
 * test_smb2_leases.c - oplocks and leases on the wire: what breaks them over each protocol, what waits and
 * what is told, and how they are acknowledged, shared by a machine's connections, and given back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lockactor.h"
#include <stdio.h>
#include <string.h>

enum { R = SMB2C_LEASE_READ, W = SMB2C_LEASE_WRITE, H = SMB2C_LEASE_HANDLE, STAYS = 99 };

static const uint8_t key_1[16] = "the first key  ", key_2[16] = "the second key ",
                     key_3[16] = "the third key  ";

static struct smbworld *world;
static struct rpcclient *maker;
static struct nfs3_handle top;
static unsigned files;

static int set_up(void **state)
{
    (void)state;
    world = smbworld_open(NULL, NULL);
    maker = nfsworld_client(world->nfs, 0, 0);
    top = nfsworld_mount(maker, "/a");
    return 0;
}

static int tear_down(void **state)
{
    struct state_counters counters;

    (void)state;
    nfsworld_turn(world->nfs, 20);
    state_counters(world->nfs->state, &counters);
    assert_int_equal(counters.grants, 0);
    rpcclient_close(&maker);
    smbworld_close(&world);
    return 0;
}

static void new_file(char name[32])
{
    struct nfs3_new_attr attr = {.set = NFS3_SET_MODE | NFS3_SET_UID, .mode = 0666, .uid = 1000};
    struct nfs3_result r;

    snprintf(name, 32, "file %u", ++files);
    assert_int_equal(nfs3_create(maker, &top, name, 1, &attr, 0, &r), RPCCLIENT_SUCCESS);
    assert_int_equal(r.status, 0);
}

struct wish {
    const char *name;
    uint32_t access, share, disposition, options;
    const uint8_t *key, *parent;
    uint32_t lease; /* with a key */
    uint8_t oplock; /* without one */
    uint16_t epoch;
    bool first_version;
};

static uint64_t send_open(struct smb2client *client, const struct wish *wish)
{
    uint8_t data[SMB2C_LEASE_V2_SIZE];
    struct smb2c_context contexts[] = {{"RqLs", data, 0}, {NULL, NULL, 0}};
    struct smb2c_create create = {.name = wish->name,
                                  .access = wish->access,
                                  .share = wish->share == 0 ? SMB2C_SHARE_ALL : wish->share,
                                  .disposition = wish->disposition == 0 ? SMB2C_OPEN : wish->disposition,
                                  .options = wish->options,
                                  .oplock = wish->key != NULL ? SMB2C_OPLOCK_LEASE : wish->oplock,
                                  .contexts = wish->key != NULL ? contexts : NULL};

    if (wish->key != NULL)
        contexts[0].length =
            smb2client_lease(data, wish->key, wish->lease, !wish->first_version, wish->parent, wish->epoch);
    return smb2client_send_create(client, &create);
}

static uint32_t try_open(struct smb2client *client, const struct wish *wish, struct smb2c_opened *opened_r)
{
    uint32_t status = smb2client_wait(client, send_open(client, wish));

    if (status == STATUS_SUCCESS)
        assert_true(smb2client_read_create(client, opened_r));
    return status;
}

/* Opens, and has been granted LEASE. */
static struct smb2c_opened open_lease(struct smb2client *client, const struct wish *wish, uint32_t lease,
                                      uint16_t *epoch_r)
{
    struct smb2c_opened opened;
    uint8_t key[16];
    uint32_t granted;

    assert_int_equal(try_open(client, wish, &opened), STATUS_SUCCESS);
    assert_int_equal(opened.oplock, SMB2C_OPLOCK_LEASE);
    assert_true(smb2client_lease_granted(client, key, &granted, epoch_r));
    assert_memory_equal(key, wish->key, sizeof key);
    assert_int_equal(granted, lease);
    return opened;
}

static void expect_break(struct smb2client *client, const uint8_t *key, uint32_t from, uint32_t to,
                         bool answer)
{
    struct smb2c_break got;

    assert_true(smb2client_next_break(client, &got));
    assert_true(got.lease);
    assert_memory_equal(got.key, key, 16);
    assert_int_equal(got.current, from);
    assert_int_equal(got.to, to);
    assert_int_equal(got.flags, answer ? 1 : 0);
}

/* The server has said all that it has to say. */
static void expect_silence(struct smb2client *client)
{
    assert_int_equal(smb2client_echo(client), STATUS_SUCCESS);
    nfsworld_turn(world->nfs, 5);
    assert_int_equal(smb2client_echo(client), STATUS_SUCCESS);
    assert_int_equal(client->break_count, 0);
}

/* ---- NFS against a lease ---- */

enum ask {
    ASK_READ,
    ASK_WRITE,
    ASK_TRUNCATE,
    ASK_OPEN_READ,
    ASK_OPEN_WRITE,
    ASK_LOCK,
    ASK_REMOVE,
    ASK_RENAME
};

static enum outcome do_ask(struct actor *asker, enum ask ask, const char *name)
{
    switch (ask) {
    case ASK_READ:
        return actor_read(asker);
    case ASK_WRITE:
        return actor_write(asker);
    case ASK_TRUNCATE:
        return actor_truncate(asker);
    case ASK_OPEN_READ:
        return actor_open(asker, name, OPEN_READ, 0);
    case ASK_OPEN_WRITE:
        return actor_open(asker, name, OPEN_WRITE, 0);
    case ASK_LOCK:
        return actor_lock(asker, 0, 10, true);
    case ASK_REMOVE:
        return actor_remove(asker, name);
    case ASK_RENAME:
        return actor_rename(asker, name, "renamed");
    }
    return OUT_OK;
}

/* What a lease is told to go down to, and whether the NFS client waits for that. */
static const struct nfs_row {
    const char *name;
    enum ask ask;
    uint32_t lease, to;
    bool waits;
} nfs_rows[] = {
    {"read against RWH", ASK_READ, R | W | H, R | H, true},
    {"read against RH", ASK_READ, R | H, STAYS, false},
    {"write against RWH", ASK_WRITE, R | W | H, 0, true},
    {"write against RH", ASK_WRITE, R | H, 0, false},
    {"write against R", ASK_WRITE, R, 0, false},
    {"truncate against RW", ASK_TRUNCATE, R | W, 0, true},
    {"open to read against RWH", ASK_OPEN_READ, R | W | H, R | H, true},
    {"open to write against RWH", ASK_OPEN_WRITE, R | W | H, R | H, true},
    {"open to write against RH", ASK_OPEN_WRITE, R | H, STAYS, false},
    {"lock against RWH", ASK_LOCK, R | W | H, 0, true},
    {"remove against RWH", ASK_REMOVE, R | W | H, R | W, true},
    {"remove against RH", ASK_REMOVE, R | H, R, true},
    {"remove against RW", ASK_REMOVE, R | W, STAYS, false},
    {"rename against RH", ASK_RENAME, R | H, R, true},
};

static bool is_later(const struct actor *asker, enum outcome outcome)
{
    /* NFSv3 has one word for both. */
    return outcome == OUT_LATER || (asker->protocol == ACTOR_V3 && outcome == OUT_LOCKED);
}

static void one_of_nfs(const struct nfs_row *row, struct actor *asker, struct smb2client *holder)
{
    bool answers = row->to != STAYS && row->lease != R;
    struct smb2c_opened opened;
    enum outcome outcome;
    char name[32];
    uint16_t epoch;

    /* NFSv3 does not open. */
    if (asker->protocol == ACTOR_V3 && (row->ask == ASK_OPEN_READ || row->ask == ASK_OPEN_WRITE))
        return;
    new_file(name);
    /* A lock comes by an open, which must not be what breaks the lease. */
    if (row->ask == ASK_LOCK || row->ask <= ASK_TRUNCATE)
        assert_int_equal(actor_open(asker, name, 0, 0), OUT_OK);
    opened = open_lease(holder, &(struct wish){.name = name, .key = key_1, .lease = row->lease}, row->lease,
                        &epoch);
    outcome = do_ask(asker, row->ask, name);
    if (row->waits ? !is_later(asker, outcome) : outcome != OUT_OK)
        fail_msg("%s, %s: %s", row->name, actor_protocol_name(asker->protocol), outcome_name(outcome));
    if (row->to == STAYS) {
        expect_silence(holder);
    } else {
        expect_break(holder, key_1, row->lease, row->to, answers);
        if (row->waits) {
            assert_true(is_later(asker, do_ask(asker, row->ask, name)));
            expect_silence(holder); /* it was told once */
        }
        if (row->lease & W)
            assert_int_equal(smb2client_write(holder, opened.file, 0, "flushed", 7), STATUS_SUCCESS);
        if (answers)
            assert_int_equal(smb2client_acknowledge_lease(holder, key_1, row->to), STATUS_SUCCESS);
        if (row->waits)
            assert_int_equal(do_ask(asker, row->ask, name), OUT_OK);
    }
    assert_int_equal(smb2client_close_file(holder, opened.file), STATUS_SUCCESS);
    actor_release(asker);
}

static void nfs_breaks_leases(void **state)
{
    static const enum actor_protocol protocols[] = {ACTOR_V3, ACTOR_V40, ACTOR_V42};
    struct smb2client *holder = smbworld_client(world, "alice");

    (void)state;
    for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++) {
        struct actor *asker = actor_new(world, protocols[i], "asker");

        for (size_t k = 0; k < sizeof nfs_rows / sizeof *nfs_rows; k++) {
            /* NFSv4's I/O and locks here need an open: that is what asks. */
            if (protocols[i] == ACTOR_V3 || nfs_rows[k].ask > ASK_TRUNCATE)
                if (protocols[i] == ACTOR_V3 || nfs_rows[k].ask != ASK_LOCK)
                    one_of_nfs(&nfs_rows[k], asker, holder);
        }
        actor_free(&asker);
    }
    smb2client_close(&holder);
}

/* What the holder has written in its cache is what NFS reads in the end. */
static void nfs_reads_what_was_flushed(void **state)
{
    struct smb2client *holder = smbworld_client(world, "alice");
    struct smb2c_opened opened;
    struct nfs3_result r;
    struct nfs3_handle file;
    char name[32];
    uint16_t epoch;

    (void)state;
    new_file(name);
    opened =
        open_lease(holder, &(struct wish){.name = name, .key = key_1, .lease = R | W | H}, R | W | H, &epoch);
    assert_int_equal(nfs3_lookup(maker, &top, name, &r), RPCCLIENT_SUCCESS);
    file = r.handle;
    assert_int_equal(nfs3_read(maker, &file, 0, 100, &r), RPCCLIENT_SUCCESS);
    assert_int_equal(r.status, 10008);
    expect_break(holder, key_1, R | W | H, R | H, true);
    assert_int_equal(smb2client_write(holder, opened.file, 0, "from the cache", 14), STATUS_SUCCESS);
    assert_int_equal(smb2client_acknowledge_lease(holder, key_1, R | H), STATUS_SUCCESS);
    assert_int_equal(nfs3_read(maker, &file, 0, 100, &r), RPCCLIENT_SUCCESS);
    assert_int_equal(r.status, 0);
    assert_int_equal(r.count, 14);
    assert_int_equal(nfs3_getattr(maker, &file, &r), RPCCLIENT_SUCCESS);
    assert_int_equal(r.attr.size, 14);
    /* One who is gone without an answer is not waited for. */
    smb2client_close(&holder);
    nfsworld_turn(world->nfs, 20);
    assert_int_equal(nfs3_write(maker, &file, 0, "x", 1, 2, &r), RPCCLIENT_SUCCESS);
    assert_int_equal(r.status, 0);
}

/* ---- SMB against SMB ---- */

static void an_open_waits(void **state)
{
    struct smb2client *holder = smbworld_client(world, "alice"), *other = smbworld_client(world, "alice");
    struct smb2c_opened opened, second;
    uint64_t request, async;
    char name[32];
    uint16_t epoch;

    (void)state;
    new_file(name);
    opened =
        open_lease(holder, &(struct wish){.name = name, .key = key_1, .lease = R | W | H}, R | W | H, &epoch);
    /* Who only looks at attributes disturbs nobody. */
    assert_int_equal(
        try_open(other, &(struct wish){.name = name, .access = SMB2C_READ_ATTRIBUTES | 0x20000}, &second),
        STATUS_SUCCESS);
    assert_int_equal(smb2client_close_file(other, second.file), STATUS_SUCCESS);
    expect_silence(holder);
    /* Waits, is cancelled. */
    request = send_open(other, &(struct wish){.name = name, .key = key_2, .lease = R | H});
    assert_true(smb2client_pending(other, request, &async));
    smb2client_cancel(other, request, async);
    assert_int_equal(smb2client_wait(other, request), STATUS_CANCELLED);
    expect_break(holder, key_1, R | W | H, R | H, true);
    /* Waits, and goes on. The holder's own opens go through meanwhile, and hear of the break. */
    request = send_open(other, &(struct wish){.name = name, .key = key_2, .lease = R | W | H});
    assert_true(smb2client_pending(other, request, &async));
    second =
        open_lease(holder, &(struct wish){.name = name, .key = key_1, .lease = R | W | H}, R | W | H, &epoch);
    assert_int_equal(smb2client_close_file(holder, second.file), STATUS_SUCCESS);
    expect_silence(holder);
    assert_false(smb2client_has_reply(other, request));
    assert_int_equal(smb2client_acknowledge_lease(holder, key_2, R | H), STATUS_OBJECT_NAME_NOT_FOUND);
    assert_int_equal(smb2client_acknowledge_lease(holder, key_1, R | W), STATUS_REQUEST_NOT_ACCEPTED);
    assert_int_equal(smb2client_acknowledge_lease(holder, key_1, R | H), STATUS_SUCCESS);
    assert_int_equal(smb2client_acknowledge_lease(holder, key_1, R), STATUS_UNSUCCESSFUL);
    assert_int_equal(smb2client_wait(other, request), STATUS_SUCCESS);
    assert_true(smb2client_read_create(other, &second));
    /* The holder's connection goes under one that waits. */
    request = send_open(holder, &(struct wish){.name = name, .disposition = SMB2C_OVERWRITE});
    assert_int_equal(smb2client_wait(holder, request), STATUS_SUCCESS); /* nothing written is waited for */
    assert_int_equal(smb2client_close_file(other, second.file), STATUS_SUCCESS);
    assert_int_equal(smb2client_close_file(holder, opened.file), STATUS_SUCCESS);
    smb2client_close(&other);
    smb2client_close(&holder);
}

static void a_holder_goes_away(void **state)
{
    struct smb2client *holder = smbworld_client(world, "alice"), *other = smbworld_client(world, "alice");
    struct smb2client *waiter = smbworld_client(world, "alice");
    struct smb2c_opened opened;
    uint64_t request, second, async;
    char name[32];
    uint16_t epoch;

    (void)state;
    new_file(name);
    (void)open_lease(holder, &(struct wish){.name = name, .key = key_1, .lease = R | W | H}, R | W | H,
                     &epoch);
    request = send_open(other, &(struct wish){.name = name, .key = key_2, .lease = R | W | H});
    assert_true(smb2client_pending(other, request, &async));
    second = send_open(waiter, &(struct wish){.name = name});
    assert_true(smb2client_pending(waiter, second, &async));
    smb2client_close(&waiter); /* so does one who waits */
    smb2client_close(&holder);
    assert_int_equal(smb2client_wait(other, request), STATUS_SUCCESS);
    assert_true(smb2client_read_create(other, &opened));
    smb2client_close(&other);
}

/* A share mode that a cached handle may be the reason of. */
static void handles_are_asked_back(void **state)
{
    struct smb2client *holder = smbworld_client(world, "alice"), *other = smbworld_client(world, "alice");
    struct smb2c_opened opened, second;
    uint64_t request, async;
    char name[32];
    uint16_t epoch;

    (void)state;
    new_file(name);
    for (int closes = 0; closes < 2; closes++) {
        opened = open_lease(
            holder, &(struct wish){.name = name, .share = SMB2C_SHARE_READ, .key = key_1, .lease = R | H},
            R | H, &epoch);
        request = send_open(other, &(struct wish){.name = name});
        assert_true(smb2client_pending(other, request, &async));
        expect_break(holder, key_1, R | H, R, true);
        if (closes)
            assert_int_equal(smb2client_close_file(holder, opened.file), STATUS_SUCCESS);
        else
            assert_int_equal(smb2client_acknowledge_lease(holder, key_1, R), STATUS_SUCCESS);
        assert_int_equal(smb2client_wait(other, request), closes ? STATUS_SUCCESS : STATUS_SHARING_VIOLATION);
        if (!closes) {
            assert_int_equal(smb2client_close_file(holder, opened.file), STATUS_SUCCESS);
            continue;
        }
        assert_true(smb2client_read_create(other, &second));
        assert_int_equal(smb2client_close_file(other, second.file), STATUS_SUCCESS);
    }
    smb2client_close(&other);
    smb2client_close(&holder);
}

/* ---- leases of a machine ---- */

static void connections_share_a_lease(void **state)
{
    struct smb2client *first = smbworld_client(world, "alice"), *second = smbworld_connect(world);
    struct smb2client *other = smbworld_client(world, "alice");
    struct smb2c_opened one, two, third;
    uint64_t request, async;
    char name[32], other_name[32];
    uint16_t epoch;

    (void)state;
    memcpy(second->guid, first->guid, sizeof second->guid);
    smbworld_log_on(second, "alice", "a");
    new_file(name);
    new_file(other_name);
    one = open_lease(first, &(struct wish){.name = name, .key = key_1, .lease = R | H, .epoch = 0x4711},
                     R | H, &epoch);
    assert_int_equal(epoch, 0x4712);
    /* More is had by asking for it; less takes nothing away. */
    two =
        open_lease(second, &(struct wish){.name = name, .key = key_1, .lease = R | W | H}, R | W | H, &epoch);
    assert_int_equal(epoch, 0x4713);
    third = open_lease(second, &(struct wish){.name = name, .key = key_1, .lease = R}, R | W | H, &epoch);
    assert_int_equal(epoch, 0x4713);
    assert_int_equal(smb2client_close_file(second, third.file), STATUS_SUCCESS);
    /* The key stands for this file. */
    assert_int_equal(try_open(second, &(struct wish){.name = other_name, .key = key_1, .lease = R}, &third),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(
        try_open(second,
                 &(struct wish){.name = "not made", .disposition = SMB2C_MAKE, .key = key_1, .lease = R},
                 &third),
        STATUS_INVALID_PARAMETER);
    /* It stays with the other connection, which is told, and may answer. */
    assert_int_equal(smb2client_close_file(first, one.file), STATUS_SUCCESS);
    smb2client_close(&first);
    request = send_open(other, &(struct wish){.name = name, .key = key_2, .lease = R | W | H});
    assert_true(smb2client_pending(other, request, &async));
    expect_break(second, key_1, R | W | H, R | H, true);
    assert_int_equal(smb2client_acknowledge_lease(second, key_1, R | H), STATUS_SUCCESS);
    assert_int_equal(smb2client_wait(other, request), STATUS_SUCCESS);
    assert_true(smb2client_read_create(other, &third));
    assert_int_equal(smb2client_close_file(second, two.file), STATUS_SUCCESS);
    assert_int_equal(smb2client_close_file(other, third.file), STATUS_SUCCESS);
    smb2client_close(&other);
    smb2client_close(&second);
}

static void directories(void **state)
{
    struct smb2client *holder = smbworld_client(world, "alice");
    struct smb2c_opened dir, file;
    struct nfs3_new_attr attr = {.set = NFS3_SET_MODE, .mode = 0666};
    struct nfs3_result r;
    struct wish listing = {.name = "dir",
                           .disposition = SMB2C_OPEN_IF,
                           .options = SMB2C_DIRECTORY,
                           .access = SMB2C_READ_ONLY,
                           .key = key_1,
                           .lease = R | W | H};
    uint16_t epoch;

    (void)state;
    dir = open_lease(holder, &listing, R | H, &epoch); /* nothing is written into directories */
    /* A change of one's own, that says whose it is. */
    file = open_lease(
        holder,
        &(struct wish){
            .name = "dir\\one", .disposition = SMB2C_MAKE, .key = key_2, .parent = key_1, .lease = R | W | H},
        R | W | H, &epoch);
    assert_int_equal(smb2client_write(holder, file.file, 0, "x", 1), STATUS_SUCCESS);
    assert_int_equal(smb2client_close_file(holder, file.file), STATUS_SUCCESS);
    expect_silence(holder);
    /* One that does not: told, and not waited for. */
    assert_int_equal(try_open(holder, &(struct wish){.name = "dir\\two", .disposition = SMB2C_MAKE}, &file),
                     STATUS_SUCCESS);
    expect_break(holder, key_1, R | H, 0, true);
    assert_int_equal(smb2client_acknowledge_lease(holder, key_1, 0), STATUS_SUCCESS);
    assert_int_equal(smb2client_close_file(holder, file.file), STATUS_SUCCESS);
    /* What NFS does. */
    assert_int_equal(smb2client_close_file(holder, dir.file), STATUS_SUCCESS);
    dir = open_lease(holder, &listing, R | H, &epoch);
    assert_int_equal(nfs3_lookup(maker, &top, "dir", &r), RPCCLIENT_SUCCESS);
    assert_int_equal(nfs3_create(maker, &r.handle, "three", 1, &attr, 0, &r), RPCCLIENT_SUCCESS);
    assert_int_equal(r.status, 0);
    expect_break(holder, key_1, R | H, 0, true);
    assert_int_equal(smb2client_close_file(holder, dir.file), STATUS_SUCCESS);
    smb2client_close(&holder);
}

/* ---- oplocks ---- */

static void oplocks(void **state)
{
    static const struct {
        uint8_t level, told;
    } rows[] = {{SMB2C_OPLOCK_BATCH, SMB2C_OPLOCK_II}, {SMB2C_OPLOCK_EXCLUSIVE, SMB2C_OPLOCK_II}};
    struct smb2client *holder = smbworld_client(world, "alice"), *other = smbworld_client(world, "alice");
    struct smb2c_opened opened, second;
    struct smb2c_break got;
    uint64_t request, async;
    char name[32];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        new_file(name);
        assert_int_equal(try_open(holder, &(struct wish){.name = name, .oplock = rows[i].level}, &opened),
                         STATUS_SUCCESS);
        assert_int_equal(opened.oplock, rows[i].level);
        request = send_open(other, &(struct wish){.name = name, .oplock = rows[i].level});
        assert_true(smb2client_pending(other, request, &async));
        assert_true(smb2client_next_break(holder, &got));
        assert_false(got.lease);
        assert_memory_equal(got.file, opened.file, sizeof got.file);
        assert_int_equal(got.level, rows[i].told);
        assert_int_equal(smb2client_acknowledge_oplock(holder, opened.file, rows[i].told), STATUS_SUCCESS);
        assert_int_equal(smb2client_acknowledge_oplock(holder, opened.file, 0),
                         STATUS_INVALID_OPLOCK_PROTOCOL);
        assert_int_equal(smb2client_wait(other, request), STATUS_SUCCESS);
        assert_true(smb2client_read_create(other, &second));
        assert_int_equal(second.oplock, SMB2C_OPLOCK_II);
        /* A write breaks both, and its own, without an answer. */
        assert_int_equal(smb2client_write(other, second.file, 0, "x", 1), STATUS_SUCCESS);
        assert_true(smb2client_next_break(holder, &got));
        assert_int_equal(got.level, SMB2C_OPLOCK_NONE);
        assert_true(smb2client_next_break(other, &got));
        assert_memory_equal(got.file, second.file, sizeof got.file);
        assert_int_equal(smb2client_close_file(other, second.file), STATUS_SUCCESS);
        assert_int_equal(smb2client_close_file(holder, opened.file), STATUS_SUCCESS);
    }
    smb2client_close(&other);
    smb2client_close(&holder);
}

/* None is given beside byte ranges, nor level II beside cached handles; FILE_OPEN_REQUIRING_OPLOCK and
 * FILE_COMPLETE_IF_OPLOCKED. */
static void what_is_not_given(void **state)
{
    struct smb2client *holder = smbworld_client(world, "alice"), *other = smbworld_client(world, "alice");
    struct smb2c_range range = {.offset = 0, .length = 1, .flags = SMB2C_LOCK_SHARED | SMB2C_FAIL_AT_ONCE};
    struct smb2c_opened opened, second;
    char name[32];
    uint16_t epoch;

    (void)state;
    new_file(name);
    opened = open_lease(holder, &(struct wish){.name = name, .key = key_1, .lease = R | H}, R | H, &epoch);
    assert_int_equal(try_open(other, &(struct wish){.name = name, .oplock = SMB2C_OPLOCK_BATCH}, &second),
                     STATUS_SUCCESS);
    assert_int_equal(second.oplock, SMB2C_OPLOCK_NONE);
    assert_int_equal(smb2client_lock(other, second.file, &range, 1), STATUS_SUCCESS);
    expect_break(holder, key_1, R | H, 0, true);
    assert_int_equal(smb2client_acknowledge_lease(holder, key_1, 0), STATUS_SUCCESS);
    assert_int_equal(smb2client_close_file(holder, opened.file), STATUS_SUCCESS);
    opened = open_lease(holder, &(struct wish){.name = name, .key = key_1, .lease = R | H}, 0, &epoch);
    assert_int_equal(smb2client_close_file(holder, opened.file), STATUS_SUCCESS);
    assert_int_equal(try_open(holder,
                              &(struct wish){.name = name, .options = 0x10000, .oplock = SMB2C_OPLOCK_BATCH},
                              &opened),
                     UINT32_C(0xC00000E2));
    assert_int_equal(smb2client_close_file(other, second.file), STATUS_SUCCESS);
    opened = open_lease(holder, &(struct wish){.name = name, .key = key_3, .lease = R | W}, R | W, &epoch);
    assert_int_equal(smb2client_wait(other, send_open(other, &(struct wish){.name = name, .options = 0x100})),
                     STATUS_OPLOCK_BREAK_IN_PROGRESS);
    assert_true(smb2client_read_create(other, &second));
    expect_break(holder, key_3, R | W, R, true);
    assert_int_equal(smb2client_close_file(holder, opened.file), STATUS_SUCCESS);
    assert_int_equal(smb2client_close_file(other, second.file), STATUS_SUCCESS);
    smb2client_close(&other);
    smb2client_close(&holder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nfs_breaks_leases, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nfs_reads_what_was_flushed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_open_waits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_holder_goes_away, set_up, tear_down),
        cmocka_unit_test_setup_teardown(handles_are_asked_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(connections_share_a_lease, set_up, tear_down),
        cmocka_unit_test_setup_teardown(directories, set_up, tear_down),
        cmocka_unit_test_setup_teardown(oplocks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_given, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
