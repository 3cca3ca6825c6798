/*
 * spnego_message.c - decoding and encoding of SPNEGO's tokens.
 */
#include "auth/spnego_message_priv.h"
#include "auth/der_priv.h"

#include <string.h>

/* 1.3.6.1.5.5.2 (RFC 4178 4) */
static const uint8_t spnego_oid[] = {0x2b, 0x06, 0x01, 0x05, 0x05, 0x02};
/* MS-SPNG 2.2.1: what every server puts there. */
static const char hint_name[] = "not_defined_in_RFC4178@please_ignore";

enum { CHOICE_INIT = 0, CHOICE_RESPONSE = 1, HIGHEST_FIELD = 16 };

static struct spnego__bytes bytes_of(const struct reader *reader)
{
    return (struct spnego__bytes){reader->at, reader->left};
}

/* [n] OCTET STRING, given what is in [n]. */
static bool read_octets(struct reader *field, struct spnego__bytes *bytes_r)
{
    struct reader content;

    if (!der__only(field, DER__OCTET_STRING, &content))
        return false;
    *bytes_r = bytes_of(&content);
    return true;
}

/* MechTypeList, given what is in [0]. */
static bool read_list(struct reader *field, struct spnego__init *init)
{
    struct reader list, oid;

    init->list = bytes_of(field);
    if (!der__only(field, DER__SEQUENCE, &list) || reader_is_done(&list))
        return false;
    while (!reader_is_done(&list)) {
        if (!der__expect(&list, DER__OID, &oid) || reader_is_done(&oid))
            return false;
        if (init->mechanism_count < SPNEGO__MECHANISMS_MAX)
            init->mechanisms[init->mechanism_count++] = bytes_of(&oid);
    }
    return true;
}

/* One field of NegTokenInit (RFC 4178 4.2.1) or NegTokenInit2 (MS-SPNG 2.2.1), where [3] is a hint and the
 * MIC moves to [4]. Fields of later versions are passed over. */
static bool read_init_field(unsigned number, struct reader *field, struct spnego__init *init)
{
    struct reader ignored;

    switch (number) {
    case 0:
        return read_list(field, init);
    case 1:
        return der__only(field, DER__BIT_STRING, &ignored);
    case 2:
        return read_octets(field, &init->token);
    case 3:
        if (field->left > 0 && field->at[0] == DER__SEQUENCE)
            return der__only(field, DER__SEQUENCE, &ignored);
        return read_octets(field, &init->mic);
    case 4:
        return read_octets(field, &init->mic);
    default:
        return true;
    }
}

/* [n] of a SEQUENCE, whose numbers grow. */
static bool next_field(struct reader *sequence, unsigned *number, struct reader *field_r)
{
    uint8_t tag;

    if (!der__read(sequence, &tag, field_r) || tag < DER__CONTEXT_0 + *number ||
        tag >= DER__CONTEXT_0 + HIGHEST_FIELD)
        return false;
    *number = (unsigned)tag - DER__CONTEXT_0;
    return true;
}

bool spnego__init_read(const void *data, size_t length, struct spnego__init *init_r)
{
    struct reader whole = reader_of(data, length), frame, oid, choice, sequence, field;
    struct spnego__init init = {0};
    unsigned number = 0;

    /* RFC 2743 3.1: the frame with the mechanism's identifier. */
    if (!der__only(&whole, DER__APPLICATION_0, &frame) || !der__expect(&frame, DER__OID, &oid) ||
        oid.left != sizeof spnego_oid || memcmp(oid.at, spnego_oid, sizeof spnego_oid) != 0 ||
        !der__only(&frame, DER__CONTEXT_0 + CHOICE_INIT, &choice) ||
        !der__only(&choice, DER__SEQUENCE, &sequence))
        return false;
    while (!reader_is_done(&sequence)) {
        if (!next_field(&sequence, &number, &field) || !read_init_field(number, &field, &init))
            return false;
        number++;
    }
    if (init.mechanism_count == 0)
        return false;
    *init_r = init;
    return true;
}

/* RFC 4178 4.2.2 */
static bool read_response_field(unsigned number, struct reader *field, struct spnego__response *response)
{
    struct reader content;
    uint8_t state;

    switch (number) {
    case 0:
        if (!der__only(field, DER__ENUMERATED, &content) || !reader_u8(&content, &state) ||
            !reader_is_done(&content) || state > SPNEGO__REQUEST_MIC)
            return false;
        response->state = (enum spnego__state)state;
        return true;
    case 1:
        if (!der__only(field, DER__OID, &content))
            return false;
        response->mechanism = bytes_of(&content);
        return true;
    case 2:
        return read_octets(field, &response->token);
    case 3:
        return read_octets(field, &response->mic);
    default:
        return true;
    }
}

bool spnego__response_read(const void *data, size_t length, struct spnego__response *response_r)
{
    struct reader whole = reader_of(data, length), choice, sequence, field;
    struct spnego__response response = {.state = SPNEGO__STATE_NONE};
    unsigned number = 0;

    if (!der__only(&whole, DER__CONTEXT_0 + CHOICE_RESPONSE, &choice) ||
        !der__only(&choice, DER__SEQUENCE, &sequence))
        return false;
    while (!reader_is_done(&sequence)) {
        if (!next_field(&sequence, &number, &field) || !read_response_field(number, &field, &response))
            return false;
        number++;
    }
    *response_r = response;
    return true;
}

/* ---- encoding: sizes first, from the inside out ---- */

/* [n] with one element in it. */
static size_t field_size(struct spnego__bytes bytes)
{
    return bytes.data != NULL ? der__size(der__size(bytes.length)) : 0;
}

static void write_field(struct writer *writer, unsigned number, uint8_t tag, struct spnego__bytes bytes)
{
    if (bytes.data == NULL)
        return;
    der__head(writer, (uint8_t)(DER__CONTEXT_0 + number), der__size(bytes.length));
    der__element(writer, tag, bytes.data, bytes.length);
}

void spnego__response_write(struct writer *writer, const struct spnego__response *response)
{
    uint8_t state = (uint8_t)response->state;
    struct spnego__bytes state_bytes = {response->state != SPNEGO__STATE_NONE ? &state : NULL, 1};
    size_t size = field_size(state_bytes) + field_size(response->mechanism) + field_size(response->token) +
                  field_size(response->mic);

    der__head(writer, DER__CONTEXT_0 + CHOICE_RESPONSE, der__size(size));
    der__head(writer, DER__SEQUENCE, size);
    write_field(writer, 0, DER__ENUMERATED, state_bytes);
    write_field(writer, 1, DER__OID, response->mechanism);
    write_field(writer, 2, DER__OCTET_STRING, response->token);
    write_field(writer, 3, DER__OCTET_STRING, response->mic);
}

void spnego__init_write(struct writer *writer, const struct spnego__init *init, bool hint)
{
    struct spnego__bytes hint_bytes = {(const uint8_t *)hint_name, sizeof hint_name - 1};
    size_t list = 0, hint_size = hint ? field_size(hint_bytes) : 0, size, choice;

    for (size_t i = 0; i < init->mechanism_count; i++)
        list += der__size(init->mechanisms[i].length);
    size = der__size(der__size(list)) + field_size(init->token) + field_size(init->mic);
    if (hint)
        size += der__size(der__size(hint_size));
    choice = der__size(size);
    der__head(writer, DER__APPLICATION_0, der__size(sizeof spnego_oid) + der__size(choice));
    der__element(writer, DER__OID, spnego_oid, sizeof spnego_oid);
    der__head(writer, DER__CONTEXT_0 + CHOICE_INIT, choice);
    der__head(writer, DER__SEQUENCE, size);
    der__head(writer, DER__CONTEXT_0, der__size(list));
    der__head(writer, DER__SEQUENCE, list);
    for (size_t i = 0; i < init->mechanism_count; i++)
        der__element(writer, DER__OID, init->mechanisms[i].data, init->mechanisms[i].length);
    write_field(writer, 2, DER__OCTET_STRING, init->token);
    if (hint) {
        der__head(writer, DER__CONTEXT_0 + 3, der__size(hint_size));
        der__head(writer, DER__SEQUENCE, hint_size);
        write_field(writer, 0, DER__GENERAL_STRING, hint_bytes);
    }
    write_field(writer, hint ? 4 : 3, DER__OCTET_STRING, init->mic);
}
