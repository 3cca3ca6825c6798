/*
 * smb2client.h - a wire-level SMB 2 and 3 client for tests, our own from MS-SMB2: it signs (or encrypts) what
 * it is told to send, right or wrong, and shows everything of the answer.
 *
 *     client = smb2client_open("127.0.0.1", port);
 *     client->pump = ..;                                       for a server on the same thread
 *     status = smb2client_negotiate(client);
 *     status = smb2client_logon(client, "alice", "Passw0rd");
 *     status = smb2client_tree_connect(client, "share");
 *     status = smb2client_create(client, &(struct smb2c_create){.name = "f", ..}, &opened);
 *
 * A call blocks until its final reply; what came meanwhile for others, and breaks of oplocks and leases, is
 * kept until asked for. Results refer to client->reply: good until the next reply is waited for. A connection
 * that ends or an answer that is not well-formed gives SMB2C_BROKEN, one that does not come SMB2C_TIMEOUT;
 * both are no statuses of the protocol.
 */
#ifndef DITTOFS_TESTS_SMB2CLIENT_H
#define DITTOFS_TESTS_SMB2CLIENT_H

#include "dittofs/cursor.h"
#include "dittofs/list.h"
#include "smb/smb2_crypto.h"
#include "smb/smb2_status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SMB2C_BROKEN  UINT32_C(0xFFFFFFFE)
#define SMB2C_TIMEOUT UINT32_C(0xFFFFFFFD)

enum smb2c_command {
    SMB2C_NEGOTIATE,
    SMB2C_SESSION_SETUP,
    SMB2C_LOGOFF,
    SMB2C_TREE_CONNECT,
    SMB2C_TREE_DISCONNECT,
    SMB2C_CREATE,
    SMB2C_CLOSE,
    SMB2C_FLUSH,
    SMB2C_READ,
    SMB2C_WRITE,
    SMB2C_LOCK,
    SMB2C_IOCTL,
    SMB2C_CANCEL,
    SMB2C_ECHO,
    SMB2C_QUERY_DIRECTORY,
    SMB2C_CHANGE_NOTIFY,
    SMB2C_QUERY_INFO,
    SMB2C_SET_INFO,
    SMB2C_OPLOCK_BREAK
};

enum { SMB2C_DIALECTS_MAX = 8, SMB2C_BREAKS_MAX = 64, SMB2C_COMPOUND_MAX = 8, SMB2C_FILE_ID = 16 };

/* MS-SMB2 2.2.3: capabilities */
enum {
    SMB2C_CAP_LEASING = 2,
    SMB2C_CAP_LARGE_MTU = 4,
    SMB2C_CAP_MULTI_CHANNEL = 8,
    SMB2C_CAP_PERSISTENT = 0x10,
    SMB2C_CAP_DIRECTORY_LEASING = 0x20,
    SMB2C_CAP_ENCRYPTION = 0x40
};

struct smb2_reply {
    struct list link;
    uint16_t command, credits;
    uint32_t status, flags, tree_id;
    uint64_t message_id, async_id, session_id;
    bool is_signed;
    size_t length; /* from the header on */
    uint8_t data[];
};

/* A notification of the server (MS-SMB2 2.2.23). */
struct smb2c_break {
    bool lease;
    uint8_t file[SMB2C_FILE_ID]; /* of an oplock's */
    uint8_t level;               /* an oplock goes down to it */
    uint8_t key[16];             /* a lease's */
    uint16_t epoch;
    uint32_t flags; /* 1: must be acknowledged */
    uint32_t current, to;
};

struct smb2client {
    int fd;
    int timeout_ms; /* 10 s */
    void (*pump)(void *data);
    void *pump_data;
    /* ---- what it says of itself ---- */
    uint16_t dialects[SMB2C_DIALECTS_MAX]; /* 0x0311 alone */
    size_t dialect_count;
    uint32_t capabilities;     /* all of the above */
    uint8_t guid[16];          /* another one for each client, until set: it names the machine */
    uint16_t cipher_offer;     /* AES-128-GCM; 0: no encryption context */
    uint16_t signing_offer;    /* AES-CMAC */
    uint64_t previous_session; /* SESSION_SETUP's */
    bool encrypts;             /* sends everything encrypted from now on */
    bool leaves_unsigned;      /* sends everything unsigned from now on */
    uint32_t channel_sequence; /* in the place of the status (MS-SMB2 2.2.1.2) */
    uint32_t extra_flags;      /* of headers: 0x20000000 is a replay */
    /* ---- what was negotiated ---- */
    uint16_t dialect;
    uint32_t server_capabilities, max_transact, max_read, max_write;
    uint8_t server_guid[16];
    enum smb2_signing signing;
    enum smb2_cipher cipher;
    uint8_t preauth[SMB2_PREAUTH_SIZE];
    /* ---- session and tree of the requests that follow ---- */
    uint64_t session_id;
    uint16_t session_flags;
    uint8_t session_preauth[SMB2_PREAUTH_SIZE];
    struct smb2_key *sign_key, *encrypt_key, *decrypt_key;
    uint8_t sign_bytes[SMB2_KEY_SIZE]; /* what sign_key was made of */
    bool binds;                        /* SESSION_SETUP is for the session of another connection */
    uint32_t tree_id, tree_access;
    /* ---- requests and replies ---- */
    uint64_t next_message;
    uint32_t credits;
    struct list replies;      /* nobody has asked for yet */
    struct smb2_reply *reply; /* the last one that was waited for, or NULL */
    bool broken;
    struct smb2c_break breaks[SMB2C_BREAKS_MAX];
    size_t break_count;
};

/* Connects; NULL when that fails. */
struct smb2client *smb2client_open(const char *host, uint16_t port);
/* Ends the connection without a word to the server. */
void smb2client_close(struct smb2client **client);

/* ---- requests and replies ---- */

/* Sends BODY (from StructureSize on) with a header for session and tree: its message id. UINT64_MAX when the
 * connection is broken or has not enough credits. */
uint64_t smb2client_send(struct smb2client *client, uint16_t command, const struct writer *body);
/* Several in one message; RELATED: each takes session, tree and file of the one before. The first one's id;
 * the others follow. */
struct smb2c_part {
    uint16_t command;
    const struct writer *body;
};
uint64_t smb2client_send_compound(struct smb2client *client, const struct smb2c_part *parts, size_t count,
                                  bool related);
/* Waits for the final reply: its status, and it is client->reply. */
uint32_t smb2client_wait(struct smb2client *client, uint64_t message_id);
/* Both. */
uint32_t smb2client_call(struct smb2client *client, uint16_t command, const struct writer *body);
/* Waits for an interim reply (STATUS_PENDING) or the final one; true: an interim one, with its id for CANCEL.
 */
bool smb2client_pending(struct smb2client *client, uint64_t message_id, uint64_t *async_id_r);
/* The final reply has come, without waiting: the loop is turned once. */
bool smb2client_has_reply(struct smb2client *client, uint64_t message_id);
/* CANCEL has no reply of its own. ASYNC_ID 0: by the message id. */
void smb2client_cancel(struct smb2client *client, uint64_t message_id, uint64_t async_id);
/* Bytes as they are, the frame's head included. */
bool smb2client_send_raw(struct smb2client *client, const void *bytes, size_t length);
/* Reads what comes until the connection ends; false when it did not within the time. */
bool smb2client_wait_closed(struct smb2client *client);
/* The body of client->reply, from StructureSize on, and LENGTH bytes of it at OFFSET, which counts from the
 * header. */
struct reader smb2client_body(const struct smb2client *client);
bool smb2client_part(const struct smb2client *client, uint32_t offset, uint32_t length,
                     struct reader *part_r) MUST_CHECK;
/* Takes the break that came first; waits for one. False: none came within the time. */
bool smb2client_next_break(struct smb2client *client, struct smb2c_break *break_r);

/* ---- the commands: their statuses ---- */

uint32_t smb2client_negotiate(struct smb2client *client);
/* NTLMv2. With a session (session_id, keys): it is authenticated again. USER NULL: without a name. */
uint32_t smb2client_logon(struct smb2client *client, const char *user, const char *password);
/* Makes the connection, after NEGOTIATE, another channel of SESSION's; it takes over its tree. */
uint32_t smb2client_bind(struct smb2client *client, const struct smb2client *session, const char *user,
                         const char *password);
uint32_t smb2client_logoff(struct smb2client *client);
uint32_t smb2client_tree_connect(struct smb2client *client, const char *share);
uint32_t smb2client_tree_disconnect(struct smb2client *client);
uint32_t smb2client_echo(struct smb2client *client);

/* MS-SMB2 2.2.13: access, share modes, options and dispositions that tests use by name */
enum {
    SMB2C_READ_DATA = 0x1,
    SMB2C_WRITE_DATA = 0x2,
    SMB2C_APPEND_DATA = 0x4,
    SMB2C_READ_ATTRIBUTES = 0x80,
    SMB2C_WRITE_ATTRIBUTES = 0x100,
    SMB2C_DELETE = 0x10000,
    SMB2C_READ_WRITE = 0x12019f, /* what a program gets that opens for both */
    SMB2C_READ_ONLY = 0x120089,
    SMB2C_SHARE_READ = 1,
    SMB2C_SHARE_WRITE = 2,
    SMB2C_SHARE_DELETE = 4,
    SMB2C_SHARE_ALL = 7,
    SMB2C_SUPERSEDE = 0,
    SMB2C_OPEN = 1,
    SMB2C_MAKE = 2,
    SMB2C_OPEN_IF = 3,
    SMB2C_OVERWRITE = 4,
    SMB2C_OVERWRITE_IF = 5,
    SMB2C_DIRECTORY = 0x1,
    SMB2C_NON_DIRECTORY = 0x40,
    SMB2C_DELETE_ON_CLOSE = 0x1000,
    SMB2C_OPLOCK_NONE = 0,
    SMB2C_OPLOCK_II = 1,
    SMB2C_OPLOCK_EXCLUSIVE = 8,
    SMB2C_OPLOCK_BATCH = 9,
    SMB2C_OPLOCK_LEASE = 0xff,
    SMB2C_LEASE_READ = 1,
    SMB2C_LEASE_HANDLE = 2,
    SMB2C_LEASE_WRITE = 4,
    SMB2C_LEASE_SIZE = 32,
    SMB2C_LEASE_V2_SIZE = 52
};

struct smb2c_context {
    const char *tag; /* four bytes; NULL ends the list */
    const void *data;
    size_t length;
};

struct smb2c_create {
    const char *name; /* UTF-8, with backslashes; "" the root */
    uint32_t access;  /* 0: SMB2C_READ_WRITE */
    uint32_t share;   /* as on the wire: bits are what others may do */
    uint32_t disposition;
    uint32_t options, attributes;
    uint8_t oplock;
    const struct smb2c_context *contexts; /* may be NULL */
};

struct smb2c_opened {
    uint8_t file[SMB2C_FILE_ID];
    uint8_t oplock;
    uint32_t action, attributes;
    uint64_t size, allocation;
};

uint32_t smb2client_create(struct smb2client *client, const struct smb2c_create *create,
                           struct smb2c_opened *opened_r);
/* The halves of it. */
uint64_t smb2client_send_create(struct smb2client *client, const struct smb2c_create *create);
bool smb2client_read_create(const struct smb2client *client, struct smb2c_opened *opened_r) MUST_CHECK;
void smb2client_put_create(struct writer *body, const struct smb2c_create *create);
/* A context of the last CREATE's reply; false: it has none of that TAG. */
bool smb2client_context(const struct smb2client *client, const char *tag, struct reader *data_r) MUST_CHECK;
/* The data of RqLs (MS-SMB2 2.2.13.2.8, .10): SMB2C_LEASE_SIZE bytes, or SMB2C_LEASE_V2_SIZE when V2. PARENT
 * may be NULL. Gives the length. */
size_t smb2client_lease(uint8_t *data, const uint8_t key[16], uint32_t state, bool v2, const uint8_t *parent,
                        uint16_t epoch);
/* What the server granted in the last CREATE's reply; false: no lease. */
bool smb2client_lease_granted(const struct smb2client *client, uint8_t key_r[16], uint32_t *state_r,
                              uint16_t *epoch_r) MUST_CHECK;

uint32_t smb2client_close_file(struct smb2client *client, const uint8_t *file);
uint32_t smb2client_flush(struct smb2client *client, const uint8_t *file);
/* GOT_R bytes are at *DATA_R. */
uint32_t smb2client_read(struct smb2client *client, const uint8_t *file, uint64_t offset, uint32_t length,
                         struct reader *data_r);
uint32_t smb2client_write(struct smb2client *client, const uint8_t *file, uint64_t offset, const void *data,
                          uint32_t length);

enum { SMB2C_LOCK_SHARED = 1, SMB2C_LOCK_EXCLUSIVE = 2, SMB2C_UNLOCK = 4, SMB2C_FAIL_AT_ONCE = 0x10 };
struct smb2c_range {
    uint64_t offset, length;
    uint32_t flags;
};
uint32_t smb2client_lock(struct smb2client *client, const uint8_t *file, const struct smb2c_range *ranges,
                         size_t count);
/* One range that may wait: see smb2client_pending and _wait. */
uint64_t smb2client_send_lock(struct smb2client *client, const uint8_t *file, uint64_t offset,
                              uint64_t length, uint32_t flags);

/* TYPE 1 file, 2 file system, 3 security; CLASS of MS-FSCC. */
uint32_t smb2client_query_info(struct smb2client *client, const uint8_t *file, uint8_t type, uint8_t class,
                               uint32_t additional, uint32_t most, struct reader *data_r);
uint32_t smb2client_set_info(struct smb2client *client, const uint8_t *file, uint8_t type, uint8_t class,
                             uint32_t additional, const void *data, uint32_t length);
uint32_t smb2client_truncate(struct smb2client *client, const uint8_t *file, uint64_t size);
uint32_t smb2client_rename(struct smb2client *client, const uint8_t *file, const char *to, bool replace);
uint32_t smb2client_delete(struct smb2client *client, const uint8_t *file, bool wanted);
uint32_t smb2client_query_directory(struct smb2client *client, const uint8_t *file, uint8_t class,
                                    uint8_t flags, const char *pattern, uint32_t most, struct reader *data_r);
uint32_t smb2client_ioctl(struct smb2client *client, const uint8_t *file, uint32_t code, const void *input,
                          uint32_t length, uint32_t most, struct reader *output_r);
uint64_t smb2client_send_notify(struct smb2client *client, const uint8_t *file, uint32_t filter, bool tree,
                                uint32_t most);
/* The answers to breaks. */
uint32_t smb2client_acknowledge_oplock(struct smb2client *client, const uint8_t *file, uint8_t level);
uint32_t smb2client_acknowledge_lease(struct smb2client *client, const uint8_t key[16], uint32_t state);

#endif
