/*
 * smb2_replay.c - channel sequence numbers (MS-SMB2 3.3.5.2.10): a client that has lost a channel says so
 * with a higher number, and asks again, with SMB2_FLAGS_REPLAY_OPERATION, what it had asked there. What
 * changes something and may have been overtaken by what was asked later, or overtake what is still being
 * done, is refused with STATUS_FILE_NOT_AVAILABLE.
 *
 * Invariant: an open's `outstanding` requests have its channel sequence, those `outstanding_before` an
 * earlier one; a request that is counted is in one of them until its reply.
 */
#include "smb/smb2_priv.h"

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
