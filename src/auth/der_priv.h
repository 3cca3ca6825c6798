/*
 * der_priv.h - as much of DER (X.690) as SPNEGO needs: definite lengths, tags of one byte.
 */
#ifndef DITTOFS_AUTH_DER_PRIV_H
#define DITTOFS_AUTH_DER_PRIV_H

#include "dittofs/cursor.h"

enum {
    DER__BIT_STRING = 0x03,
    DER__OCTET_STRING = 0x04,
    DER__OID = 0x06,
    DER__ENUMERATED = 0x0a,
    DER__GENERAL_STRING = 0x1b,
    DER__SEQUENCE = 0x30,
    DER__APPLICATION_0 = 0x60,
    DER__CONTEXT_0 = 0xa0, /* constructed; [n] is this + n */
};

/* The next element, whatever its tag is. Lengths take at most four bytes; they need not be the shortest form,
 * which some peers do not use. */
bool der__read(struct reader *reader, uint8_t *tag_r, struct reader *content_r) MUST_CHECK;
/* The next element, which must have this tag. */
bool der__expect(struct reader *reader, uint8_t tag, struct reader *content_r) MUST_CHECK;
/* The same, and nothing may follow it. */
bool der__only(struct reader *reader, uint8_t tag, struct reader *content_r) MUST_CHECK;

/* Tag and length of an element; the content follows. */
void der__head(struct writer *writer, uint8_t tag, size_t length);
/* The size of an element with that much content. */
size_t der__size(size_t length);
void der__element(struct writer *writer, uint8_t tag, const void *data, size_t length);

#endif
