/*
 * nfs4_codec.c - pieces of NFSv4's XDR that many operations share.
 */
#include "nfs/v4/nfs4_priv.h"
#include <string.h>
#include <utf8proc.h>

/* Words of a bitmap that we look at before we call it nonsense. */
enum { BITMAP_WORDS_MAX = 64 };

bool nfs4__decode_bitmap(struct reader *reader, struct nfs4_bitmap *bitmap_r)
{
    uint32_t count, word;

    memset(bitmap_r, 0, sizeof *bitmap_r);
    if (!reader_be32(reader, &count) || count > BITMAP_WORDS_MAX)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (!reader_be32(reader, &word))
            return false;
        if (i < NFS4_BITMAP_WORDS)
            bitmap_r->words[i] = word;
        else if (word != 0)
            bitmap_r->beyond = true;
    }
    return true;
}

void nfs4__encode_bitmap(struct writer *writer, const struct nfs4_bitmap *bitmap)
{
    uint32_t count = NFS4_BITMAP_WORDS;
    uint8_t *at;

    while (count > 0 && bitmap->words[count - 1] == 0)
        count--;
    at = writer_reserve(writer, 4 + (size_t)count * 4);
    if (at == NULL)
        return;
    at = put_be32(at, count);
    for (uint32_t i = 0; i < count; i++)
        at = put_be32(at, bitmap->words[i]);
}

bool nfs4__decode_stateid(struct reader *reader, struct nfs4_stateid *stateid_r)
{
    return reader_be32(reader, &stateid_r->seqid) &&
           reader_copy(reader, stateid_r->other, sizeof stateid_r->other);
}

void nfs4__encode_stateid(struct writer *writer, const struct nfs4_stateid *stateid)
{
    writer_be32(writer, stateid->seqid);
    writer_bytes(writer, stateid->other, sizeof stateid->other);
}

uint64_t nfs4__change_of(struct inode *inode)
{
    return vfs_attr(inode)->change;
}

void nfs4__encode_change_info(struct writer *writer, bool atomic, uint64_t before, uint64_t after)
{
    writer_xdr_bool(writer, atomic);
    writer_be64(writer, before);
    writer_be64(writer, after);
}

bool nfs4__decode_component(struct reader *reader, struct store_name *name_r)
{
    const uint8_t *bytes;
    uint32_t length;

    if (!reader_xdr_opaque(reader, UINT32_MAX, &bytes, &length))
        return false;
    *name_r = (struct store_name){bytes, length};
    return true;
}

bool nfs4__is_utf8(const void *text, size_t length)
{
    const uint8_t *bytes = text;
    size_t at = 0;

    while (at < length) {
        utf8proc_int32_t code;
        utf8proc_ssize_t step;

        if (bytes[at] < 0x80) {
            at++;
            continue;
        }
        step = utf8proc_iterate(bytes + at, (utf8proc_ssize_t)(length - at), &code);

        if (step <= 0)
            return false;
        at += (size_t)step;
    }
    return true;
}

uint32_t nfs4__check_component(struct store_name name)
{
    if (name.length == 0)
        return NFS4ERR_INVAL;
    if (name.length > STORE_NAME_MAX)
        return NFS4ERR_NAMETOOLONG;
    /* RFC 7530 12.7, RFC 8881 14.5: not UTF-8 is INVAL; a character that a name can't have is BADCHAR. */
    if (!nfs4__is_utf8(name.bytes, name.length))
        return NFS4ERR_INVAL;
    if (memchr(name.bytes, 0, name.length) != NULL || memchr(name.bytes, '/', name.length) != NULL)
        return NFS4ERR_BADCHAR;
    if (name.bytes[0] == '.' && (name.length == 1 || (name.length == 2 && name.bytes[1] == '.')))
        return NFS4ERR_BADNAME;
    return NFS4_OK;
}

uint32_t nfs4__status(const struct nfs4_compound *compound, enum err err)
{
    /* RFC 7530 has no WRONG_TYPE; RFC 8881 15.1.2.9 added it. */
    if (compound->minor == 0 && (err == ERR_WRONGTYPE || err == ERR_BADTYPE))
        return err == ERR_WRONGTYPE ? NFS4ERR_INVAL : NFS4ERR_BADTYPE;
    if (compound->minor > 0 && err == ERR_LIMIT)
        return NFS4ERR_DELAY;
    return err_to_nfs4(err);
}
