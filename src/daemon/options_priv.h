/*
 * options_priv.h - the command line.
 */
#ifndef DITTOFS_DAEMON_OPTIONS_H
#define DITTOFS_DAEMON_OPTIONS_H

#include <stdbool.h>

#define OPTIONS_DEFAULT_CONFIG "/etc/dittofs.conf"

enum options_action {
    OPTIONS_RUN,         /* serve */
    OPTIONS_TEST_CONFIG, /* -t: check the configuration and exit */
    OPTIONS_CHECK_STORE, /* --check: examine the store and exit */
    OPTIONS_USERS,       /* user ...: list or change the users */
    OPTIONS_VERSION,
    OPTIONS_HELP,
    OPTIONS_WRONG /* the command line is not understood; said on stderr */
};

struct options {
    enum options_action action;
    const char *config_path;
    bool foreground;
    char **words; /* behind "user" */
    int word_count;
};

struct options options_parse(int argc, char **argv);
void options_print_help(void);

#endif
