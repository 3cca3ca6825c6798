/*
 * control_socket.c - a UNIX stream socket on libuv.
 *
 * A peer's memory goes in the close callback of its pipe, after its write has come back (libuv ends that
 * first); the listener's in its own.
 */
#include "daemon/control_socket_priv.h"

#include "dittofs/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

enum { BACKLOG = 64 };

struct control_socket {
    uv_pipe_t pipe;
    struct loop *loop;
    const struct control_socket_events *events;
    void *owner;
    void (*closed)(void *owner);
};

struct control_peer {
    uv_pipe_t pipe;
    uv_write_t write;
    const struct control_socket_events *events;
    void *user;
    bool reading, closing;
};

/* ---- peers ---- */

static void on_peer_closed(uv_handle_t *handle)
{
    struct control_peer *peer = handle->data;

    if (peer->user != NULL)
        peer->events->closed(peer->user);
    free(peer);
}

void control_peer_close(struct control_peer *peer)
{
    if (peer->closing)
        return;
    peer->closing = true;
    uv_close((uv_handle_t *)&peer->pipe, on_peer_closed);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct control_peer *peer = handle->data;
    size_t length = 0;
    char *space = peer->events->space(peer->user, &length);

    (void)suggested;
    *buf = uv_buf_init(space, (unsigned)length);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    struct control_peer *peer = stream->data;

    (void)buf;
    if (got > 0)
        peer->events->received(peer->user, (size_t)got);
    else if (got < 0)
        peer->events->broken(peer->user);
}

void control_peer_read(struct control_peer *peer, bool on)
{
    if (peer->reading == on || peer->closing)
        return;
    peer->reading = on;
    if (!on)
        uv_read_stop((uv_stream_t *)&peer->pipe);
    else if (uv_read_start((uv_stream_t *)&peer->pipe, on_alloc, on_read) != 0)
        peer->events->broken(peer->user);
}

static void on_written(uv_write_t *write, int status)
{
    struct control_peer *peer = write->data;

    if (peer->closing)
        return;
    if (status == 0)
        peer->events->sent(peer->user);
    else
        peer->events->broken(peer->user);
}

void control_peer_send(struct control_peer *peer, const void *bytes, size_t length)
{
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)bytes, (unsigned)length);

    peer->write.data = peer;
    if (uv_write(&peer->write, (uv_stream_t *)&peer->pipe, &buf, 1, on_written) != 0)
        peer->events->broken(peer->user);
}

static uint32_t uid_of(const struct control_peer *peer)
{
    struct ucred peer_user = {.uid = (uid_t)-1};
    socklen_t length = sizeof peer_user;
    int fd;

    if (uv_fileno((const uv_handle_t *)&peer->pipe, &fd) == 0)
        (void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer_user, &length);
    return peer_user.uid;
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct control_socket *server = listener->data;
    struct control_peer *peer;

    if (status != 0)
        return;
    peer = calloc(1, sizeof *peer);
    if (peer == NULL || uv_pipe_init(loop_uv(server->loop), &peer->pipe, 0) != 0) {
        free(peer);
        return;
    }
    peer->events = server->events;
    peer->pipe.data = peer;
    if (uv_accept(listener, (uv_stream_t *)&peer->pipe) == 0)
        peer->user = peer->events->opened(server->owner, peer, uid_of(peer));
    if (peer->user == NULL)
        control_peer_close(peer);
}

/* ---- the listener ---- */

/* By way of the folder's descriptor: its path may be longer than a socket's may. */
static int bind_in(int folder_fd, const char *name, uint32_t mode)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int saved;

    if (fd < 0)
        return -1;
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", folder_fd, name);
    (void)unlinkat(folder_fd, name, 0);
    /* The name gets the mode that the socket has when it is bound, less the umask (unix(7)): so it is never
     * wider, not even for a moment. */
    if (fchmod(fd, mode) == 0 && bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
        fchmodat(folder_fd, name, mode, 0) == 0)
        return fd;
    saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static int bind_socket(const char *folder, const char *name, uint32_t mode)
{
    int folder_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd, saved;

    if (folder_fd < 0)
        return -1;
    fd = bind_in(folder_fd, name, mode);
    saved = errno;
    close(folder_fd);
    errno = saved;
    return fd;
}

enum err control_socket_open(struct loop *loop, const char *folder, const char *name, uint32_t mode,
                             const struct control_socket_events *events, void *owner,
                             struct control_socket **socket_r)
{
    struct control_socket *server;
    int fd = bind_socket(folder, name, mode), status;

    if (fd < 0) {
        enum err err = err_from_errno(errno);

        log_error("%s/%s: the control socket can't be made: %s", folder, name, strerror(errno));
        return err;
    }
    server = calloc(1, sizeof *server);
    if (server == NULL || uv_pipe_init(loop_uv(loop), &server->pipe, 0) != 0) {
        close(fd);
        free(server);
        return ERR_NOMEM;
    }
    server->loop = loop;
    server->events = events;
    server->owner = owner;
    server->pipe.data = server;
    status = uv_pipe_open(&server->pipe, fd);
    if (status != 0)
        close(fd);
    else
        status = uv_listen((uv_stream_t *)&server->pipe, BACKLOG, on_connection);
    if (status != 0) {
        log_error("%s/%s: can't be listened on: %s", folder, name, uv_strerror(status));
        control_socket_close(&server, NULL);
        return err_from_errno(-status);
    }
    *socket_r = server;
    return ERR_OK;
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct control_socket *gone = handle->data;

    if (gone->closed != NULL)
        gone->closed(gone->owner);
    free(gone);
}

void control_socket_close(struct control_socket **server, void (*closed)(void *owner))
{
    struct control_socket *gone = *server;

    *server = NULL;
    gone->closed = closed;
    uv_close((uv_handle_t *)&gone->pipe, on_listener_closed);
}
