/*
 * nlm_wire.h - arguments and results of NLM as plain structs, the same for all versions: 1 and 3 have 32-bit
 * ranges (X/Open XNFS chapters 10 and 11), 4 has 64-bit ones (RFC 1813 appendix II).
 *
 * Bytes are referred to where they lie in the call. Decoders judge nothing but the form.
 */
#ifndef DITTOFS_NFS_NLM_WIRE_H
#define DITTOFS_NFS_NLM_WIRE_H

#include "dittofs/cursor.h"

enum {
    NLM_PROGRAM = 100021,
    NLM_COOKIE_MAX = 1024, /* netobj */
    NLM_HANDLE_MAX = 64,   /* of NFS version 3 */
    NLM_NAME_MAX = 255,    /* a host's name has no more */
    NLM_OWNER_MAX = 1020,  /* netobj; with the svid in front it is the key of an owner in state */
};

enum nlm_procedure {
    NLM_NULL = 0,
    NLM_TEST,
    NLM_LOCK,
    NLM_CANCEL,
    NLM_UNLOCK,
    NLM_GRANTED,
    NLM_TEST_MSG,
    NLM_LOCK_MSG,
    NLM_CANCEL_MSG,
    NLM_UNLOCK_MSG,
    NLM_GRANTED_MSG,
    NLM_TEST_RES,
    NLM_LOCK_RES,
    NLM_CANCEL_RES,
    NLM_UNLOCK_RES,
    NLM_GRANTED_RES,
    NLM_SHARE = 20, /* from version 3 on */
    NLM_UNSHARE,
    NLM_NM_LOCK,
    NLM_FREE_ALL,
    NLM_PROCEDURES
};

/* nlm4_stats; earlier versions have those up to DEADLOCK. */
enum nlm_status {
    NLM_STATUS_GRANTED = 0,
    NLM_STATUS_DENIED = 1,
    NLM_STATUS_NO_LOCKS = 2,
    NLM_STATUS_BLOCKED = 3,
    NLM_STATUS_GRACE = 4,
    NLM_STATUS_DEADLOCK = 5,
    NLM_STATUS_READ_ONLY = 6,
    NLM_STATUS_STALE = 7,
    NLM_STATUS_TOO_BIG = 8,
    NLM_STATUS_FAILED = 9
};

struct nlm_bytes {
    const uint8_t *data;
    uint32_t length;
};

/* nlm_lock, nlm4_lock. LENGTH as it came: 0 means to the end of the file. */
struct nlm_lock {
    struct nlm_bytes caller_name, handle, owner;
    uint32_t svid;
    uint64_t offset, length;
};

struct nlm_args {
    struct nlm_bytes cookie;
    bool block, exclusive, reclaim;
    struct nlm_lock lock;  /* SHARE, UNSHARE: without a range */
    uint32_t state;        /* of the client's NSM: LOCK, FREE_ALL */
    uint32_t mode, access; /* SHARE, UNSHARE */
    uint32_t status;       /* GRANTED_RES */
};

/* SHARE, UNSHARE */
enum { NLM_SHARE_BITS = 3 }; /* fsh_mode, fsh_access: 1 reading, 2 writing */

/* nlm_holder */
struct nlm_holder {
    bool exclusive;
    struct nlm_bytes owner;
    uint32_t svid;
    uint64_t offset, length; /* LENGTH 0: to the end */
};

/* The arguments of PROCEDURE; false when they are not there whole, or more is. Of the RES procedures only
 * GRANTED_RES has any that we look at. */
bool nlm__decode_call(uint32_t version, uint32_t procedure, struct reader *reader,
                      struct nlm_args *args_r) MUST_CHECK;

/* The status in the form that VERSION knows. */
uint32_t nlm__status_of_version(uint32_t version, enum nlm_status status);

/* nlm_res. */
void nlm__encode_res(struct writer *writer, uint32_t version, struct nlm_bytes cookie,
                     enum nlm_status status);
/* nlm_testres; HOLDER is for NLM_STATUS_DENIED. */
void nlm__encode_testres(struct writer *writer, uint32_t version, struct nlm_bytes cookie,
                         enum nlm_status status, const struct nlm_holder *holder);
/* nlm_shareres. */
void nlm__encode_shareres(struct writer *writer, uint32_t version, struct nlm_bytes cookie,
                          enum nlm_status status);
/* nlm_testargs: what GRANTED has. */
void nlm__encode_testargs(struct writer *writer, uint32_t version, struct nlm_bytes cookie, bool exclusive,
                          const struct nlm_lock *lock);

#endif
