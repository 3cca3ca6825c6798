/*
 * security_descriptor.h - Windows security descriptors in their self-relative form (MS-DTYP 2.4.4 to 2.4.6).
 *
 * Decoded into plain structs in an arena, which refer into the bytes decoded for what an ACE carries behind
 * its SID. Nothing is judged here: what a descriptor means for a file is the front-end's and vfs's matter.
 */
#ifndef DITTOFS_SECURITY_DESCRIPTOR_H
#define DITTOFS_SECURITY_DESCRIPTOR_H

#include "dittofs/arena.h"
#include "dittofs/identity.h"

enum {
    SEC_ACL_MAX = 65535,
    SEC_DESCRIPTOR_MAX = 2 * SEC_ACL_MAX + 20 + 2 * SID_SIZE_MAX,
    SEC_GUID_SIZE = 16
};

/* MS-DTYP 2.4.6: Control */
enum {
    SEC_OWNER_DEFAULTED = 0x0001,
    SEC_GROUP_DEFAULTED = 0x0002,
    SEC_DACL_PRESENT = 0x0004,
    SEC_DACL_DEFAULTED = 0x0008,
    SEC_SACL_PRESENT = 0x0010,
    SEC_SACL_DEFAULTED = 0x0020,
    SEC_DACL_AUTO_INHERIT_REQUIRED = 0x0100,
    SEC_SACL_AUTO_INHERIT_REQUIRED = 0x0200,
    SEC_DACL_AUTO_INHERITED = 0x0400,
    SEC_SACL_AUTO_INHERITED = 0x0800,
    SEC_DACL_PROTECTED = 0x1000,
    SEC_SACL_PROTECTED = 0x2000,
    SEC_SELF_RELATIVE = 0x8000,
};

/* MS-DTYP 2.4.4.1: AceType. Others are refused: an ACE that nobody here understands could be a denial. */
enum {
    SEC_ACE_ALLOWED = 0x00,
    SEC_ACE_DENIED = 0x01,
    SEC_ACE_AUDIT = 0x02,
    SEC_ACE_ALLOWED_OBJECT = 0x05,
    SEC_ACE_DENIED_OBJECT = 0x06,
    SEC_ACE_AUDIT_OBJECT = 0x07,
    SEC_ACE_ALLOWED_CALLBACK = 0x09,
    SEC_ACE_DENIED_CALLBACK = 0x0a,
    SEC_ACE_ALLOWED_CALLBACK_OBJECT = 0x0b,
    SEC_ACE_DENIED_CALLBACK_OBJECT = 0x0c,
    SEC_ACE_AUDIT_CALLBACK = 0x0d,
    SEC_ACE_AUDIT_CALLBACK_OBJECT = 0x0f,
    SEC_ACE_MANDATORY_LABEL = 0x11,
    SEC_ACE_RESOURCE_ATTRIBUTE = 0x12,
    SEC_ACE_SCOPED_POLICY = 0x13,
};

/* AceFlags */
enum {
    SEC_ACE_OBJECT_INHERIT = 0x01,
    SEC_ACE_CONTAINER_INHERIT = 0x02,
    SEC_ACE_NO_PROPAGATE = 0x04,
    SEC_ACE_INHERIT_ONLY = 0x08,
    SEC_ACE_INHERITED = 0x10,
    SEC_ACE_AUDIT_SUCCESS = 0x40,
    SEC_ACE_AUDIT_FAILURE = 0x80,
};

/* Flags of object ACEs (MS-DTYP 2.4.4.3): which of the two types are there. */
enum { SEC_ACE_HAS_OBJECT_TYPE = 1, SEC_ACE_HAS_INHERITED_TYPE = 2 };

struct sec_ace {
    uint8_t type;
    uint8_t flags;
    uint32_t mask;
    struct sid sid;
    /* Object ACEs only. */
    uint32_t object_flags;
    uint8_t object_type[SEC_GUID_SIZE];
    uint8_t inherited_type[SEC_GUID_SIZE];
    /* What follows the SID: a condition, an attribute. NULL when there is nothing. */
    const uint8_t *data;
    uint16_t data_length;
};

struct sec_acl {
    uint16_t count;
    struct sec_ace *aces;
};

struct sec_descriptor {
    uint16_t control;
    const struct sid *owner; /* NULL: not there */
    const struct sid *group;
    /* With SEC_DACL_PRESENT (SEC_SACL_PRESENT): NULL is a null ACL, which lets everybody do everything; an
     * ACL of no ACE lets nobody do anything. Without it the pointer is NULL. */
    const struct sec_acl *dacl;
    const struct sec_acl *sacl;
};

/* Is this type one with object types in it? */
bool sec_ace_is_object(uint8_t type);

/* ERR_INVAL for what is malformed or of an unknown kind, ERR_NOMEM when the arena is full. The result lives
 * as long as ARENA and DATA. */
enum err sec_descriptor_read(struct arena *arena, const void *data, size_t length,
                             struct sec_descriptor *descriptor_r) ERR_MUST_CHECK;

/* The bytes that sec_descriptor_write writes; 0 when an ACL would not fit into its 64 KiB. */
size_t sec_descriptor_size(const struct sec_descriptor *descriptor);
/* SEC_SELF_RELATIVE is set; parts that are not there get no offset. ERR_INVAL (too large, or an ACL without
 * its "present"), ERR_TOOSMALL when it does not fit into WRITER: nothing is written then. */
enum err sec_descriptor_write(struct writer *writer, const struct sec_descriptor *descriptor) ERR_MUST_CHECK;

#endif
