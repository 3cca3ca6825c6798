/*
 * nfs4wire_dialogue.c - what a client does before and between the cases: makes itself known, walks, opens.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nfs4wire.h"

#include <stdio.h>
#include <string.h>

enum { SLOTS = 4, RESULT_CONFIRM = 2 };

/* ---- clients ---- */

static void introduce_0(struct wire4 *wire, const char *name, uint64_t verifier)
{
    static const char netid[] = "tcp", address[] = "127.0.0.1.0.111";
    uint64_t confirm;

    wire4_begin(wire);
    wire4_op(wire, OP_SETCLIENTID);
    writer_be64(&wire->request, verifier);
    writer_xdr_opaque(&wire->request, name, strlen(name));
    writer_be32(&wire->request, 0x40000000);
    writer_xdr_opaque(&wire->request, netid, sizeof netid - 1);
    writer_xdr_opaque(&wire->request, address, sizeof address - 1);
    writer_be32(&wire->request, 1);
    assert_int_equal(wire4_send(wire), NFS4_OK);
    wire->clientid = wire->last.clientid;
    confirm = wire->last.verifier;
    wire4_begin(wire);
    wire4_op(wire, OP_SETCLIENTID_CONFIRM);
    writer_be64(&wire->request, wire->clientid);
    writer_be64(&wire->request, confirm);
    assert_int_equal(wire4_send(wire), NFS4_OK);
}

static void put_channel(struct wire4 *wire)
{
    writer_be32(&wire->request, 0);
    writer_be32(&wire->request, 2 << 20); /* request */
    writer_be32(&wire->request, 2 << 20); /* reply */
    writer_be32(&wire->request, 8192);    /* cached */
    writer_be32(&wire->request, 2000);    /* operations */
    writer_be32(&wire->request, SLOTS);
    writer_be32(&wire->request, 0);
}

static void create_session(struct wire4 *wire, uint32_t sequence)
{
    wire4_begin_bare(wire);
    wire4_op(wire, OP_CREATE_SESSION);
    writer_be64(&wire->request, wire->clientid);
    writer_be32(&wire->request, sequence);
    writer_be32(&wire->request, 0);
    put_channel(wire);
    put_channel(wire);
    writer_be32(&wire->request, 0x40000000);
    writer_be32(&wire->request, 1);
    writer_be32(&wire->request, 0); /* callbacks with AUTH_NONE */
    assert_int_equal(wire4_send(wire), NFS4_OK);
    memcpy(wire->session, wire->last.session, sizeof wire->session);
    wire->has_session = true;
    wire->slot = wire->slot_seqid = wire->highest_slot = 0;
}

void wire4_introduce(struct wire4 *wire, const char *name, uint64_t verifier, bool complete)
{
    wire->has_session = false;
    if (wire->minor == 0) {
        introduce_0(wire, name, verifier);
        return;
    }
    wire4_begin_bare(wire);
    wire4_op(wire, OP_EXCHANGE_ID);
    writer_be64(&wire->request, verifier);
    writer_xdr_opaque(&wire->request, name, strlen(name));
    writer_be32(&wire->request, 0);
    writer_be32(&wire->request, 0); /* SP4_NONE */
    writer_be32(&wire->request, 0);
    assert_int_equal(wire4_send(wire), NFS4_OK);
    wire->clientid = wire->last.clientid;
    create_session(wire, wire->last.seqid);
    if (complete)
        wire4_reclaim_complete(wire);
}

void wire4_reclaim_complete(struct wire4 *wire)
{
    wire4_begin(wire);
    wire4_op(wire, OP_RECLAIM_COMPLETE);
    writer_xdr_bool(&wire->request, false);
    assert_int_equal(wire4_send(wire), NFS4_OK);
}

/* ---- files ---- */

struct wire4_handle wire4_walk(struct wire4 *wire, const char *path)
{
    wire4_begin(wire);
    wire4_putrootfh(wire);
    while (*path != '\0') {
        size_t length = strcspn(path, "/");

        wire4_name(wire, OP_LOOKUP, path, (uint32_t)length);
        path += length;
        path += *path == '/';
    }
    wire4_getfh(wire);
    assert_int_equal(wire4_send(wire), NFS4_OK);
    return wire->last.handle;
}

struct wire4_stateid wire4_open_at(struct wire4 *wire, struct wire4_owner *owner,
                                   const struct wire4_handle *dir, const char *name, uint32_t access,
                                   uint32_t deny, int how, struct wire4_handle *handle_r)
{
    struct wire4_fattr fattr = wire4_mode(0666);
    struct wire4_handle handle;
    struct wire4_stateid stateid;

    expect4(wire, NFS4_OK, wire4_putfh(wire, dir),
            wire4_open_name(wire, owner, name, access, deny, how, &fattr, 1), wire4_getfh(wire));
    handle = wire->last.handle;
    stateid = wire4_at(wire, 1)->stateid;
    if (wire4_at(wire, 1)->flags & RESULT_CONFIRM) {
        expect4(wire, NFS4_OK, wire4_putfh(wire, &handle), wire4_open_confirm(wire, owner, &stateid));
        stateid = wire->last.stateid;
    }
    if (handle_r != NULL)
        *handle_r = handle;
    return stateid;
}

struct wire4_handle wire4_make_file(struct wire4 *wire, const struct wire4_handle *dir, const char *name,
                                    uint32_t mode)
{
    static uint32_t made;
    struct wire4_fattr fattr = wire4_mode(mode);
    struct wire4_owner owner;
    struct wire4_handle handle;
    struct wire4_stateid stateid;
    char key[32];

    snprintf(key, sizeof key, "maker %u", made++);
    owner = wire4_owner(key);
    stateid = wire4_open_at(wire, &owner, dir, name, 3, 0, WIRE4_GUARDED, &handle);
    expect4(wire, NFS4_OK, wire4_putfh(wire, &handle), wire4_close_file(wire, &owner, &stateid),
            wire4_setattr(wire, &wire4_anonymous, &fattr));
    return handle;
}

struct wire4_handle wire4_make_dir(struct wire4 *wire, const struct wire4_handle *dir, const char *name,
                                   uint32_t mode)
{
    struct wire4_fattr fattr = wire4_mode(mode);

    expect4(wire, NFS4_OK, wire4_putfh(wire, dir), wire4_create(wire, NF4DIR, NULL, name, &fattr),
            wire4_getfh(wire));
    return wire->last.handle;
}

struct wire4_attrs wire4_attrs_of(struct wire4 *wire, const struct wire4_handle *handle,
                                  struct wire4_bitmap wanted)
{
    expect4(wire, NFS4_OK, wire4_putfh(wire, handle), wire4_getattr(wire, wanted));
    return wire->last.attrs;
}
