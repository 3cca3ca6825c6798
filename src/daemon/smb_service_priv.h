/*
 * smb_service_priv.h - the SMB front-end on its port, and the users that it knows.
 */
#ifndef DITTOFS_DAEMON_SMB_SERVICE_H
#define DITTOFS_DAEMON_SMB_SERVICE_H

#include "daemon/config_priv.h"
#include "dittofs/identity.h"
#include "dittofs/smb.h"
#include "dittofs/state.h"

struct smb_service {
    struct ident_storage storage;
    struct identity *identity;
    struct smb_server *server;
    uint16_t port;               /* the real one; 0: off */
    const struct config *config; /* of the start */
};

/* The lists of users and groups kept in STORE. STORAGE must stay good. */
enum err smb_service_identity(struct store *store, struct ident_storage *storage,
                              struct identity **identity_r) ERR_MUST_CHECK;

/* Opens what CONFIG turns on; SERVICE is zeroed before. When it fails, the log says why, and
 * smb_service_shutdown and smb_service_close end what was opened. */
enum err smb_service_open(struct smb_service *service, struct loop *loop, struct store *store,
                          struct vfs *vfs, struct state *state, const struct config *config) ERR_MUST_CHECK;
/* What CONFIG says of shares, for smb_server_use_shares. */
enum err smb_service_shares(const struct config *config, struct smb_shares **shares_r) ERR_MUST_CHECK;
void smb_service_shutdown(struct smb_service *service, void (*done)(void *data), void *data);
/* After DONE, not inside it. */
void smb_service_close(struct smb_service *service);

#endif
