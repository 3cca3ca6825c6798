/*
 * nsm_notify.c - SM_NOTIFY: tells the monitored hosts that we have restarted.
 *
 * Each host is told twice, by the two names that it may know us by: the address of ours that it uses (which
 * is what Linux' lockd asks its statd to watch) and our host name. A notice goes over UDP to the NSM of the
 * host, wherever its port mapper says; it is sent again until it is answered, at longer and longer intervals,
 * for 15 minutes. A host that does not answer for so long is down: it has nothing to reclaim any more. Only
 * so many notices are under way at a time; the others wait for their turn.
 *
 * Invariants: host->notices counts the notices of a host; it is not freed while that is not 0, except by
 * nsm__notices_end.
 */
#include "nfs/nsm/nsm_priv.h"

#include "dittofs/clock.h"
#include "nfs/nlm/nlm_priv.h"

#include <stdlib.h>
#include <string.h>

enum { CALL_MS = 5000, RETRY_MOST_MS = 60000, ARGUMENTS_MAX = 512, SPREAD = 64 };

struct nsm_notice {
    struct list link;
    struct nsm_host *host;
    bool by_name; /* else by address */
    uint64_t began_ms, retry_ms;
    struct loop_timer timer;
    struct onc_client_call call;
};

static void send_notice(struct nsm_notice *notice);

static void forget(struct nsm_notice *notice)
{
    loop_timer_stop(&notice->timer);
    onc_client_cancel(&notice->call);
    list_remove(&notice->link);
    notice->host->notices--;
    free(notice);
}

static void end(struct nsm_notice *notice)
{
    struct nsm_host *host = notice->host;

    forget(notice);
    nsm__host_told(host);
}

void nsm__notices_end(struct nsm *nsm, const struct nsm_host *host)
{
    struct list *link, *following;

    list_for_each_safe(link, following, &nsm->notices)
    {
        struct nsm_notice *notice = container_of(link, struct nsm_notice, link);

        if (host == NULL || notice->host == host)
            forget(notice);
    }
}

static void on_timer(struct loop_timer *timer)
{
    send_notice(container_of(timer, struct nsm_notice, timer));
}

static void send_later(struct nsm_notice *notice)
{
    struct nsm *nsm = notice->host->nsm;
    char text[NET_ADDRESS_TEXT];

    if (clock_monotonic_ms() - notice->began_ms >= nsm->give_up_ms) {
        log_warning("nsm: %s can't be told of our restart", nfs__host_text(&notice->host->address, text));
        end(notice);
        return;
    }
    loop_timer_start(nsm->loop, &notice->timer, notice->retry_ms, 0);
    notice->retry_ms *= 2;
    if (notice->retry_ms > RETRY_MOST_MS)
        notice->retry_ms = RETRY_MOST_MS;
}

static void on_done(struct onc_client_call *call, enum err err, struct reader *results)
{
    struct nsm_notice *notice = container_of(call, struct nsm_notice, call);

    (void)results;
    if (err == ERR_OK)
        end(notice);
    else
        send_later(notice);
}

/* stat_chge */
static void send_notice(struct nsm_notice *notice)
{
    const struct nsm_host *host = notice->host;
    struct nsm *nsm = host->nsm;
    char address[NET_ADDRESS_TEXT];
    const char *name = notice->by_name ? nsm->name : nfs__host_text(&host->local, address);
    uint8_t arguments[ARGUMENTS_MAX];
    struct writer writer;

    writer_init(&writer, arguments, sizeof arguments);
    writer_xdr_opaque(&writer, name, strlen(name));
    writer_be32(&writer, nsm->state);
    notice->call = (struct onc_client_call){
        .done = on_done,
        .to = host->address,
        .from = host->local,
        .transport = ONC_UDP,
        .program = NSM_PROGRAM,
        .version = NSM_VERSION,
        .procedure = NSM_NOTIFY,
        .timeout_ms = CALL_MS,
        .credential = {.flavor = ONC_AUTH_NONE},
    };
    if (onc_client_call(nsm->outgoing, &notice->call, arguments, writer.length) != ERR_OK)
        send_later(notice);
}

static void new_notice(struct nsm_host *host, bool by_name, uint64_t delay_ms)
{
    struct nsm_notice *notice = calloc(1, sizeof *notice);

    if (notice == NULL) {
        log_error("nsm: no memory to tell a host of our restart");
        return;
    }
    notice->host = host;
    notice->by_name = by_name;
    notice->began_ms = clock_monotonic_ms();
    notice->retry_ms = host->nsm->retry_ms;
    notice->timer.callback = on_timer;
    list_push_back(&host->nsm->notices, &notice->link);
    host->notices++;
    loop_timer_start(host->nsm->loop, &notice->timer, delay_ms, 0);
}

static bool is_any(const struct net_address *address)
{
    static const struct net_address any_v4 = {.sa.v4 = {.sin_family = AF_INET}};
    static const struct net_address any_v6 = {.sa.v6 = {.sin6_family = AF_INET6}};

    return net_address_same_host(address, &any_v4) || net_address_same_host(address, &any_v6);
}

void nsm__notify_all(struct nsm *nsm)
{
    struct hashlink *link = NULL;
    uint64_t count = 0;

    nsm__notices_end(nsm, NULL);
    while ((link = hashtable_walk(&nsm->monitored, link)) != NULL) {
        struct nsm_host *host = container_of(link, struct nsm_host, hashlink);

        if (!host->untold)
            continue;
        host->untold = false;
        /* A few in each millisecond, so that thousands don't go out as one burst. */
        if (!is_any(&host->local))
            new_notice(host, false, count / SPREAD);
        if (nsm->name[0] != '\0')
            new_notice(host, true, count / SPREAD);
        count++;
    }
    if (count > 0)
        log_info("nsm: telling %u hosts of our restart, state %u", (unsigned)count, nsm->state);
}
