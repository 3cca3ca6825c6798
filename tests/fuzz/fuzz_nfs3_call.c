/*
 * fuzz_nfs3_call.c - whole calls of NFS version 3 against a server within the process. The first byte
 * chooses the procedure, the second the object whose good handle comes first; the rest is what follows it.
 *
 * Every call must be answered by a refusal of RPC's or by results that are well-formed to their last byte.
 * The server is made anew now and then, so that what inputs leave behind stays small.
 */
#include "nfs3client.h"
#include "nfsworld.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUTS_A_WORLD = 5000, OBJECTS = 5, REG = 1, FIFO = 7 };

static struct nfsworld *world;
static struct rpcclient *client;
static struct nfs3_handle objects[OBJECTS];

static void need(enum rpcclient_status status, uint32_t nfs_status)
{
    if (status != RPCCLIENT_SUCCESS || nfs_status != 0)
        abort();
}

static void start(void)
{
    struct vfs_export_config export = nfsworld_export("a");
    enum rpcclient_status status;
    struct nfs3_result r;

    export.sync = false;
    world = nfsworld_open(&export, 1, NULL);
    client = nfsworld_client(world, 0, 0);
    objects[0] = nfsworld_mount(client, "/a");
    status = nfs3_mkdir(client, &objects[0], "d", NULL, &r);
    need(status, r.status);
    objects[1] = r.handle;
    status = nfs3_create(client, &objects[0], "f", REG, NULL, 0, &r);
    need(status, r.status);
    objects[2] = r.handle;
    status = nfs3_symlink(client, &objects[0], "l", "f", &r);
    need(status, r.status);
    objects[3] = r.handle;
    status = nfs3_mknod(client, &objects[0], "p", FIFO, 0, 0, &r);
    need(status, r.status);
    objects[4] = r.handle;
}

static void stop(void)
{
    rpcclient_close(&client);
    nfsworld_close(&world);
}

/* A second good handle (RENAME, LINK) stands in the input as 0xfe and the object's number. */
static void put_rest(struct writer *writer, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (data[i] == 0xfe && i + 1 < size)
            nfs3_put_handle(writer, &objects[data[++i] % OBJECTS]);
        else
            writer_u8(writer, data[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned inputs;
    enum rpcclient_status status;
    struct nfs3_result r;
    struct writer writer;

    if (size < 2 || size > 64 * 1024)
        return 0;
    if (world == NULL)
        start();
    writer_init_growing(&writer, 8 * 1024 * 1024);
    nfs3_put_handle(&writer, &objects[data[1] % OBJECTS]);
    put_rest(&writer, data + 2, size - 2);
    status = nfs3_call(client, data[0] % NFS3_PROCEDURES, &writer, &r);
    writer_free(&writer);
    if (status != RPCCLIENT_SUCCESS && status != RPCCLIENT_GARBAGE_ARGS)
        abort();
    if (++inputs % INPUTS_A_WORLD == 0)
        stop();
    return 0;
}
