/*
 * smb2_crypto_priv.h - the bare MAC under a signature, for the published vectors.
 */
#ifndef DITTOFS_SMB_SMB2_CRYPTO_PRIV_H
#define DITTOFS_SMB_SMB2_CRYPTO_PRIV_H

#include "smb/smb2_crypto.h"

/* Over the parts as they are. NONCE: 12 bytes, for AES-GMAC only. */
enum err smb2__mac(struct smb2_engine *engine, const uint8_t *nonce, const struct smb2_part *parts,
                   size_t count, uint8_t signature_r[SMB2_SIGNATURE_SIZE]) ERR_MUST_CHECK;

#endif
