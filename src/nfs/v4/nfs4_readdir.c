/*
 * nfs4_readdir.c - READDIR (RFC 8881 18.23), of directories and of the pseudo root.
 *
 * Entries and their attributes are written from one scan until one does not fit: the bytes of READDIR4resok
 * never exceed `maxcount`, those of names and cookies not `dircount` (a hint; 0 means none). When not one
 * fits although there is one: TOOSMALL. Cookies are stable, so the verifier is always zero.
 * An entry whose attributes can't be had carries rdattr_error when that was asked for; else the call fails.
 */
#include "nfs/v4/nfs4_attr.h"
#include "nfs/v4/nfs4_operations.h"
#include "nfs/v4/nfs4_server.h"
#include <string.h>

enum {
    LIST_END = 8,                /* no more entries; eof */
    RESULT_FIXED = 8 + LIST_END, /* verifier */
    ENTRY_FIXED = 4 + 8 + 4,     /* follows, cookie, name's length */
    ENTRY_MAX = ENTRY_FIXED + STORE_NAME_MAX + 1 + NFS4_ATTRIBUTES_MAX,
    PSEUDO_COOKIE = 16 /* the first export's */
};

struct readdir_args {
    uint64_t cookie;
    uint8_t verifier[NFS4_VERIFIER_SIZE];
    uint32_t dircount, maxcount;
    struct nfs4_bitmap wanted;
};

bool nfs4__readdir_decode(struct nfs4_compound *compound)
{
    struct readdir_args *args = nfs4_new_args(compound, struct readdir_args);
    struct reader *reader = &compound->arguments;

    return reader_be64(reader, &args->cookie) && reader_copy(reader, args->verifier, sizeof args->verifier) &&
           reader_be32(reader, &args->dircount) && reader_be32(reader, &args->maxcount) &&
           nfs4__decode_bitmap(reader, &args->wanted);
}

struct listing {
    struct nfs4_compound *compound;
    const struct readdir_args *args;
    size_t end;          /* reply length that entries may reach */
    uint32_t names_left; /* of dircount */
    uint32_t taken;
    bool full;
    uint32_t status; /* why the listing can't go on */
};

static void put_rdattr_error(struct listing *listing, uint32_t error)
{
    struct nfs4_bitmap only = {{0}, false};
    struct writer *reply = &listing->compound->call->reply;

    nfs4_bitmap_add(&only, FATTR4_RDATTR_ERROR);
    nfs4__encode_bitmap(reply, &only);
    writer_be32(reply, 4);
    writer_be32(reply, error);
}

static bool refuse_entry(struct listing *listing, uint32_t error)
{
    listing->status = error;
    return false;
}

static bool write_entry(struct listing *listing, uint64_t cookie, struct store_name name,
                        struct nfs4_attr_source *source, uint32_t error)
{
    struct writer *reply = &listing->compound->call->reply;
    uint32_t names = ENTRY_FIXED + (uint32_t)name.length;
    size_t start = reply->length;

    /* Lists are not in what was reserved for an entry that is taken back. */
    if (error != NFS4_OK || start + source->lists.length <= listing->end) {
        writer_be32(reply, 1);
        writer_be64(reply, cookie);
        writer_xdr_opaque(reply, name.bytes, name.length);
        if (error != NFS4_OK)
            put_rdattr_error(listing, error);
        else
            nfs4_attr_encode(reply, source, &listing->args->wanted);
        if (!reply->failed && reply->length <= listing->end) {
            listing->names_left -= names < listing->names_left ? names : listing->names_left;
            listing->taken++;
            return true;
        }
        writer_truncate(reply, start);
    }
    listing->full = true;
    return false;
}

/* An entry at FH, or with ERROR instead of attributes. False when it does not fit. */
static bool put_entry(struct listing *listing, uint64_t cookie, struct store_name name,
                      const struct nfs4_filehandle *fh, struct vfs_export *export, uint32_t error)
{
    uint32_t names = ENTRY_FIXED + (uint32_t)name.length;
    struct nfs4_attr_source source;
    bool taken;

    if (listing->full ||
        (listing->taken > 0 && listing->args->dircount != 0 && names > listing->names_left)) {
        listing->full = true;
        return false;
    }
    if (error == NFS4_OK) {
        nfs4_attr_source_init(&source, listing->compound, fh, export);
        error = nfs4_attr_prepare(&source, &listing->args->wanted);
        if (error != NFS4_OK && error != NFS4ERR_ACCESS)
            return refuse_entry(listing, error);
    }
    if (error != NFS4_OK && !nfs4_bitmap_has(&listing->args->wanted, FATTR4_RDATTR_ERROR))
        return refuse_entry(listing, error);
    taken = write_entry(listing, cookie, name, &source, error);
    if (error == NFS4_OK)
        nfs4_attr_source_free(&source);
    return taken;
}

static bool each(void *data, const struct vfs_dirent *entry)
{
    struct listing *listing = data;
    struct nfs4_filehandle fh = {
        .place = NFS4_IN_EXPORT, .export_id = listing->compound->current.export_id, .inode = entry->inode};

    return put_entry(listing, entry->cookie, entry->name, &fh, listing->compound->context.export,
                     entry->inode == NULL ? NFS4ERR_ACCESS : NFS4_OK);
}

static uint32_t list_directory(struct listing *listing, bool *end_r)
{
    struct nfs4_compound *compound = listing->compound;
    uint32_t status = nfs4__context(compound);
    enum err err;

    if (status != NFS4_OK)
        return status;
    if (compound->current.place == NFS4_ATTR_DIR)
        err = nfs4__named_list(compound, listing->args->cookie, each, listing, end_r);
    else
        err = vfs_readdir(&compound->context, compound->current.inode, listing->args->cookie, true, each,
                          listing, end_r);
    if (err != ERR_OK)
        return nfs4__status(compound, err);
    return listing->status;
}

/* The exports that the caller's host may use. The entry's cookie is its place in the order of names. */
static uint32_t list_exports(struct listing *listing, bool *end_r)
{
    struct nfs4_compound *compound = listing->compound;
    struct vfs_export *export = NULL;
    uint64_t cookie = PSEUDO_COOKIE;

    *end_r = true;
    while ((export = vfs_export_next(compound->server->vfs, export)) != NULL) {
        const char *name = vfs_export_config(export)->name;
        struct nfs4_filehandle fh;
        uint32_t status;
        bool taken;

        if (++cookie <= listing->args->cookie)
            continue;
        status = nfs4__export_root(compound, export, &fh);
        if (status == NFS4ERR_NOENT)
            continue;
        taken = put_entry(listing, cookie, (struct store_name){(const uint8_t *)name, strlen(name)}, &fh,
                          export, status);
        if (status == NFS4_OK)
            nfs4__filehandle_release(&fh);
        if (!taken) {
            *end_r = false;
            break;
        }
    }
    return listing->status;
}

static uint32_t check_args(const struct nfs4_compound *compound, const struct readdir_args *args)
{
    static const uint8_t zeros[NFS4_VERIFIER_SIZE];
    uint32_t status = nfs4__check_directory(&compound->current);

    if (status != NFS4_OK)
        return NFS4ERR_NOTDIR;
    status = nfs4_attr_check_readable(&args->wanted);
    if (status != NFS4_OK)
        return status;
    /* RFC 7530 16.24.4: 1 and 2 are never given out. */
    if (args->cookie != 0 && args->cookie <= STORE_COOKIE_FIRST)
        return NFS4ERR_BAD_COOKIE;
    if (args->cookie != 0 && memcmp(args->verifier, zeros, sizeof zeros) != 0)
        return NFS4ERR_NOT_SAME;
    return NFS4_OK;
}

uint32_t nfs4__readdir(struct nfs4_compound *compound)
{
    const struct readdir_args *args = nfs4_args(compound, struct readdir_args);
    struct writer *reply = &compound->call->reply;
    struct listing listing = {.compound = compound, .args = args, .names_left = args->dircount};
    size_t room = nfs4__room(compound);
    bool end = false;
    uint32_t status = check_args(compound, args);

    if (status != NFS4_OK)
        return status;
    if (room > NFS4_DIR_MAX)
        room = NFS4_DIR_MAX;
    if (room > args->maxcount)
        room = args->maxcount;
    if (room < RESULT_FIXED)
        return NFS4ERR_TOOSMALL;
    /* The entry that does not fit is written, too, before it is taken back. */
    if (!nfs4__reserve(compound, room + ENTRY_MAX))
        return NFS4ERR_DELAY;
    listing.end = reply->length + room - LIST_END;
    writer_be64(reply, 0);
    status = compound->current.place == NFS4_PSEUDO_ROOT ? list_exports(&listing, &end)
                                                         : list_directory(&listing, &end);
    if (status != NFS4_OK)
        return status;
    if (listing.full)
        end = false;
    if (listing.taken == 0 && !end)
        return NFS4ERR_TOOSMALL;
    writer_be32(reply, 0);
    writer_xdr_bool(reply, end);
    return NFS4_OK;
}
