/*
 * nfs4_open.c - OPEN (RFC 8881 18.16, RFC 7530 16.16).
 *
 * The happy path: the client and the open owner are found, in 4.0 the owner's sequence is looked at; the file
 * is found or made (by name: nfs4_open_create.c) or is the current one (reclaims, CLAIM_FH); its type and the
 * caller's rights are checked, unless he has just made it; nobody else denies what is asked for; a file that
 * is to be emptied is; the owner's open is made, or gets more access; a delegation is given, if it can be.
 *
 * A failure before the state room's part leaves nothing behind but a file that was made: as an open(2) that
 * fails after its creation does.
 */
#include "nfs/v4/nfs4_callback.h"
#include "nfs/v4/nfs4_open_priv.h"
#include "nfs/v4/nfs4_operations.h"
#include "nfs/v4/nfs4_server.h"
#include <string.h>

/* RFC 8881 18.16.2 */
enum { OPEN_CREATE = 1, RESULT_CONFIRM = 2, RESULT_LOCKTYPE_POSIX = 4, RESULT_MAY_NOTIFY_LOCK = 32 };

/* ---- arguments ---- */

static bool decode_how(struct nfs4_compound *compound, struct nfs4_open *open)
{
    struct reader *reader = &compound->arguments;
    uint32_t type, mode;

    if (!reader_be32(reader, &type) || type > OPEN_CREATE)
        return false;
    open->create = type == OPEN_CREATE;
    if (!open->create)
        return true;
    if (!reader_be32(reader, &mode) || mode > (compound->minor == 0 ? EXCLUSIVE4 : EXCLUSIVE4_1))
        return false;
    open->mode = (enum nfs4_create_mode)mode;
    if (mode >= EXCLUSIVE4 && !reader_copy(reader, open->verifier, sizeof open->verifier))
        return false;
    return mode == EXCLUSIVE4 || nfs4_attr_decode_set(reader, compound->minor, compound->server->idmap,
                                                      &compound->call->arena, &open->set);
}

static bool decode_claim(struct nfs4_compound *compound, struct nfs4_open *open)
{
    struct reader *reader = &compound->arguments;
    uint32_t claim;

    if (!reader_be32(reader, &claim) ||
        claim > (compound->minor == 0 ? CLAIM_DELEGATE_PREV : CLAIM_DELEG_PREV_FH))
        return false;
    open->claim = (enum nfs4_claim)claim;
    switch (open->claim) {
    case CLAIM_NULL:
    case CLAIM_DELEGATE_PREV:
        return nfs4__decode_component(reader, &open->name);
    case CLAIM_PREVIOUS:
        return reader_be32(reader, &open->delegation);
    case CLAIM_DELEGATE_CUR:
        return nfs4__decode_stateid(reader, &open->stateid) && nfs4__decode_component(reader, &open->name);
    case CLAIM_DELEG_CUR_FH:
        return nfs4__decode_stateid(reader, &open->stateid);
    case CLAIM_FH:
    case CLAIM_DELEG_PREV_FH:
        break;
    }
    return true;
}

bool nfs4__open_decode(struct nfs4_compound *compound)
{
    struct nfs4_open *open = nfs4_new_args(compound, struct nfs4_open);
    struct reader *reader = &compound->arguments;

    return reader_be32(reader, &open->seqid) && reader_be32(reader, &open->access) &&
           reader_be32(reader, &open->deny) && nfs4__decode_owner(reader, &open->owner) &&
           decode_how(compound, open) && decode_claim(compound, open);
}

static uint32_t check_share(const struct nfs4_compound *compound, const struct nfs4_open *open)
{
    uint32_t known = SHARE_ACCESS_BOTH;

    if (compound->minor > 0)
        known |= WANT_MASK | WANT_SIGNAL_MASK | WANT_HINTS;
    if ((open->access & ~known) || (open->access & SHARE_ACCESS_BOTH) == 0 ||
        (open->access & WANT_MASK) > WANT_CANCEL || open->deny > SHARE_DENY_BOTH)
        return NFS4ERR_INVAL;
    return NFS4_OK;
}

/* ---- the file ---- */

static uint32_t take_current(struct nfs4_compound *compound, struct nfs4_open *open)
{
    uint32_t status;

    if (compound->current.place != NFS4_IN_EXPORT)
        return NFS4ERR_ISDIR;
    /* Only a file that is there can be meant (RFC 8881 18.16.3). */
    if (open->create)
        return NFS4ERR_INVAL;
    status = nfs4__context(compound);
    if (status != NFS4_OK)
        return status;
    open->file = compound->current;
    vfs_ref(open->file.inode);
    return NFS4_OK;
}

/* An open that the client has done by itself under a delegation. */
static bool is_delegated(const struct nfs4_open *open)
{
    return open->claim == CLAIM_DELEGATE_CUR || open->claim == CLAIM_DELEG_CUR_FH;
}

/* Is the delegation that it was done under still there? */
static uint32_t check_delegation(struct nfs4_compound *compound, const struct nfs4_open *open)
{
    struct stateid_object object;
    uint32_t status = nfs4__stateid_find_of(compound, &open->file, &open->stateid, STATEID_GRANT, &object);

    return status == NFS4_OK && object.client != open->client ? NFS4ERR_BAD_STATEID : status;
}

static uint32_t find_file(struct nfs4_compound *compound, struct nfs4_open *open)
{
    uint32_t status;

    switch (open->claim) {
    case CLAIM_NULL:
        return nfs4__open_by_name(compound, open);
    case CLAIM_PREVIOUS:
        return open->delegation > DELEGATE_WRITE ? NFS4ERR_INVAL : take_current(compound, open);
    case CLAIM_FH:
        return take_current(compound, open);
    case CLAIM_DELEGATE_CUR:
        if (open->create)
            return NFS4ERR_INVAL;
        status = nfs4__open_by_name(compound, open);
        return status == NFS4_OK ? check_delegation(compound, open) : status;
    case CLAIM_DELEG_CUR_FH:
        status = take_current(compound, open);
        return status == NFS4_OK ? check_delegation(compound, open) : status;
    case CLAIM_DELEGATE_PREV:
    case CLAIM_DELEG_PREV_FH:
        break;
    }
    return NFS4ERR_NOTSUPP; /* RFC 8881 18.16.3: delegations don't outlive the client */
}

static uint32_t check_type(const struct nfs4_compound *compound, const struct nfs4_open *open)
{
    struct inode_attr attr;

    vfs_getattr(open->file.inode, &attr);
    switch (attr.type) {
    case INODE_FILE:
    case INODE_STREAM:
        return NFS4_OK;
    case INODE_DIRECTORY:
        return NFS4ERR_ISDIR;
    case INODE_SYMLINK:
        return NFS4ERR_SYMLINK;
    case INODE_BLOCK_DEVICE:
    case INODE_CHARACTER_DEVICE:
    case INODE_FIFO:
    case INODE_SOCKET:
        break;
    }
    /* RFC 7530 16.16.6 has SYMLINK for all of these. */
    return compound->minor == 0 ? NFS4ERR_SYMLINK : NFS4ERR_WRONG_TYPE;
}

/* Opening again what was open before, by its handle, is the owner's right whatever the mode says now:
 * reclaims, and clients that come back with CLAIM_FH after a delegation or a lost lease. */
static bool is_owners_return(const struct nfs4_compound *compound, const struct nfs4_open *open)
{
    struct inode_attr attr;

    if (open->claim == CLAIM_NULL)
        return false;
    vfs_getattr(open->file.inode, &attr);
    return attr.uid == compound->context.user.uid;
}

static uint32_t check_rights(struct nfs4_compound *compound, const struct nfs4_open *open)
{
    struct vfs_context *context = &compound->context;
    unsigned has =
        vfs_access(context, open->file.inode, VFS_ACCESS_READ | VFS_ACCESS_WRITE | VFS_ACCESS_EXECUTE);

    if ((open->access & SHARE_ACCESS_WRITE) && vfs_export_config(context->export)->read_only)
        return NFS4ERR_ROFS;
    if (open->created || is_owners_return(compound, open))
        return NFS4_OK;
    /* To execute a file a client has to read it. */
    if ((open->access & SHARE_ACCESS_READ) && !(has & (VFS_ACCESS_READ | VFS_ACCESS_EXECUTE)))
        return NFS4ERR_ACCESS;
    if ((open->access & SHARE_ACCESS_WRITE) && !(has & VFS_ACCESS_WRITE))
        return NFS4ERR_ACCESS;
    return NFS4_OK;
}

/* ---- the state ---- */

static unsigned share_of(uint32_t bits)
{
    return (bits & SHARE_ACCESS_READ ? OPEN_READ : 0u) | (bits & SHARE_ACCESS_WRITE ? OPEN_WRITE : 0u);
}

/* UNCHECKED4 with size 0, after all that could still refuse the open. */
static uint32_t empty_file(struct nfs4_compound *compound, struct nfs4_open *open, struct state_file *file)
{
    static const struct vfs_setattr nothing_left = {.set = VFS_SET_SIZE};
    unsigned access = share_of(open->access) | OPEN_WRITE;
    enum err err = open_test(file, access, share_of(open->deny), open->opener);

    compound->context.owner = owner_id(open->opener);
    if (err == ERR_OK)
        err = vfs_setattr(&compound->context, open->file.inode, &nothing_left, NULL,
                          (open->access & SHARE_ACCESS_WRITE) != 0);
    if (err != ERR_OK)
        return nfs4__status(compound, err);
    nfs4_bitmap_add(&open->attributes_set, FATTR4_SIZE);
    return NFS4_OK;
}

/* More access for an open that is there. The owner's own deny counts, too (RFC 8881 9.7). */
static enum err upgrade(struct nfs4_open *open, struct open *there)
{
    unsigned access = share_of(open->access), deny = share_of(open->deny);

    if ((access & open_deny(there)) || (deny & open_access(there)))
        return ERR_SHARE_DENIED;
    return open_upgrade(there, access, deny, open->claim == CLAIM_PREVIOUS);
}

static enum err add(struct nfs4_open *open, struct state_file *file, struct open **open_r)
{
    struct open_spec spec = {.file = file,
                             .owner = open->opener,
                             .access = share_of(open->access),
                             .deny = share_of(open->deny),
                             .reclaim = open->claim == CLAIM_PREVIOUS,
                             .any_time = is_delegated(open)};

    return open_add(&spec, open_r);
}

static uint32_t set_state(struct nfs4_compound *compound, struct nfs4_open *open, struct state_file *file,
                          struct stateid *stateid_r)
{
    uint64_t writes = recovery_writes(compound->server->state);
    struct open *there = open_find(open->opener, file);
    enum err err;

    if (there != NULL) {
        err = upgrade(open, there);
        if (err == ERR_OK)
            *stateid_r = open_stateid_next(there);
    } else {
        err = add(open, file, &there);
        if (err == ERR_OK)
            *stateid_r = open_stateid(there);
    }
    nfs4__wait_for_records(compound, writes);
    if (err != ERR_OK)
        return nfs4__status(compound, err);
    /* Who else shows the stateid has to have the right himself. */
    open_set_user(there, nfs4__user_mark(compound));
    return NFS4_OK;
}

/* ---- the delegation ---- */

static void wish_init(struct nfs4_delegation_wish *wish, const struct nfs4_open *open,
                      struct state_file *file)
{
    *wish = (struct nfs4_delegation_wish){.client = open->client, .fh = &open->file, .file = file};
    if (open->access & SHARE_ACCESS_READ)
        wish->io |= NFS4_IO_READ;
    if (open->access & SHARE_ACCESS_WRITE)
        wish->io |= NFS4_IO_WRITE;
}

/* What the client had before the restart, it says. Another of its owners may have been here before. */
static uint32_t reclaim_delegation(struct nfs4_compound *compound, struct nfs4_open *open,
                                   struct state_file *file)
{
    struct nfs4_delegation_wish wish;
    enum err err;

    wish_init(&wish, open, file);
    wish.type = (enum nfs4_delegation_type)open->delegation;
    wish.reclaim = true;
    err = nfs4__delegation_give(compound, &wish, &open->given);
    if (err == ERR_EXIST)
        open->given = nfs4__delegation_find(open->client, file);
    if (err == ERR_AGAIN || (err == ERR_EXIST && open->given->type != wish.type))
        return NFS4ERR_RECLAIM_CONFLICT;
    return err == ERR_OK || err == ERR_EXIST ? NFS4_OK : nfs4__status(compound, err);
}

/* A delegation is a favour: without it the open is as good. */
static void offer_delegation(struct nfs4_compound *compound, struct nfs4_open *open, struct state_file *file)
{
    uint32_t want = open->access & WANT_MASK;
    struct nfs4_delegation_wish wish;
    enum err err;

    open->why = WHY_RESOURCE;
    if (vfs_attr(open->file.inode)->type != INODE_FILE) {
        open->why = WHY_NOT_SUPP_FTYPE;
        return;
    }
    /* RFC 7530 16.16.5: not beside an open that has yet to be confirmed. */
    if (want == WANT_NONE || want == WANT_CANCEL || is_delegated(open) || open->claim == CLAIM_PREVIOUS ||
        (compound->minor == 0 && !owner_is_confirmed(open->opener)))
        return;
    wish_init(&wish, open, file);
    wish.type = (wish.io & NFS4_IO_WRITE) && want != WANT_READ ? DELEGATE_WRITE : DELEGATE_READ;
    err = nfs4__delegation_give(compound, &wish, &open->given);
    open->why = nfs4__delegation_why(err);
}

/* ---- the result ---- */

static void encode_result(struct nfs4_compound *compound, const struct nfs4_open *open,
                          struct stateid stateid)
{
    struct writer *reply = &compound->call->reply;
    uint32_t flags = RESULT_LOCKTYPE_POSIX;

    if (compound->minor == 0 && !owner_is_confirmed(open->opener))
        flags |= RESULT_CONFIRM;
    if (compound->minor > 0 && nfs4__callback_is_possible(open->client))
        flags |= RESULT_MAY_NOTIFY_LOCK;
    nfs4__stateid_result(compound, stateid);
    nfs4__encode_change_info(reply, true, open->change_before, open->change_after);
    writer_be32(reply, flags);
    nfs4__encode_bitmap(reply, &open->attributes_set);
    if (open->given == NULL)
        nfs4__delegation_encode_none(compound, open->access & WANT_MASK, open->why);
    else
        nfs4__delegation_encode(compound, open->given, !compound->server->delegations);
}

/* ---- the whole ---- */

/* What others may keep in their caches beside this open is told back first. */
static uint32_t check_grants(struct nfs4_compound *compound, const struct nfs4_open *open)
{
    enum err err;

    nfs4__set_grant_client(compound, open->client);
    err = vfs_conflict_open(&compound->context, open->file.inode, share_of(open->access),
                            share_of(open->deny), open->truncate, open->opener);
    return err == ERR_OK ? NFS4_OK : nfs4__status(compound, err);
}

static uint32_t open_file_found(struct nfs4_compound *compound, struct nfs4_open *open)
{
    struct state_file *file;
    struct stateid stateid;
    uint32_t status = check_type(compound, open);

    if (status == NFS4_OK)
        status = check_rights(compound, open);
    if (status == NFS4_OK)
        status = check_grants(compound, open);
    if (status == NFS4_OK)
        status = nfs4__state_file_get(compound, &open->file, &file);
    if (status != NFS4_OK)
        return status;
    if (open->truncate)
        status = empty_file(compound, open, file);
    if (status == NFS4_OK && open->claim == CLAIM_PREVIOUS && open->delegation != DELEGATE_NONE)
        status = reclaim_delegation(compound, open, file);
    if (status == NFS4_OK)
        status = set_state(compound, open, file, &stateid);
    if (status == NFS4_OK && open->claim == CLAIM_NULL && compound->current.place == NFS4_IN_EXPORT)
        nfs4__state_file_name(compound, file, open->name);
    if (status == NFS4_OK)
        offer_delegation(compound, open, file);
    state_file_unref(&file);
    if (status != NFS4_OK)
        return status;
    /* There is nothing left that the client could have to confirm (RFC 7530 9.1.11). */
    if (open->claim == CLAIM_PREVIOUS)
        owner_set_confirmed(open->opener, true);
    nfs4__set_current(compound, &open->file);
    encode_result(compound, open, stateid);
    return NFS4_OK;
}

/* New state waits for grace to end, and in 4.1 for the client to say that it has reclaimed the old (RFC
 * 8881 18.51.3). */
static uint32_t check_grace(const struct nfs4_compound *compound, const struct nfs4_open *open)
{
    bool reclaim = open->claim == CLAIM_PREVIOUS;
    enum err err;

    /* Nobody else can have reclaimed what is against it. */
    if (is_delegated(open))
        return NFS4_OK;
    err = grace_check(open->client, reclaim);
    if (err != ERR_OK)
        return nfs4__status(compound, err);
    if (!reclaim && compound->minor > 0 && !grace_is_complete(open->client))
        return NFS4ERR_GRACE;
    return NFS4_OK;
}

static uint32_t open_run(struct nfs4_compound *compound, struct nfs4_open *open)
{
    uint32_t status = check_share(compound, open);

    if (status == NFS4_OK)
        status = check_grace(compound, open);
    if (status == NFS4_OK)
        status = find_file(compound, open);
    if (status == NFS4_OK)
        status = open->file.place == NFS4_PSEUDO_ROOT ? NFS4ERR_ISDIR : open_file_found(compound, open);
    nfs4__filehandle_release(&open->file);
    return status;
}

uint32_t nfs4__open(struct nfs4_compound *compound)
{
    struct nfs4_open *open = nfs4_args(compound, struct nfs4_open);
    struct nfs4_sequence sequence;
    uint32_t status = nfs4__client_of_owner(compound, open->owner.clientid, &open->client);
    enum err err;

    if (status != NFS4_OK)
        return status;
    err = owner_get(open->client, NFS4_OPEN_OWNER, open->owner.key, open->owner.length, &open->opener);
    if (err != ERR_OK)
        return nfs4__status(compound, err);
    if (nfs4__sequence_begin(compound, &sequence, open->opener, open->seqid, &status)) {
        status = open_run(compound, open);
        nfs4__sequence_end(compound, &sequence, status);
    }
    owner_unref(&open->opener);
    return status;
}
