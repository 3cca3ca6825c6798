/*
 * smb2wire_commands.c - requests of each command as MS-SMB2 2.2 has them.
 */
#include "smb2wire.h"
#include "dittofs/log.h"
#include "dittofs/utf16.h"

#include <stdio.h>
#include <string.h>

enum { CREDIT_BYTES = 65536 };

void smb2wire_text(struct smb2wire *wire, const char *text)
{
    invariant(utf16_from_utf8(&wire->request, text, strlen(text)));
}

void smb2wire_put_file(struct smb2wire *wire, struct smb2wire_file file)
{
    writer_le64(&wire->request, file.persistent);
    writer_le64(&wire->request, file.volatile_id);
}

static void set_charge(struct smb2wire *wire, uint32_t length)
{
    if (wire->charge == 0 && length > CREDIT_BYTES && wire->dialect > 0x0202)
        wire->charge = (uint16_t)((length - 1) / CREDIT_BYTES + 1);
}

uint32_t smb2wire_tree_connect(struct smb2wire *wire, const char *share)
{
    struct writer *writer = &wire->request;
    struct smb2wire_reply reply;
    char path[512];
    size_t at;

    snprintf(path, sizeof path, "\\\\server\\%s", share);
    smb2wire_begin(wire, WIRE2_TREE_CONNECT);
    writer_le16(writer, 9);
    writer_le16(writer, 0);
    writer_le16(writer, SMB2_HEADER_SIZE + 8);
    at = writer->length;
    writer_le16(writer, 0);
    smb2wire_text(wire, path);
    writer_patch_le16(writer, at, (uint16_t)(writer->length - at - 2));
    if (smb2wire_call(wire, &reply) == 0)
        wire->tree_id = reply.tree_id;
    return wire->last_status;
}

/* MS-SMB2 2.2.13.2 */
void smb2wire_context(struct writer *writer, const char *name, const void *data, size_t length)
{
    size_t at = 0, name_length = strlen(name), data_at = (16 + name_length + 7) & ~(size_t)7;

    if (writer->length > 0) {
        struct reader reader;
        uint32_t next;

        for (;;) {
            reader = reader_of(writer->data + at, writer->length - at);
            invariant(reader_le32(&reader, &next));
            if (next == 0)
                break;
            at += next;
        }
        writer_align(writer, 8);
        writer_patch_le32(writer, at, (uint32_t)(writer->length - at));
        at = writer->length;
    }
    writer_le32(writer, 0);
    writer_le16(writer, 16);
    writer_le16(writer, (uint16_t)name_length);
    writer_le16(writer, 0);
    writer_le16(writer, (uint16_t)(length > 0 ? data_at : 0));
    writer_le32(writer, (uint32_t)length);
    writer_bytes(writer, name, name_length);
    if (length > 0) {
        writer_zeros(writer, at + data_at - writer->length);
        writer_bytes(writer, data, length);
    }
}

void smb2wire_begin_create(struct smb2wire *wire, const struct smb2wire_create *create)
{
    struct writer *writer = &wire->request;
    uint32_t disposition = create->disposition == 0                    ? 3
                           : create->disposition == SMB2WIRE_SUPERSEDE ? 0
                                                                       : create->disposition;
    size_t name_at;

    smb2wire_begin(wire, WIRE2_CREATE);
    writer_le16(writer, 57);
    writer_u8(writer, 0);
    writer_u8(writer, create->oplock);
    writer_le32(writer, 2);
    writer_zeros(writer, 16);
    writer_le32(writer, create->access != 0 ? create->access : 0x1f01ff);
    writer_le32(writer, 0);
    writer_le32(writer, create->share_none ? 0 : create->share != 0 ? create->share : 7);
    writer_le32(writer, disposition);
    writer_le32(writer, create->options);
    writer_le16(writer, SMB2_HEADER_SIZE + 56);
    name_at = writer->length;
    writer_zeros(writer, 2 + 8);
    smb2wire_text(wire, create->name);
    writer_patch_le16(writer, name_at, (uint16_t)(writer->length - name_at - 10));
    if (create->contexts_length > 0) {
        while (smb2wire_offset(wire) % 8 != 0)
            writer_u8(writer, 0);
        writer_patch_le32(writer, name_at + 2, (uint32_t)smb2wire_offset(wire));
        writer_patch_le32(writer, name_at + 6, (uint32_t)create->contexts_length);
        writer_bytes(writer, create->contexts, create->contexts_length);
    } else if (create->name[0] == '\0') {
        writer_u8(writer, 0);
    }
}

struct smb2wire_file smb2wire_created(const struct smb2wire_reply *reply)
{
    struct smb2wire_file file = {0, 0};
    struct reader reader = reply->body;

    if (!reader_skip(&reader, 64) || !reader_le64(&reader, &file.persistent) ||
        !reader_le64(&reader, &file.volatile_id))
        file = (struct smb2wire_file){0, 0};
    return file;
}

uint32_t smb2wire_create(struct smb2wire *wire, const struct smb2wire_create *create,
                         struct smb2wire_file *file_r)
{
    struct smb2wire_reply reply;

    smb2wire_begin_create(wire, create);
    if (smb2wire_call(wire, &reply) == 0)
        *file_r = smb2wire_created(&reply);
    return wire->last_status;
}

void smb2wire_begin_close(struct smb2wire *wire, struct smb2wire_file file)
{
    smb2wire_begin(wire, WIRE2_CLOSE);
    writer_le16(&wire->request, 24);
    writer_zeros(&wire->request, 6);
    smb2wire_put_file(wire, file);
}

uint32_t smb2wire_close_file(struct smb2wire *wire, struct smb2wire_file file)
{
    smb2wire_begin_close(wire, file);
    return smb2wire_call(wire, NULL);
}

void smb2wire_begin_read(struct smb2wire *wire, struct smb2wire_file file, uint64_t offset, uint32_t length)
{
    struct writer *writer = &wire->request;

    set_charge(wire, length);
    smb2wire_begin(wire, WIRE2_READ);
    writer_le16(writer, 49);
    writer_u8(writer, SMB2_HEADER_SIZE + 16);
    writer_u8(writer, 0);
    writer_le32(writer, length);
    writer_le64(writer, offset);
    smb2wire_put_file(wire, file);
    writer_zeros(writer, 4 + 4 + 4 + 2 + 2 + 1);
}

bool smb2wire_read_data(const struct smb2wire_reply *reply, struct reader *data_r)
{
    struct reader reader = reply->body, whole = reader_of(reply->data, reply->length);
    uint32_t length;
    uint8_t offset;

    return reader_skip(&reader, 2) && reader_u8(&reader, &offset) && reader_skip(&reader, 1) &&
           reader_le32(&reader, &length) && reader_skip(&whole, offset) && reader_sub(&whole, length, data_r);
}

uint32_t smb2wire_read(struct smb2wire *wire, struct smb2wire_file file, uint64_t offset, void *to,
                       uint32_t length, uint32_t *got_r)
{
    struct smb2wire_reply reply;
    struct reader data;

    *got_r = 0;
    smb2wire_begin_read(wire, file, offset, length);
    if (smb2wire_call(wire, &reply) != 0)
        return wire->last_status;
    if (!smb2wire_read_data(&reply, &data) || data.left > length)
        return SMB2WIRE_GONE;
    memcpy(to, data.at, data.left);
    *got_r = (uint32_t)data.left;
    return 0;
}

void smb2wire_begin_write(struct smb2wire *wire, struct smb2wire_file file, uint64_t offset, const void *data,
                          uint32_t length, uint32_t flags)
{
    struct writer *writer = &wire->request;

    set_charge(wire, length);
    smb2wire_begin(wire, WIRE2_WRITE);
    writer_le16(writer, 49);
    writer_le16(writer, SMB2_HEADER_SIZE + 48);
    writer_le32(writer, length);
    writer_le64(writer, offset);
    smb2wire_put_file(wire, file);
    writer_zeros(writer, 4 + 4 + 2 + 2);
    writer_le32(writer, flags);
    writer_bytes(writer, data, length);
    if (length == 0)
        writer_u8(writer, 0);
}

uint32_t smb2wire_write(struct smb2wire *wire, struct smb2wire_file file, uint64_t offset, const void *data,
                        uint32_t length)
{
    smb2wire_begin_write(wire, file, offset, data, length, 0);
    return smb2wire_call(wire, NULL);
}

void smb2wire_begin_flush(struct smb2wire *wire, struct smb2wire_file file)
{
    smb2wire_begin(wire, WIRE2_FLUSH);
    writer_le16(&wire->request, 24);
    writer_zeros(&wire->request, 6);
    smb2wire_put_file(wire, file);
}

void smb2wire_begin_lock(struct smb2wire *wire, struct smb2wire_file file, uint64_t offset, uint64_t length,
                         uint32_t flags)
{
    struct writer *writer = &wire->request;

    smb2wire_begin(wire, WIRE2_LOCK);
    writer_le16(writer, 48);
    writer_le16(writer, 1);
    writer_le32(writer, 0);
    smb2wire_put_file(wire, file);
    writer_le64(writer, offset);
    writer_le64(writer, length);
    writer_le32(writer, flags);
    writer_le32(writer, 0);
}

uint32_t smb2wire_lock(struct smb2wire *wire, struct smb2wire_file file, uint64_t offset, uint64_t length,
                       uint32_t flags)
{
    smb2wire_begin_lock(wire, file, offset, length, flags);
    return smb2wire_call(wire, NULL);
}

void smb2wire_begin_query_info(struct smb2wire *wire, struct smb2wire_file file, uint8_t type, uint8_t class,
                               uint32_t length)
{
    struct writer *writer = &wire->request;

    set_charge(wire, length);
    smb2wire_begin(wire, WIRE2_QUERY_INFO);
    writer_le16(writer, 41);
    writer_u8(writer, type);
    writer_u8(writer, class);
    writer_le32(writer, length);
    writer_zeros(writer, 2 + 2 + 4);
    writer_le32(writer, type == 3 ? 7 : 0); /* owner, group and DACL */
    writer_le32(writer, 0);
    smb2wire_put_file(wire, file);
    writer_u8(writer, 0);
}

void smb2wire_begin_set_info(struct smb2wire *wire, struct smb2wire_file file, uint8_t type, uint8_t class,
                             const void *data, uint32_t length)
{
    struct writer *writer = &wire->request;

    smb2wire_begin(wire, WIRE2_SET_INFO);
    writer_le16(writer, 33);
    writer_u8(writer, type);
    writer_u8(writer, class);
    writer_le32(writer, length);
    writer_le16(writer, SMB2_HEADER_SIZE + 32);
    writer_le16(writer, 0);
    writer_le32(writer, type == 3 ? 7 : 0);
    smb2wire_put_file(wire, file);
    writer_bytes(writer, data, length);
    if (length == 0)
        writer_u8(writer, 0);
}

void smb2wire_begin_query_directory(struct smb2wire *wire, struct smb2wire_file file, uint8_t class,
                                    uint8_t flags, const char *pattern, uint32_t length)
{
    struct writer *writer = &wire->request;
    size_t at;

    set_charge(wire, length);
    smb2wire_begin(wire, WIRE2_QUERY_DIRECTORY);
    writer_le16(writer, 33);
    writer_u8(writer, class);
    writer_u8(writer, flags);
    writer_le32(writer, 0);
    smb2wire_put_file(wire, file);
    writer_le16(writer, SMB2_HEADER_SIZE + 32);
    at = writer->length;
    writer_le16(writer, 0);
    writer_le32(writer, length);
    smb2wire_text(wire, pattern);
    writer_patch_le16(writer, at, (uint16_t)(writer->length - at - 6));
    if (pattern[0] == '\0')
        writer_u8(writer, 0);
}

void smb2wire_begin_ioctl(struct smb2wire *wire, struct smb2wire_file file, uint32_t code, const void *data,
                          uint32_t length, uint32_t most)
{
    struct writer *writer = &wire->request;

    set_charge(wire, most > length ? most : length);
    smb2wire_begin(wire, WIRE2_IOCTL);
    writer_le32(writer, 57);
    writer_le32(writer, code);
    smb2wire_put_file(wire, file);
    writer_le32(writer, SMB2_HEADER_SIZE + 56);
    writer_le32(writer, length);
    writer_le32(writer, 0);
    writer_le32(writer, SMB2_HEADER_SIZE + 56);
    writer_le32(writer, 0);
    writer_le32(writer, most);
    writer_le32(writer, 1);
    writer_le32(writer, 0);
    writer_bytes(writer, data, length);
    if (length == 0)
        writer_u8(writer, 0);
}

void smb2wire_begin_notify(struct smb2wire *wire, struct smb2wire_file file, uint16_t flags, uint32_t length,
                           uint32_t filter)
{
    struct writer *writer = &wire->request;

    set_charge(wire, length);
    smb2wire_begin(wire, WIRE2_CHANGE_NOTIFY);
    writer_le16(writer, 32);
    writer_le16(writer, flags);
    writer_le32(writer, length);
    smb2wire_put_file(wire, file);
    writer_le32(writer, filter);
    writer_le32(writer, 0);
}

bool smb2wire_info_data(const struct smb2wire_reply *reply, struct reader *data_r)
{
    struct reader reader = reply->body, whole = reader_of(reply->data, reply->length);
    uint32_t length;
    uint16_t offset;

    return reader_skip(&reader, 2) && reader_le16(&reader, &offset) && reader_le32(&reader, &length) &&
           reader_skip(&whole, offset) && reader_sub(&whole, length, data_r);
}
