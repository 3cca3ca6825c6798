/*
 * lockactor.c - somebody who locks, over any protocol.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lockactor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { USER = 1000, NLM_PROGRAM = 100021, NLM_VERSION = 4, RESULT_CONFIRM = 2, SIZE = 100 };

const char *actor_protocol_name(enum actor_protocol protocol)
{
    static const char *const names[] = {"NFSv3", "NFSv4.0", "NFSv4.1", "NFSv4.2", "SMB"};

    return names[protocol];
}

const char *outcome_name(enum outcome outcome)
{
    static const char *const names[] = {"ok",   "denied",   "locked", "share denied",
                                        "open", "deleting", "later",  "gone"};

    return names[outcome];
}

/* ---- statuses ---- */

static enum outcome unexpected(const struct actor *actor, const char *what, uint32_t status)
{
    fail_msg("%s (%s): %s answered %#x", actor->name, actor_protocol_name(actor->protocol), what, status);
    return OUT_OK;
}

static enum outcome of_nfs3(const struct actor *actor, const char *what, uint32_t status)
{
    switch (status) {
    case 0:
        return OUT_OK;
    case 2:
        return OUT_GONE;
    case 13:
        return OUT_OPEN;
    case 10008: /* JUKEBOX says both */
        return OUT_LOCKED;
    default:
        return unexpected(actor, what, status);
    }
}

static enum outcome of_nlm(const struct actor *actor, const char *what, uint32_t status, enum outcome denied)
{
    switch (status) {
    case NLMC_GRANTED_OK:
        return OUT_OK;
    case NLMC_DENIED:
        return denied;
    case NLMC_GRACE:
        return OUT_LATER;
    default:
        return unexpected(actor, what, status);
    }
}

static enum outcome of_nfs4(const struct actor *actor, const char *what, uint32_t status)
{
    switch (status) {
    case NFS4_OK:
        return OUT_OK;
    case NFS4ERR_NOENT:
    case NFS4ERR_RECLAIM_BAD:
    case NFS4ERR_NO_GRACE:
        return OUT_GONE;
    case NFS4ERR_DENIED:
        return OUT_DENIED;
    case NFS4ERR_LOCKED:
        return OUT_LOCKED;
    case NFS4ERR_SHARE_DENIED:
        return OUT_SHARE;
    case NFS4ERR_FILE_OPEN:
        return OUT_OPEN;
    case NFS4ERR_DELAY:
    case NFS4ERR_GRACE:
        return OUT_LATER;
    default:
        return unexpected(actor, what, status);
    }
}

static enum outcome of_smb(const struct actor *actor, const char *what, uint32_t status)
{
    switch (status) {
    case STATUS_SUCCESS:
        return OUT_OK;
    case STATUS_OBJECT_NAME_NOT_FOUND:
        return OUT_GONE;
    case STATUS_LOCK_NOT_GRANTED:
        return OUT_DENIED;
    case STATUS_FILE_LOCK_CONFLICT:
        return OUT_LOCKED;
    case STATUS_SHARING_VIOLATION:
        return OUT_SHARE;
    case STATUS_DELETE_PENDING:
        return OUT_DELETING;
    case UINT32_C(0xC000022D): /* STATUS_RETRY */
        return OUT_LATER;
    default:
        return unexpected(actor, what, status);
    }
}

/* ---- actors ---- */

static void connect_persistent(struct actor *actor)
{
    actor->smb = smbworld_connect(actor->world);
    memset(actor->smb->guid, 0xff, sizeof actor->smb->guid);
    memcpy(actor->smb->guid, actor->name, strnlen(actor->name, sizeof actor->smb->guid));
    smbworld_log_on(actor->smb, "alice", "a");
}

static void connect_all(struct actor *actor)
{
    static uint32_t clients;
    struct nfsworld *nfs = actor->world->nfs;

    if (actor->is_persistent) {
        connect_persistent(actor);
        return;
    }
    if (actor->protocol == ACTOR_SMB) {
        actor->smb = smbworld_client(actor->world, "alice");
        return;
    }
    actor->rpc = nfsworld_client(nfs, USER, USER);
    if (actor->protocol == ACTOR_V3) {
        actor->nlm = nfsworld_client(nfs, USER, USER);
        /* Of one host, equal calls with equal xids would be one call. */
        actor->nlm->next_xid = ++clients << 16 | 0x8000;
        rpcclient_program(actor->nlm, NLM_PROGRAM, NLM_VERSION);
        actor->top3 = nfsworld_mount(actor->rpc, "/a");
        return;
    }
    actor->wire = wire4_open(actor->rpc, (uint32_t)(actor->protocol - ACTOR_V40));
    wire4_introduce(actor->wire, actor->name, 1, false);
}

struct actor *actor_new_persistent(struct smbworld *world, const char *name)
{
    struct actor *actor = calloc(1, sizeof *actor);

    assert_non_null(actor);
    actor->world = world;
    actor->protocol = ACTOR_SMB;
    actor->is_persistent = true;
    snprintf(actor->name, sizeof actor->name, "%s", name);
    connect_all(actor);
    return actor;
}

struct actor *actor_new(struct smbworld *world, enum actor_protocol protocol, const char *name)
{
    struct actor *actor = calloc(1, sizeof *actor);

    assert_non_null(actor);
    actor->world = world;
    actor->protocol = protocol;
    snprintf(actor->name, sizeof actor->name, "%s", name);
    connect_all(actor);
    if (actor->wire != NULL) {
        actor_complete(actor);
        actor->top4 = wire4_walk(actor->wire, "a");
    }
    return actor;
}

static void disconnect_all(struct actor *actor)
{
    smb2client_close(&actor->smb);
    if (actor->wire != NULL)
        wire4_close(&actor->wire);
    rpcclient_close(&actor->rpc);
    rpcclient_close(&actor->nlm);
}

void actor_free(struct actor **actor)
{
    disconnect_all(*actor);
    free(*actor);
    *actor = NULL;
}

void actor_reconnect(struct actor *actor)
{
    disconnect_all(actor);
    connect_all(actor);
}

void actor_complete(struct actor *actor)
{
    if (actor->wire != NULL && actor->wire->minor > 0)
        wire4_reclaim_complete(actor->wire);
}

/* ---- opens ---- */

static struct nlmc_lock nlm_lock_of(const struct actor *actor)
{
    return (struct nlmc_lock){.caller = actor->name, .owner = actor->name, .svid = 1};
}

static enum outcome find_3(struct actor *actor, const char *name)
{
    struct nfs3_result r;

    assert_int_equal(nfs3_lookup(actor->rpc, &actor->top3, name, &r), RPCCLIENT_SUCCESS);
    if (r.status == 0)
        actor->file3 = r.handle;
    actor->found = r.status == 0;
    return of_nfs3(actor, "LOOKUP", r.status);
}

static enum outcome share_3(struct actor *actor, unsigned access, unsigned deny, bool reclaim)
{
    struct nlmc_lock share = nlm_lock_of(actor);
    enum outcome outcome;

    share.access = access;
    share.mode = deny;
    share.reclaim = reclaim;
    outcome =
        of_nlm(actor, "SHARE", nlm_call(actor->nlm, NLMC_SHARE, &actor->file3, &share, NULL), OUT_SHARE);
    actor->has_open = outcome == OUT_OK;
    return outcome;
}

/* An owner of its own for each open: in 4.0 each has a sequence. */
static void new_owners(struct actor *actor)
{
    static unsigned owners;
    char key[32];

    snprintf(key, sizeof key, "opener %u", ++owners);
    actor->opener = wire4_owner(key);
    snprintf(key, sizeof key, "locker %u", owners);
    actor->locker = wire4_owner(key);
}

static enum outcome open_4(struct actor *actor, const char *name, unsigned access, unsigned deny)
{
    struct wire4 *wire = actor->wire;
    uint32_t status;

    new_owners(actor);
    wire4_begin(wire);
    wire4_putfh(wire, &actor->top4);
    wire4_open_name(wire, &actor->opener, name, access, deny, WIRE4_NOCREATE, NULL, 0);
    wire4_getfh(wire);
    status = wire4_send_any(wire);
    if (status != NFS4_OK)
        return of_nfs4(actor, "OPEN", status);
    actor->file4 = wire->last.handle;
    actor->open = wire4_at(wire, 1)->stateid;
    if (wire4_at(wire, 1)->flags & RESULT_CONFIRM) {
        expect4(wire, NFS4_OK, wire4_putfh(wire, &actor->file4),
                wire4_open_confirm(wire, &actor->opener, &actor->open));
        actor->open = wire->last.stateid;
    }
    actor->has_open = actor->found = true;
    return OUT_OK;
}

static uint32_t smb_access(unsigned access)
{
    return (access & OPEN_READ ? UINT32_C(0x120089) : 0) | (access & OPEN_WRITE ? UINT32_C(0x120116) : 0) |
           (access & OPEN_DELETE ? SMB2C_DELETE : 0);
}

static uint32_t smb_share(unsigned deny)
{
    return (deny & OPEN_READ ? 0 : SMB2C_SHARE_READ) | (deny & OPEN_WRITE ? 0 : SMB2C_SHARE_WRITE) |
           (deny & OPEN_DELETE ? 0 : SMB2C_SHARE_DELETE);
}

enum { PERSISTENT = 2, AT_FLAGS = 4, AT_GUID = 16, AT_AGAIN_FLAGS = 32 };

/* The server says that it is. */
static void check_persistent(const struct actor *actor)
{
    struct reader data;
    uint32_t timeout_ms = 0, flags = 0;

    assert_true(smb2client_context(actor->smb, "DH2Q", &data));
    assert_true(reader_le32(&data, &timeout_ms) && reader_le32(&data, &flags));
    assert_int_equal(flags, PERSISTENT);
}

/* AGAIN: what it has open already. */
static enum outcome open_smb(struct actor *actor, const char *name, unsigned access, unsigned deny,
                             bool again)
{
    uint8_t request[32] = {[AT_FLAGS] = PERSISTENT}, reconnect[36] = {[AT_AGAIN_FLAGS] = PERSISTENT};
    struct smb2c_context contexts[] = {{"DH2Q", request, sizeof request}, {NULL, NULL, 0}};
    struct smb2c_create create = {
        .name = name, .access = smb_access(access), .share = smb_share(deny), .disposition = SMB2C_OPEN};
    struct smb2c_opened opened;
    enum outcome outcome;

    memcpy(request + AT_GUID, actor->smb->guid, 16);
    memcpy(reconnect, actor->file, sizeof actor->file);
    memcpy(reconnect + AT_GUID, actor->smb->guid, 16);
    if (again)
        contexts[0] = (struct smb2c_context){"DH2C", reconnect, sizeof reconnect};
    if (actor->is_persistent)
        create.contexts = contexts;
    outcome = of_smb(actor, "CREATE", smb2client_create(actor->smb, &create, &opened));
    if (outcome == OUT_OK && actor->is_persistent && !again)
        check_persistent(actor);
    snprintf(actor->file_name, sizeof actor->file_name, "%s", name);
    if (outcome == OUT_OK)
        memcpy(actor->file, opened.file, sizeof actor->file);
    actor->has_open = actor->found = outcome == OUT_OK;
    return outcome;
}

enum outcome actor_open(struct actor *actor, const char *name, unsigned access, unsigned deny)
{
    enum outcome outcome;

    assert_false(actor->has_open || actor->has_lock);
    actor->access = access;
    actor->deny = deny;
    if (actor->protocol == ACTOR_SMB)
        return open_smb(actor, name, access, deny, false);
    if (actor->protocol != ACTOR_V3)
        return open_4(actor, name, access, deny);
    outcome = find_3(actor, name);
    return outcome == OUT_OK && (access | deny) != 0 ? share_3(actor, access, deny, false) : outcome;
}

enum outcome actor_open_lease(struct actor *actor, const char *name, unsigned access, uint32_t lease,
                              uint32_t *granted_r)
{
    uint8_t data[SMB2C_LEASE_V2_SIZE], key[16] = {0};
    struct smb2c_context contexts[] = {{"RqLs", data, 0}, {NULL, NULL, 0}};
    struct smb2c_create create = {.name = name,
                                  .access = smb_access(access),
                                  .share = SMB2C_SHARE_ALL,
                                  .disposition = SMB2C_OPEN,
                                  .oplock = SMB2C_OPLOCK_LEASE,
                                  .contexts = contexts};
    struct smb2c_opened opened;
    uint16_t epoch;
    enum outcome outcome;

    assert_int_equal(actor->protocol, ACTOR_SMB);
    memcpy(key, name, strlen(name) < sizeof key ? strlen(name) : sizeof key);
    contexts[0].length = smb2client_lease(data, key, lease, true, NULL, 0);
    outcome = of_smb(actor, "CREATE", smb2client_create(actor->smb, &create, &opened));
    if (outcome != OUT_OK)
        return outcome;
    memcpy(actor->file, opened.file, sizeof actor->file);
    actor->has_open = actor->found = true;
    actor->access = access;
    *granted_r = 0;
    if (opened.oplock == SMB2C_OPLOCK_LEASE)
        assert_true(smb2client_lease_granted(actor->smb, key, granted_r, &epoch));
    return OUT_OK;
}

/* ---- locks ---- */

static enum outcome lock_3(struct actor *actor, uint64_t offset, uint64_t length, bool exclusive,
                           bool reclaim)
{
    struct nlmc_lock lock = nlm_lock_of(actor);

    lock.offset = offset;
    lock.length = length;
    lock.exclusive = exclusive;
    lock.reclaim = reclaim;
    return of_nlm(actor, "LOCK", nlm_call(actor->nlm, NLMC_LOCK, &actor->file3, &lock, NULL),
                  reclaim ? OUT_GONE : OUT_DENIED);
}

static enum outcome lock_4(struct actor *actor, uint64_t offset, uint64_t length, bool exclusive,
                           bool reclaim)
{
    struct wire4 *wire = actor->wire;
    uint32_t type = exclusive ? WIRE4_WRITE_LT : WIRE4_READ_LT;
    uint32_t status;

    wire4_begin(wire);
    wire4_putfh(wire, &actor->file4);
    if (actor->has_lock)
        wire4_lock(wire, type, reclaim, offset, length, &actor->locker, &actor->lock);
    else
        wire4_lock_new(wire, type, reclaim, offset, length, &actor->opener, &actor->open, &actor->locker);
    status = wire4_send(wire);
    if (status == NFS4_OK)
        actor->lock = wire->last.stateid;
    return of_nfs4(actor, "LOCK", status);
}

static enum outcome lock_smb(struct actor *actor, uint64_t offset, uint64_t length, uint32_t flags)
{
    struct smb2c_range range = {.offset = offset, .length = length, .flags = flags};

    return of_smb(actor, "LOCK", smb2client_lock(actor->smb, actor->file, &range, 1));
}

enum outcome actor_lock(struct actor *actor, uint64_t offset, uint64_t length, bool exclusive)
{
    enum outcome outcome;

    if (actor->protocol == ACTOR_V3)
        outcome = lock_3(actor, offset, length, exclusive, false);
    else if (actor->protocol == ACTOR_SMB)
        outcome = lock_smb(actor, offset, length,
                           (exclusive ? SMB2C_LOCK_EXCLUSIVE : SMB2C_LOCK_SHARED) | SMB2C_FAIL_AT_ONCE);
    else
        outcome = lock_4(actor, offset, length, exclusive, false);
    actor->has_lock |= outcome == OUT_OK;
    return outcome;
}

enum outcome actor_unlock(struct actor *actor, uint64_t offset, uint64_t length)
{
    struct nlmc_lock lock = nlm_lock_of(actor);
    uint32_t status;

    if (actor->protocol == ACTOR_SMB)
        return lock_smb(actor, offset, length, SMB2C_UNLOCK);
    if (actor->protocol == ACTOR_V3) {
        lock.offset = offset;
        lock.length = length;
        return of_nlm(actor, "UNLOCK", nlm_call(actor->nlm, NLMC_UNLOCK, &actor->file3, &lock, NULL),
                      OUT_DENIED);
    }
    wire4_begin(actor->wire);
    wire4_putfh(actor->wire, &actor->file4);
    wire4_locku(actor->wire, offset, length, &actor->locker, &actor->lock);
    status = wire4_send(actor->wire);
    if (status == NFS4_OK)
        actor->lock = actor->wire->last.stateid;
    return of_nfs4(actor, "LOCKU", status);
}

enum outcome actor_reclaim(struct actor *actor, uint64_t offset, uint64_t length, bool exclusive)
{
    enum outcome outcome = OUT_OK;
    uint32_t status;

    if (actor->protocol == ACTOR_SMB) {
        outcome = open_smb(actor, actor->file_name, actor->access, actor->deny, true);
        actor->has_lock = outcome == OUT_OK;
        return outcome;
    }
    actor->has_lock = false;
    if (actor->protocol == ACTOR_V3) {
        if (actor->has_open)
            outcome = share_3(actor, actor->access, actor->deny, true);
        if (outcome == OUT_OK)
            outcome = lock_3(actor, offset, length, exclusive, true);
        actor->has_lock = outcome == OUT_OK;
        return outcome;
    }
    new_owners(actor);
    wire4_begin(actor->wire);
    wire4_putfh(actor->wire, &actor->file4);
    wire4_open_fh(actor->wire, &actor->opener, WIRE4_CLAIM_PREVIOUS, actor->access, actor->deny);
    status = wire4_send(actor->wire);
    if (status != NFS4_OK)
        return of_nfs4(actor, "OPEN to reclaim", status);
    actor->open = actor->wire->last.stateid;
    outcome = lock_4(actor, offset, length, exclusive, true);
    actor->has_lock = outcome == OUT_OK;
    return outcome;
}

/* ---- data ---- */

enum outcome actor_read(struct actor *actor)
{
    struct nfs3_result r;
    struct reader data;

    if (actor->protocol == ACTOR_SMB)
        return of_smb(actor, "READ", smb2client_read(actor->smb, actor->file, 0, SIZE, &data));
    if (actor->protocol == ACTOR_V3) {
        assert_int_equal(nfs3_read(actor->rpc, &actor->file3, 0, SIZE, &r), RPCCLIENT_SUCCESS);
        return of_nfs3(actor, "READ", r.status);
    }
    wire4_begin(actor->wire);
    wire4_putfh(actor->wire, &actor->file4);
    wire4_read(actor->wire, OP_READ, &wire4_anonymous, 0, SIZE);
    return of_nfs4(actor, "READ", wire4_send(actor->wire));
}

enum outcome actor_write(struct actor *actor)
{
    struct nfs3_result r;

    if (actor->protocol == ACTOR_SMB)
        return of_smb(actor, "WRITE", smb2client_write(actor->smb, actor->file, 0, "w", 1));
    if (actor->protocol == ACTOR_V3) {
        assert_int_equal(nfs3_write(actor->rpc, &actor->file3, 0, "w", 1, 0, &r), RPCCLIENT_SUCCESS);
        return of_nfs3(actor, "WRITE", r.status);
    }
    wire4_begin(actor->wire);
    wire4_putfh(actor->wire, &actor->file4);
    wire4_write(actor->wire, &wire4_anonymous, 0, 0, "w", 1);
    return of_nfs4(actor, "WRITE", wire4_send(actor->wire));
}

enum outcome actor_truncate(struct actor *actor)
{
    struct nfs3_new_attr attr = {.set = NFS3_SET_SIZE, .size = 0};
    struct wire4_fattr size = wire4_size(0);
    struct nfs3_result r;

    if (actor->protocol == ACTOR_SMB)
        return of_smb(actor, "SET_INFO", smb2client_truncate(actor->smb, actor->file, 0));
    if (actor->protocol == ACTOR_V3) {
        assert_int_equal(nfs3_setattr(actor->rpc, &actor->file3, &attr, NULL, &r), RPCCLIENT_SUCCESS);
        return of_nfs3(actor, "SETATTR", r.status);
    }
    wire4_begin(actor->wire);
    wire4_putfh(actor->wire, &actor->file4);
    wire4_setattr(actor->wire, &wire4_anonymous, &size);
    return of_nfs4(actor, "SETATTR", wire4_send(actor->wire));
}

/* ---- names ---- */

enum outcome actor_mark_deleted(struct actor *actor)
{
    return of_smb(actor, "SET_INFO", smb2client_delete(actor->smb, actor->file, true));
}

/* For SMB, names change by way of an open with the right to delete. */
static enum outcome by_open(struct actor *actor, const char *name, const char *to)
{
    enum outcome outcome = actor_open(actor, name, OPEN_DELETE, 0);

    if (outcome != OUT_OK)
        return outcome;
    if (to == NULL)
        outcome = actor_mark_deleted(actor);
    else
        outcome = of_smb(actor, "SET_INFO", smb2client_rename(actor->smb, actor->file, to, false));
    actor_release(actor);
    return outcome;
}

enum outcome actor_remove(struct actor *actor, const char *name)
{
    struct nfs3_result r;

    if (actor->protocol == ACTOR_SMB)
        return by_open(actor, name, NULL);
    if (actor->protocol == ACTOR_V3) {
        assert_int_equal(
            nfs3_name_call(actor->rpc, NFS3C_REMOVE, &actor->top3, name, (uint32_t)strlen(name), &r),
            RPCCLIENT_SUCCESS);
        return of_nfs3(actor, "REMOVE", r.status);
    }
    wire4_begin(actor->wire);
    wire4_putfh(actor->wire, &actor->top4);
    wire4_name(actor->wire, OP_REMOVE, name, (uint32_t)strlen(name));
    return of_nfs4(actor, "REMOVE", wire4_send(actor->wire));
}

enum outcome actor_rename(struct actor *actor, const char *from, const char *to)
{
    struct nfs3_result r;

    if (actor->protocol == ACTOR_SMB)
        return by_open(actor, from, to);
    if (actor->protocol == ACTOR_V3) {
        assert_int_equal(nfs3_rename(actor->rpc, &actor->top3, from, &actor->top3, to, &r),
                         RPCCLIENT_SUCCESS);
        return of_nfs3(actor, "RENAME", r.status);
    }
    wire4_begin(actor->wire);
    wire4_putfh(actor->wire, &actor->top4);
    wire4_savefh(actor->wire);
    wire4_rename(actor->wire, from, to);
    return of_nfs4(actor, "RENAME", wire4_send(actor->wire));
}

/* ---- the end ---- */

static void release_3(struct actor *actor)
{
    struct nlmc_lock all = nlm_lock_of(actor);

    if (actor->has_lock)
        assert_int_equal(nlm_call(actor->nlm, NLMC_UNLOCK, &actor->file3, &all, NULL), NLMC_GRANTED_OK);
    if (actor->has_open)
        assert_int_equal(nlm_call(actor->nlm, NLMC_UNSHARE, &actor->file3, &all, NULL), NLMC_GRANTED_OK);
}

static void release_4(struct actor *actor)
{
    if (actor->has_lock)
        assert_int_equal(actor_unlock(actor, 0, UINT64_MAX), OUT_OK);
    if (actor->has_open)
        expect4(actor->wire, NFS4_OK, wire4_putfh(actor->wire, &actor->file4),
                wire4_close_file(actor->wire, &actor->opener, &actor->open));
}

void actor_release(struct actor *actor)
{
    if (actor->protocol == ACTOR_V3)
        release_3(actor);
    else if (actor->protocol != ACTOR_SMB)
        release_4(actor);
    else if (actor->has_open)
        assert_int_equal(smb2client_close_file(actor->smb, actor->file), STATUS_SUCCESS);
    actor->has_open = actor->has_lock = actor->found = false;
}
