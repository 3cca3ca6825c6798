/*
 * nfs4_open_priv.h - an OPEN from its arguments to its result, for the files that do its steps.
 */
#ifndef DITTOFS_NFS4_OPEN_PRIV_H
#define DITTOFS_NFS4_OPEN_PRIV_H

#include "nfs/v4/nfs4_attr.h"
#include "nfs/v4/nfs4_delegation.h"
#include "nfs/v4/nfs4_state.h"

enum nfs4_share_bits {
    SHARE_ACCESS_READ = 1,
    SHARE_ACCESS_WRITE = 2,
    SHARE_ACCESS_BOTH = 3,
    SHARE_DENY_BOTH = 3 /* beside these, in 4.1: enum nfs4_want */
};

enum nfs4_create_mode { UNCHECKED4, GUARDED4, EXCLUSIVE4, EXCLUSIVE4_1 };

enum nfs4_claim {
    CLAIM_NULL,
    CLAIM_PREVIOUS,
    CLAIM_DELEGATE_CUR,
    CLAIM_DELEGATE_PREV,
    CLAIM_FH, /* 4.1, as the rest */
    CLAIM_DELEG_CUR_FH,
    CLAIM_DELEG_PREV_FH
};

struct nfs4_open {
    /* the arguments */
    uint32_t seqid, access, deny;
    struct nfs4_owner owner;
    bool create;
    enum nfs4_create_mode mode;
    uint8_t verifier[8];
    struct nfs4_setattr set;
    enum nfs4_claim claim;
    struct store_name name;
    uint32_t delegation; /* CLAIM_PREVIOUS: what the client says it had */
    struct nfs4_stateid stateid;
    /* on the way */
    struct client *client;
    struct owner *opener;                 /* a reference */
    struct nfs4_filehandle file;          /* a reference until it becomes the current filehandle */
    bool created;                         /* by this request: its maker may do what he asked for */
    bool truncate;                        /* a file that is there is to be emptied */
    uint64_t change_before, change_after; /* of the directory */
    struct nfs4_bitmap attributes_set;
    struct nfs4_delegation *given; /* or NULL, and */
    enum nfs4_why why;             /* why not */
};

/* nfs4_open_create.c: finds or makes the file by its name in the current directory. */
uint32_t nfs4__open_by_name(struct nfs4_compound *compound, struct nfs4_open *open);

#endif
