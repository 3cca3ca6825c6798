/*
 * smb2_gcm_none.c - in place of smb2_gcm.c where there is no libipsec-mb: no key is made, so nothing else is
 * ever called.
 */
#include "smb/smb2_gcm.h"

#include "dittofs/log.h"

void smb2__gcm_allow(bool allowed)
{
    (void)allowed;
}

struct smb2_gcm *smb2__gcm_new(const uint8_t *key, size_t length)
{
    (void)key;
    (void)length;
    return NULL;
}

void smb2__gcm_free(struct smb2_gcm **gcm)
{
    invariant(*gcm == NULL);
}

void smb2__gcm_sign(struct smb2_gcm *gcm, const uint8_t nonce[SMB2_GCM_NONCE], const struct smb2_part *parts,
                    size_t count, uint8_t tag_r[SMB2_GCM_TAG])
{
    (void)nonce;
    (void)parts;
    (void)count;
    (void)tag_r;
    invariant(gcm == NULL);
}

void smb2__gcm_encrypt(struct smb2_gcm *gcm, const uint8_t nonce[SMB2_GCM_NONCE], const struct smb2_part *aad,
                       const struct smb2_part *parts, size_t count, uint8_t *out, uint8_t tag_r[SMB2_GCM_TAG])
{
    (void)aad;
    (void)out;
    smb2__gcm_sign(gcm, nonce, parts, count, tag_r);
}

bool smb2__gcm_decrypt(struct smb2_gcm *gcm, const uint8_t nonce[SMB2_GCM_NONCE], const struct smb2_part *aad,
                       const struct smb2_part *in, uint8_t *out, const uint8_t tag[SMB2_GCM_TAG])
{
    (void)nonce;
    (void)aad;
    (void)in;
    (void)out;
    (void)tag;
    invariant(gcm == NULL);
    return false;
}
