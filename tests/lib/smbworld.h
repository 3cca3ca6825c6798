/*
 * smbworld.h - a whole server within a test that speaks SMB as well as NFS: nfsworld with the SMB front-end
 * on the same loop, state and files.
 *
 * The export "a" is the share "a". The users are those of auth_fixture.h: alice (uid 1000), Ünal (1001),
 * mallory (1002, disabled), each with the password "Passw0rd". Everything fails the test by itself (cmocka).
 */
#ifndef DITTOFS_TESTS_SMBWORLD_H
#define DITTOFS_TESTS_SMBWORLD_H

#include "dittofs/identity.h"
#include "dittofs/smb.h"
#include "nfsworld.h"
#include "smb2client.h"

struct smbworld {
    struct nfsworld *nfs;
    struct identity *identity;
    struct smb_server *server;
    struct smb_options options;
    uint16_t port;
    bool persistent; /* all shares have persistent handles */
    bool done;
};

/* Either set of options may be NULL. */
struct smbworld *smbworld_open(const struct nfsworld_options *nfs, const struct smb_options *options);
/* The same with other exports; VFS_SMB must be in the protocols of those that are to be shares. */
struct smbworld *smbworld_open_exports(const struct vfs_export_config *exports, size_t count,
                                       const struct nfsworld_options *nfs, const struct smb_options *options);
/* The export "a" as a share with persistent handles. */
struct smbworld *smbworld_open_persistent(const struct nfsworld_options *nfs);
/* Close the clients first. */
void smbworld_close(struct smbworld **world);
void smbworld_restart(struct smbworld *world);
/* See nfsworld_crash. */
void smbworld_crash(struct smbworld *world, uint64_t seed);
/* nfsworld_export with SMB. */
struct vfs_export_config smbworld_export(const char *name);

/* A connection, nothing said yet. */
struct smb2client *smbworld_connect(struct smbworld *world);
/* NEGOTIATE, logon as USER and the share "a" behind it. */
struct smb2client *smbworld_client(struct smbworld *world, const char *user);
/* The same on a connection that was made with smbworld_connect and told what to say. */
void smbworld_log_on(struct smb2client *client, const char *user, const char *share);

#endif
