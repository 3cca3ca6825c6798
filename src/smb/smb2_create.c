/*
 * smb2_create.c - CREATE (MS-SMB2 2.2.13, 3.3.5.9; MS-FSA 2.1.5.1).
 *
 * The happy path: decode; judge options against each other; walk the path; look the last part up; open what
 * is there or make it, as the disposition says; break others' caching grants that it is in conflict with
 * (until then nothing has changed: the request waits and begins anew); register access and share mode in
 * state; truncate if asked; grant an oplock or a lease; answer. A file that was made, or truncated, is
 * durable before the reply.
 *
 * Finding, opening and making the file: smb2_create_file.c. Opening by file id is refused, as MS-SMB2 wants.
 */
#include "smb/smb2_create_priv.h"
#include "smb/smb2_grants.h"
#include "smb/smb2_file_priv.h"

#include <string.h>

enum {
    OPTION_MODE = 0x103e, /* what FileModeInformation shows */
    SYSTEM_SECURITY = 0x01000000,
    IMPERSONATIONS = 4,
    ATTRIBUTES_KNOWN = 0x7fb7, /* MS-FSCC 2.6 */
    ATTRIBUTE_ENCRYPTED = 0x4000,
};

/* ---- decoding ---- */

static bool decode(struct smb2_request *request, struct smb2_create *create)
{
    struct reader *reader = &request->body;
    uint16_t name_offset, name_length;
    uint32_t contexts_offset, contexts_length;

    return reader_skip(reader, 2 + 1) && reader_u8(reader, &create->oplock) &&
           reader_le32(reader, &create->impersonation) && reader_skip(reader, 8 + 8) &&
           reader_le32(reader, &create->access) && reader_le32(reader, &create->attributes) &&
           reader_le32(reader, &create->share) && reader_le32(reader, &create->disposition) &&
           reader_le32(reader, &create->options) && reader_le16(reader, &name_offset) &&
           reader_le16(reader, &name_length) && reader_le32(reader, &contexts_offset) &&
           reader_le32(reader, &contexts_length) &&
           smb2__request_part(request, name_length == 0 ? 0 : name_offset, name_length, &create->name) &&
           smb2__request_part(request, contexts_length == 0 ? 0 : contexts_offset, contexts_length,
                              &create->contexts);
}

/* ---- judging ---- */

/* MS-FSA 2.1.5.1, the checks that need no file. */
static uint32_t judge(const struct smb2_create *create)
{
    bool directory = (create->options & SMB2_OPTION_DIRECTORY) != 0;

    if (create->impersonation >= IMPERSONATIONS)
        return STATUS_BAD_IMPERSONATION_LEVEL;
    if (create->options & ~(uint32_t)SMB2_OPTIONS)
        return STATUS_INVALID_PARAMETER;
    /* MS-SMB2 3.3.5.9: open by id, opportunistic filters, and a tree in place of a file */
    if (create->options & SMB2_OPTIONS_REFUSED)
        return STATUS_NOT_SUPPORTED;
    if (create->disposition >= SMB2_DISPOSITIONS || create->share > 7)
        return STATUS_INVALID_PARAMETER;
    if (create->access == 0 ||
        (create->access & ~(uint32_t)(SMB2_ACCESS_ALL | SMB2_MAXIMUM_ALLOWED | SYSTEM_SECURITY)))
        return STATUS_ACCESS_DENIED;
    if (create->access & SYSTEM_SECURITY)
        return STATUS_PRIVILEGE_NOT_HELD;
    if (create->attributes & ~(uint32_t)ATTRIBUTES_KNOWN)
        return STATUS_INVALID_PARAMETER;
    if (create->attributes & ATTRIBUTE_ENCRYPTED)
        return STATUS_ACCESS_DENIED;
    if (directory && (create->options & SMB2_OPTION_NON_DIRECTORY))
        return STATUS_INVALID_PARAMETER;
    if (directory && create->disposition != SMB2_FILE_OPEN && create->disposition != SMB2_FILE_CREATE &&
        create->disposition != SMB2_FILE_OPEN_IF)
        return STATUS_INVALID_PARAMETER;
    if ((create->options & SMB2_OPTION_DELETE_ON_CLOSE) &&
        !(create->access & (SMB2_ACCESS_DELETE | SMB2_MAXIMUM_ALLOWED)))
        return STATUS_INVALID_PARAMETER;
    /* There are no earlier versions of files (MS-SMB2 3.3.5.9.5). */
    if (create->has_timewarp)
        return STATUS_OBJECT_NAME_NOT_FOUND;
    return STATUS_SUCCESS;
}

/* ---- the reply ---- */

static void write_reply(const struct smb2_create *create, struct smb2_request *request)
{
    struct writer *writer = smb2_reply(request);
    size_t at = writer->length;
    struct inode_attr attr;

    request->message->persistent_id = request->open->persistent_id;
    request->message->volatile_id = request->open->volatile_id;
    request->message->has_file = true;
    smb2__open_attr(request->open, &attr);
    writer_le16(writer, 89);
    writer_u8(writer, create->granted_oplock);
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

static void settle_open(struct smb2_create *create, struct smb2_open *open)
{
    open->dir = create->place.dir;
    open->dir_path = create->place.dir_path;
    create->place.dir = NULL;
    create->place.dir_path = NULL;
    memcpy(open->name, create->place.name, create->place.length);
    open->name_length = create->place.length;
    memcpy(open->stream, create->place.stream, create->place.stream_length);
    open->stream_length = create->place.stream_length;
    open->delete_on_close = (create->options & SMB2_OPTION_DELETE_ON_CLOSE) != 0;
    open->write_through = (create->options & SMB2_OPTION_WRITE_THROUGH) != 0;
    open->mode = create->options & OPTION_MODE;
    open->channel_sequence = create->request->header.channel_sequence;
    open->conn_id = create->request->message->conn->id;
    smb2__open_name(open);
    smb2__replay_note(create, open);
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

/* An open that is there already: it comes back to its client, or it was made by the same CREATE, whose answer
 * was lost. */
static uint32_t answer_known(struct smb2_create *create, struct smb2_open *open)
{
    struct smb2_request *request = create->request;

    request->open = open;
    open->references++;
    open->conn_id = request->message->conn->id;
    create->maximal = open->access;
    create->action = create->durable.asks_v2 ? open->action : SMB2_ACTION_OPENED;
    /* One that asks again for another oplock is told what it asks for, and what that would be worth. */
    create->granted_oplock = open->oplock_level;
    if (create->durable.asks_v2 && open->lease == NULL && create->oplock < open->oplock_level)
        create->granted_oplock = create->oplock;
    create->durable.is_answered =
        create->durable.asks_v2 &&
        (open->is_persistent || (open->is_durable && create->granted_oplock == open->oplock_level));
    smb2__lease_tell(create, open);
    write_reply(create, request);
    return STATUS_SUCCESS;
}

/* Does the CREATE mean an open that is there? */
static uint32_t find_known(struct smb2_create *create, struct smb2_open **open_r)
{
    uint32_t status = smb2__durable_judge(create);

    if (status != STATUS_SUCCESS)
        return status;
    if (create->durable.reconnects_v1 || create->durable.reconnects_v2)
        return smb2__durable_reconnect(create, open_r);
    return smb2__replay_create(create, open_r);
}

uint32_t smb2__create(struct smb2_request *request)
{
    struct smb2_create create = {.request = request};
    struct smb2_open *known = NULL;
    uint32_t status;

    request->message->has_file = false;
    if (!decode(request, &create))
        return STATUS_INVALID_PARAMETER;
    status = smb2__create_contexts_read(&create);
    if (status == STATUS_SUCCESS)
        status = find_known(&create, &known);
    if (status != STATUS_SUCCESS)
        return status;
    if (known != NULL)
        return answer_known(&create, known);
    create.access = smb2__security_map(create.access);
    status = judge(&create);
    if (status == STATUS_SUCCESS)
        status = smb2__request_context(request);
    if (status == STATUS_SUCCESS) {
        set_grants(&create);
        status = smb2__path_walk(&request->context, create.name.at, create.name.left, &create.place);
    }
    if (status == STATUS_STOPPED_ON_SYMLINK)
        status = smb2__reparse_stop(request, create.place.link, create.place.unparsed);
    if (status == STATUS_SUCCESS)
        status = smb2__create_open(&create, &request->open);
    vfs_unref(&create.inode);
    vfs_unref(&create.file);
    if (status != STATUS_SUCCESS) {
        request->open = NULL;
        smb2__place_free(&create.place);
        return status;
    }
    request->open->references++;
    settle_open(&create, request->open);
    smb2__place_free(&create.place);
    if (create.lease.version != 0)
        smb2__lease_grant(&create, request->open);
    else
        smb2__oplock_grant(request->open, create.oplock);
    smb2__durable_grant(&create);
    create.granted_oplock = request->open->oplock_level;
    write_reply(&create, request);
    return smb2__request_durable(request,
                                 create.does_not_wait ? STATUS_OPLOCK_BREAK_IN_PROGRESS : STATUS_SUCCESS);
}
