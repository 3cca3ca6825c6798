/*
 * rpcclient.h - a raw ONC RPC client (RFC 5531) for tests and tools: blocking, over TCP or UDP.
 *
 * It writes and reads bytes with the cursors only, and can do what a good client would not: send records in
 * pieces, send garbage, send without waiting. A typical call:
 *
 *     struct rpcclient *client = rpcclient_open("127.0.0.1", port, RPCCLIENT_TCP);
 *     rpcclient_program(client, 100003, 3);
 *     rpcclient_sys(client, 1000, 1000, NULL, 0);
 *     writer_init_growing(&arguments, 65536);
 *     writer_xdr_opaque(&arguments, handle, handle_length);
 *     status = rpcclient_call(client, 1, &arguments, &results);
 *     writer_free(&arguments);
 */
#ifndef DITTOFS_TESTS_RPCCLIENT_H
#define DITTOFS_TESTS_RPCCLIENT_H

#include "dittofs/cursor.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rpcclient_transport { RPCCLIENT_TCP, RPCCLIENT_UDP };

enum rpcclient_status {
    RPCCLIENT_SUCCESS = 0, /* accept_stat of RFC 5531 9 */
    RPCCLIENT_PROG_UNAVAIL = 1,
    RPCCLIENT_PROG_MISMATCH = 2, /* with client->low and ->high */
    RPCCLIENT_PROC_UNAVAIL = 3,
    RPCCLIENT_GARBAGE_ARGS = 4,
    RPCCLIENT_SYSTEM_ERR = 5,
    RPCCLIENT_RPC_MISMATCH, /* denied, with client->low and ->high */
    RPCCLIENT_AUTH_ERROR,   /* denied, with client->auth_status */
    RPCCLIENT_BROKEN,       /* the reply can't be read */
    RPCCLIENT_CLOSED,       /* the connection is gone */
    RPCCLIENT_TIMEOUT       /* nothing came for timeout_ms */
};

struct rpcclient {
    int fd;
    enum rpcclient_transport transport;
    uint32_t program, version;
    uint32_t rpc_version; /* 2 */
    uint32_t next_xid;
    uint32_t credential_flavor;
    uint8_t credential[512]; /* its body */
    size_t credential_length;
    uint32_t verifier_flavor; /* AUTH_NONE, with an empty body */
    size_t fragment_bytes;    /* records are sent in fragments of so many bytes; 0: one fragment */
    int timeout_ms;           /* 10 s */
    /* Called again and again while the client waits: for a server on the same thread. NULL: it just waits. */
    void (*pump)(void *data);
    void *pump_data;
    /* Called for a call that the server makes (backchannel) and that comes while waiting for a reply;
     * ARGUMENTS behind credentials and verifier. NULL: such calls are passed over. */
    void (*called)(struct rpcclient *client, void *data, uint32_t xid, uint32_t program, uint32_t version,
                   uint32_t procedure, struct reader *arguments);
    void *called_data;
    /* Of the last reply. */
    uint32_t low, high, auth_status;
    uint8_t *message; /* the last message; results' readers point into it until the next one */
    size_t message_length, message_capacity;
};

/* Connects; NULL when that fails. */
struct rpcclient *rpcclient_open(const char *host, uint16_t port, enum rpcclient_transport transport);
void rpcclient_close(struct rpcclient **client);

void rpcclient_program(struct rpcclient *client, uint32_t program, uint32_t version);
/* Credentials of the calls that follow; at first AUTH_NONE. */
void rpcclient_none(struct rpcclient *client);
void rpcclient_sys(struct rpcclient *client, uint32_t uid, uint32_t gid, const uint32_t *groups,
                   size_t group_count);
/* Any flavour, with LENGTH bytes of body (at most 512). */
void rpcclient_credential(struct rpcclient *client, uint32_t flavor, const void *body, size_t length);

/* Calls and waits for the reply; ARGUMENTS may be NULL. RESULTS_R is good until the next call. */
enum rpcclient_status rpcclient_call(struct rpcclient *client, uint32_t procedure,
                                     const struct writer *arguments, struct reader *results_r);

/* The halves of it. `send` gives the xid, 0 when the connection is gone; `send_as` sends with a given one
 * (a retry). `receive` waits for the next reply to any call. */
uint32_t rpcclient_send(struct rpcclient *client, uint32_t procedure, const struct writer *arguments);
bool rpcclient_send_as(struct rpcclient *client, uint32_t xid, uint32_t procedure,
                       const struct writer *arguments);
enum rpcclient_status rpcclient_receive(struct rpcclient *client, uint32_t *xid_r, struct reader *results_r);

/* A whole message (from the xid on) into WRITER, for tests that change it before it is sent. */
void rpcclient_build(const struct rpcclient *client, struct writer *writer, uint32_t xid, uint32_t procedure,
                     const struct writer *arguments);
/* Sends a message as a record (in fragments as set) or datagram. */
bool rpcclient_send_message(struct rpcclient *client, const void *message, size_t length);
/* Sends bytes as they are: over TCP, record markers included. */
bool rpcclient_send_raw(struct rpcclient *client, const void *bytes, size_t length);
/* The next message of any kind, from the xid on. SUCCESS, CLOSED, TIMEOUT or BROKEN. */
enum rpcclient_status rpcclient_receive_message(struct rpcclient *client, struct reader *message_r);
/* Answers a call of the server's with accept_stat STATUS and, on success, RESULTS (may be NULL). */
bool rpcclient_reply(struct rpcclient *client, uint32_t xid, enum rpcclient_status status,
                     const struct writer *results);

#endif
