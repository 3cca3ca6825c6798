/*
 * test_acl.c - access control lists: evaluation in order, owner's rights, inheritance, and the mode beside
 * them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "vfs/acl_priv.h"
#include "vfsworld.h"
#include <stdio.h>
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

enum { R = ACL_READ_DATA, W = ACL_WRITE_DATA, X = ACL_EXECUTE, OWNER = 1000, GROUP = 100, OTHER = 1001 };

static void set(struct inode *inode, uint16_t control, struct acl_ace *aces, unsigned count)
{
    struct acl acl = {.control = control, .count = (uint16_t)count, .aces = aces};

    assert_int_equal(vfs_acl_set(&world.root, inode, &acl), ERR_OK);
}
#define SET(inode, control, ...)                                                                             \
    set(inode, control, (struct acl_ace[]){__VA_ARGS__},                                                     \
        sizeof((struct acl_ace[]){__VA_ARGS__}) / sizeof(struct acl_ace))

static uint32_t mode_of(const struct inode *inode)
{
    return inode_attr(inode)->mode & 0777;
}

/* The list as text: "type flags who id mask" an entry. */
static const char *text_of(struct inode *inode)
{
    static char text[1000];
    struct arena arena;
    struct acl acl;

    arena_init(&arena, 0);
    text[0] = '\0';
    if (vfs_acl_get(&world.root, inode, &arena, &acl) == ERR_OK) {
        for (unsigned i = 0; i < acl.count; i++) {
            size_t at = strlen(text);

            snprintf(text + at, sizeof text - at, "%u:%x:%u:%u:%x ", acl.aces[i].type, acl.aces[i].flags,
                     (unsigned)acl.aces[i].who, acl.aces[i].id, acl.aces[i].mask);
        }
    }
    arena_reset(&arena);
    return text;
}

static void evaluation(void **state)
{
    const uint32_t own = ACL_READ_CONTROL | ACL_WRITE_DAC;
    static const struct {
        struct acl_ace aces[3];
        unsigned count;
        uint32_t owner, other;
        uint32_t mode;
    } rows[] = {
        {.count = 0, .owner = 0, .other = 0, .mode = 0},
        {{{.who = ACL_EVERYONE, .mask = R}}, 1, R, R, 0444},
        {{{.who = ACL_OWNER, .mask = R | W}}, 1, R | W, 0, 0600},
        {{{.who = ACL_UID, .id = OTHER, .mask = R | X}}, 1, 0, R | X, 0},
        {{{.who = ACL_GROUP, .mask = R}, {.who = ACL_GID, .id = 101, .mask = W}}, 2, R, W, 0040},
        /* The earlier entry counts. */
        {{{.type = ACL_DENIED, .who = ACL_UID, .id = OTHER, .mask = W}, {.who = ACL_EVERYONE, .mask = R | W}},
         2,
         R | W,
         R,
         0666},
        {{{.who = ACL_EVERYONE, .mask = R | W}, {.type = ACL_DENIED, .who = ACL_UID, .id = OTHER, .mask = W}},
         2,
         R | W,
         R | W,
         0666},
        {{{.flags = ACL_INHERIT_ONLY | ACL_OBJECT_INHERIT, .who = ACL_EVERYONE, .mask = R}}, 1, 0, 0, 0},
        {{{.who = ACL_CREATOR_OWNER, .mask = R}, {.who = ACL_NOBODY, .mask = R}}, 2, 0, 0, 0},
    };
    struct vfs_context owner = world_as(&world, OWNER, GROUP), other = world_as(&world, OTHER, 101);
    struct inode *file = world_make(&world, NULL, "f", INODE_FILE, 0644, OWNER, GROUP);

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct acl_ace aces[3];

        memcpy(aces, rows[i].aces, sizeof aces);
        set(file, 0, aces, rows[i].count);
        if (vfs_rights(&owner, file, NULL) != (rows[i].owner | own) ||
            vfs_rights(&other, file, NULL) != rows[i].other || mode_of(file) != rows[i].mode)
            fail_msg("row %zu: %x %x %o", i, vfs_rights(&owner, file, NULL), vfs_rights(&other, file, NULL),
                     mode_of(file));
    }
    assert_int_equal(vfs_rights(&world.root, file, NULL), ACL_ALL);
    SET(file, 0, {.who = ACL_OWNER_RIGHTS, .mask = R});
    assert_int_equal(vfs_rights(&owner, file, NULL), R);
    vfs_unref(&file);
    world_remove_all(&world, NULL, "f");
}

/* What NFS does goes by the list as well. */
static void gate(void **state)
{
    struct vfs_context other = world_as(&world, OTHER, 101);
    struct inode *dir = world_make(&world, NULL, "d", INODE_DIRECTORY, 0777, OWNER, GROUP);
    struct inode *file = world_make(&world, dir, "f", INODE_FILE, 0666, OWNER, GROUP), *made;
    struct vfs_create create = {.type = INODE_FILE};
    struct vfs_setattr chmod = {.set = VFS_SET_MODE, .mode = 0600},
                       chown = {.set = VFS_SET_UID, .uid = OTHER};
    bool created, eof;
    uint32_t got;
    char byte;

    (void)state;
    SET(file, 0, {.who = ACL_UID, .id = OTHER, .mask = W | ACL_DELETE | ACL_WRITE_OWNER});
    assert_int_equal(world_read(&world, &other, file, 0, &byte, 1, &got, &eof, VFS_IO_CHECK_MODE), ERR_ACCES);
    assert_int_equal(world_write(&world, &other, file, 0, "x", 1, VFS_IO_CHECK_MODE), ERR_OK);
    assert_int_equal(vfs_setattr(&other, file, &chmod, NULL, false), ERR_PERM);
    SET(dir, 0, {.who = ACL_UID, .id = OTHER, .mask = R | X | ACL_ADD_SUBDIRECTORY});
    assert_int_equal(vfs_create(&other, dir, world_name("n"), &create, &made, &created), ERR_ACCES);
    create.type = INODE_DIRECTORY;
    assert_int_equal(vfs_create(&other, dir, world_name("n"), &create, &made, &created), ERR_OK);
    vfs_unref(&made);
    assert_int_equal(vfs_remove(&other, dir, world_name("n"), VFS_REMOVE_ANY), ERR_ACCES);
    assert_int_equal(vfs_access(&other, dir, VFS_ACCESS_WRITE | VFS_ACCESS_READ), VFS_ACCESS_READ);
    assert_int_equal(vfs_setattr(&other, file, &chown, NULL, false), ERR_OK);
    assert_int_equal(inode_attr(file)->uid, OTHER);
    /* The file's own list lets it be deleted. */
    assert_int_equal(vfs_remove(&other, dir, world_name("f"), VFS_REMOVE_ANY), ERR_OK);
    SET(dir, 0, {.who = ACL_UID, .id = OTHER, .mask = ACL_DELETE_CHILD | X});
    assert_int_equal(vfs_remove(&other, dir, world_name("n"), VFS_REMOVE_ANY), ERR_OK);
    vfs_unref(&file);
    vfs_unref(&dir);
    world_remove_all(&world, NULL, "d");
}

static void inheritance(void **state)
{
    struct vfs_context smb = world_as(&world, OWNER, GROUP);
    struct inode *dir = world_make(&world, NULL, "d", INODE_DIRECTORY, 0777, 0, 0), *file, *sub;
    struct vfs_create create = {.type = INODE_FILE, .set = {.set = VFS_SET_MODE, .mode = 0640}};
    bool created;

    (void)state;
    smb.protocol = VFS_SMB;
    SET(dir, 0, {.who = ACL_EVERYONE, .mask = ACL_ALL},
        {.flags = ACL_OBJECT_INHERIT, .who = ACL_UID, .id = 7, .mask = R},
        {.flags = ACL_CONTAINER_INHERIT | ACL_OBJECT_INHERIT, .who = ACL_CREATOR_OWNER, .mask = W},
        {.flags = ACL_CONTAINER_INHERIT | ACL_NO_PROPAGATE, .who = ACL_GID, .id = 8, .mask = X});
    assert_int_equal(vfs_create(&smb, dir, world_name("f"), &create, &file, &created), ERR_OK);
    assert_string_equal(text_of(file), "0:0:4:7:1 0:0:4:1000:2 ");
    assert_int_equal(mode_of(file), 0200);
    create.type = INODE_DIRECTORY;
    assert_int_equal(vfs_create(&smb, dir, world_name("s"), &create, &sub, &created), ERR_OK);
    assert_string_equal(text_of(sub), "0:9:4:7:1 0:0:4:1000:2 0:b:6:0:2 0:0:5:8:20 ");
    vfs_unref(&sub);
    vfs_unref(&file);
    /* Automatic inheritance is marked; a mode that NFS names is set on top. */
    SET(dir, ACL_CONTROL_AUTO_INHERITED, {.who = ACL_EVERYONE, .mask = ACL_ALL},
        {.flags = ACL_OBJECT_INHERIT, .who = ACL_UID, .id = 7, .mask = R | W});
    create.type = INODE_FILE;
    assert_int_equal(vfs_create(&smb, dir, world_name("g"), &create, &file, &created), ERR_OK);
    assert_string_equal(text_of(file), "0:10:4:7:3 ");
    vfs_unref(&file);
    smb.protocol = VFS_NFS3;
    assert_int_equal(vfs_create(&smb, dir, world_name("h"), &create, &file, &created), ERR_OK);
    assert_int_equal(mode_of(file), 0640);
    assert_non_null(strstr(text_of(file), "0:10:4:7:1 "));
    vfs_unref(&file);
    /* Nothing to inherit. */
    SET(dir, 0, {.who = ACL_EVERYONE, .mask = ACL_ALL});
    assert_int_equal(vfs_create(&smb, dir, world_name("i"), &create, &file, &created), ERR_OK);
    assert_string_equal(text_of(file), "");
    assert_int_equal(mode_of(file), 0640);
    vfs_unref(&file);
    vfs_unref(&dir);
    world_remove_all(&world, NULL, "d");
}

/* RFC 8881 6.4.1.3, 6.4.3: a list that is named takes the place of what is inherited and comes behind the
 * mode, of which the bits above the lowest nine stay. */
static void explicit_list(void **state)
{
    struct acl_ace aces[] = {{.who = ACL_UID, .id = 7, .mask = R | W}, {.who = ACL_OWNER, .mask = R}};
    struct acl acl = {.control = ACL_CONTROL_PROTECTED, .count = 2, .aces = aces};
    struct vfs_context owner = world_as(&world, OWNER, GROUP), other = world_as(&world, OTHER, 101);
    struct inode *dir = world_make(&world, NULL, "d", INODE_DIRECTORY, 0777, 0, 0), *file, *link;
    struct vfs_create create = {.type = INODE_FILE,
                                .set = {.set = VFS_SET_MODE | VFS_SET_ACL, .mode = 04777, .acl = &acl}};
    struct vfs_setattr both = create.set;
    bool created;

    (void)state;
    SET(dir, 0, {.who = ACL_EVERYONE, .mask = ACL_ALL},
        {.flags = ACL_OBJECT_INHERIT, .who = ACL_UID, .id = 8, .mask = R});
    assert_int_equal(vfs_create(&owner, dir, world_name("f"), &create, &file, &created), ERR_OK);
    assert_string_equal(text_of(file), "0:0:4:7:3 0:0:2:0:1 ");
    assert_int_equal(inode_attr(file)->mode, 04400);
    aces[1].mask = R | W;
    both.mode = 02070;
    assert_int_equal(vfs_setattr(&other, file, &both, NULL, false), ERR_PERM);
    both.set = VFS_SET_ACL;
    assert_int_equal(vfs_setattr(&other, file, &both, NULL, false), ERR_PERM);
    both.set |= VFS_SET_MODE | VFS_SET_SIZE;
    both.size = 5;
    assert_int_equal(vfs_setattr(&owner, file, &both, NULL, false), ERR_OK);
    assert_string_equal(text_of(file), "0:0:4:7:3 0:0:2:0:3 ");
    assert_int_equal(inode_attr(file)->mode, 02600);
    assert_int_equal(inode_attr(file)->size, 5);
    /* One that can't be kept changes nothing, and nothing is made. */
    aces[0].type = 2;
    both.size = 6;
    assert_int_equal(vfs_setattr(&owner, file, &both, NULL, false), ERR_INVAL);
    assert_int_equal(inode_attr(file)->size, 5);
    vfs_unref(&file);
    assert_int_equal(vfs_create(&owner, dir, world_name("g"), &create, &file, &created), ERR_INVAL);
    assert_false(world_has(&world, dir, "g"));
    link = world_make(&world, dir, "l", INODE_SYMLINK, 0777, OWNER, GROUP);
    aces[0].type = 0;
    assert_int_equal(vfs_acl_set(&owner, link, &acl), ERR_WRONGTYPE);
    vfs_unref(&link);
    vfs_unref(&dir);
    world_remove_all(&world, NULL, "d");
}

/* RFC 8275 5: the umask is for what inherits no list. */
static void umasks(void **state)
{
    static const struct {
        uint8_t flags; /* of the directory's entry */
        uint32_t mode, umask, file, directory;
    } rows[] = {
        {0, 0666, 0022, 0644, 0644},
        {0, 02777, 0077, 02700, 02700},
        {ACL_OBJECT_INHERIT, 0666, 0022, 0666, 0666},
        {ACL_OBJECT_INHERIT, 0640, 0777, 0640, 0640},
        {ACL_CONTAINER_INHERIT, 0777, 0022, 0755, 0777},
    };
    struct inode *dir = world_make(&world, NULL, "d", INODE_DIRECTORY, 0777, 0, 0), *made;

    (void)state;
    for (size_t i = 0; i < 2 * sizeof rows / sizeof *rows; i++) {
        bool directory = i % 2 != 0;
        struct vfs_create create = {.type = directory ? INODE_DIRECTORY : INODE_FILE,
                                    .set = {.set = VFS_SET_MODE, .mode = rows[i / 2].mode},
                                    .umask = rows[i / 2].umask};
        uint32_t wanted = directory ? rows[i / 2].directory : rows[i / 2].file;
        bool created;

        SET(dir, 0, {.who = ACL_EVERYONE, .mask = ACL_ALL},
            {.flags = rows[i / 2].flags, .who = ACL_UID, .id = 7, .mask = R});
        assert_int_equal(vfs_create(&world.root, dir, world_name("n"), &create, &made, &created), ERR_OK);
        if (inode_attr(made)->mode != wanted || (vfs__acl_mode(made) & 0777) != (wanted & 0777))
            fail_msg("row %zu: %o, %o", i, inode_attr(made)->mode, vfs__acl_mode(made));
        vfs_unref(&made);
        world_remove_all(&world, dir, "n");
    }
    vfs_unref(&dir);
    world_remove_all(&world, NULL, "d");
}

/* The list that a mode means gives everybody what the mode gave. */
static void lists_of_modes(void **state)
{
    struct vfs_context users[] = {world_as(&world, OWNER, GROUP), world_as(&world, 1002, GROUP),
                                  world_as(&world, OTHER, 101)};
    struct inode *dir = world_make(&world, NULL, "d", INODE_DIRECTORY, 0, OWNER, GROUP);
    const unsigned all =
        VFS_ACCESS_READ | VFS_ACCESS_WRITE | VFS_ACCESS_EXECUTE | VFS_ACCESS_DELETE | VFS_ACCESS_SETATTR;

    (void)state;
    for (uint32_t mode = 0; mode <= 0777; mode++) {
        struct acl_ace aces[VFS_ACL_OF_MODE_MAX];
        unsigned by_mode[3];
        struct acl acl;

        acl = (struct acl){.count = 0};
        assert_int_equal(vfs_acl_set(&world.root, dir, &acl), ERR_OK);
        assert_int_equal(inode_set_blob(dir, VFS_BLOB_ACL, NULL, 0), ERR_OK);
        world_chmod(&world, dir, mode);
        for (int i = 0; i < 3; i++)
            by_mode[i] = vfs_access(&users[i], dir, all);
        vfs_acl_of_mode(inode_attr(dir), aces, &acl);
        assert_int_equal(vfs_acl_set(&world.root, dir, &acl), ERR_OK);
        assert_int_equal(mode_of(dir), mode);
        for (int i = 0; i < 3; i++)
            if (vfs_access(&users[i], dir, all) != by_mode[i])
                fail_msg("mode %o, user %d: %x, not %x", mode, i, vfs_access(&users[i], dir, all),
                         by_mode[i]);
    }
    vfs_unref(&dir);
    world_remove_all(&world, NULL, "d");
}

/* After chmod the mode is what the list means, for every class; what children inherit stays. */
static void chmods(void **state)
{
    static const uint32_t modes[] = {0777, 0640, 0070, 0007, 0604, 0};
    struct vfs_context owner = world_as(&world, OWNER, GROUP), member = world_as(&world, 1002, GROUP),
                       other = world_as(&world, OTHER, 101), named = world_as(&world, 7, 107);
    struct inode *dir = world_make(&world, NULL, "d", INODE_DIRECTORY, 0755, OWNER, GROUP);

    (void)state;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        const uint32_t data = R | W | X;
        struct vfs_setattr change = {.set = VFS_SET_MODE, .mode = modes[i]};
        uint32_t group = modes[i] >> 3 & 7;

        SET(dir, 0, {.who = ACL_UID, .id = 7, .mask = data},
            {.flags = ACL_OBJECT_INHERIT, .who = ACL_UID, .id = OTHER, .mask = R},
            {.who = ACL_UID, .id = OWNER, .mask = ACL_ALL});
        assert_int_equal(vfs_setattr(&owner, dir, &change, NULL, false), ERR_OK);
        assert_int_equal(mode_of(dir), modes[i]);
        assert_int_equal(vfs__acl_mode(dir) & 0777, modes[i]);
        assert_int_equal(vfs_access(&owner, dir, VFS_ACCESS_READ) != 0, (modes[i] & 0400) != 0);
        assert_int_equal(vfs_access(&member, dir, VFS_ACCESS_READ) != 0, (modes[i] & 0040) != 0);
        /* One with a name of his own has what the group has, and what everybody has. */
        if (group == 0 && (modes[i] & 7) == 0)
            assert_int_equal(vfs_rights(&named, dir, NULL) & data, 0);
        if (group & 4)
            assert_true(vfs_rights(&named, dir, NULL) & R);
        if (!(modes[i] & 4) && !(group & 4))
            assert_false(vfs_rights(&other, dir, NULL) & R);
        assert_non_null(strstr(text_of(dir), "0:9:4:1001:1 "));
    }
    vfs_unref(&dir);
    world_remove_all(&world, NULL, "d");
}

static void limits(void **state)
{
    struct inode *file = world_make(&world, NULL, "f", INODE_FILE, 0644, OWNER, GROUP), *again;
    struct vfs_context other = world_as(&world, OTHER, 101);
    struct acl_ace bad[] = {{.type = 2, .who = ACL_EVERYONE, .mask = R},
                            {.who = 77, .mask = R},
                            {.who = ACL_EVERYONE, .mask = 0x80000000}};
    static struct acl_ace many[ACL_ACES_MAX + 1];
    struct acl acl = {.count = 1};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        acl.aces = &bad[i];
        assert_int_equal(vfs_acl_set(&world.root, file, &acl), ERR_INVAL);
    }
    for (size_t i = 0; i < ACL_ACES_MAX + 1; i++)
        many[i] = (struct acl_ace){.who = ACL_UID, .id = (uint32_t)i, .mask = R};
    acl.aces = many;
    acl.count = ACL_ACES_MAX + 1;
    assert_int_equal(vfs_acl_set(&world.root, file, &acl), ERR_FBIG);
    acl.count = ACL_ACES_MAX;
    assert_int_equal(vfs_acl_set(&other, file, &acl), ERR_PERM);
    assert_int_equal(vfs_acl_set(&world.root, file, &acl), ERR_OK);
    assert_int_equal(mode_of(file), 0400); /* user 1000 is one of them */
    vfs_unref(&file);
    world_restart(&world);
    again = world_find(&world, NULL, "f");
    other = world_as(&world, 1999, 101);
    assert_int_equal(vfs_rights(&other, again, NULL), R);
    /* A list that lets everybody do everything. */
    acl = (struct acl){.everything = true};
    assert_int_equal(vfs_acl_set(&world.root, again, &acl), ERR_OK);
    assert_int_equal(vfs_rights(&other, again, NULL), ACL_ALL);
    assert_int_equal(mode_of(again), 0777);
    vfs_unref(&again);
    world_remove_all(&world, NULL, "f");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(evaluation), cmocka_unit_test(gate),           cmocka_unit_test(inheritance),
        cmocka_unit_test(chmods),     cmocka_unit_test(limits),         cmocka_unit_test(explicit_list),
        cmocka_unit_test(umasks),     cmocka_unit_test(lists_of_modes),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
