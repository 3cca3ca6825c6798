/*
 * nfsworld.c - a whole NFS server within a test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nfsworld.h"
#include "loopback.h"
#include "simclock.h"
#include "simdisk.h"

#include "daemon/state_records_priv.h"
#include "dittofs/log.h"

#include <stdlib.h>
#include <string.h>

static void pump(void *data)
{
    struct nfsworld *world = data;

    loop_run_once(world->loop, false);
}

static void listen_on(struct nfsworld *world, struct onc_service *service, enum onc_transport transport)
{
    struct net_address address;

    assert_int_equal(net_address_parse(loopback_address(), world->port, &address), ERR_OK);
    assert_int_equal(onc_service_listen(service, transport, &address, &world->port), ERR_OK);
}

static void start(struct nfsworld *world)
{
    struct nfs4_options nfs4 = world->options.nfs4;
    struct recovery_store records;
    struct nfs_locking_options locking = world->options.locking;
    struct onc_service *service;

    nfs4.server_id[0] = 1;
    assert_int_equal(loop_open(&world->loop), ERR_OK);
    assert_int_equal(store_open(world->disk, world->loop, &world->options.store, &world->store), ERR_OK);
    assert_int_equal(vfs_open(world->store, world->loop, &world->vfs), ERR_OK);
    assert_int_equal(vfs_exports_set(world->vfs, world->exports, world->export_count), ERR_OK);
    records = state_records(world->store);
    assert_int_equal(state_open(world->loop, &world->options.state, &records, &world->state), ERR_OK);
    vfs_use_state(world->vfs, world->state);
    assert_int_equal(onc_server_open(world->loop, NULL, &world->rpc), ERR_OK);
    assert_int_equal(nfs_server_open(world->vfs, &world->options.nfs, &world->nfs), ERR_OK);
    assert_int_equal(onc_service_open(world->rpc, "nfs", &service), ERR_OK);
    assert_int_equal(nfs_server_add_nfs3(world->nfs, service), ERR_OK);
    assert_int_equal(nfs_server_add_nfs4(world->nfs, service, world->state, &nfs4), ERR_OK);
    assert_int_equal(nfs_server_add_mount(world->nfs, service), ERR_OK);
    locking.state = world->state;
    locking.records = &records;
    assert_int_equal(nfs_server_open_locking(world->nfs, &locking), ERR_OK);
    assert_int_equal(nfs_server_add_nlm(world->nfs, service), ERR_OK);
    assert_int_equal(nfs_server_add_nsm(world->nfs, service), ERR_OK);
    listen_on(world, service, ONC_TCP);
    listen_on(world, service, ONC_UDP);
}

static void done(void *data)
{
    struct nfsworld *world = data;

    world->done = true;
}

static void store_done(void *data, enum err err)
{
    assert_int_equal(err, ERR_OK);
    done(data);
}

static void wait_done(struct nfsworld *world)
{
    while (!world->done)
        loop_run_once(world->loop, true);
    world->done = false;
}

static void stop_front(struct nfsworld *world)
{
    onc_server_shutdown(world->rpc, done, world);
    wait_done(world);
    onc_server_close(&world->rpc);
    nfs_server_close(&world->nfs);
    vfs_use_state(world->vfs, NULL);
    state_close(&world->state);
    vfs_close(&world->vfs);
}

static void stop_back(struct nfsworld *world)
{
    store_close(&world->store);
    loop_close(&world->loop);
}

static void stop(struct nfsworld *world)
{
    stop_front(world);
    store_shutdown(world->store, store_done, world);
    wait_done(world);
    stop_back(world);
}

struct nfsworld *nfsworld_open(const struct vfs_export_config *exports, size_t count,
                               const struct nfsworld_options *options)
{
    struct nfsworld *world = calloc(1, sizeof *world);

    assert_non_null(world);
    assert_true(count <= NFSWORLD_EXPORTS_MAX);
    world->disk = simdisk_new(1);
    world->export_count = count;
    memcpy(world->exports, exports, count * sizeof *exports);
    if (options != NULL)
        world->options = *options;
    log_set_level(LOG_LEVEL_ERROR);
    start(world);
    return world;
}

static void release(struct nfsworld **world)
{
    disk_destroy(&(*world)->disk);
    free(*world);
    *world = NULL;
}

void nfsworld_close(struct nfsworld **world)
{
    stop(*world);
    release(world);
    assert_int_equal(buf_bytes_in_use(), 0);
    buf_pool_drain();
}

void nfsworld_abandon(struct nfsworld **world)
{
    stop_front(*world);
    stop_back(*world);
    release(world);
}

void nfsworld_restart(struct nfsworld *world)
{
    stop(world);
    start(world);
}

static void store_failed(void *data, enum err err)
{
    (void)err; /* what it could not write is what the test is about */
    done(data);
}

/* Handles from before the cut answer ERR_IO, so the end in good order changes nothing on the disk; it waits
 * for jobs that are under way. */
void nfsworld_crash(struct nfsworld *world, uint64_t seed)
{
    simdisk_power_cut(world->disk, seed);
    stop_front(world);
    store_shutdown(world->store, store_failed, world);
    wait_done(world);
    stop_back(world);
    start(world);
}

void nfsworld_turn(struct nfsworld *world, int count)
{
    for (int i = 0; i < count; i++)
        loop_run_once(world->loop, false);
}

void nfsworld_advance(struct nfsworld *world, uint64_t ms)
{
    enum { STEP_MS = 1000, TURNS = 4 };

    while (ms > 0) {
        uint64_t step_ms = ms < STEP_MS ? ms : STEP_MS;

        simclock_advance_ms(step_ms);
        loop_run_timers(world->loop);
        nfsworld_turn(world, TURNS);
        ms -= step_ms;
    }
}

void nfsworld_set_exports(struct nfsworld *world, const struct vfs_export_config *exports, size_t count)
{
    assert_true(count <= NFSWORLD_EXPORTS_MAX);
    memcpy(world->exports, exports, count * sizeof *exports);
    world->export_count = count;
    assert_int_equal(vfs_exports_set(world->vfs, world->exports, world->export_count), ERR_OK);
}

struct vfs_export_config nfsworld_export(const char *name)
{
    return (struct vfs_export_config){
        .name = name,
        .sync = true,
        .squash = VFS_SQUASH_NONE,
        .anonymous_uid = 65534,
        .anonymous_gid = 65534,
        .security = VFS_SEC_SYS,
        .protocols = VFS_NFS3 | VFS_NFS4,
        .root_mode = 0777,
    };
}

static struct rpcclient *open_client(struct nfsworld *world, enum rpcclient_transport transport)
{
    struct rpcclient *client = rpcclient_open(loopback_address(), world->port, transport);

    assert_non_null(client);
    client->pump = pump;
    client->pump_data = world;
    return client;
}

struct rpcclient *nfsworld_client(struct nfsworld *world, uint32_t uid, uint32_t gid)
{
    struct rpcclient *client = open_client(world, RPCCLIENT_TCP);

    rpcclient_sys(client, uid, gid, NULL, 0);
    return client;
}

struct rpcclient *nfsworld_udp_client(struct nfsworld *world)
{
    return open_client(world, RPCCLIENT_UDP);
}

struct nfs3_handle nfsworld_mount(struct rpcclient *client, const char *path)
{
    struct mount3_result result;

    assert_int_equal(mount3_mnt(client, path, &result), RPCCLIENT_SUCCESS);
    assert_int_equal(result.status, 0);
    return result.handle;
}
