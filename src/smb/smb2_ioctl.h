/*
 * smb2_ioctl.h - what the files of IOCTL share: a decoded request, and the FSCTLs by theme.
 *
 * smb2_ioctl.c decodes, finds the file, writes the fixed part of the reply and calls one of these; what it
 * writes to smb2_reply() is the output buffer. One that waits ends with smb2__ioctl_done.
 */
#ifndef DITTOFS_SMB_SMB2_IOCTL_H
#define DITTOFS_SMB_SMB2_IOCTL_H

#include "smb/smb2_priv.h"

struct smb2_ioctl {
    uint32_t code;
    uint32_t most_output;
    struct reader input;
};

/* MS-FSCC 2.3 */
#define FSCTL_PIPE_PEEK               UINT32_C(0x0011400C)
#define FSCTL_PIPE_WAIT               UINT32_C(0x00110018)
#define FSCTL_PIPE_TRANSCEIVE         UINT32_C(0x0011C017)
#define FSCTL_DFS_GET_REFERRALS       UINT32_C(0x00060194)
#define FSCTL_DFS_GET_REFERRALS_EX    UINT32_C(0x000601B0)
#define FSCTL_VALIDATE_NEGOTIATE_INFO UINT32_C(0x00140204)

/* smb2_pipe.c */
uint32_t smb2__fsctl_pipe_transceive(struct smb2_request *request, struct smb2_ioctl *ioctl);
uint32_t smb2__fsctl_pipe_peek(struct smb2_request *request, struct smb2_ioctl *ioctl);
uint32_t smb2__fsctl_pipe_wait(struct smb2_request *request, struct smb2_ioctl *ioctl);

/* Ends an IOCTL that waited. */
void smb2__ioctl_done(struct smb2_request *request, uint32_t status);

#endif
