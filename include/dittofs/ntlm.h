/*
 * ntlm.h - the server's side of NTLM (MS-NLMP): NTLMv2 against the local users.
 *
 * NTLMv1, LM, anonymous and guest logons are refused always. The client's MIC is checked whenever it says
 * that there is one (the saying is part of what the password proves). Channel bindings are ignored: there is
 * no TLS below SMB.
 */
#ifndef DITTOFS_NTLM_H
#define DITTOFS_NTLM_H

#include "dittofs/cred.h"

enum { NTLM_NAME_MAX = 255 };

struct cred_ntlm_server {
    const struct identity *identity;
    /* DNS names for the target information; "" gives the computer's NetBIOS name. */
    char dns_computer[NTLM_NAME_MAX + 1];
    char dns_domain[NTLM_NAME_MAX + 1];
    /* How far a client's clock may be away; 0: 36 hours, as MS-NLMP 3.2.5.1.2 has it. */
    uint32_t max_skew_s;
};

/* Its `server` is a struct cred_ntlm_server, which must stay good. */
extern const struct cred_mechanism cred_ntlm;

/* Loads what NTLM needs of libcrypto (MD4 and RC4 are in its legacy provider): ERR_NOTSUPP with a line in the
 * log when that is missing. For the start of the daemon; otherwise the first use does it. On the loop's
 * thread. */
enum err cred_ntlm_prepare(void) ERR_MUST_CHECK;

#endif
