/*
 * identity_priv.h - the lists behind identity.h, for the files of this room.
 */
#ifndef DITTOFS_AUTH_IDENTITY_PRIV_H
#define DITTOFS_AUTH_IDENTITY_PRIV_H

#include "dittofs/identity.h"

enum { IDENT__FOLDED_MAX = 3 * IDENT_NAME_MAX };

/* A user or a group: sorted by folded name, and again by id. */
struct ident__entry {
    char folded[IDENT__FOLDED_MAX + 1];
    uint32_t id;
    union {
        struct ident_user user;
        struct ident_group group;
    } u;
};

struct ident__list {
    struct ident__entry **by_name;
    struct ident__entry **by_id;
    size_t count;
    size_t capacity;
};

struct identity {
    struct ident_storage storage;
    char computer[IDENT_COMPUTER_MAX + 1];
    struct sid machine;
    struct ident__list users;
    struct ident__list groups;
};

/* NAME without case, as far as one character stands for one: what two equal names share. False when it is not
 * a usable name: empty, too long, not UTF-8, with control characters or those that Windows forbids. */
bool ident__fold(const char *name, char folded_r[IDENT__FOLDED_MAX + 1]) MUST_CHECK;
/* The upper case of a code unit of UTF-16, as NTLM has it: one for one, surrogates as they are. */
uint16_t ident__upper(uint16_t unit);

#endif
