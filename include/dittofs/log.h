/*
 * log.h - log lines, to stderr (systemd's journal reads them from there).
 *
 * A function either logs an error or returns it; the place that answers a request logs once. Safe on any
 * thread.
 */
#ifndef DITTOFS_LOG_H
#define DITTOFS_LOG_H

enum log_level {
    LOG_LEVEL_ERROR,   /* something is lost or refused that should not be */
    LOG_LEVEL_WARNING, /* an administrator should look */
    LOG_LEVEL_INFO,    /* starts, stops, reloads, mounts */
    LOG_LEVEL_DEBUG    /* one line a request or less */
};

/* Lines above this level are dropped. The default is LOG_LEVEL_INFO. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/* Gives each line to FUNCTION instead of stderr (tests); NULL goes back to stderr. */
void log_set_sink(void (*function)(enum log_level level, const char *line));

void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)   log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)    log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                                                                       \
    do {                                                                                                     \
        if (log_get_level() >= LOG_LEVEL_DEBUG)                                                              \
            log_write(LOG_LEVEL_DEBUG, __VA_ARGS__);                                                         \
    } while (0)

/* Ends the process with a line: for invariants of our own, never for what a peer or the disk said. */
void panic(const char *file, int line, const char *what) __attribute__((noreturn));
#define invariant(condition) ((condition) ? (void)0 : panic(__FILE__, __LINE__, #condition))

#endif
