/*
 * test_nfs4_delegation_attr.c - attributes of a file that another client writes in its cache: CB_GETATTR, and
 * holders that don't answer it (RFC 8881 10.4.3, 20.1).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "delegation_fixture.h"

#include <stdlib.h>

enum { GETATTR = 3, RECALL = 4 };

static struct nfs4_opened opened;
static uint64_t granted_change;

/* The first client writes "file", and will say that it has changed nothing. */
static void write_in_cache(uint32_t minor)
{
    begin(minor);
    opened = must_open(&clients[0], "file", ACCESS_BOTH);
    assert_int_equal(opened.delegation, WRITE_DELEGATION);
    assert_int_equal(nfs4_try_getattr(&clients[0], &file, &granted_change, &clients[0].answer_size), NFS4_OK);
    clients[0].answer_change = granted_change;
    assert_int_equal(clients[0].called, 0);
}

/* GETATTR by C, during which the holder hears and answers. */
static void ask(struct nfs4c *c)
{
    wire4_begin(&c->wire);
    wire4_putfh(&c->wire, &file);
    wire4_op(&c->wire, OP_GETATTR);
    writer_be32(&c->wire.request, 1);
    writer_be32(&c->wire.request, 1u << FATTR4_CHANGE | 1u << FATTR4_SIZE);
    wire4_post(&c->wire);
    nfsworld_turn(world, 10);
}

static uint32_t answer(struct nfs4c *c, uint64_t *change_r, uint64_t *size_r)
{
    uint32_t status, words, mask, length;

    nfs4_receive(c);
    nfs4_skip_sequence(c);
    nfs4_result(c, OP_PUTFH, NFS4_OK);
    status = nfs4_result_status(c, OP_GETATTR);
    if (status == NFS4_OK)
        assert_true(reader_be32(&c->results, &words) && reader_be32(&c->results, &mask) &&
                    reader_be32(&c->results, &length) && reader_be64(&c->results, change_r) &&
                    reader_be64(&c->results, size_r));
    return status;
}

static void test_unchanged(void **state)
{
    (void)state;
    for (uint32_t minor = 0; minor <= 1; minor++) {
        uint64_t change = 0, size = 0;

        write_in_cache(minor);
        ask(&clients[1]);
        hear(&clients[0]);
        assert_int_equal(clients[0].called_with[GETATTR], 1);
        assert_memory_equal(clients[0].called_handle.data, file.data, file.length);
        assert_int_equal(answer(&clients[1], &change, &size), NFS4_OK);
        assert_int_equal(change, granted_change);
        assert_int_equal(size, 5);
        assert_int_equal(clients[0].called_with[RECALL], 0);
        must_return(&clients[0], &opened);
        end();
    }
}

/* It has more than the server: change moves on with each question, the size is the holder's. */
static void test_changed(void **state)
{
    (void)state;
    for (uint32_t minor = 0; minor <= 1; minor++) {
        uint64_t change = 0, size = 0, last = granted_change;

        write_in_cache(minor);
        last = granted_change;
        clients[0].answer_change++;
        clients[0].answer_size = 12345;
        for (int i = 0; i < 3; i++) {
            ask(&clients[1]);
            hear(&clients[0]);
            assert_int_equal(answer(&clients[1], &change, &size), NFS4_OK);
            assert_true(change > last);
            assert_int_equal(size, 12345);
            last = change;
        }
        /* What was returned is what counts. */
        must_return(&clients[0], &opened);
        assert_int_equal(nfs4_try_getattr(&clients[1], &file, &change, &size), NFS4_OK);
        assert_int_equal(size, 5);
        assert_true(change >= last);
        assert_int_equal(clients[0].called_with[GETATTR], 3);
        end();
    }
}

/* Several ask at a time: one question. */
static void test_together(void **state)
{
    uint64_t change = 0, size = 0, other_change = 0, other_size = 0;

    (void)state;
    write_in_cache(1);
    clients[0].answer_change++;
    clients[0].answer_size = 77;
    ask(&clients[1]);
    ask(&clients[2]);
    hear(&clients[0]);
    assert_int_equal(answer(&clients[1], &change, &size), NFS4_OK);
    assert_int_equal(answer(&clients[2], &other_change, &other_size), NFS4_OK);
    assert_int_equal(clients[0].called_with[GETATTR], 1);
    assert_int_equal(size, 77);
    assert_int_equal(other_size, 77);
    assert_int_equal(change, other_change);
    end();
}

/* Refused, malformed, unheard, cut off: the delegation is recalled, and who asks comes again. */
static void test_no_answer(void **state)
{
    enum { REFUSED, CUT, OTHER, EMPTY, DEAF, GONE, WAYS };

    (void)state;
    for (uint32_t minor = 0; minor <= 1; minor++) {
        for (int how = REFUSED; how < WAYS; how++) {
            struct nfs4c *holder = &clients[0];
            uint64_t change, size;

            write_in_cache(minor);
            holder->answer = how == REFUSED ? NFS4ERR_BADHANDLE : NFS4_OK;
            holder->junk = how == CUT     ? NFS4C_CUT
                           : how == OTHER ? NFS4C_OTHER
                           : how == EMPTY ? NFS4C_NO_ATTRIBUTES
                                          : NFS4C_GOOD;
            holder->deaf = how == DEAF;
            ask(&clients[1]);
            if (how == GONE && minor == 0)
                nfs4_stop_listening(holder);
            else if (how == GONE)
                nfs4_reconnect(holder);
            else
                hear(holder);
            if (how == DEAF)
                nfsworld_advance(world, LEASE_MS / 4);
            /* At 4.0 the answer may have come before the listener was closed. */
            if (how != GONE || minor > 0)
                assert_int_equal(answer(&clients[1], &change, &size), NFS4ERR_DELAY);
            else
                answer(&clients[1], &change, &size);
            holder->answer = NFS4_OK;
            holder->junk = NFS4C_GOOD;
            holder->deaf = false;
            if (how != GONE) {
                nfsworld_advance(world, 2000);
                hear(holder);
                assert_true(holder->called_with[RECALL] >= 1);
            }
            must_return(holder, &opened);
            assert_int_equal(nfs4_try_getattr(&clients[1], &file, &change, &size), NFS4_OK);
            assert_int_equal(size, 5);
            end();
        }
    }
}

/* The holder returns it, or ends, between question and answer. */
static void test_crossing(void **state)
{
    (void)state;
    for (uint32_t minor = 0; minor <= 1; minor++) {
        for (int how = 0; how < 2; how++) {
            struct nfs4c *holder = &clients[0];
            uint64_t change, size;

            write_in_cache(minor);
            holder->deaf = true;
            ask(&clients[1]);
            if (how == 0) {
                must_return(holder, &opened);
            } else {
                holder->verifier++;
                nfs4_introduce(holder);
            }
            nfsworld_advance(world, LEASE_MS / 4);
            assert_int_equal(answer(&clients[1], &change, &size), NFS4_OK);
            assert_int_equal(size, 5);
            end();
        }
    }
}

/* VERIFY and NVERIFY compare with what is known only when nobody writes elsewhere. */
static void test_verify(void **state)
{
    struct nfs4c *c = &clients[1];

    (void)state;
    for (uint32_t opnum = OP_NVERIFY; opnum <= OP_VERIFY; opnum += OP_VERIFY - OP_NVERIFY) {
        for (int returned = 0; returned <= 1; returned++) {
            if (!returned)
                write_in_cache(1);
            wire4_begin(&c->wire);
            wire4_putfh(&c->wire, &file);
            wire4_op(&c->wire, opnum);
            writer_be32(&c->wire.request, 1);
            writer_be32(&c->wire.request, 1u << FATTR4_SIZE);
            writer_be32(&c->wire.request, 8);
            writer_be64(&c->wire.request, 5);
            if (!returned) {
                assert_int_equal(nfs4_call(c), NFS4ERR_DELAY);
                hear(&clients[0]);
                assert_int_equal(clients[0].called_with[RECALL], 1);
                must_return(&clients[0], &opened);
            } else {
                assert_int_equal(nfs4_call(c), opnum == OP_VERIFY ? NFS4_OK : NFS4ERR_SAME);
                end();
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unchanged), cmocka_unit_test(test_changed),  cmocka_unit_test(test_together),
        cmocka_unit_test(test_no_answer), cmocka_unit_test(test_crossing), cmocka_unit_test(test_verify),
    };

    cmocka_set_test_filter(getenv("FILTER"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
