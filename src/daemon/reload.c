/*
 * reload.c - taking over a changed configuration file while serving.
 *
 * Everything that can fail comes first: reading the file, then the exports, which vfs takes all or none.
 * What can't fail (the log level) follows. So a wrong file changes nothing.
 */
#include "daemon/reload_priv.h"
#include "daemon/smb_service_priv.h"

#include <stdio.h>
#include <stdlib.h>

enum err reload_apply_exports(struct vfs *vfs, const struct config *config)
{
    struct vfs_export_config *exports = calloc(config->export_count + 1, sizeof *exports);
    enum err err;

    if (exports == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < config->export_count; i++)
        exports[i] = config->exports[i]->config;
    err = vfs_exports_set(vfs, exports, config->export_count);
    free(exports);
    return err;
}

static void log_difference(void *data, const char *key)
{
    (void)data;
    log_warning("reload: \"%s\" has changed; that takes effect at the next start", key);
}

enum err reload_config(const struct config *started, struct vfs *vfs, struct smb_server *smb, char *reason)
{
    struct smb_shares *shares = NULL;
    struct config *fresh;
    enum err err = config_load(started->path, &fresh, reason);

    if (err != ERR_OK) {
        log_error("reload: %s; nothing is changed", reason);
        return err;
    }
    err = smb_service_shares(fresh, &shares);
    if (err == ERR_OK)
        err = reload_apply_exports(vfs, fresh);
    if (err == ERR_OK) {
        if (smb != NULL) {
            smb_server_use_shares(smb, shares);
            shares = NULL;
        }
        log_set_level(fresh->log_level);
        config_differences(started, fresh, log_difference, NULL);
        log_info("reload: %s is in effect, %zu export%s", fresh->path, fresh->export_count,
                 fresh->export_count == 1 ? "" : "s");
    } else {
        snprintf(reason, CONFIG_REASON_MAX, "the exports can't be applied: %s", err_text(err));
        log_error("reload: %s; nothing is changed", reason);
    }
    smb_shares_free(&shares);
    config_free(&fresh);
    return err;
}
