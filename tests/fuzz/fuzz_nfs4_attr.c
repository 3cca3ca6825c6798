/*
 * fuzz_nfs4_attr.c - attributes that clients of NFSv4 set and compare: the first byte chooses the minor
 * version. What is accepted must keep what vfs relies on.
 */
#include "nfs/v4/nfs4_acl.h"
#include "nfs/v4/nfs4_attr.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MODE_BITS = 07777, SECOND_NS = 1000000000 };

static void check_time(enum vfs_time_how how, struct timestamp time)
{
    if (how == VFS_TIME_SET && time.nanoseconds >= SECOND_NS)
        abort();
}

/* What vfs keeps, and encoding it and decoding that again makes no difference. */
static void check_acl(const struct acl *acl)
{
    struct arena arena;
    struct writer first, second;
    struct reader reader;
    struct acl again;
    uint32_t status = NFS4_OK;

    if (acl->count > ACL_ACES_MAX || acl->everything)
        abort();
    for (uint16_t i = 0; i < acl->count; i++) {
        const struct acl_ace *ace = &acl->aces[i];

        if (ace->type > ACL_DENIED || (ace->mask & ~(uint32_t)ACL_ALL) || ace->who < ACL_EVERYONE ||
            ace->who > ACL_NOBODY || ace->sid_length > ACL_SID_MAX || (ace->sid == NULL) != !ace->sid_length)
            abort();
    }
    arena_init(&arena, 0);
    writer_init_growing(&first, (size_t)1 << 24);
    writer_init_growing(&second, (size_t)1 << 24);
    nfs4__acl_encode(&first, NFS4_DACL, acl, NULL);
    reader = reader_of(first.data, first.length);
    if (first.failed || !nfs4__acl_skip(&reader, NFS4_DACL) || !reader_is_done(&reader))
        abort();
    reader = reader_of(first.data, first.length);
    if (!nfs4__acl_decode(&reader, NFS4_DACL, NULL, &arena, &again, &status) || status != NFS4_OK)
        abort();
    nfs4__acl_encode(&second, NFS4_DACL, &again, NULL);
    if (second.length != first.length || memcmp(second.data, first.data, first.length) != 0)
        abort();
    writer_free(&first);
    writer_free(&second);
    arena_reset(&arena);
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
    if (set->set.set & VFS_SET_ACL)
        check_acl(set->set.acl);
    check_time(set->set.atime_how, set->set.atime);
    check_time(set->set.mtime_how, set->set.mtime);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nfs4_setattr set;
    struct nfs4_fattr fattr;
    struct reader reader;
    struct arena arena;
    uint32_t minor;

    if (size == 0)
        return 0;
    minor = data[0] % 3;
    reader = reader_of(data + 1, size - 1);
    arena_init(&arena, 0);
    if (nfs4_attr_decode_set(&reader, minor, NULL, &arena, &set) && set.status == NFS4_OK)
        check_set(&set, minor);
    arena_reset(&arena);
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
