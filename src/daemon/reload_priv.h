/*
 * reload_priv.h - taking over a changed configuration file while serving.
 */
#ifndef DITTOFS_DAEMON_RELOAD_H
#define DITTOFS_DAEMON_RELOAD_H

#include "daemon/config_priv.h"

/* Reads the file that the service was STARTED with again and applies exports and log level, all or nothing:
 * when the file is wrong everything stays, the log says why, and so does REASON of CONFIG_REASON_MAX bytes.
 * Keys that take effect at a start only are named in the log when they differ from STARTED. */
enum err reload_config(const struct config *started, struct vfs *vfs, struct smb_server *smb,
                       char *reason) ERR_MUST_CHECK;

/* The exports of CONFIG to VFS. */
enum err reload_apply_exports(struct vfs *vfs, const struct config *config) ERR_MUST_CHECK;

#endif
