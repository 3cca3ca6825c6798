/*
 * smb2_tree.c - TREE_CONNECT (MS-SMB2 2.2.9, 3.3.5.7): exports as shares, and IPC$.
 *
 * A share's rules (hosts, protocol) are those of its export, looked at here and again at every request.
 */
#include "smb/smb2_share.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    SHARE_DISK = 1,
    SHARE_PIPE = 2,
    SHAREFLAG_ENCRYPT_DATA = 0x8000,
    SHAREFLAG_ACCESS_BASED_LISTING = 0x0800,
    SHARE_CAP_CONTINUOUS_AVAILABILITY = 0x10,
    ACCESS_ALL = 0x001f01ff,
    ACCESS_READ = 0x001200a9,
    SHARE_PATH_MAX = 1024
};

struct tree_args {
    uint16_t path_offset, path_length;
    struct reader path;
};

static bool decode(struct smb2_request *request, struct tree_args *args)
{
    struct reader *reader = &request->body;

    return reader_skip(reader, 4) && reader_le16(reader, &args->path_offset) &&
           reader_le16(reader, &args->path_length) &&
           smb2__request_part(request, args->path_offset, args->path_length, &args->path);
}

struct smb2_tree *smb2__tree_find(const struct smb2_session *session, uint32_t id)
{
    const struct list *link;

    list_for_each(link, &session->trees)
    {
        struct smb2_tree *tree = container_of(link, struct smb2_tree, link);

        if (tree->id == id)
            return tree;
    }
    return NULL;
}

void smb2__tree_unref(struct smb2_tree **tree)
{
    struct smb2_tree *gone = *tree;

    *tree = NULL;
    if (gone == NULL || --gone->references > 0)
        return;
    smb2__session_unref(&gone->session);
    free(gone);
}

void smb2__tree_end(struct smb2_tree *tree)
{
    struct list *link, *following;
    struct smb2_tree *reference = tree;

    if (tree->dead)
        return;
    tree->dead = true;
    list_for_each_safe(link, following, &tree->session->opens)
    {
        struct smb2_open *open = container_of(link, struct smb2_open, link);

        if (open->tree == tree)
            smb2__open_end(open, NULL);
    }
    list_remove(&tree->link);
    tree->session->tree_count--;
    smb2__tree_unref(&reference);
}

/* Shares are called without regard to case; an exact name goes first. */
static struct vfs_export *find_export(struct vfs *vfs, const char *name)
{
    struct vfs_export *export = vfs_export_find(vfs, name, strlen(name));

    if (export != NULL)
        return export;
    while ((export = vfs_export_next(vfs, export)) != NULL) {
        if (strcasecmp(vfs_export_config(export)->name, name) == 0)
            return export;
    }
    return NULL;
}

static struct smb2_tree *tree_new(struct smb2_session *session)
{
    struct smb2_tree *tree;

    if (session->tree_count >= SMB2_TREES_MAX)
        return NULL;
    tree = calloc(1, sizeof *tree);
    if (tree == NULL)
        return NULL;
    tree->references = 2; /* the table's and the request's */
    tree->session = session;
    session->references++;
    do
        tree->id = session->next_tree++;
    while (tree->id == 0 || tree->id == UINT32_MAX || smb2__tree_find(session, tree->id) != NULL);
    list_push_back(&session->trees, &tree->link);
    session->tree_count++;
    return tree;
}

/* "\\server\share": the part behind the last backslash. */
static const char *share_of(const char *path)
{
    const char *share;

    if (strncmp(path, "\\\\", 2) != 0)
        return NULL;
    share = strchr(path + 2, '\\');
    return share == NULL || share[1] == '\0' || strchr(share + 1, '\\') != NULL ? NULL : share + 1;
}

static void write_reply(struct smb2_request *request, const struct vfs_export *export, bool encrypt)
{
    struct writer *writer = smb2_reply(request);
    bool read_only = export != NULL && vfs_export_config(export)->read_only;
    bool persistent = export != NULL && smb2__share_is_persistent(request, export);

    writer_le16(writer, 16);
    writer_u8(writer, request->tree->is_ipc ? SHARE_PIPE : SHARE_DISK);
    writer_u8(writer, 0);
    /* MS-SMB2 2.2.10: 0 is SMB2_SHAREFLAG_MANUAL_CACHING. */
    writer_le32(writer, (encrypt ? SHAREFLAG_ENCRYPT_DATA : 0) |
                            (request->tree->hides_unreadable ? SHAREFLAG_ACCESS_BASED_LISTING : 0));
    writer_le32(writer, persistent ? SHARE_CAP_CONTINUOUS_AVAILABILITY : 0);
    writer_le32(writer, read_only ? ACCESS_READ : ACCESS_ALL);
}

/* Does the share want encryption, and can the client? MS-SMB2 3.3.5.7 */
static uint32_t check_encryption(const struct smb2_request *request, const struct vfs_export *export,
                                 bool *encrypt_r)
{
    enum smb_encryption wanted = smb2__share(request->message->server, export)->encryption;
    bool possible = request->session->encrypt != NULL;

    *encrypt_r = wanted != SMB_ENCRYPT_OFF && possible;
    return wanted == SMB_ENCRYPT_REQUIRED && !possible ? STATUS_ACCESS_DENIED : STATUS_SUCCESS;
}

uint32_t smb2__tree_connect(struct smb2_request *request)
{
    struct smb_server *server = request->message->server;
    struct vfs_export *export = NULL;
    char path[SHARE_PATH_MAX];
    struct tree_args args;
    const char *share;
    bool is_ipc, encrypt = false;
    uint32_t status;

    if (!decode(request, &args))
        return STATUS_INVALID_PARAMETER;
    share = utf16_to_string(path, sizeof path, args.path.at, args.path.left) ? share_of(path) : NULL;
    if (share == NULL)
        return STATUS_BAD_NETWORK_NAME;
    is_ipc = strcasecmp(share, "IPC$") == 0;
    if (!is_ipc)
        export = find_export(server->vfs, share);
    if (!is_ipc && (export == NULL || !(vfs_export_config(export)->protocols & VFS_SMB)))
        return STATUS_BAD_NETWORK_NAME;
    request->tree = tree_new(request->session);
    if (request->tree == NULL)
        return STATUS_INSUFF_SERVER_RESOURCES;
    request->tree->is_ipc = is_ipc;
    request->tree->export_id = is_ipc ? 0 : vfs_export_id(export);
    status = is_ipc ? STATUS_SUCCESS : smb2__request_context(request);
    if (status == STATUS_SUCCESS)
        status = smb2__share_check(request);
    if (status == STATUS_SUCCESS && !is_ipc)
        status = check_encryption(request, export, &encrypt);
    if (status != STATUS_SUCCESS) {
        smb2__tree_end(request->tree);
        return status;
    }
    request->header.tree_id = request->tree->id;
    request->message->tree_id = request->tree->id;
    write_reply(request, export, encrypt);
    return STATUS_SUCCESS;
}
