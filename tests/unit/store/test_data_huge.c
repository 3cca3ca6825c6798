/*
 * test_data_huge.c - files of many terabytes that cost a client nothing to make: what is done with them takes
 * time by what is stored, not by their size.
 */
#include "data_model.h"

#include <unistd.h>

enum { LEAF = 128 << 20, MIB = 1 << 20, PATIENCE_S = 60 };

static struct fixture fixture;

static int start(void **state)
{
    (void)state;
    fixture_start(&fixture, true);
    alarm(PATIENCE_S); /* ends the program: the loop would not come back */
    return 0;
}

static int end(void **state)
{
    (void)state;
    alarm(0);
    fixture_end(&fixture);
    return 0;
}

static void put(struct inode *inode, uint64_t offset, uint8_t value, size_t length)
{
    uint8_t *bytes = malloc(length);

    assert_non_null(bytes);
    memset(bytes, value, length);
    assert_int_equal(data_write(&fixture, inode, offset, bytes, length, false), ERR_OK);
    free(bytes);
}

static uint64_t seek(struct inode *inode, uint64_t offset, enum store_seek what)
{
    uint64_t found = UINT64_MAX;

    assert_int_equal(store_seek(inode, offset, what, &found), ERR_OK);
    return found;
}

/* Hundreds of millions of leaves without anything in them. */
static void clone_of_holes(void **state)
{
    const uint64_t far = STORE_FILE_SIZE_MAX / 4 / LEAF * LEAF;
    struct inode *root = tree_root(&fixture, "huge");
    struct inode *source = data_inode_of(&fixture, make_file(root, "source"));
    struct inode *target = data_inode_of(&fixture, make_file(root, "target"));

    (void)state;
    put(source, far, 7, 4096);
    assert_int_equal(store_allocate(source, far / 2, LEAF, false), ERR_OK);
    for (int i = 0; i < 2; i++) { /* of what is in memory, and of what is not */
        uint64_t shift = i == 0 ? LEAF : 4096;

        assert_int_equal(store_clone(source, 0, target, shift, far + 4096), ERR_OK);
        assert_int_equal(inode_attr(target)->size, far + 4096 + shift);
        assert_int_equal(seek(target, 0, STORE_SEEK_DATA), far + shift);
        assert_int_equal(seek(target, far + shift, STORE_SEEK_HOLE), far + shift + 4096);
        assert_int_equal(inode_attr(target)->used, 4096);
        assert_int_equal(store_truncate(target, 0), ERR_OK);
        assert_int_equal(fixture_sync(&fixture), ERR_OK);
    }
    inode_unref(&source);
    inode_unref(&target);
    inode_unref(&root);
}

/* Terabytes of data, which are one leaf's. */
static void seek_over_data(void **state)
{
    enum { DOUBLINGS = 13, SEEKS = 50 };
    struct inode *root = tree_root(&fixture, "huge");
    struct inode *inode = data_inode_of(&fixture, make_file(root, "file"));
    uint64_t size = LEAF;

    (void)state;
    for (uint64_t at = 0; at < LEAF; at += MIB)
        put(inode, at, (uint8_t)(at / MIB), MIB);
    assert_int_equal(fixture_sync(&fixture), ERR_OK);
    for (int i = 0; i < DOUBLINGS; i++, size *= 2)
        assert_int_equal(store_clone(inode, 0, inode, size, size), ERR_OK);
    assert_int_equal(store_punch(inode, size - 8192, 4096), ERR_OK);
    for (int i = 0; i < SEEKS; i++) {
        assert_int_equal(seek(inode, (uint64_t)i * 4096, STORE_SEEK_HOLE), size - 8192);
        assert_int_equal(seek(inode, size - 8192, STORE_SEEK_DATA), size - 4096);
    }
    inode_unref(&inode);
    inode_unref(&root);
}

/* A leaf that is all data, of pieces that differ, to a place that cuts them. */
static void clone_across_pieces(void **state)
{
    struct inode *root = tree_root(&fixture, "huge");
    struct inode *source = data_inode_of(&fixture, make_file(root, "source"));
    struct inode *target = data_inode_of(&fixture, make_file(root, "target"));
    uint8_t *bytes = malloc(MIB);

    (void)state;
    assert_non_null(bytes);
    for (uint64_t at = 0; at < LEAF; at += MIB)
        put(source, at, (uint8_t)(at / MIB), MIB);
    put(source, MIB + 1000, 0xee, 50);
    assert_int_equal(store_clone(source, 0, target, 4096, LEAF), ERR_OK);
    for (uint64_t at = 0; at < LEAF; at += MIB) {
        uint32_t got;
        bool eof;

        assert_int_equal(data_read(&fixture, target, at + 4096, MIB, bytes, &got, &eof), ERR_OK);
        assert_int_equal(got, MIB);
        for (uint32_t i = 0; i < MIB; i++) {
            bool odd = at == MIB && i >= 1000 && i < 1050;

            if (bytes[i] != (odd ? 0xee : (uint8_t)(at / MIB)))
                fail_msg("byte %u of MiB %u is %02x", i, (unsigned)(at / MIB), bytes[i]);
        }
    }
    free(bytes);
    inode_unref(&source);
    inode_unref(&target);
    inode_unref(&root);
}

/* What would stop the loop for long is refused; the whole of a file never is. */
static void clone_of_too_much(void **state)
{
    const uint64_t gib = (uint64_t)1 << 30, most = (uint64_t)16 << 40;
    struct inode *root = tree_root(&fixture, "huge");
    struct inode *source = data_inode_of(&fixture, make_file(root, "source"));
    struct inode *target = data_inode_of(&fixture, make_file(root, "target"));
    uint64_t size = LEAF;

    (void)state;
    for (uint64_t at = 0; at < LEAF; at += MIB)
        put(source, at, 1, MIB);
    assert_int_equal(fixture_sync(&fixture), ERR_OK);
    for (; size <= most; size *= 2)
        assert_int_equal(store_clone(source, 0, source, size, size), ERR_OK);
    assert_int_equal(store_clone(source, 4096, target, 0, gib + 4096), ERR_INVAL);
    assert_int_equal(store_clone(source, 4096, target, 0, gib), ERR_OK);
    assert_int_equal(store_clone(source, 0, target, LEAF, most + LEAF), ERR_INVAL);
    assert_int_equal(inode_attr(target)->size, gib);
    assert_int_equal(store_truncate(target, 0), ERR_OK);
    assert_int_equal(store_clone(source, 0, target, 0, 0), ERR_OK);
    assert_int_equal(inode_attr(target)->size, size);
    inode_unref(&source);
    inode_unref(&target);
    inode_unref(&root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(clone_of_holes, start, end),
        cmocka_unit_test_setup_teardown(seek_over_data, start, end),
        cmocka_unit_test_setup_teardown(clone_across_pieces, start, end),
        cmocka_unit_test_setup_teardown(clone_of_too_much, start, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
