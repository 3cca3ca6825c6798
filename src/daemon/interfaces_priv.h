/*
 * interfaces_priv.h - the host's network interfaces, as SMB clients may want to know them.
 */
#ifndef DITTOFS_DAEMON_INTERFACES_H
#define DITTOFS_DAEMON_INTERFACES_H

#include "daemon/config_priv.h"
#include "dittofs/smb.h"

/* Addresses of interfaces that are up, at most MOST; only those of LISTEN unless that is NULL. Loopback
 * addresses only when there are no others; none that are good on one link alone. */
size_t interfaces_list(const struct config_listen *listen, struct smb_interface *list, size_t most);

#endif
