/*
 * system_names_priv.h - names of users and groups as this host knows them (nsswitch.conf(5)).
 */
#ifndef DITTOFS_DAEMON_SYSTEM_NAMES_H
#define DITTOFS_DAEMON_SYSTEM_NAMES_H

#include "dittofs/nfs.h"

extern const struct nfs4_names system_names;

#endif
