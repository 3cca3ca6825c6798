/*
 * smb.h - the SMB 2 and 3 front-end (MS-SMB2): direct TCP listeners, and all that is served over them.
 *
 * Signed or encrypted always, unless the options say otherwise: guests, anonymous logons and SMB1 are
 * refused. Shares are the exports that have the protocol VFS_SMB. Everything is of the loop.
 */
#ifndef DITTOFS_SMB_H
#define DITTOFS_SMB_H

#include "dittofs/err.h"
#include "dittofs/identity.h"
#include "dittofs/net.h"
#include "dittofs/recovery.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vfs;
struct state;
struct identity;
struct smb_server;

enum smb_encryption {
    SMB_ENCRYPT_OFF,     /* as the client likes */
    SMB_ENCRYPT_DESIRED, /* clients that can are told to */
    SMB_ENCRYPT_REQUIRED /* what is not encrypted is refused */
};

/* An address that clients can reach us at, with what is known of its interface. */
struct smb_interface {
    uint32_t index;
    bool has_queues; /* several queues: worth several connections */
    uint64_t bits_per_second;
    struct net_address address;
};

struct smb_options {
    uint8_t server_guid[16];        /* the same at every start */
    enum smb_encryption encryption; /* of all sessions */
    bool signing_optional;          /* clients that don't insist may leave it */
    bool guests;                    /* users that are not known log on as guests */
    const char *comment;            /* of the server, in listings; NULL: none */
    /* Where persistent handles are recorded; copied. NULL: there are none. */
    const struct recovery_store *records;
    /* Fills in at most MOST; returns how many. NULL: clients are told nothing. */
    size_t (*interfaces)(void *data, struct smb_interface *list, size_t most);
    void *interfaces_data;
    uint16_t least_dialect; /* 0: 0x0202 */
    uint16_t most_dialect;  /* 0: 0x0311 */
    uint32_t connections;   /* most at a time; 0: 4096 */
    /* Who owes an answer to a break, and acknowledges nothing on a connection for five times this, is told
     * over another one; 0: 1 s. */
    uint64_t lost_tick_ms;
    /* Large requests are decrypted, and their signatures checked, on the loop, where their bytes are in the
     * processor's cache: for machines with so few processors that workers' time is the loop's, too. */
    bool open_on_loop;
};

/* What the configuration says of a share beyond its export. */
struct smb_share_config {
    const char *name;    /* the export's */
    const char *comment; /* NULL: none */
    bool hidden;         /* left out of listings */
    bool guest_ok;       /* guests may use it, as the export's anonymous user */
    bool persistent;     /* handles may outlive the server */
    enum smb_encryption encryption;
    bool hide_dot_files;            /* names that begin with a dot are shown with the attribute "hidden" */
    bool hide_unreadable;           /* listings leave out what their reader may not read */
    const char *const *valid_users; /* names, "@group", "@gid"; none: everybody */
    size_t valid_user_count;
    const char *const *hide_files; /* patterns of names that are shown as hidden, too */
    size_t hide_file_count;
};
struct smb_shares;
/* Copies CONFIGS. ERR_NOMEM. */
enum err smb_shares_new(const struct smb_share_config *configs, size_t count,
                        struct smb_shares **shares_r) ERR_MUST_CHECK;
/* NULL is fine; leaves NULL. */
void smb_shares_free(struct smb_shares **shares);

/* VFS, STATE and IDENTITY stay the caller's; OPTIONS are copied. ERR_NOMEM, ERR_NOTSUPP (libcrypto lacks what
 * NTLM needs). */
enum err smb_server_open(struct loop *loop, struct vfs *vfs, struct state *state, struct identity *identity,
                         const struct smb_options *options, struct smb_server **server_r) ERR_MUST_CHECK;
/* SHARES, which it takes over, replace those before: in effect with the next request of everybody. */
void smb_server_use_shares(struct smb_server *server, struct smb_shares *shares);
/* What persistent handles held before the restart stands again, until their clients are back or their time is
 * over. Once, when shares are known, and before anybody is served, by whatever protocol. */
enum err smb_server_restore(struct smb_server *server) ERR_MUST_CHECK;
/* May be called for several addresses. Port 0 takes a free one; PORT_R gets the real one. */
enum err smb_server_listen(struct smb_server *server, const struct net_address *address,
                           uint16_t *port_r) ERR_MUST_CHECK;
/* ---- for administrators ---- */

struct smb_session_info {
    uint64_t id;
    const char *dialect; /* "SMB 3.1.1" */
    char user[IDENT_NAME_MAX + 1];
    struct net_address peer;
    uint32_t channels, trees, opens;
};
/* Walks the sessions by their ids: the first above AFTER (0: of all). False: there is none. */
bool smb_session_next(const struct smb_server *server, uint64_t after, struct smb_session_info *info_r);
/* A machine that had persistent handles before the restart, and is not back for some of them. */
struct smb_missing {
    const char *user; /* who opened one of them, from there */
    const struct net_address *peer;
    uint32_t opens;
    uint64_t left_ms; /* until the last of them goes */
};
/* EACH returns false to stop. */
void smb_missing_each(const struct smb_server *server,
                      bool (*each)(void *data, const struct smb_missing *missing), void *data);
/* Byte ranges were taken away by hand: those of persistent handles must not come back after a restart. */
enum err smb_server_locks_taken(struct smb_server *server) ERR_MUST_CHECK;
/* Ends a session with all that it holds, durable handles, too: ERR_NOENT. */
enum err smb_session_disconnect(struct smb_server *server, uint64_t id) ERR_MUST_CHECK;
/* The same for all sessions of USER, who may not log on any more. */
void smb_user_disconnect(struct smb_server *server, const char *user);

/* Ends listeners and connections; DONE is called, later or at once, when all requests in flight are back. */
void smb_server_shutdown(struct smb_server *server, void (*done)(void *data), void *data);
/* After DONE, not inside it. NULL is fine; leaves NULL. */
void smb_server_close(struct smb_server **server);

#endif
