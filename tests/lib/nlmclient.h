/*
 * nlmclient.h - a client host of NLM and NSM for tests, our own from X/Open XNFS and RFC 1813 appendix II: it
 * sends what it is told, and has a port mapper, an NLM and an NSM of its own that the server calls.
 *
 * The host's programs run on a loop of their own, so that they outlive a restart of the server; whoever waits
 * turns both. Everything fails the test by itself (cmocka).
 */
#ifndef DITTOFS_TESTS_NLMCLIENT_H
#define DITTOFS_TESTS_NLMCLIENT_H

#include "nfsworld.h"

enum {
    NLMC_TEST = 1,
    NLMC_LOCK,
    NLMC_CANCEL,
    NLMC_UNLOCK,
    NLMC_GRANTED,
    NLMC_TEST_MSG,
    NLMC_LOCK_MSG,
    NLMC_CANCEL_MSG,
    NLMC_UNLOCK_MSG,
    NLMC_GRANTED_MSG,
    NLMC_TEST_RES,
    NLMC_LOCK_RES,
    NLMC_CANCEL_RES,
    NLMC_UNLOCK_RES,
    NLMC_GRANTED_RES,
    NLMC_SHARE = 20,
    NLMC_UNSHARE,
    NLMC_NM_LOCK,
    NLMC_FREE_ALL,
    NLMC_PROCEDURES
};
enum {
    NLMC_GRANTED_OK = 0,
    NLMC_DENIED = 1,
    NLMC_NO_LOCKS = 2,
    NLMC_BLOCKED = 3,
    NLMC_GRACE = 4,
    NLMC_DEADLOCK = 5,
    NLMC_READ_ONLY = 6,
    NLMC_STALE = 7,
    NLMC_TOO_BIG = 8,
    NLMC_FAILED = 9
};

/* A lock as it is on the wire. */
struct nlmc_lock {
    const char *caller, *owner; /* OWNER: oh */
    uint32_t svid;
    uint64_t offset, length;
    bool exclusive, block, reclaim;
    uint32_t state;        /* of the caller's NSM */
    uint32_t mode, access; /* SHARE */
};

struct nlmc_result {
    uint32_t status;
    /* TEST that was denied */
    bool exclusive;
    char owner[64];
    uint32_t owner_length, svid;
    uint64_t offset, length;
};

/* What the server called of the host, the last time. */
struct nlmc_seen {
    int count;
    uint32_t version, procedure;
    uint8_t cookie[16];
    uint32_t cookie_length;
    bool exclusive;
    char caller[64], owner[64];
    uint32_t owner_length, svid, handle_length, status;
    uint64_t offset, length;
    uint16_t from; /* the port */
};

struct nlmhost {
    struct nfsworld *world;
    struct loop *loop;
    struct onc_server *server;
    struct onc_program programs[5];         /* portmap, NLM 1, 3 and 4, NSM */
    uint16_t port;                          /* of all of them, over TCP and UDP */
    uint32_t answer;                        /* to GRANTED */
    bool mute;                              /* NLM and NSM drop what they are called for */
    int lookups;                            /* at the port mapper */
    struct nlmc_seen seen[NLMC_PROCEDURES]; /* by procedure of NLM */
    int notices;                            /* SM_NOTIFY */
    char notice_name[256];
    uint32_t notice_state;
    int told; /* procedure 9 of the NSM: what a watcher is told */
    uint32_t told_state;
    bool done;
};

/* WORLD may be NULL until nlmhost_set_world: its server needs the port before it starts. */
struct nlmhost *nlmhost_open(void);
void nlmhost_set_world(struct nlmhost *host, struct nfsworld *world);
void nlmhost_close(struct nlmhost **host);
/* Turns the loops of host and server once. */
void nlmhost_turn(struct nlmhost *host);
#define nlmhost_until(host, condition)                                                                       \
    do {                                                                                                     \
        uint64_t end_ = nlmhost_now_ms() + 10000;                                                            \
        while (!(condition)) {                                                                               \
            assert_true(nlmhost_now_ms() < end_);                                                            \
            nlmhost_turn(host);                                                                              \
        }                                                                                                    \
    } while (0)
/* For a while: what must not happen has the time to. */
void nlmhost_wait_ms(struct nlmhost *host, uint64_t ms);
uint64_t nlmhost_now_ms(void);

/* A connection to the server's NLM, as UID. */
struct rpcclient *nlmhost_connect(struct nlmhost *host, enum rpcclient_transport transport, uint32_t version,
                                  uint32_t uid);
/* Calls PROCEDURE of NLM (not a MSG one) and reads the results to their last byte; gives the status. */
uint32_t nlm_call(struct rpcclient *client, uint32_t procedure, const struct nfs3_handle *handle,
                  const struct nlmc_lock *lock, struct nlmc_result *result_r);
/* The same without results: the MSG procedures. The cookie is "cook". */
void nlm_send(struct rpcclient *client, uint32_t procedure, const struct nfs3_handle *handle,
              const struct nlmc_lock *lock);
void nlm_free_all(struct rpcclient *client, const char *name, uint32_t state);
/* GRANTED_RES for the callback that was seen. */
void nlm_granted_res(struct rpcclient *client, const struct nlmc_seen *seen, uint32_t status);
void nlm_put_arguments(struct writer *writer, uint32_t version, uint32_t procedure,
                       const struct nfs3_handle *handle, const struct nlmc_lock *lock);

/* NSM: calls over CLIENT, whose program is set. */
void nsm_notify(struct rpcclient *client, const char *name, uint32_t state);
/* STAT, MON, UNMON, UNMON_ALL, SIMU_CRASH; gives the state, and the result in *RESULT_R (NULL: not for it).
 */
uint32_t nsm_call(struct rpcclient *client, uint32_t procedure, const char *name, const char *my_name,
                  uint32_t my_program, uint32_t my_procedure, uint32_t *result_r);

#endif
