/*
 * smb_share.c - what the configuration says of shares beyond their exports: who may use them, encryption,
 * guests, how they are listed.
 *
 * The set is replaced as a whole (a reload). Trees do not keep pointers into it, but the verdict on their
 * user, as long as the set is the same.
 */
#include "smb/smb2_share.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct smb_shares {
    size_t count;
    struct smb_share_config *items; /* sorted by name; strings and lists are of one allocation each */
};

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct smb_share_config *)a)->name, ((const struct smb_share_config *)b)->name);
}

static void free_texts(const char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free((char *)(uintptr_t)texts[i]);
    free((void *)(uintptr_t)texts);
}

static void free_item(struct smb_share_config *item)
{
    free_texts(item->valid_users, item->valid_user_count);
    free_texts(item->hide_files, item->hide_file_count);
    free((char *)(uintptr_t)item->comment);
    free((char *)(uintptr_t)item->name);
}

/* What was copied so far is counted, so that a failure frees just that. */
static bool copy_texts(const char *const *from, size_t count, const char *const **texts_r, size_t *count_r)
{
    const char **texts = calloc(count + 1, sizeof *texts);

    *texts_r = texts;
    if (texts == NULL)
        return false;
    for (*count_r = 0; *count_r < count; ++*count_r) {
        texts[*count_r] = strdup(from[*count_r]);
        if (texts[*count_r] == NULL)
            return false;
    }
    return true;
}

static bool copy_item(struct smb_share_config *to, const struct smb_share_config *from)
{
    *to = *from;
    to->valid_users = to->hide_files = NULL;
    to->valid_user_count = to->hide_file_count = 0;
    to->name = strdup(from->name);
    to->comment = strdup(from->comment != NULL ? from->comment : "");
    return to->name != NULL && to->comment != NULL &&
           copy_texts(from->valid_users, from->valid_user_count, &to->valid_users, &to->valid_user_count) &&
           copy_texts(from->hide_files, from->hide_file_count, &to->hide_files, &to->hide_file_count);
}

enum err smb_shares_new(const struct smb_share_config *configs, size_t count, struct smb_shares **shares_r)
{
    struct smb_shares *shares = calloc(1, sizeof *shares);

    if (shares == NULL)
        return ERR_NOMEM;
    shares->items = calloc(count + 1, sizeof *shares->items);
    if (shares->items == NULL) {
        free(shares);
        return ERR_NOMEM;
    }
    while (shares->count < count) {
        bool copied = copy_item(&shares->items[shares->count], &configs[shares->count]);

        shares->count++;
        if (!copied) {
            smb_shares_free(&shares);
            return ERR_NOMEM;
        }
    }
    qsort(shares->items, count, sizeof *shares->items, compare_names);
    *shares_r = shares;
    return ERR_OK;
}

void smb_shares_free(struct smb_shares **shares)
{
    struct smb_shares *gone = *shares;

    *shares = NULL;
    if (gone == NULL)
        return;
    for (size_t i = 0; i < gone->count; i++)
        free_item(&gone->items[i]);
    free(gone->items);
    free(gone);
}

void smb_server_use_shares(struct smb_server *server, struct smb_shares *shares)
{
    smb_shares_free(&server->shares);
    server->shares = shares;
    server->shares_generation++;
    server->any_persistent = false;
    for (size_t i = 0; i < shares->count; i++)
        server->any_persistent |= shares->items[i].persistent;
}

const struct smb_share_config *smb2__share(const struct smb_server *server, const struct vfs_export *export)
{
    static const struct smb_share_config defaults = {.comment = ""};
    struct smb_share_config key = {.name = vfs_export_config(export)->name};
    const struct smb_share_config *found = NULL;

    if (server->shares != NULL)
        found = bsearch(&key, server->shares->items, server->shares->count, sizeof *server->shares->items,
                        compare_names);
    return found != NULL ? found : &defaults;
}

bool smb2__share_is_persistent(const struct smb2_request *request, const struct vfs_export *export)
{
    const struct smb2_conn *conn = request->message->conn;

    return conn != NULL && !request->session->is_guest && !request->session->is_nameless &&
           smb2__share(conn->server, export)->persistent &&
           (smb2__capabilities(conn, conn->dialect) & SMB2_CAPABILITY_PERSISTENT_HANDLES) != 0;
}

/* ---- who may ---- */

static bool is_in_group(const struct smb2_session *session, uint32_t gid)
{
    if (session->user.gid == gid)
        return true;
    for (uint32_t i = 0; i < session->user.group_count; i++) {
        if (session->user.groups[i] == gid)
            return true;
    }
    return false;
}

/* "@name" or, for groups without a name here, "@gid". */
static bool group_fits(const struct smb_server *server, const struct smb2_session *session, const char *name)
{
    const struct ident_group *group = ident_group_find(server->identity, name);
    unsigned long long gid;
    char *end;

    if (group != NULL)
        return is_in_group(session, group->gid);
    if (name[0] < '0' || name[0] > '9')
        return false;
    gid = strtoull(name, &end, 10);
    return *end == '\0' && gid < UINT32_MAX && is_in_group(session, (uint32_t)gid);
}

static bool user_fits(const struct smb_server *server, const struct smb2_session *session, const char *name)
{
    const struct ident_user *user;

    if (name[0] == '@')
        return group_fits(server, session, name + 1);
    user = ident_user_find(server->identity, name);
    return user != NULL && user->uid == session->user.uid;
}

static uint32_t judge(const struct smb_server *server, const struct smb2_session *session,
                      const struct smb_share_config *share)
{
    if (session->is_guest || session->is_nameless)
        return share->guest_ok ? STATUS_SUCCESS : STATUS_ACCESS_DENIED;
    if (share->valid_user_count == 0)
        return STATUS_SUCCESS;
    for (size_t i = 0; i < share->valid_user_count; i++) {
        if (user_fits(server, session, share->valid_users[i]))
            return STATUS_SUCCESS;
    }
    return STATUS_ACCESS_DENIED;
}

uint32_t smb2__share_check(const struct smb2_request *request)
{
    const struct smb_server *server = request->message->server;
    struct smb2_tree *tree = request->tree;
    const struct smb_share_config *share;
    struct vfs_export *export;

    if (tree->is_ipc)
        return STATUS_SUCCESS;
    if (tree->judged != server->shares_generation) {
        export = vfs_export_by_id(server->vfs, tree->export_id);
        if (export == NULL)
            return STATUS_SUCCESS; /* gone: smb2__request_context says so to who needs it */
        share = smb2__share(server, export);
        tree->judged = server->shares_generation;
        tree->verdict = judge(server, tree->session, share);
        tree->must_encrypt = share->encryption == SMB_ENCRYPT_REQUIRED;
        tree->hides_names = share->hide_dot_files || share->hide_file_count > 0;
        tree->hides_unreadable = share->hide_unreadable;
    }
    if (tree->must_encrypt && !request->message->encrypted && request->header.command != SMB2_TREE_CONNECT)
        return STATUS_ACCESS_DENIED;
    if (request->header.command == SMB2_CLOSE || request->header.command == SMB2_TREE_DISCONNECT)
        return STATUS_SUCCESS;
    return tree->verdict;
}

/* ---- what is hidden ---- */

bool smb2__share_hides(const struct smb_server *server, const struct smb2_tree *tree, struct store_name name)
{
    const struct smb_share_config *share;
    struct vfs_export *export;

    if (!tree->hides_names || name.length == 0)
        return false;
    export = vfs_export_by_id(server->vfs, tree->export_id);
    if (export == NULL)
        return false;
    share = smb2__share(server, export);
    if (share->hide_dot_files && name.bytes[0] == '.')
        return true;
    for (size_t i = 0; i < share->hide_file_count; i++) {
        const char *pattern = share->hide_files[i];
        struct store_name wanted = {.bytes = (const uint8_t *)pattern, .length = strlen(pattern)};

        if (smb2__name_matches(name, wanted))
            return true;
    }
    return false;
}

bool smb2__share_lists(struct smb2_request *request, struct inode *inode)
{
    const uint32_t needed =
        SMB2_ACCESS_READ_DATA | SMB2_ACCESS_READ_EA | SMB2_ACCESS_READ_ATTRIBUTES | SMB2_ACCESS_READ_CONTROL;

    if (!request->tree->hides_unreadable)
        return true;
    return inode != NULL && (needed & ~vfs_rights(&request->context, inode, NULL)) == 0;
}
