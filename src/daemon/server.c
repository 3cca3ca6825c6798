/*
 * server.c - the order of start and stop.
 *
 * Start: limits of the process, loop, signals, state folder, store (which recovers), vfs with its exports,
 * what clients held before (grace begins), services (and what SMB held stands again); then everybody who
 * waits is told "ready". Stop, at SIGTERM or SIGINT: registrations, listeners and connections go, calls in
 * flight end with their replies, the store makes everything durable and checkpoints; then the rest in the
 * opposite order. Each of these steps runs the loop until it is done, so nothing is closed inside a callback
 * of its own. A start that fails half-way is stopped the same way.
 *
 * A second signal while stopping ends the process at once; a store survives that as it survives a crash.
 */
#include "daemon/server_priv.h"
#include "daemon/background_priv.h"
#include "daemon/control_priv.h"
#include "daemon/figures_priv.h"
#include "daemon/notify_priv.h"
#include "daemon/reload_priv.h"
#include "daemon/services_priv.h"
#include "daemon/signals_priv.h"
#include "daemon/smb_service_priv.h"
#include "daemon/state_records_priv.h"
#include "daemon/system_names_priv.h"
#include "dittofs/disk.h"
#include "dittofs/loop.h"
#include "dittofs/state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { WORKERS_LEAST = 8, WORKERS_MOST = 64, WORKERS_A_PROCESSOR = 2 };
enum { NOFILE_WANTED = 65536, NOFILE_FEW = 8192 };

struct server {
    struct config *config;
    struct loop *loop;
    struct signals *signals;
    struct notify_watchdog watchdog;
    struct disk *disk;
    struct store *store;
    struct vfs *vfs;
    struct state *state;
    struct services services;
    struct smb_service smb;
    struct control *control;
    char description[256]; /* of the services */
    bool serving;          /* between "ready" and the first signal to stop */
    bool stopping;
    enum err stop_err; /* of the store's last sync and checkpoint */
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
    long workers = sysconf(_SC_NPROCESSORS_ONLN) * WORKERS_A_PROCESSOR;
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

/* ---- signals ---- */

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
    if (server->serving)
        loop_stop(server->loop);
}

static enum err reload(void *owner, char *reason)
{
    struct server *server = owner;
    enum err err;

    if (!server->serving || server->stopping) {
        snprintf(reason, CONFIG_REASON_MAX, "not while starting or stopping");
        return ERR_BUSY;
    }
    notify_reloading();
    err = reload_config(server->config, server->vfs, server->smb.server, reason);
    notify_ready(server->description);
    return err;
}

static void on_reload(void *owner)
{
    char reason[CONFIG_REASON_MAX];

    (void)reload(owner, reason); /* the log says why */
}

static void on_figures(void *owner)
{
    struct server *server = owner;

    if (server->serving && !server->stopping)
        figures_log(server->store, &server->services);
}

static const struct signals_events signals_events = {
    .stop = on_stop,
    .reload = on_reload,
    .figures = on_figures,
};

/* ---- start ---- */

static enum err open_loop(struct server *server)
{
    enum err err = loop_open(&server->loop);

    if (err == ERR_OK)
        err = signals_open(server->loop, &signals_events, server, &server->signals);
    if (err != ERR_OK)
        log_error("there can be no event loop: %s", err_text(err));
    return err;
}

static enum err open_store(struct server *server)
{
    const char *path = server->config->state_dir;
    enum err err = disk_open_folder(path, &server->disk);

    if (err == ERR_BUSY)
        log_error("%s: in use by another dittofsd", path);
    else if (err != ERR_OK)
        log_error("%s: the state folder can't be opened: %s", path, err_text(err));
    if (err != ERR_OK)
        return err;
    err = store_open(server->disk, server->loop, &server->config->store, &server->store);
    if (err != ERR_OK)
        log_error("%s: the store can't be opened: %s", path, err_text(err));
    return err;
}

static enum err open_vfs(struct server *server)
{
    enum err err = vfs_open(server->store, server->loop, &server->vfs);

    if (err == ERR_OK)
        err = reload_apply_exports(server->vfs, server->config);
    if (err != ERR_OK)
        log_error("the exports can't be opened: %s", err_text(err));
    else if (server->config->export_count == 0)
        log_warning("%s: there is no [export NAME] section: nothing is exported", server->config->path);
    return err;
}

static enum err open_state(struct server *server)
{
    const struct config *config = server->config;
    struct recovery_store records = state_records(server->store);
    struct state_options options = {
        .lease_ms = (uint64_t)config->lease_time_s * 1000,
        /* 0 would be the default. */
        .grace_ms = config->grace_time_s == 0 ? 1 : (uint64_t)config->grace_time_s * 1000,
    };
    enum err err = state_open(server->loop, &options, &records, &server->state);

    if (err != ERR_OK)
        log_error("what clients held can't be read: %s", err_text(err));
    else
        vfs_use_state(server->vfs, server->state);
    return err;
}

static enum err open_services(struct server *server)
{
    struct nfs4_options nfs4 = {.id_domain = server->config->id_domain,
                                .names = &system_names,
                                .delegations = server->config->delegations};
    struct recovery_store records = state_records(server->store);
    struct nfs_locking_options locking = {.state = server->state, .records = &records};
    enum err err = store_secret(server->store, "nfs4 server", nfs4.server_id, sizeof nfs4.server_id);

    if (err != ERR_OK) {
        log_error("the name of this server can't be read: %s", err_text(err));
        return err;
    }
    return services_open(&server->services, server->loop, server->vfs, server->state, &nfs4, &locking,
                         server->config);
}

static enum err open_control(struct server *server)
{
    struct control_subject subject = {
        .config = server->config,
        .loop = server->loop,
        .store = server->store,
        .vfs = server->vfs,
        .state = server->state,
        .services = &server->services,
        .smb = &server->smb,
        .reload = reload,
        .owner = server,
    };

    return control_open(&subject, server->config->control_mode, NULL, &server->control);
}

static enum err start(struct server *server)
{
    enum err err;

    raise_limits();
    set_workers(server->config);
    err = open_loop(server);
    if (err == ERR_OK)
        err = open_store(server);
    if (err == ERR_OK)
        err = open_vfs(server);
    if (err == ERR_OK)
        err = open_state(server);
    if (err == ERR_OK)
        err = open_services(server);
    if (err == ERR_OK)
        err = smb_service_open(&server->smb, server->loop, server->store, server->vfs, server->state,
                               server->config);
    if (err == ERR_OK)
        err = open_control(server);
    return err;
}

/* ---- stop ---- */

static void on_services_done(void *data)
{
    struct server *server = data;

    loop_stop(server->loop);
}

static void on_store_done(void *data, enum err err)
{
    struct server *server = data;

    server->stop_err = err;
    loop_stop(server->loop);
}

static void stop_services(struct server *server)
{
    smb_service_shutdown(&server->smb, on_services_done, server);
    loop_run(server->loop);
    smb_service_close(&server->smb);
    services_shutdown(&server->services, on_services_done, server);
    loop_run(server->loop);
    services_close(&server->services);
}

static void stop_store(struct server *server)
{
    store_shutdown(server->store, on_store_done, server);
    loop_run(server->loop);
    if (server->stop_err != ERR_OK)
        log_error("the store did not end well: %s", err_text(server->stop_err));
    store_close(&server->store);
}

/* Ends whatever was started, however far it came. */
static void stop(struct server *server)
{
    control_close(&server->control);
    if (server->vfs != NULL) {
        stop_services(server);
        vfs_use_state(server->vfs, NULL);
    }
    state_close(&server->state);
    vfs_close(&server->vfs);
    if (server->store != NULL)
        stop_store(server);
    disk_destroy(&server->disk);
    notify_watchdog_stop(&server->watchdog);
    signals_close(&server->signals);
    if (server->loop != NULL)
        loop_close(&server->loop);
    buf_pool_drain();
    config_free(&server->config);
}

static void describe(struct server *server)
{
    size_t used;

    services_describe(&server->services, server->description, sizeof server->description);
    used = strlen(server->description);
    if (server->smb.port != 0)
        snprintf(server->description + used, sizeof server->description - used, "%ssmb %u",
                 used > 0 ? ", " : "", server->smb.port);
    else if (used == 0)
        snprintf(server->description, sizeof server->description, "no service is turned on");
}

int server_run(struct config *config)
{
    struct server server = {.config = config};
    enum err err;

    log_info("dittofsd %s starts", DITTOFS_VERSION);
    err = start(&server);
    if (err == ERR_OK) {
        describe(&server);
        log_info("ready: %s", server.description);
        notify_watchdog_start(&server.watchdog, server.loop);
        notify_ready(server.description);
        background_ready();
        server.serving = true;
        loop_run(server.loop);
    }
    stop(&server);
    if (err == ERR_OK)
        err = server.stop_err;
    log_info("stopped");
    return err == ERR_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
