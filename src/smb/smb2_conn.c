/*
 * smb2_conn.c - a connection: frames in, messages taken, the end.
 *
 * Direct TCP (MS-SMB2 2.1): a zero byte and three bytes of length before each message. The length is checked
 * before memory is had for it; the message is read straight into a buffer of its own, which WRITE hands on to
 * the store. Reading pauses while too much is in flight or the peer does not take its replies.
 *
 * Ends: the peer's, an error, a broken frame or message, a logon that does not come, shutdown. All close the
 * socket; gone() comes from the loop, detaches the messages in flight, ends the channels and frees.
 */
#include "smb/smb2_priv.h"

#include <stdlib.h>

enum { CONN_MAGIC = 0x736d6232, UNNEGOTIATED_FRAME_MAX = 65536, IDLE_MS = 30 * 1000 };

static struct smb2_conn *conn_of(void *owner)
{
    struct smb2_conn *conn = owner;

    invariant(conn->magic == CONN_MAGIC);
    return conn;
}

static bool must_pause(const struct smb2_conn *conn)
{
    return conn->message_count - conn->async_count >= SMB2_MESSAGES_MAX ||
           conn->message_bytes >= SMB2_BYTES_MAX || net_conn_is_congested(conn->net);
}

static uint8_t *on_space(struct net_conn *net, void *owner, size_t *length_r)
{
    struct smb2_conn *conn = conn_of(owner);

    (void)net;
    if (conn->closing || must_pause(conn)) {
        conn->paused = true;
        return NULL;
    }
    if (conn->frame == NULL) {
        *length_r = SMB2_FRAME_HEAD - conn->head_length;
        return conn->head + conn->head_length;
    }
    *length_r = conn->frame_length - conn->frame_filled;
    return conn->frame->data + conn->frame_filled;
}

/* The head is whole: what will follow? False: nothing that we take. */
static bool begin_frame(struct smb2_conn *conn)
{
    struct reader reader = reader_of(conn->head, SMB2_FRAME_HEAD);
    size_t most = conn->state == SMB2_CONN_NEGOTIATED ? SMB2_FRAME_MAX : UNNEGOTIATED_FRAME_MAX;
    uint32_t head;

    conn->head_length = 0;
    if (!reader_be32(&reader, &head))
        return false;
    /* A keep-alive of NetBIOS (RFC 1002 4.3.6). */
    if (head == UINT32_C(0x85000000))
        return true;
    if (head == 0 || head > most)
        return false;
    conn->frame = buf_new(head);
    conn->frame_length = head;
    conn->frame_filled = 0;
    return conn->frame != NULL;
}

static void on_received(struct net_conn *net, void *owner, size_t length)
{
    struct smb2_conn *conn = conn_of(owner);
    struct buf *frame;

    (void)net;
    if (conn->frame == NULL) {
        conn->head_length += length;
        if (conn->head_length == SMB2_FRAME_HEAD && !begin_frame(conn))
            smb2__conn_close(conn, true);
        return;
    }
    conn->frame_filled += length;
    if (conn->frame_filled < conn->frame_length)
        return;
    frame = conn->frame;
    conn->frame = NULL;
    if (!smb2__message_take(conn, frame, conn->frame_length))
        smb2__conn_close(conn, true);
}

static void on_drained(struct net_conn *net, void *owner)
{
    (void)net;
    smb2__conn_ready(conn_of(owner));
}

void smb2__conn_ready(struct smb2_conn *conn)
{
    if (!conn->paused || conn->closing || conn->net == NULL || must_pause(conn))
        return;
    conn->paused = false;
    net_conn_resume_reading(conn->net);
}

static void on_closed(struct net_conn *net, void *owner, enum err why)
{
    struct smb2_conn *conn = conn_of(owner);
    struct smb_server *server = conn->server;
    char text[NET_ADDRESS_TEXT];

    (void)net;
    log_debug("smb: connection from %s is gone: %s", net_address_format(&conn->peer, text), err_text(why));
    conn->net = NULL;
    conn->closing = true;
    loop_timer_stop(&conn->idle);
    while (!list_is_empty(&conn->messages))
        smb2__message_detach(list_first(&conn->messages, struct smb2_message, link));
    while (!list_is_empty(&conn->channels))
        smb2__channel_end(list_first(&conn->channels, struct smb2_channel, conn_link));
    buf_unref(&conn->frame);
    list_remove(&conn->link);
    conn->magic = 0;
    free(conn);
    smb2__server_check_stopped(server);
}

const struct net_conn_events smb2__conn_events = {
    .space = on_space, .received = on_received, .drained = on_drained, .closed = on_closed};

/* Nobody has logged on: half-open connections must not stay. */
static void on_idle(struct loop_timer *timer)
{
    struct smb2_conn *conn = container_of(timer, struct smb2_conn, idle);
    const struct list *link;

    list_for_each(link, &conn->channels)
    {
        if (container_of(link, const struct smb2_channel, conn_link)->valid)
            return;
    }
    if (conn->message_count == 0)
        smb2__conn_close(conn, true);
}

struct smb2_conn *smb2__conn_of_wire(struct smb_server *server, struct net_conn *net)
{
    struct smb2_conn *conn = calloc(1, sizeof *conn);

    if (conn == NULL)
        return NULL;
    conn->magic = CONN_MAGIC;
    conn->server = server;
    conn->net = net;
    conn->peer = *net_conn_peer(net);
    conn->next_async = 1;
    smb2__window_init(&conn->window);
    list_init(&conn->channels);
    list_init(&conn->messages);
    list_push_back(&server->conns, &conn->link);
    conn->idle.callback = on_idle;
    loop_timer_start(server->loop, &conn->idle, IDLE_MS, IDLE_MS);
    return conn;
}

void smb2__conn_close(struct smb2_conn *conn, bool drain)
{
    if (conn->closing)
        return;
    conn->closing = true;
    net_conn_close(conn->net, drain);
}
