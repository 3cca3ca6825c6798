/*
 * rpc.h - ONC RPC version 2 (RFC 5531) server: records over TCP, datagrams, credentials, replies.
 *
 * A program (MOUNT, NFS, ...) registers a table of procedures. For each call the engine checks the header
 * and the credentials, fills in a struct onc_call and runs the procedure, which ends it now or later, but
 * exactly once, by onc_call_reply, onc_call_reject or onc_call_drop.
 */
#ifndef DITTOFS_RPC_H
#define DITTOFS_RPC_H

#include "dittofs/arena.h"
#include "dittofs/buf.h"
#include "dittofs/cursor.h"
#include "dittofs/err.h"
#include "dittofs/list.h"
#include "dittofs/loop.h"
#include "dittofs/net.h"
#include <stdbool.h>
#include <stdint.h>

struct onc_server;
struct onc_call;
struct onc_conn;

enum onc_flavor { ONC_AUTH_NONE = 0, ONC_AUTH_SYS = 1, ONC_AUTH_SHORT = 2, ONC_RPCSEC_GSS = 6 };

enum { ONC_GROUPS_MAX = 16, ONC_MACHINE_NAME_MAX = 255 };

/* Who calls, as the caller says (AUTH_SYS, RFC 5531 appendix A) or has proved (RPCSEC_GSS). */
struct onc_credential {
    uint32_t flavor;      /* enum onc_flavor */
    uint32_t uid, gid;    /* AUTH_NONE: 65534 */
    uint32_t group_count; /* of groups */
    uint32_t groups[ONC_GROUPS_MAX];
    char machine_name[ONC_MACHINE_NAME_MAX + 1];
};

enum onc_procedure_flags {
    ONC_CACHED = 1, /* not idempotent: a retransmission is answered from the duplicate-request cache */
};

struct onc_procedure {
    const char *name;                   /* NULL: PROC_UNAVAIL */
    void (*run)(struct onc_call *call); /* reads call->arguments, ends the call */
    unsigned flags;
    uint32_t reply_max; /* most bytes of results, payload parts aside; onc_call_reserve makes it more */
    /* ONC_CACHED: whether CALL, by its arguments, may go to the cache at all; NULL: yes. */
    bool (*may_cache)(const struct onc_call *call);
};

struct onc_program {
    const char *name; /* for logs */
    uint32_t number;
    uint32_t version;
    const struct onc_procedure *procedures;
    uint32_t procedure_count;
    uint32_t arguments_max; /* longer calls are answered GARBAGE_ARGS without being read into memory whole */
    void *data;             /* found again as call->program->data */
};

enum onc_reject {
    ONC_REJECT_GARBAGE_ARGS,  /* accepted, GARBAGE_ARGS */
    ONC_REJECT_SYSTEM_ERROR,  /* accepted, SYSTEM_ERR */
    ONC_REJECT_PROC_UNAVAIL,  /* accepted, PROC_UNAVAIL */
    ONC_REJECT_AUTH_TOO_WEAK, /* denied, AUTH_ERROR, AUTH_TOOWEAK */
    ONC_REJECT_AUTH_BADCRED   /* denied, AUTH_ERROR, AUTH_BADCRED */
};

enum onc_transport { ONC_TCP, ONC_UDP };

/* A call from its decoding to its reply. It outlives its connection: the reply is then dropped. */
struct onc_call {
    const struct onc_program *program;
    const struct onc_procedure *procedure;
    uint32_t xid;
    enum onc_transport transport;
    struct net_address peer;
    struct onc_credential credential;
    struct reader arguments;   /* over ARGUMENTS_BUF; good until the call ends */
    struct buf *arguments_buf; /* whoever keeps bytes of it longer takes a reference */
    struct writer reply;       /* the results; stands behind the reply header already */
    struct arena arena;        /* freed with the call */
    void *program_state;       /* the procedure's own; set to NULL before run */
    uint64_t received_ns;      /* clock_monotonic_ns when the call was complete */
};

/* Sends what is in call->reply. A reply writer that has failed is sent as SYSTEM_ERR. */
void onc_call_reply(struct onc_call *call);
void onc_call_reject(struct onc_call *call, enum onc_reject why);
/* Ends the call without an answer (the client retries). */
void onc_call_drop(struct onc_call *call);

/* Puts LENGTH bytes of BUF into the results at the place that call->reply has reached, without copying;
 * takes a reference. XDR padding is the caller's. False when memory is out. */
bool onc_call_attach(struct onc_call *call, struct buf *buf, const uint8_t *data, size_t length) MUST_CHECK;
/* Makes sure that LENGTH more bytes can be written to call->reply, which may move. False when memory is out.
 */
bool onc_call_reserve(struct onc_call *call, size_t length) MUST_CHECK;
/* What an ONC_CACHED call did may be done again: its reply is not kept. */
void onc_call_uncache(struct onc_call *call);
/* Bytes of results so far, with what is attached. */
size_t onc_call_reply_length(const struct onc_call *call);
/* Takes back results from LENGTH on (as told by onc_call_reply_length), attached parts included. */
void onc_call_reply_truncate(struct onc_call *call, size_t length);

/* The address of ours that CALL was sent to; good until it ends. */
const struct net_address *onc_call_local(struct onc_call *call);
/* The connection a call came over, or NULL when it is gone (or for UDP). For NFSv4.1: a connection has a
 * slot for the program's data, and tells when it goes. */
struct onc_conn *onc_call_conn(struct onc_call *call);
struct onc_conn_watch {
    void (*gone)(struct onc_conn_watch *watch);
    struct list link; /* private */
};
void onc_conn_watch_add(struct onc_conn *conn, struct onc_conn_watch *watch);
void onc_conn_watch_remove(struct onc_conn_watch *watch);
/* A number for the connection that never repeats in this run. */
uint64_t onc_conn_id(const struct onc_conn *conn);
void onc_conn_close(struct onc_conn *conn);

/* Calls a program of the peer over its own connection (NFSv4.1 backchannel, RFC 8881 2.10.3.1). ARGUMENTS
 * are copied. DONE gets the results' reader, or an error: ERR_NETWORK when the connection went, ERR_EXPIRED
 * when TIMEOUT_MS passed, ERR_ACCES, ERR_NOTSUPP (program, version or procedure), ERR_BADXDR (arguments, or
 * the reply can't be read) or ERR_SERVERFAULT when the peer rejected the call. It is called once, later.
 * The callback's memory must stay until then or until it is cancelled; zero it before its first use. */
struct onc_callback {
    void (*done)(struct onc_callback *callback, enum err err, struct reader *results);
    uint32_t program, version, procedure;
    uint64_t timeout_ms;
    struct onc_credential credential; /* flavor, uid, gid and machine_name are used */
    struct list link;                 /* private */
    uint32_t xid;                     /* private */
    uint64_t due_ms;                  /* private */
    struct onc_conn *conn;            /* private */
};
enum err onc_conn_call(struct onc_conn *conn, struct onc_callback *callback, const void *arguments,
                       size_t length) ERR_MUST_CHECK;
/* Forgets a call under way; DONE is not called. */
void onc_callback_cancel(struct onc_callback *callback);

/* ---- the server ---- */

struct onc_limits {
    uint32_t record_bytes_max;        /* longest record; 0: 1 MiB + 64 KiB */
    uint32_t calls_per_connection;    /* in flight; more are not read; 0: 256 */
    uint32_t calls_total;             /* 0: 8192 */
    uint64_t bytes_total;             /* of call buffers in flight, over all connections; 0: 256 MiB */
    uint64_t idle_ms;                 /* a connection without a call for so long is closed; 0: 15 min */
    uint32_t duplicate_cache_entries; /* 0: 4096 */
    size_t duplicate_cache_bytes;     /* 0: 8 MiB */
    struct net_limits net;            /* of each listener and its connections */
};

enum err onc_server_open(struct loop *loop, const struct onc_limits *limits,
                         struct onc_server **server_r) ERR_MUST_CHECK;
/* Closes listeners and connections; calls in flight get 2 s to end and be answered, after that their
 * connections close under them. DONE is called, later, when all calls in flight have ended. */
void onc_server_shutdown(struct onc_server *server, void (*done)(void *data), void *data);
/* Only after DONE. */
void onc_server_close(struct onc_server **server);

/* A group of programs that are answered on the same ports (NFS; MOUNT; ...). */
struct onc_service;
enum err onc_service_open(struct onc_server *server, const char *name,
                          struct onc_service **service_r) ERR_MUST_CHECK;
/* PROGRAM must stay good as long as the service. Versions of one program are rows of their own; a version
 * that is not there is answered PROG_MISMATCH with the lowest and highest one. */
enum err onc_service_add_program(struct onc_service *service,
                                 const struct onc_program *program) ERR_MUST_CHECK;
/* Listens on ADDRESS; *PORT_R is what was picked when the address had port 0. */
enum err onc_service_listen(struct onc_service *service, enum onc_transport transport,
                            const struct net_address *address, uint16_t *port_r) ERR_MUST_CHECK;

struct onc_counters {
    uint64_t connections, connections_now;
    uint64_t calls, calls_now, duplicates, bad_records;
    uint64_t bytes_received, bytes_sent;
};
void onc_server_counters(const struct onc_server *server, struct onc_counters *counters_r);

/* ---- portmap ---- */

enum onc_portmap_mode {
    ONC_PORTMAP_AUTO, /* register with the system's rpcbind when one answers, else serve port 111 */
    ONC_PORTMAP_REGISTER,
    ONC_PORTMAP_SERVE,
    ONC_PORTMAP_OFF
};
struct onc_mapping {
    uint32_t program, version;
    enum onc_transport transport;
    uint16_t port;
};
struct onc_portmap;
/* Tells the world where the MAPPINGS (copied) are. Registration runs on a worker; serving answers PMAP
 * version 2 and RPCBIND versions 3 and 4 (RFC 1833) on port 111 of ADDRESSES over TCP and UDP, SET and UNSET
 * refused, DUMP over TCP only. A failure to do either is a warning in the log, not an error. */
enum err onc_portmap_start(struct onc_server *server, enum onc_portmap_mode mode,
                           const struct net_address *addresses, size_t address_count,
                           const struct onc_mapping *mappings, size_t mapping_count,
                           struct onc_portmap **portmap_r) ERR_MUST_CHECK;
/* Takes the registrations back (waits for it at most 2 s). Before onc_server_close. */
void onc_portmap_stop(struct onc_portmap **portmap);

#endif
