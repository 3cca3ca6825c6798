/*
 * nsm_priv.h - what the files of NSM share: monitored hosts, notices on their way, watches, records.
 */
#ifndef DITTOFS_NFS_NSM_PRIV_H
#define DITTOFS_NFS_NSM_PRIV_H

#include "dittofs/cursor.h"
#include "dittofs/hashtable.h"
#include "dittofs/log.h"
#include "dittofs/recovery.h"
#include "dittofs/rpc_client.h"
#include "nfs/nfs_server_priv.h"

struct nlm;

enum {
    NSM_PROGRAM = 100024,
    NSM_VERSION = 1,
    NSM_NAME_MAX = 255,
    NSM_STRING_MAX = 1024, /* SM_MAXSTRLEN */
    NSM_PRIVATE_SIZE = 16
};

enum nsm_procedure {
    NSM_NULL = 0,
    NSM_STAT,
    NSM_MON,
    NSM_UNMON,
    NSM_UNMON_ALL,
    NSM_SIMU_CRASH,
    NSM_NOTIFY,
    NSM_PROCEDURES
};

struct nsm_bytes {
    const uint8_t *data;
    uint32_t length;
};

/* my_id: whom to call about a host. */
struct nsm_id {
    struct nsm_bytes name;
    uint32_t program, version, procedure;
};

struct nsm_args {
    struct nsm_bytes name; /* STAT, MON, UNMON, NOTIFY: mon_name */
    struct nsm_id id;      /* MON, UNMON, UNMON_ALL */
    uint8_t private_data[NSM_PRIVATE_SIZE];
    uint32_t state; /* NOTIFY */
};
bool nsm__decode_call(uint32_t procedure, struct reader *reader, struct nsm_args *args_r) MUST_CHECK;

struct nsm {
    struct loop *loop;
    struct onc_client *outgoing;
    struct nlm *nlm;
    struct recovery_store records; /* put is NULL: nothing survives */
    uint64_t writes;
    uint32_t state; /* our own; odd: we are up */
    uint64_t retry_ms, give_up_ms;
    char name[NSM_NAME_MAX + 1]; /* of ours */
    struct onc_program program;
    struct hashtable monitored; /* struct nsm_host */
    struct list notices;        /* struct nsm_notice */
    struct list watches;        /* struct nsm_watch */
    uint32_t watch_count;
    struct list told; /* calls to the owners of watches under way */
    struct loop_timer begin;
    struct recovery_wait wait;
    bool waiting; /* for the state number to be durable */
};

/* ---- monitored hosts (nsm_host.c) ---- */

struct nsm_subject {
    struct net_address address; /* without a port */
    const char *name;
    uint32_t length;
};

struct nsm_host {
    struct hashlink hashlink;
    struct nsm *nsm;
    struct net_address address, local; /* LOCAL: what it calls us */
    uint32_t state;                    /* of its NSM, 0: not known */
    bool untold;                       /* of our last restart; not set for who locked first after it */
    bool in_use;                       /* it has locked since our start; else it is only to be told of that */
    uint32_t notices;                  /* under way to it */
    uint32_t name_length;
    char name[];
};

/* Records that SUBJECT is to be told of our next restart; LOCAL is the address of ours that it uses. */
enum err nsm__monitor(struct nsm *nsm, const struct nsm_subject *subject, const struct net_address *local,
                      uint32_t state) ERR_MUST_CHECK;
void nsm__unmonitor(struct nsm *nsm, const struct nsm_subject *subject);
/* Its state number as recorded; 0 when it is not known. */
uint32_t nsm__state_of(const struct nsm *nsm, const struct nsm_subject *subject);
void nsm__set_state_of(struct nsm *nsm, const struct nsm_subject *subject, uint32_t state);
/* Grows with every record. */
uint64_t nsm__writes(const struct nsm *nsm);

/* Reads all records: hosts, watches, the state number. */
enum err nsm__load(struct nsm *nsm) ERR_MUST_CHECK;
enum err nsm__put_state(struct nsm *nsm) ERR_MUST_CHECK;
/* Frees what is in memory; records stay. */
void nsm__hosts_free(struct nsm *nsm);
/* All are to be told again. */
void nsm__untell_all(struct nsm *nsm);
/* HOST is told: forgotten when it is not in use. */
void nsm__host_told(struct nsm_host *host);

/* ---- SM_NOTIFY of ours (nsm_notify.c) ---- */

/* Tells our state number to every monitored host that is untold. */
void nsm__notify_all(struct nsm *nsm);
/* Ends the notices to HOST (NULL: all). */
void nsm__notices_end(struct nsm *nsm, const struct nsm_host *host);

/* ---- watches: MON by programs of this host (nsm_watch.c) ---- */

struct nsm_watch {
    struct list link;
    struct net_address address; /* of the host that is watched */
    uint32_t program, version, procedure;
    uint8_t private_data[NSM_PRIVATE_SIZE];
    uint32_t name_length, owner_length;
    char names[]; /* mon_name, then my_name */
};

/* ERR_INVAL: the name can't be watched. */
enum err nsm__watch(struct nsm *nsm, const struct nsm_args *args) ERR_MUST_CHECK;
/* Ends the watches of the owner ID, of the host NAME alone unless that is NULL. */
void nsm__unwatch(struct nsm *nsm, const struct nsm_bytes *name, const struct nsm_id *id);
/* The host at ADDRESS has a new state: its watchers on this host are called. */
void nsm__tell_watchers(struct nsm *nsm, const struct net_address *address, uint32_t state);
void nsm__watches_free(struct nsm *nsm);
/* What is watched is in use. */
enum err nsm__watches_renew(struct nsm *nsm) ERR_MUST_CHECK;
/* A record of a watch as nsm_watch.c wrote it; false when it is damaged. */
bool nsm__load_watch(struct nsm *nsm, struct reader *key, struct reader *value);

#endif
