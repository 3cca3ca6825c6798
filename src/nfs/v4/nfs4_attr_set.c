/*
 * nfs4_attr_set.c - decoding attributes that a client wants to set or to compare.
 */
#include "nfs/v4/nfs4_attr.h"
#include "nfs/v4/nfs4_acl.h"
#include <string.h>

enum { DOS_HIDDEN = 0x2, DOS_SYSTEM = 0x4, DOS_ARCHIVE = 0x20 };
enum {
    OWNER_TEXT_MAX = 1024,
    SET_TO_SERVER_TIME = 0,
    SET_TO_CLIENT_TIME = 1,
    MODE_BITS = 07777,
    OPEN_ARGUMENTS = 5
};

bool nfs4_attr_decode_raw(struct reader *reader, struct nfs4_fattr *fattr_r)
{
    return nfs4__decode_bitmap(reader, &fattr_r->mask) &&
           reader_xdr_opaque(reader, UINT32_MAX, &fattr_r->values, &fattr_r->length);
}

/* Bytes of a value on the wire; most have 4. */
static bool skip_value(struct reader *reader, unsigned attr)
{
    struct nfs4_bitmap bitmap;
    const uint8_t *bytes;
    uint32_t length;

    switch (attr) {
    case FATTR4_SUPPORTED_ATTRS:
    case FATTR4_SUPPATTR_EXCLCREAT:
        return nfs4__decode_bitmap(reader, &bitmap);
    case FATTR4_OPEN_ARGUMENTS:
        for (int i = 0; i < OPEN_ARGUMENTS; i++)
            if (!nfs4__decode_bitmap(reader, &bitmap))
                return false;
        return true;
    case FATTR4_FILEHANDLE:
    case FATTR4_OWNER:
    case FATTR4_OWNER_GROUP:
        return reader_xdr_opaque(reader, UINT32_MAX, &bytes, &length);
    case FATTR4_ACL:
        return nfs4__acl_skip(reader, NFS4_ACL);
    case FATTR4_DACL:
        return nfs4__acl_skip(reader, NFS4_DACL);
    case FATTR4_FSID:
        return reader_skip(reader, 16);
    case FATTR4_TIME_ACCESS:
    case FATTR4_TIME_CREATE:
    case FATTR4_TIME_DELTA:
    case FATTR4_TIME_METADATA:
    case FATTR4_TIME_MODIFY:
        return reader_skip(reader, 12);
    case FATTR4_CHANGE:
    case FATTR4_SIZE:
    case FATTR4_FILEID:
    case FATTR4_FILES_AVAIL:
    case FATTR4_FILES_FREE:
    case FATTR4_FILES_TOTAL:
    case FATTR4_MAXFILESIZE:
    case FATTR4_MAXREAD:
    case FATTR4_MAXWRITE:
    case FATTR4_RAWDEV:
    case FATTR4_SPACE_AVAIL:
    case FATTR4_SPACE_FREE:
    case FATTR4_SPACE_TOTAL:
    case FATTR4_SPACE_USED:
    case FATTR4_MOUNTED_ON_FILEID:
        return reader_skip(reader, 8);
    default:
        return reader_skip(reader, 4);
    }
}

bool nfs4_attr_is_well_formed(const struct nfs4_fattr *fattr)
{
    struct reader reader = reader_of(fattr->values, fattr->length);

    for (unsigned attr = 0; attr < FATTR4_COUNT; attr++)
        if (nfs4_bitmap_has(&fattr->mask, attr) && !skip_value(&reader, attr))
            return false;
    return reader_is_done(&reader);
}

/* What is being decoded. */
struct set_decode {
    struct reader reader;
    struct nfs4_setattr *set;
    struct nfs4_idmap *idmap;
    struct arena *arena;
    uint32_t minor;
};

static void refuse(struct set_decode *decode, uint32_t status)
{
    if (decode->set->status == NFS4_OK)
        decode->set->status = status;
}

static bool get_size(struct set_decode *decode)
{
    decode->set->set.set |= VFS_SET_SIZE;
    return reader_be64(&decode->reader, &decode->set->set.size);
}

static bool get_dos_bit(struct set_decode *decode, uint32_t bit)
{
    bool value;

    if (!reader_xdr_bool(&decode->reader, &value))
        return false;
    decode->set->dos_mask |= bit;
    if (value)
        decode->set->set.dos_attributes |= bit;
    return true;
}

static bool get_mode(struct set_decode *decode)
{
    uint32_t mode;

    if (!reader_be32(&decode->reader, &mode))
        return false;
    if (mode & ~(uint32_t)MODE_BITS)
        refuse(decode, NFS4ERR_INVAL);
    decode->set->set.set |= VFS_SET_MODE;
    decode->set->set.mode = mode & MODE_BITS;
    return true;
}

static bool get_id(struct set_decode *decode, uint32_t bit, uint32_t *id_r)
{
    const uint8_t *text;
    uint32_t length, status;

    if (!reader_xdr_opaque(&decode->reader, OWNER_TEXT_MAX, &text, &length))
        return false;
    decode->set->set.set |= bit;
    status = nfs4__idmap_parse(decode->idmap, bit == VFS_SET_GID, text, length, id_r);
    if (status != NFS4_OK)
        refuse(decode, status);
    return true;
}

static bool get_nfstime(struct set_decode *decode, struct timestamp *time_r)
{
    uint64_t seconds;
    uint32_t nanoseconds;

    if (!reader_be64(&decode->reader, &seconds) || !reader_be32(&decode->reader, &nanoseconds))
        return false;
    if (nanoseconds >= 1000000000)
        refuse(decode, NFS4ERR_INVAL);
    *time_r = (struct timestamp){(int64_t)seconds, nanoseconds};
    return true;
}

/* settime4 */
static bool get_settime(struct set_decode *decode, enum vfs_time_how *how_r, struct timestamp *time_r)
{
    uint32_t how;

    if (!reader_be32(&decode->reader, &how) || how > SET_TO_CLIENT_TIME)
        return false;
    *how_r = how == SET_TO_SERVER_TIME ? VFS_TIME_NOW : VFS_TIME_SET;
    return how == SET_TO_SERVER_TIME || get_nfstime(decode, time_r);
}

/* RFC 8275 4.1: the mode, and the umask to apply where no list is inherited. */
static bool get_mode_umask(struct set_decode *decode)
{
    uint32_t mode, umask;

    if (!reader_be32(&decode->reader, &mode) || !reader_be32(&decode->reader, &umask))
        return false;
    if ((mode & ~(uint32_t)MODE_BITS) || (umask & ~(uint32_t)0777))
        refuse(decode, NFS4ERR_INVAL);
    decode->set->has_umask = true;
    decode->set->umask = umask & 0777;
    decode->set->set.set |= VFS_SET_MODE;
    decode->set->set.mode = mode & MODE_BITS;
    return true;
}

/* RFC 8881 6.2.5: only the bits of the mask are set; the others come from the file, see nfs4_attr_complete.
 */
static bool get_mode_set_masked(struct set_decode *decode)
{
    uint32_t mode, mask;

    if (!reader_be32(&decode->reader, &mode) || !reader_be32(&decode->reader, &mask))
        return false;
    if ((mode & ~(uint32_t)MODE_BITS) || (mask & ~(uint32_t)MODE_BITS))
        refuse(decode, NFS4ERR_INVAL);
    decode->set->set.set |= VFS_SET_MODE;
    decode->set->set.mode = mode & mask;
    decode->set->mode_keep = MODE_BITS & ~mask;
    return true;
}

static bool get_acl(struct set_decode *decode, enum nfs4_acl_kind kind)
{
    struct vfs_setattr *set = &decode->set->set;
    struct acl *acl = arena_alloc(decode->arena, sizeof *acl);
    uint32_t status = NFS4_OK;

    if (acl == NULL) {
        refuse(decode, NFS4ERR_DELAY);
        return nfs4__acl_skip(&decode->reader, kind);
    }
    if (!nfs4__acl_decode(&decode->reader, kind, decode->idmap, decode->arena, acl, &status))
        return false;
    if (status != NFS4_OK)
        refuse(decode, status);
    if (set->set & VFS_SET_ACL)
        refuse(decode, NFS4ERR_INVAL); /* two lists */
    set->set |= VFS_SET_ACL;
    set->acl = acl;
    return true;
}

static bool get_one(struct set_decode *decode, unsigned attr)
{
    struct vfs_setattr *set = &decode->set->set;

    switch (attr) {
    case FATTR4_SIZE:
        return get_size(decode);
    case FATTR4_ACL:
        return get_acl(decode, decode->minor == 0 ? NFS4_ACL : NFS4_ACL_1);
    case FATTR4_DACL:
        return get_acl(decode, NFS4_DACL);
    case FATTR4_ARCHIVE:
        return get_dos_bit(decode, DOS_ARCHIVE);
    case FATTR4_HIDDEN:
        return get_dos_bit(decode, DOS_HIDDEN);
    case FATTR4_SYSTEM:
        return get_dos_bit(decode, DOS_SYSTEM);
    case FATTR4_MODE:
        return get_mode(decode);
    case FATTR4_OWNER:
        return get_id(decode, VFS_SET_UID, &set->uid);
    case FATTR4_OWNER_GROUP:
        return get_id(decode, VFS_SET_GID, &set->gid);
    case FATTR4_TIME_ACCESS_SET:
        return get_settime(decode, &set->atime_how, &set->atime);
    case FATTR4_TIME_CREATE:
        set->set |= VFS_SET_BTIME;
        return get_nfstime(decode, &set->btime);
    case FATTR4_TIME_MODIFY_SET:
        return get_settime(decode, &set->mtime_how, &set->mtime);
    case FATTR4_MODE_SET_MASKED:
        return get_mode_set_masked(decode);
    case FATTR4_MODE_UMASK:
        return get_mode_umask(decode);
    default:
        /* Readable only (RFC 8881 18.30.3), and nothing says how long its value is. */
        refuse(decode, NFS4ERR_INVAL);
        decode->reader.left = 0;
        return true;
    }
}

bool nfs4_attr_decode_set(struct reader *reader, uint32_t minor, struct nfs4_idmap *idmap,
                          struct arena *arena, struct nfs4_setattr *set_r)
{
    const struct nfs4_bitmap *supported = nfs4_attr_supported(minor);
    struct set_decode decode = {.set = set_r, .idmap = idmap, .arena = arena, .minor = minor};
    struct nfs4_fattr raw;
    int modes;

    memset(set_r, 0, sizeof *set_r);
    if (!nfs4_attr_decode_raw(reader, &raw))
        return false;
    set_r->mask = raw.mask;
    if (raw.mask.beyond)
        refuse(&decode, NFS4ERR_ATTRNOTSUPP);
    for (int word = 0; word < NFS4_BITMAP_WORDS; word++)
        if (raw.mask.words[word] & ~supported->words[word])
            refuse(&decode, NFS4ERR_ATTRNOTSUPP);
    if (set_r->status != NFS4_OK)
        return true;
    decode.reader = reader_of(raw.values, raw.length);
    for (unsigned attr = 0; attr < FATTR4_COUNT; attr++) {
        if (!nfs4_bitmap_has(&raw.mask, attr))
            continue;
        if (!get_one(&decode, attr))
            return false;
        if (set_r->status == NFS4ERR_INVAL && decode.reader.left == 0)
            return true;
    }
    /* One of the three ways to give a mode (RFC 8275 4.1, RFC 8881 6.2.5). */
    modes = nfs4_bitmap_has(&raw.mask, FATTR4_MODE) + nfs4_bitmap_has(&raw.mask, FATTR4_MODE_SET_MASKED) +
            nfs4_bitmap_has(&raw.mask, FATTR4_MODE_UMASK);
    if (modes > 1)
        refuse(&decode, NFS4ERR_INVAL);
    return reader_is_done(&decode.reader);
}

void nfs4_attr_complete(struct nfs4_setattr *set, const struct inode_attr *attr)
{
    if (set->mode_keep != 0)
        set->set.mode |= attr->mode & set->mode_keep;
    if (set->dos_mask != 0) {
        set->set.set |= VFS_SET_DOS_ATTRIBUTES;
        set->set.dos_attributes |= attr->dos_attributes & ~set->dos_mask;
    }
}

uint32_t nfs4_attr_check_list(struct nfs4_compound *compound, const struct nfs4_setattr *set,
                              struct inode *inode)
{
    struct acl before = {.count = 0};
    uint32_t status = NFS4_OK;
    struct arena arena;
    enum err err = ERR_NOENT;

    if (!(set->set.set & VFS_SET_ACL) || !nfs4__acl_has_domains(set->set.acl))
        return NFS4_OK;
    arena_init(&arena, 0);
    if (inode != NULL)
        err = vfs_acl_get(&compound->context, inode, &arena, &before);
    if (err != ERR_OK && err != ERR_NOENT)
        status = nfs4__status(compound, err);
    else if (!nfs4__acl_domains_are_in(set->set.acl, &before))
        status = NFS4ERR_BADOWNER;
    arena_reset(&arena);
    return status;
}
