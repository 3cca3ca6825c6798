/*
 * nfs4_delegation_want.c - delegations that are asked for by themselves: WANT_DELEGATION, and of directories
 * GET_DIR_DELEGATION (RFC 8881 18.49, 18.39, 10.9).
 *
 * A directory's delegation comes with the notifications that are asked for and that we have (nfs4_notice.c);
 * a change of its entries by another client that the holder does not want to be told of recalls it. Nobody is
 * told later that he could have one now.
 */
#include "nfs/v4/nfs4_delegation.h"
#include "nfs/v4/nfs4_notice.h"
#include "nfs/v4/nfs4_open_priv.h"
#include "nfs/v4/nfs4_operations.h"
#include "nfs/v4/nfs4_server.h"

/* ---- WANT_DELEGATION ---- */

struct want_args {
    uint32_t want;
    enum nfs4_claim claim;
    uint32_t type; /* CLAIM_PREVIOUS */
};

bool nfs4__want_delegation_decode(struct nfs4_compound *compound)
{
    struct want_args *args = nfs4_new_args(compound, struct want_args);
    struct reader *reader = &compound->arguments;
    uint32_t claim;

    if (!reader_be32(reader, &args->want) || !reader_be32(reader, &claim))
        return false;
    args->claim = (enum nfs4_claim)claim;
    if (claim == CLAIM_PREVIOUS)
        return reader_be32(reader, &args->type);
    return claim == CLAIM_FH || claim == CLAIM_DELEG_PREV_FH;
}

static uint32_t check_want(const struct want_args *args)
{
    uint32_t want = args->want & WANT_MASK;

    if ((args->want & ~(uint32_t)(WANT_MASK | WANT_SIGNAL_MASK | WANT_HINTS)) != 0 || want > WANT_CANCEL)
        return NFS4ERR_INVAL;
    if (args->claim == CLAIM_DELEG_PREV_FH)
        return NFS4ERR_NOTSUPP; /* delegations don't outlive the client */
    if (args->claim == CLAIM_PREVIOUS)
        return args->type == DELEGATE_READ || args->type == DELEGATE_WRITE ? NFS4_OK : NFS4ERR_INVAL;
    return want == WANT_NO_PREFERENCE || want == WANT_NONE ? NFS4ERR_INVAL : NFS4_OK;
}

/* The kind of delegation that comes out of it; DELEGATE_NONE: the user may not have what he wants. */
static enum nfs4_delegation_type type_of(const struct want_args *args, unsigned io)
{
    uint32_t want = args->want & WANT_MASK;

    if (args->claim == CLAIM_PREVIOUS)
        return (enum nfs4_delegation_type)args->type;
    if ((want == WANT_WRITE || want == WANT_ANY) && io == (NFS4_IO_READ | NFS4_IO_WRITE))
        return DELEGATE_WRITE;
    return want != WANT_WRITE && (io & NFS4_IO_READ) ? DELEGATE_READ : DELEGATE_NONE;
}

static enum err give(struct nfs4_compound *compound, struct nfs4_delegation_wish *wish,
                     struct nfs4_delegation **delegation_r, uint32_t *status_r)
{
    enum err err;

    wish->client = compound->session->client;
    wish->fh = &compound->current;
    *status_r = nfs4__state_file_get(compound, &compound->current, &wish->file);
    if (*status_r != NFS4_OK)
        return ERR_NOMEM;
    err = nfs4__delegation_give(compound, wish, delegation_r);
    state_file_unref(&wish->file);
    return err;
}

static unsigned io_allowed(struct nfs4_compound *compound)
{
    unsigned has =
        vfs_access(&compound->context, compound->current.inode, VFS_ACCESS_READ | VFS_ACCESS_WRITE);

    return (has & VFS_ACCESS_READ ? NFS4_IO_READ : 0u) | (has & VFS_ACCESS_WRITE ? NFS4_IO_WRITE : 0u);
}

static uint32_t want_file(struct nfs4_compound *compound, const struct want_args *args)
{
    struct nfs4_delegation_wish wish = {.reclaim = args->claim == CLAIM_PREVIOUS};
    struct nfs4_delegation *delegation;
    uint32_t status;
    enum err err;

    wish.io = io_allowed(compound);
    wish.type = type_of(args, wish.io);
    if ((args->want & WANT_MASK) == WANT_CANCEL && !wish.reclaim) {
        nfs4__delegation_encode_none(compound, args->want & WANT_MASK, WHY_CANCELLED);
        return NFS4_OK;
    }
    if (wish.type == DELEGATE_NONE)
        return NFS4ERR_ACCESS;
    err = give(compound, &wish, &delegation, &status);
    if (status != NFS4_OK)
        return status;
    if (err == ERR_OK)
        nfs4__delegation_encode(compound, delegation, wish.reclaim && !compound->server->delegations);
    else if (wish.reclaim && (err == ERR_AGAIN || err == ERR_EXIST))
        return NFS4ERR_RECLAIM_CONFLICT;
    else if (wish.reclaim)
        return nfs4__status(compound, err);
    else
        nfs4__delegation_encode_none(compound, WANT_ANY, nfs4__delegation_why(err));
    return NFS4_OK;
}

/* As for OPEN (nfs4_open.c). */
static uint32_t check_grace(const struct nfs4_compound *compound, bool reclaim)
{
    const struct client *client = compound->session->client;
    enum err err = grace_check(client, reclaim);

    if (err != ERR_OK)
        return nfs4__status(compound, err);
    return !reclaim && !grace_is_complete(client) ? NFS4ERR_GRACE : NFS4_OK;
}

uint32_t nfs4__want_delegation(struct nfs4_compound *compound)
{
    const struct want_args *args = nfs4_args(compound, struct want_args);
    struct inode_attr attr;
    uint32_t status = check_want(args);

    if (status == NFS4_OK)
        status = check_grace(compound, args->claim == CLAIM_PREVIOUS);
    if (status == NFS4_OK)
        status = nfs4__context(compound);
    if (status != NFS4_OK)
        return status;
    vfs_getattr(compound->current.inode, &attr);
    if (attr.type == INODE_FILE)
        return want_file(compound, args);
    nfs4__delegation_encode_none(compound, WANT_ANY,
                                 attr.type == INODE_DIRECTORY ? WHY_IS_DIR : WHY_NOT_SUPP_FTYPE);
    return NFS4_OK;
}

/* ---- GET_DIR_DELEGATION ---- */

struct get_dir_args {
    bool signal;
    struct nfs4_notice_wish notices;
};

/* attr_notice4, an nfstime4; what is no time is none to wait. */
static bool decode_delay(struct reader *reader, uint64_t *delay_ms_r)
{
    const uint64_t most_s = UINT32_MAX;
    uint64_t seconds;
    uint32_t nanoseconds;

    if (!reader_be64(reader, &seconds) || !reader_be32(reader, &nanoseconds))
        return false;
    if (seconds > INT64_MAX)
        *delay_ms_r = 0;
    else
        *delay_ms_r = (seconds < most_s ? seconds : most_s) * 1000 + nanoseconds / 1000000;
    return true;
}

bool nfs4__get_dir_delegation_decode(struct nfs4_compound *compound)
{
    struct get_dir_args *args = nfs4_new_args(compound, struct get_dir_args);
    struct reader *reader = &compound->arguments;

    return reader_xdr_bool(reader, &args->signal) && nfs4__decode_bitmap(reader, &args->notices.types) &&
           decode_delay(reader, &args->notices.child_delay_ms) &&
           decode_delay(reader, &args->notices.dir_delay_ms) &&
           nfs4__decode_bitmap(reader, &args->notices.child_attributes) &&
           nfs4__decode_bitmap(reader, &args->notices.dir_attributes);
}

static void encode_dir(struct nfs4_compound *compound, const struct nfs4_delegation *delegation,
                       const struct nfs4_notice_wish *notices)
{
    enum { GDD4_OK = 0 };
    struct writer *reply = &compound->call->reply;

    writer_be32(reply, GDD4_OK);
    writer_zeros(reply, NFS4_VERIFIER_SIZE); /* READDIR's: cookies are always good */
    nfs4__stateid_result(compound, grant_stateid(delegation->grant));
    nfs4__encode_bitmap(reply, &notices->types);
    nfs4__encode_bitmap(reply, &notices->child_attributes);
    nfs4__encode_bitmap(reply, &notices->dir_attributes);
}

/* Without memory for it, or a word to say, there are no notifications. */
static struct nfs4_notice *make_notice(struct nfs4_compound *compound, struct nfs4_notice_wish *wish)
{
    struct nfs4_notice *notice = NULL;

    nfs4__notice_reduce(wish);
    if (wish->types.words[0] != 0)
        notice = nfs4__notice_new(compound->server, compound->current.inode, wish);
    if (notice == NULL)
        *wish = (struct nfs4_notice_wish){.child_delay_ms = 0};
    return notice;
}

uint32_t nfs4__get_dir_delegation(struct nfs4_compound *compound)
{
    enum { GDD4_UNAVAIL = 1 };
    struct get_dir_args *args = nfs4_args(compound, struct get_dir_args);
    struct nfs4_delegation_wish wish = {.type = DELEGATE_READ};
    struct nfs4_delegation *delegation = NULL;
    uint32_t status = nfs4__check_directory(&compound->current);
    enum err err = ERR_NOTSUPP;

    if (status == NFS4_OK)
        status = check_grace(compound, false);
    if (status == NFS4_OK && compound->current.place == NFS4_IN_EXPORT) {
        status = nfs4__context(compound);
        if (status == NFS4_OK && !(io_allowed(compound) & NFS4_IO_READ))
            status = NFS4ERR_ACCESS;
        if (status == NFS4_OK) {
            wish.notice = make_notice(compound, &args->notices);
            err = give(compound, &wish, &delegation, &status);
            nfs4__notice_free(&wish.notice);
        }
    }
    if (status != NFS4_OK)
        return status;
    if (err == ERR_OK) {
        encode_dir(compound, delegation, &args->notices);
    } else {
        writer_be32(&compound->call->reply, GDD4_UNAVAIL);
        writer_xdr_bool(&compound->call->reply, false);
    }
    return NFS4_OK;
}
