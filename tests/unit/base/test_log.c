/*
 * test_log.c - levels, sinks, what a line looks like on stderr, and how a panic ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dittofs/log.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static enum log_level seen_level;
static char seen_line[4096];
static int seen_count;

static void sink(enum log_level level, const char *line)
{
    seen_level = level;
    snprintf(seen_line, sizeof seen_line, "%s", line);
    seen_count++;
}

static void levels_and_sink(void **state)
{
    (void)state;
    log_set_sink(sink);
    seen_count = 0;
    assert_int_equal(log_get_level(), LOG_LEVEL_INFO);
    log_debug("dropped");
    assert_int_equal(seen_count, 0);
    log_info("answer %d", 42);
    assert_int_equal(seen_count, 1);
    assert_int_equal(seen_level, LOG_LEVEL_INFO);
    assert_string_equal(seen_line, "answer 42");
    log_set_level(LOG_LEVEL_DEBUG);
    log_debug("kept");
    assert_int_equal(seen_count, 2);
    log_set_level(LOG_LEVEL_ERROR);
    log_warning("dropped");
    assert_int_equal(seen_count, 2);
    log_error("kept");
    assert_int_equal(seen_count, 3);
    log_set_level(LOG_LEVEL_INFO);
    log_set_sink(NULL);
}

static void lines_can_not_be_forged(void **state)
{
    char longest[5000];

    (void)state;
    log_set_sink(sink);
    log_info("name \"%s\"", "a\nERROR b\r\x1b[2J\x7f");
    assert_string_equal(seen_line, "name \"a?ERROR b??[2J?\"");
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    log_info("%s", longest);
    assert_int_equal(strlen(seen_line), 2047);
    errno = ENOSPC;
    log_info("keeps errno");
    assert_int_equal(errno, ENOSPC);
    log_set_sink(NULL);
}

/* What JOURNAL_STREAM says: nothing, the child's stderr, or something else. */
enum journal { NO_JOURNAL, THIS_JOURNAL, OTHER_JOURNAL };

/* Runs FUNCTION in a process whose stderr is a pipe and gives what it wrote. */
static void in_child(void (*function)(void), enum journal journal, char *text, size_t size, int *status_r)
{
    int ends[2];
    size_t got = 0;
    ssize_t part;
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit none = {0, 0};
        struct stat status;
        char stream[64];

        setrlimit(RLIMIT_CORE, &none);
        signal(SIGABRT, SIG_DFL);
        dup2(ends[1], STDERR_FILENO);
        unsetenv("JOURNAL_STREAM");
        fstat(STDERR_FILENO, &status);
        snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)status.st_dev,
                 (uintmax_t)status.st_ino + (journal == OTHER_JOURNAL));
        if (journal != NO_JOURNAL)
            setenv("JOURNAL_STREAM", stream, 1);
        function();
        _exit(0);
    }
    close(ends[1]);
    while ((part = read(ends[0], text + got, size - 1 - got)) > 0)
        got += (size_t)part;
    text[got] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, status_r, 0), child);
}

static void log_some(void)
{
    log_error("one");
    log_warning("two");
    log_info("three");
}

static void break_an_invariant(void)
{
    log_set_sink(sink); /* a panic is on stderr all the same */
    invariant(1 + 1 == 3);
}

static void on_stderr(void **state)
{
    char text[8192];
    int year, status, length = 0;

    (void)state;
    in_child(log_some, NO_JOURNAL, text, sizeof text, &status);
    assert_int_equal(sscanf(text, "%d-%*d-%*dT%*d:%*d:%*d.%*dZ ERROR one%n", &year, &length), 1);
    assert_true(year >= 2024 && length > 0 && text[length] == '\n');
    assert_non_null(strstr(text, "Z WARNING two\n"));
    assert_non_null(strstr(text, "Z INFO three\n"));

    in_child(log_some, THIS_JOURNAL, text, sizeof text, &status);
    assert_string_equal(text, "<3>one\n<4>two\n<6>three\n");

    in_child(log_some, OTHER_JOURNAL, text, sizeof text, &status);
    assert_non_null(strstr(text, "Z ERROR one\n"));
}

static void panics_abort(void **state)
{
    char text[8192];
    int status;

    (void)state;
    in_child(break_an_invariant, THIS_JOURNAL, text, sizeof text, &status);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_memory_equal(text, "<3>panic at ", 12);
    assert_non_null(strstr(text, "test_log.c:"));
    assert_non_null(strstr(text, ": 1 + 1 == 3\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_and_sink),
        cmocka_unit_test(lines_can_not_be_forged),
        cmocka_unit_test(on_stderr),
        cmocka_unit_test(panics_abort),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
