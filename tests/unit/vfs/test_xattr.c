/*
 * test_xattr.c - extended attributes: names, sizes, ways to set, types, listing, times.
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

static uint8_t large[STORE_XATTR_VALUE_MAX + 1];

static void set_get_remove(void **state)
{
    static const struct {
        const char *name;
        size_t length;
        enum xattr_how how;
        enum err expected;
    } steps[] = {
        {"a", 3, XATTR_REPLACE, ERR_NOXATTR},
        {"a", 3, XATTR_CREATE, ERR_OK},
        {"a", 4, XATTR_CREATE, ERR_EXIST},
        {"a", 5, XATTR_REPLACE, ERR_OK},
        {"a", 6, XATTR_EITHER, ERR_OK},
        {"b", 0, XATTR_EITHER, ERR_OK},
        {"a/b", 1, XATTR_EITHER, ERR_OK},
        {"..", 1, XATTR_EITHER, ERR_OK},
        {"c", STORE_XATTR_VALUE_MAX, XATTR_EITHER, ERR_OK},
        {"c", STORE_XATTR_VALUE_MAX + 1, XATTR_EITHER, ERR_XATTR2BIG},
        {"", 1, XATTR_EITHER, ERR_INVAL},
    };
    struct inode *inode = world_make(&world, NULL, "f", INODE_FILE, 0644, 0, 0);
    const uint8_t *value;
    size_t length, kept = 0;

    (void)state;
    for (size_t i = 0; i < sizeof large; i++)
        large[i] = (uint8_t)(i * 7);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        struct inode_attr before, after;
        enum err err;

        vfs_getattr(inode, &before);
        err = vfs_xattr_set(&world.root, inode, world_name(steps[i].name), large, steps[i].length,
                            steps[i].how);
        vfs_getattr(inode, &after);
        if (err != steps[i].expected)
            fail_msg("step %zu: %s", i, err_name(err));
        if (err != ERR_OK) {
            assert_memory_equal(&before, &after, sizeof before);
            continue;
        }
        assert_int_not_equal(before.change, after.change);
        assert_int_equal(timestamp_compare(after.ctime, before.ctime), 1);
        assert_int_equal(timestamp_compare(after.mtime, before.mtime), 0);
        assert_int_equal(vfs_xattr_get(&world.root, inode, world_name(steps[i].name), &value, &length),
                         ERR_OK);
        assert_int_equal(length, steps[i].length);
        if (length != 0)
            assert_memory_equal(value, large, length);
        kept = steps[i].length;
    }
    assert_int_equal(kept, STORE_XATTR_VALUE_MAX);
    vfs_unref(&inode);
    world_restart(&world);
    inode = world_find(&world, NULL, "f");
    assert_int_equal(vfs_xattr_get(&world.root, inode, world_name("a"), &value, &length), ERR_OK);
    assert_int_equal(length, 6);
    assert_int_equal(vfs_xattr_remove(&world.root, inode, world_name("a")), ERR_OK);
    assert_int_equal(vfs_xattr_remove(&world.root, inode, world_name("a")), ERR_NOXATTR);
    assert_int_equal(vfs_xattr_get(&world.root, inode, world_name("a"), &value, &length), ERR_NOXATTR);
    vfs_unref(&inode);
    world_remove_all(&world, NULL, "f");
}

static void names(void **state)
{
    static uint8_t bytes[STORE_XATTR_NAME_MAX + 1];
    struct inode *inode = world_make(&world, NULL, "f", INODE_FILE, 0644, 0, 0);
    struct store_name longest = {bytes, STORE_XATTR_NAME_MAX}, longer = {bytes, STORE_XATTR_NAME_MAX + 1};
    struct store_name nul = {(const uint8_t *)"a\0b", 3};
    const uint8_t *value;
    size_t length;

    (void)state;
    memset(bytes, 'n', sizeof bytes);
    assert_int_equal(vfs_xattr_set(&world.root, inode, longest, "v", 1, XATTR_EITHER), ERR_OK);
    assert_int_equal(vfs_xattr_get(&world.root, inode, longest, &value, &length), ERR_OK);
    assert_int_equal(vfs_xattr_set(&world.root, inode, longer, "v", 1, XATTR_EITHER), ERR_NAMETOOLONG);
    assert_int_equal(vfs_xattr_get(&world.root, inode, longer, &value, &length), ERR_NAMETOOLONG);
    assert_int_equal(vfs_xattr_remove(&world.root, inode, longer), ERR_NAMETOOLONG);
    assert_int_equal(vfs_xattr_set(&world.root, inode, nul, "v", 1, XATTR_EITHER), ERR_INVAL);
    assert_int_equal(vfs_xattr_get(&world.root, inode, world_name(""), &value, &length), ERR_INVAL);
    vfs_unref(&inode);
    world_remove_all(&world, NULL, "f");
}

static void types(void **state)
{
    const uint8_t *value;
    size_t length;

    (void)state;
    for (enum inode_type type = INODE_FILE; type <= INODE_CHARACTER_DEVICE; type++) {
        struct inode *inode = world_make(&world, NULL, "f", type, 0644, 0, 0);
        bool can = type == INODE_FILE || type == INODE_DIRECTORY;

        assert_int_equal(vfs_xattr_set(&world.root, inode, world_name("a"), "v", 1, XATTR_EITHER),
                         can ? ERR_OK : ERR_WRONGTYPE);
        assert_int_equal(vfs_xattr_get(&world.root, inode, world_name("a"), &value, &length),
                         can ? ERR_OK : ERR_WRONGTYPE);
        vfs_unref(&inode);
        world_remove_all(&world, NULL, "f");
    }
}

static void sticky_directory(void **state)
{
    struct inode *dir = world_make(&world, NULL, "d", INODE_DIRECTORY, 01777, 0, 0);
    struct vfs_context user = world_as(&world, 1000, 1000);

    (void)state;
    assert_int_equal(vfs_xattr_set(&user, dir, world_name("a"), "v", 1, XATTR_EITHER), ERR_PERM);
    world_chmod(&world, dir, 0777);
    assert_int_equal(vfs_xattr_set(&user, dir, world_name("a"), "v", 1, XATTR_EITHER), ERR_OK);
    vfs_unref(&dir);
    world_remove_all(&world, NULL, "d");
}

struct listed {
    char names[16];
    unsigned most;
};

static bool take(void *data, struct store_name name, size_t value_length)
{
    struct listed *listed = data;
    size_t at = strlen(listed->names);

    assert_int_equal(name.length, 1);
    assert_int_equal(value_length, name.bytes[0] - 'a');
    if (listed->most-- == 0)
        return false;
    listed->names[at] = (char)name.bytes[0];
    listed->names[at + 1] = '\0';
    return true;
}

static void listing(void **state)
{
    static const char *const order[] = {"d", "a", "c", "b", "e"};
    struct inode *inode = world_make(&world, NULL, "f", INODE_FILE, 0644, 0, 0);
    struct listed all = {.most = 10}, some = {.most = 2}, rest = {.most = 10};

    (void)state;
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(vfs_xattr_set(&world.root, inode, world_name(order[i]), large,
                                       (size_t)(order[i][0] - 'a'), XATTR_CREATE),
                         ERR_OK);
    assert_int_equal(vfs_xattr_list(&world.root, inode, world_name(""), take, &all), ERR_OK);
    assert_string_equal(all.names, "abcde");
    assert_int_equal(vfs_xattr_list(&world.root, inode, world_name(""), take, &some), ERR_OK);
    assert_string_equal(some.names, "ab");
    assert_int_equal(vfs_xattr_list(&world.root, inode, world_name("b"), take, &rest), ERR_OK);
    assert_string_equal(rest.names, "cde");
    vfs_unref(&inode);
    world_remove_all(&world, NULL, "f");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_get_remove),   cmocka_unit_test(names),   cmocka_unit_test(types),
        cmocka_unit_test(sticky_directory), cmocka_unit_test(listing),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
