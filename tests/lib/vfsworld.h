/*
 * vfsworld.h - a store on a simulated disk with vfs and one export over it, for tests of vfs and above.
 *
 * The simulated clock is installed; every look at the wall clock moves it by a microsecond, so that two
 * changes never have the same time. What fails here that a test did not ask for ends the process.
 */
#ifndef DITTOFS_TESTS_VFSWORLD_H
#define DITTOFS_TESTS_VFSWORLD_H

#include "dittofs/vfs.h"

struct world {
    struct disk *disk;
    struct loop *loop;
    struct store *store;
    struct vfs *vfs;
    struct vfs_export *export; /* "test": any protocol and flavour, nobody squashed, root's, 0755 */
    struct vfs_context root;   /* user 0 over it, NFSv4 */
    struct inode *top;         /* its root directory, with a reference */
};

void world_start(struct world *world);
/* Stops cleanly and starts again on the same disk. Inodes must have been given back. */
void world_restart(struct world *world);
/* The same, but the process dies and the power is cut. */
void world_crash(struct world *world, uint64_t seed);
void world_stop(struct world *world);
/* The two halves of a clean restart; the second may fail, and then nothing is open. */
void world_down(struct world *world);
enum err world_up(struct world *world);

/* The configuration of "test", to be changed and given to vfs_exports_set. */
struct vfs_export_config world_config(const char *name);
struct vfs_context world_as(const struct world *world, uint32_t uid, uint32_t gid);
struct store_name world_name(const char *text);

/* Makes NAME in DIR (NULL: the top) as user 0; a symbolic link leads to "target". With a reference. */
struct inode *world_make(struct world *world, struct inode *dir, const char *name, enum inode_type type,
                         uint32_t mode, uint32_t uid, uint32_t gid);
/* The inode, with a reference, or NULL. */
struct inode *world_find(struct world *world, struct inode *dir, const char *name);
bool world_has(struct world *world, struct inode *dir, const char *name);
/* Takes NAME away with all below it, as user 0. */
void world_remove_all(struct world *world, struct inode *dir, const char *name);
/* Replaces the permission bits as user 0. */
void world_chmod(struct world *world, struct inode *inode, uint32_t mode);
/* Waits until what CONTEXT did is durable. */
enum err world_durable(struct world *world, struct vfs_context *context);
/* Writes DATA at OFFSET and waits for room if it must. */
enum err world_write(struct world *world, struct vfs_context *context, struct inode *inode, uint64_t offset,
                     const void *data, size_t length, enum vfs_io_right right);
/* Reads up to LENGTH bytes and waits for them if it must. */
enum err world_read(struct world *world, struct vfs_context *context, struct inode *inode, uint64_t offset,
                    void *data, uint32_t length, uint32_t *got_r, bool *eof_r, enum vfs_io_right right);

/* Walks the whole tree: every name resolves, link counts are the number of names (of a directory 2 and its
 * subdirectories), ".." is where it should be. Returns the number of names; ends the process on a lie. */
size_t world_check_tree(struct world *world);
/* The same; and there is no inode but those in the tree and OTHER_ROOTS roots of other, empty exports: what
 * was removed is gone, so every reference was given back. */
void world_check_all_freed(struct world *world, size_t other_roots);

#endif
