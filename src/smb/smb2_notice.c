/*
 * smb2_notice.c - notifications of breaks until the client has them (MS-SMB2 3.3.4.6, 3.3.4.7: over one
 * channel after the other until one of them takes it).
 *
 * A notification goes over a connection of its session, and is noted there: that of an oplock over the one
 * that its file was opened over, as that is the one its holder is known to use, that of a lease, which opens
 * over all of them may share, over the first. It is dropped when the client's system has it, unless it must
 * be acknowledged: then only when the break is over. When the connection ends before that, all that is noted
 * goes over the next channel of the session; of a lease, over one of another session of the machine, if need
 * be.
 *
 * A peer that is gone without a word would be found by TCP much later than the time a break has. So a
 * connection with notes is watched: when the peer's system has acknowledged nothing for LOST_TICKS, although
 * there was something, it is closed. Where there is no other channel, the same message would have to come
 * over this one: it has ALONE_TICKS.
 *
 * Invariant: the timer runs exactly while there are notes.
 */
#include "smb/smb2_grants.h"

#include <stdlib.h>
#include <string.h>

enum { NOTICES_MAX = 1024, TICK_MS = 1000, LOST_TICKS = 5, ALONE_TICKS = 20 };

struct notice {
    struct list link;             /* in conn->notices */
    struct smb2_session *session; /* a reference; it may have ended */
    struct smb2_client *machine;  /* a reference */
    struct smb2_break told;
};

static uint64_t tick_ms(const struct smb2_conn *conn)
{
    uint64_t configured_ms = conn->server->options.lost_tick_ms;

    return configured_ms != 0 ? configured_ms : TICK_MS;
}

static void notice_free(struct smb2_conn *conn, struct notice *notice)
{
    list_remove(&notice->link);
    conn->notice_count--;
    smb2__session_unref(&notice->session);
    smb2__client_unref(&notice->machine);
    free(notice);
    if (conn->notice_count == 0)
        loop_timer_stop(&conn->notice_timer);
}

/* Who can be told of it now, if it is still true and somebody has to know; or NULL. */
static struct smb2_session *owed_to(const struct notice *notice)
{
    struct smb2_session *session = notice->session;
    const struct smb2_break *told = &notice->told;

    if (told->is_lease)
        return smb2__lease_owes(notice->machine, told);
    return smb2__oplock_owes(session, told) ? session : NULL;
}

static bool has_other_channel(const struct smb2_conn *conn)
{
    const struct list *link;

    list_for_each(link, &conn->notices)
    {
        if (container_of(link, const struct notice, link)->session->channel_count > 1)
            return true;
    }
    return false;
}

static void drop_done(struct smb2_conn *conn, bool delivered)
{
    struct list *link, *following;

    list_for_each_safe(link, following, &conn->notices)
    {
        struct notice *notice = container_of(link, struct notice, link);

        if (notice->told.acknowledge ? owed_to(notice) == NULL : delivered)
            notice_free(conn, notice);
    }
}

static void on_tick(struct loop_timer *timer)
{
    struct smb2_conn *conn = container_of(timer, struct smb2_conn, notice_timer);
    enum net_delivery delivery = net_conn_delivery(conn->net, tick_ms(conn));

    conn->silent_ticks = delivery == NET_SILENT ? conn->silent_ticks + 1 : 0;
    drop_done(conn, delivery == NET_DELIVERED);
    if (conn->notice_count == 0 ||
        conn->silent_ticks < (has_other_channel(conn) ? (unsigned)LOST_TICKS : (unsigned)ALONE_TICKS))
        return;
    loop_timer_stop(timer);
    log_info("smb: a client that owes an answer to a break does not acknowledge what is sent to it");
    conn->closing = true;
    net_conn_reset(conn->net);
}

/* What was told of the same open or lease before does not matter any more. */
static void forget_older(struct smb2_conn *conn, const struct smb2_break *told)
{
    struct list *link, *following;

    list_for_each_safe(link, following, &conn->notices)
    {
        struct notice *notice = container_of(link, struct notice, link);

        if (notice->told.is_lease == told->is_lease &&
            memcmp(notice->told.body + SMB2_BREAK_ID_AT, told->body + SMB2_BREAK_ID_AT, SMB2_BREAK_ID) == 0)
            notice_free(conn, notice);
    }
}

static void note(struct smb2_conn *conn, struct smb2_session *session, const struct smb2_break *told)
{
    struct notice *notice;

    forget_older(conn, told);
    if (conn->notice_count == NOTICES_MAX)
        notice_free(conn, list_first(&conn->notices, struct notice, link));
    notice = calloc(1, sizeof *notice);
    /* Without memory it is told once, and that is all. */
    if (notice == NULL)
        return;
    notice->session = session;
    session->references++;
    notice->machine = session->machine;
    notice->machine->references++;
    notice->told = *told;
    list_push_back(&conn->notices, &notice->link);
    if (conn->notice_count++ > 0)
        return;
    conn->silent_ticks = 0;
    conn->notice_timer.callback = on_tick;
    loop_timer_start(conn->server->loop, &conn->notice_timer, tick_ms(conn), tick_ms(conn));
}

void smb2__notify(struct smb2_conn *conn, struct smb2_session *session, const struct smb2_break *told)
{
    note(conn, session, told);
    smb2__send_notification(conn, session, told);
}

void smb2__notices_resend(struct smb2_conn *conn)
{
    while (!list_is_empty(&conn->notices)) {
        struct notice *notice = list_first(&conn->notices, struct notice, link);
        struct smb2_session *to = owed_to(notice);
        struct smb2_conn *next = to == NULL ? NULL : smb2__channel_conn(to, 0);

        if (next != NULL)
            smb2__notify(next, to, &notice->told);
        notice_free(conn, notice);
    }
    loop_timer_stop(&conn->notice_timer);
}
