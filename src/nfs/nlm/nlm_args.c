/*
 * nlm_args.c - the arguments of NLM's procedures.
 */
#include "nfs/nlm/nlm_wire.h"

static bool read_bytes(struct reader *reader, size_t most, struct nlm_bytes *bytes_r)
{
    return reader_xdr_opaque(reader, most, &bytes_r->data, &bytes_r->length);
}

static bool read_number(struct reader *reader, uint32_t version, uint64_t *number_r)
{
    uint32_t number;

    if (version >= 4)
        return reader_be64(reader, number_r);
    if (!reader_be32(reader, &number))
        return false;
    *number_r = number;
    return true;
}

/* nlm_lock, nlm4_lock */
static bool read_lock(struct reader *reader, uint32_t version, struct nlm_lock *lock_r)
{
    return read_bytes(reader, NLM_NAME_MAX, &lock_r->caller_name) &&
           read_bytes(reader, NLM_HANDLE_MAX, &lock_r->handle) &&
           read_bytes(reader, NLM_OWNER_MAX, &lock_r->owner) && reader_be32(reader, &lock_r->svid) &&
           read_number(reader, version, &lock_r->offset) && read_number(reader, version, &lock_r->length);
}

/* nlm_testargs: TEST, GRANTED */
static bool read_testargs(struct reader *reader, uint32_t version, struct nlm_args *args)
{
    return read_bytes(reader, NLM_COOKIE_MAX, &args->cookie) && reader_xdr_bool(reader, &args->exclusive) &&
           read_lock(reader, version, &args->lock);
}

/* nlm_lockargs: LOCK, NM_LOCK */
static bool read_lockargs(struct reader *reader, uint32_t version, struct nlm_args *args)
{
    return read_bytes(reader, NLM_COOKIE_MAX, &args->cookie) && reader_xdr_bool(reader, &args->block) &&
           reader_xdr_bool(reader, &args->exclusive) && read_lock(reader, version, &args->lock) &&
           reader_xdr_bool(reader, &args->reclaim) && reader_be32(reader, &args->state);
}

/* nlm_cancargs */
static bool read_cancargs(struct reader *reader, uint32_t version, struct nlm_args *args)
{
    return read_bytes(reader, NLM_COOKIE_MAX, &args->cookie) && reader_xdr_bool(reader, &args->block) &&
           reader_xdr_bool(reader, &args->exclusive) && read_lock(reader, version, &args->lock);
}

/* nlm_unlockargs */
static bool read_unlockargs(struct reader *reader, uint32_t version, struct nlm_args *args)
{
    return read_bytes(reader, NLM_COOKIE_MAX, &args->cookie) && read_lock(reader, version, &args->lock);
}

/* nlm_res */
static bool read_res(struct reader *reader, struct nlm_args *args)
{
    return read_bytes(reader, NLM_COOKIE_MAX, &args->cookie) && reader_be32(reader, &args->status);
}

/* nlm_shareargs */
static bool read_shareargs(struct reader *reader, struct nlm_args *args)
{
    return read_bytes(reader, NLM_COOKIE_MAX, &args->cookie) &&
           read_bytes(reader, NLM_NAME_MAX, &args->lock.caller_name) &&
           read_bytes(reader, NLM_HANDLE_MAX, &args->lock.handle) &&
           read_bytes(reader, NLM_OWNER_MAX, &args->lock.owner) && reader_be32(reader, &args->mode) &&
           reader_be32(reader, &args->access) && reader_xdr_bool(reader, &args->reclaim);
}

/* nlm_notify */
static bool read_notify(struct reader *reader, struct nlm_args *args)
{
    return read_bytes(reader, NLM_NAME_MAX, &args->lock.caller_name) && reader_be32(reader, &args->state);
}

static bool read_args(uint32_t version, enum nlm_procedure procedure, struct reader *reader,
                      struct nlm_args *args)
{
    switch (procedure) {
    case NLM_TEST:
    case NLM_TEST_MSG:
    case NLM_GRANTED:
    case NLM_GRANTED_MSG:
        return read_testargs(reader, version, args);
    case NLM_LOCK:
    case NLM_LOCK_MSG:
    case NLM_NM_LOCK:
        return read_lockargs(reader, version, args);
    case NLM_CANCEL:
    case NLM_CANCEL_MSG:
        return read_cancargs(reader, version, args);
    case NLM_UNLOCK:
    case NLM_UNLOCK_MSG:
        return read_unlockargs(reader, version, args);
    case NLM_GRANTED_RES:
        return read_res(reader, args);
    case NLM_TEST_RES:
    case NLM_LOCK_RES:
    case NLM_CANCEL_RES:
    case NLM_UNLOCK_RES:
        /* We never ask for any: whatever comes is passed over. */
        return reader_skip(reader, reader->left);
    case NLM_SHARE:
    case NLM_UNSHARE:
        return read_shareargs(reader, args);
    case NLM_FREE_ALL:
        return read_notify(reader, args);
    case NLM_NULL:
    case NLM_PROCEDURES:
        break;
    }
    return true;
}

bool nlm__decode_call(uint32_t version, uint32_t procedure, struct reader *reader, struct nlm_args *args_r)
{
    *args_r = (struct nlm_args){.block = false};
    return read_args(version, (enum nlm_procedure)procedure, reader, args_r) && reader_is_done(reader);
}
