/*
 * acl.h - access control lists of files: one model for the DACLs of SMB (MS-DTYP 2.4.5) and the ACLs of NFSv4
 * (RFC 8881 6.2), whose entries have the same types, flags and mask bits.
 *
 * A file without a list is governed by its mode. One with a list is governed by the list, for every protocol;
 * its mode then says what the list means for owner, group and others, and changing the mode changes the list.
 */
#ifndef DITTOFS_ACL_H
#define DITTOFS_ACL_H

#include <stdbool.h>
#include <stdint.h>

/* MS-SMB2 2.2.13.1, RFC 8881 6.2.1.3.1 */
enum acl_mask {
    ACL_READ_DATA = 0x1, /* of a directory: list */
    ACL_LIST = 0x1,
    ACL_WRITE_DATA = 0x2,
    ACL_ADD_FILE = 0x2,
    ACL_APPEND_DATA = 0x4,
    ACL_ADD_SUBDIRECTORY = 0x4,
    ACL_READ_EA = 0x8,
    ACL_WRITE_EA = 0x10,
    ACL_EXECUTE = 0x20, /* of a directory: traverse */
    ACL_DELETE_CHILD = 0x40,
    ACL_READ_ATTRIBUTES = 0x80,
    ACL_WRITE_ATTRIBUTES = 0x100,
    ACL_DELETE = 0x10000,
    ACL_READ_CONTROL = 0x20000,
    ACL_WRITE_DAC = 0x40000,
    ACL_WRITE_OWNER = 0x80000,
    ACL_SYNCHRONIZE = 0x100000,
    ACL_ALL = 0x1f01ff,
    ACL_ALL_CHANGES = ACL_WRITE_DATA | ACL_APPEND_DATA | ACL_WRITE_EA | ACL_DELETE_CHILD |
                      ACL_WRITE_ATTRIBUTES | ACL_DELETE | ACL_WRITE_DAC | ACL_WRITE_OWNER
};

enum acl_type { ACL_ALLOWED = 0, ACL_DENIED = 1 };

/* As in MS-DTYP 2.4.4.1; RFC 8881 6.2.1.4 has the last one as 0x80. */
enum acl_flags {
    ACL_OBJECT_INHERIT = 1,
    ACL_CONTAINER_INHERIT = 2,
    ACL_NO_PROPAGATE = 4,
    ACL_INHERIT_ONLY = 8,
    ACL_INHERITED = 0x10,
    ACL_INHERIT_FLAGS = 0x0f
};

enum acl_who {
    ACL_EVERYONE = 1,  /* also the groups that every user is in: Authenticated Users, Users, Network */
    ACL_OWNER,         /* OWNER@: whoever owns the file */
    ACL_GROUP,         /* GROUP@ */
    ACL_UID,           /* the user `id` */
    ACL_GID,           /* the group `id` */
    ACL_CREATOR_OWNER, /* in what is inherited: becomes the new file's owner */
    ACL_CREATOR_GROUP,
    ACL_OWNER_RIGHTS, /* S-1-3-4: the owner, who then has no other rights by being the owner */
    ACL_NOBODY        /* somebody who is no user or group here */
};

enum { ACL_SID_MAX = 68, ACL_ACES_MAX = 2000 };

struct acl_ace {
    uint8_t type;  /* enum acl_type */
    uint8_t flags; /* enum acl_flags */
    enum acl_who who;
    uint32_t id;
    uint32_t mask;      /* without generic bits */
    const uint8_t *sid; /* the name that it came under, told again as it came; NULL: there is none */
    uint8_t sid_length; /* at most ACL_SID_MAX */
};

/* Bits of `control`, as in MS-DTYP 2.4.6; others are not kept. */
enum {
    ACL_CONTROL_AUTO_INHERITED = 0x0400,
    ACL_CONTROL_PROTECTED = 0x1000,
};

struct acl {
    uint16_t control;
    bool everything; /* a null DACL: everybody may do everything; no entries then */
    uint16_t count;
    struct acl_ace *aces;
};

#endif
