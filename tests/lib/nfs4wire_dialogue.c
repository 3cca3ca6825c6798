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
    wire4_begin(wire);
    wire4_setclientid(wire, name, verifier, 111, 1);
    assert_int_equal(wire4_send(wire), NFS4_OK);
    wire->clientid = wire->last.clientid;
    expect4(wire, NFS4_OK, wire4_setclientid_confirm(wire, wire->clientid, wire->last.verifier));
}

static void create_session(struct wire4 *wire, uint32_t sequence)
{
    const struct wire4_channel channel = {.request_max = 2 << 20,
                                          .reply_max = 2 << 20,
                                          .reply_cached_max = 8192,
                                          .operations_max = 2000,
                                          .requests_max = SLOTS};

    wire4_begin_bare(wire);
    wire4_create_session(wire, &(struct wire4_create_session_args){.clientid = wire->clientid,
                                                                   .sequence = sequence,
                                                                   .fore = channel,
                                                                   .back = channel,
                                                                   .program = WIRE4_CALLBACK_PROGRAM});
    assert_int_equal(wire4_send(wire), NFS4_OK);
    wire->session = wire4_session_of(&wire->last);
    wire->has_session = true;
    wire->slot = 0;
}

void wire4_introduce(struct wire4 *wire, const char *name, uint64_t verifier, bool complete)
{
    wire->has_session = false;
    if (wire->minor == 0) {
        introduce_0(wire, name, verifier);
        return;
    }
    wire4_begin_bare(wire);
    wire4_exchange_id(wire, name, verifier, 0);
    assert_int_equal(wire4_send(wire), NFS4_OK);
    wire->clientid = wire->last.clientid;
    create_session(wire, wire->last.seqid);
    if (complete)
        wire4_reclaim_complete(wire);
}

void wire4_reclaim_complete(struct wire4 *wire)
{
    expect4(wire, NFS4_OK, wire4_op_reclaim_complete(wire, false));
}

/* ---- files ---- */

struct wire4_handle wire4_walk(struct wire4 *wire, const char *path)
{
    wire4_begin(wire);
    wire4_path(wire, path);
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
