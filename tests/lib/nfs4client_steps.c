/*
 * nfs4client_steps.c - whole compounds of the client of NFS version 4.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nfs4client.h"
#include "nfsworld.h"

#include <string.h>

/* PUTFH has been answered with OK; the operation behind it? */
static uint32_t after_putfh(struct nfs4c *c, uint32_t opnum)
{
    nfs4_skip_sequence(c);
    nfs4_result(c, OP_PUTFH, NFS4_OK);
    return nfs4_result_status(c, opnum);
}

static struct nfs4_denied denied_of(const struct wire4_result *result)
{
    struct nfs4_denied denied = {.offset = result->lock_offset,
                                 .length = result->lock_length,
                                 .type = result->lock_type,
                                 .clientid = result->clientid};

    assert_true(result->lock_owner_length < sizeof denied.owner);
    memcpy(denied.owner, result->lock_owner, result->lock_owner_length);
    return denied;
}

uint32_t nfs4_try_open(struct nfs4c *c, const struct wire4_handle *dir, struct nfs4_open_args *args,
                       struct nfs4_opened *opened_r)
{
    uint32_t status;

    wire4_begin(&c->wire);
    wire4_putfh(&c->wire, dir);
    nfs4_open_op(c, args);
    wire4_getfh(&c->wire);
    nfs4_call(c);
    status = after_putfh(c, OP_OPEN);
    if (status != NFS4_OK)
        return status;
    opened_r->stateid = c->result.stateid;
    opened_r->flags = c->result.flags;
    opened_r->delegation = c->result.delegation;
    opened_r->delegation_id = c->result.delegation_id;
    opened_r->why = c->result.why;
    opened_r->recall = c->result.recall;
    nfs4_result(c, OP_GETFH, NFS4_OK);
    opened_r->file = c->result.handle;
    return NFS4_OK;
}

struct nfs4_opened nfs4_must_open(struct nfs4c *c, const struct wire4_handle *dir,
                                  struct nfs4_open_args *args)
{
    struct nfs4_opened opened;

    assert_int_equal(nfs4_try_open(c, dir, args, &opened), NFS4_OK);
    args->seqid++;
    if (!(opened.flags & 2))
        return opened;
    wire4_begin(&c->wire);
    wire4_putfh(&c->wire, &opened.file);
    wire4_op_open_confirm(&c->wire, &opened.stateid, args->seqid++);
    nfs4_call(c);
    assert_int_equal(after_putfh(c, OP_OPEN_CONFIRM), NFS4_OK);
    opened.stateid = c->result.stateid;
    return opened;
}

uint32_t nfs4_try_close(struct nfs4c *c, const struct wire4_handle *file, const struct wire4_stateid *id,
                        uint32_t seqid)
{
    wire4_begin(&c->wire);
    wire4_putfh(&c->wire, file);
    wire4_op_close(&c->wire, id, seqid);
    nfs4_call(c);
    return after_putfh(c, OP_CLOSE);
}

uint32_t nfs4_try_lock(struct nfs4c *c, const struct wire4_handle *file, const struct wire4_lock_args *args,
                       struct wire4_stateid *id_r, struct nfs4_denied *denied_r)
{
    uint32_t status;

    wire4_begin(&c->wire);
    wire4_putfh(&c->wire, file);
    wire4_op_lock(&c->wire, args);
    nfs4_call(c);
    status = after_putfh(c, OP_LOCK);
    if (status == NFS4_OK && id_r != NULL)
        *id_r = c->result.stateid;
    if (status == NFS4ERR_DENIED && denied_r != NULL)
        *denied_r = denied_of(&c->result);
    return status;
}

uint32_t nfs4_try_locku(struct nfs4c *c, const struct wire4_handle *file, struct wire4_stateid *id,
                        uint32_t seqid, uint64_t offset, uint64_t length)
{
    uint32_t status;

    wire4_begin(&c->wire);
    wire4_putfh(&c->wire, file);
    wire4_op_locku(&c->wire, id, seqid, offset, length);
    nfs4_call(c);
    status = after_putfh(c, OP_LOCKU);
    if (status == NFS4_OK)
        *id = c->result.stateid;
    return status;
}

uint32_t nfs4_try_lockt(struct nfs4c *c, const struct wire4_handle *file, uint32_t type, uint64_t offset,
                        uint64_t length, const char *owner, struct nfs4_denied *denied_r)
{
    uint32_t status;

    wire4_begin(&c->wire);
    wire4_putfh(&c->wire, file);
    wire4_op_lockt(&c->wire, type, offset, length, owner);
    nfs4_call(c);
    status = after_putfh(c, OP_LOCKT);
    if (status == NFS4ERR_DENIED && denied_r != NULL)
        *denied_r = denied_of(&c->result);
    return status;
}

uint32_t nfs4_try_read(struct nfs4c *c, const struct wire4_handle *file, const struct wire4_stateid *id)
{
    wire4_begin(&c->wire);
    wire4_putfh(&c->wire, file);
    wire4_read(&c->wire, OP_READ, id, 0, 16);
    nfs4_call(c);
    return after_putfh(c, OP_READ);
}

uint32_t nfs4_try_write(struct nfs4c *c, const struct wire4_handle *file, const struct wire4_stateid *id)
{
    wire4_begin(&c->wire);
    wire4_putfh(&c->wire, file);
    nfs4_write(c, id, 0, "data");
    nfs4_call(c);
    return after_putfh(c, OP_WRITE);
}

uint32_t nfs4_try_delegreturn(struct nfs4c *c, const struct wire4_handle *file,
                              const struct wire4_stateid *id)
{
    wire4_begin(&c->wire);
    wire4_putfh(&c->wire, file);
    wire4_op(&c->wire, OP_DELEGRETURN);
    wire4_put_stateid(&c->wire, id);
    nfs4_call(c);
    return after_putfh(c, OP_DELEGRETURN);
}

uint32_t nfs4_try_getattr(struct nfs4c *c, const struct wire4_handle *file, uint64_t *change_r,
                          uint64_t *size_r)
{
    uint32_t status;

    wire4_begin(&c->wire);
    wire4_putfh(&c->wire, file);
    wire4_getattr(&c->wire, wire4_bits(2, FATTR4_CHANGE, FATTR4_SIZE));
    nfs4_call(c);
    status = after_putfh(c, OP_GETATTR);
    if (status != NFS4_OK)
        return status;
    if (change_r != NULL)
        *change_r = c->result.attrs.change;
    if (size_r != NULL)
        *size_r = c->result.attrs.size;
    return NFS4_OK;
}
