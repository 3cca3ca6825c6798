/*
 * smb2client_files.c - the commands on files: their bodies, and what their answers say (MS-SMB2 2.2.13 on).
 */
#include "smb2client.h"

#include "dittofs/utf16.h"

#include <stdlib.h>
#include <string.h>

enum {
    BODY_MAX = 16 << 20,
    CLASS_RENAME = 10,
    CLASS_DISPOSITION = 13,
    CLASS_END_OF_FILE = 20,
    OF_FILE = 1,
    IMPERSONATION = 2
};

static uint32_t call_and_free(struct smb2client *client, uint16_t command, struct writer *body)
{
    uint32_t status = smb2client_call(client, command, body);

    writer_free(body);
    return status;
}

static void put_text(struct writer *body, const char *text)
{
    if (!utf16_from_utf8(body, text, strlen(text)))
        abort();
}

/* ---- CREATE ---- */

static void put_create_context(struct writer *body, const struct smb2c_context *context)
{
    size_t at = body->length;

    writer_le32(body, 0);
    writer_le16(body, 16);
    writer_le16(body, 4);
    writer_le16(body, 0);
    writer_le16(body, context->length > 0 ? 24 : 0);
    writer_le32(body, (uint32_t)context->length);
    writer_bytes(body, context->tag, 4);
    writer_le32(body, 0);
    writer_bytes(body, context->data, context->length);
    if (context[1].tag != NULL) {
        writer_align(body, 8);
        writer_patch_le32(body, at, (uint32_t)(body->length - at));
    }
}

void smb2client_put_create(struct writer *body, const struct smb2c_create *create)
{
    size_t contexts_at;

    writer_le16(body, 57);
    writer_u8(body, 0);
    writer_u8(body, create->oplock);
    writer_le32(body, IMPERSONATION);
    writer_zeros(body, 16);
    writer_le32(body, create->access != 0 ? create->access : SMB2C_READ_WRITE);
    writer_le32(body, create->attributes);
    writer_le32(body, create->share);
    writer_le32(body, create->disposition);
    writer_le32(body, create->options);
    writer_le16(body, SMB2_HEADER_SIZE + 56);
    writer_le16(body, 0);
    writer_zeros(body, 8);
    put_text(body, create->name);
    writer_patch_le16(body, 46, (uint16_t)(body->length - 56));
    /* A name of no characters still has a byte of buffer. */
    if (body->length == 56)
        writer_zeros(body, 8);
    if (create->contexts == NULL || create->contexts[0].tag == NULL)
        return;
    writer_align(body, 8);
    contexts_at = body->length;
    for (const struct smb2c_context *context = create->contexts; context->tag != NULL; context++)
        put_create_context(body, context);
    writer_patch_le32(body, 48, (uint32_t)(SMB2_HEADER_SIZE + contexts_at));
    writer_patch_le32(body, 52, (uint32_t)(body->length - contexts_at));
}

uint64_t smb2client_send_create(struct smb2client *client, const struct smb2c_create *create)
{
    struct writer body;
    uint64_t id;

    writer_init_growing(&body, BODY_MAX);
    smb2client_put_create(&body, create);
    id = smb2client_send(client, SMB2C_CREATE, &body);
    writer_free(&body);
    return id;
}

bool smb2client_read_create(const struct smb2client *client, struct smb2c_opened *opened_r)
{
    struct reader body = smb2client_body(client);
    struct smb2c_opened opened;

    if (!reader_skip(&body, 2) || !reader_u8(&body, &opened.oplock) || !reader_skip(&body, 1) ||
        !reader_le32(&body, &opened.action) || !reader_skip(&body, 32) ||
        !reader_le64(&body, &opened.allocation) || !reader_le64(&body, &opened.size) ||
        !reader_le32(&body, &opened.attributes) || !reader_skip(&body, 4) ||
        !reader_copy(&body, opened.file, sizeof opened.file))
        return false;
    *opened_r = opened;
    return true;
}

uint32_t smb2client_create(struct smb2client *client, const struct smb2c_create *create,
                           struct smb2c_opened *opened_r)
{
    uint32_t status = smb2client_wait(client, smb2client_send_create(client, create));

    if (status == STATUS_SUCCESS && !smb2client_read_create(client, opened_r))
        return SMB2C_BROKEN;
    return status;
}

bool smb2client_context(const struct smb2client *client, const char *tag, struct reader *data_r)
{
    struct reader body = smb2client_body(client);
    uint32_t offset, length, next;

    if (!reader_skip(&body, 80) || !reader_le32(&body, &offset) || !reader_le32(&body, &length))
        return false;
    while (length > 0) {
        struct reader all, reader;
        uint16_t name_offset, name_length, data_offset;
        uint32_t data_length;
        const uint8_t *name;

        if (!smb2client_part(client, offset, length, &all))
            return false;
        reader = all;
        if (!reader_le32(&reader, &next) || !reader_le16(&reader, &name_offset) ||
            !reader_le16(&reader, &name_length) || !reader_skip(&reader, 2) ||
            !reader_le16(&reader, &data_offset) || !reader_le32(&reader, &data_length))
            return false;
        reader = all;
        if (!reader_skip(&reader, name_offset) || !reader_bytes(&reader, name_length, &name))
            return false;
        if (name_length == 4 && memcmp(name, tag, 4) == 0)
            return reader_skip(&all, data_offset) && reader_sub(&all, data_length, data_r);
        if (next == 0 || next > length)
            return false;
        offset += next;
        length -= next;
    }
    return false;
}

size_t smb2client_lease(uint8_t *data, const uint8_t key[16], uint32_t state, bool v2, const uint8_t *parent,
                        uint16_t epoch)
{
    struct writer writer;

    writer_init(&writer, data, SMB2C_LEASE_V2_SIZE);
    writer_bytes(&writer, key, 16);
    writer_le32(&writer, state);
    writer_le32(&writer, v2 && parent != NULL ? 4 : 0);
    writer_le64(&writer, 0);
    if (v2) {
        if (parent != NULL)
            writer_bytes(&writer, parent, 16);
        else
            writer_zeros(&writer, 16);
        writer_le16(&writer, epoch);
        writer_le16(&writer, 0);
    }
    return writer.length;
}

bool smb2client_lease_granted(const struct smb2client *client, uint8_t key_r[16], uint32_t *state_r,
                              uint16_t *epoch_r)
{
    struct reader data;

    *epoch_r = 0;
    if (!smb2client_context(client, "RqLs", &data) || !reader_copy(&data, key_r, 16) ||
        !reader_le32(&data, state_r))
        return false;
    return data.left < SMB2C_LEASE_V2_SIZE - 20 || (reader_skip(&data, 28) && reader_le16(&data, epoch_r));
}

/* ---- data ---- */

uint32_t smb2client_close_file(struct smb2client *client, const uint8_t *file)
{
    struct writer body;

    writer_init_growing(&body, BODY_MAX);
    writer_le16(&body, 24);
    writer_zeros(&body, 6);
    writer_bytes(&body, file, SMB2C_FILE_ID);
    return call_and_free(client, SMB2C_CLOSE, &body);
}

uint32_t smb2client_flush(struct smb2client *client, const uint8_t *file)
{
    struct writer body;

    writer_init_growing(&body, BODY_MAX);
    writer_le16(&body, 24);
    writer_zeros(&body, 6);
    writer_bytes(&body, file, SMB2C_FILE_ID);
    return call_and_free(client, SMB2C_FLUSH, &body);
}

uint32_t smb2client_read(struct smb2client *client, const uint8_t *file, uint64_t offset, uint32_t length,
                         struct reader *data_r)
{
    struct writer body;
    struct reader reader;
    uint32_t status, got;
    uint8_t at;

    writer_init_growing(&body, BODY_MAX);
    writer_le16(&body, 49);
    writer_le16(&body, 0);
    writer_le32(&body, length);
    writer_le64(&body, offset);
    writer_bytes(&body, file, SMB2C_FILE_ID);
    writer_zeros(&body, 17);
    status = call_and_free(client, SMB2C_READ, &body);
    if (status != STATUS_SUCCESS)
        return status;
    reader = smb2client_body(client);
    if (!reader_skip(&reader, 2) || !reader_u8(&reader, &at) || !reader_skip(&reader, 1) ||
        !reader_le32(&reader, &got) || got > length || !smb2client_part(client, at, got, data_r))
        return SMB2C_BROKEN;
    return status;
}

uint32_t smb2client_write(struct smb2client *client, const uint8_t *file, uint64_t offset, const void *data,
                          uint32_t length)
{
    struct writer body;
    struct reader reader;
    uint32_t status, count;

    writer_init_growing(&body, BODY_MAX);
    writer_le16(&body, 49);
    writer_le16(&body, SMB2_HEADER_SIZE + 48);
    writer_le32(&body, length);
    writer_le64(&body, offset);
    writer_bytes(&body, file, SMB2C_FILE_ID);
    writer_zeros(&body, 16);
    if (length > 0)
        writer_bytes(&body, data, length);
    else
        writer_u8(&body, 0);
    status = call_and_free(client, SMB2C_WRITE, &body);
    if (status != STATUS_SUCCESS)
        return status;
    reader = smb2client_body(client);
    return reader_skip(&reader, 4) && reader_le32(&reader, &count) && count == length ? status : SMB2C_BROKEN;
}

/* ---- ranges ---- */

static uint64_t send_ranges(struct smb2client *client, const uint8_t *file, const struct smb2c_range *ranges,
                            size_t count)
{
    struct writer body;
    uint64_t id;

    writer_init_growing(&body, BODY_MAX);
    writer_le16(&body, 48);
    writer_le16(&body, (uint16_t)count);
    writer_le32(&body, 0);
    writer_bytes(&body, file, SMB2C_FILE_ID);
    for (size_t i = 0; i < count; i++) {
        writer_le64(&body, ranges[i].offset);
        writer_le64(&body, ranges[i].length);
        writer_le32(&body, ranges[i].flags);
        writer_le32(&body, 0);
    }
    id = smb2client_send(client, SMB2C_LOCK, &body);
    writer_free(&body);
    return id;
}

uint32_t smb2client_lock(struct smb2client *client, const uint8_t *file, const struct smb2c_range *ranges,
                         size_t count)
{
    return smb2client_wait(client, send_ranges(client, file, ranges, count));
}

uint64_t smb2client_send_lock(struct smb2client *client, const uint8_t *file, uint64_t offset,
                              uint64_t length, uint32_t flags)
{
    struct smb2c_range range = {.offset = offset, .length = length, .flags = flags};

    return send_ranges(client, file, &range, 1);
}

/* ---- information ---- */

uint32_t smb2client_query_info(struct smb2client *client, const uint8_t *file, uint8_t type, uint8_t class,
                               uint32_t additional, uint32_t most, struct reader *data_r)
{
    struct writer body;
    struct reader reader;
    uint32_t status, length;
    uint16_t offset;

    writer_init_growing(&body, BODY_MAX);
    writer_le16(&body, 41);
    writer_u8(&body, type);
    writer_u8(&body, class);
    writer_le32(&body, most);
    writer_zeros(&body, 8);
    writer_le32(&body, additional);
    writer_le32(&body, 0);
    writer_bytes(&body, file, SMB2C_FILE_ID);
    status = call_and_free(client, SMB2C_QUERY_INFO, &body);
    if (status != STATUS_SUCCESS && status != STATUS_BUFFER_OVERFLOW)
        return status;
    reader = smb2client_body(client);
    if (!reader_skip(&reader, 2) || !reader_le16(&reader, &offset) || !reader_le32(&reader, &length) ||
        length > most || !smb2client_part(client, offset, length, data_r))
        return SMB2C_BROKEN;
    return status;
}

uint32_t smb2client_set_info(struct smb2client *client, const uint8_t *file, uint8_t type, uint8_t class,
                             uint32_t additional, const void *data, uint32_t length)
{
    struct writer body;

    writer_init_growing(&body, BODY_MAX);
    writer_le16(&body, 33);
    writer_u8(&body, type);
    writer_u8(&body, class);
    writer_le32(&body, length);
    writer_le16(&body, SMB2_HEADER_SIZE + 32);
    writer_le16(&body, 0);
    writer_le32(&body, additional);
    writer_bytes(&body, file, SMB2C_FILE_ID);
    writer_bytes(&body, data, length);
    return call_and_free(client, SMB2C_SET_INFO, &body);
}

uint32_t smb2client_truncate(struct smb2client *client, const uint8_t *file, uint64_t size)
{
    uint8_t data[8];
    struct writer writer;

    writer_init(&writer, data, sizeof data);
    writer_le64(&writer, size);
    return smb2client_set_info(client, file, OF_FILE, CLASS_END_OF_FILE, 0, data, sizeof data);
}

uint32_t smb2client_rename(struct smb2client *client, const uint8_t *file, const char *to, bool replace)
{
    uint8_t data[2048];
    struct writer writer;

    writer_init(&writer, data, sizeof data);
    writer_u8(&writer, replace);
    writer_zeros(&writer, 15);
    writer_le32(&writer, 0);
    put_text(&writer, to);
    writer_patch_le32(&writer, 16, (uint32_t)(writer.length - 20));
    /* MS-FSCC 2.4.42.2: at least 24 bytes */
    while (writer.length < 24)
        writer_u8(&writer, 0);
    return smb2client_set_info(client, file, OF_FILE, CLASS_RENAME, 0, data, (uint32_t)writer.length);
}

uint32_t smb2client_delete(struct smb2client *client, const uint8_t *file, bool wanted)
{
    uint8_t data = wanted;

    return smb2client_set_info(client, file, OF_FILE, CLASS_DISPOSITION, 0, &data, 1);
}

uint32_t smb2client_query_directory(struct smb2client *client, const uint8_t *file, uint8_t class,
                                    uint8_t flags, const char *pattern, uint32_t most, struct reader *data_r)
{
    struct writer body;
    struct reader reader;
    uint32_t status, length;
    uint16_t offset;

    writer_init_growing(&body, BODY_MAX);
    writer_le16(&body, 33);
    writer_u8(&body, class);
    writer_u8(&body, flags);
    writer_le32(&body, 0);
    writer_bytes(&body, file, SMB2C_FILE_ID);
    writer_le16(&body, SMB2_HEADER_SIZE + 32);
    writer_le16(&body, 0);
    writer_le32(&body, most);
    put_text(&body, pattern);
    writer_patch_le16(&body, 26, (uint16_t)(body.length - 32));
    status = call_and_free(client, SMB2C_QUERY_DIRECTORY, &body);
    if (status != STATUS_SUCCESS)
        return status;
    reader = smb2client_body(client);
    if (!reader_skip(&reader, 2) || !reader_le16(&reader, &offset) || !reader_le32(&reader, &length) ||
        length > most || !smb2client_part(client, offset, length, data_r))
        return SMB2C_BROKEN;
    return status;
}

uint32_t smb2client_ioctl(struct smb2client *client, const uint8_t *file, uint32_t code, const void *input,
                          uint32_t length, uint32_t most, struct reader *output_r)
{
    struct writer body;
    struct reader reader;
    uint32_t status, offset, got;

    writer_init_growing(&body, BODY_MAX);
    writer_le16(&body, 57);
    writer_le16(&body, 0);
    writer_le32(&body, code);
    writer_bytes(&body, file, SMB2C_FILE_ID);
    writer_le32(&body, SMB2_HEADER_SIZE + 56);
    writer_le32(&body, length);
    writer_zeros(&body, 12);
    writer_le32(&body, most);
    writer_le32(&body, 1); /* a file system control */
    writer_le32(&body, 0);
    if (length > 0)
        writer_bytes(&body, input, length);
    status = call_and_free(client, SMB2C_IOCTL, &body);
    if (status != STATUS_SUCCESS && status != STATUS_BUFFER_OVERFLOW)
        return status;
    reader = smb2client_body(client);
    if (!reader_skip(&reader, 32) || !reader_le32(&reader, &offset) || !reader_le32(&reader, &got))
        return SMB2C_BROKEN;
    *output_r = reader_of(NULL, 0);
    return got == 0 || smb2client_part(client, offset, got, output_r) ? status : SMB2C_BROKEN;
}

uint64_t smb2client_send_notify(struct smb2client *client, const uint8_t *file, uint32_t filter, bool tree,
                                uint32_t most)
{
    struct writer body;
    uint64_t id;

    writer_init_growing(&body, BODY_MAX);
    writer_le16(&body, 32);
    writer_le16(&body, tree ? 1 : 0);
    writer_le32(&body, most);
    writer_bytes(&body, file, SMB2C_FILE_ID);
    writer_le32(&body, filter);
    writer_le32(&body, 0);
    id = smb2client_send(client, SMB2C_CHANGE_NOTIFY, &body);
    writer_free(&body);
    return id;
}

/* ---- answers to breaks ---- */

uint32_t smb2client_acknowledge_oplock(struct smb2client *client, const uint8_t *file, uint8_t level)
{
    struct writer body;

    writer_init_growing(&body, BODY_MAX);
    writer_le16(&body, 24);
    writer_u8(&body, level);
    writer_zeros(&body, 5);
    writer_bytes(&body, file, SMB2C_FILE_ID);
    return call_and_free(client, SMB2C_OPLOCK_BREAK, &body);
}

uint32_t smb2client_acknowledge_lease(struct smb2client *client, const uint8_t key[16], uint32_t state)
{
    struct writer body;

    writer_init_growing(&body, BODY_MAX);
    writer_le16(&body, 36);
    writer_zeros(&body, 6);
    writer_bytes(&body, key, 16);
    writer_le32(&body, state);
    writer_le64(&body, 0);
    return call_and_free(client, SMB2C_OPLOCK_BREAK, &body);
}
