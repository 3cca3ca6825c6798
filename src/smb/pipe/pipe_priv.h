/*
 * pipe_priv.h - what the services behind pipes have in common.
 */
#ifndef DITTOFS_SMB_PIPE_H
#define DITTOFS_SMB_PIPE_H

#include "smb/pipe/dcerpc.h"

/* MS-ERREF 2.2 */
enum {
    WERROR_OK = 0,
    WERROR_ACCESS_DENIED = 5,
    WERROR_INVALID_PARAMETER = 87,
    WERROR_INVALID_NAME = 123,
    WERROR_INVALID_LEVEL = 124,
    WERROR_MORE_DATA = 234,
    WERROR_NET_NAME_NOT_FOUND = 2310,
};

enum { PIPE_PLATFORM_NT = 500, PIPE_VERSION_MAJOR = 6, PIPE_VERSION_MINOR = 1 };
#define PIPE_WORKGROUP "WORKGROUP"

#endif
