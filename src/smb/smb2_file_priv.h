/*
 * smb2_file_priv.h - what the files share that are about files: names, deletion, streams, attributes, lists.
 */
#ifndef DITTOFS_SMB_SMB2_FILE_H
#define DITTOFS_SMB_SMB2_FILE_H

#include "smb/smb2_priv.h"

struct sec_descriptor;

/* ---- all opens of a file, by whichever stream (smb2_delete.c) ---- */

/* Adds OPEN, whose inode and base are set: false when memory is out. */
bool smb2__file_add(struct smb_server *server, struct smb2_open *open) MUST_CHECK;
void smb2__file_remove(struct smb_server *server, struct smb2_open *open);
/* Walks the opens of FILE and its streams: start with NULL. */
struct smb2_open *smb2__file_next(const struct smb_server *server, const struct inode *file,
                                  const struct smb2_open *at);
/* Is INODE, or the FILE it is a stream of, about to go? */
bool smb2__file_is_going(const struct smb_server *server, const struct inode *file,
                         const struct inode *inode);
/* What the end of OPEN, which is in no table any more, means for names. CONTEXT may be NULL. */
void smb2__file_settle(struct smb_server *server, struct smb2_open *open, struct vfs_context *context);
void smb2__file_watch(struct smb_server *server);
void smb2__file_unwatch(struct smb_server *server);

/* ---- names of opens (smb2_name.c) ---- */

/* The path of the open below its share as UTF-8, "dir\\file:stream"; empty for the root. */
uint32_t smb2__open_path(struct vfs_context *context, struct smb2_open *open, struct writer *path);

enum { SMB2_SHORT_NAME_MAX = 12 };
/* The name of eight and three characters (MS-FSCC 2.1.5.2.1) that NAME goes by as well: made from it, and not
 * kept. False: it is one itself. */
bool smb2__short_name(struct store_name name, char text_r[SMB2_SHORT_NAME_MAX + 1]);
/* vfs_lookup_folded, also by short names. */
enum err smb2__lookup(struct vfs_context *context, struct inode *dir, struct store_name name,
                      struct inode **inode_r, uint8_t *stored_r, size_t *length_r) ERR_MUST_CHECK;

/* ---- names that change hands (smb2_tunnel.c) ---- */

/* A file with ATTR loses NAME in DIR: what becomes of that for another one? */
void smb2__tunnel_leave(struct smb_server *server, uint32_t export_id, struct inode *dir,
                        struct store_name name, const struct inode_attr *attr);
struct smb2_tunneled {
    struct timestamp btime;
    bool is_short; /* the name asked for was the short one of: */
    uint8_t name[STORE_NAME_MAX];
    size_t length;
};
/* A file gets NAME in DIR: what is left for it? */
bool smb2__tunnel_take(struct smb_server *server, uint32_t export_id, struct inode *dir,
                       struct store_name name, struct smb2_tunneled *found_r);
void smb2__tunnel_free(struct smb_server *server);

/* ---- extended attributes (smb2_ea.c; MS-FSCC 2.4.15) ---- */

/* Sets, or takes away, what DATA lists: all or, at a failure, those before it. *ERROR_AT_R is the offset. */
uint32_t smb2__ea_set(struct vfs_context *context, struct inode *inode, struct reader data);
/* The bytes that the list takes (FileEaInformation). */
uint32_t smb2__ea_size(struct vfs_context *context, struct inode *inode);
/* The list, or what WANTED (FILE_GET_EA_INFORMATION; may be empty) names of it, at most ROOM bytes. */
uint32_t smb2__ea_query(struct smb2_request *request, struct reader wanted, bool restart, bool single,
                        size_t room);

/* ---- security descriptors (smb2_security.c) ---- */

enum { SMB2_SECURITY_OWNER = 1, SMB2_SECURITY_GROUP = 2, SMB2_SECURITY_DACL = 4, SMB2_SECURITY_SACL = 8 };

uint32_t smb2__security_query(struct smb2_request *request, uint32_t parts);
uint32_t smb2__security_set(struct smb2_request *request, uint32_t parts, struct reader data);
/* The list in DATA, a whole descriptor, for a file that is to be made. It lives as long as ARENA. */
uint32_t smb2__security_acl(struct smb_server *server, struct arena *arena, struct reader data,
                            struct acl *acl_r);
/* Generic bits as those that they stand for with files (MS-SMB2 2.2.13.1). */
uint32_t smb2__security_map(uint32_t mask);

/* ---- reparse points (smb2_reparse.c; MS-FSCC 2.1.2) ---- */

/* The tag of what FILE is; 0: it is no reparse point. */
uint32_t smb2__reparse_tag(struct inode *file, const struct inode_attr *attr);
/* STATUS_STOPPED_ON_SYMLINK and what belongs to it (MS-SMB2 2.2.2.2.1). */
uint32_t smb2__reparse_stop(struct smb2_request *request, struct inode *link, size_t unparsed);

/* OPEN goes on as one of INODE (its reference is taken over): share mode and all. */
uint32_t smb2__open_move(struct smb_server *server, struct smb2_open *open, struct inode *inode);
enum err smb2__has_entries(struct vfs_context *context, struct inode *dir, bool *any_r) ERR_MUST_CHECK;

/* ---- SET_INFO's parts ---- */

uint32_t smb2__set_rename(struct smb2_request *request, struct reader *data, bool extended);
uint32_t smb2__set_link(struct smb2_request *request, struct reader *data);

#endif
