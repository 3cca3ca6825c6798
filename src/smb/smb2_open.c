/*
 * smb2_open.c - opens: share modes and locks through state, and deletion when the last one goes.
 *
 * Every open is an owner of its own in state, so that its share mode and its ranges stand against those of
 * all others, also of the same user (MS-FSA 2.1.5.1.2.2).
 *
 * Deletion (MS-FSA 2.1.5.5): an open made with FILE_DELETE_ON_CLOSE marks the file when it is closed; a
 * disposition marks it at once. The mark is on one of the opens of the file and goes on to another when that
 * one is closed; the last one takes the name away.
 */
#include "smb/smb2_priv.h"

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

/* The open of ours behind one of state's, or NULL. */
static struct smb2_open *of_smb(const struct open *open)
{
    const struct client *client = owner_client(open_owner(open));

    return client != NULL && client_family(client) == SMB2_FAMILY ? open_user(open) : NULL;
}

static struct smb2_open *other_open(const struct smb2_open *self, const struct state_file *file)
{
    for (struct open *at = open_next_of_file(file, NULL); at != NULL; at = open_next_of_file(file, at)) {
        struct smb2_open *other = of_smb(at);

        if (other != NULL && other != self)
            return other;
    }
    return NULL;
}

static bool is_going(const struct state_file *file)
{
    for (struct open *at = open_next_of_file(file, NULL); at != NULL; at = open_next_of_file(file, at)) {
        const struct smb2_open *other = of_smb(at);

        if (other != NULL && other->delete_pending)
            return true;
    }
    return false;
}

bool smb2__is_delete_pending(struct smb_server *server, const struct smb2_tree *tree, struct inode *inode)
{
    const struct state_file *file;
    struct inode_attr attr;

    vfs_getattr(inode, &attr);
    file = state_file_find(server->state, tree->export_id, attr.ino);
    return file != NULL && is_going(file);
}

void smb2__open_grants(const struct smb2_open *open, struct vfs_context *context)
{
    struct client *client = open->owner == NULL ? NULL : owner_client(open->owner);

    context->grants = (struct vfs_grant_owner){client, open->grant_key, open->grant_key_length};
    context->dir_grants = open->has_parent_key
                              ? (struct vfs_grant_owner){client, open->parent_key, sizeof open->parent_key}
                              : (struct vfs_grant_owner){.client = NULL};
}

static void on_share_gone(struct open *share, void *user)
{
    struct smb2_open *open = user;

    (void)share;
    open->share = NULL;
}

static void release_inode(void *user)
{
    struct inode *inode = user;

    vfs_unref(&inode);
}

static enum err register_open(struct smb_server *server, struct smb2_open *open, uint32_t share)
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
    if (is_going(open->file))
        return ERR_DELETE_PENDING;
    err = owner_get(open->machine->client, OWNER_KIND, &open->persistent_id, sizeof open->persistent_id,
                    &open->owner);
    /* Who only looks at attributes denies nothing. */
    spec = (struct open_spec){.file = open->file,
                              .owner = open->owner,
                              .access = access,
                              .deny = access != 0 ? smb2__share_deny(share) : 0,
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
    open->volatile_id = open->persistent_id = server->next_file++;
    open->tree = tree;
    tree->references++;
    open->session = session;
    open->server = server;
    open->machine = session->machine;
    open->machine->references++;
    open->inode = wish->inode;
    open->access = wish->access;
    vfs_getattr(wish->inode, &attr);
    open->is_directory = attr.type == INODE_DIRECTORY;
    set_keys(open, wish);
    list_init(&open->link);
    list_init(&open->lease_link);
    err = register_open(server, open, wish->share);
    if (err == ERR_OK && !hashtable_insert(&server->opens, &open->by_id, hash_u64(open->persistent_id))) {
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
    return open != NULL && open->session == session && open->volatile_id == volatile_id && open->share != NULL
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
    smb2__tree_unref(&gone->tree);
    smb2__client_unref(&gone->machine);
    free(gone);
}

/* Takes the name away, if it is still that of the file. */
static void delete_name(struct smb2_open *open, struct vfs_context *context)
{
    struct store_name name = {.bytes = open->name, .length = open->name_length};
    struct inode_attr mine, there;
    struct inode *inode;
    enum err err;

    if (open->dir == NULL || vfs_lookup(context, open->dir, name, &inode) != ERR_OK)
        return;
    vfs_getattr(open->inode, &mine);
    vfs_getattr(inode, &there);
    vfs_unref(&inode);
    if (mine.ino != there.ino)
        return;
    err = vfs_remove(context, open->dir, name,
                     open->is_directory ? VFS_REMOVE_DIRECTORY : VFS_REMOVE_NOT_DIRECTORY);
    if (err != ERR_OK)
        log_debug("smb: deleting on close failed: %s", err_text(err));
}

static void finish_delete(struct smb2_open *open, struct vfs_context *context)
{
    struct smb2_open *other = other_open(open, open->file);
    struct vfs_context own;

    if (other != NULL) {
        other->delete_pending = true;
        return;
    }
    if (context == NULL) {
        if (smb2__tree_context(open->server, open->tree, owner_id(open->owner), &own) != STATUS_SUCCESS)
            return;
        smb2__open_grants(open, &own);
        context = &own;
    }
    /* The last handle is closed, and nobody is left to try again. */
    context->tells_only = true;
    delete_name(open, context);
}

void smb2__open_end(struct smb2_open *open, struct vfs_context *context)
{
    struct smb2_open *reference = open;

    if (open->dead)
        return;
    open->dead = true;
    hashtable_remove(&open->server->opens, &open->by_id);
    list_remove(&open->link);
    open->session->open_count--;
    if (open->pipe != NULL)
        smb2__pipe_end(open);
    smb2__oplock_leave(open);
    smb2__lease_leave(open->server, open);
    if (open->share != NULL)
        open_close(open->share);
    open->share = NULL;
    if (open->delete_pending || open->delete_on_close)
        finish_delete(open, context);
    open->session = NULL;
    smb2__open_unref(&reference);
}
