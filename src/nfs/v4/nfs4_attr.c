/*
 * nfs4_attr.c - encoding attributes: one row an attribute, in order of number as they go on the wire.
 */
#include "nfs/v4/nfs4_attr.h"
#include "nfs/v4/nfs4_server.h"
#include <string.h>

enum {
    DOS_HIDDEN = 0x2,
    DOS_SYSTEM = 0x4,
    DOS_ARCHIVE = 0x20,
    CHANGE_TYPE_MONOTONIC = 0, /* RFC 7862 12.2.3: NFS4_CHANGE_TYPE_IS_MONOTONIC_INCR */
    CHARSET_CONTAINS_NON_UTF8 = 1,
};

/* File ids in the pseudo file system: its root, and what each export is mounted on. */
#define PSEUDO_ROOT_FILEID   1u
#define PSEUDO_EXPORT_FILEID UINT64_C(0x100000000)

enum attr_flags {
    ATTR_READ = 1,
    ATTR_SET = 2,
    ATTR_EXCLUSIVE = 4 /* may come with EXCLUSIVE4_1 (suppattr_exclcreat) */
};

struct attr_row {
    const char *name;
    void (*encode)(struct writer *writer, struct nfs4_attr_source *source);
    unsigned flags;
    uint8_t first_minor;
};
static const struct attr_row attr_rows[FATTR4_COUNT];

enum nfs4_file_type nfs4_file_type_of(enum inode_type type)
{
    switch (type) {
    case INODE_FILE:
    case INODE_STREAM:
        return NF4REG;
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

static void put_time(struct writer *writer, struct timestamp time)
{
    writer_be64(writer, (uint64_t)time.seconds);
    writer_be32(writer, time.nanoseconds);
}

static bool is_pseudo(const struct nfs4_attr_source *source)
{
    return source->export == NULL;
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

static void put_supported(struct writer *writer, struct nfs4_attr_source *source)
{
    nfs4__encode_bitmap(writer, nfs4_attr_supported(source->compound->minor));
}

static void put_type(struct writer *writer, struct nfs4_attr_source *source)
{
    writer_be32(writer, nfs4_file_type_of(source->attr.type));
}

/* FH4_PERSISTENT. */
static void put_zero(struct writer *writer, struct nfs4_attr_source *source)
{
    (void)source;
    writer_be32(writer, 0);
}

static void put_true(struct writer *writer, struct nfs4_attr_source *source)
{
    (void)source;
    writer_xdr_bool(writer, true);
}

static void put_false(struct writer *writer, struct nfs4_attr_source *source)
{
    (void)source;
    writer_xdr_bool(writer, false);
}

static void put_change(struct writer *writer, struct nfs4_attr_source *source)
{
    writer_be64(writer, source->attr.change);
}

static void put_size(struct writer *writer, struct nfs4_attr_source *source)
{
    writer_be64(writer, source->attr.size);
}

static void put_fsid(struct writer *writer, struct nfs4_attr_source *source)
{
    writer_be64(writer, is_pseudo(source) ? 0 : source->fh->export_id);
    writer_be64(writer, 0);
}

static void put_lease_time(struct writer *writer, struct nfs4_attr_source *source)
{
    writer_be32(writer, source->compound->server->lease_s);
}

static void put_rdattr_error(struct writer *writer, struct nfs4_attr_source *source)
{
    writer_be32(writer, source->rdattr_error);
}

static void put_archive(struct writer *writer, struct nfs4_attr_source *source)
{
    writer_xdr_bool(writer, source->attr.dos_attributes & DOS_ARCHIVE);
}

static void put_hidden(struct writer *writer, struct nfs4_attr_source *source)
{
    writer_xdr_bool(writer, source->attr.dos_attributes & DOS_HIDDEN);
}

static void put_system(struct writer *writer, struct nfs4_attr_source *source)
{
    writer_xdr_bool(writer, source->attr.dos_attributes & DOS_SYSTEM);
}

static void put_filehandle(struct writer *writer, struct nfs4_attr_source *source)
{
    uint8_t handle[VFS_HANDLE_SIZE];

    nfs4__filehandle_encode(source->compound->server, source->fh, handle);
    writer_xdr_opaque(writer, handle, sizeof handle);
}

static void put_fileid(struct writer *writer, struct nfs4_attr_source *source)
{
    writer_be64(writer, source->attr.ino);
}

static void put_files_avail(struct writer *writer, struct nfs4_attr_source *source)
{
    writer_be64(writer, space_of(source)->available_files);
}

static void put_files_free(struct writer *writer, struct nfs4_attr_source *source)
{
    writer_be64(writer, space_of(source)->free_files);
}

static void put_files_total(struct writer *writer, struct nfs4_attr_source *source)
{
    writer_be64(writer, space_of(source)->total_files);
}

static void put_maxfilesize(struct writer *writer, struct nfs4_attr_source *source)
{
    (void)source;
    writer_be64(writer, STORE_FILE_SIZE_MAX);
}

static void put_maxlink(struct writer *writer, struct nfs4_attr_source *source)
{
    (void)source;
    writer_be32(writer, STORE_LINK_MAX);
}

static void put_maxname(struct writer *writer, struct nfs4_attr_source *source)
{
    (void)source;
    writer_be32(writer, STORE_NAME_MAX);
}

static void put_maxio(struct writer *writer, struct nfs4_attr_source *source)
{
    (void)source;
    writer_be64(writer, NFS4_IO_MAX);
}

static void put_mode(struct writer *writer, struct nfs4_attr_source *source)
{
    writer_be32(writer, source->attr.mode);
}

static void put_numlinks(struct writer *writer, struct nfs4_attr_source *source)
{
    writer_be32(writer, source->attr.nlink);
}

static void put_id(struct writer *writer, const struct nfs4_attr_source *source, bool is_group, uint32_t id)
{
    if (source->numbers_only)
        nfs4__idmap_put_number(writer, id);
    else
        nfs4__idmap_put(writer, source->compound->server->idmap, is_group, id);
}

static void put_owner(struct writer *writer, struct nfs4_attr_source *source)
{
    put_id(writer, source, false, source->attr.uid);
}

static void put_owner_group(struct writer *writer, struct nfs4_attr_source *source)
{
    put_id(writer, source, true, source->attr.gid);
}

static void put_rawdev(struct writer *writer, struct nfs4_attr_source *source)
{
    writer_be32(writer, source->attr.device_major);
    writer_be32(writer, source->attr.device_minor);
}

static void put_space_avail(struct writer *writer, struct nfs4_attr_source *source)
{
    writer_be64(writer, space_of(source)->available_bytes);
}

static void put_space_free(struct writer *writer, struct nfs4_attr_source *source)
{
    writer_be64(writer, space_of(source)->free_bytes);
}

static void put_space_total(struct writer *writer, struct nfs4_attr_source *source)
{
    writer_be64(writer, space_of(source)->total_bytes);
}

static void put_space_used(struct writer *writer, struct nfs4_attr_source *source)
{
    writer_be64(writer, source->attr.used);
}

static void put_time_access(struct writer *writer, struct nfs4_attr_source *source)
{
    put_time(writer, source->attr.atime);
}

static void put_time_create(struct writer *writer, struct nfs4_attr_source *source)
{
    put_time(writer, source->attr.btime);
}

static void put_time_delta(struct writer *writer, struct nfs4_attr_source *source)
{
    (void)source;
    put_time(writer, (struct timestamp){0, 1});
}

static void put_time_metadata(struct writer *writer, struct nfs4_attr_source *source)
{
    put_time(writer, source->attr.ctime);
}

static void put_time_modify(struct writer *writer, struct nfs4_attr_source *source)
{
    put_time(writer, source->attr.mtime);
}

static void put_mounted_on_fileid(struct writer *writer, struct nfs4_attr_source *source)
{
    bool is_root = source->attr.type == INODE_DIRECTORY && source->attr.parent == source->attr.ino;

    writer_be64(writer, !is_pseudo(source) && is_root ? PSEUDO_EXPORT_FILEID + source->fh->export_id
                                                      : source->attr.ino);
}

static void put_suppattr_exclcreat(struct writer *writer, struct nfs4_attr_source *source)
{
    struct nfs4_bitmap set = {{0}, false};

    collect(&set, source->compound->minor, ATTR_EXCLUSIVE);
    nfs4__encode_bitmap(writer, &set);
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

static void put_charset_cap(struct writer *writer, struct nfs4_attr_source *source)
{
    (void)source;
    writer_be32(writer, CHARSET_CONTAINS_NON_UTF8);
}

static void put_clone_blksize(struct writer *writer, struct nfs4_attr_source *source)
{
    (void)source;
    writer_be32(writer, 4096);
}

static void put_change_attr_type(struct writer *writer, struct nfs4_attr_source *source)
{
    (void)source;
    writer_be32(writer, CHANGE_TYPE_MONOTONIC);
}

static void put_xattr_support(struct writer *writer, struct nfs4_attr_source *source)
{
    writer_xdr_bool(writer, !is_pseudo(source));
}

/* RFC 9754 4: what OPEN takes. Each number is a bit; of access and deny modes, the values. */
static void put_open_arguments(struct writer *writer, struct nfs4_attr_source *source)
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
        nfs4__encode_bitmap(writer, &(struct nfs4_bitmap){{arguments[i], 0, 0}, false});
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
    [FATTR4_NAMED_ATTR] = {"named_attr", put_false, ATTR_READ, 0},
    [FATTR4_FSID] = {"fsid", put_fsid, ATTR_READ, 0},
    [FATTR4_UNIQUE_HANDLES] = {"unique_handles", put_true, ATTR_READ, 0},
    [FATTR4_LEASE_TIME] = {"lease_time", put_lease_time, ATTR_READ, 0},
    [FATTR4_RDATTR_ERROR] = {"rdattr_error", put_rdattr_error, ATTR_READ, 0},
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

void nfs4_attr_source_init(struct nfs4_attr_source *source, struct nfs4_compound *compound,
                           const struct nfs4_filehandle *fh, struct vfs_export *export)
{
    *source = (struct nfs4_attr_source){.compound = compound, .fh = fh, .export = export};
    if (fh->place == NFS4_PSEUDO_ROOT) {
        source->export = NULL;
        pseudo_root_attr(compound, &source->attr);
        source->space_known = true; /* all zero: nothing is stored there */
    } else {
        vfs_getattr(fh->inode, &source->attr);
    }
}

void nfs4_attr_encode(struct writer *writer, struct nfs4_attr_source *source,
                      const struct nfs4_bitmap *wanted)
{
    const struct nfs4_bitmap *supported = nfs4_attr_supported(source->compound->minor);
    struct nfs4_bitmap given = {{0}, false};
    size_t length_at;

    for (int i = 0; i < NFS4_BITMAP_WORDS; i++)
        given.words[i] = wanted->words[i] & supported->words[i];
    nfs4__encode_bitmap(writer, &given);
    length_at = writer->length;
    writer_be32(writer, 0);
    for (unsigned word = 0; word < NFS4_BITMAP_WORDS; word++) {
        uint32_t bits = given.words[word];

        while (bits != 0) {
            const struct attr_row *row = &attr_rows[word * 32 + (unsigned)__builtin_ctz(bits)];

            bits &= bits - 1;
            if (row->encode != NULL)
                row->encode(writer, source);
        }
    }
    if (!writer->failed)
        writer_patch_be32(writer, length_at, (uint32_t)(writer->length - length_at - 4));
}
