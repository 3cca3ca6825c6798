/*
 * smb2_admin.c - what administrators see of machines and sessions, and their end by hand.
 *
 * A session that is ended this way is gone as after LOGOFF: the client's next request is answered
 * STATUS_USER_SESSION_DELETED.
 */
#include "smb/smb2_priv.h"

#include <stdio.h>
#include <string.h>

static const char *dialect_text(uint16_t dialect)
{
    static const struct {
        uint16_t dialect;
        const char *text;
    } rows[] = {{0x0202, "SMB 2.0.2"},
                {0x0210, "SMB 2.1"},
                {0x0300, "SMB 3.0"},
                {0x0302, "SMB 3.0.2"},
                {0x0311, "SMB 3.1.1"}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].dialect == dialect)
            return rows[i].text;
    }
    return "SMB";
}

static void describe(const struct client *client, void *user, struct client_description *description)
{
    const struct smb2_client *machine = user;
    char address[NET_ADDRESS_TEXT];

    (void)client;
    description->protocol = dialect_text(machine->dialect);
    if (machine->dialect == 0)
        return;
    snprintf(description->name, sizeof description->name, "%s", machine->user);
    snprintf(description->address, sizeof description->address, "%s",
             net_address_format(&machine->peer, address));
}

static struct smb2_session *any_session(const struct smb2_client *machine)
{
    const struct hashtable *sessions = &machine->server->sessions;

    for (struct hashlink *at = hashtable_walk(sessions, NULL); at != NULL;
         at = hashtable_walk(sessions, at)) {
        struct smb2_session *session = container_of(at, struct smb2_session, link);

        if (session->machine == machine)
            return session;
    }
    return NULL;
}

static void disconnect(struct client *client, void *user)
{
    struct smb2_client *machine = user;
    struct smb2_session *session;

    (void)client;
    machine->references++; /* the last session's end would be its */
    while ((session = any_session(machine)) != NULL)
        smb2__session_close(session);
    smb2__durable_end_machine(machine);
    smb2__client_unref(&machine);
}

const struct client_operations smb2__client_operations = {.describe = describe, .disconnect = disconnect};

bool smb_session_next(const struct smb_server *server, uint64_t after, struct smb_session_info *info_r)
{
    const struct smb2_session *best = NULL;
    struct hashlink *at = NULL;

    while ((at = hashtable_walk(&server->sessions, at)) != NULL) {
        const struct smb2_session *session = container_of(at, struct smb2_session, link);

        if (session->valid && session->id > after && (best == NULL || session->id < best->id))
            best = session;
    }
    if (best == NULL)
        return false;
    *info_r = (struct smb_session_info){.id = best->id,
                                        .dialect = dialect_text(best->dialect),
                                        .peer = best->peer,
                                        .channels = best->channel_count,
                                        .trees = best->tree_count,
                                        .opens = best->open_count};
    memcpy(info_r->user, best->user.name, sizeof info_r->user);
    return true;
}

enum err smb_session_disconnect(struct smb_server *server, uint64_t id)
{
    struct smb2_session *session = smb2__session_find(server, id);

    if (session == NULL || !session->valid)
        return ERR_NOENT;
    smb2__session_close(session);
    return ERR_OK;
}

void smb_user_disconnect(struct smb_server *server, const char *user)
{
    struct smb_session_info info = {.id = 0};

    while (smb_session_next(server, info.id, &info)) {
        struct smb2_session *session = smb2__session_find(server, info.id);

        if (session != NULL && !session->is_guest && strcmp(info.user, user) == 0)
            smb2__session_close(session);
    }
}

void smb2__open_name(const struct smb2_open *open)
{
    struct inode_attr dir;

    if (open->dir == NULL)
        return;
    vfs_getattr(open->dir, &dir);
    state_file_set_name(open->file, dir.ino, open->name, open->name_length);
}
