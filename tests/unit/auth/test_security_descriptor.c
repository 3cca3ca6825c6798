/*
 * test_security_descriptor.c - the example of MS-DTYP, every kind of ACE both ways, null and empty ACLs,
 * bytes changed and missing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dittofs/security_descriptor.h"
#include "hex.h"
#include <stdlib.h>
#include <string.h>

#define CHECK(call) assert_int_equal(call, ERR_OK)

/* MS-DTYP 2.5.1.4:
 * O:BAG:BAD:P(A;CIOI;GRGX;;;BU)(A;CIOI;GA;;;BA)(A;CIOI;GA;;;SY)(A;CIOI;GA;;;CO)S:P(AU;FA;GR;;;WD) */
static const char example[] = "010014b090000000a000000014000000"
                              "3000000002001c000100000002801400"
                              "00000080010100000000000100000000"
                              "020060000400000000031800000000a0"
                              "01020000000000052000000021020000"
                              "00031800000000100102000000000005"
                              "20000000200200000003140000000010"
                              "01010000000000051200000000031400"
                              "00000010010100000000000300000000"
                              "01020000000000052000000020020000"
                              "01020000000000052000000020020000";

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_reset(&arena);
    return 0;
}

static void reads_and_writes_the_example(void **state)
{
    static const struct {
        uint32_t mask;
        const struct sid *sid;
    } aces[] = {{0xa0000000, &sid_users},
                {0x10000000, &sid_administrators},
                {0x10000000, &sid_system},
                {0x10000000, &sid_creator_owner}};
    uint8_t bytes[256], out[256];
    size_t length = unhex(example, bytes, sizeof bytes);
    struct sec_descriptor descriptor;
    struct writer writer;

    (void)state;
    CHECK(sec_descriptor_read(&arena, bytes, length, &descriptor));
    assert_int_equal(descriptor.control, SEC_SELF_RELATIVE | SEC_DACL_PRESENT | SEC_SACL_PRESENT |
                                             SEC_DACL_PROTECTED | SEC_SACL_PROTECTED);
    assert_true(ident_sid_equal(descriptor.owner, &sid_administrators));
    assert_true(ident_sid_equal(descriptor.group, &sid_administrators));
    assert_int_equal(descriptor.sacl->count, 1);
    assert_int_equal(descriptor.sacl->aces[0].type, SEC_ACE_AUDIT);
    assert_int_equal(descriptor.sacl->aces[0].flags, SEC_ACE_AUDIT_FAILURE);
    assert_int_equal(descriptor.sacl->aces[0].mask, 0x80000000);
    assert_true(ident_sid_equal(&descriptor.sacl->aces[0].sid, &sid_everyone));
    assert_int_equal(descriptor.dacl->count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(descriptor.dacl->aces[i].type, SEC_ACE_ALLOWED);
        assert_int_equal(descriptor.dacl->aces[i].flags, SEC_ACE_CONTAINER_INHERIT | SEC_ACE_OBJECT_INHERIT);
        assert_int_equal(descriptor.dacl->aces[i].mask, aces[i].mask);
        assert_true(ident_sid_equal(&descriptor.dacl->aces[i].sid, aces[i].sid));
        assert_null(descriptor.dacl->aces[i].data);
    }
    assert_int_equal(sec_descriptor_size(&descriptor), length);
    writer_init(&writer, out, sizeof out);
    writer_u8(&writer, 0xee); /* offsets are counted from where the descriptor begins */
    CHECK(sec_descriptor_write(&writer, &descriptor));
    assert_int_equal(writer.length, length + 1);
    assert_memory_equal(out + 1, bytes, length);
    writer_init(&writer, out, length - 1);
    assert_int_equal(sec_descriptor_write(&writer, &descriptor), ERR_TOOSMALL);
    assert_int_equal(writer.length, 0);
}

static void refuses_every_shorter_one(void **state)
{
    uint8_t bytes[256];
    size_t length = unhex(example, bytes, sizeof bytes);
    struct sec_descriptor descriptor;

    (void)state;
    for (size_t cut = 0; cut < length; cut++) {
        uint8_t *copy = malloc(cut > 0 ? cut : 1); /* so that a read beyond the end is seen */

        memcpy(copy, bytes, cut);
        assert_int_equal(sec_descriptor_read(&arena, copy, cut, &descriptor), ERR_INVAL);
        arena_reset(&arena);
        free(copy);
    }
}

/* Any byte may have any value: what is still read is written again, to the same meaning. */
static void survives_every_changed_byte(void **state)
{
    uint8_t bytes[256], first[2048], second[2048];
    size_t length = unhex(example, bytes, sizeof bytes), taken = 0;

    (void)state;
    for (size_t at = 0; at < length; at++)
        for (unsigned value = 0; value < 256; value++) {
            uint8_t *copy = malloc(length);
            struct sec_descriptor descriptor, again;
            struct writer one, two;

            memcpy(copy, bytes, length);
            copy[at] = (uint8_t)value;
            if (sec_descriptor_read(&arena, copy, length, &descriptor) == ERR_OK) {
                taken++;
                writer_init(&one, first, sizeof first);
                CHECK(sec_descriptor_write(&one, &descriptor));
                CHECK(sec_descriptor_read(&arena, first, one.length, &again));
                writer_init(&two, second, sizeof second);
                CHECK(sec_descriptor_write(&two, &again));
                assert_int_equal(one.length, two.length);
                assert_memory_equal(first, second, one.length);
            }
            arena_reset(&arena);
            free(copy);
        }
    assert_true(taken > 5000 && taken < 35000);
}

static const uint8_t ace_types[] = {
    SEC_ACE_ALLOWED,
    SEC_ACE_DENIED,
    SEC_ACE_AUDIT,
    SEC_ACE_ALLOWED_OBJECT,
    SEC_ACE_DENIED_OBJECT,
    SEC_ACE_AUDIT_OBJECT,
    SEC_ACE_ALLOWED_CALLBACK,
    SEC_ACE_DENIED_CALLBACK,
    SEC_ACE_ALLOWED_CALLBACK_OBJECT,
    SEC_ACE_DENIED_CALLBACK_OBJECT,
    SEC_ACE_AUDIT_CALLBACK,
    SEC_ACE_AUDIT_CALLBACK_OBJECT,
    SEC_ACE_MANDATORY_LABEL,
    SEC_ACE_RESOURCE_ATTRIBUTE,
    SEC_ACE_SCOPED_POLICY,
};
enum { ACE_TYPES = sizeof ace_types };

static void every_kind_goes_both_ways(void **state)
{
    struct sec_ace aces[ACE_TYPES * 4] = {0};
    struct sec_acl acl = {.aces = aces};
    struct sec_descriptor descriptor = {.control = SEC_DACL_PRESENT, .dacl = &acl}, again;
    uint8_t out[8192];
    struct writer writer;

    (void)state;
    for (size_t i = 0; i < ACE_TYPES; i++)
        for (uint32_t flags = 0; flags < 4; flags++) {
            struct sec_ace *ace = &aces[acl.count++];

            *ace = (struct sec_ace){.type = ace_types[i], .flags = 0x13, .mask = 0x1200a9, .sid = sid_users};
            if (sec_ace_is_object(ace->type)) {
                ace->object_flags = flags;
                memset(ace->object_type, flags & 1 ? 0xab : 0, SEC_GUID_SIZE);
                memset(ace->inherited_type, flags & 2 ? 0xcd : 0, SEC_GUID_SIZE);
            }
            if (flags == 3) {
                ace->data = (const uint8_t *)"artx1234";
                ace->data_length = 8;
            }
        }
    writer_init(&writer, out, sizeof out);
    CHECK(sec_descriptor_write(&writer, &descriptor));
    assert_int_equal(out[20], 4); /* the ACL's revision */
    CHECK(sec_descriptor_read(&arena, out, writer.length, &again));
    assert_null(again.owner);
    assert_null(again.group);
    assert_null(again.sacl);
    assert_int_equal(again.dacl->count, acl.count);
    for (uint16_t i = 0; i < acl.count; i++) {
        const struct sec_ace *a = &aces[i], *b = &again.dacl->aces[i];

        assert_int_equal(a->type, b->type);
        assert_int_equal(a->flags, b->flags);
        assert_int_equal(a->mask, b->mask);
        assert_true(ident_sid_equal(&a->sid, &b->sid));
        assert_int_equal(a->object_flags, b->object_flags);
        assert_memory_equal(a->object_type, b->object_type, SEC_GUID_SIZE);
        assert_memory_equal(a->inherited_type, b->inherited_type, SEC_GUID_SIZE);
        assert_int_equal(a->data_length, b->data_length);
        if (a->data_length > 0)
            assert_memory_equal(a->data, b->data, a->data_length);
    }
}

/* A null DACL and an empty one are not the same thing, and neither is none at all. */
static void null_empty_and_no_dacl_differ(void **state)
{
    struct sec_acl empty = {0};
    const struct {
        struct sec_descriptor descriptor;
        size_t size;
    } cases[] = {
        {{.control = 0}, 20},
        {{.control = SEC_DACL_PRESENT}, 20},
        {{.control = SEC_DACL_PRESENT, .dacl = &empty}, 28},
    };
    struct sec_descriptor again;
    uint8_t out[64];
    struct writer writer;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        writer_init(&writer, out, sizeof out);
        CHECK(sec_descriptor_write(&writer, &cases[i].descriptor));
        assert_int_equal(writer.length, cases[i].size);
        CHECK(sec_descriptor_read(&arena, out, writer.length, &again));
        assert_int_equal(again.control, cases[i].descriptor.control | SEC_SELF_RELATIVE);
        assert_int_equal(again.dacl != NULL, cases[i].descriptor.dacl != NULL);
    }
    assert_int_equal(again.dacl->count, 0);
    writer_init(&writer, out, sizeof out);
    assert_int_equal(sec_descriptor_write(&writer, &(struct sec_descriptor){.dacl = &empty}), ERR_INVAL);
}

/* Single fields at their borders. */
static void refuses_what_is_malformed(void **state)
{
    static const struct {
        const char *what;
        size_t at;
        uint8_t value;
    } cases[] = {
        {"revision", 0, 2},
        {"not self-relative", 3, 0x30},
        {"owner in the header", 4, 19},
        {"owner beyond the end", 5, 1},
        {"owner cut by the end", 4, 0xa4},
        {"group far beyond", 11, 0xff},
        {"SACL in the header", 12, 1},
        {"ACL's revision", 0x14, 3},
        {"ACL's size below its header", 0x16, 7},
        {"ACL's size beyond the end", 0x17, 1},
        {"more ACEs than fit", 0x18, 2},
        {"unknown ACE", 0x1c, 0x04},
        {"reserved ACE", 0x1c, 0x03},
        {"ACE's size not a multiple of four", 0x1e, 0x15},
        {"ACE's size of 0", 0x1e, 0},
        {"ACE's size below its SID", 0x1e, 0x10},
        {"ACE's size beyond its ACL", 0x1e, 0x18},
        {"SID's revision", 0x24, 2},
        {"SID of 16 parts", 0x25, 16},
    };
    uint8_t bytes[256];
    size_t length = unhex(example, bytes, sizeof bytes);
    struct sec_descriptor descriptor;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t before = bytes[cases[i].at];

        bytes[cases[i].at] = cases[i].value;
        if (sec_descriptor_read(&arena, bytes, length, &descriptor) != ERR_INVAL)
            fail_msg("%s", cases[i].what);
        bytes[cases[i].at] = before;
    }
    CHECK(sec_descriptor_read(&arena, bytes, length, &descriptor));
}

static void sizes_are_bounded(void **state)
{
    static struct sec_ace aces[5000];
    static uint8_t out[SEC_DESCRIPTOR_MAX + 1];
    struct sec_acl acl = {.aces = aces};
    struct sec_descriptor descriptor = {.control = SEC_DACL_PRESENT, .dacl = &acl}, again;
    struct arena small;
    struct writer writer;

    (void)state;
    for (size_t i = 0; i < 5000; i++)
        aces[i].sid = sid_everyone;
    acl.count = (SEC_ACL_MAX - 8) / 20;
    writer_init(&writer, out, sizeof out);
    CHECK(sec_descriptor_write(&writer, &descriptor));
    CHECK(sec_descriptor_read(&arena, out, writer.length, &again));
    assert_int_equal(again.dacl->count, acl.count);
    assert_int_equal(sec_descriptor_read(&arena, out, SEC_DESCRIPTOR_MAX + 1, &again), ERR_INVAL);
    arena_init(&small, 4096);
    assert_int_equal(sec_descriptor_read(&small, out, writer.length, &again), ERR_NOMEM);
    arena_reset(&small);
    acl.count++;
    assert_int_equal(sec_descriptor_size(&descriptor), 0);
    assert_int_equal(sec_descriptor_write(&writer, &descriptor), ERR_INVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_and_writes_the_example, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_every_shorter_one, setup, teardown),
        cmocka_unit_test_setup_teardown(survives_every_changed_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(every_kind_goes_both_ways, setup, teardown),
        cmocka_unit_test_setup_teardown(null_empty_and_no_dacl_differ, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_what_is_malformed, setup, teardown),
        cmocka_unit_test_setup_teardown(sizes_are_bounded, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
