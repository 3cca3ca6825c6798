/*
 * smb2_security.c - owner, group and DACL (MS-FSA 2.1.5.13, 2.1.5.16; MS-DTYP 2.4.6, 2.5.3).
 *
 * A file without a list of its own shows what its mode says. A list that is set is kept by vfs, which holds
 * every protocol to it: each SID becomes the user or group that it means here, and is kept to be shown again
 * as it came. SIDs that are nobody's here are kept, and match nobody. Only allowing and denying entries can
 * be kept; SACLs can't, and nobody has the privilege to see or set them.
 */
#include "smb/smb2_file_priv.h"
#include "dittofs/arena.h"
#include "dittofs/security_descriptor.h"

#include <string.h>

enum { ALL_PARTS = SMB2_SECURITY_OWNER | SMB2_SECURITY_GROUP | SMB2_SECURITY_DACL };
enum {
    GENERIC_EXECUTE = 0x20000000,
    GENERIC_WRITE = 0x40000000,
    GENERIC_ALL = 0x10000000,
};
#define GENERIC_READ UINT32_C(0x80000000)

uint32_t smb2__security_map(uint32_t mask)
{
    uint32_t mapped = mask & ~(GENERIC_READ | GENERIC_WRITE | GENERIC_EXECUTE | GENERIC_ALL);

    if (mask & GENERIC_ALL)
        mapped |= SMB2_ACCESS_ALL;
    if (mask & GENERIC_READ)
        mapped |= 0x120089;
    if (mask & GENERIC_WRITE)
        mapped |= 0x120116;
    if (mask & GENERIC_EXECUTE)
        mapped |= 0x1200a0;
    return mapped;
}

/* ---- asking ---- */

/* Three bits of a mode as an access mask. */
static uint32_t mask_of(uint32_t bits, bool directory)
{
    uint32_t mask = SMB2_ACCESS_READ_ATTRIBUTES | SMB2_ACCESS_READ_CONTROL | SMB2_ACCESS_SYNCHRONIZE;

    if (bits & 4)
        mask |= SMB2_ACCESS_READ_DATA | SMB2_ACCESS_READ_EA | (directory ? 0 : SMB2_ACCESS_EXECUTE);
    if (bits & 2)
        mask |= SMB2_ACCESS_ANY_WRITE | SMB2_ACCESS_WRITE_EA | SMB2_ACCESS_WRITE_ATTRIBUTES |
                (directory ? SMB2_ACCESS_DELETE_CHILD : 0);
    if (bits & 1)
        mask |= SMB2_ACCESS_EXECUTE;
    return mask;
}

static void add_ace(struct sec_acl *acl, uint8_t type, struct sid sid, uint32_t mask)
{
    if (mask != 0)
        acl->aces[acl->count++] = (struct sec_ace){.type = type, .sid = sid, .mask = mask};
}

/* One class of the mode counts for a user, so what the classes behind his would give him is denied first. */
static struct sec_acl *acl_of_mode(const struct identity *identity, struct arena *arena,
                                   const struct inode_attr *attr)
{
    struct sec_acl *acl = arena_alloc(arena, sizeof *acl);
    struct sid uid = ident_uid_to_sid(identity, attr->uid), gid = ident_gid_to_sid(identity, attr->gid);
    bool directory = attr->type == INODE_DIRECTORY;
    uint32_t group = mask_of(attr->mode >> 3, directory), others = mask_of(attr->mode, directory);
    /* Who may read and write what is his may do everything with it. */
    uint32_t owner = (attr->mode & 0600) == 0600
                         ? SMB2_ACCESS_ALL
                         : mask_of(attr->mode >> 6, directory) | SMB2_ACCESS_WRITE_DAC |
                               SMB2_ACCESS_WRITE_OWNER | SMB2_ACCESS_WRITE_ATTRIBUTES;

    if (acl == NULL)
        return NULL;
    acl->count = 0;
    acl->aces = arena_alloc(arena, VFS_ACL_OF_MODE_MAX * sizeof *acl->aces);
    if (acl->aces == NULL)
        return NULL;
    add_ace(acl, SEC_ACE_DENIED, uid, (group | others) & ~owner);
    add_ace(acl, SEC_ACE_ALLOWED, uid, owner);
    add_ace(acl, SEC_ACE_ALLOWED, gid, group);
    add_ace(acl, SEC_ACE_DENIED, gid, others & ~group);
    add_ace(acl, SEC_ACE_ALLOWED, sid_everyone, others);
    return acl;
}

/* The SID of an entry that came without one: by NFS, or inherited. */
static struct sid sid_of(const struct identity *identity, const struct acl_ace *ace,
                         const struct inode_attr *attr)
{
    switch (ace->who) {
    case ACL_EVERYONE:
        return sid_everyone;
    case ACL_OWNER:
        return ident_uid_to_sid(identity, attr->uid);
    case ACL_GROUP:
        return ident_gid_to_sid(identity, attr->gid);
    case ACL_UID:
        return ident_uid_to_sid(identity, ace->id);
    case ACL_GID:
        return ident_gid_to_sid(identity, ace->id);
    case ACL_CREATOR_OWNER:
        return sid_creator_owner;
    case ACL_CREATOR_GROUP:
        return sid_creator_group;
    case ACL_OWNER_RIGHTS:
        return sid_owner_rights;
    case ACL_NOBODY:
        break;
    }
    return sid_anonymous;
}

/* OWNER@ and GROUP@ go on to mean whoever owns what inherits them: CREATOR OWNER and CREATOR GROUP there,
 * which can't be said together with what they mean here. */
static void show_ace(const struct identity *identity, struct sec_acl *acl, const struct acl_ace *ace,
                     const struct inode_attr *attr)
{
    struct sec_ace *shown = &acl->aces[acl->count++], *children = shown;
    struct reader reader = reader_of(ace->sid, ace->sid_length);
    bool inherits = (ace->flags & (ACL_OBJECT_INHERIT | ACL_CONTAINER_INHERIT)) != 0;

    shown->type = ace->type == ACL_DENIED ? SEC_ACE_DENIED : SEC_ACE_ALLOWED;
    shown->flags = ace->flags;
    shown->mask = ace->mask;
    if (ace->sid != NULL && ident_sid_read(&reader, &shown->sid))
        return;
    shown->sid = sid_of(identity, ace, attr);
    if (!inherits || (ace->who != ACL_OWNER && ace->who != ACL_GROUP))
        return;
    if (!(ace->flags & ACL_INHERIT_ONLY)) {
        children = &acl->aces[acl->count++];
        *children = *shown;
        children->flags |= ACL_INHERIT_ONLY;
        shown->flags &= (uint8_t)~ACL_INHERIT_FLAGS;
    }
    children->sid = ace->who == ACL_OWNER ? sid_creator_owner : sid_creator_group;
}

static struct sec_acl *acl_of_list(const struct identity *identity, struct arena *arena,
                                   const struct acl *from, const struct inode_attr *attr)
{
    struct sec_acl *acl = arena_alloc(arena, sizeof *acl);

    if (acl == NULL)
        return NULL;
    acl->aces = from->count > 0 ? arena_alloc(arena, 2 * (size_t)from->count * sizeof *acl->aces) : NULL;
    if (from->count > 0 && acl->aces == NULL)
        return NULL;
    acl->count = 0;
    for (uint16_t i = 0; i < from->count; i++)
        show_ace(identity, acl, &from->aces[i], attr);
    return acl;
}

/* SEC_DACL_PRESENT without a list is a null DACL. */
static enum err describe_dacl(struct smb2_request *request, struct arena *arena,
                              const struct inode_attr *attr, struct sec_descriptor *descriptor)
{
    const struct identity *identity = request->message->server->identity;
    struct acl acl;
    enum err err = vfs_acl_get(&request->context, smb2_open_file(request->open), arena, &acl);

    if (err != ERR_OK && err != ERR_NOENT)
        return err;
    descriptor->control |= SEC_DACL_PRESENT;
    if (err == ERR_NOENT) {
        descriptor->dacl = acl_of_mode(identity, arena, attr);
        return descriptor->dacl != NULL ? ERR_OK : ERR_NOMEM;
    }
    descriptor->control |= acl.control & (SEC_DACL_AUTO_INHERITED | SEC_DACL_PROTECTED);
    if (acl.everything)
        return ERR_OK;
    descriptor->dacl = acl_of_list(identity, arena, &acl, attr);
    return descriptor->dacl != NULL ? ERR_OK : ERR_NOMEM;
}

uint32_t smb2__security_query(struct smb2_request *request, uint32_t parts)
{
    const struct identity *identity = request->message->server->identity;
    struct sec_descriptor descriptor = {.control = 0};
    struct inode_attr attr;
    struct sid owner, group;
    struct arena arena;
    enum err err = ERR_OK;

    if ((parts & ~(uint32_t)ALL_PARTS) & SMB2_SECURITY_SACL)
        return STATUS_ACCESS_DENIED;
    if ((parts & ALL_PARTS) && !(request->open->access & SMB2_ACCESS_READ_CONTROL))
        return STATUS_ACCESS_DENIED;
    vfs_getattr(smb2_open_file(request->open), &attr);
    owner = ident_uid_to_sid(identity, attr.uid);
    group = ident_gid_to_sid(identity, attr.gid);
    if (parts & SMB2_SECURITY_OWNER)
        descriptor.owner = &owner;
    if (parts & SMB2_SECURITY_GROUP)
        descriptor.group = &group;
    arena_init(&arena, 0);
    if (parts & SMB2_SECURITY_DACL)
        err = describe_dacl(request, &arena, &attr, &descriptor);
    if (err == ERR_OK)
        err = sec_descriptor_write(smb2_reply(request), &descriptor);
    arena_reset(&arena);
    return smb2__status(err);
}

/* ---- setting ---- */

static void settle_who(const struct identity *identity, const struct sid *sid, struct acl_ace *ace)
{
    static const struct {
        const struct sid *sid;
        enum acl_who who;
    } known[] = {
        {&sid_everyone, ACL_EVERYONE},
        {&sid_authenticated_users, ACL_EVERYONE},
        {&sid_users, ACL_EVERYONE},
        {&sid_network, ACL_EVERYONE},
        {&sid_creator_owner, ACL_CREATOR_OWNER},
        {&sid_creator_group, ACL_CREATOR_GROUP},
        {&sid_owner_rights, ACL_OWNER_RIGHTS},
    };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (ident_sid_equal(sid, known[i].sid)) {
            ace->who = known[i].who;
            return;
        }
    }
    switch (ident_sid_to_id(identity, sid, &ace->id)) {
    case IDENT_UID:
        ace->who = ACL_UID;
        break;
    case IDENT_GID:
        ace->who = ACL_GID;
        break;
    case IDENT_NONE:
        ace->who = ACL_NOBODY;
        break;
    }
}

static uint32_t take_ace(const struct identity *identity, struct arena *arena, const struct sec_ace *from,
                         struct acl_ace *ace)
{
    uint8_t bytes[SID_SIZE_MAX];
    struct writer writer;

    if (from->type != SEC_ACE_ALLOWED && from->type != SEC_ACE_DENIED)
        return STATUS_INVALID_ACL;
    ace->type = from->type == SEC_ACE_DENIED ? ACL_DENIED : ACL_ALLOWED;
    ace->flags = from->flags & (ACL_INHERIT_FLAGS | ACL_INHERITED);
    ace->mask = smb2__security_map(from->mask) & SMB2_ACCESS_ALL;
    settle_who(identity, &from->sid, ace);
    writer_init(&writer, bytes, sizeof bytes);
    ident_sid_write(&writer, &from->sid);
    ace->sid_length = (uint8_t)writer.length;
    ace->sid = arena_copy(arena, bytes, writer.length);
    return ace->sid != NULL ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
}

static uint32_t take_acl(const struct identity *identity, struct arena *arena,
                         const struct sec_descriptor *descriptor, struct acl *acl_r)
{
    /* Only who asks for it inherits automatically (MS-DTYP 2.5.3.4.2). */
    const uint16_t automatic = SEC_DACL_AUTO_INHERIT_REQUIRED | SEC_DACL_AUTO_INHERITED;
    uint32_t status = STATUS_SUCCESS;

    *acl_r = (struct acl){.control = descriptor->control & SEC_DACL_PROTECTED};
    if ((descriptor->control & automatic) == automatic)
        acl_r->control |= ACL_CONTROL_AUTO_INHERITED;
    if (descriptor->dacl == NULL) {
        acl_r->everything = true;
        return STATUS_SUCCESS;
    }
    acl_r->count = descriptor->dacl->count;
    if (acl_r->count == 0)
        return STATUS_SUCCESS;
    if (acl_r->count > ACL_ACES_MAX)
        return STATUS_INVALID_ACL;
    acl_r->aces = arena_alloc(arena, acl_r->count * sizeof *acl_r->aces);
    if (acl_r->aces == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    for (uint16_t i = 0; i < acl_r->count && status == STATUS_SUCCESS; i++)
        status = take_ace(identity, arena, &descriptor->dacl->aces[i], &acl_r->aces[i]);
    return status;
}

uint32_t smb2__security_acl(struct smb_server *server, struct arena *arena, struct reader data,
                            struct acl *acl_r)
{
    struct sec_descriptor descriptor;
    enum err err = sec_descriptor_read(arena, data.at, data.left, &descriptor);

    if (err != ERR_OK)
        return err == ERR_INVAL ? STATUS_INVALID_SECURITY_DESCR : smb2__status(err);
    if (!(descriptor.control & SEC_DACL_PRESENT))
        return STATUS_NOT_FOUND;
    return take_acl(server->identity, arena, &descriptor, acl_r);
}

/* Who is to own it, if that changes anything. */
static uint32_t take_owners(const struct identity *identity, const struct inode_attr *attr, uint32_t parts,
                            const struct sec_descriptor *descriptor, struct vfs_setattr *set)
{
    uint32_t id;

    if ((parts & SMB2_SECURITY_OWNER) && descriptor->owner != NULL) {
        if (ident_sid_to_id(identity, descriptor->owner, &id) != IDENT_UID)
            return STATUS_INVALID_OWNER;
        if (id != attr->uid)
            set->set |= VFS_SET_UID;
        set->uid = id;
    }
    if ((parts & SMB2_SECURITY_GROUP) && descriptor->group != NULL) {
        if (ident_sid_to_id(identity, descriptor->group, &id) != IDENT_GID)
            return STATUS_INVALID_OWNER;
        if (id != attr->gid)
            set->set |= VFS_SET_GID;
        set->gid = id;
    }
    return STATUS_SUCCESS;
}

static uint32_t apply(struct smb2_request *request, uint32_t parts, struct arena *arena,
                      const struct sec_descriptor *descriptor)
{
    const struct identity *identity = request->message->server->identity;
    struct inode *file = smb2_open_file(request->open);
    struct vfs_setattr set = {.set = 0};
    struct inode_attr attr;
    struct acl acl;
    uint32_t status;
    enum err err = ERR_OK;

    vfs_getattr(file, &attr);
    status = take_owners(identity, &attr, parts, descriptor, &set);
    if (status == STATUS_SUCCESS && (parts & SMB2_SECURITY_DACL)) {
        /* MS-DTYP 2.4.6: without the bit nothing is said, and a null DACL is what results. */
        status = take_acl(identity, arena, descriptor, &acl);
    }
    if (status != STATUS_SUCCESS)
        return status;
    if (set.set != 0)
        err = vfs_setattr(&request->context, file, &set, NULL, false);
    if (err == ERR_PERM)
        return STATUS_INVALID_OWNER;
    if (err == ERR_OK && (parts & SMB2_SECURITY_DACL))
        err = vfs_acl_set(&request->context, file, &acl);
    return err == ERR_FBIG || err == ERR_INVAL ? STATUS_INVALID_ACL : smb2__status(err);
}

uint32_t smb2__security_set(struct smb2_request *request, uint32_t parts, struct reader data)
{
    struct sec_descriptor descriptor;
    struct arena arena;
    uint32_t status;
    enum err err;

    if (parts & SMB2_SECURITY_SACL)
        return STATUS_ACCESS_DENIED;
    if ((parts & (SMB2_SECURITY_OWNER | SMB2_SECURITY_GROUP)) &&
        !(request->open->access & SMB2_ACCESS_WRITE_OWNER))
        return STATUS_ACCESS_DENIED;
    if ((parts & SMB2_SECURITY_DACL) && !(request->open->access & SMB2_ACCESS_WRITE_DAC))
        return STATUS_ACCESS_DENIED;
    arena_init(&arena, 0);
    err = sec_descriptor_read(&arena, data.at, data.left, &descriptor);
    if (err == ERR_OK)
        status = apply(request, parts, &arena, &descriptor);
    else
        status = err == ERR_INVAL ? STATUS_INVALID_SECURITY_DESCR : smb2__status(err);
    arena_reset(&arena);
    return status;
}
