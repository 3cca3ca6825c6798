/*
 * test_name.c - which names every operation refuses, and how; look-ups, parents, case.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "vfs/vfs_priv.h"
#include "vfsworld.h"
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
    world_check_all_freed(&world, 0);
    world_stop(&world);
    return 0;
}

static uint8_t long_name[STORE_NAME_MAX + 1];

#define BYTES(literal)                                                                                       \
    {                                                                                                        \
        .bytes = (const uint8_t *)(literal), .length = sizeof(literal) - 1                                   \
    }

static const struct {
    const char *what;
    struct store_name name;
    enum err expected;
} names[] = {
    {"empty", BYTES(""), ERR_INVAL},
    {"256 bytes", {.bytes = long_name, .length = 256}, ERR_NAMETOOLONG},
    {"a megabyte", {.bytes = long_name, .length = 1 << 20}, ERR_NAMETOOLONG},
    {"dot", BYTES("."), ERR_BADNAME},
    {"dot dot", BYTES(".."), ERR_BADNAME},
    {"slash", BYTES("/"), ERR_BADNAME},
    {"slash inside", BYTES("a/b"), ERR_BADNAME},
    {"slash at the end", BYTES("a/"), ERR_BADNAME},
    {"NUL", BYTES("\0"), ERR_BADNAME},
    {"NUL inside", BYTES("a\0b"), ERR_BADNAME},
    {"NUL at the end", BYTES("a\0"), ERR_BADNAME},
};

static void refused_names(void **state)
{
    struct inode *file = world_make(&world, NULL, "file", INODE_FILE, 0644, 0, 0);
    struct store_name good = world_name("good"), there = world_name("file");

    (void)state;
    memset(long_name, 'n', sizeof long_name);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct store_name name = names[i].name;
        struct vfs_create create = {.type = INODE_FILE, .how = VFS_CREATE_UNCHECKED};
        struct inode *inode;
        uint8_t stored[STORE_NAME_MAX];
        size_t length;
        bool created;
        enum err answers[8] = {
            vfs_lookup(&world.root, world.top, name, &inode),
            vfs_lookup_folded(&world.root, world.top, name, &inode, stored, &length),
            vfs_create(&world.root, world.top, name, &create, &inode, &created),
            vfs_link(&world.root, file, world.top, name),
            vfs_remove(&world.root, world.top, name, VFS_REMOVE_ANY),
            vfs_rename(&world.root, world.top, name, world.top, good, false),
            vfs_rename(&world.root, world.top, there, world.top, name, false),
            vfs__name_check(name),
        };

        for (size_t call = 0; call < 8; call++)
            if (answers[call] != names[i].expected)
                fail_msg("%s, call %zu: %s", names[i].what, call, err_name(answers[call]));
    }
    vfs_unref(&file);
    world_remove_all(&world, NULL, "file");
}

static void accepted_names(void **state)
{
    static const struct store_name accepted[] = {
        BYTES("..."), BYTES(".a"),  BYTES("..a"),
        BYTES(" "),   BYTES("\\"),  BYTES("\xff\xfe not utf-8"),
        BYTES("\n"),  BYTES("a:b"), {.bytes = long_name, .length = 255},
    };
    struct vfs_create create = {.type = INODE_FILE, .how = VFS_CREATE_GUARDED};

    (void)state;
    memset(long_name, 'n', sizeof long_name);
    for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++) {
        struct inode *made, *found;
        bool created;

        assert_int_equal(vfs_create(&world.root, world.top, accepted[i], &create, &made, &created), ERR_OK);
        assert_int_equal(vfs_lookup(&world.root, world.top, accepted[i], &found), ERR_OK);
        assert_ptr_equal(made, found);
        vfs_unref(&made);
        vfs_unref(&found);
        assert_int_equal(vfs_remove(&world.root, world.top, accepted[i], VFS_REMOVE_ANY), ERR_OK);
        assert_int_equal(vfs_lookup(&world.root, world.top, accepted[i], &found), ERR_NOENT);
    }
}

/* RFC 1813 3.3.3: LOOKUP takes "." and ".."; NFSv4 and SMB don't send them. */
static void dots(void **state)
{
    struct inode *dir = world_make(&world, NULL, "dir", INODE_DIRECTORY, 0755, 0, 0);
    struct vfs_context nfs3 = world.root;
    struct vfs_context stranger = world_as(&world, 1000, 1000);
    struct inode *inode;

    (void)state;
    nfs3.protocol = VFS_NFS3;
    stranger.protocol = VFS_NFS3;
    assert_int_equal(vfs_lookup(&nfs3, dir, world_name("."), &inode), ERR_OK);
    assert_ptr_equal(inode, dir);
    vfs_unref(&inode);
    assert_int_equal(vfs_lookup(&nfs3, dir, world_name(".."), &inode), ERR_OK);
    assert_ptr_equal(inode, world.top);
    vfs_unref(&inode);
    assert_int_equal(vfs_lookup(&nfs3, world.top, world_name(".."), &inode), ERR_OK);
    assert_ptr_equal(inode, world.top);
    vfs_unref(&inode);
    world_chmod(&world, dir, 0766);
    assert_int_equal(vfs_lookup(&stranger, dir, world_name("."), &inode), ERR_ACCES);
    assert_int_equal(vfs_lookup(&stranger, dir, world_name(".."), &inode), ERR_ACCES);
    assert_int_equal(vfs_parent(&world.root, dir, &inode), ERR_OK);
    assert_ptr_equal(inode, world.top);
    vfs_unref(&inode);
    assert_int_equal(vfs_parent(&world.root, world.top, &inode), ERR_OK);
    assert_ptr_equal(inode, world.top);
    vfs_unref(&inode);
    vfs_unref(&dir);
    world_remove_all(&world, NULL, "dir");
}

/* What is not a directory. */
static void not_a_directory(void **state)
{
    static const struct {
        enum inode_type type;
        enum vfs_protocol protocol;
        enum err lookup, others;
    } cases[] = {
        {INODE_FILE, VFS_NFS3, ERR_NOTDIR, ERR_NOTDIR},    {INODE_FILE, VFS_NFS4, ERR_NOTDIR, ERR_NOTDIR},
        {INODE_SYMLINK, VFS_NFS3, ERR_NOTDIR, ERR_NOTDIR}, {INODE_SYMLINK, VFS_NFS4, ERR_SYMLINK, ERR_NOTDIR},
        {INODE_FIFO, VFS_NFS4, ERR_NOTDIR, ERR_NOTDIR},
    };
    struct store_name name = world_name("n");

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct inode *not_dir = world_make(&world, NULL, "a", cases[i].type, 0777, 0, 0), *inode;
        struct vfs_create create = {.type = INODE_FILE, .how = VFS_CREATE_GUARDED};
        struct vfs_context context = world.root;
        bool flag;

        context.protocol = cases[i].protocol;
        assert_int_equal(vfs_lookup(&context, not_dir, name, &inode), cases[i].lookup);
        assert_int_equal(vfs_create(&context, not_dir, name, &create, &inode, &flag), cases[i].others);
        assert_int_equal(vfs_link(&context, not_dir, not_dir, name), cases[i].others);
        assert_int_equal(vfs_remove(&context, not_dir, name, VFS_REMOVE_ANY), cases[i].others);
        assert_int_equal(vfs_rename(&context, not_dir, name, world.top, name, false), cases[i].others);
        assert_int_equal(vfs_rename(&context, world.top, world_name("a"), not_dir, name, false),
                         cases[i].others);
        assert_int_equal(vfs_readdir(&context, not_dir, 0, false, NULL, NULL, &flag), cases[i].others);
        assert_int_equal(vfs_parent(&context, not_dir, &inode), cases[i].others);
        vfs_unref(&not_dir);
        world_remove_all(&world, NULL, "a");
    }
}

static void folded(void **state)
{
    struct inode *upper = world_make(&world, NULL, "NAME", INODE_FILE, 0644, 0, 0);
    struct inode *lower = world_make(&world, NULL, "name", INODE_FILE, 0644, 0, 0), *inode;
    uint8_t stored[STORE_NAME_MAX];
    size_t length;

    (void)state;
    assert_int_equal(vfs_lookup_folded(&world.root, world.top, world_name("name"), &inode, stored, &length),
                     ERR_OK);
    assert_ptr_equal(inode, lower); /* the exact one first */
    vfs_unref(&inode);
    assert_int_equal(vfs_lookup_folded(&world.root, world.top, world_name("NaMe"), &inode, stored, &length),
                     ERR_OK);
    assert_int_equal(length, 4);
    assert_memory_equal(stored, inode == upper ? "NAME" : "name", 4);
    vfs_unref(&inode);
    assert_int_equal(vfs_lookup(&world.root, world.top, world_name("NaMe"), &inode), ERR_NOENT);
    assert_int_equal(vfs_lookup_folded(&world.root, world.top, world_name("names"), &inode, stored, &length),
                     ERR_NOENT);
    vfs_unref(&upper);
    vfs_unref(&lower);
    world_remove_all(&world, NULL, "name");
    world_remove_all(&world, NULL, "NAME");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused_names),   cmocka_unit_test(accepted_names), cmocka_unit_test(dots),
        cmocka_unit_test(not_a_directory), cmocka_unit_test(folded),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
