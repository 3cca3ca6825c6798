/*
 * smb2_create_contexts.c - the table of create contexts (MS-SMB2 2.2.13.2, 2.2.14.2), their reading and
 * writing.
 *
 * A context that is not in the table is passed over, as the specification has it. One that is there twice
 * is read twice: the last one counts.
 */
#include "smb/smb2_create_priv.h"

#include <string.h>

enum { CONTEXTS_MAX = 32, HEAD = 16, TAG_LEAST = 4 };

/* ---- contexts with a word or two ---- */

static uint32_t read_maximal(struct smb2_create *create, struct reader data)
{
    (void)data; /* MS-SMB2 2.2.13.2.5: a time, or nothing; access is told whatever changed since */
    create->wants_maximal = true;
    return STATUS_SUCCESS;
}

static bool answers_maximal(const struct smb2_create *create)
{
    return create->wants_maximal;
}

/* MS-SMB2 2.2.14.2.5 */
static void write_maximal(const struct smb2_create *create, struct writer *writer)
{
    writer_le32(writer, STATUS_SUCCESS);
    writer_le32(writer, create->maximal);
}

static uint32_t read_disk_id(struct smb2_create *create, struct reader data)
{
    (void)data;
    create->wants_disk_id = true;
    return STATUS_SUCCESS;
}

static bool answers_disk_id(const struct smb2_create *create)
{
    return create->wants_disk_id;
}

/* MS-SMB2 2.2.14.2.9 */
static void write_disk_id(const struct smb2_create *create, struct writer *writer)
{
    struct inode_attr attr;

    smb2__open_attr(create->request->open, &attr);
    writer_le64(writer, attr.ino);
    writer_le64(writer, create->request->tree->export_id);
    writer_zeros(writer, 16);
}

static uint32_t read_timewarp(struct smb2_create *create, struct reader data)
{
    (void)data;
    create->has_timewarp = true;
    return STATUS_SUCCESS;
}

static uint32_t read_ea(struct smb2_create *create, struct reader data)
{
    create->has_ea = true;
    create->ea = data;
    return STATUS_SUCCESS;
}

/* MS-SMB2 2.2.13.2.6 */
static uint32_t read_allocation(struct smb2_create *create, struct reader data)
{
    if (!reader_le64(&data, &create->allocation))
        return STATUS_INVALID_PARAMETER;
    create->has_allocation = true;
    return STATUS_SUCCESS;
}

/* MS-SMB2 2.2.13.2.2 */
static uint32_t read_security(struct smb2_create *create, struct reader data)
{
    create->has_security = true;
    create->security = data;
    return STATUS_SUCCESS;
}

/* MS-SMB2 2.2.13.2 */
#define APP_INSTANCE_ID      "\x45\xbc\xa6\x6a\xef\xa7\xf7\x4a\x90\x08\xfa\x46\x2e\x14\x4d\x74"
#define APP_INSTANCE_VERSION "\xb9\x82\xd0\xb7\x3b\x56\x07\x4f\xa0\x7b\x52\x4a\x81\x16\xa0\x10"

/* ---- the table, in the order of the reply ---- */

static const struct smb2_create_context_row rows[] = {
    {.tag = "RqLs",
     .tag_length = 4,
     .read = smb2__lease_read,
     .is_answered = smb2__lease_is_answered,
     .write = smb2__lease_write},
    {.tag = "MxAc",
     .tag_length = 4,
     .read = read_maximal,
     .is_answered = answers_maximal,
     .write = write_maximal},
    {.tag = "QFid",
     .tag_length = 4,
     .read = read_disk_id,
     .is_answered = answers_disk_id,
     .write = write_disk_id},
    {.tag = "TWrp", .tag_length = 4, .read = read_timewarp},
    {.tag = "AlSi", .tag_length = 4, .read = read_allocation},
    {.tag = "SecD", .tag_length = 4, .read = read_security},
    {.tag = "ExtA", .tag_length = 4, .read = read_ea},
    {.tag = "DHnQ",
     .tag_length = 4,
     .read = smb2__durable_read_v1,
     .is_answered = smb2__durable_is_answered_v1,
     .write = smb2__durable_write_v1},
    {.tag = "DH2Q",
     .tag_length = 4,
     .read = smb2__durable_read_v2,
     .is_answered = smb2__durable_is_answered_v2,
     .write = smb2__durable_write_v2},
    {.tag = "DHnC", .tag_length = 4, .read = smb2__durable_read_reconnect_v1},
    {.tag = "DH2C", .tag_length = 4, .read = smb2__durable_read_reconnect_v2},
    {.tag = "AAPL",
     .tag_length = 4,
     .read = smb2__apple_read,
     .is_answered = smb2__apple_is_answered,
     .write = smb2__apple_write},
    {.tag = APP_INSTANCE_ID, .tag_length = 16, .read = smb2__durable_read_app},
    {.tag = APP_INSTANCE_VERSION, .tag_length = 16, .read = smb2__durable_read_app_version},
};

enum { ROWS = sizeof rows / sizeof *rows };

/* ---- reading ---- */

static uint32_t read_one(struct smb2_create *create, struct reader tag, struct reader data)
{
    for (size_t i = 0; i < ROWS; i++) {
        if (tag.left == rows[i].tag_length && memcmp(tag.at, rows[i].tag, tag.left) == 0)
            return rows[i].read == NULL ? STATUS_SUCCESS : rows[i].read(create, data);
    }
    return STATUS_SUCCESS;
}

/* The context at the start of ALL: its parts, and the offset of the NEXT_R one. */
static bool cut_context(struct reader all, struct reader *tag_r, struct reader *data_r, uint32_t *next_r)
{
    struct reader reader = all;
    uint32_t next, data_length;
    uint16_t tag_offset, tag_length, reserved, data_offset;

    if (!reader_le32(&reader, &next) || !reader_le16(&reader, &tag_offset) ||
        !reader_le16(&reader, &tag_length) || !reader_le16(&reader, &reserved) ||
        !reader_le16(&reader, &data_offset) || !reader_le32(&reader, &data_length))
        return false;
    if (next % 8 != 0 || next > all.left || (next != 0 && next < HEAD))
        return false;
    if (next != 0)
        all.left = next;
    reader = all;
    if (!reader_skip(&reader, tag_offset) || !reader_sub(&reader, tag_length, tag_r))
        return false;
    reader = all;
    *next_r = next;
    return reader_skip(&reader, data_offset) && reader_sub(&reader, data_length, data_r);
}

uint32_t smb2__create_contexts_read(struct smb2_create *create)
{
    struct reader all = create->contexts, tag, data;
    uint32_t next, status;

    for (unsigned count = 0; all.left > 0; count++) {
        if (count == CONTEXTS_MAX || !cut_context(all, &tag, &data, &next))
            return STATUS_INVALID_PARAMETER;
        if (tag.left < TAG_LEAST)
            return STATUS_INVALID_PARAMETER;
        status = read_one(create, tag, data);
        if (status != STATUS_SUCCESS || next == 0)
            return status;
        if (!reader_skip(&all, next))
            return STATUS_INVALID_PARAMETER;
    }
    return STATUS_SUCCESS;
}

/* ---- writing ---- */

static void align(struct smb2_request *request)
{
    struct writer *writer = smb2_reply(request);

    while (smb2_reply_offset(request) % 8 != 0 && !writer->failed)
        writer_u8(writer, 0);
}

static void write_one(const struct smb2_create *create, const struct smb2_create_context_row *row)
{
    struct writer *writer = smb2_reply(create->request);
    size_t at = writer->length, data_at;

    writer_le32(writer, 0);
    writer_le16(writer, HEAD);
    writer_le16(writer, (uint16_t)row->tag_length);
    writer_le16(writer, 0);
    writer_le16(writer, 0);
    writer_le32(writer, 0);
    writer_bytes(writer, row->tag, row->tag_length);
    align(create->request);
    data_at = writer->length;
    row->write(create, writer);
    if (writer->failed)
        return;
    if (writer->length > data_at)
        writer_patch_le16(writer, at + 10, (uint16_t)(data_at - at));
    writer_patch_le32(writer, at + 12, (uint32_t)(writer->length - data_at));
}

void smb2__create_contexts_write(const struct smb2_create *create, size_t body_at)
{
    struct smb2_request *request = create->request;
    struct writer *writer = smb2_reply(request);
    size_t start = 0, last = 0;

    for (size_t i = 0; i < ROWS && !writer->failed; i++) {
        if (rows[i].is_answered == NULL || !rows[i].is_answered(create))
            continue;
        align(request);
        if (start == 0)
            start = writer->length;
        else if (!writer->failed)
            writer_patch_le32(writer, last, (uint32_t)(writer->length - last));
        last = writer->length;
        write_one(create, &rows[i]);
    }
    if (start == 0 || writer->failed)
        return;
    writer_patch_le32(writer, body_at + 80, (uint32_t)(start - request->reply_at));
    writer_patch_le32(writer, body_at + 84, (uint32_t)(writer->length - start));
}
