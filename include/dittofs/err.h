/*
 * err.h - the one list of errors.
 *
 * Every function that can fail returns an enum err, which says what happened. The list below is also the
 * one place where protocols meet: each row gives the status that NFSv3 (RFC 1813 2.6), NFSv4 (RFC 7530
 * 13, RFC 8881 15) and SMB (MS-ERREF 2.3) answer for it. 0xffff in a column means that the error can't
 * reach that protocol as such; the accessor then gives the protocol's general failure.
 */
#ifndef DITTOFS_ERR_H
#define DITTOFS_ERR_H

#include <stdint.h>

/*  name           text                                   NFSv3  NFSv4  NTSTATUS */
#define ERR_MAP(X)                                                                                           \
    X(OK, "no error", 0, 0, 0x00000000)                                                                      \
    X(PERM, "not the owner", 1, 1, 0xC0000022)                                                               \
    X(NOENT, "no such file or directory", 2, 2, 0xC0000034)                                                  \
    X(NOPATH, "a directory of the path is missing", 2, 2, 0xC000003A)                                        \
    X(IO, "input/output error", 5, 5, 0xC0000185)                                                            \
    X(NXIO, "no such offset or device", 6, 6, 0xC0000011)                                                    \
    X(ACCES, "permission denied", 13, 13, 0xC0000022)                                                        \
    X(EXIST, "name exists", 17, 17, 0xC0000035)                                                              \
    X(XDEV, "crosses exports", 18, 18, 0xC00000D4)                                                           \
    X(NOTDIR, "not a directory", 20, 20, 0xC0000103)                                                         \
    X(ISDIR, "is a directory", 21, 21, 0xC00000BA)                                                           \
    X(INVAL, "invalid argument", 22, 22, 0xC000000D)                                                         \
    X(FBIG, "file too large", 27, 27, 0xC0000904)                                                            \
    X(NOSPC, "no space left", 28, 28, 0xC000007F)                                                            \
    X(ROFS, "read-only", 30, 30, 0xC00000A2)                                                                 \
    X(MLINK, "too many links", 31, 31, 0xC0000265)                                                           \
    X(NAMETOOLONG, "name too long", 63, 63, 0xC0000106)                                                      \
    X(NOTEMPTY, "directory not empty", 66, 66, 0xC0000101)                                                   \
    X(DQUOT, "quota exceeded", 69, 69, 0xC000007F)                                                           \
    X(STALE, "the file is gone", 70, 70, 0xC0000128)                                                         \
    X(BADHANDLE, "not a handle of this server", 10001, 10001, 0xC0000008)                                    \
    X(NOT_SYNC, "guard does not match", 10002, 10027, 0xC000000D)                                            \
    X(BADCOOKIE, "not a cookie of this directory", 10003, 10003, 0xC000000D)                                 \
    X(NOTSUPP, "not supported", 10004, 10004, 0xC00000BB)                                                    \
    X(TOOSMALL, "reply does not fit", 10005, 10005, 0xC0000023)                                              \
    X(SERVERFAULT, "server fault", 10006, 10006, 0xC00000E5)                                                 \
    X(BADTYPE, "wrong type of object", 10007, 10007, 0xC000000D)                                             \
    X(DELAY, "busy, try again later", 10008, 10008, 0xC000022D)                                              \
    X(SYMLINK, "is a symbolic link", 22, 10029, 0xC000000D)                                                  \
    X(WRONGTYPE, "not a regular file", 22, 10083, 0xC000000D)                                                \
    X(BADNAME, "not a usable name", 13, 10041, 0xC0000033)                                                   \
    X(BADCHAR, "name is not valid UTF-8", 22, 10040, 0xC0000033)                                             \
    X(WRONGSEC, "security flavour not accepted here", 13, 10016, 0xC0000022)                                 \
    X(LOCKED, "locked or denied by another open", 10008, 10012, 0xC0000054)                                  \
    X(DENIED, "lock is held by another owner", 10008, 10010, 0xC0000055)                                     \
    X(SHARE_DENIED, "open denied by another open", 10008, 10015, 0xC0000043)                                 \
    X(FILE_OPEN, "another open denies deletion", 13, 10046, 0xC0000043)                                      \
    X(OPENMODE, "not opened for this", 13, 10038, 0xC0000022)                                                \
    X(GRACE, "in the grace period", 10008, 10013, 0xC000022D)                                                \
    X(NO_GRACE, "not in the grace period", 10006, 10033, 0xC00000E5)                                         \
    X(RECLAIM_BAD, "nothing to reclaim", 10006, 10034, 0xC00000E5)                                           \
    X(EXPIRED, "the lease has expired", 70, 10011, 0xC0000128)                                               \
    X(DEADLOCK, "would deadlock", 10008, 10045, 0xC0000194)                                                  \
    X(LOCK_RANGE, "lock range not held as such", 22, 10028, 0xC000007E)                                      \
    X(LOCKS_HELD, "locks are held", 10008, 10037, 0xC0000054)                                                \
    X(BAD_STATEID, "no such stateid", 22, 10025, 0xC0000008)                                                 \
    X(OLD_STATEID, "an older stateid", 22, 10024, 0xC0000008)                                                \
    X(STALE_STATEID, "stateid of an earlier run", 22, 10023, 0xC0000008)                                     \
    X(STALE_CLIENTID, "client id of an earlier run", 22, 10022, 0xC0000203)                                  \
    X(CLID_INUSE, "client id in use by another principal", 22, 10017, 0xC0000022)                            \
    X(BAD_SEQID, "owner sequence id out of order", 22, 10026, 0xC000000D)                                    \
    X(ADMIN_REVOKED, "revoked by the administrator", 22, 10047, 0xC0000128)                                  \
    X(DELEG_REVOKED, "delegation revoked", 22, 10087, 0xC0000128)                                            \
    X(NOXATTR, "no such extended attribute", 2, 10095, 0xC0000272)                                           \
    X(XATTR2BIG, "extended attribute too large", 27, 10096, 0xC0000050)                                      \
    X(DELETE_PENDING, "being deleted", 70, 70, 0xC0000056)                                                   \
    X(NOT_ONLY_OP, "operation must stand alone", 22, 10081, 0xC000000D)                                      \
    X(UNION_NOTSUPP, "arm of a union not supported", 10004, 10090, 0xC00000BB)                               \
    X(OFFLOAD_DENIED, "offload refused", 10004, 10091, 0xC00000BB)                                           \
    X(PARTNER_NO_AUTH, "copy partner not authorised", 13, 10089, 0xC0000022)                                 \
    X(BADXDR, "arguments can't be decoded", 22, 10036, 0xC000000D)                                           \
    X(NOMEM, "out of memory", 10008, 10008, 0xC000009A)                                                      \
    X(LIMIT, "a configured limit is reached", 10008, 10018, 0xC000009A)                                      \
    X(CORRUPT, "stored data is damaged", 5, 5, 0xC000003F)                                                   \
    X(FAILED, "the store has failed and is read-only", 30, 30, 0xC00000A2)                                   \
    X(AGAIN, "would block", 10008, 10008, 0xC000022D)                                                        \
    X(CANCELLED, "cancelled", 10006, 10006, 0xC0000120)                                                      \
    X(CONFIG, "configuration error", 10006, 10006, 0xC00000E5)                                               \
    X(TOO_NEW, "written by a newer version", 10006, 10006, 0xC00000E5)                                       \
    X(BUSY, "in use by another process", 10006, 10006, 0xC00000E5)                                           \
    X(NETWORK, "network error", 10006, 10006, 0xC000020C)                                                    \
    X(WAIT, "suspended, the callback will follow", 0xffff, 0xffff, 0xffff)

#define ERR_ENUM(name, text, nfs3, nfs4, nt) ERR_##name,
/* One value a row of ERR_MAP. ERR_WAIT is no failure: the call was taken and its callback comes later. */
enum err { ERR_MAP(ERR_ENUM) ERR_COUNT };
#undef ERR_ENUM

#define ERR_MUST_CHECK __attribute__((warn_unused_result))

/* The row's name ("NOENT") and its text. Never NULL, also for values outside of the list. */
const char *err_name(enum err err);
const char *err_text(enum err err);

/* The protocols' status for an error. */
uint32_t err_to_nfs3(enum err err);
uint32_t err_to_nfs4(enum err err);
uint32_t err_to_ntstatus(enum err err);

/* The error for an errno value of a system call; 0 gives ERR_OK, an unknown one ERR_IO. */
enum err err_from_errno(int value);

#endif
