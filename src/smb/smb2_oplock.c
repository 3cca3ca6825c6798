/*
 * smb2_oplock.c - oplocks (MS-SMB2 3.3.4.6, 3.3.5.22.1), and the command by which breaks are acknowledged.
 *
 * An oplock is a caching grant of grant.h that one open has to itself: level II caches reading, exclusive
 * writing, too, batch handles as well. Below exclusive and batch there is level II alone, so whatever a
 * conflict would leave of them, level II is what the holder is told, or nothing.
 */
#include "smb/smb2_create_priv.h"
#include "smb/smb2_grants.h"

#include "dittofs/lock.h"

#include <string.h>

/* ---- what stands beside it ---- */

/* Grants of ours say by the length of their key what they are. */
static bool is_oplock(const struct grant *grant)
{
    size_t length;

    (void)grant_key(grant, &length);
    return client_family(grant_client(grant)) == SMB2_FAMILY && length == sizeof(uint64_t);
}

bool smb2__has_oplock(struct smb_server *server, const struct smb2_tree *tree, struct inode *inode)
{
    const struct state_file *file;
    const struct grant *at = NULL;
    struct inode_attr attr;

    vfs_getattr(inode, &attr);
    file = state_file_find(server->state, tree->export_id, attr.ino);
    while (file != NULL && (at = grant_next_of_file(file, at)) != NULL) {
        if (is_oplock(at))
            return true;
    }
    return false;
}

unsigned smb2__kinds_possible(const struct smb2_open *open, unsigned kinds, bool oplock)
{
    const struct grant *at = NULL;
    size_t length;

    if (open->is_directory)
        kinds &= ~(unsigned)GRANT_WRITE;
    /* MS-FSA 2.1.5.18: not beside byte ranges. */
    if (lock_file_has_ranges(open->file))
        return 0;
    while ((at = grant_next_of_file(open->file, at)) != NULL) {
        const uint8_t *key = grant_key(at, &length);

        if (length == open->grant_key_length && memcmp(key, open->grant_key, length) == 0)
            continue;
        /* Level II and cached handles don't go together (MS-FSA 2.1.5.18.1). */
        if (oplock && (grant_kinds(at) & GRANT_HANDLE))
            return 0;
        if (!oplock && is_oplock(at) && grant_kinds(at) != 0)
            kinds &= ~(unsigned)GRANT_HANDLE;
    }
    return kinds;
}

/* ---- levels ---- */

static unsigned kinds_of(uint8_t level)
{
    switch (level) {
    case SMB2_OPLOCK_II:
        return GRANT_READ;
    case SMB2_OPLOCK_EXCLUSIVE:
        return GRANT_READ | GRANT_WRITE;
    case SMB2_OPLOCK_BATCH:
        return GRANT_READ | GRANT_WRITE | GRANT_HANDLE;
    default:
        return 0;
    }
}

/* MS-SMB2 2.2.23.1 */
static void on_breaking(struct grant *grant, unsigned to, bool acknowledge)
{
    struct smb2_open *open = grant_user(grant);
    struct smb2_conn *conn = open->session == NULL ? NULL : smb2__channel_conn(open->session, open->conn_id);
    uint8_t level = to & GRANT_READ ? SMB2_OPLOCK_II : SMB2_OPLOCK_NONE;
    struct smb2_break told = {.acknowledge = acknowledge};
    struct writer body;

    if (!acknowledge)
        open->oplock_level = level;
    smb2__persist_update(open);
    if (smb2__durable_break(open))
        return;
    if (acknowledge && open->session == NULL && open->is_persistent)
        return;
    if (conn == NULL) {
        if (acknowledge && grant_acknowledge(grant, 0) != ERR_OK)
            log_error("smb: an oplock that nobody holds can't be broken");
        return;
    }
    writer_init(&body, told.body, sizeof told.body);
    writer_le16(&body, 24);
    writer_u8(&body, level);
    writer_zeros(&body, 1 + 4);
    writer_le64(&body, open->persistent_id);
    writer_le64(&body, open->volatile_id);
    told.length = body.length;
    smb2__notify(conn, open->session, &told);
}

bool smb2__oplock_owes(const struct smb2_session *session, const struct smb2_break *told)
{
    struct reader id = reader_of(told->body + SMB2_BREAK_ID_AT, SMB2_BREAK_ID);
    uint64_t persistent, volatile_id;
    const struct smb2_open *open;

    if (!reader_le64(&id, &persistent) || !reader_le64(&id, &volatile_id))
        return false;
    open = smb2__open_find(session, persistent, volatile_id);
    if (open == NULL)
        return false;
    return !told->acknowledge || (open->oplock != NULL && grant_status(open->oplock) == GRANT_BREAKING);
}

static void on_gone(struct grant *grant, void *user)
{
    (void)grant;
    ((struct smb2_open *)user)->oplock = NULL;
}

static const struct grant_operations oplock_operations = {.breaking = on_breaking, .gone = on_gone};

void smb2__oplock_grant(struct smb2_open *open, uint8_t level)
{
    struct grant_spec spec = {.file = open->file,
                              .client = open->machine->client,
                              .key = open->grant_key,
                              .key_length = open->grant_key_length,
                              .kinds = smb2__kinds_possible(open, kinds_of(level), true),
                              .break_ms = SMB2_BREAK_MS,
                              .operations = &oplock_operations,
                              .user = open};
    enum err err;

    if (spec.kinds == 0 || open->is_directory)
        return;
    err = grant_add(&spec, &open->oplock);
    if (err == ERR_AGAIN && spec.kinds != GRANT_READ) {
        spec.kinds = GRANT_READ;
        err = grant_add(&spec, &open->oplock);
    }
    if (err == ERR_OK)
        open->oplock_level = spec.kinds == GRANT_READ ? (uint8_t)SMB2_OPLOCK_II : level;
}

void smb2__oplock_restore(struct smb2_open *open, uint8_t level, unsigned kinds)
{
    struct grant_spec spec = {.file = open->file,
                              .client = open->machine->client,
                              .key = open->grant_key,
                              .key_length = open->grant_key_length,
                              .kinds = kinds,
                              .any_time = true,
                              .break_ms = SMB2_BREAK_MS,
                              .operations = &oplock_operations,
                              .user = open};

    if (kinds != 0 && grant_add(&spec, &open->oplock) == ERR_OK)
        open->oplock_level = level;
}

void smb2__oplock_leave(struct smb2_open *open)
{
    if (open->oplock != NULL)
        grant_return(open->oplock);
    open->oplock = NULL;
    open->oplock_level = SMB2_OPLOCK_NONE;
}

/* ---- acknowledgments ---- */

/* MS-SMB2 3.3.5.22.1 */
static uint32_t acknowledge(struct smb2_open *open, uint8_t level)
{
    unsigned kinds = kinds_of(level);
    uint32_t status = STATUS_SUCCESS;

    if (open->oplock_level == SMB2_OPLOCK_LEASE || level == SMB2_OPLOCK_LEASE)
        return STATUS_INVALID_PARAMETER;
    if (open->oplock == NULL || grant_status(open->oplock) != GRANT_BREAKING)
        return STATUS_INVALID_OPLOCK_PROTOCOL;
    /* More than was offered: the break is over, and it has nothing. */
    if ((level != SMB2_OPLOCK_II && level != SMB2_OPLOCK_NONE) || (kinds & ~grant_break_to(open->oplock))) {
        status = STATUS_INVALID_OPLOCK_PROTOCOL;
        kinds = 0;
    }
    open->oplock_level = kinds != 0 ? SMB2_OPLOCK_II : SMB2_OPLOCK_NONE;
    if (grant_acknowledge(open->oplock, kinds) != ERR_OK)
        return STATUS_INVALID_OPLOCK_PROTOCOL;
    smb2__persist_update(open);
    return status;
}

static uint32_t oplock_acknowledge(struct smb2_request *request, struct reader *body)
{
    struct writer *writer = smb2_reply(request);
    uint64_t persistent, volatile_id;
    struct smb2_open *open;
    uint32_t status;
    uint8_t level;

    if (!reader_u8(body, &level) || !reader_skip(body, 1 + 4) || !reader_le64(body, &persistent) ||
        !reader_le64(body, &volatile_id))
        return STATUS_INVALID_PARAMETER;
    open = smb2__open_find(request->session, persistent, volatile_id);
    if (open == NULL)
        return STATUS_FILE_CLOSED;
    status = acknowledge(open, level);
    if (status != STATUS_SUCCESS)
        return status;
    /* MS-SMB2 2.2.25.1 */
    writer_le16(writer, 24);
    writer_u8(writer, open->oplock_level);
    writer_zeros(writer, 1 + 4);
    writer_le64(writer, persistent);
    writer_le64(writer, volatile_id);
    return STATUS_SUCCESS;
}

uint32_t smb2__oplock_break(struct smb2_request *request)
{
    struct reader body = request->body;
    uint16_t size;

    if (!reader_le16(&body, &size))
        return STATUS_INVALID_PARAMETER;
    return size == SMB2_LEASE_BREAK_SIZE ? smb2__lease_acknowledge(request, &body)
                                         : oplock_acknowledge(request, &body);
}
