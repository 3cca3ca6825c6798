/*
 * nfs4_compound.c - the engine of NFSv4's COMPOUND (RFC 7530 15.2, RFC 8881 16.2).
 *
 * Happy path: the header is decoded, one operation after another is decoded and run, and when the last has
 * ended (or one has failed), the reply waits until what was changed is durable and goes out.
 *
 * Invariants: operation_index operations were taken; results of them stand in the reply, each complete. At
 * most one of {an operation's wait, the wait for durability} is under way, and nothing else touches the
 * compound then. The export that compound->context names is only good within one `run`: a reload may take it
 * away.
 */
#include "nfs/v4/nfs4_priv.h"
#include "nfs/v4/nfs4_server.h"
#include "dittofs/log.h"
#include <string.h>

enum {
    RESULT_HEAD = 8,   /* an operation's number and status */
    REPLY_MARGIN = 64, /* kept free for the result that says that the reply is full */
};

static void compound_run(struct nfs4_compound *compound);

/* ---- the compound's end ---- */

static void compound_release(struct nfs4_compound *compound)
{
    nfs4__filehandle_release(&compound->current);
    nfs4__filehandle_release(&compound->saved);
    nfs4__compound_free(compound);
}

static void compound_send(struct nfs4_compound *compound)
{
    struct onc_call *call = compound->call;

    writer_patch_be32(&call->reply, compound->status_at, compound->status);
    writer_patch_be32(&call->reply, compound->count_at, compound->results);
    if (compound->has_session)
        nfs4__session_finish(compound);
    if (!compound->has_changed)
        onc_call_uncache(call);
    nfs4__count_compound(compound);
    compound_release(compound);
    onc_call_reply(call);
}

/* What was changed can't be made durable: the first operation that changed something is answered ERR, and
 * what came behind it is taken back. */
static void compound_fail_durability(struct nfs4_compound *compound, enum err err)
{
    struct onc_call *call = compound->call;

    onc_call_reply_truncate(call, compound->durable_from);
    compound->results = compound->durable_results + 1;
    compound->status = nfs4__status(compound, err);
    writer_be32(&call->reply, compound->durable_opnum);
    writer_be32(&call->reply, compound->status);
}

static void compound_durable(struct store_waiter *waiter, enum err err)
{
    struct nfs4_compound *compound = container_of(waiter, struct nfs4_compound, waiter);

    if (err != ERR_OK)
        compound_fail_durability(compound, err);
    compound_send(compound);
}

static void compound_end(struct nfs4_compound *compound)
{
    enum err err;

    if (compound->sync_export_id == 0) {
        compound_send(compound);
        return;
    }
    memset(&compound->context, 0, sizeof compound->context);
    compound->context.vfs = compound->server->vfs;
    compound->context.export = vfs_export_by_id(compound->server->vfs, compound->sync_export_id);
    compound->context.ticket = compound->ticket;
    compound->waiter = (struct store_waiter){.done = compound_durable};
    err = compound->context.export == NULL ? ERR_STALE : vfs_durable(&compound->context, &compound->waiter);
    if (err == ERR_WAIT)
        return;
    compound_durable(&compound->waiter, err);
}

/* ---- one operation ---- */

size_t nfs4__room(const struct nfs4_compound *compound)
{
    size_t length = onc_call_reply_length(compound->call) + REPLY_MARGIN;

    return length >= compound->reply_limit ? 0 : compound->reply_limit - length;
}

bool nfs4__reserve(struct nfs4_compound *compound, size_t length)
{
    const struct writer *reply = &compound->call->reply;

    length += REPLY_MARGIN;
    return length <= reply->capacity - reply->length || onc_call_reserve(compound->call, length);
}

void nfs4__merge_ticket(struct nfs4_compound *compound)
{
    struct vfs_context *context = &compound->context;

    if (context->export == NULL || (context->ticket.batch == 0 && context->ticket.position == 0))
        return;
    if (vfs_export_config(context->export)->sync) {
        store_ticket_merge(&compound->ticket, context->ticket);
        compound->sync_export_id = vfs_export_id(context->export);
        if (compound->durable_opnum == 0) {
            compound->durable_from = compound->result_begin;
            compound->durable_opnum = compound->opnum;
            compound->durable_results = compound->results;
        }
    }
    context->ticket = (struct store_ticket){0, 0};
}

/* The result of the operation at hand is STATUS, and what its row says stands behind errors. */
static void operation_fail(struct nfs4_compound *compound, uint32_t status)
{
    struct writer *reply = &compound->call->reply;
    unsigned flags = compound->operation == NULL ? 0 : compound->operation->flags;

    if (reply->failed || !(flags & NFS4_BODY_ON_ERROR))
        onc_call_reply_truncate(compound->call, compound->result_begin + RESULT_HEAD);
    if (flags & NFS4_BITMAP_ON_ERROR)
        writer_be32(reply, 0);
    writer_patch_be32(reply, compound->result_at, status);
}

/* The operation at hand has ended with STATUS and left its results in the reply. True: go on. */
static bool operation_end(struct nfs4_compound *compound, uint32_t status)
{
    nfs4__merge_ticket(compound);
    compound->context.export = NULL;
    if (compound->call->reply.failed)
        status = NFS4ERR_SERVERFAULT;
    if (status != NFS4_OK)
        operation_fail(compound, status);
    compound->status = status;
    compound->results++;
    compound->operation_index++;
    return status == NFS4_OK;
}

static void operation_begin_result(struct nfs4_compound *compound, uint32_t opnum)
{
    struct writer *reply = &compound->call->reply;
    uint8_t *head;

    compound->result_begin = onc_call_reply_length(compound->call);
    compound->result_at = reply->length + 4;
    head = writer_reserve(reply, RESULT_HEAD);
    if (head != NULL)
        put_be32(put_be32(head, opnum), NFS4_OK);
}

/* The highest operation of each minor version: RFC 7530, 8881, and 7862 with 8276. */
static const uint32_t highest_operations[] = {OP_RELEASE_LOCKOWNER, OP_RECLAIM_COMPLETE, OP_REMOVEXATTR};

/* RFC 8881 2.10.2.1, 18.46.3: what may stand where. */
static uint32_t check_place(const struct nfs4_compound *compound, uint32_t opnum,
                            const struct nfs4_operation *operation)
{
    if (compound->minor == 0)
        return NFS4_OK;
    if (opnum == OP_SEQUENCE)
        return compound->operation_index == 0 ? NFS4_OK : NFS4ERR_SEQUENCE_POS;
    if (compound->has_session)
        return NFS4_OK;
    if (operation == NULL || !(operation->flags & NFS4_OUTSIDE_SESSION))
        return NFS4ERR_OP_NOT_IN_SESSION;
    if ((operation->flags & NFS4_ONLY_OPERATION) && compound->operation_count > 1)
        return NFS4ERR_NOT_ONLY_OP;
    return NFS4_OK;
}

static uint32_t check_filehandles(const struct nfs4_compound *compound,
                                  const struct nfs4_operation *operation)
{
    if ((operation->flags & NFS4_NEEDS_FH) && compound->current.place == NFS4_NOWHERE)
        return NFS4ERR_NOFILEHANDLE;
    if ((operation->flags & NFS4_NEEDS_SAVED_FH) && compound->saved.place == NFS4_NOWHERE)
        return NFS4ERR_NOFILEHANDLE;
    if ((operation->flags & NFS4_NEEDS_FH) && !(operation->flags & NFS4_NAMED) &&
        compound->current.place == NFS4_ATTR_DIR)
        return operation->flags & NFS4_FILE ? NFS4ERR_ISDIR
               : compound->minor == 0       ? NFS4ERR_INVAL
                                            : NFS4ERR_WRONG_TYPE;
    if (!(operation->flags & NFS4_NEEDS_FH) || (operation->flags & NFS4_PSEUDO) ||
        compound->current.place != NFS4_PSEUDO_ROOT)
        return NFS4_OK;
    if (operation->flags & NFS4_FILE)
        return NFS4ERR_ISDIR;
    return operation->flags & NFS4_CHANGES ? NFS4ERR_ROFS : NFS4ERR_NOTSUPP;
}

uint32_t nfs4__check_room(struct nfs4_compound *compound, size_t results)
{
    if (compound->result_begin + RESULT_HEAD + results + REPLY_MARGIN <= compound->reply_limit)
        return nfs4__reserve(compound, results) ? NFS4_OK : NFS4ERR_DELAY;
    if (compound->minor == 0)
        return NFS4ERR_RESOURCE;
    return compound->cache_reply ? NFS4ERR_REP_TOO_BIG_TO_CACHE : NFS4ERR_REP_TOO_BIG;
}

static uint32_t operation_prepare(struct nfs4_compound *compound)
{
    const struct nfs4_operation *operation = compound->operation;
    uint32_t status = check_place(compound, compound->opnum, operation);

    if (status != NFS4_OK)
        return status;
    if (operation == NULL)
        return NFS4ERR_NOTSUPP;
    status = nfs4__check_room(compound, operation->reply_max);
    if (status != NFS4_OK)
        return status;
    if (operation->decode != NULL && !operation->decode(compound))
        return NFS4ERR_BADXDR;
    /* Bytes behind the last operation: they are no part of any argument. */
    if (compound->operation_index + 1 == compound->operation_count && !reader_is_done(&compound->arguments))
        return NFS4ERR_BADXDR;
    return check_filehandles(compound, operation);
}

/* ---- names of owners ---- */

static void names_known(struct nfs4_idmap_waiter *waiter)
{
    struct nfs4_compound *compound = container_of(waiter, struct nfs4_compound, names);
    uint32_t status;

    compound->in_run = true;
    status = compound->operation->run(compound);
    compound->in_run = false;
    nfs4__resume(compound, status);
}

/* The operation that has just ended showed numbers in place of names that are being asked for: it is run once
 * more when they are there. */
static bool wait_for_names(struct nfs4_compound *compound)
{
    compound->names.done = names_known;
    if (!nfs4__idmap_wait(compound->server->idmap, &compound->names))
        return false;
    onc_call_reply_truncate(compound->call, compound->result_begin + RESULT_HEAD);
    nfs4__merge_ticket(compound);
    compound->context.export = NULL;
    return true;
}

static uint32_t operation_run(struct nfs4_compound *compound)
{
    const struct nfs4_operation *operation = compound->operation;
    bool shows_owners = operation->flags & NFS4_SHOWS_OWNERS;
    uint64_t misses = shows_owners ? nfs4__idmap_misses(compound->server->idmap) : 0;
    uint32_t status;

    compound->in_run = true;
    status = operation->run(compound);
    if (status == NFS4_ANSWERED)
        return status; /* the compound is gone */
    compound->in_run = false;
    if (shows_owners && nfs4__idmap_misses(compound->server->idmap) != misses && wait_for_names(compound))
        return NFS4_WAIT;
    return status;
}

/* Takes the next operation. False: the compound waits or is answered. *STATUS_R: how it ended. */
static bool operation_take(struct nfs4_compound *compound, uint32_t *status_r)
{
    uint32_t opnum;

    if (!reader_be32(&compound->arguments, &opnum)) {
        /* The number itself is missing: there is no operation to name (RFC 7530 15.2.4). */
        compound->operation = NULL;
        compound->opnum = OP_ILLEGAL;
        operation_begin_result(compound, OP_ILLEGAL);
        *status_r = NFS4ERR_BADXDR;
        return true;
    }
    if (opnum < OP_ACCESS || opnum > highest_operations[compound->minor]) {
        compound->operation = NULL;
        compound->opnum = OP_ILLEGAL;
        operation_begin_result(compound, OP_ILLEGAL);
        *status_r =
            compound->minor > 0 && !compound->has_session ? NFS4ERR_OP_NOT_IN_SESSION : NFS4ERR_OP_ILLEGAL;
        if (compound->operation_index == 0)
            *status_r = NFS4ERR_OP_ILLEGAL;
        return true;
    }
    compound->opnum = opnum;
    compound->operation = &nfs4_operations[opnum];
    if (compound->operation->name == NULL || compound->minor < compound->operation->first_minor ||
        compound->minor > compound->operation->last_minor)
        compound->operation = NULL;
    operation_begin_result(compound, opnum);
    *status_r = operation_prepare(compound);
    if (*status_r != NFS4_OK)
        return true;
    compound->server->operations[opnum]++;
    if (compound->operation->flags & NFS4_CHANGES)
        compound->has_changed = true;
    *status_r = operation_run(compound);
    return *status_r != NFS4_ANSWERED && *status_r != NFS4_WAIT;
}

static void compound_run(struct nfs4_compound *compound)
{
    uint32_t status;

    while (compound->operation_index < compound->operation_count) {
        if (!operation_take(compound, &status))
            return;
        if (!operation_end(compound, status))
            break;
    }
    compound_end(compound);
}

void nfs4__resume(struct nfs4_compound *compound, uint32_t status)
{
    invariant(!compound->in_run);
    if (operation_end(compound, status))
        compound_run(compound);
    else
        compound_end(compound);
}

void nfs4__answer_with(struct nfs4_compound *compound, const void *results, size_t length)
{
    struct onc_call *call = compound->call;

    onc_call_reply_truncate(call, 0);
    writer_bytes(&call->reply, results, length);
    compound->has_session = false;
    compound_release(compound);
    onc_call_reply(call);
}

/* ---- the compound's begin ---- */

/* tag, minorversion and the number of operations; false: GARBAGE_ARGS. */
static bool decode_head(struct nfs4_compound *compound)
{
    return reader_xdr_opaque(&compound->arguments, NFS4_TAG_MAX, &compound->tag, &compound->tag_length) &&
           reader_be32(&compound->arguments, &compound->minor) &&
           reader_be32(&compound->arguments, &compound->operation_count);
}

static uint32_t check_head(const struct nfs4_compound *compound)
{
    if (compound->minor > 2)
        return NFS4ERR_MINOR_VERS_MISMATCH;
    if (compound->operation_count > NFS4_OPERATIONS_MAX)
        return compound->minor == 0 ? NFS4ERR_RESOURCE : NFS4ERR_TOO_MANY_OPS;
    return NFS4_OK;
}

void nfs4__compound(struct onc_call *call)
{
    struct nfs4_server *server = call->program->data;
    struct nfs4_compound *compound = nfs4__compound_new(server, call);

    if (compound == NULL) {
        onc_call_reject(call, ONC_REJECT_SYSTEM_ERROR);
        return;
    }
    if (!decode_head(compound)) {
        compound_release(compound);
        onc_call_reject(call, ONC_REJECT_GARBAGE_ARGS);
        return;
    }
    compound->reply_limit = NFS4_REPLY_MAX;
    compound->status_at = call->reply.length;
    writer_be32(&call->reply, NFS4_OK);
    writer_xdr_opaque(&call->reply, compound->tag, compound->tag_length);
    compound->count_at = call->reply.length;
    writer_be32(&call->reply, 0);
    compound->status = check_head(compound);
    if (compound->status != NFS4_OK)
        compound_send(compound);
    else
        compound_run(compound);
}
