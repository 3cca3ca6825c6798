/*
 * nlm_fixture.h - what the scenario tests of NLM begin with: a server with an export "a" and a file in it, a
 * client host, and connections for two names of hosts. Each test file includes it once.
 */
#ifndef DITTOFS_TESTS_NLM_FIXTURE_H
#define DITTOFS_TESTS_NLM_FIXTURE_H

#include "dittofs/client.h"
#include "dittofs/lock.h"
#include "dittofs/open.h"
#include "dittofs/owner.h"
#include "dittofs/recovery.h"
#include "nlmclient.h"

#include <string.h>

static struct nlmhost *host;
static struct nfsworld *world;
static struct rpcclient *nfs, *nlm, *other;
static struct nfs3_handle top, file;

static void connect_all(void)
{
    nfs = nfsworld_client(world, 0, 0);
    top = nfsworld_mount(nfs, "/a");
    nlm = nlmhost_connect(host, RPCCLIENT_TCP, 4, 0);
    other = nlmhost_connect(host, RPCCLIENT_TCP, 4, 0);
}

static void disconnect_all(void)
{
    rpcclient_close(&nfs);
    rpcclient_close(&nlm);
    rpcclient_close(&other);
}

static struct nfs3_handle new_file(const char *name, uint32_t mode, uint32_t uid)
{
    struct nfs3_new_attr attr = {.set = NFS3_SET_MODE | NFS3_SET_UID, .mode = mode, .uid = uid};
    struct nfs3_result r;

    assert_int_equal(nfs3_create(nfs, &top, name, 1, &attr, 0, &r), RPCCLIENT_SUCCESS);
    assert_int_equal(r.status, 0);
    return r.handle;
}

static int set_up(void **state)
{
    struct vfs_export_config export = nfsworld_export("a");
    struct nfsworld_options options = {.locking = {.grant_retry_ms = 30, .notify_retry_ms = 30}};

    (void)state;
    host = nlmhost_open();
    options.locking.portmap_port = host->port;
    world = nfsworld_open(&export, 1, &options);
    nlmhost_set_world(host, world);
    connect_all();
    file = new_file("f", 0644, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    disconnect_all();
    nfsworld_close(&world);
    nlmhost_close(&host);
    return 0;
}

static inline struct nlmc_lock a_lock(const char *caller, uint32_t svid, uint64_t offset, uint64_t length)
{
    return (struct nlmc_lock){.caller = caller,
                              .owner = "me",
                              .svid = svid,
                              .offset = offset,
                              .length = length,
                              .exclusive = true,
                              .state = 0};
}

static inline struct state_counters counters(void)
{
    struct state_counters now;

    state_counters(world->state, &now);
    return now;
}

/* Somebody of another protocol: what holds locks and opens directly in state. */
enum { STRANGER = 999 };
static inline struct owner *stranger(void)
{
    struct client_spec spec = {.family = STRANGER, .owner = "s", .owner_length = 1};
    struct client *client = client_find_confirmed(world->state, STRANGER, "s", 1);
    struct owner *owner;

    if (client == NULL) {
        assert_int_equal(client_new(world->state, &spec, NULL, &client), ERR_OK);
        client = client_confirm(client);
    }
    assert_int_equal(owner_get(client, 1, "o", 1, &owner), ERR_OK);
    return owner;
}

static inline struct state_file *state_of(const struct nfs3_handle *handle)
{
    struct vfs_export *export;
    struct inode *inode;
    struct inode_attr attr;
    struct state_file *found;

    assert_int_equal(vfs_handle_decode(world->vfs, handle->data, handle->length, &export, &inode), ERR_OK);
    vfs_getattr(inode, &attr);
    assert_int_equal(state_file_get(world->state, vfs_export_id(export), attr.ino, &found), ERR_OK);
    vfs_unref(&inode);
    return found;
}

#endif
