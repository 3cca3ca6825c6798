/*
 * check.c - `dittofsd --check`: examines the store while nobody has it open.
 */
#include "daemon/server_priv.h"
#include "dittofs/disk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { CHECK_CLEAN = 0, CHECK_FINDINGS = 1, CHECK_NOT_EXAMINED = 2 };

static void print_finding(void *data, const char *finding)
{
    size_t *count = data;

    printf("%s\n", finding);
    ++*count;
}

int server_check(const struct config *config)
{
    struct disk *disk = NULL;
    size_t findings = 0;
    struct stat status;
    enum err err;

    /* Opening the folder would make it. */
    if (stat(config->state_dir, &status) != 0) {
        fprintf(stderr, "%s: %s\n", config->state_dir, strerror(errno));
        return CHECK_NOT_EXAMINED;
    }
    err = disk_open_folder(config->state_dir, &disk);
    if (err == ERR_OK) {
        err = store_check(disk, print_finding, &findings);
        disk_destroy(&disk);
    }
    switch (err) {
    case ERR_OK:
        printf("%s: clean\n", config->state_dir);
        return CHECK_CLEAN;
    case ERR_CORRUPT:
        printf("%s: %zu finding%s\n", config->state_dir, findings, findings == 1 ? "" : "s");
        return CHECK_FINDINGS;
    default:
        fprintf(stderr, "%s: can't be examined: %s\n", config->state_dir, err_text(err));
        return CHECK_NOT_EXAMINED;
    }
}
