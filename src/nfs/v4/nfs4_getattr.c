/*
 * nfs4_getattr.c - GETATTR, VERIFY, NVERIFY, SETATTR and ACCESS (RFC 8881 18.7, 18.31, 18.15, 18.30, 18.1).
 */
#include "nfs/v4/nfs4_attr.h"
#include "nfs/v4/nfs4_delegation.h"
#include "nfs/v4/nfs4_operations.h"
#include "nfs/v4/nfs4_server.h"
#include "nfs/v4/nfs4_state.h"
#include <string.h>

/* Prepares reading attributes of the current filehandle. The context is checked for an object of an export.
 */
static uint32_t source_of_current(struct nfs4_compound *compound, struct nfs4_attr_source *source_r)
{
    uint32_t status;

    if (compound->current.place == NFS4_PSEUDO_ROOT) {
        nfs4_attr_source_init(source_r, compound, &compound->current, NULL);
        return NFS4_OK;
    }
    status = nfs4__context(compound);
    if (status == NFS4_OK)
        nfs4_attr_source_init(source_r, compound, &compound->current, compound->context.export);
    return status;
}

/* ---- GETATTR ---- */

struct getattr_args {
    struct nfs4_bitmap wanted;
    struct nfs4_asker asker;
};

bool nfs4__getattr_decode(struct nfs4_compound *compound)
{
    return nfs4__decode_bitmap(&compound->arguments, &nfs4_new_args(compound, struct getattr_args)->wanted);
}

static uint32_t put_attributes(struct nfs4_compound *compound, struct nfs4_attr_source *source,
                               const struct nfs4_bitmap *wanted)
{
    uint32_t status = nfs4_attr_prepare(source, wanted);

    if (status == NFS4_OK && source->lists.length > 0)
        status = nfs4__check_room(compound, nfs4_attr_room(source));
    if (status == NFS4_OK)
        nfs4_attr_encode(&compound->call->reply, source, wanted);
    nfs4_attr_source_free(source);
    return status;
}

static void getattr_asked(struct nfs4_asker *asker, uint32_t status, bool has_size, uint64_t size)
{
    struct getattr_args *args = container_of(asker, struct getattr_args, asker);
    struct nfs4_compound *compound = nfs4_compound_of(args);
    struct nfs4_attr_source source;

    if (status == NFS4_OK)
        status = source_of_current(compound, &source);
    if (status == NFS4_OK) {
        if (has_size)
            source.attr.size = size;
        status = put_attributes(compound, &source, &args->wanted);
    }
    nfs4__resume(compound, status);
}

uint32_t nfs4__getattr(struct nfs4_compound *compound)
{
    struct getattr_args *args = nfs4_args(compound, struct getattr_args);
    struct nfs4_attr_source source;
    uint32_t status = nfs4_attr_check_readable(&args->wanted);

    if (status == NFS4_OK)
        status = source_of_current(compound, &source);
    args->asker.done = getattr_asked;
    if (status == NFS4_OK)
        status = nfs4__delegation_ask(compound, &args->wanted, &args->asker);
    return status == NFS4_OK ? put_attributes(compound, &source, &args->wanted) : status;
}

/* ---- VERIFY, NVERIFY ---- */

bool nfs4__verify_decode(struct nfs4_compound *compound)
{
    return nfs4_attr_decode_raw(&compound->arguments, nfs4_new_args(compound, struct nfs4_fattr));
}

bool nfs4__nverify_decode(struct nfs4_compound *compound)
{
    return nfs4__verify_decode(compound);
}

static uint32_t check_comparable(const struct nfs4_compound *compound, const struct nfs4_fattr *fattr)
{
    const struct nfs4_bitmap *supported = nfs4_attr_supported(compound->minor);
    uint32_t status = nfs4_attr_check_readable(&fattr->mask);

    if (status != NFS4_OK || nfs4_bitmap_has(&fattr->mask, FATTR4_RDATTR_ERROR))
        return NFS4ERR_INVAL;
    for (int word = 0; word < NFS4_BITMAP_WORDS; word++)
        if (fattr->mask.words[word] & ~supported->words[word])
            return NFS4ERR_ATTRNOTSUPP;
    if (fattr->mask.beyond)
        return NFS4ERR_ATTRNOTSUPP;
    return nfs4_attr_is_well_formed(fattr) ? NFS4_OK : NFS4ERR_BADXDR;
}

/* *SAME_R: SOURCE has the values given. */
static uint32_t compare_with(struct nfs4_attr_source *source, const struct nfs4_fattr *fattr, bool *same_r)
{
    uint32_t status = nfs4_attr_prepare(source, &fattr->mask);
    struct writer writer;
    size_t head;

    if (status != NFS4_OK)
        return status;
    writer_init_growing(&writer, nfs4_attr_room(source));
    nfs4__encode_bitmap(&writer, &fattr->mask);
    head = writer.length + 4;
    writer_truncate(&writer, 0);
    nfs4_attr_encode(&writer, source, &fattr->mask);
    if (!writer.failed)
        *same_r = writer.length - head == fattr->length &&
                  memcmp(writer.data + head, fattr->values, fattr->length) == 0;
    status = writer.failed ? NFS4ERR_SERVERFAULT : NFS4_OK;
    writer_free(&writer);
    nfs4_attr_source_free(source);
    return status;
}

/* *SAME_R: the object has the values given; owners by their names or numbers. */
static uint32_t compare(struct nfs4_compound *compound, bool *same_r)
{
    const struct nfs4_fattr *fattr = nfs4_args(compound, struct nfs4_fattr);
    struct nfs4_attr_source source;
    uint32_t status = check_comparable(compound, fattr);

    if (status == NFS4_OK)
        status = source_of_current(compound, &source);
    if (status == NFS4_OK)
        status = nfs4__delegation_settle(compound, &fattr->mask);
    if (status == NFS4_OK)
        status = compare_with(&source, fattr, same_r);
    if (status != NFS4_OK || *same_r)
        return status;
    source.numbers_only = true;
    return compare_with(&source, fattr, same_r);
}

uint32_t nfs4__verify(struct nfs4_compound *compound)
{
    bool same;
    uint32_t status = compare(compound, &same);

    return status != NFS4_OK ? status : same ? NFS4_OK : NFS4ERR_NOT_SAME;
}

uint32_t nfs4__nverify(struct nfs4_compound *compound)
{
    bool same;
    uint32_t status = compare(compound, &same);

    return status != NFS4_OK ? status : same ? NFS4ERR_SAME : NFS4_OK;
}

/* ---- SETATTR ---- */

struct setattr_args {
    struct nfs4_stateid stateid;
    struct nfs4_setattr set;
};

bool nfs4__setattr_decode(struct nfs4_compound *compound)
{
    struct setattr_args *args = nfs4_new_args(compound, struct setattr_args);

    return nfs4__decode_stateid(&compound->arguments, &args->stateid) &&
           nfs4_attr_decode_set(&compound->arguments, compound->minor, compound->server->idmap,
                                &compound->call->arena, &args->set);
}

uint32_t nfs4__setattr(struct nfs4_compound *compound)
{
    struct setattr_args *args = nfs4_args(compound, struct setattr_args);
    enum vfs_io_right right = VFS_IO_CHECK_MODE;
    struct inode_attr attr;
    uint32_t status = args->set.status;
    enum err err;

    /* RFC 8275 4.1: a umask is for what is being made. */
    if (status == NFS4_OK && args->set.has_umask)
        status = NFS4ERR_INVAL;
    if (status == NFS4_OK)
        status = nfs4__context(compound);
    if (status != NFS4_OK)
        return status;
    nfs4__set_grant_client(compound, nfs4__compound_client(compound));
    vfs_getattr(compound->current.inode, &attr);
    /* The stateid counts for a size only (RFC 8881 18.30.3). */
    if (args->set.set.set & VFS_SET_SIZE) {
        if (attr.type == INODE_DIRECTORY)
            return NFS4ERR_ISDIR;
        if (attr.type != INODE_FILE && attr.type != INODE_STREAM)
            return NFS4ERR_INVAL;
        status = nfs4__stateid_for_io(compound, &args->stateid, NFS4_IO_WRITE, &right);
        if (status != NFS4_OK)
            return status;
    }
    status = nfs4_attr_check_list(compound, &args->set, compound->current.inode);
    if (status != NFS4_OK)
        return status;
    nfs4_attr_complete(&args->set, &attr);
    err = vfs_setattr(&compound->context, compound->current.inode, &args->set.set, NULL,
                      right == VFS_IO_OPEN_HANDLE);
    if (err != ERR_OK)
        return nfs4__status(compound, err);
    nfs4__encode_bitmap(&compound->call->reply, &args->set.mask);
    return NFS4_OK;
}

/* ---- ACCESS ---- */

enum access_bits {
    ACCESS4_READ = 0x1,
    ACCESS4_LOOKUP = 0x2,
    ACCESS4_MODIFY = 0x4,
    ACCESS4_EXTEND = 0x8,
    ACCESS4_DELETE = 0x10,
    ACCESS4_EXECUTE = 0x20,
    ACCESS4_XAREAD = 0x40, /* RFC 8276 8.5 */
    ACCESS4_XAWRITE = 0x80,
    ACCESS4_XALIST = 0x100
};

struct access_args {
    uint32_t wanted;
};

bool nfs4__access_decode(struct nfs4_compound *compound)
{
    return reader_be32(&compound->arguments, &nfs4_new_args(compound, struct access_args)->wanted);
}

struct access_row {
    uint32_t bit;
    unsigned file, directory; /* enum vfs_access bits that it needs; 0: means nothing there */
};
static const struct access_row access_rows[] = {
    {ACCESS4_READ, VFS_ACCESS_READ, VFS_ACCESS_READ},
    {ACCESS4_LOOKUP, 0, VFS_ACCESS_EXECUTE},
    {ACCESS4_MODIFY, VFS_ACCESS_WRITE, VFS_ACCESS_WRITE},
    {ACCESS4_EXTEND, VFS_ACCESS_WRITE, VFS_ACCESS_WRITE},
    {ACCESS4_DELETE, 0, VFS_ACCESS_DELETE},
    {ACCESS4_EXECUTE, VFS_ACCESS_EXECUTE, 0},
    {ACCESS4_XAREAD, VFS_ACCESS_READ, VFS_ACCESS_READ},
    {ACCESS4_XAWRITE, VFS_ACCESS_WRITE, VFS_ACCESS_WRITE},
    {ACCESS4_XALIST, VFS_ACCESS_READ, VFS_ACCESS_READ},
};

static uint32_t supported_access(const struct nfs4_compound *compound, bool is_directory)
{
    uint32_t known = compound->minor >= 2 ? 0x1ff : 0x3f, supported = 0;

    for (size_t i = 0; i < sizeof access_rows / sizeof *access_rows; i++)
        if ((is_directory ? access_rows[i].directory : access_rows[i].file) != 0)
            supported |= access_rows[i].bit;
    return supported & known;
}

static uint32_t granted_access(struct nfs4_compound *compound, uint32_t supported, bool is_directory)
{
    const unsigned all = VFS_ACCESS_READ | VFS_ACCESS_WRITE | VFS_ACCESS_EXECUTE | VFS_ACCESS_DELETE;
    unsigned has;
    uint32_t granted = 0;

    if (compound->current.place == NFS4_PSEUDO_ROOT)
        has = VFS_ACCESS_READ | VFS_ACCESS_EXECUTE;
    else
        has = vfs_access(&compound->context, compound->current.inode, all);
    /* Named attributes are found, read and written by who reads or writes what they belong to. */
    if (compound->current.place == NFS4_ATTR_DIR) {
        has &= VFS_ACCESS_READ | VFS_ACCESS_WRITE;
        has |= (has != 0 ? VFS_ACCESS_EXECUTE : 0) | (has & VFS_ACCESS_WRITE ? VFS_ACCESS_DELETE : 0);
    }
    for (size_t i = 0; i < sizeof access_rows / sizeof *access_rows; i++) {
        unsigned needs = is_directory ? access_rows[i].directory : access_rows[i].file;

        if ((supported & access_rows[i].bit) && (has & needs) == needs)
            granted |= access_rows[i].bit;
    }
    return granted;
}

uint32_t nfs4__access(struct nfs4_compound *compound)
{
    uint32_t wanted = nfs4_args(compound, struct access_args)->wanted;
    bool is_directory = true;
    struct inode_attr attr;
    uint32_t status, supported;

    /* RFC 8881 18.1.3 leaves bits that nobody defined to the server. */
    if (wanted & ~(uint32_t)(compound->minor >= 2 ? 0x1ff : 0x3f))
        return NFS4ERR_INVAL;
    if (compound->current.place != NFS4_PSEUDO_ROOT) {
        status = nfs4__context(compound);
        if (status != NFS4_OK)
            return status;
        vfs_getattr(compound->current.inode, &attr);
        is_directory = attr.type == INODE_DIRECTORY || compound->current.place == NFS4_ATTR_DIR;
    }
    supported = wanted & supported_access(compound, is_directory);
    writer_be32(&compound->call->reply, supported);
    writer_be32(&compound->call->reply, granted_access(compound, supported, is_directory));
    return NFS4_OK;
}
