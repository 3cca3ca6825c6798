/*
 * test_rename.c - rename: every kind of source over every kind of target, in one directory and across two;
 * subtrees, links, exports, permissions of both sides, and a long random walk that keeps the tree true.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "vfs/vfs_priv.h"
#include "vfsworld.h"
#include <stdio.h>

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

/* ---- the matrix ---- */

enum kind { NOTHING, A_FILE, A_LINK, A_FIFO, EMPTY_DIR, FULL_DIR, SAME_FILE, KIND_COUNT };

static void make_kind(struct inode *dir, const char *name, enum kind kind, struct inode *source)
{
    struct inode *inode = NULL, *inner;

    switch (kind) {
    case NOTHING:
    case KIND_COUNT:
        return;
    case A_FILE:
        inode = world_make(&world, dir, name, INODE_FILE, 0644, 0, 0);
        break;
    case A_LINK:
        inode = world_make(&world, dir, name, INODE_SYMLINK, 0777, 0, 0);
        break;
    case A_FIFO:
        inode = world_make(&world, dir, name, INODE_FIFO, 0644, 0, 0);
        break;
    case EMPTY_DIR:
        inode = world_make(&world, dir, name, INODE_DIRECTORY, 0755, 0, 0);
        break;
    case FULL_DIR:
        inode = world_make(&world, dir, name, INODE_DIRECTORY, 0755, 0, 0);
        inner = world_make(&world, inode, "inner", INODE_DIRECTORY, 0755, 0, 0);
        vfs_unref(&inner);
        break;
    case SAME_FILE:
        assert_int_equal(vfs_link(&world.root, source, dir, world_name(name)), ERR_OK);
        return;
    }
    vfs_unref(&inode);
}

static bool is_dir(enum kind kind)
{
    return kind == EMPTY_DIR || kind == FULL_DIR;
}

static enum err expected_of(enum kind from, enum kind to, bool no_replace)
{
    if (from == NOTHING)
        return ERR_NOENT;
    if (to == NOTHING)
        return ERR_OK;
    if (no_replace)
        return ERR_EXIST;
    if (to == SAME_FILE)
        return ERR_OK;
    if (is_dir(from) && !is_dir(to))
        return ERR_NOTDIR;
    if (!is_dir(from) && is_dir(to))
        return ERR_ISDIR;
    return to == FULL_DIR ? ERR_NOTEMPTY : ERR_OK;
}

static void one_of_matrix(enum kind from, enum kind to, bool other_dir, bool no_replace)
{
    struct inode *d1 = world_make(&world, NULL, "d1", INODE_DIRECTORY, 0755, 0, 0);
    struct inode *d2 =
        other_dir ? world_make(&world, NULL, "d2", INODE_DIRECTORY, 0755, 0, 0) : inode_ref(d1);
    enum err expected = expected_of(from, to, no_replace), err;
    struct inode *source, *victim, *at_target, *at_source;
    struct inode_attr before1, before2, after1, after2;
    uint32_t victim_links = 0;

    make_kind(d1, "from", from, NULL);
    source = world_find(&world, d1, "from");
    make_kind(d2, "to", to, source);
    victim = world_find(&world, d2, "to");
    if (victim != NULL)
        victim_links = inode_attr(victim)->nlink;
    vfs_getattr(d1, &before1);
    vfs_getattr(d2, &before2);
    err = vfs_rename(&world.root, d1, world_name("from"), d2, world_name("to"), no_replace);
    if (err != expected)
        fail_msg("%d over %d, other dir %d, no replace %d: %s, not %s", (int)from, (int)to, other_dir,
                 no_replace, err_name(err), err_name(expected));
    vfs_getattr(d1, &after1);
    vfs_getattr(d2, &after2);
    at_source = world_find(&world, d1, "from");
    at_target = world_find(&world, d2, "to");
    if (err != ERR_OK || to == SAME_FILE) {
        assert_ptr_equal(at_source, source);
        assert_ptr_equal(at_target, victim);
        assert_memory_equal(&before1, &after1, sizeof before1);
        assert_memory_equal(&before2, &after2, sizeof before2);
    } else {
        assert_null(at_source);
        assert_ptr_equal(at_target, source);
        assert_int_equal(timestamp_compare(after1.mtime, before1.mtime), 1);
        assert_int_equal(timestamp_compare(after2.mtime, before2.mtime), 1);
        assert_int_not_equal(after1.change, before1.change);
        assert_int_not_equal(after2.change, before2.change);
        assert_int_equal(timestamp_compare(inode_attr(source)->ctime, after2.ctime), 0);
        assert_int_equal(after1.nlink, other_dir ? 2 : 2 + (is_dir(from) ? 1 : 0));
        assert_int_equal(after2.nlink, 2 + (is_dir(from) ? 1 : 0));
        if (is_dir(from))
            assert_int_equal(inode_attr(source)->parent, inode_attr(d2)->ino);
        if (victim != NULL)
            assert_int_equal(inode_attr(victim)->nlink, is_dir(to) ? 0 : victim_links - 1);
    }
    world_check_tree(&world);
    vfs_unref(&source);
    vfs_unref(&victim);
    vfs_unref(&at_source);
    vfs_unref(&at_target);
    vfs_unref(&d1);
    vfs_unref(&d2);
    world_remove_all(&world, NULL, "d1");
    if (other_dir)
        world_remove_all(&world, NULL, "d2");
}

static void matrix(void **state)
{
    (void)state;
    for (enum kind from = NOTHING; from < SAME_FILE; from++)
        for (enum kind to = NOTHING; to < KIND_COUNT; to++)
            for (unsigned flags = 0; flags < 4; flags++)
                if (to != SAME_FILE || (from != NOTHING && !is_dir(from)))
                    one_of_matrix(from, to, (flags & 1) != 0, (flags & 2) != 0);
}

/* The same name: nothing happens, and nothing is replaced. */
static void onto_itself(void **state)
{
    struct inode *dir = world_make(&world, NULL, "d", INODE_DIRECTORY, 0755, 0, 0);
    struct inode_attr before, after;

    (void)state;
    vfs_getattr(world.top, &before);
    assert_int_equal(vfs_rename(&world.root, world.top, world_name("d"), world.top, world_name("d"), false),
                     ERR_OK);
    assert_int_equal(vfs_rename(&world.root, world.top, world_name("d"), world.top, world_name("d"), true),
                     ERR_OK);
    vfs_getattr(world.top, &after);
    assert_memory_equal(&before, &after, sizeof before);
    /* Another case is another name. */
    assert_int_equal(vfs_rename(&world.root, world.top, world_name("d"), world.top, world_name("D"), true),
                     ERR_OK);
    assert_false(world_has(&world, NULL, "d"));
    vfs_unref(&dir);
    world_remove_all(&world, NULL, "D");
}

static void subtrees(void **state)
{
    struct inode *a = world_make(&world, NULL, "a", INODE_DIRECTORY, 0755, 0, 0);
    struct inode *b = world_make(&world, a, "b", INODE_DIRECTORY, 0755, 0, 0);
    struct inode *c = world_make(&world, b, "c", INODE_DIRECTORY, 0755, 0, 0);
    struct inode *file = world_make(&world, a, "f", INODE_FILE, 0644, 0, 0);
    struct store_name n = world_name("n");

    (void)state;
    assert_int_equal(vfs_rename(&world.root, world.top, world_name("a"), a, n, false), ERR_INVAL);
    assert_int_equal(vfs_rename(&world.root, world.top, world_name("a"), b, n, false), ERR_INVAL);
    assert_int_equal(vfs_rename(&world.root, world.top, world_name("a"), c, n, false), ERR_INVAL);
    assert_int_equal(vfs_rename(&world.root, a, world_name("b"), c, n, false), ERR_INVAL);
    /* Over an existing entry below itself as well. */
    assert_int_equal(vfs_rename(&world.root, world.top, world_name("a"), b, world_name("c"), false),
                     ERR_INVAL);
    /* Over a directory that it is below: that one is not empty. */
    assert_int_equal(vfs_rename(&world.root, a, world_name("b"), world.top, world_name("a"), false),
                     ERR_NOTEMPTY);
    assert_int_equal(vfs_rename(&world.root, b, world_name("c"), world.top, world_name("a"), false),
                     ERR_NOTEMPTY);
    /* A file goes anywhere, a directory upwards. */
    assert_int_equal(vfs_rename(&world.root, a, world_name("f"), c, n, false), ERR_OK);
    assert_int_equal(vfs_rename(&world.root, b, world_name("c"), world.top, world_name("c"), false), ERR_OK);
    assert_int_equal(vfs_rename(&world.root, world.top, world_name("a"), c, world_name("a"), false), ERR_OK);
    assert_int_equal(world_check_tree(&world), 4);
    assert_int_equal(inode_attr(a)->parent, inode_attr(c)->ino);
    assert_int_equal(inode_attr(c)->parent, inode_attr(world.top)->ino);
    vfs_unref(&a);
    vfs_unref(&b);
    vfs_unref(&c);
    vfs_unref(&file);
    world_remove_all(&world, NULL, "c");
}

static void across_exports(void **state)
{
    struct vfs_export_config configs[2] = {world_config("test"), world_config("other")};
    struct inode *file = world_make(&world, NULL, "f", INODE_FILE, 0644, 0, 0), *other_top;
    struct vfs_context other = world.root;

    (void)state;
    assert_int_equal(vfs_exports_set(world.vfs, configs, 2), ERR_OK);
    other.export = vfs_export_find(world.vfs, "other", 5);
    assert_int_equal(vfs_root(&other, &other_top), ERR_OK);
    assert_int_equal(vfs_rename(&world.root, world.top, world_name("f"), other_top, world_name("f"), false),
                     ERR_XDEV);
    assert_int_equal(vfs_link(&other, file, other_top, world_name("f")), ERR_XDEV);
    assert_true(world_has(&world, NULL, "f"));
    vfs_unref(&other_top);
    vfs_unref(&file);
    world_remove_all(&world, NULL, "f");
    assert_int_equal(vfs_exports_set(world.vfs, configs, 1), ERR_OK);
}

/* Both directories must let the user; modes of the two sides against each other. */
static void both_sides(void **state)
{
    (void)state;
    for (unsigned from = 0; from < 8; from++) {
        for (unsigned to = 0; to < 8; to++) {
            for (unsigned over = 0; over < 2; over++) {
                struct inode *d1 = world_make(&world, NULL, "d1", INODE_DIRECTORY, from, 0, 0);
                struct inode *d2 = world_make(&world, NULL, "d2", INODE_DIRECTORY, to, 0, 0);
                struct vfs_context context = world_as(&world, 1000, 1000);
                bool allowed = (from & 3) == 3 && (to & 3) == 3;

                make_kind(d1, "from", A_FILE, NULL);
                make_kind(d2, "to", over ? A_FILE : NOTHING, NULL);
                assert_int_equal(vfs_rename(&context, d1, world_name("from"), d2, world_name("to"), false),
                                 allowed ? ERR_OK : ERR_ACCES);
                assert_int_equal(world_has(&world, d1, "from"), !allowed);
                assert_int_equal(world_has(&world, d2, "to"), allowed || over);
                vfs_unref(&d1);
                vfs_unref(&d2);
                world_remove_all(&world, NULL, "d1");
                world_remove_all(&world, NULL, "d2");
            }
        }
    }
}

/* ---- a random walk ---- */

enum { WALK_DIRS = 6, WALK_NAMES = 5, WALK_STEPS = 4000 };

/* Any error that the rules know is fine; the tree must be true afterwards. */
static bool is_answer(enum err err)
{
    return err == ERR_OK || err == ERR_NOENT || err == ERR_EXIST || err == ERR_NOTDIR || err == ERR_ISDIR ||
           err == ERR_NOTEMPTY || err == ERR_INVAL || err == ERR_STALE;
}

static void random_walk(void **state)
{
    struct inode *dirs[WALK_DIRS] = {NULL}, *inode;
    uint64_t seed = 42;
    unsigned moved = 0;

    (void)state;
    for (unsigned step = 0; step < WALK_STEPS; step++) {
        struct inode *dir1, *dir2;
        char name1[8], name2[8];
        struct vfs_create create = {.how = VFS_CREATE_GUARDED};
        bool created;
        enum err err;

        seed = seed * 6364136223846793005u + 1442695040888963407u;
        dir1 = dirs[(seed >> 33) % WALK_DIRS] != NULL ? dirs[(seed >> 33) % WALK_DIRS] : world.top;
        dir2 = dirs[(seed >> 36) % WALK_DIRS] != NULL ? dirs[(seed >> 36) % WALK_DIRS] : world.top;
        snprintf(name1, sizeof name1, "n%u", (unsigned)(seed >> 40) % WALK_NAMES);
        snprintf(name2, sizeof name2, "n%u", (unsigned)(seed >> 44) % WALK_NAMES);
        switch ((seed >> 48) % 6) {
        case 0:
        case 1:
            create.type = (seed >> 52 & 1) != 0 ? INODE_DIRECTORY : INODE_FILE;
            err = vfs_create(&world.root, dir1, world_name(name1), &create, &inode, &created);
            if (err == ERR_OK && create.type == INODE_DIRECTORY) {
                vfs_unref(&dirs[(seed >> 53) % WALK_DIRS]);
                dirs[(seed >> 53) % WALK_DIRS] = inode_ref(inode);
            }
            if (err == ERR_OK)
                vfs_unref(&inode);
            break;
        case 2:
            err = vfs_remove(&world.root, dir1, world_name(name1), VFS_REMOVE_ANY);
            break;
        case 3:
            err = vfs_lookup(&world.root, dir1, world_name(name1), &inode);
            if (err == ERR_OK) {
                err = vfs_link(&world.root, inode, dir2, world_name(name2));
                vfs_unref(&inode);
            }
            break;
        default:
            err = vfs_rename(&world.root, dir1, world_name(name1), dir2, world_name(name2),
                             (seed >> 55 & 1) != 0);
            moved += err == ERR_OK;
            break;
        }
        if (!is_answer(err))
            fail_msg("step %u: %s", step, err_name(err));
        if (step % 100 == 0)
            world_check_tree(&world);
    }
    assert_true(moved > WALK_STEPS / 100);
    for (unsigned i = 0; i < WALK_DIRS; i++)
        vfs_unref(&dirs[i]);
    world_check_all_freed(&world, 1); /* the root of "other" */
    world_restart(&world);
    world_check_tree(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matrix),         cmocka_unit_test(onto_itself), cmocka_unit_test(subtrees),
        cmocka_unit_test(across_exports), cmocka_unit_test(both_sides),  cmocka_unit_test(random_walk),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
