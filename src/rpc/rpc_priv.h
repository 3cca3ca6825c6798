/*
 * rpc_priv.h - what the files of src/rpc share: the server, its services, connections and calls.
 */
#ifndef DITTOFS_RPC_PRIV_H
#define DITTOFS_RPC_PRIV_H

#include "dittofs/hash.h"
#include "dittofs/hashtable.h"
#include "dittofs/rpc.h"
#include "rpc/record_priv.h"

/* ---- messages (message.c, RFC 5531 9) ---- */

enum {
    ONC__CALL = 0,
    ONC__REPLY = 1,
    ONC__VERSION = 2,
    ONC__ACCEPTED = 0,
    ONC__DENIED = 1,
    ONC__DENIED_MISMATCH = 0,
    ONC__DENIED_AUTH = 1,
    ONC__OPAQUE_AUTH_MAX = 400,
    /* A reply's bytes before the results: xid, REPLY, MSG_ACCEPTED, verifier, status. */
    ONC__REPLY_HEADER = 24,
    ONC__MARKER = 4
};

/* RFC 5531 9, auth_stat. */
enum onc__auth_status {
    ONC__AUTH_OK = 0,
    ONC__AUTH_BADCRED = 1,
    ONC__AUTH_REJECTEDCRED = 2,
    ONC__AUTH_BADVERF = 3,
    ONC__AUTH_REJECTEDVERF = 4,
    ONC__AUTH_TOOWEAK = 5
};

/* What a call is answered: accept_stat (RFC 5531 9) and, behind it, what is not in that enum. */
enum onc__status {
    ONC__SUCCESS = 0,
    ONC__PROG_UNAVAIL = 1,
    ONC__PROG_MISMATCH = 2, /* with low and high */
    ONC__PROC_UNAVAIL = 3,
    ONC__GARBAGE_ARGS = 4,
    ONC__SYSTEM_ERR = 5,
    ONC__RPC_MISMATCH,  /* denied */
    ONC__AUTH_ERROR,    /* denied, with auth */
    ONC__UNINTELLIGIBLE /* not a call at all: no answer */
};

struct onc__verdict {
    enum onc__status status;
    uint32_t low, high;
    enum onc__auth_status auth;
};

/* How a flavour of credentials is read, and what a reply to it carries. */
struct onc__flavor {
    uint32_t number;
    /* CREDENTIAL and VERIFIER are readers over the bodies. */
    enum onc__auth_status (*decode)(struct onc_credential *credential_r, struct reader credential,
                                    uint32_t verifier_flavor, struct reader verifier);
    /* Writes a reply's verifier. */
    void (*write_verifier)(struct writer *writer);
};

/* Reads the header behind xid and message type, and finds program and procedure of CALL; READER is left at
 * the arguments. */
struct onc__verdict onc__call_decode(const struct onc_service *service, struct reader *reader,
                                     struct onc_call *call);
/* Writes a reply without results, from the xid on; not for ONC__UNINTELLIGIBLE. */
void onc__reply_write(struct writer *writer, uint32_t xid, struct onc__verdict verdict);
/* The beginning of a call of our own up to the arguments. */
void onc__call_write(struct writer *writer, const struct onc_callback *callback);
/* The status in a reply to it; READER (behind the message type) is left at the results. */
enum err onc__reply_read(struct reader *reader);

/* ---- the server (server.c) ---- */

struct onc_service {
    struct onc_server *server;
    char *name;
    struct list link; /* in server->services */
    const struct onc_program **programs;
    size_t program_count;
    struct list listeners; /* struct onc__listener */
    struct list datagrams; /* struct onc__datagram */
};

struct onc__duplicates {
    struct hashtable table;
    struct list used; /* answered ones, the latest at the back */
    struct siphash_key key;
    size_t entries_max, bytes, bytes_max;
};

struct onc_server {
    struct loop *loop;
    struct onc_limits limits;
    struct onc_counters counters;
    struct onc__memory memory;
    uint64_t next_conn_id;
    struct list services;
    struct list conns;
    struct list ready;   /* connections whose buffered records wait for a turn */
    struct list blocked; /* connections that wait for a limit of the whole server */
    struct loop_hook hook;
    struct loop_timer sweep; /* idle connections */
    struct loop_timer grace; /* shutting down: the time for calls to end */
    struct onc__call *free_calls;
    uint32_t free_call_count;
    struct onc__duplicates duplicates;
    uint32_t jobs; /* with workers: shutdown waits for them */
    bool shutting_down;
    void (*shutdown_done)(void *data);
    void *shutdown_data;
};

/* Ends a service before the server: listeners and connections close, its programs are forgotten. No call of
 * it may be suspended. */
void onc__service_stop(struct onc_service *service);
/* Limits over the whole server are no longer reached, perhaps. */
void onc__server_unblock(struct onc_server *server);
bool onc__server_is_full(const struct onc_server *server);

/* ---- connections (conn.c) ---- */

/* What carries a connection's bytes: a socket, or in tests memory. */
struct onc__wire {
    void (*send)(void *wire, const struct bufpart *parts, int count);
    void (*flush)(void *wire);
    bool (*is_congested)(void *wire);
    void (*resume_reading)(void *wire);
    void (*close)(void *wire, bool drain); /* onc__conn_gone follows later */
};

struct onc_conn {
    uint32_t magic;
    struct onc_server *server;
    struct onc_service *service;
    const struct onc__wire *wire;
    void *wire_data;
    uint64_t id;
    struct net_address peer, local;
    struct list link;       /* in server->conns */
    struct list ready_link; /* in server->ready or ->blocked */
    bool waiting;           /* nothing is taken out: a limit, or the share of the turn is used up */
    bool closing;           /* close was asked for; onc__conn_gone follows */
    struct onc__records records;
    struct list calls; /* in flight */
    uint32_t call_count;
    size_t call_bytes;
    struct list watches;
    struct list callbacks; /* our own calls under way */
    uint32_t callback_count;
    uint32_t next_xid;
    struct loop_timer callback_timer;
    uint64_t received_ns;
    uint64_t active_ms;        /* the last call */
    uint64_t partial_since_ms; /* 0: no record is incomplete */
};

struct onc_conn *onc__conn_new(struct onc_service *service, const struct onc__wire *wire, void *wire_data,
                               const struct net_address *peer, const struct net_address *local);
uint8_t *onc__conn_space(struct onc_conn *conn, size_t *length_r);
void onc__conn_received(struct onc_conn *conn, size_t length);
/* Goes on after a wait, at the end of this turn. */
void onc__conn_ready(struct onc_conn *conn);
/* From the hook: takes out what is buffered, and reads on. */
void onc__conn_continue(struct onc_conn *conn);
void onc__conn_gone(struct onc_conn *conn);
void onc__conn_close(struct onc_conn *conn, bool drain);
/* Closes it if it is idle or dawdles, as of NOW_MS. */
void onc__conn_sweep(struct onc_conn *conn, uint64_t now_ms);
/* The events of a stream connection for net. */
extern const struct net_conn_events onc__conn_events;
extern const struct onc__wire onc__conn_wire;

/* A reply to a call of ours; READER stands behind the message type. */
void onc__callbacks_reply(struct onc_conn *conn, uint32_t xid, struct reader reader);
/* The connection is gone: all calls of ours fail. */
void onc__callbacks_fail(struct onc_conn *conn);

/* ---- datagrams (datagram.c) ---- */

struct onc__datagram {
    struct onc_service *service;
    struct net_datagram *socket; /* NULL after shutdown */
    struct list link;            /* in service->datagrams */
};

enum err onc__datagram_open(struct onc_service *service, const struct net_address *address,
                            uint16_t *port_r) ERR_MUST_CHECK;
void onc__datagram_free(struct onc__datagram *datagram);

/* ---- calls (call.c) ---- */

enum { ONC__REPLY_INLINE = 2048, ONC__PARTS_INLINE = 4 };

/* Bytes that stand in a reply before position AT of its writer. */
struct onc__part {
    size_t at;
    struct bufpart part;
};

struct onc__call {
    struct onc_call call;
    uint32_t magic;
    struct onc_server *server;
    struct onc_conn *conn;          /* NULL: gone, or a datagram */
    struct onc__datagram *datagram; /* NULL: a stream */
    struct net_address local;       /* of a datagram: where it was sent to */
    struct list link;               /* in conn->calls */
    const struct onc__flavor *flavor;
    struct onc__block *block; /* holds the call's message */
    const uint8_t *message;
    size_t record_bytes;     /* of the message */
    struct buf *reply_buf;   /* NULL: reply_inline */
    size_t header_length;    /* of the reply, record marker included */
    struct onc__part *parts; /* at first `few` */
    uint32_t part_count, part_capacity;
    size_t part_bytes;
    struct onc__part few[ONC__PARTS_INLINE];
    struct onc__duplicate *duplicate; /* NULL: not cached */
    struct onc__call *next_free;
    uint8_t reply_inline[ONC__MARKER + ONC__REPLY_HEADER + ONC__REPLY_INLINE];
};

/* Serves one message that came over CONN or, if that is NULL, DATAGRAM: a call, whose bytes are RECORD's.
 * PEER and LOCAL are the datagram's. Takes over RECORD's block. False when it is no call. */
bool onc__call_serve(struct onc_service *service, struct onc_conn *conn, struct onc__datagram *datagram,
                     const struct net_address *peer, const struct net_address *local,
                     const struct onc__record *record, uint64_t received_ns);
/* Looks at the HEAD of a call with RECORD_LENGTH bytes: true when it shall be read whole; else it was
 * answered, or closed. */
bool onc__call_judge(struct onc_conn *conn, const uint8_t *head, size_t head_length, size_t record_length);
/* The connection is gone: the call goes on without. */
void onc__call_detach(struct onc__call *call);
/* The client asks for the reply over CONN now. */
void onc__call_attach_conn(struct onc__call *call, struct onc_conn *conn);
void onc__calls_free(struct onc_server *server);

static inline struct onc__call *onc__call_of(struct onc_call *call)
{
    return container_of(call, struct onc__call, call);
}

/* ---- the duplicate-request cache (duplicate.c) ---- */

enum onc__duplicate_kind {
    ONC__DUPLICATE_NEW,     /* run it; its reply may be kept */
    ONC__DUPLICATE_RUNNING, /* an earlier one runs: drop this one */
    ONC__DUPLICATE_ANSWERED
};

void onc__duplicates_init(struct onc__duplicates *duplicates, size_t entries_max, size_t bytes_max);
void onc__duplicates_free(struct onc__duplicates *duplicates);
/* Looks CALL up, whose arguments' reader is at their beginning. The reply, from the xid on, is good until
 * the next call of a function of these. RUNNING_R is the earlier call. */
enum onc__duplicate_kind onc__duplicates_look_up(struct onc__duplicates *duplicates, struct onc__call *call,
                                                 const uint8_t **reply_r, size_t *length_r,
                                                 struct onc__call **running_r);
/* CALL's reply is LENGTH bytes long: where to copy it, or NULL when it is not kept. */
uint8_t *onc__duplicates_keep(struct onc__duplicates *duplicates, struct onc__call *call, size_t length);
/* CALL ends without a reply that could be kept. */
void onc__duplicates_forget(struct onc__duplicates *duplicates, struct onc__call *call);

#endif
