/*
 * server_priv.h - the service as a whole: what is started in which order, and how it ends.
 */
#ifndef DITTOFS_DAEMON_SERVER_H
#define DITTOFS_DAEMON_SERVER_H

#include "daemon/config_priv.h"

/* Serves until a signal stops it. CONFIG is taken over. Returns the process's exit status. */
int server_run(struct config *config);

/* --check: examines the store of CONFIG; findings go to stdout. Exit status 0 clean, 1 findings, 2 could not
 * be examined. */
int server_check(const struct config *config);

/* `user WORDS`: lists (as a table or JSON) or changes the users kept in the store of CONFIG, by way of the
 * daemon that serves it, if there is one. Exit status 0 done, 1 not, 2 the words are not understood. */
int server_users(const struct config *config, int count, char **words, bool json);

#endif
