/*
 * nfs3_readdir.c - READDIR and READDIRPLUS (RFC 1813 3.3.16, 3.3.17).
 *
 * The happy path: "." and ".." are written with cookies 1 and 2, then vfs lists what is behind the cookie
 * until an entry does not fit; entries, attributes and handles are written from that one scan.
 * Budgets: the bytes of READDIR3resok (READDIRPLUS3resok) with all XDR overhead never exceed `count`
 * (`maxcount`), those of names, fileids and cookies not `dircount`, and both not NFS3_DIR_MAX. When not one
 * entry fits although there is one: TOOSMALL.
 * Cookies stay good while entries come and go, so the verifier is always zero: one that changes with the
 * directory breaks clients that list while they remove.
 */
#include "nfs/v3/nfs3_priv.h"

enum {
    COOKIE_DOT = 1,
    COOKIE_DOTDOT = 2,
    LIST_END = 8,                                               /* no more entries; eof */
    RESULT_FIXED = NFS3_POST_OP_ATTR_SIZE + 8 + LIST_END,       /* attributes, verifier */
    ENTRY_FIXED = 4 + 8 + 4 + 8,                                /* follows, fileid, name's length, cookie */
    ENTRY_PLUS = NFS3_POST_OP_ATTR_SIZE + NFS3_POST_OP_FH_SIZE, /* with both */
    ENTRY_PLUS_EMPTY = 4 + 4,                                   /* with neither */
};

struct listing {
    struct nfs3_request *request;
    bool plus;
    uint32_t left;       /* of count or maxcount */
    uint32_t names_left; /* of dircount */
    uint32_t taken;      /* entries */
    bool full;           /* an entry did not fit: what follows would leave a gap */
};

/* Writes an entry; false when it does not fit. INODE (READDIRPLUS) may be NULL. */
static bool put_entry(struct listing *listing, uint64_t cookie, uint64_t ino, struct store_name name,
                      struct inode *inode)
{
    struct nfs3_request *request = listing->request;
    uint32_t padding = (4 - (uint32_t)name.length % 4) % 4;
    uint32_t names = ENTRY_FIXED + (uint32_t)name.length + padding;
    uint32_t size = names;
    uint8_t *at;

    if (listing->plus)
        size += inode != NULL ? ENTRY_PLUS : ENTRY_PLUS_EMPTY;
    if (listing->full || size > listing->left || (listing->plus && names > listing->names_left)) {
        listing->full = true;
        return false;
    }
    at = writer_reserve(&request->call->reply, size);
    if (at == NULL)
        return false;
    at = put_be32(at, 1);
    at = put_be64(at, ino);
    at = put_be32(at, (uint32_t)name.length);
    memcpy(at, name.bytes, name.length);
    memset(at + name.length, 0, padding);
    at = put_be64(at + name.length + padding, cookie);
    if (listing->plus && inode != NULL) {
        at = nfs3__put_post_op_attr(at, request->export_id, inode);
        nfs3__put_post_op_fh(at, request, inode);
    } else if (listing->plus) {
        put_be64(at, 0);
    }
    listing->left -= size;
    if (listing->plus)
        listing->names_left -= names;
    listing->taken++;
    return true;
}

static bool each(void *data, const struct vfs_dirent *entry)
{
    return put_entry(data, entry->cookie, entry->ino, entry->name, entry->inode);
}

static void put_dots(struct listing *listing, uint64_t cookie, bool with_inodes)
{
    static const struct store_name dot = {(const uint8_t *)".", 1}, dotdot = {(const uint8_t *)"..", 2};
    struct nfs3_request *request = listing->request;
    struct inode *parent = NULL;
    struct inode_attr attr;

    vfs_getattr(request->object, &attr);
    if (cookie < COOKIE_DOT)
        put_entry(listing, COOKIE_DOT, attr.ino, dot, with_inodes ? request->object : NULL);
    if (cookie < COOKIE_DOTDOT) {
        if (with_inodes && vfs_parent(&request->context, request->object, &parent) != ERR_OK)
            parent = NULL;
        put_entry(listing, COOKIE_DOTDOT, attr.parent, dotdot, parent);
        vfs_unref(&parent);
    }
}

/* Entries behind the cookie of the arguments; *END_R when there are no more than were taken. */
static enum err put_entries(struct listing *listing, bool *end_r)
{
    struct nfs3_request *request = listing->request;
    const struct nfs3_readdir_args *args = &request->args.readdir;
    bool with_inodes;
    enum err err;

    /* A listing shows the names; what lies behind them is for those who may look them up. */
    with_inodes = listing->plus && vfs_access(&request->context, request->object, VFS_ACCESS_EXECUTE) != 0;
    if (args->cookie < COOKIE_DOTDOT)
        put_dots(listing, args->cookie, with_inodes);
    err = vfs_readdir(&request->context, request->object, args->cookie <= COOKIE_DOTDOT ? 0 : args->cookie,
                      with_inodes, each, listing, end_r);
    if (err == ERR_OK && listing->full)
        *end_r = false;
    return err == ERR_OK && listing->taken == 0 && !*end_r ? ERR_TOOSMALL : err;
}

static bool cookie_is_good(const struct nfs3_readdir_args *args)
{
    static const uint8_t zeros[NFS3_VERIFIER_SIZE];

    if (args->cookie == 0)
        return true;
    if (args->cookie > COOKIE_DOTDOT && args->cookie <= STORE_COOKIE_FIRST)
        return false;
    return memcmp(args->verifier, zeros, sizeof zeros) == 0;
}

static void list(struct nfs3_request *request, bool plus)
{
    const struct nfs3_readdir_args *args = &request->args.readdir;
    uint32_t count = plus ? args->maxcount : args->count;
    struct writer *writer = &request->call->reply;
    struct listing listing = {.request = request, .plus = plus, .names_left = args->count};
    bool end = false;
    enum err err;

    if (!nfs3__open_object(request, &args->dir))
        return;
    if (count > NFS3_DIR_MAX)
        count = NFS3_DIR_MAX;
    listing.left = count < RESULT_FIXED ? 0 : count - RESULT_FIXED;
    writer_be32(writer, 0);
    nfs3__write_post_op_attr(request, request->object);
    writer_be64(writer, 0);
    err = cookie_is_good(args) ? put_entries(&listing, &end) : ERR_BADCOOKIE;
    if (err == ERR_OK && count < RESULT_FIXED)
        err = ERR_TOOSMALL;
    if (err != ERR_OK) {
        nfs3__fail(request, err);
        return;
    }
    writer_be32(writer, 0);
    writer_xdr_bool(writer, end);
    nfs3__reply(request);
}

void nfs3__readdir(struct nfs3_request *request)
{
    list(request, false);
}

void nfs3__readdirplus(struct nfs3_request *request)
{
    list(request, true);
}
