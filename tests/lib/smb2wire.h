/*
 * smb2wire.h - an SMB 2 and 3 client at the level of bytes, for bad input, fuzzing and load; for everything
 * else there is smb2client.h. Requests are built where they are sent from, so that any byte of them can be
 * changed before they are signed, and nothing is allocated for a request or a reply.
 *
 * A request is begun, its body written to wire->request, and sent; smb2wire_receive gives one reply after the
 * other, those of a compound and interim ones too. What comes signed or encrypted is checked. smb2wire_call
 * does both and passes over STATUS_PENDING. Who loads a server seals and unseals messages and moves the bytes
 * himself.
 *
 * Functions that fail by the network or by a wrong reply give false, or SMB2WIRE_GONE in place of a status.
 */
#ifndef DITTOFS_TESTS_SMB2WIRE_H
#define DITTOFS_TESTS_SMB2WIRE_H

#include "dittofs/cursor.h"
#include "smb/smb2_crypto.h"

#define SMB2WIRE_GONE UINT32_C(0xfffffffe) /* no reply: closed, late, or not to be understood */

enum {
    WIRE2_NEGOTIATE,
    WIRE2_SESSION_SETUP,
    WIRE2_LOGOFF,
    WIRE2_TREE_CONNECT,
    WIRE2_TREE_DISCONNECT,
    WIRE2_CREATE,
    WIRE2_CLOSE,
    WIRE2_FLUSH,
    WIRE2_READ,
    WIRE2_WRITE,
    WIRE2_LOCK,
    WIRE2_IOCTL,
    WIRE2_CANCEL,
    WIRE2_ECHO,
    WIRE2_QUERY_DIRECTORY,
    WIRE2_CHANGE_NOTIFY,
    WIRE2_QUERY_INFO,
    WIRE2_SET_INFO,
    WIRE2_OPLOCK_BREAK,
    WIRE2_COMMANDS
};
enum { WIRE2_RESPONSE = 1, WIRE2_ASYNC = 2, WIRE2_RELATED = 4, WIRE2_SIGNED = 8 };

struct smb2wire_file {
    uint64_t persistent, volatile_id;
};
/* MS-SMB2 3.3.5.2.7.2: the file of the request before. */
extern const struct smb2wire_file smb2wire_same_file;

struct smb2wire {
    int fd;
    void (*pump)(void *data); /* lets a server on the same thread work; NULL: poll */
    void *pump_data;
    int timeout_ms;
    /* ---- what is asked for; before smb2wire_negotiate ---- */
    uint16_t dialect;          /* 0x0311; the only one offered */
    enum smb2_cipher cipher;   /* SMB2_CIPHER_AES128_GCM; none of 3.0: no encryption */
    enum smb2_signing signing; /* SMB2_SIGNING_AES_GMAC */
    uint8_t guid[16];
    bool encrypts; /* whatever is sent when it is logged on */
    /* ---- the state of the connection ---- */
    uint32_t last_status;
    uint8_t preauth[SMB2_PREAUTH_SIZE];
    uint64_t next_message;
    uint32_t credits; /* ids that may be used from next_message on */
    uint16_t asks;    /* for so many credits with each request (1) */
    uint16_t charge;  /* of the next request only; 0: 1 */
    uint64_t session_id;
    uint32_t tree_id;
    bool logged_on, session_encrypts;
    bool unsigned_;    /* leaves out signatures */
    bool take_pending; /* smb2wire_call gives interim replies, too */
    bool broken;       /* a reply was not well-formed */
    struct smb2_key *signing_key, *encrypt_key, *decrypt_key;
    /* ---- the request being made ---- */
    struct writer request; /* requests of a compound one behind the other, from header to body */
    size_t request_at;     /* of the last one */
    struct writer sealed;  /* the frame that goes out */
    /* ---- what came ---- */
    struct writer in;
    uint8_t *frame; /* the one that replies are taken from */
    size_t frame_length, frame_at;
};

struct smb2wire_reply {
    uint16_t credit_charge, command, credits;
    uint32_t status, flags, next, tree_id;
    uint64_t message_id, async_id, session_id;
    bool is_signed, was_encrypted;
    const uint8_t *data; /* from its header on; good until the next receive */
    size_t length;
    struct reader body; /* behind the header */
};

/* NULL when there is no connection. */
struct smb2wire *smb2wire_open(const char *host, uint16_t port, void (*pump)(void *data), void *pump_data);
void smb2wire_close(struct smb2wire **wire);

/* ---- requests ---- */

/* Begins a request behind those that were begun since the last sending. */
void smb2wire_begin(struct smb2wire *wire, uint16_t command);
/* Begins one that is related to the one before. */
void smb2wire_begin_related(struct smb2wire *wire, uint16_t command);
/* Bytes of what was begun last, counted from its header. */
size_t smb2wire_offset(const struct smb2wire *wire);
/* Makes the frame of what was begun: signed or encrypted as it must be. It lies in wire->sealed. */
bool smb2wire_seal(struct smb2wire *wire) MUST_CHECK;
/* Signs what was begun where it lies, when it must be; who sends it puts the frame's head before it. */
bool smb2wire_sign(struct smb2wire *wire) MUST_CHECK;
bool smb2wire_send_raw(struct smb2wire *wire, const void *bytes, size_t length) MUST_CHECK;
bool smb2wire_send(struct smb2wire *wire) MUST_CHECK;
/* Forgets what was begun. */
void smb2wire_drop(struct smb2wire *wire);

/* ---- replies ---- */

/* Decrypts a frame (without its head) in place; false when it is not one of ours. */
bool smb2wire_unseal(struct smb2wire *wire, uint8_t **frame, size_t *length,
                     bool *was_encrypted_r) MUST_CHECK;
/* The reply at *AT of an unsealed frame; its signature is checked. False: broken, or there is none. */
bool smb2wire_take(struct smb2wire *wire, const uint8_t *frame, size_t length, size_t *at, bool was_encrypted,
                   struct smb2wire_reply *reply_r) MUST_CHECK;
bool smb2wire_receive(struct smb2wire *wire, struct smb2wire_reply *reply_r) MUST_CHECK;
/* What came of a request with MESSAGE_ID (UINT64_MAX: none in particular) that was sent: sends an ECHO, and
 * takes what comes until the answers to both are there; what waits is cancelled. False: the connection is
 * gone. Every reply must be well-formed. */
struct smb2wire_outcome {
    uint32_t status; /* of the last reply with that id; SMB2WIRE_GONE: none came */
    unsigned replies;
    uint64_t async_id; /* it waited */
};
bool smb2wire_settle(struct smb2wire *wire, uint64_t message_id,
                     struct smb2wire_outcome *outcome_r) MUST_CHECK;
/* Has the peer closed the connection? Waits for it, and passes over what comes before. */
bool smb2wire_is_closed(struct smb2wire *wire);
/* Sends what was begun and gives the first reply that is final, or SMB2WIRE_GONE. */
uint32_t smb2wire_call(struct smb2wire *wire, struct smb2wire_reply *reply_r);

/* ---- commands, begun or done ---- */

/* Asks for wire->dialect; takes what the server chose. */
uint32_t smb2wire_negotiate(struct smb2wire *wire);
/* Writes a NEGOTIATE without sending it. */
void smb2wire_begin_negotiate(struct smb2wire *wire);
uint32_t smb2wire_logon(struct smb2wire *wire, const char *user, const char *password);
uint32_t smb2wire_tree_connect(struct smb2wire *wire, const char *share);
uint32_t smb2wire_logoff(struct smb2wire *wire);

/* Appends TEXT as UTF-16LE. */
void smb2wire_text(struct smb2wire *wire, const char *text);
void smb2wire_put_file(struct smb2wire *wire, struct smb2wire_file file);

struct smb2wire_create {
    const char *name;
    uint32_t access; /* 0: 0x1f01ff */
    uint32_t share;
    bool share_none;      /* 0 means: everything, unless this */
    uint32_t disposition; /* 0: FILE_OPEN_IF; SMB2WIRE_SUPERSEDE for that */
    uint32_t options;
    uint8_t oplock;
    const void *contexts; /* encoded */
    size_t contexts_length;
};
enum { SMB2WIRE_SUPERSEDE = UINT32_C(0x10000) };
/* Appends a create context to those that WRITER holds. */
void smb2wire_context(struct writer *writer, const char *name, const void *data, size_t length);
void smb2wire_begin_create(struct smb2wire *wire, const struct smb2wire_create *create);
uint32_t smb2wire_create(struct smb2wire *wire, const struct smb2wire_create *create,
                         struct smb2wire_file *file_r);
/* The file's id in the reply to CREATE. */
struct smb2wire_file smb2wire_created(const struct smb2wire_reply *reply);
void smb2wire_begin_close(struct smb2wire *wire, struct smb2wire_file file);
uint32_t smb2wire_close_file(struct smb2wire *wire, struct smb2wire_file file);
void smb2wire_begin_read(struct smb2wire *wire, struct smb2wire_file file, uint64_t offset, uint32_t length);
/* The bytes of READ's reply; false when it is not well-formed. */
bool smb2wire_read_data(const struct smb2wire_reply *reply, struct reader *data_r) MUST_CHECK;
/* Reads LENGTH bytes into TO; GOT_R of them came. */
uint32_t smb2wire_read(struct smb2wire *wire, struct smb2wire_file file, uint64_t offset, void *to,
                       uint32_t length, uint32_t *got_r);
void smb2wire_begin_write(struct smb2wire *wire, struct smb2wire_file file, uint64_t offset, const void *data,
                          uint32_t length, uint32_t flags);
uint32_t smb2wire_write(struct smb2wire *wire, struct smb2wire_file file, uint64_t offset, const void *data,
                        uint32_t length);
void smb2wire_begin_flush(struct smb2wire *wire, struct smb2wire_file file);
/* FLAGS: 1 shared, 2 exclusive, 4 unlock, 0x10 at once or not at all. */
void smb2wire_begin_lock(struct smb2wire *wire, struct smb2wire_file file, uint64_t offset, uint64_t length,
                         uint32_t flags);
uint32_t smb2wire_lock(struct smb2wire *wire, struct smb2wire_file file, uint64_t offset, uint64_t length,
                       uint32_t flags);
void smb2wire_begin_query_info(struct smb2wire *wire, struct smb2wire_file file, uint8_t type, uint8_t class,
                               uint32_t length);
void smb2wire_begin_set_info(struct smb2wire *wire, struct smb2wire_file file, uint8_t type, uint8_t class,
                             const void *data, uint32_t length);
void smb2wire_begin_query_directory(struct smb2wire *wire, struct smb2wire_file file, uint8_t class,
                                    uint8_t flags, const char *pattern, uint32_t length);
void smb2wire_begin_ioctl(struct smb2wire *wire, struct smb2wire_file file, uint32_t code, const void *data,
                          uint32_t length, uint32_t most);
void smb2wire_begin_notify(struct smb2wire *wire, struct smb2wire_file file, uint16_t flags, uint32_t length,
                           uint32_t filter);
/* The part of QUERY_INFO's, QUERY_DIRECTORY's or CHANGE_NOTIFY's reply that it is about. */
bool smb2wire_info_data(const struct smb2wire_reply *reply, struct reader *data_r) MUST_CHECK;

/* ---- smb2wire_samples.c ---- */

/* Begins a good request of COMMAND; VARIANT chooses levels, contexts, names.. */
void smb2wire_begin_sample(struct smb2wire *wire, uint16_t command, struct smb2wire_file file,
                           struct smb2wire_file dir, unsigned variant);
/* One of the control codes that a server may know. */
enum { SMB2WIRE_CONTROLS = 24 };
uint32_t smb2wire_control(unsigned variant);

#endif
