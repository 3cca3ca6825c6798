/*
 * smb2_priv.h - what the files of the SMB front-end share.
 *
 *   smb_server -> smb2_conn (a TCP connection)  -> smb2_channel
 *              -> smb2_session (a user)         -> smb2_channel, smb2_tree (a share), smb2_open
 *              -> smb2_client (a machine) , all opens by their ids
 *
 * A session lives as long as it has a channel: a connection that it was logged on over, or bound to.
 *
 * A message of the peer becomes a struct smb2_message: one request, or a compound of several that run one
 * behind the other. Each writes its reply behind the last one's into the message's writer; when the last has
 * ended, all of them are signed or encrypted and sent. A message outlives its connection when something it
 * waits for does: `conn` is NULL then, and it ends without a reply.
 *
 * Sessions, channels, trees and opens are counted: what hangs in the tables is one reference, a request
 * another. What was ended (`dead`) is no longer found.
 */
#ifndef DITTOFS_SMB_SMB2_H
#define DITTOFS_SMB_SMB2_H

#include "dittofs/client.h"
#include "dittofs/cursor.h"
#include "dittofs/grant.h"
#include "dittofs/hash.h"
#include "dittofs/hashtable.h"
#include "dittofs/list.h"
#include "dittofs/lock.h"
#include "dittofs/log.h"
#include "dittofs/net.h"
#include "dittofs/ntlm.h"
#include "dittofs/open.h"
#include "dittofs/smb.h"
#include "dittofs/spnego.h"
#include "dittofs/utf16.h"
#include "dittofs/vfs.h"
#include "smb/smb2_crypto.h"
#include "smb/smb2_status.h"

enum {
    SMB2_FRAME_HEAD = 4,
    SMB2_HEADROOM = SMB2_FRAME_HEAD + SMB2_TRANSFORM_SIZE,
    SMB2_IO_MAX = 1 << 20,                      /* bytes of a READ or WRITE, and of what answers a query */
    SMB2_TRANSACT_MAX = 8 << 20,                /* that a query may leave room for */
    SMB2_IO_MAX_202 = 65536,                    /* of a client without multi-credit requests */
    SMB2_FRAME_MAX = SMB2_IO_MAX + 65536,       /* of a message */
    SMB2_REPLY_MAX = 4 * (SMB2_IO_MAX + 65536), /* of a compound's replies */
    SMB2_COMPOUND_MAX = 32,                     /* requests */
    SMB2_MESSAGES_MAX = 512,                    /* in flight of one connection, beside those that wait long */
    SMB2_BYTES_MAX = 8 << 20,                   /* of these */
    SMB2_SEALING_MAX = 2 << 20,                 /* of replies that workers have */
    SMB2_SEND_QUEUE_MAX = 1 << 20,              /* of replies that the socket does not take */
    SMB2_CREDITS_MAX = 8192,                    /* ids a client may use ahead */
    SMB2_SESSIONS_MAX = 64,                     /* of a connection */
    SMB2_CHANNELS_MAX = 32,                     /* of a session */
    SMB2_TREES_MAX = 256,                       /* of a session */
    SMB2_OPENS_MAX = 16384,                     /* of a session */
    SMB2_LOGON_MS = 45 * 1000,                  /* for a logon to come to its end */
    SMB2_PATH_MAX = 4096,                       /* bytes of UTF-8 */
    SMB2_FAMILY = 60,                           /* of its struct client */
    SMB2_ASYNC_MAX = 512,                       /* requests of a connection that wait long */
    SMB2_LOCK_SEQUENCES = 64,                   /* MS-SMB2 3.3.1.10 */
    SMB2_PIPES_MAX = 64,                        /* of a session */
    SMB2_LOST_MAX = 64,                         /* of a session: CREATEs without their connection */
    SMB2_WATCHES_MAX = 512,                     /* of a session: directories under CHANGE_NOTIFY */
    SMB2_LEASE_KEY = 16,
    SMB2_BREAK_MS = 35 * 1000,   /* to acknowledge the break of an oplock or lease */
    SMB2_LEASE_BREAK_SIZE = 36,  /* of its acknowledgment's structure */
    SMB2_PERSISTENT_MAX = 65536, /* opens that are recorded */
    SMB2_GRANT_TRIES = 16        /* of a request that others' caching grants are in the way of */
};

enum smb2_command {
    SMB2_NEGOTIATE,
    SMB2_SESSION_SETUP,
    SMB2_LOGOFF,
    SMB2_TREE_CONNECT,
    SMB2_TREE_DISCONNECT,
    SMB2_CREATE,
    SMB2_CLOSE,
    SMB2_FLUSH,
    SMB2_READ,
    SMB2_WRITE,
    SMB2_LOCK,
    SMB2_IOCTL,
    SMB2_CANCEL,
    SMB2_ECHO,
    SMB2_QUERY_DIRECTORY,
    SMB2_CHANGE_NOTIFY,
    SMB2_QUERY_INFO,
    SMB2_SET_INFO,
    SMB2_OPLOCK_BREAK,
    SMB2_COMMANDS
};

#define SMB2_PROTOCOL_ID UINT32_C(0x424d53fe)

/* MS-SMB2 2.2.1.2: flags of a header */
enum {
    SMB2_FLAG_RESPONSE = 1,
    SMB2_FLAG_ASYNC = 2,
    SMB2_FLAG_RELATED = 4,
    SMB2_FLAG_SIGNED = 8,
    SMB2_FLAG_REPLAY = 0x20000000,
};

struct smb2_header {
    uint16_t credit_charge;
    uint16_t channel_sequence; /* 3.x: how often the client has lost a channel of the session */
    uint16_t command;
    uint16_t credits; /* asked for */
    uint32_t flags;
    uint32_t next; /* offset of the next request of the compound, 0: the last */
    uint64_t message_id;
    uint64_t async_id; /* with SMB2_FLAG_ASYNC, in place of the tree's */
    uint32_t tree_id;
    uint64_t session_id;
};

/* ---- credits (smb2_credits.c) ---- */

/* Which message ids may come: LOW is the first that was not used, all below HIGH may be. */
struct smb2_window {
    uint64_t low, high;
    uint64_t used[SMB2_CREDITS_MAX / 64]; /* by id modulo SMB2_CREDITS_MAX */
};

void smb2__window_init(struct smb2_window *window);
/* Uses CHARGE ids from ID on. False: one of them may not come. */
bool smb2__window_take(struct smb2_window *window, uint64_t id, uint16_t charge) MUST_CHECK;
/* How many ids to grant to a client that asks for WANTED; they may come from now on. */
uint16_t smb2__window_grant(struct smb2_window *window, uint16_t wanted);

/* ---- connection ---- */

/* Those of large READs (smb2_read_slots.c). */
struct smb2_read_slots {
    unsigned taken;
    struct list conns; /* with READs that may begin */
    bool is_beginning;
    struct loop_timer timer;
};

struct smb_server {
    struct loop *loop;
    struct vfs *vfs;
    struct state *state;
    struct identity *identity;
    struct smb_options options;
    struct cred_ntlm_server ntlm;
    struct cred_offer offers[1];
    struct cred_delays *delays;
    struct list listeners; /* of struct smb__listener */
    struct list conns;
    struct hashtable sessions;     /* by id */
    struct hashtable opens;        /* by persistent id */
    struct hashtable clients;      /* by ClientGuid */
    struct hashtable create_guids; /* opens by CreateGuid */
    struct list parked;            /* opens without session (smb2_durable.c) */
    uint32_t parked_count, parked_persistent;
    struct loop_timer parked_timer;
    struct recovery_store records; /* of persistent opens (smb2_persist.c) */
    bool has_records;
    bool any_persistent; /* one of the shares has such handles */
    uint32_t persistent_count;
    struct list unrecorded; /* persistent opens whose record is not as they are */
    struct loop_timer record_timer;
    struct siphash_key hash_key;
    struct hashtable leases; /* by machine and key */
    struct hashtable files;  /* of opens, by the file that they are of */
    struct vfs_listener renames;
    uint64_t next_session, next_file, next_conn;
    uint32_t message_count; /* in flight, of all connections */
    struct smb_shares *shares;
    struct list watches; /* smb2_notify.c */
    struct smb2_read_slots read_slots;
    bool restores_times;        /* that is no change */
    struct smb2_tunnel *tunnel; /* smb2_tunnel.c */
    struct vfs_listener notify_listener;
    struct loop_timer notify_timer;
    uint64_t shares_generation; /* from 1, of the rules in effect */
    struct timestamp started;
    void (*stopped)(void *data);
    void *stopped_data;
    bool stopping;
};

enum smb2_conn_state {
    SMB2_CONN_NEW,        /* nothing was negotiated */
    SMB2_CONN_MULTI,      /* an SMB1 client was told to go on with SMB2 NEGOTIATE */
    SMB2_CONN_NEGOTIATED, /* everything but NEGOTIATE may come */
};

struct smb2_conn {
    uint32_t magic;
    struct smb_server *server;
    struct net_conn *net; /* NULL once it is gone */
    struct list link;
    struct net_address peer;
    enum smb2_conn_state state;
    uint64_t id;
    bool closing;
    bool paused;
    bool working; /* a worker has a message that what follows must not overtake */
    /* frames */
    struct buf *input; /* read ahead: from input_at to input_end; NULL: nothing */
    size_t input_at, input_end;
    struct buf *frame; /* being filled, from frame_at on */
    size_t frame_at, frame_length, frame_filled;
    /* what was negotiated */
    uint16_t dialect;
    enum smb2_cipher cipher;
    enum smb2_signing signing;
    uint16_t client_security_mode;
    uint32_t client_capabilities;
    bool offers_persistent; /* as it was when the connection came */
    uint8_t client_guid[16];
    uint8_t preauth[SMB2_PREAUTH_SIZE];
    struct smb2_window window;
    struct list channels;
    uint32_t channel_count;
    struct list messages;
    uint32_t message_count, async_count;
    size_t message_bytes;
    size_t sealing_bytes; /* of replies that workers sign or encrypt */
    struct list reads;    /* requests that wait for a slot */
    struct list read_slots_link;
    uint64_t next_async;
    struct loop_timer idle, resume;
    /* smb2_notice.c */
    struct list notices;
    uint32_t notice_count;
    unsigned silent_ticks;
    struct loop_timer notice_timer;
};

struct smb2_conn *smb2__conn_of_wire(struct smb_server *server, struct net_conn *net);
extern const struct net_conn_events smb2__conn_events;
void smb2__conn_close(struct smb2_conn *conn, bool drain);
/* A message ended: go on reading if that was the reason not to. */
void smb2__conn_ready(struct smb2_conn *conn);
/* Should nothing more be made for it to send? smb2__conn_ready comes afterwards. */
bool smb2__conn_is_full(const struct smb2_conn *conn);
void smb2__server_check_stopped(struct smb_server *server);

/* ---- machines, sessions, trees, opens ---- */

enum smb2_oplock_level {
    SMB2_OPLOCK_NONE = 0,
    SMB2_OPLOCK_II = 1,
    SMB2_OPLOCK_EXCLUSIVE = 8,
    SMB2_OPLOCK_BATCH = 9,
    SMB2_OPLOCK_LEASE = 0xff
};

/* A lease: the caching grant that all opens of a machine with the same key share (smb2_lease.c). */
struct smb2_lease {
    struct hashlink hashlink;    /* in server->leases */
    struct smb2_client *machine; /* a reference */
    uint8_t key[SMB2_LEASE_KEY];
    uint8_t version;       /* of the context that made it */
    uint16_t epoch_before; /* its epoch is this and that of the grant */
    struct grant *grant;   /* NULL: state has taken it away */
    struct list opens;     /* never empty: it goes with the last one */
};

/* A machine as state knows it: what all sessions of one ClientGuid hold. Counted: sessions and opens. */
struct smb2_client {
    uint32_t references;
    struct smb_server *server;
    struct hashlink link;
    uint8_t guid[16]; /* zeros: of one session alone */
    struct client *client;
    /* Of the last logon from it, for listings. */
    uint16_t dialect;
    char user[IDENT_NAME_MAX + 1];
    struct net_address peer;
    /* Opens from before the restart that it has not come back for, and until when the last one stays. */
    uint32_t missing;
    uint64_t missing_until_ms;
};
/* Says the last of it; its `disconnect` ends all its sessions (smb2_admin.c). */
extern const struct client_operations smb2__client_operations;

/* A session on a connection (MS-SMB2 3.3.1.14). */
struct smb2_channel {
    uint32_t references;
    struct smb2_session *session; /* a reference */
    struct smb2_conn *conn;       /* NULL once it has ended */
    struct list session_link, conn_link;
    bool valid;               /* logged on */
    struct smb2_key *signing; /* NULL: the session's */
    /* while logging on, or on again */
    struct cred_acceptor *acceptor;
    struct loop_timer logon_timer;
    uint64_t previous_session; /* to be ended when the logon succeeds */
    uint8_t preauth[SMB2_PREAUTH_SIZE];
};

struct smb2_session {
    uint32_t references;
    bool dead;
    bool valid;       /* logged on */
    bool encrypts;    /* every request must be encrypted */
    bool is_guest;    /* without keys, and so without signatures */
    bool is_nameless; /* it was authenticated again without a name: a guest with its old keys */
    bool must_sign;
    uint64_t id;
    struct smb_server *server;
    struct hashlink link;
    struct list channels;
    uint32_t channel_count;
    /* Of the connection that it was made on. */
    uint16_t dialect;
    enum smb2_cipher cipher;
    enum smb2_signing signing_algorithm;
    struct ident_user user;
    struct net_address peer;
    struct smb2_key *signing, *encrypt, *decrypt;
    struct smb2_client *machine; /* a reference */
    struct client *client;       /* the machine's */
    struct list trees, opens;
    struct list lost; /* messages: CREATEs that wait for breaks, and have lost their connection */
    uint32_t tree_count, open_count, next_tree, pipe_count, watch_count;
};

struct smb2_tree {
    uint32_t references;
    bool dead;
    bool is_ipc;
    uint32_t id;
    uint32_t export_id;
    struct smb2_session *session; /* a reference */
    struct list link;
    /* What the share's rules say of the user (smb_share.c). */
    uint64_t judged; /* by the rules of this generation; 0: not yet */
    uint32_t verdict;
    bool must_encrypt;
    bool hides_names;      /* some are shown with the attribute "hidden" */
    bool hides_unreadable; /* listings leave out what the user may not read */
};

struct smb2_open {
    uint32_t references;
    bool dead;
    uint64_t persistent_id, volatile_id;
    struct list link;      /* of the session, or of server->parked */
    struct hashlink by_id; /* in the server's table */
    struct smb_server *server;
    struct smb2_session *session; /* no reference: NULL when dead or parked */
    uint64_t conn_id;             /* the connection it was opened over, or its client came back over */
    struct smb2_tree *tree;       /* a reference */
    struct smb2_client *machine;  /* a reference: whose owner and share these are */
    struct inode *inode;
    struct inode *dir; /* where NAME is; NULL for the root */
    uint8_t name[STORE_NAME_MAX];
    size_t name_length;
    bool is_directory;
    uint32_t access; /* granted, MS-SMB2 2.2.13.1 */
    /* Of a stream: the file or directory it belongs to (a reference), and its name; else NULL. */
    struct inode *base;
    uint8_t stream[STORE_NAME_MAX];
    size_t stream_length;
    struct hashlink by_file; /* in server->files */
    bool is_indexed;
    char *dir_path;       /* of DIR from the share's root when it was opened, without a separator around it */
    unsigned kept_times;  /* enum smb2_kept: what happens through this open leaves these alone */
    bool delete_on_close; /* closing it begins the deletion */
    bool delete_pending;  /* the file (the stream) goes when its last open does */
    bool delete_posix;    /* its name goes when this open does */
    bool base_pending;    /* of a stream: so does the file, whose last own open has gone already */
    bool write_through;
    uint32_t mode; /* of the create options, for FileModeInformation */
    struct state_file *file;
    struct owner *owner;
    struct open *share;
    /* Its caching grant: of its lease, or its oplock, or none. */
    uint8_t oplock_level; /* enum smb2_oplock_level */
    struct smb2_lease *lease;
    struct list lease_link;
    struct grant *oplock;
    uint8_t grant_key[SMB2_LEASE_KEY]; /* the lease's key, or one of its own */
    size_t grant_key_length;
    bool has_changed;    /* the file, which its directory's lease shows when it is closed */
    bool has_parent_key; /* that of the lease on its directory which its own changes leave alone */
    uint8_t parent_key[SMB2_LEASE_KEY];
    uint64_t position;
    uint32_t action; /* of the CREATE that made it */
    /* smb2_durable.c */
    bool is_durable, is_resilient;
    uint32_t durable_ms; /* how long it stays when it is parked */
    uint64_t parked_until_ms;
    /* smb2_persist.c */
    bool is_persistent;
    bool is_left;     /* it ends with the server, and its record stays */
    bool is_restored; /* from before the restart, and its client is not back */
    bool is_unrecorded;
    bool owes_break; /* its client is to be told of a break when it has been answered that it is back */
    struct list unrecorded_link;
    bool has_app, has_app_version;
    uint8_t app[16];
    uint64_t app_version[2];
    /* smb2_replay.c */
    bool is_replay_eligible, has_create_guid;
    uint8_t create_guid[16];
    struct hashlink by_guid;
    uint8_t lock_numbers[SMB2_LOCK_SEQUENCES];
    /* MS-SMB2 3.3.1.10: requests that are not answered yet, with its channel sequence and with an earlier one
     */
    uint16_t channel_sequence;
    uint32_t outstanding, outstanding_before;
    /* listing */
    uint64_t cookie;
    unsigned listed; /* "." and ".." so far */
    bool listing_ended, listing_found;
    unsigned ea_next; /* of the list of extended attributes */
    uint8_t pattern[STORE_NAME_MAX * 3];
    size_t pattern_length;
    struct smb2_pipe *pipe;   /* on IPC$, where there is no inode (smb2_pipe.c) */
    struct smb2_watch *watch; /* of a directory under CHANGE_NOTIFY (smb2_notify.c) */
};

/* The machine with GUID, made when missing, with a reference. */
enum err smb2__client_get(struct smb_server *server, const uint8_t guid[16], uint64_t session_id,
                          struct smb2_client **client_r) ERR_MUST_CHECK;
void smb2__client_unref(struct smb2_client **client);

/* SESSION on CONN, in the tables of both: ERR_LIMIT, ERR_NOMEM. */
enum err smb2__channel_new(struct smb2_session *session, struct smb2_conn *conn,
                           struct smb2_channel **channel_r) ERR_MUST_CHECK;
struct smb2_channel *smb2__channel_find(const struct smb2_conn *conn, uint64_t session_id);
void smb2__channel_unref(struct smb2_channel **channel);
/* A connection that SESSION can be reached over: the one with this ID, else the first that is logged on, as
 * MS-SMB2 3.3.4.6 has them tried; NULL when all are closing. */
struct smb2_conn *smb2__channel_conn(const struct smb2_session *session, uint64_t id);
/* What it signs with; NULL before somebody has logged on. */
struct smb2_key *smb2__channel_key(const struct smb2_channel *channel);
/* Ends a logon, or one that is done anew. */
void smb2__channel_settle(struct smb2_channel *channel);
/* Takes it from session and connection; a session without channels ends. */
void smb2__channel_end(struct smb2_channel *channel);
/* May SESSION be bound to CONN? MS-SMB2 3.3.5.5 */
uint32_t smb2__channel_may_bind(const struct smb2_session *session, const struct smb2_conn *conn);

void smb2__session_unref(struct smb2_session **session);
struct smb2_session *smb2__session_find(const struct smb_server *server, uint64_t id);
/* Closes everything of it and takes it from the tables. */
void smb2__session_end(struct smb2_session *session);
/* The same, and no open of it stays. */
void smb2__session_close(struct smb2_session *session);
void smb2__tree_unref(struct smb2_tree **tree);
struct smb2_tree *smb2__tree_find(const struct smb2_session *session, uint32_t id);
void smb2__tree_end(struct smb2_tree *tree);
void smb2__open_unref(struct smb2_open **open);
/* The open of ours behind one of state's, or NULL. */
struct smb2_open *smb2__open_of_state(const struct open *open);
/* Of whatever session. */
struct smb2_open *smb2__open_by_id(const struct smb_server *server, uint64_t persistent);
struct smb2_open *smb2__open_find(const struct smb2_session *session, uint64_t persistent,
                                  uint64_t volatile_id);
/* What the user of TREE may do is asked with CONTEXT, as in every request. */
uint32_t smb2__tree_context(struct smb_server *server, const struct smb2_tree *tree, uint64_t owner,
                            struct vfs_context *context_r);
struct smb2_open_wish {
    struct inode *inode;
    struct inode *base; /* the file that INODE is a stream of; else NULL */
    uint32_t access, share;
    const uint8_t *lease_key;  /* SMB2_LEASE_KEY bytes; NULL: none */
    const uint8_t *parent_key; /* the same, of the lease on its directory */
    uint64_t persistent_id;    /* of one that stood before the restart; 0: a new one */
};
/* A new open (the inode's reference is taken over when it succeeds), in the tables of TREE's session, with
 * access and share mode registered: STATUS_SUCCESS, STATUS_SHARING_VIOLATION, STATUS_DELETE_PENDING.. */
uint32_t smb2__open_new(struct smb_server *server, struct smb2_tree *tree, const struct smb2_open_wish *wish,
                        struct smb2_open **open_r);
/* The bits of enum open_share for an access mask and for what a share mode does not share. */
unsigned smb2__share_access(uint32_t access);
unsigned smb2__share_deny(uint32_t share);
/* The file has changed in what listings show of it: others' leases on its directory go. */
void smb2__open_tell_directory(const struct smb2_open *open, struct vfs_context *context);
/* Whose caching grants are not in the way of what is done through OPEN. */
void smb2__open_grants(const struct smb2_open *open, struct vfs_context *context);
/* Its name and directory are known: for listings. */
void smb2__open_name(const struct smb2_open *open);
/* Gives back share modes and locks, deletes what is to be deleted, takes it from the tables. CONTEXT (may be
 * NULL) gets the ticket. */
void smb2__open_end(struct smb2_open *open, struct vfs_context *context);

/* ---- messages and requests ---- */

struct smb2_message;

struct smb2_request {
    struct smb2_message *message;
    const struct smb2_command_row *row;
    struct smb2_header header;
    const uint8_t *data; /* the whole request, from its header on */
    size_t length;
    struct reader body; /* behind the header */
    struct smb2_channel *channel;
    struct smb2_session *session;
    struct smb2_tree *tree;
    struct smb2_open *open;
    bool signs; /* the reply is signed */
    bool has_create_guid;
    uint8_t create_guid[16]; /* of a CREATE that may be asked for again */
    bool is_counted;         /* among the open's outstanding requests */
    size_t reply_at;         /* of the header of its reply */
    bool keeps_body;         /* the failure has a body of its own (MS-SMB2 3.3.4.4) */
    uint16_t granted;        /* credits */
    uint64_t async_id;       /* 0: no interim reply was sent */
    /* While it waits. */
    bool waiting;
    void (*cancel)(struct smb2_request *request); /* CANCEL came, or the connection went; may be NULL */
    uint32_t final_status;
    uint32_t sent_status; /* of its reply */
    struct vfs_context context;
    struct vfs_read read;
    bool has_read_slot;
    struct vfs_write write;
    struct store_waiter durable;
    struct lock_waiter lock;
    uint32_t lock_sequence;
    struct grant_waiter grants; /* others' caching grants are broken: it runs again after that */
    unsigned grant_tries;
    struct loop_timer timer;
    struct buf *payload;
    struct list waiting_link;  /* of those that wait for the same thing */
    void *scratch;             /* of a command that goes on later; freed with the request */
    struct inode_attr before;  /* of the open's file, when the open keeps times (MS-FSA 2.1.5.14.2) */
    struct bufpart error_data; /* of an error reply (MS-SMB2 2.2.2), or nothing */
};

struct smb2_message {
    struct smb_server *server;
    struct smb2_conn *conn;
    struct list link;
    struct buf *buf;
    size_t buf_at; /* where in it the frame begins */
    const uint8_t *data;
    size_t length;
    size_t next_at; /* of the request that comes next */
    unsigned count;
    bool encrypted;
    struct smb2_session *encrypted_by; /* a reference */
    struct writer replies;
    struct buf *large;              /* what `replies` writes to, behind SMB2_HEADROOM; NULL: its own memory */
    size_t sealed_at;               /* of the reply before the last one */
    struct smb2_channel *sealed_by; /* a reference: what that is signed with, or NULL */
    bool any_reply, running;
    /* While a worker has it, and what the worker found (smb2_worker.c). */
    struct loop_job job;
    enum err job_err;
    struct smb2_engine *engine;   /* of what came */
    struct smb2_key *checked_key; /* the signature was checked with it; NULL: not yet */
    bool checked_good;
    struct smb2_engine *sealer; /* of what goes */
    struct buf *sealed;
    uint8_t *seal_to; /* the transform header */
    uint8_t nonce[SMB2_NONCE_SIZE];
    /* What related requests inherit. */
    bool has_session;
    uint64_t session_id;
    uint32_t tree_id;
    uint64_t persistent_id, volatile_id;
    bool has_file;
    uint32_t related_status; /* the failure of the CREATE before */
    struct smb2_request request;
};

enum smb2_needs {
    SMB2_NEEDS_SESSION = 1,
    SMB2_NEEDS_TREE = 2,
    SMB2_NEEDS_FILE = 4,         /* a file id at `file_at` */
    SMB2_NEEDS_DISK = 8,         /* not on IPC$ */
    SMB2_WITHOUT_SIGNATURE = 16, /* may come unsigned: before there is a key */
};

struct smb2_command_row {
    const char *name;
    uint16_t structure_size; /* of the request; 0: not built */
    uint16_t other_size;     /* of its other form; 0: there is none */
    uint8_t file_at;         /* offset of its file id in the body */
    unsigned needs;
    /* The status, or SMB2_WAIT. Writes the reply's body behind the header. */
    uint32_t (*run)(struct smb2_request *request);
    /* The same for a file id of IPC$. */
    uint32_t (*run_pipe)(struct smb2_request *request);
};
extern const struct smb2_command_row smb2__commands[SMB2_COMMANDS];

bool smb2__header_read(struct reader *reader, struct smb2_header *header_r) MUST_CHECK;
/* Takes BUF over. False: the connection must end. */
bool smb2__message_take(struct smb2_conn *conn, struct buf *buf, size_t at, size_t length) MUST_CHECK;
/* Runs the requests of a message until one waits, or all have ended: it is freed then, and answered unless it
 * is broken. */
void smb2__message_go_on(struct smb2_message *message, bool *broken_r);
void smb2__message_free(struct smb2_message *message);
/* Ends a request that waited. */
void smb2__request_done(struct smb2_request *request, uint32_t status);
/* Runs a request that waited, and changed nothing, again; its session, share and file are those that it
 * found. */
void smb2__request_resume(struct smb2_request *request);
/* Sends STATUS_PENDING for a request that may wait long; CANCEL will find it. False: too many do already,
 * this one should end with STATUS_INSUFFICIENT_RESOURCES. */
bool smb2__request_pending(struct smb2_request *request);
/* Finds the open whose id is AT bytes into the body: STATUS_SUCCESS, STATUS_FILE_CLOSED.. */
uint32_t smb2__request_open_at(struct smb2_request *request, size_t at);
/* Sends what is written, encrypted by SESSION unless it is NULL. BUF: what WRITER writes to, behind
 * SMB2_HEADROOM bytes, or NULL, then its bytes are copied. False: that was not possible. */
bool smb2__send(struct smb2_conn *conn, struct smb2_session *session, const struct writer *writer,
                struct buf *buf) MUST_CHECK;
/* Sends LENGTH bytes of BUF at DATA, before which there is room for the frame's head. What is large goes to
 * the socket at once. */
void smb2__send_frame(struct smb2_conn *conn, struct buf *buf, uint8_t *data, size_t length);
/* Cancels what waits, forgets the connection. A CREATE that waits for breaks, and may be asked for again over
 * another channel, is kept by its session until they are over. */
void smb2__message_detach(struct smb2_message *message);
/* One that its session has kept. */
void smb2__message_forget(struct smb2_message *message);
void smb2__message_cancel(struct smb2_conn *conn, const struct smb2_header *header);

/* ---- large READs (smb2_read_slots.c) ---- */

/* May REQUEST begin? False: it waits, and is resumed when it may. */
bool smb2__read_slot_take(struct smb2_request *request) MUST_CHECK;
/* It has ended, or takes longer than what slots are for. Begins others: not from within a message. Fine
 * without a slot. */
void smb2__read_slot_give(struct smb2_request *request);
/* CONN may take replies again. */
void smb2__read_slots_ready(struct smb2_conn *conn);
/* CONN ends; its requests have left already. */
void smb2__read_slots_leave(struct smb2_conn *conn);
/* No connection is left. */
void smb2__read_slots_stop(struct smb_server *server);

/* ---- channel sequence (smb2_replay.c) ---- */

/* Counts the request among those of its open: STATUS_SUCCESS, or STATUS_FILE_NOT_AVAILABLE when it may have
 * been overtaken (MS-SMB2 3.3.5.2.10). */
uint32_t smb2__replay_begin(struct smb2_request *request);
void smb2__replay_end(struct smb2_request *request);

/* The LOCK with this LockSequence was done already (MS-SMB2 3.3.5.14); it is done now. */
bool smb2__replay_lock_is_done(const struct smb2_request *request, uint32_t sequence);
void smb2__replay_lock_done(const struct smb2_request *request, uint32_t sequence);

/* ---- opens that outlive their connection (smb2_durable.c) ---- */

/* The session of OPEN ends: does the open stay? */
bool smb2__durable_park(struct smb2_open *open);
/* OPEN ends: takes it from the tables here. */
void smb2__durable_forget(struct smb2_open *open);
/* The cache of an open, or of all that have a lease, is wanted by somebody else, and nobody can be asked.
 * True: the open, or the lease with its last one, is gone. */
bool smb2__durable_break(struct smb2_open *open);
bool smb2__durable_break_lease(struct smb2_lease *lease);
/* LEASE, which nobody can be told of, has an open whose client is to have the time of a break to come back.
 */
bool smb2__durable_may_return(const struct smb2_lease *lease);
/* Into the session of REQUEST. */
uint32_t smb2__durable_take_up(struct smb2_request *request, struct smb2_open *open);
/* Ends the parked opens of MACHINE; of all. */
void smb2__durable_end_machine(const struct smb2_client *machine);
void smb2__durable_end_all(struct smb_server *server);

/* ---- opens that outlive the server (smb2_persist.c) ---- */

/* OPEN, with all that it has by now, is to be recorded; false: that can't be. */
bool smb2__persist_begin(struct smb2_open *open) MUST_CHECK;
/* It ends: so does its record, unless the open is left. Its ranges are still there. */
void smb2__persist_end(struct smb2_open *open);
/* It is not as recorded any more: now; soon, for callers that may only take notes. */
void smb2__persist_update(struct smb2_open *open);
void smb2__persist_note(struct smb2_open *open);
/* Its ranges of this OFFSET and LENGTH, as they are now; its numbers of LOCK requests. */
enum err smb2__persist_range(const struct smb2_open *open, uint64_t offset, uint64_t length) ERR_MUST_CHECK;
enum err smb2__persist_numbers(const struct smb2_open *open) ERR_MUST_CHECK;
/* Does its client have it again? Then it is no longer missing. */
void smb2__persist_returned(struct smb2_open *open);
void smb2__persist_stop(struct smb_server *server);

/* ---- for commands ---- */

static inline struct writer *smb2_reply(struct smb2_request *request)
{
    return &request->message->replies;
}
/* Tells that LENGTH bytes of payload come into the reply. Where it is the message's last one, and large, it
 * goes to a buffer that is sent without being copied. */
void smb2__reply_large(struct smb2_request *request, size_t length);
/* Where the reply is now, counted from its header. */
static inline size_t smb2_reply_offset(const struct smb2_request *request)
{
    return request->message->replies.length - request->reply_at;
}
/* The part of the request at OFFSET (from its header); false when it is not in it. */
bool smb2__request_part(const struct smb2_request *request, uint32_t offset, uint32_t length,
                        struct reader *part_r) MUST_CHECK;
/* Before and after a change by an open that was told to leave times alone. */
void smb2__times_note(struct smb2_request *request);
void smb2__times_keep(struct smb2_request *request);
/* Fills in context for the user and share: STATUS_SUCCESS or why not. */
uint32_t smb2__request_context(struct smb2_request *request);
/* The bytes behind a failure; a failure to keep them leaves them out. */
void smb2__request_error_data(struct smb2_request *request, const void *data, size_t length);
/* Waits until what CONTEXT did is durable and ends the request with STATUS. */
uint32_t smb2__request_durable(struct smb2_request *request, uint32_t status);
uint32_t smb2__status(enum err err);

/* MS-FSCC 2.6 */
enum smb2_kept { SMB2_KEEP_ACCESS = 1, SMB2_KEEP_WRITE = 2, SMB2_KEEP_CHANGE = 4 };

enum {
    SMB2_ATTRIBUTE_READONLY = 0x01,
    SMB2_ATTRIBUTE_HIDDEN = 0x02,
    SMB2_ATTRIBUTE_SYSTEM = 0x04,
    SMB2_ATTRIBUTE_ARCHIVE = 0x20,
    SMB2_ATTRIBUTE_DIRECTORY = 0x10,
    SMB2_ATTRIBUTE_NORMAL = 0x80,
    SMB2_ATTRIBUTE_TEMPORARY = 0x100,
    SMB2_ATTRIBUTE_SPARSE = 0x200,
    SMB2_ATTRIBUTE_REPARSE_POINT = 0x400,
    SMB2_ATTRIBUTE_SETTABLE =
        0x3127, /* read-only, hidden, system, archive, temporary, offline, not indexed */
};
/* MS-SMB2 2.2.13.1 */
enum {
    SMB2_ACCESS_READ_DATA = 0x1,
    SMB2_ACCESS_WRITE_DATA = 0x2,
    SMB2_ACCESS_APPEND_DATA = 0x4,
    SMB2_ACCESS_READ_EA = 0x8,
    SMB2_ACCESS_WRITE_EA = 0x10,
    SMB2_ACCESS_EXECUTE = 0x20,
    SMB2_ACCESS_DELETE_CHILD = 0x40,
    SMB2_ACCESS_READ_ATTRIBUTES = 0x80,
    SMB2_ACCESS_WRITE_ATTRIBUTES = 0x100,
    SMB2_ACCESS_DELETE = 0x10000,
    SMB2_ACCESS_READ_CONTROL = 0x20000,
    SMB2_ACCESS_WRITE_DAC = 0x40000,
    SMB2_ACCESS_WRITE_OWNER = 0x80000,
    SMB2_ACCESS_SYNCHRONIZE = 0x100000,
    SMB2_ACCESS_ALL = 0x1f01ff,
    SMB2_ACCESS_ANY_WRITE = SMB2_ACCESS_WRITE_DATA | SMB2_ACCESS_APPEND_DATA,
};
/* Where a name is: the directory with a reference (NULL: it is the root itself), and the last part. */
struct smb2_place {
    struct inode *dir;
    uint8_t name[STORE_NAME_MAX];
    size_t length;
    /* MS-FSCC 2.1.5: of "name:stream:$DATA" the stream; 0: the file itself */
    uint8_t stream[STORE_NAME_MAX];
    size_t stream_length;
    bool is_data;   /* it was called "name::$DATA" or by a stream: no directory as such */
    bool is_index;  /* it was called "name::$INDEX_ALLOCATION": a directory */
    char *dir_path; /* of DIR, as stored; malloc */
    struct inode
        *link; /* STATUS_STOPPED_ON_SYMLINK: the link, with a reference, and how many bytes of the path */
    size_t unparsed; /* lie behind it */
};
void smb2__place_free(struct smb2_place *place);
/* Walks PATH (UTF-16LE, separated by backslashes) down to its last part, without regard to case. On failure
 * only LINK has to be looked at, and smb2__place_free called, too. */
uint32_t smb2__path_walk(struct vfs_context *context, const void *path, size_t length,
                         struct smb2_place *place_r);
uint32_t smb2__attributes(const struct inode_attr *attr);
/* What is said of an open: of a stream its size, and its file's attributes. */
void smb2__open_attr(const struct smb2_open *open, struct inode_attr *attr_r);
/* The file, also of an open of one of its streams. */
static inline struct inode *smb2_open_file(const struct smb2_open *open)
{
    return open->base != NULL ? open->base : open->inode;
}
uint64_t smb2__allocation(const struct inode_attr *attr);
uint64_t smb2__end_of_file(const struct inode_attr *attr);
/* Creation, access, write and change time. */
void smb2__write_times(struct writer *writer, const struct inode_attr *attr);
/* Does the name (UTF-8) fit PATTERN, without regard to case? MS-FSA 2.1.4.4 */
bool smb2__name_matches(struct store_name name, struct store_name pattern);
/* Can the name be shown to SMB clients? */
bool smb2__name_is_usable(struct store_name name);

/* Does the request's credit charge pay for LENGTH bytes? MS-SMB2 3.3.5.2.5 */
bool smb2__is_paid(const struct smb2_request *request, uint32_t length);

uint32_t smb2__negotiate(struct smb2_request *request);
/* An SMB1 NEGOTIATE that offers SMB2; false: it does not. */
bool smb2__negotiate_smb1(struct smb2_conn *conn, const uint8_t *data, size_t length) MUST_CHECK;
void smb2__negotiate_body(const struct smb2_conn *conn, struct writer *writer, uint16_t dialect);
enum { SMB2_CAPABILITY_PERSISTENT_HANDLES = 0x10, SMB2_CAPABILITY_DIRECTORY_LEASING = 0x20 };
uint32_t smb2__capabilities(const struct smb2_conn *conn, uint16_t dialect);
uint32_t smb2__session_setup(struct smb2_request *request);
uint32_t smb2__logoff(struct smb2_request *request);
uint32_t smb2__tree_connect(struct smb2_request *request);
uint32_t smb2__tree_disconnect(struct smb2_request *request);
uint32_t smb2__echo(struct smb2_request *request);
uint32_t smb2__create(struct smb2_request *request);
uint32_t smb2__close(struct smb2_request *request);
uint32_t smb2__read(struct smb2_request *request);
uint32_t smb2__write(struct smb2_request *request);
uint32_t smb2__flush(struct smb2_request *request);
uint32_t smb2__query_directory(struct smb2_request *request);
uint32_t smb2__query_info(struct smb2_request *request);
uint32_t smb2__set_info(struct smb2_request *request);
uint32_t smb2__lock(struct smb2_request *request);
uint32_t smb2__ioctl(struct smb2_request *request);
uint32_t smb2__change_notify(struct smb2_request *request);
/* The open of a watched directory is over: ends what waits for changes. */
void smb2__notify_end(struct smb2_open *open);
/* INODE is going to be deleted: nobody need wait for changes in it. */
void smb2__notify_deleted(struct smb_server *server, struct inode *inode);
uint32_t smb2__pipe_create(struct smb2_request *request);
uint32_t smb2__pipe_close(struct smb2_request *request);
uint32_t smb2__pipe_flush(struct smb2_request *request);
uint32_t smb2__pipe_read(struct smb2_request *request);
uint32_t smb2__pipe_write(struct smb2_request *request);
uint32_t smb2__pipe_query_info(struct smb2_request *request);
uint32_t smb2__pipe_set_info(struct smb2_request *request);
/* The open of a pipe is over: ends what waits for it, and frees it. */
void smb2__pipe_end(struct smb2_open *open);
uint32_t smb2__oplock_break(struct smb2_request *request);

/* Signing enabled, and required unless the options let clients leave it. */
static inline uint16_t smb2_security_mode(const struct smb_server *server)
{
    return server->options.signing_optional ? 1 : 3;
}

#endif
