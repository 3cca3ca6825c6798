/*
 * smb.h - the SMB 2 and 3 front-end (MS-SMB2): direct TCP listeners, and all that is served over them.
 *
 * Signed or encrypted always: guests, anonymous logons and SMB1 are refused. Shares are the exports that have
 * the protocol VFS_SMB. Everything is of the loop.
 */
#ifndef DITTOFS_SMB_H
#define DITTOFS_SMB_H

#include "dittofs/err.h"
#include "dittofs/net.h"
#include <stdbool.h>
#include <stdint.h>

struct vfs;
struct state;
struct identity;
struct smb_server;

struct smb_options {
    uint8_t server_guid[16];  /* the same at every start */
    bool encryption_required; /* clients that can't encrypt are refused */
    uint16_t least_dialect;   /* 0: 0x0202 */
    uint16_t most_dialect;    /* 0: 0x0311 */
    uint32_t connections;     /* most at a time; 0: 4096 */
};

/* VFS, STATE and IDENTITY stay the caller's; OPTIONS are copied. ERR_NOMEM, ERR_NOTSUPP (libcrypto lacks what
 * NTLM needs). */
enum err smb_server_open(struct loop *loop, struct vfs *vfs, struct state *state, struct identity *identity,
                         const struct smb_options *options, struct smb_server **server_r) ERR_MUST_CHECK;
/* May be called for several addresses. Port 0 takes a free one; PORT_R gets the real one. */
enum err smb_server_listen(struct smb_server *server, const struct net_address *address,
                           uint16_t *port_r) ERR_MUST_CHECK;
/* Ends listeners and connections; DONE is called, later or at once, when all requests in flight are back. */
void smb_server_shutdown(struct smb_server *server, void (*done)(void *data), void *data);
/* After DONE, not inside it. NULL is fine; leaves NULL. */
void smb_server_close(struct smb_server **server);

#endif
