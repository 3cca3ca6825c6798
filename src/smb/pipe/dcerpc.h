/*
 * dcerpc.h - remote procedure calls over named pipes (C706 chapter 12, MS-RPCE 2.2.2): the server's side of
 * one pipe, from the bytes that a client writes to those that it reads.
 *
 * A pipe belongs to one interface, given by its name. The client binds, alters contexts and sends requests,
 * in one or several fragments; what it gets is queued as messages of at most a fragment each. Calls run to
 * their end inside dcerpc_pipe_write. What breaks the protocol breaks the pipe; what can't be done is a
 * fault.
 *
 * Bounded: fragments (64 KiB by their length field), a request (DCERPC_REQUEST_MAX), what waits to be read
 * (DCERPC_REPLY_MAX), contexts and handles of a pipe. Authentication of its own (security trailers) is not
 * done: the pipe's user is that of its session.
 *
 * Nothing in here knows SMB: what the procedures see of the server is struct dcerpc_world.
 */
#ifndef DITTOFS_SMB_DCERPC_H
#define DITTOFS_SMB_DCERPC_H

#include "dittofs/err.h"
#include "dittofs/identity.h"
#include "smb/pipe/ndr.h"

enum {
    DCERPC_FRAGMENT = 4280, /* what we offer, both ways */
    DCERPC_FRAGMENT_LEAST = 1432,
    DCERPC_REQUEST_MAX = 256 * 1024,
    DCERPC_REPLY_MAX = 2 * 1024 * 1024,
    DCERPC_CONTEXTS_MAX = 16,
    DCERPC_HANDLES_MAX = 16,
    DCERPC_HANDLE_SIZE = 20,
};

/* A share as the procedures show it. */
struct dcerpc_share {
    const char *name, *comment;
    bool hidden; /* left out of listings */
};

/* What the procedures see of the server and the caller; good during a call. */
struct dcerpc_world {
    const struct identity *identity;
    const char *user; /* the caller's name */
    bool is_admin;
    const char *comment; /* of the server */
    /* The share behind AT (NULL: the first one): NULL at the end. Without IPC$. */
    const void *(*next_share)(void *data, const void *at, struct dcerpc_share *share_r);
    void *data;
};

struct dcerpc_pipe;

struct dcerpc_call {
    const struct dcerpc_world *world;
    struct dcerpc_pipe *pipe;
    struct ndr_in in;
    struct ndr_out out;
};

/* Faults (MS-RPCE 2.2.2.5; C706 appendix E) */
#define DCERPC_FAULT_ACCESS_DENIED UINT32_C(0x00000005)
#define DCERPC_FAULT_BAD_STUB      UINT32_C(0x000006F7)
#define DCERPC_FAULT_NO_OPERATION  UINT32_C(0x1C010002)
#define DCERPC_FAULT_NO_INTERFACE  UINT32_C(0x1C010003)
#define DCERPC_FAULT_PROTOCOL      UINT32_C(0x1C01000B)
#define DCERPC_FAULT_NO_MEMORY     UINT32_C(0x1C00001B)
#define DCERPC_FAULT_BAD_HANDLE    UINT32_C(0x1C00001A)

struct dcerpc_operation {
    const char *name;
    /* Decodes CALL's `in`, encodes `out`: 0, or a fault. What did not decode (in.failed) or fit (out's
     * writer.failed) becomes a fault by itself. */
    uint32_t (*run)(struct dcerpc_call *call);
};

struct dcerpc_interface {
    const char *name; /* of the pipe */
    uint8_t uuid[16]; /* as on the wire, little endian */
    uint16_t major, minor;
    const struct dcerpc_operation *operations; /* by number; those without `run` are not there */
    size_t operation_count;
};

extern const struct dcerpc_interface dcerpc_srvsvc, dcerpc_wkssvc, dcerpc_lsarpc;

/* By the pipe's name, without regard to case; NULL when there is none. */
const struct dcerpc_interface *dcerpc_find(const char *name);

/* NULL when memory is out. */
struct dcerpc_pipe *dcerpc_pipe_new(const struct dcerpc_interface *interface);
/* NULL is fine; leaves NULL. */
void dcerpc_pipe_free(struct dcerpc_pipe **pipe);
/* Takes what the client wrote, and runs what is complete. ERR_BADXDR (against the protocol), ERR_LIMIT (too
 * much is unread), ERR_NOMEM: the pipe is broken from then on, and every later write is refused alike. */
enum err dcerpc_pipe_write(struct dcerpc_pipe *pipe, const struct dcerpc_world *world, const void *data,
                           size_t length) ERR_MUST_CHECK;
/* Takes up to LENGTH bytes of the first message; *LEFT_R is what is left of that message. 0: there is none.
 */
size_t dcerpc_pipe_read(struct dcerpc_pipe *pipe, void *to, size_t length, size_t *left_r);
/* The same without taking anything: *MESSAGE_R gets what is left of the first message. Returns all that is
 * there. */
size_t dcerpc_pipe_peek(const struct dcerpc_pipe *pipe, void *to, size_t length, size_t *message_r);
bool dcerpc_pipe_is_broken(const struct dcerpc_pipe *pipe);

/* Context handles: random, of the pipe alone. */
bool dcerpc_handle_new(struct dcerpc_pipe *pipe, uint8_t handle_r[DCERPC_HANDLE_SIZE]) MUST_CHECK;
bool dcerpc_handle_is_good(const struct dcerpc_pipe *pipe, const uint8_t handle[DCERPC_HANDLE_SIZE]);
/* False when it is none. */
bool dcerpc_handle_close(struct dcerpc_pipe *pipe, const uint8_t handle[DCERPC_HANDLE_SIZE]) MUST_CHECK;

#endif
