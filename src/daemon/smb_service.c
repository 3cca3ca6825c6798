/*
 * smb_service.c - SMB on its port: users from the store, listeners on every address.
 */
#include "daemon/smb_service_priv.h"
#include "daemon/interfaces_priv.h"
#include "daemon/state_records_priv.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* With so few the loop and one client keep them busy. */
enum { PROCESSORS_FEW = 2 };

static enum err put(void *data, const char *table, const void *key, size_t key_length, const void *value,
                    size_t value_length)
{
    return store_record_put(data, table, key, key_length, value, value_length);
}

static enum err take_away(void *data, const char *table, const void *key, size_t key_length)
{
    return store_record_delete(data, table, key, key_length);
}

static enum err scan(void *data, const char *table,
                     bool (*each)(void *each_data, const void *key, size_t key_length, const void *value,
                                  size_t value_length),
                     void *each_data)
{
    return store_record_scan(data, table, each, each_data);
}

/* The first part of the host's name, as far as a NetBIOS name may have it. */
static void computer_name(char name[IDENT_COMPUTER_MAX + 1])
{
    char host[256];
    size_t length = 0;

    if (gethostname(host, sizeof host) != 0)
        host[0] = '\0';
    host[sizeof host - 1] = '\0';
    for (const char *at = host; *at != '\0' && *at != '.' && length < IDENT_COMPUTER_MAX; at++) {
        if (isalnum((unsigned char)*at) || *at == '-')
            name[length++] = (char)toupper((unsigned char)*at);
    }
    name[length] = '\0';
    if (length == 0)
        memcpy(name, "DITTOFS", sizeof "DITTOFS");
}

enum err smb_service_identity(struct store *store, struct ident_storage *storage,
                              struct identity **identity_r)
{
    char computer[IDENT_COMPUTER_MAX + 1];

    computer_name(computer);
    *storage = (struct ident_storage){.data = store, .put = put, .remove = take_away, .scan = scan};
    return ident_open(storage, computer, identity_r);
}

/* A host without IPv6 (or without IPv4) serves what it has, unless the configuration names the address. */
static enum err listen_everywhere(struct smb_service *service, const struct config *config)
{
    enum err first_failure = ERR_OK;
    size_t working = 0;

    service->port = config->smb_port.number;
    for (size_t i = 0; i < config->listen.count; i++) {
        const char *text = config->listen.addresses[i];
        struct net_address address;
        enum err err = net_address_parse(text, service->port, &address);

        if (err == ERR_OK)
            err = smb_server_listen(service->server, &address, &service->port);
        if (err == ERR_OK) {
            working++;
            continue;
        }
        log_write(config->listen_given ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING,
                  "smb: can't listen on %s port %u: %s", text, service->port, err_text(err));
        if (first_failure == ERR_OK)
            first_failure = err;
    }
    return working == 0 || config->listen_given ? first_failure : ERR_OK;
}

static size_t list_interfaces(void *data, struct smb_interface *list, size_t most)
{
    const struct smb_service *service = data;

    return interfaces_list(service->config->listen_given ? &service->config->listen : NULL, list, most);
}

enum err smb_service_shares(const struct config *config, struct smb_shares **shares_r)
{
    struct smb_share_config *configs = calloc(config->export_count + 1, sizeof *configs);
    enum err err;

    if (configs == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < config->export_count; i++)
        configs[i] = config->exports[i]->share;
    err = smb_shares_new(configs, config->export_count, shares_r);
    free(configs);
    return err;
}

static enum err use_shares(struct smb_service *service, const struct config *config)
{
    struct smb_shares *shares;
    enum err err = smb_service_shares(config, &shares);

    if (err == ERR_OK)
        smb_server_use_shares(service->server, shares);
    return err;
}

enum err smb_service_open(struct smb_service *service, struct loop *loop, struct store *store,
                          struct vfs *vfs, struct state *state, const struct config *config)
{
    struct recovery_store records = state_records(store);
    struct smb_options options = config->smb;
    enum err err;

    service->config = config;
    options.records = &records;
    options.interfaces = list_interfaces;
    options.interfaces_data = service;
    options.open_on_loop = sysconf(_SC_NPROCESSORS_ONLN) <= PROCESSORS_FEW;

    if (!config->smb_port.on)
        return ERR_OK;
    err = smb_service_identity(store, &service->storage, &service->identity);
    if (err == ERR_OK)
        err = store_secret(store, "smb server", options.server_guid, sizeof options.server_guid);
    if (err == ERR_OK)
        err = smb_server_open(loop, vfs, state, service->identity, &options, &service->server);
    if (err == ERR_OK)
        err = use_shares(service, config);
    if (err == ERR_OK)
        err = smb_server_restore(service->server);
    if (err == ERR_OK)
        err = listen_everywhere(service, config);
    if (err != ERR_OK)
        log_error("smb can't be started: %s", err_text(err));
    return err;
}

void smb_service_shutdown(struct smb_service *service, void (*done)(void *data), void *data)
{
    if (service->server != NULL)
        smb_server_shutdown(service->server, done, data);
    else
        done(data);
}

void smb_service_close(struct smb_service *service)
{
    smb_server_close(&service->server);
    ident_close(&service->identity);
}
