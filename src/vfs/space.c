/*
 * space.c - figures of space for FSSTAT, space_* attributes and file system information.
 *
 * Files have no limit of their own: what is free is what the free bytes could hold, were all of them empty.
 */
#include "vfs/vfs_priv.h"

/* What an inode with its name takes in the database, generously. */
enum { BYTES_PER_INODE = 1024 };

void vfs_space(struct vfs_context *context, struct vfs_space *space_r)
{
    struct store_space store;
    uint64_t free_files;

    store_space(context->vfs->store, &store);
    free_files = store.free_bytes / BYTES_PER_INODE;
    *space_r = (struct vfs_space){
        .total_bytes = store.total_bytes,
        .free_bytes = store.free_bytes,
        .available_bytes = store.free_bytes,
        .total_files = store.inodes + free_files,
        .free_files = free_files,
        .available_files = free_files,
    };
}
