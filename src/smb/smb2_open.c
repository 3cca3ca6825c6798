/*
 * smb2_open.c - opens: share modes and locks through state. What their end means for names: smb2_delete.c.
 *
 * Every open is an owner of its own in state, so that its share mode and its ranges stand against those of
 * all others, also of the same user (MS-FSA 2.1.5.1.2.2).
 */
#include "smb/smb2_file_priv.h"
#include "smb/smb2_grants.h"

#include <stdlib.h>
#include <string.h>

enum { SHARE_READ = 1, SHARE_WRITE = 2, SHARE_DELETE = 4, OWNER_KIND = 0 };

unsigned smb2__share_access(uint32_t access)
{
    unsigned bits = 0;

    if (access & (SMB2_ACCESS_READ_DATA | SMB2_ACCESS_EXECUTE))
        bits |= OPEN_READ;
    if (access & SMB2_ACCESS_ANY_WRITE)
        bits |= OPEN_WRITE;
    if (access & SMB2_ACCESS_DELETE)
        bits |= OPEN_DELETE;
    return bits;
}

unsigned smb2__share_deny(uint32_t share)
{
    return (share & SHARE_READ ? 0 : OPEN_READ) | (share & SHARE_WRITE ? 0 : OPEN_WRITE) |
           (share & SHARE_DELETE ? 0 : OPEN_DELETE);
}

struct smb2_open *smb2__open_of_state(const struct open *open)
{
    const struct client *client = owner_client(open_owner(open));

    return client != NULL && client_family(client) == SMB2_FAMILY ? open_user(open) : NULL;
}

void smb2__open_grants(const struct smb2_open *open, struct vfs_context *context)
{
    static const uint8_t nobody[1];
    struct client *client = open->owner == NULL ? NULL : owner_client(open->owner);

    context->grants = (struct vfs_grant_owner){client, open->grant_key, open->grant_key_length};
    /* Who writes breaks all oplocks of level II, his own, too (MS-FSA 2.1.4.12). */
    if (open->oplock != NULL && grant_kinds(open->oplock) == GRANT_READ)
        context->grants = (struct vfs_grant_owner){client, nobody, sizeof nobody};
    context->dir_grants = open->has_parent_key
                              ? (struct vfs_grant_owner){client, open->parent_key, sizeof open->parent_key}
                              : (struct vfs_grant_owner){.client = NULL};
}

static void on_share_gone(struct open *share, void *user)
{
    struct smb2_open *open = user;

    (void)share;
    open->share = NULL;
    smb2__persist_note(open);
}

static void release_inode(void *user)
{
    struct inode *inode = user;

    vfs_unref(&inode);
}

/* A file goes with its streams: who has one of them open may be against it. */
static bool streams_deny_deletion(const struct smb_server *server, const struct inode *file)
{
    for (struct smb2_open *at = NULL; (at = smb2__file_next(server, file, at)) != NULL;)
        if (at->base != NULL && at->share != NULL && (open_deny(at->share) & OPEN_DELETE))
            return true;
    return false;
}

static enum err register_open(struct smb_server *server, struct smb2_open *open, uint32_t share,
                              bool restores)
{
    unsigned access = smb2__share_access(open->access);
    struct inode_attr attr;
    struct open_spec spec;
    enum err err;

    vfs_getattr(open->inode, &attr);
    err = state_file_get(server->state, open->tree->export_id, attr.ino, &open->file);
    if (err != ERR_OK)
        return err;
    if (state_file_user(open->file) == NULL)
        state_file_set_user(open->file, vfs_ref(open->inode), release_inode);
    if (!restores && smb2__file_is_going(server, smb2_open_file(open), open->inode))
        return ERR_DELETE_PENDING;
    if ((access & OPEN_DELETE) && open->base == NULL && streams_deny_deletion(server, open->inode))
        return ERR_SHARE_DENIED;
    err = owner_get(open->machine->client, OWNER_KIND, &open->persistent_id, sizeof open->persistent_id,
                    &open->owner);
    /* Who only looks at attributes denies nothing. */
    spec = (struct open_spec){.file = open->file,
                              .owner = open->owner,
                              .access = access,
                              .deny = access != 0 ? smb2__share_deny(share) : 0,
                              .any_time = restores,
                              .grant_key = open->grant_key,
                              .grant_key_length = open->grant_key_length,
                              .gone = on_share_gone,
                              .user = open};
    return err == ERR_OK ? open_add(&spec, &open->share) : err;
}

/* Without a lease it has a key of its own, so that its oplock stands against all other opens. */
static void set_keys(struct smb2_open *open, const struct smb2_open_wish *wish)
{
    open->grant_key_length = wish->lease_key != NULL ? SMB2_LEASE_KEY : sizeof open->volatile_id;
    memcpy(open->grant_key, wish->lease_key != NULL ? wish->lease_key : (const uint8_t *)&open->volatile_id,
           open->grant_key_length);
    open->has_parent_key = wish->parent_key != NULL;
    if (open->has_parent_key)
        memcpy(open->parent_key, wish->parent_key, SMB2_LEASE_KEY);
}

/* Those of before the restart are somewhere among them. */
static uint64_t new_id(struct smb_server *server)
{
    while (smb2__open_by_id(server, server->next_file) != NULL)
        server->next_file++;
    return server->next_file++;
}

uint32_t smb2__open_new(struct smb_server *server, struct smb2_tree *tree, const struct smb2_open_wish *wish,
                        struct smb2_open **open_r)
{
    struct smb2_session *session = tree->session;
    struct smb2_open *open;
    struct inode_attr attr;
    enum err err;

    if (session->open_count >= SMB2_OPENS_MAX)
        return STATUS_INSUFFICIENT_RESOURCES;
    open = calloc(1, sizeof *open);
    if (open == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    open->references = 1;
    open->volatile_id = new_id(server);
    open->persistent_id = wish->persistent_id != 0 ? wish->persistent_id : open->volatile_id;
    open->tree = tree;
    tree->references++;
    open->session = session;
    open->server = server;
    open->machine = session->machine;
    open->machine->references++;
    open->inode = wish->inode;
    open->base = wish->base != NULL ? vfs_ref(wish->base) : NULL;
    open->access = wish->access;
    vfs_getattr(wish->inode, &attr);
    open->is_directory = attr.type == INODE_DIRECTORY;
    set_keys(open, wish);
    list_init(&open->link);
    list_init(&open->lease_link);
    list_init(&open->unrecorded_link);
    err = register_open(server, open, wish->share, wish->persistent_id != 0);
    if (err == ERR_OK && !hashtable_insert(&server->opens, &open->by_id, hash_u64(open->persistent_id))) {
        open_close(open->share);
        open->share = NULL;
        err = ERR_NOMEM;
    }
    if (err == ERR_OK && !smb2__file_add(server, open)) {
        hashtable_remove(&server->opens, &open->by_id);
        open_close(open->share);
        open->share = NULL;
        err = ERR_NOMEM;
    }
    if (err != ERR_OK) {
        open->inode = NULL; /* the caller's still */
        open->dead = true;
        smb2__open_unref(&open);
        return smb2__status(err);
    }
    list_push_back(&session->opens, &open->link);
    session->open_count++;
    *open_r = open;
    return STATUS_SUCCESS;
}

uint32_t smb2__open_move(struct smb_server *server, struct smb2_open *open, struct inode *inode)
{
    unsigned access = open->share != NULL ? open_access(open->share) : 0;
    unsigned deny = open->share != NULL ? open_deny(open->share) : 0;
    struct open_spec spec = {.owner = open->owner,
                             .access = access,
                             .deny = deny,
                             .grant_key = open->grant_key,
                             .grant_key_length = open->grant_key_length,
                             .gone = on_share_gone,
                             .user = open};
    struct inode_attr attr;
    struct open *share;
    enum err err;

    vfs_getattr(inode, &attr);
    err = state_file_get(server->state, open->tree->export_id, attr.ino, &spec.file);
    if (err == ERR_OK) {
        if (state_file_user(spec.file) == NULL)
            state_file_set_user(spec.file, vfs_ref(inode), release_inode);
        err = open_add(&spec, &share);
    }
    if (err != ERR_OK) {
        state_file_unref(&spec.file);
        vfs_unref(&inode);
        return smb2__status(err);
    }
    if (open->share != NULL)
        open_close(open->share);
    open->share = share;
    state_file_unref(&open->file);
    open->file = spec.file;
    smb2__persist_note(open);
    smb2__file_remove(server, open);
    vfs_unref(&open->inode);
    open->inode = inode;
    open->is_directory = attr.type == INODE_DIRECTORY;
    return smb2__file_add(server, open) ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
}

struct smb2_open *smb2__open_by_id(const struct smb_server *server, uint64_t persistent)
{
    struct hashlink *link = hashtable_find(&server->opens, hash_u64(persistent));

    for (; link != NULL; link = hashtable_find_next(link)) {
        struct smb2_open *open = container_of(link, struct smb2_open, by_id);

        if (open->persistent_id == persistent)
            return open;
    }
    return NULL;
}

struct smb2_open *smb2__open_find(const struct smb2_session *session, uint64_t persistent,
                                  uint64_t volatile_id)
{
    struct smb2_open *open = smb2__open_by_id(session->server, persistent);

    /* One whose share mode an administrator has taken away is closed to its client. */
    return open != NULL && open->session == session && open->volatile_id == volatile_id &&
                   (open->share != NULL || open->pipe != NULL)
               ? open
               : NULL;
}

void smb2__open_unref(struct smb2_open **open)
{
    struct smb2_open *gone = *open;

    *open = NULL;
    if (gone == NULL || --gone->references > 0)
        return;
    invariant(gone->share == NULL);
    owner_unref(&gone->owner);
    state_file_unref(&gone->file);
    vfs_unref(&gone->inode);
    vfs_unref(&gone->dir);
    vfs_unref(&gone->base);
    free(gone->dir_path);
    smb2__tree_unref(&gone->tree);
    smb2__client_unref(&gone->machine);
    free(gone);
}

void smb2__open_tell_directory(const struct smb2_open *open, struct vfs_context *context)
{
    bool tells_only = context->tells_only;

    context->tells_only = true;
    if (open->dir != NULL && vfs_conflict_names(context, NULL, open->dir) != ERR_OK)
        log_debug("smb: leases on a directory can't be broken");
    context->tells_only = tells_only;
}

/* What listings show of a file that was changed through it is another thing now. CONTEXT may be NULL. */
static void tell_of_changes(struct smb2_open *open, struct vfs_context *context)
{
    struct vfs_context own;

    if (!open->has_changed)
        return;
    if (context == NULL) {
        if (smb2__tree_context(open->server, open->tree, owner_id(open->owner), &own) != STATUS_SUCCESS)
            return;
        smb2__open_grants(open, &own);
        context = &own;
    }
    smb2__open_tell_directory(open, context);
}

void smb2__open_end(struct smb2_open *open, struct vfs_context *context)
{
    struct smb2_open *reference = open;

    if (open->dead)
        return;
    open->dead = true;
    hashtable_remove(&open->server->opens, &open->by_id);
    list_remove(&open->link);
    smb2__durable_forget(open);
    smb2__persist_end(open);
    if (open->session != NULL)
        open->session->open_count--;
    if (open->pipe != NULL)
        smb2__pipe_end(open);
    if (open->watch != NULL)
        smb2__notify_end(open);
    smb2__oplock_leave(open);
    smb2__lease_leave(open->server, open);
    if (open->share != NULL)
        open_close(open->share);
    open->share = NULL;
    smb2__file_remove(open->server, open);
    if (!open->is_left) {
        tell_of_changes(open, context);
        smb2__file_settle(open->server, open, context);
    }
    open->session = NULL;
    smb2__open_unref(&reference);
}
