/*
 * nfs4_delegation.c - delegations of files: giving them, using their stateids, recalling them; DELEGRETURN
 * (RFC 7530 10.4, 16.8; RFC 8881 10.2, 10.4, 18.6, 20.2, 20.6).
 *
 * The happy path: OPEN has succeeded and the client can be called; a grant is added, which fails when anybody
 * else is in the way; its stateid goes out with the OPEN's result. When another's operation comes into
 * conflict, the state room says `breaking`: CB_RECALL is sent, the client writes back what it has, and
 * DELEGRETURN ends it. Who does not return it within a lease loses it (`gone`).
 *
 * CB_RECALL is sent again, less and less often, until the client has taken it: it may be busy, out of reach,
 * or not have seen yet the reply that gives it what is recalled (RFC 8881 2.10.6.3). In 4.1 the call says
 * which request that was, as long as the client may not have its answer.
 *
 * A struct nfs4_delegation belongs to its grant and is freed when that ends, whoever ends it.
 */
#include "nfs/v4/nfs4_delegation.h"
#include "nfs/v4/nfs4_notice.h"
#include "nfs/v4/nfs4_operations.h"
#include "nfs/v4/nfs4_server.h"
#include "dittofs/clock.h"
#include "dittofs/hash.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { RETRY_FIRST_MS = 500, RETRY_DOUBLINGS = 4, ASK_AGAIN_MS = 5000 };

/* RFC 8881 20.6: what is to be given back of. */
enum { TYPE_READ = 1, TYPE_WRITE = 2, TYPE_DIRECTORY = 4 };

/* ---- recalling ---- */

static void send_recall(struct nfs4_delegation *delegation);

static void try_again(struct loop_timer *timer)
{
    struct nfs4_delegation *delegation = container_of(timer, struct nfs4_delegation, retry);

    if (delegation->recall == NULL && grant_status(delegation->grant) == GRANT_BREAKING)
        send_recall(delegation);
}

static void try_later(struct nfs4_delegation *delegation)
{
    uint32_t doublings = delegation->tries < RETRY_DOUBLINGS ? delegation->tries : RETRY_DOUBLINGS;

    delegation->tries++;
    delegation->retry.callback = try_again;
    loop_timer_start(delegation->server->loop, &delegation->retry, (uint64_t)RETRY_FIRST_MS << doublings, 0);
}

static void recalled(void *data, enum err err, uint32_t status, struct reader *results)
{
    struct nfs4_delegation *delegation = data;

    (void)results;
    delegation->recall = NULL;
    if (err != ERR_OK || status != NFS4_OK)
        try_later(delegation);
}

const struct nfs4_request *nfs4__delegation_referring(const struct nfs4_delegation *delegation)
{
    const struct nfs4_request *request = &delegation->request;
    const struct session *session;

    if (!delegation->has_request)
        return NULL;
    session = session_find(delegation->server->state, request->session);
    return session != NULL && session_slot_is_at(session, request->slot, request->seqid) ? request : NULL;
}

static void send_recall(struct nfs4_delegation *delegation)
{
    struct nfs4_server *server = delegation->server;
    struct nfs4_callback_spec spec = {.opnum = OP_CB_RECALL,
                                      .timeout_ms = nfs4__callback_patience_ms(server),
                                      .referring = nfs4__delegation_referring(delegation),
                                      .done = recalled,
                                      .data = delegation};
    struct stateid stateid = grant_stateid(delegation->grant);
    uint8_t bytes[64];
    struct writer writer;

    writer_init(&writer, bytes, sizeof bytes);
    writer_be32(&writer, stateid.seqid);
    writer_bytes(&writer, stateid.other, sizeof stateid.other);
    writer_xdr_bool(&writer, false); /* not to be truncated: what was written is wanted */
    writer_xdr_opaque(&writer, delegation->handle, sizeof delegation->handle);
    invariant(!writer.failed);
    spec.arguments = bytes;
    spec.length = writer.length;
    if (nfs4__callback_send(server, grant_client(delegation->grant), &spec, &delegation->recall) != ERR_OK)
        try_later(delegation);
}

/* The state room remembers a file's last break as long as anything is held of it; of a directory nothing is.
 */
static uint64_t hash_of(const uint8_t handle[VFS_HANDLE_SIZE])
{
    return hash_u64(crc32c(0, handle, VFS_HANDLE_SIZE));
}

static void note_recall(struct nfs4_delegation *delegation)
{
    uint64_t file = hash_of(delegation->handle);

    delegation->server->recalled[file % NFS4_RECALLED] =
        (struct nfs4_recalled){.file = file, .since_ms = clock_monotonic_ms()};
}

static bool was_recalled(const struct nfs4_server *server, const uint8_t handle[VFS_HANDLE_SIZE])
{
    uint64_t file = hash_of(handle);
    const struct nfs4_recalled *recalled = &server->recalled[file % NFS4_RECALLED];

    return recalled->file == file &&
           clock_monotonic_ms() - recalled->since_ms < state_options(server->state)->lease_ms / 3;
}

static void breaking(struct grant *grant, unsigned to, bool acknowledge)
{
    struct nfs4_delegation *delegation = grant_user(grant);

    (void)to;
    (void)acknowledge;
    if (delegation->server == NULL || delegation->recall != NULL)
        return;
    nfs4__notice_stop(delegation->notice);
    delegation->tries = 0;
    note_recall(delegation);
    send_recall(delegation);
}

/* ---- the end ---- */

/* Nothing calls it any more. */
static void detach(struct nfs4_delegation *delegation)
{
    loop_timer_stop(&delegation->retry);
    nfs4__callback_forget(&delegation->recall);
    nfs4__question_leave(delegation);
    nfs4__notice_free(&delegation->notice);
    list_remove(&delegation->link);
    delegation->server = NULL;
}

static void delegation_free(struct nfs4_delegation *delegation)
{
    detach(delegation);
    free(delegation);
}

static void gone(struct grant *grant, void *user)
{
    struct nfs4_delegation *delegation = user;

    if (delegation->server != NULL && grant_status(grant) == GRANT_ENDED)
        log_debug("a delegation of client %" PRIx64 " was taken back", client_id(grant_client(grant)));
    delegation_free(delegation);
}

static const struct grant_operations operations = {.breaking = breaking, .gone = gone};

void nfs4__delegations_close(struct nfs4_server *server)
{
    while (!list_is_empty(&server->delegated))
        detach(list_first(&server->delegated, struct nfs4_delegation, link));
}

/* ---- too many ---- */

static uint32_t count_of(const struct client *client)
{
    const struct grant *grant = NULL;
    uint32_t count = 0;

    while ((grant = grant_next_of_client(client, grant)) != NULL)
        count++;
    return count;
}

/* CB_RECALL_ANY: CLIENT is to keep half of what it has. Whether it does is its affair. */
static void ask_half(struct nfs4_server *server, struct client *client)
{
    struct nfs4_callback_spec spec = {.opnum = OP_CB_RECALL_ANY,
                                      .timeout_ms = nfs4__callback_patience_ms(server)};
    struct nfs4_callback *callback;
    uint8_t bytes[16];
    struct writer writer;

    writer_init(&writer, bytes, sizeof bytes);
    writer_be32(&writer, count_of(client) / 2);
    writer_be32(&writer, 1);
    writer_be32(&writer, TYPE_READ | TYPE_WRITE | TYPE_DIRECTORY);
    spec.arguments = bytes;
    spec.length = writer.length;
    if (nfs4__callback_send(server, client, &spec, &callback) == ERR_OK)
        nfs4__callback_forget(&callback);
}

/* Seven eighths of the table are taken: the client that wants another one gives back some first. So those
 * that take many are asked often, and the others not at all. */
static void relieve(struct nfs4_server *server, struct client *client)
{
    struct nfs4_client *user = client_user(client);
    uint32_t most = state_options(server->state)->max_grants;
    uint64_t now_ms = clock_monotonic_ms();
    struct state_counters counters;

    state_counters(server->state, &counters);
    if (counters.grants < most - most / 8 || client_family(client) == NFS4_FAMILY_0 ||
        (user->asked_ms != 0 && now_ms - user->asked_ms < ASK_AGAIN_MS) || !nfs4__path_is_up(server, client))
        return;
    user->asked_ms = now_ms;
    ask_half(server, client);
}

/* ---- giving ---- */

static struct nfs4_delegation *delegation_new(struct nfs4_compound *compound,
                                              const struct nfs4_delegation_wish *wish)
{
    struct nfs4_delegation *delegation = calloc(1, sizeof *delegation);

    if (delegation == NULL)
        return NULL;
    delegation->server = compound->server;
    list_init(&delegation->link);
    delegation->type = wish->type;
    nfs4__filehandle_encode(compound->server, wish->fh, delegation->handle);
    delegation->user_mark = nfs4__user_mark(compound);
    delegation->io = wish->io;
    delegation->change = nfs4__change_of(wish->fh->inode);
    if (compound->has_session) {
        delegation->has_request = true;
        memcpy(delegation->request.session, session_id(compound->session->session), SESSION_ID_SIZE);
        delegation->request.slot = compound->session->slot;
        delegation->request.seqid = compound->session->seqid;
    }
    return delegation;
}

enum err nfs4__delegation_give(struct nfs4_compound *compound, struct nfs4_delegation_wish *wish,
                               struct nfs4_delegation **delegation_r)
{
    struct nfs4_server *server = compound->server;
    uint64_t key = client_id(wish->client), writes = recovery_writes(server->state);
    struct grant_spec spec = {.file = wish->file,
                              .client = wish->client,
                              .key = &key,
                              .key_length = sizeof key,
                              .kinds = GRANT_READ | (wish->type == DELEGATE_WRITE ? GRANT_WRITE : 0u),
                              .delegation = true,
                              .reclaim = wish->reclaim,
                              .told = wish->notice != NULL ? nfs4__notice_operations(wish->notice) : 0,
                              /* It has no FREE_STATEID. */
                              .traceless = compound->minor == 0,
                              /* RFC 8881 10.4.6: at least so long */
                              .break_ms = state_options(server->state)->lease_ms,
                              .operations = &operations};
    struct nfs4_delegation *delegation;
    enum err err;

    /* What the client had before a restart it gets back in any case, to return it in good order. */
    if (!wish->reclaim && (!server->delegations || !nfs4__path_is_up(server, wish->client)))
        return ERR_NOTSUPP;
    relieve(server, wish->client);
    delegation = delegation_new(compound, wish);
    if (delegation == NULL)
        return ERR_NOMEM;
    spec.user = delegation;
    err = !wish->reclaim && was_recalled(server, delegation->handle) ? ERR_AGAIN
                                                                     : grant_add(&spec, &delegation->grant);
    nfs4__wait_for_records(compound, writes);
    if (err != ERR_OK) {
        free(delegation);
        return err;
    }
    list_push_back(&server->delegated, &delegation->link);
    delegation->notice = wish->notice;
    wish->notice = NULL;
    if (delegation->notice != NULL)
        nfs4__notice_begin(delegation->notice, delegation);
    *delegation_r = delegation;
    return ERR_OK;
}

struct nfs4_delegation *nfs4__delegation_find(const struct client *client, const struct state_file *file)
{
    uint64_t key = client_id(client);
    struct grant *grant = grant_find(file, client, &key, sizeof key);

    return grant == NULL ? NULL : grant_user(grant);
}

enum nfs4_why nfs4__delegation_why(enum err err)
{
    if (err == ERR_AGAIN)
        return WHY_CONTENTION;
    return err == ERR_EXIST ? WHY_NOT_SUPP_UPGRADE : WHY_RESOURCE;
}

/* Nobody but the opener is spared the question whether he may (RFC 8881 18.16.3): an entry that allows
 * nothing. */
static void encode_ace(struct writer *reply)
{
    static const char who[] = "EVERYONE@";

    writer_be32(reply, 0); /* ACE4_ACCESS_ALLOWED_ACE_TYPE */
    writer_be32(reply, 0);
    writer_be32(reply, 0);
    writer_xdr_opaque(reply, who, sizeof who - 1);
}

/* How long the file may get before the client has to ask: as long as there is space now. */
static uint64_t space_limit(struct nfs4_compound *compound)
{
    struct vfs_space space;
    struct inode_attr attr;
    uint64_t limit;

    vfs_space(&compound->context, &space);
    vfs_getattr(compound->current.inode, &attr);
    return add_u64(attr.size, space.available_bytes, &limit) ? limit : UINT64_MAX;
}

void nfs4__delegation_encode(struct nfs4_compound *compound, const struct nfs4_delegation *delegation,
                             bool recall)
{
    enum { LIMIT_SIZE = 1 };
    struct writer *reply = &compound->call->reply;
    struct stateid stateid = grant_stateid(delegation->grant);

    writer_be32(reply, delegation->type);
    writer_be32(reply, stateid.seqid);
    writer_bytes(reply, stateid.other, sizeof stateid.other);
    writer_xdr_bool(reply, recall);
    if (delegation->type == DELEGATE_WRITE) {
        writer_be32(reply, LIMIT_SIZE);
        writer_be64(reply, space_limit(compound));
    }
    encode_ace(reply);
}

void nfs4__delegation_encode_none(struct nfs4_compound *compound, uint32_t want, enum nfs4_why why)
{
    struct writer *reply = &compound->call->reply;

    /* Who asked with the bits of 4.1 hears why not (RFC 8881 18.16.3). */
    if (want == WANT_NO_PREFERENCE) {
        writer_be32(reply, DELEGATE_NONE);
        return;
    }
    if (want == WANT_NONE)
        why = WHY_NOT_WANTED;
    else if (want == WANT_CANCEL)
        why = WHY_CANCELLED;
    writer_be32(reply, DELEGATE_NONE_EXT);
    writer_be32(reply, why);
    if (why == WHY_CONTENTION || why == WHY_RESOURCE)
        writer_xdr_bool(reply, false); /* nor will it be told when there is one */
}

/* ---- using ---- */

uint32_t nfs4__delegation_io(struct nfs4_compound *compound, const struct grant *grant, enum nfs4_io io,
                             enum vfs_io_right *right_r)
{
    const struct nfs4_delegation *delegation = grant_user(grant);

    if (io == NFS4_IO_WRITE && delegation->type != DELEGATE_WRITE)
        return NFS4ERR_OPENMODE;
    /* A client's delegation is for all its users, and each has to have the right himself. */
    *right_r = (delegation->io & io) && delegation->user_mark == nfs4__user_mark(compound)
                   ? VFS_IO_OPEN_HANDLE
                   : VFS_IO_CHECK_MODE;
    return NFS4_OK;
}

/* ---- DELEGRETURN ---- */

struct delegreturn_args {
    struct nfs4_stateid stateid;
};

bool nfs4__delegreturn_decode(struct nfs4_compound *compound)
{
    return nfs4__decode_stateid(&compound->arguments,
                                &nfs4_new_args(compound, struct delegreturn_args)->stateid);
}

uint32_t nfs4__delegreturn(struct nfs4_compound *compound)
{
    const struct delegreturn_args *args = nfs4_args(compound, struct delegreturn_args);
    struct stateid_object object;
    struct nfs4_delegation *delegation;
    uint32_t status = nfs4__stateid_find(compound, &args->stateid, STATEID_GRANT, &object);

    if (status != NFS4_OK)
        return status;
    delegation = grant_user(object.grant);
    grant_return(object.grant);
    delegation_free(delegation);
    return NFS4_OK;
}
