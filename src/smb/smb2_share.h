/*
 * smb2_share.h - a share's rules, for the files of the front-end.
 */
#ifndef DITTOFS_SMB_SMB2_SHARE_H
#define DITTOFS_SMB_SMB2_SHARE_H

#include "smb/smb2_priv.h"

/* Never NULL: what the configuration does not name has the defaults. Good until the next reload. */
const struct smb_share_config *smb2__share(const struct smb_server *server, const struct vfs_export *export);
/* Are persistent handles to be had through EXPORT over the request's connection? MS-SMB2 3.3.5.7 */
bool smb2__share_is_persistent(const struct smb2_request *request, const struct vfs_export *export);
/* May the request's user use its tree, and is it encrypted where it must be? STATUS_SUCCESS or
 * STATUS_ACCESS_DENIED. Closing is always possible. */
uint32_t smb2__share_check(const struct smb2_request *request);
/* Is what has that name shown with the attribute "hidden", whatever its own attributes say? */
bool smb2__share_hides(const struct smb_server *server, const struct smb2_tree *tree, struct store_name name);
/* Does a listing for the request's user have INODE in it? With "hide unreadable" that takes all of the
 * generic right to read. */
bool smb2__share_lists(struct smb2_request *request, struct inode *inode);

#endif
