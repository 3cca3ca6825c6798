/*
 * err.c - the tables that the one list of errors makes, and errno values.
 */
#include "dittofs/err.h"

#include <errno.h>
#include <stddef.h>

/* What a protocol gets for an error that can't reach it as such: NFS3ERR_SERVERFAULT,
 * NFS4ERR_SERVERFAULT, STATUS_INTERNAL_ERROR. */
enum { NO_SUCH_STATUS = 0xffff, GENERAL_NFS3 = 10006, GENERAL_NFS4 = 10006 };
#define GENERAL_NTSTATUS 0xC00000E5u

struct row {
    const char *name;
    const char *text;
    uint32_t nfs3;
    uint32_t nfs4;
    uint32_t ntstatus;
};

#define ROW(name, text, nfs3, nfs4, ntstatus) [ERR_##name] = {#name, text, nfs3, nfs4, ntstatus},
static const struct row rows[ERR_COUNT] = {ERR_MAP(ROW)};
#undef ROW

static const struct row *row_of(enum err err)
{
    return (unsigned)err < ERR_COUNT ? &rows[err] : NULL;
}

const char *err_name(enum err err)
{
    const struct row *row = row_of(err);
    return row != NULL ? row->name : "UNKNOWN";
}

const char *err_text(enum err err)
{
    const struct row *row = row_of(err);
    return row != NULL ? row->text : "unknown error";
}

uint32_t err_to_nfs3(enum err err)
{
    const struct row *row = row_of(err);
    return row != NULL && row->nfs3 != NO_SUCH_STATUS ? row->nfs3 : GENERAL_NFS3;
}

uint32_t err_to_nfs4(enum err err)
{
    const struct row *row = row_of(err);
    return row != NULL && row->nfs4 != NO_SUCH_STATUS ? row->nfs4 : GENERAL_NFS4;
}

uint32_t err_to_ntstatus(enum err err)
{
    const struct row *row = row_of(err);
    return row != NULL && row->ntstatus != NO_SUCH_STATUS ? row->ntstatus : GENERAL_NTSTATUS;
}

static const struct {
    int value;
    enum err err;
} errno_rows[] = {
    {0, ERR_OK},
    {EPERM, ERR_PERM},
    {ENOENT, ERR_NOENT},
    {EIO, ERR_IO},
    {ENXIO, ERR_NXIO},
    {EACCES, ERR_ACCES},
    {EEXIST, ERR_EXIST},
    {EXDEV, ERR_XDEV},
    {ENOTDIR, ERR_NOTDIR},
    {EISDIR, ERR_ISDIR},
    {EINVAL, ERR_INVAL},
    {EFBIG, ERR_FBIG},
    {ENOSPC, ERR_NOSPC},
    {EROFS, ERR_ROFS},
    {EMLINK, ERR_MLINK},
    {ENAMETOOLONG, ERR_NAMETOOLONG},
    {ENOTEMPTY, ERR_NOTEMPTY},
    {EDQUOT, ERR_DQUOT},
    {ESTALE, ERR_STALE},
    {EOPNOTSUPP, ERR_NOTSUPP},
    {ENOSYS, ERR_NOTSUPP},
    {ENOMEM, ERR_NOMEM},
    {EMFILE, ERR_LIMIT},
    {ENFILE, ERR_LIMIT},
    {EAGAIN, ERR_AGAIN},
    {EBUSY, ERR_BUSY},
    {ECANCELED, ERR_CANCELLED},
    {EADDRINUSE, ERR_BUSY},
    {EPIPE, ERR_NETWORK},
    {ECONNRESET, ERR_NETWORK},
    {ECONNREFUSED, ERR_NETWORK},
    {ECONNABORTED, ERR_NETWORK},
    {ENOTCONN, ERR_NETWORK},
    {ETIMEDOUT, ERR_NETWORK},
    {EHOSTUNREACH, ERR_NETWORK},
    {ENETUNREACH, ERR_NETWORK},
    {ENETDOWN, ERR_NETWORK},
};

enum err err_from_errno(int value)
{
    for (size_t i = 0; i < sizeof errno_rows / sizeof errno_rows[0]; i++) {
        if (errno_rows[i].value == value)
            return errno_rows[i].err;
    }
    return ERR_IO;
}
