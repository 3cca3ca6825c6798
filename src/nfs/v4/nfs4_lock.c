/*
 * nfs4_lock.c - byte-range locks: LOCK, LOCKT, LOCKU, RELEASE_LOCKOWNER (RFC 8881 18.10 to 18.12, RFC
 * 7530 16.10 to 16.12, 16.37).
 *
 * The happy path of LOCK: the open (for a lock owner's first lock on the file) or the lock owner's holder is
 * found by its stateid, in 4.0 with the sequence of that owner, and with the lock owner's too; the open
 * allows the kind of lock; the state room sets the range. A conflict is answered DENIED with what is in the
 * way, also for the blocking types: the client asks again (RFC 8881 9.6). A holder that was made for a lock
 * which could not be had goes again.
 */
#include "nfs/v4/nfs4_lock_wait.h"
#include "nfs/v4/nfs4_operations.h"
#include "nfs/v4/nfs4_server.h"
#include "nfs/v4/nfs4_state.h"

enum lock_type { READ_LT = 1, WRITE_LT = 2, READW_LT = 3, WRITEW_LT = 4 };

struct lock_args {
    uint32_t type;
    bool reclaim;
    uint64_t offset, length;
    bool new_owner; /* the lock owner's first lock on the file */
    uint32_t open_seqid;
    uint32_t lock_seqid;
    struct nfs4_stateid stateid; /* the open's when NEW_OWNER, else the lock's */
    struct nfs4_owner owner;     /* when NEW_OWNER; LOCKT; RELEASE_LOCKOWNER */
};

static bool decode_type(struct reader *reader, uint32_t *type_r)
{
    return reader_be32(reader, type_r) && *type_r >= READ_LT && *type_r <= WRITEW_LT;
}

static bool is_exclusive(uint32_t type)
{
    return type == WRITE_LT || type == WRITEW_LT;
}

/* A length of all ones reaches to the end; else it must not run over it (RFC 8881 18.10.3). */
static uint32_t check_range(const struct lock_args *args)
{
    uint64_t end;

    if (args->length == 0)
        return NFS4ERR_INVAL;
    return args->length == LOCK_TO_END || add_u64(args->offset, args->length, &end) ? NFS4_OK : NFS4ERR_INVAL;
}

/* LOCK4denied */
static void encode_denied(struct nfs4_compound *compound, const struct lock_conflict *conflict)
{
    struct writer *reply = &compound->call->reply;
    const struct client *client = owner_client(conflict->owner);
    bool is_ours =
        client != NULL && (client_family(client) == NFS4_FAMILY_0 || client_family(client) == NFS4_FAMILY_1);
    size_t length;
    const uint8_t *key = owner_key(conflict->owner, &length);

    writer_be64(reply, conflict->offset);
    writer_be64(reply, conflict->length);
    writer_be32(reply, conflict->exclusive ? WRITE_LT : READ_LT);
    writer_be64(reply, is_ours ? client_id(client) : 0);
    writer_xdr_opaque(reply, key, length);
}

/* ---- LOCK ---- */

static bool decode_locker(struct reader *reader, struct lock_args *args)
{
    if (!reader_xdr_bool(reader, &args->new_owner))
        return false;
    if (!args->new_owner)
        return nfs4__decode_stateid(reader, &args->stateid) && reader_be32(reader, &args->lock_seqid);
    return reader_be32(reader, &args->open_seqid) && nfs4__decode_stateid(reader, &args->stateid) &&
           reader_be32(reader, &args->lock_seqid) && nfs4__decode_owner(reader, &args->owner);
}

bool nfs4__lock_decode(struct nfs4_compound *compound)
{
    struct lock_args *args = nfs4_new_args(compound, struct lock_args);
    struct reader *reader = &compound->arguments;

    return decode_type(reader, &args->type) && reader_xdr_bool(reader, &args->reclaim) &&
           reader_be64(reader, &args->offset) && reader_be64(reader, &args->length) &&
           decode_locker(reader, args);
}

static uint32_t check_lock(const struct nfs4_compound *compound, const struct lock_args *args,
                           const struct open *open)
{
    const struct client *client = owner_client(open_owner(open));
    uint32_t status = check_range(args);

    if (status != NFS4_OK)
        return status;
    if (!(open_access(open) & (is_exclusive(args->type) ? OPEN_WRITE : OPEN_READ)))
        return NFS4ERR_OPENMODE;
    /* RFC 8881 18.51.3 */
    if (compound->minor > 0 && !args->reclaim && !grace_is_complete(client))
        return NFS4ERR_GRACE;
    return NFS4_OK;
}

/* What is in the way is told already. A blocking request may wait in the queue; its client asks again all the
 * same.
 */
static uint32_t denied(struct nfs4_compound *compound, const struct lock_args *args,
                       const struct lock_request *request, struct lock_holder *holder, bool is_new)
{
    enum err err = ERR_NOTSUPP;

    if (args->type == READW_LT || args->type == WRITEW_LT)
        err = nfs4__blocked_wait(compound, holder, is_new, request);
    if (is_new && err != ERR_WAIT)
        lock_holder_free(holder);
    if (err != ERR_DEADLOCK)
        return NFS4ERR_DENIED;
    writer_truncate(&compound->call->reply, compound->result_at + 4);
    return NFS4ERR_DEADLOCK;
}

static uint32_t set_range(struct nfs4_compound *compound, const struct lock_args *args,
                          const struct lock_request *request, struct lock_holder *holder, bool is_new)
{
    struct lock_conflict conflict;
    enum err err = lock_set(holder, request, &conflict);

    if (err == ERR_OK) {
        nfs4__blocked_end(compound->server, lock_holder_owner(holder), lock_holder_file(holder));
        nfs4__stateid_result(compound,
                             is_new ? lock_holder_stateid(holder) : lock_holder_stateid_next(holder));
        return NFS4_OK;
    }
    if (err == ERR_DENIED && !args->reclaim) {
        encode_denied(compound, &conflict);
        return denied(compound, args, request, holder, is_new);
    }
    if (is_new)
        lock_holder_free(holder);
    return err == ERR_DENIED ? NFS4ERR_RECLAIM_CONFLICT : nfs4__status(compound, err);
}

/* Others may have locked in their caches. */
static uint32_t check_grants(struct nfs4_compound *compound, struct client *client, bool exclusive)
{
    uint32_t status = nfs4__context(compound);
    enum err err;

    if (status != NFS4_OK)
        return status;
    nfs4__set_grant_client(compound, client);
    err = vfs_conflict_lock(&compound->context, compound->current.inode, exclusive);
    return err == ERR_OK ? NFS4_OK : nfs4__status(compound, err);
}

/* The lock owner's holder on the open's file. */
static uint32_t lock_as(struct nfs4_compound *compound, const struct lock_args *args, struct open *open,
                        struct owner *owner)
{
    struct lock_request request = {.offset = args->offset,
                                   .length = args->length,
                                   .exclusive = is_exclusive(args->type),
                                   .reclaim = args->reclaim};
    uint64_t writes = recovery_writes(compound->server->state);
    uint32_t status = check_lock(compound, args, open);
    struct lock_holder *holder;
    bool is_new;
    enum err err;

    if (status == NFS4_OK)
        status = check_grants(compound, owner_client(owner), request.exclusive);
    if (status != NFS4_OK)
        return status;
    nfs4__blocked_settle(compound->server, owner, open_file(open), &request);
    holder = lock_holder_find(open_file(open), owner);
    is_new = holder == NULL;
    if (is_new) {
        err = lock_holder_get(open_file(open), owner, open, LOCK_POSIX, &holder);
        if (err != ERR_OK)
            return nfs4__status(compound, err);
    }
    status = set_range(compound, args, &request, holder, is_new);
    nfs4__wait_for_records(compound, writes);
    return status;
}

static uint32_t lock_as_new_owner(struct nfs4_compound *compound, const struct lock_args *args,
                                  struct open *open)
{
    struct client *client = owner_client(open_owner(open));
    struct nfs4_sequence sequence;
    struct owner *owner;
    uint32_t status;
    enum err err;

    if (compound->minor == 0 &&
        (args->owner.clientid != client_id(client) || !owner_is_confirmed(open_owner(open))))
        return NFS4ERR_BAD_STATEID;
    err = owner_get(client, NFS4_LOCK_OWNER, args->owner.key, args->owner.length, &owner);
    if (err != ERR_OK)
        return nfs4__status(compound, err);
    if (nfs4__sequence_begin(compound, &sequence, owner, args->lock_seqid, &status)) {
        status = lock_as(compound, args, open, owner);
        nfs4__sequence_end(compound, &sequence, status);
        /* A lock owner that could not get its first lock is none: the client may forget it, too, and come
         * with another of the same name that begins anew (Linux does). A retry is the open owner's to know.
         */
        if (status != NFS4_OK && !owner_has_locks(owner))
            owner_sequence_forget(owner);
    } else {
        /* A retry would have been known by the open owner's seqid. */
        writer_truncate(&compound->call->reply, compound->result_at + 4);
        status = NFS4ERR_BAD_SEQID;
    }
    owner_unref(&owner);
    return status;
}

static uint32_t lock_as_known_owner(struct nfs4_compound *compound, const struct lock_args *args,
                                    struct lock_holder *holder)
{
    struct open *open = lock_holder_open(holder);

    if (open == NULL)
        return NFS4ERR_BAD_STATEID;
    return lock_as(compound, args, open, lock_holder_owner(holder));
}

uint32_t nfs4__lock(struct nfs4_compound *compound)
{
    const struct lock_args *args = nfs4_args(compound, struct lock_args);
    struct nfs4_sequence sequence;
    struct stateid_object object;
    uint32_t status = nfs4__context(compound);

    if (status == NFS4_OK)
        status = nfs4__check_file(compound);
    if (status != NFS4_OK)
        return status;
    if (!nfs4__stateid_begin(compound, &sequence, &args->stateid,
                             args->new_owner ? STATEID_OPEN : STATEID_LOCK,
                             args->new_owner ? args->open_seqid : args->lock_seqid, &object, &status))
        return status;
    status = args->new_owner ? lock_as_new_owner(compound, args, object.open)
                             : lock_as_known_owner(compound, args, object.holder);
    return nfs4__sequence_end(compound, &sequence, status);
}

/* ---- LOCKT ---- */

bool nfs4__lockt_decode(struct nfs4_compound *compound)
{
    struct lock_args *args = nfs4_new_args(compound, struct lock_args);
    struct reader *reader = &compound->arguments;

    return decode_type(reader, &args->type) && reader_be64(reader, &args->offset) &&
           reader_be64(reader, &args->length) && nfs4__decode_owner(reader, &args->owner);
}

uint32_t nfs4__lockt(struct nfs4_compound *compound)
{
    const struct lock_args *args = nfs4_args(compound, struct lock_args);
    struct lock_request request = {
        .offset = args->offset, .length = args->length, .exclusive = is_exclusive(args->type)};
    struct lock_conflict conflict;
    const struct owner *owner;
    struct client *client;
    uint32_t status = nfs4__check_file(compound);
    enum err err;

    if (status == NFS4_OK)
        status = check_range(args);
    if (status == NFS4_OK)
        status = nfs4__client_of_owner(compound, args->owner.clientid, &client);
    if (status != NFS4_OK)
        return status;
    /* What is in the way may not have been reclaimed yet. */
    if (grace_is_active(compound->server->state))
        return NFS4ERR_GRACE;
    owner = owner_find(client, NFS4_LOCK_OWNER, args->owner.key, args->owner.length);
    err = lock_test(nfs4__state_file_find(compound, &compound->current), owner, &request, &conflict);
    if (err == ERR_DENIED)
        encode_denied(compound, &conflict);
    return err == ERR_OK ? NFS4_OK : nfs4__status(compound, err);
}

/* ---- LOCKU ---- */

bool nfs4__locku_decode(struct nfs4_compound *compound)
{
    struct lock_args *args = nfs4_new_args(compound, struct lock_args);
    struct reader *reader = &compound->arguments;

    return decode_type(reader, &args->type) && reader_be32(reader, &args->lock_seqid) &&
           nfs4__decode_stateid(reader, &args->stateid) && reader_be64(reader, &args->offset) &&
           reader_be64(reader, &args->length);
}

uint32_t nfs4__locku(struct nfs4_compound *compound)
{
    const struct lock_args *args = nfs4_args(compound, struct lock_args);
    struct nfs4_sequence sequence;
    struct stateid_object object;
    uint32_t status;
    enum err err;

    if (!nfs4__stateid_begin(compound, &sequence, &args->stateid, STATEID_LOCK, args->lock_seqid, &object,
                             &status))
        return status;
    status = check_range(args);
    if (status != NFS4_OK)
        return nfs4__sequence_end(compound, &sequence, status);
    nfs4__blocked_settle(compound->server, lock_holder_owner(object.holder), lock_holder_file(object.holder),
                         NULL);
    err = lock_unset(object.holder, args->offset, args->length);
    if (err == ERR_OK)
        nfs4__stateid_result(compound, lock_holder_stateid_next(object.holder));
    return nfs4__sequence_end(compound, &sequence, err == ERR_OK ? NFS4_OK : nfs4__status(compound, err));
}

/* ---- RELEASE_LOCKOWNER ---- */

bool nfs4__release_lockowner_decode(struct nfs4_compound *compound)
{
    return nfs4__decode_owner(&compound->arguments, &nfs4_new_args(compound, struct lock_args)->owner);
}

uint32_t nfs4__release_lockowner(struct nfs4_compound *compound)
{
    const struct lock_args *args = nfs4_args(compound, struct lock_args);
    struct client *client;
    struct owner *owner;
    uint32_t status = nfs4__client_of_id(compound, args->owner.clientid, &client);

    if (status != NFS4_OK)
        return status;
    owner = owner_find(client, NFS4_LOCK_OWNER, args->owner.key, args->owner.length);
    if (owner == NULL)
        return NFS4_OK;
    if (owner_has_locks(owner))
        return NFS4ERR_LOCKS_HELD;
    owner_release_locks(owner);
    return NFS4_OK;
}
