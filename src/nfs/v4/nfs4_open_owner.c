/*
 * nfs4_open_owner.c - the sequence of an owner's requests in NFSv4.0 (RFC 7530 9.1.7), and what an owner does
 * with an open that it has: OPEN_CONFIRM, OPEN_DOWNGRADE, CLOSE (RFC 7530 16.18, RFC 8881 18.18, 18.2).
 *
 * The reply to the last request of an owner is kept as the bytes that were sent, together with the operation
 * and, for OPEN, the filehandle that it leaves as the current one: so a retry is answered the same, byte for
 * byte, whatever became of the file meanwhile.
 */
#include "nfs/v4/nfs4_open_priv.h"
#include "nfs/v4/nfs4_operations.h"
#include "nfs/v4/nfs4_server.h"
#include <string.h>

enum { RESULTS_MAX = 2048 };

/* What is kept: this, and the results behind the status. */
struct kept {
    uint32_t opnum, status;
    uint8_t handle[VFS_HANDLE_SIZE]; /* OPEN that was done */
};

bool nfs4__decode_owner(struct reader *reader, struct nfs4_owner *owner_r)
{
    return reader_be64(reader, &owner_r->clientid) &&
           reader_xdr_opaque(reader, NFS4_OPAQUE_LIMIT, &owner_r->key, &owner_r->length);
}

/* ---- the sequence ---- */

/* The filehandle that a replayed OPEN leads to; its creation may not be durable yet. */
static uint32_t return_to_file(struct nfs4_compound *compound, const struct kept *kept)
{
    struct nfs4_filehandle fh = {.place = NFS4_IN_EXPORT};
    struct vfs_export *export;
    uint32_t status;
    enum err err =
        vfs_handle_decode(compound->server->vfs, kept->handle, VFS_HANDLE_SIZE, &export, &fh.inode);

    if (err != ERR_OK)
        return nfs4__status(compound, err);
    fh.export_id = vfs_export_id(export);
    nfs4__set_current(compound, &fh);
    status = nfs4__context(compound);
    if (status == NFS4_OK)
        vfs_wait_for_metadata(&compound->context);
    return status;
}

static uint32_t replay(struct nfs4_compound *compound, const uint8_t *reply, size_t length)
{
    struct kept kept;
    uint32_t status;

    /* It was too long to be kept, or memory was out. */
    if (reply == NULL || length < sizeof kept)
        return NFS4ERR_RESOURCE;
    memcpy(&kept, reply, sizeof kept);
    if (kept.opnum != compound->opnum)
        return NFS4ERR_BAD_SEQID;
    writer_bytes(&compound->call->reply, reply + sizeof kept, length - sizeof kept);
    if (kept.opnum == OP_OPEN && kept.status == NFS4_OK) {
        status = return_to_file(compound, &kept);
        if (status != NFS4_OK)
            return status;
    }
    return kept.status;
}

/* An owner whose first open was never confirmed begins anew (RFC 7530 16.18.5). */
static void drop_opens(struct owner *owner)
{
    struct client *client = owner_client(owner);
    struct open *open, *next;

    if (client == NULL || !owner_has_opens(owner))
        return;
    for (open = open_next_of_client(client, NULL); open != NULL; open = next) {
        next = open_next_of_client(client, open);
        if (open_owner(open) == owner)
            open_close(open);
    }
}

static enum owner_sequence look_at(struct nfs4_compound *compound, struct owner *owner, uint32_t seqid,
                                   const uint8_t **reply_r, size_t *length_r)
{
    enum owner_sequence what = owner_sequence_check(owner, seqid, reply_r, length_r);

    if (compound->opnum != OP_OPEN || owner_is_confirmed(owner))
        return what;
    if (what == OWNER_SEQUENCE_BAD) {
        owner_sequence_forget(owner);
        what = owner_sequence_check(owner, seqid, reply_r, length_r);
    }
    if (what == OWNER_SEQUENCE_NEW)
        drop_opens(owner);
    return what;
}

bool nfs4__sequence_begin(struct nfs4_compound *compound, struct nfs4_sequence *sequence, struct owner *owner,
                          uint32_t seqid, uint32_t *status_r)
{
    const uint8_t *reply;
    size_t length;

    sequence->owner = NULL;
    if (compound->minor > 0)
        return true;
    switch (look_at(compound, owner, seqid, &reply, &length)) {
    case OWNER_SEQUENCE_NEW:
        sequence->owner = owner_ref(owner);
        owner_keep(owner);
        return true;
    case OWNER_SEQUENCE_REPLAY:
        *status_r = replay(compound, reply, length);
        return false;
    case OWNER_SEQUENCE_BUSY:
        *status_r = NFS4ERR_DELAY;
        return false;
    case OWNER_SEQUENCE_BAD:
        break;
    }
    *status_r = NFS4ERR_BAD_SEQID;
    return false;
}

/* RFC 7530 9.1.7: these leave the sequence where it was. */
static bool uses_seqid(uint32_t status)
{
    switch (status) {
    case NFS4ERR_STALE_CLIENTID:
    case NFS4ERR_STALE_STATEID:
    case NFS4ERR_BAD_STATEID:
    case NFS4ERR_BAD_SEQID:
    case NFS4ERR_BADXDR:
    case NFS4ERR_RESOURCE:
    case NFS4ERR_NOFILEHANDLE:
    case NFS4ERR_MOVED:
        return false;
    default:
        return true;
    }
}

uint32_t nfs4__sequence_end(struct nfs4_compound *compound, struct nfs4_sequence *sequence, uint32_t status)
{
    const struct writer *reply = &compound->call->reply;
    size_t results_at = compound->result_at + 4;
    size_t length = reply->length - results_at;
    struct kept kept = {.opnum = compound->opnum, .status = status};
    uint8_t bytes[sizeof kept + RESULTS_MAX];

    if (sequence->owner == NULL)
        return status;
    if (status != NFS4_OK && !(compound->operation->flags & NFS4_BODY_ON_ERROR))
        length = 0;
    if (status == NFS4_OK && compound->opnum == OP_OPEN)
        nfs4__filehandle_encode(compound->server, &compound->current, kept.handle);
    if (reply->failed || length > RESULTS_MAX) {
        owner_sequence_done(sequence->owner, uses_seqid(status), NULL, 0);
    } else {
        memcpy(bytes, &kept, sizeof kept);
        memcpy(bytes + sizeof kept, reply->data + results_at, length);
        owner_sequence_done(sequence->owner, uses_seqid(status), bytes, sizeof kept + length);
    }
    owner_unref(&sequence->owner);
    return status;
}

/* ---- OPEN_CONFIRM, OPEN_DOWNGRADE, CLOSE ---- */

struct held_open_args {
    struct nfs4_stateid stateid;
    uint32_t seqid, access, deny;
};

/* An open of an owner that has yet to confirm its first is good for that only. */
static bool is_unconfirmed(const struct nfs4_compound *compound, const struct open *open)
{
    return compound->minor == 0 && !owner_is_confirmed(open_owner(open));
}

bool nfs4__open_confirm_decode(struct nfs4_compound *compound)
{
    struct held_open_args *args = nfs4_new_args(compound, struct held_open_args);

    return nfs4__decode_stateid(&compound->arguments, &args->stateid) &&
           reader_be32(&compound->arguments, &args->seqid);
}

uint32_t nfs4__open_confirm(struct nfs4_compound *compound)
{
    const struct held_open_args *args = nfs4_args(compound, struct held_open_args);
    struct nfs4_sequence sequence;
    struct stateid_object object;
    uint32_t status;

    if (!nfs4__stateid_begin(compound, &sequence, &args->stateid, STATEID_OPEN, args->seqid, &object,
                             &status))
        return status;
    if (!is_unconfirmed(compound, object.open))
        return nfs4__sequence_end(compound, &sequence, NFS4ERR_BAD_STATEID);
    owner_set_confirmed(open_owner(object.open), true);
    nfs4__stateid_result(compound, open_stateid_next(object.open));
    return nfs4__sequence_end(compound, &sequence, NFS4_OK);
}

bool nfs4__open_downgrade_decode(struct nfs4_compound *compound)
{
    struct held_open_args *args = nfs4_new_args(compound, struct held_open_args);
    struct reader *reader = &compound->arguments;

    return nfs4__decode_stateid(reader, &args->stateid) && reader_be32(reader, &args->seqid) &&
           reader_be32(reader, &args->access) && reader_be32(reader, &args->deny);
}

static uint32_t downgrade(struct nfs4_compound *compound, const struct held_open_args *args,
                          struct open *open)
{
    uint32_t access = args->access;
    enum err err;

    /* RFC 8881 18.18.3: wishes for delegations are not looked at here. */
    if (compound->minor > 0)
        access &= ~(uint32_t)(WANT_MASK | WANT_SIGNAL_MASK | WANT_HINTS);
    if (access < SHARE_ACCESS_READ || access > SHARE_ACCESS_BOTH || args->deny > SHARE_DENY_BOTH)
        return NFS4ERR_INVAL;
    if (is_unconfirmed(compound, open))
        return NFS4ERR_BAD_STATEID;
    err = open_downgrade(open, access, args->deny);
    if (err != ERR_OK)
        return nfs4__status(compound, err);
    nfs4__stateid_result(compound, open_stateid_next(open));
    return NFS4_OK;
}

uint32_t nfs4__open_downgrade(struct nfs4_compound *compound)
{
    const struct held_open_args *args = nfs4_args(compound, struct held_open_args);
    struct nfs4_sequence sequence;
    struct stateid_object object;
    uint32_t status;

    if (!nfs4__stateid_begin(compound, &sequence, &args->stateid, STATEID_OPEN, args->seqid, &object,
                             &status))
        return status;
    return nfs4__sequence_end(compound, &sequence, downgrade(compound, args, object.open));
}

bool nfs4__close_decode(struct nfs4_compound *compound)
{
    struct held_open_args *args = nfs4_new_args(compound, struct held_open_args);

    return reader_be32(&compound->arguments, &args->seqid) &&
           nfs4__decode_stateid(&compound->arguments, &args->stateid);
}

/* Locks go with the open (RFC 8881 18.2.3 lets us). */
uint32_t nfs4__close(struct nfs4_compound *compound)
{
    const struct held_open_args *args = nfs4_args(compound, struct held_open_args);
    struct nfs4_sequence sequence;
    struct stateid_object object;
    struct stateid last;
    uint32_t status;

    if (!nfs4__stateid_begin(compound, &sequence, &args->stateid, STATEID_OPEN, args->seqid, &object,
                             &status))
        return status;
    if (is_unconfirmed(compound, object.open))
        return nfs4__sequence_end(compound, &sequence, NFS4ERR_BAD_STATEID);
    last = compound->minor == 0 ? open_stateid_next(object.open) : nfs4__stateid_invalid();
    open_close(object.open);
    nfs4__stateid_result(compound, last);
    return nfs4__sequence_end(compound, &sequence, NFS4_OK);
}
