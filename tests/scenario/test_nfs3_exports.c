/*
 * test_nfs3_exports.c - what an export lets whom do, over the wire: read-only, squashing, flavours, hosts,
 * protocols; and that a reload takes effect at the next operation, with handles that clients hold already.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nfs3check.h"
#include "nfsworld.h"

#include <string.h>

enum { NOBODY = 65534, USER = 1000, GROUP = 100, AUTH_TOOWEAK = 5 };

static const struct vfs_host_rule elsewhere = {.address = {[10] = 0xff, [11] = 0xff, [12] = 10},
                                               .prefix_bits = 104}; /* 10.0.0.0/8 */
static const struct vfs_host_rule loopback = {.address = {[10] = 0xff, [11] = 0xff, [12] = 127},
                                              .prefix_bits = 104};

static struct nfsworld *world;
static struct rpcclient *root, *user;
static struct nfs3_handle top, file, subdir;

static void set_export(const struct vfs_export_config *config)
{
    nfsworld_set_exports(world, config, 1);
}

static int set_up(void **state)
{
    struct vfs_export_config export = nfsworld_export("a");
    struct nfs3_new_attr attr = {.set = NFS3_SET_MODE, .mode = 0666};
    struct nfs3_result r;

    (void)state;
    world = nfsworld_open(&export, 1, NULL);
    root = nfsworld_client(world, 0, 0);
    user = nfsworld_client(world, USER, GROUP);
    top = nfsworld_mount(root, "/a");
    works(nfs3_create(root, &top, "f", 1, &attr, 0, &r));
    file = r.handle;
    works(nfs3_mkdir(root, &top, "d", NULL, &r));
    subdir = r.handle;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rpcclient_close(&root);
    rpcclient_close(&user);
    nfsworld_close(&world);
    return 0;
}

/* Every procedure with a handle, with sensible arguments: what all of them answer is STATUS, or RPC's. */
static void all_answer(struct rpcclient *client, enum rpcclient_status rpc, uint32_t status)
{
    struct nfs3_new_attr attr = {.set = NFS3_SET_MODE, .mode = 0666};
    struct nfs3_result r;
    size_t i = 0;
#define one(call)                                                                                            \
    do {                                                                                                     \
        r.status = 0;                                                                                        \
        assert_int_equal(call, rpc);                                                                         \
        if (rpc == RPCCLIENT_SUCCESS)                                                                        \
            assert_int_equal(r.status, status);                                                              \
        i++;                                                                                                 \
    } while (0)

    one(nfs3_getattr(client, &file, &r));
    one(nfs3_setattr(client, &file, &attr, NULL, &r));
    one(nfs3_lookup(client, &top, "f", &r));
    one(nfs3_access(client, &file, 63, &r));
    one(nfs3_handle_call(client, NFS3C_READLINK, &file, &r));
    one(nfs3_read(client, &file, 0, 1, &r));
    one(nfs3_write(client, &file, 0, "x", 1, 0, &r));
    one(nfs3_create(client, &top, "new", 1, &attr, 0, &r));
    one(nfs3_mkdir(client, &top, "new", &attr, &r));
    one(nfs3_symlink(client, &top, "new", "x", &r));
    one(nfs3_mknod(client, &top, "new", 7, 0, 0, &r));
    one(nfs3_name_call(client, NFS3C_REMOVE, &top, "f", 1, &r));
    one(nfs3_name_call(client, NFS3C_RMDIR, &top, "d", 1, &r));
    one(nfs3_rename(client, &top, "f", &subdir, "f", &r));
    one(nfs3_link(client, &file, &subdir, "g", &r));
    one(nfs3_readdir(client, &top, 0, 0, 4096, &r));
    one(nfs3_readdirplus(client, &top, 0, 0, 4096, 4096, &r));
    one(nfs3_handle_call(client, NFS3C_FSSTAT, &top, &r));
    one(nfs3_handle_call(client, NFS3C_FSINFO, &top, &r));
    one(nfs3_handle_call(client, NFS3C_PATHCONF, &top, &r));
    one(nfs3_commit(client, &file, 0, 0, &r));
    assert_int_equal(i, NFS3_PROCEDURES - 1);
#undef one
}

static void read_only(void **state)
{
    struct vfs_export_config export = nfsworld_export("a");
    struct nfs3_new_attr attr = {.set = NFS3_SET_MODE, .mode = 0666};
    struct nfs3_result r;

    (void)state;
    export.read_only = true;
    set_export(&export);
    gives(NFS3ERR_ROFS, nfs3_setattr(root, &file, &attr, NULL, &r));
    assert_wcc_same(r.wcc);
    gives(NFS3ERR_ROFS, nfs3_write(root, &file, 0, "x", 1, 0, &r));
    gives(NFS3ERR_ROFS, nfs3_create(root, &top, "new", 1, &attr, 0, &r));
    gives(NFS3ERR_ROFS, nfs3_mkdir(root, &top, "new", &attr, &r));
    gives(NFS3ERR_ROFS, nfs3_symlink(root, &top, "new", "x", &r));
    gives(NFS3ERR_ROFS, nfs3_mknod(root, &top, "new", 7, 0, 0, &r));
    gives(NFS3ERR_ROFS, nfs3_name_call(root, NFS3C_REMOVE, &top, "f", 1, &r));
    gives(NFS3ERR_ROFS, nfs3_name_call(root, NFS3C_RMDIR, &top, "d", 1, &r));
    gives(NFS3ERR_ROFS, nfs3_rename(root, &top, "f", &top, "g", &r));
    gives(NFS3ERR_ROFS, nfs3_link(root, &file, &top, "g", &r));
    works(nfs3_read(root, &file, 0, 1, &r));
    works(nfs3_commit(root, &file, 0, 0, &r));
    works(nfs3_access(root, &file, 63, &r));
    assert_int_equal(r.access, 1);
    works(nfs3_access(root, &top, 63, &r));
    assert_int_equal(r.access, 3);
    export.read_only = false;
    set_export(&export);
    works(nfs3_write(root, &file, 0, "x", 1, 0, &r));
}

static void squashing(void **state)
{
    struct vfs_export_config export = nfsworld_export("a");
    struct nfs3_new_attr owner = {.set = NFS3_SET_UID, .uid = 5};
    struct nfs3_result r;

    (void)state;
    export.squash = VFS_SQUASH_ROOT;
    set_export(&export);
    works(nfs3_create(root, &top, "by-root", 1, NULL, 0, &r));
    assert_int_equal(r.attr.uid, NOBODY);
    assert_int_equal(r.attr.gid, NOBODY);
    gives(NFS3ERR_PERM, nfs3_setattr(root, &file, &owner, NULL, &r));
    works(nfs3_create(user, &top, "by-user", 1, NULL, 0, &r));
    assert_int_equal(r.attr.uid, USER);
    export.squash = VFS_SQUASH_ALL;
    export.anonymous_uid = 77;
    export.anonymous_gid = 78;
    set_export(&export);
    works(nfs3_create(user, &top, "by-anyone", 1, NULL, 0, &r));
    assert_int_equal(r.attr.uid, 77);
    assert_int_equal(r.attr.gid, 78);
}

static void groups_count(void **state)
{
    static const uint32_t groups[] = {5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 4711};
    struct vfs_export_config export = nfsworld_export("a");
    struct nfs3_new_attr attr = {
        .set = NFS3_SET_MODE | NFS3_SET_UID | NFS3_SET_GID, .mode = 0640, .uid = 1, .gid = 4711};
    struct rpcclient *member = nfsworld_client(world, USER, GROUP);
    struct nfs3_handle shared;
    struct nfs3_result r;

    (void)state;
    set_export(&export);
    works(nfs3_create(root, &top, "shared", 1, &attr, 0, &r));
    shared = r.handle;
    gives(NFS3ERR_ACCES, nfs3_read(member, &shared, 0, 1, &r));
    rpcclient_sys(member, USER, GROUP, groups, 16);
    works(nfs3_read(member, &shared, 0, 1, &r));
    gives(NFS3ERR_ACCES, nfs3_write(member, &shared, 0, "x", 1, 0, &r));
    rpcclient_close(&member);
}

static void flavours(void **state)
{
    struct vfs_export_config export = nfsworld_export("a");
    struct rpcclient *nobody = nfsworld_client(world, 0, 0);
    struct nfs3_result r;

    (void)state;
    rpcclient_none(nobody);
    set_export(&export);
    all_answer(nobody, RPCCLIENT_AUTH_ERROR, 0);
    assert_int_equal(nobody->auth_status, AUTH_TOOWEAK);
    works(nfs3_call(nobody, NFS3C_NULL, NULL, &r));
    export.security = VFS_SEC_KRB5;
    set_export(&export);
    all_answer(root, RPCCLIENT_AUTH_ERROR, 0);
    assert_int_equal(root->auth_status, AUTH_TOOWEAK);
    export.security = VFS_SEC_SYS | VFS_SEC_NONE;
    set_export(&export);
    works(nfs3_create(nobody, &top, "anonymous", 1, NULL, 0, &r));
    assert_int_equal(r.attr.uid, NOBODY);
    export.security = VFS_SEC_SYS;
    set_export(&export);
    rpcclient_close(&nobody);
}

static void hosts(void **state)
{
    struct vfs_export_config export = nfsworld_export("a");
    struct nfs3_result r;

    (void)state;
    export.hosts_allow = &elsewhere;
    export.hosts_allow_count = 1;
    set_export(&export);
    all_answer(root, RPCCLIENT_SUCCESS, NFS3ERR_ACCES);
    export.hosts_allow = &loopback;
    set_export(&export);
    works(nfs3_getattr(root, &file, &r));
    export.hosts_allow_count = 0;
    export.hosts_deny = &loopback;
    export.hosts_deny_count = 1;
    set_export(&export);
    all_answer(root, RPCCLIENT_SUCCESS, NFS3ERR_ACCES);
    export.hosts_deny_count = 0;
    set_export(&export);
    works(nfs3_getattr(root, &file, &r));
}

static void other_protocols_only(void **state)
{
    struct vfs_export_config export = nfsworld_export("a");
    struct nfs3_result r;

    (void)state;
    export.protocols = VFS_NFS4 | VFS_SMB;
    set_export(&export);
    all_answer(root, RPCCLIENT_SUCCESS, NFS3ERR_ACCES);
    export.protocols = VFS_NFS3;
    set_export(&export);
    works(nfs3_getattr(root, &file, &r));
}

static void exports_go_and_come_back(void **state)
{
    struct vfs_export_config other = nfsworld_export("other"), export = nfsworld_export("a");
    struct nfs3_result r;

    (void)state;
    set_export(&other);
    all_answer(root, RPCCLIENT_SUCCESS, NFS3ERR_STALE);
    set_export(&export);
    works(nfs3_lookup(root, &top, "f", &r));
    assert_memory_equal(r.handle.data, file.data, file.length);
}

/* A handle can't be given another export's rules: the MAC covers the export. */
static void handles_of_other_exports(void **state)
{
    struct vfs_export_config exports[] = {nfsworld_export("a"), nfsworld_export("open")};
    struct nfs3_handle open_top, mixed;
    struct nfs3_result r;

    (void)state;
    exports[0].read_only = true;
    nfsworld_set_exports(world, exports, 2);
    open_top = nfsworld_mount(root, "/open");
    gives(NFS3ERR_ROFS, nfs3_write(root, &file, 0, "x", 1, 0, &r));
    for (uint32_t cut = 1; cut < file.length; cut++) {
        mixed = open_top;
        memcpy(mixed.data + cut, file.data + cut, file.length - cut);
        if (memcmp(mixed.data, file.data, file.length) == 0)
            continue;
        gives(NFS3ERR_BADHANDLE, nfs3_write(root, &mixed, 0, "x", 1, 0, &r));
    }
    gives(NFS3ERR_XDEV, nfs3_link(root, &file, &open_top, "stolen", &r));
    gives(NFS3ERR_XDEV, nfs3_rename(root, &top, "f", &open_top, "stolen", &r));
    gives(NFS3ERR_XDEV, nfs3_rename(root, &open_top, "f", &top, "f", &r));
    /* The second handle's export is asked, too. */
    exports[1].hosts_allow = &elsewhere;
    exports[1].hosts_allow_count = 1;
    nfsworld_set_exports(world, exports, 2);
    gives(NFS3ERR_ACCES, nfs3_rename(root, &top, "f", &open_top, "stolen", &r));
    nfsworld_set_exports(world, exports, 1);
    gives(NFS3ERR_STALE, nfs3_rename(root, &top, "f", &open_top, "stolen", &r));
    assert_true(r.wcc.has_after && !r.wcc2.has_after);
    exports[0].read_only = false;
    nfsworld_set_exports(world, exports, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_only),
        cmocka_unit_test(squashing),
        cmocka_unit_test(groups_count),
        cmocka_unit_test(flavours),
        cmocka_unit_test(hosts),
        cmocka_unit_test(other_protocols_only),
        cmocka_unit_test(exports_go_and_come_back),
        cmocka_unit_test(handles_of_other_exports),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
