/*
 * fuzz_smb2.c - whole messages of SMB against a server within the process.
 *
 * The first byte chooses the connection: signed at 2.1 (0), signed at 3.1.1 (1), encrypted (2), one that has
 * negotiated nothing (3); with 0x80 the rest is one message from header to body, which is signed or encrypted
 * then. Else it is a list of requests, each
 *
 *   command, flags, variant, length, LENGTH bytes
 *
 * begun as a good one of that VARIANT (smb2wire_samples.c). The bytes change it: pairs of where and what, or,
 * with flag 0x20, the body from its third byte on, in which 0xfe begins what chance would hardly find. Flag 1
 * relates it to the one before, 2 sends what there is before it, 4 cuts it to LENGTH bytes of body.
 *
 * Every reply must be well-formed and rightly signed. The server is made anew now and then, so that what
 * inputs leave behind stays small. Time flies, so that all timers are reached, too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "smb2wire_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUTS_A_WORLD = 2000, INPUT_MAX = 4096, KINDS = 3, ON_THE_WIRE_MAX = 200 };
enum { FLAG_RELATED = 1, FLAG_NEW_FRAME = 2, FLAG_CUT = 4, FLAG_BODY = 0x20 };

struct client {
    struct smb2wire *wire;
    struct smb2wire_file file, dir;
    unsigned number; /* of the file's name */
};
static struct smbworld *world;
static struct client clients[KINDS];
static unsigned inputs;

static void must(bool good)
{
    if (!good)
        abort();
}

/* Another input may have left the name to go with its last open. */
static void open_files(struct client *client)
{
    uint32_t status;

    do {
        char name[32];

        snprintf(name, sizeof name, client->number == 0 ? "file" : "file%u", client->number);
        status = smb2wire_create(client->wire, &(struct smb2wire_create){.name = name, .access = 0x13019f},
                                 &client->file);
        if (status != 0)
            snprintf(name, sizeof name, "file%u", ++client->number);
    } while (status != 0 && client->number < 100000);
    must(status == 0);
    status = smb2wire_create(client->wire,
                             &(struct smb2wire_create){.name = "dir", .access = 0x12019f, .options = 1},
                             &client->dir);
    if (status != 0)
        status = smb2wire_create(client->wire,
                                 &(struct smb2wire_create){.name = "", .access = 0x12019f, .options = 1},
                                 &client->dir);
    must(status == 0);
}

/* Its end leaves nothing behind: ports that wait would run out after some ten thousand inputs. */
static struct smb2wire *connect_once(void)
{
    struct linger linger = {.l_onoff = 1};
    struct smb2wire *wire = smb2wire_to(world);

    must(setsockopt(wire->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) == 0);
    wire->pump = smb2wire_hasty_pump;
    return wire;
}

static void log_on(unsigned kind)
{
    struct client *client = &clients[kind];

    smb2wire_close(&client->wire);
    client->wire = connect_once();
    client->wire->dialect = kind == 0 ? 0x0210 : 0x0311;
    client->wire->asks = 64;
    client->wire->guid[0] = (uint8_t)kind;
    must(smb2wire_negotiate(client->wire) == 0);
    must(smb2wire_logon(client->wire, "alice", "Passw0rd") == 0);
    client->wire->encrypts = kind == 2;
    must(smb2wire_tree_connect(client->wire, "a") == 0);
    open_files(client);
}

static void start(void)
{
    struct vfs_export_config export = smbworld_export("a");

    export.sync = false; /* no input waits for the disk */
    simclock_install();
    world = smbworld_open_exports(&export, 1, NULL, NULL);
    for (unsigned kind = 0; kind < KINDS; kind++)
        log_on(kind);
}

static void stop(void)
{
    for (unsigned kind = 0; kind < KINDS; kind++)
        smb2wire_close(&clients[kind].wire);
    smbworld_close(&world);
}

/* What stands behind 0xfe in a body. */
static void put_special(const struct client *client, struct smb2wire *wire, uint8_t what, uint8_t more)
{
    struct writer *writer = &wire->request;

    switch (what % 8) {
    case 0:
        smb2wire_put_file(wire, more % 2 ? client->file : client->dir);
        break;
    case 1:
        smb2wire_put_file(wire, smb2wire_same_file);
        break;
    case 2:
        writer_le64(writer, UINT64_MAX - more);
        break;
    case 3:
        writer_le64(writer, (UINT64_C(1) << 63) - more);
        break;
    case 4:
        writer_le64(writer, more);
        break;
    case 5:
        writer_le32(writer, more);
        break;
    case 6:
        writer_le16(writer, (uint16_t)(smb2wire_offset(wire) + more));
        break;
    case 7:
        writer_le32(writer, smb2wire_control(more));
        break;
    }
}

static void change(const struct client *client, struct smb2wire *wire, unsigned flags, const uint8_t *data,
                   size_t size)
{
    struct writer *writer = &wire->request;
    size_t body = wire->request_at + SMB2_HEADER_SIZE;

    if (flags & FLAG_BODY) {
        writer_truncate(writer, body + 2);
        for (size_t i = 0; i < size; i++) {
            if (data[i] == 0xfe && i + 2 < size) {
                put_special(client, wire, data[i + 1], data[i + 2]);
                i += 2;
            } else {
                writer_u8(writer, data[i]);
            }
        }
    } else if (flags & FLAG_CUT) {
        if (body + size < writer->length)
            writer_truncate(writer, body + size);
    } else {
        for (size_t i = 0; i + 1 < size; i += 2) {
            if (wire->request_at + data[i] < writer->length)
                writer->data[wire->request_at + data[i]] = data[i + 1];
        }
    }
    if (flags & FLAG_RELATED)
        writer->data[wire->request_at + 16] |= WIRE2_RELATED;
}

/* False: the connection is gone. */
static bool send_requests(const struct client *client, struct smb2wire *wire, const uint8_t *data,
                          size_t size)
{
    unsigned count = 0;

    while (size >= 4 && count++ < ON_THE_WIRE_MAX) {
        size_t length = data[3] < size - 4 ? data[3] : size - 4;
        unsigned flags = data[1];

        if ((flags & FLAG_NEW_FRAME) && wire->request.length > 0 && !smb2wire_send(wire))
            return false;
        smb2wire_begin_sample(wire, data[0] % WIRE2_COMMANDS, client->file, client->dir, data[2]);
        change(client, wire, flags, data + 4, length);
        data += 4 + length;
        size -= 4 + length;
    }
    return wire->request.length == 0 || smb2wire_send(wire);
}

static bool send_whole(struct smb2wire *wire, const uint8_t *data, size_t size)
{
    bool good;

    writer_bytes(&wire->request, data, size);
    good = smb2wire_send(wire);
    /* Its id was used, perhaps. */
    return good;
}

/* Is everything still there that the next input begins with? */
static bool is_well(struct client *client)
{
    struct smb2wire *wire = client->wire;
    struct smb2wire_outcome outcome;
    uint64_t id;

    smb2wire_begin_query_info(wire, client->dir, 1, 5, 64);
    smb2wire_begin_query_info(wire, client->file, 1, 5, 64);
    id = wire->next_message - 1;
    return smb2wire_send(wire) && smb2wire_settle(wire, id, &outcome) && outcome.status == 0;
}

static void fresh(const uint8_t *data, size_t size)
{
    struct smb2wire *wire = connect_once();
    struct smb2wire_outcome outcome;
    bool stays;

    if (data[0] & 0x80)
        stays = send_whole(wire, data + 1, size - 1);
    else
        stays = send_requests(&clients[1], wire, data + 1, size - 1);
    if (stays && !smb2wire_settle(wire, UINT64_MAX, &outcome))
        must(!wire->broken);
    smb2wire_close(&wire);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct smb2wire_outcome outcome;
    struct client *client;
    unsigned kind;
    bool stays;

    if (size < 2 || size > INPUT_MAX)
        return 0;
    if (world == NULL)
        start();
    kind = data[0] % (KINDS + 1);
    if (kind == KINDS) {
        fresh(data, size);
    } else {
        client = &clients[kind];
        if (data[0] & 0x80)
            stays = send_whole(client->wire, data + 1, size - 1);
        else
            stays = send_requests(client, client->wire, data + 1, size - 1);
        stays = stays && smb2wire_settle(client->wire, UINT64_MAX, &outcome);
        must(!client->wire->broken);
        if (!stays || !is_well(client)) {
            must(!client->wire->broken);
            log_on(kind);
        }
    }
    if (++inputs % INPUTS_A_WORLD == 0)
        stop();
    return 0;
}
