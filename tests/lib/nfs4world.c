/*
 * nfs4world.c - what the scenario tests of NFS version 4 begin with.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nfs4world.h"

#include <string.h>

const char *const nfs4world_names[N4_OBJECTS] = {"file",   "dir",   "link",     "fifo",
                                                 "socket", "block", "character"};

static struct wire4_handle make(struct wire4 *wire, const struct wire4_handle *top,
                                enum nfs4world_object what)
{
    static const uint32_t types[N4_OBJECTS] = {NF4REG, NF4DIR, NF4LNK, NF4FIFO, NF4SOCK, NF4BLK, NF4CHR};
    struct wire4_fattr fattr = wire4_mode(0777);
    struct wire4_handle handle;

    if (what == N4_FILE) {
        handle = wire4_make_file(wire, top, nfs4world_names[what], 0666);
        expect4(wire, NFS4_OK, wire4_putfh(wire, &handle),
                wire4_write(wire, &wire4_anonymous, 0, 2, "hello world", 11));
        return handle;
    }
    expect4(wire, NFS4_OK, wire4_putfh(wire, top),
            wire4_create(wire, types[what], "target", nfs4world_names[what], &fattr), wire4_getfh(wire));
    return wire->last.handle;
}

void nfs4world_open(struct nfs4world *world, uint32_t minor, const struct nfsworld_options *options)
{
    struct vfs_export_config export = nfsworld_export("a");

    memset(world, 0, sizeof *world);
    world->world = nfsworld_open(&export, 1, options);
    world->root_rpc = nfsworld_client(world->world, 0, 0);
    world->user_rpc = nfsworld_client(world->world, N4_USER, N4_GROUP);
    world->root = wire4_open(world->root_rpc, minor);
    world->user = wire4_open(world->user_rpc, minor);
    wire4_introduce(world->root, "root", 1, true);
    wire4_introduce(world->user, "user", 1, true);
    world->top = wire4_walk(world->root, "a");
    for (int what = 0; what < N4_OBJECTS; what++)
        world->objects[what] = make(world->root, &world->top, (enum nfs4world_object)what);
}

void nfs4world_close(struct nfs4world *world)
{
    wire4_close(&world->root);
    wire4_close(&world->user);
    rpcclient_close(&world->root_rpc);
    rpcclient_close(&world->user_rpc);
    nfsworld_close(&world->world);
}

struct wire4 *nfs4world_client(struct nfs4world *world, uint32_t minor, uint32_t uid, const char *name)
{
    struct wire4 *wire = wire4_open(nfsworld_client(world->world, uid, uid), minor);

    wire4_introduce(wire, name, 1, true);
    return wire;
}

void nfs4world_end(struct wire4 **wire)
{
    struct rpcclient *rpc = (*wire)->rpc;

    wire4_close(wire);
    rpcclient_close(&rpc);
}
