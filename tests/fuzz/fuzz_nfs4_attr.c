/*
 * fuzz_nfs4_attr.c - attributes that clients of NFSv4 set and compare: the first byte chooses the minor
 * version. What is accepted must keep what vfs relies on.
 */
#include "nfs/v4/nfs4_attr.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MODE_BITS = 07777, SECOND_NS = 1000000000 };

static void check_time(enum vfs_time_how how, struct timestamp time)
{
    if (how == VFS_TIME_SET && time.nanoseconds >= SECOND_NS)
        abort();
}

static void check_set(struct nfs4_setattr *set, uint32_t minor)
{
    static const struct inode_attr before = {.mode = 0644, .dos_attributes = 0x26};
    const struct nfs4_bitmap *supported = nfs4_attr_supported(minor);

    if (set->mask.beyond)
        abort();
    for (int word = 0; word < NFS4_BITMAP_WORDS; word++)
        if (set->mask.words[word] & ~supported->words[word])
            abort();
    nfs4_attr_complete(set, &before);
    if ((set->set.set & VFS_SET_MODE) && (set->set.mode & ~(uint32_t)MODE_BITS))
        abort();
    if (((set->set.set & VFS_SET_UID) && set->set.uid == UINT32_MAX) ||
        ((set->set.set & VFS_SET_GID) && set->set.gid == UINT32_MAX))
        abort();
    if ((set->set.set & VFS_SET_BTIME) && set->set.btime.nanoseconds >= SECOND_NS)
        abort();
    check_time(set->set.atime_how, set->set.atime);
    check_time(set->set.mtime_how, set->set.mtime);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nfs4_setattr set;
    struct nfs4_fattr fattr;
    struct reader reader;
    uint32_t minor;

    if (size == 0)
        return 0;
    minor = data[0] % 3;
    reader = reader_of(data + 1, size - 1);
    if (nfs4_attr_decode_set(&reader, minor, NULL, &set) && set.status == NFS4_OK)
        check_set(&set, minor);
    reader = reader_of(data + 1, size - 1);
    if (!nfs4_attr_decode_raw(&reader, &fattr))
        return 0;
    if (fattr.length > size ||
        (fattr.length > 0 && (fattr.values < data || fattr.values + fattr.length > data + size)))
        abort();
    (void)!nfs4_attr_is_well_formed(&fattr);
    (void)nfs4_attr_check_readable(&fattr.mask);
    return 0;
}
