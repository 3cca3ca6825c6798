/*
 * log.c - log lines to stderr, one write(2) each, so that lines of several threads never mix.
 *
 * When stderr is the journal, a line begins with its priority (sd-daemon(3)) and the journal adds the
 * time; else it begins with the time and the level. Control characters are replaced: a line may quote
 * what a peer sent, and a peer must not be able to forge another line.
 */
#include "dittofs/log.h"
#include "dittofs/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LINE_BYTES = 2048, PREFIX_BYTES = 64 };

static const struct {
    const char *name;
    const char *priority; /* syslog(3) severity as sd-daemon(3) wants it */
} levels[] = {
    [LOG_LEVEL_ERROR] = {"ERROR", "<3>"},
    [LOG_LEVEL_WARNING] = {"WARNING", "<4>"},
    [LOG_LEVEL_INFO] = {"INFO", "<6>"},
    [LOG_LEVEL_DEBUG] = {"DEBUG", "<7>"},
};

static atomic_int current_level = LOG_LEVEL_INFO;
static void (*_Atomic current_sink)(enum log_level level, const char *line);
static pthread_once_t stderr_once = PTHREAD_ONCE_INIT;
static bool stderr_is_journal;

/* systemd.exec(5): JOURNAL_STREAM holds device and inode of the journal's socket; a child may have stderr
 * elsewhere. */
static void look_at_stderr(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    char device_and_inode[64];
    struct stat status;

    if (stream == NULL || fstat(STDERR_FILENO, &status) != 0)
        return;
    snprintf(device_and_inode, sizeof device_and_inode, "%" PRIuMAX ":%" PRIuMAX, (uintmax_t)status.st_dev,
             (uintmax_t)status.st_ino);
    stderr_is_journal = strcmp(stream, device_and_inode) == 0;
}

static void write_fully(const char *data, size_t length)
{
    while (length > 0) {
        ssize_t done = write(STDERR_FILENO, data, length);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return;
        data += done;
        length -= (size_t)done;
    }
}

static void write_to_stderr(enum log_level level, const char *text)
{
    char prefix[PREFIX_BYTES];
    char line[PREFIX_BYTES + LINE_BYTES + 2];
    int length;

    pthread_once(&stderr_once, look_at_stderr);
    if (stderr_is_journal) {
        snprintf(prefix, sizeof prefix, "%s", levels[level].priority);
    } else {
        struct timestamp now = clock_wall();
        time_t seconds = (time_t)now.seconds;
        struct tm parts;
        char date[32];

        if (gmtime_r(&seconds, &parts) == NULL ||
            strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts) == 0)
            snprintf(date, sizeof date, "%" PRId64, now.seconds);
        snprintf(prefix, sizeof prefix, "%s.%03uZ %s ", date, (unsigned)(now.nanoseconds / 1000000u),
                 levels[level].name);
    }
    length = snprintf(line, sizeof line, "%s%s\n", prefix, text);
    if (length > 0)
        write_fully(line, (size_t)length);
}

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&current_level, (int)level, memory_order_relaxed);
}

enum log_level log_get_level(void)
{
    return (enum log_level)atomic_load_explicit(&current_level, memory_order_relaxed);
}

void log_set_sink(void (*function)(enum log_level level, const char *line))
{
    atomic_store(&current_sink, function);
}

void log_write(enum log_level level, const char *format, ...)
{
    void (*sink)(enum log_level level, const char *line);
    int saved_errno = errno;
    char text[LINE_BYTES];
    va_list arguments;

    if (level > log_get_level())
        return;
    va_start(arguments, format);
    if (vsnprintf(text, sizeof text, format, arguments) < 0)
        text[0] = '\0';
    va_end(arguments);
    for (char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = '?';
    }
    sink = atomic_load(&current_sink);
    if (sink != NULL)
        sink(level, text);
    else
        write_to_stderr(level, text);
    errno = saved_errno;
}

void panic(const char *file, int line, const char *what)
{
    char text[LINE_BYTES];

    snprintf(text, sizeof text, "panic at %s:%d: %s", file, line, what);
    write_to_stderr(LOG_LEVEL_ERROR, text);
    abort();
}
