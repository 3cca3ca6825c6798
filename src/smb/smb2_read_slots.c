/*
 * smb2_read_slots.c - how many large READs are under way at a time.
 *
 * A worker reads what a large READ wants from the page cache while the loop sends the reply of another. More
 * than two under way would gain nothing and lose much: each has a buffer, and only few of these stay in the
 * processor's cache from the worker to the socket. So READs wait here for a slot before they have a buffer.
 * One that turns out to wait for the disk gives its slot back: the disk takes as many as there are.
 *
 * Connections get slots in turn, each for the READs in the order in which they came. One that does not take
 * its replies is left out until it does.
 */
#include "smb/smb2_priv.h"

enum { SLOTS = 2 };

static bool is_held_up(const struct smb2_conn *conn)
{
    return conn->closing || smb2__conn_is_full(conn);
}

/* Each may end at once and give its slot back, which is why they are not begun from there. */
static void begin_reads(struct smb_server *server)
{
    struct smb2_read_slots *slots = &server->read_slots;

    if (slots->is_beginning)
        return;
    slots->is_beginning = true;
    while (slots->taken < SLOTS && !list_is_empty(&slots->conns)) {
        struct smb2_conn *conn = list_first(&slots->conns, struct smb2_conn, read_slots_link);
        struct smb2_request *request;

        list_remove(&conn->read_slots_link);
        if (is_held_up(conn) || list_is_empty(&conn->reads))
            continue;
        request = list_first(&conn->reads, struct smb2_request, waiting_link);
        list_remove(&request->waiting_link);
        if (!list_is_empty(&conn->reads))
            list_push_back(&slots->conns, &conn->read_slots_link);
        request->has_read_slot = true;
        slots->taken++;
        smb2__request_resume(request);
    }
    slots->is_beginning = false;
}

static void on_timer(struct loop_timer *timer)
{
    begin_reads(container_of(timer, struct smb_server, read_slots.timer));
}

static void cancel_wait(struct smb2_request *request)
{
    list_remove(&request->waiting_link);
    smb2__request_done(request, STATUS_CANCELLED);
}

bool smb2__read_slot_take(struct smb2_request *request)
{
    struct smb2_conn *conn = request->message->conn;
    struct smb2_read_slots *slots = &conn->server->read_slots;

    if (request->has_read_slot)
        return true;
    if (slots->taken < SLOTS && list_is_empty(&slots->conns) && list_is_empty(&conn->reads) &&
        !is_held_up(conn)) {
        request->has_read_slot = true;
        slots->taken++;
        return true;
    }
    request->cancel = cancel_wait;
    list_push_back(&conn->reads, &request->waiting_link);
    smb2__read_slots_ready(conn);
    return false;
}

void smb2__read_slot_give(struct smb2_request *request)
{
    struct smb_server *server = request->message->server;

    if (!request->has_read_slot)
        return;
    request->has_read_slot = false;
    server->read_slots.taken--;
    begin_reads(server);
}

void smb2__read_slots_ready(struct smb2_conn *conn)
{
    struct smb2_read_slots *slots = &conn->server->read_slots;

    if (list_is_empty(&conn->reads) || !list_is_empty(&conn->read_slots_link) || is_held_up(conn))
        return;
    list_push_back(&slots->conns, &conn->read_slots_link);
    if (slots->taken < SLOTS && slots->timer.loop == NULL) {
        slots->timer.callback = on_timer;
        loop_timer_start(conn->server->loop, &slots->timer, 0, 0);
    }
}

void smb2__read_slots_leave(struct smb2_conn *conn)
{
    list_remove(&conn->read_slots_link);
}

void smb2__read_slots_stop(struct smb_server *server)
{
    invariant(server->read_slots.taken == 0 && list_is_empty(&server->read_slots.conns));
    loop_timer_stop(&server->read_slots.timer);
}
