/*
 * data_model.h - files next to byte arrays: the same operations go to both, and reads are compared.
 *
 * An array says for each byte its value, and apart from that which bytes are data and which are unwritten, so
 * that holes, `used` and seeking can be compared, too.
 */
#ifndef DITTOFS_TESTS_DATA_MODEL_H
#define DITTOFS_TESTS_DATA_MODEL_H

#include "store_fixture.h"

enum model_kind { MODEL_HOLE, MODEL_UNWRITTEN, MODEL_DATA };

struct model_file {
    uint64_t ino;
    uint64_t size;     /* of the file */
    uint64_t capacity; /* of the arrays: offsets of the test stay below */
    uint8_t *bytes;
    uint8_t *kinds;
};

static inline void model_init(struct model_file *model, uint64_t ino, uint64_t capacity)
{
    *model = (struct model_file){.ino = ino, .capacity = capacity};
    model->bytes = calloc(1, capacity);
    model->kinds = calloc(1, capacity);
    assert_non_null(model->bytes);
    assert_non_null(model->kinds);
}

static inline void model_free(struct model_file *model)
{
    free(model->bytes);
    free(model->kinds);
}

static inline void model_write(struct model_file *model, uint64_t offset, const uint8_t *data,
                               uint64_t length)
{
    memcpy(model->bytes + offset, data, length);
    memset(model->kinds + offset, MODEL_DATA, length);
    if (offset + length > model->size)
        model->size = offset + length;
}

static inline void model_clear(struct model_file *model, uint64_t offset, uint64_t length)
{
    memset(model->bytes + offset, 0, length);
    memset(model->kinds + offset, MODEL_HOLE, length);
}

static inline void model_truncate(struct model_file *model, uint64_t size)
{
    model_clear(model, size, model->capacity - size);
    model->size = size;
}

static inline void model_allocate(struct model_file *model, uint64_t offset, uint64_t length, bool keep_size)
{
    uint64_t i;

    for (i = offset; i < offset + length; i++)
        if (model->kinds[i] == MODEL_HOLE)
            model->kinds[i] = MODEL_UNWRITTEN;
    if (!keep_size && offset + length > model->size)
        model->size = offset + length;
}

static inline void model_clone(const struct model_file *from, uint64_t from_offset, struct model_file *to,
                               uint64_t to_offset, uint64_t length)
{
    uint64_t i;

    memmove(to->bytes + to_offset, from->bytes + from_offset, length);
    memmove(to->kinds + to_offset, from->kinds + from_offset, length);
    /* What is only reserved is not reserved once more. */
    for (i = to_offset; i < to_offset + length; i++)
        if (to->kinds[i] == MODEL_UNWRITTEN)
            to->kinds[i] = MODEL_HOLE;
    if (to_offset + length > to->size)
        to->size = to_offset + length;
}

/* ---- the store's side ---- */

struct data_wait {
    struct store_read read;
    struct store_write write;
    unsigned told; /* that it waits for the disk */
    bool done;
    enum err err;
};

static inline void data_read_done(struct store_read *read, enum err err)
{
    struct data_wait *wait = container_of(read, struct data_wait, read);

    wait->done = true;
    wait->err = err;
}

static inline void data_read_waits(struct store_read *read)
{
    struct data_wait *wait = container_of(read, struct data_wait, read);

    assert_false(wait->done);
    wait->told++;
}

static inline void data_write_done(struct store_write *write, enum err err)
{
    struct data_wait *wait = container_of(write, struct data_wait, write);

    wait->done = true;
    wait->err = err;
}

/* Some of them by a worker. */
static inline enum err data_read(struct fixture *fixture, struct inode *inode, uint64_t offset,
                                 uint32_t length, uint8_t *to, uint32_t *got_r, bool *eof_r)
{
    struct data_wait wait = {
        .read = {.inode = inode, .offset = offset, .length = length, .buffer = to, .done = data_read_done}};
    enum err err;

    if ((offset + length) % 3 == 0)
        wait.read.waits_for_disk = data_read_waits;
    err = store_read(&wait.read);
    if (err == ERR_WAIT) {
        while (!wait.done)
            loop_run_once(fixture->loop, true);
        err = wait.err;
    }
    assert_true(wait.told <= 1);
    if (got_r != NULL)
        *got_r = wait.read.got;
    if (eof_r != NULL)
        *eof_r = wait.read.eof;
    return err;
}

/* HANDOVER: in a counted buffer, as the network does. */
static inline enum err data_write(struct fixture *fixture, struct inode *inode, uint64_t offset,
                                  const uint8_t *data, size_t length, bool handover)
{
    struct data_wait wait = {.write = {.inode = inode,
                                       .offset = offset,
                                       .data = {.data = data, .length = length},
                                       .done = data_write_done}};
    struct buf *buf = NULL;
    enum err err;

    if (handover) {
        buf = buf_new(length);
        assert_non_null(buf);
        memcpy(buf->data, data, length);
        wait.write.data.buf = buf;
        wait.write.data.data = buf->data;
    }
    err = store_write(&wait.write);
    if (err == ERR_WAIT) {
        while (!wait.done)
            loop_run_once(fixture->loop, true);
        err = wait.err;
    }
    buf_unref(&buf);
    return err;
}

/* Waits until all of INODE is durable. */
static inline enum err data_sync(struct fixture *fixture, struct inode *inode)
{
    struct fixture_wait wait = {.waiter.done = fixture_wait_done};
    enum err err = store_wait(fixture->store, inode_ticket(inode), &wait.waiter);

    if (err != ERR_WAIT)
        return err;
    while (!wait.done)
        loop_run_once(fixture->loop, true);
    return wait.err;
}

static inline struct inode *data_inode_of(struct fixture *fixture, uint64_t ino)
{
    struct inode *inode;

    assert_int_equal(inode_get(fixture->store, ino, 0, &inode), ERR_OK);
    return inode;
}

/* Reads [OFFSET, OFFSET + LENGTH) and compares. */
static inline void model_compare_range(struct fixture *fixture, const struct model_file *model,
                                       uint64_t offset, uint32_t length)
{
    struct inode *inode = data_inode_of(fixture, model->ino);
    uint8_t *bytes = malloc(length + 1);
    uint64_t want = offset >= model->size ? 0 : model->size - offset, i;
    uint32_t got;
    bool eof;

    if (want > length)
        want = length;
    memset(bytes, 0xa5, length + 1);
    assert_int_equal(data_read(fixture, inode, offset, length, bytes, &got, &eof), ERR_OK);
    assert_int_equal(got, want);
    assert_int_equal(eof,
                     offset + length > model->size || offset + got == model->size || offset >= model->size);
    for (i = 0; memcmp(bytes, model->bytes + offset, got) != 0 && i < got; i++)
        if (bytes[i] != model->bytes[offset + i])
            fail_msg("inode %lu byte %lu of %lu: read %02x, written %02x", (unsigned long)model->ino,
                     (unsigned long)(offset + i), (unsigned long)model->size, bytes[i],
                     model->bytes[offset + i]);
    assert_int_equal(bytes[got < length ? length : got], 0xa5);
    free(bytes);
    inode_unref(&inode);
}

/* Where the run of one kind at OFFSET ends. */
static inline uint64_t model_run_end(const struct model_file *model, uint64_t offset, uint64_t most)
{
    uint8_t kind = model->kinds[offset];

    while (offset < most) {
        if (offset + 512 <= most && model->kinds[offset] == kind &&
            memcmp(model->kinds + offset, model->kinds + offset + 1, 511) == 0) {
            offset += 512;
            continue;
        }
        if (model->kinds[offset] != kind)
            break;
        offset++;
    }
    return offset;
}

/* The whole file: size, content, used, extents. */
static inline void model_compare(struct fixture *fixture, const struct model_file *model)
{
    struct inode *inode = data_inode_of(fixture, model->ino);
    uint64_t used = 0, offset, i, end;

    assert_int_equal(inode_attr(inode)->size, model->size);
    for (i = 0; i < model->capacity; i = end) {
        end = model_run_end(model, i, model->capacity);
        used += model->kinds[i] != MODEL_HOLE ? end - i : 0;
    }
    assert_int_equal(inode_attr(inode)->used, used);
    for (offset = 0; offset < model->size; offset += 300000)
        model_compare_range(fixture, model, offset, 300000);
    for (offset = 0; offset < model->size; offset = end) {
        bool is_data = model->kinds[offset] == MODEL_DATA;
        uint64_t found = 0;
        enum err err;

        end = model_run_end(model, offset, model->size);
        while (end < model->size && (model->kinds[end] == MODEL_DATA) == is_data)
            end = model_run_end(model, end, model->size);
        err = store_seek(inode, offset, STORE_SEEK_DATA, &found);
        if (!is_data && end == model->size) {
            assert_int_equal(err, ERR_NXIO);
        } else {
            assert_int_equal(err, ERR_OK);
            assert_int_equal(found, is_data ? offset : end);
        }
        assert_int_equal(store_seek(inode, offset, STORE_SEEK_HOLE, &found), ERR_OK);
        assert_int_equal(found, is_data ? end : offset);
    }
    inode_unref(&inode);
}

#endif
