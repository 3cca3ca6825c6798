/*
 * nfs4_attr.h - NFSv4's file attributes: which there are, how they are encoded, decoded and set (RFC 8881 5,
 * RFC 7862 12, RFC 8275, RFC 8276).
 */
#ifndef DITTOFS_NFS4_ATTR_H
#define DITTOFS_NFS4_ATTR_H

#include "dittofs/arena.h"
#include "nfs/v4/nfs4_priv.h"

/* What attributes are read from: an object, or the pseudo root. */
struct nfs4_attr_source {
    struct nfs4_compound *compound;
    const struct nfs4_filehandle *fh;
    struct inode_attr attr;    /* taken once */
    struct vfs_export *export; /* NULL for the pseudo root */
    struct vfs_space space;    /* when space_known */
    bool space_known;
    uint32_t rdattr_error; /* READDIR: why the others are missing */
    bool numbers_only;     /* owners without names */
    struct writer lists;   /* encoded: acl, if it is wanted, and dacl behind it */
    size_t acl_length;     /* of acl */
};

/* The attributes of MINOR that can be asked for or set. */
const struct nfs4_bitmap *nfs4_attr_supported(uint32_t minor);

/* Takes the snapshot of FH. EXPORT may be NULL for the pseudo root only. */
void nfs4_attr_source_init(struct nfs4_attr_source *source, struct nfs4_compound *compound,
                           const struct nfs4_filehandle *fh, struct vfs_export *export);
/* NFS4ERR_INVAL when one of WANTED can only be set (RFC 8881 18.7.3). */
uint32_t nfs4_attr_check_readable(const struct nfs4_bitmap *wanted);
/* Fetches what of WANTED has no bound: lists. NFS4ERR_ACCESS when the user may not see them. What it keeps
 * goes with nfs4_attr_source_free; without these WANTED must not have acl or dacl. */
uint32_t nfs4_attr_prepare(struct nfs4_attr_source *source, const struct nfs4_bitmap *wanted);
void nfs4_attr_source_free(struct nfs4_attr_source *source);
/* Bytes that nfs4_attr_encode needs room for. */
static inline size_t nfs4_attr_room(const struct nfs4_attr_source *source)
{
    return NFS4_ATTRIBUTES_MAX + source->lists.length;
}
/* fattr4: those of WANTED that are supported. WRITER must have nfs4_attr_room bytes of room, or it fails. */
void nfs4_attr_encode(struct writer *writer, struct nfs4_attr_source *source,
                      const struct nfs4_bitmap *wanted);

/* What a client wants to be set. */
struct nfs4_setattr {
    struct nfs4_bitmap mask;
    struct vfs_setattr set;
    bool has_umask;     /* mode_umask came, with */
    uint32_t umask;     /* what is not to be applied where a list is inherited */
    uint32_t mode_keep; /* mode_set_masked: mode bits that come from the file */
    uint32_t dos_mask;  /* DOS attributes that are given; the others come from the file */
    uint32_t status;    /* NFS4_OK, or what is wrong with the values (ATTRNOTSUPP, INVAL, BADOWNER; DELAY) */
};
/* fattr4 to be set. False: can't be decoded (BADXDR). Values that are wrong are told in status. A list lives
 * as long as ARENA. IDMAP may be NULL: owners are numbers. */
bool nfs4_attr_decode_set(struct reader *reader, uint32_t minor, struct nfs4_idmap *idmap,
                          struct arena *arena, struct nfs4_setattr *set_r) MUST_CHECK;

/* Fills in from ATTR what is set in part only: the mode with a mask, single DOS attributes. To be called
 * before SET->set goes to vfs; for a new object ATTR is all zero. */
void nfs4_attr_complete(struct nfs4_setattr *set, const struct inode_attr *attr);

/* The list in SET, if there is one, may be one of INODE's (NULL: of a new object): NFS4_OK, NFS4ERR_BADOWNER.
 * compound->context must be filled in. */
uint32_t nfs4_attr_check_list(struct nfs4_compound *compound, const struct nfs4_setattr *set,
                              struct inode *inode);

/* All of MASK may come with EXCLUSIVE4_1 (suppattr_exclcreat). */
bool nfs4_attr_is_exclusive(const struct nfs4_bitmap *mask, uint32_t minor);

/* fattr4 to compare with (VERIFY, NVERIFY): the raw bytes. */
struct nfs4_fattr {
    struct nfs4_bitmap mask;
    const uint8_t *values;
    uint32_t length;
};
bool nfs4_attr_decode_raw(struct reader *reader, struct nfs4_fattr *fattr_r) MUST_CHECK;
/* The values of FATTR, all of which are attributes that can be read, take its whole length. */
bool nfs4_attr_is_well_formed(const struct nfs4_fattr *fattr) MUST_CHECK;

enum nfs4_file_type nfs4_file_type_of(enum inode_type type);
/* specdata aside: false when TYPE is none that can be made. */
bool nfs4_inode_type_of(uint32_t type, enum inode_type *type_r) MUST_CHECK;

#endif
