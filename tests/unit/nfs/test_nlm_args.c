/*
 * test_nlm_args.c - the decoders and encoders of NLM and NSM: every procedure whole, cut at every byte, with
 * more behind it, and with lengths over the limits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nfs/nlm/nlm_wire.h"
#include "nfs/nsm/nsm_priv.h"

#include <string.h>

static uint8_t bytes[8192];
static struct writer writer;

static void begin(void)
{
    memset(bytes, 0xee, sizeof bytes);
    writer_init(&writer, bytes, sizeof bytes);
}

static void put_text(const char *text)
{
    writer_xdr_opaque(&writer, text, strlen(text));
}

static void put_number(uint32_t version, uint64_t number)
{
    if (version >= 4)
        writer_be64(&writer, number);
    else
        writer_be32(&writer, (uint32_t)number);
}

static void put_lock(uint32_t version)
{
    put_text("caller");
    put_text("handle, 19 bytes...");
    put_text("oh");
    writer_be32(&writer, 77);
    put_number(version, 0x80000001u);
    put_number(version, 0xfffffffeu);
}

/* Arguments of PROCEDURE, all booleans true. */
static void put(uint32_t version, uint32_t procedure)
{
    begin();
    if (procedure == NLM_NULL)
        return;
    if (procedure == NLM_FREE_ALL) {
        put_text("caller");
        writer_be32(&writer, 5);
        return;
    }
    put_text("cookie");
    switch (procedure) {
    case NLM_TEST:
    case NLM_GRANTED:
    case NLM_TEST_MSG:
    case NLM_GRANTED_MSG:
        writer_be32(&writer, 1);
        put_lock(version);
        break;
    case NLM_LOCK:
    case NLM_NM_LOCK:
    case NLM_LOCK_MSG:
        writer_be32(&writer, 1);
        writer_be32(&writer, 1);
        put_lock(version);
        writer_be32(&writer, 1);
        writer_be32(&writer, 5);
        break;
    case NLM_CANCEL:
    case NLM_CANCEL_MSG:
        writer_be32(&writer, 1);
        writer_be32(&writer, 1);
        put_lock(version);
        break;
    case NLM_UNLOCK:
    case NLM_UNLOCK_MSG:
        put_lock(version);
        break;
    case NLM_GRANTED_RES:
        writer_be32(&writer, 1);
        break;
    default: /* SHARE, UNSHARE */
        put_text("caller");
        put_text("handle, 19 bytes...");
        put_text("oh");
        writer_be32(&writer, 2);
        writer_be32(&writer, 3);
        writer_be32(&writer, 1);
        break;
    }
}

static bool is_text(struct nlm_bytes got, const char *text)
{
    return got.length == strlen(text) && memcmp(got.data, text, got.length) == 0;
}

static bool decodes(uint32_t version, uint32_t procedure, size_t length, struct nlm_args *args)
{
    struct reader reader = reader_of(bytes, length);

    return nlm__decode_call(version, procedure, &reader, args);
}

static void each_procedure(void **state)
{
    static const uint32_t versions[] = {1, 3, 4};

    (void)state;
    for (uint32_t i = 0; i < 3 * NLM_PROCEDURES; i++) {
        uint32_t version = versions[i / NLM_PROCEDURES], procedure = i % NLM_PROCEDURES;
        struct nlm_args args;

        if ((procedure >= NLM_TEST_RES && procedure <= NLM_UNLOCK_RES) ||
            (procedure > NLM_GRANTED_RES && procedure < NLM_SHARE))
            continue;
        put(version, procedure);
        assert_false(writer.failed);
        assert_true(decodes(version, procedure, writer.length, &args));
        for (size_t length = 0; length < writer.length; length++)
            assert_false(decodes(version, procedure, length, &args));
        assert_false(decodes(version, procedure, writer.length + 4, &args));
    }
}

static void members(void **state)
{
    struct nlm_args args;

    (void)state;
    for (uint32_t version = 3; version <= 4; version++) {
        put(version, NLM_LOCK);
        assert_true(decodes(version, NLM_LOCK, writer.length, &args));
        assert_true(is_text(args.cookie, "cookie"));
        assert_true(is_text(args.lock.caller_name, "caller"));
        assert_true(is_text(args.lock.handle, "handle, 19 bytes..."));
        assert_true(is_text(args.lock.owner, "oh"));
        assert_int_equal(args.lock.svid, 77);
        assert_int_equal(args.lock.offset, 0x80000001u);
        assert_int_equal(args.lock.length, 0xfffffffeu);
        assert_true(args.block && args.exclusive && args.reclaim);
        assert_int_equal(args.state, 5);
    }
    put(4, NLM_SHARE);
    assert_true(decodes(4, NLM_SHARE, writer.length, &args));
    assert_int_equal(args.mode, 2);
    assert_int_equal(args.access, 3);
    assert_true(args.reclaim);
    assert_true(is_text(args.lock.owner, "oh"));
    put(4, NLM_FREE_ALL);
    assert_true(decodes(4, NLM_FREE_ALL, writer.length, &args));
    assert_true(is_text(args.lock.caller_name, "caller"));
    /* A boolean that is neither, and a result that nobody asked for. */
    put(4, NLM_TEST);
    bytes[12 + 3] = 2;
    assert_false(decodes(4, NLM_TEST, writer.length, &args));
    assert_true(decodes(4, NLM_LOCK_RES, 33, &args));
}

/* Each counted part at its limit, and one byte over it. */
static void limits(void **state)
{
    static const size_t most[] = {NLM_COOKIE_MAX, NLM_NAME_MAX, NLM_HANDLE_MAX, NLM_OWNER_MAX};
    static uint8_t filler[NLM_COOKIE_MAX + 1];

    (void)state;
    for (size_t which = 0; which < 4; which++) {
        for (size_t over = 0; over <= 1; over++) {
            struct nlm_args args;

            begin();
            for (size_t part = 0; part < 4; part++)
                writer_xdr_opaque(&writer, filler, part == which ? most[part] + over : 0);
            writer_be32(&writer, 0);
            writer_be64(&writer, 0);
            writer_be64(&writer, 0);
            assert_int_equal(decodes(4, NLM_UNLOCK, writer.length, &args), over == 0);
        }
    }
}

static void results(void **state)
{
    struct nlm_bytes cookie = {.data = (const uint8_t *)"ck", .length = 2};
    struct nlm_holder holder = {.exclusive = true,
                                .owner = {.data = (const uint8_t *)"o", .length = 1},
                                .svid = 9,
                                .offset = 1ull << 33,
                                .length = 2};

    (void)state;
    begin();
    nlm__encode_res(&writer, 4, cookie, NLM_STATUS_STALE);
    assert_memory_equal(bytes, "\0\0\0\2ck\0\0\0\0\0\7", 12);
    assert_int_equal(writer.length, 12);
    begin();
    nlm__encode_res(&writer, 3, cookie, NLM_STATUS_STALE); /* has no word for it */
    assert_memory_equal(bytes, "\0\0\0\2ck\0\0\0\0\0\2", 12);
    begin();
    nlm__encode_testres(&writer, 4, cookie, NLM_STATUS_DENIED, &holder);
    assert_memory_equal(bytes + 8, "\0\0\0\1\0\0\0\1\0\0\0\11\0\0\0\1o\0\0\0\0\0\0\2\0\0\0\0\0\0\0\0\0\0\0\2",
                        36);
    assert_int_equal(writer.length, 44);
    begin();
    nlm__encode_testres(&writer, 3, cookie, NLM_STATUS_DENIED, &holder);
    assert_memory_equal(bytes + 28, "\x7f\xff\xff\xff\0\0\0\0", 8);
    assert_int_equal(writer.length, 36);
    begin();
    nlm__encode_testres(&writer, 4, cookie, NLM_STATUS_GRANTED, &holder);
    assert_int_equal(writer.length, 12);
    begin();
    nlm__encode_shareres(&writer, 4, cookie, NLM_STATUS_GRANTED);
    assert_int_equal(writer.length, 16);
}

/* GRANTED gives back what LOCK came with. */
static void round_trip(void **state)
{
    (void)state;
    for (uint32_t version = 3; version <= 4; version++) {
        static uint8_t copy[sizeof bytes];
        struct nlm_args args, again;

        put(version, NLM_TEST);
        memcpy(copy, bytes, sizeof copy);
        assert_true(decodes(version, NLM_TEST, writer.length, &args));
        args.cookie.data = copy + 4;
        args.lock.caller_name.data = (const uint8_t *)"caller";
        args.lock.handle.data = (const uint8_t *)"handle, 19 bytes...";
        args.lock.owner.data = (const uint8_t *)"oh";
        begin();
        nlm__encode_testargs(&writer, version, args.cookie, args.exclusive, &args.lock);
        assert_memory_equal(bytes, copy, writer.length);
        assert_true(decodes(version, NLM_GRANTED, writer.length, &again));
    }
}

/* ---- NSM ---- */

static void put_nsm(uint32_t procedure)
{
    begin();
    if (procedure == NSM_STAT || procedure == NSM_MON || procedure == NSM_UNMON || procedure == NSM_NOTIFY)
        put_text("mon name");
    if (procedure == NSM_MON || procedure == NSM_UNMON || procedure == NSM_UNMON_ALL) {
        put_text("my name");
        writer_be32(&writer, 1);
        writer_be32(&writer, 2);
        writer_be32(&writer, 3);
    }
    if (procedure == NSM_MON)
        writer_bytes(&writer, "0123456789abcdef", NSM_PRIVATE_SIZE);
    if (procedure == NSM_NOTIFY)
        writer_be32(&writer, 21);
}

static void nsm_procedures(void **state)
{
    (void)state;
    for (uint32_t procedure = 0; procedure < NSM_PROCEDURES; procedure++) {
        struct nsm_args args;
        struct reader reader;

        put_nsm(procedure);
        reader = reader_of(bytes, writer.length);
        assert_true(nsm__decode_call(procedure, &reader, &args));
        if (procedure == NSM_NOTIFY)
            assert_int_equal(args.state, 21);
        if (procedure == NSM_MON) {
            assert_int_equal(args.id.procedure, 3);
            assert_memory_equal(args.private_data, "0123456789abcdef", NSM_PRIVATE_SIZE);
        }
        for (size_t length = 0; length < writer.length; length++) {
            reader = reader_of(bytes, length);
            assert_false(nsm__decode_call(procedure, &reader, &args));
        }
        reader = reader_of(bytes, writer.length + 4);
        assert_false(nsm__decode_call(procedure, &reader, &args));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_procedure), cmocka_unit_test(members),    cmocka_unit_test(limits),
        cmocka_unit_test(results),        cmocka_unit_test(round_trip), cmocka_unit_test(nsm_procedures),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
