/*
 * figures.c - the counters of the rooms, as log lines: "figures: ROOM name=value ...".
 *
 * Counters count from the start of the process; those called "now" are levels.
 */
#include "daemon/figures_priv.h"
#include "dittofs/buf.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>

static void log_rpc(const struct onc_server *server)
{
    struct onc_counters c;

    onc_server_counters(server, &c);
    log_info("figures: rpc connections=%" PRIu64 " connections_now=%" PRIu64 " calls=%" PRIu64
             " calls_now=%" PRIu64 " duplicates=%" PRIu64 " bad_records=%" PRIu64 " bytes_received=%" PRIu64
             " bytes_sent=%" PRIu64,
             c.connections, c.connections_now, c.calls, c.calls_now, c.duplicates, c.bad_records,
             c.bytes_received, c.bytes_sent);
}

static void log_nfs(const struct nfs_server *server)
{
    struct nfs_counters c;
    char calls[1024];
    size_t used = 0;

    nfs_server_counters(server, &c);
    calls[0] = '\0';
    for (uint32_t i = 0; i < NFS3_PROCEDURES && used < sizeof calls; i++) {
        if (c.nfs3_calls[i] > 0)
            used += (size_t)snprintf(calls + used, sizeof calls - used, " %s=%" PRIu64 "/%" PRIu64,
                                     nfs3_procedure_name(i), c.nfs3_calls[i], c.nfs3_failures[i]);
    }
    log_info("figures: nfs calls_now=%" PRIu64 " bytes_read=%" PRIu64 " bytes_written=%" PRIu64
             " mounts_now=%" PRIu64,
             c.nfs3_calls_now, c.bytes_read, c.bytes_written, c.mounts_now);
    log_info("figures: nfs3 (calls/failures)%s", calls);
}

static void log_store(struct store *store)
{
    struct store_counters c;
    struct store_space s;

    store_counters(store, &c);
    store_space(store, &s);
    log_info("figures: store health=%s batches=%" PRIu64 " syncs=%" PRIu64 " sync_ns_total=%" PRIu64
             " checkpoint_frames=%" PRIu64 " inodes_cached=%" PRIu64 " name_hits=%" PRIu64
             " name_misses=%" PRIu64,
             err_name(store_health(store)), c.batches, c.syncs, c.sync_ns_total, c.checkpoint_frames,
             c.inodes_cached, c.name_hits, c.name_misses);
    log_info("figures: data log_bytes=%" PRIu64 " blocks_hashed=%" PRIu64 " blocks_shared=%" PRIu64
             " bytes_rewritten=%" PRIu64 " reads_inline=%" PRIu64 " reads_worker=%" PRIu64
             " segments_reused=%" PRIu64,
             c.log_bytes, c.blocks_hashed, c.blocks_shared, c.bytes_rewritten, c.reads_inline, c.reads_worker,
             c.segments_reused);
    log_info("figures: space total=%" PRIu64 " free=%" PRIu64 " stored=%" PRIu64 " logical=%" PRIu64
             " inodes=%" PRIu64,
             s.total_bytes, s.free_bytes, s.stored_bytes, s.logical_bytes, s.inodes);
}

static void log_process(void)
{
    struct rusage usage;

    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return;
    log_info("figures: process user_ms=%ld system_ms=%ld max_rss_kb=%ld buffers=%zu buffers_kept=%zu",
             (long)(usage.ru_utime.tv_sec * 1000 + usage.ru_utime.tv_usec / 1000),
             (long)(usage.ru_stime.tv_sec * 1000 + usage.ru_stime.tv_usec / 1000), usage.ru_maxrss,
             buf_bytes_in_use(), buf_bytes_kept());
}

void figures_log(struct store *store, const struct services *services)
{
    log_rpc(services->onc);
    log_nfs(services->nfs);
    log_store(store);
    log_process();
}
