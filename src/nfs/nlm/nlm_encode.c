/*
 * nlm_encode.c - the results of NLM's procedures, and the arguments of its callbacks.
 */
#include "nfs/nlm/nlm_wire.h"

/* The last offset that versions 1 and 3 are sure to understand: theirs are signed for many clients. */
#define OFFSET_MAX_32 ((uint64_t)INT32_MAX)

/* What versions before 4 have no word for: a lock that can't be had for another reason than a conflict. */
uint32_t nlm__status_of_version(uint32_t version, enum nlm_status status)
{
    return version < 4 && status > NLM_STATUS_DEADLOCK ? NLM_STATUS_NO_LOCKS : status;
}

static void write_bytes(struct writer *writer, struct nlm_bytes bytes)
{
    writer_xdr_opaque(writer, bytes.data, bytes.length);
}

/* A range that does not fit reaches to the end, from where the last offset is at the latest. */
static void write_range(struct writer *writer, uint32_t version, uint64_t offset, uint64_t length)
{
    if (version >= 4) {
        writer_be64(writer, offset);
        writer_be64(writer, length);
        return;
    }
    if (offset > OFFSET_MAX_32)
        offset = OFFSET_MAX_32;
    if (length > OFFSET_MAX_32 - offset)
        length = 0;
    writer_be32(writer, (uint32_t)offset);
    writer_be32(writer, (uint32_t)length);
}

void nlm__encode_res(struct writer *writer, uint32_t version, struct nlm_bytes cookie, enum nlm_status status)
{
    write_bytes(writer, cookie);
    writer_be32(writer, nlm__status_of_version(version, status));
}

void nlm__encode_testres(struct writer *writer, uint32_t version, struct nlm_bytes cookie,
                         enum nlm_status status, const struct nlm_holder *holder)
{
    nlm__encode_res(writer, version, cookie, status);
    if (status != NLM_STATUS_DENIED)
        return;
    writer_xdr_bool(writer, holder->exclusive);
    writer_be32(writer, holder->svid);
    write_bytes(writer, holder->owner);
    write_range(writer, version, holder->offset, holder->length);
}

void nlm__encode_shareres(struct writer *writer, uint32_t version, struct nlm_bytes cookie,
                          enum nlm_status status)
{
    nlm__encode_res(writer, version, cookie, status);
    writer_be32(writer, 0); /* sequence: X/Open says that it is of no use */
}

void nlm__encode_testargs(struct writer *writer, uint32_t version, struct nlm_bytes cookie, bool exclusive,
                          const struct nlm_lock *lock)
{
    write_bytes(writer, cookie);
    writer_xdr_bool(writer, exclusive);
    write_bytes(writer, lock->caller_name);
    write_bytes(writer, lock->handle);
    write_bytes(writer, lock->owner);
    writer_be32(writer, lock->svid);
    if (version >= 4) {
        writer_be64(writer, lock->offset);
        writer_be64(writer, lock->length);
    } else {
        /* As it came: it fits. */
        writer_be32(writer, (uint32_t)lock->offset);
        writer_be32(writer, (uint32_t)lock->length);
    }
}
