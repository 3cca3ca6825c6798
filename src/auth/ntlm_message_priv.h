/*
 * ntlm_message_priv.h - the three messages of NTLM as plain structs (MS-NLMP 2.2.1, 2.2.2).
 *
 * Decoders check every bound and refer into the message; they do not judge what it says.
 */
#ifndef DITTOFS_AUTH_NTLM_MESSAGE_PRIV_H
#define DITTOFS_AUTH_NTLM_MESSAGE_PRIV_H

#include "dittofs/cursor.h"

/* MS-NLMP 2.2.2.5 */
#define NTLM__NEGOTIATE_UNICODE     0x00000001u
#define NTLM__REQUEST_TARGET        0x00000004u
#define NTLM__NEGOTIATE_SIGN        0x00000010u
#define NTLM__NEGOTIATE_SEAL        0x00000020u
#define NTLM__NEGOTIATE_NTLM        0x00000200u
#define NTLM__ANONYMOUS             0x00000800u
#define NTLM__NEGOTIATE_ALWAYS_SIGN 0x00008000u
#define NTLM__TARGET_TYPE_SERVER    0x00020000u
#define NTLM__NEGOTIATE_ESS         0x00080000u
#define NTLM__NEGOTIATE_TARGET_INFO 0x00800000u
#define NTLM__NEGOTIATE_VERSION     0x02000000u
#define NTLM__NEGOTIATE_128         0x20000000u
#define NTLM__NEGOTIATE_KEY_EXCH    0x40000000u
#define NTLM__NEGOTIATE_56          0x80000000u

/* MS-NLMP 2.2.2.1 */
enum {
    NTLM__AV_EOL = 0,
    NTLM__AV_NB_COMPUTER = 1,
    NTLM__AV_NB_DOMAIN = 2,
    NTLM__AV_DNS_COMPUTER = 3,
    NTLM__AV_DNS_DOMAIN = 4,
    NTLM__AV_FLAGS = 6,
    NTLM__AV_TIMESTAMP = 7,
};
#define NTLM__AV_FLAG_MIC 0x2u

enum {
    NTLM__MESSAGE_NEGOTIATE = 1,
    NTLM__MESSAGE_CHALLENGE = 2,
    NTLM__MESSAGE_AUTHENTICATE = 3,
    NTLM__CHALLENGE_SIZE = 8,
    NTLM__MIC_SIZE = 16,
    NTLM__MIC_OFFSET = 72,
    NTLM__MESSAGE_MAX = 16384,
    NTLM__USER_MAX = 256, /* code units */
    NTLM__AV_PAIRS_MAX = 64,
    NTLM__PROOF_SIZE = 16,
};

extern const uint8_t ntlm__magic[8];

struct ntlm__field {
    const uint8_t *data;
    size_t length;
};

struct ntlm__negotiate {
    uint32_t flags;
};

struct ntlm__challenge {
    uint32_t flags;
    uint8_t server_challenge[NTLM__CHALLENGE_SIZE];
    struct ntlm__field target_name;
    struct ntlm__field target_info;
};

struct ntlm__authenticate {
    struct ntlm__field lm_response;
    struct ntlm__field nt_response;
    struct ntlm__field domain; /* UTF-16LE, as the next two */
    struct ntlm__field user;
    struct ntlm__field workstation;
    struct ntlm__field session_key; /* encrypted */
    uint32_t flags;
    bool has_mic_room; /* no field begins before the MIC's end */
};

/* NTLMv2_CLIENT_CHALLENGE (MS-NLMP 2.2.2.7), behind the proof in the response. */
struct ntlm__blob {
    uint64_t timestamp; /* 100 ns since 1601 */
    uint8_t client_challenge[NTLM__CHALLENGE_SIZE];
    struct ntlm__field av_pairs;
    uint32_t av_flags; /* 0 when there are none */
};

/* Does it begin as a message of NTLM? */
bool ntlm__is_message(const void *data, size_t length);

bool ntlm__negotiate_read(const void *data, size_t length, struct ntlm__negotiate *message_r) MUST_CHECK;
bool ntlm__challenge_read(const void *data, size_t length, struct ntlm__challenge *message_r) MUST_CHECK;
bool ntlm__authenticate_read(const void *data, size_t length,
                             struct ntlm__authenticate *message_r) MUST_CHECK;
/* RESPONSE is a whole NTLMv2 response: proof and blob. */
bool ntlm__blob_read(struct ntlm__field response, struct ntlm__blob *blob_r) MUST_CHECK;

void ntlm__challenge_write(struct writer *writer, const struct ntlm__challenge *message);
void ntlm__av_write(struct writer *writer, uint16_t id, const void *data, size_t length);
/* Finds one pair; false when it is not there. The pairs were checked before. */
bool ntlm__av_find(struct ntlm__field pairs, uint16_t id, struct ntlm__field *value_r);
/* Well-formed up to an end marker? LENGTH_R is that of the pairs with it. */
bool ntlm__av_check(struct ntlm__field pairs, size_t *length_r) MUST_CHECK;

#endif
