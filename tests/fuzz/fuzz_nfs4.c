/*
 * fuzz_nfs4.c - whole compounds of NFSv4 against a server within the process.
 *
 * The first byte chooses the minor version and how the rest is taken: as a whole COMPOUND (0x40), or as
 * operations behind a good head, in 4.1 and 4.2 behind a good SEQUENCE (not with 0x80). In operations 0xfe
 * begins what chance would hardly find: good handles, stateids, client and session ids, the number of an
 * operation.
 *
 * Every call must be answered by a refusal of RPC's or by results that are well-formed to their last byte.
 * The server is made anew now and then, so that what inputs leave behind stays small.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nfs4world.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUTS_A_WORLD = 3000, INPUT_MAX = 16 * 1024, PROGRAM = 100003, VERSION = 4 };

static struct nfs4world world;
static bool is_open;
static unsigned inputs;
static struct wire4 *clients[3]; /* by minor version */
static struct wire4_owner openers[3], lockers[3];
static struct wire4_stateid opens[3], locks[3];
static struct wire4_handle file;

static void hold_something(uint32_t minor)
{
    struct wire4 *w = clients[minor];

    openers[minor] = wire4_owner("opener");
    lockers[minor] = wire4_owner("locker");
    opens[minor] = wire4_open_at(w, &openers[minor], &world.top, "held", 3, 0, WIRE4_NOCREATE, &file);
    expect4(w, NFS4_OK, wire4_putfh(w, &file),
            wire4_lock_new(w, WIRE4_WRITE_LT, false, minor * 10, 5, &openers[minor], &opens[minor],
                           &lockers[minor]));
    locks[minor] = wire4_last(w)->stateid;
}

static void start(void)
{
    static const char *const names[] = {"zero", "one", "two"};
    struct vfs_export_config export = nfsworld_export("a");

    nfs4world_open(&world, 2, NULL);
    export.sync = false; /* no input waits for the disk */
    nfsworld_set_exports(world.world, &export, 1);
    wire4_make_file(world.root, &world.top, "held", 0666);
    for (uint32_t minor = 0; minor <= 2; minor++) {
        clients[minor] = nfs4world_client(&world, minor, 0, names[minor]);
        hold_something(minor);
    }
    is_open = true;
}

static void stop(void)
{
    for (int minor = 0; minor <= 2; minor++)
        nfs4world_end(&clients[minor]);
    nfs4world_close(&world);
    is_open = false;
}

static void put_handle(struct writer *writer, const struct wire4_handle *handle)
{
    writer_xdr_opaque(writer, handle->data, handle->length);
}

static void put_stateid(struct writer *writer, const struct wire4_stateid *stateid)
{
    writer_be32(writer, stateid->seqid);
    writer_bytes(writer, stateid->other, sizeof stateid->other);
}

/* What stands behind 0xfe. */
static void put_special(struct wire4 *w, uint8_t what, uint8_t more)
{
    struct writer *writer = &w->request;

    switch (what % 16) {
    case 0:
        put_handle(writer, &world.objects[more % N4_OBJECTS]);
        break;
    case 1:
        put_handle(writer, more % 2 ? &world.top : &file);
        break;
    case 2:
        put_stateid(writer, &opens[more % 3]);
        break;
    case 3:
        put_stateid(writer, &locks[more % 3]);
        break;
    case 4:
        put_stateid(writer, more % 3 == 0   ? &wire4_anonymous
                            : more % 3 == 1 ? &wire4_bypass
                                            : &wire4_current);
        break;
    case 5:
        writer_be64(writer, clients[more % 3]->clientid);
        break;
    case 6:
        writer_bytes(writer, clients[1 + more % 2]->session.id, 16);
        break;
    case 7:
        writer_be32(writer, more);
        break;
    case 8:
        writer_be64(writer, more);
        break;
    case 9:
        writer_be32(writer, openers[w->minor].seqid + more % 3);
        break;
    case 10:
        writer_be64(writer, UINT64_MAX - more);
        break;
    case 11:
        writer_xdr_opaque(writer, nfs4world_names[more % N4_OBJECTS],
                          strlen(nfs4world_names[more % N4_OBJECTS]));
        break;
    case 12:
        writer_xdr_opaque(writer, "locker", 6);
        break;
    case 13:
        wire4_putfh(w, more % 2 ? &world.top : &file);
        break;
    default:
        wire4_op(w, more % (OP_COUNT + 1));
        break;
    }
}

static void put_operations(struct wire4 *w, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (data[i] == 0xfe && i + 2 < size) {
            put_special(w, data[i + 1], data[i + 2]);
            i += 2;
        } else {
            writer_u8(&w->request, data[i]);
        }
    }
    while (w->request.length % 4 != 0)
        writer_u8(&w->request, 0);
}

static void send_whole(struct wire4 *w, const uint8_t *data, size_t size)
{
    enum rpcclient_status status;
    struct reader results;
    struct writer part;
    uint8_t bytes[INPUT_MAX];

    memcpy(bytes, data, size);
    writer_init(&part, bytes, size);
    part.length = size;
    rpcclient_program(w->rpc, PROGRAM, VERSION);
    status = rpcclient_call(w->rpc, 1, &part, &results);
    if (status != RPCCLIENT_SUCCESS && status != RPCCLIENT_GARBAGE_ARGS)
        abort();
}

/* A session that an input has ended, or whose slot it has left in disorder, is made again. */
static void mend(struct wire4 *w)
{
    static uint64_t lives = 1;

    if (w->count > 0 && w->results[0].status == NFS4_OK)
        return;
    wire4_introduce(w, w->minor == 1 ? "one" : "two", ++lives, true);
    hold_something(w->minor);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum rpcclient_status status;
    bool with_session;
    struct wire4 *w;

    if (size < 2 || size > INPUT_MAX)
        return 0;
    if (!is_open)
        start();
    w = clients[data[0] % 3];
    if (data[0] & 0x40) {
        send_whole(w, data + 1, size - 1);
    } else {
        with_session = w->minor > 0 && !(data[0] & 0x80);
        if (with_session)
            wire4_begin(w);
        else
            wire4_begin_bare(w);
        put_operations(w, data + 1, size - 1);
        status = wire4_send_raw(w);
        if (status != RPCCLIENT_SUCCESS)
            abort();
        if (with_session)
            mend(w);
    }
    if (++inputs % INPUTS_A_WORLD == 0 && is_open)
        stop();
    return 0;
}
