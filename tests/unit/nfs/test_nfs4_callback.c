/*
 * test_nfs4_callback.c - what a client answers to a call: well-formed answers, and every prefix and twist of
 * them; the addresses of 4.0.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nfs/v4/nfs4_delegation.h"

#include <string.h>

/* CB_COMPOUND4res with what is in the row. */
struct answer {
    const char *name;
    uint32_t count; /* as it says */
    uint32_t first_opnum, sequence_status;
    bool has_second;
    uint32_t second_opnum, second_status;
    bool good;
};

static const struct answer answers[] = {
    {"done", 2, OP_CB_SEQUENCE, 0, true, OP_CB_RECALL, 0, true},
    {"failed", 2, OP_CB_SEQUENCE, 0, true, OP_CB_RECALL, NFS4ERR_BADHANDLE, true},
    {"sequence refused", 1, OP_CB_SEQUENCE, NFS4ERR_BADSESSION, false, 0, 0, true},
    {"sequence alone", 1, OP_CB_SEQUENCE, 0, false, 0, 0, true},
    {"nothing", 0, OP_CB_SEQUENCE, 0, false, 0, 0, false},
    {"too much", 3, OP_CB_SEQUENCE, 0, true, OP_CB_RECALL, 0, false},
    {"no sequence", 2, OP_CB_RECALL, 0, true, OP_CB_RECALL, 0, false},
    {"another operation", 2, OP_CB_SEQUENCE, 0, true, OP_CB_NOTIFY_LOCK, 0, false},
    {"refused and done", 2, OP_CB_SEQUENCE, NFS4ERR_DELAY, true, OP_CB_RECALL, 0, false},
};

static size_t encode(const struct answer *answer, uint8_t *bytes, size_t capacity)
{
    struct writer writer;

    writer_init(&writer, bytes, capacity);
    writer_be32(&writer, answer->has_second ? answer->second_status : answer->sequence_status);
    writer_xdr_opaque(&writer, "tag", 3);
    writer_be32(&writer, answer->count);
    writer_be32(&writer, answer->first_opnum);
    writer_be32(&writer, answer->sequence_status);
    if (answer->sequence_status == NFS4_OK)
        writer_zeros(&writer, 32);
    if (answer->has_second) {
        writer_be32(&writer, answer->second_opnum);
        writer_be32(&writer, answer->second_status);
    }
    assert_false(writer.failed);
    return writer.length;
}

static void test_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        const struct answer *answer = &answers[i];
        struct nfs4_callback_reply reply = {.status = 77};
        uint8_t bytes[256];
        struct reader reader = reader_of(bytes, encode(answer, bytes, sizeof bytes));

        if (nfs4__callback_decode(&reader, 1, OP_CB_RECALL, &reply) != answer->good)
            fail_msg("%s", answer->name);
        if (!answer->good)
            continue;
        assert_int_equal(reply.sequence_status, answer->sequence_status);
        assert_int_equal(reply.has_status, answer->has_second);
        if (answer->has_second)
            assert_int_equal(reply.status, answer->second_status);
    }
}

static void test_cut_short(void **state)
{
    uint8_t bytes[256];
    size_t length = encode(&answers[0], bytes, sizeof bytes);

    (void)state;
    for (size_t cut = 0; cut < length; cut++) {
        struct nfs4_callback_reply reply;
        struct reader reader = reader_of(bytes, cut);

        assert_false(nfs4__callback_decode(&reader, 1, OP_CB_RECALL, &reply));
    }
}

/* 4.0: the operation alone, or nothing but a status. */
static void test_answers_0(void **state)
{
    static const struct {
        uint32_t status, count, opnum;
        bool good;
    } rows[] = {
        {NFS4_OK, 1, OP_CB_RECALL, true},
        {NFS4ERR_BAD_STATEID, 1, OP_CB_RECALL, true},
        {NFS4ERR_OP_ILLEGAL, 1, OP_ILLEGAL, true}, /* it knows no such operation */
        {NFS4_OK, 1, OP_ILLEGAL, false},
        {NFS4ERR_MINOR_VERS_MISMATCH, 0, 0, true},
        {NFS4_OK, 0, 0, false},
        {NFS4_OK, 2, OP_CB_RECALL, false},
        {NFS4_OK, 1, OP_CB_SEQUENCE, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct nfs4_callback_reply reply;
        struct writer writer;
        struct reader reader;
        uint8_t bytes[64];

        writer_init(&writer, bytes, sizeof bytes);
        writer_be32(&writer, rows[i].status);
        writer_be32(&writer, 0);
        writer_be32(&writer, rows[i].count);
        if (rows[i].count > 0) {
            writer_be32(&writer, rows[i].opnum);
            writer_be32(&writer, rows[i].status);
        }
        for (size_t cut = 0; cut < writer.length; cut++) {
            reader = reader_of(bytes, cut);
            assert_false(nfs4__callback_decode(&reader, 0, OP_CB_RECALL, &reply));
        }
        reader = reader_of(bytes, writer.length);
        assert_int_equal(nfs4__callback_decode(&reader, 0, OP_CB_RECALL, &reply), rows[i].good);
        if (!rows[i].good)
            continue;
        assert_int_equal(reply.status, rows[i].status);
        assert_int_equal(reader.left, 0);
    }
}

/* CB_GETATTR4res: change and size, and what a client adds unasked. */
static void test_attributes(void **state)
{
    static const struct {
        uint32_t mask, length;
        bool good;
    } rows[] = {
        {1u << FATTR4_CHANGE | 1u << FATTR4_SIZE, 16, true},
        {1u << FATTR4_CHANGE | 1u << FATTR4_SIZE | 1u << FATTR4_FSID, 32, true},
        {1u << FATTR4_CHANGE | 1u << FATTR4_SIZE, 12, false},
        {1u << FATTR4_CHANGE, 16, false},
        {1u << FATTR4_SIZE, 16, false},
        {1u << FATTR4_TYPE | 1u << FATTR4_CHANGE | 1u << FATTR4_SIZE, 20,
         false}, /* not where they should be */
        {0, 0, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t change = 0, size = 0;
        uint8_t bytes[64], values[32] = {[7] = 5, [15] = 9};
        struct writer writer;
        struct reader reader;

        writer_init(&writer, bytes, sizeof bytes);
        writer_be32(&writer, 1);
        writer_be32(&writer, rows[i].mask);
        writer_xdr_opaque(&writer, values, rows[i].length);
        for (size_t cut = 0; cut < writer.length; cut++) {
            reader = reader_of(bytes, cut);
            assert_false(nfs4__delegation_decode_attributes(&reader, &change, &size));
        }
        reader = reader_of(bytes, writer.length);
        assert_int_equal(nfs4__delegation_decode_attributes(&reader, &change, &size), rows[i].good);
        if (rows[i].good) {
            assert_int_equal(change, 5);
            assert_int_equal(size, 9);
        }
    }
}

/* RFC 5665 5.2.3 */
static void test_universal_address(void **state)
{
    static const struct {
        const char *netid, *text;
        uint16_t port; /* 0: it is none */
    } rows[] = {
        {"tcp", "10.0.0.1.8.1", 2049},
        {"tcp6", "fd00::1.0.111", 111},
        {"tcp", "10.0.0.1.255.255", 65535},
        {"udp", "10.0.0.1.8.1", 0},
        {"", "10.0.0.1.8.1", 0},
        {"tcp", "", 0},
        {"tcp", "10.0.0.1", 0},
        {"tcp", "10.0.0.1.8", 0},
        {"tcp", "10.0.0.1.8.256", 0},
        {"tcp", "10.0.0.1.8.", 0},
        {"tcp", "10.0.0.1..1", 0},
        {"tcp", "10.0.0.1.8.1 ", 0},
        {"tcp", "10.0.0.1.-8.1", 0},
        {"tcp", "10.0.0.1.0.0", 0},
        {"tcp", ".8.1", 0},
        {"tcp", "8.1", 0},
        {"tcp", ".", 0},
        {"tcp", "..", 0},
        {"tcp", "host.name.8.1", 0},
        {"tcp", "10.0.0.1.0008.1", 0},
    };
    struct net_address address;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool good = nfs4__universal_address(rows[i].netid, rows[i].text, &address);

        if (good != (rows[i].port != 0))
            fail_msg("%s %s", rows[i].netid, rows[i].text);
        if (good)
            assert_int_equal(net_address_port(&address), rows[i].port);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),           cmocka_unit_test(test_cut_short),
        cmocka_unit_test(test_answers_0),         cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_universal_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
