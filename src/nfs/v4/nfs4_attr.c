/*
 * nfs4_attr.c - encoding attributes: one row an attribute, in order of number as they go on the wire.
 */
#include "nfs/v4/nfs4_attr.h"
#include "nfs/v4/nfs4_acl.h"
#include "nfs/v4/nfs4_server.h"
#include <string.h>

enum {
    DOS_HIDDEN = 0x2,
    DOS_SYSTEM = 0x4,
    DOS_ARCHIVE = 0x20,
    CHANGE_TYPE_MONOTONIC = 0, /* RFC 7862 12.2.3: NFS4_CHANGE_TYPE_IS_MONOTONIC_INCR */
    CHARSET_CONTAINS_NON_UTF8 = 1,
    BITMAP_BYTES = 4 + 4 * NFS4_BITMAP_WORDS,
    OWNER_BYTES = 4 + NFS4_OWNER_TEXT_MAX,
    OTHERS_BYTES = 512 /* a bound for all but the owners together, and for what is before the values */
};
_Static_assert(2 * OWNER_BYTES + OTHERS_BYTES <= NFS4_ATTRIBUTES_MAX, "all attributes together fit");

/* File ids in the pseudo file system: its root, and what each export is mounted on. */
#define PSEUDO_ROOT_FILEID   1u
#define PSEUDO_EXPORT_FILEID UINT64_C(0x100000000)
/* In the file id of a directory of named attributes, beside that of what they belong to. */
#define ATTR_DIR_FILEID (UINT64_C(1) << 63)

enum attr_flags {
    ATTR_READ = 1,
    ATTR_SET = 2,
    ATTR_EXCLUSIVE = 4 /* may come with EXCLUSIVE4_1 (suppattr_exclcreat) */
};

struct attr_row {
    const char *name;
    uint8_t *(*put)(uint8_t *at, struct nfs4_attr_source *source); /* NULL: can't be read */
    unsigned flags;
    uint8_t first_minor;
};
static const struct attr_row attr_rows[FATTR4_COUNT];

enum nfs4_file_type nfs4_file_type_of(enum inode_type type)
{
    switch (type) {
    case INODE_FILE:
        return NF4REG;
    case INODE_STREAM:
        return NF4NAMEDATTR;
    case INODE_DIRECTORY:
        return NF4DIR;
    case INODE_SYMLINK:
        return NF4LNK;
    case INODE_FIFO:
        return NF4FIFO;
    case INODE_SOCKET:
        return NF4SOCK;
    case INODE_BLOCK_DEVICE:
        return NF4BLK;
    case INODE_CHARACTER_DEVICE:
        return NF4CHR;
    }
    return NF4REG;
}

bool nfs4_inode_type_of(uint32_t type, enum inode_type *type_r)
{
    switch (type) {
    case NF4DIR:
        *type_r = INODE_DIRECTORY;
        return true;
    case NF4LNK:
        *type_r = INODE_SYMLINK;
        return true;
    case NF4FIFO:
        *type_r = INODE_FIFO;
        return true;
    case NF4SOCK:
        *type_r = INODE_SOCKET;
        return true;
    case NF4BLK:
        *type_r = INODE_BLOCK_DEVICE;
        return true;
    case NF4CHR:
        *type_r = INODE_CHARACTER_DEVICE;
        return true;
    default:
        return false;
    }
}

/* ---- the sets ---- */

static void collect(struct nfs4_bitmap *bitmap, uint32_t minor, unsigned flags)
{
    for (unsigned attr = 0; attr < FATTR4_COUNT; attr++) {
        const struct attr_row *row = &attr_rows[attr];

        if (row->name != NULL && row->first_minor <= minor && (row->flags & flags))
            nfs4_bitmap_add(bitmap, attr);
    }
}

const struct nfs4_bitmap *nfs4_attr_supported(uint32_t minor)
{
    static struct nfs4_bitmap sets[3];
    static bool known[3];

    if (!known[minor]) {
        collect(&sets[minor], minor, ATTR_READ | ATTR_SET);
        known[minor] = true;
    }
    return &sets[minor];
}

static const struct nfs4_bitmap *readable(uint32_t minor)
{
    static struct nfs4_bitmap sets[3];
    static bool known[3];

    if (!known[minor]) {
        collect(&sets[minor], minor, ATTR_READ);
        known[minor] = true;
    }
    return &sets[minor];
}

uint32_t nfs4_attr_check_readable(const struct nfs4_bitmap *wanted)
{
    static struct nfs4_bitmap set_only;
    static bool known;

    for (unsigned attr = 0; attr < FATTR4_COUNT && !known; attr++)
        if (attr_rows[attr].flags == ATTR_SET)
            nfs4_bitmap_add(&set_only, attr);
    known = true;
    for (int word = 0; word < NFS4_BITMAP_WORDS; word++)
        if (wanted->words[word] & set_only.words[word])
            return NFS4ERR_INVAL;
    return NFS4_OK;
}

/* ---- one function an attribute ---- */

static uint8_t *put_bool(uint8_t *at, bool value)
{
    return put_be32(at, value ? 1 : 0);
}

static uint8_t *put_bitmap(uint8_t *at, const struct nfs4_bitmap *bitmap)
{
    struct writer writer;

    writer_init(&writer, at, BITMAP_BYTES);
    nfs4__encode_bitmap(&writer, bitmap);
    return at + writer.length;
}

static uint8_t *put_time(uint8_t *at, struct timestamp time)
{
    return put_be32(put_be64(at, (uint64_t)time.seconds), time.nanoseconds);
}

static bool is_pseudo(const struct nfs4_attr_source *source)
{
    return source->export == NULL;
}

static bool is_attr_dir(const struct nfs4_attr_source *source)
{
    return source->fh->place == NFS4_ATTR_DIR;
}

static const struct vfs_space *space_of(struct nfs4_attr_source *source)
{
    if (!source->space_known) {
        struct vfs_context context = {.vfs = source->compound->server->vfs, .export = source->export};

        vfs_space(&context, &source->space);
        source->space_known = true;
    }
    return &source->space;
}

static uint8_t *put_supported(uint8_t *at, struct nfs4_attr_source *source)
{
    return put_bitmap(at, nfs4_attr_supported(source->compound->minor));
}

static uint8_t *put_type(uint8_t *at, struct nfs4_attr_source *source)
{
    return put_be32(at, is_attr_dir(source) ? NF4ATTRDIR : nfs4_file_type_of(source->attr.type));
}

/* FH4_PERSISTENT. */
static uint8_t *put_zero(uint8_t *at, struct nfs4_attr_source *source)
{
    (void)source;
    return put_be32(at, 0);
}

static uint8_t *put_true(uint8_t *at, struct nfs4_attr_source *source)
{
    (void)source;
    return put_bool(at, true);
}

static uint8_t *put_false(uint8_t *at, struct nfs4_attr_source *source)
{
    (void)source;
    return put_bool(at, false);
}

static uint8_t *put_change(uint8_t *at, struct nfs4_attr_source *source)
{
    return put_be64(at, source->attr.change);
}

static uint8_t *put_size(uint8_t *at, struct nfs4_attr_source *source)
{
    return put_be64(at, source->attr.size);
}

/* RFC 8881 5.8.1.8: whether there are any. */
static uint8_t *put_named_attr(uint8_t *at, struct nfs4_attr_source *source)
{
    bool may = !is_pseudo(source) && !is_attr_dir(source) &&
               (source->attr.type == INODE_FILE || source->attr.type == INODE_DIRECTORY);

    return put_bool(at, may && vfs_has_streams(source->fh->inode));
}

static uint8_t *put_fsid(uint8_t *at, struct nfs4_attr_source *source)
{
    return put_be64(put_be64(at, is_pseudo(source) ? 0 : source->fh->export_id), 0);
}

static uint8_t *put_lease_time(uint8_t *at, struct nfs4_attr_source *source)
{
    return put_be32(at, source->compound->server->lease_s);
}

static uint8_t *put_rdattr_error(uint8_t *at, struct nfs4_attr_source *source)
{
    return put_be32(at, source->rdattr_error);
}

static uint8_t *put_bytes(uint8_t *at, const uint8_t *bytes, size_t length)
{
    if (length > 0)
        memcpy(at, bytes, length);
    return at + length;
}

static uint8_t *put_acl(uint8_t *at, struct nfs4_attr_source *source)
{
    return put_bytes(at, source->lists.data, source->acl_length);
}

static uint8_t *put_aclsupport(uint8_t *at, struct nfs4_attr_source *source)
{
    (void)source;
    return put_be32(at, NFS4_ACL_SUPPORT);
}

static uint8_t *put_dacl(uint8_t *at, struct nfs4_attr_source *source)
{
    return put_bytes(at, source->lists.data + source->acl_length, source->lists.length - source->acl_length);
}

static uint8_t *put_archive(uint8_t *at, struct nfs4_attr_source *source)
{
    return put_bool(at, source->attr.dos_attributes & DOS_ARCHIVE);
}

static uint8_t *put_hidden(uint8_t *at, struct nfs4_attr_source *source)
{
    return put_bool(at, source->attr.dos_attributes & DOS_HIDDEN);
}

static uint8_t *put_system(uint8_t *at, struct nfs4_attr_source *source)
{
    return put_bool(at, source->attr.dos_attributes & DOS_SYSTEM);
}

static uint8_t *put_filehandle(uint8_t *at, struct nfs4_attr_source *source)
{
    at = put_be32(at, VFS_HANDLE_SIZE);
    nfs4__filehandle_encode(source->compound->server, source->fh, at);
    return at + VFS_HANDLE_SIZE;
}

static uint8_t *put_fileid(uint8_t *at, struct nfs4_attr_source *source)
{
    return put_be64(at, source->attr.ino);
}

static uint8_t *put_files_avail(uint8_t *at, struct nfs4_attr_source *source)
{
    return put_be64(at, space_of(source)->available_files);
}

static uint8_t *put_files_free(uint8_t *at, struct nfs4_attr_source *source)
{
    return put_be64(at, space_of(source)->free_files);
}

static uint8_t *put_files_total(uint8_t *at, struct nfs4_attr_source *source)
{
    return put_be64(at, space_of(source)->total_files);
}

static uint8_t *put_maxfilesize(uint8_t *at, struct nfs4_attr_source *source)
{
    (void)source;
    return put_be64(at, STORE_FILE_SIZE_MAX);
}

static uint8_t *put_maxlink(uint8_t *at, struct nfs4_attr_source *source)
{
    (void)source;
    return put_be32(at, STORE_LINK_MAX);
}

static uint8_t *put_maxname(uint8_t *at, struct nfs4_attr_source *source)
{
    (void)source;
    return put_be32(at, STORE_NAME_MAX);
}

static uint8_t *put_maxio(uint8_t *at, struct nfs4_attr_source *source)
{
    (void)source;
    return put_be64(at, NFS4_IO_MAX);
}

static uint8_t *put_mode(uint8_t *at, struct nfs4_attr_source *source)
{
    return put_be32(at, source->attr.mode);
}

static uint8_t *put_numlinks(uint8_t *at, struct nfs4_attr_source *source)
{
    return put_be32(at, source->attr.nlink);
}

static uint8_t *put_id(uint8_t *at, const struct nfs4_attr_source *source, bool is_group, uint32_t id)
{
    char *text = (char *)at + 4;
    size_t length = source->numbers_only
                        ? nfs4__idmap_number(id, text)
                        : nfs4__idmap_text(source->compound->server->idmap, is_group, id, text);
    size_t padding = -length % 4;

    put_be32(at, (uint32_t)length);
    memset(text + length, 0, padding);
    return at + 4 + length + padding;
}

static uint8_t *put_owner(uint8_t *at, struct nfs4_attr_source *source)
{
    return put_id(at, source, false, source->attr.uid);
}

static uint8_t *put_owner_group(uint8_t *at, struct nfs4_attr_source *source)
{
    return put_id(at, source, true, source->attr.gid);
}

static uint8_t *put_rawdev(uint8_t *at, struct nfs4_attr_source *source)
{
    return put_be32(put_be32(at, source->attr.device_major), source->attr.device_minor);
}

static uint8_t *put_space_avail(uint8_t *at, struct nfs4_attr_source *source)
{
    return put_be64(at, space_of(source)->available_bytes);
}

static uint8_t *put_space_free(uint8_t *at, struct nfs4_attr_source *source)
{
    return put_be64(at, space_of(source)->free_bytes);
}

static uint8_t *put_space_total(uint8_t *at, struct nfs4_attr_source *source)
{
    return put_be64(at, space_of(source)->total_bytes);
}

static uint8_t *put_space_used(uint8_t *at, struct nfs4_attr_source *source)
{
    return put_be64(at, source->attr.used);
}

static uint8_t *put_time_access(uint8_t *at, struct nfs4_attr_source *source)
{
    return put_time(at, source->attr.atime);
}

static uint8_t *put_time_create(uint8_t *at, struct nfs4_attr_source *source)
{
    return put_time(at, source->attr.btime);
}

static uint8_t *put_time_delta(uint8_t *at, struct nfs4_attr_source *source)
{
    (void)source;
    return put_time(at, (struct timestamp){0, 1});
}

static uint8_t *put_time_metadata(uint8_t *at, struct nfs4_attr_source *source)
{
    return put_time(at, source->attr.ctime);
}

static uint8_t *put_time_modify(uint8_t *at, struct nfs4_attr_source *source)
{
    return put_time(at, source->attr.mtime);
}

static uint8_t *put_mounted_on_fileid(uint8_t *at, struct nfs4_attr_source *source)
{
    bool is_root = source->attr.type == INODE_DIRECTORY && source->attr.parent == source->attr.ino;

    return put_be64(at, !is_pseudo(source) && is_root ? PSEUDO_EXPORT_FILEID + source->fh->export_id
                                                      : source->attr.ino);
}

static uint8_t *put_suppattr_exclcreat(uint8_t *at, struct nfs4_attr_source *source)
{
    struct nfs4_bitmap set = {{0}, false};

    collect(&set, source->compound->minor, ATTR_EXCLUSIVE);
    return put_bitmap(at, &set);
}

bool nfs4_attr_is_exclusive(const struct nfs4_bitmap *mask, uint32_t minor)
{
    struct nfs4_bitmap set = {{0}, false};

    collect(&set, minor, ATTR_EXCLUSIVE);
    for (int i = 0; i < NFS4_BITMAP_WORDS; i++)
        if (mask->words[i] & ~set.words[i])
            return false;
    return !mask->beyond;
}

static uint8_t *put_charset_cap(uint8_t *at, struct nfs4_attr_source *source)
{
    (void)source;
    return put_be32(at, CHARSET_CONTAINS_NON_UTF8);
}

static uint8_t *put_clone_blksize(uint8_t *at, struct nfs4_attr_source *source)
{
    (void)source;
    return put_be32(at, 4096);
}

static uint8_t *put_change_attr_type(uint8_t *at, struct nfs4_attr_source *source)
{
    (void)source;
    return put_be32(at, CHANGE_TYPE_MONOTONIC);
}

static uint8_t *put_xattr_support(uint8_t *at, struct nfs4_attr_source *source)
{
    return put_bool(at, !is_pseudo(source));
}

/* RFC 9754 4: what OPEN takes. Each number is a bit; of access and deny modes, the values. */
static uint8_t *put_open_arguments(uint8_t *at, struct nfs4_attr_source *source)
{
    static const uint32_t arguments[] = {
        0xe,  /* access: READ, WRITE, BOTH */
        0xf,  /* deny: NONE, READ, WRITE, BOTH */
        0x38, /* wishes: ANY_DELEG, NO_DELEG, CANCEL */
        0x37, /* claims: all but the two for delegations that outlive their client */
        0xf   /* ways to create: all four */
    };

    (void)source;
    for (size_t i = 0; i < sizeof arguments / sizeof *arguments; i++)
        at = put_be32(put_be32(at, 1), arguments[i]);
    return at;
}

enum { READ_SET = ATTR_READ | ATTR_SET | ATTR_EXCLUSIVE, SET_ONLY = ATTR_SET };

static const struct attr_row attr_rows[FATTR4_COUNT] = {
    [FATTR4_SUPPORTED_ATTRS] = {"supported_attrs", put_supported, ATTR_READ, 0},
    [FATTR4_TYPE] = {"type", put_type, ATTR_READ, 0},
    [FATTR4_FH_EXPIRE_TYPE] = {"fh_expire_type", put_zero, ATTR_READ, 0},
    [FATTR4_CHANGE] = {"change", put_change, ATTR_READ, 0},
    [FATTR4_SIZE] = {"size", put_size, READ_SET, 0},
    [FATTR4_LINK_SUPPORT] = {"link_support", put_true, ATTR_READ, 0},
    [FATTR4_SYMLINK_SUPPORT] = {"symlink_support", put_true, ATTR_READ, 0},
    [FATTR4_NAMED_ATTR] = {"named_attr", put_named_attr, ATTR_READ, 0},
    [FATTR4_FSID] = {"fsid", put_fsid, ATTR_READ, 0},
    [FATTR4_UNIQUE_HANDLES] = {"unique_handles", put_true, ATTR_READ, 0},
    [FATTR4_LEASE_TIME] = {"lease_time", put_lease_time, ATTR_READ, 0},
    [FATTR4_RDATTR_ERROR] = {"rdattr_error", put_rdattr_error, ATTR_READ, 0},
    [FATTR4_ACL] = {"acl", put_acl, READ_SET, 0},
    [FATTR4_ACLSUPPORT] = {"aclsupport", put_aclsupport, ATTR_READ, 0},
    [FATTR4_ARCHIVE] = {"archive", put_archive, READ_SET, 0},
    [FATTR4_CANSETTIME] = {"cansettime", put_true, ATTR_READ, 0},
    [FATTR4_CASE_INSENSITIVE] = {"case_insensitive", put_false, ATTR_READ, 0},
    [FATTR4_CASE_PRESERVING] = {"case_preserving", put_true, ATTR_READ, 0},
    [FATTR4_CHOWN_RESTRICTED] = {"chown_restricted", put_true, ATTR_READ, 0},
    [FATTR4_FILEHANDLE] = {"filehandle", put_filehandle, ATTR_READ, 0},
    [FATTR4_FILEID] = {"fileid", put_fileid, ATTR_READ, 0},
    [FATTR4_FILES_AVAIL] = {"files_avail", put_files_avail, ATTR_READ, 0},
    [FATTR4_FILES_FREE] = {"files_free", put_files_free, ATTR_READ, 0},
    [FATTR4_FILES_TOTAL] = {"files_total", put_files_total, ATTR_READ, 0},
    [FATTR4_HIDDEN] = {"hidden", put_hidden, READ_SET, 0},
    [FATTR4_HOMOGENEOUS] = {"homogeneous", put_true, ATTR_READ, 0},
    [FATTR4_MAXFILESIZE] = {"maxfilesize", put_maxfilesize, ATTR_READ, 0},
    [FATTR4_MAXLINK] = {"maxlink", put_maxlink, ATTR_READ, 0},
    [FATTR4_MAXNAME] = {"maxname", put_maxname, ATTR_READ, 0},
    [FATTR4_MAXREAD] = {"maxread", put_maxio, ATTR_READ, 0},
    [FATTR4_MAXWRITE] = {"maxwrite", put_maxio, ATTR_READ, 0},
    [FATTR4_MODE] = {"mode", put_mode, READ_SET, 0},
    [FATTR4_NO_TRUNC] = {"no_trunc", put_true, ATTR_READ, 0},
    [FATTR4_NUMLINKS] = {"numlinks", put_numlinks, ATTR_READ, 0},
    [FATTR4_OWNER] = {"owner", put_owner, READ_SET, 0},
    [FATTR4_OWNER_GROUP] = {"owner_group", put_owner_group, READ_SET, 0},
    [FATTR4_RAWDEV] = {"rawdev", put_rawdev, ATTR_READ, 0},
    [FATTR4_SPACE_AVAIL] = {"space_avail", put_space_avail, ATTR_READ, 0},
    [FATTR4_SPACE_FREE] = {"space_free", put_space_free, ATTR_READ, 0},
    [FATTR4_SPACE_TOTAL] = {"space_total", put_space_total, ATTR_READ, 0},
    [FATTR4_SPACE_USED] = {"space_used", put_space_used, ATTR_READ, 0},
    [FATTR4_SYSTEM] = {"system", put_system, READ_SET, 0},
    [FATTR4_TIME_ACCESS] = {"time_access", put_time_access, ATTR_READ, 0},
    [FATTR4_TIME_ACCESS_SET] = {"time_access_set", NULL, SET_ONLY, 0},
    [FATTR4_TIME_CREATE] = {"time_create", put_time_create, READ_SET, 0},
    [FATTR4_TIME_DELTA] = {"time_delta", put_time_delta, ATTR_READ, 0},
    [FATTR4_TIME_METADATA] = {"time_metadata", put_time_metadata, ATTR_READ, 0},
    [FATTR4_TIME_MODIFY] = {"time_modify", put_time_modify, ATTR_READ, 0},
    [FATTR4_TIME_MODIFY_SET] = {"time_modify_set", NULL, SET_ONLY, 0},
    [FATTR4_MOUNTED_ON_FILEID] = {"mounted_on_fileid", put_mounted_on_fileid, ATTR_READ, 0},
    [FATTR4_DACL] = {"dacl", put_dacl, READ_SET, 1},
    [FATTR4_MODE_SET_MASKED] = {"mode_set_masked", NULL, SET_ONLY, 1},
    [FATTR4_SUPPATTR_EXCLCREAT] = {"suppattr_exclcreat", put_suppattr_exclcreat, ATTR_READ, 1},
    [FATTR4_FS_CHARSET_CAP] = {"fs_charset_cap", put_charset_cap, ATTR_READ, 1},
    [FATTR4_CLONE_BLKSIZE] = {"clone_blksize", put_clone_blksize, ATTR_READ, 2},
    [FATTR4_CHANGE_ATTR_TYPE] = {"change_attr_type", put_change_attr_type, ATTR_READ, 2},
    [FATTR4_MODE_UMASK] = {"mode_umask", NULL, SET_ONLY, 2},
    [FATTR4_XATTR_SUPPORT] = {"xattr_support", put_xattr_support, ATTR_READ, 2},
    [FATTR4_OPEN_ARGUMENTS] = {"open_arguments", put_open_arguments, ATTR_READ, 2},
};

/* ---- a whole fattr4 ---- */

static void pseudo_root_attr(const struct nfs4_compound *compound, struct inode_attr *attr_r)
{
    struct timestamp started = compound->server->started;

    *attr_r = (struct inode_attr){.ino = PSEUDO_ROOT_FILEID,
                                  .type = INODE_DIRECTORY,
                                  .mode = 0555,
                                  .nlink = 2,
                                  .size = 4096,
                                  .parent = PSEUDO_ROOT_FILEID,
                                  .change = vfs_exports_generation(compound->server->vfs),
                                  .atime = started,
                                  .mtime = started,
                                  .ctime = started,
                                  .btime = started};
}

/* The directory of named attributes of what has ATTR: it is searched by who reads or writes that. */
static void attr_dir_attr(struct inode_attr *attr)
{
    uint32_t uses = attr->mode | attr->mode >> 1;

    attr->mode = (attr->mode & 0666) | (uses >> 1 & 0111);
    attr->ino |= ATTR_DIR_FILEID;
    attr->nlink = 2;
    attr->size = 4096;
    attr->used = 0;
    attr->parent = 0;
}

void nfs4_attr_source_init(struct nfs4_attr_source *source, struct nfs4_compound *compound,
                           const struct nfs4_filehandle *fh, struct vfs_export *export)
{
    bool is_pseudo_root = fh->place == NFS4_PSEUDO_ROOT;

    source->compound = compound;
    source->fh = fh;
    source->export = is_pseudo_root ? NULL : export;
    source->space_known = false;
    source->rdattr_error = NFS4_OK;
    source->numbers_only = false;
    source->lists = (struct writer){.data = NULL};
    source->acl_length = 0;
    if (is_pseudo_root) {
        pseudo_root_attr(compound, &source->attr);
        source->space = (struct vfs_space){0}; /* nothing is stored there */
        source->space_known = true;
    } else {
        vfs_getattr(fh->inode, &source->attr);
    }
    if (fh->place == NFS4_ATTR_DIR)
        attr_dir_attr(&source->attr);
}

/* The list, or what the mode means; ACES has room for the latter. */
static uint32_t fetch_list(struct nfs4_attr_source *source, struct arena *arena, struct acl_ace *aces,
                           struct acl *acl_r)
{
    struct nfs4_compound *compound = source->compound;
    enum err err = ERR_NOENT;

    if (!is_pseudo(source))
        err = vfs_acl_get(&compound->context, source->fh->inode, arena, acl_r);
    if (err == ERR_NOENT)
        vfs_acl_of_mode(&source->attr, aces, acl_r);
    return err == ERR_OK || err == ERR_NOENT ? NFS4_OK : nfs4__status(compound, err);
}

uint32_t nfs4_attr_prepare(struct nfs4_attr_source *source, const struct nfs4_bitmap *wanted)
{
    bool acl_wanted = nfs4_bitmap_has(wanted, FATTR4_ACL);
    bool dacl_wanted = nfs4_bitmap_has(wanted, FATTR4_DACL) && source->compound->minor > 0;
    struct nfs4_idmap *idmap = source->numbers_only ? NULL : source->compound->server->idmap;
    struct acl_ace aces[VFS_ACL_OF_MODE_MAX];
    struct writer *lists = &source->lists;
    struct arena arena;
    struct acl acl;
    uint32_t status;

    if (!acl_wanted && !dacl_wanted)
        return NFS4_OK;
    nfs4_attr_source_free(source);
    arena_init(&arena, 0);
    status = fetch_list(source, &arena, aces, &acl);
    if (status == NFS4_OK) {
        writer_init_growing(lists, 2 * NFS4_REPLY_MAX);
        if (acl_wanted)
            nfs4__acl_encode(lists, source->compound->minor == 0 ? NFS4_ACL : NFS4_ACL_1, &acl, idmap);
        source->acl_length = lists->length;
        if (dacl_wanted)
            nfs4__acl_encode(lists, NFS4_DACL, &acl, idmap);
        status = lists->failed ? NFS4ERR_DELAY : NFS4_OK;
    }
    arena_reset(&arena);
    if (status != NFS4_OK)
        nfs4_attr_source_free(source);
    return status;
}

void nfs4_attr_source_free(struct nfs4_attr_source *source)
{
    writer_free(&source->lists);
    source->lists = (struct writer){.data = NULL};
    source->acl_length = 0;
}

static uint8_t *put_values(uint8_t *at, struct nfs4_attr_source *source, const struct nfs4_bitmap *given)
{
    for (unsigned word = 0; word < NFS4_BITMAP_WORDS; word++) {
        const struct attr_row *rows = &attr_rows[word * 32];

        for (uint32_t bits = given->words[word]; bits != 0; bits &= bits - 1)
            at = rows[__builtin_ctz(bits)].put(at, source);
    }
    return at;
}

void nfs4_attr_encode(struct writer *writer, struct nfs4_attr_source *source,
                      const struct nfs4_bitmap *wanted)
{
    const struct nfs4_bitmap *all = readable(source->compound->minor);
    struct nfs4_bitmap given = {{0}, false};
    size_t start = writer->length, length_at, end;
    uint8_t *values;

    if (!writer_has_room(writer, nfs4_attr_room(source))) {
        writer->failed = true;
        return;
    }
    for (int i = 0; i < NFS4_BITMAP_WORDS; i++)
        given.words[i] = wanted->words[i] & all->words[i];
    nfs4__encode_bitmap(writer, &given);
    length_at = writer->length;
    writer_be32(writer, 0);
    /* Of what there is room for, each attribute takes as much as it needs. */
    values = writer->data + writer->length;
    end = (size_t)(put_values(values, source, &given) - writer->data);
    invariant(end - start <= nfs4_attr_room(source));
    writer_patch_be32(writer, length_at, (uint32_t)(end - length_at - 4));
    (void)writer_reserve(writer, end - writer->length);
}
