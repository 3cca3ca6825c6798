/*
 * smb2_create.c - CREATE (MS-SMB2 2.2.13, 3.3.5.9; MS-FSA 2.1.5.1).
 *
 * The happy path: decode; judge options against each other; walk the path; look the last part up; open what
 * is there or make it, as the disposition says; break others' caching grants that it is in conflict with
 * (until then nothing has changed: the request waits and begins anew); register access and share mode in
 * state; truncate if asked; grant an oplock or a lease; answer. A file that was made, or truncated, is
 * durable before the reply.
 *
 * Not built, and answered as such: streams, extended attributes, open by file id, symbolic links and special
 * files for data.
 */
#include "smb/smb2_create_priv.h"

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
    OPTION_COMPLETE_IF_OPLOCKED = 0x100,
    OPTION_DELETE_ON_CLOSE = 0x1000,
    OPTION_OPEN_BY_ID = 0x2000,
    OPTION_REQUIRING_OPLOCK = 0x10000,
    OPTION_MODE = 0x103e, /* what FileModeInformation shows */
    GENERIC_ALL = 0x10000000,
    GENERIC_EXECUTE = 0x20000000,
    GENERIC_WRITE = 0x40000000,
    MAXIMUM_ALLOWED = 0x02000000,
    SYSTEM_SECURITY = 0x01000000,
    ACTION_SUPERSEDED = 0,
    ACTION_OPENED = 1,
    ACTION_CREATED = 2,
    ACTION_OVERWRITTEN = 3,
    ON_DATA = SMB2_ACCESS_READ_DATA | SMB2_ACCESS_ANY_WRITE | SMB2_ACCESS_EXECUTE,
    FILE_MODE = 0644,
    DIRECTORY_MODE = 0755
};
#define GENERIC_READ UINT32_C(0x80000000)

/* ---- decoding ---- */

static bool decode(struct smb2_request *request, struct smb2_create *create)
{
    struct reader *reader = &request->body;
    uint16_t name_offset, name_length;
    uint32_t contexts_offset, contexts_length;

    return reader_skip(reader, 2 + 1) && reader_u8(reader, &create->oplock) &&
           reader_skip(reader, 4 + 8 + 8) && reader_le32(reader, &create->access) &&
           reader_le32(reader, &create->attributes) && reader_le32(reader, &create->share) &&
           reader_le32(reader, &create->disposition) && reader_le32(reader, &create->options) &&
           reader_le16(reader, &name_offset) && reader_le16(reader, &name_length) &&
           reader_le32(reader, &contexts_offset) && reader_le32(reader, &contexts_length) &&
           smb2__request_part(request, name_length == 0 ? 0 : name_offset, name_length, &create->name) &&
           smb2__request_part(request, contexts_length == 0 ? 0 : contexts_offset, contexts_length,
                              &create->contexts);
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
static uint32_t judge(const struct smb2_create *create)
{
    bool directory = (create->options & OPTION_DIRECTORY) != 0;

    if (create->disposition >= DISPOSITIONS || create->share > 7 || create->access == 0)
        return create->access == 0 ? STATUS_ACCESS_DENIED : STATUS_INVALID_PARAMETER;
    if (create->access & SYSTEM_SECURITY)
        return STATUS_ACCESS_DENIED;
    if (create->access & ~(uint32_t)(SMB2_ACCESS_ALL | MAXIMUM_ALLOWED))
        return STATUS_ACCESS_DENIED;
    if (directory && (create->options & OPTION_NON_DIRECTORY))
        return STATUS_INVALID_PARAMETER;
    if (directory && create->disposition != OPEN && create->disposition != CREATE &&
        create->disposition != OPEN_IF)
        return STATUS_INVALID_PARAMETER;
    if ((create->options & OPTION_DELETE_ON_CLOSE) &&
        !(create->access & (SMB2_ACCESS_DELETE | MAXIMUM_ALLOWED)))
        return STATUS_INVALID_PARAMETER;
    if (create->options & OPTION_OPEN_BY_ID)
        return STATUS_NOT_SUPPORTED;
    /* There are no earlier versions of files (MS-SMB2 3.3.5.9.5), and no handles outlive their connection. */
    if (create->has_timewarp || create->has_reconnect)
        return STATUS_OBJECT_NAME_NOT_FOUND;
    return create->has_ea ? UINT32_C(0xC000004F) /* STATUS_EAS_NOT_SUPPORTED */ : STATUS_SUCCESS;
}

/* The access to grant on what is there. */
static uint32_t judge_access(struct smb2_create *create, uint32_t wanted, uint32_t *granted_r)
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

static uint32_t judge_there(const struct smb2_create *create, const struct inode_attr *attr, uint32_t access)
{
    bool is_directory = attr->type == INODE_DIRECTORY;

    if (create->disposition == CREATE)
        return STATUS_OBJECT_NAME_COLLISION;
    if (is_directory && (create->options & OPTION_NON_DIRECTORY))
        return STATUS_FILE_IS_A_DIRECTORY;
    if (!is_directory && (create->options & OPTION_DIRECTORY))
        return STATUS_NOT_A_DIRECTORY;
    if (is_directory && overwrites(create->disposition))
        return create->disposition == SUPERSEDE || create->disposition == OVERWRITE_IF
                   ? STATUS_OBJECT_NAME_COLLISION
                   : STATUS_INVALID_PARAMETER;
    if (!is_directory && attr->type != INODE_FILE && ((access & ON_DATA) || overwrites(create->disposition)))
        return STATUS_NOT_SUPPORTED;
    if ((attr->dos_attributes & SMB2_ATTRIBUTE_READONLY) && !is_directory &&
        ((access & SMB2_ACCESS_ANY_WRITE) || overwrites(create->disposition)))
        return STATUS_ACCESS_DENIED;
    if ((attr->dos_attributes & SMB2_ATTRIBUTE_READONLY) && (create->options & OPTION_DELETE_ON_CLOSE))
        return STATUS_CANNOT_DELETE;
    return STATUS_SUCCESS;
}

/* ---- doing ---- */

/* MS-FSA 2.1.4.12, OPEN: who only looks at attributes disturbs nobody's cache; with a lease's holder he may
 * look at the security, too. */
static bool disturbs(const struct smb2_create *create, uint32_t access)
{
    uint32_t harmless = SMB2_ACCESS_READ_ATTRIBUTES | SMB2_ACCESS_WRITE_ATTRIBUTES | SMB2_ACCESS_SYNCHRONIZE;

    return overwrites(create->disposition) || (access & ~harmless) != 0;
}

/* Others' caching grants that are in the way of an open with ACCESS. */
static uint32_t break_grants(struct smb2_create *create, uint32_t access)
{
    struct smb2_request *request = create->request;
    enum err err;

    if (smb2__is_delete_pending(request->message->server, request->tree, create->inode))
        return STATUS_DELETE_PENDING;
    if (!disturbs(create, access))
        return STATUS_SUCCESS;
    err = vfs_conflict_open(&request->context, create->inode, smb2__share_access(access),
                            smb2__share_access(access) != 0 ? smb2__share_deny(create->share) : 0,
                            overwrites(create->disposition), NULL);
    if (err == ERR_DELAY && (create->options & OPTION_COMPLETE_IF_OPLOCKED)) {
        create->does_not_wait = true;
        request->context.tells_only = true;
        grant_wait_cancel(&request->grants);
        err = ERR_OK;
    }
    return smb2__status(err);
}

/* MS-FSA 2.1.5.1.2: a caching grant, or no open: who has it open is not to be disturbed. */
static uint32_t check_required_oplock(const struct smb2_create *create)
{
    const struct smb2_request *request = create->request;
    const struct state_file *file;
    struct inode_attr attr;

    if (!(create->options & OPTION_REQUIRING_OPLOCK))
        return STATUS_SUCCESS;
    vfs_getattr(create->inode, &attr);
    file = state_file_find(request->message->server->state, request->tree->export_id, attr.ino);
    return file != NULL && open_next_of_file(file, NULL) != NULL ? STATUS_OPLOCK_NOT_GRANTED : STATUS_SUCCESS;
}

static struct smb2_open_wish open_wish(const struct smb2_create *create, uint32_t access)
{
    return (struct smb2_open_wish){.inode = create->inode,
                                   .access = access,
                                   .share = create->share,
                                   .lease_key = create->lease.version != 0 ? create->lease.key : NULL,
                                   .parent_key = create->lease.has_parent ? create->lease.parent : NULL};
}

static uint32_t open_there(struct smb2_create *create, struct smb2_open **open_r)
{
    struct smb2_request *request = create->request;
    uint32_t wanted = create->access, access = 0, status;
    struct smb2_open_wish wish;
    struct inode_attr attr;

    vfs_getattr(create->inode, &attr);
    if (overwrites(create->disposition))
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
    status = smb2__lease_check(create, create->inode);
    if (status == STATUS_SUCCESS)
        status = check_required_oplock(create);
    if (status == STATUS_SUCCESS)
        status = break_grants(create, access);
    if (status != STATUS_SUCCESS)
        return status;
    wish = open_wish(create, access);
    status = smb2__open_new(request->message->server, request->tree, &wish, open_r);
    if (status != STATUS_SUCCESS)
        return status;
    create->inode = NULL;
    create->action = ACTION_OPENED;
    if (overwrites(create->disposition)) {
        struct vfs_setattr set = {.set = VFS_SET_SIZE | VFS_SET_DOS_ATTRIBUTES,
                                  .size = 0,
                                  .dos_attributes = create->attributes & SMB2_ATTRIBUTE_SETTABLE};
        enum err err;

        request->context.owner = owner_id((*open_r)->owner);
        smb2__open_grants(*open_r, &request->context);
        err = vfs_setattr(&request->context, (*open_r)->inode, &set, NULL, true);
        if (err != ERR_OK) {
            smb2__open_end(*open_r, NULL);
            *open_r = NULL;
            return smb2__status(err);
        }
        create->action = create->disposition == SUPERSEDE ? ACTION_SUPERSEDED : ACTION_OVERWRITTEN;
    }
    return STATUS_SUCCESS;
}

static uint32_t make(struct smb2_create *create, struct smb2_open **open_r)
{
    struct smb2_request *request = create->request;
    struct store_name name = {.bytes = create->place.name, .length = create->place.length};
    bool directory = (create->options & OPTION_DIRECTORY) != 0;
    struct vfs_create make = {
        .type = directory ? INODE_DIRECTORY : INODE_FILE,
        .how = VFS_CREATE_GUARDED,
        .set = {.set = VFS_SET_MODE | VFS_SET_DOS_ATTRIBUTES,
                .mode = directory ? DIRECTORY_MODE : FILE_MODE,
                .dos_attributes = create->attributes & SMB2_ATTRIBUTE_SETTABLE},
    };
    uint32_t wanted = create->access, status;
    struct smb2_open_wish wish;
    bool created;
    enum err err;

    if (create->disposition == OPEN || create->disposition == OVERWRITE)
        return STATUS_OBJECT_NAME_NOT_FOUND;
    if ((create->attributes & SMB2_ATTRIBUTE_READONLY) && (create->options & OPTION_DELETE_ON_CLOSE))
        return STATUS_CANNOT_DELETE;
    status = smb2__lease_check(create, NULL);
    if (status != STATUS_SUCCESS)
        return status;
    err = vfs_create(&request->context, create->place.dir, name, &make, &create->inode, &created);
    if (err != ERR_OK)
        return smb2__status(err);
    create->maximal = smb2__maximal_access(&request->context, create->inode, create->place.dir);
    /* Who made it may do with this handle what he asked for, whatever the mode says from now on. */
    if (wanted & MAXIMUM_ALLOWED)
        wanted = (wanted & ~(uint32_t)MAXIMUM_ALLOWED) | create->maximal;
    wish = open_wish(create, wanted);
    status = smb2__open_new(request->message->server, request->tree, &wish, open_r);
    if (status == STATUS_SUCCESS)
        create->inode = NULL;
    create->action = ACTION_CREATED;
    return status;
}

static uint32_t find_or_make(struct smb2_create *create, struct smb2_open **open_r)
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

static void write_reply(const struct smb2_create *create, struct smb2_request *request)
{
    struct writer *writer = smb2_reply(request);
    size_t at = writer->length;
    struct inode_attr attr;

    vfs_getattr(request->open->inode, &attr);
    writer_le16(writer, 89);
    writer_u8(writer, request->open->oplock_level);
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
    smb2__create_contexts_write(create, at);
}

static void settle_open(const struct smb2_create *create, struct smb2_open *open)
{
    struct smb2_message *message = create->request->message;

    open->dir = create->place.dir;
    memcpy(open->name, create->place.name, create->place.length);
    open->name_length = create->place.length;
    open->delete_on_close = (create->options & OPTION_DELETE_ON_CLOSE) != 0;
    open->write_through = (create->options & OPTION_WRITE_THROUGH) != 0;
    open->mode = create->options & OPTION_MODE;
    open->channel_sequence = create->request->header.channel_sequence;
    smb2__open_name(open);
    message->persistent_id = open->persistent_id;
    message->volatile_id = open->volatile_id;
    message->has_file = true;
}

/* Whose caching grants are not in the way: those of its lease, and the directory's that it names. Without a
 * lease it is a stranger to all. */
static void set_grants(struct smb2_create *create)
{
    static const uint8_t nobody[1];
    struct client *client = create->request->session->machine->client;
    const struct smb2_lease_wish *wish = &create->lease;
    struct vfs_context *context = &create->request->context;

    context->grants = wish->version != 0 ? (struct vfs_grant_owner){client, wish->key, sizeof wish->key}
                                         : (struct vfs_grant_owner){client, nobody, sizeof nobody};
    if (wish->has_parent)
        context->dir_grants = (struct vfs_grant_owner){client, wish->parent, sizeof wish->parent};
}

uint32_t smb2__create(struct smb2_request *request)
{
    struct smb2_create create = {.request = request};
    uint32_t status;

    request->message->has_file = false;
    if (!decode(request, &create))
        return STATUS_INVALID_PARAMETER;
    status = smb2__create_contexts_read(&create);
    if (status != STATUS_SUCCESS)
        return status;
    create.access = map_generic(create.access);
    status = judge(&create);
    if (status == STATUS_SUCCESS)
        status = smb2__request_context(request);
    if (status == STATUS_SUCCESS) {
        set_grants(&create);
        status = smb2__path_walk(&request->context, create.name.at, create.name.left, &create.place);
    }
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
    if (create.lease.version != 0)
        smb2__lease_grant(&create, request->open);
    else
        smb2__oplock_grant(request->open, create.oplock);
    write_reply(&create, request);
    return smb2__request_durable(request,
                                 create.does_not_wait ? STATUS_OPLOCK_BREAK_IN_PROGRESS : STATUS_SUCCESS);
}
