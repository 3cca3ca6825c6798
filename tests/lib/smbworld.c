/*
 * smbworld.c - nfsworld with the SMB front-end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "smbworld.h"
#include "auth_fixture.h"
#include "loopback.h"

#include "daemon/state_records_priv.h"
#include "dittofs/vfs.h"
#include "simdisk.h"

#include <stdlib.h>
#include <string.h>

static void use_shares(struct smbworld *world)
{
    struct smb_share_config configs[NFSWORLD_EXPORTS_MAX];
    struct smb_shares *shares;

    for (size_t i = 0; i < world->nfs->export_count; i++)
        configs[i] = (struct smb_share_config){.name = world->nfs->exports[i].name, .persistent = true};
    assert_int_equal(smb_shares_new(configs, world->nfs->export_count, &shares), ERR_OK);
    smb_server_use_shares(world->server, shares);
}

static void start(struct smbworld *world)
{
    struct recovery_store records = state_records(world->nfs->store);
    struct net_address address;

    world->options.records = &records;
    assert_int_equal(smb_server_open(world->nfs->loop, world->nfs->vfs, world->nfs->state, world->identity,
                                     &world->options, &world->server),
                     ERR_OK);
    world->options.records = NULL;
    if (world->persistent)
        use_shares(world);
    assert_int_equal(smb_server_restore(world->server), ERR_OK);
    assert_int_equal(net_address_parse(loopback_address(), world->port, &address), ERR_OK);
    assert_int_equal(smb_server_listen(world->server, &address, &world->port), ERR_OK);
}

static void on_stopped(void *data)
{
    struct smbworld *world = data;

    world->done = true;
}

static void stop(struct smbworld *world)
{
    world->done = false;
    smb_server_shutdown(world->server, on_stopped, world);
    while (!world->done)
        loop_run_once(world->nfs->loop, true);
    smb_server_close(&world->server);
}

struct vfs_export_config smbworld_export(const char *name)
{
    struct vfs_export_config export = nfsworld_export(name);

    export.protocols |= VFS_SMB;
    return export;
}

static struct smbworld *open_world(const struct vfs_export_config *exports, size_t count,
                                   const struct nfsworld_options *nfs, const struct smb_options *options,
                                   bool persistent)
{
    struct smbworld *world = calloc(1, sizeof *world);

    assert_non_null(world);
    world->persistent = persistent;
    if (options != NULL)
        world->options = *options;
    world->identity = fixture_identity();
    world->nfs = nfsworld_open(exports, count, nfs);
    start(world);
    return world;
}

struct smbworld *smbworld_open_exports(const struct vfs_export_config *exports, size_t count,
                                       const struct nfsworld_options *nfs, const struct smb_options *options)
{
    return open_world(exports, count, nfs, options, false);
}

struct smbworld *smbworld_open_persistent(const struct nfsworld_options *nfs)
{
    struct vfs_export_config export = smbworld_export("a");

    return open_world(&export, 1, nfs, NULL, true);
}

struct smbworld *smbworld_open(const struct nfsworld_options *nfs, const struct smb_options *options)
{
    struct vfs_export_config export = smbworld_export("a");

    return smbworld_open_exports(&export, 1, nfs, options);
}

void smbworld_close(struct smbworld **world_p)
{
    struct smbworld *world = *world_p;

    *world_p = NULL;
    stop(world);
    ident_close(&world->identity);
    nfsworld_close(&world->nfs);
    free(world);
}

void smbworld_restart(struct smbworld *world)
{
    stop(world);
    nfsworld_restart(world->nfs);
    start(world);
}

void smbworld_crash(struct smbworld *world, uint64_t seed)
{
    simdisk_power_cut(world->nfs->disk, seed);
    stop(world);
    nfsworld_crash(world->nfs, seed + 1);
    start(world);
}

static void pump(void *data)
{
    struct smbworld *world = data;

    loop_run_once(world->nfs->loop, false);
}

struct smb2client *smbworld_connect(struct smbworld *world)
{
    struct smb2client *client = smb2client_open(loopback_address(), world->port);

    assert_non_null(client);
    client->pump = pump;
    client->pump_data = world;
    return client;
}

void smbworld_log_on(struct smb2client *client, const char *user, const char *share)
{
    assert_int_equal(smb2client_negotiate(client), STATUS_SUCCESS);
    assert_int_equal(smb2client_logon(client, user, "Passw0rd"), STATUS_SUCCESS);
    assert_int_equal(smb2client_tree_connect(client, share), STATUS_SUCCESS);
}

struct smb2client *smbworld_client(struct smbworld *world, const char *user)
{
    struct smb2client *client = smbworld_connect(world);

    smbworld_log_on(client, user, "a");
    return client;
}
