/*
 * test_export.c - the set of exports and its reload; hosts, protocols, flavours; whom users are squashed to.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "vfs/vfs_priv.h"
#include "vfsworld.h"
#include <arpa/inet.h>
#include <string.h>

static struct world world;

static int start(void **state)
{
    (void)state;
    world_start(&world);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    world_check_tree(&world);
    world_stop(&world);
    return 0;
}

/* ---- the set ---- */

static void set_and_reload(void **state)
{
    struct vfs_export_config first[3] = {world_config("test"), world_config("zeta"), world_config("alpha")};
    struct vfs_export_config second[2] = {world_config("test"), world_config("beta")};
    struct vfs_export *alpha, *test, *at;
    uint64_t generation = vfs_exports_generation(world.vfs);
    uint32_t alpha_id, test_id;
    struct vfs_context context;
    struct vfs_user user = {.uid = 0};
    struct inode *inode;

    (void)state;
    assert_int_equal(vfs_exports_set(world.vfs, first, 3), ERR_OK);
    assert_int_not_equal(vfs_exports_generation(world.vfs), generation);
    generation = vfs_exports_generation(world.vfs);
    alpha = vfs_export_find(world.vfs, "alpha", 5);
    test = vfs_export_find(world.vfs, "test", 4);
    assert_ptr_equal(test, world.export);
    alpha_id = vfs_export_id(alpha);
    test_id = vfs_export_id(test);
    assert_int_not_equal(alpha_id, test_id);
    assert_int_not_equal(alpha_id, 0);
    assert_ptr_equal(vfs_export_by_id(world.vfs, alpha_id), alpha);
    assert_null(vfs_export_by_id(world.vfs, 0));
    assert_null(vfs_export_by_id(world.vfs, UINT32_MAX));
    /* In order of names. */
    at = vfs_export_next(world.vfs, NULL);
    assert_string_equal(vfs_export_config(at)->name, "alpha");
    at = vfs_export_next(world.vfs, at);
    assert_string_equal(vfs_export_config(at)->name, "test");
    at = vfs_export_next(world.vfs, at);
    assert_string_equal(vfs_export_config(at)->name, "zeta");
    assert_null(vfs_export_next(world.vfs, at));
    /* The same set again: nothing that a client sees has changed. */
    first[1].read_only = true;
    assert_int_equal(vfs_exports_set(world.vfs, first, 3), ERR_OK);
    assert_int_equal(vfs_exports_generation(world.vfs), generation);
    assert_true(vfs_export_config(vfs_export_find(world.vfs, "zeta", 4))->read_only);

    assert_int_equal(vfs_context_init(&context, world.vfs, alpha, VFS_NFS4, VFS_SEC_SYS, NULL, &user),
                     ERR_OK);
    assert_int_equal(vfs_exports_set(world.vfs, second, 2), ERR_OK);
    assert_int_not_equal(vfs_exports_generation(world.vfs), generation);
    assert_null(vfs_export_find(world.vfs, "alpha", 5));
    assert_null(vfs_export_by_id(world.vfs, alpha_id));
    assert_ptr_equal(vfs_export_find(world.vfs, "test", 4), test);
    assert_int_equal(vfs_export_id(test), test_id);
    /* Whoever still has a context of it gets to know. */
    assert_int_equal(vfs_root(&context, &inode), ERR_STALE);
    assert_int_equal(vfs_context_init(&context, world.vfs, alpha, VFS_NFS4, VFS_SEC_SYS, NULL, &user),
                     ERR_STALE);
    assert_int_equal(vfs_exports_set(world.vfs, first, 3), ERR_OK);
    assert_int_equal(vfs_export_id(vfs_export_find(world.vfs, "alpha", 5)), alpha_id);
    /* Also over a restart, in another order of making. */
    world_restart(&world);
    assert_int_equal(vfs_exports_set(world.vfs, second, 2), ERR_OK);
    assert_int_equal(vfs_exports_set(world.vfs, first, 3), ERR_OK);
    assert_int_equal(vfs_export_id(vfs_export_find(world.vfs, "alpha", 5)), alpha_id);
    assert_int_equal(vfs_export_id(vfs_export_find(world.vfs, "test", 4)), test_id);
    assert_int_equal(vfs_exports_set(world.vfs, first, 1), ERR_OK);
}

static void find_by_name(void **state)
{
    struct vfs_export_config configs[4] = {world_config("test"), world_config("te"), world_config("testing"),
                                           world_config("a b")};

    (void)state;
    assert_int_equal(vfs_exports_set(world.vfs, configs, 4), ERR_OK);
    assert_ptr_equal(vfs_export_find(world.vfs, "test", 4), world.export);
    assert_ptr_equal(vfs_export_find(world.vfs, "testing", 4), world.export);
    assert_string_equal(vfs_export_config(vfs_export_find(world.vfs, "te", 2))->name, "te");
    assert_string_equal(vfs_export_config(vfs_export_find(world.vfs, "testing", 7))->name, "testing");
    assert_string_equal(vfs_export_config(vfs_export_find(world.vfs, "a b", 3))->name, "a b");
    assert_null(vfs_export_find(world.vfs, "t", 1));
    assert_null(vfs_export_find(world.vfs, "tes", 3));
    assert_null(vfs_export_find(world.vfs, "", 0));
    assert_null(vfs_export_find(world.vfs, "test\0", 5));
    assert_null(vfs_export_find(world.vfs, "\0", 1));
    assert_null(vfs_export_find(world.vfs, "Test", 4));
    assert_int_equal(vfs_exports_set(world.vfs, configs, 1), ERR_OK);
}

static char name_of_81[82];

/* All or nothing. */
static void refused_sets(void **state)
{
    static const struct vfs_host_rule rule = {.prefix_bits = 129};
    struct vfs_export_config bad[9];
    struct vfs_export_config configs[3] = {world_config("fresh"), world_config("test")};
    uint64_t generation = vfs_exports_generation(world.vfs);
    char name_of_80[81];

    (void)state;
    memset(name_of_81, 'x', 81);
    for (size_t i = 0; i < 9; i++)
        bad[i] = world_config("bad");
    bad[0].name = "";
    bad[1].name = NULL;
    bad[2].name = "a/b";
    bad[3].name = "..";
    bad[4].name = name_of_81;
    bad[5].name = "test"; /* twice */
    bad[6].hosts_allow = bad[7].hosts_deny = &rule;
    bad[6].hosts_allow_count = bad[7].hosts_deny_count = 1;
    bad[8].squash = 7;
    for (size_t i = 0; i < 9; i++) {
        configs[2] = bad[i];
        if (vfs_exports_set(world.vfs, configs, 3) != ERR_CONFIG)
            fail_msg("bad configuration %zu was taken", i);
        assert_null(vfs_export_find(world.vfs, "fresh", 5));
        assert_ptr_equal(vfs_export_find(world.vfs, "test", 4), world.export);
        assert_int_equal(vfs_exports_generation(world.vfs), generation);
    }
    memset(name_of_80, 'x', 80);
    name_of_80[80] = '\0';
    configs[2] = world_config(name_of_80);
    assert_int_equal(vfs_exports_set(world.vfs, configs, 3), ERR_OK);
    assert_non_null(vfs_export_find(world.vfs, name_of_80, 80));
    assert_null(vfs_export_find(world.vfs, name_of_81, 81));
    assert_int_equal(vfs_exports_set(world.vfs, NULL, 0), ERR_OK);
    assert_null(vfs_export_next(world.vfs, NULL));
    assert_int_equal(vfs_exports_set(world.vfs, &configs[1], 1), ERR_OK);
}

/* The configured mode and owner are the root's when the tree is made, and only then. */
static void root_directory(void **state)
{
    struct vfs_export_config configs[2] = {world_config("test"), world_config("rooted")};
    struct vfs_context context;
    struct vfs_user user = {.uid = 0};
    struct vfs_setattr set = {.set = VFS_SET_MODE, .mode = 0711};
    struct inode *root;

    (void)state;
    configs[1].root_mode = 01770;
    configs[1].root_uid = 12;
    configs[1].root_gid = 34;
    for (unsigned round = 0; round < 3; round++) {
        assert_int_equal(vfs_exports_set(world.vfs, configs, 2), ERR_OK);
        assert_int_equal(vfs_context_init(&context, world.vfs, vfs_export_find(world.vfs, "rooted", 6),
                                          VFS_NFS3, VFS_SEC_SYS, NULL, &user),
                         ERR_OK);
        assert_int_equal(vfs_root(&context, &root), ERR_OK);
        assert_int_equal(inode_attr(root)->mode, round == 0 ? 01770 : 0711);
        assert_int_equal(inode_attr(root)->uid, 12);
        assert_int_equal(inode_attr(root)->gid, 34);
        assert_int_equal(inode_attr(root)->nlink, 2);
        assert_int_equal(vfs_setattr(&context, root, &set, NULL, false), ERR_OK);
        vfs_unref(&root);
        configs[1].root_mode = 0777;
        configs[1].root_uid = 56;
        if (round == 0)
            assert_int_equal(vfs_exports_set(world.vfs, configs, 1), ERR_OK);
        else
            world_restart(&world);
    }
    assert_int_equal(vfs_exports_set(world.vfs, configs, 1), ERR_OK);
}

/* ---- hosts ---- */

static struct net_address address(const char *text)
{
    struct net_address address;

    memset(&address, 0, sizeof address);
    if (inet_pton(AF_INET, text, &address.sa.v4.sin_addr) == 1)
        address.sa.v4.sin_family = AF_INET;
    else if (inet_pton(AF_INET6, text, &address.sa.v6.sin6_addr) == 1)
        address.sa.v6.sin6_family = AF_INET6;
    return address;
}

static struct vfs_host_rule rule(const char *text, unsigned bits)
{
    struct net_address from = address(text);
    struct vfs_host_rule made = {.address = {[10] = 0xff, [11] = 0xff}, .prefix_bits = (uint8_t)bits};

    if (from.sa.any.sa_family == AF_INET) {
        memcpy(made.address + 12, &from.sa.v4.sin_addr, 4);
        made.prefix_bits = (uint8_t)(bits + 96);
    } else {
        memcpy(made.address, &from.sa.v6.sin6_addr, 16);
    }
    return made;
}

static void hosts(void **state)
{
    static const struct {
        const char *allow;
        unsigned allow_bits;
        const char *deny;
        unsigned deny_bits;
        const char *peer;
        bool expected;
    } cases[] = {
        {NULL, 0, NULL, 0, "1.2.3.4", true},
        {NULL, 0, NULL, 0, "::1", true},
        {NULL, 0, NULL, 0, "neither", true},
        {"10.0.0.0", 8, NULL, 0, "10.255.255.255", true},
        {"10.0.0.0", 8, NULL, 0, "11.0.0.0", false},
        {"10.0.0.0", 8, NULL, 0, "9.255.255.255", false},
        {"10.0.0.0", 8, NULL, 0, "neither", false},
        {"192.168.1.4", 32, NULL, 0, "192.168.1.4", true},
        {"192.168.1.4", 32, NULL, 0, "192.168.1.5", false},
        {"192.168.1.4", 31, NULL, 0, "192.168.1.5", true},
        {"192.168.1.4", 31, NULL, 0, "192.168.1.6", false},
        {"192.168.0.0", 17, NULL, 0, "192.168.127.1", true},
        {"192.168.0.0", 17, NULL, 0, "192.168.128.1", false},
        {"0.0.0.0", 0, NULL, 0, "200.1.1.1", true},
        {"0.0.0.0", 0, NULL, 0, "2001:db8::1", false},
        {"::", 0, NULL, 0, "200.1.1.1", true},
        {"::", 0, NULL, 0, "2001:db8::1", true},
        {"2001:db8::", 32, NULL, 0, "2001:db8:ffff::1", true},
        {"2001:db8::", 32, NULL, 0, "2001:db9::1", false},
        {"2001:db8::", 33, NULL, 0, "2001:db8:8000::1", false},
        {"2001:db8::1", 128, NULL, 0, "2001:db8::1", true},
        {"2001:db8::1", 128, NULL, 0, "2001:db8::", false},
        {NULL, 0, "10.0.0.0", 8, "10.1.1.1", false},
        {NULL, 0, "10.0.0.0", 8, "11.1.1.1", true},
        {NULL, 0, "10.0.0.0", 8, "neither", false},
        {"10.1.0.0", 16, "10.0.0.0", 8, "10.1.1.1", true},  /* allowed comes first */
        {"10.1.0.0", 16, "10.0.0.0", 8, "10.2.1.1", false}, /* denied */
        {"10.1.0.0", 16, "10.0.0.0", 8, "11.1.1.1", true},  /* named by none */
        {"10.1.0.0", 16, "0.0.0.0", 0, "11.1.1.1", false},
    };
    struct vfs_export_config config = world_config("test");
    struct vfs_user user = {.uid = 5};
    struct vfs_context context;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct net_address peer = address(cases[i].peer);
        struct vfs_host_rule allow, deny;

        config = world_config("test");
        if (cases[i].allow != NULL) {
            allow = rule(cases[i].allow, cases[i].allow_bits);
            config.hosts_allow = &allow;
            config.hosts_allow_count = 1;
        }
        if (cases[i].deny != NULL) {
            deny = rule(cases[i].deny, cases[i].deny_bits);
            config.hosts_deny = &deny;
            config.hosts_deny_count = 1;
        }
        assert_int_equal(vfs_exports_set(world.vfs, &config, 1), ERR_OK);
        memset(&allow, 0xa5, sizeof allow); /* they were copied */
        memset(&deny, 0xa5, sizeof deny);
        if (vfs_export_allows_host(world.export, &peer) != cases[i].expected)
            fail_msg("host case %zu: %s", i, cases[i].peer);
        assert_int_equal(
            vfs_context_init(&context, world.vfs, world.export, VFS_NFS3, VFS_SEC_SYS, &peer, &user),
            cases[i].expected ? ERR_OK : ERR_ACCES);
    }
    config = world_config("test");
    assert_int_equal(vfs_exports_set(world.vfs, &config, 1), ERR_OK);
}

static void protocols_and_flavours(void **state)
{
    static const unsigned protocols[] = {VFS_NFS3, VFS_NFS4, VFS_SMB};
    static const unsigned flavours[] = {VFS_SEC_SYS, VFS_SEC_KRB5, VFS_SEC_KRB5I, VFS_SEC_KRB5P,
                                        VFS_SEC_NONE};
    struct vfs_export_config config = world_config("test");
    struct vfs_user user = {.uid = 5};
    struct vfs_context context;

    (void)state;
    for (unsigned has_protocols = 0; has_protocols < 8; has_protocols++) {
        for (unsigned has_flavours = 0; has_flavours < 32; has_flavours++) {
            config.protocols = has_protocols;
            config.security = has_flavours;
            assert_int_equal(vfs_exports_set(world.vfs, &config, 1), ERR_OK);
            for (size_t p = 0; p < 3; p++) {
                for (size_t f = 0; f < 5; f++) {
                    enum err expected = (has_protocols & protocols[p]) == 0 ? ERR_ACCES
                                        : (has_flavours & flavours[f]) == 0 ? ERR_WRONGSEC
                                                                            : ERR_OK;

                    assert_int_equal(vfs_context_init(&context, world.vfs, world.export, protocols[p],
                                                      flavours[f], NULL, &user),
                                     expected);
                }
            }
        }
    }
    config = world_config("test");
    assert_int_equal(vfs_exports_set(world.vfs, &config, 1), ERR_OK);
}

/* ---- squashing ---- */

static void squashing(void **state)
{
    static const uint32_t groups[] = {0, 44};
    static const struct {
        enum vfs_squash squash;
        unsigned flavour;
        uint32_t anonymous;
        uint32_t uid, gid;
        uint32_t uid_after, gid_after;
        bool root, group_0, group_44;
    } cases[] = {
        {VFS_SQUASH_NONE, VFS_SEC_SYS, 99, 0, 0, 0, 0, true, true, true},
        {VFS_SQUASH_NONE, VFS_SEC_SYS, 99, 7, 8, 7, 8, false, true, true},
        {VFS_SQUASH_ROOT, VFS_SEC_SYS, 99, 0, 0, 99, 99, false, false, true},
        {VFS_SQUASH_ROOT, VFS_SEC_SYS, 99, 0, 5, 99, 5, false, false, true},
        {VFS_SQUASH_ROOT, VFS_SEC_SYS, 99, 7, 0, 7, 99, false, false, true},
        {VFS_SQUASH_ROOT, VFS_SEC_KRB5, 99, 7, 8, 7, 8, false, false, true},
        {VFS_SQUASH_ALL, VFS_SEC_SYS, 99, 7, 8, 99, 99, false, false, false},
        {VFS_SQUASH_ALL, VFS_SEC_SYS, 99, 0, 0, 99, 99, false, false, false},
        {VFS_SQUASH_ALL, VFS_SEC_SYS, 0, 7, 8, 0, 0, true, true, false},
        {VFS_SQUASH_NONE, VFS_SEC_NONE, 99, 0, 0, 99, 99, false, false, false},
    };
    struct vfs_export_config config = world_config("test");

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct vfs_user user = {.uid = cases[i].uid, .gid = cases[i].gid, .group_count = 2, .groups = groups};
        struct vfs_context context;

        config.squash = cases[i].squash;
        config.anonymous_uid = config.anonymous_gid = cases[i].anonymous;
        assert_int_equal(vfs_exports_set(world.vfs, &config, 1), ERR_OK);
        assert_int_equal(
            vfs_context_init(&context, world.vfs, world.export, VFS_NFS3, cases[i].flavour, NULL, &user),
            ERR_OK);
        assert_int_equal(context.user.uid, cases[i].uid_after);
        assert_int_equal(context.user.gid, cases[i].gid_after);
        assert_int_equal(context.is_root, cases[i].root);
        assert_int_equal(vfs__in_group(&context, 0), cases[i].group_0);
        assert_int_equal(vfs__in_group(&context, 44), cases[i].group_44);
        assert_false(vfs__in_group(&context, 45));
        assert_true(vfs__in_group(&context, cases[i].gid_after));
        assert_int_equal(context.ticket.batch, 0);
        assert_int_equal(context.owner, 0);
    }
    config = world_config("test");
    assert_int_equal(vfs_exports_set(world.vfs, &config, 1), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_and_reload), cmocka_unit_test(find_by_name),
        cmocka_unit_test(refused_sets),   cmocka_unit_test(root_directory),
        cmocka_unit_test(hosts),          cmocka_unit_test(protocols_and_flavours),
        cmocka_unit_test(squashing),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
