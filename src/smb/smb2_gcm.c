/*
 * smb2_gcm.c - AES-GCM with libipsec-mb.
 *
 * Its manager, which holds the functions that suit the processor, is made once and lives as long as the
 * process; the functions used here do not change it, so any thread may call them.
 */
#include "smb/smb2_gcm.h"

#include "dittofs/hash.h"
#include "dittofs/log.h"

#include <intel-ipsec-mb.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_ALIGNMENT = 64, KEY_SHORT = 16 };

struct smb2_gcm {
    struct gcm_key_data key;
    struct gcm_context_data context;
    bool is_short; /* AES-128 */
};

static IMB_MGR *manager; /* NULL: not made yet, or it can't be */
static bool is_refused;

void smb2__gcm_allow(bool allowed)
{
    is_refused = !allowed;
}

static bool has_manager(void)
{
    const uint64_t needed = IMB_FEATURE_AESNI | IMB_FEATURE_PCLMULQDQ;
    static bool is_tried;

    if (is_tried)
        return manager != NULL;
    is_tried = true;
    manager = alloc_mb_mgr(0);
    if (manager == NULL)
        return false;
    init_mb_mgr_auto(manager, NULL);
    if (imb_get_errno(manager) == 0 && (manager->features & needed) == needed)
        return true;
    free_mb_mgr(manager);
    manager = NULL;
    return false;
}

struct smb2_gcm *smb2__gcm_new(const uint8_t *key, size_t length)
{
    size_t size = (sizeof(struct smb2_gcm) + KEY_ALIGNMENT - 1) / KEY_ALIGNMENT * KEY_ALIGNMENT;
    struct smb2_gcm *gcm;

    if (is_refused || !has_manager() || (gcm = aligned_alloc(KEY_ALIGNMENT, size)) == NULL)
        return NULL;
    memset(gcm, 0, size);
    gcm->is_short = length == KEY_SHORT;
    if (gcm->is_short)
        IMB_AES128_GCM_PRE(manager, key, &gcm->key);
    else
        IMB_AES256_GCM_PRE(manager, key, &gcm->key);
    return gcm;
}

void smb2__gcm_free(struct smb2_gcm **gcm)
{
    if (*gcm != NULL)
        OPENSSL_cleanse(*gcm, sizeof **gcm);
    free(*gcm);
    *gcm = NULL;
}

void smb2__gcm_sign(struct smb2_gcm *gcm, const uint8_t nonce[SMB2_GCM_NONCE], const struct smb2_part *parts,
                    size_t count, uint8_t tag_r[SMB2_GCM_TAG])
{
    invariant(gcm->is_short); /* MS-SMB2 3.1.4.1 knows no other */
    IMB_AES128_GMAC_INIT(manager, &gcm->key, &gcm->context, nonce, SMB2_GCM_NONCE);
    for (size_t i = 0; i < count; i++)
        IMB_AES128_GMAC_UPDATE(manager, &gcm->key, &gcm->context, parts[i].data, parts[i].length);
    IMB_AES128_GMAC_FINALIZE(manager, &gcm->key, &gcm->context, tag_r, SMB2_GCM_TAG);
}

static void begin(struct smb2_gcm *gcm, const uint8_t *nonce, const struct smb2_part *aad)
{
    if (gcm->is_short)
        IMB_AES128_GCM_INIT(manager, &gcm->key, &gcm->context, nonce, aad->data, aad->length);
    else
        IMB_AES256_GCM_INIT(manager, &gcm->key, &gcm->context, nonce, aad->data, aad->length);
}

void smb2__gcm_encrypt(struct smb2_gcm *gcm, const uint8_t nonce[SMB2_GCM_NONCE], const struct smb2_part *aad,
                       const struct smb2_part *parts, size_t count, uint8_t *out, uint8_t tag_r[SMB2_GCM_TAG])
{
    begin(gcm, nonce, aad);
    for (size_t i = 0; i < count; i++) {
        const struct smb2_part *part = &parts[i];

        if (part->length == 0)
            continue;
        if (gcm->is_short)
            IMB_AES128_GCM_ENC_UPDATE(manager, &gcm->key, &gcm->context, out, part->data, part->length);
        else
            IMB_AES256_GCM_ENC_UPDATE(manager, &gcm->key, &gcm->context, out, part->data, part->length);
        out += part->length;
    }
    if (gcm->is_short)
        IMB_AES128_GCM_ENC_FINALIZE(manager, &gcm->key, &gcm->context, tag_r, SMB2_GCM_TAG);
    else
        IMB_AES256_GCM_ENC_FINALIZE(manager, &gcm->key, &gcm->context, tag_r, SMB2_GCM_TAG);
}

bool smb2__gcm_decrypt(struct smb2_gcm *gcm, const uint8_t nonce[SMB2_GCM_NONCE], const struct smb2_part *aad,
                       const struct smb2_part *in, uint8_t *out, const uint8_t tag[SMB2_GCM_TAG])
{
    uint8_t real[SMB2_GCM_TAG];

    begin(gcm, nonce, aad);
    if (gcm->is_short) {
        IMB_AES128_GCM_DEC_UPDATE(manager, &gcm->key, &gcm->context, out, in->data, in->length);
        IMB_AES128_GCM_DEC_FINALIZE(manager, &gcm->key, &gcm->context, real, sizeof real);
    } else {
        IMB_AES256_GCM_DEC_UPDATE(manager, &gcm->key, &gcm->context, out, in->data, in->length);
        IMB_AES256_GCM_DEC_FINALIZE(manager, &gcm->key, &gcm->context, real, sizeof real);
    }
    return constant_time_equal(real, tag, sizeof real);
}
