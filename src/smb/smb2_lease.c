/*
 * smb2_lease.c - leases (MS-SMB2 3.3.1.12, 3.3.4.7, 3.3.5.9.8, 3.3.5.9.11, 3.3.5.22.2).
 *
 * A lease is a caching grant of grant.h on one file, of a machine, by a key that the machine chose; all opens
 * that were made with this key share it, over all sessions and connections of the machine. It lives as long
 * as one of them is open. What stands beside what, breaks, waits and time-outs are grant.c's; here are the
 * wire forms, the table by key, and which of the states asked for is tried in which order.
 *
 * The happy path: smb2__lease_read notes what CREATE asks for; smb2__lease_check refuses a key that stands
 * for another file; the open made, smb2__lease_grant finds the lease and has it upgraded, or makes one;
 * smb2__lease_write answers. A conflict calls on_breaking: the notification goes over a connection of one of
 * the opens; the acknowledgment comes by smb2__lease_acknowledge. A machine with no connection left can't be
 * asked: its lease is down at once.
 */
#include "smb/smb2_create_priv.h"
#include "smb/smb2_grants.h"

#include <stdlib.h>
#include <string.h>

enum {
    LEASE_READ = 1,
    LEASE_HANDLE = 2,
    LEASE_WRITE = 4,
    FLAG_BREAK_IN_PROGRESS = 2,
    FLAG_PARENT_KEY = 4,
    NOTIFY_ACKNOWLEDGE = 1,
    V1_SIZE = 32,
    V2_SIZE = 52
};

/* ---- states ---- */

static unsigned kinds_of(uint32_t state)
{
    unsigned kinds = (state & LEASE_READ ? GRANT_READ : 0u) | (state & LEASE_HANDLE ? GRANT_HANDLE : 0u) |
                     (state & LEASE_WRITE ? GRANT_WRITE : 0u);

    /* MS-FSA 2.1.5.18: there is nothing without reading. */
    return kinds & GRANT_READ ? kinds : 0;
}

static uint32_t state_of(unsigned kinds)
{
    return (kinds & GRANT_READ ? LEASE_READ : 0u) | (kinds & GRANT_HANDLE ? LEASE_HANDLE : 0u) |
           (kinds & GRANT_WRITE ? LEASE_WRITE : 0u);
}

/* ---- the table ---- */

static uint64_t hash_of(const struct smb_server *server, const struct smb2_client *machine,
                        const uint8_t key[SMB2_LEASE_KEY])
{
    return siphash64(&server->hash_key, key, SMB2_LEASE_KEY) ^ hash_u64((uint64_t)(uintptr_t)machine);
}

static struct smb2_lease *find_lease(const struct smb_server *server, const struct smb2_client *machine,
                                     const uint8_t key[SMB2_LEASE_KEY])
{
    struct hashlink *link = hashtable_find(&server->leases, hash_of(server, machine, key));

    for (; link != NULL; link = hashtable_find_next(link)) {
        struct smb2_lease *lease = container_of(link, struct smb2_lease, hashlink);

        if (lease->machine == machine && memcmp(lease->key, key, SMB2_LEASE_KEY) == 0)
            return lease;
    }
    return NULL;
}

static uint16_t epoch_of(const struct smb2_lease *lease)
{
    return lease->grant == NULL ? 0 : (uint16_t)(lease->epoch_before + grant_epoch(lease->grant));
}

/* ---- breaks ---- */

/* A session over whose connection the holder can be told, or NULL. */
static struct smb2_session *session_of(const struct smb2_lease *lease)
{
    const struct list *link;

    list_for_each(link, &lease->opens)
    {
        const struct smb2_open *open = container_of(link, const struct smb2_open, lease_link);

        if (open->session != NULL && smb2__channel_conn(open->session, 0) != NULL)
            return open->session;
    }
    return NULL;
}

/* Persistent opens are to have after a restart what their lease is now. */
static void record(struct smb2_lease *lease)
{
    struct list *link;

    list_for_each(link, &lease->opens) smb2__persist_update(container_of(link, struct smb2_open, lease_link));
}

/* MS-SMB2 2.2.23.2 */
static void on_breaking(struct grant *grant, unsigned to, bool acknowledge)
{
    struct smb2_lease *lease = grant_user(grant);
    struct smb2_session *session = session_of(lease);
    /* A break that needs no answer is one of reading alone, and is done already. */
    unsigned from = acknowledge ? grant_kinds(grant) : GRANT_READ;
    struct smb2_break told = {.is_lease = true, .acknowledge = acknowledge};
    struct writer body;

    record(lease);
    if (session == NULL) {
        if (smb2__durable_break_lease(lease))
            return;
        if (acknowledge && smb2__durable_may_return(lease))
            return;
        if (acknowledge && grant_acknowledge(grant, 0) != ERR_OK)
            log_error("smb: a lease that nobody holds can't be broken");
        return;
    }
    writer_init(&body, told.body, sizeof told.body);
    writer_le16(&body, 44);
    writer_le16(&body, lease->version > 1 ? epoch_of(lease) : 0);
    writer_le32(&body, acknowledge ? NOTIFY_ACKNOWLEDGE : 0);
    writer_bytes(&body, lease->key, sizeof lease->key);
    writer_le32(&body, state_of(from));
    writer_le32(&body, state_of(to));
    writer_zeros(&body, 12);
    told.length = body.length;
    smb2__notify(smb2__channel_conn(session, 0), session, &told);
}

struct smb2_session *smb2__lease_owes(const struct smb2_client *machine, const struct smb2_break *told)
{
    struct smb2_lease *lease = find_lease(machine->server, machine, told->body + SMB2_BREAK_ID_AT);

    if (lease == NULL ||
        (told->acknowledge && (lease->grant == NULL || grant_status(lease->grant) != GRANT_BREAKING)))
        return NULL;
    return session_of(lease);
}

static void on_gone(struct grant *grant, void *user)
{
    struct smb2_lease *lease = user;

    (void)grant;
    lease->grant = NULL;
}

static const struct grant_operations lease_operations = {.breaking = on_breaking, .gone = on_gone};

uint32_t smb2__lease_acknowledge(struct smb2_request *request, struct reader *body)
{
    struct smb_server *server = request->message->server;
    struct writer *writer = smb2_reply(request);
    struct smb2_lease *lease;
    const uint8_t *key;
    uint32_t state;
    enum err err;

    if (!reader_skip(body, 2 + 4) || !reader_bytes(body, SMB2_LEASE_KEY, &key) || !reader_le32(body, &state))
        return STATUS_INVALID_PARAMETER;
    lease = find_lease(server, request->session->machine, key);
    if (lease == NULL || lease->grant == NULL)
        return STATUS_OBJECT_NAME_NOT_FOUND;
    if (grant_status(lease->grant) != GRANT_BREAKING)
        return STATUS_UNSUCCESSFUL;
    if (state & ~state_of(grant_break_to(lease->grant)))
        return STATUS_REQUEST_NOT_ACCEPTED;
    err = grant_acknowledge(lease->grant, kinds_of(state));
    if (err != ERR_OK)
        return smb2__status(err);
    record(lease);
    /* MS-SMB2 2.2.25.2 */
    writer_le16(writer, 36);
    writer_zeros(writer, 2 + 4);
    writer_bytes(writer, lease->key, sizeof lease->key);
    writer_le32(writer, state);
    writer_zeros(writer, 8);
    return STATUS_SUCCESS;
}

/* ---- CREATE ---- */

/* MS-SMB2 2.2.13.2.8, 2.2.13.2.10 */
uint32_t smb2__lease_read(struct smb2_create *create, struct reader data)
{
    uint16_t dialect = create->request->message->conn->dialect;
    struct smb2_lease_wish *wish = &create->lease;
    bool is_second = data.left == V2_SIZE;

    if (data.left != V1_SIZE && !is_second)
        return STATUS_INVALID_PARAMETER;
    if (dialect < (is_second ? 0x0300 : 0x0210))
        return STATUS_SUCCESS;
    if (!reader_copy(&data, wish->key, sizeof wish->key) || !reader_le32(&data, &wish->state) ||
        !reader_le32(&data, &wish->flags) || !reader_skip(&data, 8))
        return STATUS_INVALID_PARAMETER;
    wish->given_version = is_second ? 2 : 1;
    wish->version = create->oplock == SMB2_OPLOCK_LEASE ? wish->given_version : 0;
    wish->has_parent = false;
    if (!is_second)
        return STATUS_SUCCESS;
    wish->has_parent = (wish->flags & FLAG_PARENT_KEY) != 0;
    return reader_copy(&data, wish->parent, sizeof wish->parent) && reader_le16(&data, &wish->epoch)
               ? STATUS_SUCCESS
               : STATUS_INVALID_PARAMETER;
}

uint32_t smb2__lease_check(const struct smb2_create *create, struct inode *inode)
{
    const struct smb2_request *request = create->request;
    const struct smb2_lease *lease;
    struct inode_attr attr;

    if (create->lease.version == 0)
        return STATUS_SUCCESS;
    lease = find_lease(request->message->server, request->session->machine, create->lease.key);
    if (lease == NULL || lease->grant == NULL)
        return STATUS_SUCCESS;
    if (inode == NULL)
        return STATUS_INVALID_PARAMETER;
    vfs_getattr(inode, &attr);
    return state_file_ino(grant_file(lease->grant)) == attr.ino &&
                   state_file_tree(grant_file(lease->grant)) == request->tree->export_id
               ? STATUS_SUCCESS
               : STATUS_INVALID_PARAMETER;
}

/* The next state to try when KINDS can't be had. */
static unsigned less(unsigned kinds)
{
    if (kinds & GRANT_WRITE)
        return kinds & ~(unsigned)GRANT_WRITE;
    return kinds & GRANT_HANDLE ? GRANT_READ : 0;
}

static void join(struct smb2_lease *lease, struct smb2_open *open)
{
    open->lease = lease;
    list_push_back(&lease->opens, &open->lease_link);
}

static void lease_free(struct smb_server *server, struct smb2_lease *lease)
{
    hashtable_remove(&server->leases, &lease->hashlink);
    smb2__client_unref(&lease->machine);
    free(lease);
}

/* As much of the kinds WANTED as can be had. NULL: nothing can, not even a lease without any. RESTORES: it
 * stood before the restart. */
static struct smb2_lease *make_lease(struct smb2_open *open, const struct smb2_lease_kept *wanted,
                                     bool restores)
{
    struct smb_server *server = open->server;
    struct smb2_client *machine = open->machine;
    struct smb2_lease *lease = calloc(1, sizeof *lease);
    struct grant_spec spec = {.file = open->file,
                              .client = machine->client,
                              .key = wanted->key,
                              .key_length = sizeof wanted->key,
                              .kinds = wanted->kinds,
                              .any_time = restores,
                              .break_ms = SMB2_BREAK_MS,
                              .operations = &lease_operations,
                              .user = lease};
    enum err err;

    if (lease == NULL)
        return NULL;
    memcpy(lease->key, wanted->key, sizeof lease->key);
    list_init(&lease->opens);
    if (!hashtable_insert(&server->leases, &lease->hashlink, hash_of(server, machine, lease->key))) {
        free(lease);
        return NULL;
    }
    lease->machine = machine;
    machine->references++;
    lease->version = wanted->version;
    lease->epoch_before = wanted->epoch;
    while ((err = grant_add(&spec, &lease->grant)) == ERR_AGAIN && spec.kinds != 0)
        spec.kinds = less(spec.kinds);
    if (err != ERR_OK) {
        lease_free(server, lease);
        return NULL;
    }
    /* Nothing was given: that is no change of its state. */
    if (spec.kinds == 0)
        lease->epoch_before--;
    return lease;
}

/* MS-SMB2 3.3.5.9.8: more, or what there is; nothing in between. */
static void upgrade(struct smb2_lease *lease, unsigned kinds)
{
    unsigned has = grant_kinds(lease->grant);

    if (grant_status(lease->grant) != GRANT_GRANTED || (has & ~kinds) != 0 || has == kinds)
        return;
    if (grant_upgrade(lease->grant, kinds) != ERR_OK)
        log_debug("smb: a lease stays as it is");
    else
        record(lease);
}

void smb2__lease_grant(struct smb2_create *create, struct smb2_open *open)
{
    const struct smb2_conn *conn = create->request->message->conn;
    struct smb2_lease_wish *wish = &create->lease;
    struct smb_server *server = conn->server;
    struct smb2_lease_kept wanted = {.version = wish->version, .epoch = wish->epoch};
    struct smb2_lease *lease;

    /* Directories have those of the second kind alone (MS-SMB2 3.3.5.9.11). */
    if (open->is_directory &&
        (wish->version < 2 || !(smb2__capabilities(conn, conn->dialect) & SMB2_CAPABILITY_DIRECTORY_LEASING)))
        return;
    memcpy(wanted.key, wish->key, sizeof wanted.key);
    wanted.kinds = smb2__kinds_possible(open, kinds_of(wish->state), false);
    lease = find_lease(server, open->machine, wish->key);
    if (lease != NULL && lease->grant != NULL)
        upgrade(lease, wanted.kinds);
    else if (lease == NULL)
        lease = make_lease(open, &wanted, false);
    open->oplock_level = SMB2_OPLOCK_LEASE;
    wish->granted_version = lease != NULL ? lease->version : wish->version;
    if (lease == NULL || lease->grant == NULL)
        return;
    join(lease, open);
    smb2__lease_tell(create, open);
}

void smb2__lease_keep(const struct smb2_open *open, struct smb2_lease_kept *kept_r)
{
    const struct smb2_lease *lease = open->lease;

    *kept_r = (struct smb2_lease_kept){.version = 0};
    if (lease == NULL)
        return;
    kept_r->version = lease->version;
    memcpy(kept_r->key, lease->key, sizeof kept_r->key);
    kept_r->epoch = epoch_of(lease);
    if (lease->grant != NULL)
        kept_r->kinds = grant_status(lease->grant) == GRANT_BREAKING ? grant_break_to(lease->grant)
                                                                     : grant_kinds(lease->grant);
}

void smb2__lease_restore(struct smb2_open *open, const struct smb2_lease_kept *kept)
{
    struct smb2_lease *lease = find_lease(open->server, open->machine, kept->key);
    struct smb2_lease_kept wanted = *kept;

    open->oplock_level = SMB2_OPLOCK_LEASE;
    if (lease == NULL) {
        /* A new grant counts as a change of the epoch, and this is none. */
        wanted.epoch -= wanted.kinds != 0;
        lease = make_lease(open, &wanted, true);
    }
    if (lease != NULL && lease->grant != NULL)
        join(lease, open);
}

void smb2__lease_tell(struct smb2_create *create, const struct smb2_open *open)
{
    const struct smb2_lease *lease = open->lease;
    struct smb2_lease_wish *wish = &create->lease;

    if (lease == NULL)
        return;
    wish->granted_version = lease->version;
    if (lease->grant == NULL)
        return;
    wish->granted = state_of(grant_kinds(lease->grant));
    wish->is_breaking = grant_status(lease->grant) == GRANT_BREAKING;
    wish->granted_epoch = epoch_of(lease);
}

bool smb2__lease_is_answered(const struct smb2_create *create)
{
    return create->request->open->oplock_level == SMB2_OPLOCK_LEASE;
}

/* MS-SMB2 2.2.14.2.10, 2.2.14.2.11 */
void smb2__lease_write(const struct smb2_create *create, struct writer *writer)
{
    const struct smb2_lease_wish *wish = &create->lease;

    writer_bytes(writer, wish->key, sizeof wish->key);
    writer_le32(writer, wish->granted);
    writer_le32(writer, (wish->is_breaking ? FLAG_BREAK_IN_PROGRESS : 0u) |
                            (wish->has_parent && wish->granted_version > 1 ? FLAG_PARENT_KEY : 0u));
    writer_le64(writer, 0);
    if (wish->granted_version < 2)
        return;
    if (wish->has_parent)
        writer_bytes(writer, wish->parent, sizeof wish->parent);
    else
        writer_zeros(writer, sizeof wish->parent);
    writer_le16(writer, wish->granted_epoch);
    writer_le16(writer, 0);
}

void smb2__lease_leave(struct smb_server *server, struct smb2_open *open)
{
    struct smb2_lease *lease = open->lease;

    if (lease == NULL)
        return;
    open->lease = NULL;
    list_remove(&open->lease_link);
    if (!list_is_empty(&lease->opens))
        return;
    if (lease->grant != NULL)
        grant_return(lease->grant);
    lease_free(server, lease);
}
