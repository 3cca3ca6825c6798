/*
 * test_nfs4_open.c - OPEN in all its ways, share reservations, stateids and their kinds of wrongness, the
 * current stateid, and 4.0's owner sequences (RFC 8881 18.16, 8.2, 16.2.3.1.2; RFC 7530 9.1.7, 16.16, 16.18).
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

static struct nfsworld *world;
static struct nfs4c old, c, user; /* 4.0 and 4.1 as root, 4.1 as user 1000 */
static struct wire4_handle top;

static int set_up(void **state)
{
    struct vfs_export_config export = nfsworld_export("a");

    (void)state;
    world = nfsworld_open(&export, 1, NULL);
    nfs4_open(&old, world, 0, 0, "old");
    nfs4_open(&c, world, 1, 0, "new");
    nfs4_open(&user, world, 2, 1000, "user");
    nfs4_introduce(&old);
    nfs4_introduce(&c);
    nfs4_introduce(&user);
    top = wire4_walk(&c.wire, "a");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    nfs4_close_client(&old);
    nfs4_close_client(&c);
    nfs4_close_client(&user);
    nfsworld_close(&world);
    return 0;
}

static struct nfs4_open_args named(const char *name, const char *owner)
{
    return (struct nfs4_open_args){
        .access = 3, .owner = owner, .create = NFS4C_UNCHECKED, .mode = 0644, .name = name};
}

/* OPEN as one compound, and its result. */
static uint32_t open_full(struct nfs4c *client, const struct wire4_handle *at,
                          const struct nfs4_open_args *args, struct wire4_result *result_r)
{
    uint32_t status;

    wire4_begin(&client->wire);
    wire4_putfh(&client->wire, at);
    nfs4_open_op(client, args);
    nfs4_call(client);
    nfs4_skip_sequence(client);
    nfs4_result(client, OP_PUTFH, NFS4_OK);
    status = nfs4_result_status(client, OP_OPEN);
    if (status == NFS4_OK)
        *result_r = client->result;
    return status;
}

/* ---- creating ---- */

static void test_create_modes(void **state)
{
    struct wire4_result result;
    struct nfs4_open_args args = named("made", "o");

    (void)state;
    args.create = NFS4C_NOCREATE;
    assert_int_equal(open_full(&c, &top, &args, &result), NFS4ERR_NOENT);
    args.create = NFS4C_UNCHECKED;
    assert_int_equal(open_full(&c, &top, &args, &result), NFS4_OK);
    assert_true(result.atomic && result.after > result.before);
    assert_int_equal(result.set.words[1], 1u << (FATTR4_MODE - 32));
    assert_int_equal(result.flags, 4); /* POSIX locks */
    assert_int_equal(result.stateid.seqid, 1);
    assert_int_equal(open_full(&c, &top, &args, &result), NFS4_OK);
    assert_true(result.after == result.before);
    assert_int_equal(result.set.words[1], 0);
    assert_int_equal(result.stateid.seqid, 2);
    args.has_size = true;
    assert_int_equal(open_full(&c, &top, &args, &result), NFS4_OK);
    assert_int_equal(result.set.words[0], 1u << FATTR4_SIZE);
    args.has_size = false;
    args.create = NFS4C_GUARDED;
    assert_int_equal(open_full(&c, &top, &args, &result), NFS4ERR_EXIST);
    for (int mode = NFS4C_EXCLUSIVE; mode <= NFS4C_EXCLUSIVE_1; mode++) {
        args.create = mode;
        args.verifier = 1;
        assert_int_equal(open_full(&c, &top, &args, &result), NFS4ERR_EXIST);
        args.name = mode == NFS4C_EXCLUSIVE ? "exclusive" : "exclusive 1";
        assert_int_equal(open_full(&c, &top, &args, &result), NFS4_OK);
        assert_int_equal(result.set.words[1], mode == NFS4C_EXCLUSIVE ? 0 : 1u << (FATTR4_MODE - 32));
        assert_int_equal(open_full(&c, &top, &args, &result), NFS4_OK);
        args.verifier = 2;
        assert_int_equal(open_full(&c, &top, &args, &result), NFS4ERR_EXIST);
        args.name = "made";
    }
}

static void test_names_and_types(void **state)
{
    char longest[300];
    const struct {
        const char *name;
        uint32_t status;
    } rows[] = {{"", NFS4ERR_INVAL},      {".", NFS4ERR_BADNAME},  {"..", NFS4ERR_BADNAME},
                {"a/b", NFS4ERR_BADCHAR}, {"\xff", NFS4ERR_INVAL}, {longest, NFS4ERR_NAMETOOLONG}};
    struct nfs4_open_args args = named("", "o");
    struct wire4_result result;
    struct nfs4_opened opened;
    struct wire4_handle root = wire4_walk(&c.wire, "");

    (void)state;
    memset(longest, 'x', 256);
    longest[256] = '\0';
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        args.name = rows[i].name;
        assert_int_equal(open_full(&c, &top, &args, &result), rows[i].status);
    }
    args.name = "file";
    opened = nfs4_must_open(&c, &top, &args);
    assert_int_equal(open_full(&c, &opened.file, &args, &result), NFS4ERR_NOTDIR);
    /* The pseudo root: its entries are directories, and nothing is made there. */
    assert_int_equal(open_full(&c, &root, &args, &result), NFS4ERR_ROFS);
    args.create = NFS4C_NOCREATE;
    assert_int_equal(open_full(&c, &root, &args, &result), NFS4ERR_NOENT);
    args.name = "a";
    assert_int_equal(open_full(&c, &root, &args, &result), NFS4ERR_ISDIR);
    /* By handle. */
    args.claim = 4;
    assert_int_equal(open_full(&c, &top, &args, &result), NFS4ERR_ISDIR);
    assert_int_equal(open_full(&c, &root, &args, &result), NFS4ERR_ISDIR);
    assert_int_equal(open_full(&c, &opened.file, &args, &result), NFS4_OK);
    args.create = NFS4C_UNCHECKED;
    assert_int_equal(open_full(&c, &opened.file, &args, &result), NFS4ERR_INVAL);
}

static void test_claims(void **state)
{
    struct nfs4_open_args args = named("claims", "o");
    struct wire4_result result;
    struct nfs4_opened opened;
    const struct {
        uint32_t claim, status;
    } rows[] = {{1, NFS4ERR_NO_GRACE},    {2, NFS4ERR_NOTDIR},  {3, NFS4ERR_NOTSUPP}, {4, NFS4_OK},
                {5, NFS4ERR_BAD_STATEID}, {6, NFS4ERR_NOTSUPP}, {7, NFS4ERR_BADXDR}};

    (void)state;
    opened = nfs4_must_open(&c, &top, &args);
    args.create = NFS4C_NOCREATE;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        args.claim = rows[i].claim;
        args.stateid = opened.stateid;
        args.stateid.seqid = 0;
        assert_int_equal(open_full(&c, &opened.file, &args, &result), rows[i].status);
        /* 4.0 knows the first four. */
        if (rows[i].claim >= 4)
            assert_int_equal(open_full(&old, &opened.file, &args, &result), NFS4ERR_BADXDR);
    }
    args = named("claims", "o");
    args.create = NFS4C_EXCLUSIVE_1;
    assert_int_equal(open_full(&old, &top, &args, &result), NFS4ERR_BADXDR);
}

static void test_access_and_wishes(void **state)
{
    struct nfs4_open_args args = named("wishes", "o");
    struct wire4_result result;
    const struct {
        uint32_t access, deny, status, delegation, why;
    } rows[] = {
        {0, 0, NFS4ERR_INVAL, 0, 0},
        {4, 0, NFS4ERR_INVAL, 0, 0},
        {7, 0, NFS4ERR_INVAL, 0, 0},
        {1, 4, NFS4ERR_INVAL, 0, 0},
        {1, 0, NFS4_OK, 0, 0},
        {0x101, 0, NFS4_OK, 3, 2},
        {0x401, 0, NFS4_OK, 3, 0},
        {0x501, 0, NFS4_OK, 3, 7},
        {0x601, 0, NFS4ERR_INVAL, 0, 0},
        {0x10201, 0, NFS4_OK, 3, 2},
        {0x40001, 0, NFS4ERR_INVAL, 0, 0},
        {0x400, 0, NFS4ERR_INVAL, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        args.access = rows[i].access;
        args.deny = rows[i].deny;
        assert_int_equal(open_full(&c, &top, &args, &result), rows[i].status);
        if (rows[i].status == NFS4_OK) {
            assert_int_equal(result.delegation, rows[i].delegation);
            assert_int_equal(result.why, rows[i].why);
        }
        if (rows[i].access > 3) {
            args.seqid = old.wire.put;
            assert_int_equal(open_full(&old, &top, &args, &result), NFS4ERR_INVAL);
        }
    }
}

/* ---- rights ---- */

static void test_rights(void **state)
{
    /* mode, of another user; access that is asked for; the answer */
    static const struct {
        uint32_t mode, access, status;
    } rows[] = {
        {0600, 1, NFS4ERR_ACCESS}, {0604, 1, NFS4_OK}, {0604, 2, NFS4ERR_ACCESS}, {0602, 2, NFS4_OK},
        {0602, 3, NFS4ERR_ACCESS}, {0606, 3, NFS4_OK}, {0601, 1, NFS4_OK}, /* who may execute must be able to
                                                                              read */
        {0601, 2, NFS4ERR_ACCESS},
    };
    struct nfs4_open_args args;
    struct wire4_result result;
    struct nfs4_opened opened;
    char name[32];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(name, sizeof name, "rights %zu", i);
        args = named(name, "o");
        args.mode = rows[i].mode;
        nfs4_must_open(&c, &top, &args);
        args.create = NFS4C_NOCREATE;
        args.access = rows[i].access;
        assert_int_equal(open_full(&user, &top, &args, &result), rows[i].status);
    }
    /* Who makes a file gets what he asked for, whatever its mode; and again by its handle, but not by name.
     */
    args = named("made unreadable", "o");
    args.mode = 0040;
    args.create = NFS4C_GUARDED;
    opened = nfs4_must_open(&user, &top, &args);
    assert_int_equal(nfs4_try_write(&user, &opened.file, &opened.stateid), NFS4_OK);
    args.create = NFS4C_NOCREATE;
    assert_int_equal(open_full(&user, &top, &args, &result), NFS4ERR_ACCESS);
    args.claim = 4;
    assert_int_equal(open_full(&user, &opened.file, &args, &result), NFS4_OK);
}

/* Emptying a file needs the right to write, and nobody who denies it. */
static void test_truncate_is_checked(void **state)
{
    struct nfs4_open_args args = named("emptied", "o"), other = named("emptied", "p");
    struct wire4_result result;
    struct nfs4_opened opened;
    struct wire4_handle file;
    uint32_t count = 0;
    bool eof;

    (void)state;
    opened = nfs4_must_open(&c, &top, &args);
    file = opened.file;
    assert_int_equal(nfs4_try_write(&c, &file, &opened.stateid), NFS4_OK);
    other.has_size = true;
    other.access = 1;
    assert_int_equal(open_full(&user, &top, &other, &result), NFS4ERR_ACCESS);
    assert_int_equal(nfs4_try_close(&c, &file, &opened.stateid, 0), NFS4_OK);
    args.create = NFS4C_NOCREATE;
    args.access = 1;
    args.deny = 2;
    opened = nfs4_must_open(&c, &top, &args);
    assert_int_equal(open_full(&c, &top, &other, &result), NFS4ERR_SHARE_DENIED);
    wire4_begin(&c.wire);
    wire4_putfh(&c.wire, &file);
    wire4_read(&c.wire, OP_READ, &opened.stateid, 0, 16);
    assert_int_equal(nfs4_call(&c), NFS4_OK);
    nfs4_skip_sequence(&c);
    nfs4_result(&c, OP_PUTFH, NFS4_OK);
    nfs4_result(&c, OP_READ, NFS4_OK);
    assert_true(reader_xdr_bool(&c.results, &eof) && reader_be32(&c.results, &count));
    assert_int_equal(count, 4); /* all still there */
}

/* ---- share reservations ---- */

static void test_share_matrix(void **state)
{
    struct nfs4_open_args args = named("shared", "o");
    struct nfs4_opened opened = nfs4_must_open(&c, &top, &args), second;

    (void)state;
    assert_int_equal(nfs4_try_close(&c, &opened.file, &opened.stateid, 0), NFS4_OK);
    for (unsigned i = 0; i < 3 * 4 * 3 * 4; i++) {
        uint32_t access = i % 3 + 1, deny = i / 3 % 4, access2 = i / 12 % 3 + 1, deny2 = i / 36;
        uint32_t expected = (access & deny2) || (access2 & deny) ? NFS4ERR_SHARE_DENIED : NFS4_OK;
        struct nfs4_open_args one = named("shared", "one"), two = named("shared", "two");

        one.create = two.create = NFS4C_NOCREATE;
        one.access = access;
        one.deny = deny;
        two.access = access2;
        two.deny = deny2;
        opened = nfs4_must_open(&c, &top, &one);
        assert_int_equal(nfs4_try_open(&c, &top, &two, &second), expected);
        if (expected == NFS4_OK)
            assert_int_equal(nfs4_try_close(&c, &second.file, &second.stateid, 0), NFS4_OK);
        /* The same owner: as if it was another. */
        two.owner = "one";
        assert_int_equal(nfs4_try_open(&c, &top, &two, &second), expected);
        if (expected == NFS4_OK)
            opened = second;
        assert_int_equal(nfs4_try_close(&c, &opened.file, &opened.stateid, 0), NFS4_OK);
    }
}

static void test_upgrade_and_downgrade(void **state)
{
    static const struct {
        uint32_t access, deny, status;
    } rows[] = {{1, 1, NFS4ERR_INVAL}, {3, 1, NFS4ERR_INVAL}, {0, 0, NFS4ERR_INVAL},
                {4, 0, NFS4ERR_INVAL}, {3, 4, NFS4ERR_INVAL}, {3, 0, NFS4_OK},
                {2, 0, NFS4_OK},       {3, 0, NFS4ERR_INVAL}, {1, 0, NFS4ERR_INVAL}};
    struct nfs4_open_args args = named("graded", "o");
    struct nfs4_opened opened;
    struct wire4_stateid id;

    (void)state;
    args.access = 1;
    opened = nfs4_must_open(&c, &top, &args);
    id = opened.stateid;
    args.access = 2;
    opened = nfs4_must_open(&c, &top, &args);
    assert_memory_equal(opened.stateid.other, id.other, sizeof id.other);
    assert_int_equal(opened.stateid.seqid, id.seqid + 1);
    id = opened.stateid;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        wire4_begin(&c.wire);
        wire4_putfh(&c.wire, &opened.file);
        wire4_op_open_downgrade(&c.wire, &id, 0, rows[i].access, rows[i].deny);
        assert_int_equal(nfs4_call(&c), rows[i].status);
        if (rows[i].status != NFS4_OK)
            continue;
        nfs4_skip_sequence(&c);
        nfs4_result(&c, OP_PUTFH, NFS4_OK);
        nfs4_result(&c, OP_OPEN_DOWNGRADE, NFS4_OK);
        id = c.result.stateid;
    }
    assert_int_equal(nfs4_try_write(&c, &opened.file, &id), NFS4_OK);
}

/* I/O that no open stands behind is held against deny modes. */
static void test_special_stateids(void **state)
{
    struct nfs4_open_args args = named("special", "o");
    struct nfs4_opened opened = nfs4_must_open(&c, &top, &args);

    (void)state;
    for (uint32_t deny = 0; deny <= 3; deny++) {
        struct nfs4_open_args denying = named("special", "denier");
        struct nfs4_opened denier;

        if (deny != 0)
            assert_int_equal(nfs4_try_close(&c, &opened.file, &opened.stateid, 0),
                             deny == 1 ? NFS4_OK : NFS4ERR_BAD_STATEID);
        denying.access = 3;
        denying.deny = deny;
        denier = nfs4_must_open(&c, &top, &denying);
        assert_int_equal(nfs4_try_read(&c, &opened.file, &wire4_anonymous),
                         deny & 1 ? NFS4ERR_LOCKED : NFS4_OK);
        /* To let this one pass is up to the server (RFC 8881 8.2.3); ours does not. */
        assert_int_equal(nfs4_try_read(&c, &opened.file, &wire4_bypass), deny & 1 ? NFS4ERR_LOCKED : NFS4_OK);
        assert_int_equal(nfs4_try_write(&c, &opened.file, &wire4_anonymous),
                         deny & 2 ? NFS4ERR_LOCKED : NFS4_OK);
        assert_int_equal(nfs4_try_write(&c, &opened.file, &wire4_bypass),
                         deny & 2 ? NFS4ERR_LOCKED : NFS4_OK);
        wire4_begin(&c.wire);
        wire4_putfh(&c.wire, &opened.file);
        nfs4_truncate(&c, &wire4_anonymous, 0);
        assert_int_equal(nfs4_call(&c), deny & 2 ? NFS4ERR_LOCKED : NFS4_OK);
        assert_int_equal(nfs4_try_close(&c, &denier.file, &denier.stateid, 0), NFS4_OK);
    }
    /* Nor does a special stateid give rights. */
    assert_int_equal(nfs4_try_write(&user, &opened.file, &wire4_anonymous), NFS4ERR_ACCESS);
}

/* ---- stateids ---- */

static void test_wrong_stateids(void **state)
{
    struct nfs4_open_args args = named("wrong", "o"), reader = named("wrong", "r"),
                          another = named("else", "o");
    struct nfs4_opened opened = nfs4_must_open(&c, &top, &args),
                       elsewhere = nfs4_must_open(&c, &top, &another);
    struct nfs4_opened again = nfs4_must_open(&c, &top, &args), reading;
    struct wire4_stateid id = again.stateid;

    (void)state;
    reader.access = 1;
    reading = nfs4_must_open(&c, &top, &reader);
    assert_int_equal(nfs4_try_write(&c, &opened.file, &reading.stateid), NFS4ERR_OPENMODE);
    assert_int_equal(nfs4_try_read(&c, &opened.file, &id), NFS4_OK);
    assert_int_equal(nfs4_try_read(&c, &opened.file, &opened.stateid), NFS4ERR_OLD_STATEID);
    assert_int_equal(nfs4_try_close(&c, &opened.file, &opened.stateid, 0), NFS4ERR_OLD_STATEID);
    id.seqid = 0; /* the latest */
    assert_int_equal(nfs4_try_read(&c, &opened.file, &id), NFS4_OK);
    id.seqid = again.stateid.seqid + 1; /* not yet */
    assert_int_equal(nfs4_try_read(&c, &opened.file, &id), NFS4ERR_BAD_STATEID);
    /* Of another file, another client, another minor version. */
    assert_int_equal(nfs4_try_read(&c, &opened.file, &elsewhere.stateid), NFS4ERR_BAD_STATEID);
    assert_int_equal(nfs4_try_read(&user, &opened.file, &again.stateid), NFS4ERR_BAD_STATEID);
    assert_int_equal(nfs4_try_read(&old, &opened.file, &again.stateid), NFS4ERR_BAD_STATEID);
    /* Never made; of another run. */
    id = again.stateid;
    id.other[11] ^= 0x40;
    assert_int_equal(nfs4_try_read(&c, &opened.file, &id), NFS4ERR_BAD_STATEID);
    id = again.stateid;
    id.other[0] ^= 0x40;
    assert_int_equal(nfs4_try_read(&c, &opened.file, &id), NFS4ERR_STALE_STATEID);
    /* Almost special. */
    id = wire4_anonymous;
    for (uint32_t seqid = 2; seqid < 4; seqid++) {
        id.seqid = seqid;
        assert_int_equal(nfs4_try_read(&c, &opened.file, &id), NFS4ERR_BAD_STATEID);
    }
    id = wire4_bypass;
    id.seqid = 1;
    assert_int_equal(nfs4_try_read(&c, &opened.file, &id), NFS4ERR_BAD_STATEID);
    /* Closed. */
    assert_int_equal(nfs4_try_close(&c, &opened.file, &again.stateid, 0), NFS4_OK);
    assert_int_equal(nfs4_try_read(&c, &opened.file, &again.stateid), NFS4ERR_BAD_STATEID);
    assert_int_equal(nfs4_try_close(&c, &opened.file, &again.stateid, 0), NFS4ERR_BAD_STATEID);
}

/* A stateid is no capability: who else shows it must have the right himself. */
static void test_stolen_stateid(void **state)
{
    struct nfs4_open_args args = named("stolen", "o");
    struct nfs4_opened opened;

    (void)state;
    args.mode = 0600;
    opened = nfs4_must_open(&c, &top, &args);
    assert_int_equal(nfs4_try_write(&c, &opened.file, &opened.stateid), NFS4_OK);
    rpcclient_sys(c.wire.rpc, 1000, 1000, NULL, 0);
    assert_int_equal(nfs4_try_write(&c, &opened.file, &opened.stateid), NFS4ERR_ACCESS);
    assert_int_equal(nfs4_try_read(&c, &opened.file, &opened.stateid), NFS4ERR_ACCESS);
}

static void test_current_stateid(void **state)
{
    struct nfs4_open_args args = named("current", "o");
    struct wire4_lock_args lock = {
        .type = WIRE4_WRITE_LT, .length = 1, .new_owner = true, .owner = "l", .stateid = wire4_current};
    struct nfs4_opened opened = {.flags = 0};

    (void)state;
    wire4_begin(&c.wire);
    wire4_putfh(&c.wire, &top);
    nfs4_open_op(&c, &args);
    nfs4_write(&c, &wire4_current, 0, "text");
    wire4_op_lock(&c.wire, &lock);
    nfs4_write(&c, &wire4_current, 0, "text");
    wire4_op_locku(&c.wire, &wire4_current, 0, 0, 1);
    wire4_savefh(&c.wire);
    wire4_getfh(&c.wire);
    assert_int_equal(nfs4_call(&c), NFS4_OK);
    wire4_begin(&c.wire);
    wire4_putfh(&c.wire, &top);
    nfs4_open_op(&c, &args);
    wire4_savefh(&c.wire);
    wire4_putrootfh(&c.wire);
    wire4_restorefh(&c.wire); /* brings the stateid back */
    wire4_op_close(&c.wire, &wire4_current, 0);
    wire4_op_close(&c.wire, &wire4_current, 0); /* what CLOSE leaves is never good */
    assert_int_equal(nfs4_call(&c), NFS4ERR_BAD_STATEID);
    assert_int_equal(c.wire.count, 8);
    /* Another filehandle takes it away. */
    opened = nfs4_must_open(&c, &top, &args);
    wire4_begin(&c.wire);
    wire4_putfh(&c.wire, &top);
    nfs4_open_op(&c, &args);
    wire4_putfh(&c.wire, &opened.file);
    wire4_op_close(&c.wire, &wire4_current, 0);
    assert_int_equal(nfs4_call(&c), NFS4ERR_BAD_STATEID);
    wire4_begin(&c.wire);
    wire4_putfh(&c.wire, &opened.file);
    wire4_free_stateid(&c.wire, &wire4_current);
    assert_int_equal(nfs4_call(&c), NFS4ERR_BAD_STATEID);
}

/* ---- 4.0: owners ---- */

static uint32_t open_confirm(const struct wire4_handle *file, struct wire4_stateid *id, uint32_t seqid)
{
    wire4_begin(&old.wire);
    wire4_putfh(&old.wire, file);
    wire4_op_open_confirm(&old.wire, id, seqid);
    nfs4_call(&old);
    nfs4_result(&old, OP_PUTFH, NFS4_OK);
    if (nfs4_result_status(&old, OP_OPEN_CONFIRM) == NFS4_OK)
        *id = old.result.stateid;
    return old.wire.status;
}

static void test_open_confirm(void **state)
{
    struct nfs4_open_args args = named("confirmed", "c1");
    struct nfs4_opened opened, second;
    struct wire4_stateid id;

    (void)state;
    args.seqid = 10;
    assert_int_equal(nfs4_try_open(&old, &top, &args, &opened), NFS4_OK);
    assert_int_equal(opened.flags, 4 | 2);
    id = opened.stateid;
    /* Good for nothing yet. */
    assert_int_equal(nfs4_try_read(&old, &opened.file, &id), NFS4ERR_BAD_STATEID);
    assert_int_equal(nfs4_try_close(&old, &opened.file, &id, 11), NFS4ERR_BAD_STATEID);
    assert_int_equal(open_confirm(&opened.file, &id, 12), NFS4ERR_BAD_SEQID);
    assert_int_equal(open_confirm(&opened.file, &id, 11), NFS4_OK);
    assert_int_equal(id.seqid, opened.stateid.seqid + 1);
    id = opened.stateid;
    assert_int_equal(open_confirm(&opened.file, &id, 11), NFS4_OK); /* a replay */
    assert_int_equal(nfs4_try_read(&old, &opened.file, &id), NFS4_OK);
    assert_int_equal(open_confirm(&opened.file, &id, 12), NFS4ERR_BAD_STATEID);
    args.seqid = 12; /* BAD_STATEID did not use it up */
    assert_int_equal(nfs4_try_open(&old, &top, &args, &opened), NFS4_OK);
    assert_int_equal(opened.flags, 4);
    /* An owner that never confirms may begin anew with any number; its open goes. */
    args = named("confirmed", "c2");
    args.seqid = 5;
    assert_int_equal(nfs4_try_open(&old, &top, &args, &opened), NFS4_OK);
    args.seqid = 77;
    assert_int_equal(nfs4_try_open(&old, &top, &args, &second), NFS4_OK);
    assert_int_equal(second.flags, 4 | 2);
    id = opened.stateid;
    assert_int_equal(open_confirm(&opened.file, &id, 78), NFS4ERR_BAD_STATEID);
    id = second.stateid;
    assert_int_equal(open_confirm(&opened.file, &id, 78), NFS4_OK);
}

/* The answer to the last request of an owner comes again, byte for byte, by its number alone. */
static void replay_is_same(void)
{
    uint8_t first[2048];
    size_t length = old.wire.reply.left;

    assert_true(length <= sizeof first);
    memcpy(first, old.wire.reply.at, length);
    nfs4_reconnect(&old);
    nfs4_call_again(&old, false); /* another xid: not the RPC layer's cache */
    assert_int_equal(old.wire.reply.left, length);
    assert_memory_equal(old.wire.reply.at, first, length);
}

static void test_replay(void **state)
{
    struct nfs4_open_args args = named("replayed", "r1"), denied = named("replayed", "r1");
    struct wire4_lock_args lock = {.type = WIRE4_WRITE_LT, .length = 10, .new_owner = true, .owner = "l"};
    struct nfs4_opened opened;
    struct wire4_stateid id, lock_id;

    (void)state;
    args.seqid = UINT32_MAX - 1;
    opened = nfs4_must_open(&old, &top, &args); /* OPEN and OPEN_CONFIRM: the numbers go round */
    assert_int_equal(args.seqid, 0);
    replay_is_same();
    args.create = NFS4C_NOCREATE;
    assert_int_equal(nfs4_try_open(&old, &top, &args, &opened), NFS4_OK);
    replay_is_same();
    /* GETFH behind a replayed OPEN finds the file, though it is gone by name. */
    wire4_begin(&c.wire);
    wire4_putfh(&c.wire, &top);
    wire4_remove(&c.wire, "replayed");
    assert_int_equal(nfs4_call(&c), NFS4_OK);
    replay_is_same();
    /* The same number for another operation, or one out of order. */
    id = opened.stateid;
    assert_int_equal(nfs4_try_close(&old, &opened.file, &id, 0), NFS4ERR_BAD_SEQID);
    assert_int_equal(nfs4_try_close(&old, &opened.file, &id, 5), NFS4ERR_BAD_SEQID);
    /* Errors are replayed, too. */
    denied.seqid = 1;
    denied.create = NFS4C_NOCREATE;
    assert_int_equal(nfs4_try_open(&old, &top, &denied, &opened), NFS4ERR_NOENT);
    replay_is_same();
    args = named("replayed", "r1");
    args.seqid = 2;
    opened = nfs4_must_open(&old, &top, &args);
    lock.stateid = opened.stateid;
    lock.open_seqid = 3;
    lock.lock_seqid = 100;
    assert_int_equal(nfs4_try_lock(&old, &opened.file, &lock, &lock_id, NULL), NFS4_OK);
    replay_is_same();
    lock.owner = "m"; /* another lock owner is denied: LOCK's error has a body */
    lock.open_seqid = 4;
    assert_int_equal(nfs4_try_lock(&old, &opened.file, &lock, NULL, NULL), NFS4ERR_DENIED);
    replay_is_same();
    assert_int_equal(nfs4_try_locku(&old, &opened.file, &lock_id, 102, 0, 10), NFS4ERR_BAD_SEQID);
    assert_int_equal(nfs4_try_locku(&old, &opened.file, &lock_id, 101, 0, 10), NFS4_OK);
    replay_is_same();
    /* INVAL uses the number up (RFC 7530 9.1.7). */
    assert_int_equal(nfs4_try_locku(&old, &opened.file, &lock_id, 102, 0, 0), NFS4ERR_INVAL);
    assert_int_equal(nfs4_try_locku(&old, &opened.file, &lock_id, 103, 0, 10), NFS4_OK);
    assert_int_equal(nfs4_try_close(&old, &opened.file, &opened.stateid, 5), NFS4_OK);
    replay_is_same();
    assert_int_equal(nfs4_try_close(&old, &opened.file, &opened.stateid, 6), NFS4ERR_BAD_STATEID);
}

/* An inode that is open lives on without a name. */
static void test_open_outlives_name(void **state)
{
    struct nfs4_open_args args = named("unlinked", "o");
    struct nfs4_opened opened = nfs4_must_open(&c, &top, &args);

    (void)state;
    wire4_begin(&c.wire);
    wire4_putfh(&c.wire, &top);
    wire4_remove(&c.wire, "unlinked");
    assert_int_equal(nfs4_call(&c), NFS4_OK);
    assert_int_equal(nfs4_try_write(&c, &opened.file, &opened.stateid), NFS4_OK);
    assert_int_equal(nfs4_try_read(&c, &opened.file, &opened.stateid), NFS4_OK);
    assert_int_equal(nfs4_try_close(&c, &opened.file, &opened.stateid, 0), NFS4_OK);
    wire4_begin(&c.wire);
    wire4_putfh(&c.wire, &opened.file);
    assert_int_equal(nfs4_call(&c), NFS4ERR_STALE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_create_modes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_names_and_types, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_claims, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_access_and_wishes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rights, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_truncate_is_checked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_share_matrix, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_upgrade_and_downgrade, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_special_stateids, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wrong_stateids, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stolen_stateid, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_current_stateid, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_open_confirm, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_replay, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_open_outlives_name, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
