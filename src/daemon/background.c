/*
 * background.c - going to the background.
 *
 * The parent reads from a pipe that the child writes one byte into when it is ready. A pipe that ends
 * without that byte means that the child has failed, which has said why on the stderr that both share.
 */
#include "daemon/background_priv.h"
#include "dittofs/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <syslog.h>
#include <unistd.h>

static int ready_fd = -1;

static void log_to_syslog(enum log_level level, const char *line)
{
    static const int priorities[] = {
        [LOG_LEVEL_ERROR] = LOG_ERR,
        [LOG_LEVEL_WARNING] = LOG_WARNING,
        [LOG_LEVEL_INFO] = LOG_INFO,
        [LOG_LEVEL_DEBUG] = LOG_DEBUG,
    };

    syslog(priorities[level], "%s", line);
}

static void wait_for_child(int fd) __attribute__((noreturn));

static void wait_for_child(int fd)
{
    ssize_t got;
    char byte;

    do
        got = read(fd, &byte, 1);
    while (got < 0 && errno == EINTR);
    _exit(got == 1 ? 0 : 1);
}

enum err background_begin(void)
{
    int fds[2];
    pid_t child;

    if (pipe2(fds, O_CLOEXEC) != 0)
        return err_from_errno(errno);
    child = fork();
    if (child < 0) {
        int saved = errno;

        close(fds[0]);
        close(fds[1]);
        return err_from_errno(saved);
    }
    if (child > 0) {
        close(fds[1]);
        wait_for_child(fds[0]);
    }
    close(fds[0]);
    ready_fd = fds[1];
    setsid();
    return ERR_OK;
}

void background_ready(void)
{
    int null_fd;

    if (ready_fd < 0)
        return;
    openlog("dittofsd", LOG_PID, LOG_DAEMON);
    log_set_sink(log_to_syslog);
    null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null_fd >= 0) {
        dup2(null_fd, STDIN_FILENO);
        dup2(null_fd, STDOUT_FILENO);
        dup2(null_fd, STDERR_FILENO);
        if (null_fd > STDERR_FILENO)
            close(null_fd);
    }
    if (write(ready_fd, "", 1) != 1)
        log_warning("the starting process is gone");
    close(ready_fd);
    ready_fd = -1;
}
