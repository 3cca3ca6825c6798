/*
 * nlm.c - the Network Lock Manager, versions 1 and 3 (X/Open XNFS chapters 10 and 11) and 4 (RFC 1813
 * appendix II): its procedures, their dispatch, and the way of a request.
 *
 * NLM keeps no locks of its own: they are in state's tables, with those of all other protocols. Here stand
 * the hosts that hold some (nlm_host.c), the requests that wait, with the callbacks by which their clients
 * are told (nlm_block.c), and who is to be told of our restart (nfs/nsm).
 *
 * The happy path: `dispatch` decodes; the procedure's row is run, which looks at the handle, the export's
 * rules and state, and answers by nlm__reply. The MSG procedures are the same: their call is answered with
 * nothing, and the results go to the client's own NLM by a call of ours (nlm_answer.c).
 *
 * A reply that says GRANTED to a host's first lock waits until the host's record is durable: else, after a
 * crash, it could not reclaim, or would not be told that it must.
 */
#include "nfs/nlm/nlm_priv.h"

#include "nfs/nfs_locking_priv.h"
#include "nfs/nsm/nsm_priv.h"

#include <stdlib.h>

enum {
    ARGUMENTS_MAX = 4096,
    RESULTS_MAX = 4096,
    DEFAULT_RETRY_MS = 1000,
    DEFAULT_IDLE_MS = 600000,
    SWEEPS = 4 /* in idle_ms */
};

/* What a procedure answers with. */
enum results { NOTHING, RES, TESTRES, SHARERES };

struct row {
    const char *name;
    void (*run)(struct nlm_request *request);
    enum results results;
    unsigned flags; /* enum onc_procedure_flags */
};

/* ---- what is not ours to do ---- */

static void run_nothing(struct nlm_request *request)
{
    nlm__reply(request, NLM_STATUS_GRANTED);
}

/* We wait for no lock of another server. */
static void run_granted(struct nlm_request *request)
{
    nlm__reply(request, NLM_STATUS_DENIED);
}

static void run_granted_res(struct nlm_request *request)
{
    nlm__block_answer(request->nlm, &request->call->peer, request->args.cookie, request->args.status);
    nlm__reply(request, NLM_STATUS_GRANTED);
}

static void run_free_all(struct nlm_request *request)
{
    nlm__host_restarted(request->nlm, &request->call->peer, request->args.lock.caller_name, 0);
    nlm__reply(request, NLM_STATUS_GRANTED);
}

/* The MSG procedures may be run again for a retransmission: its RES may have been lost, too. */
static const struct row rows[NLM_PROCEDURES] = {
    [NLM_NULL] = {"NULL", run_nothing, NOTHING, 0},
    [NLM_TEST] = {"TEST", nlm__run_test, TESTRES, 0},
    [NLM_LOCK] = {"LOCK", nlm__run_lock, RES, ONC_CACHED},
    [NLM_CANCEL] = {"CANCEL", nlm__run_cancel, RES, ONC_CACHED},
    [NLM_UNLOCK] = {"UNLOCK", nlm__run_unlock, RES, ONC_CACHED},
    [NLM_GRANTED] = {"GRANTED", run_granted, RES, 0},
    [NLM_TEST_MSG] = {"TEST_MSG", nlm__run_test, TESTRES, 0},
    [NLM_LOCK_MSG] = {"LOCK_MSG", nlm__run_lock, RES, 0},
    [NLM_CANCEL_MSG] = {"CANCEL_MSG", nlm__run_cancel, RES, 0},
    [NLM_UNLOCK_MSG] = {"UNLOCK_MSG", nlm__run_unlock, RES, 0},
    [NLM_GRANTED_MSG] = {"GRANTED_MSG", run_granted, RES, 0},
    [NLM_TEST_RES] = {"TEST_RES", run_nothing, NOTHING, 0},
    [NLM_LOCK_RES] = {"LOCK_RES", run_nothing, NOTHING, 0},
    [NLM_CANCEL_RES] = {"CANCEL_RES", run_nothing, NOTHING, 0},
    [NLM_UNLOCK_RES] = {"UNLOCK_RES", run_nothing, NOTHING, 0},
    [NLM_GRANTED_RES] = {"GRANTED_RES", run_granted_res, NOTHING, 0},
    [NLM_SHARE] = {"SHARE", nlm__run_share, SHARERES, ONC_CACHED},
    [NLM_UNSHARE] = {"UNSHARE", nlm__run_unshare, SHARERES, ONC_CACHED},
    [NLM_NM_LOCK] = {"NM_LOCK", nlm__run_lock, RES, ONC_CACHED},
    [NLM_FREE_ALL] = {"FREE_ALL", run_free_all, NOTHING, 0},
};

static bool is_asynchronous(enum nlm_procedure procedure)
{
    return procedure >= NLM_TEST_MSG && procedure <= NLM_GRANTED_MSG;
}

/* ---- the way of a request ---- */

static void dispatch(struct onc_call *call)
{
    struct nlm *nlm = call->program->data;
    uint32_t procedure = (uint32_t)(call->procedure - nlm->procedures);
    struct nlm_request *request = arena_alloc(&call->arena, sizeof *request);

    if (request == NULL) {
        onc_call_reject(call, ONC_REJECT_SYSTEM_ERROR);
        return;
    }
    request->nlm = nlm;
    request->call = call;
    request->version = call->program->version;
    request->procedure = (enum nlm_procedure)procedure;
    request->writes_before = recovery_writes(nlm->state) + nsm__writes(nlm->nsm);
    if (!nlm__decode_call(request->version, procedure, &call->arguments, &request->args))
        onc_call_reject(call, ONC_REJECT_GARBAGE_ARGS);
    else
        rows[procedure].run(request);
}

enum nlm_status nlm__status(enum err err)
{
    switch ((int)err) {
    case ERR_OK:
        return NLM_STATUS_GRANTED;
    case ERR_WAIT:
        return NLM_STATUS_BLOCKED;
    case ERR_DENIED:
    case ERR_SHARE_DENIED:
    case ERR_NO_GRACE:
    case ERR_RECLAIM_BAD:
        return NLM_STATUS_DENIED;
    case ERR_GRACE:
    case ERR_DELAY: /* NLM's only word for "later": clients come again, as they would not after DENIED */
        return NLM_STATUS_GRACE;
    case ERR_DEADLOCK:
        return NLM_STATUS_DEADLOCK;
    case ERR_LIMIT:
    case ERR_NOMEM:
        return NLM_STATUS_NO_LOCKS;
    case ERR_ROFS:
        return NLM_STATUS_READ_ONLY;
    case ERR_STALE:
    case ERR_BADHANDLE:
        return NLM_STATUS_STALE;
    case ERR_FBIG:
        return NLM_STATUS_TOO_BIG;
    default:
        return NLM_STATUS_FAILED;
    }
}

enum err nlm__open(struct nlm_request *request, bool checked)
{
    const struct onc_credential *credential = &request->call->credential;
    const struct nlm_bytes *handle = &request->args.lock.handle;
    struct vfs_user user = nfs__user(credential);
    unsigned security = nfs__security(credential);
    struct vfs_export *export;
    struct inode_attr attr;
    enum err err =
        vfs_handle_decode(request->nlm->vfs, handle->data, handle->length, &export, &request->inode);

    if (err != ERR_OK)
        return err;
    request->context.vfs = request->nlm->vfs;
    request->context.export = export;
    if (!checked)
        return ERR_OK;
    if (security == 0)
        return ERR_WRONGSEC;
    err = vfs_context_init(&request->context, request->nlm->vfs, export, VFS_NFS3, security,
                           &request->call->peer, &user);
    if (err != ERR_OK)
        return err;
    vfs_getattr(request->inode, &attr);
    return attr.type == INODE_FILE ? ERR_OK : ERR_WRONGTYPE;
}

enum err nlm__may_lock(struct nlm_request *request, bool exclusive)
{
    unsigned wanted = exclusive ? VFS_ACCESS_WRITE : VFS_ACCESS_READ;
    struct inode_attr attr;

    if (exclusive && vfs_export_config(request->context.export)->read_only)
        return ERR_ROFS;
    vfs_getattr(request->inode, &attr);
    /* NFSv3 has no open: the file's mode may have changed since the client's. */
    if (attr.uid == request->context.user.uid || vfs_access(&request->context, request->inode, wanted) != 0)
        return ERR_OK;
    return ERR_ACCES;
}

static uint64_t ino_of(const struct nlm_request *request)
{
    struct inode_attr attr;

    vfs_getattr(request->inode, &attr);
    return attr.ino;
}

struct state_file *nlm__file_find(const struct nlm_request *request)
{
    return state_file_find(request->nlm->state, vfs_export_id(request->context.export), ino_of(request));
}

static void release_inode(void *user)
{
    struct inode *inode = user;

    vfs_unref(&inode);
}

enum err nlm__file_get(struct nlm_request *request, struct state_file **file_r)
{
    enum err err =
        state_file_get(request->nlm->state, vfs_export_id(request->context.export), ino_of(request), file_r);

    if (err == ERR_OK && state_file_user(*file_r) == NULL)
        state_file_set_user(*file_r, vfs_ref(request->inode), release_inode);
    return err;
}

/* ---- answers ---- */

static void write_results(const struct nlm_request *request, struct writer *writer)
{
    switch (rows[request->procedure].results) {
    case NOTHING:
        break;
    case RES:
        nlm__encode_res(writer, request->version, request->args.cookie, request->status);
        break;
    case TESTRES:
        nlm__encode_testres(writer, request->version, request->args.cookie, request->status,
                            &request->holder);
        break;
    case SHARERES:
        nlm__encode_shareres(writer, request->version, request->args.cookie, request->status);
        break;
    }
}

void nlm__reply(struct nlm_request *request, enum nlm_status status)
{
    struct onc_call *call = request->call;

    request->status = status;
    vfs_unref(&request->inode);
    if (is_asynchronous(request->procedure)) {
        uint8_t bytes[RESULTS_MAX];
        struct writer writer;

        writer_init(&writer, bytes, sizeof bytes);
        write_results(request, &writer);
        invariant(!writer.failed);
        nlm__answer(request, request->procedure - NLM_TEST_MSG + NLM_TEST_RES, bytes, writer.length);
    } else {
        write_results(request, &call->reply);
    }
    onc_call_reply(call);
}

static void durable(struct store_waiter *waiter, enum err err)
{
    struct nlm_request *request = container_of(waiter, struct nlm_request, wait);

    request->host->recording--;
    if (err == ERR_OK) {
        request->host->is_recorded = true;
    } else {
        /* The store takes nothing any more: what can't survive a restart is not given. */
        if (rows[request->procedure].results == SHARERES)
            nlm__share_undo(request);
        else
            nlm__lock_undo(request);
        request->status = nlm__status(err);
    }
    nlm__reply(request, request->status);
}

void nlm__reply_durable(struct nlm_request *request, enum nlm_status status)
{
    struct nlm *nlm = request->nlm;
    struct nlm_host *host = request->host;
    enum err err;

    if (host->is_recorded && host->recording == 0 &&
        recovery_writes(nlm->state) + nsm__writes(nlm->nsm) == request->writes_before) {
        nlm__reply(request, status);
        return;
    }
    request->status = status;
    request->wait.done = durable;
    vfs_wait_for_metadata(&request->context);
    host->recording++;
    err = vfs_durable(&request->context, &request->wait);
    if (err != ERR_WAIT)
        durable(&request->wait, err);
}

/* ---- open, close ---- */

static void init_programs(struct nlm *nlm)
{
    static const uint32_t versions[NLM_VERSIONS] = {1, 3, 4};

    for (size_t i = 0; i < NLM_PROCEDURES; i++) {
        nlm->procedures[i] = (struct onc_procedure){
            .name = rows[i].name, .run = dispatch, .flags = rows[i].flags, .reply_max = RESULTS_MAX};
    }
    for (size_t i = 0; i < NLM_VERSIONS; i++) {
        nlm->programs[i] = (struct onc_program){
            .name = "nlm",
            .number = NLM_PROGRAM,
            .version = versions[i],
            .procedures = nlm->procedures,
            .procedure_count = versions[i] == 1 ? NLM_GRANTED_RES + 1 : NLM_PROCEDURES,
            .arguments_max = ARGUMENTS_MAX,
            .data = nlm,
        };
    }
}

enum err nlm__open_server(struct nfs_server *server, const struct nfs_locking_options *options,
                          struct onc_client *outgoing, struct nsm *nsm, struct nlm **nlm_r)
{
    struct nlm *nlm = calloc(1, sizeof *nlm);

    if (nlm == NULL)
        return ERR_NOMEM;
    nlm->server = server;
    nlm->vfs = server->vfs;
    nlm->state = options->state;
    nlm->loop = vfs_loop(server->vfs);
    nlm->outgoing = outgoing;
    nlm->nsm = nsm;
    nlm->retry_ms = options->grant_retry_ms != 0 ? options->grant_retry_ms : (uint64_t)DEFAULT_RETRY_MS;
    nlm->idle_ms = options->host_idle_ms != 0 ? options->host_idle_ms : (uint64_t)DEFAULT_IDLE_MS;
    hashtable_init(&nlm->hosts);
    hashtable_init(&nlm->blocks);
    hashtable_init(&nlm->callbacks);
    list_init(&nlm->answers);
    nlm->next_cookie = 1;
    init_programs(nlm);
    nlm->sweep.callback = nlm__hosts_sweep;
    loop_timer_start(nlm->loop, &nlm->sweep, nlm->idle_ms / SWEEPS + 1, nlm->idle_ms / SWEEPS + 1);
    *nlm_r = nlm;
    return ERR_OK;
}

void nlm__close_server(struct nlm **nlm_p)
{
    struct nlm *nlm = *nlm_p;

    *nlm_p = NULL;
    if (nlm == NULL)
        return;
    loop_timer_stop(&nlm->sweep);
    nlm__hosts_free(nlm);
    nlm__answers_free(nlm);
    hashtable_free(&nlm->hosts);
    hashtable_free(&nlm->blocks);
    hashtable_free(&nlm->callbacks);
    free(nlm);
}

enum err nlm__add_programs(struct nlm *nlm, struct onc_service *service)
{
    enum err err = ERR_OK;

    for (size_t i = 0; err == ERR_OK && i < NLM_VERSIONS; i++)
        err = onc_service_add_program(service, &nlm->programs[i]);
    return err;
}
