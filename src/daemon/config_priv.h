/*
 * config_priv.h - what the configuration file says.
 *
 * A struct config is complete and checked: config_load either gives one or names the file, the line and the
 * reason. It never changes afterwards; a reload makes a new one.
 */
#ifndef DITTOFS_DAEMON_CONFIG_H
#define DITTOFS_DAEMON_CONFIG_H

#include "dittofs/err.h"
#include "dittofs/log.h"
#include "dittofs/rpc.h"
#include "dittofs/smb.h"
#include "dittofs/store.h"
#include "dittofs/vfs.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CONFIG_LISTEN_MAX = 16,
    CONFIG_EXPORTS_MAX = 1024,
    CONFIG_HOSTS_MAX = 256,
    CONFIG_EXPORT_NAME_MAX = 80,
    CONFIG_DOMAIN_MAX = 100,
    CONFIG_REASON_MAX = 512, /* bytes of "FILE:LINE: reason" */
    CONFIG_NAMES_MAX = 256,  /* of users and groups in a list */
    CONFIG_KEYS_MAX = 64,    /* of one section */
};

struct config_port {
    bool on;
    uint16_t number; /* 0: any free one */
};

struct config_listen {
    char *addresses[CONFIG_LISTEN_MAX]; /* numeric, IPv4 or IPv6 */
    size_t count;
};

struct config_hosts {
    struct vfs_host_rule *rules;
    size_t count;
};

struct config_names {
    char **names;
    size_t count;
};

struct config_export {
    char *name;
    struct config_hosts hosts_allow, hosts_deny;
    struct vfs_export_config config; /* refers to the members above */
    char *comment;                   /* NULL: none */
    struct config_names valid_users, hide_files;
    struct smb_share_config share; /* refers to the members above, too */
    unsigned line;                 /* of its section's header */
};

struct config {
    char *path; /* of the file */
    char *state_dir;
    uint32_t control_mode; /* of the control socket: 0600 or 0660 */
    struct config_listen listen;
    bool listen_given; /* false: every address that the host has */
    struct config_port nfs_port, mountd_port, nlm_port, statd_port, smb_port;
    enum onc_portmap_mode rpcbind;
    uint32_t lease_time_s, grace_time_s;
    char *id_domain; /* NULL: not given */
    bool delegations;
    enum log_level log_level;
    uint32_t workers; /* threads; 0: by the number of processors */
    struct smb_options smb;
    char *server_string; /* NULL: none */
    struct onc_limits rpc;
    struct store_options store;
    struct config_export **exports; /* in the order of the file */
    size_t export_count;
    char *texts[CONFIG_KEYS_MAX]; /* the values of [global] as written, NULL where not given */
};

/* Reads and checks PATH. When it fails, REASON of CONFIG_REASON_MAX bytes says "FILE:LINE: reason". */
enum err config_load(const char *path, struct config **config_r, char *reason) ERR_MUST_CHECK;
void config_free(struct config **config);

/* Calls EACH with the name of every key of [global] that differs and takes effect at a start only. */
void config_differences(const struct config *from, const struct config *to,
                        void (*each)(void *data, const char *key), void *data);

/* ---- inside: values (config_values.c) ---- */

struct config_word {
    const char *text;
    unsigned value;
};

/* A key that a section may have. */
struct config_key {
    const char *name;
    /* Turns TEXT (never empty, no space around it) into what TARGET, the section's struct at OFFSET, holds.
     * False with a reason when it can't. */
    bool (*parse)(const struct config_key *key, const char *text, void *target, char *reason);
    size_t offset;                   /* of the member; two names of one member exclude each other */
    uint64_t least, most;            /* numbers */
    const struct config_word *words; /* choices; the last has no text */
    bool live;                       /* takes effect at a reload */
};

bool config__parse_string(const struct config_key *key, const char *text, void *target, char *reason);
/* A DNS name, at most CONFIG_DOMAIN_MAX bytes. */
bool config__parse_domain(const struct config_key *key, const char *text, void *target, char *reason);
bool config__parse_yes(const struct config_key *key, const char *text, void *target, char *reason);
bool config__parse_no(const struct config_key *key, const char *text, void *target, char *reason);
bool config__parse_u32(const struct config_key *key, const char *text, void *target, char *reason);
/* Seconds into a uint64_t of milliseconds. */
bool config__parse_seconds_as_ms(const struct config_key *key, const char *text, void *target, char *reason);
/* With a K, M, G or T behind it. */
bool config__parse_size(const struct config_key *key, const char *text, void *target, char *reason);
bool config__parse_size_u32(const struct config_key *key, const char *text, void *target, char *reason);
bool config__parse_mode(const struct config_key *key, const char *text, void *target, char *reason);
bool config__parse_port(const struct config_key *key, const char *text, void *target, char *reason);
/* One of the words, into an unsigned or an enum. */
bool config__parse_choice(const struct config_key *key, const char *text, void *target, char *reason);
/* One of the words, into a bool. */
bool config__parse_word(const struct config_key *key, const char *text, void *target, char *reason);
/* Several of the words, or'ed into an unsigned. */
bool config__parse_set(const struct config_key *key, const char *text, void *target, char *reason);
/* Lists of addresses; of hosts and networks. */
bool config__parse_listen(const struct config_key *key, const char *text, void *target, char *reason);
bool config__parse_hosts(const struct config_key *key, const char *text, void *target, char *reason);
/* A list of users and @groups. */
bool config__parse_patterns(const struct config_key *key, const char *text, void *target, char *reason);
bool config__parse_names(const struct config_key *key, const char *text, void *target, char *reason);
void config__free_names(struct config_names *names);

#endif
