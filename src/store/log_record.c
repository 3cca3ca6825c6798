/*
 * log_record.c - laying out, writing and reading the heads of log records. See log_record_priv.h.
 */
#include "store/log_record_priv.h"

#include "dittofs/cursor.h"
#include "dittofs/hash.h"
#include "dittofs/log.h"
#include <string.h>

enum { RECORD_MAGIC = 0x31474c44 /* "DLG1" */ };

/* Only writes are cut as the file is. */
static uint64_t cut_offset(const struct record *record)
{
    return record->type == RECORD_WRITE ? record->offset : 0;
}

static uint32_t count_checksums(uint64_t offset, uint32_t length)
{
    uint32_t count = 0;

    while (length > 0) {
        uint32_t part = record_part(offset, length);
        count += record_chunks(part);
        offset += part;
        length -= part;
    }
    return count;
}

void record_lay_out(struct record *record)
{
    uint32_t head;

    record->checksum_count = count_checksums(cut_offset(record), record->length);
    head = RECORD_HEADER_BYTES + record->checksum_count * 4;
    if (record->length >= RECORD_PAGED_FROM)
        head += (RECORD_PAGE - (record->place + head) % RECORD_PAGE) % RECORD_PAGE;
    record->head_length = head;
}

uint32_t record_total(const struct record *record)
{
    uint32_t total = record->head_length + record->length;

    return (total + RECORD_ALIGNMENT - 1) / RECORD_ALIGNMENT * RECORD_ALIGNMENT;
}

uint32_t record_checksums(uint64_t offset, const uint8_t *data, uint32_t length, uint32_t *checksums)
{
    uint32_t count = 0, done;

    while (length > 0) {
        uint32_t part = record_part(offset, length);

        for (done = 0; done < part; done += RECORD_CHUNK)
            checksums[count++] =
                crc32c(0, data + done, part - done < RECORD_CHUNK ? part - done : RECORD_CHUNK);
        offset += part;
        data += part;
        length -= part;
    }
    return count;
}

void record_encode(const struct record *record, const uint32_t *checksums, uint8_t *head)
{
    uint32_t used = RECORD_HEADER_BYTES + record->checksum_count * 4, i;
    struct writer writer;

    writer_init(&writer, head, record->head_length);
    writer_le32(&writer, RECORD_MAGIC);
    writer_le32(&writer, 0);
    writer_le32(&writer, record->segment);
    writer_le32(&writer, record->place);
    writer_le64(&writer, record->ino);
    writer_le64(&writer, record->offset);
    writer_le64(&writer, (uint64_t)record->mtime.seconds);
    writer_le32(&writer, record->mtime.nanoseconds);
    writer_le32(&writer, record->length);
    writer_le32(&writer, record->checksum_count);
    writer_le16(&writer, (uint16_t)(record->head_length - used));
    writer_u8(&writer, (uint8_t)record->type);
    writer_u8(&writer, (uint8_t)record->flags);
    writer_le64(&writer, record->argument);
    for (i = 0; i < record->checksum_count; i++)
        writer_le32(&writer, checksums[i]);
    writer_zeros(&writer, record->head_length - used);
    writer_patch_le32(&writer, 4, crc32c(record->key, head + 8, used - 8));
    invariant(!writer.failed && writer.length == record->head_length);
}

/* Do the numbers of a header go together? */
static bool is_sensible(const struct record *record, uint32_t magic, uint8_t type, uint16_t padding)
{
    struct record again = *record;

    if (magic != RECORD_MAGIC || type == 0 || type > RECORD_TYPE_LAST || record->length > RECORD_PAYLOAD_MOST)
        return false;
    if (record->mtime.nanoseconds > 999999999)
        return false;
    record_lay_out(&again);
    return again.checksum_count == record->checksum_count &&
           again.head_length == RECORD_HEADER_BYTES + record->checksum_count * 4 + padding;
}

bool record_peek(const uint8_t *head, uint32_t key, uint32_t segment, uint32_t place, struct record *record_r)
{
    struct reader reader = reader_of(head, RECORD_HEADER_BYTES);
    struct record record = {.key = key, .type = RECORD_END};
    uint32_t magic, crc;
    uint64_t seconds;
    uint16_t padding;
    uint8_t type, flags;

    if (!reader_le32(&reader, &magic) || !reader_le32(&reader, &crc) ||
        !reader_le32(&reader, &record.segment) || !reader_le32(&reader, &record.place) ||
        !reader_le64(&reader, &record.ino) || !reader_le64(&reader, &record.offset) ||
        !reader_le64(&reader, &seconds) || !reader_le32(&reader, &record.mtime.nanoseconds) ||
        !reader_le32(&reader, &record.length) || !reader_le32(&reader, &record.checksum_count) ||
        !reader_le16(&reader, &padding) || !reader_u8(&reader, &type) || !reader_u8(&reader, &flags) ||
        !reader_le64(&reader, &record.argument))
        return false;
    record.type = (enum record_type)type;
    record.flags = flags;
    record.mtime.seconds = (int64_t)seconds;
    if (!is_sensible(&record, magic, type, padding) || record.segment != segment || record.place != place)
        return false;
    record.head_length = RECORD_HEADER_BYTES + record.checksum_count * 4 + padding;
    *record_r = record;
    return true;
}

bool record_decode(const struct record *record, const uint8_t *head, uint32_t *checksums)
{
    uint32_t used = RECORD_HEADER_BYTES + record->checksum_count * 4, crc, i;
    struct reader reader = reader_of(head, used);

    if (!reader_skip(&reader, 4) || !reader_le32(&reader, &crc) ||
        crc != crc32c(record->key, head + 8, used - 8) || !reader_skip(&reader, RECORD_HEADER_BYTES - 8))
        return false;
    for (i = 0; i < record->checksum_count; i++)
        if (!reader_le32(&reader, &checksums[i]))
            return false;
    return true;
}

bool record_verify(const struct record *record, const uint32_t *checksums, const uint8_t *payload)
{
    uint32_t counted[RECORD_CHECKSUMS_MOST];

    record_checksums(cut_offset(record), payload, record->length, counted);
    return memcmp(counted, checksums, record->checksum_count * sizeof *checksums) == 0;
}
