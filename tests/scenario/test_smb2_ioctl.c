/*
 * test_smb2_ioctl.c - FSCTLs on the wire: server-side copies with their limits, rights and locks, shared
 * extents, holes, and what the server says of itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "smb/smb2_ioctl.h"
#include "smbworld.h"

#include <stdlib.h>
#include <string.h>

enum { MIB = 1 << 20, ROOM = 65536 };

static struct smbworld *world;
static struct smb2client *client;

static size_t two_interfaces(void *data, struct smb_interface *list, size_t most)
{
    (void)data;
    assert_true(most >= 2);
    for (size_t i = 0; i < 2; i++) {
        list[i] = (struct smb_interface){.index = (uint32_t)i + 1, .bits_per_second = 1000000000};
        assert_int_equal(net_address_parse(i == 0 ? "10.1.2.3" : "fd00::1", 0, &list[i].address), ERR_OK);
    }
    return 2;
}

static int set_up(void **state)
{
    struct smb_options options = {.interfaces = two_interfaces};

    (void)state;
    world = smbworld_open(NULL, &options);
    client = smbworld_client(world, "alice");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    smb2client_close(&client);
    smbworld_close(&world);
    return 0;
}

static struct smb2c_opened open_for(const char *name, uint32_t access)
{
    struct smb2c_create create = {
        .name = name, .access = access, .share = SMB2C_SHARE_ALL, .disposition = SMB2C_OPEN_IF};
    struct smb2c_opened opened;

    assert_int_equal(smb2client_create(client, &create, &opened), STATUS_SUCCESS);
    return opened;
}

/* LENGTH bytes, each of which says where it is. */
static void fill(const uint8_t *file, uint64_t offset, uint32_t length)
{
    uint8_t *bytes = malloc(length);

    assert_non_null(bytes);
    for (uint32_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)((offset + i) * 31 >> 3 ^ (offset + i));
    assert_int_equal(smb2client_write(client, file, offset, bytes, length), STATUS_SUCCESS);
    free(bytes);
}

static void expect_filled(const uint8_t *file, uint64_t offset, uint32_t length, uint64_t from)
{
    struct reader got;

    assert_int_equal(smb2client_read(client, file, offset, length, &got), STATUS_SUCCESS);
    assert_int_equal(got.left, length);
    for (uint32_t i = 0; i < length; i++)
        assert_int_equal(got.at[i], (uint8_t)((from + i) * 31 >> 3 ^ (from + i)));
}

static uint32_t fsctl(const uint8_t *file, uint32_t code, const struct writer *input, uint32_t most,
                      struct reader *output_r)
{
    return smb2client_ioctl(client, file, code, input != NULL ? input->data : NULL,
                            input != NULL ? (uint32_t)input->length : 0, most, output_r);
}

static uint32_t fsctl_bytes(const uint8_t *file, uint32_t code, const void *input, uint32_t length)
{
    struct reader output;

    return smb2client_ioctl(client, file, code, input, length, ROOM, &output);
}

/* ---- copies ---- */

struct chunk {
    uint64_t from, to;
    uint32_t length;
};

static void resume_key(const uint8_t *file, uint8_t key[24])
{
    struct reader output;

    assert_int_equal(fsctl(file, FSCTL_SRV_REQUEST_RESUME_KEY, NULL, 32, &output), STATUS_SUCCESS);
    assert_int_equal(output.left, 32);
    assert_true(reader_copy(&output, key, 24));
}

/* The status and the three numbers of the answer. */
static uint32_t copy_with(uint32_t code, const uint8_t key[24], const uint8_t *target,
                          const struct chunk *chunks, uint32_t count, uint32_t answer_r[3])
{
    struct writer input;
    struct reader output = {0};
    uint32_t status;

    writer_init_growing(&input, ROOM);
    writer_bytes(&input, key, 24);
    writer_le32(&input, count);
    writer_le32(&input, 0);
    for (uint32_t i = 0; i < count; i++) {
        writer_le64(&input, chunks[i].from);
        writer_le64(&input, chunks[i].to);
        writer_le32(&input, chunks[i].length);
        writer_le32(&input, 0);
    }
    status = fsctl(target, code, &input, 12, &output);
    writer_free(&input);
    /* A failure carries them, too (MS-SMB2 3.3.5.15.6.1). */
    if (status != STATUS_SUCCESS && client->reply->length > 64 + 9) {
        struct reader body = smb2client_body(client);

        assert_true(reader_skip(&body, 48));
        output = body;
    }
    memset(answer_r, 0, 3 * sizeof *answer_r);
    for (unsigned i = 0; i < 3 && output.left >= 4; i++)
        assert_true(reader_le32(&output, &answer_r[i]));
    return status;
}

static uint32_t copy(const uint8_t key[24], const uint8_t *target, const struct chunk *chunks, uint32_t count,
                     uint32_t answer_r[3])
{
    return copy_with(FSCTL_SRV_COPYCHUNK, key, target, chunks, count, answer_r);
}

static void copies(void **state)
{
    struct smb2c_opened source = open_for("source", 0), target = open_for("target", 0);
    struct chunk aligned[3] = {{0, 0, MIB}, {MIB, MIB, MIB}, {2 * MIB, 2 * MIB, MIB}};
    struct chunk odd[2] = {{1, 7, 300000}, {5000, 4 * MIB + 3, MIB}};
    uint8_t key[24];
    uint32_t answer[3];

    (void)state;
    for (uint32_t i = 0; i < 3; i++)
        fill(source.file, (uint64_t)i * MIB, MIB);
    resume_key(source.file, key);
    assert_int_equal(copy(key, target.file, aligned, 3, answer), STATUS_SUCCESS);
    assert_int_equal(answer[0], 3);
    assert_int_equal(answer[1], 0);
    assert_int_equal(answer[2], 3 * MIB);
    for (uint32_t i = 0; i < 3; i++)
        expect_filled(target.file, (uint64_t)i * MIB, MIB, (uint64_t)i * MIB);
    assert_int_equal(copy(key, target.file, odd, 2, answer), STATUS_SUCCESS);
    assert_int_equal(answer[2], 300000 + MIB);
    expect_filled(target.file, 7, 300000, 1);
    expect_filled(target.file, 4 * MIB + 3, MIB, 5000);
    /* At the end, and nothing at all. */
    odd[0].to = UINT64_MAX;
    assert_int_equal(copy(key, target.file, odd, 1, answer), STATUS_SUCCESS);
    expect_filled(target.file, 5 * MIB + 3, 300000, 1);
    assert_int_equal(copy(key, target.file, odd, 0, answer), STATUS_SUCCESS);
    assert_int_equal(answer[2], 0);
}

static void copy_limits(void **state)
{
    struct smb2c_opened source = open_for("source", 0), target = open_for("target", 0);
    static struct chunk many[257];
    struct chunk one = {0, 0, MIB + 1};
    uint8_t key[24], wrong[24] = {1, 2, 3};
    uint32_t answer[3];

    (void)state;
    fill(source.file, 0, 5000);
    resume_key(source.file, key);
    for (unsigned i = 0; i < 257; i++)
        many[i] = (struct chunk){0, 0, 1};
    assert_int_equal(copy(key, target.file, many, 256, answer), STATUS_SUCCESS);
    assert_int_equal(answer[0], 256);
    assert_int_equal(copy(key, target.file, many, 257, answer), STATUS_INVALID_PARAMETER);
    assert_int_equal(answer[0], 256);
    assert_int_equal(answer[1], MIB);
    assert_int_equal(answer[2], 16 * MIB);
    assert_int_equal(copy(key, target.file, &one, 1, answer), STATUS_INVALID_PARAMETER);
    assert_int_equal(answer[1], MIB);
    for (unsigned i = 0; i < 17; i++)
        many[i].length = MIB;
    assert_int_equal(copy(key, target.file, many, 17, answer), STATUS_INVALID_PARAMETER);
    one.length = 0;
    assert_int_equal(copy(key, target.file, &one, 1, answer), STATUS_INVALID_PARAMETER);
    assert_int_equal(answer[2], 16 * MIB);
    one = (struct chunk){0, (uint64_t)INT64_MAX + 1, 1};
    assert_int_equal(copy(key, target.file, &one, 1, answer), STATUS_INVALID_PARAMETER);
    assert_int_equal(copy(wrong, target.file, many, 1, answer), STATUS_OBJECT_NAME_NOT_FOUND);
    /* The second one reaches over the end: the first is there. */
    many[0] = (struct chunk){0, 0, 5000};
    many[1] = (struct chunk){4999, 5000, 2};
    assert_int_equal(copy(key, target.file, many, 2, answer), STATUS_INVALID_VIEW_SIZE);
    assert_int_equal(answer[0], 1);
    assert_int_equal(answer[2], 5000);
    expect_filled(target.file, 0, 5000, 0);
}

static void copy_rights(void **state)
{
    static const struct {
        uint32_t source, target, copychunk, copychunk_write;
    } rows[] = {
        {SMB2C_READ_DATA, SMB2C_READ_WRITE, STATUS_SUCCESS, STATUS_SUCCESS},
        {SMB2C_WRITE_DATA, SMB2C_READ_WRITE, STATUS_ACCESS_DENIED, STATUS_ACCESS_DENIED},
        {SMB2C_READ_ATTRIBUTES, SMB2C_READ_WRITE, STATUS_ACCESS_DENIED, STATUS_ACCESS_DENIED},
        {SMB2C_READ_DATA, SMB2C_READ_DATA, STATUS_ACCESS_DENIED, STATUS_ACCESS_DENIED},
        {SMB2C_READ_DATA, SMB2C_WRITE_DATA, STATUS_ACCESS_DENIED, STATUS_SUCCESS},
        {SMB2C_READ_DATA, SMB2C_APPEND_DATA | SMB2C_READ_DATA, STATUS_SUCCESS, STATUS_SUCCESS},
    };
    struct smb2c_opened source = open_for("source", 0);
    struct chunk one = {0, 0, 4096};

    (void)state;
    fill(source.file, 0, 5000);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct smb2c_opened from = open_for("source", rows[i].source);
        struct smb2c_opened to = open_for("target", rows[i].target);
        uint8_t key[24];
        uint32_t answer[3];

        resume_key(from.file, key);
        assert_int_equal(copy(key, to.file, &one, 1, answer), rows[i].copychunk);
        assert_int_equal(copy_with(FSCTL_SRV_COPYCHUNK_WRITE, key, to.file, &one, 1, answer),
                         rows[i].copychunk_write);
        assert_int_equal(smb2client_close_file(client, from.file), STATUS_SUCCESS);
        /* The key went with its open. */
        assert_int_equal(copy(key, to.file, &one, 1, answer), STATUS_OBJECT_NAME_NOT_FOUND);
        assert_int_equal(smb2client_close_file(client, to.file), STATUS_SUCCESS);
    }
}

/* Another's ranges stand in the way on both sides, one's own don't; also for what is shared. */
static void copy_locks(void **state)
{
    struct smb2c_opened source = open_for("source", 0), target = open_for("target", 0);
    struct smb2c_opened other_source = open_for("source", 0), other_target = open_for("target", 0);
    struct smb2c_range take = {.offset = 4096, .length = 10, .flags = SMB2C_LOCK_EXCLUSIVE};
    struct smb2c_range give = {.offset = 4096, .length = 10, .flags = SMB2C_UNLOCK};
    struct chunk chunks[2] = {{0, 0, 4096}, {4096, 4096, 4096}};
    uint8_t key[24];
    uint32_t answer[3];

    (void)state;
    fill(source.file, 0, 8192);
    resume_key(source.file, key);
    assert_int_equal(smb2client_lock(client, other_source.file, &take, 1), STATUS_SUCCESS);
    assert_int_equal(copy(key, target.file, chunks, 2, answer), STATUS_FILE_LOCK_CONFLICT);
    assert_int_equal(answer[0], 1);
    assert_int_equal(smb2client_lock(client, other_source.file, &give, 1), STATUS_SUCCESS);
    assert_int_equal(smb2client_lock(client, other_target.file, &take, 1), STATUS_SUCCESS);
    assert_int_equal(copy(key, target.file, chunks, 2, answer), STATUS_FILE_LOCK_CONFLICT);
    assert_int_equal(smb2client_lock(client, other_target.file, &give, 1), STATUS_SUCCESS);
    assert_int_equal(smb2client_lock(client, source.file, &take, 1), STATUS_SUCCESS);
    assert_int_equal(smb2client_lock(client, target.file, &take, 1), STATUS_SUCCESS);
    assert_int_equal(copy(key, target.file, chunks, 2, answer), STATUS_SUCCESS);
    expect_filled(target.file, 0, 8192, 0);
}

static uint32_t duplicate(const uint8_t *source, const uint8_t *target, uint64_t from, uint64_t to,
                          uint64_t length, bool extended)
{
    struct writer input;
    struct reader output;
    uint32_t status;

    writer_init_growing(&input, ROOM);
    if (extended)
        writer_le64(&input, 0x30);
    writer_bytes(&input, source, SMB2C_FILE_ID);
    writer_le64(&input, from);
    writer_le64(&input, to);
    writer_le64(&input, length);
    if (extended)
        writer_le64(&input, 1);
    status = fsctl(target, extended ? FSCTL_DUPLICATE_EXTENTS_TO_FILE_EX : FSCTL_DUPLICATE_EXTENTS_TO_FILE,
                   &input, 0, &output);
    writer_free(&input);
    return status;
}

static void duplicates(void **state)
{
    struct smb2c_opened source = open_for("source", 0), target = open_for("target", 0);
    struct smb2c_opened reader = open_for("target", SMB2C_READ_DATA);
    struct smb2c_opened directory;
    struct smb2c_create create = {
        .name = "dir", .share = SMB2C_SHARE_ALL, .disposition = SMB2C_OPEN_IF, .options = SMB2C_DIRECTORY};
    uint8_t none[SMB2C_FILE_ID] = {9};

    (void)state;
    assert_int_equal(smb2client_create(client, &create, &directory), STATUS_SUCCESS);
    fill(source.file, 0, 40960);
    assert_int_equal(smb2client_truncate(client, target.file, 40960), STATUS_SUCCESS);
    for (unsigned i = 0; i < 2; i++) {
        bool extended = i == 1;

        assert_int_equal(duplicate(source.file, target.file, 0, 0, 40960, extended), STATUS_SUCCESS);
        expect_filled(target.file, 0, 40960, 0);
        assert_int_equal(duplicate(source.file, target.file, 4096, 0, 8192, extended), STATUS_SUCCESS);
        expect_filled(target.file, 0, 8192, 4096);
        assert_int_equal(duplicate(source.file, target.file, 1, 0, 4096, extended), STATUS_INVALID_PARAMETER);
        assert_int_equal(duplicate(source.file, target.file, 0, 0, 40961, extended), STATUS_NOT_SUPPORTED);
        assert_int_equal(duplicate(source.file, source.file, 0, 4096, 8192, extended), STATUS_NOT_SUPPORTED);
        assert_int_equal(duplicate(none, target.file, 0, 0, 4096, extended), STATUS_INVALID_HANDLE);
        assert_int_equal(duplicate(source.file, reader.file, 0, 0, 4096, extended), STATUS_ACCESS_DENIED);
        assert_int_equal(duplicate(directory.file, target.file, 0, 0, 4096, extended),
                         STATUS_INVALID_PARAMETER);
    }
    /* Nothing grows by it. */
    assert_int_equal(smb2client_truncate(client, target.file, 6000), STATUS_SUCCESS);
    assert_int_equal(duplicate(source.file, target.file, 0, 4096, 8192, false), STATUS_SUCCESS);
    expect_filled(target.file, 4096, 6000 - 4096, 0);
    {
        struct smb2c_opened again = open_for("target", 0);

        assert_int_equal(again.size, 6000);
    }
}

/* ---- ranges ---- */

static uint32_t zero(const uint8_t *file, uint64_t from, uint64_t to)
{
    uint64_t range[2] = {from, to};

    return fsctl_bytes(file, FSCTL_SET_ZERO_DATA, range, sizeof range);
}

/* How many ranges; the first is at FIRST_R. */
static uint32_t ranges(const uint8_t *file, uint64_t offset, uint64_t length, uint32_t most, size_t *count_r,
                       uint64_t first_r[2])
{
    uint64_t range[2] = {offset, length};
    struct reader output = {0};
    uint32_t status =
        smb2client_ioctl(client, file, FSCTL_QUERY_ALLOCATED_RANGES, range, sizeof range, most, &output);

    *count_r = output.left / 16;
    if (status == STATUS_SUCCESS && *count_r > 0)
        assert_true(reader_le64(&output, &first_r[0]) && reader_le64(&output, &first_r[1]));
    return status;
}

static void holes(void **state)
{
    struct smb2c_opened file = open_for("f", 0), reader = open_for("f", SMB2C_READ_DATA);
    struct smb2c_opened other = open_for("f", 0);
    struct smb2c_range take = {.offset = 0, .length = 10, .flags = SMB2C_LOCK_EXCLUSIVE};
    static const uint8_t zeros[65536];
    uint64_t first[2] = {0, 0};
    struct reader got;
    uint8_t off = 0;
    size_t count;

    (void)state;
    fill(file.file, 0, 4 * 65536);
    /* Whole, as long as it is not sparse. */
    assert_int_equal(zero(file.file, 65536, 2 * 65536), STATUS_SUCCESS);
    assert_int_equal(smb2client_read(client, file.file, 65536, 65536, &got), STATUS_SUCCESS);
    assert_memory_equal(got.at, zeros, 65536);
    assert_int_equal(ranges(file.file, 0, 1 << 20, ROOM, &count, first), STATUS_SUCCESS);
    assert_int_equal(count, 1);
    assert_int_equal(first[1], 4 * 65536);
    assert_int_equal(fsctl_bytes(reader.file, FSCTL_SET_SPARSE, NULL, 0), STATUS_ACCESS_DENIED);
    assert_int_equal(fsctl_bytes(file.file, FSCTL_SET_SPARSE, NULL, 0), STATUS_SUCCESS);
    assert_true(open_for("f", 0).attributes & SMB2_ATTRIBUTE_SPARSE);
    assert_int_equal(ranges(file.file, 0, 1 << 20, ROOM, &count, first), STATUS_SUCCESS);
    assert_int_equal(count, 2);
    assert_int_equal(first[0], 0);
    assert_int_equal(first[1], 65536);
    assert_int_equal(ranges(file.file, 100, 200, ROOM, &count, first), STATUS_SUCCESS);
    assert_int_equal(first[0], 100);
    assert_int_equal(first[1], 200);
    assert_int_equal(ranges(file.file, 65536, 65536, ROOM, &count, first), STATUS_SUCCESS);
    assert_int_equal(count, 0);
    assert_int_equal(ranges(file.file, 0, 1 << 20, 16, &count, first), STATUS_BUFFER_OVERFLOW);
    assert_int_equal(ranges(file.file, 0, 1 << 20, 15, &count, first), STATUS_BUFFER_TOO_SMALL);
    assert_int_equal(ranges(file.file, 512, UINT64_MAX, ROOM, &count, first), STATUS_INVALID_PARAMETER);
    /* Behind the end nothing happens; backwards, and where another holds a range, neither. */
    assert_int_equal(zero(file.file, 1 << 20, 2 << 20), STATUS_SUCCESS);
    assert_int_equal(open_for("f", 0).size, 4 * 65536);
    assert_int_equal(zero(file.file, 2, 1), STATUS_INVALID_PARAMETER);
    assert_int_equal(zero(reader.file, 0, 1), STATUS_ACCESS_DENIED);
    assert_int_equal(smb2client_lock(client, other.file, &take, 1), STATUS_SUCCESS);
    assert_int_equal(zero(file.file, 0, 4096), STATUS_FILE_LOCK_CONFLICT);
    assert_int_equal(fsctl_bytes(file.file, FSCTL_SET_SPARSE, &off, 1), STATUS_SUCCESS);
    assert_false(open_for("f", 0).attributes & SMB2_ATTRIBUTE_SPARSE);
}

/* COUNT of the pairs of offset and length; PROCESSED_R: how many were. */
static uint32_t trim(const uint8_t *file, uint32_t count, const uint64_t *pairs, uint32_t *processed_r)
{
    struct reader output = {0};
    uint8_t bytes[64];
    struct writer input;
    uint32_t status;

    writer_init(&input, bytes, sizeof bytes);
    writer_le32(&input, 0);
    writer_le32(&input, count);
    for (uint32_t i = 0; i < 2 * count; i++)
        writer_le64(&input, pairs[i]);
    status = fsctl(file, FSCTL_FILE_LEVEL_TRIM, &input, ROOM, &output);
    if (status == STATUS_SUCCESS)
        assert_true(reader_le32(&output, processed_r));
    return status;
}

/* What the file system says it can do (MS-FSCC 2.5.7), it does: whole pages are given back, and no others. */
static void trims(void **state)
{
    struct smb2c_opened file = open_for("f", 0), reader = open_for("f", SMB2C_READ_DATA);
    static const uint64_t pairs[] = {0, 65536, 2 * 65536 + 1, 65536};
    static const uint8_t zeros[65536];
    struct reader data;
    uint32_t flags = 0, processed = 0;

    (void)state;
    assert_int_equal(smb2client_query_info(client, file.file, 2, 11, 0, ROOM, &data), STATUS_SUCCESS);
    assert_true(reader_skip(&data, 16) && reader_le32(&data, &flags));
    assert_int_equal(flags, 1 | 2 | 8);
    fill(file.file, 0, 4 * 65536);
    assert_int_equal(trim(reader.file, 1, pairs, &processed), STATUS_ACCESS_DENIED);
    assert_int_equal(trim(file.file, 0, pairs, &processed), STATUS_INVALID_PARAMETER);
    assert_int_equal(trim(file.file, 2, pairs, &processed), STATUS_SUCCESS);
    assert_int_equal(processed, 2);
    assert_int_equal(smb2client_read(client, file.file, 0, 65536, &data), STATUS_SUCCESS);
    assert_memory_equal(data.at, zeros, 65536);
    expect_filled(file.file, 65536, 65536 + 4096, 65536);
    assert_int_equal(smb2client_read(client, file.file, 2 * 65536 + 4096, 65536 - 4096, &data),
                     STATUS_SUCCESS);
    assert_memory_equal(data.at, zeros, 65536 - 4096);
    expect_filled(file.file, 3 * 65536, 65536, 3 * 65536);
}

static void attributes(void **state)
{
    struct smb2c_opened file = open_for("f", 0);
    static const uint8_t none[2] = {0, 0}, lznt1[2] = {2, 0}, integrity[8] = {1, 0}, weaker[8] = {0, 0};
    uint8_t id[64];
    struct reader got;
    uint16_t value = 0;

    (void)state;
    assert_int_equal(fsctl(file.file, FSCTL_GET_COMPRESSION, NULL, 2, &got), STATUS_SUCCESS);
    assert_true(reader_le16(&got, &value) && value == 0 && got.left == 0);
    assert_int_equal(fsctl_bytes(file.file, FSCTL_SET_COMPRESSION, none, 2), STATUS_SUCCESS);
    assert_int_equal(fsctl_bytes(file.file, FSCTL_SET_COMPRESSION, lznt1, 2), STATUS_NOT_SUPPORTED);
    assert_int_equal(fsctl(file.file, FSCTL_GET_INTEGRITY_INFORMATION, NULL, 16, &got), STATUS_SUCCESS);
    assert_true(reader_le16(&got, &value) && value == 1 && got.left == 14);
    assert_int_equal(fsctl_bytes(file.file, FSCTL_SET_INTEGRITY_INFORMATION, integrity, 8), STATUS_SUCCESS);
    assert_int_equal(fsctl_bytes(file.file, FSCTL_SET_INTEGRITY_INFORMATION, weaker, 8),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(fsctl(file.file, FSCTL_CREATE_OR_GET_OBJECT_ID, NULL, 64, &got), STATUS_SUCCESS);
    assert_true(reader_copy(&got, id, 64));
    assert_int_equal(fsctl(file.file, FSCTL_GET_OBJECT_ID, NULL, 64, &got), STATUS_SUCCESS);
    assert_memory_equal(got.at, id, 64);
    file = open_for("g", 0);
    assert_int_equal(fsctl(file.file, FSCTL_GET_OBJECT_ID, NULL, 64, &got), STATUS_SUCCESS);
    assert_memory_not_equal(got.at, id, 16);
}

/* ---- the server ---- */

static void server(void **state)
{
    struct smb2c_opened file = open_for("f", 0);
    uint8_t nothing[SMB2C_FILE_ID];
    struct reader got;
    uint32_t next = 0, index = 0;

    (void)state;
    memset(nothing, 0xff, sizeof nothing);
    assert_int_equal(fsctl(nothing, FSCTL_QUERY_NETWORK_INTERFACE_INFO, NULL, ROOM, &got), STATUS_SUCCESS);
    assert_int_equal(got.left, 2 * 152);
    assert_true(reader_le32(&got, &next) && reader_le32(&got, &index));
    assert_int_equal(next, 152);
    assert_int_equal(index, 1);
    assert_memory_equal(got.at + 16, "\2\0\0\0\12\1\2\3", 8);
    assert_memory_equal(got.at + 144 + 24, "\x17\0", 2);
    assert_int_equal(fsctl(nothing, FSCTL_QUERY_NETWORK_INTERFACE_INFO, NULL, 303, &got),
                     STATUS_BUFFER_TOO_SMALL);
    assert_int_equal(fsctl(file.file, FSCTL_QUERY_NETWORK_INTERFACE_INFO, NULL, ROOM, &got),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(fsctl(nothing, FSCTL_DFS_GET_REFERRALS, NULL, ROOM, &got), STATUS_FS_DRIVER_REQUIRED);
    assert_int_equal(fsctl(file.file, FSCTL_SRV_ENUMERATE_SNAPSHOTS, NULL, 16, &got), STATUS_SUCCESS);
    assert_int_equal(got.left, 12);
    assert_int_equal(fsctl(file.file, FSCTL_SRV_ENUMERATE_SNAPSHOTS, NULL, 15, &got),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(fsctl(file.file, FSCTL_SRV_READ_HASH, NULL, ROOM, &got), STATUS_HASH_NOT_SUPPORTED);
    assert_int_equal(fsctl(file.file, FSCTL_PIPE_TRANSCEIVE, NULL, ROOM, &got),
                     STATUS_INVALID_DEVICE_REQUEST);
    assert_int_equal(fsctl(file.file, 0x00090000, NULL, ROOM, &got), STATUS_INVALID_DEVICE_REQUEST);
    assert_int_equal(fsctl(nothing, FSCTL_SET_SPARSE, NULL, ROOM, &got), STATUS_FILE_CLOSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(copies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(copy_limits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(copy_rights, set_up, tear_down),
        cmocka_unit_test_setup_teardown(copy_locks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(duplicates, set_up, tear_down),
        cmocka_unit_test_setup_teardown(holes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(trims, set_up, tear_down),
        cmocka_unit_test_setup_teardown(attributes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(server, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
