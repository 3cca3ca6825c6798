/*
 * test_nfs4_callback.c - what a client answers to a call over the back channel: well-formed answers, and
 * every prefix and twist of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nfs/v4/nfs4_callback.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_answers), cmocka_unit_test(test_cut_short)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
