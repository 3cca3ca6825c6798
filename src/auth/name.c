/*
 * name.c - names of users and groups: which are usable, and case.
 */
#include "auth/identity_priv.h"

#include <string.h>
#include <utf8proc.h>

/* As Windows has it: no letter beyond ASCII becomes one of ASCII (dotless i, long s), sharp s stays. */
static utf8proc_int32_t upper_of(utf8proc_int32_t code)
{
    utf8proc_int32_t upper = utf8proc_toupper(code);

    return code == 0xdf || (code >= 0x80 && upper < 0x80) ? code : upper;
}

uint16_t ident__upper(uint16_t unit)
{
    utf8proc_int32_t upper;

    if (unit >= 0xd800 && unit < 0xe000)
        return unit;
    upper = upper_of(unit);
    return upper <= 0xffff ? (uint16_t)upper : unit;
}

bool ident__fold(const char *name, char folded_r[IDENT__FOLDED_MAX + 1])
{
    /* MS-SAMR 3.1.1.6: what an account's name may not contain; "@" would make it look like a principal. */
    static const char forbidden[] = "\"/\\[]:;|=,+*?<>@";
    size_t left = strlen(name), length = 0;
    char folded[IDENT__FOLDED_MAX + 4];

    if (left == 0 || left > IDENT_NAME_MAX || name[0] == ' ' || name[left - 1] == ' ')
        return false;
    while (left > 0) {
        utf8proc_int32_t code;
        utf8proc_ssize_t took = utf8proc_iterate((const uint8_t *)name, (utf8proc_ssize_t)left, &code);

        if (took <= 0 || code < 0x20 || code == 0x7f || (code < 0x80 && strchr(forbidden, code) != NULL))
            return false;
        /* Upper first: so both forms of letters with one upper and two lower forms meet. */
        code = utf8proc_tolower(upper_of(code));
        if (length > IDENT__FOLDED_MAX - 4)
            return false;
        length += (size_t)utf8proc_encode_char(code, (uint8_t *)folded + length);
        name += took;
        left -= (size_t)took;
    }
    folded[length] = 0;
    memcpy(folded_r, folded, length + 1);
    return true;
}
