/*
 * test_nfs4_exports.c - what an export lets whom do, at each operation of NFSv4: flavours (WRONGSEC,
 * SECINFO), hosts, protocols, read-only, squashing; exports that come and go by a reload (RFC
 * 8881 2.6, 18.29, 18.45).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nfs4world.h"

#include <string.h>

enum { GSS = 6, SYS = 1, NONE = 0 };

static struct nfs4world world;
static uint32_t minor;
static struct wire4 *w;
static struct wire4_handle sub;

static const struct vfs_host_rule elsewhere = {.address = {[10] = 0xff, [11] = 0xff, [12] = 10},
                                               .prefix_bits = 104}; /* 10.0.0.0/8 */

static int set_up(void **state)
{
    (void)state;
    nfs4world_open(&world, minor, NULL);
    w = world.root;
    sub = wire4_make_dir(w, &world.objects[N4_DIR], "sub", 0777);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    nfs4world_close(&world);
    return 0;
}

static void set_export(const struct vfs_export_config *config)
{
    nfsworld_set_exports(world.world, config, 1);
}

/* Every operation on objects of the export, with sensible arguments. */
enum { OPERATIONS = 29, OPERATIONS_OF_4_1 = 18 };
static void put_operation(struct wire4 *wire, int which)
{
    struct wire4_fattr mode = wire4_mode(0666), type = wire4_fattr();
    static int owners;
    struct wire4_owner owner = wire4_owner("x owner");

    wire4_add32(&type, FATTR4_TYPE, NF4REG);
    owner.key[0] = (char)('0' + owners++ % 70);
    wire4_putfh(wire, &world.top);
    wire4_savefh(wire);
    wire4_putfh(wire, which < 6 ? &world.top : &world.objects[N4_FILE]);
    switch (which) {
    case 0:
        wire4_lookup(wire, "file");
        break;
    case 1:
        wire4_create(wire, NF4DIR, NULL, "new", NULL);
        break;
    case 2:
        wire4_name(wire, OP_REMOVE, "fifo", 4);
        break;
    case 3:
        wire4_rename(wire, "fifo", "fifo2");
        break;
    case 4:
        wire4_readdir(wire, 0, 0, 0, 4096, wire4_bits(1, FATTR4_TYPE));
        break;
    case 5:
        wire4_open_name(wire, &owner, "file", 1, 0, WIRE4_NOCREATE, NULL, 0);
        break;
    case 6:
        wire4_getattr(wire, wire4_bits(1, FATTR4_TYPE));
        break;
    case 7:
        wire4_setattr(wire, &wire4_anonymous, &mode);
        break;
    case 8:
        wire4_read(wire, OP_READ, &wire4_anonymous, 0, 1);
        break;
    case 9:
        wire4_write(wire, &wire4_anonymous, 0, 2, "x", 1);
        break;
    case 10:
        wire4_commit(wire, 0, 0);
        break;
    case 11:
        wire4_access(wire, 0x3f);
        break;
    case 12:
        wire4_verify(wire, OP_VERIFY, &type);
        break;
    case 13:
        wire4_verify(wire, OP_NVERIFY, &type);
        break;
    case 14:
        wire4_putfh(wire, &world.objects[N4_LINK]);
        wire4_void(wire, OP_READLINK);
        break;
    case 15:
        wire4_savefh(wire);
        wire4_putfh(wire, &sub);
        wire4_name(wire, OP_LINK, "new", 3);
        break;
    case 16:
        wire4_putfh(wire, &sub);
        wire4_void(wire, OP_LOOKUPP);
        break;
    case 17:
        wire4_open_fh(wire, &owner, WIRE4_CLAIM_FH, 1, 0);
        break;
    case 18:
        wire4_range(wire, OP_ALLOCATE, &wire4_anonymous, 0, 1);
        break;
    case 19:
        wire4_range(wire, OP_DEALLOCATE, &wire4_anonymous, 0, 1);
        break;
    case 20:
        wire4_seek(wire, &wire4_anonymous, 0, 0);
        break;
    case 21:
        wire4_read(wire, OP_READ_PLUS, &wire4_anonymous, 0, 1);
        break;
    case 22:
        wire4_range(wire, OP_IO_ADVISE, &wire4_anonymous, 0, 1);
        writer_be32(&wire->request, 0);
        break;
    case 23:
        wire4_savefh(wire);
        wire4_clone(wire, &wire4_anonymous, &wire4_anonymous, 0, 4096, 0);
        break;
    case 24:
        wire4_savefh(wire);
        wire4_copy(wire, &wire4_anonymous, &wire4_anonymous, 0, 4096, 1);
        break;
    case 25:
        wire4_name(wire, OP_GETXATTR, "n", 1);
        break;
    case 26:
        wire4_setxattr(wire, 0, "n", "v", 1);
        break;
    case 27:
        wire4_listxattrs(wire, 0, 1000);
        break;
    default:
        wire4_name(wire, OP_REMOVEXATTR, "n", 1);
        break;
    }
}

static int operations(void)
{
    return minor == 0 ? OPERATIONS_OF_4_1 - 1 : minor == 1 ? OPERATIONS_OF_4_1 : OPERATIONS;
}

static void all_answer(struct wire4 *wire, uint32_t status)
{
    int wrong = 0;

    for (int which = 0; which < operations(); which++) {
        wire4_begin(wire);
        put_operation(wire, which);
        wire4_send_any(wire);
        if (wire->status == status)
            continue;
        wrong++;
        print_error("minor %u, operation %d: %u, not %u\n", minor, which, wire->status, status);
    }
    assert_int_equal(wrong, 0);
}

/* ---- flavours ---- */

static void assert_flavors(uint32_t count, const uint32_t *flavors)
{
    const struct wire4_result *r = wire4_last(w);

    assert_int_equal(r->flavor_count, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(r->flavors[i], flavors[i] >= 10 ? GSS : flavors[i]);
        assert_int_equal(r->services[i], flavors[i] >= 10 ? flavors[i] - 10 : 0);
    }
}

static void flavours(void **state)
{
    static const uint32_t krb5[] = {13, 12, 11}, sys[] = {SYS}, mixed[] = {12, SYS, NONE};
    struct vfs_export_config export = nfsworld_export("a");

    (void)state;
    expect4(w, NFS4_OK, wire4_putrootfh(w), wire4_name(w, OP_SECINFO, "a", 1));
    assert_flavors(1, sys);
    export.security = VFS_SEC_KRB5 | VFS_SEC_KRB5I | VFS_SEC_KRB5P;
    set_export(&export);
    all_answer(w, NFS4ERR_WRONGSEC);
    /* How a client learns of it: no WRONGSEC where it asks. */
    expect4(w, NFS4_OK, wire4_putrootfh(w), wire4_name(w, OP_SECINFO, "a", 1));
    assert_flavors(3, krb5);
    expect4(w, NFS4ERR_WRONGSEC, wire4_putrootfh(w), wire4_lookup(w, "a"));
    expect4(w, NFS4ERR_NOENT, wire4_putrootfh(w), wire4_name(w, OP_SECINFO, "b", 1));
    if (minor > 0) {
        for (uint32_t style = 0; style <= 1; style++) {
            wire4_begin(w);
            wire4_putfh(w, &world.objects[N4_DIR]);
            wire4_op(w, OP_SECINFO_NO_NAME);
            writer_be32(&w->request, style);
            assert_int_equal(wire4_send(w), NFS4_OK);
            assert_flavors(3, krb5);
        }
    }
    export.security = VFS_SEC_SYS | VFS_SEC_NONE | VFS_SEC_KRB5I;
    set_export(&export);
    expect4(w, NFS4_OK, wire4_putfh(w, &world.top), wire4_name(w, OP_SECINFO, "dir", 3));
    assert_flavors(3, mixed);
    export.security = VFS_SEC_SYS;
    set_export(&export);
}

/* Both SECINFOs leave no filehandle (RFC 8881 2.6.3.1.1.8). */
static void secinfo_takes_filehandle(void **state)
{
    (void)state;
    expect4(w, NFS4ERR_NOFILEHANDLE, wire4_putrootfh(w), wire4_name(w, OP_SECINFO, "a", 1), wire4_getfh(w));
    expect4(w, NFS4ERR_NOFILEHANDLE, wire4_putfh(w, &world.top), wire4_name(w, OP_SECINFO, "file", 4),
            wire4_getfh(w));
    expect4(w, NFS4ERR_NOENT, wire4_putfh(w, &world.top), wire4_name(w, OP_SECINFO, "absent", 6));
    expect4(w, NFS4ERR_INVAL, wire4_putfh(w, &world.top), wire4_name(w, OP_SECINFO, "", 0));
    if (minor == 0)
        return;
    wire4_begin(w);
    wire4_putfh(w, &world.top);
    wire4_op(w, OP_SECINFO_NO_NAME);
    writer_be32(&w->request, 0);
    wire4_getfh(w);
    assert_int_equal(wire4_send(w), NFS4ERR_NOFILEHANDLE);
    wire4_begin(w);
    wire4_putrootfh(w);
    wire4_op(w, OP_SECINFO_NO_NAME);
    writer_be32(&w->request, 1);
    assert_int_equal(wire4_send(w), NFS4ERR_NOENT);
    wire4_begin(w);
    wire4_putrootfh(w);
    wire4_op(w, OP_SECINFO_NO_NAME);
    writer_be32(&w->request, 2);
    assert_int_equal(wire4_send(w), NFS4ERR_BADXDR);
}

static void without_credentials(void **state)
{
    struct rpcclient *rpc = nfsworld_client(world.world, 0, 0);
    struct wire4 *none;
    struct vfs_export_config export = nfsworld_export("a");

    (void)state;
    rpcclient_none(rpc);
    none = wire4_open(rpc, minor);
    wire4_introduce(none, "none", 1, true);
    all_answer(none, NFS4ERR_WRONGSEC);
    export.security = VFS_SEC_NONE;
    set_export(&export);
    expect4(none, NFS4_OK, wire4_putfh(none, &world.top), wire4_create(none, NF4DIR, NULL, "anonymous", NULL),
            wire4_getattr(none, wire4_bits(1, FATTR4_OWNER)));
    assert_string_equal(wire4_last(none)->attrs.owner, "65534");
    export.security = VFS_SEC_SYS;
    set_export(&export);
    wire4_close(&none);
    rpcclient_close(&rpc);
}

/* ---- hosts, protocols, reloads ---- */

static void hosts(void **state)
{
    struct vfs_export_config export = nfsworld_export("a");

    (void)state;
    export.hosts_allow = &elsewhere;
    export.hosts_allow_count = 1;
    set_export(&export);
    all_answer(w, NFS4ERR_ACCESS);
    /* The export is not even there. */
    expect4(w, NFS4ERR_NOENT, wire4_putrootfh(w), wire4_lookup(w, "a"));
    expect4(w, NFS4ERR_NOENT, wire4_putrootfh(w), wire4_name(w, OP_SECINFO, "a", 1));
    expect4(w, NFS4_OK, wire4_putrootfh(w), wire4_readdir(w, 0, 0, 0, 4096, wire4_bits(1, FATTR4_TYPE)));
    assert_int_equal(wire4_last(w)->count, 0);
    export = nfsworld_export("a");
    export.protocols = VFS_NFS3 | VFS_SMB;
    set_export(&export);
    all_answer(w, NFS4ERR_ACCESS);
    expect4(w, NFS4ERR_NOENT, wire4_putrootfh(w), wire4_lookup(w, "a"));
    expect4(w, NFS4ERR_NOENT, wire4_putrootfh(w), wire4_name(w, OP_SECINFO, "a", 1));
    export = nfsworld_export("a");
    set_export(&export);
    expect4(w, NFS4_OK, wire4_putfh(w, &world.top), wire4_lookup(w, "file"));
}

static void reloads(void **state)
{
    struct vfs_export_config exports[] = {nfsworld_export("a"), nfsworld_export("b")};
    struct wire4_handle b;

    (void)state;
    nfsworld_set_exports(world.world, exports, 2);
    b = wire4_walk(w, "b");
    wire4_make_file(w, &b, "f", 0644);
    /* Gone while a compound's filehandles are saved, and open files' stateids good. */
    nfsworld_set_exports(world.world, exports, 1);
    expect4(w, NFS4ERR_STALE, wire4_putfh(w, &b));
    expect4(w, NFS4ERR_NOENT, wire4_putrootfh(w), wire4_lookup(w, "b"));
    nfsworld_set_exports(world.world, exports + 1, 1);
    all_answer(w, NFS4ERR_STALE);
    expect4(w, NFS4_OK, wire4_putfh(w, &b), wire4_lookup(w, "f"));
    nfsworld_set_exports(world.world, exports, 2);
    expect4(w, NFS4_OK, wire4_putfh(w, &world.top), wire4_lookup(w, "file"));
    /* Across exports nothing is linked or moved. */
    expect4(w, NFS4ERR_XDEV, wire4_putfh(w, &world.objects[N4_FILE]), wire4_savefh(w), wire4_putfh(w, &b),
            wire4_name(w, OP_LINK, "stolen", 6));
    expect4(w, NFS4ERR_XDEV, wire4_putfh(w, &world.top), wire4_savefh(w), wire4_putfh(w, &b),
            wire4_rename(w, "file", "stolen"));
    nfsworld_set_exports(world.world, exports, 1);
}

/* ---- read-only, squashing ---- */

static void read_only(void **state)
{
    static const bool changes[OPERATIONS] = {
        [1] = true,  [2] = true,  [3] = true,  [7] = true,  [9] = true,  [15] = true,
        [18] = true, [19] = true, [23] = true, [24] = true, [26] = true, [28] = true};
    struct vfs_export_config export = nfsworld_export("a");
    struct wire4_owner owner = wire4_owner("ro");

    (void)state;
    export.read_only = true;
    set_export(&export);
    for (int which = 0; which < operations(); which++) {
        wire4_begin(w);
        put_operation(w, which);
        wire4_send_any(w);
        if (changes[which] != (w->status == NFS4ERR_ROFS))
            print_error("minor %u, operation %d: %u\n", minor, which, w->status);
        assert_int_equal(changes[which], w->status == NFS4ERR_ROFS);
    }
    expect4(w, NFS4ERR_ROFS, wire4_putfh(w, &world.top),
            wire4_open_name(w, &owner, "file", 2, 0, WIRE4_NOCREATE, NULL, 0));
    expect4(w, NFS4ERR_ROFS, wire4_putfh(w, &world.top),
            wire4_open_name(w, &owner, "new", 1, 0, WIRE4_GUARDED, NULL, 0));
    expect4(w, NFS4_OK, wire4_putfh(w, &world.objects[N4_FILE]), wire4_access(w, 0x3f));
    assert_int_equal(wire4_last(w)->access, 0x01);
    export.read_only = false;
    set_export(&export);
}

static void squashing(void **state)
{
    struct vfs_export_config export = nfsworld_export("a");
    struct wire4_fattr owner = wire4_fattr();

    (void)state;
    wire4_add_text(&owner, FATTR4_OWNER, "5");
    export.squash = VFS_SQUASH_ROOT;
    set_export(&export);
    expect4(w, NFS4_OK, wire4_putfh(w, &world.top), wire4_create(w, NF4DIR, NULL, "squashed", NULL),
            wire4_getattr(w, wire4_bits(2, FATTR4_OWNER, FATTR4_OWNER_GROUP)));
    assert_string_equal(wire4_last(w)->attrs.owner, "65534");
    assert_string_equal(wire4_last(w)->attrs.group, "65534");
    expect4(w, NFS4ERR_PERM, wire4_putfh(w, &world.objects[N4_FILE]),
            wire4_setattr(w, &wire4_anonymous, &owner));
    export.squash = VFS_SQUASH_NONE;
    set_export(&export);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flavours),
        cmocka_unit_test(secinfo_takes_filehandle),
        cmocka_unit_test(without_credentials),
        cmocka_unit_test(hosts),
        cmocka_unit_test(reloads),
        cmocka_unit_test(read_only),
        cmocka_unit_test(squashing),
    };
    int failed = 0;

    for (minor = 0; minor <= 2; minor++)
        failed += cmocka_run_group_tests(tests, set_up, tear_down);
    return failed;
}
