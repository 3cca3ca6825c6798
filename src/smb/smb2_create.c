/*
 * smb2_create.c - CREATE (MS-SMB2 2.2.13, 3.3.5.9; MS-FSA 2.1.5.1).
 *
 * The happy path: decode; judge options against each other; walk the path; look the last part up; open what
 * is there or make it, as the disposition says; register access and share mode in state; truncate if asked;
 * answer. A file that was made, or truncated, is durable before the reply.
 *
 * Not built, and answered as such: streams, extended attributes, open by file id, oplocks and leases (none is
 * granted), symbolic links and special files for data.
 */
#include "smb/smb2_priv.h"

#include <string.h>

enum disposition {
    SUPERSEDE,    /* there: replaced; else made */
    OPEN,         /* there: opened; else failed */
    CREATE,       /* there: failed; else made */
    OPEN_IF,      /* there: opened; else made */
    OVERWRITE,    /* there: truncated; else failed */
    OVERWRITE_IF, /* there: truncated; else made */
    DISPOSITIONS
};

enum {
    OPTION_DIRECTORY = 0x1,
    OPTION_WRITE_THROUGH = 0x2,
    OPTION_NON_DIRECTORY = 0x40,
    OPTION_DELETE_ON_CLOSE = 0x1000,
    OPTION_OPEN_BY_ID = 0x2000,
    OPTION_MODE = 0x103e, /* what FileModeInformation shows */
    GENERIC_ALL = 0x10000000,
    GENERIC_EXECUTE = 0x20000000,
    GENERIC_WRITE = 0x40000000,
    MAXIMUM_ALLOWED = 0x02000000,
    SYSTEM_SECURITY = 0x01000000,
    CONTEXTS_MAX = 32,
    ACTION_SUPERSEDED = 0,
    ACTION_OPENED = 1,
    ACTION_CREATED = 2,
    ACTION_OVERWRITTEN = 3,
    ON_DATA = SMB2_ACCESS_READ_DATA | SMB2_ACCESS_ANY_WRITE | SMB2_ACCESS_EXECUTE,
    FILE_MODE = 0644,
    DIRECTORY_MODE = 0755
};
#define GENERIC_READ UINT32_C(0x80000000)

struct create_args {
    uint32_t access, attributes, share, disposition, options;
    uint16_t name_offset, name_length;
    uint32_t contexts_offset, contexts_length;
    struct reader name, contexts;
    bool wants_maximal, wants_disk_id, has_timewarp, has_ea, has_reconnect;
};

struct create {
    struct smb2_request *request;
    struct create_args args;
    struct smb2_place place;
    struct inode *inode;
    uint32_t maximal;
    uint32_t action;
};

/* ---- decoding ---- */

static void note_context(struct create_args *args, struct reader name)
{
    static const struct {
        char tag[5];
        size_t member;
    } known[] = {
        {"MxAc", offsetof(struct create_args, wants_maximal)},
        {"QFid", offsetof(struct create_args, wants_disk_id)},
        {"TWrp", offsetof(struct create_args, has_timewarp)},
        {"ExtA", offsetof(struct create_args, has_ea)},
        {"DHnC", offsetof(struct create_args, has_reconnect)},
        {"DH2C", offsetof(struct create_args, has_reconnect)},
    };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (name.left == 4 && memcmp(name.at, known[i].tag, 4) == 0)
            *(bool *)((char *)args + known[i].member) = true;
    }
}

/* MS-SMB2 2.2.13.2 */
static bool decode_contexts(struct create_args *args)
{
    struct reader all = args->contexts;

    for (unsigned count = 0; all.left > 0; count++) {
        struct reader reader = all, name;
        uint32_t next, data_length;
        uint16_t name_offset, name_length, reserved, data_offset;

        if (count == CONTEXTS_MAX || !reader_le32(&reader, &next) || !reader_le16(&reader, &name_offset) ||
            !reader_le16(&reader, &name_length) || !reader_le16(&reader, &reserved) ||
            !reader_le16(&reader, &data_offset) || !reader_le32(&reader, &data_length))
            return false;
        if (next % 8 != 0 || next > all.left || (next != 0 && next < 16))
            return false;
        reader = all;
        if (next != 0)
            reader.left = next;
        if (data_offset > reader.left || data_length > reader.left - data_offset)
            return false;
        if (!reader_skip(&reader, name_offset) || !reader_sub(&reader, name_length, &name))
            return false;
        note_context(args, name);
        if (next == 0)
            return true;
        if (!reader_skip(&all, next))
            return false;
    }
    return true;
}

static bool decode(struct smb2_request *request, struct create_args *args)
{
    struct reader *reader = &request->body;

    memset(args, 0, sizeof *args);
    return reader_skip(reader, 2 + 1 + 1 + 4 + 8 + 8) && reader_le32(reader, &args->access) &&
           reader_le32(reader, &args->attributes) && reader_le32(reader, &args->share) &&
           reader_le32(reader, &args->disposition) && reader_le32(reader, &args->options) &&
           reader_le16(reader, &args->name_offset) && reader_le16(reader, &args->name_length) &&
           reader_le32(reader, &args->contexts_offset) && reader_le32(reader, &args->contexts_length) &&
           smb2__request_part(request, args->name_length == 0 ? 0 : args->name_offset, args->name_length,
                              &args->name) &&
           smb2__request_part(request, args->contexts_length == 0 ? 0 : args->contexts_offset,
                              args->contexts_length, &args->contexts) &&
           decode_contexts(args);
}

/* ---- judging ---- */

static uint32_t map_generic(uint32_t access)
{
    if (access & GENERIC_ALL)
        access |= SMB2_ACCESS_ALL;
    if (access & GENERIC_READ)
        access |= 0x120089;
    if (access & GENERIC_WRITE)
        access |= 0x120116;
    if (access & GENERIC_EXECUTE)
        access |= 0x1200a0;
    return access & ~(GENERIC_READ | GENERIC_WRITE | GENERIC_EXECUTE | GENERIC_ALL);
}

/* MS-FSA 2.1.5.1, the checks that need no file. */
static uint32_t judge(const struct create_args *args)
{
    bool directory = (args->options & OPTION_DIRECTORY) != 0;

    if (args->disposition >= DISPOSITIONS || args->share > 7 || args->access == 0)
        return args->access == 0 ? STATUS_ACCESS_DENIED : STATUS_INVALID_PARAMETER;
    if (args->access & SYSTEM_SECURITY)
        return STATUS_ACCESS_DENIED;
    if (args->access & ~(uint32_t)(SMB2_ACCESS_ALL | MAXIMUM_ALLOWED))
        return STATUS_ACCESS_DENIED;
    if (directory && (args->options & OPTION_NON_DIRECTORY))
        return STATUS_INVALID_PARAMETER;
    if (directory && args->disposition != OPEN && args->disposition != CREATE && args->disposition != OPEN_IF)
        return STATUS_INVALID_PARAMETER;
    if ((args->options & OPTION_DELETE_ON_CLOSE) && !(args->access & (SMB2_ACCESS_DELETE | MAXIMUM_ALLOWED)))
        return STATUS_INVALID_PARAMETER;
    if (args->options & OPTION_OPEN_BY_ID)
        return STATUS_NOT_SUPPORTED;
    /* There are no earlier versions of files (MS-SMB2 3.3.5.9.5), and no handles outlive their connection. */
    if (args->has_timewarp || args->has_reconnect)
        return STATUS_OBJECT_NAME_NOT_FOUND;
    return args->has_ea ? UINT32_C(0xC000004F) /* STATUS_EAS_NOT_SUPPORTED */ : STATUS_SUCCESS;
}

/* The access to grant on what is there. */
static uint32_t judge_access(struct create *create, uint32_t wanted, uint32_t *granted_r)
{
    create->maximal = smb2__maximal_access(&create->request->context, create->inode, create->place.dir);
    if (wanted & MAXIMUM_ALLOWED)
        wanted = (wanted & ~(uint32_t)MAXIMUM_ALLOWED) | create->maximal;
    if (wanted & ~create->maximal)
        return STATUS_ACCESS_DENIED;
    *granted_r = wanted;
    return STATUS_SUCCESS;
}

static bool overwrites(uint32_t disposition)
{
    return disposition == SUPERSEDE || disposition == OVERWRITE || disposition == OVERWRITE_IF;
}

static uint32_t judge_there(const struct create *create, const struct inode_attr *attr, uint32_t access)
{
    const struct create_args *args = &create->args;
    bool is_directory = attr->type == INODE_DIRECTORY;

    if (args->disposition == CREATE)
        return STATUS_OBJECT_NAME_COLLISION;
    if (is_directory && (args->options & OPTION_NON_DIRECTORY))
        return STATUS_FILE_IS_A_DIRECTORY;
    if (!is_directory && (args->options & OPTION_DIRECTORY))
        return STATUS_NOT_A_DIRECTORY;
    if (is_directory && overwrites(args->disposition))
        return args->disposition == SUPERSEDE || args->disposition == OVERWRITE_IF
                   ? STATUS_OBJECT_NAME_COLLISION
                   : STATUS_INVALID_PARAMETER;
    if (!is_directory && attr->type != INODE_FILE && ((access & ON_DATA) || overwrites(args->disposition)))
        return STATUS_NOT_SUPPORTED;
    if ((attr->dos_attributes & SMB2_ATTRIBUTE_READONLY) && !is_directory &&
        ((access & SMB2_ACCESS_ANY_WRITE) || overwrites(args->disposition)))
        return STATUS_ACCESS_DENIED;
    if ((attr->dos_attributes & SMB2_ATTRIBUTE_READONLY) && (args->options & OPTION_DELETE_ON_CLOSE))
        return STATUS_CANNOT_DELETE;
    return STATUS_SUCCESS;
}

/* ---- doing ---- */

static uint32_t open_there(struct create *create, struct smb2_open **open_r)
{
    struct smb2_request *request = create->request;
    uint32_t wanted = create->args.access, access = 0, status;
    struct inode_attr attr;

    vfs_getattr(create->inode, &attr);
    if (overwrites(create->args.disposition))
        wanted |= SMB2_ACCESS_WRITE_DATA;
    status = judge_there(create, &attr, wanted & ~(uint32_t)MAXIMUM_ALLOWED);
    if (status == STATUS_SUCCESS)
        status = judge_access(create, wanted, &access);
    if (status != STATUS_SUCCESS)
        return status;
    /* MAXIMUM_ALLOWED has no data access on what has no data, and none for writing on the read-only. */
    if (attr.type != INODE_FILE && attr.type != INODE_DIRECTORY)
        access &= ~(uint32_t)ON_DATA;
    if ((attr.dos_attributes & SMB2_ATTRIBUTE_READONLY) && attr.type == INODE_FILE)
        access &= ~(uint32_t)SMB2_ACCESS_ANY_WRITE;
    status = smb2__open_new(request->message->server, request->tree, create->inode, access,
                            create->args.share, open_r);
    if (status != STATUS_SUCCESS)
        return status;
    create->inode = NULL;
    create->action = ACTION_OPENED;
    if (overwrites(create->args.disposition)) {
        struct vfs_setattr set = {.set = VFS_SET_SIZE | VFS_SET_DOS_ATTRIBUTES,
                                  .size = 0,
                                  .dos_attributes = create->args.attributes & SMB2_ATTRIBUTE_SETTABLE};
        enum err err;

        request->context.owner = owner_id((*open_r)->owner);
        err = vfs_setattr(&request->context, (*open_r)->inode, &set, NULL, true);
        if (err != ERR_OK) {
            smb2__open_end(*open_r, NULL);
            *open_r = NULL;
            return smb2__status(err);
        }
        create->action = create->args.disposition == SUPERSEDE ? ACTION_SUPERSEDED : ACTION_OVERWRITTEN;
    }
    return STATUS_SUCCESS;
}

static uint32_t make(struct create *create, struct smb2_open **open_r)
{
    struct smb2_request *request = create->request;
    struct store_name name = {.bytes = create->place.name, .length = create->place.length};
    bool directory = (create->args.options & OPTION_DIRECTORY) != 0;
    struct vfs_create make = {
        .type = directory ? INODE_DIRECTORY : INODE_FILE,
        .how = VFS_CREATE_GUARDED,
        .set = {.set = VFS_SET_MODE | VFS_SET_DOS_ATTRIBUTES,
                .mode = directory ? DIRECTORY_MODE : FILE_MODE,
                .dos_attributes = create->args.attributes & SMB2_ATTRIBUTE_SETTABLE},
    };
    uint32_t wanted = create->args.access, status;
    bool created;
    enum err err;

    if (create->args.disposition == OPEN || create->args.disposition == OVERWRITE)
        return STATUS_OBJECT_NAME_NOT_FOUND;
    if ((create->args.attributes & SMB2_ATTRIBUTE_READONLY) &&
        (create->args.options & OPTION_DELETE_ON_CLOSE))
        return STATUS_CANNOT_DELETE;
    err = vfs_create(&request->context, create->place.dir, name, &make, &create->inode, &created);
    if (err != ERR_OK)
        return smb2__status(err);
    create->maximal = smb2__maximal_access(&request->context, create->inode, create->place.dir);
    /* Who made it may do with this handle what he asked for, whatever the mode says from now on. */
    if (wanted & MAXIMUM_ALLOWED)
        wanted = (wanted & ~(uint32_t)MAXIMUM_ALLOWED) | create->maximal;
    status = smb2__open_new(request->message->server, request->tree, create->inode, wanted,
                            create->args.share, open_r);
    if (status == STATUS_SUCCESS)
        create->inode = NULL;
    create->action = ACTION_CREATED;
    return status;
}

static uint32_t find_or_make(struct create *create, struct smb2_open **open_r)
{
    struct smb2_request *request = create->request;
    struct store_name name = {.bytes = create->place.name, .length = create->place.length};
    uint8_t stored[STORE_NAME_MAX];
    size_t length;
    enum err err;

    if (create->place.dir == NULL) {
        err = vfs_root(&request->context, &create->inode);
        return err == ERR_OK ? open_there(create, open_r) : smb2__status(err);
    }
    err = vfs_lookup_folded(&request->context, create->place.dir, name, &create->inode, stored, &length);
    if (err == ERR_NOENT)
        return make(create, open_r);
    if (err != ERR_OK)
        return smb2__status(err);
    memcpy(create->place.name, stored, length);
    create->place.length = length;
    return open_there(create, open_r);
}

/* ---- the reply ---- */

static void write_contexts(const struct create *create, struct smb2_request *request, size_t body_at)
{
    struct writer *writer = smb2_reply(request);
    struct inode_attr attr;
    size_t start, last;

    if (!create->args.wants_maximal && !create->args.wants_disk_id)
        return;
    vfs_getattr(request->open->inode, &attr);
    while (smb2_reply_offset(request) % 8 != 0 && !writer->failed)
        writer_u8(writer, 0);
    start = last = writer->length;
    if (create->args.wants_maximal) {
        /* MS-SMB2 2.2.14.2.5: header, name, padding to 24, status and access */
        writer_le32(writer, create->args.wants_disk_id ? 32 : 0);
        writer_le16(writer, 16);
        writer_le16(writer, 4);
        writer_le16(writer, 0);
        writer_le16(writer, 24);
        writer_le32(writer, 8);
        writer_bytes(writer, "MxAc", 4);
        writer_le32(writer, 0);
        writer_le32(writer, STATUS_SUCCESS);
        writer_le32(writer, create->maximal);
    }
    if (create->args.wants_disk_id) {
        /* MS-SMB2 2.2.14.2.9 */
        writer_le32(writer, 0);
        writer_le16(writer, 16);
        writer_le16(writer, 4);
        writer_le16(writer, 0);
        writer_le16(writer, 24);
        writer_le32(writer, 32);
        writer_bytes(writer, "QFid", 4);
        writer_le32(writer, 0);
        writer_le64(writer, attr.ino);
        writer_le64(writer, request->tree->export_id);
        writer_zeros(writer, 16);
    }
    if (!writer->failed) {
        writer_patch_le32(writer, body_at + 80, (uint32_t)(start - request->reply_at));
        writer_patch_le32(writer, body_at + 84, (uint32_t)(writer->length - start));
    }
}

static void write_reply(const struct create *create, struct smb2_request *request)
{
    struct writer *writer = smb2_reply(request);
    size_t at = writer->length;
    struct inode_attr attr;

    vfs_getattr(request->open->inode, &attr);
    writer_le16(writer, 89);
    writer_u8(writer, 0); /* no oplock */
    writer_u8(writer, 0);
    writer_le32(writer, create->action);
    smb2__write_times(writer, &attr);
    writer_le64(writer, smb2__allocation(&attr));
    writer_le64(writer, smb2__end_of_file(&attr));
    writer_le32(writer, smb2__attributes(&attr));
    writer_le32(writer, 0);
    writer_le64(writer, request->open->persistent_id);
    writer_le64(writer, request->open->volatile_id);
    writer_le64(writer, 0);
    write_contexts(create, request, at);
}

static void settle_open(const struct create *create, struct smb2_open *open)
{
    struct smb2_message *message = create->request->message;

    open->dir = create->place.dir;
    memcpy(open->name, create->place.name, create->place.length);
    open->name_length = create->place.length;
    open->delete_on_close = (create->args.options & OPTION_DELETE_ON_CLOSE) != 0;
    open->write_through = (create->args.options & OPTION_WRITE_THROUGH) != 0;
    open->mode = create->args.options & OPTION_MODE;
    open->channel_sequence = create->request->header.channel_sequence;
    message->persistent_id = open->persistent_id;
    message->volatile_id = open->volatile_id;
    message->has_file = true;
}

uint32_t smb2__create(struct smb2_request *request)
{
    struct create create = {.request = request};
    uint32_t status;

    request->message->has_file = false;
    if (!decode(request, &create.args))
        return STATUS_INVALID_PARAMETER;
    create.args.access = map_generic(create.args.access);
    status = judge(&create.args);
    if (status == STATUS_SUCCESS)
        status = smb2__request_context(request);
    if (status == STATUS_SUCCESS)
        status =
            smb2__path_walk(&request->context, create.args.name.at, create.args.name.left, &create.place);
    if (status != STATUS_SUCCESS)
        return status;
    status = find_or_make(&create, &request->open);
    if (status != STATUS_SUCCESS) {
        request->open = NULL;
        vfs_unref(&create.inode);
        vfs_unref(&create.place.dir);
        return status;
    }
    request->open->references++;
    settle_open(&create, request->open);
    write_reply(&create, request);
    return smb2__request_durable(request, STATUS_SUCCESS);
}
