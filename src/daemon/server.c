/*
 * server.c - the order of start and stop.
 *
 * Start: limits of the process, loop, signals, state folder; then ready. Stop, at SIGTERM or SIGINT: the
 * loop ends, and what was opened is closed in the opposite order. A second signal while stopping ends the
 * process at once, which a store must survive anyway.
 */
#include "daemon/server_priv.h"
#include "daemon/background_priv.h"
#include "daemon/notify_priv.h"
#include "daemon/signals_priv.h"
#include "dittofs/disk.h"
#include "dittofs/loop.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WORKERS_LEAST = 8, WORKERS_MOST = 64, WORKERS_A_PROCESSOR = 2 };
enum { NOFILE_WANTED = 65536, NOFILE_FEW = 8192 };

struct server {
    struct config *config;
    struct loop *loop;
    struct signals *signals;
    struct notify_watchdog watchdog;
    struct disk *disk;
    bool stopping;
};

/* Connections and segment files need descriptors; the usual soft limit is 1024. */
static void raise_limits(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= NOFILE_WANTED)
        return;
    limit.rlim_cur = limit.rlim_max < NOFILE_WANTED ? limit.rlim_max : NOFILE_WANTED;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        log_warning("the limit of open files can't be raised: %s", strerror(errno));
    else if (limit.rlim_cur < NOFILE_FEW)
        log_warning("open files are limited to %" PRIuMAX "; %d are wanted", (uintmax_t)limit.rlim_cur,
                    NOFILE_WANTED);
}

/* libuv reads the variable when the first job is handed to its pool. Workers mostly wait for the disk, so
 * there are more of them than processors. */
static void set_workers(const struct config *config)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    long workers = processors * WORKERS_A_PROCESSOR;
    char text[16];

    if (workers < WORKERS_LEAST)
        workers = WORKERS_LEAST;
    if (workers > WORKERS_MOST)
        workers = WORKERS_MOST;
    if (config->workers != 0)
        workers = (long)config->workers;
    snprintf(text, sizeof text, "%ld", workers);
    setenv("UV_THREADPOOL_SIZE", text, 1);
}

static void on_stop(void *owner, int number)
{
    struct server *server = owner;

    if (server->stopping) {
        log_warning("%s again: ending at once", strsignal(number));
        _exit(EXIT_FAILURE);
    }
    server->stopping = true;
    log_info("%s: stopping", strsignal(number));
    notify_stopping();
    loop_stop(server->loop);
}

static void on_reload(void *owner)
{
    (void)owner;
}

static void on_figures(void *owner)
{
    (void)owner;
}

static const struct signals_events signals_events = {
    .stop = on_stop,
    .reload = on_reload,
    .figures = on_figures,
};

static enum err open_disk(const char *path, struct disk **disk_r)
{
    enum err err = disk_open_folder(path, disk_r);

    if (err == ERR_BUSY)
        log_error("%s: in use by another dittofsd", path);
    else if (err != ERR_OK)
        log_error("%s: the state folder can't be opened: %s", path, err_text(err));
    return err;
}

static bool start(struct server *server)
{
    raise_limits();
    set_workers(server->config);
    if (loop_open(&server->loop) != ERR_OK ||
        signals_open(server->loop, &signals_events, server, &server->signals) != ERR_OK) {
        log_error("no event loop: out of memory or of open files");
        return false;
    }
    return open_disk(server->config->state_dir, &server->disk) == ERR_OK;
}

static void finish(struct server *server)
{
    disk_destroy(&server->disk);
    signals_close(&server->signals);
    if (server->loop != NULL)
        loop_close(&server->loop);
    config_free(&server->config);
}

int server_run(struct config *config)
{
    struct server server = {.config = config};

    log_info("dittofsd %s starts", DITTOFS_VERSION);
    if (!start(&server)) {
        finish(&server);
        return EXIT_FAILURE;
    }
    log_info("ready");
    notify_ready("ready");
    notify_watchdog_start(&server.watchdog, server.loop);
    background_ready();
    loop_run(server.loop);
    notify_watchdog_stop(&server.watchdog);
    finish(&server);
    log_info("stopped");
    return EXIT_SUCCESS;
}
