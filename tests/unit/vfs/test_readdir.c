/*
 * test_readdir.c - listing: every entry once, from any cookie, while others come and go, and after a restart.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "vfs/vfs_priv.h"
#include "vfsworld.h"
#include <stdio.h>
#include <stdlib.h>
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

enum { MANY = 3000 };

/* What a client has seen of files "f0".."f<MANY - 1>". */
struct seen {
    uint8_t times[MANY];
    uint64_t cookie; /* of the last one taken */
    unsigned most;   /* entries for this call */
    unsigned taken;
    bool with_inodes;
    uint64_t refused_cookie;
};

static bool take(void *data, const struct vfs_dirent *entry)
{
    struct seen *seen = data;
    char text[32];
    unsigned number;

    assert_true(entry->cookie > STORE_COOKIE_FIRST);
    assert_true(entry->cookie > seen->cookie);
    if (seen->taken == seen->most) {
        seen->refused_cookie = entry->cookie;
        return false;
    }
    assert_int_equal(entry->inode != NULL, seen->with_inodes);
    if (entry->inode != NULL)
        assert_int_equal(inode_attr(entry->inode)->ino, entry->ino);
    assert_true(entry->name.length > 1 && entry->name.length < sizeof text);
    memcpy(text, entry->name.bytes, entry->name.length);
    text[entry->name.length] = '\0';
    if (text[0] == 'f' && sscanf(text + 1, "%u", &number) == 1 && number < MANY)
        seen->times[number]++;
    seen->cookie = entry->cookie;
    seen->taken++;
    return true;
}

/* One READDIR: says whether the end was reached. */
static bool page(struct inode *dir, struct seen *seen, unsigned most)
{
    bool end = false;

    seen->most = most;
    seen->taken = 0;
    seen->refused_cookie = 0;
    assert_int_equal(vfs_readdir(&world.root, dir, seen->cookie, seen->with_inodes, take, seen, &end),
                     ERR_OK);
    if (seen->refused_cookie != 0)
        assert_false(end);
    else
        assert_true(end);
    return end;
}

static struct inode *fill(const char *name)
{
    struct inode *dir = world_make(&world, NULL, name, INODE_DIRECTORY, 0755, 0, 0), *inode;
    char text[32];

    for (unsigned i = 0; i < MANY; i++) {
        snprintf(text, sizeof text, "f%u", i);
        inode = world_make(&world, dir, text, INODE_FILE, 0644, 0, 0);
        vfs_unref(&inode);
    }
    return dir;
}

static void every_entry_once(void **state)
{
    struct inode *dir = fill("d");

    (void)state;
    for (unsigned size = 1; size <= MANY; size = size * 7 + 3) {
        struct seen seen = {.with_inodes = size % 2 == 0};

        while (!page(dir, &seen, size))
            ;
        for (unsigned i = 0; i < MANY; i++)
            assert_int_equal(seen.times[i], 1);
    }
    vfs_unref(&dir);
    world_remove_all(&world, NULL, "d");
}

static void nothing_in_it(void **state)
{
    struct inode *dir = world_make(&world, NULL, "d", INODE_DIRECTORY, 0755, 0, 0);
    struct seen seen = {.cookie = 0};
    bool end;

    (void)state;
    assert_true(page(dir, &seen, 1));
    assert_int_equal(seen.taken, 0);
    seen.cookie = STORE_COOKIE_FIRST;
    assert_true(page(dir, &seen, 1));
    assert_int_equal(vfs_readdir(&world.root, dir, INT64_MAX, false, take, &seen, &end), ERR_OK);
    assert_true(end);
    assert_int_equal(vfs_readdir(&world.root, dir, (uint64_t)INT64_MAX + 1, false, take, &seen, &end),
                     ERR_BADCOOKIE);
    assert_int_equal(vfs_readdir(&world.root, dir, UINT64_MAX, false, take, &seen, &end), ERR_BADCOOKIE);
    vfs_unref(&dir);
    world_remove_all(&world, NULL, "d");
}

/* Between two pages entries are removed (also the one that the cookie names), added, renamed, and the server
 * is restarted: what was there all the time is listed exactly once. */
static void churn(void **state)
{
    struct inode *dir = fill("d"), *inode;
    struct seen seen = {.with_inodes = true};
    char text[32], other[32];
    unsigned round = 0;

    (void)state;
    while (!page(dir, &seen, 97)) {
        for (unsigned i = 0; i < 20; i++) {
            /* Odd ones go, one by one, wherever they lie. */
            snprintf(text, sizeof text, "f%u", (round * 20 + i) * 2 + 1);
            if (world_has(&world, dir, text)) {
                snprintf(other, sizeof other, "x%u", round * 20 + i);
                if (i % 3 == 0)
                    assert_int_equal(
                        vfs_rename(&world.root, dir, world_name(text), dir, world_name(other), false),
                        ERR_OK);
                else
                    world_remove_all(&world, dir, text);
            }
            snprintf(text, sizeof text, "new%u", round * 20 + i);
            inode = world_make(&world, dir, text, INODE_FILE, 0644, 0, 0);
            vfs_unref(&inode);
        }
        if (++round == 10) {
            vfs_unref(&dir);
            world_restart(&world);
            dir = world_find(&world, NULL, "d");
        }
    }
    assert_true(round > 20);
    for (unsigned i = 0; i < MANY; i++) {
        if (i % 2 == 0)
            assert_int_equal(seen.times[i], 1);
        else
            assert_true(seen.times[i] <= 1);
    }
    vfs_unref(&dir);
    world_remove_all(&world, NULL, "d");
}

struct kinds {
    unsigned with, without;
};

static bool count_kinds(void *data, const struct vfs_dirent *entry)
{
    struct kinds *kinds = data;

    if (entry->inode != NULL)
        kinds->with++;
    else
        kinds->without++;
    return true;
}

/* Who may list and not search gets names, and nothing of what is behind them. */
static void listing_without_searching(void **state)
{
    static const struct {
        uint32_t uid, mode;
        bool asked, given;
    } cases[] = {
        {1000, 0704, true, false}, {1000, 0705, true, true}, {1000, 0705, false, false},
        {0, 0600, true, true},     {1000, 0407, true, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct inode *dir = world_make(&world, NULL, "d", INODE_DIRECTORY, cases[i].mode, 0, 0);
        struct inode *inode = world_make(&world, dir, "f", INODE_FILE, 0644, 0, 0);
        struct vfs_context context = world_as(&world, cases[i].uid, 1000);
        struct kinds kinds = {0, 0};
        bool end;

        assert_int_equal(vfs_readdir(&context, dir, 0, cases[i].asked, count_kinds, &kinds, &end), ERR_OK);
        assert_int_equal(kinds.with, cases[i].given);
        assert_int_equal(kinds.without, !cases[i].given);
        vfs_unref(&inode);
        vfs_unref(&dir);
        world_remove_all(&world, NULL, "d");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_entry_once),
        cmocka_unit_test(nothing_in_it),
        cmocka_unit_test(churn),
        cmocka_unit_test(listing_without_searching),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
