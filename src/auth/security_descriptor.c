/*
 * security_descriptor.c - self-relative security descriptors (MS-DTYP 2.4.4, 2.4.5, 2.4.6).
 *
 * Invariants: every offset and size is checked against the bytes that are there before it is used; a count is
 * compared with the least room its members need before memory is taken for it.
 */
#include "dittofs/security_descriptor.h"
#include "dittofs/log.h"

#include <string.h>

enum { HEADER = 20, REVISION = 1, ACL_HEADER = 8, ACL_REVISION = 2, ACL_REVISION_DS = 4 };
enum { ACE_HEADER = 4, ACE_LEAST = ACE_HEADER + 4 + 8 };

bool sec_ace_is_object(uint8_t type)
{
    return type == SEC_ACE_ALLOWED_OBJECT || type == SEC_ACE_DENIED_OBJECT || type == SEC_ACE_AUDIT_OBJECT ||
           type == SEC_ACE_ALLOWED_CALLBACK_OBJECT || type == SEC_ACE_DENIED_CALLBACK_OBJECT ||
           type == SEC_ACE_AUDIT_CALLBACK_OBJECT;
}

static bool is_known(uint8_t type)
{
    return sec_ace_is_object(type) || type == SEC_ACE_ALLOWED || type == SEC_ACE_DENIED ||
           type == SEC_ACE_AUDIT || type == SEC_ACE_ALLOWED_CALLBACK || type == SEC_ACE_DENIED_CALLBACK ||
           type == SEC_ACE_AUDIT_CALLBACK || type == SEC_ACE_MANDATORY_LABEL ||
           type == SEC_ACE_RESOURCE_ATTRIBUTE || type == SEC_ACE_SCOPED_POLICY;
}

/* ---- decoding ---- */

static bool read_ace(struct reader *reader, struct sec_ace *ace)
{
    struct reader body;
    uint16_t size;

    if (!reader_u8(reader, &ace->type) || !reader_u8(reader, &ace->flags) || !reader_le16(reader, &size) ||
        size < ACE_HEADER || size % 4 != 0 || !reader_sub(reader, size - ACE_HEADER, &body) ||
        !is_known(ace->type) || !reader_le32(&body, &ace->mask))
        return false;
    if (sec_ace_is_object(ace->type)) {
        if (!reader_le32(&body, &ace->object_flags))
            return false;
        if ((ace->object_flags & SEC_ACE_HAS_OBJECT_TYPE) &&
            !reader_copy(&body, ace->object_type, SEC_GUID_SIZE))
            return false;
        if ((ace->object_flags & SEC_ACE_HAS_INHERITED_TYPE) &&
            !reader_copy(&body, ace->inherited_type, SEC_GUID_SIZE))
            return false;
    }
    if (!ident_sid_read(&body, &ace->sid))
        return false;
    if (!reader_is_done(&body)) {
        ace->data = body.at;
        ace->data_length = (uint16_t)body.left;
    }
    return true;
}

static enum err read_acl(struct arena *arena, struct reader reader, const struct sec_acl **acl_r)
{
    struct sec_acl *acl;
    struct reader body;
    uint8_t revision, zero;
    uint16_t size, count, zero2;

    if (!reader_u8(&reader, &revision) || !reader_u8(&reader, &zero) || !reader_le16(&reader, &size) ||
        !reader_le16(&reader, &count) || !reader_le16(&reader, &zero2) || size < ACL_HEADER ||
        !reader_sub(&reader, size - ACL_HEADER, &body))
        return ERR_INVAL;
    if ((revision != ACL_REVISION && revision != ACL_REVISION_DS) || count > body.left / ACE_LEAST)
        return ERR_INVAL;
    acl = arena_alloc(arena, sizeof *acl);
    if (acl == NULL)
        return ERR_NOMEM;
    acl->count = count;
    if (count > 0) {
        acl->aces = arena_alloc(arena, count * sizeof *acl->aces);
        if (acl->aces == NULL)
            return ERR_NOMEM;
    }
    for (uint16_t i = 0; i < count; i++)
        if (!read_ace(&body, &acl->aces[i]))
            return ERR_INVAL;
    *acl_r = acl;
    return ERR_OK;
}

/* What begins at OFFSET. Nothing lies within the header. */
static bool reader_at(const void *data, size_t length, uint32_t offset, struct reader *reader_r)
{
    *reader_r = reader_of(data, length);
    return offset >= HEADER && reader_skip(reader_r, offset);
}

static enum err read_sid_at(struct arena *arena, const void *data, size_t length, uint32_t offset,
                            const struct sid **sid_r)
{
    struct reader reader;
    struct sid sid, *copy;

    if (offset == 0)
        return ERR_OK;
    if (!reader_at(data, length, offset, &reader) || !ident_sid_read(&reader, &sid))
        return ERR_INVAL;
    copy = arena_copy(arena, &sid, sizeof sid);
    if (copy == NULL)
        return ERR_NOMEM;
    *sid_r = copy;
    return ERR_OK;
}

/* PRESENT is the bit of the control; without it the offset means nothing. */
static enum err read_acl_at(struct arena *arena, const void *data, size_t length, uint32_t offset,
                            bool present, const struct sec_acl **acl_r)
{
    struct reader reader;

    if (!present || offset == 0)
        return ERR_OK;
    if (!reader_at(data, length, offset, &reader))
        return ERR_INVAL;
    return read_acl(arena, reader, acl_r);
}

enum err sec_descriptor_read(struct arena *arena, const void *data, size_t length,
                             struct sec_descriptor *descriptor_r)
{
    struct reader reader = reader_of(data, length);
    struct sec_descriptor descriptor = {0};
    uint32_t owner, group, sacl, dacl;
    uint8_t revision, zero;
    enum err err;

    if (length > SEC_DESCRIPTOR_MAX || !reader_u8(&reader, &revision) || !reader_u8(&reader, &zero) ||
        !reader_le16(&reader, &descriptor.control) || !reader_le32(&reader, &owner) ||
        !reader_le32(&reader, &group) || !reader_le32(&reader, &sacl) || !reader_le32(&reader, &dacl) ||
        revision != REVISION || !(descriptor.control & SEC_SELF_RELATIVE))
        return ERR_INVAL;
    err = read_sid_at(arena, data, length, owner, &descriptor.owner);
    if (err == ERR_OK)
        err = read_sid_at(arena, data, length, group, &descriptor.group);
    if (err == ERR_OK)
        err = read_acl_at(arena, data, length, sacl, (descriptor.control & SEC_SACL_PRESENT) != 0,
                          &descriptor.sacl);
    if (err == ERR_OK)
        err = read_acl_at(arena, data, length, dacl, (descriptor.control & SEC_DACL_PRESENT) != 0,
                          &descriptor.dacl);
    if (err == ERR_OK)
        *descriptor_r = descriptor;
    return err;
}

/* ---- encoding ---- */

static size_t ace_size(const struct sec_ace *ace)
{
    size_t size = ACE_HEADER + 4 + ident_sid_size(&ace->sid) + ace->data_length;

    if (sec_ace_is_object(ace->type)) {
        size += 4;
        size += ace->object_flags & SEC_ACE_HAS_OBJECT_TYPE ? SEC_GUID_SIZE : 0;
        size += ace->object_flags & SEC_ACE_HAS_INHERITED_TYPE ? SEC_GUID_SIZE : 0;
    }
    return (size + 3) & ~(size_t)3;
}

static size_t acl_size(const struct sec_acl *acl)
{
    size_t size = ACL_HEADER;

    if (acl == NULL)
        return 0;
    for (uint16_t i = 0; i < acl->count; i++)
        size += ace_size(&acl->aces[i]);
    return size;
}

size_t sec_descriptor_size(const struct sec_descriptor *descriptor)
{
    size_t sacl = acl_size(descriptor->sacl), dacl = acl_size(descriptor->dacl);

    if (sacl > SEC_ACL_MAX || dacl > SEC_ACL_MAX)
        return 0;
    return HEADER + sacl + dacl + (descriptor->owner != NULL ? ident_sid_size(descriptor->owner) : 0) +
           (descriptor->group != NULL ? ident_sid_size(descriptor->group) : 0);
}

static void write_ace(struct writer *writer, const struct sec_ace *ace)
{
    size_t start = writer->length, size = ace_size(ace);

    writer_u8(writer, ace->type);
    writer_u8(writer, ace->flags);
    writer_le16(writer, (uint16_t)size);
    writer_le32(writer, ace->mask);
    if (sec_ace_is_object(ace->type)) {
        writer_le32(writer, ace->object_flags);
        if (ace->object_flags & SEC_ACE_HAS_OBJECT_TYPE)
            writer_bytes(writer, ace->object_type, SEC_GUID_SIZE);
        if (ace->object_flags & SEC_ACE_HAS_INHERITED_TYPE)
            writer_bytes(writer, ace->inherited_type, SEC_GUID_SIZE);
    }
    ident_sid_write(writer, &ace->sid);
    writer_bytes(writer, ace->data, ace->data_length);
    writer_zeros(writer, start + size - writer->length);
}

static void write_acl(struct writer *writer, const struct sec_acl *acl)
{
    uint8_t revision = ACL_REVISION;

    for (uint16_t i = 0; i < acl->count; i++)
        if (sec_ace_is_object(acl->aces[i].type))
            revision = ACL_REVISION_DS; /* MS-DTYP 2.4.5 */
    writer_u8(writer, revision);
    writer_u8(writer, 0);
    writer_le16(writer, (uint16_t)acl_size(acl));
    writer_le16(writer, acl->count);
    writer_le16(writer, 0);
    for (uint16_t i = 0; i < acl->count; i++)
        write_ace(writer, &acl->aces[i]);
}

enum err sec_descriptor_write(struct writer *writer, const struct sec_descriptor *descriptor)
{
    size_t start = writer->length, size = sec_descriptor_size(descriptor);
    uint32_t sacl = HEADER, dacl, owner, group;

    if (size == 0 || (descriptor->dacl != NULL && !(descriptor->control & SEC_DACL_PRESENT)) ||
        (descriptor->sacl != NULL && !(descriptor->control & SEC_SACL_PRESENT)))
        return ERR_INVAL;
    if (!writer_has_room(writer, size))
        return ERR_TOOSMALL;
    /* The order of Windows. */
    dacl = sacl + (uint32_t)acl_size(descriptor->sacl);
    owner = dacl + (uint32_t)acl_size(descriptor->dacl);
    group = owner + (uint32_t)(descriptor->owner != NULL ? ident_sid_size(descriptor->owner) : 0);
    writer_u8(writer, REVISION);
    writer_u8(writer, 0);
    writer_le16(writer, descriptor->control | SEC_SELF_RELATIVE);
    writer_le32(writer, descriptor->owner != NULL ? owner : 0);
    writer_le32(writer, descriptor->group != NULL ? group : 0);
    writer_le32(writer, descriptor->sacl != NULL ? sacl : 0);
    writer_le32(writer, descriptor->dacl != NULL ? dacl : 0);
    if (descriptor->sacl != NULL)
        write_acl(writer, descriptor->sacl);
    if (descriptor->dacl != NULL)
        write_acl(writer, descriptor->dacl);
    if (descriptor->owner != NULL)
        ident_sid_write(writer, descriptor->owner);
    if (descriptor->group != NULL)
        ident_sid_write(writer, descriptor->group);
    invariant(!writer->failed && writer->length == start + size);
    return ERR_OK;
}
