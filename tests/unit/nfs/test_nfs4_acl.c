/*
 * test_nfs4_acl.c - lists on the wire: every kind of entry both ways, what goes one way only, and every
 * error.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nfs/v4/nfs4_acl.h"
#include "nfs/v4/nfs4_wire.h"

#include <string.h>

/* SIDs as SMB keeps them. */
#define SID(...)     (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})
#define S_1_5(rid)   SID(1, 1, 0, 0, 0, 0, 0, 5, rid, 0, 0, 0)
#define S_1_3(rid)   SID(1, 1, 0, 0, 0, 0, 0, 3, rid, 0, 0, 0)
#define S_1_1_0      SID(1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0)
#define S_1_5_32_544 SID(1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0)
#define S_FOREIGN    SID(1, 3, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff)
#define S_NAMES      SID(1, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)

struct wire_ace {
    uint32_t type, flags, mask;
    const char *who;
};

static void put(struct writer *writer, const struct wire_ace *ace)
{
    writer_be32(writer, ace->type);
    writer_be32(writer, ace->flags);
    writer_be32(writer, ace->mask);
    writer_xdr_opaque(writer, ace->who, strlen(ace->who));
}

static bool same(const struct acl_ace *a, const struct acl_ace *b)
{
    return a->type == b->type && a->flags == b->flags && a->who == b->who && a->id == b->id &&
           a->mask == b->mask && a->sid_length == b->sid_length &&
           (a->sid_length == 0 || memcmp(a->sid, b->sid, a->sid_length) == 0);
}

/* DACLs, which say most. */
static void both_ways(void **state)
{
    const struct {
        struct acl_ace ace;
        struct wire_ace wire;
    } rows[] = {
        {{.who = ACL_OWNER, .mask = 1}, {0, 0, 1, "OWNER@"}},
        {{.type = 1, .who = ACL_GROUP, .mask = 0x1f01ff}, {1, 0, 0x1f01ff, "GROUP@"}},
        {{.who = ACL_EVERYONE, .flags = 0x1f}, {0, 0x8f, 0, "EVERYONE@"}},
        {{.who = ACL_UID, .id = 0, .mask = 2}, {0, 0, 2, "0"}},
        {{.who = ACL_UID, .id = 4294967294, .mask = 2}, {0, 0, 2, "4294967294"}},
        {{.who = ACL_GID, .id = 100, .flags = 0x13, .mask = 2}, {0, 0xc3, 2, "100"}},
        {{0, 0, ACL_EVERYONE, 0, 1, S_1_5(11)}, {0, 0, 1, "AUTHENTICATED@"}},
        {{0, 0, ACL_EVERYONE, 0, 1, S_1_5(2)}, {0, 0, 1, "NETWORK@"}},
        {{1, 0, ACL_NOBODY, 0, 1, S_1_5(1)}, {1, 0, 1, "DIALUP@"}},
        {{0, 0, ACL_NOBODY, 0, 1, S_1_5(3)}, {0, 0, 1, "BATCH@"}},
        {{0, 0, ACL_NOBODY, 0, 1, S_1_5(4)}, {0, 0, 1, "INTERACTIVE@"}},
        {{0, 0, ACL_NOBODY, 0, 1, S_1_5(6)}, {0, 0, 1, "SERVICE@"}},
        {{0, 0, ACL_NOBODY, 0, 1, S_1_5(7)}, {0, 0, 1, "ANONYMOUS@"}},
        {{0, 0, ACL_NOBODY, 0, 1, S_1_5(18)}, {0, 0, 1, "S-1-5-18"}},
        {{1, 3, ACL_NOBODY, 0, 1, S_1_5_32_544}, {1, 3, 1, "S-1-5-32-544"}},
        {{0, 0, ACL_NOBODY, 0, 1, S_FOREIGN}, {0, 0, 1, "S-1-5-21-1-4294967295"}},
        {{0, 0, ACL_OWNER_RIGHTS, 0, 1, S_1_3(4)}, {0, 0, 1, "S-1-3-4"}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct acl_ace ace = rows[i].ace;
        struct acl acl = {.control = ACL_CONTROL_AUTO_INHERITED, .count = 1, .aces = &ace}, got;
        uint8_t bytes[300], wanted[300];
        struct writer writer, expected;
        struct arena arena;
        struct reader reader;
        uint32_t status = 77;

        writer_init(&expected, wanted, sizeof wanted);
        writer_be32(&expected, 1);
        writer_be32(&expected, 1);
        put(&expected, &rows[i].wire);
        writer_init(&writer, bytes, sizeof bytes);
        nfs4__acl_encode(&writer, NFS4_DACL, &acl, NULL);
        if (writer.length != expected.length || memcmp(bytes, wanted, writer.length) != 0)
            fail_msg("row %zu is encoded otherwise", i);
        arena_init(&arena, 0);
        reader = reader_of(bytes, writer.length);
        assert_true(nfs4__acl_skip(&reader, NFS4_DACL) && reader_is_done(&reader));
        reader = reader_of(bytes, writer.length);
        assert_true(nfs4__acl_decode(&reader, NFS4_DACL, NULL, &arena, &got, &status));
        assert_true(reader_is_done(&reader));
        assert_int_equal(got.control, ACL_CONTROL_AUTO_INHERITED);
        if (status != NFS4_OK || got.count != 1 || !same(&got.aces[0], &ace))
            fail_msg("row %zu is decoded otherwise: %u", i, status);
        /* Every beginning of it is not well-formed. */
        for (size_t length = 0; length < writer.length; length++) {
            reader = reader_of(bytes, length);
            assert_false(nfs4__acl_decode(&reader, NFS4_DACL, NULL, &arena, &got, &status));
            reader = reader_of(bytes, length);
            assert_false(nfs4__acl_skip(&reader, NFS4_DACL));
        }
        arena_reset(&arena);
    }
}

/* What has no name of its own in NFS is shown as what it means. */
static void shown(void **state)
{
    const struct {
        enum nfs4_acl_kind kind;
        struct acl_ace ace;
        struct wire_ace wire;
    } rows[] = {
        {NFS4_DACL, {.who = ACL_CREATOR_OWNER, .flags = 3, .mask = 1}, {0, 0xb, 1, "OWNER@"}},
        {NFS4_DACL, {0, 0xb, ACL_CREATOR_GROUP, 0, 1, S_1_3(1)}, {0, 0xb, 1, "GROUP@"}},
        {NFS4_DACL, {0, 0, ACL_EVERYONE, 0, 1, S_1_1_0}, {0, 0, 1, "EVERYONE@"}},
        {NFS4_DACL, {0, 0, ACL_NOBODY, 0, 1, S_NAMES}, {0, 0, 1, "S-1-281474976710655"}},
        {NFS4_DACL, {0, 0, ACL_NOBODY, 0, 1, SID(2, 1)}, {0, 0, 1, "S-1-5-7"}},
        {NFS4_DACL, {.who = ACL_OWNER_RIGHTS, .mask = 1}, {0, 0, 1, "S-1-3-4"}},
        {NFS4_ACL, {.who = ACL_UID, .id = 5, .flags = ACL_INHERITED}, {0, 0, 0, "5"}},
        {NFS4_ACL_1, {.who = ACL_UID, .id = 5, .flags = ACL_INHERITED}, {0, 0, 0, "5"}},
    };
    struct acl acl = {.everything = true};
    uint8_t bytes[300], wanted[300];
    struct writer writer, expected;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct acl_ace ace = rows[i].ace;
        struct acl one = {.count = 1, .aces = &ace};

        writer_init(&expected, wanted, sizeof wanted);
        if (rows[i].kind == NFS4_DACL)
            writer_be32(&expected, 0);
        writer_be32(&expected, 1);
        put(&expected, &rows[i].wire);
        writer_init(&writer, bytes, sizeof bytes);
        nfs4__acl_encode(&writer, rows[i].kind, &one, NULL);
        if (writer.length != expected.length || memcmp(bytes, wanted, writer.length) != 0)
            fail_msg("row %zu is encoded otherwise", i);
    }
    /* No list at all. */
    writer_init(&expected, wanted, sizeof wanted);
    writer_be32(&expected, 1);
    put(&expected, &(struct wire_ace){0, 0, 0x1f01ff, "EVERYONE@"});
    writer_init(&writer, bytes, sizeof bytes);
    nfs4__acl_encode(&writer, NFS4_ACL, &acl, NULL);
    assert_int_equal(writer.length, expected.length);
    assert_memory_equal(bytes, wanted, writer.length);
}

static void refused(void **state)
{
    static const struct {
        enum nfs4_acl_kind kind;
        struct wire_ace wire;
        uint32_t status;
    } rows[] = {
        {NFS4_ACL, {2, 0, 1, "OWNER@"}, NFS4ERR_ATTRNOTSUPP},
        {NFS4_ACL, {3, 0, 1, "OWNER@"}, NFS4ERR_ATTRNOTSUPP},
        {NFS4_ACL, {4, 0, 1, "OWNER@"}, NFS4ERR_INVAL},
        {NFS4_ACL, {256, 0, 1, "OWNER@"}, NFS4ERR_INVAL},
        {NFS4_ACL, {0, 0x10, 1, "OWNER@"}, NFS4ERR_ATTRNOTSUPP},
        {NFS4_ACL, {1, 0x20, 1, "OWNER@"}, NFS4ERR_ATTRNOTSUPP},
        {NFS4_ACL, {0, 0x40, 1, "OWNER@"}, NFS4_OK},
        {NFS4_ACL, {0, 0x80, 1, "OWNER@"}, NFS4ERR_INVAL},
        {NFS4_ACL_1, {0, 0x80, 1, "OWNER@"}, NFS4_OK},
        {NFS4_DACL, {0, 0x100, 1, "OWNER@"}, NFS4ERR_INVAL},
        {NFS4_ACL, {0, 0, 0x200, "OWNER@"}, NFS4ERR_ATTRNOTSUPP},
        {NFS4_ACL, {0, 0, 0x400, "OWNER@"}, NFS4ERR_ATTRNOTSUPP},
        {NFS4_ACL, {0, 0, 0x800, "OWNER@"}, NFS4ERR_INVAL},
        {NFS4_ACL, {0, 0, 0x80000000, "OWNER@"}, NFS4ERR_INVAL},
        {NFS4_ACL, {0, 0, 1, ""}, NFS4ERR_INVAL},
        {NFS4_ACL, {0, 0, 1, "\xff@a"}, NFS4ERR_INVAL},
        {NFS4_ACL, {0, 0, 1, "owner@"}, NFS4ERR_BADOWNER},
        {NFS4_ACL, {0, 0, 1, "OWNER@example.org"}, NFS4ERR_BADOWNER},
        {NFS4_ACL, {0, 0, 1, "SOMEBODY@"}, NFS4ERR_BADOWNER},
        {NFS4_ACL, {0, 0, 1, "somebody"}, NFS4ERR_BADOWNER},
        {NFS4_ACL, {0, 0, 1, "4294967295"}, NFS4ERR_BADOWNER},
        {NFS4_ACL, {1, 0, 1, "ANONYMOUS@"}, NFS4ERR_ATTRNOTSUPP},
        {NFS4_ACL, {1, 0, 1, "S-1-5-7"}, NFS4ERR_ATTRNOTSUPP},
        /* SIDs of those who have a name here, or might. */
        {NFS4_ACL, {0, 0, 1, "S-1-1-0"}, NFS4ERR_BADOWNER},
        {NFS4_ACL, {0, 0, 1, "S-1-3-0"}, NFS4ERR_BADOWNER},
        {NFS4_ACL, {0, 0, 1, "S-1-5-2"}, NFS4ERR_BADOWNER},
        {NFS4_ACL, {0, 0, 1, "S-1-5-11"}, NFS4ERR_BADOWNER},
        {NFS4_ACL, {0, 0, 1, "S-1-5-32-545"}, NFS4ERR_BADOWNER},
        {NFS4_ACL, {0, 0, 1, "S-1-5-21"}, NFS4_OK}, /* a number, not a domain */
        {NFS4_ACL, {0, 0, 1, "S-1-5-21-1-2-3-1000"}, NFS4_OK},
        {NFS4_ACL, {0, 0, 1, "S-1-22-1-0"}, NFS4ERR_BADOWNER},
        {NFS4_ACL, {0, 0, 1, "S-1-5"}, NFS4ERR_BADOWNER},
        {NFS4_ACL, {0, 0, 1, "S-1-5-"}, NFS4ERR_BADOWNER},
        {NFS4_ACL, {0, 0, 1, "S-1-5-18 "}, NFS4ERR_BADOWNER},
        {NFS4_ACL, {0, 0, 1, "S-1-5-4294967296"}, NFS4ERR_BADOWNER},
        {NFS4_ACL, {0, 0, 1, "S-1-5-1-2-3-4-5-6-7-8-9-10-11-12-13-14-15-16"}, NFS4ERR_BADOWNER},
        {NFS4_ACL, {0, 0, 1, "S-1-5-1-2-3-4-5-6-7-8-9-10-11-12-13-14-15"}, NFS4_OK},
        {NFS4_ACL, {0, 0, 1, "S-1-281474976710656-1"}, NFS4ERR_BADOWNER},
    };

    (void)state;
    /* Behind a good entry, and in front of one. */
    for (size_t i = 0; i < 2 * sizeof rows / sizeof *rows; i++) {
        static const struct wire_ace good = {0, 0, 1, "EVERYONE@"};
        uint8_t bytes[300];
        struct writer writer;
        struct reader reader;
        struct arena arena;
        struct acl acl;
        uint32_t status = 77;

        writer_init(&writer, bytes, sizeof bytes);
        if (rows[i / 2].kind == NFS4_DACL)
            writer_be32(&writer, 0);
        writer_be32(&writer, 2);
        put(&writer, i % 2 == 0 ? &good : &rows[i / 2].wire);
        put(&writer, i % 2 != 0 ? &good : &rows[i / 2].wire);
        reader = reader_of(bytes, writer.length);
        arena_init(&arena, 0);
        assert_true(nfs4__acl_decode(&reader, rows[i / 2].kind, NULL, &arena, &acl, &status));
        assert_true(reader_is_done(&reader));
        if (status != rows[i / 2].status)
            fail_msg("row %zu (%s): %u", i / 2, rows[i / 2].wire.who, status);
        arena_reset(&arena);
    }
}

static void limits(void **state)
{
    static uint8_t bytes[28 * (ACL_ACES_MAX + 1) + 8];

    (void)state;
    for (uint32_t count = 0; count <= ACL_ACES_MAX + 1; count += count == 0 ? ACL_ACES_MAX : 1) {
        struct writer writer;
        struct reader reader;
        struct arena arena;
        struct acl acl;
        uint32_t status = 77;

        writer_init(&writer, bytes, sizeof bytes);
        writer_be32(&writer, count);
        for (uint32_t i = 0; i < count; i++)
            put(&writer, &(struct wire_ace){0, 0, 1, "EVERYONE@"});
        assert_false(writer.failed);
        reader = reader_of(bytes, writer.length);
        arena_init(&arena, 0);
        assert_true(nfs4__acl_decode(&reader, NFS4_ACL, NULL, &arena, &acl, &status));
        assert_true(reader_is_done(&reader));
        assert_int_equal(status, count > ACL_ACES_MAX ? NFS4ERR_FBIG : NFS4_OK);
        if (status == NFS4_OK)
            assert_int_equal(acl.count, count);
        arena_reset(&arena);
        /* No memory for it. */
        reader = reader_of(bytes, writer.length);
        arena_init(&arena, 8);
        assert_true(nfs4__acl_decode(&reader, NFS4_ACL, NULL, &arena, &acl, &status));
        assert_true(reader_is_done(&reader));
        if (count == ACL_ACES_MAX)
            assert_int_equal(status, NFS4ERR_DELAY);
        arena_reset(&arena);
    }
    /* Flags of a list. */
    for (uint32_t flags = 0; flags < 16; flags++) {
        struct writer writer;
        struct reader reader;
        struct arena arena;
        struct acl acl;
        uint32_t status = 77;

        writer_init(&writer, bytes, sizeof bytes);
        writer_be32(&writer, flags);
        writer_be32(&writer, 0);
        reader = reader_of(bytes, writer.length);
        arena_init(&arena, 0);
        assert_true(nfs4__acl_decode(&reader, NFS4_DACL, NULL, &arena, &acl, &status));
        assert_int_equal(status, flags < 8 ? NFS4_OK : NFS4ERR_INVAL);
        assert_int_equal(acl.control, (flags & 1 ? ACL_CONTROL_AUTO_INHERITED : 0) |
                                          (flags & 2 ? ACL_CONTROL_PROTECTED : 0));
        arena_reset(&arena);
    }
}

static void domains(void **state)
{
    struct acl_ace foreign = {0, 0, ACL_NOBODY, 0, 1, S_FOREIGN},
                   well_known = {0, 0, ACL_NOBODY, 0, 1, S_1_5(18)};
    struct acl_ace both[] = {well_known, foreign}, named = foreign;
    const struct acl none = {.count = 0}, one = {.count = 1, .aces = &foreign},
                     two = {.count = 2, .aces = both}, other = {.count = 1, .aces = &well_known},
                     user = {.count = 1, .aces = &named};

    (void)state;
    named.who = ACL_UID;
    assert_false(nfs4__acl_has_domains(&none));
    assert_false(nfs4__acl_has_domains(&other));
    assert_true(nfs4__acl_has_domains(&two));
    assert_true(nfs4__acl_domains_are_in(&one, &two));
    assert_true(nfs4__acl_domains_are_in(&two, &one));
    assert_true(nfs4__acl_domains_are_in(&other, &none));
    assert_false(nfs4__acl_domains_are_in(&two, &other));
    assert_false(nfs4__acl_domains_are_in(&one, &user));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(both_ways), cmocka_unit_test(shown),
                                       cmocka_unit_test(refused), cmocka_unit_test(limits),
                                       cmocka_unit_test(domains)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
