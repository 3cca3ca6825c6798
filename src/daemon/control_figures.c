/*
 * control_figures.c - `status` and `stats`: how the daemon is, in one item each.
 */
#include "daemon/control_walk_priv.h"

#include "dittofs/buf.h"
#include "dittofs/clock.h"
#include "dittofs/recovery.h"

#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void set(json_t *object, const char *key, uint64_t number)
{
    json_object_set_new(object, key, control__number(number));
}

static json_t *ports_value(const struct control_subject *subject)
{
    json_t *ports = json_object();

    set(ports, "nfs", subject->services->nfs_port);
    set(ports, "mountd", subject->services->mountd_port);
    set(ports, "nlm", subject->services->nlm_port);
    set(ports, "statd", subject->services->statd_port);
    set(ports, "smb", subject->smb->port);
    return ports;
}

static size_t count_exports(struct vfs *vfs)
{
    const struct vfs_export *export = NULL;
    size_t count = 0;

    while ((export = vfs_export_next(vfs, export)) != NULL)
        count++;
    return count;
}

static enum control_step status(struct control_walk *walk, char *const *arguments, unsigned count)
{
    const struct control_subject *subject = walk->subject;
    struct state_counters counters;
    json_t *item = json_object();

    (void)arguments;
    (void)count;
    state_counters(subject->state, &counters);
    json_object_set_new(item, "version", json_string(DITTOFS_VERSION));
    set(item, "pid", (uint64_t)getpid());
    json_object_set_new(item, "config", control__text(subject->config->path, strlen(subject->config->path)));
    json_object_set_new(item, "state_dir",
                        control__text(subject->config->state_dir, strlen(subject->config->state_dir)));
    json_object_set_new(item, "store", json_string(err_text(store_health(subject->store))));
    json_object_set_new(item, "ports", ports_value(subject));
    set(item, "exports", count_exports(subject->vfs));
    json_object_set_new(item, "grace", json_boolean(grace_is_active(subject->state)));
    set(item, "boot", recovery_boot(subject->state));
    set(item, "clients", counters.clients);
    set(item, "opens", counters.opens);
    set(item, "locks", counters.locks);
    set(item, "grants", counters.grants);
    control__item(walk, item);
    return CONTROL_DONE;
}

/* ---- stats ---- */

static json_t *state_value(const struct control_subject *subject)
{
    struct state_counters c;
    json_t *object = json_object();

    state_counters(subject->state, &c);
    set(object, "clients", c.clients);
    set(object, "courtesy", c.courtesy);
    set(object, "owners", c.owners);
    set(object, "opens", c.opens);
    set(object, "locks", c.locks);
    set(object, "waiters", c.waiters);
    set(object, "grants", c.grants);
    set(object, "sessions", c.sessions);
    set(object, "files", c.files);
    set(object, "expired_total", c.expired_total);
    set(object, "evicted_total", c.evicted_total);
    set(object, "deadlocks_total", c.deadlocks_total);
    set(object, "breaks_total", c.breaks_total);
    set(object, "break_timeouts_total", c.break_timeouts_total);
    return object;
}

static json_t *store_value(struct store *store)
{
    struct store_counters c;
    struct store_space space;
    json_t *object = json_object();

    store_counters(store, &c);
    store_space(store, &space);
    set(object, "total_bytes", space.total_bytes);
    set(object, "free_bytes", space.free_bytes);
    set(object, "stored_bytes", space.stored_bytes);
    set(object, "logical_bytes", space.logical_bytes);
    set(object, "inodes", space.inodes);
    set(object, "batches", c.batches);
    set(object, "syncs", c.syncs);
    set(object, "sync_ns_total", c.sync_ns_total);
    set(object, "log_bytes", c.log_bytes);
    set(object, "blocks_hashed", c.blocks_hashed);
    set(object, "blocks_shared", c.blocks_shared);
    set(object, "bytes_rewritten", c.bytes_rewritten);
    set(object, "inodes_cached", c.inodes_cached);
    set(object, "name_hits", c.name_hits);
    set(object, "name_misses", c.name_misses);
    set(object, "reads_inline", c.reads_inline);
    set(object, "reads_worker", c.reads_worker);
    set(object, "segments_reused", c.segments_reused);
    return object;
}

static json_t *rpc_value(const struct services *services)
{
    struct onc_counters c;
    json_t *object = json_object();

    if (services->onc == NULL)
        return object;
    onc_server_counters(services->onc, &c);
    set(object, "connections", c.connections);
    set(object, "connections_now", c.connections_now);
    set(object, "calls", c.calls);
    set(object, "calls_now", c.calls_now);
    set(object, "duplicates", c.duplicates);
    set(object, "bad_records", c.bad_records);
    set(object, "bytes_received", c.bytes_received);
    set(object, "bytes_sent", c.bytes_sent);
    return object;
}

static json_t *nfs3_value(const struct services *services)
{
    struct nfs_counters c;
    json_t *object = json_object(), *calls = json_object();

    json_object_set_new(object, "calls", calls);
    if (services->nfs == NULL)
        return object;
    nfs_server_counters(services->nfs, &c);
    for (uint32_t i = 0; i < NFS3_PROCEDURES; i++) {
        if (c.nfs3_calls[i] > 0)
            set(calls, nfs3_procedure_name(i), c.nfs3_calls[i]);
    }
    set(object, "calls_now", c.nfs3_calls_now);
    set(object, "bytes_read", c.bytes_read);
    set(object, "bytes_written", c.bytes_written);
    set(object, "mounts_now", c.mounts_now);
    return object;
}

static json_t *process_value(void)
{
    struct rusage usage = {0};
    json_t *object = json_object();

    (void)getrusage(RUSAGE_SELF, &usage);
    set(object, "user_ms", (uint64_t)usage.ru_utime.tv_sec * 1000 + (uint64_t)usage.ru_utime.tv_usec / 1000);
    set(object, "system_ms",
        (uint64_t)usage.ru_stime.tv_sec * 1000 + (uint64_t)usage.ru_stime.tv_usec / 1000);
    set(object, "max_rss_kb", (uint64_t)usage.ru_maxrss);
    set(object, "buffers", buf_bytes_in_use());
    set(object, "buffers_kept", buf_bytes_kept());
    return object;
}

static enum control_step stats(struct control_walk *walk, char *const *arguments, unsigned count)
{
    const struct control_subject *subject = walk->subject;
    json_t *item = json_object();

    (void)arguments;
    (void)count;
    json_object_set_new(item, "state", state_value(subject));
    json_object_set_new(item, "store", store_value(subject->store));
    json_object_set_new(item, "rpc", rpc_value(subject->services));
    json_object_set_new(item, "nfs", nfs3_value(subject->services));
    json_object_set_new(item, "process", process_value());
    control__item(walk, item);
    return CONTROL_DONE;
}

const struct control_row control__figures[] = {
    {.words = {"status"}, .begin = status},
    {.words = {"stats"}, .begin = stats},
    {.words = {NULL}},
};
