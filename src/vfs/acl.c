/*
 * acl.c - access control lists: kept with the inode, evaluated, inherited, and in step with the mode.
 *
 * Kept as one blob: u8 version, u8 flags (1: everything), u16 control, u16 count, then for each entry u8
 * type, u8 flags, u8 who, u8 length of the SID, u32 id, u32 mask, the SID. All little endian. It is read
 * where it lies: evaluating takes no memory. A list that can't be decoded lets nobody do anything.
 */
#include "vfs/acl_priv.h"

#include "dittofs/cursor.h"
#include <stdlib.h>
#include <string.h>

enum { VERSION = 1, FLAG_EVERYTHING = 1, HEAD_SIZE = 6, ACE_FIXED = 12, BLOB_MAX = 65536 };
enum { CONTROL_KEPT = ACL_CONTROL_AUTO_INHERITED | ACL_CONTROL_PROTECTED };

/* ---- reading ---- */

bool vfs__acl_begin(const struct inode *inode, struct acl_walk *walk)
{
    const uint8_t *data;
    uint8_t version, flags;
    size_t length;

    *walk = (struct acl_walk){.left = 0};
    if (inode_get_blob(inode, VFS_BLOB_ACL, &data, &length) != ERR_OK)
        return true; /* what can't be had lets nobody do anything, either */
    if (data == NULL)
        return false;
    walk->reader = reader_of(data, length);
    if (!reader_u8(&walk->reader, &version) || version != VERSION || !reader_u8(&walk->reader, &flags) ||
        !reader_le16(&walk->reader, &walk->control) || !reader_le16(&walk->reader, &walk->left))
        walk->left = 0;
    else
        walk->everything = (flags & FLAG_EVERYTHING) != 0;
    return true;
}

bool vfs__acl_next(struct acl_walk *walk, struct acl_ace *ace)
{
    uint8_t who;

    if (walk->left == 0)
        return false;
    walk->left--;
    *ace = (struct acl_ace){.sid = NULL};
    if (!reader_u8(&walk->reader, &ace->type) || !reader_u8(&walk->reader, &ace->flags) ||
        !reader_u8(&walk->reader, &who) || !reader_u8(&walk->reader, &ace->sid_length) ||
        !reader_le32(&walk->reader, &ace->id) || !reader_le32(&walk->reader, &ace->mask) ||
        !reader_bytes(&walk->reader, ace->sid_length, &ace->sid)) {
        walk->left = 0;
        return false;
    }
    ace->who = (enum acl_who)who;
    if (ace->sid_length == 0)
        ace->sid = NULL;
    return true;
}

bool vfs__acl_is_there(const struct inode *inode)
{
    struct acl_walk walk;

    return vfs__acl_begin(inode, &walk);
}

enum err vfs__acl_read(const struct inode *inode, struct arena *arena, struct acl *acl_r)
{
    struct acl_walk walk;
    struct acl acl = {.count = 0};
    uint16_t total;

    if (!vfs__acl_begin(inode, &walk))
        return ERR_NOENT;
    total = walk.left;
    acl.control = walk.control;
    acl.everything = walk.everything;
    if (total == 0) {
        *acl_r = acl;
        return ERR_OK;
    }
    acl.aces = arena_alloc(arena, total * sizeof *acl.aces);
    if (acl.aces == NULL)
        return ERR_NOMEM;
    while (vfs__acl_next(&walk, &acl.aces[acl.count])) {
        struct acl_ace *ace = &acl.aces[acl.count];

        if (ace->sid != NULL) {
            ace->sid = arena_copy(arena, ace->sid, ace->sid_length);
            if (ace->sid == NULL)
                return ERR_NOMEM;
        }
        if (++acl.count == total)
            break;
    }
    if (acl.count != total)
        return ERR_CORRUPT;
    *acl_r = acl;
    return ERR_OK;
}

/* ---- writing ---- */

static size_t blob_size(const struct acl *acl)
{
    size_t size = HEAD_SIZE;

    for (uint16_t i = 0; i < acl->count; i++)
        size += ACE_FIXED + acl->aces[i].sid_length;
    return size;
}

enum err vfs__acl_check(const struct acl *acl)
{
    if (acl->count > ACL_ACES_MAX || (acl->everything && acl->count > 0) || blob_size(acl) > BLOB_MAX)
        return ERR_FBIG;
    for (uint16_t i = 0; i < acl->count; i++) {
        const struct acl_ace *ace = &acl->aces[i];

        if (ace->type > ACL_DENIED || ace->who < ACL_EVERYONE || ace->who > ACL_NOBODY ||
            ace->sid_length > ACL_SID_MAX || (ace->mask & ~(uint32_t)ACL_ALL) != 0)
            return ERR_INVAL;
    }
    return ERR_OK;
}

enum err vfs__acl_write(struct inode *inode, const struct acl *acl)
{
    size_t size = blob_size(acl);
    struct writer writer;
    uint8_t *blob;
    enum err err = vfs__acl_check(acl);

    if (err != ERR_OK)
        return err;
    blob = malloc(size);
    if (blob == NULL)
        return ERR_NOMEM;
    writer_init(&writer, blob, size);
    writer_u8(&writer, VERSION);
    writer_u8(&writer, acl->everything ? FLAG_EVERYTHING : 0);
    writer_le16(&writer, acl->control & CONTROL_KEPT);
    writer_le16(&writer, acl->count);
    for (uint16_t i = 0; i < acl->count; i++) {
        const struct acl_ace *ace = &acl->aces[i];

        writer_u8(&writer, ace->type);
        writer_u8(&writer, ace->flags);
        writer_u8(&writer, (uint8_t)ace->who);
        writer_u8(&writer, ace->sid_length);
        writer_le32(&writer, ace->id);
        writer_le32(&writer, ace->mask);
        writer_bytes(&writer, ace->sid, ace->sid_length);
    }
    err = inode_set_blob(inode, VFS_BLOB_ACL, blob, writer.length);
    free(blob);
    return err;
}

/* ---- evaluating: MS-DTYP 2.5.3.2 ---- */

typedef bool matches_function(const void *data, const struct inode_attr *attr, const struct acl_ace *ace);

/* All rights that the entries which MATCHES takes give: an earlier entry counts before a later one. */
static uint32_t evaluate(struct acl_walk walk, const struct inode_attr *attr, matches_function *matches,
                         const void *data, bool *owner_rights_r)
{
    uint32_t allowed = 0, denied = 0;
    struct acl_ace ace;

    *owner_rights_r = false;
    if (walk.everything)
        return ACL_ALL;
    while (vfs__acl_next(&walk, &ace)) {
        if ((ace.flags & ACL_INHERIT_ONLY) || !matches(data, attr, &ace))
            continue;
        if (ace.who == ACL_OWNER_RIGHTS)
            *owner_rights_r = true;
        if (ace.type == ACL_DENIED)
            denied |= ace.mask & ~allowed;
        else
            allowed |= ace.mask & ~denied;
    }
    return allowed;
}

static bool matches_user(const void *data, const struct inode_attr *attr, const struct acl_ace *ace)
{
    const struct vfs_context *context = data;

    switch (ace->who) {
    case ACL_EVERYONE:
        return true;
    case ACL_OWNER:
    case ACL_OWNER_RIGHTS:
        return context->user.uid == attr->uid;
    case ACL_GROUP:
        return vfs__in_group(context, attr->gid);
    case ACL_UID:
        return context->user.uid == ace->id;
    case ACL_GID:
        return vfs__in_group(context, ace->id);
    case ACL_CREATOR_OWNER:
    case ACL_CREATOR_GROUP:
    case ACL_NOBODY:
        break;
    }
    return false;
}

uint32_t vfs__acl_rights(const struct vfs_context *context, const struct inode *inode,
                         const struct acl_walk *walk)
{
    const struct inode_attr *attr = inode_attr(inode);
    bool owner_rights;
    uint32_t rights = evaluate(*walk, attr, matches_user, context, &owner_rights);

    /* MS-DTYP 2.5.3.2: the owner can always repair the list, unless OWNER RIGHTS says otherwise. */
    if (context->user.uid == attr->uid && !owner_rights)
        rights |= ACL_READ_CONTROL | ACL_WRITE_DAC;
    return rights;
}

/* ---- the mode that a list means ---- */

static bool matches_owner(const void *data, const struct inode_attr *attr, const struct acl_ace *ace)
{
    (void)data;
    return ace->who == ACL_EVERYONE || ace->who == ACL_OWNER || ace->who == ACL_OWNER_RIGHTS ||
           (ace->who == ACL_UID && ace->id == attr->uid);
}

static bool matches_group(const void *data, const struct inode_attr *attr, const struct acl_ace *ace)
{
    (void)data;
    return ace->who == ACL_EVERYONE || ace->who == ACL_GROUP || (ace->who == ACL_GID && ace->id == attr->gid);
}

static bool matches_others(const void *data, const struct inode_attr *attr, const struct acl_ace *ace)
{
    (void)data;
    (void)attr;
    return ace->who == ACL_EVERYONE;
}

static uint32_t bits_of(uint32_t rights)
{
    return (rights & ACL_READ_DATA ? PERMIT_READ : 0) | (rights & ACL_WRITE_DATA ? PERMIT_WRITE : 0) |
           (rights & ACL_EXECUTE ? PERMIT_EXECUTE : 0);
}

uint32_t vfs__acl_mode(const struct inode *inode)
{
    const struct inode_attr *attr = inode_attr(inode);
    uint32_t mode = attr->mode & ~(uint32_t)0777;
    struct acl_walk walk;
    bool ignored;

    if (!vfs__acl_begin(inode, &walk))
        return attr->mode;
    mode |= bits_of(evaluate(walk, attr, matches_owner, NULL, &ignored)) << 6;
    mode |= bits_of(evaluate(walk, attr, matches_group, NULL, &ignored)) << 3;
    mode |= bits_of(evaluate(walk, attr, matches_others, NULL, &ignored));
    return mode;
}

/* ---- chmod: RFC 8881 6.4.1.1 ---- */

static uint32_t rights_of_bits(uint32_t bits, bool directory)
{
    uint32_t rights = ACL_READ_ATTRIBUTES | ACL_READ_CONTROL | ACL_SYNCHRONIZE;

    if (bits & PERMIT_READ)
        rights |= ACL_READ_DATA | ACL_READ_EA;
    if (bits & PERMIT_WRITE)
        rights |= ACL_WRITE_DATA | ACL_APPEND_DATA | ACL_WRITE_EA;
    if (bits & PERMIT_EXECUTE)
        rights |= ACL_EXECUTE;
    /* Entries are reached by searching. */
    if (directory && (bits & PERMIT_WRITE) && (bits & PERMIT_EXECUTE))
        rights |= ACL_DELETE_CHILD;
    return rights;
}

static void add(struct acl *acl, uint8_t type, uint8_t flags, enum acl_who who, uint32_t mask)
{
    if (mask != 0)
        acl->aces[acl->count++] = (struct acl_ace){.type = type, .flags = flags, .who = who, .mask = mask};
}

static bool is_named(const struct acl_ace *ace, const struct inode_attr *attr)
{
    return (ace->who == ACL_UID && ace->id != attr->uid) || (ace->who == ACL_GID && ace->id != attr->gid);
}

/* What the classes of a mode may do with a file, and the entries that say so: the owner's first, then those
 * of others, the rest last. */
struct classes {
    uint32_t owner, group, others;
};

static struct classes classes_of(uint32_t mode, bool directory)
{
    return (struct classes){.owner = rights_of_bits(mode >> 6 & 7, directory),
                            .group = rights_of_bits(mode >> 3 & 7, directory),
                            .others = rights_of_bits(mode & 7, directory)};
}

static void add_owner(struct acl *acl, const struct classes *classes)
{
    const uint32_t always = ACL_WRITE_ATTRIBUTES | ACL_WRITE_DAC | ACL_WRITE_OWNER;

    /* The owner has his bits and no others, so what the classes behind would give him is denied. */
    add(acl, ACL_DENIED, 0, ACL_OWNER, (classes->group | classes->others) & ~classes->owner);
    add(acl, ACL_ALLOWED, 0, ACL_OWNER, classes->owner | always);
}

static void add_rest(struct acl *acl, const struct classes *classes)
{
    add(acl, ACL_ALLOWED, 0, ACL_GROUP, classes->group);
    add(acl, ACL_DENIED, 0, ACL_GROUP, classes->others & ~classes->group);
    add(acl, ACL_ALLOWED, 0, ACL_EVERYONE, classes->others);
}

void vfs_acl_of_mode(const struct inode_attr *attr, struct acl_ace aces[VFS_ACL_OF_MODE_MAX],
                     struct acl *acl_r)
{
    struct classes classes = classes_of(attr->mode, attr->type == INODE_DIRECTORY);

    *acl_r = (struct acl){.aces = aces};
    add_owner(acl_r, &classes);
    add_rest(acl_r, &classes);
}

/* An entry of the list before, as far as it stays beside GROUP, the group's rights: what others inherit is
 * kept; for the file itself, users and groups with names have no more than the group, as the mask of POSIX's
 * lists has it. */
static void keep(struct acl *acl, const struct acl_ace *from, const struct inode_attr *attr, uint32_t group)
{
    struct acl_ace ace = *from;

    if (!(ace.flags & ACL_INHERIT_ONLY) && is_named(&ace, attr)) {
        struct acl_ace own = ace;

        own.flags &= (uint8_t)~ACL_INHERIT_FLAGS;
        if (own.type == ACL_ALLOWED)
            own.mask &= group;
        acl->aces[acl->count++] = own;
    }
    if (ace.flags & (ACL_OBJECT_INHERIT | ACL_CONTAINER_INHERIT)) {
        ace.flags |= ACL_INHERIT_ONLY;
        acl->aces[acl->count++] = ace;
    }
}

enum err vfs__acl_chmod(struct inode *inode, uint32_t mode)
{
    const struct inode_attr *attr = inode_attr(inode);
    struct classes classes = classes_of(mode, attr->type == INODE_DIRECTORY);
    struct acl old, fresh;
    struct arena arena;
    enum err err;

    arena_init(&arena, 0);
    err = vfs__acl_read(inode, &arena, &old);
    if (err == ERR_NOENT) {
        arena_reset(&arena);
        return ERR_OK;
    }
    fresh = (struct acl){.control = old.control};
    if (err == ERR_OK) {
        fresh.aces = arena_alloc(&arena, (2 * (size_t)old.count + VFS_ACL_OF_MODE_MAX) * sizeof *fresh.aces);
        err = fresh.aces == NULL ? ERR_NOMEM : ERR_OK;
    }
    if (err == ERR_OK) {
        add_owner(&fresh, &classes);
        for (uint16_t i = 0; i < old.count; i++)
            keep(&fresh, &old.aces[i], attr, classes.group);
        add_rest(&fresh, &classes);
        err = vfs__acl_write(inode, &fresh);
    }
    arena_reset(&arena);
    return err;
}

/* ---- inheritance: MS-DTYP 2.5.3.4 ---- */

/* Whom an entry means in the new file. */
static void settle_creator(struct acl_ace *ace, const struct inode_attr *child)
{
    if (ace->who != ACL_CREATOR_OWNER && ace->who != ACL_CREATOR_GROUP)
        return;
    ace->id = ace->who == ACL_CREATOR_OWNER ? child->uid : child->gid;
    ace->who = ace->who == ACL_CREATOR_OWNER ? ACL_UID : ACL_GID;
    ace->sid = NULL;
    ace->sid_length = 0;
}

static void inherit_one(struct acl *acl, const struct acl_ace *from, const struct inode_attr *child,
                        uint8_t inherited)
{
    bool directory = child->type == INODE_DIRECTORY;
    bool effective = (from->flags & (directory ? ACL_CONTAINER_INHERIT : ACL_OBJECT_INHERIT)) != 0;
    bool goes_on = directory && !(from->flags & ACL_NO_PROPAGATE) &&
                   (from->flags & (ACL_CONTAINER_INHERIT | ACL_OBJECT_INHERIT)) != 0;
    bool creator = from->who == ACL_CREATOR_OWNER || from->who == ACL_CREATOR_GROUP;
    uint8_t flags = (uint8_t)((from->flags & (ACL_OBJECT_INHERIT | ACL_CONTAINER_INHERIT)) | inherited);
    struct acl_ace ace = *from;

    if (effective) {
        ace.flags = goes_on && !creator ? flags : inherited;
        settle_creator(&ace, child);
        acl->aces[acl->count++] = ace;
        if (!goes_on || !creator)
            return;
    }
    if (goes_on) {
        ace = *from;
        ace.flags = flags | ACL_INHERIT_ONLY;
        acl->aces[acl->count++] = ace;
    }
}

enum err vfs__acl_inherit(const struct inode *parent, const struct inode_attr *child, struct arena *arena,
                          struct acl *acl_r)
{
    struct acl old, acl = {.count = 0};
    uint8_t inherited;
    enum err err = vfs__acl_read(parent, arena, &old);

    if (err != ERR_OK)
        return err;
    inherited = old.control & ACL_CONTROL_AUTO_INHERITED ? ACL_INHERITED : 0;
    acl.control = old.control & ACL_CONTROL_AUTO_INHERITED;
    acl.aces = arena_alloc(arena, (2 * (size_t)old.count + 1) * sizeof *acl.aces);
    if (acl.aces == NULL)
        return ERR_NOMEM;
    for (uint16_t i = 0; i < old.count; i++)
        inherit_one(&acl, &old.aces[i], child, inherited);
    if (acl.count == 0)
        return ERR_NOENT;
    *acl_r = acl;
    return ERR_OK;
}

/* ---- the public calls ---- */

enum err vfs_acl_get(struct vfs_context *context, struct inode *inode, struct arena *arena, struct acl *acl_r)
{
    const struct inode_attr *attr = inode_attr(inode);
    struct inode *file = NULL;
    enum err err;

    /* A stream has its file's. */
    if (attr->type == INODE_STREAM) {
        err = inode_get(context->vfs->store, attr->parent, 0, &file);
        if (err == ERR_OK)
            err = vfs_acl_get(context, file, arena, acl_r);
        inode_unref(&file);
        return err;
    }
    err = vfs__gate_acl_read(context, inode);
    return err == ERR_OK ? vfs__acl_read(inode, arena, acl_r) : err;
}

enum err vfs_acl_set(struct vfs_context *context, struct inode *inode, const struct acl *acl)
{
    const struct vfs_setattr set = {.set = VFS_SET_ACL, .acl = acl};

    return vfs_setattr(context, inode, &set, NULL, false);
}
