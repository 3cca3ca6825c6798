/*
 * smb2_gcm.h - AES-GCM with libipsec-mb, where the build has it and the processor suits it.
 *
 * libcrypto 3.0 does not use the wide vectors of newer processors: there libipsec-mb takes less than half of
 * its time. Without it, or for CCM, smb2_crypto.c uses libcrypto.
 */
#ifndef DITTOFS_SMB_SMB2_GCM_H
#define DITTOFS_SMB_SMB2_GCM_H

#include "dittofs/cursor.h"
#include "smb/smb2_crypto.h"

enum { SMB2_GCM_NONCE = 12, SMB2_GCM_TAG = 16 };

struct smb2_gcm;

/* A key of 16 or 32 bytes, ready for use by one thread at a time. NULL: libcrypto has to do it, or memory is
 * out. To be made on the loop's thread. */
struct smb2_gcm *smb2__gcm_new(const uint8_t *key, size_t length);
/* Sets the pointer to NULL; NULL is fine. */
void smb2__gcm_free(struct smb2_gcm **gcm);

/* The tag of PARTS, which are not encrypted (AES-GMAC). */
void smb2__gcm_sign(struct smb2_gcm *gcm, const uint8_t nonce[SMB2_GCM_NONCE], const struct smb2_part *parts,
                    size_t count, uint8_t tag_r[SMB2_GCM_TAG]);
/* PARTS one behind the other to OUT, which may be where they are. */
void smb2__gcm_encrypt(struct smb2_gcm *gcm, const uint8_t nonce[SMB2_GCM_NONCE], const struct smb2_part *aad,
                       const struct smb2_part *parts, size_t count, uint8_t *out,
                       uint8_t tag_r[SMB2_GCM_TAG]);
/* False: TAG is not that of AAD and IN; what is in OUT then, which may be IN, is not to be used. */
bool smb2__gcm_decrypt(struct smb2_gcm *gcm, const uint8_t nonce[SMB2_GCM_NONCE], const struct smb2_part *aad,
                       const struct smb2_part *in, uint8_t *out, const uint8_t tag[SMB2_GCM_TAG]) MUST_CHECK;

/* For tests: from now on smb2__gcm_new answers NULL, or not. */
void smb2__gcm_allow(bool allowed);

#endif
