/*
 * fuzz_config.c - any bytes as a configuration file: either a complete configuration comes out, or a reason
 * that begins with the file's name. Two readings of the same bytes do not differ.
 */
#include "daemon/config_priv.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_export(const struct config_export *export)
{
    size_t length = strlen(export->config.name);

    invariant(length >= 1 && length <= CONFIG_EXPORT_NAME_MAX);
    invariant(memchr(export->config.name, '/', length) == NULL);
    invariant(export->config.security != 0 && export->config.protocols != 0);
    for (size_t i = 0; i < export->config.hosts_allow_count; i++)
        invariant(export->config.hosts_allow[i].prefix_bits <= 128);
}

static void never(void *data, const char *key)
{
    (void)data;
    panic(__FILE__, __LINE__, key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config *config = NULL, *again = NULL;
    char path[64], reason[CONFIG_REASON_MAX];
    int fd = memfd_create("config", 0);

    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        return 0;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (config_load(path, &config, reason) == ERR_OK) {
        invariant(config->listen.count >= 1 && config->listen.count <= CONFIG_LISTEN_MAX);
        for (size_t i = 0; i < config->export_count; i++)
            check_export(config->exports[i]);
        invariant(config_load(path, &again, reason) == ERR_OK);
        config_differences(config, again, never, NULL);
    } else {
        invariant(config == NULL);
        invariant(strncmp(reason, path, strlen(path)) == 0);
    }
    config_free(&config);
    config_free(&again);
    close(fd);
    return 0;
}
