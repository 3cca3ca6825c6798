/*
 * ntlm_message.c - decoding and encoding of NTLM's messages (MS-NLMP 2.2.1).
 */
#include "auth/ntlm_message_priv.h"

#include <string.h>

enum { HEADER_NEGOTIATE = 32, HEADER_CHALLENGE = 48, HEADER_AUTHENTICATE = 64 };
enum { VERSION_SIZE = 8, RESPONSE_TYPE = 1, FIELDS = 6 /* of AUTHENTICATE */ };

const uint8_t ntlm__magic[8] = {'N', 'T', 'L', 'M', 'S', 'S', 'P', 0};

bool ntlm__is_message(const void *data, size_t length)
{
    return length >= sizeof ntlm__magic && memcmp(data, ntlm__magic, sizeof ntlm__magic) == 0;
}

/* The beginning of a message of that type. */
static bool read_head(struct reader *reader, uint32_t type)
{
    const uint8_t *magic;
    uint32_t found;

    return reader_bytes(reader, sizeof ntlm__magic, &magic) &&
           memcmp(magic, ntlm__magic, sizeof ntlm__magic) == 0 && reader_le32(reader, &found) &&
           found == type;
}

/* A field's length, maximum and offset; its bytes must lie in the message behind HEADER bytes. An empty
 * field's offset means nothing (MS-NLMP 2.2.1.1: clients set anything). LOWEST is lowered to the offset. */
static bool read_field(struct reader *reader, const uint8_t *data, size_t length, size_t header,
                       struct ntlm__field *field_r, size_t *lowest)
{
    uint16_t size, most;
    uint32_t offset;
    struct reader whole = reader_of(data, length);

    if (!reader_le16(reader, &size) || !reader_le16(reader, &most) || !reader_le32(reader, &offset))
        return false;
    *field_r = (struct ntlm__field){.data = data, .length = size};
    if (size == 0)
        return true;
    if (offset < header || !reader_skip(&whole, offset) || !reader_bytes(&whole, size, &field_r->data))
        return false;
    if (offset < *lowest)
        *lowest = offset;
    return true;
}

bool ntlm__negotiate_read(const void *data, size_t length, struct ntlm__negotiate *message_r)
{
    struct reader reader = reader_of(data, length);
    struct ntlm__negotiate message;
    struct ntlm__field domain, workstation;
    size_t lowest = length;

    if (length > NTLM__MESSAGE_MAX || !read_head(&reader, NTLM__MESSAGE_NEGOTIATE) ||
        !reader_le32(&reader, &message.flags) ||
        !read_field(&reader, data, length, HEADER_NEGOTIATE, &domain, &lowest) ||
        !read_field(&reader, data, length, HEADER_NEGOTIATE, &workstation, &lowest))
        return false;
    if ((message.flags & NTLM__NEGOTIATE_VERSION) && !reader_skip(&reader, VERSION_SIZE))
        return false;
    *message_r = message;
    return true;
}

bool ntlm__challenge_read(const void *data, size_t length, struct ntlm__challenge *message_r)
{
    struct reader reader = reader_of(data, length);
    struct ntlm__challenge message;
    size_t lowest = length, pairs;

    if (length > NTLM__MESSAGE_MAX || !read_head(&reader, NTLM__MESSAGE_CHALLENGE) ||
        !read_field(&reader, data, length, HEADER_CHALLENGE, &message.target_name, &lowest) ||
        !reader_le32(&reader, &message.flags) ||
        !reader_copy(&reader, message.server_challenge, NTLM__CHALLENGE_SIZE) || !reader_skip(&reader, 8) ||
        !read_field(&reader, data, length, HEADER_CHALLENGE, &message.target_info, &lowest))
        return false;
    if ((message.flags & NTLM__NEGOTIATE_VERSION) && !reader_skip(&reader, VERSION_SIZE))
        return false;
    if ((message.flags & NTLM__NEGOTIATE_TARGET_INFO) && !ntlm__av_check(message.target_info, &pairs))
        return false;
    *message_r = message;
    return true;
}

bool ntlm__authenticate_read(const void *data, size_t length, struct ntlm__authenticate *message_r)
{
    struct reader reader = reader_of(data, length);
    struct ntlm__authenticate message;
    struct ntlm__field *const fields[FIELDS] = {&message.lm_response, &message.nt_response,
                                                &message.domain,      &message.user,
                                                &message.workstation, &message.session_key};
    size_t lowest = length;

    if (length > NTLM__MESSAGE_MAX || !read_head(&reader, NTLM__MESSAGE_AUTHENTICATE))
        return false;
    for (size_t i = 0; i < FIELDS; i++)
        if (!read_field(&reader, data, length, HEADER_AUTHENTICATE, fields[i], &lowest))
            return false;
    if (!reader_le32(&reader, &message.flags))
        return false;
    if ((message.flags & NTLM__NEGOTIATE_UNICODE) &&
        (message.domain.length % 2 != 0 || message.user.length % 2 != 0 ||
         message.workstation.length % 2 != 0))
        return false;
    /* Version and MIC are there or not; nothing in the header says so. */
    message.has_mic_room = lowest >= NTLM__MIC_OFFSET + NTLM__MIC_SIZE;
    *message_r = message;
    return true;
}

/* ---- target information ---- */

bool ntlm__av_check(struct ntlm__field pairs, size_t *length_r)
{
    struct reader reader = reader_of(pairs.data, pairs.length);
    uint16_t id, length;

    for (int i = 0; i < NTLM__AV_PAIRS_MAX; i++) {
        if (!reader_le16(&reader, &id) || !reader_le16(&reader, &length) || !reader_skip(&reader, length))
            return false;
        if (id != NTLM__AV_EOL)
            continue;
        *length_r = pairs.length - reader.left;
        return length == 0;
    }
    return false;
}

bool ntlm__av_find(struct ntlm__field pairs, uint16_t id, struct ntlm__field *value_r)
{
    struct reader reader = reader_of(pairs.data, pairs.length);
    struct ntlm__field value;
    uint16_t found, length;

    while (reader_le16(&reader, &found) && reader_le16(&reader, &length) &&
           reader_bytes(&reader, length, &value.data) && found != NTLM__AV_EOL) {
        value.length = length;
        if (found == id) {
            *value_r = value;
            return true;
        }
    }
    return false;
}

void ntlm__av_write(struct writer *writer, uint16_t id, const void *data, size_t length)
{
    writer_le16(writer, id);
    writer_le16(writer, (uint16_t)length);
    writer_bytes(writer, data, length);
}

bool ntlm__blob_read(struct ntlm__field response, struct ntlm__blob *blob_r)
{
    struct reader reader = reader_of(response.data, response.length), value;
    struct ntlm__blob blob = {0};
    struct ntlm__field flags;
    uint8_t type, highest;
    size_t length;

    if (!reader_skip(&reader, NTLM__PROOF_SIZE) || !reader_u8(&reader, &type) ||
        !reader_u8(&reader, &highest) || type != RESPONSE_TYPE || highest != RESPONSE_TYPE ||
        !reader_skip(&reader, 6) || !reader_le64(&reader, &blob.timestamp) ||
        !reader_copy(&reader, blob.client_challenge, NTLM__CHALLENGE_SIZE) || !reader_skip(&reader, 4))
        return false;
    blob.av_pairs = (struct ntlm__field){reader.at, reader.left};
    if (!ntlm__av_check(blob.av_pairs, &length))
        return false;
    blob.av_pairs.length = length;
    if (ntlm__av_find(blob.av_pairs, NTLM__AV_FLAGS, &flags)) {
        value = reader_of(flags.data, flags.length);
        if (!reader_le32(&value, &blob.av_flags) || !reader_is_done(&value))
            return false;
    }
    *blob_r = blob;
    return true;
}

/* ---- encoding ---- */

void ntlm__challenge_write(struct writer *writer, const struct ntlm__challenge *message)
{
    /* MS-NLMP 2.2.2.10: what version of Windows we are like matters to nobody, the revision is 15. */
    static const uint8_t version[VERSION_SIZE] = {6, 1, 0, 0, 0, 0, 0, 15};
    uint32_t offset = HEADER_CHALLENGE + VERSION_SIZE;

    writer_bytes(writer, ntlm__magic, sizeof ntlm__magic);
    writer_le32(writer, NTLM__MESSAGE_CHALLENGE);
    writer_le16(writer, (uint16_t)message->target_name.length);
    writer_le16(writer, (uint16_t)message->target_name.length);
    writer_le32(writer, offset);
    writer_le32(writer, message->flags);
    writer_bytes(writer, message->server_challenge, NTLM__CHALLENGE_SIZE);
    writer_zeros(writer, 8);
    writer_le16(writer, (uint16_t)message->target_info.length);
    writer_le16(writer, (uint16_t)message->target_info.length);
    writer_le32(writer, offset + (uint32_t)message->target_name.length);
    if (message->flags & NTLM__NEGOTIATE_VERSION)
        writer_bytes(writer, version, sizeof version);
    else
        writer_zeros(writer, sizeof version);
    writer_bytes(writer, message->target_name.data, message->target_name.length);
    writer_bytes(writer, message->target_info.data, message->target_info.length);
}
