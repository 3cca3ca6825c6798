/*
 * smb2_worker.h - large messages on their way through workers (smb2_worker.c), and where they come back
 * (smb2_message.c).
 */
#ifndef DITTOFS_SMB_SMB2_WORKER_H
#define DITTOFS_SMB_SMB2_WORKER_H

#include "smb/smb2_priv.h"

enum smb2_opening {
    SMB2_OPENED,
    SMB2_LATER, /* smb2__message_opened will be called */
    SMB2_BROKEN
};

/* A message that came encrypted. */
enum smb2_opening smb2__worker_decrypt(struct smb2_message *message);
/* Has the signature of a large request checked, if there is one: smb2__message_opened will be called. False:
 * it is still to be checked. */
bool smb2__worker_check(struct smb2_message *message);
/* All replies are written: smb2__message_sent will be called. False: nothing was done. The only reply, at the
 * start, is signed by KEY. */
bool smb2__worker_encrypt(struct smb2_message *message);
bool smb2__worker_sign(struct smb2_message *message, struct smb2_key *key);

void smb2__message_opened(struct smb2_message *message, bool good);
void smb2__message_sent(struct smb2_message *message, bool good);

#endif
