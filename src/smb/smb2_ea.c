/*
 * smb2_ea.c - extended attributes: FILE_FULL_EA_INFORMATION (MS-FSCC 2.4.15) over the attributes that NFSv4.2
 * sees as those of its namespace "user.".
 *
 * SMB's names are ASCII and compared without case, those of NFS any bytes: an attribute whose name SMB can't
 * say is not shown. An empty value takes the attribute away, as on Windows.
 */
#include "smb/smb2_file_priv.h"

#include <string.h>
#include <strings.h>

enum { EA_FIXED = 8, EA_LIST_MAX = 65535, EAS_MAX = 1024, FLAG_NEED_EA = 0x80 };

/* MS-FSCC 2.4.15: no control characters, none of these */
static bool is_valid_name(struct store_name name)
{
    for (size_t i = 0; i < name.length; i++)
        if (name.bytes[i] < 0x20 || name.bytes[i] > 0x7e ||
            strchr("\"*+,/:;<=>?[\\]|", name.bytes[i]) != NULL)
            return false;
    return name.length > 0 && name.length <= STORE_XATTR_NAME_MAX;
}

/* Names that come from NFS may have any ASCII in them: those can be shown, if not made. */
static bool is_shown(struct store_name name)
{
    for (size_t i = 0; i < name.length; i++)
        if (name.bytes[i] < 0x20 || name.bytes[i] > 0x7e)
            return false;
    return name.length > 0 && name.length < STORE_XATTR_NAME_MAX;
}

static bool same_name(struct store_name a, struct store_name b)
{
    return a.length == b.length && strncasecmp((const char *)a.bytes, (const char *)b.bytes, a.length) == 0;
}

/* ---- finding ---- */

struct finding {
    struct store_name wanted;
    uint8_t name[STORE_XATTR_NAME_MAX];
    size_t length; /* 0: none */
};

static bool find_one(void *data, struct store_name name, size_t value_length)
{
    struct finding *finding = data;

    (void)value_length;
    if (!same_name(name, finding->wanted) || name.length > sizeof finding->name)
        return true;
    memcpy(finding->name, name.bytes, name.length);
    finding->length = name.length;
    return false;
}

/* The name under which it is stored; WANTED when it is not there. */
static enum err stored_name(struct vfs_context *context, struct inode *inode, struct finding *finding,
                            struct store_name *name_r)
{
    const struct store_name start = {.bytes = (const uint8_t *)"", .length = 0};
    enum err err = vfs_xattr_list(context, inode, start, find_one, finding);

    *name_r = finding->wanted;
    if (err == ERR_OK && finding->length > 0)
        *name_r = (struct store_name){.bytes = finding->name, .length = finding->length};
    return err;
}

/* ---- setting ---- */

struct ea {
    struct store_name name;
    const uint8_t *value;
    uint16_t value_length;
};

/* The next of a list: STATUS_NO_MORE_EAS at its end. */
static uint32_t next_ea(struct reader *list, struct ea *ea)
{
    struct reader reader = *list;
    uint32_t next;
    uint8_t flags, name_length, zero;

    if (list->left == 0)
        return STATUS_NO_MORE_EAS;
    if (!reader_le32(&reader, &next) || !reader_u8(&reader, &flags) || !reader_u8(&reader, &name_length) ||
        !reader_le16(&reader, &ea->value_length) || !reader_bytes(&reader, name_length, &ea->name.bytes) ||
        !reader_u8(&reader, &zero) || !reader_bytes(&reader, ea->value_length, &ea->value))
        return STATUS_EA_LIST_INCONSISTENT;
    ea->name.length = name_length;
    if (next == 0) {
        list->left = 0;
    } else if (next % 4 != 0 || next < EA_FIXED + (size_t)name_length + 1 + ea->value_length ||
               !reader_skip(list, next)) {
        return STATUS_EA_LIST_INCONSISTENT;
    }
    if (zero != 0 || !is_valid_name(ea->name))
        return STATUS_INVALID_EA_NAME;
    return flags != 0 && flags != FLAG_NEED_EA ? STATUS_INVALID_EA_NAME : STATUS_SUCCESS;
}

static uint32_t set_one(struct vfs_context *context, struct inode *inode, const struct ea *ea)
{
    struct finding finding = {.wanted = ea->name};
    struct store_name name;
    enum err err = stored_name(context, inode, &finding, &name);

    if (err == ERR_OK && ea->value_length > 0)
        err = vfs_xattr_set(context, inode, name, ea->value, ea->value_length, XATTR_EITHER);
    else if (err == ERR_OK && finding.length > 0)
        err = vfs_xattr_remove(context, inode, name);
    return err == ERR_WRONGTYPE ? STATUS_EAS_NOT_SUPPORTED : smb2__status(err);
}

uint32_t smb2__ea_set(struct vfs_context *context, struct inode *inode, struct reader data)
{
    struct reader all = data;
    struct ea ea;
    uint32_t status;
    unsigned count = 0;

    if (data.left > EA_LIST_MAX)
        return STATUS_EA_TOO_LARGE;
    while ((status = next_ea(&all, &ea)) == STATUS_SUCCESS)
        if (++count > EAS_MAX)
            return STATUS_EA_TOO_LARGE;
    if (status != STATUS_NO_MORE_EAS)
        return status;
    status = STATUS_SUCCESS;
    while (status == STATUS_SUCCESS && next_ea(&data, &ea) == STATUS_SUCCESS)
        status = set_one(context, inode, &ea);
    return status;
}

/* ---- asking ---- */

static bool add_size(void *data, struct store_name name, size_t value_length)
{
    uint32_t *size = data;

    if (is_shown(name) && value_length <= UINT16_MAX && *size < EA_LIST_MAX)
        *size += (uint32_t)(4 + name.length + 1 + value_length);
    return true;
}

uint32_t smb2__ea_size(struct vfs_context *context, struct inode *inode)
{
    const struct store_name start = {.bytes = (const uint8_t *)"", .length = 0};
    uint32_t size = 0;

    if (vfs_xattr_list(context, inode, start, add_size, &size) != ERR_OK || size == 0)
        return 0;
    return size + 4 < EA_LIST_MAX ? size + 4 : EA_LIST_MAX;
}

/* The attribute stored as NAME, which the client knows as SHOWN, behind what is written. */
static uint32_t write_one(struct smb2_request *request, struct store_name name, struct store_name shown,
                          size_t start, size_t *last, size_t room)
{
    struct writer *writer = smb2_reply(request);
    const uint8_t *value = NULL;
    size_t length = 0, before = writer->length, at;
    enum err err = vfs_xattr_get(&request->context, smb2_open_file(request->open), name, &value, &length);

    if (err == ERR_NOXATTR)
        length = 0; /* MS-FSA 2.1.5.12.10: what was asked for by name and is not there has no value */
    else if (err != ERR_OK)
        return smb2__status(err);
    if (length > UINT16_MAX)
        return STATUS_SUCCESS;
    while ((writer->length - start) % 4 != 0 && !writer->failed)
        writer_u8(writer, 0);
    at = writer->length;
    writer_le32(writer, 0);
    writer_u8(writer, 0);
    writer_u8(writer, (uint8_t)shown.length);
    writer_le16(writer, (uint16_t)length);
    writer_bytes(writer, shown.bytes, shown.length);
    writer_u8(writer, 0);
    if (length > 0)
        writer_bytes(writer, value, length);
    if (writer->failed || writer->length - start > room) {
        writer_truncate(writer, before);
        return STATUS_BUFFER_OVERFLOW;
    }
    if (*last != SIZE_MAX)
        writer_patch_le32(writer, *last, (uint32_t)(at - *last));
    *last = at;
    return STATUS_SUCCESS;
}

struct names {
    struct writer text; /* {u8 length, name} */
    unsigned count;
};

static bool collect_one(void *data, struct store_name name, size_t value_length)
{
    struct names *names = data;

    (void)value_length;
    if (names->count == EAS_MAX)
        return false;
    if (!is_shown(name))
        return true;
    writer_u8(&names->text, (uint8_t)name.length);
    writer_bytes(&names->text, name.bytes, name.length);
    names->count++;
    return true;
}

/* Those of WANTED: {next, length, name, 0} */
static uint32_t query_named(struct smb2_request *request, struct reader wanted, size_t start, size_t room)
{
    size_t last = SIZE_MAX;
    uint32_t status = STATUS_SUCCESS;

    while (wanted.left > 0 && status == STATUS_SUCCESS) {
        struct reader reader = wanted;
        struct finding finding = {.length = 0};
        struct store_name name, stored;
        uint32_t next;
        uint8_t length, zero;
        enum err err;

        if (!reader_le32(&reader, &next) || !reader_u8(&reader, &length) ||
            !reader_bytes(&reader, length, &name.bytes) || !reader_u8(&reader, &zero))
            return STATUS_EA_LIST_INCONSISTENT;
        name.length = length;
        if (!is_shown(name) || zero != 0)
            return STATUS_INVALID_EA_NAME;
        finding.wanted = name;
        err = stored_name(&request->context, smb2_open_file(request->open), &finding, &stored);
        status = err == ERR_OK ? write_one(request, stored, name, start, &last, room) : smb2__status(err);
        if (next == 0)
            break;
        if (next < 6 + (size_t)length || !reader_skip(&wanted, next))
            return STATUS_EA_LIST_INCONSISTENT;
    }
    return status;
}

uint32_t smb2__ea_query(struct smb2_request *request, struct reader wanted, bool restart, bool single,
                        size_t room)
{
    const struct store_name none = {.bytes = (const uint8_t *)"", .length = 0};
    struct smb2_open *open = request->open;
    size_t start = smb2_reply(request)->length, last = SIZE_MAX;
    struct names names = {.count = 0};
    struct reader reader;
    uint32_t status = STATUS_SUCCESS;
    unsigned index = 0;
    enum err err;

    if (wanted.left > 0)
        return query_named(request, wanted, start, room);
    /* Who does not take them one by one gets them all. */
    if (restart || !single)
        open->ea_next = 0;
    writer_init_growing(&names.text, EAS_MAX * 256);
    err = vfs_xattr_list(&request->context, smb2_open_file(open), none, collect_one, &names);
    if (err != ERR_OK || names.count == 0) {
        writer_free(&names.text);
        return err == ERR_OK || err == ERR_WRONGTYPE ? STATUS_NO_EAS_ON_FILE : smb2__status(err);
    }
    reader = reader_of(names.text.data, names.text.length);
    for (uint8_t length; status == STATUS_SUCCESS && reader_u8(&reader, &length); index++) {
        struct store_name name = {.length = length};

        if (!reader_bytes(&reader, length, &name.bytes) || (single && last != SIZE_MAX))
            break;
        if (index < open->ea_next)
            continue;
        status = write_one(request, name, name, start, &last, room);
        if (status == STATUS_SUCCESS)
            open->ea_next = index + 1;
    }
    writer_free(&names.text);
    if (last == SIZE_MAX)
        return status == STATUS_BUFFER_OVERFLOW ? STATUS_BUFFER_TOO_SMALL : STATUS_NO_MORE_EAS;
    return status;
}
