/*
 * test_mount.c - MOUNT versions 1 to 3 over the wire, TCP and UDP: paths that are exports, directories within
 * them, and neither; the lists that showmount prints; hosts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nfs3check.h"
#include "nfsworld.h"

#include <stdio.h>
#include <string.h>

enum { LIST = 64 * 1024, MOUNTS = 4 };

static const struct vfs_host_rule loopback = {.address = {[10] = 0xff, [11] = 0xff, [12] = 127},
                                              .prefix_bits = 104};
static const struct vfs_host_rule elsewhere[] = {
    {.address = {[10] = 0xff, [11] = 0xff, [12] = 10, [13] = 1, [14] = 2, [15] = 3}, .prefix_bits = 128},
    {.address = {0xfd, [15] = 1}, .prefix_bits = 64},
    {.address = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}, .prefix_bits = 120},
};

static struct nfsworld *world;
static struct rpcclient *root;
static char text[LIST];

static int set_up(void **state)
{
    struct vfs_export_config exports[] = {nfsworld_export("b"), nfsworld_export("a"), nfsworld_export("deny"),
                                          nfsworld_export("v4")};
    struct nfsworld_options options = {.nfs = {.mounts = MOUNTS}};

    (void)state;
    exports[0].hosts_allow = elsewhere;
    exports[0].hosts_allow_count = 3;
    exports[1].security = VFS_SEC_SYS | VFS_SEC_KRB5P | VFS_SEC_NONE;
    exports[2].hosts_deny = &loopback;
    exports[2].hosts_deny_count = 1;
    exports[3].protocols = VFS_NFS4;
    world = nfsworld_open(exports, 4, &options);
    root = nfsworld_client(world, 0, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rpcclient_close(&root);
    nfsworld_close(&world);
    return 0;
}

static uint32_t mount_status(const char *path)
{
    struct mount3_result m;

    assert_int_equal(mount3_mnt(root, path, &m), RPCCLIENT_SUCCESS);
    return m.status;
}

static void mounts_exports(void **state)
{
    struct mount3_result m;
    struct nfs3_result r;

    (void)state;
    assert_int_equal(mount3_mnt(root, "/a", &m), RPCCLIENT_SUCCESS);
    assert_int_equal(m.status, 0);
    assert_int_equal(m.flavor_count, 3);
    assert_int_equal(m.flavors[0], 1);
    assert_int_equal(m.flavors[1], 390005);
    assert_int_equal(m.flavors[2], 0);
    works(nfs3_getattr(root, &m.handle, &r));
    assert_int_equal(r.attr.type, 2);
    assert_int_equal(mount_status("/b"), 0);
    assert_int_equal(mount_status("/a/"), 0);
    assert_int_equal(mount_status("//a"), 0);
    assert_int_equal(mount_status("/deny"), NFS3ERR_ACCES);
    assert_int_equal(mount_status("/v4"), NFS3ERR_ACCES);
    assert_int_equal(mount_status("/none"), NFS3ERR_NOENT);
    assert_int_equal(mount_status("a"), NFS3ERR_NOENT);
    assert_int_equal(mount_status(""), NFS3ERR_NOENT);
    assert_int_equal(mount_status("/"), NFS3ERR_NOENT);
    assert_int_equal(mount_status("/aa"), NFS3ERR_NOENT);
}

static void mounts_directories_within(void **state)
{
    struct nfs3_handle top = nfsworld_mount(root, "/a"), sub;
    struct nfs3_new_attr closed = {.set = NFS3_SET_MODE, .mode = 0700};
    struct rpcclient *user = nfsworld_client(world, 1000, 100);
    struct mount3_result m;
    struct nfs3_result r;

    (void)state;
    works(nfs3_mkdir(root, &top, "closed", &closed, &r));
    works(nfs3_mkdir(root, &r.handle, "sub", NULL, &r));
    sub = r.handle;
    works(nfs3_create(root, &top, "file", 1, NULL, 0, &r));
    works(nfs3_symlink(root, &top, "link", "closed", &r));
    assert_int_equal(mount3_mnt(root, "/a/closed//sub/", &m), RPCCLIENT_SUCCESS);
    assert_int_equal(m.status, 0);
    assert_memory_equal(m.handle.data, sub.data, sub.length);
    assert_int_equal(mount_status("/a/closed/none"), NFS3ERR_NOENT);
    assert_int_equal(mount_status("/a/file"), NFS3ERR_NOTDIR);
    assert_int_equal(mount_status("/a/file/x"), NFS3ERR_NOTDIR);
    assert_int_equal(mount_status("/a/link"), NFS3ERR_NOTDIR);
    /* ".." does not leave the export. */
    assert_int_equal(mount3_mnt(root, "/a/../../a/..", &m), RPCCLIENT_SUCCESS);
    assert_int_equal(m.status, NFS3ERR_NOENT);
    assert_int_equal(mount3_mnt(root, "/a/../..", &m), RPCCLIENT_SUCCESS);
    assert_int_equal(m.status, 0);
    assert_memory_equal(m.handle.data, top.data, top.length);
    assert_int_equal(mount3_mnt(user, "/a/closed/sub", &m), RPCCLIENT_SUCCESS);
    assert_int_equal(m.status, NFS3ERR_ACCES);
    rpcclient_close(&user);
}

static void any_flavour_may_ask(void **state)
{
    struct rpcclient *nobody = nfsworld_client(world, 0, 0);
    struct mount3_result m;

    (void)state;
    rpcclient_none(nobody);
    assert_int_equal(mount3_mnt(nobody, "/b", &m), RPCCLIENT_SUCCESS);
    assert_int_equal(m.status, 0);
    assert_int_equal(m.flavor_count, 1);
    assert_int_equal(mount3_mnt(nobody, "/a/closed/sub", &m), RPCCLIENT_SUCCESS);
    assert_int_equal(m.status, NFS3ERR_ACCES);
    rpcclient_close(&nobody);
}

static void export_list(void **state)
{
    struct rpcclient *udp = nfsworld_udp_client(world);

    (void)state;
    for (uint32_t version = 1; version <= 3; version++) {
        assert_int_equal(mount3_export(root, version, text, sizeof text), RPCCLIENT_SUCCESS);
        assert_string_equal(text, "/a\n/b 10.1.2.3 fd00::1/64 127.0.0.1/24\n");
        assert_int_equal(mount3_export(udp, version, text, sizeof text), RPCCLIENT_SUCCESS);
        assert_string_equal(text, "/a\n/b 10.1.2.3 fd00::1/64 127.0.0.1/24\n");
    }
    rpcclient_close(&udp);
}

static void mount_list(void **state)
{
    struct nfs_counters counters;

    (void)state;
    assert_int_equal(mount3_umnt(root, 3, NULL), RPCCLIENT_SUCCESS);
    assert_int_equal(mount3_dump(root, 3, text, sizeof text), RPCCLIENT_SUCCESS);
    assert_string_equal(text, "");
    nfsworld_mount(root, "/a");
    nfsworld_mount(root, "/b");
    nfsworld_mount(root, "/a");
    assert_int_equal(mount_status("/none"), NFS3ERR_NOENT);
    for (uint32_t version = 1; version <= 3; version++) {
        assert_int_equal(mount3_dump(root, version, text, sizeof text), RPCCLIENT_SUCCESS);
        assert_string_equal(text, "127.0.0.1 /a\n127.0.0.1 /b\n");
    }
    assert_int_equal(mount3_umnt(root, 1, "/a"), RPCCLIENT_SUCCESS);
    assert_int_equal(mount3_umnt(root, 3, "/not-there"), RPCCLIENT_SUCCESS);
    assert_int_equal(mount3_dump(root, 3, text, sizeof text), RPCCLIENT_SUCCESS);
    assert_string_equal(text, "127.0.0.1 /b\n");
    /* It is bounded: the oldest goes. */
    nfsworld_mount(root, "/a/");
    nfsworld_mount(root, "/a//");
    nfsworld_mount(root, "/a///");
    nfsworld_mount(root, "/a////");
    assert_int_equal(mount3_dump(root, 3, text, sizeof text), RPCCLIENT_SUCCESS);
    assert_string_equal(text, "127.0.0.1 /a/\n127.0.0.1 /a//\n127.0.0.1 /a///\n127.0.0.1 /a////\n");
    nfs_server_counters(world->nfs, &counters);
    assert_int_equal(counters.mounts_now, MOUNTS);
    assert_int_equal(mount3_umnt(root, 3, NULL), RPCCLIENT_SUCCESS);
    assert_int_equal(mount3_dump(root, 3, text, sizeof text), RPCCLIENT_SUCCESS);
    assert_string_equal(text, "");
}

/* Versions 1 and 2 have no MNT: its handle would be for NFS version 2. */
static void what_is_refused(void **state)
{
    static char path[2048];
    struct mount3_result m;
    struct reader results;
    struct writer writer;

    (void)state;
    writer_init_growing(&writer, 4096);
    writer_xdr_opaque(&writer, "/a", 2);
    for (uint32_t version = 1; version <= 2; version++) {
        rpcclient_program(root, 100005, version);
        assert_int_equal(rpcclient_call(root, 1, &writer, &results), RPCCLIENT_PROC_UNAVAIL);
    }
    for (uint32_t version = 1; version <= 3; version++) {
        rpcclient_program(root, 100005, version);
        assert_int_equal(rpcclient_call(root, 0, NULL, &results), RPCCLIENT_SUCCESS);
        assert_true(reader_is_done(&results));
        assert_int_equal(rpcclient_call(root, 0, &writer, &results), RPCCLIENT_GARBAGE_ARGS);
        assert_int_equal(rpcclient_call(root, 5, &writer, &results), RPCCLIENT_GARBAGE_ARGS);
        assert_int_equal(rpcclient_call(root, 6, NULL, &results), RPCCLIENT_PROC_UNAVAIL);
    }
    writer_free(&writer);
    rpcclient_program(root, 100005, 4);
    assert_int_equal(rpcclient_call(root, 0, NULL, &results), RPCCLIENT_PROG_MISMATCH);
    assert_int_equal(root->low, 1);
    assert_int_equal(root->high, 3);
    memset(path, '/', 1025);
    assert_int_equal(mount3_mnt(root, path, &m), RPCCLIENT_GARBAGE_ARGS);
    memset(path, 'x', 1024);
    path[0] = path[2] = '/';
    path[1] = 'a';
    path[1024] = '\0';
    assert_int_equal(mount_status(path), NFS3ERR_NAMETOOLONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mounts_exports),      cmocka_unit_test(mounts_directories_within),
        cmocka_unit_test(any_flavour_may_ask), cmocka_unit_test(export_list),
        cmocka_unit_test(mount_list),          cmocka_unit_test(what_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
