/*
 * nfs4wire.c - compounds and the arguments of operations.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nfs4wire.h"

#include <stdlib.h>
#include <string.h>

enum { PROGRAM = 100003, VERSION = 4, COMPOUND = 1, REQUEST_MAX = 4 << 20 };

const struct wire4_stateid wire4_anonymous;
const struct wire4_stateid wire4_bypass = {
    UINT32_MAX, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
const struct wire4_stateid wire4_current = {1, {0}};

struct wire4_bitmap wire4_bits(int count, ...)
{
    struct wire4_bitmap bitmap = {{0}};
    va_list list;

    va_start(list, count);
    while (count-- > 0) {
        int attr = va_arg(list, int);

        bitmap.words[attr / 32] |= UINT32_C(1) << attr % 32;
    }
    va_end(list);
    return bitmap;
}

bool wire4_has(const struct wire4_bitmap *bitmap, unsigned attr)
{
    return (bitmap->words[attr / 32] >> attr % 32 & 1) != 0;
}

struct wire4_owner wire4_owner(const char *key)
{
    struct wire4_owner owner = {.seqid = 0};

    assert_true(strlen(key) < sizeof owner.key);
    memcpy(owner.key, key, strlen(key) + 1);
    return owner;
}

/* ---- compounds ---- */

struct wire4 *wire4_open(struct rpcclient *rpc, uint32_t minor)
{
    struct wire4 *wire = calloc(1, sizeof *wire);

    assert_non_null(wire);
    wire4_init(wire, rpc, minor);
    return wire;
}

void wire4_init(struct wire4 *wire, struct rpcclient *rpc, uint32_t minor)
{
    memset(wire, 0, sizeof *wire);
    wire->rpc = rpc;
    wire->minor = minor;
}

void wire4_free(struct wire4 *wire)
{
    writer_free(&wire->request);
}

void wire4_close(struct wire4 **wire)
{
    if (*wire == NULL)
        return;
    wire4_free(*wire);
    free(*wire);
    *wire = NULL;
}

void wire4_begin_bare(struct wire4 *wire)
{
    const char *tag = wire->tag == NULL ? "" : wire->tag;

    writer_free(&wire->request);
    writer_init_growing(&wire->request, REQUEST_MAX);
    writer_xdr_opaque(&wire->request, tag, strlen(tag));
    writer_be32(&wire->request, wire->minor);
    wire->count_at = wire->request.length;
    writer_be32(&wire->request, 0);
    wire->put = 0;
}

void wire4_begin(struct wire4 *wire)
{
    const struct wire4_session *session = &wire->session;

    wire4_begin_bare(wire);
    if (wire->has_session)
        wire4_sequence(wire, session->id, session->seqid[wire->slot], wire->slot, wire->slot,
                       wire->cache_this);
}

/* The slot's sequence goes on unless SEQUENCE itself was refused. */
static void advance(struct wire4 *wire)
{
    struct wire4_session *session = &wire->session;
    const struct wire4_result *first = &wire->results[0];

    if (!wire->has_session || wire->count == 0 || first->opnum != OP_SEQUENCE || first->status != NFS4_OK)
        return;
    session->seqid[wire->slot]++;
    session->highest_slot = first->highest_slot;
    session->target_slot = first->target_slot;
    session->status_flags = first->status_flags;
}

static void prepare(struct wire4 *wire)
{
    assert_false(wire->request.failed);
    writer_patch_be32(&wire->request, wire->count_at, wire->put);
    rpcclient_program(wire->rpc, PROGRAM, VERSION);
}

void wire4_post(struct wire4 *wire)
{
    prepare(wire);
    wire->xid = rpcclient_send(wire->rpc, COMPOUND, &wire->request);
    assert_int_not_equal(wire->xid, 0);
}

void wire4_post_again(struct wire4 *wire, bool same_xid)
{
    prepare(wire);
    if (same_xid)
        assert_true(rpcclient_send_as(wire->rpc, wire->xid, COMPOUND, &wire->request));
    else
        wire->xid = rpcclient_send(wire->rpc, COMPOUND, &wire->request);
}

uint32_t wire4_receive_again(struct wire4 *wire)
{
    struct reader results;
    uint32_t xid;

    do
        assert_int_equal(rpcclient_receive(wire->rpc, &xid, &results), RPCCLIENT_SUCCESS);
    while (xid != wire->xid);
    assert_true(wire4_decode(wire, results));
    return wire->status;
}

uint32_t wire4_receive(struct wire4 *wire)
{
    wire4_receive_again(wire);
    advance(wire);
    return wire->status;
}

enum rpcclient_status wire4_send_raw(struct wire4 *wire)
{
    struct reader results;
    enum rpcclient_status status;

    prepare(wire);
    status = rpcclient_call(wire->rpc, COMPOUND, &wire->request, &results);
    if (status != RPCCLIENT_SUCCESS)
        return status;
    if (!wire4_decode(wire, results))
        return RPCCLIENT_BROKEN;
    advance(wire);
    return status;
}

uint32_t wire4_send_any(struct wire4 *wire)
{
    assert_int_equal(wire4_send_raw(wire), RPCCLIENT_SUCCESS);
    return wire->status;
}

uint32_t wire4_send(struct wire4 *wire)
{
    uint32_t status = wire4_send_any(wire);

    if (wire->count != wire->put)
        print_error("operation %u (of %u put) was the last answered, with %u\n", wire->count, wire->put,
                    status);
    assert_int_equal(wire->count, wire->put);
    return status;
}

const struct wire4_result *wire4_last(const struct wire4 *wire)
{
    return &wire->last;
}

struct wire4_result *wire4_at(struct wire4 *wire, uint32_t index)
{
    if (wire->count > 0 && wire->results[0].opnum == OP_SEQUENCE)
        index++;
    assert_true(index < wire->count && index < WIRE4_RESULTS);
    return &wire->results[index];
}

/* ---- operations ---- */

void wire4_op(struct wire4 *wire, uint32_t opnum)
{
    writer_be32(&wire->request, opnum);
    wire->put++;
}

void wire4_void(struct wire4 *wire, uint32_t opnum)
{
    wire4_op(wire, opnum);
}

void wire4_putrootfh(struct wire4 *wire)
{
    wire4_op(wire, OP_PUTROOTFH);
}

void wire4_getfh(struct wire4 *wire)
{
    wire4_op(wire, OP_GETFH);
}

void wire4_savefh(struct wire4 *wire)
{
    wire4_op(wire, OP_SAVEFH);
}

void wire4_restorefh(struct wire4 *wire)
{
    wire4_op(wire, OP_RESTOREFH);
}

void wire4_putfh(struct wire4 *wire, const struct wire4_handle *handle)
{
    wire4_op(wire, OP_PUTFH);
    writer_xdr_opaque(&wire->request, handle->data, handle->length);
}

void wire4_name(struct wire4 *wire, uint32_t opnum, const void *name, uint32_t length)
{
    wire4_op(wire, opnum);
    writer_xdr_opaque(&wire->request, name, length);
}

void wire4_lookup(struct wire4 *wire, const char *name)
{
    wire4_name(wire, OP_LOOKUP, name, (uint32_t)strlen(name));
}

void wire4_remove(struct wire4 *wire, const char *name)
{
    wire4_name(wire, OP_REMOVE, name, (uint32_t)strlen(name));
}

void wire4_path(struct wire4 *wire, const char *path)
{
    wire4_putrootfh(wire);
    while (*path != '\0') {
        size_t length = strcspn(path, "/");

        wire4_name(wire, OP_LOOKUP, path, (uint32_t)length);
        path += length;
        path += *path == '/';
    }
}

void wire4_access(struct wire4 *wire, uint32_t bits)
{
    wire4_op(wire, OP_ACCESS);
    writer_be32(&wire->request, bits);
}

static void put_bitmap(struct wire4 *wire, const struct wire4_bitmap *bitmap)
{
    uint32_t count = 3;

    while (count > 0 && bitmap->words[count - 1] == 0)
        count--;
    writer_be32(&wire->request, count);
    for (uint32_t i = 0; i < count; i++)
        writer_be32(&wire->request, bitmap->words[i]);
}

void wire4_put_stateid(struct wire4 *wire, const struct wire4_stateid *stateid)
{
    writer_be32(&wire->request, stateid->seqid);
    writer_bytes(&wire->request, stateid->other, sizeof stateid->other);
}

void wire4_getattr(struct wire4 *wire, struct wire4_bitmap wanted)
{
    wire4_op(wire, OP_GETATTR);
    put_bitmap(wire, &wanted);
}

struct wire4_fattr wire4_fattr(void)
{
    struct wire4_fattr fattr;

    memset(&fattr, 0, sizeof fattr);
    return fattr;
}

static struct writer fattr_writer(struct wire4_fattr *fattr, unsigned attr)
{
    struct writer writer;

    fattr->mask.words[attr / 32] |= UINT32_C(1) << attr % 32;
    writer_init(&writer, fattr->bytes, sizeof fattr->bytes);
    writer.length = fattr->length;
    return writer;
}

static void fattr_keep(struct wire4_fattr *fattr, const struct writer *writer)
{
    assert_false(writer->failed);
    fattr->length = (uint32_t)writer->length;
}

void wire4_add32(struct wire4_fattr *fattr, unsigned attr, uint32_t value)
{
    struct writer writer = fattr_writer(fattr, attr);

    writer_be32(&writer, value);
    fattr_keep(fattr, &writer);
}

void wire4_add64(struct wire4_fattr *fattr, unsigned attr, uint64_t value)
{
    struct writer writer = fattr_writer(fattr, attr);

    writer_be64(&writer, value);
    fattr_keep(fattr, &writer);
}

void wire4_add_text(struct wire4_fattr *fattr, unsigned attr, const char *text)
{
    struct writer writer = fattr_writer(fattr, attr);

    writer_xdr_opaque(&writer, text, strlen(text));
    fattr_keep(fattr, &writer);
}

void wire4_put_aces(struct writer *writer, const struct wire4_ace *aces, uint32_t count)
{
    writer_be32(writer, count);
    for (uint32_t i = 0; i < count; i++) {
        writer_be32(writer, aces[i].type);
        writer_be32(writer, aces[i].flags);
        writer_be32(writer, aces[i].mask);
        writer_xdr_opaque(writer, aces[i].who, strlen(aces[i].who));
    }
}

void wire4_add_acl(struct wire4_fattr *fattr, unsigned attr, uint32_t flags, const struct wire4_ace *aces,
                   uint32_t count)
{
    struct writer writer = fattr_writer(fattr, attr);

    if (attr == FATTR4_DACL)
        writer_be32(&writer, flags);
    wire4_put_aces(&writer, aces, count);
    fattr_keep(fattr, &writer);
}

void wire4_add_time(struct wire4_fattr *fattr, unsigned attr, int how, struct timestamp time)
{
    struct writer writer = fattr_writer(fattr, attr);

    if (how >= 0)
        writer_be32(&writer, (uint32_t)how);
    if (how != 0) {
        writer_be64(&writer, (uint64_t)time.seconds);
        writer_be32(&writer, time.nanoseconds);
    }
    fattr_keep(fattr, &writer);
}

struct wire4_fattr wire4_mode(uint32_t mode)
{
    struct wire4_fattr fattr = wire4_fattr();

    wire4_add32(&fattr, FATTR4_MODE, mode);
    return fattr;
}

struct wire4_fattr wire4_size(uint64_t size)
{
    struct wire4_fattr fattr = wire4_fattr();

    wire4_add64(&fattr, FATTR4_SIZE, size);
    return fattr;
}

void wire4_put_fattr(struct wire4 *wire, const struct wire4_fattr *fattr)
{
    static const struct wire4_fattr none;

    if (fattr == NULL)
        fattr = &none;
    put_bitmap(wire, &fattr->mask);
    writer_xdr_opaque(&wire->request, fattr->bytes, fattr->length);
}

void wire4_setattr(struct wire4 *wire, const struct wire4_stateid *stateid, const struct wire4_fattr *fattr)
{
    wire4_op(wire, OP_SETATTR);
    wire4_put_stateid(wire, stateid);
    wire4_put_fattr(wire, fattr);
}

void wire4_verify(struct wire4 *wire, uint32_t opnum, const struct wire4_fattr *fattr)
{
    wire4_op(wire, opnum);
    wire4_put_fattr(wire, fattr);
}

void wire4_create(struct wire4 *wire, uint32_t type, const char *target, const char *name,
                  const struct wire4_fattr *fattr)
{
    wire4_op(wire, OP_CREATE);
    writer_be32(&wire->request, type);
    if (type == NF4LNK)
        writer_xdr_opaque(&wire->request, target, strlen(target));
    if (type == NF4BLK || type == NF4CHR) {
        writer_be32(&wire->request, 5);
        writer_be32(&wire->request, 7);
    }
    writer_xdr_opaque(&wire->request, name, strlen(name));
    wire4_put_fattr(wire, fattr);
}

void wire4_rename(struct wire4 *wire, const char *from, const char *to)
{
    wire4_name(wire, OP_RENAME, from, (uint32_t)strlen(from));
    writer_xdr_opaque(&wire->request, to, strlen(to));
}

void wire4_readdir(struct wire4 *wire, uint64_t cookie, uint64_t verifier, uint32_t dircount,
                   uint32_t maxcount, struct wire4_bitmap wanted)
{
    wire4_op(wire, OP_READDIR);
    writer_be64(&wire->request, cookie);
    writer_be64(&wire->request, verifier);
    writer_be32(&wire->request, dircount);
    writer_be32(&wire->request, maxcount);
    put_bitmap(wire, &wanted);
}

void wire4_read(struct wire4 *wire, uint32_t opnum, const struct wire4_stateid *stateid, uint64_t offset,
                uint32_t count)
{
    wire4_op(wire, opnum);
    wire4_put_stateid(wire, stateid);
    writer_be64(&wire->request, offset);
    writer_be32(&wire->request, count);
}

void wire4_write(struct wire4 *wire, const struct wire4_stateid *stateid, uint64_t offset, uint32_t stable,
                 const void *data, uint32_t length)
{
    wire4_op(wire, OP_WRITE);
    wire4_put_stateid(wire, stateid);
    writer_be64(&wire->request, offset);
    writer_be32(&wire->request, stable);
    writer_xdr_opaque(&wire->request, data, length);
}

void wire4_commit(struct wire4 *wire, uint64_t offset, uint32_t count)
{
    wire4_op(wire, OP_COMMIT);
    writer_be64(&wire->request, offset);
    writer_be32(&wire->request, count);
}

void wire4_range(struct wire4 *wire, uint32_t opnum, const struct wire4_stateid *stateid, uint64_t offset,
                 uint64_t length)
{
    wire4_op(wire, opnum);
    wire4_put_stateid(wire, stateid);
    writer_be64(&wire->request, offset);
    writer_be64(&wire->request, length);
}

void wire4_seek(struct wire4 *wire, const struct wire4_stateid *stateid, uint64_t offset, uint32_t what)
{
    wire4_op(wire, OP_SEEK);
    wire4_put_stateid(wire, stateid);
    writer_be64(&wire->request, offset);
    writer_be32(&wire->request, what);
}

static void put_copy(struct wire4 *wire, const struct wire4_stateid *source,
                     const struct wire4_stateid *target, uint64_t source_offset, uint64_t target_offset,
                     uint64_t length)
{
    wire4_put_stateid(wire, source);
    wire4_put_stateid(wire, target);
    writer_be64(&wire->request, source_offset);
    writer_be64(&wire->request, target_offset);
    writer_be64(&wire->request, length);
}

void wire4_clone(struct wire4 *wire, const struct wire4_stateid *source, const struct wire4_stateid *target,
                 uint64_t source_offset, uint64_t target_offset, uint64_t length)
{
    wire4_op(wire, OP_CLONE);
    put_copy(wire, source, target, source_offset, target_offset, length);
}

void wire4_copy(struct wire4 *wire, const struct wire4_stateid *source, const struct wire4_stateid *target,
                uint64_t source_offset, uint64_t target_offset, uint64_t length)
{
    wire4_op(wire, OP_COPY);
    put_copy(wire, source, target, source_offset, target_offset, length);
    writer_xdr_bool(&wire->request, true); /* consecutive */
    writer_xdr_bool(&wire->request, true); /* synchronous */
    writer_be32(&wire->request, 0);        /* no other servers */
}

void wire4_setxattr(struct wire4 *wire, uint32_t how, const char *name, const void *value, uint32_t length)
{
    wire4_op(wire, OP_SETXATTR);
    writer_be32(&wire->request, how);
    writer_xdr_opaque(&wire->request, name, strlen(name));
    writer_xdr_opaque(&wire->request, value, length);
}

void wire4_listxattrs(struct wire4 *wire, uint64_t cookie, uint32_t maxcount)
{
    wire4_op(wire, OP_LISTXATTRS);
    writer_be64(&wire->request, cookie);
    writer_be32(&wire->request, maxcount);
}
