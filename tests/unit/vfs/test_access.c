/*
 * test_access.c - the gate: every operation against every class of user and every combination of mode bits,
 * then sticky directories, root, read-only exports and the bits that ACCESS answers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "vfs/vfs_priv.h"
#include "vfsworld.h"

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
    world_check_all_freed(&world, 1);
    world_stop(&world);
    return 0;
}

/* ---- operation x user x mode ---- */

enum { OWNER_UID = 1000, GROUP_GID = 100 };

static const uint32_t other_groups[] = {7, GROUP_GID, 9};

enum who { OWNER, GROUP, SUPPLEMENTARY, OTHER, ROOT, WHO_COUNT };

static struct vfs_context context_of(enum who who)
{
    static const struct {
        uint32_t uid, gid;
    } ids[WHO_COUNT] = {
        [OWNER] = {OWNER_UID, 5},
        [GROUP] = {2000, GROUP_GID},
        [SUPPLEMENTARY] = {2001, 5},
        [OTHER] = {3000, 5},
        [ROOT] = {0, 0},
    };
    struct vfs_context context = world_as(&world, ids[who].uid, ids[who].gid);

    if (who == SUPPLEMENTARY) {
        context.user.groups = other_groups;
        context.user.group_count = 3;
    }
    return context;
}

/* BITS for the class of WHO, and everything that they lack for the other classes: the wrong class would show.
 */
static uint32_t mode_for(enum who who, unsigned bits)
{
    unsigned rest = ~bits & 7;

    switch (who) {
    case OWNER:
        return bits << 6 | rest << 3 | rest;
    case GROUP:
    case SUPPLEMENTARY:
        return rest << 6 | bits << 3 | rest;
    default:
        return rest << 6 | rest << 3 | bits;
    }
}

struct fixture {
    struct inode *open;   /* a directory of mode 0777 without sticky bit */
    struct inode *dir;    /* the directory at test, OWNER's, with "file", "empty" */
    struct inode *file;   /* the file at test, OWNER's, in `open` */
    struct inode *second; /* OWNER's directory in `open`, 0777: for moving */
};

static struct fixture fixture_make(uint32_t mode)
{
    struct fixture fixture;
    struct inode *inode;

    fixture.open = world_make(&world, NULL, "open", INODE_DIRECTORY, 0777, 0, 0);
    fixture.dir = world_make(&world, fixture.open, "dir", INODE_DIRECTORY, mode, OWNER_UID, GROUP_GID);
    fixture.file = world_make(&world, fixture.open, "file", INODE_FILE, mode, OWNER_UID, GROUP_GID);
    fixture.second = world_make(&world, fixture.open, "second", INODE_DIRECTORY, 0777, 4000, 4000);
    inode = world_make(&world, fixture.dir, "file", INODE_FILE, 0644, 4000, 4000);
    vfs_unref(&inode);
    inode = world_make(&world, fixture.dir, "empty", INODE_DIRECTORY, 0777, 4000, 4000);
    vfs_unref(&inode);
    assert_int_equal(vfs_xattr_set(&world.root, fixture.file, world_name("x"), "1", 1, XATTR_EITHER), ERR_OK);
    return fixture;
}

static void fixture_drop(struct fixture *fixture)
{
    vfs_unref(&fixture->open);
    vfs_unref(&fixture->dir);
    vfs_unref(&fixture->file);
    vfs_unref(&fixture->second);
    world_remove_all(&world, NULL, "open");
}

static enum err do_lookup(struct vfs_context *context, struct fixture *at)
{
    struct inode *inode;
    enum err err = vfs_lookup(context, at->dir, world_name("file"), &inode);

    if (err == ERR_OK)
        vfs_unref(&inode);
    return err;
}

static enum err do_lookup_folded(struct vfs_context *context, struct fixture *at)
{
    struct inode *inode;
    uint8_t name[STORE_NAME_MAX];
    size_t length;
    enum err err = vfs_lookup_folded(context, at->dir, world_name("FILE"), &inode, name, &length);

    if (err == ERR_OK)
        vfs_unref(&inode);
    return err;
}

static enum err do_parent(struct vfs_context *context, struct fixture *at)
{
    struct inode *inode;
    enum err err = vfs_parent(context, at->dir, &inode);

    if (err == ERR_OK)
        vfs_unref(&inode);
    return err;
}

static bool take_none(void *data, const struct vfs_dirent *entry)
{
    (void)data, (void)entry;
    return false;
}

static enum err do_readdir(struct vfs_context *context, struct fixture *at)
{
    bool end;

    return vfs_readdir(context, at->dir, 0, false, take_none, NULL, &end);
}

static enum err create_type(struct vfs_context *context, struct fixture *at, enum inode_type type)
{
    struct vfs_create create = {.type = type, .how = VFS_CREATE_GUARDED};
    struct inode *inode;
    bool created;
    enum err err;

    if (type == INODE_SYMLINK) {
        create.target = (const uint8_t *)"t";
        create.target_length = 1;
    }
    err = vfs_create(context, at->dir, world_name("new"), &create, &inode, &created);
    if (err == ERR_OK)
        vfs_unref(&inode);
    return err;
}

static enum err do_create(struct vfs_context *context, struct fixture *at)
{
    return create_type(context, at, INODE_FILE);
}

static enum err do_mkdir(struct vfs_context *context, struct fixture *at)
{
    return create_type(context, at, INODE_DIRECTORY);
}

static enum err do_symlink(struct vfs_context *context, struct fixture *at)
{
    return create_type(context, at, INODE_SYMLINK);
}

static enum err do_mkfifo(struct vfs_context *context, struct fixture *at)
{
    return create_type(context, at, INODE_FIFO);
}

static enum err do_link(struct vfs_context *context, struct fixture *at)
{
    return vfs_link(context, at->file, at->dir, world_name("new"));
}

static enum err do_remove(struct vfs_context *context, struct fixture *at)
{
    return vfs_remove(context, at->dir, world_name("file"), VFS_REMOVE_NOT_DIRECTORY);
}

static enum err do_rmdir(struct vfs_context *context, struct fixture *at)
{
    return vfs_remove(context, at->dir, world_name("empty"), VFS_REMOVE_DIRECTORY);
}

static enum err do_rename_within(struct vfs_context *context, struct fixture *at)
{
    return vfs_rename(context, at->dir, world_name("file"), at->dir, world_name("new"), false);
}

static enum err do_rename_out(struct vfs_context *context, struct fixture *at)
{
    return vfs_rename(context, at->dir, world_name("file"), at->open, world_name("new"), false);
}

static enum err do_rename_in(struct vfs_context *context, struct fixture *at)
{
    return vfs_rename(context, at->open, world_name("second"), at->dir, world_name("new"), false);
}

static enum err do_rename_over(struct vfs_context *context, struct fixture *at)
{
    return vfs_rename(context, at->open, world_name("file"), at->dir, world_name("file"), false);
}

/* The directory at test moves: it needs write permission on it, for its "..". */
static enum err do_move_directory(struct vfs_context *context, struct fixture *at)
{
    return vfs_rename(context, at->open, world_name("dir"), at->second, world_name("new"), false);
}

/* And none to get another name in the same place. */
static enum err do_rename_directory(struct vfs_context *context, struct fixture *at)
{
    return vfs_rename(context, at->open, world_name("dir"), at->open, world_name("new"), false);
}

static enum err do_read(struct vfs_context *context, struct fixture *at)
{
    uint8_t byte;
    uint32_t got;
    bool eof;

    return world_read(&world, context, at->file, 0, &byte, 1, &got, &eof, VFS_IO_CHECK_MODE);
}

static enum err do_read_open(struct vfs_context *context, struct fixture *at)
{
    uint8_t byte;
    uint32_t got;
    bool eof;

    return world_read(&world, context, at->file, 0, &byte, 1, &got, &eof, VFS_IO_OPEN_HANDLE);
}

static enum err do_write(struct vfs_context *context, struct fixture *at)
{
    return world_write(&world, context, at->file, 0, "x", 1, VFS_IO_CHECK_MODE);
}

static enum err do_write_open(struct vfs_context *context, struct fixture *at)
{
    return world_write(&world, context, at->file, 0, "x", 1, VFS_IO_OPEN_HANDLE);
}

static enum err do_allocate(struct vfs_context *context, struct fixture *at)
{
    return vfs_allocate(context, at->file, 0, 4096, false, VFS_IO_CHECK_MODE);
}

static enum err do_deallocate(struct vfs_context *context, struct fixture *at)
{
    return vfs_deallocate(context, at->file, 0, 4096, VFS_IO_CHECK_MODE);
}

static enum err do_xattr_get(struct vfs_context *context, struct fixture *at)
{
    const uint8_t *value;
    size_t length;

    return vfs_xattr_get(context, at->file, world_name("x"), &value, &length);
}

static bool no_xattr(void *data, struct store_name name, size_t value_length)
{
    (void)data, (void)name, (void)value_length;
    return true;
}

static enum err do_xattr_list(struct vfs_context *context, struct fixture *at)
{
    return vfs_xattr_list(context, at->file, world_name(""), no_xattr, NULL);
}

static enum err do_xattr_set(struct vfs_context *context, struct fixture *at)
{
    return vfs_xattr_set(context, at->file, world_name("y"), "1", 1, XATTR_EITHER);
}

static enum err do_xattr_remove(struct vfs_context *context, struct fixture *at)
{
    return vfs_xattr_remove(context, at->file, world_name("x"));
}

static enum err do_truncate(struct vfs_context *context, struct fixture *at)
{
    struct vfs_setattr set = {.set = VFS_SET_SIZE, .size = 0};

    return vfs_setattr(context, at->file, &set, NULL, false);
}

static enum err do_truncate_open(struct vfs_context *context, struct fixture *at)
{
    struct vfs_setattr set = {.set = VFS_SET_SIZE, .size = 0};

    return vfs_setattr(context, at->file, &set, NULL, true);
}

static enum err do_touch(struct vfs_context *context, struct fixture *at)
{
    struct vfs_setattr set = {.atime_how = VFS_TIME_NOW, .mtime_how = VFS_TIME_NOW};

    return vfs_setattr(context, at->file, &set, NULL, false);
}

static enum err do_utimes(struct vfs_context *context, struct fixture *at)
{
    struct vfs_setattr set = {.mtime_how = VFS_TIME_SET, .mtime = {.seconds = 5}};

    return vfs_setattr(context, at->file, &set, NULL, true);
}

static enum err do_chmod(struct vfs_context *context, struct fixture *at)
{
    struct vfs_setattr set = {.set = VFS_SET_MODE, .mode = 0600};

    return vfs_setattr(context, at->file, &set, NULL, true);
}

static enum err do_chown(struct vfs_context *context, struct fixture *at)
{
    struct vfs_setattr set = {.set = VFS_SET_UID, .uid = 2000};

    return vfs_setattr(context, at->file, &set, NULL, true);
}

static enum err do_create_unchecked_truncating(struct vfs_context *context, struct fixture *at)
{
    struct vfs_create create = {
        .type = INODE_FILE, .how = VFS_CREATE_UNCHECKED, .set = {.set = VFS_SET_SIZE}};
    struct inode *inode;
    bool created;
    enum err err = vfs_create(context, at->open, world_name("file"), &create, &inode, &created);

    if (err == ERR_OK)
        vfs_unref(&inode);
    return err;
}

enum needs {
    ALL_OF,    /* every bit of `bits` */
    BE_OWNER,  /* owner or root, whatever the mode */
    BE_ROOT,   /* root alone */
    OWNER_TOO, /* every bit of `bits`, or be the owner */
    OWNER_ANY  /* one of them, or be the owner */
};

#define R PERMIT_READ
#define W PERMIT_WRITE
#define X PERMIT_EXECUTE

static const struct operation {
    const char *name;
    enum err (*run)(struct vfs_context *context, struct fixture *at);
    enum needs needs;
    unsigned bits;
    enum err refusal;
} operations[] = {
    {"lookup", do_lookup, ALL_OF, X, ERR_ACCES},
    {"lookup folded", do_lookup_folded, ALL_OF, X, ERR_ACCES},
    {"parent", do_parent, ALL_OF, X, ERR_ACCES},
    {"readdir", do_readdir, ALL_OF, R, ERR_ACCES},
    {"create", do_create, ALL_OF, W | X, ERR_ACCES},
    {"mkdir", do_mkdir, ALL_OF, W | X, ERR_ACCES},
    {"symlink", do_symlink, ALL_OF, W | X, ERR_ACCES},
    {"mkfifo", do_mkfifo, ALL_OF, W | X, ERR_ACCES},
    {"link", do_link, ALL_OF, W | X, ERR_ACCES},
    {"remove", do_remove, ALL_OF, W | X, ERR_ACCES},
    {"rmdir", do_rmdir, ALL_OF, W | X, ERR_ACCES},
    {"rename within", do_rename_within, ALL_OF, W | X, ERR_ACCES},
    {"rename out", do_rename_out, ALL_OF, W | X, ERR_ACCES},
    {"rename in", do_rename_in, ALL_OF, W | X, ERR_ACCES},
    {"rename over", do_rename_over, ALL_OF, W | X, ERR_ACCES},
    {"move directory", do_move_directory, ALL_OF, W, ERR_ACCES},
    {"rename directory", do_rename_directory, ALL_OF, 0, ERR_ACCES},
    {"read", do_read, OWNER_ANY, R | X, ERR_ACCES},
    {"read, opened", do_read_open, ALL_OF, 0, ERR_ACCES},
    {"write", do_write, OWNER_TOO, W, ERR_ACCES},
    {"write, opened", do_write_open, ALL_OF, 0, ERR_ACCES},
    {"allocate", do_allocate, OWNER_TOO, W, ERR_ACCES},
    {"deallocate", do_deallocate, OWNER_TOO, W, ERR_ACCES},
    {"xattr get", do_xattr_get, ALL_OF, R, ERR_ACCES},
    {"xattr list", do_xattr_list, ALL_OF, R, ERR_ACCES},
    {"xattr set", do_xattr_set, ALL_OF, W, ERR_ACCES},
    {"xattr remove", do_xattr_remove, ALL_OF, W, ERR_ACCES},
    {"truncate", do_truncate, OWNER_TOO, W, ERR_ACCES},
    {"truncate, opened", do_truncate_open, ALL_OF, 0, ERR_ACCES},
    {"create, truncating", do_create_unchecked_truncating, OWNER_TOO, W, ERR_ACCES},
    {"touch", do_touch, OWNER_TOO, W, ERR_ACCES},
    {"utimes", do_utimes, BE_OWNER, 0, ERR_PERM},
    {"chmod", do_chmod, BE_OWNER, 0, ERR_PERM},
    {"chown", do_chown, BE_ROOT, 0, ERR_PERM},
};

static bool is_allowed(const struct operation *operation, enum who who, unsigned bits)
{
    if (who == ROOT)
        return true;
    switch (operation->needs) {
    case ALL_OF:
        return (bits & operation->bits) == operation->bits;
    case BE_OWNER:
        return who == OWNER;
    case BE_ROOT:
        return false;
    case OWNER_TOO:
        return who == OWNER || (bits & operation->bits) == operation->bits;
    case OWNER_ANY:
        return who == OWNER || (bits & operation->bits) != 0;
    }
    return false;
}

static void every_operation(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        for (enum who who = OWNER; who < WHO_COUNT; who++) {
            for (unsigned bits = 0; bits < 8; bits++) {
                struct fixture fixture = fixture_make(mode_for(who, bits));
                struct vfs_context context = context_of(who);
                enum err expected = is_allowed(&operations[i], who, bits) ? ERR_OK : operations[i].refusal;
                enum err err = operations[i].run(&context, &fixture);

                if (err != expected)
                    fail_msg("%s by user class %d with bits %u: %s, not %s", operations[i].name, (int)who,
                             bits, err_name(err), err_name(expected));
                if (err != ERR_OK) {
                    assert_int_equal(context.ticket.batch, 0);
                    assert_int_equal(context.ticket.position, 0);
                }
                fixture_drop(&fixture);
            }
        }
    }
}

/* ---- sticky ---- */

static void sticky_directories(void **state)
{
    static const struct {
        uint32_t dir_uid, entry_uid, user;
        enum err expected;
    } cases[] = {
        {10, 20, 10, ERR_OK},    /* the directory's owner */
        {10, 20, 20, ERR_OK},    /* the entry's owner */
        {10, 20, 30, ERR_ACCES}, /* anybody else, though the directory is 0777 */
        {10, 20, 0, ERR_OK},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (unsigned run = 0; run < 4; run++) {
            struct inode *dir =
                world_make(&world, NULL, "sticky", INODE_DIRECTORY, 01777, cases[i].dir_uid, 1);
            struct inode *free = world_make(&world, NULL, "free", INODE_DIRECTORY, 0777, 99, 1);
            struct inode *inode = world_make(&world, dir, "f", INODE_FILE, 0666, cases[i].entry_uid, 1);
            struct inode *mine = world_make(&world, free, "f", INODE_FILE, 0666, cases[i].user, 1);
            struct vfs_context context = world_as(&world, cases[i].user, 5);
            enum err err = ERR_OK;

            switch (run) {
            case 0:
                err = vfs_remove(&context, dir, world_name("f"), VFS_REMOVE_ANY);
                break;
            case 1: /* out of it */
                err = vfs_rename(&context, dir, world_name("f"), free, world_name("g"), false);
                break;
            case 2: /* another name in it */
                err = vfs_rename(&context, dir, world_name("f"), dir, world_name("g"), false);
                break;
            case 3: /* over it */
                err = vfs_rename(&context, free, world_name("f"), dir, world_name("f"), false);
                break;
            }
            assert_int_equal(err, cases[i].expected);
            /* Adding is not hindered. */
            assert_int_equal(vfs_link(&context, mine, dir, world_name("added")), ERR_OK);
            vfs_unref(&inode);
            vfs_unref(&mine);
            vfs_unref(&dir);
            vfs_unref(&free);
            world_remove_all(&world, NULL, "sticky");
            world_remove_all(&world, NULL, "free");
        }
    }
}

/* ---- ACCESS ---- */

#define ALL_ACCESS                                                                                           \
    (VFS_ACCESS_READ | VFS_ACCESS_WRITE | VFS_ACCESS_EXECUTE | VFS_ACCESS_DELETE | VFS_ACCESS_SETATTR)

static void access_bits(void **state)
{
    static const struct {
        enum inode_type type;
        uint32_t mode, uid;
        unsigned expected;
    } cases[] = {
        /* owner 1000; bits of the class decide, also the owner's own lack */
        {INODE_FILE, 0600, 1000, VFS_ACCESS_READ | VFS_ACCESS_WRITE | VFS_ACCESS_SETATTR},
        {INODE_FILE, 0077, 1000, VFS_ACCESS_SETATTR},
        {INODE_FILE, 0601, 2000, VFS_ACCESS_EXECUTE},
        {INODE_FILE, 0604, 2000, VFS_ACCESS_READ},
        {INODE_FILE, 0607, 2000, VFS_ACCESS_READ | VFS_ACCESS_WRITE | VFS_ACCESS_EXECUTE},
        {INODE_DIRECTORY, 0700, 2000, 0},
        {INODE_DIRECTORY, 0702, 2000, 0}, /* not searchable: nothing can be changed in it */
        {INODE_DIRECTORY, 0703, 2000, VFS_ACCESS_WRITE | VFS_ACCESS_DELETE | VFS_ACCESS_EXECUTE},
        {INODE_DIRECTORY, 0704, 2000, VFS_ACCESS_READ},
        {INODE_DIRECTORY, 0000, 0, ALL_ACCESS},
        /* root executes only what somebody may execute */
        {INODE_FILE, 0666, 0, VFS_ACCESS_READ | VFS_ACCESS_WRITE | VFS_ACCESS_SETATTR},
        {INODE_FILE, 0010, 0, VFS_ACCESS_READ | VFS_ACCESS_WRITE | VFS_ACCESS_EXECUTE | VFS_ACCESS_SETATTR},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct inode *inode = world_make(&world, NULL, "a", cases[i].type, cases[i].mode, 1000, GROUP_GID);
        struct vfs_context context = world_as(&world, cases[i].uid, 5);

        assert_int_equal(vfs_access(&context, inode, ALL_ACCESS), cases[i].expected);
        for (unsigned bit = 1; bit <= VFS_ACCESS_SETATTR; bit <<= 1)
            assert_int_equal(vfs_access(&context, inode, bit), cases[i].expected & bit);
        vfs_unref(&inode);
        world_remove_all(&world, NULL, "a");
    }
}

/* ---- read-only, other trees ---- */

static void read_only_exports(void **state)
{
    struct vfs_export_config config = world_config("test");
    struct fixture fixture = fixture_make(0777);

    (void)state;
    config.read_only = true;
    assert_int_equal(vfs_exports_set(world.vfs, &config, 1), ERR_OK);
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        struct vfs_context context = world_as(&world, 0, 0);
        bool read = operations[i].run == do_lookup || operations[i].run == do_lookup_folded ||
                    operations[i].run == do_parent || operations[i].run == do_readdir ||
                    operations[i].run == do_read || operations[i].run == do_read_open ||
                    operations[i].run == do_xattr_get || operations[i].run == do_xattr_list;
        enum err err = operations[i].run(&context, &fixture);

        if (err != (read ? ERR_OK : ERR_ROFS))
            fail_msg("%s: %s", operations[i].name, err_name(err));
    }
    assert_int_equal(vfs_access(&world.root, fixture.dir, ALL_ACCESS), VFS_ACCESS_READ | VFS_ACCESS_EXECUTE);
    config.read_only = false;
    assert_int_equal(vfs_exports_set(world.vfs, &config, 1), ERR_OK);
    assert_int_equal(vfs_access(&world.root, fixture.dir, ALL_ACCESS), ALL_ACCESS);
    fixture_drop(&fixture);
}

static void inodes_of_another_tree(void **state)
{
    struct vfs_export_config configs[2] = {world_config("test"), world_config("other")};
    struct fixture fixture = fixture_make(0777);
    struct vfs_context context;

    (void)state;
    assert_int_equal(vfs_exports_set(world.vfs, configs, 2), ERR_OK);
    context = world.root;
    context.export = vfs_export_find(world.vfs, "other", 5);
    assert_non_null(context.export);
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        enum err err = operations[i].run(&context, &fixture);

        if (err != ERR_STALE)
            fail_msg("%s: %s", operations[i].name, err_name(err));
    }
    assert_int_equal(vfs_access(&context, fixture.dir, ALL_ACCESS), 0);
    assert_int_equal(vfs_exports_set(world.vfs, configs, 1), ERR_OK);
    fixture_drop(&fixture);
}

/* A directory that was removed while somebody holds it. */
static void removed_directory(void **state)
{
    struct inode *dir = world_make(&world, NULL, "gone", INODE_DIRECTORY, 0777, 0, 0);
    struct inode *file = world_make(&world, NULL, "f", INODE_FILE, 0666, 0, 0);
    struct vfs_create create = {.type = INODE_FILE, .how = VFS_CREATE_GUARDED};
    struct inode *inode;
    bool created;

    (void)state;
    assert_int_equal(vfs_remove(&world.root, world.top, world_name("gone"), VFS_REMOVE_DIRECTORY), ERR_OK);
    assert_int_equal(vfs_create(&world.root, dir, world_name("a"), &create, &inode, &created), ERR_STALE);
    assert_int_equal(vfs_link(&world.root, file, dir, world_name("a")), ERR_STALE);
    assert_int_equal(vfs_rename(&world.root, world.top, world_name("f"), dir, world_name("a"), false),
                     ERR_STALE);
    assert_int_equal(vfs_lookup(&world.root, dir, world_name("a"), &inode), ERR_NOENT);
    vfs_unref(&dir);
    vfs_unref(&file);
    world_remove_all(&world, NULL, "f");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation),
        cmocka_unit_test(sticky_directories),
        cmocka_unit_test(access_bits),
        cmocka_unit_test(read_only_exports),
        cmocka_unit_test(inodes_of_another_tree),
        cmocka_unit_test(removed_directory),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
