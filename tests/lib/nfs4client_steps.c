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

struct nfs4_handle nfs4_walk(struct nfs4c *c, const char *path)
{
    char name[256];
    uint32_t names = 0;

    nfs4_begin(c);
    nfs4_putrootfh(c);
    while (*path != '\0') {
        size_t length = strcspn(path, "/");

        memcpy(name, path, length);
        name[length] = '\0';
        nfs4_lookup(c, name);
        names++;
        path += length + (path[length] == '/');
    }
    nfs4_getfh(c);
    assert_int_equal(nfs4_call(c), NFS4_OK);
    nfs4_skip_sequence(c);
    nfs4_result(c, OP_PUTROOTFH, NFS4_OK);
    while (names-- > 0)
        nfs4_result(c, OP_LOOKUP, NFS4_OK);
    nfs4_result(c, OP_GETFH, NFS4_OK);
    return nfs4_handle_read(c);
}

/* PUTFH has been answered with OK; the operation behind it? */
static uint32_t after_putfh(struct nfs4c *c, uint32_t opnum)
{
    nfs4_skip_sequence(c);
    nfs4_result(c, OP_PUTFH, NFS4_OK);
    return nfs4_result_status(c, opnum);
}

uint32_t nfs4_try_open(struct nfs4c *c, const struct nfs4_handle *dir, struct nfs4_open_args *args,
                       struct nfs4_opened *opened_r)
{
    struct nfs4_open_result result;
    uint32_t status;

    nfs4_begin(c);
    nfs4_putfh(c, dir);
    nfs4_open_op(c, args);
    nfs4_getfh(c);
    nfs4_call(c);
    status = after_putfh(c, OP_OPEN);
    if (status != NFS4_OK)
        return status;
    result = nfs4_open_read(c);
    opened_r->stateid = result.stateid;
    opened_r->flags = result.flags;
    opened_r->delegation = result.delegation;
    opened_r->delegation_id = result.delegation_id;
    opened_r->why = result.why;
    opened_r->recall = result.recall;
    nfs4_result(c, OP_GETFH, NFS4_OK);
    opened_r->file = nfs4_handle_read(c);
    return NFS4_OK;
}

struct nfs4_opened nfs4_must_open(struct nfs4c *c, const struct nfs4_handle *dir, struct nfs4_open_args *args)
{
    struct nfs4_opened opened;

    assert_int_equal(nfs4_try_open(c, dir, args, &opened), NFS4_OK);
    args->seqid++;
    if (!(opened.flags & 2))
        return opened;
    nfs4_begin(c);
    nfs4_putfh(c, &opened.file);
    nfs4_open_confirm(c, &opened.stateid, args->seqid++);
    nfs4_call(c);
    assert_int_equal(after_putfh(c, OP_OPEN_CONFIRM), NFS4_OK);
    opened.stateid = nfs4_id_read(c);
    return opened;
}

uint32_t nfs4_try_close(struct nfs4c *c, const struct nfs4_handle *file, const struct nfs4_id *id,
                        uint32_t seqid)
{
    nfs4_begin(c);
    nfs4_putfh(c, file);
    nfs4_close(c, id, seqid);
    nfs4_call(c);
    return after_putfh(c, OP_CLOSE);
}

uint32_t nfs4_try_lock(struct nfs4c *c, const struct nfs4_handle *file, const struct nfs4_lock_args *args,
                       struct nfs4_id *id_r, struct nfs4_denied *denied_r)
{
    uint32_t status;

    nfs4_begin(c);
    nfs4_putfh(c, file);
    nfs4_lock(c, args);
    nfs4_call(c);
    status = after_putfh(c, OP_LOCK);
    if (status == NFS4_OK && id_r != NULL)
        *id_r = nfs4_id_read(c);
    if (status == NFS4ERR_DENIED && denied_r != NULL)
        *denied_r = nfs4_denied_read(c);
    return status;
}

uint32_t nfs4_try_locku(struct nfs4c *c, const struct nfs4_handle *file, struct nfs4_id *id, uint32_t seqid,
                        uint64_t offset, uint64_t length)
{
    uint32_t status;

    nfs4_begin(c);
    nfs4_putfh(c, file);
    nfs4_locku(c, id, seqid, offset, length);
    nfs4_call(c);
    status = after_putfh(c, OP_LOCKU);
    if (status == NFS4_OK)
        *id = nfs4_id_read(c);
    return status;
}

uint32_t nfs4_try_lockt(struct nfs4c *c, const struct nfs4_handle *file, uint32_t type, uint64_t offset,
                        uint64_t length, const char *owner, struct nfs4_denied *denied_r)
{
    uint32_t status;

    nfs4_begin(c);
    nfs4_putfh(c, file);
    nfs4_lockt(c, type, offset, length, owner);
    nfs4_call(c);
    status = after_putfh(c, OP_LOCKT);
    if (status == NFS4ERR_DENIED && denied_r != NULL)
        *denied_r = nfs4_denied_read(c);
    return status;
}

uint32_t nfs4_try_read(struct nfs4c *c, const struct nfs4_handle *file, const struct nfs4_id *id)
{
    nfs4_begin(c);
    nfs4_putfh(c, file);
    nfs4_read(c, id, 0, 16);
    nfs4_call(c);
    return after_putfh(c, OP_READ);
}

uint32_t nfs4_try_write(struct nfs4c *c, const struct nfs4_handle *file, const struct nfs4_id *id)
{
    nfs4_begin(c);
    nfs4_putfh(c, file);
    nfs4_write(c, id, 0, "data");
    nfs4_call(c);
    return after_putfh(c, OP_WRITE);
}

uint32_t nfs4_try_delegreturn(struct nfs4c *c, const struct nfs4_handle *file, const struct nfs4_id *id)
{
    nfs4_begin(c);
    nfs4_putfh(c, file);
    nfs4_op(c, OP_DELEGRETURN);
    nfs4_put_id(c, id);
    nfs4_call(c);
    return after_putfh(c, OP_DELEGRETURN);
}

uint32_t nfs4_try_getattr(struct nfs4c *c, const struct nfs4_handle *file, uint64_t *change_r,
                          uint64_t *size_r)
{
    uint64_t change = 0, size = 0;
    uint32_t status, words, mask, length;

    nfs4_begin(c);
    nfs4_putfh(c, file);
    nfs4_op(c, OP_GETATTR);
    writer_be32(&c->body, 1);
    writer_be32(&c->body, 1u << FATTR4_CHANGE | 1u << FATTR4_SIZE);
    nfs4_call(c);
    status = after_putfh(c, OP_GETATTR);
    if (status != NFS4_OK)
        return status;
    assert_true(reader_be32(&c->results, &words) && reader_be32(&c->results, &mask) &&
                reader_be32(&c->results, &length) && reader_be64(&c->results, &change) &&
                reader_be64(&c->results, &size));
    if (change_r != NULL)
        *change_r = change;
    if (size_r != NULL)
        *size_r = size;
    return NFS4_OK;
}
