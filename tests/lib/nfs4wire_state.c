/*
 * nfs4wire_state.c - the arguments of operations on opens, locks and stateids.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nfs4wire.h"

#include <string.h>

enum { CLAIM_NULL, CLAIM_PREVIOUS, CLAIM_DELEGATE_CUR, CLAIM_DELEGATE_PREV, CLAIM_FH, CLAIM_DELEG_CUR_FH };

static void put_owner(struct wire4 *wire, const char *owner)
{
    writer_be64(&wire->request, wire->clientid);
    writer_xdr_opaque(&wire->request, owner, strlen(owner));
}

/* ---- every argument given ---- */

void wire4_op_open(struct wire4 *wire, const struct wire4_open_args *args)
{
    struct writer *request = &wire->request;

    wire4_op(wire, OP_OPEN);
    writer_be32(request, args->seqid);
    writer_be32(request, args->access);
    writer_be32(request, args->deny);
    put_owner(wire, args->owner);
    writer_be32(request, args->how != WIRE4_NOCREATE);
    if (args->how != WIRE4_NOCREATE)
        writer_be32(request, (uint32_t)args->how - WIRE4_UNCHECKED);
    if (args->how == WIRE4_EXCLUSIVE || args->how == WIRE4_EXCLUSIVE_1)
        writer_be64(request, args->verifier);
    if (args->how != WIRE4_NOCREATE && args->how != WIRE4_EXCLUSIVE)
        wire4_put_fattr(wire, args->fattr);
    writer_be32(request, args->claim);
    if (args->claim == CLAIM_DELEGATE_CUR || args->claim == CLAIM_DELEG_CUR_FH)
        wire4_put_stateid(wire, &args->stateid);
    if (args->claim == CLAIM_NULL || args->claim == CLAIM_DELEGATE_CUR || args->claim == CLAIM_DELEGATE_PREV)
        writer_xdr_opaque(request, args->name, strlen(args->name));
    if (args->claim == CLAIM_PREVIOUS)
        writer_be32(request, args->delegated);
}

void wire4_op_open_confirm(struct wire4 *wire, const struct wire4_stateid *stateid, uint32_t seqid)
{
    wire4_op(wire, OP_OPEN_CONFIRM);
    wire4_put_stateid(wire, stateid);
    writer_be32(&wire->request, seqid);
}

void wire4_op_open_downgrade(struct wire4 *wire, const struct wire4_stateid *stateid, uint32_t seqid,
                             uint32_t access, uint32_t deny)
{
    wire4_op(wire, OP_OPEN_DOWNGRADE);
    wire4_put_stateid(wire, stateid);
    writer_be32(&wire->request, seqid);
    writer_be32(&wire->request, access);
    writer_be32(&wire->request, deny);
}

void wire4_op_close(struct wire4 *wire, const struct wire4_stateid *stateid, uint32_t seqid)
{
    wire4_op(wire, OP_CLOSE);
    writer_be32(&wire->request, seqid);
    wire4_put_stateid(wire, stateid);
}

void wire4_op_lock(struct wire4 *wire, const struct wire4_lock_args *args)
{
    struct writer *request = &wire->request;

    wire4_op(wire, OP_LOCK);
    writer_be32(request, args->type);
    writer_xdr_bool(request, args->reclaim);
    writer_be64(request, args->offset);
    writer_be64(request, args->length);
    writer_xdr_bool(request, args->new_owner);
    if (args->new_owner)
        writer_be32(request, args->open_seqid);
    wire4_put_stateid(wire, &args->stateid);
    writer_be32(request, args->lock_seqid);
    if (args->new_owner)
        put_owner(wire, args->owner);
}

void wire4_op_lockt(struct wire4 *wire, uint32_t type, uint64_t offset, uint64_t length, const char *owner)
{
    wire4_op(wire, OP_LOCKT);
    writer_be32(&wire->request, type);
    writer_be64(&wire->request, offset);
    writer_be64(&wire->request, length);
    put_owner(wire, owner);
}

void wire4_op_locku(struct wire4 *wire, const struct wire4_stateid *stateid, uint32_t seqid, uint64_t offset,
                    uint64_t length)
{
    wire4_op(wire, OP_LOCKU);
    writer_be32(&wire->request, WIRE4_WRITE_LT);
    writer_be32(&wire->request, seqid);
    wire4_put_stateid(wire, stateid);
    writer_be64(&wire->request, offset);
    writer_be64(&wire->request, length);
}

void wire4_release_lockowner(struct wire4 *wire, const char *owner)
{
    wire4_op(wire, OP_RELEASE_LOCKOWNER);
    put_owner(wire, owner);
}

void wire4_test_stateid(struct wire4 *wire, const struct wire4_stateid *stateids, uint32_t count)
{
    wire4_op(wire, OP_TEST_STATEID);
    writer_be32(&wire->request, count);
    for (uint32_t i = 0; i < count; i++)
        wire4_put_stateid(wire, &stateids[i]);
}

void wire4_free_stateid(struct wire4 *wire, const struct wire4_stateid *stateid)
{
    wire4_op(wire, OP_FREE_STATEID);
    wire4_put_stateid(wire, stateid);
}

/* ---- for an owner that counts its requests (4.0) ---- */

static uint32_t next_seqid(const struct wire4 *wire, struct wire4_owner *owner)
{
    return wire->minor == 0 ? ++owner->seqid : 0;
}

void wire4_open_name(struct wire4 *wire, struct wire4_owner *owner, const char *name, uint32_t access,
                     uint32_t deny, int how, const struct wire4_fattr *fattr, uint64_t verifier)
{
    wire4_op_open(wire, &(struct wire4_open_args){.seqid = next_seqid(wire, owner),
                                                  .access = access,
                                                  .deny = deny,
                                                  .owner = owner->key,
                                                  .how = how,
                                                  .fattr = fattr,
                                                  .verifier = verifier,
                                                  .claim = CLAIM_NULL,
                                                  .name = name});
}

void wire4_open_fh(struct wire4 *wire, struct wire4_owner *owner, uint32_t claim, uint32_t access,
                   uint32_t deny)
{
    wire4_op_open(wire, &(struct wire4_open_args){.seqid = next_seqid(wire, owner),
                                                  .access = access,
                                                  .deny = deny,
                                                  .owner = owner->key,
                                                  .how = WIRE4_NOCREATE,
                                                  .claim = claim});
}

void wire4_open_confirm(struct wire4 *wire, struct wire4_owner *owner, const struct wire4_stateid *stateid)
{
    wire4_op_open_confirm(wire, stateid, next_seqid(wire, owner));
}

void wire4_open_downgrade(struct wire4 *wire, struct wire4_owner *owner, const struct wire4_stateid *stateid,
                          uint32_t access, uint32_t deny)
{
    wire4_op_open_downgrade(wire, stateid, next_seqid(wire, owner), access, deny);
}

void wire4_close_file(struct wire4 *wire, struct wire4_owner *owner, const struct wire4_stateid *stateid)
{
    wire4_op_close(wire, stateid, next_seqid(wire, owner));
}

void wire4_lock_new(struct wire4 *wire, uint32_t type, bool reclaim, uint64_t offset, uint64_t length,
                    struct wire4_owner *opener, const struct wire4_stateid *open, struct wire4_owner *locker)
{
    wire4_op_lock(wire, &(struct wire4_lock_args){.type = type,
                                                  .reclaim = reclaim,
                                                  .offset = offset,
                                                  .length = length,
                                                  .new_owner = true,
                                                  .open_seqid = next_seqid(wire, opener),
                                                  .lock_seqid = next_seqid(wire, locker),
                                                  .stateid = *open,
                                                  .owner = locker->key});
}

void wire4_lock(struct wire4 *wire, uint32_t type, bool reclaim, uint64_t offset, uint64_t length,
                struct wire4_owner *locker, const struct wire4_stateid *lock)
{
    wire4_op_lock(wire, &(struct wire4_lock_args){.type = type,
                                                  .reclaim = reclaim,
                                                  .offset = offset,
                                                  .length = length,
                                                  .lock_seqid = next_seqid(wire, locker),
                                                  .stateid = *lock});
}

void wire4_lockt(struct wire4 *wire, uint32_t type, uint64_t offset, uint64_t length,
                 const struct wire4_owner *locker)
{
    wire4_op_lockt(wire, type, offset, length, locker->key);
}

void wire4_locku(struct wire4 *wire, uint64_t offset, uint64_t length, struct wire4_owner *locker,
                 const struct wire4_stateid *lock)
{
    wire4_op_locku(wire, lock, next_seqid(wire, locker), offset, length);
}
