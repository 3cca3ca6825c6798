/*
 * nfs4_client.c - what clients of all minor versions share: who asks, which client it is, which file's state.
 */
#include "nfs/v4/nfs4_callback.h"
#include "nfs/v4/nfs4_server.h"
#include <stdio.h>
#include <stdlib.h>

struct nfs4_client *nfs4__client_new(void)
{
    return calloc(1, sizeof(struct nfs4_client));
}

static void client_gone(struct client *client, void *user)
{
    (void)client;
    if (user != NULL)
        nfs4__path_release(user);
    free(user);
}

void nfs4__client_seen(const struct nfs4_compound *compound, struct nfs4_client *user)
{
    char text[NET_ADDRESS_TEXT];

    if (user != NULL)
        snprintf(user->address, sizeof user->address, "%s", net_address_format(&compound->call->peer, text));
}

static void client_describe_it(const struct client *client, void *user,
                               struct client_description *description)
{
    const struct nfs4_client *own = user;

    description->protocol = client_family(client) == NFS4_FAMILY_0 ? "NFSv4.0" : "NFSv4.1";
    if (own != NULL)
        snprintf(description->address, sizeof description->address, "%s", own->address);
}

const struct client_operations nfs4__client_operations = {.gone = client_gone,
                                                          .describe = client_describe_it};

void nfs4__principal(const struct nfs4_compound *compound, uint8_t principal[NFS4_PRINCIPAL_SIZE])
{
    const struct onc_credential *credential = &compound->call->credential;
    struct writer writer;

    writer_init(&writer, principal, NFS4_PRINCIPAL_SIZE);
    writer_be32(&writer, credential->flavor);
    writer_be32(&writer, credential->uid);
}

void *nfs4__user_mark(const struct nfs4_compound *compound)
{
    return (void *)(uintptr_t)nfs__user(&compound->call->credential).uid;
}

void nfs4__client_renew(struct client *client)
{
    enum err err = client_renew(client);

    invariant(err == ERR_OK); /* one that is found has not gone */
}

void nfs4__client_used(struct nfs4_compound *compound, struct client *client)
{
    /* In 4.1 SEQUENCE alone renews (RFC 8881 8.3). */
    if (compound->minor > 0)
        return;
    compound->clientid = client_id(client);
    nfs4__client_renew(client);
}

struct client *nfs4__compound_client(const struct nfs4_compound *compound)
{
    struct client *client;
    uint64_t id = compound->clientid;

    if (compound->minor > 0)
        return compound->has_session ? compound->session->client : NULL;
    if (id == 0)
        id = nfs4__connection_client(compound);
    return id != 0 && client_by_id(compound->server->state, id, &client) == ERR_OK ? client : NULL;
}

uint32_t nfs4__client_of_id(struct nfs4_compound *compound, uint64_t id, struct client **client_r)
{
    struct client *client;
    enum err err = client_by_id(compound->server->state, id, &client);

    if (err == ERR_OK &&
        (client_family(client) != NFS4_FAMILY_0 || client_status(client) == CLIENT_UNCONFIRMED))
        err = ERR_STALE_CLIENTID;
    if (err != ERR_OK)
        return nfs4__status(compound, err);
    nfs4__client_used(compound, client);
    nfs4__connection_set_client(compound, id);
    *client_r = client;
    return NFS4_OK;
}

uint32_t nfs4__client_of_owner(struct nfs4_compound *compound, uint64_t id, struct client **client_r)
{
    if (compound->minor == 0)
        return nfs4__client_of_id(compound, id, client_r);
    /* The id in the arguments is not looked at (RFC 8881 18.16.3). */
    *client_r = compound->session->client;
    return NFS4_OK;
}

void nfs4__wait_for_records(struct nfs4_compound *compound, uint64_t writes_before)
{
    if (recovery_writes(compound->server->state) != writes_before)
        vfs_wait_for_metadata(&compound->context);
}

/* ---- files ---- */

static uint64_t ino_of(const struct nfs4_filehandle *fh)
{
    return vfs_attr(fh->inode)->ino;
}

struct state_file *nfs4__state_file_find(const struct nfs4_compound *compound,
                                         const struct nfs4_filehandle *fh)
{
    return state_file_find(compound->server->state, fh->export_id, ino_of(fh));
}

static void release_inode(void *user)
{
    struct inode *inode = user;

    vfs_unref(&inode);
}

uint32_t nfs4__state_file_get(struct nfs4_compound *compound, const struct nfs4_filehandle *fh,
                              struct state_file **file_r)
{
    enum err err = state_file_get(compound->server->state, fh->export_id, ino_of(fh), file_r);

    if (err != ERR_OK)
        return nfs4__status(compound, err);
    if (state_file_user(*file_r) == NULL)
        state_file_set_user(*file_r, vfs_ref(fh->inode), release_inode);
    return NFS4_OK;
}

void nfs4__state_file_name(const struct nfs4_compound *compound, struct state_file *file,
                           struct store_name name)
{
    state_file_set_name(file, ino_of(&compound->current), name.bytes, name.length);
}
