/*
 * smb2_status.h - status codes of SMB that no enum err stands for (MS-ERREF 2.3), and those used by name.
 */
#ifndef DITTOFS_SMB_SMB2_STATUS_H
#define DITTOFS_SMB_SMB2_STATUS_H

#include <stdint.h>

#define STATUS_SUCCESS                           UINT32_C(0x00000000)
#define STATUS_PENDING                           UINT32_C(0x00000103)
#define STATUS_BUFFER_OVERFLOW                   UINT32_C(0x80000005)
#define STATUS_NO_MORE_FILES                     UINT32_C(0x80000006)
#define STATUS_INVALID_INFO_CLASS                UINT32_C(0xC0000003)
#define STATUS_INFO_LENGTH_MISMATCH              UINT32_C(0xC0000004)
#define STATUS_INVALID_PARAMETER                 UINT32_C(0xC000000D)
#define STATUS_NO_SUCH_FILE                      UINT32_C(0xC000000F)
#define STATUS_INVALID_DEVICE_REQUEST            UINT32_C(0xC0000010)
#define STATUS_END_OF_FILE                       UINT32_C(0xC0000011)
#define STATUS_MORE_PROCESSING_REQUIRED          UINT32_C(0xC0000016)
#define STATUS_ACCESS_DENIED                     UINT32_C(0xC0000022)
#define STATUS_BUFFER_TOO_SMALL                  UINT32_C(0xC0000023)
#define STATUS_OBJECT_NAME_INVALID               UINT32_C(0xC0000033)
#define STATUS_OBJECT_NAME_NOT_FOUND             UINT32_C(0xC0000034)
#define STATUS_OBJECT_NAME_COLLISION             UINT32_C(0xC0000035)
#define STATUS_OBJECT_PATH_NOT_FOUND             UINT32_C(0xC000003A)
#define STATUS_SHARING_VIOLATION                 UINT32_C(0xC0000043)
#define STATUS_FILE_LOCK_CONFLICT                UINT32_C(0xC0000054)
#define STATUS_LOCK_NOT_GRANTED                  UINT32_C(0xC0000055)
#define STATUS_DELETE_PENDING                    UINT32_C(0xC0000056)
#define STATUS_PIPE_BROKEN                       UINT32_C(0xC000014B)
#define STATUS_PIPE_BUSY                         UINT32_C(0xC00000AE)
#define STATUS_PIPE_DISCONNECTED                 UINT32_C(0xC00000B0)
#define STATUS_LOGON_FAILURE                     UINT32_C(0xC000006D)
#define STATUS_RANGE_NOT_LOCKED                  UINT32_C(0xC000007E)
#define STATUS_INSUFFICIENT_RESOURCES            UINT32_C(0xC000009A)
#define STATUS_FILE_IS_A_DIRECTORY               UINT32_C(0xC00000BA)
#define STATUS_NOT_SUPPORTED                     UINT32_C(0xC00000BB)
#define STATUS_BAD_NETWORK_NAME                  UINT32_C(0xC00000CC)
#define STATUS_REQUEST_NOT_ACCEPTED              UINT32_C(0xC00000D0)
#define STATUS_DIRECTORY_NOT_EMPTY               UINT32_C(0xC0000101)
#define STATUS_NOT_A_DIRECTORY                   UINT32_C(0xC0000103)
#define STATUS_CANCELLED                         UINT32_C(0xC0000120)
#define STATUS_CANNOT_DELETE                     UINT32_C(0xC0000121)
#define STATUS_FILE_CLOSED                       UINT32_C(0xC0000128)
#define STATUS_FS_DRIVER_REQUIRED                UINT32_C(0xC000019C)
#define STATUS_USER_SESSION_DELETED              UINT32_C(0xC0000203)
#define STATUS_INSUFF_SERVER_RESOURCES           UINT32_C(0xC0000205)
#define STATUS_NOT_FOUND                         UINT32_C(0xC0000225)
#define STATUS_NETWORK_NAME_DELETED              UINT32_C(0xC00000C9)
#define STATUS_DUPLICATE_OBJECTID                UINT32_C(0xC000022A)
#define STATUS_FILE_NOT_AVAILABLE                UINT32_C(0xC0000467)
#define STATUS_REQUEST_OUT_OF_SEQUENCE           UINT32_C(0xC000042A)
#define STATUS_NETWORK_SESSION_EXPIRED           UINT32_C(0xC000035C)
#define STATUS_NO_PREAUTH_INTEGRITY_HASH_OVERLAP UINT32_C(0xC05D0000)

/* What `run` of a command answers when it goes on later (smb2__request_done): no status of the protocol. */
#define SMB2_WAIT UINT32_C(0xFFFFFFFF)

#endif
