/*
 * smb2_time.h - FILETIME: 100 ns since 1601 (MS-DTYP 2.3.3), to and from timestamps.
 */
#ifndef DITTOFS_SMB_SMB2_TIME_H
#define DITTOFS_SMB_SMB2_TIME_H

#include "dittofs/clock.h"

#define SMB2_EPOCH_SECONDS INT64_C(11644473600)
#define SMB2_TICKS         INT64_C(10000000)

static inline uint64_t smb2_filetime(struct timestamp time)
{
    if (time.seconds < -SMB2_EPOCH_SECONDS)
        return 0;
    if (time.seconds > INT64_MAX / SMB2_TICKS - SMB2_EPOCH_SECONDS - 1)
        return INT64_MAX;
    return (uint64_t)((time.seconds + SMB2_EPOCH_SECONDS) * SMB2_TICKS + time.nanoseconds / 100);
}

/* FILETIME is at most INT64_MAX. */
static inline struct timestamp smb2_timestamp(uint64_t filetime)
{
    return (struct timestamp){.seconds = (int64_t)(filetime / SMB2_TICKS) - SMB2_EPOCH_SECONDS,
                              .nanoseconds = (uint32_t)(filetime % SMB2_TICKS) * 100};
}

#endif
