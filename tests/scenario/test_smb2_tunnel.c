/*
 * test_smb2_tunnel.c - what a file leaves to the next one of its name: the date of its making, and its long
 * name.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dittofs/utf16.h"
#include "simclock.h"
#include "smbworld.h"

#include <stdio.h>
#include <string.h>

enum { BASIC = 4, RENAME = 0x10000 | SMB2C_READ_ATTRIBUTES | SMB2C_WRITE_ATTRIBUTES, KEPT_MS = 15 * 1000 };
#define LONG_AGO UINT64_C(0x01c0000000000000)

static struct smbworld *world;
static struct smb2client *client;

static int set_up(void **state)
{
    (void)state;
    simclock_install();
    world = smbworld_open(NULL, NULL);
    client = smbworld_client(world, "alice");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    smb2client_close(&client);
    smbworld_close(&world);
    simclock_remove();
    return 0;
}

static struct smb2c_opened open_as(const char *name, uint32_t disposition, uint32_t options)
{
    struct smb2c_create create = {.name = name,
                                  .access = RENAME,
                                  .share = SMB2C_SHARE_ALL,
                                  .disposition = disposition,
                                  .options = options};
    struct smb2c_opened opened;

    assert_int_equal(smb2client_create(client, &create, &opened), STATUS_SUCCESS);
    return opened;
}

static void close_file(const struct smb2c_opened *opened)
{
    assert_int_equal(smb2client_close_file(client, opened->file), STATUS_SUCCESS);
}

static void make(const char *name, uint32_t options)
{
    struct smb2c_opened opened = open_as(name, SMB2C_MAKE, options);

    close_file(&opened);
}

static void make_old(const char *name, uint32_t options)
{
    struct smb2c_opened opened = open_as(name, SMB2C_MAKE, options);
    uint8_t times[40] = {0};

    for (unsigned i = 0; i < 8; i++)
        times[i] = (uint8_t)(LONG_AGO >> 8 * i);
    assert_int_equal(smb2client_set_info(client, opened.file, 1, BASIC, 0, times, sizeof times),
                     STATUS_SUCCESS);
    close_file(&opened);
}

static void delete (const char *name)
{
    struct smb2c_opened opened = open_as(name, SMB2C_OPEN, SMB2C_DELETE_ON_CLOSE);

    close_file(&opened);
}

static void rename_to(const char *name, const char *to, bool replace)
{
    struct smb2c_opened opened = open_as(name, SMB2C_OPEN, 0);

    assert_int_equal(smb2client_rename(client, opened.file, to, replace), STATUS_SUCCESS);
    close_file(&opened);
}

static bool is_old(const char *name)
{
    struct smb2c_opened opened = open_as(name, SMB2C_OPEN, 0);
    struct reader data;
    uint64_t made = 0;

    assert_int_equal(smb2client_query_info(client, opened.file, 1, BASIC, 0, 100, &data), STATUS_SUCCESS);
    assert_true(reader_le64(&data, &made));
    close_file(&opened);
    return made == LONG_AGO;
}

static void made_anew(void **state)
{
    (void)state;
    make_old("Letter.doc", 0);
    delete ("Letter.doc");
    make("LETTER.DOC", 0);
    assert_true(is_old("letter.doc"));
    /* What is left is for one. */
    delete ("letter.doc");
    make("letter.doc", 0);
    make("other.doc", 0);
    assert_true(is_old("letter.doc"));
    assert_false(is_old("other.doc"));
}

static void not_for_ever(void **state)
{
    (void)state;
    make_old("f", 0);
    delete ("f");
    simclock_advance_ms(KEPT_MS);
    make("f", 0);
    assert_false(is_old("f"));
}

static void not_elsewhere(void **state)
{
    (void)state;
    make("d", SMB2C_DIRECTORY);
    make_old("f", 0);
    delete ("f");
    make("d\\f", 0);
    assert_false(is_old("d\\f"));
    make("g", 0);
    assert_false(is_old("g"));
}

/* A directory has nothing to leave. */
static void not_of_directories(void **state)
{
    (void)state;
    make_old("d", SMB2C_DIRECTORY);
    delete ("d");
    make("d", SMB2C_DIRECTORY);
    assert_false(is_old("d"));
}

/* As Word saves: beside it, then in its place. */
static void saved(void **state)
{
    (void)state;
    make_old("letter", 0);
    make("new", 0);
    rename_to("letter", "backup", false);
    rename_to("new", "letter", false);
    assert_true(is_old("letter"));
    assert_true(is_old("backup"));
    delete ("backup");
    /* Of what is replaced nothing is left. */
    make("new", 0);
    rename_to("new", "letter", true);
    assert_false(is_old("letter"));
}

/* A change of case is none of names. */
static void another_case(void **state)
{
    (void)state;
    make_old("f", 0);
    rename_to("f", "F", false);
    assert_true(is_old("F"));
    delete ("F");
    make("f", 0);
    assert_true(is_old("f"));
}

static void short_name_of(const char *name, char text_r[32])
{
    struct smb2c_opened opened = open_as(name, SMB2C_OPEN, 0);
    const uint8_t *utf16 = NULL;
    struct reader data;
    uint32_t length = 0;

    assert_int_equal(smb2client_query_info(client, opened.file, 1, 21, 0, 100, &data), STATUS_SUCCESS);
    assert_true(reader_le32(&data, &length) && reader_bytes(&data, length, &utf16));
    assert_true(utf16_to_string(text_r, 32, utf16, length));
    close_file(&opened);
}

static void by_short_name(void **state)
{
    char text[32];

    (void)state;
    make_old("a long name.text", 0);
    short_name_of("a long name.text", text);
    delete (text);
    make(text, 0);
    assert_true(is_old("a long name.text"));
    delete ("a long name.text");
}

/* Many are deleted: the last ones are known. */
static void bounded(void **state)
{
    char name[16];

    (void)state;
    make_old("first", 0);
    delete ("first");
    for (unsigned i = 0; i < 256; i++) {
        (void)snprintf(name, sizeof name, "f%u", i);
        make_old(name, 0);
        delete (name);
    }
    make("first", 0);
    assert_false(is_old("first"));
    make("f0", 0);
    assert_true(is_old("f0"));
    make("f255", 0);
    assert_true(is_old("f255"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(made_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(not_for_ever, set_up, tear_down),
        cmocka_unit_test_setup_teardown(not_elsewhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(not_of_directories, set_up, tear_down),
        cmocka_unit_test_setup_teardown(saved, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_case, set_up, tear_down),
        cmocka_unit_test_setup_teardown(by_short_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bounded, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
