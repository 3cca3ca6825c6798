/*
 * control.c - the control socket: connections, lines in, pages out.
 *
 * A connection is READING (waits for a line), WALKING (its request makes pages), or WAITING (for what a
 * request changed to be durable); bytes of a page are under way in the first two states at most once. The
 * line buffer and one page are all the memory that a connection has.
 *
 *   READING -a line-> begin -> WALKING -the peer took the page-> page .. -> READING
 *
 * A connection is freed in the close callback of its pipe, after its write has come back (libuv ends it
 * first).
 */
#include "daemon/control_priv.h"
#include "daemon/control_socket_priv.h"
#include "daemon/control_walk_priv.h"

#include "dittofs/clock.h"
#include "dittofs/log.h"

#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONNECTIONS = 64, STALLED_MS = 60 * 1000, TURN_NS = 1000 * 1000 };

struct control {
    struct control_subject subject;
    struct control_limits limits;
    struct control_socket *socket;
    struct list conns;
    unsigned conn_count; /* and, once it is closed, one for the listener: the last one to go frees it */
    bool closed;
    struct vfs_listener renames;
};

struct control_conn {
    struct control *control;
    struct control_peer *peer;
    struct list link;
    struct loop_timer stalled, again;
    bool closing; /* its peer is closed, its end follows */
    bool sending, walking;
    bool ending; /* once all is sent */
    uint32_t uid;
    char in[CONTROL_LINE_MAX + 2]; /* with the end of the line */
    size_t in_length;
    struct writer out;
    struct control_request request;
    struct control_walk walk;
};

static void go_on(struct control_conn *conn);

/* ---- the end ---- */

static void on_closed(void *user)
{
    struct control_conn *conn = user;
    struct control *control = conn->control;

    list_remove(&conn->link);
    control->conn_count--;
    writer_free(&conn->out);
    OPENSSL_cleanse(conn, sizeof *conn);
    free(conn);
    if (control->closed && control->conn_count == 0)
        free(control);
}

static void end_conn(struct control_conn *conn)
{
    if (conn->closing)
        return;
    conn->closing = true;
    loop_timer_stop(&conn->stalled);
    loop_timer_stop(&conn->again);
    if (conn->walk.durable.done != NULL)
        store_wait_cancel(&conn->walk.durable);
    control_peer_close(conn->peer);
}

static void on_broken(void *user)
{
    end_conn(user);
}

static void on_stalled(struct loop_timer *timer)
{
    end_conn(container_of(timer, struct control_conn, stalled));
}

static void is_alive(struct control_conn *conn)
{
    loop_timer_start(conn->control->subject.loop, &conn->stalled, conn->control->limits.stalled_ms, 0);
}

/* ---- out ---- */

static void on_sent(void *user)
{
    struct control_conn *conn = user;

    conn->sending = false;
    if (conn->ending) {
        end_conn(conn);
        return;
    }
    writer_truncate(&conn->out, 0);
    is_alive(conn);
    /* Not here: libuv may call several of these in one turn. */
    loop_timer_start(conn->control->subject.loop, &conn->again, 0, 0);
}

/* Sends what is in `out`, if there is anything. */
static void flush(struct control_conn *conn)
{
    if (conn->out.failed) {
        end_conn(conn);
    } else if (conn->out.length > 0) {
        conn->sending = true;
        control_peer_send(conn->peer, conn->out.data, conn->out.length);
    }
}

static void put_line(struct writer *out, json_t *object)
{
    char *text = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);

    if (text == NULL) {
        out->failed = true;
    } else {
        writer_bytes(out, text, strlen(text));
        writer_u8(out, '\n');
    }
    free(text);
    json_decref(object);
}

static void put_end(struct control_conn *conn, enum err err, const char *message)
{
    if (err == ERR_OK)
        put_line(&conn->out, json_pack("{s:b, s:I}", "ok", 1, "items", (json_int_t)conn->walk.items));
    else
        put_line(&conn->out, json_pack("{s:b, s:s, s:o}", "ok", 0, "error", err_name(err), "message",
                                       control__text(message, strlen(message))));
}

void control__item(struct control_walk *walk, json_t *item)
{
    put_line(walk->out, item);
    walk->items++;
}

bool control__is_full(const struct control_walk *walk)
{
    return walk->out->length >= CONTROL_PAGE_BYTES || clock_monotonic_ns() >= walk->deadline_ns;
}

enum control_step control__fail(struct control_walk *walk, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(walk->error, sizeof walk->error, format, arguments);
    va_end(arguments);
    return CONTROL_FAILED;
}

/* ---- requests ---- */

static bool row_fits(const struct control_row *row, const struct control_request *request, unsigned *used_r)
{
    unsigned used = 0;

    while (used < 3 && row->words[used] != NULL) {
        if (used >= request->count || strcmp(row->words[used], request->words[used]) != 0)
            return false;
        used++;
    }
    *used_r = used;
    return true;
}

/* The row whose words are the most of the request's. */
static const struct control_row *find_row(const struct control_request *request, unsigned *used_r)
{
    static const struct control_row *const tables[] = {control__listings, control__actions, control__users,
                                                       control__figures, NULL};
    const struct control_row *best = NULL;
    unsigned used;

    *used_r = 0;
    for (size_t i = 0; tables[i] != NULL; i++) {
        for (const struct control_row *row = tables[i]; row->words[0] != NULL; row++) {
            if (row_fits(row, request, &used) && used > *used_r) {
                best = row;
                *used_r = used;
            }
        }
    }
    return best;
}

static void log_action(const struct control_conn *conn, const struct control_row *row)
{
    const struct control_request *request = &conn->request;
    char line[200] = "";

    for (unsigned i = 0; i < request->count && (i < 3 || !row->has_secret); i++) {
        if (control_request_add(line, sizeof line, request->words[i]) != ERR_OK)
            break;
    }
    log_info("control: uid %u: %s", conn->uid, line);
}

static void on_durable(struct store_waiter *waiter, enum err err)
{
    struct control_conn *conn = container_of(waiter, struct control_conn, walk.durable);

    conn->walk.durable.done = NULL;
    put_end(conn, err, err_text(err));
    flush(conn);
}

static void wait_durable(struct control_conn *conn)
{
    struct store *store = conn->control->subject.store;
    enum err err;

    conn->walk.durable.done = on_durable;
    err = store_wait(store, store_ticket_metadata(store), &conn->walk.durable);
    if (err == ERR_WAIT)
        return;
    conn->walk.durable.done = NULL;
    put_end(conn, err, err_text(err));
}

static void after_step(struct control_conn *conn, enum control_step step)
{
    conn->walking = step == CONTROL_MORE;
    if (step == CONTROL_DONE)
        put_end(conn, ERR_OK, NULL);
    else if (step == CONTROL_FAILED)
        put_end(conn, ERR_INVAL, conn->walk.error);
    else if (step == CONTROL_DURABLE)
        wait_durable(conn);
}

static void begin_page(struct control_conn *conn)
{
    conn->walk.deadline_ns = clock_monotonic_ns() + conn->control->limits.turn_ns;
}

static void begin_request(struct control_conn *conn, const char *line, size_t length)
{
    struct control_request *request = &conn->request;
    enum err err = control_request_parse(line, length, request);
    const struct control_row *row;
    unsigned used;

    conn->walk = (struct control_walk){
        .subject = &conn->control->subject, .request = request, .uid = conn->uid, .out = &conn->out};
    if (err != ERR_OK) {
        put_end(conn, err, "not a request");
        return;
    }
    row = find_row(request, &used);
    if (row == NULL || request->count - used < row->least || request->count - used > row->most) {
        put_end(conn, ERR_NOTSUPP, row == NULL ? "no such command" : "wrong number of arguments");
        return;
    }
    if (row->acts)
        log_action(conn, row);
    conn->walk.row = row;
    begin_page(conn);
    after_step(conn, row->begin(&conn->walk, (char *const *)request->words + used, request->count - used));
    if (row->has_secret)
        OPENSSL_cleanse(request->bytes, sizeof request->bytes);
}

/* Takes the next line off the buffer. False: there is none yet. */
static bool take_line(struct control_conn *conn)
{
    char *end = memchr(conn->in, '\n', conn->in_length);
    size_t length;

    if (end == NULL)
        return false;
    length = (size_t)(end - conn->in);
    begin_request(conn, conn->in, length);
    memmove(conn->in, end + 1, conn->in_length - length - 1);
    OPENSSL_cleanse(conn->in + conn->in_length - length - 1, length + 1);
    conn->in_length -= length + 1;
    return true;
}

/* ---- in ---- */

static char *on_space(void *user, size_t *length_r)
{
    struct control_conn *conn = user;

    *length_r = sizeof conn->in - conn->in_length;
    return conn->in + conn->in_length;
}

static void on_received(void *user, size_t length)
{
    struct control_conn *conn = user;

    conn->in_length += length;
    go_on(conn);
}

static bool is_busy(const struct control_conn *conn)
{
    return conn->sending || conn->walk.durable.done != NULL;
}

/* Does what can be done now: the next page, or the next line. A page that found nothing to say ends the turn
 * as well. */
static void go_on(struct control_conn *conn)
{
    if (conn->closing || is_busy(conn))
        return;
    if (conn->ending) {
        flush(conn);
        return;
    }
    if (conn->walking) {
        begin_page(conn);
        after_step(conn, conn->walk.row->page(&conn->walk));
    } else if (!take_line(conn)) {
        if (conn->in_length == sizeof conn->in) {
            conn->ending = true;
            put_end(conn, ERR_NAMETOOLONG, "a line is too long");
        }
        if (!conn->ending) {
            control_peer_read(conn->peer, true);
            return;
        }
    }
    control_peer_read(conn->peer, false);
    flush(conn);
    if (!conn->closing && !is_busy(conn))
        loop_timer_start(conn->control->subject.loop, &conn->again, 0, 0);
}

static void on_again(struct loop_timer *timer)
{
    struct control_conn *conn = container_of(timer, struct control_conn, again);

    is_alive(conn);
    go_on(conn);
}

/* ---- connections ---- */

static void *on_opened(void *owner, struct control_peer *peer, uint32_t uid)
{
    struct control *control = owner;
    struct control_conn *conn = control->closed ? NULL : calloc(1, sizeof *conn);

    if (conn == NULL)
        return NULL;
    conn->control = control;
    conn->peer = peer;
    conn->uid = uid;
    conn->stalled.callback = on_stalled;
    conn->again.callback = on_again;
    writer_init_growing(&conn->out, CONTROL_OUT_MAX);
    list_push_back(&control->conns, &conn->link);
    control->conn_count++;
    is_alive(conn);
    if (control->conn_count > control->limits.connections) {
        conn->ending = true;
        put_end(conn, ERR_LIMIT, "too many connections");
    }
    /* Not here: the peer has no user yet. */
    loop_timer_start(control->subject.loop, &conn->again, 0, 0);
    return conn;
}

static const struct control_socket_events socket_events = {.opened = on_opened,
                                                           .space = on_space,
                                                           .received = on_received,
                                                           .sent = on_sent,
                                                           .broken = on_broken,
                                                           .closed = on_closed};

/* ---- the whole ---- */

static void set_limits(struct control *control, const struct control_limits *limits)
{
    if (limits != NULL)
        control->limits = *limits;
    if (control->limits.connections == 0)
        control->limits.connections = CONNECTIONS;
    if (control->limits.stalled_ms == 0)
        control->limits.stalled_ms = STALLED_MS;
    if (control->limits.turn_ns == 0)
        control->limits.turn_ns = TURN_NS;
}

/* A file that somebody has open got another name. */
static void on_rename(struct vfs_listener *listener, const struct vfs_event *event)
{
    const struct control *control = container_of(listener, struct control, renames);
    const struct inode_attr *attr = inode_attr(event->inode);
    struct state_file *file = state_file_find(control->subject.state, attr->tree, attr->ino);

    if (file != NULL)
        state_file_set_name(file, inode_attr(event->other_dir)->ino, event->other_name.bytes,
                            event->other_name.length);
}

static void on_socket_closed(void *owner)
{
    struct control *control = owner;

    control->conn_count--;
    if (control->conn_count == 0)
        free(control);
}

enum err control_open(const struct control_subject *subject, uint32_t mode,
                      const struct control_limits *limits, struct control **control_r)
{
    struct control *control = calloc(1, sizeof *control);
    enum err err;

    if (control == NULL)
        return ERR_NOMEM;
    control->subject = *subject;
    set_limits(control, limits);
    list_init(&control->conns);
    err = control_socket_open(subject->loop, subject->config->state_dir, CONTROL_SOCKET, mode, &socket_events,
                              control, &control->socket);
    if (err != ERR_OK) {
        free(control);
        return err;
    }
    control->renames = (struct vfs_listener){.kinds = VFS_EVENT_RENAMED, .event = on_rename};
    vfs_listener_add(subject->vfs, &control->renames);
    *control_r = control;
    return ERR_OK;
}

void control_close(struct control **control_p)
{
    struct control *control = *control_p;
    struct list *link, *following;

    *control_p = NULL;
    if (control == NULL)
        return;
    control->closed = true;
    control->conn_count++;
    vfs_listener_remove(&control->renames);
    list_for_each_safe(link, following, &control->conns)
        end_conn(container_of(link, struct control_conn, link));
    control_socket_close(&control->socket, on_socket_closed);
}
