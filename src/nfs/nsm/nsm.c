/*
 * nsm.c - the Network Status Monitor, version 1 (X/Open XNFS chapter 11): who has restarted.
 *
 * Two things happen here. Clients' NSMs tell us (NOTIFY) that their host has restarted: what it held by NLM
 * is free then. And after a start of ours every host that held something by NLM is told (SM_NOTIFY, from
 * nsm_notify.c), so that it reclaims within the grace period. Whom to tell is recorded when a host gets its
 * first lock (nsm_host.c); nobody has to be asked, as NLM is in the same process.
 *
 * MON and its like are for programs on this host only (nsm_watch.c): from elsewhere they would make us
 * call whom a stranger wants.
 *
 * Our state number is odd while we are up; each start makes it two larger, and nobody is told it before it
 * is durable: a number that is used twice would be taken for a notice that came twice.
 */
#include "nfs/nsm/nsm_priv.h"

#include "nfs/nfs_locking_priv.h"
#include "nfs/nlm/nlm_priv.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    ARGUMENTS_MAX = 4096,
    RESULTS_MAX = 64,
    DEFAULT_RETRY_MS = 2000,
    DEFAULT_GIVE_UP_MS = 900000,
    STAT_SUCC = 0,
    STAT_FAIL = 1
};

static bool is_local(const struct onc_call *call)
{
    const struct net_address *peer = &call->peer;

    if (peer->sa.any.sa_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&peer->sa.v6.sin6_addr);
    return (ntohl(peer->sa.v4.sin_addr.s_addr) >> 24) == IN_LOOPBACKNET;
}

static bool decode(struct onc_call *call, enum nsm_procedure procedure, struct nsm_args *args_r)
{
    if (nsm__decode_call(procedure, &call->arguments, args_r))
        return true;
    onc_call_reject(call, ONC_REJECT_GARBAGE_ARGS);
    return false;
}

/* sm_stat_res */
static void reply_result(struct onc_call *call, bool success)
{
    const struct nsm *nsm = call->program->data;

    writer_be32(&call->reply, success ? STAT_SUCC : STAT_FAIL);
    writer_be32(&call->reply, nsm->state);
    onc_call_reply(call);
}

/* sm_stat */
static void reply_state(struct onc_call *call)
{
    const struct nsm *nsm = call->program->data;

    writer_be32(&call->reply, nsm->state);
    onc_call_reply(call);
}

static void run_null(struct onc_call *call)
{
    struct nsm_args args;

    if (decode(call, NSM_NULL, &args))
        onc_call_reply(call);
}

/* Whether we would monitor that host; changes nothing. */
static void run_stat(struct onc_call *call)
{
    struct nsm_args args;

    if (decode(call, NSM_STAT, &args))
        reply_result(call, is_local(call));
}

static void run_mon(struct onc_call *call)
{
    struct nsm_args args;

    if (decode(call, NSM_MON, &args))
        reply_result(call, is_local(call) && nsm__watch(call->program->data, &args) == ERR_OK);
}

static void run_unmon(struct onc_call *call)
{
    struct nsm_args args;

    if (!decode(call, NSM_UNMON, &args))
        return;
    if (is_local(call))
        nsm__unwatch(call->program->data, &args.name, &args.id);
    reply_state(call);
}

static void run_unmon_all(struct onc_call *call)
{
    struct nsm_args args;

    if (!decode(call, NSM_UNMON_ALL, &args))
        return;
    if (is_local(call))
        nsm__unwatch(call->program->data, NULL, &args.id);
    reply_state(call);
}

/* A new state number, and everybody is told. Locks stay: who reclaims what it has still got has it. */
static void run_simu_crash(struct onc_call *call)
{
    struct nsm *nsm = call->program->data;
    struct nsm_args args;

    if (!decode(call, NSM_SIMU_CRASH, &args))
        return;
    if (is_local(call)) {
        nsm->state += 2;
        nsm__untell_all(nsm);
        if (nsm__put_state(nsm) == ERR_OK)
            loop_timer_start(nsm->loop, &nsm->begin, 0, 0);
        else
            log_error("nsm: the state number can't be recorded");
    }
    onc_call_reply(call);
}

static void run_notify(struct onc_call *call)
{
    struct nsm *nsm = call->program->data;
    struct nsm_args args;
    char text[NET_ADDRESS_TEXT];
    struct nlm_bytes name;

    if (!decode(call, NSM_NOTIFY, &args))
        return;
    log_debug("nsm: %s has state %u", nfs__host_text(&call->peer, text), args.state);
    name = (struct nlm_bytes){.data = args.name.data, .length = args.name.length};
    if (nsm->nlm != NULL)
        nlm__host_restarted(nsm->nlm, &call->peer, name, args.state);
    nsm__tell_watchers(nsm, &call->peer, args.state);
    onc_call_reply(call);
}

static const struct onc_procedure procedures[NSM_PROCEDURES] = {
    [NSM_NULL] = {.name = "NULL", .run = run_null},
    [NSM_STAT] = {.name = "STAT", .run = run_stat, .reply_max = RESULTS_MAX},
    [NSM_MON] = {.name = "MON", .run = run_mon, .reply_max = RESULTS_MAX},
    [NSM_UNMON] = {.name = "UNMON", .run = run_unmon, .reply_max = RESULTS_MAX},
    [NSM_UNMON_ALL] = {.name = "UNMON_ALL", .run = run_unmon_all, .reply_max = RESULTS_MAX},
    [NSM_SIMU_CRASH] = {.name = "SIMU_CRASH", .run = run_simu_crash, .flags = ONC_CACHED},
    [NSM_NOTIFY] = {.name = "NOTIFY", .run = run_notify},
};

/* ---- start ---- */

static void on_recorded(struct recovery_wait *wait, enum err err)
{
    struct nsm *nsm = container_of(wait, struct nsm, wait);

    nsm->waiting = false;
    if (err == ERR_OK)
        nsm__notify_all(nsm);
    else
        log_error("nsm: the state number can't be recorded: %s; clients are not told of the restart",
                  err_text(err));
}

/* From the loop, when all services answer: who is told comes back at once. */
static void on_begin(struct loop_timer *timer)
{
    struct nsm *nsm = container_of(timer, struct nsm, begin);
    enum err err = ERR_OK;

    if (nsm->waiting)
        return;
    nsm->wait.done = on_recorded;
    if (nsm->records.put != NULL && nsm->records.wait != NULL)
        err = nsm->records.wait(nsm->records.data, &nsm->wait);
    nsm->waiting = err == ERR_WAIT;
    if (!nsm->waiting)
        on_recorded(&nsm->wait, err);
}

enum err nsm__open_server(struct nfs_server *server, const struct nfs_locking_options *options,
                          struct onc_client *outgoing, struct nsm **nsm_r)
{
    struct nsm *nsm = calloc(1, sizeof *nsm);
    enum err err;

    if (nsm == NULL)
        return ERR_NOMEM;
    nsm->loop = vfs_loop(server->vfs);
    nsm->outgoing = outgoing;
    if (options->records != NULL)
        nsm->records = *options->records;
    nsm->retry_ms = options->notify_retry_ms != 0 ? options->notify_retry_ms : (uint64_t)DEFAULT_RETRY_MS;
    nsm->give_up_ms =
        options->notify_give_up_ms != 0 ? options->notify_give_up_ms : (uint64_t)DEFAULT_GIVE_UP_MS;
    if (gethostname(nsm->name, sizeof nsm->name) != 0 || nsm->name[NSM_NAME_MAX] != '\0')
        nsm->name[0] = '\0';
    hashtable_init(&nsm->monitored);
    list_init(&nsm->notices);
    list_init(&nsm->watches);
    list_init(&nsm->told);
    nsm->begin.callback = on_begin;
    nsm->program = (struct onc_program){
        .name = "nsm",
        .number = NSM_PROGRAM,
        .version = NSM_VERSION,
        .procedures = procedures,
        .procedure_count = NSM_PROCEDURES,
        .arguments_max = ARGUMENTS_MAX,
        .data = nsm,
    };
    err = nsm__load(nsm);
    if (err == ERR_OK) {
        /* The next odd number. */
        nsm->state = (nsm->state + 1) | 1;
        err = nsm__put_state(nsm);
    }
    if (err != ERR_OK) {
        nsm__close_server(&nsm);
        return err;
    }
    loop_timer_start(nsm->loop, &nsm->begin, 0, 0);
    *nsm_r = nsm;
    return ERR_OK;
}

void nsm__set_nlm(struct nsm *nsm, struct nlm *nlm)
{
    nsm->nlm = nlm;
}

void nsm__close_server(struct nsm **nsm_p)
{
    struct nsm *nsm = *nsm_p;

    *nsm_p = NULL;
    if (nsm == NULL)
        return;
    loop_timer_stop(&nsm->begin);
    if (nsm->waiting)
        nsm->records.wait_cancel(nsm->records.data, &nsm->wait);
    nsm__notices_end(nsm, NULL);
    nsm__watches_free(nsm);
    nsm__hosts_free(nsm);
    free(nsm);
}

enum err nsm__add_program(struct nsm *nsm, struct onc_service *service)
{
    return onc_service_add_program(service, &nsm->program);
}
