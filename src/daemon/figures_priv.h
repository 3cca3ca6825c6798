/*
 * figures_priv.h - the counters of the rooms, as log lines (SIGUSR1).
 */
#ifndef DITTOFS_DAEMON_FIGURES_H
#define DITTOFS_DAEMON_FIGURES_H

#include "daemon/services_priv.h"
#include "dittofs/store.h"

void figures_log(struct store *store, const struct services *services);

#endif
