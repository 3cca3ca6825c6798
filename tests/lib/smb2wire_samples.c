/*
 * smb2wire_samples.c - a good request of each command in several variants: what tests of bad input and
 * fuzzing begin with.
 */
#include "smb2wire.h"
#include "dittofs/log.h"

#include <string.h>

static void plain(struct smb2wire *wire, uint16_t command)
{
    smb2wire_begin(wire, command);
    writer_le32(&wire->request, 4);
}

/* For a session of its own: there is no id. */
static void session_setup(struct smb2wire *wire)
{
    static const uint8_t token[] = {'N', 'T', 'L', 'M', 'S', 'S', 'P', 0, 1, 0, 0, 0, 0x35, 0x82, 0x08, 0x60};
    struct writer *writer = &wire->request;

    smb2wire_begin(wire, WIRE2_SESSION_SETUP);
    writer_patch_le32(writer, wire->request_at + 40, 0);
    writer_patch_le32(writer, wire->request_at + 44, 0);
    writer_le16(writer, 25);
    writer_le16(writer, 0x100);
    writer_le64(writer, 0);
    writer_le16(writer, SMB2_HEADER_SIZE + 24);
    writer_le16(writer, sizeof token + 16);
    writer_le64(writer, 0);
    writer_bytes(writer, token, sizeof token);
    writer_zeros(writer, 16);
}

static void tree_connect(struct smb2wire *wire, unsigned variant)
{
    struct writer *writer = &wire->request;
    size_t at;

    smb2wire_begin(wire, WIRE2_TREE_CONNECT);
    writer_le16(writer, 9);
    writer_le16(writer, 0);
    writer_le16(writer, SMB2_HEADER_SIZE + 8);
    at = writer->length;
    writer_le16(writer, 0);
    smb2wire_text(wire, variant % 2 ? "\\\\s\\IPC$" : "\\\\s\\a");
    writer_patch_le16(writer, at, (uint16_t)(writer->length - at - 2));
}

static void lease_context(struct writer *contexts, size_t length, uint8_t state)
{
    uint8_t lease[52] = {7, 7, 7};

    lease[16] = state;
    smb2wire_context(contexts, "RqLs", lease, length);
}

static void create_contexts(struct writer *contexts, unsigned variant)
{
    static const uint8_t zeros[64];

    switch (variant % 8) {
    case 0:
        break;
    case 1:
        smb2wire_context(contexts, "MxAc", NULL, 0);
        smb2wire_context(contexts, "QFid", NULL, 0);
        smb2wire_context(contexts, "AlSi", zeros, 8);
        smb2wire_context(contexts, "AAPL", "\x01\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\x3f\0\0\0\0\0\0", 24);
        break;
    case 2:
        smb2wire_context(contexts, "DHnQ", zeros, 16);
        lease_context(contexts, 32, 7);
        break;
    case 3:
        smb2wire_context(contexts, "DH2Q", zeros, 32);
        lease_context(contexts, 52, 7);
        break;
    case 4:
        smb2wire_context(contexts, "DHnC", zeros, 16);
        break;
    case 5:
        smb2wire_context(contexts, "DH2C", zeros, 36);
        lease_context(contexts, 52, 3);
        break;
    case 6:
        smb2wire_context(contexts, "TWrp", zeros, 8);
        smb2wire_context(contexts, "SecD", zeros, 20);
        break;
    case 7: /* one attribute "A" = "1" */
        smb2wire_context(contexts, "ExtA", "\0\0\0\0\0\1\1\0A\0001", 11);
        smb2wire_context(contexts, "\x45\xbc\xa6\x6a\xef\xa7\xf7\x4a\x90\x08\xfa\x46\x2e\x14\x4d\x74", zeros,
                         20);
        break;
    }
}

static void create(struct smb2wire *wire, unsigned variant)
{
    static const char *const names[] = {"dir\\new",          "file", "dir",   "file:stream",
                                        "dir\\made:s:$DATA", "",     "file:", "a\\b\\c"};
    static const uint8_t oplocks[] = {0xff, 0xff, 0x08, 0x09, 0, 1, 8, 0xff};
    static const uint32_t options[] = {0, 0x40, 0x21, 0x1000, 0x00200000, 2, 0x20, 0x1040};
    uint8_t bytes[1024];
    struct writer contexts;

    writer_init(&contexts, bytes, sizeof bytes);
    create_contexts(&contexts, variant);
    invariant(!contexts.failed);
    smb2wire_begin_create(wire, &(struct smb2wire_create){.name = names[variant / 8 % 8],
                                                          .access = 0x12019f,
                                                          .oplock = oplocks[variant % 8],
                                                          .options = options[variant / 4 % 8],
                                                          .contexts = contexts.data,
                                                          .contexts_length = contexts.length});
}

static const uint32_t controls[] = {0x001440f2, 0x001480f2, 0x00140078, 0x000900c4, 0x000980c8, 0x000940cf,
                                    0x00098344, 0x000983e8, 0x000900a4, 0x000900a8, 0x000900ac, 0x001401fc,
                                    0x0011c017, 0x00110018, 0x00098208, 0x0009c040, 0x0009003c, 0x00144064,
                                    0x00060194, 0x000601b0, 0x001401d4, 0x0009027c, 0x0009c280, 0x000900c0};

uint32_t smb2wire_control(unsigned variant)
{
    return controls[variant % (sizeof controls / sizeof *controls)];
}

static void set_info(struct smb2wire *wire, struct smb2wire_file file, unsigned variant)
{
    /* A rename (and a link) to "x". */
    static const uint8_t rename[] = {1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 'x', 0};
    static const uint8_t zeros[40], disposition[4] = {1}, size[8] = {0, 16};
    /* "A" = "1" */
    static const uint8_t attribute[] = {0, 0, 0, 0, 0, 1, 1, 0, 'A', 0, '1'};
    static const uint8_t descriptor[20] = {1, 0, 4, 0x80}; /* a NULL DACL */

    switch (variant % 8) {
    case 0:
        smb2wire_begin_set_info(wire, file, 1, 4, zeros, 40);
        break;
    case 1:
        smb2wire_begin_set_info(wire, file, 1, 10, rename, sizeof rename);
        break;
    case 2:
        smb2wire_begin_set_info(wire, file, 1, 11, rename, sizeof rename);
        break;
    case 3:
        smb2wire_begin_set_info(wire, file, 1, variant / 8 % 2 ? 13 : 64, disposition,
                                variant / 8 % 2 ? 1 : 4);
        break;
    case 4:
        smb2wire_begin_set_info(wire, file, 1, 20, size, 8);
        break;
    case 5:
        smb2wire_begin_set_info(wire, file, 1, 19, size, 8);
        break;
    case 6:
        smb2wire_begin_set_info(wire, file, 1, 15, attribute, sizeof attribute);
        break;
    case 7:
        smb2wire_begin_set_info(wire, file, 3, 0, descriptor, sizeof descriptor);
        break;
    }
}

static void query_info(struct smb2wire *wire, struct smb2wire_file file, unsigned variant)
{
    static const uint8_t classes[] = {18, 4, 5, 7, 9, 14, 15, 16, 21, 22, 28, 34, 35, 48, 6, 33};

    if (variant < sizeof classes)
        smb2wire_begin_query_info(wire, file, 1, classes[variant], 4096);
    else
        smb2wire_begin_query_info(wire, file,
                                  variant % 3 == 0   ? 1
                                  : variant % 3 == 1 ? 2
                                                     : 3,
                                  (uint8_t)(variant / 3 % 16), 4096);
}

static void oplock_break(struct smb2wire *wire, struct smb2wire_file file, unsigned variant)
{
    struct writer *writer = &wire->request;

    smb2wire_begin(wire, WIRE2_OPLOCK_BREAK);
    if (variant % 2 == 0) {
        writer_le16(writer, 24);
        writer_zeros(writer, 6);
        smb2wire_put_file(wire, file);
        return;
    }
    writer_le16(writer, 36);
    writer_zeros(writer, 6);
    writer_bytes(writer, "\7\7\7\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
    writer_le32(writer, 1);
    writer_le64(writer, 0);
}

void smb2wire_begin_sample(struct smb2wire *wire, uint16_t command, struct smb2wire_file file,
                           struct smb2wire_file dir, unsigned variant)
{
    static const uint8_t data[64] = {1, 2, 3};
    static const uint8_t listings[] = {37, 1, 2, 3, 12, 38, 60, 50};

    switch (command) {
    case WIRE2_NEGOTIATE:
        smb2wire_begin_negotiate(wire);
        break;
    case WIRE2_SESSION_SETUP:
        session_setup(wire);
        break;
    case WIRE2_TREE_CONNECT:
        tree_connect(wire, variant);
        break;
    case WIRE2_CREATE:
        create(wire, variant);
        break;
    case WIRE2_CLOSE:
        smb2wire_begin_close(wire, file);
        break;
    case WIRE2_FLUSH:
        smb2wire_begin_flush(wire, variant % 2 ? dir : file);
        break;
    case WIRE2_READ:
        smb2wire_begin_read(wire, file, 0, 512);
        break;
    case WIRE2_WRITE:
        smb2wire_begin_write(wire, file, 0, data, sizeof data, variant % 2);
        break;
    case WIRE2_LOCK:
        smb2wire_begin_lock(wire, file, variant, 1,
                            variant % 4 == 0   ? 0x11
                            : variant % 4 == 1 ? 2
                            : variant % 4 == 2 ? 4
                                               : 1);
        break;
    case WIRE2_IOCTL:
        smb2wire_begin_ioctl(wire, file, smb2wire_control(variant), data, sizeof data, 4096);
        break;
    case WIRE2_QUERY_DIRECTORY:
        smb2wire_begin_query_directory(wire, dir, listings[variant % sizeof listings],
                                       (uint8_t)(variant / 8 % 8), variant % 2 ? "*" : "f*", 4096);
        break;
    case WIRE2_CHANGE_NOTIFY:
        smb2wire_begin_notify(wire, dir, variant % 2, 4096, 0x17);
        break;
    case WIRE2_QUERY_INFO:
        query_info(wire, variant % 16 == 7 ? dir : file, variant);
        break;
    case WIRE2_SET_INFO:
        set_info(wire, file, variant);
        break;
    case WIRE2_OPLOCK_BREAK:
        oplock_break(wire, file, variant);
        break;
    default: /* LOGOFF, TREE_DISCONNECT, CANCEL, ECHO */
        plain(wire, command);
        break;
    }
}
