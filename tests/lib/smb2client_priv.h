/*
 * smb2client_priv.h - what the files of the SMB test client share.
 */
#ifndef DITTOFS_TESTS_SMB2CLIENT_PRIV_H
#define DITTOFS_TESTS_SMB2CLIENT_PRIV_H

#include "smb2client.h"

/* Messages as they are sent and come, for the hash over a logon (MS-SMB2 3.2.4.1.8, 3.2.5.2). */
void smb2c__note_sent(struct smb2client *client, uint16_t command, const void *message, size_t length);
void smb2c__note_received(struct smb2client *client, const void *message, size_t length);

#endif
