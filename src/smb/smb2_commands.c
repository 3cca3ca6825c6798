/*
 * smb2_commands.c - the table of commands (MS-SMB2 2.2), and the smallest of them.
 */
#include "smb/smb2_priv.h"

enum {
    ON_FILE = SMB2_NEEDS_SESSION | SMB2_NEEDS_TREE | SMB2_NEEDS_FILE | SMB2_NEEDS_DISK,
    ON_SHARE = SMB2_NEEDS_SESSION | SMB2_NEEDS_TREE | SMB2_NEEDS_DISK,
    ON_TREE = SMB2_NEEDS_SESSION | SMB2_NEEDS_TREE,
};

/* file_at counts from the body, whose first two bytes are the structure's size. */
const struct smb2_command_row smb2__commands[SMB2_COMMANDS] = {
    [SMB2_NEGOTIATE] = {.name = "NEGOTIATE",
                        .structure_size = 36,
                        .needs = SMB2_WITHOUT_SIGNATURE,
                        .run = smb2__negotiate},
    [SMB2_SESSION_SETUP] = {.name = "SESSION_SETUP",
                            .structure_size = 25,
                            .needs = SMB2_WITHOUT_SIGNATURE,
                            .run = smb2__session_setup},
    [SMB2_LOGOFF] = {.name = "LOGOFF", .structure_size = 4, .needs = SMB2_NEEDS_SESSION, .run = smb2__logoff},
    [SMB2_TREE_CONNECT] = {.name = "TREE_CONNECT",
                           .structure_size = 9,
                           .needs = SMB2_NEEDS_SESSION,
                           .run = smb2__tree_connect},
    [SMB2_TREE_DISCONNECT] = {.name = "TREE_DISCONNECT",
                              .structure_size = 4,
                              .needs = ON_TREE,
                              .run = smb2__tree_disconnect},
    [SMB2_CREATE] = {.name = "CREATE",
                     .structure_size = 57,
                     .needs = ON_TREE,
                     .run = smb2__create,
                     .run_pipe = smb2__pipe_create},
    [SMB2_CLOSE] = {.name = "CLOSE",
                    .structure_size = 24,
                    .file_at = 8,
                    .needs = ON_FILE,
                    .run = smb2__close,
                    .run_pipe = smb2__pipe_close},
    [SMB2_FLUSH] = {.name = "FLUSH",
                    .structure_size = 24,
                    .file_at = 8,
                    .needs = ON_FILE,
                    .run = smb2__flush,
                    .run_pipe = smb2__pipe_flush},
    [SMB2_READ] = {.name = "READ",
                   .structure_size = 49,
                   .file_at = 16,
                   .needs = ON_FILE,
                   .run = smb2__read,
                   .run_pipe = smb2__pipe_read},
    [SMB2_WRITE] = {.name = "WRITE",
                    .structure_size = 49,
                    .file_at = 16,
                    .needs = ON_FILE,
                    .run = smb2__write,
                    .run_pipe = smb2__pipe_write},
    [SMB2_LOCK] = {.name = "LOCK", .structure_size = 48, .file_at = 8, .needs = ON_FILE, .run = smb2__lock},
    [SMB2_IOCTL] = {.name = "IOCTL", .structure_size = 57, .needs = ON_TREE, .run = smb2__ioctl},
    [SMB2_CANCEL] = {.name = "CANCEL"}, /* before the table: it has no reply */
    [SMB2_ECHO] = {.name = "ECHO", .structure_size = 4, .needs = SMB2_WITHOUT_SIGNATURE, .run = smb2__echo},
    [SMB2_QUERY_DIRECTORY] = {.name = "QUERY_DIRECTORY",
                              .structure_size = 33,
                              .file_at = 8,
                              .needs = ON_FILE,
                              .run = smb2__query_directory},
    [SMB2_CHANGE_NOTIFY] = {.name = "CHANGE_NOTIFY",
                            .structure_size = 32,
                            .file_at = 8,
                            .needs = ON_FILE,
                            .run = smb2__change_notify},
    [SMB2_QUERY_INFO] = {.name = "QUERY_INFO",
                         .structure_size = 41,
                         .file_at = 24,
                         .needs = ON_FILE,
                         .run = smb2__query_info,
                         .run_pipe = smb2__pipe_query_info},
    [SMB2_SET_INFO] = {.name = "SET_INFO",
                       .structure_size = 33,
                       .file_at = 16,
                       .needs = ON_FILE,
                       .run = smb2__set_info,
                       .run_pipe = smb2__pipe_set_info},
    [SMB2_OPLOCK_BREAK] = {.name = "OPLOCK_BREAK",
                           .structure_size = 24,
                           .other_size = SMB2_LEASE_BREAK_SIZE,
                           .needs = ON_TREE,
                           .run = smb2__oplock_break},
};

uint32_t smb2__echo(struct smb2_request *request)
{
    writer_le16(smb2_reply(request), 4);
    writer_le16(smb2_reply(request), 0);
    return STATUS_SUCCESS;
}

/* MS-SMB2 3.3.5.6 */
uint32_t smb2__logoff(struct smb2_request *request)
{
    smb2__session_end(request->session);
    return smb2__echo(request);
}

uint32_t smb2__tree_disconnect(struct smb2_request *request)
{
    smb2__tree_end(request->tree);
    return smb2__echo(request);
}

uint32_t smb2__status(enum err err)
{
    return err_to_ntstatus(err);
}

uint32_t smb2__tree_context(struct smb_server *server, const struct smb2_tree *tree, uint64_t owner,
                            struct vfs_context *context_r)
{
    const struct smb2_session *session = tree->session;
    struct vfs_user user = {.uid = session->user.uid,
                            .gid = session->user.gid,
                            .group_count = session->user.group_count,
                            .groups = session->user.groups};
    struct vfs_export *export = vfs_export_by_id(server->vfs, tree->export_id);
    enum err err;

    if (export == NULL)
        return STATUS_NETWORK_NAME_DELETED;
    if (session->is_guest || session->is_nameless)
        user = (struct vfs_user){.uid = vfs_export_config(export)->anonymous_uid,
                                 .gid = vfs_export_config(export)->anonymous_gid};
    /* What a password proved over a signed connection is held as the flavour that proves least. */
    err = vfs_context_init(context_r, server->vfs, export, VFS_SMB, VFS_SEC_SYS, &session->peer, &user);
    if (err != ERR_OK)
        return smb2__status(err);
    context_r->owner = owner;
    return STATUS_SUCCESS;
}

uint32_t smb2__request_context(struct smb2_request *request)
{
    uint64_t owner = request->open != NULL ? owner_id(request->open->owner) : 0;
    uint32_t status = smb2__tree_context(request->message->server, request->tree, owner, &request->context);

    if (status != STATUS_SUCCESS)
        return status;
    request->context.grant_waiter = &request->grants;
    /* What concerns the open's own file is held against the access that it was granted. */
    request->context.by_handle = request->open != NULL;
    if (request->open != NULL)
        smb2__open_grants(request->open, &request->context);
    return STATUS_SUCCESS;
}

static void on_durable(struct store_waiter *waiter, enum err err)
{
    struct smb2_request *request = container_of(waiter, struct smb2_request, durable);

    smb2__request_done(request, err == ERR_OK ? request->final_status : smb2__status(err));
}

/* What SMB promises to be on disk: what was flushed or is written through. Everything else is so within a
 * second, and a failure is reported then by what asks for more. */
static bool must_be_durable(const struct smb2_request *request)
{
    return request->header.command == SMB2_FLUSH || request->header.command == SMB2_WRITE ||
           (request->open != NULL && request->open->write_through);
}

uint32_t smb2__request_durable(struct smb2_request *request, uint32_t status)
{
    enum err err;

    if (!must_be_durable(request))
        return status;
    request->final_status = status;
    request->durable.done = on_durable;
    err = vfs_durable(&request->context, &request->durable);
    if (err == ERR_WAIT)
        return SMB2_WAIT;
    return err == ERR_OK ? status : smb2__status(err);
}
