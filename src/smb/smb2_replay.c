/*
 * smb2_replay.c - channel sequence numbers (MS-SMB2 3.3.5.2.10): a client that has lost a channel says so
 * with a higher number, and asks again, with SMB2_FLAGS_REPLAY_OPERATION, what it had asked there. What
 * changes something and may have been overtaken by what was asked later, or overtake what is still being
 * done, is refused with STATUS_FILE_NOT_AVAILABLE.
 *
 * Invariant: an open's `outstanding` requests have its channel sequence, those `outstanding_before` an
 * earlier one; a request that is counted is in one of them until its reply.
 */
#include "smb/smb2_create_priv.h"

#include <string.h>

static bool is_sequenced(const struct smb2_request *request)
{
    const struct smb2_conn *conn = request->message->conn;

    return request->open != NULL && conn != NULL && conn->dialect >= 0x0300;
}

static bool changes(const struct smb2_request *request)
{
    return request->header.command == SMB2_WRITE || request->header.command == SMB2_SET_INFO ||
           request->header.command == SMB2_IOCTL;
}

static void count(struct smb2_request *request)
{
    request->open->outstanding++;
    request->is_counted = true;
}

/* What has been asked so far belongs to an earlier time. */
static void move_on(struct smb2_open *open, uint16_t sequence)
{
    open->outstanding_before += open->outstanding;
    open->outstanding = 0;
    open->channel_sequence = sequence;
}

uint32_t smb2__replay_begin(struct smb2_request *request)
{
    struct smb2_open *open = request->open;
    uint16_t sequence = request->header.channel_sequence;
    bool replays = (request->header.flags & SMB2_FLAG_REPLAY) != 0, is_newer;

    if (!is_sequenced(request))
        return STATUS_SUCCESS;
    is_newer = sequence != open->channel_sequence && (uint16_t)(sequence - open->channel_sequence) <= 0x7fff;
    if (is_newer)
        move_on(open, sequence);
    if (sequence == open->channel_sequence && (!replays || open->outstanding_before == 0)) {
        count(request);
        return STATUS_SUCCESS;
    }
    return changes(request) ? STATUS_FILE_NOT_AVAILABLE : STATUS_SUCCESS;
}

void smb2__replay_end(struct smb2_request *request)
{
    struct smb2_open *open = request->open;

    if (!request->is_counted)
        return;
    request->is_counted = false;
    if (request->header.channel_sequence == open->channel_sequence)
        open->outstanding--;
    else
        open->outstanding_before--;
}

/* ---- CREATE ---- */

static struct smb2_open *find_by_guid(const struct smb2_create *create)
{
    const struct smb2_request *request = create->request;
    const struct smb_server *server = request->message->server;
    const uint8_t *guid = create->durable.create_guid;
    struct hashlink *link = hashtable_find(&server->create_guids, siphash64(&server->hash_key, guid, 16));

    for (; link != NULL; link = hashtable_find_next(link)) {
        struct smb2_open *open = container_of(link, struct smb2_open, by_guid);

        if (open->machine == request->session->machine &&
            memcmp(open->create_guid, guid, sizeof open->create_guid) == 0)
            return open;
    }
    return NULL;
}

static bool has_same_guid(const struct list *messages, const struct smb2_create *create)
{
    const struct list *link;

    list_for_each(link, messages)
    {
        const struct smb2_request *other = &container_of(link, const struct smb2_message, link)->request;

        if (other != create->request && other->waiting && other->has_create_guid &&
            memcmp(other->create_guid, create->durable.create_guid, sizeof other->create_guid) == 0)
            return true;
    }
    return false;
}

/* Is another CREATE with this id under way, on whatever channel of the session, or on one that is lost? */
static bool is_under_way(const struct smb2_create *create)
{
    const struct smb2_request *request = create->request;
    const struct list *at;

    list_for_each(at, &request->session->channels)
    {
        if (has_same_guid(&container_of(at, const struct smb2_channel, session_link)->conn->messages, create))
            return true;
    }
    return has_same_guid(&request->session->lost, create);
}

/* MS-SMB2 3.3.5.9.10: is the CREATE that comes again the one that made OPEN? */
static uint32_t check_replay(const struct smb2_create *create, const struct smb2_open *open)
{
    const struct smb2_request *request = create->request;
    bool has_lease = create->lease.version != 0;

    if (request->session->is_nameless || open->tree->session->user.uid != request->session->user.uid)
        return STATUS_ACCESS_DENIED;
    if (has_lease != (open->lease != NULL) ||
        (has_lease && memcmp(open->lease->key, create->lease.key, sizeof create->lease.key) != 0))
        return STATUS_ACCESS_DENIED;
    if (open->session != NULL && open->session != request->session)
        return STATUS_DUPLICATE_OBJECTID;
    return open->tree->export_id == request->tree->export_id ? STATUS_SUCCESS : STATUS_ACCESS_DENIED;
}

uint32_t smb2__replay_create(struct smb2_create *create, struct smb2_open **open_r)
{
    struct smb2_request *request = create->request;
    bool replays = (request->header.flags & SMB2_FLAG_REPLAY) != 0;
    struct smb2_open *open;
    uint32_t status;

    if (!create->durable.asks_v2)
        return STATUS_SUCCESS;
    request->has_create_guid = true;
    memcpy(request->create_guid, create->durable.create_guid, sizeof request->create_guid);
    open = find_by_guid(create);
    if (open == NULL)
        return is_under_way(create) ? replays ? STATUS_FILE_NOT_AVAILABLE : STATUS_DUPLICATE_OBJECTID
                                    : STATUS_SUCCESS;
    if (!open->is_replay_eligible)
        return replays ? STATUS_SUCCESS : STATUS_DUPLICATE_OBJECTID;
    if (!replays)
        return STATUS_DUPLICATE_OBJECTID;
    status = check_replay(create, open);
    if (status == STATUS_SUCCESS && open->session == NULL)
        status = smb2__durable_take_up(request, open);
    if (status == STATUS_SUCCESS)
        *open_r = open;
    return status;
}

void smb2__replay_note(const struct smb2_create *create, struct smb2_open *open)
{
    struct smb_server *server = create->request->message->server;

    open->is_replay_eligible = true;
    open->action = create->action;
    if (!create->durable.asks_v2)
        return;
    memcpy(open->create_guid, create->durable.create_guid, sizeof open->create_guid);
    /* Without memory for it the open can't be asked for again, and that is all. */
    open->has_create_guid = hashtable_insert(&server->create_guids, &open->by_guid,
                                             siphash64(&server->hash_key, open->create_guid, 16));
}

/* ---- LOCK ---- */

enum { LOCK_NUMBER_BITS = 4, LOCK_NUMBER = 0xf, LOCK_VALID = 0x80 };

/* MS-SMB2 3.3.5.14: where the LOCK's number is kept, or NULL. */
static uint8_t *lock_number(const struct smb2_request *request, uint32_t sequence)
{
    const struct smb2_conn *conn = request->message->conn;
    struct smb2_open *open = request->open;
    uint32_t index = sequence >> LOCK_NUMBER_BITS;

    if (conn == NULL || conn->dialect < 0x0210 || index == 0 || index > SMB2_LOCK_SEQUENCES)
        return NULL;
    if (!open->is_resilient && !open->is_durable && conn->dialect < 0x0300)
        return NULL;
    return &open->lock_numbers[index - 1];
}

bool smb2__replay_lock_is_done(const struct smb2_request *request, uint32_t sequence)
{
    uint8_t *number = lock_number(request, sequence);

    if (number == NULL)
        return false;
    if (*number == (LOCK_VALID | (sequence & LOCK_NUMBER)))
        return true;
    *number = 0;
    return false;
}

void smb2__replay_lock_done(const struct smb2_request *request, uint32_t sequence)
{
    uint8_t *number = lock_number(request, sequence);

    if (number != NULL)
        *number = (uint8_t)(LOCK_VALID | (sequence & LOCK_NUMBER));
}
