/*
 * test_create.c - creating: what exists already, exclusive verifiers over restarts, owners and modes, types,
 * links and their count.
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

static enum err create_named(struct vfs_context *context, struct inode *dir, const char *name,
                             const struct vfs_create *create, struct inode **inode_r, bool *created_r)
{
    return vfs_create(context, dir == NULL ? world.top : dir, world_name(name), create, inode_r, created_r);
}

/* ---- over what is there ---- */

static void over_existing(void **state)
{
    static const struct {
        enum inode_type there;
        enum inode_type type;
        enum vfs_create_how how;
        enum vfs_protocol protocol;
        enum err expected;
    } cases[] = {
        {INODE_FILE, INODE_FILE, VFS_CREATE_UNCHECKED, VFS_NFS3, ERR_OK},
        {INODE_FILE, INODE_FILE, VFS_CREATE_UNCHECKED, VFS_NFS4, ERR_OK},
        {INODE_FILE, INODE_FILE, VFS_CREATE_GUARDED, VFS_NFS3, ERR_EXIST},
        {INODE_FILE, INODE_FILE, VFS_CREATE_EXCLUSIVE, VFS_NFS3, ERR_EXIST},
        {INODE_DIRECTORY, INODE_FILE, VFS_CREATE_UNCHECKED, VFS_NFS3, ERR_EXIST},
        {INODE_DIRECTORY, INODE_FILE, VFS_CREATE_UNCHECKED, VFS_NFS4, ERR_ISDIR},
        {INODE_DIRECTORY, INODE_FILE, VFS_CREATE_GUARDED, VFS_NFS4, ERR_EXIST},
        {INODE_DIRECTORY, INODE_FILE, VFS_CREATE_EXCLUSIVE, VFS_NFS4, ERR_EXIST},
        {INODE_SYMLINK, INODE_FILE, VFS_CREATE_UNCHECKED, VFS_NFS4, ERR_SYMLINK},
        {INODE_FIFO, INODE_FILE, VFS_CREATE_UNCHECKED, VFS_NFS4, ERR_WRONGTYPE},
        {INODE_DIRECTORY, INODE_DIRECTORY, VFS_CREATE_UNCHECKED, VFS_NFS4, ERR_EXIST},
        {INODE_FILE, INODE_DIRECTORY, VFS_CREATE_UNCHECKED, VFS_NFS4, ERR_EXIST},
        {INODE_FILE, INODE_SYMLINK, VFS_CREATE_UNCHECKED, VFS_NFS4, ERR_EXIST},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct inode *there = world_make(&world, NULL, "a", cases[i].there, 0640, 0, 0), *inode = NULL;
        struct vfs_create create = {
            .type = cases[i].type,
            .how = cases[i].how,
            .set = {.set = VFS_SET_MODE, .mode = 0777},
            .target = (const uint8_t *)"t",
            .target_length = 1,
        };
        struct vfs_context context = world.root;
        struct inode_attr before, after, top_before, top_after;
        bool created = true;
        enum err err;

        context.protocol = cases[i].protocol;
        context.ticket = (struct store_ticket){0};
        vfs_getattr(there, &before);
        vfs_getattr(world.top, &top_before);
        err = create_named(&context, NULL, "a", &create, &inode, &created);
        if (err != cases[i].expected)
            fail_msg("case %zu: %s", i, err_name(err));
        vfs_getattr(there, &after);
        vfs_getattr(world.top, &top_after);
        assert_memory_equal(&before, &after, sizeof before); /* its mode is not changed either */
        assert_memory_equal(&top_before, &top_after, sizeof top_before);
        if (err == ERR_OK) {
            assert_ptr_equal(inode, there);
            assert_false(created);
            vfs_unref(&inode);
        } else {
            assert_null(inode);
            assert_true(created);
        }
        vfs_unref(&there);
        world_remove_all(&world, NULL, "a");
    }
}

static void unchecked_truncates(void **state)
{
    struct inode *there = world_make(&world, NULL, "a", INODE_FILE, 0600, 1000, 1000), *inode;
    struct vfs_create create = {.type = INODE_FILE, .how = VFS_CREATE_UNCHECKED};
    struct vfs_context owner = world_as(&world, 1000, 1000), other = world_as(&world, 2000, 2000);
    bool created;

    (void)state;
    assert_int_equal(world_write(&world, &owner, there, 0, "12345", 5, VFS_IO_CHECK_MODE), ERR_OK);
    /* Without a size, and with one that is not 0, it stays as it is. */
    assert_int_equal(create_named(&owner, NULL, "a", &create, &inode, &created), ERR_OK);
    vfs_unref(&inode);
    create.set = (struct vfs_setattr){.set = VFS_SET_SIZE, .size = 2};
    assert_int_equal(create_named(&owner, NULL, "a", &create, &inode, &created), ERR_OK);
    vfs_unref(&inode);
    assert_int_equal(inode_attr(there)->size, 5);
    create.set.size = 0;
    assert_int_equal(create_named(&other, NULL, "a", &create, &inode, &created), ERR_ACCES);
    assert_int_equal(inode_attr(there)->size, 5);
    assert_int_equal(create_named(&owner, NULL, "a", &create, &inode, &created), ERR_OK);
    vfs_unref(&inode);
    assert_int_equal(inode_attr(there)->size, 0);
    assert_false(created);
    vfs_unref(&there);
    world_remove_all(&world, NULL, "a");
}

/* ---- exclusive ---- */

static struct vfs_create exclusive(const char *verifier)
{
    struct vfs_create create = {.type = INODE_FILE, .how = VFS_CREATE_EXCLUSIVE};

    memcpy(create.verifier, verifier, sizeof create.verifier);
    return create;
}

static void exclusive_replay(void **state)
{
    struct vfs_create mine = exclusive("verifier"), theirs = exclusive("VERIFIER");
    struct vfs_setattr chmod = {.set = VFS_SET_MODE, .mode = 0644};
    struct vfs_setattr times = {.atime_how = VFS_TIME_NOW, .mtime_how = VFS_TIME_NOW};
    struct inode *inode;
    uint64_t ino;
    bool created;

    (void)state;
    assert_int_equal(create_named(&world.root, NULL, "a", &mine, &inode, &created), ERR_OK);
    assert_true(created);
    ino = inode_attr(inode)->ino;
    assert_int_equal(inode_attr(inode)->mode & 0077, 0); /* nobody else gets in before its mode is set */
    vfs_unref(&inode);
    assert_int_equal(create_named(&world.root, NULL, "a", &theirs, &inode, &created), ERR_EXIST);
    for (unsigned round = 0; round < 3; round++) {
        /* The reply was lost; or the server was restarted in between; or a mode and data came first. */
        struct vfs_context context = world.root;

        context.ticket = (struct store_ticket){0};
        created = false;
        assert_int_equal(create_named(&context, NULL, "a", &mine, &inode, &created), ERR_OK);
        assert_true(created);
        assert_int_equal(inode_attr(inode)->ino, ino);
        if (round == 1) {
            assert_int_equal(vfs_setattr(&world.root, inode, &chmod, NULL, false), ERR_OK);
            assert_int_equal(world_write(&world, &world.root, inode, 0, "x", 1, VFS_IO_CHECK_MODE), ERR_OK);
        }
        if (round == 2)
            assert_int_equal(vfs_setattr(&world.root, inode, &times, NULL, false), ERR_OK);
        vfs_unref(&inode);
        world_restart(&world);
        assert_int_equal(create_named(&world.root, NULL, "a", &theirs, &inode, &created), ERR_EXIST);
    }
    /* Its times are set: the name is simply taken. */
    assert_int_equal(create_named(&world.root, NULL, "a", &mine, &inode, &created), ERR_EXIST);
    world_remove_all(&world, NULL, "a");
    assert_int_equal(create_named(&world.root, NULL, "a", &mine, &inode, &created), ERR_OK);
    assert_int_not_equal(inode_attr(inode)->ino, ino);
    vfs_unref(&inode);
    world_remove_all(&world, NULL, "a");
}

/* ---- what a new one looks like ---- */

static void initial_attributes(void **state)
{
    enum { MODE = VFS_SET_MODE, UID = VFS_SET_UID, GID = VFS_SET_GID, SETGID_DIR = 02777, DIR = 0777 };
    static const uint32_t groups[] = {300};
    static const struct {
        const char *what;
        uint32_t by;       /* 1000 is in 1000 and 300 */
        uint32_t dir_mode; /* of group 500 */
        enum inode_type type;
        unsigned set;
        uint32_t mode, uid, gid;
        uint32_t mode_after, uid_after, gid_after;
    } cases[] = {
        {"as given, no umask", 1000, DIR, INODE_FILE, MODE, 0666, 0, 0, 0666, 1000, 1000},
        {"as given, no umask", 1000, DIR, INODE_DIRECTORY, MODE, 0777, 0, 0, 0777, 1000, 1000},
        {"none given", 1000, DIR, INODE_FILE, 0, 0, 0, 0, 0600, 1000, 1000},
        {"none given", 1000, DIR, INODE_DIRECTORY, 0, 0, 0, 0, 0700, 1000, 1000},
        {"none given", 1000, DIR, INODE_SYMLINK, 0, 0, 0, 0, 0777, 1000, 1000},
        {"none given", 1000, DIR, INODE_FIFO, 0, 0, 0, 0, 0600, 1000, 1000},
        {"group of the directory", 1000, SETGID_DIR, INODE_FILE, MODE, 0644, 0, 0, 0644, 1000, 500},
        {"and its bit", 1000, SETGID_DIR, INODE_DIRECTORY, MODE, 0755, 0, 0, 02755, 1000, 500},
        {"root as well", 0, SETGID_DIR, INODE_DIRECTORY, MODE, 0755, 0, 0, 02755, 0, 500},
        {"a link", 1000, SETGID_DIR, INODE_SYMLINK, 0, 0, 0, 0, 0777, 1000, 500},
        {"set-id bits", 1000, DIR, INODE_FILE, MODE, 06755, 0, 0, 06755, 1000, 1000},
        {"of a strange group", 1000, SETGID_DIR, INODE_FILE, MODE, 06755, 0, 0, 04755, 1000, 500},
        {"by root", 0, SETGID_DIR, INODE_FILE, MODE, 06755, 0, 0, 06755, 0, 500},
        {"own group", 1000, DIR, INODE_FILE, GID, 0, 0, 300, 0600, 1000, 300},
        {"own group before the directory's", 1000, SETGID_DIR, INODE_FILE, GID, 0, 0, 300, 0600, 1000, 300},
        {"strange group", 1000, DIR, INODE_FILE, GID, 0, 0, 400, 0600, 1000, 1000},
        {"strange owner", 1000, DIR, INODE_FILE, UID, 0, 2000, 0, 0600, 1000, 1000},
        {"root gives", 0, DIR, INODE_FILE, UID | GID, 0, 2000, 400, 0600, 2000, 400},
        {"type bits are none", 1000, DIR, INODE_FILE, MODE, 0100644, 0, 0, 0644, 1000, 1000},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct inode *dir = world_make(&world, NULL, "dir", INODE_DIRECTORY, cases[i].dir_mode, 9, 500),
                     *inode;
        struct vfs_context context = world_as(&world, cases[i].by, cases[i].by);
        struct vfs_create create = {
            .type = cases[i].type,
            .how = VFS_CREATE_GUARDED,
            .set = {.set = cases[i].set, .mode = cases[i].mode, .uid = cases[i].uid, .gid = cases[i].gid},
            .target = (const uint8_t *)"t",
            .target_length = 1,
        };
        const struct inode_attr *attr;
        bool created;

        if (cases[i].by != 0) {
            context.user.groups = groups;
            context.user.group_count = 1;
        }
        assert_int_equal(create_named(&context, dir, "new", &create, &inode, &created), ERR_OK);
        attr = inode_attr(inode);
        if (attr->mode != cases[i].mode_after || attr->uid != cases[i].uid_after ||
            attr->gid != cases[i].gid_after)
            fail_msg("%s (%zu): %o %u:%u", cases[i].what, i, attr->mode, attr->uid, attr->gid);
        assert_int_equal(attr->type, cases[i].type);
        assert_int_equal(attr->nlink, cases[i].type == INODE_DIRECTORY ? 2 : 1);
        assert_int_equal(attr->parent, cases[i].type == INODE_DIRECTORY ? inode_attr(dir)->ino : 0);
        assert_int_not_equal(attr->ino, 0);
        vfs_unref(&inode);
        vfs_unref(&dir);
        world_remove_all(&world, NULL, "dir");
    }
}

static void initial_times_and_size(void **state)
{
    struct vfs_create create = {
        .type = INODE_FILE,
        .how = VFS_CREATE_UNCHECKED,
        .set = {.set = VFS_SET_SIZE | VFS_SET_BTIME | VFS_SET_DOS_ATTRIBUTES,
                .size = 12345,
                .btime = {.seconds = 1},
                .dos_attributes = 2,
                .atime_how = VFS_TIME_SET,
                .atime = {.seconds = 2},
                .mtime_how = VFS_TIME_SET,
                .mtime = {.seconds = 3}},
    };
    struct inode *inode;
    struct inode_attr attr, top;
    bool created;

    (void)state;
    assert_int_equal(create_named(&world.root, NULL, "a", &create, &inode, &created), ERR_OK);
    vfs_getattr(inode, &attr);
    vfs_getattr(world.top, &top);
    assert_int_equal(attr.size, 12345);
    assert_int_equal(attr.btime.seconds, 1);
    assert_int_equal(attr.atime.seconds, 2);
    assert_int_equal(attr.mtime.seconds, 3);
    assert_int_equal(attr.dos_attributes, 2);
    assert_int_equal(timestamp_compare(attr.ctime, top.mtime), 0);
    assert_int_equal(timestamp_compare(top.ctime, top.mtime), 0);
    vfs_unref(&inode);
    world_remove_all(&world, NULL, "a");
    create.set.size = STORE_FILE_SIZE_MAX + 1;
    assert_int_equal(create_named(&world.root, NULL, "a", &create, &inode, &created), ERR_FBIG);
    create.set.size = 1;
    create.type = INODE_DIRECTORY;
    assert_int_equal(create_named(&world.root, NULL, "a", &create, &inode, &created), ERR_INVAL);
    create.set.size = 0;
    create.set.mtime.nanoseconds = 1000000000;
    assert_int_equal(create_named(&world.root, NULL, "a", &create, &inode, &created), ERR_INVAL);
    assert_false(world_has(&world, NULL, "a"));
}

static void types(void **state)
{
    static uint8_t long_target[STORE_SYMLINK_MAX + 1];
    uint8_t target[STORE_SYMLINK_MAX];
    struct vfs_context user = world_as(&world, 1000, 1000);
    struct vfs_create create = {.how = VFS_CREATE_GUARDED, .device_major = 8, .device_minor = 17};
    struct inode *inode;
    size_t length;
    bool created;

    (void)state;
    world_chmod(&world, world.top, 0777);
    for (enum inode_type type = INODE_BLOCK_DEVICE; type <= INODE_CHARACTER_DEVICE; type++) {
        create.type = type;
        assert_int_equal(create_named(&user, NULL, "a", &create, &inode, &created), ERR_PERM);
        assert_int_equal(create_named(&world.root, NULL, "a", &create, &inode, &created), ERR_OK);
        assert_int_equal(inode_attr(inode)->device_major, 8);
        assert_int_equal(inode_attr(inode)->device_minor, 17);
        assert_int_equal(vfs_readlink(&world.root, inode, target, &length), ERR_INVAL);
        vfs_unref(&inode);
        world_remove_all(&world, NULL, "a");
    }
    create.type = INODE_SOCKET;
    assert_int_equal(create_named(&user, NULL, "a", &create, &inode, &created), ERR_OK);
    assert_int_equal(inode_attr(inode)->device_major, 0);
    vfs_unref(&inode);
    world_remove_all(&world, NULL, "a");
    create.type = INODE_STREAM;
    assert_int_equal(create_named(&world.root, NULL, "a", &create, &inode, &created), ERR_BADTYPE);

    create.type = INODE_SYMLINK;
    assert_int_equal(create_named(&user, NULL, "a", &create, &inode, &created), ERR_INVAL);
    memset(long_target, 't', sizeof long_target);
    create.target = long_target;
    create.target_length = STORE_SYMLINK_MAX + 1;
    assert_int_equal(create_named(&user, NULL, "a", &create, &inode, &created), ERR_NAMETOOLONG);
    create.target = (const uint8_t *)"a\0b";
    create.target_length = 3;
    assert_int_equal(create_named(&user, NULL, "a", &create, &inode, &created), ERR_INVAL);
    create.target = long_target;
    create.target_length = STORE_SYMLINK_MAX;
    assert_int_equal(create_named(&user, NULL, "a", &create, &inode, &created), ERR_OK);
    assert_int_equal(inode_attr(inode)->size, STORE_SYMLINK_MAX);
    assert_int_equal(vfs_readlink(&user, inode, target, &length), ERR_OK);
    assert_int_equal(length, STORE_SYMLINK_MAX);
    assert_memory_equal(target, long_target, length);
    vfs_unref(&inode);
    world_remove_all(&world, NULL, "a");
    world_chmod(&world, world.top, 0755);
}

/* ---- links ---- */

static void links(void **state)
{
    static const struct {
        enum inode_type type;
        enum err expected;
    } cases[] = {
        {INODE_FILE, ERR_OK},         {INODE_SYMLINK, ERR_OK},      {INODE_FIFO, ERR_OK},
        {INODE_SOCKET, ERR_OK},       {INODE_BLOCK_DEVICE, ERR_OK}, {INODE_CHARACTER_DEVICE, ERR_OK},
        {INODE_DIRECTORY, ERR_ISDIR},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct inode *inode = world_make(&world, NULL, "a", cases[i].type, 0644, 0, 0), *found;
        struct inode *dir = world_make(&world, NULL, "dir", INODE_DIRECTORY, 0755, 0, 0);
        struct inode_attr before, after;

        vfs_getattr(inode, &before);
        assert_int_equal(vfs_link(&world.root, inode, dir, world_name("b")), cases[i].expected);
        vfs_getattr(inode, &after);
        if (cases[i].expected == ERR_OK) {
            assert_int_equal(after.nlink, 2);
            assert_int_equal(timestamp_compare(after.ctime, before.ctime), 1);
            assert_int_equal(timestamp_compare(after.mtime, before.mtime), 0);
            assert_int_equal(timestamp_compare(after.ctime, inode_attr(dir)->mtime), 0);
            assert_int_equal(vfs_link(&world.root, inode, dir, world_name("b")), ERR_EXIST);
            assert_int_equal(inode_attr(inode)->nlink, 2);
            found = world_find(&world, dir, "b");
            assert_ptr_equal(found, inode);
            vfs_unref(&found);
            world_check_tree(&world);
            world_remove_all(&world, NULL, "a");
            assert_int_equal(inode_attr(inode)->nlink, 1);
            world_remove_all(&world, dir, "b");
            assert_int_equal(inode_attr(inode)->nlink, 0);
            /* It has no name and does not get one again. */
            assert_int_equal(vfs_link(&world.root, inode, dir, world_name("b")), ERR_STALE);
        } else {
            assert_memory_equal(&before, &after, sizeof before);
            world_remove_all(&world, NULL, "a");
        }
        vfs_unref(&inode);
        vfs_unref(&dir);
        world_remove_all(&world, NULL, "dir");
    }
}

static void link_limits(void **state)
{
    struct inode *file = world_make(&world, NULL, "f", INODE_FILE, 0644, 0, 0);
    struct inode *dir = world_make(&world, NULL, "d", INODE_DIRECTORY, 0755, 0, 0);
    struct inode *moved = world_make(&world, NULL, "m", INODE_DIRECTORY, 0755, 0, 0), *inode;
    struct vfs_create create = {.type = INODE_DIRECTORY, .how = VFS_CREATE_GUARDED};
    bool created;

    (void)state;
    inode_change(file)->nlink = STORE_LINK_MAX;
    assert_int_equal(vfs_link(&world.root, file, dir, world_name("g")), ERR_MLINK);
    assert_int_equal(inode_attr(file)->nlink, STORE_LINK_MAX);
    inode_change(file)->nlink = 1;
    inode_change(dir)->nlink = STORE_LINK_MAX;
    assert_int_equal(create_named(&world.root, dir, "sub", &create, &inode, &created), ERR_MLINK);
    assert_int_equal(vfs_rename(&world.root, world.top, world_name("m"), dir, world_name("m"), false),
                     ERR_MLINK);
    assert_true(dir_is_empty(dir));
    create.type = INODE_FILE; /* which adds no link to it */
    assert_int_equal(create_named(&world.root, dir, "sub", &create, &inode, &created), ERR_OK);
    vfs_unref(&inode);
    inode_change(dir)->nlink = 2;
    vfs_unref(&file);
    vfs_unref(&dir);
    vfs_unref(&moved);
    world_remove_all(&world, NULL, "f");
    world_remove_all(&world, NULL, "d");
    world_remove_all(&world, NULL, "m");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(over_existing),
        cmocka_unit_test(unchecked_truncates),
        cmocka_unit_test(exclusive_replay),
        cmocka_unit_test(initial_attributes),
        cmocka_unit_test(initial_times_and_size),
        cmocka_unit_test(types),
        cmocka_unit_test(links),
        cmocka_unit_test(link_limits),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
