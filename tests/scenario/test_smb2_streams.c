/*
 * test_smb2_streams.c - a stream that becomes its file's own data, and when it may not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "smbworld.h"

#include <string.h>

enum { ALL = 0x1f01ff, LENGTH = 10000 };

static struct smbworld *world;
static struct smb2client *client;

static int set_up(void **state)
{
    (void)state;
    world = smbworld_open(NULL, NULL);
    client = smbworld_client(world, "alice");
    return 0;
}

static int tear_down(void **state)
{
    struct state_counters counters;

    (void)state;
    smb2client_close(&client);
    nfsworld_turn(world->nfs, 20);
    state_counters(world->nfs->state, &counters);
    assert_int_equal(counters.opens, 0);
    smbworld_close(&world);
    return 0;
}

static uint32_t try_open(const char *name, uint32_t disposition, struct smb2c_opened *opened_r)
{
    struct smb2c_create create = {
        .name = name, .access = ALL, .share = SMB2C_SHARE_ALL, .disposition = disposition};

    return smb2client_create(client, &create, opened_r);
}

static struct smb2c_opened open_as(const char *name)
{
    struct smb2c_opened opened;

    assert_int_equal(try_open(name, SMB2C_OPEN_IF, &opened), STATUS_SUCCESS);
    return opened;
}

static void close_file(const struct smb2c_opened *opened)
{
    assert_int_equal(smb2client_close_file(client, opened->file), STATUS_SUCCESS);
}

/* The stream "s" of "f", with LENGTH bytes. */
static struct smb2c_opened make_stream(uint8_t content[LENGTH])
{
    struct smb2c_opened stream = open_as("f:s");

    for (unsigned i = 0; i < LENGTH; i++)
        content[i] = (uint8_t)(i * 7);
    assert_int_equal(smb2client_write(client, stream.file, 0, content, LENGTH), STATUS_SUCCESS);
    return stream;
}

static void expect_content(const struct smb2c_opened *opened, const uint8_t *content, size_t length)
{
    struct reader got;

    assert_int_equal(smb2client_read(client, opened->file, 0, 2 * LENGTH, &got), STATUS_SUCCESS);
    assert_int_equal(got.left, length);
    assert_memory_equal(got.at, content, length);
}

static void becomes_data(void **state)
{
    uint8_t content[LENGTH];
    struct smb2c_opened stream = make_stream(content), file;

    (void)state;
    assert_int_equal(smb2client_rename(client, stream.file, "::$DATA", false), STATUS_OBJECT_NAME_COLLISION);
    assert_int_equal(smb2client_rename(client, stream.file, "::$DATA", true), STATUS_SUCCESS);
    assert_int_equal(try_open("f:s", SMB2C_OPEN, &file), STATUS_OBJECT_NAME_NOT_FOUND);
    /* The handle is one of the file now. */
    expect_content(&stream, content, LENGTH);
    assert_int_equal(smb2client_write(client, stream.file, 0, "new", 3), STATUS_SUCCESS);
    memcpy(content, "new", 3);
    file = open_as("f");
    assert_int_equal(file.size, LENGTH);
    expect_content(&file, content, LENGTH);
    close_file(&stream);
    close_file(&file);
    assert_int_equal(try_open("f", SMB2C_OPEN, &file), STATUS_SUCCESS);
    expect_content(&file, content, LENGTH);
    close_file(&file);
}

static void without_content(void **state)
{
    struct smb2c_opened stream = open_as("f:s"), file;

    (void)state;
    assert_int_equal(smb2client_rename(client, stream.file, "::$DATA", true), STATUS_SUCCESS);
    close_file(&stream);
    assert_int_equal(try_open("f", SMB2C_OPEN, &file), STATUS_SUCCESS);
    assert_int_equal(file.size, 0);
    close_file(&file);
}

/* Nothing is lost by it. */
static void not_over_data(void **state)
{
    uint8_t content[LENGTH];
    struct smb2c_opened stream = make_stream(content), file = open_as("f");

    (void)state;
    assert_int_equal(smb2client_write(client, file.file, 0, "data", 4), STATUS_SUCCESS);
    close_file(&file);
    assert_int_equal(smb2client_rename(client, stream.file, "::$DATA", true), STATUS_INVALID_PARAMETER);
    expect_content(&stream, content, LENGTH);
    close_file(&stream);
    file = open_as("f");
    expect_content(&file, (const uint8_t *)"data", 4);
    close_file(&file);
}

/* Nobody's open is pulled away. */
static void not_while_open(void **state)
{
    static const char *const others[] = {"f", "f:s"};
    uint8_t content[LENGTH];
    struct smb2c_opened stream = make_stream(content);
    struct smb2c_range range = {.length = 1, .flags = SMB2C_LOCK_EXCLUSIVE | SMB2C_FAIL_AT_ONCE};

    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct smb2c_opened other = open_as(others[i]);

        assert_int_equal(smb2client_rename(client, stream.file, "::$DATA", true), STATUS_INVALID_PARAMETER);
        close_file(&other);
    }
    assert_int_equal(smb2client_lock(client, stream.file, &range, 1), STATUS_SUCCESS);
    assert_int_equal(smb2client_rename(client, stream.file, "::$DATA", true), STATUS_INVALID_PARAMETER);
    range.flags = SMB2C_UNLOCK;
    assert_int_equal(smb2client_lock(client, stream.file, &range, 1), STATUS_SUCCESS);
    assert_int_equal(smb2client_rename(client, stream.file, "::$DATA", true), STATUS_SUCCESS);
    close_file(&stream);
}

static void not_of_directories(void **state)
{
    struct smb2c_create create = {.name = "d",
                                  .access = ALL,
                                  .share = SMB2C_SHARE_ALL,
                                  .disposition = SMB2C_MAKE,
                                  .options = SMB2C_DIRECTORY};
    struct smb2c_opened dir, stream;

    (void)state;
    assert_int_equal(smb2client_create(client, &create, &dir), STATUS_SUCCESS);
    close_file(&dir);
    stream = open_as("d:s");
    assert_int_equal(smb2client_rename(client, stream.file, "::$DATA", true), STATUS_INVALID_PARAMETER);
    close_file(&stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(becomes_data, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_content, set_up, tear_down),
        cmocka_unit_test_setup_teardown(not_over_data, set_up, tear_down),
        cmocka_unit_test_setup_teardown(not_while_open, set_up, tear_down),
        cmocka_unit_test_setup_teardown(not_of_directories, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
