/*
 * Names that SMB can say, and wildcards (MS-FSA 2.1.4.4).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "smb/smb2_priv.h"

#include <stdio.h>
#include <string.h>

static struct store_name name_of(const char *text)
{
    return (struct store_name){.bytes = (const uint8_t *)text, .length = strlen(text)};
}

static void test_wildcards(void **state)
{
    static const struct {
        const char *pattern, *name;
        bool matches;
    } cases[] = {
        {"*", "anything", true},
        {"*", ".", true},
        {"abc", "ABC", true},
        {"abc", "abcd", false},
        {"abc", "ab", false},
        {"a?c", "abc", true},
        {"a?c", "ac", false},
        {"a?", "a", false},
        {"???", "\xc3\xa4\xc3\xb6\xc3\xbc", true},
        {"\xc3\x84*", "\xc3\xa4pfel", true},
        {"*.txt", "a.b.txt", true},
        {"*.txt", "a.txt.b", false},
        {"*.*", "plain", false},
        {"a*b*c", "a1b2b3c", true},
        {"a*b*c", "a1b2b3", false},
        {"*a", "b", false},
        {"**", "x", true},
        {"", "x", false},
        /* DOS_STAR: up to the last dot */
        {"<.txt", "a.b.txt", true},
        {"<.b", "a.b.txt", false},
        {"<", "noext", true},
        /* DOS_QM: a character, or none before a dot or at the end */
        {"a>>", "a", true},
        {"a>>", "abc", true},
        {"a>>", "abcd", false},
        {">>>.txt", "a.txt", true},
        /* DOS_DOT: a dot, or the end */
        {"a\"", "a", true},
        {"a\"b", "a.b", true},
        {"a\"b", "axb", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool got = smb2__name_matches(name_of(cases[i].name), name_of(cases[i].pattern));

        if (got != cases[i].matches)
            print_error("%s against %s\n", cases[i].name, cases[i].pattern);
        assert_int_equal(got, cases[i].matches);
    }
}

/* The search stays short where a simple one would take for ever. */
static void test_many_stars(void **state)
{
    char name[STORE_NAME_MAX + 1] = "", pattern[STORE_NAME_MAX + 1] = "";

    (void)state;
    for (int i = 0; i < 250; i++)
        strcat(name, "a");
    for (int i = 0; i < 120; i++)
        strcat(pattern, "*a");
    strcat(pattern, "b");
    assert_false(smb2__name_matches(name_of(name), name_of(pattern)));
}

static void test_usable(void **state)
{
    static const char *const bad[] = {"", "a:b", "a\\b", "a/b", "a*", "a?", "a<", "a>", "a|", "a\"", "a\x1f"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(smb2__name_is_usable(name_of(bad[i])));
    assert_true(smb2__name_is_usable(name_of("a b.c-\xc3\xa4")));
}

/* A row for each command: what is built can run and has a size; what has a file says where its id is. */
static void test_table_of_commands(void **state)
{
    (void)state;
    for (int i = 0; i < SMB2_COMMANDS; i++) {
        const struct smb2_command_row *row = &smb2__commands[i];

        assert_non_null(row->name);
        assert_int_equal(row->structure_size != 0, row->run != NULL);
        assert_int_equal((row->needs & SMB2_NEEDS_FILE) != 0, row->file_at != 0);
        if (row->needs & (SMB2_NEEDS_TREE | SMB2_NEEDS_FILE))
            assert_true(row->needs & SMB2_NEEDS_SESSION);
        /* Only what comes before there is a session may be unsigned. */
        assert_false((row->needs & SMB2_NEEDS_SESSION) && (row->needs & SMB2_WITHOUT_SIGNATURE));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wildcards),
        cmocka_unit_test(test_many_stars),
        cmocka_unit_test(test_usable),
        cmocka_unit_test(test_table_of_commands),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
