/*
 * smb2_grants.h - oplocks, leases, and what clients are told of their breaks.
 */
#ifndef DITTOFS_SMB_SMB2_GRANTS_H
#define DITTOFS_SMB_SMB2_GRANTS_H

#include "smb/smb2_priv.h"

/* The part of KINDS (enum grant_kind bits) that may stand beside what others have by rules of SMB alone. */
unsigned smb2__kinds_possible(const struct smb2_open *open, unsigned kinds, bool oplock);
/* Somebody has an oplock, and not a lease, on INODE of TREE's share. */
bool smb2__has_oplock(struct smb_server *server, const struct smb2_tree *tree, struct inode *inode);
/* Gives a new open as much of LEVEL as can be had. */
void smb2__oplock_grant(struct smb2_open *open, uint8_t level);
void smb2__oplock_leave(struct smb2_open *open);
uint32_t smb2__lease_acknowledge(struct smb2_request *request, struct reader *body);
/* OPEN is closed: its lease goes with the last one. */
void smb2__lease_leave(struct smb_server *server, struct smb2_open *open);
/* What an open had of caching before the restart, as far as it can be had: its lease, or its oplock. */
struct smb2_lease_kept {
    uint8_t version; /* 0: no lease */
    uint8_t key[SMB2_LEASE_KEY];
    uint16_t epoch;
    unsigned kinds; /* enum grant_kind bits */
};
void smb2__lease_restore(struct smb2_open *open, const struct smb2_lease_kept *kept);
void smb2__oplock_restore(struct smb2_open *open, uint8_t level, unsigned kinds);
/* What its lease is, and will be at most once a break that is under way is over. */
void smb2__lease_keep(const struct smb2_open *open, struct smb2_lease_kept *kept_r);

/* ---- breaks (smb2_notice.c) ---- */

enum { SMB2_BREAK_MAX = 44 };

/* A notification. */
struct smb2_break {
    bool is_lease;
    bool acknowledge; /* it must be acknowledged */
    size_t length;
    uint8_t body[SMB2_BREAK_MAX]; /* MS-SMB2 2.2.23.1, 2.2.23.2 */
};
enum { SMB2_BREAK_ID_AT = 8, SMB2_BREAK_ID = 16 }; /* of the file id or the lease's key in the body */
/* Over CONN, and over others of SESSION until the client has it. */
void smb2__notify(struct smb2_conn *conn, struct smb2_session *session, const struct smb2_break *told);
/* CONN, from which its channels are taken already, is gone. */
void smb2__notices_resend(struct smb2_conn *conn);

/* smb2_oplock.c, smb2_lease.c: is there still something to be told of? Of a lease: by which session, or NULL.
 */
bool smb2__oplock_owes(const struct smb2_session *session, const struct smb2_break *told);
struct smb2_session *smb2__lease_owes(const struct smb2_client *machine, const struct smb2_break *told);

/* smb2_send.c: sends it, once. */
void smb2__send_notification(struct smb2_conn *conn, struct smb2_session *session,
                             const struct smb2_break *told);

#endif
