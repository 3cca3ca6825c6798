/*
 * test_leaf.c - piece lists against an array that says for every byte which byte of which block it is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store/leaf_priv.h"

#include "dittofs/hash.h"
#include "dittofs/random.h"
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 4, BYTES = SLOTS * STORE_BLOCK_SIZE, BLOCKS = 64 };

/* A byte of the model: 0 is a hole, 1 unwritten, else block << 20 | position in the block. */
struct model {
    uint64_t bytes[BYTES];
};

static uint32_t below(uint32_t most)
{
    return (uint32_t)(random_u64() % most);
}

static uint64_t word_at(const struct piece *piece, uint32_t offset)
{
    switch (piece->kind) {
    case PIECE_HOLE:
        return 0;
    case PIECE_UNWRITTEN:
        return 1;
    case PIECE_DATA:
        return piece->block << 20 | (piece->skip + offset - piece->start);
    }
    return 0;
}

static void compare(const struct leaf *leaf, const struct model *model)
{
    uint64_t data = 0, unwritten = 0;
    uint32_t offset = 0, i;

    while (offset < BYTES) {
        struct piece piece;

        leaf_at(leaf, offset, &piece);
        assert_true(piece.start == offset && piece.length > 0);
        assert_true(offset / STORE_BLOCK_SIZE == (offset + piece.length - 1) / STORE_BLOCK_SIZE);
        for (i = 0; i < piece.length; i++)
            if (model->bytes[offset + i] != word_at(&piece, offset + i))
                fail_msg("byte %u: model %lx", offset + i, (unsigned long)model->bytes[offset + i]);
        data += piece.kind == PIECE_DATA ? piece.length : 0;
        unwritten += piece.kind == PIECE_UNWRITTEN ? piece.length : 0;
        offset += piece.length;
    }
    assert_int_equal(data, leaf->data_bytes);
    assert_int_equal(unwritten, leaf->unwritten_bytes);
}

/* The notes say how the number of pieces that refer to each block has changed. */
static void compare_references(const struct leaf *leaf, int32_t *references)
{
    int32_t counted[BLOCKS + 1] = {0};
    uint32_t i, k;

    for (i = 0; i < leaf->change_count; i++)
        references[leaf->changes[i].block] += leaf->changes[i].delta;
    for (i = 0; i < leaf->slot_count; i++)
        for (k = 0; k < leaf->slots[i].count; k++)
            counted[slot_pieces(&leaf->slots[i])[k].block]++;
    for (i = 1; i <= BLOCKS; i++)
        assert_int_equal(counted[i], references[i]);
}

static void random_step(struct leaf *leaf, struct model *model)
{
    uint32_t grain = below(3) == 0 ? 1 : 4096;
    uint32_t start = below(BYTES / grain) * grain;
    uint32_t length = (below(40) + 1) * grain;
    uint32_t what = below(10), i;
    struct piece with = {.kind = PIECE_DATA, .block = 1 + below(BLOCKS)};

    if (what < 3)
        length = below(BYTES);
    if (length == 0 || length > BYTES - start)
        length = BYTES - start;
    if (what < 2) {
        assert_int_equal(leaf_replace(leaf, start, length, NULL), ERR_OK);
        memset(model->bytes + start, 0, length * sizeof(uint64_t));
        return;
    }
    if (what == 2) {
        with = (struct piece){.kind = PIECE_UNWRITTEN};
    } else {
        uint32_t room = STORE_BLOCK_SIZE - start % STORE_BLOCK_SIZE;
        length = length < room ? length : room;
        with.skip = below(STORE_BLOCK_SIZE - length + 1);
    }
    assert_int_equal(leaf_replace(leaf, start, length, &with), ERR_OK);
    for (i = 0; i < length; i++)
        model->bytes[start + i] = with.kind == PIECE_DATA ? with.block << 20 | (with.skip + i) : 1;
}

static void test_random(void **state)
{
    struct model *model = calloc(1, sizeof *model);
    int32_t references[BLOCKS + 1] = {0};
    struct leaf leaf = {0};
    int round, step;

    (void)state;
    assert_non_null(model);
    random_set_seed(20);
    for (round = 0; round < 60; round++) {
        struct leaf again = {0};
        struct writer writer;

        for (step = 0; step < 20; step++)
            random_step(&leaf, model);
        compare(&leaf, model);
        compare_references(&leaf, references);
        leaf_changes_clear(&leaf);

        writer_init_growing(&writer, LEAF_ENCODED_MOST);
        leaf_encode(&leaf, &writer);
        assert_false(writer.failed);
        assert_int_equal(leaf_decode(&again, writer.data, writer.length), ERR_OK);
        compare(&again, model);
        assert_int_equal(again.piece_count, leaf.piece_count);
        leaf_free(&again);
        writer_free(&writer);
    }
    leaf_free(&leaf);
    free(model);
    random_set_seed(0);
}

static void test_end_of_leaf(void **state)
{
    struct leaf leaf = {0};
    struct piece with = {.kind = PIECE_DATA, .block = 7}, piece;

    (void)state;
    assert_int_equal(leaf_replace(&leaf, LEAF_BYTES - 10, 10, &with), ERR_OK);
    leaf_at(&leaf, LEAF_BYTES - 1, &piece);
    assert_int_equal(piece.kind, PIECE_DATA);
    assert_int_equal(piece.skip, 9);
    assert_int_equal(piece.length, 1);
    leaf_at(&leaf, 0, &piece);
    assert_int_equal(piece.kind, PIECE_HOLE);
    assert_int_equal(leaf_replace(&leaf, 0, LEAF_BYTES, NULL), ERR_OK);
    assert_int_equal(leaf.piece_count, 0);
    with = (struct piece){.kind = PIECE_UNWRITTEN};
    assert_int_equal(leaf_replace(&leaf, 1, LEAF_BYTES - 1, &with), ERR_OK);
    assert_int_equal(leaf.unwritten_bytes, LEAF_BYTES - 1);
    assert_int_equal(leaf.piece_count, LEAF_SLOTS);
    leaf_free(&leaf);
}

/* A large sequential write: a full leaf must stay small. */
static void test_size(void **state)
{
    struct leaf leaf = {0};
    struct writer writer;
    uint32_t i;

    (void)state;
    for (i = 0; i < LEAF_SLOTS; i++) {
        struct piece with = {.kind = PIECE_DATA,
                             .block = ((uint64_t)3 << 32) + (i / 8 + 1) * 4096 + i * STORE_BLOCK_SIZE};
        assert_int_equal(leaf_replace(&leaf, i * STORE_BLOCK_SIZE, STORE_BLOCK_SIZE, &with), ERR_OK);
    }
    writer_init_growing(&writer, LEAF_ENCODED_MOST);
    leaf_encode(&leaf, &writer);
    assert_in_range(writer.length, 1, 6500);
    writer_free(&writer);
    leaf_free(&leaf);
}

static enum err decode_fresh(const uint8_t *data, size_t length)
{
    struct leaf leaf = {0};
    enum err err = leaf_decode(&leaf, data, length);

    leaf_free(&leaf);
    return err;
}

/* Every flipped bit and every shortened form is refused. */
static void test_damage(void **state)
{
    struct piece with = {.kind = PIECE_DATA, .block = (uint64_t)1 << 32 | 4096, .skip = 3};
    struct leaf leaf = {0};
    struct writer writer;
    size_t i;

    (void)state;
    assert_int_equal(leaf_replace(&leaf, 100, 5000, &with), ERR_OK);
    assert_int_equal(leaf_replace(&leaf, 600, 10, NULL), ERR_OK);
    writer_init_growing(&writer, LEAF_ENCODED_MOST);
    leaf_encode(&leaf, &writer);
    leaf_free(&leaf);
    assert_int_equal(decode_fresh(writer.data, writer.length), ERR_OK);
    for (i = 0; i < writer.length * 8; i++) {
        writer.data[i / 8] ^= (uint8_t)(1 << i % 8);
        assert_int_equal(decode_fresh(writer.data, writer.length), ERR_CORRUPT);
        writer.data[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    for (i = 0; i < writer.length; i++)
        assert_int_equal(decode_fresh(writer.data, i), ERR_CORRUPT);
    writer_free(&writer);
}

/* Well-formed bytes with a good checksum that say nonsense. */
static void test_nonsense(void **state)
{
    static const struct {
        const char *what;
        uint64_t numbers[4];
        int count;
    } cases[] = {
        {"no length", {0, 0 << 2, 2}, 3},
        {"longer than a slot", {0, (uint64_t)(STORE_BLOCK_SIZE + 1) << 2, 2}, 3},
        {"crosses a slot", {STORE_BLOCK_SIZE - 1, 2 << 2, 2}, 3},
        {"behind the leaf", {LEAF_BYTES, 1 << 2, 2}, 3},
        {"block 0", {0, 1 << 2, 0}, 3},
        {"block below 0", {0, 1 << 2, 1}, 3},
        {"skip and no skip", {0, 1 << 2 | 2, 2, 0}, 4},
        {"skip too far", {0, 1 << 2 | 2, 2, STORE_BLOCK_SIZE}, 4},
        {"unwritten with skip", {0, 1 << 2 | 3}, 2},
        {"cut short", {0, 1 << 2}, 2},
    };
    size_t i;
    int k;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct writer writer;
        uint8_t bytes[64];

        writer_init(&writer, bytes, sizeof bytes);
        writer_u8(&writer, 1);
        for (k = 0; k < cases[i].count; k++)
            varint_write(&writer, cases[i].numbers[k]);
        writer_le32(&writer, crc32c(0, bytes, writer.length));
        if (decode_fresh(bytes, writer.length) != ERR_CORRUPT)
            fail_msg("%s was accepted", cases[i].what);
    }
}

static void test_varint(void **state)
{
    static const uint64_t values[] = {0, 1, 127, 128, 16383, 16384, UINT32_MAX, INT64_MAX, UINT64_MAX};
    uint8_t bytes[16];
    uint64_t value;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct writer writer;
        struct reader reader;

        writer_init(&writer, bytes, sizeof bytes);
        varint_write(&writer, values[i]);
        reader = reader_of(bytes, writer.length);
        assert_true(varint_read(&reader, &value) && value == values[i] && reader_is_done(&reader));
        reader = reader_of(bytes, writer.length - 1);
        assert_false(varint_read(&reader, &value));
    }
    memset(bytes, 0xff, sizeof bytes);
    assert_false(varint_read(&(struct reader){.at = bytes, .left = sizeof bytes}, &value));
    bytes[0] = 0x80;
    bytes[1] = 0;
    assert_false(varint_read(&(struct reader){.at = bytes, .left = 2}, &value)); /* not the shortest */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random), cmocka_unit_test(test_end_of_leaf), cmocka_unit_test(test_size),
        cmocka_unit_test(test_damage), cmocka_unit_test(test_nonsense),    cmocka_unit_test(test_varint),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
