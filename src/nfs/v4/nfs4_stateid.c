/*
 * nfs4_stateid.c - stateids: the special ones, the current one, those of opens and locks; TEST_STATEID and
 * FREE_STATEID (RFC 8881 8.2, 16.2.3.1.2, 18.48, 18.38; RFC 7530 9.1.4).
 *
 * What a stateid names is the state room's answer. Here it is held against the compound: of which client, of
 * which file, good for which kind of I/O.
 */
#include "nfs/v4/nfs4_delegation.h"
#include "nfs/v4/nfs4_operations.h"
#include "nfs/v4/nfs4_server.h"
#include "nfs/v4/nfs4_state.h"
#include <string.h>

enum special {
    NOT_SPECIAL,
    ANONYMOUS, /* all zeros */
    BYPASS,    /* all ones: a READ passes locks */
    CURRENT,   /* 4.1: seqid 1, the rest zeros */
    INVALID    /* nothing else may be all zeros or all ones behind the seqid (RFC 8881 8.2.3) */
};

static bool other_is(const struct nfs4_stateid *stateid, uint8_t byte)
{
    for (size_t i = 0; i < sizeof stateid->other; i++)
        if (stateid->other[i] != byte)
            return false;
    return true;
}

static enum special special_of(const struct nfs4_compound *compound, const struct nfs4_stateid *stateid)
{
    if (other_is(stateid, 0)) {
        if (stateid->seqid == 0)
            return ANONYMOUS;
        return compound->minor > 0 && stateid->seqid == 1 ? CURRENT : INVALID;
    }
    if (other_is(stateid, 0xff))
        return stateid->seqid == UINT32_MAX ? BYPASS : INVALID;
    return NOT_SPECIAL;
}

static struct stateid from_wire(const struct nfs4_stateid *stateid)
{
    struct stateid inner = {.seqid = stateid->seqid};

    memcpy(inner.other, stateid->other, sizeof inner.other);
    return inner;
}

static struct nfs4_stateid to_wire(const struct stateid *inner)
{
    struct nfs4_stateid stateid = {.seqid = inner->seqid};

    memcpy(stateid.other, inner->other, sizeof stateid.other);
    return stateid;
}

/* The stateid that is meant, the current one put in. */
static uint32_t resolve(const struct nfs4_compound *compound, const struct nfs4_stateid *stateid,
                        enum special *special_r, struct stateid *inner_r)
{
    struct nfs4_stateid meant = *stateid;

    *special_r = special_of(compound, &meant);
    if (*special_r == CURRENT) {
        if (!compound->has_current_stateid)
            return NFS4ERR_BAD_STATEID;
        meant = compound->current_stateid;
        *special_r = special_of(compound, &meant);
    }
    if (*special_r == INVALID || *special_r == CURRENT)
        return NFS4ERR_BAD_STATEID;
    *inner_r = from_wire(&meant);
    return NFS4_OK;
}

/* ---- finding ---- */

static enum err look_up(const struct nfs4_compound *compound, const struct stateid *inner,
                        struct stateid_object *object_r)
{
    bool numbered = compound->minor > 0;
    enum err err = stateid_lookup(compound->server->state, inner,
                                  numbered ? STATEID_SEQID_ZERO_CURRENT : STATEID_SEQID_EXACT,
                                  numbered ? compound->session->client : NULL, object_r);

    /* In 4.0 nothing says whose request it is; but what 4.1 made is not for it. */
    if (err == ERR_OK && !numbered && client_family(object_r->client) != NFS4_FAMILY_0)
        return ERR_BAD_STATEID;
    return err;
}

static struct state_file *file_of(const struct stateid_object *object)
{
    switch (object->kind) {
    case STATEID_OPEN:
        return open_file(object->open);
    case STATEID_LOCK:
        return lock_holder_file(object->holder);
    case STATEID_GRANT:
        return grant_file(object->grant);
    case STATEID_OTHER:
        break;
    }
    return NULL;
}

static bool is_of_file(const struct nfs4_compound *compound, const struct nfs4_filehandle *fh,
                       const struct stateid_object *object)
{
    struct state_file *file = file_of(object);

    return file != NULL && fh->place == NFS4_IN_EXPORT && file == nfs4__state_file_find(compound, fh);
}

/* What INNER names of FH's file. */
static uint32_t find_of_file(struct nfs4_compound *compound, const struct nfs4_filehandle *fh,
                             const struct stateid *inner, struct stateid_object *object_r)
{
    enum err err = look_up(compound, inner, object_r);

    if (err != ERR_OK)
        return nfs4__status(compound, err);
    nfs4__client_used(compound, object_r->client);
    return is_of_file(compound, fh, object_r) ? NFS4_OK : NFS4ERR_BAD_STATEID;
}

uint32_t nfs4__stateid_find_of(struct nfs4_compound *compound, const struct nfs4_filehandle *fh,
                               const struct nfs4_stateid *stateid, enum stateid_kind kind,
                               struct stateid_object *object_r)
{
    enum special special;
    struct stateid inner;
    uint32_t status = resolve(compound, stateid, &special, &inner);

    if (status == NFS4_OK && special != NOT_SPECIAL)
        status = NFS4ERR_BAD_STATEID;
    if (status == NFS4_OK)
        status = find_of_file(compound, fh, &inner, object_r);
    if (status == NFS4_OK && object_r->kind != kind)
        status = NFS4ERR_BAD_STATEID;
    return status;
}

uint32_t nfs4__stateid_find(struct nfs4_compound *compound, const struct nfs4_stateid *stateid,
                            enum stateid_kind kind, struct stateid_object *object_r)
{
    return nfs4__stateid_find_of(compound, &compound->current, stateid, kind, object_r);
}

bool nfs4__stateid_begin(struct nfs4_compound *compound, struct nfs4_sequence *sequence,
                         const struct nfs4_stateid *stateid, enum stateid_kind kind, uint32_t seqid,
                         struct stateid_object *object_r, uint32_t *status_r)
{
    struct state *state = compound->server->state;
    struct stateid inner = from_wire(stateid);
    struct owner *owner = NULL;

    sequence->owner = NULL;
    if (compound->minor > 0) {
        *status_r = nfs4__stateid_find(compound, stateid, kind, object_r);
        return *status_r == NFS4_OK;
    }
    /* The sequence comes before the stateid's seqid: a replay has an old one. */
    inner.seqid = 0;
    if (stateid_lookup(state, &inner, STATEID_SEQID_ZERO_CURRENT, NULL, object_r) != ERR_OK)
        owner = stateid_closed_owner(state, &inner);
    else if (object_r->kind == STATEID_OPEN)
        owner = open_owner(object_r->open);
    else if (object_r->kind == STATEID_LOCK)
        owner = lock_holder_owner(object_r->holder);
    if (owner != NULL && !nfs4__sequence_begin(compound, sequence, owner, seqid, status_r))
        return false;
    *status_r = nfs4__stateid_find(compound, stateid, kind, object_r);
    if (*status_r == NFS4_OK)
        return true;
    nfs4__sequence_end(compound, sequence, *status_r);
    return false;
}

void nfs4__stateid_result(struct nfs4_compound *compound, struct stateid stateid)
{
    compound->current_stateid = to_wire(&stateid);
    compound->has_current_stateid = true;
    nfs4__encode_stateid(&compound->call->reply, &compound->current_stateid);
}

struct stateid nfs4__stateid_invalid(void)
{
    return (struct stateid){.seqid = UINT32_MAX};
}

/* ---- I/O ---- */

static uint32_t special_io(struct nfs4_compound *compound, enum special special, enum nfs4_io io)
{
    if (special == BYPASS && io == NFS4_IO_READ)
        return NFS4_OK;
    /* What denies it may not have been reclaimed yet (RFC 8881 8.4.2); what does now, vfs sees. */
    return grace_is_active(compound->server->state) ? NFS4ERR_GRACE : NFS4_OK;
}

/* The open that stands behind an I/O, and its owner for conflicts with locks. */
static struct open *open_behind(const struct stateid_object *object, struct owner **owner_r)
{
    if (object->kind == STATEID_OPEN) {
        *owner_r = open_owner(object->open);
        return object->open;
    }
    *owner_r = lock_holder_owner(object->holder);
    return lock_holder_open(object->holder);
}

static uint32_t open_io(const struct nfs4_compound *compound, const struct open *open, enum nfs4_io io,
                        enum vfs_io_right *right_r)
{
    unsigned access = open_access(open);

    if (compound->minor == 0 && !owner_is_confirmed(open_owner(open)))
        return NFS4ERR_BAD_STATEID;
    if (access & (io == NFS4_IO_READ ? OPEN_READ : OPEN_WRITE)) {
        /* A stateid is no secret: it passes on what its opener was granted to him alone. */
        *right_r = open_user(open) == nfs4__user_mark(compound) ? VFS_IO_OPEN_HANDLE : VFS_IO_CHECK_MODE;
        return NFS4_OK;
    }
    if (io == NFS4_IO_WRITE)
        return NFS4ERR_OPENMODE;
    /* A client that only writes may have to read what is around it (RFC 8881 9.1.2), if it could at all. */
    *right_r = VFS_IO_CHECK_MODE;
    return NFS4_OK;
}

uint32_t nfs4__stateid_for_io(struct nfs4_compound *compound, const struct nfs4_stateid *stateid,
                              enum nfs4_io io, enum vfs_io_right *right_r)
{
    struct stateid_object object;
    struct stateid inner;
    struct owner *owner;
    struct open *open;
    enum special special;
    uint32_t status = resolve(compound, stateid, &special, &inner);

    if (status != NFS4_OK)
        return status;
    if (special != NOT_SPECIAL) {
        *right_r = VFS_IO_CHECK_MODE;
        return special_io(compound, special, io);
    }
    status = find_of_file(compound, &compound->current, &inner, &object);
    if (status != NFS4_OK)
        return status;
    nfs4__set_grant_client(compound, object.client);
    if (object.kind == STATEID_GRANT)
        return nfs4__delegation_io(compound, object.grant, io, right_r);
    open = open_behind(&object, &owner);
    if (open == NULL)
        return NFS4ERR_BAD_STATEID;
    compound->context.owner = owner_id(owner);
    return open_io(compound, open, io, right_r);
}

/* ---- TEST_STATEID ---- */

struct test_stateid_args {
    uint32_t count;
    struct reader stateids;
};

bool nfs4__test_stateid_decode(struct nfs4_compound *compound)
{
    struct test_stateid_args *args = nfs4_new_args(compound, struct test_stateid_args);
    struct reader *reader = &compound->arguments;

    return reader_be32(reader, &args->count) && args->count <= reader->left / 16 &&
           reader_sub(reader, (size_t)args->count * 16, &args->stateids);
}

static uint32_t test_one(struct nfs4_compound *compound, const struct nfs4_stateid *stateid)
{
    struct stateid inner = from_wire(stateid);
    struct stateid_object object;
    enum err err;

    /* RFC 8881 18.48.3: special stateids are not to be tested. */
    if (special_of(compound, stateid) != NOT_SPECIAL)
        return NFS4ERR_BAD_STATEID;
    err = look_up(compound, &inner, &object);
    return err == ERR_OK ? NFS4_OK : nfs4__status(compound, err);
}

uint32_t nfs4__test_stateid(struct nfs4_compound *compound)
{
    struct test_stateid_args *args = nfs4_args(compound, struct test_stateid_args);
    struct writer *reply = &compound->call->reply;
    struct nfs4_stateid stateid;

    if (nfs4__room(compound) < 4 + (size_t)args->count * 4)
        return compound->cache_reply ? NFS4ERR_REP_TOO_BIG_TO_CACHE : NFS4ERR_REP_TOO_BIG;
    if (!nfs4__reserve(compound, 4 + (size_t)args->count * 4))
        return NFS4ERR_DELAY;
    writer_be32(reply, args->count);
    while (nfs4__decode_stateid(&args->stateids, &stateid))
        writer_be32(reply, test_one(compound, &stateid));
    return NFS4_OK;
}

/* ---- FREE_STATEID ---- */

struct free_stateid_args {
    struct nfs4_stateid stateid;
};

bool nfs4__free_stateid_decode(struct nfs4_compound *compound)
{
    return nfs4__decode_stateid(&compound->arguments,
                                &nfs4_new_args(compound, struct free_stateid_args)->stateid);
}

uint32_t nfs4__free_stateid(struct nfs4_compound *compound)
{
    const struct free_stateid_args *args = nfs4_args(compound, struct free_stateid_args);
    struct client *client = compound->session->client;
    struct stateid_object object;
    enum special special;
    struct stateid inner;
    uint32_t status = resolve(compound, &args->stateid, &special, &inner);
    enum err err;

    if (status == NFS4_OK && special != NOT_SPECIAL)
        status = NFS4ERR_BAD_STATEID;
    if (status != NFS4_OK)
        return status;
    err = look_up(compound, &inner, &object);
    /* A lock's stateid without ranges may go although nothing took it away (RFC 8881 18.38.3). */
    if (err == ERR_OK && object.kind == STATEID_LOCK && lock_holder_count(object.holder) == 0) {
        lock_holder_free(object.holder);
        return NFS4_OK;
    }
    if (err == ERR_OK || err == ERR_ADMIN_REVOKED || err == ERR_DELEG_REVOKED)
        err = stateid_free(compound->server->state, &inner, client);
    return err == ERR_OK ? NFS4_OK : nfs4__status(compound, err);
}
