/*
 * smb2_conn.c - a connection: frames in, messages taken, the end.
 *
 * Direct TCP (MS-SMB2 2.1): a zero byte and three bytes of length before each message. The length is checked
 * before memory is had for it; each message has a buffer of its own, which WRITE hands on to the store. What
 * comes is read ahead a little, so that small requests don't cost a system call each; the rest of a large one
 * is read straight into its buffer. Reading pauses while too much is in flight or the peer does not take its
 * replies; what was read ahead then waits, too.
 *
 * Ends: the peer's, an error, a broken frame or message, a logon that does not come, shutdown. All close the
 * socket; gone() comes from the loop, detaches the messages in flight, ends the channels and frees.
 */
#include "smb/smb2_grants.h"

#include <stdlib.h>
#include <string.h>

enum { CONN_MAGIC = 0x736d6232, UNNEGOTIATED_FRAME_MAX = 65536, IDLE_MS = 30 * 1000, READ_AHEAD = 8192 };
enum { ALIGNED_FROM = 32768, ALIGNMENT = 64, WRITE_BODY = 48, FIRST_OF_TRANSFORM = 0xfd };

static struct smb2_conn *conn_of(void *owner)
{
    struct smb2_conn *conn = owner;

    invariant(conn->magic == CONN_MAGIC);
    return conn;
}

static void take_frames(struct smb2_conn *conn);

bool smb2__conn_is_full(const struct smb2_conn *conn)
{
    return conn->sealing_bytes >= SMB2_SEALING_MAX || net_conn_is_congested(conn->net);
}

static bool must_pause(const struct smb2_conn *conn)
{
    return conn->working || conn->message_count - conn->async_count >= SMB2_MESSAGES_MAX ||
           conn->message_bytes >= SMB2_BYTES_MAX || smb2__conn_is_full(conn);
}

/* Small requests are read together; of a large one what is not there yet goes straight to its buffer. */
static uint8_t *on_space(struct net_conn *net, void *owner, size_t *length_r)
{
    struct smb2_conn *conn = conn_of(owner);

    (void)net;
    if (conn->frame == NULL && conn->input != NULL)
        take_frames(conn);
    if (conn->closing || must_pause(conn)) {
        conn->paused = true;
        return NULL;
    }
    if (conn->frame != NULL) {
        *length_r = conn->frame_length - conn->frame_filled;
        return conn->frame->data + conn->frame_at + conn->frame_filled;
    }
    if (conn->input == NULL)
        conn->input = buf_new(READ_AHEAD);
    if (conn->input == NULL) {
        smb2__conn_close(conn, true);
        return NULL;
    }
    *length_r = READ_AHEAD - conn->input_end;
    return conn->input->data + conn->input_end;
}

/* Where a frame of LENGTH begins in its buffer. The system copies what is aligned a fifth faster to the page
 * cache: that should be true of what a WRITE brings where all clients put it, right behind its structure. */
static size_t place_of_frame(const struct smb2_conn *conn, size_t length)
{
    const struct buf *input = conn->input;
    bool encrypted = conn->input_at < conn->input_end && input->data[conn->input_at] == FIRST_OF_TRANSFORM;
    size_t data_at = SMB2_HEADER_SIZE + WRITE_BODY + (encrypted ? SMB2_TRANSFORM_SIZE : 0);

    return length < ALIGNED_FROM ? 0 : (ALIGNMENT - data_at % ALIGNMENT) % ALIGNMENT;
}

/* The head of a frame is there: what will follow? False: nothing that we take. */
static bool begin_frame(struct smb2_conn *conn)
{
    struct reader reader = reader_of(conn->input->data + conn->input_at, SMB2_FRAME_HEAD);
    size_t most = conn->state == SMB2_CONN_NEGOTIATED ? SMB2_FRAME_MAX : UNNEGOTIATED_FRAME_MAX;
    uint32_t head;

    conn->input_at += SMB2_FRAME_HEAD;
    if (!reader_be32(&reader, &head))
        return false;
    /* A keep-alive of NetBIOS (RFC 1002 4.3.6). */
    if (head == UINT32_C(0x85000000))
        return true;
    if (head == 0 || head > most)
        return false;
    conn->frame_at = place_of_frame(conn, head);
    conn->frame = buf_new(conn->frame_at + head);
    conn->frame_length = head;
    conn->frame_filled = 0;
    return conn->frame != NULL;
}

static void end_frame(struct smb2_conn *conn)
{
    struct buf *frame = conn->frame;

    conn->frame = NULL;
    if (!smb2__message_take(conn, frame, conn->frame_at, conn->frame_length))
        smb2__conn_close(conn, true);
}

/* Fills the frame from what was read ahead. */
static void fill_frame(struct smb2_conn *conn)
{
    size_t length = conn->input_end - conn->input_at;

    if (length > conn->frame_length - conn->frame_filled)
        length = conn->frame_length - conn->frame_filled;
    memcpy(conn->frame->data + conn->frame_at + conn->frame_filled, conn->input->data + conn->input_at,
           length);
    conn->input_at += length;
    conn->frame_filled += length;
    if (conn->frame_filled == conn->frame_length)
        end_frame(conn);
}

/* Takes the frames out of what was read ahead, until it must pause. Only from the loop, not from within a
 * message. */
static void take_frames(struct smb2_conn *conn)
{
    while (!conn->closing && conn->frame == NULL && conn->input_end - conn->input_at >= SMB2_FRAME_HEAD) {
        if (must_pause(conn)) {
            conn->paused = true;
            return;
        }
        if (!begin_frame(conn))
            smb2__conn_close(conn, true);
        else if (conn->frame != NULL)
            fill_frame(conn);
    }
    conn->input_end -= conn->input_at;
    if (conn->input_end == 0)
        buf_unref(&conn->input);
    else if (conn->input_at > 0)
        memmove(conn->input->data, conn->input->data + conn->input_at, conn->input_end);
    conn->input_at = 0;
}

static void on_received(struct net_conn *net, void *owner, size_t length)
{
    struct smb2_conn *conn = conn_of(owner);

    (void)net;
    if (conn->frame == NULL) {
        conn->input_end += length;
        take_frames(conn);
        return;
    }
    conn->frame_filled += length;
    if (conn->frame_filled == conn->frame_length)
        end_frame(conn);
}

static void on_drained(struct net_conn *net, void *owner)
{
    (void)net;
    smb2__conn_ready(conn_of(owner));
}

void smb2__conn_ready(struct smb2_conn *conn)
{
    smb2__read_slots_ready(conn);
    if (!conn->paused || conn->closing || conn->net == NULL || must_pause(conn))
        return;
    conn->paused = false;
    /* What was read ahead goes first; from the loop, as a message may be what calls this. */
    if (conn->input != NULL)
        loop_timer_start(conn->server->loop, &conn->resume, 0, 0);
    else
        net_conn_resume_reading(conn->net);
}

static void on_resume(struct loop_timer *timer)
{
    struct smb2_conn *conn = container_of(timer, struct smb2_conn, resume);

    if (conn->frame == NULL && conn->input != NULL)
        take_frames(conn);
    if (!conn->paused && !conn->closing)
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
    loop_timer_stop(&conn->resume);
    while (!list_is_empty(&conn->messages))
        smb2__message_detach(list_first(&conn->messages, struct smb2_message, link));
    smb2__read_slots_leave(conn);
    while (!list_is_empty(&conn->channels))
        smb2__channel_end(list_first(&conn->channels, struct smb2_channel, conn_link));
    smb2__notices_resend(conn);
    buf_unref(&conn->frame);
    buf_unref(&conn->input);
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
    conn->offers_persistent = server->has_records && server->any_persistent;
    conn->next_async = 1;
    conn->id = ++server->next_conn;
    smb2__window_init(&conn->window);
    list_init(&conn->channels);
    list_init(&conn->messages);
    list_init(&conn->reads);
    list_init(&conn->read_slots_link);
    list_init(&conn->notices);
    list_push_back(&server->conns, &conn->link);
    conn->resume.callback = on_resume;
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
