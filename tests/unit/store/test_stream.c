/*
 * test_stream.c - names of alternate data streams: by case or not, bounded, durable with their file; and what
 * the check says of those that don't fit together.
 */
#include "store_fixture.h"

static uint64_t add(struct inode *file, const char *name)
{
    struct inode *stream = make_inode(file, INODE_STREAM);
    uint64_t ino = inode_attr(stream)->ino;

    assert_int_equal(stream_insert(file, name_of(name), stream), ERR_OK);
    inode_change(stream)->nlink = 1;
    inode_unref(&stream);
    return ino;
}

static void drop(struct inode *file, const char *name, uint64_t ino)
{
    struct inode *stream;

    assert_int_equal(inode_get(inode_store(file), ino, 0, &stream), ERR_OK);
    assert_int_equal(stream_remove(file, name_of(name), ino), ERR_OK);
    inode_change(stream)->nlink = 0;
    inode_unref(&stream);
}

struct seen {
    char text[200];
    unsigned most;
};

static bool see(void *data, struct store_name name, uint64_t ino)
{
    struct seen *seen = data;
    size_t at = strlen(seen->text);

    (void)ino;
    snprintf(seen->text + at, sizeof seen->text - at, "%.*s ", (int)name.length, (const char *)name.bytes);
    return --seen->most > 0;
}

static struct inode *file_again(struct fixture *f, uint64_t ino)
{
    struct inode *file;

    assert_int_equal(inode_get(f->store, ino, 0, &file), ERR_OK);
    return file;
}

static void names(struct fixture *f)
{
    struct inode *root = tree_root(f, "a"), *file;
    uint64_t ino = make_file(root, "f"), one, two, found;
    struct seen seen = {.most = 10}, first = {.most = 1};
    uint8_t name[STORE_NAME_MAX];
    size_t length;

    inode_unref(&root);
    file = file_again(f, ino);
    one = add(file, "One");
    two = add(file, "zw\xc3\x96lf");
    assert_int_equal(stream_lookup(file, name_of("one"), STORE_EXACT, &found, NULL, NULL), ERR_NOENT);
    assert_int_equal(stream_lookup(file, name_of("oNE"), STORE_FOLDED, &found, name, &length), ERR_OK);
    assert_int_equal(found, one);
    assert_int_equal(length, 3);
    assert_memory_equal(name, "One", 3);
    assert_int_equal(stream_lookup(file, name_of("ZW\xc3\xb6LF"), STORE_FOLDED, &found, name, &length),
                     ERR_OK);
    assert_int_equal(found, two);
    assert_int_equal(stream_lookup(file, name_of(""), STORE_FOLDED, &found, name, &length), ERR_INVAL);
    inode_unref(&file);
    fixture_restart(f);
    file = file_again(f, ino);
    assert_int_equal(stream_scan(file, see, &seen), ERR_OK);
    assert_string_equal(seen.text, "One zw\xc3\x96lf ");
    assert_int_equal(stream_scan(file, see, &first), ERR_OK);
    assert_string_equal(first.text, "One ");
    assert_int_equal(stream_rename(file, name_of("three"), name_of("four")), ERR_NOENT);
    assert_int_equal(stream_rename(file, name_of("One"), name_of("one")), ERR_OK);
    assert_int_equal(stream_remove(file, name_of("one"), two), ERR_NOENT);
    drop(file, "one", one);
    assert_int_equal(inode_get(f->store, one, 0, &root), ERR_STALE);
    /* Over another one. */
    one = add(file, "other");
    assert_int_equal(inode_get(f->store, two, 0, &root), ERR_OK);
    assert_int_equal(stream_rename(file, name_of("other"), name_of("zw\xc3\x96lf")), ERR_OK);
    inode_change(root)->nlink = 0;
    inode_unref(&root);
    memset(&seen, 0, sizeof seen);
    seen.most = 10;
    assert_int_equal(stream_scan(file, see, &seen), ERR_OK);
    assert_string_equal(seen.text, "zw\xc3\x96lf ");
    inode_unref(&file);
}

ON_BOTH(names)

static void bounded(struct fixture *f)
{
    struct inode *root = tree_root(f, "a"), *file, *stream;
    uint64_t ino = make_file(root, "f");
    char name[STORE_NAME_MAX + 2];
    unsigned count = 0;
    enum err err;

    inode_unref(&root);
    file = file_again(f, ino);
    memset(name, 'n', sizeof name);
    name[STORE_NAME_MAX + 1] = '\0';
    stream = make_inode(file, INODE_STREAM);
    assert_int_equal(stream_insert(file, name_of(name), stream), ERR_NAMETOOLONG);
    assert_int_equal(stream_insert(stream, name_of("s"), stream), ERR_BADTYPE);
    assert_int_equal(stream_insert(file, name_of("s"), file), ERR_BADTYPE);
    inode_unref(&stream);
    name[STORE_NAME_MAX] = '\0';
    do {
        snprintf(name, 10, "%08u", count);
        name[8] = 'n';
        stream = make_inode(file, INODE_STREAM);
        err = stream_insert(file, name_of(name), stream);
        if (err == ERR_OK) {
            count++;
            inode_change(stream)->nlink = 1;
        }
        inode_unref(&stream);
    } while (err == ERR_OK);
    assert_int_equal(err, ERR_LIMIT);
    assert_in_range(count, 200, 300);
    inode_unref(&file);
}

ON_BOTH(bounded)

static void count_findings(void *data, const char *finding)
{
    (void)finding;
    ++*(unsigned *)data;
}

/* The check finds a stream without a name, a name without a stream, and one with two names. */
static void checked(void **state)
{
    for (unsigned what = 0; what < 3; what++) {
        struct fixture f;
        struct inode *root, *file, *other, *stream;
        uint64_t ino, other_ino;
        unsigned findings = 0;

        (void)state;
        fixture_start(&f, true);
        root = tree_root(&f, "a");
        ino = make_file(root, "f");
        other_ino = make_file(root, "g");
        inode_unref(&root);
        file = file_again(&f, ino);
        other = file_again(&f, other_ino);
        (void)add(file, "good");
        stream = make_inode(file, INODE_STREAM);
        if (what != 0)
            assert_int_equal(stream_insert(file, name_of("s"), stream), ERR_OK);
        if (what == 2)
            assert_int_equal(stream_insert(other, name_of("s"), stream), ERR_OK);
        inode_change(stream)->nlink = what == 1 ? 0 : 1;
        inode_unref(&stream);
        inode_unref(&file);
        inode_unref(&other);
        assert_int_equal(fixture_stop(&f), ERR_OK);
        assert_int_equal(store_check(f.disk, count_findings, &findings), ERR_CORRUPT);
        assert_int_equal(findings, 1);
        fixture_open(&f);
        file = file_again(&f, ino);
        other = file_again(&f, other_ino);
        /* Repaired by hand. */
        if (what == 1)
            assert_int_equal(stream_rename(file, name_of("good"), name_of("s")), ERR_OK);
        if (what == 2)
            assert_int_equal(stream_remove_all(other), ERR_OK);
        if (what == 0) {
            assert_int_equal(inode_get(f.store, ino + 3, 0, &stream), ERR_OK);
            assert_int_equal(inode_attr(stream)->type, INODE_STREAM);
            assert_int_equal(stream_insert(file, name_of("s"), stream), ERR_OK);
            inode_unref(&stream);
        }
        inode_unref(&file);
        inode_unref(&other);
        fixture_end(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_bounded),
        cmocka_unit_test(checked),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
