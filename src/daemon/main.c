/*
 * main.c - dittofsd: which of its tasks the command line asks for.
 */
#include "daemon/background_priv.h"
#include "daemon/config_priv.h"
#include "daemon/notify_priv.h"
#include "daemon/options_priv.h"
#include "daemon/server_priv.h"

#include <stdio.h>
#include <stdlib.h>

enum { EXIT_USAGE = 2, EXIT_NOT_EXAMINED = 2 };

/* systemd keeps us in the foreground by itself: it wants to be notified by the process that it started. */
static int serve(const struct options *options, struct config *config)
{
    log_set_level(config->log_level);
    if (!options->foreground && !notify_is_wanted() && background_begin() != ERR_OK) {
        log_error("can't go to the background");
        config_free(&config);
        return EXIT_FAILURE;
    }
    return server_run(config);
}

int main(int argc, char **argv)
{
    struct options options = options_parse(argc, argv);
    char reason[CONFIG_REASON_MAX];
    struct config *config;
    enum err err;
    int status;

    switch (options.action) {
    case OPTIONS_WRONG:
        fprintf(stderr, "Try dittofsd --help\n");
        return EXIT_USAGE;
    case OPTIONS_HELP:
        options_print_help();
        return EXIT_SUCCESS;
    case OPTIONS_VERSION:
        printf("dittofsd %s\n", DITTOFS_VERSION);
        return EXIT_SUCCESS;
    case OPTIONS_RUN:
    case OPTIONS_TEST_CONFIG:
    case OPTIONS_CHECK_STORE:
    case OPTIONS_USERS:
        break;
    }
    err = config_load(options.config_path, &config, reason);
    if (err != ERR_OK) {
        fprintf(stderr, "%s\n", reason);
        return options.action == OPTIONS_CHECK_STORE ? EXIT_NOT_EXAMINED : EXIT_FAILURE;
    }
    if (options.action == OPTIONS_RUN)
        return serve(&options, config);
    if (options.action == OPTIONS_CHECK_STORE) {
        status = server_check(config);
    } else if (options.action == OPTIONS_USERS) {
        status = server_users(config, options.word_count, options.words, false);
    } else {
        printf("%s: good, %zu export%s\n", config->path, config->export_count,
               config->export_count == 1 ? "" : "s");
        status = EXIT_SUCCESS;
    }
    config_free(&config);
    return status;
}
