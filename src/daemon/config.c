/*
 * config.c - reads the configuration file.
 *
 * libinih cuts the file into sections, keys and values. What it leaves out is done by the reader that it
 * calls for each line: counting lines (its handler does not get their numbers), sections without keys,
 * sections given twice, and indented lines, which are continuations only when they hold no "=" (smb.conf
 * files indent their keys). A key is parsed when the next one, a section or the end follows, as a value may
 * go on over several lines.
 *
 * The first thing that is wrong ends it with "FILE:LINE: reason". Unknown sections and keys, keys given
 * twice and values out of range are all wrong.
 */
#include "daemon/config_priv.h"

#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { VALUE_BYTES = 16384 };

/* ---- keys ---- */

static const struct config_word log_levels[] = {
    {"error", LOG_LEVEL_ERROR},
    {"warning", LOG_LEVEL_WARNING},
    {"info", LOG_LEVEL_INFO},
    {"debug", LOG_LEVEL_DEBUG},
    {NULL, 0},
};
static const struct config_word rpcbind_modes[] = {
    {"auto", ONC_PORTMAP_AUTO},
    {"yes", ONC_PORTMAP_REGISTER},
    {"serve", ONC_PORTMAP_SERVE},
    {"no", ONC_PORTMAP_OFF},
    {NULL, 0},
};
static const struct config_word squashes[] = {
    {"none", VFS_SQUASH_NONE},
    {"root", VFS_SQUASH_ROOT},
    {"all", VFS_SQUASH_ALL},
    {NULL, 0},
};
/* What this version can do; more words come with the rooms that serve them. */
static const struct config_word securities[] = {{"sys", VFS_SEC_SYS}, {NULL, 0}};
static const struct config_word protocols[] = {
    {"nfs3", VFS_NFS3}, {"nfs4", VFS_NFS4}, {"smb", VFS_SMB}, {NULL, 0}};

static const struct config_word encryptions[] = {{"off", SMB_ENCRYPT_OFF},
                                                 {"desired", SMB_ENCRYPT_DESIRED},
                                                 {"required", SMB_ENCRYPT_REQUIRED},
                                                 {NULL, 0}};
/* Words for booleans. */
static const struct config_word signings[] = {{"required", false}, {"enabled", true}, {NULL, 0}};
static const struct config_word guest_maps[] = {{"never", false}, {"bad user", true}, {NULL, 0}};

#define GLOBAL(member)  .offset = offsetof(struct config, member)
#define EXPORT(member)  .offset = offsetof(struct config_export, member)
#define KIB             ((uint64_t)1 << 10)
#define MIB             ((uint64_t)1 << 20)
#define GIB             ((uint64_t)1 << 30)
#define TIB             ((uint64_t)1 << 40)
#define RANGE(from, to) .least = (from), .most = (to)

static const struct config_key global_keys[] = {
    {.name = "state dir", .parse = config__parse_string, GLOBAL(state_dir)},
    {.name = "control mode", .parse = config__parse_mode, GLOBAL(control_mode)},
    {.name = "listen", .parse = config__parse_listen, GLOBAL(listen)},
    {.name = "nfs port", .parse = config__parse_port, GLOBAL(nfs_port)},
    {.name = "mountd port", .parse = config__parse_port, GLOBAL(mountd_port)},
    {.name = "nlm port", .parse = config__parse_port, GLOBAL(nlm_port)},
    {.name = "statd port", .parse = config__parse_port, GLOBAL(statd_port)},
    {.name = "smb port", .parse = config__parse_port, GLOBAL(smb_port)},
    {.name = "rpcbind", .parse = config__parse_choice, GLOBAL(rpcbind), .words = rpcbind_modes},
    {.name = "lease time", .parse = config__parse_u32, GLOBAL(lease_time_s), RANGE(1, 3600)},
    {.name = "grace time", .parse = config__parse_u32, GLOBAL(grace_time_s), RANGE(0, 3600)},
    {.name = "id domain", .parse = config__parse_domain, GLOBAL(id_domain)},
    {.name = "delegations", .parse = config__parse_yes, GLOBAL(delegations)},
    {.name = "log level",
     .parse = config__parse_choice,
     GLOBAL(log_level),
     .words = log_levels,
     .live = true},
    {.name = "smb encrypt", .parse = config__parse_choice, GLOBAL(smb.encryption), .words = encryptions},
    {.name = "smb signing", .parse = config__parse_word, GLOBAL(smb.signing_optional), .words = signings},
    {.name = "map to guest", .parse = config__parse_word, GLOBAL(smb.guests), .words = guest_maps},
    {.name = "server string", .parse = config__parse_string, GLOBAL(server_string)},
    {.name = "workers", .parse = config__parse_u32, GLOBAL(workers), RANGE(1, 1024)},
    {.name = "max calls", .parse = config__parse_u32, GLOBAL(rpc.calls_total), RANGE(16, 1 << 20)},
    {.name = "max calls per connection",
     .parse = config__parse_u32,
     GLOBAL(rpc.calls_per_connection),
     RANGE(1, 1 << 16)},
    {.name = "max call memory", .parse = config__parse_size, GLOBAL(rpc.bytes_total), RANGE(16 * MIB, TIB)},
    {.name = "idle timeout", .parse = config__parse_seconds_as_ms, GLOBAL(rpc.idle_ms), RANGE(1, 86400)},
    {.name = "reply cache entries",
     .parse = config__parse_u32,
     GLOBAL(rpc.duplicate_cache_entries),
     RANGE(16, 1 << 24)},
    {.name = "reply cache size",
     .parse = config__parse_size,
     GLOBAL(rpc.duplicate_cache_bytes),
     RANGE(64 * KIB, TIB)},
    {.name = "inode cache", .parse = config__parse_u32, GLOBAL(store.inode_cache), RANGE(100, 1 << 28)},
    {.name = "name cache", .parse = config__parse_u32, GLOBAL(store.name_cache), RANGE(100, 1 << 28)},
    {.name = "database cache", .parse = config__parse_size, GLOBAL(store.page_cache_bytes), RANGE(MIB, TIB)},
    {.name = "block cache", .parse = config__parse_size, GLOBAL(store.block_cache_bytes), RANGE(MIB, TIB)},
    {.name = "segment size",
     .parse = config__parse_size,
     GLOBAL(store.segment_bytes),
     RANGE(16 * MIB, 2 * GIB)},
    {.name = "write queue",
     .parse = config__parse_size,
     GLOBAL(store.write_queue_bytes),
     RANGE(4 * MIB, TIB)},
    {.name = "disk reserve", .parse = config__parse_size, GLOBAL(store.reserve_bytes), RANGE(MIB, TIB)},
};

static const struct config_key export_keys[] = {
    {.name = "read only", .parse = config__parse_yes, EXPORT(config.read_only)},
    {.name = "sync", .parse = config__parse_yes, EXPORT(config.sync)},
    {.name = "async", .parse = config__parse_no, EXPORT(config.sync)},
    {.name = "hosts allow", .parse = config__parse_hosts, EXPORT(hosts_allow)},
    {.name = "hosts deny", .parse = config__parse_hosts, EXPORT(hosts_deny)},
    {.name = "squash", .parse = config__parse_choice, EXPORT(config.squash), .words = squashes},
    {.name = "anonuid", .parse = config__parse_u32, EXPORT(config.anonymous_uid), RANGE(0, UINT32_MAX - 1)},
    {.name = "anongid", .parse = config__parse_u32, EXPORT(config.anonymous_gid), RANGE(0, UINT32_MAX - 1)},
    {.name = "sec", .parse = config__parse_set, EXPORT(config.security), .words = securities},
    {.name = "protocols", .parse = config__parse_set, EXPORT(config.protocols), .words = protocols},
    {.name = "comment", .parse = config__parse_string, EXPORT(comment)},
    {.name = "browseable", .parse = config__parse_no, EXPORT(share.hidden)},
    {.name = "guest ok", .parse = config__parse_yes, EXPORT(share.guest_ok)},
    {.name = "persistent handles", .parse = config__parse_yes, EXPORT(share.persistent)},
    {.name = "valid users", .parse = config__parse_names, EXPORT(valid_users)},
    {.name = "hide dot files", .parse = config__parse_yes, EXPORT(share.hide_dot_files)},
    {.name = "hide files", .parse = config__parse_patterns, EXPORT(hide_files)},
    {.name = "hide unreadable", .parse = config__parse_yes, EXPORT(share.hide_unreadable)},
    {.name = "smb encrypt", .parse = config__parse_choice, EXPORT(share.encryption), .words = encryptions},
    {.name = "root owner", .parse = config__parse_u32, EXPORT(config.root_uid), RANGE(0, UINT32_MAX - 1)},
    {.name = "root group", .parse = config__parse_u32, EXPORT(config.root_gid), RANGE(0, UINT32_MAX - 1)},
    {.name = "root mode", .parse = config__parse_mode, EXPORT(config.root_mode)},
};

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))
_Static_assert(COUNT_OF(global_keys) <= CONFIG_KEYS_MAX, "one text and one line number a key");
_Static_assert(COUNT_OF(export_keys) <= CONFIG_KEYS_MAX, "one line number a key");

/* ---- the parser ---- */

struct parser {
    struct config *config;
    FILE *file;
    unsigned line; /* the last one read, from 1 */
    /* The section at hand: its keys and the struct they fill in; no keys before the first one. */
    const struct config_key *keys;
    size_t key_count;
    void *target;
    unsigned key_lines[CONFIG_KEYS_MAX]; /* where a key of the section was given; 0: not yet */
    unsigned global_line;                /* of [global], 0: not yet */
    /* The key whose value may still go on. */
    const struct config_key *pending;
    unsigned pending_line;
    char value[VALUE_BYTES];
    bool continued; /* the line at hand goes on with it */
    /* The first thing that was wrong. */
    unsigned failed_line; /* 0: nothing */
    char reason[CONFIG_REASON_MAX];
};

static bool fail(struct parser *parser, unsigned line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool fail(struct parser *parser, unsigned line, const char *format, ...)
{
    va_list arguments;

    if (parser->failed_line == 0) {
        parser->failed_line = line;
        va_start(arguments, format);
        vsnprintf(parser->reason, sizeof parser->reason, format, arguments);
        va_end(arguments);
    }
    return false;
}

/* Parses the key at hand, now that its value is complete. */
static bool finish_key(struct parser *parser)
{
    const struct config_key *key = parser->pending;
    char reason[CONFIG_REASON_MAX];

    parser->pending = NULL;
    if (key == NULL)
        return true;
    if (parser->value[0] == '\0')
        return fail(parser, parser->pending_line, "%s: the value is missing", key->name);
    if (!key->parse(key, parser->value, (char *)parser->target + key->offset, reason))
        return fail(parser, parser->pending_line, "%s", reason);
    if (parser->keys == global_keys) {
        char **text = &parser->config->texts[key - global_keys];

        *text = strdup(parser->value);
        if (*text == NULL)
            return fail(parser, parser->pending_line, "out of memory");
    }
    return true;
}

static bool begin_key(struct parser *parser, const char *name)
{
    for (size_t i = 0; i < parser->key_count; i++) {
        const struct config_key *key = &parser->keys[i];

        if (strcasecmp(key->name, name) != 0)
            continue;
        for (size_t j = 0; j < parser->key_count; j++) {
            if (parser->keys[j].offset == key->offset && parser->key_lines[j] != 0)
                return fail(parser, parser->line, "%s: given twice, first in line %u%s%s", name,
                            parser->key_lines[j], i == j ? "" : " as ", i == j ? "" : parser->keys[j].name);
        }
        parser->key_lines[i] = parser->line;
        parser->pending = key;
        parser->pending_line = parser->line;
        parser->value[0] = '\0';
        return true;
    }
    if (parser->keys == NULL)
        return fail(parser, parser->line, "%s: stands before the first section", name);
    return fail(parser, parser->line, "%s: unknown key", name);
}

/* libinih's handler; 0 says that something is wrong. */
static int on_key(void *data, const char *section, const char *name, const char *value)
{
    struct parser *parser = data;
    size_t used;

    (void)section; /* cut off at 50 bytes; begin_section has the whole name */
    if (parser->failed_line != 0)
        return 0;
    if (!parser->continued && (!finish_key(parser) || !begin_key(parser, name)))
        return 0;
    used = strlen(parser->value);
    if (used + 1 + strlen(value) >= sizeof parser->value)
        return fail(parser, parser->line, "%s: the value is too long", name);
    snprintf(parser->value + used, sizeof parser->value - used, "%s%s", used > 0 ? " " : "", value);
    return 1;
}

static bool begin_global(struct parser *parser)
{
    if (parser->global_line != 0)
        return fail(parser, parser->line, "[global]: given twice, first in line %u", parser->global_line);
    parser->global_line = parser->line;
    parser->keys = global_keys;
    parser->key_count = COUNT_OF(global_keys);
    parser->target = parser->config;
    return true;
}

static bool check_export_name(struct parser *parser, const char *name)
{
    size_t length = strlen(name);

    if (length == 0 || length > CONFIG_EXPORT_NAME_MAX)
        return fail(parser, parser->line, "an export's name has 1 to %d bytes", CONFIG_EXPORT_NAME_MAX);
    for (const char *at = name; *at != '\0'; at++) {
        if (*at == '/' || (unsigned char)*at < 0x20 || *at == 0x7f)
            return fail(parser, parser->line, "an export's name has no \"/\" and no control characters");
    }
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return fail(parser, parser->line, "an export can't be called \"%s\"", name);
    /* SMB share names know no case. */
    for (size_t i = 0; i < parser->config->export_count; i++) {
        const struct config_export *other = parser->config->exports[i];

        if (strcasecmp(other->name, name) == 0)
            return fail(parser, parser->line, "[export %s]: given twice, first in line %u", name,
                        other->line);
    }
    if (parser->config->export_count == CONFIG_EXPORTS_MAX)
        return fail(parser, parser->line, "more than %d exports", CONFIG_EXPORTS_MAX);
    return true;
}

static bool begin_export(struct parser *parser, const char *name)
{
    struct config *config = parser->config;
    struct config_export **grown, *export;

    if (!check_export_name(parser, name))
        return false;
    grown = realloc(config->exports, (config->export_count + 1) * sizeof(struct config_export *));
    if (grown == NULL)
        return fail(parser, parser->line, "out of memory");
    config->exports = grown;
    export = calloc(1, sizeof *export);
    if (export == NULL)
        return fail(parser, parser->line, "out of memory");
    config->exports[config->export_count++] = export;
    export->line = parser->line;
    export->config = (struct vfs_export_config){
        .sync = true,
        .squash = VFS_SQUASH_ROOT,
        .anonymous_uid = 65534,
        .anonymous_gid = 65534,
        .security = VFS_SEC_SYS,
        .protocols = VFS_NFS3 | VFS_NFS4,
        .root_mode = 0755,
    };
    export->name = strdup(name);
    if (export->name == NULL)
        return fail(parser, parser->line, "out of memory");
    parser->keys = export_keys;
    parser->key_count = COUNT_OF(export_keys);
    parser->target = export;
    return true;
}

static void trim(char **text)
{
    static const char white[] = " \t\r\n\f\v";
    size_t length;

    *text += strspn(*text, white);
    length = strlen(*text);
    while (length > 0 && strchr(white, (*text)[length - 1]) != NULL)
        (*text)[--length] = '\0';
}

/* LINE begins with "[" and is a copy. */
static bool begin_section(struct parser *parser, char *line)
{
    static const char export_word[] = "export";
    char *name = line + 1, *end = strchr(line, ']');

    if (!finish_key(parser))
        return false;
    if (end == NULL)
        return fail(parser, parser->line, "the section's \"]\" is missing");
    *end++ = '\0';
    trim(&name);
    trim(&end);
    if (*end != '\0' && *end != ';' && *end != '#')
        return fail(parser, parser->line, "\"%.80s\" stands behind a section's \"]\"", end);
    memset(parser->key_lines, 0, sizeof parser->key_lines);
    if (strcasecmp(name, "global") == 0)
        return begin_global(parser);
    if (strncasecmp(name, export_word, strlen(export_word)) == 0 &&
        (name[strlen(export_word)] == ' ' || name[strlen(export_word)] == '\t')) {
        name += strlen(export_word);
        trim(&name);
        return begin_export(parser, name);
    }
    return fail(parser, parser->line, "[%.80s]: unknown section; there are [global] and [export NAME]", name);
}

static void strip_front(char *line, size_t count)
{
    memmove(line, line + count, strlen(line + count) + 1);
}

/* libinih does this in a key's first line only. */
static void cut_comment(char *line)
{
    for (char *at = line; *at != '\0'; at++) {
        if (*at == ';' && (at == line || at[-1] == ' ' || at[-1] == '\t')) {
            *at = '\0';
            return;
        }
    }
}

/* libinih's reader: fgets with an eye on what libinih does not tell. NULL ends the parsing. */
static char *read_line(char *line, int size, void *data)
{
    struct parser *parser = data;
    size_t length, indent;

    parser->continued = false;
    if (parser->failed_line != 0 || fgets(line, size, parser->file) == NULL)
        return NULL;
    parser->line++;
    length = strlen(line);
    if ((length == 0 || line[length - 1] != '\n') && !feof(parser->file)) {
        fail(parser, parser->line,
             "longer than %d bytes (a list may go on in an indented line), or with a zero byte", size - 2);
        return NULL;
    }
    if (parser->line == 1 && strncmp(line, "\xEF\xBB\xBF", 3) == 0)
        strip_front(line, 3);
    indent = strspn(line, " \t");
    if (line[indent] == '[') {
        char copy[1024];

        strip_front(line, indent);
        snprintf(copy, sizeof copy, "%s", line);
        return begin_section(parser, copy) ? line : NULL;
    }
    parser->continued = indent > 0 && strchr(line, '=') == NULL && parser->pending != NULL;
    if (parser->continued)
        cut_comment(line + indent);
    else
        strip_front(line, indent);
    return line;
}

static bool parse_file(struct parser *parser)
{
    int line = ini_parse_stream(read_line, parser, on_key, parser);

    if (parser->failed_line == 0 && ferror(parser->file))
        return fail(parser, parser->line + 1, "can't be read: %s", strerror(errno));
    if (line > 0 && (parser->failed_line == 0 || (unsigned)line < parser->failed_line)) {
        parser->failed_line = 0;
        return fail(parser, (unsigned)line, "neither a section, a key with its value nor a comment");
    }
    if (line < 0)
        return fail(parser, parser->line, "out of memory");
    return parser->failed_line == 0 && finish_key(parser);
}

/* ---- the whole ---- */

static bool set_defaults(struct config *config, const char *path)
{
    config->nfs_port = (struct config_port){.on = true, .number = 2049};
    config->mountd_port = (struct config_port){.on = true, .number = 20048};
    config->nlm_port = config->statd_port = (struct config_port){.on = true, .number = 0};
    config->rpcbind = ONC_PORTMAP_AUTO;
    config->lease_time_s = 90;
    config->grace_time_s = 90;
    config->delegations = true;
    config->log_level = LOG_LEVEL_INFO;
    config->path = strdup(path);
    config->state_dir = strdup("/var/lib/dittofs");
    config->control_mode = 0600;
    return config->path != NULL && config->state_dir != NULL;
}

/* What depends on the whole file. */
static bool complete(struct config *config)
{
    static const char *const everywhere[] = {"0.0.0.0", "::"};

    config->listen_given = config->listen.count > 0;
    config->smb.comment = config->server_string;
    for (size_t i = 0; i < 2 && !config->listen_given; i++) {
        config->listen.addresses[i] = strdup(everywhere[i]);
        if (config->listen.addresses[i] == NULL)
            return false;
        config->listen.count++;
    }
    for (size_t i = 0; i < config->export_count; i++) {
        struct config_export *export = config->exports[i];

        export->config.name = export->name;
        export->config.hosts_allow = export->hosts_allow.rules;
        export->config.hosts_allow_count = export->hosts_allow.count;
        export->config.hosts_deny = export->hosts_deny.rules;
        export->config.hosts_deny_count = export->hosts_deny.count;
        export->share.name = export->name;
        export->share.comment = export->comment;
        export->share.valid_users = (const char *const *)export->valid_users.names;
        export->share.valid_user_count = export->valid_users.count;
        export->share.hide_files = (const char *const *)export->hide_files.names;
        export->share.hide_file_count = export->hide_files.count;
    }
    return true;
}

enum err config_load(const char *path, struct config **config_r, char *reason)
{
    struct parser *parser = calloc(1, sizeof *parser);
    struct config *config = calloc(1, sizeof *config);
    enum err err = ERR_CONFIG;

    snprintf(reason, CONFIG_REASON_MAX, "%s: out of memory", path);
    if (parser == NULL || config == NULL || !set_defaults(config, path))
        goto out;
    parser->config = config;
    parser->file = fopen(path, "re");
    if (parser->file == NULL) {
        snprintf(reason, CONFIG_REASON_MAX, "%s: can't be opened: %s", path, strerror(errno));
        goto out;
    }
    if (!parse_file(parser))
        snprintf(reason, CONFIG_REASON_MAX, "%s:%u: %.400s", path, parser->failed_line, parser->reason);
    else if (complete(config))
        err = ERR_OK;
    fclose(parser->file);
    if (err == ERR_OK) {
        *config_r = config;
        config = NULL;
    }
out:
    config_free(&config);
    free(parser);
    return err;
}

void config_free(struct config **config)
{
    struct config *gone = *config;

    *config = NULL;
    if (gone == NULL)
        return;
    for (size_t i = 0; i < gone->export_count; i++) {
        free(gone->exports[i]->name);
        free(gone->exports[i]->hosts_allow.rules);
        free(gone->exports[i]->hosts_deny.rules);
        config__free_names(&gone->exports[i]->valid_users);
        config__free_names(&gone->exports[i]->hide_files);
        free(gone->exports[i]->comment);
        free(gone->exports[i]);
    }
    free(gone->exports);
    for (size_t i = 0; i < gone->listen.count; i++)
        free(gone->listen.addresses[i]);
    for (size_t i = 0; i < CONFIG_KEYS_MAX; i++)
        free(gone->texts[i]);
    free(gone->server_string);
    free(gone->state_dir);
    free(gone->id_domain);
    free(gone->path);
    free(gone);
}

void config_differences(const struct config *from, const struct config *to,
                        void (*each)(void *data, const char *key), void *data)
{
    for (size_t i = 0; i < COUNT_OF(global_keys); i++) {
        const char *before = from->texts[i] != NULL ? from->texts[i] : "";
        const char *after = to->texts[i] != NULL ? to->texts[i] : "";

        if (!global_keys[i].live && strcmp(before, after) != 0)
            each(data, global_keys[i].name);
    }
}
