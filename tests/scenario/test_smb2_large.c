/*
 * test_smb2_large.c - messages that workers decrypt, check, encrypt and sign: their content, their order, bad
 * signatures, connections that end meanwhile, and how many are made for a client that takes none. Again with
 * a loop that decrypts and checks itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dittofs/buf.h"
#include "dittofs/loop.h"
#include "smbworld.h"

#include <stdlib.h>
#include <string.h>

enum { MIB = 1 << 20 };

static struct smbworld *world;

static int set_up(void **state)
{
    (void)state;
    world = smbworld_open(NULL, NULL);
    return 0;
}

static int set_up_on_loop(void **state)
{
    (void)state;
    world = smbworld_open(NULL, &(struct smb_options){.open_on_loop = true});
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    smbworld_close(&world);
    return 0;
}

static struct smb2c_opened open_file(struct smb2client *client, const char *name)
{
    struct smb2c_create create = {.name = name, .share = SMB2C_SHARE_ALL, .disposition = SMB2C_OPEN_IF};
    struct smb2c_opened opened;

    assert_int_equal(smb2client_create(client, &create, &opened), STATUS_SUCCESS);
    return opened;
}

static uint8_t *bytes_of(unsigned seed)
{
    uint8_t *bytes = malloc(MIB);

    assert_non_null(bytes);
    for (unsigned i = 0; i < MIB; i++)
        bytes[i] = (uint8_t)(i * 7 + (i >> 9) + seed);
    return bytes;
}

static void write_body(struct writer *body, const uint8_t *file, const void *data, uint32_t length)
{
    writer_init_growing(body, 2 * MIB);
    writer_le16(body, 49);
    writer_le16(body, 64 + 48);
    writer_le32(body, length);
    writer_le64(body, 0);
    writer_bytes(body, file, SMB2C_FILE_ID);
    writer_zeros(body, 16);
    writer_bytes(body, data, length);
}

static void contents(void **state)
{
    static const struct {
        uint16_t dialect, signing, cipher;
        bool encrypts;
    } rows[] = {
        {0x0210, 0, 0, false},
        {0x0302, 0, 0, false},
        {0x0302, 0, 0, true},
        {0x0311, SMB2_SIGNING_AES_GMAC, SMB2_CIPHER_AES128_GCM, false},
        {0x0311, SMB2_SIGNING_AES_CMAC, SMB2_CIPHER_AES128_GCM, true},
        {0x0311, SMB2_SIGNING_AES_CMAC, SMB2_CIPHER_AES256_CCM, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct smb2client *client = smbworld_connect(world);
        uint8_t *bytes = bytes_of((unsigned)i);
        struct smb2c_opened file;
        struct reader got;

        client->dialects[0] = rows[i].dialect;
        client->cipher_offer = rows[i].cipher;
        client->signing_offer = rows[i].signing;
        smbworld_log_on(client, "alice", "a");
        client->encrypts = rows[i].encrypts;
        file = open_file(client, "f");
        assert_int_equal(smb2client_write(client, file.file, 0, bytes, MIB), STATUS_SUCCESS);
        assert_int_equal(smb2client_read(client, file.file, 0, MIB, &got), STATUS_SUCCESS);
        assert_int_equal(got.left, MIB);
        assert_memory_equal(got.at, bytes, MIB);
        assert_int_equal(client->reply->is_signed, !rows[i].encrypts);
        free(bytes);
        smb2client_close(&client);
    }
}

/* What was sent behind a large request finds what that one did. */
static void order(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct smb2client *client = smbworld_client(world, "alice");
        struct smb2c_opened file = open_file(client, "f");
        uint8_t *bytes = bytes_of(i), *others = bytes_of(i + 100);
        struct writer body;
        uint64_t ids[3];
        struct reader got;

        client->encrypts = i == 1;
        write_body(&body, file.file, bytes, MIB);
        ids[0] = smb2client_send(client, SMB2C_WRITE, &body);
        writer_free(&body);
        write_body(&body, file.file, others, 5);
        ids[1] = smb2client_send(client, SMB2C_WRITE, &body);
        writer_free(&body);
        assert_int_equal(smb2client_wait(client, ids[0]), STATUS_SUCCESS);
        assert_int_equal(smb2client_wait(client, ids[1]), STATUS_SUCCESS);
        assert_int_equal(smb2client_read(client, file.file, 0, MIB, &got), STATUS_SUCCESS);
        assert_memory_equal(got.at, others, 5);
        assert_memory_equal(got.at + 5, bytes + 5, MIB - 5);
        free(bytes);
        free(others);
        smb2client_close(&client);
    }
}

/* A large WRITE whose signature is missing or not right changes nothing. */
static void bad_signatures(void **state)
{
    struct smb2client *client = smbworld_client(world, "alice"), *other = smbworld_client(world, "alice");
    struct smb2c_opened file = open_file(client, "f");
    uint8_t *bytes = bytes_of(1);
    struct smb2_key *right = client->sign_key;
    struct writer body;
    struct reader got;

    (void)state;
    write_body(&body, file.file, bytes, MIB);
    client->leaves_unsigned = true;
    assert_int_equal(smb2client_call(client, SMB2C_WRITE, &body), STATUS_ACCESS_DENIED);
    client->leaves_unsigned = false;
    client->sign_key = other->sign_key;
    assert_int_equal(smb2client_call(client, SMB2C_WRITE, &body), STATUS_ACCESS_DENIED);
    client->sign_key = right;
    assert_int_equal(smb2client_read(client, file.file, 0, 10, &got), STATUS_END_OF_FILE);
    assert_int_equal(smb2client_call(client, SMB2C_WRITE, &body), STATUS_SUCCESS);
    writer_free(&body);
    free(bytes);
    smb2client_close(&other);
    smb2client_close(&client);
}

/* A worker has it when the peer goes, or the server stops: nothing is left of it. */
static void ends(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct smb2client *client = smbworld_client(world, "alice");
        struct smb2c_opened file = open_file(client, "f");
        uint8_t *bytes = bytes_of(i);
        struct writer body;

        client->encrypts = i % 2 == 1;
        write_body(&body, file.file, bytes, MIB);
        assert_true(smb2client_send(client, SMB2C_WRITE, &body) != UINT64_MAX);
        writer_free(&body);
        free(bytes);
        if (i >= 2)
            smbworld_restart(world);
        smb2client_close(&client);
    }
}

enum { READS = 24, KEPT_MOST = 8 * MIB };

static size_t kept_most;

/* Turns the loop and remembers what was held at most. */
static void pump_and_watch(void *data)
{
    const struct smbworld *of = data;

    loop_run_once(of->nfs->loop, false);
    if (buf_bytes_in_use() > kept_most)
        kept_most = buf_bytes_in_use();
}

static void read_body(struct writer *body, const uint8_t *file, uint32_t length)
{
    writer_init_growing(body, 64);
    writer_le32(body, 49);
    writer_le32(body, length);
    writer_le64(body, 0);
    writer_bytes(body, file, SMB2C_FILE_ID);
    writer_zeros(body, 17);
}

/* Replies are made as they are taken: many large READs at once need the memory of a few. */
static void many_reads(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct smb2client *client = smbworld_client(world, "alice");
        struct smb2c_opened file = open_file(client, "f");
        uint8_t *bytes = bytes_of(i);
        size_t before;
        struct writer body;
        uint64_t ids[READS];

        assert_int_equal(smb2client_write(client, file.file, 0, bytes, MIB), STATUS_SUCCESS);
        assert_int_equal(smb2client_flush(client, file.file), STATUS_SUCCESS);
        while (client->credits < READS * 16) {
            struct writer echo;

            writer_init_growing(&echo, 4);
            writer_le32(&echo, 4);
            assert_int_equal(smb2client_call(client, SMB2C_ECHO, &echo), STATUS_SUCCESS);
            writer_free(&echo);
        }
        client->encrypts = i == 1;
        client->pump = pump_and_watch;
        read_body(&body, file.file, MIB);
        before = kept_most = buf_bytes_in_use();
        for (unsigned k = 0; k < READS; k++)
            ids[k] = smb2client_send(client, SMB2C_READ, &body);
        writer_free(&body);
        for (unsigned k = 0; k < 200; k++)
            pump_and_watch(world);
        for (unsigned k = 0; k < READS; k++) {
            struct reader got;

            assert_int_equal(smb2client_wait(client, ids[k]), STATUS_SUCCESS);
            assert_true(smb2client_part(client, 64 + 16, MIB, &got));
            assert_memory_equal(got.at, bytes, MIB);
        }
        assert_true(kept_most > before && kept_most - before < KEPT_MOST);
        free(bytes);
        smb2client_close(&client);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(contents, set_up, tear_down),
        cmocka_unit_test_setup_teardown(order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_signatures, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_reads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(contents, set_up_on_loop, tear_down),
        cmocka_unit_test_setup_teardown(order, set_up_on_loop, tear_down),
        cmocka_unit_test_setup_teardown(bad_signatures, set_up_on_loop, tear_down),
        cmocka_unit_test_setup_teardown(ends, set_up_on_loop, tear_down),
        cmocka_unit_test_setup_teardown(many_reads, set_up_on_loop, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
