/*
 * nfs4_table.c - the operations by number.
 *
 * The bounds of replies are those of the largest successful result. Rows without a name are operations that
 * the protocol has and this server does not: NFS4ERR_NOTSUPP (docs/STATUS.md).
 */
#include "nfs/v4/nfs4_operations.h"

/* An operation with arguments, and one without. */
#define ROW(title, function, flags, first, last, bound)                                                      \
    {                                                                                                        \
        title, nfs4__##function##_decode, nfs4__##function, flags, first, last, bound                        \
    }
#define ROW_VOID(title, function, flags, first, last, bound)                                                 \
    {                                                                                                        \
        title, NULL, nfs4__##function, flags, first, last, bound                                             \
    }

enum {
    FH = NFS4_NEEDS_FH,
    PSEUDO_FH = NFS4_NEEDS_FH | NFS4_PSEUDO,
    FILE_FH = NFS4_NEEDS_FH | NFS4_FILE,
    SAVED = NFS4_NEEDS_SAVED_FH,
    CHANGE = NFS4_CHANGES,
    NAMED = NFS4_NAMED,
    OWNERS = NFS4_SHOWS_OWNERS,
    ALONE = NFS4_OUTSIDE_SESSION | NFS4_ONLY_OPERATION,
    /* bytes */
    HANDLE = 4 + VFS_HANDLE_SIZE,
    CHANGE_INFO = 20,
    BITMAP = 16,
    STATEID = 16,
    DENIED = 8 + 8 + 4 + 8 + 4 + NFS4_OPAQUE_LIMIT
};

const struct nfs4_operation nfs4_operations[OP_COUNT] = {
    [OP_ACCESS] = ROW("ACCESS", access, PSEUDO_FH | NAMED, 0, 2, 8),
    [OP_CLOSE] = ROW("CLOSE", close, FH | CHANGE, 0, 2, STATEID),
    [OP_COMMIT] = ROW("COMMIT", commit, FILE_FH, 0, 2, 8),
    [OP_CREATE] = ROW("CREATE", create, PSEUDO_FH | CHANGE, 0, 2, CHANGE_INFO + BITMAP),
    [OP_GETATTR] = ROW("GETATTR", getattr, PSEUDO_FH | NAMED | OWNERS, 0, 2, NFS4_ATTRIBUTES_MAX),
    [OP_DELEGRETURN] = ROW("DELEGRETURN", delegreturn, FH | CHANGE, 0, 2, 0),
    [OP_GETFH] = ROW_VOID("GETFH", getfh, PSEUDO_FH | NAMED, 0, 2, HANDLE),
    [OP_LINK] = ROW("LINK", link, FH | SAVED | CHANGE, 0, 2, CHANGE_INFO),
    [OP_LOCK] = ROW("LOCK", lock, FILE_FH | CHANGE | NFS4_BODY_ON_ERROR, 0, 2, DENIED),
    [OP_LOCKT] = ROW("LOCKT", lockt, FILE_FH | NFS4_BODY_ON_ERROR, 0, 2, DENIED),
    [OP_LOCKU] = ROW("LOCKU", locku, FILE_FH | CHANGE, 0, 2, STATEID),
    [OP_LOOKUP] = ROW("LOOKUP", lookup, PSEUDO_FH | NAMED, 0, 2, 0),
    [OP_LOOKUPP] = ROW_VOID("LOOKUPP", lookupp, PSEUDO_FH | NAMED, 0, 2, 0),
    [OP_NVERIFY] = ROW("NVERIFY", nverify, PSEUDO_FH | NAMED | OWNERS, 0, 2, 0),
    [OP_OPEN] = ROW("OPEN", open, PSEUDO_FH | NAMED | CHANGE, 0, 2, STATEID + CHANGE_INFO + 4 + BITMAP + 64),
    [OP_OPENATTR] = ROW("OPENATTR", openattr, FH, 0, 2, 0),
    [OP_OPEN_CONFIRM] = ROW("OPEN_CONFIRM", open_confirm, FH | CHANGE, 0, 0, STATEID),
    [OP_OPEN_DOWNGRADE] = ROW("OPEN_DOWNGRADE", open_downgrade, FH | CHANGE, 0, 2, STATEID),
    [OP_PUTFH] = ROW("PUTFH", putfh, 0, 0, 2, 0),
    [OP_PUTPUBFH] = ROW_VOID("PUTPUBFH", putrootfh, 0, 0, 2, 0),
    [OP_PUTROOTFH] = ROW_VOID("PUTROOTFH", putrootfh, 0, 0, 2, 0),
    [OP_READ] = ROW("READ", read, FILE_FH, 0, 2, 8),
    [OP_READDIR] = ROW("READDIR", readdir, PSEUDO_FH | NAMED | OWNERS, 0, 2, 16),
    [OP_READLINK] = ROW_VOID("READLINK", readlink, PSEUDO_FH, 0, 2, 4 + STORE_SYMLINK_MAX),
    [OP_REMOVE] = ROW("REMOVE", remove, FH | NAMED | CHANGE, 0, 2, CHANGE_INFO),
    [OP_RENAME] = ROW("RENAME", rename, FH | NAMED | SAVED | CHANGE, 0, 2, 2 * CHANGE_INFO),
    [OP_RENEW] = ROW("RENEW", renew, 0, 0, 0, 0),
    [OP_RESTOREFH] = ROW_VOID("RESTOREFH", restorefh, 0, 0, 2, 0),
    [OP_SAVEFH] = ROW_VOID("SAVEFH", savefh, PSEUDO_FH | NAMED, 0, 2, 0),
    [OP_SECINFO] = ROW("SECINFO", secinfo, PSEUDO_FH, 0, 2, 160),
    [OP_SETATTR] = ROW("SETATTR", setattr, FH | CHANGE | NFS4_BITMAP_ON_ERROR, 0, 2, BITMAP),
    [OP_SETCLIENTID] = ROW("SETCLIENTID", setclientid, NFS4_BODY_ON_ERROR, 0, 0, 2048),
    [OP_SETCLIENTID_CONFIRM] = ROW("SETCLIENTID_CONFIRM", setclientid_confirm, 0, 0, 0, 0),
    [OP_VERIFY] = ROW("VERIFY", verify, PSEUDO_FH | NAMED | OWNERS, 0, 2, 0),
    [OP_WRITE] = ROW("WRITE", write, FILE_FH | CHANGE, 0, 2, 16),
    [OP_RELEASE_LOCKOWNER] = ROW("RELEASE_LOCKOWNER", release_lockowner, 0, 0, 0, 0),
    [OP_BACKCHANNEL_CTL] = ROW("BACKCHANNEL_CTL", backchannel_ctl, 0, 1, 2, 0),
    [OP_BIND_CONN_TO_SESSION] = ROW("BIND_CONN_TO_SESSION", bind_conn_to_session, ALONE, 1, 2, 24),
    [OP_EXCHANGE_ID] = ROW("EXCHANGE_ID", exchange_id, ALONE, 1, 2, 2048),
    [OP_CREATE_SESSION] = ROW("CREATE_SESSION", create_session, ALONE, 1, 2, 128),
    [OP_DESTROY_SESSION] = ROW("DESTROY_SESSION", destroy_session, ALONE, 1, 2, 0),
    [OP_FREE_STATEID] = ROW("FREE_STATEID", free_stateid, 0, 1, 2, 0),
    [OP_GET_DIR_DELEGATION] = ROW("GET_DIR_DELEGATION", get_dir_delegation, PSEUDO_FH, 1, 2, 80),
    [OP_SECINFO_NO_NAME] = ROW("SECINFO_NO_NAME", secinfo_no_name, PSEUDO_FH, 1, 2, 160),
    [OP_SEQUENCE] = ROW("SEQUENCE", sequence, NFS4_OUTSIDE_SESSION, 1, 2, 36),
    [OP_TEST_STATEID] = ROW("TEST_STATEID", test_stateid, 0, 1, 2, 4),
    [OP_WANT_DELEGATION] = ROW("WANT_DELEGATION", want_delegation, FILE_FH, 1, 2, 64),
    [OP_DESTROY_CLIENTID] = ROW("DESTROY_CLIENTID", destroy_clientid, ALONE, 1, 2, 0),
    [OP_RECLAIM_COMPLETE] = ROW("RECLAIM_COMPLETE", reclaim_complete, NFS4_PSEUDO, 1, 2, 0),
    [OP_ALLOCATE] = ROW("ALLOCATE", allocate, FILE_FH | CHANGE, 2, 2, 0),
    [OP_COPY] = ROW("COPY", copy, FILE_FH | SAVED | CHANGE, 2, 2, 48),
    [OP_DEALLOCATE] = ROW("DEALLOCATE", deallocate, FILE_FH | CHANGE, 2, 2, 0),
    [OP_IO_ADVISE] = ROW("IO_ADVISE", io_advise, FILE_FH, 2, 2, BITMAP),
    [OP_READ_PLUS] = ROW("READ_PLUS", read_plus, FILE_FH, 2, 2, 40),
    [OP_SEEK] = ROW("SEEK", seek, FILE_FH, 2, 2, 12),
    [OP_CLONE] = ROW("CLONE", clone, FILE_FH | SAVED | CHANGE, 2, 2, 0),
    [OP_GETXATTR] = ROW("GETXATTR", getxattr, FH, 2, 2, 4),
    [OP_SETXATTR] = ROW("SETXATTR", setxattr, FH | CHANGE, 2, 2, CHANGE_INFO),
    [OP_LISTXATTRS] = ROW("LISTXATTRS", listxattrs, FH, 2, 2, 16),
    [OP_REMOVEXATTR] = ROW("REMOVEXATTR", removexattr, FH | CHANGE, 2, 2, CHANGE_INFO),
};
