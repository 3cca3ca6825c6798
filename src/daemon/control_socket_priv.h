/*
 * control_socket_priv.h - a UNIX stream socket on the loop: who listens on it, and its connections.
 *
 * All bytes are the user's: it says where to read to, and keeps what it sends until it is told that it was
 * sent. One send at a time.
 */
#ifndef DITTOFS_DAEMON_CONTROL_SOCKET_H
#define DITTOFS_DAEMON_CONTROL_SOCKET_H

#include "dittofs/err.h"
#include "dittofs/loop.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct control_socket;
struct control_peer;

struct control_socket_events {
    /* A connection of the user with the id UID: what the other calls get as USER. NULL: it is closed at once.
     */
    void *(*opened)(void *owner, struct control_peer *peer, uint32_t uid);
    /* Where the next bytes go; at least one. */
    char *(*space)(void *user, size_t *length_r);
    void (*received)(void *user, size_t length);
    /* What control_peer_send was given has been sent. */
    void (*sent)(void *user);
    /* The peer has gone, or a call failed: control_peer_close is to be called. */
    void (*broken)(void *user);
    /* After control_peer_close, from the loop: the last call for it. */
    void (*closed)(void *user);
};

/* Listens at NAME in FOLDER, which nobody else uses: what is there with that name is replaced. The socket has
 * MODE from its first moment. EVENTS must stay good. The log says why when it fails. */
enum err control_socket_open(struct loop *loop, const char *folder, const char *name, uint32_t mode,
                             const struct control_socket_events *events, void *owner,
                             struct control_socket **socket_r) ERR_MUST_CHECK;
/* No more connections; those that are there live on. CLOSED comes from the loop when its memory has gone. */
void control_socket_close(struct control_socket **socket, void (*closed)(void *owner));

/* Begins or stops reading. */
void control_peer_read(struct control_peer *peer, bool on);
void control_peer_send(struct control_peer *peer, const void *bytes, size_t length);
void control_peer_close(struct control_peer *peer);

#endif
