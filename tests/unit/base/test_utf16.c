/*
 * test_utf16.c - characters of every length both ways, and everything that is not text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dittofs/utf16.h"
#include <string.h>

#define BYTES(literal) (const uint8_t *)(literal), sizeof(literal) - 1

static const struct {
    const uint8_t *utf8;
    size_t utf8_length;
    const uint8_t *utf16;
    size_t utf16_length;
} good[] = {
    {BYTES(""), BYTES("")},
    {BYTES("a"), BYTES("a\0")},
    {BYTES("\x7f\xc2\x80"), BYTES("\x7f\0\x80\0")},
    {BYTES("\xdf\xbf\xe0\xa0\x80"), BYTES("\xff\x07\0\x08")},
    {BYTES("\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf"), BYTES("\xff\xd7\0\xe0\xff\xff")},
    {BYTES("\xf0\x90\x80\x80"), BYTES("\0\xd8\0\xdc")},
    {BYTES("\xf0\x9f\x98\x80"), BYTES("\x3d\xd8\x00\xde")},
    {BYTES("\xf4\x8f\xbf\xbf"), BYTES("\xff\xdb\xff\xdf")},
    {BYTES("a\0b"), BYTES("a\0\0\0b\0")},
};

static void converts_both_ways(void **state)
{
    uint8_t to[64];
    struct writer writer;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        writer_init(&writer, to, sizeof to);
        assert_true(utf16_from_utf8(&writer, good[i].utf8, good[i].utf8_length));
        assert_int_equal(writer.length, good[i].utf16_length);
        assert_memory_equal(to, good[i].utf16, writer.length);
        writer_init(&writer, to, sizeof to);
        assert_true(utf16_to_utf8(&writer, good[i].utf16, good[i].utf16_length));
        assert_int_equal(writer.length, good[i].utf8_length);
        assert_memory_equal(to, good[i].utf8, writer.length);
    }
}

static const struct {
    const uint8_t *text;
    size_t length;
} bad_utf8[] =
    {
        {BYTES("a\x80")},
        {BYTES("\xc0\xaf")},
        {BYTES("\xc1\xbf")},
        {BYTES("\xe0\x9f\xbf")},
        {BYTES("\xf0\x8f\xbf\xbf")},
        {BYTES("\xed\xa0\x80")},
        {BYTES("\xed\xbf\xbf")},
        {BYTES("\xf4\x90\x80\x80")},
        {BYTES("\xf5\x80\x80\x80")},
        {BYTES("\xff")},
        {BYTES("\xc3")},
        {BYTES("\xe2\x82")},
        {BYTES("\xf0\x9f\x98")},
        {BYTES("\xc3("
               "a")},
},
  bad_utf16[] = {
      {BYTES("a")},
      {BYTES("a\0b")},
      {BYTES("\0\xd8")},
      {BYTES("\0\xdc")},
      {BYTES("\0\xd8"
             "a\0")},
      {BYTES("\0\xd8\0\xd8")},
      {BYTES("\0\xdc\0\xd8")},
};

static void refuses_what_is_no_text(void **state)
{
    uint8_t to[64] = "x";
    struct writer writer;

    (void)state;
    for (size_t i = 0; i < sizeof bad_utf8 / sizeof *bad_utf8; i++) {
        writer_init(&writer, to, sizeof to);
        writer_u8(&writer, 'x');
        assert_false(utf16_from_utf8(&writer, bad_utf8[i].text, bad_utf8[i].length));
        assert_int_equal(writer.length, 1);
    }
    for (size_t i = 0; i < sizeof bad_utf16 / sizeof *bad_utf16; i++) {
        writer_init(&writer, to, sizeof to);
        writer_u8(&writer, 'x');
        assert_false(utf16_to_utf8(&writer, bad_utf16[i].text, bad_utf16[i].length));
        assert_int_equal(writer.length, 1);
    }
}

static void strings_end_and_fit(void **state)
{
    char to[4];

    (void)state;
    assert_true(utf16_to_string(to, sizeof to, "a\0b\0c\0", 6));
    assert_string_equal(to, "abc");
    assert_false(utf16_to_string(to, sizeof to, "a\0b\0c\0d\0", 8));
    assert_false(utf16_to_string(to, sizeof to, "a\0\0\0", 4));
    assert_true(utf16_to_string(to, 1, "", 0));
    assert_string_equal(to, "");
    assert_false(utf16_to_string(to, 0, "", 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(converts_both_ways),
        cmocka_unit_test(refuses_what_is_no_text),
        cmocka_unit_test(strings_end_and_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
