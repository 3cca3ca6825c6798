/*
 * options.c - the command line.
 */
#include "daemon/options_priv.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

void options_print_help(void)
{
    printf("usage: dittofsd [-c FILE] [-f] [-t | --check]\n"
           "       dittofsd [-c FILE] user add NAME UID GID [GID]... | passwd NAME | remove NAME | list\n"
           "\n"
           "  -c, --config FILE  read FILE instead of " OPTIONS_DEFAULT_CONFIG "\n"
           "  -f, --foreground   stay in the foreground and log to stderr\n"
           "  -t, --test         check the configuration and exit: 0 when it is good, else 1\n"
           "      --check        examine the store, which nobody may have open, and exit:\n"
           "                     0 clean, 1 with findings on stdout, 2 could not be examined\n"
           "      --version      print the version and exit\n"
           "  -h, --help         print this and exit\n"
           "\n"
           "SIGHUP reads the configuration again, SIGUSR1 logs figures, SIGTERM and SIGINT stop.\n"
           "See dittofsd(8) and dittofs.conf(5).\n");
}

struct options options_parse(int argc, char **argv)
{
    enum { OPTION_CHECK = 256, OPTION_VERSION };
    static const struct option names[] = {
        {"config", required_argument, NULL, 'c'},
        {"foreground", no_argument, NULL, 'f'},
        {"test", no_argument, NULL, 't'},
        {"check", no_argument, NULL, OPTION_CHECK},
        {"version", no_argument, NULL, OPTION_VERSION},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct options options = {.action = OPTIONS_RUN, .config_path = OPTIONS_DEFAULT_CONFIG};
    int option;

    optind = 0;
    while ((option = getopt_long(argc, argv, "c:fth", names, NULL)) != -1) {
        enum options_action action = OPTIONS_RUN;

        switch (option) {
        case 'c':
            options.config_path = optarg;
            break;
        case 'f':
            options.foreground = true;
            break;
        case 't':
            action = OPTIONS_TEST_CONFIG;
            break;
        case OPTION_CHECK:
            action = OPTIONS_CHECK_STORE;
            break;
        case OPTION_VERSION:
            action = OPTIONS_VERSION;
            break;
        case 'h':
            action = OPTIONS_HELP;
            break;
        default: /* getopt_long has said why */
            options.action = OPTIONS_WRONG;
            return options;
        }
        if (action != OPTIONS_RUN && options.action != OPTIONS_RUN && action != options.action) {
            fprintf(stderr, "dittofsd: only one of --test, --check, --version and --help\n");
            options.action = OPTIONS_WRONG;
            return options;
        }
        if (action != OPTIONS_RUN)
            options.action = action;
    }
    if (optind < argc && strcmp(argv[optind], "user") == 0 && options.action == OPTIONS_RUN) {
        options.action = OPTIONS_USERS;
        options.words = argv + optind + 1;
        options.word_count = argc - optind - 1;
        return options;
    }
    if (optind < argc) {
        fprintf(stderr, "dittofsd: unexpected argument \"%s\"\n", argv[optind]);
        options.action = OPTIONS_WRONG;
    }
    return options;
}
