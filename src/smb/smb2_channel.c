/*
 * smb2_channel.c - where sessions, connections and machines meet: the channels of a session
 * (MS-SMB2 3.3.1.14), what a connection must be like to be bound to one (3.3.5.5), and the machine whose
 * opens all of them are.
 *
 * SESSION_SETUP makes a channel: the first one with its session, another one when it binds. The end of a
 * connection ends its channels; the end of a session's last channel ends the session.
 *
 * To state a client of SMB is a machine: all sessions with one ClientGuid (MS-SMB2 3.3.1.16 knows leases by
 * it). Opens hold it on, too, since an open may outlive its session. A ClientGuid of zeros, which is
 * what 2.0.2 sends, says nothing: each such session is a machine of its own.
 */
#include "smb/smb2_priv.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

/* ---- machines ---- */

static const uint8_t no_guid[16];

static struct smb2_client *client_find(const struct smb_server *server, const uint8_t guid[16], uint64_t hash)
{
    struct hashlink *link = hashtable_find(&server->clients, hash);

    for (; link != NULL; link = hashtable_find_next(link)) {
        struct smb2_client *client = container_of(link, struct smb2_client, link);

        if (memcmp(client->guid, guid, sizeof client->guid) == 0)
            return client;
    }
    return NULL;
}

/* OWNER: what tells it from the others of the family. */
static enum err register_client(struct smb2_client *client, const void *owner, size_t length)
{
    struct client_spec spec = {.family = SMB2_FAMILY,
                               .owner = owner,
                               .owner_length = length,
                               .operations = &smb2__client_operations,
                               .user = client};
    struct client *made;
    enum err err = client_new(client->server->state, &spec, NULL, &made);

    if (err == ERR_OK)
        client->client = client_hold(client_confirm(made));
    return err;
}

static void unregister_client(struct smb2_client *client)
{
    client_destroy(client->client);
    client_drop(&client->client);
}

enum err smb2__client_get(struct smb_server *server, const uint8_t guid[16], uint64_t session_id,
                          struct smb2_client **client_r)
{
    uint64_t hash = siphash64(&server->hash_key, guid, 16);
    bool is_shared = memcmp(guid, no_guid, sizeof no_guid) != 0;
    struct smb2_client *client = is_shared ? client_find(server, guid, hash) : NULL;
    enum err err;

    if (client != NULL) {
        client->references++;
        *client_r = client;
        return ERR_OK;
    }
    client = calloc(1, sizeof *client);
    if (client == NULL)
        return ERR_NOMEM;
    client->references = 1;
    client->server = server;
    memcpy(client->guid, guid, sizeof client->guid);
    err = is_shared ? register_client(client, guid, 16)
                    : register_client(client, &session_id, sizeof session_id);
    if (err == ERR_OK && is_shared && !hashtable_insert(&server->clients, &client->link, hash)) {
        unregister_client(client);
        err = ERR_NOMEM;
    }
    if (err != ERR_OK) {
        free(client);
        return err;
    }
    *client_r = client;
    return ERR_OK;
}

void smb2__client_unref(struct smb2_client **client)
{
    struct smb2_client *gone = *client;

    *client = NULL;
    if (gone == NULL || --gone->references > 0)
        return;
    if (memcmp(gone->guid, no_guid, sizeof no_guid) != 0)
        hashtable_remove(&gone->server->clients, &gone->link);
    unregister_client(gone);
    free(gone);
}

/* ---- channels ---- */

static void on_logon_late(struct loop_timer *timer)
{
    struct smb2_channel *channel = container_of(timer, struct smb2_channel, logon_timer);

    smb2__channel_settle(channel);
    /* A logon that is done anew leaves what there was (MS-SMB2 3.3.5.5.3). */
    if (!channel->valid)
        smb2__channel_end(channel);
}

enum err smb2__channel_new(struct smb2_session *session, struct smb2_conn *conn,
                           struct smb2_channel **channel_r)
{
    struct smb2_channel *channel;

    if (conn->channel_count >= SMB2_SESSIONS_MAX || session->channel_count >= SMB2_CHANNELS_MAX)
        return ERR_LIMIT;
    channel = calloc(1, sizeof *channel);
    if (channel == NULL)
        return ERR_NOMEM;
    channel->references = 1;
    channel->session = session;
    session->references++;
    channel->conn = conn;
    memcpy(channel->preauth, conn->preauth, sizeof channel->preauth);
    list_push_back(&session->channels, &channel->session_link);
    session->channel_count++;
    list_push_back(&conn->channels, &channel->conn_link);
    conn->channel_count++;
    channel->logon_timer.callback = on_logon_late;
    *channel_r = channel;
    return ERR_OK;
}

struct smb2_channel *smb2__channel_find(const struct smb2_conn *conn, uint64_t session_id)
{
    const struct list *link;

    list_for_each(link, &conn->channels)
    {
        struct smb2_channel *channel = container_of(link, struct smb2_channel, conn_link);

        if (channel->session->id == session_id)
            return channel;
    }
    return NULL;
}

struct smb2_key *smb2__channel_key(const struct smb2_channel *channel)
{
    return channel->signing != NULL ? channel->signing : channel->session->signing;
}

void smb2__channel_settle(struct smb2_channel *channel)
{
    loop_timer_stop(&channel->logon_timer);
    cred_acceptor_close(&channel->acceptor);
}

void smb2__channel_unref(struct smb2_channel **channel)
{
    struct smb2_channel *gone = *channel;

    *channel = NULL;
    if (gone == NULL || --gone->references > 0)
        return;
    smb2_key_free(&gone->signing);
    smb2__session_unref(&gone->session);
    OPENSSL_cleanse(gone, sizeof *gone);
    free(gone);
}

struct smb2_conn *smb2__channel_conn(const struct smb2_session *session, uint64_t id)
{
    const struct smb2_channel *best = NULL;
    const struct list *link;

    list_for_each(link, &session->channels)
    {
        const struct smb2_channel *channel = container_of(link, const struct smb2_channel, session_link);

        if (channel->conn->closing)
            continue;
        if (channel->valid && channel->conn->id == id)
            return channel->conn;
        if (best == NULL || (channel->valid && !best->valid))
            best = channel;
    }
    return best == NULL ? NULL : best->conn;
}

void smb2__channel_end(struct smb2_channel *channel)
{
    struct smb2_session *session = channel->session;

    if (channel->conn == NULL)
        return;
    session->references++;
    smb2__channel_settle(channel);
    list_remove(&channel->conn_link);
    channel->conn->channel_count--;
    channel->conn = NULL;
    channel->valid = false;
    list_remove(&channel->session_link);
    session->channel_count--;
    smb2__channel_unref(&channel);
    if (session->channel_count == 0)
        smb2__session_end(session);
    smb2__session_unref(&session);
}

/* MS-SMB2 3.3.5.5, from 4 on; that a key of GMAC does not serve for another algorithm comes first, as what
 * the specification's authors do. Another ClientGuid is taken: a session stays its first connection's. */
uint32_t smb2__channel_may_bind(const struct smb2_session *session, const struct smb2_conn *conn)
{
    if (session->valid && session->signing_algorithm != conn->signing) {
        if (session->signing_algorithm == SMB2_SIGNING_AES_GMAC)
            return STATUS_REQUEST_OUT_OF_SEQUENCE;
        if (conn->signing == SMB2_SIGNING_AES_GMAC)
            return STATUS_NOT_SUPPORTED;
    }
    if (conn->dialect < 0x0300)
        return STATUS_REQUEST_NOT_ACCEPTED;
    if (conn->dialect != session->dialect || conn->cipher != session->cipher)
        return STATUS_INVALID_PARAMETER;
    return session->valid ? STATUS_SUCCESS : STATUS_REQUEST_NOT_ACCEPTED;
}
