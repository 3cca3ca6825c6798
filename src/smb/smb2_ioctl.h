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

/* MS-FSCC 2.3, MS-SMB2 2.2.31 */
#define FSCTL_PIPE_PEEK                    UINT32_C(0x0011400C)
#define FSCTL_PIPE_WAIT                    UINT32_C(0x00110018)
#define FSCTL_PIPE_TRANSCEIVE              UINT32_C(0x0011C017)
#define FSCTL_DFS_GET_REFERRALS            UINT32_C(0x00060194)
#define FSCTL_DFS_GET_REFERRALS_EX         UINT32_C(0x000601B0)
#define FSCTL_VALIDATE_NEGOTIATE_INFO      UINT32_C(0x00140204)
#define FSCTL_QUERY_NETWORK_INTERFACE_INFO UINT32_C(0x001401FC)
#define FSCTL_LMR_REQUEST_RESILIENCY       UINT32_C(0x001401D4)
#define FSCTL_SRV_ENUMERATE_SNAPSHOTS      UINT32_C(0x00144064)
#define FSCTL_SRV_REQUEST_RESUME_KEY       UINT32_C(0x00140078)
#define FSCTL_SRV_READ_HASH                UINT32_C(0x001441BB)
#define FSCTL_SRV_COPYCHUNK                UINT32_C(0x001440F2)
#define FSCTL_SRV_COPYCHUNK_WRITE          UINT32_C(0x001480F2)
#define FSCTL_FILE_LEVEL_TRIM              UINT32_C(0x00098208)
#define FSCTL_SET_SPARSE                   UINT32_C(0x000900C4)
#define FSCTL_SET_ZERO_DATA                UINT32_C(0x000980C8)
#define FSCTL_QUERY_ALLOCATED_RANGES       UINT32_C(0x000940CF)
#define FSCTL_DUPLICATE_EXTENTS_TO_FILE    UINT32_C(0x00098344)
#define FSCTL_DUPLICATE_EXTENTS_TO_FILE_EX UINT32_C(0x000983E8)
#define FSCTL_GET_INTEGRITY_INFORMATION    UINT32_C(0x0009027C)
#define FSCTL_SET_INTEGRITY_INFORMATION    UINT32_C(0x0009C280)
#define FSCTL_CREATE_OR_GET_OBJECT_ID      UINT32_C(0x000900C0)
#define FSCTL_GET_OBJECT_ID                UINT32_C(0x0009009C)
#define FSCTL_GET_COMPRESSION              UINT32_C(0x0009003C)
#define FSCTL_SET_COMPRESSION              UINT32_C(0x0009C040)
#define FSCTL_QUERY_FILE_REGIONS           UINT32_C(0x00090284)
#define FSCTL_IS_PATHNAME_VALID            UINT32_C(0x0009002C)
#define FSCTL_SET_REPARSE_POINT            UINT32_C(0x000900A4)
#define FSCTL_GET_REPARSE_POINT            UINT32_C(0x000900A8)
#define FSCTL_DELETE_REPARSE_POINT         UINT32_C(0x000900AC)

/* smb2_reparse.c */
uint32_t smb2__fsctl_get_reparse(struct smb2_request *request, struct smb2_ioctl *ioctl);
uint32_t smb2__fsctl_set_reparse(struct smb2_request *request, struct smb2_ioctl *ioctl);
uint32_t smb2__fsctl_delete_reparse(struct smb2_request *request, struct smb2_ioctl *ioctl);

/* smb2_pipe.c */
uint32_t smb2__fsctl_pipe_transceive(struct smb2_request *request, struct smb2_ioctl *ioctl);
uint32_t smb2__fsctl_pipe_peek(struct smb2_request *request, struct smb2_ioctl *ioctl);
uint32_t smb2__fsctl_pipe_wait(struct smb2_request *request, struct smb2_ioctl *ioctl);

/* smb2_durable.c */
uint32_t smb2__fsctl_resiliency(struct smb2_request *request, struct smb2_ioctl *ioctl);

/* smb2_copychunk.c */
uint32_t smb2__fsctl_resume_key(struct smb2_request *request, struct smb2_ioctl *ioctl);
uint32_t smb2__fsctl_copychunk(struct smb2_request *request, struct smb2_ioctl *ioctl);
uint32_t smb2__fsctl_copychunk_write(struct smb2_request *request, struct smb2_ioctl *ioctl);
uint32_t smb2__fsctl_duplicate(struct smb2_request *request, struct smb2_ioctl *ioctl);
uint32_t smb2__fsctl_duplicate_ex(struct smb2_request *request, struct smb2_ioctl *ioctl);

/* smb2_fsctl_file.c */
uint32_t smb2__fsctl_set_sparse(struct smb2_request *request, struct smb2_ioctl *ioctl);
uint32_t smb2__fsctl_set_zero_data(struct smb2_request *request, struct smb2_ioctl *ioctl);
uint32_t smb2__fsctl_query_ranges(struct smb2_request *request, struct smb2_ioctl *ioctl);
uint32_t smb2__fsctl_query_regions(struct smb2_request *request, struct smb2_ioctl *ioctl);
uint32_t smb2__fsctl_trim(struct smb2_request *request, struct smb2_ioctl *ioctl);
uint32_t smb2__fsctl_get_compression(struct smb2_request *request, struct smb2_ioctl *ioctl);
uint32_t smb2__fsctl_set_compression(struct smb2_request *request, struct smb2_ioctl *ioctl);
uint32_t smb2__fsctl_get_integrity(struct smb2_request *request, struct smb2_ioctl *ioctl);
uint32_t smb2__fsctl_set_integrity(struct smb2_request *request, struct smb2_ioctl *ioctl);
uint32_t smb2__fsctl_object_id(struct smb2_request *request, struct smb2_ioctl *ioctl);

/* smb2_fsctl_server.c */
uint32_t smb2__fsctl_validate_negotiate(struct smb2_request *request, struct smb2_ioctl *ioctl);
uint32_t smb2__fsctl_no_dfs(struct smb2_request *request, struct smb2_ioctl *ioctl);
uint32_t smb2__fsctl_interfaces(struct smb2_request *request, struct smb2_ioctl *ioctl);
uint32_t smb2__fsctl_snapshots(struct smb2_request *request, struct smb2_ioctl *ioctl);
uint32_t smb2__fsctl_read_hash(struct smb2_request *request, struct smb2_ioctl *ioctl);
uint32_t smb2__fsctl_pathname_valid(struct smb2_request *request, struct smb2_ioctl *ioctl);

/* The output is complete: fills in its length. Only for those that end by smb2__request_durable. */
void smb2__ioctl_end(struct smb2_request *request);
/* Ends an IOCTL that waited. */
void smb2__ioctl_done(struct smb2_request *request, uint32_t status);

#endif
