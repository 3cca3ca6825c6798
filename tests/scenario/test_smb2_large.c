/*
 * test_smb2_large.c - messages that workers decrypt, check, encrypt and sign: their content, their order, bad
 * signatures, connections that end meanwhile, and how many are made for a client that takes none. Again with
 * a loop that decrypts and checks itself. READs that wait for a slot: others' turns, files that are closed
 * and connections that end meanwhile, and what waits for the disk.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dittofs/buf.h"
#include "dittofs/loop.h"
#include "simdisk.h"
#include "smbworld.h"
#include "smb/smb2_priv.h"
#include "store/data_priv.h"

#include <semaphore.h>
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

static struct smb2c_opened open_named(struct smb2client *client, const char *name)
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
        file = open_named(client, "f");
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
        struct smb2c_opened file = open_named(client, "f");
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
    struct smb2c_opened file = open_named(client, "f");
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
        struct smb2c_opened file = open_named(client, "f");
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

static void take_credits(struct smb2client *client, unsigned reads)
{
    while (client->credits < reads * 16)
        assert_int_equal(smb2client_echo(client), STATUS_SUCCESS);
}

static void send_reads(struct smb2client *client, const uint8_t *file, uint64_t *ids, unsigned count)
{
    struct writer body;

    read_body(&body, file, MIB);
    for (unsigned k = 0; k < count; k++)
        ids[k] = smb2client_send(client, SMB2C_READ, &body);
    writer_free(&body);
}

static void wait_reads(struct smb2client *client, const uint64_t *ids, unsigned count, const uint8_t *bytes)
{
    for (unsigned k = 0; k < count; k++) {
        struct reader got;

        assert_int_equal(smb2client_wait(client, ids[k]), STATUS_SUCCESS);
        assert_true(smb2client_part(client, 64 + 16, MIB, &got));
        assert_memory_equal(got.at, bytes, MIB);
    }
}

/* Replies are made as they are taken: many large READs at once need the memory of a few. */
static void many_reads(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct smb2client *client = smbworld_client(world, "alice");
        struct smb2c_opened file = open_named(client, "f");
        uint8_t *bytes = bytes_of(i);
        size_t before;
        uint64_t ids[READS];

        assert_int_equal(smb2client_write(client, file.file, 0, bytes, MIB), STATUS_SUCCESS);
        assert_int_equal(smb2client_flush(client, file.file), STATUS_SUCCESS);
        take_credits(client, READS);
        client->encrypts = i == 1;
        client->pump = pump_and_watch;
        before = kept_most = buf_bytes_in_use();
        send_reads(client, file.file, ids, READS);
        for (unsigned k = 0; k < 200; k++)
            pump_and_watch(world);
        wait_reads(client, ids, READS, bytes);
        assert_true(kept_most > before && kept_most - before < KEPT_MOST);
        free(bytes);
        smb2client_close(&client);
    }
}

/* ---- READs that wait for a slot ---- */

/* A file whose bytes are not in the store's memory. */
static uint8_t *make_stored(void)
{
    struct smb2client *client = smbworld_client(world, "alice");
    struct smb2c_opened file = open_named(client, "f");
    uint8_t *bytes = bytes_of(77);

    assert_int_equal(smb2client_write(client, file.file, 0, bytes, MIB), STATUS_SUCCESS);
    smb2client_close(&client);
    smbworld_restart(world);
    return bytes;
}

static struct smb2client *reader_of_f(struct smb2c_opened *file_r)
{
    struct smb2client *client = smbworld_client(world, "alice");

    *file_r = open_named(client, "f");
    take_credits(client, READS);
    return client;
}

static void what_waits_for_the_disk(void **state)
{
    static const enum simdisk_nowait hows[] = {SIMDISK_NOWAIT_READS, SIMDISK_NOWAIT_AGAIN,
                                               SIMDISK_NOWAIT_RANDOM};
    uint8_t *bytes = make_stored();
    struct smb2c_opened file;
    struct smb2client *client = reader_of_f(&file);
    uint64_t ids[READS];

    (void)state;
    for (size_t i = 0; i < sizeof hows / sizeof *hows; i++) {
        simdisk_set_nowait(world->nfs->disk, hows[i]);
        send_reads(client, file.file, ids, READS);
        wait_reads(client, ids, READS, bytes);
    }
    free(bytes);
    smb2client_close(&client);
}

static unsigned most_jobs;

static void pump_and_count(void *data)
{
    const struct smbworld *of = data;

    loop_run_once(of->nfs->loop, false);
    if (data_jobs(of->nfs->store) > most_jobs)
        most_jobs = (unsigned)data_jobs(of->nfs->store);
}

/* Two at a time come from the page cache; the disk is asked for more. */
static void at_a_time(void **state)
{
    uint8_t *bytes = make_stored();
    struct smb2c_opened file;
    struct smb2client *client = reader_of_f(&file);
    uint64_t ids[READS];

    (void)state;
    client->pump = pump_and_count;
    for (unsigned i = 0; i < 2; i++) {
        simdisk_set_nowait(world->nfs->disk, i == 0 ? SIMDISK_NOWAIT_READS : SIMDISK_NOWAIT_AGAIN);
        most_jobs = 0;
        send_reads(client, file.file, ids, READS);
        wait_reads(client, ids, READS, bytes);
        assert_true(i == 0 ? most_jobs == 2 : most_jobs > 2);
    }
    free(bytes);
    smb2client_close(&client);
}

/* ---- order ---- */

enum { WORKERS = 4 }; /* of libuv, unless it is told otherwise */

static sem_t work_may_end;
static struct loop_job busy[WORKERS];

static void keep_busy(struct loop_job *job)
{
    (void)job;
    while (sem_wait(&work_may_end) != 0)
        ;
}

static void ignore_job(struct loop_job *job)
{
    (void)job;
}

static unsigned length_of(const struct list *list)
{
    const struct list *link;
    unsigned length = 0;

    list_for_each(link, list) length++;
    return length;
}

/* How many of the READS that came first wait, and the one that came last. */
static void count_waiting(unsigned *first_r, unsigned *last_r)
{
    const struct list *conns = &world->server->conns;

    *first_r = length_of(&container_of(conns->next, struct smb2_conn, link)->reads);
    *last_r = length_of(&container_of(conns->previous, struct smb2_conn, link)->reads);
}

/* One client's many don't keep another one's waiting. */
static void in_turn(void **state)
{
    uint8_t *bytes = make_stored();
    struct smb2c_opened file, greedy_file;
    struct smb2client *greedy = reader_of_f(&greedy_file), *client = reader_of_f(&file);
    uint64_t id, greedy_ids[READS];
    unsigned waiting, greedy_waiting;

    (void)state;
    assert_int_equal(sem_init(&work_may_end, 0, 0), 0);
    for (unsigned i = 0; i < WORKERS; i++) {
        busy[i] = (struct loop_job){.work = keep_busy, .done = ignore_job};
        assert_int_equal(loop_submit(world->nfs->loop, &busy[i]), ERR_OK);
    }
    send_reads(greedy, greedy_file.file, greedy_ids, READS);
    do {
        nfsworld_turn(world->nfs, 1);
        count_waiting(&greedy_waiting, &waiting);
    } while (greedy_waiting < READS - 2);
    send_reads(client, file.file, &id, 1);
    do {
        nfsworld_turn(world->nfs, 1);
        count_waiting(&greedy_waiting, &waiting);
    } while (waiting == 0);
    for (unsigned i = 0; i < WORKERS; i++)
        sem_post(&work_may_end);
    while (waiting > 0) {
        nfsworld_turn(world->nfs, 1);
        count_waiting(&greedy_waiting, &waiting);
    }
    assert_true(greedy_waiting >= READS - 3); /* two that began at once, and one */
    wait_reads(client, &id, 1, bytes);
    wait_reads(greedy, greedy_ids, READS, bytes);
    sem_destroy(&work_may_end);
    free(bytes);
    smb2client_close(&client);
    smb2client_close(&greedy);
}

/* Nor does one that takes no replies, whether they are encrypted or not, and its end is no harm. */
static void held_up(void **state)
{
    uint8_t *bytes = make_stored();

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct smb2c_opened file, lazy_file;
        struct smb2client *client = reader_of_f(&file), *lazy = reader_of_f(&lazy_file);
        uint64_t ids[READS], lazy_ids[READS];

        lazy->encrypts = i % 2 == 1;
        send_reads(lazy, lazy_file.file, lazy_ids, READS);
        send_reads(client, file.file, ids, READS);
        wait_reads(client, ids, READS, bytes);
        if (i < 2)
            wait_reads(lazy, lazy_ids, READS, bytes);
        smb2client_close(&lazy);
        send_reads(client, file.file, ids, READS);
        wait_reads(client, ids, READS, bytes);
        smb2client_close(&client);
    }
    free(bytes);
}

/* What came before a CLOSE is read. */
static void closed_meanwhile(void **state)
{
    uint8_t *bytes = make_stored();
    struct smb2c_opened file;
    struct smb2client *client = reader_of_f(&file);
    struct writer body;
    struct reader got;
    uint64_t ids[READS], id;

    (void)state;
    writer_init_growing(&body, 64);
    writer_le16(&body, 24);
    writer_zeros(&body, 6);
    writer_bytes(&body, file.file, SMB2C_FILE_ID);
    send_reads(client, file.file, ids, READS);
    id = smb2client_send(client, SMB2C_CLOSE, &body);
    writer_free(&body);
    wait_reads(client, ids, READS, bytes);
    assert_int_equal(smb2client_wait(client, id), STATUS_SUCCESS);
    assert_int_equal(smb2client_read(client, file.file, 0, MIB, &got), STATUS_FILE_CLOSED);
    free(bytes);
    smb2client_close(&client);
}

/* The server stops while they wait. */
static void stopped_meanwhile(void **state)
{
    uint8_t *bytes = make_stored();

    (void)state;
    for (int turns = 0; turns < 6; turns++) {
        struct smb2c_opened file;
        struct smb2client *client = reader_of_f(&file);
        uint64_t ids[READS];

        send_reads(client, file.file, ids, READS);
        nfsworld_turn(world->nfs, turns);
        smbworld_restart(world);
        smb2client_close(&client);
    }
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_waits_for_the_disk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(at_a_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(in_turn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(held_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(closed_meanwhile, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stopped_meanwhile, set_up, tear_down),
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
