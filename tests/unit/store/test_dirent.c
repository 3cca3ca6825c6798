/*
 * test_dirent.c - names: exact and folded look-ups, cookies, the name cache; on the simulated disk and on a
 * real one.
 */
#include "store_fixture.h"

static void names_come_and_go(struct fixture *f)
{
    struct inode *root = tree_root(f, "a");
    struct inode *file;
    uint64_t ino, found;

    assert_int_equal(look_up(root, "one"), 0);
    ino = make_file(root, "one");
    assert_int_equal(look_up(root, "one"), ino);
    assert_int_equal(look_up(root, "One"), 0);
    assert_int_equal(inode_get(f->store, ino, 0, &file), ERR_OK);
    assert_int_equal(dir_insert(root, name_of("one"), file), ERR_EXIST);
    assert_int_equal(dir_insert(file, name_of("x"), file), ERR_NOTDIR);
    assert_int_equal(dir_lookup(file, name_of("x"), STORE_EXACT, &found, NULL, NULL), ERR_NOTDIR);
    assert_int_equal(dir_remove(root, name_of("one"), ino + 1), ERR_NOENT);
    assert_int_equal(dir_remove(root, name_of("two"), ino), ERR_NOENT);
    assert_int_equal(dir_replace(root, name_of("two"), file), ERR_NOENT);
    assert_int_equal(look_up(root, "one"), ino);
    assert_false(dir_is_empty(root));
    inode_unref(&file);
    remove_file(root, "one");
    assert_int_equal(look_up(root, "one"), 0);
    assert_true(dir_is_empty(root));
    assert_int_equal(inode_get(f->store, ino, 0, &file), ERR_STALE);
    inode_unref(&root);
}

struct neighbours {
    struct inode *dir;
    uint64_t before;
    uint8_t name[STORE_NAME_MAX];
    size_t length;
    unsigned count;
};

/* What the listing says, asked for one by one. (calls_nest is about asking within it.) */
static bool check_entry(void *data, const struct dirent *entry)
{
    struct neighbours *last = data;
    uint8_t name[STORE_NAME_MAX];
    uint64_t cookie = 0, before = 0;
    size_t length = 0;
    enum err err;

    assert_int_equal(dir_cookie(last->dir, entry->name, &cookie), ERR_OK);
    assert_true(cookie == entry->cookie);
    err = dir_previous(last->dir, cookie, &before, name, &length);
    assert_int_equal(err, last->count == 0 ? ERR_NOENT : ERR_OK);
    if (err == ERR_OK) {
        assert_true(before == last->before && length == last->length);
        assert_memory_equal(name, last->name, length);
    }
    last->before = cookie;
    last->length = entry->name.length;
    memcpy(last->name, entry->name.bytes, entry->name.length);
    last->count++;
    return true;
}

static void entries_have_neighbours(struct fixture *f)
{
    enum { FILES = 100 };
    struct inode *root = tree_root(f, "a");
    struct neighbours last = {.dir = root};
    uint64_t cookie = 0, before = 0;
    char name[20];
    uint8_t bytes[STORE_NAME_MAX];
    size_t length = 0;
    bool end;

    assert_int_equal(dir_cookie(root, name_of("n1"), &cookie), ERR_NOENT);
    assert_int_equal(dir_previous(root, INT64_MAX, &before, bytes, &length), ERR_NOENT);
    for (int i = 0; i < FILES; i++) {
        snprintf(name, sizeof name, i % 2 == 0 ? "n%d" : "N%d", i / 2);
        make_file(root, name);
    }
    assert_int_equal(dir_scan(root, 0, check_entry, &last, &end), ERR_OK);
    assert_int_equal(last.count, FILES);
    assert_int_equal(dir_previous(root, UINT64_MAX, &before, bytes, &length), ERR_NOENT);
    remove_file(root, "n1");
    assert_int_equal(dir_cookie(root, name_of("n1"), &cookie), ERR_NOENT);
    assert_int_equal(dir_cookie(root, name_of("N1"), &cookie), ERR_OK);
    inode_unref(&root);
}

static void lengths_are_bounded(struct fixture *f)
{
    struct inode *root = tree_root(f, "a");
    struct inode *file = make_inode(root, INODE_FILE);
    uint8_t bytes[256];
    uint64_t ino;

    memset(bytes, 'x', sizeof bytes);
    assert_int_equal(dir_insert(root, (struct store_name){bytes, 256}, file), ERR_NAMETOOLONG);
    assert_int_equal(dir_insert(root, (struct store_name){bytes, 0}, file), ERR_INVAL);
    assert_int_equal(dir_lookup(root, (struct store_name){bytes, 256}, STORE_EXACT, &ino, NULL, NULL),
                     ERR_NAMETOOLONG);
    assert_int_equal(dir_insert(root, (struct store_name){bytes, 255}, file), ERR_OK);
    inode_change(file)->nlink = 1;
    assert_int_equal(dir_lookup(root, (struct store_name){bytes, 255}, STORE_EXACT, &ino, NULL, NULL),
                     ERR_OK);
    inode_unref(&file);
    inode_unref(&root);
}

/* Every byte but '/' and 0 may be in a name. */
static void names_are_bytes(struct fixture *f)
{
    struct inode *root = tree_root(f, "a");
    uint64_t inos[256] = {0};

    for (unsigned i = 1; i < 256; i++) {
        char name[] = {'n', (char)i, (char)(255 - i), 0};

        if (i == '/' || i == 255 || 255 - i == '/')
            continue;
        inos[i] = make_file(root, name);
    }
    fixture_sync(f);
    for (unsigned i = 1; i < 256; i++) {
        char name[] = {'n', (char)i, (char)(255 - i), 0};

        assert_int_equal(look_up(root, name), inos[i]);
    }
    inode_unref(&root);
}

static void folded_names_match(struct fixture *f)
{
    static const struct {
        const char *stored, *asked;
        bool found;
    } table[] = {
        {"Readme.TXT", "README.txt", true},
        {"Stra\xc3\x9f"
         "e",
         "STRASSE", true},                                              /* sharp s folds to ss */
        {"\xc3\x84pfel", "\xc3\xa4PFEL", true},                         /* A with diaeresis */
        {"\xce\xa3\xce\x91\xcf\x82", "\xcf\x83\xce\xb1\xcf\x83", true}, /* sigmas */
        {"caf\xc3\xa9", "cafe\xcc\x81", false},                         /* composed and not: two names */
        {"bad\xff\xc3", "BAD\xff\xc3", true},                           /* no UTF-8 */
        {"bad\xff", "bad\xfe", false},
        {"abc", "abd", false},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char tree[20];
        uint8_t name[STORE_NAME_MAX];
        struct inode *root;
        uint64_t ino, found;
        size_t length;
        enum err err;

        snprintf(tree, sizeof tree, "t%zu", i);
        root = tree_root(f, tree);
        err = dir_lookup(root, name_of(table[i].asked), STORE_FOLDED, &found, name, &length);
        assert_int_equal(err, ERR_NOENT); /* and now it is known that there is none */
        ino = make_file(root, table[i].stored);
        err = dir_lookup(root, name_of(table[i].asked), STORE_FOLDED, &found, name, &length);
        assert_int_equal(err, table[i].found ? ERR_OK : ERR_NOENT);
        assert_int_equal(look_up(root, table[i].asked), 0);
        if (table[i].found) {
            assert_int_equal(found, ino);
            assert_int_equal(length, strlen(table[i].stored));
            assert_memory_equal(name, table[i].stored, length);
        }
        remove_file(root, table[i].stored);
        err = dir_lookup(root, name_of(table[i].asked), STORE_FOLDED, &found, NULL, NULL);
        assert_int_equal(err, ERR_NOENT);
        inode_unref(&root);
    }
}

/* The exact name wins; without it any of the variants is found, and each can be told apart. */
static void variants_live_side_by_side(struct fixture *f)
{
    struct inode *root = tree_root(f, "a");
    uint64_t inos[64];
    uint64_t found;
    char name[8];

    for (unsigned i = 0; i < 64; i++) {
        for (unsigned bit = 0; bit < 6; bit++)
            name[bit] = (char)((i >> bit & 1 ? 'A' : 'a') + (char)bit);
        name[6] = 0;
        inos[i] = make_file(root, name);
    }
    for (unsigned i = 0; i < 64; i++) {
        for (unsigned bit = 0; bit < 6; bit++)
            name[bit] = (char)((i >> bit & 1 ? 'A' : 'a') + (char)bit);
        assert_int_equal(look_up(root, name), inos[i]);
        assert_int_equal(dir_lookup(root, name_of(name), STORE_FOLDED, &found, NULL, NULL), ERR_OK);
        assert_int_equal(found, inos[i]);
        remove_file(root, name);
        assert_int_equal(look_up(root, name), 0);
        if (i < 63)
            assert_int_equal(dir_lookup(root, name_of(name), STORE_FOLDED, &found, NULL, NULL), ERR_OK);
        else
            assert_int_equal(dir_lookup(root, name_of(name), STORE_FOLDED, &found, NULL, NULL), ERR_NOENT);
    }
    inode_unref(&root);
}

static void rename_over_replaces(struct fixture *f)
{
    struct inode *root = tree_root(f, "a");
    uint64_t old = make_file(root, "target"), new;
    struct inode *file;

    assert_int_equal(look_up(root, "target"), old);
    new = make_file(root, "source");
    assert_int_equal(inode_get(f->store, new, 0, &file), ERR_OK);
    assert_int_equal(dir_replace(root, name_of("target"), file), ERR_OK);
    assert_int_equal(dir_remove(root, name_of("source"), new), ERR_OK);
    inode_unref(&file);
    assert_int_equal(inode_get(f->store, old, 0, &file), ERR_OK);
    inode_change(file)->nlink = 0;
    inode_unref(&file);
    assert_int_equal(look_up(root, "target"), new);
    assert_int_equal(look_up(root, "source"), 0);
    fixture_sync(f);
    assert_int_equal(inode_get(f->store, old, 0, &file), ERR_STALE);
    inode_unref(&root);
}

/* ---- listing ---- */

struct listing {
    unsigned most;
    unsigned count;
    uint64_t last;
    bool seen[4000];
};

static bool list_entry(void *data, const struct dirent *entry)
{
    struct listing *listing = data;
    unsigned number = (unsigned)strtoul((const char *)entry->name.bytes + 1, NULL, 10);

    assert_true(entry->cookie > STORE_COOKIE_FIRST);
    assert_true(entry->cookie > listing->last);
    assert_true(number < 4000 && !listing->seen[number]);
    listing->seen[number] = true;
    listing->last = entry->cookie;
    return ++listing->count < listing->most;
}

/* Files that are there from the first to the last page are listed once each, whatever comes and goes. */
static void listing_survives_churn(struct fixture *f)
{
    struct inode *root = tree_root(f, "a");
    static struct listing listing;
    bool end = false;
    char name[20];
    unsigned round = 0;

    listing = (struct listing){.most = 7};
    for (unsigned i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "f%u", i);
        make_file(root, name);
    }
    while (!end) {
        listing.count = 0;
        assert_int_equal(dir_scan(root, listing.last, list_entry, &listing, &end), ERR_OK);
        for (unsigned i = 0; i < 5; i++, round++) {
            snprintf(name, sizeof name, "f%u", 1000 + round);
            make_file(root, name);
        }
        if (round > 20 && round < 280) {
            snprintf(name, sizeof name, "f%u", round);
            remove_file(root, name);
            listing.seen[round] = true;
        }
        if (round % 50 == 0) {
            inode_unref(&root);
            fixture_restart(f);
            root = tree_root(f, "a");
        }
        if (round > 2000)
            break;
    }
    assert_true(end);
    for (unsigned i = 0; i < 300; i++)
        assert_true(listing.seen[i]);
    inode_unref(&root);
}

static bool look_up_each(void *data, const struct dirent *entry)
{
    struct inode *root = data;
    uint64_t ino;

    assert_int_equal(dir_lookup(root, entry->name, STORE_FOLDED, &ino, NULL, NULL), ERR_OK);
    assert_int_equal(ino, entry->ino);
    return true;
}

static bool scan_each(void *data, const struct dirent *entry)
{
    bool end = false;

    (void)entry;
    assert_int_equal(dir_scan(data, 0, look_up_each, data, &end), ERR_OK);
    assert_true(end);
    return true;
}

static void calls_nest(struct fixture *f)
{
    struct inode *root = tree_root(f, "a");
    bool end = false;

    make_file(root, "x");
    make_file(root, "y");
    make_file(root, "z");
    assert_int_equal(dir_scan(root, 0, scan_each, root, &end), ERR_OK);
    assert_true(end);
    assert_int_equal(dir_scan(root, UINT64_MAX, scan_each, root, &end), ERR_OK);
    assert_true(end);
    inode_unref(&root);
}

static void names_survive_a_restart(struct fixture *f)
{
    struct inode *root = tree_root(f, "a");
    uint64_t dir = make_named(root, "dir", INODE_DIRECTORY), file, found;
    struct inode *inode;

    assert_int_equal(inode_get(f->store, dir, 0, &inode), ERR_OK);
    file = make_file(inode, "File");
    inode_unref(&inode);
    inode_unref(&root);
    fixture_restart(f);
    root = tree_root(f, "a");
    assert_int_equal(look_up(root, "dir"), dir);
    assert_int_equal(inode_get(f->store, dir, 0, &inode), ERR_OK);
    assert_int_equal(look_up(inode, "File"), file);
    assert_int_equal(dir_lookup(inode, name_of("FILE"), STORE_FOLDED, &found, NULL, NULL), ERR_OK);
    assert_int_equal(found, file);
    inode_unref(&inode);
    inode_unref(&root);
}

static void folding_bounds(void **state)
{
    uint8_t folded[3 * STORE_NAME_MAX];
    uint8_t bytes[STORE_NAME_MAX];

    (void)state;
    /* U+0390 folds to three code points of two bytes each */
    for (size_t i = 0; i + 1 < sizeof bytes; i += 2) {
        bytes[i] = 0xce;
        bytes[i + 1] = 0x90;
    }
    assert_int_equal(store_fold_name((struct store_name){bytes, 254}, folded, sizeof folded), 3 * 254);
    assert_int_equal(store_fold_name((struct store_name){bytes, 254}, folded, 13), 12);
    /* every byte alone, and every pair of bytes */
    for (unsigned i = 0; i < 65536; i++) {
        uint8_t pair[2] = {(uint8_t)i, (uint8_t)(i >> 8)};

        assert_true(store_fold_name((struct store_name){pair, 2}, folded, sizeof folded) <= 6);
    }
}

ON_BOTH(names_come_and_go)
ON_BOTH(lengths_are_bounded)
ON_BOTH(names_are_bytes)
ON_BOTH(folded_names_match)
ON_BOTH(entries_have_neighbours)
ON_BOTH(variants_live_side_by_side)
ON_BOTH(rename_over_replaces)
ON_BOTH(listing_survives_churn)
ON_BOTH(calls_nest)
ON_BOTH(names_survive_a_restart)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_come_and_go),
        cmocka_unit_test(test_lengths_are_bounded),
        cmocka_unit_test(test_names_are_bytes),
        cmocka_unit_test(test_folded_names_match),
        cmocka_unit_test(test_entries_have_neighbours),
        cmocka_unit_test(test_variants_live_side_by_side),
        cmocka_unit_test(test_rename_over_replaces),
        cmocka_unit_test(test_listing_survives_churn),
        cmocka_unit_test(test_calls_nest),
        cmocka_unit_test(test_names_survive_a_restart),
        cmocka_unit_test(folding_bounds),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
