/*
 * acl_priv.h - access control lists within this room (acl.c).
 */
#ifndef DITTOFS_VFS_ACL_PRIV_H
#define DITTOFS_VFS_ACL_PRIV_H

#include "dittofs/arena.h"
#include "dittofs/cursor.h"
#include "vfs/vfs_priv.h"

/* A list as it lies with its inode; good until the inode's next change. */
struct acl_walk {
    struct reader reader;
    uint16_t control;
    uint16_t left; /* entries to come */
    bool everything;
};

/* False: INODE has no list. */
bool vfs__acl_begin(const struct inode *inode, struct acl_walk *walk);
bool vfs__acl_next(struct acl_walk *walk, struct acl_ace *ace);
bool vfs__acl_is_there(const struct inode *inode);
/* ERR_NOENT when there is none. What is read lives as long as ARENA. */
enum err vfs__acl_read(const struct inode *inode, struct arena *arena, struct acl *acl_r) ERR_MUST_CHECK;
/* ERR_INVAL, ERR_FBIG: no list that can be kept. */
enum err vfs__acl_check(const struct acl *acl) ERR_MUST_CHECK;
/* Keeps the list; mode and times are the caller's. */
enum err vfs__acl_write(struct inode *inode, const struct acl *acl) ERR_MUST_CHECK;
/* All rights that WALK, begun for INODE, gives the user. */
uint32_t vfs__acl_rights(const struct vfs_context *context, const struct inode *inode,
                         const struct acl_walk *walk);
/* The mode that INODE's list means; its own when it has none. */
uint32_t vfs__acl_mode(const struct inode *inode);
/* Makes the list, if there is one, mean MODE. */
enum err vfs__acl_chmod(struct inode *inode, uint32_t mode) ERR_MUST_CHECK;
/* What CHILD (type, uid and gid count), made in PARENT, gets: ERR_NOENT when it inherits nothing. */
enum err vfs__acl_inherit(const struct inode *parent, const struct inode_attr *child, struct arena *arena,
                          struct acl *acl_r) ERR_MUST_CHECK;

#endif
