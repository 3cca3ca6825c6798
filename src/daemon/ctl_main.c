/*
 * ctl_main.c - dittofsctl: what the daemon holds, and what an administrator may do about it, from a shell.
 *
 * The configuration says where the daemon's state folder is, and the control socket is in it. Users can be
 * changed while nobody serves, too (server_users).
 */
#include "daemon/config_priv.h"
#include "daemon/ctl_priv.h"
#include "daemon/options_priv.h"
#include "daemon/server_priv.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_USAGE = 2 };

struct ctl_options {
    const char *config_path;
    bool json;
    char **words;
    int count;
};

static void print_help(FILE *file)
{
    fprintf(file, "usage: dittofsctl [-c FILE] [--json] COMMAND\n"
                  "\n"
                  "  status | stats                     how the daemon is\n"
                  "  clients | sessions | exports       who is there, and what is exported\n"
                  "  opens | locks | grants [PATH|CLIENT]\n"
                  "                                     what is held: of all, of a file, by a client\n"
                  "  grace                              who has not reclaimed yet\n"
                  "  grace end                          go on without them\n"
                  "  close OPEN | unlock HOLDER [OFFSET LENGTH] | revoke GRANT\n"
                  "  disconnect CLIENT|SESSION          take it away\n"
                  "  reload                             read the configuration again\n"
                  "  user add NAME UID GID [GID]... | passwd NAME | remove NAME | list\n"
                  "\n"
                  "  -c, --config FILE  the daemon's configuration, not " OPTIONS_DEFAULT_CONFIG "\n"
                  "      --json         answer as JSON\n"
                  "      --version, -h, --help\n"
                  "\n"
                  "See dittofsctl(8).\n");
}

/* False: the program is to end with *STATUS_R. */
static bool parse_options(int argc, char **argv, struct ctl_options *options, int *status_r)
{
    enum { OPTION_JSON = 256, OPTION_VERSION };
    static const struct option names[] = {
        {"config", required_argument, NULL, 'c'},
        {"json", no_argument, NULL, OPTION_JSON},
        {"version", no_argument, NULL, OPTION_VERSION},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;

    *options = (struct ctl_options){.config_path = OPTIONS_DEFAULT_CONFIG};
    *status_r = EXIT_SUCCESS;
    while ((option = getopt_long(argc, argv, "c:h", names, NULL)) != -1) {
        switch (option) {
        case 'c':
            options->config_path = optarg;
            break;
        case OPTION_JSON:
            options->json = true;
            break;
        case OPTION_VERSION:
            printf("dittofsctl %s\n", DITTOFS_VERSION);
            return false;
        case 'h':
            print_help(stdout);
            return false;
        default: /* getopt_long has said why */
            *status_r = EXIT_USAGE;
            return false;
        }
    }
    options->words = argv + optind;
    options->count = argc - optind;
    if (options->count > 0)
        return true;
    print_help(stderr);
    *status_r = EXIT_USAGE;
    return false;
}

static int ask(const struct ctl_options *options, const struct config *config)
{
    struct ctl_output output = {
        .file = stdout, .json = options->json, .view = ctl_view_of(options->words[0])};
    char reason[CTL_REASON_MAX] = "";
    struct ctl *ctl;
    enum err err = ctl_open(config->state_dir, &ctl);

    if (err != ERR_OK) {
        fprintf(stderr, "dittofsctl: %s: %s\n", config->state_dir,
                err == ERR_NOENT ? "no dittofsd serves from there" : err_text(err));
        return EXIT_FAILURE;
    }
    err = ctl_ask(ctl, options->words, (unsigned)options->count, ctl_show, &output, reason);
    if (err == ERR_OK && (output.items > 0 || output.view != NULL))
        ctl_show_end(&output);
    else if (err != ERR_OK)
        fprintf(stderr, "dittofsctl: %s\n", err == ERR_FAILED ? reason : err_text(err));
    ctl_close(&ctl);
    return err == ERR_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct ctl_options options;
    char reason[CONFIG_REASON_MAX];
    struct config *config;
    int status;

    if (!parse_options(argc, argv, &options, &status))
        return status;
    if (config_load(options.config_path, &config, reason) != ERR_OK) {
        fprintf(stderr, "dittofsctl: %s\n", reason);
        return EXIT_FAILURE;
    }
    log_set_level(LOG_LEVEL_ERROR);
    if (strcmp(options.words[0], "user") == 0)
        status = server_users(config, options.count - 1, options.words + 1, options.json);
    else
        status = ask(&options, config);
    config_free(&config);
    return status;
}
